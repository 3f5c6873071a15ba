#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run test programs one after the other (cmocka, TAP output), show what failed, and end in the one line
# "N passed, N failed, N skipped". Exit 1 if anything failed or a program died.
set -u
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT INT TERM
for t in "$@"; do
	name=${t#*build/}
	start=$(date +%s)
	CMOCKA_MESSAGE_OUTPUT=TAP "$t" >"$log" 2>&1 </dev/null
	rc=$?
	# cmocka calls a skipped test "not ok N # SKIP name".
	p=$(grep -c '^ok [0-9]' "$log")
	s=$(grep -c '^not ok [0-9]* # SKIP' "$log")
	f=$(grep '^not ok [0-9]' "$log" | grep -vc ' # SKIP')
	if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	printf '%-52s %3d passed %3d failed %3d skipped  %ds\n' "$name" "$p" "$f" "$s" $(($(date +%s) - start))
	[ "$f" -eq 0 ] || { echo "---- $name (exit $rc)"; cat "$log"; echo "----"; }
	[ "$s" -eq 0 ] || grep -E '^not ok [0-9]* # SKIP|^# skip' "$log" | sed 's/^/    /'
	sed -n 's/^#= /    /p' "$log"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
