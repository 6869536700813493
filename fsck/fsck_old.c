// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Part of pass 4: what a rollback left to be freed. Its trees are walked from where the freeing stands; all of it is in
 * use, by nothing else, and by several of its own items only where these share an extent or map parts of one. What
 * cannot be read, or is another's, is no loss: a repair of anything gives the rest of it up at once, since nobody can
 * ever see it again. Called by fsck_snaps.c, after the live trees and the snapshots.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct met { /* a place that several items may name; fresh: units of it that nothing had counted */
	u64 addr;
	u32 units, fresh;
};
struct old {
	struct fsck *f;
	struct tfs_old_info info;
	struct met *met;
	size_t mets, mets_max;
	u32 units, fresh; /* of the place at hand */
	const char *why;
};

/* Returns 0: what else there is of it is counted. */
static int bad(struct old *o, const char *why)
{
	if (!o->why)
		o->why = why;
	return 0;
}

static int unit_fresh(void *arg, u64 addr, u32 units)
{
	struct old *o = arg;

	(void)addr;
	o->fresh += units;
	return 0;
}

static int unit_count(void *arg, u64 addr, u32 units)
{
	struct old *o = arg;

	(void)addr;
	o->units += units;
	return 0;
}

static int place_add(struct old *o, const struct tfs_ptr *ptr, bool again)
{
	int err;

	o->units = o->fresh = 0;
	err = tfs_ptr_runs(o->f->vol, ptr, unit_count, o);
	if (!err)
		err = fsck_use_new(o->f, ptr, unit_fresh, o);
	if (err == -EUCLEAN || err == -EIO || err == -ERANGE)
		return bad(o, "a place outside of the volume, or one that cannot be read");
	if (err)
		return err;
	if (!again)
		return o->fresh == o->units ? 0 : bad(o, "a place that is in use");
	if (fsck_grow(&o->met, &o->mets_max, o->mets + 1, sizeof(*o->met)))
		return -ENOMEM;
	o->met[o->mets++] = (struct met){ptr->addr, o->units, o->fresh};
	return 0;
}

/* Part by part; what was shared by blocks, as the set has it. */
static int raw_add(struct old *o, struct tfs_ptr ptr)
{
	u64 end = ptr.addr + ptr.len;
	int got = 0, err = 0;
	u32 units = 0;

	for (; !err && ptr.addr < end; ptr.addr += ptr.len) {
		if (!units) {
			ptr.len = (u16)(end - ptr.addr);
			got = tfs_old_shared(o->f->vol, &ptr, &units);
			if (got < 0)
				return got;
			if (units % TFS_UNITS_PER_BLOCK)
				return bad(o, "a shared range of a part of a block");
		}
		ptr.len = (u16)(got ? TFS_UNITS_PER_BLOCK : units);
		units -= ptr.len;
		err = place_add(o, &ptr, got > 0);
	}
	return err;
}

static int item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct old *o = arg;
	struct tfs_ptr ptr;
	bool again = e && e->codec && e->blocks != e->total;
	u32 units;
	int got = 0;

	(void)len;
	if (o->info.stage == TFS_OLD_FS &&
	    (key.a < o->info.next.a || (key.a == o->info.next.a && key.b < o->info.next.b)))
		return 0;
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= o->info.since)
		return 0;
	if (!fsck_place_sound(o->f, key, value, &ptr))
		return bad(o, "a place outside of the volume");
	if (e && !e->codec)
		return raw_add(o, ptr);
	if (e && !again) {
		got = tfs_old_shared(o->f->vol, &ptr, &units);
		again = got > 0;
	}
	return got < 0 ? got : place_add(o, &ptr, again);
}

static int node(void *arg, const struct tfs_node_info *info)
{
	struct old *o = arg;
	int err = place_add(o, &info->ptr, false);

	tfs_progress_add(&o->f->progress, 1);
	return err || info->level || info->tree != TFS_TREE_FS ? err : fsck_leaf_items(info->node, item, o);
}

/* *n: how many there are. */
static int set_add(struct old *o, size_t *n)
{
	struct tfs_key k = {TFS_SNAP_SHARED, 0};
	const void *v;
	u32 len;
	int err;

	for (*n = 0; !(err = tfs_item_next(o->f->vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_SHARED;
	     k.b++, ++*n) {
		const struct tfs_old_shared *s = v;
		struct tfs_ptr ptr = {.addr = k.b, .len = (u16)tfs_le32(s->len), .flags = tfs_le16(s->flags)};

		err = place_add(o, &ptr, true);
		if (err)
			return err;
	}
	return err == -ENOENT || err == -EIO || err >= 0 ? 0 : err; /* a damaged node is reported already */
}

static int by_place(const void *a, const void *b)
{
	const struct met *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Whoever came first counted all of the place, and the others say the same. */
static void mets_check(struct old *o)
{
	size_t i = 0, first;

	if (o->mets)
		qsort(o->met, o->mets, sizeof(*o->met), by_place);
	while (i < o->mets) {
		u32 fresh = 0;

		for (first = i; i < o->mets && o->met[i].addr == o->met[first].addr; i++) {
			fresh += o->met[i].fresh;
			if (o->met[i].units != o->met[first].units)
				bad(o, "a place of two lengths");
		}
		if (fresh != o->met[first].units)
			bad(o, "a place that is in use");
	}
}

static int trees_add(struct old *o)
{
	int err = tfs_old_walk(o->f->vol, TFS_TREE_FS, node, o);

	if (!err)
		err = tfs_old_walk(o->f->vol, TFS_TREE_REFS, node, o);
	if (err == -EIO || err == -EUCLEAN)
		return bad(o, "a node that cannot be read");
	return err;
}

int fsck_old(struct fsck *f)
{
	struct old o = {.f = f};
	int err = tfs_old_state(f->vol, &o.info);
	bool there = !err;
	size_t n = 0;

	if (err && err != -ENOENT)
		return err == -EIO || err == -EUCLEAN ? 0 : err;
	f->old = o.info;
	err = set_add(&o, &n);
	if (!there && n)
		bad(&o, "places of one that is not there");
	if (!err && there)
		err = trees_add(&o);
	mets_check(&o);
	free(o.met);
	if (err || !o.why)
		return err;
	f->space_bad = true; /* what of it is in use is not known */
	if (fsck_problem(f, FSCK_OLD_STATE_BAD, "old state", "expected places that it alone uses, found %s", o.why))
		f->snaps_fix = true;
	return 0;
}

bool fsck_list_void(const struct fsck *f, u64 id, const struct tfs_deadlist *l)
{
	return f->old.epoch && f->old.stage == TFS_OLD_LISTS && id >= f->old.lists_from && id < f->old.lists_end &&
	       tfs_le64(l->oldest) <= f->old.since;
}

static int pin(void *arg, const struct tfs_node_info *info)
{
	struct fsck *f = arg;

	return tfs_repair_pin(f->vol, &info->ptr);
}

/* A repair that is cut off leaves it as it is: then its nodes are read again. */
int fsck_old_pin(struct fsck *f)
{
	struct tfs_old_info o;
	int err = tfs_old_state(f->vol, &o);

	if (!err)
		err = tfs_old_walk(f->vol, TFS_TREE_FS, pin, f);
	if (!err)
		err = tfs_old_walk(f->vol, TFS_TREE_REFS, pin, f);
	return err == -ENOMEM ? err : 0;
}
