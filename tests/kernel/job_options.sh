# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# errors= and discard show in /proc/mounts; remounts; unknown options and other filesystems are refused with a message.
fresh
grep -q '/mnt tfs rw,relatime,errors=remount-ro 0 0' /proc/mounts || fail "$(grep tfs /proc/mounts)"
again -o errors=continue,discard
grep -q 'errors=continue,discard' /proc/mounts || fail "$(grep tfs /proc/mounts)"
mount -o remount,errors=panic /mnt; grep -q 'errors=panic,discard' /proc/mounts || fail "remount: $(grep tfs /proc/mounts)"
! mount -o remount,nodiscard /mnt 2>/dev/null || fail "discard changed"
umount /mnt
! mount -t tfs -o errors=maybe /dev/vda /mnt 2>/dev/null || fail "errors=maybe"
! mount -t tfs -o loud /dev/vdb /mnt 2>/dev/null || fail "ext4 mounted as tfs"
dmesg | grep -q 'tfs: vdb: cannot mount: error -22: not a TFS volume' || fail "no message"
# dirty data at remount,ro and at unmount; nothing is written after it turned read-only
mount -t tfs /dev/vda /mnt; dd if=/dev/urandom of=/mnt/f bs=1k count=700 2>/dev/null; md5sum /mnt/f >/tmp/s
mount -o remount,ro /mnt; echo 3 >/proc/sys/vm/drop_caches; md5sum -c -s /tmp/s; ! touch /mnt/g 2>/dev/null || fail "wrote"
w=$(awk '{print $7}' /sys/block/vda/stat); umount /mnt; [ $w = $(awk '{print $7}' /sys/block/vda/stat) ] || fail "written at unmount"
mount -t tfs -o ro /dev/vda /mnt; md5sum -c -s /tmp/s; mount -o remount,rw /mnt; echo x >/mnt/g; again; [ "$(cat /mnt/g)" = x ]
md5sum -c -s /tmp/s; [ -e /sys/fs/tfs/vda/flushes ]; umount /mnt; [ ! -e /sys/fs/tfs/vda ] || fail "sysfs stays"
blockdev --setro /dev/vda; ! mount -t tfs -o rw /dev/vda /mnt 2>/dev/null || { grep -q '/mnt tfs ro' /proc/mounts || fail "rw on a read-only device"; umount /mnt; }
mount -t tfs -o ro /dev/vda /mnt; md5sum -c -s /tmp/s; umount /mnt; blockdev --setrw /dev/vda
mount -t tfs /dev/vda /mnt; sound
