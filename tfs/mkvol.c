// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Making a volume: geometry from the options, empty trees and a root directory in memory, bulk mode for whoever fills
 * it, and at the end the first checkpoint, anchors, and the superblocks last, so that an interrupted run leaves nothing
 * mountable. Everything derives from the options: the same input gives the same bytes. Called by mkfs.tfs and tests.
 */
#include "tfs/vol.h"

#define QUICK (1u << 20) /* a mount reads the table of so many segments in less than a second */

/* 63 or more segments where possible; 256 KiB below 64 MiB, 4 MiB from 4 GiB on; at most QUICK up to 64 TiB. */
static u32 segment_bits_for(u64 size)
{
	u32 bits = TFS_SEGMENT_BITS_MIN;

	while (bits < TFS_CHUNK_BITS && size >> bits >= 1024)
		bits++;
	while (size >> bits > QUICK && bits < TFS_SEGMENT_BITS_MAX)
		bits++;
	return bits;
}

u64 tfs_segments_for(u64 size, u32 bits)
{
	return (size - TFS_SEGMENTS_OFFSET - TFS_TAIL_SIZE) >> bits;
}

static u64 derive(const u8 *uuid, u32 salt)
{
	u32 lo = tfs_port_crc32c(salt, uuid, 16), hi = tfs_port_crc32c(~lo ^ salt, uuid, 16);
	u64 v = (u64)hi << 32 | lo;

	return v ? v : 1;
}

static void super_fill(struct tfs_super *s, const struct tfs_format_options *opt)
{
	u64 size = opt->size & ~(u64)(TFS_BLOCK - 1);
	u32 bits = opt->segment_bits ? opt->segment_bits : segment_bits_for(size);

	memcpy(s->uuid, opt->uuid, sizeof(s->uuid));
	memcpy(s->label, opt->label, sizeof(s->label));
	s->hash_seed[0] = tfs_cpu64(derive(opt->uuid, 1));
	s->hash_seed[1] = tfs_cpu64(derive(opt->uuid, 2));
	s->incompat = tfs_cpu64(TFS_INCOMPAT_BESIDE | TFS_INCOMPAT_COLUMNS);
	s->size = tfs_cpu64(size);
	s->segments = tfs_cpu64(tfs_segments_for(size, bits));
	s->created = opt->created;
	s->segment_bits = tfs_cpu32(bits);
	s->node_size = tfs_cpu32(TFS_NODE_SIZE);
	s->checksum = tfs_cpu32(1);
	s->codec = opt->codec;
	s->codec_level = opt->codec_level;
	s->window_bits = opt->window_bits ? opt->window_bits : TFS_WINDOW_BITS;
}

static int root_make(struct tfs_vol *vol, const struct tfs_format_options *opt)
{
	struct tfs_key key = tfs_key(TFS_INO_ROOT, TFS_IT_INODE, 0);
	struct tfs_inode inode;

	memset(&inode, 0, sizeof(inode));
	inode.mode = tfs_cpu32(0040000 | (opt->root_mode ? opt->root_mode & 07777 : 0755));
	inode.uid = tfs_cpu32(opt->root_uid);
	inode.gid = tfs_cpu32(opt->root_gid);
	inode.nlink = tfs_cpu32(2);
	inode.parent = tfs_cpu64(TFS_INO_ROOT);
	inode.codec = opt->codec;
	inode.codec_level = opt->codec_level;
	inode.window_bits = vol->super.window_bits;
	inode.atime = inode.mtime = inode.ctime = inode.btime = opt->created;
	vol->counters.next_ino = TFS_INO_ROOT + 1;
	vol->counters.inodes = 1;
	return tfs_tree_ensure(vol, TFS_TREE_FS, key, &inode, sizeof(inode));
}

/* Superblocks and anchors of an earlier volume must not be found beside half of a new one. */
static int old_clear(struct tfs_vol *vol)
{
	u64 end = tfs_le64(vol->super.size), last = vol->dev->size & ~(u64)(TFS_BLOCK - 1), i;
	int err;

	memset(vol->scratch, 0, TFS_TAIL_SIZE);
	err = tfs_dev_io(vol, TFS_IO_WRITE, TFS_SUPER_OFFSET, vol->scratch, TFS_BLOCK, 0);
	if (!err && last > end)
		err = tfs_dev_io(vol, TFS_IO_WRITE, last - TFS_BLOCK, vol->scratch, TFS_BLOCK, 0);
	if (!err)
		err = tfs_dev_io(vol, TFS_IO_WRITE, end - TFS_TAIL_SIZE, vol->scratch, TFS_TAIL_SIZE, 0);
	for (i = 0; !err && i < TFS_ANCHOR_SLOTS; i++)
		err = tfs_dev_io(vol, TFS_IO_WRITE, TFS_ANCHOR_OFFSET + i * TFS_BLOCK, vol->scratch, TFS_BLOCK, 0);
	return err ? err : tfs_flush(vol);
}

static int vol_make(struct tfs_vol *vol, const struct tfs_format_options *opt)
{
	int err;

	super_fill(&vol->super, opt);
	vol->volume = derive(opt->uuid, 0);
	vol->bulk = true;
	vol->epoch = 1;
	vol->log.next = vol->log.pos.sequence = 1;
	err = tfs_space_init(vol);
	if (!err)
		err = old_clear(vol);
	if (!err)
		err = root_make(vol, opt);
	return err ? err : tfs_space_format(vol, 0);
}

