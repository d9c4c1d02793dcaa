// SPDX-License-Identifier: GPL-2.0-only
/* Connection records: checked, merged by attribute, the fields of interest read from the result. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "attr.h"
#include "store_priv.h"

_Static_assert(TCP_NSR_A_CONN_MAX < 64, "nsr_store_conn.has is a bit per attribute");

/* Length of each known attribute's value, bytes; ADDR: 4 or 16; NAME: of a device, with its NUL. */
#define ADDR 255
#define NAME 254
static const uint8_t lengths[TCP_NSR_A_CONN_MAX + 1] = {
	[TCP_NSR_A_CONN_ID] = 8, [TCP_NSR_A_CONN_RULE_ID] = 4, [TCP_NSR_A_CONN_FAMILY] = 1,
	[TCP_NSR_A_CONN_LADDR] = ADDR, [TCP_NSR_A_CONN_RADDR] = ADDR,
	[TCP_NSR_A_CONN_LPORT] = 2, [TCP_NSR_A_CONN_RPORT] = 2, [TCP_NSR_A_CONN_FLAGS] = 4,
	[TCP_NSR_A_CONN_STATE] = 1, [TCP_NSR_A_CONN_MODE] = 1, [TCP_NSR_A_CONN_GAP] = 1,
	[TCP_NSR_A_CONN_COOKIE] = 8, [TCP_NSR_A_CONN_ISS] = 4, [TCP_NSR_A_CONN_IRS] = 4,
	[TCP_NSR_A_CONN_SND_WSCALE] = 1, [TCP_NSR_A_CONN_RCV_WSCALE] = 1,
	[TCP_NSR_A_CONN_MSS_CLAMP] = 2, [TCP_NSR_A_CONN_ADVMSS] = 2,
	[TCP_NSR_A_CONN_RCV_NXT] = 8, [TCP_NSR_A_CONN_RCV_WUP] = 8, [TCP_NSR_A_CONN_COPIED_SEQ] = 8,
	[TCP_NSR_A_CONN_RIGHT_EDGE] = 8, [TCP_NSR_A_CONN_SND_UNA] = 8, [TCP_NSR_A_CONN_SND_NXT] = 8,
	[TCP_NSR_A_CONN_WRITE_SEQ] = 8, [TCP_NSR_A_CONN_SND_WND] = 4, [TCP_NSR_A_CONN_TSVAL] = 4,
	[TCP_NSR_A_CONN_TS_RECENT] = 4, [TCP_NSR_A_CONN_SNDBUF] = 4, [TCP_NSR_A_CONN_RCVBUF] = 4,
	[TCP_NSR_A_CONN_PMTU] = 4, [TCP_NSR_A_CONN_RCV_VOUCHED] = 8, [TCP_NSR_A_CONN_SND_VOUCHED] = 8,
	[TCP_NSR_A_CONN_PHASE] = 1, [TCP_NSR_A_CONN_ADOPTED_BY] = 1, [TCP_NSR_A_CONN_CLOSE_CAUSE] = 1,
	[TCP_NSR_A_CONN_RCV_MISSING] = 8, [TCP_NSR_A_CONN_SND_MISSING] = 8,
	[TCP_NSR_A_CONN_RCV_UNCERTAIN] = 8, [TCP_NSR_A_CONN_SND_UNCERTAIN] = 1,
	[TCP_NSR_A_CONN_GATE] = 8, [TCP_NSR_A_CONN_GATE_OPEN] = 1,
	[TCP_NSR_A_CONN_DEV_NAME] = NAME, [TCP_NSR_A_CONN_DEV_ROLE] = 1, [TCP_NSR_A_CONN_REFUSED] = 1,
};

static bool length_ok(const struct nlattr *attr, uint8_t want)
{
	size_t n = attr_len(attr);

	if (want == ADDR)
		return n == 4 || n == 16;
	if (want == NAME)
		return n && n <= IF_NAMESIZE && strnlen(attr_data(attr), n) == n - 1;
	return n == want;
}

