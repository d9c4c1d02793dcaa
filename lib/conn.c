// SPDX-License-Identifier: LGPL-2.1-or-later
/* conn: one connection, from attach or CONN_ADDED until nsr_conn_close(); its bytes in. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "nsr.h"

struct nsr_conn *nsr_conn_by_id(struct nsr *nsr, uint64_t id)
{
	struct table_node *n = id ? nsr_table_find(&nsr->by_id, id) : NULL;

	return n ? list_of(n, struct nsr_conn, by_id) : NULL;
}

struct nsr_conn *nsr_conn_by_handle(struct nsr *nsr, uint32_t handle)
{
	struct table_node *n = nsr_table_find(&nsr->by_handle, handle);

	return n ? list_of(n, struct nsr_conn, by_handle) : NULL;
}

struct nsr_conn *nsr_conn_create(struct nsr *nsr, int fd)
{
	struct nsr_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->nsr = nsr;
	conn->fd = fd;
	conn->mode = NSR_MODE_NONE;
	list_init(&conn->node);
	list_init(&conn->dirty);
	list_init(&conn->todo_node);
	list_init(&conn->out);
	conn->release = conn->few;
	conn->release_size = NSR_RELEASES_FEW;
	nsr_stream_init(&conn->rcv, 0);
	do {
		conn->handle = nsr->next_handle++;
	} while (!conn->handle || nsr_conn_by_handle(nsr, conn->handle));
	if (nsr_table_add(&nsr->by_handle, &conn->by_handle, conn->handle) ||
	    nsr_table_add(&nsr->by_fd, &conn->by_fd, fd)) {
		nsr_conn_free(conn);
		return NULL;
	}
	list_add_tail(&nsr->conns, &conn->node);
	return conn;
}

void nsr_conn_free(struct nsr_conn *conn)
{
	struct nsr *nsr = conn->nsr;

	nsr_table_del(&nsr->by_handle, &conn->by_handle);
	nsr_table_del(&nsr->by_id, &conn->by_id);
	nsr_table_del(&nsr->by_fd, &conn->by_fd);
	list_del(&conn->node);
	list_del(&conn->dirty);
	list_del(&conn->todo_node);
	nsr_stream_free(&conn->rcv);
	nsr_out_free(conn);
	free(conn);
}

int nsr_conn_set_id(struct nsr_conn *conn, uint64_t id)
{
	if (conn->id == id)
		return 0;
	nsr_table_del(&conn->nsr->by_id, &conn->by_id);
	conn->id = id;
	return id ? nsr_table_add(&conn->nsr->by_id, &conn->by_id, id) : 0;
}

/*
 * Does the group's role decide over this connection? Until nsrd has said what it is: yes. What no rule
 * matches lives on as a plain socket.
 */
bool nsr_conn_counts(const struct nsr_conn *conn)
{
	return !conn->gone && !(conn->answered && conn->mode == NSR_MODE_NONE);
}

void nsr_conn_mark(struct nsr_conn *conn)
{
	if (list_empty(&conn->dirty))
		list_add_tail(&conn->nsr->dirty, &conn->dirty);
}

void nsr_conn_todo(struct nsr_conn *conn, unsigned int what)
{
	conn->todo |= what;
	if (list_empty(&conn->todo_node))
		list_add_tail(&conn->nsr->todo, &conn->todo_node);
}

void nsr_conn_set_gone(struct nsr_conn *conn, enum nsr_gone why)
{
	if (conn->gone)
		return;
	conn->gone = true;
	conn->is_protected = false;
	conn->why = why;
	/* Its id may be given to a new shadow before the application has let go of this one. */
	nsr_conn_set_id(conn, 0);
	list_del(&conn->dirty);
	nsr_out_gone(conn);
	conn->todo = 0;
	nsr_conn_todo(conn, TODO_GONE);
}

/* ---- attach ---- */

/* An IPv4 connection of an IPv6 socket is IPv4 on the wire, and in the kernel's table. */
static const void *addr_of(const struct sockaddr_storage *ss, uint8_t *family, size_t *len, uint16_t *port)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		*family = AF_INET;
		*len = 4;
		*port = in->sin_port;
		return &in->sin_addr;
	}
	*port = in6->sin6_port;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		*family = AF_INET;
		*len = 4;
		return &in6->sin6_addr.s6_addr[12];
	}
	*family = AF_INET6;
	*len = 16;
	return &in6->sin6_addr;
}

