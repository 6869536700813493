// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Files that come to share content: CLONE records, one a window, and the walk over a range that reflink and dedupe
 * are made of. Always: a step is one record (a rewritten tail may come before it, which changes no content), so a crash
 * leaves the target as it was behind the last step that recovery has; no data is written but where it cannot be
 * shared: what stands in the tree itself (INLINE) and what lies in gangs is copied. Called by hosts, and by mkfs.
 */
#include "tfs/data.h"
#include "tfs/data_apply.h"
#include "tfs/vol.h"

/* Who knows whole compressed extents at the same place of their windows alone must not write any more. */
static int feature_need(struct tfs_vol *vol, u64 source, u64 from, u64 block, u32 blocks)
{
	struct tfs_window *w = &tfs_change_of(vol)->right;
	bool news = from % TFS_WINDOW_BLOCKS != block % TFS_WINDOW_BLOCKS;
	u32 i;
	int err;

	if (tfs_le64(vol->super.ro_compat) & TFS_RO_COMPAT_SHARED)
		return 0;
	err = tfs_window_load(vol, source, from, w);
	for (i = 0; !err && i < w->olds; i++)
		news |= !w->old[i].e.codec && w->old[i].block < from + blocks &&
		        w->old[i].block + tfs_piece_blocks(&w->old[i]) > from;
	return err || !news ? err : tfs_super_feature(vol, TFS_RO_COMPAT_SHARED);
}

int tfs_clone(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u32 blocks, u64 size,
              const struct tfs_time *mtime)
{
	struct tfs_rec_clone *r;
	struct tfs_inode inode;
	int err = mtime && tfs_le32(mtime->nsec) >= 1000000000u ? -EINVAL : tfs_write_check(block, blocks, size);

	if (!err && from >= TFS_BLOCK_MAX)
		err = -EFBIG;
	if (!err && (from % TFS_WINDOW_BLOCKS + blocks > TFS_WINDOW_BLOCKS ||
	             (source == ino && from < block + blocks && block < from + blocks)))
		err = -EINVAL;
	if (!err)
		err = tfs_op_begin(vol, TFS_TIER_NORMAL, 2);
	if (!err)
		err = tfs_file_open(vol, source, &inode);
	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err)
		err = tfs_size_settle(vol, ino, &inode, block, blocks, &size);
	if (err > 0)
		err = tfs_op_begin(vol, TFS_TIER_NORMAL, 2);
	if (!err)
		err = feature_need(vol, source, from, block, blocks);
	if (err)
		return err;
	r = tfs_rec_start(vol, TFS_REC_CLONE, ino, sizeof(*r));
	tfs_write_head(&r->to, block, blocks, size, mtime);
	r->source = tfs_cpu64(source);
	r->from = tfs_cpu64(from);
	return tfs_commit(vol, sizeof(*r));
}

/* ---- reflink ---- */

struct reflink {
	u64 source, from, ino, block, size; /* size: the target's, after the step */
	u32 blocks;                         /* of the step: within a window of each */
	const struct tfs_time *mtime;
};

/* Zeros behind the source's end, and behind the target's. */
static void behind_end_clear(u8 *data, u32 blocks, u64 first, u64 size)
{
	u64 end = (first + blocks) * TFS_BLOCK, at = size > first * TFS_BLOCK ? size : first * TFS_BLOCK;

	if (at < end)
		memset(data + (at - first * TFS_BLOCK), 0, end - at);
}

static int step_copy(struct tfs_vol *vol, struct reflink *l)
{
	u64 first = tfs_window_first(l->from);
	u8 *scratch = tfs_scratch(vol), *data = scratch + 3 * TFS_WINDOW_BLOCKS * TFS_BLOCK;
	struct tfs_inode source, inode;
	struct tfs_encoded e;
	int err = tfs_op_begin(vol, TFS_TIER_NORMAL, l->blocks + 2);

	if (!err)
		err = tfs_file_open(vol, l->ino, &inode);
	if (!err)
		err = tfs_size_settle(vol, l->ino, &inode, l->block, l->blocks, &l->size);
	if (err > 0)
		err = tfs_op_begin(vol, TFS_TIER_NORMAL, l->blocks + 2);
	if (!err)
		err = tfs_file_find(vol, l->source, &source);
	if (!err)
		err = tfs_read_window(vol, l->source, first, data);
	if (err)
		return err;
	data += (l->from - first) * TFS_BLOCK;
	behind_end_clear(data, l->blocks, l->from, tfs_le64(source.size));
	behind_end_clear(data, l->blocks, l->block, l->size);
	tfs_encode(l->size <= TFS_INLINE_MAX ? TFS_CODEC_NONE : inode.codec, inode.codec_level, data, l->blocks,
	           scratch, &e);
	err = tfs_window_write(vol, l->ino, l->block, &e, l->size, l->mtime);
	if (!err)
		tfs_written_note(vol, e.blocks);
	return err;
}

