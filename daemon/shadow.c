// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadows, seen from user space: an ordinary TCP socket is made here, the kernel makes it a shadow, an
 * application claims the descriptor. Whoever holds it keeps the shadow alive.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "group_priv.h"
#include "md5.h"
#include "options.h"

#include "../lib/libnsr.h"

/* An application that closes each shadow at once must not keep us busy for ever. */
#define RENEW_MAX	16

static int create_socket(const struct group *g, const struct nsr_store_conn *c)
{
	int family = c->flags & TCP_NSR_CONN_F_V4MAPPED ? AF_INET6 : c->tuple.family, on = 1, err;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	/* The kernel binds it to the record's device: it knows which one that is here. */
	err = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ? -errno : md5_set(g->cfg, c, fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* In mode lossless nothing has left that was not vouched for: where nobody has vouched yet, that is nothing. */
static void put_vouched(struct attr_buf *b, const struct nsr_store_conn *c)
{
	if (!c->has_rcv && c->mode == TCP_NSR_MODE_LOSSLESS && !(c->flags & TCP_NSR_CONN_F_UNPROTECTED)) {
		attr_put_u64(b, TCP_NSR_A_CONN_RCV_VOUCHED, 0);
		attr_put_u64(b, TCP_NSR_A_CONN_SND_VOUCHED, 0);
		return;
	}
	if (c->has_rcv)
		attr_put_u64(b, TCP_NSR_A_CONN_RCV_VOUCHED, c->rcv_tail_end);
	if (c->has_snd)
		attr_put_u64(b, TCP_NSR_A_CONN_SND_VOUCHED, c->snd_written);
}

/* What is this box's own is not injected; the vouched positions come from the transactions. */
static bool is_foreign(unsigned int type)
{
	switch (type) {
	case TCP_NSR_A_CONN_PAD:
	case TCP_NSR_A_CONN_COOKIE:
	case TCP_NSR_A_CONN_RCV_VOUCHED:
	case TCP_NSR_A_CONN_SND_VOUCHED:
	case TCP_NSR_A_CONN_PHASE:
	case TCP_NSR_A_CONN_ADOPTED_BY:
	case TCP_NSR_A_CONN_CLOSE_CAUSE:
	case TCP_NSR_A_CONN_RCV_MISSING:
	case TCP_NSR_A_CONN_SND_MISSING:
	case TCP_NSR_A_CONN_RCV_UNCERTAIN:
	case TCP_NSR_A_CONN_SND_UNCERTAIN:
	case TCP_NSR_A_CONN_GATE:
	case TCP_NSR_A_CONN_GATE_OPEN:
	case TCP_NSR_A_CONN_REFUSED:
		return true;
	}
	return false;
}

/* CONN_SET takes what moves; the rest is as it was injected. */
static bool is_cursor(unsigned int type)
{
	switch (type) {
	case TCP_NSR_A_CONN_ID:
	case TCP_NSR_A_CONN_FLAGS:
	case TCP_NSR_A_CONN_STATE:
	case TCP_NSR_A_CONN_GAP:
	case TCP_NSR_A_CONN_OPTS:
	case TCP_NSR_A_CONN_DEV_NAME:	/* SO_BINDTODEVICE later on */
	case TCP_NSR_A_CONN_DEV_ROLE:
		return true;
	}
	return type >= TCP_NSR_A_CONN_RCV_NXT && type <= TCP_NSR_A_CONN_PMTU;
}

static void put_record(struct attr_buf *b, const struct nsr_store_conn *c, bool cursors_only)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(c->rec, c->rec_len) {
		unsigned int type = mnl_attr_get_type(attr);

		if (!is_foreign(type) && (!cursors_only || is_cursor(type)))
			attr_put(b, (uint16_t)type, attr_data(attr), attr_len(attr));
	}
	put_vouched(b, c);
}

static void refuse(struct group *g, const struct nsr_store_conn *c, const char *why)
{
	group_priv(g)->inject_failed++;
	log_warn("group %s: no shadow for %s: %s", g->cfg->name, conn_describe(c), why);
	control_emit(g->nsrd, g, "conn", "no shadow for %s: %s", conn_describe(c), why);
}

/* Makes the socket and hands it to the kernel. The descriptor stays here until an application claims it. */
static void inject(struct group *g, struct nsr_store_conn *c)
{
	bool late = g->role.state == ROLE_ACTIVE || g->role.state == ROLE_LEAVE;
	struct shadow *s = c->priv;
	struct attr_buf b = { 0 };
	int fd = create_socket(g, c), err;

	if (fd == -ENOKEY) {
		/* Asked for again with every cursor, said once. */
		if (!s->why)
			refuse(g, c, MD5_MISSING);
		s->why = MD5_MISSING;
		return;
	}
	s->why = NULL;
	if (fd < 0) {
		refuse(g, c, strerror(-fd));
		return;
	}
	options_check(g, c, fd);
	s->unprotected = c->flags & TCP_NSR_CONN_F_UNPROTECTED;
	put_record(&b, c, false);
	err = b.failed ? -ENOMEM : kernel_conn_inject(g->nsrd->kernel, g->cfg->id, fd, b.data, b.len, late);
	if (err)
		refuse(g, c, b.failed ? "out of memory" : kernel_error(g->nsrd->kernel));
	attr_buf_free(&b);
	if (err) {
		close(fd);
		return;
	}
	s->fd = fd;
	s->injected = true;
	s->claimed = false;
	log_debug("group %s: shadow for %s", g->cfg->name, conn_describe(c));
	app_conn_added(g, c, fd);
}

static bool is_carried(const struct nsr_store_conn *c)
{
	return c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT;
}

void shadow_create(struct group *g, struct nsr_store_conn *c)
{
	struct shadow *s;

	if (c->priv)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		refuse(g, c, "out of memory");
		return;
	}
	list_init(&s->dirty);
	s->c = c;
	s->fd = -1;
	c->priv = s;
	if (is_carried(c))
		inject(g, c);
}

