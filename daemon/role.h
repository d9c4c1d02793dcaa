/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * role: the role machine of one group. Pure: no I/O, no clock. The caller passes the time (`now`,
 * CLOCK_BOOTTIME nanoseconds), feeds inputs, and executes the actions that come out, in their order.
 *
 * How the daemon drives it
 * ------------------------
 *	role_init(cfg); read the disk (term_read), dump the kernel's group; role_start();
 *	for ever:
 *		run();
 *		wait for a socket, the interval timer, or role_wakeup();
 *		drain every socket first: each heartbeat -> role_heartbeat(), then run();
 *		only then: interval timer -> role_turn(), role_wakeup() reached -> role_wake();
 *	run():
 *		while (role_next(r, &act))
 *			execute act; if it ROLE_ACT_WAITS, hand its result to the answer function;
 *
 * ORDER: actions are executed one after the other, as role_next() hands them out. An action marked
 * "waits" (below) must be answered by the named function; until then role_next() returns false,
 * role_busy() is true, and every input but the answer returns -EBUSY *without effect*: the daemon leaves
 * its sockets unread and runs no turn (the rule *sync*: what is under way in the kernel is neither
 * overtaken nor spoken of). An answer may be given at once (a synchronous call) or from the loop.
 * If the answer is an error the machine forgets the actions behind it and decides anew.
 *
 * ORDER: sockets before timers (the rule *drain*): a heartbeat that lies in a socket buffer counts as
 * heard before silence is judged.
 *
 * Inputs return 0; -EBUSY: an answer is awaited, give the input again later; -EINVAL: not for this
 * group (role_refusal() says why); -EAGAIN: not in this state (likewise).
 */
#ifndef NSRD_ROLE_H
#define NSRD_ROLE_H

#include <stdbool.h>
#include <stdint.h>
#include "term.h"

#define ROLE_SCHEMA_MAJOR	1		/* of the heartbeat and the rules behind it */
#define ROLE_SCHEMA_MINOR	0
#define ROLE_EPOCH_NONE		UINT32_MAX	/* "I know of no epoch of this term" */
#define ROLE_TEXT_MAX		160		/* bytes of an alarm or log text, its NUL included */
#define ROLE_LAPSES_MAX		16
#define ROLE_QUEUE_MAX		24		/* actions under way; more is a bug and asserted */

/** enum role_state - what nsrd is in a group. Values are on the wire: append only */
enum role_state {
	ROLE_INIT,	/* knows nothing, has nothing */
	ROLE_SYNC,	/* heard an active, has asked for its snapshot */
	ROLE_READY,	/* has valid data; may take over */
	ROLE_CLAIM,	/* wants to be active, waits for evidence that nobody else is */
	ROLE_ACTIVE,
	ROLE_LEAVE,	/* active; its applications are finishing for a planned switchover */
	ROLE_HELD,	/* was active, is mute; sockets and applications kept until the peer is heard active */
	ROLE_STATES
};

/**
 * enum role_authority - who decides that the peer is gone
 *
 * @ROLE_AUTH_EXTERNAL: a cluster manager, which also has to see that it promotes a box only with data of
 * the last reign (rule last-reign): this box cannot know whether it missed one.
 */
enum role_authority { ROLE_AUTH_NONE, ROLE_AUTH_FENCE, ROLE_AUTH_EXTERNAL };

