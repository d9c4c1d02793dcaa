// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's table of connections, on the box that owns it: events and dumps become records for the
 * store and the peer; adoption is told to the applications. On a standby: shadows that went away.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "gate.h"
#include "genl.h"
#include "group_priv.h"

#include "../lib/libnsr.h"

static const char *const causes[] = {
	[TCP_NSR_CLOSE_LOCAL] = "closed here", [TCP_NSR_CLOSE_DEATH] = "its application died",
	[TCP_NSR_CLOSE_PEER] = "closed by the far end", [TCP_NSR_CLOSE_GAP] = "reset: bytes are missing",
	[TCP_NSR_CLOSE_BROKEN] = "reset: a promise was broken", [TCP_NSR_CLOSE_ADMIN] = "removed by order",
};

static const char *const vouchers[] = {
	[TCP_NSR_ADOPTED_NONE] = "nothing", [TCP_NSR_ADOPTED_DSACK] = "D-SACK nonce",
	[TCP_NSR_ADOPTED_TSECR] = "timestamp nonce", [TCP_NSR_ADOPTED_AGE] = "age",
	[TCP_NSR_ADOPTED_HANDOVER] = "hand-over", [TCP_NSR_ADOPTED_FIRST] = "first segment",
};

bool group_owns_conns(const struct group *g)
{
	const struct role *r = &g->role;

	return r->state == ROLE_ACTIVE || r->state == ROLE_LEAVE || (r->state == ROLE_HELD && r->held);
}

const char *tuple_describe(const struct nsr_store_tuple *t)
{
	static char text[2 * INET6_ADDRSTRLEN + 24];
	char l[INET6_ADDRSTRLEN] = "?", r[INET6_ADDRSTRLEN] = "?";
	const char *fmt = t->family == AF_INET6 ? "[%s]:%u - [%s]:%u" : "%s:%u - %s:%u";

	inet_ntop(t->family, t->laddr, l, sizeof(l));
	inet_ntop(t->family, t->raddr, r, sizeof(r));
	snprintf(text, sizeof(text), fmt, l, ntohs(t->lport), r, ntohs(t->rport));
	return text;
}

const char *conn_describe(const struct nsr_store_conn *c)
{
	return tuple_describe(&c->tuple);
}

/* What is missing, in an operator's words: each stream's side that lacks the bytes. */
static const char *gap_text(uint64_t rcv_missing, uint64_t rcv_uncertain, int64_t snd_missing, bool snd_uncertain)
{
	static char text[192];

	snprintf(text, sizeof(text), "received: %llu bytes missing, %llu uncertain; sent: %llu bytes %s%s",
		 (unsigned long long)rcv_missing, (unsigned long long)rcv_uncertain,
		 (unsigned long long)(snd_missing < 0 ? -snd_missing : snd_missing),
		 snd_missing < 0 ? "that only the far end knows of" : "that the far end lacks",
		 snd_uncertain ? ", uncertain" : "");
	return text;
}

static void say_gap(struct group *g, const struct nsr_store_conn *c)
{
	const char *text = gap_text(c->rcv_missing, c->rcv_uncertain, c->snd_missing, c->snd_uncertain);

	log_warn("group %s: %s: gap: %s", g->cfg->name, conn_describe(c), text);
	control_emit(g->nsrd, g, "gap", "%s: %s", conn_describe(c), text);
}

/* Whatever position it adopted: the journal has the bytes from there on. */
static bool is_lossless(const struct nsr_store_conn *c)
{
	const struct shadow *s = c->priv;

	return c->mode == TCP_NSR_MODE_LOSSLESS && !s->unprotected;
}

/*
 * In mode lossless nothing is ever missing; it stays provisional until the far end has the whole journal, which
 * the application's side is to send. With gap reset, what is missing is never shown to the application, so it may go on as soon as the
 * positions are set. With gap report it waits for the final word.
 */
