#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-backup of Nanos volumes: restored to their format, ours and a directory it is what an independent reader has of the
# original; what did not change is not stored again, also when all of it moved; what changed in place is noticed; trees that
# change at random; ours as theirs; what is damaged, or changes while it is read, is refused.
# usage: test_nanos.sh
. "$(dirname "$0")/lib.sh"
here=tests/nanos
command -v python3 >/dev/null || { echo "SKIPPED: python3 is missing"; exit 77; }
export TMPDIR=$tmp
for v in mkfs-small live-small; do xz -dc "$here/$v.img.xz" >"$tmp/$v.img"; done
facts() { "$here/reader.py" "$1" | tail -n +2 | sed 's/"mtime": [0-9]*, //'; } # the independent reader's
listing() { "$bin/dump.tfs" tar "$1" | tar --full-time -tvf - 2>/dev/null; } # modes, times, targets, links
head_() { "$here/reader.py" "$1" | sed -n 1p | grep -o '"label": "[^"]*"\|"uuid": "[^"]*"' | sort; }
restored() { # BACKUP IMAGE: equal in all three ways, and times
	rm -rf "$tmp/r.img" "$tmp/r.ours" "$tmp/r.dir"
	expect 0 "$bk" restore "$R" "$1" -q --to "$tmp/r.img"
	expect 0 "$bin/fsck.tfs" -n "$tmp/r.img"
	facts "$2" >"$tmp/want"; facts "$tmp/r.img" | cmp -s - "$tmp/want" || fail "backup $1: restored volume differs"
	[ "$(head_ "$2")" = "$(head_ "$tmp/r.img")" ] || fail "backup $1: label or uuid"
	[ "$(stat -c %s "$tmp/r.img")" -ge "$(stat -c %s "$2")" ] || fail "backup $1: smaller than it was"
	expect 0 "$bk" restore "$R" "$1" -q --format tfs --to "$tmp/r.ours"
	expect 0 "$bin/fsck.tfs" -fn --data "$tmp/r.ours"
	for i in r.ours r.img; do [ "$(listing "$tmp/$i")" = "$(listing "$2")" ] || fail "backup $1: $i: times or modes differ"; done
	rm -rf "$tmp/x"; "$bin/dump.tfs" extract -q "$tmp/r.ours" "$tmp/x"; "$here/tree.py" "$tmp/x" | cmp -s - "$tmp/want" || fail "backup $1: restored as a volume of ours differs"
	expect 0 "$bk" restore "$R" "$1" -q --to "$tmp/r.dir/"
	"$here/tree.py" "$tmp/r.dir" | cmp -s - "$tmp/want" || fail "backup $1: restored into a directory differs"
	[ -z "$(getfattr -Rhd -m tfs-nanos "$tmp/r.dir")" ] || fail "backup $1: a hidden attribute was restored"
}
expect 0 "$bk" init "$R"

# ---- the samples: one that its kernel filled, one that its mkfs made, with a configuration ----
expect 0 "$bk" run "$R" "$tmp/live-small.img" --json; full=$(field sent)
expect 0 "$bk" run "$R" "$tmp/live-small.img" --json; [ "$(field base)" = 1 ] || fail "is not built on the first"
[ "$(field sent)" -lt 8000 ] || fail "nothing changed, $(field sent) of $full bytes were sent"
restored 2 "$tmp/live-small.img"
expect 0 "$bk" run "$R" "$tmp/mkfs-small.img" --json; [ "$(field base)" = 0 ] || fail "is built on another volume's"
restored 3 "$tmp/mkfs-small.img"
"$bin/dump.tfs" config --json "$tmp/mkfs-small.img" | cmp - <("$bin/dump.tfs" config --json "$tmp/r.img" | sed 's/,"mtime":[0-9]*,"atime":[0-9]*//') || fail "configuration"
expect 0 "$bk" cat "$R" 1 dir0/file-0.txt; "$bin/dump.tfs" cat "$tmp/live-small.img" dir0/file-0.txt | cmp - "$tmp/o" || fail "cat"
expect 0 "$bk" show "$R" 1; has '^format +nanos'

