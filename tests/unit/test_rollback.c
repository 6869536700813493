// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Rollback beside what may come before its end: the snapshot gone back to is deleted while the state given up is still
 * being freed, over a mount that has nothing of it in memory. The crash simulator has the rest; what it cannot see is a
 * node that is read from a place that is somebody else's by now, since all of a small volume stays in memory.
 */
#include "tests/unit/ram.h"

static u8 data[16 * TFS_BLOCK];

static u64 make(const char *name)
{
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	return ino;
}

static void fill(u64 ino, u64 windows, u8 byte)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};

	memset(data, byte, sizeof(data));
	for (u64 w = 0; w < windows; w++) {
		memcpy(data, &w, sizeof(w));
		assert_int_equal(tfs_write(vol, ino, w * 16, &e, (w + 1) * sizeof(data), NULL), 0);
	}
}

static void remount(void)
{
	struct tfs_mount_options o = {.flags = TFS_MOUNT_FREES};

	assert_int_equal(tfs_unmount(vol), 0);
	assert_int_equal(tfs_mount(&ram_dev, &ram_env, &o, &vol), 0);
}

static u64 snapshot(const char *name)
{
	u64 epoch;

	assert_int_equal(tfs_snapshot_create(vol, name, (u32)strlen(name), &epoch), 0);
	return epoch;
}

static int begin(void **state)
{
	(void)state;
	ram_format(16u << 20);
	return 0;
}

static int begin_large(void **state)
{
	(void)state;
	ram_format(48u << 20);
	return 0;
}

/* What the state given up shares is asked of its REFS tree, of which the snapshot holds the part that is as old. */
static void test_target_deleted(void **state)
{
	struct tfs_time now = ram_now(NULL);
	u64 a = make("a"), b = make("b"), s, held;
	struct tfs_old_info old;
	struct tfs_stat st;

	(void)state;
	fill(a, 2, 'a');
	assert_int_equal(tfs_reflink(vol, a, 0, b, 0, 16, sizeof(data), &now), 16);
	s = snapshot("s");
	fill(make("c"), 8, 'c');
	assert_int_equal(tfs_rollback(vol, s, &held), 0);
	assert_int_equal(tfs_snapshot_delete(vol, s), 0);
	assert_int_equal(tfs_truncate(vol, b, 0), 0); /* nothing is shared any more */
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	ram_spoil();
	remount();
	while (tfs_snapshot_step(vol) > 0)
		;
	tfs_statfs(vol, &st);
	assert_int_equal(st.dying, 0);
	assert_int_equal(tfs_old_state(vol, &old), -ENOENT);
}

/* A host that takes steps gets its turn in between, however much there is to free. */
static void test_target_deleted_in_steps(void **state)
{
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};
	struct tfs_old_info old;
	u64 a = make("a"), s, held;
	u32 again = 0;
	int err;

	(void)state;
	s = snapshot("s");
	for (u64 b = 0; b < 5000; b++)
		assert_int_equal(tfs_write(vol, a, 2 * b, &e, (2 * b + 1) * TFS_BLOCK, NULL), 0);
	assert_int_equal(tfs_rollback(vol, s, &held), 0);
	tfs_snapshots_stepwise(vol, true);
	while ((err = tfs_snapshot_delete(vol, s)) == -EAGAIN) {
		while (tfs_checkpoint_running(vol))
			assert_true(tfs_checkpoint_step(vol, 4) >= 0);
		again++;
	}
	assert_int_equal(err, 0);
	assert_true(again > 0);
	assert_int_equal(tfs_old_state(vol, &old), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_target_deleted, begin, ram_end),
	    cmocka_unit_test_setup_teardown(test_target_deleted_in_steps, begin_large, ram_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
