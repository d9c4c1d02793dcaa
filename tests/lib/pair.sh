# SPDX-License-Identifier: GPL-2.0-only
#
# A pair of boxes and a far end, in the guest:
#
#	far            box a (node 1)        box b (node 2)
#	10.0.0.9       svc                   svc                the group's: 10.0.0.1,
#	2001:db8::9     |                     |                             2001:db8::1
#	eth0 ==========+=== bridge (sw) ======+
#	                sync 10.9.0.1 ------- sync 10.9.0.2     link of the daemons
#
# A test sources this, calls pair_create, and box_start a, box_start b. What a box has stands below
# $PAIR/a and $PAIR/b: nsrd.conf, state/, run/, nsrd.log, app.log. Everything goes at the end.

. "$NSR_KSELFTEST/kselftest/ktap_helpers.sh"

: "${NSR_B:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}"
: "${NSR_SEED:=1}"
# A debugging kernel takes longer; what is waited for is the same.
[ "${NSR_KERNEL:-}" != debug ] || : "${SLOW:=4}"
: "${SLOW:=1}"
NSRD=$NSR_B/daemon/nsrd
NSRCTL=$NSR_B/daemon/nsrctl

PAIR=/tmp/pair.$$
declare -A NSRD_PID APP_PID
VIP4=10.0.0.1
VIP6=2001:db8::1
FAR4=10.0.0.9
FAR6=2001:db8::9
PORT=$((7000 + RANDOM % 1000))

# What a test may choose before pair_create
: "${PAIR_MAC:=replace}"
: "${PAIR_INTERVAL:=$((500 * SLOW))ms}"
: "${PAIR_MODE:=adopt}"
: "${PAIR_GAP:=report}"
: "${PAIR_LEAVE:=$((5 * SLOW))s}"
: "${PAIR_ADDRESSES:=$VIP4/24, $VIP6/64}"

pair_say() {
	echo "# $*"
}

far() {
	ip netns exec far-$$ "$@"
}

on() {
	local box=$1

	shift
	ip netns exec "$box-$$" "$@"
}

# spawn BOX COMMAND...: in the background; $! is the command itself, which "on ... &" would not give
spawn() {
	local box=$1

	shift
	ip netns exec "$box-$$" "$@" &
}

# ---- waiting: pollers, never sleeps ----

# until_ok SECONDS COMMAND...: 0 as soon as it succeeds
until_ok() {
	local end=$((${EPOCHREALTIME/./} + $1 * SLOW * 1000000))

	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < end)) || return 1
		sleep 0.2
	done
}

# ---- topology ----

pair_wire() {
	local box=$1 number=$2 vrf

	ip netns add "$box-$$"
	on "$box" ip link set lo up
	ip link add svc netns "$box-$$" address "02:00:00:00:00:0$number" type veth \
		peer name "$box" netns "sw-$$"
	ip -n "sw-$$" link set dev "$box" master br0 up
	# No link-local address: a box that plays no role has nothing to say on the service network.
	on "$box" sysctl -qw net.ipv6.conf.svc.addr_gen_mode=1
	vrf=PAIR_VRF_$box
	vrf=${!vrf:-${PAIR_VRF:-}}
	if [ -n "$vrf" ]; then
		on "$box" ip link add "$vrf" type vrf table 10
		on "$box" ip link set "$vrf" up
		on "$box" ip link set svc master "$vrf"
	fi
	on "$box" ip link set svc up
	# Without a route to the far ends there is nothing to send with; a real box has one too.
	mkdir -p "$PAIR/$box/state" "$PAIR/$box/run"
}

pair_config() {
	local box=$1 node=$2 peer=$3

	cat >"$PAIR/$box/nsrd.conf" <<-END
	node-id = $node
	state-dir = $PAIR/$box/state
	run-dir = $PAIR/$box/run
	peer {
		local = 10.9.0.$node
		address = 10.9.0.$peer
	}
	group edge {
		id = 1
		interface = svc
		addresses = { $PAIR_ADDRESSES }
		mac = $PAIR_MAC
		priority = $((110 - node))
		interval = $PAIR_INTERVAL
		leave-timeout = $PAIR_LEAVE
		rule {
			local-port = $PORT
			mode = $PAIR_MODE
			gap = $PAIR_GAP
			${PAIR_DEVICE:+vrf = $PAIR_DEVICE}
		}
		rule {
			remote-port = $PORT
			mode = $PAIR_MODE
			gap = $PAIR_GAP
		}
		$PAIR_GROUP_EXTRA
	}
	END
}

