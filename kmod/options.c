// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: socket options that the application set: read on the active, set on the shadow.
 *
 * Without them a shadow that takes over would speak with other marks than before: far ends that check
 * the TTL (RFC 5082) drop its first segment. What an application could have set by setsockopt() goes the
 * same way here, so that the stack's side effects (route, static keys) are the stock ones.
 */
#include <net/ipv6.h>

#include "netlink.h"

static const struct nla_policy opt_policy[TCP_NSR_A_OPT_MAX + 1] = {
	[TCP_NSR_A_OPT_TOS] = { .type = NLA_U8 },
	[TCP_NSR_A_OPT_TTL] = NLA_POLICY_MIN(NLA_U8, 1),
	[TCP_NSR_A_OPT_MIN_TTL] = { .type = NLA_U8 },
	[TCP_NSR_A_OPT_PRIORITY] = { .type = NLA_U32 },
	[TCP_NSR_A_OPT_MARK] = { .type = NLA_U32 },
	[TCP_NSR_A_OPT_NODELAY] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_NSR_A_OPT_KEEPALIVE] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_NSR_A_OPT_KEEPIDLE] = NLA_POLICY_RANGE(NLA_U32, 1, MAX_TCP_KEEPIDLE),
	[TCP_NSR_A_OPT_KEEPINTVL] = NLA_POLICY_RANGE(NLA_U32, 1, MAX_TCP_KEEPINTVL),
	[TCP_NSR_A_OPT_KEEPCNT] = NLA_POLICY_RANGE(NLA_U8, 1, MAX_TCP_KEEPCNT),
	[TCP_NSR_A_OPT_USER_TIMEOUT] = { .type = NLA_U32 },
	[TCP_NSR_A_OPT_CONGESTION] = { .type = NLA_NUL_STRING, .len = TCP_CA_NAME_MAX - 1 },
};

static bool has_v6_opts(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	return sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr);
#else
	return false;
#endif
}

static void capture_ip(struct nsr_opts *opts, const struct sock *sk)
{
	const struct inet_sock *inet = inet_sk(sk);
	int ttl = READ_ONCE(inet->uc_ttl);

	opts->tos = READ_ONCE(inet->tos);
	opts->min_ttl = READ_ONCE(inet->min_ttl);
#if IS_ENABLED(CONFIG_IPV6)
	if (has_v6_opts(sk)) {
		const struct ipv6_pinfo *np = inet6_sk(sk);

		opts->tos = READ_ONCE(np->tclass);
		opts->min_ttl = READ_ONCE(np->min_hopcount);
		ttl = np->hop_limit;
	}
#endif
	/* The stack's own, per segment. */
	opts->tos &= ~INET_ECN_MASK;
	opts->ttl = ttl > 0 ? ttl : 0;
}

/* The algorithm of the namespace, unless the application has asked for it by name, is not an option. */
static void capture_congestion(struct nsr_opts *opts, const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_congestion_ops *ca;

	rcu_read_lock();
	ca = READ_ONCE(icsk->icsk_ca_ops);
	if (ca && (icsk->icsk_ca_setsockopt ||
		   ca != rcu_dereference(sock_net(sk)->ipv4.tcp_congestion_control)))
		strscpy(opts->congestion, ca->name, sizeof(opts->congestion));
	rcu_read_unlock();
}

/**
 * nsr_opts_capture() - reads the options of a socket
 * @opts: set
 * @sk: socket
 *
 * Context: any; each option is read by itself, and what changes meanwhile is seen at the next time.
 */
void nsr_opts_capture(struct nsr_opts *opts, const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	memset(opts, 0, sizeof(*opts));
	capture_ip(opts, sk);
	capture_congestion(opts, sk);
	opts->priority = READ_ONCE(sk->sk_priority);
	opts->mark = READ_ONCE(sk->sk_mark);
	opts->nodelay = !!(tp->nonagle & TCP_NAGLE_OFF);
	opts->keepalive = sock_flag(sk, SOCK_KEEPOPEN);
	opts->keepidle = READ_ONCE(tp->keepalive_time) / HZ;
	opts->keepintvl = READ_ONCE(tp->keepalive_intvl) / HZ;
	opts->keepcnt = READ_ONCE(tp->keepalive_probes);
	opts->user_timeout = READ_ONCE(inet_csk(sk)->icsk_user_timeout);
}

