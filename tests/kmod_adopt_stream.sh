#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Takeovers in mid-stream over a path of 50 ms: at the end each byte of a stream has been at its place, or
# is named as missing. CONNS streams of BYTES run at a time and are caught by one death each at a point of
# its own; KILLS points in the direction from the far end, a third of it in the other one. All of it is
# drawn from NSR_SEED. Until the kill each stream has a slow path of its own, so that none is at its end however
# late a poller sees it; what remains afterwards goes quicker.

. "$(dirname "$0")/lib/adopt.sh"

: "${CONNS:=10}"
: "${BYTES:=4194304}"
: "${RATE:=400}"	# kbit/s of each stream until the kill
: "${RATE_AFTER:=4000}"
if [ "$NSR_KERNEL" = debug ]; then
	: "${KILLS:=10}"
else
	: "${KILLS:=50}"
fi

# What is in flight fits the path.
path() {
	local n

	for n in far a; do
		in_$n tc qdisc add dev eth0 root fq maxrate ${RATE}kbit || return 1
	done
	for n in pfar pa pb; do
		in_sw tc qdisc add dev $n root netem delay 25ms limit 10000 || return 1
	done
	for n in far a b; do
		in_$n sysctl -qw net.ipv4.tcp_rmem="4096 131072 262144" net.ipv4.tcp_wmem="4096 65536 262144"
	done
}

faster() { in_far tc qdisc change dev eth0 root fq maxrate ${RATE_AFTER}kbit; }

size() { stat -c %s "$1" 2>/dev/null || echo 0; }
larger() { [ "$(size "$1")" -gt "$2" ]; }

# far's sockets are 0 to CONNS - 1, box a's 1 to CONNS, box b's 0 to CONNS - 1 again; lines of records
# have the same order, that of birth.
src_up() {
	head -c $BYTES /dev/urandom >$W/src
	path && groups_up "$@" && connect 10.9.0.1 10.9.0.1 $CONNS
}

# pump BOX pull|push N FILE [OFFSET]
pump() { ctl "$1" "$2" "$3" "$W/$4" "${5:-0}" | sed -n 's/pid=//p'; }

