// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The volumes that fuzzed input is laid over, made by real operations when a target starts: no binary file in the
 * repository, and a change of the format changes them with it. The same every time. Small, so that an input's patches
 * hit something; with an item of every type, an FS tree of two levels, compressed and raw extents, an orphan.
 */
#include "fuzz/items.h"

bool fuzz_snapshots;

int fuzz_mount(u32 flags, struct tfs_vol **vol)
{
	struct tfs_mount_options opt = {.flags = flags};

	return tfs_mount(&fuzz_dev, &fuzz_env, &opt, vol);
}

void fuzz_base_empty(void)
{
	struct tfs_format_options opt = {.size = FUZZ_SIZE, .codec = TFS_CODEC_LZ4, .uuid = "fuzz", .label = "fuzz"};
	struct tfs_vol *vol;

	fuzz_ram_zero();
	FUZZ_CHECK(!tfs_format(&fuzz_dev, &fuzz_env, &opt, &vol), "base: format failed");
	FUZZ_CHECK(!tfs_format_finish(vol, 0), "base: format did not finish");
	FUZZ_CHECK(!tfs_unmount(vol), "base: unmount failed");
	fuzz_ram_keep();
}

static u64 make(struct tfs_vol *vol, u64 dir, const char *name, u32 mode)
{
	struct tfs_create c = {.mode = mode, .uid = 1, .gid = 2, .rdev_major = 3, .rdev_minor = 4};
	u64 ino;

	if ((mode & 0170000) == 0120000) {
		c.target = "../some/where/else";
		c.target_len = 18;
	}
	FUZZ_CHECK(!tfs_create(vol, dir, name, (u32)strlen(name), &c, &ino), "base: create %s failed", name);
	return ino;
}

static void fill_data(struct tfs_vol *vol, u64 dir)
{
	u64 f = make(vol, dir, "packed", 0100644), r = make(vol, dir, "raw", 0100600),
	    s = make(vol, dir, "sparse", 0100644);
	u64 i = make(vol, dir, "inline", 0100644);
	int err;

	err = fuzz_write(vol, f, 0, 16, 70000, TFS_CODEC_LZ4, 3) | fuzz_write(vol, f, 16, 2, 70000, TFS_CODEC_ZLIB, 6) |
	      fuzz_write(vol, f, 4, 3, 70000, TFS_CODEC_NONE, 1);
	err |=
	    fuzz_write(vol, r, 0, 16, 65536, TFS_CODEC_NONE, 1) | fuzz_write(vol, r, 16, 3, 77000, TFS_CODEC_NONE, 4);
	err |= tfs_punch(vol, r, 2, 1) | tfs_truncate(vol, r, 76000);
	err |= fuzz_write(vol, s, 40, 1, 41 * 4096, TFS_CODEC_NONE, 1) | tfs_preallocate(vol, s, 2, 30, 0);
	err |= fuzz_write(vol, i, 0, 1, 100, TFS_CODEC_NONE, 3);
	FUZZ_CHECK(!err, "base: writing failed");
}

static void fill_names(struct tfs_vol *vol)
{
	static char big[4096];
	u64 d = make(vol, 1, "dir", 0040755), e = make(vol, d, "sub", 0040700), f, n, ino;
	char name[64];
	int err = 0;

	make(vol, d, "link", 0120777);
	make(vol, d, "null", 0020666);
	make(vol, d, "fifo", 0010600);
	f = make(vol, e, "file", 0100644);
	for (n = 0; n < 4; n++) { /* long targets: a second leaf with few inodes */
		struct tfs_create c = {.mode = 0120777, .target = big, .target_len = 3900};

		memset(name, 'a' + (int)n, sizeof(name));
		memset(big, 't' + (int)n, sizeof(big));
		FUZZ_CHECK(!tfs_create(vol, e, name, 30, &c, &ino), "base: long link failed");
	}
	memset(big, 'v', sizeof(big));
	err = tfs_link(vol, f, 1, "hard", 4) | tfs_setxattr(vol, f, "user.a", 6, "value", 5, 0);
	err |= tfs_setxattr(vol, f, "user.big", 8, big, 3000, 0) | tfs_setxattr(vol, d, "trusted.x", 9, "", 0, 0);
	FUZZ_CHECK(!err, "base: links and xattrs failed");
	fill_data(vol, d);
}

