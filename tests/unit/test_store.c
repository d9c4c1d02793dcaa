// SPDX-License-Identifier: GPL-2.0-only
/* The replicated store: upserts, transactions, what overtakes, replay, sweep, bounds, digest. */
#include <errno.h>
#include <sys/socket.h>
#include "sync_rig.h"

/* What the store reported, in short. */
struct log {
	unsigned int added, changed, removed, put, deleted;
	char last_key[256];
	uint64_t last_conn;
};

static void on_added(void *data, struct nsr_store_conn *c)
{
	struct log *l = data;

	assert_true(c->present);
	l->added++;
	l->last_conn = c->id;
}

static void on_changed(void *data, struct nsr_store_conn *c)
{
	assert_true(c->present);
	((struct log *)data)->changed++;
}

static void on_removed(void *data, struct nsr_store_conn *c)
{
	struct log *l = data;

	l->removed++;
	l->last_conn = c->id;
}

static void on_state(void *data, struct nsr_store_state *s)
{
	struct log *l = data;

	assert_true(!s->conn || s->conn->present);
	if (s->value)
		l->put++;
	else
		l->deleted++;
	memcpy(l->last_key, s->key, s->key_len);
	l->last_key[s->key_len] = '\0';
}

static const struct nsr_store_ops ops = { on_added, on_changed, on_removed, on_state };

static struct nsr_store *make(struct log *l)
{
	struct nsr_store *st = nsr_store_create(NULL, &ops, l);

	memset(l, 0, sizeof(*l));
	assert_non_null(st);
	return st;
}

static int upsert(struct nsr_store *st, struct attr_buf b, bool add)
{
	int err = nsr_store_conn_upsert(st, b.data, b.len, add, NULL);

	attr_buf_free(&b);
	return err;
}

static int txn(struct nsr_store *st, const char *app, struct attr_buf *b)
{
	int err = nsr_store_txn(st, app, b->data, b->len);

	attr_buf_free(b);
	return err;
}

static int put1(struct nsr_store *st, const char *app, uint64_t conn, const char *key, const char *val)
{
	struct attr_buf b = { 0 };

	op_put(&b, conn, key, val, strlen(val));
	return txn(st, app, &b);
}

static struct nsr_store_state *only_state(struct nsr_store *st, const char *app)
{
	struct nsr_store_app *a = nsr_store_app_find(st, app);

	return a ? list_first(&a->states, struct nsr_store_state, app_node) : NULL;
}

static void records_merge_by_attribute(void **unused)
{
	struct nsr_store_conn *c;
	struct attr_buf b = rec_whole(5, 1);
	struct nsr_store_tuple t = rec_tuple(5);
	const struct nlattr *attr;
	unsigned int unknown = 0, ids = 0;
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	attr_put_u32(&b, 1000, 77);		/* of a newer version: kept, and forwarded */
	assert_int_equal(upsert(st, b, true), 0);
	assert_int_equal(l.added, 1);
	assert_int_equal(upsert(st, rec_cursors(5, 100, 50), false), 0);
	assert_int_equal(upsert(st, rec_cursors(5, 200, 60), false), 0);
	assert_int_equal(l.changed, 2);
	c = nsr_store_conn_find(st, 5);
	assert_non_null(c);
	assert_ptr_equal(nsr_store_conn_find_tuple(st, &t), c);
	assert_int_equal(c->rcv_nxt, 200);
	assert_int_equal(c->snd_una, 60);
	assert_int_equal(c->state, 1);
	assert_true(NSR_STORE_HAS(c, RCV_NXT));
	assert_false(NSR_STORE_HAS(c, WRITE_SEQ));
	assert_true(attr_seq_ok(c->rec, c->rec_len));
	mnl_attr_for_each_payload(c->rec, c->rec_len) {
		unknown += mnl_attr_get_type(attr) == 1000;
		ids += mnl_attr_get_type(attr) == TCP_NSR_A_CONN_ID;
	}
	assert_int_equal(unknown, 1);
	assert_int_equal(ids, 1);
	/* an attribute of another length takes its place */
	b = (struct attr_buf){ 0 };
	attr_put_u64(&b, TCP_NSR_A_CONN_ID, 5);
	attr_put_u64(&b, 1000, 78);
	attr_put_u8(&b, TCP_NSR_A_CONN_STATE, 8);
	assert_int_equal(upsert(st, b, false), 0);
	unknown = 0;
	mnl_attr_for_each_payload(c->rec, c->rec_len)
		if (mnl_attr_get_type(attr) == 1000) {
			unknown++;
			assert_int_equal(mnl_attr_get_payload_len(attr), 8);
		}
	assert_int_equal(unknown, 1);
	assert_int_equal(c->state, 8);
	assert_int_equal(nsr_store_conn_del(st, 5), 0);
	assert_int_equal(l.removed, 1);
	assert_null(nsr_store_conn_find_tuple(st, &t));
	assert_int_equal(nsr_store_conn_del(st, 5), -ENOENT);
	assert_int_equal(nsr_store_bytes(st), 0);
	nsr_store_destroy(st);
}

