// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the standby side: makes a fresh socket a shadow, and ends it in silence.
 *
 * The shadow is built directly: it needs no route, no address and no live interface, and sends
 * nothing. What makes it a shadow:
 *
 *   - its own icsk_af_ops: sk_rx_dst_set() is called for every segment, before header prediction, as
 *     long as sk_rx_dst is NULL; queue_xmit() is the only way out. One copy of the operations for each
 *     kind of socket lives as long as the module, because getsockopt() reads the pointer without a lock;
 *   - a ULP: private context, a module reference, and release() on every path that destroys a socket;
 *   - sk_wmem_queued is inflated: poll() does not say writable, send() waits or says EAGAIN;
 *   - packets_out is 1: a keepalive timer that the application arms finds data in flight and waits;
 *   - SO_LINGER 0: close() leaves no state behind.
 *
 * All of it is undone at adoption. The ULP needs no registration: nobody may ask for it by name.
 */
#include <net/ipv6.h>
#include <net/transp_v6.h>

#include "nsr.h"

/* Far above any send buffer, far below what an int holds. */
#define QUIET_BYTES	(1 << 30)

enum { SET_V4, SET_V6, SET_MAPPED, NR_SETS };

static struct {
	const struct inet_connection_sock_af_ops *orig;
	struct inet_connection_sock_af_ops ops;
} sets[NR_SETS];
static DEFINE_MUTEX(sets_lock);		/* filling of sets[] */

static struct nsr_conn *shadow_conn(const struct sock *sk)
{
	return (__force struct nsr_conn *)rcu_access_pointer(inet_csk(sk)->icsk_ulp_data);
}

static void shadow_rx(struct sock *sk, const struct sk_buff *skb)
{
	struct nsr_conn *conn = shadow_conn(sk);

	if (!conn)
		return;
	/* Adoption gives up the socket's reference, and the table's may go at any time. */
	nsr_conn_get(conn);
	/* const is for stock implementations, which only look at the route */
	nsr_adopt_segment(conn, (struct sk_buff *)skb);
	nsr_conn_put(conn);
}

static int shadow_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl)
{
	struct nsr_conn *conn = shadow_conn(sk);
	bool leaves;

	if (conn && !conn->silent &&
	    (conn->phase != TCP_NSR_PHASE_SHADOW || conn->doomed)) {
		rcu_read_lock();
		leaves = nsr_gate_segment(conn, skb);
		rcu_read_unlock();
		if (leaves)
			return conn->orig_af_ops->queue_xmit(sk, skb, fl);
	} else if (conn) {
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_FENCED_SEGMENTS);
	}
	kfree_skb(skb);
	return 0;
}

/*
 * IPV6_ADDRFORM would put other operations in the place of ours: the hook would be gone, and the shadow
 * would speak.
 */
static int shadow_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
			     unsigned int optlen)
{
	int err;

	if (level == SOL_IPV6 && optname == IPV6_ADDRFORM && shadow_conn(sk))
		return -EBUSY;
	/* It sleeps; meanwhile the socket may become an ordinary one, which holds no module. */
	if (!try_module_get(THIS_MODULE))
		return -EBUSY;
	err = sets[SET_MAPPED].orig->setsockopt(sk, level, optname, optval, optlen);
	module_put(THIS_MODULE);
	return err;
}

static void make_quiet(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;

	conn->linger_was = sock_flag(sk, SOCK_LINGER);
	conn->linger_time = sk->sk_lingertime;
	sk->sk_lingertime = 0;
	sock_set_flag(sk, SOCK_LINGER);
	sk_wmem_queued_add(sk, QUIET_BYTES);
	tcp_sk(sk)->packets_out = 1;
	conn->quiet = true;
}

static void undo_quiet(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;

	if (!conn->quiet)
		return;
	conn->quiet = false;
	sk_wmem_queued_add(sk, -QUIET_BYTES);
	tcp_sk(sk)->packets_out = 0;
	/* Unless the application has set its own meanwhile. */
	if (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime) {
		sock_valbool_flag(sk, SOCK_LINGER, conn->linger_was);
		sk->sk_lingertime = conn->linger_time;
	}
}

