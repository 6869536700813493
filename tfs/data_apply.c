// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What data records do to the trees, live and in replay: WRITE, CLONE, TRUNCATE, PUNCH, PREALLOC. Each checks the whole
 * record first (a crafted log may say anything: -EUCLEAN), then prepares, then applies, which cannot fail. A range with
 * more than RANGE_ITEMS items is left pending: it reads as a hole at once, and its items are dropped in steps that
 * append no record (tfs_pending_step). Pending ranges begin and end at windows, so that no compressed extent is cut by
 * one. inode.blocks counts mapped and preallocated blocks, pending ones until they are dropped.
 */
#include "tfs/window.h"

#define RANGE_ITEMS 32u
#define SCRATCH_WINDOW (2u * 65536)
#define PENDING_END (1ull << 52)

struct range_item {
	struct tfs_key key;
	struct tfs_ptr ptr; /* addr 0: nothing dies with it (PREALLOC, or its window refers to the extent by another) */
	bool shared;        /* set by range_need */
	u64 blocks;
};

struct range {
	u64 first, end; /* whole windows */
	u32 count, extents;
	bool more; /* there are others behind the last on the list */
	struct range_item item[RANGE_ITEMS + 1];
};

struct share { /* extents that a window begins to share */
	struct tfs_ptr more[TFS_WINDOW_BLOCKS];
	u32 mores;
};

struct change { /* in tfs_scratch */
	struct tfs_window left, right;
	struct range range;
	struct share share;
};

static struct change *change_of(struct tfs_vol *vol)
{
	return (struct change *)((u8 *)tfs_scratch(vol) + SCRATCH_WINDOW);
}

static int bad(struct tfs_vol *vol, const struct tfs_rec_head *rec, const char *what)
{
	return tfs_corrupt(vol, tfs_le64(rec->ino), what);
}

static struct tfs_key inode_key(u64 ino)
{
	return tfs_key(ino, TFS_IT_INODE, 0);
}

static struct tfs_key inline_key(u64 ino)
{
	return tfs_key(ino, TFS_IT_INLINE, 0);
}

static int file_of(struct tfs_vol *vol, const struct tfs_rec_head *rec, struct tfs_inode *inode)
{
	int err = tfs_inode_find(vol, tfs_le64(rec->ino), inode);

	if (err)
		return err == -ENOENT ? bad(vol, rec, "data record names no inode") : err;
	return (tfs_le32(inode->mode) >> 12) == 8 ? 0 : bad(vol, rec, "data record names no regular file");
}

static void inode_put(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode)
{
	memcpy(tfs_item_edit(vol, TFS_TREE_FS, inode_key(ino), NULL), inode, sizeof(*inode));
}

static void blocks_add(struct tfs_inode *inode, s64 n)
{
	inode->blocks = tfs_cpu64(tfs_le64(inode->blocks) + (u64)n);
}

/* Length of the INLINE item, 0: none. */
static int inline_len(struct tfs_vol *vol, u64 ino, u32 *len)
{
	const void *v;
	int err = tfs_item_find(vol, TFS_TREE_FS, inline_key(ino), &v, len);

	if (err)
		*len = 0;
	return err == -ENOENT ? 0 : err;
}

/* ---- PREALLOC: cutting a range out of the promises ---- */

struct carve {
	u64 block, end;   /* the range */
	u64 old[18];      /* items that go */
	u64 left, left_n; /* what stays of the first and of the last */
	u64 right, right_n;
	u32 olds;
	u64 given_back;
};

/* At most 16 items can begin in a window's range, and one before it: more is a contradiction. */
static int carve_load(struct tfs_vol *vol, u64 ino, u64 block, u64 end, struct carve *c)
{
	struct tfs_key k = tfs_key(ino, TFS_IT_PREALLOC, block);
	const void *v;
	u32 len;
	int err = tfs_item_prev(vol, TFS_TREE_FS, &k, &v, &len);

	memset(c, 0, sizeof(*c));
	c->block = block;
	c->end = end;
	if (err == -ENOENT || (!err && (k.a != ino || tfs_key_type(k) != TFS_IT_PREALLOC))) {
		k = tfs_key(ino, TFS_IT_PREALLOC, block);
		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
	}
	for (; !err && k.a == ino && tfs_key_type(k) == TFS_IT_PREALLOC && tfs_key_pos(k) < end;
	     err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)) {
		u64 from = tfs_key_pos(k), n = tfs_le64(((const struct tfs_prealloc *)v)->blocks), to = from + n;

		k.b++;
		if (to <= block)
			continue;
		if (c->olds == 18)
			return tfs_corrupt(vol, ino, "preallocated ranges overlap");
		c->old[c->olds++] = from;
		if (from < block) {
			c->left = from;
			c->left_n = block - from;
		}
		if (to > end) {
			c->right = end;
			c->right_n = to - end;
		}
		c->given_back += (to < end ? to : end) - (from > block ? from : block);
	}
	return err == -ENOENT ? 0 : err;
}

