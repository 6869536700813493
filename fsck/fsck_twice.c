// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Between passes 2 and 3, only when pass 2 found units used twice: who keeps them. All that lies there is looked at
 * again, in key order. A tree node was verified by its CRC and moves. Of extents and xattr values one whose content is
 * not there goes; the first whose content is there keeps the place; each other gets a copy. Raw extents are decided
 * block by block. Before all others come compressed extents that several windows refer to alike, and raw blocks that
 * several items do, as clones do when a leaf of REFS is lost: they keep the place together, and pass 4 counts them. So
 * nothing is lost whose CRC verifies, and every unit has one owner afterwards, or owners that are counted.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct like { /* a window's reference to a compressed extent, or an item's to a raw block, that lies in a span */
	struct tfs_disk_ptr ptr; /* crc of a raw one: the block's */
	le16 total;
	u8 codec;
	bool kept; /* it stays where it is, with the others */
};

struct twice {
	struct fsck *f;
	bool gathers; /* the first walk: only likes are collected */
	struct fsck_window met;
	struct like *like;      /* sorted after that walk */
	struct fsck_ref *fresh; /* shared without an item; ascending */
	size_t likes, likes_max, freshes, freshes_max;
	u8 *taken;  /* a bit a unit of the spans */
	u64 window; /* the window that kept[] is about */
	u64 ino;
	struct tfs_extent kept[FSCK_WINDOW_BLOCKS]; /* compressed extents of it that keep their place */
	u32 kepts;
	u8 *buf; /* a window */
};

/* ---- units used twice ---- */

