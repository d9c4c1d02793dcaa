// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records that the peer sends about one group: into the store, on a box that has asked for them. What is
 * malformed closes the link; what does not fit is a loss, and the role machine decides.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "sync.h"

/** struct record - the attributes that the records other than TXN have */
struct record {
	uint32_t ask, epoch;
	struct nsr_term term;
	const uint8_t *digest;
	bool last;
};

static int record_read(const struct nsr_frame *f, struct record *r, const char **why)
{
	const struct nlattr *attr;
	bool ok = true;

	memset(r, 0, sizeof(*r));
	mnl_attr_for_each_payload(f->attrs, f->len)
		switch (mnl_attr_get_type(attr)) {
		case NSR_SYNC_A_ASK:
			ok &= attr_u32(attr, &r->ask);
			break;
		case TCP_NSR_A_EPOCH:
			ok &= attr_u32(attr, &r->epoch);
			break;
		case TCP_NSR_A_TERM:
			ok &= attr_u64(attr, &r->term.number);
			break;
		case TCP_NSR_A_TERM_OWNER:
			ok &= attr_u32(attr, &r->term.owner);
			break;
		case NSR_SYNC_A_DIGEST:
			ok &= attr_len(attr) == NSR_STORE_DIGEST;
			r->digest = attr_data(attr);
			break;
		case NSR_SYNC_A_LAST:
			r->last = true;
			break;
		}
	*why = "an attribute of a wrong length";
	return ok ? 0 : -EBADMSG;
}

void sync_in_reset(struct sync_group *s)
{
	s->receiving = false;
	attr_buf_free(&s->pieces);
	s->pieces_app[0] = '\0';
}

/* The store refused a record: malformed is the peer's fault, too much is ours. */
static int store_result(struct sync_group *s, int err, const char **why)
{
	if (!err || err == -ENOENT)
		return 0;
	*why = nsr_store_error(s->g->store);
	if (err == -EBADMSG)
		return err;
	sync_in_reset(s);
	group_data_lost(s->g, *why);
	return 0;
}

static uint64_t id_of(const struct nlattr *conn)
{
	const struct nlattr *attr;
	uint64_t id = 0;

	if (attr_seq_ok(attr_data(conn), attr_len(conn)))
		mnl_attr_for_each_nested(attr, conn)
			if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_ID)
				attr_u64(attr, &id);
	return id;
}

static int take_conns(struct sync_group *s, const struct nsr_frame *f, const char **why)
{
	struct nsr_store *st = s->g->store;
	const struct nlattr *attr;
	int err = 0;

	mnl_attr_for_each_payload(f->attrs, f->len) {
		if (mnl_attr_get_type(attr) != TCP_NSR_A_CONN)
			continue;
		s->remote = true;
		if (f->type == NSR_FRAME_CONN_DEL)
			err = nsr_store_conn_del(st, id_of(attr));
		else
			err = nsr_store_conn_upsert(st, attr_data(attr), attr_len(attr),
						    f->type == NSR_FRAME_CONN_ADD, NULL);
		s->remote = false;
		err = store_result(s, err, why);
		if (err || !s->receiving)
			break;
	}
	return err;
}

static int take_txn(struct sync_group *s, const struct nsr_frame *f, const char **why)
{
	char app[NSR_APP_NAME_MAX + 1] = "";
	const struct nlattr *attr;
	bool last = false;
	int err;

	mnl_attr_for_each_payload(f->attrs, f->len)
		if (mnl_attr_get_type(attr) == NSR_APP_A_APP) {
			if (!attr_name(attr, app, sizeof(app)))
				app[0] = '\0';
		} else if (mnl_attr_get_type(attr) == NSR_APP_A_LAST) {
			last = true;
		}
	*why = "no application's name, or another one in mid-transaction";
	if (!app[0] || (s->pieces.len && strcmp(app, s->pieces_app)))
		return -EBADMSG;
	*why = "a transaction of more than 64 MiB";
	if (s->pieces.len + f->len > SYNC_TXN_MAX)
		return -EBADMSG;
	if (!last || s->pieces.len) {
		snprintf(s->pieces_app, sizeof(s->pieces_app), "%s", app);
		attr_buf_append(&s->pieces, f->attrs, f->len);
	}
	if (s->pieces.failed) {
		sync_in_reset(s);
		group_data_lost(s->g, "out of memory for a transaction");
		return 0;
	}
	if (!last)
		return 0;
	s->remote = true;
	/* the store looks at the OPs among the attributes, and skips the rest */
	err = s->pieces.len ? nsr_store_txn(s->g->store, app, s->pieces.data, s->pieces.len) :
			      nsr_store_txn(s->g->store, app, f->attrs, f->len);
	s->remote = false;
	attr_buf_free(&s->pieces);
	return store_result(s, err, why);
}

static int take_begin(struct sync_group *s, const struct record *r)
{
	sync_in_reset(s);
	if (r->ask != s->ask_in || !r->ask)
		return 0;		/* answers a question that is no longer asked */
	s->receiving = true;
	nsr_store_sweep_begin(s->g->store);
	return 0;
}

static int take_end(struct sync_group *s, const struct record *r, const char **why)
{
	uint8_t digest[NSR_STORE_DIGEST];

	*why = "SNAPSHOT_END without a digest";
	if (!r->digest)
		return -EBADMSG;
	if (r->ask != s->ask_in)
		return 0;
	s->remote = true;
	nsr_store_sweep_end(s->g->store);
	s->remote = false;
	nsr_store_digest(s->g->store, digest);
	if (memcmp(digest, r->digest, sizeof(digest))) {
		sync_in_reset(s);
		group_data_lost(s->g, "the digest differs from the active's after a snapshot");
		return 0;
	}
	s->whole = true;
	app_synced(s->g);
	group_snapshot_end(s->g, r->term, r->epoch, r->ask);
	return 0;
}

static int take_handover(struct sync_group *s, const struct nsr_frame *f, const struct record *r,
			 const char **why)
{
	int err = take_conns(s, f, why);

	if (!err && r->last && s->receiving)
		group_handover(s->g);
	return err;
}

/* May the peer tell this box what to know? To an active box its word is a past reign's. */
static bool listens(const struct sync_group *s)
{
	enum role_state state = s->g->role.state;

	return state == ROLE_SYNC || state == ROLE_READY || state == ROLE_CLAIM;
}

int sync_in_frame(struct sync_group *s, const struct nsr_frame *f, const char **why)
{
	struct record r;
	int err = 0;

	if (f->type != NSR_FRAME_TXN)
		err = record_read(f, &r, why);
	if (err)
		return err;
	if (f->type == NSR_FRAME_SNAPSHOT_ASK) {
		*why = "SNAPSHOT_ASK without a number";
		if (!r.ask)
			return -EBADMSG;
		group_snapshot_asked(s->g, r.ask);
		return 0;
	}
	if (!listens(s))
		return 0;
	if (f->type == NSR_FRAME_SNAPSHOT_BEGIN)
		return take_begin(s, &r);
	if (!s->receiving)
		return 0;
	switch (f->type) {
	case NSR_FRAME_SNAPSHOT_END:
		return take_end(s, &r, why);
	case NSR_FRAME_CONN_ADD:
	case NSR_FRAME_CONN_CHANGE:
	case NSR_FRAME_CONN_DEL:
		return take_conns(s, f, why);
	case NSR_FRAME_TXN:
		return take_txn(s, f, why);
	case NSR_FRAME_HANDOVER:
		return take_handover(s, f, &r, why);
	}
	*why = "not a record";
	return -EPROTO;
}
