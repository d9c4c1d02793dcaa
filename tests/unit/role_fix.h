/* SPDX-License-Identifier: GPL-2.0-only */
/* role_fix: one role machine in a given state, a peer made of heartbeats, and a record of the actions */
#ifndef ROLE_FIX_H
#define ROLE_FIX_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>
#include "role_table.h"

#define MS	1000000ull
#define I	(100 * MS)		/* interval */
#define ME	1u
#define PEER	2u
#define ECHO_NONE	UINT64_MAX

struct fix {
	struct role r;
	uint64_t now, seq;
	struct role_action done[128];
	int ndone;
	enum role_act fail;		/* this one is answered with an error */
	enum role_act stop;		/* pump() stops in front of its answer */
	struct nsr_heartbeat sent;	/* the newest */
	int nsent;
};

static inline struct nsr_term T(uint64_t number, uint32_t owner)
{
	return (struct nsr_term){ .number = number, .owner = owner };
}

static inline bool fix_is_reign(enum role_state s)
{
	return s == ROLE_ACTIVE || s == ROLE_LEAVE;
}

static inline void fix_cfg(struct role_cfg *cfg)
{
	role_cfg_default(cfg, I);
	cfg->group = 7;
	cfg->node = ME;
	cfg->peer_node = PEER;
}

/* A box that has been in state s for a while, in order: term 10, its own if it reigns, claims or is HELD. */
static inline void fix_init(struct fix *f, enum role_state s)
{
	struct role_cfg cfg;
	struct role *r = &f->r;

	memset(f, 0, sizeof(*f));
	fix_cfg(&cfg);
	assert_int_equal(role_init(r, &cfg), 0);
	f->now = 1000 * I;
	r->now = r->last_turn = r->silent_since = f->now;
	r->state = s;
	r->instance = 111;
	r->boots = 3;
	r->generation = 5;
	r->term = T(10, s == ROLE_INIT || s == ROLE_SYNC || s == ROLE_READY ? PEER : ME);
	r->link = true;
	r->epoch = r->denied = ROLE_EPOCH_NONE;
	r->echoed = f->now - 5 * MS;
	r->peer = (struct role_peer){ .heard = true, .node = PEER, .instance = 222, .boots = 4,
				      .ts = 5000, .ts_at = f->now, .heard_at = f->now };
	if (s == ROLE_READY || s == ROLE_CLAIM || s == ROLE_HELD || fix_is_reign(s)) {
		r->has_data = true;
		r->data_term = r->term;
		r->ready_until = f->now + 9 * I;
		r->epoch = 3;
	}
	if (fix_is_reign(s)) {
		r->lease_until = f->now + 3 * I;
		r->in_step = r->was_active = true;
		r->peer.ready_since = f->now;
		r->peer.last.state = ROLE_READY;
	}
	if (s == ROLE_HELD)
		r->held = r->was_active = true;
	if (s == ROLE_CLAIM)
		r->claim_at = f->now;
	r->record.term = r->term;
}

static inline void fix_exit(struct fix *f)
{
	role_exit(&f->r);
}

/* Executes what is there; answers as fail and stop say. */
static inline void pump(struct fix *f)
{
	struct role_action a;

	while (role_next(&f->r, &a)) {
		int err = a.act == f->fail ? -EIO : 0;

		assert_true(f->ndone < 128);
		f->done[f->ndone++] = a;
		if (a.act == ROLE_ACT_HEARTBEAT) {
			role_fill_heartbeat(&f->r, f->now, &f->sent);
			f->nsent++;
		}
		if (a.act == f->stop)
			return;
		if (a.act == ROLE_ACT_DISK_WRITE)
			role_disk_answer(&f->r, f->now, err);
		else if (a.act == ROLE_ACT_ADDRESSES_TAKE)
			role_addresses_answer(&f->r, f->now, err);
		else if (ROLE_ACT_WAITS(a.act))
			role_kernel_answer(&f->r, f->now, err, f->r.generation +
					   (a.act == ROLE_ACT_KERNEL_ACTIVE || a.act == ROLE_ACT_KERNEL_MUTE));
	}
}

static inline void forget_done(struct fix *f)
{
	f->ndone = f->nsent = 0;
}

/* Index of the first such action from index i on, or -1. */
static inline int find_act(const struct fix *f, enum role_act act, int i)
{
	for (; i < f->ndone; i++)
		if (f->done[i].act == act)
			return i;
	return -1;
}

/* All of them, in this order; others may stand between them. Ends with ROLE_ACT_NONE. */
static inline void expect_order(const struct fix *f, ...)
{
	enum role_act act;
	int i = 0;
	va_list ap;

	va_start(ap, f);
	while ((act = va_arg(ap, enum role_act)) != ROLE_ACT_NONE) {
		i = find_act(f, act, i);
		if (i++ < 0)
			fail_msg("action %s is missing, or out of order", role_act_name(act));
	}
	va_end(ap);
}

static inline void expect_none(const struct fix *f, enum role_act act)
{
	if (find_act(f, act, 0) >= 0)
		fail_msg("action %s must not be there", role_act_name(act));
}

static inline void expect_state(const struct fix *f, enum role_state s)
{
	if (f->r.state != s)
		fail_msg("state %s, expected %s", role_state_name(f->r.state), role_state_name(s));
}

static inline void expect_term(const struct fix *f, uint64_t number, uint32_t owner)
{
	assert_int_equal(f->r.term.number, number);
	assert_int_equal(f->r.term.owner, owner);
}

/* A heartbeat of the peer, warm and in step, whose echo is age old. */
static inline struct nsr_heartbeat peer_hb(struct fix *f, enum role_state s, struct nsr_term t,
					   uint64_t echo_age)
{
	return (struct nsr_heartbeat){
		.schema_major = ROLE_SCHEMA_MAJOR, .group = 7, .node = PEER, .instance = 222, .boots = 4,
		.seq = ++f->seq, .state = s, .term = t, .warm = 1, .in_step = fix_is_reign(s),
		.epoch = fix_is_reign(s) || s == ROLE_READY ? 3 : ROLE_EPOCH_NONE,
		.ts = 6000 + f->seq,
		.echo = echo_age == ECHO_NONE ? 0 : f->now - echo_age,
		.echo_instance = echo_age == ECHO_NONE ? 0 : 111,
	};
}

static inline void hear(struct fix *f, const struct nsr_heartbeat *hb)
{
	assert_int_equal(role_heartbeat(&f->r, f->now, hb), 0);
	pump(f);
}

static inline void hears(struct fix *f, enum role_state s, struct nsr_term t)
{
	struct nsr_heartbeat hb = peer_hb(f, s, t, 10 * MS);

	hear(f, &hb);
}

/* n turns in silence */
static inline void turns(struct fix *f, int n)
{
	while (n-- > 0) {
		f->now += I;
		assert_int_equal(role_turn(&f->r, f->now), 0);
		pump(f);
	}
}

static inline void wake(struct fix *f)
{
	uint64_t at = role_wakeup(&f->r);

	assert_true(at != 0);
	if (at > f->now)
		f->now = at;
	assert_int_equal(role_wake(&f->r, f->now), 0);
	pump(f);
}

#endif /* ROLE_FIX_H */