/* A device's name has its NUL at the end, where it belongs, and is no longer than the kernel's. */
static void device_has_a_name(void **unused)
{
	static const struct {
		const char *name;
		size_t len;
		int err;
	} names[] = {
		{ "blue", 5, 0 }, { "fifteen-letters", 16, 0 }, { "", 1, 0 }, { "blue", 4, -EBADMSG },
		{ "bl\0e", 5, -EBADMSG }, { "sixteen-letters!", 17, -EBADMSG }, { "sixteen-letters!", 16, -EBADMSG },
		{ "", 0, -EBADMSG },
	};
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct attr_buf b = rec_whole(i + 1, 1);

		attr_put(&b, TCP_NSR_A_CONN_DEV_NAME, names[i].name, names[i].len);
		attr_put_u8(&b, TCP_NSR_A_CONN_DEV_ROLE, TCP_NSR_DEV_VRF);
		assert_int_equal(upsert(st, b, true), names[i].err);
		c = nsr_store_conn_find(st, i + 1);
		assert_int_equal(!c, !!names[i].err);
		if (!c)
			continue;
		assert_string_equal(c->dev_name, names[i].name);
		assert_int_equal(c->dev_role, TCP_NSR_DEV_VRF);
		/* and keeps it when the socket moves */
		assert_int_equal(upsert(st, rec_cursors(i + 1, 100, 50), false), 0);
		assert_string_equal(c->dev_name, names[i].name);
	}
	upsert(st, rec_whole(99, 1), true);
	c = nsr_store_conn_find(st, 99);
	assert_string_equal(c->dev_name, "");
	assert_int_equal(c->dev_role, TCP_NSR_DEV_NAMED);
	nsr_store_destroy(st);
}

static void exactness_ends_when_the_socket_moves(void **unused)
{
	struct attr_buf b = { 0 };
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	attr_put_u64(&b, TCP_NSR_A_CONN_ID, 1);
	attr_put_u64(&b, TCP_NSR_A_CONN_RCV_NXT, 10);
	attr_put_u32(&b, TCP_NSR_A_CONN_FLAGS, TCP_NSR_CONN_F_EXACT | TCP_NSR_CONN_F_SACK);
	assert_int_equal(upsert(st, b, false), 0);
	c = nsr_store_conn_find(st, 1);
	assert_true(c->exact);
	assert_int_equal(upsert(st, rec_cursors(1, 11, 0), false), 0);
	assert_false(c->exact);
	assert_true(c->flags & TCP_NSR_CONN_F_SACK);
	nsr_store_destroy(st);
}

