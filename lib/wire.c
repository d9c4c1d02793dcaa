// SPDX-License-Identifier: LGPL-2.1-or-later
/* wire: see wire.h. Two tables say what is allowed; the code only looks things up. */
#include <errno.h>
#include <string.h>

#include "wire.h"

_Static_assert(NSR_APP_A_MAX < 64, "one bit of a u64 for each attribute");

/* Length bounds of an attribute's payload; strings: NUL included. */
struct rule {
	uint16_t min, max;
	bool is_str, repeated;
	uint8_t top;			/* u8 only: largest value, 0: any */
};

#define FIXED(n)	{ .min = (n), .max = (n) }
#define ENUM(last)	{ .min = 1, .max = 1, .top = (last) }

static const struct rule rules[NSR_APP_A_MAX + 1] = {
	[NSR_APP_A_SCHEMA_MAJOR]	= FIXED(2),
	[NSR_APP_A_SCHEMA_MINOR]	= FIXED(2),
	[NSR_APP_A_GROUP]		= { .min = 2, .max = NSR_APP_NAME_MAX + 1, .is_str = true },
	[NSR_APP_A_APP]			= { .min = 2, .max = NSR_APP_NAME_MAX + 1, .is_str = true },
	[NSR_APP_A_GROUP_ID]		= FIXED(4),
	[NSR_APP_A_ROLE]		= ENUM(3),
	[NSR_APP_A_TERM]		= FIXED(8),
	[NSR_APP_A_DEADLINE_MS]		= FIXED(4),
	[NSR_APP_A_EPOCH]		= FIXED(4),
	[NSR_APP_A_ERRNO]		= FIXED(4),
	[NSR_APP_A_TEXT]		= { .min = 1, .max = NSR_WIRE_TEXT_MAX + 1, .is_str = true },
	[NSR_APP_A_HANDLE]		= FIXED(4),
	[NSR_APP_A_CONN_ID]		= FIXED(8),
	[NSR_APP_A_FAMILY]		= FIXED(1),
	[NSR_APP_A_LADDR]		= { .min = 4, .max = 16 },
	[NSR_APP_A_RADDR]		= { .min = 4, .max = 16 },
	[NSR_APP_A_LPORT]		= FIXED(2),
	[NSR_APP_A_RPORT]		= FIXED(2),
	[NSR_APP_A_COOKIE]		= FIXED(8),
	[NSR_APP_A_ACTIVE_OPEN]		= ENUM(1),
	[NSR_APP_A_MODE]		= ENUM(2),
	[NSR_APP_A_GAP]			= ENUM(2),
	[NSR_APP_A_PROTECTED]		= ENUM(1),
	[NSR_APP_A_TXN]			= FIXED(8),
	[NSR_APP_A_LAST]		= FIXED(0),
	[NSR_APP_A_SNAPSHOT]		= FIXED(0),
	[NSR_APP_A_OP]			= { .min = 8, .max = UINT16_MAX, .repeated = true },
	[NSR_APP_A_OP_KIND]		= FIXED(1),
	[NSR_APP_A_KEY]			= { .min = 1, .max = NSR_APP_KEY_MAX },
	[NSR_APP_A_VALUE]		= { .min = 0, .max = NSR_APP_CHUNK_MAX, .repeated = true },
	[NSR_APP_A_DATA]		= { .min = 0, .max = NSR_APP_CHUNK_MAX, .repeated = true },
	[NSR_APP_A_DATA_POS]		= FIXED(8),
	[NSR_APP_A_RCV_CONSUMED]	= FIXED(8),
	[NSR_APP_A_RCV_TAIL_END]	= FIXED(8),
	[NSR_APP_A_SND_WRITTEN]		= FIXED(8),
	[NSR_APP_A_SND_POS]		= FIXED(8),
	[NSR_APP_A_RCV_MISSING]		= FIXED(8),
	[NSR_APP_A_RCV_UNCERTAIN]	= FIXED(8),
	[NSR_APP_A_SND_UNCERTAIN]	= ENUM(1),
	[NSR_APP_A_PLANNED]		= ENUM(1),
	[NSR_APP_A_WHY]			= ENUM(4),
	[NSR_APP_A_UNPROTECT]		= FIXED(0),
	[NSR_APP_A_SND_ACKED]		= FIXED(8),
};

/* What a message cannot be without: all of .all, and, if .any is not 0, at least one of .any. */
struct need {
	uint64_t all, any;
};

#define B(x)		NSR_WIRE_BIT(NSR_APP_A_##x)
#define CONN		(B(CONN_ID) | B(HANDLE))
#define TUPLE		(B(FAMILY) | B(LADDR) | B(RADDR) | B(LPORT) | B(RPORT))

