// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A snapshot of a volume as a read-only device, while the volume goes on: blocks come by TFS_IOC_RAW, which answers
 * only while the snapshot is there, and the few that lead to its trees from front.c. On it the core mounts the
 * snapshot; so a run reads a mounted volume by the code that reads an image, and what it reads stands under the CRCs of
 * the snapshot's own roots. Nothing of the snapshot moves or is used again: what it holds and the volume drops goes on
 * a deadlist (tfs/dead.c), also when the compactor drops it. Who deletes the snapshot all the same ends the run, not
 * more: the next request says ENOENT.
 *
 * The checkpoint block is made up at a place that the snapshot may well use, and is shown only while the core mounts,
 * which reads no other block there: it looks at superblock, anchors and checkpoint.
 *
 * What follows in order is read ahead, where large requests can be made; blocks of others that come along are never
 * looked at. Called by source_walk.c.
 */
#include "backup/source.h"
#include "tfs/core.h"

#include <stdlib.h>

#define TRIES 3u /* for a superblock that is being written */

/* ---- reading ---- */

/* One request. Without `to` it answers into its own data. */
static int ask(struct bk_pinned *p, u64 offset, u8 *buf, u32 bytes)
{
	struct tfs_ioc_raw *q = &p->request;
	int err;

	memset(q, 0, offsetof(struct tfs_ioc_raw, data));
	q->snapshot = p->snapshot;
	q->offset = offset;
	q->bytes = bytes;
	q->to = p->large ? (u64)(uintptr_t)buf : 0;
	err = target_request(&p->source->target, TFS_IOC_RAW, q);
	if (!err && !p->large)
		memcpy(buf, q->data, bytes);
	return err;
}

static int raw_read(struct bk_pinned *p, u64 offset, u8 *buf, u64 bytes)
{
	int err = 0;

	while (!err && bytes) {
		u32 most = p->large ? TFS_IOC_RAW_MAX : TFS_IOC_RAW_DATA, n = bytes < most ? (u32)bytes : most;

		err = ask(p, offset, buf, n);
		if (err == -EOPNOTSUPP && p->large) { /* tfs-fuse, or this process */
			p->large = false;
			err = 0;
			continue;
		}
		offset += n;
		buf += n;
		bytes -= n;
	}
	return err;
}

static u64 segments_end(const struct bk_pinned *p)
{
	const struct tfs_super *s = &p->front.super;

	return TFS_SEGMENTS_OFFSET + (tfs_le64(s->segments) << tfs_le32(s->segment_bits));
}

/* How much to read at `offset`, where `bytes` are wanted: ever more, while it goes on behind what was read last. */
static u64 ahead(const struct bk_pinned *p, u64 offset, u32 bytes)
{
	u64 end = p->at + p->len, left = segments_end(p) - offset, n = bytes;

	if (p->large && p->len && offset >= end && offset - end <= p->len)
		n = 2 * p->len > bytes ? 2 * p->len : bytes;
	if (n > TFS_IOC_RAW_MAX && bytes < TFS_IOC_RAW_MAX)
		n = TFS_IOC_RAW_MAX;
	return n < left ? n : left;
}

static int cached_read(struct bk_pinned *p, u64 offset, u8 *buf, u32 bytes)
{
	u64 n;

	if (bytes > TFS_IOC_RAW_MAX)
		return raw_read(p, offset, buf, bytes);
	if (offset < p->at || offset + bytes > p->at + p->len) {
		n = ahead(p, offset, bytes);
		p->len = 0;
		p->err = raw_read(p, offset, p->buf, n);
		if (p->err)
			return p->err;
		p->at = offset;
		p->len = n;
	}
	memcpy(buf, p->buf + (offset - p->at), bytes);
	return 0;
}

static int pinned_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct bk_pinned *p = (struct bk_pinned *)dev;
	int err = 0;

	(void)flags;
	if (op != TFS_IO_READ || (offset | bytes) % TFS_BLOCK || offset > dev->size || bytes > dev->size - offset)
		return op == TFS_IO_READ ? -EIO : -EROFS;
	if (offset < TFS_SEGMENTS_OFFSET || offset + bytes > segments_end(p) || p->mounting)
		memset(buf, 0, bytes);
	else
		err = cached_read(p, offset, buf, bytes);
	if (p->mounting)
		bk_front_show(&p->front, offset, buf, bytes);
	return err ? -EIO : 0;
}

static int pinned_flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

/* ---- opening ---- */

/* Whoever grows the volume writes it; what is read then may be half of each. */
static int super_read(struct bk_pinned *p, struct bk_manifest *m)
{
	const char *why = "";

	for (u32 i = 0; i < TRIES && why; i++) {
		p->err = raw_read(p, TFS_SUPER_OFFSET, p->buf, TFS_BLOCK);
		if (p->err)
			return bk_pinned_failed(p);
		why = tfs_super_check(p->buf, 0);
	}
	if (why)
		return tfs_cli_fail(BK_VOLUME, p->source->path, "its first superblock: %s; run fsck.tfs", why);
	memcpy(m->super, p->buf, sizeof(m->super));
	return 0;
}

int bk_pinned_open(struct bk_pinned *p, struct bk_source *s, struct bk_manifest *m)
{
	static const struct tfs_dev_ops ops = {pinned_io, pinned_flush, NULL};
	int code, err;

	memset(p, 0, sizeof(*p));
	p->source = s;
	p->snapshot = tfs_le64(m->epoch);
	p->large = s->target.mounted;
	p->buf = malloc(TFS_IOC_RAW_MAX);
	if (!p->buf)
		return bk_no_memory();
	code = super_read(p, m);
	if (!code) {
		memcpy(&p->front.super, m->super, sizeof(p->front.super));
		bk_front_make(&p->front, m, segments_end(p) - TFS_BLOCK);
		p->dev = (struct tfs_dev){.ops = &ops, .size = tfs_le64(p->front.super.size), .read_only = true};
		p->mounting = true;
		err = bk_mount(&p->dev, &p->vol);
		p->mounting = false;
		if (err)
			code = tfs_cli_fail(BK_VOLUME, s->path, "its snapshot cannot be opened: %s", strerror(-err));
	}
	if (code)
		bk_pinned_close(p);
	return code;
}

void bk_pinned_close(struct bk_pinned *p)
{
	if (p->vol)
		tfs_abandon(p->vol);
	p->vol = NULL;
	free(p->buf);
	p->buf = NULL;
}

int bk_pinned_failed(const struct bk_pinned *p)
{
	return p->err == -ENOENT ? bk_source_failed(p->source, p->err)
	                         : tfs_cli_fail(BK_VOLUME, p->source->path, "cannot be read: %s", strerror(-p->err));
}
