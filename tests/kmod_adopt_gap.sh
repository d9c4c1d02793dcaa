#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is missing at adoption: named to the byte, or reset, in each direction; what proves a gap, and
# what does not; broken promises.

. "$(dirname "$0")/lib/adopt.sh"

up() { groups_up "$@" && connect && talks a 1 && until_ok 20 all_acked && record; }

# Position of the far end's stream, and of ours, on box a now
a_now() { in_a $TOOL conns >$W/now && field "$1" $W/now; }

far_says() {
	ctl far send 0 "$1" >/dev/null
	until_ok 20 got a 1 "$1"
}

# ---- known at adoption ----

# The old active acknowledged 11 bytes that no transaction holds.
floor_below_ack() {
	up mode adopt gap report && far_says lost-lost-1 && record || return 1
	with rcv_vouched=$(($(field rcv_nxt $W/record) - 11)) snd_vouched=$(field write_seq $W/record)
	inject && monitor && a_dies && takeover && resumed || return 1
	on_b rcv_missing 11 && on_b snd_missing 0 && stat_is b gaps_reported 1 && stat_is b gap_bytes 11 &&
		event event=change rcv_missing=11 && talks b 0
}

floor_below_ack_reset() {
	up mode adopt gap reset && far_says lost-lost-1 && record || return 1
	with rcv_vouched=$(($(field rcv_nxt $W/record) - 11)) snd_vouched=$(field write_seq $W/record)
	inject && monitor && a_dies && takeover || return 1
	until_ok 20 event event=del cause=3 rcv_missing=11 && [ "$(ctl b recv 0)" = ECONNRESET ] &&
		until_ok 20 far_is_reset && stat_is b gaps_reset 1
}

far_is_reset() { [ "$(ctl far recv 0)" = ECONNRESET ]; }

# Control: what the transactions hold is no gap.
floor_at_ack() {
	up mode adopt gap reset && far_says kept-kept-1 && record || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
	inject && a_dies && takeover && resumed && on_b rcv_missing 0 && on_b snd_uncertain 0 &&
		stat_is b gaps_reset 0 && talks b 0
}

# An exact floor below what was acknowledged: a broken promise, whatever the policy.
broken() {
	up mode adopt gap report && far_says lost-lost-1 && record || return 1
	with rcv_vouched=$(($(field rcv_nxt $W/record) - 11)) flags=$(($(field flags $W/record) | 128))
	inject && monitor && a_dies && takeover || return 1
	until_ok 20 event event=del cause=4 && stat_is b broken 1 && until_ok 20 far_is_reset
}

# The state says 9 bytes more were sent than the far end has, and 9 less.
snd_gap() {
	local by=$1

	up mode adopt gap report && record || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(($(field write_seq $W/record) + by))
	inject && a_dies && takeover && resumed && on_b snd_missing $by && stat_is b gap_bytes 9 && talks b 0
}

snd_gap_more() { snd_gap 9; }
snd_gap_less() {
	up mode adopt gap report || return 1
	talks a 1 && record
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(($(field write_seq $W/record) - 3))
	inject && a_dies && takeover && resumed && on_b snd_missing -3 && talks b 0
}

# The far end holds a piece of the old active's output beyond a hole: no policy makes that right.
holes_reset() {
	up mode adopt gap report && inject && monitor || return 1
	in_a $NSR_B/tests/segment 10.9.0.1 5000 10.9.0.9 "$(field rport $W/record)" \
		seq "$(seq_snd $(($(field write_seq $W/record) + 20)))" \
		ack "$(seq_rcv "$(field rcv_nxt $W/record)")" len 50 \
		ts $(($(field tsval $W/record) + 2)) "$(field ts_recent $W/record)"
	a_dies && takeover || return 1
	until_ok 20 event event=del cause=3 snd_uncertain=1 && until_ok 20 far_is_reset
}

# ---- proven afterwards ----

# The cursors are older than what the old active acknowledged: nobody here knows of the gap. The far
# end retransmits what follows it, in back-off.
late_cursor() {
	unknown_to_b "$@" || return 1
	ctl far send 0 behind-the-gap >/dev/null
	takeover
}

unknown_to_b() {
	up "$@" || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
	far_says unknown-to-b && inject && monitor && a_dies
}

proven_report() {
	late_cursor mode adopt gap report && until_ok 20 on_b phase 2 || return 1
	until_ok 20 sends_in_provisional || return 1
	resumed 60 && on_b rcv_missing 12 && event event=change phase=3 rcv_missing=12 || return 1
	until_ok 20 got b 0 behind-the-gap && talks b 0 && stat_is b gaps_reported 1
}

