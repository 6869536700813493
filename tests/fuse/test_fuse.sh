#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-fuse on real mounts: the same system calls give the same results as on tmpfs; data written is data read, mounted again
# and by dump.tfs; a full volume says so and loses nothing; what was synced is there after kill -9; the volume is clean
# after every unmount. Needs /dev/fuse; exits 77 (skipped) where mounting is not allowed.
set -u
cd "$(dirname "$0")/../.."
bin=$PWD/build/bin tmp=$(mktemp -d) failed=0 pid=
m=$tmp/m i=$tmp/i.img; mkdir "$m"
cleanup() { fusermount3 -qu "$m" 2>/dev/null; [ -n "$pid" ] && kill "$pid" 2>/dev/null; wait; rm -rf "$tmp"; }
trap cleanup EXIT
bad() { echo "FAILED: $*; repeat: tests/fuse/test_fuse.sh"; failed=1; }
up() { # OPTIONS...
	"$bin/tfs-fuse" -f "$@" "$i" "$m" 2>"$tmp/log" & pid=$!
	for _ in $(seq 100); do mountpoint -q "$m" && return 0; kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
	return 1
}
fresh() { rm -f "$i"; "$bin/mkfs.tfs" -q --manifest "$tmp/own" "$i" "$1"; } # SIZE
down() { fusermount3 -u "$m" || bad "unmount"; wait $pid || { bad "tfs-fuse ended with $?"; cat "$tmp/log"; }; pid=; }
sound() { "$bin/fsck.tfs" -fn --data "$i" >"$tmp/fsck" || { bad "fsck after $1"; head -5 "$tmp/fsck"; }; }

echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own" # the root directory is ours, whoever runs this
fresh 64M || exit 1
if ! up; then
	echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/log")"; exit 77
fi
down

# 1. differential against the host's tmpfs
ref=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)")
opt=; [ "$(id -u)" = 0 ] && opt=allow_other,dev,suid
for seed in 1 2 3 times; do
	chmod -R u+rwx "$ref"; rm -rf "${ref:?}"/*; fresh 64M
	up ${opt:+-o $opt}; mkdir -p -m 755 "$ref/p"; mkdir "$m/r" "$ref/p/r"; chmod 777 "$m/r" "$ref/p/r"; chmod 755 "$ref" "$tmp"
	"$bin/differ" "$ref/p/r" "$m/r" ${seed/times/7} $([ $seed = times ] && echo 2000 times || echo 20000) || bad "differential, seed $seed"
	down; sound "the differential run"
done
chmod -R u+rwx "$ref"; rm -rf "$ref"

# 1a. what POSIX and the manual pages say (tests/posix); the volume's own answers again on a read-only mount
fresh 64M; up ${opt:+-o $opt}
"$bin/posix" "$m" >"$tmp/posix" 2>&1 || { bad "posix"; grep -v '^ok' "$tmp/posix" | head -20; }
"$bin/posix" --prepare "$m" || bad "posix --prepare"; down; sound "posix"
up -o ro; "$bin/posix" --readonly "$m" >"$tmp/posix" || { bad "posix --readonly"; grep '^not' "$tmp/posix"; }
down

# 1b. random calls on a few files against a model of their bytes, remounted in between (longer: exercise ... SEED 1000000)
for seed in 1 2 3; do
	fresh 64M
	timeout 60 "$bin/exercise" "$bin/tfs-fuse" "$i" "$m" $seed 6000 || { bad "exercise, seed $seed"; fusermount3 -qu "$m"; }
	sound "exercise"
done

# 1b2. what cp copies within a volume shares its blocks, and is its own
fresh 64M; up; head -c 8000100 /dev/urandom >"$m/one"; sync -f "$m/one"; before=$(stat -f -c %f "$m")
cp "$m/one" "$m/two" || bad "cp"; sync -f "$m/two"; n=$((before - $(stat -f -c %f "$m")))
[ $n -lt 200 ] || bad "a copy of 1954 blocks took $n"
echo changed | dd of="$m/one" bs=1 seek=5000 conv=notrunc 2>/dev/null; sum=$(sha1sum <"$m/two"); [ "$sum" != "$(sha1sum <"$m/one")" ] || bad "a copy follows"
rm "$m/one"; down; up; [ "$sum" = "$(sha1sum <"$m/two")" ] || bad "a copy lost content"; down; sound "shared copies"

# 1c. free space in small holes becomes whole segments when nobody asks for anything, and not with compact=off
whole() { "$bin/dump.tfs" segments "$i" | sed -n 's/^space .*whole_free_segments=\([0-9]*\) .*/\1/p'; }
fresh 48M; up; for k in $(seq 1000); do head -c 40000 /dev/urandom >"$m/f$k"; done
sync -f "$m/f1"; for k in $(seq 1 3 1000); do rm "$m/f$k"; done
(cd "$m" && sha1sum f*) >"$tmp/sums"; down; before=$(whole)
up -o compact=off; touch "$m/f2"; sleep 2.5; down; [ "$(whole)" -le "$before" ] || bad "compact=off compacts"
for _ in $(seq 20); do
	up; head -c 400000 /dev/zero >"$m/new"; sync "$m/new"; rm "$m/new"; sleep 2; down
	[ "$(whole)" -gt $((before + 5)) ] && break
