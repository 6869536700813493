// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Freeing what a rollback (rollback.c) left: the trees of the state that was given up, of which all that was born after
 * the snapshot is in use by nobody. Their nodes do not change any more; a cursor in the item goes up through the keys,
 * and each step frees what lies between in the same epoch as it carries the cursor on: so a crash repeats a step or
 * does not, and nothing is freed twice. An index node goes when the cursor leaves it, so what lies ahead is reached
 * until it is through. What other items may name again is put into a set first (SHARED items) and freed when no item
 * is left to name it. Only SNAP and SPACE change, which no snapshot holds: it works on a full volume.
 * The snapshot stays until the end: nodes as old as it are read here, too, to see what is shared (tfs_old_leave).
 * A part that cannot be read ends it for this mount: fsck.tfs frees the rest. Called by tfs_snapshot_step.
 */
#include "tfs/vol.h"

#define STEP_FREES 64u               /* places in one step, and the nodes on the way */
#define ITEM_FREES TFS_WINDOW_PIECES /* an item frees at most so many places */
#define FREES_MAX (STEP_FREES + TFS_HEIGHT_MAX)
#define LEAVE_STEPS 64u /* before a host that takes steps gets its turn */

static const struct tfs_key KEY_MAX = {~0ull, ~0ull};

struct frees {
	struct tfs_vol *vol;
	struct tfs_old_state o;
	struct tfs_key next;
	u32 n, shared;
	struct tfs_ptr *free; /* FREES_MAX: to be freed; in vol->scratch */
	struct tfs_ptr *put;  /* STEP_FREES: into the set, or out of it */
};

static struct tfs_key old_key(const struct tfs_vol *vol)
{
	return (struct tfs_key){TFS_SNAP_OLD, vol->old};
}

static struct tfs_key shared_key(u64 addr)
{
	return (struct tfs_key){TFS_SNAP_SHARED, addr};
}

static int old_get(struct tfs_vol *vol, struct tfs_old_state *o)
{
	const void *v;
	u32 len;
	int err = tfs_item_find(vol, TFS_TREE_SNAP, old_key(vol), &v, &len);

	if (!err)
		memcpy(o, v, sizeof(*o));
	return err == -ENOENT ? tfs_corrupt(vol, 0, "what a rollback left is missing") : err;
}

int tfs_old_load(struct tfs_vol *vol)
{
	struct tfs_key k = {TFS_SNAP_OLD, 0};
	const void *v;
	u32 len;
	int err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len);

	if (err && err != -ENOENT)
		return err;
	vol->old = !err && k.a == TFS_SNAP_OLD ? k.b : 0;
	vol->old_lists = vol->old && tfs_le32(((const struct tfs_old_state *)v)->stage) == TFS_OLD_LISTS;
	vol->old_stuck = false;
	return 0;
}

static void stage_set(struct tfs_old_state *o, enum tfs_old_stage stage)
{
	o->stage = tfs_cpu32(stage);
	memset(&o->next, 0, sizeof(o->next));
}

/* The item alone changes. */
static int old_put(struct tfs_vol *vol, const struct tfs_old_state *o)
{
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, old_key(vol), sizeof(*o));
	err = tfs_prepare(vol);
	if (!err)
		tfs_item_put(vol, TFS_TREE_SNAP, old_key(vol), o, sizeof(*o));
	return err;
}

/* ---- the deadlists that say nothing any more ---- */

static int lists_step(struct tfs_vol *vol, struct tfs_old_state *o)
{
	struct tfs_deadlist l;
	u64 id = tfs_le64(o->lists_from);
	int err;

	while (!(err = tfs_deadlist_next(vol, &id, &l)) && id < tfs_le64(o->lists_end)) {
		if (tfs_le64(l.oldest) <= tfs_le64(o->since))
			return tfs_deadlist_step(vol, id, &l, true);
		id++; /* of later snapshots, which are dying: freed with them */
	}
	if (err && err != -ENOENT)
		return err;
	stage_set(o, TFS_OLD_FS);
	err = old_put(vol, o);
	if (err)
		return err;
	vol->old_lists = false;
	return 1;
}

