/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lib_rig: libnsr with a scripted nsrd at the other end of its socket, in one process. A test says what nsrd
 * sends and asserts what it gets; what the application is told is written to a log, one word after the
 * other ("role:2/7 "), so that order is part of every comparison.
 */
#ifndef LIB_RIG_H
#define LIB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "libnsr.h"
#include "wire.h"

struct rig {
	struct nsr *nsr;
	char dir[64], path[128];
	int listener, sock;		/* nsrd's; -1: none */
	uint32_t seq_out, seq_in;
	uint64_t rx[NSR_APP_MSG_MAX / 8], tx[NSR_APP_MSG_MAX / 8];
	struct nsr_wire_buf b;
	struct nsr_wire w;		/* the message that rig_expect() got */
	char log[8192];			/* what callbacks were told */
	struct nsr_conn *conn;		/* of the last conn_added */
	int fd;
	struct nsr_resume resume;	/* of the last conn_resumed */
	struct nsr_conn_info info;	/* of the last conn_added, conn_status */
	uint8_t value[NSR_VALUE_MAX];	/* of the last state */
	size_t value_len;
	bool close_gone;		/* conn_gone closes the connection, as it should */
	bool close_resumed, close_added;
	enum nsr_mode mode;		/* that rig_attach() and rig_shadow() answer; adopt at first */
	void (*on_role)(struct rig *rig, enum nsr_role role);
	void (*on_snapshot)(struct rig *rig);
};

int rig_setup(void **state);		/* handle open, nsrd listening, nobody connected */
int rig_teardown(void **state);

void rig_listen(struct rig *rig);
void rig_unlisten(struct rig *rig);	/* nsrd is gone: socket closed, path removed */
/* Waits for the library, takes its HELLO, says WELCOME. */
void rig_accept(struct rig *rig);
void rig_welcome(struct rig *rig, enum nsr_role role, uint64_t term);
void rig_up(struct rig *rig, enum nsr_role role, uint64_t term);	/* both */

struct nsr_wire_buf *rig_begin(struct rig *rig, unsigned int type);
void rig_send(struct rig *rig);		/* what rig_begin() began */
void rig_send_fd(struct rig *rig, const int *fds, size_t n);
void rig_send_raw(struct rig *rig, const void *p, size_t len);
void rig_send_role(struct rig *rig, enum nsr_role role, uint64_t term);
void rig_send_plain(struct rig *rig, unsigned int type);

/* The next message from the library; the handle is dispatched until it is there. */
const struct nsr_wire *rig_expect(struct rig *rig, unsigned int type);
bool rig_nothing(struct rig *rig);	/* no message within a short while */
void rig_expect_log(struct rig *rig, const char *log);	/* dispatches until it is so; then forgets it */
void rig_log(struct rig *rig, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The OPs of the transaction that rig_expect(TXN) got: the one at index i; false: no such. */
bool rig_op(struct rig *rig, unsigned int i, struct nsr_wire_op *op);

/* A TCP connection on the loopback: *a called connect(), *b accepted. */
void rig_tcp(int family, int *a, int *b);
/* ATTACH, answered with CONN_ID id and rig->mode: protected. */
void rig_attached(struct rig *rig, uint32_t handle, uint64_t id, bool prot);	/* the answer alone */
void rig_ack(struct rig *rig, uint64_t txn);
struct nsr_conn *rig_attach(struct rig *rig, int fd, uint64_t id);
/* A shadow of id behind fd, claimed. */
struct nsr_conn *rig_shadow(struct rig *rig, int fd, uint64_t id);
void rig_resumed(struct rig *rig, uint64_t id, uint64_t consumed, uint64_t tail_end, uint64_t snd);
void rig_read_all(int fd, void *buf, size_t n);	/* exactly n bytes, blocking */

#endif
