// SPDX-License-Identifier: GPL-2.0-only
/* Connections and applications: shadows are offered, own sockets attached; then both are the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "app_priv.h"
#include "gate.h"

static void settle(struct app_conn *ac, enum app_conn_state state, struct app_client *cl)
{
	list_del(&ac->node);
	list_del(&ac->resumed_node);
	ac->state = state;
	ac->client = cl;
	list_add_tail(&ac->node, state == CONN_ORPHAN ? &ac->ag->orphans :
		      state == CONN_TODO ? &cl->todo : &cl->conns);
}

static struct app_conn *conn_get(struct app_group *ag, struct nsr_store_conn *c)
{
	struct app_conn *ac = c->app_priv;

	if (ac)
		return ac;
	ac = calloc(1, sizeof(*ac));
	if (!ac)
		return NULL;
	ac->ag = ag;
	ac->c = c;
	ac->fd = -1;
	list_init(&ac->node);
	list_init(&ac->resumed_node);
	settle(ac, CONN_ORPHAN, NULL);
	c->app_priv = ac;
	return ac;
}

static void conn_drop(struct app_conn *ac)
{
	list_del(&ac->node);
	list_del(&ac->resumed_node);
	ac->c->app_priv = NULL;
	free(ac);
}

static const struct cfg_rule *rule_of(const struct group *g, const struct nsr_store_conn *c)
{
	for (size_t i = 0; i < g->cfg->nr_rules; i++)
		if (g->cfg->rules[i].id == c->rule_id)
			return &g->cfg->rules[i];
	return NULL;
}

/* Whose it is: its transactions say, or else the rule. NULL: not known yet. */
static const char *owner(const struct group *g, const struct nsr_store_conn *c)
{
	const struct cfg_rule *r = rule_of(g, c);

	if (c->app)
		return c->app->name;
	return r && r->application[0] ? r->application : NULL;
}

/* ---- offers ---- */

void app_conn_route(struct app_conn *ac)
{
	const char *name = owner(ac->ag->g, ac->c);
	struct app_client *cl = NULL;

	if (name && ac->fd >= 0 && !ac->declined)
		cl = app_client_find(ac->ag, name);

	settle(ac, cl ? CONN_TODO : CONN_ORPHAN, cl);
	if (cl)
		app_client_advance(cl);
}

void app_conn_added(struct group *g, struct nsr_store_conn *c, int fd)
{
	struct app_group *ag = app_group_get(app_server_of(g), g);
	struct app_conn *ac = ag ? conn_get(ag, c) : NULL;

	if (!ac)
		return;
	ac->fd = fd;
	ac->claimed = ac->resumed = false;
	app_conn_route(ac);
}

void app_conn_known(struct group *g, struct nsr_store_conn *c)
{
	struct app_server *s = app_server_of(g);
	struct app_conn *ac = c->app_priv;
	struct app_client *cl;

	if (ac && ac->state == CONN_ORPHAN)
		app_conn_route(ac);
	if (!s)
		return;
	list_for_each(cl, &s->clients, node) {
		struct app_handle *h, *tmp;

		if (!cl->ag || cl->ag->g != g || list_empty(&cl->pending))
			continue;
		list_for_each_safe(h, tmp, &cl->pending, node)
			if (!memcmp(&h->tuple, &c->tuple, sizeof(h->tuple)))
				ev_feed_event(g->nsrd->loop, &h->timer, EV_CUSTOM);
	}
}

static void put_tuple(struct nsr_wire_buf *b, const struct nsr_store_tuple *t)
{
	size_t len = t->family == AF_INET ? 4 : 16;

	nsr_wire_put_u8(b, NSR_APP_A_FAMILY, t->family);
	nsr_wire_put_bytes(b, NSR_APP_A_LADDR, t->laddr, len);
	nsr_wire_put_bytes(b, NSR_APP_A_RADDR, t->raddr, len);
	nsr_wire_put_u16(b, NSR_APP_A_LPORT, t->lport);
	nsr_wire_put_u16(b, NSR_APP_A_RPORT, t->rport);
}

