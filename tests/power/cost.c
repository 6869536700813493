// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-power --costs: what one durable operation writes, counted at the device, against the table of the design: KB and
 * flushes of each row, in steady state over 100 repetitions, and the mean over 300 repetitions with a checkpoint every
 * 100 and the unmount. Two volumes: 1 GiB, where no checkpoint comes of itself, and 16 MiB, where the log's share is a
 * few dozen writes. Counts, no clocks: the same figures on every machine.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define REPEATS 100
#define TOTAL 300
#define FILE_BLOCKS 256u /* of the file that is overwritten */

/* ---- a device that counts ---- */

static struct {
	struct tfs_dev dev;
	u8 *data;
	u64 bytes, writes, flushes;
} disk;

static int disk_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	(void)dev;
	(void)flags;
	if (op == TFS_IO_READ) {
		memcpy(buf, disk.data + offset, bytes);
		return 0;
	}
	memcpy(disk.data + offset, buf, bytes);
	disk.bytes += bytes;
	disk.writes++;
	return 0;
}

static int disk_flush(struct tfs_dev *dev)
{
	(void)dev;
	disk.flushes++;
	return 0;
}

static const struct tfs_dev_ops disk_ops = {disk_io, disk_flush, NULL};

/* ---- the operations, each as a host does it ---- */

static struct tfs_vol *vol;
static u64 file; /* FILE_BLOCKS blocks, and what is appended */

static u64 named(const char *prefix, int i, char *name, bool make, u32 mode)
{
	struct tfs_create c = {.mode = mode};
	u64 ino = 0;

	snprintf(name, 16, "%s%d", prefix, i);
	if (make)
		power_must(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), name);
	return ino;
}

static void block_write(u64 ino, u64 block)
{
	static u8 data[TFS_BLOCK];
	static u64 r = 88172645463325252ull;
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data, .beside = true};
	struct tfs_time now = power_env().now(NULL);
	u32 i;

	for (i = 0; i < TFS_BLOCK; i += 8) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		memcpy(data + i, &r, 8);
	}
	power_must(tfs_write(vol, ino, block, &e, (block + 1) * TFS_BLOCK, &now), "write");
}

static void sync_now(void)
{
	power_must(tfs_sync(vol), "sync");
}

static void append(int i)
{
	block_write(file, FILE_BLOCKS + (u64)i);
	sync_now();
}

static void overwrite(int i)
{
	block_write(file, (u64)i % FILE_BLOCKS);
	sync_now();
}

static void overwrite_random(int i)
{
	block_write(file, (u64)i * 2654435761u % FILE_BLOCKS);
	sync_now();
}

static void create(int i)
{
	char name[16];

	block_write(named("c", i, name, true, 0100644), 0);
	sync_now();
}

static void replace(int i)
{
	char name[16], to[16];
	u64 victim;

	block_write(named("t", i, name, true, 0100644), 0);
	sync_now();
	named("r", i / 2, to, false, 0); /* every second time it replaces a file */
	power_must(
	    tfs_rename(vol, TFS_INO_ROOT, name, (u32)strlen(name), TFS_INO_ROOT, to, (u32)strlen(to), 0, &victim),
	    "rename");
	while (victim && tfs_evict(vol, victim) > 0)
		;
	sync_now();
}

static void make_dir(int i)
{
	char name[16];

	named("d", i, name, true, 0040755);
	sync_now();
}

static void unlink_prepare(void)
{
	char name[16];
	int i;

	for (i = 0; i < TOTAL; i++)
		block_write(named("u", i, name, true, 0100644), 0);
}

static void unlink_one(int i)
{
	char name[16];
	u64 ino;

	named("u", i, name, false, 0);
	power_must(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &ino), "unlink");
	while (tfs_evict(vol, ino) > 0)
		;
	sync_now();
}

/* total: KB an operation may cost with checkpoints, on 1 GiB and on 16 MiB; a little above what is measured. */
static const struct row {
	const char *what;
	void (*prepare)(void);
	void (*run)(int i);
	u32 kb, flushes;
	double total[2];
} rows[] = {
    {"append 4 KiB + fsync", NULL, append, 8, 1, {8.5, 8.8}},
    {"overwrite 4 KiB + fdatasync", NULL, overwrite, 8, 1, {8.5, 8.8}},
    {"random 4 KiB overwrite + fsync", NULL, overwrite_random, 8, 1, {8.5, 8.8}},
    {"create + 4 KiB + fsync", NULL, create, 8, 1, {8.6, 8.9}},
    {"create + 4 KiB + fsync + rename + fsync(dir)", NULL, replace, 12, 2, {12.6, 13.2}},
    {"mkdir + fsync(dir)", NULL, make_dir, 4, 1, {4.6, 4.8}},
    {"unlink + fsync(dir)", unlink_prepare, unlink_one, 4, 1, {4.5, 4.8}},
};

