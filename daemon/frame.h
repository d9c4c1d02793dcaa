/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * frame: frames of the sync link. Pure: bytes in, frames out, and the other way round; no I/O.
 * Documentation/sync-protocol.md says what they mean.
 */
#ifndef NSRD_FRAME_H
#define NSRD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "attr.h"

#define NSR_FRAME_HEADER	16u
#define NSR_FRAME_MAX		(1u << 20)	/* bytes of a frame */
#define NSR_FRAME_HELLO_MAX	65536u		/* of a HELLO: all that is taken from a stranger */
#define NSR_SYNC_BYTE_ORDER	0x01020304u

enum nsr_frame_type {
	NSR_FRAME_HELLO = 1,
	NSR_FRAME_HEARTBEAT,
	NSR_FRAME_ACK,
	NSR_FRAME_SNAPSHOT_ASK,
	NSR_FRAME_SNAPSHOT_BEGIN,
	NSR_FRAME_SNAPSHOT_END,
	NSR_FRAME_CONN_ADD,
	NSR_FRAME_CONN_CHANGE,
	NSR_FRAME_CONN_DEL,
	NSR_FRAME_TXN,
	NSR_FRAME_HANDOVER,
	NSR_FRAME_TYPES
};

/**
 * enum nsr_sync_attr - attributes that neither the kernel's family nor the application socket has
 *
 * They share one number space with enum tcp_nsr_attr, which stays below them. A TXN carries enum
 * nsr_app_attr instead.
 */
enum nsr_sync_attr {
	NSR_SYNC_A_BYTE_ORDER = 256,	/* u32: NSR_SYNC_BYTE_ORDER */
	NSR_SYNC_A_NODE,		/* u32 */
	NSR_SYNC_A_BOOT,		/* u64: boot id */
	NSR_SYNC_A_INSTANCE,		/* u64: random, of this start of nsrd */
	NSR_SYNC_A_GROUP,		/* nested: TCP_NSR_A_GROUP_ID, NAME */
	NSR_SYNC_A_NAME,		/* string */
	NSR_SYNC_A_SEQUENCE,		/* u64 */
	NSR_SYNC_A_ASK,			/* u32 */
	NSR_SYNC_A_DIGEST,		/* 32 bytes */
	NSR_SYNC_A_LAST,		/* flag: ends a HANDOVER */
	/* heartbeat */
	NSR_SYNC_A_STATE,		/* u8: enum role_state */
	NSR_SYNC_A_IN_STEP,		/* u8 */
	NSR_SYNC_A_WARM,		/* u8 */
	NSR_SYNC_A_REASON,		/* u16: enum role_reason */
	NSR_SYNC_A_PRIORITY,		/* s32 */
	NSR_SYNC_A_DATA_TERM,		/* nested: TCP_NSR_A_TERM, TCP_NSR_A_TERM_OWNER */
	NSR_SYNC_A_OFFER,		/* nested: likewise */
	NSR_SYNC_A_TS,			/* u64 ns */
	NSR_SYNC_A_ECHO,		/* u64 ns */
	NSR_SYNC_A_ECHO_INSTANCE,	/* u64 */
	NSR_SYNC_A_BOOTS,		/* u64: starts of nsrd, counted on disk */
};

/** struct nsr_frame - a decoded frame; the payload lies in the decoder until the next call on it */
struct nsr_frame {
	uint16_t type;			/* a known one */
	uint64_t seq;			/* 0: not a record */
	const void *attrs;		/* whole attributes, aligned */
	size_t len;
};

bool nsr_frame_is_record(uint16_t type);
const char *nsr_frame_name(uint16_t type);	/* "HELLO", …; "unknown" */

/* Header, to be completed by _end() once the attributes are in: returns where the frame starts. */
size_t nsr_frame_begin(struct attr_buf *b, uint16_t type);
/* seq 0: not a record. b->failed if the frame got too long. */
void nsr_frame_end(struct attr_buf *b, size_t start, uint64_t seq);

/** struct nsr_decoder - a byte stream being cut into frames; all zero but .max is a fresh one */
struct nsr_decoder {
	uint8_t *buf;
	size_t head, len, size;		/* bytes taken out; in it; allocated */
	size_t max;			/* longest frame that is taken now */
	char error[128];		/* why nsr_decoder_next() failed */
};

void nsr_decoder_init(struct nsr_decoder *d, size_t max);
void nsr_decoder_exit(struct nsr_decoder *d);
int nsr_decoder_feed(struct nsr_decoder *d, const void *p, size_t n);	/* -ENOMEM */
/* 1: *f is filled; 0: more bytes are needed; -EBADMSG: error[] says why, the stream cannot be used further. */
int nsr_decoder_next(struct nsr_decoder *d, struct nsr_frame *f);

#endif
