#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shadows and their adoption, one connection at a time, against the far end of this kernel. Each claim
# has its control: the same with the mechanism off, or the plain method (mode naive), must fail.

. "$(dirname "$0")/lib/adopt.sh"

up() { groups_up "$@" && connect && talks a 1 && until_ok 20 all_acked && record; }

# ---- solicitation and nonces ----

# One probe, one answer, one ACK: the far end sent nothing else before. On a busy machine an answer may
# come later than the probe's repetition: then each of its frames answers a probe, and it is tried again.
idle_dsack() {
	local try

	for try in 1 2 3 4 5; do
		idle_dsack_once || return 1
		[ $PROBES = 1 ] && return 0
		say "$PROBES probes until the first answer was heard"
		net_down
		net_up || return 1
	done
	return 1
}

idle_dsack_once() {
	up mode adopt gap reset && inject && capture idle tcp || return 1
	a_dies && takeover && resumed || return 1
	PROBES=$(stat_of b probes)
	stat_is b adopted_dsack 1 && on_b rcv_missing 0 && on_b snd_missing 0 || return 1
	captured idle >$W/idle.txt
	[ "$(grep -c '10.9.0.9.* > 10.9.0.1' $W/idle.txt)" -le "$PROBES" ] || { cat $W/idle.txt; return 1; }
	talks b 0
}

# Control: without solicitation an idle connection waits for the far end to speak.
idle_naive_waits() {
	up mode naive && inject && a_dies && takeover || return 1
	sleep 3
	on_b phase 1 && stat_is b probes 0 || return 1
	ctl far send 0 wake >/dev/null
	resumed && stat_is b adopted_first 1 && talks_after_wake
}

talks_after_wake() {
	until_ok 20 got b 0 wake && talks b 0
}

idle_tsecr() {
	in_far sysctl -qw net.ipv4.tcp_sack=0
	up mode adopt gap report && inject && a_dies && takeover && resumed || return 1
	# Without SACK the far end cannot show what it holds out of order: said, not hidden.
	stat_is b adopted_tsecr 1 && on_b snd_uncertain 1 && talks b 0
}

# Timestamps alone are off: nothing is needed but the D-SACK.
idle_without_timestamps() {
	in_far sysctl -qw net.ipv4.tcp_timestamps=0
	up mode adopt gap reset && [ "$(field tsval $W/record)" = 0 ] && inject && a_dies && takeover &&
		resumed && stat_is b adopted_dsack 1 && on_b snd_missing 0 && talks b 0
}

# The same under the default policy: what cannot be known is not passed over.
tsecr_without_sack_resets() {
	in_far sysctl -qw net.ipv4.tcp_sack=0
	up mode adopt gap reset && inject && monitor && a_dies && takeover || return 1
	until_ok 20 event event=del cause=3 snd_uncertain=1 && [ "$(ctl b recv 0)" = ECONNRESET ] &&
		until_ok 20 far_is_reset
}

far_is_reset() { [ "$(ctl far recv 0)" = ECONNRESET ]; }

idle_age() {
	in_far sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0
	up mode adopt gap report -- life $((20000 * SLOW)) && inject && a_dies && takeover || return 1
	# Answers come, and are young: nothing may be decided by them.
	until_ok 20 answers_rejected && on_b phase 1 || return 1
	resumed 60 && stat_is b adopted_age 1 && on_b snd_uncertain 1 && talks b 0
}

answers_rejected() { [ "$(stat_of b reject_nonce)" -ge 2 ]; }

# A planned switchover needs no answer: adopted while the far end hears nothing.
exact_handover() {
	up mode $1 gap reset && with flags=$(($(field flags $W/record) | 128)) && inject || return 1
	far_deaf && a_dies && takeover && resumed || return 1
	stat_is b adopted_handover 1 && stat_is b probes 0 && far_hears && talks b 0
}

# ... and without the word of the daemons it does.
exact_needs_its_flag() {
	up mode adopt gap reset && inject && far_deaf && a_dies && takeover || return 1
	until_ok 20 probed_twice && on_b phase 1 && stat_is b adopted_handover 0 || return 1
	far_hears && resumed && talks b 0
}

probed_twice() { [ "$(stat_of b probes)" -ge 2 ]; }

