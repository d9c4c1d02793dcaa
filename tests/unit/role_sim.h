/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * role_sim: two boxes under the role machine, simulated: their kernels' leases, disks, clocks, sockets,
 * two paths between them, one of them with the sync link. Faults come from a seed. What must never
 * happen is looked at after every tick.
 *
 *	box 0 ===== path 0: heartbeats, sync link ===== box 1
 *	      ===== path 1: heartbeats ================
 */
#ifndef ROLE_SIM_H
#define ROLE_SIM_H
#include "role.h"

#define SIM_TICK	10000000ull		/* 10 ms */
#define SIM_INTERVAL	100000000ull

/* Faults that may happen, bit mask */
#define SIM_F_CUT	(1u << 0)	/* one path, all, one direction */
#define SIM_F_LOSS	(1u << 1)	/* single heartbeats get lost */
#define SIM_F_DIE	(1u << 2)	/* a box dies; boots later */
#define SIM_F_KILL	(1u << 3)	/* nsrd is killed; starts again later */
#define SIM_F_HANG	(1u << 4)	/* nsrd hangs for a while */
#define SIM_F_PAUSE	(1u << 5)	/* a box stops for a while, its clock goes on */
#define SIM_F_APP	(1u << 6)	/* an application dies */
#define SIM_F_OVERRUN	(1u << 7)	/* a standby loses events */
#define SIM_F_SWITCH	(1u << 8)	/* the operator switches over */
#define SIM_F_SLOW	(1u << 9)	/* kernel calls and disk writes take their time */
#define SIM_F_DISK	(1u << 10)	/* disk writes fail for a while */
#define SIM_F_MAC	(1u << 11)	/* addresses cannot be taken */
#define SIM_F_LATE	(1u << 12)	/* heartbeats arrive late and out of order */
#define SIM_F_ALL	((1u << 13) - 1)

struct sim_cfg {
	uint64_t seed;
	uint32_t faults;	/* SIM_F_* */
	uint32_t rate;		/* mean intervals between two faults */
	uint32_t turns;		/* intervals with faults */
	uint32_t rules_off;	/* ROLE_RULE_* */
	bool cold;		/* both boxes boot; else box 0 active, box 1 ready first */
	bool verbose;
};

enum sim_bad {
	SIM_OK,
	SIM_DUAL,	/* two emitted, and the claim had reached the old active */
	SIM_DUAL_HEALED,/* two emitted on although the paths were whole again */
	SIM_STALE,	/* a box took over as ready with data that others had gone past */
	SIM_COLD_HARM,	/* a box without data displaced a live active */
	SIM_STUCK,	/* all healed, and no pair of active and ready came of it */
	SIM_MISUSE,	/* an action came where role.h says that it cannot */
};

struct sim_result {
	enum sim_bad bad;
	uint64_t at;		/* ns */
	uint32_t flips, warm_flips, cold_flips, switchovers, splits, ready, gates_opened;
	uint32_t heal_turns;	/* intervals from healing to one active and one ready */
	char why[160];
};

const char *sim_bad_name(enum sim_bad b);
struct sim_result sim_run(const struct sim_cfg *cfg);

#endif /* ROLE_SIM_H */