static void carve_need(struct tfs_vol *vol, u64 ino, const struct carve *c)
{
	u32 i;

	for (i = 0; i < c->olds; i++)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, c->old[i]), 0);
	if (c->left_n)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, c->left), 8);
	if (c->right_n)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, c->right), 8);
}

static void prealloc_put(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks)
{
	struct tfs_prealloc p = {tfs_cpu64(blocks)};

	tfs_item_put(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, block), &p, sizeof(p));
}

static void carve_apply(struct tfs_vol *vol, u64 ino, const struct carve *c, struct tfs_inode *inode)
{
	u32 i;

	for (i = 0; i < c->olds; i++)
		tfs_item_del(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, c->old[i]));
	if (c->left_n)
		prealloc_put(vol, ino, c->left, c->left_n);
	if (c->right_n)
		prealloc_put(vol, ino, c->right, c->right_n);
	tfs_counters_of(vol)->prealloc_blocks -= c->given_back;
	blocks_add(inode, -(s64)c->given_back);
}

/* ---- WRITE ---- */

static int write_sound(struct tfs_vol *vol, const struct tfs_rec_write *r)
{
	u64 block = tfs_le64(r->block), blocks = tfs_le32(r->blocks), size = tfs_le64(r->size);

	if (tfs_le32(r->head.len) < sizeof(*r) || !blocks || blocks > TFS_WINDOW_BLOCKS || block >= TFS_BLOCK_MAX ||
	    tfs_window_first(block) != tfs_window_first(block + blocks - 1) || size > TFS_FILE_SIZE_MAX)
		return bad(vol, &r->head, "write record out of range");
	if (!(tfs_le16(r->head.flags) & TFS_WRITE_INLINE))
		return 0;
	if (block || blocks != 1 || !r->count || tfs_le32(r->count) > TFS_INLINE_MAX ||
	    tfs_le32(r->head.len) < sizeof(*r) + tfs_le32(r->count))
		return bad(vol, &r->head, "inline write record malformed");
	return 0;
}

/* New pieces into the window, their places ready to be claimed. */
static int write_pieces(struct tfs_vol *vol, const struct tfs_rec_write *r, struct tfs_window *w)
{
	const u8 *at = (const u8 *)(r + 1), *end = (const u8 *)r + tfs_le32(r->head.len);
	u64 ino = tfs_le64(r->head.ino), first = tfs_le64(r->block), last = first + tfs_le32(r->blocks);
	u32 i, n = tfs_le16(r->head.flags) & TFS_WRITE_INLINE ? 0 : tfs_le32(r->count);
	int err = 0;

	for (i = 0; !err && i < n; i++) {
		const struct tfs_extent *e = (const struct tfs_extent *)(at + 16);
		struct tfs_ptr ptr;
		le64 block;
		le32 len;

		if (end - at < 16)
			return bad(vol, &r->head, "write record too short");
		memcpy(&block, at, 8);
		memcpy(&len, at + 8, 4);
		if ((u64)(end - at) < 16 + (u64)((tfs_le32(len) + 7) & ~7u) || tfs_le32(len) > TFS_ITEM_MAX ||
		    tfs_item_check(TFS_TREE_FS, tfs_extent_key(ino, tfs_le64(block)), e, tfs_le32(len)))
			return bad(vol, &r->head, "write record's extent is malformed");
		if (tfs_le64(block) < first || tfs_le64(block) + tfs_le16(e->blocks) > last)
			return bad(vol, &r->head, "write record's extent is outside of its range");
		ptr = tfs_ptr_cpu(&e->ptr);
		err = tfs_window_add(vol, ino, w, tfs_le64(block), e, tfs_le32(len));
		if (!err)
			err = tfs_ptr_prepare_claim(vol, &ptr);
		at += 16 + ((tfs_le32(len) + 7) & ~7u);
	}
	return err;
}