static int record_check(struct nsr_store *st, const void *rec, size_t len, uint64_t *id)
{
	const struct nlattr *attr;

	*id = 0;
	if (len > NSR_STORE_RECORD_MAX)
		return store_fail(st, -EBADMSG, "connection record of %zu bytes, more than %u", len,
				  NSR_STORE_RECORD_MAX);
	if (!attr_seq_ok(rec, len))
		return store_fail(st, -EBADMSG, "connection record: attributes do not fill it");
	mnl_attr_for_each_payload(rec, len) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type > TCP_NSR_A_CONN_MAX || !lengths[type])
			continue;
		if (!length_ok(attr, lengths[type]))
			return store_fail(st, -EBADMSG, "connection record: attribute %u has %zu bytes",
					  type, attr_len(attr));
		if (type == TCP_NSR_A_CONN_ID)
			attr_u64(attr, id);
	}
	if (!*id)
		return store_fail(st, -EBADMSG, "connection record without an ID");
	return 0;
}

/** struct merge - a record being put together; room for the largest old and the largest new one */
struct merge {
	uint8_t buf[2 * NSR_STORE_RECORD_MAX + 64] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t len;
	uint16_t at[TCP_NSR_A_CONN_MAX + 1];	/* offset + 1 of each known type, 0: none */
};

static void merge_index(struct merge *m)
{
	const struct nlattr *attr;

	memset(m->at, 0, sizeof(m->at));
	mnl_attr_for_each_payload((const void *)m->buf, m->len) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type <= TCP_NSR_A_CONN_MAX)
			m->at[type] = (uint16_t)((const uint8_t *)attr - m->buf + 1);
	}
}

static struct nlattr *merge_find(struct merge *m, uint16_t type)
{
	struct nlattr *attr;

