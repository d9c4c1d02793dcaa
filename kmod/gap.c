// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: what a provisional connection still waits for: that no byte between F and what the far end
 * sends next was acknowledged by the old active.
 *
 * That is over when the far end sends F after the takeover, or when an answer that left after it shows
 * SND.NXT at F. An old copy of F proves nothing, but it is taken: F is what comes after it then. A gap is
 * proven when a segment above F is retransmitted three times at growing intervals, and none below it
 * meanwhile: that is the head of the far end's queue in back-off, and what lies below it is gone. (A tail
 * loss probe comes once, and so does an old copy.) Silence proves nothing: some stacks wait a minute.
 *
 * In mode lossless it also waits until the whole journal has been sent again. The far end may hold more
 * of it than our send position says: pieces beyond a hole, or what was still on its way when it answered.
 * The stack would drop an ACK above SND.NXT as one of data never sent, and wedge. So the stack is given it
 * as an ACK of everything sent so far; what lies between is sent again, and answered, until the two meet.
 * Once SND.NXT has reached the journal's end there can be no such ACK any more. Until then a FIN of the
 * far end is cut off (it will be repeated): in CLOSE_WAIT nothing calls the hook.
 */
#include "nsr.h"
#include "trace.h"

/* Rules head-proves-gap, fresh-answer-resumes, bound-says-uncertain: tests/models/recv.cc */
#define RETRANSMISSIONS	3
/* Two copies of one transmission, made by the network, come closer together than any retransmission. */
#define COPY_NS		(20 * NSEC_PER_MSEC)

static void note_far_snd_nxt(struct nsr_conn *conn, const struct nsr_seg *seg)
{
	if (!conn->have_far_snd_nxt || after(seg->end_seq, conn->far_snd_nxt)) {
		conn->far_snd_nxt = seg->end_seq;
		conn->have_far_snd_nxt = true;
	}
}

/*
 * Ascending, and each one newer than those below it: one that comes again ends what was thought of those
 * above it. So an old copy below the head does not hide it: it does not come again.
 *
 * Return: the segment is the head of the far end's queue, proven.
 */
static bool note_head(struct nsr_conn *conn, u32 seq, u64 now)
{
	struct nsr_head *h;
	u64 interval;

	while (conn->nr_heads && after(conn->heads[conn->nr_heads - 1].seq, seq))
		conn->nr_heads--;
	if (!conn->nr_heads || conn->heads[conn->nr_heads - 1].seq != seq) {
		if (conn->nr_heads < NSR_HEADS)
			conn->heads[conn->nr_heads++] = (struct nsr_head) {
				.seq = seq, .seen = 1, .last = now,
			};
		return false;
	}
	h = &conn->heads[conn->nr_heads - 1];
	interval = now - h->last;
	if (interval < COPY_NS)
		return false;
	h->last = now;
	/* Back-off doubles; half as much again tells it from jitter. */
	if (interval * 2 >= h->interval * 3)
		h->seen++;
	else
		h->seen = 2;
	h->interval = interval;
	return h->seen > RETRANSMISSIONS;
}

/*
 * What waits for F may have come. If the far end has sent F since the takeover, all above it is in its
 * hands. Else it was an old copy (rule fresh-answer-resumes), and the old active may have acknowledged
 * more.
 */
static void look_at_floor(struct nsr_conn *conn)
{
	u64 pos = nsr_pos_extend(tcp_sk(conn->sk)->rcv_nxt, conn->rec.irs + 1, conn->floor);

	if (pos == conn->floor)
		return;
	if (conn->floor_fresh)
		conn->gap_open = false;
	conn->floor = pos;
	conn->nr_heads = 0;
}

static bool has_to_heal(struct nsr_conn *conn)
{
	if (conn->heals &&
	    !before(tcp_sk(conn->sk)->snd_nxt, nsr_pos_to_seq(conn->journal_end, conn->rec.iss + 1)))
		conn->heals = false;
	return conn->heals;
}

/* If there is nothing left to wait for, an ordinary connection. */
static void try_finish(struct nsr_conn *conn, struct sk_buff *skb)
{
	if (conn->gap_open || has_to_heal(conn))
		return;
	nsr_adopt_resume(conn, skb);
	nsr_event_conn_change(conn);
}