static void write_claim(struct tfs_vol *vol, const struct tfs_rec_write *r)
{
	const u8 *at = (const u8 *)(r + 1);
	u32 i, n = tfs_le16(r->head.flags) & TFS_WRITE_INLINE ? 0 : tfs_le32(r->count);

	for (i = 0; i < n; i++) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&((const struct tfs_extent *)(at + 16))->ptr);
		le32 len;

		tfs_ptr_claim(vol, &ptr);
		memcpy(&len, at + 8, 4);
		at += 16 + ((tfs_le32(len) + 7) & ~7u);
	}
}

static bool time_before(const struct tfs_time *a, const struct tfs_time *b)
{
	s64 x = (s64)tfs_le64(a->sec), y = (s64)tfs_le64(b->sec);

	return x != y ? x < y : tfs_le32(a->nsec) < tfs_le32(b->nsec);
}

static void write_inode(struct tfs_inode *inode, const struct tfs_rec_write *r)
{
	u64 old = tfs_le64(inode->size), tail = old / TFS_BLOCK, block = tfs_le64(r->block);

	if (block <= tail && tail < block + tfs_le32(r->blocks))
		inode->flags &= tfs_cpu32(~TFS_INODE_TAIL);
	inode->size = r->size;
	if (!(tfs_le16(r->head.flags) & TFS_WRITE_TIMES))
		return;
	inode->mtime = r->head.time;
	if (time_before(&inode->ctime,
	                &r->head.time)) /* else something after the write, as a chmod, was logged first */
		inode->ctime = r->head.time;
}

/* A range of one window that is about to hold something else: WRITE and CLONE. */
struct replace {
	struct tfs_window *w;
	struct tfs_inode inode;
	struct carve carve;
	u32 inlined; /* bytes of the INLINE item that goes, 0: none */
};

static int replace_load(struct tfs_vol *vol, const struct tfs_rec_write *r, struct replace *p)
{
	u64 ino = tfs_le64(r->head.ino), block = tfs_le64(r->block), end = block + tfs_le32(r->blocks);
	int err = file_of(vol, &r->head, &p->inode);

	p->w = &change_of(vol)->left;
	if (!err)
		err = tfs_pending_drain(vol, ino);
	if (!err)
		err = file_of(vol, &r->head, &p->inode); /* the drain changed its count of blocks */
	if (!err)
		err = inline_len(vol, ino, &p->inlined);
	if (block)
		p->inlined = 0;
	if (!err)
		err = carve_load(vol, ino, block, end, &p->carve);
	if (!err)
		err = tfs_window_load(vol, ino, block, p->w);
	return err ? err : tfs_window_cut(vol, ino, p->w, block, end);
}

/* stays: bytes of the INLINE item that comes, 0: none */
static int replace_prepare(struct tfs_vol *vol, u64 ino, struct replace *p, u32 stays)
{
	int err;

	tfs_need(vol, TFS_TREE_FS, inode_key(ino), 0);
	if (p->inlined || stays)
		tfs_need(vol, TFS_TREE_FS, inline_key(ino), stays);
	carve_need(vol, ino, &p->carve);
	err = tfs_window_need(vol, ino, p->w);
	return err ? err : tfs_prepare(vol);
}

static void replace_apply(struct tfs_vol *vol, const struct tfs_rec_write *r, struct replace *p)
{
	u64 ino = tfs_le64(r->head.ino);

	carve_apply(vol, ino, &p->carve, &p->inode);
	tfs_window_apply(vol, ino, p->w);
	if (p->inlined)
		tfs_item_del(vol, TFS_TREE_FS, inline_key(ino));
	blocks_add(&p->inode, p->w->mapped);
	write_inode(&p->inode, r);
	inode_put(vol, ino, &p->inode);
}

