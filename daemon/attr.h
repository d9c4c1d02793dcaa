/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attr: sequences of netlink attributes in memory, read with bounds and built in a growing buffer.
 *
 * Reading: attr_seq_ok() once over the whole, then mnl_attr_for_each_payload() is safe; the getters check
 * the length of each value. Building: failures stick, the caller asks once at the end.
 */
#ifndef NSRD_ATTR_H
#define NSRD_ATTR_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Attributes fill the len bytes at p exactly, each with its padding (the last may lack it). */
bool attr_seq_ok(const void *p, size_t len);

static inline const void *attr_data(const struct nlattr *a)
{
	return mnl_attr_get_payload(a);
}

static inline size_t attr_len(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a);
}

/* False, and *v as it was, if the value has another length. */
static inline bool attr_get(const struct nlattr *a, void *v, size_t len)
{
	if (attr_len(a) != len)
		return false;
	memcpy(v, attr_data(a), len);
	return true;
}

static inline bool attr_u8(const struct nlattr *a, uint8_t *v)
{
	return attr_get(a, v, sizeof(*v));
}

static inline bool attr_u16(const struct nlattr *a, uint16_t *v)
{
	return attr_get(a, v, sizeof(*v));
}

static inline bool attr_u32(const struct nlattr *a, uint32_t *v)
{
	return attr_get(a, v, sizeof(*v));
}

static inline bool attr_u64(const struct nlattr *a, uint64_t *v)
{
	return attr_get(a, v, sizeof(*v));
}

/* A name (nsr_wire_name_ok()) of less than size bytes, with or without a NUL at its end. */
bool attr_name(const struct nlattr *a, char *name, size_t size);

/** struct attr_buf - attributes under construction; all zero is an empty one */
struct attr_buf {
	uint8_t *data;
	size_t len, size;
	bool failed;			/* out of memory, or a value of 64 KiB and more */
};

void attr_buf_free(struct attr_buf *b);
/* Room for n more bytes behind len, which does not move; NULL and failed if there is none. */
void *attr_buf_reserve(struct attr_buf *b, size_t n);
void attr_buf_append(struct attr_buf *b, const void *p, size_t n);	/* bytes as they are */

void attr_put(struct attr_buf *b, uint16_t type, const void *p, size_t len);

static inline void attr_put_u8(struct attr_buf *b, uint16_t type, uint8_t v)
{
	attr_put(b, type, &v, sizeof(v));
}

static inline void attr_put_u16(struct attr_buf *b, uint16_t type, uint16_t v)
{
	attr_put(b, type, &v, sizeof(v));
}

static inline void attr_put_u32(struct attr_buf *b, uint16_t type, uint32_t v)
{
	attr_put(b, type, &v, sizeof(v));
}

static inline void attr_put_u64(struct attr_buf *b, uint16_t type, uint64_t v)
{
	attr_put(b, type, &v, sizeof(v));
}

static inline void attr_put_str(struct attr_buf *b, uint16_t type, const char *s)
{
	attr_put(b, type, s, strlen(s) + 1);
}

/* The offset that attr_nest_end() wants. */
size_t attr_nest_start(struct attr_buf *b, uint16_t type);
void attr_nest_end(struct attr_buf *b, size_t start);

#endif
