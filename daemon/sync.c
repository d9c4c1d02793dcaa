// SPDX-License-Identifier: GPL-2.0-only
/* What one group says to the peer, and what the link says to the groups. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gate.h"
#include "heartbeat.h"
#include "sync.h"

struct link *sync_link(const struct sync_group *s)
{
	return s->joined ? s->g->nsrd->link : NULL;
}

void sync_begin(struct attr_buf *b, const struct group *g)
{
	attr_put_u32(b, TCP_NSR_A_GROUP_ID, g->cfg->id);
}

uint64_t sync_send(struct sync_group *s, uint16_t type, struct attr_buf *b)
{
	struct link *l = sync_link(s);
	uint64_t seq = 0;

	if (b->failed)
		link_reset(l, "out of memory for a record");
	else if (l)
		seq = link_send(l, type, b->data, b->len);
	attr_buf_free(b);
	return seq;
}

/* ---- the store's reports ---- */

static void store_conn_added(void *data, struct nsr_store_conn *c)
{
	struct sync_group *s = data;

	if (s->remote)
		group_conn_added(s->g, c);
	else
		gate_changed(s->g, c);
}

static void store_conn_changed(void *data, struct nsr_store_conn *c)
{
	struct sync_group *s = data;

	if (!s->remote) {
		gate_changed(s->g, c);
		return;
	}
	group_conn_changed(s->g, c);
	app_conn_known(s->g, c);
}

static void store_conn_removed(void *data, struct nsr_store_conn *c)
{
	struct sync_group *s = data;

	group_conn_removed(s->g, c);
	app_conn_forget(s->g, c);
	gate_forget(c);
}

/* An application's snapshot did not name it: gone at the peer too. */
static void collect_deleted(struct sync_group *s, const struct nsr_store_state *st)
{
	size_t nest = attr_nest_start(s->collect, NSR_APP_A_OP);

	attr_put_u8(s->collect, NSR_APP_A_OP_KIND, NSR_APP_OP_DEL);
	if (st->conn)
		attr_put_u64(s->collect, NSR_APP_A_CONN_ID, st->conn->id);
	attr_put(s->collect, NSR_APP_A_KEY, st->key, st->key_len);
	attr_nest_end(s->collect, nest);
	if (s->collect->len < SYNC_FRAME_FILL)
		return;
	sync_send_txn(s, s->collect_app, 0, s->collect->data, s->collect->len);
	s->collect->len = 0;
}

static void store_state_changed(void *data, struct nsr_store_state *st)
{
	struct sync_group *s = data;

	if (s->remote)
		app_state_changed(s->g, st);
	else if (s->collect && !st->value && s->live)
		collect_deleted(s, st);
}

static const struct nsr_store_ops store_ops = {
	.conn_added = store_conn_added,
	.conn_changed = store_conn_changed,
	.conn_removed = store_conn_removed,
	.state_changed = store_state_changed,
};

/* ---- life ---- */

struct sync_group *sync_group_create(struct group *g)
{
	struct sync_group *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->g = g;
	list_init(&s->acks);
	ev_timer_init(&s->pump, sync_pump, 0., 0.);
	s->pump.data = s;
	g->store = nsr_store_create(NULL, &store_ops, s);
	g->gates = gate_group_create(g);
	if (!g->store || !g->gates) {
		nsr_store_destroy(g->store);
		gate_group_destroy(g->gates);
		g->store = NULL;
		g->gates = NULL;
		free(s);
		return NULL;
	}
	g->sync = s;
	/* added while the link is up: the peer's HELLO has told whether it has the group too */
	s->joined = link_has_group(g->nsrd->link, g->cfg->id);
	return s;
}

static void acks_release(struct sync_group *s, uint64_t upto)
{
	struct sync_ack *a;

	while ((a = list_first(&s->acks, struct sync_ack, node)) && a->seq <= upto) {
		list_del(&a->node);
		app_txn_acked(s->g, a->app, a->txn);
		free(a);
	}
}

void sync_stop(struct sync_group *s)
{
	bool ended = s->step == SYNC_ENDED;
	struct sync_ack *a;

	s->live = false;
	s->step = SYNC_NONE;
	s->handover_seq = 0;
	nsr_store_cursor_stop(&s->cursor);
	ev_timer_stop(s->g->nsrd->loop, &s->pump);
	gate_stopped(s->g);
	/*
	 * Whoever had a part of these may take over as long as the gates are closed: they wait until the gates
	 * open, or until the next snapshot has them.
	 */
	list_for_each(a, &s->acks, node)
		a->seq = UINT64_MAX;
	if (!gate_group_closed(s->g))
		acks_release(s, UINT64_MAX);
	if (ended)
		app_conn_status(s->g, 0);
}

