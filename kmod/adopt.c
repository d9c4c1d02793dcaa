// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: decides what a segment means to a shadow: drop it, or adopt both positions by it.
 *
 * Runs in the stack's receive path, before header prediction, with the socket locked, in softirq or
 * from the backlog. The hook cannot consume the segment. To drop it, its sequence numbers in the
 * control block (which belongs to this copy alone; the packet's bytes are shared with captures and
 * other copies) are made old and dataless, and the stack discards it: unacceptable, nothing to
 * D-SACK. The duplicate ACK that would follow is put off by the stack's own rate limit, and by
 * queue_xmit() in any case.
 *
 * Documentation/adoption.md has the rules and their reasons.
 */
#include "nsr.h"
#include "trace.h"

/* Probes sent at once in answer to a segment, per reign: enough for both kinds of nonce. */
#define BURST		4
#define SOON_NS		(10 * NSEC_PER_MSEC)

static void drop_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	struct tcp_sock *tp = tcp_sk(conn->sk);

	TCP_SKB_CB(skb)->seq = tp->rcv_wup - 2;
	TCP_SKB_CB(skb)->end_seq = TCP_SKB_CB(skb)->seq;
	WRITE_ONCE(tp->last_oow_ack_time, tcp_jiffies32 ?: 1);
}

static bool reject(struct nsr_conn *conn, const struct nsr_seg *seg, int stat)
{
	nsr_stat_inc(conn->group, stat);
	trace_nsr_segment(conn, stat, seg->seq, seg->ack);
	return false;
}

/* Now, if that did not happen too often; an answer must not be a way to make us send without bound. */
static void probe_again(struct nsr_conn *conn)
{
	if (conn->probe_burst < BURST) {
		conn->probe_burst++;
		nsr_probe_send(conn);
	} else {
		nsr_probe_at(conn, conn->probe_last + SOON_NS);
	}
}

static u64 life_over(const struct nsr_conn *conn)
{
	u64 life;

	rcu_read_lock();
	life = (u64)rcu_dereference(conn->group->cfg)->segment_life_ms * NSEC_PER_MSEC;
	rcu_read_unlock();
	return READ_ONCE(conn->group->active_since) + life;
}

/**
 * nsr_adopt_by_age() - may answers without a nonce decide by now? (rule age-after-a-life)
 * @conn: shadow
 * @now: boot time
 *
 * Everything that was sent before the takeover is dead. Not with timestamps: every far end that has
 * them echoes, and whoever cannot see the echo shall not decide.
 */
bool nsr_adopt_by_age(const struct nsr_conn *conn, u64 now)
{
	if (conn->rec.flags & TCP_NSR_CONN_F_TSTAMP)
		return false;
	return now > life_over(conn);
}

/**
 * nsr_adopt_doom() - the connection cannot go on: to be reset, loudly
 * @conn: shadow or provisional connection whose positions are set; socket locked
 * @cause: enum tcp_nsr_close_cause
 *
 * The reset is left to the probe work: the socket cannot be closed under the segment that the stack is
 * about to process.
 */
void nsr_adopt_doom(struct nsr_conn *conn, u8 cause)
{
	conn->doomed = true;
	conn->doomed_reign = READ_ONCE(conn->group->active_since);
	conn->close_cause = cause;
	if (cause == TCP_NSR_CLOSE_BROKEN)
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_BROKEN);
	nsr_group_exempt_add(conn->group, &conn->rec, conn->sk->sk_bound_dev_if);
	nsr_probe_soon(conn);
}

/* The far end's FIN lies below F: the stack will never see it. */
static void enter_close_wait(struct sock *sk)
{
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | RCV_SHUTDOWN);
	sock_set_flag(sk, SOCK_DONE);
	inet_sk_set_state(sk, TCP_CLOSE_WAIT);
}

/**
 * nsr_adopt_resume() - the rules need the hook no more
 * @conn: provisional connection, or one that is about to be; socket locked
 * @skb: segment in hand, or NULL
 */
