// SPDX-License-Identifier: GPL-2.0
/* Ioctls on any file of the volume: FITRIM, shutting it down by the number XFS gave that, and those of admin.c. */
#include "tfs_linux.h"
#include "tfs/ioctl.h"

#include <linux/blkdev.h>
#include <linux/mount.h>
#include <linux/uaccess.h>

#define TFS_IOC_SHUTDOWN _IOR('X', 125, u32)

/* A segment at a time under the core's lock: what is trimmed cannot be taken meanwhile. */
static int trim(struct super_block *sb, struct fstrim_range *range)
{
	u64 end = range->start + range->len, done = 0, segment;
	struct tfs_stat st;
	int err = 0;

	if (end < range->start)
		end = ~0ull;
	tfs_statfs(tfs_enter(sb), &st);
	tfs_leave(sb);
	if (range->start >= st.size)
		return -EINVAL;
	for (segment = 0; !err && segment < st.segments; segment++) {
		err = tfs_trim(tfs_enter(sb), segment, range->start, min(end, st.size), range->minlen, &done);
		tfs_leave(sb);
		if (fatal_signal_pending(current))
			err = -ERESTARTSYS;
		cond_resched();
	}
	range->len = done;
	return tfs_user_err(err);
}

static int trim_ioctl(struct file *file, struct fstrim_range __user *arg)
{
	struct super_block *sb = file_inode(file)->i_sb;
	struct fstrim_range range;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!bdev_max_discard_sectors(sb->s_bdev))
		return -EOPNOTSUPP;
	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	err = mnt_want_write_file(file);
	if (err)
		return err;
	/* what was dropped since the last checkpoint still belongs to it: take one first */
	err = tfs_checkpoint(tfs_enter(sb));
	tfs_leave(sb);
	err = err ? tfs_user_err(err) : trim(sb, &range);
	mnt_drop_write_file(file);
	if (!err && copy_to_user(arg, &range, sizeof(range)))
		err = -EFAULT;
	return err;
}

long tfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	u32 flags;

	switch (cmd) {
	case FITRIM:
		return trim_ioctl(file, (struct fstrim_range __user *)arg);
	case TFS_IOC_SHUTDOWN:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		if (get_user(flags, (u32 __user *)arg))
			return -EFAULT;
		return tfs_shutdown_op(file_inode(file)->i_sb, flags);
	case TFS_IOC_SHIP_AGENT:
		return tfs_desk_open(tfs_sb(file_inode(file)->i_sb));
	default:
		if (_IOC_TYPE(cmd) == TFS_IOC_LETTER)
			return tfs_admin_ioctl(file, cmd, (void __user *)arg);
		return -ENOTTY;
	}
}
