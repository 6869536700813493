#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs on a volume that tfs-fuse has mounted: a snapshot holds what was written before it, written back or not, and shows it below
# .snapshots, which nobody can change; the list, what
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
s=$m/.snapshots
[ "$(ls "$s" | tr '\n' ' ')" = "s1 s2 s3 " ] || bad "list below .snapshots: $(ls "$s")"; ! ls -a "$m" | grep -q snapshots || bad ".snapshots is listed"
for n in 1 2 3; do
	(cd "$s/s$n" && sha1sum d/*) | cmp - "$tmp/sums$n" || bad "s$n is not what it was made of"
	[ "$(cd "$s/s$n" && find . | wc -l)" = $((5 + n)) ] || bad "find in s$n: $(cd "$s/s$n" && find .)"
done
[ "$(stat -c %i "$s/s1/d/a" "$s/s2/d/a" "$m/d/a" | sort -u | wc -l)" = 3 ] || bad "two files have one inode number"
! cmp -s "$s/s1/d/a" "$m/d/a" || bad "cmp takes a file for its snapshot"
[ "$(cd "$s/s1/d/../.." && ls)" = "$(ls "$s")" ] && [ "$(stat -c %i "$s/s2/..")" = "$(stat -c %i "$s")" ] && [ "$(stat -c %i "$s/..")" = "$(stat -c %i "$m")" ] || bad ".. in snapshots"
ln -s there "$m/d/link"; setfattr -n user.k -v first "$m/d/a"; mkfifo "$m/d/pipe"; chmod 640 "$m/d/b"; : >"$m/d/c"; rm "$m/d/n1"; "$t" snapshot create "$m" s4 || bad "create s4"
setfattr -n user.k -v second "$m/d/a"; rm "$m/d/link"; chmod 600 "$m/d/b"
[ "$(readlink "$s/s4/d/link")" = there ] && [ -p "$s/s4/d/pipe" ] && [ "$(stat -c %a "$s/s4/d/b")" = 640 ] && [ "$(stat -c %s "$s/s4/d/c")" = 0 ] || bad "attributes in s4"
[ "$(getfattr --only-values -n user.k "$s/s4/d/a" 2>/dev/null)" = first ] && ! getfattr -n user.k "$s/s3/d/a" >/dev/null 2>&1 || bad "xattrs in snapshots"
[ -e "$s/s3/d/n1" ] && [ ! -e "$s/s4/d/n1" ] && [ ! -e "$s/none" ] || bad "names in snapshots"
refused() { for c in "$@"; do e=$(sh -c "$c" 2>&1) && bad "$c: was done"; case $e in *Read-only*) ;; *) bad "$c: $e" ;; esac; done; }
refused "touch $s/s1/new" "echo x >>$s/s1/d/a" "rm -f $s/s1/d/a" "mkdir $s/s1/new" "mkdir $s/new" "rmdir $s/s1" "chmod 700 $s/s1/d" "ln -s x $s/s1/d/sym" "setfattr -n user.k -v x $s/s1/d/a" \
	"mv $s/s1/d/a $s/s1/d/z" "mv $m/d/b $s/s1/d/z" "mv $s/s1 $s/x" "rmdir $s" "mv $s $m/x" "mv -T $m/d $s" "touch $s/s1/d/a" "truncate -s 0 $s/s1/d/a"
! ln "$s/s1/d/b" "$m/hard" 2>/dev/null || bad "a hard link out of a snapshot"; ! mkdir "$s" 2>/dev/null || bad "mkdir .snapshots"
cp --reflink=auto "$s/s3/d/a" "$m/back" && cmp "$s/s3/d/a" "$m/back" && rm "$m/back" || bad "copied out of a snapshot"
tar -cf "$tmp/o.tar" -C "$s/s2" d && mkdir "$tmp/x" && tar -xf "$tmp/o.tar" -C "$tmp/x" && (cd "$tmp/x" && sha1sum -c --quiet "$tmp/sums2") || bad "tar of a snapshot"
exec 7<"$s/s4/d/b"; "$t" snapshot rename "$m" s4 vier && [ -e "$s/vier/d/b" ] && [ ! -e "$s/s4" ] || bad "renamed below .snapshots"
"$t" snapshot delete "$m" vier && [ ! -e "$s/vier" ] || bad "a deleted one is still there"; ! ls "$s" | grep -q vier || bad "a deleted one is listed"
e=$(cat <&7 2>&1 >/dev/null) && bad "a deleted snapshot is read"; case $e in *[Ss]tale*) ;; *) bad "not ESTALE: $e" ;; esac; exec 7<&-
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
up -o ro; "$t" snapshot create "$m" x 2>/dev/null && bad "a read-only mount was changed"; "$t" snapshot list "$m" | grep -q s3 || bad "list of a read-only mount"
(cd "$m/.snapshots/s3" && sha1sum -c --quiet "$tmp/sums3") || bad "a snapshot on a read-only mount"; down
up -o snapshot=s3; [ ! -e "$m/.snapshots" ] && (cd "$m" && sha1sum -c --quiet "$tmp/sums3") || bad "-o snapshot=s3"; down
[ $failed = 0 ] && echo "tfs-fuse, snapshots: as expected"
exit $failed