static const struct need needs[__NSR_APP_MSG_MAX] = {
	[NSR_APP_HELLO]		= { .all = B(SCHEMA_MAJOR) | B(SCHEMA_MINOR) | B(GROUP) | B(APP) },
	[NSR_APP_WELCOME]	= { .all = B(GROUP_ID) | B(ROLE) | B(TERM) },
	[NSR_APP_REFUSED]	= { .all = B(ERRNO) | B(TEXT) },
	[NSR_APP_ROLE]		= { .all = B(ROLE) | B(TERM) },
	[NSR_APP_SNAPSHOT]	= { .all = B(EPOCH) },
	[NSR_APP_SNAPSHOT_DONE]	= { .all = B(EPOCH) },
	[NSR_APP_ATTACH]	= { .all = TUPLE | B(HANDLE) | B(COOKIE) },
	[NSR_APP_ATTACHED]	= { .all = B(HANDLE) },
	[NSR_APP_DETACH]	= { .any = CONN },
	[NSR_APP_SET_GAP]	= { .all = B(GAP), .any = CONN },
	[NSR_APP_TXN]		= { .all = 0 },
	[NSR_APP_TXN_ACK]	= { .all = B(TXN) },
	[NSR_APP_SYNCED]	= { .all = 0 },
	[NSR_APP_CONN_ADDED]	= { .all = TUPLE | B(CONN_ID) },
	[NSR_APP_CLAIMED]	= { .all = B(CONN_ID) },
	[NSR_APP_CONN_TAIL]	= { .all = B(CONN_ID) | B(RCV_CONSUMED) | B(DATA) },
	[NSR_APP_CONN_RESUMED]	= { .all = B(CONN_ID) | B(RCV_CONSUMED) | B(RCV_TAIL_END) | B(SND_POS) },
	[NSR_APP_CONN_GONE]	= { .all = B(WHY), .any = CONN },
	[NSR_APP_CONN_STATUS]	= { .all = B(CONN_ID) },
	[NSR_APP_LEFT]		= { .all = 0 },
	[NSR_APP_FROZEN]	= { .all = 0 },
	[NSR_APP_DRAINED]	= { .all = 0 },
	[NSR_APP_CONN_JOURNAL]	= { .all = B(CONN_ID) | B(DATA_POS) | B(DATA) },
};

static const struct need op_needs[] = {
	[NSR_APP_OP_PUT]	= { .all = B(KEY) },
	[NSR_APP_OP_DEL]	= { .all = B(KEY) },
	[NSR_APP_OP_CONN]	= { .any = CONN },
	[NSR_APP_OP_JOURNAL]	= { .all = B(DATA_POS) | B(DATA), .any = CONN },
};

static bool need_met(const struct need *n, uint64_t has)
{
	return (has & n->all) == n->all && (!n->any || (has & n->any));
}

static const char *attr_fault(const struct nlattr *attr)
{
	const struct rule *r = &rules[mnl_attr_get_type(attr)];
	const uint8_t *p = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	if (len < r->min || len > r->max)
		return "an attribute has an impossible length";
	if (r->is_str && memchr(p, 0, len) != p + len - 1)
		return "a string does not end with its first NUL";
	if (r->top && p[0] > r->top)
		return "an attribute has an unknown value";
	return NULL;
}

/* Index one attribute; NULL: fine. Unknown types are skipped: a newer minor schema. */
static const char *attr_index(const struct nlattr *attr, const struct nlattr **a, uint64_t *has)
{
	uint16_t type = mnl_attr_get_type(attr);
	const char *fault;

	if (type == NSR_APP_A_UNSPEC)
		return "attribute of type 0";
	if (type > NSR_APP_A_MAX)
		return NULL;
	fault = attr_fault(attr);
	if (fault)
		return fault;
	if (*has & NSR_WIRE_BIT(type))
		return rules[type].repeated ? NULL : "an attribute is there twice";
	*has |= NSR_WIRE_BIT(type);
	a[type] = attr;
	return NULL;
}

/* Walk over len bytes of attributes. They must fill it: half an attribute is a torn message. */
static const char *attrs_index(const void *p, size_t len, const struct nlattr **a, uint64_t *has)
{
	const struct nlattr *attr = p;
	const char *end = (const char *)p + len, *fault;

	while ((const char *)attr < end) {
		if (!mnl_attr_ok(attr, end - (const char *)attr))
			return "attributes do not fill the message";
		fault = attr_index(attr, a, has);
		if (fault)
			return fault;
		attr = mnl_attr_next(attr);
	}
	return NULL;
}

