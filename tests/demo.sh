#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The demo (scripts/demo) tells the truth: one test for each cell of its table. The column "without" is the control.

cd "$(dirname "$0")/.." || exit 1
results=$(mktemp)
trap 'rm -f "$results"' EXIT

echo "KTAP version 1"
echo "1..21"
DEMO_RESULTS=$results scripts/demo/guest | sed -u 's/^/# /'
status=${PIPESTATUS[0]}
[ "$status" = 0 ] && verdict=ok || verdict="not ok"
echo "$verdict the story goes to its end" >>"$results"
failed=0
number=0
while IFS= read -r line; do
	number=$((number + 1))
	case $line in
	"not ok "*)
		echo "not ok $number ${line#not ok }"
		failed=1
		;;
	"ok "*) echo "ok $number ${line#ok }" ;;
	esac
done <"$results"
exit $failed
