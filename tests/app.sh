#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Applications on libnsr, on a real pair (tests/lib/pair.sh): requests that are answered exactly once, and
# streams whose every byte is compared, through planned switchovers and through the death of the active.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh

PAIR_GAP=report
PAIR_INTERVAL=1s		# planned switchovers only are to be exact: no lapse on a machine that is busy
PAIR_LEAVE=20s
TOOLS=$NSR_B/tests
RANDOM=$NSR_SEED
SEED=$((RANDOM * 32768 + RANDOM))

# app BOX PROGRAM [OPTIONS]: its events go to app.log, from the beginning. Returns when it listens: the
# far end is to be refused by nobody.
app() {
	local box=$1 program=$2

	shift 2
	spawn "$box" "$TOOLS/$program" --group edge --app "${APP_NAME:-app}" --socket "$PAIR/$box/run/app.sock" "$@" \
		>"$PAIR/$box/app.log" 2>&1 </dev/null
	APP_PID[$box]=$!
	until_ok 30 listens "$box" 1
}

app_stop() {
	local box

	for box in a b; do
		[ -n "${APP_PID[$box]:-}" ] && kill "${APP_PID[$box]}" && wait "${APP_PID[$box]}"
		APP_PID[$box]=
	done
}

# far_app LOG [OPTIONS]: the far end
far_app() {
	local log=$1

	shift
	spawn far "$TOOLS/far_stream" "$@" >"$PAIR/$log" 2>&1 </dev/null
	FAR_PID=$!
	FAR_PIDS="${FAR_PIDS:-} $FAR_PID"
	until_ok 30 logged "$log" "^connected"
}

logged() {
	grep -q -- "$2" "$PAIR/$1"
}

far_ok() {
	wait "$FAR_PID"
	sed "s/^/# far: /" "$PAIR/$1"
	grep -q '^result ok' "$PAIR/$1"
}

# progress LOG FIELD: a number of the far end, as of now
progress() {
	: >"$PAIR/$1.ask"
	kill -USR1 "$FAR_PID" 2>/dev/null || return 1
	sleep 0.1
	sed -n "s/^progress .*\b$2=\([0-9]*\).*/\1/p" "$PAIR/$1" | tail -n 1
}

moved_past() {
	local now

	now=$(progress "$1" "$2")
	[ -n "$now" ] && [ "$now" -gt "$3" ]
}

# Sets A and S: the active box and its standby.
active_first() {
	A=a S=b
	is_state a active || A=b S=a
}

# switch_over FROM TO: and the standby is ready again
switch_over() {
	ctl "$1" switchover >/dev/null && until_ok 30 is_state "$2" active && until_ok 60 is_state "$1" ready &&
		until_ok 60 is_protected "$2"
}

clean_end() {
	! grep -Eh '^(mismatch|inconsistent|gap)' "$PAIR"/[ab]/app.log
}

show_logs() {
	local box

	for box in a b; do
		tail -n "${1:-12}" "$PAIR/$box/app.log" | sed "s/^/# app $box: /"
	done
}

# ---- requests, there and back ----

requests() {
	app a nsr_echo --listen "$VIP4:$PORT"
	app b nsr_echo --listen "$VIP4:$PORT"
	until_ok 60 is_protected a
	far_app echo --connect "$VIP4:$PORT" --echo 10 --message 3000 --seed "$SEED"
	until_ok 20 logged b/app.log "^conn_added"
	check "the standby's application has the connection" logged b/app.log "^conn_added"
	ok=0
	for pair in "a b" "b a" "a b" "b a"; do
		before=$(progress echo echoes)
		switch_over $pair && until_ok 20 moved_past echo echoes "${before:-0}" || ok=1
	done
	check "echoes go on through four switchovers" test $ok = 0
	kill "$FAR_PID"
	check "each request was answered once" far_ok echo
	show_logs
	app_stop
}

# ---- streams in both directions ----

streams() {
	BYTES=12000000
	app a nsr_stream --listen "[$VIP6]:$PORT" --recv $BYTES --send $BYTES --seed "$SEED" --rate 250000
	app b nsr_stream --listen "[$VIP6]:$PORT" --recv $BYTES --send $BYTES --seed "$SEED" --rate 250000
	until_ok 60 is_protected a
	far_app stream --connect "[$VIP6]:$PORT" --send $BYTES --recv $BYTES --seed "$SEED" --rate 250000
	ok=0
	for pair in "a b" "b a" "a b"; do
		before=$(progress stream rx)
		until_ok 30 moved_past stream rx $((${before:-0} + 200000)) || ok=1
		switch_over $pair || ok=1
	done
	check "streams go on through three switchovers" test $ok = 0
	check "every byte is right, both ways" far_ok stream
	check "no gap was told" clean_end
	show_logs 20
	app_stop
}

# ---- control: the standby's application is another one, and nobody goes on with the connection ----

control() {
	active_first
	app $A nsr_echo --listen "$VIP4:$PORT"
	APP_NAME=other app $S nsr_echo --listen "$VIP4:$PORT"
	until_ok 60 is_protected $A
	far_app alone --connect "$VIP4:$PORT" --echo 10 --timeout 10000 --seed "$SEED"
	until_ok 20 moved_past alone echoes 0
	ctl $A switchover >/dev/null
	until_ok 30 is_state $S active
	refute "control: without its application the connection is lost" far_ok alone
	app_stop
}

# ---- the active dies while its connections are quiet ----

death() {
	active_first
	app a nsr_echo --listen "$VIP4:$PORT"
	app b nsr_echo --listen "$VIP4:$PORT"
	until_ok 60 is_protected $A
	far_app quiet --connect "$VIP4:$PORT" --echo 4000 --message 200 --seed "$SEED"
	until_ok 20 moved_past quiet echoes 0
	until_ok 20 logged $S/app.log "^conn_added"
	sleep 1			# until the request's transaction is there: it must be quiet
	box_die $A
	until_ok 60 is_state $S active
	before=$(progress quiet echoes)
	until_ok 60 moved_past quiet echoes "${before:-0}"
	kill "$FAR_PID"
	check "a quiet connection outlives the active" far_ok quiet
	show_logs
}

declare -A CHECKS=([requests]=3 [streams]=3 [control]=1 [death]=1)
[ $# = 0 ] && set -- requests streams control death
plan=1
for part; do
	plan=$((plan + CHECKS[$part]))
done

ktap_print_header
ktap_set_plan $plan
pair_create || { ktap_skip_all "no pair"; exit 4; }
pair_say "seed $SEED"
box_start a
box_start b
check "the pair is protected" pair_up a b

for part; do
	$part
done
ktap_finished
