// SPDX-License-Identifier: GPL-2.0-only
/* role: inputs, answers and the queue of actions of the role machine. The rules are in role_table.c */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "role_table.h"

#define MS		1000000ull
#define TERM_NUMBER_MAX	(UINT64_MAX >> 2)	/* nobody gets there by claiming */

bool role_rule(const struct role *r, uint32_t rule)
{
	return !(r->cfg.rules_off & rule);
}

static bool is_reign(const struct role *r)
{
	return r->state == ROLE_ACTIVE || r->state == ROLE_LEAVE;
}

bool role_valid(const struct role *r, uint64_t now)
{
	return r->has_data &&
	       (r->gates_open || !role_rule(r, ROLE_RULE_RLEASE) || now < r->ready_until);
}

bool role_protected(const struct role *r)
{
	return is_reign(r) && r->link && r->in_step && !r->gates_open && r->peer.ready_since;
}

/* Long only where nobody can take over whatever happens: then nsrd's death touches nothing. */
uint64_t role_lease_end(const struct role *r)
{
	uint64_t lease = r->cfg.lease;

	if (r->gates_open && r->unable == ROLE_UNABLE_SAID)
		lease = r->cfg.long_lease;
	else if (r->gates_open && r->unable == ROLE_UNABLE_SILENT)
		lease = r->cfg.silent_lease;
	return r->now + lease;
}

bool role_queued_waits(const struct role *r)
{
	uint32_t i;

	for (i = r->qhead; i < r->qlen; i++)
		if (ROLE_ACT_WAITS(r->queue[i].act))
			return true;
	return false;
}

__attribute__((format(printf, 3, 4)))
static int refuse(struct role *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->refusal, sizeof(r->refusal), fmt, ap);
	va_end(ap);
	return err;
}

const char *role_refusal(const struct role *r)
{
	return r->refusal;
}

/* ---- configuration ---- */

void role_cfg_default(struct role_cfg *cfg, uint64_t interval)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->interval = interval;
	cfg->lease = 3 * interval;
	cfg->claim_after = 3 * interval;
	cfg->ready_lease = 10 * interval;
	cfg->ready_margin = interval;
	cfg->drain = 20 * MS;
	cfg->gap = 2 * interval;
	cfg->long_lease = 24ull * 3600 * 1000 * MS;
	cfg->silent_lease = cfg->lease;
	cfg->fence_backoff = 5000 * MS;
	cfg->preempt_delay = 60000 * MS;
	cfg->lapse_max = 10;
	cfg->lapse_window = 600000 * MS;
}

int role_cfg_check(const struct role_cfg *cfg, char *why, size_t len)
{
	const char *bad = NULL;

	if (!cfg->group)
		bad = "group id must not be 0";
	else if (!cfg->node)
		bad = "node id must not be 0";
	else if (cfg->node == cfg->peer_node)
		bad = "node and peer have the same id: each box needs its own";
	else if (cfg->interval < MS || cfg->interval > 60000 * MS)
		bad = "interval must be 1 ms to 60 s";
	else if (cfg->lease < 2 * cfg->interval)
		bad = "lease must be at least 2 intervals, or one late turn mutes the box";
	else if (cfg->claim_after < cfg->lease)
		bad = "claim-after must not be shorter than the lease";
	else if (cfg->ready_lease < cfg->claim_after + cfg->lease + 2 * cfg->interval + cfg->drain)
		bad = "ready lease must outlast a claim: claim-after + lease + 2 intervals + drain";
	else if (cfg->long_lease < cfg->lease || cfg->silent_lease < cfg->lease)
		bad = "long and silent lease must not be shorter than the lease";
	else if (cfg->long_lease > UINT64_MAX / 4 || cfg->silent_lease > cfg->long_lease ||
		 cfg->ready_lease > UINT64_MAX / 4 || cfg->claim_after > UINT64_MAX / 4)
		bad = "a time is too long";
	else if (cfg->gap < cfg->interval)
		bad = "gap must be at least one interval";
	else if (cfg->lapse_max > ROLE_LAPSES_MAX)
		bad = "lapses must be at most 16";
	if (!bad)
		return 0;
	if (why && len)
		snprintf(why, len, "%s", bad);
	return -EINVAL;
}

