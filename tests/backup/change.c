// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Changes a volume without mounting it in a kernel, for tests of tfs-backup:
 *   bk-change IMAGE some SEED N          N random calls: files, names, contents raw and compressed, shared, xattrs
 *   bk-change IMAGE file NAME BLOCKS     a file of random blocks in the root
 *   bk-change IMAGE names COUNT SEED OLD   so many files with long names by this seed, and those of the old one go (0: none)
 *   bk-change IMAGE cut NAME             the file becomes empty
 *   bk-change IMAGE pages NAME N SEED    N random single blocks of it become others
 *   bk-change IMAGE every STEP OF SEED   of so many symlinks every STEPth is made, its owner becomes another
 *   bk-change IMAGE clone NAME OTHER BLOCKS   so many blocks of a file, shared by another one and by a third in part
 *   bk-change IMAGE drop SNAPSHOT        releases all holds and deletes (a name's beginning: all that begin so)
 *   bk-change IMAGE snapshot NAME
 */
#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"

#include <stdlib.h>

#define WINDOW 16u

static struct tfs_vol *vol;
static u64 state;

static u32 draw(u32 n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(state >> 33) % n;
}

static int check(int err, const char *what)
{
	if (err < 0) {
		tfs_cli_fail(1, what, "%s", strerror(-err));
		exit(1);
	}
	return err;
}

static u64 file_get(const char *name)
{
	struct tfs_create c = {.mode = 0100644};
	u64 ino;
	u8 type;
	int err = tfs_lookup(vol, TFS_INO_ROOT, name, (u32)strlen(name), &ino, &type);

	if (err == -ENOENT)
		err = tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino);
	check(err, name);
	return ino;
}

/* Random bytes, or text that compresses. */
static void fill(u8 *buf, size_t bytes, bool random)
{
	for (size_t i = 0; i < bytes; i++)
		buf[i] = random ? (u8)draw(256) : (u8) "backup "[(i / 3 + i % 5 + (i / 777) * draw(2)) % 7];
}

static void blocks_write(u64 ino, u64 block, u32 blocks, bool random)
{
	static u8 data[WINDOW * TFS_BLOCK], scratch[WINDOW * TFS_BLOCK];
	struct tfs_encoded e;

	fill(data, blocks * TFS_BLOCK, random);
	tfs_encode(random ? TFS_CODEC_NONE : TFS_CODEC_LZ4, 0, data, blocks, scratch, &e);
	check(tfs_write(vol, ino, block, &e, (block + blocks) * TFS_BLOCK, NULL), "write");
}

static void one(void)
{
	char name[16], other[16];
	u64 ino, victim = 0;

	snprintf(name, sizeof(name), "f%u", draw(40));
	snprintf(other, sizeof(other), "f%u", draw(40));
	ino = file_get(name);
	switch (draw(8)) {
	case 0:
	case 1:
	case 2: {
		u32 at = draw(64), in = at % WINDOW;

		blocks_write(ino, at, 1 + draw(WINDOW - in), draw(2));
		break;
	}
	case 3:
		check(tfs_truncate(vol, ino, draw(200000)), "truncate");
		break;
	case 4:
		check(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &victim), "unlink");
		break;
	case 5:
		if (strcmp(name, other))
			check(tfs_rename(vol, TFS_INO_ROOT, name, (u32)strlen(name), TFS_INO_ROOT, other,
			                 (u32)strlen(other), 0, &victim),
			      "rename");
		break;
	case 6: {
		static u8 value[9000];

		fill(value, sizeof(value), true);
		check(tfs_setxattr(vol, ino, "user.x", 6, value, 1 + draw(sizeof(value)), 0), "setxattr");
		break;
	}
	case 7: { /* a window shares another's extent; what cannot be shared is left */
		u64 to = file_get(other), at = draw(4) * WINDOW;

		blocks_write(ino, 0, WINDOW, false);
		if (to != ino)
			(void)tfs_clone(vol, ino, 0, to, at, WINDOW, (at + WINDOW) * TFS_BLOCK, NULL);
	}
	}
	while (victim && check(tfs_evict(vol, victim), "evict"))
		;
}

/* Of what lies side by side in leaves, one here and there changes: the rest stays where it is. They do not compress. */
static void every(u32 step, u32 of)
{
	char name[16], target[200];
	u64 ino;
	u8 type;

	for (u32 i = 0; i < of; i += step) {
		struct tfs_create c = {.mode = 0120777, .target = target, .target_len = sizeof(target)};
		struct tfs_attr a = {.uid = draw(60000)};

		snprintf(name, sizeof(name), "%08u", i);
		if (tfs_lookup(vol, TFS_INO_ROOT, name, (u32)strlen(name), &ino, &type)) {
			for (u32 t = 0; t < sizeof(target); t++)
				target[t] = (char)(1 + draw(255));
			check(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), name);
		}
		check(tfs_setattr(vol, ino, TFS_SET_UID, &a), name);
	}
}

