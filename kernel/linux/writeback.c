// SPDX-License-Identifier: GPL-2.0
/*
 * Writing back: dirty folios of one window are copied into a staging buffer under their locks, unlocked, encoded, and
 * handed to the core as one atomic record: the checksums are of what is written, whatever mmap stores meanwhile. The
 * size that goes along is the one the copy was made under, so nothing shows that is not in it. One writer an inode at a
 * time (info->writeback): windows beyond the size on disk go in ascending order.
 */
#include "tfs_linux.h"
#include "trace.h"

#include <linux/blkdev.h>
#include <linux/slab.h>

/* ---- staging buffers ---- */

static struct tfs_stage *stage_try(struct tfs_sb *s)
{
	struct tfs_stage *stage;

	spin_lock(&s->stage_lock);
	stage = list_first_entry_or_null(&s->stages, struct tfs_stage, list);
	if (stage)
		list_del(&stage->list);
	spin_unlock(&s->stage_lock);
	return stage;
}

static struct tfs_stage *stage_get(struct tfs_sb *s)
{
	struct tfs_stage *stage;

	wait_event(s->stage_wait, (stage = stage_try(s)));
	return stage;
}

static void stage_put(struct tfs_sb *s, struct tfs_stage *stage)
{
	spin_lock(&s->stage_lock);
	list_add(&stage->list, &s->stages);
	spin_unlock(&s->stage_lock);
	wake_up(&s->stage_wait);
}

int tfs_stages_init(struct tfs_sb *s)
{
	unsigned int i;

	INIT_LIST_HEAD(&s->stages);
	init_waitqueue_head(&s->stage_wait);
	spin_lock_init(&s->stage_lock);
	for (i = 0; i < TFS_STAGES; i++) {
		struct tfs_stage *stage = kzalloc(sizeof(*stage), GFP_KERNEL);

		if (!stage)
			return -ENOMEM;
		list_add(&stage->list, &s->stages);
		stage->data = kvmalloc(TFS_WINDOW_BYTES, GFP_KERNEL);
		stage->encoded = kvmalloc(TFS_WINDOW_BYTES, GFP_KERNEL);
		if (!stage->data || !stage->encoded)
			return -ENOMEM;
	}
	return 0;
}

void tfs_stages_exit(struct tfs_sb *s)
{
	struct tfs_stage *stage;

	while (s->stages.next && (stage = stage_try(s))) {
		kvfree(stage->data);
		kvfree(stage->encoded);
		kfree(stage);
	}
}

/* ---- a window's batch ---- */

struct batch {
	struct inode *inode;
	struct tfs_stage *stage;
	struct blk_plug *plug;
	u64 first; /* page */
	u64 size;  /* of the file when the last of it was copied */
	unsigned int count, reserved;
	unsigned int windows; /* written before this one */
	bool sync;            /* for an fsync or the like */
	struct folio *folio[TFS_WINDOW_BLOCKS];
};

#define BESIDE_BLOCKS 4u

/* What an fsync waits for goes in one device write with its record, if it is little: a few blocks, or all there is. */
static bool goes_beside(const struct batch *b, bool last)
{
	return b->sync && (b->count <= BESIDE_BLOCKS || (last && !b->windows));
}

static int batch_write(struct batch *b, bool last)
{
	struct tfs_sb *s = tfs_sb(b->inode->i_sb);
	u64 size = min_t(u64, b->size, (b->first + b->count) << PAGE_SHIFT);
	struct tfs_time mtime = tfs_time_in(inode_get_mtime(b->inode));
	struct tfs_encoded e = {.blocks = b->count, .bytes = b->count * TFS_BLOCK, .buf = b->stage->data};
	struct tfs_vol *vol;
	struct tfs_attr a;
	int err;

	err = tfs_getattr(tfs_enter(s->sb), b->inode->i_ino, &a);
	tfs_leave(s->sb);
	if (err)
		return err;
	if (b->first || b->count > 1 || b->size > TFS_INLINE_MAX)
		tfs_encode(a.codec, a.codec_level, b->stage->data, b->count, b->stage->encoded, &e);
	e.beside = goes_beside(b, last);
	vol = tfs_enter(s->sb);
	err = tfs_write(vol, b->inode->i_ino, b->first, &e, size, &mtime);
	if (!err && !tfs_getattr(vol, b->inode->i_ino, &a))
		b->inode->i_blocks = a.blocks * (TFS_BLOCK / 512);
	tfs_leave(s->sb);
	atomic64_inc(&s->windows_written);
	trace_tfs_writeback(b->inode, b->first, b->count, e.bytes, err);
	return err;
}

