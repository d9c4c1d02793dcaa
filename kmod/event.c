// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: connection and group attributes, and the events that carry them.
 *
 * Every event has a number of its namespace; number and multicast are one step under event_lock. An
 * event that cannot be built for want of memory leaves its number unused: the gap tells the daemon to
 * dump again, and the dump is the truth. Nothing asks whether anybody listens: that is not told per
 * namespace, and an overflowing listener looks like none.
 */
#include <linux/sock_diag.h>

#include "event.h"
#include "trace.h"

static int put_addr(struct sk_buff *skb, int attr, u8 family, const union nsr_addr *addr)
{
	return family == AF_INET6 ? nla_put_in6_addr(skb, attr, &addr->ip6) :
				    nla_put_in_addr(skb, attr, addr->ip);
}

static int put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, TCP_NSR_A_CONN_PAD);
}

static int put_tuple(struct sk_buff *skb, const struct nsr_record *rec)
{
	return nla_put_u8(skb, TCP_NSR_A_CONN_FAMILY, rec->family) ?:
	       put_addr(skb, TCP_NSR_A_CONN_LADDR, rec->family, &rec->laddr) ?:
	       put_addr(skb, TCP_NSR_A_CONN_RADDR, rec->family, &rec->raddr) ?:
	       nla_put_be16(skb, TCP_NSR_A_CONN_LPORT, rec->lport) ?:
	       nla_put_be16(skb, TCP_NSR_A_CONN_RPORT, rec->rport);
}

static int put_record(struct sk_buff *skb, const struct nsr_record *rec)
{
	return nla_put_u32(skb, TCP_NSR_A_CONN_RULE_ID, rec->rule_id) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_MODE, rec->mode) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_GAP, rec->gap) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_ISS, rec->iss) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_IRS, rec->irs) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_SND_WSCALE, rec->snd_wscale) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_RCV_WSCALE, rec->rcv_wscale) ?:
	       nla_put_u16(skb, TCP_NSR_A_CONN_MSS_CLAMP, rec->mss_clamp) ?:
	       nla_put_u16(skb, TCP_NSR_A_CONN_ADVMSS, rec->advmss);
}

static int put_cursor(struct sk_buff *skb, const struct nsr_cursor *cur)
{
	return nla_put_u8(skb, TCP_NSR_A_CONN_STATE, cur->state) ?:
	       put_u64(skb, TCP_NSR_A_CONN_RCV_NXT, cur->rcv_nxt) ?:
	       put_u64(skb, TCP_NSR_A_CONN_RCV_WUP, cur->rcv_wup) ?:
	       put_u64(skb, TCP_NSR_A_CONN_COPIED_SEQ, cur->copied_seq) ?:
	       put_u64(skb, TCP_NSR_A_CONN_RIGHT_EDGE, cur->right_edge) ?:
	       put_u64(skb, TCP_NSR_A_CONN_SND_UNA, cur->snd_una) ?:
	       put_u64(skb, TCP_NSR_A_CONN_SND_NXT, cur->snd_nxt) ?:
	       put_u64(skb, TCP_NSR_A_CONN_WRITE_SEQ, cur->write_seq) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_SND_WND, cur->snd_wnd) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_TSVAL, cur->tsval) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_TS_RECENT, cur->ts_recent) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_SNDBUF, cur->sndbuf) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_RCVBUF, cur->rcvbuf) ?:
	       nla_put_u32(skb, TCP_NSR_A_CONN_PMTU, cur->pmtu);
}

static int put_vouched(struct sk_buff *skb, const struct nsr_conn *conn)
{
	int err = 0;

	if (conn->has_rcv_vouched)
		err = put_u64(skb, TCP_NSR_A_CONN_RCV_VOUCHED, conn->rcv_vouched);
	if (!err && conn->has_snd_vouched)
		err = put_u64(skb, TCP_NSR_A_CONN_SND_VOUCHED, conn->snd_vouched);
	return err;
}

