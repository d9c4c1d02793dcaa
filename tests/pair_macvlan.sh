#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mac = macvlan: the group's MAC and addresses are on a device of their own. Also here, for they are the same in
# each mode: announcements to the neighbours, and an address that moves before the role does. Topology:
# tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
PAIR_MAC=macvlan
PAIR_INTERVAL=700ms
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

GROUP_MAC=00:00:5e:00:01:01
ARP="arp and ether src $GROUP_MAC and arp[14:4] == 0x0a000001 and arp[24:4] == 0x0a000001"
# neighbour advertisement, override flag, for 2001:db8::1
ENDS='tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
NA="icmp6 and ip6[40] == 136 and ip6[44] & 0x20 != 0 and ether src $GROUP_MAC and ip6[60:4] == 1"

on_nsr1() {
	on "$1" ip -br addr show dev nsr1 2>/dev/null | grep " $VIP4/24" | grep -q " $VIP6/64"
}

nsr1_up() {
	on "$1" ip -br link show dev nsr1 2>/dev/null | grep -q "$GROUP_MAC.*[<,]UP"
}

svc_untouched() {
	on "$1" ip -br link show dev svc | grep -q "02:00:00:00:00:0$2"
}

neighbour() {
	far ip neigh show "$1" | grep -q "$GROUP_MAC"
}

announced() {
	[ "$(frames seen "$ARP")" -gt 1 ] && [ "$(frames seen "$NA")" -gt 1 ]
}

all_adopted() {
	[ "$(ctl b show conns | grep -c -e resumed -e provisional)" = 2 ]
}

quiet() {
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 30 same_digest
}

talk() {
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	goes_on v4 && goes_on v6
}

# address_first BOX: what an operator's script, or keepalived, might do
address_first() {
	ip -n "$1-$$" link set nsr1 up
	ip -n "$1-$$" addr add "$VIP4/24" dev nsr1
	ip -n "$1-$$" addr add "$VIP6/64" dev nsr1 nodad
}

ktap_print_header
ktap_set_plan 18
pair_create || exit 1
modprobe -q macvlan
box_start a
box_start b
check "the pair is protected" pair_up a b
check "the group's MAC and addresses are on nsr1 of the active" eval 'on_nsr1 a && nsr1_up a'
refute "not on the standby's" eval 'on_nsr1 b || nsr1_up b'
echo_start a
echo_start b
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
until_ok 30 has_conns b 2
check "requests are answered" eval 'goes_on v4 && goes_on v6'
check "the far end knows the group's MAC" eval 'neighbour $VIP4 && neighbour $VIP6'

capture seen far eth0 "arp or icmp6 or ($ENDS)"
quiet
until_ok 30 same_digest
check "control: no announcement while nothing moves" test "$(frames seen "$ARP or ($NA)")" = 0
box_die a
check "the active dies: the standby takes over" until_ok 60 is_state b active
check "idle connections are adopted before the far ends say a word" until_ok 60 all_adopted
check "gratuitous ARP and unsolicited neighbour advertisements, repeated" until_ok 30 announced
check "requests go on" talk
check "MAC and addresses are there" eval 'on_nsr1 b && nsr1_up b'
check "the interfaces have kept their own MAC" eval 'svc_untouched a 1 && svc_untouched b 2'

box_reboot a
echo_start a
check "the reborn box becomes ready" pair_up b a
until_ok 30 has_conns a 2
check "planned switchover" eval 'ctl b switchover --yes && pair_up a b'
check "requests go on" talk

until_ok 30 has_conns b 2
quiet
box_die a
address_first b
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}	# their segments find shadows that know no position
check "the address moves before the role: requests go on" eval 'until_ok 60 is_state b active && goes_on v4 && goes_on v6'
capture_stop
check "the far ends have seen no FIN and no RST" \
	test "$(frames seen "$ENDS")" = 0

# The same without a group in the kernel: sockets later.
quiet
box_die b
box_forget_kernel b
ip -n "b-$$" link add nsr1 link svc address $GROUP_MAC type macvlan
address_first b
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
far_is_reset() {
	grep -q 'result fail why=reset' "$PAIR/v4.far" && grep -q 'result fail why=reset' "$PAIR/v6.far"
}
check "control: addresses first and no shadows: connections are reset" until_ok 60 far_is_reset
ktap_finished
