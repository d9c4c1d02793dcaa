// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: what a segment on a shadow says, and whether it can be believed.
 *
 * Nothing here changes anything. MD5, min TTL, xfrm and socket filters have been checked by the stack
 * before; the checksum has not.
 */
#include <linux/unaligned.h>

#include "nsr.h"

/* How far the old active can be ahead of its last cursor: they are refreshed before so many bytes. */
#define CURSOR_LAG	(1U << 30)
/* A far end's timestamp says nothing about order across so long a time (RFC 7323, section 5.5). */
#define TS_VALID_NS	(24ULL * 24 * 3600 * NSEC_PER_SEC)

static void parse_sack(struct nsr_seg *seg, const u8 *p, unsigned int len)
{
	if (len < 2 + 8 || (len - 2) % 8)
		return;
	for (p += 2, len -= 2; len >= 8 && seg->nsack < ARRAY_SIZE(seg->sack); p += 8, len -= 8) {
		seg->sack[seg->nsack].start = get_unaligned_be32(p);
		seg->sack[seg->nsack].end = get_unaligned_be32(p + 4);
		seg->nsack++;
	}
}

static bool parse_options(struct nsr_seg *seg)
{
	const u8 *p = (const u8 *)(seg->th + 1);
	int left = seg->th->doff * 4 - (int)sizeof(struct tcphdr);

	while (left > 0) {
		unsigned int len;

		if (*p == TCPOPT_EOL)
			return true;
		if (*p == TCPOPT_NOP) {
			p++;
			left--;
			continue;
		}
		if (left < 2)
			return false;
		len = p[1];
		if (len < 2 || (int)len > left)
			return false;
		if (*p == TCPOPT_TIMESTAMP && len == TCPOLEN_TIMESTAMP) {
			seg->has_ts = true;
			seg->tsval = get_unaligned_be32(p + 2);
			seg->tsecr = get_unaligned_be32(p + 6);
		} else if (*p == TCPOPT_SACK) {
			parse_sack(seg, p, len);
		}
		p += len;
		left -= len;
	}
	return true;
}

/**
 * nsr_seg_parse() - takes a segment apart
 * @seg: set
 * @skb: segment as tcp_rcv_established() has it: data at the TCP header, the header linear
 *
 * Return: false if the checksum is wrong or the header malformed.
 */
bool nsr_seg_parse(struct nsr_seg *seg, struct sk_buff *skb)
{
	const struct tcphdr *th = (const struct tcphdr *)skb->data;

	memset(seg, 0, sizeof(*seg));
	if (th->doff * 4 < sizeof(*th) || skb->len < th->doff * 4 ||
	    skb_headlen(skb) < th->doff * 4 || tcp_checksum_complete(skb))
		return false;
	seg->th = th;
	seg->seq = TCP_SKB_CB(skb)->seq;
	seg->end_seq = TCP_SKB_CB(skb)->end_seq;
	seg->ack = TCP_SKB_CB(skb)->ack_seq;
	seg->wnd = ntohs(th->window);
	return parse_options(seg);
}

/*
 * In mode lossless nothing above the journal's end has left. If there is a proof of it all the same, that
 * is a promise broken, which is said (adopt.c), and not dropped here.
 */
static bool check_ack(const struct nsr_conn *conn, u32 ack)
{
	const struct nsr_cursor *cur = &conn->cur;
	u64 pos = nsr_pos_extend(ack, conn->rec.iss + 1, cur->snd_una);
	u64 most = max3(cur->write_seq, cur->snd_nxt, conn->has_snd_vouched ? conn->snd_vouched : 0);

	/* Below position 0 the extension wraps around, and is far above. */
	return pos >= cur->snd_una && pos <= most + CURSOR_LAG;
}

static bool check_ts(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	const struct nsr_cursor *cur = &conn->cur;

	if (!(conn->rec.flags & TCP_NSR_CONN_F_TSTAMP))
		return true;
	/* RFC 7323, section 3.2: once negotiated, each segment has it. */
	if (!seg->has_ts)
		return false;
	if (!cur->ts_recent || ktime_get_boottime_ns() - cur->taken_at > TS_VALID_NS)
		return true;
	return (s32)(seg->tsval - cur->ts_recent) >= 0;
}

