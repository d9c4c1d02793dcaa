#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The fence, drop-not-reset and freeze. What counts is what the far end receives.
#
#	far 10.0.0.9 eth0 ==== svc 02:00:00:00:00:aa, 10.0.0.1, 2001:db8::1 box, group 1

. "$(dirname "$0")/lib/box.sh"

FRAMES="ether src $MAC or src host $VIP4 or ip6 src host $VIP6 or arp src host $VIP4 or vlan"

# Everything that a box could say: IPv4, IPv6, ARP and ND of its own accord and in answer, behind VLAN
# tags, and TCP on a connection that is there.
talk() {
	box ping -q -c 2 -i 0.2 -W 1 -I $VIP4 $FAR4 &
	box ping -q -c 2 -i 0.2 -W 1 -I $VIP6 $FAR6 &
	far ping -q -c 2 -i 0.2 -W 1 $VIP4 &
	far ping -q -c 2 -i 0.2 -W 1 $VIP6 &
	box arping -q -U -c 2 -I svc $VIP4 &
	box ping -q -c 1 -W 1 -I svc.5 10.5.0.9 &
	box ping -q -c 1 -W 1 -I svc.5.6 10.6.0.9 &
	[ -S "$TMP/t.l" ] && ctl t.l send 1 some-data &
	wait $(jobs -p | tail -8) 2>/dev/null
} >/dev/null 2>&1

# frames_of NAME: how many frames of the group come out when the box talks
frames_of() {
	far ip neigh flush dev eth0
	box ip neigh flush dev svc
	capture "$1" || return 1
	talk
	capture_stop "$1"
	frames "$1" "$FRAMES"
}

# A kind of frame out of the capture of the group at its best
kind() {
	[ "$(frames open "$@")" -gt 0 ]
}

lapsed() {
	[ "$(stat_of lease_lapses)" -ge "$1" ]
}

silent() {
	local n

	n=$(frames_of "$1")
	[ "$n" = 0 ] && return 0
	tcpdump -nr "$TMP/$1.pcap" -e "$FRAMES" 2>/dev/null | head -5 | sed 's/^/# /'
	return 1
}

keeper_killed() {
	local keeper first

	# Long enough for the keeper to start; then nothing but the keeper's short one counts.
	nsr role 1 active term 3 lease $((20000 * SLOW)) >/dev/null
	first=$(stat_of lease_until)
	nsenter --net="/run/netns/box-$$" "$NSRTOOL" lease 1 $((3000 * SLOW)) keep 100 >/dev/null 2>&1 &
	keeper=$!
	PIDS="$PIDS $keeper"
	until_ok 20 not stat_is lease_until "$first" || return 1
	sleep $((4 * SLOW))
	[ "$(frames_of kept)" -gt 0 ] || { say "mute while the lease is kept"; return 1; }
	kill -9 $keeper
	wait $keeper 2>/dev/null
	until_ok 20 lapsed 2 && silent killed
}

device_returns() {
	box ip link del svc
	box_link
	far ip addr add $FAR4/24 dev eth0
	far ip addr add $FAR6/64 dev eth0 nodad
	[ "$(nsr group 1 | field ifindex)" = "$(box ip -o link show svc | cut -d: -f1)" ] && silent returned
}

# An address that moves by routing: on lo, leaves by svc, which belongs to no group
routed_group() {
	nsr group-del 1 flush
	box ip addr add 10.77.0.1/32 dev lo
	far ip route replace 10.77.0.1 via $VIP4
	nsr group-set 1 addr 10.77.0.1 && nsr rule-set 1 1 lport $PORT
}

routed_frames() {
	capture "$1"
	box ping -q -c 2 -i 0.2 -W 1 -I 10.77.0.1 $FAR4 >/dev/null
	far ping -q -c 2 -i 0.2 -W 1 10.77.0.1 >/dev/null
	box ping -q -c 2 -i 0.2 -W 1 -I $VIP4 $FAR4 >/dev/null
	capture_stop "$1"
	frames "$1" src host 10.77.0.1
}

# A second wire, which belongs to no group
wire2_create() {
	ip link add eth1 netns "far-$$" type veth peer name oth netns "box-$$"
	far ip link set eth1 up
	box ip link set oth up
	far ip addr add 10.2.0.9/24 dev eth1
	far ip addr add 2001:db8:2::9/64 dev eth1 nodad
	box ip addr add 10.2.0.1/24 dev oth
	box ip addr add 2001:db8:2::1/64 dev oth nodad
	box ip -6 route replace 2001:db8:2::/64 dev oth src $VIP6
}

