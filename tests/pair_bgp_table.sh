#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Full tables: BIRD and FRR send TABLE routes each to nsr-bgpd on the pair, and get as many back, while the active
# dies in mid-transfer, is reborn, and later changes places in mid-transfer. Afterwards every table is what the
# other side says, on both boxes, and the sessions are those from the start. (Attributes: pair_bgp.sh.)
#
# TABLE=20000 by default; "make bgp-table" takes 100000.

cd "$(dirname "$0")/.." || exit 1
: "${PAIR_MODE:=lossless}" "${PAIR_INTERVAL:=1s}" "${TABLE:=20000}" "${HOLD:=240}"
. tests/lib/pair.sh
PORT=179
. tests/lib/bgp_pair.sh
PATIENCE=$((300 + TABLE / 50))

# FIRST STEP: TABLE prefixes FIRST.x.y.0/24, less those whose number STEP divides
prefixes() {
	awk -v first="$1" -v step="$2" -v n="$TABLE" 'BEGIN {
		for (i = 1; i <= n; i++)
			if (i % step)
				printf "%d.%d.%d.0/24\n", first + int(i / 65536), int(i / 256) % 256, i % 256
	}'
}

our_config() {
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
		next-hop = $VIP4
		connect-retry = 1
		neighbor 10.0.0.2 { remote-as = $BIRD_AS passive = yes hold-time = $HOLD }
		neighbor 10.0.0.3 { remote-as = $FRR_AS hold-time = $HOLD local-address = $VIP4 }
		networks-file = { "$BGP_DIR/our.networks" }
		END
	done
}

bird_table() {	# FILE of prefixes
	echo "protocol static full { ipv4;"
	sed 's/.*/route & blackhole;/' "$1"
	echo "}"
}

# The sessions begin when all else is ready: a transfer is soon over.
bird_all() {
	bird_config $HOLD <<-END
	protocol bgp bird4 from peer { ${1:-} local 10.0.0.2 as $BIRD_AS; neighbor $VIP4 as $OUR_AS; }
	include "$BGP_DIR/bird.table";
	END
}

frr_all() {	# FILE of prefixes
	frr_config $HOLD <<-END
	 neighbor $VIP4 remote-as $OUR_AS
	 neighbor $VIP4 passive
	 neighbor $VIP4 shutdown
	 address-family ipv4 unicast
	  neighbor $VIP4 activate
	END
	sed 's/^/  network /' "$1"
}

frr_tell() {	# COMMAND...
	{
		printf '%s\n' "configure terminal" "router bgp $FRR_AS" "$@"
		cat
	} >"$BGP_DIR/frr.change"
	ip netns exec "$BGP_FRR" vtysh --vty_socket "$BGP_DIR/frr" <"$BGP_DIR/frr.change" >"$BGP_DIR/frr.out" 2>&1
}

# A table is on the wire for a quarter of a minute at least: else a kill finds no midst. Some 5 bytes a route.
slow_wire() {	# add or del
	local port rate=$((TABLE * 5 * 8 / 15 + 8000))

	for port in bird frr a b; do
		if [ "$1" = add ]; then
			tc -n "sw-$$" qdisc add dev $port root netem rate ${rate}bit limit 1000
		else
			tc -n "sw-$$" qdisc del dev $port root
		fi
	done
}

# ---- how far ----

count() {	# BOX in|out NEIGHBOR
	bgpd_show "$1" neighbors | awk -v what="routes-$2" -v n="$3" '
		$1 == n { for (i = 1; i < NF; i++) if ($i == what) print $(i + 1) }'
}

progress() {	# BOX
	local what n

	for n in 10.0.0.2 10.0.0.3; do
		for what in in out; do
			echo "$(count "$1" $what $n)"
		done
	done
}