# Lost probes are repeated, further and further apart, each with a nonce of its own.
probes_back_off() {
	up mode adopt gap reset && inject && capture probes 'tcp src port 5000 and tcp[13] & 8 != 0' &&
		far_deaf && a_dies && takeover || return 1
	until_ok 30 probed_often || return 1
	captured probes -tt >$W/probes.txt
	# A busy machine is late with some: the first two intervals together, and the last two of five.
	awk '{ t[NR] = $1; s[$9]++ }
	     END { if (NR < 6 || t[6] - t[4] < 2 * (t[3] - t[1])) exit 1;
		   for (x in s) if (s[x] > 1) exit 1 }' $W/probes.txt || { cat $W/probes.txt; return 1; }
	far_hears && resumed 30 && talks b 0
}

probed_often() { [ "$(stat_of b probes)" -ge 6 ] && [ "$(captured probes | wc -l)" -ge 6 ]; }

late_shadow() {
	up mode adopt gap reset && a_dies && takeover && inject late && resumed && talks b 0
}

many() {
	groups_up mode adopt gap reset -- rate 500 && hold a && hold far || return 1
	ctl a listen 10.9.0.1 5000 >/dev/null
	ctl far connect 10.9.0.1 5000 120 >/dev/null
	ctl a accept 0 120 >/dev/null
	until_ok 20 a_has 120 && record && inject && a_dies && takeover || return 1
	until_ok 60 b_resumed 120 && stat_is b adopted_dsack 120
}

a_has() { [ "$(in_a $TOOL conns | wc -l)" = "$1" ]; }
b_resumed() { [ "$(in_b $TOOL conns | grep -c phase=3)" = "$1" ]; }

# ---- families and odd options ----

ipv6() {
	groups_up mode adopt gap reset && connect fd00::1 fd00::1 && talks a 1 && record && inject &&
		a_dies && takeover && resumed && stat_is b adopted_dsack 1 && talks b 0 && bulk b 0
}

# An IPv4 connection of an IPv6 socket
v4mapped() {
	groups_up mode adopt gap reset && connect 10.9.0.1 :: && talks a 1 && record || return 1
	[ "$(field family $W/record)" = 2 ] && (($(field flags $W/record) & 256)) || return 1
	inject && a_dies && takeover && resumed && stat_is b adopted_dsack 1 && talks b 0 && bulk b 0
}

active_open() {
	groups_up mode adopt gap reset && hold a && hold far || return 1
	in_a $TOOL rule-set 1 2 rport 6000 mode adopt
	in_b $TOOL rule-set 1 2 rport 6000 mode adopt
	ctl far listen 10.9.0.9 6000 >/dev/null
	ctl a connect 10.9.0.9 6000 1 >/dev/null
	ctl far accept 0 >/dev/null
	until_ok 10 one_conn_on_a && record && inject && a_dies && takeover && resumed || return 1
	ctl b send 0 hello >/dev/null
	until_ok 20 got far 1 hello
}

wscale0() {
	in_far sysctl -qw net.ipv4.tcp_window_scaling=0
	up mode adopt gap reset || return 1
	[ "$(field snd_wscale $W/record)$(field rcv_wscale $W/record)" = 00 ] || return 1
	inject && a_dies && takeover && resumed && bulk b 0
}

wscale14() {
	local n

	for n in a far; do
		in_$n sysctl -qw net.ipv4.tcp_rmem="4096 131072 1073741824"
	done
	up mode adopt gap reset || return 1
	[ "$(field snd_wscale $W/record)" = 14 ] && [ "$(field rcv_wscale $W/record)" = 14 ] || return 1
	inject && a_dies && takeover && resumed && bulk b 0
}

mss536() {
	ip -n far-$NS route change 10.9.0.0/24 dev eth0 src 10.9.0.9 advmss 536
	up mode adopt gap reset || return 1
	[ "$(field mss_clamp $W/record)" = 536 ] || return 1
	inject && a_dies && takeover && resumed && bulk b 0
}

