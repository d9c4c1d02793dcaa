// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hello.h"
#include "link.h"
#include "transport.h"

#define MAX_STRANGERS	4	/* accepted connections that have not said HELLO */
#define SILENCE		5.0	/* s without a byte, or without a HELLO: the connection is dead */
#define KEEPALIVE	1.0	/* s: an ACK when there was nothing else to say */
#define BACKOFF_MIN	0.2	/* s between two dials */
#define BACKOFF_MAX	2.0

/** struct link_conn - one connection, of which at most one is the link's */
struct link_conn {
	struct list_head node;		/* link.conns */
	struct link *link;
	struct transport *transport;
	struct nsr_decoder decoder;
	bool ours;			/* we dialled */
	bool said;			/* its HELLO came */
	struct hello hello;
	uint64_t tx, rx;		/* newest sequence number sent, processed */
	uint64_t acked, ack_sent;	/* ... acknowledged by the peer, by us */
	bool ack_now;
	ev_timer timer;			/* SILENCE; fed when doomed */
	char doom[128];			/* set: to be closed for this reason at the next turn */
	char from[TRANSPORT_NAME_MAX];
};

struct link {
	struct nsrd *nsrd;
	struct transport_listener *listener;
	struct list_head conns;
	struct link_conn *up;		/* the one that carries the link; NULL: down */
	ev_timer dial;
	ev_timer keepalive;
	ev_prepare acks;
	double backoff;
	uint32_t peer_node;
	struct attr_buf out;		/* frame being put together */
	char cause[224];		/* of the last failure that was logged, dials apart */
	char dial_cause[224];		/* of the last dial that failed, since then */
	char describe[512];
};

/*
 * A cause is logged when it is new, not at every retry; an established link makes all causes new. A dial that finds
 * nobody does not hide why the peer was refused, or was lost, before.
 */
static void complain(struct link *l, const char *who, const char *what)
{
	char text[sizeof(l->cause)], *last = l->cause;

	if (!strncmp(what, TRANSPORT_DIAL_FAILED, strlen(TRANSPORT_DIAL_FAILED)))
		last = l->dial_cause;
	else
		l->dial_cause[0] = '\0';
	snprintf(text, sizeof(text), "%s: %s", who, what);
	if (!strcmp(text, last))
		return;
	snprintf(last, sizeof(l->cause), "%s", text);
	log_warn("sync link %s", text);
}

static char *without_port(char *name)
{
	char *port = strrchr(name, ':');

	if (port)
		*port = '\0';
	return name;
}

static void dial_later(struct link *l)
{
	if (ev_is_active(&l->dial) || l->up)
		return;
	ev_timer_set(&l->dial, l->backoff, 0.0);
	ev_timer_start(l->nsrd->loop, &l->dial);
	l->backoff = l->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : l->backoff * 2;
}

/* ---- one connection ---- */

static void conn_free(struct link_conn *c)
{
	list_del(&c->node);
	ev_timer_stop(c->link->nsrd->loop, &c->timer);
	transport_close(c->transport);
	nsr_decoder_exit(&c->decoder);
	hello_free(&c->hello);
	free(c);
}

/* Who is not known by a HELLO comes from another port each time: one cause, one line. */
static void complain_of(const struct link_conn *c, const char *why)
{
	char name[TRANSPORT_NAME_MAX];

	snprintf(name, sizeof(name), "%s", c->from);
	if (!c->ours && !c->said)
		without_port(name);
	complain(c->link, name, why);
}

/* why NULL: in good order, nothing to say */
static void conn_close(struct link_conn *c, const char *why)
{
	struct link *l = c->link;
	bool up = l->up == c, ours = c->ours;
	char text[160];

	snprintf(text, sizeof(text), "%s", why ? why : "another connection took its place");
	if (why && (up || !l->up))
		complain_of(c, why);
	if (up)
		l->up = NULL;
	conn_free(c);
	if (up) {
		l->backoff = BACKOFF_MIN;
		sync_link_down(l->nsrd, text);
	}
	if (up || ours)
		dial_later(l);
}

static bool conn_send(struct link_conn *c, uint16_t type, const void *attrs, size_t len, uint64_t seq)
{
	struct attr_buf *b = &c->link->out;
	size_t start;

	b->len = 0;
	b->failed = false;
	start = nsr_frame_begin(b, type);
	attr_buf_append(b, attrs, len);
	nsr_frame_end(b, start, seq);
	return !b->failed && transport_send(c->transport, b->data, b->len);
}

