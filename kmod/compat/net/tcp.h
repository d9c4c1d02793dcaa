/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: TSval in microseconds, TCP-AO and Accurate ECN are not on every kernel.
 */
#ifndef _TCP_NSR_COMPAT_NET_TCP_H
#define _TCP_NSR_COMPAT_NET_TCP_H

#include_next <net/tcp.h>

#ifndef NSR_HAVE_TCP_CLOCK_TS
static inline u32 tcp_clock_ts(bool usec_ts)
{
	return tcp_time_stamp_raw();
}
#endif

/* true: the connection's TSval counts microseconds */
static inline bool nsr_tcp_usec_ts(const struct tcp_sock *tp)
{
#ifdef NSR_HAVE_TCP_USEC_TS
	return tp->tcp_usec_ts;
#else
	return false;
#endif
}

static inline bool nsr_tcp_has_ao(const struct tcp_sock *tp)
{
#if defined(NSR_HAVE_TCP_AO) && defined(CONFIG_TCP_AO)
	return rcu_access_pointer(tp->ao_info);
#else
	return false;
#endif
}

/*
 * Classic ECN (RFC 3168). Accurate ECN (RFC 9768) counts marks from the handshake on, which no other box can
 * go on with: such a connection is taken over without ECN.
 */
#ifdef NSR_HAVE_ACCECN
#define NSR_TCP_ECN_OK	TCP_ECN_MODE_RFC3168
static inline bool nsr_tcp_has_ecn(const struct tcp_sock *tp)
{
	return tcp_ecn_mode_rfc3168(tp);
}
#else
#define NSR_TCP_ECN_OK	TCP_ECN_OK
static inline bool nsr_tcp_has_ecn(const struct tcp_sock *tp)
{
	return tp->ecn_flags & TCP_ECN_OK;
}
#endif

/* tcp_mstamp_refresh(): what the stack does when a segment, a timer or an application comes */
static inline void nsr_tcp_refresh(struct tcp_sock *tp)
{
	tp->tcp_clock_cache = tcp_clock_ns();
	tp->tcp_mstamp = div_u64(tp->tcp_clock_cache, NSEC_PER_USEC);
}

static inline void nsr_tcp_send_ack(struct sock *sk, u32 rcv_nxt)
{
#ifdef NSR_HAVE_SEND_ACK_FLAGS
	__tcp_send_ack(sk, rcv_nxt, 0);
#else
	__tcp_send_ack(sk, rcv_nxt);
#endif
}

#endif /* _TCP_NSR_COMPAT_NET_TCP_H */
