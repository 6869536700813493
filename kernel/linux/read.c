// SPDX-License-Identifier: GPL-2.0
/*
 * Reading into the page cache, a window at a time. The core says where a window lies (under sbi->lock, a mapping is
 * held from then on); bios go out without the lock, raw blocks straight into their folios; verification and decoding
 * run in a workqueue when the last bio is done, and unlock the folios. What has no plain places (inline, scattered) is
 * read by the core itself. Requests, buffers and bios come from pools, and completion takes no lock, so a read always
 * ends.
 */
#include "tfs_linux.h"
#include "tfs/port.h"
#include "trace.h"

#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define STORED_BLOCKS 48u /* of a window's compressed extents, each rounded out to blocks; more: read by the core */
#define BUFFER_BYTES ((STORED_BLOCKS + TFS_WINDOW_BLOCKS) * (unsigned long)TFS_BLOCK)
#define POOLED_READS 4
#define POOLED_BUFFERS 2

struct read {
	struct work_struct work;
	struct tfs_sb *s;
	struct inode *inode;
	u64 first;                              /* block of the window */
	struct folio *folio[TFS_WINDOW_BLOCKS]; /* locked; NULL: not asked for */
	unsigned int wanted;
	u8 *buffer;                 /* stored blocks, then a decoded window; NULL: nothing is compressed */
	u8 *window;                 /* what the core read */
	u16 stored[TFS_MAP_BLOCKS]; /* of each piece: its block in buffer */
	atomic_t bios;
	int error;
	struct tfs_map map;
};

/* ---- mappings in use ---- */

static void hold(struct tfs_sb *s, u64 epoch)
{
	atomic_inc(&s->held[epoch & 1]);
}

static void release(struct tfs_sb *s, u64 epoch)
{
	if (atomic_dec_and_test(&s->held[epoch & 1]))
		wake_up_all(&s->held_wait);
}

/* Checkpoints end one after the other, each with this: so a parity stands for one epoch. */
bool tfs_quiet(struct tfs_sb *s, u64 epoch)
{
	return !atomic_read(&s->held[epoch & 1]);
}

void tfs_quiesce(struct tfs_sb *s, u64 epoch)
{
	wait_event(s->held_wait, tfs_quiet(s, epoch));
}

/* ---- what becomes of the folios ---- */

static void folio_end(struct read *r, unsigned int i, bool good)
{
	struct folio *folio = r->folio[i];

	r->folio[i] = NULL;
	if (good) {
		flush_dcache_folio(folio);
		folio_mark_uptodate(folio);
	}
	folio_unlock(folio);
}

/* Bytes of the block that lie within the file as the volume knows it. */
static unsigned int block_bytes(const struct read *r, unsigned int i)
{
	u64 pos = (r->first + i) << TFS_BLOCK_BITS;

	return r->map.size > pos ? min_t(u64, r->map.size - pos, TFS_BLOCK) : 0;
}

/* from NULL: zeros */
static void folio_give(struct read *r, unsigned int i, const u8 *from)
{
	unsigned int n = from ? block_bytes(r, i) : 0;
	u8 *to = kmap_local_folio(r->folio[i], 0);

	memcpy(to, from, n);
	memset(to + n, 0, PAGE_SIZE - n);
	kunmap_local(to);
	folio_end(r, i, true);
}

static void read_end(struct read *r)
{
	struct tfs_sb *s = r->s;
	unsigned int i;

	for (i = 0; i < TFS_WINDOW_BLOCKS; i++)
		if (r->folio[i])
			folio_end(r, i, false);
	if (r->buffer)
		mempool_free(r->buffer, s->buffers);
	if (r->window)
		mempool_free(r->window, s->windows);
	mempool_free(r, s->reads);
}

/* ---- verifying, in the workqueue ---- */

static bool matches(struct read *r, const struct tfs_map_piece *p, unsigned int block, u32 expected, u32 found)
{
	if (expected == found)
		return true;
	pr_err_ratelimited(
	    "tfs: %s: inode %lu block %llu at unit %llu: expected CRC %08x, found %08x; run fsck.tfs --data\n",
	    r->s->sb->s_id, r->inode->i_ino, r->first + block, p->addr, expected, found);
	return false;
}