/** enum role_reason - why a box is in its state. On the wire, for the operator only: append only */
enum role_reason {
	ROLE_WHY_NONE, ROLE_WHY_BOOT, ROLE_WHY_RESTART, ROLE_WHY_LAPSED, ROLE_WHY_HIGHER_TERM,
	ROLE_WHY_OUT_OF_STEP, ROLE_WHY_OVERRUN, ROLE_WHY_LINK, ROLE_WHY_READY_LAPSED, ROLE_WHY_SILENCE,
	ROLE_WHY_PEER_EMPTY, ROLE_WHY_PEER_HELD, ROLE_WHY_OFFERED, ROLE_WHY_SWITCHOVER, ROLE_WHY_COLD,
	ROLE_WHY_APP_DIED, ROLE_WHY_TAKEOVER_FAILED, ROLE_WHY_DISK, ROLE_WHY_DEMOTED, ROLE_WHY_OPERATOR,
	ROLE_WHY_STOPPING, ROLE_WHY_KERNEL, ROLE_WHY_ALONE, ROLE_WHY_CALLED_OFF, ROLE_WHY_LOST_TIE,
	ROLE_WHYS
};

/** enum role_unable - why gates are open: how sure is it that the peer cannot take over */
enum role_unable {
	ROLE_UNABLE_NO,		/* it could: gates are closed */
	ROLE_UNABLE_SILENT,	/* not as ready any more; but it may have, where only silence decides */
	ROLE_UNABLE_SAID,	/* by its own word, by a fence, or because there is no peer */
};

/** struct role_cfg - fixed while a group exists; times in nanoseconds. role_cfg_default() fills it */
struct role_cfg {
	uint32_t group;			/* not 0 */
	uint32_t node;			/* this box; not 0, differs from the peer's */
	uint32_t peer_node;		/* 0: whoever speaks for the group */
	bool alone;			/* no peer configured: active at once */
	int32_t priority;		/* higher wins a tie */
	enum role_authority authority;
	uint64_t interval;		/* 100 ms: one turn, one heartbeat on every path */
	uint64_t lease;			/* 3 intervals: right to emit, in the kernel */
	uint64_t claim_after;		/* 3 intervals of silence; at least the lease */
	uint64_t ready_lease;		/* 10 intervals (nsrd: 15); must outlast a whole claim */
	uint64_t ready_margin;		/* 1 interval: clock drift */
	uint64_t drain;			/* 20 ms: until the old active's last frames have arrived or died */
	uint64_t gap;			/* 2 intervals: longer between two turns = this box was paused */
	uint64_t long_lease;		/* 24 h: while the peer cannot take over by its own word */
	uint64_t silent_lease;		/* = lease: while a peer that may have been ready is silent. Longer lets
					 * nsrd's death touch nothing then, at the price of two emitters for so
					 * long if the paths were cut, the peer took over, and nsrd dies */
	uint64_t fence_backoff;		/* 5 s */
	bool preempt;			/* hand over to a ready peer of higher priority */
	uint64_t preempt_delay;		/* 60 s of unbroken readiness before that */
	uint32_t lapse_max;		/* 10 lapses ... */
	uint64_t lapse_window;		/* ... in 10 min: no more claims until role_clear() */
	uint32_t rules_off;		/* 0. Tests only: ROLE_RULE_* that are taken away */
};

/* Rules that a test may take away, to see that the test would notice. */
#define ROLE_RULE_LEASE		(1u << 0)	/* a lapsed lease mutes (machine's side) */
#define ROLE_RULE_GAP		(1u << 1)	/* own pause restarts silence and the claim */
#define ROLE_RULE_SILW		(1u << 2)	/* claim-after of silence at the flip */
#define ROLE_RULE_ANNOUNCE	(1u << 3)	/* claim on the wire for a lease and an interval */
#define ROLE_RULE_LISTEN	(1u << 4)	/* restarted: listen one interval before renewing */
#define ROLE_RULE_RESTART	(1u << 5)	/* a lapsed lease is not renewed without evidence */
#define ROLE_RULE_GATE		(1u << 6)	/* gates open only when the peer cannot be ready */
#define ROLE_RULE_RLEASE	(1u << 7)	/* readiness expires */
#define ROLE_RULE_ECHO		(1u << 8)	/* leases count from the echoed own timestamp */
#define ROLE_RULE_EPOCH		(1u << 9)	/* not-ready must name the current epoch */
#define ROLE_RULE_SYNC		(1u << 10)	/* nothing happens while a kernel call is under way */
#define ROLE_RULE_YIELD		(1u << 11)	/* an active yields to every warm claim of a higher term */

