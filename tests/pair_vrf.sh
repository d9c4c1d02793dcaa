#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The service lies in a VRF, or its application is bound to an interface: connections survive a death and a planned
# switchover. Topology: tests/lib/pair.sh, the service interface enslaved to a VRF of its own.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

all_adopted() {
	[ "$(ctl "$1" show conns | grep -c -e resumed -e provisional)" = 2 ]
}

# How connections of the box are bound, as the kernel has it: "%blue" behind the local address
all_bound() {
	[ "$(on "$1" ss -tnH state established "sport = :$PORT" | grep -c "%$2:$PORT\|%$2\]:$PORT")" = 2 ]
}

# survives NAME DEVICE: with applications bound to the device
survives() {
	local name=$1

	PAIR_DEVICE=$2 ECHO_OPTS="--device $2"
	pair_create || exit 1
	box_start a
	box_start b
	check "$name: the pair is protected" pair_up a b
	echo_start a
	echo_start b
	capture seen far eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
	far_start v4 "$VIP4:$PORT"
	far_start v6 "[$VIP6]:$PORT"
	check "$name: two shadows on the standby, protected" \
		eval 'until_ok 20 has_conns b 2 && until_ok 20 is_protected a && ! ctl a show conns | grep -q UNPROTECTED'
	goes_on v4
	# mode adopt promises exactness for connections that are quiet when the active dies
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 20 same_digest
	box_die a
	check "$name: the active dies, idle connections are adopted" \
		eval 'until_ok 30 is_state b active && until_ok 30 all_adopted b'
	check "$name: ... bound as they were" all_bound b "$2"
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	check "$name: ... and requests go on being answered" eval 'goes_on v4 && goes_on v6'
	box_reboot a
	echo_start a
	until_ok 30 pair_up b a && until_ok 20 has_conns a 2
	check "$name: planned switchover" eval 'ctl b switchover --yes && pair_up a b && goes_on v4 && goes_on v6'
	capture_stop
	check "$name: the far ends have seen no FIN and no RST" test "$(frames seen)" = 0
	check "$name: each request was answered exactly once" eval 'far_end v4 && far_end v6'
	trap - EXIT
	pair_destroy
	FAR_PIDS=
}

ktap_print_header
modprobe -q vrf
ktap_set_plan 16
PAIR_VRF=blue
survives "in a VRF" blue
PAIR_VRF=
survives "bound to the interface" svc
ktap_finished
