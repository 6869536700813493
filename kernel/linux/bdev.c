// SPDX-License-Identifier: GPL-2.0
/*
 * Block I/O. A write copies its data into pages of its own and is deferred: it completes by the next flush. Writes in
 * flight are in a list in the order they were submitted, so that a read waits for those it overlaps and a flush for
 * those before it, and for no others. An error of a deferred write is kept and fails the flush that would make it
 * durable, and everything after. Pages and bios come from pools, so a write ends without free memory.
 *
 * The device operations are called under sbi->lock; tfs_bdev_wait_range and tfs_bdev_flush under no lock of ours or
 * any: completions need none.
 */
#include "tfs_linux.h"

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mempool.h>

#define BIO_PAGES 64u             /* of one write: what the page pool guarantees */
#define IN_FLIGHT_MAX (16u << 20) /* bytes */
#define SPARE_PAGES 512u          /* kept for the next writes: new ones would be zeroed first, for nothing */

struct write_io {
	struct list_head list;
	struct tfs_bdev *d;
	u64 sequence, offset;
	u32 bytes;
	struct bio bio; /* last: its vectors may follow */
};

/* ---- pages, below the pool ---- */

static void *page_take(gfp_t gfp, void *data)
{
	struct tfs_bdev *d = data;
	struct page *page;
	unsigned long flags;

	spin_lock_irqsave(&d->spare_lock, flags);
	page = list_first_entry_or_null(&d->spare, struct page, lru);
	if (page) {
		list_del(&page->lru);
		d->spares--;
	}
	spin_unlock_irqrestore(&d->spare_lock, flags);
	return page ? page : alloc_page(gfp);
}

static void page_give(void *element, void *data)
{
	struct tfs_bdev *d = data;
	struct page *page = element;
	unsigned long flags;

	spin_lock_irqsave(&d->spare_lock, flags);
	if (d->spares < SPARE_PAGES) {
		list_add(&page->lru, &d->spare);
		d->spares++;
		page = NULL;
	}
	spin_unlock_irqrestore(&d->spare_lock, flags);
	if (page)
		__free_page(page);
}

static void spares_free(struct tfs_bdev *d)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &d->spare, lru) __free_page(page);
	INIT_LIST_HEAD(&d->spare);
	d->spares = 0;
}

/* ---- waiting ---- */

static bool overlaps(struct tfs_bdev *d, u64 offset, u64 bytes)
{
	struct write_io *w;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&d->lock, flags);
	list_for_each_entry(w, &d->writes, list) if (w->offset < offset + bytes && offset < w->offset + w->bytes)
	{
		found = true;
		break;
	}
	spin_unlock_irqrestore(&d->lock, flags);
	return found;
}

void tfs_bdev_wait_range(struct tfs_bdev *d, u64 offset, u64 bytes)
{
	if (overlaps(d, offset, bytes))
		wait_event(d->wait, !overlaps(d, offset, bytes));
}

static u64 sequence_now(struct tfs_bdev *d)
{
	unsigned long flags;
	u64 n;

	spin_lock_irqsave(&d->lock, flags);
	n = d->sequence;
	spin_unlock_irqrestore(&d->lock, flags);
	return n;
}

static bool written_before(struct tfs_bdev *d, u64 sequence)
{
	struct write_io *first;
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&d->lock, flags);
	first = list_first_entry_or_null(&d->writes, struct write_io, list);
	done = !first || first->sequence >= sequence;
	spin_unlock_irqrestore(&d->lock, flags);
	return done;
}

void tfs_bdev_wait(struct tfs_bdev *d)
{
	u64 before = sequence_now(d);

	wait_event(d->wait, written_before(d, before));
}

int tfs_bdev_flush(struct tfs_bdev *d)
{
	int err;

	tfs_bdev_wait(d);
	err = READ_ONCE(d->error);
	if (err)
		return err;
	atomic64_inc(&d->flushes);
	err = blkdev_issue_flush(d->bdev);
	if (err)
		WRITE_ONCE(d->error, err);
	return err;
}

/* ---- writing ---- */

static void write_done(struct bio *bio)
{
	struct write_io *w = container_of(bio, struct write_io, bio);
	struct tfs_bdev *d = w->d;
	struct bio_vec *v;
	struct bvec_iter_all all;
	unsigned long flags;

	if (bio->bi_status)
		WRITE_ONCE(d->error, blk_status_to_errno(bio->bi_status));
	bio_for_each_segment_all(v, bio, all) mempool_free(v->bv_page, d->pages);
	spin_lock_irqsave(&d->lock, flags);
	list_del(&w->list);
	d->in_flight -= w->bytes;
	wake_up_all(&d->wait); /* within the lock: the last waiter may free d */
	bio_put(bio);
	spin_unlock_irqrestore(&d->lock, flags);
}

static void write_submit(struct tfs_bdev *d, struct write_io *w)
{
	unsigned long flags;

	spin_lock_irqsave(&d->lock, flags);
	w->sequence = d->sequence++;
	list_add_tail(&w->list, &d->writes);
	d->in_flight += w->bytes;
	spin_unlock_irqrestore(&d->lock, flags);
	atomic64_add(w->bytes, &d->written);
	submit_bio(&w->bio);
}

static void write_pages(struct tfs_bdev *d, u64 offset, const u8 *buf, unsigned int pages, bool fua)
{
	struct bio *bio =
	    bio_alloc_bioset(d->bdev, pages, REQ_OP_WRITE | (fua ? REQ_FUA | REQ_SYNC : 0), GFP_NOIO, &d->bios);
	struct write_io *w = container_of(bio, struct write_io, bio);
	unsigned int i;

	w->d = d;
	w->offset = offset;
	w->bytes = pages * PAGE_SIZE;
	bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
	bio->bi_end_io = write_done;
	for (i = 0; i < pages; i++) {
		struct page *page = mempool_alloc(d->pages, GFP_NOIO);

		memcpy_to_page(page, 0, buf + i * PAGE_SIZE, PAGE_SIZE);
		__bio_add_page(bio, page, PAGE_SIZE, 0);
	}
	write_submit(d, w);
}

