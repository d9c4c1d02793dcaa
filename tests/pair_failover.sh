#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The active dies, and every connection goes on; the reborn box becomes standby; a planned switchover brings
# everything back. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

has_addr() {
	on "$1" ip -br addr show dev svc | grep -q " $VIP4/24" && on "$1" ip -br addr show dev svc | grep -q " $VIP6/64"
}

has_mac() {
	on "$1" ip -br link show dev svc | grep -q "$2"
}

in_step() {
	until_ok 20 same_digest
}

all_adopted() {
	[ "$(ctl b show conns | grep -c -e resumed -e provisional)" = 2 ]
}

ktap_print_header
ktap_set_plan 28
pair_create || exit 1
box_start a
box_start b
check "one box becomes active, the other one ready" pair_up a b
check "the active has the addresses" has_addr a
refute "the standby has not" has_addr b
check "both boxes agree on the group's MAC" has_mac a 02:00:00:00:00:01
refute "the standby's interface has its own" has_mac b 02:00:00:00:00:01
echo_start a
echo_start b

# At the switch, what comes out of the standby's port: what the active says to all arrives there too.
OF_GROUP='ether src 02:00:00:00:00:01 or src host 10.0.0.1 or src host 2001:db8::1'
capture quiet sw b -Q in "$OF_GROUP"
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
check "established: two connections on the active" until_ok 10 has_conns a 2
check "established: two shadows on the standby" until_ok 10 has_conns b 2
far_start gone "$VIP4:$PORT"
until_ok 10 has_conns b 3
far_end gone
check "closed by the far end: gone on both boxes" until_ok 10 has_conns b 2
check "requests are answered" goes_on v4
# mode adopt promises exactness for connections that are quiet when the active dies
kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
check "when nothing changes the digests are equal" in_step
capture_stop
check "the standby has sent no frame of the group" test "$(frames quiet)" = 0

capture spoken sw b -Q in "$OF_GROUP"
capture seen far eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
box_die a
check "the active dies: the standby takes over" until_ok 30 is_state b active
check "idle connections are adopted before the far ends say a word" until_ok 30 all_adopted
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
check "addresses and MAC have moved" eval 'has_addr b && has_mac b 02:00:00:00:00:01'
check "IPv4: requests go on being answered" goes_on v4
check "IPv6: requests go on being answered" goes_on v6
check "every shadow was adopted by its nonce" test "$(($(counter b adopted_dsack) + $(counter b adopted_tsecr)))" = 2

box_reboot a
echo_start a
check "the reborn box becomes ready" pair_up b a
check "it has the connections" until_ok 10 has_conns a 2
refute "and not the group's MAC" has_mac a 02:00:00:00:00:01

check "planned switchover" ctl b switchover --yes
check "the box of before is active again" pair_up a b
check "by handed-over positions, exactly" test "$(counter a adopted_handover)" = 2
goes_on v4
goes_on v6
until_ok 30 is_state b ready
kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
until_ok 20 same_digest
box_die a
check "it dies: the other box takes over" eval 'until_ok 30 is_state b active && until_ok 30 all_adopted'
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
check "by nonces: nothing of the hand-over is left" \
	eval 'goes_on v4 && goes_on v6 && test "$(counter b adopted_handover)" = 0'
capture_stop
check "control: as the active it has sent frames of the group" test "$(frames spoken)" -gt 0
check "the far ends have seen no FIN and no RST" test "$(frames seen)" = 0
check "each request was answered exactly once" eval 'far_end v4 && far_end v6'
ktap_finished
