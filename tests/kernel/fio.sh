#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# fio writes and verifies: buffered, mmap, O_DIRECT by psync, libaio and io_uring, mixed sizes, several jobs at once, truncating, on a
# volume with and without compression; all is verified again after a remount. usage: fio.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
command -v fio >/dev/null || skip "fio is missing: as root, apt-get install fio"
for k in "${KERNELS[@]}"; do
	for codec in lz4 none; do
		job <<'J'
cat >/tmp/all.fio <<'F'
[global]
directory=/mnt
verify=crc32c
verify_fatal=1
verify_dump=0
randrepeat=0
size=5m
randseed=7
end_fsync=1
buffer_compress_percentage=50
thread=1
[buffered]
ioengine=psync
rw=randwrite
bsrange=512-70k
bs_unaligned=1
norandommap=0
numjobs=2
[mapped]
ioengine=mmap
rw=randwrite
bs=4k
[direct-psync]
ioengine=psync
direct=1
rw=randwrite
bsrange=4k-64k
[direct-libaio]
ioengine=libaio
direct=1
iodepth=8
rw=randwrite
bsrange=4k-128k
[direct-uring]
ioengine=io_uring
direct=1
iodepth=8
rw=randwrite
bs=8k
[uring]
ioengine=io_uring
iodepth=8
rw=randwrite
bsrange=4k-32k
[fsyncs]
ioengine=psync
rw=randwrite
bs=4k
fsync=4
size=1m
F
mount -t tfs /dev/vda /mnt || exit 1
fio --output=/tmp/out /tmp/all.fio || { tail -50 /tmp/out; exit 1; }
echo "written and verified $(cut -d' ' -f1 /proc/uptime)"
umount /mnt && mount -t tfs /dev/vda /mnt || exit 1
fio --verify_only --output=/tmp/out /tmp/all.fio || { echo "after a remount:"; tail -50 /tmp/out; exit 1; }
echo "verified after a remount $(cut -d' ' -f1 /proc/uptime)"
# a second pass over files that exist: overwritten while others truncate and extend
( for i in 1 2 3 4 5 6 7 8 9 10; do for f in /mnt/cut1 /mnt/cut2; do dd if=/dev/urandom of=$f bs=37k count=40 2>/dev/null; truncate -s $((i * 70001)) $f; done; done ) &
fio --output=/tmp/out --randseed=8 --overwrite=1 /tmp/all.fio || { echo "second pass:"; tail -50 /tmp/out; exit 1; }
wait
fio --verify_only --randseed=8 --output=/tmp/out /tmp/all.fio || { echo "second pass, read again:"; tail -50 /tmp/out; exit 1; }
umount /mnt
J
		volume 400M --compress $codec
		guest -p fio -m 768 "$tmp/t" || bad "fio, codec $codec"
		sound "fio, codec $codec"
	done
done
finish
