#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Repairs of Nanos volumes that are cut off: fsck.tfs -y --undo is stopped at each write and flush in turn, with the writes since the
# last flush kept, lost, all lost but the newest, or lost by chance; or that one fails. What is left must be the old log, which
# reads as before, or the new one, which is sound. The undo file must bring back the damaged volume to the byte; a second run must
# mend all, a third find nothing, and the files must be what a repair that was not cut off leaves. Where the damage was a lost link or block 0, old and new log look alike to the second run: it must say so, and mend after --restore. A
# copy (--to) that is cut off has no name, and the image is as it was. usage: stop.sh [DAMAGE...]
set -u
[ -w /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm} # flushes cost nothing there
t=$(mktemp -d) failed=0 runs=0 twofold=0
trap 'rm -rf "$t"' EXIT
bin=${BIN:-build/bin}
fsck=$bin/fsck.tfs dump=$bin/dump.tfs here=tests/nanos
command -v python3 >/dev/null || { echo "SKIPPED: python3 is missing"; exit 77; }
contents() { $dump tar -q "$1" 2>&1 | md5sum; $dump ls -R "$1" 2>&1; }
bad() { failed=1; echo "FAILED: $m, stopped at step $n ($how): $*; repeat: tests/nanos/stop.sh $m"; head -5 "$t/out"; }
poke() { printf "$2" | dd of="$t/base" bs=1 seek="$1" conv=notrunc status=none; }
damage() { # NAME: into base
	case $1 in
	torn) cp "$t/live" "$t/base"; poke 23249 '\0' ;;
	link) cp "$t/live" "$t/base"; poke 33 '\277\377\177' ;;
	first) cp "$t/live" "$t/base"; head -c 512 /dev/zero | dd of="$t/base" conv=notrunc status=none ;;
	*) "$here/build.py" "$1" "$t/base" ;;
	esac
	truncate -s 4M "$t/base" # a copy for each write
}
# Without a way back, too: block 0 is the old one and what it leads to as it was, or it is the new one and leads to a whole log.
one_of_both() {
	if cmp -s -n 512 "$t/i" "$t/base"; then
		contents "$t/i" >"$t/out"
		cmp -s "$t/out" "$t/before" || bad "block 0 is the old one, and what is read differs"
	else
		timeout 60 $fsck -n "$t/i" >"$t/out" 2>&1 || bad "block 0 is the new one, and its log is not sound"
	fi
}
yes() { timeout 60 $fsck -y --format nanos "$@"; }
stopped() { # HOW: environment
	local code
	for ((n = 1; n < 1000; n++)); do
		how=$*; cp "$t/base" "$t/i"; rm -f "$t/undo" "$t/undo2"
		env "$@" STOP_AT=$n LD_PRELOAD=$bin/stop.so timeout 60 $fsck -y --format nanos --undo "$t/undo" "$t/i" >"$t/out" 2>&1; code=$?
		case $code in 99 | 8 | 9 | 12) ;; *) break ;; esac # 9: repaired, and the undo file could not be flushed
		runs=$((runs + 1))
		one_of_both
		cp "$t/i" "$t/j"
		if timeout 60 $fsck --format nanos --restore "$t/undo" "$t/j" >"$t/out" 2>&1; [ $? = 1 ]; then
			cmp -s "$t/j" "$t/base" || bad "the undo file brings back something else"
		else
			cmp -s "$t/i" "$t/base" || bad "the image was written, and the undo file does not bring it back"
		fi
		yes --undo "$t/undo2" "$t/i" >"$t/out" 2>&1; code=$?
		if [ $code = 4 ] && grep -q 'places look like where it goes on' "$t/out"; then
			twofold=$((twofold + 1)); rm -f "$t/undo2"
			timeout 60 $fsck --format nanos --restore "$t/undo" "$t/i" >"$t/out" 2>&1
			yes --undo "$t/undo2" "$t/i" >"$t/out" 2>&1; code=$?
		fi
		[ $code -le 1 ] || { bad "the second run ends with $code"; continue; }
		timeout 60 $fsck -n "$t/i" >"$t/out" 2>&1 || { bad "the third run finds something"; continue; }
		contents "$t/i" >"$t/out"
		cmp -s "$t/out" "$t/want" || { bad "other contents"; diff "$t/out" "$t/want" | head -5; }
	done
	[ "$n" -gt 4 ] && [ "$code" = 1 ] || bad "expected a repair of more than 4 steps that ends with 1, found $code"
}
copied() {
	local code
	how=copy
	for ((n = 1; n < 1000; n++)); do
		cp "$t/base" "$t/i"; rm -f "$t/copy" "$t"/copy.*
		STOP_AT=$n STOP_KEEP=0 LD_PRELOAD=$bin/stop.so timeout 60 $fsck -y --format nanos --to "$t/copy" "$t/i" >"$t/out" 2>&1; code=$?
		[ $code = 99 ] || break
		runs=$((runs + 1))
		[ ! -e "$t/copy" ] || bad "a copy that is not whole has its name"
		cmp -s "$t/i" "$t/base" || bad "the image was written"
	done
	[ "$n" -gt 4 ] && [ "$code" = 1 ] || bad "expected a copy of more than 4 steps that ends with 1, found $code"
}
xz -dc "$here/live-small.img.xz" | head -c 6M >"$t/live"
truncate -s 6M "$t/live"
[ $# != 0 ] || set -- torn link first twice overlap root-none circle
for m in "$@"; do
	n=0 how=whole
	damage "$m"
	cp "$t/base" "$t/i"; rm -f "$t/undo"
	contents "$t/i" >"$t/before"
	yes --undo "$t/undo" "$t/i" >"$t/out" 2>&1; [ $? = 1 ] || bad "the repair that is not cut off"
	contents "$t/i" >"$t/want"
	for keep in -2 -1 0 2; do stopped STOP_KEEP=$keep; done
	stopped STOP_FAIL=1
	copied
done
[ $failed = 0 ] && echo "nanos: $runs repairs cut off, all brought back by the undo file; mended by the next run, but for $twofold that had to be brought back before"
exit $failed
