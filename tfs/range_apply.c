// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Ranges that become holes: TRUNCATE and PUNCH, and the steps that free content without a record. A range with more
 * than RANGE_ITEMS items is left pending: it reads as a hole at once, and its items are dropped in steps
 * (tfs_pending_step). Pending ranges begin and end at windows, so that no compressed extent is cut by one. Called by
 * data_apply.c, data.c before an operation, orphan.c.
 */
#include "tfs/data_apply.h"
#include "tfs/ship.h"

/* ---- ranges ---- */

/* By a piece of the same window: a window refers to an extent once. */
static bool extent_listed(const struct range *g, struct tfs_key k, u64 addr)
{
	u32 i;

	for (i = g->count; i-- && tfs_window_first(tfs_key_pos(g->item[i].key)) == tfs_window_first(tfs_key_pos(k));)
		if (g->item[i].ptr.addr == addr)
			return true;
	return false;
}

static void range_add(struct range *g, struct tfs_key k, const void *v)
{
	const struct tfs_extent *e = v;
	struct range_item *it = &g->item[g->count];

	memset(it, 0, sizeof(*it));
	it->key = k;
	if (tfs_key_type(k) == TFS_IT_EXTENT) {
		it->blocks = tfs_le16(e->blocks);
		it->raw = !e->codec;
		if (it->raw || !extent_listed(g, k, tfs_le64(e->ptr.addr)))
			it->ptr = tfs_ptr_cpu(&e->ptr);
		g->extents++;
	} else {
		it->blocks = tfs_le64(((const struct tfs_prealloc *)v)->blocks);
	}
	g->count++;
}

/* How many keys of REFS the last item takes: more than there is room for, and it is not on the list. */
static int range_keys(struct tfs_vol *vol, struct range *g)
{
	const struct range_item *it = &g->item[g->count - 1];
	int keys = it->ptr.addr ? tfs_ref_keys(vol, &it->ptr, it->raw) : 0;

	if (keys < 0)
		return keys;
	if (g->keys + (u32)keys > RANGE_KEYS) {
		g->count--;
		g->extents--;
		g->more = true;
	} else {
		g->keys += (u32)keys;
	}
	return 0;
}

/* Items of one type that begin in the range, as long as there is room. */
static int range_collect(struct tfs_vol *vol, u64 ino, u32 type, struct range *g)
{
	struct tfs_key k = tfs_key(ino, type, g->first);
	const void *v;
	u32 len;
	int err;

	for (;; k.b++) {
		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
		if (err == -ENOENT || (!err && (k.a != ino || tfs_key_type(k) != type || tfs_key_pos(k) >= g->end)))
			return 0;
		if (err)
			return err;
		if (g->count == RANGE_ITEMS) {
			g->more = true;
			return 0;
		}
		range_add(g, k, v);
		err = range_keys(vol, g);
		if (err || g->more)
			return err;
	}
}

static int range_load(struct tfs_vol *vol, u64 ino, u64 first, u64 end, struct range *g)
{
	int err;

	memset(g, 0, sizeof(*g));
	g->first = first;
	g->end = end;
	if (first >= end)
		return 0;
	err = range_collect(vol, ino, TFS_IT_EXTENT, g);
	if (!err && !g->more)
		err = range_collect(vol, ino, TFS_IT_PREALLOC, g);
	return err;
}

/* Whole windows only: the last one on a list that was cut off may be half there. A sound window fits onto it. */
static int range_whole_windows(struct tfs_vol *vol, u64 ino, struct range *g)
{
	u64 last;

	if (!g->more || g->extents < g->count)
		return 0;
	last = g->count ? tfs_window_first(tfs_key_pos(g->item[g->count - 1].key)) : 0;
	while (g->count && tfs_key_pos(g->item[g->count - 1].key) >= last)
		g->count--;
	return g->count ? 0 : tfs_corrupt(vol, ino, "extents overlap");
}

static int range_need(struct tfs_vol *vol, struct range *g)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < g->count; i++) {
		tfs_need(vol, TFS_TREE_FS, g->item[i].key, 0);
		if (g->item[i].ptr.addr)
			err = tfs_ref_prepare_drop(vol, &g->item[i].ptr, g->item[i].raw, &g->item[i].shared);
	}
	return err;
}