# past_frames NAME: how many packets of the group leave by it
past_frames() {
	nsenter --net="/run/netns/far-$$" tcpdump -i eth1 -U -s 160 -w "$TMP/$1.pcap" \
		>/dev/null 2>"$TMP/$1.tcpdump" </dev/null &
	CAPTURE_PID=$!
	PIDS="$PIDS $!"
	until_ok 30 grep -q listening "$TMP/$1.tcpdump"
	box ping -q -c 2 -i 0.2 -W 1 -I $VIP4 10.2.0.9 >/dev/null 2>&1
	box ping -q -c 2 -i 0.2 -W 1 -I $VIP6 2001:db8:2::9 >/dev/null 2>&1
	# What comes last, of an address that is free, is in the file: so is all that came before.
	until_ok 10 past_marked "$1"
	kill $CAPTURE_PID 2>/dev/null
	wait $CAPTURE_PID 2>/dev/null
	frames "$1" "src host $VIP4 or ip6 src host $VIP6"
}

past_marked() {
	box ping -q -c 1 -W 1 -I 10.2.0.1 10.2.0.9 >/dev/null
	[ "$(frames "$1" src host 10.2.0.1 and icmp)" -gt 0 ]
}

# ---- death by order ----

# sockets of the port in the box, in whatever state
sockets() {
	box ss -Htan "sport = $PORT or dport = $PORT" | grep -vc LISTEN
}

no_socket_left() {
	[ "$(sockets)" = 0 ]
}

# A connection whose application has closed it with data in flight, and is gone
orphaned_with_data() {
	conn_up o box far $VIP4 $PORT && until_ok 20 has_conns 1 || return 1
	far ip neigh replace $VIP4 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
	box ip neigh replace $FAR4 lladdr 02:00:00:00:00:02 dev svc nud permanent
	ctl o.l send 1 never-acknowledged >/dev/null
	ctl o.l close all >/dev/null
	until_ok 20 has_conns 0 && [ "$(sockets)" -ge 1 ]
}

# Its FIN would be repeated for minutes, and the group may speak again before.
orphan_destroyed() {
	nsr mute 1 destroy >/dev/null
	no_socket_left
	local status=$?

	box ip neigh del $FAR4 dev svc
	far ip neigh del $VIP4 dev eth0
	return $status
}

# ---- drop, not reset ----

# A connection of the far end's whose socket in the box is gone without a word
orphan() {
	conn_up "$1" box far "$2" $PORT || return 1
	until_ok 20 has_conns "$3" || return 1
	nsr mute 1 destroy >/dev/null
	until_ok 20 has_conns "$(($3 - 1))"
}

resets() {
	frames "$1" "tcp[tcpflags] & tcp-rst != 0 or (ip6 and ip6[6] == 6 and ip6[53] & 4 != 0)"
}

far_sends() {
	local before

	before=$(stat_of no_socket_drops)
	capture "$1" tcp
	ctl "$2.c" send 0 are-you-there >/dev/null
	until_ok 10 stat_above no_socket_drops "$before"
	local status=$?

	sleep 0.5
	capture_stop "$1"
	return $status
}

hup() {
	ctl "$1.c" list | grep -q "n=0 .*hup=1"
}

dropped_on_standby() {
	local fenced

	orphan "$1" "$2" 1 || return 1
	fenced=$(stat_of fenced_frames)
	far_sends "$1" "$1" && [ "$(resets "$1")" = 0 ] || return 1
	# Not the fence's doing: nothing was there to be fenced.
	[ "$(($(stat_of fenced_frames) - fenced))" = 0 ] && ! hup "$1"
}

reset_on_settled() {
	nsr role 1 active term 9 lease 3600000 >/dev/null
	until_ok 20 settled || return 1
	ctl "$1.c" send 0 again >/dev/null
	until_ok 30 hup "$1"
}

settled() {
	[ "$(nsr group 1 | field settled)" = 1 ]
}

# A shadow that nobody answers for keeps the group from being settled.
unsettled_drops() {
	GROUP_EXTRA="settle $((20000 * SLOW))" group_up term 11 || return 1
	orphan u $VIP4 1 || return 1
	capture u tcp
	nsenter --net="/run/netns/box-$$" "$NSRTOOL" inject 1 ctl "$TMP/sh" id=9 family=2 laddr=$VIP4 \
		raddr=10.0.0.200 lport=$PORT rport=40000 flags=6 mode=1 iss=1000 irs=2000 mss_clamp=1460 \
		advmss=1460 >"$TMP/sh.out" 2>&1 </dev/null &
	PIDS="$PIDS $!"
	until_ok 20 grep -q injected=1 "$TMP/sh.out" || return 1
	nsr role 1 active term 12 lease 3600000 >/dev/null
	ctl u.c send 0 are-you-there >/dev/null
	until_ok 10 stat_above no_socket_drops 0 && ! settled && ! hup u || return 1
	capture_stop u
	[ "$(resets u)" = 0 ]
}

