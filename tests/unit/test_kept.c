// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is kept of files that were removed with lines unsent, at its limits: so much of a file, so much of a volume, and
 * nothing when space is short. The crash simulator has the rest: that what is kept is there after any crash.
 */
#include "tests/unit/ram.h"

static u8 data[16 * TFS_BLOCK];
static u64 rule;

static int begin(void **state)
{
	(void)state;
	ram_format(64u << 20);
	assert_int_equal(tfs_ship_add(vol, TFS_INO_ROOT, "*.log", 5, "relp://c", 8, 0, &rule), 0);
	return 0;
}

static u64 make(const char *name, u32 windows)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
	struct tfs_create c = {.mode = 0100644};
	u64 ino;
	u32 w;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (w = 0; w < windows; w++) {
		memset(data, 'a' + (int)w % 26, sizeof(data));
		assert_int_equal(tfs_write(vol, ino, w * 16, &e, (w + 1) * sizeof(data), NULL), 0);
	}
	return ino;
}

static void removed(const char *name)
{
	u64 ino;

	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &ino), 0);
	while (tfs_evict(vol, ino) > 0)
		;
}

static bool there(u64 ino)
{
	struct tfs_attr a;

	return !tfs_getattr(vol, ino, &a);
}

/* Not what no rule names; until it arrived; over a mount; and no longer than its rule. */
static void test_until(void **state)
{
	u64 plain = make("plain", 2), a = make("a.log", 2), b = make("b.log", 2), ino = 0;
	struct tfs_ship_file f;

	(void)state;
	removed("plain");
	removed("a.log");
	removed("b.log");
	assert_false(there(plain));
	assert_true(there(a) && there(b));
	assert_int_equal(ram_stat().kept_blocks, 64);
	assert_int_equal(tfs_ship_file_next(vol, rule, &ino, 100, &f), 0);
	assert_true(f.ino == a && !f.nlink && f.ended && f.size == 2 * sizeof(data));
	assert_int_equal(tfs_ship_acked(vol, a, rule, f.generation, f.size - 1), 0);
	assert_true(there(a));
	ram_remount();
	assert_true(there(a) && there(b));
	assert_int_equal(tfs_ship_acked(vol, a, rule, f.generation, f.size), 0);
	assert_false(there(a));
	assert_int_equal(tfs_ship_remove(vol, rule), 0);
	assert_false(there(b));
	assert_int_equal(ram_stat().kept_blocks, 0);
	assert_int_equal(ram_stat().lost_bytes, 0);
}

/* Of a long one the end, and the space before that comes free; of several as many of the newest as there is room for. */
static void test_limits(void **state)
{
	u64 limit, a, b, c, acked, before;
	u32 generation;
	u8 byte;

	(void)state;
	limit = ram_stat().blocks / 100 * TFS_BLOCK;
	assert_int_equal(tfs_checkpoint(vol), 0);
	before = ram_stat().free;
	a = make("a.log", 40);
	removed("a.log");
	assert_int_equal(tfs_ship_state(vol, a, rule, &generation, &acked), 0);
	assert_int_equal(acked, 40 * sizeof(data) - limit);
	assert_int_equal(ram_stat().lost_bytes, acked);
	assert_int_equal(tfs_read(vol, a, acked, &byte, 1), 1);
	assert_int_equal(byte, 'a' + (int)(acked / sizeof(data)) % 26);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_true(before - ram_stat().free < limit / TFS_BLOCK + 40);
	b = make("b.log", 5);
	c = make("c.log", 3);
	removed("b.log"); /* with it there is more than a hundredth: the older goes */
	assert_true(!there(a) && there(b));
	assert_int_equal(ram_stat().lost_bytes, 40 * sizeof(data));
	removed("c.log");
	assert_true(there(b) && there(c));
	assert_int_equal(ram_stat().kept_blocks, 8 * 16);
}

/* Whoever writes finds all of the space. */
static void test_short_of_space(void **state)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
	u64 a = make("a.log", 8), fill = make("fill", 1), w = 1;

	(void)state;
	removed("a.log");
	assert_true(there(a));
	while (!tfs_write(vol, fill, w * 16, &e, (w + 1) * sizeof(data), NULL))
		w++;
	assert_false(there(a));
	assert_int_equal(ram_stat().lost_bytes, 8 * sizeof(data));
	assert_int_equal(ram_stat().kept_blocks, 0);
}

/* A truncate that splits a promise, and moves a cursor in a leaf that nothing else of it dirties. */
static void test_cut_in_a_promise(void **state)
{
	u64 a, acked;
	char name[16];
	u32 generation, i;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make(name, 0);
	}
	a = make("a.log", 2);
	assert_int_equal(tfs_preallocate(vol, a, 32, 64, 96 * TFS_BLOCK), 0);
	assert_int_equal(tfs_ship_acked(vol, a, rule, 0, 90 * TFS_BLOCK), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_truncate(vol, a, 40 * TFS_BLOCK + 50), 0);
	assert_int_equal(tfs_ship_state(vol, a, rule, &generation, &acked), 0);
	assert_int_equal(generation, 1);
	assert_int_equal(acked, 40 * TFS_BLOCK + 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_until, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_limits, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_short_of_space, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_cut_in_a_promise, begin, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
