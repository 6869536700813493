# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# FIEMAP of raw, compressed, inline, promised and sparse; FITRIM and online discard give back what is free, and only that.
fresh --compress none
dd if=/dev/urandom of=/mnt/raw bs=64k count=4 2>/dev/null; echo small >/mnt/small; fallocate -l 1m /mnt/pre
kfeat fiemap /mnt/raw | tee /tmp/m; grep -q '^0+64 last placed$' /tmp/m || fail "raw"
kfeat fiemap /mnt/small | grep -q '^0+1 inline last$' || fail "inline"
kfeat fiemap /mnt/pre | grep -q 'unwritten unknown last$' || fail "promised"
truncate -s 1G /mnt/hole; dd if=/dev/urandom of=/mnt/hole bs=4k seek=1000 count=1 conv=notrunc 2>/dev/null
[ "$(kfeat fiemap /mnt/hole)" = "1000+1 last placed" ] || fail "sparse: $(kfeat fiemap /mnt/hole)"
truncate -s 2G /mnt/empty; [ -z "$(kfeat fiemap /mnt/empty)" ] || fail "empty"
umount /mnt; fresh --compress lz4
yes compress | dd of=/mnt/packed bs=64k count=3 iflag=fullblock 2>/dev/null
[ "$(kfeat fiemap /mnt/packed | grep -c encoded)" = 3 ] || fail "compressed: $(kfeat fiemap /mnt/packed)"
# discard
again -o discard; cp -r /bin /mnt/; md5sum /mnt/bin/* >/tmp/s; dd if=/dev/urandom of=/mnt/big bs=1M count=20 2>/dev/null; sync
d=$(counter discarded_bytes); rm /mnt/big; sync; mount -o remount,ro /mnt; mount -o remount,rw /mnt
d=$(($(counter discarded_bytes) - d)); [ $d -ge 20000000 ] || fail "online discard: $d bytes"
again; n=$(kfeat trim /mnt); [ $n -gt 100000000 ] || fail "trimmed $n"
[ $n -le $(($(counter free_blocks) * 4096)) ] || fail "trimmed more than is free"
again; md5sum -c -s /tmp/s || fail "content after trim"; sound
# what fallocate promised can be written when nothing else is available, by write and through mmap
mkfs.tfs -q -f --compress none /dev/vda 48M; mount -t tfs /dev/vda /mnt
fallocate -l 2m /mnt/p1; fallocate -l 2m /mnt/p2; dd if=/dev/urandom of=/tmp/r bs=1M count=2 2>/dev/null
dd if=/dev/zero of=/mnt/fill bs=64k 2>/dev/null && fail "never full"; sync; dd if=/dev/zero of=/mnt/fill2 bs=4k 2>/dev/null || true; sync
[ $(df -k /mnt | tail -1 | awk '{print $4}') -lt 72 ] || fail "not full: $(df -k /mnt | tail -1)"
dd if=/tmp/r of=/mnt/p1 bs=4k conv=notrunc 2>/tmp/e || fail "write into what fallocate promised: $(cat /tmp/e)"
kfeat store /mnt/p2 /tmp/r || fail "a store into what fallocate promised"
again; cmp /tmp/r /mnt/p1 && cmp /tmp/r /mnt/p2 || fail "what was promised is not what was written"; sound
