// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * link: the socket to nsrd. Dialled from the timer, with back-off; what does not fit the socket waits in a
 * queue and leaves with EPOLLOUT. Nothing that is queued survives the link: after a reconnect every
 * connection is attached anew and the application is asked for a snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../uapi/tcp_nsr.h"
#include "nsr.h"

#define MSGS_PER_DISPATCH	256	/* the application's other descriptors wait meanwhile */
#define FDS_MAX			4	/* descriptors taken from one message; nsrd sends one */

static void watch(struct nsr *nsr, bool room)
{
	struct epoll_event ev = { .events = EPOLLIN | (room ? EPOLLOUT : 0), .data.u64 = 0 };

	if (nsr->want_room == room)
		return;
	epoll_ctl(nsr->epfd, EPOLL_CTL_MOD, nsr->sock, &ev);
	nsr->want_room = room;
}

static void queue_drop(struct nsr *nsr)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->queue) {
		list_del(i);
		free(list_of(i, struct msg, node));
	}
	nsr->queued = 0;
}

void nsr_link_close(struct nsr *nsr)
{
	if (nsr->sock >= 0)
		close(nsr->sock);	/* leaves the epoll set by itself */
	nsr->sock = -1;
	nsr->want_room = false;
	nsr->deaf = false;
	queue_drop(nsr);
	nsr_txn_discard(nsr);
	nsr->snapshot = false;
	nsr->snapshot_due = false;
}

static void retry_later(struct nsr *nsr)
{
	nsr->link = LINK_DOWN;
	nsr->retry_at = nsr_now_ms() + nsr->backoff;
	nsr->backoff = nsr->backoff * 2 < NSR_BACKOFF_MAX ? nsr->backoff * 2 : NSR_BACKOFF_MAX;
	nsr_timer_arm(nsr);
}

void nsr_link_lost(struct nsr *nsr, const char *why)
{
	if (why)
		nsr_say(nsr, "%s", why);
	nsr_link_close(nsr);
	if (nsr->final)
		nsr->link = LINK_REFUSED;
	else
		retry_later(nsr);
	if (nsr->told_up || nsr->final)
		nsr_out_link(nsr, false);
	if (!nsr->told_up)
		return;
	nsr->told_up = false;
	nsr_call(nsr, link, 0);
	nsr_run_todo(nsr);
}

/*
 * Writing failed. What nsrd said before it closed (a refusal) is still to be read, and callbacks wait for
 * dispatch: only stop writing. The socket is readable now, up to its end.
 */
static void go_deaf(struct nsr *nsr)
{
	nsr->deaf = true;
	queue_drop(nsr);
	watch(nsr, false);
}

