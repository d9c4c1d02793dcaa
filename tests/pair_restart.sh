#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nsrd is killed, stopped, reloaded, or loses events; the module goes and comes again: the far ends notice
# nothing. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
PAIR_INTERVAL=2s		# a burst of events on a busy machine is no reason for a lapse
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

EVENTS=5000

nsrd_kill() {
	kill -9 "${NSRD_PID[$1]}"
	wait "${NSRD_PID[$1]}" 2>/dev/null
	rm -f "$PAIR/$1/run/control.sock"
}

# In good order: it resigns.
nsrd_stop() {
	kill "${NSRD_PID[$1]}"
	wait "${NSRD_PID[$1]}" 2>/dev/null
}

term_of() {
	ctl "$1" show --json groups | sed -n 's/.*"term": \([0-9]*\),.*/\1/p' | head -n 1
}

# Ended by the kernel, with nobody there to renew it.
lease_lapsed() {
	[ "$(lapses "$1")" -gt 0 ]
}

lapses() {
	on "$1" "$TOOLS/nsrtool" group 1 | sed -n 's/.* lease_lapses=\([0-9]*\).*/\1/p'
}

# many connections, each closed again: two events each, more than the buffer holds
burst() {
	far python3 - "$((EVENTS / 2))" <<-END
	import socket, sys
	left = int(sys.argv[1])
	while left:
	    n = min(left, 25)
	    s = [socket.create_connection(("$VIP4", $PORT)) for j in range(n)]
	    for x in s: x.close()
	    left -= n
	END
}

only_one_left() {
	has_conns a 1 && has_conns b 1
}

lost_events() {
	grep -q 'events were lost' "$PAIR/a/nsrd.log"
}

alone() {
	pair_say "without a standby"
	box_start a --event-buffer 4096
	until_ok 60 grep -q "waits for the peer or for the operator" "$PAIR/a/nsrd.log"
	check "a box alone waits for an order" ctl a force-active --yes
	check "and is active then" until_ok 60 is_state a active
	echo_start a
	far_start v4 "$VIP4:$PORT"
	until_ok 30 has_conns a 1
	nsrd_kill a
	check "nsrd killed: the lease of a box whose peer is silent ends by itself" until_ok 60 lease_lapsed a
	stray_group
	check "it is active again" until_ok 60 is_state a active
	check "it has read the connection back" until_ok 30 has_conns a 1
	check "requests go on" goes_on v4
}

standby() {
	box_start b
	echo_start b
	check "a late standby becomes ready" pair_up a b
	check "and has the connection" until_ok 30 has_conns b 1
	nsrd_kill b
	check "nsrd of the standby killed: requests go on" goes_on v4
	box_start b
	check "it becomes ready again" pair_up a b
	check "and has the connection again" until_ok 30 has_conns b 1
	nsrd_stop b
	term=$(term_of a)
	nsrd_kill a
	check "nsrd of the active killed after the standby resigned: requests go on" \
		eval 'goes_on v4 && goes_on v4 && goes_on v4'
	box_start a --event-buffer 4096
	check "it is active in the same term" eval 'until_ok 60 is_state a active && test "$(term_of a)" = "$term"'
	box_start b
	pair_up a b
	until_ok 30 only_one_left
}

events() {
	refute "control: no event was lost so far" lost_events
	before=$(lapses a)
	burst
	check "events lost: the table is read anew" until_ok 60 lost_events
	check "nsrd renews its lease all the while" eval 'is_state a active && test "$(lapses a)" = "$before"'
	check "both boxes have what there is" until_ok 120 only_one_left
	# While requests go on, two digests asked for one after the other differ.
	kill -STOP "${FAR_PID[v4]}"
	check "and are in step" until_ok 30 same_digest
	kill -CONT "${FAR_PID[v4]}"
	check "requests go on" goes_on v4
}

reload() {
	sed -i 's/gap = report/gap = reset/' "$PAIR/a/nsrd.conf"
	kill -HUP "${NSRD_PID[a]}"
	check "SIGHUP: rules are taken, the session stays" \
		eval 'until_ok 30 grep -q "nsrd.conf: taken" "$PAIR/a/nsrd.log" && goes_on v4'
	sed -i 's/interval = .*/interval = 50ms/' "$PAIR/a/nsrd.conf"
	kill -HUP "${NSRD_PID[a]}"
	check "SIGHUP: what cannot change is refused, with the remedy" \
		until_ok 30 grep -q 'interval cannot change.*restart nsrd' "$PAIR/a/nsrd.log"
	sed -i "s/interval = .*/interval = $PAIR_INTERVAL/; s/gap = reset/gap = report/" "$PAIR/a/nsrd.conf"
	rules_come_and_go
}

