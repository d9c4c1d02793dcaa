#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nsr-bgpd as a plain BGP speaker (no module, no nsrd) against BIRD and FRR:
#
#      bird 10.0.0.2, 2001:db8::2, 10.0.0.4 ──┐
#                                          [br0]── nsr 10.0.0.1, 10.0.0.9, 2001:db8::1
#      frr  10.0.0.3, 2001:db8::3 ────────────┘
#
# 10.0.0.4 is a BIRD without four-octet AS numbers and without route refresh. After random changes on
# all sides each table is what the other side says that it exports.
#
# usage: tests/bgp/interop.sh [NSR-BGPD]     as root, in a machine of its own (scripts/vm/run)

set -u
here=$(cd "$(dirname "$0")" && pwd)
bgpd=${1:-$here/../../build/examples/nsr-bgpd}
seed=${SEED:-$RANDOM}
rounds=${ROUNDS:-4}
RANDOM=$seed
dir=$(mktemp -d /tmp/bgp-interop.XXXXXX)
tap=0 failed=0 planned=12 pids=()

bird() { ip netns exec bgp-bird "$@"; }
frr() { ip netns exec bgp-frr "$@"; }
birdc() { bird birdc -s "$dir/bird.ctl" "$@"; }
vtysh() { frr vtysh --vty_socket "$dir/frr" -c "$1"; }
ctl() { "$bgpd" "$@" -s "$dir/nsr.sock"; }

