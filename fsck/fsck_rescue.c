// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Before pass 2, only when an index node of the FS or REFS tree cannot be read: the leaves below it. They are looked
 * for in the places that SPACE calls live and that nothing readable claims: what a newer node replaced is dead there,
 * so no old content comes back over newer. A leaf is taken when its own checksum is right, its keys lie in the lost
 * range, it is no younger than the lost node, and everything its items refer to is live and claimed by nothing
 * readable. One that lies in a place which another leaf's item claims is file content that looks like a leaf; of leaves
 * whose keys overlap at least one is not what it seems: neither is taken. Where SPACE cannot be read nothing is taken.
 * Of a volume whose log could not be replayed SPACE is that of the checkpoint: so are the leaves, since replay did not
 * get to them.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

#define SCAN_BYTES (TFS_NODE_SIZE + TFS_BLOCK) /* holds a stored node that begins anywhere in the first block */

struct lost {
	struct tfs_key lo, hi;
	u64 birth;
	u8 tree;
};

struct rescue {
	struct fsck *f;
	struct lost *lost; /* ascending by tree and key */
	size_t losts, losts_max;
	u8 **free;      /* by segment: live units that nothing readable claims, a byte a block */
	bool blind;     /* no leaf is to be taken */
	u8 **content;   /* units that items of the leaves found claim */
	u64 at;         /* unit that buf begins with */
	u32 have;       /* bytes in buf */
	u8 *buf, *node; /* SCAN_BYTES; TFS_NODE_SIZE */
	bool outside;   /* of the leaf being looked at: an item refers to what is not free */
};

static int key_order(struct tfs_key x, struct tfs_key y)
{
	if (x.a != y.a)
		return x.a < y.a ? -1 : 1;
	return x.b < y.b ? -1 : x.b > y.b;
}

/* ---- what is lost ---- */

static int index_node(void *arg, const struct tfs_node_info *info)
{
	struct rescue *r = arg;

	if (info->err == -ENOMEM || !info->err)
		return info->err;
	if (fsck_grow(&r->lost, &r->losts_max, r->losts + 1, sizeof(*r->lost)))
		return -ENOMEM;
	r->lost[r->losts++] = (struct lost){info->lo, info->hi, info->ptr.birth, info->tree};
	return 0;
}

/* ---- maps of units ---- */

static u32 unit_bits(const struct fsck *f)
{
	return f->st.segment_bits - TFS_UNIT_BITS;
}

static u32 map_bytes(const struct fsck *f)
{
	return 1u << (f->st.segment_bits - TFS_BLOCK_BITS);
}

/* The byte of the unit's block, NULL: outside of the volume, or no map of that segment. */
static u8 *map_at(const struct fsck *f, u8 **map, u64 unit)
{
	u64 in = unit - TFS_SEGMENTS_OFFSET / TFS_UNIT, segment = in >> unit_bits(f);

	if (unit < TFS_SEGMENTS_OFFSET / TFS_UNIT || segment >= f->st.segments || !map[segment])
		return NULL;
	return map[segment] + ((in & ((1ull << unit_bits(f)) - 1)) >> 3);
}

static bool map_get(const struct fsck *f, u8 **map, u64 unit)
{
	const u8 *b = map_at(f, map, unit);

	return b && *b >> (unit & 7) & 1;
}

static void maps_free(const struct fsck *f, u8 **map)
{
	for (u64 s = 0; map && s < f->st.segments; s++)
		free(map[s]);
	free(map);
}

static int list_run(void *arg, u64 addr, u32 units)
{
	struct rescue *r = arg;

	for (; units; units--, addr++) {
		u8 *b = map_at(r->f, r->free, addr);

		if (b)
			*b |= (u8)(1 << (addr & 7));
	}
	return 0;
}

/* What is live, less what the walk over all trees found claimed (in f->live). */
static int free_build(struct rescue *r)
{
	struct fsck *f = r->f;
	struct tfs_segment info;
	int err = 0;

	for (u64 s = 0; !err && s < f->st.segments; s++) {
		r->free[s] = calloc(1, map_bytes(f));
		if (!r->free[s])
			return -ENOMEM;
		err = tfs_segment_map(f->vol, s, r->free[s], &info);
		if (err == -EIO || err == -EUCLEAN) {
			memset(r->free[s], 0, map_bytes(f));
			err = 0;
		}
	}
	if (!err)
		err = tfs_repair_lists(f->vol, list_run, r);
	for (u64 s = 0; !err && s < f->st.segments; s++) {
		u8 any = 0;

		for (u32 i = 0; i < map_bytes(f); i++) {
			r->free[s][i] &= (u8) ~(f->live[s] ? f->live[s][i] : 0);
			any |= r->free[s][i];
		}
		if (!any) {
			free(r->free[s]);
			r->free[s] = NULL;
		}
	}
	return err;
}

