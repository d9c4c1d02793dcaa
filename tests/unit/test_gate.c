// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mode lossless in nsrd: journals in the store, what the kernel's gates are told and when, who is unprotected. Two
 * boxes with their link; the kernel is played.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include "gate.h"
#include "sync_box.h"

#define S	1000000000ull

static struct box a, b;			/* a: active, b: standby */

static int setup(void **unused)
{
	(void)unused;
	box_init(&a, 1, ROLE_ACTIVE);
	box_init(&b, 2, ROLE_SYNC);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	box_exit(&a);
	box_exit(&b);
	return 0;
}

/* ---- records ---- */

static void event(struct box *x, uint64_t id, uint8_t cmd, uint8_t mode, uint64_t rcv_nxt, bool fin)
{
	struct attr_buf r = rec_whole(id, fin ? TCP_CLOSE_WAIT : TCP_ESTABLISHED), out = { 0 };
	const struct nlattr *attr;

	mnl_attr_for_each_payload((const void *)r.data, r.len) {
		unsigned int type = mnl_attr_get_type(attr);

		if (type != TCP_NSR_A_CONN_MODE && type != TCP_NSR_A_CONN_FLAGS)
			attr_put(&out, (uint16_t)type, attr_data(attr), attr_len(attr));
	}
	attr_put_u8(&out, TCP_NSR_A_CONN_MODE, mode);
	attr_put_u32(&out, TCP_NSR_A_CONN_FLAGS, fin ? TCP_NSR_CONN_F_RCV_FIN : 0);
	attr_put_u64(&out, TCP_NSR_A_CONN_RCV_NXT, rcv_nxt);
	attr_buf_free(&r);
	box_conn(x, cmd, out);
}

static struct nsr_store_conn *conn(struct box *x, uint64_t id)
{
	struct nsr_store_conn *c = nsr_store_conn_find(x->g.store, id);

	assert_non_null(c);
	return c;
}

static void add(uint64_t id)
{
	event(&a, id, TCP_NSR_CMD_CONN_ADD_NTF, TCP_NSR_MODE_LOSSLESS, 0, false);
	box_gate(&a, id);
}

static uint64_t txns;

/* The application has received up to pos, and consumed it. */
static uint64_t consume(uint64_t id, uint64_t pos)
{
	struct attr_buf ops = { 0 };

	op_acked(&ops, id, pos, 0, 0);
	assert_int_equal(box_txn(&a, "app", ++txns, &ops), 0);
	return txns;
}

static bool flagged(struct box *x, uint64_t id)
{
	return conn(x, id)->flags & TCP_NSR_CONN_F_UNPROTECTED;
}

static void in_step(void)
{
	unsigned int ends = b.ends;

	if (!a.n.link)
		box_meet(&a, &b);
	box_until(b.ends > ends && !sync_lag_records(&a.g));
}

/* ---- the store ---- */

static void expect_journal(struct nsr_store_conn *c, uint64_t base, const char *text)
{
	size_t n, len = strlen(text);
	uint64_t pos;

	assert_true(c->has_journal);
	assert_int_equal(c->journal.base, base);
	assert_int_equal(nsr_journal_len(&c->journal), len);
	for (pos = base; pos < base + len; pos += n) {
		const uint8_t *p = nsr_journal_at(&c->journal, pos, &n);

		assert_memory_equal(p, text + (pos - base), n);
	}
}

static void apply(struct attr_buf *ops)
{
	assert_int_equal(nsr_store_txn(a.g.store, "app", ops->data, ops->len), 0);
	attr_buf_free(ops);
}