# TCP_INFO's counters go on as positions: what was written and read since the handshake.
exact_offsets() {
	up mode adopt gap reset && talks a 1 && talks a 1 && record && inject && a_dies && takeover &&
		resumed && talks b 0 || return 1
	in_b ss -tniH 'sport = 5000' >$W/ss
	in_b $TOOL conns >$W/conns.b
	grep -q "bytes_received:$(field rcv_nxt $W/conns.b) " $W/ss &&
	grep -q "bytes_sent:$(field write_seq $W/conns.b) " $W/ss || { cat $W/ss $W/conns.b; return 1; }
}

# ---- silence ----

# not_one_frame NAME...: of TCP in these captures
not_one_frame() {
	local c

	for c; do
		[ "$(captured $c | wc -l)" = 0 ] || { say "in $c:"; captured $c; return 1; }
	done
}

# Not one frame of a shadow while its keepalive of 1 s is due again and again, on either side; and then,
# as the control, both captures see its first ones.
silent_for_long() {
	local begun=$SECONDS

	up mode adopt gap reset && inject && capture_on b side_b -Q out tcp && capture side_far tcp || return 1
	[ "$(ctl b keepalive 0)" = ok ] || return 1
	sleep $SILENCE
	say "for $((SECONDS - begun)) s"
	on_b phase 1 && not_one_frame side_b side_far || return 1
	a_dies && takeover && resumed || return 1
	until_ok 20 heard side_b && until_ok 20 heard side_far
}

# What the application is given: an established socket with these addresses, and no timer.
made_whole() {
	local port

	up mode adopt gap reset && inject && on_b phase 1 || return 1
	port=$(field rport $W/record)
	in_b ss -tnoH >$W/ss
	grep -q "^ESTAB .*10.9.0.1:5000 *10.9.0.9:$port" $W/ss && ! grep -q timer: $W/ss || { cat $W/ss; return 1; }
	# Control: with a keepalive there is one.
	ctl b keepalive 0 >/dev/null
	in_b ss -tnoH | grep -q timer:
}

# Deleted by order: its application is told, so is the daemon, and nobody else.
deleted() {
	up mode adopt gap reset && inject && monitor && capture_on b deleted -Q out tcp || return 1
	in_b $TOOL conn-del "id=$(field id $W/record)" && no_conn_on_b || return 1
	until_ok 20 event event=del cause=5 "id=$(field id $W/record)" || return 1
	[ "$(ctl b recv 0)" = ECONNABORTED ] && ctl b list | grep -q hup=1 && not_one_frame deleted
}

# ... whatever its application does: data, close, death.
silent() {
	up mode adopt gap reset && inject && capture_on b silent -Q out tcp || return 1
	[ "$(ctl b send 0 x)" = EAGAIN ] && [ "$(ctl b recv 0)" = EAGAIN ] || return 1
	ctl b list | grep -q 'readable=0 writable=0' || return 1
	on_b phase 1 || return 1
	ctl b shutdown 0
	# A FIN would be repeated within this time.
	sleep 1
	kill -9 $B_PID
	until_ok 20 no_conn_on_b || return 1
	not_one_frame silent
}

no_conn_on_b() { [ -z "$(in_b $TOOL conns)" ]; }

# The same keepalive on the adopted connection is heard: the capture sees frames, the timer runs.
keepalive_after() {
	up mode adopt gap reset && inject && [ "$(ctl b keepalive 0)" = ok ] || return 1
	a_dies && takeover && resumed && capture ka 'tcp src port 5000' || return 1
	until_ok 20 heard ka
}

heard() { [ "$(captured $1 | wc -l)" -ge 2 ]; }

# Closed before and during the takeover: nothing on the wire, nothing left.
close_is_silent() {
	up mode adopt gap reset && inject && capture cl 'tcp src port 5000' && far_deaf && a_dies &&
		takeover && until_ok 20 probed_twice || return 1
	ctl b close 0 >/dev/null
	until_ok 20 no_conn_on_b || return 1
	captured cl >$W/cl.txt
	! grep -E 'Flags \[[^]]*[RF]' $W/cl.txt
}

# Mute again before an answer came: the shadow drops everything as before, and starts anew later.
second_reign() {
	up mode adopt gap reset && inject && far_deaf && a_dies && takeover && until_ok 20 probed_twice ||
		return 1
	in_b $TOOL mute 1 >/dev/null && far_hears || return 1
	ctl far send 0 early >/dev/null
	until_ok 20 dropped_some && on_b phase 1 || return 1
	in_b $TOOL role 1 active lease 3600000 term 3 >/dev/null
	resumed && until_ok 20 got b 0 early && talks b 0
}

