// SPDX-License-Identifier: GPL-2.0-only
/* role_sim: see role_sim.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "role_sim.h"

#define INBOX	64
#define FRAMES	32

enum power { P_OFF, P_UP, P_PAUSED };
enum daemon { D_DEAD, D_UP, D_HUNG };

struct msg {
	struct nsr_heartbeat hb;
	uint64_t at;
};

struct frame {
	bool end;		/* SNAPSHOT_END, else SNAPSHOT_ASK */
	struct nsr_term term;
	uint32_t epoch, ask;
	bool ok;		/* ghost: what it ends is the newest history */
	uint64_t at;
};

/* A call that the daemon waits for: takes effect at exec_at, is answered at done_at. */
struct call {
	bool on, executed, answered, orphan;
	struct role_action act;
	uint64_t exec_at, done_at;
	int err;
	bool cold, exc;
};

struct box {
	enum power power;
	enum daemon daemon;
	uint64_t power_at, daemon_at;	/* end of the present outage; 0: none */
	uint64_t booted;		/* simulated time at which its clock showed base */
	uint64_t base;
	struct role r;
	bool has_role;
	struct role_kernel k;
	bool kexc;			/* ghost: a claim of its last flip did not reach the other box */
	uint64_t flip_at;
	struct term_record disk;
	bool has_disk;
	uint64_t disk_bad_until, mac_bad_until;
	struct msg inbox[INBOX];
	int nin;
	struct frame frames[FRAMES];	/* from the link, in order */
	int nframes;
	bool told_up;			/* what the role machine was told of the link */
	uint64_t turn_at;
	struct call call;
	uint32_t snap_ask;		/* snapshot being sent; 0: none */
	uint64_t snap_at;
	uint64_t leave_at;
	bool leave_ok;
	struct nsr_term claim_term;
	bool claim_exc, claim_cold;
	/* ghosts */
	bool ok, dat, end_ok;
	enum role_state seen;
};

struct sim {
	struct sim_cfg cfg;
	struct box b[2];
	bool cut[2][2];			/* [path][to] */
	uint64_t heal_at[2][2];
	uint64_t loss_until;
	bool link;
	uint64_t link_down_at, link_up_at;
	uint64_t now, rng, conn_since, dual_since;
	bool split, faults_on;
	struct sim_result res;
};

