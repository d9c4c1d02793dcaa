// SPDX-License-Identifier: GPL-2.0-only
/* Life of the store, its connections and state; sweep; cursors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store_priv.h"

int store_fail(struct nsr_store *st, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->error, sizeof(st->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *nsr_store_error(const struct nsr_store *st)
{
	return st->error;
}

/* ---- hash table ---- */

uint32_t store_hash(uint32_t h, const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len--)
		h = (h ^ *b++) * 0x01000193u;
	return h ^ (h >> 15);
}

int table_room(struct table *t, size_t more)
{
	struct list_head *buckets, *old = t->buckets;
	size_t size = t->size ? t->size : 64, i;

	while (size < t->nr + more)
		size *= 2;
	if (size == t->size)
		return 0;
	buckets = calloc(size, sizeof(*buckets));
	if (!buckets)
		return t->size ? 0 : -ENOMEM;	/* a slow table is still a table */
	for (i = 0; i < size; i++)
		list_init(&buckets[i]);
	for (i = 0; i < t->size; i++)
		while (!list_empty(&old[i])) {
			struct list_head *node = old[i].next;

			list_del(node);
			list_add_tail(node, &buckets[t->hash(node) & (size - 1)]);
		}
	free(old);
	t->buckets = buckets;
	t->size = size;
	return 0;
}

void table_add(struct table *t, struct list_head *node)
{
	list_add_tail(node, table_chain(t, t->hash(node)));
	t->nr++;
}

void table_del(struct table *t, struct list_head *node)
{
	if (list_empty(node))
		return;
	list_del(node);
	t->nr--;
}

struct list_head *table_chain(const struct table *t, uint32_t hash)
{
	return t->size ? &t->buckets[hash & (t->size - 1)] : NULL;
}

static uint32_t hash_id(uint64_t id)
{
	return store_hash(0x811c9dc5u, &id, sizeof(id));
}

static uint32_t hash_tuple(const struct nsr_store_tuple *t)
{
	uint32_t h = store_hash(t->family, t->laddr, sizeof(t->laddr));

	h = store_hash(h, t->raddr, sizeof(t->raddr));
	h = store_hash(h, &t->lport, sizeof(t->lport));
	return store_hash(h, &t->rport, sizeof(t->rport));
}

static uint32_t node_hash_id(const struct list_head *node)
{
	return hash_id(list_entry(node, struct nsr_store_conn, id_node)->id);
}

static uint32_t node_hash_tuple(const struct list_head *node)
{
	return hash_tuple(&list_entry(node, struct nsr_store_conn, tuple_node)->tuple);
}

static uint32_t node_hash_key(const struct list_head *node)
{
	return list_entry(node, struct nsr_store_state, key_node)->hash;
}

/* ---- the store ---- */

struct nsr_store *nsr_store_create(const struct nsr_store_caps *caps, const struct nsr_store_ops *ops,
				   void *data)
{
	struct nsr_store *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	if (caps)
		st->caps = *caps;
	if (!st->caps.conns)
		st->caps.conns = 65536;
	if (!st->caps.waiting)
		st->caps.waiting = 4096;
	if (!st->caps.states)
		st->caps.states = 4u << 20;
	if (!st->caps.bytes)
		st->caps.bytes = 2ul << 30;
	if (!st->caps.apps)
		st->caps.apps = 64;
	if (ops)
		st->ops = *ops;
	st->data = data;
	list_init(&st->conns);
	list_init(&st->waiting);
	list_init(&st->apps);
	list_init(&st->cursors);
	st->by_id.hash = node_hash_id;
	st->by_tuple.hash = node_hash_tuple;
	st->by_key.hash = node_hash_key;
	return st;
}

