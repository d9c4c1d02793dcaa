/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A libnsr for unit tests, and for them alone: plain sockets behind the real interface, no nsrd.
 * Transactions are carried to another handle of the same process, so that a test has an active and
 * a standby side by side, and may cut them apart where it likes.
 */
#ifndef FAKE_NSR_H
#define FAKE_NSR_H
#include <stdbool.h>
#include "libnsr.h"

struct fake_stats {
	unsigned int puts, dels, commits, snapshots, left;
};

const struct fake_stats *fake_stats(struct nsr *nsr);
/* What a put, a del is shown to, as it happens; NULL: nobody. */
typedef void (*fake_sink)(void *arg, struct nsr_conn *conn, const void *key, size_t klen,
			  const void *val, size_t vlen);
void fake_set_sink(struct nsr *nsr, fake_sink sink, void *arg);
/* The next nsr_send() takes no more than n bytes, and later ones none until called with -1. */
void fake_limit_send(struct nsr *nsr, ssize_t n);
void fake_writable(struct nsr_conn *conn);

/* Calls the listener, as nsr_dispatch() would. */
void fake_role(struct nsr *nsr, enum nsr_role role);
struct nsr_conn *fake_add(struct nsr *nsr, int fd, const struct nsr_conn_info *info);
void fake_state(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
		size_t vlen);
void fake_synced(struct nsr *nsr);
void fake_snapshot(struct nsr *nsr);
void fake_resume(struct nsr_conn *conn, const struct nsr_resume *r);
void fake_gone(struct nsr_conn *conn, enum nsr_gone why);
/* Bytes received and not consumed, to be found first by whoever gets the connection next. */
size_t fake_tail(const struct nsr_conn *conn, const void **tail);
void fake_set_tail(struct nsr_conn *conn, const void *tail, size_t len);
struct nsr_conn *fake_first(struct nsr *nsr);	/* some connection of the handle, or NULL */
enum nsr_fin fake_last_close(struct nsr *nsr);
unsigned int fake_closed(struct nsr *nsr);

#endif
