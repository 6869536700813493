// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Defragmentation: what lies scattered comes to lie in one place a window, and nothing that can be read changes, live and
 * after a crash; what snapshots hold, what is shared and what is compressed stays where it is; without a hole of that
 * length nothing is moved, and little read; counting alone moves nothing.
 */
#include "tests/unit/ram.h"

#define WINDOWS 40u
#define WINDOW 16u
#define BLOCKS (WINDOWS * WINDOW)

static u64 ino, other;
static u32 crc;
static struct tfs_attr attr;

static void put(u64 to, u64 block, u32 blocks, u32 tag, int codec)
{
	static u8 data[WINDOW * TFS_BLOCK], scratch[WINDOW * TFS_BLOCK];
	struct tfs_encoded e;

	for (u32 i = 0; i < blocks * TFS_BLOCK; i += 8)
		memcpy(data + i, (u64[]){codec ? tag : (block * TFS_BLOCK + i) * 0x9e3779b97f4a7c15ull ^ tag}, 8);
	tfs_encode(codec, 0, data, blocks, scratch, &e);
	assert_int_equal(tfs_write(vol, to, block, &e, (block + blocks) * TFS_BLOCK - 7, NULL), 0);
}

static u32 content(u64 of)
{
	static u8 data[BLOCKS * TFS_BLOCK];
	s64 n = tfs_read(vol, of, 0, data, sizeof(data));

	assert_true(n > 0);
	return tfs_port_crc32c(0, data, (size_t)n);
}

/* Places of a window on the device. */
static u32 places(u64 of, u64 window)
{
	struct tfs_map m;
	u32 n = 0;

	assert_int_equal(tfs_map(vol, of, window * WINDOW, &m), 0);
	for (u32 i = 0; i < m.pieces; i++)
		n += !i || m.piece[i - 1].addr + m.piece[i - 1].units != m.piece[i].addr;
	return n;
}

static void note(void)
{
	crc = content(ino);
	assert_int_equal(tfs_getattr(vol, ino, &attr), 0);
}

static void same(void)
{
	struct tfs_attr a;

	assert_int_equal(content(ino), crc);
	assert_int_equal(tfs_getattr(vol, ino, &a), 0);
	assert_memory_equal(&a, &attr, sizeof(a));
}

/* A file whose blocks were written one by one in no order. */
static int setup(void **state)
{
	struct tfs_create c = {.mode = 0100644};

	(void)state;
	ram_format(32u << 20);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "f", 1, &c, &ino), 0);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "g", 1, &c, &other), 0);
	for (u64 i = 0; i < BLOCKS; i++)
		put(ino, i * 263 % BLOCKS, 1, 0, TFS_CODEC_NONE);
	assert_int_equal(tfs_checkpoint(vol), 0);
	for (u32 w = 0; w < WINDOWS; w++)
		assert_in_range(places(ino, w), 2, WINDOW);
	note();
	return 0;
}

static struct tfs_defrag defrag(u64 from, u64 last, u32 least, bool look)
{
	struct tfs_defrag d = {.ino = from, .last = last, .places = least, .look = look};
	int err;

	while ((err = tfs_defrag_step(vol, &d, 64)) > 0)
		;
	assert_int_equal(err, 0);
	return d;
}

static void test_joins(void **state)
{
	struct tfs_defrag d = defrag(1, TFS_INO_MAX, 2, true);
	struct tfs_stat st;
	u64 sequence, dirty;

	(void)state;
	assert_int_equal(d.windows, WINDOWS);
	assert_int_equal(d.scattered, WINDOWS);
	assert_int_equal(d.joined + d.moved, 0);
	assert_in_range(places(ino, 3), 2, WINDOW);
	d = defrag(1, TFS_INO_MAX, 2, false);
	assert_int_equal(d.joined, WINDOWS);
	assert_int_equal(d.moved, BLOCKS);
	for (u32 w = 0; w < WINDOWS; w++)
		assert_int_equal(places(ino, w), 1);
	same();
	tfs_statfs(vol, &st);
	sequence = tfs_sequence(vol);
	d = defrag(1, TFS_INO_MAX, 2, false); /* nothing is left to do, and no node is changed for that */
	assert_int_equal(d.scattered + d.moved + d.lacking, 0);
	assert_int_equal(tfs_sequence(vol), sequence);
	dirty = st.dirty_nodes;
	tfs_statfs(vol, &st);
	assert_int_equal(st.dirty_nodes, dirty);
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol);
	ram_mount();
	same();
	assert_int_equal(places(ino, 7), 1);
}

