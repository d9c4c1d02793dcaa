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
echo "1..17"
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
expect 123 'no kernel "2.4": one of 6.1 6.12 7.2 debug' "a kernel that does not exist" -- \
	$run -k 2.4 -- true

# A QEMU whose first $1 guests die before they begin, or hang there; or, as $2 says, in the midst: of a
# breakpoint that memory no longer holds, of one that it does, of one after a warning.
dying() {
	local dies=$1 how=${2:-early}

	mkdir -p "$out/bin" && rm -f "$out/boots"
	cat >"$out/bin/qemu-system-x86_64" <<-END
		#!/bin/bash
		echo x >>"$out/boots"
		[ \$(wc -l <"$out/boots") -le $dies ] || exec $(command -v qemu-system-x86_64) "\$@"
		for word; do
		    [[ \$word =~ ^file,id=(.*),path=(.*) ]] || continue
		    file=\${BASH_REMATCH[2]}
		    case \${BASH_REMATCH[1]} in
		    console) cat "$out/console" >"\$file" ;;
		    verdict) [[ $how = early || $how = hung ]] || echo begun >"\$file" ;;
		    output) : >"\$file" ;;
		    esac
		done
		[ $how != hung ] || exec sleep 1000
	END
	chmod +x "$out/bin/qemu-system-x86_64"
	{
		[ $how != warned ] || echo "[    1.60] WARNING: CPU: 1 PID: 1 at net/core/sock.c:1 x+0x1/0x2"
		[[ $how = early || $how = hung ]] || echo "[    1.69] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
		[ $how != there ] || echo "[    1.69] Code: f3 0f 1e fa 41 54 55 53 cc <90> e8 41"
		[ $how = early ] || echo "[    1.69] Code: f3 0f 1e fa 41 54 55 53 66 <90> e8 41"
		echo "[    1.70] Kernel panic - not syncing: Fatal exception in interrupt"
	} >"$out/console"
	PATH=$out/bin:$PATH NSR_VM_ACCEL=tcg $run -n -- sh -c 'echo so it said'
}
env_of() { local -x "${1?}"; "${@:2}"; }
expect 0 'booting again' "a guest that dies before it begins is booted again" -- dying 2
expect 122 'died without a verdict' "... but not for ever" -- dying 3
# The real QEMU comes after the one that hangs, and is to have its time.
expect 0 'hung before it began.*booting again' "so is one that hangs there" -- \
	env_of NSR_VM_BOOT_SECONDS=100 dying 1 hung
expect 121 'not begun with COMMAND within 3 seconds' "... but not for ever" -- \
	env_of NSR_VM_BOOT_SECONDS=3 dying 3 hung
expect 119 "the emulator's fault" "a breakpoint that is there no more: the emulator's fault" -- dying 1 stale
expect 122 'died without a verdict' "... one that is there: not" -- dying 1 there
expect 122 'died without a verdict' "... one after a warning: not" -- dying 1 warned
exit $bad
