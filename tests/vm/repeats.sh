#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tests/run gives a script that failed one second attempt, and not to those that must not have one: in a tree of its
# own, whose "virtual machine" runs the scripts here.

top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0

mkdir -p "$dir/tests/lib" "$dir/scripts/vm" "$dir/mark"
cp "$top/tests/run" "$dir/tests/"
cp "$top/tests/lib/batch" "$dir/tests/lib/"
printf 'all tools:\n' >"$dir/Makefile"
for tool in kselftest farends kernel; do
	printf '#!/bin/sh\n' >"$dir/scripts/vm/$tool"
done
# The verdict is in the file "verdict", where there is one.
cat >"$dir/scripts/vm/run" <<-'END'
	#!/bin/bash
	while [ "$1" != -- ]; do shift; done
	shift
	bash "$@"
	status=$?
	[ ! -e verdict ] || status=$(cat verdict)
	exit $status
END
chmod +x "$dir"/scripts/vm/*

# script NAME [TEXT [LINE]]: fails the first time, and says TEXT; LINE stands in the script
script() {
	cat >"$dir/tests/$1.sh" <<-END
		${3:-#}
		echo 1..1
		if [ -e $dir/mark/$1 ]; then echo ok 1 - it; else : >$dir/mark/$1; echo "${2:-#}"; echo not ok 1 - it; exit 1; fi
	END
}

# run SCRIPTS OPTIONS COUNT: as its last line
run() {
	rm -f "$dir"/mark/*
	echo "b 6.12 60 $1" >"$dir/tests/plan"
	(cd "$dir" && python3 tests/run $2 guest) >"$dir/out" 2>&1
	[ "$(tail -n 1 "$dir/out")" = "$3, 0 skipped" ]
}

check() {
	local name=$1

	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $name"
	else
		sed 's/^/# /' "$dir/out"
		echo "not ok $n - $name"
	fi
}

echo 1..8
script once
script two
script three
script four
script never "" "# no second attempt"
script asan "==1==ERROR: AddressSanitizer: heap-use-after-free"
printf 'echo 1..1\necho not ok 1 - it\nexit 1\n' >"$dir/tests/bad.sh"
check "what failed once has a second attempt" run "once.sh" "" "4 passed, 0 failed"
check "and is named at the end" grep -q "^#   once.sh \[6.12\]: it$" "$dir/out"
check "what fails twice has failed" run "bad.sh" "" "3 passed, 1 failed"
check "a sanitizer's report is final" run "asan.sh" "" "2 passed, 1 failed"
check "a script may forbid it" run "never.sh" "" "2 passed, 1 failed"
check "so does -1" run "once.sh" "-1" "2 passed, 1 failed"
check "a fourth failure is no accident" run "once.sh two.sh three.sh four.sh" "" "8 passed, 1 failed"
echo 7 >"$dir/verdict"
check "the kernel's report is final" run "once.sh" "" "1 passed, 2 failed"
