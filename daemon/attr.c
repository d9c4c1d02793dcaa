// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include "../lib/wire.h"
#include "attr.h"

bool attr_seq_ok(const void *p, size_t len)
{
	const uint8_t *at = p;

	while (len) {
		struct nlattr a;
		size_t step;

		if (len < sizeof(a))
			return false;
		memcpy(&a, at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > len)
			return false;
		step = MNL_ALIGN((size_t)a.nla_len);
		if (step >= len)
			break;
		at += step;
		len -= step;
	}
	return true;
}

bool attr_name(const struct nlattr *a, char *name, size_t size)
{
	size_t len = strnlen(attr_data(a), attr_len(a));

	if (!len || len >= size || attr_len(a) > len + 1)
		return false;
	memcpy(name, attr_data(a), len);
	name[len] = '\0';
	return nsr_wire_name_ok(name);
}

void attr_buf_free(struct attr_buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void *attr_buf_reserve(struct attr_buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->size - b->len) {
		size_t size = b->size ? b->size : 256;
		uint8_t *data;

		while (size - b->len < n)
			size *= 2;
		data = realloc(b->data, size);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->size = size;
	}
	return b->data + b->len;
}

void attr_buf_append(struct attr_buf *b, const void *p, size_t n)
{
	void *to = attr_buf_reserve(b, n);

	if (!to || !n)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void attr_put(struct attr_buf *b, uint16_t type, const void *p, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(MNL_ATTR_HDRLEN + len), .nla_type = type };
	size_t whole = MNL_ATTR_HDRLEN + MNL_ALIGN(len);
	uint8_t *to;

	if (MNL_ATTR_HDRLEN + len > UINT16_MAX) {
		b->failed = true;
		return;
	}
	to = attr_buf_reserve(b, whole);
	if (!to)
		return;
	memset(to, 0, whole);
	memcpy(to, &a, sizeof(a));
	if (len)
		memcpy(to + MNL_ATTR_HDRLEN, p, len);
	b->len += whole;
}

size_t attr_nest_start(struct attr_buf *b, uint16_t type)
{
	size_t start = b->len;

	attr_put(b, type | NLA_F_NESTED, NULL, 0);
	return start;
}

void attr_nest_end(struct attr_buf *b, size_t start)
{
	struct nlattr a;

	if (b->failed)
		return;
	if (b->len - start > UINT16_MAX) {
		b->failed = true;
		return;
	}
	memcpy(&a, b->data + start, sizeof(a));
	a.nla_len = (uint16_t)(b->len - start);
	memcpy(b->data + start, &a, sizeof(a));
}
