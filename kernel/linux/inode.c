// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes: reading, attributes, eviction. The VFS inode holds size and times of a file that has unwritten data; the
 * volume learns them with each written window. Everything else is an operation of the core at once.
 */
#include "acl.h"

#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/xattr.h>

struct tfs_time tfs_time_in(struct timespec64 t)
{
	return (struct tfs_time){.sec = tfs_cpu64(t.tv_sec), .nsec = tfs_cpu32(t.tv_nsec)};
}

static struct timespec64 time_out(const struct tfs_time *t)
{
	return (struct timespec64){.tv_sec = (s64)tfs_le64(t->sec), .tv_nsec = tfs_le32(t->nsec)};
}

/* ---- reading ---- */

static void ops_set(struct inode *inode, const struct tfs_attr *a)
{
	inode->i_mapping->a_ops = &tfs_aops;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &tfs_file_inode_ops;
		inode->i_fop = &tfs_file_ops;
		break;
	case S_IFDIR:
		inode->i_op = &tfs_dir_inode_ops;
		inode->i_fop = &tfs_dir_ops;
		break;
	case S_IFLNK:
		inode->i_op = &tfs_symlink_inode_ops;
		break;
	default:
		inode->i_op = &tfs_special_inode_ops;
		init_special_inode(inode, inode->i_mode, MKDEV(a->rdev_major, a->rdev_minor));
	}
	if (tfs_info(inode)->seen)
		tfs_seen_ops_set(inode);
}

static void attr_set(struct inode *inode, const struct tfs_attr *a)
{
	inode->i_mode = a->mode;
	i_uid_write(inode, a->uid);
	i_gid_write(inode, a->gid);
	set_nlink(inode, a->nlink);
	inode->i_generation = a->generation;
	inode->i_blocks = a->blocks * (TFS_BLOCK / 512);
	inode_set_atime_to_ts(inode, time_out(&a->atime));
	inode_set_mtime_to_ts(inode, time_out(&a->mtime));
	inode_set_ctime_to_ts(inode, time_out(&a->ctime));
	tfs_info(inode)->btime = time_out(&a->btime);
	tfs_info(inode)->parent = a->parent;
}

struct inode_key {
	struct tfs_seen *seen;
	u64 ino;
};

static int key_test(struct inode *inode, void *data)
{
	const struct inode_key *k = data;

	return inode->i_ino == k->ino && tfs_info(inode)->seen == k->seen;
}

static int key_set(struct inode *inode, void *data)
{
	const struct inode_key *k = data;

	inode->i_ino = k->ino;
	tfs_info(inode)->seen = k->seen;
	if (k->seen)
		atomic_inc(&k->seen->refs);
	return 0;
}

struct inode *tfs_iget_new(struct super_block *sb, struct tfs_seen *seen, u64 ino)
{
	struct inode_key k = {seen, ino};

	return iget5_locked(sb, ino + (seen ? seen->view.epoch * 31 : 0), key_test, key_set, &k);
}

struct inode *tfs_iget_seen(struct super_block *sb, struct tfs_seen *seen, u64 ino)
{
	struct inode *inode = tfs_iget_new(sb, seen, ino);
	struct tfs_attr a;
	int err;

	if (!inode || !(inode->i_state & I_NEW))
		return inode ? inode : ERR_PTR(-ENOMEM);
	err = tfs_getattr(tfs_enter_inode(inode), ino, &a);
	tfs_leave_inode(inode);
	if (err) {
		iget_failed(inode);
		return ERR_PTR(err == -ENOENT ? -ESTALE : tfs_user_err(err));
	}
	attr_set(inode, &a);
	i_size_write(inode, a.size);
	ops_set(inode, &a);
	unlock_new_inode(inode);
	return inode;
}

struct inode *tfs_iget(struct super_block *sb, u64 ino)
{
	return tfs_iget_seen(sb, NULL, ino);
}

struct inode *tfs_ilookup(struct super_block *sb, u64 ino)
{
	struct inode_key k = {NULL, ino};

	return ilookup5(sb, ino, key_test, &k);
}

