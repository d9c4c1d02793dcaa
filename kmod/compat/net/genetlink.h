/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: a dump's attributes moved into a struct genl_info.
 */
#ifndef _TCP_NSR_COMPAT_NET_GENETLINK_H
#define _TCP_NSR_COMPAT_NET_GENETLINK_H

#include_next <net/genetlink.h>

static inline struct nlattr **nsr_dump_attrs(struct netlink_callback *cb)
{
#ifdef NSR_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif /* _TCP_NSR_COMPAT_NET_GENETLINK_H */