int tfs_old_lists(struct tfs_vol *vol)
{
	struct tfs_old_state o;
	int err = 0;

	while (!err && vol->old_lists) {
		err = tfs_op_begin(vol, TFS_TIER_SNAPSHOT, 0);
		if (!err)
			err = old_get(vol, &o);
		if (!err)
			err = lists_step(vol, &o);
		err = err > 0 ? 0 : err;
	}
	return err;
}

/* ---- what one step frees ---- */

static void frees_begin(struct frees *f, struct tfs_vol *vol, const struct tfs_old_state *o)
{
	memset(f, 0, sizeof(*f));
	f->vol = vol;
	f->o = *o;
	f->free = tfs_scratch(vol);
	f->put = f->free + FREES_MAX;
	f->next = (struct tfs_key){tfs_le64(o->next.a), tfs_le64(o->next.b)};
}

/* As if born after every snapshot there is: none holds it, whatever its birth says. */
static void free_add(struct frees *f, const struct tfs_ptr *ptr)
{
	TFS_BUG_ON(f->n == FREES_MAX);
	f->free[f->n] = *ptr;
	f->free[f->n++].birth = ~0ull;
}

/* Nothing has changed when it fails. bytes: of the set's items, 0: they go. */
static int frees_prepare(struct frees *f, u32 bytes)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < f->n; i++)
		err = tfs_ptr_prepare(f->vol, &f->free[i]);
	tfs_need_reset(f->vol);
	tfs_need(f->vol, TFS_TREE_SNAP, old_key(f->vol), sizeof(f->o));
	for (i = 0; i < f->shared; i++)
		tfs_need(f->vol, TFS_TREE_SNAP, shared_key(f->put[i].addr), bytes);
	return err ? err : tfs_prepare(f->vol);
}

static void frees_drop(struct frees *f)
{
	u32 i;

	for (i = 0; i < f->n; i++)
		tfs_ptr_drop(f->vol, &f->free[i]);
}

static int frees_apply(struct frees *f)
{
	int err = frees_prepare(f, sizeof(struct tfs_old_shared));
	u32 i;

	if (err)
		return err;
	frees_drop(f);
	for (i = 0; i < f->shared; i++) {
		struct tfs_old_shared s = {tfs_cpu32(f->put[i].len), tfs_cpu16(f->put[i].flags), 0};

		tfs_item_put(f->vol, TFS_TREE_SNAP, shared_key(f->put[i].addr), &s, sizeof(s));
	}
	f->o.next = (struct tfs_disk_key){tfs_cpu64(f->next.a), tfs_cpu64(f->next.b)};
	tfs_item_put(f->vol, TFS_TREE_SNAP, old_key(f->vol), &f->o, sizeof(f->o));
	return 1;
}

/* ---- FS and REFS ---- */

/* Was the place shared? 0 or 1; *units: that is the answer for so many, from its first on. */
static int shared_in(struct tfs_vol *vol, const struct tfs_old_state *o, const struct tfs_ptr *ptr, u32 *units)
{
	struct tfs_ptr root = vol->root[TFS_TREE_REFS];
	int got;

	vol->root[TFS_TREE_REFS] = tfs_ptr_cpu(&o->refs);
	got = tfs_ref_shared(vol, ptr, units);
	vol->root[TFS_TREE_REFS] = root;
	return got;
}

/* Several items of a window, maybe in other leaves, may map parts of a compressed extent. */
static bool in_part(struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = value;

	return tfs_key_type(key) == TFS_IT_EXTENT && e->codec && tfs_le16(e->blocks) != tfs_le16(e->total);
}

/* Raw content, part by part: what was shared goes into the set by blocks, for other items cut it elsewhere. */
static int raw_free(struct frees *f, struct tfs_ptr ptr)
{
	u64 end = ptr.addr + ptr.len;
	u32 units, i;
	int got;

	if (ptr.len > ITEM_FREES * TFS_UNITS_PER_BLOCK)
		return tfs_corrupt(f->vol, 0, "extent of an old state crosses a window");
	for (; ptr.addr < end; ptr.addr += units) {
		ptr.len = (u16)(end - ptr.addr);
		got = shared_in(f->vol, &f->o, &ptr, &units);
		if (got < 0 || units % TFS_UNITS_PER_BLOCK)
			return got < 0 ? got : tfs_corrupt(f->vol, 0, "shared range of a part of a block");
		ptr.len = (u16)units;
		if (!got)
			free_add(f, &ptr);
		for (i = 0; got && i < units; i += TFS_UNITS_PER_BLOCK)
			f->put[f->shared++] =
			    (struct tfs_ptr){.addr = ptr.addr + i, .birth = ptr.birth, .len = TFS_UNITS_PER_BLOCK};
	}
	return 0;
}