bool app_conn_offer(struct app_client *cl)
{
	struct app_conn *ac = list_first(&cl->todo, struct app_conn, node);
	struct nsr_store_conn *c;
	struct nsr_wire_buf b;

	if (!ac)
		return false;
	c = ac->c;
	b = app_begin(cl, NSR_APP_CONN_ADDED);
	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
	put_tuple(&b, &c->tuple);
	nsr_wire_put_u8(&b, NSR_APP_A_ACTIVE_OPEN, !!(c->flags & TCP_NSR_CONN_F_ACTIVE_OPEN));
	nsr_wire_put_u8(&b, NSR_APP_A_MODE, c->mode);
	nsr_wire_put_u8(&b, NSR_APP_A_GAP, c->gap);
	app_send(cl, &b, ac->fd);
	settle(ac, CONN_TOLD, cl);
	if (ac->resumed)
		list_add_tail(&ac->resumed_node, &cl->resumed);
	/* what the walk over the store has passed already, or will not visit any more */
	if (cl->dump != DUMP_NONE)
		app_send_conn_states(cl, c);
	return true;
}

void app_claimed(struct app_client *cl, const struct nsr_wire *w)
{
	struct nsr_store_conn *c = app_conn_named(cl, w);
	struct app_conn *ac = c ? c->app_priv : NULL;

	if (!ac || ac->client != cl || ac->state != CONN_TOLD || ac->claimed)
		return;
	ac->claimed = true;
	ac->fd = -1;
	group_conn_claimed(cl->ag->g, c->id);
}

void app_conn_lose_client(struct app_conn *ac)
{
	struct group *g = ac->ag->g;
	bool claimed = ac->claimed, closing = ac->client->server->closing;
	uint64_t id = ac->c->id;

	if (claimed || closing)
		conn_drop(ac);
	else
		settle(ac, CONN_ORPHAN, NULL);
	if (claimed && !closing)
		group_conn_released(g, id);
}

/* ---- resumed, gone ---- */

static void send_status(struct app_conn *ac);

static void send_tail(struct app_client *cl, const struct nsr_store_conn *c)
{
	uint64_t len = c->rcv_tail_end - c->rcv_consumed, at;

	for (at = 0; at < len; at += NSR_APP_CHUNK_MAX) {
		struct nsr_wire_buf b = app_begin(cl, NSR_APP_CONN_TAIL);

		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
		nsr_wire_put_u64(&b, NSR_APP_A_RCV_CONSUMED, c->rcv_consumed);
		nsr_wire_put_u64(&b, NSR_APP_A_DATA_POS, c->rcv_consumed + at);
		nsr_wire_put_bytes(&b, NSR_APP_A_DATA, c->tail + at,
				   len - at < NSR_APP_CHUNK_MAX ? len - at : NSR_APP_CHUNK_MAX);
		app_send(cl, &b, -1);
	}
}

/* What the old active may have sent, from where the far end is. Nothing if it does not join there: then the far
 * end's position is a gap, by the rules of mode adopt. */
static uint64_t send_journal(struct app_client *cl, const struct nsr_store_conn *c)
{
	const struct journal *j = &c->journal;
	uint64_t pos = c->snd_una;
	size_t n;

	if (!c->has_journal || pos < j->base || pos > j->end)
		return c->snd_written;
	for (; pos < j->end; pos += n) {
		struct nsr_wire_buf b = app_begin(cl, NSR_APP_CONN_JOURNAL);
		const uint8_t *p = nsr_journal_at(j, pos, &n);

		if (n > NSR_APP_CHUNK_MAX)
			n = NSR_APP_CHUNK_MAX;
		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
		nsr_wire_put_u64(&b, NSR_APP_A_DATA_POS, pos);
		nsr_wire_put_bytes(&b, NSR_APP_A_DATA, p, n);
		app_send(cl, &b, -1);
	}
	return j->end;
}

