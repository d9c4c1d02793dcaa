// SPDX-License-Identifier: GPL-2.0-only
/* Received path attributes: every check of RFC 4271 section 6.3, every leniency of RFC 7606. */
#include <string.h>
#include "attr.h"

enum { ON_BAD_WITHDRAW, ON_BAD_DISCARD };

/* What is kept as it came. unit: the length is a multiple of it, at least one; exact: just one. */
static const struct rule {
	uint8_t type, flags, unit;
	bool exact, ibgp_only;
	uint8_t on_bad;
} rules[] = {
	{ ATTR_ORIGIN, ATTR_F_TRANSITIVE, 1, true, false, ON_BAD_WITHDRAW },
	{ ATTR_AS_PATH, ATTR_F_TRANSITIVE, 0, false, false, ON_BAD_WITHDRAW },
	{ ATTR_NEXT_HOP, ATTR_F_TRANSITIVE, 4, true, false, ON_BAD_WITHDRAW },
	{ ATTR_MED, ATTR_F_OPTIONAL, 4, true, false, ON_BAD_WITHDRAW },
	{ ATTR_LOCAL_PREF, ATTR_F_TRANSITIVE, 4, true, true, ON_BAD_WITHDRAW },
	{ ATTR_ATOMIC, ATTR_F_TRANSITIVE, 0, true, false, ON_BAD_DISCARD },
	{ ATTR_AGGREGATOR, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 0, false, false, ON_BAD_DISCARD },
	{ ATTR_COMMUNITIES, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 4, false, false, ON_BAD_WITHDRAW },
	{ ATTR_ORIGINATOR, ATTR_F_OPTIONAL, 4, true, true, ON_BAD_WITHDRAW },
	{ ATTR_CLUSTERS, ATTR_F_OPTIONAL, 4, false, true, ON_BAD_WITHDRAW },
	{ ATTR_MP_REACH, ATTR_F_OPTIONAL, 0, false, false, ON_BAD_WITHDRAW },
	{ ATTR_MP_UNREACH, ATTR_F_OPTIONAL, 0, false, false, ON_BAD_WITHDRAW },
	{ ATTR_EXT_COMMUNITIES, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 8, false, false, ON_BAD_WITHDRAW },
	{ ATTR_AS4_PATH, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 0, false, false, ON_BAD_DISCARD },
	{ ATTR_AS4_AGGREGATOR, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 8, true, false, ON_BAD_DISCARD },
	{ ATTR_LARGE_COMMUNITIES, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, 12, false, false,
	  ON_BAD_WITHDRAW },
};

struct piece {
	const uint8_t *p;
	size_t len;
};

struct walk {
	const struct attr_env *env;
	struct parsed *out;
	struct bgp_error *e;
	uint8_t seen[256 / 8];
	struct piece path, path4, aggr, aggr4;
};

static void fault(struct parsed *out, enum verdict v, const char *why)
{
	if (!out->why || v > out->verdict)
		out->why = why;
	if (v > out->verdict)
		out->verdict = v;
}

static void reset(struct walk *w, uint8_t sub, const uint8_t *attr, size_t len, const char *why)
{
	if (w->out->verdict != VERDICT_RESET)
		bgp_fail(w->e, ERR_UPDATE, sub, attr, len);
	fault(w->out, VERDICT_RESET, why);
}

bool nlri_valid(uint8_t afi, const uint8_t *nlri, size_t len)
{
	struct prefix pfx;
	size_t n;

	for (; len; nlri += n, len -= n) {
		n = prefix_decode(afi, nlri, len, &pfx);
		if (!n)
			return false;
	}
	return true;
}

/* Copies up to `count` AS numbers, widened to four octets. */
static uint8_t *path_copy(uint8_t *out, const uint8_t *p, size_t len, size_t width, int count)
{
	const uint8_t *end = p + len;

	while (p < end && count > 0) {
		int i, n = p[1], take = p[0] == AS_SEQUENCE && n > count ? count : n;

		*out++ = p[0];
		*out++ = (uint8_t)take;
		for (i = 0; i < take; i++) {
			const uint8_t *as = p + 2 + (size_t)i * width;

			out = put32(out, width == 4 ? get32(as) : get16(as));
		}
		count -= p[0] == AS_SET ? 1 : take;
		p += 2 + (size_t)n * width;
	}
	return out;
}