void sync_group_destroy(struct sync_group *s)
{
	struct sync_ack *a, *tmp;

	if (!s)
		return;
	list_for_each_safe(a, tmp, &s->acks, node) {
		list_del(&a->node);
		free(a);
	}
	s->step = SYNC_NONE;		/* nsrd ends: nobody is told */
	sync_stop(s);
	sync_in_reset(s);
	gate_group_destroy(s->g->gates);
	s->g->gates = NULL;
	nsr_store_destroy(s->g->store);
	s->g->store = NULL;
	s->g->sync = NULL;
	free(s);
}

/* ---- active ---- */

static uint64_t send_conn(struct sync_group *s, uint16_t type, const struct nlattr *conn)
{
	struct attr_buf b = { 0 };

	sync_begin(&b, s->g);
	attr_put(&b, TCP_NSR_A_CONN | NLA_F_NESTED, attr_data(conn), attr_len(conn));
	return sync_send(s, type, &b);
}

static uint64_t conn_id(const struct nlattr *conn)
{
	const struct nlattr *attr;
	uint64_t id = 0;

	mnl_attr_for_each_nested(attr, conn)
		if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_ID)
			attr_u64(attr, &id);
	return id;
}

void sync_conn_event(struct group *g, uint8_t cmd, const struct nlattr *conn)
{
	struct sync_group *s = g->sync;
	struct nsr_store_conn *fresh = NULL;
	const struct nlattr *told = conn;
	struct attr_buf amended = { 0 };
	uint64_t seq = 0;
	uint16_t type;
	int err;

	if (cmd != TCP_NSR_CMD_CONN_DEL_NTF && gate_amend(g, conn, &amended))
		conn = (const struct nlattr *)amended.data;
	if (cmd == TCP_NSR_CMD_CONN_DEL_NTF) {
		type = NSR_FRAME_CONN_DEL;
		err = nsr_store_conn_del(g->store, conn_id(conn));
		if (err == -ENOENT)
			return;
	} else {
		bool known = nsr_store_conn_find(g->store, conn_id(conn));
		bool add = cmd == TCP_NSR_CMD_CONN_ADD_NTF;

		/* cursors of a connection that has ended: the kernel's last word crossed ours */
		if (!add && !known) {
			attr_buf_free(&amended);
			return;
		}
		type = add ? NSR_FRAME_CONN_ADD : NSR_FRAME_CONN_CHANGE;
		err = nsr_store_conn_upsert(g->store, attr_data(conn), attr_len(conn), add,
					    known ? NULL : &fresh);
	}
	if (err && !s->refusing)
		log_warn("group %s: connections are not replicated: %s", g->cfg->name,
			 nsr_store_error(g->store));
	s->refusing = err;
	if (amended.len && !err)
		gate_told(g, told);
	if (!err && s->live)
		seq = send_conn(s, type, conn);
	gate_sent(g, s->step == SYNC_ENDED ? seq : 0);
	/* the snapshot may have waited for the application of this one, and of no other */
	if (cmd == TCP_NSR_CMD_CONN_DEL_NTF && s->step == SYNC_APPS)
		sync_pump_soon(s);
	attr_buf_free(&amended);
	if (fresh)
		app_conn_known(g, fresh);
}

static uint64_t send_txn_piece(struct sync_group *s, const char *app, uint64_t txn, const uint8_t *ops,
			       size_t len, bool last)
{
	struct attr_buf b = { 0 };

	attr_put_u32(&b, NSR_APP_A_GROUP_ID, s->g->cfg->id);
	attr_put_str(&b, NSR_APP_A_APP, app);
	attr_put_u64(&b, NSR_APP_A_TXN, txn);
	attr_buf_append(&b, ops, len);
	if (last)
		attr_put(&b, NSR_APP_A_LAST, NULL, 0);
	return sync_send(s, NSR_FRAME_TXN, &b);
}

uint64_t sync_send_txn(struct sync_group *s, const char *app, uint64_t txn, const void *ops, size_t len)
{
	const uint8_t *from = ops, *end = from + len, *at = from;
	uint64_t seq;

	while ((size_t)(end - at) >= MNL_ATTR_HDRLEN) {
		size_t step = MNL_ALIGN((size_t)((const struct nlattr *)(const void *)at)->nla_len);

		at = step < (size_t)(end - at) ? at + step : end;
		if (at - from < SYNC_FRAME_FILL || at == end)
			continue;
		if (!send_txn_piece(s, app, txn, from, (size_t)(at - from), false))
			return 0;
		from = at;
	}
	seq = send_txn_piece(s, app, txn, from, (size_t)(end - from), true);
	return seq;
}

