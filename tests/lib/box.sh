# SPDX-License-Identifier: GPL-2.0-only
#
# One box and a far end, in the guest, for tests of the module alone:
#
#	far                     box
#	10.0.0.9     eth0 ==== svc   02:00:00:00:00:aa, 10.0.0.1, 2001:db8::1: the group's
#	2001:db8::9
#
# A test sources this, and calls box_create. Everything goes at the end.

. "$NSR_KSELFTEST/kselftest/ktap_helpers.sh"

: "${NSR_B:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}"
: "${NSR_SEED:=$RANDOM}"
# A debugging kernel takes longer; what is waited for is the same.
[ "${NSR_KERNEL:-}" != debug ] || : "${SLOW:=4}"
: "${SLOW:=1}"
RANDOM=$NSR_SEED
NSRTOOL=$NSR_B/tests/nsrtool
TMP=/tmp/box.$$
MAC=02:00:00:00:00:aa
VIP4=10.0.0.1
VIP6=2001:db8::1
FAR4=10.0.0.9
FAR6=2001:db8::9
PORT=$((7000 + RANDOM % 1000))
OTHER=$((PORT + 1000))
PIDS=

say() {
	echo "# $*"
}

# Quicker than "ip netns exec", which mounts a sysfs each time.
in_ns() {
	local ns=$1

	shift
	nsenter --net="/run/netns/$ns-$$" "$@"
}

far() {
	in_ns far "$@"
}

box() {
	in_ns box "$@"
}

nsr() {
	box "$NSRTOOL" "$@"
}

# ---- waiting: pollers ----

# until_ok SECONDS COMMAND...: 0 as soon as it succeeds
until_ok() {
	local end=$((${EPOCHREALTIME/./} + $1 * SLOW * 1000000))

	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < end)) || return 1
		sleep 0.05
	done
}

# ---- topology ----

box_create() {
	trap box_destroy EXIT
	modprobe -q veth
	grep -q '^tcp_nsr ' /proc/modules || insmod "$NSR_KO" || exit 1
	mkdir -p $TMP
	say "seed $NSR_SEED"
	ip netns add "far-$$"
	ip netns add "box-$$"
	far ip link set lo up
	box ip link set lo up
	box_link
	far ip addr add $FAR4/24 dev eth0
	far ip addr add $FAR6/64 dev eth0 nodad
}

box_link() {
	ip link add eth0 netns "far-$$" type veth peer name svc netns "box-$$" address $MAC
	box sysctl -qw net.ipv6.conf.svc.addr_gen_mode=1
	far ip link set eth0 up
	box ip link set svc up
	box ip addr add $VIP4/24 dev svc
	box ip addr add $VIP6/64 dev svc nodad
}

box_destroy() {
	local status=$?

	for pid in $PIDS; do
		kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	ip netns del "far-$$" 2>/dev/null
	ip netns del "box-$$" 2>/dev/null
	rm -rf $TMP
	return $status
}

# group_up [ROLE-WORDS]: group 1 with a rule for local and one for remote port $PORT, active
group_up() {
	nsr group-set 1 dev svc mac $MAC addr $VIP4 addr $VIP6 $GROUP_EXTRA &&
		nsr rule-set 1 1 lport $PORT && nsr rule-set 1 2 rport $PORT &&
		nsr role 1 active lease 3600000 "$@" >/dev/null
}

group_down() {
	nsr group-del 1 flush
}

# ---- endpoints: hold NAME NETNS; then ctl NAME COMMAND ----

declare -A HOLD_PID

# Not through a function: the process itself must be the one that is killed.
hold() {
	nsenter --net="/run/netns/$2-$$" "$NSRTOOL" hold "$TMP/$1" </dev/null >/dev/null 2>&1 &
	HOLD_PID[$1]=$!
	PIDS="$PIDS $!"
	until_ok 30 test -S "$TMP/$1"
}

ctl() {
	local name=$1

	shift
	"$NSRTOOL" ctl "$TMP/$name" "$@"
}

# conn_up NAME LISTENER-NETNS CONNECTOR-NETNS ADDR PORT: NAME.l listens and accepts one (number 1), NAME.c
# connects (number 0)
conn_up() {
	hold "$1.l" "$2" && hold "$1.c" "$3" &&
		ctl "$1.l" listen "$4" "$5" >/dev/null &&
		ctl "$1.c" connect "${6:-$4}" "$5" | grep -q connected=1 &&
		ctl "$1.l" accept 0 | grep -q accepted=1
}

conn_kill() {
	local end

	for end in l c; do
		kill -9 "${HOLD_PID[$1.$end]}" 2>/dev/null
		wait "${HOLD_PID[$1.$end]}" 2>/dev/null
		rm -f "$TMP/$1.$end"
	done
}

# ---- the module's words ----

# field NAME: of the line on standard input
field() {
	sed -n "s/.*\(^\| \)$1=\([^ ]*\).*/\2/p"
}

stat_of() {
	nsr group 1 | field "$1"
}

num_conns() {
	nsr conns | wc -l
}

has_conns() {
	[ "$(num_conns)" = "$1" ]
}

stat_is() {
	[ "$(stat_of "$1")" = "$2" ]
}

stat_above() {
	[ "$(stat_of "$1")" -gt "$2" ]
}

# monitor NAME [WORDS]: events into $TMP/NAME
monitor() {
	local name=$1

	shift
	nsenter --net="/run/netns/box-$$" "$NSRTOOL" monitor "$@" >"$TMP/$name" 2>&1 </dev/null &
	MONITOR_PID=$!
	PIDS="$PIDS $!"
	until_ok 30 grep -q monitoring "$TMP/$name"
}

monitor_stop() {
	kill $MONITOR_PID 2>/dev/null
	wait $MONITOR_PID 2>/dev/null
}

# ---- captures on the far end's side ----

capture() {
	local name=$1

	shift
	nsenter --net="/run/netns/far-$$" tcpdump -i eth0 -U -s 160 -w "$TMP/$name.pcap" "$@" \
		>/dev/null 2>"$TMP/$name.tcpdump" </dev/null &
	CAPTURE_PID=$!
	PIDS="$PIDS $!"
	until_ok 30 grep -q listening "$TMP/$name.tcpdump"
}

# What the box sent before is in the file once a frame of the far end's own that came later is.
capture_stop() {
	local name=$1 mark=$((20000 + RANDOM % 10000))

	far bash -c "echo >/dev/udp/10.0.0.77/$mark" 2>/dev/null
	far ip neigh replace 10.0.0.77 lladdr 02:00:00:00:00:77 dev eth0
	until_ok 10 capture_marked "$name" $mark
	kill $CAPTURE_PID 2>/dev/null
	wait $CAPTURE_PID 2>/dev/null
}

capture_marked() {
	far bash -c "echo >/dev/udp/10.0.0.77/$2"
	tcpdump -nr "$TMP/$1.pcap" udp dst port "$2" 2>/dev/null | grep -q .
}

# frames NAME [FILTER]: how many
frames() {
	local name=$1

	shift
	tcpdump -nr "$TMP/$name.pcap" "$@" 2>/dev/null | wc -l
}

# ---- verdicts ----

# check NAME COMMAND...
check() {
	local name=$1

	shift
	if "$@"; then
		ktap_test_pass "$name"
	else
		say "failed: $*"
		ktap_test_fail "$name"
	fi
}

not() {
	! "$@"
}