static void range_apply(struct tfs_vol *vol, const struct range *g, struct tfs_inode *inode)
{
	u32 i;

	for (i = 0; i < g->count; i++) {
		const struct range_item *it = &g->item[i];

		tfs_item_del(vol, TFS_TREE_FS, it->key);
		if (it->ptr.addr)
			tfs_ref_drop(vol, &it->ptr, it->shared);
		if (tfs_key_type(it->key) == TFS_IT_PREALLOC)
			tfs_counters_of(vol)->prealloc_blocks -= it->blocks;
		tfs_blocks_add(inode, -(s64)it->blocks);
	}
}

/* ---- TRUNCATE and PUNCH: a range becomes a hole ---- */

struct hole {
	u64 block, end;
	bool left, right; /* windows cut in part */
	bool pending;
	struct carve carve[2]; /* promises over the left and right window edges */
};

/* Edges are cut piece by piece; whole windows between them by item, or later. */
static int hole_load(struct tfs_vol *vol, u64 ino, struct hole *h, struct change *c)
{
	u64 lw = tfs_window_first(h->block), rw = tfs_window_first(h->end);
	u64 first = h->block == lw ? lw : lw + TFS_WINDOW_BLOCKS, last = rw;
	int err = 0;

	h->left = h->block != lw;
	h->right = h->end != rw && (!h->left || rw != lw);
	if (h->left) {
		err = tfs_window_load(vol, ino, h->block, &c->left);
		if (!err)
			err = tfs_window_cut(vol, ino, &c->left, h->block, h->end < first ? h->end : first);
	}
	if (!err && h->right) {
		err = tfs_window_load(vol, ino, rw, &c->right);
		if (!err)
			err = tfs_window_cut(vol, ino, &c->right, rw > h->block ? rw : h->block, h->end);
	}
	if (!err)
		err = range_load(vol, ino, first, last, &c->range);
	h->pending = c->range.more;
	if (h->pending)
		c->range.count = 0;
	return err;
}

static void pending_put(struct tfs_vol *vol, u64 ino, u64 first, u64 end)
{
	struct tfs_pending p = {tfs_cpu64(end - first)};

	tfs_item_put(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PENDING, first), &p, sizeof(p));
}

static int hole_prepare(struct tfs_vol *vol, u64 ino, struct hole *h, struct change *c)
{
	u64 first = tfs_window_first(h->block + TFS_WINDOW_BLOCKS - 1), last = tfs_window_first(h->end);
	int err = tfs_prealloc_split(vol, ino, h->block);

	if (!err)
		err = tfs_prealloc_split(vol, ino, h->end);
	if (!err && first < last)
		err = tfs_prealloc_split(vol, ino, first);
	if (!err && first < last)
		err = tfs_prealloc_split(vol, ino, last);
	if (!err)
		err = hole_load(vol, ino, h, c);
	memset(h->carve, 0, sizeof(h->carve));
	if (!err && first >= last)
		err = tfs_carve_load(vol, ino, h->block, h->end, &h->carve[0]);
	else if (!err && h->left)
		err = tfs_carve_load(vol, ino, h->block, first, &h->carve[0]);
	if (!err && first < last && h->right)
		err = tfs_carve_load(vol, ino, last, h->end, &h->carve[1]);
	if (err)
		return err;
	tfs_carve_need(vol, ino, &h->carve[0]);
	tfs_carve_need(vol, ino, &h->carve[1]);
	if (h->left)
		err = tfs_window_need(vol, ino, &c->left);
	if (!err && h->right)
		err = tfs_window_need(vol, ino, &c->right);
	if (!err)
		err = range_need(vol, &c->range);
	if (h->pending)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PENDING, c->range.first), 8);
	return err;
}

static void hole_apply(struct tfs_vol *vol, u64 ino, const struct hole *h, const struct change *c,
                       struct tfs_inode *inode)
{
	tfs_carve_apply(vol, ino, &h->carve[0], inode);
	tfs_carve_apply(vol, ino, &h->carve[1], inode);
	if (h->left) {
		tfs_window_apply(vol, ino, &c->left);
		tfs_blocks_add(inode, c->left.mapped);
	}
	if (h->right) {
		tfs_window_apply(vol, ino, &c->right);
		tfs_blocks_add(inode, c->right.mapped);
	}
	range_apply(vol, &c->range, inode);
	if (h->pending)
		pending_put(vol, ino, c->range.first, c->range.end);
}

