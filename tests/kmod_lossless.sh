#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Takeovers in mode lossless: what the standby vouches for is where receiving goes on; sending goes on
# wherever the far end says, and what is too low heals. Controls at the end, by a module with rules off.

. "$(dirname "$0")/lib/gate.sh"

: "${KILLS:=2}"

# take_over [INJECT-WORDS]: the record as it is; the new active has no standby, its gates are open
take_over() {
	inject "$@" && monitor && a_dies && in_b $TOOL ready 1 gates 1 && takeover
}

provisional() { until_ok 30 on_b phase 2; }
b_says() { ctl b send 0 "$1" >/dev/null; }
far_gets() { until_ok 20 got far 0 "$1" || { say "the far end did not get $1"; return 1; }; }

# b_hears N TEXT
b_hears() { until_ok 30 got b 0 "$1" || { say "box b did not get $1"; return 1; }; }

nothing_lost() {
	stat_is b broken 0 && stat_is b gaps_reset 0 && stat_is b gaps_reported 0 && stat_is b uncertain 0
}

# ---- receiving ----

# What was received and not vouched for was not acknowledged: it comes again.
received_again() {
	up && far_says 10 && gate 10 && until_ok 10 far_has_acks && far_says 7 && record || return 1
	[ "$(field rcv_wup $W/record)/$(field rcv_nxt $W/record)" = 10/17 ] || { cat $W/record; return 1; }
	with rcv_vouched=10 snd_vouched=0 && take_over && resumed && b_hears 0000007 && nothing_lost && talks b 0
}

# Without any transaction: from the start.
never_vouched() {
	up && far_says 10 && record && take_over && resumed && b_hears 0000000007 && nothing_lost && talks b 0
}

# The gate of the new active begins where it took over, also while the connection is provisional.
gate_goes_on() {
	up && far_says 10 && gate 10 && until_ok 10 far_has_acks && record && with rcv_vouched=10 snd_vouched=5 ||
		return 1
	inject && a_dies && takeover && provisional && on_b gate 10 && on_b gate_open 0 && capture c tcp || return 1
	ctl far send 0 more >/dev/null
	b_hears more && b_says hello && far_gets hello && resumed || return 1
	until_ok 10 told_is c 10 && on_b rcv_wup 10 && on_b rcv_nxt 14 || return 1
	in_b $TOOL conn-set id="$(field id $W/record)" gate=14 && until_ok 10 told_is c 14 && edges_grow c
}

# Nor do questions pass it: an old copy of what is in flight brings RCV.NXT beyond the gate, and is no
# proof, so a provisional connection asks. (With timestamps PAWS drops the copy.)
questions_keep_to_the_gate() {
	in_far sysctl -qw net.ipv4.tcp_timestamps=0 && up && far_says 10 && gate 10 &&
		until_ok 10 far_has_acks && record || return 1
	with rcv_vouched=10 snd_vouched=0
	inject && a_dies && in_b nft -f - <<-END || return 1
		table ip deaf {
			chain in {
				type filter hook prerouting priority -400;
				tcp dport 5000 tcp flags & psh == psh drop
			}
		}
	END
	ctl far send 0 more >/dev/null
	takeover && provisional && capture c tcp || return 1
	forge seq "$(seq_rcv 10)" ack "$(seq_snd 0)" len 4
	resumed && on_b rcv_nxt 14 && until_ok 10 asked c && told_is c 10
}

# asked NAME: one byte of old data
asked() { segments "$1" | grep -q ' 1 [^ ]* 0$'; }

# ---- sending ----

# Nothing lost, nothing repeated: the journal from the far end's position on. It may take its time; the
# group is settled without it.
journal_goes_on() {
	groups_up mode lossless -- settle 3000 && for_b_too settle 3000 && connect && box_says hello && record &&
		with rcv_vouched=0 snd_vouched=11 && take_over && provisional || return 1
	[ "$(field snd_una $W/conns.b)" = 5 ] && until_ok 20 settled && on_b phase 2 || return 1
	b_says journl && far_gets journl && resumed && stat_is b healed 0 && nothing_lost && talks b 0
}