/* Every path that destroys the socket comes here, in softirq too. The caller looks at icsk_ulp_ops
 * afterwards: it stays.
 */
static void ulp_release(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct nsr_conn *conn = shadow_conn(sk);

	if (!conn)
		return;
	undo_quiet(conn);
	WRITE_ONCE(icsk->icsk_af_ops, conn->orig_af_ops);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	nsr_conn_end(conn);
	nsr_conn_put(conn);
}

static struct tcp_ulp_ops shadow_ulp = {
	.name = "tcp_nsr",
	.owner = THIS_MODULE,
	.release = ulp_release,
};

/* Takes over a reference on the module. */
static void attach(struct nsr_conn *conn, int set)
{
	struct inet_connection_sock *icsk = inet_csk(conn->sk);

	nsr_conn_get(conn);
	conn->orig_af_ops = sets[set].orig;
	rcu_assign_pointer(icsk->icsk_ulp_data, (__force void __rcu *)conn);
	icsk->icsk_ulp_ops = &shadow_ulp;
	WRITE_ONCE(icsk->icsk_af_ops, &sets[set].ops);
}

/* Which operations, and are they there? */
static int prepare_set(struct sock *sk, bool mapped, struct netlink_ext_ack *extack)
{
	const struct inet_connection_sock_af_ops *orig = inet_csk(sk)->icsk_af_ops;
	int set = mapped ? SET_MAPPED : sk->sk_family == AF_INET6 ? SET_V6 : SET_V4;
	int err = set;

	mutex_lock(&sets_lock);
	if (mapped)
		orig = sets[set].orig ?: nsr_mapped_ops(sock_net(sk));
	if (!orig) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: an IPv4 connection on an IPv6 socket needs the loopback interface up once");
		err = -EOPNOTSUPP;
	} else if (!sets[set].orig) {
		sets[set].ops = *orig;
		sets[set].ops.sk_rx_dst_set = shadow_rx;
		sets[set].ops.queue_xmit = shadow_xmit;
		if (mapped)
			sets[set].ops.setsockopt = shadow_setsockopt;
		sets[set].orig = orig;
	} else if (sets[set].orig != orig) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: another subsystem has changed this socket: give a fresh one");
		err = -EOPNOTSUPP;
	}
	mutex_unlock(&sets_lock);
	return err;
}

static bool has_keys(const struct sock *sk)
{
#ifdef CONFIG_TCP_MD5SIG
	return rcu_access_pointer(tcp_sk(sk)->md5sig_info);
#else
	return false;
#endif
}

static int check_fresh(const struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	const struct sock *sk = conn->sk;
	const struct nsr_record *rec = &conn->rec;
	bool mapped = sk->sk_family == AF_INET6 && rec->family == AF_INET;

	if (inet_csk(sk)->icsk_ulp_ops || tcp_sk(sk)->repair || inet_sk(sk)->inet_num) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: the socket is bound, in repair mode, or has a ULP: give a fresh one");
		return -EPROTO;
	}
	if ((mapped && ipv6_only_sock(sk)) ||
	    (!mapped && sk->sk_family != rec->family)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: the socket's family does not carry the record's addresses");
		return -EPROTO;
	}
	if (!rec->lport || !rec->rport) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: LPORT, RPORT: a connection has both");
		return -EINVAL;
	}
	if (rec->snd_wscale > TCP_MAX_WSCALE || rec->rcv_wscale > TCP_MAX_WSCALE) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: SND_WSCALE, RCV_WSCALE: 0 to 14");
		return -EINVAL;
	}
	if (rec->mss_clamp < TCP_MIN_MSS || rec->advmss < TCP_MIN_MSS) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: MSS_CLAMP, ADVMSS: at least 88");
		return -EINVAL;
	}
	/* Which far end a key is for shows when the socket has its addresses; none at all is known now. */
	if (rec->flags & TCP_NSR_CONN_F_MD5 && !has_keys(sk)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: the connection is signed (MD5): set its key by TCP_MD5SIG first");
		return -ENOKEY;
	}