void nsr_adopt_resume(struct nsr_conn *conn, struct sk_buff *skb)
{
	struct sock *sk = conn->sk;

	nsr_conn_set_phase(conn, TCP_NSR_PHASE_RESUMED);
	nsr_stat_inc(conn->group, TCP_NSR_A_STAT_RESUMED);
	if (conn->fin_waits) {
		conn->fin_waits = false;
		enter_close_wait(sk);
		sk->sk_state_change(sk);
	}
	if (skb && sk->sk_state == TCP_ESTABLISHED)
		conn->orig_af_ops->sk_rx_dst_set(sk, skb);
	nsr_shadow_restore(conn);
	if (conn->gated)
		nsr_gate_install(conn);
}

static int adopted_stat(u8 by)
{
	switch (by) {
	case TCP_NSR_ADOPTED_DSACK:
		return TCP_NSR_A_STAT_ADOPTED_DSACK;
	case TCP_NSR_ADOPTED_TSECR:
		return TCP_NSR_A_STAT_ADOPTED_TSECR;
	case TCP_NSR_ADOPTED_AGE:
		return TCP_NSR_A_STAT_ADOPTED_AGE;
	case TCP_NSR_ADOPTED_HANDOVER:
		return TCP_NSR_A_STAT_ADOPTED_HANDOVER;
	default:
		return TCP_NSR_A_STAT_ADOPTED_FIRST;
	}
}

/* Does the far end perhaps hold pieces of the old active's output, without a way to tell us?
 * (rule blind-is-uncertain)
 */
static bool cannot_be_known(const struct nsr_conn *conn, u8 by)
{
	return by == TCP_NSR_ADOPTED_AGE ||
	       (by == TCP_NSR_ADOPTED_TSECR && !(conn->rec.flags & TCP_NSR_CONN_F_SACK));
}

/* What is missing in each direction (rule vouched-tells-gap).
 * Return: whether the gap policy is asked.
 */
static bool find_gaps(struct nsr_conn *conn, const struct nsr_floor *f, u8 by)
{
	u64 ref = conn->has_snd_vouched ? conn->snd_vouched : conn->cur.write_seq;
	bool unknown;

	if (by == TCP_NSR_ADOPTED_FIRST)
		return false;
	/* The journal has the bytes, and an ACK heals. */
	if (nsr_conn_is_lossless(conn))
		return false;
	unknown = cannot_be_known(conn, by);
	conn->rcv_missing = f->missing;
	conn->snd_missing = ref - conn->snd_pos;
	/* Only cursors: what was written after the last one, nobody here knows. */
	conn->snd_uncertain = unknown || (!conn->has_snd_vouched && by != TCP_NSR_ADOPTED_HANDOVER);
	if (conn->snd_uncertain)
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_UNCERTAIN);
	return f->missing || conn->snd_missing || unknown;
}

static void count_gap(struct nsr_conn *conn, bool reset)
{
	u64 bytes = conn->rcv_missing + abs(conn->snd_missing);

	nsr_stat_inc(conn->group, reset ? TCP_NSR_A_STAT_GAPS_RESET : TCP_NSR_A_STAT_GAPS_REPORTED);
	atomic64_add(bytes, &conn->group->stats[TCP_NSR_A_STAT_GAP_BYTES]);
}

/* Is there nothing left that the far end could have sent and the old active acknowledged? */
static bool no_gap_possible(const struct nsr_conn *conn, const struct nsr_seg *seg, u8 by,
			    const struct nsr_floor *f)
{
	u32 rcv_nxt = tcp_sk(conn->sk)->rcv_nxt;

	if (!seg || by == TCP_NSR_ADOPTED_FIRST || f->fin)
		return true;
	/* In mode lossless a gap is a broken promise, and is to be found out. */
	if (f->exact && !nsr_conn_is_lossless(conn))
		return true;
	/* SND.NXT is F; or F itself arrives. */
	return seg->seq == rcv_nxt || (before(seg->seq, rcv_nxt) && after(seg->end_seq, rcv_nxt));
}

