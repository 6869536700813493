// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a backup holds, found from its trees and nothing else: every node of FS and REFS, every extent and large xattr
 * value, gangs with their parts, each cut along the places that the index has for it. What the index has no place for
 * is missing from the backup. Called by verify, prune and restore.
 */
#include "backup/backup.h"

#include <stdlib.h>

struct walk {
	struct bk_image *i;
	const struct bk_live_ops *ops;
	void *arg;
	int code;
};

static int run_cut(void *arg, u64 addr, u32 units)
{
	struct walk *w = arg;
	u64 stop = addr + units, end;

	for (u64 at = addr; !w->code && at < stop; at = end) {
		const struct bk_place *p = bk_index_find(&w->i->x, at, &end);

		if (end > stop)
			end = stop;
		w->code = p ? w->ops->range(w->arg, p, at, (u32)(end - at))
		            : tfs_cli_fail(BK_DAMAGE, NULL,
		                           "units %llu+%llu of the volume are in no pack: the index lacks them",
		                           (unsigned long long)at, (unsigned long long)(end - at));
	}
	return w->code ? -ECANCELED : 0;
}

static int ptr_cut(struct walk *w, const struct tfs_ptr *ptr)
{
	int err = tfs_ptr_runs(w->i->vol, ptr, run_cut, w);

	if (err && !w->code)
		w->code = w->i->code ? w->i->code
		                     : tfs_cli_fail(BK_DAMAGE, NULL, "the list of places at unit %llu cannot be read",
		                                    (unsigned long long)ptr->addr);
	return w->code ? -ECANCELED : 0;
}

static int leaf_cut(struct walk *w, int tree, const u8 *node)
{
	const struct tfs_node_head *h = (const struct tfs_node_head *)node;
	const struct tfs_slot *s = (const struct tfs_slot *)(h + 1);
	int err = 0;

	for (u32 n = 0; !err && n < tfs_le16(h->count); n++) {
		struct tfs_key k = {tfs_le64(s[n].key.a), tfs_le64(s[n].key.b)};
		struct tfs_ptr ptr;

		if (tfs_item_ptr(tree, k, node + tfs_le16(s[n].off), &ptr))
			err = ptr_cut(w, &ptr);
	}
	return err;
}

static int node_cut(void *arg, const struct tfs_node_info *info)
{
	struct walk *w = arg;
	int err;

	if (info->err) {
		if (!w->code)
			w->code = w->i->code ? w->i->code
			                     : tfs_cli_fail(BK_DAMAGE, NULL, "the node at unit %llu cannot be read",
			                                    (unsigned long long)info->ptr.addr);
		return -ECANCELED;
	}
	err = ptr_cut(w, &info->ptr);
	return err || info->level || info->tree != TFS_TREE_FS ? err : leaf_cut(w, info->tree, info->node);
}

static bool skip(void *arg, const struct tfs_ptr *ptr)
{
	struct walk *w = arg;

	return w->ops->skip && w->ops->skip(w->arg, ptr);
}

int bk_live_walk(struct bk_image *i, const struct bk_live_ops *ops, void *arg)
{
	struct walk w = {.i = i, .ops = ops, .arg = arg};
	int err = tfs_tree_walk_new(i->vol, TFS_TREE_FS, skip, node_cut, &w);

	if (!err)
		err = tfs_tree_walk_new(i->vol, TFS_TREE_REFS, skip, node_cut, &w);
	if (err && !w.code)
		w.code = err == -ENOMEM
		             ? bk_no_memory()
		             : tfs_cli_fail(BK_DAMAGE, NULL, "the trees cannot be walked: %s", strerror(-err));
	return w.code;
}

/* ---- all backups ---- */

struct seen { /* nodes, by place and birth; addr 0: free */
	u64 addr, birth;
};
struct all {
	const struct bk_all_ops *ops;
	void *arg;
	struct seen *seen;
	size_t seens, max;
	struct bk_index before; /* of the backup before, of the same volume */
	bool failed;
};

static size_t seen_slot(const struct all *a, u64 addr, u64 birth)
{
	size_t i = (size_t)((addr * 0x9e3779b97f4a7c15ull ^ birth * 0xc2b2ae3d27d4eb4full) >> 20) & (a->max - 1);

	while (a->seen[i].addr && (a->seen[i].addr != addr || a->seen[i].birth != birth))
		i = (i + 1) & (a->max - 1);
	return i;
}

