// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What data records do to the trees, live and in replay: here what they share and who does which. Each checks the whole
 * record first (a crafted log may say anything: -EUCLEAN), then prepares, then applies, which cannot fail.
 * inode.blocks counts mapped and preallocated blocks, pending ones until they are dropped. Called by tfs_apply (op.c).
 */
#include "tfs/data_apply.h"

int tfs_data_bad(struct tfs_vol *vol, const struct tfs_rec_head *rec, const char *what)
{
	return tfs_corrupt(vol, tfs_le64(rec->ino), what);
}

static int file_of(struct tfs_vol *vol, const struct tfs_rec_head *rec, struct tfs_inode *inode)
{
	int err = tfs_inode_find(vol, tfs_le64(rec->ino), inode);

	if (err)
		return err == -ENOENT ? tfs_data_bad(vol, rec, "data record names no inode") : err;
	return (tfs_le32(inode->mode) >> 12) == 8 ? 0 : tfs_data_bad(vol, rec, "data record names no regular file");
}

void tfs_data_inode_put(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode)
{
	memcpy(tfs_item_edit(vol, TFS_TREE_FS, tfs_inode_key(ino), NULL), inode, sizeof(*inode));
}

int tfs_data_inline(struct tfs_vol *vol, u64 ino, u32 *len)
{
	const void *v;
	int err = tfs_item_find(vol, TFS_TREE_FS, tfs_inline_key(ino), &v, len);

	if (err)
		*len = 0;
	return err == -ENOENT ? 0 : err;
}

int tfs_data_open(struct tfs_vol *vol, const struct tfs_rec_head *rec, struct tfs_inode *inode, u32 *inlined)
{
	int err = file_of(vol, rec, inode);

	if (!err)
		err = tfs_pending_drain(vol, tfs_le64(rec->ino));
	if (!err)
		err = file_of(vol, rec, inode); /* the drain changed its count of blocks */
	return err ? err : tfs_data_inline(vol, tfs_le64(rec->ino), inlined);
}

int tfs_apply_data(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	switch (tfs_le16(rec->type)) {
	case TFS_REC_WRITE:
		return tfs_apply_write(vol, rec);
	case TFS_REC_CLONE:
		return tfs_apply_clone(vol, rec);
	case TFS_REC_MOVE:
		return tfs_apply_move(vol, rec);
	case TFS_REC_PREALLOC:
		return tfs_apply_prealloc(vol, rec);
	}
	return tfs_apply_hole(vol, rec);
}