/* Nothing vouched: the application read and wrote by itself, or not at all. It goes on where the
 * socket does. */
static uint64_t socket_position(const struct nsr_store_conn *c)
{
	uint64_t pos = c->rcv_nxt;

	if ((c->flags & TCP_NSR_CONN_F_RCV_FIN) && pos)
		pos--;
	return pos > c->rcv_missing ? pos - c->rcv_missing : 0;
}

bool app_conn_resume(struct app_client *cl)
{
	struct app_conn *ac = list_entry(cl->resumed.next, struct app_conn, resumed_node);
	const struct nsr_store_conn *c;
	struct nsr_wire_buf b;
	uint64_t from, end, written;

	if (list_empty(&cl->resumed))
		return false;
	list_del(&ac->resumed_node);
	c = ac->c;
	from = c->has_rcv ? c->rcv_consumed : socket_position(c);
	end = c->has_rcv ? c->rcv_tail_end : from;
	if (c->has_rcv)
		send_tail(cl, c);
	written = send_journal(cl, c);
	b = app_begin(cl, NSR_APP_CONN_RESUMED);
	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
	nsr_wire_put_u64(&b, NSR_APP_A_RCV_CONSUMED, from);
	nsr_wire_put_u64(&b, NSR_APP_A_RCV_TAIL_END, end);
	nsr_wire_put_u64(&b, NSR_APP_A_SND_POS, c->snd_una);
	if (c->has_snd)
		nsr_wire_put_u64(&b, NSR_APP_A_SND_WRITTEN, written);
	nsr_wire_put_u64(&b, NSR_APP_A_RCV_MISSING, c->rcv_missing);
	nsr_wire_put_u64(&b, NSR_APP_A_RCV_UNCERTAIN, c->rcv_uncertain);
	nsr_wire_put_u8(&b, NSR_APP_A_SND_UNCERTAIN, !!c->snd_uncertain);
	nsr_wire_put_u8(&b, NSR_APP_A_PLANNED, ac->planned);
	app_send(cl, &b, -1);
	/* whether it may write without us: see gate_holds() */
	if (c->mode == TCP_NSR_MODE_LOSSLESS)
		send_status(ac);
	return true;
}

void app_conn_resumed(struct group *g, struct nsr_store_conn *c, bool planned)
{
	struct app_conn *ac = c->app_priv;

	(void)g;
	/* its own socket all along (a switchover called off): libnsr knows from the role */
	if (!ac || ac->resumed)
		return;
	ac->resumed = true;
	ac->planned = planned;
	if (ac->state != CONN_TOLD)
		return;
	list_add_tail(&ac->resumed_node, &ac->client->resumed);
	app_client_advance(ac->client);
}

static void send_gone(struct app_client *cl, uint64_t id, unsigned int why, const char *text)
{
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_CONN_GONE);

	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, id);
	nsr_wire_put_u8(&b, NSR_APP_A_WHY, (uint8_t)why);
	nsr_wire_put_str(&b, NSR_APP_A_TEXT, text);
	app_send(cl, &b, -1);
}

void app_conn_gone(struct group *g, uint64_t conn_id, unsigned int why, const char *text)
{
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, conn_id);
	struct app_conn *ac = c ? c->app_priv : NULL;

	if (!ac)
		return;
	if (ac->state == CONN_TOLD)
		send_gone(ac->client, conn_id, why, text);
	conn_drop(ac);
}

void app_conn_forget(struct group *g, const struct nsr_store_conn *c)
{
	(void)g;
	if (c->app_priv)
		conn_drop(c->app_priv);
}

/* ---- status ---- */

static bool is_protected(const struct group *g, const struct nsr_store_conn *c)
{
	return c->mode == TCP_NSR_MODE_LOSSLESS ? gate_holds(g, c) : sync_in_step(g);
}

static const char *why_unprotected(const struct group *g, const struct nsr_store_conn *c)
{
	if (c->mode == TCP_NSR_MODE_LOSSLESS)
		return gate_reason(g, c);
	return sync_in_step(g) ? "" : "no standby is in step";
}

