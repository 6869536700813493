// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The compactor: makes whole free segments out of holes. It picks victims by (1 - u) * age / (1 + u), as many as the
 * free space elsewhere can take, and then one sweep over the leaves of all trees moves what is live in them: extents by
 * a MOVE record a window, stored bytes verified and as they are; nodes by dirtying them. What a snapshot holds and what
 * REFS counts stay: such a segment is stuck, and is not tried again before the others were.
 * Always: a step changes nothing that can be read; what it placed is placed as any other content, so a crash, an error
 * or an end of the sweep at any point leaves a sound volume. Called by hosts through tfs_compact_step, under the same
 * lock as any operation; the sweep's state is in vol->compact and goes with the mount.
 */
#include "tfs/move.h"

#define MISSES_MAX 64u       /* extents without a place, then the sweep ends */
#define VICTIMS_MAX 1024u    /* a sweep */
#define SCORE_AGE (1u << 16) /* an older segment counts as this old */

/* ---- victims ---- */

static void bit_set(u8 *map, u64 i)
{
	map[i / 8] |= (u8)(1u << i % 8);
}

static bool bit_is(const u8 *map, u64 i)
{
	return map[i / 8] >> i % 8 & 1;
}

struct candidate {
	u64 score, segment;
};

/* The least of the best is on top. */
struct best {
	struct candidate c[VICTIMS_MAX];
	u32 n;
};

static void best_sink(struct best *b, u32 i)
{
	for (;;) {
		u32 child = 2 * i + 1;
		struct candidate c;

		if (child >= b->n)
			return;
		if (child + 1 < b->n && b->c[child + 1].score < b->c[child].score)
			child++;
		if (b->c[i].score <= b->c[child].score)
			return;
		c = b->c[i];
		b->c[i] = b->c[child];
		b->c[child] = c;
		i = child;
	}
}

static void best_add(struct best *b, struct candidate c)
{
	u32 i;

	if (b->n == VICTIMS_MAX) {
		if (c.score <= b->c[0].score)
			return;
		b->c[0] = c;
		best_sink(b, 0);
		return;
	}
	for (i = b->n++; i && b->c[(i - 1) / 2].score > c.score; i = (i - 1) / 2)
		b->c[i] = b->c[(i - 1) / 2];
	b->c[i] = c;
}

/* The heap becomes a row, best first. */
static void best_sort(struct best *b)
{
	u32 all = b->n;

	while (b->n > 1) {
		struct candidate least = b->c[0];

		b->c[0] = b->c[--b->n];
		best_sink(b, 0);
		b->c[b->n] = least;
	}
	b->n = all;
}

static u64 score_of(const struct tfs_vol *vol, const struct tfs_segment *s)
{
	u64 age = vol->epoch > s->age ? vol->epoch - s->age : 0, free = vol->segment_blocks - s->used_blocks;

	age = 1 + (age < SCORE_AGE ? age : SCORE_AGE);
	return (free << 20) / (vol->segment_blocks + s->used_blocks) * age;
}

/* Segments that are written right now. */
bool tfs_segment_busy(const struct tfs_vol *vol, u64 segment)
{
	const struct tfs_log_run *r;
	u32 h;

	for (h = 0; h < TFS_HEADS; h++)
		if (vol->head[h].end > vol->head[h].from && vol->head[h].segment == segment)
			return true;
	for (r = vol->log.runs; r; r = r->older)
		if (tfs_block_segment(vol, r->addr / TFS_UNITS_PER_BLOCK) == segment)
			return true;
	return false;
}

/* Free space as it lies: whole segments, and holes in others. */
struct holes {
	u64 whole, blocks;
};

static struct holes holes_of(const struct tfs_vol *vol)
{
	struct holes h = {0, 0};
	u64 s;

	for (s = 0; s < vol->segments; s++)
		if (!vol->segment[s].used_blocks)
			h.whole++;
		else
			h.blocks += vol->segment_blocks - vol->segment[s].used_blocks;
	return h;
}

