# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What test_features.sh puts before each job: a fresh volume on /dev/vda, mounted on /mnt; `again` unmounts and mounts;
# `sound` unmounts and checks. A job ends with the first command that fails.
set -e
fail() { echo "FAILED: $*"; exit 1; }
fresh() { mkfs.tfs -q -f "$@" /dev/vda; mount -t tfs $OPTIONS /dev/vda /mnt; }
again() { umount /mnt; mount -t tfs "$@" /dev/vda /mnt; }
sound() { umount /mnt; fsck.tfs -fn --data /dev/vda >/tmp/fsck || { cat /tmp/fsck; fail fsck; }; }
counter() { cat /sys/fs/tfs/vda/$1; }