static int span_order(const void *a, const void *b)
{
	const struct fsck_span *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sorted, merged and numbered; returns how many units they hold. */
static u64 spans_settle(struct fsck *f)
{
	u64 units = 0;
	size_t n = 0;

	qsort(f->span, f->spans, sizeof(*f->span), span_order);
	for (size_t i = 1; i < f->spans; i++)
		if (f->span[i].addr > f->span[n].end)
			f->span[++n] = f->span[i];
		else if (f->span[i].end > f->span[n].end)
			f->span[n].end = f->span[i].end;
	f->spans = n + 1;
	for (size_t i = 0; i < f->spans; i++) {
		f->span[i].base = units;
		units += f->span[i].end - f->span[i].addr;
	}
	return units;
}

struct hit {
	struct twice *t;
	bool any, taken, take;
	u64 unit; /* the first */
};

static int hit_run(void *arg, u64 addr, u32 units)
{
	struct hit *h = arg;
	const struct fsck *f = h->t->f;
	u64 end = addr + units;
	size_t lo = 0, hi = f->spans;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->span[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->spans && f->span[lo].addr < end; lo++) {
		const struct fsck_span *s = &f->span[lo];

		for (u64 u = s->addr > addr ? s->addr : addr; u < s->end && u < end; u++) {
			u64 bit = s->base + (u - s->addr);

			if (!h->any)
				h->unit = u;
			h->any = true;
			h->taken |= h->t->taken[bit / 8] >> bit % 8 & 1;
			if (h->take)
				h->t->taken[bit / 8] |= (u8)(1 << bit % 8);
		}
	}
	return 0;
}

/* A gang whose list is damaged was reported by pass 2, and nothing of it was counted. */
static int hits(struct twice *t, const struct tfs_ptr *ptr, bool take, struct hit *out)
{
	int err;

	*out = (struct hit){.t = t, .take = take};
	err = tfs_ptr_runs(t->f->vol, ptr, hit_run, out);
	return err == -EIO || err == -EUCLEAN ? 0 : err;
}

/* ---- what is shared ---- */

static int like_order(const void *a, const void *b)
{
	const struct like *x = a, *y = b;
	u64 at = tfs_le64(x->ptr.addr), other = tfs_le64(y->ptr.addr);
	int c = at != other ? (at < other ? -1 : 1) : memcmp(&x->ptr, &y->ptr, sizeof(x->ptr));

	return c ? c : x->total != y->total ? (x->total < y->total ? -1 : 1) : x->codec - y->codec;
}

static struct like like_of(const struct tfs_extent *e)
{
	struct like l;

	memset(&l, 0, sizeof(l));
	memcpy(&l.ptr, &e->ptr, sizeof(l.ptr));
	l.total = e->total;
	l.codec = e->codec;
	return l;
}

/* Block i of a raw extent. */
static struct like like_of_block(const struct tfs_extent *e, u32 i)
{
	struct like l = like_of(e);

	l.ptr.addr = tfs_cpu64(tfs_le64(l.ptr.addr) + i * TFS_UNITS_PER_BLOCK);
	l.ptr.len = tfs_cpu16(TFS_UNITS_PER_BLOCK);
	l.ptr.crc = e->crc[i];
	l.total = tfs_cpu16(1);
	return l;
}

static bool like_kept(const struct twice *t, struct like l)
{
	const struct like *found = t->likes ? bsearch(&l, t->like, t->likes, sizeof(l), like_order) : NULL;

	return found && found->kept;
}
static int like_add(struct twice *t, struct like l)
{
	if (fsck_grow(&t->like, &t->likes_max, t->likes + 1, sizeof(*t->like)))
		return -ENOMEM;
	t->like[t->likes++] = l;
	return 0;
}

static int gather(struct twice *t, struct tfs_key key, const struct tfs_extent *e, const struct tfs_ptr *ptr)
{
	struct hit h;
	int err;

	if (ptr->flags & TFS_PTR_GANG || fsck_window_again(&t->met, key, e))
		return 0;
	err = hits(t, ptr, false, &h);
	return err || !h.any ? err : like_add(t, like_of(e));
}

/* Those that REFS counts keep their place by that, or lost it to another kind of owner. */
static int gather_raw(struct twice *t, const struct tfs_extent *e, struct tfs_ptr block)
{
	struct hit h;
	int err = 0;

	block.len = TFS_UNITS_PER_BLOCK;
	for (u32 i = 0; !err && i < tfs_le16(e->blocks); i++, block.addr += TFS_UNITS_PER_BLOCK) {
		if (fsck_ref_over(t->f, block.addr))
			continue;
		err = hits(t, &block, false, &h);
		if (!err && h.any)
			err = like_add(t, like_of_block(e, i));
	}
	return err;
}

static int ref_order(const void *a, const void *b)
{
	const struct fsck_ref *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* The blocks before it are shared by as many: one item for all. */
static bool fresh_extend(struct twice *t, const struct tfs_ptr *ptr, u32 n)
{
	struct fsck_ref *r = t->freshes ? &t->fresh[t->freshes - 1] : NULL;
	u32 blocks = r ? r->len / TFS_UNITS_PER_BLOCK : 0;

	if (!r || !r->raw || r->addr + r->len != ptr->addr || blocks == FSCK_WINDOW_BLOCKS ||
	    r->raw->found[blocks - 1] != n)
		return false;
	r->raw->found[blocks] = n;
	r->len += TFS_UNITS_PER_BLOCK;
	return true;
}

/* What is to say so: an item that begins there, or a new one. */
static struct fsck_ref *fresh_ref(struct twice *t, u64 addr)
{
	const struct fsck *f = t->f;
	struct fsck_ref *r = f->refs ? fsck_ref_at(f, addr) : NULL;

	if (r && r < f->ref + f->refs && r->addr == addr)
		return r;
	if (fsck_grow(&t->fresh, &t->freshes_max, t->freshes + 1, sizeof(*t->fresh)))
		return NULL;
	r = &t->fresh[t->freshes++];
	*r = (struct fsck_ref){.addr = addr};
	return r;
}

static int like_share(struct twice *t, const struct tfs_ptr *ptr, bool raw, u32 n)
{
	struct fsck_ref *r = NULL;
	struct hit h;

	if (!raw || !fresh_extend(t, ptr, n)) {
		r = fresh_ref(t, ptr->addr);
		if (!r || (raw && !(r->raw = calloc(1, sizeof(*r->raw)))))
			return -ENOMEM;
		if (r->len != ptr->len)
			r->count = 0;
		r->len = ptr->len;
		if (raw)
			r->raw->found[0] = n;
		else
			r->found = n;
	}
	return hits(t, ptr, true, &h);
}

/* n windows, or items, refer to it alike. */
static int like_decide(struct twice *t, const struct tfs_ptr *ptr, bool raw, u32 n, bool *kept)
{
	struct hit h;
	int err = hits(t, ptr, false, &h);

	if (err || h.taken || n < 2 || ptr->len > FSCK_WINDOW_BLOCKS * TFS_UNITS_PER_BLOCK)
		return err;
	err = tfs_read_ptr(t->f->vol, ptr, t->buf, !raw);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (raw && tfs_port_crc32c(0, t->buf, TFS_BLOCK) != ptr->crc)
		return 0;
	*kept = true;
	return like_share(t, ptr, raw, n);
}

static int fresh_add(struct twice *t)
{
	struct fsck *f = t->f;

	if (!t->freshes)
		return 0;
	if (fsck_grow(&f->ref, &f->refs_max, f->refs + t->freshes, sizeof(*f->ref)))
		return -ENOMEM;
	memcpy(f->ref + f->refs, t->fresh, t->freshes * sizeof(*f->ref));
	f->refs += t->freshes;
	qsort(f->ref, f->refs, sizeof(*f->ref), ref_order);
	return 0;
}

static int likes_decide(struct twice *t)
{
	size_t i, end;
	int err = 0;

	if (!t->likes)
		return 0;
	qsort(t->like, t->likes, sizeof(*t->like), like_order);
	for (i = 0; i < t->likes; i++) { /* until it is decided who does share */
		struct tfs_ptr ptr = tfs_ptr_cpu(&t->like[i].ptr);
		struct fsck_ref *r = fsck_ref_of(t->f, &ptr);

		if (r)
			r->found = 0;
	}
	for (i = 0; !err && i < t->likes; i = end) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&t->like[i].ptr);
		bool kept = false;

		for (end = i + 1; end < t->likes && !like_order(&t->like[i], &t->like[end]); end++)
			;
		err = like_decide(t, &ptr, !t->like[i].codec, (u32)(end - i), &kept);
		for (; i < end; i++)
			t->like[i].kept = kept;
	}
	return err ? err : fresh_add(t);
}

