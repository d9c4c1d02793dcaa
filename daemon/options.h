/* SPDX-License-Identifier: GPL-2.0-only */
/* Socket options in a connection's record. The kernel sets them on the shadow; nsrd says what it lacks. */
#ifndef NSRD_OPTIONS_H
#define NSRD_OPTIONS_H

struct group;
struct nsr_store_conn;

/* Does this box have the connection's congestion control? If not it is said, by name, once; the kernel then
 * leaves the default. @fd: a fresh socket of the connection's. */
void options_check(const struct group *g, const struct nsr_store_conn *c, int fd);

#endif
