# SPDX-License-Identifier: GPL-2.0-only
#
# Two boxes and a far end for tests of the module alone: what nsrd would do, the test does.
#
#	far               box a (active)          box b (standby)
#	10.9.0.9          10.9.0.1                10.9.0.1 after the takeover
#	fd00::9           fd00::1                 fd00::1
#	eth0 ============ eth0 == bridge (sw) === eth0
#
# Applications are "nsrtool hold" (far end, box a) and "nsrtool inject" (box b), told by "ctl". A test
# is a function; takeover kills box a's port first, so that what it still says is never heard.

. "$NSR_KSELFTEST/kselftest/ktap_helpers.sh"

: "${NSR_B:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}"
: "${NSR_SEED:=$RANDOM}"
# A debugging kernel takes longer; what is waited for is the same.
[ "${NSR_KERNEL:-}" != debug ] || : "${SLOW:=4}"
: "${SLOW:=1}"
TOOL=$NSR_B/tests/nsrtool
MAC=00:00:5e:00:01:07
# Each lane of run_tests() has namespaces and a directory of its own.
NS=$$
W=/tmp/adopt.$NS
mkdir -p $W

# Quicker than "ip netns exec", which mounts a sysfs each time. In the background nsenter itself, not
# this: the process must be the one that is killed.
in_ns() {
	local n=$1

	shift
	nsenter --net="/run/netns/$n-$NS" "$@"
}
in_far() { in_ns far "$@"; }
in_a() { in_ns a "$@"; }
in_b() { in_ns b "$@"; }
in_sw() { in_ns sw "$@"; }

say() { echo "# $*"; }

# ORDER: processes first: a namespace with sockets in it outlives its name.
net_down() {
	local p

	for p in $(jobs -p); do
		kill "$p" 2>/dev/null
	done
	wait 2>/dev/null
	printf 'netns del %s-'$NS'\n' far a b sw | ip -force -batch - 2>/dev/null
	rm -rf "${W:?}"/*
}
trap 'net_down; rm -rf "${W:?}"' EXIT

# A new wire for each test: no state of the one before. Few processes: the guest is emulated.
net_up() {
	local n

	printf 'netns add %s-'$NS'\n' far a b sw | ip -batch - || return 1
	ip -n sw-$NS -batch - <<-EOF || return 1
		link set lo up
		link add br0 type bridge
		link set br0 up
		link add pfar type veth peer name eth0 netns far-$NS
		link add pa type veth peer name eth0 address $MAC netns a-$NS
		link add pb type veth peer name eth0 netns b-$NS
		link set pfar master br0 up
		link set pa master br0 up
		link set pb master br0 up
	EOF
	for n in far a b; do
		in_ns $n sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad;
			echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra'
	done
	ip -n far-$NS -batch - <<-EOF || return 1
		link set lo up
		link set eth0 up
		addr add 10.9.0.9/24 dev eth0
		addr add fd00::9/64 dev eth0 nodad
	EOF
	ip -n a-$NS -batch - <<-EOF || return 1
		link set lo up
		link set eth0 up
		addr add 10.9.0.1/24 dev eth0
		addr add fd00::1/64 dev eth0 nodad
	EOF
	ip -n b-$NS -batch - <<-EOF
		link set lo up
		link set eth0 up
	EOF
}

# What box b calls its interface, and the VRF that it is in.
BDEV=eth0
BVRF=

# groups_up [mode M] [gap G] [-- group words]: the same group on both boxes
groups_up() {
	local rule=() group=() n

	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		rule+=("$1")
		shift
	done
	shift
	group=("$@")
	for n in a b; do
		local dev=eth0

		[ $n = a ] || dev=$BDEV
		in_$n $TOOL group-set 1 dev $dev mac $MAC addr 10.9.0.1 addr fd00::1 "${group[@]}" || return 1
	done
	in_a $TOOL rule-set 1 1 lport 5000 "${rule[@]}" || return 1
	in_a $TOOL role 1 active lease 3600000 >/dev/null
}

ctl() {
	local path=$W/$1.ctl
	shift
	$TOOL ctl "$path" "$@"
}

# until_ok SECONDS COMMAND...: polls
until_ok() {
	local end=$((SECONDS + $1 * SLOW))

	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

hold() {
	local n=$1

	nsenter --net="/run/netns/$n-$NS" $TOOL hold $W/$n.ctl &
	HOLD_PID=$!
	until_ok 20 test -S $W/$n.ctl
}

# connect [TO [LISTEN-AT [COUNT]]]: the far end does; its sockets are n=0 ..., box a's n=1 ... (0 listens).
connect() {
	local to=${1:-10.9.0.1} at=${2:-10.9.0.1} count=${3:-1}

	hold a || return 1
	A_PID=$HOLD_PID
	hold far || return 1
	FAR_PID=$HOLD_PID
	ctl a listen "$at" 5000 >/dev/null
	ctl far connect "$to" 5000 $count >$W/connect
	grep -q "connected=$count " $W/connect || { cat $W/connect; return 1; }
	ctl a accept 0 $count >/dev/null
	until_ok 10 conns_on_a $count
}

conns_on_a() { in_a $TOOL conns >$W/conns.a && [ "$(wc -l <$W/conns.a)" = "$1" ]; }
one_conn_on_a() { conns_on_a 1; }

# The record as the daemons would have it: of box a, or given.
record() {
	in_a $TOOL conns >$W/record
}

# What a planned switchover waits for: the far end has acknowledged everything. lwIP and others take their time.
all_acked() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field snd_una $W/conns.a)" = "$(field write_seq $W/conns.a)" ]
}

# field NAME FILE
field() {
	sed -n "1s/.*\\b$1=\\([^ ]*\\).*/\\1/p" "$2"
}

