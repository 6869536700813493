#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The conformance suite on the stores that need nothing installed: a directory, by path and by URL.
set -u
cd "$(dirname "$0")/../.."
# in memory where that is possible: thousands of syncs cost half a minute on a disk
T=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "test_store: $*"; exit 1; }
build/bin/store_test "$T/dir" "file://$T/dir2" >"$T/log" 2>&1 || { grep -v '^\[ *\(RUN\|OK\)' "$T/log"; fail "a directory"; }
# where there is no RENAME_NOREPLACE, and where the answer to a link was lost
LD_PRELOAD=$PWD/build/bin/norename.so build/bin/store_test -t if_absent "$T/dir" >"$T/log" 2>&1 || { cat "$T/log"; fail "put if absent by links"; }
LD_PRELOAD=$PWD/build/bin/norename.so build/bin/store_test -t race "$T/dir" >"$T/log" 2>&1 || { cat "$T/log"; fail "a race by links"; }
LOST_LINK=1 LD_PRELOAD=$PWD/build/bin/norename.so build/bin/store_test -t if_absent "$T/dir" >"$T/log" 2>&1 || { cat "$T/log"; fail "a lost link"; }
find "$T/dir" -type f | grep . && fail "the suite left files"

# What an interrupted put leaves: gone when its writer is dead and it is old, and never listed.
mkdir -p "$T/dir/data"; : >"$T/dir/data/.tmp-1-0000000000000001"; mkdir "$T/dir/lost+found"; chmod 0 "$T/dir/lost+found"
build/bin/store_test -t clean_leaves_objects "$T/dir" >"$T/log" 2>&1 || { cat "$T/log"; fail "a leftover"; }
[ ! -e "$T/dir/data/.tmp-1-0000000000000001" ] || fail "an old temporary file was not removed"
( exec 9>"$T/dir/data/.tmp-1-0000000000000002"; flock 9; exec build/bin/store_test -t clean_leaves_objects "$T/dir" ) >"$T/log" 2>&1 ||
	{ cat "$T/log"; fail "a living temporary"; }
[ -e "$T/dir/data/.tmp-1-0000000000000002" ] || fail "the temporary file of a living writer was removed"

# Options: a bandwidth is kept (so many bytes take so long at least, both ways), a lock refused: nothing would keep it.
head -c 150000 /dev/zero >"$T/zeros"; slow() { build/bin/store_tool -o bandwidth=100K "$T/dir" "$@" || fail "with a bandwidth: $1"; }
before=$(date +%s%N); slow put slow <"$T/zeros"; slow get slow | cmp - "$T/zeros" || fail "put and read slowly, it differs"
[ $(($(date +%s%N) - before)) -ge 2800000000 ] || fail "150000 bytes written and read at 100 KiB/s in less than 2.8 s"
code=0; build/bin/store_tool -o lock=governance:1h "$T/dir" list >"$T/log" 2>&1 || code=$?
[ $code = 22 ] && grep -q 'a directory locks nothing' "$T/log" || { cat "$T/log"; fail "a lock on a directory: exit $code"; }
echo "ok"
