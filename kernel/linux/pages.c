// SPDX-License-Identifier: GPL-2.0
/*
 * The page cache. Reading fetches a window at a time. A folio that becomes dirty holds a reservation of one block,
 * marked by its private flag, so that writing back cannot meet ENOSPC. Write back copies dirty folios of one window
 * into a staging buffer under their locks, unlocks them, encodes, and hands the core one atomic record: the checksums
 * are of what is written, whatever mmap stores meanwhile.
 */
#include "tfs_linux.h"

#include <linux/backing-dev.h>
#include <linux/pagevec.h>

/* ---- reservations ---- */

static int reserve(struct super_block *sb)
{
	int err = tfs_reserve(tfs_enter(sb), 1);

	tfs_leave(sb);
	return err;
}

int tfs_reserve_block(struct super_block *sb)
{
	int err = reserve(sb);

	if (err != -ENOSPC)
		return tfs_user_err(err);
	/* what is promised at full size may turn out smaller */
	try_to_writeback_inodes_sb(sb, WB_REASON_FS_FREE_SPACE);
	err = reserve(sb);
	return tfs_user_err(err);
}

void tfs_unreserve_blocks(struct super_block *sb, unsigned int n)
{
	struct tfs_vol *vol = tfs_enter(sb);

	while (n--)
		tfs_unreserve(vol, 1);
	tfs_leave(sb);
}

/* The folio (locked) takes over a reservation, or it has one and this one goes back. */
void tfs_reservation_keep(struct folio *folio)
{
	if (folio_test_private(folio))
		tfs_unreserve_blocks(folio->mapping->host->i_sb, 1);
	else
		folio_attach_private(folio, (void *)1);
}

static bool reservation_take(struct folio *folio)
{
	if (!folio_test_private(folio))
		return false;
	folio_detach_private(folio);
	return true;
}

static void invalidate_folio(struct folio *folio, size_t offset, size_t length)
{
	if (!offset && length == folio_size(folio) && reservation_take(folio))
		tfs_unreserve_blocks(folio->mapping->host->i_sb, 1);
}

static bool release_folio(struct folio *folio, gfp_t gfp)
{
	return !folio_test_private(folio);
}

/* ---- reading ---- */

struct window_buffer {
	u64 index; /* of the window in buf */
	u8 *buf;
	s64 bytes; /* of it, or an error */
};

static void window_get(struct inode *inode, struct window_buffer *w, u64 index)
{
	if (w->index == index)
		return;
	w->index = index;
	w->bytes = tfs_read(tfs_enter(inode->i_sb), inode->i_ino, index << TFS_WINDOW_BITS, w->buf, TFS_WINDOW_BYTES);
	tfs_leave(inode->i_sb);
}

static void folio_fill(struct folio *folio, struct window_buffer *w)
{
	u64 pos = folio_pos(folio);
	u32 in = pos & (TFS_WINDOW_BYTES - 1), n;
	u8 *to;

	window_get(folio->mapping->host, w, pos >> TFS_WINDOW_BITS);
	if (w->bytes < 0) {
		folio_unlock(folio);
		return;
	}
	n = w->bytes > in ? min_t(u64, w->bytes - in, PAGE_SIZE) : 0;
	to = kmap_local_folio(folio, 0);
	memcpy(to, w->buf + in, n);
	memset(to + n, 0, PAGE_SIZE - n);
	kunmap_local(to);
	flush_dcache_folio(folio);
	folio_mark_uptodate(folio);
	folio_unlock(folio);
}

static int read_folio(struct file *file, struct folio *folio)
{
	struct window_buffer w = {.index = ~0ull, .buf = kvmalloc(TFS_WINDOW_BYTES, GFP_NOFS)};
	int err = -ENOMEM;

	if (w.buf) {
		folio_fill(folio, &w);
		err = w.bytes < 0 ? tfs_user_err(w.bytes) : 0;
	} else {
		folio_unlock(folio);
	}
	kvfree(w.buf);
	return err;
}

