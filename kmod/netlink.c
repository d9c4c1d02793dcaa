// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the generic netlink family: policies, rights, and the namespace's commands.
 *
 * Commands run in parallel (no genl_mutex): a lease must not wait for another family's slow request.
 * Each takes the locks it needs, see nsr.h.
 */
#include <linux/user_namespace.h>

#include "netlink.h"

static struct netlink_range_validation ifindex_range = { .min = 1, .max = S32_MAX };
static struct netlink_range_validation hour_range = { .min = 1, .max = 3600000 };
static struct netlink_range_validation life_range = { .min = 1, .max = 600000 };
static struct netlink_range_validation rate_range = { .min = 1, .max = 10000000 };

static const struct nla_policy addr_policy[TCP_NSR_A_MAX + 1] = {
	[TCP_NSR_A_ADDR] = NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
};

static const struct nla_policy policy[TCP_NSR_A_MAX + 1] = {
	[TCP_NSR_A_MAX_CONNS] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCP_NSR_A_MAX_SHADOWS] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCP_NSR_A_CURSOR_INTERVAL_MS] = NLA_POLICY_RANGE(NLA_U32, 10, 10000),
	[TCP_NSR_A_GROUP_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCP_NSR_A_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &ifindex_range),
	[TCP_NSR_A_MAC] = NLA_POLICY_ETH_ADDR,
	[TCP_NSR_A_ADDRS] = NLA_POLICY_NESTED(addr_policy),
	[TCP_NSR_A_SETTLE_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &hour_range),
	[TCP_NSR_A_SEGMENT_LIFE_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &life_range),
	[TCP_NSR_A_GAP_BOUND_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &hour_range),
	[TCP_NSR_A_PROBE_RATE] = NLA_POLICY_FULL_RANGE(NLA_U32, &rate_range),
	[TCP_NSR_A_ROLE] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_ROLE_ACTIVE),
	[TCP_NSR_A_TERM] = { .type = NLA_U64 },
	[TCP_NSR_A_TERM_OWNER] = { .type = NLA_U32 },
	[TCP_NSR_A_LEASE_UNTIL] = { .type = NLA_U64 },
	[TCP_NSR_A_GENERATION] = { .type = NLA_U32 },
	[TCP_NSR_A_READY_UNTIL] = { .type = NLA_U64 },
	[TCP_NSR_A_GATES_OPEN] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_NSR_A_EPOCH] = { .type = NLA_U32 },
	[TCP_NSR_A_FROZEN] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_NSR_A_RULE] = NLA_POLICY_NESTED(nsr_rule_policy),
	[TCP_NSR_A_RULE_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	/* Parsed where it is used: a peer of a later minor version may send more attributes. */
	[TCP_NSR_A_CONN] = { .type = NLA_NESTED },
	[TCP_NSR_A_FD] = { .type = NLA_S32 },
	[TCP_NSR_A_LATE] = { .type = NLA_FLAG },
	[TCP_NSR_A_FLUSH] = { .type = NLA_FLAG },
	[TCP_NSR_A_DESTROY] = { .type = NLA_FLAG },
	[TCP_NSR_A_RESET] = { .type = NLA_FLAG },
	[TCP_NSR_A_ON_DEATH] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_ON_DEATH_MUTE),
};

int nsr_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, TCP_NSR_A_PAD);
}

int nsr_reply_start(struct nsr_reply *reply, struct genl_info *info, u8 cmd)
{
	reply->skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply->skb)
		return -ENOMEM;
	reply->hdr = genlmsg_put_reply(reply->skb, info, &nsr_genl_family, 0, cmd);
	if (!reply->hdr) {
		nlmsg_free(reply->skb);
		return -EMSGSIZE;
	}
	return 0;
}

/* Sends the reply, or gives it up if filling it failed: @err. */
int nsr_reply_send(struct nsr_reply *reply, struct genl_info *info, int err)
{
	if (err) {
		nlmsg_free(reply->skb);
		return err;
	}
	genlmsg_end(reply->skb, reply->hdr);
	return genlmsg_reply(reply->skb, info);
}

struct nsr_group *nsr_info_group(struct genl_info *info, int *err)
{
	struct nsr_group *g;

	*err = -EINVAL;
	if (!nsr_need(info, GROUP_ID))
		return NULL;
	g = nsr_group_find_get(nsr_info_ns(info), nla_get_u32(info->attrs[TCP_NSR_A_GROUP_ID]));
	if (!g) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[TCP_NSR_A_GROUP_ID],
				    "tcp_nsr: GROUP_ID: no such group in this namespace");
		*err = -ENOENT;
	}
	return g;
}

