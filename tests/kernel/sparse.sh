#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sparse files at the limits: bytes at the ends of the range, holes read as zeros, one byte beyond is EFBIG, truncating gives all
# back; after a remount the same. usage: sparse.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; exit 1; }
mount -t tfs /dev/vda /mnt || exit 1
free() { df -k /mnt | tail -1 | awk '{print $4}'; }
before=$(free)
max=9223372036854775807
for at in 0 65535 65536 1048575 4294967295 4294967296 1099511627775 17592186044415 1152921504606846975; do
	printf X | dd of=/mnt/s bs=1 seek=$at conv=notrunc 2>/dev/null || { echo "a byte at $at: refused"; limit=$at; break; }
	[ "$(dd if=/mnt/s bs=1 skip=$at count=1 2>/dev/null)" = X ] || fail "a byte at $at is not read back"
	[ $at -lt 100 ] || [ "$(dd if=/mnt/s bs=1 skip=$((at - 5)) count=4 2>/dev/null | tr -d '\000' | wc -c)" = 0 ] || fail "before $at are no zeros"
	size=$(stat -c %s /mnt/s); [ $size = $((at + 1)) ] || fail "size is $size after a byte at $at"
done
umount /mnt && mount -t tfs /dev/vda /mnt || fail remount
for at in 0 65535 65536 1048575 4294967295 4294967296; do [ "$(dd if=/mnt/s bs=1 skip=$at count=1 2>/dev/null)" = X ] || fail "remounted: a byte at $at"; done
truncate -s 9223372036854775807 /mnt/t 2>/dev/null && echo "truncate to 2^63-1 is taken: $(stat -c %s /mnt/t)"
rm -f /mnt/t; truncate -s 70000 /mnt/s; truncate -s 4294967300 /mnt/s
[ "$(dd if=/mnt/s bs=1 skip=4294967295 count=2 2>/dev/null | tr -d '\000' | wc -c)" = 0 ] || fail "what was cut off is back"
rm /mnt/s; sync; after=$(free); [ $after -ge $((before - 64)) ] || fail "$before KB were available, $after are"
umount /mnt
J
	volume 64M; guest "$tmp/t" || bad "sparse files"; sound "sparse files"
done
finish
