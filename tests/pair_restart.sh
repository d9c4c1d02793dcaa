#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nsrd is killed, stopped, reloaded, or loses events: the far ends notice nothing. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

nsrd_kill() {
	kill -9 "${NSRD_PID[$1]}"
	wait "${NSRD_PID[$1]}" 2>/dev/null
	rm -f "$PAIR/$1/run/control.sock"
}

term_of() {
	ctl "$1" show --json groups | sed -n 's/.*"term": \([0-9]*\),.*/\1/p' | head -n 1
}

# many connections at once, each closed again: more events than the buffer holds
burst() {
	far python3 - "$1" <<-END
	import socket, sys
	for i in range(40):
	    s = [socket.create_connection(("$VIP4", $PORT)) for j in range(25)]
	    for x in s: x.close()
	END
}

only_one_left() {
	has_conns a 1 && has_conns b 1
}

ktap_print_header
ktap_set_plan 18
pair_create || exit 1
box_start a --event-buffer 4096
pair_say "without a standby"
until_ok 60 is_state a sync || until_ok 30 is_state a init
check "a box alone waits for an order" ctl a force-active --yes
check "and is active then" until_ok 30 is_state a active
echo_start a
far_start v4 "$VIP4:$PORT"
until_ok 20 has_conns a 1
term=$(term_of a)
nsrd_kill a
check "nsrd killed, no standby: requests go on" goes_on v4
box_start a --event-buffer 4096
check "it is active again, in the same term" eval 'until_ok 30 is_state a active && test "$(term_of a)" = "$term"'
check "it has read the connection back" until_ok 20 has_conns a 1

box_start b
echo_start b
check "a late standby becomes ready" pair_up a b
check "and has the connection" until_ok 20 has_conns b 1
nsrd_kill b
check "nsrd of the standby killed: requests go on" goes_on v4
box_start b
check "it becomes ready again" pair_up a b
check "and has the connection again" until_ok 20 has_conns b 1

burst 1
check "events lost: the table is read anew" until_ok 30 grep -q 'events were lost' "$PAIR/a/nsrd.log"
check "both boxes have what there is" until_ok 60 only_one_left
check "requests go on" goes_on v4

sed -i 's/gap = report/gap = reset/' "$PAIR/a/nsrd.conf"
kill -HUP "${NSRD_PID[a]}"
check "SIGHUP: rules are taken, the session stays" eval 'until_ok 20 grep -q "nsrd.conf: taken" "$PAIR/a/nsrd.log" && goes_on v4'
sed -i 's/interval = .*/interval = 50ms/' "$PAIR/a/nsrd.conf"
kill -HUP "${NSRD_PID[a]}"
check "SIGHUP: what cannot change is refused, with the remedy" until_ok 20 grep -q 'interval cannot change.*restart nsrd' "$PAIR/a/nsrd.log"

kill -STOP "${NSRD_PID[a]}"
check "nsrd of the active stopped: the standby takes over" until_ok 40 is_state b active
check "requests go on" goes_on v4
kill -CONT "${NSRD_PID[a]}"
check "it wakes up as standby" pair_up b a
far_end v4
ktap_finished
