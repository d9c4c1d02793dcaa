#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ACK gate of mode lossless, on the active. The judge is a capture on the far end's wire: what was
# told, and when. Controls at the end: the same with one rule off, by a module that was built for it.

. "$(dirname "$0")/lib/gate.sh"

# ---- what may leave ----

# Pure ACKs wait; when the gate moves, one leaves, with the gate in it.
pure_waits() {
	ip -n far-$NS link set eth0 gso_max_segs 1
	up && capture c tcp && far_says 6000 || return 1
	sleep 1
	told_is c 0 && far_lacks_acks && held || return 1
	gate 2000 && until_ok 10 told_is c 2000 && far_lacks_acks || return 1
	gate 6000 && until_ok 10 told_is c 6000 && until_ok 10 far_has_acks && edges_grow c
}

held() { [ "$(stat_of a acks_held)" -ge 1 ]; }

# Control: without a gate (mode adopt) they leave.
adopt_does_not_wait() {
	up adopt && capture c tcp && far_says 5 && until_ok 10 told_is c 5
}

# Data leave with the gate in place of their ACK, and the right edge where it was.
data_clamped() {
	up && capture c tcp && box_clamps c
}

box_clamps() {
	box_says first && far_says 10 && box_says hello && until_ok 10 data_seen $1 2 && told_is $1 0 &&
		edges_grow $1 && [ "$(stat_of a acks_clamped)" -ge 1 ] || return 1
	gate 4 && until_ok 10 told_is $1 4 && box_says more || return 1
	gate 10 && until_ok 10 told_is $1 10 && until_ok 10 far_has_acks && edges_grow $1
}

# What the application has not read takes from the window, and what is not acknowledged adds to it.
unread() {
	up && capture c tcp && says_unread c && told_is c 0 && edges_grow c
}

says_unread() {
	box_says first && ctl far send 0 "$(printf %012000d 7)" >/dev/null && until_ok 10 shown rcv_nxt 12000 &&
		box_says hello && until_ok 10 data_seen $1 2
}

# data_seen NAME N: so many segments of box a with data are in the capture
data_seen() { [ "$(segments $1 | awk '$5 > 0' | wc -l)" -ge $2 ]; }

# What arrived out of order is shown only once the gate has caught up.
sack_hidden() {
	up && capture c tcp && far_says 10 && forge_ooo && box_says hello && until_ok 10 data_seen c 1 || return 1
	[ "$(segments c | awk '$7' | wc -l)" = 0 ] || { segments c; return 1; }
	gate 10 && until_ok 10 sack_seen c
}

forge_ooo() {
	forge seq "$(seq_rcv 1010)" ack "$(seq_snd 0)" len 100 &&
		until_ok 10 a_has_ooo
}

a_has_ooo() { in_a nstat -asz TcpExtTCPOFOQueue | grep -q 'TCPOFOQueue *1 '; }
sack_seen() { segments $1 | awk '$7 && $2 == 10 { n = 1 } END { exit !n }'; }

# A FIN is one position more.
fin_waits() {
	up && capture c tcp && far_says 5 && gate 5 && until_ok 10 far_has_acks || return 1
	ctl far shutdown 0 >/dev/null
	until_ok 10 got a 1 EOF || return 1
	sleep 1
	told_is c 5 && far_state FIN-WAIT-1 || return 1
	gate 6 && until_ok 10 far_state FIN-WAIT-2 && told_is c 6 && box_says bye
}

far_state() { in_far ss -tnH 'dport = 5000' | grep -q "^$1"; }

# A question of ours is asked, whatever it acknowledges.
keepalive_clamped() {
	up && capture c tcp && far_says 10 && [ "$(ctl a keepalive 1)" = ok ] || return 1
	until_ok 40 asked c && told_is c 0
}

asked() { segments $1 | awk '$4 == 4294967295 && $5 == 0 { n = 1 } END { exit !n }'; }

ipv6() {
	groups_up mode lossless && connect fd00::1 fd00::1 && record && capture c tcp && box_clamps c
}

# An IPv4 connection of an IPv6 socket. It cannot become another socket behind the gate's back.
v4mapped() {
	groups_up mode lossless && connect 10.9.0.1 :: && record && capture c tcp && box_clamps c || return 1
	[ "$(ctl a addrform 1)" = EBUSY ] && far_says 5 && box_says again && told_is c 10
}

