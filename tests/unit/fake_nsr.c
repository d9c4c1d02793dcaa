// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fake_nsr.h"

struct nsr_conn {
	struct nsr_conn *next;
	struct nsr *nsr;
	int fd;
	void *data;
	size_t tail_len, tail_at;	/* kept bytes; how many of them were returned (again) */
	uint8_t *tail;
	struct nsr_conn_info info;
};

struct nsr {
	const struct nsr_listener *l;
	void *data;
	int fd;
	ssize_t limit;
	struct nsr_conn *conns;
	struct fake_stats stats;
	fake_sink sink;
	void *sink_arg;
	enum nsr_fin last_close;
	unsigned int closed;
};

int nsr_open(const char *path, const char *group, const char *app, const struct nsr_listener *listener,
	     void *data, struct nsr **out)
{
	struct nsr *nsr = calloc(1, sizeof(*nsr));

	(void)path;
	if (!group || !app || !nsr)
		return -EINVAL;
	nsr->l = listener;
	nsr->data = data;
	nsr->limit = -1;
	nsr->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*out = nsr;
	return 0;
}

void nsr_close(struct nsr *nsr)
{
	close(nsr->fd);
	free(nsr);
}

int nsr_get_fd(const struct nsr *nsr)
{
	return nsr->fd;
}

int nsr_dispatch(struct nsr *nsr, int timeout_ms)
{
	(void)nsr;
	(void)timeout_ms;
	return 0;
}

const char *nsr_strerror(const struct nsr *nsr)
{
	(void)nsr;
	return "";
}

static struct nsr_conn *conn_new(struct nsr *nsr, int fd)
{
	struct nsr_conn *c = calloc(1, sizeof(*c));

	c->nsr = nsr;
	c->fd = fd;
	c->next = nsr->conns;
	nsr->conns = c;
	return c;
}

int nsr_conn_attach(struct nsr *nsr, int fd, struct nsr_conn **out)
{
	*out = conn_new(nsr, fd);
	return 0;
}

int nsr_conn_close(struct nsr_conn *conn, enum nsr_fin how)
{
	struct nsr_conn **at = &conn->nsr->conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	conn->nsr->last_close = how;
	conn->nsr->closed++;
	close(conn->fd);
	free(conn->tail);
	free(conn);
	return 0;
}

int nsr_conn_get_info(const struct nsr_conn *conn, struct nsr_conn_info *info)
{
	*info = conn->info;
	return 0;
}

void nsr_conn_set_data(struct nsr_conn *conn, void *data)
{
	conn->data = data;
}

void *nsr_conn_get_data(const struct nsr_conn *conn)
{
	return conn->data;
}

ssize_t nsr_recv(struct nsr_conn *conn, void *buf, size_t n)
{
	size_t have = conn->tail_len - conn->tail_at;
	ssize_t got;

	if (have) {
		n = n < have ? n : have;
		memcpy(buf, conn->tail + conn->tail_at, n);
		conn->tail_at += n;
		return (ssize_t)n;
	}
	got = recv(conn->fd, buf, n, MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	conn->tail = realloc(conn->tail, conn->tail_len + (size_t)got + 1);
	memcpy(conn->tail + conn->tail_len, buf, (size_t)got);
	conn->tail_len += (size_t)got;
	conn->tail_at = conn->tail_len;
	return got;
}

int nsr_consume(struct nsr_conn *conn, size_t n)
{
	if (n > conn->tail_at)
		return -ERANGE;
	memmove(conn->tail, conn->tail + n, conn->tail_len - n);
	conn->tail_len -= n;
	conn->tail_at -= n;
	return 0;
}

ssize_t nsr_send(struct nsr_conn *conn, const void *buf, size_t n)
{
	struct nsr *nsr = conn->nsr;
	ssize_t sent;

	if (nsr->limit >= 0 && (size_t)nsr->limit < n)
		n = (size_t)nsr->limit;
	if (nsr->limit >= 0)
		nsr->limit -= (ssize_t)n;
	if (!n)
		return -EAGAIN;
	sent = send(conn->fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent < 0 ? -errno : sent;
}

int nsr_put(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
	    size_t vlen)
{
	if (klen > NSR_KEY_MAX || vlen > NSR_VALUE_MAX)
		return -EMSGSIZE;
	nsr->stats.puts++;
	if (nsr->sink)
		nsr->sink(nsr->sink_arg, conn, key, klen, val, vlen);
	return 0;
}

int nsr_del(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen)
{
	nsr->stats.dels++;
	if (nsr->sink)
		nsr->sink(nsr->sink_arg, conn, key, klen, NULL, 0);
	return 0;
}

int nsr_commit(struct nsr *nsr)
{
	nsr->stats.commits++;
	return 0;
}

int nsr_snapshot_done(struct nsr *nsr)
{
	nsr->stats.snapshots++;
	return 0;
}

int nsr_left(struct nsr *nsr)
{
	nsr->stats.left++;
	return 0;
}

const struct fake_stats *fake_stats(struct nsr *nsr)
{
	return &nsr->stats;
}

void fake_set_sink(struct nsr *nsr, fake_sink sink, void *arg)
{
	nsr->sink = sink;
	nsr->sink_arg = arg;
}

void fake_limit_send(struct nsr *nsr, ssize_t n)
{
	nsr->limit = n;
}

void fake_writable(struct nsr_conn *conn)
{
	conn->nsr->l->conn_writable(conn->nsr->data, conn);
}

void fake_role(struct nsr *nsr, enum nsr_role role)
{
	nsr->l->role(nsr->data, role, 1, 1000);
}

struct nsr_conn *fake_add(struct nsr *nsr, int fd, const struct nsr_conn_info *info)
{
	struct nsr_conn *c = conn_new(nsr, fd);

	c->info = *info;
	nsr->l->conn_added(nsr->data, c, fd, info);
	return c;
}

void fake_state(struct nsr *nsr, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
		size_t vlen)
{
	nsr->l->state(nsr->data, conn, key, klen, val, vlen);
}

void fake_synced(struct nsr *nsr)
{
	nsr->l->synced(nsr->data);
}

void fake_snapshot(struct nsr *nsr)
{
	nsr->l->snapshot(nsr->data);
}

void fake_resume(struct nsr_conn *conn, const struct nsr_resume *r)
{
	conn->tail_at = 0;
	conn->nsr->l->conn_resumed(conn->nsr->data, conn, r);
}

void fake_gone(struct nsr_conn *conn, enum nsr_gone why)
{
	conn->nsr->l->conn_gone(conn->nsr->data, conn, why);
}

size_t fake_tail(const struct nsr_conn *conn, const void **tail)
{
	*tail = conn->tail;
	return conn->tail_len;
}

void fake_set_tail(struct nsr_conn *conn, const void *tail, size_t len)
{
	conn->tail = realloc(conn->tail, len + 1);
	memcpy(conn->tail, tail, len);
	conn->tail_len = len;
	conn->tail_at = 0;
}

struct nsr_conn *fake_first(struct nsr *nsr)
{
	return nsr->conns;
}

enum nsr_fin fake_last_close(struct nsr *nsr)
{
	return nsr->last_close;
}

unsigned int fake_closed(struct nsr *nsr)
{
	return nsr->closed;
}
