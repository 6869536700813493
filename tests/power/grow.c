// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Growing: the device becomes larger, its new blocks full of what may have been left there, copies of this very volume
 * from another life at both of the places where its ends would be, and then the volume. What must hold of a crashed
 * one: its size is the old or the new one, and both ends say the same. Called by ops.c, and by state.c to judge.
 */
#include "tests/power/power.h"
#include "tfs/vol.h"

static u64 size_now, size_coming; /* coming 0: no call is under way */
static struct tfs_vol *volume;
static u64 new_size;

/* Anchors of epochs to come, and a superblock: all whole, and all lies. */
static void left_over(u64 page, u8 *data)
{
	u64 end = new_size / TFS_BLOCK - 8;

	memset(data, 0xa5, TFS_BLOCK);
	if (page >= end && page < end + TFS_ANCHOR_SLOTS) {
		struct tfs_anchor *a = (struct tfs_anchor *)data;

		memset(data, 0, TFS_BLOCK);
		a->epoch = tfs_cpu64(((volume->epoch / 4 + 1000) * 4) + (page - end));
		a->checkpoint = (struct tfs_disk_ptr){tfs_cpu64(136), tfs_cpu64(1), 0, tfs_cpu16(8), 0};
		tfs_head_seal(&a->head, TFS_BT_ANCHOR, volume->volume, sizeof(*a));
	} else if (page == end + 7) {
		struct tfs_super *s = (struct tfs_super *)data;

		memset(data, 0, TFS_BLOCK);
		*s = volume->super;
		s->size = tfs_cpu64(new_size);
		s->segments = tfs_cpu64(1);
		tfs_head_seal(&s->head, TFS_BT_SUPER, volume->volume, sizeof(*s));
	}
}

void power_size_reset(void)
{
	size_now = power_run.size_first;
	size_coming = 0;
}

void power_size_settle(struct tfs_vol *vol)
{
	size_now = tfs_le64(tfs_super_of(vol)->size);
	size_coming = 0;
}

int power_grow(struct tfs_vol *vol, u64 bytes)
{
	u64 old = tfs_le64(tfs_super_of(vol)->size);
	static u8 block[TFS_BLOCK];
	int err;

	new_size = power_run.dev.size + bytes;
	if (new_size > POWER_PAGES * (u64)TFS_BLOCK)
		new_size = POWER_PAGES * (u64)TFS_BLOCK;
	volume = vol;
	if (new_size > power_run.dev.size)
		power_device_grow(new_size, left_over);
	size_coming = power_run.dev.size;
	if (tfs_grow(vol, old - TFS_BLOCK) != -EINVAL || tfs_grow(vol, size_coming + TFS_BLOCK) != -EINVAL)
		power_fail("grow", "expected a volume to keep within its device, and never to shrink");
	err = tfs_grow(vol, 0);
	if (!err || err == -ENOMEM || err == -ENOSPC) {
		u64 size = tfs_le64(tfs_super_of(vol)->size);

		if (!err && size != size_coming)
			power_fail("grow", "the volume has another size");
		power_size_settle(vol);
	}
	if (!err && size_now != old &&
	    !power_run.dev.ops->io(&power_run.dev, TFS_IO_READ, old - TFS_BLOCK, block, TFS_BLOCK, 0) &&
	    !tfs_super_check(block, 0))
		power_fail("grow", "the old end is still there");
	return err;
}

const char *power_size_judge(struct tfs_dev *dev, u64 size)
{
	static u8 first[TFS_BLOCK], last[TFS_BLOCK];

	if (size != size_now && (!size_coming || size != size_coming))
		return "a size that the volume never had";
	if (dev->ops->io(dev, TFS_IO_READ, TFS_SUPER_OFFSET, first, TFS_BLOCK, 0) ||
	    dev->ops->io(dev, TFS_IO_READ, size - TFS_BLOCK, last, TFS_BLOCK, 0))
		return "a superblock cannot be read";
	if (tfs_super_check(last, dev->size) || ((struct tfs_super *)last)->size != tfs_cpu64(size) ||
	    ((struct tfs_super *)last)->segments != ((struct tfs_super *)first)->segments)
		return "the end of the volume has no superblock of its size";
	return NULL;
}
