// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What statfs promises is what can be written: volumes of several sizes filled by one large file, by files of a block,
 * by compressed windows, and by overwriting what is there; promises (tfs_reserve) are kept to the last; and on a full
 * volume truncate, punch, unlink, checkpoint, mount and unmount work.
 */
#include "tests/unit/ram.h"

#define WINDOW 16u

static u64 seed = 88172645463325252ull;

static void noise(u8 *p, u32 bytes)
{
	for (u32 i = 0; i < bytes; i += 8) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		memcpy(p + i, &seed, 8);
	}
}

static u64 available(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.available;
}

static u64 file_make(const char *prefix, u32 i)
{
	struct tfs_create c = {.mode = 0100644};
	char name[24];
	u64 ino = 0;
	int n = snprintf(name, sizeof(name), "%s%u", prefix, i);

	return tfs_create(vol, TFS_INO_ROOT, name, (u32)n, &c, &ino) ? 0 : ino;
}

static int put(u64 ino, u64 block, u32 blocks)
{
	static u8 data[WINDOW * TFS_BLOCK];
	struct tfs_encoded e = {.blocks = blocks, .bytes = blocks * TFS_BLOCK, .buf = data};

	noise(data, blocks * TFS_BLOCK);
	return tfs_write(vol, ino, block, &e, (block + blocks) * TFS_BLOCK, NULL);
}

/* Within 2%. */
static void agrees(const char *what, u64 size, u64 said, u64 written)
{
	u64 differ = said > written ? said - written : written - said;

	if (differ * 50 > said)
		fail_msg("%s, %llu MiB: statfs said %llu blocks, %llu could be written", what,
		         (unsigned long long)(size >> 20), (unsigned long long)said, (unsigned long long)written);
}

static const u64 sizes[] = {16ull << 20, 24ull << 20, 64ull << 20, 200ull << 20, 1ull << 30};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void end(void)
{
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

/* From the start on, until there is no room for a block; how many. */
static u64 file_fill(u64 ino)
{
	u64 block = 0;

	for (u32 n = WINDOW; n; n /= 2)
		while (!put(ino, block, n))
			block += n;
	return block;
}

static void one_large_file(void **state)
{
	(void)state;
	for (u32 i = 0; i < SIZES; i++) {
		u64 said, ino;

		ram_format(sizes[i]);
		ino = file_make("f", 0);
		said = available();
		agrees("one file", sizes[i], said, file_fill(ino));
		end();
	}
}

/* Files of so many blocks until there is no room; how many. */
static u32 files_fill(const char *prefix, u32 blocks)
{
	u32 n = 0;

	for (;; n++) {
		u64 ino = file_make(prefix, n);

		if (!ino || put(ino, 0, blocks))
			return n;
	}
}

/* With a snapshot of a volume in use: what it holds is kept, and what is written over takes room of its own. */
static void with_snapshots(void **state)
{
	(void)state;
	for (u32 i = 0; i < SIZES; i++) {
		u64 said, ino;

		ram_format(sizes[i]);
		ino = file_make("f", 0);
		for (u64 block = 0; block < (sizes[i] >> 14); block += WINDOW)
			assert_int_equal(put(ino, block, WINDOW), 0);
		assert_int_equal(tfs_snapshot_create(vol, "s", 1, NULL), 0);
		said = available();
		agrees("a snapshot's file written over", sizes[i], said, file_fill(ino));
		assert_in_range(available(), 0, 4);
		end();
	}
}

/* Names and inodes take a place, too: statfs goes down with them, and is at its end when writing is. */
static void small_files(void **state)
{
	(void)state;
	for (u32 i = 0; i + 1 < SIZES; i++)
		for (u32 blocks = 1; blocks <= 3; blocks += 2) {
			u64 said, written;

			ram_format(sizes[i]);
			said = available();
			written = (u64)blocks * files_fill("s", blocks);
			if (written * 100 < said * 97)
				agrees("small files", sizes[i], said, written);
			agrees("small files, at the end", sizes[i], said, said - available());
			end();
		}
}

/* Every block that was promised can be written, whatever came between; then there is none left. */
static void promises(void **state)
{
	(void)state;
	for (u32 i = 0; i + 1 < SIZES; i++) {
		u64 ino, n = 0, k;

		ram_format(sizes[i]);
		ino = file_make("f", 0);
		while (!tfs_reserve(vol, WINDOW)) {
			n++;
			if (n % 8 == 0)
				file_make("other", (u32)n); /* may well fail */
		}
		files_fill("s", 1);
		assert_in_range(available(), 0, 4);
		for (k = 0; k < n; k++) {
			u64 at = k * 7 % n; /* in no order: an item each */

			for (u32 b = 0; b < WINDOW; b++)
				assert_int_equal(put(ino, at * WINDOW + (b * 5 + 3) % WINDOW, 1), 0);
			tfs_unreserve(vol, WINDOW);
		}
		end();
	}
}

static void gone(const char *prefix, u32 i)
{
	char name[24];
	u64 ino;
	int n = snprintf(name, sizeof(name), "%s%u", prefix, i);

	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)n, false, &ino), 0);
	while ((n = tfs_evict(vol, ino)) > 0)
		;
	assert_int_equal(n, 0);
}