active_open() {
	groups_up && hold a && hold far && in_a $TOOL rule-set 1 2 rport 6000 mode lossless || return 1
	ctl far listen 10.9.0.9 6000 >/dev/null
	ctl a connect 10.9.0.9 6000 1 >/dev/null
	ctl far accept 0 >/dev/null
	until_ok 10 one_conn_on_a && record && capture c tcp || return 1
	FAR_N=1 BOX_N=0 BOX_PORT=6000
	box_clamps c
}

# ---- opening and closing ----

opening() {
	up && capture c tcp && far_says 10 || return 1
	in_a $TOOL ready 1 gates 1 && until_ok 10 told_is c 10 || return 1
	in_a $TOOL ready 1 gates 0 && far_says 5 || return 1
	sleep 1
	told_is c 10 && shown gate 0 && shown gate_open 0 || return 1
	# What was told is repeated, nothing less: far below it the far end would drop our data.
	box_says hello && until_ok 10 data_seen c 1 &&
		[ "$(segments c | awk '$5 > 0 { p = $2 } END { print p }')" = 10 ] || return 1
	set_conn gate_open=1 && until_ok 10 told_is c 15 && shown gate_open 1 || return 1
	set_conn gate_open=0 && far_says 5 || return 1
	sleep 1
	told_is c 15 && shown rcv_wup 15 && shown rcv_nxt 20 || return 1
	gate 20 && until_ok 10 told_is c 20 && shown gate 20 && edges_grow c
}

shown() {
	in_a $TOOL conns >$W/conns.a
	[ "$(field "$1" $W/conns.a)" = "$2" ] || { say "$1 is $(field "$1" $W/conns.a), not $2"; return 1; }
}

refusals() {
	up && far_says 5 && gate 3 || return 1
	refused "only grows" gate=2 && refused "above what was received" gate=6 && shown gate 3 && gate 3 || return 1
	in_a $TOOL rule-set 1 1 lport 5001 mode adopt && ctl a listen 10.9.0.1 5001 >/dev/null &&
		ctl far connect 10.9.0.1 5001 1 >/dev/null && until_ok 10 a_has 2 || return 1
	in_a $TOOL conns >$W/conns.a
	refused_for "$(sed -n '2s/.*\bid=\([^ ]*\).*/\1/p' $W/conns.a)" "not a connection of mode LOSSLESS" gate=0 || return 1
	inject && in_b $TOOL conn-set id="$(field id $W/record)" gate=0 2>&1 | grep -q "a shadow has none"
}

a_has() { [ "$(in_a $TOOL conns | wc -l)" = "$1" ]; }
refused() { refused_for "$(field id $W/record)" "$@"; }

refused_for() {
	in_a $TOOL conn-set "id=$1" "$3" >$W/refused 2>&1 && return 1
	grep -q "$2" $W/refused || { cat $W/refused; return 1; }
}

# One message moves the gates of many connections; opening those of the group speaks for all.
many() {
	local n=30 i words=()

	groups_up mode lossless && hold a && hold far || return 1
	ctl a listen 10.9.0.1 5000 >/dev/null
	ctl far connect 10.9.0.1 5000 $n >/dev/null
	ctl a accept 0 $n >/dev/null
	until_ok 20 a_has $n || return 1
	for ((i = 0; i < n; i++)); do
		ctl far send $i xy >/dev/null
	done
	until_ok 20 all_received $n && [ "$(unacked)" = $n ] || return 1
	for i in $(sed 's/.*\(id=[^ ]*\).*/\1/' $W/conns.a); do
		words+=("$i" gate=1 ,)
	done
	in_a $TOOL conn-set "${words[@]:0:${#words[@]}-1}" && until_ok 10 all_at $n rcv_wup=1 || return 1
	in_a $TOOL ready 1 gates 1 && until_ok 10 none_unacked && all_at $n rcv_wup=2
}

all_at() { in_a $TOOL conns >$W/conns.a && [ "$(grep -c " $2 " $W/conns.a)" = "$1" ]; }
all_received() { all_at "$1" rcv_nxt=2; }
unacked() { in_far ss -tniH 'dport = 5000' | grep -c ' unacked:'; }
none_unacked() { [ "$(unacked)" = 0 ]; }

