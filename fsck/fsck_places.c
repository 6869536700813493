// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 1: what lies in fixed places, twice: superblocks and anchor slots. Read raw, so that a damaged first copy is seen
 * although the second serves. An anchor slot of zeros was never used. Written copies go out one at a time, each whole.
 */
#include "fsck/fsck.h"

struct slot {
	u64 offset;
	u8 block[TFS_BLOCK];
	const char *why; /* NULL: whole */
};

static int slot_read(struct fsck *f, struct slot *s, u64 offset)
{
	s->offset = offset;
	return f->dev->ops->io(f->dev, TFS_IO_READ, offset, s->block, TFS_BLOCK, 0);
}

static void slot_copy(struct fsck *f, const struct slot *from, struct slot *to)
{
	int err = f->dev->ops->io(f->dev, TFS_IO_WRITE, to->offset, (void *)from->block, TFS_BLOCK, TFS_IO_FUA);

	if (err)
		tfs_cli_fail(0, f->image, "write at byte %llu: %s", (unsigned long long)to->offset, strerror(-err));
	memcpy(to->block, from->block, TFS_BLOCK);
}

static int supers(struct fsck *f, struct slot s[2], u64 *size, u64 *volume)
{
	char object[64];
	int good = -1;

	for (int i = 0; i < 2; i++) {
		const struct tfs_super *sb = (const struct tfs_super *)s[i].block;
		u64 at = i ? (*size ? *size : f->dev->size & ~(u64)(TFS_BLOCK - 1)) - TFS_BLOCK : TFS_SUPER_OFFSET;

		s[i].why = slot_read(f, &s[i], at) ? "cannot be read" : tfs_super_check(s[i].block, f->dev->size);
		if (!s[i].why && good < 0) {
			good = i;
			*size = tfs_le64(sb->size);
			*volume = tfs_le64(sb->head.volume);
		}
	}
	if (good < 0) {
		tfs_cli_fail(0, f->image, "expected a TFS superblock at byte %u or in the last block; found: %s; %s", TFS_SUPER_OFFSET,
			     s[0].why, s[1].why);
		return -EINVAL;
	}
	for (int i = 0; i < 2; i++) {
		snprintf(object, sizeof(object), "superblock at byte %llu", (unsigned long long)s[i].offset);
		if (s[i].why && fsck_problem(f, FSCK_SUPER_BAD, object, "expected a superblock, found: %s", s[i].why))
			slot_copy(f, &s[good], &s[i]);
	}
	if (!s[0].why && !s[1].why && memcmp(s[0].block, s[1].block, sizeof(struct tfs_super)) &&
	    fsck_problem(f, FSCK_SUPER_DIFFERS, "superblocks", "expected the same bytes at byte %llu as at byte %llu",
			 (unsigned long long)s[1].offset, (unsigned long long)s[0].offset))
		slot_copy(f, &s[0], &s[1]);
	return 0;
}

static bool zero(const u8 *block)
{
	for (u32 i = 0; i < TFS_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

static void anchor_pair(struct fsck *f, struct slot s[2])
{
	static const struct slot nothing;
	char object[64];

	for (int i = 0; i < 2; i++) {
		const struct slot *twin = s[1 - i].why ? &nothing : &s[1 - i];

		if (!s[i].why || zero(s[i].block))
			continue;
		snprintf(object, sizeof(object), "anchor slot at byte %llu", (unsigned long long)s[i].offset);
		if (fsck_problem(f, FSCK_ANCHOR_BAD, object, "expected an anchor, found: %s", s[i].why))
			slot_copy(f, twin, &s[i]);
	}
}

int fsck_places(struct fsck *f)
{
	static struct slot s[2];
	u64 size = 0, volume = 0;
	int err;

	tfs_progress_pass(&f->progress, "superblocks and anchors", 0);
	err = f->dev->size < TFS_MIN_VOLUME ? -EINVAL : supers(f, s, &size, &volume);
	for (u32 slot = 0; !err && slot < TFS_ANCHOR_SLOTS; slot++) {
		for (int i = 0; i < 2; i++) {
			u64 at = (i ? size - TFS_TAIL_SIZE : TFS_ANCHOR_OFFSET) + slot * TFS_BLOCK;

			s[i].why = slot_read(f, &s[i], at) ? "cannot be read" : tfs_anchor_check(s[i].block, volume);
		}
		anchor_pair(f, s);
	}
	return err;
}