static void state_free(struct nsr_store *st, struct nsr_store_state *s)
{
	struct nsr_store_cursor *cur;

	list_for_each(cur, &st->cursors, node)
		if (cur->state == s)
			cur->state = s->app_node.next == &s->app->states ? NULL :
				     list_entry(s->app_node.next, struct nsr_store_state, app_node);
	st->bytes -= store_state_size(s);
	store_digest_sub(st, s->digest);
	list_del(&s->app_node);
	list_del(&s->conn_node);
	table_del(&st->by_key, &s->key_node);
	free(s->value);
	free(s);
}

void store_conn_free(struct nsr_store_conn *c)
{
	struct nsr_store *st = c->store;
	struct nsr_store_state *s, *tmp;
	struct nsr_store_cursor *cur;

	list_for_each(cur, &st->cursors, node)
		if (cur->conn == c)
			cur->conn = c->node.next == &st->conns ? NULL :
				    list_entry(c->node.next, struct nsr_store_conn, node);
	list_for_each_safe(s, tmp, &c->states, conn_node)
		state_free(st, s);
	if (c->present)
		st->nr_conns--;
	else
		st->nr_waiting--;
	st->bytes -= sizeof(*c) + c->rec_size + c->tail_size + c->journal.size;
	store_digest_sub(st, c->digest);
	list_del(&c->node);
	table_del(&st->by_id, &c->id_node);
	table_del(&st->by_tuple, &c->tuple_node);
	free(c->rec);
	free(c->tail_buf);
	nsr_journal_free(&c->journal);
	free(c);
}

static void conn_remove(struct nsr_store_conn *c)
{
	struct nsr_store *st = c->store;

	if (c->present && st->ops.conn_removed)
		st->ops.conn_removed(st->data, c);
	store_conn_free(c);
}

static void store_empty(struct nsr_store *st, bool report)
{
	struct nsr_store_conn *c, *tc;
	struct nsr_store_app *a, *ta;
	struct nsr_store_state *s, *ts;

	list_for_each_safe(c, tc, &st->conns, node) {
		if (report)
			conn_remove(c);
		else
			store_conn_free(c);
	}
	list_for_each_safe(c, tc, &st->waiting, node)
		store_conn_free(c);
	list_for_each_safe(a, ta, &st->apps, node) {
		list_for_each_safe(s, ts, &a->states, app_node)
			state_free(st, s);
		list_del(&a->node);
		free(a);
	}
	st->nr_apps = 0;
}

static void cursors_end(struct nsr_store *st)
{
	struct nsr_store_cursor *cur, *tmp;

	list_for_each_safe(cur, tmp, &st->cursors, node)
		nsr_store_cursor_stop(cur);
}

void nsr_store_clear(struct nsr_store *st)
{
	cursors_end(st);
	store_empty(st, true);
}

void nsr_store_destroy(struct nsr_store *st)
{
	if (!st)
		return;
	cursors_end(st);
	store_empty(st, false);
	free(st->by_id.buckets);
	free(st->by_tuple.buckets);
	free(st->by_key.buckets);
	free(st);
}

/* ---- connections ---- */

struct nsr_store_conn *store_conn_get(struct nsr_store *st, uint64_t id)
{
	struct list_head *chain = table_chain(&st->by_id, hash_id(id));
	struct nsr_store_conn *c;

	if (!chain)
		return NULL;
	list_for_each(c, chain, id_node)
		if (c->id == id)
			return c;
	return NULL;
}

struct nsr_store_conn *store_conn_create(struct nsr_store *st, uint64_t id)
{
	struct nsr_store_conn *c;

	if (st->nr_waiting >= st->caps.waiting) {
		store_fail(st, 0, "%zu connections wait for their CONN_ADD already", st->nr_waiting);
		return NULL;
	}
	if (st->bytes + sizeof(*c) > st->caps.bytes) {
		store_fail(st, 0, "the store is full: %zu bytes", st->bytes);
		return NULL;
	}
	c = table_room(&st->by_id, 1) || table_room(&st->by_tuple, 1) ? NULL : calloc(1, sizeof(*c));
	if (!c) {
		store_fail(st, 0, "out of memory for a connection");
		return NULL;
	}
	c->store = st;
	c->id = id;
	c->mark = st->mark;
	c->pos_mark = st->mark;
	list_init(&c->tuple_node);
	list_init(&c->states);
	list_add_tail(&c->node, &st->waiting);
	table_add(&st->by_id, &c->id_node);
	st->nr_waiting++;
	st->bytes += sizeof(*c);
	return c;
}