static void journal_in_the_store(void **unused)
{
	static uint8_t big[NSR_APP_CHUNK_MAX];
	struct attr_buf ops = { 0 };
	size_t before;
	uint64_t pos;

	(void)unused;
	add(1);
	before = nsr_store_bytes(a.g.store);
	op_journal(&ops, 1, 100, "abcdef", 6);
	apply(&ops);
	expect_journal(conn(&a, 1), 100, "abcdef");
	assert_true(nsr_store_bytes(a.g.store) > before);
	/* again, and a part that is new */
	op_journal(&ops, 1, 100, "abcdef", 6);
	op_journal(&ops, 1, 104, "efgh", 4);
	apply(&ops);
	expect_journal(conn(&a, 1), 100, "abcdefgh");
	/* the far end has some of it: as the application says, as the socket says */
	op_acked(&ops, 1, 0, 108, 102);
	apply(&ops);
	expect_journal(conn(&a, 1), 102, "cdefgh");
	box_conn(&a, TCP_NSR_CMD_CONN_CHANGE_NTF, rec_cursors(1, 0, 105));
	expect_journal(conn(&a, 1), 105, "fgh");
	/* behind a hole, and below what is held: anew */
	op_journal(&ops, 1, 200, "xyz", 3);
	apply(&ops);
	expect_journal(conn(&a, 1), 200, "xyz");
	op_journal(&ops, 1, 150, "pq", 2);
	apply(&ops);
	expect_journal(conn(&a, 1), 150, "pq");
	/* nothing left: no memory either */
	op_acked(&ops, 1, 0, 152, 152);
	apply(&ops);
	expect_journal(conn(&a, 1), 152, "");
	assert_true(nsr_store_bytes(a.g.store) < before + 100);	/* cursors */

	/* too much is refused, and with it all of the transaction */
	for (pos = 152; pos - 152 <= NSR_APP_JOURNAL_MAX; pos += sizeof(big))
		op_journal(&ops, 1, pos, big, sizeof(big));
	op_put(&ops, 0, "k", "v", 1);
	assert_int_equal(nsr_store_txn(a.g.store, "app", ops.data, ops.len), -EBADMSG);
	assert_non_null(strstr(nsr_store_error(a.g.store), "acknowledged"));
	attr_buf_free(&ops);
	expect_journal(conn(&a, 1), 152, "");
	assert_int_equal(nsr_store_nr_states(a.g.store), 0);
	/* a journal of nothing is malformed */
	op_journal(&ops, 0, 0, "x", 1);
	assert_int_equal(nsr_store_txn(a.g.store, "app", ops.data, ops.len), -EBADMSG);
	attr_buf_free(&ops);

	/* the control: in mode adopt nobody needs it */
	event(&a, 2, TCP_NSR_CMD_CONN_ADD_NTF, TCP_NSR_MODE_ADOPT, 0, false);
	op_journal(&ops, 2, 0, "abc", 3);
	apply(&ops);
	assert_false(conn(&a, 2)->has_journal);
	/* and one that came before its connection goes once the mode is known */
	op_journal(&ops, 3, 0, "abc", 3);
	op_journal(&ops, 4, 0, "abc", 3);
	apply(&ops);
	event(&a, 3, TCP_NSR_CMD_CONN_ADD_NTF, TCP_NSR_MODE_ADOPT, 0, false);
	add(4);
	assert_false(conn(&a, 3)->has_journal);
	expect_journal(conn(&a, 4), 0, "abc");
}

/* Whatever is held goes into the snapshot, and what comes while it runs joins it. */
static void journal_in_the_snapshot(void **unused)
{
	static char text[300001];
	struct attr_buf ops = { 0 };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 23);
	add(1);
	op_conn(&ops, 1, 0, 200000, 0, NULL, 0);
	for (i = 0; i < 200000; i += 20000)
		op_journal(&ops, 1, i, text + i, 20000);
	assert_int_equal(box_txn(&a, "app", 1, &ops), 0);
	a.hold_end = true;
	box_meet(&a, &b);
	box_until(b.asked || a.asked);
	/* a live record, ahead of the walk or behind it */
	op_acked(&ops, 1, 0, 300000, 1000);
	for (i = 200000; i < 300000; i += 20000)
		op_journal(&ops, 1, i, text + i, 20000);
	assert_int_equal(box_txn(&a, "app", 2, &ops), 0);
	box_until(a.sent);
	a.g.role.gates_open = false;
	sync_end_snapshot(&a.g, (struct nsr_term){ 5, 1 }, 3, b.ask);
	box_until(b.ends);
	expect_journal(conn(&b, 1), 1000, text + 1000);
	expect_journal(conn(&a, 1), 1000, text + 1000);
}

/* ---- gates ---- */

