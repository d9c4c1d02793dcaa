#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nsr-bgpd on the pair of tests/lib/pair.sh, BIRD and FRR on the service network. All sides change their tables
# at random; boxes die and change places. Each time, Adj-RIB-In and Adj-RIB-Out of the active *and* of the
# standby are what BIRD and FRR say; no session is ever reset.
#
#	bird 10.0.0.2, 2001:db8::2 ---+              +--- box a
#	                              +--- bridge ---+
#	frr  10.0.0.3, 2001:db8::3 ---+              +--- box b

cd "$(dirname "$0")/.." || exit 1
: "${PAIR_MODE:=lossless}"
. tests/lib/pair.sh
RANDOM=$NSR_SEED
PORT=179
. tests/lib/bgp_pair.sh
HOLD=30			# not 9: far ends are stopped for a while, on machines of any speed

# ---- configurations: the same on both boxes but for the sockets; NUMBER of networks ----

our_config() {
	local box

	our_networks "$1" >"$BGP_DIR/our.networks"
	for box in a b; do
		cat >"$PAIR/$box/bgpd.conf" <<-END
		local-as = $OUR_AS
		router-id = $VIP4
		listen = { "$VIP4", "$VIP6" }
		group = edge
		application = "${APPLICATION[$box]:-bgpd}"
		nsrd-socket = "$PAIR/$box/run/app.sock"
		control-socket = "$PAIR/$box/bgpd.sock"
		next-hop = $VIP4
		next-hop6 = "$VIP6"
		connect-retry = 1
		neighbor 10.0.0.2 { remote-as = $BIRD_AS passive = yes hold-time = $HOLD }
		neighbor "2001:db8::2" { remote-as = $BIRD_AS hold-time = $HOLD local-address = "$VIP6" }
		neighbor 10.0.0.3 { remote-as = $FRR_AS hold-time = $HOLD local-address = $VIP4 }
		neighbor "2001:db8::3" { remote-as = $FRR_AS passive = yes hold-time = $HOLD }
		END
		cat "$BGP_DIR/our.networks" >>"$PAIR/$box/bgpd.conf"
	done
}

bird_all() {
	bird_config $HOLD <<-END
	protocol bgp bird4 from peer { local 10.0.0.2 as $BIRD_AS; neighbor $VIP4 as $OUR_AS; }
	protocol bgp bird6 from peer { local 2001:db8::2 as $BIRD_AS; neighbor $VIP6 as $OUR_AS; passive; }
	END
	bird_networks "$1"
}

frr_all() {
	frr_config $HOLD <<-END
	 neighbor $VIP4 remote-as $OUR_AS
	 neighbor $VIP4 passive
	 neighbor $VIP4 soft-reconfiguration inbound
	 neighbor $VIP6 remote-as $OUR_AS
	 neighbor $VIP6 timers connect 1
	 address-family ipv4 unicast
	  neighbor $VIP4 activate
	 exit-address-family
	 address-family ipv6 unicast
	  neighbor $VIP6 activate
	  network 2001:db8:4000::/48
	  network 2001:db8:4001::/48
	 exit-address-family
	END
}

established() {	# BOX
	[ "$(bgpd_show "$1" neighbors | grep -c 'state established')" = 4 ]
}

# ---- comparing ----

table() {	# BOX in|out NEIGHBOR, from one look at the box
	our_lines "$2" "$3" <"$PAIR/$1/rib.json"
}

# Both far ends say what box $1 says, in both directions
tables_equal() {
	local n

	bgpd_show "$1" rib --json >"$PAIR/$1/rib.json" || return 1
	for n in "bird4 10.0.0.2" "bird6 2001:db8::2"; do
		set -- "$1" $n
		same "box $1: what BIRD has of $2" "$(bird_has "$2")" "$(table "$1" out "$3")" || return 1
		same "box $1: what we have of BIRD's $2" "$(table "$1" in "$3")" \
			"$(bird_sends "$2" 10.0.0.2 2001:db8::2)" || return 1
	done
	for n in "ipv4 $VIP4 10.0.0.3 ^[0-9]+\\." "ipv6 $VIP6 2001:db8::3 :"; do
		set -- "$1" $n
		same "box $1: what FRR has, $2" "$(short "$(frr_has "$2 unicast" "$3")")" \
			"$(short "$(table "$1" out "$4" | only "$5")")" || return 1
		same "box $1: what we have of FRR, $2" "$(short "$(table "$1" in "$4" | only "$5")")" \
			"$(short "$(frr_sends "$2 unicast" "$3")")" || return 1
	done
}