#ifndef NSR_HAVE_TCP_USEC_TS
	if (rec->flags & TCP_NSR_CONN_F_USEC_TS) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FLAGS: this kernel has no timestamps in microseconds: switch off tcp_usec_ts on the peer");
		return -EOPNOTSUPP;
	}
#endif
	return 0;
}

static bool is_taken(const struct nsr_conn *conn)
{
	const struct nsr_record *rec = &conn->rec;
	int dif = conn->sk->sk_bound_dev_if, sdif;
	struct net *net = sock_net(conn->sk);
	struct sock *sk = NULL;

	rcu_read_lock();
	/* As the stack asks: a socket in no VRF is not in the way of one in a VRF. */
	sdif = nsr_device_master(net, dif);
	if (rec->family == AF_INET)
		sk = nsr_lookup_established4(net, rec->raddr.ip, rec->rport, rec->laddr.ip,
					     ntohs(rec->lport), dif, sdif);
#if IS_ENABLED(CONFIG_IPV6)
	else
		sk = nsr_lookup_established6(net, &rec->raddr.ip6, rec->rport, &rec->laddr.ip6,
					     ntohs(rec->lport), dif, sdif);
#endif
	rcu_read_unlock();
	if (sk)
		sock_gen_put(sk);
	return sk;
}

static void set_source(const struct nsr_record *rec, struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);

	if (rec->family == AF_INET) {
		inet->inet_saddr = rec->laddr.ip;
		inet->inet_rcv_saddr = rec->laddr.ip;
	} else {
		inet->inet_saddr = LOOPBACK4_IPV6;
		inet->inet_rcv_saddr = LOOPBACK4_IPV6;
	}
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		if (rec->family == AF_INET)
			ipv6_addr_set_v4mapped(rec->laddr.ip, &sk->sk_v6_rcv_saddr);
		else
			sk->sk_v6_rcv_saddr = rec->laddr.ip6;
		inet6_sk(sk)->saddr = sk->sk_v6_rcv_saddr;
	}
#endif
}

static void clear_source(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);

	inet->inet_saddr = 0;
	inet->inet_rcv_saddr = 0;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		sk->sk_v6_rcv_saddr = in6addr_any;
		inet6_sk(sk)->saddr = in6addr_any;
	}
#endif
}

static void set_destination(const struct nsr_record *rec, struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);

	inet->inet_sport = rec->lport;
	inet->inet_dport = rec->rport;
	inet->inet_daddr = rec->family == AF_INET ? rec->raddr.ip : LOOPBACK4_IPV6;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		if (rec->family == AF_INET)
			ipv6_addr_set_v4mapped(rec->raddr.ip, &sk->sk_v6_daddr);
		else
			sk->sk_v6_daddr = rec->raddr.ip6;
	}
#endif
	sk->sk_gso_type = rec->family == AF_INET ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	sk_set_txhash(sk);
}

/* A port without its own claim: a listener on the same port before or after is not in its way. */
static int bind_port(const struct nsr_record *rec, struct sock *sk)
{
	unsigned char reuse = sk->sk_reuse;
	int err;

	set_source(rec, sk);
	sk->sk_reuse = SK_FORCE_REUSE;
	err = sk->sk_prot->get_port(sk, ntohs(rec->lport));
	sk->sk_reuse = err ? reuse : SK_CAN_REUSE;
	if (err) {
		clear_source(sk);
		return -EADDRINUSE;
	}
	sk->sk_userlocks |= SOCK_BINDADDR_LOCK;
	return 0;
}

