// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions: planned first (everything is checked, and whatever can fail is done), then carried out
 * without a way to fail. So one that is refused half-way has changed nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../lib/wire.h"
#include "attr.h"
#include "store_priv.h"

#define OPS_MAX	(1u << 20)	/* in one transaction */

/** struct op - one step of a plan; its bytes still lie in the transaction */
struct op {
	struct nsr_wire_op w;
	struct nsr_store_conn *conn;	/* NULL: not bound */
	struct nsr_store_state *state;	/* PUT: made ready; NULL: goes on the former one (DATA_POS) */
};

/** struct plan - a transaction being checked */
struct plan {
	struct nsr_store *st;
	struct nsr_store_app *app;
	struct op *ops;
	size_t nr, size;
	struct nsr_store_conn **made;	/* waiting ones made for it: they go if it is refused */
	size_t nr_made;
	size_t bytes, states;		/* that it will add at most */
	struct nsr_store_state *last;	/* value that a continuing PUT adds to */
};

static int bad(struct plan *p, const char *what)
{
	return store_fail(p->st, -EBADMSG, "transaction, step %zu: %s", p->nr + 1, what);
}

static bool op_has(const struct op *op, enum nsr_app_attr attr)
{
	return op->w.has & NSR_WIRE_BIT(attr);
}

static int plan_put(struct plan *p, struct op *op)
{
	const struct nsr_wire_op *w = &op->w;
	struct nsr_store_state *s = calloc(1, sizeof(*s) + w->key_len);

	op->state = p->last = s;
	if (!s)
		return store_fail(p->st, -ENOMEM, "out of memory for a value");
	s->app = p->app;
	s->conn = op->conn;
	s->key_len = (uint8_t)w->key_len;
	memcpy(s->key, w->key, w->key_len);
	s->hash = store_state_hash(p->app, w->conn_id, w->key, w->key_len);
	s->value = malloc(w->value_len + 1);
	if (!s->value)
		return store_fail(p->st, -ENOMEM, "out of memory for a value");
	nsr_wire_op_bytes(w, NSR_APP_A_VALUE, s->value);
	s->value_len = w->value_len;
	p->states += !store_state_find(p->st, s->app, s->conn, s->key, s->key_len, s->hash);
	p->bytes += store_state_size(s);
	return 0;
}

/* A value that is too long for one attribute goes on behind its first part. */
static int plan_put_more(struct plan *p, struct op *op)
{
	const struct nsr_wire_op *w = &op->w;
	struct nsr_store_state *s = p->last;
	uint8_t *value;

	if (!s || s->conn != op->conn || s->key_len != w->key_len || memcmp(s->key, w->key, w->key_len) ||
	    w->data_pos != s->value_len)
		return bad(p, "a value goes on that did not begin just before");
	if (s->value_len + w->value_len > NSR_APP_VALUE_MAX)
		return bad(p, "a value longer than NSR_APP_VALUE_MAX");
	value = realloc(s->value, s->value_len + w->value_len + 1);
	if (!value)
		return store_fail(p->st, -ENOMEM, "out of memory for a value");
	s->value = value;
	nsr_wire_op_bytes(w, NSR_APP_A_VALUE, value + s->value_len);
	s->value_len += w->value_len;
	p->bytes += w->value_len;
	return 0;
}

/* ---- positions and tail ---- */

/*
 * Bytes from the consumed position on are the tail itself, not what it grew by: after a gap the application
 * counts its positions, and so the tail's bytes, from behind the missing ones.
 */
static bool tail_anew(const struct op *op, uint64_t consumed)
{
	return op_has(op, NSR_APP_A_RCV_CONSUMED) && op->w.rcv_consumed == consumed &&
	       op->w.data_pos == consumed;
}

