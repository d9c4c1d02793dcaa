#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The torture test. Far ends and applications exchange pseudo-random streams, two on each connection, and requests;
# every byte is compared on both sides, each request must be answered once. A killer strikes at random moments, the
# network between is bad. Topology: tests/lib/pair.sh.
#
#	MODES	lossless adopt naive: one after the other	KILLS	in each mode (3, 1, 1); those that hit no data do
#	not count
#	SEED	repeats the choices of a run			ROUND	kills on the same connections, then new ones
#	STREAMS, ECHOES: connections	MTUS, SEGMENTS (on off): the choice of the rounds	STRIKES: of the kills
#
# naive is the control: it must lose data or wedge. adopt may have gaps, and names them. BREAKS (gate-follows-reads
# transaction-whole nsrd-death-opens-nothing; none by default): rules that are switched off, one after the other, in mode
# lossless: the test must find out each time.
#
# no second attempt

cd "$(dirname "$0")/.." || exit 1
[ "${NSR_KERNEL:-}" != debug ] || : "${STREAMS:=8}" "${ECHOES:=2}" "${RATE:=5000}"
: "${SEED:=${NSR_SEED:-1}}" "${MODES=${PAIR_MODE:-lossless adopt naive}}" "${ROUND:=10}" "${BREAKS:=}"
: "${PAIR_INTERVAL:=300ms}"
: "${STREAMS:=10}" "${ECHOES:=4}" "${MTUS:=576 1500 9000}" "${SEGMENTS:=on off}" "${RATE:=20000}"
: "${STRIKES:=box box box procs procs nsrd_first nsrd_first switchover nsrd_active nsrd_standby joining}"
RANDOM=$((SEED % 32768))
PAIR_GAP=report
. tests/lib/pair.sh
TOOLS=$NSR_B/tests
ECHO_PORT=$((PORT + 1000))
declare -A FAR_PID FAR_KIND

# Quicker than "ip netns exec", which mounts a sysfs each time.
on() {
	local box=$1

	shift
	nsenter --net="/run/netns/$box-$$" "$@"
}

far() {
	on far "$@"
}

spawn() {
	local box=$1

	shift
	nsenter --net="/run/netns/$box-$$" "$@" &
}

pair_say() {
	printf '# %(%T)T %s\n' -1 "$*"
}

one_of() {
	shift $((RANDOM % $#))
	echo "$1"
}

nap() {		# up to $1 ms
	sleep "$(printf '0.%03d' $((RANDOM % $1)))"
}

# ---- the round's network and connections ----

shape() {	# NETNS DEVICE [NETEM-WORDS]
	if [ $# -gt 2 ]; then
		on "$1" tc qdisc replace dev "$2" root netem limit 20000 "${@:3}" || exit 1
	else
		on "$1" tc qdisc del dev "$2" root 2>/dev/null
	fi
}

weather() {
	local far_to=${SKY:-$((RANDOM % 6))} sync=$((RANDOM % 4)) words

	case $far_to in
	0) words= ;;
	1) words="delay 3ms 2ms" ;;
	2) words="loss 1%" ;;
	3) words="delay 5ms 3ms reorder 20% 50% duplicate 1%" ;;
	4) words="corrupt 0.5% duplicate 0.5%" ;;
	5) words="delay 25ms 10ms loss 0.5%" ;;
	esac
	for to in "sw far" "far eth0"; do
		shape $to $words
	done
	for box in a b; do
		shape $box sync delay ${sync}ms
	done
	WEATHER="${words:-none}, sync link ${sync} ms"
}

calm() {
	for to in "sw far" "far eth0" "a sync" "b sync"; do
		shape $to
	done
}

# links BOX: what its cable, made anew, must be told; far: the far end's
links() {
	local way

	for way in "$1 $([ "$1" = far ] && echo eth0 || echo svc)" "sw $1"; do
		set -- $way
		ip -n "$1-$$" link set dev "$2" mtu "$MTU" 2>/dev/null
		on "$1" ethtool -K "$2" gso "$SEGMENT" tso "$SEGMENT" gro "$SEGMENT" 2>/dev/null
	done
}

apps_start() {
	local box=$1 app

	for app in "${APPS[@]}"; do
		set -- $app
		spawn "$box" "$TOOLS/$1" --group edge --app "$2" --socket "$PAIR/$box/run/app.sock" --listen "$3" \
			--gap report "${@:4}" >>"$PAIR/$box.apps" 2>>"$PAIR/$box.errors" </dev/null
		APP_PID[$box]="${APP_PID[$box]:-} $!"
	done
}