static void readahead(struct readahead_control *rac)
{
	struct window_buffer w = {.index = ~0ull, .buf = kvmalloc(TFS_WINDOW_BYTES, GFP_NOFS | __GFP_NOWARN)};
	struct folio *folio;

	if (!w.buf)
		return; /* the pages are read one by one */
	while ((folio = readahead_folio(rac)))
		folio_fill(folio, &w);
	kvfree(w.buf);
}

/* ---- writing back ---- */

struct batch {
	struct inode *inode;
	u64 first; /* page */
	unsigned int count, reserved;
	struct folio *folio[TFS_WINDOW_BLOCKS];
};

static int batch_write(struct batch *b)
{
	struct tfs_sb *s = tfs_sb(b->inode->i_sb);
	u64 end = (b->first + b->count) << PAGE_SHIFT, size = min_t(u64, i_size_read(b->inode), end);
	struct tfs_time mtime = tfs_time_in(inode_get_mtime(b->inode));
	struct tfs_encoded e;
	struct tfs_vol *vol;
	struct tfs_attr a;
	int err;

	vol = tfs_enter(s->sb);
	err = tfs_getattr(vol, b->inode->i_ino, &a);
	tfs_leave(s->sb);
	if (err)
		return err;
	if (!b->first && b->count == 1 && i_size_read(b->inode) <= TFS_INLINE_MAX)
		e = (struct tfs_encoded){TFS_CODEC_NONE, 1, TFS_BLOCK, s->staging};
	else
		tfs_encode(a.codec, a.codec_level, s->staging, b->count, s->encoded, &e);
	vol = tfs_enter(s->sb);
	err = tfs_write(vol, b->inode->i_ino, b->first, &e, size, &mtime);
	if (!err && !tfs_getattr(vol, b->inode->i_ino, &a))
		b->inode->i_blocks = a.blocks * (TFS_BLOCK / 512);
	tfs_leave(s->sb);
	return err;
}

/* A file that was removed may have lost its inode item while pages were on their way. */
static int batch_flush(struct batch *b)
{
	unsigned int i;
	int err;

	if (!b->count)
		return 0;
	err = tfs_user_err(batch_write(b));
	if (err == -ENOENT && !b->inode->i_nlink)
		err = 0;
	if (err)
		mapping_set_error(b->inode->i_mapping, err);
	for (i = 0; i < b->count; i++)
		folio_end_writeback(b->folio[i]);
	if (b->reserved)
		tfs_unreserve_blocks(b->inode->i_sb, b->reserved);
	b->count = b->reserved = 0;
	return err;
}

/* The folio is locked and clean; it goes to staging. Past the end of the file nothing but zeros is written. */
static void stage(struct batch *b, struct folio *folio, loff_t size)
{
	u8 *to = tfs_sb(b->inode->i_sb)->staging + b->count * PAGE_SIZE, *from = kmap_local_folio(folio, 0);
	u64 left = size - folio_pos(folio), n = min_t(u64, left, PAGE_SIZE);

	memcpy(to, from, n);
	memset(to + n, 0, PAGE_SIZE - n);
	kunmap_local(from);
	b->reserved += reservation_take(folio);
	b->folio[b->count++] = folio;
}

TFS_WRITEPAGE(write_one)
{
	TFS_WRITEPAGE_FOLIO
	struct batch *b = data;
	loff_t size = i_size_read(b->inode);
	int err = 0;

	if (b->count &&
	    (folio->index != b->first + b->count || folio->index / TFS_WINDOW_BLOCKS != b->first / TFS_WINDOW_BLOCKS))
		err = batch_flush(b);
	if (folio_pos(folio) >= size) { /* cut off meanwhile: its reservation goes when it is invalidated */
		folio_unlock(folio);
		return err;
	}
	if (!b->count)
		b->first = folio->index;
	stage(b, folio, size);
	folio_start_writeback(folio);
	folio_unlock(folio);
	return err;
}

static int writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct tfs_sb *s = tfs_sb(mapping->host->i_sb);
	struct batch b = {.inode = mapping->host};
	unsigned int nofs;
	int err, last;

	mutex_lock(&s->writeback);
	nofs = memalloc_nofs_save();
	err = write_cache_pages(mapping, wbc, write_one, &b);
	last = batch_flush(&b);
	memalloc_nofs_restore(nofs);
	mutex_unlock(&s->writeback);
	return err ? err : last;
}

