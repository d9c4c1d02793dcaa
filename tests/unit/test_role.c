// SPDX-License-Identifier: GPL-2.0-only
/* One test for each row of the table in Documentation/roles.md, by name */
#include <stdio.h>
#include <stdlib.h>
#include "role_fix.h"

#define TEST(name, state)								\
	static void name##_body(struct fix *f);						\
	static void name(void **unused)							\
	{										\
		struct fix *f = malloc(sizeof(*f));					\
											\
		(void)unused;								\
		assert_non_null(f);							\
		fix_init(f, ROLE_##state);						\
		name##_body(f);								\
		fix_exit(f);								\
		free(f);								\
	}										\
	static void name##_body(struct fix *f)

/* ---- INIT, SYNC ---- */

TEST(init_hears_active_asks_for_snapshot, INIT)
{
	hears(f, ROLE_ACTIVE, T(11, PEER));
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_SNAPSHOT_ASK, ROLE_ACT_NONE);
	expect_term(f, 11, PEER);
}

TEST(init_ignores_active_of_lower_term, INIT)
{
	hears(f, ROLE_ACTIVE, T(9, PEER));
	expect_state(f, ROLE_INIT);
}

TEST(init_asks_only_with_link, INIT)
{
	f->r.link = false;
	hears(f, ROLE_ACTIVE, T(10, PEER));
	expect_state(f, ROLE_SYNC);
	expect_none(f, ROLE_ACT_SNAPSHOT_ASK);
	role_link(&f->r, f->now, true);
	hears(f, ROLE_ACTIVE, T(10, PEER));
	expect_order(f, ROLE_ACT_SNAPSHOT_ASK, ROLE_ACT_NONE);
}

TEST(init_hears_init_and_wins_tie_claims_cold, INIT)
{
	hears(f, ROLE_INIT, T(10, PEER));
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 11, ME);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_ALARM, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.warm, 0);
}

TEST(tie_is_term_then_priority_then_id, INIT)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_INIT, T(10, PEER), 10 * MS);

	hb.priority = 5;		/* beats my lower id */
	hear(f, &hb);
	expect_state(f, ROLE_INIT);
	hb = peer_hb(f, ROLE_INIT, T(9, PEER), 10 * MS);
	hb.priority = 5;		/* does not beat my higher term */
	hear(f, &hb);
	expect_state(f, ROLE_CLAIM);
}

TEST(init_in_silence_waits_and_alarms_once, INIT)
{
	turns(f, 20);
	expect_state(f, ROLE_INIT);
	assert_true(find_act(f, ROLE_ACT_ALARM, 0) >= 0);
	assert_int_equal(find_act(f, ROLE_ACT_ALARM, find_act(f, ROLE_ACT_ALARM, 0) + 1), -1);
}

TEST(init_alone_starts_if_disk_says_peer_was_unable, INIT)
{
	f->r.alone_ok = f->r.was_active = true;
	f->r.record.was_active = f->r.record.peer_unable = 1;
	turns(f, 20);
	expect_state(f, ROLE_ACTIVE);
	assert_true(f->r.gates_open);
}

TEST(init_hears_claim_and_answers_mute, INIT)
{
	hears(f, ROLE_CLAIM, T(12, PEER));
	expect_state(f, ROLE_INIT);
	expect_term(f, 12, PEER);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.term.number, 12);
}

static void to_sync(struct fix *f)
{
	hears(f, ROLE_ACTIVE, T(10, PEER));
	expect_state(f, ROLE_SYNC);
	forget_done(f);
}

TEST(sync_snapshot_end_and_heartbeat_in_step_starts_ready_lease, INIT)
{
	struct nsr_heartbeat hb;

	to_sync(f);
	assert_int_equal(role_snapshot_end(&f->r, f->now, T(10, PEER), 4, f->r.ask), 0);
	pump(f);
	expect_state(f, ROLE_SYNC);
	hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 30 * MS);
	hb.epoch = 4;
	hear(f, &hb);
	expect_state(f, ROLE_READY);
	assert_int_equal(f->r.ready_until, f->now - 30 * MS + 10 * I);
}

TEST(sync_end_of_a_refused_epoch_is_not_believed, INIT)
{
	struct nsr_heartbeat hb;

	to_sync(f);			/* it has said "not ready for epoch 3" */
	role_snapshot_end(&f->r, f->now, T(10, PEER), 3, f->r.ask);
	pump(f);
	hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 30 * MS);
	hear(f, &hb);
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_SNAPSHOT_ASK, ROLE_ACT_NONE);	/* anew */
}

TEST(sync_end_of_another_ask_is_ignored, INIT)
{
	to_sync(f);
	role_snapshot_end(&f->r, f->now, T(10, PEER), 4, f->r.ask + 1);
	pump(f);
	assert_false(f->r.complete);
	assert_true(f->r.asked);
}