void shadow_forget(struct nsr_store_conn *c)
{
	struct shadow *s = c->priv;

	if (!s)
		return;
	list_del(&s->dirty);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	c->priv = NULL;
}

void shadow_destroy(struct group *g, struct nsr_store_conn *c)
{
	struct shadow *s = c->priv;

	if (!s)
		return;
	/* The kernel closes it silently, whoever holds the descriptor. Gone already: fine. */
	if (s->injected)
		kernel_conn_del(g->nsrd->kernel, c->id, false);
	shadow_forget(c);
}

void shadow_changed(struct group *g, struct nsr_store_conn *c)
{
	struct shadow *s = c->priv;

	if (!s)
		return;
	s->unprotected = c->flags & TCP_NSR_CONN_F_UNPROTECTED;
	if (!s->injected) {
		/* a connection in FIN_WAIT is not carried, one that could not be made may now succeed */
		if (is_carried(c) && s->again < RENEW_MAX && s->fd < 0 && !s->claimed) {
			s->again++;
			inject(g, c);
		}
		return;
	}
	if (list_empty(&s->dirty))
		list_add_tail(&s->dirty, &group_priv(g)->dirty);
}

void shadow_retry(struct group *g)
{
	struct nsr_store_conn *c = NULL;

	if (group_owns_conns(g))
		return;
	while ((c = nsr_store_conn_next(g->store, c))) {
		struct shadow *s = c->priv;

		if (s && !s->injected && !s->claimed && s->fd < 0 && is_carried(c))
			inject(g, c);
	}
}

void shadow_flush(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct attr_buf b = { 0 };
	struct shadow *s;
	int err = 0, e;

	if (list_empty(&p->dirty))
		return;
	while ((s = list_first(&p->dirty, struct shadow, dirty))) {
		list_del(&s->dirty);
		b.len = 0;
		put_record(&b, s->c, true);
		e = b.failed ? -ENOMEM : kernel_batch_add(g->nsrd->kernel, b.data, b.len);
		if (e && !err)
			err = e;
	}
	e = kernel_batch_send(g->nsrd->kernel);
	if (e && !err)
		err = e;
	attr_buf_free(&b);
	/* a shadow that vanished or was adopted meanwhile: its event is on the way */
	if (err && err != -ENOENT && err != -EALREADY)
		log_warn("group %s: positions of shadows: %s", g->cfg->name, kernel_error(g->nsrd->kernel));
}

void shadow_renew(struct group *g, struct nsr_store_conn *c)
{
	struct shadow *s = c->priv;

	if (!s || s->again >= RENEW_MAX || !is_carried(c))
		return;
	s->again++;
	if (s->injected)
		kernel_conn_del(g->nsrd->kernel, c->id, false);
	list_del(&s->dirty);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->injected = s->claimed = s->told = false;
	inject(g, c);
}

