// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * txn: the open transaction. It is written piece by piece into one message buffer and leaves when that is
 * full, so a transaction of any size costs one message of memory here; only the piece with LAST makes
 * it count at the other end (rule one-transaction: state, consumed, tail and sent are one).
 *
 * Nobody to ship it to (no nsrd, not active): nothing is kept. Whoever becomes interested asks for a
 * snapshot, and that replaces it.
 */
#include <errno.h>
#include <string.h>

#include "nsr.h"

bool nsr_txn_wanted(const struct nsr *nsr)
{
	return nsr->link == LINK_UP && !nsr->deaf &&
	       (nsr->role == NSR_ROLE_ACTIVE || nsr->role == NSR_ROLE_LEAVING);
}

/* LAST and SNAPSHOT are put when the piece leaves; room for them stays reserved until then. */
#define FLAGS_ROOM	(2 * MNL_ATTR_HDRLEN)

static void piece_begin(struct nsr *nsr)
{
	if (!nsr->open) {
		nsr->open = true;
		nsr->txn++;
		nsr->txn_bytes = 0;
	}
	nsr_wire_begin(&nsr->ops, nsr->piece, NSR_APP_MSG_MAX - FLAGS_ROOM, NSR_APP_TXN);
	nsr_wire_put_u64(&nsr->ops, NSR_APP_A_TXN, nsr->txn);
}

static void piece_send(struct nsr *nsr, bool last)
{
	if (!nsr->ops.nlh)
		piece_begin(nsr);
	nsr->ops.size += FLAGS_ROOM;
	if (nsr->snapshot)
		nsr_wire_put_flag(&nsr->ops, NSR_APP_A_SNAPSHOT);
	if (last)
		nsr_wire_put_flag(&nsr->ops, NSR_APP_A_LAST);
	nsr_link_send(nsr, &nsr->ops);
	nsr->ops.nlh = NULL;
	nsr->begun = true;
}

/* Of one op: headers, kind, names, positions and padding. */
#define OP_ROOM		128u

/* Room for an op whose payloads are `bytes` long, in this piece or the next. */
static struct nsr_wire_buf *op_room(struct nsr *nsr, size_t bytes)
{
	size_t need = bytes + OP_ROOM;

	if (nsr->ops.nlh && nsr->ops.nlh->nlmsg_len + need > nsr->ops.size)
		piece_send(nsr, false);
	if (!nsr->ops.nlh)
		piece_begin(nsr);
	nsr->txn_bytes += need;
	return &nsr->ops;
}

/* The transaction is given up. Pieces that left mean nothing without LAST, but its number is used up. */
void nsr_txn_discard(struct nsr *nsr)
{
	if (nsr->open && !nsr->begun)
		nsr->txn--;
	nsr->begun = false;
	nsr->open = false;
	nsr->ops.nlh = NULL;
}

static int check_key(const struct nsr *nsr, const struct nsr_conn *conn, size_t klen)
{
	if (!klen || klen > NSR_KEY_MAX)
		return -EMSGSIZE;
	if (conn && conn->gone)
		return -ENOTCONN;
	if (nsr->role == NSR_ROLE_STANDBY)
		return -EPERM;		/* what the standby has is what the active said */
	if (nsr->leave != LEAVE_NOT)
		return -ESHUTDOWN;
	return 0;
}

/* nsrd joins the pieces before it applies them: it has to hold the whole, and takes NSR_APP_TXN_MAX. What the
 * application puts may fill half of it; the rest is for the connections' positions, tails and journals. */
static bool is_full(const struct nsr *nsr, size_t klen, size_t vlen)
{
	size_t ops = vlen / NSR_APP_CHUNK_MAX + 1;

	return nsr->open && nsr->txn_bytes + ops * (klen + OP_ROOM) + vlen > NSR_TXN_MAX;
}

int nsr_put(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
	    size_t vlen)
{
	int err = check_key(nsr, conn, klen);
	const uint8_t *v = val;
	size_t pos = 0, n;

	if (err)
		return err;
	if (vlen > NSR_VALUE_MAX)
		return -EMSGSIZE;
	if (!nsr_txn_wanted(nsr))
		return 0;
	if (is_full(nsr, klen, vlen))
		return -ENOBUFS;
	do {
		struct nsr_wire_buf *b;

		n = vlen - pos < NSR_APP_CHUNK_MAX ? vlen - pos : NSR_APP_CHUNK_MAX;
		b = op_room(nsr, klen + n);
		nsr_wire_op_begin(b, NSR_APP_OP_PUT, conn ? conn->id : 0, conn ? conn->handle : 0);
		nsr_wire_put_bytes(b, NSR_APP_A_KEY, key, klen);
		if (pos)
			nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, pos);
		nsr_wire_put_bytes(b, NSR_APP_A_VALUE, v ? v + pos : NULL, n);
		nsr_wire_op_end(b);
		pos += n;
	} while (pos < vlen);
	return 0;
}

