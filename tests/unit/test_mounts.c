// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A RAM volume mounted, filled a little and unmounted again and again, until its files reach over every leaf of the
 * SPACE tree: whichever nodes a mount has not read yet, its checkpoint writes the right ones.
 */
#include "tests/unit/ram.h"

static u8 window[16 * TFS_BLOCK];

static u64 file_make(const char *name, u32 windows)
{
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(window), .buf = window};
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (u32 i = 0; i < windows; i++)
		assert_int_equal(tfs_write(vol, ino, i * 16, &e, (i + 1) * sizeof(window), NULL), 0);
	return ino;
}

static void mounted_again(void **state)
{
	char name[20];
	u64 ino;

	(void)state;
	ram_format(64u << 20);
	ino = file_make("big", 800); /* every segment has a map from now on */
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "big", 3, false, NULL), 0);
	while (tfs_evict(vol, ino) > 0)
		;
	assert_int_equal(tfs_unmount(vol), 0);
	for (u32 i = 0; i < 200; i++) {
		ram_mount();
		file_make((snprintf(name, sizeof(name), "f%u", i), name), 4);
		assert_int_equal(tfs_unmount(vol), 0);
	}
	ram_free();
}

/* After a clean unmount there is no log, nor a search for what is left of one, which may be two segments long. */
static void clean_mount_reads_little(void **state)
{
	(void)state;
	ram_format(512u << 20);
	file_make("f", 100);
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol);
	ram_read = 0;
	ram_mount();
	assert_true(ram_read > 1u << 20); /* else this shows nothing */
	assert_int_equal(tfs_unmount(vol), 0);
	ram_read = 0;
	ram_mount();
	assert_true(ram_read < 1u << 18);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(mounted_again), cmocka_unit_test(clean_mount_reads_little)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
