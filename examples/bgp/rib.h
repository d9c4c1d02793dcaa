/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of routes: prefix to attribute set. It serves as Adj-RIB-In and Adj-RIB-Out of a session
 * and as the table of configured networks. Iterators live through any change, so that a walk may be
 * spread over many turns of the event loop.
 */
#ifndef BGP_RIB_H
#define BGP_RIB_H
#include "attr.h"

struct route {
	struct route *hash_next, *prev, *next;
	struct prefix prefix;
	bool seen;			/* mark and sweep: named since the last sweep */
	struct attrs *attrs;
};

struct rib_iter {
	struct rib_iter *link;
	struct route *at;		/* the route that rib_next() returns */
};

struct rib {
	struct route **bucket, *first, *last;
	size_t size, count;
	struct rib_iter *iters;
};

/* All zero is an empty table. */
void rib_clear(struct rib *rib);
struct route *rib_find(const struct rib *rib, const struct prefix *p);
/* Takes the caller's reference to attrs, also when it fails. 1 new, 0 replaced, -ENOMEM. */
int rib_set(struct rib *rib, const struct prefix *p, struct attrs *attrs);
bool rib_del(struct rib *rib, const struct prefix *p);
void rib_unmark(struct rib *rib);
void rib_sweep(struct rib *rib);	/* drops what is not marked seen */

/* A route added during the walk may or may not be met; one that is deleted is not. */
void rib_start(struct rib *rib, struct rib_iter *it);
struct route *rib_next(struct rib *rib, struct rib_iter *it);
void rib_stop(struct rib *rib, struct rib_iter *it);

/* Sorted by prefix, for people and tests; the caller frees the array. NULL: empty or no memory. */
struct route **rib_sorted(const struct rib *rib);

#endif