/* What carry_conn() will do to the positions. */
static void plan_advance(struct nsr_store_conn *c, const struct op *op, size_t len)
{
	uint64_t end = op->w.data_pos + len;
	bool consumed = op_has(op, NSR_APP_A_RCV_CONSUMED);

	if (consumed && (!c->plan.has || c->plan.first)) {
		c->plan.has = true;
		c->plan.first = false;
		c->plan.consumed = c->plan.end = op->w.rcv_consumed;
	}
	if (consumed && op->w.rcv_consumed > c->plan.consumed) {
		c->plan.consumed = op->w.rcv_consumed;
		if (c->plan.end < op->w.rcv_consumed)
			c->plan.end = op->w.rcv_consumed;
	}
	if (c->plan.has && len && tail_anew(op, c->plan.consumed))
		c->plan.end = end;
	else if (c->plan.has && len && op->w.data_pos <= c->plan.end && end > c->plan.end)
		c->plan.end = end;
}

static void plan_touch(const struct plan *p, struct nsr_store_conn *c)
{
	if (c->plan.touched)
		return;
	c->plan.touched = true;
	/* the first word in a sweep is absolute: what stands here may be of another reign */
	c->plan.first = c->pos_mark != p->st->mark;
	c->plan.has = c->has_rcv;
	c->plan.consumed = c->rcv_consumed;
	c->plan.end = c->rcv_tail_end;
	c->plan.tail = 0;
	c->plan.has_journal = c->has_journal;
	c->plan.base = c->journal.base;
	c->plan.top = c->journal.end;
	c->plan.journal = 0;
}

static int plan_conn(struct plan *p, struct op *op)
{
	struct nsr_store_conn *c = op->conn;
	size_t len = op->w.data_len;

	if (len && !op_has(op, NSR_APP_A_DATA_POS))
		return bad(p, "DATA without DATA_POS");
	if (op->w.data_pos + len < op->w.data_pos)
		return bad(p, "DATA_POS too large");
	plan_touch(p, c);
	if (op_has(op, NSR_APP_A_RCV_CONSUMED) && c->plan.first)
		c->plan.has_journal = false;
	if (op_has(op, NSR_APP_A_SND_ACKED) && c->plan.has_journal && op->w.snd_acked > c->plan.base)
		c->plan.base = op->w.snd_acked < c->plan.top ? op->w.snd_acked : c->plan.top;
	plan_advance(c, op, len);
	if (c->plan.end - c->plan.consumed > NSR_STORE_TAIL_MAX)
		return store_fail(p->st, -EBADMSG, "connection %016llx: %llu bytes received and not "
				  "consumed, more than %u: consume them, or read less",
				  (unsigned long long)c->id,
				  (unsigned long long)(c->plan.end - c->plan.consumed), NSR_STORE_TAIL_MAX);
	if (c->plan.end - c->plan.consumed > c->plan.tail)
		c->plan.tail = c->plan.end - c->plan.consumed;
	return 0;
}

/* Room for the longest tail that the transaction's steps will make, so that carrying out cannot fail. */
static int reserve_tail(struct plan *p, struct nsr_store_conn *c)
{
	size_t len = c->has_rcv ? c->rcv_tail_end - c->rcv_consumed : 0, size;
	uint8_t *buf;

	if (c->plan.tail <= c->tail_size)
		return 0;
	size = c->plan.tail + c->plan.tail / 2;
	if (p->st->bytes + size > p->st->caps.bytes)
		return store_fail(p->st, -ENOSPC, "the store is full: %zu bytes", p->st->bytes);
	buf = malloc(size);
	if (!buf)
		return store_fail(p->st, -ENOMEM, "out of memory for %zu bytes not consumed", size);
	if (len)
		memcpy(buf, c->tail, len);
	free(c->tail_buf);
	p->st->bytes += size - c->tail_size;
	c->tail_buf = c->tail = buf;
	c->tail_size = size;
	return 0;
}

static void tail_append(struct nsr_store_conn *c, const uint8_t *data, size_t n)
{
	size_t len = c->rcv_tail_end - c->rcv_consumed;

	if ((size_t)(c->tail_buf + c->tail_size - c->tail) < len + n) {
		memmove(c->tail_buf, c->tail, len);
		c->tail = c->tail_buf;
	}
	memcpy(c->tail + len, data, n);
	c->rcv_tail_end += n;
}

