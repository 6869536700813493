// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What maps and promises blocks of a file: extents, pending ranges and promises of one inode, in key order. Each lies
 * in the volume and in its window, overlaps nothing before it, and its place is counted as used. Called by
 * fsck_items.c, which compares the sums.
 */
#include "fsck/fsck_items.h"

bool fsck_window_again(struct fsck_window *w, struct tfs_key key, const struct tfs_extent *e)
{
	u64 window = (key.b & TFS_POS_MASK) / FSCK_WINDOW_BLOCKS;

	if (w->ino != key.a || w->window != window)
		w->count = 0;
	w->ino = key.a;
	w->window = window;
	for (u32 i = 0; i < w->count; i++)
		if (!memcmp(&w->extent[i].ptr, &e->ptr, sizeof(e->ptr)) && w->extent[i].total == e->total &&
		    w->extent[i].codec == e->codec)
			return true;
	if (w->count < FSCK_WINDOW_BLOCKS)
		memcpy(&w->extent[w->count++], e, sizeof(*e));
	return false;
}

/* Several pieces may show parts of one compressed extent, if they agree about it. */
static bool counted_before(struct fsck_item_state *s, u64 window, const struct tfs_extent *e)
{
	if (window != s->window)
		s->seens = 0;
	s->window = window;
	for (u32 i = 0; e->codec && i < s->seens; i++)
		if (!memcmp(&s->seen[i].ptr, &e->ptr, sizeof(e->ptr)) && s->seen[i].total == e->total &&
		    s->seen[i].codec == e->codec)
			return true;
	if (e->codec && s->seens < FSCK_WINDOW_BLOCKS)
		memcpy(&s->seen[s->seens++], e, sizeof(*e));
	return false;
}

bool fsck_place_sound(const struct fsck *f, struct tfs_key key, const void *value, const struct tfs_ptr *p)
{
	u64 in = p->addr - TFS_SEGMENTS_OFFSET / TFS_UNIT, all = f->st.segments << (f->st.segment_bits - TFS_UNIT_BITS);
	u32 bits = f->st.segment_bits - TFS_UNIT_BITS, units = p->flags & TFS_PTR_GANG ? TFS_UNITS_PER_BLOCK : p->len;
	const struct tfs_extent *e = value;
	u64 block = key.b & TFS_POS_MASK;

	if (p->addr < TFS_SEGMENTS_OFFSET / TFS_UNIT || p->birth > f->st.epoch || in >= all ||
	    in >> bits != (in + units - 1) >> bits)
		return false;
	return key.b >> TFS_POS_BITS != TFS_IT_EXTENT ||
	       (tfs_le16(e->total) <= FSCK_WINDOW_BLOCKS &&
	        block / FSCK_WINDOW_BLOCKS == (block + tfs_le16(e->blocks) - 1) / FSCK_WINDOW_BLOCKS);
}

static bool overlaps(struct fsck_item_state *s, struct tfs_key key, const char *what, u64 end)
{
	char object[64];

	if ((key.b & TFS_POS_MASK) >= end)
		return false;
	fsck_item_name(s->ino, object, sizeof(object), what, key.b & TFS_POS_MASK);
	if (fsck_problem(s->f, FSCK_EXTENT_OVERLAP, object, "expected to begin at block %llu or later",
	                 (unsigned long long)end))
		fsck_item_remove(s, key);
	return true;
}

int fsck_place_use(struct fsck_item_state *s, struct tfs_key key, const struct tfs_ptr *ptr, const struct tfs_extent *e,
                   const char *what, u64 n)
{
	char object[64];
	int err = !e ? fsck_use(s->f, ptr) : e->codec ? fsck_use_shared(s->f, ptr) : fsck_use_raw(s->f, ptr);

	if (err != -EUCLEAN && err != -EIO)
		return err;
	fsck_item_name(s->ino, object, sizeof(object), what, n);
	if (fsck_problem(s->f, FSCK_GANG_BAD, object,
	                 "expected a list of places at unit %llu, found none that is whole",
	                 (unsigned long long)ptr->addr))
		fsck_item_remove(s, key);
	else
		s->f->incomplete = true;
	return 1;
}