static void set_options(const struct nsr_record *rec, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	bool ts = rec->flags & TCP_NSR_CONN_F_TSTAMP;

	tp->rx_opt.tstamp_ok = ts;
	tp->rx_opt.sack_ok = rec->flags & TCP_NSR_CONN_F_SACK ? TCP_SACK_SEEN : 0;
	tp->rx_opt.wscale_ok = !!(rec->flags & TCP_NSR_CONN_F_WSCALE);
	tp->rx_opt.snd_wscale = tp->rx_opt.wscale_ok ? rec->snd_wscale : 0;
	tp->rx_opt.rcv_wscale = tp->rx_opt.wscale_ok ? rec->rcv_wscale : 0;
	tp->rx_opt.mss_clamp = rec->mss_clamp;
	/* No PAWS on a shadow: what is too old for it is looked at by the hook. */
	tp->rx_opt.ts_recent = 0;
	tp->rx_opt.ts_recent_stamp = 0;
	tp->ecn_flags = rec->flags & TCP_NSR_CONN_F_ECN ? NSR_TCP_ECN_OK : 0;
#ifdef NSR_HAVE_TCP_USEC_TS
	tp->tcp_usec_ts = !!(rec->flags & TCP_NSR_CONN_F_USEC_TS);
#endif
	tp->advmss = rec->advmss - (ts ? TCPOLEN_TSTAMP_ALIGNED : 0);
	tp->tcp_header_len = sizeof(struct tcphdr) + (ts ? TCPOLEN_TSTAMP_ALIGNED : 0);
#ifdef CONFIG_TCP_MD5SIG
	if (tp->af_specific->md5_lookup(sk, sk))
		tp->tcp_header_len += TCPOLEN_MD5SIG_ALIGNED;
#endif
}

static void set_buffers(const struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct inet_connection_sock *icsk = inet_csk(sk);

	if (conn->cur.sndbuf > sk->sk_sndbuf)
		WRITE_ONCE(sk->sk_sndbuf, min_t(u32, conn->cur.sndbuf, QUIET_BYTES / 2));
	if (conn->cur.rcvbuf > sk->sk_rcvbuf)
		WRITE_ONCE(sk->sk_rcvbuf, min_t(u32, conn->cur.rcvbuf, QUIET_BYTES / 2));
	tp->window_clamp = min_t(u32, tcp_full_space(sk), 65535U << tp->rx_opt.rcv_wscale);
	tp->rcv_wnd = tp->window_clamp;
	tp->rcv_ssthresh = tp->window_clamp;
	/* Every segment has a window, that of close() too, and without window scaling it is divided by this. */
	icsk->icsk_ack.rcv_mss = clamp_t(u32, tp->advmss, TCP_MIN_MSS, TCP_MSS_DEFAULT);
	icsk->icsk_mtup.enabled = READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_mtu_probing) > 1;
	icsk->icsk_mtup.search_high = tp->rx_opt.mss_clamp + sizeof(struct tcphdr) +
				      icsk->icsk_af_ops->net_header_len;
	icsk->icsk_mtup.search_low = READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_base_mss) +
				     tp->tcp_header_len + icsk->icsk_af_ops->net_header_len;
	icsk->icsk_mtup.probe_size = 0;
}

/* Positions that nobody uses, but consistent: no urgent data, nothing in flight. */
static void set_nowhere(const struct nsr_conn *conn)
{
	struct tcp_sock *tp = tcp_sk(conn->sk);
	u32 snd = nsr_pos_to_seq(conn->cur.snd_una, conn->rec.iss + 1);
	u32 rcv = nsr_pos_to_seq(conn->cur.rcv_nxt, conn->rec.irs + 1);

	tp->snd_una = snd;
	WRITE_ONCE(tp->snd_nxt, snd);
	WRITE_ONCE(tp->write_seq, snd);
	tp->snd_up = snd;
	tp->snd_sml = snd;
	tp->pushed_seq = snd;
	WRITE_ONCE(tp->rcv_nxt, rcv);
	WRITE_ONCE(tp->copied_seq, rcv);
	tp->rcv_wup = rcv;
	tp->pred_flags = 0;
}

/**
 * nsr_shadow_create() - makes a fresh socket a shadow
 * @conn: not published yet, phase SHADOW, rec and cur filled in
 * @extack: what is refused, and why
 *
 * Context: process; conn->ns->lock held (no two of the same 4-tuple) and the socket locked.
 * Return: 0: the socket is hashed, and holds @conn and the module; -EEXIST: the 4-tuple is taken;
 * -EADDRINUSE, -EINVAL, -EPROTO, -EOPNOTSUPP, -ENOKEY, -ESHUTDOWN: the socket is as it was.
 */
