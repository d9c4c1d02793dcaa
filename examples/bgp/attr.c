// SPDX-License-Identifier: GPL-2.0-only
/* Sets of path attributes: interning, normal form, replication and wire formats. */
#include <stdlib.h>
#include <string.h>
#include "attr.h"

#define TLV_HEAD	4u

static struct {
	struct attrs **bucket;
	size_t size, used;
} pool;

bool tlv_add(struct tlvs *t, uint8_t flags, uint8_t type, const void *data, size_t len)
{
	size_t at = 0, need = TLV_HEAD + len;
	uint8_t *p;

	if (need > sizeof(t->buf) - t->len)
		return false;
	while (at < t->len && t->buf[at + 1] < type)
		at += TLV_HEAD + get16(t->buf + at + 2);
	p = t->buf + at;
	memmove(p + need, p, t->len - at);
	p[0] = flags & (uint8_t)~ATTR_F_EXTENDED;
	p[1] = type;
	put_bytes(put16(p + 2, (uint16_t)len), data, len);
	t->len += need;
	return true;
}

static uint32_t hash_bytes(uint32_t h, const uint8_t *p, size_t len)
{
	while (len--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static bool pool_grow(void)
{
	size_t i, size = pool.size ? pool.size * 2 : 256;
	struct attrs **bucket = calloc(size, sizeof(struct attrs *)), *a;

	if (!bucket)
		return false;
	for (i = 0; i < pool.size; i++) {
		while ((a = pool.bucket[i])) {
			pool.bucket[i] = a->hash_next;
			a->hash_next = bucket[a->hash % size];
			bucket[a->hash % size] = a;
		}
	}
	free(pool.bucket);
	pool.bucket = bucket;
	pool.size = size;
	return true;
}

static struct attrs *intern(const uint8_t *nh, size_t nhlen, const uint8_t *tlv, size_t len)
{
	uint32_t hash = hash_bytes(hash_bytes(2166136261u, nh, nhlen), tlv, len);
	struct attrs *a;

	if (pool.used >= pool.size && !pool_grow() && !pool.size)
		return NULL;
	for (a = pool.bucket[hash % pool.size]; a; a = a->hash_next)
		if (a->hash == hash && a->nhlen == nhlen && a->len == len &&
		    !memcmp(a->nh, nh, nhlen) && !memcmp(a->tlv, tlv, len))
			return attrs_get(a);
	a = calloc(1, sizeof(*a) + len);
	if (!a)
		return NULL;
	a->refs = 1;
	a->hash = hash;
	a->len = (uint16_t)len;
	a->nhlen = (uint8_t)nhlen;
	put_bytes(a->nh, nh, nhlen);
	put_bytes(a->tlv, tlv, len);
	a->hash_next = pool.bucket[hash % pool.size];
	pool.bucket[hash % pool.size] = a;
	pool.used++;
	return a;
}

struct attrs *attrs_intern(const uint8_t *nh, size_t nhlen, const struct tlvs *t)
{
	static const uint8_t none[1];

	return intern(nhlen ? nh : none, nhlen, t->buf, t->len);
}

struct attrs *attrs_get(struct attrs *a)
{
	if (a)
		a->refs++;
	return a;
}

void attrs_put(struct attrs *a)
{
	struct attrs **at;

	if (!a || --a->refs)
		return;
	at = &pool.bucket[a->hash % pool.size];
	while (*at != a)
		at = &(*at)->hash_next;
	*at = a->hash_next;
	free(a);
	if (!--pool.used) {
		free(pool.bucket);
		memset(&pool, 0, sizeof(pool));
	}
}

const uint8_t *attrs_find(const struct attrs *a, uint8_t type, size_t *len)
{
	size_t at;

	for (at = 0; at < a->len; at += TLV_HEAD + *len) {
		*len = get16(a->tlv + at + 2);
		if (a->tlv[at + 1] == type)
			return a->tlv + at + TLV_HEAD;
	}
	*len = 0;
	return NULL;
}

size_t attrs_encode(const struct attrs *a, uint8_t out[static ATTRS_MAX])
{
	uint8_t *p = out;

	*p++ = a->nhlen;
	p = put_bytes(p, a->nh, a->nhlen);
	p = put_bytes(p, a->tlv, a->len);
	return (size_t)(p - out);
}

int as_path_count(const uint8_t *p, size_t len, size_t width)
{
	int count = 0;

	while (len) {
		size_t i, need;

		if (len < 2 || p[0] < AS_SET || p[0] > AS_SEQUENCE || !p[1])
			return -1;
		need = 2 + p[1] * width;
		if (need > len)
			return -1;
		for (i = 2; i < need; i += width)	/* RFC 7607: AS 0 */
			if (!get16(p + i) && (width == 2 || !get16(p + i + 2)))
				return -1;
		count += p[0] == AS_SET ? 1 : p[1];
		p += need;
		len -= need;
	}
	return count;
}

/* What every reader of a set relies on: whole TLVs, ascending, of the lengths that their types have. */
static bool tlv_valid(uint8_t type, const uint8_t *p, size_t len)
{
	switch (type) {
	case ATTR_ORIGIN:
		return len == 1 && p[0] <= 2;
	case ATTR_AS_PATH:
		return as_path_count(p, len, 4) >= 0;
	case ATTR_MED:
	case ATTR_LOCAL_PREF:
	case ATTR_ORIGINATOR:
		return len == 4;
	case ATTR_ATOMIC:
		return !len;
	case ATTR_AGGREGATOR:
		return len == 8;
	case ATTR_COMMUNITIES:
	case ATTR_CLUSTERS:
		return len && len % 4 == 0;
	case ATTR_EXT_COMMUNITIES:
		return len && len % 8 == 0;
	case ATTR_LARGE_COMMUNITIES:
		return len && len % 12 == 0;
	case ATTR_NEXT_HOP:
	case ATTR_MP_REACH:
	case ATTR_MP_UNREACH:
	case ATTR_AS4_PATH:
	case ATTR_AS4_AGGREGATOR:
		return false;
	default:
		return true;
	}
}

struct attrs *attrs_decode(const uint8_t *in, size_t len)
{
	const uint8_t *nh = in + 1, *tlv;
	size_t nhlen, at, n;
	int last = -1;

	if (!len)
		return NULL;
	nhlen = in[0];
	if ((nhlen != 0 && nhlen != 4 && nhlen != 16 && nhlen != 32) || nhlen > len - 1)
		return NULL;
	tlv = nh + nhlen;
	len -= 1 + nhlen;
	if (len > TLV_MAX)
		return NULL;
	for (at = 0; at < len; at += TLV_HEAD + n) {
		if (len - at < TLV_HEAD || tlv[at + 1] <= last || tlv[at] & ATTR_F_EXTENDED)
			return NULL;
		n = get16(tlv + at + 2);
		last = tlv[at + 1];
		if (n > len - at - TLV_HEAD ||
		    !tlv_valid(tlv[at + 1], tlv + at + TLV_HEAD, n))
			return NULL;
	}
	return intern(nh, nhlen, tlv, len);
}

static uint8_t *wire_head(uint8_t *p, uint8_t flags, uint8_t type, size_t len)
{
	*p++ = len > 255 ? flags | ATTR_F_EXTENDED : flags;
	*p++ = type;
	if (len > 255)
		return put16(p, (uint16_t)len);
	*p++ = (uint8_t)len;
	return p;
}

/* RFC 6793: towards a speaker of two octets the wide numbers travel in AS4_PATH. */
static uint8_t *wire_narrow_path(uint8_t *out, const uint8_t *path, size_t len, bool *wide)
{
	uint8_t narrow[TLV_MAX], *p = narrow;
	size_t at = 0;

	while (at < len) {
		unsigned int n = path[at + 1];

		p = put_bytes(p, path + at, 2);
		for (at += 2; n--; at += 4) {
			uint32_t as = get32(path + at);

			*wide |= as > UINT16_MAX;
			p = put16(p, as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)as);
		}
	}
	out = wire_head(out, ATTR_F_TRANSITIVE, ATTR_AS_PATH, (size_t)(p - narrow));
	return put_bytes(out, narrow, (size_t)(p - narrow));
}

size_t attrs_wire(const struct attrs *a, uint8_t afi, bool as4, uint8_t *out, size_t room)
{
	const uint8_t *path = NULL;
	size_t at, n, path_len = 0;
	bool wide = false, hop_due = afi == AFI_IPV4;
	uint8_t *p = out;

	if ((size_t)a->len * 2 + 16 > room)	/* generous: AS_PATH may go out twice */
		return 0;
	for (at = 0; at <= a->len; at += TLV_HEAD + n) {
		uint8_t type = at < a->len ? a->tlv[at + 1] : UINT8_MAX;

		if (hop_due && type > ATTR_NEXT_HOP) {
			hop_due = false;
			p = put_bytes(wire_head(p, ATTR_F_TRANSITIVE, ATTR_NEXT_HOP, a->nhlen),
				      a->nh, a->nhlen);
		}
		if (at == a->len)
			break;
		n = get16(a->tlv + at + 2);
		if (type == ATTR_AS_PATH && !as4) {
			path = a->tlv + at + TLV_HEAD;
			path_len = n;
			p = wire_narrow_path(p, path, n, &wide);
			continue;
		}
		p = wire_head(p, a->tlv[at], type, n);
		p = put_bytes(p, a->tlv + at + TLV_HEAD, n);
	}
	if (wide) {
		p = wire_head(p, ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE, ATTR_AS4_PATH, path_len);
		p = put_bytes(p, path, path_len);
	}
	return (size_t)(p - out);
}