for_b_too() { in_b $TOOL group-set 1 dev eth0 mac $MAC addr 10.9.0.1 addr fd00::1 "$@"; }
settled() { in_b $TOOL group 1 | grep -q settled=1; }

# The far end lacks one segment and holds what comes after it: more than a first window.
leave_a_hole() {
	FIRST=$(head -c 1448 /dev/zero | tr '\0' a)
	LATER=$(head -c 30000 /dev/zero | tr '\0' b)
	ip -n a-$NS link set eth0 gso_max_segs 1
	up && box_says hello && in_far nft -f - <<-END || return 1
		table inet hole {
			chain in {
				type filter hook prerouting priority -400;
				tcp sport 5000 tcp sequence $(seq_snd 5) counter drop
			}
		}
	END
	ctl a send 1 $FIRST$LATER >/dev/null
	until_ok 20 far_has_later || { in_a ss -tniH 'sport = 5000'; return 1; }
	record && with rcv_vouched="$(field rcv_nxt $W/record)" snd_vouched=31453
}

# All of it is sent, and all but the first segment is there.
far_has_later() {
	in_a ss -tniH 'sport = 5000' | awk '
		/notsent:/ { exit 1 }
		{ match($0, /unacked:[0-9]+/); u = substr($0, RSTART + 8, RLENGTH - 8)
		  match($0, /sacked:[0-9]+/); s = substr($0, RSTART + 7, RLENGTH - 7) }
		END { exit !(s && s + 1 == u) }'
}

over_the_hole() {
	take_over && in_far nft delete table inet hole && provisional
}

heals() {
	leave_a_hole && over_the_hole && b_says $FIRST && far_gets $FIRST$LATER || return 1
	until_ok 20 stat_is b healed 1 && b_says $LATER && resumed && nothing_lost && stat_is b healed 1 &&
		talks b 0
}

# A FIN that comes meanwhile waits: the application reads it when all is healed.
fin_waits_for_healing() {
	leave_a_hole && over_the_hole && ctl far shutdown 0 >/dev/null && eof_after_healing
}

eof_after_healing() {
	sleep 1
	[ "$(ctl b recv 0)" = EAGAIN ] || return 1
	b_says $FIRST && far_gets $FIRST$LATER && b_says $LATER && resumed || return 1
	b_hears EOF && until_ok 20 on_b state 8 && b_says bye && far_gets bye && nothing_lost && stat_is b healed 1
}

# So does one that the old active had.
fin_before_healing() {
	leave_a_hole && ctl far shutdown 0 >/dev/null && until_ok 10 got a 1 EOF || return 1
	record && with rcv_vouched=1 snd_vouched=31453 && gate 1 || return 1
	over_the_hole && eof_after_healing
}

# ---- promises ----

broken() { until_ok 60 event event=del cause=4 && stat_is b broken 1; }

# The old active had acknowledged more than is vouched for; it had sent more than the journal has.
broken_receiving() {
	up && far_says 10 && gate 10 && record && with rcv_vouched=5 snd_vouched=0 rcv_wup=10 && take_over && broken
}

broken_sending() {
	up && box_says hello && record && with rcv_vouched=0 snd_vouched=3 && take_over && broken
}

# The cursors say nothing of it: proven by what the far end sends again.
broken_proven() {
	up && far_says 10 && gate 10 && until_ok 10 far_has_acks && record || return 1
	with rcv_vouched=5 snd_vouched=0 rcv_wup=5 rcv_nxt=5 copied_seq=5 && inject && monitor && a_dies || return 1
	ctl far send 0 more >/dev/null
	takeover && broken
}

# Without the promise: the rules of mode adopt, which name the gap.
unprotected() {
	up lossless gap report && far_says 10 && gate 10 && record || return 1
	with rcv_vouched=5 snd_vouched=0 rcv_wup=10 flags=$(($(field flags $W/record) | 512)) && take_over || return 1
	resumed && on_b rcv_missing 5 && stat_is b gaps_reported 1 && stat_is b broken 0 || return 1
	[ $(($(field flags $W/conns.b) & 512)) = 0 ] && talks b 0
}

# ---- MD5 ----

