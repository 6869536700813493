// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of tfs/ioctl.h on a mounted volume: copied in, done by the core (tfs/admin.c), copied out. All but
 * TFS_IOC_INFO need CAP_SYS_ADMIN, what changes something a mount that may be written. Before a snapshot all dirty
 * pages are written; its checkpoint, as that of all that changes snapshots, goes in steps (sync.c). What a deleted
 * snapshot held is freed by a work item, a few steps at a time, beside everything else; a mount goes on with it.
 */
#include "tfs_linux.h"
#include "tfs/ioctl.h"

#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define FREEING_STEPS 32 /* in a row */
#define FREEING_RETRY (HZ / 2)

static_assert(TFS_IOC_INFO == _IOWR(TFS_IOC_LETTER, 1, struct tfs_ioc_info));

/* ---- freeing ---- */

/* Steps are short, and others get in between. 1: there is more to do; 0: not, or not before the volume can be written
 * again, which begins anew. */
static int freeing_steps(struct super_block *sb)
{
	struct tfs_vol *vol;
	int i, more = 1;

	for (i = 0; i < FREEING_STEPS && more > 0; i++) {
		vol = tfs_enter_writing(sb);
		if (!vol)
			return 0;
		more = tfs_snapshot_step(vol);
		tfs_leave(sb);
		cond_resched();
	}
	return more;
}

void tfs_freeing_work(struct work_struct *work)
{
	struct tfs_sb *s = container_of(work, struct tfs_sb, freeing.work);
	int more = -EAGAIN; /* frozen */

	if (sb_start_intwrite_trylock(s->sb)) {
		more = freeing_steps(s->sb);
		sb_end_intwrite(s->sb);
	}
	if (more > 0)
		queue_delayed_work(s->work_queue, &s->freeing, 0);
	else if (more == -EAGAIN || more == -ENOMEM)
		queue_delayed_work(s->work_queue, &s->freeing, FREEING_RETRY);
}

/* ---- requests ---- */

/* What is written back meanwhile, and what is done, comes with the snapshot or not: it holds all that was before. */
static int written_back(struct super_block *sb)
{
	int err;

	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);
	return err;
}

static int snapshot_create(struct super_block *sb, void *arg)
{
	bool again = false;
	int err;

	do {
		err = written_back(sb);
		if (err)
			return err;
		err = tfs_snapshot_steps(sb, TFS_IOC_SNAPSHOT_CREATE, arg);
	} while (tfs_space_retry(sb, err, &again));
	return err;
}

/* ---- blocks that a snapshot holds ---- */

/* Is the snapshot there? And the request, is it one that the core would do? */
static int raw_check(struct super_block *sb, struct tfs_ioc_raw *q)
{
	u64 to = q->to;
	u32 bytes = q->bytes;
	int err;

	q->to = q->bytes = 0;
	err = tfs_admin(tfs_enter(sb), TFS_IOC_RAW, q);
	tfs_leave(sb);
	q->to = to;
	q->bytes = bytes;
	return err;
}

/* The device is read under no lock. A snapshot that is there before and after was there all the time: no epoch is used
 * twice, and so what it holds was not written over. */
static int raw_read(struct super_block *sb, struct tfs_ioc_raw *q)
{
	struct tfs_dev *dev = &tfs_sb(sb)->bdev.dev;
	void *buf;
	int err;

	if (q->bytes % TFS_BLOCK || q->bytes > (q->to ? TFS_IOC_RAW_MAX : TFS_IOC_RAW_DATA))
		return -EINVAL;
	err = raw_check(sb, q);
	if (err || !q->bytes)
		return err;
	buf =
	    kvmalloc(q->bytes, GFP_KERNEL); /* not q->data: devices want memory that begins with a sector (dm-crypt) */
	if (!buf)
		return -ENOMEM;
	err = q->offset + q->bytes > dev->size ? -EINVAL : dev->ops->io(dev, TFS_IO_READ, q->offset, buf, q->bytes, 0);
	if (!err)
		err = raw_check(sb, q);
	if (!err && !q->to)
		memcpy(q->data, buf, q->bytes);
	else if (!err && copy_to_user(u64_to_user_ptr(q->to), buf, q->bytes))
		err = -EFAULT;
	kvfree(buf);
	return err;
}

/* ---- all ---- */

static int request_do(struct super_block *sb, unsigned int request, void *arg)
{
	int err;

	switch (request) {
	case TFS_IOC_SNAPSHOT_CREATE:
		return snapshot_create(sb, arg);
	case TFS_IOC_RAW:
		return raw_read(sb, arg);
	case TFS_IOC_SNAPSHOT_RENAME:
	case TFS_IOC_SNAPSHOT_HOLD:
	case TFS_IOC_SNAPSHOT_RELEASE:
		return tfs_snapshot_steps(sb, request, arg);
	case TFS_IOC_SNAPSHOT_DELETE:
		err = tfs_snapshot_steps(sb, request, arg);
		if (!err)
			mod_delayed_work(tfs_sb(sb)->work_queue, &tfs_sb(sb)->freeing, 0);
		return err;
	}
	err = tfs_admin(tfs_enter(sb), request, arg);
	tfs_leave(sb);
	if (!err && request == TFS_IOC_COMPACT)
		tfs_compactor_wake(tfs_sb(sb));
	if (!err && (request == TFS_IOC_SHIP_ADD || request == TFS_IOC_SHIP_REMOVE))
		tfs_ship_rules_changed(tfs_sb(sb));
	return err;
}

static bool changes(unsigned int request, const void *arg)
{
	switch (request) {
	case TFS_IOC_DEFRAG:
		return !(((const struct tfs_ioc_defrag *)arg)->flags & TFS_DEFRAG_LOOK);
	case TFS_IOC_INFO:
	case TFS_IOC_SPREAD:
	case TFS_IOC_SNAPSHOT_NEXT:
	case TFS_IOC_ITEMS:
	case TFS_IOC_RAW:
	case TFS_IOC_SHIP_NEXT:
	case TFS_IOC_SHIP_FILES:
	case TFS_IOC_SHIP_READ:
	case TFS_IOC_SCRUB:
		return false;
	default:
		return true;
	}
}

long tfs_admin_ioctl(struct file *file, unsigned int request, void __user *to)
{
	struct super_block *sb = file_inode(file)->i_sb;
	size_t bytes = _IOC_SIZE(request);
	bool change = false;
	void *arg;
	int err;

	if (request != TFS_IOC_INFO && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	arg = kvmalloc(bytes, GFP_KERNEL);
	if (!arg)
		return -ENOMEM;
	err = copy_from_user(arg, to, bytes) ? -EFAULT : 0;
	if (!err) {
		change = changes(request, arg);
		err = change ? mnt_want_write_file(file) : 0;
	}
	if (err)
		goto out;
	err = tfs_user_err(request_do(sb, request, arg));
	if (change)
		mnt_drop_write_file(file);
	if (!err && copy_to_user(to, arg, bytes))
		err = -EFAULT;
out:
	kvfree(arg);
	return err;
}
