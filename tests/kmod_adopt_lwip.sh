#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A far end whose TCP is lwIP, as Debian builds it: no SACK, no timestamps, so no nonce. Age decides
# where the connection goes on; a planned switchover needs neither.

. "$(dirname "$0")/lib/adopt.sh"

# lwIP is the far end at 10.9.0.7, on a TAP device bridged to the wire; far's tool speaks to it locally.
lwip_up() {
	groups_up "$@" || return 1
	ip -n far-$NS link add lbr type bridge && ip -n far-$NS link set lbr up
	in_far ip tuntap add dev lt0 mode tap && ip -n far-$NS link set lt0 master lbr up
	ip -n far-$NS addr flush dev eth0
	ip -n far-$NS link set eth0 master lbr
	hold a || return 1
	A_PID=$HOLD_PID
	hold far || return 1
	ctl a listen 10.9.0.1 5000 >/dev/null
	nsenter --net="/run/netns/far-$NS" $NSR_B/tests/farend_lwip -t lt0 -a 10.9.0.7/24 -p 7000 -c 10.9.0.1:5000 \
		>$W/lwip 2>&1 &
	until_ok 20 grep -q ready $W/lwip || { cat $W/lwip; return 1; }
	ctl far connect 127.0.0.1 7000 1 >/dev/null
	ctl a accept 0 >/dev/null
	until_ok 20 one_conn_on_a && talks a 1 && until_ok 20 all_acked && record || return 1
	say "flags $(field flags $W/record)"
}

by_age() {
	lwip_up mode adopt gap report -- life 3000 && inject && a_dies && takeover && resumed 60 || return 1
	stat_is b adopted_age 1 && on_b snd_uncertain 1 && talks b 0
}

by_age_reset() {
	lwip_up mode adopt gap reset -- life 3000 && inject && monitor && a_dies && takeover || return 1
	until_ok 60 event event=del cause=3 snd_uncertain=1 && until_ok 20 far_is_reset
}

far_is_reset() { [ "$(ctl far recv 0)" = ECONNRESET ]; }

lwip_says() { sed "s/^/lwIP: /" $W/lwip; return 1; }

# Control: what the far end has not acknowledged is not handed over, whatever the daemons say.
not_acknowledged() {
	lwip_up mode adopt gap report -- life 3000 || return 1
	with flags=$(($(field flags $W/record) | 128)) snd_una=$(($(field write_seq $W/record) - 5))
	inject && a_dies && takeover && resumed 60 && stat_is b adopted_handover 0 && stat_is b adopted_age 1 &&
		talks b 0
}

planned() {
	lwip_up mode adopt gap reset && with flags=$(($(field flags $W/record) | 128)) && inject && a_dies &&
		takeover && resumed && stat_is b adopted_handover 1 && talks b 0 && bulk b 0 200000 || lwip_says
}

modprobe -q tun
grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
ktap_print_header
say "seed $NSR_SEED"
tests=(
	"lwIP: adopted by age" by_age
	"lwIP, gap reset: reset, named" by_age_reset
	"lwIP: planned switchover" planned
	"control: without an acknowledgement it is none" not_acknowledged
)
run_tests "${1:-}"