md5_up() {
	md5 && in_far sysctl -qw net.ipv4.tcp_sack="$1" && up && far_says 10 && gate 10 && box_says hello && record &&
		with rcv_vouched=10 snd_vouched=5
}

md5_adopted() {
	md5_up "$1" && take_over md5 10.9.0.9 $MD5 && resumed && stat_is b "$2" 1 && nothing_lost || return 1
	talks b 0 && bulk b 0 100000 && md5_failures far 0 && md5_failures b 0
}

# ---- streams ----

# Both directions over a path with delay and loss; box a dies at a random moment. Each byte at its place.
die_in_midstream() {
	local at=$((BYTES / 20 + RANDOM * (BYTES / 3) / 32768)) pids vouched from

	up && netem delay 10ms loss 1% && head -c $BYTES /dev/urandom >$W/src && head -c $BYTES /dev/urandom >$W/src2 ||
		return 1
	ctl far pull 0 $W/far.dst >/dev/null
	pids=$(ctl a pull 1 $W/a.dst; ctl a push 1 $W/src2 0 keep)
	follow $W/a.dst lag 3
	pids="$! ${pids//pid=/}"
	ctl far push 0 $W/src 0 >/dev/null
	until_ok 60 larger $W/a.dst $at && until_ok 60 larger $W/far.dst 50000 && record || return 1
	a_dies
	# shellcheck disable=SC2086
	kill -9 $A_PID $pids 2>/dev/null
	vouched=$(awk '{ p = $2 } END { print p + 0 }' $W/gates)
	with rcv_vouched=$vouched snd_vouched=$BYTES && take_over && until_ok 60 adopted || return 1
	from=$(field write_seq $W/conns.b)
	say "read $(size $W/a.dst), vouched $vouched, told $(field rcv_wup $W/record); far end has $from"
	ctl b pull 0 $W/b.dst >/dev/null
	ctl b push 0 $W/src2 "$from" keep >/dev/null
	until_ok 200 test -e $W/b.dst.end && until_ok 200 same_size $W/far.dst $BYTES || return 1
	head -c "$vouched" $W/a.dst | cat - $W/b.dst | cmp - $W/src && cmp $W/src2 $W/far.dst || return 1
	say "healed $(stat_of b healed)"
	nothing_lost && resumed
}

larger() { [ "$(size "$1")" -gt "$2" ]; }
adopted() { on_b phase 2 || on_b phase 3; }

# ---- controls ----

wedges_without_healing() {
	off HEAL && leave_a_hole && take_over && in_far nft delete table inet hole && resumed || return 1
	b_says $FIRST && far_gets $FIRST$LATER && b_says $LATER && b_says word || return 1
	sleep 6
	stat_is b healed 0 && [ "$(ctl far recv 0)" = EAGAIN ] && ctl b info 0 | grep -v ' unacked=0 '
}

unsigned_probes() {
	off PROBE_SIGN && md5_up 1 && take_over md5 10.9.0.9 $MD5 || return 1
	until_ok 20 probed_often && on_b phase 1 && ! md5_failures far 0
}

probed_often() { [ "$(stat_of b probes)" -ge 4 ]; }

tests=(
	"what was not acknowledged comes again" received_again
	"without a transaction all of it" never_vouched
	"the gate goes on after the takeover" gate_goes_on
	"questions of a provisional connection keep to it" questions_keep_to_the_gate
	"the journal goes on, however late" journal_goes_on
	"a send position that is too low heals" heals
	"a FIN waits until it is healed" fin_waits_for_healing
	"so does one from before" fin_before_healing
	"a promise broken: receiving" broken_receiving
	"... sending" broken_sending
	"... proven by the far end" broken_proven
	"unprotected: as in mode adopt" unprotected
	"MD5 with D-SACK" "md5_adopted 1 adopted_dsack"
	"MD5 without SACK: Linux has no timestamps there either" "md5_adopted 0 adopted_age"
)
for ((k = 1; k <= KILLS; k++)); do
	tests+=("streams, death number $k" die_in_midstream)
done
controls=(
	"control: without healing it wedges" wedges_without_healing
	"control: probes without a signature" unsigned_probes
)
run_with_controls "${1:-}"
