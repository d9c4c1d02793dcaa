# SPDX-License-Identifier: GPL-2.0-only
#
# An echo application (nsr_echo) on the boxes of pair.sh, and far ends that compare every answer: each
# request is answered exactly once, or the far end says what went wrong.

TOOLS=$NSR_B/tests
FAR_SEQ=0

# echo_start BOX: one application for each address family, with the options in ECHO_OPTS
echo_start() {
	local box=$1 app to

	for app in "echo4 $VIP4:$PORT" "echo6 [$VIP6]:$PORT"; do
		to=${app#* } app=${app% *}
		spawn "$box" "$TOOLS/nsr_echo" --group edge --app "$app" --socket "$PAIR/$box/run/app.sock" \
			--listen "$to" --gap "$PAIR_GAP" ${ECHO_OPTS:-} >>"$PAIR/$box/$app.log" 2>&1 </dev/null
		APP_PID[$box]="${APP_PID[$box]:-} $!"
	done
	until_ok 30 attached "$box" && until_ok 30 listens "$box" 2
}

attached() {
	[ "$(grep -c "application echo[46] of group edge attached" "$PAIR/$1/nsrd.log")" -ge 2 ]
}

# far_start NAME ADDRESS [OPTIONS]: requests every 50 ms until far_end NAME
far_start() {
	local name=$1 to=$2

	shift 2
	spawn far "$TOOLS/far_stream" --connect "$to" --echo 50 --timeout 240000 "$@" \
		>"$PAIR/$name.far" 2>&1 </dev/null
	FAR_PID[$name]=$!
	FAR_PIDS="${FAR_PIDS:-} $!"
	until_ok 20 grep -q '^connected' "$PAIR/$name.far"
}

echoes() {
	kill -USR1 "${FAR_PID[$1]}" 2>/dev/null || return 1
	sleep 0.05
	sed -n 's/^progress.* echoes=\([0-9]*\).*/\1/p' "$PAIR/$1.far" | tail -n 1
}

more_echoes_than() {
	local n

	n=$(echoes "$1") && [ "${n:-0}" -gt "$2" ]
}

# goes_on NAME: new requests are answered
goes_on() {
	local n

	n=$(echoes "$1") && until_ok 30 more_echoes_than "$1" "${n:-0}"
}

# far_end NAME: an orderly end; true if everything was answered right
far_end() {
	local status

	kill -TERM "${FAR_PID[$1]}" 2>/dev/null
	wait "${FAR_PID[$1]}"
	status=$?
	sed "s/^/# far end $1: /" "$PAIR/$1.far" | grep result
	return $status
}

declare -A FAR_PID
