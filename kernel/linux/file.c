// SPDX-License-Identifier: GPL-2.0
/*
 * Files: read and write through the page cache (O_DIRECT falls back to it and is written through), fsync, truncate,
 * fallocate, seeking data and holes.
 */
#include "tfs_linux.h"

#include <linux/falloc.h>
#include <linux/splice.h>
#include <linux/uio.h>

static int open(struct inode *inode, struct file *file)
{
	file->f_mode |= FMODE_CAN_ODIRECT;
	return generic_file_open(inode, file);
}

static ssize_t read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	if (iocb->ki_flags & IOCB_NOWAIT && iocb->ki_flags & IOCB_DIRECT)
		return -EAGAIN;
	iocb->ki_flags &= ~IOCB_DIRECT;
	return generic_file_read_iter(iocb, to);
}

static ssize_t write_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	inode_lock(inode);
	n = generic_write_checks(iocb, from);
	if (n > 0 && iocb->ki_pos > i_size_read(inode))
		tfs_tail_zero(inode, i_size_read(inode));
	if (n > 0)
		n = __generic_file_write_iter(iocb, from);
	inode_unlock(inode);
	return n > 0 ? generic_write_sync(iocb, n) : n;
}

static ssize_t write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	bool direct = iocb->ki_flags & IOCB_DIRECT;
	loff_t pos;
	ssize_t n;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	iocb->ki_flags &= ~IOCB_DIRECT;
	n = write_locked(iocb, from);
	if (n > 0 && direct) { /* errors show here, as direct writes' would */
		int err;

		pos = iocb->ki_pos - n;
		err = filemap_write_and_wait_range(iocb->ki_filp->f_mapping, pos, iocb->ki_pos - 1);
		if (err)
			return err;
	}
	return n;
}

static int mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &tfs_vm_ops;
	return 0;
}

int tfs_fsync(struct file *file, loff_t from, loff_t to, int datasync)
{
	struct inode *inode = file_inode(file);
	int err = file_write_and_wait_range(file, from, to);

	if (err)
		return err;
	if (!datasync)
		err = tfs_write_inode(inode, NULL);
	return err ? tfs_user_err(err) : tfs_sync_wait(inode->i_sb);
}

/* ---- truncate and fallocate: under i_rwsem ---- */

static int truncate_volume(struct inode *inode, loff_t size)
{
	struct tfs_attr a;
	struct tfs_vol *vol = tfs_enter(inode->i_sb);
	int err = tfs_truncate(vol, inode->i_ino, size);

	if (!err && !tfs_getattr(vol, inode->i_ino, &a))
		inode->i_blocks = a.blocks * (TFS_BLOCK / 512);
	tfs_leave(inode->i_sb);
	return tfs_user_err(err);
}

int tfs_truncate_op(struct inode *inode, loff_t size)
{
	loff_t old = i_size_read(inode);
	struct timespec64 now = current_time(inode);
	int err = 0;

	if (S_ISDIR(inode->i_mode))
		return -EISDIR;
	filemap_invalidate_lock(inode->i_mapping);
	/* what stays and is not written goes first: the record must not come before it */
	if (size)
		err = filemap_write_and_wait_range(inode->i_mapping, 0, min(size, old) - 1);
	if (!err && size < old)
		tfs_lines_save(inode, old);
	if (!err && size > old)
		tfs_tail_zero(inode, old);
	if (!err) {
		/* a write back between the record and the new size would let the file grow again */
		mutex_lock(&tfs_info(inode)->writeback);
		err = truncate_volume(inode, size);
		if (!err)
			i_size_write(inode, size);
		mutex_unlock(&tfs_info(inode)->writeback);
	}
	if (!err && size < old)
		truncate_pagecache(inode, size);
	else if (!err && size > old)
		pagecache_isize_extended(inode, old, size);
	filemap_invalidate_unlock(inode->i_mapping);
	if (!err) {
		inode_set_mtime_to_ts(inode, now);
		inode_set_ctime_to_ts(inode, now);
		mark_inode_dirty(inode);
	}
	return err;
}

