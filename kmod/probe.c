// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: solicitation: which shadow probes when.
 *
 * One delayed work per group walks the connections, in order of birth and round robin, so many per
 * turn as the group's rate allows. Each shadow has its own due time and backs off. The work also does
 * what needs process context: adoption after a planned switchover, bounds in time, resets for gaps.
 *
 * The role flip touches no shadow: probes belong to a generation of the role, and a shadow whose
 * probes are of another one starts anew when it is looked at.
 */
#include <linux/random.h>

#include "nsr.h"

#define TURN_MS		10
#define FIRST_NS	(50ULL * NSEC_PER_MSEC)
#define SLOW_NS		NSEC_PER_SEC		/* back-off stays here ... */
#define SLOW_TRIES	20			/* ... for so long, ... */
#define SLOWEST_NS	(10ULL * NSEC_PER_SEC)	/* ... and then here. */
/* A probe that the stack could not send (no route, no address yet) costs the network nothing. */
#define LOCAL_NS	(20ULL * NSEC_PER_MSEC)
/* A connection that only waits for its journal to be sent is looked at this often. */
#define HEAL_NS		(250ULL * NSEC_PER_MSEC)
#define NEVER		U64_MAX

/* Has the next turn not later than @delay from now; never puts one off. Any context. */
static void queue_turn(struct nsr_group *g, unsigned long delay)
{
	struct delayed_work *work = &g->probe_work;

	/* role_lock: two callers must not both look before one of them acts. */
	spin_lock_bh(&g->role_lock);
	if (!READ_ONCE(g->dead) &&
	    (!delayed_work_pending(work) || time_before(jiffies + delay, work->timer.expires)))
		mod_delayed_work(system_unbound_wq, work, delay);
	spin_unlock_bh(&g->role_lock);
}

/**
 * nsr_probe_start() - the group became active: solicitation begins
 * @g: group
 */
void nsr_probe_start(struct nsr_group *g)
{
	queue_turn(g, 0);
}

/**
 * nsr_probe_stop() - the group is mute; a turn in progress sends nothing any more
 * @g: group
 */
void nsr_probe_stop(struct nsr_group *g)
{
	cancel_delayed_work(&g->probe_work);
}

/**
 * nsr_probe_at() - has a connection looked at at a certain time, or earlier
 * @conn: connection
 * @when: boot time
 *
 * Context: any.
 */
void nsr_probe_at(struct nsr_conn *conn, u64 when)
{
	u64 now = ktime_get_boottime_ns();

	if (READ_ONCE(conn->probe_due) > when)
		WRITE_ONCE(conn->probe_due, when);
	queue_turn(conn->group, when > now ? nsecs_to_jiffies(when - now) + 1 : 0);
}

void nsr_probe_soon(struct nsr_conn *conn)
{
	nsr_probe_at(conn, ktime_get_boottime_ns());
}

/**
 * nsr_probe_renew() - forgets nonces and answers of an earlier reign
 * @conn: shadow, socket locked
 */
void nsr_probe_renew(struct nsr_conn *conn)
{
	u32 generation = READ_ONCE(conn->group->generation);
	struct tcp_sock *tp = tcp_sk(conn->sk);
	struct nsr_floor f;

	if (conn->phase != TCP_NSR_PHASE_SHADOW)
		return;
	/* Cursors may have come since the last look. */
	nsr_position_floor(conn, &f);
	WRITE_ONCE(tp->rcv_nxt, nsr_pos_to_seq(f.pos, conn->rec.irs + 1));
	WRITE_ONCE(tp->copied_seq, tp->rcv_nxt);
	tp->rcv_wup = tp->rcv_nxt;
	if (conn->probe_gen == generation)
		return;
	conn->probe_gen = generation;
	nsr_device_renew(conn);
	/* In another reign the other box may have had it since: what was found out then is no more. */
	if (conn->doomed && conn->doomed_reign != READ_ONCE(conn->group->active_since)) {
		conn->doomed = false;
		conn->close_cause = 0;
	}
	memset(conn->probes, 0, sizeof(conn->probes));
	conn->probe_tries = 0;
	conn->probe_burst = 0;
	conn->have_cand = false;
	conn->have_best = false;
	conn->ts_ready = false;
	WRITE_ONCE(conn->probe_due, 0);
}

static u64 back_off(unsigned int tries)
{
	u64 interval = tries >= SLOW_TRIES ? SLOWEST_NS :
		       min_t(u64, FIRST_NS << min(tries, 5U), SLOW_NS);

	/* Shadows of one group shall not stay in step. */
	return interval + get_random_u32() % (u32)(interval / 4);
}

