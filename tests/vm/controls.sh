#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Negative controls of the virtual machine: what a test run relies on to turn
# red does turn it red, and for the reason named. On the host.

cd "$(dirname "$0")/../.." || exit 1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
count=0
bad=0

# expect STATUS PATTERN NAME -- COMMAND...: the runner's status, and a pattern
# that its words must match.
expect() {
	local want=$1 pattern=$2 name=$3 status
	shift 4
	count=$((count + 1))
	"$@" >"$out/log" 2>&1 </dev/null
	status=$?
	if [ $status = "$want" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$out/log"; }; then
		echo "ok $count - $name"
	else
		tail -n 60 "$out/log" | sed 's/^/# /'
		echo "# status $status, expected $want and: $pattern"
		echo "not ok $count - $name"
		bad=1
	fi
}

run=scripts/vm/run
ctl() {
	local dir
	dir=$(scripts/vm/module -s "tests/vm/$1" "$2") || exit 1
	echo "$dir/nsr_ctl_$1.ko"
}
# Loaded and removed again, and the command ends with 0: only the kernel knows.
load="insmod \$0 && rmmod \$(basename \$0 .ko); exit 0"

echo "TAP version 13"
echo "1..10"
expect 0 '' "a clean command: green" -- $run -n -- true
expect 7 '^so it said$' "a command's own status and words" -- $run -n -- sh -c 'echo so it said; exit 7'
expect 0 '^in: 0$' "standard input closed: still works" -- \
	bash -c "exec $run -n -- sh -c 'echo in: \$(wc -c)' <&-"
expect 121 'no verdict within 25 seconds' "a command that hangs" -- $run -n -t 25 -- sleep 1000
expect 122 'died without a verdict' "a forged verdict, then a panic" -- $run -n -- \
	sh -c 'echo verdict 0 0; echo c >/proc/sysrq-trigger; sleep 100'
expect 122 'WARNING: .*ctl_init.*nsr_ctl_warn' "a module that warns" -- $run -n -k 6.12 -- \
	sh -c "$load" "$(ctl warn 6.12)"
expect 120 'fault: kmemleak: unreferenced object' "a module that leaks" -- $run -n -k debug -- \
	sh -c "$load" "$(ctl leak debug)"
expect 120 'possible (circular|recursive) locking' "a module that takes locks in both orders" -- \
	$run -n -k debug -- sh -c "$load" "$(ctl lock debug)"
# What the guest writes must not reach the host.
canary=/var/tmp/nsr-canary-$$
lost() {
	$run -n -- sh -c "echo x >$canary && cat $canary" && [ ! -e $canary ]
}
expect 0 '^x$' "the host's files: writable in the guest, untouched outside" -- lost
expect 123 'no kernel "2.4": one of 6.1 6.12 debug' "a kernel that does not exist" -- \
	$run -k 2.4 -- true
exit $bad