static bool worth_it(const struct tfs_vol *vol, const struct holes *h, u32 flags)
{
	if (flags & TFS_COMPACT_FORCE)
		return true;
	if (h->blocks < 2ull * vol->segment_blocks)
		return false;
	if (flags & TFS_COMPACT_NOW)
		return true;
	return h->whole * vol->segment_blocks < h->blocks &&
	       vol->compact.spent <= vol->user_blocks / 2 + vol->total_blocks / 16;
}

/* Unless it is told to, it does not write more than seven blocks for one that it gains. */
static bool cheap(const struct tfs_vol *vol, const struct tfs_segment *s, u32 flags)
{
	return flags || s->used_blocks <= vol->segment_blocks - vol->segment_blocks / 8;
}

static void candidates(const struct tfs_vol *vol, u32 flags, struct best *b)
{
	u64 s;

	b->n = 0;
	for (s = 0; s < vol->segments; s++) {
		const struct tfs_segment *g = &vol->segment[s];

		if (g->used_blocks && g->used_blocks < vol->segment_blocks && cheap(vol, g, flags) &&
		    !bit_is(vol->compact.stuck, s) && !tfs_segment_busy(vol, s))
			best_add(b, (struct candidate){score_of(vol, g), s});
	}
	best_sort(b);
}

/* Marks as many of them as the free space elsewhere takes, with the checkpoint's part of the reserve left. */
static void victims_mark(struct tfs_vol *vol, const struct best *b, const struct holes *h)
{
	u64 free = h->whole * vol->segment_blocks + h->blocks, left = vol->reserve_blocks / 4;
	u32 i;

	for (i = 0; i < b->n && free >= left + vol->segment_blocks; i++) {
		bit_set(vol->compact.victim, b->c[i].segment);
		vol->compact.victims++;
		free -= vol->segment_blocks;
	}
}

static u8 *bits_new(const struct tfs_vol *vol)
{
	size_t bytes = (size_t)(vol->segments / 8 + 1);
	u8 *p = tfs_port_alloc(bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

/* 1: a sweep begins; 0: nothing to do. */
static int sweep_start(struct tfs_vol *vol, u32 flags)
{
	struct tfs_compact *c = &vol->compact;
	struct holes h = holes_of(vol);
	struct best *b;

	if (!worth_it(vol, &h, flags))
		return 0;
	if (!c->stuck)
		c->stuck = bits_new(vol);
	b = tfs_port_alloc(sizeof(*b));
	c->victim = bits_new(vol);
	if (!c->stuck || !b || !c->victim) {
		tfs_port_free(b);
		tfs_compact_forget(vol);
		return -ENOMEM;
	}
	candidates(vol, flags, b);
	c->victims = 0;
	victims_mark(vol, b, &h);
	tfs_port_free(b);
	if (!c->victims) { /* another time all may be tried again */
		tfs_compact_destroy(vol);
		return 0;
	}
	c->whole = h.whole;
	c->tree = TFS_TREE_FS;
	c->next = c->leaf_end = (struct tfs_key){0, 0};
	c->misses = 0;
	c->moved = vol->moved_blocks;
	return 1;
}

void tfs_compact_forget(struct tfs_vol *vol)
{
	tfs_port_free(vol->compact.victim);
	vol->compact.victim = NULL;
}

void tfs_compact_destroy(struct tfs_vol *vol)
{
	tfs_compact_forget(vol);
	tfs_port_free(vol->compact.stuck);
	vol->compact.stuck = NULL;
}

/* ---- what lies in them ---- */

static int run_victim(void *arg, u64 addr, u32 units)
{
	struct tfs_vol *vol = arg;

	return tfs_space_valid(vol, addr, units) &&
	       tfs_compact_victim(vol, tfs_block_segment(vol, addr / TFS_UNITS_PER_BLOCK));
}

int tfs_ptr_victim(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	if (!ptr->addr || tfs_held(vol, ptr->birth))
		return 0;
	return tfs_ptr_runs(vol, ptr, run_victim, vol);
}

/* ---- moving the pieces of a window ---- */

/* Is piece i the first of the window that uses its extent? A raw one always is. */
static bool first_use(const struct tfs_window *w, u32 i)
{
	u32 j;

	for (j = 0; j < i; j++)
		if (w->piece[i].e.codec && w->piece[j].e.codec && w->piece[j].e.ptr.addr == w->piece[i].e.ptr.addr)
			return false;
	return true;
}

static int pieces_choose(struct tfs_mover *m, u32 *n)
{
	u32 i;

	*n = 0;
	for (i = 0; i < m->w->news; i++) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&m->w->piece[i].e.ptr);
		int go = first_use(m->w, i) ? tfs_ptr_victim(m->vol, &ptr) : 0;

		if (go > 0)
			go = tfs_move_alone(m, i);
		if (go < 0)
			return go;
		m->go[i] = go;
		*n += m->go[i];
	}
	return 0;
}

