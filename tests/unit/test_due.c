// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * When a checkpoint is due: at half of the nodes that may wait for one, which an operation then makes by itself, or
 * leaves to a host that promised to take it until all of them wait. More may wait while the volume has room to spare.
 */
#include "tests/unit/ram.h"

static u32 files;

/* Until the condition holds, at most `limit` files: how many nodes were changed and wait. */
static u32 work(u32 limit, bool (*until)(void))
{
	while (limit-- && !until()) {
		struct tfs_create c = {.mode = 0100644};
		char name[256];
		u64 ino;
		int n = snprintf(name, sizeof(name), "%0200u", files++ * 2654435761u); /* all over the directory */

		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)n, &c, &ino), 0);
	}
	return ram_stat().dirty_nodes;
}

static bool due(void)
{
	return tfs_checkpoint_due(vol);
}

static bool forced(void)
{
	return ram_stat().checkpoints_forced;
}

static void mount_with(u64 size, u32 dirty, u32 flags)
{
	ram_format(size);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount_with((struct tfs_mount_options){.dirty_nodes = dirty, .flags = flags});
}

static void by_operations(void **state)
{
	u64 before;

	(void)state;
	mount_with(64 << 20, 64, 0);
	before = ram_stat().checkpoints;
	assert_in_range(work(20000, due), 32, 40);
	assert_false(forced());
	work(1, forced);
	assert_true(forced());
	assert_true(ram_stat().dirty_nodes < 32); /* begins anew, with what the checkpoint itself changed */
	assert_int_equal(ram_stat().checkpoints, before + ram_stat().checkpoints_forced);
}

static void by_the_host(void **state)
{
	u64 taken;
	int err;

	(void)state;
	mount_with(64 << 20, 64, TFS_MOUNT_CHECKPOINTS);
	assert_in_range(work(20000, due), 32, 40);
	assert_false(forced());
	do
		err = tfs_checkpoint_step(vol, 4);
	while (err > 0 && !tfs_sync(vol));
	assert_int_equal(err, 0);
	assert_false(due());
	taken = ram_stat().checkpoints;
	assert_true(taken);
	assert_true(work(20000, forced) < 64); /* the host forgets it */
	assert_true(forced());
	assert_int_equal(ram_stat().checkpoints, taken + 1);
}

/* The one that runs is ended, and no second one made. */
static void while_one_runs(void **state)
{
	u64 taken;

	(void)state;
	mount_with(64 << 20, 64, TFS_MOUNT_CHECKPOINTS);
	work(20000, due);
	taken = ram_stat().checkpoints;
	assert_true(tfs_checkpoint_step(vol, 1) > 0);
	work(20000, forced);
	assert_int_equal(ram_stat().checkpoints, taken + 1);
	assert_false(tfs_checkpoint_running(vol));
}

static void with_room_to_spare(void **state)
{
	u32 room, none;

	(void)state;
	mount_with(64 << 20, 0, 0);
	room = work(10000, due);
	assert_false(due());
	assert_true(room > 200);
	ram_end(NULL);

	mount_with(64 << 20, 0, 0);
	while (ram_stat().available > 60) { /* nearly full */
		static u8 data[16 * TFS_BLOCK];
		struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
		static u64 ino, block;
		struct tfs_create c = {.mode = 0100644};

		if (!ino)
			assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "f", 1, &c, &ino), 0);
		memset(data, (int)block + 1, sizeof(data));
		assert_int_equal(tfs_write(vol, ino, block, &e, (block + 16) * TFS_BLOCK, NULL), 0);
		block += 16;
	}
	assert_int_equal(tfs_checkpoint(vol), 0);
	none = work(3000, forced);
	assert_true(forced());
	assert_true(none < room / 2);
}

/* Nearly full, blocks overwritten at random, a host that is called and takes a step every other operation: it is through
 * before an operation would have to make a checkpoint itself. */
static void called_in_time(void **state)
{
	static u8 data[16 * TFS_BLOCK];
	struct tfs_create c = {.mode = 0100644};
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
	u64 ino, blocks = 0, seed = 1, taken, begun = 0;

	(void)state;
	mount_with(64 << 20, 0, TFS_MOUNT_CHECKPOINTS);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "f", 1, &c, &ino), 0);
	for (; ram_stat().available > 120; blocks += 16) {
		memset(data, (int)blocks, sizeof(data));
		assert_int_equal(tfs_write(vol, ino, blocks, &e, (blocks + 16) * TFS_BLOCK, NULL), 0);
	}
	e.blocks = 1;
	e.bytes = TFS_BLOCK;
	assert_int_equal(tfs_checkpoint(vol), 0);
	taken = ram_stat().checkpoints;
	for (u32 i = 0; i < 40000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(data, &seed, 8);
		assert_int_equal(tfs_write(vol, ino, (seed >> 33) % blocks, &e, 0, NULL), 0);
		if (i % 2 || (!tfs_checkpoint_running(vol) && !due()))
			continue;
		begun += !tfs_checkpoint_running(vol);
		assert_true(tfs_checkpoint_step(vol, 16) >= 0);
	}
	taken = ram_stat().checkpoints - taken;
	assert_in_range(begun, 20, 1000);
	assert_in_range(taken, begun - 1, begun + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(by_operations, ram_end),  cmocka_unit_test_teardown(by_the_host, ram_end),
	    cmocka_unit_test_teardown(while_one_runs, ram_end), cmocka_unit_test_teardown(with_room_to_spare, ram_end),
	    cmocka_unit_test_teardown(called_in_time, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