# line I FILE: record number I, from 1
line() { sed -n "${1}p" "$2"; }
of() { sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p"; }

# vouch [FILES]: the record with what transactions would have told the other box: what was written, and
# what was received, or what of it is in FILES.1 to FILES.CONNS. At once: meanwhile the streams go on.
vouch() {
	local i files=()

	for ((i = 1; i <= CONNS; i++)); do
		files+=("$W/${1:-none}.$i")
	done
	stat -c %s "${files[@]}" >$W/sizes 2>/dev/null
	record && mv $W/record $W/told || return 1
	awk -v sizes=$W/sizes '
		function value(name,    l) {
			l = length(name) + 2
			match($0, " " name "=[0-9]+")
			return substr($0, RSTART + l, RLENGTH - l)
		}
		{ received = value("rcv_nxt")
		  if ((getline held <sizes) > 0 && held + 0 < received + 0) received = held
		  gsub(/ (rcv|snd)_vouched=[0-9]+/, "")
		  print $0 " rcv_vouched=" received " snd_vouched=" value("write_seq") }' $W/told >$W/record
	mapfile -t -O 1 vouched < <(of rcv_vouched <$W/record)
	[ ${#vouched[@]} = $CONNS ]
}

# b_conns: box b's lines in the order of the record, those that are gone as an empty line
b_conns() {
	local i id

	in_b $TOOL conns >$W/conns.now
	for ((i = 1; i <= CONNS; i++)); do
		id=$(line $i $W/record | of id)
		grep "id=$id " $W/conns.now || echo
	done >$W/conns.b
}

all_resumed() {
	[ "$(in_b $TOOL conns | grep -c ' phase=3')" = $CONNS ]
}

all_ended() {
	local i

	for ((i = 1; i <= CONNS; i++)); do
		[ -e $W/$1.$i.end ] || return 1
	done
}

# The far end's sockets at this moment, for in_flight
look() { in_far ss -tniHO 'dport = 5000' >$W/ss; }

# Each connection's unacknowledged segments, as the far end had them. Return: there is one of each
in_flight() {
	local i port

	for ((i = 1; i <= CONNS; i++)); do
		port=$(line $i $W/record | of rport)
		grep ":$port .*unacked:" $W/ss | grep -o 'unacked:[0-9]*' || echo none
	done >$W/unacked
	! grep -q none $W/unacked
}

# starts FILES WHO: all streams, and the first one to get so far is at a point drawn
starts() {
	local i point=$((65536 + RANDOM * (BYTES / 4) / 32768))

	for ((i = 1; i <= CONNS; i++)); do
		$2 $i
	done
	until_ok 120 one_is_larger $1 $point
}

one_is_larger() { [ "$(stat -c %s $W/$1.*[0-9] 2>/dev/null | sort -n | tail -1)" -gt $2 ] 2>/dev/null; }

# Return: no stream has come to its end
mid_stream() {
	local f

	for f in $W/$1.*[0-9]; do
		[ "$(size $f)" -lt $BYTES ] || { say "$f is complete at the kill"; return 1; }
	done
}

far_pushes() { ctl far push $(($1 - 1)) $W/src 0 >/dev/null; }
a_pushes() { pump a push $1 src >>$W/pids; }

# The far end streams; box a consumes, and dies at a random point. What its last transaction held is
# older than what it read and acknowledged.
receive_and_die() {
	local i

	src_up "$@" || return 1
	for ((i = 1; i <= CONNS; i++)); do
		: >$W/a.dst.$i
		pump a pull $i a.dst.$i >>$W/pids
	done
	starts a.dst far_pushes && vouch a.dst && inject || return 1
	until_ok 60 larger $W/a.dst.$CONNS $((vouched[CONNS] + RANDOM))
	die && takeover && in_flight || { say "nothing in flight at the kill:"; cat $W/unacked $W/ss; return 1; }
}

# Soon afterwards comes the takeover: the far end's pauses double, and what proves a gap are four of them.
die() {
	a_dies
	look
	kill -9 $A_PID $(cat $W/pids) 2>/dev/null || :
}

# sum_is FILE: of the standard input
sum_is() { [ "$(sha256sum)" = "$(sha256sum <$1)" ]; }

# stream I MISSING: the vouched part that box a had, what is named as missing, and b's part
stream() {
	head -c ${vouched[$1]} $W/a.dst.$1
	tail -c +$((vouched[$1] + 1)) $W/src | head -c $2
	cat $W/b.dst.$1
}

# Return: whether all parts together are the stream.
received_whole() {
	local i missing bad=0

	faster || return 1

	for ((i = 1; i <= CONNS; i++)); do
		pump b pull $((i - 1)) b.dst.$i >/dev/null
	done
	until_ok "$1" all_ended b.dst || say "not all streams came to their end"
	b_conns
	for ((i = 1; i <= CONNS; i++)); do
		missing=$(line $i $W/conns.b | of rcv_missing)
		say "vouched ${vouched[i]}, missing ${missing:-?}, in flight $(line $i $W/unacked)"
		[ -e $W/b.dst.$i.end ] &&
			stream $i ${missing:-0} | sum_is $W/src || { say "stream $i is another"; bad=1; }
	done
	return $bad
}

receive_report() {
	# However late the takeover is: what proves a gap takes fifteen times that.
	receive_and_die mode adopt gap report -- gap-bound 3600000 && until_ok 300 all_resumed &&
		received_whole 180 && stat_is b broken 0
}

# Control: the plain method; nothing is named, and yet a stream that came to its end lacks bytes.
receive_naive() {
	local i lost=0

	receive_and_die mode naive && until_ok 60 all_resumed || return 1
	received_whole 60
	for ((i = 1; i <= CONNS; i++)); do
		[ "$(cat $W/b.dst.$i.end 2>/dev/null)" = EOF ] && [ "$(line $i $W/conns.b | of rcv_missing)" = 0 ] &&
			[ $((vouched[i] + $(size $W/b.dst.$i))) -lt $BYTES ] && lost=$((lost + 1))
	done
	say "$lost streams lost bytes, and none was named"
	[ $lost -gt 0 ]
}

# Box a streams, and dies. The far end has what it has; we go on exactly there, or say that we cannot.
send_and_die() {
	local i

	src_up mode adopt gap report || return 1
	for ((i = 1; i <= CONNS; i++)); do
		pump far pull $((i - 1)) far.dst.$i >/dev/null
	done
	starts far.dst a_pushes && vouch && inject && monitor || return 1
	until_ok 60 larger $W/far.dst.$CONNS $(($(size $W/far.dst.$CONNS) + RANDOM))
	die && takeover && mid_stream far.dst
}

reset_named() { event event=del cause=3 id="$(line $1 $W/record | of id)"; }

adopted_or_reset() {
	local i

	b_conns
	for ((i = 1; i <= CONNS; i++)); do
		line $i $W/conns.b | grep -q ' phase=3' || reset_named $i || return 1
	done
}

send_report() {
	local i from snd

	send_and_die && until_ok 120 adopted_or_reset || return 1
	for ((i = 1; i <= CONNS; i++)); do
		if reset_named $i; then
			say "reset, named"
			touch $W/far.dst.$i.end
			continue
		fi
		snd=$(line $i $W/record | of snd_vouched)
		from=$((snd - $(line $i $W/conns.b | of snd_missing)))
		say "vouched $snd, goes on at $from"
		pump b push $((i - 1)) src $from >/dev/null
	done
	until_ok 180 all_ended far.dst || return 1
	for ((i = 1; i <= CONNS; i++)); do
		reset_named $i || sum_is $W/src <$W/far.dst.$i || return 1
	done
}

# Planned: both directions in mid-stream; nothing is missing, nothing comes twice.
planned() {
	local in out CONNS=1

	src_up mode "$@" || return 1
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
	look
	in_flight || { say "nothing in flight at the switchover"; return 1; }
	inject && in_a $TOOL mute 1 >/dev/null && a_dies && takeover && resumed || return 1
	stat_is b adopted_handover 1 || return 1
	faster || return 1
	ctl b pull 0 $W/b.dst >/dev/null
	ctl b push 0 $W/src2 "$(field write_seq $W/record)" >/dev/null
	until_ok 120 test -e $W/b.dst.end && until_ok 120 test -e $W/far.dst.end || return 1
	cat $W/a.dst $W/b.dst | sum_is $W/src && sum_is $W/src2 <$W/far.dst && stat_is b gaps_reset 0
}

all_read() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field rcv_nxt $W/conns.a)" = "$(size $W/a.dst)" ]
}

grep -q '^tcp_nsr ' /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
tests=("planned, both directions in mid-stream" "planned adopt gap reset"
	"planned, in mode naive too" "planned naive")
for ((k = CONNS; k <= KILLS; k += CONNS)); do
	tests+=("receiving, $CONNS streams, deaths $((k - CONNS + 1)) to $k" receive_report)
done
for ((k = CONNS; k < KILLS / 3 + CONNS; k += CONNS)); do
	tests+=("sending, $CONNS streams, deaths $((k - CONNS + 1)) to $k" send_report)
done
tests+=("control: naive receiving loses bytes in silence" receive_naive)
run_tests "${1:-}"