kernel_rules() {	# of group 1, in box a
	on a "$TOOLS/nsrtool" rules 1 2>/dev/null | grep -c "$1"
}

# A rule whose device is not there yet, then is; a rule that is gone from the configuration.
rules_come_and_go() {
	sed -i 's/^\tgroup edge {/&/; 0,/rule {/s//rule {\n\t\t\tremote-port = 4444\n\t\t\tvrf = later\n\t\t}\n\t\trule {/' \
		"$PAIR/a/nsrd.conf"
	kill -HUP "${NSRD_PID[a]}"
	check "a rule whose device is missing: named, the others are in force" eval '
		until_ok 30 grep -q "rule 1 is not in force.*no device .later" "$PAIR/a/nsrd.log" &&
		[ "$(kernel_rules "port=4444")" = 0 ] && until_ok 10 is_state a active && goes_on v4'
	on a ip link add later type dummy
	check "the device comes: so does the rule" until_ok 30 eval '[ "$(kernel_rules "port=4444")" = 1 ]'
	pair_config a 1 2
	kill -HUP "${NSRD_PID[a]}"
	check "a rule is gone from the configuration: out of the kernel" \
		until_ok 30 eval '[ "$(kernel_rules "port=4444")" = 0 ] && [ "$(kernel_rules "port=$PORT")" = 2 ]'
	on a ip link del later
}

# A group of another time: what nobody configures is nobody's.
stray_group() {
	on a "$TOOLS/nsrtool" group-set 77 dev svc addr 10.0.0.77
	check "control: a group that nsrd knows nothing of" on a "$TOOLS/nsrtool" group 77
	box_start a --event-buffer 4096
	check "is taken out of the kernel when nsrd starts" eval '
		until_ok 30 grep -q "group 77 is not in" "$PAIR/a/nsrd.log" && ! on a "$TOOLS/nsrtool" group 77'
}

takeovers() {
	# mode adopt promises exactness for connections that are quiet when the active dies
	kill -STOP "${FAR_PID[v4]}"
	until_ok 30 same_digest
	kill -STOP "${NSRD_PID[a]}"
	check "nsrd of the active stopped: the standby takes over" until_ok 60 is_state b active
	kill -CONT "${FAR_PID[v4]}"
	check "requests go on" goes_on v4
	kill -CONT "${NSRD_PID[a]}"
	check "it wakes up as standby" pair_up b a
	until_ok 30 has_conns a 1
	kill -STOP "${FAR_PID[v4]}"
	until_ok 30 same_digest
	nsrd_kill b
	check "nsrd of the active killed: the standby takes over" until_ok 60 is_state a active
	kill -CONT "${FAR_PID[v4]}"
	check "requests go on" goes_on v4
	box_start b
	check "the other one is standby when it comes back" pair_up a b
	until_ok 30 only_one_left
}

module() {
	refute "the module cannot go while it protects connections" rmmod tcp_nsr
	ctl a flush --yes
	ctl b flush --yes
	nsrd_stop b
	nsrd_stop a
	kill -9 ${APP_PID[b]}
	wait ${APP_PID[b]} 2>/dev/null
	APP_PID[b]=
	check "after flush it can" until_ok 60 rmmod tcp_nsr
	check "requests go on without it" goes_on v4
	check "each request was answered exactly once" far_end v4
	insmod "$NSR_KO"
	box_start a
	box_start b
	echo_start b
	until_ok 60 is_state a active || until_ok 10 is_state b active
	A=a S=b
	is_state a active || A=b S=a
	check "loaded again: the pair is protected" pair_up $A $S
	far_start again "$VIP4:$PORT"
	check "and a new connection has its shadow" eval 'until_ok 30 has_conns $S 1 && far_end again'
}

ktap_print_header
ktap_set_plan 38
pair_create || exit 1
for part in alone standby events reload takeovers module; do
	$part
done
ktap_finished
