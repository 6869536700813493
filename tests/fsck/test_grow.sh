#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Growing, cut off at each write: what is left is a sound volume of the old or of the new size, with both ends alike, for
# fsck.tfs as for the reader that was written from FORMAT.md. Afterwards the new end serves, the old one never again.
# usage: test_grow.sh
set -u
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
bin=${BIN:-build/bin}
fsck=$bin/fsck.tfs mutate=$bin/mutate dump=$bin/dump.tfs i=$tmp/i.img failed=0 n=0
bad() { echo "FAILED: $*; repeat: tests/fsck/test_grow.sh"; sed 's/^/   /' "$tmp/out" | head -20; failed=1; }
run() { local want=$1 got=0; shift; "$@" >"$tmp/out" 2>&1 || got=$?; [ "$got" = "$want" ] || bad "write $n: expected exit $want, found $got: ${*//$tmp\//}"; }
poke() { printf '\xa5\x5a' | dd of="$i" bs=1 seek="$1" conv=notrunc status=none; }
size_of() { $dump super "$i" 2>/dev/null | grep -o '\bsize=[0-9]*' | head -1; }

# a volume with snapshots and what a rollback left of another, 128 segments; then a device of 900
$mutate make "$tmp/start.img" && $mutate "$tmp/start.img" rollback:8 || exit 1
old=$(stat -c %s "$tmp/start.img") new=$(($(stat -c %s "$tmp/start.img") + 200 * 1048576)) sizes=
for ((n = 1; n < 200; n++)); do
	cp "$tmp/start.img" "$i"; truncate -s "$new" "$i"; code=0
	STOP_AT=$n LD_PRELOAD=build/bin/stop.so $mutate "$i" grow >"$tmp/out" 2>&1 || code=$?
	run 0 $fsck -fn --data "$i"
	sizes+=" $(size_of)"
	[ $((n % 4)) = 0 ] && command -v python3 >/dev/null && run 0 tests/format/test_format.py "$i"
	[ $code = 99 ] || break
done
[ "$n" -gt 10 ] && [ "$code" = 0 ] || bad "expected an end after more than 10 writes, found exit $code after $n"
[ "$(tr ' ' '\n' <<<"$sizes" | grep . | uniq | tr '\n' ' ')" = "size=$old size=$new " ] || bad "expected the old, then the new size, found$sizes"
run 0 $dump cat "$i" big; [ "$(md5sum <"$tmp/out")" = "$($dump cat "$tmp/start.img" big | md5sum)" ] || bad "content changed"
run 0 $mutate "$i" grow # nothing to do
poke 4200; run 4 $fsck -fn "$i"; [ "$(size_of)" = "size=$new" ] || bad "the new end does not serve"
run 1 $fsck -fy "$i"; run 0 $fsck -fn "$i"
truncate -s "$old" "$i"; cp "$i" "$tmp/cut.img"
run 8 $fsck -fy "$i"; grep -q "cut short" "$tmp/out" || bad "expected: cut short"
cmp -s "$i" "$tmp/cut.img" || bad "a volume that was cut short was written"
poke 4200; run 8 $fsck -fy "$i" # nor is there an old end to take for one
[ $failed = 0 ] && echo "grow: as expected"
exit $failed
