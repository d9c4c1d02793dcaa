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

set -u
here=$(cd "$(dirname "$0")" && pwd)
bgpd=${NSR_B:-$here/../build}/examples/nsr-bgpd
seed=${NSR_SEED:-$RANDOM}
rounds=${ROUNDS:-2}
RANDOM=$seed
dir=$(mktemp -d /tmp/bgp-interop.XXXXXX)
tap=0 failed=0 planned=12 pids=()
BGP_DIR=$dir BGP_BIRD=bgp-bird BGP_FRR=bgp-frr
. "$here/lib/bgp.sh"

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

# TABLE NEIGHBOR
our_table() { ctl --show rib --json | our_lines "$1" "$2"; }
table_size() { our_table "$1" "$2" | wc -l; }

bird_hears_us() {
	local n
	for n in "bird4 10.0.0.2" "bird6 2001:db8::2" "old 10.0.0.4"; do
		set -- $n
		same "what BIRD has of $1" "$(bird_has "$1")" "$(our_table out "$2")" || return 1
	done
}

we_hear_bird() {
	local n
	for n in "bird4 10.0.0.2 10.0.0.2" "bird6 2001:db8::2 10.0.0.2" "old 10.0.0.4 10.0.0.4"; do
		set -- $n
		same "what we have of BIRD's $1" "$(our_table in "$2")" "$(bird_sends "$1" "$3" 2001:db8::2)" ||
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

# ---- configurations ----

our_config() {	# NUMBER of networks
	cat <<-END
	local-as = $OUR_AS
	router-id = 10.0.0.1
	listen = { "10.0.0.1", "2001:db8::1", "10.0.0.9" }
	nsrd-wait = 0
	nsrd-socket = "$dir/no-nsrd.sock"
	control-socket = "$dir/nsr.sock"
	next-hop = 10.0.0.1
	next-hop6 = "2001:db8::1"
	connect-retry = 1
	neighbor 10.0.0.2 { remote-as = $BIRD_AS passive = yes hold-time = 9 }
	neighbor "2001:db8::2" { remote-as = $BIRD_AS hold-time = 9 }
	neighbor 10.0.0.4 { remote-as = $BIRD_AS hold-time = 9 local-address = 10.0.0.9 }
	neighbor 10.0.0.3 { remote-as = $FRR_AS hold-time = 9 }
	neighbor "2001:db8::3" { remote-as = $FRR_AS hold-time = 9 }
	END
	our_networks "$1"
}

bird_all() {	# NUMBER of networks
	bird_config 9 <<-END
	protocol bgp bird4 from peer { local 10.0.0.2 as $BIRD_AS; neighbor 10.0.0.1 as $OUR_AS; }
	protocol bgp bird6 from peer { local 2001:db8::2 as $BIRD_AS; neighbor 2001:db8::1 as $OUR_AS; passive; }
	protocol bgp old from peer { local 10.0.0.4 as $BIRD_AS; neighbor 10.0.0.9 as $OUR_AS;
		enable as4 off; enable route refresh off; }
	END
	bird_networks "$1"
}

frr_all() {
	frr_config 9 <<-END
	 neighbor 10.0.0.1 remote-as $OUR_AS
	 neighbor 10.0.0.1 timers connect 1
	 neighbor 10.0.0.1 soft-reconfiguration inbound
	 neighbor 2001:db8::1 remote-as $OUR_AS
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

	bird_all 60 > "$dir/bird.conf"
	bird_start
	pids+=($BIRD_PID)
	frr_all > "$dir/frr.conf"
	frr_start
	pids+=($FRR_PID)
	poll 120 frr_listens
	our_config 60 > "$dir/nsr.conf"
	ip netns exec bgp-nsr "$bgpd" ${DEBUG:+-d} -c "$dir/nsr.conf" 2> "$dir/nsr.log" & pids+=($!) nsr_pid=$!
}

established() { ctl --show neighbors > "$dir/neighbors" 2>&1 && [ "$(grep -c "state established" "$dir/neighbors")" = 5 ]; }
messages_in() { ctl --show neighbors | awk -v n="$1" '$1 == n { for (i = 1; i < NF; i++) if ($i == "messages-in") print $(i + 1) }'; }
more_than() { [ "$("${@:2}")" -gt "$1" ]; }

tool=$(bgp_tools_missing) && skip "$tool is not installed"
[ -x "$bgpd" ] || skip "$bgpd is not built"

echo "KTAP version 1"
echo "1..$planned"
echo "# seed $seed"
setup
poll 120 established
result $? "five sessions: active and passive, IPv4 and IPv6, one without AS4"
[ $failed = 0 ] || cat "$dir/neighbors" "$dir/bird.log" "$dir/frr.log" 2>&1 | sed 's/^/# /'
since=$(bird_since) counts=$(frr_counts)

frr_change 60
poll 120 all_equal
result $? "all tables equal after the start"
sizes="$(table_size out 10.0.0.4) $(table_size in 10.0.0.2) $(table_size in 10.0.0.3) $(our_table in 2001:db8::3 | grep -c "^2001:db8:400")"
echo "# routes to 10.0.0.4, from 10.0.0.2, from 10.0.0.3, of FRR itself from 2001:db8::3: $sizes"
set -- $sizes
[ "$1" -gt 30 ] && [ "$2" -gt 60 ] && [ "$3" -gt 30 ] && [ "$4" = 2 ]
result $? "and they are not empty"

ok=0
for ((r = 0; r < rounds && ok == 0; r++)); do
	before=$(our_table in 10.0.0.2; our_table out 10.0.0.2)
	our_config $((60 + RANDOM % 60)) > "$dir/nsr.conf"
	kill -HUP $nsr_pid
	bird_all $((60 + RANDOM % 60)) > "$dir/bird.conf"
	birdc_ configure > "$dir/birdc.out"
	frr_change $((30 + RANDOM % 60))
	poll 120 all_equal || ok=1
	[ "$before" != "$(our_table in 10.0.0.2; our_table out 10.0.0.2)" ] || ok=1
done
result $ok "all tables equal after each of $rounds rounds of random changes"

frr_change 50
sed -i '/^network 20.0.7.0/d; s/med = 1/med = 9/' "$dir/nsr.conf"
kill -HUP $nsr_pid
poll 120 all_equal
result $? "after single changes, too"

n=$(birdc_ show protocols all bird4 | awk '/Import updates/ { print $3; exit }')
birdc_ reload in bird4 > /dev/null
poll 60 eval 'test "$(birdc_ show protocols all bird4 | awk "/Import updates/ { print \$3; exit }")" -ge $((n + $(our_table out 10.0.0.2 | only "^[0-9]+\\." | wc -l)))' && all_equal
result $? "BIRD asks for a refresh: all routes again"

n=$(messages_in 10.0.0.3)
ctl --refresh 10.0.0.3 > /dev/null && poll 60 more_than "$n" messages_in 10.0.0.3 && poll 60 all_equal
result $? "we ask FRR for a refresh, and get an answer"
! ctl --refresh 10.0.0.4 2> /dev/null
result $? "no refresh from a speaker without it"

same_since "$since" "$(bird_since)" && same "FRR's counts" "$counts" "$(frr_counts)" && [ "$(ctl --show neighbors | grep -c " established 1 resumed 0 lost 0")" = 5 ]
result $? "the sessions are the ones from the start"

our_config 0 > "$dir/nsr.conf"
kill -HUP $nsr_pid
bird_all 0 > "$dir/bird.conf"
birdc_ configure > "$dir/birdc.out"
frr_change 0
poll 120 all_equal && [ -z "$(ctl --show rib | grep -v 2001:db8:400)" ]
result $? "everything withdrawn"

kill -STOP $BIRD_PID
poll 120 eval '[ "$(ctl --show neighbors | grep -c "hold timer expired")" -ge 3 ]'
ok=$?
kill -CONT $BIRD_PID
poll 120 established || ok=1
result $ok "a silent BIRD loses its sessions, and gets them back"

kill -TERM $nsr_pid
wait $nsr_pid
[ $? = 0 ] && poll 60 eval 'birdc_ show protocols all bird4 | grep -q "Received: Administrative shutdown"' &&
	poll 60 eval 'vtysh_ "show bgp neighbors 10.0.0.1 json" | grep -q "Administrative Shutdown"'
result $? "SIGTERM: BIRD and FRR are told why"
exit $failed
