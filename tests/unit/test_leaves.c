// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What is emptied leaves the tree: no search has to read through rows of empty leaves, whatever emptied them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tfs/tfs.h"

#define SIZE (64u << 20)
#define WRITES 4000u
static u8 *ram;
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

static int setup(void **state)
{
	struct tfs_format_options o = {.size = SIZE, .uuid = "leaves"};
	struct tfs_mount_options m = {0};

	(void)state;
	ram = calloc(1, SIZE);
	return !ram || tfs_format(&dev, &env, &o, &vol) || tfs_format_finish(vol, 0) || tfs_unmount(vol) ||
	       tfs_mount(&dev, &env, &m, &vol);
}

static int teardown(void **state)
{
	(void)state;
	tfs_abandon(vol);
	free(ram);
	return 0;
}

struct leaves {
	u32 all, empty;
};

static int leaf(void *arg, const struct tfs_node_info *info)
{
	struct leaves *l = arg;

	if (!info->level) {
		l->all++;
		l->empty += !((const struct tfs_node_head *)info->node)->count;
	}
	return 0;
}

static void expect(u32 least, u32 most)
{
	struct leaves l = {0, 0};

	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, leaf, &l), 0);
	assert_in_range(l.all, least, most);
	assert_int_equal(l.empty, 0);
}

static u64 file_make(const char *name)
{
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (u64 i = 0; i < WRITES; i++)
		assert_int_equal(tfs_write(vol, ino, 2 * i, &e, (2 * i + 1) * TFS_BLOCK, NULL), 0);
	expect(10, 1000);
	return ino;
}

static void remove_name(const char *name)
{
	u64 ino;
	int err;

	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &ino), 0);
	while ((err = tfs_evict(vol, ino)) > 0)
		;
	assert_int_equal(err, 0);
}

static void test_truncate(void **state)
{
	(void)state;
	assert_int_equal(tfs_truncate(vol, file_make("f"), 0), 0);
	expect(1, 2);
}

static void test_evict(void **state)
{
	(void)state;
	file_make("g");
	remove_name("g");
	expect(1, 2);
}

static void test_punch(void **state)
{
	u64 ino = file_make("h");

	(void)state;
	for (u64 i = 0; i < 2 * WRITES; i += 16)
		assert_int_equal(tfs_punch(vol, ino, i, 16), 0);
	expect(1, 2);
}

static void test_names(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	char name[16];
	u64 ino;

	(void)state;
	for (u32 i = 0; i < WRITES; i++) {
		u32 n = (u32)sprintf(name, "n%u", i);

		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, n, &c, &ino), 0);
	}
	expect(10, 1000);
	for (u32 i = 0; i < WRITES; i++) {
		sprintf(name, "n%u", i);
		remove_name(name);
	}
	expect(1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_truncate),
	    cmocka_unit_test(test_evict),
	    cmocka_unit_test(test_punch),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