int role_init(struct role *r, const struct role_cfg *cfg)
{
	char why[ROLE_TEXT_MAX];

	memset(r, 0, sizeof(*r));
	if (role_cfg_check(cfg, why, sizeof(why)))
		return refuse(r, -EINVAL, "%s", why);
	r->before = malloc(sizeof(*r->before));
	if (!r->before)
		return -ENOMEM;
	r->cfg = *cfg;
	r->epoch = r->denied = ROLE_EPOCH_NONE;
	return 0;
}

void role_exit(struct role *r)
{
	free(r->before);
	r->before = NULL;
}

/* ---- actions ---- */

bool role_busy(const struct role *r)
{
	return r->waits != ROLE_ACT_NONE || r->qhead < r->qlen;
}

/* The control for the rule sync: as if the kernel had answered. */
static bool not_awaited(struct role *r, const struct role_action *a)
{
	return !role_rule(r, ROLE_RULE_SYNC) &&
	       (a->act == ROLE_ACT_KERNEL_ACTIVE || a->act == ROLE_ACT_KERNEL_LEASE);
}

bool role_next(struct role *r, struct role_action *act)
{
	if (r->waits != ROLE_ACT_NONE || r->stalled_until || r->qhead >= r->qlen)
		return false;
	*act = r->queue[r->qhead++];
	if (r->qhead == r->qlen)
		r->qhead = r->qlen = 0;
	if (!ROLE_ACT_WAITS(act->act))
		return true;
	r->waits = act->act;
	r->pending = *act;
	if (not_awaited(r, act))
		role_kernel_answer(r, r->now, 0,
				   r->generation + (act->act == ROLE_ACT_KERNEL_ACTIVE));
	return true;
}

static void forget_queue(struct role *r)
{
	r->qlen = r->qhead = 0;
	r->waits = ROLE_ACT_NONE;
}

static bool apply(struct role *r, enum role_event ev)
{
	struct role_in in = { .ev = ev, .ask = r->peer_ask };

	return role_apply(r, &in);
}

int role_disk_answer(struct role *r, uint64_t now, int err)
{
	struct role_in in = { .ev = ROLE_EV_DISK_FAILED };
	bool adopting = r->adopting;

	if (r->waits != ROLE_ACT_DISK_WRITE)
		return refuse(r, -EINVAL, "no disk write is under way");
	r->now = now;
	r->waits = ROLE_ACT_NONE;
	if (!err) {
		r->record = r->pending.record;
		r->disk_owed = r->disk_alarmed = false;
		return 0;
	}
	in.yielding = r->yielding;
	if (!r->pending.soft) {
		role_undo(r);
		/* a term that was heard and cannot be kept: better silent than forgetful */
		r->disk_owed = r->disk_owed || adopting;
	} else {
		in.yielding = false;
	}
	role_apply(r, &in);
	return 0;
}

static void mute_failed(struct role *r)
{
	/* Hand it out again: nothing behind it may happen before this box is mute. */
	if (r->qhead)
		r->qhead--;
	else
		r->qlen = 1;	/* it was the last: role_next() has emptied the queue */
	r->queue[r->qhead] = r->pending;
	r->stalled_until = r->now + r->cfg.interval;
}