static void ack_later(struct sync_group *s, const char *app, uint64_t txn, uint64_t seq)
{
	struct sync_ack *a = calloc(1, sizeof(*a));

	if (!a) {
		/* never acknowledged: the application's later ones stand for it */
		log_warn("group %s: out of memory: transaction %llu is acknowledged late", s->g->cfg->name,
			 (unsigned long long)txn);
		return;
	}
	a->seq = seq;
	a->txn = txn;
	strncpy(a->app, app, sizeof(a->app) - 1);
	list_add_tail(&a->node, &s->acks);
}

int sync_txn(struct group *g, const char *app, uint64_t txn, const void *ops, size_t len)
{
	struct sync_group *s = g->sync;
	uint64_t seq = 0;
	int err = nsr_store_txn(g->store, app, ops, len);

	if (err)
		return err;
	if (s->live)
		seq = sync_send_txn(s, app, txn, ops, len);
	gate_sent(g, s->step == SYNC_ENDED ? seq : 0);
	if (!gate_group_closed(g))
		app_txn_acked(g, app, txn);
	else if (seq && s->step == SYNC_ENDED)
		ack_later(s, app, txn, seq);
	else
		ack_later(s, app, txn, UINT64_MAX);
	return 0;
}

void sync_app_gone(struct group *g, const char *app)
{
	struct sync_ack *a, *tmp;

	/* who attaches under its name next counts its transactions anew */
	list_for_each_safe(a, tmp, &g->sync->acks, node)
		if (!strcmp(a->app, app)) {
			list_del(&a->node);
			free(a);
		}
}

/*
 * ORDER: before anything else of the application's goes to the peer. What the standby holds of it is of one
 * moment, and stays so: it hears nothing more, and then that it is out of step.
 */
void sync_app_behind(struct group *g, const char *app)
{
	struct sync_group *s = g->sync;
	enum sync_step step = s->step;
	char why[NSR_APP_NAME_MAX + 80];

	/* not yet: this snapshot waits for the application's own */
	if (step != SYNC_SENT && step != SYNC_ENDED)
		return;
	snprintf(why, sizeof(why), "application %s was away, and is to say anew what it has", app);
	sync_stop(s);
	if (step == SYNC_SENT)
		link_reset(sync_link(s), why);	/* the standby has asked already: it will again */
	else
		group_data_lost(g, why);
}

int sync_app_snapshot_begin(struct group *g, const char *app)
{
	return nsr_store_app_sweep_begin(g->store, app);
}

void sync_app_snapshot_end(struct group *g, const char *app)
{
	struct sync_group *s = g->sync;
	struct attr_buf b = { 0 };

	s->collect = &b;
	s->collect_app = app;
	nsr_store_app_sweep_end(g->store, app);
	s->collect = NULL;
	if (b.failed)
		link_reset(sync_link(s), "out of memory for a transaction");
	else if (b.len)
		sync_send_txn(s, app, 0, b.data, b.len);
	attr_buf_free(&b);
}

static bool handover_store(struct group *g, const struct nlattr *conn)
{
	if (!nsr_store_conn_find(g->store, conn_id(conn)))
		return false;		/* ended meanwhile */
	return !nsr_store_conn_upsert(g->store, attr_data(conn), attr_len(conn), false, NULL);
}

void sync_handover(struct group *g, const void *conns, size_t len)
{
	struct sync_group *s = g->sync;
	struct attr_buf b = { 0 };
	const struct nlattr *attr;

	sync_begin(&b, g);
	mnl_attr_for_each_payload(conns, len) {
		if (mnl_attr_get_type(attr) != TCP_NSR_A_CONN || !handover_store(g, attr))
			continue;
		attr_put(&b, TCP_NSR_A_CONN | NLA_F_NESTED, attr_data(attr), attr_len(attr));
		if (b.len < SYNC_FRAME_FILL)
			continue;
		sync_send(s, NSR_FRAME_HANDOVER, &b);
		sync_begin(&b, g);
	}
	attr_put(&b, NSR_SYNC_A_LAST, NULL, 0);
	s->handover_seq = sync_send(s, NSR_FRAME_HANDOVER, &b);
}

void sync_stop_snapshot(struct group *g)
{
	sync_stop(g->sync);
}

void sync_gates_opened(struct group *g)
{
	acks_release(g->sync, UINT64_MAX);
}

