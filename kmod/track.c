// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the active side: which connections there are, and what they are.
 *
 * The hook is the tracepoint inet_sock_set_state, which every change of a TCP socket's state passes,
 * before it takes effect, with the socket locked. Not a kprobe on tcp_set_state(): its handler runs
 * with softirqs on if the change is made in process context, and a kprobe that hits while another one
 * runs on the same CPU is skipped: connections would be missed under load.
 *
 * ISS and IRS are not kept by the stack after the handshake. They follow from its byte counters:
 * bytes_received counts from IRS + 1; bytes_acked counts from ISS + 1 at a passive open, from ISS at
 * an active one (the SYN was acknowledged on this socket). A passively opened socket is known by the
 * interface of its SYN, which the stack keeps in mc_index (mcast_oif).
 */
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>
#include <net/ipv6.h>
#include <net/mptcp.h>

#include "nsr.h"

static struct tracepoint *state_tracepoint;

static bool is_v4(const struct sock *sk)
{
	return sk->sk_family == AF_INET || ipv6_addr_v4mapped(&sk->sk_v6_daddr);
}

static bool opened_passively(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return READ_ONCE(inet6_sk(sk)->mcast_oif);
#endif
	return READ_ONCE(inet_sk(sk)->mc_index);
}

/* The inverse of what nsr_record_capture() and first_near() read. */
void nsr_record_imprint(const struct nsr_record *rec, struct sock *sk, u64 snd_una, u64 rcv_nxt)
{
	bool passive = !(rec->flags & TCP_NSR_CONN_F_ACTIVE_OPEN);

	tcp_sk(sk)->bytes_acked = snd_una + !passive;
	tcp_sk(sk)->bytes_received = rcv_nxt;
	/* Multicast options mean nothing to TCP: any interface that is not 0 marks it. */
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		inet6_sk(sk)->mcast_oif = passive ? LOOPBACK_IFINDEX : 0;
#endif
	inet_sk(sk)->mc_index = passive ? LOOPBACK_IFINDEX : 0;
}

static void capture_tuple(struct nsr_record *rec, const struct sock *sk)
{
	if (is_v4(sk)) {
		rec->family = AF_INET;
		rec->laddr.ip = sk->sk_rcv_saddr;
		rec->raddr.ip = sk->sk_daddr;
	} else {
		rec->family = AF_INET6;
		rec->laddr.ip6 = sk->sk_v6_rcv_saddr;
		rec->raddr.ip6 = sk->sk_v6_daddr;
	}
	rec->lport = htons(sk->sk_num);
	rec->rport = sk->sk_dport;
}

/* @rec: holds the addresses for as long as @t is used. Under RCU. */
static void make_tuple(struct nsr_tuple *t, struct nsr_record *rec, const struct sock *sk)
{
	int bound = READ_ONCE(sk->sk_bound_dev_if);

	capture_tuple(rec, sk);
	*t = (struct nsr_tuple) {
		.family = rec->family, .laddr = &rec->laddr, .raddr = &rec->raddr,
		.lport = rec->lport, .rport = rec->rport,
		.ifindex = bound, .ifindex2 = nsr_device_master(sock_net(sk), bound),
		.vrf = nsr_device_domain(sk),
	};
}

static bool has_md5(const struct sock *sk)
{
#ifdef CONFIG_TCP_MD5SIG
	return tcp_sk(sk)->af_specific->md5_lookup(sk, sk);
#else
	return false;
#endif
}

/**
 * nsr_record_capture() - reads what the handshake fixed
 * @rec: set, but for id, rule_id, mode and gap
 * @sk: established socket, locked
 */
void nsr_record_capture(struct nsr_record *rec, struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	bool passive = opened_passively(sk);

	capture_tuple(rec, sk);
	rec->flags = (passive ? 0 : TCP_NSR_CONN_F_ACTIVE_OPEN) |
		     (tcp_is_sack(tp) ? TCP_NSR_CONN_F_SACK : 0) |
		     (tp->rx_opt.tstamp_ok ? TCP_NSR_CONN_F_TSTAMP : 0) |
		     (tp->rx_opt.wscale_ok ? TCP_NSR_CONN_F_WSCALE : 0) |
		     (nsr_tcp_has_ecn(tp) ? TCP_NSR_CONN_F_ECN : 0) |
		     (nsr_tcp_usec_ts(tp) ? TCP_NSR_CONN_F_USEC_TS : 0) |
		     (has_md5(sk) ? TCP_NSR_CONN_F_MD5 : 0);
	if (sk->sk_family == AF_INET6 && rec->family == AF_INET)
		rec->flags |= TCP_NSR_CONN_F_V4MAPPED;
	rec->snd_wscale = tp->rx_opt.wscale_ok ? tp->rx_opt.snd_wscale : 0;
	rec->rcv_wscale = tp->rx_opt.wscale_ok ? tp->rx_opt.rcv_wscale : 0;
	rec->mss_clamp = tp->rx_opt.mss_clamp;
	/* The stack has taken the timestamp option off what it announced. */
	rec->advmss = tp->advmss + (tp->rx_opt.tstamp_ok ? TCPOLEN_TSTAMP_ALIGNED : 0);
	rec->iss = tp->snd_una - (u32)tp->bytes_acked - passive;
	rec->irs = tp->rcv_nxt - (u32)tp->bytes_received - 1;
}

