// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "control.h"
#include "gate.h"
#include "genl.h"
#include "kernel.h"
#include "link.h"
#include "nsrd.h"
#include "sync.h"
#include "test_rules.h"

#define CATCH_TURN	64	/* connections looked up in the kernel in one turn */

/** struct mark - once the peer has acknowledged record seq, it holds all below pos */
struct mark {
	struct list_head node, gate_node;
	struct gate *gate;
	uint64_t seq, pos;
};

/**
 * struct gate - an own lossless connection
 * @acked: the standby holds all below. @pushed: where the kernel's gate is, which only grows.
 * @open: the kernel's gate of this connection is to be open. @is_open: it is.
 * @target, @since: all below target waits since then; 0: nothing does
 * @flag_seq: record that tells the standby
 * @wup: highest ACK that left while the gate was open, if has_wup
 * @given_up: it cannot be protected any more, and why: its gate opens, and stays so. Or NULL
 */
struct gate {
	struct list_head node, touched, dirty, marks;
	struct gate_group *gg;
	struct nsr_store_conn *c;
	enum gate_state state;
	const char *why, *given_up;
	uint64_t acked, pushed;
	bool open, is_open, has_wup;
	uint8_t phase;
	uint64_t target, since, flag_seq, wup;
};

/** struct gate_group - @closed: since a snapshot's end, with the positions known */
struct gate_group {
	struct group *g;
	struct list_head all, touched, dirty, marks;
	ev_prepare flush;
	bool closed;
	unsigned int lags;
};

static const char lagging[] = "its bytes wait for longer than commit-timeout: the application does not read or commit";
static const char catching[] = "the standby does not have yet what was acknowledged or written without it";
static const char bypassed[] = "bytes were written that did not go through nsr_send()";

static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	gate_flush(w->data);
}

struct gate_group *gate_group_create(struct group *g)
{
	struct gate_group *gg = calloc(1, sizeof(*gg));

	if (!gg)
		return NULL;
	gg->g = g;
	list_init(&gg->all);
	list_init(&gg->touched);
	list_init(&gg->dirty);
	list_init(&gg->marks);
	ev_prepare_init(&gg->flush, on_flush);
	gg->flush.data = g;
	ev_prepare_start(g->nsrd->loop, &gg->flush);
	return gg;
}

static void drop_marks(struct gate *t)
{
	struct mark *m, *tmp;

	list_for_each_safe(m, tmp, &t->marks, gate_node) {
		list_del(&m->node);
		list_del(&m->gate_node);
		free(m);
	}
}

static void gate_free(struct gate *t)
{
	if (t->state == GATE_LAGS)
		t->gg->lags--;
	drop_marks(t);
	list_del(&t->node);
	list_del(&t->touched);
	list_del(&t->dirty);
	t->c->gate = NULL;
	free(t);
}

void gate_group_destroy(struct gate_group *gg)
{
	struct gate *t, *tmp;

	if (!gg)
		return;
	list_for_each_safe(t, tmp, &gg->all, node)
		gate_free(t);
	ev_prepare_stop(gg->g->nsrd->loop, &gg->flush);
	free(gg);
}

void gate_forget(struct nsr_store_conn *c)
{
	if (c->gate)
		gate_free(c->gate);
}

bool gate_group_closed(const struct group *g)
{
	return !g->role.gates_open || g->cfg->hold;
}

/* ---- positions ---- */

/* Rules ack-gate, gate-follows-reads: the tail is part of it, so no gate waits for the end of a message.
 * What a standby that holds the store holds of the far end's stream; the FIN once everything before it is there.
 */
static uint64_t held(const struct nsr_store_conn *c)
{
	uint64_t pos = c->has_rcv ? c->rcv_tail_end : 0;

	if (c->has_rcv && test_rule_is_off("gate-follows-reads"))
		pos = c->rcv_consumed;
	if ((c->flags & TCP_NSR_CONN_F_RCV_FIN) && c->rcv_nxt && pos == c->rcv_nxt - 1)
		pos++;
	return pos;
}

static bool has(const struct nsr_store_conn *c, unsigned int attr)
{
	return c->has & 1ull << attr;
}

