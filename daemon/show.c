// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "gate.h"
#include "group_priv.h"
#include "md5.h"
#include "show.h"
#include "text.h"

static const char *const modes[] = { "naive", "adopt", "lossless" };
static const char *const gaps[] = { "rule", "reset", "report" };
static const char *const phases[] = { "protected", "shadow", "provisional", "resumed" };
static const char *const vouchers[] = { "none", "dsack", "tsecr", "age", "handover", "first" };
static const char *const dev_roles[] = { "named", "service", "vrf" };
static const char *const tcp_states[] = {
	[TCP_ESTABLISHED] = "established", [TCP_SYN_SENT] = "syn-sent", [TCP_SYN_RECV] = "syn-recv",
	[TCP_FIN_WAIT1] = "fin-wait-1", [TCP_FIN_WAIT2] = "fin-wait-2", [TCP_TIME_WAIT] = "time-wait",
	[TCP_CLOSE] = "close", [TCP_CLOSE_WAIT] = "close-wait", [TCP_LAST_ACK] = "last-ack",
	[TCP_LISTEN] = "listen", [TCP_CLOSING] = "closing",
};

static const char *const stat_names[] = {
	[TCP_NSR_A_STAT_CONNS_ADDED] = "conns_added", [TCP_NSR_A_STAT_CONNS_CLOSED] = "conns_closed",
	[TCP_NSR_A_STAT_CONNS_REFUSED_CAP] = "conns_refused_cap",
	[TCP_NSR_A_STAT_CONNS_REFUSED_NOMEM] = "conns_refused_nomem",
	[TCP_NSR_A_STAT_CONNS_REFUSED_KIND] = "conns_refused_kind", [TCP_NSR_A_STAT_INJECTED] = "injected",
	[TCP_NSR_A_STAT_PROBES] = "probes", [TCP_NSR_A_STAT_ADOPTED_DSACK] = "adopted_dsack",
	[TCP_NSR_A_STAT_ADOPTED_TSECR] = "adopted_tsecr", [TCP_NSR_A_STAT_ADOPTED_AGE] = "adopted_age",
	[TCP_NSR_A_STAT_ADOPTED_HANDOVER] = "adopted_handover", [TCP_NSR_A_STAT_ADOPTED_FIRST] = "adopted_first",
	[TCP_NSR_A_STAT_RESUMED] = "resumed", [TCP_NSR_A_STAT_HEALED] = "healed",
	[TCP_NSR_A_STAT_GAPS_RESET] = "gaps_reset", [TCP_NSR_A_STAT_GAPS_REPORTED] = "gaps_reported",
	[TCP_NSR_A_STAT_GAP_BYTES] = "gap_bytes", [TCP_NSR_A_STAT_UNCERTAIN] = "uncertain",
	[TCP_NSR_A_STAT_BROKEN] = "broken", [TCP_NSR_A_STAT_SHADOW_DROPS] = "shadow_drops",
	[TCP_NSR_A_STAT_REJECT_CSUM] = "reject_csum", [TCP_NSR_A_STAT_REJECT_ACK] = "reject_ack",
	[TCP_NSR_A_STAT_REJECT_SEQ] = "reject_seq", [TCP_NSR_A_STAT_REJECT_TS] = "reject_ts",
	[TCP_NSR_A_STAT_REJECT_NONCE] = "reject_nonce", [TCP_NSR_A_STAT_REJECT_FLAGS] = "reject_flags",
	[TCP_NSR_A_STAT_FENCED_FRAMES] = "fenced_frames", [TCP_NSR_A_STAT_FENCED_SEGMENTS] = "fenced_segments",
	[TCP_NSR_A_STAT_NO_SOCKET_DROPS] = "no_socket_drops", [TCP_NSR_A_STAT_FROZEN_DROPS] = "frozen_drops",
	[TCP_NSR_A_STAT_LEASE_LAPSES] = "lease_lapses",
	[TCP_NSR_A_STAT_ACKS_HELD] = "acks_held", [TCP_NSR_A_STAT_ACKS_CLAMPED] = "acks_clamped",
	[TCP_NSR_A_STAT_CONNS_LOST] = "conns_lost",
};

#define WORD(table, i)	((size_t)(i) < sizeof(table) / sizeof(*(table)) && (table)[i] ? (table)[i] : "?")

