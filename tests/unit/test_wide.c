// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A volume of 256 TiB, a file full of holes in memory, written at its far end: addresses above 2^44 survive mount, log,
 * replay after a crash, checkpoint, truncation and unlinking, and fsck.tfs (beside this program) finds it sound with
 * all data. Looks into the core for one thing: where it searches for free segments.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tfs/user/file_dev.h"
#include "tfs/vol.h"

#define SIZE (1ull << 48)
#define WINDOW (16 * TFS_BLOCK)
#define WINDOWS 200u
static const char *program;
static struct tfs_file_dev dev;
static struct tfs_vol *vol;

static void window_fill(u8 *buf, u32 file, u32 n)
{
	u64 x = file * 1000003ull + n + 1;

	for (u32 i = 0; i < WINDOW; i++) { /* nothing that a codec would shrink */
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		buf[i] = (u8)(x >> 56);
	}
}

static void file_make(const char *name, u32 file)
{
	static u8 buf[WINDOW], scratch[WINDOW];
	struct tfs_create c = {.mode = 0100644};
	struct tfs_encoded e;
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (u32 i = 0; i < WINDOWS; i++) {
		window_fill(buf, file, i);
		tfs_encode(TFS_CODEC_LZ4, 0, buf, 16, scratch, &e);
		assert_int_equal(tfs_write(vol, ino, i * 16, &e, (i + 1ull) * WINDOW, NULL), 0);
	}
	assert_true(vol->head[TFS_HEAD_DATA].end << TFS_BLOCK_BITS > SIZE - (1ull << 40));
}

static void file_same(const char *name, u32 file, u32 windows)
{
	static u8 want[WINDOW], found[WINDOW];
	u64 ino;
	u8 type;

	assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, name, (u32)strlen(name), &ino, &type), 0);
	for (u32 i = 0; i < windows; i++) {
		window_fill(want, file, i);
		assert_int_equal(tfs_read(vol, ino, (u64)i * WINDOW, found, WINDOW), WINDOW);
		assert_memory_equal(want, found, WINDOW);
	}
}

static void mount_far(void)
{
	struct tfs_mount_options o = {0};
	struct tfs_env env = tfs_user_env();

	assert_int_equal(tfs_mount(&dev.dev, &env, &o, &vol), 0);
	vol->search = vol->segments - 100;
}

static void make(void)
{
	struct tfs_format_options f = {.size = SIZE, .codec = TFS_CODEC_LZ4, .uuid = "wide"};
	struct tfs_env env = tfs_user_env();
	int fd = memfd_create("wide", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(tfs_file_dev_take(&dev, fd, 0, true, SIZE), 0);
	assert_int_equal(tfs_format(&dev.dev, &env, &f, &vol), 0);
	assert_int_equal(tfs_format_finish(vol, 0), 0);
	assert_int_equal(tfs_unmount(vol), 0);
}

static int fsck(void)
{
	char tool[4096], image[64];
	int status;
	pid_t pid;

	snprintf(tool, sizeof(tool), "%.*s/fsck.tfs", (int)(strrchr(program, '/') - program), program);
	snprintf(image, sizeof(image), "/proc/%d/fd/%d", (int)getpid(), dev.fd);
	flock(dev.fd, LOCK_UN);
	pid = fork();
	if (!pid) {
		execl(tool, tool, "-fn", "--data", image, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void far_end(void **state)
{
	u64 ino;
	u8 type;

	(void)state;
	make();
	mount_far();
	file_make("one", 1);
	assert_int_equal(tfs_unmount(vol), 0);
	mount_far();
	file_same("one", 1, WINDOWS);
	assert_int_equal(tfs_checkpoint(vol), 0);
	file_make("two", 2);
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol); /* a crash: what is synced is in the log */
	assert_int_equal(fsck(), 0);
	mount_far();
	file_same("one", 1, WINDOWS);
	file_same("two", 2, WINDOWS);
	assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "two", 3, &ino, &type), 0);
	assert_int_equal(tfs_truncate(vol, ino, 5 * WINDOW), 0);
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "one", 3, false, &ino), 0);
	while (tfs_evict(vol, ino) > 0)
		;
	file_make("three", 3);
	assert_int_equal(tfs_unmount(vol), 0);
	assert_int_equal(fsck(), 0);
	mount_far();
	file_same("two", 2, 5);
	file_same("three", 3, WINDOWS);
	assert_int_equal(tfs_unmount(vol), 0);
	tfs_file_dev_close(&dev);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(far_end)};

	(void)argc;
	program = argv[0];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
