#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Connections that a rule matches and that cannot be taken over: each is told with its reason, is in the table until it
# ends, and works as any other. Topology: tests/lib/adopt.sh, without box b.

. "$(dirname "$0")/lib/adopt.sh"

KINDS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lib/kinds.py
MPTCP=1 AO=2 FASTOPEN=3 ULP=4

# tcp_fastopen: 1 and 2: client and server; 4 and 0x200: without a cookie; 0x400: every listener
TFO=0x607 COOKIE=0x403

test_reset() { FO=$TFO; }

# ORDER: nsenter itself in the background, since $! is to be killed
serve() {
	in_a sh -c "echo $FO >/proc/sys/net/ipv4/tcp_fastopen"
	nsenter --net="/run/netns/a-$NS" python3 $KINDS serve $1 0.0.0.0 5000 2>$W/serve.err &
	SERVER=$!
	until_ok 30 listening a
}

listening() { in_$1 ss -ltnH 'sport = :5000' | grep -q LISTEN; }

# ask KIND: the far end's client, its standard input at descriptor 9
ask() {
	in_far sh -c "echo $FO >/proc/sys/net/ipv4/tcp_fastopen"
	rm -f $W/in && mkfifo $W/in
	nsenter --net="/run/netns/far-$NS" python3 $KINDS ask $1 10.9.0.1 5000 <$W/in >$W/ask.out 2>$W/ask.err &
	CLIENT=$!
	exec 9>$W/in
	until_ok 30 oks 1 || { cat $W/ask.err $W/serve.err; return 1; }
}

oks() { [ "$(grep -c ok $W/ask.out)" = "$1" ]; }

works() {
	local n

	n=$(grep -c ok $W/ask.out)
	echo "again $RANDOM" >&9
	until_ok 30 oks $((n + 1)) || { cat $W/ask.err; return 1; }
}

events_of_a() {
	nsenter --net="/run/netns/a-$NS" $TOOL monitor >$W/events.a 2>&1 &
	until_ok 20 grep -q monitoring $W/events.a
}

# on_a NAME VALUE: of the only connection in its table
on_a() {
	in_a $TOOL conns >$W/conns.a
	[ "$(wc -l <$W/conns.a)/$(field $1 $W/conns.a)" = "1/$2" ]
}

refused_as() {
	until_ok 20 on_a phase 4 && on_a refused $1 && until_ok 20 grep -q "event=refused .*refused=$1" $W/events.a &&
		! grep -q event=add $W/events.a && stat_is a conns_refused_kind 1 && stat_is a conns_added 0 &&
		stat_is a conns_lost 0 && stat_is a conns 0 && stat_is a refused 1 ||
		{ cat $W/events.a $W/conns.a; return 1; }
}

gone() {
	exec 9>&-
	until_ok 20 conns_on_a 0 && until_ok 20 grep -q 'event=del .*phase=4' $W/events.a && stat_is a conns_closed 0
}

# kind SERVER-KIND CLIENT-KIND REASON
kind() {
	groups_up mode ${4:-adopt} gap reset && events_of_a && serve $1 && ask $2 && refused_as $3 && works && gone
}

# Control: the same server, and a client that asks for nothing special
not_refused() {
	groups_up mode ${2:-adopt} gap reset && events_of_a && serve $1 && ask plain && until_ok 20 on_a phase 0 || return 1
	works && stat_is a conns_refused_kind 0
}

# Active open with data in the SYN: the box is the client.
active_open() {
	from_a && until_ok 30 oks 1 && refused_as $FASTOPEN && works && gone
}

# Its SYN asked for a cookie, and the data came after it: nothing that could not be taken over.
cookie_only() {
	FO=$COOKIE
	"$@" && until_ok 30 oks 1 && until_ok 20 on_a phase 0 && stat_is a conns_refused_kind 0 && works || return 1
	asked_for_cookie || { say "no cookie was asked for"; return 1; }
}

to_a() { groups_up mode adopt gap reset && serve plain && ask fastopen; }
asked_for_cookie() {
	in_a ip tcp_metrics show | grep -q fo_cookie || in_far ip tcp_metrics show | grep -q fo_cookie
}

from_a() {
	groups_up mode adopt gap reset && in_a $TOOL rule-set 1 2 rport 5000 mode adopt && events_of_a || return 1
	in_far sh -c "echo $FO >/proc/sys/net/ipv4/tcp_fastopen"
	in_a sh -c "echo $FO >/proc/sys/net/ipv4/tcp_fastopen"
	nsenter --net="/run/netns/far-$NS" python3 $KINDS serve plain 0.0.0.0 5000 &
	until_ok 30 listening far || return 1
	mkfifo $W/in
	nsenter --net="/run/netns/a-$NS" python3 $KINDS ask fastopen 10.9.0.9 5000 <$W/in >$W/ask.out 2>$W/ask.err &
	exec 9>$W/in
}

# Older than the role: found by the walk over all sockets, and counted once, however often that runs.
scanned() {
	serve $1 && ask plain && groups_up mode adopt gap reset && until_ok 20 on_a refused $2 || return 1
	in_a $TOOL rule-set 1 3 lport 5000 mode adopt && until_ok 20 on_a refused $2 && stat_is a conns_refused_kind 1 && works
}