	if (type <= TCP_NSR_A_CONN_MAX)
		return m->at[type] ? (struct nlattr *)(m->buf + m->at[type] - 1) : NULL;
	mnl_attr_for_each_payload((void *)m->buf, m->len)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static void merge_put(struct merge *m, const struct nlattr *a)
{
	uint16_t type = mnl_attr_get_type(a);
	struct nlattr *old = merge_find(m, type);
	size_t whole = MNL_ALIGN((size_t)a->nla_len);

	if (old && old->nla_len == a->nla_len) {
		memcpy(old, a, a->nla_len);
		return;
	}
	if (old) {
		uint8_t *from = (uint8_t *)old + MNL_ALIGN((size_t)old->nla_len);

		memmove(old, from, (size_t)(m->buf + m->len - from));
		m->len -= (size_t)(from - (uint8_t *)old);
	}
	memset(m->buf + m->len, 0, whole);
	memcpy(m->buf + m->len, a, a->nla_len);
	m->len += whole;
	if (old)
		merge_index(m);
	else if (type <= TCP_NSR_A_CONN_MAX)
		m->at[type] = (uint16_t)(m->len - whole + 1);
}

/* What is final in a switchover's positions holds until the socket moves on. */
static void merge_exactness(struct merge *m, const void *rec, size_t len)
{
	const struct nlattr *attr;
	bool flags = false, moved = false;
	struct nlattr *old;
	uint32_t v;

	mnl_attr_for_each_payload(rec, len) {
		uint16_t type = mnl_attr_get_type(attr);

		flags |= type == TCP_NSR_A_CONN_FLAGS;
		moved |= type == TCP_NSR_A_CONN_PHASE ||
			 (type >= TCP_NSR_A_CONN_RCV_NXT && type <= TCP_NSR_A_CONN_WRITE_SEQ);
	}
	old = merge_find(m, TCP_NSR_A_CONN_FLAGS);
	if (!flags && moved && old && attr_u32(old, &v)) {
		v &= ~TCP_NSR_CONN_F_EXACT;
		memcpy(mnl_attr_get_payload(old), &v, sizeof(v));
	}
}

/* c NULL: on top of nothing */
static int merge_start(struct nsr_store *st, struct merge *m, const struct nsr_store_conn *c,
		       const void *rec, size_t len)
{
	const struct nlattr *attr;

	m->len = c ? c->rec_len : 0;
	if (m->len)
		memcpy(m->buf, c->rec, m->len);
	merge_index(m);
	mnl_attr_for_each_payload(rec, len)
		if (mnl_attr_get_type(attr) != TCP_NSR_A_CONN_PAD)
			merge_put(m, attr);
	merge_exactness(m, rec, len);
	if (m->len > NSR_STORE_RECORD_MAX)
		return store_fail(st, -EBADMSG, "connection record grown to %zu bytes, more than %u",
				  m->len, NSR_STORE_RECORD_MAX);
	return 0;
}

static int merge_tuple(struct nsr_store *st, struct merge *m, struct nsr_store_tuple *t)
{
	const struct nlattr *family = merge_find(m, TCP_NSR_A_CONN_FAMILY);
	const struct nlattr *laddr = merge_find(m, TCP_NSR_A_CONN_LADDR);
	const struct nlattr *raddr = merge_find(m, TCP_NSR_A_CONN_RADDR);
	const struct nlattr *lport = merge_find(m, TCP_NSR_A_CONN_LPORT);
	const struct nlattr *rport = merge_find(m, TCP_NSR_A_CONN_RPORT);
	size_t n;

	memset(t, 0, sizeof(*t));
	if (!family || !laddr || !raddr || !lport || !rport)
		return store_fail(st, -EBADMSG, "connection record without family, addresses or ports");
	attr_u8(family, &t->family);
	n = t->family == AF_INET ? 4 : t->family == AF_INET6 ? 16 : 0;
	if (!n || !attr_get(laddr, t->laddr, n) || !attr_get(raddr, t->raddr, n))
		return store_fail(st, -EBADMSG, "connection record: family %u does not fit its addresses",
				  t->family);
	attr_u16(lport, &t->lport);
	attr_u16(rport, &t->rport);
	return 0;
}

static void read_attr(struct nsr_store_conn *c, const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case TCP_NSR_A_CONN_RULE_ID:	attr_u32(a, &c->rule_id); break;
	case TCP_NSR_A_CONN_FLAGS:	attr_u32(a, &c->flags); break;
	case TCP_NSR_A_CONN_STATE:	attr_u8(a, &c->state); break;
	case TCP_NSR_A_CONN_MODE:	attr_u8(a, &c->mode); break;
	case TCP_NSR_A_CONN_GAP:	attr_u8(a, &c->gap); break;
	case TCP_NSR_A_CONN_PHASE:	attr_u8(a, &c->phase); break;
	case TCP_NSR_A_CONN_COOKIE:	attr_u64(a, &c->cookie); break;
	case TCP_NSR_A_CONN_RCV_NXT:	attr_u64(a, &c->rcv_nxt); break;
	case TCP_NSR_A_CONN_RCV_WUP:	attr_u64(a, &c->rcv_wup); break;
	case TCP_NSR_A_CONN_COPIED_SEQ:	attr_u64(a, &c->copied_seq); break;
	case TCP_NSR_A_CONN_SND_UNA:	attr_u64(a, &c->snd_una); break;
	case TCP_NSR_A_CONN_SND_NXT:	attr_u64(a, &c->snd_nxt); break;
	case TCP_NSR_A_CONN_WRITE_SEQ:	attr_u64(a, &c->write_seq); break;
	case TCP_NSR_A_CONN_ADOPTED_BY:	attr_u8(a, &c->adopted_by); break;
	case TCP_NSR_A_CONN_RCV_MISSING: attr_u64(a, &c->rcv_missing); break;
	case TCP_NSR_A_CONN_SND_MISSING: attr_get(a, &c->snd_missing, sizeof(c->snd_missing)); break;
	case TCP_NSR_A_CONN_RCV_UNCERTAIN: attr_u64(a, &c->rcv_uncertain); break;
	case TCP_NSR_A_CONN_SND_UNCERTAIN: attr_u8(a, &c->snd_uncertain); break;
	case TCP_NSR_A_CONN_DEV_NAME:	memcpy(c->dev_name, attr_data(a), attr_len(a)); break;
	case TCP_NSR_A_CONN_DEV_ROLE:	attr_u8(a, &c->dev_role); break;
	}
}

static void conn_read(struct nsr_store_conn *c)
{
	const struct nlattr *attr;

	c->has = 0;
	c->cookie = 0;
	c->rule_id = c->flags = 0;
	c->state = c->mode = c->gap = c->phase = c->adopted_by = c->snd_uncertain = 0;
	c->rcv_nxt = c->rcv_wup = c->copied_seq = c->snd_una = c->snd_nxt = c->write_seq = 0;
	c->rcv_missing = c->rcv_uncertain = 0;
	c->snd_missing = 0;
	c->dev_role = TCP_NSR_DEV_NAMED;
	memset(c->dev_name, 0, sizeof(c->dev_name));
	mnl_attr_for_each_payload(c->rec, c->rec_len) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type <= TCP_NSR_A_CONN_MAX) {
			c->has |= 1ull << type;
			read_attr(c, attr);
		}
	}
	c->exact = c->flags & TCP_NSR_CONN_F_EXACT;
}

