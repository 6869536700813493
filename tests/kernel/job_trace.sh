# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Every tracepoint fires; the module goes and comes, and leaves nothing behind.
mount -t tracefs t /sys/kernel/tracing; t=/sys/kernel/tracing; echo 1 >$t/events/tfs/enable; fresh
dd if=/dev/urandom of=/mnt/f bs=64k count=2 2>/dev/null; kfeat fsyncs /mnt 1 1; again; cat /mnt/f >/dev/null; sound
for e in op writeback read log_write sync checkpoint checkpoint_done mount; do grep -q "tfs_$e:" $t/trace || fail "no tfs_$e"; done
echo 0 >$t/events/tfs/enable; umount $t
rmmod tfs; ! grep -q tfs_inode /proc/slabinfo || fail "inodes left"; insmod /lib/*tfs.ko; fresh; sound