static void gate_follows_the_standby(void **unused)
{
	struct box_gate *g;

	(void)unused;
	add(1);
	g = box_gate(&a, 1);
	consume(1, 50);
	g->wup = 50;
	in_step();
	assert_int_equal(g->gate, 50);		/* what the snapshot brought */
	assert_false(g->open);
	assert_false(flagged(&b, 1));
	assert_true(gate_holds(&a.g, conn(&a, 1)));
	/* bytes that the standby has not acknowledged do not move it */
	consume(1, 80);
	gate_flush(&a.g);
	assert_int_equal(g->gate, 50);
	assert_true(a.last_acked < txns);
	box_until(a.last_acked == txns);
	assert_int_equal(g->gate, 80);		/* told before the application was */
	/* nor does a far end that is ahead of the application */
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 100, false);
	box_until(!sync_lag_records(&a.g));
	box_turns(3);
	assert_int_equal(g->gate, 80);
}

/* Sequence numbers begin anew with each link: what the former one was to prove, the next one does not. */
static void old_link_proves_nothing(void **unused)
{
	struct box_gate *g;
	unsigned int sent;

	(void)unused;
	add(1);
	g = box_gate(&a, 1);
	in_step();
	consume(1, 50);
	box_until(g->gate == 50);
	a.hold_end = true;
	sent = a.sent;
	consume(1, 90);
	link_reset(a.n.link, "test");
	box_until(a.sent > sent);
	/* the store and more is on its way to a standby that is not ready; the gates are closed still */
	for (int i = 0; i < 50; i++) {
		consume(1, 91);
		box_turns(1);
	}
	box_until(!sync_lag_records(&a.g));
	box_turns(3);
	assert_int_equal(g->gate, 50);
	a.hold_end = false;
	sync_end_snapshot(&a.g, (struct nsr_term){ 5, 1 }, 3, b.ask);
	assert_int_equal(g->gate, 91);
	box_until(a.last_acked == txns);
}

static void fin_passes_behind_everything(void **unused)
{
	struct box_gate *g;

	(void)unused;
	add(1);
	g = box_gate(&a, 1);
	in_step();
	/* ten bytes and a FIN: the record says CLOSE_WAIT */
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 11, true);
	box_until(!sync_lag_records(&a.g));
	box_turns(3);
	assert_int_equal(g->gate, 0);		/* what is before it is not held */
	consume(1, 9);
	box_until(a.last_acked == txns);
	assert_int_equal(g->gate, 9);
	consume(1, 10);
	box_until(a.last_acked == txns);
	assert_int_equal(g->gate, 11);
}

/* The kernel could not be told: nothing counts as told, and it is said again. */
static void a_lost_request_is_made_again(void **unused)
{
	struct box_gate *g;

	(void)unused;
	add(1);
	g = box_gate(&a, 1);
	in_step();
	consume(1, 50);
	box_until(g->gate == 50);
	a.batch_fails = ENOBUFS;
	consume(1, 80);
	box_until(a.last_acked == txns);
	assert_int_equal(g->gate, 50);
	a.batch_fails = 0;
	box_until(g->gate == 80);
	/* the one that opens a gate, too */
	g->open = true;
	a.batch_fails = ENOMEM;
	gate_close_all(&a.g);
	assert_true(g->open);
	a.batch_fails = 0;
	box_until(!g->open);
}

/* Many connections, one request. */
static void one_batch(void **unused)
{
	unsigned int before;

	(void)unused;
	for (uint64_t id = 1; id <= 6; id++)
		add(id);
	in_step();
	box_turns(3);
	before = a.batches;
	for (uint64_t id = 1; id <= 6; id++)
		consume(id, 10);
	box_until(a.last_acked == txns);
	for (uint64_t id = 1; id <= 6; id++)
		assert_int_equal(box_gate(&a, id)->gate, 10);
	assert_true(a.batches - before <= 3);
}