/* ---- who keeps, who moves, who goes ---- */

static void decide(struct twice *t, struct tfs_key key, u64 unit, u32 copy, u32 lose)
{
	char object[64];

	if (key.b >> TFS_POS_BITS == TFS_IT_EXTENT)
		snprintf(object, sizeof(object), "inode %llu block %llu", (unsigned long long)key.a,
		         (unsigned long long)(key.b & TFS_POS_MASK));
	else
		snprintf(object, sizeof(object), "inode %llu xattr at %llx", (unsigned long long)key.a,
		         (unsigned long long)(key.b & TFS_POS_MASK));
	if (copy && !fsck_problem(t->f, FSCK_UNIT_TWICE, object,
	                          "expected a place of its own, found unit %llu in use by another object too",
	                          (unsigned long long)unit))
		copy = 0;
	if (lose && !fsck_problem(t->f, FSCK_UNIT_TAKEN, object,
	                          "expected its content at unit %llu, found that of another object or none",
	                          (unsigned long long)unit))
		lose = 0;
	if (copy || lose)
		fsck_fix_add(t->f, FIX_PLACE, TFS_TREE_FS, key, copy | lose << 16, NULL, 0);
}

static int raw(struct twice *t, struct tfs_key key, const struct tfs_extent *e, struct tfs_ptr block)
{
	u32 copy = 0, lose = 0, n = tfs_le16(e->blocks);
	u64 unit = 0;
	struct hit h;
	int err = 0;

	block.len = TFS_UNITS_PER_BLOCK;
	for (u32 i = 0; !err && i < n; i++, block.addr += TFS_UNITS_PER_BLOCK) {
		err = hits(t, &block, false, &h);
		if (err || !h.any || like_kept(t, like_of_block(e, i)))
			continue;
		if (!copy && !lose)
			unit = h.unit;
		err = tfs_read_ptr(t->f->vol, &block, t->buf, false);
		if (err == -ENOMEM)
			return err;
		if (err || tfs_port_crc32c(0, t->buf, TFS_BLOCK) != tfs_le32(e->crc[i]))
			lose |= 1u << i;
		else if (h.taken)
			copy |= 1u << i;
		else
			hits(t, &block, true, &h);
		err = 0;
	}
	if (copy || lose)
		decide(t, key, unit, copy, lose);
	return err;
}