int tfs_refresh(struct inode *inode)
{
	struct timespec64 mtime = inode_get_mtime(inode), atime = inode_get_atime(inode);
	struct tfs_attr a;
	int err;

	err = tfs_getattr(tfs_enter(inode->i_sb), inode->i_ino, &a);
	tfs_leave(inode->i_sb);
	if (err)
		return tfs_user_err(err);
	attr_set(inode, &a);
	inode_set_atime_to_ts(inode, atime);
	if (S_ISREG(inode->i_mode)) /* the VFS inode may know of later writes */
		inode_set_mtime_to_ts(inode, mtime);
	else
		i_size_write(inode, a.size);
	return 0;
}

/* ---- attributes ---- */

int tfs_getattr_op(tfs_idmap *idmap, const struct path *path, struct kstat *st, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);

	tfs_fillattr(idmap, mask, inode, st);
	if (tfs_info(inode)->seen)
		st->dev = tfs_info(inode)->seen->dev;
	st->btime = tfs_info(inode)->btime;
	st->result_mask |= STATX_BTIME;
	st->blksize = TFS_WINDOW_BYTES;
	/* inline or not written yet: no hole, as tar and cp would think */
	if (S_ISREG(inode->i_mode) && st->size && !st->blocks &&
	    (st->size <= TFS_INLINE_MAX || mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	     mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK)))
		st->blocks = 1;
	return 0;
}

static u32 attr_mask(struct inode *inode, const struct iattr *attr, struct tfs_attr *a)
{
	u32 mask = 0;

	if (attr->ia_valid & ATTR_MODE)
		a->mode = attr->ia_mode, mask |= TFS_SET_MODE;
	if (attr->ia_valid & ATTR_UID)
		a->uid = from_kuid(i_user_ns(inode), attr->ia_uid), mask |= TFS_SET_UID;
	if (attr->ia_valid & ATTR_GID)
		a->gid = from_kgid(i_user_ns(inode), attr->ia_gid), mask |= TFS_SET_GID;
	if (attr->ia_valid & ATTR_ATIME)
		a->atime = tfs_time_in(attr->ia_atime), mask |= TFS_SET_ATIME;
	if (attr->ia_valid & ATTR_MTIME)
		a->mtime = tfs_time_in(attr->ia_mtime), mask |= TFS_SET_MTIME;
	if (attr->ia_valid & ATTR_CTIME)
		a->ctime = tfs_time_in(attr->ia_ctime), mask |= TFS_SET_CTIME;
	return mask;
}

int tfs_setattr_op(tfs_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct tfs_attr a = {0};
	u32 mask;
	int err = setattr_prepare(idmap, dentry, attr);

	if (!err && attr->ia_valid & ATTR_SIZE)
		err = tfs_truncate_op(inode, attr->ia_size);
	/* a later write back must not undo the time given now */
	if (!err && attr->ia_valid & ATTR_MTIME && S_ISREG(inode->i_mode))
		err = filemap_write_and_wait(inode->i_mapping);
	if (err)
		return err;
	setattr_copy(idmap, inode, attr);
	/* the mode as setattr_copy left it: without set-group-id where the caller is not in the group */
	mask = attr_mask(inode, attr, &a);
	a.mode = inode->i_mode;
	err = tfs_setattr(tfs_enter(inode->i_sb), inode->i_ino, mask, &a);
	tfs_leave(inode->i_sb);
	if (err)
		tfs_refresh(inode); /* nothing changed: nor does it show */
	else if (attr->ia_valid & ATTR_MODE)
		err = tfs_acl_chmod(idmap, dentry);
	return tfs_user_err(err);
}

/* Data carries mtime and ctime along when it is written back; atime is an operation of its own (relatime keeps it
 * rare). */
TFS_UPDATE_TIME(update_time_op)
{
	struct timespec64 now = tfs_time_given(inode);
	struct tfs_attr a;
	int err = 0;

	if (flags & S_CTIME)
		inode_set_ctime_to_ts(inode, now);
	if (flags & S_MTIME)
		inode_set_mtime_to_ts(inode, now);
	if (flags & (S_CTIME | S_MTIME))
		__mark_inode_dirty(inode, I_DIRTY_SYNC);
	if (!(flags & S_ATIME))
		return 0;
	inode_set_atime_to_ts(inode, now);
	err = tfs_getattr(tfs_enter(inode->i_sb), inode->i_ino, &a);
	a.atime = tfs_time_in(now);
	if (!err) /* ctime stays */
		err = tfs_setattr(tfs_sb(inode->i_sb)->vol, inode->i_ino, TFS_SET_ATIME | TFS_SET_CTIME, &a);
	tfs_leave(inode->i_sb);
	return tfs_user_err(err);
}

