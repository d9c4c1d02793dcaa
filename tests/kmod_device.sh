#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Connections whose sockets are bound to a device: by a VRF, by SO_BINDTODEVICE, by a link-local far end.
# Box b calls its devices otherwise and has them under other indexes than box a.
#
# Topology: tests/lib/adopt.sh; box a's eth0 may be in the VRF red, box b's uplink in the VRF blue.

. "$(dirname "$0")/lib/adopt.sh"

NAMED=0 SERVICE=1 VRF=2
LL=fe80::1

test_reset() { BDEV=uplink BVRF= HOLD_DEV= MD5=; }

hold() {
	local n=$1 peer=10.9.0.1

	[ "$n" = far ] || peer=10.9.0.9
	nsenter --net="/run/netns/$n-$NS" $TOOL hold $W/$n.ctl ${MD5:+md5 $peer $MD5} \
		$([ $n = far ] || echo ${HOLD_DEV:+dev $HOLD_DEV}) &
	HOLD_PID=$!
	until_ok 20 test -S $W/$n.ctl
}

# Another name and another index; $1: a VRF on both boxes.
devices() {
	local n

	ip -n sw-$NS link del pb
	ip -n b-$NS link add filler type dummy
	ip -n sw-$NS -batch - <<-END || return 1
		link add pb type veth peer name uplink netns b-$NS
		link set pb master br0 up
	END
	in_b sh -c 'echo 0 >/proc/sys/net/ipv6/conf/uplink/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/uplink/accept_ra'
	in_far sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad'
	ip -n b-$NS link set uplink up
	[ "$1" = vrf ] && { vrf_up a red eth0 && vrf_up b blue uplink && BVRF=blue || return 1; }
	ip -n a-$NS -batch - <<-END || return 1
		addr replace 10.9.0.1/24 dev eth0
		addr replace fd00::1/64 dev eth0 nodad
		addr replace $LL/64 dev eth0 nodad
	END
	ip -n far-$NS addr add fe80::9/64 dev eth0 nodad
}

vrf_up() {
	ip -n $1-$NS -batch - <<-END
		link add $2 type vrf table 10
		link set $2 up
		link set $3 master $2
	END
}

# groups MODE [RULE WORD...]: with the link-local address too
groups() {
	groups_up mode "$1" gap reset "${@:2}" -- addr $LL
}

takeover_link_local() {
	takeover && ip -n b-$NS addr add $LL/64 dev $BDEV nodad
}

# bound ROLE A-DEVICE B-DEVICE: the record says so, and the shadow's socket is bound there
bound() {
	local role

	role=$(field dev_role $W/record)
	[ "$(field dev $W/record)/${role:-$NAMED}" = $2/$1 ] || { cat $W/record; return 1; }
	inject || return 1
	[ "$(ctl b opt 0 device)" = "$3" ] || { say "shadow bound to $(ctl b opt 0 device)"; return 1; }
}

# goes_on ROLE A-DEVICE B-DEVICE
goes_on() {
	bound "$@" && a_dies && takeover_link_local && resumed && talks b 0
}

# Mode lossless wants to know what was vouched for: all of it.
vouched() {
	talks a 1 && record || return 1
	with rcv_vouched=$(field rcv_nxt $W/record) snd_vouched=$(field write_seq $W/record)
}

# vrf MODE TO LISTEN-AT
vrf() {
	HOLD_DEV=red
	devices vrf && groups $1 && connect $2 $3 && vouched && goes_on $VRF red blue && sent_nothing_odd
}

# What leaves box b in a VRF passes two devices, and the fence: nothing of it is lost there once it is active.
sent_nothing_odd() { stat_is b fenced_segments 0 && stat_is b broken 0; }

# A listener that is bound to nothing, and takes connections of all VRFs
l3mdev_accept() {
	devices vrf && groups adopt && in_a sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_l3mdev_accept' || return 1
	connect 10.9.0.1 0.0.0.0 && record && goes_on $VRF red blue
}