/* The source's last block is shared only when it is clean behind its end. */
static int source_settle(struct tfs_vol *vol, const struct reflink *l)
{
	struct tfs_inode inode;
	int err = tfs_file_find(vol, l->source, &inode);

	if (err || !(tfs_le32(inode.flags) & TFS_INODE_TAIL) || tfs_le64(inode.size) / TFS_BLOCK - l->from >= l->blocks)
		return err;
	err = tfs_op_begin(vol, TFS_TIER_NORMAL, 2);
	if (!err)
		err = tfs_file_open(vol, l->source, &inode);
	return err ? err : tfs_tail_fix(vol, l->source, &inode);
}

static s64 step_share(struct tfs_vol *vol, struct reflink *l)
{
	int err = source_settle(vol, l);

	if (!err)
		err = tfs_clone(vol, l->source, l->from, l->ino, l->block, l->blocks, l->size, l->mtime);
	if (err == -EOPNOTSUPP)
		err = step_copy(vol, l);
	return err ? err : (s64)l->blocks;
}

/* Blocks from `block` on that nothing of kind DATA or INLINE maps; *inlined: none, for it is INLINE. */
static s64 hole_blocks(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks, bool promises, bool *inlined)
{
	u64 at = block;
	struct tfs_range r;
	int got;

	*inlined = false;
	while (at < block + blocks && (got = tfs_range_next(vol, ino, at, &r)) != 0) {
		if (got < 0)
			return got;
		*inlined = r.kind == TFS_RANGE_INLINE;
		if (promises || r.kind != TFS_RANGE_PREALLOC)
			return r.block >= block + blocks ? (s64)blocks : r.block <= block ? 0 : (s64)(r.block - block);
		at = r.block + r.blocks;
	}
	return (s64)blocks;
}

/* The source has a hole of so many blocks: the target gets one, unless it has it. */
static s64 step_hole(struct tfs_vol *vol, const struct reflink *l, u64 blocks)
{
	bool inlined;
	s64 there = hole_blocks(vol, l->ino, l->block, blocks, true, &inlined);
	int err = there < 0 ? (int)there : 0;

	if (!err && (u64)there < blocks)
		err = tfs_punch(vol, l->ino, l->block, blocks);
	return err ? err : (s64)blocks;
}

s64 tfs_reflink(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u64 blocks, u64 size,
                const struct tfs_time *mtime)
{
	u32 in = (u32)(from % TFS_WINDOW_BLOCKS), at = (u32)(block % TFS_WINDOW_BLOCKS), high = in > at ? in : at;
	struct reflink l = {source, from, ino, block, size, TFS_WINDOW_BLOCKS - high, mtime};
	bool inlined;
	s64 hole;

	if (!blocks)
		return -EINVAL;
	if (from >= TFS_BLOCK_MAX || block >= TFS_BLOCK_MAX || blocks > TFS_BLOCK_MAX - from ||
	    blocks > TFS_BLOCK_MAX - block || size > TFS_FILE_SIZE_MAX)
		return -EFBIG;
	if (source == ino && from < block + blocks && block < from + blocks)
		return -EINVAL;
	hole = hole_blocks(vol, source, from, blocks, false, &inlined);
	if (hole < 0)
		return hole;
	if (l.blocks > blocks)
		l.blocks = (u32)blocks;
	if (mtime && hole > l.blocks) /* the last block's record sets the size */
		return step_hole(vol, &l, (u64)hole < blocks ? (u64)hole : blocks - 1);
	if (inlined)
		l.blocks = 1;
	if (l.size > (block + l.blocks) * TFS_BLOCK)
		l.size = (block + l.blocks) * TFS_BLOCK;
	return step_share(vol, &l);
}