TEST(sync_end_while_active_opened_its_gates_is_abandoned, INIT)
{
	struct nsr_heartbeat hb;

	to_sync(f);
	role_snapshot_end(&f->r, f->now, T(10, PEER), 4, f->r.ask);
	hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 30 * MS);
	hb.epoch = 4;
	hb.in_step = 0;
	hear(f, &hb);
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DROP_DATA, ROLE_ACT_SNAPSHOT_ASK, ROLE_ACT_NONE);
}

TEST(sync_link_down_asks_anew, INIT)
{
	uint32_t ask;

	to_sync(f);
	ask = f->r.ask;
	role_link(&f->r, f->now, false);
	pump(f);
	role_link(&f->r, f->now, true);
	hears(f, ROLE_ACTIVE, T(10, PEER));
	assert_int_equal(f->r.ask, ask + 1);
	expect_order(f, ROLE_ACT_DROP_DATA, ROLE_ACT_SNAPSHOT_ASK, ROLE_ACT_NONE);
}

/* ---- READY ---- */

TEST(ready_extends_lease_from_echo, READY)
{
	f->now += 5 * I;
	hears(f, ROLE_ACTIVE, T(10, PEER));
	expect_state(f, ROLE_READY);
	assert_int_equal(f->r.ready_until, f->now - 10 * MS + 10 * I);
}

TEST(ready_does_not_extend_without_echo, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), ECHO_NONE);
	uint64_t until = f->r.ready_until;

	hear(f, &hb);
	hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 0);
	hb.echo_instance = 110;		/* an echo of a former start of ours */
	hear(f, &hb);
	assert_int_equal(f->r.ready_until, until);
}

TEST(ready_ignores_older_epoch, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 10 * MS);
	uint64_t until = f->r.ready_until;

	hb.epoch = 2;
	hear(f, &hb);
	expect_state(f, ROLE_READY);
	assert_int_equal(f->r.ready_until, until);
}

static void ready_drops(struct fix *f)
{
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DROP_DATA, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_false(f->r.has_data);
}

TEST(ready_out_of_step_drops_data, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 10 * MS);

	hb.in_step = 0;
	hear(f, &hb);
	ready_drops(f);
	assert_int_equal(f->sent.epoch, 3);	/* resigns: not ready for this epoch */
}

TEST(ready_newer_term_drops_data, READY)
{
	hears(f, ROLE_ACTIVE, T(11, PEER));
	ready_drops(f);
}

TEST(ready_newer_epoch_drops_data, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), 10 * MS);

	hb.epoch = 4;
	hear(f, &hb);
	ready_drops(f);
}

TEST(ready_overrun_drops_data, READY)
{
	role_data_lost(&f->r, f->now, ROLE_WHY_OVERRUN);
	pump(f);
	ready_drops(f);
}

TEST(ready_lapse_drops_data, READY)
{
	f->r.ready_until = f->now + I / 2;
	turns(f, 1);
	ready_drops(f);
}

TEST(ready_survives_link_reset, READY)
{
	role_link(&f->r, f->now, false);
	pump(f);
	expect_state(f, ROLE_READY);
}

TEST(ready_silence_claims, READY)
{
	turns(f, 2);
	expect_state(f, ROLE_READY);
	turns(f, 1);
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 11, ME);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.warm, 1);
}

/* ORDER: sockets before timers. The heartbeat lay in the socket while nsrd hung. */
TEST(ready_timer_before_socket_would_claim, READY)
{
	struct nsr_heartbeat hb;

	f->r.last_turn = f->now += 3 * I + I / 2;
	hb = peer_hb(f, ROLE_ACTIVE, T(10, PEER), I);
	hear(f, &hb);
	f->now += I / 2;
	role_turn(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_READY);
	f->r.silent_since = f->now - 3 * I;	/* the control: as if it had not been read */
	role_turn(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_CLAIM);
}

TEST(ready_hears_init_claims, READY)
{
	hears(f, ROLE_INIT, T(10, PEER));
	expect_state(f, ROLE_CLAIM);
}

TEST(ready_hears_held_claims, READY)
{
	hears(f, ROLE_HELD, T(10, PEER));
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 11, ME);
}

TEST(ready_hears_offer_flips, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_HELD, T(11, ME), 10 * MS);

	hb.offer = T(11, ME);
	hear(f, &hb);
	wake(f);
	expect_state(f, ROLE_ACTIVE);
	expect_term(f, 11, ME);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_KERNEL_ACTIVE, ROLE_ACT_ADDRESSES_TAKE,
		     ROLE_ACT_APPS_ACTIVE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(ready_hears_offer_to_other_claims_instead, READY)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_HELD, T(11, PEER), 10 * MS);

	hb.offer = T(11, PEER);
	hear(f, &hb);
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 12, ME);
	assert_false(f->r.evidence);
}

TEST(ready_hears_higher_claim_answers_mute, READY)
{
	hears(f, ROLE_CLAIM, T(11, PEER));
	expect_state(f, ROLE_READY);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.term.number, 11);
	assert_int_equal(f->sent.state, ROLE_READY);
}

TEST(ready_tie_with_ready_lower_id_claims, READY)
{
	hears(f, ROLE_READY, T(10, PEER));
	expect_state(f, ROLE_CLAIM);
}

/* ---- CLAIM ---- */

