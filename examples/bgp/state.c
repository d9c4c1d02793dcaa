// SPDX-License-Identifier: GPL-2.0-only
#include "state.h"

enum { F_AS4 = 1, F_REFRESH = 2, F_MP4 = 4, F_MP6 = 8, F_RESEND4 = 16, F_RESEND6 = 32, F_ALL = 63 };
#define SESSION_LEN	(3 + 4 * 4 + 2 + 8)

size_t state_key(enum state_kind kind, const struct prefix *p, uint8_t out[static STATE_KEY_MAX])
{
	out[0] = (uint8_t)kind;
	if (kind == STATE_SESSION || kind == STATE_REST)
		return 1;
	out[1] = p->afi;
	return 2 + prefix_encode(p, out + 2);
}

enum state_kind state_key_decode(const uint8_t *key, size_t len, struct prefix *p)
{
	uint8_t again[STATE_KEY_MAX];
	enum state_kind kind = len ? key[0] : STATE_BAD;

	switch (kind) {
	case STATE_SESSION:
	case STATE_REST:
		return len == 1 ? kind : STATE_BAD;
	case STATE_IN:
	case STATE_OUT:
	case STATE_NETWORK:
		if (len < 3 || key[1] < AFI_IPV4 || key[1] > AFI_IPV6 ||
		    prefix_decode(key[1], key + 2, len - 2, p) != len - 2)
			return STATE_BAD;
		/* One prefix, one key: bits beyond the length would make a second one. */
		if (state_key(kind, p, again) != len || memcmp(again, key, len))
			return STATE_BAD;
		return kind;
	default:
		return STATE_BAD;
	}
}

size_t state_session_encode(const struct session_params *s, uint8_t out[static STATE_VALUE_MAX])
{
	uint8_t *p = out;

	*p++ = STATE_VERSION;
	*p++ = (uint8_t)s->state;
	*p++ = (uint8_t)(s->as4 * F_AS4 | s->refresh * F_REFRESH | s->mp4 * F_MP4 | s->mp6 * F_MP6 |
			 s->resend4 * F_RESEND4 | s->resend6 * F_RESEND6);
	p = put32(put32(put32(put32(p, s->local_as), s->peer_as), s->local_id), s->peer_id);
	p = put16(p, s->hold);
	p = put32(put32(p, (uint32_t)(s->since >> 32)), (uint32_t)s->since);
	return (size_t)(p - out);
}

bool state_session_decode(const uint8_t *val, size_t len, struct session_params *out)
{
	uint8_t f;

	if (len != SESSION_LEN || val[0] != STATE_VERSION || val[1] < SESSION_OPENSENT ||
	    val[1] > SESSION_ESTABLISHED || val[2] & ~F_ALL)
		return false;
	f = val[2];
	*out = (struct session_params){
		.state = val[1], .as4 = f & F_AS4, .refresh = f & F_REFRESH, .mp4 = f & F_MP4,
		.mp6 = f & F_MP6, .resend4 = f & F_RESEND4, .resend6 = f & F_RESEND6,
		.local_as = get32(val + 3), .peer_as = get32(val + 7), .local_id = get32(val + 11),
		.peer_id = get32(val + 15), .hold = get16(val + 19),
		.since = (uint64_t)get32(val + 21) << 32 | get32(val + 25),
	};
	return out->hold != 1 && out->hold != 2;
}

size_t state_attrs_encode(const struct attrs *a, uint8_t out[static STATE_VALUE_MAX])
{
	out[0] = STATE_VERSION;
	return 1 + attrs_encode(a, out + 1);
}

struct attrs *state_attrs_decode(const uint8_t *val, size_t len)
{
	return len && val[0] == STATE_VERSION ? attrs_decode(val + 1, len - 1) : NULL;
}

size_t state_rest_encode(const uint8_t *rest, size_t n, uint8_t out[static STATE_VALUE_MAX])
{
	out[0] = STATE_VERSION;
	put_bytes(out + 1, rest, n);
	return 1 + n;
}

bool state_rest_decode(const uint8_t *val, size_t len, const uint8_t **rest, size_t *n)
{
	if (len < 2 || len > BGP_MSG_MAX || val[0] != STATE_VERSION)
		return false;
	*rest = val + 1;
	*n = len - 1;
	return true;
}
