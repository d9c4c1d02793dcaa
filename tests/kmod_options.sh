#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What an application has set on its socket is on the shadow too, when it is made and when it changes
# later; and signatures (RFC 2385) from the key of either box.

. "$(dirname "$0")/lib/adopt.sh"

test_reset() { MD5=; }

# RFC 2385: one key, on all sockets
md5() { MD5=secret.$RANDOM; }

hold() {
	local n=$1 peer=10.9.0.1

	[ "$n" = far ] || peer=10.9.0.9
	nsenter --net="/run/netns/$n-$NS" $TOOL hold $W/$n.ctl ${MD5:+md5 $peer $MD5} &
	HOLD_PID=$!
	until_ok 20 test -S $W/$n.ctl
}

# Every option, with values that nothing has by default
SET="tos:184 ttl:255 minttl:200 priority:5 mark:77 nodelay:1 keepalive:1 keepidle:100 keepintvl:20 keepcnt:4
	usertimeout:30000 congestion:reno"

# set_all BOX N
set_all() {
	local o

	for o in $SET; do
		[ "$(ctl $1 opt $2 ${o%:*} ${o#*:})" = ok ] || { say "box $1: cannot set $o"; return 1; }
	done
}

# has BOX N NAME:VALUE...
has() {
	local box=$1 n=$2 o is

	shift 2
	for o; do
		is=$(ctl $box opt $n ${o%:*})
		[ "$is" = "${o#*:}" ] || { say "box $box: ${o%:*} is $is, not ${o#*:}"; return 1; }
	done
}

sockets() { modprobe -q tcp_bbr; groups_up mode adopt gap reset && connect "$@"; }

# The minimum TTL is for segments of the far end: it has to speak so.
far_speaks_ttl() { [ "$(ctl far opt 0 ttl 255)" = ok ]; }

carried() {
	sockets "$@" && far_speaks_ttl && set_all a 1 && record || return 1
	[ "$(field opts $W/record)" = "$(echo $SET | tr ' ' ,)" ] || { field opts $W/record; return 1; }
	inject && has b 0 $SET && a_dies && takeover && resumed && talks b 0 && has b 0 $SET
}

# Control: a record without them makes a socket without them.
none_without_record() {
	sockets && far_speaks_ttl && set_all a 1 && record && sed -i 's/ opts=[^ ]*//' $W/record && inject || return 1
	has b 0 tos:0 mark:0 nodelay:0 keepalive:0 usertimeout:0 && ! has b 0 congestion:reno
}

defaults_are_none() {
	sockets && record && [ "$(field opts $W/record)" = none ] && inject && has b 0 tos:0 nodelay:0
}

# One that changes is told, without any position that moves; so is its return to the default.
told_when_set() {
	sockets && events_of_a && [ "$(ctl a opt 1 tos 40)" = ok ] || return 1
	until_ok 10 told 'opts=tos:40.*' || return 1
	ctl a opt 1 tos 0 >/dev/null
	until_ok 10 told opts=none
}

events_of_a() {
	nsenter --net="/run/netns/a-$NS" $TOOL monitor >$W/events.a 2>&1 &
	until_ok 20 grep -q monitoring $W/events.a
}

told() { grep -q "event=change .*$1\$" $W/events.a; }

# What the active's application sets when the shadow is there; what the standby's own has set stays.
late() {
	sockets && record && inject && [ "$(ctl b opt 0 mark 9)" = ok ] || return 1
	in_b $TOOL conn-set id=$(field id $W/record) opts=tos:184,priority:6,keepalive:1,congestion:reno || return 1
	has b 0 tos:184 priority:6 keepalive:1 congestion:reno mark:9 || return 1
	in_b $TOOL conn-set id=$(field id $W/record) opts=none || return 1
	has b 0 tos:0 keepalive:0 mark:9 && ! has b 0 congestion:reno
}

# An algorithm that this kernel does not have is no reason to lose the connection.
unknown_congestion() {
	sockets && record && with opts=congestion:nosuch,tos:8 && inject && has b 0 tos:8 || return 1
	has b 0 "congestion:$(in_b cat /proc/sys/net/ipv4/tcp_congestion_control)"
}

refused() {
	sockets && record && with opts=ttl:0 || return 1
	inject 2>/dev/null
	! in_b $TOOL conns | grep -q phase=1
}

# From the first segment on: a far end that wants TTL 255 (RFC 5082) hears the probe.
first_segment() {
	sockets && [ "$(ctl a opt 1 ttl 255)$(ctl far opt 0 minttl 255)" = okok ] && record || return 1
	inject && a_dies && takeover && resumed && stat_is b adopted_dsack 1 && talks b 0
}

# Control
first_segment_needs_it() {
	sockets && [ "$(ctl a opt 1 ttl 255)$(ctl far opt 0 minttl 255)" = okok ] && record || return 1
	sed -i 's/ opts=[^ ]*//' $W/record
	inject && a_dies && takeover && until_ok 20 probed_twice && on_b phase 1 && far_drops
}

probed_twice() { [ "$(stat_of b probes)" -ge 2 ]; }
far_drops() { in_far nstat -asz TcpExtTCPMinTTLDrop | grep -q 'TCPMinTTLDrop *[1-9]'; }

# ---- MD5 ----

md5_failures() {
	in_$1 nstat -asz TcpExtTCPMD5Failure TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected |
		awk '/MD5/ { n += $2 } END { print n + 0 }'
}

signed() { (($(field flags $W/record) & 1024)); }

md5_adopted() {
	md5 && groups_up mode $1 gap reset && connect && talks a 1 && record && signed || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
	inject md5 10.9.0.9 $MD5 && a_dies && takeover && until_ok 20 has_positions || return 1
	talks b 0 && [ "$(md5_failures far)$(md5_failures b)" = 00 ]
}

has_positions() { on_b phase 2 || on_b phase 3; }

# Control: another key, and the far end takes nothing.
md5_other_key() {
	md5 && groups_up mode adopt gap reset && connect && record && inject md5 10.9.0.9 wrong || return 1
	a_dies && takeover && until_ok 20 probed_twice && on_b phase 1 && [ "$(md5_failures far)" -gt 0 ]
}

md5_without_key() {
	md5 && groups_up mode adopt gap reset && connect && record && signed || return 1
	nsenter --net="/run/netns/b-$NS" $TOOL inject 1 <$W/record >$W/inject 2>&1
	grep -q 'set its key by TCP_MD5SIG' $W/inject && [ -z "$(in_b $TOOL conns)" ]
}

not_signed() { sockets && record && ! signed; }

tests=(
	"options are carried, IPv4" carried
	"options are carried, IPv6" "carried fd00::1 fd00::1"
	"options are carried, v4-mapped" "carried 10.9.0.1 ::"
	"control: without them in the record" none_without_record
	"defaults are not carried" defaults_are_none
	"an option that is set later is told" told_when_set
	"an option that is set later is on the shadow" late
	"an unknown congestion control leaves the default" unknown_congestion
	"an impossible option is refused" refused
	"the first segment has the TTL" first_segment
	"control: without it the far end hears nothing" first_segment_needs_it
	"MD5: adopted" "md5_adopted adopt"
	"MD5: adopted, lossless" "md5_adopted lossless"
	"control: MD5 with another key" md5_other_key
	"MD5 without a key is refused" md5_without_key
	"control: what is not signed does not say so" not_signed
)

grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
run_tests "${1:-}"
