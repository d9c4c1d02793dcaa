// SPDX-License-Identifier: GPL-2.0-only
/*
 * The role table exhaustively: every state with every event, each under many circumstances drawn from a
 * fixed seed. Whatever the row, some things hold; and every row of the table is taken by some of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include "role_fix.h"

#define ROUNDS	400

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (rng >> 33) % n;
}

static bool is_hb(enum role_event ev)
{
	return ev >= ROLE_EV_HB_EMPTY && ev <= ROLE_EV_HB_HELD;
}

static void draw_role(struct fix *f, enum role_state s)
{
	struct role *r = &f->r;

	r->cfg.authority = rnd(4) ? ROLE_AUTH_NONE : ROLE_AUTH_FENCE + rnd(2);
	r->cfg.alone = rnd(12) == 0;
	r->cfg.lapse_max = rnd(3);
	r->barred = rnd(10) == 0;
	r->link = rnd(5) != 0;
	r->alone_ok = rnd(3) == 0;
	r->alarmed = rnd(2);
	r->ordered = rnd(3) == 0;
	r->disk_owed = rnd(6) == 0;
	r->gates_open = (fix_is_reign(s) || s == ROLE_HELD) && rnd(3) == 0;
	r->unable = r->gates_open ? ROLE_UNABLE_SILENT + rnd(2) : ROLE_UNABLE_NO;
	r->in_step = fix_is_reign(s) && !r->gates_open && rnd(4);
	if (rnd(4) == 0)
		r->ready_until = 0;
	if (rnd(4) == 0)
		r->peer.ready_since = 0;
	if (s == ROLE_CLAIM) {
		r->cold = rnd(3) == 0;
		r->has_data = !r->cold;
		r->fencing = rnd(2);
		r->evidence = rnd(2);
		r->evidence_lease = rnd(2) ? 0 : rnd(2) ? f->now + I : f->now - 1;
	}
	if (s == ROLE_SYNC) {
		r->asked = rnd(4) != 0;
		r->ask = 4;
		r->complete = rnd(2);
		r->epoch = r->complete ? 3 : ROLE_EPOCH_NONE;
		r->denied = rnd(2) ? 2 : ROLE_EPOCH_NONE;
	}
	if (fix_is_reign(s))
		r->peer_ask = rnd(2) ? 77 : 0;
}

static void draw_input(struct fix *f, struct role_in *in, struct nsr_heartbeat *hb,
		       struct role_kernel *k)
{
	in->tie = rnd(2) ? 1 : -1;
	in->term_tie = rnd(2) ? 1 : -1;
	in->ask = rnd(4) ? (f->r.peer_ask ? f->r.peer_ask : 4) : 5;
	in->epoch = 2 + rnd(3);
	in->term = rnd(4) ? f->r.term : T(9, PEER);
	in->yielding = rnd(2);
	in->why = in->ev == ROLE_EV_DATA_LOST ? ROLE_WHY_OVERRUN : ROLE_WHY_NONE;
	*k = (struct role_kernel){ .active = rnd(2), .generation = 4 + rnd(3),
				   .lease_until = rnd(2) ? f->now + I : f->now - 1 };
	in->k = k;
	if (!is_hb(in->ev))
		return;
	*hb = peer_hb(f, ROLE_INIT, rnd(2) ? f->r.term : T(9 + rnd(4), rnd(2) ? ME : PEER), 0);
	hb->epoch = rnd(5) ? 2 + rnd(3) : ROLE_EPOCH_NONE;
	hb->in_step = rnd(2);
	hb->warm = rnd(2);
	if (rnd(2))
		hb->offer = hb->term;
	in->hb = hb;
	in->echo = rnd(4) ? f->now - rnd(12) * I : 0;
}

/* What holds for every transition, whatever the row says. */
static void check(const struct fix *f, const struct role *before, enum role_event ev)
{
	const struct role *r = &f->r;
	int mute = -1, send = -1, disk = -1, i;

	assert_true((unsigned int)r->state < ROLE_STATES);
	assert_true(nsr_term_cmp(r->term, before->term) >= 0);
	for (i = (int)r->qlen - 1; i >= 0; i--) {
		if (r->queue[i].act == ROLE_ACT_KERNEL_MUTE)
			mute = i;
		if (r->queue[i].act == ROLE_ACT_HEARTBEAT)
			send = i;
		if (r->queue[i].act == ROLE_ACT_DISK_WRITE && !r->queue[i].soft)
			disk = i;
	}
	/* a new term is on disk ahead of all that is done */
	if (nsr_term_cmp(r->term, before->term))
		assert_int_equal(disk, 0);
	/* only the kernel's word makes an active, and only from a claim; else it was one, or starts as one */
	if (r->state == ROLE_ACTIVE && !fix_is_reign(before->state))
		assert_true(ev == ROLE_EV_FLIPPED || ev == ROLE_EV_START_ACTIVE);
	/* who stops to reign is mute before it says so, before addresses go, before sockets go */
	if (fix_is_reign(before->state) && !fix_is_reign(r->state)) {
		assert_true(mute >= 0);
		assert_true(send < 0 || send > mute);
		for (i = 0; i < mute; i++) {
			assert_int_not_equal(r->queue[i].act, ROLE_ACT_ADDRESSES_RELEASE);
			assert_int_not_equal(r->queue[i].act, ROLE_ACT_DESTROY);
		}
	}
	/* a role is taken with a claim on the wire, never twice, never out of a reign */
	for (i = 0; i < (int)r->qlen; i++)
		if (r->queue[i].act == ROLE_ACT_KERNEL_ACTIVE)
			assert_true(before->state == ROLE_CLAIM && r->state == ROLE_CLAIM &&
				    before->evidence);
	/* without data, or with stale ones, no claim is a warm one */
	if (r->state == ROLE_CLAIM && before->state != ROLE_CLAIM && !r->cold)
		assert_true(role_valid(before, f->now));
	/* who is READY has data, whoever dropped them has none */
	if (r->state == ROLE_READY)
		assert_true(r->has_data);
	if (r->state == ROLE_INIT || r->state == ROLE_SYNC)
		assert_false(r->has_data && r->state != before->state);
	if (r->state != ROLE_CLAIM)
		assert_false(r->evidence || r->fenced || r->fencing);
}

