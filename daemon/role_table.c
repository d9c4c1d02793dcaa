// SPDX-License-Identifier: GPL-2.0-only
/* role_table: guards, steps and rows of the role machine. See role_table.h and Documentation/roles.md */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "role_table.h"

#define B(s)		(1u << ROLE_##s)
#define EMPTY		(B(INIT) | B(SYNC))
#define REIGN		(B(ACTIVE) | B(LEAVE))
#define ANY		((1u << ROLE_STATES) - 1)

static bool is_reign(enum role_state s)
{
	return REIGN >> s & 1;
}

static struct role_action *push(struct role *r, enum role_act act)
{
	struct role_action *a = &r->queue[r->qlen];

	assert(r->qlen < ROLE_QUEUE_MAX);
	r->qlen++;
	memset(a, 0, sizeof(*a));
	a->act = act;
	a->reason = r->reason;
	return a;
}

__attribute__((format(printf, 3, 4)))
static void say(struct role *r, enum role_act act, const char *fmt, ...)
{
	struct role_action *a = push(r, act);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->text, sizeof(a->text), fmt, ap);
	va_end(ap);
}

/* ---- what the disk must say ---- */

static struct term_record record_now(const struct role *r)
{
	return (struct term_record){
		.term = r->term,
		.data_term = r->data_term,
		.boots = r->boots,
		.was_active = r->was_active,
		.peer_unable = r->gates_open ? r->unable == ROLE_UNABLE_SAID : r->alone_ok,
	};
}

/* A term, and the end of the right to start alone, must be on disk before anything follows from them.
 * The rest only costs availability if it is lost. */
static bool disk_is_behind(const struct role *r)
{
	struct term_record rec = record_now(r);

	return nsr_term_cmp(rec.term, r->record.term) ||
	       (r->record.was_active && r->record.peer_unable &&
		!(rec.was_active && rec.peer_unable));
}

static void push_disk(struct role *r, bool soft)
{
	struct role_action *a = push(r, ROLE_ACT_DISK_WRITE);

	a->record = record_now(r);
	a->soft = soft;
}

/* ORDER: disk first, ahead of everything that the transition (its actions start at mark) does. */
static void disk_first(struct role *r, uint32_t mark)
{
	struct role_action disk;
	uint32_t i;

	if (!disk_is_behind(r))
		return;
	for (i = mark; i < r->qlen; i++)
		if (r->queue[i].act == ROLE_ACT_DISK_WRITE && !r->queue[i].soft)
			return;
	push_disk(r, false);
	disk = r->queue[r->qlen - 1];
	memmove(&r->queue[mark + 1], &r->queue[mark], (r->qlen - 1 - mark) * sizeof(disk));
	r->queue[mark] = disk;
}

/* ---- guards ---- */

/* Notices and answers come over different sockets: a notice may be older than what we know. */
static bool newer_gen(const struct role *r, const struct role_kernel *k)
{
	return (int32_t)(k->generation - r->generation) > 0;
}

static bool lost_kernel(const struct role *r, const struct role_kernel *k)
{
	if (k->generation == r->generation)
		return !k->active || r->now >= k->lease_until;
	return newer_gen(r, k);
}