static uint64_t rnd(struct sim *s)
{
	uint64_t z = (s->rng += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint64_t below(struct sim *s, uint64_t n)
{
	return rnd(s) % n;
}

static bool off(const struct sim *s, uint32_t rule)
{
	return s->cfg.rules_off & rule;
}

__attribute__((format(printf, 3, 4)))
static void bad(struct sim *s, enum sim_bad b, const char *fmt, ...)
{
	va_list ap;

	if (s->res.bad)
		return;
	s->res.bad = b;
	s->res.at = s->now;
	va_start(ap, fmt);
	vsnprintf(s->res.why, sizeof(s->res.why), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3)))
static void trace(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->cfg.verbose)
		return;
	printf("# %9.3f ", s->now / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static uint64_t clk(const struct sim *s, const struct box *b)
{
	return b->base + s->now - b->booted;
}

static int id(const struct sim *s, const struct box *b)
{
	return b - s->b;
}

static struct box *other(struct sim *s, struct box *b)
{
	return &s->b[!id(s, b)];
}

static bool emits(const struct sim *s, const struct box *b)
{
	return b->power == P_UP && b->k.active && (off(s, ROLE_RULE_LEASE) || clk(s, b) < b->k.lease_until);
}

/* ---- kernel, disk ---- */

static void ghost_open(struct sim *s, struct box *b)
{
	struct box *o = other(s, b);
	int i;

	o->ok = o->end_ok = false;
	for (i = 0; i < o->nframes; i++)
		o->frames[i].ok = false;
	s->res.gates_opened++;
}

static void ghost_flip(struct sim *s, struct box *b, const struct call *c)
{
	struct box *o = other(s, b);

	s->res.flips++;
	b->kexc = c->exc;
	b->flip_at = s->now;
	if (!c->cold && !b->ok && !s->split)
		bad(s, SIM_STALE, "box %d took over as ready, stale", id(s, b));
	if (c->cold && emits(s, o) && !s->split && !c->exc)
		bad(s, SIM_COLD_HARM, "box %d, cold, displaced a live active", id(s, b));
	/* Nobody heard the claim: with authority none that is as if both reigned. */
	if (c->exc && o->dat) {
		s->res.splits += !s->split;
		s->split = true;
	}
	if (c->cold) {
		b->ok = true;
		o->ok = false;
		s->res.cold_flips++;
	} else {
		s->res.warm_flips++;
	}
	b->dat = true;
}

static int kernel_exec(struct sim *s, struct box *b, struct call *c)
{
	struct role_action *a = &c->act;
	uint64_t now = clk(s, b);

	switch (a->act) {
	case ROLE_ACT_KERNEL_ACTIVE:
		if (a->generation != b->k.generation)
			return -ESTALE;
		if (a->lease_until <= now)
			return -ETIME;
		if (nsr_term_cmp(a->term, b->k.term) < 0)
			return -EINVAL;
		b->k.active = true;
		b->k.term = a->term;
		b->k.lease_until = a->lease_until;
		b->k.generation++;
		ghost_flip(s, b, c);
		return 0;
	case ROLE_ACT_KERNEL_LEASE:
		if (a->generation != b->k.generation)
			return -ESTALE;
		if (!b->k.active)
			return -EPERM;
		if (!off(s, ROLE_RULE_RESTART) && !off(s, ROLE_RULE_LEASE) && now >= b->k.lease_until)
			return -ETIME;
		b->k.lease_until = a->lease_until;
		return 0;
	case ROLE_ACT_KERNEL_MUTE:
		b->k.active = false;
		b->k.generation++;
		return 0;
	default:
		b->k.ready_until = a->ready_until;
		b->k.gates_open = a->gates_open;
		b->k.epoch = a->epoch;
		if (a->gates_open && b->k.active)
			ghost_open(s, b);
		return 0;
	}
}

static void exec_call(struct sim *s, struct box *b)
{
	struct call *c = &b->call;

	c->executed = true;
	switch (c->act.act) {
	case ROLE_ACT_DISK_WRITE:
		c->err = s->now < b->disk_bad_until ? -EROFS : 0;
		if (!c->err) {
			b->disk = c->act.record;
			b->has_disk = true;
		}
		return;
	case ROLE_ACT_ADDRESSES_TAKE:
		if (!b->k.active)
			bad(s, SIM_MISUSE, "box %d takes addresses while mute", id(s, b));
		c->err = s->now < b->mac_bad_until ? -EBUSY : 0;
		return;
	default:
		c->err = kernel_exec(s, b, c);
	}
}

static void start_call(struct sim *s, struct box *b, const struct role_action *a)
{
	struct call *c = &b->call;
	uint64_t lat = 0;

	memset(c, 0, sizeof(*c));
	c->on = true;
	c->act = *a;
	c->cold = b->claim_cold;
	c->exc = b->claim_exc;
	if (s->faults_on && (s->cfg.faults & SIM_F_SLOW) && below(s, 12) == 0)
		lat = SIM_TICK * (1 + below(s, 45));
	c->exec_at = s->now + (lat ? below(s, lat + 1) : 0);
	c->done_at = s->now + lat;
	/* The control for the rule sync: the machine does not wait. */
	c->answered = b->r.waits != a->act;
}

static void run(struct sim *s, struct box *b);

/* true: nothing is under way any more */
static bool finish_call(struct sim *s, struct box *b)
{
	struct call *c = &b->call;

	if (!c->on)
		return true;
	if (!c->executed && s->now >= c->exec_at)
		exec_call(s, b);
	if (!c->executed || s->now < c->done_at || b->daemon != D_UP)
		return false;
	c->on = false;
	if (c->answered || c->orphan)
		return true;
	if (c->act.act == ROLE_ACT_DISK_WRITE)
		role_disk_answer(&b->r, clk(s, b), c->err);
	else if (c->act.act == ROLE_ACT_ADDRESSES_TAKE)
		role_addresses_answer(&b->r, clk(s, b), c->err);
	else
		role_kernel_answer(&b->r, clk(s, b), c->err, b->k.generation);
	return true;
}

/* ---- wire ---- */

static void send_hb(struct sim *s, struct box *b)
{
	struct box *o = other(s, b);
	struct nsr_heartbeat hb;
	bool delivered = false;
	int p;

	role_fill_heartbeat(&b->r, clk(s, b), &hb);
	if (hb.state == ROLE_CLAIM && nsr_term_cmp(hb.term, b->claim_term)) {
		b->claim_term = hb.term;
		b->claim_exc = false;
		b->claim_cold = !hb.warm;
	}
	for (p = 0; p < 2; p++) {
		uint64_t at = s->now;

		if (s->cut[p][!id(s, b)])
			continue;
		if (s->now < s->loss_until && below(s, 3) == 0)
			continue;
		if (s->faults_on && (s->cfg.faults & SIM_F_LATE) && below(s, 20) == 0)
			at += SIM_TICK * below(s, 120);
		else
			delivered = true;
		if (o->power == P_OFF || o->daemon == D_DEAD)
			continue;
		if (o->nin == INBOX) {
			delivered = false;
			continue;
		}
		o->inbox[o->nin].hb = hb;
		o->inbox[o->nin++].at = at;
	}
	if (hb.state == ROLE_CLAIM && !delivered)
		b->claim_exc = true;
}

static void send_frame(struct sim *s, struct box *b, struct frame f)
{
	struct box *o = other(s, b);

	if (!s->link || o->nframes == FRAMES)
		return;
	f.at = s->now + SIM_TICK * below(s, 4);
	if (o->nframes && f.at < o->frames[o->nframes - 1].at)
		f.at = o->frames[o->nframes - 1].at;
	o->frames[o->nframes++] = f;
}

static void execute(struct sim *s, struct box *b, const struct role_action *a)
{
	switch (a->act) {
	case ROLE_ACT_HEARTBEAT:
		send_hb(s, b);
		break;
	case ROLE_ACT_SNAPSHOT_ASK:
		send_frame(s, b, (struct frame){ .ask = a->ask });
		break;
	case ROLE_ACT_SNAPSHOT_SEND:
		b->snap_ask = a->ask;
		b->snap_at = s->now + SIM_TICK * below(s, 60);
		break;
	case ROLE_ACT_SNAPSHOT_STOP:
		b->snap_ask = 0;
		break;
	case ROLE_ACT_SNAPSHOT_END:
		if (b->k.gates_open)
			bad(s, SIM_MISUSE, "box %d sends END with gates open", id(s, b));
		send_frame(s, b, (struct frame){ .end = true, .ask = a->ask, .term = a->term,
						 .epoch = a->epoch, .ok = b->ok });
		break;
	case ROLE_ACT_ADDRESSES_RELEASE:
	case ROLE_ACT_DESTROY:
		if (emits(s, b) && !off(s, ROLE_RULE_LEASE))
			bad(s, SIM_MISUSE, "box %d: %s while it emits", id(s, b), role_act_name(a->act));
		break;
	case ROLE_ACT_DROP_DATA:
		b->dat = b->ok = false;
		break;
	case ROLE_ACT_APPS_LEAVING:
		b->leave_at = s->now + SIM_TICK * below(s, 80);
		b->leave_ok = below(s, 5) != 0;
		s->res.switchovers++;
		break;
	case ROLE_ACT_APPS_CALLED_OFF:
		b->leave_at = 0;
		break;
	case ROLE_ACT_ALARM:
	case ROLE_ACT_LOG:
		trace(s, "box %d %s: %s", id(s, b), role_act_name(a->act), a->text);
		break;
	default:
		break;
	}
}

static void run(struct sim *s, struct box *b)
{
	struct role_action a;

	if (b->seen != ROLE_READY && b->r.state == ROLE_READY) {
		b->dat = true;
		b->ok = b->end_ok;
		s->res.ready++;
	}
	b->seen = b->r.state;
	for (;;) {
		if (b->call.on && (b->r.waits != ROLE_ACT_NONE || b->call.done_at > s->now) &&
		    !finish_call(s, b))
			break;
		if (b->call.on)
			finish_call(s, b);
		if (!role_next(&b->r, &a))
			break;
		if (ROLE_ACT_WAITS(a.act))
			start_call(s, b, &a);
		else
			execute(s, b, &a);
	}
	b->seen = b->r.state;
}

/* ---- one box, one tick ---- */

static bool pop_msg(struct sim *s, struct box *b, struct msg *m)
{
	int i;

	for (i = 0; i < b->nin; i++) {
		if (b->inbox[i].at > s->now)
			continue;
		*m = b->inbox[i];
		memmove(&b->inbox[i], &b->inbox[i + 1], (b->nin - i - 1) * sizeof(*m));
		b->nin--;
		return true;
	}
	return false;
}

static void drain(struct sim *s, struct box *b)
{
	struct msg m;

	while (!role_busy(&b->r) && pop_msg(s, b, &m)) {
		role_heartbeat(&b->r, clk(s, b), &m.hb);
		run(s, b);
	}
}

static void drain_link(struct sim *s, struct box *b)
{
	if (!role_busy(&b->r) && b->told_up != s->link) {
		b->told_up = s->link;
		role_link(&b->r, clk(s, b), s->link);
		run(s, b);
	}
	while (!role_busy(&b->r) && b->nframes && b->frames[0].at <= s->now && !s->cut[0][id(s, b)]) {
		struct frame f = b->frames[0];

		memmove(&b->frames[0], &b->frames[1], --b->nframes * sizeof(f));
		if (f.end) {
			b->end_ok = f.ok;
			role_snapshot_end(&b->r, clk(s, b), f.term, f.epoch, f.ask);
		} else {
			role_snapshot_asked(&b->r, clk(s, b), f.ask);
		}
		run(s, b);
	}
}

static void inputs(struct sim *s, struct box *b)
{
	uint64_t now = clk(s, b);

	if (!role_busy(&b->r) && b->snap_ask && s->now >= b->snap_at) {
		uint32_t ask = b->snap_ask;

		b->snap_ask = 0;
		role_snapshot_sent(&b->r, now, ask);
		run(s, b);
	}
	if (!role_busy(&b->r) && b->leave_at && s->now >= b->leave_at) {
		b->leave_at = 0;
		if (b->leave_ok)
			role_left(&b->r, now);
		else
			role_leave_timeout(&b->r, now);
		run(s, b);
	}
}

static void turn(struct sim *s, struct box *b)
{
	uint64_t wake = role_wakeup(&b->r);

	if (wake && clk(s, b) >= wake && !role_wake(&b->r, clk(s, b)))
		run(s, b);
	if (s->now < b->turn_at || role_turn(&b->r, clk(s, b)))
		return;
	b->turn_at += SIM_INTERVAL;
	if (b->turn_at <= s->now)
		b->turn_at = s->now + SIM_INTERVAL;
	run(s, b);
}

static void step_box(struct sim *s, struct box *b)
{
	run(s, b);
	drain_link(s, b);
	drain(s, b);
	inputs(s, b);
	turn(s, b);
}

/* ---- faults ---- */

static void link_down(struct sim *s)
{
	s->link = false;
	s->b[0].nframes = s->b[1].nframes = 0;
	s->b[0].snap_ask = s->b[1].snap_ask = 0;
	s->link_down_at = 0;
	s->link_up_at = s->now + SIM_TICK * (1 + below(s, 30));
}

static void daemon_gone(struct sim *s, struct box *b)
{
	if (b->has_role)
		role_exit(&b->r);
	b->has_role = false;
	b->daemon = D_DEAD;
	b->nin = 0;
	b->leave_at = 0;
	b->told_up = false;
	/* a call on its way may still arrive in the kernel */
	b->call.orphan = true;
	if (b->call.act.act == ROLE_ACT_DISK_WRITE || below(s, 2))
		b->call.on = false;
	link_down(s);
}

static void daemon_start(struct sim *s, struct box *b)
{
	struct role_cfg cfg;

	role_cfg_default(&cfg, SIM_INTERVAL);
	cfg.group = 7;
	cfg.node = id(s, b) + 1;
	cfg.peer_node = 2 - id(s, b);
	cfg.lapse_max = 0;
	cfg.rules_off = s->cfg.rules_off;
	if (b->call.on && !b->call.executed)
		b->call.on = false;
	if (role_init(&b->r, &cfg))
		abort();
	b->has_role = true;
	b->daemon = D_UP;
	b->daemon_at = 0;
	b->turn_at = s->now + below(s, SIM_INTERVAL);
	b->claim_term = (struct nsr_term){ 0 };
	role_start(&b->r, clk(s, b), b->has_disk ? &b->disk : NULL, &b->k, rnd(s) | 1);
	trace(s, "box %d nsrd starts: %s term %llu/%u kernel %s", id(s, b), role_state_name(b->r.state),
	      (unsigned long long)b->r.term.number, b->r.term.owner, b->k.active ? "active" : "standby");
	run(s, b);
}

static void power_off(struct sim *s, struct box *b)
{
	daemon_gone(s, b);
	b->power = P_OFF;
	b->call.on = false;
	b->dat = b->ok = b->end_ok = false;
	memset(&b->k, 0, sizeof(b->k));
}

static void power_on(struct sim *s, struct box *b)
{
	b->power = P_UP;
	b->booted = s->now;
	b->base = 1000000000ull + below(s, 1000000000ull);
	b->k = (struct role_kernel){ .generation = 1 };
	b->power_at = 0;
	daemon_start(s, b);
}

static uint64_t some_time(struct sim *s)
{
	return SIM_TICK * (1 + (below(s, 4) ? below(s, 150) : below(s, 600)));
}

static void cut(struct sim *s)
{
	static const uint8_t masks[] = { 15, 15, 3, 12, 5, 10 };	/* bit path * 2 + to */
	uint8_t m = masks[below(s, sizeof(masks))];
	uint64_t until = s->now + some_time(s);
	int p, to;

	for (p = 0; p < 2; p++) {
		for (to = 0; to < 2; to++) {
			if (!(m >> (p * 2 + to) & 1))
				continue;
			s->cut[p][to] = true;
			s->heal_at[p][to] = until;
		}
	}
	trace(s, "cut %x", m);
}

static void fault_daemon(struct sim *s, struct box *b, uint32_t f)
{
	if (b->power != P_UP || b->daemon != D_UP || role_busy(&b->r))
		return;
	switch (f) {
	case SIM_F_APP:
		if (!role_app_died(&b->r, clk(s, b)))
			trace(s, "box %d application dies", id(s, b));
		break;
	case SIM_F_OVERRUN:
		if (b->r.state == ROLE_READY || b->r.state == ROLE_SYNC)
			role_data_lost(&b->r, clk(s, b), ROLE_WHY_OVERRUN);
		break;
	default:
		role_switchover(&b->r, clk(s, b));
		break;
	}
	run(s, b);
}

static void fault(struct sim *s)
{
	struct box *b = &s->b[below(s, 2)];
	uint32_t f;

	do {
		f = 1u << below(s, 13);
	} while (!(s->cfg.faults & f) && s->cfg.faults);
	switch (f) {
	case SIM_F_CUT:
		cut(s);
		break;
	case SIM_F_LOSS:
		s->loss_until = s->now + some_time(s);
		break;
	case SIM_F_DIE:
		if (b->power == P_OFF)
			break;
		trace(s, "box %d dies", id(s, b));
		power_off(s, b);
		b->power_at = s->now + some_time(s);
		break;
	case SIM_F_KILL:
		if (b->power != P_UP || b->daemon == D_DEAD)
			break;
		trace(s, "box %d nsrd killed", id(s, b));
		daemon_gone(s, b);
		b->daemon_at = s->now + some_time(s);
		break;
	case SIM_F_HANG:
		if (b->power != P_UP || b->daemon != D_UP)
			break;
		trace(s, "box %d nsrd hangs", id(s, b));
		b->daemon = D_HUNG;
		b->daemon_at = s->now + some_time(s);
		break;
	case SIM_F_PAUSE:
		if (b->power != P_UP)
			break;
		trace(s, "box %d pauses", id(s, b));
		b->power = P_PAUSED;
		b->power_at = s->now + some_time(s);
		break;
	case SIM_F_DISK:
		b->disk_bad_until = s->now + some_time(s);
		break;
	case SIM_F_MAC:
		b->mac_bad_until = s->now + some_time(s);
		break;
	default:
		fault_daemon(s, b, f);
	}
}

/* What ends by itself; all: everything ends now. */
static void recover(struct sim *s, bool all)
{
	int p, to, i;

	for (p = 0; p < 2; p++)
		for (to = 0; to < 2; to++)
			if (s->cut[p][to] && (all || s->now >= s->heal_at[p][to]))
				s->cut[p][to] = false;
	for (i = 0; i < 2; i++) {
		struct box *b = &s->b[i];

		if (all)
			b->disk_bad_until = b->mac_bad_until = s->loss_until = 0;
		if (b->power == P_PAUSED && (all || s->now >= b->power_at)) {
			trace(s, "box %d continues", i);
			b->power = P_UP;
		}
		if (b->power == P_OFF && (all || s->now >= b->power_at)) {
			trace(s, "box %d boots", i);
			power_on(s, b);
		}
		if (b->power != P_UP || b->daemon == D_UP || !(all || s->now >= b->daemon_at))
			continue;
		if (b->daemon == D_HUNG)
			b->daemon = D_UP;
		else
			daemon_start(s, b);
	}
}

static void move_link(struct sim *s)
{
	bool whole = !s->cut[0][0] && !s->cut[0][1];
	bool alive = s->b[0].daemon == D_UP && s->b[1].daemon == D_UP &&
		     s->b[0].power == P_UP && s->b[1].power == P_UP;

	if (s->link && whole)
		s->link_down_at = 0;
	if (s->link && !whole && !s->link_down_at)	/* TCP notices late */
		s->link_down_at = s->now + SIM_TICK * (10 + below(s, 120));
	if (s->link && s->link_down_at && s->now >= s->link_down_at)
		link_down(s);
	if (!s->link && whole && alive && s->now >= s->link_up_at && !s->b[0].told_up &&
	    !s->b[1].told_up)
		s->link = true;
}

/* ---- what must never be ---- */

static void check(struct sim *s)
{
	bool both_held = s->b[0].k.active && s->b[1].k.active &&
			 clk(s, &s->b[0]) < s->b[0].k.lease_until &&
			 clk(s, &s->b[1]) < s->b[1].k.lease_until;
	bool conn = (!s->cut[0][0] && !s->cut[0][1]) || (!s->cut[1][0] && !s->cut[1][1]);
	struct box *late;

	if (s->now < s->loss_until || !conn)
		s->conn_since = 0;
	else if (!s->conn_since)
		s->conn_since = s->now;
	if (both_held) {
		s->res.splits += !s->split;
		s->split = true;
	} else if (s->split) {
		if (s->b[0].dat != s->b[1].dat) {
			s->b[0].ok = s->b[0].dat;
			s->b[1].ok = s->b[1].dat;
			s->split = false;
		} else if (!s->b[0].dat) {
			s->split = false;
		}
	}
	if (!emits(s, &s->b[0]) || !emits(s, &s->b[1])) {
		s->dual_since = 0;
		return;
	}
	if (!s->dual_since)
		s->dual_since = s->now;
	late = s->b[0].flip_at > s->b[1].flip_at ? &s->b[0] : &s->b[1];
	if (!late->kexc)
		bad(s, SIM_DUAL, "both emit, and box %d's claim had reached the other", id(s, late));
	if (s->conn_since && s->now - s->conn_since > 6 * SIM_INTERVAL &&
	    s->now - s->dual_since > 6 * SIM_INTERVAL)
		bad(s, SIM_DUAL_HEALED, "both emit on, the paths are whole");
}

static void tick(struct sim *s)
{
	int first = below(s, 2), i;

	s->now += SIM_TICK;
	if (s->faults_on && below(s, s->cfg.rate * (SIM_INTERVAL / SIM_TICK)) == 0)
		fault(s);
	recover(s, false);
	move_link(s);
	for (i = 0; i < 2; i++) {
		struct box *b = &s->b[first ^ i];

		if (b->power == P_UP && b->call.on && (b->daemon != D_UP || b->call.orphan))
			finish_call(s, b);
		if (b->power == P_UP && b->daemon == D_UP)
			step_box(s, b);
		check(s);
	}
}

static bool good(const struct sim *s)
{
	int a = emits(s, &s->b[0]) ? 0 : 1;
	const struct role *act = &s->b[a].r, *sby = &s->b[!a].r;

	return emits(s, &s->b[a]) && !emits(s, &s->b[!a]) && s->b[0].has_role && s->b[1].has_role &&
	       act->state == ROLE_ACTIVE && sby->state == ROLE_READY && role_protected(act);
}

/* Everything is healed: an active and a ready standby within a bound, and they stay so. */
static void settle(struct sim *s, uint32_t turns)
{
	uint64_t start = s->now, since = 0;

	s->faults_on = false;
	recover(s, true);
	while (!s->res.bad && s->now - start < turns * SIM_INTERVAL) {
		tick(s);
		if (!good(s))
			since = 0;
		else if (!since)
			since = s->now;
		if (since && s->now - since > 15 * SIM_INTERVAL) {
			s->res.heal_turns = (since - start) / SIM_INTERVAL;
			return;
		}
	}
	bad(s, SIM_STUCK, "healed, and after %u turns: %s term %llu/%u, %s term %llu/%u", turns,
	    role_state_name(s->b[0].r.state), (unsigned long long)s->b[0].r.term.number,
	    s->b[0].r.term.owner, role_state_name(s->b[1].r.state),
	    (unsigned long long)s->b[1].r.term.number, s->b[1].r.term.owner);
}

struct sim_result sim_run(const struct sim_cfg *cfg)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct sim_result res;
	uint64_t until;
	int i;

	if (!s)
		abort();
	s->cfg = *cfg;
	s->rng = cfg->seed;
	s->now = 1000000000ull;
	for (i = 0; i < 2; i++)
		power_on(s, &s->b[i]);
	if (!cfg->cold)
		settle(s, 100);
	s->faults_on = true;
	until = s->now + cfg->turns * SIM_INTERVAL;
	while (!s->res.bad && s->now < until)
		tick(s);
	if (!s->res.bad)
		settle(s, 100);
	for (i = 0; i < 2; i++)
		if (s->b[i].has_role)
			role_exit(&s->b[i].r);
	res = s->res;
	free(s);
	return res;
}

const char *sim_bad_name(enum sim_bad b)
{
	static const char *const names[] = {
		"nothing bad", "two emit", "two emit on after healing", "stale takeover as ready",
		"cold box displaced a live active", "stuck after healing", "action out of order",
	};

	return names[b];
}
