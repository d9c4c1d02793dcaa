/* SPDX-License-Identifier: GPL-2.0-only */
/* sync.c, sync_in.c, sync_snapshot.c: what they share about one group. The interface is in nsrd.h, link.h. */
#ifndef NSRD_SYNC_H
#define NSRD_SYNC_H

#include "link.h"
#include "nsrd.h"

#define SYNC_TXN_MAX	(64u << 20)	/* bytes of one transaction, all pieces */
#define SYNC_FRAME_FILL	(512u << 10)	/* a frame is closed once it is longer than this */

/** enum sync_step - how far the snapshot is that this box sends */
enum sync_step {
	SYNC_NONE,
	SYNC_CONNS,
	SYNC_STATES,
	SYNC_APPS,		/* some application has not sent its own yet */
	SYNC_SENT,		/* all is on the link but the END */
	SYNC_ENDED,		/* in step from here on */
};

/** struct sync_ack - a transaction whose last record the peer has not acknowledged */
struct sync_ack {
	struct list_head node;
	uint64_t seq, txn;
	char app[NSR_APP_NAME_MAX + 1];
};

struct sync_group {
	struct group *g;
	bool joined;			/* link up, and the peer has the group too */
	/* active */
	bool refusing;			/* the store took no connection last time: said once */
	bool live;			/* a snapshot was begun: records are for the peer too */
	enum sync_step step;
	uint32_t ask_out;		/* that the snapshot answers */
	struct nsr_store_cursor cursor;
	ev_timer pump;
	struct list_head acks;
	uint64_t handover_seq;		/* of the hand-over's last record; 0: none on its way */
	struct attr_buf *collect;	/* deletions of an application's sweep */
	const char *collect_app;
	/* standby */
	uint32_t ask_in;		/* newest number asked with; 0: none */
	bool receiving;			/* its SNAPSHOT_BEGIN came */
	bool whole;			/* ... and its END */
	bool remote;			/* the store is changing because the peer says so */
	struct attr_buf pieces;		/* of a transaction that has not ended */
	char pieces_app[NSR_APP_NAME_MAX + 1];
};

/* The link, if the group's records may go over it; else NULL. */
struct link *sync_link(const struct sync_group *s);
/* Group id in, then the caller's attributes. */
void sync_begin(struct attr_buf *b, const struct group *g);
/* Sends and frees; sequence number, 0: not sent (out of memory: the peer is out of step). */
uint64_t sync_send(struct sync_group *s, uint16_t type, struct attr_buf *b);
/* One transaction, in as many frames as it takes; sequence number of the last. */
uint64_t sync_send_txn(struct sync_group *s, const char *app, uint64_t txn, const void *ops, size_t len);
/* Transactions that no standby had are in the snapshot whose END is record seq. */
void sync_acks_ended(struct sync_group *s, uint64_t seq);
/* Only as long as the peer listens. */
void sync_stop(struct sync_group *s);
void sync_pump(struct ev_loop *loop, ev_timer *w, int revents);
void sync_pump_soon(struct sync_group *s);

/* sync_in.c: records of the active. Not 0: *why; the link closes. */
int sync_in_frame(struct sync_group *s, const struct nsr_frame *f, const char **why);
void sync_in_reset(struct sync_group *s);

#endif