static void kernel_refused(struct role *r, enum role_act act)
{
	bool undo = r->undo;

	switch (act) {
	case ROLE_ACT_KERNEL_MUTE:
		mute_failed(r);
		return;
	case ROLE_ACT_KERNEL_ACTIVE:
		forget_queue(r);
		apply(r, ROLE_EV_FLIP_REFUSED);
		return;
	case ROLE_ACT_KERNEL_LEASE:
		if (undo)
			role_undo(r);
		forget_queue(r);
		apply(r, ROLE_EV_RENEW_REFUSED);
		return;
	default:
		if (!undo)	/* for a restarted nsrd only: it will know less */
			return;
		role_undo(r);
		apply(r, ROLE_EV_GATES_REFUSED);
	}
}

int role_kernel_answer(struct role *r, uint64_t now, int err, uint32_t generation)
{
	enum role_act act = r->waits;

	if (act < ROLE_ACT_KERNEL_ACTIVE || act > ROLE_ACT_KERNEL_READY)
		return refuse(r, -EINVAL, "no kernel call is under way");
	r->now = now;
	r->waits = ROLE_ACT_NONE;
	if (generation)
		r->generation = generation;
	if (err) {
		kernel_refused(r, act);
		return 0;
	}
	switch (act) {
	case ROLE_ACT_KERNEL_ACTIVE:
		r->lease_until = r->pending.lease_until;
		apply(r, ROLE_EV_FLIPPED);
		break;
	case ROLE_ACT_KERNEL_LEASE:
		r->lease_until = r->pending.lease_until;
		break;
	case ROLE_ACT_KERNEL_MUTE:
		r->lease_until = 0;
		break;
	default:
		break;
	}
	return 0;
}

int role_addresses_answer(struct role *r, uint64_t now, int err)
{
	if (r->waits != ROLE_ACT_ADDRESSES_TAKE)
		return refuse(r, -EINVAL, "no address move is under way");
	r->now = now;
	r->waits = ROLE_ACT_NONE;
	if (!err)
		return 0;
	forget_queue(r);
	apply(r, ROLE_EV_TAKEOVER_FAILED);
	return 0;
}

void role_fill_heartbeat(struct role *r, uint64_t now, struct nsr_heartbeat *hb)
{
	bool reign = is_reign(r);

	/* A claim counts from when it is on the wire. */
	if (r->state == ROLE_CLAIM && !r->claim_at)
		r->claim_at = now;
	*hb = (struct nsr_heartbeat){
		.schema_major = ROLE_SCHEMA_MAJOR,
		.schema_minor = ROLE_SCHEMA_MINOR,
		.group = r->cfg.group,
		.node = r->cfg.node,
		.instance = r->instance,
		.boots = r->boots,
		.seq = ++r->seq,
		.state = r->state,
		.in_step = reign && r->link && r->in_step && !r->gates_open,
		.warm = r->state == ROLE_CLAIM && !r->cold,
		.gates_open = reign && r->gates_open,
		.reason = r->reason,
		.priority = r->cfg.priority,
		.term = r->term,
		.data_term = r->data_term,
		.epoch = reign || r->state == ROLE_READY ? r->epoch :
			 r->state == ROLE_INIT || r->state == ROLE_SYNC ? r->denied :
			 ROLE_EPOCH_NONE,
		.ts = now,
		.echo = r->peer.ts,
		.echo_instance = r->peer.ts ? r->peer.instance : 0,
	};
	if (r->state == ROLE_HELD)
		hb->offer = r->offer;
}

/* ---- start ---- */

