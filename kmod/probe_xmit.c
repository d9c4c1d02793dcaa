// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: solicitation: the segments.
 *
 * A probe is one byte of old data: SEQ a random distance below what the far end has acknowledged, so
 * that it can only discard it and answer, with a D-SACK of that very byte if it knows how. The byte
 * is there because dataless segments are rate-limited; it is never delivered. Built by hand: the stack
 * has no idea yet of the positions, and must not count these.
 *
 * When a first answer has named a candidate for the send position, a dataless segment with SEQ at the
 * candidate and a fresh TSval goes ahead: the far end notes its TSval only if the candidate is its
 * RCV.NXT. The old byte, which bears a later TSval that cannot be noted, elicits the echo.
 */
#include <linux/random.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

#include "nsr.h"

#define MIN_DISTANCE	2U
#define MAX_DISTANCE	(1U << 20)	/* firewalls on the way have windows too */
#define LEAST_SPREAD	1024U

/* How far our clock of timestamps is ahead of the old active's, in milliseconds. */
#define TS_SLACK_MS	1000

static u32 ts_clock(const struct nsr_conn *conn)
{
	return tcp_clock_ts(nsr_tcp_usec_ts(tcp_sk(conn->sk)));
}

/**
 * nsr_ts_now() - our TSval at this instant
 * @conn: connection with timestamps
 */
u32 nsr_ts_now(const struct nsr_conn *conn)
{
	return ts_clock(conn) + conn->ts_offset;
}

/**
 * nsr_ts_fix() - fixes the offset of our timestamps, once per reign
 * @conn: shadow, socket locked
 *
 * Never backwards for the far end, and not far ahead: that would poison it (RFC 7323, section 5).
 */
void nsr_ts_fix(struct nsr_conn *conn)
{
	bool usec = nsr_tcp_usec_ts(tcp_sk(conn->sk));
	u64 elapsed = ktime_get_boottime_ns() - conn->cur.taken_at;
	u32 unit = usec ? NSEC_PER_USEC : NSEC_PER_MSEC;
	u32 slack = TS_SLACK_MS * (NSEC_PER_MSEC / unit);

	if (conn->ts_ready || !(conn->rec.flags & TCP_NSR_CONN_F_TSTAMP))
		return;
	conn->ts_offset = conn->cur.tsval + (u32)div_u64(elapsed, unit) + slack - ts_clock(conn);
	conn->ts_first = nsr_ts_now(conn);
	/* What left in an earlier reign counts too. */
	if (conn->ts_used && (s32)(conn->ts_first - conn->ts_last) <= 0) {
		conn->ts_offset += conn->ts_last + 1 - conn->ts_first;
		conn->ts_first = conn->ts_last + 1;
	}
	conn->ts_ready = true;
}

/* Each one larger than the one before, also within one tick of the clock. */
static u32 ts_next(struct nsr_conn *conn)
{
	u32 ts = nsr_ts_now(conn);

	if (conn->ts_used && (s32)(ts - conn->ts_last) <= 0) {
		conn->ts_offset += conn->ts_last + 1 - ts;
		ts = conn->ts_last + 1;
		if (conn->phase != TCP_NSR_PHASE_SHADOW)
			tcp_sk(conn->sk)->tsoffset = conn->ts_offset;
	}
	conn->ts_used = true;
	conn->ts_last = ts;
	return ts;
}

/* As the shadow will advertise it: the right edge does not move to the left. */
static u16 window_field(const struct nsr_conn *conn)
{
	const struct tcp_sock *tp = tcp_sk(conn->sk);
	u8 scale = tp->rx_opt.rcv_wscale;
	u64 wnd = tp->rcv_wnd;
	u64 pos;

	if (conn->phase != TCP_NSR_PHASE_SHADOW) {
		wnd = tcp_receive_window(tp);
	} else {
		pos = nsr_pos_extend(tp->rcv_nxt, conn->rec.irs + 1, conn->cur.rcv_nxt);
		if (conn->cur.right_edge > pos)
			wnd = max_t(u64, wnd, conn->cur.right_edge - pos);
	}
	return min_t(u64, (wnd + (1U << scale) - 1) >> scale, 65535);
}

static void put_ts(struct tcphdr *th, u32 tsval, u32 tsecr)
{
	__be32 *p = (__be32 *)(th + 1);

	p[0] = htonl((TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_TIMESTAMP << 8) |
		     TCPOLEN_TIMESTAMP);
	p[1] = htonl(tsval);
	p[2] = htonl(tsecr);
}

static void put_checksum(const struct nsr_conn *conn, struct sk_buff *skb)
{
	const struct nsr_record *rec = &conn->rec;
	struct tcphdr *th = tcp_hdr(skb);

	if (rec->family == AF_INET)
		th->check = ~tcp_v4_check(skb->len, rec->laddr.ip, rec->raddr.ip, 0);
	else
		th->check = ~tcp_v6_check(skb->len, &rec->laddr.ip6, &rec->raddr.ip6, 0);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct tcphdr, check);
}

#ifdef CONFIG_TCP_MD5SIG
static struct tcp_md5sig_key *md5_key(const struct sock *sk)
{
	return nsr_test_is_off(PROBE_SIGN) ? NULL : tcp_sk(sk)->af_specific->md5_lookup(sk, sk);
}

