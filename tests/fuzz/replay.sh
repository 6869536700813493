#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Replays the fuzzers' seeds, made anew, and the crashers that were found (fuzz/corpus/TARGET) with the programs that need no
# fuzzer: none may crash, hang, leak, or differ from the model. SAN=address,undefined: those built with sanitizers.
# A failure prints how to repeat just that input. Ends with 0 or 1. usage: replay.sh [TARGET...]
set -u
cd "$(dirname "$0")/../.." || exit 2
san=${SAN:-}
bin=build/bin${san:+-san}
[ $# -gt 0 ] || set -- image replay items ops fsck tar frames answers backup nanos
make -s SAN="$san" "${@/#/$bin/fuzz-}" "$bin/fuzz-seeds" "$bin/fuzz-tar-seeds" || exit 2
seeds=build/fuzz-seeds
rm -rf "$seeds"
"$bin/fuzz-seeds" "$seeds" && "$bin/fuzz-tar-seeds" "$seeds" && tests/nanos/build.py seeds "$seeds/nanos" || exit 1
bad=0
for target; do
	inputs=("$seeds/$target")
	[ -d "fuzz/corpus/$target" ] && inputs+=("fuzz/corpus/$target")
	if ! output=$(timeout 60 "$bin/fuzz-$target" "${inputs[@]}" 2>&1); then
		# after a crash the rest still has to run: one by one
		for f in $(find "${inputs[@]}" -type f | sort); do
			if ! output=$(timeout 25 "$bin/fuzz-$target" "$f" 2>&1); then
				grep -E '^fuzz:|ERROR|runtime error' <<<"$output" | head -3
				echo "FAILED: $target; repeat: FUZZ_VERBOSE=1 $bin/fuzz-$target $f"
				bad=1
			fi
		done
	else
		tail -1 <<<"$output"
	fi
done
exit $bad
