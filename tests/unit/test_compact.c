// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The compactor: it gains whole segments, in steps that are bounded, and nothing that can be read changes: no byte, no
 * attribute. Places that a mapping names hold their content until the host was asked (env.quiesce). It survives a kill
 * in the middle, and fsck.tfs (beside this program) finds the volume sound.
 */
#include "tests/unit/ram.h"

#include <libgen.h>
#include <unistd.h>

#define SIZE (40u << 20)
#define FILES 24u
#define WINDOWS 30u
#define WINDOW 16u
#define STEP 32u

static struct file {
	u64 ino;
	struct tfs_attr attr;
	u32 crc, value_crc;
} files[FILES];
static u64 seed;

static u64 next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void put(u64 ino, u64 block, u32 blocks, bool dense)
{
	static u8 data[WINDOW * TFS_BLOCK], scratch[WINDOW * TFS_BLOCK];
	struct tfs_encoded e;
	u64 ends = (block + blocks) * TFS_BLOCK - 100; /* ends within a block */

	for (u32 i = 0; i < blocks * TFS_BLOCK; i += 8) {
		u64 r = dense || i % 40 == 0 ? next() : 0x6765732064616c6full;

		memcpy(data + i, &r, 8);
	}
	memset(data + blocks * TFS_BLOCK - 100, 0, 100);
	tfs_encode(TFS_CODEC_LZ4, 0, data, blocks, scratch, &e);
	assert_int_equal(tfs_write(vol, ino, block, &e, ends, NULL), 0);
}

static u32 content_crc(u64 ino)
{
	static u8 data[WINDOWS * WINDOW * TFS_BLOCK];
	s64 n = tfs_read(vol, ino, 0, data, sizeof(data));

	assert_true(n > 0);
	return tfs_port_crc32c(0, data, (size_t)n);
}

static u32 value_crc(u64 ino)
{
	static u8 value[TFS_XATTR_MAX];
	int n = tfs_getxattr(vol, ino, "user.big", 8, value, sizeof(value));

	assert_int_equal(n, 20000);
	return tfs_port_crc32c(0, value, (size_t)n);
}

/* Where the large values lie: their places summed. */
static u64 value_places(void)
{
	struct tfs_key k = {0, 0};
	struct tfs_ptr ptr;
	const void *v;
	u64 sum = 0;
	u32 len;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); k.b++)
		if (k.b >> TFS_POS_BITS == TFS_IT_XATTR && tfs_item_ptr(TFS_TREE_FS, k, v, &ptr))
			sum = sum * 31 + ptr.addr;
	return sum;
}

static struct tfs_spread spread(void)
{
	struct tfs_spread s = {0};

	assert_int_equal(tfs_spread_add(vol, 0, ~0ull, &s), 0);
	return s;
}

/* Files raw and compressed, in whole windows and in pieces, shared, with dirty tails, between holes. */
static void volume_age(void)
{
	struct tfs_create c = {.mode = 0100644};

	seed = 88172645463325252ull;
	for (u32 i = 0; i < FILES; i++) {
		char name[8];
		int n = snprintf(name, sizeof(name), "f%u", i);

		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)n, &c, &files[i].ino), 0);
	}
	for (u64 w = 0; w < WINDOWS; w++) {
		if (w < FILES) {
			static u8 value[20000];

			for (u32 i = 0; i < sizeof(value); i += 8)
				memcpy(value + i, (u64[]){next()}, 8);
			assert_int_equal(tfs_setxattr(vol, files[w].ino, "user.big", 8, value, sizeof(value), 0), 0);
		}
		for (u32 i = 0; i < FILES; i++)
			put(files[i].ino, w * WINDOW, WINDOW, i % 2);
	}
	for (u32 i = 0; i < FILES; i += 6)
		assert_int_equal(tfs_clone(vol, files[i + 2].ino, WINDOW, files[i].ino, WINDOW, WINDOW, 0, NULL), 0);
	for (u32 i = 0; i < FILES * WINDOWS * 4; i++)
		put(files[next() % FILES].ino, next() % (WINDOWS * WINDOW - 3), 1, i % 2);
	for (u32 i = 0; i < FILES; i += 4)
		assert_int_equal(tfs_truncate(vol, files[i].ino, (next() % (WINDOWS / 2) + 3) * 65536 + 700), 0);
	for (u32 i = 1; i < FILES; i += 4)
		for (u64 b = 0; b < WINDOWS * WINDOW; b += 1 + next() % 9)
			assert_int_equal(tfs_punch(vol, files[i].ino, b, 1 + next() % 7), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
}

static void files_note(void)
{
	for (u32 i = 0; i < FILES; i++) {
		assert_int_equal(tfs_getattr(vol, files[i].ino, &files[i].attr), 0);
		files[i].crc = content_crc(files[i].ino);
		files[i].value_crc = value_crc(files[i].ino);
	}
}

static void files_same(void)
{
	for (u32 i = 0; i < FILES; i++) {
		struct tfs_attr a;

		assert_int_equal(tfs_getattr(vol, files[i].ino, &a), 0);
		assert_memory_equal(&a, &files[i].attr, sizeof(a));
		assert_int_equal(content_crc(files[i].ino), files[i].crc);
		assert_int_equal(value_crc(files[i].ino), files[i].value_crc);
	}
}

