// SPDX-License-Identifier: GPL-2.0-only
/* role_simrun: runs the two-box simulation from the command line: seeds, faults, rules taken away */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "role_sim.h"

int main(int argc, char **argv)
{
	struct sim_cfg cfg = { .seed = 1, .faults = SIM_F_ALL, .rate = 10, .turns = 300 };
	uint64_t n = 100, i, from;
	struct sim_result sum = { 0 };
	uint32_t worst = 0, bad[8] = { 0 };
	int c;

	while ((c = getopt(argc, argv, "s:n:f:r:t:o:cv")) != -1) {
		switch (c) {
		case 's': cfg.seed = strtoull(optarg, NULL, 0); break;
		case 'n': n = strtoull(optarg, NULL, 0); break;
		case 'f': cfg.faults = strtoul(optarg, NULL, 0); break;
		case 'r': cfg.rate = strtoul(optarg, NULL, 0); break;
		case 't': cfg.turns = strtoul(optarg, NULL, 0); break;
		case 'o': cfg.rules_off = strtoul(optarg, NULL, 0); break;
		case 'c': cfg.cold = true; break;
		case 'v': cfg.verbose = true; break;
		default:
			fprintf(stderr, "usage: %s [-s seed] [-n runs] [-f faults] [-r rate] [-t turns] "
				"[-o rules_off] [-c] [-v]\n", argv[0]);
			return 2;
		}
	}
	from = cfg.seed;
	for (i = 0; i < n; i++) {
		struct sim_result r;

		cfg.seed = from + i;
		r = sim_run(&cfg);
		if (r.bad && bad[r.bad]++ < 3)
			printf("seed %llu: %s at %.3f s: %s\n", (unsigned long long)cfg.seed,
			       sim_bad_name(r.bad), r.at / 1e9, r.why);
		sum.warm_flips += r.warm_flips;
		sum.cold_flips += r.cold_flips;
		sum.switchovers += r.switchovers;
		sum.splits += r.splits;
		sum.ready += r.ready;
		if (r.heal_turns > worst)
			worst = r.heal_turns;
	}
	printf("%llu runs: warm %u cold %u switchovers %u splits %u ready %u worst heal %u turns\n",
	       (unsigned long long)n, sum.warm_flips, sum.cold_flips, sum.switchovers, sum.splits,
	       sum.ready, worst);
	for (c = 1; c < 7; c++)
		if (bad[c])
			printf("%s: %u runs\n", sim_bad_name(c), bad[c]);
	return 0;
}