# Who is let go speaks at once, and is an ordinary connection.
let_go() {
	up && capture c tcp && far_says 10 && told_is c 0 && in_a $TOOL "$@" || return 1
	until_ok 10 told_is c 10 && far_says 5 && until_ok 10 told_is c 15 && box_says hello && far_has_acks
}

# ---- streams ----

# Both directions, the gate as far behind as a standby is.
stream() {
	local lag=$1

	shift
	# On box a's wire: before a network that reorders.
	up && netem "$@" && capture_on a c tcp && pump_both $lag && cmp $W/src $W/a.dst || return 1
	until_ok 60 same_size $W/src2 $W/far.dst && cmp $W/src2 $W/far.dst || return 1
	told_within c $W/gates && edges_grow c || return 1
	say "held $(stat_of a acks_held), clamped $(stat_of a acks_clamped), moves $(wc -l <$W/gates)"
	# Whether ACKs are held or ride on data, depends on how the two directions come to lie in time.
	[ $(($(stat_of a acks_clamped) + $(stat_of a acks_held))) -ge 1 ]
}

# The same stream with the gate open and behind: the ratio of times, for the reader.
throughput() {
	local open behind

	BYTES=4000000
	up && netem delay 5ms && in_a $TOOL ready 1 gates 1 && open=$(time_of 0) || return 1
	net_down
	net_up
	up && netem delay 5ms && behind=$(time_of 2) || return 1
	say "open $open ms, gate 2 ms behind $behind ms"
}

time_of() {
	local begun=${EPOCHREALTIME/./}

	far_to_box $1 && until_ok 120 test -e $W/a.dst.end && cmp $W/src $W/a.dst || return 1
	echo $(((${EPOCHREALTIME/./} - begun) / 1000))
}

# ---- one lost segment in the middle of a message ----

# A message of three segments, its second one lost.
lose_middle() {
	ip -n far-$NS link set eth0 gso_max_segs 1
	# No tail loss probe: the head's time-out is what is waited for.
	in_far sysctl -qw net.ipv4.tcp_early_retrans=0
	up && head -c 4344 /dev/urandom >$W/src || return 1
	in_a nft -f - <<-END || return 1
		table inet hole {
			chain in {
				type filter hook prerouting priority -400;
				tcp dport 5000 tcp sequence $(seq_rcv 1448) counter drop
			}
		}
	END
	ctl a pull 1 $W/a.dst >/dev/null
	follow $W/a.dst "$@"
	ctl far push 0 $W/src 0 keep >/dev/null
	until_ok 20 lost && until_ok 20 same_size $W/a.dst 1448 && in_a nft delete table inet hole
}

lost() { in_a nft list table inet hole | grep -q 'packets [1-9]'; }

middle_lost() {
	lose_middle lag 5 && until_ok 60 same_size $W/a.dst 4344 && cmp $W/src $W/a.dst
}

# Control: a gate that waits for the end of a message never gets there; told by hand, it does.
at_message_ends() {
	lose_middle step 4344 || return 1
	capture c 'tcp and src host 10.9.0.9' && until_ok 90 head_again 4 && same_size $W/a.dst 1448 || return 1
	gate 1448 && until_ok 30 same_size $W/a.dst 4344 && cmp $W/src $W/a.dst
}

# The far end has sent the first segment so many times, and nothing else.
head_again() {
	captured c -S | awk -v head="$(seq_rcv 0)" '
		/length 0/ { next }
		{ if (index($0, "seq " head ":")) n++; else other++ }
		END { exit !(n >= '$1' && !other) }'
}

# ---- MD5 ----

md5_stream() {
	md5 && in_far sysctl -qw "$@" && groups_up mode lossless && connect && record && capture c tcp &&
		pump_both 3 && cmp $W/src $W/a.dst && until_ok 60 same_size $W/src2 $W/far.dst &&
		cmp $W/src2 $W/far.dst || return 1
	told_within c $W/gates && md5_failures far 0 && md5_failures a 0 || return 1
	captured c | grep -q md5 && [ "$(stat_of a acks_clamped)" -ge 1 ]
}

# ---- controls: one rule off ----