/* What left, or was written, without the standby: not protected until it has that too. */
static void not_in_step_at_the_end(void **unused)
{
	struct attr_buf ops = { 0 };

	(void)unused;
	add(1);
	add(2);
	add(3);
	consume(1, 50);
	consume(2, 50);
	op_conn(&ops, 3, 0, 100, 0, NULL, 0);
	op_journal(&ops, 3, 90, "0123456789", 10);
	assert_int_equal(box_txn(&a, "app", ++txns, &ops), 0);
	box_gate(&a, 1)->wup = 50;
	box_gate(&a, 2)->wup = 70;		/* 20 bytes that only this box has */
	box_gate(&a, 3)->una = 80;		/* 10 bytes in flight that the journal has not */
	box_gate(&a, 3)->seq = 100;
	in_step();
	assert_false(flagged(&b, 1));
	assert_true(flagged(&b, 2));
	assert_true(flagged(&b, 3));
	assert_true(gate_holds(&a.g, conn(&a, 1)));
	assert_false(gate_holds(&a.g, conn(&a, 2)));
	assert_true(strlen(gate_reason(&a.g, conn(&a, 2))) > 0);
	assert_int_equal(gate_unprotected(&a.g), 2);
	assert_false(box_gate(&a, 2)->open);	/* its gate is closed all the same: it catches up */
	gate_turn(&a.g, S);
	assert_true(flagged(&a, 2));
	consume(2, 70);
	box_gate(&a, 3)->una = 95;
	gate_turn(&a.g, 2 * S);
	box_until(!sync_lag_records(&a.g));
	assert_false(flagged(&b, 2));
	assert_false(flagged(&b, 3));
	assert_int_equal(gate_unprotected(&a.g), 0);
	/* what the kernel says of its flags does not undo it, nor make it up */
	event(&a, 2, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 70, false);
	box_until(!sync_lag_records(&a.g));
	assert_false(flagged(&b, 2));
}

/* ORDER: the standby knows before the gate opens, and the gate is closed before it is told that all is well. */
static void who_does_not_commit_loses_protection(void **unused)
{
	struct box_gate *g;

	(void)unused;
	add(1);
	add(2);
	g = box_gate(&a, 1);
	in_step();
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 100, false);
	gate_turn(&a.g, 10 * S);
	gate_turn(&a.g, 10 * S + S / 2);
	assert_false(flagged(&a, 1));
	consume(1, 100);			/* in time */
	box_until(a.last_acked == txns);
	gate_turn(&a.g, 12 * S);
	assert_false(flagged(&a, 1));

	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 200, false);
	gate_turn(&a.g, 20 * S);
	gate_turn(&a.g, 21 * S);
	assert_true(flagged(&a, 1));
	gate_flush(&a.g);
	assert_false(g->open);			/* the standby has not acknowledged it */
	assert_true(gate_holds(&a.g, conn(&a, 1)));
	box_until(g->open);
	assert_true(flagged(&b, 1));
	assert_false(gate_holds(&a.g, conn(&a, 1)));
	assert_non_null(strstr(gate_reason(&a.g, conn(&a, 1)), "commit-timeout"));
	assert_false(flagged(&b, 2));		/* the others keep it */
	/* cursors go on, and the mark stays */
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 300, false);
	box_until(!sync_lag_records(&a.g));
	assert_true(flagged(&b, 1));

	/* it reads again; 40 more bytes were acknowledged meanwhile */
	g->wup = 340;
	consume(1, 300);
	box_until(a.last_acked == txns);
	gate_turn(&a.g, 30 * S);
	assert_false(g->open);			/* closed, and still unprotected */
	box_until(!sync_lag_records(&a.g));
	assert_true(flagged(&b, 1));
	consume(1, 340);
	gate_turn(&a.g, 31 * S);
	box_until(!sync_lag_records(&a.g));
	assert_false(flagged(&b, 1));
	assert_true(gate_holds(&a.g, conn(&a, 1)));
}