/* The store could send again whatever the far end may lack. */
static bool journal_covers(const struct nsr_store_conn *c, uint64_t snd_una, uint64_t write_seq)
{
	uint64_t base = c->has_journal ? c->journal.base : c->snd_written;
	uint64_t end = c->has_journal ? c->journal.end : c->snd_written;

	/* behind our FIN there is nothing to be carried */
	if (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT)
		return true;
	return base <= snd_una && write_seq <= end;
}

static void set_state(struct gate *t, enum gate_state state, const char *why)
{
	t->gg->lags += (state == GATE_LAGS) - (t->state == GATE_LAGS);
	t->state = state;
	t->why = why;
}

static struct gate *gate_get(struct group *g, struct nsr_store_conn *c)
{
	struct gate *t = c->gate;

	if (t || c->mode != TCP_NSR_MODE_LOSSLESS)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;		/* its gate stays where it is, and the connection waits */
	t->gg = g->gates;
	t->c = c;
	t->why = "";
	list_init(&t->touched);
	list_init(&t->dirty);
	list_init(&t->marks);
	list_add_tail(&t->node, &g->gates->all);
	c->gate = t;
	return t;
}

static void make_dirty(struct gate *t)
{
	if (list_empty(&t->dirty))
		list_add_tail(&t->dirty, &t->gg->dirty);
}

static void advance(struct gate *t, uint64_t pos)
{
	if (pos <= t->acked)
		return;
	t->acked = pos;
	make_dirty(t);
}

void gate_changed(struct group *g, struct nsr_store_conn *c)
{
	struct gate *t = gate_get(g, c);

	if (!t)
		return;
	if (list_empty(&t->touched))
		list_add_tail(&t->touched, &g->gates->touched);
	/* A shadow has no gate: what it did not take is said again. */
	if (t->phase != c->phase && g->gates->closed)
		make_dirty(t);
	t->phase = c->phase;
}

void gate_told(struct group *g, const struct nlattr *conn)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_store_conn *c;

	if (!genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) || !tb[TCP_NSR_A_CONN_GATE])
		return;
	c = nsr_store_conn_find(g->store, genl_u64(tb[TCP_NSR_A_CONN_ID]));
	if (!c || !c->gate)
		return;
	c->gate->pushed = genl_u64(tb[TCP_NSR_A_CONN_GATE]);
	c->gate->is_open = genl_u8(tb[TCP_NSR_A_CONN_GATE_OPEN]);
	/* An nsrd before this one opened it: the standby knows, and holds nothing that is promised. */
	if (!g->gates->closed && c->gate->is_open)
		set_state(c->gate, GATE_OPEN, lagging);
}

static void put_mark(struct gate *t, uint64_t seq)
{
	struct mark *m = calloc(1, sizeof(*m));

	if (!m)
		return;			/* the next one says more */
	m->gate = t;
	m->seq = seq;
	m->pos = held(t->c);
	list_add_tail(&m->node, &t->gg->marks);
	list_add_tail(&m->gate_node, &t->marks);
}

void gate_sent(struct group *g, uint64_t seq)
{
	struct gate_group *gg = g->gates;
	struct gate *t;

	while ((t = list_first(&gg->touched, struct gate, touched))) {
		list_del(&t->touched);
		if (gg->closed && seq && held(t->c) > t->acked)
			put_mark(t, seq);
	}
}

/* ---- the standby is told ---- */

static bool is_flagged(const struct gate *t)
{
	return t->gg->closed && t->state != GATE_CLOSED;
}