/* fsck.tfs on what the device holds. */
static void fsck(void)
{
	char self[512] = {0}, image[] = "/tmp/test_compact.XXXXXX", command[1200];
	int fd = mkstemp(image);

	assert_true(fd >= 0);
	for (u32 at = 0; at < SIZE; at += 1u << 20)
		assert_int_equal(write(fd, ram + at, 1u << 20), 1 << 20);
	close(fd);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(command, sizeof(command), "%s/fsck.tfs -fn --data %s >/dev/null", dirname(self), image);
	assert_int_equal(system(command), 0);
	unlink(image);
}

static struct tfs_stat stat_now(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st;
}

static int step(u32 flags)
{
	u64 before = stat_now().moved_blocks;
	int err = tfs_compact_step(vol, STEP, flags);

	assert_true(err >= 0);
	/* the last may be a window, or a value of so many bytes that begins within a block */
	assert_true(stat_now().moved_blocks - before <= STEP + WINDOW + 1);
	return err;
}

static int setup(void **state)
{
	(void)state;
	ram_format(SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tfs_abandon(vol);
	ram_free();
	return 0;
}

/* ---- */

static void whole_segments_again(void **state)
{
	struct tfs_spread before, after;
	u64 places;

	(void)state;
	volume_age();
	files_note();
	before = spread();
	places = value_places();
	while (step(TFS_COMPACT_NOW))
		;
	files_same();
	assert_int_equal(tfs_checkpoint(vol), 0);
	after = spread();
	/* nearly all of the free space, of which little was whole */
	assert_true(before.whole_segments * 64 < before.free_blocks / 2);
	assert_true(after.whole_segments * 64 > after.free_blocks / 10 * 8);
	assert_true(stat_now().compact_emptied > 20);
	assert_int_not_equal(value_places(), places);
	files_same();
	assert_int_equal(tfs_unmount(vol), 0);
	fsck();
	ram_mount();
	files_same();
}

static void steps_and_work_between(void **state)
{
	(void)state;
	volume_age();
	files_note();
	for (u32 i = 0; i < 2000; i++) {
		struct file *f = &files[i % 3];

		step(i % 5 ? TFS_COMPACT_NOW : 0);
		put(f->ino, next() % (WINDOWS * WINDOW - 3), 1, true);
		if (i % 50 == 0)
			assert_int_equal(tfs_punch(vol, f->ino, next() % (WINDOWS * WINDOW), 20), 0);
		if (i % 100 == 0)
			assert_int_equal(tfs_sync(vol), 0);
		if (i % 300 == 299) { /* killed */
			assert_int_equal(tfs_sync(vol), 0);
			tfs_abandon(vol);
			ram_mount();
		}
		if (i % 3 == 0 && i % 20 == 0) {
			assert_int_equal(tfs_getattr(vol, f->ino, &f->attr), 0);
			f->crc = content_crc(f->ino);
		}
	}
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(tfs_getattr(vol, files[i].ino, &files[i].attr), 0);
		files[i].crc = content_crc(files[i].ino);
	}
	files_same();
	assert_int_equal(tfs_unmount(vol), 0);
	fsck();
	ram_mount();
	files_same();
}

/* ---- mappings ---- */

static struct tfs_map maps[FILES * 4];
static u32 mapped, asked;

static bool map_intact(const struct tfs_map *m)
{
	for (u32 i = 0; i < m->pieces; i++) {
		const struct tfs_map_piece *p = &m->piece[i];

		if (p->codec && tfs_port_crc32c(0, ram + p->addr * TFS_UNIT, p->units * TFS_UNIT) != p->crc)
			return false;
		for (u32 b = 0; !p->codec && b < p->blocks; b++)
			if (tfs_port_crc32c(0, ram + p->addr * TFS_UNIT + b * TFS_BLOCK, TFS_BLOCK) !=
			    m->crc[p->at + b])
				return false;
	}
	return true;
}

static void quiesce(void *ctx, u64 epoch)
{
	(void)ctx;
	for (u32 i = 0; i < mapped; i++)
		if (maps[i].pieces && maps[i].epoch <= epoch) {
			assert_true(map_intact(&maps[i]));
			maps[i].pieces = 0; /* the reader is through */
			asked++;
		}
}

static void mappings_hold(void **state)
{
	struct tfs_env env = ram_env;
	struct tfs_mount_options o = {0};

	(void)state;
	volume_age();
	assert_int_equal(tfs_unmount(vol), 0);
	env.quiesce = quiesce;
	assert_int_equal(tfs_mount(&ram_dev, &env, &o, &vol), 0);
	for (u32 i = 0; i < FILES; i++)
		for (u64 w = 0; w < 4; w++) {
			assert_int_equal(tfs_map(vol, files[i].ino, w * WINDOW, &maps[mapped]), 0);
			mapped += maps[mapped].direct && maps[mapped].pieces;
		}
	assert_true(mapped > FILES);
	while (step(TFS_COMPACT_NOW))
		;
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(asked, mapped);
}

/* With no flags it does what is cheap, and only as much as the volume was written to. */
static void automatic(void **state)
{
	u64 moved;

	(void)state;
	volume_age();
	while (step(0))
		;
	moved = stat_now().moved_blocks;
	assert_in_range(moved, 1, stat_now().user_blocks / 2 + stat_now().blocks / 16 + 128 * 128);
	for (u32 i = 0; i < 1000; i++)
		step(0);
	assert_int_equal(stat_now().moved_blocks, moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(whole_segments_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(steps_and_work_between, setup, teardown),
	    cmocka_unit_test_setup_teardown(mappings_hold, setup, teardown),
	    cmocka_unit_test_setup_teardown(automatic, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