dropped_some() { [ "$(stat_of b shadow_drops)" -ge 1 ]; }

# ---- again and again ----

# leaves BOX: as it dies, and is reborn with nothing but its interface
leaves() {
	ip -n sw-$NS link set p$1 down
	in_$1 $TOOL mute 1 destroy >/dev/null || return 1
	ip -n $1-$NS -batch - <<-EOF
		link set eth0 down
		addr flush dev eth0
		link set eth0 address 02:00:00:00:00:$2
	EOF
	ip -n sw-$NS link set p$1 up
}

# takes BOX FROM TERM: the shadow of FROM's connection is there, and FROM dies
takes() {
	local ctl=$W/held.$3

	in_$2 $TOOL conns >$W/record
	nsenter --net="/run/netns/$1-$NS" $TOOL inject 1 ctl $ctl <$W/record >$W/inject 2>&1 &
	until_ok 20 test -S $ctl && leaves $2 $3 || return 1
	# Under the name by which the test speaks to this box
	ln -sfn $ctl $W/$1.ctl
	in_$1 $TOOL role 1 active lease 3600000 term $3 >/dev/null || return 1
	ip -n $1-$NS -batch - <<-EOF
		link set eth0 address $MAC
		link set eth0 up
		addr add 10.9.0.1/24 dev eth0
	EOF
	in_$1 ping -c 1 -W 1 10.9.0.9 >/dev/null 2>&1
	until_ok 20 resumed_on $1
}

resumed_on() { in_$1 $TOOL conns | grep -q ' phase=3'; }

# One connection, back and forth; in the end, as the control, nobody has a shadow.
ten_takeovers() {
	local term box=a other=b t

	up mode adopt gap reset || return 1
	in_b $TOOL rule-set 1 1 lport 5000 mode adopt gap reset || return 1
	for term in 2 3 4 5 6 7 8 9 10 11; do
		takes $other $box $term && talks $other 0 || { say "at takeover $((term - 1))"; return 1; }
		stat_is $other gaps_reset 0 || return 1
		t=$box box=$other other=$t
	done
	leaves $box 12
	ip -n $other-$NS -batch - <<-EOF
		link set eth0 address $MAC
		link set eth0 up
		addr add 10.9.0.1/24 dev eth0
	EOF
	in_$other $TOOL role 1 active lease 3600000 term 12 >/dev/null
	in_$other ping -c 1 -W 1 10.9.0.9 >/dev/null 2>&1
	ctl far send 0 anybody-there >/dev/null
	until_ok 60 far_is_reset
}

# ---- segments that must not decide ----

# What a far end, or somebody, can send without our nonce: nothing of it steers the shadow.
forged() {
	local seq ack

	up mode adopt gap reset && inject && far_deaf && a_dies && takeover &&
		until_ok 20 probed_twice || return 1
	seq=$(seq_rcv "$(field rcv_nxt $W/record)")
	ack=$(seq_snd "$(field snd_una $W/record)")
	ts="ts $(($(field ts_recent $W/record) + 60000)) $(field tsval $W/record)"
	forge seq $seq ack $((ack - 1)) $ts && until_ok 5 counted reject_ack 1 || return 1
	forge seq $seq ack $((ack + (1 << 30) + 9)) $ts && until_ok 5 counted reject_ack 2 || return 1
	forge seq $seq ack $((ack + 5)) $ts len 5 && until_ok 5 counted reject_nonce 1 || return 1
	forge seq $((seq + (1 << 29))) ack $ack $ts && until_ok 5 counted reject_seq 1 || return 1
	forge seq $seq ack $ack ts $(($(field ts_recent $W/record) - 5)) 1 &&
		until_ok 5 counted reject_ts 1 || return 1
	forge seq $seq ack $ack && until_ok 5 counted reject_ts 2 || return 1
	forge seq $seq ack $((ack + 5)) $ts sack $((ack - 7)) $((ack - 6)) &&
		until_ok 5 counted reject_nonce 2 || return 1
	forge seq $((seq + 1)) flags RA ack $ack && until_ok 5 counted reject_flags 1 || return 1
	forge seq $seq flags S && until_ok 5 counted reject_flags 2 || return 1
	forge seq $seq flags P len 3 && until_ok 5 counted reject_flags 3 || return 1
	on_b phase 1 || return 1
	far_hears && resumed && stat_is b adopted_dsack 1 && on_b snd_missing 0 && talks b 0
}

