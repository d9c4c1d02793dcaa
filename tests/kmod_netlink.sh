#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The netlink family's manners: every refusal names the thing, rights, compare-and-set, life of groups
# and of the module, and random input.

. "$(dirname "$0")/lib/box.sh"

# refused ERRNO TEXT WORDS...: nsrtool refuses with this errno, and the kernel says TEXT
refused() {
	local errno=$1 text=$2 said

	shift 2
	said=$(nsr "$@" 2>&1) && { say "accepted: $*"; return 1; }
	case $said in
	*": $errno: tcp_nsr: "*"$text"*) return 0 ;;
	# The kernel's own check of a range names the attribute by its place.
	*": ERANGE: integer out of range (attribute $text)"*) [ $errno = ERANGE ] && return 0 ;;
	esac
	say "$* said: $said"
	return 1
}

record() {
	echo "id=77 family=2 laddr=$VIP4 raddr=$FAR4 lport=$PORT rport=40000 flags=6 mode=1" \
		"iss=1000 irs=2000 mss_clamp=1460 advmss=1460 snd_wscale=7 rcv_wscale=7"
}

# as_other COMMAND...: without CAP_NET_ADMIN
as_other() {
	box setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

group_create() {
	nsr group-set 1 dev svc mac $MAC addr $VIP4 addr $VIP6 &&
		nsr group 1 | grep -q "role=standby .*generation=1 "
}

group_keeps_role() {
	local before after

	nsr role 1 active term 1 lease 3600000 >/dev/null
	before=$(nsr group 1 | sed 's/ settled=.*//')
	nsr group-set 1 dev svc mac $MAC addr $VIP4 settle 5000
	after=$(nsr group 1 | sed 's/ settled=.*//')
	nsr group-set 1 dev svc mac $MAC addr $VIP4 addr $VIP6
	nsr mute 1 >/dev/null
	[ "$before" = "$after" ]
}

rules_listed() {
	nsr rule-set 1 5 lport $PORT && nsr rule-set 1 3 rport 99 raddr 10.0.0.0/9 &&
		nsr rule-set 1 5 lport 81 gap report || return 1
	[ "$(nsr rules 1)" = "group=1 rule=3 mode=1 gap=1 raddr=10.0.0.0/9 rport=99
group=1 rule=5 mode=1 gap=2 lport=81" ] || { nsr rules 1 | sed 's/^/# /'; return 1; }
	nsr rule-del 1 3 && nsr rule-del 1 5
}

too_many_rules() {
	local i status

	for ((i = 1; i <= 256; i++)); do
		echo "rule-set 1 $i lport $PORT"
	done | nsr batch || return 1
	refused ENOSPC "rules" rule-set 1 257 lport $PORT && [ "$(nsr rules 1 | wc -l)" = 256 ]
	status=$?
	for ((i = 1; i <= 256; i++)); do
		echo "rule-del 1 $i"
	done | nsr batch && [ "$(nsr rules 1 | wc -l)" = 0 ] && return $status
}

role_answers() {
	local gen

	gen=$(nsr group 1 | field generation)
	[ "$(nsr role 1 active term 5 owner 2 lease 3600000)" = "generation=$((gen + 1))" ] &&
		nsr group 1 | grep -q "role=active term=5 owner=2 "
}

queued_promotion_loses() {
	local gen

	gen=$(nsr group 1 | field generation)
	nsr mute 1 | grep -q "generation=$((gen + 1))" &&
		refused ESTALE "GENERATION" role 1 active term 9 gen "$gen" &&
		nsr group 1 | grep -q role=standby
}

lapse_is_told() {
	monitor ev
	nsr role 1 active term 9 lease 300 >/dev/null
	until_ok 20 grep -q "event=group .*reason=1 role=1" "$TMP/ev" || return 1
	refused ETIME "lapsed" lease 1 1000 && refused ETIME "lapsed" lease 1 1000 || return 1
	monitor_stop
	[ "$(grep -c "reason=1" "$TMP/ev")" = 1 ] && stat_is lease_lapses 1 || return 1
	nsr mute 1 >/dev/null
}

ready_is_kept() {
	nsr ready 1 until 123456789 gates 1 epoch 6 &&
		nsr group 1 | grep -q "ready_until=123456789 gates_open=1 epoch=6 "
}

# inject_held NAME WORDS: keeps the descriptor until killed
inject_held() {
	local name=$1

	shift
	nsenter --net="/run/netns/box-$$" "$NSRTOOL" inject 1 ctl "$TMP/$name" "$@" </dev/null \
		>"$TMP/$name.out" 2>&1 &
	HOLD_PID[$name]=$!
	PIDS="$PIDS $!"
	until_ok 20 grep -q injected "$TMP/$name.out"
	grep -q injected=1 "$TMP/$name.out"
}

held_kill() {
	kill -9 "${HOLD_PID[$1]}" 2>/dev/null
	wait "${HOLD_PID[$1]}" 2>/dev/null
	rm -f "$TMP/$1"
}

active_wants_late() {
	nsr role 1 active term 10 lease 3600000 >/dev/null
	refused EBUSY "LATE" inject 1 $(record)
	local status=$?

	nsr mute 1 >/dev/null
	return $status
}

injected_twice() {
	inject_held s1 $(record) || { sed 's/^/# /' "$TMP/s1.out"; return 1; }
	refused EEXIST "ID" inject 1 $(record | sed 's/lport=[^ ]*/lport=1234/') &&
		refused EEXIST "" inject 1 $(record | sed 's/id=77/id=78/') || return 1
	nsr ns-set max-shadows 1
	refused ENOSPC "MAX_SHADOWS" inject 1 $(record | sed 's/id=77/id=79/; s/lport=[^ ]*/lport=1235/')
	local status=$?

	nsr ns-set max-shadows 65536
	held_kill s1
	until_ok 20 has_conns 0 && return $status
}

no_such_conn() {
	refused ENOENT "ID" conn-set id=1 snd_una=5 && refused ENOENT "ID" conn-del id=1 &&
		refused ENOENT "ID" conn id=1 &&
		refused ENOENT "4-tuple" conn family=2 laddr=$VIP4 raddr=$FAR4 lport=1 rport=2 &&
		refused EINVAL "ID is missing" conn-set snd_una=5
}

delete_with_shadow() {
	inject_held s2 $(record) || return 1
	refused EBUSY "FLUSH" group-del 1 && nsr group-del 1 flush && has_conns 0 || return 1
	ctl s2 list | grep -q "hup=1" || return 1
	held_kill s2
	group_create && nsr rule-set 1 1 lport $PORT
}

module_held() {
	inject_held s3 $(record) || return 1
	! rmmod tcp_nsr 2>/dev/null || return 1
	held_kill s3
	until_ok 20 has_conns 0
}

module_reloaded() {
	until_ok 20 rmmod tcp_nsr && insmod "$NSR_KO" && nsr info | grep -q "conns=0"
}

# what a record says of the handshake and of positions
lasting() {
	nsr conns | grep -o '\(family\|laddr\|raddr\|lport\|rport\|flags\|iss\|irs\|snd_wscale\|rcv_wscale\|mss_clamp\|advmss\|rcv_nxt\|snd_una\)=[^ ]*'
}

resumed() {
	nsr conns | grep -q " phase=3"
}

says() {
	[ "$(ctl "$1" recv "$2")" = "$3" ]
}

# A connection is adopted, by the box that had it; the module goes, and comes anew: it is found again,
# with the ISS and IRS of its handshake, which no one has kept.
reloaded_after_adoption() {
	group_up && conn_up r box far $VIP4 $PORT && until_ok 20 has_conns 1 || return 1
	ctl r.c send 0 before >/dev/null
	until_ok 20 says r.l 1 before || return 1
	nsr conns >"$TMP/record"
	nsr mute 1 destroy >/dev/null && inject_held s4 $(cat "$TMP/record") || return 1
	nsr role 1 active term 2 lease 3600000 >/dev/null
	until_ok 30 resumed || return 1
	lasting >"$TMP/lasting"
	! rmmod tcp_nsr 2>/dev/null && nsr group-del 1 flush && until_ok 20 rmmod tcp_nsr &&
		insmod "$NSR_KO" || return 1
	ctl r.c send 0 meanwhile >/dev/null
	until_ok 20 says s4 0 meanwhile || return 1
	sed -i 's/rcv_nxt=6/rcv_nxt=15/' "$TMP/lasting"
	group_up && until_ok 20 has_conns 1 || return 1
	lasting | diff "$TMP/lasting" - || return 1
	group_down
	conn_kill r
	held_kill s4
	group_create && nsr rule-set 1 1 lport $PORT
}

namespace_dies() {
	local n

	for n in 1 2 3; do
		ip netns add "die-$$" && nsenter --net="/run/netns/die-$$" "$NSRTOOL" group-set 1 addr $VIP4 &&
			nsenter --net="/run/netns/die-$$" "$NSRTOOL" rule-set 1 1 lport $PORT || return 1
		nsenter --net="/run/netns/die-$$" bash -c "sleep 0.5 | $NSRTOOL inject 1 $(record)" >/dev/null &
		until_ok 10 in_die_has_conn
		ip netns del "die-$$"
		wait $!
	done
	until_ok 30 rmmod tcp_nsr && insmod "$NSR_KO"
}

in_die_has_conn() {
	nsenter --net="/run/netns/die-$$" "$NSRTOOL" conns | grep -q id=
}

no_events_for_others() {
	as_other timeout 5 "$NSRTOOL" monitor >"$TMP/other" 2>&1
	! grep -q monitoring "$TMP/other"
}

other_user_namespace() {
	local said

	said=$(unshare -Urn "$NSRTOOL" info 2>&1) && return 1
	[[ $said == *EPERM*"user namespace"* ]] || { say "$said"; return 1; }
	said=$(unshare -Urn "$NSRTOOL" conns 2>&1) && return 1
	[[ $said == *EPERM*"user namespace"* ]] || { say "$said"; return 1; }
}

still_works() {
	nsr group-del 1 flush 2>/dev/null
	nsr group-del 2 flush 2>/dev/null
	nsr group-del 3 flush 2>/dev/null
	group_up && conn_up last box far $VIP4 $PORT && until_ok 20 has_conns 1
}

ktap_print_header
ktap_set_plan 60
box_create

# -- groups
check "GROUP_SET with id 0" refused ERANGE 10 group-set 0 addr $VIP4
check "... without addresses" refused EINVAL "ADDRS is missing" group-set 1 dev svc mac $MAC
check "... MAC without device" refused EINVAL "IFINDEX is missing" group-set 1 mac $MAC addr $VIP4
check "... multicast MAC" refused EINVAL "MAC: not a unicast" group-set 1 dev svc mac 01:00:00:00:00:01 addr $VIP4
check "... no such device" refused ENODEV "IFINDEX" group-set 1 dev 9999 addr $VIP4
check "... a bound out of range" refused ERANGE 15 group-set 1 dev svc addr $VIP4 settle 0
check "GROUP_GET of none" refused ENOENT "GROUP_ID: no such group" group 1
check "GROUP_DEL of none" refused ENOENT "GROUP_ID: no such group" group-del 1
check "a group is created, mute, generation 1" group_create
check "an address belongs to one group" refused EBUSY "group" group-set 2 addr $VIP4
check "a MAC belongs to one group" refused EBUSY "MAC" group-set 2 dev svc mac $MAC addr 10.0.0.2
check "changing a group leaves its role" group_keeps_role

# -- rules
check "RULE_SET without a port" refused EINVAL "LPORT or RPORT" rule-set 1 1
check "... id 0" refused ERANGE 1 rule-set 1 0 lport 80
check "... unknown mode" refused ERANGE 9 rule-set 1 1 lport 80 mode x
check "... unknown family" refused EINVAL "FAMILY" rule-set 1 1 lport 80 family x
check "... addresses of two families" refused EINVAL "FAMILY" rule-set 1 1 lport 80 laddr $VIP4 raddr $FAR6
check "... prefix longer than the address" refused EINVAL "RADDR_LEN" rule-set 1 1 lport 80 raddr 10.0.0.0/33
check "... no such group" refused ENOENT "GROUP_ID" rule-set 9 1 lport 80
check "RULE_DEL without a rule" refused EINVAL "RULE" rule-del 1
check "... without its id" refused EINVAL "RULE: ID is needed" rule-del 1 -
check "... of one that is not there" refused ENOENT "RULE" rule-del 1 44
check "rules are listed by id, replaced by id" rules_listed
check "not more than 256 rules" too_many_rules

# -- role and lease: compare-and-set
check "ROLE_SET with another generation" refused ESTALE "GENERATION" role 1 active gen 999
check "... with a lease that is past" refused ETIME "LEASE_UNTIL is past" role 1 active until 1
check "LEASE_SET of a mute role" refused EPERM "mute" lease 1 1000
check "ROLE_SET raises the generation and answers with it" role_answers
check "LEASE_SET with another generation" refused ESTALE "GENERATION" lease 1 1000 gen 1
check "ROLE_SET with a lower term" refused EINVAL "TERM" role 1 active term 4
check "MUTE raises the generation: a queued promotion loses" queued_promotion_loses
check "a lapse is told, counted once, and a renewal refused" lapse_is_told
check "FREEZE without a value" refused EINVAL "FROZEN is missing" freeze 1
check "READY_SET is kept" ready_is_kept

# -- injection
check "INJECT without a group" refused ENOENT "GROUP_ID" inject 9 $(record)
check "... without its address" refused EINVAL "LADDR" inject 1 $(record | sed 's/laddr=[^ ]*//')
check "... address of the wrong length" refused EINVAL "LADDR" inject 1 $(record | sed "s/laddr=[^ ]*/laddr=$VIP6/")
check "... unknown family" refused EINVAL "FAMILY" inject 1 $(record | sed 's/family=2/family=7/')
# The tool takes the first family for its socket, the kernel the last one.
check "... socket of another family" refused EPROTOTYPE "FD" inject 1 $(record |
	sed "s/laddr=[^ ]*/laddr=$VIP6/; s/raddr=[^ ]*/raddr=$FAR6/") family=10
check "... port 0" refused EINVAL "LPORT" inject 1 $(record | sed 's/lport=[^ ]*/lport=0/')
check "... id 0" refused EINVAL "ID" inject 1 $(record | sed 's/id=77/id=0/')
check "... a state that is not carried" refused EINVAL "ESTABLISHED and CLOSE_WAIT" inject 1 $(record) state=4
check "... window scale 15" refused ERANGE 16 inject 1 $(record | sed 's/snd_wscale=7/snd_wscale=15/')
check "... positions that contradict" refused EINVAL "SND_UNA" inject 1 $(record) snd_una=9 snd_nxt=5
check "... into an active group, not late" active_wants_late
check "... the same id twice, the same 4-tuple twice, then the cap" injected_twice
check "CONN_SET, CONN_DEL, CONN_GET of none" no_such_conn

# -- life
check "GROUP_DEL with a shadow: refused; with FLUSH: closed" delete_with_shadow
check "the module cannot be unloaded while there is a shadow" module_held
check "the module can be unloaded and loaded after" module_reloaded
check "an adopted connection outlives the module, and is protected anew as the same" reloaded_after_adoption
check "a namespace dies with its groups, rules and shadows" namespace_dies

# -- rights
check "without CAP_NET_ADMIN: GROUP_SET" not as_other "$NSRTOOL" group-set 3 addr 10.0.0.3
check "... CONN_GET" not as_other "$NSRTOOL" conns
check "... the event group" no_events_for_others
check "... but INFO_GET" as_other "$NSRTOOL" info
check "with it (control): CONN_GET" nsr conns
check "another user namespace: refused, and said why" other_user_namespace

# -- random input
check "random requests, ${NSR_FUZZ:-3000} of them" nsr fuzz "$NSR_SEED" "${NSR_FUZZ:-3000}"
check "... and the module still works" still_works

ktap_finished
