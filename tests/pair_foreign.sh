#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Far ends of other kinds, unmodified, through planned switchovers and deaths while they are quiet: a TCP stack that is
# neither Linux's nor lwIP (libslirp's, which comes from BSD: no timestamps, no SACK, no window scaling), and a BGP
# speaker that no other test has (GoBGP).
#
#	slirp 10.0.0.2 (tap) --+              +--- box a
#	                       +--- bridge ---+
#	gobgp 10.0.0.4 --------+              +--- box b

cd "$(dirname "$0")/.." || exit 1
PAIR_MODE=lossless
PAIR_GROUP_EXTRA='rule { local-port = 179 mode = lossless }'
. tests/lib/pair.sh
. tests/lib/pair_echo.sh
BGPD=$NSR_B/examples/nsr-bgpd
GOBGP_AS=65004 OUR_AS=65010

gobgp_() { ip netns exec "gobgp-$$" gobgp "$@"; }

# ---- slirp: its host's side is the namespace "far", its guest's side the bridge ----

slirp_start() {
	far ip link set lo up
	spawn far slirp4netns --netns-type=path --cidr=10.0.0.0/24 --api-socket "$PAIR/slirp.sock" \
		"/run/netns/sw-$$" tap0 >"$PAIR/slirp.log" 2>&1 </dev/null
	FAR_PIDS="${FAR_PIDS:-} $!"
	until_ok 30 ip -n "sw-$$" link show tap0 && until_ok 30 test -S "$PAIR/slirp.sock" || return 1
	ip -n "sw-$$" link set tap0 master br0 up
	# Who connects to 127.0.0.1:7777 in "far" is connected to the service by slirp.
	echo '{"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": 7777,' \
		"\"guest_addr\": \"$VIP4\", \"guest_port\": $PORT}}" |
		far socat -t 10 - "UNIX-CONNECT:$PAIR/slirp.sock" | grep -q '"return"'
}

# ---- BGP ----

bgp_config() {
	local box

	for box in a b; do
		cat >"$PAIR/$box/bgpd.conf" <<-END
		local-as = $OUR_AS
		router-id = $VIP4
		listen = { "$VIP4" }
		group = edge
		application = bgpd
		nsrd-socket = "$PAIR/$box/run/app.sock"
		control-socket = "$PAIR/$box/bgpd.sock"
		neighbor 10.0.0.4 { remote-as = $GOBGP_AS passive = yes hold-time = 90 }
		network 20.0.0.0/24 { }
		network 20.0.1.0/24 { }
		END
	done
	cat >"$PAIR/gobgp.toml" <<-END
	[global.config]
	  as = $GOBGP_AS
	  router-id = "10.0.0.4"
	[[neighbors]]
	  [neighbors.config]
	    neighbor-address = "$VIP4"
	    peer-as = $OUR_AS
	  [neighbors.timers.config]
	    hold-time = 90
	    connect-retry = 1
	    idle-hold-time-after-reset = 1
	END
}

gobgp_start() {
	ip netns add "gobgp-$$"
	ip -n "gobgp-$$" link set lo up
	ip link add eth0 netns "gobgp-$$" type veth peer name gobgp netns "sw-$$"
	ip -n "sw-$$" link set dev gobgp master br0 up
	ip -n "gobgp-$$" link set eth0 up
	ip -n "gobgp-$$" addr add 10.0.0.4/24 dev eth0
	spawn gobgp gobgpd -f "$PAIR/gobgp.toml" --pprof-disable >"$PAIR/gobgp.log" 2>&1 </dev/null
	GOBGP_PID=$!
	FAR_PIDS="${FAR_PIDS:-} $!"
}

bgpd_start() {	# BOX
	spawn "$1" "$BGPD" -d -c "$PAIR/$1/bgpd.conf" >>"$PAIR/$1/bgpd.log" 2>&1 </dev/null
	APP_PID[$1]="${APP_PID[$1]:-} $!"
}

bgpd_rib() { "$BGPD" --show rib -s "$PAIR/$1/bgpd.sock" 2>/dev/null; }

