#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A box that lost its role is mute: not one frame with the group's MAC or addresses comes out of its port,
# whatever becomes of nsrd and of the applications there. The captures are at the switch, on the box's port.
# Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

OF_GROUP='ether src 02:00:00:00:00:01 or src host 10.0.0.1 or src host 2001:db8::1'
ENDS='(tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)) and src net not 10.0.0.9'

# The box is made to speak: what its addresses still are, it speaks with.
provoke() {
	local i

	for i in 1 2 3; do
		on "$1" bash -c "echo x >/dev/udp/$FAR4/9; echo x >/dev/udp/$FAR6/9" 2>/dev/null
		sleep 0.2
	done
}

# listen_to BOX: to what comes out of it
listen_to() {
	capture "port" sw "$1" -Q in "$OF_GROUP"
}

silent() {
	capture_stop
	[ "$(frames port)" = 0 ] && return
	tcpdump -enr "$PAIR/port.pcap" 2>/dev/null | head -n 20 | sed 's/^/# /'
	return 1
}

# quiet, talk: mode adopt promises exactness for connections that are quiet when the active dies
quiet() {
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 30 same_digest
}

talk() {
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	goes_on v4 && goes_on v6
}

apps_gone() {
	local pid signal=TERM

	for pid in ${APP_PID[$1]}; do		# one exits, the other one is killed
		kill -$signal "$pid"
		signal=KILL
	done
	wait ${APP_PID[$1]} 2>/dev/null
	APP_PID[$1]=
}

again_standby() {
	pair_up "$2" "$1" || return 1
	echo_start "$1"
	until_ok 30 has_conns "$1" 2
}

stopped() {
	quiet
	kill -STOP "${NSRD_PID[a]}"
	check "nsrd stopped: the standby takes over" until_ok 60 is_state b active
	listen_to a
	provoke a
	apps_gone a
	provoke a
	check "the box is mute, also while its applications end" silent
	check "requests go on" talk
	listen_to a
	kill -CONT "${NSRD_PID[a]}"
	check "it wakes up, and becomes standby" again_standby a b
	provoke a
	check "without a frame" silent
}

killed() {
	quiet
	kill -9 "${NSRD_PID[b]}"
	wait "${NSRD_PID[b]}" 2>/dev/null
	rm -f "$PAIR/b/run/control.sock"
	check "nsrd killed: the other box takes over" until_ok 60 is_state a active
	listen_to b
	provoke b
	apps_gone b
	provoke b
	check "the box is mute, also while its applications end" silent
	check "requests go on" talk
	listen_to b
	box_start b
	check "nsrd comes back: standby" again_standby b a
	provoke b
	check "without a frame" silent
}

demoted() {
	check "planned switchover" ctl a switchover --yes
	until_ok 60 is_state b active
	listen_to a
	provoke a
	apps_gone a
	provoke a
	check "the demoted box is mute, also while its applications end" silent
	check "requests go on" talk
	again_standby a b
}

# Protected: what a dying application's sockets would say does not get out, the standby goes on with them.
app_dies() {
	quiet
	capture port sw b -Q in "$ENDS"
	kill -9 ${APP_PID[b]}
	wait ${APP_PID[b]} 2>/dev/null
	APP_PID[b]=
	check "an application is killed: the standby takes over" until_ok 60 is_state a active
	check "no FIN, no RST" silent
	check "requests go on" talk
	again_standby b a
}

# Without a standby that could go on nothing is held back: the same box, the same capture.
control() {
	kill "${NSRD_PID[b]}"
	wait "${NSRD_PID[b]}" 2>/dev/null
	until_ok 30 eval '! is_protected a'
	# Listening first: the lease ends soon after nsrd is stopped.
	listen_to a
	capture ends sw a -Q in "$ENDS"
	kill -STOP "${NSRD_PID[a]}"
	apps_gone a
	provoke a
	capture_stop
	check "control: with a lease the captures see what the box says" test "$(frames port)" -gt 0
	check "control: with a lease an application's end is seen" test "$(frames ends)" -gt 0
	kill -CONT "${NSRD_PID[a]}"
}

ktap_print_header
ktap_set_plan 19
pair_create || exit 1
box_start a
box_start b
check "the pair is protected" pair_up a b
echo_start a
echo_start b
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
until_ok 30 has_conns b 2
for part in stopped killed demoted app_dies control; do
	$part
done
ktap_finished
