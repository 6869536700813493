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
	struct bk_shared shared;
	const struct tfs_extent *extent; /* that is being added, of this inode and at this place */
	u64 extent_ino;
	struct tfs_ptr extent_ptr;
	u8 *buf;
	size_t buf_max;
	u64 birth; /* of the gang being added */
	int code;
};
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

/* crc: of each block of raw content, or NULL: the pointer has one over all. */
static int place_add(struct walk *w, int stream, u64 ino, const struct tfs_ptr *ptr, const le32 *crc)
{
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

/* What of an extent did not go yet. */
static int extent_add(void *arg, u32 first, u32 units)
{
	struct walk *w = arg;
	struct tfs_ptr part = w->extent_ptr;

	part.addr += first;
	part.len = (u16)units;
	return place_add(w, BK_STREAM_DATA, w->extent_ino, &part,
	                 w->extent->codec ? NULL : w->extent->crc + first / TFS_UNITS_PER_BLOCK);
}

static int item_add(struct walk *w, struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct tfs_ptr ptr;
	int err;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= w->base)
		return 0;
	if (!e)
		return place_add(w, BK_STREAM_DATA, key.a, &ptr, NULL);
	w->extent = e;
	w->extent_ptr = ptr;
	w->extent_ino = key.a;
	err = bk_shared_extent(&w->shared, key, e, &ptr, extent_add, w);
	return err == -ENOMEM && !w->code ? stop(w, bk_no_memory()) : err;
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
	int err = bk_shared_load(&w->shared, w->s->vol);

	return !err             ? 0
	       : err == -ENOMEM ? stop(w, bk_no_memory())
	                        : damaged(w, 0, 0, "the tree of shared extents cannot be read");
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
	bk_shared_free(&w.shared);
	free(w.buf);
	if (err && !w.code)
		w.code = s.err ? bk_pinned_failed(&s)
		               : tfs_cli_fail(BK_VOLUME, source->path, "cannot be walked: %s", strerror(-err));
	bk_pinned_close(&s);
	return w.code;
}