void nsr_conn_send_attach(struct nsr_conn *conn)
{
	struct nsr_wire_buf b;
	uint8_t family;
	uint16_t lport, rport;
	const void *l, *r;
	size_t len;

	if (conn->nsr->link != LINK_UP || conn->gone)
		return;
	b = nsr_link_begin(conn->nsr, NSR_APP_ATTACH);
	r = addr_of(&conn->remote, &family, &len, &rport);
	l = addr_of(&conn->local, &family, &len, &lport);
	nsr_wire_put_u32(&b, NSR_APP_A_HANDLE, conn->handle);
	if (conn->id)
		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, conn->id);
	nsr_wire_put_u8(&b, NSR_APP_A_FAMILY, family);
	nsr_wire_put_bytes(&b, NSR_APP_A_LADDR, l, len);
	nsr_wire_put_bytes(&b, NSR_APP_A_RADDR, r, len);
	nsr_wire_put_u16(&b, NSR_APP_A_LPORT, lport);
	nsr_wire_put_u16(&b, NSR_APP_A_RPORT, rport);
	nsr_wire_put_u64(&b, NSR_APP_A_COOKIE, conn->cookie);
	if (conn->gap != NSR_GAP_RULE)
		nsr_wire_put_u8(&b, NSR_APP_A_GAP, conn->gap);
	if (!conn->shadow) {
		/* As of the last commit, like the state; the tail goes into the next transaction. */
		nsr_wire_put_u64(&b, NSR_APP_A_RCV_CONSUMED, conn->rcv_committed);
		nsr_wire_put_u64(&b, NSR_APP_A_RCV_TAIL_END, conn->rcv_committed);
		nsr_wire_put_u64(&b, NSR_APP_A_SND_WRITTEN, conn->snd_committed);
		conn->whole = true;
		if (nsr_stream_len(&conn->rcv) || nsr_journal_len(&conn->j))
			nsr_conn_mark(conn);
	}
	nsr_link_send(conn->nsr, &b);
}

static int check_tcp(int fd)
{
	int proto = 0;
	socklen_t len = sizeof(proto);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) < 0 || proto != IPPROTO_TCP)
		return -EBADF;
	return 0;
}

int nsr_conn_attach(struct nsr *nsr, int fd, struct nsr_conn **out)
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t llen = sizeof(local), rlen = sizeof(remote), clen = sizeof(uint64_t);
	uint64_t rcv, snd, cookie = 0;
	struct nsr_conn *conn;
	int err = check_tcp(fd);

	if (err)
		return err;
	if (nsr_table_find(&nsr->by_fd, fd))
		return -EEXIST;
	err = nsr_stream_positions(fd, &rcv, &snd);
	if (err)
		return err;
	if (getsockname(fd, (void *)&local, &llen) < 0 || getpeername(fd, (void *)&remote, &rlen) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &clen) < 0)
		return -errno;
	conn = nsr_conn_create(nsr, fd);
	if (!conn)
		return -ENOMEM;
	conn->local = local;
	conn->remote = remote;
	conn->cookie = cookie;
	nsr_stream_init(&conn->rcv, rcv);
	conn->rcv_committed = rcv;
	conn->rcv_acked.value = rcv;
	nsr_out_init(conn, snd);
	conn->snd_committed = snd;
	nsr_conn_send_attach(conn);
	*out = conn;
	return 0;
}

/* ---- the end of it ---- */

void nsr_conn_detached(struct nsr_conn *conn, bool unprotect)
{
	struct nsr_wire_buf b;

	if (conn->nsr->link != LINK_UP || conn->gone)
		return;
	/* Both names: the kernel may have told nsrd of the end already, and the id with it. */
	b = nsr_link_begin(conn->nsr, NSR_APP_DETACH);
	if (conn->id)
		nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, conn->id);
	nsr_wire_put_u32(&b, NSR_APP_A_HANDLE, conn->handle);
	if (unprotect)
		nsr_wire_put_flag(&b, NSR_APP_A_UNPROTECT);
	nsr_link_send(conn->nsr, &b);
}

/* ---- bytes ---- */

/* Planned switchover, and this connection moves: the application has said that it is finished. */
bool nsr_conn_left(const struct nsr_conn *conn)
{
	return conn->nsr->leave != LEAVE_NOT && nsr_conn_counts(conn);
}

