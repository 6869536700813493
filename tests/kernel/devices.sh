#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Devices other than the usual: logical blocks of 4096 bytes; a disk that cannot be written, with a log to recover from; a disk pulled
# out under load (virtio, as a hypervisor does it; SCSI, first off line, then gone) that comes back with all that was acknowledged;
# a disk that became smaller or larger. usage: devices.sh [-s SEED] [KERNEL]...
seed=$RANDOM
while getopts s: o; do case $o in s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
for p in client right kfeat; do compiled $p tests/kernel/$p.c; done
compiled exercise tests/fuse/exercise.c
tools=(-p "$tmp/client" -p "$tmp/right" -p "$tmp/kfeat" -p "$tmp/exercise" -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs")
prelude() {
	echo "seed=$seed"
	cat <<'J'
fail() { echo "FAILED: $*"; dmesg | tail; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
J
}

large_blocks() {
	{ prelude; cat <<'J'; } | job
[ "$(cat /sys/block/vda/queue/logical_block_size)" = 4096 ] || fail "not the device asked for"
for c in none lz4 zlib; do
	at "logical blocks of 4096 bytes, $c"
	mkfs.tfs -q -f --compress $c /dev/vda || fail mkfs; mount -t tfs /dev/vda /mnt || fail mount
	mkdir /mnt/r /mnt/e; right make /mnt/r 0 40 || fail right; cp -r /lib /mnt/lib; (cd /mnt/lib; find . -type f | xargs md5sum) >/tmp/sums
	exercise - - /mnt/e $seed 2500 || fail exercise
	umount /mnt; mount -t tfs /dev/vda /mnt || fail "mount again"
	right check /mnt/r 0 40 all || fail "after a mount"; (cd /mnt/lib; md5sum -c -s /tmp/sums) || fail "a tree reads differently"
	[ "$(kfeat trim /mnt)" -gt 1000000 ] || fail "nothing was trimmed"
	echo 3 >/proc/sys/vm/drop_caches; right check /mnt/r 0 40 all || fail "after trimming"
	mkdir /mnt/log; right make /mnt/log 40 45 && kfeat shutdown /mnt 2 && umount /mnt && mount -t tfs /dev/vda /mnt || fail "shutdown"
	right check /mnt/log 40 45 all || fail "what was synced is lost"
	umount /mnt; fsck.tfs -fn --data /dev/vda >/tmp/fsck || { cat /tmp/fsck; fail fsck; }
done
J
	volume 96M; LIMIT=400 guest "${tools[@]}" -d logical_block_size=4096,physical_block_size=4096 "$tmp/t" || bad "4096-byte blocks"
	sound "4096-byte blocks"
}

read_only() {
	{ prelude; cat <<'J'; } | job
mount -t tfs /dev/vda /mnt && mkdir /mnt/r && right make /mnt/r 0 10 && kfeat shutdown /mnt 2 || fail prepare
umount /mnt
J
	volume 32M; guest "${tools[@]}" "$tmp/t" || { bad "preparing a log"; return; }
	cp "$tmp/t" "$tmp/as-it-was"
	{ prelude; cat <<'J'; } | job
at "a disk that cannot be written"
[ "$(cat /sys/block/vda/ro)" = 1 ] || fail "not the device asked for"
mount -t tfs -o rw /dev/vda /mnt 2>/dev/null && { grep -q '/mnt tfs ro' /proc/mounts || fail "mounted for writing"; umount /mnt; }
mount -t tfs -o ro /dev/vda /mnt || fail "mount -o ro"
right check /mnt/r 0 10 all || fail "the log was not read"
! touch /mnt/x 2>/dev/null && ! mount -o remount,rw /mnt 2>/dev/null || fail "written"
right check /mnt/r 0 10 all || fail "after remount,rw was refused"; umount /mnt || fail umount
J
	guest "${tools[@]}" -r "$tmp/t" || bad "a read-only disk"
	cmp "$tmp/t" "$tmp/as-it-was" || bad "a read-only disk was written"
}

# The disk goes while clients work on it; what they were told is there when it is back.
pulled() {
	{ prelude; cat <<'J'; } | job
enough() { i=0; until [ "$(wc -l </dev/ack)" -ge $1 ]; do i=$((i + 1)); [ $i -lt 900 ] || fail "no $1 acknowledgements"; sleep 0.1; done; }
ended() { # the clients are told; reading goes on where it can, wrong data never comes
	i=0; while kill -0 $client 2>/dev/null; do i=$((i + 1)); [ $i -lt 900 ] || fail "the clients hang"; sleep 0.1; done
	wait $client; [ $? = 1 ] || fail "the clients ended otherwise: $(cat /tmp/said)"
	cp /dev/ack /tmp/acks; client live /mnt/r $seed 3 /tmp/acks >/tmp/found || { cat /tmp/found; fail "wrong data from a disk that is gone"; }
	! { touch /mnt/new && sync -f /mnt/new; } 2>/dev/null || fail "something was made durable"
	df /mnt >/dev/null; echo 3 >/proc/sys/vm/drop_caches
	client live /mnt/r $seed 3 /tmp/acks >/tmp/found || { cat /tmp/found; fail "wrong data, nothing cached"; }
	umount /mnt || fail "umount of a disk that is gone"
}
start() { mount -t tfs $1 /mnt && mkdir /mnt/r || fail mount; : >/dev/ack; CLIENT_FAILING=1 client run /mnt/r $seed 3 2>/tmp/said & client=$!; enough 60; }
back() { # DEVICE
	i=0; until [ -b $1 ]; do i=$((i + 1)); [ $i -lt 100 ] || fail "no $1"; sleep 0.1; done
	fsck.tfs -fn --data $1 >/tmp/fsck || { cat /tmp/fsck; fail "fsck of the disk that is back"; }
	mount -t tfs $1 /mnt || fail "mount of the disk that is back"
	client check /mnt/r $seed 3 /tmp/acks >/tmp/found || { cat /tmp/found; fail "acknowledged, and lost"; }
	echo x >/mnt/x && rm -r /mnt/r && umount /mnt || fail "work on the disk that is back"
}
mkfs.tfs -q -f /dev/vda; at "a virtio disk is removed"; start /dev/vda
echo 1 >/sys/block/vda/device/../remove; ended; at "and comes back"
echo 1 >/sys/bus/pci/rescan; back $(ls /dev/vd? | head -1)
rmmod scsi_debug 2>/dev/null; insmod /lib/tfs/scsi_debug.ko dev_size_mb=48 delay=0 || fail scsi_debug
i=0; until [ -b /dev/sda ]; do i=$((i + 1)); [ $i -lt 100 ] || fail "no /dev/sda"; sleep 0.1; done
mkfs.tfs -q -f /dev/sda || fail mkfs; at "a SCSI disk goes off line"; start /dev/sda
echo offline >/sys/block/sda/device/state; ended; echo running >/sys/block/sda/device/state; back /dev/sda
at "a SCSI disk is deleted"; start /dev/sda; h=$(basename $(ls -d /sys/block/sda/device/scsi_device/*)); h=${h%%:*}
echo 1 >/sys/block/sda/device/delete; ended; at "and is found again"
echo '- - -' >/sys/class/scsi_host/host$h/scan; i=0; until ls /dev/sd? >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 100 ] || fail "not found"; sleep 0.1; done
back $(ls /dev/sd? | head -1); rmmod scsi_debug || fail "the disk is still held"
at end
J
	volume 48M; LIMIT=400 guest "${tools[@]}" -o sd_mod -o scsi_debug "$tmp/t" || bad "a disk pulled out, seed $seed"
	sound "a disk pulled out"
}

sized() {
	volume 32M; cp "$tmp/t" "$tmp/larger"; truncate -s 40M "$tmp/larger"; truncate -s 24M "$tmp/t"
	{ prelude; cat <<'J'; } | job
at "a disk cut short"
! mount -t tfs -o loud /dev/vda /mnt 2>/dev/null || fail "mounted"; dmesg | grep -q 'tfs: vda: cannot mount: .*cut short' || fail "no word of it"
mount -t tfs /dev/vdb /mnt && mkdir /mnt/r && right make /mnt/r 0 20 && umount /mnt && mount -t tfs /dev/vdb /mnt && right check /mnt/r 0 20 all || fail "a larger disk"
umount /mnt; fsck.tfs -fn --data /dev/vdb >/tmp/fsck || { cat /tmp/fsck; fail fsck; }
J
	guest "${tools[@]}" "$tmp/t" "$tmp/larger" || bad "a disk of another size"
}

for k in "${KERNELS[@]}"; do
	echo "== $k, seed $seed"
	large_blocks; read_only; pulled; sized
done
finish