/* @p: where the option stands. The header is complete, but for this and the checksum. */
static void sign(struct sock *sk, struct sk_buff *skb, __be32 *p, const struct tcp_md5sig_key *key)
{
	*p++ = htonl((TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_MD5SIG << 8) |
		     TCPOLEN_MD5SIG);
	tcp_sk(sk)->af_specific->calc_md5_hash((char *)p, key, sk, skb);
}
#else
static struct tcp_md5sig_key *md5_key(const struct sock *sk)
{
	return NULL;
}

static void sign(struct sock *sk, struct sk_buff *skb, __be32 *p, const struct tcp_md5sig_key *key)
{
}
#endif

/* One segment with ACK at the floor, and @len (0 or 1) bytes of old data. */
static int send_segment(struct nsr_conn *conn, u32 seq, u32 tsval, unsigned int len)
{
	bool ts = conn->rec.flags & TCP_NSR_CONN_F_TSTAMP;
	unsigned int hdr = sizeof(struct tcphdr) + (ts ? TCPOLEN_TSTAMP_ALIGNED : 0);
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct tcp_md5sig_key *key = md5_key(sk);
	struct sk_buff *skb;
	struct tcphdr *th;
	bool leaves;
	u32 recent;

	if (key)
		hdr += TCPOLEN_MD5SIG_ALIGNED;
	skb = alloc_skb(MAX_TCP_HEADER + 1, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, MAX_TCP_HEADER);
	skb_put_zero(skb, len);
	th = skb_push(skb, hdr);
	skb_reset_transport_header(skb);
	memset(th, 0, hdr);
	th->source = conn->rec.lport;
	th->dest = conn->rec.rport;
	th->seq = htonl(seq);
	th->ack_seq = htonl(tp->rcv_nxt);
	th->doff = hdr / 4;
	th->ack = 1;
	th->psh = !!len;
	th->window = htons(window_field(conn));
	/* As the stack does where it tells a window: what was told is rounded. */
	if (conn->phase != TCP_NSR_PHASE_SHADOW) {
		tp->rcv_wup = tp->rcv_nxt;
		tp->rcv_wnd = (u32)ntohs(th->window) << tp->rx_opt.rcv_wscale;
	}
	if (ts) {
		recent = conn->phase == TCP_NSR_PHASE_SHADOW ? conn->cur.ts_recent :
							       tp->rx_opt.ts_recent;
		put_ts(th, tsval, recent);
	}
	if (key)
		sign(sk, skb, (__be32 *)(th + 1) + (ts ? TCPOLEN_TSTAMP_ALIGNED / 4 : 0), key);
	put_checksum(conn, skb);
	skb_set_owner_w(skb, sk);
	skb->mark = sk->sk_mark;
	/* A provisional connection of mode lossless tells no more than its other segments. */
	rcu_read_lock();
	leaves = nsr_gate_segment(conn, skb);
	rcu_read_unlock();
	if (!leaves) {
		kfree_skb(skb);
		return -ENOMEM;
	}
	return conn->orig_af_ops->queue_xmit(sk, skb, &inet_sk(sk)->cork.fl);
}

static u32 old_seq(const struct nsr_conn *conn)
{
	u32 spread = clamp(conn->cur.snd_wnd, LEAST_SPREAD, MAX_DISTANCE);
	u32 una = conn->phase == TCP_NSR_PHASE_SHADOW ?
			  nsr_pos_to_seq(conn->cur.snd_una, conn->rec.iss + 1) :
			  tcp_sk(conn->sk)->snd_una;

	return una - MIN_DISTANCE - get_random_u32() % (spread - MIN_DISTANCE + 1);
}

/**
 * nsr_probe_send() - asks the far end where it stands
 * @conn: shadow or provisional connection; socket locked
 *
 * Return: 0, or why it could not be sent: -EPERM: the group may not emit; the route's error.
 */
int nsr_probe_send(struct nsr_conn *conn)
{
	struct nsr_probe *p = &conn->probes[conn->probe_next];
	bool ts = conn->rec.flags & TCP_NSR_CONN_F_TSTAMP;
	struct nsr_probe next = { .used = true };
	int err;

	if (!nsr_group_may_emit(conn->group))
		return -EPERM;
	nsr_ts_fix(conn);
	conn->probe_last = ktime_get_boottime_ns();
	next.seq = old_seq(conn);
	if (ts && conn->have_cand && conn->phase == TCP_NSR_PHASE_SHADOW) {
		next.cand = conn->cand_ack;
		next.tsval = ts_next(conn);
		next.has_cand = true;
		err = send_segment(conn, next.cand, next.tsval, 0);
		if (err)
			return err;
	}
	/* Before it leaves: over a device without a queue the answer may come first. */
	*p = next;
	conn->probe_next = (conn->probe_next + 1) % NSR_PROBE_RING;
	err = send_segment(conn, next.seq, ts ? ts_next(conn) : 0, 1);
	if (err)
		return err;
	if (conn->probe_tries < U8_MAX)
		conn->probe_tries++;
	nsr_stat_inc(conn->group, TCP_NSR_A_STAT_PROBES);
	return 0;
}