static void send_ack(struct link_conn *c)
{
	struct attr_buf b = { 0 };

	attr_put_u64(&b, NSR_SYNC_A_SEQUENCE, c->rx);
	if (!b.failed && conn_send(c, NSR_FRAME_ACK, b.data, b.len, 0))
		c->ack_sent = c->rx;
	attr_buf_free(&b);
}

static void send_hello(struct link_conn *c)
{
	struct attr_buf b = { 0 };

	hello_encode(&b, c->link->nsrd);
	if (b.failed || !conn_send(c, NSR_FRAME_HELLO, b.data, b.len, 0))
		log_err("sync link %s: out of memory for a HELLO", c->from);
	attr_buf_free(&b);
	transport_flush(c->transport);
}

/* ---- two connections, one link ---- */

static bool opened_by_lower(const struct link_conn *c)
{
	bool we_are_lower = c->link->nsrd->cfg->node_id < c->hello.node;

	return c->ours == we_are_lower;
}

/* c has just said HELLO: does it take the place of the connection that is up? */
static bool takes_over(const struct link_conn *c, const struct link_conn *old)
{
	if (old->hello.instance != c->hello.instance)
		return true;		/* the peer was born again: the old one cannot be alive */
	if (old->ours == c->ours)
		return true;		/* nobody dials twice whose end of the old one is alive */
	return opened_by_lower(c);
}

static void conn_up(struct link_conn *c)
{
	struct link *l = c->link;
	struct link_conn *old = l->up;

	if (old && !takes_over(c, old)) {
		conn_close(c, NULL);
		return;
	}
	if (old)
		conn_close(old, NULL);
	l->up = c;
	l->peer_node = c->hello.node;
	l->backoff = BACKOFF_MIN;
	l->cause[0] = '\0';
	l->dial_cause[0] = '\0';
	ev_timer_stop(l->nsrd->loop, &l->dial);
	c->decoder.max = NSR_FRAME_MAX;
	log_notice("sync link %s: up with node %u, opened by %s", c->from, c->hello.node,
		   c->ours ? "us" : "the peer");
	sync_link_up(l->nsrd);
}

/* ---- what comes in ---- */

static int take_hello(struct link_conn *c, const struct nsr_frame *f, char *why, size_t len)
{
	if (c->said) {
		snprintf(why, len, "a second HELLO");
		return -EPROTO;
	}
	if (hello_decode(f->attrs, f->len, &c->hello, why, len) ||
	    hello_check(&c->hello, c->link->nsrd, why, len))
		return -EPROTO;
	c->said = true;
	conn_up(c);		/* may have freed c: the caller looks before it goes on */
	return 0;
}

static int take_ack(struct link_conn *c, const struct nsr_frame *f, char *why, size_t len)
{
	const struct nlattr *attr;
	uint64_t seq = 0;
	bool ok = false;

	mnl_attr_for_each_payload(f->attrs, f->len)
		if (mnl_attr_get_type(attr) == NSR_SYNC_A_SEQUENCE)
			ok = attr_u64(attr, &seq);
	if (!ok || seq > c->tx || seq < c->acked) {
		snprintf(why, len, "ACK of %llu, where %llu to %llu were due", (unsigned long long)seq,
			 (unsigned long long)c->acked, (unsigned long long)c->tx);
		return -EPROTO;
	}
	if (seq == c->acked)
		return 0;
	c->acked = seq;
	sync_link_acked(c->link->nsrd, seq);
	return 0;
}

static int take_frame(struct link_conn *c, const struct nsr_frame *f, char *why, size_t len)
{
	const char *text = "";

	if (f->type == NSR_FRAME_HELLO)
		return take_hello(c, f, why, len);
	if (!c->said) {
		snprintf(why, len, "%s before HELLO", nsr_frame_name(f->type));
		return -EPROTO;
	}
	if (f->type == NSR_FRAME_ACK)
		return take_ack(c, f, why, len);
	if (f->seq && f->seq != c->rx + 1) {
		snprintf(why, len, "record %llu after record %llu", (unsigned long long)f->seq,
			 (unsigned long long)c->rx);
		return -EPROTO;
	}
	if (sync_link_frame(c->link->nsrd, f, &text)) {
		snprintf(why, len, "%s: %s", nsr_frame_name(f->type), text);
		return -EPROTO;
	}
	if (f->seq && c->link->up == c)
		c->rx = f->seq;
	return 0;
}

