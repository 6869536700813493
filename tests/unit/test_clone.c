// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is shared, as far as a host sees it: parts of raw extents are shared or not block by block, each file keeps its
 * own content, nothing is left in REFS when one owner is left, and a reflink takes a step a window, not one for what is
 * a hole. The crash simulator has the rest.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define BLOCKS 48u
static u8 data[BLOCKS * TFS_BLOCK], found[BLOCKS * TFS_BLOCK];

static u64 make(const char *name)
{
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	return ino;
}

static void put(u64 ino, u64 block, u32 blocks, u64 size)
{
	struct tfs_encoded e = {.blocks = blocks, .bytes = blocks * TFS_BLOCK, .buf = data + block * TFS_BLOCK};

	assert_int_equal(tfs_write(vol, ino, block, &e, size, NULL), 0);
}

static u64 raw_file(const char *name)
{
	u64 ino = make(name);

	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i / TFS_BLOCK * 31 + i * 7);
	for (u64 b = 0; b < BLOCKS; b += 16)
		put(ino, b, 16, (b + 16) * TFS_BLOCK);
	return ino;
}

/* All of it; returns the steps. */
static u32 reflink(u64 source, u64 from, u64 ino, u64 block, u64 blocks, u64 size)
{
	struct tfs_time now = ram_now(NULL);
	u32 steps = 0;
	s64 n;

	for (; blocks; from += (u64)n, block += (u64)n, blocks -= (u64)n, steps++) {
		n = tfs_reflink(vol, source, from, ino, block, blocks, size, &now);
		assert_true(n > 0 && (u64)n <= blocks);
	}
	return steps;
}

static void holds(u64 ino, u64 block, u64 from, u32 blocks)
{
	assert_int_equal(tfs_read(vol, ino, block * TFS_BLOCK, found, blocks * TFS_BLOCK), blocks * TFS_BLOCK);
	assert_memory_equal(found, data + from * TFS_BLOCK, blocks * TFS_BLOCK);
}

/* How many blocks of the file are shared. */
static u64 shared_blocks(u64 ino)
{
	struct tfs_range r = {0};
	u64 n = 0;

	for (u64 at = 0; tfs_range_next(vol, ino, at, &r) > 0; at = r.block + r.blocks) {
		assert_true(r.blocks && r.block + r.blocks > at);
		n += r.shared ? r.blocks : 0;
	}
	return n;
}

static u32 items(void)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len, n = 0;

	for (; !tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len); k.b++)
		n++;
	return n;
}

static int begin(void **state)
{
	(void)state;
	ram_format(16u << 20);
	return 0;
}

static void test_parts(void **state)
{
	u64 a = raw_file("a"), b = make("b");

	(void)state;
	assert_int_equal(reflink(a, 0, b, 5, BLOCKS, (BLOCKS + 5) * TFS_BLOCK), 6); /* windows cross */
	assert_int_equal(shared_blocks(a), BLOCKS);
	holds(b, 5, 0, BLOCKS);
	put(b, 8, 1, 0); /* in the middle of a range */
	assert_int_equal(shared_blocks(a), BLOCKS - 1);
	assert_int_equal(tfs_punch(vol, a, 30, 10), 0);
	assert_int_equal(shared_blocks(b), BLOCKS - 11);
	holds(b, 5 + 9, 9, BLOCKS - 9);
	assert_int_equal(tfs_truncate(vol, b, 0), 0);
	assert_int_equal(shared_blocks(a), 0);
	assert_int_equal(items(), 0);
	holds(a, 0, 0, 30);
}