/**
 * nsr_cursor_capture() - reads the positions of a socket
 * @conn: connection; its last cursor tells the upper halves
 * @cur: set; may be &conn->cur
 *
 * Context: the socket locked, or two equal captures in a row (see cursor.c): the fields are read in
 * the order in which they can only have grown, so that snd_una <= snd_nxt <= write_seq and
 * copied_seq, rcv_wup <= rcv_nxt hold without the lock too.
 */
void nsr_cursor_capture(const struct nsr_conn *conn, struct nsr_cursor *cur)
{
	const struct nsr_cursor *last = &conn->cur;
	const struct sock *sk = conn->sk;
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 iss = conn->rec.iss + 1, irs = conn->rec.irs + 1;
	u32 una, nxt, write, copied, wup, wnd, rcv;
	u64 acked = 0, top = 0;
	bool gated;

	una = READ_ONCE(tp->snd_una);
	smp_rmb();
	nxt = READ_ONCE(tp->snd_nxt);
	smp_rmb();
	write = READ_ONCE(tp->write_seq);
	copied = READ_ONCE(tp->copied_seq);
	wup = READ_ONCE(tp->rcv_wup);
	wnd = READ_ONCE(tp->rcv_wnd);
	gated = READ_ONCE(conn->gated);
	if (gated) {
		acked = READ_ONCE(conn->acked);
		top = READ_ONCE(conn->top_edge);
	}
	smp_rmb();
	rcv = READ_ONCE(tp->rcv_nxt);

	cur->snd_una = nsr_pos_extend(una, iss, last->snd_una);
	cur->snd_nxt = nsr_pos_extend(nxt, iss, cur->snd_una);
	cur->write_seq = nsr_pos_extend(write, iss, cur->snd_una);
	cur->rcv_nxt = nsr_pos_extend(rcv, irs, last->rcv_nxt);
	cur->copied_seq = nsr_pos_extend(copied, irs, cur->rcv_nxt);
	cur->rcv_wup = nsr_pos_extend(wup, irs, cur->rcv_nxt);
	cur->right_edge = nsr_pos_extend(wup + wnd, irs, cur->rcv_nxt);
	cur->snd_wnd = READ_ONCE(tp->snd_wnd);
	cur->tsval = tp->rx_opt.tstamp_ok ? tcp_clock_ts(nsr_tcp_usec_ts(tp)) + tp->tsoffset : 0;
	cur->ts_recent = READ_ONCE(tp->rx_opt.ts_recent);
	cur->sndbuf = READ_ONCE(sk->sk_sndbuf);
	cur->rcvbuf = READ_ONCE(sk->sk_rcvbuf);
	cur->pmtu = READ_ONCE(inet_csk(sk)->icsk_pmtu_cookie);
	/* What has left, not what the stack believes. */
	if (gated) {
		cur->rcv_wup = acked;
		cur->right_edge = top;
	}
	cur->state = READ_ONCE(sk->sk_state);
	nsr_opts_capture(&cur->opts, sk);
	cur->taken_at = ktime_get_boottime_ns();
}

/* Positions of a socket that has run for a while: its counters are 64 bits wide. */
static void first_near(struct nsr_conn *conn)
{
	const struct tcp_sock *tp = tcp_sk(conn->sk);

	conn->cur.rcv_nxt = tp->bytes_received;
	conn->cur.snd_una = tp->bytes_acked;
	if (conn->rec.flags & TCP_NSR_CONN_F_ACTIVE_OPEN && conn->cur.snd_una)
		conn->cur.snd_una--;
}

static bool can_have_gate(const struct sock *sk)
{
	return nsr_gate_prepare(inet_csk(sk)->icsk_af_ops, sk->sk_family == AF_INET6 && is_v4(sk));
}

