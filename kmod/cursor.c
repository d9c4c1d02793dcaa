// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: replicates the cursors that moved.
 *
 * Once per interval every protected or resumed connection of an active group is looked at; what moved
 * since it was last told goes out, several connections per event. A connection that falls silent is
 * told at the next turn without further ado: its last movement is its news. The turn comes often
 * enough for positions to be taken as nearest to the last one: 2^30 bytes in 100 ms are 85 Gbit/s.
 *
 * A turn waits for no socket. If its application has it locked, perhaps blocked within, the cursor is
 * read without the lock, twice, and counts if nothing moved in between, or at the next turn.
 */
#include "event.h"

/* Timestamps are told this often even if no position moves. */
#define REFRESH_NS	(60ULL * NSEC_PER_SEC)

/* an event being filled: one group per event */
struct turn {
	struct nsr_event ev;
	const struct nsr_group *group;
	bool open;
};

static void flush(struct nsr_net *ns, struct turn *turn)
{
	if (!turn->open)
		return;
	nsr_event_send(ns, &turn->ev);
	turn->open = false;
}

static bool equal(const struct nsr_cursor *a, const struct nsr_cursor *b)
{
	return a->rcv_nxt == b->rcv_nxt && a->rcv_wup == b->rcv_wup &&
	       a->copied_seq == b->copied_seq && a->right_edge == b->right_edge &&
	       a->snd_una == b->snd_una && a->snd_nxt == b->snd_nxt &&
	       a->write_seq == b->write_seq && a->state == b->state;
}

static bool moved(const struct nsr_cursor *last, const struct nsr_cursor *cur)
{
	return !equal(last, cur) || last->snd_wnd != cur->snd_wnd ||
	       last->sndbuf != cur->sndbuf || last->rcvbuf != cur->rcvbuf ||
	       last->pmtu != cur->pmtu || !nsr_opts_equal(&last->opts, &cur->opts) || cur->taken_at - last->taken_at > REFRESH_NS;
}

/* A lossless connection has its positions when it is provisional, and may be so for as long as its far
 * end takes nothing.
 */
static bool is_ours(const struct nsr_conn *conn)
{
	switch (READ_ONCE(conn->phase)) {
	case TCP_NSR_PHASE_PROTECTED:
	case TCP_NSR_PHASE_RESUMED:
		return true;
	case TCP_NSR_PHASE_PROVISIONAL:
		return READ_ONCE(conn->gated);
	}
	return false;
}

/*
 * Something was done to the socket that the standby could not take over. An application that gets another protocol
 * from the kernel (TLS, ...) does that when the handshake is over, and so when the connection is protected.
 * In PHASE_PROVISIONAL the ULP is ours, and there is no place for another.
 */
static u8 spoilt(const struct nsr_conn *conn)
{
	if (!nsr_gate_intact(conn))
		return TCP_NSR_REFUSED_GATE;
	if (conn->phase != TCP_NSR_PHASE_PROVISIONAL && inet_csk(conn->sk)->icsk_ulp_ops)
		return TCP_NSR_REFUSED_ULP;
	return TCP_NSR_REFUSED_NOT;
}

/*
 * Its protection ends. If a gate is closed, the standby is to know before it opens (rule told-before-open): the daemon
 * is told, opens it when that is so, and the next turn ends it; so it does without a daemon once the group's gates are
 * open. Where the gate itself is gone there is nothing to wait for. Socket's spinlock held, nobody owns it.
 */
static void look_at_socket(struct nsr_conn *conn)
{
	u8 why;

	if (!is_ours(conn))
		return;
	nsr_device_follow(conn);
	why = spoilt(conn);
	if (!why)
		return;
	if (why == TCP_NSR_REFUSED_GATE || !nsr_gate_is_closed(conn)) {
		nsr_conn_refuse(conn, why);
	} else if (conn->rec.refused != why) {
		WRITE_ONCE(conn->rec.refused, why);
		nsr_event_conn_change(conn);
	}
}

/**
 * nsr_cursor_read() - reads a connection's positions without waiting for its application
 * @conn: connection
 * @cur: set; the replicated positions if it is a shadow
 *
 * Context: softirqs off, no socket lock held.
 * Return: false if they kept moving under an application that has the socket locked.
 */
