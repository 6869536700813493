// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A volume becomes as large as its device, which the host made larger before. What stands at the device's end has a
 * copy at its beginning, so the end can move: the segment table grows first and is made durable, under the old size;
 * then the new end gets its copies, anchors before the superblock, whatever stood there before; then the first
 * superblock says the new size, and from that moment the old end means nothing: it is cleared before anybody gets its
 * place. A crash at any point leaves a volume of the old or of the new size with both copies of everything. There is no
 * way back: nothing shrinks. Called by hosts between operations, on a mounted volume in use.
 */
#include "tfs/vol.h"

static int size_check(struct tfs_vol *vol, u64 *size, u64 *segments)
{
	int err = vol->dev->resized ? vol->dev->resized(vol->dev) : 0;
	u64 old = tfs_le64(vol->super.size), all = vol->dev->size & ~(u64)(TFS_BLOCK - 1);

	if (err)
		return err;
	*size = *size ? *size & ~(u64)(TFS_BLOCK - 1) : all;
	if (*size > all || *size < old || *size > TFS_MAX_VOLUME)
		return -EINVAL;
	*segments = tfs_segments_for(*size, vol->segment_bits);
	return *segments > TFS_SEGMENTS_MAX ? -EFBIG : 0;
}

/* Entries of a group of the table that hold for no segment yet are zero; it may hold some of an attempt cut off. */
static int group_extend(struct tfs_vol *vol, u64 group, u64 from)
{
	static const struct tfs_segment zero[TFS_SEGS_PER_ITEM];
	struct tfs_key key = {TFS_SPACE_SEGS | group, 0};
	u64 first = group * TFS_SEGS_PER_ITEM, keep = from > first ? from - first : 0;
	struct tfs_segment *item;
	int err = tfs_tree_ensure(vol, TFS_TREE_SPACE, key, zero, sizeof(zero));

	if (err)
		return err;
	item = tfs_item_edit(vol, TFS_TREE_SPACE, key, NULL);
	memset(item + keep, 0, (TFS_SEGS_PER_ITEM - keep) * sizeof(*item));
	return 0;
}

/* Of a large volume in several checkpoints: what is there too early means nothing under the old size. */
static int table_extend(struct tfs_vol *vol, u64 segments)
{
	u64 group;
	int err = 0;

	for (group = vol->segments / TFS_SEGS_PER_ITEM; !err && group * TFS_SEGS_PER_ITEM < segments; group++) {
		if (vol->dirty.count >= vol->dirty_cap / 2)
			err = tfs_checkpoint_run(vol, false);
		if (!err)
			err = tfs_op_begin(vol, TFS_TIER_SNAPSHOT, 0);
		if (!err)
			err = group_extend(vol, group, vol->segments);
	}
	return err ? err : tfs_checkpoint_run(vol, false);
}

/* From here on an error is one of the device, which ends writing. */
static int ends_move(struct tfs_vol *vol, u64 size, u64 segments)
{
	int err = tfs_anchors_copy(vol, size);

	if (err)
		return err;
	vol->super.size = tfs_cpu64(size);
	vol->super.segments = tfs_cpu64(segments);
	return tfs_super_write(vol);
}

static int end_clear(struct tfs_vol *vol, u64 size)
{
	int err;

	memset(vol->scratch, 0, TFS_TAIL_SIZE);
	err = tfs_dev_io(vol, TFS_IO_WRITE, size - TFS_TAIL_SIZE, vol->scratch, TFS_TAIL_SIZE, 0);
	return err ? err : tfs_flush(vol);
}

int tfs_grow(struct tfs_vol *vol, u64 new_size)
{
	u64 old = tfs_le64(vol->super.size), size = new_size, segments;
	struct tfs_segment_table table;
	int err = vol->bulk ? -EINVAL : vol->damaged ? -EROFS : size_check(vol, &size, &segments);

	if (!err)
		err = tfs_op_begin(vol, TFS_TIER_SNAPSHOT, 0);
	if (err || size - old < TFS_TAIL_SIZE) /* the two ends would overlap, for nothing */
		return err;
	err = tfs_space_table(vol, segments, &table);
	if (err)
		return err;
	err = table_extend(vol, segments);
	if (!err)
		err = ends_move(vol, size, segments);
	if (err) {
		tfs_space_table_free(&table);
		return err;
	}
	tfs_space_table_use(vol, segments, &table);
	return end_clear(vol, old);
}