static int write_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_write *r = (const struct tfs_rec_write *)rec;
	u32 stays = tfs_le16(rec->flags) & TFS_WRITE_INLINE ? tfs_le32(r->count) : 0;
	u64 ino = tfs_le64(rec->ino);
	struct replace p;
	int err = write_sound(vol, r);

	if (!err)
		err = replace_load(vol, r, &p);
	if (!err)
		err = write_pieces(vol, r, p.w);
	if (!err)
		err = replace_prepare(vol, ino, &p, stays);
	if (err)
		return err;
	replace_apply(vol, r, &p);
	write_claim(vol, r);
	if (stays)
		tfs_item_put(vol, TFS_TREE_FS, inline_key(ino), r + 1, stays);
	return 0;
}

/* ---- CLONE ---- */

static int clone_sound(struct tfs_vol *vol, const struct tfs_rec_clone *r)
{
	u64 from = tfs_le64(r->from), to = tfs_le64(r->to.block);

	if (tfs_le32(r->to.head.len) < sizeof(*r) || tfs_le16(r->to.head.flags) & TFS_WRITE_INLINE ||
	    from >= TFS_BLOCK_MAX || from % TFS_WINDOW_BLOCKS != to % TFS_WINDOW_BLOCKS ||
	    (r->source == r->to.head.ino && from == to))
		return bad(vol, &r->to.head, "clone record out of range");
	return write_sound(vol, &r->to);
}

/*
 * The bytes behind a file's end in its last block read as zeros when it grows. So the source's last block is shared
 * only when it is clean behind its end, and becomes a last block only where both end at the same byte.
 */
static bool clone_ends_fit(const struct tfs_rec_clone *r, const struct tfs_inode *source)
{
	u64 size = tfs_le64(r->to.size), tail = size / TFS_BLOCK, to = tfs_le64(r->to.block), from = tfs_le64(r->from);
	u64 source_size = tfs_le64(source->size), n = tfs_le32(r->to.blocks);

	if (tfs_le32(source->flags) & TFS_INODE_TAIL && source_size / TFS_BLOCK - from < n)
		return false;
	return size % TFS_BLOCK == 0 || tail - to >= n || source_size - from * TFS_BLOCK == size - to * TFS_BLOCK;
}

/* A piece of the source, as far as it lies in the range, becomes one of the window. */
static int clone_piece(struct tfs_vol *vol, const struct tfs_rec_clone *r, const struct tfs_piece *p,
                       struct tfs_window *w, struct share *s)
{
	u64 from = tfs_le64(r->from), end = from + tfs_le32(r->to.blocks);
	u64 first = p->block > from ? p->block : from, last = p->block + tfs_piece_blocks(p);
	struct tfs_extent e = p->e;
	struct tfs_ptr ptr = tfs_ptr_cpu(&e.ptr);
	int err = 0;

	if (last > end)
		last = end;
	if (first >= last)
		return 0;
	if (!e.codec || ptr.flags & TFS_PTR_GANG)
		return -EOPNOTSUPP;
	e.skip = tfs_cpu16((u16)(tfs_le16(e.skip) + (first - p->block)));
	e.blocks = tfs_cpu16((u16)(last - first));
	if (!tfs_window_uses(w, e.ptr.addr)) {
		err = tfs_ref_prepare_add(vol, &ptr);
		s->more[s->mores++] = ptr;
	}
	return err ? err
	           : tfs_window_add(vol, tfs_le64(r->to.head.ino), w, tfs_le64(r->to.block) + (first - from), &e,
	                            TFS_EXTENT_HEAD);
}

static int clone_pieces(struct tfs_vol *vol, const struct tfs_rec_clone *r, struct tfs_window *w, struct share *s)
{
	struct tfs_window *source = &change_of(vol)->right;
	u64 ino = tfs_le64(r->source), from = tfs_le64(r->from);
	struct tfs_inode inode;
	u32 inlined, i;
	int err = tfs_inode_find(vol, ino, &inode);

	s->mores = 0;
	if (!err && ((tfs_le32(inode.mode) >> 12) != 8 || !clone_ends_fit(r, &inode)))
		err = -EOPNOTSUPP;
	if (!err)
		err = inline_len(vol, ino, &inlined);
	if (!err && !from && inlined)
		err = -EOPNOTSUPP;
	if (!err)
		err = tfs_window_load(vol, ino, from, source);
	for (i = 0; !err && i < source->olds; i++)
		err = clone_piece(vol, r, &source->old[i], w, s);
	return err;
}

