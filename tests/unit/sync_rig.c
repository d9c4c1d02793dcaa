// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <sys/socket.h>
#include "sync_rig.h"

static uint64_t state;

void rnd_seed(uint64_t seed)
{
	state = seed * 2862933555777941757ull + 3037000493ull;
}

uint32_t rnd(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % below;
}

struct nsr_store_tuple rec_tuple(uint64_t id)
{
	struct nsr_store_tuple t = { .family = id % 3 ? AF_INET : AF_INET6 };
	size_t len = t.family == AF_INET ? 4 : 16;

	memset(t.laddr, 10, len);
	memset(t.raddr, 20, len);
	memcpy(t.raddr, &id, 4);
	t.lport = htons(179);
	t.rport = htons((uint16_t)(1024 + id % 60000));
	return t;
}

struct attr_buf rec_whole(uint64_t id, uint8_t tcp_state)
{
	struct nsr_store_tuple t = rec_tuple(id);
	size_t len = t.family == AF_INET ? 4 : 16;
	struct attr_buf b = { 0 };

	attr_put_u64(&b, TCP_NSR_A_CONN_ID, id);
	attr_put_u32(&b, TCP_NSR_A_CONN_RULE_ID, 1);
	attr_put_u8(&b, TCP_NSR_A_CONN_FAMILY, t.family);
	attr_put(&b, TCP_NSR_A_CONN_LADDR, t.laddr, len);
	attr_put(&b, TCP_NSR_A_CONN_RADDR, t.raddr, len);
	attr_put(&b, TCP_NSR_A_CONN_LPORT, &t.lport, 2);
	attr_put(&b, TCP_NSR_A_CONN_RPORT, &t.rport, 2);
	attr_put_u32(&b, TCP_NSR_A_CONN_FLAGS, TCP_NSR_CONN_F_SACK | TCP_NSR_CONN_F_TSTAMP);
	attr_put_u8(&b, TCP_NSR_A_CONN_STATE, tcp_state);
	attr_put_u8(&b, TCP_NSR_A_CONN_MODE, TCP_NSR_MODE_ADOPT);
	attr_put_u8(&b, TCP_NSR_A_CONN_GAP, TCP_NSR_GAP_RESET);
	attr_put_u32(&b, TCP_NSR_A_CONN_ISS, (uint32_t)id * 7);
	attr_put_u32(&b, TCP_NSR_A_CONN_IRS, (uint32_t)id * 11);
	assert_false(b.failed);
	return b;
}

struct attr_buf rec_cursors(uint64_t id, uint64_t rcv_nxt, uint64_t snd_una)
{
	struct attr_buf b = { 0 };

	attr_put_u64(&b, TCP_NSR_A_CONN_ID, id);
	attr_put_u64(&b, TCP_NSR_A_CONN_RCV_NXT, rcv_nxt);
	attr_put_u64(&b, TCP_NSR_A_CONN_SND_UNA, snd_una);
	assert_false(b.failed);
	return b;
}

static size_t op_begin(struct attr_buf *b, uint8_t kind, uint64_t conn)
{
	size_t nest = attr_nest_start(b, NSR_APP_A_OP);

	attr_put_u8(b, NSR_APP_A_OP_KIND, kind);
	if (conn)
		attr_put_u64(b, NSR_APP_A_CONN_ID, conn);
	return nest;
}

void op_put(struct attr_buf *b, uint64_t conn, const char *key, const void *val, size_t len)
{
	const uint8_t *v = val;
	size_t at = 0;

	do {
		size_t n = len - at < NSR_APP_CHUNK_MAX ? len - at : NSR_APP_CHUNK_MAX;
		size_t nest = op_begin(b, NSR_APP_OP_PUT, conn);

		attr_put(b, NSR_APP_A_KEY, key, strlen(key));
		if (at)
			attr_put_u64(b, NSR_APP_A_DATA_POS, at);
		attr_put(b, NSR_APP_A_VALUE, v + at, n);
		attr_nest_end(b, nest);
		at += n;
	} while (at < len);
	assert_false(b->failed);
}

void op_del(struct attr_buf *b, uint64_t conn, const char *key)
{
	size_t nest = op_begin(b, NSR_APP_OP_DEL, conn);

	attr_put(b, NSR_APP_A_KEY, key, strlen(key));
	attr_nest_end(b, nest);
	assert_false(b->failed);
}

void op_conn(struct attr_buf *b, uint64_t conn, uint64_t consumed, uint64_t written, uint64_t pos,
	     const void *data, size_t len)
{
	size_t nest = op_begin(b, NSR_APP_OP_CONN, conn);

	attr_put_u64(b, NSR_APP_A_RCV_CONSUMED, consumed);
	attr_put_u64(b, NSR_APP_A_RCV_TAIL_END, data ? pos + len : consumed);
	attr_put_u64(b, NSR_APP_A_SND_WRITTEN, written);
	if (data) {
		attr_put_u64(b, NSR_APP_A_DATA_POS, pos);
		attr_put(b, NSR_APP_A_DATA, data, len);
	}
	attr_nest_end(b, nest);
	assert_false(b->failed);
}

void op_journal(struct attr_buf *b, uint64_t conn, uint64_t pos, const void *data, size_t len)
{
	size_t nest = op_begin(b, NSR_APP_OP_JOURNAL, conn);

	attr_put_u64(b, NSR_APP_A_DATA_POS, pos);
	attr_put(b, NSR_APP_A_DATA, data, len);
	attr_nest_end(b, nest);
	assert_false(b->failed);
}

void op_acked(struct attr_buf *b, uint64_t conn, uint64_t consumed, uint64_t written, uint64_t acked)
{
	size_t nest = op_begin(b, NSR_APP_OP_CONN, conn);

	attr_put_u64(b, NSR_APP_A_RCV_CONSUMED, consumed);
	attr_put_u64(b, NSR_APP_A_SND_WRITTEN, written);
	attr_put_u64(b, NSR_APP_A_SND_ACKED, acked);
	attr_nest_end(b, nest);
	assert_false(b->failed);
}
