// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Inodes without a name: freeing what they hold, step by step, and then themselves, unless lines of them are still to
 * be forwarded (kept.c). The steps append no record: an orphan is not visible, so a crash merely leaves more of it to
 * free again. Called by hosts when the last handle is closed, and by a read-write mount.
 */
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

int tfs_next_orphan(struct tfs_vol *vol, u64 after, u64 *ino_out)
{
	struct tfs_key k = tfs_orphan_key(after + 1);
	const void *v;
	u32 len;
	int err = after < TFS_INO_MAX ? tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len) : -ENOENT;

	if (!err && (k.a != TFS_INO_ORPHANS || tfs_key_type(k) != TFS_IT_ORPHAN))
		err = -ENOENT;
	if (!err)
		*ino_out = tfs_key_pos(k);
	return err;
}

static bool item_there(struct tfs_vol *vol, struct tfs_key key, int *err)
{
	const void *v;
	u32 len;

	*err = tfs_item_find(vol, TFS_TREE_FS, key, &v, &len);
	if (*err == -ENOENT) {
		*err = 0;
		return false;
	}
	return !*err;
}

/* All content is gone: the inode, its target, its cursors and the orphan item go together. */
static int inode_free(struct tfs_vol *vol, u64 ino)
{
	struct tfs_key link = tfs_key(ino, TFS_IT_SYMLINK, 0);
	bool inode, target, cursors = false;
	int err;

	inode = item_there(vol, tfs_inode_key(ino), &err);
	if (err)
		return err;
	target = item_there(vol, link, &err);
	if (err)
		return err;
	if (tfs_ship_on(vol))
		cursors = item_there(vol, tfs_ship_key(ino), &err);
	if (err)
		return err;
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, tfs_orphan_key(ino), 0);
	if (cursors)
		tfs_need(vol, TFS_TREE_FS, tfs_ship_key(ino), 0);
	if (inode)
		tfs_need_inode(vol, ino);
	if (target)
		tfs_need(vol, TFS_TREE_FS, link, 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_del(vol, TFS_TREE_FS, tfs_orphan_key(ino));
	if (cursors)
		tfs_item_del(vol, TFS_TREE_FS, tfs_ship_key(ino));
	if (inode) {
		tfs_item_del(vol, TFS_TREE_FS, tfs_inode_key(ino));
		tfs_counters_of(vol)->inodes--;
	}
	if (target)
		tfs_item_del(vol, TFS_TREE_FS, link);
	tfs_kept_forget(vol, ino);
	tfs_tidy(vol, TFS_TREE_FS, tfs_inode_key(ino));
	return 0;
}

int tfs_evict(struct tfs_vol *vol, u64 ino)
{
	struct tfs_inode inode;
	int err = tfs_op_begin(vol, TFS_TIER_EVICT, 0);

	if (err)
		return err;
	if (!item_there(vol, tfs_orphan_key(ino), &err))
		return err;
	err = tfs_inode_find(vol, ino, &inode);
	if (!err && inode.nlink)
		return tfs_corrupt(vol, ino, "is an orphan and has links");
	if (err && err != -ENOENT)
		return err;
	if (!err) {
		bool kept;

		err = tfs_kept_step(vol, ino, &inode, &kept);
		if (err || kept)
			return err;
	}
	err = tfs_data_free_step(vol, ino);
	if (!err)
		err = tfs_xattr_free_step(vol, ino);
	return err ? err : inode_free(vol, ino);
}