static void malformed_records_change_nothing(void **unused)
{
	struct log l;
	struct nsr_store *st = make(&l);
	struct attr_buf b = rec_whole(9, 1);
	struct attr_buf big = { 0 };

	(void)unused;
	b.data[0] = 3;				/* an attribute shorter than its header */
	assert_int_equal(upsert(st, b, true), -EBADMSG);
	b = rec_whole(9, 1);
	b.len -= 5;				/* torn */
	assert_int_equal(upsert(st, b, true), -EBADMSG);
	assert_int_equal(upsert(st, rec_cursors(9, 1, 1), true), -EBADMSG);	/* no addresses */
	b = rec_whole(9, 1);
	attr_put_u32(&b, TCP_NSR_A_CONN_RCV_NXT, 1);	/* not 8 bytes */
	assert_int_equal(upsert(st, b, true), -EBADMSG);
	b = rec_whole(9, 1);
	attr_put_u8(&b, TCP_NSR_A_CONN_FAMILY, AF_UNIX);
	assert_int_equal(upsert(st, b, true), -EBADMSG);
	b = (struct attr_buf){ 0 };
	attr_put_u8(&b, TCP_NSR_A_CONN_STATE, 1);	/* no ID */
	assert_int_equal(upsert(st, b, false), -EBADMSG);
	assert_non_null(strstr(nsr_store_error(st), "ID"));
	attr_put_u64(&big, TCP_NSR_A_CONN_ID, 9);
	for (unsigned int i = 0; i < 40; i++) {
		uint8_t filler[100] = { 0 };

		attr_put(&big, (uint16_t)(2000 + i), filler, sizeof(filler));
	}
	assert_int_equal(upsert(st, big, false), -EBADMSG);	/* more than NSR_STORE_RECORD_MAX */
	assert_int_equal(nsr_store_nr_conns(st) + nsr_store_nr_waiting(st), 0);
	assert_int_equal(l.added, 0);
	nsr_store_destroy(st);
}

static void transactions_are_whole_or_nothing(void **unused)
{
	struct attr_buf b = { 0 };
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);
	uint8_t before[NSR_STORE_DIGEST], after[NSR_STORE_DIGEST];
	size_t bytes, nest;

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	assert_int_equal(put1(st, "app", 0, "k", "old"), 0);
	nsr_store_digest(st, before);
	bytes = nsr_store_bytes(st);
	l.put = l.changed = 0;

	op_put(&b, 0, "k", "new", 3);
	op_put(&b, 1, "bound", "x", 1);
	op_put(&b, 77, "waits", "x", 1);
	op_conn(&b, 1, 10, 20, 10, "tail", 4);
	op_conn(&b, 78, 10, 20, 10, "tail", 4);
	nest = attr_nest_start(&b, NSR_APP_A_OP);	/* the last step is no step */
	attr_put_u8(&b, NSR_APP_A_OP_KIND, 99);
	attr_nest_end(&b, nest);
	assert_int_equal(txn(st, "app", &b), -EBADMSG);
	nsr_store_digest(st, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(l.put + l.changed, 0);
	assert_int_equal(nsr_store_nr_waiting(st), 0);
	assert_int_equal(nsr_store_nr_states(st), 1);
	c = nsr_store_conn_find(st, 1);
	assert_false(c->has_rcv || c->has_snd);
	assert_null(c->app);
	/* room for a tail may have been made, and is found again */
	assert_true(nsr_store_bytes(st) - bytes <= c->tail_size);

	op_put(&b, 0, "k", "new", 3);
	op_put(&b, 1, "bound", "x", 1);
	op_conn(&b, 1, 10, 20, 10, "tail", 4);
	op_del(&b, 0, "k");
	op_put(&b, 0, "k", "newer", 5);
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(l.put, 3);
	assert_int_equal(l.deleted, 1);
	assert_int_equal(l.changed, 1);
	assert_string_equal(c->app->name, "app");
	nsr_store_destroy(st);
}

static void refused_transactions_name_the_reason(void **unused)
{
	struct attr_buf b = { 0 };
	struct log l;
	struct nsr_store *st = make(&l);
	size_t nest;

	(void)unused;
	nest = attr_nest_start(&b, NSR_APP_A_OP);
	attr_put_u8(&b, NSR_APP_A_OP_KIND, NSR_APP_OP_CONN);
	attr_put_u32(&b, NSR_APP_A_HANDLE, 3);
	attr_nest_end(&b, nest);
	assert_int_equal(txn(st, "app", &b), -EBADMSG);
	assert_non_null(strstr(nsr_store_error(st), "handle"));
	op_put(&b, 0, "k", "v", 1);
	assert_int_equal(txn(st, "no/name", &b), -EBADMSG);
	b.len = 0;
	b = (struct attr_buf){ 0 };
	nest = attr_nest_start(&b, NSR_APP_A_OP);
	attr_put_u8(&b, NSR_APP_A_OP_KIND, NSR_APP_OP_PUT);
	attr_put(&b, NSR_APP_A_KEY, "k", 1);
	attr_put_u64(&b, NSR_APP_A_DATA_POS, 5);	/* goes on, without a beginning */
	attr_put(&b, NSR_APP_A_VALUE, "v", 1);
	attr_nest_end(&b, nest);
	assert_int_equal(txn(st, "app", &b), -EBADMSG);
	nest = attr_nest_start(&b, NSR_APP_A_OP);
	attr_put_u8(&b, NSR_APP_A_OP_KIND, NSR_APP_OP_CONN);
	attr_put_u64(&b, NSR_APP_A_CONN_ID, 1);
	attr_put_u64(&b, NSR_APP_A_RCV_CONSUMED, 0);
	attr_put_u64(&b, NSR_APP_A_DATA_POS, UINT64_MAX - 2);
	attr_put(&b, NSR_APP_A_DATA, "data", 4);	/* runs over the end of all positions */
	attr_nest_end(&b, nest);
	assert_int_equal(txn(st, "app", &b), -EBADMSG);
	assert_int_equal(nsr_store_nr_states(st), 0);
	nsr_store_destroy(st);
}

