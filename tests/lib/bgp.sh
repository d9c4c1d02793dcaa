# SPDX-License-Identifier: GPL-2.0-only
#
# BIRD and FRR as far ends of nsr-bgpd: random tables for all three, and what each of them says of its tables,
# as sorted lines that can be compared (bgp_lines.py).
#
# Whoever sources this has set
#	BGP_DIR			a directory for configurations, sockets and logs
#	BGP_BIRD, BGP_FRR	the namespaces of the two
# and says where a speaker is by functions of its own.

BGP_LINES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bgp_lines.py
BIRD_AS=65002
FRR_AS=65003
OUR_AS=65010

birdc_() { ip netns exec "$BGP_BIRD" birdc -s "$BGP_DIR/bird.ctl" "$@"; }
vtysh_() { ip netns exec "$BGP_FRR" vtysh --vty_socket "$BGP_DIR/frr" -c "$1"; }

bgp_tools_missing() {	# the name of a tool that is not there
	local tool

	for tool in bird birdc vtysh python3; do
		command -v $tool >/dev/null || { echo $tool; return 0; }
	done
	return 1
}

# ---- what each side says ----

# NAME ONE OTHER: equal, or else the difference is in $BGP_DIR/diff
same() {
	[ "$2" = "$3" ] && return
	{ echo "$1:"; diff <(echo "$2") <(echo "$3"); } >"$BGP_DIR/diff"
	return 1
}

# our_lines in|out NEIGHBOR <JSON of --show rib
our_lines() { python3 "$BGP_LINES" nsr "$1" "$2"; }
# what BIRD has by the session, what it sends there: SESSION [VIA4 VIA6, what the session will add]
bird_has() { birdc_ show route protocol "$1" all | python3 "$BGP_LINES" bird; }
bird_sends() { birdc_ show route export "$1" all | python3 "$BGP_LINES" bird-own $BIRD_AS "$2" "$3"; }
# FAMILY NEIGHBOR
frr_has() { vtysh_ "show bgp $1 neighbors $2 routes json" | python3 "$BGP_LINES" frr; }
frr_sends() { vtysh_ "show bgp $1 neighbors $2 advertised-routes json" | python3 "$BGP_LINES" frr-own $FRR_AS; }
# FRR lists no communities: prefix, path, MED
short() { cut -d' ' -f1,3,4 <<<"$1" | sed '/^$/d'; }
only() { grep -E "$1" || true; }

# Since when each session of BIRD's is established: NAME, ms since the epoch
bird_since() {
	local name day time

	birdc_ show protocols | awk '$2 == "BGP" { print $1, $5, $6 }' | while read -r name day time; do
		echo "$name $(date -d "$day $time" +%s%3N)"
	done
}

# BIRD counts back from now with a coarse clock: the same moment is told with some ms of difference. A new
# session would be a second later at least ("error wait time").
same_since() {	# WAS IS
	[ -n "$1" ] && paste -d' ' <(echo "$1") <(echo "$2") |
		awk '{ d = $2 - $4; if (NF != 4 || $1 != $3 || d > 500 || d < -500) bad = 1 } END { exit bad }' ||
		same "BIRD's Since" "$1" "$2"
}

frr_counts() { vtysh_ "show bgp neighbors json" | python3 "$BGP_LINES" frr-counts; }

# ---- random tables, NUMBER of prefixes at most ----
# Never in a subshell: RANDOM begins anew there, and the seed would repeat nothing.

our_networks() {
	local i

	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		echo "network 20.$((i / 256)).$((i % 256)).0/24 { med = $((RANDOM % 3))" \
			"communities = { \"65010:$((RANDOM % 3))\", \"65010:1:$((RANDOM % 2))\" } }"
		[ $((RANDOM % 2)) = 0 ] ||
			echo "network6 \"2001:db8:20$(printf %02x $((i % 256))):$((i / 256))::/64\" { }"
	done
}

