/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module: what its files share. The core has one caller at a time: sbi->lock. Lock order:
 *   i_rwsem, invalidate_lock, sbi->writeback (one writer has the staging buffers), folio, sbi->lock.
 * Under sbi->lock no folio is locked, no user memory touched, and allocation does not enter a filesystem.
 */
#ifndef TFS_LINUX_H
#define TFS_LINUX_H

#include "compat.h"
#include "tfs/tfs.h"

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#define TFS_SUPER_MAGIC 0x54465376
#define TFS_WINDOW_BLOCKS (1u << (TFS_WINDOW_BITS - TFS_BLOCK_BITS))
#define TFS_WINDOW_BYTES (1u << TFS_WINDOW_BITS)

struct tfs_bdev {
	struct tfs_dev dev; /* first */
	struct block_device *bdev;
	atomic_t in_flight;
	wait_queue_head_t wait;
	int error; /* of a write that was deferred: given to the next call */
};

struct tfs_sb {
	struct super_block *sb;
	struct tfs_vol *vol;
	struct tfs_bdev bdev;
	struct mutex lock;
	unsigned int nofs; /* of the holder of lock */
	struct mutex writeback;
	u8 *staging, *encoded; /* a window each, under writeback */
	struct delayed_work checkpoint;
	bool volume_read_only;
};

struct tfs_inode_info {
	u64 parent; /* directories */
	struct timespec64 btime;
	struct inode vfs_inode;
};

static inline struct tfs_sb *tfs_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}
static inline struct tfs_inode_info *tfs_info(struct inode *inode)
{
	return container_of(inode, struct tfs_inode_info, vfs_inode);
}
static inline struct tfs_vol *tfs_enter(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);

	mutex_lock(&s->lock);
	s->nofs = memalloc_nofs_save();
	return s->vol;
}
static inline void tfs_leave(struct super_block *sb)
{
	memalloc_nofs_restore(tfs_sb(sb)->nofs);
	mutex_unlock(&tfs_sb(sb)->lock);
}
/* What userspace sees of the core's errors: damage is EIO for a file. */
static inline int tfs_user_err(int err)
{
	return err == -EUCLEAN ? -EIO : err;
}

/* bdev.c */
int tfs_bdev_open(struct tfs_bdev *d, struct block_device *bdev, bool read_only);

/* inode.c */
struct inode *tfs_iget(struct super_block *sb, u64 ino);
/* After an operation of the core: link count, times and size (directories) as the volume has them. */
int tfs_refresh(struct inode *inode);
struct tfs_time tfs_time_in(struct timespec64 t);
int tfs_setattr_op(tfs_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int tfs_getattr_op(tfs_idmap *idmap, const struct path *path, struct kstat *st, u32 mask, unsigned int flags);
void tfs_evict_inode(struct inode *inode);
int tfs_write_inode(struct inode *inode, struct writeback_control *wbc);
extern const struct inode_operations tfs_file_inode_ops, tfs_special_inode_ops, tfs_symlink_inode_ops;
const char *tfs_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done);

/* namei.c, dir.c, xattr.c */
extern const struct inode_operations tfs_dir_inode_ops;
extern const struct file_operations tfs_dir_ops;
ssize_t tfs_listxattr_op(struct dentry *dentry, char *buf, size_t size);
extern const struct xattr_handler *tfs_xattr_handlers[];

/* pages.c, file.c */
extern const struct address_space_operations tfs_aops;
extern const struct file_operations tfs_file_ops;
int tfs_reserve_block(struct super_block *sb); /* -ENOSPC after trying to write back */
void tfs_unreserve_blocks(struct super_block *sb, unsigned int n);
/* The folio (locked) takes over a reservation of one block, or it has one and this one goes back. */
void tfs_reservation_keep(struct folio *folio);
extern const struct vm_operations_struct tfs_vm_ops;
int tfs_fsync(struct file *file, loff_t from, loff_t to, int datasync);
int tfs_truncate_op(struct inode *inode, loff_t size);

#endif
