/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * link: the one connection of a pair. Both boxes dial and listen; after the HELLOs the connection opened by
 * the lower node id stays. Frames are numbered, in order, acknowledged cumulatively. What they mean is
 * sync.c's: it is told through the sync_link_*() functions, never from within a link_*() call, but for
 * link_drain().
 */
#ifndef NSRD_LINK_H
#define NSRD_LINK_H

#include "frame.h"
#include "nsrd.h"

/* Does the peer, as its HELLO said, have this group too? False while the link is down. */
bool link_has_group(const struct link *l, uint32_t group);
uint32_t link_peer_node(const struct link *l);		/* 0: none heard since the start */

/**
 * link_send() - queue one frame
 * @attrs, @len: its attributes, whole
 *
 * Return: the record's sequence number; 0: not sent (down, or the peer does not read: the link is reset
 * then). What is no record (HEARTBEAT) returns UINT64_MAX for sent, and leaves at once.
 */
uint64_t link_send(struct link *l, uint16_t type, const void *attrs, size_t len);
uint64_t link_sent(const struct link *l);		/* newest sequence number sent on this connection */
uint64_t link_acked(const struct link *l);		/* newest that the peer has acknowledged */
size_t link_queued(const struct link *l);		/* bytes that wait */
/* Reads everything that has arrived: before silence is judged. */
void link_drain(struct link *l);
/* Drops the connection, for a reason that is logged; it is dialled again. */
void link_reset(struct link *l, const char *why);
uint16_t link_port(const struct link *l);		/* that it listens on, host order; 0: does not */

/* ---- sync.c: what link.c tells ---- */
void sync_link_up(struct nsrd *n);
void sync_link_down(struct nsrd *n, const char *why);
/* HEARTBEAT and records. Not 0: *why says what is wrong with it, the link closes. */
int sync_link_frame(struct nsrd *n, const struct nsr_frame *f, const char **why);
void sync_link_acked(struct nsrd *n, uint64_t seq);
void sync_link_writable(struct nsrd *n);		/* little waits to be sent: snapshots go on */

#endif
