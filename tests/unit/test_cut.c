// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Lines that a truncate or a punch takes away before they were sent: they lie in an orphan under the file's name and
 * generation until they arrived; the cursor passes a hole; and a copy without its truncate is none. The crash simulator
 * has the rest: that they are there after any crash.
 */
#include "tests/unit/ram.h"
#include "tfs/ship.h"

static u8 data[16 * TFS_BLOCK], back[16 * TFS_BLOCK];
static u64 rule, file;

static int begin(void **state)
{
	struct tfs_create c = {.mode = 0100644};

	(void)state;
	ram_format(64u << 20);
	assert_int_equal(tfs_ship_add(vol, TFS_INO_ROOT, "*.log", 5, "relp://c", 8, 0, &rule), 0);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "a.log", 5, &c, &file), 0);
	return 0;
}

static void put(u32 window, u8 byte, u64 size)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};

	memset(data, byte, sizeof(data));
	assert_int_equal(tfs_write(vol, file, window * 16, &e, size, NULL), 0);
}

/* The n-th that has something to send, of all that the rule holds for. */
static struct tfs_ship_file sent(u32 n)
{
	struct tfs_ship_file f = {0};
	u64 ino = 0;

	for (; !tfs_ship_file_next(vol, rule, &ino, 100, &f); ino = f.ino + 1)
		if (f.acked < f.size && !n--)
			return f;
	return (struct tfs_ship_file){0};
}

static void holds(const struct tfs_ship_file *f, u64 from, u8 byte, u32 n)
{
	assert_int_equal(tfs_read(vol, f->ino, from, back, n), n);
	memset(data, byte, n);
	assert_memory_equal(back, data, n);
}

/* logrotate's copytruncate: the file begins anew, the lines are sent as its own; an answer that was under way counts. */
static void test_truncate(void **state)
{
	struct tfs_ship_file f;

	(void)state;
	put(0, 'a', sizeof(data));
	put(1, 'b', 2 * sizeof(data) - 100);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, 5000), 0);
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	f = sent(0);
	assert_true(f.ino != file && f.origin == file && !f.generation && f.ended && !f.nlink);
	assert_true(f.acked == 5000 && f.size == 2 * sizeof(data) - 100);
	holds(&f, 4999, 'a', 4096);
	holds(&f, sizeof(data), 'b', sizeof(data) - 100);
	put(0, 'c', 4000);
	assert_int_equal(sent(1).ino, f.ino); /* the file is first */
	assert_int_equal(sent(0).generation, 1);
	ram_remount();
	assert_int_equal(tfs_ship_acked(vol, f.ino, rule, 0, 65000), 0); /* by where it was read */
	assert_int_equal(sent(1).acked, 65000);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, 70000), 0);
	assert_int_equal(sent(1).acked, 70000);
	assert_int_equal(sent(0).acked, 0);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 1, 4000), 0);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, f.size), 0);
	assert_int_equal(sent(0).ino, 0);
	assert_int_equal(ram_stat().kept_blocks, 0);
	assert_int_equal(ram_stat().lost_bytes, 0);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, f.size), -ESTALE);
}

/* All before the cut stays in the file, and what stands there alone. */
static void test_shortened(void **state)
{
	struct tfs_ship_file f;

	(void)state;
	put(0, 'a', sizeof(data));
	put(1, 'b', 2 * sizeof(data));
	assert_int_equal(tfs_truncate(vol, file, sizeof(data) + 10), 0);
	f = sent(0);
	assert_true(f.ino == file && f.size == sizeof(data) + 10 && !f.acked);
	f = sent(1);
	assert_true(f.origin == file && f.acked == sizeof(data) + 10 && f.size == 2 * sizeof(data));
	holds(&f, f.acked, 'b', sizeof(data) - 10);
}

/* Once more, and without the file: each generation has its own. */
static void test_twice(void **state)
{
	u64 ino;

	(void)state;
	put(0, 'a', sizeof(data));
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	put(0, 'b', 5000);
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "a.log", 5, false, &ino), 0);
	while (tfs_evict(vol, ino) > 0)
		;
	ram_remount();
	assert_true(sent(0).origin == file && sent(0).generation == 0 && sent(0).size == sizeof(data));
	assert_true(sent(1).origin == file && sent(1).generation == 1 && sent(1).size == 5000);
	assert_int_equal(sent(2).ino, 0);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 1, 5000), 0);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, sizeof(data)), 0);
	assert_int_equal(ram_stat().kept_blocks, 0);
}