ssize_t nsr_recv(struct nsr_conn *conn, void *buf, size_t n)
{
	struct stream *s = &conn->rcv;
	ssize_t got;

	if (conn->gone)
		return -ENOTCONN;
	if (conn->shadow)
		return -EAGAIN;
	if (!n)
		return 0;
	if (conn->nsr->leave == LEAVE_DRAINED && nsr_conn_left(conn))
		return -EAGAIN;
	if (nsr_conn_left(conn)) {
		/* For the next active to read. Taken from the socket all the same: a level-triggered loop
		 * would spin on it otherwise. */
		if (nsr_stream_fill(s, conn->fd, n) > 0)
			nsr_conn_mark(conn);
		return -EAGAIN;
	}
	if (s->read == s->end) {
		got = nsr_stream_fill(s, conn->fd, n);
		if (got <= 0)
			return got;
		nsr_conn_mark(conn);
	}
	return nsr_stream_read(s, buf, n);
}

int nsr_consume(struct nsr_conn *conn, size_t n)
{
	int err;

	if (conn->gone)
		return -ENOTCONN;
	if (nsr_conn_left(conn))
		return -ESHUTDOWN;
	err = nsr_stream_consume(&conn->rcv, n);
	if (!err && n)
		nsr_conn_mark(conn);
	return err;
}

/* ---- what is known of it ---- */

uint64_t nsr_acked_value(struct acked *a, uint64_t txn_acked)
{
	if (a->newer.txn && a->newer.txn <= txn_acked) {
		a->value = a->newer.value;
		a->newer.txn = 0;
		a->older.txn = 0;
	} else if (a->older.txn && a->older.txn <= txn_acked) {
		a->value = a->older.value;
		a->older = a->newer;
		a->newer.txn = 0;
	}
	return a->value;
}

void nsr_acked_commit(struct acked *a, uint64_t txn, uint64_t value, uint64_t txn_acked)
{
	nsr_acked_value(a, txn_acked);
	if (!a->older.txn) {
		a->older.txn = txn;
		a->older.value = value;
	} else {
		a->newer.txn = txn;
		a->newer.value = value;
	}
}

void nsr_conn_fill_info(const struct nsr_conn *conn, struct nsr_conn_info *info)
{
	struct acked acked = conn->rcv_acked;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->local = conn->local;
	info->remote = conn->remote;
	info->active_open = conn->active_open;
	info->mode = conn->mode;
	info->is_protected = conn->is_protected;
	info->rcv_committed = nsr_acked_value(&acked, conn->nsr->txn_acked);
	info->snd_written = conn->snd_written;
	info->snd_una = nsr_out_una(conn);
	memcpy(info->reason, conn->reason, sizeof(info->reason));
}

int nsr_conn_get_info(const struct nsr_conn *conn, struct nsr_conn_info *info)
{
	struct nsr_conn_info full;
	size_t size = info->size;

	if (size < sizeof(size) || size > 4096)
		return -EINVAL;
	nsr_conn_fill_info(conn, &full);
	if (size < full.size)
		full.size = size;
	memcpy(info, &full, full.size);
	return 0;
}

int nsr_conn_set_gap(struct nsr_conn *conn, enum nsr_gap gap)
{
	struct nsr_wire_buf b;

	if (gap != NSR_GAP_RULE && gap != NSR_GAP_RESET && gap != NSR_GAP_REPORT)
		return -EINVAL;
	if (conn->gone)
		return -ENOTCONN;
	conn->gap = gap;
	/* Without an id yet: ATTACH is under way without it, so say it by handle, behind that. */
	if (conn->nsr->link == LINK_UP) {
		b = nsr_link_begin(conn->nsr, NSR_APP_SET_GAP);
		nsr_wire_put_conn(&b, conn->id, conn->handle);
		nsr_wire_put_u8(&b, NSR_APP_A_GAP, gap);
		nsr_link_send(conn->nsr, &b);
	}
	return 0;
}

int nsr_conn_get_fd(const struct nsr_conn *conn)
{
	return conn->fd;
}

void nsr_conn_set_data(struct nsr_conn *conn, void *data)
{
	conn->data = data;
}

void *nsr_conn_get_data(const struct nsr_conn *conn)
{
	return conn->data;
}