TEST(claim_every_turn_on_the_wire, CLAIM)
{
	turns(f, 2);
	assert_int_equal(f->nsent, 2);
	assert_int_equal(f->sent.state, ROLE_CLAIM);
}

TEST(claim_silence_proves_after_lease_and_interval, CLAIM)
{
	turns(f, 3);
	expect_state(f, ROLE_CLAIM);
	turns(f, 1);
	expect_state(f, ROLE_ACTIVE);
	expect_order(f, ROLE_ACT_KERNEL_ACTIVE, ROLE_ACT_KERNEL_READY, ROLE_ACT_ADDRESSES_TAKE,
		     ROLE_ACT_APPS_ACTIVE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_false(f->r.gates_open);	/* the peer may have been ready */
}

TEST(claim_counts_from_the_wire_not_from_the_wish, CLAIM)
{
	f->r.claim_at = 0;		/* not sent yet: its first turn sends it */
	turns(f, 4);
	expect_state(f, ROLE_CLAIM);
	turns(f, 1);
	expect_state(f, ROLE_ACTIVE);
}

TEST(claim_own_pause_starts_anew, CLAIM)
{
	f->r.ready_until = f->now + 90 * I;
	turns(f, 3);
	f->now += 5 * I;		/* paused */
	turns(f, 1);
	expect_state(f, ROLE_CLAIM);
	turns(f, 3);
	expect_state(f, ROLE_CLAIM);
	turns(f, 1);
	expect_state(f, ROLE_ACTIVE);
}

TEST(claim_mute_answer_flips_after_drain, CLAIM)
{
	hears(f, ROLE_HELD, T(10, ME));
	expect_state(f, ROLE_CLAIM);
	assert_int_equal(role_wakeup(&f->r), f->now + 20 * MS);
	wake(f);
	expect_state(f, ROLE_ACTIVE);
	/* the lease counts from our own timestamp that the mute peer has seen */
	assert_int_equal(f->done[find_act(f, ROLE_ACT_KERNEL_ACTIVE, 0)].lease_until,
			 f->now - 20 * MS - 10 * MS + 3 * I);
}

TEST(claim_mute_answer_of_other_term_or_old_echo_is_no_evidence, CLAIM)
{
	struct nsr_heartbeat hb;

	hears(f, ROLE_HELD, T(9, PEER));
	assert_false(f->r.evidence);
	hb = peer_hb(f, ROLE_HELD, T(10, ME), 3 * I);
	hear(f, &hb);
	assert_false(f->r.evidence);
	hb = peer_hb(f, ROLE_HELD, T(10, ME), ECHO_NONE);
	hear(f, &hb);
	assert_false(f->r.evidence);
}

TEST(claim_is_active_only_when_kernel_accepted, CLAIM)
{
	hears(f, ROLE_HELD, T(10, ME));
	f->stop = ROLE_ACT_KERNEL_ACTIVE;
	forget_done(f);
	wake(f);
	expect_state(f, ROLE_CLAIM);
	assert_true(role_busy(&f->r));
	assert_int_equal(role_turn(&f->r, f->now + I), -EBUSY);
	assert_int_equal(f->nsent, 0);
	role_kernel_answer(&f->r, f->now, 0, 6);
	expect_state(f, ROLE_ACTIVE);
}

TEST(claim_kernel_refuses_stays_claim, CLAIM)
{
	f->fail = ROLE_ACT_KERNEL_ACTIVE;
	hears(f, ROLE_HELD, T(10, ME));
	wake(f);
	expect_state(f, ROLE_CLAIM);
	expect_none(f, ROLE_ACT_ADDRESSES_TAKE);
}

TEST(claim_no_longer_valid_withdraws, CLAIM)
{
	f->r.ready_until = f->now + I / 2;
	turns(f, 1);
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DROP_DATA, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(claim_hears_active_of_equal_or_higher_term_syncs, CLAIM)
{
	hears(f, ROLE_ACTIVE, T(9, PEER));
	expect_state(f, ROLE_CLAIM);
	hears(f, ROLE_ACTIVE, T(11, PEER));
	expect_state(f, ROLE_SYNC);
}

TEST(claim_warm_outbids_cold, CLAIM)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_CLAIM, T(11, PEER), 10 * MS);

	hb.warm = 0;
	hear(f, &hb);
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 12, ME);
}

TEST(claim_yields_to_higher_claim, CLAIM)
{
	hears(f, ROLE_CLAIM, T(11, PEER));
	expect_state(f, ROLE_HELD);
	expect_term(f, 11, PEER);
	assert_int_equal(f->sent.state, ROLE_HELD);
}

TEST(claim_cold_yields_to_higher_claim, CLAIM)
{
	f->r.cold = true;
	f->r.has_data = false;
	hears(f, ROLE_CLAIM, T(11, PEER));
	expect_state(f, ROLE_SYNC);
}

TEST(claim_hears_mute_of_higher_term_claims_higher, CLAIM)
{
	hears(f, ROLE_HELD, T(14, PEER));
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 15, ME);
}