int role_start(struct role *r, uint64_t now, const struct term_record *disk,
	       const struct role_kernel *k, uint64_t instance)
{
	static const struct term_record nothing;
	enum role_event ev = ROLE_EV_START_EMPTY;
	bool outbid;

	if (!disk)
		disk = &nothing;
	r->now = r->last_turn = r->silent_since = r->peer.ts_at = now;
	r->state = ROLE_INIT;
	r->instance = instance;
	r->record = *disk;
	r->term = disk->term;
	r->boots = disk->boots + 1;
	r->was_active = disk->was_active;
	r->alone_ok = disk->was_active && disk->peer_unable;
	r->generation = k->generation;
	if (nsr_term_cmp(k->term, r->term) > 0)
		r->term = k->term;
	/* What the kernel knows outlives us as the disk does; the START rows write it all the same. */
	r->record.term = r->term;
	if (k->active) {
		outbid = r->term.owner != r->cfg.node;
		r->has_data = r->held = true;
		r->lease_until = k->lease_until;
		r->ready_until = k->ready_until;
		r->epoch = k->epoch;
		r->gates_open = k->gates_open;	/* rule nsrd-death-opens-nothing */
		if (k->gates_open)
			r->unable = r->cfg.alone || k->lease_until > now + r->cfg.silent_lease ?
				    ROLE_UNABLE_SAID : ROLE_UNABLE_SILENT;
		r->data_term = k->term;
		ev = ROLE_EV_START_MUTE;
		if (!outbid && (now < k->lease_until || !role_rule(r, ROLE_RULE_RESTART)))
			ev = ROLE_EV_START_ACTIVE;
		if (ev == ROLE_EV_START_ACTIVE && role_rule(r, ROLE_RULE_LISTEN))
			r->listen_until = now + r->cfg.interval;
	}
	apply(r, ev);
	return 0;
}

/* ---- time ---- */

static bool lapsed(const struct role *r)
{
	return role_rule(r, ROLE_RULE_LEASE) && is_reign(r) && r->now >= r->lease_until;
}

static bool invalid(const struct role *r)
{
	return (r->state == ROLE_READY || r->state == ROLE_HELD ||
		(r->state == ROLE_CLAIM && !r->cold)) && !role_valid(r, r->now);
}

/* Rule lease-before-gates-open: a standby that is silent may still take over as ready until then. */
static bool peer_old(const struct role *r)
{
	uint64_t bound = role_rule(r, ROLE_RULE_GATE) ? r->cfg.ready_lease + r->cfg.ready_margin :
							r->cfg.interval;

	return is_reign(r) && !r->gates_open && r->now - r->peer.ts_at >= bound;
}

static bool silent(const struct role *r)
{
	return r->cfg.alone || r->now - r->silent_since >= r->cfg.claim_after;
}

/* E3. The old active last decided to renew before it could hear our claim; that lease is over, and one
 * interval is for an nsrd that was restarted meanwhile and listens before it renews. */
static bool silence_proves(const struct role *r)
{
	uint64_t on_wire = r->cfg.lease;

	if (r->cfg.authority != ROLE_AUTH_NONE && !r->ordered)
		return false;
	if (r->cold && !r->cold_alone && !r->ordered)
		return false;
	if (role_rule(r, ROLE_RULE_LISTEN))
		on_wire += r->cfg.interval;
	if (role_rule(r, ROLE_RULE_ANNOUNCE) && (!r->claim_at || r->now - r->claim_at < on_wire))
		return false;
	return !role_rule(r, ROLE_RULE_SILW) || silent(r);
}

static bool evidence_due(const struct role *r)
{
	if (r->state != ROLE_CLAIM || r->evidence || r->disk_owed)
		return false;
	return r->cfg.alone || r->fenced || silence_proves(r) ||
	       (r->ordered && r->cfg.authority == ROLE_AUTH_EXTERNAL);
}

/* Rule drain-before-flip: what the old active sent last has arrived or died. */
static bool drained(const struct role *r)
{
	return r->state == ROLE_CLAIM && r->evidence && r->now >= r->evidence_at + r->cfg.drain;
}

static bool fence_due(const struct role *r)
{
	return r->state == ROLE_CLAIM && r->cfg.authority == ROLE_AUTH_FENCE && !r->cold &&
	       role_valid(r, r->now) && silent(r) && !r->fencing && !r->fenced &&
	       r->now >= r->fence_at;
}

static bool preempt_due(const struct role *r)
{
	return r->state == ROLE_ACTIVE && r->cfg.preempt && role_protected(r) &&
	       r->peer.last.priority > r->cfg.priority &&
	       r->now - r->peer.ready_since >= r->cfg.preempt_delay;
}