static void long_values_go_on(void **unused)
{
	static uint8_t value[NSR_APP_VALUE_MAX];
	struct nsr_store_state *s;
	struct attr_buf b = { 0 };
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 13);
	op_put(&b, 0, "long", value, sizeof(value));
	op_put(&b, 0, "empty", "", 0);
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(l.put, 2);
	s = only_state(st, "app");
	assert_int_equal(s->value_len, sizeof(value));
	assert_memory_equal(s->value, value, sizeof(value));
	nsr_store_destroy(st);
}

static void tail_follows_positions(void **unused)
{
	struct nsr_store_conn *c;
	struct attr_buf b = { 0 };
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	c = nsr_store_conn_find(st, 1);
	op_conn(&b, 1, 100, 7, 100, "abcdef", 6);
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_consumed, 100);
	assert_int_equal(c->rcv_tail_end, 106);
	op_conn(&b, 1, 102, 7, 106, "gh", 2);		/* consumed two, grew by two */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_tail_end - c->rcv_consumed, 6);
	assert_memory_equal(c->tail, "cdefgh", 6);
	op_conn(&b, 1, 102, 7, 104, "efghij", 6);	/* overlaps: each byte counts once */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_memory_equal(c->tail, "cdefghij", 8);
	op_conn(&b, 1, 102, 7, 112, "zz", 2);		/* behind a hole: not held */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_tail_end, 110);
	op_conn(&b, 1, 90, 3, 90, "old", 3);		/* said before: changes nothing */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_consumed, 102);
	assert_int_equal(c->snd_written, 7);
	assert_memory_equal(c->tail, "cdefghij", 8);
	op_conn(&b, 1, 105, 8, 105, "FGHIJ!", 6);	/* from the consumed position on: the tail anew */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_tail_end, 111);
	assert_memory_equal(c->tail, "FGHIJ!", 6);
	op_conn(&b, 1, 500, 9, 0, NULL, 0);		/* beyond all that is held */
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(c->rcv_consumed, 500);
	assert_int_equal(c->rcv_tail_end, 500);
	nsr_store_destroy(st);
}

/* Against the plainest model there is: a byte array and three numbers. */
static void tail_equals_a_model(void **unused)
{
	static uint8_t stream[200000];
	uint64_t consumed = 0, end = 0;
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	rnd_seed(11);
	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)rnd(256);
	upsert(st, rec_whole(1, 1), true);
	c = nsr_store_conn_find(st, 1);
	while (end + 3000 < sizeof(stream)) {
		struct attr_buf b = { 0 };

		for (uint32_t steps = 1 + rnd(3); steps; steps--) {
			uint32_t grow = rnd(1000), back = rnd(20);
			uint64_t from = end - (back < end - consumed ? back : 0);

			if (rnd(2))
				consumed += rnd((uint32_t)(end - consumed) + 1);
			if (from < consumed)
				from = consumed;
			op_conn(&b, 1, consumed, end, from, stream + from, end + grow - from);
			end += grow;
		}
		assert_int_equal(txn(st, "app", &b), 0);
		assert_int_equal(c->rcv_consumed, consumed);
		assert_int_equal(c->rcv_tail_end, end);
		assert_memory_equal(c->tail, stream + consumed, end - consumed);
	}
	nsr_store_destroy(st);
}