static void send_status(struct app_conn *ac)
{
	struct group *g = ac->ag->g;
	struct nsr_wire_buf b = app_begin(ac->client, NSR_APP_CONN_STATUS);

	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, ac->c->id);
	nsr_wire_put_u8(&b, NSR_APP_A_PROTECTED, is_protected(g, ac->c));
	nsr_wire_put_u8(&b, NSR_APP_A_MODE, ac->c->mode);
	nsr_wire_put_str(&b, NSR_APP_A_TEXT, why_unprotected(g, ac->c));
	app_send(ac->client, &b, -1);
}

void app_conn_status(struct group *g, uint64_t conn_id)
{
	struct nsr_store_conn *c = conn_id ? nsr_store_conn_find(g->store, conn_id) :
				   nsr_store_conn_next(g->store, NULL);

	for (; c; c = conn_id ? NULL : nsr_store_conn_next(g->store, c)) {
		struct app_conn *ac = c->app_priv;

		if (ac && ac->state == CONN_TOLD && ac->resumed)
			send_status(ac);
	}
}

/* ---- attach, detach ---- */

void app_handle_free(struct app_handle *h)
{
	ev_timer_stop(h->client->server->nsrd->loop, &h->timer);
	list_del(&h->node);
	free(h);
}

struct app_handle *app_handle_find(struct app_client *cl, uint32_t handle)
{
	struct app_handle *h;

	list_for_each(h, &cl->pending, node)
		if (h->handle == handle)
			return h;
	list_for_each(h, &cl->handles, node)
		if (h->handle == handle)
			return h;
	return NULL;
}

struct nsr_store_conn *app_conn_named(struct app_client *cl, const struct nsr_wire *w)
{
	uint64_t id = nsr_wire_u64(w, NSR_APP_A_CONN_ID);
	struct app_handle *h;

	if (!id) {
		h = app_handle_find(cl, nsr_wire_u32(w, NSR_APP_A_HANDLE));
		id = h ? h->conn_id : 0;
	}
	return id ? nsr_store_conn_find(cl->ag->g->store, id) : NULL;
}

/* c NULL: not protected, and why. */
static void answer(struct app_handle *h, const struct nsr_store_conn *c, const char *text)
{
	struct group *g = h->client->ag->g;
	struct nsr_wire_buf b = app_begin(h->client, NSR_APP_ATTACHED);

	nsr_wire_put_u32(&b, NSR_APP_A_HANDLE, h->handle);
	if (c) {
		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
		nsr_wire_put_u8(&b, NSR_APP_A_MODE, c->mode);
		nsr_wire_put_u8(&b, NSR_APP_A_PROTECTED, is_protected(g, c));
		text = why_unprotected(g, c);
	}
	nsr_wire_put_str(&b, NSR_APP_A_TEXT, text);
	app_send(h->client, &b, -1);
}

static void change_gap(struct app_client *cl, const struct nsr_store_conn *c, uint8_t gap)
{
	const struct cfg_rule *r = rule_of(cl->ag->g, c);
	struct attr_buf b = { 0 };
	size_t nest = attr_nest_start(&b, TCP_NSR_A_CONN);

	group_conn_set_gap(cl->ag->g, c->id, gap);
	/* a policy is replicated, not "whatever the rule says": the rule may differ over there */
	if (gap == TCP_NSR_GAP_RULE)
		gap = r ? r->gap : TCP_NSR_GAP_RESET;
	attr_put_u64(&b, TCP_NSR_A_CONN_ID, c->id);
	attr_put_u8(&b, TCP_NSR_A_CONN_GAP, gap);
	attr_nest_end(&b, nest);
	if (!b.failed)
		sync_conn_event(cl->ag->g, TCP_NSR_CMD_CONN_CHANGE_NTF, (const struct nlattr *)b.data);
	attr_buf_free(&b);
}

