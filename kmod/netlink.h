/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr: the generic netlink family, in three files: netlink.c has the family itself and the
 * namespace's commands, nl_group.c groups, roles and rules, nl_conn.c connections.
 */
#ifndef _TCP_NSR_NETLINK_H
#define _TCP_NSR_NETLINK_H

#include "event.h"

#define nsr_refuse(extack, text)	NL_SET_ERR_MSG((extack), "tcp_nsr: " text)

/* true if the request has the attribute; else says which one is missing */
#define nsr_need(info, name) \
	((info)->attrs[TCP_NSR_A_ ## name] ? true : \
	 ({ nsr_refuse((info)->extack, #name " is missing"); false; }))

extern const struct nla_policy nsr_rule_policy[TCP_NSR_A_RULE_MAX + 1];

static inline struct nsr_net *nsr_info_ns(struct genl_info *info)
{
	return nsr_pernet(genl_info_net(info));
}

/* the answer to a request; its parts are the files' own */
struct nsr_reply {
	struct sk_buff *skb;
	void *hdr;
};

int nsr_reply_start(struct nsr_reply *reply, struct genl_info *info, u8 cmd);
int nsr_reply_send(struct nsr_reply *reply, struct genl_info *info, int err);
int nsr_put_u64(struct sk_buff *skb, int attr, u64 value);

/* the group that GROUP_ID names, with a reference, or NULL and *err */
struct nsr_group *nsr_info_group(struct genl_info *info, int *err);

int nsr_nl_dump_check(struct netlink_callback *cb);

int nsr_nl_group_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_group_del(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_group_get(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_group_dump(struct sk_buff *skb, struct netlink_callback *cb);
int nsr_nl_role_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_lease_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_mute(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_ready_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_freeze(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_rule_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_rule_del(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_rule_dump(struct sk_buff *skb, struct netlink_callback *cb);
int nsr_nl_flush(struct sk_buff *skb, struct genl_info *info);

int nsr_nl_conn_get(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_conn_dump_start(struct netlink_callback *cb);
int nsr_nl_conn_dump(struct sk_buff *skb, struct netlink_callback *cb);
int nsr_nl_conn_dump_done(struct netlink_callback *cb);
int nsr_nl_conn_set(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_conn_del(struct sk_buff *skb, struct genl_info *info);
int nsr_nl_conn_inject(struct sk_buff *skb, struct genl_info *info);

#endif /* _TCP_NSR_NETLINK_H */
