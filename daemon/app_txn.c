// SPDX-License-Identifier: GPL-2.0-only
/* Transactions of an active application, joined, handles resolved; state, told to a standby one. */
#include <errno.h>
#include <string.h>
#include "app_priv.h"
#include "test_rules.h"

#define DUMP_STEP	512	/* states looked at in one step */

/* ---- in ---- */

void app_txn_discard(struct app_client *cl)
{
	attr_buf_free(&cl->ops);
	cl->txn = 0;
	cl->blocked = false;
}

static void send_ack(struct app_client *cl, uint64_t txn)
{
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_TXN_ACK);

	nsr_wire_put_u64(&b, NSR_APP_A_TXN, txn);
	app_send(cl, &b, -1);
}

void app_txn_acked(struct group *g, const char *app, uint64_t txn)
{
	struct app_group *ag = app_group_get(app_server_of(g), g);
	struct app_client *cl = ag ? app_client_find(ag, app) : NULL;

	if (cl && txn)			/* 0: nsrd's own */
		send_ack(cl, txn);
}

/* An OP with the connection's id in place of the application's handle. */
static void put_renamed(struct attr_buf *out, const struct nlattr *op, uint64_t id)
{
	size_t nest = attr_nest_start(out, NSR_APP_A_OP);
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, op)
		if (mnl_attr_get_type(attr) != NSR_APP_A_HANDLE)
			attr_put(out, mnl_attr_get_type(attr), attr_data(attr), attr_len(attr));
	attr_put_u64(out, NSR_APP_A_CONN_ID, id);
	attr_nest_end(out, nest);
}

static bool may_touch(const struct app_client *cl, uint64_t id)
{
	const struct nsr_store_conn *c = nsr_store_conn_find(cl->ag->g->store, id);

	/* gone by now: so is what the OP says of it */
	return c && (!c->app || !strcmp(c->app->name, cl->name));
}

/* 0; -EAGAIN: names a connection that is not known yet; -EPROTO: malformed, *why. */
static int put_op(struct app_client *cl, struct attr_buf *out, const struct nlattr *attr,
		  const char **why)
{
	struct app_handle *h = NULL;
	struct nsr_wire_op op;

	if (nsr_wire_op_decode(attr, &op, why))
		return -EPROTO;
	if (op.conn_id || !op.handle) {
		if (!op.conn_id || may_touch(cl, op.conn_id))
			attr_put(out, NSR_APP_A_OP | NLA_F_NESTED, attr_data(attr), attr_len(attr));
		return 0;
	}
	h = app_handle_find(cl, op.handle);
	if (h && h->pending)
		return -EAGAIN;
	if (h && h->conn_id && may_touch(cl, h->conn_id))
		put_renamed(out, attr, h->conn_id);
	return 0;
}

static int resolve_ops(struct app_client *cl, struct attr_buf *out, const char **why)
{
	const struct nlattr *attr;
	int err;

	mnl_attr_for_each_payload((const void *)cl->ops.data, cl->ops.len) {
		err = put_op(cl, out, attr, why);
		if (err)
			return err;
	}
	*why = "out of memory";
	return out->failed ? -ENOMEM : 0;
}

/*
 * What there is if "transaction-whole" is switched off: state follows in a transaction behind that of the positions,
 * and the standby may have the one without the other.
 */
static int ship(struct app_client *cl, uint64_t txn, const struct attr_buf *ops)
{
	static char one[NSR_APP_NAME_MAX + 1];	/* application, of those that there may be */
	static struct attr_buf late;
	struct attr_buf now = { 0 };
	const struct nlattr *attr;
	struct nsr_wire_op op;
	const char *why;
	int err = 0;

	if (!*one)
		strcpy(one, cl->name);
	if (!test_rule_is_off("transaction-whole") || strcmp(one, cl->name))
		return sync_txn(cl->ag->g, cl->name, txn, ops->data, ops->len);
	if (late.len)
		err = sync_txn(cl->ag->g, cl->name, txn, late.data, late.len);
	attr_buf_free(&late);
	mnl_attr_for_each_payload((const void *)ops->data, ops->len)
		attr_put(!nsr_wire_op_decode(attr, &op, &why) && op.kind == NSR_APP_OP_PUT ? &late : &now,
			 NSR_APP_A_OP | NLA_F_NESTED, attr_data(attr), attr_len(attr));
	if (!err)
		err = sync_txn(cl->ag->g, cl->name, txn, now.data, now.len);
	attr_buf_free(&now);
	return err;
}

static void finish(struct app_client *cl)
{
	struct attr_buf out = { 0 };
	uint64_t txn = cl->txn;
	const char *why = "";
	int err = resolve_ops(cl, &out, &why);

	if (err == -EAGAIN) {
		/* Its order with what comes behind must not change: wait for the kernel's event, or for
		 * the attach to time out. */
		app_client_read(cl, false);
	} else if (err) {
		app_client_refuse(cl, err, "transaction %llu: %s", (unsigned long long)txn, why);
	} else {
		app_txn_discard(cl);
		err = ship(cl, txn, &out);
		if (err)
			app_client_refuse(cl, err, "transaction %llu: %s", (unsigned long long)txn,
					  nsr_store_error(cl->ag->g->store));
	}
	attr_buf_free(&out);
}