bool nsr_cursor_read(const struct nsr_conn *conn, struct nsr_cursor *cur)
{
	struct nsr_cursor again;
	bool ok = true;
	int tries;

	bh_lock_sock(conn->sk);
	if (READ_ONCE(conn->phase) == TCP_NSR_PHASE_SHADOW) {
		*cur = conn->cur;
	} else {
		nsr_cursor_capture(conn, cur);
		if (sock_owned_by_user_nocheck(conn->sk)) {
			ok = false;
			for (tries = 0; tries < 4 && !ok; tries++) {
				/* The second look comes after the first. */
				smp_rmb();
				nsr_cursor_capture(conn, &again);
				ok = equal(cur, &again);
				*cur = again;
			}
		}
	}
	bh_unlock_sock(conn->sk);
	return ok;
}

static void tell(struct nsr_net *ns, struct turn *turn, struct nsr_conn *conn,
		 const struct nsr_cursor *cur, unsigned int what)
{
	bool fresh = false;

	if (turn->open && turn->group != conn->group)
		flush(ns, turn);
	for (;;) {
		if (!turn->open) {
			fresh = true;
			turn->open = true;
			turn->group = conn->group;
			if (!nsr_event_start(&turn->ev, TCP_NSR_CMD_CONN_CHANGE_NTF,
					     conn->group->id, GFP_KERNEL))
				return;	/* flush() leaves the gap */
		}
		if (!turn->ev.skb || !nsr_conn_fill(turn->ev.skb, conn, cur, what))
			return;
		if (WARN_ON_ONCE(fresh))
			return;
		flush(ns, turn);
	}
}

static void look(struct nsr_net *ns, struct turn *turn, struct nsr_conn *conn)
{
	unsigned int what = NSR_FILL_CURSOR;
	struct nsr_cursor cur;
	bool news, again;

	if (!is_ours(conn) || !nsr_group_is_active(conn->group))
		return;
	local_bh_disable();
	bh_lock_sock(conn->sk);
	if (!sock_owned_by_user_nocheck(conn->sk))
		look_at_socket(conn);
	bh_unlock_sock(conn->sk);
	/* Before reading: what comes after is for the next turn. */
	again = xchg(&conn->retell, false);
	news = nsr_cursor_read(conn, &cur);
	if (news) {
		bh_lock_sock(conn->sk);
		/* A change of state in between has told more than this. */
		news = is_ours(conn) && (again || conn->dev_news || moved(&conn->cur, &cur)) &&
		       conn->cur.taken_at <= cur.taken_at;
		if (again || !nsr_opts_equal(&conn->cur.opts, &cur.opts))
			what |= NSR_FILL_OPTS;
		if (news && conn->dev_news)
			what |= NSR_FILL_DEVICE;
		if (news) {
			conn->dev_news = false;
			conn->cur = cur;
		}
		bh_unlock_sock(conn->sk);
	}
	local_bh_enable();
	if (news)
		tell(ns, turn, conn, &cur, what);
	else if (again)
		WRITE_ONCE(conn->retell, true);
}

/* Is there a connection to look at? Not so on a standby, however many shadows it has. */
static bool has_work(struct nsr_net *ns)
{
	struct nsr_group *g;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(g, &ns->groups, node)
		found |= nsr_group_is_active(g) && atomic_read(&g->nr_conns);
	rcu_read_unlock();
	return found;
}

static void cursor_work(struct work_struct *work)
{
	struct nsr_net *ns = container_of(work, struct nsr_net, cursor_work.work);
	struct nsr_conn *conn = NULL;
	struct turn turn = {};
	u64 serial = 0;

	if (has_work(ns)) {
		while ((conn = nsr_conn_next(ns, conn, &serial))) {
			look(ns, &turn, conn);
			cond_resched();
		}
	}
	flush(ns, &turn);
	if (xchg(&ns->scan_again, false))
		nsr_scan_start(ns);
	if (!list_empty(&ns->groups))
		queue_delayed_work(system_power_efficient_wq, &ns->cursor_work,
				   msecs_to_jiffies(READ_ONCE(ns->cursor_interval_ms)));
}

void nsr_cursor_init(struct nsr_net *ns)
{
	ns->cursor_interval_ms = 100;
	INIT_DELAYED_WORK(&ns->cursor_work, cursor_work);
}

void nsr_cursor_exit(struct nsr_net *ns)
{
	cancel_delayed_work_sync(&ns->cursor_work);
}

/* There is a group, or the interval has changed. */
void nsr_cursor_kick(struct nsr_net *ns)
{
	mod_delayed_work(system_power_efficient_wq, &ns->cursor_work,
			 msecs_to_jiffies(READ_ONCE(ns->cursor_interval_ms)));
}
