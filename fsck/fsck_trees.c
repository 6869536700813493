// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 2: every node of every tree, in key order, verified by the core as it is read; its place counts as used; the
 * items of leaves go to fsck_items.c. A damaged leaf is searched for items that are sound by themselves, a damaged
 * index node stands for the leaves that fsck_rescue.c found: with them the following passes see what a repair would
 * leave.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct walk {
	struct fsck *f;
	struct fsck_item_state *items;
	int tree;
	bool fix; /* salvaged items are put again */
};

static const char *const tree_node[TFS_TREES] = {"FS tree node", "SPACE tree node", "SNAP tree node", "REFS tree node"};

static int ref_item(struct fsck *f, struct tfs_key key, const void *value)
{
	const struct tfs_ref *r = value;

	if (fsck_grow(&f->ref, &f->refs_max, f->refs + 1, sizeof(*f->ref)))
		return -ENOMEM;
	f->ref[f->refs++] =
	    (struct fsck_ref){.addr = key.a, .len = tfs_le32(r->len), .count = tfs_le32(r->count), .there = true};
	return 0;
}

static int item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct walk *w = arg;

	if (w->tree == TFS_TREE_FS)
		return fsck_item(w->items, key, value, len);
	return w->tree == TFS_TREE_REFS ? ref_item(w->f, key, value) : 0;
}

static int salvaged(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct walk *w = arg;

	if (w->fix)
		fsck_fix_add(w->f, FIX_PUT, w->tree, key, 0, value, len);
	return item(arg, key, value, len);
}

/* The places of the leaves whose items are put again stay as they are until the repair is durable. */
static void leaves_pin(struct walk *w, const struct tfs_node_info *info)
{
	const struct fsck_leaf *l;
	size_t i = 0;

	while ((l = fsck_leaf_next(w->f, info, &i)))
		fsck_fix_add(w->f, FIX_PIN, w->tree, l->first, 0, &l->ptr, sizeof(l->ptr));
}

static int damaged(struct walk *w, const struct tfs_node_info *info)
{
	enum fsck_problem p = w->tree == TFS_TREE_SPACE ? FSCK_SPACE_NODE_BAD : FSCK_NODE_BAD;
	char object[96];
	u32 leaves = 0;
	size_t i = 0;
	int n;

	snprintf(object, sizeof(object), "%s of level %u at unit %llu", tree_node[w->tree], info->level,
	         (unsigned long long)info->ptr.addr);
	while (fsck_leaf_next(w->f, info, &i))
		leaves++;
	w->fix = fsck_problem(w->f, p, object, leaves ? "%s; %u leaves that were below it are found" : "%s",
	                      fsck_core_message(), leaves);
	if (w->tree == TFS_TREE_SPACE) {
		w->f->space_bad = true;
		return 0;
	}
	w->f->incomplete = true;
	if (w->fix) {
		fsck_fix_add(w->f, FIX_NODE, w->tree, info->lo, (u64)w->tree << 8 | info->level, NULL, 0);
		leaves_pin(w, info);
	}
	n = tfs_repair_salvage(w->f->vol, info, salvaged, w);
	return n < 0 ? n : fsck_rescued(w->f, info, salvaged, w);
}

struct tfs_key fsck_leaf_key(const void *node, u32 slot)
{
	const struct tfs_slot *s = (const struct tfs_slot *)((const struct tfs_node_head *)node + 1) + slot;

	return (struct tfs_key){tfs_le64(s->key.a), tfs_le64(s->key.b)};
}

int fsck_leaf_items(const void *node, tfs_item_fn fn, void *arg)
{
	const struct tfs_node_head *h = node;
	const struct tfs_slot *s = (const struct tfs_slot *)(h + 1);
	int err = 0;

	for (u32 i = 0; !err && i < tfs_le16(h->count); i++) {
		err = fn(arg, fsck_leaf_key(node, i), (const u8 *)h + tfs_le16(s[i].off), tfs_le16(s[i].len));
	}
	return err;
}

static int node(void *arg, const struct tfs_node_info *info)
{
	struct walk *w = arg;
	int err = 0;

	tfs_progress_add(&w->f->progress, 1);
	if (info->err == -ENOMEM)
		return info->err;
	if (info->err)
		return damaged(w, info);
	if (info->ptr.addr)
		err = fsck_use(w->f, &info->ptr);
	if (!err)
		err = fsck_seen_add(w->f, info->tree, &info->ptr);
	return err || info->level ? err : fsck_leaf_items(info->node, item, w);
}

int fsck_trees(struct fsck *f)
{
	static const int order[TFS_TREES] = {TFS_TREE_REFS, TFS_TREE_SNAP, TFS_TREE_FS, TFS_TREE_SPACE};
	struct walk w = {.f = f};
	int err = fsck_items_begin(f, &w.items);

	tfs_progress_pass(&f->progress, "trees and items", 0);
	for (u32 i = 0; !err && i < TFS_TREES; i++) {
		w.tree = order[i];
		if (w.tree == TFS_TREE_SPACE && f->space_bad)
			continue; /* it is built anew anyway */
		err = tfs_tree_walk(f->vol, w.tree, node, &w);
	}
	if (!err)
		err = fsck_items_end(w.items);
	free(w.items);
	return err;
}
