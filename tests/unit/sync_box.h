/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boxes for tests: nsrd's link, sync and store of two boxes, side by side on one loop over loopback. The rest
 * of nsrd (roles, kernel, shadows) is played: a box is active or standby because the test says so.
 */
#ifndef SYNC_BOX_H
#define SYNC_BOX_H

#include "../../lib/libnsr.h"
#include "link.h"
#include "nsrd.h"
#include "sync.h"
#include "sync_rig.h"

struct box {
	struct nsrd n;
	struct nsrd_config cfg;
	struct cfg_group cg;
	struct cfg_rule rule;
	struct group g;
	uint32_t ask;
	/* what group.c and app.c were told */
	unsigned int ups, downs, added, changed, removed, handovers, handovers_acked, ends, lost, synced;
	unsigned int states, acks, heartbeats, asked, sent, claimed, released, left, drained, gaps, unprotected;
	uint64_t last_acked;
	uint32_t last_epoch;
	struct nsr_heartbeat hb;
	char lost_why[160];
	bool wait_apps;			/* app_ask_snapshot() says: wait */
	bool hold_end;			/* the role machine does not end the snapshot by itself */
	bool inject;			/* shadows are made: /dev/null stands for them */
	uint64_t last_claimed, last_released;
	/* the kernel */
	struct box_gate {
		uint64_t id, gate;	/* as CONN_SET brought them */
		bool open;
		uint64_t wup, una, seq;	/* what it answers when it is asked */
	} gates[8];
	unsigned int batches;
	int batch_fails;		/* errno: what is sent is lost */
};

extern struct ev_loop *box_loop;

/* Node 1 or 2, at 127.0.0.1 or .2. The link is made by box_connect(). */
void box_init(struct box *b, uint32_t node, enum role_state state);
/* Another nsrd on the same box: a new instance, an empty store. */
void box_restart(struct box *b);
void box_listen(struct box *b);			/* its link, with no peer to find yet */
void box_meet(struct box *a, struct box *b);	/* both listen, and learn where the other does */
void box_exit(struct box *b);
#define box_until(expr) do {							\
	double box_limit = ev_time() + 20;					\
	while (!(expr)) {							\
		ev_timer_again(box_loop, &box_tick);				\
		ev_run(box_loop, EVRUN_ONCE);					\
		if (ev_time() > box_limit)					\
			fail_msg("never: %s", #expr);				\
	}									\
} while (0)
extern ev_timer box_tick;			/* wakes the loop, so that box_until() looks again */
struct box_gate *box_gate(struct box *b, uint64_t id);	/* made if new */
void box_gates(struct box *b, bool open);	/* the role machine's word */
void box_turns(unsigned int n);			/* lets the loop turn */

void box_conn(struct box *b, uint8_t cmd, struct attr_buf rec);	/* an event of the kernel; frees rec */
int box_txn(struct box *b, const char *app, uint64_t txn, struct attr_buf *ops);	/* frees ops */

#endif
