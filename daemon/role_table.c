// SPDX-License-Identifier: GPL-2.0-only
/* role_table: the rows of the role machine, and the one place where a role changes */
#include <string.h>
#include "role_steps.h"

#define B(s)		(1u << ROLE_##s)
#define EMPTY		(B(INIT) | B(SYNC))
#define REIGN		(B(ACTIVE) | B(LEAVE))
#define ANY		((1u << ROLE_STATES) - 1)

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
	return role_is_reign(r->state) && in->ev != ROLE_EV_HB_ACTIVE &&
	       !(in->ev == ROLE_EV_HB_CLAIM && in->hb->warm);
}

/* A higher term that is heard is ours to know from now on, whatever the row says; role_disk_first() puts it
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
	r->yielding = role_is_reign(r->state);
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
			role_say(r, ROLE_ACT_LOG, "%s -> %s: %s", role_state_name(in->from),
			    role_state_name(r->state), role_event_name(in->ev));
		for (i = 0; i < ROLE_STEPS_MAX && row->steps[i]; i++)
			row->steps[i]->fn(r, in);
		if (in->from == ROLE_CLAIM && r->state != ROLE_CLAIM)
			leave_claim(r);
	}
	role_disk_first(r, mark);
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