static void long_name(char name[200], u64 seed, u32 i)
{
	state = seed << 32 | i;
	for (u32 n = 0; n < 200; n++)
		name[n] = (char)('0' + draw(70));
}

/* A directory whose leaves do not compress; what had those of another seed goes. */
static void names(u32 count, u64 seed, u64 old)
{
	struct tfs_create c = {.mode = 0100644};
	char name[200];
	u64 ino;

	for (u32 i = 0; i < count; i++) {
		long_name(name, seed, i);
		check(tfs_create(vol, TFS_INO_ROOT, name, sizeof(name), &c, &ino), "create");
		long_name(name, old, i);
		if (!old)
			continue;
		check(tfs_unlink(vol, TFS_INO_ROOT, name, sizeof(name), false, &ino), "unlink");
		while (check(tfs_evict(vol, ino), "evict"))
			;
	}
}

static void clone(const char *name, const char *other, u32 blocks)
{
	u64 from = file_get(name), to = file_get(other), part = file_get("part");

	for (u32 b = 0; b < blocks; b += WINDOW) {
		u32 n = blocks - b < WINDOW ? blocks - b : WINDOW;

		check(tfs_clone(vol, from, b, to, b, n, (u64)(b + n) * TFS_BLOCK, NULL), "clone");
		if (n == WINDOW) /* the items of REFS are cut in the middle */
			check(tfs_clone(vol, to, b + 3, part, b + 5, 7, (u64)(b + 12) * TFS_BLOCK, NULL), "clone");
	}
}

static void drop(const char *name)
{
	struct tfs_snapshot_info i;

	for (u64 epoch = 0; !tfs_snapshot_next(vol, &epoch, &i); epoch++) {
		if (i.dying || strncmp(i.name, name, strlen(name)))
			continue;
		for (u32 h = 0; h < i.holds; h++)
			check(tfs_snapshot_hold(vol, epoch, false), "release");
		check(tfs_snapshot_delete(vol, epoch), "delete");
		while (check(tfs_snapshot_step(vol), "step"))
			;
	}
}

int main(int argc, char **argv)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = tfs_user_env();
	static struct tfs_file_dev dev;

	tfs_cli_start("bk-change");
	if (argc < 4)
		return tfs_cli_fail(1, NULL, "expected IMAGE, what, and arguments");
	check(tfs_file_dev_open(&dev, argv[1], 0, true, 0), argv[1]);
	check(tfs_mount(&dev.dev, &env, &opt, &vol), "mount");
	if (!strcmp(argv[2], "some") && argc == 5) {
		state = strtoull(argv[3], NULL, 0);
		for (int n = atoi(argv[4]); n--;)
			one();
	} else if (!strcmp(argv[2], "file") && argc == 5) {
		u64 ino = file_get(argv[3]);

		state = 1;
		for (u32 b = 0, n = (u32)atoi(argv[4]); b < n; b += WINDOW)
			blocks_write(ino, b, n - b < WINDOW ? n - b : WINDOW, true);
	} else if (!strcmp(argv[2], "pages") && argc == 6) {
		u64 ino = file_get(argv[3]);
		struct tfs_attr a;

		check(tfs_getattr(vol, ino, &a), argv[3]);
		state = strtoull(argv[5], NULL, 0);
		for (int n = atoi(argv[4]); n--;)
			blocks_write(ino, draw((u32)(a.size / TFS_BLOCK)), 1, true);
	} else if (!strcmp(argv[2], "every") && argc == 6) {
		state = strtoull(argv[5], NULL, 0);
		every((u32)atoi(argv[3]), (u32)atoi(argv[4]));
	} else if (!strcmp(argv[2], "names") && argc == 6) {
		names((u32)atoi(argv[3]), strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
	} else if (!strcmp(argv[2], "cut")) {
		check(tfs_truncate(vol, file_get(argv[3]), 0), "truncate");
	} else if (!strcmp(argv[2], "clone") && argc == 6) {
		clone(argv[3], argv[4], (u32)atoi(argv[5]));
	} else if (!strcmp(argv[2], "drop")) {
		drop(argv[3]);
	} else if (!strcmp(argv[2], "snapshot")) {
		check(tfs_snapshot_create(vol, argv[3], (u32)strlen(argv[3]), NULL), "snapshot");
	} else {
		return tfs_cli_fail(1, argv[2], "unknown");
	}
	check(tfs_unmount(vol), "unmount");
	return tfs_file_dev_close(&dev) ? 1 : 0;
}
