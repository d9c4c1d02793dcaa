// SPDX-License-Identifier: GPL-2.0-only
/* Framing, OPEN, KEEPALIVE, NOTIFICATION, ROUTE-REFRESH. UPDATE is next door. */
#include <stdio.h>
#include "message.h"

int bgp_fail(struct bgp_error *e, uint8_t code, uint8_t sub, const void *data, size_t len)
{
	e->code = code;
	e->sub = sub;
	e->len = (uint16_t)(len > sizeof(e->data) ? sizeof(e->data) : len);
	put_bytes(e->data, data, e->len);
	return -1;
}

const char *bgp_error_name(uint8_t code, uint8_t sub, char *buf, size_t size)
{
	static const char *const codes[] = {
		"unknown error", "message header error", "OPEN error", "UPDATE error",
		"hold timer expired", "state machine error", "cease", "ROUTE-REFRESH error",
	};
	static const char *const subs[][12] = {
		[ERR_HEADER] = { NULL, "not synchronized", "bad length", "bad type" },
		[ERR_OPEN] = { NULL, "unsupported version", "bad peer AS", "bad BGP identifier",
			       "unsupported optional parameter", NULL, "unacceptable hold time",
			       "unsupported capability" },
		[ERR_UPDATE] = { NULL, "malformed attribute list", "unrecognized well-known attribute",
				 "missing well-known attribute", "attribute flags", "attribute length",
				 "invalid ORIGIN", NULL, "invalid NEXT_HOP", "optional attribute",
				 "invalid network field", "malformed AS_PATH" },
		[ERR_FSM] = { NULL, "unexpected in OpenSent", "unexpected in OpenConfirm",
			      "unexpected in Established" },
		[ERR_CEASE] = { NULL, "maximum number of prefixes", "administrative shutdown",
				"peer de-configured", "administrative reset", "connection rejected",
				"other configuration change", "connection collision",
				"out of resources" },
	};
	const char *s = code < 7 && sub < 12 ? subs[code][sub] : NULL;

	snprintf(buf, size, "%s%s%s (%u/%u)", codes[code < 8 ? code : 0], s ? ": " : "", s ? s : "",
		 code, sub);
	return buf;
}

static size_t head(uint8_t *out, size_t len, uint8_t type)
{
	memset(out, 0xff, 16);
	put16(out + 16, (uint16_t)len);
	out[18] = type;
	return len;
}

int msg_length(const uint8_t *buf, size_t have, struct bgp_error *e)
{
	static const uint16_t least[] = {
		[BGP_OPEN] = 29, [BGP_UPDATE] = 23, [BGP_NOTIFICATION] = 21, [BGP_KEEPALIVE] = 19,
		[BGP_ROUTE_REFRESH] = 23,
	};
	unsigned int len, i;
	uint8_t type;

	/* A stream out of step is told by its first byte: no need to wait for the rest. */
	for (i = 0; i < 16 && i < have; i++)
		if (buf[i] != 0xff)
			return bgp_fail(e, ERR_HEADER, HDR_NOT_SYNC, NULL, 0);
	if (have < BGP_HEADER_LEN)
		return 0;
	len = get16(buf + 16);
	type = buf[18];
	if (type < BGP_OPEN || type > BGP_ROUTE_REFRESH)
		return bgp_fail(e, ERR_HEADER, HDR_BAD_TYPE, buf + 18, 1);
	if (len < least[type] || len > BGP_MSG_MAX ||
	    ((type == BGP_KEEPALIVE || type == BGP_ROUTE_REFRESH) && len != least[type]))
		return bgp_fail(e, ERR_HEADER, HDR_BAD_LENGTH, buf + 16, 2);
	return have < len ? 0 : (int)len;
}

static uint8_t *cap_mp(uint8_t *p, uint8_t afi)
{
	*p++ = CAP_MP;
	*p++ = 4;
	p = put16(p, afi);
	*p++ = 0;
	*p++ = SAFI_UNICAST;
	return p;
}

size_t caps_encode(const struct open_msg *o, uint8_t *out)
{
	uint8_t *p = out;

	if (o->mp4)
		p = cap_mp(p, AFI_IPV4);
	if (o->mp6)
		p = cap_mp(p, AFI_IPV6);
	if (o->refresh) {
		*p++ = CAP_REFRESH;
		*p++ = 0;
	}
	if (o->as4) {
		*p++ = CAP_AS4;
		*p++ = 4;
		p = put32(p, o->as);
	}
	return (size_t)(p - out);
}

size_t open_encode(const struct open_msg *o, uint8_t out[static BGP_MSG_MAX])
{
	uint8_t *p = out + BGP_HEADER_LEN, *params;
	size_t caps;

	*p++ = BGP_VERSION;
	p = put16(p, o->as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)o->as);
	p = put16(p, o->hold);
	p = put32(p, o->id);
	params = p++;
	caps = caps_encode(o, p + 2);
	if (caps) {
		*p++ = OPT_PARAM_CAPS;
		*p++ = (uint8_t)caps;
		p += caps;
	}
	*params = (uint8_t)(p - params - 1);
	return head(out, (size_t)(p - out), BGP_OPEN);
}