static int bdev_write(struct tfs_bdev *d, u64 offset, const u8 *buf, u32 bytes, bool fua)
{
	while (bytes) {
		unsigned int pages = min_t(u32, bytes / PAGE_SIZE, BIO_PAGES);

		if (READ_ONCE(d->in_flight) >= IN_FLIGHT_MAX) {
			atomic64_inc(&d->waits);
			wait_event(d->wait, READ_ONCE(d->in_flight) < IN_FLIGHT_MAX);
		}
		write_pages(d, offset, buf, pages, fua);
		offset += pages * PAGE_SIZE;
		buf += pages * PAGE_SIZE;
		bytes -= pages * PAGE_SIZE;
	}
	if (fua) {
		atomic64_inc(&d->waits);
		wait_event(d->wait, written_before(d, sequence_now(d)));
	}
	return READ_ONCE(d->error);
}

/* ---- reading, for the core: whole blocks into its buffer ---- */

static struct page *buffer_page(const void *at)
{
	return is_vmalloc_addr(at) ? vmalloc_to_page(at) : virt_to_page(at);
}

void tfs_bio_add_buffer(struct bio *bio, const void *buf, unsigned int bytes)
{
	while (bytes) {
		unsigned int in = offset_in_page(buf), n = min_t(unsigned int, PAGE_SIZE - in, bytes);

		__bio_add_page(bio, buffer_page(buf), n, in);
		buf += n;
		bytes -= n;
	}
}

static int bdev_read(struct tfs_bdev *d, u64 offset, u8 *buf, u32 bytes)
{
	int err = 0;

	atomic64_inc(&d->waits);
	tfs_bdev_wait_range(d, offset, bytes);
	while (!err && bytes) {
		u32 n = min_t(u32, bytes, (BIO_MAX_VECS - 1) * PAGE_SIZE);
		struct bio *bio = bio_alloc(d->bdev, n / PAGE_SIZE + 1, REQ_OP_READ, GFP_NOIO);

		bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
		tfs_bio_add_buffer(bio, buf, n);
		err = submit_bio_wait(bio);
		bio_put(bio);
		if (is_vmalloc_addr(buf))
			invalidate_kernel_vmap_range(buf, n);
		offset += n;
		buf += n;
		bytes -= n;
	}
	return err;
}

/* ---- what the core calls ---- */

static int bdev_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct tfs_bdev *d = container_of(dev, struct tfs_bdev, dev);

	if (offset > dev->size || bytes > dev->size - offset || (offset | bytes) % TFS_BLOCK)
		return -EIO;
	return op == TFS_IO_READ ? bdev_read(d, offset, buf, bytes)
	                         : bdev_write(d, offset, buf, bytes, flags & TFS_IO_FUA);
}

static int bdev_flush(struct tfs_dev *dev)
{
	struct tfs_bdev *d = container_of(dev, struct tfs_bdev, dev);

	atomic64_inc(&d->waits);
	return tfs_bdev_flush(d);
}

static int bdev_discard(struct tfs_dev *dev, u64 offset, u64 bytes)
{
	struct tfs_bdev *d = container_of(dev, struct tfs_bdev, dev);

	if (!bdev_max_discard_sectors(d->bdev))
		return -EOPNOTSUPP;
	atomic64_inc(&d->waits);
	tfs_bdev_wait_range(d, offset, bytes);
	atomic64_add(bytes, &d->discarded);
	return blkdev_issue_discard(d->bdev, offset >> SECTOR_SHIFT, bytes >> SECTOR_SHIFT, GFP_NOIO);
}

static int bdev_resized(struct tfs_dev *dev)
{
	dev->size = bdev_nr_bytes(container_of(dev, struct tfs_bdev, dev)->bdev);
	return 0;
}

static const struct tfs_dev_ops bdev_ops = {.io = bdev_io, .flush = bdev_flush, .discard = bdev_discard};

int tfs_bdev_open(struct tfs_bdev *d, struct block_device *bdev)
{
	int err = bioset_init(&d->bios, 16, offsetof(struct write_io, bio), BIOSET_NEED_BVECS);

	if (err)
		return err;
	INIT_LIST_HEAD(&d->spare);
	spin_lock_init(&d->spare_lock);
	d->pages = mempool_create(BIO_PAGES, page_take, page_give, d);
	if (!d->pages) {
		spares_free(d);
		bioset_exit(&d->bios);
		return -ENOMEM;
	}
	d->dev.ops = &bdev_ops;
	d->dev.size = bdev_nr_bytes(bdev);
	d->dev.resized = bdev_resized;
	d->dev.read_only = bdev_read_only(bdev);
	d->bdev = bdev;
	spin_lock_init(&d->lock);
	INIT_LIST_HEAD(&d->writes);
	init_waitqueue_head(&d->wait);
	return bdev_logical_block_size(bdev) > TFS_BLOCK ? -EINVAL : 0;
}

void tfs_bdev_close(struct tfs_bdev *d)
{
	unsigned long flags;

	if (!d->pages)
		return;
	wait_event(d->wait, written_before(d, ~0ull));
	spin_lock_irqsave(&d->lock, flags); /* the last completion has left it */
	spin_unlock_irqrestore(&d->lock, flags);
	mempool_destroy(d->pages);
	spares_free(d);
	bioset_exit(&d->bios);
	d->pages = NULL;
}
