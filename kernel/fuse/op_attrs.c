// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes, xattrs and statfs. The kernel clears set-id bits and checks owners before it asks; what comes here is
 * done. POSIX ACLs are acls.c's.
 */
#include "kernel/fuse/fuse_host.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int err = host_stat(host_of(req), ino, &st);

	(void)fi;
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, host_of(req)->timeout);
}

static u32 attr_mask(const struct stat *st, int set, struct tfs_attr *a)
{
	u32 mask = 0;

	if (set & FUSE_SET_ATTR_MODE)
		a->mode = st->st_mode, mask |= TFS_SET_MODE;
	if (set & FUSE_SET_ATTR_UID)
		a->uid = st->st_uid, mask |= TFS_SET_UID;
	if (set & FUSE_SET_ATTR_GID)
		a->gid = st->st_gid, mask |= TFS_SET_GID;
	if (set & FUSE_SET_ATTR_ATIME)
		a->atime = set & FUSE_SET_ATTR_ATIME_NOW ? host_now() : host_time(&st->st_atim), mask |= TFS_SET_ATIME;
	if (set & FUSE_SET_ATTR_MTIME)
		a->mtime = set & FUSE_SET_ATTR_MTIME_NOW ? host_now() : host_time(&st->st_mtim), mask |= TFS_SET_MTIME;
	return mask;
}

/* mode: what it will be otherwise. */
static bool group_bit_goes(fuse_req_t req, u32 mode, const struct tfs_attr *now)
{
	return fuse_req_ctx(req)->uid && (mode & (S_ISGID | S_IXGRP)) == S_ISGID && !S_ISDIR(now->mode) &&
	       !host_in_group(req, now->gid);
}

int host_group_bit_drop(fuse_req_t req, u64 ino)
{
	struct host *h = host_of(req);
	struct tfs_attr a;

	if (!fuse_req_ctx(req)->uid || tfs_getattr(h->vol, ino, &a) || !group_bit_goes(req, a.mode, &a))
		return 0;
	a.mode &= ~(u32)S_ISGID;
	return tfs_setattr(h->vol, ino, TFS_SET_MODE, &a);
}

/* A size or owner that changes; the kernel may have put a mode without set-user-id beside it. Nothing set: a chown of
 * nothing, or what comes before a write of others, which op_write sees to: only the owner's is taken for a chown. */
static int content_or_owner(fuse_req_t req, u64 ino, int set, struct tfs_attr *a)
{
	struct tfs_attr now;
	int err = tfs_getattr(host_of(req)->vol, ino, &now);

	if (err || !group_bit_goes(req, set & FUSE_SET_ATTR_MODE ? a->mode : now.mode, &now))
		return err;
	if (!set && fuse_req_ctx(req)->uid != now.uid)
		return 0;
	if (!(set & FUSE_SET_ATTR_MODE))
		return host_group_bit_drop(req, ino);
	a->mode &= ~(u32)S_ISGID;
	return 0;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	struct tfs_attr a = {0};
	struct host_inode *i = host_inode_find(h, ino);
	struct stat out;
	u32 mask = attr_mask(st, set, &a);
	int err = 0;

	(void)fi;
	if (host_refused(req, ino, NULL))
		return;
	if (!set || set & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		err = content_or_owner(req, ino, set, &a);
	if (!err && set & FUSE_SET_ATTR_SIZE) {
		err = tfs_cache_truncate(h->cache, ino, (u64)st->st_size);
		if (!err && i && !st->st_size)
			i->emptied = true;
	}
	if (!err && mask & TFS_SET_MODE && h->acls)
		err = host_acl_chmod(h, ino, a.mode);
	/* a later write back must not undo the time given now */
	if (!err && mask & TFS_SET_MTIME)
		err = tfs_cache_flush(h->cache, ino);
	if (!err && (mask || !(set & FUSE_SET_ATTR_SIZE))) /* chown of nothing still changes ctime */
		err = tfs_setattr(h->vol, ino, mask, &a);
	if (!err)
		err = host_stat(h, ino, &out);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &out, h->timeout);
}

/* ---- xattrs ---- */

static bool offered(const struct host *h, const char *name)
{
	return (h->acls && host_acl_name(name)) || !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
	       !strncmp(name, "security.", 9);
}

