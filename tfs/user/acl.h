/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * POSIX access control lists as extended attributes hold them: acl(5) says what they mean, the values are in the form
 * that Linux gives and takes (version 2, little endian), and so they stand in the volume. Always: what is made or
 * changed here is valid when what came in was. Pure computation; called by tfs-fuse, which has to do for the kernel
 * what a filesystem does: keep mode and list in step, and hand lists down to what is made in a directory. mkfs.tfs and
 * fsck.tfs ask whether a value is an ACL at all.
 */
#ifndef TFS_USER_ACL_H
#define TFS_USER_ACL_H

#include "tfs/format.h"

#define TFS_ACL_ACCESS "system.posix_acl_access"
#define TFS_ACL_DEFAULT "system.posix_acl_default"
#define TFS_ACL_MAX 65536u /* bytes of a value */

/* NULL, or a static text of what is wrong with a value. */
const char *tfs_acl_check(const void *value, u32 len);
/* The same of an extended attribute of any name: NULL also when it is no ACL. */
const char *tfs_acl_named(const void *name, u32 name_len, const void *value, u32 len);
/* Of a valid value: the nine permission bits that it stands for. */
u32 tfs_acl_mode(const void *value, u32 len);
/* Does a valid value say no more than those nine bits? Then it need not be kept. */
bool tfs_acl_minimal(const void *value, u32 len);
/* chmod: the value's own classes (owner, mask or else group, others) become mode's. */
void tfs_acl_chmod(void *value, u32 len, u32 mode);
/* A default list becomes the list of what is made with this mode: no class gets more than both give. */
void tfs_acl_inherit(void *value, u32 len, u32 mode);

#endif
