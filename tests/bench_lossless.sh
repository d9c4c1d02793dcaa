#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What mode lossless costs: the same programs on connections that no rule protects and on lossless ones, side by side in
# one run, for several round trips between the boxes. Prints a table of ratios with the figures that they come from.
# Topology: tests/lib/pair.sh; the link to the far end is limited to half of what this guest can do.
#
#	SECONDS_EACH=8	of transfer for each figure	TRIPS="0.1 1 5"	ms, round trip of the sync link	REQUESTS=300

cd "$(dirname "$0")/.." || exit 1
: "${SECONDS_EACH:=8}" "${TRIPS:=0.1 1 5}" "${REQUESTS:=300}"
PAIR_MODE=lossless
. tests/lib/pair.sh
TOOLS=$NSR_B/tests
# Only these are protected; PLAIN + 0, 1, 2 are not.
PLAIN=$((PORT + 100))
ECHO_PORT=$((PORT + 2)) OUT_PORT=$((PORT + 1))
PAIR_GROUP_EXTRA="commit-timeout = 60s rule { local-port = $OUT_PORT mode = lossless } rule { local-port = $ECHO_PORT mode = lossless }"

fatal() {
	echo "bench_lossless.sh: $*" >&2
	pair_logs
	exit 1
}

apps() {	# BOX BYTES
	local box=$1 app

	pair_say "applications of box $box, streams of $2 bytes"
	# Without a word wait waits for all there is, nsrd too.
	[ -z "${APP_PID[$box]:-}" ] || { kill -9 ${APP_PID[$box]}; wait ${APP_PID[$box]}; } 2>/dev/null
	APP_PID[$box]=
	for app in "nsr_stream in $PORT --recv $2 --send 0" "nsr_stream out $OUT_PORT --recv 0 --send $2" \
		"nsr_echo echo $ECHO_PORT" "nsr_stream plain-in $PLAIN --recv $2 --send 0" \
		"nsr_stream plain-out $((PLAIN + 1)) --recv 0 --send $2" "nsr_echo plain-echo $((PLAIN + 2))"; do
		set -- $app
		spawn "$box" "$TOOLS/$1" --group edge --app "$2" --socket "$PAIR/$box/run/app.sock" --listen "$VIP4:$3" \
			"${@:4}" >>"$PAIR/$box.apps" 2>&1 </dev/null
		APP_PID[$box]="${APP_PID[$box]} $!"
	done
}

apps_anew() {	# BYTES
	apps a "$1"
	apps b "$1"
	until_ok 60 all_listen a && until_ok 60 all_listen b && until_ok 60 is_state b ready || fatal "no pair"
}

all_listen() {
	[ "$(on "$1" ss -ltnH src $VIP4 | wc -l)" = 6 ]
}

busy() {	# jiffies of this guest's processors that were not idle
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# transfer WORDS-OF-FAR_STREAM: seconds and jiffies
transfer() {
	local begun=${EPOCHREALTIME/./} jiffies

	jiffies=$(busy)
	far "$TOOLS/far_stream" "$@" --timeout 20000 >"$PAIR/far" 2>&1 || fatal "far_stream $*: $(cat "$PAIR/far" "$PAIR/a.apps")"
	echo "$(((${EPOCHREALTIME/./} - begun) / 1000)) $(($(busy) - jiffies))"
}

# both NAME LOSSLESS-PORT PLAIN-PORT WORDS: plain, lossless, plain, lossless; what each took
both() {
	local name=$1 lossless=$2 plain=$3 a b c d

	shift 3
	a=$(transfer --connect "$VIP4:$plain" "$@") || exit 1
	b=$(transfer --connect "$VIP4:$lossless" "$@") || exit 1
	c=$(transfer --connect "$VIP4:$plain" "$@") || exit 1
	d=$(transfer --connect "$VIP4:$lossless" "$@") || exit 1
	echo "$a $c $b $d" | awk -v trip="$TRIP" -v name="$name" -v bytes="$BYTES" '{
		plain = ($1 + $3) / 2; lossless = ($5 + $7) / 2
		printf "%-6s %-10s %10.2f %10.2f %8.2f   %8.0f %8.0f %8.2f\n", trip, name,
			bytes / plain / 1e3, bytes / lossless / 1e3, plain / lossless,
			($2 + $4) / 2 / bytes * 1e9, ($6 + $8) / 2 / bytes * 1e9, ($6 + $8) / ($2 + $4) }'
}

answer_us() {
	far "$TOOLS/far_stream" --connect "$VIP4:$1" --echo 1 --count "$REQUESTS" --message 200 >"$PAIR/far" 2>&1 ||
		fatal "requests: $(cat "$PAIR/far")"
	sed -n 's/.* answer_us=\([0-9]*\).*/\1/p' "$PAIR/far"
}

round_trip() {	# MS
	local half

	half=$(awk -v ms="$1" 'BEGIN { printf "%d", ms * 500 }')
	for box in a b; do
		on $box tc qdisc replace dev sync root netem limit 20000 delay "${half}us" || fatal "no netem"
	done
}

modprobe -q sch_netem
modprobe -q sch_tbf
pair_create || exit 1
box_start a
box_start b
pair_up a b || fatal "no pair"
PROBE=40000000
apps_anew $PROBE
# The first one warms up.
transfer --connect "$VIP4:$PLAIN" --send $PROBE --recv 0 >/dev/null
took=$(transfer --connect "$VIP4:$PLAIN" --send $PROBE --recv 0) || exit 1
took=${took% *}
RATE=$((PROBE * 1000 / took / 2))
BYTES=$((RATE * SECONDS_EACH))
pair_say "plain, without a limit: $((PROBE / took)) kB/s; the link is limited to half of it, $((RATE / 1000)) kB/s"
ip netns exec "sw-$$" tc qdisc replace dev far root tbf rate "$((RATE * 8))" burst 64k limit 500k || fatal "no tbf"
far tc qdisc replace dev eth0 root tbf rate "$((RATE * 8))" burst 64k limit 500k || fatal "no tbf"
apps_anew $BYTES
printf '%-6s %-10s %10s %10s %8s   %8s %8s %8s\n' "sync" "" "plain" "lossless" "ratio" "plain" "lossless" "ratio"
printf '%-6s %-10s %10s %10s %8s   %8s %8s %8s\n' "RTT ms" "direction" "MB/s" "MB/s" "" "j/GB" "j/GB" "CPU/byte"
for TRIP in $TRIPS; do
	round_trip "$TRIP"
	both receive "$PORT" "$PLAIN" --send "$BYTES" --recv 0
	both send "$OUT_PORT" "$((PLAIN + 1))" --send 0 --recv "$BYTES"
done
printf '\n%-6s %-10s %10s %10s %8s\n' "sync" "" "plain" "lossless" "more"
printf '%-6s %-10s %10s %10s %8s\n' "RTT ms" "request" "us" "us" "us"
for TRIP in $TRIPS; do
	round_trip "$TRIP"
	plain=$(answer_us $((PLAIN + 2))) && lossless=$(answer_us $ECHO_PORT) || exit 1
	printf '%-6s %-10s %10d %10d %8d\n' "$TRIP" "echo" "$plain" "$lossless" $((lossless - plain))
done
