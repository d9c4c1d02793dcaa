// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two boxes, simulated, under faults of every kind, authority none: never two that emit unless claims
 * cannot get through, nothing stale takes over as ready, and all healed, one active and one ready come of
 * it. Each rule of the machine has its control: without it, the same simulation finds a violation.
 * All seeds are fixed. NSR_SIM_RUNS multiplies the runs (default 1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "role_sim.h"

struct params {
	struct sim_cfg cfg;
	unsigned int runs;
};

static unsigned int factor(void)
{
	const char *s = getenv("NSR_SIM_RUNS");
	int n = s ? atoi(s) : 1;

	return n > 0 ? n : 1;
}

/* The first violation within the runs. */
static struct sim_result search(const struct params *p, unsigned int runs, struct sim_result *sum)
{
	struct sim_cfg cfg = p->cfg;
	struct sim_result r = { 0 };
	unsigned int i;

	for (i = 0; i < runs; i++) {
		cfg.seed = p->cfg.seed + i;
		r = sim_run(&cfg);
		if (r.bad) {
			print_message("# seed %llu: %s at %.2f s: %s\n", (unsigned long long)cfg.seed,
				      sim_bad_name(r.bad), r.at / 1e9, r.why);
			break;
		}
		if (!sum)
			continue;
		sum->warm_flips += r.warm_flips;
		sum->cold_flips += r.cold_flips;
		sum->switchovers += r.switchovers;
		sum->splits += r.splits;
		sum->ready += r.ready;
		if (r.heal_turns > sum->heal_turns)
			sum->heal_turns = r.heal_turns;
	}
	return r;
}

static void nothing_bad(void **state)
{
	const struct params *p = *state;
	struct sim_result sum = { 0 }, r = search(p, p->runs * factor(), &sum);

	assert_int_equal(r.bad, SIM_OK);
	print_message("# warm %u, cold %u, switchovers %u, splits %u, ready %u, healed within %u turns\n",
		      sum.warm_flips, sum.cold_flips, sum.switchovers, sum.splits, sum.ready,
		      sum.heal_turns);
	/* it was about something */
	assert_true(sum.ready > p->runs);
	assert_true(sum.warm_flips > p->runs / 2);
	assert_true(sum.heal_turns <= 40);
}

static void violation(void **state)
{
	const struct params *p = *state;

	assert_int_not_equal(search(p, p->runs, NULL).bad, SIM_OK);
}

#define RUN(what, f, every, n, ...)								\
	{ .name = what, .test_func = nothing_bad, .initial_state = &(struct params){	\
		.cfg = { .seed = 1, .rate = (every), .turns = 300, .faults = (f), __VA_ARGS__ }, .runs = (n) } }
#define CONTROL(what, rules, f, every, first, n)					\
	{ .name = "control: without " what " a violation is found", .test_func = violation,	\
	  .initial_state = &(struct params){						\
		.cfg = { .seed = (first), .rate = (every), .turns = 300, .faults = (f),	\
			 .rules_off = (rules) }, .runs = (n) } }

#define PLAIN	(SIM_F_CUT | SIM_F_LOSS | SIM_F_DIE | SIM_F_KILL | SIM_F_HANG | SIM_F_PAUSE | SIM_F_APP | \
		 SIM_F_OVERRUN | SIM_F_SWITCH | SIM_F_SLOW)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN("every fault", SIM_F_ALL, 5, 250),
		RUN("every fault, from a cold start", SIM_F_ALL, 5, 250, .cold = true),
		RUN("few faults", SIM_F_ALL, 25, 150),
		RUN("cuts, hangs", SIM_F_CUT | SIM_F_HANG, 5, 150),
		RUN("cuts, kills of nsrd", SIM_F_CUT | SIM_F_KILL, 5, 150),
		RUN("cuts, pauses", SIM_F_CUT | SIM_F_PAUSE, 5, 150),
		RUN("no cuts, no losses: claims arrive", PLAIN & ~(SIM_F_CUT | SIM_F_LOSS), 5, 250),
		RUN("switchovers, deaths, slow disks",
		    SIM_F_SWITCH | SIM_F_DIE | SIM_F_SLOW | SIM_F_DISK, 5, 150),
		RUN("late heartbeats, cuts, pauses", SIM_F_LATE | SIM_F_CUT | SIM_F_PAUSE, 5, 150),
		CONTROL("lease", ROLE_RULE_LEASE, PLAIN, 5, 1, 50),
		CONTROL("announce", ROLE_RULE_ANNOUNCE, PLAIN, 5, 1, 200),
		CONTROL("silw and announce", ROLE_RULE_SILW | ROLE_RULE_ANNOUNCE, PLAIN, 5, 1, 200),
		CONTROL("restart", ROLE_RULE_RESTART, PLAIN, 5, 400, 600),
		CONTROL("gate", ROLE_RULE_GATE, PLAIN, 5, 1, 50),
		CONTROL("rlease", ROLE_RULE_RLEASE, PLAIN, 5, 1, 300),
		CONTROL("echo", ROLE_RULE_ECHO, PLAIN, 5, 1, 300),
		CONTROL("epoch", ROLE_RULE_EPOCH, PLAIN, 5, 1, 400),
		CONTROL("sync", ROLE_RULE_SYNC, PLAIN, 5, 1, 100),
		/* rare ones: their faults only, near a seed that is known to find it */
		CONTROL("gap", ROLE_RULE_GAP, SIM_F_CUT | SIM_F_PAUSE, 5, 5200, 400),
		CONTROL("listen", ROLE_RULE_LISTEN, SIM_F_CUT | SIM_F_KILL, 4, 4100, 400),
		CONTROL("yield", ROLE_RULE_YIELD, SIM_F_CUT | SIM_F_PAUSE | SIM_F_LATE, 5, 900, 400),
	};

	return cmocka_run_group_tests_name("role-sim", tests, NULL, NULL);
}