# ---- laid out anew with one file changed: only that is stored; changed in place, the log as it was ----
src=$tmp/n; mkdir -p "$src/d"; for f in $(seq 40); do head -c 100000 /dev/urandom >"$src/d/f$f"; done; cp -r "$src/d" "$src/e"; ln "$src/d/f1" "$src/e/hard"
echo '{"program":"/d/f1","arguments":["a"],"mounts":{"x":"/y"},"debug":null,"n":-3,"raw":{"hex":"ff00fe"}}' >"$tmp/config"
make_() { "$bin/mkfs.tfs" -q -f --format nanos --from "$src" --config "$tmp/config" -L vol -U 00112233445566778899aabbccddeeff "$tmp/n.img" "${1:-40M}"; }
make_; expect 0 "$bk" run "$R" "$tmp/n.img" --json; full=$(field sent)
echo more >>"$src/d/f7"; echo new >"$src/a-file-in-front"; make_
expect 0 "$bk" run "$R" "$tmp/n.img" --json; [ "$(field base)" = 4 ] || fail "base"
[ "$(field sent)" -lt 200000 ] || fail "one file of 100000 bytes changed, $(field sent) of $full were sent"
restored 5 "$tmp/n.img"; "$bin/dump.tfs" config --json "$tmp/n.img" | sed 's/,"mtime.*//' | cmp - <("$bin/dump.tfs" config --json "$tmp/r.img" | sed 's/,"mtime.*//') || fail "configuration"
ino=$("$bin/dump.tfs" ls -i "$tmp/n.img" e/f9 | awk '{print $1}'); at=$("$bin/dump.tfs" tree "$tmp/n.img" | grep -A2 "^tuple $ino " | sed -n 's/.* offset=\([0-9]*\).*/\1/p' | head -1)
printf 'changed in place' | dd of="$tmp/n.img" bs=1 seek=$((at * 512 + 50000)) conv=notrunc status=none
expect 0 "$bk" run "$R" "$tmp/n.img" --json; [ "$(field base)" = 5 ] || fail "base"
[ "$(field sent)" -gt 90000 ] || fail "what changed in place was not stored"; restored 6 "$tmp/n.img"
make_ 90M; expect 0 "$bk" run "$R" "$tmp/n.img" --json; restored 7 "$tmp/n.img" # it was enlarged

# ---- a hard link becomes a file of its own, and a file a hard link, under the names they had ----
rm -rf "${src:?}"; mkdir "$src"; echo shared >"$src/a"; ln "$src/a" "$src/b"; echo alone >"$src/c"; make_
expect 0 "$bk" run "$R" "$tmp/n.img"; rm "$src/b"; echo other >"$src/b"; ln -f "$src/a" "$src/c"; make_
expect 0 "$bk" run "$R" "$tmp/n.img"; restored 9 "$tmp/n.img"

# ---- trees that change at random: names, kinds, links, holes, attributes, targets ----
rm -rf "${src:?}"; mkdir "$src"
for round in $(seq 8); do
	python3 "$here/change.py" "$src" "$round"
	make_
	expect 0 "$bk" run "$R" "$tmp/n.img"
	listing "$tmp/n.img" >"$tmp/list.$round"
	facts "$tmp/n.img" >"$tmp/facts.$round"
done
for round in 8 4 1; do
	rm -rf "$tmp/r.img"; expect 0 "$bk" restore "$R" $((9 + round)) -q --to "$tmp/r.img"
	facts "$tmp/r.img" | cmp -s - "$tmp/facts.$round" || fail "round $round differs"
	listing "$tmp/r.img" | cmp -s - "$tmp/list.$round" || fail "round $round: times or modes"
	expect 0 "$bk" tar "$R" $((9 + round)); tar --full-time -tvf "$tmp/o" 2>/dev/null | cmp -s - "$tmp/list.$round" || fail "round $round: the backup as an archive differs"
done
expect 0 "$bk" verify "$R" --read-data; has '17 backups are whole'
expect 0 "$bk" forget "$R" --keep-last 1; expect 0 "$bk" prune "$R"; expect 0 "$bk" verify "$R" --read-data