bool gate_amend(struct group *g, const struct nlattr *conn, struct attr_buf *out)
{
	const struct nlattr *attr, *id = NULL, *flags = NULL, *own = NULL;
	uint32_t v = 0, wanted;
	struct nsr_store_conn *c;
	uint64_t n = 0;
	size_t nest;

	mnl_attr_for_each_nested(attr, conn) {
		unsigned int type = mnl_attr_get_type(attr);

		if (type == TCP_NSR_A_CONN_ID)
			id = attr;
		else if (type == TCP_NSR_A_CONN_FLAGS)
			flags = attr;
		else if (type == TCP_NSR_A_CONN_GATE || type == TCP_NSR_A_CONN_GATE_OPEN)
			own = attr;
	}
	if (id)
		attr_u64(id, &n);
	if (flags)
		attr_u32(flags, &v);
	c = nsr_store_conn_find(g->store, n);
	wanted = v & ~TCP_NSR_CONN_F_UNPROTECTED;
	if (c && c->gate && is_flagged(c->gate))
		wanted |= TCP_NSR_CONN_F_UNPROTECTED;
	if (!own && (!flags || wanted == v))
		return false;
	nest = attr_nest_start(out, TCP_NSR_A_CONN);
	mnl_attr_for_each_nested(attr, conn) {
		unsigned int type = mnl_attr_get_type(attr);

		if (type == TCP_NSR_A_CONN_FLAGS)
			attr_put_u32(out, TCP_NSR_A_CONN_FLAGS, wanted);
		else if (type != TCP_NSR_A_CONN_GATE && type != TCP_NSR_A_CONN_GATE_OPEN)
			attr_put(out, (uint16_t)type, attr_data(attr), attr_len(attr));
	}
	attr_nest_end(out, nest);
	return !out->failed;
}

/* Rule told-before-open: the gate opens when this is acknowledged.
 * The record says what the state is; sequence number on the link, 0: there is none. */
static uint64_t tell_standby(struct gate *t)
{
	struct group *g = t->gg->g;
	struct attr_buf b = { 0 };
	size_t nest = attr_nest_start(&b, TCP_NSR_A_CONN);
	struct link *l;

	attr_put_u64(&b, TCP_NSR_A_CONN_ID, t->c->id);
	attr_put_u32(&b, TCP_NSR_A_CONN_FLAGS, t->c->flags);
	attr_nest_end(&b, nest);
	if (!b.failed)
		sync_conn_event(g, TCP_NSR_CMD_CONN_CHANGE_NTF, (const struct nlattr *)b.data);
	attr_buf_free(&b);
	l = sync_link(g->sync);
	return l ? link_sent(l) : 0;
}

static void say(struct gate *t)
{
	struct group *g = t->gg->g;

	if (t->state == GATE_CLOSED) {
		log_info("group %s: %s: protected again", g->cfg->name, conn_describe(t->c));
		control_emit(g->nsrd, g, "conn", "%s: protected again", conn_describe(t->c));
	} else {
		log_warn("group %s: %s: unprotected: %s", g->cfg->name, conn_describe(t->c), t->why);
		control_emit(g->nsrd, g, "conn", "%s: unprotected: %s", conn_describe(t->c), t->why);
	}
	app_conn_status(g, t->c->id);
}

static void open_one(struct gate *t)
{
	set_state(t, GATE_OPEN, t->given_up ? t->given_up : lagging);
	t->open = true;
	make_dirty(t);
	say(t);
}

void gate_give_up(struct group *g, struct nsr_store_conn *c, const char *why)
{
	struct gate *t = gate_get(g, c);

	if (t)
		t->given_up = why;
}

void gate_acked(struct group *g, uint64_t seq)
{
	struct gate_group *gg = g->gates;
	struct gate *t;
	struct mark *m;

	while ((m = list_first(&gg->marks, struct mark, node)) && m->seq <= seq) {
		advance(m->gate, m->pos);
		list_del(&m->node);
		list_del(&m->gate_node);
		free(m);
	}
	if (gg->lags)
		list_for_each(t, &gg->all, node)
			if (t->state == GATE_LAGS && t->flag_seq && t->flag_seq <= seq)
				open_one(t);
}

/* ---- the kernel ---- */

