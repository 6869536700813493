// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX ACLs, as extended attributes in the form user space knows (ids of the initial user namespace), so that
 * mkfs.tfs, dump.tfs and backups carry them like any other. An access ACL and the mode are two records: between them a
 * crash leaves the ACL with the old group bits, never wider than either. Called by the VFS under i_rwsem, reading under
 * no lock.
 */
#include "acl.h"

#include <linux/posix_acl_xattr.h>
#include <linux/slab.h>
#include <linux/xattr.h>

static const char *name_of(int type)
{
	return type == ACL_TYPE_ACCESS ? XATTR_NAME_POSIX_ACL_ACCESS : XATTR_NAME_POSIX_ACL_DEFAULT;
}

/* What is stored, if it is a list that the kernel would have taken; with any other nobody gets in. */
static struct posix_acl *from_value(struct inode *inode, int type, const void *value, int n)
{
	struct posix_acl *acl = posix_acl_from_xattr(&init_user_ns, value, n);
	int err = IS_ERR(acl) ? PTR_ERR(acl) : acl ? posix_acl_valid(&init_user_ns, acl) : -EINVAL;

	if (!err || err == -ENOMEM)
		return acl;
	if (!IS_ERR(acl))
		posix_acl_release(acl);
	pr_err_ratelimited("tfs: %s: inode %lu: %s is malformed: remove it with setfattr -x, or run fsck.tfs\n",
	                   inode->i_sb->s_id, inode->i_ino, name_of(type));
	return ERR_PTR(-EIO);
}

struct posix_acl *tfs_get_acl(struct inode *inode, int type, bool rcu)
{
	const char *name = name_of(type);
	struct posix_acl *acl;
	void *value;
	int n;

	if (rcu)
		return ERR_PTR(-ECHILD);
	n = tfs_getxattr(tfs_enter_inode(inode), inode->i_ino, name, strlen(name), NULL, 0);
	tfs_leave_inode(inode);
	if (n < 0)
		return n == -ENODATA ? NULL : ERR_PTR(tfs_user_err(n));
	if (!n)
		return from_value(inode, type, NULL, 0);
	value = kvmalloc(n, GFP_KERNEL);
	if (!value)
		return ERR_PTR(-ENOMEM);
	n = tfs_getxattr(tfs_enter_inode(inode), inode->i_ino, name, strlen(name), value, n);
	tfs_leave_inode(inode);
	acl = n > 0 ? from_value(inode, type, value, n) : n == -ENODATA ? NULL : ERR_PTR(tfs_user_err(n));
	kvfree(value);
	return acl;
}

static int store(struct inode *inode, int type, const struct posix_acl *acl)
{
	const char *name = name_of(type);
	size_t size = acl ? posix_acl_xattr_size(acl->a_count) : 0;
	void *value = NULL;
	int err = 0;

	if (acl) {
		value = kvmalloc(size, GFP_KERNEL);
		if (!value)
			return -ENOMEM;
		err = posix_acl_to_xattr(&init_user_ns, acl, value, size);
		err = err < 0 ? err : 0;
	}
	if (!err) {
		struct tfs_vol *vol = tfs_enter(inode->i_sb);

		err = acl ? tfs_setxattr(vol, inode->i_ino, name, strlen(name), value, size, 0)
		          : tfs_removexattr(vol, inode->i_ino, name, strlen(name));
		tfs_leave(inode->i_sb);
	}
	kvfree(value);
	return err == -ENODATA ? 0 : tfs_user_err(err);
}

static int mode_set(struct inode *inode, umode_t mode)
{
	struct tfs_attr a = {.mode = mode};
	int err = tfs_setattr(tfs_enter(inode->i_sb), inode->i_ino, TFS_SET_MODE, &a);

	tfs_leave(inode->i_sb);
	return tfs_user_err(err);
}

TFS_SET_ACL(tfs_set_acl)
{
	struct inode *inode = TFS_ACL_INODE;
	umode_t mode = inode->i_mode;
	int err = 0;

	if (tfs_of_snapshots(inode))
		return -EROFS;
	if (type == ACL_TYPE_ACCESS && acl)
		err = posix_acl_update_mode(idmap, inode, &mode, &acl); /* equal to a mode: acl becomes NULL */
	if (!err)
		err = store(inode, type, acl);
	if (!err && mode != inode->i_mode)
		err = mode_set(inode, mode);
	if (!err)
		err = tfs_refresh(inode);
	if (!err)
		set_cached_acl(inode, type, acl);
	return err;
}

int tfs_acl_inherit(struct inode *inode, struct posix_acl *access, struct posix_acl *def)
{
	int err = def ? store(inode, ACL_TYPE_DEFAULT, def) : 0;

	if (!err && access)
		err = store(inode, ACL_TYPE_ACCESS, access);
	if (err)
		return err;
	set_cached_acl(inode, ACL_TYPE_ACCESS, access); /* NULL: known not to be there */
	set_cached_acl(inode, ACL_TYPE_DEFAULT, def);
	return 0;
}
