#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Takeovers in mid-stream over a path with delay: at the end each byte of the stream has been at its
# place, or is named as missing. KILLS takeovers in each direction at points drawn from NSR_SEED.

. "$(dirname "$0")/lib/adopt.sh"

: "${KILLS:=4}"
: "${BYTES:=4194304}"

delay() {
	in_far tc qdisc add dev eth0 root netem delay 25ms limit 10000 &&
	in_sw tc qdisc add dev pfar root netem delay 25ms limit 10000
}

size() { stat -c %s "$1" 2>/dev/null || echo 0; }
larger() { [ "$(size "$1")" -gt "$2" ]; }

src_up() {
	head -c $BYTES /dev/urandom >$W/src
	delay && groups_up "$@" && connect
}

pump() { ctl "$1" "$2" "$3" "$W/$4" 0 | sed -n 's/pid=//p'; }

unacked_at() {
	in_$1 ss -tniH "$2 = 5000" | grep -o ' unacked:[0-9]*'
}

# The far end streams; box a consumes, and dies at a random point. What its last transaction held is
# older than what it read and acknowledged.
receive_and_die() {
	local pid at=$((BYTES / 20 + RANDOM * (BYTES / 2) / 32768))

	src_up "$@" || return 1
	pid=$(pump a pull 1 a.dst)
	pump far push 0 src >/dev/null
	until_ok 60 larger $W/a.dst $at && record || return 1
	vouched=$(size $W/a.dst)
	[ "$(field rcv_nxt $W/record)" -ge $vouched ] || vouched=$(field rcv_nxt $W/record)
	with rcv_vouched=$vouched snd_vouched=$(field write_seq $W/record)
	until_ok 20 larger $W/a.dst $((vouched + RANDOM))
	a_dies
	unacked_at far dport >$W/unacked || { say "nothing in flight at the kill"; return 1; }
	kill -9 $A_PID $pid 2>/dev/null
	inject && takeover
}

# Return: whether b's part fits behind the vouched part and what is named as missing.
received_whole() {
	ctl b pull 0 $W/b.dst >/dev/null
	until_ok 120 test -e $W/b.dst.end || { say "no end: $(size $W/b.dst) bytes"; return 1; }
	on_b phase 3
	missing=$(field rcv_missing $W/conns.b)
	say "vouched $vouched, missing ${missing:-0}, in flight$(cat $W/unacked)"
	tail -c +$((vouched + ${missing:-0} + 1)) $W/src | cmp - $W/b.dst
}

receive_report() {
	receive_and_die mode adopt gap report && resumed 120 && received_whole && stat_is b broken 0
}

# Control: the plain method; nothing is named, and bytes are missing.
receive_naive() {
	receive_and_die mode naive && resumed 60 || return 1
	! received_whole
}

# Box a streams, and dies. The far end has what it has; we go on exactly there, or say that we cannot.
send_and_die() {
	local pid at=$((BYTES / 20 + RANDOM * (BYTES / 2) / 32768))

	src_up mode adopt gap report || return 1
	pump far pull 0 far.dst >/dev/null
	pid=$(pump a push 1 src)
	until_ok 60 larger $W/far.dst $at && record || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
	until_ok 20 larger $W/far.dst $((at + RANDOM))
	a_dies
	kill -9 $A_PID $pid 2>/dev/null
	inject && monitor && takeover
}

send_report() {
	local from

	send_and_die || return 1
	until_ok 60 adopted_or_ended || return 1
	if event event=del cause=3; then
		say "reset, named"
		return 0
	fi
	from=$(($(field snd_vouched $W/record) - $(field snd_missing $W/conns.b)))
	say "vouched $(field snd_vouched $W/record), goes on at $from"
	ctl b push 0 $W/src $from >/dev/null
	until_ok 120 test -e $W/far.dst.end && cmp $W/src $W/far.dst
}

adopted_or_ended() { on_b phase 3 || event event=del; }

# Planned: both directions in mid-stream; nothing is missing, nothing comes twice.
planned() {
	local in out

	src_up mode adopt gap reset || return 1
	head -c $BYTES /dev/urandom >$W/src2
	in=$(pump a pull 1 a.dst)
	pump far pull 0 far.dst >/dev/null
	pump far push 0 src >/dev/null
	out=$(pump a push 1 src2)
	until_ok 60 larger $W/a.dst $((BYTES / 8 + RANDOM)) && until_ok 60 larger $W/far.dst 100000 || return 1
	kill -9 $out
	until_ok 60 all_acked && in_a $TOOL freeze 1 1 && until_ok 60 all_read && record || return 1
	kill -9 $in
	with rcv_vouched=$(size $W/a.dst) snd_vouched=$(field write_seq $W/record) \
		flags=$(($(field flags $W/record) | 128))
	unacked_at far dport >$W/unacked || say "nothing in flight at the switchover"
	inject && in_a $TOOL mute 1 >/dev/null && a_dies && takeover && resumed || return 1
	stat_is b adopted_handover 1 || return 1
	ctl b pull 0 $W/b.dst >/dev/null
	ctl b push 0 $W/src2 "$(field write_seq $W/record)" >/dev/null
	until_ok 120 test -e $W/b.dst.end && until_ok 120 test -e $W/far.dst.end || return 1
	cat $W/a.dst $W/b.dst | sha256sum >$W/sum
	sha256sum <$W/src | cmp - $W/sum && cmp $W/src2 $W/far.dst && stat_is b gaps_reset 0
}

all_acked() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field snd_una $W/conns.a)" = "$(field write_seq $W/conns.a)" ]
}

all_read() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field rcv_nxt $W/conns.a)" = "$(size $W/a.dst)" ]
}

insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
tests=("planned, both directions in mid-stream" planned)
for ((k = 1; k <= KILLS; k++)); do
	tests+=("receiving, death number $k" receive_report "sending, death number $k" send_report)
done
tests+=("control: naive receiving loses bytes in silence" receive_naive)
run_tests "${1:-}"