struct nsr_store_conn *nsr_store_conn_find(struct nsr_store *st, uint64_t id)
{
	struct nsr_store_conn *c = store_conn_get(st, id);

	return c && c->present ? c : NULL;
}

static bool tuple_equal(const struct nsr_store_tuple *a, const struct nsr_store_tuple *b)
{
	return a->family == b->family && a->lport == b->lport && a->rport == b->rport &&
	       !memcmp(a->laddr, b->laddr, sizeof(a->laddr)) &&
	       !memcmp(a->raddr, b->raddr, sizeof(a->raddr));
}

struct nsr_store_conn *nsr_store_conn_find_tuple(struct nsr_store *st, const struct nsr_store_tuple *t)
{
	struct list_head *chain = table_chain(&st->by_tuple, hash_tuple(t));
	struct nsr_store_conn *c, *last = NULL;

	if (!chain)
		return NULL;
	list_for_each(c, chain, tuple_node)
		if (c->present && tuple_equal(&c->tuple, t))
			last = c;
	return last;
}

int nsr_store_conn_del(struct nsr_store *st, uint64_t id)
{
	struct nsr_store_conn *c = store_conn_get(st, id);

	if (!c)
		return store_fail(st, -ENOENT, "no connection %016llx", (unsigned long long)id);
	conn_remove(c);
	return 0;
}

/* ---- applications and their state ---- */

struct nsr_store_app *nsr_store_app_find(struct nsr_store *st, const char *name)
{
	struct nsr_store_app *a;

	list_for_each(a, &st->apps, node)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

struct nsr_store_app *store_app_get(struct nsr_store *st, const char *name)
{
	struct nsr_store_app *a = nsr_store_app_find(st, name);

