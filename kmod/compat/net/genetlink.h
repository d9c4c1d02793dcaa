/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: a dump's attributes moved into a struct genl_info; what pre_doit is given changed.
 */
#ifndef _TCP_NSR_COMPAT_NET_GENETLINK_H
#define _TCP_NSR_COMPAT_NET_GENETLINK_H

#include_next <net/genetlink.h>

#ifdef NSR_HAVE_GENL_SPLIT_PRE_DOIT
typedef struct genl_split_ops nsr_genl_pre_ops;
#else
typedef struct genl_ops nsr_genl_pre_ops;
#endif

static inline struct nlattr **nsr_dump_attrs(struct netlink_callback *cb)
{
#ifdef NSR_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif /* _TCP_NSR_COMPAT_NET_GENETLINK_H */
