#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Ten takeovers back and forth on the same two connections: deaths while they are quiet, and planned switchovers, in
# turn. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

quiet() {
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 30 same_digest
}

talk() {
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	goes_on v4 && goes_on v6
}

# dies ACTIVE STANDBY: and comes back as standby
dies() {
	quiet
	box_die "$1"
	until_ok 60 is_state "$2" active && talk || return 1
	box_reboot "$1"
	echo_start "$1"
	pair_up "$2" "$1" && until_ok 30 has_conns "$1" 2
}

switched_over() {
	ctl "$1" switchover --yes >>"$PAIR/switch.log" 2>&1 && pair_up "$2" "$1" && goes_on v4 && goes_on v6 &&
		until_ok 30 has_conns "$1" 2
}

ktap_print_header
ktap_set_plan 14
pair_create || exit 1
box_start a
box_start b
check "the pair is protected" pair_up a b
echo_start a
echo_start b
capture seen far eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
until_ok 30 has_conns b 2
active=a standby=b
for n in 1 2 3 4 5 6 7 8 9 10; do
	# two of a kind, then two of the other: each box dies, each one is switched over
	if [ $(((n - 1) / 2 % 2)) = 0 ]; then
		check "takeover $n: $active dies" dies $active $standby
	else
		check "takeover $n: planned, from $active" switched_over $active $standby
	fi
	set -- $active
	active=$standby standby=$1
done
capture_stop
check "the far ends have seen no FIN and no RST" test "$(frames seen)" = 0
check "each request was answered exactly once" eval 'far_end v4 && far_end v6'
check "control: their end is seen" eval 'capture seen far eth0 "tcp[tcpflags] & (tcp-rst|tcp-fin) != 0"; far_start v4 "$VIP4:$PORT"
	far_end v4; capture_stop; test "$(frames seen)" -gt 0'
ktap_finished