TEST(claim_cold_lets_ready_or_held_peer, CLAIM)
{
	f->r.cold = true;
	f->r.has_data = false;
	hears(f, ROLE_READY, T(10, ME));
	expect_state(f, ROLE_SYNC);
}

TEST(claim_cold_in_silence_withdraws_without_the_right_to_start_alone, CLAIM)
{
	f->r.cold = true;
	f->r.has_data = false;
	turns(f, 10);
	expect_state(f, ROLE_SYNC);
	expect_none(f, ROLE_ACT_KERNEL_ACTIVE);
}

TEST(claim_fence_ok_flips, CLAIM)
{
	f->r.cfg.authority = ROLE_AUTH_FENCE;
	turns(f, 3);
	expect_order(f, ROLE_ACT_FENCE, ROLE_ACT_NONE);
	turns(f, 3);
	expect_state(f, ROLE_CLAIM);		/* silence alone proves nothing */
	role_fence_result(&f->r, f->now, true);
	turns(f, 2);
	expect_state(f, ROLE_ACTIVE);
	assert_true(f->r.gates_open);
}

TEST(claim_fence_fails_backs_off, CLAIM)
{
	f->r.cfg.authority = ROLE_AUTH_FENCE;
	turns(f, 3);
	forget_done(f);
	role_fence_result(&f->r, f->now, false);
	pump(f);
	turns(f, 3);
	expect_state(f, ROLE_CLAIM);
	expect_order(f, ROLE_ACT_ALARM, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_FENCE);
}

/* ---- ACTIVE, LEAVE ---- */

TEST(active_turn_renews_then_sends, ACTIVE)
{
	turns(f, 1);
	expect_order(f, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->done[0].lease_until, f->now + 3 * I);
}

TEST(active_lapse_mutes_and_holds, ACTIVE)
{
	f->r.lease_until = f->now + I / 2;
	turns(f, 1);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE, ROLE_ACT_HEARTBEAT,
		     ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_DESTROY);
	expect_none(f, ROLE_ACT_KERNEL_LEASE);
}

TEST(active_renewal_refused_holds, ACTIVE)
{
	f->fail = ROLE_ACT_KERNEL_LEASE;
	turns(f, 1);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->nsent, 1);
	assert_int_equal(f->sent.state, ROLE_HELD);
}

TEST(active_hears_higher_active_closes_silently, ACTIVE)
{
	hears(f, ROLE_ACTIVE, T(11, PEER));
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE,
		     ROLE_ACT_DESTROY, ROLE_ACT_DROP_DATA, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(active_hears_warm_higher_claim_mutes_then_answers, ACTIVE)
{
	hears(f, ROLE_CLAIM, T(11, PEER));
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE,
		     ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.term.number, 11);
}

TEST(active_outbids_cold_claim, ACTIVE)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_CLAIM, T(13, PEER), 10 * MS);

	hb.warm = 0;
	hear(f, &hb);
	expect_state(f, ROLE_ACTIVE);
	expect_term(f, 14, ME);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_KERNEL_MUTE);
}

TEST(active_outbids_mute_peer_of_higher_term, ACTIVE)
{
	hears(f, ROLE_SYNC, T(13, PEER));
	expect_state(f, ROLE_ACTIVE);
	expect_term(f, 14, ME);
	assert_false(f->r.gates_open);	/* it spoke of another term than ours */
}

TEST(active_mutes_for_a_warm_claimer_that_cannot_hear, ACTIVE)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_CLAIM, T(9, PEER), 10 * MS);

	hear(f, &hb);
	expect_state(f, ROLE_ACTIVE);	/* it hears us: our term will tell it */
	hb = peer_hb(f, ROLE_CLAIM, T(9, PEER), 4 * I);
	hear(f, &hb);
	expect_state(f, ROLE_HELD);
}

TEST(active_peer_not_ready_opens_gates, ACTIVE)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_SYNC, T(10, ME), 10 * MS);

	hb.epoch = 2;			/* speaks of an older epoch: proves nothing */
	hear(f, &hb);
	assert_false(f->r.gates_open);
	hb = peer_hb(f, ROLE_SYNC, T(10, ME), 10 * MS);
	hb.epoch = 3;
	hear(f, &hb);
	assert_true(f->r.gates_open);
	expect_order(f, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_KERNEL_READY, ROLE_ACT_ALARM,
		     ROLE_ACT_DISK_WRITE, ROLE_ACT_NONE);
	/* nobody can take over: the lease is a long one, nsrd may die */
	assert_true(f->r.lease_until > f->now + 1000 * I);
	assert_int_equal(f->r.record.peer_unable, 1);
}

TEST(active_silent_peer_opens_gates_after_ready_lease_and_margin, ACTIVE)
{
	turns(f, 10);
	assert_false(f->r.gates_open);
	turns(f, 1);
	assert_true(f->r.gates_open);
	/* it may have taken over: the lease stays short, and the disk says nothing */
	assert_int_equal(f->r.lease_until, f->now + 3 * I);
	assert_int_equal(f->r.record.peer_unable, 0);
}

