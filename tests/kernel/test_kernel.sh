#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module in real kernels: every kernel that is installed with its headers boots in QEMU, a volume is mounted read-write,
# filled, unmounted, mounted and read again; the differential stream of system calls gives the same results as ext4; the host
# finds the volume sound. usage: test_kernel.sh [VERSION]...   Exit 77: no kernel, headers or QEMU here.
set -u
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d) failed=0 ran=0
trap 'rm -rf "$tmp"' EXIT
command -v qemu-system-x86_64 >/dev/null && [ -x /bin/busybox ] || { echo "SKIPPED: qemu-system-x86 or busybox-static is missing"; exit 77; }
cat >"$tmp/job.sh" <<'J'
set -e
mkdir -p /ref; mount -t tfs /dev/vda /mnt; mount -t ext4 /dev/vdb /ref
mkdir /mnt/d; dd if=/dev/urandom of=/mnt/d/r bs=64k count=160 2>/dev/null; md5sum /mnt/d/r >/tmp/sum
cp -r /lib /bin /mnt/d/; (cd /; find lib bin -type f | sort | xargs md5sum) >/tmp/sums
umount /mnt; mount -t tfs /dev/vda /mnt
md5sum -c -s /tmp/sum; (cd /mnt/d && md5sum -c -s /tmp/sums); rm -r /mnt/d
dd if=/dev/zero of=/mnt/fill bs=1M 2>/dev/null && false || true; df /mnt; rm /mnt/fill; dd if=/dev/urandom of=/mnt/again bs=1M count=50 2>/dev/null; rm /mnt/again
mkdir -p /ref/p/r /mnt/r; chmod 777 /ref/p/r /mnt/r
for seed in 1 2; do differ-static /ref/p/r /mnt/r $seed 8000; done
umount /mnt
J
gcc -O1 -static -o "$tmp/differ-static" tests/fuse/differ.c || exit 1
for k in ${*:-$(ls /lib/modules)}; do
	[ -e "/boot/vmlinuz-$k" ] && [ -e "/usr/src/linux-headers-$k" ] || continue
	ran=1; echo "== $k"
	kernel/linux/build.sh "$k" || { failed=1; continue; }
	rm -f "$tmp/t" "$tmp/e"; truncate -s 256M "$tmp/e"; mke2fs -q -F -t ext4 "$tmp/e"; build/bin/mkfs.tfs -q "$tmp/t" 256M
	T=900 PROGRAMS="$tmp/differ-static" tests/kernel/guest.sh "$k" "$tmp/job.sh" "$tmp/t" "$tmp/e" ||
		{ echo "FAILED in the guest; repeat: tests/kernel/test_kernel.sh $k"; failed=1; }
	build/bin/fsck.tfs -fn --data "$tmp/t" || failed=1
done
[ $ran = 1 ] || { echo "SKIPPED: no kernel with its headers is installed"; exit 77; }
exit $failed