/* Pieces of one compressed extent share it. */
static bool kept_before(struct twice *t, struct tfs_key key, const struct tfs_extent *e)
{
	u64 window = (key.b & TFS_POS_MASK) / FSCK_WINDOW_BLOCKS;

	if (t->ino != key.a || t->window != window)
		t->kepts = 0;
	t->ino = key.a;
	t->window = window;
	for (u32 i = 0; i < t->kepts; i++)
		if (!memcmp(&t->kept[i].ptr, &e->ptr, sizeof(e->ptr)) && t->kept[i].total == e->total &&
		    t->kept[i].codec == e->codec)
			return true;
	return false;
}

static int packed(struct twice *t, struct tfs_key key, const struct tfs_extent *e, const struct tfs_ptr *ptr)
{
	bool there;
	struct hit h;
	int err = hits(t, ptr, false, &h);

	if (err || !h.any || (e && (like_kept(t, like_of(e)) || kept_before(t, key, e))))
		return err;
	err =
	    ptr->len > FSCK_WINDOW_BLOCKS * TFS_UNITS_PER_BLOCK ? -EUCLEAN : tfs_read_ptr(t->f->vol, ptr, t->buf, true);
	if (err == -ENOMEM)
		return err;
	there = !err;
	if (!there || h.taken) {
		decide(t, key, h.unit, there ? 1 : 0, there ? 0 : 1);
		return 0;
	}
	if (e && t->kepts < FSCK_WINDOW_BLOCKS)
		memcpy(&t->kept[t->kepts++], e, sizeof(*e));
	return hits(t, ptr, true, &h);
}

static int item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct twice *t = arg;
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct tfs_ptr ptr;

	(void)len;
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || !fsck_place_sound(t->f, key, value, &ptr))
		return 0;
	if (t->gathers)
		return !e ? 0 : e->codec ? gather(t, key, e, &ptr) : gather_raw(t, e, ptr);
	return e && !e->codec ? raw(t, key, e, ptr) : packed(t, key, e, &ptr);
}

static int node_place(struct twice *t, const struct tfs_node_info *info)
{
	char object[64];
	struct hit h;
	int err = hits(t, &info->ptr, false, &h);

	if (err || !h.any)
		return err;
	snprintf(object, sizeof(object), "tree %u node at unit %llu", info->tree, (unsigned long long)info->ptr.addr);
	if (!fsck_problem(t->f, FSCK_UNIT_TWICE, object,
	                  "expected a place of its own, found unit %llu in use by another object too",
	                  (unsigned long long)h.unit))
		return 0;
	if (info->tree == TFS_TREE_SPACE)
		t->f->space_bad = true;
	else
		fsck_fix_add(t->f, FIX_MOVE, info->tree, info->lo, 0, NULL, 0);
	return 0;
}

static int node(void *arg, const struct tfs_node_info *info)
{
	bool items = info->tree == TFS_TREE_FS;
	struct twice *t = arg;
	int err;

	if (info->err == -ENOMEM)
		return info->err;
	if (info->err) {
		err = items ? tfs_repair_salvage(t->f->vol, info, item, t) : 0;
		return err < 0 || !items ? err : fsck_rescued(t->f, info, item, t);
	}
	err = info->ptr.addr && !t->gathers ? node_place(t, info) : 0;
	return err || info->level || !items ? err : fsck_leaf_items(info->node, item, t);
}

int fsck_twice(struct fsck *f)
{
	struct twice t = {.f = f, .gathers = true};
	int err = 0;

	if (!f->spans)
		return 0;
	t.taken = calloc(1, spans_settle(f) / 8 + 1);
	t.buf = malloc(FSCK_WINDOW_BLOCKS * TFS_BLOCK);
	if (!t.taken || !t.buf)
		err = -ENOMEM;
	if (!err)
		err = tfs_tree_walk(f->vol, TFS_TREE_FS, node, &t);
	if (!err)
		err = likes_decide(&t);
	t.gathers = false;
	for (int tree = 0; !err && tree < TFS_TREES; tree++)
		if (tree != TFS_TREE_SPACE || !f->space_bad) /* it is built anew anyway */
			err = tfs_tree_walk(f->vol, tree, node, &t);
	free(t.fresh);
	free(t.like);
	free(t.buf);
	free(t.taken);
	return err;
}
