#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# docs/FORMAT.md is enough to read a volume: a reader written from the page alone (tests/format) finds in volumes of mkfs.tfs, in
# crashed, full, torn and damaged ones what dump.tfs finds, and recomputes their SPACE, REFS and counters.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
command -v python3 >/dev/null || { echo "SKIPPED: python3 is missing: as root, apt-get install python3"; exit 77; }
export BIN=${BIN:-build/bin}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
random() { python3 -c 'import random, sys; random.seed(int(sys.argv[1])); sys.stdout.buffer.write(random.randbytes(int(sys.argv[2])))' "$1" "$2"; }
hex() { random "$1" "$2" | python3 -c 'import sys; print(sys.stdin.buffer.read().hex())'; }

# mkfs.tfs: index nodes, equal windows, holes, names that are not UTF-8, large and small attributes, devices
src=$tmp/src; mkdir -p "$src/many/deep/er"
for i in $(seq 120); do echo "$i" >"$src/many/a-name-of-some-length-$i"; done
seq 60000 >"$src/numbers"; cp "$src/numbers" "$src/many/again"; random 1 150000 >"$src/random"; : >"$src/empty"
ln "$src/numbers" "$src/hard"; ln -s many/deep "$src/soft"; truncate -s 3M "$src/hole"; echo end >>"$src/hole"; : >"$src/$(printf 'b\377ytes')"
{ # eight of the attributes fill a leaf to the byte, with what does not compress
	printf 'empty'; for i in $(seq 100 124); do printf ' xattr.user.rand%s=%s' "$i" "$(hex "$i" 1998)"; done
	printf '\nnumbers xattr.user.large=%s xattr.user.=00\nfifo type=fifo\nchar type=char device=5:1\n' "$(hex 9 9000)"
} >"$tmp/m"
for c in none lz4 zlib; do "$BIN/mkfs.tfs" -q --compress $c --from "$src" --manifest "$tmp/m" "$tmp/mkfs-$c.img" 32M; done

# crashes: one record of each kind; random histories by seed, among them zlib and one whose free space is single blocks
"$BIN/mkfs.tfs" -q "$tmp/records.img" 32M; "$BIN/tfs-craft" log "$tmp/records.img"
for s in 1 3 5 11 15 27 47 48 70; do "$BIN/tfs-power" --image=$s:"$tmp/history-$s.img"; done
"$BIN/mutate" make "$tmp/shared.img"
for n in 0 8 16 17 19 20; do cp "$tmp/shared.img" "$tmp/rollback-$n.img"; "$BIN/mutate" "$tmp/rollback-$n.img" rollback:$n; done
cp "$tmp/shared.img" "$tmp/unsynced.img"; "$BIN/mutate" "$tmp/unsynced.img" log

# data that a crash tore; a log write that is gone although a later one says that it was durable
poke() { printf '\245\132' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
unit() { "$BIN/dump.tfs" "$@" | python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line)
    if d["what"] in ("write", "extent"): print(d.get("unit", d.get("addr"))); break'; }
cp "$tmp/records.img" "$tmp/torn.img"; poke "$tmp/torn.img" $(($(unit object "$tmp/torn.img" 3 --json) * 512))
cp "$tmp/history-27.img" "$tmp/lost.img"; poke "$tmp/lost.img" $(($(unit log "$tmp/lost.img" --json) * 512 + 140))
COMPLETE=1 tests/format/test_format.py "$tmp"/*.img
echo "format: as expected"