/**
 * struct nsr_heartbeat - the full state of one box in one group; every interval on every path, and
 * at once when the state changes
 *
 * @instance: random, new at every start of nsrd. @boots: counts those starts, on disk: tells a late
 *	heartbeat of a former instance. @seq: from 1 in an instance, one per
 *	role_fill_heartbeat(): the same number on every path, so that the later copies are told.
 * @epoch: active: of its newest snapshot. Others: the newest epoch of @term for which they say that they
 *	are *not* ready (INIT, SYNC) or are (READY); ROLE_EPOCH_NONE if none.
 * @echo, @echo_instance: the newest @ts of the other box that the sender holds, and of which instance;
 *	0 if none since its start.
 * @offer: HELD: the term which it offers to its owner; number 0: none.
 */
struct nsr_heartbeat {
	uint16_t schema_major, schema_minor;
	uint32_t group;
	uint32_t node;
	uint64_t instance;
	uint64_t boots;
	uint64_t seq;
	uint8_t state;			/* enum role_state */
	uint8_t in_step;		/* active: all since the snapshot's end is on the link, gates closed */
	uint8_t warm;			/* CLAIM: has valid data */
	uint8_t gates_open;		/* active: unprotected. For the operator */
	uint16_t reason;		/* enum role_reason */
	int32_t priority;
	struct nsr_term term;
	struct nsr_term data_term;
	struct nsr_term offer;
	uint32_t epoch;
	uint64_t ts;			/* ns, sender's boot time at sending */
	uint64_t echo;
	uint64_t echo_instance;
};

/** struct role_kernel - a group as the kernel has it (GROUP_GET) */
struct role_kernel {
	bool active;			/* TCP_NSR_ROLE_ACTIVE, whether or not the lease has lapsed */
	struct nsr_term term;
	uint64_t lease_until;
	uint64_t ready_until;
	uint32_t generation;
	uint32_t epoch;
	bool gates_open;
};

