#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What every other guest test takes for granted: the kernel's helpers, the far
# ends, namespaces with a wire between them, tools.

. "$NSR_KSELFTEST/kselftest/ktap_helpers.sh"

ns=runner-$$
cleanup() {
	ip netns del $ns-a 2>/dev/null
	ip netns del $ns-b 2>/dev/null
}
trap cleanup EXIT

check() {
	local name=$1
	shift
	if "$@" >/tmp/runner.out 2>&1; then
		ktap_test_pass "$name"
	else
		sed 's/^/# /' /tmp/runner.out
		ktap_test_fail "$name"
	fi
}

wire() {
	ip netns add $ns-a && ip netns add $ns-b &&
	ip link add va netns $ns-a type veth peer name vb netns $ns-b &&
	ip -n $ns-a addr add 10.0.0.1/24 dev va && ip -n $ns-b addr add 10.0.0.2/24 dev vb &&
	ip -n $ns-a link set va up && ip -n $ns-b link set vb up &&
	ip netns exec $ns-a ping -c 1 -W 10 10.0.0.2
}

macvlan() {
	ip -n $ns-a link add mv0 link va address 00:00:5e:00:01:07 type macvlan mode private
}

netem() {
	ip netns exec $ns-a tc qdisc add dev va root netem delay 1ms
}

no_outside() {
	local dev

	# no device behind any interface; what a driver makes by itself (sit0, dummy0) is down
	for dev in /sys/class/net/*; do
		[ ! -e "$dev/device" ] || return 1
	done
	[ "$(ip -o link show up | wc -l)" -le 1 ]
}

out_is_writable() {
	echo "$NSR_KERNEL" >"$NSR_OUT/runner.$NSR_KERNEL"
}

ktap_print_header
ktap_set_plan 10
check "the repository is here" test -e ../scripts/vm/run
check "nothing but loopback" no_outside
check "build/vm-out takes files" out_is_writable
check "namespaces and a wire" wire
check "macvlan" macvlan
check "netem" netem
check "packet filter" ip netns exec $ns-a nft add table netdev t
check "BIRD" bird --version
check "FRR" /usr/lib/frr/bgpd --version
check "capture" tcpdump --version
ktap_finished
