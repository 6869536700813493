#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A file replaced by rename without fsync, as editors do it, and then a kill of tfs-fuse once the rename is durable (some
# other file was synced): the name gives the new content whole, or before that the old one, and never an empty or short
# file. Needs /dev/fuse; exits 77 (skipped) where mounting is not allowed.
set -u
cd "$(dirname "$0")/../.."
bin=$PWD/build/bin tmp=$(mktemp -d) failed=0 pid=
m=$tmp/m i=$tmp/i.img; mkdir "$m"
cleanup() { fusermount3 -qu "$m" 2>/dev/null; [ -n "$pid" ] && kill "$pid" 2>/dev/null; wait; rm -rf "$tmp"; }
trap cleanup EXIT
bad() { echo "FAILED: $*; repeat: tests/fuse/test_replace.sh"; failed=1; }
up() {
	"$bin/tfs-fuse" -f "$i" "$m" 2>"$tmp/log" & pid=$!
	for _ in $(seq 100); do mountpoint -q "$m" && return 0; kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
	return 1
}

"$bin/mkfs.tfs" -q "$i" 64M || exit 1
if ! up; then
	echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/log")"; exit 77
fi
seq 1 20000 >"$tmp/old"; seq 20001 50000 >"$tmp/new"; echo old >"$tmp/old2"; echo new >"$tmp/new2"
cp "$tmp/old" "$m/big"; cp "$tmp/old2" "$m/small"; sync "$m/big" "$m/small"
cp "$tmp/new" "$m/big~"; cp "$tmp/new2" "$m/small~"
mv "$m/big~" "$m/big"; mv "$m/small~" "$m/small"
[ "${1:-}" = early ] || { : >"$m/other"; sync "$m/other"; } # and every record before it
kill -9 $pid; wait $pid 2>/dev/null; fusermount3 -qu "$m"; pid=
"$bin/fsck.tfs" -fn --data "$i" >"$tmp/fsck" || { bad "fsck after kill -9"; head -5 "$tmp/fsck"; }
up || bad "the volume does not mount again"
for n in big:new:old small:new2:old2; do
	IFS=: read -r name new old <<<"$n"
	cmp -s "$m/$name" "$tmp/$new" && continue
	cmp -s "$m/$name" "$tmp/$old" || bad "$name is neither old nor new: $(stat -c %s "$m/$name") bytes"
	[ "${1:-}" = early ] || bad "$name: the rename was durable, and the old content is there"
done
fusermount3 -u "$m" || bad "unmount"
wait $pid; pid=
[ $failed = 0 ] && echo "replace: all as expected"
exit $failed
