#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs on a volume that tfs-fuse has mounted: a snapshot holds what was written before it, written back or not; the list, what
# changed, retention and the compactor through ioctls; what a deleted one held comes free while mounted, and after a kill;
# nothing for other users, nothing on a read-only mount. Needs /dev/fuse; exits 77 where mounting is not allowed.
set -u
cd "$(dirname "$0")/../.."
bin=$PWD/build/bin tmp=$(mktemp -d) failed=0 pid=
m=$tmp/m i=$tmp/i.img t=$bin/tfs; mkdir "$m"
cleanup() { fusermount3 -qu "$m" 2>/dev/null; [ -n "$pid" ] && kill "$pid" 2>/dev/null; wait; rm -rf "$tmp"; }
trap cleanup EXIT
bad() { echo "FAILED: $*; repeat: tests/fuse/test_snapshots.sh"; failed=1; }
up() { # OPTIONS...
	"$bin/tfs-fuse" -f "$@" "$i" "$m" 2>"$tmp/log" & pid=$!
	for _ in $(seq 200); do mountpoint -q "$m" && return 0; kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
	return 1
}
down() { fusermount3 -u "$m" || bad "unmount"; wait $pid || { bad "tfs-fuse ended with $?"; cat "$tmp/log"; }; pid=; }
sound() { "$bin/fsck.tfs" -fn --data "$i" >"$tmp/fsck" || { bad "fsck after $1"; head -5 "$tmp/fsck"; }; }
number() { "$t" --json df "$m" | head -1 | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }

echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own"
"$bin/mkfs.tfs" -q --manifest "$tmp/own" "$i" 64M || exit 1
up || { echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/log")"; exit 77; }
mkdir "$m/d"; for n in 1 2 3; do
	for f in a b c; do head -c $((n * 70000)) /dev/urandom >"$m/d/$f"; done; echo "$n" >"$m/d/n$n" # nothing synced
	(cd "$m" && sha1sum d/*) >"$tmp/sums$n"
	"$t" snapshot create "$m" s$n || bad "create s$n"
done
"$t" snapshot create "$m" s1 2>/dev/null; [ $? = 1 ] || bad "the same name twice"
[ "$("$t" snapshot list "$m" | tail -n +2 | wc -l)" = 3 ] || bad "list"
"$t" snapshot diff "$m" s2 s3 >"$tmp/o"; grep -q "created .*path='d/n3'" "$tmp/o" && grep -q "modified .*path='d/a'" "$tmp/o" || bad "diff: $(cat "$tmp/o")"
"$t" snapshot list "$i" 2>/dev/null; [ $? = 3 ] || bad "a mounted image was opened"
"$t" snapshot hold "$m" s2; "$t" snapshot delete "$m" s2 2>/dev/null; [ $? = 3 ] || bad "a held one was deleted"
"$t" snapshot release "$m" s2 && "$t" snapshot rename "$m" s2 zwei || bad "release and rename"
"$t" snapshot auto "$m" --keep-last 1 || bad auto; [ "$("$t" snapshot list "$m" | grep -c auto-)" = 1 ] || bad "auto made none"
"$t" compact "$m" off && "$t" compact "$m" | grep -q 'state  *off' && "$t" compact "$m" auto && "$t" compact "$m" now -q || bad compact
held=$(number by_snapshots); [ "$held" -gt 300000 ] || bad "snapshots hold $held"
"$t" snapshot delete "$m" s1 || bad delete
for _ in $(seq 100); do [ "$(number by_snapshots)" -lt "$held" ] && ! "$t" df "$m" | grep -q dying && break; sleep 0.1; done
[ "$(number by_snapshots)" -lt "$held" ] || bad "what a deleted one held did not come free"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	down; up -o allow_other; chmod 755 "$tmp" "$m"; cp "$t" "$tmp/tfs"
	! setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/tfs" snapshot create "$m" other 2>/dev/null || bad "another user made a snapshot"
	! setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/tfs" snapshot list "$m" >/dev/null 2>&1 || bad "another user listed snapshots"
fi
"$t" snapshot delete "$m" zwei; kill -9 $pid; wait $pid 2>/dev/null; pid=; fusermount3 -u "$m"; sound "a kill behind a delete"
up; "$t" snapshot list "$m" | grep -q zwei && bad "a deleted one is back"; down; sound "the next mount"
for n in 3; do while read -r sum f; do [ "$("$bin/dump.tfs" cat --snapshot s$n "$i" "$f" | sha1sum | cut -d' ' -f1)" = "$sum" ] || bad "$f in s$n"; done <"$tmp/sums$n"; done
up -o ro; "$t" snapshot create "$m" x 2>/dev/null && bad "a read-only mount was changed"; "$t" snapshot list "$m" | grep -q s3 || bad "list of a read-only mount"; down
[ $failed = 0 ] && echo "tfs-fuse, snapshots: as expected"
exit $failed
