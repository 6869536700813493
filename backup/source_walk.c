// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Walking the snapshot of a run. What is stored goes as it is: nodes and extents are read at their addresses and
 * verified against the CRCs that point at them, never decoded. A node born at or before the base's epoch is in the base
 * with all below it, and so is an extent: what lives on was there then. Called by run.c, on a snapshot that pinned.c
 * has opened.
 */
#include "backup/source.h"

#include <stdlib.h>

struct walk {
	struct bk_pinned *s;
	struct bk_packer *p;
	struct tfs_progress *progress;
	u64 base;
	u64 *shared,
	    shareds; /* addresses of extents with several owners, ascending; what went is marked by its bit 63 */
	size_t shareds_max;
	u64 ino, window;
	u64 met[16]; /* extents of this window */
	u32 mets;
	u8 *buf;
	size_t buf_max;
	u64 birth; /* of the gang being added */
	int code;
};
#define WENT (1ull << 63)

static int stop(struct walk *w, int code)
{
	if (!w->code)
		w->code = code;
	return -ECANCELED;
}

static int damaged(struct walk *w, u64 ino, u64 addr, const char *what)
{
	if (w->s->err) /* the volume is as it was; it could not be asked */
		return stop(w, bk_pinned_failed(w->s));
	return stop(w, tfs_cli_fail(BK_VOLUME, w->s->source->path,
	                            "inode %llu, unit %llu: %s; the backup is not made; run fsck.tfs --data",
	                            (unsigned long long)ino, (unsigned long long)addr, what));
}

static int add(struct walk *w, int stream, u64 addr, u64 birth, u32 units)
{
	int code = bk_packer_add(w->p, stream, addr, birth, units, w->buf);

	tfs_progress_add(w->progress, (u64)units * TFS_UNIT);
	return code ? stop(w, code) : 0;
}

static int buf_get(struct walk *w, size_t bytes)
{
	return bk_grow(&w->buf, &w->buf_max, bytes, 1) ? stop(w, BK_HOST) : 0;
}

static int gang_run_add(void *arg, u64 addr, u32 units)
{
	struct walk *w = arg;
	struct tfs_dev *dev = &w->s->dev;
	int err = buf_get(w, (size_t)units * TFS_UNIT);

	if (!err && dev->ops->io(dev, TFS_IO_READ, addr * TFS_UNIT, w->buf, units * TFS_UNIT, 0))
		err = damaged(w, 0, addr, "cannot be read");
	return err ? err : add(w, BK_STREAM_DATA, addr, w->birth, units);
}

static const u32 *raw_crcs(const struct tfs_extent *e)
{
	return e && !e->codec ? e->crc : NULL;
}

/* e: of an extent, else NULL. */
static int place_add(struct walk *w, int stream, u64 ino, const struct tfs_ptr *ptr, const struct tfs_extent *e)
{
	const u32 *crc = raw_crcs(e);
	size_t bytes = (size_t)ptr->len * TFS_UNIT;
	int err = buf_get(w, bytes + TFS_BLOCK);

	if (!err && tfs_read_ptr(w->s->vol, ptr, w->buf, !crc))
		err = damaged(w, ino, ptr->addr, "cannot be read, or its CRC differs");
	for (size_t i = 0; !err && crc && i < bytes / TFS_BLOCK; i++)
		if (tfs_port_crc32c(0, w->buf + i * TFS_BLOCK, TFS_BLOCK) != tfs_le32(crc[i]))
			err = damaged(w, ino, ptr->addr + i * TFS_UNITS_PER_BLOCK, "its CRC differs");
	if (err || !(ptr->flags & TFS_PTR_GANG))
		return err ? err : add(w, stream, ptr->addr, ptr->birth, ptr->len);
	w->birth = ptr->birth;
	err = tfs_ptr_runs(w->s->vol, ptr, gang_run_add, w);
	return err && !w->code ? damaged(w, ino, ptr->addr, "its list of places cannot be read") : err;
}

static bool window_met(struct walk *w, u64 ino, u64 window, u64 addr)
{
	if (ino != w->ino || window != w->window) {
		w->ino = ino;
		w->window = window;
		w->mets = 0;
	}
	for (u32 i = 0; i < w->mets; i++)
		if (w->met[i] == addr)
			return true;
	if (w->mets < 16)
		w->met[w->mets++] = addr;
	return false;
}

static bool shared_met(struct walk *w, u64 addr)
{
	size_t lo = 0, hi = w->shareds;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if ((w->shared[mid] & ~WENT) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == w->shareds || (w->shared[lo] & ~WENT) != addr)
		return false;
	if (w->shared[lo] & WENT)
		return true;
	w->shared[lo] |= WENT;
	return false;
}

static int item_add(struct walk *w, struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct tfs_ptr ptr;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= w->base)
		return 0;
	if (e && e->codec &&
	    (window_met(w, key.a, (key.b & TFS_POS_MASK) >> (TFS_WINDOW_BITS - TFS_BLOCK_BITS), ptr.addr) ||
	     shared_met(w, ptr.addr)))
		return 0;
	return place_add(w, BK_STREAM_DATA, key.a, &ptr, e);
}

static int node_add(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = info->node;
	const struct tfs_slot *slot = (const struct tfs_slot *)(h + 1);
	struct walk *w = arg;
	int err;

	if (info->err)
		return damaged(w, 0, info->ptr.addr, "the node there cannot be read");
	err = place_add(w, BK_STREAM_NODES, 0, &info->ptr, NULL);
	if (err || info->level || info->tree != TFS_TREE_FS)
		return err;
	for (u32 i = 0; !err && i < tfs_le16(h->count); i++)
		err = item_add(w, (struct tfs_key){tfs_le64(slot[i].key.a), tfs_le64(slot[i].key.b)},
		               (const u8 *)h + tfs_le16(slot[i].off));
	return err;
}

static bool old(void *arg, const struct tfs_ptr *ptr)
{
	return ptr->birth <= ((struct walk *)arg)->base;
}

static int shared_load(struct walk *w)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(w->s->vol, TFS_TREE_REFS, &k, &v, &len)); k.b++) {
		if (bk_grow(&w->shared, &w->shareds_max, w->shareds + 1, sizeof(u64)))
			return stop(w, BK_HOST);
		w->shared[w->shareds++] = k.a;
	}
	return err == -ENOENT ? 0 : damaged(w, 0, 0, "the tree of shared extents cannot be read");
}

int bk_source_walk(struct bk_source *source, struct bk_manifest *m, u64 base, struct bk_packer *p,
                   struct tfs_progress *progress)
{
	struct bk_pinned s;
	struct walk w = {.s = &s, .p = p, .base = base, .progress = progress};
	int code = bk_pinned_open(&s, source, m), err;

	if (code)
		return code;
	err = shared_load(&w);
	if (!err)
		err = tfs_tree_walk_new(s.vol, TFS_TREE_FS, old, node_add, &w);
	if (!err)
		err = tfs_tree_walk_new(s.vol, TFS_TREE_REFS, old, node_add, &w);
	free(w.shared);
	free(w.buf);
	if (err && !w.code)
		w.code = s.err ? bk_pinned_failed(&s)
		               : tfs_cli_fail(BK_VOLUME, source->path, "cannot be walked: %s", strerror(-err));
	bk_pinned_close(&s);
	return w.code;
}
