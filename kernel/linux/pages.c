// SPDX-License-Identifier: GPL-2.0
/*
 * Writing into the page cache, by write(2) and mmap. Space is reserved before a folio is locked. Reading is in read.c,
 * writing back in writeback.c.
 */
#include "tfs_linux.h"

static void invalidate_folio(struct folio *folio, size_t offset, size_t length)
{
	if (!offset && length == folio_size(folio) && tfs_reservation_take(folio))
		tfs_unreserve_blocks(folio->mapping->host->i_sb, 1);
}

static bool release_folio(struct folio *folio, gfp_t gfp)
{
	return !folio_test_private(folio);
}

/* Stores through mmap behind the end of the file must not show when the file grows over them. */
void tfs_tail_zero(struct inode *inode, loff_t size)
{
	struct folio *folio;

	if (!offset_in_page(size))
		return;
	folio = filemap_lock_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (IS_ERR_OR_NULL(folio)) /* NULL on 6.1, an error on 6.12 */
		return;
	if (folio_test_uptodate(folio))
		folio_zero_segment(folio, offset_in_folio(folio, size), folio_size(folio));
	folio_unlock(folio);
	folio_put(folio);
}

/* The folio is locked and not up to date; on success it is both. -EAGAIN: it left the cache meanwhile. */
static int fill(struct file *file, struct address_space *mapping, struct folio *folio)
{
	int err = tfs_read_folio_op(file, folio); /* unlocks when it is through */

	folio_lock(folio);
	if (folio->mapping != mapping)
		err = -EAGAIN;
	else if (!folio_test_uptodate(folio) && !err)
		err = -EIO;
	if (err)
		folio_unlock(folio);
	return err;
}

static int write_begin(struct file *file, struct address_space *mapping, loff_t pos, unsigned int len,
                       tfs_write_page **out, void **fsdata)
{
	struct inode *inode = mapping->host;
	struct page *page;
	int err, got;

	do {
		got = tfs_reserve_block(inode, pos >> PAGE_SHIFT);
		if (got < 0)
			return got;
		page = pagecache_get_page(mapping, pos >> PAGE_SHIFT, FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE,
		                          mapping_gfp_mask(mapping));
		err = page ? 0 : -ENOMEM;
		if (page && !PageUptodate(page) && len < PAGE_SIZE)
			err = fill(file, mapping, page_folio(page));
		if (page && err)
			put_page(page);
		if (!err) {
			err = tfs_reservation_keep(page_folio(page), got);
			if (err) {
				unlock_page(page);
				put_page(page);
			}
		} else {
			tfs_unreserve_block(inode->i_sb, got);
		}
	} while (err == -EAGAIN);
	if (err)
		return err;
	*out = tfs_folio_write(page_folio(page));
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
	if (copied) {
		folio_mark_dirty(folio);
		tfs_ship_written(tfs_sb(inode->i_sb));
	} else if (!folio_test_dirty(folio) && tfs_reservation_take(folio)) {
		tfs_unreserve_blocks(inode->i_sb, 1);
	}
	if (pos + copied > i_size_read(inode)) {
		i_size_write(inode, pos + copied);
		mark_inode_dirty(inode);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

const struct address_space_operations tfs_aops = {
    .read_folio = tfs_read_folio_op,
    .readahead = tfs_readahead_op,
    .writepages = tfs_writepages_op,
    .dirty_folio = filemap_dirty_folio,
    .write_begin = write_begin,
    .write_end = write_end,
    .invalidate_folio = invalidate_folio,
    .release_folio = release_folio,
    .migrate_folio = filemap_migrate_folio,
};

/* ---- mmap ---- */

/*
 * With the folio locked no one can cut it off, and hole punching has unmapped it before it asks for the lock. Who holds
 * the invalidate_lock, as dedupe while it compares, sees no page turn dirty.
 */
static vm_fault_t page_mkwrite(struct vm_fault *vmf)
{
	struct folio *folio = page_folio(vmf->page);
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_LOCKED;
	int got;

	sb_start_pagefault(inode->i_sb);
	file_update_time(vmf->vma->vm_file);
	filemap_invalidate_lock_shared(inode->i_mapping);
	got = tfs_reserve_block(inode, vmf->pgoff);
	if (got < 0) {
		ret = got == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
		goto out;
	}
	folio_lock(folio);
	if (folio->mapping != inode->i_mapping || folio_pos(folio) >= i_size_read(inode)) {
		folio_unlock(folio);
		tfs_unreserve_block(inode->i_sb, got);
		ret = VM_FAULT_NOPAGE; /* the fault comes again and finds out */
		goto out;
	}
	if (tfs_reservation_keep(folio, got)) {
		folio_unlock(folio);
		ret = VM_FAULT_NOPAGE;
		goto out;
	}
	folio_mark_dirty(folio);
	tfs_ship_written(tfs_sb(inode->i_sb));
	folio_wait_stable(folio);
out:
	filemap_invalidate_unlock_shared(inode->i_mapping);
	sb_end_pagefault(inode->i_sb);
	return ret;
}

const struct vm_operations_struct tfs_vm_ops = {
    .fault = filemap_fault,
    .map_pages = filemap_map_pages,
    .page_mkwrite = page_mkwrite,
};