static void go_on(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb, u8 by,
		  const struct nsr_floor *f)
{
	struct sock *sk = conn->sk;

	conn->adopted_at = ktime_get_boottime_ns();
	if (seg) {
		conn->far_snd_nxt = seg->end_seq;
		conn->have_far_snd_nxt = by != TCP_NSR_ADOPTED_FIRST;
	}
	conn->gap_open = !no_gap_possible(conn, seg, by, f);
	/* In CLOSE_WAIT the stack does not call the hook, which heals. */
	if (f->fin && conn->heals)
		conn->fin_waits = true;
	else if (f->fin)
		enter_close_wait(sk);
	if (conn->rec.mode == TCP_NSR_MODE_LOSSLESS)
		nsr_gate_start(conn, conn->floor,
			       max(conn->cur.right_edge, conn->floor + tcp_sk(sk)->rcv_wnd), conn->floor);
	/*
	 * From here on the one flag is about this box, and its daemon's; and the positions move: what was exact is
	 * no more, or the next takeover would go by cursors as if somebody had handed them over.
	 */
	conn->rec.flags &= ~(TCP_NSR_CONN_F_UNPROTECTED | TCP_NSR_CONN_F_EXACT);
	if (!conn->gap_open && !conn->heals) {
		nsr_adopt_resume(conn, skb);
	} else {
		nsr_conn_set_phase(conn, TCP_NSR_PHASE_PROVISIONAL);
		conn->probe_tries = 0;
		nsr_probe_at(conn, conn->adopted_at + 50 * NSEC_PER_MSEC);
	}
	nsr_shadow_wake(conn);
	/* Opens the window of a far end that waits in persist. */
	nsr_tcp_send_ack(sk, tcp_sk(sk)->rcv_nxt);
	nsr_event_conn_change(conn);
}

/*
 * Mode lossless: where the journal ends, nothing above has ever left. Return: false if the far end has
 * more than the journal: somebody wrote without it.
 */
static bool set_journal_end(struct nsr_conn *conn)
{
	conn->heals = false;
	if (!nsr_conn_is_lossless(conn))
		return true;
	/* Without a transaction nothing was written since the connection became protected. */
	conn->journal_end = conn->has_snd_vouched ? conn->snd_vouched : conn->cur.write_seq;
	conn->heals = conn->snd_pos < conn->journal_end && !nsr_test_is_off(HEAL);
	return conn->snd_pos <= conn->journal_end;
}

/* Return: whether the segment is the stack's now. */
static bool adopt(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb, u8 by,
		  u64 snd_pos, const struct nsr_floor *f)
{
	bool gap, reset;

	conn->adopted_by = by;
	conn->floor = f->pos;
	conn->floor_exact = f->exact;
	conn->snd_pos = snd_pos;
	nsr_stat_inc(conn->group, adopted_stat(by));
	gap = find_gaps(conn, f, by);
	nsr_position_set(conn, seg);
	if (!set_journal_end(conn) || f->broken) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_BROKEN);
		return false;
	}
	reset = gap && conn->rec.gap != TCP_NSR_GAP_REPORT;
	if (seg && by != TCP_NSR_ADOPTED_FIRST && !nsr_conn_is_lossless(conn) &&
	    nsr_seg_holes(seg, by)) {
		/* Our bytes would be spliced with the old active's: no policy makes that right. */
		conn->snd_uncertain = true;
		reset = true;
		gap = true;
	}
	if (gap)
		count_gap(conn, reset);
	if (reset) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_GAP);
		return false;
	}
	go_on(conn, seg, skb, by, f);
	return true;
}

static bool adopt_by_segment(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb,
			     u8 by)
{
	struct nsr_floor f;

	nsr_position_floor(conn, &f);
	return adopt(conn, seg, skb, by,
		     nsr_pos_extend(seg->ack, conn->rec.iss + 1, conn->cur.snd_una), &f);
}

static bool adopt_naively(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb)
{
	struct nsr_floor f = {
		.pos = nsr_pos_extend(seg->seq, conn->rec.irs + 1, conn->cur.rcv_nxt),
	};

	return adopt(conn, seg, skb, TCP_NSR_ADOPTED_FIRST,
		     nsr_pos_extend(seg->ack, conn->rec.iss + 1, conn->cur.snd_una), &f);
}

/* The largest answer that left the far end after a segment life; it must be said twice, so that one
 * delayed behind a later one does not decide.
 */
static bool answer_by_age(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb, u64 now)
{
	if (conn->have_best && before(seg->ack, conn->best_ack))
		return false;
	if (!conn->have_best || seg->ack != conn->best_ack) {
		conn->have_best = true;
		conn->best_ack = seg->ack;
		conn->best_at = now;
		probe_again(conn);
		return false;
	}
	if (now - conn->best_at < SOON_NS) {
		nsr_probe_at(conn, conn->best_at + SOON_NS);
		return false;
	}
	return adopt_by_segment(conn, seg, skb, TCP_NSR_ADOPTED_AGE);
}