static void tail_consume(struct nsr_store_conn *c, uint64_t to)
{
	if (to >= c->rcv_tail_end) {
		c->tail = c->tail_buf;
		c->rcv_tail_end = to;
	} else {
		c->tail += to - c->rcv_consumed;
	}
	c->rcv_consumed = to;
}

static void carry_data(struct nsr_store_conn *c, const struct op *op)
{
	const struct nlattr *attr;
	uint64_t pos = op->w.data_pos;

	if (tail_anew(op, c->rcv_consumed)) {
		c->tail = c->tail_buf;
		c->rcv_tail_end = c->rcv_consumed;
	}
	mnl_attr_for_each_nested(attr, op->w.attr) {
		size_t n = attr_len(attr), skip;

		if (mnl_attr_get_type(attr) != NSR_APP_A_DATA)
			continue;
		/* bytes held already, or behind a hole, are left out */
		if (pos <= c->rcv_tail_end && pos + n > c->rcv_tail_end) {
			skip = c->rcv_tail_end - pos;
			tail_append(c, (const uint8_t *)attr_data(attr) + skip, n - skip);
		}
		pos += n;
	}
}

static void carry_conn(struct plan *p, const struct op *op)
{
	struct nsr_store_conn *c = op->conn;
	bool first = c->pos_mark != p->st->mark, consumed = op_has(op, NSR_APP_A_RCV_CONSUMED);

	c->app = p->app;
	if (consumed && (!c->has_rcv || first)) {
		c->has_rcv = true;
		c->rcv_consumed = c->rcv_tail_end = op->w.rcv_consumed;
		c->tail = c->tail_buf;
	} else if (consumed && op->w.rcv_consumed > c->rcv_consumed) {
		tail_consume(c, op->w.rcv_consumed);
	}
	if (c->has_rcv && op->w.data_len)
		carry_data(c, op);
	if (op_has(op, NSR_APP_A_SND_WRITTEN) &&
	    (!c->has_snd || first || op->w.snd_written > c->snd_written)) {
		c->has_snd = true;
		c->snd_written = op->w.snd_written;
	}
	if (consumed && first)
		c->has_journal = false;
	if (op_has(op, NSR_APP_A_SND_ACKED) && c->has_journal)
		nsr_journal_trim(&c->journal, op->w.snd_acked);
	if (consumed)
		c->pos_mark = p->st->mark;
}

/* ---- journal ---- */

static bool keeps_journal(const struct nsr_store_conn *c)
{
	return !c->present || c->mode == TCP_NSR_MODE_LOSSLESS;
}

/* It joins what is held, so that no byte in between is lacking. */
static bool joins(bool has, uint64_t base, uint64_t end, uint64_t pos)
{
	return has && pos >= base && pos <= end;
}

static int plan_journal(struct plan *p, struct op *op)
{
	struct nsr_store_conn *c = op->conn;
	uint64_t end = op->w.data_pos + op->w.data_len;

	if (!c)
		return bad(p, "a journal of no connection");
	if (end < op->w.data_pos)
		return bad(p, "DATA_POS too large");
	plan_touch(p, c);
	if (!keeps_journal(c))
		return 0;
	if (!joins(c->plan.has_journal, c->plan.base, c->plan.top, op->w.data_pos))
		c->plan.base = c->plan.top = op->w.data_pos;
	c->plan.has_journal = true;
	if (end > c->plan.top)
		c->plan.top = end;
	if (c->plan.top - c->plan.base > NSR_APP_JOURNAL_MAX)
		return store_fail(p->st, -EBADMSG, "connection %016llx: %llu bytes sent and not acknowledged, "
				  "more than %u", (unsigned long long)c->id,
				  (unsigned long long)(c->plan.top - c->plan.base), NSR_APP_JOURNAL_MAX);
	if (c->plan.top - c->plan.base > c->plan.journal)
		c->plan.journal = c->plan.top - c->plan.base;
	return 0;
}