static int info_get(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nsr_reply reply;
	int err;

	err = nsr_reply_start(&reply, info, TCP_NSR_CMD_INFO_GET);
	if (err)
		return err;
	err = nla_put_u16(reply.skb, TCP_NSR_A_SCHEMA_MAJOR, TCP_NSR_SCHEMA_MAJOR) ?:
	      nla_put_u16(reply.skb, TCP_NSR_A_SCHEMA_MINOR, TCP_NSR_SCHEMA_MINOR) ?:
	      nsr_put_u64(reply.skb, TCP_NSR_A_EVENT_SEQ, READ_ONCE(ns->event_seq)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_MAX_CONNS, READ_ONCE(ns->max_conns)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_MAX_SHADOWS, READ_ONCE(ns->max_shadows)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_CURSOR_INTERVAL_MS,
			  READ_ONCE(ns->cursor_interval_ms)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_NUM_CONNS, READ_ONCE(ns->nr_conns)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_NUM_SHADOWS, READ_ONCE(ns->nr_shadows)) ?:
	      nla_put_u32(reply.skb, TCP_NSR_A_NUM_REFUSED, READ_ONCE(ns->nr_refused));
	return nsr_reply_send(&reply, info, err);
}

/* A lower cap than what there is lets no new one in; the others stay. */
static int ns_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nlattr **tb = info->attrs;

	spin_lock_bh(&ns->conn_lock);
	if (tb[TCP_NSR_A_MAX_CONNS])
		WRITE_ONCE(ns->max_conns, nla_get_u32(tb[TCP_NSR_A_MAX_CONNS]));
	if (tb[TCP_NSR_A_MAX_SHADOWS])
		WRITE_ONCE(ns->max_shadows, nla_get_u32(tb[TCP_NSR_A_MAX_SHADOWS]));
	if (tb[TCP_NSR_A_CURSOR_INTERVAL_MS])
		WRITE_ONCE(ns->cursor_interval_ms, nla_get_u32(tb[TCP_NSR_A_CURSOR_INTERVAL_MS]));
	spin_unlock_bh(&ns->conn_lock);
	if (tb[TCP_NSR_A_CURSOR_INTERVAL_MS])
		nsr_cursor_kick(ns);
	return 0;
}

/*
 * Sockets, addresses and MAC of the whole box are at stake, and counters show them: the root of a
 * user namespace of his own is not asked for enough by CAP_NET_ADMIN there.
 */
static int check_user_ns(const struct net *net, struct netlink_ext_ack *extack)
{
	if (net->user_ns == &init_user_ns)
		return 0;
	nsr_refuse(extack, "not in a network namespace of another user namespace than the first");
	return -EPERM;
}

static int pre_doit(const nsr_genl_pre_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	return check_user_ns(genl_info_net(info), info->extack);
}

/*
 * What pre_doit() is for requests. First thing in a dump's dumpit(), not in its start(): before 6.2 a
 * start() has no extended ACK to say why.
 */
int nsr_nl_dump_check(struct netlink_callback *cb)
{
	return check_user_ns(sock_net(cb->skb->sk), cb->extack);
}

#define DO(command, function) \
	{ .cmd = TCP_NSR_CMD_ ## command, .doit = function, .flags = GENL_UNS_ADMIN_PERM }

static const struct genl_ops ops[] = {
	{ .cmd = TCP_NSR_CMD_INFO_GET, .doit = info_get },
	DO(NS_SET, ns_set),
	DO(GROUP_SET, nsr_nl_group_set),
	DO(GROUP_DEL, nsr_nl_group_del),
	{
		.cmd = TCP_NSR_CMD_GROUP_GET,
		.doit = nsr_nl_group_get,
		.dumpit = nsr_nl_group_dump,
	},
	DO(ROLE_SET, nsr_nl_role_set),
	DO(LEASE_SET, nsr_nl_lease_set),
	DO(MUTE, nsr_nl_mute),
	DO(READY_SET, nsr_nl_ready_set),
	DO(FREEZE, nsr_nl_freeze),
	DO(RULE_SET, nsr_nl_rule_set),
	DO(RULE_DEL, nsr_nl_rule_del),
	{
		.cmd = TCP_NSR_CMD_RULE_GET,
		.dumpit = nsr_nl_rule_dump,
	},
	{
		.cmd = TCP_NSR_CMD_CONN_GET,
		.doit = nsr_nl_conn_get,
		.start = nsr_nl_conn_dump_start,
		.dumpit = nsr_nl_conn_dump,
		.done = nsr_nl_conn_dump_done,
		.flags = GENL_UNS_ADMIN_PERM,
	},
	DO(CONN_INJECT, nsr_nl_conn_inject),
	DO(CONN_SET, nsr_nl_conn_set),
	DO(CONN_DEL, nsr_nl_conn_del),
	DO(FLUSH, nsr_nl_flush),
};

/* Connection endpoints are not public. */
static const struct genl_multicast_group mcgrps[] = {
	{ .name = TCP_NSR_MCGRP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

struct genl_family nsr_genl_family __ro_after_init = {
	.name = TCP_NSR_GENL_NAME,
	.version = TCP_NSR_GENL_VERSION,
	.maxattr = TCP_NSR_A_MAX,
	.policy = policy,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = pre_doit,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.mcgrps = mcgrps,
	.n_mcgrps = ARRAY_SIZE(mcgrps),
	.module = THIS_MODULE,
};

int __init nsr_netlink_init(void)
{
	return genl_register_family(&nsr_genl_family);
}

void nsr_netlink_exit(void)
{
	genl_unregister_family(&nsr_genl_family);
}
