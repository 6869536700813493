# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Damage: of data it is EIO for its reader, a message that names it, and nothing else; of a node the policy of errors= acts.
fresh --compress none
dd if=/dev/urandom of=/mnt/data bs=64k count=2 2>/dev/null; echo fine >/mnt/fine
mkdir /mnt/d; i=0; while [ $i -lt 1500 ]; do echo $i >/mnt/d/$i; i=$((i + 1)); done
ino=$(stat -c %i /mnt/data); umount /mnt
flip() { printf '\377\000\377\000' | dd of=/dev/vda bs=1 seek=$(($1 * 512 + 100)) conv=notrunc 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches; }
data=$(dump.tfs -q object /dev/vda $ino | sed -n 's/.*extent.* addr=\([0-9]*\) .*/\1/p' | head -1)
[ -n "$data" ] || fail "no address of the data"
flip $data; mount -t tfs /dev/vda /mnt
! cat /mnt/data >/dev/null 2>&1 || fail "damaged data was read"
dmesg | grep -q "tfs: vda: inode $ino block 0 at unit $data: expected CRC" || fail "no message"
dd if=/mnt/data bs=4k skip=16 2>/dev/null | wc -c | grep -q '^65536$' || fail "sound blocks of it"
[ "$(cat /mnt/fine)" = fine ] && echo more >/mnt/more || fail "others suffer"
umount /mnt
dump.tfs -q tree /dev/vda fs | sed -n 's/.*level=0 addr=\([0-9]*\) .*/\1/p' >/tmp/leaves
[ $(wc -l </tmp/leaves) -gt 8 ] || fail "few leaves"
flip $(sed -n "$(($(wc -l </tmp/leaves) / 2))p" /tmp/leaves) # one that no mount changes: names or inodes of /mnt/d
for e in continue remount-ro; do
	mount -t tfs -o errors=$e /dev/vda /mnt
	! ls -l /mnt/d >/dev/null 2>&1 || fail "damaged node was read"
	case $e in
	continue) grep -q '/mnt tfs rw' /proc/mounts && echo x >/mnt/fine || fail "errors=continue stopped" ;;
	remount-ro) grep -q '/mnt tfs ro' /proc/mounts || fail "errors=remount-ro went on"
		! touch /mnt/x 2>/dev/null || fail "written"
		! mount -o remount,rw /mnt 2>/dev/null || fail "writable again without a new mount" ;;
	esac
	umount /mnt
done