/* The kernel cannot protect it any more: the standby knows before its gate opens, and then it stays open. */
static void given_up(void **unused)
{
	struct box_gate *g;

	(void)unused;
	a.cg.hold = true;			/* it waits for nothing that could come */
	add(1);
	add(2);
	g = box_gate(&a, 1);
	consume(1, 50);
	in_step();
	box_until(a.last_acked == txns && g->gate == 50);
	gate_give_up(&a.g, conn(&a, 1), "it has TLS");
	gate_turn(&a.g, 10 * S);
	assert_true(flagged(&a, 1));
	gate_flush(&a.g);
	assert_false(g->open);
	box_until(g->open);
	assert_true(flagged(&b, 1));
	assert_string_equal(gate_reason(&a.g, conn(&a, 1)), "it has TLS");
	assert_false(flagged(&b, 2));
	/* whatever the application does */
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 100, false);
	consume(1, 100);
	box_until(a.last_acked == txns);
	gate_turn(&a.g, 20 * S);
	gate_turn(&a.g, 30 * S);
	box_turns(3);
	assert_true(g->open);
	assert_true(flagged(&b, 1));
}

/* on-standby-loss hold: the streams wait, whatever it is for. */
static void hold(void **unused)
{
	struct box_gate *g;

	(void)unused;
	a.cg.hold = true;
	add(1);
	g = box_gate(&a, 1);
	consume(1, 5);
	box_turns(3);
	assert_true(a.last_acked < txns);	/* no standby yet */
	in_step();
	box_until(a.last_acked == txns);
	event(&a, 1, TCP_NSR_CMD_CONN_CHANGE_NTF, TCP_NSR_MODE_LOSSLESS, 100, false);
	gate_turn(&a.g, 10 * S);
	gate_turn(&a.g, 20 * S);
	gate_turn(&a.g, 30 * S);
	box_turns(5);
	assert_false(g->open);
	assert_false(flagged(&a, 1));
	/* the standby is lost, and the role machine says so */
	link_destroy(b.n.link);
	b.n.link = NULL;
	box_until(a.downs);
	consume(1, 50);
	box_gates(&a, true);
	box_turns(3);
	assert_true(a.last_acked < txns);
	a.cg.hold = false;			/* the control: degrade */
	box_gates(&a, true);
	assert_int_equal(a.last_acked, txns);
}

/* What writes to the socket past the library is not protected, and that is said. */
static void bypass(void **unused)
{
	struct attr_buf r = { 0 }, ops = { 0 };

	(void)unused;
	add(1);
	in_step();
	/* a cursor that is older than what the application says */
	op_conn(&ops, 1, 0, 5, 0, NULL, 0);
	op_journal(&ops, 1, 0, "01234", 5);
	op_acked(&ops, 1, 0, 5, 4);
	assert_int_equal(box_txn(&a, "app", ++txns, &ops), 0);
	attr_put_u64(&r, TCP_NSR_A_CONN_ID, 1);
	attr_put_u64(&r, TCP_NSR_A_CONN_WRITE_SEQ, 3);
	box_conn(&a, TCP_NSR_CMD_CONN_CHANGE_NTF, r);
	memset(&r, 0, sizeof(r));
	gate_turn(&a.g, S);
	assert_false(flagged(&a, 1));
	attr_put_u64(&r, TCP_NSR_A_CONN_ID, 1);
	attr_put_u64(&r, TCP_NSR_A_CONN_WRITE_SEQ, 10);
	box_gate(&a, 1)->seq = 10;
	box_conn(&a, TCP_NSR_CMD_CONN_CHANGE_NTF, r);
	gate_turn(&a.g, 2 * S);
	assert_true(flagged(&a, 1));
	box_until(!sync_lag_records(&a.g));
	assert_true(flagged(&b, 1));
}

/* A connection born while the gates are closed waits for the standby from its first byte on. */
static void born_protected(void **unused)
{
	(void)unused;
	in_step();
	add(1);
	box_turns(3);
	assert_int_equal(box_gate(&a, 1)->gate, 0);
	assert_true(gate_holds(&a.g, conn(&a, 1)));
	consume(1, 7);
	box_until(a.last_acked == txns);
	assert_int_equal(box_gate(&a, 1)->gate, 7);
	/* and one that ends takes its marks with it */
	consume(1, 9);
	box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(1, 0, 0));
	box_until(a.last_acked == txns);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(journal_in_the_store), T(journal_in_the_snapshot), T(gate_follows_the_standby), T(old_link_proves_nothing),
		T(fin_passes_behind_everything), T(a_lost_request_is_made_again), T(one_batch), T(not_in_step_at_the_end),
		T(who_does_not_commit_loses_protection), T(given_up), T(hold), T(bypass), T(born_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