# with NAME=VALUE...: the record changed
with() {
	local w

	for w; do
		if grep -q "\\b${w%%=*}=" $W/record; then
			sed -i "s/\\b${w%%=*}=[^ ]*/$w/" $W/record
		else
			sed -i "s/\$/ $w/" $W/record
		fi
	done
}

inject() {
	nsenter --net="/run/netns/b-$NS" $TOOL inject 1 "$@" ctl $W/b.ctl <$W/record >$W/inject 2>&1 &
	B_PID=$!
	until_ok 20 test -S $W/b.ctl || { cat $W/inject; return 1; }
}

a_dies() {
	ip -n sw-$NS link set pa down
}

# The order of a takeover: role, then MAC and address, then they learn of it.
takeover() {
	in_b $TOOL role 1 active lease 3600000 term 2 >/dev/null || return 1
	ip -n b-$NS -batch - <<-EOF
		link set $BDEV down
		link set $BDEV address $MAC
		link set $BDEV up
		addr add 10.9.0.1/24 dev $BDEV
		addr add fd00::1/64 dev $BDEV nodad
	EOF
	# The bridge learns where the MAC is now.
	in_b ping -c 1 -W 1 ${BVRF:+-I $BVRF} 10.9.0.9 >/dev/null 2>&1 || true
}

# on_b NAME VALUE: of the only connection there
on_b() {
	in_b $TOOL conns >$W/conns.b 2>/dev/null
	[ "$(field "$1" $W/conns.b)" = "$2" ]
}

resumed() { until_ok "${1:-20}" on_b phase 3; }

stat_of() {
	in_$1 $TOOL group 1 | sed -n "1s/.*\\b$2=\\([^ ]*\\).*/\\1/p"
}

stat_is() {
	local v

	v=$(stat_of "$1" "$2")
	[ "$v" = "$3" ] || { say "$2 is $v on box $1, not $3"; return 1; }
}

# Says one line each way, over whatever box is active; far's socket is 0, the box's is $2.
talks() {
	local box=$1 n=$2 word=w$RANDOM

	ctl far send 0 $word >/dev/null
	until_ok 20 got $box $n $word || { say "box $box did not get $word"; return 1; }
	word=w$RANDOM
	ctl $box send $n $word >/dev/null
	until_ok 20 got far 0 $word || { say "the far end did not get $word"; return 1; }
}

# got WHO N TEXT: exactly TEXT is there now
got() {
	local r

	r=$(ctl $1 recv $2)
	[ "$r" = EAGAIN ] && return 1
	[ "$r" = "$3" ] || { say "$1 got \"$r\" for \"$3\""; return 1; }
}

# What reaches the far end's stack, and what leaves it: a wall that captures see through and raw sockets
# pass. far_deaf: the far end hears nothing of the service; far_hears: again.
far_deaf() {
	in_far nft add table inet wall &&
	in_far nft add chain inet wall in '{ type filter hook input priority 0; }' &&
	in_far nft add rule inet wall in tcp sport 5000 drop
}

far_hears() { in_far nft delete table inet wall; }

# forge WORDS...: a segment to box b as from the far end, with the connection's ports
forge() {
	in_far $NSR_B/tests/segment 10.9.0.9 "$(field rport $W/record)" 10.9.0.1 5000 "$@"
}

# Sequence numbers of positions in the record: far's (irs) and ours (iss)
seq_rcv() { echo $((($(field irs $W/record) + 1 + $1) & 0xffffffff)); }
seq_snd() { echo $((($(field iss $W/record) + 1 + $1) & 0xffffffff)); }

# A whole file each way, compared
bulk() {
	local box=$1 n=$2 size=${3:-300000}

	head -c $size /dev/urandom >$W/src
	rm -f $W/dst $W/dst.end
	ctl far pull 0 $W/dst >/dev/null
	ctl $box push $n $W/src 0 >/dev/null
	until_ok 60 test -e $W/dst.end && cmp $W/src $W/dst || { say "box to far end: differs"; return 1; }
	rm -f $W/dst2 $W/dst2.end
	ctl $box pull $n $W/dst2 >/dev/null
	ctl far push 0 $W/src 0 >/dev/null
	until_ok 60 test -e $W/dst2.end && cmp $W/src $W/dst2 || { say "far end to box: differs"; return 1; }
}

monitor() {
	nsenter --net="/run/netns/b-$NS" $TOOL monitor >$W/events 2>&1 &
	until_ok 20 grep -q monitoring $W/events
}