/**
 * nsr_seg_check() - can this segment be an answer to the old active or to us? (rule journal-reaches-back)
 * @conn: shadow
 * @seg: segment with ACK, without SYN and RST
 *
 * Return: 0, or the counter of the cause: TCP_NSR_A_STAT_REJECT_ACK, TCP_NSR_A_STAT_REJECT_TS.
 */
int nsr_seg_check(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	if (!check_ack(conn, seg->ack))
		return TCP_NSR_A_STAT_REJECT_ACK;
	if (!check_ts(conn, seg))
		return TCP_NSR_A_STAT_REJECT_TS;
	return 0;
}

/**
 * nsr_seg_check_seq() - is SEG.SEQ where it can be?
 * @conn: shadow whose tcp_sock has F as rcv_nxt
 * @seg: segment
 * @nonce: it has our nonce: the window may have moved far since the last cursor
 */
bool nsr_seg_check_seq(const struct nsr_conn *conn, const struct nsr_seg *seg, bool nonce)
{
	const struct tcp_sock *tp = tcp_sk(conn->sk);
	s32 off = seg->seq - tp->rcv_nxt;
	s32 bound = nonce ? 1 << 30 : max_t(s32, tp->window_clamp, 65535);

	return off >= -bound && off <= bound;
}

static bool is_dsack(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	int i;

	if (!seg->nsack || seg->sack[0].end != seg->sack[0].start + 1)
		return false;
	for (i = 0; i < NSR_PROBE_RING; i++)
		if (conn->probes[i].used && conn->probes[i].seq == seg->sack[0].start)
			return true;
	return false;
}

/* The echo of the TSval of a dataless segment at the candidate: it was taken only if the candidate is
 * the far end's RCV.NXT, and its ACK says so.
 */
static bool is_tsecr(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	const struct nsr_probe *p = conn->probes;
	int i;

	if (!seg->has_ts || !(conn->rec.flags & TCP_NSR_CONN_F_TSTAMP))
		return false;
	for (i = 0; i < NSR_PROBE_RING; i++, p++)
		if (p->used && p->has_cand && p->tsval == seg->tsecr && p->cand == seg->ack)
			return true;
	return false;
}

/**
 * nsr_seg_nonce() - does the segment prove that one of our probes caused it? (rule nonce-decides)
 * @conn: shadow or provisional connection
 * @seg: segment
 *
 * Return: TCP_NSR_ADOPTED_DSACK, TCP_NSR_ADOPTED_TSECR or TCP_NSR_ADOPTED_NONE.
 */
u8 nsr_seg_nonce(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	if (is_dsack(conn, seg))
		return TCP_NSR_ADOPTED_DSACK;
	if (is_tsecr(conn, seg))
		return TCP_NSR_ADOPTED_TSECR;
	return TCP_NSR_ADOPTED_NONE;
}

/**
 * nsr_seg_holes() - does the far end hold pieces of the old active's output beyond its RCV.NXT?
 *	(rule holes-reset)
 * @seg: segment
 * @by: enum tcp_nsr_adopted_by: with a D-SACK the first block is the nonce
 */
bool nsr_seg_holes(const struct nsr_seg *seg, u8 by)
{
	int i;

	for (i = by == TCP_NSR_ADOPTED_DSACK; i < seg->nsack; i++)
		if (after(seg->sack[i].end, seg->ack))
			return true;
	return false;
}

/**
 * nsr_seg_fresh() - did the far end send this segment after the takeover?
 * @conn: provisional connection
 * @seg: segment
 *
 * A nonce proves it; so does the echo of a TSval that only we have sent: ours start a second ahead of
 * the old active's. Without both, a segment life after the takeover.
 */
bool nsr_seg_fresh(const struct nsr_conn *conn, const struct nsr_seg *seg)
{
	u64 life;

	if (nsr_seg_nonce(conn, seg) != TCP_NSR_ADOPTED_NONE)
		return true;
	if (seg->has_ts && conn->ts_ready && conn->rec.flags & TCP_NSR_CONN_F_TSTAMP)
		return (s32)(seg->tsecr - conn->ts_first) >= 0;
	rcu_read_lock();
	life = (u64)rcu_dereference(conn->group->cfg)->segment_life_ms * NSEC_PER_MSEC;
	rcu_read_unlock();
	return ktime_get_boottime_ns() > READ_ONCE(conn->group->active_since) + life;
}