/* ---- writing into the cache ---- */

static int write_begin(struct file *file, struct address_space *mapping, loff_t pos, unsigned int len,
                       tfs_write_page **out, void **fsdata)
{
	struct super_block *sb = mapping->host->i_sb;
	struct folio *folio;
	struct page *page;
	int err = tfs_reserve_block(sb); /* before the folio is locked */

	if (err)
		return err;
	page = pagecache_get_page(mapping, pos >> PAGE_SHIFT, FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE,
	                          mapping_gfp_mask(mapping));
	if (!page) {
		tfs_unreserve_blocks(sb, 1);
		return -ENOMEM;
	}
	folio = page_folio(page);
	if (!folio_test_uptodate(folio) && len < PAGE_SIZE) {
		struct window_buffer w = {.index = ~0ull, .buf = kvmalloc(TFS_WINDOW_BYTES, GFP_NOFS)};

		if (w.buf) {
			folio_fill(folio, &w); /* unlocks */
			err = w.bytes < 0 ? tfs_user_err(w.bytes) : 0;
		} else {
			folio_unlock(folio);
			err = -ENOMEM;
		}
		kvfree(w.buf);
		if (!err) {
			folio_lock(folio);
			if (folio->mapping != mapping)
				err = -EAGAIN;
			if (err)
				folio_unlock(folio);
		}
		if (err) {
			folio_put(folio);
			tfs_unreserve_blocks(sb, 1);
			return err == -EAGAIN ? write_begin(file, mapping, pos, len, out, fsdata) : err;
		}
	}
	tfs_reservation_keep(folio);
	*out = tfs_folio_write(folio);
	return 0;
}

static int write_end(struct file *file, struct address_space *mapping, loff_t pos, unsigned int len,
                     unsigned int copied, tfs_write_page *page, void *fsdata)
{
	struct folio *folio = tfs_write_folio(page);
	struct inode *inode = mapping->host;

	if (!folio_test_uptodate(folio)) {
		if (copied < len)
			copied = 0; /* only whole pages become up to date by writing */
		else
			folio_mark_uptodate(folio);
	}
	if (copied)
		folio_mark_dirty(folio);
	else if (!folio_test_dirty(folio) && reservation_take(folio))
		tfs_unreserve_blocks(inode->i_sb, 1);
	if (pos + copied > i_size_read(inode)) {
		i_size_write(inode, pos + copied);
		mark_inode_dirty(inode);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

const struct address_space_operations tfs_aops = {
    .read_folio = read_folio,
    .readahead = readahead,
    .writepages = writepages,
    .dirty_folio = filemap_dirty_folio,
    .write_begin = write_begin,
    .write_end = write_end,
    .invalidate_folio = invalidate_folio,
    .release_folio = release_folio,
    .migrate_folio = filemap_migrate_folio,
};

/* ---- mmap ---- */

static vm_fault_t page_mkwrite(struct vm_fault *vmf)
{
	struct folio *folio = page_folio(vmf->page);
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_LOCKED;
	int err;

	sb_start_pagefault(inode->i_sb);
	file_update_time(vmf->vma->vm_file);
	err = tfs_reserve_block(inode->i_sb);
	if (err) {
		ret = err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
		goto out;
	}
	folio_lock(folio);
	if (folio->mapping != inode->i_mapping || folio_pos(folio) >= i_size_read(inode)) {
		folio_unlock(folio);
		tfs_unreserve_blocks(inode->i_sb, 1);
		ret = VM_FAULT_NOPAGE;
		goto out;
	}
	tfs_reservation_keep(folio);
	folio_mark_dirty(folio);
	folio_wait_stable(folio);
out:
	sb_end_pagefault(inode->i_sb);
	return ret;
}

const struct vm_operations_struct tfs_vm_ops = {
    .fault = filemap_fault,
    .map_pages = filemap_map_pages,
    .page_mkwrite = page_mkwrite,
};