/* Connections that the standby could not take over as they are. MPTCP has a ULP too. */
static u8 refused_kind(const struct sock *sk, const struct nsr_rule *rule)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (sk_is_mptcp(sk))
		return TCP_NSR_REFUSED_MPTCP;
	if (inet_csk(sk)->icsk_ulp_ops)
		return TCP_NSR_REFUSED_ULP;
	if (nsr_tcp_has_ao(tp))
		return TCP_NSR_REFUSED_AO;
	/* Not syn_fastopen: whose SYN only asked for a cookie, or had one and no data, is as any other. */
	if (tp->syn_data || tp->syn_data_acked || rcu_access_pointer(tp->fastopen_rsk))
		return TCP_NSR_REFUSED_FASTOPEN;
	if (rule->mode == TCP_NSR_MODE_LOSSLESS && !can_have_gate(sk))
		return TCP_NSR_REFUSED_GATE;
	return TCP_NSR_REFUSED_NOT;
}

/* Without a refusal: whole. */
static struct nsr_conn *conn_from_sock(struct nsr_net *ns, struct nsr_group *g,
				       const struct nsr_rule *rule, struct sock *sk, u8 refused)
{
	struct nsr_conn *conn = nsr_conn_create(ns, g, sk, GFP_ATOMIC | __GFP_NOWARN);

	if (!conn)
		return NULL;
	do {
		get_random_bytes(&conn->rec.id, sizeof(conn->rec.id));
	} while (!conn->rec.id);
	conn->rec.rule_id = rule->id;
	conn->rec.mode = rule->mode;
	conn->rec.gap = rule->gap;
	conn->rec.refused = refused;
	nsr_device_capture(&conn->rec, sk, g);
	if (refused) {
		conn->phase = TCP_NSR_PHASE_REFUSED;
		capture_tuple(&conn->rec, sk);
		return conn;
	}
	conn->phase = TCP_NSR_PHASE_PROTECTED;
	nsr_record_capture(&conn->rec, sk);
	first_near(conn);
	nsr_cursor_capture(conn, &conn->cur);
	return conn;
}

/* Under RCU; takes no reference on @g but the connection's. */
static bool protect(struct nsr_net *ns, struct nsr_group *g, const struct nsr_rule *rule,
		    struct sock *sk, u8 state)
{
	u8 refused = refused_kind(sk, rule);
	struct nsr_conn *conn;
	int err;

	if (refused)
		nsr_stat_inc(g, TCP_NSR_A_STAT_CONNS_REFUSED_KIND);
	/* A group on its way out has readers by RCU, but may have no reference left. */
	if (!kref_get_unless_zero(&g->ref))
		return false;
	conn = conn_from_sock(ns, g, rule, sk, refused);
	nsr_group_put(g);
	if (conn) {
		conn->cur.state = state;
		err = nsr_conn_publish(conn);
	} else {
		err = -ENOMEM;
	}
	if (refused) {
		/* In the table so that it can be listed, with its reason. What could not be listed works as well. */
		if (!err)
			nsr_event_conn_refused(conn);
	} else if (!err) {
		if (rule->mode == TCP_NSR_MODE_LOSSLESS) {
			nsr_gate_start(conn, conn->cur.rcv_wup, conn->cur.right_edge, 0);
			nsr_gate_install(conn);
		}
		nsr_stat_inc(g, TCP_NSR_A_STAT_CONNS_ADDED);
		nsr_event_conn_add(conn);
	} else if (err == -ENOSPC) {
		nsr_stat_inc(g, TCP_NSR_A_STAT_CONNS_REFUSED_CAP);
	} else if (err == -ENOMEM) {
		nsr_stat_inc(g, TCP_NSR_A_STAT_CONNS_REFUSED_NOMEM);
		/* There may be memory at the next turn of the cursor work. */
		WRITE_ONCE(ns->scan_again, true);
	}
	if (conn)
		nsr_conn_put(conn);
	return !err && !refused;
}

/**
 * nsr_track_belongs() - does a rule of the group match the socket?
 * @ns: namespace
 * @sk: any TCP socket but a listener, also a time-wait or request socket
 * @group: group
 */
bool nsr_track_belongs(struct nsr_net *ns, const struct sock *sk, const struct nsr_group *group)
{
	struct nsr_record rec = {};
	struct nsr_tuple t;
	struct nsr_group *g;
	bool match;

	rcu_read_lock();
	make_tuple(&t, &rec, sk);
	match = nsr_rule_match_tuple_rcu(ns, &t, &g) && g == group;
	rcu_read_unlock();
	return match;
}