TEST(active_snapshot_closes_gates_before_end, ACTIVE)
{
	f->r.gates_open = true;
	f->r.unable = ROLE_UNABLE_SAID;
	f->r.lease_until = f->now + 9000 * I;
	f->r.record.was_active = f->r.record.peer_unable = 1;
	assert_int_equal(role_snapshot_asked(&f->r, f->now, 77), 0);
	pump(f);
	expect_order(f, ROLE_ACT_SNAPSHOT_SEND, ROLE_ACT_NONE);
	forget_done(f);
	assert_int_equal(role_snapshot_sent(&f->r, f->now, 77), 0);
	pump(f);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_KERNEL_READY,
		     ROLE_ACT_SNAPSHOT_END, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->r.lease_until, f->now + 3 * I);	/* no longer a long one */
	assert_int_equal(f->r.record.peer_unable, 0);
	assert_int_equal(f->r.epoch, 4);
	assert_int_equal(f->sent.in_step, 1);
}

TEST(active_gates_that_do_not_close_are_tried_again, ACTIVE)
{
	f->r.gates_open = true;
	f->r.unable = ROLE_UNABLE_SAID;
	f->fail = ROLE_ACT_KERNEL_READY;
	role_snapshot_asked(&f->r, f->now, 77);
	pump(f);
	role_snapshot_sent(&f->r, f->now, 77);
	pump(f);
	expect_none(f, ROLE_ACT_SNAPSHOT_END);
	assert_true(f->r.gates_open);
	assert_int_equal(f->r.epoch, 3);
	f->fail = ROLE_ACT_NONE;
	turns(f, 1);
	expect_order(f, ROLE_ACT_SNAPSHOT_END, ROLE_ACT_NONE);
}

TEST(active_app_dies_syncs, ACTIVE)
{
	role_app_died(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE, ROLE_ACT_DESTROY,
		     ROLE_ACT_DROP_DATA, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(active_takeover_failure_mutes_and_holds, CLAIM)
{
	f->fail = ROLE_ACT_ADDRESSES_TAKE;
	turns(f, 4);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_ADDRESSES_TAKE, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE,
		     ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_APPS_ACTIVE);
}

TEST(active_failed_mute_is_repeated_and_nothing_follows, ACTIVE)
{
	f->fail = ROLE_ACT_KERNEL_MUTE;
	hears(f, ROLE_CLAIM, T(11, PEER));
	assert_int_equal(f->nsent, 0);
	assert_true(role_busy(&f->r));
	turns(f, 1);			/* the stall is over: again */
	assert_int_equal(f->nsent, 0);
	expect_none(f, ROLE_ACT_ADDRESSES_RELEASE);
	f->fail = ROLE_ACT_NONE;
	turns(f, 1);
	expect_order(f, ROLE_ACT_ADDRESSES_RELEASE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(switchover_needs_ready_peer, ACTIVE)
{
	f->r.peer.ready_since = 0;
	assert_int_equal(role_switchover(&f->r, f->now), -EAGAIN);
	assert_non_null(strstr(role_refusal(&f->r), "not ready"));
	expect_state(f, ROLE_ACTIVE);
}

TEST(switchover_tells_applications, ACTIVE)
{
	assert_int_equal(role_switchover(&f->r, f->now), 0);
	pump(f);
	expect_state(f, ROLE_LEAVE);
	expect_order(f, ROLE_ACT_APPS_LEAVING, ROLE_ACT_NONE);
	turns(f, 1);			/* and goes on as active meanwhile */
	expect_order(f, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

TEST(leave_done_mutes_and_offers_the_peers_term, LEAVE)
{
	assert_int_equal(role_left(&f->r, f->now), 0);
	pump(f);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE,
		     ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_DESTROY);
	assert_int_equal(f->sent.offer.number, 11);
	assert_int_equal(f->sent.offer.owner, PEER);
	expect_term(f, 11, PEER);
}

TEST(leave_timeout_calls_off, LEAVE)
{
	role_leave_timeout(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_ACTIVE);
	expect_order(f, ROLE_ACT_APPS_CALLED_OFF, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_KERNEL_MUTE);
}

TEST(leave_without_ready_peer_calls_off, LEAVE)
{
	f->r.in_step = false;
	role_left(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_ACTIVE);
	expect_order(f, ROLE_ACT_APPS_CALLED_OFF, ROLE_ACT_NONE);
}

TEST(leave_disk_failure_calls_off, LEAVE)
{
	f->fail = ROLE_ACT_DISK_WRITE;
	role_left(&f->r, f->now);
	pump(f);
	expect_state(f, ROLE_ACTIVE);
	expect_order(f, ROLE_ACT_ALARM, ROLE_ACT_APPS_CALLED_OFF, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_KERNEL_MUTE);
	expect_term(f, 10, ME);
}

/* ---- HELD ---- */

TEST(held_hears_active_destroys_silently, HELD)
{
	hears(f, ROLE_ACTIVE, T(9, PEER));
	expect_state(f, ROLE_HELD);	/* not that one */
	hears(f, ROLE_ACTIVE, T(11, PEER));
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DISK_WRITE, ROLE_ACT_DESTROY, ROLE_ACT_DROP_DATA, ROLE_ACT_NONE);
}

TEST(held_hears_empty_claims, HELD)
{
	hears(f, ROLE_INIT, T(10, ME));
	expect_state(f, ROLE_CLAIM);
	expect_term(f, 11, ME);
}

TEST(held_silence_claims_and_comes_back_with_its_sockets, HELD)
{
	turns(f, 8);
	expect_state(f, ROLE_ACTIVE);
	assert_true(f->done[find_act(f, ROLE_ACT_APPS_ACTIVE, 0)].held);
}

TEST(held_hears_higher_claim_shrinks_lease_and_answers, HELD)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_CLAIM, T(11, PEER), 6 * I);

	hear(f, &hb);
	expect_state(f, ROLE_HELD);
	assert_int_equal(f->r.ready_until, f->now + 4 * I);
	assert_int_equal(f->sent.term.number, 11);
}

TEST(held_not_valid_syncs, HELD)
{
	f->r.ready_until = f->now + I / 2;
	turns(f, 1);
	expect_state(f, ROLE_SYNC);
	expect_order(f, ROLE_ACT_DESTROY, ROLE_ACT_DROP_DATA, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
}

/* ---- start ---- */

static void restart(struct fix *f, const struct role_kernel *k, const struct term_record *disk)
{
	struct role_cfg cfg;

	fix_cfg(&cfg);
	role_exit(&f->r);
	assert_int_equal(role_init(&f->r, &cfg), 0);
	assert_int_equal(role_start(&f->r, f->now, disk, k, 333), 0);
	pump(f);
}

static struct role_kernel kernel_active(const struct fix *f, uint64_t lease, uint64_t ready)
{
	return (struct role_kernel){ .active = true, .term = T(10, ME), .generation = 9, .epoch = 3,
				     .lease_until = f->now + lease, .ready_until = f->now + ready };
}

TEST(restart_with_lease_listens_one_interval, ACTIVE)
{
	struct role_kernel k = kernel_active(f, 2 * I, 9 * I);
	struct term_record disk = { .term = T(10, ME), .boots = 3 };

	restart(f, &k, &disk);
	expect_state(f, ROLE_ACTIVE);
	assert_int_equal(f->r.boots, 4);
	expect_none(f, ROLE_ACT_KERNEL_MUTE);
	f->now += I / 2;
	role_turn(&f->r, f->now);
	pump(f);
	expect_none(f, ROLE_ACT_KERNEL_LEASE);
	turns(f, 1);
	expect_order(f, ROLE_ACT_KERNEL_LEASE, ROLE_ACT_HEARTBEAT, ROLE_ACT_NONE);
	assert_int_equal(f->sent.in_step, 0);
}

TEST(restart_lapsed_and_valid_is_held, ACTIVE)
{
	struct role_kernel k = kernel_active(f, 0, 5 * I);

	restart(f, &k, NULL);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE, ROLE_ACT_NONE);
	expect_none(f, ROLE_ACT_DESTROY);
}

TEST(restart_lapsed_and_not_valid_is_init, ACTIVE)
{
	struct role_kernel k = kernel_active(f, 0, 0);

	restart(f, &k, NULL);
	expect_state(f, ROLE_INIT);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_DESTROY, ROLE_ACT_DROP_DATA, ROLE_ACT_NONE);
}

