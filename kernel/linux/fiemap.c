// SPDX-License-Identifier: GPL-2.0
/*
 * FIEMAP over the core's mappings: compressed extents are "encoded", inline data and what was only promised a place
 * have none. What is dirty is written first, as for SEEK_DATA: then it has a place.
 */
#include "tfs_linux.h"

#include <linux/fiemap.h>

struct extent {
	u64 logical, physical, bytes;
	u32 flags;
};

static struct extent extent_of(const struct tfs_range *r)
{
	struct extent e = {.logical = r->block << TFS_BLOCK_BITS, .bytes = r->blocks << TFS_BLOCK_BITS};

	switch (r->kind) {
	case TFS_RANGE_INLINE:
		e.flags = FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED;
		break;
	case TFS_RANGE_PREALLOC:
		e.flags = FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_UNKNOWN;
		break;
	case TFS_RANGE_DATA:
		e.flags = r->codec ? FIEMAP_EXTENT_ENCODED : 0;
		if (r->units)
			e.physical = r->addr * TFS_UNIT;
		else
			e.flags |= FIEMAP_EXTENT_UNKNOWN; /* scattered */
		break;
	}
	if (r->shared)
		e.flags |= FIEMAP_EXTENT_SHARED;
	return e;
}

/* Raw extents end at windows on disk; a reader sees them as one where they lie as one. */
static bool joins(const struct extent *a, const struct extent *b)
{
	return a->flags == b->flags && !(a->flags & ~FIEMAP_EXTENT_SHARED) && a->logical + a->bytes == b->logical &&
	       a->physical + a->bytes == b->physical;
}

static int give(struct fiemap_extent_info *info, const struct extent *e, bool last)
{
	return fiemap_fill_next_extent(info, e->logical, e->physical, e->bytes,
	                               e->flags | (last ? FIEMAP_EXTENT_LAST : 0));
}

static int extents(struct inode *inode, struct fiemap_extent_info *info, u64 block, u64 end)
{
	struct extent held = {0}, e;
	struct tfs_range r;
	int got, err = 0;

	for (;; block = r.block + r.blocks) {
		got = tfs_range_next(tfs_enter_inode(inode), inode->i_ino, block, &r);
		tfs_leave_inode(inode);
		if (got < 0)
			return tfs_user_err(got);
		if (!got || r.block << TFS_BLOCK_BITS >= end)
			break;
		e = extent_of(&r);
		if (held.bytes && joins(&held, &e)) {
			held.bytes += e.bytes;
			continue;
		}
		if (held.bytes)
			err = give(info, &held, false);
		held = e;
		if (err || fatal_signal_pending(current))
			return err < 0 ? err : 0; /* 1: the caller has no room for more */
	}
	if (held.bytes)
		err = give(info, &held, !got);
	return err < 0 ? err : 0;
}

int tfs_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 len)
{
	int err;

	inode_lock_shared(inode);
	err = fiemap_prep(inode, info, start, &len, 0);
	if (!err)
		err = filemap_write_and_wait(inode->i_mapping);
	if (!err)
		err = extents(inode, info, start >> TFS_BLOCK_BITS, start + len);
	inode_unlock_shared(inode);
	return err;
}