static bool conn_alive(const struct link *l, const struct link_conn *c)
{
	struct link_conn *i;

	list_for_each(i, &l->conns, node)
		if (i == c)
			return true;
	return false;
}

static void receive_cb(void *data, const void *buf, size_t len)
{
	struct link_conn *c = data;
	struct link *l = c->link;
	struct nsr_frame f;
	char why[160] = "out of memory";
	int err;

	if (c->doom[0])
		return;
	ev_timer_again(l->nsrd->loop, &c->timer);
	err = nsr_decoder_feed(&c->decoder, buf, len);
	while (!err && !c->doom[0]) {
		err = nsr_decoder_next(&c->decoder, &f);
		if (err <= 0) {
			if (err)
				snprintf(why, sizeof(why), "%s", c->decoder.error);
			break;
		}
		err = take_frame(c, &f, why, sizeof(why));
		if (!conn_alive(l, c))
			return;		/* its place was taken, or somebody reset the link */
	}
	if (!err)
		return;
	/* Also while the link is up on another connection: somebody on the peer's box talks nonsense. */
	if (l->up && l->up != c)
		complain_of(c, why);
	conn_close(c, why);
}

static void up_cb(void *data)
{
	send_hello(data);
}

static void writable_cb(void *data)
{
	struct link_conn *c = data;

	if (c->link->up == c)
		sync_link_writable(c->link->nsrd);
}

static void closed_cb(void *data, const char *why)
{
	conn_close(data, why);
}

static const struct transport_ops transport_ops = {
	.up = up_cb, .receive = receive_cb, .writable = writable_cb, .closed = closed_cb,
};

static void timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct link_conn *c = w->data;

	(void)loop;
	(void)revents;
	conn_close(c, c->doom[0] ? c->doom : c->said ? "nothing heard for 5 s" : "no HELLO within 5 s");
}

/* ---- dial and accept ---- */

static struct link_conn *conn_create(struct link *l, bool ours, const struct sockaddr_storage *peer)
{
	struct link_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->link = l;
	c->ours = ours;
	transport_name(peer, c->from);
	nsr_decoder_init(&c->decoder, NSR_FRAME_HELLO_MAX);
	ev_timer_init(&c->timer, timer_cb, SILENCE, SILENCE);
	/* after a pause of this box: what has arrived first, then the verdict */
	ev_set_priority(&c->timer, EV_MINPRI);
	c->timer.data = c;
	list_add_tail(&c->node, &l->conns);
	return c;
}

static bool is_dialling(const struct link *l)
{
	struct link_conn *c;

	list_for_each(c, &l->conns, node)
		if (c->ours)
			return true;
	return false;
}

static void dial_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct link *l = w->data;
	const struct nsrd_config *cfg = l->nsrd->cfg;
	struct link_conn *c;
	char why[160];

	(void)revents;
	if (l->up || is_dialling(l))
		return;
	c = conn_create(l, true, &cfg->peer);
	if (c)
		c->transport = transport_dial(loop, &cfg->local, &cfg->peer, &transport_ops, c, why,
					      sizeof(why));
	if (c && c->transport) {
		ev_timer_start(loop, &c->timer);
		return;
	}
	if (c) {
		complain(l, c->from, why);
		conn_free(c);
	}
	dial_later(l);
}

static void accepted_cb(void *data, int fd, const struct sockaddr_storage *from)
{
	struct link *l = data;
	struct link_conn *c;
	unsigned int strangers = 0;
	char name[TRANSPORT_NAME_MAX];

	list_for_each(c, &l->conns, node)
		strangers += !c->ours && !c->said;
	if (!transport_same_host(from, &l->nsrd->cfg->peer)) {
		transport_name(from, name);
		complain(l, without_port(name), "refused: it is not the configured peer");
		close(fd);
		return;
	}
	c = strangers < MAX_STRANGERS ? conn_create(l, false, from) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->transport = transport_adopt(l->nsrd->loop, fd, &transport_ops, c);
	if (!c->transport) {
		conn_free(c);
		return;
	}
	ev_timer_start(l->nsrd->loop, &c->timer);
	send_hello(c);
}

/* ---- acknowledging ---- */

/* Once per turn of the loop: one ACK for all that came in it. */
static void acks_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct link *l = w->data;

	(void)loop;
	(void)revents;
	if (l->up && l->up->rx != l->up->ack_sent) {
		send_ack(l->up);
		transport_flush(l->up->transport);
	}
}