/**
 * enum role_act - what the daemon is told to do
 *
 * Those that wait (ROLE_ACT_WAITS) and the function that answers:
 *
 * @ROLE_ACT_DISK_WRITE: term_write() of .record. -> role_disk_answer().
 * @ROLE_ACT_KERNEL_ACTIVE: ROLE_SET: ACTIVE, .term, .lease_until (absolute: never computed anew by the
 *	daemon), .generation expected. -> role_kernel_answer() with the new generation.
 * @ROLE_ACT_KERNEL_LEASE: LEASE_SET: .lease_until, .generation. The end may be *earlier* than the former
 *	one (a standby is becoming ready): the kernel sets, it does not take the later.
 *	-> role_kernel_answer(), generation as it was.
 * @ROLE_ACT_KERNEL_MUTE: MUTE, without DESTROY. -> role_kernel_answer() with the new generation. If it
 *	fails it is handed out again at the next turn, until the lease has lapsed by itself.
 * @ROLE_ACT_KERNEL_READY: READY_SET: .ready_until, .gates_open, .epoch. In lossless mode this is where
 *	gates open and close. -> role_kernel_answer(), generation as it was.
 * @ROLE_ACT_ADDRESSES_TAKE: MAC and addresses onto the service interface, then gratuitous ARP and
 *	unsolicited NA, repeated later by the daemon itself (it stops at RELEASE).
 *	-> role_addresses_answer(). A repeat is harmless.
 *
 * Those that do not (a failure is the daemon's to log):
 *
 * @ROLE_ACT_HEARTBEAT: role_fill_heartbeat(), send on every path. Never block.
 * @ROLE_ACT_SNAPSHOT_ASK: SNAPSHOT_ASK with number .ask over the link. The daemon ignores records until a
 *	SNAPSHOT_BEGIN with that number; BEGIN and END carry the number of the ASK that they answer.
 * @ROLE_ACT_SNAPSHOT_SEND: begin to send the snapshot for .ask; one under way for another number is
 *	abandoned. When the last record is handed to the link: role_snapshot_sent().
 * @ROLE_ACT_SNAPSHOT_END: SNAPSHOT_END with .term, .epoch, .ask, after every record that
 *	SNAPSHOT_SEND produced. Gates are closed by now.
 * @ROLE_ACT_SNAPSHOT_STOP: abandon the snapshot under way, and live records: nobody listens.
 * @ROLE_ACT_ADDRESSES_RELEASE: the group's addresses off, permanent MAC back; always behind a MUTE.
 *	A repeat, or nothing to release, is harmless.
 * @ROLE_ACT_APPS_ACTIVE: takeover step 5 and 6: start solicitation, then role(ACTIVE) and per connection
 *	`resumed`. .held: the sockets are this box's own, which were muted: nothing to adopt;
 *	applications only go on.
 * @ROLE_ACT_APPS_LEAVING: role(LEAVING). When all have answered, the inbound side is frozen, the
 *	last transactions and the hand-over positions are acknowledged by the peer: role_left(). When their
 *	time is up: role_leave_timeout(). Neither is sent again by the machine.
 * @ROLE_ACT_APPS_CALLED_OFF: undo APPS_LEAVING: unfreeze, role(ACTIVE), `resumed` as it was.
 * @ROLE_ACT_DESTROY: everything of the group's past reign goes, silently: its sockets (MUTE with DESTROY,
 *	or what is left of them), applications get conn_gone(DEMOTED) and role(STANDBY). Always behind a
 *	MUTE. Nothing there: harmless.
 * @ROLE_ACT_DROP_DATA: the replicated store and all shadows go. .reason. Nothing there: harmless.
 * @ROLE_ACT_FENCE: run fence-command. -> role_fence_result() at some time; the machine goes on meanwhile.
 * @ROLE_ACT_ALARM: tell the operator, .text. @ROLE_ACT_LOG: log .text.
 */
enum role_act {
	ROLE_ACT_NONE,
	ROLE_ACT_DISK_WRITE,
	ROLE_ACT_KERNEL_ACTIVE,
	ROLE_ACT_KERNEL_LEASE,
	ROLE_ACT_KERNEL_MUTE,
	ROLE_ACT_KERNEL_READY,
	ROLE_ACT_ADDRESSES_TAKE,
	ROLE_ACT_HEARTBEAT,
	ROLE_ACT_SNAPSHOT_ASK,
	ROLE_ACT_SNAPSHOT_SEND,
	ROLE_ACT_SNAPSHOT_END,
	ROLE_ACT_SNAPSHOT_STOP,
	ROLE_ACT_ADDRESSES_RELEASE,
	ROLE_ACT_APPS_ACTIVE,
	ROLE_ACT_APPS_LEAVING,
	ROLE_ACT_APPS_CALLED_OFF,
	ROLE_ACT_DESTROY,
	ROLE_ACT_DROP_DATA,
	ROLE_ACT_FENCE,
	ROLE_ACT_ALARM,
	ROLE_ACT_LOG,
	ROLE_ACTS
};
#define ROLE_ACT_WAITS(a) ((a) >= ROLE_ACT_DISK_WRITE && (a) <= ROLE_ACT_ADDRESSES_TAKE)

/** struct role_action - one action; only the members named at its kind are set */
struct role_action {
	enum role_act act;
	enum role_reason reason;
	struct term_record record;
	struct nsr_term term;
	uint64_t lease_until, ready_until;
	uint32_t generation, epoch, ask;
	bool gates_open, held;
	bool soft;			/* the machine's own: goes on if this fails */
	char text[ROLE_TEXT_MAX];
};