pair_create() {
	trap pair_destroy EXIT
	modprobe -q veth
	modprobe -q bridge
	grep -q '^tcp_nsr ' /proc/modules || insmod "$NSR_KO" || return 1
	mkdir -p "$PAIR"
	ip netns add "sw-$$"
	ip -n "sw-$$" link add br0 type bridge forward_delay 0
	ip -n "sw-$$" link set br0 up
	ip netns add "far-$$"
	far ip link set lo up
	ip link add eth0 netns "far-$$" type veth peer name far netns "sw-$$"
	ip -n "sw-$$" link set dev far master br0 up
	far sysctl -qw net.ipv6.conf.eth0.accept_dad=0
	far ip link set eth0 up
	far ip addr add $FAR4/24 dev eth0
	far ip addr add $FAR6/64 dev eth0 nodad
	pair_wire a 1
	pair_wire b 2
	ip link add sync netns "a-$$" type veth peer name sync netns "b-$$"
	on a ip addr add 10.9.0.1/30 dev sync
	on b ip addr add 10.9.0.2/30 dev sync
	on a ip link set sync up
	on b ip link set sync up
	pair_config a 1 2
	pair_config b 2 1
}

pair_destroy() {
	local status=$? box logs

	for box in a b; do
		box_kill $box
	done
	[ -n "${FAR_PIDS:-}" ] && kill -9 $FAR_PIDS 2>/dev/null
	wait 2>/dev/null
	if [ -n "${NSR_OUT:-}" ] && { [ "$KTAP_CNT_FAIL" != 0 ] || [ -n "${PAIR_KEEP:-}" ]; }; then
		# NSR_OUT is the same for guests that run side by side.
		logs=$NSR_OUT/$(basename "$0").${NSR_KERNEL:-here}.logs
		rm -rf "$logs"
		cp -r "$PAIR" "$logs" 2>/dev/null
		dmesg >"$logs/dmesg"
	fi
	for box in a b far sw; do
		ip netns del "$box-$$" 2>/dev/null
	done
	rm -rf "$PAIR"
	return $status
}

# ---- boxes ----

# box_start BOX [OPTIONS OF NSRD]
box_start() {
	local box=$1

	shift
	# A process that dies of a signal must not take the test's words with it.
	# As its unit file has it: the lease does not wait for a busy machine.
	spawn "$box" chrt -r 10 "$NSRD" -c "$PAIR/$box/nsrd.conf" -l "${PAIR_LOG:-info}" "$@" \
		>>"$PAIR/$box/nsrd.log" 2>&1 </dev/null
	NSRD_PID[$box]=$!
	until_ok 30 test -S "$PAIR/$box/run/control.sock"
}

# Like a power cut: no word to anybody.
box_kill() {
	local box=$1

	[ -n "${NSRD_PID[$box]:-}" ] && kill -9 "${NSRD_PID[$box]}" 2>/dev/null
	[ -n "${APP_PID[$box]:-}" ] && kill -9 ${APP_PID[$box]} 2>/dev/null
	wait "${NSRD_PID[$box]:-}" ${APP_PID[$box]:-} 2>/dev/null
	NSRD_PID[$box]=
	APP_PID[$box]=
	rm -f "$PAIR/$box/run/"*.sock
	return 0
}

# The whole box dies: its links are cut first, so that nothing its sockets say at their end gets out.
box_die() {
	local box=$1

	ip -n "$box-$$" link set svc down
	ip -n "$box-$$" link set sync down
	box_kill "$box"
}

# It is back, with what its disk says; nothing in its kernel.
box_reboot() {
	local box=$1

	box_forget_kernel "$box"
	on "$box" ip addr flush dev svc
	ip -n "$box-$$" link set sync up
	ip -n "$box-$$" link set svc up
	box_start "$box"
}

# The module holds roles and groups per namespace: a rebooted box has none.
box_forget_kernel() {
	local box=$1

	# Orphaned sockets of the dead box may keep its namespace for minutes: without wires it is no box.
	ip -n "sw-$$" link del dev "$box"
	ip -n "$box-$$" link del dev sync
	ip netns del "$box-$$"
	pair_wire "$box" "$([ "$box" = a ] && echo 1 || echo 2)"
	ip link add sync netns "a-$$" type veth peer name sync netns "b-$$"
	on a ip addr add 10.9.0.1/30 dev sync 2>/dev/null
	on b ip addr add 10.9.0.2/30 dev sync 2>/dev/null
	on a ip link set sync up
	on b ip link set sync up
}