done
[ "$(whole)" -gt $((before + 5)) ] || bad "idle: expected more than $((before + 5)) whole segments, found $(whole)"
up; (cd "$m" && sha1sum -c --quiet "$tmp/sums") || bad "compaction changed content"; down; sound "compaction"

# 1d. several processes at once: in one tree, whose blocks name their inodes, and beside it on files of their own
fresh 256M; up; mkdir "$m/tree" "$m/e1" "$m/e2"
"$bin/exercise" - - "$m/e1" 4 4000 & e1=$!
"$bin/exercise" - - "$m/e2" 5 4000 & e2=$!
timeout 120 "$bin/stress" "$m/tree" 3 1 1500 || bad "stress"
wait $e1 || bad "exercise beside others, seed 4"; wait $e2 || bad "exercise beside others, seed 5"
[ -z "$(ls -A "$m/tree")" ] || bad "stress leaves files"
down; sound "several processes"

# 2. a tree of files: in through the kernel, out through dump.tfs, and read again after a remount
src=/usr/include/linux; [ -d $src ] || src=/usr/share/doc/bash
fresh 128M; up
cp -a $src "$m/tree"; for n in $(seq 3000); do : >"$m/tree/file-with-a-long-name-$n"; done
[ "$(find "$m/tree" -name 'file-with*' | wc -l)" = 3000 ] || bad "a directory of 3000 names lists others"
for s in 1 3 4; do "$bin/listing" "$m/list" $((s == 3 ? 2000 : 1000)) $s 400 || bad "positions in a directory that changes"; rm -r "$m/list"; done
rm "$m"/tree/file-with-a-long-name-*5; rm -rf "$tmp/want"; cp -a "$m/tree" "$tmp/want"; down; sound "copying a tree"
"$bin/dump.tfs" extract "$i" "$tmp/out" || bad "extract"
diff -r --no-dereference "$tmp/want" "$tmp/out/tree" >/dev/null || bad "dump.tfs extracts something else than was written"
up -o ro; diff -r --no-dereference "$tmp/want" "$m/tree" >/dev/null || bad "content differs after a remount"
touch "$m/x" 2>/dev/null && bad "a read-only mount was written"
down

# 2b. relatime: a listing and a read set atime once after a change; a time in the future stays; a set time outlives write back
up; mkdir "$m/at"; touch -d 2001-01-01 "$m/at"; ln -s x "$m/sl"; touch -h -d 2001-01-01 "$m/sl"; ls "$m/at"; readlink "$m/sl" >/dev/null
echo a >"$m/future"; touch -a -d 2099-01-01 "$m/future"; echo b >"$m/set"; touch -d 2005-05-05 "$m/set"; down; up; cat "$m/future" >/dev/null; sleep 1.1
[ "$(stat -c %x "$m/at" | cut -c1-4)" != 2001 ] || bad "reading a directory does not set its atime"
[ "$(stat -c %x "$m/sl" | cut -c1-4)" != 2001 ] || bad "reading a symlink does not set its atime"
[ "$(stat -c %x "$m/future" | cut -c1-4)" = 2099 ] || bad "an atime in the future was replaced"
[ "$(stat -c %y "$m/set" | cut -c1-4)" = 2005 ] || bad "write back replaced an mtime that was set"
setfattr -n user. -v a "$m/set" 2>/dev/null && bad "an xattr without a name was set"
down; sound "times"

up -o noauto,nofail,relatime,nodiratime,x-systemd.automount,_netdev; touch -d 2001-01-01 "$m/at"; ls "$m/at"; down
up; [ "$(stat -c %x "$m/at" | cut -c1-4)" = 2001 ] || bad "nodiratime: a listing set atime"; down
"$bin/tfs-fuse" -f -o nonsense "$i" "$m" 2>/dev/null; [ $? = 1 ] || bad "an unknown option: expected exit 1"