static void raw_end(struct read *r, const struct tfs_map_piece *p)
{
	unsigned int i;

	for (i = p->at; i < p->at + p->blocks; i++) {
		unsigned int n = block_bytes(r, i);
		bool good;
		u8 *at;

		if (!r->folio[i])
			continue;
		at = kmap_local_folio(r->folio[i], 0);
		good = matches(r, p, i, r->map.crc[i], tfs_port_crc32c(0, at, TFS_BLOCK));
		memset(at + n, 0, PAGE_SIZE - n);
		kunmap_local(at);
		folio_end(r, i, good);
	}
}

static bool any_wanted(const struct read *r, const struct tfs_map_piece *p)
{
	unsigned int i;

	for (i = p->at; i < p->at + p->blocks; i++)
		if (r->folio[i])
			return true;
	return false;
}

static void compressed_end(struct read *r, const struct tfs_map_piece *p, unsigned int stored)
{
	u8 *in = r->buffer + stored * TFS_BLOCK + p->addr % TFS_UNITS_PER_BLOCK * TFS_UNIT;
	u8 *whole = r->buffer + STORED_BLOCKS * TFS_BLOCK;
	unsigned int i;

	if (!any_wanted(r, p) || !matches(r, p, p->at, p->crc, tfs_port_crc32c(0, in, p->units * TFS_UNIT)))
		return;
	if (tfs_port_decompress(p->codec, whole, p->total * TFS_BLOCK, in, p->units * TFS_UNIT)) {
		pr_err_ratelimited("tfs: %s: inode %lu block %llu at unit %llu: does not decode; run fsck.tfs --data\n",
		                   r->s->sb->s_id, r->inode->i_ino, r->first + p->at, p->addr);
		return;
	}
	for (i = 0; i < p->blocks; i++)
		if (r->folio[p->at + i])
			folio_give(r, p->at + i, whole + (p->skip + i) * TFS_BLOCK);
}

static void read_work(struct work_struct *work)
{
	struct read *r = container_of(work, struct read, work);
	unsigned int nofs = memalloc_nofs_save(), i;

	if (r->buffer)
		invalidate_kernel_vmap_range(r->buffer, STORED_BLOCKS * TFS_BLOCK);
	for (i = 0; !r->error && i < r->map.pieces; i++) {
		const struct tfs_map_piece *p = &r->map.piece[i];

		if (p->codec)
			compressed_end(r, p, r->stored[i]);
		else
			raw_end(r, p);
	}
	release(r->s, r->map.epoch);
	read_end(r);
	memalloc_nofs_restore(nofs);
}

/* ---- submitting ---- */

static void bio_end(struct read *r)
{
	if (atomic_dec_and_test(&r->bios))
		queue_work(r->s->read_queue, &r->work);
}

static void read_done(struct bio *bio)
{
	struct read *r = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(r->error, blk_status_to_errno(bio->bi_status));
	bio_put(bio);
	bio_end(r);
}

static struct bio *bio_start(struct read *r, u64 addr, unsigned int units)
{
	unsigned int pages = DIV_ROUND_UP(units, TFS_UNITS_PER_BLOCK) + 1;
	struct bio *bio = bio_alloc_bioset(r->s->bdev.bdev, pages, REQ_OP_READ, GFP_NOFS, &r->s->read_bios);

	tfs_bdev_wait_range(&r->s->bdev, addr * TFS_UNIT, units * TFS_UNIT);
	bio->bi_iter.bi_sector = addr * (TFS_UNIT / SECTOR_SIZE);
	bio->bi_private = r;
	bio->bi_end_io = read_done;
	atomic_inc(&r->bios);
	return bio;
}

/* Runs of wanted blocks, each a bio into its folios. */
static unsigned int raw_submit(struct read *r, const struct tfs_map_piece *p)
{
	unsigned int i = p->at, end = p->at + p->blocks, from, bios = 0;

	while (i < end) {
		struct bio *bio;

		for (; i < end && !r->folio[i]; i++)
			;
		for (from = i; i < end && r->folio[i]; i++)
			;
		if (i == from)
			break;
		bio =
		    bio_start(r, p->addr + (u64)(from - p->at) * TFS_UNITS_PER_BLOCK, (i - from) * TFS_UNITS_PER_BLOCK);
		for (; from < i; from++)
			__bio_add_page(bio, folio_page(r->folio[from], 0), PAGE_SIZE, 0);
		submit_bio(bio);
		bios++;
	}
	return bios;
}