/* Times that no data carried, as of a write that failed half-way or a store through mmap of what was dirty already. */
int tfs_write_inode(struct inode *inode, struct writeback_control *wbc)
{
	struct tfs_attr a,
	    now = {.mtime = tfs_time_in(inode_get_mtime(inode)), .ctime = tfs_time_in(inode_get_ctime(inode))};
	struct tfs_vol *vol;
	int err;

	if (!S_ISREG(inode->i_mode) || !inode->i_nlink || tfs_of_snapshots(inode))
		return 0;
	vol = tfs_enter(inode->i_sb);
	err = tfs_getattr(vol, inode->i_ino, &a);
	if (!err && memcmp(&a.mtime, &now.mtime, sizeof(now.mtime)))
		err = tfs_setattr(vol, inode->i_ino, TFS_SET_MTIME | TFS_SET_CTIME, &now);
	tfs_leave(inode->i_sb);
	return tfs_user_err(err);
}

void tfs_lines_save(struct inode *inode, loff_t end)
{
	loff_t size = i_size_read(inode);
	u64 from;
	int unsent;

	if (!mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) &&
	    !mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK))
		return;
	unsent = tfs_ship_unsent(tfs_enter(inode->i_sb), inode->i_ino, size, &from);
	tfs_leave(inode->i_sb);
	if (unsent > 0) /* an error is what it is for any writer that does not sync */
		filemap_write_and_wait_range(inode->i_mapping, max_t(loff_t, min(size, end) - TFS_SHIP_KEPT_MAX, 0),
		                             LLONG_MAX);
}

void tfs_evict_inode(struct inode *inode)
{
	struct tfs_seen *seen = tfs_info(inode)->seen;
	bool gone = !inode->i_nlink && !is_bad_inode(inode) && !sb_rdonly(inode->i_sb) && !tfs_of_snapshots(inode);
	int more, tries = 0;

	if (gone)
		sb_start_intwrite(inode->i_sb); /* the last close may come while the volume is frozen */
	if (gone && S_ISREG(inode->i_mode))
		tfs_lines_save(inode, LLONG_MAX);
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (seen)
		tfs_seen_put(inode->i_sb, seen);
	if (!gone)
		return;
	do { /* in bounded steps: others get in between */
		more = tfs_evict(tfs_enter(inode->i_sb), inode->i_ino);
		tfs_leave(inode->i_sb);
		cond_resched();
	} while (more > 0 || tfs_insist(more, &tries)); /* another error: the next mount goes on */
	if (S_ISREG(inode->i_mode))
		tfs_ship_ended(inode);
	sb_end_intwrite(inode->i_sb);
}

/* ---- symlinks ---- */

const char *tfs_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)
{
	char *target;
	int n;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	target = kmalloc(TFS_SYMLINK_MAX + 1, GFP_KERNEL);
	if (!target)
		return ERR_PTR(-ENOMEM);
	n = tfs_readlink(tfs_enter_inode(inode), inode->i_ino, target, TFS_SYMLINK_MAX);
	tfs_leave_inode(inode);
	if (n < 0) {
		kfree(target);
		return ERR_PTR(tfs_user_err(n));
	}
	target[n] = 0;
	set_delayed_call(done, kfree_link, target);
	return target;
}

const struct inode_operations tfs_file_inode_ops = {
    .getattr = tfs_getattr_op,
    .setattr = tfs_setattr_op,
    .listxattr = tfs_listxattr_op,
    .update_time = update_time_op,
    TFS_ACL_OPS,
    .fiemap = tfs_fiemap,
};
const struct inode_operations tfs_special_inode_ops = {
    .getattr = tfs_getattr_op,
    .setattr = tfs_setattr_op,
    .listxattr = tfs_listxattr_op,
    .update_time = update_time_op,
    TFS_ACL_OPS,
};
const struct inode_operations tfs_symlink_inode_ops = {
    .get_link = tfs_get_link,
    .getattr = tfs_getattr_op,
    .setattr = tfs_setattr_op,
    .listxattr = tfs_listxattr_op,
};
