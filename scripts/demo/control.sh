# SPDX-License-Identifier: GPL-2.0-only
#
# The control: the same two boxes and the same speaker, without tcp_nsr. The address moves as a virtual
# router's does, and every session dies.

control() {
	local mac

	chapter "Without tcp_nsr: the same address, the same speaker, and a death"
	farends_start
	box_create c
	box_create d
	bgpd_config c ""
	bgpd_config d ""
	ip -n c addr add $SERVICE/24 dev svc
	box_bgpd_start c
	must "the sessions" 120 farends_up
	farends_snapshot
	say "sessions are up, BIRD since ${BIRD_SINCE#* }"
	mac=$(ip netns exec c cat /sys/class/net/svc/address)
	say "the active dies: cables cut, processes killed; the other box takes its MAC and address"
	box_cut c
	box_kill c
	ip -n d link set svc address "$mac"
	ip -n d addr add $SERVICE/24 dev svc
	ip netns exec d arping -q -U -c 3 -I svc $SERVICE &
	CONTROL_BIRD=
	poll "the far ends to lose their sessions" 60 control_lost
	CONTROL_FRR="connectionsDropped=$(frr_get connectionsDropped), $(frr_get lastResetDueTo)"
	box_bgpd_start d
	say "BIRD: ${CONTROL_BIRD:-session is up}"
	say "FRR:  $CONTROL_FRR"
	CONTROL_LOST=0
	[ -n "$CONTROL_BIRD" ] && [ "$(frr_get connectionsDropped)" != 0 ] && CONTROL_LOST=1
	[ $CONTROL_LOST = 1 ] || fail "the control kept a session: then the demo proves nothing"
	box_destroy c
	box_destroy d
	farends_stop
}

control_lost() {
	# the first error: the next one is about the attempt to come back
	[ -n "$CONTROL_BIRD" ] || CONTROL_BIRD=$(bird_last_error)
	[ -n "$CONTROL_BIRD" ] && [ "$(frr_get connectionsDropped)" != 0 ]
}