counted() { [ "$(stat_of b $1)" -ge "$2" ]; }

bad_checksum() {
	up mode naive && inject && a_dies && takeover || return 1
	forge seq "$(seq_rcv 0)" ack "$(seq_snd 0)" badsum
	forge seq "$(seq_rcv 0)" ack "$(seq_snd 0)" baddoff
	ctl far send 0 real >/dev/null
	resumed && until_ok 20 got b 0 real && talks b 0
}

# Control: the plain method believes the first segment that comes, and the connection is lost.
forged_naive() {
	up mode naive && inject && a_dies && takeover || return 1
	forge seq $(($(seq_rcv "$(field rcv_nxt $W/record)") + 700)) \
		ack $(($(seq_snd "$(field snd_una $W/record)") - 3)) \
		ts $(($(field ts_recent $W/record) + 1)) "$(field tsval $W/record)"
	resumed || return 1
	! talks_fast
}

talks_fast() {
	ctl far send 0 lost >/dev/null
	until_ok 3 got b 0 lost
}

# The far end's answer from before the takeover arrives after it, and bears an old position.
stale_answer() {
	local old

	groups_up mode adopt gap report && connect && talks a 1 && record || return 1
	old=$(field snd_una $W/record)
	talks a 1 && cp $W/record $W/record.old && record && with snd_una=$old write_seq=$old snd_nxt=$old
	inject && far_deaf && a_dies && takeover && until_ok 20 probed_twice || return 1
	forge seq "$(seq_rcv "$(field rcv_nxt $W/record)")" ack "$(seq_snd $old)" \
		ts $(($(field ts_recent $W/record) + 1)) "$(field tsval $W/record)"
	until_ok 5 counted reject_nonce 1 && on_b phase 1 || return 1
	far_hears && resumed && stat_is b adopted_dsack 1 && talks b 0
}

# ---- a far end without the connection ----

# A new far end at the same address, which knows nothing.
far_reboots() {
	kill -9 $FAR_PID 2>/dev/null
	wait $FAR_PID 2>/dev/null
	rm -f $W/far.ctl
	ip netns del far-$NS
	until_ok 10 no_port || return 1
	ip netns add far-$NS
	ip link add eth0 netns far-$NS type veth peer name pfar netns sw-$NS || return 1
	ip -n sw-$NS link set pfar master br0 up
	ip -n far-$NS link set lo up
	ip -n far-$NS link set eth0 up
	ip -n far-$NS addr add 10.9.0.9/24 dev eth0
}

no_port() { ! ip -n sw-$NS link show pfar >/dev/null 2>&1; }

rebooted_rst() {
	up mode adopt gap reset && inject && monitor && far_reboots && a_dies && takeover || return 1
	until_ok 20 event event=del cause=2 && [ "$(ctl b recv 0)" = ECONNRESET ]
}

# It comes with a SYN from the very same port: our ACK, its RST, and its next SYN is served.
rebooted_syn() {
	local port

	up mode adopt gap reset && inject && far_reboots && a_dies || return 1
	port=$(field rport $W/record)
	in_b sysctl -qw net.ipv4.ip_nonlocal_bind=1
	ctl b listen 10.9.0.1 5000 >/dev/null
	# Nobody answers before the takeover; the SYN is to leave nevertheless.
	ip -n far-$NS neigh replace 10.9.0.1 lladdr $MAC dev eth0 nud permanent
	in_far python3 -c '
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.9.0.9", int(sys.argv[1])))
s.connect(("10.9.0.1", 5000))
s.sendall(b"fresh")
time.sleep(60)' "$port" &
	until_ok 20 far_says_syn && takeover || return 1
	ctl b accept 1 >/dev/null
	until_ok 20 got b 2 fresh
}

far_says_syn() { [ -n "$(in_far ss -tnH state syn-sent)" ]; }

# ---- states ----