static bool seen_grow(struct all *a)
{
	struct all more = {.max = a->max ? 2 * a->max : 4096};

	more.seen = calloc(more.max, sizeof(*more.seen));
	if (!more.seen)
		return false;
	for (size_t i = 0; i < a->max; i++)
		if (a->seen[i].addr)
			more.seen[seen_slot(&more, a->seen[i].addr, a->seen[i].birth)] = a->seen[i];
	free(a->seen);
	a->seen = more.seen;
	a->max = more.max;
	return true;
}

/* Without memory for more a node is looked at again: that costs time and nothing else. */
static bool seen_before(void *arg, const struct tfs_ptr *ptr)
{
	struct all *a = arg;
	size_t i;

	if (a->seens * 2 >= a->max && !seen_grow(a))
		return false;
	i = seen_slot(a, ptr->addr, ptr->birth);
	if (a->seen[i].addr)
		return true;
	a->seen[i] = (struct seen){ptr->addr, ptr->birth};
	a->seens++;
	return false;
}

static void seen_forget(struct all *a)
{
	if (a->max)
		memset(a->seen, 0, a->max * sizeof(*a->seen));
	a->seens = 0;
}

static bool place_same(const struct bk_index *x, const struct bk_place *p, const struct bk_index *y,
                       const struct bk_place *q)
{
	const struct bk_pack_ref *k = &x->pack[p->pack], *l = &y->pack[q->pack];

	return p->units == q->units && p->offset == q->offset && !memcmp(k->name, l->name, BK_HASH) &&
	       k->size == l->size;
}

/* Has y, sorted as x is, everything that x has? */
static bool index_covers(const struct bk_index *x, const struct bk_index *y)
{
	size_t j = 0;

	for (size_t i = 0; i < x->places; i++) {
		const struct bk_place *p = &x->place[i];

		while (j < y->places &&
		       (y->place[j].addr < p->addr || (y->place[j].addr == p->addr && y->place[j].birth < p->birth)))
			j++;
		if (j == y->places || y->place[j].addr != p->addr || y->place[j].birth != p->birth ||
		    !place_same(x, p, y, &y->place[j]))
			return false;
	}
	return true;
}

static int all_range(void *arg, const struct bk_place *p, u64 addr, u32 units)
{
	struct all *a = arg;

	return a->ops->range(a->arg, p, addr, units);
}

static int one(struct bk_repo *r, struct all *a, const struct bk_listed *l)
{
	static const struct bk_live_ops ops = {.range = all_range, .skip = seen_before};
	struct bk_image image;
	struct bk_backup b;
	int code = bk_backup_load(r, l, &b);

	if (code)
		return code == BK_OVERTAKEN ? 0 : code; /* it holds nothing any more */
	code = bk_image_open(&image, r, &b);
	if (!code) {
		if (a->failed || a->before.volume != image.x.volume || !index_covers(&a->before, &image.x))
			seen_forget(a);
		a->failed = false;
		code = a->ops->begin ? a->ops->begin(a->arg, &b, &image) : 0;
		if (!code)
			code = bk_live_walk(&image, &ops, a);
		if (!code && a->ops->after)
			code = a->ops->after(a->arg, &b, &image);
		bk_index_free(&a->before);
		a->before = image.x;
		memset(&image.x, 0, sizeof(image.x));
		bk_image_close(&image);
	}
	bk_backup_free(&b);
	return code;
}

static int listed_order(const void *x, const void *y)
{
	const struct bk_listed *a = x, *b = y;

	if (a->volume != b->volume)
		return a->volume < b->volume ? -1 : 1;
	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

int bk_live_all(struct bk_repo *r, const struct bk_all_ops *ops, void *arg)
{
	struct all a = {.ops = ops, .arg = arg};
	struct bk_listed *list = malloc((r->chain.lives + 1) * sizeof(*list));
	int code = 0;

	if (!list)
		return bk_no_memory();
	if (r->chain.lives)
		memcpy(list, r->chain.live, r->chain.lives * sizeof(*list));
	qsort(list, r->chain.lives, sizeof(*list), listed_order);
	for (size_t i = 0; !code && i < r->chain.lives; i++) {
		code = one(r, &a, &list[i]);
		if (!code)
			continue;
		a.failed = true;
		if (ops->failed)
			code = ops->failed(arg, list[i].sequence, code);
	}
	bk_index_free(&a.before);
	free(a.seen);
	free(list);
	return code;
}
