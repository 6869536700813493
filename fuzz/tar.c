// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: a tar archive that mkfs.tfs --tar builds a volume from, by its own threads, into memory. What is found there:
 * a volume that mkfs calls done is sound for fsck, every name of it can be reached from the root and none leads
 * elsewhere, all content reads back, nothing is left nameless; and when mkfs refuses, nothing mountable is left.
 */
#define _GNU_SOURCE
#include "fuzz/check.h"
#include "mkfs/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct mkfs_options options;
static struct mkfs_target target;

/* target.c opens files and asks libblkid; of it only this is needed. */
int mkfs_target_failed(const struct mkfs_target *t, int err)
{
	return tfs_cli_fail(MKFS_DEVICE, t->image, "cannot be written: %s", strerror(-err));
}

int mkfs_grow(struct mkfs_fill *f)
{
	(void)f;
	return 0;
}

static int memory_file(void)
{
	static char path[64];
	int fd = memfd_create("fuzz.tar", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0, "archive: expected a file in memory: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options = (struct mkfs_options){.tar = path, .image = "image", .jobs = 1, .quiet = true};
	options.format = (struct tfs_format_options){.size = FUZZ_SIZE, .codec = TFS_CODEC_LZ4, .uuid = "fuzz"};
	options.format.created.sec = tfs_cpu64(1000000);
	target = (struct mkfs_target){.dev = fuzz_dev, .image = options.image};
	return fd;
}

static void archive_put(const u8 *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memory_file();
	FUZZ_CHECK(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size,
	           "archive: expected it to be written");
}

static void *produce(void *arg)
{
	struct mkfs_source *s = arg;
	struct mkfs_job *job = mkfs_tar(s) ? mkfs_pool_slot(s->pool) : NULL;

	if (job) {
		job->kind = JOB_LAST;
		mkfs_pool_push(s->pool, job);
	}
	return NULL;
}

static int fill(struct mkfs_fill *f)
{
	struct mkfs_source s = {.opt = &options};
	pthread_t producer;
	int err;

	s.pool = mkfs_pool_new(options.jobs, options.format.codec, 0);
	FUZZ_CHECK(s.pool && !pthread_create(&producer, NULL, produce, &s), "mkfs: threads cannot be started");
	err = mkfs_fill(f, s.pool);
	mkfs_pool_stop(s.pool);
	pthread_join(producer, NULL);
	mkfs_pool_free(s.pool);
	return err;
}

static int build(void)
{
	static struct mkfs_fill f;
	int err;

	memset(&f, 0, sizeof(f));
	f.target = &target;
	f.sink = &mkfs_sink_ours;
	mkfs_fill_env(&f, &options.format.created);
	tfs_progress_start(&f.progress, true, -1, 2);
	FUZZ_CHECK(!tfs_format(&fuzz_dev, &f.env, &options.format, &f.vol), "mkfs: expected a volume to begin with");
	err = fill(&f);
	if (!err)
		err = tfs_checkpoint(f.vol);
	if (!err)
		err = tfs_format_finish(f.vol, 0);
	tfs_abandon(f.vol);
	free(f.late);
	mkfs_twins_free(&f);
	return err;
}

static void check(void)
{
	struct fuzz_checked c;
	struct tfs_vol *vol;
	u64 ino;

	fuzz_no_writes = true;
	fuzz_quiet(true);
	c = fuzz_fsck(MODE_CHECK, true);
	fuzz_quiet(false);
	FUZZ_CHECK(!c.err && !c.found && c.st.was_clean,
	           "mkfs: expected a clean and sound volume, found %u problems, error %d", c.found, c.err);
	fuzz_walk(false);
	FUZZ_CHECK(!fuzz_mount(TFS_MOUNT_RO, &vol), "mkfs: expected a volume that mounts");
	FUZZ_CHECK(tfs_next_orphan(vol, 0, &ino) == -ENOENT, "mkfs: expected no orphan, found inode %llu",
	           (unsigned long long)ino);
	tfs_unmount(vol);
	fuzz_no_writes = false;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct tfs_vol *vol;
	int err;

	fuzz_ram_reset(); /* the base is zeros */
	archive_put(data, size);
	fuzz_quiet(true);
	err = build();
	fuzz_quiet(false);
	if (!err) {
		check();
	} else {
		err = fuzz_mount(TFS_MOUNT_RO, &vol);
		FUZZ_CHECK(err, "mkfs: expected nothing mountable after a refusal, found a volume");
	}
	fuzz_end();
	return 0;
}
