// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where content goes: blocks that are made durable one by one lie side by side, as if they had been written at once. */
#include "tests/unit/ram.h"

#define BLOCKS 200u

static void test_synced_blocks_lie_together(void **state)
{
	static u8 block[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = block};
	struct tfs_create c = {.mode = 0100644};
	u64 ino, used = 0;

	(void)state;
	ram_format(64u << 20);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "file", 4, &c, &ino), 0);
	for (u64 b = 0; b < BLOCKS; b++) {
		memset(block, (int)b + 1, sizeof(block));
		assert_int_equal(tfs_write(vol, ino, b, &e, (b + 1) * TFS_BLOCK, NULL), 0);
		assert_int_equal(tfs_sync(vol), 0);
	}
	assert_int_equal(tfs_checkpoint(vol), 0);
	for (u64 s = 0;; s++) {
		struct tfs_segment info;

		if (tfs_segment_map(vol, s, NULL, &info))
			break;
		used += info.used_blocks > 0;
	}
	assert_true(used <= 8); /* of 256 segments; the nodes are in some */
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_synced_blocks_lie_together)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
