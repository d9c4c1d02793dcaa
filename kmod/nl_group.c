// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: netlink commands of groups, roles and rules.
 */
#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>

#include "netlink.h"

static struct netlink_range_validation ifindex_range = { .min = 1, .max = S32_MAX };

const struct nla_policy nsr_rule_policy[TCP_NSR_A_RULE_MAX + 1] = {
	[TCP_NSR_A_RULE_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCP_NSR_A_RULE_FAMILY] = { .type = NLA_U8 },
	[TCP_NSR_A_RULE_LADDR] = NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
	[TCP_NSR_A_RULE_LPORT] = { .type = NLA_U16 },
	[TCP_NSR_A_RULE_RADDR] = NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
	[TCP_NSR_A_RULE_RADDR_LEN] = NLA_POLICY_MAX(NLA_U8, 128),
	[TCP_NSR_A_RULE_RPORT] = { .type = NLA_U16 },
	[TCP_NSR_A_RULE_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &ifindex_range),
	[TCP_NSR_A_RULE_MODE] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_MODE_LOSSLESS),
	[TCP_NSR_A_RULE_GAP] = NLA_POLICY_RANGE(NLA_U8, TCP_NSR_GAP_RESET, TCP_NSR_GAP_REPORT),
};

static u32 get_u32_or(const struct nlattr *nla, u32 otherwise)
{
	return nla ? nla_get_u32(nla) : otherwise;
}

/* 0 if the length belongs to no family */
static u8 family_of_length(const struct nlattr *nla)
{
	switch (nla_len(nla)) {
	case sizeof(__be32):
		return AF_INET;
	case sizeof(struct in6_addr):
		return AF_INET6;
	}
	return 0;
}

static int count_addrs(struct genl_info *info, unsigned int *n)
{
	const struct nlattr *nla;
	int rem;

	*n = 0;
	nla_for_each_nested(nla, info->attrs[TCP_NSR_A_ADDRS], rem) {
		if (nla_type(nla) != TCP_NSR_A_ADDR || !family_of_length(nla)) {
			NL_SET_ERR_MSG_ATTR(info->extack, nla,
					    "tcp_nsr: ADDRS: expected ADDR of 4 or 16 bytes");
			return -EINVAL;
		}
		if (++*n > TCP_NSR_MAX_ADDRS) {
			NL_SET_ERR_MSG_ATTR(info->extack, nla,
					    "tcp_nsr: ADDRS: at most 64 addresses");
			return -EINVAL;
		}
	}
	return 0;
}

static struct nsr_group_cfg *parse_cfg(struct genl_info *info)
{
	struct nlattr **tb = info->attrs;
	struct nsr_group_cfg *cfg;
	const struct nlattr *nla;
	unsigned int n = 0, i = 0;
	int rem, err;

	if (tb[TCP_NSR_A_ADDRS]) {
		err = count_addrs(info, &n);
		if (err)
			return ERR_PTR(err);
	}
	cfg = kzalloc(struct_size(cfg, addrs, n), GFP_KERNEL);
	if (!cfg)
		return ERR_PTR(-ENOMEM);
	cfg->ifindex = get_u32_or(tb[TCP_NSR_A_IFINDEX], 0);
	cfg->settle_ms = get_u32_or(tb[TCP_NSR_A_SETTLE_MS], 60000);
	cfg->segment_life_ms = get_u32_or(tb[TCP_NSR_A_SEGMENT_LIFE_MS], 5000);
	cfg->gap_bound_ms = get_u32_or(tb[TCP_NSR_A_GAP_BOUND_MS], 120000);
	cfg->probe_rate = get_u32_or(tb[TCP_NSR_A_PROBE_RATE], 20000);
	cfg->mute_on_death = tb[TCP_NSR_A_ON_DEATH] &&
			     nla_get_u8(tb[TCP_NSR_A_ON_DEATH]) == TCP_NSR_ON_DEATH_MUTE;
	if (tb[TCP_NSR_A_MAC]) {
		cfg->has_mac = true;
		nla_memcpy(cfg->mac, tb[TCP_NSR_A_MAC], ETH_ALEN);
	}
	cfg->nr_addrs = n;
	if (n) {
		nla_for_each_nested(nla, tb[TCP_NSR_A_ADDRS], rem) {
			cfg->addrs[i].family = family_of_length(nla);
			nla_memcpy(&cfg->addrs[i].addr, nla, sizeof(cfg->addrs[i].addr));
			i++;
		}
	}
	return cfg;
}