/* The pages are clean already, and what is not written now is lost. */
static int batch_insist(struct batch *b, bool last)
{
	int err, tries = 0;

	do
		err = batch_write(b, last);
	while (tfs_insist(err, &tries));
	return err;
}

/* A file that was removed may have lost its inode item while pages were on their way. */
static int batch_flush(struct batch *b, bool last)
{
	unsigned int i;
	int err;

	if (!b->count)
		return 0;
	err = tfs_user_err(batch_insist(b, last));
	if (err == -ENOENT && !b->inode->i_nlink)
		err = 0;
	if (err)
		mapping_set_error(b->inode->i_mapping, err);
	for (i = 0; i < b->count; i++)
		folio_end_writeback(b->folio[i]);
	if (b->reserved)
		tfs_reservations_spent(b->inode->i_sb, b->reserved);
	b->count = b->reserved = 0;
	b->windows++;
	return err;
}

/* The folio is locked and clean; it goes to staging. Past the end of the file nothing but zeros is written. */
static void stage_folio(struct batch *b, struct folio *folio, loff_t size)
{
	u8 *to = b->stage->data + b->count * PAGE_SIZE, *from = kmap_local_folio(folio, 0);
	u64 n = min_t(u64, size - folio_pos(folio), PAGE_SIZE);

	memcpy(to, from, n);
	memset(to + n, 0, PAGE_SIZE - n);
	kunmap_local(from);
	b->size = size;
	b->reserved += tfs_reservation_take(folio);
	b->folio[b->count++] = folio;
}

/* Whoever waits for writes may wait for those, too: they are handed on. A task that sleeps does so by itself. */
static void plug_share(struct batch *b)
{
	if (wq_has_sleeper(&tfs_sb(b->inode->i_sb)->bdev.wait)) {
		blk_finish_plug(b->plug);
		blk_start_plug(b->plug);
	}
}

TFS_WRITEPAGE(write_one)
{
	TFS_WRITEPAGE_FOLIO
	struct batch *b = data;
	loff_t size;
	int err = 0;

	if (b->count &&
	    (folio->index != b->first + b->count || folio->index / TFS_WINDOW_BLOCKS != b->first / TFS_WINDOW_BLOCKS)) {
		err = batch_flush(b, false);
		plug_share(b);
	}
	size = i_size_read(b->inode);
	if (folio_pos(folio) >= size) { /* cut off meanwhile: its reservation goes when it is invalidated */
		folio_unlock(folio);
		return err;
	}
	if (!b->count)
		b->first = folio->index;
	stage_folio(b, folio, size);
	folio_start_writeback(folio);
	folio_unlock(folio);
	return err;
}

int tfs_writepages_op(struct address_space *mapping, struct writeback_control *wbc)
{
	struct tfs_sb *s = tfs_sb(mapping->host->i_sb);
	struct blk_plug plug;
	struct batch b = {
	    .inode = mapping->host, .plug = &plug, .sync = wbc->sync_mode == WB_SYNC_ALL && !wbc->for_sync};
	unsigned int nofs;
	int err, last;

	mutex_lock(&tfs_info(b.inode)->writeback);
	b.stage = stage_get(s);
	nofs = memalloc_nofs_save();
	blk_start_plug(&plug); /* windows that go to single holes: their writes reach the disk's queue together */
	err = write_cache_pages(mapping, wbc, write_one, &b);
	last = batch_flush(&b, true);
	blk_finish_plug(&plug);
	memalloc_nofs_restore(nofs);
	stage_put(s, b.stage);
	mutex_unlock(&tfs_info(b.inode)->writeback);
	return err ? err : last;
}
