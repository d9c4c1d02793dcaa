/* SPDX-License-Identifier: GPL-2.0-only */
/* group.c, shadow.c, switchover.c, conns.c: what they share about one group at run time. */
#ifndef NSRD_GROUP_PRIV_H
#define NSRD_GROUP_PRIV_H

#include "attr.h"
#include "group.h"
#include "kernel.h"
#include "nsrd.h"
#include "refused.h"

/** enum leave_step - how far a planned switchover is */
enum leave_step {
	LEAVE_NONE,
	LEAVE_APPS,		/* applications finish what they say */
	LEAVE_DRAIN,		/* frozen; last transactions */
	LEAVE_HANDOVER,		/* final positions are on their way */
	LEAVE_LEFT,		/* the peer has them: the machine mutes and offers */
};

/**
 * struct shadow - what group.c keeps of a replicated connection (nsr_store_conn.priv)
 * @fd: its socket while no application has claimed it; -1 then
 * @injected: the kernel has it under the connection's id
 * @claimed: an application has the descriptor
 * @told: the application was told that it is resumed
 * @unprotected: lossless, and the old active did not keep the promise: it adopts as in mode adopt
 * @why: there is no shadow, and this is why; NULL: nothing to say. Not the caller's to free
 * @again: how often it had to be made anew
 */
struct shadow {
	struct list_head dirty;		/* group_priv.dirty: positions that the kernel has not */
	struct nsr_store_conn *c;
	int fd;
	bool injected, claimed, told, unprotected;
	const char *why;
	unsigned int again;
};

/** enum input_kind - what is told to the role machine */
enum input_kind {
	INPUT_HEARTBEAT, INPUT_LINK, INPUT_SNAP_ASKED, INPUT_SNAP_SENT, INPUT_SNAP_END, INPUT_DATA_LOST,
	INPUT_KERNEL, INPUT_LEFT, INPUT_LEAVE_TIMEOUT, INPUT_APP_DIED,
};

struct input {
	enum input_kind kind;
	struct nsr_heartbeat hb;
	struct nsr_term term;
	uint32_t ask, epoch;
	enum role_reason why;
	bool up;
};

#define INPUTS_MAX	64

/**
 * struct group_priv - what group.c keeps of a group
 * @inputs: told while the machine was at work: it takes them when its actions are done
 */
struct group_priv {
	struct group *g;
	ev_timer turn, wake, leave;
	ev_prepare flush;
	bool running;			/* actions are being carried out */
	struct input inputs[INPUTS_MAX];
	unsigned int in_head, in_len;
	bool has_peer_mac;
	uint8_t peer_mac[6];
	struct list_head dirty;
	enum role_state shown;		/* last state that was logged */
	enum leave_step leave_step;
	bool switching, switched;	/* by order: under way; the last one ended with the peer active */
	bool leave_force;		/* go on without those that do not answer */
	bool apps_leaving;		/* applications got LEAVING, and nothing that undoes it */
	bool frozen;
	bool reigned;			/* applications hold sockets of a reign of this box */
	bool dropping;			/* the store is being emptied */
	struct attr_buf handed;		/* records of the hand-over */
	char leave_text[200];		/* what became of the last switchover */
	struct refused_list refused;
	uint64_t inject_failed;
	uint64_t rules_at;		/* ns: when the kernel got its rules */
	uint64_t rules_tried;		/* ns: when one was last offered */
	bool rules_refused;		/* some are not in force: */
	bool rule_refused[TCP_NSR_MAX_RULES + 1];
};

static inline struct group_priv *group_priv(const struct group *g)
{
	return g->priv;
}

/* group.c: carries out what the machine wants; safe to call from anywhere, also while it is at it */
void group_run(struct group *g);
/* tells the machine, now or when it has done what it is at */
void group_feed(struct group *g, const struct input *in);
/* conns.c: the kernel's table is the truth for this box (active, or held) */
bool group_owns_conns(const struct group *g);

/* group_rules.c */
void group_rules_set(struct group *g);
void group_rules_turn(struct group *g, uint64_t now);

/* shadow.c */
void shadow_create(struct group *g, struct nsr_store_conn *c);
void shadow_destroy(struct group *g, struct nsr_store_conn *c);
void shadow_changed(struct group *g, struct nsr_store_conn *c);
/* ORDER: before the role flips: the kernel adopts by what it holds at that moment */
void shadow_flush(struct group *g);
/* nsrd ends: only the memory goes */
void shadow_forget(struct nsr_store_conn *c);
/* the socket is gone or its application died: make another one, and offer it again */
void shadow_renew(struct group *g, struct nsr_store_conn *c);
/* the configuration has changed: what could not be made may succeed now */
void shadow_retry(struct group *g);
/* every shadow that the kernel has and the store does not know */
void shadow_drop_strays(struct group *g);
/* after the flip: connections that could not be made shadows are lost: say so */
void shadow_report_missing(struct group *g);

/* conns.c */
void conns_event(struct group *g, uint8_t cmd, const struct nlattr *conn);
void conns_resync(struct group *g);

/* switchover.c */
void switchover_start(struct group *g);
void switchover_undo(struct group *g);
/* ORDER: after the mute, before anything is offered: what moved since the hand-over is not exact */
void switchover_recheck(struct group *g);
void switchover_end(struct group *g);
void switchover_thaw(struct group *g);
void switchover_on_timeout(struct ev_loop *loop, ev_timer *w, int revents);

#endif
