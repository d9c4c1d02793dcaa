#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The active side of the module: which connections are protected, what is said of them, and when.
#
#	far 10.0.0.9 ==== 10.0.0.1 box, group 1: local or remote port $PORT

. "$(dirname "$0")/lib/box.sh"

MANY=${NSR_MANY:-1500}

event() {
	grep "event=$1 .*$2" "$TMP/ev" | tail -1
}

has_event() {
	grep -q "event=$1 .*$2" "$TMP/ev"
}

# handshake FILE: "far's initial sequence number, the box's" from the capture on the far end's side
handshake() {
	tcpdump -Snr "$TMP/$1.pcap" 'tcp[tcpflags] & tcp-syn != 0 or (ip6 and ip6[53] & 2 != 0)' 2>/dev/null |
		awk -v box="$2" '{ gsub(",", ""); for (i = 1; i < NF; i++) if ($i == "seq") s = $(i + 1);
			if (index($3, box ".") == 1) iss = s; else irs = s } END { print iss, irs }'
}

full_record() {
	local key

	for key in id rule family laddr raddr lport rport flags state mode gap cookie iss irs snd_wscale \
		rcv_wscale mss_clamp advmss rcv_nxt rcv_wup copied_seq right_edge snd_una snd_nxt write_seq \
		snd_wnd tsval ts_recent sndbuf rcvbuf pmtu phase; do
		[ -n "$(field $key <<<"$1")" ] || { say "no $key in: $1"; return 1; }
	done
}

# established NAME LISTENER CONNECTOR ADDRESS BOX-ADDRESS FLAG-ACTIVE-OPEN FAMILY [CONNECT-TO]
established() {
	local name=$1 line wire

	capture "$name" tcp
	conn_up "$name" "$2" "$3" "$4" $PORT ${8:+"$8"} || return 1
	until_ok 20 has_event add "laddr=$5 .*state=1" || return 1
	line=$(event add "laddr=$5 ")
	capture_stop "$name"
	full_record "$line" || return 1
	wire=$(handshake "$name" "$5")
	[ "$(field iss <<<"$line") $(field irs <<<"$line")" = "$wire" ] ||
		{ say "on the wire: $wire, in the record: $line"; return 1; }
	[ $(($(field flags <<<"$line") & 1)) = "$6" ] && [ "$(field family <<<"$line")" = "$7" ]
}

conns_but_id() {
	nsr conns | sed 's/seq=[0-9]* id=[^ ]* //; s/ tsval=[0-9]*//' | sort
}

# What is only found later is what was seen at the handshake, but for the id.
same_when_found_later() {
	conns_but_id >"$TMP/before"
	nsr flush 1
	has_conns 0 || return 1
	nsr rule-set 1 1 lport $PORT
	nsr rule-set 1 2 rport $PORT
	conns_but_id >"$TMP/after"
	[ -s "$TMP/before" ] && diff "$TMP/before" "$TMP/after" | sed 's/^/# /'
	cmp -s "$TMP/before" "$TMP/after"
}

# What the far end has sent is received, and acknowledged.
all_told() {
	[ "$(nsr conns | field rcv_wup | sort -n | xargs)" = "3 6 8 14" ]
}

cursor_is() {
	[ "$(nsr conn "id=$1" | field "$2")" = "$3" ]
}

told_cursor() {
	grep "event=change .*id=$1" "$TMP/ev" | tail -1 | grep -q " $2=$3 "
}

cause_of() {
	grep "event=del .*rport=$1 \|event=del .*lport=$1 " "$TMP/ev" | tail -1 | field cause
}

# closes NAME CAUSE COMMAND...: a fresh connection to the box; after COMMAND it is told with CAUSE
closes() {
	local name=$1 cause=$2 id

	shift 2
	conn_up "$name" box far $VIP4 $PORT || return 1
	until_ok 20 has_conns 1 || return 1
	id=$(nsr conns | field id)
	"$@" >/dev/null 2>&1
	until_ok 20 has_event del "id=$id" || return 1
	[ "$(event del "id=$id" | field cause)" = "$cause" ] || { event del "id=$id" | sed 's/^/# /'; false; }
	local status=$?

	conn_kill "$name"
	until_ok 20 has_conns 0
	return $status
}

kill_box_end() {
	kill -"$2" "${HOLD_PID[$1.l]}"
	wait "${HOLD_PID[$1.l]}" 2>/dev/null
}

fins() {
	frames "$1" "src host $VIP4 and tcp[tcpflags] & (tcp-fin|tcp-rst) != 0"
}

# A connection whose application in the box is SIGKILLed: how many FIN and RST left
fins_at_death() {
	GROUP_EXTRA="on-death $1" group_up >/dev/null || return 1
	conn_up death box far $VIP4 $PORT || return 1
	until_ok 20 has_conns 1
	capture death tcp
	kill_box_end death KILL
	until_ok 20 has_conns 0
	capture_stop death
	fins death
	conn_kill death
}

