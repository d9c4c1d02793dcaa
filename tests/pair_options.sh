#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Signed connections (RFC 2385) and the options of the application's sockets, through a takeover.
# Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

KEY="key$RANDOM"
KEYED="md5 {
			remote = 10.0.0.0/24
			key-file = $PAIR/key
		}"

# configure BOX MD5-SECTION; reload BOX
configure() {
	PAIR_GROUP_EXTRA=$2
	[ "$1" = a ] && pair_config a 1 2
	[ "$1" = b ] && pair_config b 2 1
}

reload() {
	kill -HUP "${NSRD_PID[$1]}"
}

# What "ss" says of a box's established sockets of the service
sockets() {
	on "$1" ss -tinH -o state established "sport = :$PORT"
}

says_reason() {
	ctl "$1" show conns | grep -q 'UNPROTECTED: it is signed (MD5), and no md5 section'
}

not_refused() {
	! says_reason "$1"
}

shadows() {
	[ "$(counter b injected)" = "$1" ]
}

md5_failures() {
	ip netns exec "$1-$$" nstat -asz TcpExtTCPMD5Failure TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected |
		awk '/MD5/ { n += $2 } END { print n + 0 }'
}

signed() {
	[ "$(frames "$1" 'tcp[12] & 0xf0 > 0x80')" -gt 0 ] && tcpdump -nr "$PAIR/$1.pcap" 2>/dev/null | grep -q md5
}

told_key() {
	cat "$PAIR"/?/nsrd.log | grep -q "$KEY" || ctl b show conns --json | grep -q "$KEY"
}

all_adopted() {
	[ "$(ctl b show conns | grep -c -e resumed -e provisional)" = 2 ]
}

ktap_print_header
ktap_set_plan 17
pair_create || exit 1
echo "$KEY" >"$PAIR/key"
chmod 600 "$PAIR/key"
configure a "$KEYED"
box_start a
box_start b
check "one box becomes active, the other one ready" pair_up a b
ECHO_OPTS="--md5 $FAR4,$KEY --tos 184 --congestion reno --nodelay"
echo_start a
echo_start b
far_start v4 "$VIP4:$PORT" --md5 "$VIP4,$KEY"
far_start v6 "[$VIP6]:$PORT"
check "established: two connections on the active" until_ok 10 has_conns a 2
check "without a key on the standby it is not protected, and says why" until_ok 10 says_reason b
check "the other one has its shadow" shadows 1
refute "the active has the key" says_reason a
configure b "$KEYED"
reload b
check "a key, and a reload: it has a shadow" until_ok 10 shadows 2
check "and no reason any more" until_ok 10 not_refused b
check "the congestion control is on the shadows" test "$(sockets b | grep -c reno)" = 2
kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
until_ok 20 same_digest

capture wire far eth0 "tcp port $PORT"
box_die a
check "the active dies: the standby takes over" until_ok 30 is_state b active
check "idle connections are adopted" until_ok 30 all_adopted
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
check "signed: requests go on being answered" goes_on v4
check "not signed: requests go on being answered" goes_on v6
capture_stop
check "the segments are signed" signed wire
check "and have the TOS" test "$(frames wire "src host $VIP4 and ip[1] & 0xfc = 184")" -gt 0
check "no signature was wrong" test "$(md5_failures far)$(md5_failures b)" = 00
refute "the key was told" told_key
check "each request was answered exactly once" eval 'far_end v4 && far_end v6'
ktap_finished