static int put_gaps(struct sk_buff *skb, const struct nsr_conn *conn)
{
	return put_u64(skb, TCP_NSR_A_CONN_RCV_MISSING, conn->rcv_missing) ?:
	       nla_put_s64(skb, TCP_NSR_A_CONN_SND_MISSING, conn->snd_missing,
			   TCP_NSR_A_CONN_PAD) ?:
	       put_u64(skb, TCP_NSR_A_CONN_RCV_UNCERTAIN, conn->rcv_uncertain) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_SND_UNCERTAIN, conn->snd_uncertain);
}

static int put_refused(struct sk_buff *skb, const struct nsr_conn *conn)
{
	const struct nsr_record *rec = &conn->rec;

	return nla_put_u32(skb, TCP_NSR_A_CONN_RULE_ID, rec->rule_id) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_MODE, rec->mode) ?:
	       nsr_device_put(skb, conn, false) ?:
	       nla_put_u8(skb, TCP_NSR_A_CONN_REFUSED, rec->refused);
}

static u32 conn_flags(const struct nsr_conn *conn, const struct nsr_cursor *cur)
{
	return conn->rec.flags | (cur->state == TCP_CLOSE_WAIT ? TCP_NSR_CONN_F_RCV_FIN : 0);
}

static u64 conn_cookie(const struct nsr_conn *conn)
{
	u32 half[2];

	sock_diag_save_cookie(conn->sk, half);
	return (u64)half[1] << 32 | half[0];
}

/**
 * nsr_conn_fill() - one TCP_NSR_A_CONN
 * @skb: message; as before if there is no room
 * @conn: connection
 * @cur: its positions at this instant
 * @what: NSR_FILL_*
 *
 * Return: 0 or -EMSGSIZE.
 */
int nsr_conn_fill(struct sk_buff *skb, const struct nsr_conn *conn, const struct nsr_cursor *cur,
		  unsigned int what)
{
	struct nlattr *nest = nla_nest_start(skb, TCP_NSR_A_CONN);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = put_u64(skb, TCP_NSR_A_CONN_ID, conn->rec.id) ?:
	      nla_put_u8(skb, TCP_NSR_A_CONN_PHASE, conn->phase);
	if (!err && (what & (NSR_FILL_RECORD | NSR_FILL_CURSOR)))
		err = nla_put_u32(skb, TCP_NSR_A_CONN_FLAGS, conn_flags(conn, cur));
	if (!err && (what & NSR_FILL_TUPLE))
		err = put_tuple(skb, &conn->rec);
	if (!err && (what & NSR_FILL_RECORD))
		err = put_record(skb, &conn->rec) ?: nsr_device_put(skb, conn, false) ?:
		      put_u64(skb, TCP_NSR_A_CONN_COOKIE, conn_cookie(conn));
	if (!err && (what & NSR_FILL_REFUSED))
		err = put_refused(skb, conn) ?:
		      put_u64(skb, TCP_NSR_A_CONN_COOKIE, conn_cookie(conn));
	if (!err && (what & NSR_FILL_CURSOR))
		err = put_cursor(skb, cur);
	if (!err && (what & NSR_FILL_DEVICE))
		err = nsr_device_put(skb, conn, true);
	if (!err && (what & NSR_FILL_OPTS))
		err = nsr_opts_put(skb, &cur->opts);
	if (!err && (what & NSR_FILL_VOUCHED))
		err = put_vouched(skb, conn);
	if (!err && (what & NSR_FILL_ADOPTED) && conn->adopted_by != TCP_NSR_ADOPTED_NONE)
		err = nla_put_u8(skb, TCP_NSR_A_CONN_ADOPTED_BY, conn->adopted_by);
	if (!err && (what & NSR_FILL_GAPS))
		err = put_gaps(skb, conn);
	if (!err && (what & NSR_FILL_GATE))
		err = put_u64(skb, TCP_NSR_A_CONN_GATE, READ_ONCE(conn->gate)) ?:
		      nla_put_u8(skb, TCP_NSR_A_CONN_GATE_OPEN, READ_ONCE(conn->gate_open));
	if (!err && (what & NSR_FILL_CAUSE))
		err = nla_put_u8(skb, TCP_NSR_A_CONN_CLOSE_CAUSE, conn->close_cause);
	/* NSR_FILL_REFUSED has it. */
	if (!err && (what & (NSR_FILL_CURSOR | NSR_FILL_CAUSE)) && READ_ONCE(conn->rec.refused))
		err = nla_put_u8(skb, TCP_NSR_A_CONN_REFUSED, conn->rec.refused);
	if (err) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * nsr_event_start() - begins an event
 * @ev: event
 * @cmd: TCP_NSR_CMD_*_NTF
 * @group: group id
 * @gfp: GFP_ATOMIC where sleeping is not allowed
 *
 * Return: true; false without memory: nsr_event_send() then leaves the gap.
 */
bool nsr_event_start(struct nsr_event *ev, u8 cmd, u32 group, gfp_t gfp)
{
	ev->skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, gfp);
	if (!ev->skb)
		return false;
	ev->hdr = genlmsg_put(ev->skb, 0, 0, &nsr_genl_family, 0, cmd);
	ev->seq = nla_reserve_64bit(ev->skb, TCP_NSR_A_EVENT_SEQ, sizeof(u64), TCP_NSR_A_PAD);
	if (ev->hdr && ev->seq && !nla_put_u32(ev->skb, TCP_NSR_A_GROUP_ID, group))
		return true;
	nlmsg_free(ev->skb);
	ev->skb = NULL;
	return false;
}