/* ---- what is claimed ---- */

static int claim_item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct rescue *r = arg;
	struct tfs_ptr ptr;
	int err;

	(void)len;
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || !fsck_place_sound(r->f, key, value, &ptr))
		return 0;
	err = fsck_use(r->f, &ptr);
	return err == -ENOMEM ? err : 0;
}

/* What only snapshots hold is live too, and no newest form of anything. */
static int claim_runs(void *arg, struct tfs_key key, const void *value, u32 len)
{
	const struct tfs_run *run = value;
	const struct tfs_old_shared *s = value;
	struct rescue *r = arg;
	int err = 0;

	if (key.a == TFS_SNAP_SHARED) {
		struct tfs_ptr ptr = {.addr = key.b, .len = (u16)tfs_le32(s->len), .flags = tfs_le16(s->flags)};

		err = fsck_use(r->f, &ptr);
		return err == -ENOMEM ? err : 0;
	}
	if (key.a >> 56 != TFS_SNAP_RUNS >> 56)
		return 0;
	for (u32 i = 0; err != -ENOMEM && i < len / sizeof(*run); i++)
		if (run[i].len)
			err = fsck_use_run_new(r->f, tfs_le64(run[i].addr), tfs_le32(run[i].len));
	return err == -ENOMEM ? err : 0;
}

static int claim_node(void *arg, const struct tfs_node_info *info)
{
	struct rescue *r = arg;
	int err;

	if (info->err == -ENOMEM)
		return info->err;
	if (info->err) {
		err = info->tree == TFS_TREE_FS ? tfs_repair_salvage(r->f->vol, info, claim_item, r) : 0;
		return err < 0 ? err : 0;
	}
	err = info->ptr.addr ? fsck_use(r->f, &info->ptr) : 0;
	if (err)
		return err == -ENOMEM ? err : 0;
	if (info->tree == TFS_TREE_SNAP && !info->level)
		return fsck_leaf_items(info->node, claim_runs, r);
	return info->tree == TFS_TREE_FS && !info->level ? fsck_leaf_items(info->node, claim_item, r) : 0;
}

/* Nor is what a rollback left. Where it cannot be read, its leaves cannot be told from lost ones. */
static int claim_old(struct rescue *r)
{
	int err = tfs_old_walk(r->f->vol, TFS_TREE_FS, claim_node, r);

	if (!err)
		err = tfs_old_walk(r->f->vol, TFS_TREE_REFS, claim_node, r);
	r->blind = err == -EIO || err == -EUCLEAN;
	return err == -ENOENT || r->blind ? 0 : err;
}

/* Into f->live, which pass 2 fills again from nothing. */
static int claims(struct rescue *r)
{
	int err = 0;

	r->f->recount = true;
	for (int tree = 0; !err && tree < TFS_TREES; tree++)
		err = tfs_tree_walk(r->f->vol, tree, claim_node, r);
	if (!err)
		err = claim_old(r);
	r->f->recount = false;
	if (!err)
		err = free_build(r);
	fsck_use_free(r->f);
	return err ? err : fsck_use_start(r->f);
}

/* ---- scanning ---- */

/* Loads `bytes` from the block on, unless so much of it is there. */
static bool load(struct rescue *r, u64 first, u64 bytes)
{
	u64 end = r->f->dev->size & ~(u64)(TFS_BLOCK - 1);

	if (bytes > end - first * TFS_UNIT)
		bytes = end - first * TFS_UNIT;
	if (r->at == first && r->have >= bytes)
		return true;
	r->at = ~0ull;
	if (r->f->dev->ops->io(r->f->dev, TFS_IO_READ, first * TFS_UNIT, r->buf, (u32)bytes, 0))
		return false;
	r->at = first;
	r->have = (u32)bytes;
	return true;
}