void app_txn_retry(struct app_client *cl)
{
	if (!cl->blocked || cl->dying)
		return;
	app_client_read(cl, true);
	finish(cl);
}

void app_txn(struct app_client *cl, const struct nsr_wire *w)
{
	uint64_t txn = nsr_wire_u64(w, NSR_APP_A_TXN);
	bool last = nsr_wire_has(w, NSR_APP_A_LAST);
	const struct nlattr *attr;

	if (!txn) {
		app_client_refuse(cl, -EPROTO, "a transaction without a number");
		return;
	}
	if (!app_is_active(cl->ag)) {
		/* it crossed a change of role */
		app_txn_discard(cl);
		if (last)
			send_ack(cl, txn);
		return;
	}
	if (txn != cl->txn)
		app_txn_discard(cl);	/* the former one was given up in the middle */
	cl->txn = txn;
	nsr_wire_for_each(attr, w)
		if (mnl_attr_get_type(attr) == NSR_APP_A_OP)
			attr_put(&cl->ops, NSR_APP_A_OP | NLA_F_NESTED, attr_data(attr),
				 attr_len(attr));
	if (cl->ops.failed || cl->ops.len > NSR_APP_TXN_MAX)
		app_client_refuse(cl, -EPROTO, "transaction %llu is longer than %u bytes: commit more "
				  "often", (unsigned long long)txn, NSR_APP_TXN_MAX);
	else if (last)
		finish(cl);
}

/* ---- out ---- */

static size_t state_room(const struct nsr_store_state *s)
{
	return s->value_len + (s->value_len / NSR_APP_CHUNK_MAX + 1) * (s->key_len + 64u);
}

static void put_state(struct nsr_wire_buf *b, const struct nsr_store_state *s)
{
	uint64_t id = s->conn ? s->conn->id : 0;
	size_t at = 0;

	do {
		size_t left = s->value_len - at, n = left < NSR_APP_CHUNK_MAX ? left : NSR_APP_CHUNK_MAX;

		nsr_wire_op_begin(b, s->value ? NSR_APP_OP_PUT : NSR_APP_OP_DEL, id, 0);
		nsr_wire_put_bytes(b, NSR_APP_A_KEY, s->key, s->key_len);
		if (at)
			nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, at);
		if (s->value)
			nsr_wire_put_bytes(b, NSR_APP_A_VALUE, s->value + at, n);
		nsr_wire_op_end(b);
		at += n;
	} while (at < s->value_len);
}

/* Bound to a connection that it has been told of, or to none. */
static bool is_due(const struct app_client *cl, const struct nsr_store_state *s)
{
	const struct app_conn *ac = s->conn ? s->conn->app_priv : NULL;

	return !s->conn || (ac && ac->state == CONN_TOLD && ac->client == cl);
}

static void send_state(struct app_client *cl, const struct nsr_store_state *s)
{
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_TXN);

	put_state(&b, s);
	app_send(cl, &b, -1);
}

void app_state_changed(struct group *g, struct nsr_store_state *s)
{
	struct app_group *ag = app_group_get(app_server_of(g), g);
	struct app_client *cl = ag ? app_client_find(ag, s->app->name) : NULL;

	/* before the first walk nothing is told, so that SYNCED comes behind everything */
	if (!cl || cl->dump == DUMP_NONE || !is_due(cl, s))
		return;
	if (cl->queued > APP_QUEUE_MAX / 2) {
		/* it does not keep up: from the start, at its own pace */
		nsr_store_cursor_stop(&cl->cursor);
		nsr_store_cursor_start(g->store, &cl->cursor);
		cl->dump = DUMP_RUNNING;
		return;
	}
	send_state(cl, s);
}

void app_send_conn_states(struct app_client *cl, struct nsr_store_conn *c)
{
	struct nsr_store_state *s;

	list_for_each(s, &c->states, conn_node)
		if (!strcmp(s->app->name, cl->name))
			send_state(cl, s);
}

bool app_dump_step(struct app_client *cl)
{
	struct nsr_store_app *app = nsr_store_app_find(cl->ag->g->store, cl->name);
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_TXN);
	struct nsr_store_state *s = NULL;
	int budget = DUMP_STEP;
	bool any = false;

	while (budget-- && (s = nsr_store_cursor_state(&cl->cursor))) {
		if (s->app != app || !is_due(cl, s))
			continue;
		if (any && b.nlh->nlmsg_len + state_room(s) > NSR_APP_MSG_MAX / 2) {
			app_send(cl, &b, -1);
			b = app_begin(cl, NSR_APP_TXN);
		}
		put_state(&b, s);
		any = true;
	}
	if (any)
		app_send(cl, &b, -1);
	if (s)
		return true;
	nsr_store_cursor_stop(&cl->cursor);
	cl->dump = DUMP_DONE;
	return false;
}
