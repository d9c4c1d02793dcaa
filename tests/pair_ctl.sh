#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the operator sees and says: nsrctl's verbs, --json, exit statuses; nsrd --check-config. And who talks
# nonsense to a running nsrd is refused, once in the log, and nothing else happens. Topology: tests/lib/pair.sh.

cd "$(dirname "$0")/.." || exit 1
. tests/lib/pair.sh
. tests/lib/pair_echo.sh

# status WANTED COMMAND...
status() {
	local wanted=$1 got

	shift
	"$@" >"$PAIR/out" 2>"$PAIR/err" </dev/null
	got=$?
	[ $got = "$wanted" ] && return
	pair_say "status $got instead of $wanted: $*"
	sed 's/^/# /' "$PAIR/out" "$PAIR/err"
	return 1
}

# refused STATUS TEXT COMMAND...: the text is on standard error
refused() {
	local wanted=$1 text=$2

	shift 2
	status "$wanted" "$@" && grep -q -- "$text" "$PAIR/err" && return
	pair_say "no \"$text\":"
	sed 's/^/# /' "$PAIR/err"
	return 1
}

# json BOX PYTHON-EXPRESSION WORDS...: the answer is one object of version 1, and the expression over it (o) is true
json() {
	local box=$1 expression=$2

	shift 2
	ctl "$box" --json "$@" >"$PAIR/out" </dev/null || return 1
	python3 - "$PAIR/out" "$expression" <<-'END' && return
	import json, sys
	o = json.load(open(sys.argv[1]))
	assert o["version"] == 1 and o["ok"] is True, o
	assert eval(sys.argv[2]), (sys.argv[2], o)
	END
	sed 's/^/# /' "$PAIR/out"
	return 1
}

shown() {
	pair_say "nsrctl $*:"
	ctl a "$@" >"$PAIR/out" || return 1
	sed 's/^/#   /' "$PAIR/out"
}

show() {
	check "show: one line says whether connections would survive now" \
		eval 'shown show && grep -q "^edge  *active  *active  *protected .* 2 " "$PAIR/out"'
	check "show conns" eval 'shown show conns &&
		grep -q "^edge  *10.0.0.1:$PORT  *10.0.0.9:[0-9]*  *established  *protected  *echo4 " "$PAIR/out" &&
		grep -q "^edge  *\[2001:db8::1\]:$PORT  *\[2001:db8::9\]:" "$PAIR/out"'
	spawn b "$TOOLS/nsr_stream" --group edge --app lonely --socket "$PAIR/b/run/app.sock" --listen "$VIP4:9" \
		>/dev/null 2>&1 </dev/null
	APP_PID[b]="${APP_PID[b]} $!"
	check "show apps: an attached one of which nothing is stored" \
		until_ok 20 eval 'ctl b show apps | grep -q "^edge  *lonely  *yes  *0  *0$"'
	check "show apps" eval 'shown show apps && grep -q "^edge  *echo6  *yes  *1 " "$PAIR/out"'
	check "show counters" eval 'shown show counters && grep -q "^  conns_added  *2$" "$PAIR/out"'
	check "show --digest" eval 'shown show --digest && grep -q "^edge [0-9a-f]\{64\}$" "$PAIR/out"'
	check "--json: groups" json a 'o["groups"][0]["protected"] is True and o["groups"][0]["peer"]["state"] == "ready"' show
	check "--json: conns" json b 'len(o["conns"]) == 2 and all(c["phase"] == "shadow" for c in o["conns"])' show conns
	check "--json: apps" json a 'sorted(x["name"] for x in o["apps"]) == ["echo4", "echo6"]' show apps
	check "--json: counters" json b 'o["counters"][0]["injected"] >= 2' show counters
	check "--json: digest" json a 'o["digest"][0]["conns"] == 2' show --digest
}