static int check_cfg(const struct nsr_group_cfg *cfg, struct netlink_ext_ack *extack)
{
	if (cfg->has_mac && !is_valid_ether_addr(cfg->mac)) {
		nsr_refuse(extack, "MAC: not a unicast address");
		return -EINVAL;
	}
	if (cfg->has_mac && !cfg->ifindex) {
		nsr_refuse(extack, "IFINDEX is missing: the device that emits frames with the MAC");
		return -EINVAL;
	}
	if (!cfg->nr_addrs) {
		nsr_refuse(extack, "ADDRS is missing: at least one address of the group");
		return -EINVAL;
	}
	return 0;
}

int nsr_nl_group_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nsr_group_cfg *cfg;
	int err;

	if (!nsr_need(info, GROUP_ID))
		return -EINVAL;
	cfg = parse_cfg(info);
	if (IS_ERR(cfg))
		return PTR_ERR(cfg);
	err = check_cfg(cfg, info->extack);
	if (!err) {
		rtnl_lock();
		mutex_lock(&ns->lock);
		err = nsr_group_set(ns, nla_get_u32(info->attrs[TCP_NSR_A_GROUP_ID]), cfg,
				    info->extack);
		mutex_unlock(&ns->lock);
		rtnl_unlock();
	}
	if (err)
		kfree(cfg);
	return err;
}

int nsr_nl_group_del(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nsr_group *g;
	int err;

	if (!nsr_need(info, GROUP_ID))
		return -EINVAL;
	if (nla_get_flag(info->attrs[TCP_NSR_A_FLUSH])) {
		/*
		 * Whoever uses a connection may hold its socket for as long as a page that he writes from
		 * does not come: that must not stop the box's network. What is left to do under rtnl finds
		 * no connection, or one that is new.
		 */
		g = nsr_info_group(info, &err);
		if (!g)
			return err;
		nsr_role_mute(g, false);
		nsr_group_flush(ns, g);
		cancel_delayed_work_sync(&g->probe_work);
		nsr_group_put(g);
	}
	rtnl_lock();
	mutex_lock(&ns->lock);
	err = nsr_group_del(ns, nla_get_u32(info->attrs[TCP_NSR_A_GROUP_ID]),
			    nla_get_flag(info->attrs[TCP_NSR_A_FLUSH]), info->extack);
	mutex_unlock(&ns->lock);
	rtnl_unlock();
	return err;
}

static int put_addr(struct sk_buff *skb, int attr, u8 family, const union nsr_addr *addr)
{
	return nla_put(skb, attr, family == AF_INET ? sizeof(addr->ip) : sizeof(addr->ip6), addr);
}

static int put_cfg(struct sk_buff *skb, const struct nsr_group_cfg *cfg)
{
	struct nlattr *nest;
	unsigned int i;
	int err = 0;

	if (cfg->ifindex)
		err = nla_put_u32(skb, TCP_NSR_A_IFINDEX, cfg->ifindex);
	if (!err && cfg->has_mac)
		err = nla_put(skb, TCP_NSR_A_MAC, ETH_ALEN, cfg->mac);
	if (err)
		return err;
	nest = nla_nest_start(skb, TCP_NSR_A_ADDRS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < cfg->nr_addrs; i++)
		if (put_addr(skb, TCP_NSR_A_ADDR, cfg->addrs[i].family, &cfg->addrs[i].addr))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return nla_put_u32(skb, TCP_NSR_A_SETTLE_MS, cfg->settle_ms) ?:
	       nla_put_u32(skb, TCP_NSR_A_SEGMENT_LIFE_MS, cfg->segment_life_ms) ?:
	       nla_put_u32(skb, TCP_NSR_A_GAP_BOUND_MS, cfg->gap_bound_ms) ?:
	       nla_put_u32(skb, TCP_NSR_A_PROBE_RATE, cfg->probe_rate) ?:
	       nla_put_u8(skb, TCP_NSR_A_ON_DEATH, cfg->mute_on_death ? TCP_NSR_ON_DEATH_MUTE :
								       TCP_NSR_ON_DEATH_RELEASE);
}

