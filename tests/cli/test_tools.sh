#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# mkfs.tfs and dump.tfs: a tree goes in and comes out the same (contents, modes, times, links, holes, odd names); the same
# tree gives the same image; bad input gets its exit code and leaves nothing mountable.
set -eu
export SOURCE_DATE_EPOCH=1700000000 LC_ALL=C
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bin=${BIN:-build/bin}
mk=$bin/mkfs.tfs dump=$bin/dump.tfs
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	"$@" >/dev/null 2>"$tmp/err" || got=$?
	[ "$got" = "$want" ] || { echo "expected exit $want, found $got: $*"; cat "$tmp/err"; exit 1; }
	[ "$want" = 0 ] || [ -s "$tmp/err" ] || { echo "no message: $*"; exit 1; }
}

t=$tmp/src; mkdir -p "$t/dir/sub" "$t/empty"
echo small >"$t/small"; seq 1 200000 >"$t/dir/text"; head -c 300001 /dev/urandom >"$t/dir/random"
: >"$t/zero"; ln "$t/small" "$t/dir/hard"; ln -s ../small "$t/dir/sym"; ln -s nowhere "$t/dangling"
truncate -s 5000000 "$t/sparse"; printf tail | dd of="$t/sparse" bs=1 seek=4000000 conv=notrunc status=none
printf 'x' >"$t/$(printf 'new\nline\001\377')"; chmod 4751 "$t/dir/text"; chmod 1777 "$t/empty"
touch -d '2001-02-03 04:05:06.123456789' "$t/dir/random" "$t/dir/sub"

# directories' own sizes and link counts are the host's affair; everything else must be equal
listing() { (cd "$1" && find . ! -type d -printf '%p %y %m %n %s %T@ %l\n' -o -type d -printf '%p %y %m %T@\n' | sort); }
for codec in none lz4 zlib:9; do
	rm -rf "$tmp/out"
	expect 0 $mk -q --compress $codec --from "$t" "$tmp/a.img"
	expect 0 $dump extract "$tmp/a.img" "$tmp/out"
	diff -r --no-dereference "$t" "$tmp/out"
	diff <(listing "$t") <(listing "$tmp/out")
	expect 0 $mk -q --compress $codec --from "$tmp/out" "$tmp/b.img"
	cmp "$tmp/a.img" "$tmp/b.img" # again, and from a copy made by another program in another order
	rm "$tmp/a.img" "$tmp/b.img"
done
[ "$(du -k "$tmp/out/sparse" | cut -f1)" -lt 200 ] || { echo "holes were filled"; exit 1; }

expect 0 $mk -q --from "$t" "$tmp/a.img"
cp "$tmp/a.img" "$tmp/c.img"
expect 3 $mk --from "$t" "$tmp/a.img"                 # holds a volume already
expect 1 $mk "$tmp/d.img" 1M                          # too small
expect 1 $mk --compress lzma "$tmp/d.img" 64M
expect 2 $mk --from "$tmp/none" "$tmp/d.img" 64M
head -c 30000000 /dev/urandom >"$t/large"
expect 4 $mk -f --from "$t" "$tmp/a.img" 16M          # does not fit: nothing mountable is left
expect 2 $dump ls "$tmp/a.img"
head -c 20000000 /dev/urandom >"$tmp/junk"
expect 2 $dump ls "$tmp/junk"
expect 1 $dump cat "$tmp/c.img" no/such
expect 1 $dump frobnicate "$tmp/c.img"
dd if=/dev/zero of="$tmp/c.img" bs=4096 seek=1 count=1 conv=notrunc status=none
expect 0 $dump ls "$tmp/c.img"                        # the second superblock serves
printf '\xff' | dd of="$tmp/c.img" bs=1 seek=$((65536 + 1000)) conv=notrunc status=none
got=0; $dump extract "$tmp/c.img" "$tmp/out2" >/dev/null 2>&1 || got=$?
[ "$got" = 2 ] || diff -r --no-dereference "$tmp/out" "$tmp/out2" # a damaged byte: an error, or it was not used
echo "tools: all as expected"
