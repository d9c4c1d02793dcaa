// SPDX-License-Identifier: GPL-2.0-only
/* One client of the application socket: messages in and out, and what it is told in which order. */
#define _GNU_SOURCE			/* struct ucred */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "app_priv.h"

#define READ_TURN	64	/* messages of one client in one turn */

/** struct app_msg - a message that the client has not taken */
struct app_msg {
	struct list_head node;
	size_t len;
	int fd;				/* ours, or -1 */
	uint8_t data[];
};

/* ---- out ---- */

static int send_now(struct app_client *cl, const void *p, size_t len, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = (void *)p, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (fd >= 0) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do {
		n = sendmsg(cl->io.fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void msg_free(struct app_client *cl, struct app_msg *m)
{
	cl->queued -= m->len;
	list_del(&m->node);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

static void watch(struct app_client *cl, int events)
{
	if ((cl->io.events & (EV_READ | EV_WRITE)) == events && ev_is_active(&cl->io))
		return;
	ev_io_stop(cl->server->nsrd->loop, &cl->io);
	ev_io_set(&cl->io, cl->io.fd, events);
	if (events)
		ev_io_start(cl->server->nsrd->loop, &cl->io);
}

static void watch_again(struct app_client *cl)
{
	watch(cl, (cl->blocked ? 0 : EV_READ) | (list_empty(&cl->queue) ? 0 : EV_WRITE));
}

void app_client_read(struct app_client *cl, bool on)
{
	cl->blocked = !on;
	if (!cl->dying)
		watch_again(cl);
}

static void kill_later(struct app_client *cl)
{
	if (cl->dying)
		return;
	cl->dying = true;
	/* from the loop: whoever called may hold the client */
	ev_feed_event(cl->server->nsrd->loop, &cl->io, EV_CUSTOM);
}

struct nsr_wire_buf app_begin(struct app_client *cl, unsigned int type)
{
	struct nsr_wire_buf b;

	nsr_wire_begin(&b, cl->server->tx, NSR_APP_MSG_MAX, type);
	return b;
}

/* The process is gone; what it said last is still to be read, up to the end. */
static void go_deaf(struct app_client *cl)
{
	struct app_msg *m, *tmp;

	cl->deaf = true;
	list_for_each_safe(m, tmp, &cl->queue, node)
		msg_free(cl, m);
	watch_again(cl);
}

static void queue_msg(struct app_client *cl, const void *p, size_t len, int fd)
{
	struct app_msg *m = malloc(sizeof(*m) + len);

	if (!m) {
		kill_later(cl);
		return;
	}
	m->len = len;
	m->fd = fd >= 0 ? dup(fd) : -1;
	memcpy(m->data, p, len);
	list_add_tail(&m->node, &cl->queue);
	cl->queued += len;
	watch_again(cl);
}

void app_send(struct app_client *cl, struct nsr_wire_buf *b, int fd)
{
	size_t len = nsr_wire_end(b, cl->seq_out + 1);
	int err = -EAGAIN;

	if (cl->dying || cl->deaf)
		return;
	if (!len) {
		log_err("application %s: a message of type %u does not fit", cl->name,
			b->nlh->nlmsg_type);
		kill_later(cl);
		return;
	}
	cl->seq_out++;
	if (list_empty(&cl->queue))
		err = send_now(cl, b->nlh, len, fd);
	if (!err)
		return;
	if (err != -EAGAIN && err != -ENOBUFS && err != -ETOOMANYREFS) {
		go_deaf(cl);
		return;
	}
	if (cl->queued + len > APP_QUEUE_MAX) {
		log_warn("application %s (pid %d): disconnected: it leaves %zu bytes unread", cl->name,
			 (int)cl->pid, cl->queued);
		kill_later(cl);
		return;
	}
	queue_msg(cl, b->nlh, len, fd);
}

static void flush(struct app_client *cl)
{
	struct app_msg *m;
	int err;

	while ((m = list_first(&cl->queue, struct app_msg, node))) {
		err = send_now(cl, m->data, m->len, m->fd);
		if (err == -EAGAIN || err == -ENOBUFS || err == -ETOOMANYREFS)
			break;
		if (err)
			go_deaf(cl);
		else
			msg_free(cl, m);
	}
	watch_again(cl);
}

void app_client_refuse(struct app_client *cl, int err, const char *fmt, ...)
{
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_REFUSED);
	char text[NSR_WIRE_TEXT_MAX + 1];
	va_list ap;

	if (cl->dying)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("application %s (pid %d, uid %d) refused: %s", cl->name[0] ? cl->name : "?",
		 (int)cl->pid, (int)cl->uid, text);
	nsr_wire_put_u32(&b, NSR_APP_A_ERRNO, (uint32_t)-err);
	nsr_wire_put_str(&b, NSR_APP_A_TEXT, text);
	app_send(cl, &b, -1);
	kill_later(cl);
}

/* ---- what it is due ---- */

static void tell_role(struct app_client *cl)
{
	const struct app_group *ag = cl->ag;
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_ROLE);

	cl->role_due = false;
	cl->role = ag->role;
	nsr_wire_put_u8(&b, NSR_APP_A_ROLE, (uint8_t)ag->role);
	nsr_wire_put_u64(&b, NSR_APP_A_TERM, ag->term);
	if (ag->role == NSR_ROLE_LEAVING)
		nsr_wire_put_u32(&b, NSR_APP_A_DEADLINE_MS, ag->deadline_ms);
	app_send(cl, &b, -1);
}

static void ask_snapshot(struct app_client *cl)
{
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_SNAPSHOT);

	if (sync_app_snapshot_begin(cl->ag->g, cl->name)) {
		app_client_refuse(cl, -ENOSPC, "%s", nsr_store_error(cl->ag->g->store));
		return;
	}
	cl->asked = true;
	app_owes(cl->ag, cl->name, true);
	cl->epoch = ++cl->ag->epoch;
	nsr_wire_put_u32(&b, NSR_APP_A_EPOCH, cl->epoch);
	app_send(cl, &b, -1);
}

/* One step of what is due; false: nothing is. */
static bool advance_step(struct app_client *cl)
{
	if (app_conn_offer(cl))
		return true;
	if (cl->dump == DUMP_RUNNING) {
		if (!app_dump_step(cl)) {
			struct nsr_wire_buf b = app_begin(cl, NSR_APP_SYNCED);

			app_send(cl, &b, -1);
		}
		return true;
	}
	if (cl->role_due) {
		tell_role(cl);
		return true;
	}
	if (cl->role != NSR_ROLE_ACTIVE && cl->role != NSR_ROLE_LEAVING)
		return false;
	if (app_conn_resume(cl))
		return true;
	if (!cl->complete && !cl->asked) {
		ask_snapshot(cl);
		return true;
	}
	return false;
}

void app_client_advance(struct app_client *cl)
{
	/* what a step does may call for another one: the outermost takes it */
	if (!cl->ag || cl->waiting || cl->advancing)
		return;
	cl->advancing = true;
	while (!cl->dying && cl->queued < APP_QUEUE_LOW && advance_step(cl))
		;
	cl->advancing = false;
}

/* ---- in ---- */

static void snapshot_done(struct app_client *cl, const struct nsr_wire *w)
{
	if (!cl->asked || nsr_wire_u32(w, NSR_APP_A_EPOCH) != cl->epoch)
		return;			/* answers a question that is no longer asked */
	cl->asked = false;
	cl->complete = true;
	app_owes(cl->ag, cl->name, false);
	sync_app_snapshot_end(cl->ag->g, cl->name);
	app_check_snapshots(cl->ag);
}

static void take(struct app_client *cl, const struct nsr_wire *w)
{
	switch (w->type) {
	case NSR_APP_ATTACH:
		app_attach(cl, w);
		break;
	case NSR_APP_DETACH:
		app_detach(cl, w);
		break;
	case NSR_APP_SET_GAP:
		app_set_gap(cl, w);
		break;
	case NSR_APP_CLAIMED:
		app_claimed(cl, w);
		break;
	case NSR_APP_TXN:
		app_txn(cl, w);
		break;
	case NSR_APP_SNAPSHOT_DONE:
		snapshot_done(cl, w);
		break;
	case NSR_APP_LEFT:
		/* not with a snapshot half told: the next active would have half of it */
		cl->left = cl->role == NSR_ROLE_LEAVING && cl->complete;
		app_check_left(cl->ag);
		break;
	case NSR_APP_DRAINED:
		cl->drained = cl->left;
		app_check_left(cl->ag);
		break;
	default:
		app_client_refuse(cl, -EPROTO, "a message that only nsrd sends, or a second HELLO "
				  "(type %u)", w->type);
	}
}

static void take_msg(struct app_client *cl, size_t len)
{
	struct nsr_wire w;
	const char *why = "";

	if (nsr_wire_decode(cl->server->rx, len, &w, &why)) {
		app_client_refuse(cl, -EPROTO, "malformed message: %s", why);
		return;
	}
	if (w.seq != ++cl->seq_in) {
		app_client_refuse(cl, -EPROTO, "message %u came where %u was due", w.seq, cl->seq_in);
		return;
	}
	if (cl->waiting)
		app_client_refuse(cl, -EPROTO, "message of type %u before WELCOME", w.type);
	else if (cl->ag)
		take(cl, &w);
	else if (w.type == NSR_APP_HELLO)
		app_hello(cl, &w);
	else
		app_client_refuse(cl, -EPROTO, "message of type %u before HELLO", w.type);
}

static void read_msgs(struct app_client *cl)
{
	int budget = READ_TURN;

	while (!cl->dying && !cl->blocked && budget--) {
		/* no room for control messages: the kernel closes descriptors that a client sends */
		ssize_t n = recv(cl->io.fd, cl->server->rx, NSR_APP_MSG_MAX, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			kill_later(cl);
		else if (n > NSR_APP_MSG_MAX)
			app_client_refuse(cl, -EPROTO, "message of %zd bytes, more than %u", n,
					  NSR_APP_MSG_MAX);
		else
			take_msg(cl, (size_t)n);
	}
}

/* ---- life ---- */

static void io_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct app_client *cl = w->data;

	(void)loop;
	if (!cl->dying && (revents & EV_WRITE))
		flush(cl);
	if (!cl->dying && (revents & EV_READ))
		read_msgs(cl);
	if (!cl->dying)
		app_client_advance(cl);
	if (cl->dying)
		app_client_destroy(cl);
}

static void hello_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	app_client_refuse(w->data, -ETIMEDOUT, "no HELLO within %.0f s", APP_HELLO_S);
}