static int acl_set(fuse_req_t req, u64 ino, const char *name, const void *value, u32 size)
{
	struct host *h = host_of(req);
	struct tfs_attr a;
	int err = h->read_only ? -EROFS : tfs_getattr(h->vol, ino, &a);

	return err ? err : host_acl_set(h, ino, name, value, size, host_in_group(req, a.gid));
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	u32 how = (flags & XATTR_CREATE ? TFS_XATTR_CREATE : 0) | (flags & XATTR_REPLACE ? TFS_XATTR_REPLACE : 0);
	struct host *h = host_of(req);
	int err = !offered(h, name) ? -EOPNOTSUPP : !strchr(name, '.')[1] ? -EINVAL : size > TFS_XATTR_MAX ? -E2BIG : 0;

	if (host_refused(req, ino, NULL))
		return;
	if (!err && host_acl_name(name)) {
		fuse_reply_err(req, -acl_set(req, ino, name, value, (u32)size));
		return;
	}
	if (!err)
		err = tfs_setxattr(h->vol, ino, name, (u32)strlen(name), value, (u32)size, how);
	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_setxattr(h->vol, ino, name, (u32)strlen(name), value, (u32)size, how);
	fuse_reply_err(req, -err);
}

static void reply_bytes(fuse_req_t req, int n, size_t size)
{
	if (n < 0)
		fuse_reply_err(req, -n);
	else if (!size)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, (char *)host_of(req)->buf, (size_t)n);
}

static void reply_acl(fuse_req_t req, int n, size_t size)
{
	reply_bytes(req, n > 0 && size && (size_t)n > size ? -ERANGE : n, size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct host *h = host_of(req);
	u32 room = size > HOST_READ_MAX ? HOST_READ_MAX : (u32)size;
	u64 in;
	int n;

	if (!offered(h, name) || ino == HOST_SNAPDIR) {
		fuse_reply_err(req, ino == HOST_SNAPDIR ? ENODATA : EOPNOTSUPP);
		return;
	}
	in = host_view_enter(h, ino);
	n = host_acl_name(name) ? host_acl_get(h, in, name)
	                        : tfs_getxattr(h->vol, in, name, (u32)strlen(name), h->buf, room);
	host_view_leave(h, ino);
	if (host_acl_name(name))
		reply_acl(req, n, size);
	else
		reply_bytes(req, n, size);
}

/* trusted. names are for the administrator only. */
static int list_filter(char *names, int n)
{
	int kept = 0;

	for (int at = 0, len; at < n; at += len) {
		len = (int)strlen(names + at) + 1;
		if (!strncmp(names + at, "trusted.", 8))
			continue;
		memmove(names + kept, names + at, (size_t)len);
		kept += len;
	}
	return kept;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct host *h = host_of(req);
	int n = 0;

	if (ino != HOST_SNAPDIR) {
		n = tfs_listxattr(h->vol, host_view_enter(h, ino), (char *)h->buf, HOST_READ_MAX);
		host_view_leave(h, ino);
	}
	if (n > 0 && fuse_req_ctx(req)->uid)
		n = list_filter((char *)h->buf, n);
	if (n > 0 && size && (size_t)n > size)
		n = -ERANGE;
	if (n > 65536)
		n = -E2BIG;
	reply_bytes(req, n, size);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct host *h = host_of(req);

	if (host_refused(req, ino, NULL))
		return;
	if (!offered(h, name))
		fuse_reply_err(req, EOPNOTSUPP);
	else if (host_acl_name(name))
		fuse_reply_err(req, -host_acl_remove(h, ino, name));
	else
		fuse_reply_err(req, -tfs_removexattr(h->vol, ino, name, (u32)strlen(name)));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs out = {0};
	struct tfs_stat st;

	(void)ino;
	tfs_statfs(host_of(req)->vol, &st);
	out.f_bsize = out.f_frsize = TFS_BLOCK;
	out.f_blocks = st.blocks;
	out.f_bfree = st.free;
	out.f_bavail = st.available;
	/* inodes are made as they are needed: as many as there is room for */
	out.f_ffree = out.f_favail = st.available * 4;
	out.f_files = st.inodes + out.f_ffree;
	out.f_namemax = TFS_NAME_MAX;
	fuse_reply_statfs(req, &out);
}
