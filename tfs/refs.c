// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Shared extents. An extent that one {inode, window} refers to has no item; a REFS item counts two and more. What loses
 * a reference becomes free with the last one. Whole compressed extents only: their pieces never split the range, so
 * an item is found by its address alone. A volume that shares nothing has no REFS tree and pays nothing here. Called in
 * the prepare and apply phases of data records (window.c, write_apply.c, range_apply.c).
 */
#include "tfs/vol.h"

static struct tfs_key ref_key(const struct tfs_ptr *ptr)
{
	return (struct tfs_key){ptr->addr, 0};
}

/* *count: references, 1 when there is no item. */
static int ref_find(struct tfs_vol *vol, const struct tfs_ptr *ptr, u32 *count)
{
	const struct tfs_ref *r;
	const void *v;
	u32 len;
	int err = vol->root[TFS_TREE_REFS].addr ? tfs_item_find(vol, TFS_TREE_REFS, ref_key(ptr), &v, &len) : -ENOENT;

	*count = 1;
	if (err)
		return err == -ENOENT ? 0 : err;
	r = v;
	*count = tfs_le32(r->count);
	if (tfs_le32(r->len) != ptr->len || *count < 2)
		return tfs_corrupt(vol, 0, "shared range of another length or count");
	return 0;
}

int tfs_ref_prepare_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool *shared)
{
	u32 count;
	int err = ref_find(vol, ptr, &count);

	*shared = count > 1;
	if (!err && *shared)
		tfs_need(vol, TFS_TREE_REFS, ref_key(ptr), 0);
	return err ? err : tfs_ptr_prepare(vol, ptr);
}

void tfs_ref_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool shared)
{
	/* an operation may drop several references: the item goes with the last but one */
	struct tfs_ref *r = shared ? tfs_item_have(vol, TFS_TREE_REFS, ref_key(ptr)) : NULL;

	if (!r)
		tfs_ptr_drop(vol, ptr);
	else if (tfs_le32(r->count) == 2)
		tfs_item_del(vol, TFS_TREE_REFS, ref_key(ptr));
	else
		r->count = tfs_cpu32(tfs_le32(r->count) - 1);
}

int tfs_ref_prepare_add(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	u32 count;
	int err = ref_find(vol, ptr, &count);

	if (err)
		return err;
	if (count == ~0u)
		return -EOPNOTSUPP;
	tfs_need(vol, TFS_TREE_REFS, ref_key(ptr), sizeof(struct tfs_ref));
	return tfs_space_live(vol, ptr->addr, ptr->len, true);
}

void tfs_ref_add(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	const struct tfs_ref *r = tfs_item_have(vol, TFS_TREE_REFS, ref_key(ptr));
	struct tfs_ref more = {tfs_cpu32(ptr->len), tfs_cpu32((r ? tfs_le32(r->count) : 1) + 1)};

	tfs_item_put(vol, TFS_TREE_REFS, ref_key(ptr), &more, sizeof(more));
}