/* A punch of many extents leaves its rest pending; only the item is wanted, so the volume is abandoned in between. */
static void fill_orphan(struct tfs_vol *vol)
{
	struct tfs_create c = {.mode = 0100600};
	u64 t;

	FUZZ_CHECK(!tfs_create(vol, 1, "", 0, &c, &t) && !fuzz_write(vol, t, 0, 2, 8192, TFS_CODEC_NONE, 1),
	           "base: orphan failed");
}

/* Who shares what "packed" holds: two extents, one of them cut in pieces. Last, so that nothing else moves. */
static void fill_shared(struct tfs_vol *vol)
{
	u64 dir, packed, raw, twin;
	u8 type;
	int err = tfs_lookup(vol, 1, "dir", 3, &dir, &type) | tfs_lookup(vol, dir, "packed", 6, &packed, &type) |
	          tfs_lookup(vol, dir, "raw", 3, &raw, &type);

	FUZZ_CHECK(!err, "base: packed is not there");
	twin = make(vol, dir, "twin", 0100644);
	err = tfs_clone(vol, packed, 0, twin, 0, 4, 70000, NULL) | tfs_clone(vol, packed, 16, twin, 16, 2, 70000, NULL);
	err |= tfs_clone(vol, packed, 7, twin, 39, 9, 48 * TFS_BLOCK, NULL);
	err |= tfs_clone(vol, raw, 2, twin, 52, 5, 60 * TFS_BLOCK, NULL) |
	       tfs_clone(vol, raw, 4, twin, 57, 2, 60 * TFS_BLOCK, NULL);
	FUZZ_CHECK(!err, "base: cloning failed");
}

/* Two snapshots, a deadlist of each and one of both. */
static void fill_snapshots(struct tfs_vol *vol)
{
	u64 dir, raw;
	u8 type;
	int err = tfs_lookup(vol, 1, "dir", 3, &dir, &type) | tfs_lookup(vol, dir, "raw", 3, &raw, &type);
	u32 n;

	for (n = 0; n < 3; n++) {
		err |= fuzz_write(vol, raw, n * 4, 6, 76000, TFS_CODEC_NONE, n) | tfs_punch(vol, raw, 16 + n, 1);
		if (n < 2)
			err |= tfs_snapshot_create(vol, n ? "two" : "one", 3, NULL);
	}
	FUZZ_CHECK(!err, "base: snapshots failed");
}

void fuzz_base_filled(void)
{
	struct tfs_vol *vol;

	fuzz_base_empty();
	fuzz_compress = false;
	FUZZ_CHECK(!fuzz_mount(0, &vol), "base: mount failed");
	fill_names(vol);
	fill_orphan(vol);
	fill_shared(vol);
	if (fuzz_snapshots)
		fill_snapshots(vol);
	FUZZ_CHECK(!tfs_unmount(vol), "base: unmount failed");
	fuzz_end();
	fuzz_ram_keep();
}

/*
 * One file, inode 2, over the whole volume, then every other block of it free, until no four free blocks lie together:
 * what is placed then becomes gangs.
 */
void fuzz_base_full(void)
{
	u64 block = 0, first, b;
	struct tfs_vol *vol;
	u32 round;

	fuzz_base_empty();
	FUZZ_CHECK(!fuzz_mount(0, &vol), "base: mount failed");
	make(vol, 1, "file", 0100644);
	for (round = 0; round < 6; round++) {
		for (first = block; !fuzz_write(vol, 2, block, 16, (block + 16) * TFS_BLOCK, TFS_CODEC_NONE, 1);
		     block += 16)
			;
		for (b = first; b < block; b += 2)
			FUZZ_CHECK(!tfs_punch(vol, 2, b, 1), "base: punch failed");
		FUZZ_CHECK(!tfs_checkpoint(vol), "base: checkpoint failed");
	}
	FUZZ_CHECK(!tfs_unmount(vol), "base: unmount failed");
	fuzz_end();
	fuzz_ram_keep();
}