static void proven(struct nsr_conn *conn, u32 seq, struct sk_buff *skb)
{
	const struct tcp_sock *tp = tcp_sk(conn->sk);
	bool reset = conn->rec.gap != TCP_NSR_GAP_REPORT;
	u32 missing = seq - tp->rcv_nxt;

	if (conn->floor_exact) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_BROKEN);
		return;
	}
	/* There is no hole in what the application has yet to read: it comes again when that is read. */
	if (!reset && tp->copied_seq != tp->rcv_nxt)
		return;
	conn->rcv_missing += missing;
	atomic64_add(missing, &conn->group->stats[TCP_NSR_A_STAT_GAP_BYTES]);
	nsr_stat_inc(conn->group, reset ? TCP_NSR_A_STAT_GAPS_RESET : TCP_NSR_A_STAT_GAPS_REPORTED);
	if (reset) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_GAP);
		return;
	}
	nsr_position_skip(conn, seq);
	conn->gap_open = false;
	try_finish(conn, skb);
}

/* The journal has not been sent up to its end (rule heal-to-journal-end): what the segment says of our
 * data, and a FIN.
 */
static void heal(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = TCP_SKB_CB(skb);
	u32 snd_nxt = tcp_sk(conn->sk)->snd_nxt;

	if (after(seg->ack, snd_nxt) &&
	    !after(seg->ack, nsr_pos_to_seq(conn->journal_end, conn->rec.iss + 1))) {
		cb->ack_seq = snd_nxt;
		if (!conn->healed) {
			conn->healed = true;
			nsr_stat_inc(conn->group, TCP_NSR_A_STAT_HEALED);
			trace_nsr_segment(conn, TCP_NSR_A_STAT_HEALED, seg->seq, seg->ack);
		}
	}
	if (cb->tcp_flags & TCPHDR_FIN) {
		cb->tcp_flags &= ~TCPHDR_FIN;
		cb->end_seq--;
	}
}

/* Does the segment show that there is no gap, or that there is one? */
static void watch(struct nsr_conn *conn, const struct nsr_seg *seg, struct sk_buff *skb)
{
	u32 rcv_nxt = tcp_sk(conn->sk)->rcv_nxt;

	bool fresh = nsr_seg_fresh(conn, seg);

	look_at_floor(conn);
	if (!conn->gap_open)
		return;
	if (fresh) {
		note_far_snd_nxt(conn, seg);
		if (seg->seq == seg->end_seq && seg->seq == rcv_nxt) {
			conn->gap_open = false;
			return;
		}
	}
	if (seg->seq == seg->end_seq)
		return;
	if (!after(seg->seq, rcv_nxt)) {
		conn->nr_heads = 0;
		if (after(seg->end_seq, rcv_nxt)) {
			conn->floor_fresh |= fresh;
			/* Whether the stack takes it is seen afterwards. */
			nsr_probe_at(conn, conn->probe_last + COPY_NS);
		}
		return;
	}
	if (note_head(conn, seg->seq, ktime_get_boottime_ns()) && conn->have_far_snd_nxt &&
	    after(conn->far_snd_nxt, rcv_nxt))
		proven(conn, seg->seq, skb);
}

/**
 * nsr_gap_segment() - a segment arrives on a provisional connection
 * @conn: connection; socket locked
 * @skb: segment; the stack processes it afterwards
 */
void nsr_gap_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	struct nsr_seg seg;

	/* A bad one, a reset or a SYN is for the stack to judge. */
	if (!nsr_seg_parse(&seg, skb) || seg.th->syn || seg.th->rst || !seg.th->ack)
		return;
	if (conn->gap_open)
		watch(conn, &seg, skb);
	if (conn->phase != TCP_NSR_PHASE_PROVISIONAL || conn->doomed)
		return;
	if (has_to_heal(conn))
		heal(conn, &seg, skb);
	else
		try_finish(conn, skb);
}

/**
 * nsr_gap_tick() - bound in time of a provisional connection
 * @conn: connection; socket locked, process context
 * @now: boot time
 *
 * After the bound the receive position is uncertain, and says so; the connection goes on. Where the
 * position is exact there is nothing uncertain.
 */
void nsr_gap_tick(struct nsr_conn *conn, u64 now)
{
	u32 rcv_nxt = tcp_sk(conn->sk)->rcv_nxt;
	u64 bound;

	rcu_read_lock();
	bound = (u64)rcu_dereference(conn->group->cfg)->gap_bound_ms * NSEC_PER_MSEC;
	rcu_read_unlock();
	if (conn->gap_open)
		look_at_floor(conn);
	if (conn->gap_open && now - conn->adopted_at >= bound) {
		conn->gap_open = false;
		if (!conn->floor_exact) {
			if (conn->have_far_snd_nxt && after(conn->far_snd_nxt, rcv_nxt))
				conn->rcv_uncertain = conn->far_snd_nxt - rcv_nxt;
			nsr_stat_inc(conn->group, TCP_NSR_A_STAT_UNCERTAIN);
		}
	}
	try_finish(conn, NULL);
}