# event WORD...: an event of box b that has all the words
event() {
	local w lines

	lines=$(cat $W/events)
	for w; do
		lines=$(grep -E "(^| )$w( |\$)" <<<"$lines") || return 1
	done
}

# capture NAME FILTER...: on the far end's wire
capture() { capture_on far "$@"; }

# capture_on NAMESPACE NAME FILTER...
capture_on() {
	local n=$1 name=$2

	shift 2
	nsenter --net="/run/netns/$n-$NS" tcpdump -i eth0 -n -U -w $W/$name.pcap "$@" >/dev/null 2>$W/$name.err &
	until_ok 20 grep -q listening $W/$name.err
}

captured() {
	tcpdump -n -r $W/$1.pcap "${@:2}" 2>/dev/null
}

# run_test NAME COMMAND...: here and now
run_test() {
	local name=$1

	shift
	if net_up && "$@" >$W.out 2>&1; then
		ktap_test_pass "$name"
	else
		sed 's/^/# /' $W.out
		in_b $TOOL conns 2>&1 | sed 's/^/# b: /'
		in_b $TOOL group 1 2>&1 | sed 's/^/# b: /'
		ktap_test_fail "$name"
	fi
	rm -f $W.out
	net_down
}

# Output of test number I of the array tests to $RESULTS/I.out, verdict to $RESULTS/I.end
lane_test() {
	local i=$1 verdict=fail

	# A test's choices depend on the seed and its place, not on what ran before.
	RANDOM=$((NSR_SEED + i))
	test_reset
	{
		# shellcheck disable=SC2086
		net_up && ${tests[i + 1]} && verdict=pass
		[ $verdict = pass ] || {
			in_b $TOOL conns 2>&1 | sed 's/^/b: /'
			in_b $TOOL group 1 2>&1 | sed 's/^/b: /'
		}
	} >$RESULTS/$i.out 2>&1
	net_down >/dev/null 2>&1
	echo $verdict >$RESULTS/$i.end
}

# Takes tests that no other lane has taken, one after the other.
lane() {
	local i

	trap - EXIT
	NS=$$x$1
	W=$RESULTS/lane$1
	mkdir -p $W
	for ((i = 0; i < ${#tests[@]}; i += 2)); do
		wanted $i && mkdir $RESULTS/$i.taken 2>/dev/null &&
			echo "$1 $BASHPID $EPOCHSECONDS" >$RESULTS/$i.taken/lane && lane_test $i
	done
}

wanted() { [ -z "$ONLY" ] || [[ " $ONLY " = *" ${tests[$1 + 1]%% *} "* ]]; }

# What a test may have set for itself; a library on top of this one has more of it.
test_reset() { :; }

# A test that hangs is to be named, and is not to take the others with it.
TEST_LIMIT=$((600 * SLOW))

# Asked again and again: no process for it.
too_long() {
	local lane pid begun

	[ -s $RESULTS/$1.taken/lane ] && read -r lane pid begun <$RESULTS/$1.taken/lane &&
		[ $((EPOCHSECONDS - begun)) -gt $TEST_LIMIT ]
}

# end_test I: what ran, to its output; then an end to it, so that its lane goes on
end_test() {
	local n lane pid begun

	read -r lane pid begun <$RESULTS/$1.taken/lane
	{
		echo "no end in $TEST_LIMIT s"
		ps axfo pid,etimes,stat,wchan:24,args | grep -v '\[.*\]$' | tail -n 60
	} >>$RESULTS/$1.out
	for n in far a b sw; do
		ip netns pids $n-$$x$lane | xargs -r kill -9
	done
	pkill -9 -P $pid
}

ended() { [ -s $RESULTS/$1.end ] || ! kill -0 $LANE_PIDS 2>/dev/null; }

# run_tests [NAMES]: those of the array tests, all without NAMES
run_tests() {
	ktap_set_plan $((${#tests[@]} / 2))
	run_lanes "$1"
	ktap_finished
}

# run_lanes [NAMES]: of the array tests (name, function and its arguments, ...); so many at a time as there
# are LANES, since most of a test's time is waiting. Results come in the array's order.
run_lanes() {
	local i n

	ONLY=$1
	RESULTS=$W/results
	mkdir -p $RESULTS
	LANE_PIDS=
	for ((n = 0; n < ${LANES:-2}; n++)); do
		lane $n &
		LANE_PIDS="$LANE_PIDS $!"
	done
	for ((i = 0; i < ${#tests[@]}; i += 2)); do
		if ! wanted $i; then
			ktap_test_skip "${tests[i]}"
			continue
		fi
		until ended $i; do
			sleep 0.3
			too_long $i && { end_test $i; break; }
		done
		if [ "$(cat $RESULTS/$i.end 2>/dev/null)" = pass ]; then
			grep -s '^# ' $RESULTS/$i.out
			ktap_test_pass "${tests[i]}"
		else
			sed 's/^/# /' $RESULTS/$i.out
			ktap_test_fail "${tests[i]}"
		fi
	done
	wait
}