static int caps_decode(const uint8_t *p, size_t len, struct open_msg *out, bool *mp_seen,
		       struct bgp_error *e)
{
	for (; len; len -= 2u + p[1], p += 2 + p[1]) {
		if (len < 2 || p[1] > len - 2)
			return bgp_fail(e, ERR_OPEN, 0, NULL, 0);
		if (p[0] == CAP_MP && p[1] == 4) {
			*mp_seen = true;
			out->mp4 |= get16(p + 2) == AFI_IPV4 && p[5] == SAFI_UNICAST;
			out->mp6 |= get16(p + 2) == AFI_IPV6 && p[5] == SAFI_UNICAST;
		} else if (p[0] == CAP_REFRESH && !p[1]) {
			out->refresh = true;
		} else if (p[0] == CAP_AS4 && p[1] == 4) {
			out->as4 = true;
			out->as = get32(p + 2);
		}
	}
	return 0;
}

static int params_decode(const uint8_t *p, size_t len, bool extended, struct open_msg *out,
			 struct bgp_error *e)
{
	size_t head_len = extended ? 3 : 2, n;
	bool mp_seen = false;

	for (; len; p += head_len + n, len -= head_len + n) {
		if (len < head_len)
			return bgp_fail(e, ERR_OPEN, 0, NULL, 0);
		n = extended ? get16(p + 1) : p[1];
		if (n > len - head_len)
			return bgp_fail(e, ERR_OPEN, 0, NULL, 0);
		if (p[0] != OPT_PARAM_CAPS)
			return bgp_fail(e, ERR_OPEN, OPEN_PARAM, p, head_len + n);
		if (caps_decode(p + head_len, n, out, &mp_seen, e))
			return -1;
	}
	if (!mp_seen)		/* a speaker without RFC 4760 speaks IPv4 */
		out->mp4 = true;
	return 0;
}

int open_decode(const uint8_t *msg, size_t len, struct open_msg *out, struct bgp_error *e)
{
	static const uint8_t ours[2] = { 0, BGP_VERSION };
	const uint8_t *p = msg + BGP_HEADER_LEN, *params = p + 10, *end = msg + len;
	bool extended = p[9] && len > 31 && params[0] == OPT_PARAM_EXTENDED;
	size_t params_len = p[9];

	memset(out, 0, sizeof(*out));
	if (p[0] != BGP_VERSION)
		return bgp_fail(e, ERR_OPEN, OPEN_VERSION, ours, 2);
	out->as = get16(p + 1);
	out->hold = get16(p + 3);
	out->id = get32(p + 5);
	if (extended) {
		params_len = get16(params + 1);
		params += 3;
	}
	if (params_len != (size_t)(end - params))
		return bgp_fail(e, ERR_OPEN, 0, NULL, 0);
	if (params_decode(params, params_len, extended, out, e))
		return -1;
	if (!out->as)
		return bgp_fail(e, ERR_OPEN, OPEN_PEER_AS, NULL, 0);
	if (!out->id)
		return bgp_fail(e, ERR_OPEN, OPEN_BGP_ID, NULL, 0);
	if (out->hold == 1 || out->hold == 2)
		return bgp_fail(e, ERR_OPEN, OPEN_HOLD_TIME, NULL, 0);
	return 0;
}

size_t keepalive_encode(uint8_t out[static BGP_MSG_MAX])
{
	return head(out, BGP_HEADER_LEN, BGP_KEEPALIVE);
}

size_t notification_encode(const struct bgp_error *e, uint8_t out[static BGP_MSG_MAX])
{
	out[19] = e->code;
	out[20] = e->sub;
	put_bytes(out + 21, e->data, e->len);
	return head(out, 21u + e->len, BGP_NOTIFICATION);
}

void notification_decode(const uint8_t *msg, size_t len, struct bgp_error *out)
{
	bgp_fail(out, msg[19], msg[20], msg + 21, len - 21);
}

size_t refresh_encode(uint8_t afi, uint8_t out[static BGP_MSG_MAX])
{
	put16(out + BGP_HEADER_LEN, afi);
	out[21] = 0;
	out[22] = SAFI_UNICAST;
	return head(out, 23, BGP_ROUTE_REFRESH);
}

uint8_t refresh_decode(const uint8_t *msg, size_t len)
{
	unsigned int afi = get16(msg + BGP_HEADER_LEN);

	/* A subtype other than 0 belongs to extensions that were not negotiated: RFC 7313. */
	if (len != 23 || msg[21] || msg[22] != SAFI_UNICAST || afi < AFI_IPV4 || afi > AFI_IPV6)
		return 0;
	return (uint8_t)afi;
}
