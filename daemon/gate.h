/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gate: mode lossless on the active. Which bytes of each connection the far end may be told that we have, and
 * whether the connection keeps its promise or is unprotected, and why. Documentation/lossless.md has the rules.
 *
 * One for each own lossless connection (nsr_store_conn.gate). The role machine opens and closes the gates of
 * the group; this file opens and closes those of single connections, by the ORDER: the standby knows first.
 */
#ifndef NSRD_GATE_H
#define NSRD_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct group;
struct gate_group;
struct nlattr;
struct nsr_store_conn;
struct attr_buf;

/**
 * enum gate_state - of one connection, while the group's gates are closed
 *
 * @GATE_CLOSED: protected
 * @GATE_LAGS: bytes waited too long; the standby has been told, and has not acknowledged that yet
 * @GATE_OPEN: it has: ACKs leave as they come
 * @GATE_CATCHING: closed (again), and not in step yet: the standby lacks bytes that were acknowledged, or
 *	written, without it
 */
enum gate_state { GATE_CLOSED, GATE_LAGS, GATE_OPEN, GATE_CATCHING };

struct gate_group *gate_group_create(struct group *g);
void gate_group_destroy(struct gate_group *gg);

/* The group's gates as the role machine and on-standby-loss have them: nothing is acknowledged that no standby
 * holds. */
bool gate_group_closed(const struct group *g);
/* Own connection: record or positions have changed in the store; leaves the store. */
void gate_changed(struct group *g, struct nsr_store_conn *c);
void gate_forget(struct nsr_store_conn *c);
/* The kernel cannot protect it any more (why: for people), and holds what its gate holds until that is opened: the
 * standby is told, the gate opens, and the kernel lets go of the connection. */
void gate_give_up(struct group *g, struct nsr_store_conn *c, const char *why);
/* The kernel's record, with where its gate is. */
void gate_told(struct group *g, const struct nlattr *conn);
/* What has changed is on the link now, up to record seq (0: no standby is in step, the next END has it). The peer
 * has acknowledged. */
void gate_sent(struct group *g, uint64_t seq);
void gate_acked(struct group *g, uint64_t seq);
/*
 * ORDER: behind the kernel's own closing, ahead of SNAPSHOT_END: positions go to the kernel, and who is not in
 * step is marked in the record, so that the standby knows it from the END on.
 */
void gate_close_all(struct group *g);
/* Nobody acknowledges any more: sequence numbers begin anew with the next link, and its snapshot. */
void gate_stopped(struct group *g);
void gate_reign_over(struct group *g);		/* this box owns no connections */
void gate_opened(struct group *g);		/* behind the kernel's */
void gate_turn(struct group *g, uint64_t now);	/* each interval: who waits too long, who has caught up */
void gate_flush(struct group *g);		/* what has changed goes to the kernel, in one batch */

/* A record of the kernel as the peer and the store are to have it, if that differs: true, and *out is filled. */
bool gate_amend(struct group *g, const struct nlattr *conn, struct attr_buf *out);

/* Nothing leaves that the standby lacks. */
bool gate_holds(const struct group *g, const struct nsr_store_conn *c);
/* "" while it is protected; else why not, for people. */
const char *gate_reason(const struct group *g, const struct nsr_store_conn *c);
/* How many of the group are not, though its gates are closed. */
unsigned int gate_unprotected(const struct group *g);

#endif