	if (a)
		return a;
	if (st->nr_apps >= st->caps.apps) {
		store_fail(st, 0, "%zu application names already; \"%s\" is one too many", st->nr_apps,
			   name);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		store_fail(st, 0, "out of memory for application \"%s\"", name);
		return NULL;
	}
	snprintf(a->name, sizeof(a->name), "%s", name);
	list_init(&a->states);
	list_add_tail(&a->node, &st->apps);
	st->nr_apps++;
	return a;
}

uint32_t store_state_hash(const struct nsr_store_app *app, uint64_t conn_id, const void *key, size_t len)
{
	uint32_t h = store_hash(hash_id(conn_id), &app, sizeof(app));

	return store_hash(h, key, len);
}

struct nsr_store_state *store_state_find(struct nsr_store *st, struct nsr_store_app *app,
					 struct nsr_store_conn *c, const void *key, size_t len,
					 uint32_t hash)
{
	struct list_head *chain = table_chain(&st->by_key, hash);
	struct nsr_store_state *s;

	if (!chain)
		return NULL;
	list_for_each(s, chain, key_node)
		if (s->hash == hash && s->app == app && s->conn == c && s->key_len == len &&
		    !memcmp(s->key, key, len))
			return s;
	return NULL;
}

void store_state_link(struct nsr_store *st, struct nsr_store_state *s)
{
	list_add_tail(&s->app_node, &s->app->states);
	if (s->conn)
		list_add_tail(&s->conn_node, &s->conn->states);
	else
		list_init(&s->conn_node);
	table_add(&st->by_key, &s->key_node);
	st->bytes += store_state_size(s);
}

void store_state_drop(struct nsr_store *st, struct nsr_store_state *s)
{
	st->bytes -= s->value_len;
	free(s->value);
	s->value = NULL;
	s->value_len = 0;
	if (st->ops.state_changed && (!s->conn || s->conn->present))
		st->ops.state_changed(st->data, s);
	state_free(st, s);
}

/* ---- sweep ---- */

void nsr_store_sweep_begin(struct nsr_store *st)
{
	st->mark++;
}

void nsr_store_sweep_end(struct nsr_store *st)
{
	struct nsr_store_conn *c, *tc;
	struct nsr_store_app *a;
	struct nsr_store_state *s, *ts;

	list_for_each_safe(c, tc, &st->conns, node)
		if (c->mark != st->mark)
			conn_remove(c);
	list_for_each_safe(c, tc, &st->waiting, node)
		if (c->mark != st->mark)
			store_conn_free(c);
	list_for_each(a, &st->apps, node)
		list_for_each_safe(s, ts, &a->states, app_node)
			if (s->mark != st->mark)
				store_state_drop(st, s);
}

int nsr_store_app_sweep_begin(struct nsr_store *st, const char *app)
{
	struct nsr_store_app *a = store_app_get(st, app);

	if (!a)
		return -ENOSPC;
	a->sweep++;
	return 0;
}

void nsr_store_app_sweep_end(struct nsr_store *st, const char *app)
{
	struct nsr_store_app *a = nsr_store_app_find(st, app);
	struct nsr_store_state *s, *tmp;

	if (!a)
		return;
	list_for_each_safe(s, tmp, &a->states, app_node)
		if (s->app_mark != a->sweep)
			store_state_drop(st, s);
}

/* ---- looking around ---- */

size_t nsr_store_nr_conns(const struct nsr_store *st)
{
	return st->nr_conns;
}

size_t nsr_store_nr_waiting(const struct nsr_store *st)
{
	return st->nr_waiting;
}

size_t nsr_store_nr_states(const struct nsr_store *st)
{
	return st->by_key.nr;
}

size_t nsr_store_bytes(const struct nsr_store *st)
{
	return st->bytes;
}

struct list_head *nsr_store_apps(struct nsr_store *st)
{
	return &st->apps;
}

struct nsr_store_conn *nsr_store_conn_next(struct nsr_store *st, struct nsr_store_conn *c)
{
	struct list_head *next = c ? c->node.next : st->conns.next;

	return next == &st->conns ? NULL : list_entry(next, struct nsr_store_conn, node);
}

void nsr_store_cursor_start(struct nsr_store *st, struct nsr_store_cursor *cur)
{
	cur->store = st;
	cur->conn = nsr_store_conn_next(st, NULL);
	cur->app = list_first(&st->apps, struct nsr_store_app, node);
	cur->state = cur->app ? list_first(&cur->app->states, struct nsr_store_state, app_node) : NULL;
	list_add_tail(&cur->node, &st->cursors);
}

struct nsr_store_conn *nsr_store_cursor_conn(struct nsr_store_cursor *cur)
{
	struct nsr_store_conn *c = cur->conn;

	if (c)
		cur->conn = nsr_store_conn_next(cur->store, c);
	return c;
}

struct nsr_store_state *nsr_store_cursor_state(struct nsr_store_cursor *cur)
{
	struct nsr_store_state *s;

	while (!cur->state && cur->app) {
		struct list_head *next = cur->app->node.next;

		cur->app = next == &cur->store->apps ? NULL :
			   list_entry(next, struct nsr_store_app, node);
		if (cur->app)
			cur->state = list_first(&cur->app->states, struct nsr_store_state, app_node);
	}
	s = cur->state;
	if (s)
		cur->state = s->app_node.next == &s->app->states ? NULL :
			     list_entry(s->app_node.next, struct nsr_store_state, app_node);
	return s;
}

void nsr_store_cursor_stop(struct nsr_store_cursor *cur)
{
	if (!cur->store)
		return;
	list_del(&cur->node);
	memset(cur, 0, sizeof(*cur));
	list_init(&cur->node);
}