void group_conn_claimed(struct group *g, uint64_t conn_id)
{
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, conn_id);
	struct shadow *s = c ? c->priv : NULL;

	if (!s || s->claimed)
		return;
	s->claimed = true;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void group_conn_released(struct group *g, uint64_t conn_id)
{
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, conn_id);

	/* What is resumed is an ordinary socket: with its application it is gone, and the kernel says so. */
	if (c && c->priv && (!group_owns_conns(g) || !((struct shadow *)c->priv)->told))
		shadow_renew(g, c);
}

/* ---- strays ---- */

struct strays {
	struct group *g;
	uint64_t *ids;
	size_t n, size;
};

static void strays_begin(void *data)
{
	((struct strays *)data)->n = 0;
}

static void strays_each(const struct nlattr *conn, void *data)
{
	struct strays *st = data;
	const struct nlattr *a;
	uint64_t id = 0;
	uint8_t phase = TCP_NSR_PHASE_PROTECTED;
	uint64_t *more;

	mnl_attr_for_each_nested(a, conn) {
		if (mnl_attr_get_type(a) == TCP_NSR_A_CONN_ID)
			attr_u64(a, &id);
		else if (mnl_attr_get_type(a) == TCP_NSR_A_CONN_PHASE)
			attr_u8(a, &phase);
	}
	if (phase != TCP_NSR_PHASE_SHADOW && phase != TCP_NSR_PHASE_PROVISIONAL)
		return;
	if (nsr_store_conn_find(st->g->store, id))
		return;
	if (st->n == st->size) {
		more = realloc(st->ids, (st->size * 2 + 64) * sizeof(*more));
		if (!more)
			return;
		st->ids = more;
		st->size = st->size * 2 + 64;
	}
	st->ids[st->n++] = id;
}

void shadow_drop_strays(struct group *g)
{
	struct strays st = { .g = g };

	kernel_conns_dump(g->nsrd->kernel, g->cfg->id, strays_begin, strays_each, &st);
	for (size_t i = 0; i < st.n; i++)
		kernel_conn_del(g->nsrd->kernel, st.ids[i], false);
	free(st.ids);
}

void shadow_report_missing(struct group *g)
{
	struct nsr_store_conn *c = nsr_store_conn_next(g->store, NULL), *next;

	for (; c; c = next) {
		struct shadow *s = c->priv;
		struct attr_buf b = { 0 };
		size_t nest;

		next = nsr_store_conn_next(g->store, c);
		if (s && s->injected)
			continue;
		log_warn("group %s: %s is lost: it had no shadow here", g->cfg->name, conn_describe(c));
		control_emit(g->nsrd, g, "conn", "%s is lost: it had no shadow here", conn_describe(c));
		app_conn_gone(g, c->id, NSR_GONE_ERROR, "no shadow on this box");
		nest = attr_nest_start(&b, TCP_NSR_A_CONN);
		attr_put_u64(&b, TCP_NSR_A_CONN_ID, c->id);
		attr_nest_end(&b, nest);
		if (!b.failed)
			sync_conn_event(g, TCP_NSR_CMD_CONN_DEL_NTF, (const struct nlattr *)b.data);
		attr_buf_free(&b);
	}
}

/* ---- store on a standby ---- */

void group_conn_added(struct group *g, struct nsr_store_conn *c)
{
	if (!group_owns_conns(g))
		shadow_create(g, c);
}

void group_conn_changed(struct group *g, struct nsr_store_conn *c)
{
	if (!group_owns_conns(g))
		shadow_changed(g, c);
}

void group_conn_removed(struct group *g, struct nsr_store_conn *c)
{
	if (group_owns_conns(g)) {
		shadow_forget(c);
		return;
	}
	if (c->priv && group_priv(g)->dropping)
		app_conn_gone(g, c->id, NSR_GONE_RESYNC, "this box is synchronised anew");
	else if (c->priv)
		app_conn_gone(g, c->id, NSR_GONE_PEER, "the connection has ended");
	shadow_destroy(g, c);
}

/* what a planned switchover handed over counts as soon as it is here */
void group_handover(struct group *g)
{
	shadow_flush(g);
}
