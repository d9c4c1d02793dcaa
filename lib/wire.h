/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire: messages of the application socket (uapi/nsr_app.h), encoded and decoded with bounds. Pure: no
 * I/O, no allocation. libnsr and nsrd link the same file; a fuzzer links it alone.
 *
 * Decoding trusts nothing: nsr_wire_decode() has checked header, type, each attribute's length and
 * value range, and that the message has what its type needs. What it returned 0 for may be read without
 * further checks. Pointers point into the caller's buffer, which is to be aligned to 8 bytes.
 */
#ifndef NSR_WIRE_H
#define NSR_WIRE_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../uapi/nsr_app.h"

#define NSR_WIRE_TEXT_MAX	255u	/* bytes of TEXT, without its NUL */

/**
 * struct nsr_wire - a decoded message
 *
 * @type: enum nsr_app_msg
 * @seq: nlmsg_seq
 * @len: bytes, header included
 * @has: bit n: attribute n is there
 * @a: the first attribute of each type. OP, VALUE and DATA may be repeated: walk with
 *	nsr_wire_for_each().
 */
struct nsr_wire {
	unsigned int type;
	uint32_t seq;
	size_t len;
	uint64_t has;
	const struct nlmsghdr *nlh;
	const struct nlattr *a[NSR_APP_A_MAX + 1];
};

#define NSR_WIRE_BIT(attr)	(UINT64_C(1) << (attr))
#define nsr_wire_for_each(attr, w)	mnl_attr_for_each(attr, (w)->nlh, 0)

/**
 * nsr_wire_decode() - check a message and index its attributes
 * @buf: one datagram, aligned to 8 bytes
 * @len: its length
 * @w: filled
 * @why: set to static words when it fails: what is wrong
 *
 * Return: 0; -EBADMSG: malformed; -EMSGSIZE: longer than NSR_APP_MSG_MAX; -ENOMSG: unknown type.
 */
int nsr_wire_decode(const void *buf, size_t len, struct nsr_wire *w, const char **why);

/* Value of an attribute; 0 when it is absent. */
uint64_t nsr_wire_u64(const struct nsr_wire *w, enum nsr_app_attr attr);
uint32_t nsr_wire_u32(const struct nsr_wire *w, enum nsr_app_attr attr);
uint16_t nsr_wire_u16(const struct nsr_wire *w, enum nsr_app_attr attr);
uint8_t nsr_wire_u8(const struct nsr_wire *w, enum nsr_app_attr attr);
/* NUL-terminated; "" when it is absent. */
const char *nsr_wire_str(const struct nsr_wire *w, enum nsr_app_attr attr);

static inline bool nsr_wire_has(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->has & NSR_WIRE_BIT(attr);
}

/**
 * struct nsr_wire_op - a decoded OP
 *
 * @kind: enum nsr_app_op
 * @has: bit n: attribute n is there (positions, DATA)
 * @conn_id, @handle: 0: absent
 * @value_len, @data_len: bytes of all VALUE, DATA attributes; nsr_wire_op_bytes() copies them
 */
struct nsr_wire_op {
	unsigned int kind;
	uint64_t has;
	uint64_t conn_id;
	uint32_t handle;
	const void *key;
	size_t key_len;
	size_t value_len, data_len;
	uint64_t data_pos, rcv_consumed, rcv_tail_end, snd_written, snd_acked;
	const struct nlattr *attr;
};

/**
 * nsr_wire_op_decode() - check one OP
 * @attr: an NSR_APP_A_OP attribute that lies within bounds (nsr_wire_decode() has seen to it)
 *
 * Return: 0 or -EBADMSG with the words in *why.
 */
int nsr_wire_op_decode(const struct nlattr *attr, struct nsr_wire_op *op, const char **why);

/* Copies all VALUE or DATA attributes, one behind the other; dst has room for value_len or data_len. */
void nsr_wire_op_bytes(const struct nsr_wire_op *op, enum nsr_app_attr which, void *dst);

/* 1...NSR_APP_NAME_MAX characters of [A-Za-z0-9_.-] */
bool nsr_wire_name_ok(const char *name);

/**
 * struct nsr_wire_buf - a message under construction, in the caller's memory
 *
 * Failures stick: @full says that something did not fit; nsr_wire_end() returns 0 then.
 */
struct nsr_wire_buf {
	struct nlmsghdr *nlh;
	size_t size;
	bool full;
	struct nlattr *nest;
};

/* mem: aligned to 8 bytes; size: at least a header, at most NSR_APP_MSG_MAX counts for a message. */
void nsr_wire_begin(struct nsr_wire_buf *b, void *mem, size_t size, unsigned int type);
void nsr_wire_put_u8(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint8_t v);
void nsr_wire_put_u16(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint16_t v);
void nsr_wire_put_u32(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint32_t v);
void nsr_wire_put_u64(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint64_t v);
void nsr_wire_put_flag(struct nsr_wire_buf *b, enum nsr_app_attr attr);
/* Longer than NSR_WIRE_TEXT_MAX: cut. */
void nsr_wire_put_str(struct nsr_wire_buf *b, enum nsr_app_attr attr, const char *s);
/* In as many attributes of NSR_APP_CHUNK_MAX bytes as it takes; at least one. */
void nsr_wire_put_bytes(struct nsr_wire_buf *b, enum nsr_app_attr attr, const void *p, size_t len);
/* CONN_ID if it is not 0, else HANDLE if that is not 0. */
void nsr_wire_put_conn(struct nsr_wire_buf *b, uint64_t conn_id, uint32_t handle);
/* An attribute as it is: an OP of another message. */
void nsr_wire_put_attr(struct nsr_wire_buf *b, const struct nlattr *attr);
void nsr_wire_op_begin(struct nsr_wire_buf *b, unsigned int kind, uint64_t conn_id, uint32_t handle);
void nsr_wire_op_end(struct nsr_wire_buf *b);
/* Sets nlmsg_seq. The message's length; 0: it did not fit. */
size_t nsr_wire_end(struct nsr_wire_buf *b, uint32_t seq);

#endif /* NSR_WIRE_H */
