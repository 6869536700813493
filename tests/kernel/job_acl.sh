# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# POSIX ACLs: mode and mask, inheritance, chmod, permission checks, O_TMPFILE; kept over a mount.
fresh; mkdir /mnt/a; kfeat acl /mnt/a; again; kfeat acl-after /mnt/a; sound
# a malformed one, which only a crafted volume has: EIO for who needs it and a message, nothing granted; it can be removed
mutate /dev/vda acl-all
mount -t tfs /dev/vda /mnt; kfeat acl-malformed /mnt/a
dmesg | grep -q 'tfs: vda: inode [0-9]*: system.posix_acl_access is malformed' || fail "no message"
sound