/* A hole in the file parts what may be joined; a bounded step; one inode among others; from so many places on. */
static void test_parts(void **state)
{
	struct tfs_defrag d = {.ino = ino, .last = ino, .places = 2};

	(void)state;
	for (u64 i = 0; i < BLOCKS; i++)
		put(other, i * 263 % BLOCKS, 1, 1, TFS_CODEC_NONE);
	assert_int_equal(tfs_punch(vol, ino, 5, 3), 0);
	note();
	assert_int_equal(tfs_defrag_step(vol, &d, 20), 1);
	assert_in_range(d.windows, 1, 2);
	assert_in_range(d.moved, 1, 20 + WINDOW);
	assert_int_equal(defrag(ino, ino, 2, false).windows, WINDOWS);
	assert_in_range(places(ino, 0), 1, 2); /* two rows, which may touch */
	assert_int_equal(places(ino, 1), 1);
	assert_in_range(places(other, 1), 2, WINDOW);
	same();
	put(ino, WINDOW, 1, 2, TFS_CODEC_NONE); /* in two places now */
	note();
	assert_int_equal(defrag(ino, ino, 3, false).joined, 0);
	assert_int_equal(defrag(ino, ino, 2, false).joined, 1);
	same();
}

static void test_stays(void **state)
{
	struct tfs_defrag d;
	u32 others;
	u64 epoch;

	(void)state;
	put(ino, 2 * WINDOW, WINDOW, 5, TFS_CODEC_LZ4);
	put(ino, 2 * WINDOW + 4, 1, 6, TFS_CODEC_LZ4); /* in the middle of what is compressed */
	assert_int_equal(tfs_clone(vol, ino, WINDOW, other, WINDOW, WINDOW, 2 * WINDOW * TFS_BLOCK, NULL), 0);
	others = content(other);
	note();
	d = defrag(1, TFS_INO_MAX, 2, false);
	assert_int_equal(d.joined, WINDOWS - 2);
	assert_int_equal(d.lacking, 0);             /* what stays for other reasons lacks no hole */
	assert_in_range(places(ino, 1), 2, WINDOW); /* shared */
	assert_int_equal(content(other), others);
	same();
	for (u64 i = 0; i < BLOCKS; i += 2)
		put(ino, i * 263 % BLOCKS, 1, 9, TFS_CODEC_NONE);
	note();
	assert_int_equal(tfs_snapshot_create(vol, "s", 1, &epoch), 0);
	d = defrag(1, TFS_INO_MAX, 2, false);
	assert_int_equal(d.moved + d.lacking, 0);
	assert_int_equal(tfs_snapshot_delete(vol, epoch), 0);
	while (tfs_snapshot_step(vol) > 0)
		;
	assert_in_range(defrag(1, TFS_INO_MAX, 2, false).joined, WINDOWS / 2, WINDOWS);
	same();
}

/* Free space in single blocks: nothing is moved, and most windows are not read for that. */
static void test_no_hole(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	struct tfs_defrag d;
	u32 whole = 0;
	u64 fill, n = 0, before;
	struct tfs_stat st;

	(void)state;
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "fill", 4, &c, &fill), 0);
	for (int err = 0; !err; n += !err) {
		static u8 data[TFS_BLOCK];
		struct tfs_encoded e;

		memset(data, (int)n, sizeof(data));
		tfs_encode(TFS_CODEC_NONE, 0, data, 1, data, &e);
		err = tfs_write(vol, fill, n, &e, (n + 1) * TFS_BLOCK, NULL);
	}
	for (u64 i = 0; i + 1 < n; i += 2)
		assert_int_equal(tfs_punch(vol, fill, i, 1), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	tfs_statfs(vol, &st);
	assert_in_range(st.free, BLOCKS, ~0ull); /* room enough, in pieces */
	d = defrag(1, ino, 2, false);            /* what the reserve has in one piece is used up */
	for (u32 w = 0; w < WINDOWS; w++)
		whole += places(ino, w) == 1;
	assert_int_equal(whole, d.joined); /* all of a window, or nothing */
	before = ram_read;
	d = defrag(1, ino, 2, false);
	assert_int_equal(d.moved, 0);
	assert_in_range(d.lacking, 1, WINDOWS);
	assert_int_equal(d.lacking, d.scattered);
	assert_in_range(ram_read - before, 0, 2 * WINDOW * TFS_BLOCK);
	same();
}

/* A step is bounded also where there is nothing to join. */
static void test_empty(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	struct tfs_defrag d = {.ino = 1, .last = TFS_INO_MAX, .places = 2};
	u32 steps = 0;
	u64 last;
	int err;

	(void)state;
	for (u32 i = 0; i < 2000; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "e%u", i);

		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)n, &c, &last), 0);
	}
	for (u64 at = d.ino; (err = tfs_defrag_step(vol, &d, 4)) > 0; at = d.ino, steps++)
		assert_in_range(d.ino, at, at + 4 * WINDOW);
	assert_int_equal(err, 0);
	assert_in_range(steps, 2000 / (4 * WINDOW), 2000);
	assert_int_equal(d.joined, WINDOWS);
	d = (struct tfs_defrag){.ino = last, .last = last, .places = 2}; /* the last one asked for has nothing */
	assert_int_equal(tfs_defrag_step(vol, &d, 1), 0);
	assert_int_equal(d.ino, last);
	same();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_joins, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_parts, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_stays, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_no_hole, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_empty, setup, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