static unsigned int piece_stored(const struct tfs_map_piece *p)
{
	return DIV_ROUND_UP(p->addr % TFS_UNITS_PER_BLOCK + p->units, TFS_UNITS_PER_BLOCK);
}

/* Gives each compressed piece that is wanted its blocks in the buffer, pieces of one extent the same. False: too many.
 */
static bool stored_lay(struct read *r, unsigned int *blocks)
{
	unsigned int i, j;

	*blocks = 0;
	for (i = 0; i < r->map.pieces; i++) {
		const struct tfs_map_piece *p = &r->map.piece[i];

		r->stored[i] = STORED_BLOCKS; /* not read */
		if (!p->codec || !any_wanted(r, p))
			continue;
		for (j = 0; j < i; j++)
			if (r->map.piece[j].codec && r->map.piece[j].addr == p->addr && r->stored[j] < STORED_BLOCKS)
				break;
		if (j < i) {
			r->stored[i] = r->stored[j];
			continue;
		}
		if (*blocks + piece_stored(p) > STORED_BLOCKS)
			return false;
		r->stored[i] = *blocks;
		*blocks += piece_stored(p);
	}
	return true;
}

/* Just its units where the device can: what lies behind them is the next window's, and the requests merge. */
static unsigned int compressed_submit(struct read *r, unsigned int i)
{
	const struct tfs_map_piece *p = &r->map.piece[i];
	bool whole = bdev_logical_block_size(r->s->bdev.bdev) > TFS_UNIT;
	unsigned int in = whole ? 0 : p->addr % TFS_UNITS_PER_BLOCK;
	unsigned int units = whole ? piece_stored(p) * TFS_UNITS_PER_BLOCK : p->units, j;
	struct bio *bio;

	if (r->stored[i] == STORED_BLOCKS)
		return 0;
	for (j = 0; j < i; j++)
		if (r->map.piece[j].codec && r->stored[j] == r->stored[i])
			return 0;
	bio = bio_start(r, whole ? round_down(p->addr, TFS_UNITS_PER_BLOCK) : p->addr, units);
	tfs_bio_add_buffer(bio, r->buffer + r->stored[i] * TFS_BLOCK + in * TFS_UNIT, units * TFS_UNIT);
	submit_bio(bio);
	return 1;
}

static bool in_piece(const struct read *r, unsigned int i)
{
	unsigned int j;

	for (j = 0; j < r->map.pieces; j++)
		if (i >= r->map.piece[j].at && i < r->map.piece[j].at + r->map.piece[j].blocks)
			return true;
	return false;
}

static void holes_give(struct read *r)
{
	unsigned int i;

	for (i = 0; i < TFS_WINDOW_BLOCKS; i++)
		if (r->folio[i] && !in_piece(r, i))
			folio_give(r, i, NULL);
}

static void pieces_submit(struct read *r, unsigned int stored)
{
	unsigned int i, bios = 0;

	atomic_set(&r->bios, 1);
	if (stored)
		r->buffer = mempool_alloc(r->s->buffers, GFP_NOFS);
	for (i = 0; i < r->map.pieces; i++)
		bios += r->map.piece[i].codec ? compressed_submit(r, i) : raw_submit(r, &r->map.piece[i]);
	trace_tfs_read(r->inode, r->first, r->wanted, bios, true);
	bio_end(r);
}

/*
 * The core reads: slow, under its lock, for what is small or rare. From a pool of its own: who waits for sbi->lock must
 * have no buffer that a read with a mapping waits for, which the holder of the lock may wait for.
 */
static int core_read(struct read *r)
{
	unsigned int i;
	s64 n;

	trace_tfs_read(r->inode, r->first, r->wanted, 0, false);
	r->window = mempool_alloc(r->s->windows, GFP_NOFS);
	r->map.size = 0;
	n = tfs_read(tfs_enter_inode(r->inode), r->inode->i_ino, r->first << TFS_BLOCK_BITS, r->window,
	             TFS_WINDOW_BYTES);
	tfs_leave_inode(r->inode);
	if (n >= 0)
		r->map.size = (r->first << TFS_BLOCK_BITS) + n;
	for (i = 0; n >= 0 && i < TFS_WINDOW_BLOCKS; i++)
		if (r->folio[i])
			folio_give(r, i, r->window + i * TFS_BLOCK);
	read_end(r);
	return n < 0 ? n : 0;
}

