// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a truncate or a punch takes away of a file while lines in it are still to be forwarded: before its record they
 * are copied, by reference, into a new orphan, which kept.c then keeps until they have arrived. Always: the operation's own
 * record makes the copy count; before it, or when it never comes, that is an orphan like any other. The lines keep their identity: the copy's item names the file and the generation
 * they were cut off, and they lie at the same offsets. Called by data.c; the host has written what it holds of the
 * file. A truncate or a punch does not fail for what
 * of its lines cannot be copied, no space or damage: then they go, and are counted.
 */
#include "tfs/data.h"
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

/* A copy that counts is listed by this; one that does not is freed. */
static void copy_settle(struct tfs_vol *vol, u64 copy)
{
	int err = copy ? 1 : 0;

	while (err > 0)
		err = tfs_evict(vol, copy); /* after an error the next mount does it */
}

static int copy_content(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, const struct tfs_cut *cut)
{
	/* whoever sends looks at the byte before the cursor: a line begins there, or goes on */
	u64 block = (cut->from ? cut->from - 1 : 0) / TFS_BLOCK, end = (cut->to + TFS_BLOCK - 1) / TFS_BLOCK;
	s64 n = 0;

	while (n >= 0 && block < end) {
		n = tfs_reflink(vol, ino, block, cut->copy, block, end - block, cut->to, &inode->mtime);
		block += n > 0 ? (u64)n : 0;
	}
	return n < 0 ? (int)n : 0;
}

static int copy_make(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, struct tfs_cut *cut)
{
	struct tfs_create c = {.mode = tfs_le32(inode->mode), .uid = tfs_le32(inode->uid), .gid = tfs_le32(inode->gid)};
	int err = tfs_create(vol, TFS_INO_ROOT, "", 0, &c, &cut->copy);

	if (!err)
		err = copy_content(vol, ino, inode, cut);
	return err ? err : tfs_ship_cut_commit(vol, ino, cut->copy, cut->from);
}

/* Which lines of the range are to be sent: [from, to). 0: none. */
static int lines_find(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, bool punch, struct tfs_cut *cut)
{
	u64 size = tfs_le64(inode->size), start = cut->from, unsent;
	int err = start < size ? tfs_ship_unsent(vol, ino, size, &unsent) : 0;

	if (err <= 0)
		return err;
	if (cut->to > size)
		cut->to = size;
	/* a punch moves the cursor to its end: lines before the hole go with those in it */
	cut->from = punch || unsent > start ? unsent : start;
	return cut->from < cut->to;
}

int tfs_cut_begin(struct tfs_vol *vol, u64 ino, bool punch, struct tfs_cut *cut)
{
	u64 limit = tfs_kept_limit(vol);
	struct tfs_inode inode;
	int err;

	cut->copy = cut->lost = 0;
	cut->lines = false;
	if (!tfs_ship_on(vol))
		return 0;
	err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err)
		err = lines_find(vol, ino, &inode, punch, cut);
	if (err <= 0)
		return err;
	cut->lines = true;
	if (cut->to - cut->from > limit) {
		cut->lost = cut->to - cut->from - limit;
		cut->from = cut->to - limit;
	}
	err = copy_make(vol, ino, &inode, cut);
	if (!err || err == -ENOMEM) /* that goes by */
		return err;
	copy_settle(vol, cut->copy);
	cut->copy = 0;
	cut->lost += cut->to - cut->from;
	return 0;
}

void tfs_cut_end(struct tfs_vol *vol, const struct tfs_cut *cut, int err)
{
	copy_settle(vol, cut->copy);
	if (!err)
		vol->kept.lost += cut->lost;
}