struct app_client *app_client_create(struct app_server *s, int fd)
{
	struct app_client *cl = calloc(1, sizeof(*cl));
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (!cl) {
		close(fd);
		return NULL;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	cl->server = s;
	cl->pid = cred.pid;
	cl->uid = cred.uid;
	list_init(&cl->queue);
	list_init(&cl->todo);
	list_init(&cl->conns);
	list_init(&cl->resumed);
	list_init(&cl->handles);
	list_init(&cl->pending);
	list_init(&cl->cursor.node);
	list_add_tail(&cl->node, &s->clients);
	s->nr_clients++;
	ev_io_init(&cl->io, io_cb, fd, EV_READ);
	cl->io.data = cl;
	ev_io_start(s->nsrd->loop, &cl->io);
	ev_timer_init(&cl->hello, hello_cb, APP_HELLO_S, 0.);
	cl->hello.data = cl;
	ev_timer_start(s->nsrd->loop, &cl->hello);
	return cl;
}

static void let_go(struct list_head *conns)
{
	struct app_conn *ac, *tmp;
	struct list_head all;

	list_init(&all);
	list_splice_tail(conns, &all);
	list_for_each_safe(ac, tmp, &all, node)
		app_conn_lose_client(ac);
}

void app_client_destroy(struct app_client *cl)
{
	struct ev_loop *loop = cl->server->nsrd->loop;
	struct app_group *ag = cl->ag;
	struct app_handle *h, *th;
	struct app_msg *m, *tm;

	cl->dying = true;
	list_del(&cl->node);
	cl->server->nr_clients--;
	ev_clear_pending(loop, &cl->io);
	ev_io_stop(loop, &cl->io);
	ev_timer_stop(loop, &cl->hello);
	close(cl->io.fd);
	list_for_each_safe(m, tm, &cl->queue, node)
		msg_free(cl, m);
	list_for_each_safe(h, th, &cl->handles, node)
		app_handle_free(h);
	list_for_each_safe(h, th, &cl->pending, node)
		app_handle_free(h);
	nsr_store_cursor_stop(&cl->cursor);
	attr_buf_free(&cl->ops);
	if (ag) {
		log_info("application %s of group %s (pid %d) is gone", cl->name, ag->g->cfg->name,
			 (int)cl->pid);
		let_go(&cl->todo);
		let_go(&cl->conns);
	}
	if (ag && !cl->server->closing) {
		sync_app_gone(ag->g, cl->name);
		app_check_snapshots(ag);
		app_check_left(ag);
	}
	free(cl);
}
