// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: sets the positions of an adopted socket, and all that hangs on them.
 *
 * A is the send position, F the receive position. What the stack derives from a handshake is derived
 * here from the record and, if there is one, the segment that decided.
 */
#include <linux/ktime.h>

#include "nsr.h"

/**
 * nsr_position_floor() - where receiving goes on (rules floor-from-vouched, fin-is-a-position)
 * @conn: shadow
 * @f: set
 *
 * What the application vouches for, tail included; or, if it reads by itself, the cursor. Bytes that
 * are known to have been acknowledged or received beyond what is vouched for exist nowhere: a gap,
 * and the far end goes on behind it. Where the floor is exact there cannot be one.
 *
 * In mode lossless what was received and not acknowledged is still in the far end's hands: without a
 * transaction the floor is the highest ACK that left.
 */
void nsr_position_floor(const struct nsr_conn *conn, struct nsr_floor *f)
{
	const struct nsr_cursor *cur = &conn->cur;
	bool fin = conn->rec.flags & TCP_NSR_CONN_F_RCV_FIN || cur->state == TCP_CLOSE_WAIT;
	u64 held;

	memset(f, 0, sizeof(*f));
	f->exact = conn->rec.flags & TCP_NSR_CONN_F_EXACT || nsr_conn_is_lossless(conn);
	f->pos = conn->has_rcv_vouched ? conn->rcv_vouched :
		 nsr_conn_is_lossless(conn) ? cur->rcv_wup : cur->rcv_nxt;
	held = conn->has_rcv_vouched ? conn->rcv_vouched : cur->copied_seq;
	/* A FIN is one position, passed when everything before it is. */
	if (fin && f->pos + 1 == cur->rcv_nxt)
		f->pos++;
	if (fin && held + 1 == cur->rcv_nxt)
		held++;
	if (f->pos < cur->rcv_wup) {
		f->broken = f->exact;
		f->pos = cur->rcv_wup;
	}
	if (f->pos > held)
		f->missing = f->pos - held;
	f->fin = fin && f->pos == cur->rcv_nxt;
}

static void set_send(struct nsr_conn *conn, u32 a)
{
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);

	tp->snd_una = a;
	WRITE_ONCE(tp->snd_nxt, a);
	WRITE_ONCE(tp->write_seq, a);
	tp->pushed_seq = a;
	tp->snd_sml = a;
	tp->snd_up = a;
	tp->high_seq = a;
	tp->cwnd_usage_seq = a;
	tp->rtt_seq = a;
	tp->undo_marker = 0;
	tp->retrans_stamp = 0;
	tp->total_retrans = 0;
	tp->bytes_sent = conn->snd_pos;
	tp->bytes_retrans = 0;
	tp->lsndtime = tcp_jiffies32;
	tp->snd_cwnd_stamp = tcp_jiffies32;
}

static void set_receive(struct nsr_conn *conn, u32 f)
{
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	u32 most = 65535U << tp->rx_opt.rcv_wscale;
	u64 edge = conn->cur.right_edge;

	WRITE_ONCE(tp->rcv_nxt, f);
	WRITE_ONCE(tp->copied_seq, f);
	tp->rcv_wup = f;
	/* The right edge never moves to the left (RFC 9293, section 3.8.6). */
	if (edge > conn->floor)
		tp->rcv_wnd = clamp_t(u64, edge - conn->floor, tp->rcv_wnd, most);
	tp->rcv_ssthresh = max(tp->rcv_ssthresh, tp->rcv_wnd);
	tp->window_clamp = max(tp->window_clamp, tp->rcv_wnd);
#ifdef NSR_HAVE_RCV_MWND_SEQ
	tp->rcv_mwnd_seq = f + tp->rcv_wnd;
#endif
	/* Otherwise buffer autotuning takes F for the bytes of one round trip. */
	tp->rcvq_space.seq = f;
	tp->rcvq_space.time = tp->tcp_mstamp;
	tp->rcvq_space.space = min_t(u32, tp->rcv_wnd, TCP_INIT_CWND * tp->advmss);
	tp->rcv_rtt_est.seq = f;
	tp->rcv_rtt_est.time = tp->tcp_mstamp;
	tp->rx_opt.num_sacks = 0;
	tp->rx_opt.dsack = 0;
}