static int item_free(struct frees *f, struct tfs_key key, const void *value)
{
	struct tfs_ptr ptr;
	u32 units;
	int again;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= tfs_le64(f->o.since))
		return 0;
	if (tfs_key_type(key) == TFS_IT_EXTENT && !((const struct tfs_extent *)value)->codec)
		return raw_free(f, ptr);
	again = in_part(key, value);
	if (!again && tfs_key_type(key) == TFS_IT_EXTENT)
		again = shared_in(f->vol, &f->o, &ptr, &units);
	if (again < 0)
		return again;
	if (again)
		f->put[f->shared++] = ptr;
	else
		free_add(f, &ptr);
	return 0;
}

static int leaf_free(struct frees *f, struct tfs_node *leaf, struct tfs_key hi)
{
	u32 n = tfs_node_count(leaf->buf), slot, len;
	bool exact;

	for (slot = tfs_node_search(leaf->buf, f->next, &exact); slot < n; slot++) {
		struct tfs_key k = tfs_node_key(leaf->buf, slot);
		int err;

		f->next = k;
		if (f->n + f->shared + ITEM_FREES > STEP_FREES)
			return 0;
		err = item_free(f, k, tfs_leaf_value(leaf->buf, slot, &len));
		if (err)
			return err;
	}
	f->next = hi;
	return 0;
}

/* The cursor leaves the nodes that end where it is now. */
static void nodes_free(struct frees *f, const struct tfs_born *p)
{
	int level;

	for (level = p->level; level <= p->top; level++)
		if (!tfs_key_cmp(p->hi[level], f->next))
			free_add(f, &p->node[level]->ptr);
}

/* 1: something was freed; 0: nothing of the tree is left. */
static int tree_step(struct frees *f, int tree, const struct tfs_disk_ptr *root)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(root);
	struct tfs_born p;
	int err;

	if (!tfs_key_cmp(f->next, KEY_MAX))
		return 0;
	err = tfs_born_find(f->vol, tree, &ptr, tfs_le64(f->o.since), &f->next, &p);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (!p.level && tree == TFS_TREE_FS)
		err = leaf_free(f, p.node[0], p.hi[0]);
	else
		f->next = p.hi[p.level];
	if (err)
		return err;
	nodes_free(f, &p);
	return frees_apply(f);
}

/* ---- what was put into the set ---- */