# bind_to_service TO LISTEN-AT [vrf]
bind_to_service() {
	HOLD_DEV=eth0
	devices $3 && groups adopt && connect $1 $2 && record && goes_on $SERVICE eth0 uplink
}

# link_local LISTEN-AT [vrf]: the far end's address is link-local, its scope binds the socket
link_local() {
	devices $2 && groups adopt && connect "$LL%eth0" "$1" && record && goes_on $SERVICE eth0 uplink
}

# The box connects: active opens are bound by the scope too.
link_local_active_open() {
	devices && groups adopt && in_a $TOOL rule-set 1 2 rport 5000 mode adopt gap reset || return 1
	hold a && hold far && ctl far listen "fe80::9%eth0" 5000 >/dev/null || return 1
	ctl a connect "fe80::9%eth0" 5000 1 "$LL%eth0" | grep -q connected=1 || return 1
	ctl far accept 0 >/dev/null
	until_ok 10 one_conn_on_a && record && bound $SERVICE eth0 uplink && a_dies && takeover_link_local || return 1
	resumed && ctl b send 0 hello >/dev/null && until_ok 20 got far 1 hello
}

# A device that is nothing to the group counts by its name: box b's uplink is called as box a's is.
named() {
	HOLD_DEV=eth0
	devices && ip -n b-$NS link set uplink down && ip -n b-$NS link set uplink name eth0 && BDEV=eth0 || return 1
	ip -n b-$NS link set eth0 up
	groups adopt && in_a $TOOL group-set 1 addr 10.9.0.1 && connect && record && goes_on $NAMED eth0 eth0
}

# refused WORDS REASON: a record that box b has no device for
refused() {
	devices && groups adopt && connect && record && with $1 || return 1
	nsenter --net="/run/netns/b-$NS" $TOOL inject 1 <$W/record >$W/inject 2>&1
	grep -q "$2" $W/inject && [ -z "$(in_b $TOOL conns)" ] || { cat $W/inject; return 1; }
}

# Control: a record that says nothing of the device makes a socket that hears nothing in the VRF.
needs_device() {
	HOLD_DEV=red
	devices vrf && groups adopt && connect && record || return 1
	sed -i 's/ dev=[^ ]*//; s/ dev_role=[^ ]*//' $W/record
	in_b $TOOL rule-set 1 1 lport 5000 mode adopt && inject && a_dies && takeover_link_local || return 1
	ctl far send 0 hello >/dev/null
	until_ok 20 stat_above b no_socket_drops 1 && on_b phase 1
}

stat_above() { [ "$(stat_of "$1" "$2")" -gt "$3" ]; }

# Both went, and came back under other indexes, between the shadow's birth and the takeover.
made_anew() {
	HOLD_DEV=red
	devices vrf && groups adopt && connect && record && bound $VRF red blue || return 1
	ip -n b-$NS link del blue && ip -n b-$NS link add filler2 type dummy && vrf_up b blue uplink || return 1
	a_dies && takeover_link_local && resumed && talks b 0 && [ "$(ctl b opt 0 device)" = blue ]
}

# A rule for the VRF is for sockets bound to its ports too; a rule for another VRF is for none of them.
rule_of_vrf() {
	HOLD_DEV=$1
	devices vrf && groups_up mode adopt gap reset dev red && connect || return 1
	ip -n a-$NS link add green type vrf table 20
	in_a $TOOL flush 1 && in_a $TOOL rule-set 1 1 lport 5000 mode adopt dev green || return 1
	[ "$(ctl far connect 10.9.0.1 5000)" ] && ctl a accept 0 && [ -z "$(in_a $TOOL conns)" ]
}

