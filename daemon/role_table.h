/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * role_table: the role machine as a table. Each row says: in these states, at this event, if this guard
 * holds, do these steps and go there. The first row that fits is taken; a cell without a row, or
 * without one that fits, changes nothing. role_apply() is the one place where a role changes.
 *
 * Internal to role.c, its tests, and the tool that prints the table.
 */
#ifndef NSRD_ROLE_TABLE_H
#define NSRD_ROLE_TABLE_H

#include "role.h"

#define ROLE_STEPS_MAX	9
#define ROLE_SAME	ROLE_STATES

enum role_event {
	/* start */
	ROLE_EV_START_ACTIVE,	/* kernel active, lease valid, no higher term on disk */
	ROLE_EV_START_MUTE,	/* kernel active but lapsed, or outbid while nsrd was away */
	ROLE_EV_START_EMPTY,	/* boot, or kernel standby */
	/* time */
	ROLE_EV_LAPSE,		/* our lease has ended */
	ROLE_EV_INVALID,	/* our data are no longer good enough to take over as ready */
	ROLE_EV_PEER_OLD,	/* the peer's ready lease must have ended */
	ROLE_EV_SILENCE,	/* nothing heard for claim-after */
	ROLE_EV_EVIDENCE,	/* nobody else can be active (E2, E3, E5) */
	ROLE_EV_DRAINED,	/* evidence, and what the old active sent last has arrived or died */
	ROLE_EV_FENCE_DUE,
	ROLE_EV_PREEMPT,	/* a ready peer of higher priority */
	ROLE_EV_TURN,
	/* heartbeats, by the sender's state */
	ROLE_EV_HB_EMPTY,	/* INIT, SYNC */
	ROLE_EV_HB_READY,
	ROLE_EV_HB_CLAIM,
	ROLE_EV_HB_ACTIVE,	/* ACTIVE, LEAVE */
	ROLE_EV_HB_HELD,
	/* sync link */
	ROLE_EV_LINK_UP,
	ROLE_EV_LINK_DOWN,
	ROLE_EV_ASKED,		/* the standby wants a snapshot */
	ROLE_EV_SENT,		/* the snapshot's last record is on the link */
	ROLE_EV_END,		/* standby: snapshot complete */
	ROLE_EV_DATA_LOST,
	/* answers */
	ROLE_EV_FLIPPED,	/* the kernel accepted role and lease */
	ROLE_EV_FLIP_REFUSED,
	ROLE_EV_RENEW_REFUSED,
	ROLE_EV_GATES_REFUSED,
	ROLE_EV_TAKEOVER_FAILED,
	ROLE_EV_DISK_FAILED,
	ROLE_EV_KERNEL_CHANGED,	/* somebody else changed role or generation */
	ROLE_EV_FENCE_OK,
	ROLE_EV_FENCE_FAILED,
	/* orders */
	ROLE_EV_SWITCHOVER,
	ROLE_EV_LEFT,
	ROLE_EV_LEAVE_TIMEOUT,
	ROLE_EV_APP_DIED,
	ROLE_EV_PROMOTE,
	ROLE_EV_DEMOTE,
	ROLE_EV_FORCE,
	ROLE_EV_CLEAR,
	ROLE_EV_STOP,
	ROLE_EVENTS
};

/** struct role_in - one event and what came with it */
struct role_in {
	enum role_event ev;
	enum role_state from;		/* state when it came */
	const struct nsr_heartbeat *hb;	/* ROLE_EV_HB_* */
	bool newer;			/* its term was higher than ours */
	int tie;			/* > 0: we win by (priority, id); term compared before adoption */
	int term_tie;			/* the same by (term, priority, id) */
	uint64_t echo;			/* own timestamp that it echoes; 0: none */
	struct nsr_term term;		/* ROLE_EV_END */
	uint32_t epoch, ask;		/* ROLE_EV_END, _ASKED, _SENT */
	enum role_reason why;		/* ROLE_EV_DATA_LOST */
	const struct role_kernel *k;	/* ROLE_EV_KERNEL_CHANGED */
	bool yielding;			/* ROLE_EV_DISK_FAILED: while giving way to a higher term */
};

struct role_guard {
	const char *text;
	bool (*fn)(const struct role *r, const struct role_in *in);
};

struct role_step {
	const char *text;
	void (*fn)(struct role *r, const struct role_in *in);
};

struct role_row {
	uint32_t states;			/* bit mask */
	enum role_event ev;
	const struct role_guard *when;		/* NULL: always */
	enum role_state next;			/* ROLE_SAME */
	enum role_reason why;			/* ROLE_WHY_NONE: reason stays */
	const struct role_step *steps[ROLE_STEPS_MAX];	/* NULL-terminated unless full */
};

extern const struct role_row role_rows[];
extern const unsigned int role_nrows;

/* The row that would be taken, or NULL: nothing happens. Heartbeat terms are not adopted by this. */
const struct role_row *role_find(const struct role *r, const struct role_in *in);
/* Takes the event through the table; true if a row was taken. */
bool role_apply(struct role *r, struct role_in *in);
/* Forgets what is under way; if it was one transition that can be taken back whole, does so. */
void role_undo(struct role *r);

const char *role_event_name(enum role_event ev);

/* What role.c and the table share */
bool role_rule(const struct role *r, uint32_t rule);
bool role_queued_waits(const struct role *r);
uint64_t role_lease_end(const struct role *r);

#endif /* NSRD_ROLE_TABLE_H */