/* Reads the window's locked folios, which it unlocks, mostly after it has returned. */
static int read_start(struct read *r)
{
	struct tfs_sb *s = r->s;
	unsigned int stored = 0;
	int err;

	atomic64_inc(&s->windows_read);
	err = tfs_map(tfs_enter_inode(r->inode), r->inode->i_ino, r->first, &r->map);
	if (!err && r->map.direct)
		hold(s, r->map.epoch);
	tfs_leave_inode(r->inode);
	if (err) {
		read_end(r);
		return err;
	}
	if (!r->map.direct)
		return core_read(r);
	if (!stored_lay(r, &stored)) {
		release(s, r->map.epoch);
		return core_read(r);
	}
	holes_give(r);
	pieces_submit(r, stored);
	return 0;
}

static struct read *read_make(struct inode *inode, u64 index)
{
	struct tfs_sb *s = tfs_sb(inode->i_sb);
	struct read *r = mempool_alloc(s->reads, GFP_NOFS);

	memset(r, 0, sizeof(*r));
	INIT_WORK(&r->work, read_work);
	r->s = s;
	r->inode = inode;
	r->first = round_down(index, TFS_WINDOW_BLOCKS);
	return r;
}

static void read_add(struct read *r, struct folio *folio)
{
	r->folio[folio->index - r->first] = folio;
	r->wanted++;
}

int tfs_read_folio_op(struct file *file, struct folio *folio)
{
	struct read *r = read_make(folio->mapping->host, folio->index);

	read_add(r, folio);
	return tfs_user_err(read_start(r));
}

/* Out to whole windows, where a sequential reader asks: what is compressed is decoded once. A small read at random
 * stays small: raw blocks verify one by one. */
static void expand(struct readahead_control *rac)
{
	loff_t size = i_size_read(rac->mapping->host), pos = round_down(readahead_pos(rac), TFS_WINDOW_BYTES);
	loff_t end = round_up(readahead_pos(rac) + readahead_length(rac), TFS_WINDOW_BYTES);

	if (end > size)
		end = round_up(size, PAGE_SIZE);
	if (end > pos)
		readahead_expand(rac, pos, end - pos);
}

void tfs_readahead_op(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	struct folio *folio;
	struct read *r = NULL;

	if (readahead_length(rac) >= TFS_WINDOW_BYTES / 2)
		expand(rac);
	while ((folio = readahead_folio(rac))) {
		if (r && folio->index >= r->first + TFS_WINDOW_BLOCKS) {
			read_start(r);
			r = NULL;
		}
		if (!r)
			r = read_make(inode, folio->index);
		read_add(r, folio);
	}
	if (r)
		read_start(r);
}

/* ---- pools ---- */

/* data: how many bytes */
static void *buffer_alloc(gfp_t gfp, void *data)
{
	unsigned int nofs = memalloc_nofs_save();
	void *p = kvmalloc((unsigned long)data, GFP_KERNEL | __GFP_NOWARN);

	memalloc_nofs_restore(nofs);
	return p;
}

static void buffer_free(void *p, void *data)
{
	kvfree(p);
}

int tfs_reads_init(struct tfs_sb *s)
{
	init_waitqueue_head(&s->held_wait);
	s->reads = mempool_create_kmalloc_pool(POOLED_READS, sizeof(struct read));
	s->buffers = mempool_create(POOLED_BUFFERS, buffer_alloc, buffer_free, (void *)BUFFER_BYTES);
	s->windows = mempool_create(1, buffer_alloc, buffer_free, (void *)(unsigned long)TFS_WINDOW_BYTES);
	s->read_queue = alloc_workqueue("tfs-read-%s", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 0, s->sb->s_id);
	if (!s->reads || !s->buffers || !s->windows || !s->read_queue)
		return -ENOMEM;
	return bioset_init(&s->read_bios, POOLED_READS, 0, BIOSET_NEED_BVECS);
}

void tfs_reads_exit(struct tfs_sb *s)
{
	if (s->read_queue)
		destroy_workqueue(s->read_queue);
	bioset_exit(&s->read_bios);
	mempool_destroy(s->windows);
	mempool_destroy(s->buffers);
	mempool_destroy(s->reads);
}