/* The positions that the application vouches for as it attaches: a transaction of its own. */
static int vouch(struct app_handle *h, const struct nsr_store_conn *c)
{
	struct attr_buf b = { 0 };
	size_t nest = attr_nest_start(&b, NSR_APP_A_OP);
	int err;

	/* positions of state that is not here yet */
	if (h->has_pos && !h->client->complete && (h->consumed || h->written))
		sync_app_behind(h->client->ag->g, h->client->name);
	attr_put_u8(&b, NSR_APP_A_OP_KIND, NSR_APP_OP_CONN);
	attr_put_u64(&b, NSR_APP_A_CONN_ID, c->id);
	if (h->has_pos) {
		attr_put_u64(&b, NSR_APP_A_RCV_CONSUMED, h->consumed);
		attr_put_u64(&b, NSR_APP_A_SND_WRITTEN, h->written);
	}
	attr_nest_end(&b, nest);
	err = b.failed ? -ENOMEM : sync_txn(h->client->ag->g, h->client->name, 0, b.data, b.len);
	attr_buf_free(&b);
	return err;
}

static void attached(struct app_handle *h, struct nsr_store_conn *c)
{
	struct app_client *cl = h->client;
	struct app_conn *ac = conn_get(cl->ag, c);

	h->conn_id = c->id;
	if (!ac || vouch(h, c)) {
		h->conn_id = 0;
		answer(h, NULL, ac ? nsr_store_error(cl->ag->g->store) : "nsrd is out of memory");
		return;
	}
	settle(ac, CONN_TOLD, cl);
	ac->claimed = true;
	ac->fd = -1;
	answer(h, c, NULL);
	if (h->has_gap)
		change_gap(cl, c, h->gap);
	if (h->has_pos) {
		ac->resumed = true;
		return;
	}
	/* A shadow that waits for RESUMED, of an nsrd before this one. Without its tail nobody knows
	 * where its stream goes on. */
	if (!c->has_rcv) {
		app_conn_gone(cl->ag->g, c->id, NSR_GONE_ERROR,
			      "nsrd was restarted between the takeover and this connection's adoption");
		return;
	}
	if (c->phase == TCP_NSR_PHASE_PROVISIONAL || c->phase == TCP_NSR_PHASE_RESUMED)
		app_conn_resumed(cl->ag->g, c, c->adopted_by == TCP_NSR_ADOPTED_HANDOVER);
}

/* False: the kernel's event has not come yet. */
static bool resolve(struct app_handle *h, bool final)
{
	struct app_client *cl = h->client;
	struct group *g = cl->ag->g;
	struct nsr_store_conn *c;
	const char *text = NULL, *name;

	if (!app_is_active(cl->ag)) {
		answer(h, NULL, "this box is not active in the group");
		return true;
	}
	c = group_conn_lookup(g, &h->tuple, h->cookie, &text);
	if (!c && !text && !final)
		return false;
	if (!c) {
		answer(h, NULL, text ? text : "a rule matches, but the kernel does not protect it: it has ended, or "
		       "see the group's counters");
		return true;
	}
	name = owner(g, c);
	if (name && strcmp(name, cl->name)) {
		answer(h, NULL, "it belongs to another application");
		return true;
	}
	attached(h, c);
	return true;
}

static void known(struct app_handle *h)
{
	list_del(&h->node);
	list_add(&h->node, &h->client->handles);
	h->pending = false;
	app_txn_retry(h->client);
}

static void handle_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct app_handle *h = w->data;

	if (h->pending && resolve(h, revents & EV_TIMER)) {
		ev_timer_stop(loop, w);
		known(h);
	}
}

static void read_tuple(struct nsr_store_tuple *t, const struct nsr_wire *w)
{
	size_t len;

	memset(t, 0, sizeof(*t));
	t->family = nsr_wire_u8(w, NSR_APP_A_FAMILY);
	len = t->family == AF_INET ? 4 : 16;
	memcpy(t->laddr, attr_data(w->a[NSR_APP_A_LADDR]), len);
	memcpy(t->raddr, attr_data(w->a[NSR_APP_A_RADDR]), len);
	t->lport = nsr_wire_u16(w, NSR_APP_A_LPORT);
	t->rport = nsr_wire_u16(w, NSR_APP_A_RPORT);
}