/* Full to the last block, and all that frees space still works; in the end it is all there again. */
static void freeing(void **state)
{
	(void)state;
	for (u32 i = 0; i + 1 < SIZES; i++) {
		u64 ino, said, block = 0;
		u32 n;

		ram_format(sizes[i]);
		ino = file_make("f", 0);
		assert_int_equal(tfs_checkpoint(vol), 0);
		said = available();
		while (block * 2 < said && !put(ino, block, WINDOW))
			block += WINDOW;
		n = files_fill("s", 1);
		for (u64 b = 1; b < block; b += 2)
			assert_int_equal(tfs_punch(vol, ino, b, 1), 0);
		files_fill("t", 1); /* into the holes */
		assert_int_equal(tfs_checkpoint(vol), 0);
		assert_int_equal(tfs_unmount(vol), 0);
		ram_mount();
		assert_int_equal(tfs_truncate(vol, ino, block / 2 * TFS_BLOCK), 0);
		for (u32 k = 0; k < n; k++)
			gone("s", k);
		for (u32 k = 0; file_make("t", k) == 0; k++)
			gone("t", k);
		assert_int_equal(tfs_truncate(vol, ino, 0), 0);
		assert_int_equal(tfs_checkpoint(vol), 0);
		assert_int_equal(tfs_checkpoint(vol), 0);
		agrees("full and emptied", sizes[i], said, available());
		end();
	}
}

/* What is written over needs no more room than a checkpoint gives back: a full volume takes it for ever. */
static void overwriting(void **state)
{
	(void)state;
	ram_format(sizes[1]);
	{
		u64 ino = file_make("f", 0), blocks = 0;

		while (available() > 64 && !put(ino, blocks, WINDOW))
			blocks += WINDOW;
		for (u64 i = 0; i < 20 * blocks; i++) {
			noise((u8 *)&seed, 8);
			assert_int_equal(put(ino, seed % blocks, 1), 0);
			if (i % 16 == 0)
				assert_int_equal(tfs_sync(vol), 0);
		}
	}
	end();
}

/* Nodes that wait for a checkpoint take none of what fallocate promised, however many small files come meanwhile: each
 * fills a fifth of a leaf with what does not compress. */
static void promises_are_kept_beside_small_files(void **state)
{
	static u8 small[TFS_BLOCK];
	const u32 windows = 150u << 20 >> 16;
	u64 promised;
	u32 i = 0;
	int err;

	(void)state;
	ram_format(256u << 20);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount_with((struct tfs_mount_options){.flags = TFS_MOUNT_CHECKPOINTS}); /* and the host takes none */
	promised = file_make("p", 0);
	assert_int_equal(tfs_preallocate(vol, promised, 0, windows * WINDOW, 0), 0);
	do {
		struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = small};
		u64 ino = file_make("s", i++);

		noise(small, 3000);
		err = ino ? tfs_write(vol, ino, 0, &e, 3000, NULL) : -ENOSPC;
	} while (!err);
	assert_int_equal(err, -ENOSPC);
	for (i = 0; i < windows; i++)
		assert_int_equal(put(promised, i * WINDOW, WINDOW), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_large_file),
	    cmocka_unit_test(small_files),
	    cmocka_unit_test(promises),
	    cmocka_unit_test(freeing),
	    cmocka_unit_test(overwriting),
	    cmocka_unit_test(with_snapshots),
	    cmocka_unit_test_teardown(promises_are_kept_beside_small_files, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
