// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: IPv4 connections of IPv6 sockets (v4-mapped addresses).
 *
 * Such a socket has operations of its own, which the kernel neither exports nor gives a fresh socket:
 * connect() to a mapped address sets them. So a socket of our own is connected in repair mode, over
 * the loopback interface, once: no segment leaves, nobody listens, and the pointers are read from it.
 */
#include <linux/in6.h>
#include <linux/net.h>
#include <net/ipv6.h>

#include "nsr.h"

#if IS_ENABLED(CONFIG_IPV6)

/* Set together, once; the caller of nsr_mapped_ops() serialises. */
static const struct inet_connection_sock_af_ops *mapped_ops;
static int (*mapped_backlog_rcv)(struct sock *sk, struct sk_buff *skb);
#ifdef CONFIG_TCP_MD5SIG
static const struct tcp_sock_af_ops *mapped_md5;
#endif

static void learn(struct net *net)
{
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(9),
	};
	const struct inet_connection_sock_af_ops *fresh;
	struct socket *sock;
	struct sock *sk;

	if (sock_create_kern(net, AF_INET6, SOCK_STREAM, IPPROTO_TCP, &sock))
		return;
	sk = sock->sk;
	fresh = inet_csk(sk)->icsk_af_ops;
	lock_sock(sk);
	tcp_sk(sk)->repair = 1;
	release_sock(sk);
	ipv6_addr_set_v4mapped(htonl(INADDR_LOOPBACK), &to.sin6_addr);
	if (!kernel_connect(sock, (struct sockaddr_unsized *)&to, sizeof(to), 0)) {
		lock_sock(sk);
		if (inet_csk(sk)->icsk_af_ops != fresh) {
			mapped_backlog_rcv = sk->sk_backlog_rcv;
#ifdef CONFIG_TCP_MD5SIG
			mapped_md5 = tcp_sk(sk)->af_specific;
#endif
			mapped_ops = inet_csk(sk)->icsk_af_ops;
		}
		release_sock(sk);
	}
	/* Still in repair mode: closes without a segment. */
	sock_release(sock);
}

/**
 * nsr_mapped_ops() - operations of a socket whose IPv6 addresses are IPv4 ones
 * @net: namespace whose loopback interface is tried first
 *
 * Context: process; a socket of user space may be locked (ours has a lock class of its own).
 * Return: the operations, or NULL if no loopback interface is up.
 */
const struct inet_connection_sock_af_ops *nsr_mapped_ops(struct net *net)
{
	might_sleep();
	if (!mapped_ops)
		learn(net);
	if (!mapped_ops && net != &init_net)
		learn(&init_net);
	return mapped_ops;
}

/**
 * nsr_mapped_convert() - what connect() to a mapped address does beyond the operations
 * @sk: fresh AF_INET6 socket, locked; nsr_mapped_ops() has answered
 */
void nsr_mapped_convert(struct sock *sk)
{
	sk->sk_backlog_rcv = mapped_backlog_rcv;
#ifdef CONFIG_TCP_MD5SIG
	tcp_sk(sk)->af_specific = mapped_md5;
#endif
}

#else

const struct inet_connection_sock_af_ops *nsr_mapped_ops(struct net *net)
{
	return NULL;
}

void nsr_mapped_convert(struct sock *sk)
{
}

#endif