bird_networks() {
	local i attr

	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		attr="bgp_community.add(($BIRD_AS, $((RANDOM % 3))));"
		attr+=" bgp_path.prepend($((RANDOM % 2 ? 65100 : 4200000100)));"
		echo "protocol static s4_$i { ipv4; route 30.$((i / 256)).$((i % 256)).0/24 blackhole { $attr }; }"
		attr="bgp_community.add(($BIRD_AS, $((RANDOM % 3))));"
		echo "protocol static s6_$i { ipv6; route 2001:db8:3000:$(printf %x $i)::/64 blackhole { $attr }; }"
	done
}

# bird_config HOLD <its sessions, "from peer"
bird_config() {
	cat <<-END
	log "$BGP_DIR/bird.log" all;
	router id 10.0.0.2;
	timeformat protocol iso long ms;
	protocol device {}
	filter ours {	# MED does not cross an AS by itself
		if source != RTS_STATIC then reject;
		if ($BIRD_AS, 1) ~ bgp_community then bgp_med = 7;
		if ($BIRD_AS, 2) ~ bgp_community then bgp_med = 8;
		accept;
	}
	template bgp peer {
		hold time $1; connect delay time 1; error wait time 1, 2;
		ipv4 { import all; export filter ours; next hop self; };
		ipv6 { import all; export filter ours; next hop self; };
	}
	END
	cat
}

# frr_config HOLD <its neighbors, in "router bgp"
frr_config() {
	cat <<-END
	hostname frr
	route-map M0 permit 1
	 set metric 10
	route-map M1 permit 1
	 set metric 11
	route-map M2 permit 1
	 set metric 12
	router bgp $FRR_AS
	 bgp router-id 10.0.0.3
	 no bgp ebgp-requires-policy
	 no bgp default ipv4-unicast
	 no bgp network import-check
	 timers bgp $(($1 / 3)) $1
	END
	cat
}

frr_networks() {
	local i

	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		echo "40.0.$((i % 256)).0/24 route-map M$((RANDOM % 3))"
	done
}

# Other networks instead of those from the call before
frr_change() {
	local now

	frr_networks "$1" >"$BGP_DIR/frr.now"
	now=$(cat "$BGP_DIR/frr.now")
	{
		echo "configure terminal"
		echo "router bgp $FRR_AS"
		echo "address-family ipv4 unicast"
		[ ! -s "$BGP_DIR/frr.networks" ] || sed 's/ route-map.*//; s/^/no network /' "$BGP_DIR/frr.networks"
		[ -z "$now" ] || sed 's/^/network /' <<<"$now"
	} >"$BGP_DIR/frr.change"
	echo "$now" | sed '/^$/d' >"$BGP_DIR/frr.networks"
	ip netns exec "$BGP_FRR" vtysh --vty_socket "$BGP_DIR/frr" <"$BGP_DIR/frr.change" >"$BGP_DIR/frr.out" 2>&1
}

# ---- starting them; BIRD_PID, FRR_PID ----

bird_start() {		# $BGP_DIR/bird.conf
	ip netns exec "$BGP_BIRD" bird -f -c "$BGP_DIR/bird.conf" -s "$BGP_DIR/bird.ctl" </dev/null \
		>"$BGP_DIR/bird.out" 2>&1 &
	BIRD_PID=$!
}

frr_start() {		# $BGP_DIR/frr.conf; no zebra: nothing is to enter the kernel's table
	mkdir -p "$BGP_DIR/frr"
	chmod 755 "$BGP_DIR"
	chown -R frr:frr "$BGP_DIR/frr" "$BGP_DIR/frr.conf"
	ip netns exec "$BGP_FRR" /usr/lib/frr/bgpd -Z -f "$BGP_DIR/frr.conf" -i "$BGP_DIR/frr/bgpd.pid" \
		--vty_socket "$BGP_DIR/frr" </dev/null >"$BGP_DIR/frr.log" 2>&1 &
	FRR_PID=$!
}

frr_listens() { [ -S "$BGP_DIR/frr/bgpd.vty" ]; }
