#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-backup mount: backups as file systems, several at a time: names, attributes, contents, holes and xattrs are those of the
# volume; nothing can be changed; memory does not grow with what is read; what the store cannot give is EIO and is there again when
# the store is. Needs /dev/fuse; exits 77 without.
# usage: test_mount.sh
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img m=$tmp/m n=$tmp/n
mkdir -p "$m" "$n" "$tmp/source/d/e"
cleanup() { set +e; fusermount3 -quz "$m" 2>/dev/null; fusermount3 -quz "$n" 2>/dev/null; wait; rm -rf "$tmp"; }
trap cleanup EXIT
s=$tmp/source
seq 1 90000 >"$s/numbers"; head -c 6000000 /dev/urandom >"$s/random"; echo small >"$s/d/small"; ln -s small "$s/d/link"; mkfifo "$s/d/fifo"; : >"$s/d/e/empty"
truncate -s 5M "$s/holes"; printf end | dd of="$s/holes" bs=1 seek=3000000 conv=notrunc status=none; chmod 640 "$s/d/small"; touch -d @1600000000.123456789 "$s/random"
for f in $(seq 700); do echo "$f" >"$s/d/e/file.$f"; done; setfattr -n user.tfs -v 'a value' "$s/d/small" 2>/dev/null || true
"$bin/mkfs.tfs" -q --from "$s" "$i" 64M
expect 0 "$bk" init "$R"; expect 0 "$bk" run "$R" "$i"
"$bin/bk-change" "$i" file later 700; expect 0 "$bk" run "$R" "$i"
cd "$tmp" # the repository by a relative path, as a daemon
"$bk" mount repo 1 "$m" 2>"$tmp/e" || { grep -q 'cannot be mounted' "$tmp/e" && { echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/e")"; exit 77; }; fail mount; }
grep -q "repo:1 $m fuse.tfs-backup ro" /proc/mounts || fail "in /proc/mounts: $(grep "$m" /proc/mounts)"
all() { (cd "$1" && find . -mindepth 1 -printf '%p %M %U %G %n %T@ %l\n' | sort && find . -type f | sort | xargs sha1sum); }
all "$s" >"$tmp/want"; all "$m" >"$tmp/found"; cmp "$tmp/want" "$tmp/found" || { diff "$tmp/want" "$tmp/found" | head; fail "not what was backed up"; }
[ "$(stat -c %s "$m/holes")" = 5242880 ] && cmp "$s/holes" "$m/holes" || fail holes
[ "$(getfattr --only-values -n user.tfs "$s/d/small" 2>/dev/null)" = "$(getfattr --only-values -n user.tfs "$m/d/small" 2>/dev/null)" ] || fail xattrs
[ "$(ls "$m/d/e" | wc -l)" = 701 ] || fail "a large directory"
for c in "touch $m/x" "sh -c 'echo x >$m/numbers'" "rm $m/numbers" "mkdir $m/x" "chmod 600 $m/numbers" "mv $m/numbers $m/y" "truncate -s 0 $m/numbers"; do ! sh -c "$c" 2>/dev/null || fail "$c: was done"; done

# ---- another one beside it; memory ----
"$bk" mount repo latest "$n" --foreground & pid=$!
until mountpoint -q "$n"; do kill -0 $pid 2>/dev/null || fail "mount --foreground ended"; sleep 0.05; done
[ -e "$n/later" ] && [ ! -e "$m/later" ] || fail "the two are mixed up"
"$bin/dump.tfs" cat "$i" later | cmp - "$n/later" || fail "the later one"
# ---- what the store cannot give ----
mv repo/packs repo/away; cat "$n/random" >/dev/null 2>&1 && fail "read from nowhere"; mountpoint -q "$n" || fail "it ended"
mv repo/away repo/packs; cmp "$s/random" "$n/random" || fail "not there again"
for _ in 1 2 3; do cat "$n"/random "$n"/later "$n"/numbers >/dev/null; done
memory=$(ps -o rss= -p $pid | tr -d " "); [ "$memory" -lt 80000 ] || fail "$memory kB of memory"
fusermount3 -u "$n"; wait $pid || fail "ended with $?"
fusermount3 -u "$m"; while mountpoint -q "$m"; do sleep 0.05; done

# ---- refused ----
expect 8 "$bk" mount "$R" 1 "$tmp/none"; expect 8 "$bk" mount "$R" 1 "$i"; says 'expected a directory'
expect 1 "$bk" mount "$R" 99 "$m"; expect 1 "$bk" mount "$R" 1; expect 2 sh -c "mv $R/packs $R/away; $bk mount $R 1 $m"
echo "ok, $memory kB of memory"
