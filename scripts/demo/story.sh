# SPDX-License-Identifier: GPL-2.0-only
#
# The main job: three takeovers of the same two sessions.

ready() {	# ready BOX: standby is in step, and its RIBs are the active's
	box_is "$1" ready && ribs_equal
}

# The rules of the demo run in mode adopt, which promises exactness for connections that are quiet, and
# names what crosses at the very moment of death. So death comes between two messages.
quiet() {
	local n m

	n=$(stat -c %s "$LOGS/bird.pcap" "$LOGS/frr.pcap")
	sleep 0.2
	m=$(stat -c %s "$LOGS/bird.pcap" "$LOGS/frr.pcap")
	[ "$n" = "$m" ]
}

took_over() {	# took_over BOX SINCE_NS WHAT
	must "box $1 to be active" 60 box_is "$1" active
	outlive "$1" 12
	say "box $1 is active; BIRD heard from the service address after $(capture_gap bird "$2") ms," \
		"FRR after $(capture_gap frr "$2") ms"
	unchanged
	# the session works: something new goes through it
	bird_cli "$3" late >/dev/null
	if [ "$3" = enable ]; then
		must "the new route" 60 box_has_route "$1" 198.18.0.0/15
		say "a route that BIRD announces now arrives at box $1"
	else
		must "the withdrawal" 60 eval "! box_has_route $1 198.18.0.0/15"
		say "a route that BIRD withdraws now is gone at box $1"
	fi
}

story() {
	local t

	chapter "With tcp_nsr"
	farends_start
	box_create a
	box_create b
	box_start a
	box_start b
	must "an active" 120 box_is a active
	must "the sessions" 120 farends_up
	must "the standby to be ready" 120 ready b
	sleep 2
	capture_start
	farends_snapshot
	say "sessions are up, BIRD since ${BIRD_SINCE#* }; box a is active, box b is ready, their RIBs are equal"
	ctl a show

	chapter "1. The active dies: its cables are cut and its processes killed (SIGKILL)"
	must "a quiet moment" 60 quiet
	t=$(date +%s%N)
	box_cut a
	box_kill a
	say "box a is dead"
	took_over b "$t" enable

	chapter "2. The dead box is reborn as standby; a planned switchover brings the sessions back to it"
	box_destroy a
	box_create a
	box_start a
	must "the reborn box to be ready" 120 ready a
	say "box a is ready"
	t=$(date +%s%N)
	ctl b switchover edge || fail "switchover refused"
	took_over a "$t" disable

	chapter "3. Its processes are killed again, this time with the cables in place"
	must "box b to be ready" 120 ready b
	must "a quiet moment" 60 quiet
	t=$(date +%s%N)
	box_kill a
	say "box a has no process left; its kernel holds the address, and must be mute"
	took_over b "$t" enable
	ctl b show
}

row() {
	printf '| %-34s | %-42s | %-42s |\n' "$@"
}

since() {	# since WAS IS: moments
	if same_moment "$1" "$2"; then
		echo "unchanged (${2#* })"
	else
		echo "CHANGED: $2, was $1"
	fi
}

verdict() {	# verdict WAS IS
	if [ "$1" = "$2" ]; then
		echo "unchanged ($2)"
	else
		echo "CHANGED: $2"
	fi
}

table() {
	local fin_bird fin_frr

	chapter "What each far end saw"
	pkill tcpdump
	sleep 1
	fin_bird=$(capture_count bird 'tcp[tcpflags] & (tcp-fin|tcp-rst) != 0')
	fin_frr=$(capture_count frr 'tcp[tcpflags] & (tcp-fin|tcp-rst) != 0')
	[ "$fin_bird" = 0 ] && [ "$fin_frr" = 0 ] || fail "FIN or RST on the wire: BIRD $fin_bird, FRR $fin_frr"
	row "three takeovers" "with tcp_nsr" "without (one takeover)"
	row "----------------------------------" "------------------------------------------" \
		"------------------------------------------"
	row "BIRD: session since" "$(since "$BIRD_SINCE" "$(bird_since)")" "$CONTROL_BIRD"
	row "BIRD: our route since" "$(since "$BIRD_ROUTE" "$(bird_route_since)")" "withdrawn"
	row "FRR: connections dropped" "$(frr_get connectionsDropped)" "$CONTROL_FRR"
	row "FRR: OPENs, NOTIFICATIONs received" \
		"$(frr_get messageStats.opensRecv), $(frr_get messageStats.notificationsRecv)" "-"
	row "FRR: updates received" "$(verdict "$(echo "$FRR_COUNTERS" | sed 's/.*updatesRecv=\([0-9]*\).*/\1/')" \
		"$(frr_get messageStats.updatesRecv)")" "-"
	row "FRR: our port" "$(verdict "$(echo "$FRR_COUNTERS" | sed 's/.*portForeign=\([0-9]*\).*/\1/')" \
		"$(frr_get portForeign)")" "another"
	row "FIN, RST on the wire" "$fin_bird, $fin_frr" "-"
}