void gate_flush(struct group *g)
{
	struct gate_group *gg = g->gates;
	struct attr_buf b = { 0 };
	struct list_head told;
	struct gate *t;
	int err = 0, e;

	if (list_empty(&gg->dirty))
		return;
	list_init(&told);
	while ((t = list_first(&gg->dirty, struct gate, dirty))) {
		list_del(&t->dirty);
		if (t->acked < t->pushed && t->open == t->is_open)
			continue;
		b.len = 0;
		attr_put_u64(&b, TCP_NSR_A_CONN_ID, t->c->id);
		if (t->acked >= t->pushed)
			attr_put_u64(&b, TCP_NSR_A_CONN_GATE, t->acked);
		if (t->open != t->is_open)
			attr_put_u8(&b, TCP_NSR_A_CONN_GATE_OPEN, t->open);
		if (t->acked > t->pushed)
			t->pushed = t->acked;
		t->is_open = t->open;
		list_add_tail(&t->dirty, &told);
		e = b.failed ? -ENOMEM : kernel_batch_add(g->nsrd->kernel, b.data, b.len);
		if (e && !err)
			err = e;
	}
	e = kernel_batch_send(g->nsrd->kernel);
	if (e && !err)
		err = e;
	attr_buf_free(&b);
	/* closed meanwhile, or still a shadow: its event is on the way */
	if (err == -ENOENT || err == -EALREADY)
		err = 0;
	if (err)
		log_warn("group %s: ACK gates: %s", g->cfg->name, kernel_error(g->nsrd->kernel));
	while ((t = list_first(&told, struct gate, dirty))) {
		list_del(&t->dirty);
		/* Who knows which of them it has taken: said again with the next turn, which does no harm. */
		if (err) {
			t->pushed = 0;
			t->is_open = !t->open;
			make_dirty(t);
		}
	}
}

/* ---- in step, or not ---- */

/* Rule in-step-before-ready */
static bool in_step(struct gate *t, uint64_t wup, uint64_t snd_una, uint64_t write_seq)
{
	if (held(t->c) < wup) {
		t->why = catching;
		return false;
	}
	t->why = t->c->app ? catching : bypassed;
	return journal_covers(t->c, snd_una, write_seq);
}

static void look(struct gate *t, const struct nlattr **tb)
{
	bool was = t->c->flags & TCP_NSR_CONN_F_UNPROTECTED;

	t->wup = genl_u64(tb[TCP_NSR_A_CONN_RCV_WUP]);
	t->has_wup = true;
	if (in_step(t, t->wup, genl_u64(tb[TCP_NSR_A_CONN_SND_UNA]), genl_u64(tb[TCP_NSR_A_CONN_WRITE_SEQ])))
		set_state(t, GATE_CLOSED, "");
	else
		set_state(t, GATE_CATCHING, t->why);
	if (was != is_flagged(t))
		tell_standby(t);
}

static void look_begin(void *data)
{
	(void)data;
}

static void look_each(const struct nlattr *conn, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct group *g = data;
	struct nsr_store_conn *c;

	if (!genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) || !tb[TCP_NSR_A_CONN_ID])
		return;
	c = nsr_store_conn_find(g->store, genl_u64(tb[TCP_NSR_A_CONN_ID]));
	if (c && c->gate)
		look(c->gate, tb);
}

/* Rule gates-close-first: closed, then looked at, then called protected. */
void gate_close_all(struct group *g)
{
	struct gate_group *gg = g->gates;
	struct nsr_store_conn *c = NULL;
	struct gate *t;

	gg->closed = true;
	while ((c = nsr_store_conn_next(g->store, c)))
		gate_get(g, c);
	list_for_each(t, &gg->all, node) {
		drop_marks(t);
		list_del(&t->touched);
		set_state(t, GATE_CATCHING, catching);
		t->open = false;
		t->has_wup = false;
		t->since = 0;
		/* From the END on the standby holds what stands in the store; before it, it is not ready. */
		t->acked = held(t->c);
		make_dirty(t);
	}
	gate_flush(g);
	if (!list_empty(&gg->all) && kernel_conns_dump(g->nsrd->kernel, g->cfg->id, look_begin, look_each, g))
		log_warn("group %s: no connection is called protected yet: %s", g->cfg->name,
			 kernel_error(g->nsrd->kernel));
	list_for_each(t, &gg->all, node)
		if (is_flagged(t) && !(t->c->flags & TCP_NSR_CONN_F_UNPROTECTED))
			tell_standby(t);
}

void gate_stopped(struct group *g)
{
	struct gate *t;

	list_for_each(t, &g->gates->all, node) {
		drop_marks(t);
		t->flag_seq = 0;
		t->since = 0;
	}
}

void gate_reign_over(struct group *g)
{
	gate_stopped(g);
	g->gates->closed = false;
}

