# SPDX-License-Identifier: GPL-2.0-only
#
# nsr-bgpd on the pair of pair.sh, and BIRD and FRR (bgp.sh) on its service network. Whoever sources this has
# sourced pair.sh.

BGPD=$NSR_B/examples/nsr-bgpd
BGP_DIR=$PAIR/bgp BGP_BIRD=bird-$$ BGP_FRR=frr-$$
. tests/lib/bgp.sh

bgp_far() {	# NAME IPV4 IPV6
	ip netns add "$1-$$"
	ip -n "$1-$$" link set lo up
	ip link add eth0 netns "$1-$$" type veth peer name "$1" netns "sw-$$"
	ip -n "sw-$$" link set dev "$1" master br0 up
	ip -n "$1-$$" link set eth0 up
	ip -n "$1-$$" addr add "$2" dev eth0
	ip -n "$1-$$" addr add "$3" dev eth0 nodad
}

bgp_end() {
	[ "$KTAP_CNT_FAIL" = 0 ] || bgp_logs
	capture_stop		# who waits for all children waits for these, too
	kill -9 ${BIRD_PID:-} ${FRR_PID:-}
	wait ${BIRD_PID:-} ${FRR_PID:-}
	pair_destroy
	ip netns del "bird-$$"
	ip netns del "frr-$$"
} 2>/dev/null

bgp_logs() {
	local f

	for f in "$PAIR"/?/bgpd.log "$BGP_DIR/diff"; do
		[ -s "$f" ] && tail -n 15 "$f" | sed "s,^,# ${f#"$PAIR"/}: ,"
	done
}

bgpd_start() {	# BOX
	spawn "$1" "$BGPD" -d -c "$PAIR/$1/bgpd.conf" >>"$PAIR/$1/bgpd.log" 2>&1 </dev/null
	APP_PID[$1]=$!
}

bgpd_show() {	# BOX WHAT...
	local box=$1

	shift
	"$BGPD" --show "$@" -s "$PAIR/$box/bgpd.sock" 2>/dev/null
}