TEST(restart_after_offer_mutes_although_the_lease_runs, ACTIVE)
{
	struct role_kernel k = kernel_active(f, 2 * I, 9 * I);
	struct term_record disk = { .term = T(11, PEER) };	/* written, then nsrd died */

	restart(f, &k, &disk);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_NONE);
	expect_term(f, 11, PEER);
}

TEST(restart_kernel_standby_is_init, READY)
{
	struct role_kernel k = { .generation = 4 };

	restart(f, &k, NULL);
	expect_state(f, ROLE_INIT);
	expect_order(f, ROLE_ACT_DROP_DATA, ROLE_ACT_NONE);
}

TEST(boot_remembers_the_term, INIT)
{
	struct role_kernel k = { .generation = 1 };
	struct term_record disk = { .term = T(40, PEER), .boots = 8 };

	restart(f, &k, &disk);
	expect_state(f, ROLE_INIT);
	expect_term(f, 40, PEER);
	hears(f, ROLE_ACTIVE, T(39, PEER));
	expect_state(f, ROLE_INIT);
}

TEST(alone_is_active_at_once, INIT)
{
	struct role_kernel k = { .generation = 1 };
	struct role_cfg cfg;

	fix_cfg(&cfg);
	cfg.alone = true;
	cfg.peer_node = 0;
	role_exit(&f->r);
	role_init(&f->r, &cfg);
	role_start(&f->r, f->now, NULL, &k, 333);
	pump(f);
	turns(f, 3);
	expect_state(f, ROLE_ACTIVE);
	assert_true(f->r.lease_until > f->now + 1000 * I);
}

/* ---- any ---- */