static void tail_is_bounded(void **unused)
{
	static uint8_t chunk[NSR_APP_CHUNK_MAX];
	struct attr_buf b = { 0 };
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);
	uint64_t pos = 0;
	int err = 0;

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	c = nsr_store_conn_find(st, 1);
	while (!err && pos < 2 * (uint64_t)NSR_STORE_TAIL_MAX) {
		op_conn(&b, 1, 0, 0, pos, chunk, sizeof(chunk));
		err = txn(st, "app", &b);
		if (!err)
			pos += sizeof(chunk);
	}
	assert_int_equal(err, -EBADMSG);
	assert_int_equal(pos, NSR_STORE_TAIL_MAX);
	assert_int_equal(c->rcv_tail_end, NSR_STORE_TAIL_MAX);
	assert_non_null(strstr(nsr_store_error(st), "consume"));
	/* what is consumed in the same transaction makes room */
	op_conn(&b, 1, 3 * sizeof(chunk), 0, pos, chunk, sizeof(chunk));
	assert_int_equal(txn(st, "app", &b), 0);
	nsr_store_destroy(st);
}

static void what_overtakes_waits(void **unused)
{
	struct attr_buf b = { 0 };
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);
	uint8_t empty[NSR_STORE_DIGEST], now[NSR_STORE_DIGEST];

	(void)unused;
	nsr_store_digest(st, empty);
	op_put(&b, 6, "key", "value", 5);
	op_conn(&b, 6, 10, 20, 10, "abc", 3);
	assert_int_equal(txn(st, "app", &b), 0);
	assert_int_equal(upsert(st, rec_cursors(6, 13, 20), false), 0);
	assert_int_equal(l.put + l.changed + l.added, 0);
	assert_null(nsr_store_conn_find(st, 6));
	assert_int_equal(nsr_store_nr_waiting(st), 1);
	nsr_store_digest(st, now);
	assert_memory_equal(now, empty, sizeof(now));
	assert_int_equal(upsert(st, rec_whole(6, 1), true), 0);
	assert_int_equal(l.added, 1);
	c = nsr_store_conn_find(st, 6);
	assert_int_equal(c->rcv_tail_end, 13);
	assert_int_equal(c->rcv_nxt, 13);
	assert_false(list_empty(&c->states));
	nsr_store_digest(st, now);
	assert_memory_not_equal(now, empty, sizeof(now));
	/* bound state goes with its connection, without a word of its own */
	assert_int_equal(nsr_store_conn_del(st, 6), 0);
	assert_int_equal(l.deleted, 0);
	assert_int_equal(nsr_store_nr_states(st), 0);
	nsr_store_digest(st, now);
	assert_memory_equal(now, empty, sizeof(now));
	nsr_store_destroy(st);
}

static void caps_hold(void **unused)
{
	struct nsr_store_caps caps = { .conns = 3, .waiting = 2, .states = 4, .bytes = 20000, .apps = 2 };
	struct nsr_store *st = nsr_store_create(&caps, NULL, NULL);
	static char value[16000];
	struct attr_buf b = { 0 };
	char key[16];

	(void)unused;
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(upsert(st, rec_whole(i, 1), true), 0);
	assert_int_equal(upsert(st, rec_whole(4, 1), true), -ENOSPC);
	assert_int_equal(upsert(st, rec_whole(1, 8), true), 0);	/* one that is there may change */
	assert_int_equal(put1(st, "a", 11, "k", "v"), 0);
	assert_int_equal(put1(st, "a", 12, "k", "v"), 0);
	assert_int_equal(put1(st, "a", 13, "k", "v"), -ENOSPC);	/* too many wait */
	assert_int_equal(put1(st, "b", 0, "k", "v"), 0);
	assert_int_equal(put1(st, "c", 0, "k", "v"), -ENOSPC);	/* too many applications */
	snprintf(key, sizeof(key), "four");
	assert_int_equal(put1(st, "b", 0, key, "v"), 0);
	assert_int_equal(put1(st, "b", 0, "five", "v"), -ENOSPC);
	op_del(&b, 0, key);
	assert_int_equal(txn(st, "b", &b), 0);
	memset(value, 'x', sizeof(value));
	op_put(&b, 0, "big", value, sizeof(value));
	assert_int_equal(txn(st, "b", &b), 0);
	op_put(&b, 0, "big", value, sizeof(value));
	assert_int_equal(txn(st, "b", &b), -ENOSPC);
	assert_non_null(strstr(nsr_store_error(st), "full"));
	nsr_store_destroy(st);
}

