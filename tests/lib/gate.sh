# SPDX-License-Identifier: GPL-2.0-only
#
# For tests of mode lossless, on top of adopt.sh: what the far end was told, from a capture on its wire;
# the gate as a standby would move it; a module whose rules can be switched off.

. "$(dirname "${BASH_SOURCE[0]}")/adopt.sh"

: "${BYTES:=1000000}"
FAR_N=0 BOX_N=1 BOX_PORT=5000

# up [MODE [WORDS]]
up() { groups_up mode "${1:-lossless}" "${@:2}" && connect && record; }

set_conn() { in_a $TOOL conn-set id="$(field id $W/record)" "$@"; }
gate() { set_conn gate="$1"; }

size() { stat -c %s "$1" 2>/dev/null || echo 0; }

# same_size FILE FILE-OR-NUMBER
same_size() {
	local want=$2

	[ -e "$2" ] && want=$(size "$2")
	[ "$(size "$1")" = "$want" ]
}

# The far end says N bytes, and box a reads them.
far_says() {
	local text

	text=$(printf "%0$1d" 7)
	ctl far send $FAR_N $text >/dev/null
	until_ok 20 got a $BOX_N $text || { say "box a did not get $1 bytes"; return 1; }
}

# Box a says a word, and the far end reads it.
box_says() {
	ctl a send $BOX_N "$1" >/dev/null
	until_ok 20 got far $FAR_N "$1" || { say "the far end did not get $1"; return 1; }
}

far_lacks_acks() { in_far ss -tniH "dport = $BOX_PORT or sport = $BOX_PORT" | grep -q ' unacked:'; }
far_has_acks() { ! far_lacks_acks; }

# segments NAME: what box a told: time, position of the ACK, window in bytes, position of SEQ, length, flags,
# number of SACK blocks
segments() {
	captured "$1" -tt -S -vv src host "$(field laddr $W/record)" |
		awk -v irs="$(field irs $W/record)" -v iss="$(field iss $W/record)" \
			-v scale="$(field rcv_wscale $W/record)" '
		function modulo(n) { return (n + 4294967296) % 4294967296 }
		function say(l,    f, t, seq, ack, win, len, sack, flags) {
			if (l !~ /Flags/) return
			split(l, f, " "); t = f[1]
			match(l, /Flags \[[^]]*\]/); flags = substr(l, RSTART + 7, RLENGTH - 8)
			if (flags ~ /[SR]/) return
			match(l, / seq [0-9]+/); seq = substr(l, RSTART + 5, RLENGTH - 5)
			match(l, / ack [0-9]+/); ack = substr(l, RSTART + 5, RLENGTH - 5)
			match(l, / win [0-9]+/); win = substr(l, RSTART + 5, RLENGTH - 5)
			match(l, /length [0-9]+$/); len = substr(l, RSTART + 7, RLENGTH - 7)
			sack = 0
			if (match(l, /sack [0-9]+/)) sack = substr(l, RSTART + 5, RLENGTH - 5)
			printf "%s %.0f %.0f %.0f %d %s %d\n", t, modulo(ack - irs - 1), win * 2 ^ scale,
			       modulo(seq - iss - 1), len, flags, sack
		}
		/^[0-9]/ { say(line); line = $0; next }
		{ line = line " " $0 }
		END { say(line) }'
}

# told_is NAME POSITION: the highest ACK
told_is() {
	local is

	is=$(segments "$1" | awk '$2 > m { m = $2 } END { printf "%.0f", m }')
	[ "$is" = "$2" ] || { say "told $is, not $2"; return 1; }
}

# The right edge never moves to the left.
edges_grow() {
	segments "$1" | awk '{ e = $2 + $3 } e < m { print "# edge " e " after " m ": " $0; bad = 1 }
		e > m { m = e } END { exit bad || !NR }'
}

# told_within NAME LOG: no ACK before its gate
told_within() {
	segments "$1" >$W/segments
	awk 'NR == FNR { t[NR] = $1; g[NR] = $2; n = NR; next }
		{ while (k < n && t[k + 1] <= $1) k++
		  if ($2 > g[k] + 0) { print "# told " $2 " with the gate at " g[k] + 0; bad = 1; exit }
		  seen++ }
		END { exit bad || !seen }' "$2" $W/segments
}