/* What may be a stored node's beginning, NULL: nothing that can be read, or no node. *bytes: from there on. */
static u8 *node_at(struct rescue *r, u64 unit, u32 *bytes)
{
	u64 first = unit & ~7ull;
	u32 in = (u32)(unit - first) * TFS_UNIT;
	le32 magic;

	if (!load(r, first, TFS_BLOCK))
		return NULL;
	memcpy(&magic, r->buf + in, sizeof(magic));
	if (tfs_le32(magic) != TFS_MAGIC)
		return NULL;
	if (!load(r, first, SCAN_BYTES) && !load(r, first, TFS_BLOCK)) /* perhaps a later block cannot be read */
		return NULL;
	*bytes = r->have - in;
	return r->buf + in;
}

static bool lost_has(const struct rescue *r, const struct fsck_leaf *l)
{
	size_t lo = 0, hi = r->losts;

	while (lo < hi) { /* the first range that begins behind the leaf's first key */
		size_t mid = (lo + hi) / 2;
		const struct lost *x = &r->lost[mid];

		if (x->tree < l->tree || (x->tree == l->tree && key_order(x->lo, l->first) <= 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && r->lost[lo - 1].tree == l->tree && key_order(l->last, r->lost[lo - 1].hi) < 0 &&
	       l->ptr.birth <= r->lost[lo - 1].birth;
}

/* The leaf that begins at the unit, all of it free: units, 0: none. */
static u32 leaf_at(struct rescue *r, u64 unit, struct fsck_leaf *l)
{
	const struct tfs_node_head *h = (const struct tfs_node_head *)r->node;
	u32 bytes, n;
	u8 *stored = node_at(r, unit, &bytes);

	n = stored ? tfs_node_find(stored, bytes, r->f->st.volume, r->node) / TFS_UNIT : 0;
	for (u32 i = 0; i < n; i++)
		if (!map_get(r->f, r->free, unit + i))
			return 0;
	if (!n || h->level || !h->count)
		return 0;
	memset(l, 0, sizeof(*l));
	l->tree = h->tree;
	l->ptr = (struct tfs_ptr){.addr = unit, .birth = tfs_le64(h->birth), .len = (u16)n};
	l->ptr.crc = tfs_port_crc32c(0, stored, n * TFS_UNIT);
	l->first = fsck_leaf_key(r->node, 0);
	l->last = fsck_leaf_key(r->node, tfs_le16(h->count) - 1u);
	return lost_has(r, l) ? n : 0;
}

static int scan(struct rescue *r)
{
	struct fsck *f = r->f;
	u64 all = f->st.segments << unit_bits(f), base = TFS_SEGMENTS_OFFSET / TFS_UNIT;

	for (u64 in = 0; in < all; in++) {
		struct fsck_leaf l;
		u32 n;

		if (!r->free[in >> unit_bits(f)]) {
			in |= (1ull << unit_bits(f)) - 1;
			continue;
		}
		if (!map_get(f, r->free, base + in))
			continue;
		n = leaf_at(r, base + in, &l);
		if (!n)
			continue;
		if (fsck_grow(&f->leaf, &f->leaves_max, f->leaves + 1, sizeof(*f->leaf)))
			return -ENOMEM;
		f->leaf[f->leaves++] = l;
		in += n - 1;
	}
	return 0;
}

/* ---- which of them are taken ---- */

static int content_run(void *arg, u64 addr, u32 units)
{
	struct rescue *r = arg;
	struct fsck *f = r->f;

	for (; units; units--, addr++) {
		u64 segment = (addr - TFS_SEGMENTS_OFFSET / TFS_UNIT) >> unit_bits(f);

		if (!map_get(f, r->free, addr)) {
			r->outside = true;
			return 0;
		}
		if (!r->content[segment])
			r->content[segment] = calloc(1, map_bytes(f));
		if (!r->content[segment])
			return -ENOMEM;
		*map_at(f, r->content, addr) |= (u8)(1 << (addr & 7));
	}
	return 0;
}

static int content_item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct rescue *r = arg;
	struct tfs_ptr ptr;
	int err;

	(void)len;
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr))
		return 0;
	if (!fsck_place_sound(r->f, key, value, &ptr)) {
		r->outside = true;
		return 0;
	}
	err = tfs_ptr_runs(r->f->vol, &ptr, content_run, r);
	return err == -ENOMEM ? err : 0; /* a damaged gang is the item's own problem */
}

static int leaf_read(struct fsck *f, const struct fsck_leaf *l, u8 *buf, u8 *node)
{
	int err = tfs_read_ptr(f->vol, &l->ptr, buf, true);

	if (err)
		return err;
	return tfs_node_find(buf, l->ptr.len * TFS_UNIT, f->st.volume, node) ? 0 : -EIO;
}

