/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: kernel_connect() takes a struct sockaddr_unsized from 7.0 on.
 */
#ifndef _TCP_NSR_COMPAT_LINUX_NET_H
#define _TCP_NSR_COMPAT_LINUX_NET_H

#include_next <linux/net.h>

#ifndef NSR_HAVE_SOCKADDR_UNSIZED
#define sockaddr_unsized sockaddr
#endif

#endif /* _TCP_NSR_COMPAT_LINUX_NET_H */
