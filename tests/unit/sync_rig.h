/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of nsrd's store, link, sync and application socket: records and transactions in short, a
 * seeded random number, and boxes: whole nsrd's side by side in one process, without kernel and roles.
 */
#ifndef SYNC_RIG_H
#define SYNC_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "attr.h"
#include "store.h"

/* ---- numbers ---- */
void rnd_seed(uint64_t seed);
uint32_t rnd(uint32_t below);

/* ---- records: the payload of a TCP_NSR_A_CONN ---- */
struct attr_buf rec_whole(uint64_t id, uint8_t state);	/* addresses and ports follow from id */
struct attr_buf rec_cursors(uint64_t id, uint64_t rcv_nxt, uint64_t snd_una);
struct nsr_store_tuple rec_tuple(uint64_t id);

/* ---- transactions ---- */
void op_put(struct attr_buf *b, uint64_t conn, const char *key, const void *val, size_t len);
void op_del(struct attr_buf *b, uint64_t conn, const char *key);
/* data NULL: positions only */
void op_conn(struct attr_buf *b, uint64_t conn, uint64_t consumed, uint64_t written, uint64_t pos,
	     const void *data, size_t len);

void op_journal(struct attr_buf *b, uint64_t conn, uint64_t pos, const void *data, size_t len);
/* positions, and what the far end has acknowledged */
void op_acked(struct attr_buf *b, uint64_t conn, uint64_t consumed, uint64_t written, uint64_t acked);

#define assert_digest_equal(a, b) do {						\
	uint8_t d1[NSR_STORE_DIGEST], d2[NSR_STORE_DIGEST];			\
	nsr_store_digest(a, d1);						\
	nsr_store_digest(b, d2);						\
	assert_memory_equal(d1, d2, sizeof(d1));				\
} while (0)

#endif