/* RFC 6793, section 4.2.3: what AS_PATH holds in excess of AS4_PATH goes in front of it. */
static bool add_path(struct walk *w)
{
	size_t width = w->env->as4 ? 4 : 2;
	int count = as_path_count(w->path.p, w->path.len, width), count4 = -1;
	uint8_t buf[TLV_MAX], *p;

	if (count < 0) {
		fault(w->out, VERDICT_WITHDRAW, "malformed AS_PATH");
		return true;
	}
	/* An AGGREGATOR of a real two-octet AS: an old speaker aggregated after AS4_PATH was made. */
	if (!w->env->as4 && w->path4.p && !(w->aggr.p && get16(w->aggr.p) != BGP_AS_TRANS))
		count4 = as_path_count(w->path4.p, w->path4.len, 4);
	if (count4 > count)
		count4 = -1;
	p = path_copy(buf, w->path.p, w->path.len, width, count4 < 0 ? count : count - count4);
	if (count4 > 0)
		p = path_copy(p, w->path4.p, w->path4.len, 4, count4);
	return tlv_add(&w->out->tlvs, ATTR_F_TRANSITIVE, ATTR_AS_PATH, buf, (size_t)(p - buf));
}

static bool add_aggregator(struct walk *w)
{
	uint8_t buf[8];

	if (!w->aggr.p)
		return true;
	if (w->env->as4) {
		memcpy(buf, w->aggr.p, 8);
	} else if (w->aggr4.p && get16(w->aggr.p) == BGP_AS_TRANS) {
		memcpy(buf, w->aggr4.p, 8);
	} else {
		put32(buf, get16(w->aggr.p));
		memcpy(buf + 4, w->aggr.p + 2, 4);
	}
	return tlv_add(&w->out->tlvs, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, ATTR_AGGREGATOR, buf, 8);
}

/* Our own address is let through: peers on a shared link do send our routes back to us, and what they
 * announce belongs into Adj-RIB-In. To choose among routes is not this program's business. */
bool next_hop_valid(const uint8_t *nh, size_t len)
{
	static const uint8_t any[16], loopback[16] = { [15] = 1 };

	if (len == 4)
		return nh[0] && nh[0] != 127 && nh[0] < 224;
	return memcmp(nh, any, 16) && memcmp(nh, loopback, 16) && nh[0] != 0xff;
}

/* True: unicast of a family that this session carries. Others are ignored (RFC 4760, section 6). */
static bool family_wanted(const struct attr_env *env, const uint8_t *p, uint8_t *afi)
{
	unsigned int a = get16(p);

	*afi = (uint8_t)a;
	return p[2] == SAFI_UNICAST && ((a == AFI_IPV4 && env->mp4) || (a == AFI_IPV6 && env->mp6));
}

static void mp_reach(struct walk *w, const uint8_t *p, size_t len)
{
	struct mp_routes *r = &w->out->reach;
	size_t nhlen = len > 3 ? p[3] : 0;
	uint8_t afi;

	if (len < 5 || nhlen > len - 5) {
		reset(w, UPD_OPTIONAL, p, len, "MP_REACH_NLRI is cut off");
		return;
	}
	if (!family_wanted(w->env, p, &afi)) {
		fault(w->out, VERDICT_OK, "MP_REACH_NLRI of a family that was not negotiated");
		return;
	}
	if (afi == AFI_IPV4 ? nhlen != 4 : nhlen != 16 && nhlen != 32) {
		reset(w, UPD_OPTIONAL, p, len, "next hop of MP_REACH_NLRI has a wrong length");
		return;
	}
	r->afi = afi;
	r->nhlen = (uint8_t)nhlen;
	memcpy(r->nh, p + 4, nhlen);
	r->nlri = p + 5 + nhlen;
	r->len = len - 5 - nhlen;
	if (!nlri_valid(afi, r->nlri, r->len))
		reset(w, UPD_OPTIONAL, p, len, "MP_REACH_NLRI holds no valid prefix");
	else if (!next_hop_valid(r->nh, afi == AFI_IPV4 ? 4 : 16))
		fault(w->out, VERDICT_WITHDRAW, "next hop is unusable");
}

static void mp_unreach(struct walk *w, const uint8_t *p, size_t len)
{
	struct mp_routes *r = &w->out->unreach;
	uint8_t afi;

	if (len < 3) {
		reset(w, UPD_OPTIONAL, p, len, "MP_UNREACH_NLRI is cut off");
		return;
	}
	if (!family_wanted(w->env, p, &afi))
		return;
	r->afi = afi;
	r->nlri = p + 3;
	r->len = len - 3;
	if (!nlri_valid(afi, r->nlri, r->len))
		reset(w, UPD_OPTIONAL, p, len, "MP_UNREACH_NLRI holds no valid prefix");
}