/* Likewise for the longest journal. */
static int reserve_journal(struct plan *p, struct nsr_store_conn *c)
{
	size_t size = c->journal.size;

	if (c->plan.journal <= size)
		return 0;
	if (p->st->bytes + 2 * c->plan.journal > p->st->caps.bytes)
		return store_fail(p->st, -ENOSPC, "the store is full: %zu bytes", p->st->bytes);
	if (nsr_journal_reserve(&c->journal, c->plan.journal))
		return store_fail(p->st, -ENOMEM, "out of memory for %zu bytes sent", c->plan.journal);
	p->st->bytes += c->journal.size - size;
	return 0;
}

static void carry_journal(const struct op *op)
{
	struct nsr_store_conn *c = op->conn;
	struct journal *j = &c->journal;
	uint64_t pos = op->w.data_pos;
	const struct nlattr *attr;

	if (!keeps_journal(c))
		return;
	if (!joins(c->has_journal, j->base, j->end, pos))
		nsr_journal_init(j, pos);
	c->has_journal = true;
	mnl_attr_for_each_nested(attr, op->w.attr) {
		size_t n = attr_len(attr), skip;

		if (mnl_attr_get_type(attr) != NSR_APP_A_DATA)
			continue;
		if (pos + n > j->end) {
			skip = j->end - pos;
			nsr_journal_append(j, (const uint8_t *)attr_data(attr) + skip, n - skip);
		}
		pos += n;
	}
}

/* ---- the whole ---- */

static int plan_bind(struct plan *p, struct op *op)
{
	struct nsr_store_conn *c, **made;

	if (op_has(op, NSR_APP_A_HANDLE))
		return bad(p, "a connection named by handle, not by id");
	if (!op_has(op, NSR_APP_A_CONN_ID))
		return 0;
	if (!op->w.conn_id)
		return bad(p, "CONN_ID 0");
	c = store_conn_get(p->st, op->w.conn_id);
	if (!c) {
		made = realloc(p->made, (p->nr_made + 1) * sizeof(*made));
		if (!made)
			return store_fail(p->st, -ENOMEM, "out of memory for a transaction");
		p->made = made;
		c = store_conn_create(p->st, op->w.conn_id);
		if (!c)
			return -ENOSPC;
		p->made[p->nr_made++] = c;
	}
	op->conn = c;
	return 0;
}

static int plan_op(struct plan *p, const struct nlattr *attr)
{
	struct op *op = &p->ops[p->nr];
	const char *why;
	int err;

	memset(op, 0, sizeof(*op));
	if (nsr_wire_op_decode(attr, &op->w, &why))
		return bad(p, why);
	err = plan_bind(p, op);
	if (err)
		return err;
	if (op->w.kind == NSR_APP_OP_PUT)
		return op->w.data_pos ? plan_put_more(p, op) : plan_put(p, op);
	p->last = NULL;
	if (op->w.kind == NSR_APP_OP_CONN)
		return plan_conn(p, op);
	return op->w.kind == NSR_APP_OP_JOURNAL ? plan_journal(p, op) : 0;
}

static int plan_room(struct plan *p)
{
	size_t size = p->size ? p->size * 2 : 16;
	struct op *ops;

	if (p->nr < p->size)
		return 0;
	if (size > OPS_MAX)
		return bad(p, "too many steps");
	ops = realloc(p->ops, size * sizeof(*ops));
	if (!ops)
		return store_fail(p->st, -ENOMEM, "out of memory for a transaction");
	p->ops = ops;
	p->size = size;
	return 0;
}

