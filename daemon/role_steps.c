// SPDX-License-Identifier: GPL-2.0-only
/* role_steps: guards and steps of the role machine: what rows ask, and what they do */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "role_steps.h"

bool role_is_reign(enum role_state s)
{
	return s == ROLE_ACTIVE || s == ROLE_LEAVE;
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

void role_say(struct role *r, enum role_act act, const char *fmt, ...)
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
void role_disk_first(struct role *r, uint32_t mark)
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
	const struct role_guard name = { words, name##_fn }

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
	const struct role_step name = { words, name##_fn };				\
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

/* Rule reborn-drops-store: others may have gone past what it has. */
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
	role_say(r, ROLE_ACT_LOG, "ready: snapshot %u of term %llu/%u", r->epoch,
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
	role_say(r, ROLE_ACT_LOG, "%s claim, term %llu: %s", r->cold ? "cold" : "warm",
	    (unsigned long long)r->term.number, role_reason_name(r->reason));
}

STEP(s_claim_cold, "next term, mine; loudly: without data")
{
	claim(r, true, nsr_term_next(r->term, r->cfg.node));
	role_say(r, ROLE_ACT_ALARM, "claims group %u cold, term %llu: no connection is carried over (%s)",
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
	role_say(r, r->gates_open ? ROLE_ACT_ALARM : ROLE_ACT_LOG, "active%s, term %llu%s%s",
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
	role_say(r, ROLE_ACT_LOG, "nsrd is back while the kernel is active: term %llu goes on",
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
	role_say(r, ROLE_ACT_LOG, "outbids term %llu/%u of %s peer: term %llu",
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
		role_say(r, ROLE_ACT_ALARM, "unprotected: the standby %s",
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
	role_say(r, ROLE_ACT_LOG, "snapshot %u sent: protected once the standby says ready", r->epoch);
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
	role_say(r, ROLE_ACT_LOG, "switchover to node %u: applications are leaving", r->peer.node);
}

STEP(s_call_off, "call the switchover off")
{
	if (r->peer.ready_since)	/* pre-emption waits its whole delay again */
		r->peer.ready_since = r->now;
	push(r, ROLE_ACT_APPS_CALLED_OFF);
	role_say(r, ROLE_ACT_ALARM, "switchover called off");
}

/* Rule offer-is-final: no way back but a claim of a higher term, with evidence.
 * The disk first here too: muted and then unable to write we could offer nothing. Should nsrd die in
 * between, the disk's term is the peer's, and a restarted nsrd mutes.
 */
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
	role_say(r, ROLE_ACT_ALARM, "%u lapses in %llu s: no more claims until cleared by the operator",
	    r->nlapses, (unsigned long long)(r->cfg.lapse_window / 1000000000ull));
}

STEP(s_alarm_lapse, "alarm")
{
	role_say(r, ROLE_ACT_ALARM, "mute: %s", role_reason_name(r->reason));
}

STEP(s_alarm_wait, "alarm: waits for an active, or for the operator")
{
	r->alarmed = true;
	role_say(r, ROLE_ACT_ALARM, "nobody is active, and this box has no valid data: waits for the peer "
	    "or for the operator's order to start without");
}

STEP(s_alarm_disk, "alarm: the disk refuses")
{
	if (!r->disk_alarmed)
		role_say(r, ROLE_ACT_ALARM, "cannot write the term to disk: this box takes on no new role");
	r->disk_alarmed = true;
}

STEP(s_alarm_refused, "alarm: the kernel refuses")
{
	if (r->alarmed)
		return;
	r->alarmed = true;
	role_say(r, ROLE_ACT_ALARM, "the kernel refuses role or lease (generation %u)", r->generation);
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
	role_say(r, ROLE_ACT_ALARM, "fencing the peer failed; again in %llu ms",
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