static void sweep_drops_what_was_not_named(void **unused)
{
	struct attr_buf b = { 0 };
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	upsert(st, rec_whole(2, 1), true);
	put1(st, "app", 0, "stays", "v");
	put1(st, "app", 0, "goes", "v");
	put1(st, "app", 2, "bound", "v");
	put1(st, "app", 99, "waits", "v");
	memset(&l, 0, sizeof(l));
	nsr_store_sweep_begin(st);
	upsert(st, rec_whole(1, 1), true);
	put1(st, "app", 0, "stays", "v");
	nsr_store_sweep_end(st);
	assert_int_equal(l.removed, 1);
	assert_int_equal(l.last_conn, 2);
	assert_int_equal(l.deleted, 1);
	assert_string_equal(l.last_key, "goes");
	assert_int_equal(l.put, 0);		/* the same value again is no news */
	assert_int_equal(nsr_store_nr_waiting(st), 0);
	assert_int_equal(nsr_store_nr_states(st), 1);

	/* one application's snapshot */
	put1(st, "other", 0, "k", "v");
	put1(st, "app", 0, "more", "v");
	memset(&l, 0, sizeof(l));
	assert_int_equal(nsr_store_app_sweep_begin(st, "app"), 0);
	op_put(&b, 0, "more", "w", 1);
	assert_int_equal(txn(st, "app", &b), 0);
	nsr_store_app_sweep_end(st, "app");
	assert_int_equal(l.deleted, 1);
	assert_string_equal(l.last_key, "stays");
	assert_int_equal(nsr_store_nr_states(st), 2);
	nsr_store_clear(st);
	assert_int_equal(l.removed, 1);
	assert_int_equal(nsr_store_bytes(st), 0);
	nsr_store_destroy(st);
}

/* The first word of a sweep is absolute: what was vouched in another reign may have been further. */
static void sweep_takes_positions_back(void **unused)
{
	struct attr_buf b = { 0 };
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	c = nsr_store_conn_find(st, 1);
	op_conn(&b, 1, 1000, 2000, 1000, "lost", 4);
	txn(st, "app", &b);
	nsr_store_sweep_begin(st);
	upsert(st, rec_whole(1, 1), true);
	op_conn(&b, 1, 900, 1900, 900, "whole tail", 10);
	assert_int_equal(txn(st, "app", &b), 0);
	nsr_store_sweep_end(st);
	assert_int_equal(c->rcv_consumed, 900);
	assert_int_equal(c->rcv_tail_end, 910);
	assert_int_equal(c->snd_written, 1900);
	assert_memory_equal(c->tail, "whole tail", 10);
	nsr_store_destroy(st);
}

/* Under the same id, of an active that knows less than the one before: what it does not say is not so. */
static void sweep_makes_an_account_anew(void **unused)
{
	struct attr_buf b = { 0 };
	struct log l1, l2;
	struct nsr_store *st = make(&l1), *fresh = make(&l2);
	struct nsr_store_conn *c;

	(void)unused;
	upsert(st, rec_whole(1, 1), true);
	upsert(st, rec_cursors(1, 5, 5), false);
	c = nsr_store_conn_find(st, 1);
	op_conn(&b, 1, 1000, 2000, 1000, "tail", 4);
	txn(st, "app", &b);
	nsr_store_sweep_begin(st);
	upsert(st, rec_whole(1, 1), true);
	assert_false(c->has_rcv || c->has_snd || c->app || NSR_STORE_HAS(c, RCV_NXT));
	op_conn(&b, 1, 7, 9, 7, "x", 1);	/* from here on it adds up again */
	txn(st, "app", &b);
	upsert(st, rec_whole(1, 1), true);
	nsr_store_sweep_end(st);
	assert_int_equal(c->rcv_tail_end, 8);
	upsert(fresh, rec_whole(1, 1), true);
	op_conn(&b, 1, 7, 9, 7, "x", 1);
	txn(fresh, "app", &b);
	assert_digest_equal(st, fresh);
	nsr_store_destroy(st);
	nsr_store_destroy(fresh);
}