static int plan_all(struct plan *p, const void *ops, size_t len)
{
	struct nsr_store *st = p->st;
	const struct nlattr *attr;
	size_t i;
	int err;

	mnl_attr_for_each_payload(ops, len) {
		if (mnl_attr_get_type(attr) != NSR_APP_A_OP)
			continue;
		err = plan_room(p);
		if (err)
			return err;
		err = plan_op(p, attr);
		p->nr++;
		if (err)
			return err;
	}
	if (p->states && st->by_key.nr + p->states > st->caps.states)
		return store_fail(st, -ENOSPC, "%zu keys already, and %zu more", st->by_key.nr,
				  p->states);
	if (p->bytes && st->bytes + p->bytes > st->caps.bytes)
		return store_fail(st, -ENOSPC, "the store is full: %zu bytes, and %zu more", st->bytes,
				  p->bytes);
	/* at once: a chain that grows with the transaction makes it cost the square of its length */
	if (p->states && table_room(&st->by_key, p->states))
		return store_fail(st, -ENOMEM, "out of memory for %zu keys", p->states);
	for (i = 0; i < p->nr; i++) {
		struct nsr_store_conn *c = p->ops[i].conn;

		if (!c || !c->plan.touched)
			continue;
		err = reserve_tail(p, c);
		if (!err)
			err = reserve_journal(p, c);
		if (err)
			return err;
	}
	return 0;
}

static void carry_put(struct plan *p, struct op *op)
{
	struct nsr_store *st = p->st;
	struct nsr_store_state *s = op->state, *old;
	bool same;

	if (!s)
		return;
	op->state = NULL;
	old = store_state_find(st, s->app, s->conn, s->key, s->key_len, s->hash);
	if (!old) {
		store_state_link(st, s);
		old = s;
		same = false;
	} else {
		same = old->value_len == s->value_len && !memcmp(old->value, s->value, s->value_len);
		st->bytes += s->value_len;
		st->bytes -= old->value_len;
		free(old->value);
		old->value = s->value;
		old->value_len = s->value_len;
		free(s);
	}
	old->mark = st->mark;
	old->app_mark = old->app->sweep;
	if (same)
		return;
	store_state_digest(st, old);
	if (st->ops.state_changed && (!old->conn || old->conn->present))
		st->ops.state_changed(st->data, old);
}

static void carry_del(struct plan *p, const struct op *op)
{
	uint32_t hash = store_state_hash(p->app, op->w.conn_id, op->w.key, op->w.key_len);
	struct nsr_store_state *s = store_state_find(p->st, p->app, op->conn, op->w.key, op->w.key_len,
							     hash);

	if (s)
		store_state_drop(p->st, s);
}

static void carry_out(struct plan *p)
{
	struct nsr_store *st = p->st;
	size_t i;

	for (i = 0; i < p->nr; i++) {
		struct op *op = &p->ops[i];

		if (op->conn && !op->conn->present)
			op->conn->mark = st->mark;
		if (op->w.kind == NSR_APP_OP_CONN)
			carry_conn(p, op);
		else if (op->w.kind == NSR_APP_OP_PUT)
			carry_put(p, op);
		else if (op->w.kind == NSR_APP_OP_DEL)
			carry_del(p, op);
		else if (op->w.kind == NSR_APP_OP_JOURNAL)
			carry_journal(op);
	}
	for (i = 0; i < p->nr; i++) {
		struct nsr_store_conn *c = p->ops[i].conn;

		if (!c || !c->plan.touched)
			continue;
		c->plan.touched = false;
		store_journal_rest(c);
		store_conn_digest(c);
		if (c->present && st->ops.conn_changed)
			st->ops.conn_changed(st->data, c);
	}
}

int nsr_store_txn(struct nsr_store *st, const char *app, const void *ops, size_t len)
{
	struct plan p = { .st = st };
	size_t i;
	int err;

	if (!attr_seq_ok(ops, len))
		return store_fail(st, -EBADMSG, "transaction: attributes do not fill it");
	if (!nsr_wire_name_ok(app))
		return store_fail(st, -EBADMSG, "transaction: not an application's name");
	p.app = store_app_get(st, app);
	if (!p.app)
		return -ENOSPC;
	err = plan_all(&p, ops, len);
	if (!err)
		carry_out(&p);
	for (i = 0; err && i < p.nr; i++) {
		if (p.ops[i].conn)
			p.ops[i].conn->plan.touched = false;
		if (p.ops[i].state) {
			free(p.ops[i].state->value);
			free(p.ops[i].state);
		}
	}
	for (i = 0; err && i < p.nr_made; i++)
		store_conn_free(p.made[i]);
	free(p.made);
	free(p.ops);
	return err;
}
