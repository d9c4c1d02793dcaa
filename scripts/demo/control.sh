# SPDX-License-Identifier: GPL-2.0-only
#
# The control: the same two boxes and the same speaker, without tcp_nsr. The address moves as a virtual
# router's does, and every session dies.

control() {
	local mac fact

	chapter "Without tcp_nsr: the same address, the same speaker, and a death"
	farends_start
	box_create c
	box_create d
	bgpd_config c ""
	bgpd_config d ""
	ip -n c addr add $SERVICE/24 dev svc
	box_bgpd_start c
	must "the sessions" 240 farends_up
	must "our routes at BIRD" 60 bird_has_our_route
	capture_start
	farends_snapshot
	say "sessions are up, BIRD since ${BIRD_SINCE#* }"
	mac=$(ip netns exec c cat /sys/class/net/svc/address)
	say "the active dies: cables cut, processes killed; the other box takes its MAC and address"
	box_cut c
	box_kill c
	ip -n d link set svc address "$mac"
	ip -n d addr add $SERVICE/24 dev svc
	ip netns exec d arping -q -U -c 3 -I svc $SERVICE &
	poll "the far ends to lose their sessions" 120 control_lost ||
		fail "the control kept a session: then the demo proves nothing"
	CONTROL_FRR=$(frr_get lastResetDueTo)
	CONTROL_BIRD=$(bird_lost)
	say "BIRD: $CONTROL_BIRD"
	say "FRR:  $CONTROL_FRR"
	box_bgpd_start d
	must "new sessions" 240 farends_up
	must "our routes at BIRD, again" 60 bird_has_our_route
	say "both far ends have new sessions with the other box"
	capture_stop
	facts
	for fact in ${!FACT_*}; do
		declare -g "CONTROL_$fact=${!fact}"
	done
	# FRR's word from when it lost the session: the next session brings a word of its own
	CONTROL_FACT_FRR_RESET=$CONTROL_FRR
	box_destroy c
	box_destroy d
	farends_stop
}

control_lost() {
	[ -n "$(bird_lost)" ] && [ "$(frr_get connectionsDropped)" != 0 ]
}
