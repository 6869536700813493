#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# No space: files filled by write, through mmap in order and scattered, with compression and without; several writers at once; what
# was accepted is never lost in write back, removing always works, and space comes back. usage: enospc.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
compiled full tests/kernel/full.c
for k in "${KERNELS[@]}"; do
	for codec in none lz4; do
		job <<'J'
fail() { echo "FAILED: $*"; df /mnt; ls -las /mnt/* | head -8; exit 1; }
mount -t tfs /dev/vda /mnt || exit 1
dd if=/dev/urandom of=/mnt/keep bs=1M count=3 2>/dev/null; sum=$(md5sum </mnt/keep)
round() {
	mkdir /mnt/m || fail mkdir; full /mnt/m $2 $3 || fail "$1"
	[ "$(md5sum </mnt/keep)" = "$sum" ] || fail "$1: another file changed"
	rm -r /mnt/m || fail "$1: a full volume does not unlink"
	echo "$(cut -d' ' -f1 /proc/uptime) $1"
}
round "mmap, in order" 4000000
round "mmap, scattered, 1 MiB files" 1048576 37
round "mmap, scattered, 8 MiB files" 8388608 201
# writers beside each other: what each was told is written is read back
mkdir /mnt/w; dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null
for w in 1 2 3; do ( i=0; while [ $i -lt 90 ] && cp /tmp/r /mnt/w/$w-$i 2>/dev/null; do i=$((i+1)); done; echo $i >/tmp/n$w ) & done; wait
sync || fail "sync of a full volume"
for w in 1 2 3; do i=$(cat /tmp/n$w); for j in $(seq 0 $((i-1))); do cmp /tmp/r /mnt/w/$w-$j || fail "writer $w: file $j"; done; done
set -- $(df -k /mnt | tail -1); [ $4 -lt 3000 ] || fail "full, but $4 KB are available"
umount /mnt && mount -t tfs /dev/vda /mnt || fail remount
for w in 1 2 3; do i=$(cat /tmp/n$w); for j in $(seq 0 $((i-1))); do cmp /tmp/r /mnt/w/$w-$j || fail "remounted, writer $w: file $j"; done; done
rm -r /mnt/w || fail "rm"; echo "$(cut -d' ' -f1 /proc/uptime) writers"
# small files and names until nothing fits; then all of it goes
mkdir /mnt/s; i=0; while echo $i 2>/dev/null >/mnt/s/a-name-of-some-length-$i && [ $i -lt 3000 ]; do i=$((i+1)); [ $((i % 1000)) != 0 ] || dd if=/dev/urandom of=/mnt/s/big$i bs=1M count=40 2>/dev/null; done
rm -r /mnt/s || fail "rm of small files"; echo "$(cut -d' ' -f1 /proc/uptime) $i small files"
dd if=/dev/urandom of=/mnt/again bs=1M count=50 2>/dev/null && sync || fail "space did not come back"
umount /mnt || fail umount
J
		echo "== $k, $codec"; volume 96M --compress $codec
		guest -p "$tmp/full" "$tmp/t" || bad "in the guest, codec $codec"
		sound "the run, codec $codec"
	done
done
finish