static json_t *hex(const uint8_t *p, size_t n, char between)
{
	char text[128];
	size_t len = 0;

	for (size_t i = 0; i < n && len + 4 < sizeof(text); i++) {
		if (between && i)
			text[len++] = between;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%02x", p[i]);
	}
	text[len] = '\0';
	return json_string(text);
}

static json_t *addr_json(uint8_t family, const uint8_t *addr)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, addr, text, sizeof(text));
	return json_string(text);
}

static const char *role_word(enum role_state s)
{
	return s == ROLE_ACTIVE || s == ROLE_LEAVE ? "active" : "standby";
}

/* as the operator's other words are written; a static buffer for each use in one expression */
static const char *lower(const char *word)
{
	static char text[4][24];
	static unsigned int next;
	char *t = text[next++ % 4];
	size_t i;

	for (i = 0; word[i] && i < sizeof(text[0]) - 1; i++)
		t[i] = (char)tolower((unsigned char)word[i]);
	t[i] = '\0';
	return t;
}

static double seconds_left(uint64_t until)
{
	uint64_t now = nsrd_now();

	return until > now ? (double)(until - now) / 1e9 : 0;
}

/* ---- groups ---- */

static json_t *peer_json(struct group *g)
{
	const struct role *r = &g->role;

	if (!g->nsrd->cfg->has_peer)
		return json_null();
	return json_pack("{s:s, s:b, s:i, s:s, s:f, s:b}",
			 "link", g->nsrd->link ? link_describe(g->nsrd->link) : "none",
			 "link_up", g->nsrd->link && link_is_up(g->nsrd->link),
			 "node", (int)r->peer.node,
			 "state", r->peer.heard ? lower(role_state_name(r->peer.last.state)) : "unknown",
			 "heard_ago", r->peer.heard ? (double)(nsrd_now() - r->peer.heard_at) / 1e9 : -1.,
			 "ready", r->peer.ready_since != 0);
}

static json_t *group_json(struct group *g)
{
	const struct role *r = &g->role;
	struct kernel_group kg;
	json_t *addrs = json_array(), *o;

	for (size_t i = 0; i < g->cfg->nr_addrs; i++)
		json_array_append_new(addrs, addr_json(g->cfg->addrs[i].family, g->cfg->addrs[i].addr));
	if (kernel_group_get(g->nsrd->kernel, g->cfg->id, &kg))
		memset(&kg, 0, sizeof(kg));
	o = json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:b, s:b, s:b, s:f, s:f, s:I, s:I, s:I, s:I, s:o}",
		      "name", g->cfg->name, "id", (json_int_t)g->cfg->id,
		      "role", role_word(r->state), "state", lower(role_state_name(r->state)),
		      "reason", role_reason_name(r->reason),
		      "term", (json_int_t)r->term.number, "term_owner", (json_int_t)r->term.owner,
		      "interface", g->cfg->interface, "addresses", addrs,
		      "protected", role_protected(r), "valid", role_valid(r, nsrd_now()),
		      "settled", kg.settled,
		      "lease_left", kg.active ? seconds_left(kg.lease_until) : 0.,
		      "ready_left", r->state == ROLE_READY ? seconds_left(r->ready_until) : 0.,
		      "epoch", (json_int_t)r->epoch,
		      "conns", (json_int_t)nsr_store_nr_conns(g->store),
		      "state_records", (json_int_t)nsr_store_nr_states(g->store),
		      "lag_records", (json_int_t)sync_lag_records(g),
		      "peer", peer_json(g));
	if (o && group_owns_conns(g)) {
		json_object_set_new(o, "gates", json_string(gate_group_closed(g) ? "closed" : "open"));
		json_object_set_new(o, "unprotected_conns", json_integer(gate_unprotected(g)));
	}
	if (o && group_mac(g))
		json_object_set_new(o, "mac", hex(group_mac(g), 6, ':'));
	return o;
}

static json_t *each_group(struct nsrd *n, json_t *(*one)(struct group *g))
{
	json_t *list = json_array();
	struct group *g;

	list_for_each(g, &n->groups, node)
		json_array_append_new(list, one(g));
	return list;
}

json_t *show_groups(struct nsrd *n)
{
	return each_group(n, group_json);
}

