// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A RAM volume mounted, filled a little and unmounted again and again, until its files reach over every leaf of the
 * SPACE tree: whichever nodes a mount has not read yet, its checkpoint writes the right ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "tfs/tfs.h"

#define SIZE (64u << 20)
static u8 *ram, window[16 * TFS_BLOCK];
static u64 ticks;

static int io(struct tfs_dev *d, enum tfs_io_op op, u64 off, void *buf, u32 n, u32 flags)
{
	(void)flags;
	if (off + n > d->size)
		return -EIO;
	if (op == TFS_IO_READ)
		memcpy(buf, ram + off, n);
	else
		memcpy(ram + off, buf, n);
	return 0;
}
static int flush(struct tfs_dev *d)
{
	(void)d;
	return 0;
}
static struct tfs_time now(void *ctx)
{
	(void)ctx;
	return (struct tfs_time){.sec = ++ticks};
}
static u64 rnd(void *ctx)
{
	(void)ctx;
	return ++ticks * 0x9e3779b97f4a7c15ull | 1;
}
static const struct tfs_dev_ops ops = {io, flush, NULL};
static struct tfs_dev dev = {&ops, SIZE, false};
static const struct tfs_env env = {.now = now, .random = rnd};
static struct tfs_vol *vol;

static u64 file_make(const char *name, u32 windows)
{
	struct tfs_encoded e = {TFS_CODEC_NONE, 16, sizeof(window), window};
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (u32 i = 0; i < windows; i++)
		assert_int_equal(tfs_write(vol, ino, i * 16, &e, (i + 1) * sizeof(window), NULL), 0);
	return ino;
}

static void mounted_again(void **state)
{
	struct tfs_format_options f = {.size = SIZE, .codec = TFS_CODEC_LZ4, .uuid = "unit"};
	struct tfs_mount_options o = {0};
	char name[20];
	u64 ino;

	(void)state;
	ram = calloc(1, SIZE);
	assert_int_equal(tfs_format(&dev, &env, &f, &vol), 0);
	assert_int_equal(tfs_format_finish(vol, 0), 0);
	assert_int_equal(tfs_unmount(vol), 0);
	assert_int_equal(tfs_mount(&dev, &env, &o, &vol), 0);
	ino = file_make("big", 800); /* every segment has a map from now on */
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "big", 3, false, NULL), 0);
	while (tfs_evict(vol, ino) > 0)
		;
	assert_int_equal(tfs_unmount(vol), 0);
	for (u32 i = 0; i < 200; i++) {
		assert_int_equal(tfs_mount(&dev, &env, &o, &vol), 0);
		file_make((snprintf(name, sizeof(name), "f%u", i), name), 4);
		assert_int_equal(tfs_unmount(vol), 0);
	}
	free(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(mounted_again)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