# 3. unlinked but open; a file's last name goes while it is written
up; exec 7<>"$m/open"; rm "$m/open"; echo still >&7; [ "$(cat /proc/$$/fd/7)" = still ] || bad "an unlinked file lost its content"; exec 7>&-
down; sound "an unlinked open file"

# 3b. a malformed ACL, which only a crafted volume has: EIO for who needs it, nothing granted; it can be removed
"$bin/mutate" make "$i" && "$bin/mutate" "$i" acl-version && up ${opt:+-o $opt}
errno() { python3 -c 'import errno, os, sys
try: eval(sys.argv[1])
except OSError as e: print(errno.errorcode[e.errno])' "$1"; }
if [ "$(id -u)" = 0 ]; then # the volume is root's
	a=system.posix_acl_access
	[ "$(errno "os.getxattr('$m/dir/b', '$a')")" = EIO ] || bad "a malformed ACL was given"
	[ "$(errno "os.chmod('$m/dir/b', 0o640)")" = EIO ] || bad "the mode beside a malformed ACL was changed"
	[ "$(errno "(os.setgroups([]), os.setgid(1000), os.setuid(1000), open('$m/dir/b'))")" = EIO ] || bad "a malformed ACL: expected EIO for another user"
	grep -q "inode 4: $a: its version is not 2" "$tmp/log" || bad "a malformed ACL: no message"
	setfattr -x $a "$m/dir/b" && chmod 640 "$m/dir/b" || bad "a malformed ACL cannot be removed"
fi
down; [ "$(id -u)" != 0 ] || sound "removing a malformed ACL"

# 4. full: the write that does not fit fails, what was there stays, and space comes back
fresh 16M; up
head -c 1000000 /dev/urandom >"$m/keep"; sum=$(md5sum <"$m/keep")
head -c 64000000 /dev/urandom >"$m/fill" 2>/dev/null && bad "64 MB fit into 16 MiB"
[ "$(md5sum <"$m/keep")" = "$sum" ] || bad "a full volume changed another file"
rm "$m/fill" || bad "a full volume does not unlink"; head -c 5000000 /dev/urandom >"$m/again" || bad "space did not come back"
down; sound "a full volume"

# 4b. what was preallocated can be written when nothing else can; files that only promised much do not keep others out
fresh 16M; up
fallocate -l 4M "$m/mine"; head -c 64000000 /dev/urandom >"$m/fill" 2>/dev/null
head -c 4194304 /dev/urandom >"$tmp/4M"
dd if="$tmp/4M" of="$m/mine" conv=notrunc,fsync bs=50k status=none || bad "preallocated space cannot be written"
cmp -s "$tmp/4M" "$m/mine" || bad "preallocated space holds something else than was written"
rm "$m/fill"; n=0; while [ $n -lt 100 ]; do head -c 200000 /dev/zero >"$m/zeros$n" || { bad "zeros do not fit"; break; }; n=$((n+1)); done
mkdir "$m/dir" && mv "$m/dir" "$m/dir2" && ln "$m/mine" "$m/link" && setfattr -n user.a -v b "$m/mine" || bad "no names while much is unwritten"
down; sound "a full volume with promises"

# 4c. write back fails (the image may not be written any more): fsync and close say so, the end says so, nothing synced is lost
fresh 16M; (trap '' XFSZ; exec "$bin/tfs-fuse" -f "$i" "$m" 2>"$tmp/log") & pid=$!
for _ in $(seq 100); do mountpoint -q "$m" && break; sleep 0.05; done
head -c 300000 /dev/urandom >"$tmp/synced"; cp "$tmp/synced" "$m/synced"; sync "$m/synced"
if prlimit --pid $pid --fsize=4096 2>/dev/null; then
	head -c 300000 /dev/urandom >"$m/lost" 2>/dev/null; sync "$m/lost" 2>/dev/null && bad "fsync does not say that nothing can be written"
	cmp -s "$tmp/synced" "$m/synced" || bad "what was synced cannot be read after a write failed"
	fusermount3 -u "$m"; wait $pid; [ $? = 4 ] || bad "data was lost: expected exit 4"
	pid=; sound "a device that fails"; up -o ro; cmp -s "$tmp/synced" "$m/synced" || bad "a device that failed lost synced data"
fi
down

# 5. kill -9: what was synced is there, whole
fresh 64M
for round in 1 2 3; do
	up; head -c 3000000 /dev/urandom >"$m/synced$round"; sync "$m/synced$round"; mv "$m/synced$round" "$m/s$round"; sync "$m"
	md5sum <"$m/s$round" >"$tmp/sum$round"; head -c 3000000 /dev/zero >"$m/not-synced"
	kill -9 $pid; wait $pid 2>/dev/null; fusermount3 -qu "$m"; pid=
	"$bin/fsck.tfs" -fn --data "$i" >"$tmp/fsck" || { bad "fsck after kill -9"; head -5 "$tmp/fsck"; }
	up; for r in $(seq $round); do md5sum <"$m/s$r" | cmp -s - "$tmp/sum$r" || bad "synced file $r is lost or differs"; done
	down; sound "recovery"
done

# 5b. kill -9 while several write in one tree: what is found is whole, and no block is another file's
fresh 64M
for round in 1 2 3; do
	up; "$bin/stress" "$m" 3 $round 100000 2>/dev/null & writers=$!
	until [ "$(df --output=used "$m" | tail -1)" -gt 2000 ]; do sleep 0.05; done
	kill -9 $pid; wait $pid $writers 2>/dev/null; fusermount3 -qu "$m"; pid=
	sound "kill -9 of many"; up; "$bin/stress" "$m" 0 1 1 || bad "after kill -9"
	[ -z "$(ls -A "$m")" ] || bad "stress leaves files"; down
done

# 6. SQLite, when it is there
if command -v sqlite3 >/dev/null; then
	up; sqlite3 "$m/db" "pragma journal_mode=delete; create table t(a,b); with recursive c(x) as (select 1 union all select x+1 from c where x<3000) insert into t select x,hex(randomblob(100)) from c; update t set b=hex(randomblob(90)) where a%3=0; delete from t where a%7=0;" >/dev/null || bad "sqlite"
	down; up; [ "$(sqlite3 "$m/db" 'pragma integrity_check; select count(*) from t')" = "ok
2572" ] || bad "the database changed"; down; sound "sqlite"
fi

# 7. one image, one mount; a mount whose program died; a signal ends it clean
fresh 64M; up; mkdir "$tmp/n"
"$bin/tfs-fuse" -f "$i" "$tmp/n" 2>"$tmp/log2"; [ $? = 2 ] && grep -q 'in use' "$tmp/log2" || bad "a second mount of one image: expected exit 2 and 'in use'"
"$bin/fsck.tfs" -y "$i" >/dev/null 2>&1; [ $? = 8 ] || bad "fsck of a mounted image: expected exit 8"
(cd "$m" && exec sleep 100) & held=$!
until [ "$(readlink /proc/$held/cwd)" = "$m" ]; do sleep 0.05; done
fusermount3 -u "$m" 2>/dev/null && bad "a mount in use was unmounted"
: >"$m/still" || bad "a refused unmount ended the mount"
kill $held; wait $held 2>/dev/null; kill $pid; wait $pid; [ $? = 0 ] || { bad "SIGTERM: expected exit 0"; cat "$tmp/log"; }
mountpoint -q "$m" && bad "SIGTERM leaves the mount"
sound "SIGTERM"
up; kill -9 $pid; wait $pid 2>/dev/null
sleep 1.1 # the kernel remembers the directory's attributes for a second; then stat(2) fails too
"$bin/tfs-fuse" -f "$i" "$m" 2>"$tmp/log2"; [ $? = 3 ] && grep -q 'fusermount3 -u' "$tmp/log2" || bad "over a dead mount: expected exit 3 and what to do"
fusermount3 -u "$m"; up; [ -e "$m/still" ] || bad "what a clean end wrote is gone"
(sleep 0.5; fusermount3 -u "$m") & "$bin/tfs-fuse" "$i" "$tmp/n" || bad "mounting while the mount before it ends"; wait
fusermount3 -u "$tmp/n"; pid=
flock -x "$i" true # when it has ended
if [ "$(id -u)" = 0 ] && loop=$(losetup -f --show "$i" 2>/dev/null); then
	"$bin/tfs-fuse" -f "$i" "$m" 2>/dev/null; [ $? = 2 ] || bad "an image behind a loop device: expected exit 2"
	losetup -d "$loop"
fi

# bad input
"$bin/tfs-fuse" -f "$tmp/none" "$m" 2>/dev/null; [ $? = 2 ] || bad "a missing image: expected exit 2"
head -c 20000000 /dev/zero >"$tmp/zero"; "$bin/tfs-fuse" -f "$tmp/zero" "$m" 2>/dev/null; [ $? = 2 ] || bad "a foreign image: expected exit 2"
"$bin/tfs-fuse" 2>/dev/null; [ $? = 1 ] || bad "no arguments: expected exit 1"
"$bin/tfs-fuse" -f "$i" "$tmp/nodir" 2>/dev/null; [ $? = 3 ] || bad "no directory: expected exit 3"
[ $failed = 0 ] && echo "fuse: all as expected"
exit $failed