int nsr_del(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen)
{
	int err = check_key(nsr, conn, klen);
	struct nsr_wire_buf *b;

	if (err)
		return err;
	if (!nsr_txn_wanted(nsr))
		return 0;
	if (is_full(nsr, klen, 0))
		return -ENOBUFS;
	b = op_room(nsr, klen);
	nsr_wire_op_begin(b, NSR_APP_OP_DEL, conn ? conn->id : 0, conn ? conn->handle : 0);
	nsr_wire_put_bytes(b, NSR_APP_A_KEY, key, klen);
	nsr_wire_op_end(b);
	return 0;
}

/* One OP_CONN for each chunk of the tail that nsrd lacks; each leaves the tail there without a hole. */
static void put_positions(struct nsr *nsr, struct nsr_conn *conn)
{
	struct stream *s = &conn->rcv;
	uint64_t from = s->shipped > s->consumed && !conn->whole ? s->shipped : s->consumed;

	do {
		size_t n = s->end - from < NSR_APP_CHUNK_MAX ? s->end - from : NSR_APP_CHUNK_MAX;
		struct nsr_wire_buf *b = op_room(nsr, n);

		nsr_wire_op_begin(b, NSR_APP_OP_CONN, conn->id, conn->handle);
		nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, s->consumed);
		nsr_wire_put_u64(b, NSR_APP_A_RCV_TAIL_END, from + n);
		nsr_wire_put_u64(b, NSR_APP_A_SND_WRITTEN, conn->snd_written);
		if (nsr_out_journals(conn))
			nsr_wire_put_u64(b, NSR_APP_A_SND_ACKED, conn->j.base);
		if (n) {
			nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, from);
			nsr_wire_put_bytes(b, NSR_APP_A_DATA, nsr_stream_at(s, from), n);
		}
		nsr_wire_op_end(b);
		from += n;
	} while (from < s->end);
	s->shipped = s->end;
}

/* The bytes of the journal that nsrd lacks. */
static void put_journal(struct nsr *nsr, struct nsr_conn *conn)
{
	uint64_t from = conn->whole || conn->shipped < conn->j.base ? conn->j.base : conn->shipped;
	size_t n;

	for (; from < conn->j.end; from += n) {
		const uint8_t *p = nsr_journal_at(&conn->j, from, &n);
		struct nsr_wire_buf *b;

		if (n > NSR_APP_CHUNK_MAX)
			n = NSR_APP_CHUNK_MAX;
		b = op_room(nsr, n);
		nsr_wire_op_begin(b, NSR_APP_OP_JOURNAL, conn->id, conn->handle);
		nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, from);
		nsr_wire_put_bytes(b, NSR_APP_A_DATA, p, n);
		nsr_wire_op_end(b);
	}
}

static void txn_end(struct nsr *nsr)
{
	piece_send(nsr, true);
	nsr->open = false;
	nsr->begun = false;
}

static void ship_conn(struct nsr *nsr, struct nsr_conn *conn)
{
	/* A snapshot of many tails and journals is more than one transaction may hold. Each is whole by itself. */
	if (conn->whole && nsr->open && nsr->txn_bytes > NSR_TXN_MAX / 2)
		txn_end(nsr);
	nsr_out_trim(conn);
	put_positions(nsr, conn);
	if (nsr_out_journals(conn))
		put_journal(nsr, conn);
	conn->whole = false;
	nsr_out_committed(conn, nsr->txn);
	nsr_acked_commit(&conn->rcv_acked, nsr->txn, conn->rcv.consumed, nsr->txn_acked);
}

static void commit_conns(struct nsr *nsr, bool ship)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->dirty) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, dirty);

		list_del(&conn->dirty);
		/* A shadow's positions are nsrd's own; they are ours once it has resumed. */
		if (conn->gone || conn->shadow)
			continue;
		if (ship && nsr_conn_counts(conn))
			ship_conn(nsr, conn);
		else
			nsr_out_committed(conn, 0);
		conn->rcv_committed = conn->rcv.consumed;
		conn->snd_committed = conn->snd_written;
	}
}

int nsr_commit(struct nsr *nsr)
{
	bool ship = nsr_txn_wanted(nsr), full = nsr->out_bytes >= NSR_OUT_TXN;

	if (nsr->final)
		return 0;		/* told by nsr_dispatch(); the connections are plain ones */
	if (!ship)
		nsr_txn_discard(nsr);
	/* Drained: what is read or done from here on is not to be vouched for until it is called off. */
	if (nsr->leave != LEAVE_DRAINED)
		commit_conns(nsr, ship);
	if (ship && nsr->open)
		txn_end(nsr);
	if (full)
		nsr_out_unblock(nsr);
	return nsr_link_flush(nsr) ? 0 : -EAGAIN;
}

int nsr_snapshot_done(struct nsr *nsr)
{
	struct nsr_wire_buf b;
	int err = nsr_commit(nsr);

	/* Not asked, or the link was lost meanwhile: it will be asked for again. */
	if (!nsr->snapshot || !nsr_txn_wanted(nsr))
		return 0;
	nsr->snapshot = false;
	b = nsr_link_begin(nsr, NSR_APP_SNAPSHOT_DONE);
	nsr_wire_put_u32(&b, NSR_APP_A_EPOCH, nsr->epoch);
	nsr_link_send(nsr, &b);
	return err;
}