/* A handed-over connection has no segment to learn from: the next one with SEG.SEQ >= F corrects. */
static void set_send_window(struct nsr_conn *conn, const struct nsr_seg *seg)
{
	struct tcp_sock *tp = tcp_sk(conn->sk);

	tp->snd_wnd = seg ? (u32)seg->wnd << tp->rx_opt.snd_wscale : conn->cur.snd_wnd;
	tp->max_window = max(tp->snd_wnd, conn->cur.snd_wnd);
	tp->snd_wl1 = (seg ? seg->seq : tp->rcv_nxt) - 1;
}

static void set_timestamps(struct nsr_conn *conn, const struct nsr_seg *seg)
{
	struct tcp_sock *tp = tcp_sk(conn->sk);
	u32 recent = conn->cur.ts_recent;

	if (!(conn->rec.flags & TCP_NSR_CONN_F_TSTAMP))
		return;
	nsr_ts_fix(conn);
	tp->tsoffset = conn->ts_offset;
	if (seg && seg->has_ts)
		recent = seg->tsval;
	tp->rx_opt.ts_recent = recent;
	tp->rx_opt.ts_recent_stamp = recent ? ktime_get_seconds() : 0;
}

/* As tcp_initialize_rcv_mss(), which is not exported everywhere. */
static void set_rcv_mss(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 hint = min_t(u32, tp->advmss, tp->mss_cache);

	hint = min3(hint, tp->rcv_wnd / 2, (u32)TCP_MSS_DEFAULT);
	inet_csk(sk)->icsk_ack.rcv_mss = max_t(u32, hint, TCP_MIN_MSS);
}

static void init_congestion_control(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	if (icsk->icsk_ca_initialized)
		return;
	tcp_sk(sk)->prior_ssthresh = 0;
	if (icsk->icsk_ca_ops->init)
		icsk->icsk_ca_ops->init(sk);
	if (tcp_ca_needs_ecn(sk))
		INET_ECN_xmit(sk);
	else
		INET_ECN_dontxmit(sk);
	icsk->icsk_ca_initialized = 1;
}

static void init_transfer(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct dst_entry *dst;

	/* Without a route now the next segment looks for one. */
	conn->orig_af_ops->rebuild_header(sk);
	dst = __sk_dst_get(sk);
	icsk->icsk_sync_mss(sk, dst ? dst_mtu(dst) : conn->cur.pmtu ?: IPV6_MIN_MTU);
	set_rcv_mss(sk);
	init_congestion_control(sk);
	icsk->icsk_retransmits = 0;
	icsk->icsk_backoff = 0;
	icsk->icsk_probes_out = 0;
	icsk->icsk_ack.lrcvtime = tcp_jiffies32;
	icsk->icsk_ack.quick = TCP_MAX_QUICKACKS;
	inet_csk_exit_pingpong_mode(sk);
	icsk->icsk_ack.ato = TCP_ATO_MIN;
}

/**
 * nsr_position_set() - sets both positions of a shadow
 * @conn: shadow, socket locked; floor and snd_pos are what is set
 * @seg: the segment that decided, or NULL after a planned switchover
 */
void nsr_position_set(struct nsr_conn *conn, const struct nsr_seg *seg)
{
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);

	nsr_tcp_refresh(tp);
	set_send(conn, nsr_pos_to_seq(conn->snd_pos, conn->rec.iss + 1));
	set_receive(conn, nsr_pos_to_seq(conn->floor, conn->rec.irs + 1));
	set_send_window(conn, seg);
	set_timestamps(conn, seg);
	nsr_record_imprint(&conn->rec, sk, conn->snd_pos, conn->floor);
	tp->rcv_tstamp = tcp_jiffies32;
	tp->last_oow_ack_time = 0;
	tp->pred_flags = 0;
	tp->urg_data = 0;
	init_transfer(conn);
}

/**
 * nsr_position_skip() - receiving goes on behind a proven gap
 * @conn: provisional connection, socket locked; nothing has arrived in order since its adoption
 * @to: sequence number of the first byte that the far end still has
 *
 * Called before the segment at @to is processed: the stack queues it in order, and takes with it what
 * waits out of order.
 */
void nsr_position_skip(struct nsr_conn *conn, u32 to)
{
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	u32 by = to - tp->rcv_nxt;
	u32 window = tcp_receive_window(tp);

	WRITE_ONCE(tp->rcv_nxt, to);
	WRITE_ONCE(tp->copied_seq, to);
	tp->rcv_wup = to;
	tp->rcv_wnd = window > by ? window - by : 0;
	tp->rcvq_space.seq = to;
	tp->rcv_rtt_est.seq = to;
	tp->bytes_received += by;
	tp->pred_flags = 0;
}
