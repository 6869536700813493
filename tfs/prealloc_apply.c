// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Promised space: PREALLOC records, and cutting a range out of the promises when it gets content or becomes a hole.
 * Always: no promise lies over an extent or another promise; counters.prealloc_blocks is their sum. Called by
 * data_apply.c and its neighbours.
 */
#include "tfs/data_apply.h"

/* At most 16 items can begin in a window's range, and one before it: more is a contradiction. */
int tfs_carve_load(struct tfs_vol *vol, u64 ino, u64 block, u64 end, struct carve *c)
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

void tfs_carve_need(struct tfs_vol *vol, u64 ino, const struct carve *c)
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

void tfs_carve_apply(struct tfs_vol *vol, u64 ino, const struct carve *c, struct tfs_inode *inode)
{
	u32 i;

	for (i = 0; i < c->olds; i++)
		tfs_item_del(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, c->old[i]));
	if (c->left_n)
		prealloc_put(vol, ino, c->left, c->left_n);
	if (c->right_n)
		prealloc_put(vol, ino, c->right, c->right_n);
	tfs_counters_of(vol)->prealloc_blocks -= c->given_back;
	tfs_blocks_add(inode, -(s64)c->given_back);
}

/* Cuts promises at the two edges in an operation-neutral way, so that whole items lie in or out of the range. */
int tfs_prealloc_split(struct tfs_vol *vol, u64 ino, u64 at)
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

int tfs_apply_prealloc(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_range *r = (const struct tfs_rec_range *)rec;
	u64 ino = tfs_le64(rec->ino), block, end;
	struct tfs_inode inode;
	struct gaps g;
	u32 inlined, i;
	int err;

	if (tfs_le32(rec->len) < sizeof(*r) || !r->blocks || tfs_le64(r->block) >= TFS_BLOCK_MAX ||
	    tfs_le64(r->blocks) > TFS_BLOCK_MAX - tfs_le64(r->block) || tfs_le64(r->size) > TFS_FILE_SIZE_MAX)
		return tfs_data_bad(vol, rec, "preallocation record out of range");
	block = tfs_le64(r->block);
	end = block + tfs_le64(r->blocks);
	err = tfs_data_open(vol, rec, &inode, &inlined);
	if (!err)
		err = gaps_find(vol, ino, block, end, inlined, &g);
	if (err)
		return err;
	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), 0);
	for (i = 0; i < g.count; i++)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_PREALLOC, g.block[i]), 8);
	err = tfs_prepare(vol);
	if (err)
		return err;
	for (i = 0; i < g.count; i++) {
		prealloc_put(vol, ino, g.block[i], g.end[i] - g.block[i]);
		tfs_counters_of(vol)->prealloc_blocks += g.end[i] - g.block[i];
		tfs_blocks_add(&inode, (s64)(g.end[i] - g.block[i]));
	}
	if (tfs_le64(r->size) > tfs_le64(inode.size)) {
		inode.size = r->size;
		inode.mtime = rec->time;
	}
	inode.ctime = rec->time;
	tfs_data_inode_put(vol, ino, &inode);
	return 0;
}