static bool answer_without_nonce(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb)
{
	u64 now = ktime_get_boottime_ns();

	reject(conn, seg, TCP_NSR_A_STAT_REJECT_NONCE);
	if (!conn->probe_tries)
		return false;
	if (conn->rec.flags & TCP_NSR_CONN_F_TSTAMP && (!conn->have_cand || conn->cand_ack != seg->ack)) {
		conn->have_cand = true;
		conn->cand_ack = seg->ack;
		probe_again(conn);
	}
	if (nsr_adopt_by_age(conn, now))
		return answer_by_age(conn, seg, skb, now);
	return false;
}

/* The far end has no such connection (its RST repeats our ACK), or is about to make a new one. */
static bool without_connection(struct nsr_conn *conn, const struct nsr_seg *seg)
{
	if (seg->th->rst && conn->probe_tries && seg->seq == tcp_sk(conn->sk)->rcv_nxt)
		return true;
	reject(conn, seg, TCP_NSR_A_STAT_REJECT_FLAGS);
	/* Our ACK makes a far end in SYN-SENT reset the old connection, and then its SYN is welcome. */
	if (seg->th->syn && !seg->th->rst && conn->rec.mode != TCP_NSR_MODE_NAIVE)
		nsr_probe_at(conn, conn->probe_last + SOON_NS);
	return false;
}

/* Return: whether the segment is the stack's. */
static bool shadow_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	struct nsr_seg seg;
	int cause;
	u8 by;

	if (!nsr_group_is_active(conn->group)) {
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_SHADOW_DROPS);
		return false;
	}
	if (!nsr_seg_parse(&seg, skb)) {
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_REJECT_CSUM);
		return false;
	}
	nsr_probe_renew(conn);
	if (seg.th->syn || seg.th->rst || !seg.th->ack)
		return without_connection(conn, &seg);
	if (conn->rec.mode == TCP_NSR_MODE_NAIVE) {
		/* After a planned switchover no segment decides; it comes again. */
		if (nsr_adopt_is_handover(conn))
			return reject(conn, &seg, TCP_NSR_A_STAT_REJECT_NONCE);
		return adopt_naively(conn, &seg, skb);
	}
	cause = nsr_seg_check(conn, &seg);
	if (cause)
		return reject(conn, &seg, cause);
	by = nsr_seg_nonce(conn, &seg);
	if (!nsr_seg_check_seq(conn, &seg, by != TCP_NSR_ADOPTED_NONE))
		return reject(conn, &seg, TCP_NSR_A_STAT_REJECT_SEQ);
	if (by == TCP_NSR_ADOPTED_NONE)
		return answer_without_nonce(conn, &seg, skb);
	return adopt_by_segment(conn, &seg, skb, by);
}

/**
 * nsr_adopt_segment() - the hook: a segment arrives on a shadow or a provisional connection
 * @conn: connection; socket locked
 * @skb: segment; the stack goes on with it
 */
void nsr_adopt_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	if (conn->doomed || conn->silent ||
	    (conn->phase == TCP_NSR_PHASE_SHADOW && !shadow_segment(conn, skb)))
		drop_segment(conn, skb);
	else if (conn->phase == TCP_NSR_PHASE_PROVISIONAL)
		nsr_gap_segment(conn, skb);
}

/**
 * nsr_adopt_is_handover() - are these the positions of a planned switchover?
 * @conn: shadow
 *
 * Everything sent was acknowledged when the last cursor was read: otherwise a probe has to say where (in
 * mode naive: the first segment). Exact in every mode: nothing of it is the method's guess.
 */
bool nsr_adopt_is_handover(const struct nsr_conn *conn)
{
	return conn->rec.flags & TCP_NSR_CONN_F_EXACT && conn->cur.snd_una == conn->cur.write_seq;
}

/**
 * nsr_adopt_handover() - adopts without a segment
 * @conn: shadow for which nsr_adopt_is_handover(); socket locked, process context
 */
void nsr_adopt_handover(struct nsr_conn *conn)
{
	struct nsr_floor f;

	nsr_position_floor(conn, &f);
	adopt(conn, NULL, NULL, TCP_NSR_ADOPTED_HANDOVER, conn->cur.snd_una, &f);
}