/* ---- random histories ---- */

enum { HIST = 400, CONNS = 12 };
struct event {
	char kind;			/* 'A', 'C', 'D', 'T' */
	uint64_t id;
	struct attr_buf b;
};

static void make_history(struct event *h)
{
	uint64_t consumed[CONNS + 1] = { 0 }, end[CONNS + 1] = { 0 };
	bool there[CONNS + 1] = { false };

	for (int i = 0; i < HIST; i++) {
		uint64_t id = 1 + rnd(CONNS);
		char key[16], val[64];

		h[i] = (struct event){ .kind = "ACTTTD"[rnd(6)], .id = id };
		if (h[i].kind == 'D' && rnd(4))
			h[i].kind = 'T';
		if (!there[id] && h[i].kind != 'T')
			h[i].kind = 'A';
		there[id] = h[i].kind == 'A' ? true : h[i].kind == 'D' ? false : there[id];
		if (h[i].kind == 'A')
			h[i].b = rec_whole(id, rnd(2) ? 1 : 8);
		if (h[i].kind == 'C')
			h[i].b = rec_cursors(id, rnd(1000), rnd(1000));
		for (uint32_t n = h[i].kind == 'T' ? 1 + rnd(4) : 0; n; n--) {
			uint64_t bound = there[id] && rnd(2) ? id : 0;

			snprintf(key, sizeof(key), "k%u", rnd(8));
			snprintf(val, sizeof(val), "value %u", rnd(1000));
			if (rnd(4))
				op_put(&h[i].b, bound, key, val, strlen(val));
			else
				op_del(&h[i].b, bound, key);
			if (there[id] && rnd(2)) {
				uint32_t grow = 1 + rnd(30);

				consumed[id] += rnd((uint32_t)(end[id] - consumed[id]) + 1);
				memset(val, (int)(end[id] & 0xff), sizeof(val));
				op_conn(&h[i].b, id, consumed[id], i, end[id], val, grow);
				end[id] += grow;
			}
		}
	}
}

static void replay(struct nsr_store *st, const struct event *h, int upto)
{
	for (int i = 0; i < upto; i++) {
		int err = 0;

		if (h[i].kind == 'D')
			nsr_store_conn_del(st, h[i].id);
		else if (h[i].kind == 'T')
			err = nsr_store_txn(st, h[i].id % 2 ? "odd" : "even", h[i].b.data, h[i].b.len);
		else
			err = nsr_store_conn_upsert(st, h[i].b.data, h[i].b.len, h[i].kind == 'A', NULL);
		assert_int_equal(err, 0);
	}
}

/* Any prefix, and then the whole: the same store as the whole alone. */
static void replay_of_any_prefix_changes_nothing(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		static struct event h[HIST];
		struct log l1, l2;
		struct nsr_store *once = make(&l1);

		rnd_seed(seed);
		make_history(h);
		replay(once, h, HIST);
		for (int cut = 0; cut <= HIST; cut += 1 + (int)rnd(60)) {
			struct nsr_store *twice = make(&l2);
			struct nsr_store_conn *a, *b;

			/* as after a link that broke at the cut: what was there, swept by all that is */
			replay(twice, h, cut);
			nsr_store_sweep_begin(twice);
			replay(twice, h, HIST);
			nsr_store_sweep_end(twice);
			assert_int_equal(nsr_store_nr_conns(once), nsr_store_nr_conns(twice));
			assert_digest_equal(once, twice);
			for (a = nsr_store_conn_next(once, NULL); a; a = nsr_store_conn_next(once, a)) {
				b = nsr_store_conn_find(twice, a->id);
				assert_int_equal(a->rcv_tail_end, b->rcv_tail_end);
				assert_memory_equal(a->tail ? a->tail : (uint8_t *)"", b->tail ? b->tail :
						    (uint8_t *)"", a->rcv_tail_end - a->rcv_consumed);
			}
			nsr_store_destroy(twice);
		}
		nsr_store_destroy(once);
		for (int i = 0; i < HIST; i++)
			attr_buf_free(&h[i].b);
	}
}