static void keepalive_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct link *l = w->data;

	(void)loop;
	(void)revents;
	if (l->up)
		send_ack(l->up);
}

/* ---- for the rest of nsrd ---- */

uint64_t link_send(struct link *l, uint16_t type, const void *attrs, size_t len)
{
	struct link_conn *c = l ? l->up : NULL;
	bool record = nsr_frame_is_record(type);

	if (!c || c->doom[0])
		return 0;
	if (!conn_send(c, type, attrs, len, record ? c->tx + 1 : 0)) {
		link_reset(l, "the peer does not read what it is sent");
		return 0;
	}
	if (record)
		return ++c->tx;
	transport_flush(c->transport);
	return UINT64_MAX;
}

uint64_t link_sent(const struct link *l)
{
	return l && l->up ? l->up->tx : 0;
}

uint64_t link_acked(const struct link *l)
{
	return l && l->up ? l->up->acked : 0;
}

size_t link_queued(const struct link *l)
{
	return l && l->up ? transport_queued(l->up->transport) : 0;
}

void link_drain(struct link *l)
{
	if (l && l->up)
		transport_drain(l->up->transport);
}

void link_reset(struct link *l, const char *why)
{
	struct link_conn *c = l ? l->up : NULL;

	if (!c || c->doom[0])
		return;
	/* at the next turn: whoever calls is in the middle of something */
	snprintf(c->doom, sizeof(c->doom), "%s", why);
	ev_feed_event(l->nsrd->loop, &c->timer, EV_CUSTOM);
}

bool link_is_up(const struct link *l)
{
	return l && l->up;
}

bool link_has_group(const struct link *l, uint32_t group)
{
	return l && l->up && hello_has_group(&l->up->hello, group);
}

uint32_t link_peer_node(const struct link *l)
{
	return l ? l->peer_node : 0;
}

uint16_t link_port(const struct link *l)
{
	return l && l->listener ? transport_listener_port(l->listener) : 0;
}

const char *link_describe(const struct link *l)
{
	struct link *w = (struct link *)l;	/* the text is all that changes */

	if (!l)
		return "no peer configured";
	if (l->up)
		snprintf(w->describe, sizeof(w->describe), "up with node %u at %s", l->peer_node,
			 l->up->from);
	else
		snprintf(w->describe, sizeof(w->describe), "down; last: %s%s%s",
			 l->cause[0] || l->dial_cause[0] ? l->cause : "nothing yet",
			 l->cause[0] && l->dial_cause[0] ? "; " : "", l->dial_cause);
	return l->describe;
}

struct link *link_create(struct nsrd *n)
{
	struct link *l = calloc(1, sizeof(*l));
	char name[TRANSPORT_NAME_MAX], why[160];

	if (!l)
		return NULL;
	l->nsrd = n;
	l->backoff = BACKOFF_MIN;
	list_init(&l->conns);
	l->listener = transport_listen(n->loop, &n->cfg->local, accepted_cb, l, why, sizeof(why));
	if (!l->listener) {
		log_err("sync link: cannot listen on %s: %s: is the address this box's own, and the "
			"port free?", transport_name(&n->cfg->local, name), why);
		free(l);
		return NULL;
	}
	/* the first dials of two boxes that start together shall not cross */
	ev_timer_init(&l->dial, dial_cb, 0.01 + (double)(n->instance_id % 200) / 1000, 0.0);
	l->dial.data = l;
	ev_timer_start(n->loop, &l->dial);
	ev_timer_init(&l->keepalive, keepalive_cb, KEEPALIVE, KEEPALIVE);
	l->keepalive.data = l;
	ev_timer_start(n->loop, &l->keepalive);
	ev_prepare_init(&l->acks, acks_cb);
	l->acks.data = l;
	ev_prepare_start(n->loop, &l->acks);
	return l;
}

void link_destroy(struct link *l)
{
	struct link_conn *c, *tmp;

	if (!l)
		return;
	ev_timer_stop(l->nsrd->loop, &l->dial);
	ev_timer_stop(l->nsrd->loop, &l->keepalive);
	ev_prepare_stop(l->nsrd->loop, &l->acks);
	l->up = NULL;
	list_for_each_safe(c, tmp, &l->conns, node)
		conn_free(c);
	transport_unlisten(l->listener);
	attr_buf_free(&l->out);
	free(l);
}