# Since when: 0 is never
gobgp_since() {
	gobgp_ neighbor "$VIP4" -j | python3 -c '
import json, sys
n = json.load(sys.stdin)
n = n[0] if isinstance(n, list) else n
print(n["timers"]["state"].get("uptime", {}).get("seconds", 0))'
}

gobgp_established() { gobgp_ neighbor "$VIP4" | grep -q "BGP state = ESTABLISHED"; }

has_route() { bgpd_rib "$1" | grep -q "in $2 "; }
gobgp_has() { [ "$(gobgp_ global rib | grep -c "$1")" = "$2" ]; }

# A new route, and the box has it
bgp_goes_on() {	# BOX
	ROUTES=$((ROUTES + 1))
	gobgp_ global rib add "50.0.$ROUTES.0/24" && until_ok 60 has_route "$1" "50.0.$ROUTES.0/24"
}

# ---- what happens to them ----

apps_start() {	# BOX
	echo_start "$1"
	bgpd_start "$1"
}

quiet() {
	kill -STOP ${FAR_PID[slirp]} $GOBGP_PID
	until_ok 30 same_digest
}

talk() {	# BOX
	kill -CONT ${FAR_PID[slirp]} $GOBGP_PID
	goes_on slirp && bgp_goes_on "$1"
}

dies() {	# ACTIVE STANDBY
	quiet
	box_die "$1"
	until_ok 60 is_state "$2" active && talk "$2" || return 1
	box_reboot "$1"
	apps_start "$1"
	pair_up "$2" "$1" && until_ok 30 has_conns "$1" 2
}

switched_over() {	# ACTIVE STANDBY
	ctl "$1" switchover --yes >>"$PAIR/switch.log" 2>&1 && pair_up "$2" "$1" && goes_on slirp && bgp_goes_on "$2" &&
		until_ok 30 has_conns "$1" 2
}

foreign_end() {
	[ "$KTAP_CNT_FAIL" = 0 ] || tail -n 15 "$PAIR"/slirp.log "$PAIR"/gobgp.log "$PAIR"/?/bgpd.log | sed 's/^/# /'
	capture_stop
	pair_destroy
	ip netns del "gobgp-$$"
} 2>/dev/null

ROUTES=0
ktap_print_header
for tool in slirp4netns gobgpd gobgp socat python3; do
	command -v $tool >/dev/null || { ktap_skip_all "$tool is not installed"; exit 4; }
done
ktap_set_plan 13
modprobe -q tun
pair_create || exit 1
trap foreign_end EXIT
bgp_config
box_start a
box_start b
check "the pair is protected" pair_up a b
apps_start a
apps_start b
check "slirp is on the service network" slirp_start
gobgp_start
capture slirp sw tap0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0'
far_start slirp 127.0.0.1:7777
check "its connection is answered" goes_on slirp
check "GoBGP's session is up" until_ok 120 gobgp_established
capture gobgp gobgp eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0'
SINCE=$(gobgp_since)
check "and routes go both ways" eval 'bgp_goes_on a && until_ok 60 gobgp_has " 20\.0\." 2'
until_ok 30 has_conns b 2
active=a standby=b
for how in switched_over switched_over dies dies switched_over; do
	check "${how/_/ } from $active: both go on" $how $active $standby
	set -- $active
	active=$standby standby=$1
done
capture_stop
check "no FIN and no RST, GoBGP's session is the one from the start" eval '
	[ "$(frames slirp)" = 0 ] && [ "$(frames gobgp)" = 0 ] && [ "$SINCE" != 0 ] && [ "$(gobgp_since)" = "$SINCE" ]'
check "each of slirp's requests was answered exactly once" far_end slirp
# Control: what the capture looks for it does see.
capture gobgp gobgp eth0 'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0'
kill -TERM ${APP_PID[$active]##* }
until_ok 30 eval '[ "$(frames gobgp)" -gt 0 ]'
capture_stop
refute "control: the speaker is told to end: GoBGP's session is another" eval '
	[ "$(frames gobgp)" = 0 ] && [ "$(gobgp_since)" = "$SINCE" ]'
ktap_finished
