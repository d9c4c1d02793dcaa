// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: what a provisional connection still waits for: that no byte between F and what the far end
 * sends next was acknowledged by the old active.
 *
 * It is over when F arrives in order, or when an answer that left after the takeover shows SND.NXT at
 * F. A gap is proven when the same lowest segment above F is retransmitted three times at growing
 * intervals: that is the head of the far end's queue in back-off, and what lies below it is gone. (A
 * tail loss probe comes once.) Silence proves nothing: some stacks wait a minute.
 */
#include "nsr.h"
#include "trace.h"

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

static void forget_head(struct nsr_conn *conn)
{
	conn->gap_seen = 0;
	conn->gap_interval = 0;
}

/* Return: the segment is the head of the far end's queue, proven. */
static bool note_head(struct nsr_conn *conn, u32 seq, u64 now)
{
	u64 interval = now - conn->gap_last;

	if (!conn->gap_seen || before(seq, conn->gap_seq)) {
		conn->gap_seq = seq;
		conn->gap_seen = 1;
		conn->gap_interval = 0;
		conn->gap_last = now;
		return false;
	}
	if (seq != conn->gap_seq || interval < COPY_NS)
		return false;
	conn->gap_last = now;
	/* Back-off doubles; half as much again tells it from jitter. */
	if (interval * 2 >= conn->gap_interval * 3)
		conn->gap_seen++;
	else
		conn->gap_seen = 2;
	conn->gap_interval = interval;
	return conn->gap_seen > RETRANSMISSIONS;
}

static void finish(struct nsr_conn *conn, struct sk_buff *skb)
{
	nsr_adopt_resume(conn, skb);
	nsr_event_conn_change(conn);
}

static void proven(struct nsr_conn *conn, struct sk_buff *skb)
{
	u32 missing = conn->gap_seq - tcp_sk(conn->sk)->rcv_nxt;
	bool reset = conn->rec.gap != TCP_NSR_GAP_REPORT;

	if (conn->floor_exact) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_BROKEN);
		return;
	}
	conn->rcv_missing += missing;
	atomic64_add(missing, &conn->group->stats[TCP_NSR_A_STAT_GAP_BYTES]);
	nsr_stat_inc(conn->group, reset ? TCP_NSR_A_STAT_GAPS_RESET : TCP_NSR_A_STAT_GAPS_REPORTED);
	if (reset) {
		nsr_adopt_doom(conn, TCP_NSR_CLOSE_GAP);
		return;
	}
	nsr_position_skip(conn, conn->gap_seq);
	finish(conn, skb);
}

/**
 * nsr_gap_segment() - a segment arrives on a provisional connection
 * @conn: connection; socket locked
 * @skb: segment; the stack processes it afterwards
 */
void nsr_gap_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	u32 rcv_nxt = tcp_sk(conn->sk)->rcv_nxt;
	struct nsr_seg seg;

	/* A bad one, a reset or a SYN is for the stack to judge. */
	if (!nsr_seg_parse(&seg, skb) || seg.th->syn || seg.th->rst || !seg.th->ack)
		return;
	if (rcv_nxt != nsr_pos_to_seq(conn->floor, conn->rec.irs + 1)) {
		/* F arrived by a way that was not seen here. */
		finish(conn, skb);
		return;
	}
	if (nsr_seg_fresh(conn, &seg)) {
		note_far_snd_nxt(conn, &seg);
		if (seg.seq == seg.end_seq && seg.seq == rcv_nxt) {
			finish(conn, skb);
			return;
		}
	}
	if (seg.seq == seg.end_seq)
		return;
	if (!after(seg.seq, rcv_nxt)) {
		forget_head(conn);
		/* Whether the stack takes it is seen afterwards. */
		if (after(seg.end_seq, rcv_nxt))
			nsr_probe_soon(conn);
		return;
	}
	if (note_head(conn, seg.seq, ktime_get_boottime_ns()) && conn->have_far_snd_nxt &&
	    after(conn->far_snd_nxt, rcv_nxt))
		proven(conn, skb);
}

/**
 * nsr_gap_tick() - bound in time of a provisional connection
 * @conn: connection; socket locked, process context
 * @now: boot time
 *
 * After the bound the receive position is uncertain, and says so; the connection goes on.
 */
void nsr_gap_tick(struct nsr_conn *conn, u64 now)
{
	u32 rcv_nxt = tcp_sk(conn->sk)->rcv_nxt;
	u64 bound;

	rcu_read_lock();
	bound = (u64)rcu_dereference(conn->group->cfg)->gap_bound_ms * NSEC_PER_MSEC;
	rcu_read_unlock();
	if (rcv_nxt != nsr_pos_to_seq(conn->floor, conn->rec.irs + 1)) {
		finish(conn, NULL);
		return;
	}
	if (now - conn->adopted_at < bound)
		return;
	if (conn->have_far_snd_nxt && after(conn->far_snd_nxt, rcv_nxt))
		conn->rcv_uncertain = conn->far_snd_nxt - rcv_nxt;
	nsr_stat_inc(conn->group, TCP_NSR_A_STAT_UNCERTAIN);
	finish(conn, NULL);
}