static int run_add(struct fsck *f, u64 block, u64 end)
{
	if (f->runs && f->run[f->runs - 1].end == block) {
		f->run[f->runs - 1].end = end;
		return 0;
	}
	if (fsck_grow(&f->run, &f->runs_max, f->runs + 1, sizeof(*f->run)))
		return -ENOMEM;
	f->run[f->runs++] = (struct fsck_run){block, end};
	return 0;
}

int fsck_extent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_extent *e)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le16(e->blocks), size = fsck_size_blocks(s);
	struct tfs_disk_ptr d = e->ptr;
	struct tfs_ptr ptr = tfs_ptr_cpu(&d);
	bool read = false;
	char object[64];
	int err = 0;

	if (!fsck_place_sound(s->f, key, e, &ptr)) {
		fsck_item_name(s->ino, object, sizeof(object), "block", block);
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object,
		                 "expected a place in the volume born by epoch %llu, found unit %llu+%u of %llu",
		                 (unsigned long long)s->f->st.epoch, (unsigned long long)ptr.addr, ptr.len,
		                 (unsigned long long)ptr.birth))
			fsck_item_remove(s, key);
		return 0;
	}
	if (overlaps(s, key, "block", !s->end && s->types >> TFS_IT_INLINE & 1 ? 1 : s->end))
		return 0;
	if (!counted_before(s, block / FSCK_WINDOW_BLOCKS, e)) {
		err = fsck_place_use(s, key, &ptr, e, "block", block);
		if (err) {
			s->seens -= e->codec && s->seens; /* the next piece of it is to go too */
			return err < 0 ? err : 0;
		}
		read = s->f->data;
	}
	if (read || (s->f->data && fsck_tail_here(s, e, block)))
		err = fsck_data_check(s, e, block);
	s->end = block + n;
	s->blocks += n;
	if (s->past == ~0ull && s->end > size)
		s->past = block > size ? block : size;
	return err ? err : run_add(s->f, block, s->end);
}

/* Pending ranges begin and end at windows: no compressed extent is cut by one. */
int fsck_pending(struct fsck_item_state *s, struct tfs_key key, const struct tfs_pending *p)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le64(p->blocks);
	char object[64];

	if (overlaps(s, key, "pending range", s->dropped))
		return 0;
	if (block % FSCK_WINDOW_BLOCKS || n % FSCK_WINDOW_BLOCKS) {
		fsck_item_name(s->ino, object, sizeof(object), "pending range", block);
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object, "expected whole windows, found %llu blocks",
		                 (unsigned long long)n))
			fsck_item_remove(s, key);
		return 0;
	}
	s->dropped = block + n;
	s->past_pending |= block <= s->past && block + n >= s->end;
	return 0;
}

/* The first run of the inode's extents that ends behind block, NULL: none. */
static const struct fsck_run *run_after(const struct fsck *f, u64 block)
{
	size_t lo = 0, hi = f->runs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->run[mid].end <= block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->runs ? &f->run[lo] : NULL;
}

/*
 * Promised space must not lie over an extent, nor over what is promised already. Extents come first in key order; they
 * are remembered instead of read again, since those salvaged from a damaged leaf cannot be.
 */
void fsck_prealloc(struct fsck_item_state *s, struct tfs_key key, const struct tfs_prealloc *p)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le64(p->blocks);
	const struct fsck_run *run = run_after(s->f, block);
	bool mapped = run && run->block < block + n;
	char object[64];

	if (overlaps(s, key, "promised block", !s->promised && s->types >> TFS_IT_INLINE & 1 ? 1 : s->promised))
		return;
	fsck_item_name(s->ino, object, sizeof(object), "promised block", block);
	if (n > s->f->st.blocks) {
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object,
		                 "expected no more blocks than the volume has, found %llu", (unsigned long long)n))
			fsck_item_remove(s, key);
		return;
	}
	if (mapped) {
		if (fsck_problem(s->f, FSCK_EXTENT_OVERLAP, object, "expected no extent there, found one at block %llu",
		                 (unsigned long long)run->block))
			fsck_item_remove(s, key);
		return;
	}
	s->promised = block + n;
	s->blocks += n;
	s->f->prealloc += n;
}
