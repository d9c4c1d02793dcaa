// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the fence: no frame of the group leaves a box without the right to emit.
 *
 * A hook on the egress of the service interface looks at every frame: source MAC; source of IPv4 and
 * IPv6; sender of ARP; target of neighbour discovery; behind up to two VLAN tags. One stray frame of
 * any kind moves the switch's port, so all kinds count. The right is read at the frame, see role.c.
 *
 * What does not leave by the service interface (a group without one, whose addresses move by routing; an
 * odd route): ingress.c looks at the source address of what is sent locally, on every other device.
 *
 * Frames are stolen, not dropped: a drop's errno would tell TCP to try again at once.
 *
 * The hook hangs on the device, and the device may vanish and return while nobody watches. When one of
 * the same name returns, the fence is on it before it can be brought up.
 */
#include <linux/etherdevice.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/ndisc.h>

#include "nsr.h"
#include "trace.h"

struct nsr_fence {
	struct nf_hook_ops ops;
	struct rcu_head rcu;			/* hooks are listed under RCU */
};

struct arp_ipv4 {
	u8 sha[ETH_ALEN];
	__be32 sip;
	u8 tha[ETH_ALEN];
	__be32 tip;
} __packed;

static bool ip4_of_group(const struct nsr_group_cfg *cfg, const struct sk_buff *skb, int off)
{
	struct iphdr buf, *iph = skb_header_pointer(skb, off, sizeof(buf), &buf);

	return iph && nsr_cfg_has_addr(cfg, AF_INET, &iph->saddr);
}

static bool ip6_of_group(const struct nsr_group_cfg *cfg, const struct sk_buff *skb, int off)
{
	struct ipv6hdr buf, *iph = skb_header_pointer(skb, off, sizeof(buf), &buf);
	struct nd_msg ndbuf, *nd;

	if (!iph)
		return false;
	if (nsr_cfg_has_addr(cfg, AF_INET6, &iph->saddr))
		return true;
	/* A duplicate address probe has no source, an advertisement may have another one. */
	if (iph->nexthdr != IPPROTO_ICMPV6)
		return false;
	nd = skb_header_pointer(skb, off + sizeof(buf), sizeof(ndbuf), &ndbuf);
	return nd &&
	       (nd->icmph.icmp6_type == NDISC_NEIGHBOUR_SOLICITATION ?
			ipv6_addr_any(&iph->saddr) :
			nd->icmph.icmp6_type == NDISC_NEIGHBOUR_ADVERTISEMENT) &&
	       nsr_cfg_has_addr(cfg, AF_INET6, &nd->target);
}

static bool arp_of_group(const struct nsr_group_cfg *cfg, const struct sk_buff *skb, int off)
{
	struct arphdr buf, *arp = skb_header_pointer(skb, off, sizeof(buf), &buf);
	struct arp_ipv4 abuf, *a;

	if (!arp || arp->ar_pro != htons(ETH_P_IP) || arp->ar_hln != ETH_ALEN || arp->ar_pln != 4)
		return false;
	a = skb_header_pointer(skb, off + sizeof(buf), sizeof(abuf), &abuf);
	return a && (nsr_cfg_has_addr(cfg, AF_INET, &a->sip) ||
		     (cfg->has_mac && ether_addr_equal(a->sha, cfg->mac)));
}

static bool frame_of_group(const struct nsr_group_cfg *cfg, const struct sk_buff *skb,
			   const struct net_device *dev)
{
	int off = skb_network_offset(skb), depth;
	__be16 proto = skb->protocol;
	struct vlan_hdr vbuf, *vlan;
	struct ethhdr buf, *eth;

	if (dev->type == ARPHRD_ETHER) {
		off = skb_mac_offset(skb);
		eth = skb_header_pointer(skb, off, sizeof(buf), &buf);
		if (!eth)
			return false;
		if (cfg->has_mac && ether_addr_equal(eth->h_source, cfg->mac))
			return true;
		proto = eth->h_proto;
		off += ETH_HLEN;
	}
	for (depth = 0; depth < 2 && eth_type_vlan(proto); depth++) {
		vlan = skb_header_pointer(skb, off, sizeof(vbuf), &vbuf);
		if (!vlan)
			return false;
		proto = vlan->h_vlan_encapsulated_proto;
		off += VLAN_HLEN;
	}
	switch (proto) {
	case htons(ETH_P_IP):
		return ip4_of_group(cfg, skb, off);
	case htons(ETH_P_IPV6):
		return ip6_of_group(cfg, skb, off);
	case htons(ETH_P_ARP):
		return arp_of_group(cfg, skb, off);
	}
	return false;
}

static unsigned int egress_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nsr_group *g = priv;

	if (nsr_group_may_emit(g) ||
	    !frame_of_group(rcu_dereference(g->cfg), skb, state->out ?: state->in))
		return NF_ACCEPT;
	nsr_stat_inc(g, TCP_NSR_A_STAT_FENCED_FRAMES);
	trace_nsr_drop(g, TCP_NSR_A_STAT_FENCED_FRAMES, skb);
	kfree_skb(skb);
	return NF_STOLEN;
}

