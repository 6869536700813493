#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# run.sh SECONDS TARGET...: fuzzes each target for so long, from its seeds, its committed crashers and what earlier runs
# found (build/fuzz/work/TARGET/corpus), and prints a table. Ends with 1 when there was a finding. Called by `make fuzz`.
set -u
cd "$(dirname "$0")/.." || exit 2
seconds=$1; shift
work=$PWD/build/fuzz/work
mkdir -p "$work"
build/bin/fuzz-seeds "$work/seeds" && build/bin/fuzz-tar-seeds "$work/seeds" && tests/nanos/build.py seeds "$work/seeds/nanos" || exit 2
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=8}
bad=0
printf '%-8s %12s %8s %8s %8s %9s\n' target executions cov ft rss_mb findings
for t in "$@"; do
	mkdir -p "$work/$t/corpus" "$work/$t/found"
	rm -f "$work/$t/found"/*
	extra=("$work/seeds/$t")
	[ -d "fuzz/corpus/$t" ] && extra+=("fuzz/corpus/$t")
	max=6000
	[ "$t" = tar ] && max=16000
	# its timeout is by the clock: on a machine with other work ten seconds were a finding for the empty input
	# a target that stops at a finding goes on, without it, while there is time
	end=$((SECONDS + seconds)) runs=0 peak=0
	while left=$((end - SECONDS)); [ "$left" -gt 0 ]; do
		"build/fuzz/$t" -max_total_time="$left" -rss_limit_mb=512 -malloc_limit_mb=512 -timeout=100 -max_len=$max \
			-len_control=20 -print_final_stats=1 -artifact_prefix="$work/$t/found/" "$work/$t/corpus" "${extra[@]}" \
			>"$work/$t/log" 2>&1 && code=0 || code=1
		runs=$((runs + $(awk '/number_of_executed_units/ { n = $2 } END { print n + 0 }' "$work/$t/log")))
		peak=$(awk '/peak_rss_mb/ { n = $2 } END { print n + 0 }' "$work/$t/log")
		[ "$code" = 0 ] && break
		cp "$work/$t/log" "$work/$t/log.finding"
	done
	found=$(find "$work/$t/found" -type f | wc -l)
	cov=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$work/$t/log" | tail -1)
	printf '%-8s %12s %8s %8s %8s %9s\n' "$t" "$runs" "$(cut -d' ' -f2 <<<"$cov")" "$(cut -d' ' -f4 <<<"$cov")" "$peak" "$found"
	if [ "$code" != 0 ] || [ "$found" != 0 ]; then
		bad=1
		for f in "$work/$t/found"/*; do [ -f "$f" ] && echo "  repeat: build/fuzz/$t $f"; done
		echo "  what it said: $work/$t/log.finding"
	fi
done
exit $bad