/**
 * nsr_event_send() - numbers an event and sends it
 * @ns: namespace
 * @ev: event; without a message only its number is used up
 *
 * Context: any.
 */
void nsr_event_send(struct nsr_net *ns, struct nsr_event *ev)
{
	spin_lock_bh(&ns->event_lock);
	WRITE_ONCE(ns->event_seq, ns->event_seq + 1);
	if (ev->skb) {
		memcpy(nla_data(ev->seq), &ns->event_seq, sizeof(u64));
		genlmsg_end(ev->skb, ev->hdr);
		genlmsg_multicast_netns(&nsr_genl_family, ns->net, ev->skb, 0, 0, GFP_ATOMIC);
	}
	spin_unlock_bh(&ns->event_lock);
	ev->skb = NULL;
}

void nsr_event_drop(struct nsr_event *ev)
{
	nlmsg_free(ev->skb);
	ev->skb = NULL;
}

/* One event about one connection. If it does not fit, which it always does, there is a gap. */
static void conn_event(struct nsr_conn *conn, u8 cmd, const struct nsr_cursor *cur,
		       unsigned int what)
{
	struct nsr_event ev;

	if (nsr_event_start(&ev, cmd, conn->group->id, GFP_ATOMIC) &&
	    WARN_ON_ONCE(nsr_conn_fill(ev.skb, conn, cur, what)))
		nsr_event_drop(&ev);
	nsr_event_send(conn->ns, &ev);
}

/**
 * nsr_event_conn_add() - a connection became protected
 * @conn: published connection, its cursor just captured; socket locked
 */
void nsr_event_conn_add(struct nsr_conn *conn)
{
	trace_nsr_conn_add(conn);
	conn_event(conn, TCP_NSR_CMD_CONN_ADD_NTF, &conn->cur,
		   NSR_FILL_TUPLE | NSR_FILL_RECORD | NSR_FILL_CURSOR | NSR_FILL_OPTS);
}

/**
 * nsr_event_conn_change() - adoption state, or TCP state, changed
 * @conn: connection; socket locked
 *
 * The positions are the socket's once it has any, the replicated ones on a shadow.
 */