both_equal() { tables_equal a && tables_equal b; }

not_small() {	# BOX
	[ "$(table "$1" in 10.0.0.2 | wc -l)" -gt 60 ] && [ "$(table "$1" out 2001:db8::2 | wc -l)" -gt 40 ] &&
		[ "$(table "$1" in 10.0.0.3 | wc -l)" -gt 20 ]
}

# ---- changing ----

change_begin() {	# ACTIVE: new tables everywhere; most prefixes stay, with other attributes
	our_config $((60 + RANDOM % 60))
	kill -HUP ${APP_PID[$1]}
	bird_all $((60 + RANDOM % 60)) >"$BGP_DIR/bird.conf"
	birdc_ configure >"$BGP_DIR/birdc.out"
	frr_change $((40 + RANDOM % 40))
}

change() {	# ACTIVE
	change_begin "$1"
	until_ok 120 both_equal
}

# mode adopt promises exactness for connections that are quiet when the active dies: nobody says a word
hold_still() {	# ACTIVE
	kill -STOP $BIRD_PID $FRR_PID ${APP_PID[$1]}
	until_ok 30 same_digest
}

go_on() {
	kill -CONT $BIRD_PID $FRR_PID
}

# ---- what must not change ----

untouched() {
	same_since "$SINCE" "$(bird_since)" && same "FRR's counts" "$COUNTS" "$(frr_counts)" &&
		[ "$(frames bird)" = 0 ] && [ "$(frames frr)" = 0 ]
}

declare -A APPLICATION
ktap_print_header
tool=$(bgp_tools_missing) && { ktap_skip_all "$tool is not installed"; exit 4; }
ktap_set_plan 18
pair_create || exit 1
trap bgp_end EXIT
mkdir -p "$BGP_DIR"
bgp_far bird 10.0.0.2/24 2001:db8::2/64
bgp_far frr 10.0.0.3/24 2001:db8::3/64
our_config 80
bird_all 80 >"$BGP_DIR/bird.conf"
frr_all >"$BGP_DIR/frr.conf"
bird_start
frr_start
until_ok 60 frr_listens
box_start a
box_start b
bgpd_start a
bgpd_start b
check "one box becomes active, the other one ready" pair_up a b
check "four sessions: IPv4 and IPv6, opened by either side" until_ok 120 established a
frr_change 60
check "both boxes' tables are what BIRD and FRR say" until_ok 120 both_equal
check "and they are not small" eval 'not_small a && not_small b'
SINCE=$(bird_since) COUNTS=$(frr_counts)
CLOSING='tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 or (ip6 and tcp and ip6[53] & 5 != 0)'
capture bird bird eth0 "$CLOSING"
capture frr frr eth0 "$CLOSING"
check "random changes on all sides: equal on both boxes" eval 'change a && change a'

hold_still a
box_die a
check "the active dies, cables and all: the other box takes over" until_ok 60 is_state b active
go_on
check "all sessions are its own" until_ok 60 established b
check "its tables are what BIRD and FRR say" until_ok 120 tables_equal b
change_begin b
box_reboot a
bgpd_start a
check "the reborn box becomes ready while tables change" pair_up b a
check "by snapshot and live records: equal on both boxes" until_ok 120 both_equal

change_begin b
check "planned switchover in the midst of changes" ctl b switchover --yes
check "back again, and equal on both boxes" eval 'pair_up a b && until_ok 120 both_equal'

hold_still a
box_kill a
check "only its processes are killed: the other box takes over" until_ok 60 is_state b active
go_on
box_reboot a
bgpd_start a
pair_up b a
check "changes afterwards: equal on both boxes" change b
check "the far ends' sessions are those from the start, no FIN, no RST" untouched

# Controls: a standby that is not this application's, and an end that is no takeover.
kill -TERM ${APP_PID[a]}
wait ${APP_PID[a]}
APPLICATION[a]=another
our_config 80
bgpd_start a
change_begin b
check "control: the active's tables alone are equal" until_ok 120 tables_equal b
refute "control: another application's are not" until_ok 5 tables_equal a
kill -TERM ${APP_PID[b]}
until_ok 60 eval '! untouched'
refute "control: the speaker is told to end, and the far ends see it" untouched
ktap_finished
