// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 1: what lies in fixed places, twice: superblocks and anchor slots. Read raw, so that a damaged first copy is
 * seen although the second serves. An anchor slot of zeros was never used. Written copies go out one at a time, each
 * whole; none when no anchor is whole: then it may be the superblock that is wrong.
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

static int slot_copy(struct fsck *f, const struct slot *from, const struct slot *to)
{
	int err = f->dev->ops->io(f->dev, TFS_IO_WRITE, to->offset, (void *)from->block, TFS_BLOCK, TFS_IO_FUA);

	if (err)
		tfs_cli_fail(0, f->image, "write at byte %llu: %s", (unsigned long long)to->offset, strerror(-err));
	return err;
}

static int supers_find(struct fsck *f, struct slot s[2], u64 *size, u64 *volume)
{
	int good = -1;

	for (int i = 0; i < 2; i++) {
		const struct tfs_super *sb = (const struct tfs_super *)s[i].block;
		u64 at = i ? (*size ? *size : f->dev->size & ~(u64)(TFS_BLOCK - 1)) - TFS_BLOCK : TFS_SUPER_OFFSET;

		s[i].why = slot_read(f, &s[i], at) ? "cannot be read" : tfs_super_check(s[i].block, 0);
		if (!s[i].why && !i && tfs_le64(sb->size) > f->dev->size) {
			tfs_cli_fail(0, f->image, "expected %llu bytes, as the volume says, found %llu: cut short",
			             (unsigned long long)tfs_le64(sb->size), (unsigned long long)f->dev->size);
			return -EINVAL;
		}
		if (!s[i].why && i && tfs_le64(sb->size) != at + TFS_BLOCK) /* of before it grew */
			s[i].why = "of a volume of another size";
		if (!s[i].why && good < 0) {
			good = i;
			*size = tfs_le64(sb->size);
			*volume = tfs_le64(sb->head.volume);
		}
	}
	if (good < 0)
		tfs_cli_fail(0, f->image, "expected a TFS superblock at byte %u or in the last block; found: %s; %s",
		             TFS_SUPER_OFFSET, s[0].why, s[1].why);
	return good < 0 ? -EINVAL : 0;
}

static int supers(struct fsck *f, const struct slot s[2])
{
	char object[64];
	int err = 0, good = s[0].why ? 1 : 0;

	for (int i = 0; !err && i < 2; i++) {
		snprintf(object, sizeof(object), "superblock at byte %llu", (unsigned long long)s[i].offset);
		if (s[i].why && fsck_problem(f, FSCK_SUPER_BAD, object, "expected a superblock, found: %s", s[i].why))
			err = slot_copy(f, &s[good], &s[i]);
	}
	if (!s[0].why && !s[1].why && memcmp(s[0].block, s[1].block, sizeof(struct tfs_super)) &&
	    fsck_problem(f, FSCK_SUPER_DIFFERS, "superblocks", "expected the same bytes at byte %llu as at byte %llu",
	                 (unsigned long long)s[1].offset, (unsigned long long)s[0].offset))
		err = slot_copy(f, &s[0], &s[1]);
	return err;
}

static bool zero(const u8 *block)
{
	for (u32 i = 0; i < TFS_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

static int anchor_pair(struct fsck *f, const struct slot s[2])
{
	static const struct slot nothing;
	char object[64];
	int err = 0;

	for (int i = 0; !err && i < 2; i++) {
		const struct slot *twin = s[1 - i].why ? &nothing : &s[1 - i];

		if (!s[i].why || zero(s[i].block))
			continue;
		snprintf(object, sizeof(object), "anchor slot at byte %llu", (unsigned long long)s[i].offset);
		if (fsck_problem(f, FSCK_ANCHOR_BAD, object, "expected an anchor, found: %s", s[i].why))
			err = slot_copy(f, twin, &s[i]);
	}
	return err;
}

static bool anchors_read(struct fsck *f, struct slot s[TFS_ANCHOR_SLOTS][2], u64 size, u64 volume)
{
	bool any = false;

	for (u32 n = 0; n < 2 * TFS_ANCHOR_SLOTS; n++) {
		struct slot *a = &s[n / 2][n % 2];
		u64 at = (n % 2 ? size - TFS_TAIL_SIZE : TFS_ANCHOR_OFFSET) + n / 2 * TFS_BLOCK;

		a->why = slot_read(f, a, at) ? "cannot be read" : tfs_anchor_check(a->block, volume);
		any |= !a->why;
	}
	return any;
}

int fsck_places(struct fsck *f)
{
	static struct slot super[2], anchor[TFS_ANCHOR_SLOTS][2];
	u64 size = 0, volume = 0;
	int err;

	tfs_progress_pass(&f->progress, "superblocks and anchors", 0);
	if (f->dev->size < TFS_MIN_VOLUME) {
		tfs_cli_fail(0, f->image, "expected %llu bytes or more, found %llu", TFS_MIN_VOLUME,
		             (unsigned long long)f->dev->size);
		return -EINVAL;
	}
	err = supers_find(f, super, &size, &volume);
	if (!err && !anchors_read(f, anchor, size, volume)) {
		tfs_cli_fail(0, f->image,
		             "expected an anchor of volume %016llx in one of 8 places, found: %s; nothing was changed",
		             (unsigned long long)volume, anchor[0][0].why);
		return -EINVAL;
	}
	if (!err)
		err = supers(f, super);
	for (u32 slot = 0; !err && slot < TFS_ANCHOR_SLOTS; slot++)
		err = anchor_pair(f, anchor[slot]);
	return err;
}