int tfs_format_check(const struct tfs_format_options *opt)
{
	if (opt->size < TFS_MIN_VOLUME || opt->size > TFS_MAX_VOLUME || opt->codec >= TFS_CODEC_COUNT)
		return -EINVAL;
	if (opt->segment_bits &&
	    (opt->segment_bits < TFS_SEGMENT_BITS_MIN || opt->segment_bits > TFS_SEGMENT_BITS_MAX ||
	     tfs_segments_for(opt->size, opt->segment_bits) > TFS_SEGMENTS_MAX ||
	     tfs_segments_for(opt->size, opt->segment_bits) < 4))
		return -EINVAL;
	return 0;
}

int tfs_format(struct tfs_dev *dev, const struct tfs_env *env, const struct tfs_format_options *opt,
               struct tfs_vol **out)
{
	struct tfs_vol *vol;
	int err = tfs_format_check(opt);

	if (err)
		return err;
	if (opt->size > dev->size)
		return -ENOSPC;
	err = tfs_vol_new(dev, env, &vol);
	if (err)
		return err;
	vol->node_codec = opt->codec == TFS_CODEC_ZLIB ? TFS_CODEC_ZLIB : TFS_NODE_COLUMNS;
	err = vol_make(vol, opt);
	if (err) {
		tfs_vol_free(vol);
		return err;
	}
	*out = vol;
	return 0;
}

u64 tfs_format_min_size(struct tfs_vol *vol)
{
	u64 last = 0, i, need;

	for (i = 0; i < vol->segments; i++)
		if (vol->segment[i].used_blocks || vol->head[TFS_HEAD_DATA].segment == i ||
		    vol->head[TFS_HEAD_NODE].segment == i)
			last = i;
	need = last + 1 + 2 + vol->dirty.count * 5ull / vol->segment_blocks; /* log runs and the last nodes */
	need = (need << vol->segment_bits) + TFS_SEGMENTS_OFFSET + TFS_TAIL_SIZE;
	need += need / 16; /* so that the reserve's 5% is there */
	if (need < 11ull << vol->segment_bits)
		need = 11ull << vol->segment_bits;
	return need < TFS_MIN_VOLUME ? TFS_MIN_VOLUME : (need + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
}

int tfs_format_grow(struct tfs_vol *vol, u64 new_size)
{
	u64 size = new_size & ~(u64)(TFS_BLOCK - 1), old = vol->segments, segments;
	int err;

	if (size < tfs_le64(vol->super.size) || size > TFS_MAX_VOLUME || size > vol->dev->size)
		return -EINVAL;
	segments = tfs_segments_for(size, vol->segment_bits);
	if (segments > TFS_SEGMENTS_MAX)
		return -EINVAL;
	err = tfs_space_resize(vol, segments);
	if (err)
		return err;
	vol->super.size = tfs_cpu64(size);
	vol->super.segments = tfs_cpu64(segments);
	return tfs_space_format(vol, old);
}

/* The segment table shrinks: items of segments that are no more go, which are all empty. */
static int shrink(struct tfs_vol *vol, u64 size)
{
	u64 segments = tfs_segments_for(size, vol->segment_bits), old = vol->segments, g;
	u32 per = TFS_SEGS_PER_ITEM;

	if (size < tfs_format_min_size(vol) || size > tfs_le64(vol->super.size))
		return -EINVAL;
	for (g = (segments + per - 1) / per; g * per < old; g++) {
		struct tfs_key key = {TFS_SPACE_SEGS | g, 0};
		struct tfs_node *leaf;
		int err = tfs_tree_dirty(vol, TFS_TREE_SPACE, key, &leaf);

		if (err)
			return err;
		tfs_item_del(vol, TFS_TREE_SPACE, key);
	}
	vol->super.size = tfs_cpu64(size);
	vol->super.segments = tfs_cpu64(segments);
	vol->segments = segments;
	vol->total_blocks = segments * vol->segment_blocks;
	if (vol->search >= segments)
		vol->search = 0;
	return 0;
}

/* A volume that shrank has its end elsewhere now. */
static int tail_clear(struct tfs_vol *vol)
{
	memset(vol->scratch, 0, TFS_TAIL_SIZE);
	return tfs_dev_io(vol, TFS_IO_WRITE, tfs_le64(vol->super.size) - TFS_TAIL_SIZE, vol->scratch, TFS_TAIL_SIZE, 0);
}

int tfs_format_finish(struct tfs_vol *vol, u64 new_size)
{
	int err = new_size ? shrink(vol, new_size & ~(u64)(TFS_BLOCK - 1)) : 0;

	if (!err)
		err = tail_clear(vol);
	if (!err && vol->ck.state != TFS_CK_IDLE)
		err = tfs_checkpoint(vol);
	if (!err)
		err = tfs_settle_drops(vol);
	if (err)
		return err;
	vol->bulk = false;
	vol->log.pos.sequence = vol->log.durable = vol->log.next;
	err = tfs_checkpoint_run(vol, true); /* no log: generation 0 */
	vol->bulk = true;
	if (!err)
		err = tfs_flush(vol);
	if (!err)
		err = tfs_super_write(vol);
	return err ? err : tfs_flush(vol);
}