orders() {
	ctl b events >"$PAIR/events" 2>&1 &
	EVENTS_PID=$!
	ctl b --json events >"$PAIR/events.json" 2>&1 &
	EVENTS_PID="$EVENTS_PID $!"
	FAR_PIDS="${FAR_PIDS:-} $EVENTS_PID"
	until_ok 10 test -s "$PAIR/events.json"
	check "resync" status 0 ctl b resync
	check "events tell of it" until_ok 30 grep -q '^[0-9:.]*  *edge  *role  *READY -> SYNC' "$PAIR/events"
	check "one JSON object a line" eval 'until_ok 30 grep -q SYNC.-.*READY "$PAIR/events.json" && python3 -c "
import json, sys
for line in open(sys.argv[1]): assert json.loads(line)[\"version\"] == 1
" "$PAIR/events.json"'
	pair_up a b
	kill $EVENTS_PID
	check "a listener that leaves with its own request does no harm" leaves_at_once
	check "what a box in its state cannot do is refused, with the reason" refused 1 'edge' ctl b switchover --yes
	check "and --json has it too" eval 'status 1 ctl b --json switchover --yes; grep -q "\"error\":" "$PAIR/out"'
	check "an unknown group is named" refused 1 '"core"' ctl a switchover core --yes
	check "usage: an unknown verb" refused 2 'verb "frob" is unknown' ctl a frob
	check "usage: an unknown word" refused 2 '"foo" is not expected' ctl a show foo
	check "no nsrd: the socket, and what to do" refused 1 'is nsrd running' "$NSRCTL" -s "$PAIR/none" show
	check "switchover answers when it is done" eval 'status 0 ctl a --json switchover --yes &&
		grep -q "\"result\": \"node 2 is active" "$PAIR/out" && is_state b active && pair_up b a'
	ctl b switchover --yes >/dev/null
	pair_up a b
}

# Whoever listens to events asks for what makes one, and is gone before it comes.
leaves_at_once() {
	python3 - "$PAIR/b/run/control.sock" "${NSRD_PID[b]}" <<-'END'
	import os, signal, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.sendall(b'{"verb": "events"}\n')
	s.recv(4096)
	os.kill(int(sys.argv[2]), signal.SIGSTOP)
	s.sendall(b'{"verb": "resync"}\n')
	s.close()
	os.kill(int(sys.argv[2]), signal.SIGCONT)
	END
	pair_up a b && kill -0 "${NSRD_PID[b]}"
}

# bad NAME SED-SCRIPT TEXT [section]: the configuration, edited, is refused at the line that the script changed;
# what can be judged only with its whole section, at the line where that ends
bad() {
	local line

	sed "$2" "$PAIR/a/nsrd.conf" >"$PAIR/bad.conf"
	line=$(diff "$PAIR/a/nsrd.conf" "$PAIR/bad.conf" | sed -n 's/^\([0-9]*\).*/\1/p' | head -n 1)
	[ "${4:-}" = section ] && line=$(awk -v from="$line" 'NR > from && /}/ { print NR; exit }' "$PAIR/bad.conf")
	check "--check-config: $1" refused 1 "bad.conf:$line: .*$3" "$NSRD" --check-config -c "$PAIR/bad.conf"
}

config() {
	check "--check-config: good" status 0 "$NSRD" --check-config -c "$PAIR/a/nsrd.conf"
	bad "an unknown option" 's/priority =/prority =/' 'prority.*expected one of'
	bad "an unknown word" '0,/mode = adopt/s//mode = adapt/' 'adapt.*expected one of'
	bad "a number out of range" "0,/local-port = $PORT/s//local-port = 70000/" '70000.*expected 1 to 65535'
	bad "a public address for the sync link" 's/address = 10.9.0.2/address = 8.8.8.8/' 'not a private address' section
	check "no such file" refused 1 '/none: .*-c FILE' "$NSRD" --check-config -c "$PAIR/none"
	check "usage" refused 2 usage "$NSRD" --bogus
}

# garbage KIND: ten times, to box a, as its peer and as an application
garbage() {
	on b python3 - "$1" "$PAIR/a/run/app.sock" "$NSR_SEED" <<-'END'
	import random, socket, struct, sys, time
	rnd = random.Random(int(sys.argv[3]))
	for i in range(10):
	    if sys.argv[1] == "peer":
	        s = socket.create_connection(("10.9.0.1", 4179))
	        s.sendall(struct.pack(">IHHQ", 1 << 30, 1, 0, 0) + rnd.randbytes(rnd.randint(0, 3000)))
	    else:
	        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	        s.connect(sys.argv[2])
	        s.send(rnd.randbytes(rnd.randint(1, 3000)))
	    s.settimeout(30)
	    try:
	        while s.recv(65536): pass
	    except ConnectionResetError: pass
	    s.close()
	END
}

said() {
	tail -n "+$((BEFORE + 1))" "$PAIR/a/nsrd.log" | grep -c "$1"
}

nonsense() {
	local digest

	kill -STOP ${FAR_PID[v4]} ${FAR_PID[v6]}
	until_ok 30 same_digest
	digest=$(digest a)
	BEFORE=$(wc -l <"$PAIR/a/nsrd.log")
	check "garbage on the sync link is refused" garbage peer
	check "once in the log" test "$(said 'warning: sync link')" = 1
	check "garbage on the application socket is refused" garbage app
	check "by name and reason" test "$(said 'application ? (pid .*refused: malformed')" -ge 1
	check "the store is as it was" eval 'test "$(digest a)" = "$digest" && same_digest'
	check "the pair is protected still" eval 'is_state a active && is_state b ready && is_protected a'
	kill -CONT ${FAR_PID[v4]} ${FAR_PID[v6]}
	check "requests go on" eval 'goes_on v4 && goes_on v6'
}

flushed() {
	check "flush: connections become ordinary ones" eval 'status 0 ctl a flush --yes && has_conns a 0'
	check "that go on" eval 'goes_on v4 && far_end v4 && far_end v6'
}

ktap_print_header
ktap_set_plan 39
pair_create || exit 1
box_start a
box_start b
check "the pair is protected" pair_up a b
echo_start a
echo_start b
far_start v4 "$VIP4:$PORT"
far_start v6 "[$VIP6]:$PORT"
until_ok 30 has_conns b 2
goes_on v4
goes_on v6
for part in show orders config nonsense flushed; do
	$part
done
ktap_finished
