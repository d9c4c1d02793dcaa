/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: an extended ACK with a number in it, where the kernel can; else the plain text.
 */
#ifndef _TCP_NSR_COMPAT_LINUX_NETLINK_H
#define _TCP_NSR_COMPAT_LINUX_NETLINK_H

#include_next <linux/netlink.h>

#ifdef NSR_HAVE_ERR_MSG_FMT
#define NSR_SET_ERR_MSG_FMT(extack, plain, fmt, args...) \
	NL_SET_ERR_MSG_FMT((extack), "tcp_nsr: " fmt, ##args)
#else
#define NSR_SET_ERR_MSG_FMT(extack, plain, fmt, args...) \
	do { if (0) no_printk(fmt, ##args); NL_SET_ERR_MSG((extack), "tcp_nsr: " plain); } while (0)
#endif

#endif /* _TCP_NSR_COMPAT_LINUX_NETLINK_H */