bool nsr_opts_equal(const struct nsr_opts *a, const struct nsr_opts *b)
{
	return a->priority == b->priority && a->mark == b->mark && a->keepidle == b->keepidle &&
	       a->keepintvl == b->keepintvl && a->user_timeout == b->user_timeout &&
	       a->tos == b->tos && a->ttl == b->ttl && a->min_ttl == b->min_ttl &&
	       a->nodelay == b->nodelay && a->keepalive == b->keepalive &&
	       a->keepcnt == b->keepcnt && !strcmp(a->congestion, b->congestion);
}

static int put_u8(struct sk_buff *skb, int attr, u8 value)
{
	return value ? nla_put_u8(skb, attr, value) : 0;
}

static int put_u32(struct sk_buff *skb, int attr, u32 value)
{
	return value ? nla_put_u32(skb, attr, value) : 0;
}

/**
 * nsr_opts_put() - one TCP_NSR_A_CONN_OPTS, empty if all options have their defaults
 * @skb: message
 * @opts: options
 *
 * Return: 0 or -EMSGSIZE; the caller cancels what it has begun.
 */
int nsr_opts_put(struct sk_buff *skb, const struct nsr_opts *opts)
{
	struct nlattr *nest = nla_nest_start(skb, TCP_NSR_A_CONN_OPTS);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = put_u8(skb, TCP_NSR_A_OPT_TOS, opts->tos) ?:
	      put_u8(skb, TCP_NSR_A_OPT_TTL, opts->ttl) ?:
	      put_u8(skb, TCP_NSR_A_OPT_MIN_TTL, opts->min_ttl) ?:
	      put_u32(skb, TCP_NSR_A_OPT_PRIORITY, opts->priority) ?:
	      put_u32(skb, TCP_NSR_A_OPT_MARK, opts->mark) ?:
	      put_u8(skb, TCP_NSR_A_OPT_NODELAY, opts->nodelay) ?:
	      put_u8(skb, TCP_NSR_A_OPT_KEEPALIVE, opts->keepalive) ?:
	      put_u32(skb, TCP_NSR_A_OPT_KEEPIDLE, opts->keepidle) ?:
	      put_u32(skb, TCP_NSR_A_OPT_KEEPINTVL, opts->keepintvl) ?:
	      put_u8(skb, TCP_NSR_A_OPT_KEEPCNT, opts->keepcnt) ?:
	      put_u32(skb, TCP_NSR_A_OPT_USER_TIMEOUT, opts->user_timeout);
	if (!err && opts->congestion[0])
		err = nla_put_string(skb, TCP_NSR_A_OPT_CONGESTION, opts->congestion);
	nla_nest_end(skb, nest);
	return err;
}

static u32 u32_of(const struct nlattr *nla)
{
	return nla ? nla_get_u32(nla) : 0;
}

static u8 u8_of(const struct nlattr *nla)
{
	return nla ? nla_get_u8(nla) : 0;
}

/**
 * nsr_opts_parse() - reads a TCP_NSR_A_CONN_OPTS
 * @opts: set as a whole: what is absent has its default
 * @nla: attribute; unknown options in it are skipped, as in the record around it
 * @extack: what is wrong
 *
 * Return: 0 or a negative errno of the netlink parser; then @opts is as before.
 */
int nsr_opts_parse(struct nsr_opts *opts, const struct nlattr *nla, struct netlink_ext_ack *extack)
{
	struct nlattr *tb[TCP_NSR_A_OPT_MAX + 1];
	int err;

	err = __nla_parse(tb, TCP_NSR_A_OPT_MAX, nla_data(nla), nla_len(nla), opt_policy,
			  NL_VALIDATE_TRAILING | NL_VALIDATE_STRICT_ATTRS, extack);
	if (err)
		return err;
	memset(opts, 0, sizeof(*opts));
	opts->tos = u8_of(tb[TCP_NSR_A_OPT_TOS]) & ~INET_ECN_MASK;
	opts->ttl = u8_of(tb[TCP_NSR_A_OPT_TTL]);
	opts->min_ttl = u8_of(tb[TCP_NSR_A_OPT_MIN_TTL]);
	opts->priority = u32_of(tb[TCP_NSR_A_OPT_PRIORITY]);
	opts->mark = u32_of(tb[TCP_NSR_A_OPT_MARK]);
	opts->nodelay = u8_of(tb[TCP_NSR_A_OPT_NODELAY]);
	opts->keepalive = u8_of(tb[TCP_NSR_A_OPT_KEEPALIVE]);
	opts->keepidle = u32_of(tb[TCP_NSR_A_OPT_KEEPIDLE]);
	opts->keepintvl = u32_of(tb[TCP_NSR_A_OPT_KEEPINTVL]);
	opts->keepcnt = u8_of(tb[TCP_NSR_A_OPT_KEEPCNT]);
	opts->user_timeout = min_t(u32, u32_of(tb[TCP_NSR_A_OPT_USER_TIMEOUT]), INT_MAX);
	if (tb[TCP_NSR_A_OPT_CONGESTION])
		nla_strscpy(opts->congestion, tb[TCP_NSR_A_OPT_CONGESTION], sizeof(opts->congestion));
	return 0;
}

