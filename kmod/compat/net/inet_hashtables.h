/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: the lookup of an established connection lost its hashinfo argument, which is the
 * namespace's in any case.
 */
#ifndef _TCP_NSR_COMPAT_NET_INET_HASHTABLES_H
#define _TCP_NSR_COMPAT_NET_INET_HASHTABLES_H

#include_next <net/inet_hashtables.h>
#if IS_ENABLED(CONFIG_IPV6)
#include <net/inet6_hashtables.h>
#endif

/* A reference is taken (sock_gen_put()); the answer may be a time-wait or request socket. Under RCU.
 * Ports: @rport in network, @lport in host byte order.
 */
static inline struct sock *nsr_lookup_established4(struct net *net, __be32 raddr, __be16 rport,
						   __be32 laddr, u16 lport, int dif, int sdif)
{
#ifdef NSR_HAVE_LOOKUP_HASHINFO
	return __inet_lookup_established(net, net->ipv4.tcp_death_row.hashinfo, raddr, rport, laddr,
					 lport, dif, sdif);
#else
	return __inet_lookup_established(net, raddr, rport, laddr, lport, dif, sdif);
#endif
}

#if IS_ENABLED(CONFIG_IPV6)
static inline struct sock *nsr_lookup_established6(struct net *net, const struct in6_addr *raddr,
						   __be16 rport, const struct in6_addr *laddr,
						   u16 lport, int dif, int sdif)
{
#ifdef NSR_HAVE_LOOKUP_HASHINFO
	return __inet6_lookup_established(net, net->ipv4.tcp_death_row.hashinfo, raddr, rport,
					  laddr, lport, dif, sdif);
#else
	return __inet6_lookup_established(net, raddr, rport, laddr, lport, dif, sdif);
#endif
}
#endif

#endif /* _TCP_NSR_COMPAT_NET_INET_HASHTABLES_H */
