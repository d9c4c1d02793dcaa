// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the speaker says about itself. "show rib" is sorted and free of times and counters: the two
 * boxes of a pair that is in step give the same text.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "bgp.h"

struct listing {
	FILE *text;
	json_t *json;		/* NULL: text is wanted */
};

static const char *state_name(const struct peer *p, const struct session *s)
{
	static const char *const names[] = { "connect", "opensent", "openconfirm", "established" };

	if (s)
		return names[s->params.state];
	return ev_is_active(&p->dial) ? "connect" : p->bgp->speaking ? "active" : "idle";
}

static struct session *main_session(const struct peer *p)
{
	struct session *s, *best = p->sessions;

	for (s = p->sessions; s; s = s->next)
		if (s->params.state > best->params.state)
			best = s;
	return best;
}

static char *path_text(const uint8_t *p, size_t len)
{
	size_t n = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);
	const uint8_t *end = p + len;

	if (!f)
		return NULL;
	while (p < end) {
		unsigned int i, count = p[1];
		bool set = p[0] == AS_SET;

		fprintf(f, "%s", ftell(f) > 0 ? " " : "");
		for (i = 0; i < count; i++)
			fprintf(f, "%s%u", i ? set ? "," : " " : set ? "{" : "", get32(p + 2 + 4 * i));
		fprintf(f, "%s", set ? "}" : "");
		p += 2 + 4 * count;
	}
	fclose(f);
	return text;
}

/* Members of a fixed size, each printed on its own. */
static void list_add(const struct listing *l, json_t *obj, const char *name, const uint8_t *p, size_t len,
		     size_t unit)
{
	json_t *array = l->json ? json_array() : NULL;
	char buf[40];
	size_t at;

	if (!l->json)
		fprintf(l->text, " %s", name);
	for (at = 0; at + unit <= len; at += unit) {
		const uint8_t *m = p + at;

		if (unit == 12)
			snprintf(buf, sizeof(buf), "%u:%u:%u", get32(m), get32(m + 4), get32(m + 8));
		else if (unit == 8)
			snprintf(buf, sizeof(buf), "0x%08x%08x", get32(m), get32(m + 4));
		else
			snprintf(buf, sizeof(buf), "%u:%u", get16(m), get16(m + 2));
		if (l->json)
			json_array_append_new(array, json_string(buf));
		else
			fprintf(l->text, " %s", buf);
	}
	if (l->json)
		json_object_set_new(obj, name, array);
}

static void text_add(const struct listing *l, json_t *obj, const char *name, const char *value)
{
	if (l->json)
		json_object_set_new(obj, name, json_string(value));
	else
		fprintf(l->text, " %s %s", name, value);
}

static void number_add(const struct listing *l, json_t *obj, const char *name, uint64_t v)
{
	if (l->json)
		json_object_set_new(obj, name, json_integer((json_int_t)v));
	else
		fprintf(l->text, " %s %llu", name, (unsigned long long)v);
}

