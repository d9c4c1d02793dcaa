// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE			/* accept4() */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "list.h"
#include "transport.h"

#define READ_TURN	(256u << 10)	/* bytes of one peer in one turn: timers must not starve */
#define READ_DRAIN	(8u << 20)

/**
 * struct transport - one stream
 * @queue: bytes from @head to @len wait to be written
 * @calls: callbacks under way; a transport closed meanwhile is freed by the last of them
 */
struct transport {
	struct ev_loop *loop;
	const struct transport_ops *ops;
	void *data;
	int fd;
	ev_io io;
	ev_prepare flush;
	bool connecting, failed, dead;
	unsigned int calls;
	char why[128];
	uint8_t *queue;
	size_t head, len, size;
};

struct transport_listener {
	struct ev_loop *loop;
	ev_io io;
	void (*accepted)(void *data, int fd, const struct sockaddr_storage *from);
	void *data;
};

/* ---- addresses ---- */

static socklen_t addr_len(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

const char *transport_name(const struct sockaddr_storage *ss, char buf[TRANSPORT_NAME_MAX])
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(buf, TRANSPORT_NAME_MAX, "%s:%u", host, ntohs(in->sin_port));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(buf, TRANSPORT_NAME_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
	return buf;
}

static struct in6_addr host_of(const struct sockaddr_storage *ss)
{
	struct in6_addr a = IN6ADDR_ANY_INIT;

	if (ss->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)ss)->sin6_addr;
	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	memcpy(&a.s6_addr[12], &((const struct sockaddr_in *)ss)->sin_addr, 4);
	return a;
}

bool transport_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct in6_addr x = host_of(a), y = host_of(b);

	return IN6_ARE_ADDR_EQUAL(&x, &y);
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = port;
	else
		((struct sockaddr_in6 *)ss)->sin6_port = port;
}

/* ---- a stream ---- */

static void set_events(struct transport *t, int events)
{
	if ((t->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(t->loop, &t->io);
	ev_io_set(&t->io, t->fd, events);
	ev_io_start(t->loop, &t->io);
}

/* Not inlined: gcc does not see that a nested call never frees, and warns. */
static __attribute__((noinline)) void transport_free(struct transport *t)
{
	free(t->queue);
	free(t);
}

/* Every callback stands between these two: the owner may close the transport in it. */
static void call_begin(struct transport *t)
{
	t->calls++;
}

static bool call_end(struct transport *t)
{
	bool dead = t->dead;

	if (!--t->calls && dead)
		transport_free(t);
	return !dead;
}

static void fail(struct transport *t, const char *what, int err)
{
	if (t->failed)
		return;
	t->failed = true;
	snprintf(t->why, sizeof(t->why), "%s%s%s", what, err ? ": " : "", err ? strerror(err) : "");
	ev_io_stop(t->loop, &t->io);
	/* told from the loop: the owner may be in the middle of a send */
	ev_feed_event(t->loop, &t->io, EV_CUSTOM);
}

static void write_queue(struct transport *t)
{
	bool was_full = t->len - t->head >= TRANSPORT_QUEUE_LOW;

	while (t->head < t->len) {
		ssize_t n = send(t->fd, t->queue + t->head, t->len - t->head, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				fail(t, "send", errno);
			break;
		}
		t->head += (size_t)n;
	}
	if (t->head == t->len)
		t->head = t->len = 0;
	if (t->failed)
		return;
	set_events(t, t->len ? EV_READ | EV_WRITE : EV_READ);
	if (was_full && t->len - t->head < TRANSPORT_QUEUE_LOW) {
		call_begin(t);
		t->ops->writable(t->data);
		call_end(t);
	}
}

/* True: there may be more. */
static bool read_some(struct transport *t, size_t *budget)
{
	/* aligned and large: a frame is copied once, into its decoder */
	static uint8_t buf[65536] __attribute__((aligned(8)));
	ssize_t n = recv(t->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		fail(t, n ? "receive" : "closed by the peer", n ? errno : 0);
		return false;
	}
	*budget = *budget > (size_t)n ? *budget - (size_t)n : 0;
	call_begin(t);
	t->ops->receive(t->data, buf, (size_t)n);
	return call_end(t) && *budget;
}

static void connected(struct transport *t)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
		fail(t, "connect", err ? err : errno);
		return;
	}
	t->connecting = false;
	set_events(t, EV_READ);
	call_begin(t);
	t->ops->up(t->data);
	call_end(t);
}

static void io_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct transport *t = w->data;
	size_t budget = READ_TURN;

	(void)loop;
	call_begin(t);
	if (t->failed) {
		t->ops->closed(t->data, t->why);
	} else if (t->connecting) {
		connected(t);
	} else {
		if (revents & EV_READ)
			while (read_some(t, &budget))
				;
		if (!t->dead && !t->failed && (revents & EV_WRITE))
			write_queue(t);
	}
	call_end(t);
}

static void flush_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	transport_flush(w->data);
}

