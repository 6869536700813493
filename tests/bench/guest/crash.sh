# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# All mounted at once and worked on; when each has done enough, the host kills the machine: see mount.sh.
for fs in $fss; do
	disk=$(disk_of $fs); mkdir -p /m/$fs; mount -t "$(type_of $fs)" -o noatime /dev/$disk /m/$fs || echo "no mount of $fs" >&2
	mkdir /m/$fs/f /m/$fs/s; files create /m/$fs/f $((files / 5)); syncs append /m/$fs/s 4 $((syncs / 8)) || exit 1
done
for fs in $fss; do syncs overwrite /m/$fs/s 1 50; done
echo x >/dev/ack; for fs in $fss; do syncs create /m/$fs/s 4 100000 & done; wait