static int conn_take(struct nsr_store_conn *c, const struct merge *m)
{
	struct nsr_store *st = c->store;

	if (m->len > c->rec_size) {
		void *rec;

		if (st->bytes + m->len > st->caps.bytes)
			return store_fail(st, -ENOSPC, "the store is full: %zu bytes", st->bytes);
		rec = realloc(c->rec, m->len);
		if (!rec)
			return store_fail(st, -ENOMEM, "out of memory for a connection record");
		st->bytes += m->len - c->rec_size;
		c->rec = rec;
		c->rec_size = m->len;
	}
	memcpy(c->rec, m->buf, m->len);
	c->rec_len = m->len;
	conn_read(c);
	return 0;
}

void store_journal_rest(struct nsr_store_conn *c)
{
	size_t size = c->journal.size;

	if (c->present && c->mode != TCP_NSR_MODE_LOSSLESS) {
		c->has_journal = false;
		nsr_journal_init(&c->journal, 0);
	}
	nsr_journal_rest(&c->journal);
	c->store->bytes -= size - c->journal.size;
}

static void conn_appear(struct nsr_store_conn *c)
{
	struct nsr_store *st = c->store;
	struct nsr_store_state *s;

	c->present = true;
	st->nr_waiting--;
	st->nr_conns++;
	list_del(&c->node);
	list_add_tail(&c->node, &st->conns);
	list_for_each(s, &c->states, conn_node)
		store_state_digest(st, s);
}

/* A sweep's CONN_ADD is the first word of a new account: what an older one said counts no more. */
static void conn_renew(struct nsr_store_conn *c)
{
	if (c->pos_mark == c->store->mark)
		return;			/* a transaction of the new account was faster */
	c->pos_mark = c->store->mark;
	c->has_rcv = c->has_snd = false;
	c->rcv_consumed = c->rcv_tail_end = c->snd_written = 0;
	c->tail = c->tail_buf;
	c->has_journal = false;
	nsr_journal_init(&c->journal, 0);
	c->app = NULL;
}

int nsr_store_conn_upsert(struct nsr_store *st, const void *rec, size_t len, bool add,
			  struct nsr_store_conn **out)
{
	struct nsr_store_conn *c;
	struct nsr_store_tuple tuple;
	struct merge m;
	bool fresh, created, renew;
	uint64_t id;
	int err;

	err = record_check(st, rec, len, &id);
	if (err)
		return err;
	c = store_conn_get(st, id);
	renew = add && c && c->present && c->add_mark != st->mark;
	err = merge_start(st, &m, renew ? NULL : c, rec, len);
	if (!err && add)
		err = merge_tuple(st, &m, &tuple);
	if (err)
		return err;
	fresh = add && !(c && c->present);
	if (fresh && st->nr_conns >= st->caps.conns)
		return store_fail(st, -ENOSPC, "%zu connections already", st->nr_conns);
	created = !c;
	if (!c)
		c = store_conn_create(st, id);
	if (!c)
		return -ENOSPC;
	err = conn_take(c, &m);
	if (err) {
		if (created)
			store_conn_free(c);
		return err;
	}
	c->mark = st->mark;
	if (renew)
		conn_renew(c);
	if (add) {
		c->add_mark = st->mark;
		table_del(&st->by_tuple, &c->tuple_node);
		c->tuple = tuple;
		table_add(&st->by_tuple, &c->tuple_node);
	}
	if (fresh)
		conn_appear(c);
	/* The far end has it: a cursor is as good a word for that as the application's. */
	if (c->has_journal && c->has & 1ull << TCP_NSR_A_CONN_SND_UNA)
		nsr_journal_trim(&c->journal, c->snd_una);
	store_journal_rest(c);
	store_conn_digest(c);
	if (fresh && st->ops.conn_added)
		st->ops.conn_added(st->data, c);
	else if (!fresh && c->present && st->ops.conn_changed)
		st->ops.conn_changed(st->data, c);
	if (out)
		*out = c;
	return 0;
}
