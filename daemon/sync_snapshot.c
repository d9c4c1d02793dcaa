// SPDX-License-Identifier: GPL-2.0-only
/*
 * A snapshot: the whole store, a chunk for each turn of the loop and no more than the link takes, with
 * live records in between. What a live record says of something that the walk has not reached is said
 * again by the walk, as it is then: upserts by key, so both orders end the same.
 */
#include <string.h>
#include "gate.h"
#include "sync.h"

#define CHUNK		(128u << 10)	/* bytes of one turn, about */
#define QUEUE_FULL	(1u << 20)	/* bytes that wait in the link: go on when it has sent them */
#define TAIL_CHUNK	NSR_APP_CHUNK_MAX

void sync_pump_soon(struct sync_group *s)
{
	if (!ev_is_active(&s->pump)) {
		ev_timer_set(&s->pump, 0., 0.);
		ev_timer_start(s->g->nsrd->loop, &s->pump);
	}
}

/* Owner, vouched positions and the tail, as a transaction that brings all of it; then the journal. */
static void put_positions(struct attr_buf *b, const struct nsr_store_conn *c)
{
	uint64_t len = c->has_rcv ? c->rcv_tail_end - c->rcv_consumed : 0, at = 0;

	do {
		uint64_t n = len - at < TAIL_CHUNK ? len - at : TAIL_CHUNK;
		size_t nest = attr_nest_start(b, NSR_APP_A_OP);

		attr_put_u8(b, NSR_APP_A_OP_KIND, NSR_APP_OP_CONN);
		attr_put_u64(b, NSR_APP_A_CONN_ID, c->id);
		if (c->has_rcv) {
			attr_put_u64(b, NSR_APP_A_RCV_CONSUMED, c->rcv_consumed);
			attr_put_u64(b, NSR_APP_A_RCV_TAIL_END, c->rcv_tail_end);
		}
		if (c->has_snd)
			attr_put_u64(b, NSR_APP_A_SND_WRITTEN, c->snd_written);
		if (c->has_journal)
			attr_put_u64(b, NSR_APP_A_SND_ACKED, c->journal.base);
		if (n) {
			attr_put_u64(b, NSR_APP_A_DATA_POS, c->rcv_consumed + at);
			attr_put(b, NSR_APP_A_DATA, c->tail + at, n);
		}
		attr_nest_end(b, nest);
		at += n;
	} while (at < len);
}

static void put_journal(struct attr_buf *b, const struct nsr_store_conn *c)
{
	const struct journal *j = &c->journal;
	uint64_t pos = j->base;
	size_t n;

	for (; c->has_journal && pos < j->end; pos += n) {
		const uint8_t *p = nsr_journal_at(j, pos, &n);
		size_t nest = attr_nest_start(b, NSR_APP_A_OP);

		if (n > TAIL_CHUNK)
			n = TAIL_CHUNK;
		attr_put_u8(b, NSR_APP_A_OP_KIND, NSR_APP_OP_JOURNAL);
		attr_put_u64(b, NSR_APP_A_CONN_ID, c->id);
		attr_put_u64(b, NSR_APP_A_DATA_POS, pos);
		attr_put(b, NSR_APP_A_DATA, p, n);
		attr_nest_end(b, nest);
	}
}

static size_t send_conn(struct sync_group *s, const struct nsr_store_conn *c)
{
	struct attr_buf b = { 0 };
	size_t sent = c->rec_len;

	sync_begin(&b, s->g);
	attr_put(&b, TCP_NSR_A_CONN | NLA_F_NESTED, c->rec, c->rec_len);
	sync_send(s, NSR_FRAME_CONN_ADD, &b);
	if (!c->app)
		return sent;
	put_positions(&b, c);
	put_journal(&b, c);
	sent += b.len;
	if (b.failed)
		link_reset(sync_link(s), "out of memory for a snapshot");
	else
		sync_send_txn(s, c->app->name, 0, b.data, b.len);
	attr_buf_free(&b);
	return sent;
}

static void put_state(struct attr_buf *b, const struct nsr_store_state *st)
{
	size_t at = 0;

	do {
		size_t left = st->value_len - at, n = left < NSR_APP_CHUNK_MAX ? left : NSR_APP_CHUNK_MAX;
		size_t nest = attr_nest_start(b, NSR_APP_A_OP);

		attr_put_u8(b, NSR_APP_A_OP_KIND, NSR_APP_OP_PUT);
		if (st->conn)
			attr_put_u64(b, NSR_APP_A_CONN_ID, st->conn->id);
		attr_put(b, NSR_APP_A_KEY, st->key, st->key_len);
		if (at)
			attr_put_u64(b, NSR_APP_A_DATA_POS, at);
		attr_put(b, NSR_APP_A_VALUE, st->value + at, n);
		attr_nest_end(b, nest);
		at += n;
	} while (at < st->value_len);
}

