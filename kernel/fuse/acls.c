// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX ACLs. The kernel asks for the lists and obeys them; what it leaves to the filesystem is done here: setting a
 * list sets the mode, chmod changes the list, and what is made in a directory takes over its default list, in place of
 * the umask. Each of these is more than one record. They are in an order in which a crash between them leaves nobody
 * with more rights than before or after.
 */
#include "kernel/fuse/fuse_host.h"
#include "tfs/port.h"
#include "tfs/user/acl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool host_acl_name(const char *name)
{
	return !strcmp(name, TFS_ACL_ACCESS) || !strcmp(name, TFS_ACL_DEFAULT);
}

int host_acl_get(struct host *h, u64 ino, const char *name)
{
	int n = tfs_getxattr(h->vol, ino, name, (u32)strlen(name), h->buf, TFS_ACL_MAX);
	const char *wrong = n < 0 ? NULL : tfs_acl_check(h->buf, (u32)n);

	if (!wrong)
		return n;
	if (h->acl_told != ino) /* the kernel asks again and again */
		tfs_port_log(NULL, 0, "inode %llu: %s: %s; remove it with setfattr -x, or run fsck.tfs",
		             (unsigned long long)ino, name, wrong);
	h->acl_told = ino;
	return -EIO;
}

/* Length of a list of the inode, in h->buf; 0: none. */
static int acl_get(struct host *h, u64 ino, const char *name)
{
	int n = host_acl_get(h, ino, name);

	return n == -ENODATA ? 0 : n;
}

static int acl_put(struct host *h, u64 ino, const char *name, const void *value, u32 len)
{
	int err = tfs_setxattr(h->vol, ino, name, (u32)strlen(name), value, len, 0);

	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_setxattr(h->vol, ino, name, (u32)strlen(name), value, len, 0);
	return err;
}

int host_acl_remove(struct host *h, u64 ino, const char *name)
{
	int err = tfs_removexattr(h->vol, ino, name, (u32)strlen(name));

	return err == -ENODATA ? 0 : err;
}

static int mode_put(struct host *h, u64 ino, u32 mode)
{
	struct tfs_attr a = {.mode = mode};

	return tfs_setattr(h->vol, ino, TFS_SET_MODE, &a);
}

static int access_set(struct host *h, u64 ino, struct tfs_attr *a, const void *value, u32 len, bool keep_sgid)
{
	u32 mode = (a->mode & ~0777u) | tfs_acl_mode(value, len);
	int err;

	if (!keep_sgid)
		mode &= ~(u32)S_ISGID;
	if (tfs_acl_minimal(value, len)) { /* the group's bits stop being a mask before the list goes */
		err = mode_put(h, ino, mode);
		return err ? err : host_acl_remove(h, ino, TFS_ACL_ACCESS);
	}
	err = acl_put(h, ino, TFS_ACL_ACCESS, value, len);
	return err ? err : mode_put(h, ino, mode);
}

int host_acl_set(struct host *h, u64 ino, const char *name, const void *value, u32 len, bool keep_sgid)
{
	struct tfs_attr a;
	int err = tfs_getattr(h->vol, ino, &a);

	if (err)
		return err;
	if (!len)
		return host_acl_remove(h, ino, name);
	if (S_ISLNK(a.mode))
		return -EOPNOTSUPP;
	if (tfs_acl_check(value, len))
		return -EINVAL;
	if (!strcmp(name, TFS_ACL_ACCESS))
		return access_set(h, ino, &a, value, len, keep_sgid);
	return S_ISDIR(a.mode) ? acl_put(h, ino, name, value, len) : -EACCES;
}

int host_acl_chmod(struct host *h, u64 ino, u32 mode)
{
	int n = acl_get(h, ino, TFS_ACL_ACCESS);

	if (n <= 0)
		return n;
	tfs_acl_chmod(h->buf, (u32)n, mode);
	return acl_put(h, ino, TFS_ACL_ACCESS, h->buf, (u32)n);
}

int host_acl_default(struct host *h, u64 parent, u32 *mode, u32 umask)
{
	int n;

	if (S_ISLNK(*mode))
		return 0;
	n = h->acls ? acl_get(h, parent, TFS_ACL_DEFAULT) : 0;
	if (!n)
		*mode &= ~umask;
	return n;
}

int host_acl_hand_down(struct host *h, u64 ino, u32 mode, u32 len)
{
	int err = S_ISDIR(mode) ? acl_put(h, ino, TFS_ACL_DEFAULT, h->buf, len) : 0;

	tfs_acl_inherit(h->buf, len, mode);
	mode = (mode & ~0777u) | tfs_acl_mode(h->buf, len);
	if (!err && !tfs_acl_minimal(h->buf, len))
		err = acl_put(h, ino, TFS_ACL_ACCESS, h->buf, len);
	return err ? err : mode_put(h, ino, mode);
}
