// SPDX-License-Identifier: GPL-2.0
/*
 * FICLONE, FICLONERANGE, FIDEDUPERANGE, and what copy_file_range makes of them: a walk of the core's reflink over both
 * files. Both inodes are locked, and both caches for invalidation, the lower address first; under that both ranges are
 * written back (and compared, for dedupe) by the VFS, and the target's pages go before its content changes: so no store
 * through a mapping is lost between, and none changes what was compared (page_mkwrite waits). Of a call that fails
 * half-way what was cloned stays, as what a copy wrote would.
 */
#include "tfs_linux.h"

static void lock_two(struct inode *in, struct inode *out)
{
	lock_two_nondirectories(in, out);
	filemap_invalidate_lock_two(in->i_mapping, out->i_mapping);
}

static void unlock_two(struct inode *in, struct inode *out)
{
	filemap_invalidate_unlock_two(in->i_mapping, out->i_mapping);
	unlock_two_nondirectories(in, out);
}

/* Times stay: the VFS has them, from file_modified. */
static void blocks_refresh(struct inode *inode)
{
	struct tfs_attr a;

	if (!tfs_getattr(tfs_enter(inode->i_sb), inode->i_ino, &a))
		inode->i_blocks = a.blocks * (TFS_BLOCK / 512);
	tfs_leave(inode->i_sb);
}

/* One step at most; *done: bytes of the range that are through. */
static int step(struct inode *in, loff_t pos_in, struct inode *out, loff_t pos_out, loff_t len,
                const struct tfs_time *mtime, loff_t *done)
{
	u64 blocks = (round_up(len, TFS_BLOCK) - *done) >> TFS_BLOCK_BITS;
	bool again = false;
	s64 n;

	do {
		n = tfs_reflink(tfs_enter(in->i_sb), in->i_ino, (pos_in + *done) >> TFS_BLOCK_BITS, out->i_ino,
		                (pos_out + *done) >> TFS_BLOCK_BITS, blocks, pos_out + len, mtime);
		tfs_leave(in->i_sb);
	} while (n < 0 && tfs_space_retry(in->i_sb, n, &again));
	if (n < 0)
		return tfs_user_err(n);
	*done = min(len, *done + (n << TFS_BLOCK_BITS));
	return 0;
}

static int walk(struct inode *in, loff_t pos_in, struct inode *out, loff_t pos_out, loff_t len, bool dedupe,
                loff_t *done)
{
	struct tfs_time now = tfs_time_in(current_time(out));
	loff_t old = i_size_read(out);
	int err = 0;

	if (pos_out + len > old) /* content that a mapping left behind the end must not show */
		tfs_tail_zero(out, old);
	truncate_pagecache_range(out, round_down(pos_out, PAGE_SIZE), round_up(pos_out + len, PAGE_SIZE) - 1);
	while (!err && *done < len) {
		if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = step(in, pos_in, out, pos_out, len, dedupe ? NULL : &now, done);
		cond_resched();
	}
	if (pos_out + *done > old) {
		i_size_write(out, pos_out + *done);
		pagecache_isize_extended(out, old, pos_out + *done);
	}
	if (*done)
		blocks_refresh(out);
	return err;
}

static bool synced(const struct file *file, const struct inode *inode)
{
	return file->f_flags & O_DSYNC || IS_SYNC(inode);
}

/*
 * The VFS cuts a dedupe amid the target to whole blocks, compares these alone, and then tells that all that was asked for
 * is the same. So the part of a block that it cut off is compared here. More than that is cut by a limit of the process, or
 * by a truncate that came before the locks.
 */
static int rest_compare(struct inode *in, loff_t pos_in, struct inode *out, loff_t pos_out, loff_t len)
{
	struct page *a, *b;
	void *at, *bt;
	int err = 0;

	if (len >= PAGE_SIZE || pos_in + len > i_size_read(in))
		return -EINVAL;
	a = read_mapping_page(in->i_mapping, pos_in >> PAGE_SHIFT, NULL);
	if (IS_ERR(a))
		return PTR_ERR(a);
	b = read_mapping_page(out->i_mapping, pos_out >> PAGE_SHIFT, NULL);
	if (IS_ERR(b)) {
		put_page(a);
		return PTR_ERR(b);
	}
	at = kmap_local_page(a);
	bt = kmap_local_page(b);
	if (memcmp(at, bt, len))
		err = -EBADE;
	kunmap_local(bt);
	kunmap_local(at);
	put_page(b);
	put_page(a);
	return err;
}

loff_t tfs_remap_op(struct file *file_in, loff_t pos_in, struct file *file_out, loff_t pos_out, loff_t len,
                    unsigned int flags)
{
	struct inode *in = file_inode(file_in), *out = file_inode(file_out);
	loff_t done = 0, asked = len;
	int err;

	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	if (tfs_of_snapshots(in) || tfs_of_snapshots(out))
		return -EXDEV;
	lock_two(in, out);
	/* before the size on disk grows past it: windows behind that go in ascending order */
	err = pos_out ? filemap_write_and_wait_range(out->i_mapping, 0, pos_out - 1) : 0;
	if (!err)
		err = generic_remap_file_range_prep(file_in, pos_in, file_out, pos_out, &len, flags);
	if (!err && flags & REMAP_FILE_DEDUP && len < asked)
		err = rest_compare(in, pos_in + len, out, pos_out + len, asked - len);
	if (!err && len)
		err = walk(in, pos_in, out, pos_out, len, flags & REMAP_FILE_DEDUP, &done);
	unlock_two(in, out);
	if (!err && synced(file_out, out))
		err = tfs_sync_wait(out->i_sb);
	/* who asked for all of it is told why it is not */
	return err && (err < 0 && !(done && flags & REMAP_FILE_CAN_SHORTEN)) ? err : done;
}