# ---- a base that cannot be read: everything is stored again, and is whole ----
cp -a "$R" "$tmp/kept"; echo x >"$src/last"; make_; rm -r "$R/packs"; mkdir "$R/packs"
expect 0 "$bk" run "$R" "$tmp/n.img" --json; says 'cannot be built on'; [ "$(field base)" = 0 ] || fail "built on what is gone"
restored latest "$tmp/n.img"; rm -rf "$R"; mv "$tmp/kept" "$R"; rm -rf "$XDG_STATE_HOME"

# ---- a partition of a bootable image ----
truncate -s 40M "$tmp/boot.img"
python3 - "$tmp/boot.img" "$tmp/mkfs-small.img" "$tmp/live-small.img" <<'EOP'
import struct, sys
first = 100 * 512
places = [(0x83, first, 4 << 20), (0x83, first + (4 << 20), 8 << 20)]
with open(sys.argv[1], 'r+b') as f:
    f.seek(446), f.write(b''.join(struct.pack('<B3sB3sII', 0, b'', kind, b'', at // 512, size // 512) for kind, at, size in places))
    f.seek(510), f.write(b'\x55\xaa')
    for (_, at, _), name in zip(places, sys.argv[2:]):
        f.seek(at), f.write(open(name, 'rb').read())
EOP
expect 0 "$bk" run "$R" "$tmp/boot.img"; rm -f "$tmp/r.img"; expect 0 "$bk" restore "$R" latest --to "$tmp/r.img"
facts "$tmp/live-small.img" >"$tmp/want"; facts "$tmp/r.img" | cmp -s - "$tmp/want" || fail "the root filesystem of an image"
expect 0 "$bk" run "$R" "$tmp/boot.img" --partition boot; rm -f "$tmp/r.img"; expect 0 "$bk" restore "$R" latest --to "$tmp/r.img"
facts "$tmp/mkfs-small.img" >"$tmp/want"; facts "$tmp/r.img" | cmp -s - "$tmp/want" || fail "the boot filesystem of an image"
expect 1 "$bk" run "$R" "$tmp/boot.img" --partition 3; says 'expected --partition'
expect 1 "$bk" run "$R" "$tmp/n.img" --partition boot; says 'has no partitions'

# ---- one of ours, restored as theirs ----
volume "$tmp/v.img"; expect 0 "$bk" run "$R" "$tmp/v.img"
rm -f "$tmp/r.img"; expect 0 "$bk" restore "$R" latest --format nanos --to "$tmp/r.img"; has 'Nanos volume of version 5'
rm -rf "$tmp/a" "$tmp/b"; "$bin/dump.tfs" extract -q "$tmp/v.img" "$tmp/a"; "$here/tree.py" "$tmp/a" >"$tmp/want"; facts "$tmp/r.img" | cmp -s - "$tmp/want" || fail "one of ours as theirs"
expect 1 "$bk" restore "$R" latest --format ext4 --to "$tmp/none"; says 'tfs or nanos'
expect 1 "$bk" restore "$R" latest --format nanos --to "$tmp/r.img"; says 'exists'
expect 0 "$bk" restore "$R" latest --format nanos --force -q --to "$tmp/r.img"; facts "$tmp/r.img" | cmp -s - "$tmp/want" || fail "over what is there"

# ---- refused ----
expect 1 "$bk" run "$R" "$tmp/n.img" --snapshot x; says 'no snapshots'
cp "$tmp/live-small.img" "$tmp/bad.img"; printf '\0' | dd of="$tmp/bad.img" bs=1 seek=23249 conv=notrunc status=none
expect 4 "$bk" run "$R" "$tmp/bad.img"; says 'is damaged'
expect 8 env TMPDIR=/nowhere "$bk" run "$R" "$tmp/n.img"; says 'TMPDIR'
STOP_AT=pwrite LD_PRELOAD=$bin/die.so "$bk" run "$R" "$tmp/n.img" >"$tmp/o" 2>"$tmp/e" & run=$!
stopped $run; touch -d '1 hour ago' "$tmp/n.img"; kill -CONT $run # as if somebody had written it
code=0; wait $run || code=$?; rm "$tmp/n.img"
[ $code = 4 ] || fail "a volume that is written while it is read is backed up"; says 'was changed while it was read'
[ -z "$(ls "$tmp" | grep '^tfs-backup\.')" ] || fail "a temporary file is left"
echo ok