/* What the next look is for: the next probe, or the end of a bound. Socket locked. */
static u64 solicit(struct nsr_conn *conn, u64 now)
{
	unsigned int tries = conn->probe_tries;
	u64 next;

	if (nsr_probe_send(conn))
		return now + LOCAL_NS;
	next = now + back_off(tries);
	/* Answers by age must not wait for the end of a long pause. */
	if (conn->phase == TCP_NSR_PHASE_SHADOW && !nsr_adopt_by_age(conn, now) &&
	    nsr_adopt_by_age(conn, next))
		next = min(next, now + SLOW_NS);
	return next;
}

static u64 look_at_shadow(struct nsr_conn *conn, u64 now)
{
	if (nsr_adopt_is_handover(conn)) {
		/* Its ACK shall leave: the address moves after the role. */
		if (!nsr_group_may_emit(conn->group) || conn->orig_af_ops->rebuild_header(conn->sk))
			return now + LOCAL_NS;
		nsr_adopt_handover(conn);
		return NEVER;
	}
	if (conn->rec.mode == TCP_NSR_MODE_NAIVE)
		return NEVER;
	return solicit(conn, now);
}

static u64 look_at(struct nsr_conn *conn, u64 now)
{
	if (conn->phase == TCP_NSR_PHASE_SHADOW)
		return look_at_shadow(conn, now);
	if (conn->phase != TCP_NSR_PHASE_PROVISIONAL)
		return NEVER;
	nsr_gap_tick(conn, now);
	if (conn->phase != TCP_NSR_PHASE_PROVISIONAL)
		return NEVER;
	return conn->gap_open ? solicit(conn, now) : now + HEAL_NS;
}

/* Return: when to look again. */
static u64 visit(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;
	u64 next = NEVER, now;
	bool doomed;

	lock_sock(sk);
	/* Not before: it may have been adopted while this turn waited, and that must not lie ahead. */
	now = ktime_get_boottime_ns();
	/* A segment may set it anew while this turn looks. */
	WRITE_ONCE(conn->probe_due, NEVER);
	/* While this turn waited for the lock, the application may have shut it down. */
	if ((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) && !conn->silent) {
		nsr_probe_renew(conn);
		if (!conn->doomed)
			next = look_at(conn, now);
	}
	doomed = conn->doomed && sk->sk_state != TCP_CLOSE;
	if (next < READ_ONCE(conn->probe_due))
		WRITE_ONCE(conn->probe_due, next);
	release_sock(sk);
	if (doomed)
		tcp_abort(sk, ECONNRESET);
	return READ_ONCE(conn->probe_due);
}

static bool is_due(const struct nsr_conn *conn, const struct nsr_group *g, u64 now)
{
	if (conn->group != g)
		return false;
	switch (READ_ONCE(conn->phase)) {
	case TCP_NSR_PHASE_SHADOW:
		return READ_ONCE(conn->probe_gen) != READ_ONCE(g->generation) ||
		       READ_ONCE(conn->probe_due) <= now;
	case TCP_NSR_PHASE_PROVISIONAL:
		return READ_ONCE(conn->probe_due) <= now;
	default:
		return false;
	}
}

static u64 next_due(const struct nsr_conn *conn, const struct nsr_group *g)
{
	u8 phase = READ_ONCE(conn->phase);

	if (conn->group != g || (phase != TCP_NSR_PHASE_SHADOW && phase != TCP_NSR_PHASE_PROVISIONAL))
		return NEVER;
	return READ_ONCE(conn->probe_due);
}

static unsigned int turn_budget(struct nsr_group *g)
{
	u32 rate;

	rcu_read_lock();
	rate = rcu_dereference(g->cfg)->probe_rate;
	rcu_read_unlock();
	return max(rate / (MSEC_PER_SEC / TURN_MS), 1U);
}

/**
 * nsr_probe_work() - one turn
 * @work: struct nsr_group.probe_work
 */
void nsr_probe_work(struct work_struct *work)
{
	struct nsr_group *g = container_of(to_delayed_work(work), struct nsr_group, probe_work);
	unsigned int budget = turn_budget(g);
	u64 now = ktime_get_boottime_ns();
	u64 serial = g->probe_serial, next = NEVER;
	struct nsr_conn *conn = NULL;

	if (!nsr_group_is_active(g))
		return;
	while (budget && (conn = nsr_conn_next(g->ns, conn, &serial))) {
		if (is_due(conn, g, now)) {
			next = min(next, visit(conn));
			budget--;
		} else {
			next = min(next, next_due(conn, g));
		}
		cond_resched();
	}
	if (conn) {
		/* Out of budget: goes on here. */
		nsr_conn_put(conn);
		g->probe_serial = serial;
		next = 0;
	} else if (g->probe_serial) {
		/* The round began in the middle: what lies before has its turn. */
		g->probe_serial = 0;
		next = 0;
	}
	if (next == NEVER || !nsr_group_is_active(g) || READ_ONCE(g->dead))
		return;
	now = ktime_get_boottime_ns();
	queue_turn(g, next > now + TURN_MS * NSEC_PER_MSEC ? nsecs_to_jiffies(next - now) + 1 :
							     msecs_to_jiffies(TURN_MS));
}