static int shared_step(struct frees *f)
{
	struct tfs_key k = shared_key(0);
	const struct tfs_old_shared *s;
	const void *v;
	u32 len, i;
	int err = 0;

	for (;
	     f->n < STEP_FREES && !(err = tfs_item_next(f->vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_SHARED;
	     k.b++) {
		s = v;
		f->put[f->shared] =
		    (struct tfs_ptr){.addr = k.b, .len = (u16)tfs_le32(s->len), .flags = tfs_le16(s->flags)};
		free_add(f, &f->put[f->shared++]);
	}
	if (err && err != -ENOENT)
		return err;
	err = f->n ? frees_prepare(f, 0) : 0;
	if (err || !f->n)
		return err;
	frees_drop(f);
	for (i = 0; i < f->shared; i++)
		tfs_item_del(f->vol, TFS_TREE_SNAP, shared_key(f->put[i].addr));
	tfs_tidy(f->vol, TFS_TREE_SNAP, shared_key(f->put[0].addr));
	return 1;
}

/* ---- the stages ---- */

static int stage_step(struct frees *f)
{
	switch (tfs_le32(f->o.stage)) {
	case TFS_OLD_LISTS:
		return lists_step(f->vol, &f->o);
	case TFS_OLD_FS:
		return tree_step(f, TFS_TREE_FS, &f->o.fs);
	case TFS_OLD_SHARED:
		return shared_step(f);
	default:
		return tree_step(f, TFS_TREE_REFS, &f->o.refs);
	}
}

static int stage_next(struct frees *f)
{
	u32 stage = tfs_le32(f->o.stage);
	int err;

	if (stage == TFS_OLD_REFS) {
		err = tfs_snap_remove_item(f->vol, old_key(f->vol));
		if (!err)
			f->vol->old = 0;
		return err;
	}
	stage_set(&f->o, stage + 1);
	err = old_put(f->vol, &f->o);
	return err ? err : 1;
}

int tfs_old_step(struct tfs_vol *vol)
{
	struct tfs_old_state o;
	struct frees f;
	int err = tfs_op_begin(vol, TFS_TIER_SNAPSHOT, 0);

	if (!err)
		err = old_get(vol, &o);
	if (err)
		return err;
	frees_begin(&f, vol, &o);
	err = stage_step(&f);
	if (!err)
		err = stage_next(&f);
	if ((err != -EIO && err != -EUCLEAN) || vol->stopped)
		return err;
	tfs_err(vol, "what a rollback gave up cannot be freed whole; run fsck.tfs -y");
	vol->old_stuck = true;
	return 0;
}

int tfs_old_leave(struct tfs_vol *vol, u64 epoch)
{
	struct tfs_old_state o;
	u32 steps = vol->stepwise ? LEAVE_STEPS : ~0u;
	int err = vol->old && !vol->old_stuck ? old_get(vol, &o) : -ENOENT;

	if (err || tfs_le64(o.since) != epoch)
		return err == -ENOENT ? 0 : err;
	do
		err = tfs_old_step(vol);
	while (err > 0 && --steps);
	return err > 0 ? -EAGAIN : err;
}

/* ---- looking at it ---- */

int tfs_old_state(struct tfs_vol *vol, struct tfs_old_info *out)
{
	struct tfs_old_state o;
	int err = vol->old ? old_get(vol, &o) : -ENOENT;

	if (err)
		return err;
	*out = (struct tfs_old_info){
	    .epoch = vol->old,
	    .since = tfs_le64(o.since),
	    .lists_from = tfs_le64(o.lists_from),
	    .lists_end = tfs_le64(o.lists_end),
	    .stage = (enum tfs_old_stage)tfs_le32(o.stage),
	    .next = {tfs_le64(o.next.a), tfs_le64(o.next.b)},
	    .fs = tfs_ptr_cpu(&o.fs),
	    .refs = tfs_ptr_cpu(&o.refs),
	};
	return 0;
}

int tfs_old_shared(struct tfs_vol *vol, const struct tfs_ptr *ptr, u32 *units)
{
	struct tfs_old_state o;
	int err = vol->old ? old_get(vol, &o) : -ENOENT;

	return err ? err : shared_in(vol, &o, ptr, units);
}

/* Those of the way that were not reported yet: told by their places. */
static int way_report(const struct tfs_born *p, int tree, u64 *told, tfs_node_fn fn, void *arg)
{
	int level, err = 0;

	for (level = p->top; !err && level >= p->level; level--) {
		const struct tfs_node *n = p->node[level];
		struct tfs_node_info info = {.ptr = n->ptr,
		                             .node = n->buf,
		                             .tree = (u8)tree,
		                             .level = (u8)level,
		                             .lo = p->lo[level],
		                             .hi = p->hi[level]};

		if (told[level] == n->ptr.addr)
			continue;
		told[level] = n->ptr.addr;
		err = fn(arg, &info);
	}
	return err;
}

int tfs_old_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg)
{
	u32 stage = tree == TFS_TREE_FS ? TFS_OLD_FS : TFS_OLD_REFS;
	u64 told[TFS_HEIGHT_MAX] = {0};
	struct tfs_key at = {0, 0};
	struct tfs_old_info o;
	struct tfs_born p;
	int err = tfs_old_state(vol, &o);

	if (err || o.stage > stage)
		return err;
	if (o.stage == stage)
		at = o.next;
	while (!err && tfs_key_cmp(at, KEY_MAX)) {
		tfs_cache_trim(vol);
		err = tfs_born_find(vol, tree, tree == TFS_TREE_FS ? &o.fs : &o.refs, o.since, &at, &p);
		if (err)
			return err == -ENOENT ? 0 : err;
		err = way_report(&p, tree, told, fn, arg);
		at = p.hi[p.level];
	}
	return err;
}
