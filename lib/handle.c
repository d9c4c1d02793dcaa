// SPDX-License-Identifier: LGPL-2.1-or-later
/* handle: open, close, and the one place that waits: nsr_dispatch(). */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "nsr.h"

#define TAG_LINK	0u
#define TAG_TIMER	1u
#define TAG_CONN	2u		/* handle << 8 */
#define EVENTS		64
#define CLOSE_WAIT_MS	200u		/* nsr_close(): for what is queued */

uint64_t nsr_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void nsr_say(struct nsr *nsr, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(nsr->text, sizeof(nsr->text), fmt, ap);
	va_end(ap);
}

void nsr_timer_arm(struct nsr *nsr)
{
	uint64_t at = nsr->retry_at;
	struct itimerspec its = { 0 };

	if (!at || (nsr->poll_at && nsr->poll_at < at))
		at = nsr->poll_at;
	if (!at || (nsr->out_at && nsr->out_at < at))
		at = nsr->out_at;
	/* 0 disarms; a time that is past fires at once. */
	its.it_value.tv_sec = at / 1000;
	its.it_value.tv_nsec = at % 1000 * 1000000;
	timerfd_settime(nsr->timerfd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* ---- open, close ---- */

static int take_listener(struct nsr *nsr, const struct nsr_listener *l)
{
	size_t size = l->size;

	if (size < offsetof(struct nsr_listener, conn_gone) + sizeof(l->conn_gone))
		return -EINVAL;
	/* A newer application's listener is longer: what this library does not know it never calls. */
	if (size > sizeof(nsr->cb))
		size = sizeof(nsr->cb);
	memcpy(&nsr->cb, l, size);
	if (!nsr->cb.role || !nsr->cb.snapshot || !nsr->cb.state || !nsr->cb.conn_added ||
	    !nsr->cb.conn_resumed || !nsr->cb.conn_gone)
		return -EINVAL;
	return 0;
}

static int take_names(struct nsr *nsr, const char *path, const char *group, const char *app)
{
	if (!path)
		path = NSR_APP_SOCKET;
	if (!*path || strlen(path) >= sizeof(nsr->addr.sun_path))
		return -EINVAL;
	if (!group || !app || !nsr_wire_name_ok(group) || !nsr_wire_name_ok(app))
		return -EINVAL;
	nsr->addr.sun_family = AF_UNIX;
	strcpy(nsr->addr.sun_path, path);
	strcpy(nsr->group, group);
	strcpy(nsr->app, app);
	return 0;
}

static void destroy(struct nsr *nsr)
{
	nsr_link_close(nsr);
	while (!list_empty(&nsr->conns))
		nsr_conn_free(list_of(nsr->conns.next, struct nsr_conn, node));
	nsr_table_free(&nsr->by_handle);
	nsr_table_free(&nsr->by_id);
	nsr_table_free(&nsr->by_fd);
	if (nsr->timerfd >= 0)
		close(nsr->timerfd);
	if (nsr->epfd >= 0)
		close(nsr->epfd);
	free(nsr->rx);
	free(nsr->tx);
	free(nsr->piece);
	free(nsr);
}

static int open_fds(struct nsr *nsr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = TAG_TIMER };

	nsr->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (nsr->epfd < 0)
		return -errno;
	nsr->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (nsr->timerfd < 0)
		return -errno;
	if (epoll_ctl(nsr->epfd, EPOLL_CTL_ADD, nsr->timerfd, &ev) < 0)
		return -errno;
	return 0;
}

static struct nsr *create(void)
{
	struct nsr *nsr = calloc(1, sizeof(*nsr));

	if (!nsr)
		return NULL;
	nsr->sock = -1;
	nsr->epfd = -1;
	nsr->timerfd = -1;
	nsr->backoff = NSR_BACKOFF_MIN;
	nsr->next_handle = 1;
	list_init(&nsr->queue);
	list_init(&nsr->conns);
	list_init(&nsr->dirty);
	list_init(&nsr->todo);
	list_init(&nsr->out);
	nsr->rx = malloc(NSR_APP_MSG_MAX);
	nsr->tx = malloc(NSR_APP_MSG_MAX);
	nsr->piece = malloc(NSR_APP_MSG_MAX);
	return nsr;
}

int nsr_open(const char *path, const char *group, const char *app,
	     const struct nsr_listener *listener, void *data, struct nsr **out)
{
	struct nsr *nsr;
	int err = -EINVAL;

	if (!listener || !out)
		return -EINVAL;
	nsr = create();
	if (!nsr)
		return -ENOMEM;
	if (!nsr->rx || !nsr->tx || !nsr->piece) {
		err = -ENOMEM;
		goto err_destroy;
	}
	err = take_listener(nsr, listener);
	if (!err)
		err = take_names(nsr, path, group, app);
	if (!err)
		err = open_fds(nsr);
	if (err)
		goto err_destroy;
	nsr->data = data;
	/* The first attempt is dispatch's: whatever comes of it is told there. */
	nsr->retry_at = 1;
	nsr_timer_arm(nsr);
	*out = nsr;
	return 0;

err_destroy:
	destroy(nsr);
	return err;
}

/* Let go of every connection: an ordinary one lives on with the application, a shadow does not. */
static void detach_all(struct nsr *nsr)
{
	while (!list_empty(&nsr->conns)) {
		struct nsr_conn *conn = list_of(nsr->conns.next, struct nsr_conn, node);

		nsr_out_force(conn);
		if (conn->closing)
			nsr_out_finish(conn);
		else
			nsr_conn_close(conn, NSR_UNPROTECT);
	}
}

void nsr_close(struct nsr *nsr)
{
	uint64_t until = nsr_now_ms() + CLOSE_WAIT_MS;

	if (!nsr)
		return;
	if (!nsr->closing) {
		if (nsr->role == NSR_ROLE_ACTIVE && nsr->leave == LEAVE_NOT)
			nsr_commit(nsr);
		nsr->leave = LEAVE_NOT;		/* nobody is left to wait for the role */
		detach_all(nsr);
	}
	while (!nsr_link_flush(nsr) && nsr_now_ms() < until) {
		struct pollfd p = { .fd = nsr->sock, .events = POLLOUT };

		poll(&p, 1, 20);
	}
	/* From within a callback: dispatch is still on the stack, and frees it at its end. */
	nsr->closing = true;
	if (!nsr->dispatching)
		destroy(nsr);
}

/* ---- dispatch ---- */

static void timers(struct nsr *nsr)
{
	uint64_t now = nsr_now_ms(), ticks;

	if (read(nsr->timerfd, &ticks, sizeof(ticks)) < 0)
		return;			/* armed anew since epoll looked */
	if (nsr->retry_at && nsr->retry_at <= now) {
		nsr->retry_at = 0;
		if (nsr->sock < 0 && !nsr->final)
			nsr_link_connect(nsr);
	}
	if (nsr->poll_at && nsr->poll_at <= now) {
		nsr->poll_at = 0;
		nsr_leave_poll(nsr);
	}
	if (nsr->out_at && nsr->out_at <= now) {
		nsr->out_at = 0;
		nsr_out_poll(nsr);
	}
	if (!nsr->closing)
		nsr_timer_arm(nsr);
}

static int turn(struct nsr *nsr, int wait)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(nsr->epfd, ev, EVENTS, wait), i;

	if (n < 0)
		return errno == EINTR ? -EINTR : -errno;
	for (i = 0; i < n && !nsr->closing; i++) {
		switch (ev[i].data.u64 & 0xff) {
		case TAG_LINK:
			nsr_link_event(nsr, ev[i].events);
			break;
		case TAG_TIMER:
			timers(nsr);
			break;
		case TAG_CONN:
			nsr_out_event(nsr, ev[i].data.u64 >> 8);
			break;
		}
	}
	return 0;
}

int nsr_dispatch(struct nsr *nsr, int timeout_ms)
{
	uint64_t until = timeout_ms > 0 ? nsr_now_ms() + timeout_ms : 0;
	int err = 0, wait = timeout_ms, calls;

	if (nsr->dispatching)
		return -EBUSY;
	nsr->dispatching = true;
	nsr->calls = 0;
	while (!nsr->final && !nsr->closing) {
		err = turn(nsr, wait);
		if (err || nsr->calls || !timeout_ms)
			break;
		if (until) {
			uint64_t now = nsr_now_ms();

			if (now >= until)
				break;
			wait = until - now;
		}
	}
	/* Refused for good: the connections are plain ones now, and conn_writable still counts. */
	if (nsr->final && !nsr->closing)
		turn(nsr, 0);
	nsr->dispatching = false;
	calls = nsr->calls;
	if (nsr->closing) {
		destroy(nsr);
		return calls;
	}
	if (nsr->final)
		return nsr->final;
	return err && err != -EINTR && !calls ? err : calls;
}

int nsr_get_fd(const struct nsr *nsr)
{
	return nsr->epfd;
}

const char *nsr_strerror(const struct nsr *nsr)
{
	return nsr->text;
}