/* Is the file's last block, partly kept, an extent's? Then what lies behind the new end is dirty. */
static int tail_mapped(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_window *w, bool *yes)
{
	u32 i;
	int err = tfs_window_load(vol, ino, block, w);

	*yes = false;
	for (i = 0; !err && i < w->news; i++)
		*yes |= w->piece[i].block <= block && block < w->piece[i].block + tfs_piece_blocks(&w->piece[i]);
	return err;
}

/* No cursor stays before what was punched: a hole's zeros are no lines. */
static void lines_cut(struct tfs_vol *vol, u64 ino, u64 from, u64 to)
{
	tfs_ship_cut_apply(vol, ino, from < to ? from : to, to);
}

/* One function for both: TRUNCATE frees what lies behind the new size, PUNCH a range. */
int tfs_apply_hole(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_range *r = (const struct tfs_rec_range *)rec;
	bool truncate = tfs_le16(rec->type) == TFS_REC_TRUNCATE, tail = false, shipped = false;
	bool lines = tfs_le16(rec->flags) & TFS_RANGE_LINES;
	u64 copy = !lines ? 0 : truncate ? tfs_le64(r->block) : tfs_le64(r->size);
	u64 ino = tfs_le64(rec->ino), size, kept = 0;
	struct change *c = tfs_change_of(vol);
	struct tfs_inode inode;
	struct hole h;
	u32 inlined;
	int err;

	if (tfs_le32(rec->len) < sizeof(*r) || (truncate && tfs_le64(r->size) > TFS_FILE_SIZE_MAX) ||
	    (!truncate && (!r->blocks || tfs_le64(r->block) >= TFS_BLOCK_MAX ||
	                   tfs_le64(r->blocks) > TFS_BLOCK_MAX - tfs_le64(r->block))))
		return tfs_data_bad(vol, rec, "range record out of range");
	err = tfs_data_open(vol, rec, &inode, &inlined);
	if (err)
		return err;
	size = tfs_le64(r->size);
	memset(&h, 0, sizeof(h));
	h.block = truncate ? (size + TFS_BLOCK - 1) / TFS_BLOCK : tfs_le64(r->block);
	h.end = truncate ? PENDING_END : h.block + tfs_le64(r->blocks);
	if (inlined && !h.block)
		kept = 0;
	else
		kept = truncate && size < inlined ? size : inlined;
	if (truncate && size % TFS_BLOCK && size < tfs_le64(inode.size))
		err = tail_mapped(vol, ino, size / TFS_BLOCK, &c->left, &tail);
	if (!err) /* before all else that is needed: it may split a promise, which forgets that */
		err = hole_prepare(vol, ino, &h, c);
	if (!err && ((lines && !truncate) || (truncate && size < tfs_le64(inode.size))))
		err = tfs_ship_cut(vol, ino, &shipped);
	if (!err && copy)
		err = tfs_ship_copy(vol, ino, copy);
	if (err)
		return err;
	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), 0);
	if (kept != inlined)
		tfs_need(vol, TFS_TREE_FS, tfs_inline_key(ino), (u32)kept);
	err = tfs_prepare(vol);
	if (err)
		return err;
	hole_apply(vol, ino, &h, c, &inode);
	if (kept != inlined) {
		u8 *copy = tfs_scratch(vol);

		memcpy(copy, tfs_item_edit(vol, TFS_TREE_FS, tfs_inline_key(ino), NULL), kept);
		tfs_item_del(vol, TFS_TREE_FS, tfs_inline_key(ino));
		if (kept)
			tfs_item_put(vol, TFS_TREE_FS, tfs_inline_key(ino), copy, (u32)kept);
	}
	if (copy)
		tfs_ship_copy_apply(vol, copy);
	if (shipped)
		lines_cut(vol, ino, truncate ? 0 : h.end * TFS_BLOCK, truncate ? size : tfs_le64(inode.size));
	if (truncate) {
		if (tail)
			inode.flags |= tfs_cpu32(TFS_INODE_TAIL);
		else if (size < tfs_le64(inode.size))
			inode.flags &= tfs_cpu32(~TFS_INODE_TAIL);
		inode.size = r->size;
	}
	inode.mtime = inode.ctime = rec->time;
	tfs_data_inode_put(vol, ino, &inode);
	return 0;
}