many() {
	nsr ns-set max-conns 65536
	box sysctl -qw net.core.somaxconn=65535
	hold many.l box && hold many.c far && ctl many.l listen $VIP4 $PORT >/dev/null &&
		ctl many.c connect $VIP4 $PORT "$MANY" | grep -q "connected=$MANY " || return 1
	until_ok 60 has_conns "$MANY"
}

ktap_print_header
ktap_set_plan 27
box_create
box "$NSRTOOL" group-set 1 dev svc mac $MAC addr $VIP4 addr $VIP6 addr ::1
nsr rule-set 1 1 lport $PORT
nsr rule-set 1 2 rport $PORT

# -- controls: not active, no rule
conn_up idle box far $VIP4 $PORT
check "a connection of a standby group is not protected" has_conns 0
conn_kill idle
nsr role 1 active lease 3600000 >/dev/null
monitor ev
conn_up other box far $VIP4 $OTHER
check "a connection that no rule matches is not protected" has_conns 0
conn_kill other

# -- what is told at the handshake
check "passive open, IPv4: event with the full record, ISS and IRS as on the wire" \
	established p4 box far $VIP4 $VIP4 0 2
check "active open, IPv4" established a4 far box $FAR4 $VIP4 1 2
check "passive open, IPv6" established p6 box far $VIP6 $VIP6 0 10
check "active open, IPv6" established a6 far box $FAR6 $VIP6 1 10
conn_kill p4
until_ok 20 has_conns 3
check "IPv4 connection of an IPv6 socket is recorded as IPv4 and marked" \
	established m4 box far ::ffff:$VIP4 $VIP4 0 2 $VIP4
check "... and marked" test $(($(event add "laddr=$VIP4 .*lport=$PORT" | field flags) & 256)) = 256

# -- cursors
id=$(event add "laddr=$VIP4 .*lport=$PORT" | field id)
ctl m4.c send 0 hello-from-far >/dev/null
check "bytes received and not read: RCV_NXT moves, COPIED_SEQ does not" until_ok 20 cursor_is "$id" rcv_nxt 14
check "... COPIED_SEQ" cursor_is "$id" copied_seq 0
check "... and is told" until_ok 20 told_cursor "$id" rcv_nxt 14
ctl m4.l recv 1 >/dev/null
check "read: COPIED_SEQ is told" until_ok 20 told_cursor "$id" copied_seq 14
ctl m4.l send 1 reply >/dev/null
check "sent and acknowledged: SND_UNA is told" until_ok 20 told_cursor "$id" snd_una 5
ctl a4.c send 0 12345678 >/dev/null
ctl p6.c send 0 123 >/dev/null
ctl a6.c send 0 123456 >/dev/null
until_ok 20 all_told
check "found later (rule set anew): same ISS, IRS and positions, passive, active, IPv6, v4-mapped" \
	same_when_found_later

# -- half-closed by the far end
id=$(nsr conns | grep "laddr=$VIP4 .*lport=$PORT " | field id)
ctl m4.c shutdown 0 >/dev/null
check "FIN from the far end: CLOSE_WAIT is told, RCV_NXT past the FIN" \
	until_ok 20 grep -q "event=change .*id=$id .*state=8 rcv_nxt=15 " "$TMP/ev"
for c in p4 a4 p6 a6 m4; do
	conn_kill $c
done
until_ok 20 has_conns 0

# -- why it ended
check "close() is LOCAL" closes c1 0 ctl c1.l close 1
check "exit with status 0 is LOCAL" closes c2 0 ctl c2.l exit 0
check "exit with status 3 is DEATH" closes c3 1 ctl c3.l exit 3
check "SIGKILL is DEATH" closes c4 1 kill_box_end c4 KILL
check "a reset by the far end is PEER" closes c5 2 far ss -K dst $VIP4 dport = $PORT
check "destroyed by the operator is ADMIN" closes c6 5 box ss -K src $VIP4 sport = $PORT

# -- death of the application
check "on-death release: the far end sees the end of a dead application (control)" \
	test "$(fins_at_death release)" -gt 0
check "on-death mute: not a FIN, not a RST" test "$(fins_at_death mute)" = 0
GROUP_EXTRA="on-death release" group_up

# -- cap
nsr ns-set max-conns 2
conn_up cap1 box far $VIP4 $PORT
ctl cap1.c connect $VIP4 $PORT 2 >/dev/null
check "MAX_CONNS: the third connection works, is not protected, and is counted" stat_is conns_refused_cap 1
conn_kill cap1
until_ok 20 has_conns 0
monitor_stop

# -- many, and a reader that does not keep up
monitor slow rcvbuf 4096 wait "$TMP/go"
check "$MANY connections: the dump has them all" many
touch "$TMP/go"
check "an overflowing reader is told by ENOBUFS, or sees a gap in the numbers" \
	until_ok 20 grep -q 'event=overflow\|event=gap' "$TMP/slow"
conn_kill many
check "... and after all are closed the dump is empty" until_ok 60 has_conns 0

ktap_finished