cleanup() {
	[ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
	wait 2>/dev/null
	for ns in bgp-nsr bgp-bird bgp-frr bgp-sw; do
		ip netns del $ns 2>/dev/null
	done
	rm -rf "$dir"
}
trap cleanup EXIT

skip() { echo "1..0 # SKIP $1"; exit 4; }

result() {	# STATUS NAME
	tap=$((tap + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap $2"
	else
		echo "not ok $tap $2"
		failed=1
		tail -n 12 "$dir/nsr.log" | sed 's/^/# /'
		[ ! -s "$dir/diff" ] || head -n 12 "$dir/diff" | sed 's/^/# /'
	fi
}

poll() {	# SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
	return 0
}

# NAME ONE OTHER: equal, or else the difference is kept for the result's explanation
same() {
	[ "$2" = "$3" ] && return
	{ echo "$1:"; diff <(echo "$2") <(echo "$3"); } > "$dir/diff"
	return 1
}

# ---- what each side says, as sorted lines: prefix, next hop, path, MED, communities ----

# nsr TABLE NEIGHBOR
our_table() { ctl --show rib --json | python3 "$here/normalize.py" nsr "$1" "$2"; }
bird_has() { birdc show route protocol "$1" all | python3 "$here/normalize.py" bird "${2:-}"; }
bird_sends() { birdc show route export "$1" all | python3 "$here/normalize.py" bird-own "$2" "$3"; }
frr_has() { vtysh "show bgp $1 neighbors $2 routes json" | python3 "$here/normalize.py" frr; }
frr_sends() { vtysh "show bgp $1 neighbors $2 advertised-routes json" | python3 "$here/normalize.py" frr-own; }
short() { cut -d' ' -f1,3,4 <<<"$1" | sed '/^$/d'; }	# FRR lists no communities: prefix, path, MED
only() { grep -E "$1" || true; }

bird_hears_us() {
	local n
	for n in "bird4 10.0.0.2" "bird6 2001:db8::2" "old 10.0.0.4"; do
		set -- $n
		same "what BIRD has of $1" "$(bird_has "$1")" "$(our_table out "$2")" || return 1
	done
}

we_hear_bird() {
	local n
	for n in "bird4 10.0.0.2" "bird6 2001:db8::2" "old 10.0.0.4"; do
		set -- $n
		same "what we have of BIRD's $1" "$(our_table in "$2")" "$(bird_sends "$1" 65002 "$2")" ||
			return 1
	done
}

frr_hears_us() {
	same "what FRR has of us, IPv4" "$(short "$(frr_has 'ipv4 unicast' 10.0.0.1)")" \
		"$(short "$(our_table out 10.0.0.3 | only '^[0-9]+\.')")" &&
	same "what FRR has of us, IPv6" "$(short "$(frr_has 'ipv6 unicast' 2001:db8::1)")" \
		"$(short "$(our_table out 2001:db8::3 | only :)")"
}

we_hear_frr() {
	same "what we have of FRR, IPv4" "$(short "$(our_table in 10.0.0.3 | only '^[0-9]+\.')")" \
		"$(short "$(frr_sends 'ipv4 unicast' 10.0.0.1)")" &&
	same "what we have of FRR, IPv6" "$(short "$(our_table in 2001:db8::3 | only :)")" \
		"$(short "$(frr_sends 'ipv6 unicast' 2001:db8::1)")"
}

all_equal() { bird_hears_us && we_hear_bird && frr_hears_us && we_hear_frr; }

# ---- random tables ----

our_config() {	# NUMBER of networks
	local i
	cat <<-END
	local-as = 65010
	router-id = 10.0.0.1
	listen = { "10.0.0.1", "2001:db8::1", "10.0.0.9" }
	nsrd-wait = 0
	nsrd-socket = "$dir/no-nsrd.sock"
	control-socket = "$dir/nsr.sock"
	next-hop = 10.0.0.1
	next-hop6 = "2001:db8::1"
	connect-retry = 1
	neighbor 10.0.0.2 { remote-as = 65002 passive = yes hold-time = 9 }
	neighbor "2001:db8::2" { remote-as = 65002 hold-time = 9 }
	neighbor 10.0.0.4 { remote-as = 65002 hold-time = 9 local-address = 10.0.0.9 }
	neighbor 10.0.0.3 { remote-as = 65003 hold-time = 9 }
	neighbor "2001:db8::3" { remote-as = 65003 hold-time = 9 }
	END
	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		echo "network 20.$((i / 256)).$((i % 256)).0/24 { med = $((RANDOM % 3))" \
			"communities = { \"65010:$((RANDOM % 3))\", \"65010:1:$((RANDOM % 2))\" } }"
		[ $((RANDOM % 2)) = 0 ] || echo "network6 \"2001:db8:20$(printf %02x $((i % 256))):$((i / 256))::/64\" { }"
	done
}

bird_routes() {	# NUMBER
	local i attr
	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		attr="bgp_community.add((65002, $((RANDOM % 3)))); bgp_path.prepend($((RANDOM % 2 ? 65100 : 4200000100)));"
		echo "protocol static s4_$i { ipv4; route 30.$((i / 256)).$((i % 256)).0/24 blackhole { $attr }; }"
		echo "protocol static s6_$i { ipv6; route 2001:db8:3000:$(printf %x $i)::/64 blackhole { bgp_community.add((65002, $((RANDOM % 3)))); }; }"
	done
}

bird_config() {	# NUMBER
	cat <<-END
	log "$dir/bird.log" all;
	router id 10.0.0.2;
	protocol device {}
	filter ours {	# MED does not cross an AS by itself
		if source != RTS_STATIC then reject;
		if (65002, 1) ~ bgp_community then bgp_med = 7;
		if (65002, 2) ~ bgp_community then bgp_med = 8;
		accept;
	}
	template bgp peer {
		hold time 9; connect delay time 1; error wait time 1, 2;
		ipv4 { import all; export filter ours; next hop self; };
		ipv6 { import all; export filter ours; next hop self; };
	}
	protocol bgp bird4 from peer { local 10.0.0.2 as 65002; neighbor 10.0.0.1 as 65010; }
	protocol bgp bird6 from peer { local 2001:db8::2 as 65002; neighbor 2001:db8::1 as 65010; passive; }
	protocol bgp old from peer { local 10.0.0.4 as 65002; neighbor 10.0.0.9 as 65010;
		enable as4 off; enable route refresh off; }
	END
	bird_routes "$1"
}

frr_networks() {	# NUMBER
	local i
	for ((i = 0; i < $1; i++)); do
		[ $((RANDOM % 4)) = 0 ] && continue
		echo "40.0.$((i % 256)).0/24 route-map M$((RANDOM % 3))"
	done
}

frr_config() {
	cat <<-END
	hostname frr
	route-map M0 permit 1
	 set metric 10
	route-map M1 permit 1
	 set metric 11
	route-map M2 permit 1
	 set metric 12
	router bgp 65003
	 bgp router-id 10.0.0.3
	 no bgp ebgp-requires-policy
	 no bgp default ipv4-unicast
	 no bgp network import-check
	 timers bgp 3 9
	 neighbor 10.0.0.1 remote-as 65010
	 neighbor 10.0.0.1 timers connect 1
	 neighbor 10.0.0.1 soft-reconfiguration inbound
	 neighbor 2001:db8::1 remote-as 65010
	 neighbor 2001:db8::1 passive
	 address-family ipv4 unicast
	  neighbor 10.0.0.1 activate
	 exit-address-family
	 address-family ipv6 unicast
	  neighbor 2001:db8::1 activate
	  network 2001:db8:4000::/48
	  network 2001:db8:4001::/48
	 exit-address-family
	END
}

frr_change() {	# NUMBER
	local now
	now=$(frr_networks "$1")
	{
		echo "configure terminal"
		echo "router bgp 65003"
		echo "address-family ipv4 unicast"
		[ ! -s "$dir/frr.networks" ] || sed 's/ route-map.*//; s/^/no network /' "$dir/frr.networks"
		[ -z "$now" ] || sed 's/^/network /' <<<"$now"
	} > "$dir/frr.change"
	echo "$now" | sed '/^$/d' > "$dir/frr.networks"
	frr vtysh --vty_socket "$dir/frr" < "$dir/frr.change" > "$dir/frr.out" 2>&1
}

# ---- the stage ----

port() {	# NAMESPACE ADDRESS...
	local ns=$1 a
	shift
	ip netns add "$ns"
	ip -n "$ns" link set lo up
	ip link add "${ns#bgp-}0" netns "$ns" type veth peer name "${ns#bgp-}1" netns bgp-sw
	ip -n bgp-sw link set "${ns#bgp-}1" master br0 up
	ip -n "$ns" link set "${ns#bgp-}0" up
	for a; do
		ip -n "$ns" addr add "$a" dev "${ns#bgp-}0" $([ "$a" = "${a#*:}" ] || echo nodad)
	done
}

setup() {
	ip netns add bgp-sw
	ip -n bgp-sw link add br0 type bridge
	ip -n bgp-sw link set br0 up
	port bgp-nsr 10.0.0.1/24 10.0.0.9/24 2001:db8::1/64
	port bgp-bird 10.0.0.2/24 10.0.0.4/24 2001:db8::2/64
	port bgp-frr 10.0.0.3/24 2001:db8::3/64

	bird_config 100 > "$dir/bird.conf"
	ip netns exec bgp-bird bird -f -c "$dir/bird.conf" -s "$dir/bird.ctl" & pids+=($!) bird_pid=$!
	mkdir "$dir/frr"
	chmod 755 "$dir"
	chown -R frr:frr "$dir/frr"
	frr_config > "$dir/frr.conf"
	chown frr "$dir/frr.conf"
	ip netns exec bgp-frr /usr/lib/frr/zebra -i "$dir/frr/zebra.pid" -z "$dir/frr/zserv" --vty_socket "$dir/frr" \
		> "$dir/zebra.log" 2>&1 & pids+=($!)
	poll 20 test -S "$dir/frr/zserv"
	ip netns exec bgp-frr /usr/lib/frr/bgpd -f "$dir/frr.conf" -i "$dir/frr/bgpd.pid" -z "$dir/frr/zserv" \
		--vty_socket "$dir/frr" > "$dir/bgpd.log" 2>&1 & pids+=($!)
	poll 20 test -S "$dir/frr/bgpd.vty"
	our_config 100 > "$dir/nsr.conf"
	ip netns exec bgp-nsr "$bgpd" ${DEBUG:+-d} -c "$dir/nsr.conf" 2> "$dir/nsr.log" & pids+=($!) nsr_pid=$!
}

established() { ctl --show neighbors > "$dir/neighbors" && [ "$(grep -c "state established" "$dir/neighbors")" = 5 ]; }
bird_field() { birdc show protocols all "$1" | awk -v f="$2" 'index($0, f) { sub(/.*: */, ""); print; exit }'; }
bird_since() { birdc show protocols | awk '$2 == "BGP" { print $1, $5 }'; }
frr_counts() { vtysh "show bgp neighbors json" | python3 "$here/normalize.py" frr-counts; }
messages_in() { ctl --show neighbors | awk -v n="$1" '$1 == n { for (i = 1; i < NF; i++) if ($i == "messages-in") print $(i + 1) }'; }
more_than() { [ "$("${@:2}")" -gt "$1" ]; }

for tool in bird birdc vtysh python3; do
	command -v $tool > /dev/null || skip "$tool is not installed"
done
[ -x "$bgpd" ] || skip "$bgpd is not built"

echo "TAP version 13"
echo "1..$planned"
echo "# seed $seed"
setup
poll 60 established
result $? "five sessions: active and passive, IPv4 and IPv6, one without AS4"
[ $failed = 0 ] || cat "$dir/neighbors" "$dir/bird.log" "$dir/bgpd.log" 2>&1 | sed 's/^/# /'
since=$(bird_since) counts=$(frr_counts)

frr_change 100
poll 60 all_equal
result $? "all tables equal after the start"
[ "$(our_table out 10.0.0.4 | wc -l)" -gt 50 ] && [ "$(our_table in 10.0.0.2 | wc -l)" -gt 100 ] &&
	[ "$(our_table in 10.0.0.3 | wc -l)" -gt 50 ] && [ "$(our_table in 2001:db8::3 | wc -l)" = 2 ]
result $? "and they are not empty"

ok=0
for ((r = 0; r < rounds && ok == 0; r++)); do
	before=$(our_table in 10.0.0.2; our_table out 10.0.0.2)
	our_config $((100 + RANDOM % 100)) > "$dir/nsr.conf"
	kill -HUP $nsr_pid
	bird_config $((100 + RANDOM % 100)) > "$dir/bird.conf"
	birdc configure > "$dir/birdc.out"
	frr_change $((50 + RANDOM % 50))
	poll 60 all_equal || ok=1
	[ "$before" != "$(our_table in 10.0.0.2; our_table out 10.0.0.2)" ] || ok=1
done
result $ok "all tables equal after each of $rounds rounds of random changes"

frr_change 60
sed -i '/^network 20.0.7.0/d; s/med = 1/med = 9/' "$dir/nsr.conf"
kill -HUP $nsr_pid
poll 60 all_equal
result $? "after single changes, too"

n=$(birdc show protocols all bird4 | awk '/Import updates/ { print $3; exit }')
birdc reload in bird4 > /dev/null
poll 30 eval 'test "$(birdc show protocols all bird4 | awk "/Import updates/ { print \$3; exit }")" -ge $((n + $(our_table out 10.0.0.2 | only "^[0-9]+\\." | wc -l)))' && all_equal
result $? "BIRD asks for a refresh: all routes again"

n=$(messages_in 10.0.0.3)
ctl --refresh 10.0.0.3 > /dev/null && poll 30 more_than "$n" messages_in 10.0.0.3 && poll 30 all_equal
result $? "we ask FRR for a refresh, and get an answer"
! ctl --refresh 10.0.0.4 2> /dev/null
result $? "no refresh from a speaker without it"

same "BIRD's Since" "$since" "$(bird_since)" && same "FRR's counts" "$counts" "$(frr_counts)" && ! ctl --show neighbors | grep -v "established 1 resumed 0 lost 0"
result $? "the sessions are the ones from the start"

our_config 0 > "$dir/nsr.conf"
kill -HUP $nsr_pid
bird_config 0 > "$dir/bird.conf"
birdc configure > "$dir/birdc.out"
frr_change 0
poll 60 all_equal && [ -z "$(ctl --show rib | grep -v 2001:db8:400)" ]
result $? "everything withdrawn"

kill -STOP $bird_pid
poll 60 eval '[ "$(ctl --show neighbors | grep -c "hold timer expired")" -ge 3 ]'
ok=$?
kill -CONT $bird_pid
poll 60 established || ok=1
result $ok "a silent BIRD loses its sessions, and gets them back"

kill -TERM $nsr_pid
wait $nsr_pid
[ $? = 0 ] && poll 30 eval 'birdc show protocols all bird4 | grep -q "Received: Administrative shutdown"' &&
	poll 30 eval 'vtysh "show bgp neighbors 10.0.0.1 json" | grep -q "Administrative Shutdown"'
result $? "SIGTERM: BIRD and FRR are told why"
exit $failed