/* The cursor goes behind the hole, whose zeros are no lines; what was not sent before it goes with what was in it. */
static void test_punch(void **state)
{
	struct tfs_ship_file f;

	(void)state;
	put(0, 'a', sizeof(data));
	put(1, 'b', 2 * sizeof(data));
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, 3 * TFS_BLOCK), 0);
	assert_int_equal(tfs_punch(vol, file, 0, 3), 0); /* all of it was sent */
	assert_int_equal(sent(0).generation, 0);
	assert_int_equal(tfs_punch(vol, file, 4, 8), 0);
	f = sent(0);
	assert_true(f.ino == file && f.acked == 12 * TFS_BLOCK && f.generation == 1);
	f = sent(1);
	assert_true(f.origin == file && f.acked == 3 * TFS_BLOCK && f.size == 12 * TFS_BLOCK && !f.generation);
	holds(&f, f.acked, 'a', 9 * TFS_BLOCK);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, 15 * TFS_BLOCK), 0); /* sent before the hole came */
	assert_int_equal(sent(1).ino, 0);
	assert_int_equal(ram_stat().lost_bytes, 0);
}

/* A crash between the copy and the truncate: nothing was cut off, and nothing is kept or sent twice. */
static void test_copy_alone(void **state)
{
	struct tfs_cut cut = {.to = TFS_FILE_SIZE_MAX};
	struct tfs_attr a;

	(void)state;
	put(0, 'a', sizeof(data));
	assert_int_equal(tfs_cut_begin(vol, file, false, &cut), 0);
	assert_true(cut.lines && cut.copy);
	assert_int_equal(sent(0).ino, file);
	assert_int_equal(sent(1).ino, 0);
	ram_remount();
	assert_int_equal(tfs_getattr(vol, cut.copy, &a), -ENOENT);
	assert_int_equal(ram_stat().kept_blocks, 0);
	assert_int_equal(sent(0).ino, file);
	cut = (struct tfs_cut){.to = TFS_FILE_SIZE_MAX};
	assert_int_equal(tfs_cut_begin(vol, file, false, &cut), 0);
	tfs_cut_end(vol, &cut, -EIO); /* the truncate failed */
	assert_int_equal(tfs_getattr(vol, cut.copy, &a), -ENOENT);
	assert_int_equal(ram_stat().lost_bytes, 0);
}

/* And it stays none: it is freed without a record, so a crash brings it back, when the file was truncated since. */
static void test_copy_back(void **state)
{
	struct tfs_cut cut = {.to = TFS_FILE_SIZE_MAX};
	struct tfs_mount_options o = {0};
	struct tfs_attr a;

	(void)state;
	put(0, 'a', sizeof(data));
	assert_int_equal(tfs_cut_begin(vol, file, false, &cut), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	tfs_cut_end(vol, &cut, -EIO);
	assert_int_equal(tfs_ship_acked(vol, file, rule, 0, 50000), 0);
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol);
	assert_int_equal(tfs_mount(&ram_dev, &ram_env, &o, &vol), 0);
	assert_int_equal(tfs_getattr(vol, cut.copy, &a), -ENOENT);
	assert_true(sent(0).origin == file && sent(0).acked == 50000);
	assert_int_equal(sent(1).ino, 0);
}

/* As much as of a file that is removed. */
static void test_limit(void **state)
{
	u64 limit = ram_stat().blocks / 100 * TFS_BLOCK, n;

	(void)state;
	for (n = 0; n < 20; n++)
		put((u32)n, 'a', (n + 1) * sizeof(data));
	assert_true(n * sizeof(data) > limit);
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	assert_int_equal(ram_stat().lost_bytes, n * sizeof(data) - limit);
	assert_int_equal(sent(0).acked, n * sizeof(data) - limit);
}

/* No space for the copy: the truncate succeeds, and what goes is counted. */
static void test_no_copy(void **state)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
	struct tfs_create c = {.mode = 0100644};
	u64 full, n = 0;

	(void)state;
	put(0, 'a', sizeof(data));
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "full", 4, &c, &full), 0);
	while (!tfs_write(vol, full, n * 16, &e, (n + 1) * sizeof(data), NULL))
		n++;
	for (e.blocks = 1, e.bytes = TFS_BLOCK, n *= 16; !tfs_write(vol, full, n, &e, (n + 1) * TFS_BLOCK, NULL);)
		n++;
	assert_int_equal(tfs_truncate(vol, file, 0), 0);
	assert_int_equal(ram_stat().lost_bytes, sizeof(data));
	assert_int_equal(sent(0).ino, 0);
	assert_int_equal(ram_stat().kept_blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_truncate, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_shortened, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_twice, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_punch, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_copy_alone, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_copy_back, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_limit, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_no_copy, begin, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