# unknown [RULE]: the far end goes on with a connection that box b does not know, in its VRF, while another
# one is still to be adopted
unknown() {
	HOLD_DEV=red
	devices vrf && groups adopt && connect && record && with raddr=10.9.0.200 || return 1
	in_b $TOOL rule-set 1 1 lport ${1:-5000} mode adopt && inject && a_dies && takeover_link_local || return 1
	ctl far send 0 are-you-there >/dev/null
}

unknown_is_dropped() {
	unknown && until_ok 20 stat_above b no_socket_drops 1 && [ "$(ctl far recv 0)" = EAGAIN ]
}

unknown_is_reset() { unknown 5001 && until_ok 20 far_is_reset; }

far_is_reset() { [ "$(ctl far recv 0)" = ECONNRESET ]; }

# The link-local address of another interface is none of the group's.
other_link() {
	devices && groups adopt || return 1
	ip -n b-$NS link add other type veth peer name other netns far-$NS
	in_b sh -c 'echo 0 >/proc/sys/net/ipv6/conf/other/accept_dad'
	in_far sh -c 'echo 0 >/proc/sys/net/ipv6/conf/other/accept_dad'
	ip -n far-$NS -batch - <<-END || return 1
		link set other up
		addr add fe80::8/64 dev other nodad
	END
	ip -n b-$NS -batch - <<-END || return 1
		link set other up
		addr add $LL/64 dev other nodad
		addr add $LL/64 dev uplink nodad
	END
	until_ok 20 in_b ping -c 1 -W 1 -I $LL%other fe80::8 || return 1
	# Control: on its own interface it is fenced, since box b is the standby.
	! in_b ping -c 1 -W 1 -I $LL%uplink fe80::9 >/dev/null && stat_above b fenced_frames 0
}

# Box a has the service address in two VRFs, each with a group and a far end of the same address.
two_vrfs() {
	devices vrf && groups adopt || return 1
	ip -n a-$NS link add other address 00:00:5e:00:01:08 type veth peer name other netns far-$NS
	ip -n a-$NS -batch - <<-END || return 1
		link add green type vrf table 20
		link set green up
		link set other master green
		link set other up
		addr add 10.9.0.1/24 dev other
	END
	ip -n far-$NS -batch - <<-END || return 1
		link add two type vrf table 20
		link set two up
		link set other master two
		link set other up
		addr add 10.9.0.9/24 dev other
	END
	in_a $TOOL group-set 2 dev other mac 00:00:5e:00:01:08 addr 10.9.0.1 && in_a $TOOL rule-set 2 1 lport 5000 mode adopt &&
		in_a $TOOL role 2 active lease 3600000 >/dev/null
}

overlap() {
	local n

	two_vrfs || return 1
	HOLD_DEV=red
	connect && in_a $TOOL conns 1 >$W/record && [ "$(field dev $W/record)" = red ] || return 1
	nsenter --net="/run/netns/a-$NS" $TOOL hold $W/green.ctl dev green &
	nsenter --net="/run/netns/far-$NS" $TOOL hold $W/two.ctl dev two &
	until_ok 20 test -S $W/green.ctl && until_ok 20 test -S $W/two.ctl || return 1
	ctl green listen 10.9.0.1 5000 >/dev/null
	ctl two connect 10.9.0.1 5000 | grep -q connected=1 && ctl green accept 0 >/dev/null || return 1
	until_ok 10 conns_on_a 2 && in_a $TOOL conns 2 >$W/record && [ "$(field dev $W/record)" = green ] || return 1
	# Group 1 falls silent, and group 2 does not.
	in_a $TOOL mute 1 >/dev/null && ctl two send 0 hello >/dev/null && until_ok 20 got green 1 hello || return 1
	ctl green send 1 answer >/dev/null && until_ok 20 got two 0 answer || return 1
	ctl a send 1 never >/dev/null && until_ok 20 stat_above a fenced_frames 0 && [ "$(ctl far recv 0)" = EAGAIN ]
}

