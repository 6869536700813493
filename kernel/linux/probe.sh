#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Which form of an interface the kernel's headers have, found by looking and not by version: Debian's kernels carry backports.
# usage: probe.sh HEADERS (the common folder) > tfs_probe.h
set -eu
inc=$1/include/linux
has() { # NAME FILE PATTERN
	[ -e "$inc/$2" ] || { echo "probe.sh: $inc/$2 is missing: expected the headers of a kernel" >&2; exit 1; }
	if grep -qE "$3" "$inc/$2"; then echo "#define TFS_HAS_$1 1"; else echo "#define TFS_HAS_$1 0"; fi
}
echo "/* made by kernel/linux/probe.sh */"
has IDMAP fs.h 'int \(\*create\) \(struct mnt_idmap'
has TIME_ACCESSORS fs.h 'inode_set_mtime_to_ts'
has FILLATTR_MASK fs.h 'generic_fillattr\(struct mnt_idmap \*, u32'
has UPDATE_TIME_NOW fs.h '\(\*update_time\)\(struct inode \*, struct timespec64'
has WRITE_BEGIN_FOLIO fs.h 'struct folio \*\*foliop, void'
has WRITEPAGE_FOLIO writeback.h 'typedef int \(\*writepage_t\)\(struct folio'
has XATTR_CONST fs.h 'const struct xattr_handler \* const \*s_xattr'
has SPLICE_FILEMAP fs.h 'ssize_t filemap_splice_read'
has GET_INODE_ACL fs.h 'posix_acl \* \(\*get_inode_acl\)'
has BDEV_FREEZE blkdev.h 'int bdev_freeze\(struct block_device'