/* Long links in directory 2, so many that the root of the FS tree is almost full: a few more leaves split index nodes.
 */
void fuzz_base_wide(void)
{
	struct tfs_create c = {.mode = 0120777, .target_len = 4000};
	static char target[4096];
	struct tfs_vol *vol;
	char name[8];
	u64 n, ino;

	fuzz_base_empty();
	fuzz_compress = true;
	FUZZ_CHECK(!fuzz_mount(0, &vol), "base: mount failed");
	make(vol, 1, "dir", 0040755);
	memset(target, 't', sizeof(target));
	c.target = target;
	for (n = 0; n < FUZZ_WIDE; n++) {
		memcpy(name, "h0000", 6);
		name[1] = (char)('0' + n / 1000);
		name[2] = (char)('0' + n / 100 % 10);
		name[3] = (char)('0' + n / 10 % 10);
		name[4] = (char)('0' + n % 10);
		FUZZ_CHECK(!tfs_create(vol, 2, name, 5, &c, &ino), "base: link failed");
	}
	FUZZ_CHECK(!tfs_unmount(vol), "base: unmount failed");
	fuzz_end();
	fuzz_ram_keep();
}

void fuzz_base_logging(void)
{
	struct tfs_vol *vol;

	fuzz_base_filled();
	FUZZ_CHECK(!fuzz_mount(0, &vol), "base: mount failed");
	tfs_abandon(vol);
	fuzz_end();
	fuzz_ram_keep();
}

const u32 *fuzz_base_used(u32 *count)
{
	static u32 used[FUZZ_PAGES];
	u32 p, i;

	for (*count = p = 0; p < FUZZ_PAGES; p++) {
		const u8 *b = fuzz_ram_look(p);

		for (i = 0; i < TFS_BLOCK && !b[i]; i++)
			;
		if (i < TFS_BLOCK)
			used[(*count)++] = p;
	}
	return used;
}

void fuzz_anchor(struct tfs_anchor *anchor, struct tfs_super *super)
{
	FUZZ_CHECK(!tfs_probe(&fuzz_dev, &fuzz_env, super, anchor), "base: no superblock or anchor");
}

void fuzz_base_small(void)
{
	struct tfs_vol *vol;
	u64 d;
	int err;

	fuzz_base_empty();
	fuzz_compress = false;
	FUZZ_CHECK(!fuzz_mount(0, &vol), "base: mount failed");
	d = make(vol, 1, "d", 0040755);
	make(vol, d, "l", 0120777);
	err = tfs_setxattr(vol, d, "user.a", 6, "value", 5, 0);
	FUZZ_CHECK(!err, "base: xattr failed");
	fill_data(vol, d);
	fill_orphan(vol);
	FUZZ_CHECK(!tfs_unmount(vol), "base: unmount failed");
	fuzz_end();
	fuzz_ram_keep();
}

struct tfs_ptr fuzz_root(int tree)
{
	struct tfs_anchor anchor;
	struct tfs_super super;
	const struct tfs_checkpoint *cp;

	fuzz_anchor(&anchor, &super);
	cp = (const struct tfs_checkpoint *)fuzz_ram_look((u32)(tfs_le64(anchor.checkpoint.addr) / 8));
	return (struct tfs_ptr){.addr = tfs_le64(cp->root[tree].addr),
	                        .birth = tfs_le64(cp->root[tree].birth),
	                        .crc = tfs_le32(cp->root[tree].crc),
	                        .len = tfs_le16(cp->root[tree].len)};
}