int nsr_shadow_create(struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	struct sock *sk = conn->sk;
	bool mapped = sk->sk_family == AF_INET6 && conn->rec.family == AF_INET;
	int err, set;

	lockdep_assert_held(&conn->ns->lock);
	sock_owned_by_me(sk);
	err = check_fresh(conn, extack);
	if (err)
		return err;
	if (is_taken(conn)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: CONN: a socket with these addresses and ports exists: close it");
		return -EEXIST;
	}
	set = prepare_set(sk, mapped, extack);
	if (set < 0)
		return set;
	if (conn->rec.mode == TCP_NSR_MODE_LOSSLESS && !nsr_gate_prepare(sets[set].orig, mapped)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: FD: no ACK gate for this kind of socket: give an ordinary one");
		return -EOPNOTSUPP;
	}
	/* A socket that has the hook keeps it until its owner closes it: not from a module that goes. */
	if (!try_module_get(THIS_MODULE)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: the module is being unloaded");
		return -ESHUTDOWN;
	}
	err = bind_port(&conn->rec, sk);
	if (err) {
		module_put(THIS_MODULE);
		NL_SET_ERR_MSG(extack, "tcp_nsr: LPORT: cannot bind: another socket has this port for itself");
		return err;
	}
	if (mapped)
		nsr_mapped_convert(sk);
	set_destination(&conn->rec, sk);
	set_options(&conn->rec, sk);
	set_buffers(conn);
	set_nowhere(conn);
	attach(conn, set);
	make_quiet(conn);

	/* Not tcp_set_state(): its users may take this for a handshake. */
	TCP_INC_STATS(sock_net(sk), TCP_MIB_CURRESTAB);
	inet_sk_set_state(sk, TCP_ESTABLISHED);
	sk->sk_prot->hash(sk);
	sk->sk_socket->state = SS_CONNECTED;
	return 0;
}

/**
 * nsr_shadow_abandon() - a shadow that could not be published ends in silence
 * @conn: shadow; the caller has a reference of its own
 *
 * Context: process; no socket lock held.
 */
void nsr_shadow_abandon(struct nsr_conn *conn)
{
	nsr_shadow_destroy(conn);
}

/**
 * nsr_shadow_destroy() - closes a shadow or a provisional connection without a frame
 * @conn: connection; the caller has a reference of its own
 *
 * Its owner reads ECONNABORTED. Afterwards, in any case, the connection is in no table.
 *
 * Context: process; no socket lock held.
 */
void nsr_shadow_destroy(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;

	might_sleep();
	lock_sock(sk);
	if (conn->phase == TCP_NSR_PHASE_RESUMED) {
		/* It was quicker: an ordinary connection, which goes on. */
		nsr_gate_stop(conn, true);
		release_sock(sk);
		nsr_conn_end(conn);
		return;
	}
	conn->silent = true;
	release_sock(sk);
	tcp_abort(sk, ECONNABORTED);
	nsr_conn_end(conn);
}

/**
 * nsr_shadow_wake() - the positions are set: the application may write
 * @conn: connection; socket locked
 */
void nsr_shadow_wake(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;

	undo_quiet(conn);
	if (sock_flag(sk, SOCK_KEEPOPEN) && sk->sk_prot->keepalive) {
		/* Arms the timer only when the flag is new. */
		sock_reset_flag(sk, SOCK_KEEPOPEN);
		sk->sk_prot->keepalive(sk, 1);
		sock_set_flag(sk, SOCK_KEEPOPEN);
	}
	sk->sk_state_change(sk);
	sk->sk_write_space(sk);
}

/**
 * nsr_shadow_restore() - hook and ULP off: an ordinary socket
 * @conn: adopted connection; socket locked; the caller does not hold the last reference
 */
void nsr_shadow_restore(struct nsr_conn *conn)
{
	struct inet_connection_sock *icsk = inet_csk(conn->sk);

	if (icsk->icsk_ulp_ops != &shadow_ulp)
		return;
	undo_quiet(conn);
	WRITE_ONCE(icsk->icsk_af_ops, conn->orig_af_ops);
	icsk->icsk_ulp_ops = NULL;
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	nsr_conn_put(conn);
	/* Not the last one: the table has a reference on the module too. */
	module_put(THIS_MODULE);
}

int nsr_shadow_init(void)
{
	return 0;
}

void nsr_shadow_exit(void)
{
}