/* What waited for a standby is in the snapshot. */
void sync_acks_ended(struct sync_group *s, uint64_t seq)
{
	struct sync_ack *a;

	list_for_each(a, &s->acks, node)
		if (a->seq == UINT64_MAX)
			a->seq = seq;
}

/* ---- standby ---- */

void sync_ask_snapshot(struct group *g, uint32_t ask)
{
	struct sync_group *s = g->sync;
	struct attr_buf b = { 0 };

	s->ask_in = ask;
	s->receiving = false;
	s->whole = false;
	sync_begin(&b, g);
	attr_put_u32(&b, NSR_SYNC_A_ASK, ask);
	sync_send(s, NSR_FRAME_SNAPSHOT_ASK, &b);
}

void sync_drop_data(struct group *g)
{
	sync_in_reset(g->sync);
	g->sync->whole = false;
	acks_release(g->sync, UINT64_MAX);
	gate_reign_over(g);
	nsr_store_clear(g->store);
}

/* ---- either ---- */

void sync_send_heartbeat(struct group *g, const struct nsr_heartbeat *hb)
{
	struct attr_buf b = { 0 };

	nsr_heartbeat_encode(&b, hb, group_mac(g));
	sync_send(g->sync, NSR_FRAME_HEARTBEAT, &b);
}

static bool is_active(const struct group *g)
{
	return g->role.state == ROLE_ACTIVE || g->role.state == ROLE_LEAVE;
}

bool sync_has_snapshot(const struct group *g)
{
	return is_active(g) || g->sync->whole;
}

bool sync_in_step(const struct group *g)
{
	const struct sync_group *s = g->sync;

	if (!s || !s->joined)
		return false;
	return is_active(g) ? s->step == SYNC_ENDED : s->receiving && s->whole;
}

uint64_t sync_lag_records(const struct group *g)
{
	struct link *l = g->sync && g->sync->live ? sync_link(g->sync) : NULL;

	return l ? link_sent(l) - link_acked(l) : 0;
}

/* ---- the link's reports ---- */

void sync_link_up(struct nsrd *n)
{
	struct group *g;

	list_for_each(g, &n->groups, node) {
		g->sync->joined = link_has_group(n->link, g->cfg->id);
		if (g->sync->joined)
			group_link_up(g);
		else
			log_warn("group %s: the peer does not have it: nothing is replicated",
				 g->cfg->name);
	}
}

void sync_link_down(struct nsrd *n, const char *why)
{
	struct group *g;

	list_for_each(g, &n->groups, node) {
		struct sync_group *s = g->sync;

		if (!s->joined)
			continue;
		s->joined = false;
		sync_stop(s);
		sync_in_reset(s);
		group_link_down(g, why);
	}
}

void sync_link_acked(struct nsrd *n, uint64_t seq)
{
	struct group *g;

	list_for_each(g, &n->groups, node) {
		struct sync_group *s = g->sync;

		/* ORDER: the ACKs of what is held before the answers to it: one segment for both */
		gate_acked(g, seq);
		gate_flush(g);
		acks_release(s, seq);
		if (s->handover_seq && s->handover_seq <= seq) {
			s->handover_seq = 0;
			group_handover_acked(g);
		}
	}
}

void sync_link_writable(struct nsrd *n)
{
	struct group *g;

	list_for_each(g, &n->groups, node)
		if (g->sync->step == SYNC_CONNS || g->sync->step == SYNC_STATES)
			sync_pump_soon(g->sync);
}

static int take_heartbeat(struct group *g, const struct nsr_frame *f, const char **why)
{
	struct nsr_heartbeat hb;
	uint8_t mac[6];
	bool has_mac;

	if (nsr_heartbeat_decode(f->attrs, f->len, &hb, mac, &has_mac, why))
		return -EBADMSG;
	if (has_mac)
		group_peer_mac(g, mac);
	group_heartbeat(g, &hb);
	return 0;
}

int sync_link_frame(struct nsrd *n, const struct nsr_frame *f, const char **why)
{
	uint16_t type = f->type == NSR_FRAME_TXN ? NSR_APP_A_GROUP_ID : TCP_NSR_A_GROUP_ID;
	const struct nlattr *attr;
	struct group *g;
	uint32_t id = 0;

	mnl_attr_for_each_payload(f->attrs, f->len)
		if (mnl_attr_get_type(attr) == type)
			attr_u32(attr, &id);
	g = nsrd_group_find(n, id);
	if (!g || !g->sync->joined) {
		*why = "for a group that the boxes do not have in common";
		return -EPROTO;
	}
	if (f->type == NSR_FRAME_HEARTBEAT)
		return take_heartbeat(g, f, why);
	return sync_in_frame(g->sync, f, why);
}