/* 1 sent, 0 no room, negative errno. */
static int write_msg(struct nsr *nsr, const void *p, size_t len)
{
	ssize_t n;

	do {
		n = send(nsr->sock, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return 0;
	return -errno;
}

bool nsr_link_flush(struct nsr *nsr)
{
	while (nsr->sock >= 0 && !nsr->deaf && !list_empty(&nsr->queue)) {
		struct msg *m = list_of(nsr->queue.next, struct msg, node);
		int ret = write_msg(nsr, m->data, m->len);

		if (ret < 0) {
			go_deaf(nsr);
			break;
		}
		if (!ret)
			break;
		nsr->queued -= m->len;
		list_del(&m->node);
		free(m);
	}
	if (nsr->sock >= 0)
		watch(nsr, !list_empty(&nsr->queue));
	return list_empty(&nsr->queue);
}

struct nsr_wire_buf nsr_link_begin(struct nsr *nsr, unsigned int type)
{
	struct nsr_wire_buf b;

	nsr_wire_begin(&b, nsr->tx, NSR_APP_MSG_MAX, type);
	return b;
}

void nsr_link_send(struct nsr *nsr, struct nsr_wire_buf *b)
{
	size_t len = nsr_wire_end(b, nsr->seq_out + 1);
	struct msg *m;

	if (nsr->sock < 0 || nsr->deaf)
		return;
	nsr->seq_out++;
	if (nsr_link_flush(nsr) && !nsr->deaf) {
		int ret = write_msg(nsr, b->nlh, len);

		if (ret < 0)
			go_deaf(nsr);
		if (ret)
			return;
	}
	if (nsr->deaf)
		return;
	m = nsr->queued + len <= NSR_QUEUE_MAX ? malloc(sizeof(*m) + len) : NULL;
	if (!m) {
		nsr_say(nsr, "nsrd takes nothing: %zu bytes wait for it; dropped, the snapshot after the "
			"reconnect replaces them", nsr->queued);
		/* As if nsrd had gone: dispatch finds the end of the stream. */
		shutdown(nsr->sock, SHUT_RDWR);
		go_deaf(nsr);
		return;
	}
	m->len = len;
	memcpy(m->data, b->nlh, len);
	list_add_tail(&nsr->queue, &m->node);
	nsr->queued += len;
	watch(nsr, true);
}

static void send_hello(struct nsr *nsr)
{
	struct nsr_wire_buf b = nsr_link_begin(nsr, NSR_APP_HELLO);

	nsr_wire_put_u16(&b, NSR_APP_A_SCHEMA_MAJOR, TCP_NSR_SCHEMA_MAJOR);
	nsr_wire_put_u16(&b, NSR_APP_A_SCHEMA_MINOR, TCP_NSR_SCHEMA_MINOR);
	nsr_wire_put_str(&b, NSR_APP_A_GROUP, nsr->group);
	nsr_wire_put_str(&b, NSR_APP_A_APP, nsr->app);
	nsr_link_send(nsr, &b);
}

void nsr_link_connect(struct nsr *nsr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (void *)&nsr->addr, sizeof(nsr->addr)) < 0 ||
	    epoll_ctl(nsr->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		nsr_say(nsr, "cannot reach nsrd at %s: %s; is it running?", nsr->addr.sun_path,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		retry_later(nsr);
		return;
	}
	nsr->sock = fd;
	nsr->link = LINK_HELLO;
	nsr->seq_out = 0;
	nsr->seq_in = 0;
	send_hello(nsr);
}

/* The first descriptor of the message, or -1; any more are closed: nothing leaks in. */
static int take_fd(struct msghdr *mh)
{
	struct cmsghdr *c;
	int fd = -1, got;
	size_t i, n;

	for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	return fd;
}

/* Length, 0 at the end of the link, negative errno. *fd: the caller's. */
static ssize_t read_msg(struct nsr *nsr, int *fd)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = nsr->rx, .iov_len = NSR_APP_MSG_MAX };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(nsr->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*fd = take_fd(&mh);
	if (mh.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n;
}

/* -EPROTO: malformed, *why says how. */
static int handle_msg(struct nsr *nsr, size_t len, int *fd, const char **why)
{
	struct nsr_wire w;

	if (nsr_wire_decode(nsr->rx, len, &w, why))
		return -EPROTO;
	*why = "a message is missing";
	if (w.seq != ++nsr->seq_in)
		return -EPROTO;
	*why = "nsrd speaks before its WELCOME";
	if (nsr->link == LINK_HELLO && w.type != NSR_APP_WELCOME && w.type != NSR_APP_REFUSED)
		return -EPROTO;
	return nsr_event(nsr, &w, fd, why);
}

static void read_msgs(struct nsr *nsr)
{
	int budget = MSGS_PER_DISPATCH, fd, err;
	const char *why = NULL;

	while (nsr->sock >= 0 && !nsr->closing && budget--) {
		ssize_t n = read_msg(nsr, &fd);

		if (n == -EAGAIN)
			return;
		/* nsrd closed with something of ours unread: reported once, before what it said last. */
		if (n == -ECONNRESET)
			continue;
		if (n == 0) {
			nsr_link_lost(nsr, NULL);
			return;
		}
		why = n == -EMSGSIZE ? "longer than a message may be" : "cannot be read";
		err = n < 0 ? -EPROTO : handle_msg(nsr, n, &fd, &why);
		if (fd >= 0)
			close(fd);	/* nobody took it */
		if (err) {
			char text[128];

			snprintf(text, sizeof(text), "malformed message from nsrd: %s", why);
			nsr_link_lost(nsr, text);
			return;
		}
	}
}

void nsr_link_event(struct nsr *nsr, uint32_t events)
{
	if (nsr->sock < 0)
		return;
	if (events & EPOLLOUT)
		nsr_link_flush(nsr);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_msgs(nsr);
}
