#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sockets that are bound to a device, where the boxes call it otherwise or nothing in the configuration names it: the
# VRF red on box a is blue on box b; far ends with link-local addresses. And a connection that cannot be carried, which
# says so. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

VIP6_GLOBAL=$VIP6

all_adopted() {
	[ "$(ctl "$1" show conns | grep -c -e resumed -e provisional)" = 2 ]
}

# all_bound BOX DEVICE: as the kernel has it, "%blue" behind the local address
all_bound() {
	[ "$(on "$1" ss -tnH state established "sport = :$PORT" | grep -c "%$2:$PORT\|%$2\]:$PORT")" = 2 ]
}

# names BOX DEVICE: nsrctl has it behind the local address too
names() {
	[ "$(ctl "$1" show conns | grep -c "%$2:$PORT")" = 2 ]
}

# echo_on BOX: bound to its device. A listener takes data in a SYN if that is allowed when it is made.
echo_on() {
	local device=DEVICE_$1

	on "$1" sysctl -qw net.ipv4.tcp_fastopen=0x607
	ECHO_OPTS="--device ${!device} --verbose"
	echo_start "$1"
}

# An application's word for what it was told
app_heard() {
	grep -q "$2" "$PAIR/$1"/echo4.log
}

reason_shown() {
	ctl "$1" show conns | grep -q 'UNPROTECTED: TCP Fast Open'
}

no_reason_shown() {
	! reason_shown "$1"
}

# Data in the SYN: it works, is not protected, and everybody concerned is told why, until it ends.
refusal() {
	far sysctl -qw net.ipv4.tcp_fastopen=0x607
	refute "Fast Open: control: a reason is shown without it" reason_shown a
	far_start tfo "$VIP4:$PORT" --fastopen
	check "Fast Open: requests are answered" goes_on tfo
	check "Fast Open: the active shows the reason" until_ok 10 reason_shown a
	check "Fast Open: its log has it once" test "$(grep -c 'unprotected: TCP Fast Open' "$PAIR/a/nsrd.log")" = 1
	check "Fast Open: the application is told" until_ok 10 app_heard a 'status .*protected=0 reason=TCP Fast Open'
	check "Fast Open: no shadow" eval 'until_ok 20 has_conns b 2'
	check "Fast Open: it works to its end" far_end tfo
	check "Fast Open: then it is shown no more" until_ok 10 no_reason_shown a
	# Another one stays: nothing of it goes over to the standby, and it is no obstacle.
	far_start other "$VIP4:$PORT" --fastopen
	until_ok 10 reason_shown a
	check "Fast Open: planned switchover beside it" \
		eval 'ctl a switchover --yes && pair_up b a && until_ok 20 has_conns b 2 && goes_on v4 && goes_on v6'
	# What is under way would be told in different moments.
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	check "Fast Open: nothing of it is on either box" until_ok 20 same_digest
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
}

# survives NAME V6-TARGET
survives() {
	local name=$1 to6=$2

	pair_create || exit 1
	far ip addr add fe80::9/64 dev eth0 nodad
	box_start a
	box_start b
	check "$name: the pair is protected" pair_up a b
	echo_on a
	echo_on b
	far_start v4 "$VIP4:$PORT"
	far_start v6 "$to6"
	check "$name: two shadows on the standby, protected" \
		eval 'until_ok 20 has_conns b 2 && until_ok 20 is_protected a && ! ctl a show conns | grep -q UNPROTECTED'
	check "$name: ... bound to the device as the standby calls it" all_bound b "$DEVICE_b"
	check "$name: nsrctl names the device" names a "$DEVICE_a"
	goes_on v4 && goes_on v6
	capture seen far eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
	# mode adopt promises exactness for connections that are quiet when the active dies
	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 20 same_digest
	box_die a
	check "$name: the active dies, idle connections are adopted" \
		eval 'until_ok 30 is_state b active && until_ok 30 all_adopted b'
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	check "$name: ... and requests go on being answered" eval 'goes_on v4 && goes_on v6'
	box_reboot a
	echo_on a
	until_ok 30 pair_up b a && until_ok 20 has_conns a 2
	check "$name: planned switchover" eval 'ctl b switchover --yes && pair_up a b && goes_on v4 && goes_on v6'
	check "$name: ... to the device as it is called there" all_bound a "$DEVICE_a"
	capture_stop
	[ "$name" = VRFs ] && refusal
	check "$name: the far ends have seen no FIN and no RST" test "$(frames seen)" = 0
	check "$name: each request was answered exactly once" eval 'far_end v4 && far_end v6'
	trap - EXIT
	pair_destroy
	FAR_PIDS=
}

ktap_print_header
modprobe -q vrf
ktap_set_plan 30
PAIR_VRF_a=red PAIR_VRF_b=blue DEVICE_a=red DEVICE_b=blue
survives "VRFs" "[$VIP6]:$PORT"
PAIR_VRF_a= PAIR_VRF_b= DEVICE_a=svc DEVICE_b=svc
VIP6=fe80::1
PAIR_ADDRESSES="$VIP4/24, $VIP6_GLOBAL/64, $VIP6/64"
survives "link-local" "[$VIP6%eth0]:$PORT"
ktap_finished