/* ---- connections ---- */

/* It may come from the peer, and goes to a terminal. */
static json_t *device_json(const char *name)
{
	char text[IF_NAMESIZE * TEXT_ESCAPE];

	text_escape(text, sizeof(text), name, IF_NAMESIZE);
	return json_string(text);
}

static void put_device(json_t *o, const char *name, uint8_t role)
{
	if (!name[0] && !role)
		return;
	json_object_set_new(o, "device", device_json(name));
	json_object_set_new(o, "device_role", json_string(WORD(dev_roles, role)));
}

/* Would it survive the death of the active now, as its mode promises? */
static bool conn_protected(const struct group *g, const struct nsr_store_conn *c)
{
	const struct shadow *s = c->priv;

	if (!group_owns_conns(g))
		return s && s->injected && !(c->flags & TCP_NSR_CONN_F_UNPROTECTED);
	/* The configuration of both boxes is the same: what lacks here lacks there. */
	return role_protected(&g->role) && !md5_lacks_key(g->cfg, c) && (c->mode != TCP_NSR_MODE_LOSSLESS || gate_holds(g, c));
}

static const char *conn_reason(const struct group *g, const struct nsr_store_conn *c)
{
	const struct shadow *s = c->priv;

	if (conn_protected(g, c))
		return "";
	if (md5_lacks_key(g->cfg, c))
		return MD5_MISSING;
	if (!group_owns_conns(g) && s && s->why)
		return s->why;
	if (!group_owns_conns(g))
		return c->flags & TCP_NSR_CONN_F_UNPROTECTED ? "the active says so" : "no shadow";
	if (c->mode == TCP_NSR_MODE_LOSSLESS && !gate_holds(g, c))
		return gate_reason(g, c);
	return "no standby is ready";
}

static json_t *conn_json(struct group *g, const struct nsr_store_conn *c)
{
	const struct shadow *s = c->priv;
	bool owns = group_owns_conns(g);
	uint8_t phase = owns ? c->phase : (uint8_t)TCP_NSR_PHASE_SHADOW;
	char id[20];
	json_t *o;

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)c->id);
	o = json_pack("{s:s, s:s, s:o, s:i, s:o, s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I}",
		      "group", g->cfg->name, "id", id,
		      "local", addr_json(c->tuple.family, c->tuple.laddr), "local_port", (int)ntohs(c->tuple.lport),
		      "remote", addr_json(c->tuple.family, c->tuple.raddr), "remote_port", (int)ntohs(c->tuple.rport),
		      "open", c->flags & TCP_NSR_CONN_F_ACTIVE_OPEN ? "active" : "passive",
		      "tcp_state", WORD(tcp_states, c->state), "mode", WORD(modes, c->mode),
		      "gap", WORD(gaps, c->gap),
		      "phase", owns || (s && s->injected) ? WORD(phases, phase) : "missing",
		      "claimed", owns || (s && s->claimed),
		      "protected", conn_protected(g, c),
		      "rcv_nxt", (json_int_t)c->rcv_nxt, "snd_una", (json_int_t)c->snd_una,
		      "write_seq", (json_int_t)c->write_seq, "tail",
		      (json_int_t)(c->has_rcv ? c->rcv_tail_end - c->rcv_consumed : 0));
	if (!o)
		return NULL;
	json_object_set_new(o, "reason", json_string(conn_reason(g, c)));
	put_device(o, c->dev_name, c->dev_role);
	if (c->has_journal)
		json_object_set_new(o, "journal", json_integer((json_int_t)nsr_journal_len(&c->journal)));
	if (c->app)
		json_object_set_new(o, "application", json_string(c->app->name));
	if (c->has_rcv)
		json_object_set_new(o, "rcv_consumed", json_integer((json_int_t)c->rcv_consumed));
	if (c->has_snd)
		json_object_set_new(o, "snd_written", json_integer((json_int_t)c->snd_written));
	if (owns && c->adopted_by)
		json_object_set_new(o, "adopted_by", json_string(WORD(vouchers, c->adopted_by)));
	return o;
}