TEST(demotion_mutes_in_the_kernel, ACTIVE)
{
	assert_int_equal(role_order(&f->r, f->now, false), -EINVAL);
	f->r.cfg.authority = ROLE_AUTH_EXTERNAL;
	f->r.ordered = true;
	assert_int_equal(role_order(&f->r, f->now, false), 0);
	pump(f);
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_ADDRESSES_RELEASE, ROLE_ACT_NONE);
	turns(f, 9);
	expect_none(f, ROLE_ACT_KERNEL_ACTIVE);	/* no claim without an order */
}

TEST(external_claims_on_order_only, READY)
{
	f->r.cfg.authority = ROLE_AUTH_EXTERNAL;
	turns(f, 6);
	expect_state(f, ROLE_READY);
	assert_int_equal(role_order(&f->r, f->now, true), 0);
	pump(f);
	turns(f, 2);
	expect_state(f, ROLE_ACTIVE);
}

TEST(kernel_muted_by_another_is_noticed, ACTIVE)
{
	struct role_kernel k = kernel_active(f, 2 * I, 0);

	k.generation = 4;			/* an old notice */
	role_kernel_event(&f->r, f->now, &k);
	pump(f);
	expect_state(f, ROLE_ACTIVE);
	k.generation = 6;
	k.active = false;
	role_kernel_event(&f->r, f->now, &k);
	pump(f);
	expect_state(f, ROLE_HELD);
}

TEST(disk_refuses_no_claim, READY)
{
	f->fail = ROLE_ACT_DISK_WRITE;
	turns(f, 6);
	expect_state(f, ROLE_READY);
	assert_int_equal(f->sent.term.number, 10);
	expect_term(f, 10, PEER);
	f->fail = ROLE_ACT_NONE;
	turns(f, 1);
	expect_state(f, ROLE_CLAIM);
}

TEST(disk_refuses_while_yielding_mutes_and_is_silent, ACTIVE)
{
	f->fail = ROLE_ACT_DISK_WRITE;
	hears(f, ROLE_CLAIM, T(11, PEER));
	expect_state(f, ROLE_HELD);
	expect_order(f, ROLE_ACT_KERNEL_MUTE, ROLE_ACT_NONE);
	turns(f, 2);
	assert_int_equal(f->nsent, 0);
	f->fail = ROLE_ACT_NONE;
	hears(f, ROLE_CLAIM, T(11, PEER));
	assert_int_equal(f->sent.term.number, 11);
}

TEST(preemption_only_after_unbroken_readiness, ACTIVE)
{
	struct nsr_heartbeat hb;
	int i;

	f->r.cfg.preempt = true;
	f->r.cfg.preempt_delay = 20 * I;
	f->r.peer.ready_since = 0;
	for (i = 0; i < 30 && f->r.state == ROLE_ACTIVE; i++) {
		hb = peer_hb(f, i == 5 ? ROLE_INIT : ROLE_READY, T(10, ME), 10 * MS);
		hb.epoch = i == 5 ? ROLE_EPOCH_NONE : 3;
		hb.priority = 9;
		hear(f, &hb);
		turns(f, 1);
	}
	expect_state(f, ROLE_LEAVE);
	assert_true(i > 24);
}

TEST(lapses_bar_claims_until_cleared, ACTIVE)
{
	int i;

	f->r.cfg.lapse_max = 2;
	for (i = 0; i < 2; i++) {
		f->r.state = ROLE_ACTIVE;
		f->r.lease_until = f->now;
		turns(f, 1);
	}
	assert_true(f->r.barred);
	turns(f, 5);
	expect_state(f, ROLE_HELD);
	role_clear(&f->r, f->now);
	pump(f);
	turns(f, 1);
	expect_state(f, ROLE_CLAIM);
}

TEST(stop_resigns, READY)
{
	assert_int_equal(role_stop(&f->r, f->now), 0);
	pump(f);
	expect_state(f, ROLE_INIT);
	assert_int_equal(f->sent.state, ROLE_INIT);
	assert_int_equal(f->sent.epoch, 3);	/* the active may open its gates at once */
}

TEST(bad_heartbeats_are_refused_by_name, ACTIVE)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_ACTIVE, T(99, PEER), 10 * MS), x;

#define REFUSED(member, value, word) do {						\
		x = hb;									\
		x.member = value;							\
		assert_int_equal(role_heartbeat(&f->r, f->now, &x), -EINVAL);		\
		assert_non_null(strstr(role_refusal(&f->r), word));			\
		expect_state(f, ROLE_ACTIVE);						\
	} while (0)
	REFUSED(group, 8, "group");
	REFUSED(schema_major, 2, "schema");
	REFUSED(node, ME, "node id");
	REFUSED(node, 5, "configured peer");
	REFUSED(state, ROLE_STATES, "malformed");
	REFUSED(seq, 0, "malformed");
	REFUSED(term, T(UINT64_MAX, PEER), "malformed");
}

