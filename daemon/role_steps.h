/* SPDX-License-Identifier: GPL-2.0-only */
/* role_steps: what the rows of role_table.c are made of. Internal to these two files */
#ifndef NSRD_ROLE_STEPS_H
#define NSRD_ROLE_STEPS_H

#include "role_table.h"

bool role_is_reign(enum role_state s);
__attribute__((format(printf, 3, 4)))
void role_say(struct role *r, enum role_act act, const char *fmt, ...);
/* ORDER: disk first, ahead of everything that the transition (its actions start at mark) does. */
void role_disk_first(struct role *r, uint32_t mark);

extern const struct role_guard g_not_lower, g_newer, g_newer_warm, g_newer_cold, g_deaf_warm,
	g_wins_tie, g_alone, g_alone_ok, g_not_alarmed, g_completes, g_abandoned, g_end_fits,
	g_end_other, g_valid, g_claim_valid, g_wins_valid, g_offers_me, g_extends, g_stale,
	g_newer_i_cold, g_cold, g_cold_unheard, g_warm_invalid, g_let_it, g_outbid_cold,
	g_claim_higher, g_mute_at_mine, g_may_flip, g_denies, g_snapshot_mine, g_protected,
	g_yielding, g_lost_kernel, g_kernel_emits, g_disk_owed, g_fencing;

extern const struct role_step s_send, s_mute, s_release, s_hold, s_forget, s_deny, s_ask,
	s_again, s_complete, s_ready, s_extend, s_shrink, s_claim, s_claim_cold, s_order, s_accept,
	s_promoted, s_evidence_mute, s_evidence, s_no_evidence, s_flip, s_begin, s_resume_reign,
	s_renew, s_outbid, s_open_said, s_open_silent, s_answer_ask, s_close_gates, s_out_of_step,
	s_leave, s_call_off, s_offer, s_silence_anew, s_count_lapse, s_alarm_lapse, s_alarm_wait,
	s_alarm_disk, s_alarm_refused, s_disk_again, s_count_boot, s_fence, s_fenced, s_fence_later,
	s_end_order, s_unbar, s_stopping;

#endif /* NSRD_ROLE_STEPS_H */
