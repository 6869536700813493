#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Many names in one directory, and volumes beyond 15 TiB. `test_large.sh NAMES SIZE...`: a million names take half a minute of
# processor time, 16P needs 4.5 GB of memory: `make soak` runs those. Needs no root; the large volumes are full of holes.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
bin=$(realpath "${BIN:-build/bin}")
mk=$bin/mkfs.tfs dump=$bin/dump.tfs fsck=$bin/fsck.tfs
names=${1:-300000}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- 64T 1P
tmp=$(mktemp -d) wide=
trap 'rm -rf "$tmp" "$wide"' EXIT
fail() { echo "FAILED: $*; repeat: tests/cli/test_large.sh $names"; exit 1; }
timed() { # NAME COMMAND...: output in $tmp/o
	local name=$1; shift
	/usr/bin/time -o "$tmp/time" -f "  $name: %e s, %M KB" "$@" >"$tmp/o" || { cat "$tmp/time"; fail "$*"; }
	cat "$tmp/time"
}
in_proportion() { # 50 bytes a name are live; leaves that were rewritten again and again must not have spread over the device
	[ "$(stat -c %s "$1")" -le $((names * 400 + (32 << 20))) ] || fail "expected an image of at most 400 bytes a name, found $(stat -c %s "$1")"
}
names_tar() { # an archive of that many empty files in one directory, quicker than tarfile makes it
	python3 - "$1" <<-'P'
	import sys, tarfile
	head = bytearray(tarfile.TarInfo('d/x').tobuf(tarfile.USTAR_FORMAT)); out = bytearray(); w = sys.stdout.buffer.write
	rest = sum(head) - sum(head[:100]) - sum(head[148:156]) + 8 * 32
	for k in range(int(sys.argv[1])):
	    head[:100] = (b'd/%07d' % k).ljust(100, b'\0')
	    head[148:156] = b'%06o\0 ' % (rest + sum(head[:100]))
	    out += head
	    if len(out) > 1 << 20: w(out); out.clear()
	w(out + bytes(1024))
	P
}

cd "$tmp"
echo "large: $names names in one directory"
seq -f %07.0f 0 $((names - 1)) >want
names_tar "$names" | timed "mkfs --tar" "$mk" -q --tar - a.img
[[ $bin = *-san ]] || [ "$(tail -1 time | tr -dc '0-9 .' | awk '{print $2}')" -le 131072 ] || fail "expected at most 128 MB of memory"
timed fsck "$fsck" -fn a.img
timed "dump ls" "$dump" ls a.img d
cmp -s o want || fail "the names differ"
[ "$("$dump" ls -U a.img d | sort | cmp - want)" = "" ] || fail "the names differ, unsorted"
in_proportion a.img
sed 's|.*|d/& type=file|' want >m
small=--segment-size=256K # less is kept in memory: leaves are rewritten sooner
[ "$names" -le 300000 ] || small=
timed "mkfs --manifest" "$mk" -q $small --manifest m b.img
timed fsck "$fsck" -fn b.img
in_proportion b.img
"$dump" ls b.img d | cmp -s - want || fail "the names differ, by a manifest"
rm -f a.img b.img m o

if [ "$names" -ge 1000000 ]; then # more windows than the table of twins remembers (2^19), each its own
	echo "large: 650000 files of one compressed block, all different"
	python3 -c '
import sys, tarfile
head = bytearray(tarfile.TarInfo("d/x").tobuf(tarfile.USTAR_FORMAT)); head[124:136] = b"%011o\0" % 3584; w = sys.stdout.buffer.write
for k in range(650000):
    head[:100] = (b"d/%07d" % k).ljust(100, b"\0"); head[148:156] = b" " * 8; head[148:156] = b"%06o\0 " % sum(head)
    w(bytes(head)); w((b"%07d " % k) * 448)
w(bytes(1024))' | timed "mkfs --tar" "$mk" -q --tar - b.img 2G
	[ "$(sed 's/.*, \([0-9]*\) KB/\1/' time)" -le 131072 ] || fail "expected at most 128 MB, found $(cat time)"
	timed fsck "$fsck" -fn b.img; rm -f b.img
fi

for d in "$tmp" /dev/shm "${XDG_RUNTIME_DIR:-/run}"; do
	[ -z "$wide" ] && wide=$(mktemp -d -p "$d" 2>/dev/null) || continue
	for s; do truncate -s "$s" "$wide/v.img" 2>/dev/null || { rm -rf "$wide"; wide=; break; }; done
done
if [ -z "$wide" ]; then echo "SKIPPED: no folder lets files of $* be"; exit 77; fi
mkdir src; head -c 300000 /dev/urandom >src/f; ln -s f src/l
for s; do
	echo "large: a volume of $s"
	rm -f "$wide/v.img"
	timed mkfs "$mk" -q --from src "$wide/v.img" "$s"
	timed fsck "$fsck" -fn --data "$wide/v.img"
	timed "dump cat" "$dump" cat "$wide/v.img" f
	cmp -s o src/f || fail "content differs"
	# the second superblock, at the far end, serves
	dd if=/dev/zero of="$wide/v.img" bs=4096 seek=1 count=1 conv=notrunc status=none
	timed "dump ls, by the last superblock" "$dump" ls "$wide/v.img"
	[ "$(tr '\n' ' ' <o)" = "f l " ] || fail "names: $(cat o)"
	timed "fsck -y" sh -c '"$1" -y "$2"; [ $? = 1 ]' sh "$fsck" "$wide/v.img"
	timed fsck "$fsck" -fn "$wide/v.img"
done
echo "large: all as expected"