TEST(late_and_second_copies_are_dropped, ACTIVE)
{
	struct nsr_heartbeat hb = peer_hb(f, ROLE_READY, T(10, ME), 10 * MS), late = hb;

	f->seq++;
	hears(f, ROLE_READY, T(10, ME));
	late.state = ROLE_ACTIVE;
	late.term = T(50, PEER);
	hear(f, &late);
	expect_state(f, ROLE_ACTIVE);
	late.seq = 99;
	late.instance = 221;		/* of a former start */
	late.boots = 3;
	hear(f, &late);
	expect_state(f, ROLE_ACTIVE);
	late.boots = 5;
	hear(f, &late);
	expect_state(f, ROLE_SYNC);
}

int main(void)
{
#define U(t) cmocka_unit_test(t)
	const struct CMUnitTest tests[] = {
		U(init_hears_active_asks_for_snapshot), U(init_ignores_active_of_lower_term),
		U(init_asks_only_with_link), U(init_hears_init_and_wins_tie_claims_cold),
		U(tie_is_term_then_priority_then_id), U(init_in_silence_waits_and_alarms_once),
		U(init_alone_starts_if_disk_says_peer_was_unable), U(init_hears_claim_and_answers_mute),
		U(sync_snapshot_end_and_heartbeat_in_step_starts_ready_lease),
		U(sync_end_of_a_refused_epoch_is_not_believed), U(sync_end_of_another_ask_is_ignored),
		U(sync_end_while_active_opened_its_gates_is_abandoned), U(sync_link_down_asks_anew),
		U(ready_extends_lease_from_echo), U(ready_does_not_extend_without_echo),
		U(ready_ignores_older_epoch), U(ready_out_of_step_drops_data),
		U(ready_newer_term_drops_data), U(ready_newer_epoch_drops_data),
		U(ready_overrun_drops_data), U(ready_lapse_drops_data), U(ready_survives_link_reset),
		U(ready_silence_claims), U(ready_timer_before_socket_would_claim), U(ready_hears_init_claims), U(ready_hears_held_claims),
		U(ready_hears_offer_flips), U(ready_hears_offer_to_other_claims_instead),
		U(ready_hears_higher_claim_answers_mute), U(ready_tie_with_ready_lower_id_claims),
		U(claim_every_turn_on_the_wire), U(claim_silence_proves_after_lease_and_interval),
		U(claim_counts_from_the_wire_not_from_the_wish), U(claim_own_pause_starts_anew),
		U(claim_mute_answer_flips_after_drain),
		U(claim_mute_answer_of_other_term_or_old_echo_is_no_evidence),
		U(claim_is_active_only_when_kernel_accepted), U(claim_kernel_refuses_stays_claim),
		U(claim_no_longer_valid_withdraws), U(claim_hears_active_of_equal_or_higher_term_syncs),
		U(claim_warm_outbids_cold), U(claim_yields_to_higher_claim),
		U(claim_cold_yields_to_higher_claim), U(claim_hears_mute_of_higher_term_claims_higher),
		U(claim_cold_lets_ready_or_held_peer),
		U(claim_cold_in_silence_withdraws_without_the_right_to_start_alone),
		U(claim_fence_ok_flips), U(claim_fence_fails_backs_off),
		U(active_turn_renews_then_sends), U(active_lapse_mutes_and_holds),
		U(active_renewal_refused_holds), U(active_hears_higher_active_closes_silently),
		U(active_hears_warm_higher_claim_mutes_then_answers), U(active_outbids_cold_claim),
		U(active_outbids_mute_peer_of_higher_term),
		U(active_mutes_for_a_warm_claimer_that_cannot_hear), U(active_peer_not_ready_opens_gates),
		U(active_silent_peer_opens_gates_after_ready_lease_and_margin),
		U(active_snapshot_closes_gates_before_end),
		U(active_gates_that_do_not_close_are_tried_again), U(active_app_dies_syncs),
		U(active_takeover_failure_mutes_and_holds),
		U(active_failed_mute_is_repeated_and_nothing_follows), U(switchover_needs_ready_peer),
		U(switchover_tells_applications), U(leave_done_mutes_and_offers_the_peers_term),
		U(leave_timeout_calls_off), U(leave_without_ready_peer_calls_off),
		U(leave_disk_failure_calls_off), U(held_hears_active_destroys_silently),
		U(held_hears_empty_claims), U(held_silence_claims_and_comes_back_with_its_sockets),
		U(held_hears_higher_claim_shrinks_lease_and_answers), U(held_not_valid_syncs),
		U(restart_with_lease_listens_one_interval), U(restart_lapsed_and_valid_is_held),
		U(restart_lapsed_and_not_valid_is_init),
		U(restart_after_offer_mutes_although_the_lease_runs), U(restart_kernel_standby_is_init),
		U(boot_remembers_the_term), U(alone_is_active_at_once), U(demotion_mutes_in_the_kernel),
		U(external_claims_on_order_only), U(kernel_muted_by_another_is_noticed),
		U(disk_refuses_no_claim), U(disk_refuses_while_yielding_mutes_and_is_silent),
		U(preemption_only_after_unbroken_readiness), U(lapses_bar_claims_until_cleared),
		U(stop_resigns), U(bad_heartbeats_are_refused_by_name),
		U(late_and_second_copies_are_dropped),
	};

	return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