/* The end of a snapshot that was refused (disk, kernel) is tried again. */
static bool end_due(const struct role *r)
{
	return is_reign(r) && r->peer_ask && r->sent && r->link;
}

/* Own pause: what we did not hear was not said to a listening box, and our claim was not on the wire. */
static void note_pause(struct role *r)
{
	if (!role_rule(r, ROLE_RULE_GAP) || r->now - r->last_turn <= r->cfg.gap)
		return;
	r->silent_since = r->now;
	r->claim_at = 0;
	r->evidence = false;
}

int role_turn(struct role *r, uint64_t now)
{
	static const struct {
		enum role_event ev;
		bool (*due)(const struct role *r);
	} due[] = {
		{ ROLE_EV_LAPSE, lapsed },
		{ ROLE_EV_INVALID, invalid },
		{ ROLE_EV_PEER_OLD, peer_old },
		{ ROLE_EV_SILENCE, silent },
		{ ROLE_EV_EVIDENCE, evidence_due },
		{ ROLE_EV_DRAINED, drained },
		{ ROLE_EV_FENCE_DUE, fence_due },
		{ ROLE_EV_SENT, end_due },
		{ ROLE_EV_PREEMPT, preempt_due },
	};
	unsigned int i;

	if (r->stalled_until && now >= r->stalled_until) {
		r->now = now;
		r->stalled_until = 0;
		if (now >= r->lease_until) {	/* it could not be muted, and is mute by itself */
			r->lease_until = 0;
			if (++r->qhead == r->qlen)
				r->qhead = r->qlen = 0;
		}
		return 0;
	}
	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	note_pause(r);
	r->last_turn = now;
	if (now < r->listen_until)
		return 0;
	for (i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		enum role_state from = r->state;

		if (!due[i].due(r))
			continue;
		apply(r, due[i].ev);
		if (r->state != from || role_queued_waits(r))
			return 0;	/* such a row has said what there is to say */
	}
	apply(r, ROLE_EV_TURN);
	return 0;
}

uint64_t role_wakeup(const struct role *r)
{
	if (role_busy(r) || r->state != ROLE_CLAIM || !r->evidence)
		return 0;
	return r->evidence_at + r->cfg.drain;
}

int role_wake(struct role *r, uint64_t now)
{
	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	if (drained(r) && now - r->last_turn <= r->cfg.gap)
		apply(r, ROLE_EV_DRAINED);
	return 0;
}

/* ---- the other box ---- */

static int check_heartbeat(struct role *r, const struct nsr_heartbeat *hb)
{
	if (hb->group != r->cfg.group)
		return refuse(r, -EINVAL, "heartbeat for group %u, this is %u", hb->group, r->cfg.group);
	if (hb->schema_major != ROLE_SCHEMA_MAJOR)
		return refuse(r, -EINVAL, "heartbeat of schema %u.%u, this nsrd speaks %u.%u: upgrade "
			      "the older box", hb->schema_major, hb->schema_minor,
			      ROLE_SCHEMA_MAJOR, ROLE_SCHEMA_MINOR);
	if (hb->node == r->cfg.node)
		return refuse(r, -EINVAL, "the peer has our node id %u: give each box its own", hb->node);
	if (!hb->node || (r->cfg.peer_node && hb->node != r->cfg.peer_node))
		return refuse(r, -EINVAL, "heartbeat of node %u, the configured peer is %u", hb->node,
			      r->cfg.peer_node);
	if (hb->state >= ROLE_STATES || !hb->seq || !hb->instance || hb->in_step > 1 || hb->warm > 1 ||
	    hb->term.number > TERM_NUMBER_MAX)
		return refuse(r, -EINVAL, "malformed heartbeat of node %u (state %u)", hb->node, hb->state);
	if (r->cfg.alone)
		return refuse(r, -EINVAL, "heartbeat of node %u, and no peer is configured", hb->node);
	return 0;
}