/* What differs must show; what is on its way, or a box's own, must not. */
static void digest_tells_differences(void **unused)
{
	struct log l1, l2;
	struct nsr_store *a = make(&l1), *b = make(&l2);
	uint8_t before[NSR_STORE_DIGEST], after[NSR_STORE_DIGEST];
	struct attr_buf t = { 0 };

	(void)unused;
	for (uint64_t i = 1; i <= 50; i++) {
		upsert(a, rec_whole(i, 1), true);
		upsert(b, rec_whole(51 - i, 1), true);		/* in another order */
	}
	assert_digest_equal(a, b);
	upsert(a, rec_cursors(3, 5, 5), false);
	t = (struct attr_buf){ 0 };
	attr_put_u64(&t, TCP_NSR_A_CONN_ID, 4);
	attr_put_u64(&t, TCP_NSR_A_CONN_COOKIE, 123);
	attr_put_u8(&t, TCP_NSR_A_CONN_PHASE, TCP_NSR_PHASE_RESUMED);
	upsert(a, t, false);
	assert_digest_equal(a, b);
	nsr_store_digest(b, before);
	upsert(a, rec_whole(7, 8), true);			/* another TCP state */
	nsr_store_digest(a, after);
	assert_memory_not_equal(before, after, sizeof(before));
	upsert(a, rec_whole(7, 1), true);
	assert_digest_equal(a, b);
	put1(a, "app", 0, "ab", "c");
	put1(b, "app", 0, "a", "bc");				/* the same bytes, cut elsewhere */
	nsr_store_digest(a, before);
	nsr_store_digest(b, after);
	assert_memory_not_equal(before, after, sizeof(before));
	nsr_store_destroy(a);
	nsr_store_destroy(b);
}

static void cursor_survives_what_goes(void **unused)
{
	struct nsr_store_cursor cur;
	struct nsr_store_state *s;
	struct nsr_store_conn *c;
	struct log l;
	struct nsr_store *st = make(&l);
	unsigned int seen = 0;
	char key[16];

	(void)unused;
	rnd_seed(3);
	for (uint64_t i = 1; i <= 200; i++) {
		upsert(st, rec_whole(i, 1), true);
		snprintf(key, sizeof(key), "k%u", (unsigned int)i);
		put1(st, i % 2 ? "odd" : "even", i % 5 ? i : 0, key, "v");
	}
	nsr_store_cursor_start(st, &cur);
	while ((c = nsr_store_cursor_conn(&cur))) {
		seen++;
		nsr_store_conn_del(st, 1 + rnd(200));	/* perhaps this one, perhaps the next */
	}
	assert_in_range(seen, 50, 200);
	seen = 0;
	while ((s = nsr_store_cursor_state(&cur))) {
		seen++;
		if (s->conn)
			nsr_store_conn_del(st, s->conn->id);
		nsr_store_conn_del(st, 1 + rnd(200));
	}
	assert_in_range(seen, 40, 200);
	nsr_store_cursor_stop(&cur);
	nsr_store_cursor_start(st, &cur);
	nsr_store_clear(st);			/* ends the walk */
	nsr_store_cursor_stop(&cur);
	nsr_store_destroy(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_merge_by_attribute),
		cmocka_unit_test(device_has_a_name),
		cmocka_unit_test(exactness_ends_when_the_socket_moves),
		cmocka_unit_test(malformed_records_change_nothing),
		cmocka_unit_test(transactions_are_whole_or_nothing),
		cmocka_unit_test(refused_transactions_name_the_reason),
		cmocka_unit_test(long_values_go_on),
		cmocka_unit_test(tail_follows_positions),
		cmocka_unit_test(tail_equals_a_model),
		cmocka_unit_test(tail_is_bounded),
		cmocka_unit_test(what_overtakes_waits),
		cmocka_unit_test(caps_hold),
		cmocka_unit_test(sweep_drops_what_was_not_named),
		cmocka_unit_test(sweep_takes_positions_back),
		cmocka_unit_test(sweep_makes_an_account_anew),
		cmocka_unit_test(replay_of_any_prefix_changes_nothing),
		cmocka_unit_test(digest_tells_differences),
		cmocka_unit_test(cursor_survives_what_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