static int put_role(struct sk_buff *skb, struct nsr_group *g)
{
	int err;

	spin_lock_bh(&g->role_lock);
	err = nla_put_u8(skb, TCP_NSR_A_ROLE, g->role) ?:
	      nsr_put_u64(skb, TCP_NSR_A_TERM, g->term) ?:
	      nla_put_u32(skb, TCP_NSR_A_TERM_OWNER, g->term_owner) ?:
	      nsr_put_u64(skb, TCP_NSR_A_LEASE_UNTIL, g->lease_until) ?:
	      nla_put_u32(skb, TCP_NSR_A_GENERATION, g->generation) ?:
	      nsr_put_u64(skb, TCP_NSR_A_READY_UNTIL, g->ready_until) ?:
	      nla_put_u8(skb, TCP_NSR_A_GATES_OPEN, g->gates_open) ?:
	      nla_put_u32(skb, TCP_NSR_A_EPOCH, g->epoch) ?:
	      nla_put_u8(skb, TCP_NSR_A_FROZEN, g->frozen) ?:
	      nla_put_u8(skb, TCP_NSR_A_SETTLED, g->settled);
	spin_unlock_bh(&g->role_lock);
	return err;
}

static int put_stats(struct sk_buff *skb, const struct nsr_group *g)
{
	struct nlattr *nest = nla_nest_start(skb, TCP_NSR_A_STATS);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = TCP_NSR_A_STAT_CONNS_ADDED; i <= TCP_NSR_A_STAT_MAX; i++)
		if (nla_put_u64_64bit(skb, i, atomic64_read(&g->stats[i]), TCP_NSR_A_STAT_PAD))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* Under RCU. */
static int put_group(struct sk_buff *skb, struct nsr_group *g)
{
	int shadows = atomic_read(&g->nr_unsettled), refused = atomic_read(&g->nr_refused);

	return nla_put_u32(skb, TCP_NSR_A_GROUP_ID, g->id) ?:
	       put_cfg(skb, rcu_dereference(g->cfg)) ?:
	       put_role(skb, g) ?:
	       nla_put_u32(skb, TCP_NSR_A_NUM_CONNS, max(atomic_read(&g->nr_conns) - shadows - refused, 0)) ?:
	       nla_put_u32(skb, TCP_NSR_A_NUM_SHADOWS, shadows) ?:
	       nla_put_u32(skb, TCP_NSR_A_NUM_REFUSED, refused) ?:
	       put_stats(skb, g);
}

int nsr_nl_group_get(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_reply reply;
	struct nsr_group *g;
	int err;

	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	err = nsr_reply_start(&reply, info, TCP_NSR_CMD_GROUP_GET);
	if (!err) {
		rcu_read_lock();
		err = put_group(reply.skb, g);
		rcu_read_unlock();
		err = nsr_reply_send(&reply, info, err);
	}
	nsr_group_put(g);
	return err;
}

int nsr_nl_group_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nsr_net *ns = nsr_pernet(sock_net(skb->sk));
	int err = nsr_nl_dump_check(cb);
	unsigned int n = 0;
	struct nsr_group *g;
	void *hdr;

	if (err)
		return err;
	rcu_read_lock();
	list_for_each_entry_rcu(g, &ns->groups, node) {
		if (n++ < cb->args[0])
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				  &nsr_genl_family, NLM_F_MULTI, TCP_NSR_CMD_GROUP_GET);
		if (!hdr)
			break;
		if (put_group(skb, g)) {
			genlmsg_cancel(skb, hdr);
			break;
		}
		genlmsg_end(skb, hdr);
		cb->args[0] = n;
	}
	rcu_read_unlock();
	return skb->len;
}

static int reply_generation(struct genl_info *info, u8 cmd, u32 generation)
{
	struct nsr_reply reply;
	int err;

	err = nsr_reply_start(&reply, info, cmd);
	if (err)
		return err;
	return nsr_reply_send(&reply, info,
			      nla_put_u32(reply.skb, TCP_NSR_A_GENERATION, generation));
}