sack_shown() {
	off GATE_SACK && up && capture c tcp && far_says 10 && forge_ooo && box_says hello || return 1
	until_ok 10 sack_below c
}

sack_below() { segments $1 | awk '$7 && $2 == 0 { n = 1 } END { exit !n }'; }

window_left_alone() {
	# A receive buffer that does not grow, and would hide what the window lacks; segments of which each
	# takes more of it than it carries: Linux 6.12 learns from large ones that more fits in.
	in_a sysctl -qw net.ipv4.tcp_rmem="4096 131072 131072" net.ipv4.tcp_moderate_rcvbuf=0
	ip -n far-$NS route replace 10.9.0.0/24 dev eth0 mtu lock 576 initcwnd 40
	in_far ethtool -K eth0 tso off gso off >/dev/null 2>&1
	off GATE_WINDOW && up && capture c tcp && says_unread c && told_is c 0 || return 1
	! edges_grow c
}

not_held() {
	off GATE_HOLD && up && capture c tcp && far_says 6000 && until_ok 10 repeats_itself
}

repeats_itself() { [ "$(segments c | awk '$2 == 0 && $5 == 0' | wc -l)" -ge 3 ]; }

not_signed() {
	off GATE_SIGN && md5 && groups_up mode lossless && connect && record && far_says 10 || return 1
	ctl a send 1 hello >/dev/null
	until_ok 20 md5_failed
}

md5_failed() { ! md5_failures far 0 >/dev/null; }

# Operations exchanged by somebody else: the connection is told to be protected no more.
behind_its_back() {
	off ADDRFORM && groups_up mode lossless && connect 10.9.0.1 :: && record && far_says 5 || return 1
	[ "$(ctl a addrform 1)" = ok ] && until_ok 20 refused_for_gate && [ "$(stat_of a conns_lost)" = 1 ] &&
		[ "$(stat_of a conns_refused_kind)" = 0 ] && until_ok 20 far_has_acks && box_says hello
}

refused_for_gate() { shown phase 4 && shown refused 5; }

# A kind of socket for whose operations there is no room. Where no gate is needed it is protected.
no_room() {
	off GATE_ROOM && groups_up mode "$1" && connect && in_a $TOOL conns >$W/conns.a || return 1
	if [ $1 = lossless ]; then
		refused_for_gate && [ "$(stat_of a conns_refused_kind)/$(stat_of a conns)/$(stat_of a refused)" = 1/0/1 ]
	else
		shown phase 0 && [ "$(stat_of a conns_refused_kind)" = 0 ]
	fi && talks a 1
}

tests=(
	"pure ACKs wait for the gate" pure_waits
	"control: without a gate they leave" adopt_does_not_wait
	"data carry the gate, the right edge stays" data_clamped
	"the right edge with data that nobody reads" unread
	"SACK blocks are hidden until the gate has caught up" sack_hidden
	"a FIN is one position more" fin_waits
	"keepalive probes leave" keepalive_clamped
	"IPv6" ipv6
	"an IPv4 connection of an IPv6 socket" v4mapped
	"an active open" active_open
	"gates open and close, the group's and one connection's" opening
	"positions that cannot be are refused" refusals
	"many connections in one message" many
	"a flush lets go" "let_go flush"
	"so does the end of the group" "let_go group-del 1 flush"
	"streams, the gate 1 ms behind" "stream 1 delay 3ms"
	"streams, the gate 30 ms behind" "stream 30 delay 3ms"
	"streams over a path that loses and reorders" "stream 5 delay 4ms 2ms loss 2% reorder 20%"
	"throughput" throughput
	"one lost segment in the middle of a message" middle_lost
	"control: a gate at message ends wedges" at_message_ends
	"MD5, streams" "md5_stream net.ipv4.tcp_sack=1"
	"MD5 without SACK" "md5_stream net.ipv4.tcp_sack=0"
)
controls=(
	"control: SACK blocks shown" sack_shown
	"control: the window field left alone" window_left_alone
	"control: ACKs that say nothing are repeated" not_held
	"control: not signed again" not_signed
	"a gate that somebody takes away is told" behind_its_back
	"no gate for a kind of socket: refused, and said why" "no_room lossless"
	"control: mode adopt needs none" "no_room adopt"
)
run_with_controls "${1:-}"
