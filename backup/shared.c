// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What several items of a snapshot share, so that it is backed up and counted once: the ranges of its REFS tree, and how
 * often each was met on a walk of FS. Of a compressed extent the range is all of it, and an owner is a window, in
 * however many pieces it maps it; of raw content the range is whole blocks, and an owner is an item that maps the block
 * (docs/FORMAT.md). Memory: 32 bytes a range, and 4 a block where raw content was met. Called by source_walk.c and
 * rebuild.c, with the items in the order of their keys.
 */
#include "backup/backup.h"

#include <stdlib.h>

int bk_shared_load(struct bk_shared *s, struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err;

	memset(s, 0, sizeof(*s));
	for (; !(err = tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len)); k.b++) {
		const struct tfs_ref *ref = v;

		if (bk_grow(&s->range, &s->ranges_max, s->ranges + 1, sizeof(*s->range)))
			return -ENOMEM;
		s->range[s->ranges++] =
		    (struct bk_shared_range){.addr = k.a, .len = tfs_le32(ref->len), .count = tfs_le32(ref->count)};
	}
	return err == -ENOENT ? 0 : err;
}

void bk_shared_free(struct bk_shared *s)
{
	for (size_t i = 0; i < s->ranges; i++)
		free(s->range[i].block);
	free(s->range);
	memset(s, 0, sizeof(*s));
}

/* The range that holds unit `addr`; NULL: it has one owner. */
static struct bk_shared_range *range_over(const struct bk_shared *s, u64 addr)
{
	size_t lo = 0, hi = s->ranges;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->range[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr - s->range[lo - 1].addr < s->range[lo - 1].len ? &s->range[lo - 1] : NULL;
}

/* Several pieces in one window are one reference. */
static bool window_met(struct bk_shared *s, struct tfs_key key, u64 addr)
{
	u64 window = (key.b & TFS_POS_MASK) >> (TFS_WINDOW_BITS - TFS_BLOCK_BITS);

	if (s->ino != key.a || s->window != window) {
		s->ino = key.a;
		s->window = window;
		s->mets = 0;
	}
	for (u32 i = 0; i < s->mets; i++)
		if (s->met[i] == addr)
			return true;
	if (s->mets < sizeof(s->met) / sizeof(*s->met))
		s->met[s->mets++] = addr;
	return false;
}

static bool whole_new(struct bk_shared *s, struct tfs_key key, const struct tfs_ptr *ptr)
{
	struct bk_shared_range *r;

	if (window_met(s, key, ptr->addr))
		return false;
	r = ptr->flags & TFS_PTR_GANG ? NULL : range_over(s, ptr->addr);
	return !r || r->addr != ptr->addr || r->len != ptr->len || !r->found++;
}

/* 1: it was not met before; 0; or -ENOMEM. */
static int block_new(struct bk_shared *s, u64 addr)
{
	struct bk_shared_range *r = range_over(s, addr);

	if (!r)
		return 1;
	if (!r->block)
		r->block = calloc((r->len + TFS_UNITS_PER_BLOCK - 1) / TFS_UNITS_PER_BLOCK, sizeof(*r->block));
	if (!r->block)
		return -ENOMEM;
	return !r->block[(addr - r->addr) / TFS_UNITS_PER_BLOCK]++;
}

static int raw_new(struct bk_shared *s, const struct tfs_ptr *ptr, bk_shared_fn fn, void *arg)
{
	u32 from = 0;
	int err = 0;

	for (u32 at = 0; !err && at < ptr->len; at += TFS_UNITS_PER_BLOCK) {
		int is_new = block_new(s, ptr->addr + at);

		if (is_new > 0)
			continue;
		err = is_new < 0 ? is_new : at > from ? fn(arg, from, at - from) : 0;
		from = at + TFS_UNITS_PER_BLOCK;
	}
	return err || from >= ptr->len ? err : fn(arg, from, ptr->len - from);
}

int bk_shared_extent(struct bk_shared *s, struct tfs_key key, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                     bk_shared_fn fn, void *arg)
{
	if (!e->codec && !(ptr->flags & TFS_PTR_GANG) && s->ranges)
		return raw_new(s, ptr, fn, arg);
	return e->codec && !whole_new(s, key, ptr) ? 0 : fn(arg, 0, ptr->len);
}

static bool as_stated(const struct bk_shared_range *r)
{
	if (!r->block)
		return r->found == r->count;
	for (u32 i = 0; i < r->len / TFS_UNITS_PER_BLOCK; i++)
		if (r->block[i] != r->count)
			return false;
	return !r->found;
}

const struct bk_shared_range *bk_shared_wrong(const struct bk_shared *s)
{
	for (size_t i = 0; i < s->ranges; i++)
		if (!as_stated(&s->range[i]))
			return &s->range[i];
	return NULL;
}