# netem WORDS...: on both ways, at the far end's wire
netem() {
	in_far tc qdisc add dev eth0 root netem "$@" limit 10000 &&
		in_sw tc qdisc add dev pfar root netem "$@" limit 10000
}

# follow FILE [lag MS] [step BYTES] [fin]
follow() {
	nsenter --net="/run/netns/a-$NS" $TOOL follow id="$(field id $W/record)" "$1" $W/gates "${@:2}" &
}

far_to_box() {
	head -c $BYTES /dev/urandom >$W/src
	ctl a pull 1 $W/a.dst >/dev/null
	follow $W/a.dst lag "$1" fin
	ctl far push 0 $W/src 0 >/dev/null
}

# The far end sends src and its FIN; box a src2, and no FIN: a connection that closes has no gate.
pump_both() {
	head -c $BYTES /dev/urandom >$W/src2
	ctl far pull 0 $W/far.dst >/dev/null
	far_to_box "$1"
	ctl a push 1 $W/src2 0 keep >/dev/null
	until_ok 120 test -e $W/a.dst.end || { say "no end: $(size $W/a.dst) bytes"; return 1; }
}

# Both ends sign, with one key.
md5() { MD5=secret.$RANDOM; }

hold() {
	local n=$1 peer=10.9.0.1

	[ "$n" = far ] || peer=10.9.0.9
	nsenter --net="/run/netns/$n-$NS" $TOOL hold $W/$n.ctl ${MD5:+md5 $peer $MD5} &
	HOLD_PID=$!
	until_ok 20 test -S $W/$n.ctl
}

# md5_failures BOX COUNT
md5_failures() {
	local is

	is=$(in_$1 nstat -asz TcpExtTCPMD5Failure TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected |
		awk '/MD5/ { n += $2 } END { print n }')
	[ "$is" = "$2" ] || { say "$is segments on box $1 with a bad signature"; return 1; }
}

# off RULE...: bits of enum nsr_test
off() {
	local rules=(GATE_SACK GATE_WINDOW GATE_HOLD GATE_SIGN ADDRFORM PROBE_SIGN HEAL NSRD_DEATH GATE_ROOM) r i bits=0

	for r; do
		for i in "${!rules[@]}"; do
			[ "${rules[i]}" = "$r" ] && bits=$((bits | 1 << i))
		done
	done
	[ $bits != 0 ] && echo $bits >/sys/module/tcp_nsr/parameters/test_off
}

reload() {
	! grep -q '^tcp_nsr ' /proc/modules || until_ok 60 rmmod tcp_nsr 2>/dev/null || { say "the module cannot be unloaded"; return 1; }
	insmod "$1"
}

test_reset() { MD5='' FAR_N=0 BOX_N=1 BOX_PORT=5000; }

# run_list NAMES NAME FUNCTION...: one after the other, since the rules are off for the whole kernel
run_list() {
	local i only=$1

	shift
	for ((i = 1; i <= $#; i += 2)); do
		local name=${!i} j=$((i + 1))
		local call=${!j}

		if [ -z "$only" ] || [[ " $only " = *" ${call%% *} "* ]]; then
			# shellcheck disable=SC2086
			run_test "$name" $call
		else
			ktap_test_skip "$name"
		fi
		test_reset
		[ -w /sys/module/tcp_nsr/parameters/test_off ] && echo 0 >/sys/module/tcp_nsr/parameters/test_off
	done
}

# tests with the module as it is, then controls with the other one; [NAMES]
run_with_controls() {
	# The script before may have left the other one.
	reload "$NSR_KO" || exit 1
	ktap_print_header
	say "seed $NSR_SEED"
	ktap_set_plan $(((${#tests[@]} + ${#controls[@]}) / 2))
	run_lanes "$1"
	reload "${NSR_KO_TEST:?is the module built with NSR_TEST=1: scripts/vm/run -T}" || exit 1
	run_list "$1" "${controls[@]}"
	ktap_finished
}