static unsigned int taken[512];

static void one(enum role_state s, enum role_event ev)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct role *before = malloc(sizeof(*before));
	const struct role_row *row;
	struct role_in in = { .ev = ev };
	struct nsr_heartbeat hb;
	struct role_kernel k;

	assert_true(f && before);
	fix_init(f, s);
	draw_role(f, s);
	draw_input(f, &in, &hb, &k);
	if (ev <= ROLE_EV_START_EMPTY) {	/* as role_start() finds the kernel */
		f->r.has_data = ev != ROLE_EV_START_EMPTY;
		f->r.ready_until = rnd(2) ? f->now + I : 0;
	}
	*before = f->r;
	role_apply(&f->r, &in);
	check(f, before, ev);
	/* which row it was: asked of the state before, its term adopted as role_apply() does */
	for (row = role_rows; row < role_rows + role_nrows; row++)
		if (row->ev == ev && (row->states >> s & 1)) {
			struct role probe = *before;

			if (in.newer && nsr_term_cmp(f->r.term, hb.term) == 0)
				probe.term = hb.term;
			if (!row->when || row->when->fn(&probe, &in)) {
				taken[row - role_rows]++;
				break;
			}
		}
	fix_exit(f);
	free(before);
	free(f);
}

static void every_state_with_every_event(void **unused)
{
	unsigned int s, ev, i;

	(void)unused;
	rng = 20261124;
	for (s = 0; s < ROLE_STATES; s++)
		for (ev = 0; ev < ROLE_EVENTS; ev++) {
			/* nsrd starts in INIT */
			if (ev <= ROLE_EV_START_EMPTY && s != ROLE_INIT)
				continue;
			for (i = 0; i < ROUNDS; i++)
				one(s, ev);
		}
}

static void every_row_is_taken(void **unused)
{
	unsigned int i, bad = 0;

	(void)unused;
	for (i = 0; i < role_nrows; i++)
		if (!taken[i]) {
			print_error("row %u is never taken: %s, %s\n", i,
				    role_event_name(role_rows[i].ev),
				    role_rows[i].when ? role_rows[i].when->text : "always");
			bad++;
		}
	assert_int_equal(bad, 0);
}

/* Rows behind one that always fits are dead text. */
static void no_row_is_hidden(void **unused)
{
	unsigned int i, j;

	(void)unused;
	for (i = 0; i < role_nrows; i++)
		for (j = 0; j < i; j++)
			if (role_rows[j].ev == role_rows[i].ev && !role_rows[j].when &&
			    !(role_rows[i].states & ~role_rows[j].states))
				fail_msg("row %u (%s) is hidden by row %u", i,
					 role_event_name(role_rows[i].ev), j);
}

static void everything_has_a_name(void **unused)
{
	unsigned int i;

	(void)unused;
	for (i = 0; i < ROLE_EVENTS; i++)
		assert_string_not_equal(role_event_name(i), "?");
	for (i = 0; i < ROLE_WHYS; i++)
		assert_string_not_equal(role_reason_name(i), "?");
	for (i = 0; i < ROLE_ACTS; i++)
		assert_string_not_equal(role_act_name(i), "?");
	assert_string_equal(role_event_name(ROLE_EVENTS), "?");
}

static void document_holds_the_table(void **unused)
{
	(void)unused;
	assert_int_equal(system(ROLE_PRINT " check " ROLES_MD), 0);
}

static void refused_configuration_is_named(void **unused)
{
	struct role_cfg good, cfg;
	char why[ROLE_TEXT_MAX];

	(void)unused;
	fix_cfg(&good);
	assert_int_equal(role_cfg_check(&good, why, sizeof(why)), 0);
#define BAD(member, value, word) do {							\
		cfg = good;								\
		cfg.member = value;							\
		assert_int_equal(role_cfg_check(&cfg, why, sizeof(why)), -EINVAL);	\
		assert_non_null(strstr(why, word));					\
	} while (0)
	BAD(group, 0, "group");
	BAD(node, 0, "node");
	BAD(peer_node, ME, "same id");
	BAD(interval, 0, "interval");
	BAD(lease, I, "lease");
	BAD(claim_after, I, "claim-after");
	BAD(ready_lease, 5 * I, "ready lease");
	BAD(long_lease, 0, "long");
	BAD(gap, 0, "gap");
	BAD(lapse_max, 99, "lapses");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_with_every_event), cmocka_unit_test(every_row_is_taken),
		cmocka_unit_test(no_row_is_hidden), cmocka_unit_test(everything_has_a_name),
		cmocka_unit_test(document_holds_the_table),
		cmocka_unit_test(refused_configuration_is_named),
	};

	return cmocka_run_group_tests_name("role-table", tests, NULL, NULL);
}
