// SPDX-License-Identifier: GPL-2.0
/*
 * Block I/O for the core. A write copies its data into pages of its own and is deferred: it completes by the next
 * flush; a read first waits for writes in flight. An error of a deferred write is kept and fails the flush that would
 * make it durable, and everything after. Called under sbi->lock, so one caller at a time.
 */
#include "tfs_linux.h"

#include <linux/bio.h>
#include <linux/blkdev.h>

#define IN_FLIGHT_MAX 256 /* bios */

static void write_done(struct bio *bio)
{
	struct tfs_bdev *d = bio->bi_private;
	struct bio_vec *v;
	struct bvec_iter_all all;

	if (bio->bi_status)
		WRITE_ONCE(d->error, blk_status_to_errno(bio->bi_status));
	bio_for_each_segment_all(v, bio, all) __free_page(v->bv_page);
	bio_put(bio);
	if (atomic_dec_return(&d->in_flight) < IN_FLIGHT_MAX / 2)
		wake_up(&d->wait);
}

static void writes_wait(struct tfs_bdev *d)
{
	wait_event(d->wait, !atomic_read(&d->in_flight));
}

/* A bio of pages of our own for up to BIO_MAX_VECS pages; filled from buf when writing. */
static struct bio *bio_make(struct tfs_bdev *d, blk_opf_t op, u64 offset, const u8 *buf, unsigned int pages)
{
	struct bio *bio = bio_alloc(d->bdev, pages, op, GFP_NOIO);
	unsigned int i;

	bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
	for (i = 0; i < pages; i++) {
		struct page *page = alloc_page(GFP_NOIO | __GFP_NOFAIL);

		if (op_is_write(op))
			memcpy(page_address(page), buf + i * PAGE_SIZE, PAGE_SIZE);
		__bio_add_page(bio, page, PAGE_SIZE, 0);
	}
	return bio;
}

static int read_pages(struct tfs_bdev *d, u64 offset, u8 *buf, unsigned int pages)
{
	struct bio *bio = bio_make(d, REQ_OP_READ, offset, NULL, pages);
	struct bio_vec *v;
	struct bvec_iter_all all;
	int err = submit_bio_wait(bio);

	bio_for_each_segment_all(v, bio, all)
	{
		if (!err)
			memcpy(buf, page_address(v->bv_page), PAGE_SIZE);
		buf += PAGE_SIZE;
		__free_page(v->bv_page);
	}
	bio_put(bio);
	return err;
}

static int write_pages(struct tfs_bdev *d, u64 offset, const u8 *buf, unsigned int pages, bool fua)
{
	struct bio *bio = bio_make(d, REQ_OP_WRITE | (fua ? REQ_FUA | REQ_SYNC : 0), offset, buf, pages);

	bio->bi_end_io = write_done;
	bio->bi_private = d;
	atomic_inc(&d->in_flight);
	submit_bio(bio);
	if (fua)
		writes_wait(d);
	else
		wait_event(d->wait, atomic_read(&d->in_flight) < IN_FLIGHT_MAX);
	return READ_ONCE(d->error);
}

static int bdev_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct tfs_bdev *d = container_of(dev, struct tfs_bdev, dev);
	u8 *at = buf;
	int err = 0;

	if (offset + bytes > dev->size || (offset | bytes) % TFS_BLOCK)
		return -EIO;
	if (op == TFS_IO_READ)
		writes_wait(d);
	while (!err && bytes) {
		unsigned int pages = min_t(u32, bytes / PAGE_SIZE, BIO_MAX_VECS);

		if (op == TFS_IO_READ)
			err = read_pages(d, offset, at, pages);
		else
			err = write_pages(d, offset, at, pages, flags & TFS_IO_FUA);
		offset += pages * PAGE_SIZE;
		at += pages * PAGE_SIZE;
		bytes -= pages * PAGE_SIZE;
	}
	return err;
}

static int bdev_flush(struct tfs_dev *dev)
{
	struct tfs_bdev *d = container_of(dev, struct tfs_bdev, dev);

	writes_wait(d);
	return d->error ? d->error : blkdev_issue_flush(d->bdev);
}

static const struct tfs_dev_ops bdev_ops = {.io = bdev_io, .flush = bdev_flush};

int tfs_bdev_open(struct tfs_bdev *d, struct block_device *bdev, bool read_only)
{
	d->dev.ops = &bdev_ops;
	d->dev.size = bdev_nr_bytes(bdev);
	d->dev.read_only = read_only;
	d->bdev = bdev;
	d->error = 0;
	atomic_set(&d->in_flight, 0);
	init_waitqueue_head(&d->wait);
	return bdev_logical_block_size(bdev) > TFS_BLOCK ? -EINVAL : 0;
}
