// SPDX-License-Identifier: GPL-2.0
/* Extended attributes: user, trusted and security, stored under their full names; POSIX ACLs are in acl.c. */
#include "tfs_linux.h"

#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/xattr.h>

static int full_name(const struct xattr_handler *h, const char *name, char out[XATTR_NAME_MAX + 1])
{
	int n = snprintf(out, XATTR_NAME_MAX + 1, "%s%s", h->prefix, name);

	return n > XATTR_NAME_MAX ? -ERANGE : n;
}

static int get(const struct xattr_handler *h, struct dentry *dentry, struct inode *inode, const char *name, void *buf,
               size_t size)
{
	char full[XATTR_NAME_MAX + 1];
	int n = full_name(h, name, full);

	if (n < 0)
		return n;
	if (tfs_is_snapdir(inode))
		return -ENODATA;
	n = tfs_getxattr(tfs_enter_inode(inode), inode->i_ino, full, n, buf, min_t(size_t, size, TFS_XATTR_MAX));
	tfs_leave_inode(inode);
	return tfs_user_err(n);
}

static int set(const struct xattr_handler *h, tfs_idmap *idmap, struct dentry *dentry, struct inode *inode,
               const char *name, const void *value, size_t size, int flags)
{
	char full[XATTR_NAME_MAX + 1];
	u32 how = (flags & XATTR_CREATE ? TFS_XATTR_CREATE : 0) | (flags & XATTR_REPLACE ? TFS_XATTR_REPLACE : 0);
	int n = full_name(h, name, full), err;
	struct tfs_vol *vol;
	bool again = false;

	if (n < 0)
		return n;
	if (tfs_of_snapshots(inode))
		return -EROFS;
	do {
		vol = tfs_enter(inode->i_sb);
		if (value)
			err = tfs_setxattr(vol, inode->i_ino, full, n, value, size, how);
		else
			err = tfs_removexattr(vol, inode->i_ino, full, n);
		tfs_leave(inode->i_sb);
	} while (tfs_space_retry(inode->i_sb, err, &again));
	return err ? tfs_user_err(err) : tfs_refresh(inode);
}

static const struct xattr_handler user_handler = {.prefix = XATTR_USER_PREFIX, .get = get, .set = set};
static const struct xattr_handler trusted_handler = {.prefix = XATTR_TRUSTED_PREFIX, .get = get, .set = set};
static const struct xattr_handler security_handler = {.prefix = XATTR_SECURITY_PREFIX, .get = get, .set = set};

/* What a security module wants on a new inode. */
static int security_set(struct inode *inode, const struct xattr *list, void *data)
{
	char full[XATTR_NAME_MAX + 1];
	int err = 0;

	for (; !err && list->name; list++) {
		int n = full_name(&security_handler, list->name, full);

		if (n < 0)
			return n;
		err = tfs_setxattr(tfs_enter(inode->i_sb), inode->i_ino, full, n, list->value, list->value_len, 0);
		tfs_leave(inode->i_sb);
	}
	return tfs_user_err(err);
}

int tfs_security_inherit(struct inode *inode, struct inode *dir, const struct qstr *name)
{
	return security_inode_init_security(inode, dir, name, security_set, NULL);
}

ssize_t tfs_listxattr_op(struct dentry *dentry, char *buf, size_t size)
{
	struct inode *inode = d_inode(dentry);
	char *all = kvmalloc(XATTR_LIST_MAX, GFP_KERNEL), *name;
	ssize_t n, used = 0;

	if (!all)
		return -ENOMEM;
	n = tfs_listxattr(tfs_enter_inode(inode), inode->i_ino, all, XATTR_LIST_MAX);
	tfs_leave_inode(inode);
	for (name = all; n > 0 && name < all + n; name += strlen(name) + 1) {
		size_t len = strlen(name) + 1;

		if (!strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) && !capable(CAP_SYS_ADMIN))
			continue;
		if (buf && used + len > size) {
			n = -ERANGE;
			break;
		}
		if (buf)
			memcpy(buf + used, name, len);
		used += len;
	}
	kvfree(all);
	return n < 0 ? tfs_user_err(n) : used;
}

const struct xattr_handler *tfs_xattr_handlers[] = {&user_handler, &trusted_handler, &security_handler,
                                                    TFS_ACL_HANDLERS NULL};