int nsr_nl_role_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **tb = info->attrs;
	struct nsr_role_req req = {};
	struct nsr_group *g;
	int err;

	if (!nsr_need(info, ROLE) || !nsr_need(info, TERM) || !nsr_need(info, TERM_OWNER) ||
	    !nsr_need(info, GENERATION))
		return -EINVAL;
	req.role = nla_get_u8(tb[TCP_NSR_A_ROLE]);
	req.term = nla_get_u64(tb[TCP_NSR_A_TERM]);
	req.term_owner = nla_get_u32(tb[TCP_NSR_A_TERM_OWNER]);
	req.generation = nla_get_u32(tb[TCP_NSR_A_GENERATION]);
	if (req.role == TCP_NSR_ROLE_ACTIVE) {
		if (!nsr_need(info, LEASE_UNTIL))
			return -EINVAL;
		req.lease_until = nla_get_u64(tb[TCP_NSR_A_LEASE_UNTIL]);
	} else if (tb[TCP_NSR_A_LEASE_UNTIL]) {
		NL_SET_ERR_MSG_ATTR(info->extack, tb[TCP_NSR_A_LEASE_UNTIL],
				    "tcp_nsr: LEASE_UNTIL belongs to role ACTIVE");
		return -EINVAL;
	}
	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	err = nsr_role_set(g, &req, info->extack);
	nsr_group_put(g);
	return err ?: reply_generation(info, TCP_NSR_CMD_ROLE_SET, req.generation);
}

int nsr_nl_lease_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_group *g;
	int err;

	if (!nsr_need(info, LEASE_UNTIL) || !nsr_need(info, GENERATION))
		return -EINVAL;
	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	err = nsr_lease_set(g, nla_get_u64(info->attrs[TCP_NSR_A_LEASE_UNTIL]),
			    nla_get_u32(info->attrs[TCP_NSR_A_GENERATION]), info->extack);
	nsr_group_put(g);
	return err;
}

int nsr_nl_mute(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_group *g;
	u32 generation;
	int err;

	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	generation = nsr_role_mute(g, false);
	if (nla_get_flag(info->attrs[TCP_NSR_A_DESTROY]))
		nsr_scan_destroy(g);
	nsr_group_put(g);
	return reply_generation(info, TCP_NSR_CMD_MUTE, generation);
}

int nsr_nl_ready_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **tb = info->attrs;
	struct nsr_group *g;
	bool was, is;
	int err;

	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	spin_lock_bh(&g->role_lock);
	was = g->gates_open;
	if (tb[TCP_NSR_A_READY_UNTIL])
		g->ready_until = nla_get_u64(tb[TCP_NSR_A_READY_UNTIL]);
	if (tb[TCP_NSR_A_GATES_OPEN])
		WRITE_ONCE(g->gates_open, nla_get_u8(tb[TCP_NSR_A_GATES_OPEN]));
	if (tb[TCP_NSR_A_EPOCH])
		g->epoch = nla_get_u32(tb[TCP_NSR_A_EPOCH]);
	is = g->gates_open;
	spin_unlock_bh(&g->role_lock);
	if (is && !was)
		nsr_gate_opened(g);
	else if (was && !is)
		nsr_gate_sync();
	nsr_group_put(g);
	return 0;
}

int nsr_nl_freeze(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_group *g;
	int err;

	if (!nsr_need(info, FROZEN))
		return -EINVAL;
	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	nsr_role_freeze(g, nla_get_u8(info->attrs[TCP_NSR_A_FROZEN]));
	nsr_group_put(g);
	return 0;
}

static int check_family(struct nsr_rule *rule, const struct nlattr *addr,
			struct netlink_ext_ack *extack)
{
	u8 family = family_of_length(addr);

	if (!family || (rule->family && rule->family != family)) {
		NL_SET_ERR_MSG_ATTR(extack, addr,
				    "tcp_nsr: RULE: addresses of 4 or 16 bytes, all of the rule's FAMILY");
		return -EINVAL;
	}
	rule->family = family;
	return 0;
}

static int parse_rule_addrs(struct nsr_rule *rule, struct nlattr **tb,
			    struct netlink_ext_ack *extack)
{
	unsigned int bits;
	int err;