static bool match_and_protect(struct nsr_net *ns, struct sock *sk, u8 state)
{
	const struct nsr_rule *rule;
	struct nsr_record rec = {};
	struct nsr_tuple t;
	struct nsr_group *g;
	bool done = false;

	rcu_read_lock();
	make_tuple(&t, &rec, sk);
	rule = nsr_rule_match_tuple_rcu(ns, &t, &g);
	if (rule && nsr_group_is_active(g))
		done = protect(ns, g, rule, sk, state);
	rcu_read_unlock();
	return done;
}

/**
 * nsr_track_adopt() - protects a connection that was there before its protection
 * @ns: namespace
 * @sk: socket, locked
 *
 * Return: true if it is protected now and was not.
 */
bool nsr_track_adopt(struct nsr_net *ns, struct sock *sk)
{
	struct nsr_conn *conn;

	if (!((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)) ||
	    sk->sk_protocol != IPPROTO_TCP || tcp_sk(sk)->repair)
		return false;
	conn = nsr_conn_find_sk(ns, sk);
	if (conn) {
		nsr_conn_put(conn);
		return false;
	}
	return match_and_protect(ns, sk, sk->sk_state);
}

/*
 * The first close event tells the cause. An application that dies closes its descriptors as an
 * exiting task; a reset or time-out leaves its errno before it closes the socket.
 */
static u8 close_cause(const struct sock *sk, int newstate)
{
	bool by_application = READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN;

	if (newstate == TCP_CLOSE && !by_application && READ_ONCE(sk->sk_err))
		return READ_ONCE(sk->sk_err) == ECONNABORTED ? TCP_NSR_CLOSE_ADMIN :
							       TCP_NSR_CLOSE_PEER;
	if (by_application && in_task() && current->flags & PF_EXITING && current->exit_code)
		return TCP_NSR_CLOSE_DEATH;
	return TCP_NSR_CLOSE_LOCAL;
}

static void leave(struct nsr_conn *conn, struct sock *sk, int newstate)
{
	/* Whatever became of it, or of its application: it was never the group's. */
	if (conn->phase == TCP_NSR_PHASE_REFUSED) {
		if (newstate != TCP_CLOSE_WAIT)
			nsr_conn_end(conn);
		return;
	}
	if (newstate == TCP_CLOSE_WAIT) {
		nsr_event_conn_state(conn, newstate);
		return;
	}
	/* What follows has the ACK with it: a FIN, or nothing. */
	nsr_gate_stop(conn, false);
	if (!conn->close_cause)
		conn->close_cause = close_cause(sk, newstate);
	/* Before the FIN: this group speaks no more, another box goes on. */
	if (conn->close_cause == TCP_NSR_CLOSE_DEATH)
		nsr_role_app_died(conn->group);
	nsr_conn_end(conn);
}

/* The state is still @oldstate; the socket is locked. */
static void state_probe(void *data, const struct sock *csk, const int oldstate, const int newstate)
{
	struct sock *sk = (struct sock *)csk;
	struct nsr_conn *conn;
	struct nsr_net *ns;

	if (sk->sk_protocol != IPPROTO_TCP ||
	    (sk->sk_family != AF_INET && sk->sk_family != AF_INET6))
		return;
	ns = nsr_pernet(sock_net(sk));
	if (newstate == TCP_ESTABLISHED) {
		/* From TCP_CLOSE: an injection of ours. With repair: a checkpoint comes back. */
		if ((oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV) &&
		    !list_empty(&ns->groups) && !tcp_sk(sk)->repair)
			match_and_protect(ns, sk, newstate);
		return;
	}
	if ((oldstate != TCP_ESTABLISHED && oldstate != TCP_CLOSE_WAIT) ||
	    !(READ_ONCE(ns->nr_conns) + READ_ONCE(ns->nr_shadows) + READ_ONCE(ns->nr_refused)))
		return;
	conn = nsr_conn_find_sk(ns, sk);
	if (!conn)
		return;
	leave(conn, sk, newstate);
	nsr_conn_put(conn);
}

static void find_tracepoint(struct tracepoint *tp, void *name)
{
	if (!strcmp(tp->name, name))
		state_tracepoint = tp;
}

int nsr_track_init(void)
{
	for_each_kernel_tracepoint(find_tracepoint, "inet_sock_set_state");
	if (!state_tracepoint) {
		pr_err("tcp_nsr: this kernel has no tracepoint inet_sock_set_state\n");
		return -EOPNOTSUPP;
	}
	return tracepoint_probe_register(state_tracepoint, state_probe, NULL);
}

void nsr_track_exit(void)
{
	tracepoint_probe_unregister(state_tracepoint, state_probe, NULL);
	tracepoint_synchronize_unregister();
}
