/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A volume in memory for unit tests: a device of `ram_dev.size` bytes that forgets nothing, a clock that ticks once a
 * call, and one mounted volume. Each test program includes it once and sets the size; ram_format begins, ram_free ends.
 */
#ifndef UNIT_RAM_H
#define UNIT_RAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "tfs/tfs.h"

static u8 *ram;
static u64 ram_ticks;
static u64 ram_read; /* bytes */
static struct tfs_vol *vol;

static inline int ram_io(struct tfs_dev *d, enum tfs_io_op op, u64 off, void *buf, u32 n, u32 flags)
{
	(void)flags;
	if (off + n > d->size)
		return -EIO;
	if (op == TFS_IO_READ) {
		memcpy(buf, ram + off, n);
		ram_read += n;
	} else {
		memcpy(ram + off, buf, n);
	}
	return 0;
}

static inline int ram_flush(struct tfs_dev *d)
{
	(void)d;
	return 0;
}

static inline struct tfs_time ram_now(void *ctx)
{
	(void)ctx;
	return (struct tfs_time){.sec = tfs_cpu64(++ram_ticks)};
}

static inline u64 ram_random(void *ctx)
{
	(void)ctx;
	return ++ram_ticks * 0x9e3779b97f4a7c15ull | 1;
}

/* What stood there is gone for good. */
static inline int ram_discard(struct tfs_dev *d, u64 off, u64 n)
{
	if (off + n > d->size)
		return -EIO;
	memset(ram + off, 0xa5, n);
	return 0;
}

static const struct tfs_dev_ops ram_ops = {ram_io, ram_flush, ram_discard};
static struct tfs_dev ram_dev = {.ops = &ram_ops};
static const struct tfs_env ram_env = {.now = ram_now, .random = ram_random};

static inline void ram_mount_with(struct tfs_mount_options o)
{
	assert_int_equal(tfs_mount(&ram_dev, &ram_env, &o, &vol), 0);
}

static inline void ram_mount(void)
{
	ram_mount_with((struct tfs_mount_options){0});
}

/* An empty volume, mounted. */
static inline void ram_format(u64 size)
{
	struct tfs_format_options o = {.size = size, .codec = TFS_CODEC_LZ4, .uuid = "unit"};

	ram_dev.size = size;
	ram = calloc(1, size);
	assert_non_null(ram);
	assert_int_equal(tfs_format(&ram_dev, &ram_env, &o, &vol), 0);
	assert_int_equal(tfs_format_finish(vol, 0), 0);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount();
}

/* Every place that is nobody's holds something else. */
static inline void ram_spoil(void)
{
	u64 discarded = 0;
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	for (u64 s = 0; s < st.segments; s++)
		assert_int_equal(tfs_trim(vol, s, 0, ram_dev.size, 0, &discarded), 0);
	assert_true(discarded);
}

static inline void ram_free(void)
{
	free(ram);
	ram = NULL;
}

static inline int ram_end(void **state)
{
	(void)state;
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
	return 0;
}

static inline struct tfs_stat ram_stat(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st;
}

static inline void ram_remount(void)
{
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount();
}

#endif