# other_net BOX [VRF]: it has the service address on another interface too, with a far end of the same address.
other_net() {
	local n=$1 vrf=$2

	ip -n $n-$NS link add other type veth peer name other netns far-$NS
	[ -z "$vrf" ] || ip -n $n-$NS link set other master $vrf
	in_$n sh -c 'echo 0 >/proc/sys/net/ipv6/conf/other/accept_dad'
	in_far sh -c 'echo 0 >/proc/sys/net/ipv6/conf/other/accept_dad'
	ip -n $n-$NS -batch - <<-END || return 1
		link set other up
		addr add 10.9.0.1/24 dev other
		addr add $LL/64 dev other nodad
	END
	ip -n far-$NS -batch - <<-END
		link add two type vrf table 20
		link set two up
		link set other master two
		link set other up
		addr add 10.9.0.9/24 dev other
		addr add fe80::9/64 dev other nodad
	END
}

# other_connect BOX TO [DEVICE [FROM]]: the far end does from there; what box BOX accepts is bound to nothing (unless by a scope)
other_connect() {
	local n=$1

	nsenter --net="/run/netns/$n-$NS" $TOOL hold $W/other.ctl &
	nsenter --net="/run/netns/far-$NS" $TOOL hold $W/two.ctl dev ${3:-two} &
	until_ok 20 test -S $W/other.ctl && until_ok 20 test -S $W/two.ctl || return 1
	ctl other listen :: 5000 >/dev/null
	ctl two connect $2 5000 ${4:+1 "$4"} >$W/two
	grep -q connected=1 $W/two && ctl other accept 0 >/dev/null && ctl other close 0 >/dev/null
}

# The group's address in no VRF is not the group's, which is in one; and its own connections are, with one group too.
unbound_is_elsewhere() {
	devices vrf && groups adopt && other_net a && other_connect a 10.9.0.1 || return 1
	in_a $TOOL rule-set 1 2 lport 5000 mode adopt && conns_on_a 0 || return 1
	HOLD_DEV=red
	connect && [ "$(field dev $W/conns.a)" = red ]
}

# The other way round: the group is in no VRF, and what is in one is not its own.
bound_is_elsewhere() {
	devices && groups adopt && ip -n a-$NS link add green type vrf table 20 && ip -n a-$NS link set green up || return 1
	in_a sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_l3mdev_accept'
	other_net a green && other_connect a 10.9.0.1 || return 1
	in_a $TOOL rule-set 1 2 lport 5000 mode adopt && conns_on_a 0 && connect && [ -z "$(field dev $W/conns.a)" ]
}

other_port() { in_b ss -tnH state established 'sport = :5000' | sed -n 's/.*:\([0-9]*\) *$/\1/p' | head -n 1; }

# A connection in no VRF, of the same addresses and ports, is not in the way of one in a VRF. Control: of one in none.
# ORDER: it is there before the group: what is mute has its address in no VRF for itself.
not_taken() {
	devices vrf && other_net b && other_connect b 10.9.0.1 || return 1
	HOLD_DEV=red
	groups adopt && connect && record || return 1
	with rport=$(other_port) && bound $VRF red blue || return 1
	sed -i 's/ dev=[^ ]*//; s/ dev_role=[^ ]*//' $W/record
	with id=77
	taken
}

taken() {
	nsenter --net="/run/netns/b-$NS" $TOOL inject 1 <$W/record >$W/inject 2>&1
	grep -q EEXIST $W/inject || { cat $W/inject; return 1; }
}

# The same link-local addresses and ports on two links are two connections. Control: on one link.
two_links() {
	devices && groups adopt && connect "$LL%eth0" "$LL%eth0" && record && other_net b || return 1
	other_connect b $LL%other other fe80::9%other && with raddr=fe80::9 rport=$(other_port) && bound $SERVICE eth0 uplink || return 1
	with id=77 && taken || return 1
	with dev=other dev_role=0 && taken
}