static json_t *refused_json(struct group *g, const struct refused *r)
{
	char id[20];
	json_t *o;

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)r->id);
	o = json_pack("{s:s, s:s, s:o, s:i, s:o, s:i, s:s, s:s, s:b, s:b, s:s}",
		      "group", g->cfg->name, "id", id,
		      "local", addr_json(r->tuple.family, r->tuple.laddr), "local_port", (int)ntohs(r->tuple.lport),
		      "remote", addr_json(r->tuple.family, r->tuple.raddr), "remote_port", (int)ntohs(r->tuple.rport),
		      "mode", WORD(modes, r->mode), "phase", "refused",
		      "claimed", true, "protected", false, "reason", refused_text(r->why));
	if (o)
		put_device(o, r->dev_name, r->dev_role);
	return o;
}

static json_t *conns_json(struct group *g)
{
	struct nsr_store_conn *c = NULL;
	json_t *list = json_array();
	struct refused *r;

	list_for_each(r, &group_priv(g)->refused.all, node)
		json_array_append_new(list, refused_json(g, r));
	while ((c = nsr_store_conn_next(g->store, c)))
		json_array_append_new(list, conn_json(g, c));
	return list;
}

json_t *show_conns(struct nsrd *n)
{
	json_t *list = json_array(), *part;
	struct group *g;

	list_for_each(g, &n->groups, node) {
		part = conns_json(g);
		json_array_extend(list, part);
		json_decref(part);
	}
	return list;
}

/* ---- applications ---- */

static size_t count_states(const struct nsr_store_app *a)
{
	struct nsr_store_state *s;
	size_t n = 0;

	list_for_each(s, &a->states, app_node)
		n++;
	return n;
}

static size_t count_conns(struct group *g, const struct nsr_store_app *a)
{
	struct nsr_store_conn *c = NULL;
	size_t n = 0;

	while ((c = nsr_store_conn_next(g->store, c)))
		n += c->app == a;
	return n;
}

struct app_list {
	json_t *list;
	struct group *g;
};

static void app_line(struct app_list *l, const char *name, struct nsr_store_app *a)
{
	json_array_append_new(l->list, json_pack("{s:s, s:s, s:b, s:I, s:I}", "group", l->g->cfg->name, "name", name,
						 "attached", app_is_attached(l->g, name), "conns",
						 (json_int_t)(a ? count_conns(l->g, a) : 0), "state_records",
						 (json_int_t)(a ? count_states(a) : 0)));
}

/* It is attached, and nothing of it is in the store yet: a standby's, whose twin on the active has no state. */
static void app_line_new(void *data, const char *name)
{
	struct app_list *l = data;

	if (!nsr_store_app_find(l->g->store, name))
		app_line(l, name, NULL);
}

json_t *show_apps(struct nsrd *n)
{
	struct app_list l = { .list = json_array() };
	struct nsr_store_app *a;

	list_for_each(l.g, &n->groups, node) {
		list_for_each(a, nsr_store_apps(l.g->store), node)
			app_line(&l, a->name, a);
		app_each_attached(l.g, app_line_new, &l);
	}
	return l.list;
}

/* ---- counters, digest ---- */

static json_t *counters_json(struct group *g)
{
	struct kernel_group kg;
	json_t *o = json_object();

	json_object_set_new(o, "group", json_string(g->cfg->name));
	json_object_set_new(o, "inject_failed", json_integer((json_int_t)group_priv(g)->inject_failed));
	if (kernel_group_get(g->nsrd->kernel, g->cfg->id, &kg))
		return o;
	for (size_t i = 0; i < sizeof(stat_names) / sizeof(stat_names[0]); i++)
		if (stat_names[i])
			json_object_set_new(o, stat_names[i], json_integer((json_int_t)kg.stats[i]));
	return o;
}

json_t *show_counters(struct nsrd *n)
{
	return each_group(n, counters_json);
}

static json_t *digest_json(struct group *g)
{
	uint8_t digest[NSR_STORE_DIGEST];

	nsr_store_digest(g->store, digest);
	return json_pack("{s:s, s:o, s:I, s:I}", "group", g->cfg->name, "digest", hex(digest, sizeof(digest), 0),
			 "conns", (json_int_t)nsr_store_nr_conns(g->store),
			 "state_records", (json_int_t)nsr_store_nr_states(g->store));
}

json_t *show_digest(struct nsrd *n)
{
	return each_group(n, digest_json);
}