/* ---- measuring ---- */

static void volume_make(u64 size)
{
	struct tfs_format_options opt = {.size = size, .codec = TFS_CODEC_LZ4, .uuid = "power costs"};
	struct tfs_mount_options mount = {0};
	struct tfs_env env = power_env();
	char name[16];
	u32 i;

	disk.dev = (struct tfs_dev){.ops = &disk_ops, .size = size};
	disk.data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (disk.data == MAP_FAILED)
		power_must(-ENOMEM, "mmap");
	power_must(tfs_format(&disk.dev, &env, &opt, &vol), "format");
	power_must(tfs_format_finish(vol, 0), "finish");
	power_unmount(vol);
	power_must(tfs_mount(&disk.dev, &env, &mount, &vol), "mount");
	file = named("file", 0, name, true, 0100644);
	for (i = 0; i < FILE_BLOCKS; i++)
		block_write(file, i);
}

static u64 epoch(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.epoch;
}

struct cost {
	double kb, writes, flushes, total_kb, total_flushes;
	u32 worst; /* KB of the dearest one without a checkpoint */
};

static struct cost measure(const struct row *row, u64 size)
{
	u64 start, flushed, at, steady = 0, steady_flushes = 0, steady_writes = 0;
	struct cost c = {0};
	int i, counted = 0;

	volume_make(size);
	if (row->prepare)
		row->prepare();
	power_must(tfs_checkpoint(vol), "checkpoint");
	start = disk.bytes;
	flushed = disk.flushes;
	for (i = 0; i < TOTAL; i++) {
		u64 bytes = disk.bytes, flushes = disk.flushes, writes = disk.writes;

		at = epoch();
		row->run(i);
		if (counted < REPEATS && epoch() == at) { /* the small volume's own checkpoints are in the total */
			counted++;
			steady += disk.bytes - bytes;
			steady_flushes += disk.flushes - flushes;
			steady_writes += disk.writes - writes;
			if ((disk.bytes - bytes) / 1024 > c.worst)
				c.worst = (u32)((disk.bytes - bytes) / 1024);
		}
		if (i % 100 == 99)
			power_must(tfs_checkpoint(vol), "checkpoint");
	}
	power_must(power_unmount(vol), "unmount");
	munmap(disk.data, size);
	c.kb = (double)steady / 1024 / REPEATS;
	c.writes = (double)steady_writes / REPEATS;
	c.flushes = (double)steady_flushes / REPEATS;
	c.total_kb = (double)(disk.bytes - start) / 1024 / TOTAL;
	c.total_flushes = (double)(disk.flushes - flushed) / TOTAL;
	return c;
}

static bool row_check(const struct row *row, const struct cost *c, int small)
{
	bool one =
	    c->writes == row->flushes || small; /* data goes with its record; a run of 64 KiB ends now and then */
	bool good = one && c->kb == row->kb && c->worst == row->kb && c->flushes == row->flushes &&
	            c->total_kb <= row->total[small];

	printf("%-45s %6.2f %7.2f %8.2f   %8.2f (<= %5.2f) %8.3f%s\n", row->what, c->kb, c->writes, c->flushes,
	       c->total_kb, row->total[small], c->total_flushes, good ? "" : "  FAILED");
	if (!good)
		printf("    expected %u KB, %u flush(es) and as many writes each time, found up to %u KB\n", row->kb,
		       row->flushes, c->worst);
	return good;
}

int power_costs(void)
{
	static const u64 sizes[2] = {1ull << 30, POWER_SIZE};
	int small, bad = 0;
	u32 i;

	for (small = 0; small < 2; small++) {
		printf("%s volume%39s%s\n", small ? "16 MiB" : "1 GiB ", "",
		       "KB each  writes  flushes  KB with checkpoints  flushes");
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct cost c = measure(&rows[i], sizes[small]);

			bad += !row_check(&rows[i], &c, small);
		}
	}
	return bad != 0;
}