ctl() {
	local box=$1

	shift
	"$NSRCTL" -s "$PAIR/$box/run/control.sock" "$@"
}

# state BOX: the machine's word, such as active, ready, sync
state() {
	ctl "$1" show 2>/dev/null | awk '$1 == "edge" { print $3 }'
}

is_state() {
	[ "$(state "$1")" = "$2" ]
}

is_protected() {
	ctl "$1" show 2>/dev/null | awk '$1 == "edge" { found = $4 == "protected" } END { exit !found }'
}

# listens BOX COUNT: so many sockets for the service's port
listens() {
	[ "$(ip netns exec "$1-$$" ss -ltnH "sport = :$PORT" | wc -l)" = "$2" ]
}

digest() {
	ctl "$1" show --digest 2>/dev/null | awk '{ print $2 }'
}

same_digest() {
	local x

	x=$(digest a)
	[ -n "$x" ] && [ "$x" = "$(digest b)" ]
}

counter() {
	ctl "$1" show counters | awk -v name="$2" '$1 == name { print $2 }'
}

# pair_up ACTIVE STANDBY: both run, the one is active, the other ready
pair_up() {
	until_ok 60 is_state "$1" active && until_ok 60 is_state "$2" ready && until_ok 60 is_protected "$1"
}

# num_conns BOX: a connection that is not protected has a second line, the reason, which is indented
num_conns() {
	ctl "$1" show conns 2>/dev/null | tail -n +2 | grep -c '^[^ ]'
}

has_conns() {
	[ "$(num_conns "$1")" = "$2" ]
}

# ---- captures ----

# capture NAME NETNS DEVICE [FILTER]: until capture_stop; into $PAIR/NAME.pcap
capture() {
	local name=$1 ns=$2 dev=$3

	shift 3
	# Without --immediate-mode the kernel keeps frames back until a block is full, and those go at a kill.
	ip netns exec "$ns-$$" tcpdump --immediate-mode -i "$dev" -U -s 160 -w "$PAIR/$name.pcap" "$@" \
		>/dev/null 2>"$PAIR/$name.tcpdump" </dev/null &
	CAPTURES="${CAPTURES:-} $!:$name"
	until_ok 20 grep -q listening "$PAIR/$name.tcpdump"
}

# capture_whole PID NAME: tcpdump has taken all that the kernel had for it. (Never true with -Q, whose frames of the
# other direction count as received.)
capture_whole() {
	kill -USR1 "$1" || return 1
	sleep 0.1
	# "7 packets captured, 9 packets received by filter, 0 packets dropped by kernel"
	tail -n 1 "$PAIR/$2.tcpdump" | awk '/captured/ { whole = $1 == $4 } END { exit !whole }'
}

capture_stop() {
	local one

	for one in ${CAPTURES:-}; do
		until_ok 2 capture_whole "${one%:*}" "${one#*:}"
		kill "${one%:*}" 2>/dev/null
		wait "${one%:*}" 2>/dev/null
	done
	CAPTURES=
}

# frames NAME [FILTER]: how many
frames() {
	local name=$1

	shift
	tcpdump -nr "$PAIR/$name.pcap" "$@" 2>/dev/null | wc -l
}

# ---- verdicts ----

# check NAME COMMAND...
check() {
	local name=$1

	shift
	if "$@"; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
		pair_logs
	fi
}

refute() {
	local name=$1

	shift
	if "$@"; then
		ktap_test_fail "$name"
		pair_logs
	else
		ktap_test_pass "$name"
	fi
}

# What the daemons have said since the last failure.
declare -A LOG_LINES
pair_logs() {
	local box

	for box in a b; do
		[ -e "$PAIR/$box/nsrd.log" ] || continue
		tail -n "+$((${LOG_LINES[$box]:-0} + 1))" "$PAIR/$box/nsrd.log" 2>/dev/null | sed "s/^/# $box: /"
		LOG_LINES[$box]=$(wc -l <"$PAIR/$box/nsrd.log")
	done
}
