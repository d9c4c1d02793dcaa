#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Planned switchover: back and forth, an application that does not answer, --force. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

back_and_forth() {
	local n from=a to=b

	for ((n = 0; n < 10; n++)); do
		ctl $from switchover --yes >>"$PAIR/switch.log" 2>&1 && pair_up $to $from || return 1
		goes_on v4 && goes_on v6 || return 1
		set -- $from $to
		from=$2 to=$1
	done
}

names_laggard() {
	ctl a switchover --yes >"$PAIR/off.log" 2>&1
	[ $? = 1 ] && grep -q 'application echo4 has not answered' "$PAIR/off.log"
}

ktap_print_header
ktap_set_plan 10
pair_create || exit 1
box_start a
box_start b
pair_up a b
echo_start a
echo_start b
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
until_ok 20 has_conns b 2
check "ten switchovers on the same connections" back_and_forth
check "each request was answered exactly once" eval 'far_end v4 && far_end v6'
check "every one of them by handed-over positions" \
	test "$(($(counter a adopted_handover) + $(counter b adopted_handover)))" = 20
check "no promise was broken" test "$(($(counter a broken) + $(counter b broken)))" = 0

far_start v4 "$VIP4:$PORT"
until_ok 20 has_conns b 1
set -- ${APP_PID[a]}
kill -STOP "$1"
check "an application that does not answer calls it off, by name" names_laggard
kill -CONT "$1"
check "everything goes on where it was" eval 'is_state a active && goes_on v4'
refute "a standby cannot be switched over" ctl b switchover --yes
kill -STOP "$1"
check "--force goes on without it" ctl a switchover --yes --force
check "the other box is active" until_ok 20 is_state b active
kill -CONT "$1"
check "the application that slept is standby now" until_ok 30 is_state a ready
ktap_finished