static void other_add(const struct listing *l, json_t *obj, uint8_t type, const uint8_t *p, size_t len)
{
	char name[16], *hex = calloc(1, 2 * len + 1);
	size_t i;

	if (!hex)
		return;
	for (i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", p[i]);
	snprintf(name, sizeof(name), "attr-%u", type);
	text_add(l, obj, name, hex);
	free(hex);
}

static void attr_add(const struct listing *l, json_t *obj, uint8_t type, const uint8_t *p, size_t len)
{
	static const char *const origins[] = { "igp", "egp", "incomplete" };
	char *path;

	switch (type) {
	case ATTR_ORIGIN:
		text_add(l, obj, "origin", origins[p[0]]);
		break;
	case ATTR_AS_PATH:
		path = path_text(p, len);
		if (l->json)
			text_add(l, obj, "path", path ? path : "");
		else
			fprintf(l->text, " path [%s]", path ? path : "");
		free(path);
		break;
	case ATTR_MED:
		number_add(l, obj, "med", get32(p));
		break;
	case ATTR_LOCAL_PREF:
		number_add(l, obj, "local-pref", get32(p));
		break;
	case ATTR_COMMUNITIES:
		list_add(l, obj, "communities", p, len, 4);
		break;
	case ATTR_EXT_COMMUNITIES:
		list_add(l, obj, "ext-communities", p, len, 8);
		break;
	case ATTR_LARGE_COMMUNITIES:
		list_add(l, obj, "large-communities", p, len, 12);
		break;
	default:
		other_add(l, obj, type, p, len);
	}
}

static void route_add(const struct listing *l, const char *peer, const char *dir, const struct route *r)
{
	const struct attrs *a = r->attrs;
	char prefix[PREFIX_STRLEN], via[ADDR_STRLEN];
	struct addr nh = { .len = a->nhlen == 4 ? 4 : a->nhlen ? 16 : 0 };
	json_t *obj = l->json ? json_object() : NULL;
	size_t at, n;

	memcpy(nh.b, a->nh, nh.len);
	prefix_str(&r->prefix, prefix);
	addr_str(&nh, via);
	if (l->json) {
		text_add(l, obj, "neighbor", peer);
		text_add(l, obj, "table", dir);
		text_add(l, obj, "prefix", prefix);
		text_add(l, obj, "via", via);
	} else {
		fprintf(l->text, "%s %s %s via %s", peer, dir, prefix, via);
	}
	for (at = 0; at < a->len; at += 4 + n) {
		n = get16(a->tlv + at + 2);
		attr_add(l, obj, a->tlv[at + 1], a->tlv + at + 4, n);
	}
	if (l->json)
		json_array_append_new(l->json, obj);
	else
		fputc('\n', l->text);
}

static void table_add(const struct listing *l, const char *peer, const char *dir, const struct rib *rib)
{
	struct route **all = rib_sorted(rib);
	size_t i;

	for (i = 0; all && i < rib->count; i++)
		route_add(l, peer, dir, all[i]);
	free(all);
}

static int by_address(const void *a, const void *b)
{
	const struct addr *x = &(*(struct peer *const *)a)->cfg.address;
	const struct addr *y = &(*(struct peer *const *)b)->cfg.address;

	return x->len != y->len ? x->len - y->len : memcmp(x->b, y->b, x->len);
}

static struct peer **peers_sorted(const struct bgp *bgp, size_t *n)
{
	struct peer **all, *p;

	*n = 0;
	for (p = bgp->peers; p; p = p->next)
		(*n)++;
	all = calloc(*n + 1, sizeof(struct peer *));
	*n = 0;
	for (p = bgp->peers; p && all; p = p->next)
		all[(*n)++] = p;
	if (all)
		qsort(all, *n, sizeof(all[0]), by_address);
	return all;
}

static void rib_add(const struct listing *l, const struct peer *p)
{
	const struct session *s = main_session(p);
	char name[ADDR_STRLEN];

	if (!s || s->params.state != SESSION_ESTABLISHED)
		return;
	addr_str(&p->cfg.address, name);
	table_add(l, name, "in", &s->in);
	table_add(l, name, "out", &s->out);
}

static void neighbor_add(const struct listing *l, const struct peer *p)
{
	static const char *const modes[] = { "none", "naive", "adopt", "lossless" };
	const struct session *s = main_session(p);
	struct nsr_conn_info info = { .size = sizeof(info) };
	json_t *obj = l->json ? json_object() : NULL;
	char name[ADDR_STRLEN], caps[40];

	addr_str(&p->cfg.address, name);
	if (l->json)
		text_add(l, obj, "address", name);
	else
		fprintf(l->text, "%s", name);
	number_add(l, obj, "as", p->cfg.remote_as);
	text_add(l, obj, "state", state_name(p, s));
	if (s) {
		const struct session_params *sp = &s->params;

		snprintf(caps, sizeof(caps), "%s%s%s%s", sp->mp4 ? "ipv4," : "", sp->mp6 ? "ipv6," : "",
			 sp->refresh ? "refresh," : "", sp->as4 ? "as4," : "");
		caps[caps[0] ? strlen(caps) - 1 : 0] = '\0';
		text_add(l, obj, "held", s->live ? "live" : "shadow");
		text_add(l, obj, "opened", s->active_open ? "here" : "there");
		number_add(l, obj, "since", sp->since);
		number_add(l, obj, "hold-time", sp->hold);
		text_add(l, obj, "capabilities", caps[0] ? caps : "-");
		number_add(l, obj, "routes-in", s->in.count);
		number_add(l, obj, "routes-out", s->out.count);
		number_add(l, obj, "messages-in", s->received);
		number_add(l, obj, "messages-out", s->sent);
		if (!nsr_conn_get_info(s->conn, &info)) {
			text_add(l, obj, "mode", modes[info.mode]);
			text_add(l, obj, "protected", info.is_protected ? "yes" : "no");
		}
	}
	number_add(l, obj, "established", p->established);
	number_add(l, obj, "resumed", p->resumed);
	number_add(l, obj, "lost", p->lost);
	if (l->json)
		json_array_append_new(l->json, obj);
	else
		fputc('\n', l->text);
	if (l->json && p->last[0])
		text_add(l, obj, "last-end", p->last);
	else if (p->last[0])
		fprintf(l->text, "  last end: %s\n", p->last);
}

static void refresh(struct bgp *bgp, const char *address, FILE *f)
{
	uint8_t msg[BGP_MSG_MAX];
	struct addr a;
	struct peer *p = addr_parse(address, &a) ? bgp_find_peer(bgp, &a) : NULL;
	struct session *s = p ? main_session(p) : NULL;

	if (!s || !s->live || s->params.state != SESSION_ESTABLISHED || !s->params.refresh)
		fprintf(f, "error: no established session with %s that speaks ROUTE-REFRESH\n", address);
	else if ((s->params.mp4 && !session_send(s, msg, refresh_encode(AFI_IPV4, msg))) ||
		 (s->params.mp6 && !session_send(s, msg, refresh_encode(AFI_IPV6, msg))))
		fprintf(f, "error: %s does not read what we send, try again later\n", address);
	else
		fprintf(f, "asked %s for its routes\n", address);
}

static void answer(struct bgp *bgp, const char *words, FILE *f)
{
	bool rib = !strncmp(words, "show rib", 8), neighbors = !strncmp(words, "show neighbors", 14);
	const char *rest = words + (rib ? 8 : 14);
	struct listing l = { .text = f };
	struct peer **all;
	size_t i, n;
	json_t *top;

	if (!strncmp(words, "refresh ", 8)) {
		refresh(bgp, words + 8, f);
		return;
	}
	if (!(rib || neighbors) || (*rest && strcmp(rest, " json"))) {
		fprintf(f, "error: \"%s\", expected show rib, show neighbors or refresh ADDRESS\n", words);
		return;
	}
	all = peers_sorted(bgp, &n);
	if (*rest)
		l.json = json_array();
	for (i = 0; i < n; i++)
		(rib ? rib_add : neighbor_add)(&l, all[i]);
	free(all);
	if (!*rest)
		return;
	top = json_pack("{s:i, s:o}", "version", 1, rib ? "routes" : "neighbors", l.json);
	json_dumpf(top, f, JSON_INDENT(1));
	fputc('\n', f);
	json_decref(top);
}

char *show_answer(struct bgp *bgp, const char *words, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	answer(bgp, words, f);
	fclose(f);
	/* An empty listing is an answer, too: end of file at once. */
	if (!*len) {
		free(text);
		return NULL;
	}
	return text;
}