void app_attach(struct app_client *cl, const struct nsr_wire *w)
{
	uint32_t handle = nsr_wire_u32(w, NSR_APP_A_HANDLE);
	struct app_handle *h = app_handle_find(cl, handle);

	if (h)
		app_handle_free(h);	/* said again: the role has changed since */
	h = handle ? calloc(1, sizeof(*h)) : NULL;
	if (!h) {
		app_client_refuse(cl, handle ? -ENOMEM : -EPROTO, "ATTACH: %s",
				  handle ? "out of memory" : "handle 0");
		return;
	}
	h->client = cl;
	h->handle = handle;
	h->pending = true;
	read_tuple(&h->tuple, w);
	h->cookie = nsr_wire_u64(w, NSR_APP_A_COOKIE);
	h->has_pos = nsr_wire_has(w, NSR_APP_A_RCV_CONSUMED) && nsr_wire_has(w, NSR_APP_A_SND_WRITTEN);
	h->consumed = nsr_wire_u64(w, NSR_APP_A_RCV_CONSUMED);
	h->written = nsr_wire_u64(w, NSR_APP_A_SND_WRITTEN);
	h->has_gap = nsr_wire_has(w, NSR_APP_A_GAP);
	h->gap = nsr_wire_u8(w, NSR_APP_A_GAP);
	ev_timer_init(&h->timer, handle_cb, APP_ATTACH_S, 0.);
	h->timer.data = h;
	list_add_tail(&h->node, &cl->pending);
	if (resolve(h, false))
		known(h);
	else
		ev_timer_start(cl->server->nsrd->loop, &h->timer);
}

void app_set_gap(struct app_client *cl, const struct nsr_wire *w)
{
	struct nsr_store_conn *c = app_conn_named(cl, w);
	struct app_conn *ac = c ? c->app_priv : NULL;
	struct app_handle *h = app_handle_find(cl, nsr_wire_u32(w, NSR_APP_A_HANDLE));
	uint8_t gap = nsr_wire_u8(w, NSR_APP_A_GAP);

	if (ac && ac->client == cl && app_is_active(cl->ag)) {
		change_gap(cl, c, gap);
	} else if (h && h->pending) {
		h->has_gap = true;
		h->gap = gap;
	}
}

/* A shadow that its application does not want, or has closed: the next is not for the same client. */
static void decline(struct app_conn *ac)
{
	bool claimed = ac->claimed;
	struct group *g = ac->ag->g;
	uint64_t id = ac->c->id;

	ac->declined = true;
	settle(ac, CONN_ORPHAN, NULL);
	if (claimed)
		group_conn_released(g, id);
}

void app_detach(struct app_client *cl, const struct nsr_wire *w)
{
	struct nsr_store_conn *c = app_conn_named(cl, w);
	struct app_conn *ac = c ? c->app_priv : NULL;
	struct app_handle *h, *tmp;

	list_for_each_safe(h, tmp, &cl->handles, node)
		if (c ? h->conn_id == c->id : h->handle == nsr_wire_u32(w, NSR_APP_A_HANDLE))
			app_handle_free(h);
	if (!ac || ac->client != cl)
		return;
	/*
	 * Said of the connection that it had while this box was active: the new shadow of the same id crossed it on
	 * the way, and is still to be claimed. A refusal of the shadow itself names no handle.
	 */
	if (!ac->claimed && nsr_wire_has(w, NSR_APP_A_HANDLE))
		return;
	if (!ac->resumed) {
		decline(ac);
		return;
	}
	conn_drop(ac);
	if (nsr_wire_has(w, NSR_APP_A_UNPROTECT) && app_is_active(cl->ag))
		group_conn_unprotect(cl->ag->g, c->id);
}
