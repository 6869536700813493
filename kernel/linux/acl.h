/* SPDX-License-Identifier: GPL-2.0 */
/* POSIX ACLs of inodes: what the tables of inode operations name, and inheritance for namei.c. */
#ifndef TFS_ACL_H
#define TFS_ACL_H

#include "tfs_linux.h"

#include <linux/posix_acl.h>

struct posix_acl *tfs_get_acl(struct inode *inode, int type, bool rcu);
TFS_SET_ACL(tfs_set_acl);
/* Stores what posix_acl_create gave for a new inode; either may be NULL. */
int tfs_acl_inherit(struct inode *inode, struct posix_acl *access, struct posix_acl *def);

#endif