/* Another instance than the one we know: a new start, or a late word of a former one? The count of
 * starts tells; a box that lost its disk counts anew, and is believed once the other is silent. */
static bool is_former(const struct role *r, const struct nsr_heartbeat *hb)
{
	const struct role_peer *p = &r->peer;

	return hb->boots <= p->boots && r->now - p->heard_at < r->cfg.ready_lease + r->cfg.ready_margin;
}

/* false: a late or second copy */
static bool note_peer(struct role *r, const struct nsr_heartbeat *hb)
{
	struct role_peer *p = &r->peer;
	bool ready;

	if (p->heard && hb->instance == p->instance && hb->seq <= p->seq)
		return false;
	if (p->heard && hb->instance != p->instance && is_former(r, hb))
		return false;
	if (!p->heard || hb->instance != p->instance) {
		p->instance = hb->instance;
		p->boots = hb->boots;
		p->ts = 0;
		p->ready_since = 0;
		r->in_step = false;	/* it lost what it had */
	}
	p->heard = true;
	p->node = hb->node;
	p->seq = hb->seq;
	if (hb->ts > p->ts) {
		p->ts = hb->ts;
		p->ts_at = r->now;
	}
	p->heard_at = r->silent_since = r->now;
	p->last = *hb;
	ready = hb->state == ROLE_READY && !nsr_term_cmp(hb->term, r->term) && hb->epoch == r->epoch;
	if (!ready)
		p->ready_since = 0;
	else if (!p->ready_since)
		p->ready_since = r->now;
	return true;
}

/* The newest own timestamp that it has, if it is of this start of ours and not from the future. */
static uint64_t valid_echo(struct role *r, const struct nsr_heartbeat *hb)
{
	uint64_t echo = hb->echo;

	if (!role_rule(r, ROLE_RULE_ECHO))
		return r->echoed = r->now;
	if (!echo || echo > r->now || hb->echo_instance != r->instance)
		return 0;
	if (echo > r->echoed)
		r->echoed = echo;
	return echo;
}

int role_heartbeat(struct role *r, uint64_t now, const struct nsr_heartbeat *hb)
{
	static const enum role_event events[ROLE_STATES] = {
		[ROLE_INIT] = ROLE_EV_HB_EMPTY,
		[ROLE_SYNC] = ROLE_EV_HB_EMPTY,
		[ROLE_READY] = ROLE_EV_HB_READY,
		[ROLE_CLAIM] = ROLE_EV_HB_CLAIM,
		[ROLE_ACTIVE] = ROLE_EV_HB_ACTIVE,
		[ROLE_LEAVE] = ROLE_EV_HB_ACTIVE,
		[ROLE_HELD] = ROLE_EV_HB_HELD,
	};
	struct role_in in = { .hb = hb };
	int err, cmp;

	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	err = check_heartbeat(r, hb);
	if (err)
		return err;
	if (!note_peer(r, hb))
		return 0;
	in.ev = events[hb->state];
	in.echo = valid_echo(r, hb);
	in.tie = r->cfg.priority != hb->priority ? (r->cfg.priority > hb->priority ? 1 : -1) :
		 r->cfg.node < hb->node ? 1 : -1;
	cmp = nsr_term_cmp(r->term, hb->term);
	in.term_tie = cmp ? cmp : in.tie;
	if (is_reign(r) && !r->gates_open && in.echo && in.echo + r->cfg.ready_lease > r->ready_until)
		r->ready_until = in.echo + r->cfg.ready_lease;
	/* The control for the rule yield: a claim that looks stale is not heeded. */
	if (!role_rule(r, ROLE_RULE_YIELD) && is_reign(r) && in.ev == ROLE_EV_HB_CLAIM &&
	    (!in.echo || now - in.echo >= r->cfg.ready_lease))
		return 0;
	role_apply(r, &in);
	return 0;
}

