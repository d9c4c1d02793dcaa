/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr compat: the header moved out of asm/.
 */
#ifndef _TCP_NSR_COMPAT_LINUX_UNALIGNED_H
#define _TCP_NSR_COMPAT_LINUX_UNALIGNED_H

#ifdef NSR_HAVE_LINUX_UNALIGNED
#include_next <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#endif /* _TCP_NSR_COMPAT_LINUX_UNALIGNED_H */
