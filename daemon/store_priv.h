/* SPDX-License-Identifier: GPL-2.0-only */
/* What the store's files share. */
#ifndef NSRD_STORE_PRIV_H
#define NSRD_STORE_PRIV_H

#include "store.h"

/** struct table - chained hash table; the objects carry the chain's node */
struct table {
	struct list_head *buckets;
	size_t size;			/* power of two; 0: nothing allocated yet */
	size_t nr;
	uint32_t (*hash)(const struct list_head *node);
};

struct nsr_store {
	struct nsr_store_caps caps;
	struct nsr_store_ops ops;
	void *data;
	struct list_head conns;		/* present */
	struct list_head waiting;
	struct list_head apps;
	struct list_head cursors;
	struct table by_id, by_tuple, by_key;
	size_t nr_conns, nr_waiting, nr_apps;
	size_t bytes;
	uint32_t mark;
	uint64_t sum[4];		/* digest: sum of the records' digests, lane by lane */
	char error[160];
};

uint32_t store_hash(uint32_t h, const void *p, size_t len);
int table_room(struct table *t, size_t more);	/* before as many table_add(); -ENOMEM */
void table_add(struct table *t, struct list_head *node);
void table_del(struct table *t, struct list_head *node);
struct list_head *table_chain(const struct table *t, uint32_t hash);	/* NULL: empty table */

int store_fail(struct nsr_store *st, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Any connection, waiting ones too. */
struct nsr_store_conn *store_conn_get(struct nsr_store *st, uint64_t id);
struct nsr_store_conn *store_conn_create(struct nsr_store *st, uint64_t id);	/* waiting; NULL: error set */
void store_conn_free(struct nsr_store_conn *c);		/* with its state; no callback */

struct nsr_store_app *store_app_get(struct nsr_store *st, const char *name);	/* made if new; NULL: error set */
struct nsr_store_state *store_state_find(struct nsr_store *st, struct nsr_store_app *app,
					 struct nsr_store_conn *c, const void *key, size_t len,
					 uint32_t hash);
uint32_t store_state_hash(const struct nsr_store_app *app, uint64_t conn_id, const void *key, size_t len);
void store_state_link(struct nsr_store *st, struct nsr_store_state *s);	/* room was made by table_room() */
void store_state_drop(struct nsr_store *st, struct nsr_store_state *s);	/* callback (deleted), unlink, free */
static inline size_t store_state_size(const struct nsr_store_state *s)
{
	return sizeof(*s) + s->key_len + s->value_len;
}

/* The journal needs no memory (any more): empty, or not kept at all. */
void store_journal_rest(struct nsr_store_conn *c);
void store_conn_digest(struct nsr_store_conn *c);	/* anew, after a change */
void store_state_digest(struct nsr_store *st, struct nsr_store_state *s);
void store_digest_sub(struct nsr_store *st, uint64_t digest[4]);	/* and set to 0 */

#endif