static bool length_ok(const struct walk *w, const struct rule *rule, size_t len)
{
	if (rule->type == ATTR_AGGREGATOR)
		return len == (w->env->as4 ? 8 : 6);
	if (rule->type == ATTR_ATOMIC)
		return !len;
	if (!rule->unit)
		return true;
	return rule->exact ? len == rule->unit : len && len % rule->unit == 0;
}

static void known(struct walk *w, const struct rule *rule, const struct piece *attr, size_t head)
{
	const uint8_t *p = attr->p + head;
	size_t len = attr->len - head;
	struct parsed *out = w->out;

	if (rule->ibgp_only && !w->env->ibgp)
		return;
	/* The flags first: an MP attribute is still read, to know which routes to withdraw. */
	if ((attr->p[0] & (ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE)) != rule->flags ||
	    !length_ok(w, rule, len)) {
		fault(out, rule->on_bad == ON_BAD_DISCARD ? VERDICT_OK : VERDICT_WITHDRAW,
		      "attribute with wrong flags or length");
		if (rule->type != ATTR_MP_REACH && rule->type != ATTR_MP_UNREACH)
			return;
	}
	switch (rule->type) {
	case ATTR_MP_REACH:
		mp_reach(w, p, len);
		return;
	case ATTR_MP_UNREACH:
		mp_unreach(w, p, len);
		return;
	case ATTR_NEXT_HOP:
		out->next_hop.len = 4;
		memcpy(out->next_hop.b, p, 4);
		return;
	case ATTR_AS_PATH:
		w->path = (struct piece){ p, len };
		return;
	case ATTR_AS4_PATH:
		w->path4 = (struct piece){ p, len };
		return;
	case ATTR_AGGREGATOR:
		w->aggr = (struct piece){ p, len };
		return;
	case ATTR_AS4_AGGREGATOR:
		w->aggr4 = (struct piece){ p, len };
		return;
	case ATTR_ORIGIN:
		if (p[0] > 2) {
			fault(out, VERDICT_WITHDRAW, "ORIGIN is none of the three");
			return;
		}
		break;
	}
	if (!tlv_add(&out->tlvs, attr->p[0], rule->type, p, len))
		fault(out, VERDICT_WITHDRAW, "attributes are too long");
}

static void one(struct walk *w, const struct piece *attr, size_t head)
{
	uint8_t flags = attr->p[0], type = attr->p[1];
	size_t i;

	if (w->seen[type / 8] & 1 << type % 8) {
		if (type == ATTR_MP_REACH || type == ATTR_MP_UNREACH)
			reset(w, UPD_ATTR_LIST, NULL, 0, "MP attribute occurs twice");
		else	/* RFC 7606, section 3 g: the first one counts */
			fault(w->out, VERDICT_OK, "attribute occurs twice");
		return;
	}
	w->seen[type / 8] |= (uint8_t)(1 << type % 8);
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].type == type) {
			known(w, &rules[i], attr, head);
			return;
		}
	}
	if (!(flags & ATTR_F_OPTIONAL))
		reset(w, UPD_WELL_KNOWN, attr->p, attr->len, "unknown well-known attribute");
	else if (flags & ATTR_F_TRANSITIVE &&
		 !tlv_add(&w->out->tlvs, flags | ATTR_F_PARTIAL, type, attr->p + head, attr->len - head))
		fault(w->out, VERDICT_WITHDRAW, "attributes are too long");
}

void attrs_parse(const uint8_t *in, size_t len, const struct attr_env *env, struct parsed *out,
		 struct bgp_error *e)
{
	struct walk w = { .env = env, .out = out, .e = e };
	struct piece attr;

	memset(out, 0, offsetof(struct parsed, tlvs));
	out->tlvs.len = 0;
	if (len > BGP_MSG_MAX) {
		reset(&w, UPD_ATTR_LIST, NULL, 0, "attributes are longer than a message");
		return;
	}
	for (; len; in += attr.len, len -= attr.len) {
		size_t head = in[0] & ATTR_F_EXTENDED ? 4 : 3;

		attr.p = in;
		attr.len = len < head ? SIZE_MAX : head + (head == 4 ? get16(in + 2) : in[2]);
		if (attr.len > len) {
			out->overrun = true;
			fault(out, VERDICT_WITHDRAW, "attribute runs past the end");
			break;
		}
		one(&w, &attr, head);
	}
	if (w.path.p && !add_path(&w))
		fault(out, VERDICT_WITHDRAW, "attributes are too long");
	if (!add_aggregator(&w))
		fault(out, VERDICT_WITHDRAW, "attributes are too long");
}
