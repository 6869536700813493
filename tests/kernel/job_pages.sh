# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The page cache: SIGBUS and no corruption at ENOSPC under mmap, tails, freeze and thaw with writers waiting, read-ahead by
# the window, what the cache dropped read back; no leak of promised space.
fresh --compress lz4; a=$(counter available_blocks)
kfeat tail /mnt; kfeat freeze /mnt; rm -f /mnt/tail /mnt/frozen
kfeat enospc /mnt; sync; b=$(counter available_blocks); [ $((a - b)) -lt 64 ] || fail "available: $a before, $b after"
for c in none lz4 zlib; do
	umount /mnt; fresh --compress $c; cp /bin/busybox /mnt/f; dd if=/mnt/f of=/mnt/g bs=13k 2>/dev/null
	dd if=/dev/urandom of=/mnt/g bs=4k seek=7 count=1 conv=notrunc 2>/dev/null; md5sum /mnt/f /mnt/g >/tmp/s; again
	md5sum -c -s /tmp/s || fail "read back, $c"
	echo 3 >/proc/sys/vm/drop_caches; w=$(counter windows_read); r=$(awk '{print $1}' /sys/block/vda/stat)
	cat /mnt/f >/dev/null; w=$(($(counter windows_read) - w)); r=$(($(awk '{print $1}' /sys/block/vda/stat) - r))
	k=$(($(stat -c %s /mnt/f) / 1024)); echo "$c: $k KiB read sequentially: $w windows, $r requests"
	[ $w -le $((k / 64 + 2)) ] || fail "windows read more than once"
done
sound
