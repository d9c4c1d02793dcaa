// SPDX-License-Identifier: GPL-2.0-only
/* Two boxes: snapshot while everything changes, live records, hand-over, loss, recovery. */
#include <errno.h>
#include "sync_box.h"

static struct box a, b;			/* a: active, node 1; b: standby, node 2 */

static int pair_up(void **unused)
{
	(void)unused;
	box_init(&a, 1, ROLE_ACTIVE);
	box_init(&b, 2, ROLE_SYNC);
	return 0;
}

static int pair_down(void **unused)
{
	(void)unused;
	box_exit(&a);
	box_exit(&b);
	return 0;
}

static bool level(void)
{
	uint8_t x[NSR_STORE_DIGEST], y[NSR_STORE_DIGEST];

	nsr_store_digest(a.g.store, x);
	nsr_store_digest(b.g.store, y);
	return b.ends && !sync_lag_records(&a.g) && !memcmp(x, y, sizeof(x));
}

/* One random thing that happens on the active. */
static void happen(void)
{
	static uint64_t consumed[64], end[64], txn;
	uint64_t id = 1 + rnd(40);
	struct nsr_store_conn *c = nsr_store_conn_find(a.g.store, id);
	struct attr_buf ops = { 0 };
	static uint8_t val[70000];
	char key[16];

	if (!c) {
		consumed[id] = end[id] = 0;
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(id, 1));
		return;
	}
	if (!rnd(12)) {
		box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(id, 0, 0));
		return;
	}
	if (!rnd(4)) {
		box_conn(&a, TCP_NSR_CMD_CONN_CHANGE_NTF, rec_cursors(id, rnd(1000), rnd(1000)));
		return;
	}
	for (uint32_t n = 1 + rnd(5); n; n--) {
		size_t len = rnd(30) ? rnd(200) : 60000 + rnd(5000);

		memset(val, (int)rnd(256), len);
		snprintf(key, sizeof(key), "k%u", rnd(60));
		if (rnd(4))
			op_put(&ops, rnd(2) ? id : 0, key, val, len);
		else
			op_del(&ops, rnd(2) ? id : 0, key);
	}
	memset(val, (int)(end[id] & 255), 3000);
	consumed[id] += rnd((uint32_t)(end[id] - consumed[id]) + 1);
	op_conn(&ops, id, consumed[id], end[id] * 2, end[id], val, 1 + rnd(3000));
	end[id] = 0;
	/* the owner's name must not change with each transaction */
	assert_int_equal(box_txn(&a, id % 2 ? "odd" : "even", ++txn, &ops), 0);
	c = nsr_store_conn_find(a.g.store, id);
	end[id] = c->rcv_tail_end;
}

static void assert_equal_stores(void)
{
	struct nsr_store_conn *c, *d;

	assert_int_equal(nsr_store_nr_conns(a.g.store), nsr_store_nr_conns(b.g.store));
	assert_int_equal(nsr_store_nr_states(a.g.store), nsr_store_nr_states(b.g.store));
	for (c = nsr_store_conn_next(a.g.store, NULL); c; c = nsr_store_conn_next(a.g.store, c)) {
		d = nsr_store_conn_find(b.g.store, c->id);
		assert_non_null(d);
		assert_int_equal(c->rcv_nxt, d->rcv_nxt);
		assert_int_equal(c->rcv_tail_end, d->rcv_tail_end);
		if (c->rcv_tail_end > c->rcv_consumed)
			assert_memory_equal(c->tail, d->tail, c->rcv_tail_end - c->rcv_consumed);
	}
	assert_digest_equal(a.g.store, b.g.store);
}

static void late_standby_gets_all_while_it_changes(void **unused)
{
	(void)unused;
	rnd_seed(1);
	for (int i = 0; i < 2000; i++)
		happen();
	box_meet(&a, &b);
	/* through the whole snapshot, and after it, things go on */
	while (!b.ends) {
		for (int i = 0; i < 5; i++)
			happen();
		box_turns(1);
	}
	for (int i = 0; i < 500; i++) {
		happen();
		if (!(i % 10))
			box_turns(1);
	}
	box_until(level());
	assert_equal_stores();
	assert_int_equal(b.lost, 0);
	assert_int_equal(b.ends, 1);
	assert_int_equal(b.synced, 1);
	assert_int_equal(b.last_epoch, 3);
	assert_true(sync_in_step(&a.g) && sync_in_step(&b.g));
	assert_true(b.added && b.states);
}