# A provisional connection carries data like any other.
sends_in_provisional() {
	ctl b send 0 word >/dev/null
	until_ok 20 got far 0 word
}

proven_reset() {
	late_cursor mode adopt gap reset && until_ok 60 event event=del cause=3 rcv_missing=12 &&
		until_ok 20 far_is_reset && stat_is b gaps_reset 1
}

# Nothing is retransmitted that lies behind the gap: only the bound ends it, and says so.
bound() {
	unknown_to_b mode adopt gap report -- gap-bound $((4000 * SLOW)) && takeover || return 1
	until_ok 20 on_b phase 2 && resumed 60 || return 1
	on_b rcv_uncertain 12 && on_b rcv_missing 0 && event event=change rcv_uncertain=12
}

# What the far end still has is no gap: its retransmission arrives, and that is all.
in_flight() {
	up mode adopt gap reset || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
	inject && a_dies || return 1
	ctl far send 0 in-flight >/dev/null
	takeover && resumed 60 && until_ok 20 got b 0 in-flight && on_b rcv_missing 0 &&
		stat_is b gaps_reset 0 && talks b 0
}

# forge_at PAUSE...: after each pause three copies of the same segment, 5 bytes above the floor
forge_at() {
	local pause seq ack tsval

	seq=$(seq_rcv $(($(field rcv_nxt $W/record) + 5)))
	ack=$(seq_snd "$(field snd_una $W/record)")
	tsval=$(($(field ts_recent $W/record) + 600000))
	for pause; do
		sleep $pause
		forge seq $seq ack $ack len 4 count 3 ts $tsval "$(field tsval $W/record)"
	done
}

# The network's copies of a segment, and retransmissions that come quicker and quicker (a busy machine
# stretches equal pauses until they look like back-off): no back-off, no proof. Then the control: the
# same segment in back-off is one. The far end itself has nothing to retransmit: that would be a proof too.
no_back_off_no_proof() {
	local pause

	unknown_to_b mode adopt gap report -- gap-bound 600000 && takeover || return 1
	until_ok 20 on_b phase 2 || return 1
	forge_at 0 6.4 3.2 1.6 0.8 0.4
	if ! on_b phase 2 || ! on_b rcv_missing 0; then
		say "without back-off:"
		cat $W/conns.b
		return 1
	fi
	# What a pause takes besides grows less than the pause.
	for pause in 1 2 4 8 16 32; do
		forge_at $pause
		on_b phase 3 && break
	done
	on_b phase 3 && on_b rcv_missing 5
}

# ---- the plain method ----

# The far end's data gets lost on its way, its ACKs do not.
far_data_lost() {
	in_far nft add table inet lossy &&
	in_far nft add chain inet lossy out '{ type filter hook output priority 0; }' &&
	in_far nft add rule inet lossy out tcp dport 5000 meta length '>' 60 drop
}

far_data_heard() { in_far nft delete table inet lossy; }

# Control: the same gap, mode naive: nobody is told, and the bytes are gone.
naive_loses() {
	up mode naive || return 1
	inject && a_dies && far_data_lost || return 1
	ctl far send 0 first-in-flight >/dev/null
	takeover || return 1
	# What tells SND.NXT and no data: a window update, a keepalive, an ACK. Here: an ACK.
	forge seq "$(seq_rcv $(($(field rcv_nxt $W/record) + 15)))" \
		ack "$(seq_snd "$(field snd_una $W/record)")" \
		ts $(($(field ts_recent $W/record) + 1)) "$(field tsval $W/record)"
	resumed && on_b rcv_missing 0 && ! far_all_acked && far_data_heard || return 1
	until_ok 60 far_all_acked && [ "$(ctl b recv 0)" = EAGAIN ]
}

far_all_acked() { in_far ss -tnH 'dport = 5000' | awk '{ q = $3 } END { exit NR != 1 || q != 0 }'; }

grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
tests=(
	"acknowledged beyond the floor, report: named" floor_below_ack
	"acknowledged beyond the floor, reset: loud on both sides" floor_below_ack_reset
	"control: vouched for is no gap" floor_at_ack
	"exact floor, and yet a gap: broken promise" broken
	"far end lacks what the state says was sent" snd_gap_more
	"far end has what the state does not know" snd_gap_less
	"pieces beyond a hole at the far end: reset under report too" holes_reset
	"proven by back-off, report: skipped, named, goes on" proven_report
	"proven by back-off, reset" proven_reset
	"silence proves nothing: bound, uncertain" bound
	"in flight is no gap" in_flight
	"copies without back-off prove nothing" no_back_off_no_proof
	"control: naive loses bytes in silence" naive_loses
)
run_tests "${1:-}"
