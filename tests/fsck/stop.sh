#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Repairs that are cut off: fsck -y of a damaged volume with a log to be replayed is stopped at each write and flush in turn, with the
# writes since the last flush kept, lost, or lost by chance; or that one fails. A second run must mend all, a third find
# nothing, and the files must be what a repair that was not cut off leaves. usage: stop.sh [MUTATION...]
set -u
[ -w /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm} # flushes cost nothing there
t=$(mktemp -d) failed=0 runs=0
trap 'rm -rf "$t"' EXIT
fsck=build/bin/fsck.tfs mutate=build/bin/mutate dump=build/bin/dump.tfs
contents() { for f in logged holes big packed; do $dump cat "$1" $f 2>&1 | md5sum; done; $dump ls -R "$1" 2>&1; }
bad() { failed=1; echo "FAILED: $m, stopped at step $n ($how): $*; repeat: tests/fsck/stop.sh $m"; head -5 "$t/out"; }
stopped() { # HOW: environment
	local code
	for ((n = 1; n < 1000; n++)); do
		how=$*; cp "$t/base" "$t/i"
		env "$@" STOP_AT=$n LD_PRELOAD=build/bin/stop.so timeout 60 $fsck -fy "$t/i" >"$t/out" 2>&1; code=$?
		case $code in 99 | 8 | 12) ;; *) break ;; esac
		runs=$((runs + 1))
		timeout 60 $fsck -fy "$t/i" >"$t/out" 2>&1; code=$?
		[ $code -le 1 ] || { bad "the second run ends with $code"; continue; }
		timeout 60 $fsck -fn --data "$t/i" >"$t/out" 2>&1 || { bad "the third run finds something"; continue; }
		contents "$t/i" >"$t/out"
		cmp -s "$t/out" "$t/want" || { bad "other contents"; diff "$t/out" "$t/want" | head -5; }
	done
	[ "$n" -gt 5 ] && [ "$code" = 1 ] || bad "expected a repair of more than 5 steps that ends with 1, found $code"
}
[ $# != 0 ] || set -- nlink entry-gone cycle overlap target root-gone dir-gone hash gang range orphan-full space-dead bad-item claim-raw
for m in "$@"; do
	n=0 how=whole
	{ $mutate make "$t/base" && $mutate "$t/base" "$m"; } || exit 1
	# a log on top, where the volume can still be mounted; the mutation is durable before it
	case $m in bad-item | root-gone) ;; *) $mutate "$t/base" log || exit 1 ;; esac
	cp "$t/base" "$t/i"
	$fsck -fy "$t/i" >"$t/out" 2>&1; [ $? = 1 ] || bad "the repair that is not cut off"
	contents "$t/i" >"$t/want"
	for keep in -1 0 1 2; do stopped STOP_KEEP=$keep; done
	stopped STOP_FAIL=1
done
[ $failed = 0 ] && echo "fsck: $runs repairs cut off, all mended by the next run"
exit $failed