static const char *tuple_fault(const struct nsr_wire *w)
{
	uint8_t family = nsr_wire_u8(w, NSR_APP_A_FAMILY);
	size_t want = family == 2 ? 4 : 16;	/* AF_INET is 2, AF_INET6 10 on every Linux */

	if (!nsr_wire_has(w, NSR_APP_A_FAMILY))
		return NULL;
	if (family != 2 && family != 10)
		return "FAMILY is neither AF_INET nor AF_INET6";
	if ((w->a[NSR_APP_A_LADDR] && mnl_attr_get_payload_len(w->a[NSR_APP_A_LADDR]) != want) ||
	    (w->a[NSR_APP_A_RADDR] && mnl_attr_get_payload_len(w->a[NSR_APP_A_RADDR]) != want))
		return "an address has not the length of its family";
	return NULL;
}

int nsr_wire_decode(const void *buf, size_t len, struct nsr_wire *w, const char **why)
{
	const struct nlmsghdr *nlh = buf;

	memset(w, 0, sizeof(*w));
	*why = "shorter than its header, or its length is not what it says";
	if (len > NSR_APP_MSG_MAX) {
		*why = "longer than a message may be";
		return -EMSGSIZE;
	}
	if (len < MNL_NLMSG_HDRLEN || nlh->nlmsg_len != len)
		return -EBADMSG;
	*why = "unknown type of message";
	if (nlh->nlmsg_type < NSR_APP_HELLO || nlh->nlmsg_type >= __NSR_APP_MSG_MAX)
		return -ENOMSG;
	w->nlh = nlh;
	w->type = nlh->nlmsg_type;
	w->seq = nlh->nlmsg_seq;
	w->len = len;
	*why = attrs_index(mnl_nlmsg_get_payload(nlh), len - MNL_NLMSG_HDRLEN, w->a, &w->has);
	if (*why)
		return -EBADMSG;
	*why = tuple_fault(w);
	if (*why)
		return -EBADMSG;
	*why = "an attribute that this message needs is missing";
	if (!need_met(&needs[w->type], w->has))
		return -EBADMSG;
	*why = NULL;
	return 0;
}

int nsr_wire_op_decode(const struct nlattr *attr, struct nsr_wire_op *op, const char **why)
{
	const struct nlattr *a[NSR_APP_A_MAX + 1] = { NULL }, *i;

	memset(op, 0, sizeof(*op));
	op->attr = attr;
	*why = attrs_index(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), a, &op->has);
	if (*why)
		return -EBADMSG;
	*why = "OP of no known kind";
	if (!a[NSR_APP_A_OP_KIND])
		return -EBADMSG;
	op->kind = mnl_attr_get_u8(a[NSR_APP_A_OP_KIND]);
	if (op->kind < NSR_APP_OP_PUT || op->kind > NSR_APP_OP_JOURNAL)
		return -EBADMSG;
	*why = "an attribute that this OP needs is missing";
	if (!need_met(&op_needs[op->kind], op->has))
		return -EBADMSG;

	if (a[NSR_APP_A_KEY]) {
		op->key = mnl_attr_get_payload(a[NSR_APP_A_KEY]);
		op->key_len = mnl_attr_get_payload_len(a[NSR_APP_A_KEY]);
	}
	if (a[NSR_APP_A_CONN_ID])
		op->conn_id = mnl_attr_get_u64(a[NSR_APP_A_CONN_ID]);
	if (a[NSR_APP_A_HANDLE])
		op->handle = mnl_attr_get_u32(a[NSR_APP_A_HANDLE]);
	if (a[NSR_APP_A_DATA_POS])
		op->data_pos = mnl_attr_get_u64(a[NSR_APP_A_DATA_POS]);
	if (a[NSR_APP_A_RCV_CONSUMED])
		op->rcv_consumed = mnl_attr_get_u64(a[NSR_APP_A_RCV_CONSUMED]);
	if (a[NSR_APP_A_RCV_TAIL_END])
		op->rcv_tail_end = mnl_attr_get_u64(a[NSR_APP_A_RCV_TAIL_END]);
	if (a[NSR_APP_A_SND_WRITTEN])
		op->snd_written = mnl_attr_get_u64(a[NSR_APP_A_SND_WRITTEN]);
	if (a[NSR_APP_A_SND_ACKED])
		op->snd_acked = mnl_attr_get_u64(a[NSR_APP_A_SND_ACKED]);
	mnl_attr_for_each_nested(i, attr) {
		if (mnl_attr_get_type(i) == NSR_APP_A_VALUE)
			op->value_len += mnl_attr_get_payload_len(i);
		else if (mnl_attr_get_type(i) == NSR_APP_A_DATA)
			op->data_len += mnl_attr_get_payload_len(i);
	}
	*why = "a value is longer than NSR_APP_VALUE_MAX";
	if (op->value_len > NSR_APP_VALUE_MAX)
		return -EBADMSG;
	*why = NULL;
	return 0;
}

