// SPDX-License-Identifier: GPL-2.0-only
/* UPDATE, in and out. */
#include "message.h"

static void fault(struct parsed *a, const char *why)
{
	if (a->verdict == VERDICT_OK) {
		a->verdict = VERDICT_WITHDRAW;
		a->why = why;
	}
}

static bool has(const struct tlvs *t, uint8_t type)
{
	size_t at;

	for (at = 0; at < t->len; at += 4u + get16(t->buf + at + 2))
		if (t->buf[at + 1] == type)
			return true;
	return false;
}

static void check_mandatory(struct update_msg *u)
{
	struct parsed *a = &u->attr;
	const struct addr *nh = &a->next_hop;

	if (!u->nlri_len && !a->reach.afi)
		return;
	if (!has(&a->tlvs, ATTR_ORIGIN) || !has(&a->tlvs, ATTR_AS_PATH))
		fault(a, "well-known attribute is missing");
	if (!u->nlri_len)
		return;
	if (nh->len != 4)
		fault(a, "NEXT_HOP is missing");
	else if (!next_hop_valid(nh->b, 4))
		fault(a, "next hop is unusable");
}

int update_decode(const uint8_t *msg, size_t len, const struct attr_env *env, struct update_msg *out,
		  struct bgp_error *e)
{
	const uint8_t *p = msg + BGP_HEADER_LEN;
	size_t left = len - BGP_HEADER_LEN, attr_len;
	struct parsed *a = &out->attr;

	a->why = NULL;
	out->withdrawn_len = get16(p);
	out->withdrawn = p + 2;
	if (out->withdrawn_len > left - 4)
		return bgp_fail(e, ERR_UPDATE, UPD_ATTR_LIST, NULL, 0);
	p += 2 + out->withdrawn_len;
	left -= 4 + out->withdrawn_len;
	attr_len = get16(p);
	if (attr_len > left)
		return bgp_fail(e, ERR_UPDATE, UPD_ATTR_LIST, NULL, 0);
	out->nlri = p + 2 + attr_len;
	out->nlri_len = left - attr_len;
	/* RFC 7606, section 5.3: prefixes that cannot be told apart leave nothing to withdraw. */
	if (!nlri_valid(AFI_IPV4, out->withdrawn, out->withdrawn_len) ||
	    !nlri_valid(AFI_IPV4, out->nlri, out->nlri_len))
		return bgp_fail(e, ERR_UPDATE, UPD_NETWORK, NULL, 0);
	attrs_parse(p + 2, attr_len, env, a, e);
	if (a->verdict == VERDICT_RESET)
		return -1;
	/* Cut off before any route was named: whatever it was about cannot be withdrawn. */
	if (a->overrun && !out->nlri_len && !a->reach.afi)
		return bgp_fail(e, ERR_UPDATE, UPD_ATTR_LIST, NULL, 0);
	check_mandatory(out);
	return 0;
}

bool update_begin(struct update_builder *b, const struct attrs *attrs, uint8_t afi, bool as4)
{
	size_t fixed = BGP_HEADER_LEN + 4;

	b->attrs = attrs;
	b->afi = afi;
	b->nlri_len = b->attr_len = 0;
	if (attrs) {
		b->attr_len = attrs_wire(attrs, afi, as4, b->attr, sizeof(b->attr));
		if (!b->attr_len)
			return false;
	}
	if (afi != AFI_IPV4)	/* the head of MP_REACH or MP_UNREACH */
		fixed += 4 + 5u + (attrs ? attrs->nhlen : 0u);
	if (fixed + b->attr_len + 17 > BGP_MSG_MAX)
		return false;
	b->room = BGP_MSG_MAX - fixed - b->attr_len;
	return true;
}

bool update_add(struct update_builder *b, const struct prefix *p)
{
	if (1u + (p->plen + 7u) / 8 > b->room - b->nlri_len)
		return false;
	b->nlri_len += prefix_encode(p, b->nlri + b->nlri_len);
	return true;
}

/* RFC 7606, section 5.1: the MP attribute comes first, so that a fault behind it leaves it readable. */
static uint8_t *mp_put(const struct update_builder *b, uint8_t *p)
{
	size_t len = b->nlri_len + (b->attrs ? 5u + b->attrs->nhlen : 3u);

	*p++ = ATTR_F_OPTIONAL | ATTR_F_EXTENDED;
	*p++ = b->attrs ? ATTR_MP_REACH : ATTR_MP_UNREACH;
	p = put16(p, (uint16_t)len);
	p = put16(p, b->afi);
	*p++ = SAFI_UNICAST;
	if (b->attrs) {
		*p++ = b->attrs->nhlen;
		p = put_bytes(p, b->attrs->nh, b->attrs->nhlen);
		*p++ = 0;
	}
	return put_bytes(p, b->nlri, b->nlri_len);
}

size_t update_end(const struct update_builder *b, uint8_t out[static BGP_MSG_MAX])
{
	uint8_t *p = out + BGP_HEADER_LEN, *attr_len;
	bool v4 = b->afi == AFI_IPV4;
	size_t withdrawn = v4 && !b->attrs ? b->nlri_len : 0;

	p = put16(p, (uint16_t)withdrawn);
	p = put_bytes(p, b->nlri, withdrawn);
	attr_len = p;
	p += 2;
	if (!v4)
		p = mp_put(b, p);
	p = put_bytes(p, b->attr, b->attr_len);
	put16(attr_len, (uint16_t)(p - attr_len - 2));
	if (v4 && b->attrs)
		p = put_bytes(p, b->nlri, b->nlri_len);
	memset(out, 0xff, 16);
	put16(out + 16, (uint16_t)(p - out));
	out[18] = BGP_UPDATE;
	return (size_t)(p - out);
}
