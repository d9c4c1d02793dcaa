// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: drop-not-reset, freeze, and the fence by source address.
 *
 * The stack answers a segment that finds no established socket with a reset, from a listener too. For
 * a protected connection that reset would be the end: on a standby (its address may move before its
 * role), and on an active whose shadows are not all resumed. So such segments are dropped, and the
 * far end repeats them; on an active until the group is settled, and never longer than settle_ms.
 *
 * The hooks exist while the namespace has a group. With every group active, settled and not frozen
 * those of the way in cost one load and one branch.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "nsr.h"
#include "trace.h"

static unsigned int drop(struct nsr_group *g, int stat, const struct sk_buff *skb)
{
	nsr_stat_inc(g, stat);
	trace_nsr_drop(g, stat, skb);
	return NF_DROP;
}

/* Frozen, in spite of a rule that is gone: the connection is still in the table. */
static bool frozen_conn(struct nsr_net *ns, const struct sock *sk, struct nsr_group **g)
{
	struct nsr_conn *conn = sk_fullsock(sk) ? nsr_conn_find_sk(ns, sk) : NULL;
	bool frozen;

	if (!conn)
		return false;
	*g = conn->group;	/* under RCU */
	frozen = READ_ONCE(conn->group->frozen);
	nsr_conn_put(conn);
	return frozen;
}

static bool lets_resets_out(struct nsr_group *g, const struct nsr_tuple *t)
{
	return nsr_group_is_active(g) &&
	       (READ_ONCE(g->settled) ||
		ktime_get_boottime_ns() >= READ_ONCE(g->settle_until) ||
		nsr_group_is_exempt(g, t));
}

/*
 * @sk: what the established table has for the segment, or NULL; a reference is given up here.
 */
static unsigned int verdict(struct nsr_net *ns, const struct nsr_tuple *t, const struct tcphdr *th,
			    struct sock *sk, const struct sk_buff *skb)
{
	const struct nsr_rule *rule;
	struct nsr_group *g = NULL;
	bool frozen, found = sk;

	rule = nsr_rule_match_tuple_rcu(ns, t, &g);
	frozen = (rule && READ_ONCE(g->frozen)) || (sk && frozen_conn(ns, sk, &g));
	if (sk)
		sock_gen_put(sk);
	if (frozen)
		return drop(g, TCP_NSR_A_STAT_FROZEN_DROPS, skb);
	if (!rule || found || th->syn || lets_resets_out(g, t))
		return NF_ACCEPT;
	return drop(g, TCP_NSR_A_STAT_NO_SOCKET_DROPS, skb);
}

static unsigned int local_in4(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nsr_net *ns = nsr_pernet(state->net);
	const struct iphdr *iph = ip_hdr(skb);
	struct tcphdr buf, *th;
	struct nsr_tuple t;
	int sdif;

	if (likely(!READ_ONCE(ns->ingress_busy)) || iph->protocol != IPPROTO_TCP ||
	    ip_is_fragment(iph))
		return NF_ACCEPT;
	th = skb_header_pointer(skb, skb_network_offset(skb) + ip_hdrlen(skb), sizeof(buf), &buf);
	if (!th)
		return NF_ACCEPT;
	sdif = inet_sdif(skb);
	t = (struct nsr_tuple) {
		.family = AF_INET, .laddr = &iph->daddr, .raddr = &iph->saddr,
		.lport = th->dest, .rport = th->source,
		.ifindex = state->in->ifindex, .ifindex2 = sdif,
		.vrf = sdif ? state->in->ifindex : 0,
	};
	return verdict(ns, &t, th,
		       nsr_lookup_established4(state->net, iph->saddr, th->source, iph->daddr,
					       ntohs(th->dest), inet_iif(skb), sdif), skb);
}

#if IS_ENABLED(CONFIG_IPV6)
static unsigned int local_in6(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nsr_net *ns = nsr_pernet(state->net);
	const struct ipv6hdr *iph = ipv6_hdr(skb);
	struct tcphdr buf, *th;
	struct nsr_tuple t;
	__be16 frag_off;
	u8 nexthdr;
	int off, sdif;

	if (likely(!READ_ONCE(ns->ingress_busy)))
		return NF_ACCEPT;
	nexthdr = iph->nexthdr;
	off = ipv6_skip_exthdr(skb, skb_network_offset(skb) + sizeof(*iph), &nexthdr, &frag_off);
	if (off < 0 || nexthdr != IPPROTO_TCP || frag_off)
		return NF_ACCEPT;
	th = skb_header_pointer(skb, off, sizeof(buf), &buf);
	if (!th)
		return NF_ACCEPT;
	sdif = inet6_sdif(skb);
	t = (struct nsr_tuple) {
		.family = AF_INET6, .laddr = &iph->daddr, .raddr = &iph->saddr,
		.lport = th->dest, .rport = th->source,
		.ifindex = state->in->ifindex, .ifindex2 = sdif,
		.vrf = sdif ? state->in->ifindex : 0,
	};
	return verdict(ns, &t, th,
		       nsr_lookup_established6(state->net, &iph->saddr, th->source, &iph->daddr,
					       ntohs(th->dest), inet6_iif(skb), sdif), skb);
}
#endif

