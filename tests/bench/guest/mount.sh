# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Mount times: after the crash that crash.sh prepares, and when all is well.
mount_only() { measure $disk $fs "$what" s 1 mount -t "$(type_of $fs)" -o noatime /dev/$disk /mnt; }
for what in "mount after a crash" "mount, clean"; do
	for fs in $fss; do disk=$(disk_of $fs); echo 3 >/proc/sys/vm/drop_caches; mount_only && { ls /mnt/f >/dev/null; down; }; done
done