/* ---- steps without a record ---- */

/* Drops what the list names and takes `done` (if its b is not 0) out of the tree with it. */
static int step_apply(struct tfs_vol *vol, u64 ino, struct range *g, struct tfs_key done)
{
	struct tfs_inode inode;
	int err = tfs_inode_find(vol, ino, &inode);

	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, ino, "has content and is not there") : err;
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), 0);
	if (done.b)
		tfs_need(vol, TFS_TREE_FS, done, 0);
	err = range_need(vol, g);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	range_apply(vol, g, &inode);
	if (done.b)
		tfs_item_del(vol, TFS_TREE_FS, done);
	tfs_data_inode_put(vol, ino, &inode);
	tfs_need_reset(vol);
	return 0;
}

/* The first item of a type; 0: none. */
static int first_of(struct tfs_vol *vol, u64 ino, u32 type, struct tfs_key *k, u64 *blocks)
{
	const void *v;
	u32 len;
	int err;

	*k = tfs_key(ino, type, 0);
	err = tfs_item_next(vol, TFS_TREE_FS, k, &v, &len);
	if (err == -ENOENT || (!err && (k->a != ino || tfs_key_type(*k) != type)))
		return 0;
	if (!err && len >= 8)
		*blocks = tfs_le64(((const struct tfs_pending *)v)->blocks);
	return err ? err : 1;
}

int tfs_pending_step(struct tfs_vol *vol, u64 ino)
{
	struct range *g = &tfs_change_of(vol)->range;
	struct tfs_key k, none = {0, 0};
	u64 blocks;
	int err = first_of(vol, ino, TFS_IT_PENDING, &k, &blocks);

	if (err <= 0)
		return err;
	err = range_load(vol, ino, tfs_key_pos(k), tfs_key_pos(k) + blocks, g);
	if (!err)
		err = range_whole_windows(vol, ino, g);
	if (!err)
		err = step_apply(vol, ino, g, g->more ? none : k);
	if (!err)
		tfs_tidy(vol, TFS_TREE_FS, g->count ? g->item[0].key : k);
	return err ? err : 1;
}

int tfs_pending_drain(struct tfs_vol *vol, u64 ino)
{
	int err = tfs_pending_step(vol, ino);

	while (err > 0) {
		if (!tfs_replaying(vol)) {
			err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
			if (err)
				return err;
		}
		err = tfs_pending_step(vol, ino);
	}
	return err;
}

/* Drops items that lie in [first, end) as a whole; both are windows' edges. 1: some; 0: there are none. */
static int range_free_step(struct tfs_vol *vol, u64 ino, u64 first, u64 end)
{
	struct range *g = &tfs_change_of(vol)->range;
	int err = range_load(vol, ino, first, end, g);

	if (!err)
		err = range_whole_windows(vol, ino, g);
	if (err)
		return err;
	while (g->count && tfs_key_pos(g->item[g->count - 1].key) + g->item[g->count - 1].blocks > end)
		g->count--; /* a promise that goes on */
	if (!g->count)
		return 0;
	err = step_apply(vol, ino, g, (struct tfs_key){0, 0});
	if (!err)
		tfs_tidy(vol, TFS_TREE_FS, g->item[0].key);
	return err ? err : 1;
}

int tfs_data_free_step(struct tfs_vol *vol, u64 ino)
{
	struct tfs_key k;
	u64 blocks;
	int err = range_free_step(vol, ino, 0, PENDING_END);

	if (err)
		return err;
	err = first_of(vol, ino, TFS_IT_INLINE, &k, &blocks);
	if (!err)
		err = first_of(vol, ino, TFS_IT_PENDING, &k, &blocks);
	if (err <= 0)
		return err;
	err = step_apply(vol, ino, &tfs_change_of(vol)->range, k); /* the list is empty */
	if (!err)
		tfs_tidy(vol, TFS_TREE_FS, k);
	return err ? err : 1;
}

int tfs_data_outside_step(struct tfs_vol *vol, u64 ino, u64 first, u64 end)
{
	int err = tfs_pending_step(vol, ino);

	if (!err)
		err = range_free_step(vol, ino, 0, tfs_window_first(first));
	if (!err)
		err = range_free_step(vol, ino, tfs_window_first(end + TFS_WINDOW_BLOCKS - 1), PENDING_END);
	return err;
}
