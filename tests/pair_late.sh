#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A standby that comes late gets application state and connections by snapshot, while connections open and
# close and state changes, and then live; what it has is what the active has, and it can take over with it.
# Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

RANDOM=$NSR_SEED

# Connections open and close, in no order; each asks something at times. Until SIGTERM, which leaves 7 open.
churn_start() {
	cat >"$PAIR/churn.py" <<-'END'
	import random, signal, socket, struct, sys, time
	rnd, open_, stop, n = random.Random(int(sys.argv[3])), [], [], 0
	signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
	def ask(s):
	    body = rnd.randbytes(rnd.randint(1, 900))
	    s.sendall(struct.pack(">I", len(body)) + body)
	    want = 20
	    while want:
	        got = s.recv(want)
	        if not got: sys.exit("closed by the server")
	        want -= len(got)
	while not stop or len(open_) != 7:
	    if len(open_) < 7 or (not stop and rnd.random() < 0.5 and len(open_) < 40):
	        open_.append(socket.create_connection((sys.argv[1], int(sys.argv[2]))))
	        n += 1
	    elif not stop and open_ and rnd.random() < 0.5:
	        ask(rnd.choice(open_))
	    else:
	        open_.pop(rnd.randrange(len(open_))).close()
	    print(n, flush=True)
	    time.sleep(0.01)
	print("quiet", flush=True)
	stop.clear()
	while not stop: time.sleep(0.1)
	for s in open_: ask(s)		# whoever has them now
	print("answered", flush=True)
	END
	spawn far python3 "$PAIR/churn.py" "$VIP4" "$PORT" "$NSR_SEED" >"$PAIR/churn" 2>&1 </dev/null
	CHURN_PID=$!
	FAR_PIDS="${FAR_PIDS:-} $!"
	until_ok 30 test -s "$PAIR/churn"
}

churned() {
	tail -n 1 "$PAIR/churn"
}

churned_past() {
	[ "$(churned)" -gt "$1" ]
}

says() {
	grep -q "^$1" "$PAIR/churn"
}

# What the application itself has: on SIGUSR1.
app_state() {
	local log=$PAIR/$1/echo4.log from

	set -- "$1" ${APP_PID[$1]}
	from=$(wc -l <"$log")
	kill -USR1 "$2"
	until_ok 10 eval "tail -n +$((from + 1)) '$log' | grep -q '^dump end'" || return 1
	tail -n "+$((from + 1))" "$log" | sed -n 's/^dump conn peer=\(.*\) live=.* count=\(.*\)/\1 \2/p; s/^dump role.* total=/total /p' | sort
}

same_state() {
	[ -n "$(app_state a)" ] && [ "$(app_state a)" = "$(app_state b)" ]
}

ktap_print_header
ktap_set_plan 16
pair_create || exit 1
box_start a
box_start b
check "the pair is protected" pair_up a b
echo_start a
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
box_die b
until_ok 60 eval '! is_protected a'
check "the standby is lost: requests go on" goes_on v4
churn_start
until_ok 60 churned_past 30
before=$(churned)
box_reboot b
echo_start b
check "a late standby becomes ready while connections come and go" pair_up a b
check "they do" churned_past "$before"
before=$(churned)
check "and do so afterwards" until_ok 60 churned_past $((before + 30))
kill $CHURN_PID
until_ok 60 says quiet
kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
check "both boxes have the connections that are left" eval 'until_ok 60 has_conns a 9 && until_ok 30 has_conns b 9'
check "the digests are equal" until_ok 30 same_digest
check "both applications have the same state" until_ok 30 same_state
pair_say "$(app_state a | tr '\n' ';')"

ctl b resync
check "a snapshot by order: ready again" eval 'until_ok 30 is_state b sync; pair_up a b'
check "with the same digest" until_ok 30 same_digest

before=$(digest b)
kill -CONT ${FAR_PID[v4]}
goes_on v4
kill -STOP ${FAR_PID[v4]}
check "live again: the digests are equal after more requests" until_ok 30 same_digest
refute "control: more requests make another digest" test "$(digest b)" = "$before"
box_die a
check "the active dies: the other one takes over" until_ok 60 is_state b active
kill $CHURN_PID
check "every connection that is left is answered" until_ok 90 says answered
kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
check "requests go on" eval 'goes_on v4 && goes_on v6'
check "each request was answered exactly once" eval 'far_end v4 && far_end v6'
ktap_finished