static void tell_adoption(struct group *g, struct nsr_store_conn *c)
{
	struct shadow *s = c->priv;
	uint8_t wanted = TCP_NSR_PHASE_PROVISIONAL;

	if (s && c->gap == TCP_NSR_GAP_REPORT && !is_lossless(c))
		wanted = TCP_NSR_PHASE_RESUMED;
	if (!s || s->told || c->phase < wanted || c->phase == TCP_NSR_PHASE_PROTECTED)
		return;
	s->told = true;
	if (c->rcv_missing || c->rcv_uncertain || (!is_lossless(c) && (c->snd_missing || c->snd_uncertain)))
		say_gap(g, c);
	control_emit(g->nsrd, g, "conn", "%s resumed by %s", conn_describe(c),
		     c->adopted_by < sizeof(vouchers) / sizeof(vouchers[0]) ? vouchers[c->adopted_by] : "?");
	app_conn_resumed(g, c, c->adopted_by == TCP_NSR_ADOPTED_HANDOVER);
}

/* The application died while a standby could go on: its connections are the standby's now, not lost. */
static bool is_death(struct group *g, uint8_t cause)
{
	if (cause != TCP_NSR_CLOSE_DEATH || !role_protected(&g->role))
		return false;
	log_warn("group %s: an application died: the standby is to take over", g->cfg->name);
	group_feed(g, &(struct input){ .kind = INPUT_APP_DIED });
	return true;
}

static void active_deleted(struct group *g, const struct nlattr *conn, const struct nlattr **tb)
{
	uint64_t id = genl_u64(tb[TCP_NSR_A_CONN_ID]);
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, id);
	uint8_t cause = genl_u8(tb[TCP_NSR_A_CONN_CLOSE_CAUSE]);
	const char *text = cause < sizeof(causes) / sizeof(causes[0]) ? causes[cause] : "closed";

	if (!c || is_death(g, cause))
		return;
	log_msg(cause == TCP_NSR_CLOSE_BROKEN ? LOG_ERR : cause == TCP_NSR_CLOSE_GAP ? LOG_WARNING : LOG_DEBUG,
		"group %s: %s: %s", g->cfg->name, conn_describe(c), text);
	if (cause == TCP_NSR_CLOSE_BROKEN || cause == TCP_NSR_CLOSE_GAP)
		control_emit(g->nsrd, g, "gap", "%s: %s (%s)", conn_describe(c), text,
			     gap_text(genl_u64(tb[TCP_NSR_A_CONN_RCV_MISSING]), 0,
				      (int64_t)genl_u64(tb[TCP_NSR_A_CONN_SND_MISSING]), false));
	/* Of an ordinary socket its application hears from the socket itself. */
	if (genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_SHADOW ||
	    genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_PROVISIONAL || cause == TCP_NSR_CLOSE_GAP ||
	    cause == TCP_NSR_CLOSE_BROKEN)
		app_conn_gone(g, id, cause == TCP_NSR_CLOSE_GAP ? NSR_GONE_GAP :
			      cause == TCP_NSR_CLOSE_PEER ? NSR_GONE_PEER : NSR_GONE_ERROR, text);
	sync_conn_event(g, TCP_NSR_CMD_CONN_DEL_NTF, conn);
}

/* A shadow that went with its application, or that was closed by mistake: the next one is made. */
static void standby_deleted(struct group *g, const struct nlattr **tb)
{
	uint64_t id = genl_u64(tb[TCP_NSR_A_CONN_ID]);
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, id);
	struct shadow *s = c ? c->priv : NULL;

	if (!s || !s->injected || genl_u8(tb[TCP_NSR_A_CONN_CLOSE_CAUSE]) == TCP_NSR_CLOSE_ADMIN)
		return;
	/* Under the same id there may be a new one already. */
	if (!kernel_conn_get(g->nsrd->kernel, id, NULL, NULL))
		return;
	s->injected = false;
	log_debug("group %s: the shadow of %s is gone: another one is made", g->cfg->name, conn_describe(c));
	shadow_renew(g, c);
}