far_begin() {	# NAME
	local name=$1 to=$VIP4:$PORT what="--endless --by-port --message 0 --vary $RATE"

	case $name in
	s6*) to="[$VIP6]:$PORT" ;;
	e*) to=$VIP4:$ECHO_PORT what="--echo $((1 + RANDOM % 100)) --message 0" ;;
	esac
	spawn far "$TOOLS/far_stream" --connect "$to" --seed "$SEED" --timeout 240000 $what >"$PAIR/$name.far" 2>&1 </dev/null
	FAR_PID[$name]=$!
	FAR_PIDS="${FAR_PIDS:-} $!"
	until_ok 60 grep -q '^connected' "$PAIR/$name.far" || { pair_say "far end $name: $(cat "$PAIR/$name.far")"; return 1; }
}

round_begin() {
	local n end

	MTU=$(one_of $MTUS) SEGMENT=$(one_of $SEGMENTS)
	PAIR_MODE=$MODE
	# IPv6 is not on a link whose MTU is below 1280.
	PAIR_ADDRESSES="$VIP4/24$([ "$MTU" -lt 1280 ] || echo ", $VIP6/64")"
	PAIR_GROUP_EXTRA="commit-timeout = 120s rule { local-port = $ECHO_PORT mode = $MODE gap = report }"
	FAR_PIDS= FAR_PID=()
	pair_create || exit 1
	for end in far a b; do
		links $end
	done
	APPS=("nsr_stream s4 $VIP4:$PORT --endless --by-port --message 0 --seed $SEED --vary $RATE")
	[ "$MTU" -lt 1280 ] || APPS+=("nsr_stream s6 [$VIP6]:$PORT --endless --by-port --message 0 --seed $SEED --vary $RATE")
	[ "$MODE" != lossless ] || APPS+=("nsr_echo e4 $VIP4:$ECHO_PORT")
	box_start a
	box_start b
	pair_up a b || return 1
	apps_start a
	apps_start b
	until_ok 60 apps_ready a && until_ok 60 apps_ready b || return 1
	for ((n = 0; n < STREAMS; n++)); do
		far_begin "s$([ "$MTU" -ge 1280 ] && [ $((n % 3)) = 2 ] && echo 6 || echo 4).$n" || return 1
	done
	for ((n = 0; n < ECHOES; n++)); do
		[ "$MODE" != lossless ] || far_begin "e4.$n" || return 1
	done
	pair_say "$MODE: MTU $MTU, segmentation offload $SEGMENT, ${#FAR_PID[@]} connections"
	ACTIVE=a STANDBY=b
}