/** struct role_peer - what is known of the other box; read-only for the daemon (nsrctl show) */
struct role_peer {
	bool heard;			/* anything since our start */
	uint32_t node;
	uint64_t instance, boots;
	uint64_t seq;
	uint64_t ts;			/* newest timestamp of its clock that we hold; 0: none */
	uint64_t ts_at;			/* when that came */
	uint64_t heard_at;
	uint64_t ready_since;		/* it has been READY at our term since; 0: is not */
	struct nsr_heartbeat last;
};

/** struct role - one group's role. The daemon may read; only role.c and role_table.c write */
struct role {
	struct role_cfg cfg;
	enum role_state state;
	enum role_reason reason;
	struct nsr_term term;		/* highest known; ours while CLAIM, ACTIVE, LEAVE */
	struct nsr_term data_term;	/* reign that our data are of */
	struct nsr_term offer;		/* HELD: the peer's, for the taking; number 0: none */
	struct role_peer peer;
	struct term_record record;	/* as the disk has it */
	uint64_t boots, instance, seq;
	/* leases */
	uint64_t lease_until;		/* as the kernel accepted it; 0: mute */
	uint64_t ready_until;		/* our data are valid until */
	uint64_t echoed;		/* newest own timestamp that the peer echoed */
	uint32_t generation;
	/* data */
	bool has_data;			/* store or sockets that a takeover can start from */
	bool held;			/* our own sockets, muted */
	bool gates_open;		/* unprotected: nobody else can take over as ready */
	bool was_active;		/* the last reign that we know of was ours */
	enum role_unable unable;	/* why gates_open */
	uint32_t epoch;			/* active: of the newest snapshot; READY: the one we hold */
	uint32_t denied;		/* newest epoch of .term that we said not to be ready for */
	/* link and snapshot */
	bool link, in_step;
	uint32_t ask;			/* standby: number of our newest ask */
	uint32_t peer_ask;		/* active: the one being answered, 0: none */
	bool sent;			/* active: its last record is on the link, END is not */
	bool asked, complete;		/* standby: ask is under way; its END came */
	/* claim */
	bool cold, fenced, fencing, ordered, evidence;
	bool cold_alone;		/* cold, and the right to start alone: silence is evidence */
	uint64_t claim_at;		/* first sent; 0: not yet */
	uint64_t evidence_at;		/* drained a drain later */
	uint64_t evidence_lease;	/* end of the lease that it grants; 0: a whole one from the flip */
	uint64_t fence_at;		/* not before */
	/* time */
	uint64_t now, last_turn, silent_since, listen_until;
	/* start, alarms */
	bool alone_ok;			/* disk: was active, the peer unable: may start alone */
	bool alarmed, stopping, disk_owed, disk_alarmed;
	uint64_t lapses[ROLE_LAPSES_MAX];
	uint32_t nlapses;
	bool barred;			/* too many lapses: no claims */
	/* actions under way */
	struct role_action queue[ROLE_QUEUE_MAX];
	uint32_t qlen, qhead;
	enum role_act waits;		/* handed out, not answered; ROLE_ACT_NONE */
	struct role_action pending;
	uint64_t stalled_until;		/* MUTE failed: again then */
	bool undo;			/* a failure of what is under way takes the transition back */
	bool yielding;			/* what is under way gives way to a higher term */
	bool adopting;			/* what is under way takes over a term that was heard */
	struct role *before;		/* as it was before the transition under way */
	char refusal[ROLE_TEXT_MAX];
};

/* Fills every member but group, node, peer_node and priority; times follow from interval (ns). */
void role_cfg_default(struct role_cfg *cfg, uint64_t interval);
/* 0; -EINVAL, with the words in why[len]: which member, and what it must be. */
int role_cfg_check(const struct role_cfg *cfg, char *why, size_t len);

/* 0, -EINVAL (see role_cfg_check()), -ENOMEM. role_exit() frees. */
int role_init(struct role *r, const struct role_cfg *cfg);
void role_exit(struct role *r);