static void test_one_operation_drops_all(void **state)
{
	struct tfs_stat before, after;
	u64 a = raw_file("a");

	(void)state;
	assert_int_equal(reflink(a, 0, a, 48, 48, 96 * TFS_BLOCK), 3);
	assert_int_equal(reflink(a, 3, a, 96, 20, 116 * TFS_BLOCK) > 0, 1);
	assert_int_equal(shared_blocks(a), 48 + 48 + 20);
	tfs_statfs(vol, &before);
	assert_int_equal(tfs_truncate(vol, a, 0), 0);
	assert_int_equal(items(), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	tfs_statfs(vol, &after);
	assert_true(before.live_units >= after.live_units + 48 * 8 - 64); /* each block once */
}

static void test_ends(void **state)
{
	struct tfs_time now = ram_now(NULL);
	u64 a = raw_file("a"), b = make("b"), c = make("c"), sequence;
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};

	(void)state;
	assert_int_equal(tfs_reflink(vol, a, 0, a, 40, 48, 0, &now), -EINVAL); /* onto itself */
	assert_int_equal(tfs_reflink(vol, a, 0, b, 0, 0, 0, &now), -EINVAL);
	/* a tail that is dirty behind the end is none that others see */
	assert_int_equal(tfs_truncate(vol, a, 10 * TFS_BLOCK + 100), 0);
	reflink(a, 0, b, 0, 11, 10 * TFS_BLOCK + 100);
	assert_int_equal(tfs_truncate(vol, b, 20 * TFS_BLOCK), 0);
	assert_int_equal(tfs_read(vol, b, 10 * TFS_BLOCK, found, TFS_BLOCK), TFS_BLOCK);
	assert_memory_equal(found, data + 10 * TFS_BLOCK, 100);
	for (u32 i = 100; i < TFS_BLOCK; i++)
		assert_int_equal(found[i], 0);
	/* inline */
	assert_int_equal(tfs_write(vol, c, 0, &e, 100, NULL), 0);
	assert_int_equal(reflink(c, 0, make("d"), 0, 1, 100), 1);
	/* a hole of a TiB takes no step a window */
	assert_int_equal(tfs_truncate(vol, c, 1ull << 40), 0);
	sequence = tfs_sequence(vol);
	assert_true(reflink(c, 0, b, 0, (1ull << 40) / TFS_BLOCK, 1ull << 40) <= 3);
	assert_true(tfs_sequence(vol) <= sequence + 6);
	assert_int_equal(tfs_read(vol, b, TFS_BLOCK, found, TFS_BLOCK), TFS_BLOCK);
	assert_int_equal(found[0] | found[TFS_BLOCK - 1], 0);
}

/* Other programs must not write what they do not know. */
static void test_feature(void **state)
{
	u64 a = raw_file("a"), b = make("b");

	(void)state;
	assert_false(tfs_le64(tfs_super_of(vol)->ro_compat) & TFS_RO_COMPAT_SHARED);
	reflink(a, 0, b, 0, 1, TFS_BLOCK);
	assert_true(tfs_le64(tfs_super_of(vol)->ro_compat) & TFS_RO_COMPAT_SHARED);
	tfs_abandon(vol);
	ram_mount();
	assert_true(tfs_le64(tfs_super_of(vol)->ro_compat) & TFS_RO_COMPAT_SHARED);
}

/* A count that is full does not begin anew: what would go beyond it is copied. */
static void test_full_count(void **state)
{
	u64 a = raw_file("a"), b = make("b"), c = make("c");
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;

	(void)state;
	reflink(a, 0, b, 0, 1, TFS_BLOCK);
	reflink(a, 0, b, 1, 1, 2 * TFS_BLOCK); /* one block twice in a window */
	assert_int_equal(items(), 1);
	assert_int_equal(tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len), 0);
	((struct tfs_ref *)(uintptr_t)v)->count = tfs_cpu32(~0u - 1);
	reflink(b, 0, c, 0, 2, 2 * TFS_BLOCK);
	holds(c, 0, 0, 1);
	holds(c, 1, 0, 1);
	assert_int_equal(tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len), 0);
	assert_int_equal(tfs_le32(((const struct tfs_ref *)v)->count), ~0u - 1);
	assert_int_equal(shared_blocks(c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_parts, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_one_operation_drops_all, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_ends, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_feature, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_full_count, begin, ram_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
