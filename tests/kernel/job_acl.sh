# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# POSIX ACLs: mode and mask, inheritance, chmod, permission checks, O_TMPFILE; kept over a mount.
fresh; mkdir /mnt/a; kfeat acl /mnt/a; again; kfeat acl-after /mnt/a; sound