/* What fails leaves the default: the connection is worth more than its option. */
static void set_int(struct sock *sk, int level, int name, int value)
{
	sk->sk_prot->setsockopt(sk, level, name, KERNEL_SOCKPTR(&value), sizeof(value));
}

static void apply_ip(struct sock *sk, u8 family, const struct nsr_opts *from, const struct nsr_opts *to)
{
	bool v6 = family == AF_INET6;

	if (from->tos != to->tos)
		set_int(sk, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TCLASS : IP_TOS, to->tos);
	if (from->ttl != to->ttl)
		set_int(sk, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, to->ttl ?: -1);
	if (from->min_ttl != to->min_ttl)
		set_int(sk, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_MINHOPCOUNT : IP_MINTTL, to->min_ttl);
}

static void apply_congestion(struct sock *sk, const struct nsr_opts *to)
{
	char name[TCP_CA_NAME_MAX];

	strscpy(name, to->congestion, sizeof(name));
	if (!name[0]) {
		rcu_read_lock();
		strscpy(name, rcu_dereference(sock_net(sk)->ipv4.tcp_congestion_control)->name,
			sizeof(name));
		rcu_read_unlock();
	}
	sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_CONGESTION, KERNEL_SOCKPTR(name), strlen(name));
}

/* Not by setsockopt(): it has no word for most defaults, and SO_KEEPALIVE would arm a shadow's timer. */
static void apply_fields(struct sock *sk, const struct nsr_opts *from, const struct nsr_opts *to)
{
	struct tcp_sock *tp = tcp_sk(sk);

	/* After the TOS, which sets a priority of its own. */
	if (from->priority != to->priority || from->tos != to->tos)
		WRITE_ONCE(sk->sk_priority, to->priority);
	if (from->mark != to->mark) {
		WRITE_ONCE(sk->sk_mark, to->mark);
		sk_dst_reset(sk);
	}
	if (from->nodelay != to->nodelay) {
		if (to->nodelay)
			tp->nonagle |= TCP_NAGLE_OFF;
		else
			tp->nonagle &= ~TCP_NAGLE_OFF;
	}
	/* nsr_shadow_wake() arms the timer. */
	if (from->keepalive != to->keepalive)
		sock_valbool_flag(sk, SOCK_KEEPOPEN, to->keepalive);
	if (from->keepidle != to->keepidle)
		WRITE_ONCE(tp->keepalive_time, to->keepidle * HZ);
	if (from->keepintvl != to->keepintvl)
		WRITE_ONCE(tp->keepalive_intvl, to->keepintvl * HZ);
	if (from->keepcnt != to->keepcnt)
		WRITE_ONCE(tp->keepalive_probes, to->keepcnt);
	if (from->user_timeout != to->user_timeout)
		WRITE_ONCE(inet_csk(sk)->icsk_user_timeout, to->user_timeout);
}

/**
 * nsr_opts_apply() - sets the options that differ
 * @sk: fresh socket, or a shadow
 * @family: of the connection's addresses
 * @from: options that it was given before
 * @to: options that it is to have
 *
 * Context: process; takes the socket lock. It may have been adopted meanwhile: options harm nobody.
 */
void nsr_opts_apply(struct sock *sk, u8 family, const struct nsr_opts *from, const struct nsr_opts *to)
{
	might_sleep();
	if (nsr_opts_equal(from, to))
		return;
	apply_ip(sk, family, from, to);
	if (strcmp(from->congestion, to->congestion))
		apply_congestion(sk, to);
	lock_sock(sk);
	apply_fields(sk, from, to);
	release_sock(sk);
}
