// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "attr.h"
#include "control.h"
#include "genl.h"
#include "group_priv.h"
#include "refused.h"

static const char *const texts[] = {
	[TCP_NSR_REFUSED_NOT] = "it cannot be protected",
	[TCP_NSR_REFUSED_MPTCP] = "Multipath TCP cannot be taken over: use plain TCP for this service",
	[TCP_NSR_REFUSED_AO] = "signed by TCP-AO (RFC 5925), which cannot be taken over: TCP MD5 can",
	[TCP_NSR_REFUSED_FASTOPEN] = "TCP Fast Open: its SYN had data, which cannot be taken over: switch that off",
	[TCP_NSR_REFUSED_ULP] = "another protocol (TLS, ...) sits on its socket in the kernel",
	[TCP_NSR_REFUSED_GATE] = "mode lossless: another subsystem has changed its socket: mode adopt works",
};

const char *refused_text(uint8_t why)
{
	return texts[why < sizeof(texts) / sizeof(texts[0]) ? why : TCP_NSR_REFUSED_NOT];
}

void refused_init(struct refused_list *l)
{
	list_init(&l->all);
	l->n = 0;
}

static void drop(struct refused_list *l, struct refused *r)
{
	list_del(&r->node);
	l->n--;
	free(r);
}

void refused_free(struct refused_list *l)
{
	struct refused *r, *tmp;

	list_for_each_safe(r, tmp, &l->all, node)
		drop(l, r);
}

static struct refused *find(struct group *g, uint64_t id)
{
	struct refused *r;

	list_for_each(r, &group_priv(g)->refused.all, node)
		if (r->id == id)
			return r;
	return NULL;
}

static bool read_record(struct refused *r, const struct nlattr **tb)
{
	size_t n;

	if (!tb[TCP_NSR_A_CONN_ID] || !tb[TCP_NSR_A_CONN_LADDR] || !tb[TCP_NSR_A_CONN_RADDR])
		return false;
	r->id = genl_u64(tb[TCP_NSR_A_CONN_ID]);
	r->cookie = genl_u64(tb[TCP_NSR_A_CONN_COOKIE]);
	r->why = genl_u8(tb[TCP_NSR_A_CONN_REFUSED]);
	r->mode = genl_u8(tb[TCP_NSR_A_CONN_MODE]);
	r->dev_role = genl_u8(tb[TCP_NSR_A_CONN_DEV_ROLE]);
	/* With its NUL; r is zeroed. */
	if (tb[TCP_NSR_A_CONN_DEV_NAME] && attr_len(tb[TCP_NSR_A_CONN_DEV_NAME]) <= sizeof(r->dev_name))
		memcpy(r->dev_name, attr_data(tb[TCP_NSR_A_CONN_DEV_NAME]), attr_len(tb[TCP_NSR_A_CONN_DEV_NAME]));
	r->dev_name[sizeof(r->dev_name) - 1] = '\0';
	r->tuple.family = genl_u8(tb[TCP_NSR_A_CONN_FAMILY]);
	r->tuple.lport = genl_u16(tb[TCP_NSR_A_CONN_LPORT]);
	r->tuple.rport = genl_u16(tb[TCP_NSR_A_CONN_RPORT]);
	n = r->tuple.family == AF_INET ? 4 : 16;
	return attr_get(tb[TCP_NSR_A_CONN_LADDR], r->tuple.laddr, n) &&
	       attr_get(tb[TCP_NSR_A_CONN_RADDR], r->tuple.raddr, n);
}

/* A service whose every connection is refused says so once, until the last of them has ended. */
static void say(struct group *g, const struct refused *r)
{
	const struct refused *other;
	bool news = true;

	list_for_each(other, &group_priv(g)->refused.all, node)
		news &= other == r || other->why != r->why;
	log_msg(news ? LOG_WARNING : LOG_DEBUG, "group %s: %s: unprotected: %s", g->cfg->name,
		tuple_describe(&r->tuple), refused_text(r->why));
	control_emit(g->nsrd, g, "conn", "%s: unprotected: %s", tuple_describe(&r->tuple), refused_text(r->why));
}

void refused_add(struct group *g, const struct nlattr **tb)
{
	struct refused_list *l = &group_priv(g)->refused;
	struct refused *r = find(g, genl_u64(tb[TCP_NSR_A_CONN_ID]));

	if (r) {
		r->named = true;
		return;
	}
	if (l->n >= REFUSED_MAX)
		return;
	r = calloc(1, sizeof(*r));
	if (!r || !read_record(r, tb)) {
		free(r);
		return;
	}
	r->named = true;
	list_add_tail(&r->node, &l->all);
	l->n++;
	say(g, r);
}

void refused_del(struct group *g, uint64_t id)
{
	struct refused *r = find(g, id);

	if (r)
		drop(&group_priv(g)->refused, r);
}

void refused_sweep_begin(struct group *g)
{
	struct refused *r;

	list_for_each(r, &group_priv(g)->refused.all, node)
		r->named = false;
}

void refused_sweep_end(struct group *g)
{
	struct refused *r, *tmp;

	list_for_each_safe(r, tmp, &group_priv(g)->refused.all, node)
		if (!r->named)
			drop(&group_priv(g)->refused, r);
}

const char *refused_why(const struct group *g, const struct nsr_store_tuple *t, uint64_t cookie)
{
	const struct refused *r;

	list_for_each(r, &group_priv(g)->refused.all, node)
		if (!memcmp(&r->tuple, t, sizeof(*t)) && (!cookie || !r->cookie || r->cookie == cookie))
			return refused_text(r->why);
	return NULL;
}