frozen_holds() {
	group_up term 20 || return 1
	conn_up z box far $VIP4 $PORT && until_ok 20 has_conns 1 || return 1
	nsr freeze 1 1
	ctl z.c send 0 in-the-cold >/dev/null
	until_ok 20 stat_above frozen_drops 0 && [ "$(nsr conns | field rcv_nxt)" = 0 ]
}

thawed() {
	nsr freeze 1 0
	until_ok 30 received
}

received() {
	[ "$(nsr conns | field rcv_nxt)" = 11 ]
}

ktap_print_header
ktap_set_plan 29
box_create
box sysctl -qw net.ipv4.conf.all.arp_filter=0
box ip link add link svc name svc.5 type vlan id 5
box ip link add link svc.5 name svc.5.6 type vlan id 6
box ip link set svc.5 up
box ip link set svc.5.6 up
box ip addr add 10.5.0.1/24 dev svc.5
box ip addr add 10.6.0.1/24 dev svc.5.6

group_up
check "a connection is there" conn_up t box far $VIP4 $PORT
check "active, with a lease: the group speaks (control)" test "$(frames_of open)" -gt 8
check "... IPv4, out of its own and in answer" kind icmp and src host $VIP4
check "... TCP" kind tcp and src host $VIP4
check "... IPv6" kind icmp6 and src host $VIP6
check "... ARP" kind arp and ether src $MAC
check "... neighbour discovery" kind "icmp6 and ip6[40] == 136 or icmp6 and ip6[40] == 135"
check "... VLAN, two tags" kind vlan 5 and vlan 6

nsr role 1 active term 2 lease 300 >/dev/null
until_ok 20 lapsed 1
check "the lease lapsed: not one frame" silent lapsed
check "... and they were counted" stat_above fenced_frames 8
check "the keeper of the lease is killed: speaks before, mute after" keeper_killed
nsr role 1 active term 4 lease 3600000 >/dev/null
check "a new role: speaks again (control)" test "$(frames_of again)" -gt 4
nsr mute 1 >/dev/null
check "MUTE: not one frame" silent mute
check "the device vanishes and returns: still mute" device_returns
conn_kill t

wire2_create
check "routed past the service device: not one packet of the group" test "$(past_frames p1)" = 0
nsr role 1 active term 5 lease 3600000 >/dev/null
check "... active (control)" test "$(past_frames p2)" -gt 3

check "an orphan with data in flight lingers on (control)" orphaned_with_data
check "MUTE with DESTROY ends it too" orphan_destroyed
conn_kill o

routed_group
check "no MAC, address on lo: mute" test "$(routed_frames r1)" = 0
check "... other addresses of the box are free (control)" test "$(frames r1 src host $VIP4)" -gt 0
nsr role 1 active lease 3600000 >/dev/null
check "... active (control)" test "$(routed_frames r2)" -gt 0
group_down

# What the box says of itself, even if fenced, would hide whether a reset was.
far ip neigh replace $VIP4 lladdr $MAC dev eth0 nud permanent
far ip neigh replace $VIP6 lladdr $MAC dev eth0 nud permanent
far_mac=$(far ip -o link show eth0 | sed 's/.*ether \([^ ]*\).*/\1/')
box ip neigh replace $FAR4 lladdr $far_mac dev svc nud permanent
box ip neigh replace $FAR6 lladdr $far_mac dev svc nud permanent
group_up
check "standby, no socket, IPv4: dropped, not reset" dropped_on_standby d4 $VIP4
check "active and settled, no socket: reset (control)" reset_on_settled d4
conn_kill d4
check "standby, no socket, IPv6: dropped, not reset" dropped_on_standby d6 $VIP6
check "active and settled, IPv6: reset (control)" reset_on_settled d6
conn_kill d6
group_down
check "active, not settled: dropped, not reset" unsettled_drops
check "... and no longer than SETTLE_MS: reset (control)" until_ok 120 hup u
conn_kill u
group_down
check "frozen: what comes in is dropped" frozen_holds
check "... and comes again after (control)" thawed

ktap_finished