/* The digest at the end is what notices: a record is smuggled past it, and it does. */
static void a_standby_that_differs_is_not_in_step(void **unused)
{
	struct attr_buf ops = { 0 };

	(void)unused;
	rnd_seed(2);
	for (int i = 0; i < 200; i++)
		happen();
	a.hold_end = true;
	box_meet(&a, &b);
	box_until(a.sent);
	box_until(!sync_lag_records(&a.g));
	op_put(&ops, 0, "smuggled", "x", 1);
	assert_int_equal(nsr_store_txn(b.g.store, "odd", ops.data, ops.len), 0);
	attr_buf_free(&ops);
	a.hold_end = false;
	sync_end_snapshot(&a.g, (struct nsr_term){ 5, 1 }, 3, b.ask);
	box_until(b.lost);
	assert_non_null(strstr(b.lost_why, "digest"));
	/* asked again, swept, and good */
	box_until(b.ends);
	assert_equal_stores();
}

static void transactions_are_acknowledged_by_the_standby(void **unused)
{
	struct attr_buf ops = { 0 };
	unsigned int downs;

	(void)unused;
	op_put(&ops, 0, "k", "v", 1);
	assert_int_equal(box_txn(&a, "app", 1, &ops), 0);
	assert_int_equal(a.acks, 1);		/* no standby: at once */
	box_meet(&a, &b);
	box_until(b.ends);
	op_put(&ops, 0, "k", "w", 1);
	assert_int_equal(box_txn(&a, "app", 2, &ops), 0);
	assert_int_equal(a.acks, 1);		/* the standby's word is awaited */
	box_until(a.acks == 2);
	assert_int_equal(a.last_acked, 2);
	assert_int_equal(b.states, 2);
	/* a transaction longer than a frame is still one */
	for (int i = 0; i < 60; i++) {
		static uint8_t big[60000];
		char key[16];

		snprintf(key, sizeof(key), "big%d", i);
		op_put(&ops, 0, key, big, sizeof(big));
	}
	assert_int_equal(box_txn(&a, "app", 3, &ops), 0);
	box_until(a.last_acked == 3);
	assert_equal_stores();
	/* the link is lost with one on its way: the standby may take over without it, so nobody is told it is safe */
	op_put(&ops, 0, "k", "x", 1);
	assert_int_equal(box_txn(&a, "app", 4, &ops), 0);
	link_reset(a.n.link, "test");
	op_put(&ops, 0, "k", "y", 1);
	assert_int_equal(box_txn(&a, "app", 5, &ops), 0);
	box_until(a.downs);
	assert_int_equal(a.last_acked, 3);
	/* ... until the next snapshot has it */
	box_until(a.last_acked == 5);
	assert_int_equal(b.ends, 2);
	/* ... or until the standby cannot take over any more, by the role machine's word */
	a.hold_end = true;
	downs = a.downs;
	link_reset(a.n.link, "test");
	op_put(&ops, 0, "k", "z", 1);
	assert_int_equal(box_txn(&a, "app", 6, &ops), 0);
	box_until(a.downs > downs);
	assert_int_equal(a.last_acked, 5);
	box_gates(&a, true);
	assert_int_equal(a.last_acked, 6);
	a.hold_end = false;
	b.ends = 1;
	link_reset(a.n.link, "test");
	assert_false(sync_in_step(&a.g));
	box_until(b.ends == 2 && level());
	assert_equal_stores();
}

static void the_link_comes_back_and_so_does_the_standby(void **unused)
{
	(void)unused;
	rnd_seed(4);
	box_meet(&a, &b);
	box_until(b.ends);
	for (int round = 0; round < 6; round++) {
		unsigned int ends = b.ends, cut = rnd(30);

		for (int i = 0; i < 100; i++) {
			happen();
			if ((unsigned int)i == cut)
				link_reset(round % 2 ? a.n.link : b.n.link, "test");
			if (!rnd(6))
				box_turns(1);
		}
		if (round == 3)
			box_restart(&b);	/* empty again, under another instance */
		box_until(b.ends > ends && level());
		assert_equal_stores();
	}
	assert_int_equal(b.lost, 0);
}

static void a_reborn_active_tells_what_it_knows_now(void **unused)
{
	(void)unused;
	rnd_seed(6);
	for (int i = 0; i < 300; i++)
		happen();
	box_meet(&a, &b);
	box_until(b.ends && level());
	box_restart(&a);		/* its store is empty: so the standby's is to be */
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(3, 1));
	box_until(b.ends == 2 && level());
	assert_int_equal(nsr_store_nr_conns(b.g.store), 1);
	assert_int_equal(nsr_store_nr_states(b.g.store), 0);
	assert_true(b.removed);
}

