/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* table: objects by a 64-bit key; chained, grows by itself, never shrinks. The node is in the object. */
#ifndef NSR_TABLE_H
#define NSR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	uint64_t key;
	bool linked;
};

struct table {
	struct table_node **slots;
	size_t nr_slots, nr_nodes;	/* nr_slots: 0 or a power of two */
};

/* -ENOMEM. The key must not be there yet; the caller looks first. */
int nsr_table_add(struct table *t, struct table_node *node, uint64_t key);
void nsr_table_del(struct table *t, struct table_node *node);	/* not linked: harmless */
struct table_node *nsr_table_find(const struct table *t, uint64_t key);
void nsr_table_free(struct table *t);		/* the slots; nodes are the caller's */

#endif /* NSR_TABLE_H */