/* ---- link, snapshot ---- */

int role_link(struct role *r, uint64_t now, bool up)
{
	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	if (r->link == up)
		return 0;
	r->link = up;
	apply(r, up ? ROLE_EV_LINK_UP : ROLE_EV_LINK_DOWN);
	return 0;
}

static int snapshot_event(struct role *r, uint64_t now, struct role_in *in)
{
	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	if (!r->link)
		return refuse(r, -EAGAIN, "the sync link is down");
	if (!role_apply(r, in))
		return refuse(r, -EAGAIN, "%s: not in state %s", role_event_name(in->ev),
			      role_state_name(r->state));
	return 0;
}

int role_snapshot_asked(struct role *r, uint64_t now, uint32_t ask)
{
	struct role_in in = { .ev = ROLE_EV_ASKED, .ask = ask };

	return ask ? snapshot_event(r, now, &in) : refuse(r, -EINVAL, "snapshot asked with number 0");
}

int role_snapshot_sent(struct role *r, uint64_t now, uint32_t ask)
{
	struct role_in in = { .ev = ROLE_EV_SENT, .ask = ask };

	if (role_busy(r))
		return -EBUSY;
	if (!ask || ask != r->peer_ask)
		return refuse(r, -EAGAIN, "snapshot %u is not the one asked for last", ask);
	r->sent = true;
	return snapshot_event(r, now, &in);
}

int role_snapshot_end(struct role *r, uint64_t now, struct nsr_term term, uint32_t epoch, uint32_t ask)
{
	struct role_in in = { .ev = ROLE_EV_END, .term = term, .epoch = epoch, .ask = ask };

	return snapshot_event(r, now, &in);
}

int role_data_lost(struct role *r, uint64_t now, enum role_reason why)
{
	struct role_in in = { .ev = ROLE_EV_DATA_LOST, .why = why };

	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	role_apply(r, &in);
	return 0;
}

/* ---- kernel, operator, cluster manager ---- */

int role_kernel_event(struct role *r, uint64_t now, const struct role_kernel *k)
{
	struct role_in in = { .ev = ROLE_EV_KERNEL_CHANGED, .k = k };

	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	role_apply(r, &in);
	if ((int32_t)(k->generation - r->generation) > 0)
		r->generation = k->generation;
	return 0;
}

static int order(struct role *r, uint64_t now, enum role_event ev)
{
	if (role_busy(r))
		return -EBUSY;
	r->now = now;
	if (!apply(r, ev))
		return refuse(r, -EAGAIN, "%s: not in state %s", role_event_name(ev),
			      role_state_name(r->state));
	return 0;
}

int role_switchover(struct role *r, uint64_t now)
{
	int err = order(r, now, ROLE_EV_SWITCHOVER);

	if (err != -EAGAIN)
		return err;
	if (r->state != ROLE_ACTIVE)
		return refuse(r, err, "switchover: this box is %s, not the active; ask on the active box",
			      role_state_name(r->state));
	if (!r->peer.heard)
		return refuse(r, err, "switchover: the peer has not been heard; is nsrd running there?");
	if (!r->link)
		return refuse(r, err, "switchover: the sync link to node %u is down", r->peer.node);
	return refuse(r, err, "switchover: node %u is %s and not ready to take over; wait until it is "
		      "READY", r->peer.node, role_state_name(r->peer.last.state));
}

int role_left(struct role *r, uint64_t now)
{
	return order(r, now, ROLE_EV_LEFT);
}

int role_leave_timeout(struct role *r, uint64_t now)
{
	return order(r, now, ROLE_EV_LEAVE_TIMEOUT);
}

int role_app_died(struct role *r, uint64_t now)
{
	return order(r, now, ROLE_EV_APP_DIED);
}

int role_fence_result(struct role *r, uint64_t now, bool ok)
{
	return order(r, now, ok ? ROLE_EV_FENCE_OK : ROLE_EV_FENCE_FAILED);
}