#define GUARD(name, words, expr)							\
	static bool name##_fn(const struct role *r, const struct role_in *in)		\
	{										\
		(void)r;								\
		(void)in;								\
		return expr;								\
	}										\
	static const struct role_guard name = { words, name##_fn }

static bool may_claim(const struct role *r)
{
	return r->cfg.authority != ROLE_AUTH_EXTERNAL && !r->barred && !r->stopping;
}

static bool warm(const struct role *r)
{
	return role_valid(r, r->now);
}

static int term_vs(const struct role *r, const struct role_in *in)
{
	return nsr_term_cmp(in->hb->term, r->term);
}

static bool offers_me(const struct role *r, const struct role_in *in)
{
	return in->hb->offer.number && !nsr_term_cmp(in->hb->offer, in->hb->term) &&
	       in->hb->offer.owner == r->cfg.node && term_vs(r, in) >= 0;
}

/* An END that can still be believed: the one asked for, of this reign, and not one that we have
 * already said not to be ready for (the active may have opened its gates on our word). */
static bool end_fits(const struct role *r, const struct role_in *in)
{
	return r->asked && in->ask == r->ask && !nsr_term_cmp(in->term, r->term) &&
	       in->epoch != ROLE_EPOCH_NONE && (r->denied == ROLE_EPOCH_NONE || in->epoch > r->denied);
}

static bool echo_fresh(const struct role *r, uint64_t echo)
{
	return echo && r->now < echo + r->cfg.ready_lease;
}

static bool same_epoch(const struct role *r, const struct role_in *in)
{
	return !role_rule(r, ROLE_RULE_EPOCH) || in->hb->epoch == r->epoch;
}

static bool older_epoch(const struct role *r, const struct role_in *in)
{
	return r->epoch != ROLE_EPOCH_NONE && in->hb->epoch != ROLE_EPOCH_NONE &&
	       in->hb->epoch < r->epoch;
}

/* A tie that was won is no right to start alone: a peer that did not answer knows nothing of this reign,
 * and its disk may give it that right. */
static bool cold_unheard(const struct role *r)
{
	return r->cold && !r->cold_alone && !r->ordered && !r->cfg.alone;
}

static bool completes(const struct role *r, const struct role_in *in)
{
	/* Only an echo in such a heartbeat says that the gates were closed when it was sent: the END by
	 * itself may be old, and the active have opened them since. */
	return r->complete && !term_vs(r, in) && in->hb->in_step && in->hb->epoch == r->epoch &&
	       echo_fresh(r, in->echo);
}

GUARD(g_not_lower, "its term is not lower than mine", term_vs(r, in) >= 0);
GUARD(g_newer, "its term is higher", in->newer);
GUARD(g_newer_warm, "its term is higher, and it is warm", in->newer && in->hb->warm);
GUARD(g_newer_cold, "its term is higher, and it is cold", in->newer && !in->hb->warm);
/* A claimer that cannot hear us will find silence and take over: better two who are mute than two who
 * emit. Terms do not help, it does not hear them. */
GUARD(g_deaf_warm, "it is warm, and has not heard me for claim-after",
      !in->newer && in->hb->warm && r->cfg.authority == ROLE_AUTH_NONE &&
      (!in->echo || r->now - in->echo >= r->cfg.claim_after));
GUARD(g_wins_tie, "I win the tie (term, priority, id)", may_claim(r) && in->term_tie > 0);
GUARD(g_alone, "there is no peer", r->cfg.alone && may_claim(r));
GUARD(g_alone_ok, "disk: I was active, and the peer could not take over",
      r->alone_ok && may_claim(r));
GUARD(g_not_alarmed, "not said yet", !r->alarmed);
GUARD(g_completes, "snapshot complete, in step, echo fresh", completes(r, in));
GUARD(g_abandoned, "snapshot complete, but the active has gone on without us",
      r->complete && !term_vs(r, in) && in->hb->epoch >= r->epoch && !in->hb->in_step);
GUARD(g_end_fits, "asked for, not refused before", end_fits(r, in));
GUARD(g_end_other, "of another ask", !r->asked || in->ask != r->ask);
GUARD(g_valid, "valid", warm(r));
GUARD(g_claim_valid, "valid", warm(r) && may_claim(r));
GUARD(g_wins_valid, "valid, and I win the tie (priority, id)",
      warm(r) && may_claim(r) && in->tie > 0);
GUARD(g_offers_me, "it offers my term, and my data are valid",
      warm(r) && r->cfg.authority != ROLE_AUTH_EXTERNAL && offers_me(r, in));
GUARD(g_extends, "in step, same epoch",
      !term_vs(r, in) && !in->newer && in->hb->in_step && same_epoch(r, in));
GUARD(g_stale, "lower term, or older epoch",
      term_vs(r, in) < 0 || (!in->newer && older_epoch(r, in)));
GUARD(g_newer_i_cold, "its term is higher, and I am cold", in->newer && r->cold);
GUARD(g_cold, "I am cold", r->cold);
GUARD(g_cold_unheard, "I am cold, and had no right to start alone", cold_unheard(r));
GUARD(g_warm_invalid, "I am warm, and no longer valid", !r->cold && !warm(r));
GUARD(g_let_it, "I am cold, and nobody ordered it", r->cold && !r->ordered);
GUARD(g_outbid_cold, "its term is higher, it is cold, I am warm",
      in->newer && !in->hb->warm && !r->cold && warm(r));
GUARD(g_claim_higher, "its term is higher; I am cold, or valid",
      in->newer && (r->cold || warm(r)) && r->cfg.authority != ROLE_AUTH_EXTERNAL);
GUARD(g_mute_at_mine, "E1: it is mute at exactly my term",
      !term_vs(r, in) && (r->cold || warm(r)) && r->cfg.authority != ROLE_AUTH_EXTERNAL &&
      in->echo && r->now < in->echo + r->cfg.lease);
GUARD(g_may_flip, "still valid or cold, and the lease that it grants runs",
      r->evidence && (r->cold || warm(r)) && !r->disk_owed &&
      (!r->evidence_lease || r->now < r->evidence_lease));
GUARD(g_denies, "it is not ready for my term and epoch",
      !term_vs(r, in) && !in->newer && same_epoch(r, in) && r->unable != ROLE_UNABLE_SAID);
/* Closing gates makes our own validity a lease again: only towards a peer that is there. */
GUARD(g_snapshot_mine, "it is the one asked for last, the peer is heard, my lease runs",
      r->link && r->peer_ask && in->ask == r->peer_ask && r->now < r->lease_until &&
      echo_fresh(r, r->echoed) && r->now - r->peer.ts_at < r->cfg.claim_after);
GUARD(g_protected, "peer ready and in step", role_protected(r) && r->now < r->lease_until);
GUARD(g_yielding, "while giving way to a higher term", in->yielding);
GUARD(g_lost_kernel, "the kernel is mute, lapsed, or of a newer generation", lost_kernel(r, in->k));
GUARD(g_kernel_emits, "the kernel is active without us", newer_gen(r, in->k) && in->k->active);
GUARD(g_disk_owed, "the disk does not have my term yet", r->disk_owed);
GUARD(g_fencing, "it was asked for", r->fencing);

/* ---- steps ---- */

#define STEP(name, words)								\
	static void name##_fn(struct role *r, const struct role_in *in);		\
	static const struct role_step name = { words, name##_fn };			\
	static void name##_fn(struct role *r, const struct role_in *in __attribute__((unused)))

STEP(s_send, "heartbeat")
{
	/* Silent while the disk refuses, unless it is written ahead of this: see disk_first(). */
	if (!r->disk_owed || disk_is_behind(r))
		push(r, ROLE_ACT_HEARTBEAT);
}

STEP(s_mute, "mute")
{
	push(r, ROLE_ACT_KERNEL_MUTE);
}

STEP(s_release, "release addresses")
{
	push(r, ROLE_ACT_ADDRESSES_RELEASE);
}

STEP(s_hold, "keep sockets, fenced")
{
	r->held = true;
	r->in_step = false;
	r->peer_ask = 0;
	push(r, ROLE_ACT_SNAPSHOT_STOP);
}

STEP(s_forget, "destroy sockets silently, drop data")
{
	if (r->gates_open)	/* what the disk may say: nobody else had anything */
		r->alone_ok = r->unable == ROLE_UNABLE_SAID;
	r->has_data = r->held = r->gates_open = r->in_step = r->complete = r->asked = false;
	r->unable = ROLE_UNABLE_NO;
	r->ready_until = 0;
	r->peer_ask = 0;
	r->data_term = (struct nsr_term){ 0 };
	push(r, ROLE_ACT_SNAPSHOT_STOP);
	push(r, ROLE_ACT_DESTROY);
	push(r, ROLE_ACT_DROP_DATA)->reason = r->reason;
}

/* Resigns: from now on no END of this epoch is believed. */
STEP(s_deny, "say not ready")
{
	if (in->from == ROLE_READY && r->epoch != ROLE_EPOCH_NONE &&
	    (r->denied == ROLE_EPOCH_NONE || r->epoch > r->denied))
		r->denied = r->epoch;
}

STEP(s_ask, "ask for the snapshot")
{
	r->alone_ok = false;	/* somebody else reigns */
	r->alarmed = false;
	if (r->asked || r->stopping)
		return;
	if (in->hb->epoch != ROLE_EPOCH_NONE &&
	    (r->denied == ROLE_EPOCH_NONE || in->hb->epoch > r->denied))
		r->denied = in->hb->epoch;
	if (!r->link)
		return;
	r->asked = true;
	r->complete = false;
	if (!++r->ask)
		r->ask = 1;
	push(r, ROLE_ACT_SNAPSHOT_ASK)->ask = r->ask;
}

STEP(s_again, "abandon the snapshot under way")
{
	r->asked = r->complete = false;
	push(r, ROLE_ACT_DROP_DATA)->reason = in->why ? in->why : r->reason;
}

STEP(s_complete, "snapshot complete")
{
	r->complete = true;
	r->epoch = in->epoch;
}

STEP(s_ready, "ready lease starts")
{
	r->asked = r->complete = false;
	r->has_data = true;
	r->data_term = r->term;
	r->ready_until = in->echo + r->cfg.ready_lease;
	say(r, ROLE_ACT_LOG, "ready: snapshot %u of term %llu/%u", r->epoch,
	    (unsigned long long)r->term.number, r->term.owner);
}

STEP(s_extend, "extend the ready lease from the echoed timestamp")
{
	if (in->echo && in->echo + r->cfg.ready_lease > r->ready_until)
		r->ready_until = in->echo + r->cfg.ready_lease;
}

STEP(s_shrink, "ready lease := what is left of it")
{
	uint64_t left = in->echo ? in->echo + r->cfg.ready_lease : r->now;

	if (!r->gates_open && left < r->ready_until)
		r->ready_until = left;
}

static void claim(struct role *r, bool cold, struct nsr_term term)
{
	r->term = term;
	r->cold = cold;
	r->cold_alone = cold && r->alone_ok;
	r->offer.number = 0;
	r->fenced = r->fencing = r->evidence = false;
	r->fence_at = r->claim_at = 0;
	r->asked = r->complete = false;
	r->denied = ROLE_EPOCH_NONE;
}

STEP(s_claim, "next term, mine")
{
	claim(r, in->from == ROLE_CLAIM && r->cold, nsr_term_next(r->term, r->cfg.node));
	say(r, ROLE_ACT_LOG, "%s claim, term %llu: %s", r->cold ? "cold" : "warm",
	    (unsigned long long)r->term.number, role_reason_name(r->reason));
}

STEP(s_claim_cold, "next term, mine; loudly: without data")
{
	claim(r, true, nsr_term_next(r->term, r->cfg.node));
	say(r, ROLE_ACT_ALARM, "claims group %u cold, term %llu: no connection is carried over (%s)",
	    r->cfg.group, (unsigned long long)r->term.number, role_reason_name(r->reason));
}

STEP(s_order, "by order")
{
	r->ordered = true;
}

STEP(s_accept, "the offered term, mine")
{
	claim(r, false, in->hb->term);
}

STEP(s_promoted, "next term, mine, by order")
{
	if (warm(r))
		s_claim_fn(r, in);
	else
		s_claim_cold_fn(r, in);
	r->ordered = true;
}

/* E1. The lease that we may take counts from our own timestamp that the mute peer has seen: from then on
 * it waits claim-after before it claims itself. */
STEP(s_evidence_mute, "evidence E1")
{
	uint64_t lease = in->echo ? in->echo + r->cfg.lease : r->now;

	if (!r->evidence)
		r->evidence_at = r->now;
	if (!r->evidence || lease > r->evidence_lease)
		r->evidence_lease = lease;
	r->evidence = true;
}

/* E3: what the old active could send, it sent before our claim was a lease old. E2, E5: until now. */
STEP(s_evidence, "evidence E2, E3 or E5")
{
	if (r->evidence)
		return;
	r->evidence = true;
	r->evidence_lease = 0;
	r->evidence_at = r->cfg.alone ? r->now - r->cfg.drain : r->now;
	if (!r->cfg.alone && !r->fenced && !r->ordered && r->claim_at && role_rule(r, ROLE_RULE_ANNOUNCE))
		r->evidence_at = r->claim_at + r->cfg.lease;
}

STEP(s_no_evidence, "wait for other evidence")
{
	r->evidence = false;
}

STEP(s_flip, "ROLE_SET")
{
	struct role_action *a = push(r, ROLE_ACT_KERNEL_ACTIVE);

	a->term = r->term;
	a->generation = r->generation;
	a->lease_until = r->evidence_lease ? r->evidence_lease : r->now + r->cfg.lease;
}

static void push_ready(struct role *r)
{
	struct role_action *a = push(r, ROLE_ACT_KERNEL_READY);

	a->ready_until = r->ready_until;
	a->gates_open = r->gates_open;
	a->epoch = r->epoch;
}

static void push_lease(struct role *r)
{
	struct role_action *a = push(r, ROLE_ACT_KERNEL_LEASE);

	a->generation = r->generation;
	a->lease_until = role_lease_end(r);
}

/* Why the gates are open when a reign begins with nobody who could end it. */
static enum role_unable unable_at_flip(const struct role *r)
{
	if (r->cfg.alone || r->fenced || (r->cold && r->evidence_lease))
		return ROLE_UNABLE_SAID;
	if (r->cold)
		return r->cold_alone ? ROLE_UNABLE_SAID : ROLE_UNABLE_SILENT;
	return r->gates_open ? r->unable : ROLE_UNABLE_NO;
}

STEP(s_begin, "take addresses, resume applications")
{
	struct role_action *a;

	r->unable = unable_at_flip(r);
	r->gates_open = r->unable != ROLE_UNABLE_NO;
	r->alone_ok = false;
	r->has_data = r->was_active = true;
	r->data_term = r->term;
	r->epoch = r->epoch == ROLE_EPOCH_NONE ? 1 : r->epoch + 1;
	r->denied = ROLE_EPOCH_NONE;
	r->in_step = false;
	r->peer_ask = 0;
	r->peer.ready_since = 0;
	push_ready(r);
	push(r, ROLE_ACT_ADDRESSES_TAKE);
	a = push(r, ROLE_ACT_APPS_ACTIVE);
	a->held = r->held;
	a->term = r->term;
	push(r, ROLE_ACT_HEARTBEAT);
	say(r, r->gates_open ? ROLE_ACT_ALARM : ROLE_ACT_LOG, "active%s, term %llu%s%s",
	    r->cold ? " (cold)" : "", (unsigned long long)r->term.number,
	    r->gates_open ? ": unprotected, no standby" : "", r->held ? ", own sockets again" : "");
	push_disk(r, true);
	r->held = r->alarmed = false;
}

STEP(s_resume_reign, "go on, after one interval of listening")
{
	struct role_action *a;

	r->has_data = r->was_active = true;
	r->data_term = r->term;
	push(r, ROLE_ACT_ADDRESSES_TAKE);
	a = push(r, ROLE_ACT_APPS_ACTIVE);
	a->held = true;
	a->term = r->term;
	say(r, ROLE_ACT_LOG, "nsrd is back while the kernel is active: term %llu goes on",
	    (unsigned long long)r->term.number);
}

STEP(s_renew, "renew the lease")
{
	push_lease(r);
	if (!r->gates_open)
		push_ready(r);
}

STEP(s_outbid, "outbid: next term, mine")
{
	struct nsr_term t = nsr_term_cmp(in->hb->term, r->term) > 0 ? in->hb->term : r->term;

	r->term = nsr_term_next(t, r->cfg.node);
	r->data_term = r->term;
	say(r, ROLE_ACT_LOG, "outbids term %llu/%u of %s peer: term %llu",
	    (unsigned long long)in->hb->term.number, in->hb->term.owner,
	    in->ev == ROLE_EV_HB_CLAIM ? "a cold" : "a mute", (unsigned long long)r->term.number);
}

/* Availability first: the disk may fail here, the lease becomes a long one before anything can block. */
static void open_gates(struct role *r, enum role_unable why)
{
	bool were_open = r->gates_open;

	r->gates_open = true;
	r->unable = why;
	r->in_step = false;
	r->peer.ready_since = 0;
	push_lease(r);
	push_ready(r);
	if (!were_open)
		say(r, ROLE_ACT_ALARM, "unprotected: the standby %s",
		    why == ROLE_UNABLE_SAID ? "says that it is not ready" : "is silent");
	push_disk(r, true);
}

STEP(s_open_said, "open gates: unprotected")
{
	open_gates(r, ROLE_UNABLE_SAID);
}

STEP(s_open_silent, "open gates: unprotected")
{
	open_gates(r, ROLE_UNABLE_SILENT);
}

STEP(s_answer_ask, "send the snapshot")
{
	r->in_step = false;
	r->peer_ask = in->ask;
	r->sent = false;
	r->peer.ready_since = 0;
	push(r, ROLE_ACT_SNAPSHOT_SEND)->ask = in->ask;
}

/* ORDER: what ends (the right to start alone, the long lease, open gates) ends before the END is sent:
 * from the END on the peer may take over. All of it is taken back if one part is refused. */
STEP(s_close_gates, "close gates, epoch + 1, send the snapshot's end: protected")
{
	struct role_action *a;

	r->undo = true;
	r->gates_open = false;
	r->unable = ROLE_UNABLE_NO;
	r->alone_ok = false;
	r->epoch++;
	r->in_step = true;
	r->ready_until = r->echoed ? r->echoed + r->cfg.ready_lease : 0;
	push_lease(r);
	push_ready(r);
	a = push(r, ROLE_ACT_SNAPSHOT_END);
	a->term = r->term;
	a->epoch = r->epoch;
	a->ask = r->peer_ask;
	r->peer_ask = 0;
	r->sent = false;
	push(r, ROLE_ACT_HEARTBEAT);
	say(r, ROLE_ACT_LOG, "snapshot %u sent: protected once the standby says ready", r->epoch);
}

STEP(s_out_of_step, "no longer in step")
{
	r->in_step = false;
	r->peer_ask = 0;
	r->peer.ready_since = 0;
	push(r, ROLE_ACT_SNAPSHOT_STOP);
}

STEP(s_leave, "applications get LEAVING")
{
	push(r, ROLE_ACT_APPS_LEAVING);
	say(r, ROLE_ACT_LOG, "switchover to node %u: applications are leaving", r->peer.node);
}

STEP(s_call_off, "call the switchover off")
{
	if (r->peer.ready_since)	/* pre-emption waits its whole delay again */
		r->peer.ready_since = r->now;
	push(r, ROLE_ACT_APPS_CALLED_OFF);
	say(r, ROLE_ACT_ALARM, "switchover called off");
}

/* The disk first here too: muted and then unable to write we could offer nothing. Should nsrd die in
 * between, the disk's term is the peer's, and a restarted nsrd mutes. */
STEP(s_offer, "offer the peer's term")
{
	r->term = nsr_term_next(r->term, r->peer.node);
	r->offer = r->term;
	r->was_active = false;
	r->silent_since = r->now;
	r->denied = ROLE_EPOCH_NONE;
}

STEP(s_silence_anew, "silence counts anew")
{
	r->silent_since = r->now;
}

STEP(s_count_lapse, "count the lapse")
{
	uint32_t keep = r->cfg.lapse_max, i, n = 0;

	if (!keep || r->cfg.alone)
		return;
	for (i = 0; i < r->nlapses; i++)
		if (r->now - r->lapses[i] < r->cfg.lapse_window)
			r->lapses[n++] = r->lapses[i];
	r->nlapses = n;
	if (r->nlapses < ROLE_LAPSES_MAX)
		r->lapses[r->nlapses++] = r->now;
	if (r->nlapses < keep || r->barred)
		return;
	r->barred = true;
	say(r, ROLE_ACT_ALARM, "%u lapses in %llu s: no more claims until cleared by the operator",
	    r->nlapses, (unsigned long long)(r->cfg.lapse_window / 1000000000ull));
}

STEP(s_alarm_lapse, "alarm")
{
	say(r, ROLE_ACT_ALARM, "mute: %s", role_reason_name(r->reason));
}

STEP(s_alarm_wait, "alarm: waits for an active, or for the operator")
{
	r->alarmed = true;
	say(r, ROLE_ACT_ALARM, "nobody is active, and this box has no valid data: waits for the peer "
	    "or for the operator's order to start without");
}

STEP(s_alarm_disk, "alarm: the disk refuses")
{
	if (!r->disk_alarmed)
		say(r, ROLE_ACT_ALARM, "cannot write the term to disk: this box takes on no new role");
	r->disk_alarmed = true;
}

STEP(s_alarm_refused, "alarm: the kernel refuses")
{
	if (r->alarmed)
		return;
	r->alarmed = true;
	say(r, ROLE_ACT_ALARM, "the kernel refuses role or lease (generation %u)", r->generation);
}

STEP(s_disk_again, "try the disk again")
{
	push_disk(r, false);
}

STEP(s_count_boot, "count the start on disk")
{
	push_disk(r, true);
}

STEP(s_fence, "fence the peer")
{
	r->fencing = true;
	push(r, ROLE_ACT_FENCE);
}

STEP(s_fenced, "evidence E2")
{
	r->fencing = false;
	r->fenced = true;
}

STEP(s_fence_later, "back off, alarm")
{
	r->fencing = false;
	r->fence_at = r->now + r->cfg.fence_backoff;
	say(r, ROLE_ACT_ALARM, "fencing the peer failed; again in %llu ms",
	    (unsigned long long)(r->cfg.fence_backoff / 1000000u));
}

STEP(s_end_order, "the order ends")
{
	r->ordered = false;
}

STEP(s_unbar, "claims are allowed again")
{
	r->barred = false;
	r->nlapses = 0;
}

STEP(s_stopping, "resign")
{
	r->stopping = true;
}

/* ---- the table ---- */

#define ROW(s, e, w, n, y, ...)								\
	{ (s), ROLE_EV_##e, (w), ROLE_##n, ROLE_WHY_##y, { __VA_ARGS__ } }

#define LAPSED		&s_mute, &s_release, &s_hold, &s_silence_anew, &s_count_lapse, &s_alarm_lapse, \
			&s_send

const struct role_row role_rows[] = {
	/* start of nsrd */
	ROW(B(INIT), START_ACTIVE, NULL, ACTIVE, RESTART, &s_count_boot, &s_resume_reign),
	ROW(B(INIT), START_MUTE, &g_valid, HELD, RESTART,
	    &s_mute, &s_release, &s_hold, &s_count_boot, &s_send),
	ROW(B(INIT), START_MUTE, NULL, INIT, RESTART,
	    &s_mute, &s_release, &s_forget, &s_count_boot, &s_send),
	ROW(B(INIT), START_EMPTY, NULL, INIT, BOOT,
	    &s_mute, &s_release, &s_forget, &s_count_boot, &s_send),

	/* INIT, SYNC: nothing to take over with */
	ROW(B(SYNC), HB_ACTIVE, &g_completes, READY, NONE, &s_ready, &s_send),
	ROW(B(SYNC), HB_ACTIVE, &g_abandoned, SYNC, OUT_OF_STEP, &s_again, &s_ask),
	ROW(EMPTY, HB_ACTIVE, &g_not_lower, SYNC, NONE, &s_ask),
	ROW(EMPTY, HB_EMPTY, &g_wins_tie, CLAIM, COLD, &s_claim_cold, &s_send),
	ROW(EMPTY, HB_CLAIM, &g_newer, SAME, NONE, &s_send),
	ROW(EMPTY, SILENCE, &g_alone, CLAIM, ALONE, &s_claim_cold, &s_send),
	ROW(EMPTY, SILENCE, &g_alone_ok, CLAIM, COLD, &s_claim_cold, &s_send),
	ROW(EMPTY, SILENCE, &g_not_alarmed, SAME, NONE, &s_alarm_wait),
	ROW(EMPTY, FORCE, NULL, CLAIM, OPERATOR, &s_claim_cold, &s_order, &s_send),
	ROW(B(SYNC), END, &g_end_fits, SAME, NONE, &s_complete),
	ROW(B(SYNC), END, &g_end_other, SAME, NONE, NULL),
	ROW(B(SYNC), END, NULL, SAME, OUT_OF_STEP, &s_again),
	ROW(B(SYNC), DATA_LOST, NULL, SAME, OVERRUN, &s_again),
	ROW(B(SYNC), LINK_DOWN, NULL, SAME, LINK, &s_again),
	ROW(EMPTY, STOP, NULL, INIT, STOPPING, &s_stopping, &s_again, &s_send),

	/* READY: a standby that may take over */
	ROW(B(READY), HB_ACTIVE, &g_stale, SAME, NONE, NULL),
	ROW(B(READY), HB_ACTIVE, &g_extends, SAME, NONE, &s_extend),
	ROW(B(READY), HB_ACTIVE, NULL, SYNC, OUT_OF_STEP, &s_deny, &s_forget, &s_ask, &s_send),
	ROW(B(READY), INVALID, NULL, SYNC, READY_LAPSED, &s_deny, &s_forget, &s_send),
	ROW(B(READY), DATA_LOST, NULL, SYNC, OVERRUN, &s_deny, &s_forget, &s_send),
	ROW(B(READY), SILENCE, &g_claim_valid, CLAIM, SILENCE, &s_claim, &s_send),
	ROW(B(READY), HB_EMPTY, &g_claim_valid, CLAIM, PEER_EMPTY, &s_claim, &s_send),
	ROW(B(READY), HB_HELD, &g_offers_me, CLAIM, OFFERED, &s_accept, &s_evidence_mute, &s_send),
	ROW(B(READY), HB_HELD, &g_claim_valid, CLAIM, PEER_HELD, &s_claim, &s_send),
	ROW(B(READY), HB_READY, &g_wins_valid, CLAIM, PEER_EMPTY, &s_claim, &s_send),
	ROW(B(READY), HB_CLAIM, &g_newer, SAME, NONE, &s_send),
	ROW(B(READY), STOP, NULL, INIT, STOPPING, &s_stopping, &s_deny, &s_forget, &s_send),

	/* CLAIM: wants to be active */
	ROW(B(CLAIM), HB_ACTIVE, &g_not_lower, SYNC, HIGHER_TERM, &s_forget, &s_ask, &s_send),
	ROW(B(CLAIM), HB_CLAIM, &g_outbid_cold, CLAIM, PEER_EMPTY, &s_claim, &s_send),
	ROW(B(CLAIM), HB_CLAIM, &g_newer_i_cold, SYNC, LOST_TIE, &s_forget, &s_send),
	ROW(B(CLAIM), HB_CLAIM, &g_newer, HELD, LOST_TIE, &s_send),
	ROW(B(CLAIM), HB_READY, &g_let_it, SYNC, LOST_TIE, &s_forget, &s_send),
	ROW(B(CLAIM), HB_HELD, &g_let_it, SYNC, LOST_TIE, &s_forget, &s_send),
	ROW(B(CLAIM), HB_EMPTY, &g_claim_higher, CLAIM, NONE, &s_claim, &s_send),
	ROW(B(CLAIM), HB_READY, &g_claim_higher, CLAIM, NONE, &s_claim, &s_send),
	ROW(B(CLAIM), HB_HELD, &g_claim_higher, CLAIM, NONE, &s_claim, &s_send),
	ROW(B(CLAIM), HB_EMPTY, &g_mute_at_mine, SAME, NONE, &s_evidence_mute),
	ROW(B(CLAIM), HB_READY, &g_mute_at_mine, SAME, NONE, &s_evidence_mute),
	ROW(B(CLAIM), HB_HELD, &g_mute_at_mine, SAME, NONE, &s_evidence_mute),
	ROW(B(CLAIM), INVALID, &g_warm_invalid, SYNC, READY_LAPSED, &s_forget, &s_send),
	ROW(B(CLAIM), SILENCE, &g_cold_unheard, SYNC, SILENCE, &s_forget, &s_alarm_wait, &s_send),
	ROW(B(CLAIM), EVIDENCE, NULL, SAME, NONE, &s_evidence),
	ROW(B(CLAIM), DRAINED, &g_may_flip, SAME, NONE, &s_flip),
	ROW(B(CLAIM), DRAINED, NULL, SAME, NONE, &s_no_evidence),
	ROW(B(CLAIM), FLIPPED, NULL, ACTIVE, NONE, &s_begin),
	ROW(B(CLAIM), FLIP_REFUSED, NULL, SAME, KERNEL, &s_no_evidence, &s_alarm_refused),
	ROW(B(CLAIM), DATA_LOST, NULL, SYNC, OVERRUN, &s_forget, &s_send),
	ROW(B(CLAIM), FENCE_DUE, NULL, SAME, NONE, &s_fence),
	ROW(B(CLAIM), FENCE_OK, &g_fencing, SAME, NONE, &s_fenced),
	ROW(B(CLAIM), FENCE_FAILED, &g_fencing, SAME, NONE, &s_fence_later),

	/* ACTIVE, LEAVE: a reign */
	ROW(REIGN, LAPSE, NULL, HELD, LAPSED, LAPSED),
	ROW(REIGN, RENEW_REFUSED, NULL, HELD, KERNEL, LAPSED),
	ROW(REIGN, TAKEOVER_FAILED, NULL, HELD, TAKEOVER_FAILED, LAPSED),
	ROW(REIGN, KERNEL_CHANGED, &g_lost_kernel, HELD, KERNEL, LAPSED),
	ROW(REIGN, HB_ACTIVE, &g_newer, SYNC, HIGHER_TERM,
	    &s_mute, &s_release, &s_forget, &s_ask, &s_send),
	ROW(REIGN, HB_CLAIM, &g_newer_warm, HELD, HIGHER_TERM,
	    &s_mute, &s_release, &s_hold, &s_send),
	ROW(REIGN, HB_CLAIM, &g_deaf_warm, HELD, HIGHER_TERM,
	    &s_mute, &s_release, &s_hold, &s_send),
	ROW(REIGN, HB_CLAIM, &g_newer_cold, SAME, NONE, &s_outbid, &s_send),
	ROW(REIGN, HB_EMPTY, &g_newer, SAME, NONE, &s_outbid, &s_send),
	ROW(REIGN, HB_READY, &g_newer, SAME, NONE, &s_outbid, &s_send),
	ROW(REIGN, HB_HELD, &g_newer, SAME, NONE, &s_outbid, &s_send),
	ROW(B(ACTIVE), HB_EMPTY, &g_denies, SAME, NONE, &s_open_said),
	ROW(B(LEAVE), HB_EMPTY, &g_denies, ACTIVE, CALLED_OFF, &s_call_off, &s_open_said),
	ROW(B(ACTIVE), PEER_OLD, NULL, SAME, NONE, &s_open_silent, &s_send),
	ROW(B(LEAVE), PEER_OLD, NULL, ACTIVE, CALLED_OFF, &s_call_off, &s_open_silent, &s_send),
	ROW(REIGN, TURN, NULL, SAME, NONE, &s_renew, &s_send),
	ROW(B(ACTIVE), ASKED, NULL, SAME, NONE, &s_answer_ask),
	ROW(B(LEAVE), ASKED, NULL, ACTIVE, CALLED_OFF, &s_call_off, &s_answer_ask),
	ROW(B(ACTIVE), SENT, &g_snapshot_mine, SAME, NONE, &s_close_gates),
	ROW(B(ACTIVE), LINK_DOWN, NULL, SAME, NONE, &s_out_of_step),
	ROW(B(LEAVE), LINK_DOWN, NULL, ACTIVE, CALLED_OFF, &s_out_of_step, &s_call_off),
	ROW(B(ACTIVE), DATA_LOST, NULL, SAME, NONE, &s_out_of_step, &s_send),
	ROW(B(LEAVE), DATA_LOST, NULL, ACTIVE, CALLED_OFF, &s_out_of_step, &s_call_off, &s_send),
	ROW(REIGN, APP_DIED, NULL, SYNC, APP_DIED, &s_mute, &s_release, &s_forget, &s_send),
	ROW(REIGN, GATES_REFUSED, NULL, SAME, NONE, &s_alarm_refused),
	ROW(REIGN, DISK_FAILED, &g_yielding, HELD, DISK, &s_mute, &s_release, &s_hold, &s_alarm_disk),
	ROW(B(LEAVE), DISK_FAILED, NULL, ACTIVE, CALLED_OFF, &s_alarm_disk, &s_call_off),
	ROW(B(ACTIVE), SWITCHOVER, &g_protected, LEAVE, SWITCHOVER, &s_leave),
	ROW(B(ACTIVE), PREEMPT, &g_protected, LEAVE, SWITCHOVER, &s_leave),
	ROW(B(LEAVE), LEFT, &g_protected, HELD, SWITCHOVER,
	    &s_offer, &s_mute, &s_release, &s_hold, &s_send),
	ROW(B(LEAVE), LEFT, NULL, ACTIVE, CALLED_OFF, &s_call_off),
	ROW(B(LEAVE), LEAVE_TIMEOUT, NULL, ACTIVE, CALLED_OFF, &s_call_off),

	/* HELD: was active, is mute */
	ROW(B(HELD), HB_ACTIVE, &g_not_lower, SYNC, HIGHER_TERM, &s_forget, &s_ask, &s_send),
	ROW(B(HELD), HB_CLAIM, &g_newer, SAME, NONE, &s_shrink, &s_send),
	ROW(B(HELD), HB_EMPTY, &g_claim_valid, CLAIM, PEER_EMPTY, &s_claim, &s_send),
	ROW(B(HELD), HB_HELD, &g_wins_valid, CLAIM, PEER_HELD, &s_claim, &s_send),
	ROW(B(HELD), INVALID, NULL, SYNC, READY_LAPSED, &s_forget, &s_send),
	ROW(B(HELD), SILENCE, &g_claim_valid, CLAIM, SILENCE, &s_claim, &s_send),
	ROW(B(HELD), APP_DIED, NULL, SYNC, APP_DIED, &s_forget, &s_send),

	/* the cluster manager, the operator, the rest */
	ROW(EMPTY | B(READY) | B(HELD), PROMOTE, NULL, CLAIM, OPERATOR, &s_promoted, &s_send),
	ROW(B(CLAIM) | REIGN, PROMOTE, NULL, SAME, NONE, &s_order),
	ROW(REIGN, DEMOTE, NULL, HELD, DEMOTED,
	    &s_end_order, &s_mute, &s_release, &s_hold, &s_silence_anew, &s_send),
	ROW(B(CLAIM), DEMOTE, &g_cold, SYNC, DEMOTED, &s_end_order, &s_mute, &s_forget, &s_send),
	ROW(B(CLAIM), DEMOTE, NULL, HELD, DEMOTED, &s_end_order, &s_mute, &s_send),
	ROW(ANY, DEMOTE, NULL, SAME, NONE, &s_end_order, &s_mute),
	ROW(ANY & ~REIGN, KERNEL_CHANGED, &g_kernel_emits, SAME, NONE, &s_mute),
	ROW(ANY, CLEAR, NULL, SAME, NONE, &s_unbar),
	ROW(ANY, DISK_FAILED, NULL, SAME, NONE, &s_alarm_disk),
	ROW(ANY & ~REIGN, TURN, &g_disk_owed, SAME, NONE, &s_disk_again),
	ROW(ANY & ~REIGN, TURN, NULL, SAME, NONE, &s_send),
};
const unsigned int role_nrows = sizeof(role_rows) / sizeof(role_rows[0]);

const struct role_row *role_find(const struct role *r, const struct role_in *in)
{
	unsigned int i;

	for (i = 0; i < role_nrows; i++) {
		const struct role_row *row = &role_rows[i];

		if (row->ev == in->ev && (row->states >> r->state & 1) &&
		    (!row->when || row->when->fn(r, in)))
			return row;
	}
	return NULL;
}

/* An active outbids a peer that is mute or comes without data; it does not adopt its term. */
static bool is_outbid(const struct role *r, const struct role_in *in)
{
	return is_reign(r->state) && in->ev != ROLE_EV_HB_ACTIVE &&
	       !(in->ev == ROLE_EV_HB_CLAIM && in->hb->warm);
}

/* A higher term that is heard is ours to know from now on, whatever the row says; disk_first() puts it
 * on disk ahead of anything that is done about it. */
static void adopt_term(struct role *r, const struct role_in *in)
{
	r->term = in->hb->term;
	r->offer.number = 0;
	r->denied = ROLE_EPOCH_NONE;
	r->asked = r->complete = false;
	if (r->state == ROLE_READY)
		r->epoch = ROLE_EPOCH_NONE;
	if (r->term.owner != r->cfg.node) {
		r->was_active = false;
		r->alone_ok = false;
	}
	r->adopting = true;
	r->yielding = is_reign(r->state);
}

static void leave_claim(struct role *r)
{
	r->cold = r->evidence = r->fenced = r->fencing = false;
	r->claim_at = 0;
	if (r->cfg.authority != ROLE_AUTH_EXTERNAL)
		r->ordered = false;
}

bool role_apply(struct role *r, struct role_in *in)
{
	struct role *before = r->before;
	const struct role_row *row;
	uint32_t mark = r->qlen;
	int i;

	*before = *r;
	r->undo = r->adopting = r->yielding = false;
	in->from = r->state;
	in->newer = in->hb && nsr_term_cmp(in->hb->term, r->term) > 0;
	if (in->newer && !is_outbid(r, in))
		adopt_term(r, in);
	row = role_find(r, in);
	if (row) {
		if (row->next != ROLE_SAME)
			r->state = row->next;
		if (row->why != ROLE_WHY_NONE)
			r->reason = in->why ? in->why : row->why;
		if (r->state != in->from)
			say(r, ROLE_ACT_LOG, "%s -> %s: %s", role_state_name(in->from),
			    role_state_name(r->state), role_event_name(in->ev));
		for (i = 0; i < ROLE_STEPS_MAX && row->steps[i]; i++)
			row->steps[i]->fn(r, in);
		if (in->from == ROLE_CLAIM && r->state != ROLE_CLAIM)
			leave_claim(r);
	}
	disk_first(r, mark);
	return row;
}

void role_undo(struct role *r)
{
	uint64_t lease_until = r->lease_until;
	uint32_t generation = r->generation;
	struct term_record record = r->record;
	struct role *before = r->before;
	uint64_t now = r->now;

	*r = *before;
	r->before = before;
	/* what the kernel and the disk have answered meanwhile stays true */
	r->lease_until = lease_until;
	r->generation = generation;
	r->record = record;
	r->now = now;
	r->qlen = r->qhead = 0;
	r->waits = ROLE_ACT_NONE;
}

const char *role_event_name(enum role_event ev)
{
	static const char *const names[ROLE_EVENTS] = {
		[ROLE_EV_START_ACTIVE] = "nsrd starts: kernel active, lease valid",
		[ROLE_EV_START_MUTE] = "nsrd starts: kernel active, lapsed or outbid",
		[ROLE_EV_START_EMPTY] = "boot, or nsrd starts: kernel standby",
		[ROLE_EV_LAPSE] = "lease lapsed",
		[ROLE_EV_INVALID] = "no longer valid",
		[ROLE_EV_PEER_OLD] = "its timestamp is older than the ready lease",
		[ROLE_EV_SILENCE] = "silence for claim-after",
		[ROLE_EV_EVIDENCE] = "evidence E2, E3 or E5",
		[ROLE_EV_DRAINED] = "evidence, and drained",
		[ROLE_EV_FENCE_DUE] = "silence, valid, authority fence",
		[ROLE_EV_PREEMPT] = "ready peer of higher priority",
		[ROLE_EV_TURN] = "each turn",
		[ROLE_EV_HB_EMPTY] = "heartbeat INIT/SYNC",
		[ROLE_EV_HB_READY] = "heartbeat READY",
		[ROLE_EV_HB_CLAIM] = "heartbeat CLAIM",
		[ROLE_EV_HB_ACTIVE] = "heartbeat ACTIVE/LEAVE",
		[ROLE_EV_HB_HELD] = "heartbeat HELD",
		[ROLE_EV_LINK_UP] = "sync link up",
		[ROLE_EV_LINK_DOWN] = "sync link down",
		[ROLE_EV_ASKED] = "peer asks for the snapshot",
		[ROLE_EV_SENT] = "last record of the snapshot sent",
		[ROLE_EV_END] = "snapshot's end",
		[ROLE_EV_DATA_LOST] = "data lost",
		[ROLE_EV_FLIPPED] = "kernel accepts role and lease",
		[ROLE_EV_FLIP_REFUSED] = "kernel refuses role and lease",
		[ROLE_EV_RENEW_REFUSED] = "kernel refuses the renewal",
		[ROLE_EV_GATES_REFUSED] = "kernel refuses to close the gates",
		[ROLE_EV_TAKEOVER_FAILED] = "MAC or addresses cannot be taken",
		[ROLE_EV_DISK_FAILED] = "disk write fails",
		[ROLE_EV_KERNEL_CHANGED] = "kernel's role changed",
		[ROLE_EV_FENCE_OK] = "fence succeeded",
		[ROLE_EV_FENCE_FAILED] = "fence failed or timed out",
		[ROLE_EV_SWITCHOVER] = "switchover",
		[ROLE_EV_LEFT] = "all applications have answered",
		[ROLE_EV_LEAVE_TIMEOUT] = "applications' time is up",
		[ROLE_EV_APP_DIED] = "application died",
		[ROLE_EV_PROMOTE] = "cluster manager promotes",
		[ROLE_EV_DEMOTE] = "cluster manager demotes",
		[ROLE_EV_FORCE] = "operator orders a cold start",
		[ROLE_EV_CLEAR] = "operator lifts the bar",
		[ROLE_EV_STOP] = "nsrd stops in good order",
	};

	return ev < ROLE_EVENTS && names[ev] ? names[ev] : "?";
}