# Refused ones have no place of those that can be protected, and the other way round.
cap() {
	groups_up mode adopt gap reset && in_a $TOOL ns-set max-conns 1 && serve plain && ask fastopen || return 1
	until_ok 20 on_a phase 4 && hold far && in_a $TOOL rule-set 1 2 lport 5001 mode adopt && hold a || return 1
	ctl a listen 10.9.0.1 5001 >/dev/null
	ctl far connect 10.9.0.1 5001 >/dev/null
	ctl a accept 0 >/dev/null
	until_ok 20 conns_on_a 2 && stat_is a conns 1 && stat_is a refused 1 && stat_is a conns_refused_cap 0
}

# later MODE [COMMAND]: it was protected when the application asked for TLS. Until somebody opens its gate, who has told
# the standby, nothing leaves of what that holds back.
later() {
	groups_up mode $1 gap reset && events_of_a && serve tls-later && ask plain && until_ok 20 on_a phase 0 || return 1
	echo tls >&9
	until_ok 30 oks 2 || { cat $W/ask.err $W/serve.err; return 1; }
	if [ $1 = lossless ]; then
		until_ok 20 grep -q 'event=change .*refused=4' $W/events.a && on_a phase 0 && on_a refused $ULP || return 1
		sleep 1
		far_lacks_acks && ! grep -q event=del $W/events.a || return 1
		if [ $# = 1 ]; then
			in_a $TOOL conn-set id=$(field id $W/conns.a) gate_open=1
		else
			in_a $TOOL "${@:2}"
		fi || return 1
	fi
	until_ok 20 on_a phase 4 && on_a refused $ULP && until_ok 20 far_has_acks || return 1
	until_ok 20 grep -q 'event=del .*phase=0 .*refused=4' $W/events.a && grep -q 'event=refused .*refused=4' $W/events.a &&
		stat_is a conns_lost 1 && stat_is a conns_refused_kind 0 && stat_is a conns_closed 0 || { cat $W/events.a; return 1; }
	[ "$(stat_of a conns)/$(stat_of a refused)" = 0/1 ] && works && gone
}

far_lacks_acks() { in_far ss -tniH 'dport = 5000' | grep -q ' unacked:'; }
far_has_acks() { ! far_lacks_acks; }

# Its application's death is no reason to fall silent for the others, nor is the table in the way of its end.
death() {
	in_a $TOOL group-set 1 dev eth0 mac $MAC addr 10.9.0.1 on-death mute || return 1
	in_a $TOOL rule-set 1 1 lport 5000 mode adopt && in_a $TOOL role 1 active lease 3600000 >/dev/null || return 1
	serve plain && ask $1 && until_ok 20 on_a phase $2 && kill -9 $SERVER || return 1
	until_ok 20 conns_on_a 0 && [ "$(stat_of a role)" = $3 ]
}

flushed() {
	groups_up mode adopt gap reset && serve plain && ask fastopen && until_ok 20 on_a phase 4 || return 1
	in_a $TOOL flush 1 && conns_on_a 0 && works && in_a $TOOL group-del 1
}

reset_by_order() {
	groups_up mode adopt gap reset && events_of_a && serve plain && ask fastopen && until_ok 20 on_a phase 4 || return 1
	! in_a $TOOL conn-set id=$(field id $W/conns.a) rcv_vouched=1 2>/dev/null || return 1
	in_a $TOOL conn-del id=$(field id $W/conns.a) && conns_on_a 0 && works
}

tests=(
	"Fast Open with data in the SYN" "kind plain fastopen $FASTOPEN"
	"Fast Open with data in the SYN, lossless" "kind plain fastopen $FASTOPEN lossless"
	"control: Fast Open allowed, not used" "not_refused plain"
	"Fast Open, active open" active_open
	"Fast Open, only a cookie asked for" "cookie_only to_a"
	"Fast Open, active open, only a cookie asked for" "cookie_only from_a"
	"Multipath TCP" "kind mptcp mptcp $MPTCP"
	"control: Multipath TCP offered, not used" "not_refused mptcp"
	"a socket with a ULP" "scanned tls $ULP"
	"a cap of their own" cap
	"a ULP on a protected connection" "later adopt"
	"a ULP on a protected connection, lossless: its gate opens" "later lossless"
	"a ULP on a protected connection, lossless: the group's gates open" "later lossless ready 1 gates 1"
	"its application dies" "death fastopen 4 active"
	"control: the application of a protected one dies" "death plain 0 standby"
	"flushed" flushed
	"let go by order" reset_by_order
)

grep -q "^tcp_nsr " /proc/modules || insmod "$NSR_KO" || exit 1
modprobe -q tls
# Not every kernel that we serve has TCP-AO.
python3 $KINDS has-ao 2>/dev/null && tests+=("TCP-AO" "kind ao ao $AO")
ktap_print_header
say "seed $NSR_SEED"
run_tests "${1:-}"