static int clone_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_clone *r = (const struct tfs_rec_clone *)rec;
	struct share *s = &change_of(vol)->share;
	struct replace p;
	u32 i;
	int err = clone_sound(vol, r);

	if (!err)
		err = tfs_pending_drain(vol, tfs_le64(r->source));
	if (!err)
		err = replace_load(vol, &r->to, &p);
	if (!err)
		err = clone_pieces(vol, r, p.w, s);
	if ((err == -EOPNOTSUPP || err == -ENOENT) && tfs_replaying(vol))
		err = bad(vol, rec, "clone record names what cannot be shared");
	if (!err)
		err = replace_prepare(vol, tfs_le64(rec->ino), &p, 0);
	if (err)
		return err;
	replace_apply(vol, &r->to, &p);
	for (i = 0; i < s->mores; i++)
		tfs_ref_add(vol, &s->more[i]);
	return 0;
}

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
		if (!e->codec || !extent_listed(g, k, tfs_le64(e->ptr.addr)))
			it->ptr = tfs_ptr_cpu(&e->ptr);
		g->extents++;
	} else {
		it->blocks = tfs_le64(((const struct tfs_prealloc *)v)->blocks);
	}
	g->count++;
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

/* Whole windows only: the last one on a list that was cut off may be half there. */
static void range_whole_windows(struct range *g)
{
	u64 last;

	if (!g->more || g->extents < g->count)
		return;
	last = tfs_window_first(tfs_key_pos(g->item[g->count - 1].key));
	while (g->count && tfs_key_pos(g->item[g->count - 1].key) >= last)
		g->count--;
}

static int range_need(struct tfs_vol *vol, struct range *g)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < g->count; i++) {
		tfs_need(vol, TFS_TREE_FS, g->item[i].key, 0);
		if (g->item[i].ptr.addr)
			err = tfs_ref_prepare_drop(vol, &g->item[i].ptr, &g->item[i].shared);
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
		blocks_add(inode, -(s64)it->blocks);
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

/* Cuts promises at the two edges in an operation-neutral way, so that whole items lie in or out of the range. */
static int prealloc_split(struct tfs_vol *vol, u64 ino, u64 at)
{
	struct tfs_key k = tfs_key(ino, TFS_IT_PREALLOC, at ? at - 1 : 0);
	const void *v;
	u64 from, to;
	u32 len;
	int err = at ? tfs_item_prev(vol, TFS_TREE_FS, &k, &v, &len) : -ENOENT;

	if (err == -ENOENT || (!err && (k.a != ino || tfs_key_type(k) != TFS_IT_PREALLOC)))
		return 0;
	if (err)
		return err;
	from = tfs_key_pos(k);
	to = from + tfs_le64(((const struct tfs_prealloc *)v)->blocks);
	if (to <= at)
		return 0;
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, k, 8);
	tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, at), 8);
	err = tfs_prepare(vol);
	tfs_need_reset(vol);
	if (err)
		return err;
	prealloc_put(vol, ino, from, at - from);
	prealloc_put(vol, ino, at, to - at);
	return 0;
}

