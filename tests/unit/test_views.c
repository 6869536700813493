// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Snapshots that are made in steps, among writes, and read from the first moment on, while older ones that were read
 * go: what memory holds of a place that was somebody else's before is never taken for what stands there now.
 */
#include "tests/unit/ram.h"

#define FILES 40u
static u64 ino[FILES];
static u8 data[TFS_BLOCK];

static void put(u32 file, u32 round)
{
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};

	memset(data, (int)(file * 7 + round), sizeof(data));
	for (u32 i = 0; i < 1500; i += 8) /* so that leaves differ in size */
		memcpy(data + i, &(u64){(file + 1) * 0x9e3779b97f4a7c15ull * (round + i)}, sizeof(u64));
	assert_int_equal(tfs_write(vol, ino[file], 0, &e, 1500, NULL), 0);
}

static u64 snapshot(const char *name, u32 round)
{
	u64 epoch;
	u32 n = 0;
	int err;

	while ((err = tfs_snapshot_create(vol, name, (u32)strlen(name), &epoch)) == -EAGAIN)
		assert_int_equal(tfs_sync(vol), 0);
	assert_int_equal(err, 0);
	while (tfs_checkpoint_running(vol)) {
		put(n++ * 11 % FILES, round);
		assert_true(tfs_checkpoint_step(vol, 1) >= 0);
	}
	return epoch;
}

static u32 items(u64 epoch)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len, n = 0;
	int err;

	assert_int_equal(tfs_view_open(vol, epoch), 0);
	for (; !(err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)); k.b++)
		n++;
	tfs_view_close(vol);
	assert_int_equal(err, -ENOENT);
	return n;
}

static void test_reused(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	u64 older = 0, epoch;
	char name[16];
	u32 n;

	(void)state;
	ram_format(16u << 20);
	tfs_snapshots_stepwise(vol, true);
	for (u32 i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino[i]), 0);
		put(i, 0);
	}
	for (u32 round = 1; round < 600; round++) {
		for (u32 i = round % 3; i < FILES; i += 3)
			put(i, round);
		snprintf(name, sizeof(name), "s%u", round);
		epoch = snapshot(name, round);
		n = items(epoch);
		assert_true(n > 3 * FILES);
		if (older) {
			assert_int_equal(items(older), n);
			assert_int_equal(tfs_snapshot_delete(vol, older), 0);
			while (tfs_checkpoint_running(vol))
				assert_true(tfs_checkpoint_step(vol, 4) >= 0);
			while (tfs_snapshot_step(vol) > 0)
				;
		}
		older = epoch;
	}
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