void gate_opened(struct group *g)
{
	struct gate_group *gg = g->gates;
	bool were_closed = gg->closed;
	struct gate *t;

	gg->closed = false;
	list_for_each(t, &gg->all, node) {
		drop_marks(t);
		t->since = 0;
		set_state(t, GATE_CLOSED, "");
	}
	if (were_closed)
		app_conn_status(g, 0);
}

/* ---- each turn ---- */

static void lag(struct gate *t)
{
	struct group *g = t->gg->g;

	if (g->cfg->hold && !t->given_up)
		return;			/* the streams wait, whatever it is for */
	if (t->state == GATE_CATCHING && !t->given_up) {
		open_one(t);		/* the standby knows already */
		return;
	}
	set_state(t, GATE_LAGS, t->given_up ? t->given_up : lagging);
	t->flag_seq = tell_standby(t);
}

static void close_again(struct gate *t)
{
	set_state(t, GATE_CATCHING, catching);
	t->open = false;
	t->has_wup = false;
	make_dirty(t);
}

/* Do bytes wait, and for how long? */
static void watch(struct gate *t, uint64_t now, uint64_t patience)
{
	uint64_t rcv_nxt = t->c->rcv_nxt;
	bool reached = t->acked >= t->target;

	if (t->given_up) {
		if (t->state == GATE_CLOSED || t->state == GATE_CATCHING)
			lag(t);
		return;
	}
	if (t->since && reached && now - t->since < patience && t->state == GATE_OPEN)
		close_again(t);
	if (t->acked >= rcv_nxt) {
		t->since = 0;
		if (t->state == GATE_OPEN)
			close_again(t);
	} else if (!t->since || reached) {
		t->since = now;
		t->target = rcv_nxt;
	} else if (now - t->since >= patience && (t->state == GATE_CLOSED || t->state == GATE_CATCHING)) {
		lag(t);
	}
}

static void one_each(const struct nlattr *conn, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct gate *t = data;

	if (genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) && t->state == GATE_CATCHING)
		look(t, tb);
}

static bool catch_up(struct gate *t)
{
	if (t->has_wup && held(t->c) < t->wup)
		return false;
	kernel_conn_get(t->gg->g->nsrd->kernel, t->c->id, one_each, t);
	if (t->state == GATE_CLOSED)
		say(t);
	return true;
}

static void check_bypass(struct gate *t)
{
	const struct nsr_store_conn *c = t->c;

	/* The cursor lags: only what it is ahead of says anything. */
	if (t->given_up || t->state != GATE_CLOSED || !has(c, TCP_NSR_A_CONN_WRITE_SEQ) ||
	    journal_covers(c, UINT64_MAX, c->write_seq))
		return;
	set_state(t, GATE_CATCHING, bypassed);
	tell_standby(t);
	say(t);
}

void gate_turn(struct group *g, uint64_t now)
{
	uint64_t patience = g->cfg->commit_timeout_ms * 1000000ull;
	struct gate_group *gg = g->gates;
	struct gate *t, *tmp;
	int budget = CATCH_TURN;

	if (!gg->closed || !sync_in_step(g))
		return;
	list_for_each_safe(t, tmp, &gg->all, node) {
		check_bypass(t);
		watch(t, now, patience);
	}
	/* ORDER: closed in the kernel before it is asked what had left until then. */
	gate_flush(g);
	list_for_each_safe(t, tmp, &gg->all, node)
		if (t->state == GATE_CATCHING && budget && catch_up(t))
			budget--;
}

/* ---- for others ---- */

bool gate_holds(const struct group *g, const struct nsr_store_conn *c)
{
	const struct gate *t = c->gate;

	return gate_group_closed(g) && (!t || t->state == GATE_CLOSED || t->state == GATE_LAGS);
}

const char *gate_reason(const struct group *g, const struct nsr_store_conn *c)
{
	if (!gate_group_closed(g))
		return "no standby is in step";
	return c->gate && c->gate->state != GATE_LAGS ? c->gate->why : "";
}

unsigned int gate_unprotected(const struct group *g)
{
	unsigned int n = 0;
	struct gate *t;

	list_for_each(t, &g->gates->all, node)
		n += is_flagged(t);
	return n;
}