apps_ready() {
	[ "$(ctl "$1" show apps 2>/dev/null | awk '$3 == "yes"' | wc -l)" -ge ${#APPS[@]} ] &&
		[ "$(on "$1" ss -ltnH "sport = :$PORT or sport = :$ECHO_PORT" | wc -l)" = ${#APPS[@]} ]
}

# ---- moments ----

# Both boxes hold each connection, and it is protected.
in_step() {
	# A restarted nsrd may find itself active still, and learn a moment later that it is not.
	is_state $ACTIVE active || roles $STANDBY
	is_state "$STANDBY" ready && is_protected "$ACTIVE" && apps_ready "$STANDBY" &&
		[ "$(ctl "$ACTIVE" show conns | grep -c 'UNPROTECTED')" = 0 ] && has_conns "$STANDBY" "$(num_conns "$ACTIVE")"
}

positions() {
	kill -USR1 ${FAR_PID[*]} 2>/dev/null
	sleep 0.1
	awk '/^progress/ { split($2 $3, x, /[a-z]*=/); at[FILENAME] = x[2] + x[3] }
	     END { for (f in at) printf "%s %.0f\n", f, at[f] }' "$PAIR"/*.far | sort
}

# So many connections had data on their way within the last second.
moving() {
	positions >"$PAIR/before"
	sleep 0.6
	positions >"$PAIR/now"
	diff "$PAIR/before" "$PAIR/now" | grep -c '^>'
}

enough_move() {
	MOVING=$(moving)
	[ "$MOVING" -ge $((${#FAR_PID[@]} < 8 ? ${#FAR_PID[@]} : 8)) ]
}

# ---- strikes ----

strike() {
	local kind=$1

	OTHER=$STANDBY DOWN=$ACTIVE
	case $kind in
	box)
		box_die "$ACTIVE"
		;;
	procs)
		box_kill "$ACTIVE"
		;;
	nsrd_first)		# between application and daemon
		kill -9 "${NSRD_PID[$ACTIVE]}"
		[ -z "${LEAD:-}" ] || sleep "$LEAD"
		nap 400
		box_kill "$ACTIVE"
		;;
	switchover)		# within a planned takeover
		ctl "$ACTIVE" switchover --yes >>"$PAIR/switch.log" 2>&1 &
		nap 400
		DOWN=$(one_of "$ACTIVE" "$STANDBY")
		[ "$DOWN" = "$ACTIVE" ] || OTHER=$ACTIVE
		box_die "$DOWN"
		;;
	nsrd_active)
		kill -9 "${NSRD_PID[$ACTIVE]}"
		nap 999
		restart_nsrd "$ACTIVE"
		DOWN=
		;;
	nsrd_standby)
		kill -9 "${NSRD_PID[$STANDBY]}"
		nap 999
		restart_nsrd "$STANDBY"
		DOWN=
		;;
	joining)		# within a snapshot
		box_die "$STANDBY"
		box_reboot "$STANDBY"
		links "$STANDBY"
		apps_start "$STANDBY"
		nap 999
		nap 999
		if [ $((RANDOM % 2)) = 0 ]; then
			kill -9 "${NSRD_PID[$ACTIVE]}"
			nap 300
			restart_nsrd "$ACTIVE"
			DOWN=
		else
			box_die "$STANDBY"
			DOWN=$STANDBY
			OTHER=$ACTIVE
		fi
		;;
	esac
}

restart_nsrd() {
	wait "${NSRD_PID[$1]}" 2>/dev/null
	rm -f "$PAIR/$1/run/"*.sock
	box_start "$1"
}

roles() {	# ACTIVE
	ACTIVE=$1
	STANDBY=$([ $1 = a ] && echo b || echo a)
}

# One is active.
someone_active() {
	local box

	for box in ${DOWN:+$OTHER} ${DOWN:-a b}; do
		[ "$box" != "$DOWN" ] && is_state "$box" active && roles "$box" && return
	done
	return 1
}

revive() {
	case $DOWN,$1 in
	,*) return ;;
	*,procs | *,nsrd_first) box_start "$DOWN" ;;
	*) box_reboot "$DOWN"; links "$DOWN" ;;
	esac
	apps_start "$DOWN"
}

# ---- the account ----

account_zero() {
	T_KILLS=0 T_EMPTY=0 T_TAKEOVERS=0 T_BYTES=0 T_LOST=0 T_REPEATED=0 T_ALTERED=0 T_GAPS=0 T_GAP_BYTES=0 T_CONNS=0
	T_ANSWERS=0 T_WEDGED=0 T_UNCERTAIN=0
}

wrong() {	# WORDS: what pattern_diagnose() said
	case $1 in
	*lost_*) T_LOST=$((T_LOST + ${1##*lost_})) ;;
	*repeated_*) T_REPEATED=$((T_REPEATED + ${1##*repeated_})) ;;
	*) T_ALTERED=$((T_ALTERED + 1)) ;;
	esac
}

# The far ends that are at their end already should not be.
burials() {
	local name result

	for name in "${!FAR_PID[@]}"; do
		result=$(grep '^result' "$PAIR/$name.far") || continue
		pair_say "$MODE: far end $name ($(sed -n 's/^connected local=\([^ ]*\).*/\1/p' "$PAIR/$name.far")): $result"
		T_CONNS=$((T_CONNS + 1))
		case $result in
		*why=mismatch*) wrong "$(sed 's/.*why=\([^ ]*\).*/\1/' <<<"$result")" ;;
		*why=request_handled_twice*) T_REPEATED=$((T_REPEATED + 1)) ;;
		*why=answer* | *why=counter*) T_ALTERED=$((T_ALTERED + 1)) ;;
		esac
		count_bytes "$result"
		unset "FAR_PID[$name]"
		mv "$PAIR/$name.far" "$PAIR/$name.ended"
	done
}

word() {	# NAME LINE
	sed "s/.*\b$1=\([0-9]*\).*/\1/" <<<"$2"
}

count_bytes() {
	T_BYTES=$((T_BYTES + $(word tx "$1") + $(word rx "$1")))
	T_ANSWERS=$((T_ANSWERS + $(word echoes "$1")))
}