static void send_states(struct sync_group *s)
{
	const struct nsr_store_state *st;
	const struct nsr_store_app *app = NULL;
	struct attr_buf b = { 0 };
	size_t sent = 0;

	while (sent < CHUNK) {
		st = nsr_store_cursor_state(&s->cursor);
		if (b.len && (!st || st->app != app)) {
			sync_send_txn(s, app->name, 0, b.data, b.len);
			b.len = 0;
		}
		if (!st) {
			s->step = SYNC_APPS;
			break;
		}
		app = st->app;
		sent += st->value_len + st->key_len + 64;
		put_state(&b, st);
	}
	if (b.failed)
		link_reset(sync_link(s), "out of memory for a snapshot");
	else if (b.len)
		sync_send_txn(s, app->name, 0, b.data, b.len);
	attr_buf_free(&b);
}

static void send_conns(struct sync_group *s)
{
	size_t sent = 0;

	while (sent < CHUNK) {
		struct nsr_store_conn *c = nsr_store_cursor_conn(&s->cursor);

		if (!c) {
			s->step = SYNC_STATES;
			break;
		}
		sent += send_conn(s, c);
	}
}

static void all_sent(struct sync_group *s)
{
	s->step = SYNC_SENT;
	group_snapshot_sent(s->g, s->ask_out);
}

void sync_pump(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct sync_group *s = w->data;

	(void)loop;
	(void)revents;
	if (link_queued(sync_link(s)) >= QUEUE_FULL)
		return;			/* sync_link_writable() wakes us */
	if (s->step == SYNC_CONNS)
		send_conns(s);
	else if (s->step == SYNC_STATES)
		send_states(s);
	if (s->step == SYNC_CONNS || s->step == SYNC_STATES) {
		sync_pump_soon(s);
	} else if (s->step == SYNC_APPS) {
		nsr_store_cursor_stop(&s->cursor);
		/* an application that came a moment ago has more to say than the store holds */
		if (!app_ask_snapshot(s->g, s->ask_out))
			all_sent(s);
	}
}

void sync_app_snapshots_done(struct group *g)
{
	if (g->sync->step == SYNC_APPS && !ev_is_active(&g->sync->pump))
		all_sent(g->sync);
}

void sync_send_snapshot(struct group *g, uint32_t ask)
{
	struct sync_group *s = g->sync;
	struct attr_buf b = { 0 };

	sync_stop(s);
	if (!sync_link(s))
		return;
	s->live = true;
	s->ask_out = ask;
	s->step = SYNC_CONNS;
	sync_begin(&b, g);
	attr_put_u32(&b, NSR_SYNC_A_ASK, ask);
	sync_send(s, NSR_FRAME_SNAPSHOT_BEGIN, &b);
	nsr_store_cursor_start(g->store, &s->cursor);
	sync_pump_soon(s);
}

void sync_end_snapshot(struct group *g, struct nsr_term term, uint32_t epoch, uint32_t ask)
{
	struct sync_group *s = g->sync;
	uint8_t digest[NSR_STORE_DIGEST];
	struct attr_buf b = { 0 };
	uint64_t seq;

	if (s->step != SYNC_SENT || ask != s->ask_out)
		return;
	gate_close_all(g);
	nsr_store_digest(g->store, digest);
	sync_begin(&b, g);
	attr_put_u32(&b, NSR_SYNC_A_ASK, ask);
	attr_put_u64(&b, TCP_NSR_A_TERM, term.number);
	attr_put_u32(&b, TCP_NSR_A_TERM_OWNER, term.owner);
	attr_put_u32(&b, TCP_NSR_A_EPOCH, epoch);
	attr_put(&b, NSR_SYNC_A_DIGEST, digest, sizeof(digest));
	s->step = SYNC_ENDED;
	/* ORDER: from the END on the standby may take over; who has to wait for it is told before */
	app_conn_status(g, 0);
	seq = sync_send(s, NSR_FRAME_SNAPSHOT_END, &b);
	sync_acks_ended(s, seq ? seq : UINT64_MAX);
}