/* What the leaves' items refer to; a leaf with an item that refers elsewhere is of another time. */
static int contents(struct rescue *r)
{
	for (size_t i = 0; i < r->f->leaves; i++) {
		struct fsck_leaf *l = &r->f->leaf[i];
		int err = leaf_read(r->f, l, r->buf, r->node);

		r->outside = false;
		if (!err && l->tree == TFS_TREE_FS)
			err = fsck_leaf_items(r->node, content_item, r);
		if (err == -ENOMEM)
			return err;
		l->doubtful = err || r->outside;
	}
	return 0;
}

static int leaf_order(const void *a, const void *b)
{
	const struct fsck_leaf *x = a, *y = b;

	return x->tree != y->tree ? x->tree - y->tree : key_order(x->first, y->first);
}

static void doubts(struct rescue *r)
{
	struct fsck *f = r->f;
	struct fsck_leaf *far = NULL; /* the one that reaches furthest, of those before */

	for (size_t i = 0; i < f->leaves; i++)
		for (u32 u = 0; u < f->leaf[i].ptr.len; u++)
			f->leaf[i].doubtful |= map_get(f, r->content, f->leaf[i].ptr.addr + u);
	qsort(f->leaf, f->leaves, sizeof(*f->leaf), leaf_order);
	for (size_t i = 0; i < f->leaves; i++) {
		struct fsck_leaf *l = &f->leaf[i];

		if (map_get(f, r->content, l->ptr.addr)) /* file content: no rival of a leaf */
			continue;
		if (far && far->tree == l->tree && key_order(l->first, far->last) <= 0)
			far->doubtful = l->doubtful = true;
		if (!far || far->tree != l->tree || key_order(l->last, far->last) > 0)
			far = l;
	}
}

static int find(struct rescue *r)
{
	int err = -ENOMEM;

	r->at = ~0ull;
	r->free = calloc(r->f->st.segments, sizeof(*r->free));
	r->content = calloc(r->f->st.segments, sizeof(*r->content));
	r->buf = malloc(SCAN_BYTES);
	r->node = malloc(2 * TFS_NODE_SIZE);
	if (r->free && r->content && r->buf && r->node)
		err = claims(r);
	if (!err && !r->blind)
		err = scan(r);
	if (!err && !r->blind)
		err = contents(r);
	if (!err && r->f->leaves)
		doubts(r);
	maps_free(r->f, r->free);
	maps_free(r->f, r->content);
	free(r->node);
	free(r->buf);
	return err;
}

int fsck_rescue(struct fsck *f)
{
	struct rescue r = {.f = f};
	int err = tfs_index_walk(f->vol, TFS_TREE_FS, index_node, &r);

	if (!err)
		err = tfs_index_walk(f->vol, TFS_TREE_REFS, index_node, &r);
	if (!err && r.losts)
		err = find(&r);
	free(r.lost);
	return err;
}

const struct fsck_leaf *fsck_leaf_next(const struct fsck *f, const struct tfs_node_info *info, size_t *i)
{
	size_t lo = *i, hi = *i ? *i : f->leaves;

	while (lo < hi) { /* the first at or after where the range begins */
		size_t mid = (lo + hi) / 2;
		const struct fsck_leaf *l = &f->leaf[mid];

		if (l->tree < info->tree || (l->tree == info->tree && key_order(l->first, info->lo) < 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->leaves && f->leaf[lo].tree == info->tree && key_order(f->leaf[lo].first, info->hi) < 0; lo++)
		if (!f->leaf[lo].doubtful && key_order(f->leaf[lo].last, info->hi) < 0) {
			*i = lo + 1;
			return &f->leaf[lo];
		}
	return NULL;
}

int fsck_rescued(struct fsck *f, const struct tfs_node_info *info, tfs_item_fn fn, void *arg)
{
	const struct fsck_leaf *l;
	size_t i = 0;
	u8 *buf = f->leaves ? malloc(3 * TFS_NODE_SIZE + TFS_UNIT) : NULL;
	int err = f->leaves && !buf ? -ENOMEM : 0;

	while (!err && (l = fsck_leaf_next(f, info, &i))) {
		err = leaf_read(f, l, buf + 2 * TFS_NODE_SIZE, buf);
		if (!err)
			err = fsck_leaf_items(buf, fn, arg);
	}
	free(buf);
	return err;
}