# In the midst: each of the two tables of one neighbor at least has begun, and is not done
between() {	# BOX LOW HIGH
	set -- $(progress "$1") "$2" "$3"
	[ $# = 6 ] && { { [ "$1" -gt "$5" ] && [ "$1" -lt "$6" ]; } || { [ "$3" -gt "$5" ] && [ "$3" -lt "$6" ]; }; }
}

all_there() {	# BOX COUNT-IN COUNT-OUT
	[ "$(echo $(progress "$1"))" = "$2 $3 $2 $3" ]
}

# ---- every prefix ----

has() {		# BOX in|out NEIGHBOR
	awk -v what="$2" -v n="$3" '$1 == n && $2 == what { print $3 }' "$PAIR/$1/rib" | sort
}

bird_routes() { birdc_ show route protocol "$1" | awk '$1 ~ /\// { print $1 }' | sort; }
frr_routes() { vtysh_ "show bgp ipv4 unicast neighbors $1 routes" | awk '{ for (i = 1; i < 4; i++) if ($i ~ /\//) print $i }' | sort; }

same_file() {	# WHAT ONE OTHER
	cmp -s "$2" "$3" || {
		echo "$1: $(comm -23 "$2" "$3" | wc -l) missing, $(comm -13 "$2" "$3" | wc -l) too many" |
			tee -a "$BGP_DIR/diff" | sed 's/^/# /'
		return 1
	}
}

# What the far ends hold of us is what we have to say; what a box holds is what they have to say.
far_have_ours() {	# EXPECTED
	bird_routes bird4 >"$BGP_DIR/bird.has"
	frr_routes $VIP4 >"$BGP_DIR/frr.has"
	same_file "BIRD of ours" "$1" "$BGP_DIR/bird.has" && same_file "FRR of ours" "$1" "$BGP_DIR/frr.has"
}

box_has_theirs() {	# BOX OURS BIRD FRR
	bgpd_show "$1" rib >"$PAIR/$1/rib" || return 1
	same_file "box $1, of BIRD" "$3" <(has "$1" in 10.0.0.2) &&
		same_file "box $1, of FRR" "$4" <(has "$1" in 10.0.0.3) &&
		same_file "box $1, to BIRD" "$2" <(has "$1" out 10.0.0.2) &&
		same_file "box $1, to FRR" "$2" <(has "$1" out 10.0.0.3)
}

untouched() {
	same_since "$SINCE" "$(bird_since)" && same "FRR's counts" "$COUNTS" "$(frr_counts)" &&
		[ "$(frames bird)" = 0 ] && [ "$(frames frr)" = 0 ]
}

both_in_step() {
	local n

	for n in 10.0.0.2 10.0.0.3; do
		[ "$(count a in $n) $(count a out $n)" = "$(count b in $n) $(count b out $n)" ] || return 1
	done
}

say_progress() {	# BOX
	set -- $(progress "$1")
	pair_say "of BIRD $1, to BIRD $2, of FRR $3, to FRR $4; tables of $TABLE"
}

ktap_print_header
tool=$(bgp_tools_missing) && { ktap_skip_all "$tool is not installed"; exit 4; }
ktap_set_plan 15
pair_create || exit 1
trap bgp_end EXIT
mkdir -p "$BGP_DIR"
bgp_far bird 10.0.0.2/24 2001:db8::2/64
bgp_far frr 10.0.0.3/24 2001:db8::3/64
prefixes 20 $((TABLE + 1)) | sort >"$BGP_DIR/our.1"
prefixes 30 $((TABLE + 1)) | sort >"$BGP_DIR/bird.1"
prefixes 40 $((TABLE + 1)) | sort >"$BGP_DIR/frr.1"
cp "$BGP_DIR/our.1" "$BGP_DIR/our.networks"
our_config
bird_table "$BGP_DIR/bird.1" >"$BGP_DIR/bird.table"
frr_all "$BGP_DIR/frr.1" >"$BGP_DIR/frr.conf"
bird_all "disabled yes;" >"$BGP_DIR/bird.conf"
bird_start
frr_start
until_ok 60 birdc_ show status
until_ok $PATIENCE frr_listens
until_ok $PATIENCE vtysh_ "show bgp summary"
box_start a
box_start b
bgpd_start a
bgpd_start b
check "one box becomes active, the other one ready" pair_up a b
slow_wire add
birdc_ enable bird4 >/dev/null
frr_tell "no neighbor $VIP4 shutdown" </dev/null
CLOSING='tcp[tcpflags] & (tcp-rst|tcp-fin) != 0'
# Before the sessions are up a SYN may be answered with RST; what counts begins with them.
up() { [ "$(bgpd_show a neighbors | grep -c 'state established')" = 2 ]; }
check "two sessions" until_ok $PATIENCE up
capture bird bird eth0 "$CLOSING"
capture frr frr eth0 "$CLOSING"
SINCE=$(bird_since) COUNTS=$(frr_counts)

check "the tables are on their way" until_ok $PATIENCE between a $((TABLE / 20)) $((TABLE * 3 / 4))
box_die a
say_progress b
check "the active dies in mid-transfer: the standby has a part of them" between b 0 "$TABLE"
check "and takes over" until_ok 120 is_state b active
slow_wire del
check "all routes arrive" until_ok $PATIENCE all_there b "$TABLE" "$TABLE"
until_ok 60 eval '[ "$(bird_routes bird4 | wc -l)" = "$TABLE" ]'
check "the far ends have every route of ours" far_have_ours "$BGP_DIR/our.1"
check "we have every route of theirs" box_has_theirs b "$BGP_DIR/our.1" "$BGP_DIR/bird.1" "$BGP_DIR/frr.1"

box_reboot a
bgpd_start a
check "the reborn box becomes ready: the whole tables as a snapshot" eval \
	'pair_up b a && until_ok $PATIENCE both_in_step'
check "it has them all" box_has_theirs a "$BGP_DIR/our.1" "$BGP_DIR/bird.1" "$BGP_DIR/frr.1"

# Every third route goes, on all sides, and all the others are asked for again.
prefixes 20 3 | sort >"$BGP_DIR/our.2"
prefixes 30 3 | sort >"$BGP_DIR/bird.2"
cp "$BGP_DIR/our.2" "$BGP_DIR/our.networks"
bird_table "$BGP_DIR/bird.2" >"$BGP_DIR/bird.table"
bird_all >"$BGP_DIR/bird.conf"
slow_wire add
kill -HUP ${APP_PID[b]}
birdc_ configure >"$BGP_DIR/birdc.out"
birdc_ reload bird4 >>"$BGP_DIR/birdc.out"
until_ok $PATIENCE between b $((TABLE * 2 / 3 + 1)) "$TABLE"
say_progress b
check "planned switchover while a third of the routes is withdrawn" ctl b switchover --yes
slow_wire del
N=$(wc -l <"$BGP_DIR/our.2")
less() { set -- "$1" $(progress "$1"); [ "$2 $3 $5" = "$N $N $N" ]; }
check "all that was to go is gone" until_ok $PATIENCE less a
until_ok 60 eval '[ "$(bird_routes bird4 | wc -l)" = "$N" ]'
check "and the tables are equal, on both boxes and the far ends" eval '
	far_have_ours "$BGP_DIR/our.2" && until_ok $PATIENCE both_in_step &&
	box_has_theirs a "$BGP_DIR/our.2" "$BGP_DIR/bird.2" "$BGP_DIR/frr.1" &&
	box_has_theirs b "$BGP_DIR/our.2" "$BGP_DIR/bird.2" "$BGP_DIR/frr.1"'
capture_stop
check "the far ends' sessions are those from the start, no FIN, no RST" untouched
# Control: the comparison sees a single route.
sed -i '$d' "$BGP_DIR/our.2"
refute "control: one route more than expected is seen" far_have_ours "$BGP_DIR/our.2"
ktap_finished