/* Bytes of one page become zeros, through the cache. -EAGAIN: not yet. */
static int zero_part_once(struct inode *inode, loff_t pos, unsigned int len)
{
	struct page *page;
	struct folio *folio;
	int got = tfs_reserve_block(inode, pos >> PAGE_SHIFT), err;

	if (got < 0)
		return got;
	page = read_mapping_page(inode->i_mapping, pos >> PAGE_SHIFT, NULL);
	if (IS_ERR(page)) {
		tfs_unreserve_block(inode->i_sb, got);
		return PTR_ERR(page);
	}
	folio = page_folio(page);
	folio_lock(folio);
	if (folio->mapping != inode->i_mapping) { /* i_rwsem keeps truncate out: only a failed read takes it away */
		folio_unlock(folio);
		folio_put(folio);
		tfs_unreserve_block(inode->i_sb, got);
		return -EIO;
	}
	err = tfs_reservation_keep(folio, got);
	if (!err) {
		folio_zero_range(folio, offset_in_folio(folio, pos), len);
		folio_mark_dirty(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

static int zero_part(struct inode *inode, loff_t pos, unsigned int len)
{
	int err;

	do
		err = zero_part_once(inode, pos, len);
	while (err == -EAGAIN);
	return err;
}

static int blocks_punch(struct inode *inode, loff_t first, loff_t last)
{
	int err = filemap_write_and_wait_range(inode->i_mapping, first, last - 1);

	if (err)
		return err;
	truncate_pagecache_range(inode, first, last - 1);
	err = tfs_punch(tfs_enter(inode->i_sb), inode->i_ino, first >> PAGE_SHIFT, (last - first) >> PAGE_SHIFT);
	tfs_leave(inode->i_sb);
	return tfs_user_err(err);
}

/* [from, to) below the size reads as zeros; whole blocks become a hole. That first: lines which are to be forwarded are
 * copied as they were. */
static int zero_range(struct inode *inode, loff_t from, loff_t to)
{
	loff_t first = round_up(from, PAGE_SIZE), last = round_down(to, PAGE_SIZE), size = i_size_read(inode);
	int err = 0;

	if (to >= size) {
		to = size;
		last = round_up(size, PAGE_SIZE);
	}
	if (from >= to)
		return 0;
	if (first > last ||
	    (first == last && first > from && last < to && from >> PAGE_SHIFT == (to - 1) >> PAGE_SHIFT))
		return zero_part(inode, from, to - from);
	tfs_lines_save(inode, to);
	if (first < last)
		err = blocks_punch(inode, first, last);
	if (!err && first > from)
		err = zero_part(inode, from, min(first, to) - from);
	if (!err && last < to && last >= first)
		err = zero_part(inode, last, to - last);
	return err;
}

static int preallocate(struct inode *inode, loff_t off, loff_t len, bool keep_size)
{
	u64 first = off >> PAGE_SHIFT, last = round_up(off + len, PAGE_SIZE) >> PAGE_SHIFT;
	bool grow = !keep_size && off + len > i_size_read(inode);
	bool again = false;
	int err = filemap_write_and_wait(inode->i_mapping);

	if (err)
		return err;
	if (grow)
		tfs_tail_zero(inode, i_size_read(inode));
	do {
		err = tfs_preallocate(tfs_enter(inode->i_sb), inode->i_ino, first, last - first, grow ? off + len : 0);
		tfs_leave(inode->i_sb);
	} while (tfs_space_retry(inode->i_sb, err, &again));
	if (!err && grow)
		i_size_write(inode, off + len);
	return tfs_user_err(err);
}

static long fallocate(struct file *file, int mode, loff_t off, loff_t len)
{
	struct inode *inode = file_inode(file);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	struct timespec64 ctime, recorded;
	long err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	inode_lock(inode);
	/* nothing there: nothing changes, no time and no set-id bit either, where ext4 does so too */
	if (!TFS_PUNCH_ALWAYS_MODIFIES && mode & FALLOC_FL_PUNCH_HOLE && off >= i_size_read(inode)) {
		inode_unlock(inode);
		return 0;
	}
	err = keep ? 0 : inode_newsize_ok(inode, off + len);
	if (!err)
		err = file_modified(file);
	filemap_invalidate_lock(inode->i_mapping);
	if (!err && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		err = zero_range(inode, off, off + len);
	if (!err && !(mode & FALLOC_FL_PUNCH_HOLE))
		err = preallocate(inode, off, len, keep);
	filemap_invalidate_unlock(inode->i_mapping);
	ctime = inode_get_ctime(inode);
	if (!err)
		tfs_refresh(inode);
	recorded = inode_get_ctime(inode);
	/* parts of pages alone: their data carries it, when it is written */
	if (timespec64_compare(&recorded, &ctime) < 0)
		inode_set_ctime_to_ts(inode, ctime);
	inode_unlock(inode);
	return err;
}

static loff_t llseek(struct file *file, loff_t off, int whence)
{
	struct inode *inode = file_inode(file);
	s64 at;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, off, whence);
	if (off < 0)
		return -ENXIO;
	inode_lock_shared(inode);
	at = filemap_write_and_wait(inode->i_mapping);
	if (!at) {
		at = tfs_seek(tfs_enter_inode(inode), inode->i_ino, off, whence == SEEK_HOLE);
		tfs_leave_inode(inode);
	}
	inode_unlock_shared(inode);
	return at < 0 ? tfs_user_err(at) : vfs_setpos(file, at, inode->i_sb->s_maxbytes);
}

const struct file_operations tfs_file_ops = {
    .open = open,
    .llseek = llseek,
    .read_iter = read_iter,
    .write_iter = write_iter,
    .mmap = mmap,
    .fsync = tfs_fsync,
    .fallocate = fallocate,
    .remap_file_range = tfs_remap_op,
    .unlocked_ioctl = tfs_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .splice_write = iter_file_splice_write,
    .splice_read = TFS_SPLICE_READ,
};