static int hole_prepare(struct tfs_vol *vol, u64 ino, struct hole *h, struct change *c)
{
	u64 first = tfs_window_first(h->block + TFS_WINDOW_BLOCKS - 1), last = tfs_window_first(h->end);
	int err = prealloc_split(vol, ino, h->block);

	if (!err)
		err = prealloc_split(vol, ino, h->end);
	if (!err && first < last)
		err = prealloc_split(vol, ino, first);
	if (!err && first < last)
		err = prealloc_split(vol, ino, last);
	if (!err)
		err = hole_load(vol, ino, h, c);
	memset(h->carve, 0, sizeof(h->carve));
	if (!err && first >= last)
		err = carve_load(vol, ino, h->block, h->end, &h->carve[0]);
	else if (!err && h->left)
		err = carve_load(vol, ino, h->block, first, &h->carve[0]);
	if (!err && first < last && h->right)
		err = carve_load(vol, ino, last, h->end, &h->carve[1]);
	if (err)
		return err;
	carve_need(vol, ino, &h->carve[0]);
	carve_need(vol, ino, &h->carve[1]);
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
	carve_apply(vol, ino, &h->carve[0], inode);
	carve_apply(vol, ino, &h->carve[1], inode);
	if (h->left) {
		tfs_window_apply(vol, ino, &c->left);
		blocks_add(inode, c->left.mapped);
	}
	if (h->right) {
		tfs_window_apply(vol, ino, &c->right);
		blocks_add(inode, c->right.mapped);
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

/* One function for both: TRUNCATE frees what lies behind the new size, PUNCH a range. */
static int hole_record(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_range *r = (const struct tfs_rec_range *)rec;
	bool truncate = tfs_le16(rec->type) == TFS_REC_TRUNCATE, tail = false;
	u64 ino = tfs_le64(rec->ino), size, kept = 0;
	struct change *c = change_of(vol);
	struct tfs_inode inode;
	struct hole h;
	u32 inlined;
	int err;

	if (tfs_le32(rec->len) < sizeof(*r) || tfs_le64(r->size) > TFS_FILE_SIZE_MAX ||
	    (!truncate && (!r->blocks || tfs_le64(r->block) >= TFS_BLOCK_MAX ||
	                   tfs_le64(r->blocks) > TFS_BLOCK_MAX - tfs_le64(r->block))))
		return bad(vol, rec, "range record out of range");
	err = file_of(vol, rec, &inode);
	if (!err)
		err = tfs_pending_drain(vol, ino);
	if (!err)
		err = file_of(vol, rec, &inode);
	if (!err)
		err = inline_len(vol, ino, &inlined);
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
	if (!err)
		err = hole_prepare(vol, ino, &h, c);
	if (err)
		return err;
	tfs_need(vol, TFS_TREE_FS, inode_key(ino), 0);
	if (kept != inlined)
		tfs_need(vol, TFS_TREE_FS, inline_key(ino), (u32)kept);
	err = tfs_prepare(vol);
	if (err)
		return err;
	hole_apply(vol, ino, &h, c, &inode);
	if (kept != inlined) {
		u8 *copy = tfs_scratch(vol);

		memcpy(copy, tfs_item_edit(vol, TFS_TREE_FS, inline_key(ino), NULL), kept);
		tfs_item_del(vol, TFS_TREE_FS, inline_key(ino));
		if (kept)
			tfs_item_put(vol, TFS_TREE_FS, inline_key(ino), copy, (u32)kept);
	}
	if (truncate) {
		if (tail)
			inode.flags |= tfs_cpu32(TFS_INODE_TAIL);
		else if (size < tfs_le64(inode.size))
			inode.flags &= tfs_cpu32(~TFS_INODE_TAIL);
		inode.size = r->size;
	}
	inode.mtime = inode.ctime = rec->time;
	inode_put(vol, ino, &inode);
	return 0;
}

/* ---- PREALLOC ---- */

#define GAPS_MAX 20u

struct gaps {
	u64 block[GAPS_MAX], end[GAPS_MAX];
	u32 count;
};

/* End of the mapped range that covers or follows `block`; *from where it begins. */
static int covered(struct tfs_vol *vol, u64 ino, u32 type, u64 block, u64 *from, u64 *to)
{
	struct tfs_key k = tfs_key(ino, type, block);
	const void *v;
	u32 len, tries;
	int err = tfs_item_prev(vol, TFS_TREE_FS, &k, &v, &len);

	for (tries = 0; tries < 2; tries++) {
		if (!err && k.a == ino && tfs_key_type(k) == type) {
			*from = tfs_key_pos(k);
			*to = *from + (type == TFS_IT_EXTENT ? tfs_le16(((const struct tfs_extent *)v)->blocks)
			                                     : tfs_le64(((const struct tfs_prealloc *)v)->blocks));
			if (*to > block)
				return 1;
		}
		if (err && err != -ENOENT)
			return err;
		k = tfs_key(ino, type, block);
		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
	}
	return err && err != -ENOENT ? err : 0;
}

static int gaps_find(struct tfs_vol *vol, u64 ino, u64 block, u64 end, bool inlined, struct gaps *g)
{
	g->count = 0;
	if (inlined && !block)
		block = 1;
	while (block < end) {
		u64 from = end, to = end, f = 0, t = 0;
		u32 type;

		for (type = TFS_IT_EXTENT; type <= TFS_IT_PREALLOC; type++) {
			int got = covered(vol, ino, type, block, &f, &t);

			if (got < 0)
				return got;
			if (got && f < from) {
				from = f;
				to = t;
			}
		}
		if (from > block) {
			if (g->count == GAPS_MAX)
				return tfs_corrupt(vol, ino, "preallocation record spans too many holes");
			g->block[g->count] = block;
			g->end[g->count++] = from < end ? from : end;
		}
		block = to;
	}
	return 0;
}

static int prealloc_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_range *r = (const struct tfs_rec_range *)rec;
	u64 ino = tfs_le64(rec->ino), block, end;
	struct tfs_inode inode;
	struct gaps g;
	u32 inlined, i;
	int err;

	if (tfs_le32(rec->len) < sizeof(*r) || !r->blocks || tfs_le64(r->block) >= TFS_BLOCK_MAX ||
	    tfs_le64(r->blocks) > TFS_BLOCK_MAX - tfs_le64(r->block) || tfs_le64(r->size) > TFS_FILE_SIZE_MAX)
		return bad(vol, rec, "preallocation record out of range");
	block = tfs_le64(r->block);
	end = block + tfs_le64(r->blocks);
	err = file_of(vol, rec, &inode);
	if (!err)
		err = tfs_pending_drain(vol, ino);
	if (!err)
		err = file_of(vol, rec, &inode);
	if (!err)
		err = inline_len(vol, ino, &inlined);
	if (!err)
		err = gaps_find(vol, ino, block, end, inlined, &g);
	if (err)
		return err;
	tfs_need(vol, TFS_TREE_FS, inode_key(ino), 0);
	for (i = 0; i < g.count; i++)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, g.block[i]), 8);
	err = tfs_prepare(vol);
	if (err)
		return err;
	for (i = 0; i < g.count; i++) {
		prealloc_put(vol, ino, g.block[i], g.end[i] - g.block[i]);
		tfs_counters_of(vol)->prealloc_blocks += g.end[i] - g.block[i];
		blocks_add(&inode, (s64)(g.end[i] - g.block[i]));
	}
	if (tfs_le64(r->size) > tfs_le64(inode.size)) {
		inode.size = r->size;
		inode.mtime = rec->time;
	}
	inode.ctime = rec->time;
	inode_put(vol, ino, &inode);
	return 0;
}