/* If it fails the fence stays where it was: the new one is up before the old one goes. */
static int attach_to(struct nsr_group *g, struct net_device *dev)
{
	struct nsr_fence *fence;
	int err;

	ASSERT_RTNL();
	if (g->fence && g->egress_dev == dev)
		return 0;
	fence = kzalloc(sizeof(*fence), GFP_KERNEL);
	if (!fence)
		return -ENOMEM;
	fence->ops = (struct nf_hook_ops) {
		.hook = egress_hook,
		.dev = dev,
		.priv = g,
		.pf = NFPROTO_NETDEV,
		.hooknum = NF_NETDEV_EGRESS,
		.priority = INT_MIN,
	};
	err = nf_register_net_hook(g->ns->net, &fence->ops);
	if (err) {
		kfree(fence);
		return err;
	}
	nsr_egress_detach(g);
	g->fence = fence;
	g->egress_dev = dev;
	strscpy(g->egress_name, dev->name, sizeof(g->egress_name));
	return 0;
}

/**
 * nsr_egress_attach() - puts the fence on the device that the group's configuration names
 * @g: group; rtnl and ns->lock held
 *
 * Return: 0, also for a group without a device; -ENODEV; -EOPNOTSUPP: a kernel without
 * CONFIG_NETFILTER_EGRESS; -ENOMEM.
 */
int nsr_egress_attach(struct nsr_group *g)
{
	const struct nsr_group_cfg *cfg;
	struct net_device *dev;

	cfg = rcu_dereference_protected(g->cfg, lockdep_is_held(&g->ns->lock));
	if (!cfg->ifindex) {
		nsr_egress_detach(g);
		g->egress_name[0] = '\0';
		return 0;
	}
	dev = __dev_get_by_index(g->ns->net, cfg->ifindex);
	return dev ? attach_to(g, dev) : -ENODEV;
}

void nsr_egress_detach(struct nsr_group *g)
{
	ASSERT_RTNL();
	if (!g->fence)
		return;
	nf_unregister_net_hook(g->ns->net, &g->fence->ops);
	kfree_rcu(g->fence, rcu);
	g->fence = NULL;
	g->egress_dev = NULL;
}

/* The device came back: under another index, as a rule. */
static void reattach(struct nsr_group *g, struct net_device *dev)
{
	struct nsr_group_cfg *old, *cfg;
	int err = attach_to(g, dev);

	if (err) {
		pr_err("tcp_nsr: group %u: no fence on %s, which came back: error %d\n", g->id,
		       dev->name, err);
		return;
	}
	old = rcu_dereference_protected(g->cfg, lockdep_is_held(&g->ns->lock));
	cfg = kmemdup(old, struct_size(old, addrs, old->nr_addrs), GFP_KERNEL);
	if (!cfg) {
		/* The fence stands; what is asked for by number goes astray until GROUP_SET says it anew. */
		pr_err("tcp_nsr: group %u: no memory to note that %s is interface %d now\n", g->id,
		       dev->name, dev->ifindex);
		return;
	}
	cfg->ifindex = dev->ifindex;
	rcu_assign_pointer(g->cfg, cfg);
	kfree_rcu(old, rcu);
}

static int netdev_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct nsr_net *ns = container_of(nb, struct nsr_net, netdev_nb);
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct nsr_group *g;

	if (event != NETDEV_REGISTER && event != NETDEV_UNREGISTER && event != NETDEV_CHANGENAME &&
	    event != NETDEV_CHANGEUPPER)
		return NOTIFY_DONE;
	mutex_lock(&ns->lock);
	if (event == NETDEV_CHANGEUPPER)
		nsr_group_warn_shared(ns);
	list_for_each_entry(g, &ns->groups, node) {
		switch (event) {
		case NETDEV_UNREGISTER:
			if (g->egress_dev == dev)
				nsr_egress_detach(g);
			break;
		case NETDEV_CHANGENAME:
			if (g->egress_dev == dev) {
				strscpy(g->egress_name, dev->name, sizeof(g->egress_name));
				break;
			}
			fallthrough;
		case NETDEV_REGISTER:
			if (!g->fence && g->egress_name[0] &&
			    !strcmp(g->egress_name, dev->name))
				reattach(g, dev);
			break;
		}
	}
	mutex_unlock(&ns->lock);
	return NOTIFY_DONE;
}

int nsr_egress_net_init(struct nsr_net *ns)
{
	ns->netdev_nb.notifier_call = netdev_event;
	return register_netdevice_notifier_net(ns->net, &ns->netdev_nb);
}

void nsr_egress_net_exit(struct nsr_net *ns)
{
	unregister_netdevice_notifier_net(ns->net, &ns->netdev_nb);
}
