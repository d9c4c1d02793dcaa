/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr: tracepoints. What happens to one connection or frame is told here and in counters, never in
 * the kernel's log.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tcp_nsr

#if !defined(_TCP_NSR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TCP_NSR_TRACE_H

#include <linux/tracepoint.h>

#include "nsr.h"

#ifndef _TCP_NSR_TRACE_ONCE
#define _TCP_NSR_TRACE_ONCE
/* both families in 16 bytes, IPv4 as ::ffff:a.b.c.d */
static inline void nsr_trace_addr(struct in6_addr *to, u8 family, const union nsr_addr *addr)
{
	if (family == AF_INET6)
		*to = addr->ip6;
	else
		ipv6_addr_set_v4mapped(addr->ip, to);
}
#endif

DECLARE_EVENT_CLASS(nsr_conn_class,
	TP_PROTO(const struct nsr_conn *conn),
	TP_ARGS(conn),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, group)
		__field(u16, lport)
		__field(u16, rport)
		__field(u8, phase)
		__field(u8, adopted_by)
		__field(u8, cause)
		__array(u8, laddr, 16)
		__array(u8, raddr, 16)
	),
	TP_fast_assign(
		__entry->id = conn->rec.id;
		__entry->group = conn->group->id;
		__entry->lport = ntohs(conn->rec.lport);
		__entry->rport = ntohs(conn->rec.rport);
		__entry->phase = conn->phase;
		__entry->adopted_by = conn->adopted_by;
		__entry->cause = conn->close_cause;
		nsr_trace_addr((struct in6_addr *)__entry->laddr, conn->rec.family, &conn->rec.laddr);
		nsr_trace_addr((struct in6_addr *)__entry->raddr, conn->rec.family, &conn->rec.raddr);
	),
	TP_printk("group=%u id=%016llx %pI6c.%u - %pI6c.%u phase=%u adopted_by=%u cause=%u",
		  __entry->group, __entry->id, __entry->laddr, __entry->lport, __entry->raddr,
		  __entry->rport, __entry->phase, __entry->adopted_by, __entry->cause)
);

DEFINE_EVENT(nsr_conn_class, nsr_conn_add, TP_PROTO(const struct nsr_conn *conn), TP_ARGS(conn));
DEFINE_EVENT(nsr_conn_class, nsr_conn_change, TP_PROTO(const struct nsr_conn *conn), TP_ARGS(conn));
DEFINE_EVENT(nsr_conn_class, nsr_conn_del, TP_PROTO(const struct nsr_conn *conn), TP_ARGS(conn));

/* a decision about one segment on a shadow; stat: TCP_NSR_A_STAT_* that was counted */
TRACE_EVENT(nsr_segment,
	TP_PROTO(const struct nsr_conn *conn, int stat, u32 seq, u32 ack),
	TP_ARGS(conn, stat, seq, ack),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(int, stat)
		__field(u32, seq)
		__field(u32, ack)
	),
	TP_fast_assign(
		__entry->id = conn->rec.id;
		__entry->stat = stat;
		__entry->seq = seq;
		__entry->ack = ack;
	),
	TP_printk("id=%016llx stat=%d seq=%u ack=%u", __entry->id, __entry->stat, __entry->seq,
		  __entry->ack)
);

TRACE_EVENT(nsr_role,
	TP_PROTO(const struct nsr_group *g),
	TP_ARGS(g),
	TP_STRUCT__entry(
		__field(u32, group)
		__field(u8, role)
		__field(u64, term)
		__field(u32, owner)
		__field(u32, generation)
		__field(u64, lease_until)
	),
	TP_fast_assign(
		__entry->group = g->id;
		__entry->role = g->role;
		__entry->term = g->term;
		__entry->owner = g->term_owner;
		__entry->generation = g->generation;
		__entry->lease_until = g->lease_until;
	),
	TP_printk("group=%u role=%u term=%llu owner=%u generation=%u lease_until=%llu",
		  __entry->group, __entry->role, __entry->term, __entry->owner,
		  __entry->generation, __entry->lease_until)
);

/* a frame or segment of a group dropped; stat: which counter */
TRACE_EVENT(nsr_drop,
	TP_PROTO(const struct nsr_group *g, int stat, const struct sk_buff *skb),
	TP_ARGS(g, stat, skb),
	TP_STRUCT__entry(
		__field(u32, group)
		__field(int, stat)
		__field(const void *, skbaddr)
		__field(unsigned int, len)
		__field(u16, protocol)
	),
	TP_fast_assign(
		__entry->group = g->id;
		__entry->stat = stat;
		__entry->skbaddr = skb;
		__entry->len = skb->len;
		__entry->protocol = ntohs(skb->protocol);
	),
	TP_printk("group=%u stat=%d skb=%p len=%u protocol=0x%04x", __entry->group, __entry->stat,
		  __entry->skbaddr, __entry->len, __entry->protocol)
);

#endif /* _TCP_NSR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