# on_macvlan DEVICE TO LISTEN-AT ROLE A-DEVICE B-DEVICE: the addresses are on a macvlan, which is in a VRF, and its parent in none
on_macvlan() {
	devices || return 1
	ip -n a-$NS -batch - <<-END || return 1
		addr flush dev eth0
		link set eth0 address 02:00:00:00:00:0a
		link add mv link eth0 address $MAC type macvlan mode bridge
	END
	ip -n b-$NS link add other-mv link uplink address $MAC type macvlan mode bridge
	in_a sh -c 'echo 0 >/proc/sys/net/ipv6/conf/mv/accept_dad'
	vrf_up a red mv && vrf_up b blue other-mv || return 1
	ip -n a-$NS -batch - <<-END || return 1
		link set mv up
		addr add 10.9.0.1/24 dev mv
		addr add $LL/64 dev mv nodad
	END
	HOLD_DEV=${1#-}
	groups adopt && connect $2 $3 && record && bound $4 $5 $6
}

# recorded DEVICE ROLE: on box a
recorded() {
	local role

	record && role=$(field dev_role $W/record)
	[ "$(field dev $W/record)/${role:-$NAMED}" = $1/$2 ]
}

# said WORDS...: to box b, of the shadow
said() { in_b $TOOL conn-set id="$(field id $W/record)" "$@"; }

# Bound when it has been protected for a while, and the device renamed then.
follows() {
	devices && groups adopt && connect && recorded "" $NAMED && inject || return 1
	nsenter --net="/run/netns/a-$NS" $TOOL monitor >$W/events.a 2>&1 &
	until_ok 20 grep -q monitoring $W/events.a && [ "$(ctl a opt 1 device eth0)" = ok ] || return 1
	until_ok 20 recorded eth0 $SERVICE && until_ok 20 grep -q 'event=change .*dev=eth0 dev_role=1' $W/events.a || return 1
	said dev=eth0 dev_role=$SERVICE && [ "$(ctl b opt 0 device)" = uplink ] || return 1
	ip -n a-$NS link set eth0 down && ip -n a-$NS link set eth0 name svc0 && ip -n a-$NS link set svc0 up || return 1
	until_ok 20 recorded svc0 $SERVICE && said dev=svc0 dev_role=$SERVICE || return 1
	# What a device was that is gone, counts on the other box.
	ip -n a-$NS link del svc0 && sleep 1 && recorded svc0 $SERVICE || return 1
	takeover_link_local && resumed && talks b 0
}

# A device that box b lacks is said once; what else was said is taken, and another word for the device too.
follows_not() {
	devices && groups adopt && connect && record && inject || return 1
	said dev=nosuch dev_role=$NAMED snd_wnd=4242 2>&1 | grep -q 'DEV_NAME: it is bound to device nosuch' || return 1
	said dev=nosuch dev_role=$NAMED && on_b dev nosuch && on_b snd_wnd 4242 && said dev=uplink || return 1
	[ "$(ctl b opt 0 device)" = uplink ] && said dev= && [ -z "$(ctl b opt 0 device)" ] || return 1
	a_dies && takeover_link_local && resumed && talks b 0
}

# The longest name, and one that could be a message to a terminal; and what is too long.
names() {
	local name=$1

	HOLD_DEV=eth0
	devices && ip -n b-$NS link set uplink down && ip -n b-$NS link set uplink name "$name" && BDEV=$name || return 1
	groups adopt && connect && record && in_b $TOOL group-set 1 addr 10.9.0.1 && with dev_role=0 || return 1
	nsenter --net="/run/netns/b-$NS" $TOOL inject 1 $(cat $W/record) dev=sixteen--letters </dev/null 2>&1 |
		grep -q 'ERANGE\|EINVAL' || return 1
	with "dev=$name" && bound $NAMED "$name" "$name"
}

# Enslaved after GROUP_SET, so that two groups have one address in one VRF: GROUP_SET would have refused that. The one that
# was there first has it, and it is in the kernel's log.
enslaved_later() {
	devices vrf && groups adopt && ip -n a-$NS link add other type dummy || return 1
	in_a $TOOL group-set 2 dev other addr 10.9.0.1 && in_a $TOOL rule-set 2 1 lport 5000 mode adopt &&
		in_a $TOOL role 2 active lease 3600000 >/dev/null && ip -n a-$NS link set other master red || return 1
	dmesg | grep -q 'tcp_nsr: groups 1 and 2 .*10.9.0.1' || { dmesg | grep tcp_nsr; return 1; }
	HOLD_DEV=red
	connect && [ "$(field group $W/conns.a)" = 1 ]
}

# Control: in one VRF two groups may not have it.
no_overlap() {
	devices vrf && groups adopt || return 1
	ip -n a-$NS link add other type dummy && ip -n a-$NS link set other master red || return 1
	in_a $TOOL group-set 2 dev other addr 10.9.0.1 2>&1 | grep -q EBUSY
}

md5_in_vrf() {
	MD5=secret.$RANDOM HOLD_DEV=red
	devices vrf && groups adopt && connect && record && inject md5 10.9.0.9 $MD5 || return 1
	a_dies && takeover_link_local && resumed && talks b 0
}

tests=(
	"VRF, IPv4" "vrf adopt 10.9.0.1 10.9.0.1"
	"VRF, IPv6" "vrf adopt fd00::1 fd00::1"
	"VRF, v4-mapped" "vrf adopt 10.9.0.1 ::"
	"VRF, IPv4, lossless" "vrf lossless 10.9.0.1 10.9.0.1"
	"VRF, IPv6, lossless" "vrf lossless fd00::1 fd00::1"
	"VRF, signed" md5_in_vrf
	"VRF, a listener for all of them" l3mdev_accept
	"bound to the service interface, IPv4" "bind_to_service 10.9.0.1 10.9.0.1"
	"bound to the service interface, IPv6" "bind_to_service fd00::1 fd00::1"
	"bound to the service interface, v4-mapped" "bind_to_service 10.9.0.1 ::"
	"bound to the service interface, in a VRF" "bind_to_service 10.9.0.1 10.9.0.1 vrf"
	"link-local" "link_local $LL%eth0"
	"link-local, a listener on all addresses" "link_local ::"
	"link-local, in a VRF" "link_local $LL%eth0 vrf"
	"link-local, active open" link_local_active_open
	"a device by its name" named
	"refused: no such device" "refused dev=nosuch DEV_NAME:.it.is.bound"
	"refused: no VRF here" "refused dev_role=2 in.no.VRF.here"
	"control: without the device in the record" needs_device
	"a device that was made anew" made_anew
	"a rule for the VRF" "rule_of_vrf red"
	"a rule for the VRF, a socket bound to its port" "rule_of_vrf eth0"
	"drop, not reset, in a VRF" unknown_is_dropped
	"control: other ports are answered" unknown_is_reset
	"a link-local address is one of its link" other_link
	"one address in two VRFs" overlap
	"control: not in one VRF" no_overlap
	"enslaved later: not in one VRF, said" enslaved_later
	"a socket that is bound to nothing is in no VRF" unbound_is_elsewhere
	"a group in no VRF, a socket in one" bound_is_elsewhere
	"a connection in no VRF is not in the way" not_taken
	"one pair of link-local addresses, two links" two_links
	"a macvlan in a VRF" "on_macvlan red 10.9.0.1 10.9.0.1 $VRF red blue"
	"a macvlan, link-local" "on_macvlan - $LL%eth0 $LL%mv $SERVICE mv other-mv"
	"bound to another device later, and that renamed" follows
	"bound to a device later that is not there" follows_not
	"a name of 15 characters" "names fifteen-letters"
	"a name with other bytes" "names $(printf 'e\033[2J\303\251')"
)

modprobe -q vrf
grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
run_tests "${1:-}"