static struct transport *transport_create(struct ev_loop *loop, int fd, const struct transport_ops *ops,
					  void *data)
{
	unsigned int dead = TRANSPORT_DEAD_MS;
	struct transport *t = calloc(1, sizeof(*t));
	int on = 1;

	if (!t) {
		close(fd);
		return NULL;
	}
	/* a test's socket pair has none of these, and does without */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof(dead));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	t->loop = loop;
	t->ops = ops;
	t->data = data;
	t->fd = fd;
	ev_io_init(&t->io, io_cb, fd, EV_READ);
	t->io.data = t;
	ev_prepare_init(&t->flush, flush_cb);
	t->flush.data = t;
	ev_prepare_start(loop, &t->flush);
	return t;
}

struct transport *transport_adopt(struct ev_loop *loop, int fd, const struct transport_ops *ops, void *data)
{
	struct transport *t = transport_create(loop, fd, ops, data);

	if (t)
		ev_io_start(loop, &t->io);
	return t;
}

struct transport *transport_dial(struct ev_loop *loop, const struct sockaddr_storage *local,
				 const struct sockaddr_storage *peer, const struct transport_ops *ops,
				 void *data, char *why, size_t len)
{
	int fd = socket(peer->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from = *local;
	struct transport *t;

	if (fd < 0) {
		snprintf(why, len, "socket: %s", strerror(errno));
		return NULL;
	}
	set_port(&from, 0);
	if (local->ss_family == peer->ss_family && bind(fd, (struct sockaddr *)&from, addr_len(&from))) {
		snprintf(why, len, "bind to the local address: %s", strerror(errno));
		close(fd);
		return NULL;
	}
	if (connect(fd, (const struct sockaddr *)peer, addr_len(peer)) && errno != EINPROGRESS) {
		snprintf(why, len, TRANSPORT_DIAL_FAILED "%s", strerror(errno));
		close(fd);
		return NULL;
	}
	t = transport_create(loop, fd, ops, data);
	if (!t) {
		snprintf(why, len, "out of memory");
		return NULL;
	}
	t->connecting = true;
	ev_io_set(&t->io, fd, EV_WRITE);
	ev_io_start(loop, &t->io);
	return t;
}

bool transport_send(struct transport *t, const void *buf, size_t len)
{
	if (t->failed)
		return true;		/* told to the owner already, or about to be */
	if (t->len - t->head + len > TRANSPORT_QUEUE_MAX)
		return false;
	if (t->head && t->size - t->len < len) {
		memmove(t->queue, t->queue + t->head, t->len - t->head);
		t->len -= t->head;
		t->head = 0;
	}
	if (t->size - t->len < len) {
		size_t size = t->size ? t->size : 65536;
		uint8_t *queue;

		while (size - t->len < len)
			size *= 2;
		queue = realloc(t->queue, size);
		if (!queue)
			return false;
		t->queue = queue;
		t->size = size;
	}
	memcpy(t->queue + t->len, buf, len);
	t->len += len;
	return true;
}

void transport_flush(struct transport *t)
{
	if (t->len && !t->connecting && !t->failed)
		write_queue(t);
}

size_t transport_queued(const struct transport *t)
{
	return t->len - t->head;
}

void transport_drain(struct transport *t)
{
	size_t budget = READ_DRAIN;

	call_begin(t);
	while (!t->dead && !t->failed && !t->connecting && read_some(t, &budget))
		;
	call_end(t);
}

void transport_close(struct transport *t)
{
	if (!t || t->dead)
		return;
	if (t->len && !t->connecting && !t->failed)
		(void)!send(t->fd, t->queue + t->head, t->len - t->head, MSG_NOSIGNAL | MSG_DONTWAIT);
	t->dead = true;
	ev_clear_pending(t->loop, &t->io);
	ev_io_stop(t->loop, &t->io);
	ev_prepare_stop(t->loop, &t->flush);
	close(t->fd);
	if (!t->calls)
		transport_free(t);
}

/* ---- the listener ---- */

static void accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct transport_listener *l = w->data;
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(from);
	int fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)revents;
	if (fd >= 0)
		l->accepted(l->data, fd, &from);
}

struct transport_listener *transport_listen(struct ev_loop *loop, const struct sockaddr_storage *local,
					    void (*accepted)(void *data, int fd,
							     const struct sockaddr_storage *from),
					    void *data, char *why, size_t len)
{
	int fd = socket(local->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct transport_listener *l = calloc(1, sizeof(*l));

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!l || fd < 0 || bind(fd, (const struct sockaddr *)local, addr_len(local)) || listen(fd, 8)) {
		snprintf(why, len, "%s", strerror(l ? errno : ENOMEM));
		if (fd >= 0)
			close(fd);
		free(l);
		return NULL;
	}
	l->loop = loop;
	l->accepted = accepted;
	l->data = data;
	ev_io_init(&l->io, accept_cb, fd, EV_READ);
	l->io.data = l;
	ev_io_start(loop, &l->io);
	return l;
}

void transport_unlisten(struct transport_listener *l)
{
	if (!l)
		return;
	ev_io_stop(l->loop, &l->io);
	close(l->io.fd);
	free(l);
}

uint16_t transport_listener_port(const struct transport_listener *l)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);

	getsockname(l->io.fd, (struct sockaddr *)&ss, &len);
	return ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port :
		     ((struct sockaddr_in6 *)&ss)->sin6_port);
}