void conns_event(struct group *g, uint8_t cmd, const struct nlattr *conn)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_store_conn *c;

	if (!genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) || !tb[TCP_NSR_A_CONN_ID])
		return;
	if (genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_REFUSED) {
		if (cmd == TCP_NSR_CMD_CONN_DEL_NTF)
			refused_del(g, genl_u64(tb[TCP_NSR_A_CONN_ID]));
		else
			refused_add(g, tb);
		return;
	}
	if (!group_owns_conns(g)) {
		if (cmd == TCP_NSR_CMD_CONN_DEL_NTF)
			standby_deleted(g, tb);
		return;
	}
	/* Muted with own sockets: the peer has been handed what stood then. */
	if (g->role.state == ROLE_HELD)
		return;
	if (cmd == TCP_NSR_CMD_CONN_DEL_NTF) {
		active_deleted(g, conn, tb);
		return;
	}
	sync_conn_event(g, cmd, conn);
	c = nsr_store_conn_find(g->store, genl_u64(tb[TCP_NSR_A_CONN_ID]));
	if (c && tb[TCP_NSR_A_CONN_REFUSED])
		gate_give_up(g, c, refused_text(genl_u8(tb[TCP_NSR_A_CONN_REFUSED])));
	if (c)
		tell_adoption(g, c);
}

/* ---- the whole table ---- */

struct walk {
	struct group *g;
	struct nsr_store *store;
	uint64_t *ids;
	size_t n, size;
	bool failed;
};

static void walk_begin(void *data)
{
	struct walk *w = data;

	w->n = 0;
	refused_sweep_begin(w->g);
}

static void walk_each(const struct nlattr *conn, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct walk *w = data;
	uint64_t id;

	if (!genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) || !tb[TCP_NSR_A_CONN_ID])
		return;
	if (genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_REFUSED) {
		/* Under this id there may have been a protected one, whose end was not heard of. */
		if (group_owns_conns(w->g))
			conns_event(w->g, TCP_NSR_CMD_CONN_ADD_NTF, conn);
		return;
	}
	id = genl_u64(tb[TCP_NSR_A_CONN_ID]);
	if (w->n == w->size) {
		uint64_t *more = realloc(w->ids, (w->size * 2 + 64) * sizeof(*more));

		if (!more) {
			w->failed = true;
			return;
		}
		w->ids = more;
		w->size = w->size * 2 + 64;
	}
	w->ids[w->n++] = id;
	if (group_owns_conns(w->g))
		conns_event(w->g, TCP_NSR_CMD_CONN_ADD_NTF, conn);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void is_refused(const struct nlattr *conn, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];

	if (genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX))
		*(bool *)data = genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_REFUSED;
}

static void missing(struct group *g, struct nsr_store_conn *c)
{
	struct attr_buf b = { 0 };
	struct shadow *s = c->priv;
	bool refused = false;
	size_t nest;

	/* A dump of a table that changes all the while may pass by what was there all along. */
	if (kernel_conn_get(g->nsrd->kernel, c->id, is_refused, &refused) != -ENOENT && !refused)
		return;
	if (!group_owns_conns(g)) {
		if (s && s->injected) {
			s->injected = false;
			shadow_renew(g, c);
		}
		return;
	}
	nest = attr_nest_start(&b, TCP_NSR_A_CONN);
	attr_put_u64(&b, TCP_NSR_A_CONN_ID, c->id);
	attr_nest_end(&b, nest);
	if (!b.failed)
		sync_conn_event(g, TCP_NSR_CMD_CONN_DEL_NTF, (const struct nlattr *)b.data);
	attr_buf_free(&b);
}

void conns_resync(struct group *g)
{
	struct walk w = { .g = g };
	struct nsr_store_conn *c, *next;
	int err = kernel_conns_dump(g->nsrd->kernel, g->cfg->id, walk_begin, walk_each, &w);

	if (err || w.failed) {
		group_data_lost(g, err ? kernel_error(g->nsrd->kernel) : "out of memory");
		free(w.ids);
		return;
	}
	refused_sweep_end(g);
	if (!group_owns_conns(g))
		shadow_drop_strays(g);
	if (w.n)
		qsort(w.ids, w.n, sizeof(*w.ids), by_id);
	for (c = nsr_store_conn_next(g->store, NULL); c; c = next) {
		next = nsr_store_conn_next(g->store, c);
		if (!w.n || !bsearch(&c->id, w.ids, w.n, sizeof(*w.ids), by_id))
			missing(g, c);
	}
	free(w.ids);
}

