// SPDX-License-Identifier: GPL-2.0
/*
 * What is to be sent: files of a rule, what is durable of each, and its bytes from a place on as the messages that
 * logship/ship/cut.c finds in them. Sizes are taken first and made durable then, and nothing behind them is read. Bytes
 * come from the page cache, which has them while a file is written; the generation is asked for after they were copied:
 * whoever shortens a file changes it before the pages change. An inode is held for a copy's time only.
 * Called by the thread; sbi->lock is taken for each question, and no other lock of ours.
 */
#include "ship.h"

#include <linux/dcache.h>
#include <linux/highmem.h>

#define LIST_ITEMS 256u /* looked at with sbi->lock held once */
#define DURABLE_JIFFIES (HZ / 5)

int tfs_sender_list(struct tfs_sender *t, u64 rule, u64 *ino, u32 *n)
{
	struct tfs_vol *vol = tfs_enter(t->s->sb);
	u32 left = LIST_ITEMS;
	int err = 0;

	*n = 0;
	while (!err && left-- && *n < SENDER_LIST) {
		err = tfs_ship_file_next(vol, rule, ino, 1, &t->file[*n]);
		if (!err)
			*ino = t->file[(*n)++].ino + 1;
		err = err > 0 ? 0 : err;
	}
	tfs_leave(t->s->sb);
	return err == -ENOENT ? 0 : err ? err : 1;
}

/* Where somebody syncs all the time it costs nothing; else one flush for many files. */
int tfs_sender_durable(struct tfs_sender *t)
{
	struct tfs_sb *s = t->s;
	u64 target = atomic64_read(&s->sequence);

	wait_event_freezable_timeout(s->ship.wait, (u64)atomic64_read(&s->durable) >= target || tfs_sender_stopping(t),
	                             DURABLE_JIFFIES);
	if (tfs_sender_stopping(t))
		return -EINTR;
	return (u64)atomic64_read(&s->durable) >= target ? 0 : tfs_sync_wait(s->sb);
}

int tfs_sender_write_back(struct tfs_sender *t, u64 rule)
{
	u64 ino = 0;
	int more = 1;
	u32 i, n;

	while (more > 0 && !tfs_sender_stopping(t)) {
		more = tfs_sender_list(t, rule, &ino, &n);
		for (i = 0; more >= 0 && i < n; i++) {
			struct inode *inode = tfs_ilookup(t->s->sb, t->file[i].ino);

			if (inode && mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY))
				filemap_flush(inode->i_mapping); /* its errors are the writers' */
			iput(inode);
		}
		cond_resched();
	}
	return more < 0 ? more : 0;
}

const char *tfs_sender_name(struct tfs_sender *t, u64 ino)
{
	struct inode *inode = tfs_ilookup(t->s->sb, ino);
	struct dentry *d = inode && inode->i_nlink ? d_find_alias(inode) : NULL;
	char *name = d ? dentry_path_raw(d, t->path, PAGE_SIZE) : ERR_PTR(-ENOENT);

	dput(d);
	iput(inode);
	return IS_ERR(name) ? NULL : name;
}

/* ---- a file ---- */

static int page_copy(struct inode *inode, struct file_ra_state *ra, u64 pos, u8 *to, u32 n)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio;
	void *from;

	if (!xa_load(&mapping->i_pages, index)) /* of before the mount, or pushed out: whole windows */
		page_cache_sync_readahead(mapping, ra, NULL, index, TFS_WINDOW_BLOCKS);
	filemap_invalidate_lock_shared(mapping); /* as every reader: a hole is punched between cache and volume */
	folio = pos + n <= i_size_read(inode) ? read_mapping_folio(mapping, index, NULL) : ERR_PTR(-ESTALE);
	filemap_invalidate_unlock_shared(mapping);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	from = kmap_local_folio(folio, offset_in_folio(folio, pos));
	memcpy(to, from, n);
	kunmap_local(from);
	folio_put(folio);
	return 0;
}

static int generation_check(struct tfs_sender *t, const struct tfs_reading *r)
{
	u32 generation;
	u64 acked;
	int err = tfs_ship_state(tfs_enter(t->s->sb), r->file.ino, r->rule, &generation, &acked);

	tfs_leave(t->s->sb);
	/* past it: of a file without a name what lies before the cursor is freed */
	return err ? err : generation == r->file.generation && acked <= r->offset ? 0 : -ESTALE;
}

/* Of a file that is gone but for its lines: no inode is made for it, which would have to be evicted again. */
static int ended_copy(struct tfs_sender *t, u64 pos, u8 *to, u32 n)
{
	s64 got = tfs_read(tfs_enter(t->s->sb), t->reading.file.ino, pos, to, n);

	tfs_leave(t->s->sb);
	return got < 0 ? (int)got : got == n ? 0 : -ESTALE;
}

int tfs_cached_copy(struct inode *inode, u64 pos, u8 *to, u32 n)
{
	struct file_ra_state ra = {0};
	int err = 0;

	file_ra_state_init(&ra, inode->i_mapping);
	while (!err && n) {
		u32 part = min_t(u32, n, PAGE_SIZE - offset_in_page(pos));

		err = page_copy(inode, &ra, pos, to, part);
		pos += part;
		to += part;
		n -= part;
	}
	return err;
}

static int pages_copy(struct tfs_sender *t, u64 pos, u8 *to, u32 n)
{
	struct inode *inode = tfs_iget(t->s->sb, t->reading.file.ino);
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = tfs_cached_copy(inode, pos, to, n);
	iput(inode);
	return err;
}

/* [pos, pos + n) into to. */
static int bytes_copy(struct tfs_sender *t, u64 pos, u8 *to, u32 n)
{
	struct tfs_reading *r = &t->reading;
	int err = r->file.ended ? ended_copy(t, pos, to, n) : pages_copy(t, pos, to, n);

	return err ? err : generation_check(t, r);
}

/* Where it begins within a line a piece of that was sent, and what follows are later ones. */
int tfs_reading_start(struct tfs_sender *t, u64 rule, const struct tfs_ship_file *f, u64 from)
{
	struct tfs_reading *r = &t->reading;
	u8 before = '\n';
	int err;

	r->file = *f;
	r->rule = rule;
	r->offset = from;
	r->from = r->have = 0;
	err = from ? bytes_copy(t, from - 1, &before, 1) : 0;
	r->part = before != '\n';
	return err;
}

int tfs_reading_next(struct tfs_sender *t, const u8 **text, struct ship_piece *piece)
{
	struct tfs_reading *r = &t->reading;
	u32 want = t->target.cut.max + SENDER_LOOK;
	u64 at = r->offset + r->have;
	int err = 0;

	if (r->have < want && at < r->file.size) {
		u32 n = min_t(u64, SENDER_READ - r->have, r->file.size - at);

		memmove(r->buf, r->buf + r->from, r->have);
		r->from = 0;
		err = bytes_copy(t, at, r->buf + r->have, n);
		r->have += err ? 0 : n;
	}
	if (err)
		return err;
	*text = r->buf + r->from;
	return ship_cut(&t->target.cut, *text, r->have, r->file.ended && r->offset + r->have == r->file.size, piece);
}

void tfs_reading_took(struct tfs_reading *r, const struct ship_piece *piece)
{
	r->part = piece->more ? r->part + 1 : 0;
	r->offset += piece->bytes;
	r->from += piece->bytes;
	r->have -= piece->bytes;
}
