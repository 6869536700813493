#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Memory errors, undefined behaviour and leaks: the tools' tests again with the sanitizers' build, then typical runs of each tool
# under valgrind, which sees what libraries do with memory that was never written. `make check-memory` builds what this runs.
set -u
export BIN=build/bin-san LC_ALL=C SOURCE_DATE_EPOCH=1700000000
# link order: fsck's tests preload a library of their own before the sanitizer's
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:verify_asan_link_order=0 UBSAN_OPTIONS=print_stacktrace=1
tmp=$(mktemp -d) failed=0
trap 'chmod -R u+rwX "$tmp"; rm -rf "$tmp"' EXIT
run() { # COMMAND...: 77 is a test that cannot run here
	echo "== $*"
	local code=0
	"$@" >"$tmp/log" 2>&1 || code=$?
	[ $code = 0 ] || [ $code = 77 ] || { failed=$((failed + 1)); tail -40 "$tmp/log"; echo "FAILED: exit $code; repeat: BIN=$BIN $*"; }
}
for t in "$BIN"/test_*; do run "$t"; done
for t in mkfs dump tools admin snapshots hostile_log input nanos; do run "tests/cli/test_$t.sh"; done
run tests/cli/test_large.sh 10000 64T
run tests/fsck/test_fsck.sh
run tests/nanos/stop.sh overlap
run tests/logship/test_receive.sh
run tests/logship/test_web.sh
run tests/logship/test_tls.sh
for t in backup format faults mount mounted nanos "kill 40" "repack 6" "kills 10 5" schedule "damage 4001" size s3; do
	# shellcheck disable=SC2086
	set -- $t; t=$1; shift; run "tests/backup/test_$t.sh" "$@"
done

vg() { # CODE TOOL ARGUMENTS...
	local want=$1 tool=$2 code=0; shift 2
	echo "== valgrind $tool $*"
	valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "build/bin/$tool" "$@" >"$tmp/out" 2>"$tmp/log" || code=$?
	[ $code = "$want" ] || { failed=$((failed + 1)); tail -40 "$tmp/log"; echo "FAILED: expected exit $want, found $code: $tool $*"; }
}
if ! command -v valgrind >/dev/null; then echo "SKIPPED: valgrind is not installed"; [ $failed = 0 ]; exit; fi
mkdir -p "$tmp/src/d"; for i in $(seq 50); do seq "$i" 400 >"$tmp/src/d/$i"; done
head -c 300000 /dev/urandom >"$tmp/src/random"; ln "$tmp/src/random" "$tmp/src/d/hard"; ln -s d "$tmp/src/sym"; truncate -s 1M "$tmp/src/hole"
tar --format=pax -cJf "$tmp/t.tar.xz" -C "$tmp/src" .; printf 'd/1 uid=5 xattr.user.a=00ff\nn type=file content=%s\n' "$tmp/src/random" >"$tmp/m"
i=$tmp/a.img
vg 0 mkfs.tfs -q --from "$tmp/src" --manifest "$tmp/m" "$i"
vg 0 mkfs.tfs -q --compress zlib --tar "$tmp/t.tar.xz" "$tmp/b.img"
vg 2 mkfs.tfs -q --tar "$tmp/src/random" "$tmp/c.img"
mkdir "$tmp/full"; head -c 20000000 /dev/urandom >"$tmp/full/f"; truncate -s 16M "$tmp/c.img"
vg 4 mkfs.tfs -q --from "$tmp/full" "$tmp/c.img"
vg 0 fsck.tfs -fn --data "$i"
for c in super anchors log "tree --items" segments "object 1" "ls -lR" "stat d/1" "cat random" "find --name *1*" tar; do
	set -f; set -- $c; set +f; c=$1; shift
	vg 0 dump.tfs "$c" "$i" "$@"
	[ "$c" = tar ] || vg 0 dump.tfs "$c" "$i" "$@" --json -q
done
vg 0 tfs snapshot create "$i" one; vg 0 tfs snapshot diff "$i" one; vg 0 tfs --json snapshot list "$i"; vg 0 tfs df "$i"; vg 0 tfs snapshot auto "$i" --keep-last 1; vg 0 tfs snapshot delete "$i" one
vg 0 dump.tfs extract "$i" "$tmp/extracted"
dd if=/dev/zero of="$i" bs=4096 seek=1 count=1 conv=notrunc status=none
vg 4 fsck.tfs -fn "$i"
vg 1 fsck.tfs -fy "$i"
printf '\377\377\377' | dd of="$i" bs=1 seek=70000 conv=notrunc status=none
vg 4 fsck.tfs -fn --data "$i"
# volumes of the Nanos kernel: sound, cut, torn, without block 0
xz -dc tests/nanos/live-small.img.xz >"$tmp/n.img"; head -c 2000000 "$tmp/n.img" >"$tmp/cut.img"
for c in "ls -lR" config log tree "stat hard" super; do set -f; set -- $c; set +f; c=$1; shift; vg 0 dump.tfs "$c" "$tmp/n.img" "$@"; done
vg 0 dump.tfs extract -q "$tmp/n.img" "$tmp/n.out"
vg 0 fsck.tfs -n "$tmp/n.img"
vg 2 dump.tfs tar -o "$tmp/n.tar" "$tmp/cut.img"
vg 1 fsck.tfs -y --to "$tmp/cut.copy" "$tmp/cut.img"
printf '\0' | dd of="$tmp/n.img" bs=1 seek=23249 conv=notrunc status=none
vg 1 fsck.tfs -y --undo "$tmp/n.undo" "$tmp/n.img"
vg 1 fsck.tfs --restore "$tmp/n.undo" "$tmp/n.img"
head -c 512 /dev/zero | dd of="$tmp/n.img" conv=notrunc status=none
vg 1 fsck.tfs -y --format nanos --to "$tmp/n.copy" "$tmp/n.img"
vg 0 tfs convert -q "$tmp/n.copy" "$tmp/n.ours"
echo '{"a":{"hex":"00ff"},"b":[1,null]}' >"$tmp/n.json"
vg 0 mkfs.tfs -q --format nanos --from "$tmp/n.out" --config "$tmp/n.json" "$tmp/n.new"
# backups: in full, on a base, forgotten, repacked, looked into, restored onto an image and into a directory
export TFS_BACKUP_KEY_FILE=$tmp/key XDG_STATE_HOME=$tmp/state; head -c 64 /dev/urandom >"$tmp/key"
r=$tmp/repo i=$tmp/b.img
vg 0 tfs-backup init "$r" --grace 1h; vg 0 tfs-backup run "$r" "$i"
build/bin/bk-change "$i" some 7 60; vg 0 tfs-backup run "$r" "$i"; vg 0 tfs-backup run "$r" "$tmp/n.new"
vg 0 tfs-backup list "$r"; vg 0 tfs-backup ls "$r" 1 -lR; vg 0 tfs-backup diff "$r" 1 2; vg 0 tfs-backup forget "$r" 1
find "$r" -type f -exec touch -d '2 hours ago' {} +
vg 0 tfs-backup prune "$r" --repack 100%; vg 0 tfs-backup verify "$r" --read-data
vg 0 tfs-backup restore "$r" 2 --to "$tmp/r.img"; vg 0 tfs-backup restore "$r" 3 --to "$tmp/r.dir/"; vg 0 tfs-backup restore "$r" 3 --to "$tmp/r.nanos"
vg 1 tfs-backup restore "$r" 2 --to "$tmp/r.img"
echo "memory: $failed failed"
[ $failed = 0 ]