	if (tb[TCP_NSR_A_RULE_LADDR]) {
		err = check_family(rule, tb[TCP_NSR_A_RULE_LADDR], extack);
		if (err)
			return err;
		rule->has_laddr = true;
		nla_memcpy(&rule->laddr, tb[TCP_NSR_A_RULE_LADDR], sizeof(rule->laddr));
	}
	if (!tb[TCP_NSR_A_RULE_RADDR]) {
		if (!tb[TCP_NSR_A_RULE_RADDR_LEN])
			return 0;
		nsr_refuse(extack, "RULE: RADDR_LEN without RADDR");
		return -EINVAL;
	}
	err = check_family(rule, tb[TCP_NSR_A_RULE_RADDR], extack);
	if (err)
		return err;
	nla_memcpy(&rule->raddr, tb[TCP_NSR_A_RULE_RADDR], sizeof(rule->raddr));
	bits = nla_len(tb[TCP_NSR_A_RULE_RADDR]) * 8;
	rule->raddr_len = tb[TCP_NSR_A_RULE_RADDR_LEN] ? nla_get_u8(tb[TCP_NSR_A_RULE_RADDR_LEN]) :
							 bits;
	if (rule->raddr_len > bits) {
		NL_SET_ERR_MSG_ATTR(extack, tb[TCP_NSR_A_RULE_RADDR_LEN],
				    "tcp_nsr: RULE: RADDR_LEN is more than RADDR has bits");
		return -EINVAL;
	}
	return 0;
}

static int parse_rule(struct nsr_rule *rule, struct genl_info *info)
{
	struct netlink_ext_ack *extack = info->extack;
	struct nlattr *tb[TCP_NSR_A_RULE_MAX + 1];
	int err;

	err = nla_parse_nested(tb, TCP_NSR_A_RULE_MAX, info->attrs[TCP_NSR_A_RULE],
			       nsr_rule_policy, extack);
	if (err)
		return err;
	if (!tb[TCP_NSR_A_RULE_ID] || !tb[TCP_NSR_A_RULE_MODE]) {
		nsr_refuse(extack, "RULE: ID and MODE are needed");
		return -EINVAL;
	}
	rule->id = nla_get_u32(tb[TCP_NSR_A_RULE_ID]);
	rule->mode = nla_get_u8(tb[TCP_NSR_A_RULE_MODE]);
	rule->gap = tb[TCP_NSR_A_RULE_GAP] ? nla_get_u8(tb[TCP_NSR_A_RULE_GAP]) : TCP_NSR_GAP_RESET;
	if (tb[TCP_NSR_A_RULE_FAMILY])
		rule->family = nla_get_u8(tb[TCP_NSR_A_RULE_FAMILY]);
	if (rule->family && rule->family != AF_INET && rule->family != AF_INET6) {
		NL_SET_ERR_MSG_ATTR(extack, tb[TCP_NSR_A_RULE_FAMILY],
				    "tcp_nsr: RULE: FAMILY is AF_INET or AF_INET6");
		return -EINVAL;
	}
	rule->lport = tb[TCP_NSR_A_RULE_LPORT] ? nla_get_be16(tb[TCP_NSR_A_RULE_LPORT]) : 0;
	rule->rport = tb[TCP_NSR_A_RULE_RPORT] ? nla_get_be16(tb[TCP_NSR_A_RULE_RPORT]) : 0;
	if (!rule->lport && !rule->rport) {
		nsr_refuse(extack, "RULE: LPORT or RPORT is needed");
		return -EINVAL;
	}
	rule->ifindex = get_u32_or(tb[TCP_NSR_A_RULE_IFINDEX], 0);
	return parse_rule_addrs(rule, tb, extack);
}

int nsr_nl_rule_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nsr_group *g;
	struct nsr_rule *rule;
	int err;

	if (!nsr_need(info, RULE))
		return -EINVAL;
	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	err = rule ? parse_rule(rule, info) : -ENOMEM;
	if (!err) {
		mutex_lock(&ns->lock);
		err = READ_ONCE(g->dead) ? -ENOENT : nsr_rule_set(g, rule, info->extack);
		mutex_unlock(&ns->lock);
	}
	if (err)
		kfree(rule);
	else if (nsr_group_is_active(g))
		nsr_scan_now(ns);
	nsr_group_put(g);
	return err;
}

