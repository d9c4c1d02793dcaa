/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr: building messages of the family; event.c, and those who fill messages of their own.
 */
#ifndef _TCP_NSR_EVENT_H
#define _TCP_NSR_EVENT_H

#include "nsr.h"

/* what nsr_conn_fill() puts beside ID and PHASE */
#define NSR_FILL_TUPLE		BIT(0)
#define NSR_FILL_RECORD		BIT(1)
#define NSR_FILL_CURSOR		BIT(2)
#define NSR_FILL_VOUCHED	BIT(3)
#define NSR_FILL_ADOPTED	BIT(4)
#define NSR_FILL_GAPS		BIT(5)
#define NSR_FILL_CAUSE		BIT(6)
#define NSR_FILL_GATE		BIT(7)
#define NSR_FILL_OPTS		BIT(8)
#define NSR_FILL_REFUSED	BIT(9)
#define NSR_FILL_DEVICE		BIT(10)	/* it has changed */

/** struct nsr_event - an event being built */
struct nsr_event {
	struct sk_buff *skb;		/* NULL: no memory, or dropped */
	void *hdr;
	struct nlattr *seq;		/* EVENT_SEQ, set when it is sent */
};

int nsr_conn_fill(struct sk_buff *skb, const struct nsr_conn *conn, const struct nsr_cursor *cur,
		  unsigned int what);
bool nsr_event_start(struct nsr_event *ev, u8 cmd, u32 group, gfp_t gfp);
void nsr_event_send(struct nsr_net *ns, struct nsr_event *ev);
void nsr_event_drop(struct nsr_event *ev);

#endif /* _TCP_NSR_EVENT_H */