/*
 * An address that groups in several VRFs have: the one in the VRF that the packet leaves by says whether it
 * may. If there is none, the packet has leaked from elsewhere, and each of them has a say (-1).
 */
static int owner_vrf(struct nsr_net *ns, u8 family, const void *saddr, const struct net_device *out)
{
	const struct nsr_group_cfg *cfg;
	struct nsr_group *g;
	int vrf;

	if (likely(!READ_ONCE(ns->shared_addrs)))
		return -1;
	vrf = nsr_device_master(ns->net, out->ifindex);
	list_for_each_entry_rcu(g, &ns->groups, node) {
		cfg = rcu_dereference(g->cfg);
		if (nsr_cfg_has_addr(cfg, family, saddr) &&
		    nsr_device_vrf(ns->net, cfg) == vrf)
			return vrf;
	}
	return -1;
}

/*
 * May a packet with this local source leave by this device? The service device has its own fence, but
 * a group without a MAC has no such device, and what has the source of any group may be routed past it.
 */
static unsigned int source_verdict(struct nsr_net *ns, u8 family, const void *saddr,
				   struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct nsr_group_cfg *cfg;
	struct nsr_group *g;
	int vrf;

	if (!state->out || state->out->flags & IFF_LOOPBACK)
		return NF_ACCEPT;
	vrf = owner_vrf(ns, family, saddr, state->out);
	list_for_each_entry_rcu(g, &ns->groups, node) {
		cfg = rcu_dereference(g->cfg);
		if (vrf >= 0 && vrf != nsr_device_vrf(ns->net, cfg))
			continue;
		if ((cfg->has_mac && cfg->ifindex == state->out->ifindex) ||
		    !nsr_cfg_has_addr(cfg, family, saddr) || nsr_group_may_emit(g))
			continue;
		/* On another link it is another address. */
		if (nsr_is_link_local(family, saddr) && cfg->ifindex &&
		    !nsr_device_is_link(ns->net, cfg, state->out->ifindex))
			continue;
		nsr_stat_inc(g, TCP_NSR_A_STAT_FENCED_FRAMES);
		trace_nsr_drop(g, TCP_NSR_A_STAT_FENCED_FRAMES, skb);
		kfree_skb(skb);
		return NF_STOLEN;
	}
	return NF_ACCEPT;
}

static unsigned int local_out4(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	return source_verdict(nsr_pernet(state->net), AF_INET, &ip_hdr(skb)->saddr, skb, state);
}

#if IS_ENABLED(CONFIG_IPV6)
static unsigned int local_out6(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	return source_verdict(nsr_pernet(state->net), AF_INET6, &ipv6_hdr(skb)->saddr, skb, state);
}
#endif

/* Last on the way out: what other hooks have made of the packet is what leaves. */
static const struct nf_hook_ops hooks[] = {
	{
		.hook = local_in4, .pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_IN, .priority = NF_IP_PRI_FIRST,
	},
	{
		.hook = local_out4, .pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_OUT, .priority = NF_IP_PRI_LAST,
	},
#if IS_ENABLED(CONFIG_IPV6)
	{
		.hook = local_in6, .pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_IN, .priority = NF_IP6_PRI_FIRST,
	},
	{
		.hook = local_out6, .pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_OUT, .priority = NF_IP6_PRI_LAST,
	},
#endif
};

int nsr_ingress_init(struct nsr_net *ns)
{
	int err;

	lockdep_assert_held(&ns->lock);
	if (ns->hooked)
		return 0;
	err = nf_register_net_hooks(ns->net, hooks, ARRAY_SIZE(hooks));
	ns->hooked = !err;
	return err;
}

void nsr_ingress_exit(struct nsr_net *ns)
{
	if (!ns->hooked)
		return;
	nf_unregister_net_hooks(ns->net, hooks, ARRAY_SIZE(hooks));
	/* A hook that runs still looks at @ns, which may be freed next. */
	synchronize_net();
	ns->hooked = false;
}