/* Blocks moved, or a negative errno. *again: the window is to be looked at once more. */
static int window_move(struct tfs_vol *vol, u64 ino, u64 block, bool *again)
{
	struct tfs_mover m;
	u32 n;
	int err = tfs_move_begin(vol, ino, block, &m);

	*again = err > 0;
	if (err)
		return err < 0 ? err : 0;
	err = pieces_choose(&m, &n);
	if (!err && n)
		err = tfs_move(&m);
	vol->compact.misses += m.lost + m.bad;
	vol->compact.spent += m.blocks;
	if (!err && m.lost)
		err = tfs_move_places(vol, again);
	if (*again)
		vol->compact.misses = 0;
	return err ? err : (int)m.blocks;
}

/* ---- the sweep ---- */

static bool tree_end(struct tfs_key k)
{
	return k.a == ~0ull && k.b == ~0ull;
}

/* Nodes on the way to the leaf, moved by dirtying all of it. */
static int leaf_enter(struct tfs_vol *vol, u32 *work)
{
	struct tfs_compact *c = &vol->compact;
	struct tfs_node *leaf;
	int err = tfs_op_begin(vol, TFS_TIER_COMPACT, 0), n = 0;

	if (!err)
		err = n = tfs_tree_victims(vol, c->tree, c->next, &c->leaf_end);
	if (err == -ENOENT) {
		c->leaf_end = (struct tfs_key){~0ull, ~0ull};
		return 0;
	}
	if (n > 0) {
		err = tfs_tree_dirty(vol, c->tree, c->next, &leaf);
		*work += (u32)n * TFS_NODE_BLOCKS;
	}
	++*work;
	return err < 0 ? err : 0;
}

/* A large value of an attribute. Blocks moved, or a negative errno. */
static int value_move(struct tfs_vol *vol, struct tfs_key key)
{
	int n = tfs_op_begin(vol, TFS_TIER_COMPACT, TFS_XATTR_MAX / TFS_BLOCK + 2);

	if (n)
		return n;
	vol->compact.moving = true;
	n = tfs_xattr_move(vol, key);
	vol->compact.moving = false;
	if (n > 0) {
		vol->moved_blocks += (u64)n;
		vol->compact.spent += (u64)n;
	}
	if ((n != -ENOSPC && n != -EIO) || vol->stopped)
		return n;
	vol->compact.misses++;
	return 0;
}

/* On to the next item of the leaf that is to be moved. 1: it is *key; 0: the leaf ends. */
static int leaf_next(struct tfs_vol *vol, struct tfs_key *key)
{
	struct tfs_compact *c = &vol->compact;

	for (;;) {
		struct tfs_key k = c->next;
		struct tfs_ptr ptr;
		const void *v;
		u32 len;
		int err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);

		if (err == -ENOENT || (!err && tfs_key_cmp(k, c->leaf_end) >= 0))
			return 0;
		if (err)
			return err;
		c->next = (struct tfs_key){k.a, k.b + 1};
		if (!tfs_item_ptr(TFS_TREE_FS, k, v, &ptr))
			continue;
		err = tfs_ptr_victim(vol, &ptr);
		if (err < 0)
			return err;
		if (err) {
			*key = k;
			return 1;
		}
	}
}