int role_order(struct role *r, uint64_t now, bool promote)
{
	if (r->cfg.authority != ROLE_AUTH_EXTERNAL)
		return refuse(r, -EINVAL, "group %u does not have authority external: use switchover",
			      r->cfg.group);
	return order(r, now, promote ? ROLE_EV_PROMOTE : ROLE_EV_DEMOTE);
}

int role_force(struct role *r, uint64_t now)
{
	int err = order(r, now, ROLE_EV_FORCE);

	if (err != -EAGAIN)
		return err;
	if (is_reign(r))
		return refuse(r, err, "this box is active already");
	return refuse(r, err, "this box is %s and has data: it becomes active by itself when nobody else is; to move "
		      "the connections here, nsrctl switchover on the active box", role_state_name(r->state));
}

int role_clear(struct role *r, uint64_t now)
{
	return order(r, now, ROLE_EV_CLEAR);
}

int role_stop(struct role *r, uint64_t now)
{
	int err = order(r, now, ROLE_EV_STOP);

	return err == -EAGAIN ? 0 : err;
}

/* ---- names ---- */

const char *role_state_name(enum role_state s)
{
	static const char *const names[ROLE_STATES] = {
		"INIT", "SYNC", "READY", "CLAIM", "ACTIVE", "LEAVE", "HELD",
	};

	return (unsigned int)s < ROLE_STATES ? names[s] : "?";
}

const char *role_reason_name(enum role_reason w)
{
	static const char *const names[ROLE_WHYS] = {
		[ROLE_WHY_NONE] = "",
		[ROLE_WHY_BOOT] = "boot",
		[ROLE_WHY_RESTART] = "nsrd restarted",
		[ROLE_WHY_LAPSED] = "lease lapsed",
		[ROLE_WHY_HIGHER_TERM] = "higher term",
		[ROLE_WHY_OUT_OF_STEP] = "out of step",
		[ROLE_WHY_OVERRUN] = "events lost",
		[ROLE_WHY_LINK] = "sync link lost",
		[ROLE_WHY_READY_LAPSED] = "data no longer valid",
		[ROLE_WHY_SILENCE] = "peer silent",
		[ROLE_WHY_PEER_EMPTY] = "peer has no valid data",
		[ROLE_WHY_PEER_HELD] = "peer is mute",
		[ROLE_WHY_OFFERED] = "offered by the peer",
		[ROLE_WHY_SWITCHOVER] = "switchover",
		[ROLE_WHY_COLD] = "cold start",
		[ROLE_WHY_APP_DIED] = "application died",
		[ROLE_WHY_TAKEOVER_FAILED] = "takeover failed",
		[ROLE_WHY_DISK] = "disk refuses",
		[ROLE_WHY_DEMOTED] = "demoted",
		[ROLE_WHY_OPERATOR] = "ordered",
		[ROLE_WHY_STOPPING] = "nsrd stops",
		[ROLE_WHY_KERNEL] = "kernel refuses",
		[ROLE_WHY_ALONE] = "no peer configured",
		[ROLE_WHY_CALLED_OFF] = "switchover called off",
		[ROLE_WHY_LOST_TIE] = "peer takes over",
	};

	return (unsigned int)w < ROLE_WHYS && names[w] ? names[w] : "?";
}

const char *role_act_name(enum role_act a)
{
	static const char *const names[ROLE_ACTS] = {
		"none", "disk-write", "kernel-active", "kernel-lease", "kernel-mute", "kernel-ready",
		"addresses-take", "heartbeat", "snapshot-ask", "snapshot-send", "snapshot-end",
		"snapshot-stop", "addresses-release", "apps-active", "apps-leaving", "apps-called-off",
		"destroy", "drop-data", "fence", "alarm", "log",
	};

	return (unsigned int)a < ROLE_ACTS ? names[a] : "?";
}