int tfs_apply_data(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	switch (tfs_le16(rec->type)) {
	case TFS_REC_WRITE:
		return write_apply(vol, rec);
	case TFS_REC_CLONE:
		return clone_apply(vol, rec);
	case TFS_REC_PREALLOC:
		return prealloc_apply(vol, rec);
	}
	return hole_record(vol, rec);
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
	tfs_need(vol, TFS_TREE_FS, inode_key(ino), 0);
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
	inode_put(vol, ino, &inode);
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
	struct range *g = &change_of(vol)->range;
	struct tfs_key k, none = {0, 0};
	u64 blocks;
	int err = first_of(vol, ino, TFS_IT_PENDING, &k, &blocks);

	if (err <= 0)
		return err;
	err = range_load(vol, ino, tfs_key_pos(k), tfs_key_pos(k) + blocks, g);
	if (err)
		return err;
	range_whole_windows(g);
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

int tfs_data_free_step(struct tfs_vol *vol, u64 ino)
{
	struct range *g = &change_of(vol)->range;
	struct tfs_key k, done = {0, 0};
	u64 blocks;
	int err = range_load(vol, ino, 0, PENDING_END, g);

	if (err)
		return err;
	range_whole_windows(g);
	if (!g->count) {
		err = first_of(vol, ino, TFS_IT_INLINE, &done, &blocks);
		if (!err)
			err = first_of(vol, ino, TFS_IT_PENDING, &done, &blocks);
		if (err <= 0)
			return err;
	}
	k = g->count ? g->item[0].key : done;
	if (!g->count || done.b)
		err = step_apply(vol, ino, g, done);
	else
		err = step_apply(vol, ino, g, (struct tfs_key){0, 0});
	if (!err)
		tfs_tidy(vol, TFS_TREE_FS, k);
	return err ? err : 1;
}