# Those whose far end hears nothing more, though all is well otherwise. It takes its time: the far end's back-off is as long
# as the outage was. In mode adopt a gap is proven by what it sends again three times; at the latest gap-bound after the
# takeover it is called uncertain, and then such a stream stops, as its application has been told.
wedged() {
	local name peer stall=60000

	[ "$MODE" != adopt ] || stall=140000

	positions >/dev/null
	for name in "${!FAR_PID[@]}"; do
		grep -q '^result' "$PAIR/$name.far" && continue
		[ "$(tail -n 1 "$PAIR/$name.far" | sed -n 's/.*stall_ms=//p')" -gt $stall ] 2>/dev/null || continue
		peer=$(sed -n 's/^connected local=\([^ ]*\).*/\1/p' "$PAIR/$name.far")
		pair_say "$MODE: far end $name: nothing for $((stall / 1000)) s: $(tail -n 1 "$PAIR/$name.far")"
		{
			ctl "$ACTIVE" show conns | grep -A 1 -F "$peer"
			on "$ACTIVE" ss -tinmoH "dport = :${peer##*:}"
			far ss -tinmoH "sport = :${peer##*:}"
		} | sed 's/^/#   /'
		if cat "$PAIR"/[ab].apps | grep -F "resumed peer=$peer " | grep -q ' uncertain=[1-9]'; then
			T_UNCERTAIN=$((T_UNCERTAIN + 1))
		else
			T_WEDGED=$((T_WEDGED + 1))
		fi
		kill -9 "${FAR_PID[$name]}"
		unset "FAR_PID[$name]"
		mv "$PAIR/$name.far" "$PAIR/$name.wedged"
	done
}

round_end() {
	local name result peer done_line

	calm
	for name in "${!FAR_PID[@]}"; do
		kill -TERM "${FAR_PID[$name]}"
	done
	until_ok $([ $MODE = adopt ] && echo 200 || echo 120) all_ended ||
		pair_say "$MODE: far ends that do not come to an end"
	wedged
	for name in "${!FAR_PID[@]}"; do
		result=$(grep '^result ok' "$PAIR/$name.far") || continue
		count_bytes "$result"
		[ "${name#e}" = "$name" ] || { unset "FAR_PID[$name]"; continue; }
		# Neither side may have more than the other one sent.
		peer=$(sed -n 's/^connected local=\([^ ]*\).*/\1/p' "$PAIR/$name.far")
		until_ok 10 grep -qF "done peer=$peer " "$PAIR/a.apps" "$PAIR/b.apps"
		done_line=$(cat "$PAIR/a.apps" "$PAIR/b.apps" | grep -F "done peer=$peer " | tail -n 1)
		if [ "$(word rx "$done_line")/$(word tx "$done_line")" != "$(word tx "$result")/$(word rx "$result")" ]; then
			pair_say "$MODE: far end $name: $result, but the application: ${done_line:-has not ended}"
			T_LOST=$((T_LOST + 1))
		fi
		unset "FAR_PID[$name]"
	done
	burials
	while read -r line; do
		pair_say "$MODE: $line"
		wrong "$(sed 's/.*why=//' <<<"$line")"
	done < <(grep -h '^mismatch' "$PAIR"/[ab].apps)
	while read -r line; do
		pair_say "$MODE: $line"
		T_ALTERED=$((T_ALTERED + 1))
	done < <(grep -h '^inconsistent' "$PAIR"/[ab].apps)
	T_GAPS=$((T_GAPS + $(cat "$PAIR"/[ab].apps | grep -c '^gap')))
	T_GAP_BYTES=$((T_GAP_BYTES + $(grep -h '^gap.*dir=rcv' "$PAIR"/[ab].apps |
		awk '{ split($4, f, "="); split($5, t, "="); n += t[2] - f[2] } END { printf "%.0f", n }')))
	! grep -hE 'ERROR: |runtime error' "$PAIR"/[ab].errors "$PAIR"/[ab]/nsrd.log
}

all_ended() {
	local name

	for name in "${!FAR_PID[@]}"; do
		grep -q '^result' "$PAIR/$name.far" || return 1
	done
}

told() {
	pair_say "$MODE: $T_KILLS kills ($T_EMPTY more hit no data), $T_TAKEOVERS takeovers, $T_BYTES bytes checked," \
		"$T_ANSWERS answers; lost $T_LOST, repeated $T_REPEATED, altered $T_ALTERED, named gaps $T_GAPS" \
		"($T_GAP_BYTES bytes), called uncertain $T_UNCERTAIN, connections lost $T_CONNS, wedged $T_WEDGED; SEED=$SEED"
}

# ---- rounds ----