void nsr_event_conn_change(struct nsr_conn *conn)
{
	nsr_event_conn_state(conn, conn->phase == TCP_NSR_PHASE_SHADOW ? conn->cur.state :
									 conn->sk->sk_state);
}

/**
 * nsr_event_conn_state() - as nsr_event_conn_change(), from within a change of the TCP state
 * @conn: connection; socket locked
 * @state: TCP state that the socket will have
 */
void nsr_event_conn_state(struct nsr_conn *conn, u8 state)
{
	struct nsr_cursor cur = conn->cur;
	unsigned int what = NSR_FILL_CURSOR | NSR_FILL_OPTS;

	if (conn->phase != TCP_NSR_PHASE_SHADOW) {
		nsr_cursor_capture(conn, &cur);
		cur.state = state;
	}
	/*
	 * What was told is told: the cursor work goes on from here. But it may hold an older one in a
	 * message that it has yet to send, and the receiver goes by the last: the work tells it again.
	 */
	if (conn->phase == TCP_NSR_PHASE_PROTECTED || conn->phase == TCP_NSR_PHASE_RESUMED || conn->gated) {
		conn->cur = cur;
		WRITE_ONCE(conn->retell, true);
	}
	if (conn->phase != TCP_NSR_PHASE_PROTECTED)
		what |= NSR_FILL_ADOPTED | NSR_FILL_GAPS;
	trace_nsr_conn_change(conn);
	conn_event(conn, TCP_NSR_CMD_CONN_CHANGE_NTF, &cur, what);
}

/**
 * nsr_event_conn_refused() - a rule matches a connection that cannot be protected
 * @conn: published, phase REFUSED; socket locked
 */
void nsr_event_conn_refused(struct nsr_conn *conn)
{
	conn_event(conn, TCP_NSR_CMD_CONN_REFUSED_NTF, &conn->cur, NSR_FILL_TUPLE | NSR_FILL_REFUSED);
}

/**
 * nsr_event_conn_del() - a connection is out of the tables
 * @conn: connection, close_cause decided
 */
void nsr_event_conn_del(struct nsr_conn *conn)
{
	unsigned int what = NSR_FILL_TUPLE | NSR_FILL_CAUSE;

	if (conn->rcv_missing || conn->snd_missing || conn->rcv_uncertain || conn->snd_uncertain)
		what |= NSR_FILL_ADOPTED | NSR_FILL_GAPS;
	trace_nsr_conn_del(conn);
	conn_event(conn, TCP_NSR_CMD_CONN_DEL_NTF, &conn->cur, what);
}

/**
 * nsr_event_group() - lease lapsed, group settled, role changed
 * @g: group; role_lock held, so that the events have the order of what they tell
 * @reason: enum tcp_nsr_group_reason
 */
void nsr_event_group(struct nsr_group *g, u8 reason)
{
	struct nsr_event ev;

	lockdep_assert_held(&g->role_lock);
	if (nsr_event_start(&ev, TCP_NSR_CMD_GROUP_NTF, g->id, GFP_ATOMIC) &&
	    WARN_ON_ONCE(nla_put_u8(ev.skb, TCP_NSR_A_REASON, reason) ?:
			 nla_put_u8(ev.skb, TCP_NSR_A_ROLE, g->role) ?:
			 nla_put_u64_64bit(ev.skb, TCP_NSR_A_TERM, g->term, TCP_NSR_A_PAD) ?:
			 nla_put_u32(ev.skb, TCP_NSR_A_TERM_OWNER, g->term_owner) ?:
			 nla_put_u32(ev.skb, TCP_NSR_A_GENERATION, g->generation) ?:
			 nla_put_u8(ev.skb, TCP_NSR_A_SETTLED, g->settled)))
		nsr_event_drop(&ev);
	nsr_event_send(g->ns, &ev);
}
