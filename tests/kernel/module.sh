#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The module's life: it stays while anything of it is in use, goes and comes again and leaves nothing behind; several volumes at once,
# copies of one volume among them; one device mounted twice; mounts that fail. usage: module.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
compiled right tests/kernel/right.c
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; dmesg | tail; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
stays() { ! rmmod tfs 2>/dev/null || fail "rmmod succeeds $*"; }
goes() { rmmod tfs || fail "rmmod $*"; for x in /proc/slabinfo; do ! grep -q '^tfs_' $x || fail "slabs are left"; done
	! ps | grep -q '[[]tfs-\|[k]worker/R-tfs' || fail "threads are left"; [ ! -e /sys/fs/tfs ] || fail "sysfs is left"; ! grep -q '\<tfs$' /proc/filesystems || fail "still registered"; }
comes() { insmod /lib/tfs.ko || fail insmod; ! insmod /lib/tfs.ko 2>/dev/null || fail "loaded twice"; }
mkdir -p /a /b /c /d
at "in use"
mount -t tfs /dev/vda /a || fail mount; stays "while mounted"
exec 7>/a/open; umount -l /a; stays "while a file of a detached mount is open"; echo x >&7; exec 7>&-
mount -t tfs /dev/vda /a; [ "$(cat /a/open)" = x ] || fail "the detached mount lost a write"; cd /a; ! umount /a 2>/dev/null || fail "unmounted under a shell"; cd /
fsfreeze --freeze /a; stays "while frozen"; fsfreeze --unfreeze /a; mount --bind /a /b; umount /a; stays "behind a bind mount"; umount /b; goes "after it"

at "comes and goes"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	comes; for d in a b c; do mount -t tfs /dev/vd$(echo $d) /$d || fail "mount $d, time $i"; done
	for d in a b c; do ( rm -rf /$d/r; mkdir /$d/r && right make /$d/r $i $((i + 6)) || : >/tmp/failed ) & done; wait; [ ! -e /tmp/failed ] || fail "several volumes"
	for d in a b c; do [ -e /sys/fs/tfs/vd$d ] || fail "no sysfs of vd$d"; umount /$d || fail "umount $d"; done; goes "time $i"
done
for i in $(seq 25); do comes; goes "unused"; done
comes

at "volumes beside each other"
dd if=/dev/vda of=/dev/vdd bs=1M 2>/dev/null; sync # the same volume once more: of the same UUID
for d in a b c d; do mount -t tfs /dev/vd$d /$d || fail "mount $d"; done
for d in a b c d; do rm -rf /$d/r; mkdir /$d/r; ( right make /$d/r 100 130 && right check /$d/r 100 130 all || : >/tmp/failed ) >/tmp/$d & done; wait; [ ! -e /tmp/failed ] || fail "$(cat /tmp/?)"
rm -r /d/r; [ -e /a/r/100 ] || fail "a copy shares with its original"; umount /d; right check /a/r 100 130 all >/dev/null || fail "a volume suffers from its copy"
for d in b c; do umount /$d; done

at "one device twice"
mount -t tfs /dev/vda /b || fail "mount twice"; echo one >/a/f; [ "$(cat /b/f)" = one ] || fail "two views differ"
! mount -t tfs -o ro /dev/vda /c 2>/dev/null || { grep '/c tfs ro' /proc/mounts && [ -w /a ] || fail "ro beside rw"; umount /c; }
umount /a; echo two >/b/f || fail "one view took the other along"; stays "with one view left"; mount -t tfs /dev/vda /a; [ "$(cat /a/f)" = two ] || fail "the view that came back"
umount /a; umount /b
mount -t tfs -o ro /dev/vda /a || fail ro; ! mount -t tfs -o rw /dev/vda /b 2>/dev/null || { ! touch /b/x 2>/dev/null || fail "written beside a read-only mount"; umount /b; }; umount /a
mount -t tfs /dev/vda /a; ! mkfs.tfs -q -f /dev/vda >/tmp/out 2>&1 || fail "mkfs of a mounted device"; ! fsck.tfs -y /dev/vda >/tmp/out 2>&1 || fail "fsck -y of a mounted device"
! mount -t ext4 /dev/vda /b 2>/dev/null || fail "mounted as something else, too"; right check /a/r 100 130 all >/dev/null || fail "after others tried"; umount /a

at "mounts that fail"
for i in $(seq 20); do
	! mount -t tfs /dev/vde /a 2>/dev/null || fail "zeros were mounted"
	! mount -t tfs -o errors=never /dev/vda /a 2>/dev/null || fail "an unknown option"
	! mount -t tfs /dev/none /a 2>/dev/null && ! mount -t tfs /bin/busybox /a 2>/dev/null || fail "no device"
done
mount -t tfs /dev/vda /a && umount /a || fail "a mount after those that failed"
goes "after mounts that failed"; comes
for d in a b c; do fsck.tfs -fn --data /dev/vd$d >/tmp/fsck || { cat /tmp/fsck; fail "fsck $d"; }; done
at end
J
	disks=()
	for d in 1 2 3 4; do volume 24M; mv "$tmp/t" "$tmp/t$d"; disks+=("$tmp/t$d"); done
	truncate -s 24M "$tmp/zeros"
	echo "== $k"; LIMIT=400 guest -p "$tmp/right" -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs" "${disks[@]}" "$tmp/zeros" || bad "in the guest"
done
finish
