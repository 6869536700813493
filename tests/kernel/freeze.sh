#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Freeze and thaw under load: what is on the disk while frozen is a whole volume by itself (copied, it needs no recovery and reads
# back); remounting read-only and back under readers; sync in between. usage: freeze.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { rm -f /tmp/go; echo "FAILED: $*"; wait; exit 1; }
mount -t tfs /dev/vda /mnt || exit 1
mkdir /mnt/w /snap; : >/tmp/go
load() { j=0; while [ -e /tmp/go ]; do j=$((j+1)); mkdir /mnt/w/$1-$j; dd if=/dev/urandom of=/mnt/w/$1-$j/f bs=30k count=20 2>/dev/null
	cp -r /lib/tfs /mnt/w/$1-$j/; mv /mnt/w/$1-$j /mnt/w/$1-moved; rm -r /mnt/w/$1-moved; done; } 2>/dev/null
load a & load b & load c &
for i in 1 2 3 4 5 6; do
	echo $i >/mnt/stamp; sleep 2
	fsfreeze --freeze /mnt || fail "freeze $i"
	blockdev --flushbufs /dev/vda # what an earlier copy read is not what is there now
	dd if=/dev/vda of=/dev/vdb bs=1M conv=fsync 2>/dev/null
	fsfreeze --unfreeze /mnt || fail "thaw $i"
	mount -t tfs -o ro /dev/vdb /snap || fail "the copy does not mount"
	[ "$(cat /snap/stamp)" = $i ] || fail "the copy is not of the time of the freeze"
	find /snap -type f | xargs cat >/dev/null || fail "the copy does not read"
	umount /snap
done
rm /tmp/go; wait
for i in 1 2 3 4 5; do
	( find /mnt -type f | xargs cat >/dev/null 2>&1 ) &
	echo $i >/mnt/again; mount -o remount,ro /mnt || fail "remount,ro"; touch /mnt/x 2>/dev/null && fail "written while read-only"
	mount -o remount,rw /mnt || fail "remount,rw"; [ "$(cat /mnt/again)" = $i ] || fail "lost by remount"; wait
done
umount /mnt || fail umount
J
	volume 96M; rm -f "$tmp/copy"; truncate -s 96M "$tmp/copy"
	guest "$tmp/t" "$tmp/copy" || bad "freeze"; sound "freeze"
	"$bin/fsck.tfs" -fn --data "$tmp/copy" >"$tmp/fsck" 2>&1 || { bad "fsck of the copy taken while frozen"; head -5 "$tmp/fsck"; }
done
finish
