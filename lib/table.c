// SPDX-License-Identifier: LGPL-2.1-or-later
/* table: see table.h */
#include <errno.h>
#include <stdlib.h>

#include "table.h"

#define FIRST_SLOTS	64

static size_t slot_of(uint64_t key, size_t nr_slots)
{
	/* Fibonacci hashing: consecutive handles and descriptors spread over all slots. */
	return (key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (nr_slots - 1);
}

static int grow(struct table *t)
{
	size_t n = t->nr_slots ? t->nr_slots * 2 : FIRST_SLOTS, i;
	struct table_node **slots = calloc(n, sizeof(*slots)), *node, *next;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < t->nr_slots; i++) {
		for (node = t->slots[i]; node; node = next) {
			size_t s = slot_of(node->key, n);

			next = node->next;
			node->next = slots[s];
			slots[s] = node;
		}
	}
	free(t->slots);
	t->slots = slots;
	t->nr_slots = n;
	return 0;
}

int nsr_table_add(struct table *t, struct table_node *node, uint64_t key)
{
	size_t s;

	if (t->nr_nodes >= t->nr_slots) {
		int err = grow(t);

		if (err)
			return err;
	}
	s = slot_of(key, t->nr_slots);
	node->key = key;
	node->linked = true;
	node->next = t->slots[s];
	t->slots[s] = node;
	t->nr_nodes++;
	return 0;
}

void nsr_table_del(struct table *t, struct table_node *node)
{
	struct table_node **p;

	if (!node->linked)
		return;
	for (p = &t->slots[slot_of(node->key, t->nr_slots)]; *p != node; p = &(*p)->next)
		;
	*p = node->next;
	node->linked = false;
	t->nr_nodes--;
}

struct table_node *nsr_table_find(const struct table *t, uint64_t key)
{
	struct table_node *node;

	if (!t->nr_slots)
		return NULL;
	for (node = t->slots[slot_of(key, t->nr_slots)]; node; node = node->next)
		if (node->key == key)
			return node;
	return NULL;
}

void nsr_table_free(struct table *t)
{
	free(t->slots);
	t->slots = NULL;
	t->nr_slots = 0;
}