int nsr_nl_rule_del(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *tb[TCP_NSR_A_RULE_MAX + 1];
	struct nsr_net *ns = nsr_info_ns(info);
	struct nsr_group *g;
	int err;

	if (!nsr_need(info, RULE))
		return -EINVAL;
	err = nla_parse_nested(tb, TCP_NSR_A_RULE_MAX, info->attrs[TCP_NSR_A_RULE],
			       nsr_rule_policy, info->extack);
	if (err)
		return err;
	if (!tb[TCP_NSR_A_RULE_ID]) {
		nsr_refuse(info->extack, "RULE: ID is needed");
		return -EINVAL;
	}
	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	mutex_lock(&ns->lock);
	err = nsr_rule_del(g, nla_get_u32(tb[TCP_NSR_A_RULE_ID]), info->extack);
	mutex_unlock(&ns->lock);
	nsr_group_put(g);
	return err;
}

static int put_rule(struct sk_buff *skb, const struct nsr_rule *rule)
{
	struct nlattr *nest = nla_nest_start(skb, TCP_NSR_A_RULE);
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = nla_put_u32(skb, TCP_NSR_A_RULE_ID, rule->id) ?:
	      nla_put_u8(skb, TCP_NSR_A_RULE_MODE, rule->mode) ?:
	      nla_put_u8(skb, TCP_NSR_A_RULE_GAP, rule->gap);
	if (!err && rule->family)
		err = nla_put_u8(skb, TCP_NSR_A_RULE_FAMILY, rule->family);
	if (!err && rule->has_laddr)
		err = put_addr(skb, TCP_NSR_A_RULE_LADDR, rule->family, &rule->laddr);
	if (!err && rule->raddr_len)
		err = put_addr(skb, TCP_NSR_A_RULE_RADDR, rule->family, &rule->raddr) ?:
		      nla_put_u8(skb, TCP_NSR_A_RULE_RADDR_LEN, rule->raddr_len);
	if (!err && rule->lport)
		err = nla_put_be16(skb, TCP_NSR_A_RULE_LPORT, rule->lport);
	if (!err && rule->rport)
		err = nla_put_be16(skb, TCP_NSR_A_RULE_RPORT, rule->rport);
	if (!err && rule->ifindex)
		err = nla_put_u32(skb, TCP_NSR_A_RULE_IFINDEX, rule->ifindex);
	if (!err)
		nla_nest_end(skb, nest);
	return err;
}

static int dump_rule(struct sk_buff *skb, struct netlink_callback *cb, const struct nsr_group *g,
		     const struct nsr_rule *rule)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				&nsr_genl_family, NLM_F_MULTI, TCP_NSR_CMD_RULE_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, TCP_NSR_A_GROUP_ID, g->id) || put_rule(skb, rule)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

int nsr_nl_rule_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nsr_net *ns = nsr_pernet(sock_net(skb->sk));
	u32 only = get_u32_or(nsr_dump_attrs(cb)[TCP_NSR_A_GROUP_ID], 0);
	int err = nsr_nl_dump_check(cb);
	const struct nsr_rule *rule;
	struct nsr_group *g;
	unsigned int n = 0;

	if (err)
		return err;
	rcu_read_lock();
	list_for_each_entry_rcu(g, &ns->groups, node) {
		if (only && g->id != only)
			continue;
		list_for_each_entry_rcu(rule, &g->rules, node) {
			if (n++ < cb->args[0])
				continue;
			if (dump_rule(skb, cb, g, rule))
				goto out;
			cb->args[0] = n;
		}
	}
out:
	rcu_read_unlock();
	return skb->len;
}

int nsr_nl_flush(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_group *g = NULL;
	int err;

	if (info->attrs[TCP_NSR_A_GROUP_ID]) {
		g = nsr_info_group(info, &err);
		if (!g)
			return err;
	}
	nsr_group_flush(nsr_info_ns(info), g);
	if (g)
		nsr_group_put(g);
	return 0;
}