void nsr_wire_op_bytes(const struct nsr_wire_op *op, enum nsr_app_attr which, void *dst)
{
	const struct nlattr *i;
	uint8_t *d = dst;

	mnl_attr_for_each_nested(i, op->attr) {
		if (mnl_attr_get_type(i) != which || !mnl_attr_get_payload_len(i))
			continue;
		memcpy(d, mnl_attr_get_payload(i), mnl_attr_get_payload_len(i));
		d += mnl_attr_get_payload_len(i);
	}
}

uint64_t nsr_wire_u64(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->a[attr] ? mnl_attr_get_u64(w->a[attr]) : 0;
}

uint32_t nsr_wire_u32(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->a[attr] ? mnl_attr_get_u32(w->a[attr]) : 0;
}

uint16_t nsr_wire_u16(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->a[attr] ? mnl_attr_get_u16(w->a[attr]) : 0;
}

uint8_t nsr_wire_u8(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->a[attr] ? mnl_attr_get_u8(w->a[attr]) : 0;
}

const char *nsr_wire_str(const struct nsr_wire *w, enum nsr_app_attr attr)
{
	return w->a[attr] ? mnl_attr_get_str(w->a[attr]) : "";
}

bool nsr_wire_name_ok(const char *name)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t n = strnlen(name, NSR_APP_NAME_MAX + 1);

	return n && n <= NSR_APP_NAME_MAX && strspn(name, set) == n;
}

void nsr_wire_begin(struct nsr_wire_buf *b, void *mem, size_t size, unsigned int type)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	b->nlh = mnl_nlmsg_put_header(mem);
	b->nlh->nlmsg_type = type;
}

static void put(struct nsr_wire_buf *b, enum nsr_app_attr attr, size_t len, const void *p)
{
	if (!mnl_attr_put_check(b->nlh, b->size, attr, len, p))
		b->full = true;
}

void nsr_wire_put_u8(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint8_t v)
{
	put(b, attr, sizeof(v), &v);
}

void nsr_wire_put_u16(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint16_t v)
{
	put(b, attr, sizeof(v), &v);
}

void nsr_wire_put_u32(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint32_t v)
{
	put(b, attr, sizeof(v), &v);
}

void nsr_wire_put_u64(struct nsr_wire_buf *b, enum nsr_app_attr attr, uint64_t v)
{
	put(b, attr, sizeof(v), &v);
}

void nsr_wire_put_flag(struct nsr_wire_buf *b, enum nsr_app_attr attr)
{
	put(b, attr, 0, "");
}

void nsr_wire_put_str(struct nsr_wire_buf *b, enum nsr_app_attr attr, const char *s)
{
	char text[NSR_WIRE_TEXT_MAX + 1];
	size_t n = strnlen(s, NSR_WIRE_TEXT_MAX);

	memcpy(text, s, n);
	text[n] = '\0';
	put(b, attr, n + 1, text);
}

void nsr_wire_put_bytes(struct nsr_wire_buf *b, enum nsr_app_attr attr, const void *p, size_t len)
{
	const uint8_t *d = p;
	size_t max = rules[attr].repeated ? NSR_APP_CHUNK_MAX : UINT16_MAX - MNL_ATTR_HDRLEN;

	do {
		size_t n = len < max ? len : max;

		put(b, attr, n, n ? d : (const uint8_t *)"");
		d += n;
		len -= n;
	} while (len && !b->full);
}

void nsr_wire_put_conn(struct nsr_wire_buf *b, uint64_t conn_id, uint32_t handle)
{
	if (conn_id)
		nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, conn_id);
	else if (handle)
		nsr_wire_put_u32(b, NSR_APP_A_HANDLE, handle);
}

void nsr_wire_put_attr(struct nsr_wire_buf *b, const struct nlattr *attr)
{
	put(b, mnl_attr_get_type(attr), mnl_attr_get_payload_len(attr), mnl_attr_get_payload(attr));
}

void nsr_wire_op_begin(struct nsr_wire_buf *b, unsigned int kind, uint64_t conn_id, uint32_t handle)
{
	b->nest = mnl_attr_nest_start_check(b->nlh, b->size, NSR_APP_A_OP);
	if (!b->nest) {
		b->full = true;
		return;
	}
	nsr_wire_put_u8(b, NSR_APP_A_OP_KIND, kind);
	nsr_wire_put_conn(b, conn_id, handle);
}

void nsr_wire_op_end(struct nsr_wire_buf *b)
{
	if (!b->nest)
		return;
	if ((char *)mnl_nlmsg_get_payload_tail(b->nlh) - (char *)b->nest > UINT16_MAX)
		b->full = true;		/* nla_len has 16 bits */
	else
		mnl_attr_nest_end(b->nlh, b->nest);
	b->nest = NULL;
}

size_t nsr_wire_end(struct nsr_wire_buf *b, uint32_t seq)
{
	b->nlh->nlmsg_seq = seq;
	if (b->full || b->nlh->nlmsg_len > NSR_APP_MSG_MAX)
		return 0;
	return b->nlh->nlmsg_len;
}
