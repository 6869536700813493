#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A guest of 256 MiB writes 1 GiB, by write and through mmap, beside a process that holds memory; nothing hangs, nothing is
# killed for want of memory, and all of it reads back. usage: memory.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
compiled full tests/kernel/full.c
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; exit 1; }
mount -t tfs /dev/vda /mnt || exit 1
dd if=/dev/urandom of=/tmp/r bs=1M count=16 2>/dev/null; want=$(md5sum </tmp/r)
dd if=/dev/zero of=/dev/shm/held bs=1M count=40 2>/dev/null
w() { for i in $(seq 1 16); do cp /tmp/r /mnt/$1-$i || fail "writing"; done; }
w a & w b & w c & w d & wait
echo "$(cut -d' ' -f1 /proc/uptime) 1 GiB written"
for f in /mnt/*; do [ "$(md5sum <$f)" = "$want" ] || fail "$f reads differently"; done
rm /mnt/*
echo "$(cut -d' ' -f1 /proc/uptime) read"
umount /mnt || fail umount
dmesg | grep -E 'Out of memory|oom-kill|page allocation failure' && fail "memory ran out"; exit 0
J
	volume 1300M; LIMIT=500 guest -m 256 "$tmp/t" || bad "memory pressure"; sound "memory pressure"
done
finish