static void handover_is_whole_and_acknowledged(void **unused)
{
	struct attr_buf all = { 0 };
	struct nsr_store_conn *c;

	(void)unused;
	box_meet(&a, &b);
	for (uint64_t id = 1; id <= 3000; id++)
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(id, 1));
	box_until(b.ends);
	for (uint64_t id = 1; id <= 3001; id++) {		/* the last one has ended meanwhile */
		size_t nest = attr_nest_start(&all, TCP_NSR_A_CONN);

		attr_put_u64(&all, TCP_NSR_A_CONN_ID, id);
		attr_put_u64(&all, TCP_NSR_A_CONN_RCV_NXT, id * 10);
		attr_put_u32(&all, TCP_NSR_A_CONN_FLAGS, TCP_NSR_CONN_F_EXACT);
		for (int i = 0; i < 8; i++) {
			uint8_t filler[60] = { 0 };

			attr_put(&all, (uint16_t)(3000 + i), filler, sizeof(filler));
		}
		attr_nest_end(&all, nest);
	}
	assert_true(all.len > NSR_FRAME_MAX);
	sync_handover(&a.g, all.data, all.len);
	attr_buf_free(&all);
	assert_int_equal(a.handovers_acked, 0);
	box_until(a.handovers_acked);
	assert_int_equal(b.handovers, 1);
	for (uint64_t id = 1; id <= 3000; id++) {
		c = nsr_store_conn_find(b.g.store, id);
		assert_true(c->exact);
		assert_int_equal(c->rcv_nxt, id * 10);
	}
	assert_null(nsr_store_conn_find(b.g.store, 3001));
	assert_equal_stores();
}

static void applications_that_snapshot_are_waited_for(void **unused)
{
	struct attr_buf ops = { 0 };

	(void)unused;
	op_put(&ops, 0, "old", "v", 1);
	op_put(&ops, 0, "kept", "v", 1);
	box_txn(&a, "app", 1, &ops);
	a.wait_apps = true;
	box_meet(&a, &b);
	box_until(a.asked && !sync_lag_records(&a.g) && nsr_store_nr_states(b.g.store) == 2);
	box_turns(20);
	assert_int_equal(a.sent, 0);
	assert_int_equal(sync_app_snapshot_begin(&a.g, "app"), 0);
	op_put(&ops, 0, "kept", "v2", 2);
	box_txn(&a, "app", 2, &ops);
	sync_app_snapshot_end(&a.g, "app");
	sync_app_snapshots_done(&a.g);
	box_until(b.ends);
	assert_int_equal(nsr_store_nr_states(b.g.store), 1);	/* "old" was not named */
	assert_equal_stores();
}

static void an_active_takes_nobodys_word(void **unused)
{
	(void)unused;
	box_meet(&a, &b);
	box_until(b.ends);
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(1, 1));
	box_until(nsr_store_nr_conns(b.g.store) == 1);
	b.g.role.state = ROLE_ACTIVE;
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(2, 1));
	box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(1, 0, 0));
	box_until(!sync_lag_records(&a.g));
	assert_int_equal(nsr_store_nr_conns(b.g.store), 1);
	assert_non_null(nsr_store_conn_find(b.g.store, 1));
	assert_true(link_is_up(b.n.link));
}

static void a_store_that_is_full_says_so(void **unused)
{
	static const struct nsr_store_caps caps = { .conns = 10 };

	(void)unused;
	/* a smaller store under the same callbacks: as on a box with less memory */
	box_meet(&a, &b);
	box_until(b.ends);
	nsr_store_destroy(b.g.store);
	b.g.store = nsr_store_create(&caps, NULL, NULL);
	for (uint64_t id = 1; id <= 11; id++)
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(id, 1));
	b.g.role.state = ROLE_INIT;		/* does not ask again: it would end the same */
	b.g.role.state = ROLE_READY;
	box_until(b.lost);
	assert_non_null(strstr(b.lost_why, "10 connections"));
	assert_true(link_is_up(b.n.link));
	b.g.role.state = ROLE_INIT;
	box_turns(5);
}

static void heartbeats_pass_both_ways(void **unused)
{
	struct nsr_heartbeat hb = { .group = 7, .node = 1, .instance = 5, .seq = 1, .state = ROLE_ACTIVE };

	(void)unused;
	box_meet(&a, &b);
	box_until(a.ups && b.ups);
	sync_send_heartbeat(&a.g, &hb);
	hb.node = 2;
	hb.state = ROLE_READY;
	sync_send_heartbeat(&b.g, &hb);
	box_until(a.heartbeats && b.heartbeats);
	assert_int_equal(a.hb.state, ROLE_READY);
	assert_int_equal(b.hb.node, 1);
}

int main(void)
{
	#define T(f) cmocka_unit_test_setup_teardown(f, pair_up, pair_down)
	const struct CMUnitTest tests[] = {
		T(late_standby_gets_all_while_it_changes),
		T(a_standby_that_differs_is_not_in_step),
		T(transactions_are_acknowledged_by_the_standby),
		T(the_link_comes_back_and_so_does_the_standby),
		T(a_reborn_active_tells_what_it_knows_now),
		T(handover_is_whole_and_acknowledged),
		T(applications_that_snapshot_are_waited_for),
		T(an_active_takes_nobodys_word),
		T(a_store_that_is_full_says_so),
		T(heartbeats_pass_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
