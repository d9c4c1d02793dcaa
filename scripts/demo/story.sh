# SPDX-License-Identifier: GPL-2.0-only
#
# The main job: three takeovers of the same two sessions.

# Who is active and who in step, RIBs and all. On a machine so busy that a lease lapses, the boxes change places
# by themselves, and the story goes on with the other one.
in_step() {
	if box_is a active && box_is b ready; then
		ACTIVE=a STANDBY=b
	elif box_is b active && box_is a ready; then
		ACTIVE=b STANDBY=a
	else
		return 1
	fi
	ribs_equal
}

# The rules of the demo have the default mode, lossless: a box may die at any moment. But BIRD shortens its hold time at
# random: 6.75 s of silence may be too much for it. Until we speak again takes 4 s, on a busy machine more, and
# KEEPALIVEs come every 3 s, so our last word to BIRD must be a young one, and that to FRR not a very old one.
said_lately() {
	awk -v now="$EPOCHREALTIME" -v us="$SERVICE" '
		index($3, us ".") == 1 { last[FILENAME ~ /bird.said$/] = $1 }
		END { exit !(length(last) == 2 && now - last[1] < 1.2 && now - last[0] < 1.75) }' \
		"$LOGS/bird.said" "$LOGS/frr.said"
}

may_die() {
	in_step && poll "a moment after our last word" 20 said_lately
}

took_over() {	# took_over BOX SINCE_NS enable|disable
	must "box $1 to be active" 120 box_is "$1" active
	must "BIRD to hear of it" 60 heard bird "$2"
	must "FRR to hear of it" 60 heard frr "$2"
	say "box $1 is active; BIRD heard from the service address after $(capture_gap bird "$2") ms," \
		"FRR after $(capture_gap frr "$2") ms"
	outlive 12
	unchanged
	[ "$FAILED" != 0 ] || say "12 s later, which is more than the hold time: both sessions are up, and what they were"
	# the session works: something new goes through it
	bird_cli "$3" late >/dev/null
	if [ "$3" = enable ]; then
		must "the new route" 120 box_has_route "$1" 198.18.0.0/15
		say "a route that BIRD announces now arrives at box $1"
	else
		must "the withdrawal" 120 eval "! box_has_route $1 198.18.0.0/15"
		say "a route that BIRD withdraws now is gone at box $1"
	fi
}

heard() {	# heard FAR SINCE_NS
	[ -n "$(capture_gap "$1" "$2")" ]
}

story() {
	local t

	chapter "With tcp_nsr"
	farends_start
	box_create a
	box_create b
	box_start a
	box_start b
	must "the sessions" 240 farends_up
	must "a box to be active, the other one ready" 240 in_step
	must "our routes at BIRD" 60 bird_has_our_route
	capture_start
	farends_snapshot
	say "sessions are up, BIRD since ${BIRD_SINCE#* }; box $ACTIVE is active, box $STANDBY is ready, their RIBs are equal"
	ctl "$ACTIVE" show

	chapter "1. The active dies: its cables are cut and its processes killed (SIGKILL)"
	must "a moment to die" 240 may_die
	box_cut "$ACTIVE"
	t=$(date +%s%N)
	box_kill "$ACTIVE"
	say "box $ACTIVE is dead"
	took_over "$STANDBY" "$t" enable

	chapter "2. The dead box is reborn as standby; a planned switchover brings the sessions back to it"
	box_destroy "$ACTIVE"
	box_create "$ACTIVE"
	box_start "$ACTIVE"
	must "the reborn box to be ready" 240 in_step
	say "box $STANDBY is ready"
	t=$(date +%s%N)
	ctl "$ACTIVE" switchover edge || fail "switchover refused"
	took_over "$STANDBY" "$t" disable

	chapter "3. The active's processes are killed again, this time with the cables in place"
	must "a moment to die" 240 may_die
	box_kill "$ACTIVE"
	t=$(date +%s%N)
	say "box $ACTIVE has no process left; its kernel holds the address, and must be mute"
	took_over "$STANDBY" "$t" enable
	ctl "$STANDBY" show
}

row() {
	printf '| %-25s | %-32s | %-40s |\n' "$@"
}

since() {	# since WAS IS: moments
	if same_moment "$1" "$2"; then
		echo "unchanged (${2#* })"
	else
		echo "CHANGED: ${2#* }, was ${1#* }"
	fi
}

verdict() {	# verdict WAS IS
	if [ "$1" = "$2" ]; then
		echo "unchanged ($2)"
	else
		echo "CHANGED: $2, was $1"
	fi
}

MISSED=()

table() {
	local missed

	capture_stop
	chapter "What each far end saw"
	facts
	row "" "with tcp_nsr: three takeovers" "without: one death"
	row "-------------------------" "--------------------------------" "----------------------------------------"
	fact "BIRD: session since" BIRD_SINCE "unchanged*" "CHANGED*"
	fact "BIRD: our route since" BIRD_ROUTE "unchanged*" "CHANGED*"
	fact "BIRD: session lost" BIRD_LOST none "[A-Z]*"
	fact "FRR: connections dropped" FRR_DROPPED 0 "[1-9]*"
	fact "FRR: last reset due to" FRR_RESET none "[A-Z]*"
	fact "FRR: OPENs received" FRR_OPENS 1 "[2-9]*"
	fact "FRR: UPDATEs received" FRR_UPDATES "unchanged*" "CHANGED*"
	fact "FRR: our port" FRR_PORT "unchanged*" "CHANGED*"
	fact "FIN, RST on BIRD's wire" BIRD_END 0 "[1-9]*"
	fact "FIN, RST on FRR's wire" FRR_END 0 "[1-9]*"
	for missed in "${MISSED[@]}"; do
		fail "$missed"
	done
}

fact() {	# fact NAME WHICH PATTERN CONTROLS-PATTERN: a row, and whether it is as it must be
	local with=FACT_$2 without=CONTROL_FACT_$2

	row "$1" "${!with}" "${!without}"
	row_check "with tcp_nsr: $1" "${!with}" "$3"
	row_check "control: $1" "${!without}" "$4"
}

row_check() {	# row_check NAME IS PATTERN
	# shellcheck disable=SC2254 # a pattern it is
	case $2 in
	$3) result ok "$1" ;;
	*)
		result "not ok" "$1"
		MISSED+=("$1 is $2")
		;;
	esac
}