/* ---- what applications ask ---- */

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));

	return !memcmp(a, b, bytes) && (!(bits % 8) || !((a[bytes] ^ b[bytes]) & mask));
}

static bool is_group_addr(const struct group *g, const struct nsr_store_tuple *t)
{
	for (size_t i = 0; i < g->cfg->nr_addrs; i++)
		if (g->cfg->addrs[i].family == t->family && !memcmp(g->cfg->addrs[i].addr, t->laddr, 16))
			return true;
	return false;
}

static bool rule_matches(const struct cfg_rule *r, const struct nsr_store_tuple *t)
{
	return (!r->family || r->family == t->family) && (!r->has_laddr || !memcmp(r->laddr, t->laddr, 16)) &&
	       (!r->lport || htons(r->lport) == t->lport) && (!r->rport || htons(r->rport) == t->rport) &&
	       (!r->has_raddr || prefix_equal(r->raddr, t->raddr, r->raddr_len));
}

#define SCAN_NS		2000000000ull	/* for so long a new rule may be looking for connections that it matches */

static struct nsr_store_conn *stored(struct group *g, const struct nsr_store_tuple *t, uint64_t cookie)
{
	struct nsr_store_conn *c = nsr_store_conn_find_tuple(g->store, t);

	/* Not the one that had these ports before. */
	return c && (!cookie || !c->cookie || c->cookie == cookie) ? c : NULL;
}

static void take_record(const struct nlattr *conn, void *data)
{
	conns_event(data, TCP_NSR_CMD_CONN_ADD_NTF, conn);
}

/* An event may be under way, or lost: then the kernel's table has it. */
struct nsr_store_conn *group_conn_lookup(struct group *g, const struct nsr_store_tuple *t, uint64_t cookie,
					 const char **text)
{
	struct nsr_store_conn *c = stored(g, t, cookie);
	int err;

	*text = NULL;
	if (!c) {
		kernel_drain(g->nsrd->kernel);
		c = stored(g, t, cookie);
	}
	if (c)
		return c;
	if (!is_group_addr(g, t)) {
		*text = "its local address is not one of the group's";
		return NULL;
	}
	for (size_t i = 0; i < g->cfg->nr_rules; i++)
		if (rule_matches(&g->cfg->rules[i], t)) {
			err = kernel_conn_find(g->nsrd->kernel, g->cfg->id, t, take_record, g);
			c = stored(g, t, cookie);
			*text = refused_why(g, t, cookie);
			if (c || *text)
				return c;
			/*
			 * Not waited for: an application that is behind would fall further behind with each
			 * short connection, and with it the replication of its other ones.
			 */
			if (!c && err == -ENOENT && nsrd_now() - group_priv(g)->rules_at > SCAN_NS)
				*text = "the kernel does not protect it: it has ended, or see the group's counters";
			return c;
		}
	*text = "no rule of the group matches it";
	return NULL;
}

static void put_gap(struct group *g, uint64_t id, uint8_t gap)
{
	struct attr_buf b = { 0 };

	attr_put_u64(&b, TCP_NSR_A_CONN_ID, id);
	attr_put_u8(&b, TCP_NSR_A_CONN_GAP, gap);
	if (!b.failed && !kernel_batch_add(g->nsrd->kernel, b.data, b.len))
		kernel_batch_send(g->nsrd->kernel);
	attr_buf_free(&b);
}

void group_conn_set_gap(struct group *g, uint64_t conn_id, uint8_t gap)
{
	put_gap(g, conn_id, gap);
}

void group_conn_unprotect(struct group *g, uint64_t conn_id)
{
	/* -ENOENT: closed meanwhile. The kernel's event takes it out of the store, here and at the peer. */
	kernel_conn_del(g->nsrd->kernel, conn_id, false);
}
