// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on names. The kernel has checked permissions (default_permissions) and resolved paths; the core gives the
 * errnos. A created inode belongs to the caller; in a set-group-id directory to the directory's group.
 */
#include "kernel/fuse/fuse_host.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void reply_entry(fuse_req_t req, u64 ino)
{
	struct host *h = host_of(req); /* the reply frees the request, also when it fails */
	struct fuse_entry_param e;
	int err = host_entry(h, ino, &e);

	if (err)
		fuse_reply_err(req, -err);
	else if (fuse_reply_entry(req, &e))
		host_inode_drop(h, ino, 1); /* the caller was interrupted */
}

bool host_refused(fuse_req_t req, u64 id, const char *name)
{
	if (!host_slot(id) && !(name && host_snapdir_named(host_of(req), id, name)))
		return false;
	fuse_reply_err(req, EROFS);
	return true;
}

/* "." and ".." are for file handles (NFS, open_by_handle_at), of any inode. */
static int lookup(struct host *h, u64 parent, const char *name, u64 *id)
{
	struct tfs_attr a;
	u64 dir, ino = 0;
	u8 type;
	int err;

	*id = parent;
	if (!strcmp(name, "."))
		return 0;
	if (host_snapdir_named(h, parent, name)) {
		*id = HOST_SNAPDIR;
		return 0;
	}
	if (parent == HOST_SNAPDIR) {
		*id = TFS_INO_ROOT;
		return strcmp(name, "..") ? host_seen_lookup(h, name, id) : 0;
	}
	if (host_slot(parent) && host_ino(parent) == TFS_INO_ROOT && !strcmp(name, "..")) {
		*id = HOST_SNAPDIR;
		return 0;
	}
	dir = host_view_enter(h, parent);
	if (strcmp(name, "..")) {
		err = tfs_lookup(h->vol, dir, name, (u32)strlen(name), &ino, &type);
	} else {
		err = tfs_getattr(h->vol, dir, &a);
		ino = a.parent;
	}
	host_view_leave(h, parent);
	*id = host_id(host_slot(parent), ino);
	return err == -EUCLEAN ? -EIO : err;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	u64 id;
	int err = lookup(host_of(req), parent, name, &id);

	if (err)
		fuse_reply_err(req, -err);
	else
		reply_entry(req, id);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	host_inode_drop(host_of(req), ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		host_inode_drop(host_of(req), f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct host *h = host_of(req);
	char target[TFS_SYMLINK_MAX + 1];
	int n = tfs_readlink(h->vol, host_view_enter(h, ino), target, TFS_SYMLINK_MAX);

	host_view_leave(h, ino);
	if (n < 0) {
		fuse_reply_err(req, -n);
		return;
	}
	target[n] = 0;
	fuse_reply_readlink(req, target);
	host_atime_touch(h, ino);
}

/* ---- creating ---- */

bool host_in_group(fuse_req_t req, gid_t gid)
{
	gid_t list[256];
	int n = fuse_req_getgroups(req, 256, list);

	if (fuse_req_ctx(req)->gid == gid || fuse_req_ctx(req)->uid == 0)
		return true;
	for (int i = 0; i < n && i < 256; i++)
		if (list[i] == gid)
			return true;
	return false;
}

/* Owner, group and the set-group-id bit as Linux's own filesystems give them. */
static int owner_set(fuse_req_t req, u64 parent, struct tfs_create *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct tfs_attr dir;
	int err = tfs_getattr(host_of(req)->vol, parent, &dir);

	if (err)
		return err;
	c->uid = ctx->uid;
	c->gid = ctx->gid;
	if (!(dir.mode & S_ISGID))
		return 0;
	c->gid = dir.gid;
	if (S_ISDIR(c->mode))
		c->mode |= S_ISGID;
	else if ((c->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !host_in_group(req, dir.gid))
		c->mode &= ~(u32)S_ISGID;
	return 0;
}

static int create(struct host *h, u64 parent, const char *name, const struct tfs_create *c, u64 *ino)
{
	int err = tfs_create(h->vol, parent, name, (u32)strlen(name), c, ino);

	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_create(h->vol, parent, name, (u32)strlen(name), c, ino);
	return err;
}

static void name_take_back(struct host *h, u64 parent, const char *name, bool dir)
{
	u64 ino = 0;

	if (!tfs_unlink(h->vol, parent, name, (u32)strlen(name), dir, &ino))
		host_inode_unnamed(h, ino);
}

static int make(fuse_req_t req, u64 parent, const char *name, struct tfs_create *c, u64 *ino)
{
	struct host *h = host_of(req);
	int err = owner_set(req, parent, c), acl = 0;
	u32 mode;

	if (!err)
		err = acl = host_acl_default(h, parent, &c->mode, fuse_req_ctx(req)->umask);
	if (err < 0)
		return err;
	mode = c->mode;
	if (acl)
		c->mode &= ~(u32)(S_IRWXG | S_IRWXO); /* until its list is there, which bounds them */
	err = create(h, parent, name, c, ino);
	if (err || !acl)
		return err;
	err = host_acl_hand_down(h, *ino, mode, (u32)acl);
	if (err)
		name_take_back(h, parent, name, S_ISDIR(mode));
	return err;
}

static void make_and_reply(fuse_req_t req, u64 parent, const char *name, struct tfs_create *c)
{
	u64 ino;
	int err;

	if (host_refused(req, parent, name))
		return;
	err = make(req, parent, name, c, &ino);
	if (err)
		fuse_reply_err(req, -err);
	else
		reply_entry(req, ino);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct tfs_create c = {.mode = mode, .rdev_major = major(rdev), .rdev_minor = minor(rdev)};

	make_and_reply(req, parent, name, &c);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct tfs_create c = {.mode = S_IFDIR | mode};

	make_and_reply(req, parent, name, &c);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct tfs_create c = {.mode = S_IFLNK | 0777, .target = target, .target_len = (u32)strlen(target)};

	make_and_reply(req, parent, name, &c);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct tfs_create c = {.mode = S_IFREG | (mode & 07777)};
	struct host *h = host_of(req);
	struct fuse_entry_param e;
	u64 ino;
	int err;

	if (host_refused(req, parent, name))
		return;
	err = make(req, parent, name, &c, &ino);
	if (!err)
		err = host_entry(h, ino, &e);
	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	fi->keep_cache = 1;
	host_inode_find(h, ino)->opens++;
	if (fuse_reply_create(req, &e, fi))
		host_inode_drop(h, ino, 1);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct host *h = host_of(req);
	int err;

	if (host_refused(req, parent, name))
		return;
	err = host_slot(ino) ? -EXDEV : tfs_link(h->vol, ino, parent, name, (u32)strlen(name));
	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_link(h->vol, ino, parent, name, (u32)strlen(name));
	if (err)
		fuse_reply_err(req, -err);
	else
		reply_entry(req, ino);
}

/* ---- removing and renaming ---- */

static void name_remove(fuse_req_t req, u64 parent, const char *name, bool dir)
{
	u64 ino = 0;
	int err;

	if (host_refused(req, parent, name))
		return;
	err = tfs_unlink(host_of(req)->vol, parent, name, (u32)strlen(name), dir, &ino);
	if (!err)
		host_inode_unnamed(host_of(req), ino);
	fuse_reply_err(req, -err);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	name_remove(req, parent, name, false);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	name_remove(req, parent, name, true);
}

/* Replacing by rename must never leave an empty file behind: what is unwritten of the new one goes first. */
static int write_before_replace(struct host *h, u64 parent, const char *name, u64 new_parent, const char *new_name)
{
	u64 ino, target;
	u8 type;

	if (tfs_lookup(h->vol, parent, name, (u32)strlen(name), &ino, &type) ||
	    tfs_lookup(h->vol, new_parent, new_name, (u32)strlen(new_name), &target, &type))
		return 0;
	return tfs_cache_flush(h->cache, ino);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
               unsigned flags)
{
	struct host *h = host_of(req);
	u32 len = (u32)strlen(name), new_len = (u32)strlen(new_name);
	u64 victim = 0;
	int err;

	if (host_refused(req, parent, name) || host_refused(req, new_parent, new_name))
		return;
	err = write_before_replace(h, parent, name, new_parent, new_name);
	if (!err)
		err = tfs_rename(h->vol, parent, name, len, new_parent, new_name, new_len, flags, &victim);
	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_rename(h->vol, parent, name, len, new_parent, new_name, new_len, flags, &victim);
	if (!err)
		host_inode_unnamed(h, victim);
	fuse_reply_err(req, -err);
}