/**
 * role_start() - nsrd has started
 * @disk: the record; NULL: none, or damaged
 * @k: the group as the kernel has it; a group just created has active == false
 * @instance: random, not 0
 */
int role_start(struct role *r, uint64_t now, const struct term_record *disk,
	       const struct role_kernel *k, uint64_t instance);

bool role_next(struct role *r, struct role_action *act);
bool role_busy(const struct role *r);
int role_disk_answer(struct role *r, uint64_t now, int err);
/* err 0 or negative errno; generation: as the answer (or, after an error, a new dump) says; 0 unknown. */
int role_kernel_answer(struct role *r, uint64_t now, int err, uint32_t generation);
int role_addresses_answer(struct role *r, uint64_t now, int err);
/* For ROLE_ACT_HEARTBEAT only: counts as sent. */
void role_fill_heartbeat(struct role *r, uint64_t now, struct nsr_heartbeat *hb);

/* Each interval, sockets drained. */
int role_turn(struct role *r, uint64_t now);
/* When role_wake() is due (ns, boot time); 0: never. Ask again after every input and answer. */
uint64_t role_wakeup(const struct role *r);
int role_wake(struct role *r, uint64_t now);
/* -EINVAL: another group, schema major, node; own node id; malformed. Late copies are dropped: 0. */
int role_heartbeat(struct role *r, uint64_t now, const struct nsr_heartbeat *hb);

/* The sync link is up (HELLO done both ways) or down. */
int role_link(struct role *r, uint64_t now, bool up);
/* Active: SNAPSHOT_ASK number ask came. */
int role_snapshot_asked(struct role *r, uint64_t now, uint32_t ask);
/* Active: the last record of the snapshot for ask is on the link; END not yet. */
int role_snapshot_sent(struct role *r, uint64_t now, uint32_t ask);
/* Standby: SNAPSHOT_END came and the store is whole. READY follows with the next heartbeat that is in step at
 * that epoch (it is sent right behind the END). Answer 0 or not: acknowledge the record anyway. */
int role_snapshot_end(struct role *r, uint64_t now, struct nsr_term term, uint32_t epoch, uint32_t ask);
/* Standby: the store cannot be trusted (ROLE_WHY_OVERRUN, _OUT_OF_STEP, _OPERATOR). Active: records were
 * lost on their way to the peer, it must be synchronised anew. */
int role_data_lost(struct role *r, uint64_t now, enum role_reason why);

/* GROUP_NTF, or a dump: the kernel lapsed, or somebody else changed role or generation. */
int role_kernel_event(struct role *r, uint64_t now, const struct role_kernel *k);
/* -EAGAIN unless ACTIVE with a READY peer in step. */
int role_switchover(struct role *r, uint64_t now);
int role_left(struct role *r, uint64_t now);
int role_leave_timeout(struct role *r, uint64_t now);
int role_app_died(struct role *r, uint64_t now);
int role_fence_result(struct role *r, uint64_t now, bool ok);
/* authority external: the cluster manager's order to promote (true) or demote. */
int role_order(struct role *r, uint64_t now, bool promote);
/* The operator takes responsibility: a box without data becomes active, cold. -EAGAIN unless INIT/SYNC. */
int role_force(struct role *r, uint64_t now);
/* The operator lifts the bar after too many lapses. */
int role_clear(struct role *r, uint64_t now);
/* nsrd stops in good order: a standby resigns, so that the active knows. An active: nothing; its lease
 * ends, or lasts if nobody can take over. Run the actions, then exit. */
int role_stop(struct role *r, uint64_t now);

/* This box's data are good enough to take over as ready. */
bool role_valid(const struct role *r, uint64_t now);
/* The peer is READY at our term, and we are in step with it. */
bool role_protected(const struct role *r);
const char *role_refusal(const struct role *r);
const char *role_state_name(enum role_state s);
const char *role_reason_name(enum role_reason w);
const char *role_act_name(enum role_act a);

#endif /* NSRD_ROLE_H */
