#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Random changes to items of a sound volume, checksums right: whatever fsck -n says, fsck -y ends, and the run after it finds
# nothing that -y said it mended. usage: random.sh FIRST LAST (seeds)
set -u
t=$(mktemp -d) failed=0
trap 'rm -rf "$t"' EXIT
build/bin/mutate make "$t/base" || exit 1
for seed in $(seq "$1" "$2"); do
	cp "$t/base" "$t/i"
	build/bin/mutate "$t/i" "random:$seed" >/dev/null 2>"$t/err" || continue # the change made the volume unmountable at once
	timeout 60 build/bin/fsck.tfs -fn "$t/i" >"$t/n" 2>&1; n=$?
	timeout 60 build/bin/fsck.tfs -fy "$t/i" >"$t/y" 2>&1; y=$?
	timeout 60 build/bin/fsck.tfs -fn "$t/i" >"$t/after" 2>&1; after=$?
	case $n.$y.$after in
	0.0.0 | 4.1.0 | 4.4.4) ;;
	*) failed=1; echo "FAILED: seed $seed: -n $n, -y $y, then -n $after; repeat: tests/fsck/random.sh $seed $seed"; head -3 "$t/y" "$t/after" ;;
	esac
done
exit $failed