static int leaf_sweep(struct tfs_vol *vol, u32 *work, u32 most)
{
	struct tfs_compact *c = &vol->compact;
	while (*work < most) {
		struct tfs_key k = {0, 0};
		bool again = false;
		int err = leaf_next(vol, &k);

		if (err <= 0)
			return err;
		if (tfs_key_type(k) == TFS_IT_EXTENT) {
			u64 block = tfs_key_pos(k), behind = tfs_window_first(block) + TFS_WINDOW_BLOCKS;

			err = window_move(vol, k.a, block, &again);
			c->next = tfs_extent_key(k.a, again ? block : behind);
		} else {
			err = value_move(vol, k);
		}
		if (err < 0)
			return err;
		*work += (u32)err + 1;
	}
	return 1;
}

/* 1: there is more. The trees that moving itself changes come last. */
static int sweep(struct tfs_vol *vol, u32 most)
{
	static const int next_tree[TFS_TREES] = {[TFS_TREE_FS] = TFS_TREE_SNAP,
	                                         [TFS_TREE_SNAP] = TFS_TREE_REFS,
	                                         [TFS_TREE_REFS] = TFS_TREE_SPACE,
	                                         [TFS_TREE_SPACE] = -1};
	struct tfs_compact *c = &vol->compact;
	u32 work = 0;
	int err;

	while (work < most) {
		if (tfs_key_cmp(c->next, c->leaf_end) >= 0) {
			if (tree_end(c->leaf_end)) {
				c->tree = next_tree[c->tree];
				c->next = c->leaf_end = (struct tfs_key){0, 0};
			}
			if (c->tree < 0 || c->misses > MISSES_MAX)
				return 0;
			err = leaf_enter(vol, &work);
			if (err)
				return err;
		}
		err = c->tree == TFS_TREE_FS ? leaf_sweep(vol, &work, most) : 0;
		if (err < 0)
			return err;
		if (!err)
			c->next = c->leaf_end;
	}
	return 1;
}

/* 1: it was worth it, go on. */
static int sweep_end(struct tfs_vol *vol, u32 flags)
{
	struct tfs_compact *c = &vol->compact;
	struct holes h;
	u64 s;
	int err = tfs_settle_drops(vol);

	for (s = 0; s < vol->segments; s++)
		if (!tfs_compact_victim(vol, s))
			continue;
		else if (vol->segment[s].used_blocks)
			bit_set(c->stuck, s);
		else
			c->emptied++;
	h = holes_of(vol);
	c->sweeps++;
	tfs_compact_forget(vol);
	return err ? err : h.whole > c->whole && !(flags & TFS_COMPACT_FORCE);
}

int tfs_compact_step(struct tfs_vol *vol, u32 blocks, u32 flags)
{
	int err = vol->compact.off && !flags ? -ENOSPC : tfs_op_begin(vol, TFS_TIER_COMPACT, 0);

	if (err && !vol->compact.victim)
		return err == -ENOSPC ? 0 : err; /* no room to begin with: nothing to do */
	if (!err && !vol->compact.victim) {
		err = sweep_start(vol, flags);
		if (err <= 0)
			return err;
		err = 0;
	}
	if (!err)
		err = sweep(vol, blocks);
	if (!err || err == -ENOSPC)
		return sweep_end(vol, flags);
	if (err == -EIO || err == -EUCLEAN)
		tfs_compact_forget(vol); /* fsck's work; said already */
	return err;
}

void tfs_compact_set(struct tfs_vol *vol, bool off)
{
	vol->compact.off = off;
}
