# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Writers killed at any point, the volume unmounted with their data dirty: sound each time, nothing is leaked of promised space.
fresh
for round in 1 2 3; do
	p=
	for i in 1 2 3 4; do
		(while :; do
			dd if=/dev/urandom of=/mnt/f$i bs=37k count=20 conv=notrunc 2>/dev/null
			dd if=/dev/zero of=/mnt/g$i bs=100k count=9 conv=fsync 2>/dev/null
			mv /mnt/g$i /mnt/h$i; rm /mnt/f$i
		done) & p="$p $!"
	done
	sleep 3; kill -9 $p; killall -9 dd 2>/dev/null || true
	wait; rm -f /mnt/f* /mnt/g* /mnt/h*; sync; [ $(counter reserved_blocks) -le 90 ] || fail "$(counter reserved_blocks) blocks promised to nobody"
	until umount /mnt 2>/dev/null; do sleep 0.2; done
	fsck.tfs -fn --data /dev/vda >/tmp/fsck || { cat /tmp/fsck; fail fsck; }
	mount -t tfs /dev/vda /mnt
done
sound