# One kill and all that follows; false: the pair does not come together again.
kill_once() {
	local kind before=$ACTIVE try struck active

	kind=$(one_of $STRIKES)
	weather
	for ((try = 0; try < 20; try++)); do
		enough_move && break
	done
	nap 300
	pair_say "$MODE: $((T_KILLS + 1)): $kind at $ACTIVE, $MOVING connections move (looked $((try + 1)) times); network: $WEATHER"
	if [ $try = 20 ]; then
		T_EMPTY=$((T_EMPTY + 1))
	else
		T_KILLS=$((T_KILLS + 1))
	fi
	struck=${EPOCHREALTIME/./}
	strike "$kind"
	until_ok 90 someone_active || { pair_say "$MODE: no box is active"; return 1; }
	active=$(((${EPOCHREALTIME/./} - struck) / 1000))
	revive "$kind"
	if ! until_ok 120 in_step; then
		pair_say "$MODE: not in step"
		ctl $ACTIVE show
		ctl $ACTIVE show conns
		return 1
	fi
	pair_say "$MODE: box $ACTIVE is active after $active ms, in step after $(((${EPOCHREALTIME/./} - struck) / 1000)) ms"
	[ "$before" = "$ACTIVE" ] || T_TAKEOVERS=$((T_TAKEOVERS + 1))
	burials
	wedged
}

BREAK=0

bad() {
	echo $((T_LOST + T_REPEATED + T_ALTERED + T_CONNS + T_WEDGED))
}

round() {
	local kills=$1 n

	round_begin || { pair_say "$MODE: the pair does not begin"; return 1; }
	for ((n = 0; n < kills; n++)); do
		kill_once || return 1
		# The control has shown what it is to show.
		[ ${#FAR_PID[@]} -ge 8 ] || break
		[ "$MODE" = naive ] || [ "$(bad)" = 0 ] || break
	done
	round_end
}

# control RULE: true if the test finds out that it is off
control() {
	local KILLS=6 ROUND=6 STRIKES=box SKY= LEAD= NSRD=$NSR_B_TEST/daemon/nsrd BREAK=1

	case $1 in
	gate-follows-reads) SKY=2 ;;
	nsrd-death-opens-nothing)
		# Gates that open at its death are to have the time to let something out.
		STRIKES=nsrd_first LEAD=0.6
		reload "$NSR_KO_TEST" test_off=$((1 << 7)) || return 1
		;;
	esac
	export NSR_TEST_OFF=$1
	! mode lossless
	local status=$?
	unset NSR_TEST_OFF
	pair_clean
	[ "$1" != nsrd-death-opens-nothing ] || reload "$NSR_KO"
	return $status
}

reload() {
	rmmod tcp_nsr 2>/dev/null
	insmod "$@"
}

verdict() {
	case $MODE in
	lossless) [ "$(bad)" = 0 ] && [ $T_GAPS = 0 ] ;;
	adopt) [ "$(bad)" = 0 ] ;;
	naive) [ "$(bad)" -gt 0 ] ;;
	esac
}

mode() {
	local todo begun KILLS=${KILLS:-$([ "$1" = lossless ] && echo 3 || echo 1)}

	MODE=$1
	account_zero
	while [ $T_KILLS -lt "$KILLS" ]; do
		todo=$((KILLS - T_KILLS))
		begun=$(($(bad) + T_KILLS))
		round $((todo < ROUND ? todo : ROUND)) || { told; [ $BREAK = 1 ] || { pair_logs; pair_keep; }; return 1; }
		told
		[ "$MODE" = naive ] && [ "$(bad)" -gt 0 ] && break
		if [ "$MODE" != naive ] && ! verdict; then
			[ $BREAK = 1 ] || { pair_logs; pair_keep; }
			return 1
		fi
		pair_clean
		[ $begun != $(($(bad) + T_KILLS)) ] || return 1
	done
	verdict
}

pair_keep() {
	PAIR_KEEP=1
}

pair_clean() {
	trap - EXIT
	pair_destroy
	FAR_PIDS=
	LOG_LINES=()
}

modprobe -q sch_netem
ktap_print_header
set -- $MODES
ktap_set_plan $(($# + $(wc -w <<<"$BREAKS")))
for mode; do
	case $mode in
	lossless) name="lossless: not a byte lost, repeated or altered, no connection lost" ;;
	adopt) name="adopt: nothing altered or lost in silence, no connection lost" ;;
	naive) name="naive: the control loses data, or wedges" ;;
	*) echo "torture.sh: MODES=$mode: lossless, adopt, naive" >&2; exit 2 ;;
	esac
	if mode "$mode"; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
	fi
	[ ! -e "$PAIR" ] || pair_clean
done
for rule in $BREAKS; do
	check "control: without $rule the test finds out" control "$rule"
done
ktap_finished
