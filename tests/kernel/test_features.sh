#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What users of ext4 expect of the module, one job a feature (job_*.sh), all in one boot of each kernel. A job's file says
# what it asks. usage: test_features.sh [KERNEL [JOB]...]   KERNEL: a version, or all; JOB: options, acl ... Exit 77: nothing to
# run it on.
set -u
cd "$(dirname "$0")/../.."
here=tests/kernel tmp=$(mktemp -d) failed=0 ran=0
trap 'rm -rf "$tmp"' EXIT
command -v qemu-system-x86_64 >/dev/null && [ -x /bin/busybox ] || { echo "SKIPPED: qemu-system-x86 or busybox-static is missing"; exit 77; }
kernels=${1:-all}; [ $# -gt 0 ] && shift
[ "$kernels" = all ] && kernels=$(ls /lib/modules)
jobs=${*:-options shutdown acl space pages sync handles trace}
gcc -Wall -Wextra -O1 -static -o "$tmp/kfeat" $here/kfeat.c || exit 1
for j in $jobs; do
	echo "cat >/tmp/$j.sh <<'END-OF-JOB'"; cat $here/job_prelude.sh "$here/job_$j.sh" || exit 1; echo "END-OF-JOB"
	echo "echo '-- $j'; sh /tmp/$j.sh || { echo \"FAILED: job $j: \$?\"; dmesg | tail -5; bad=1; umount /mnt 2>/dev/null; }"
done >"$tmp/all.sh"
echo 'exit ${bad:-0}' >>"$tmp/all.sh"
for k in $kernels; do
	[ -e "/boot/vmlinuz-$k" ] && [ -e "/usr/src/linux-headers-$k" ] || continue
	ran=1; echo "== $k"
	kernel/linux/build.sh "$k" || { failed=1; continue; }
	rm -f "$tmp/t" "$tmp/e"; truncate -s 160M "$tmp/t"; truncate -s 16M "$tmp/e"; mke2fs -q -F -t ext4 "$tmp/e"
	T=${T:-580} PROGRAMS="$tmp/kfeat build/bin/mkfs.tfs build/bin/fsck.tfs" $here/guest.sh "$k" "$tmp/all.sh" "$tmp/t" "$tmp/e" || failed=1
done
[ $ran = 1 ] || { echo "SKIPPED: no kernel with its headers is installed"; exit 77; }
exit $failed
