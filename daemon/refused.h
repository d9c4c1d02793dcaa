/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * refused: connections that a rule matches and that the kernel cannot protect, each with its reason. They work as any
 * other, are in no store and not on the sync link: known here so that the operator and their application hear of it.
 */
#ifndef NSRD_REFUSED_H
#define NSRD_REFUSED_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "store.h"

struct group;

#define REFUSED_MAX	1024	/* of a group; what is beyond is only counted, by the kernel */

struct refused {
	struct list_head node;
	uint64_t id, cookie;
	struct nsr_store_tuple tuple;
	uint8_t why, mode, dev_role;
	char dev_name[IF_NAMESIZE];
	bool named;		/* by the walk that is under way */
};

/** struct refused_list - of one group */
struct refused_list {
	struct list_head all;
	size_t n;
};

void refused_init(struct refused_list *l);
void refused_free(struct refused_list *l);
/* tb: attributes of a record with TCP_NSR_A_CONN_REFUSED */
void refused_add(struct group *g, const struct nlattr **tb);
void refused_del(struct group *g, uint64_t id);
/* A walk over the kernel's table: what it does not name between these two is gone. */
void refused_sweep_begin(struct group *g);
void refused_sweep_end(struct group *g);
/* Why this connection is not protected; NULL: it is none of these. cookie 0: not known */
const char *refused_why(const struct group *g, const struct nsr_store_tuple *t, uint64_t cookie);
const char *refused_text(uint8_t why);

#endif