# The far end has closed its side: the shadow learns of it at adoption, and may still send.
close_wait() {
	up mode adopt gap reset && ctl far shutdown 0 >/dev/null && until_ok 10 a_state 8 && record &&
		inject || return 1
	on_b state 8 && [ "$(ctl b recv 0)" = EAGAIN ] || return 1
	a_dies && takeover && resumed && [ "$(ctl b recv 0)" = EOF ] || return 1
	ctl b info 0 | grep -q 'state=8' || return 1
	ctl b send 0 after >/dev/null
	until_ok 20 got far 0 after
}

a_state() { in_a $TOOL conns | grep -q " state=$1 "; }

# Zero window: the far end waits in persist, and goes on at once with the ACK of the adoption. What lay
# unread in the dead box is named to the byte.
persist() {
	local unread

	groups_up mode adopt gap report && connect || return 1
	head -c 3000000 /dev/urandom >$W/src
	ctl far push 0 $W/src 0 >/dev/null
	until_ok 30 window_closed && record && inject && a_dies && takeover && resumed || return 1
	unread=$(($(field rcv_nxt $W/record) - $(field copied_seq $W/record)))
	[ $unread -gt 0 ] && on_b rcv_missing $unread || return 1
	ctl b pull 0 $W/dst >/dev/null
	until_ok 60 test -e $W/dst.end || return 1
	tail -c +$(($(field rcv_nxt $W/record) + 1)) $W/src | cmp - $W/dst
}

window_closed() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field right_edge $W/conns.a)" = "$(field rcv_nxt $W/conns.a)" ]
}

# ---- refusals ----

refused() {
	local want=$1

	shift
	in_ns b $TOOL inject 1 "$@" <$W/record >$W/refused 2>&1
	grep -q "$want" $W/refused || { cat $W/refused; return 1; }
}

refusals() {
	up mode adopt gap reset && inject || return 1
	with id=00000000000000aa
	refused 'exists' || return 1
	with lport=0 rport=1
	refused 'PORT' || return 1
	with lport=5000 snd_wscale=15
	refused 'SCALE\|out of range' || return 1
	with snd_wscale=7 mss_clamp=1
	refused 'MSS\|out of range' || return 1
	until_ok 5 on_b phase 1
}

grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
# A minute where a second of the guest's is about one of ours; a debugging kernel has enough to do.
[ "$NSR_KERNEL" = 6.12 ] && : "${SILENCE:=60}"
: "${SILENCE:=5}"
# The first one mostly waits.
LANES=3
tests=(
	"a shadow with a keepalive of 1 s is silent for long" silent_for_long
	"idle: one round trip, by D-SACK" idle_dsack
	"control: idle without solicitation waits" idle_naive_waits
	"idle without SACK: by TSecr, uncertain is said" idle_tsecr
	"idle without timestamps: by D-SACK" idle_without_timestamps
	"without SACK under gap reset: reset, named" tsecr_without_sack_resets
	"neither SACK nor timestamps: by age" idle_age
	"planned: adopted without a segment" "exact_handover adopt"
	"planned, in mode naive too" "exact_handover naive"
	"control: without the flag an answer is needed" exact_needs_its_flag
	"lost probes: back-off, fresh nonces" probes_back_off
	"late shadow is solicited at once" late_shadow
	"120 connections, paced" many
	"IPv6" ipv6
	"IPv4 connection of an IPv6 socket" v4mapped
	"opened actively" active_open
	"no window scaling" wscale0
	"window scale 14" wscale14
	"MSS 536" mss536
	"TCP_INFO: exact offsets" exact_offsets
	"a shadow: established, its addresses, no timer" made_whole
	"deleted by order: told, silent" deleted
	"a shadow is silent, whatever its application does" silent
	"ten takeovers back and forth, and one without a shadow" ten_takeovers
	"control: the adopted connection's keepalive is heard" keepalive_after
	"close of a shadow is silent" close_is_silent
	"mute again, then a second reign" second_reign
	"forged and stale segments are rejected, each counted" forged
	"bad checksum, bad header" bad_checksum
	"control: naive believes a forged segment" forged_naive
	"stale answer" stale_answer
	"far end rebooted: RST" rebooted_rst
	"far end rebooted: SYN from the same port" rebooted_syn
	"CLOSE_WAIT" close_wait
	"far end in persist" persist
	"refusals name the thing" refusals
)
run_tests "${1:-}"
