// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-age: what becomes of a volume that lives full. It fills one on a RAM device to a given share of what statfs
 * promises, overwrites 4 KiB at random places for N times the volume's size, a sync every BATCH of them, and says what
 * that wrote and how it left the free space and the file. Counts, no clocks: the same figures on every machine.
 * With --snapshot one snapshot is kept: each time that share of the volume's size has been written (a day) the older one is
 * deleted and freed to its end, then a new one is taken. (A backup that goes by both needs room for two days.)
 * Compaction, when asked for, gets a step for every so many writes, as a host that is never idle would pace it.
 */
#include "tfs/tfs.h"
#include "tfs/user/port.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct {
	struct tfs_dev dev;
	u8 *data;
	u64 bytes, writes, flushes;
} disk;
static struct tfs_vol *vol;
static u64 clock_now, rng = 88172645463325252ull;

static struct options {
	u64 size, times;
	u32 full, batch, files, hot, window, compact, now, end, snapshot, segment, nodes, defrag;
	int codec;
	bool json;
} o = {.size = 256, .times = 10, .full = 90, .batch = 1, .files = 4, .hot = 0, .window = 0};

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

static struct tfs_time env_now(void *ctx)
{
	(void)ctx;
	return (struct tfs_time){.sec = tfs_cpu64(++clock_now)};
}

static u64 env_random(void *ctx)
{
	(void)ctx;
	return ++clock_now * 0x9e3779b97f4a7c15ull | 1;
}

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "tfs-age: %s: error %d\n", what, err);
	exit(1);
}

static u64 random_next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	return rng ^= rng << 17;
}

/* ---- the files ---- */

#define WINDOW 16u
static struct file {
	u64 ino, blocks;
} file[64];
static u64 all_blocks;

/* Half of it random: LZ4 makes a little more than half of a window. */
static void fill(u8 *p, u32 blocks)
{
	for (u32 i = 0; i < blocks * TFS_BLOCK; i += 8) {
		u64 r = i & 8 && o.codec ? 0x676f6c2d65727574ull : random_next();

		memcpy(p + i, &r, 8);
	}
}

static int blocks_write(struct file *f, u64 block, u32 blocks)
{
	static u8 data[WINDOW * TFS_BLOCK], scratch[WINDOW * TFS_BLOCK];
	struct tfs_time now = env_now(NULL);
	struct tfs_encoded e;

	fill(data, blocks);
	tfs_encode(o.codec, 0, data, blocks, scratch, &e);
	return tfs_write(vol, f->ino, block, &e, (block + blocks) * TFS_BLOCK, &now);
}

static struct tfs_stat stat_now(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st;
}

/* As df says it: used of used and available. */
static u32 full_percent(const struct tfs_stat *st)
{
	u64 used = st->blocks - st->free;

	return (u32)(used * 100 / (used + st->available));
}

static void files_fill(void)
{
	struct tfs_stat st = stat_now();
	u32 i;

	for (i = 0; i < o.files; i++) {
		struct tfs_create c = {.mode = 0100644};
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		must(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &file[i].ino), "create");
	}
	for (i = 0; full_percent(&st) < o.full; i = (i + 1) % o.files) {
		int err = blocks_write(&file[i], file[i].blocks, WINDOW);

		must(err, "fill");
		file[i].blocks += WINDOW;
		all_blocks += WINDOW;
		st = stat_now();
	}
	must(tfs_checkpoint(vol), "checkpoint");
}

/* hot: so many percent of the writes go to the tenth of the files' blocks that comes first. */
static int overwrite(void)
{
	bool hot = o.hot && random_next() % 100 < o.hot;
	struct file *f = &file[random_next() % o.files];
	u64 blocks = hot ? f->blocks / 10 : f->blocks;
	u64 block = random_next() % blocks;

	if (o.window) /* a whole window at a time, as big writers do */
		return blocks_write(f, block & ~(u64)(WINDOW - 1), WINDOW);
	return blocks_write(f, block, 1);
}

/* ---- what is left ---- */

struct shape {
	u64 blocks, runs, pieces, gangs;
};

/* A run: what can be read from the device in one go, in file order. */
static struct shape shape_take(void)
{
	struct shape s = {0};

	for (u32 i = 0; i < o.files; i++) {
		u64 block = 0, end = 0;
		struct tfs_range r;
		int got;

		while ((got = tfs_range_next(vol, file[i].ino, block, &r)) > 0) {
			s.pieces++;
			s.gangs += !r.units;
			s.runs += !r.units || r.addr != end;
			end = r.units ? r.addr + r.units : 0;
			s.blocks += r.blocks;
			block = r.block + r.blocks;
		}
		must(got, "ranges");
	}
	return s;
}

static struct tfs_spread spread_take(void)
{
	struct tfs_spread s = {0};

	must(tfs_spread_add(vol, 0, ~0ull, &s), "maps");
	return s;
}

static void spread_report(void)
{
	struct tfs_stat st = stat_now();
	struct tfs_spread s = spread_take();
	struct shape h = shape_take();
	u32 i;

	printf("  free: %llu blocks, %llu of %llu segments whole; MiB in runs of", (unsigned long long)s.free_blocks,
	       (unsigned long long)s.whole_segments, (unsigned long long)st.segments);
	for (i = 0; i < TFS_RUN_CLASSES; i++)
		if (s.blocks[i])
			printf("  %u: %.1f", 1u << i, (double)s.blocks[i] / 256);
	printf("\n  files: %.1f KiB a run, %.2f pieces a window, %llu gangs\n",
	       h.runs ? (double)h.blocks * 4 / (double)h.runs : 0.0, (double)h.pieces * WINDOW / (double)h.blocks,
	       (unsigned long long)h.gangs);
}

static void compact_report(const struct tfs_stat *before, int err)
{
	struct tfs_stat st = stat_now();

	printf("  then compacted: %.1f MiB moved, %llu sweeps, %llu segments emptied, nodes %.1f MiB, log %.1f MiB%s\n",
	       (double)(st.moved_blocks - before->moved_blocks) / 256,
	       (unsigned long long)(st.compact_sweeps - before->compact_sweeps),
	       (unsigned long long)(st.compact_emptied - before->compact_emptied),
	       (double)(st.node_blocks - before->node_blocks) / 256, (double)(st.log_blocks - before->log_blocks) / 256,
	       err ? ", then an error" : "");
	spread_report();
}

static void report(u64 bytes, u64 done, const struct tfs_stat *before, int err)
{
	struct tfs_stat st = stat_now();
	double user = (double)(st.user_blocks - before->user_blocks);

	printf("%llu MiB, %u%% full (%u%% at the end), codec %d, %u blocks a write, sync every %u, hot %u%%, "
	       "a snapshot each %u%%: %llu writes%s\n",
	       (unsigned long long)o.size, o.full, full_percent(&st), o.codec, o.window ? WINDOW : 1, o.batch, o.hot,
	       o.snapshot, (unsigned long long)done, err ? ", then an error" : "");
	printf("  written for each byte of data: %.2f (data %.2f of it moved %.2f, log %.2f, nodes %.2f); "
	       "checkpoints %llu\n",
	       (double)(disk.bytes - bytes) / 4096 / user, (double)(st.data_blocks - before->data_blocks) / user,
	       (double)(st.moved_blocks - before->moved_blocks) / user,
	       (double)(st.log_blocks - before->log_blocks) / user,
	       (double)(st.node_blocks - before->node_blocks) / user,
	       (unsigned long long)(st.checkpoints - before->checkpoints));
	spread_report();
	if (err)
		printf("  FAILED: error %d\n", err);
}

/* compact: so many blocks moved, at most, for every 100 written; at the end as much as it gains. */
static int compact(u64 i)
{
	static u64 credit;
	struct tfs_stat before = stat_now();
	int err = 0;

	credit += o.compact;
	if (!o.compact || i % 64 || credit < 6400)
		return 0;
	err = tfs_compact_step(vol, 64, o.now ? TFS_COMPACT_NOW : 0);
	if (err >= 0)
		credit -= (stat_now().moved_blocks - before.moved_blocks) * 100;
	return err < 0 ? err : 0;
}

static int compact_end(void)
{
	int err = 1;

	while (err > 0 && o.end)
		err = tfs_compact_step(vol, 64, TFS_COMPACT_NOW);
	return err < 0 ? err : tfs_checkpoint(vol);
}

/* The older one first: two at once would hold twice as much. */
static int snapshot_renew(void)
{
	u64 epoch;
	int err = 0;

	if (!tfs_snapshot_find(vol, "day", 3, &epoch))
		err = tfs_snapshot_delete(vol, epoch);
	for (int more = !err; more > 0;)
		err = more = tfs_snapshot_step(vol);
	return err ? err : tfs_snapshot_create(vol, "day", 3, &epoch);
}

/* Not when less than a day is left: what is said at the end is of a full one. */
static int snapshot_daily(u64 i, u64 total)
{
	u64 day = o.size * 256 * o.snapshot / 100 / (o.window ? WINDOW : 1);

	return day && i % day == 0 && i + day <= total ? snapshot_renew() : 0;
}

/* What was overwritten comes to lie in one place a window, as far as there are holes. */
static struct tfs_defrag defrag(void)
{
	struct tfs_defrag d = {.ino = 1, .last = TFS_INO_MAX, .places = 2};
	int err = 1;

	while (err > 0)
		err = tfs_defrag_step(vol, &d, 64);
	printf("  then joined: %llu of %llu scattered windows, %.1f MiB moved%s\n", (unsigned long long)d.joined,
	       (unsigned long long)d.scattered, (double)d.moved / 256, err ? ", then an error" : "");
	must(tfs_checkpoint(vol), "checkpoint");
	spread_report();
	return d;
}

static void age(void)
{
	u64 total = o.size * 256 * o.times / (o.window ? WINDOW : 1), i, bytes;
	struct tfs_stat before;
	u64 lacking = ~0ull; /* as in admin/defrag.c */
	int err = 0;

	files_fill();
	before = stat_now();
	bytes = disk.bytes;
	for (i = 0; !err && i < total; i++) {
		err = snapshot_daily(i, total);
		if (!err)
			err = overwrite();
		if (!err && i % o.batch == o.batch - 1)
			err = tfs_sync(vol);
		if (!err)
			err = compact(i);
	}
	if (!err)
		err = tfs_checkpoint(vol);
	report(bytes, i, &before, err);
	if (!err && o.end) {
		before = stat_now();
		err = compact_end();
		compact_report(&before, err);
	}
	while (!err && o.defrag) {
		struct tfs_defrag d = defrag();

		if (!d.lacking || d.lacking > lacking - lacking / 16)
			break;
		lacking = d.lacking;
		before = stat_now();
		err = compact_end();
		compact_report(&before, err);
	}
	err = err ? err : tfs_unmount(vol);
	must(err, "ageing");
}

static void volume_make(void)
{
	struct tfs_format_options f = {
	    .size = o.size << 20, .segment_bits = o.segment, .codec = (u8)o.codec, .uuid = "age"};
	struct tfs_env env = {.now = env_now, .random = env_random};
	struct tfs_mount_options m = {.cache_nodes = 16384, .dirty_nodes = o.nodes};

	disk.dev = (struct tfs_dev){.ops = &disk_ops, .size = f.size};
	disk.data = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(disk.data == MAP_FAILED ? -ENOMEM : 0, "mmap");
	must(tfs_format(&disk.dev, &env, &f, &vol), "format");
	must(tfs_format_finish(vol, 0), "format");
	must(tfs_unmount(vol), "format");
	must(tfs_mount(&disk.dev, &env, &m, &vol), "mount");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"size", 1, 0, 's'},    {"times", 1, 0, 't'}, {"full", 1, 0, 'f'},   {"batch", 1, 0, 'b'},
	    {"files", 1, 0, 'n'},   {"hot", 1, 0, 'h'},   {"codec", 1, 0, 'c'},  {"window", 0, 0, 'w'},
	    {"compact", 1, 0, 'C'}, {"now", 0, 0, 'N'},   {"end", 0, 0, 'E'},    {"snapshot", 1, 0, 'S'},
	    {"segment", 1, 0, 'g'}, {"nodes", 1, 0, 'd'}, {"defrag", 0, 0, 'D'}, {0, 0, 0, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?') {
			fprintf(stderr,
			        "usage: tfs-age [--size MiB] [--times N] [--full PERCENT] [--batch N] [--files N] "
			        "[--hot PERCENT] [--codec N] [--window] [--compact PERCENT [--now]] [--end] "
			        "[--snapshot PERCENT] [--segment BITS] [--nodes DIRTY] [--defrag]\n");
			return 2;
		}
		if (c == 'w')
			o.window = 1;
		else if (c == 'N')
			o.now = 1;
		else if (c == 'E')
			o.end = 1;
		else if (c == 'D')
			o.end = o.defrag = 1;
		else if (c == 's')
			o.size = strtoull(optarg, NULL, 0);
		else if (c == 't')
			o.times = strtoull(optarg, NULL, 0);
		else
			*(c == 'f'   ? &o.full
			  : c == 'b' ? &o.batch
			  : c == 'n' ? &o.files
			  : c == 'h' ? &o.hot
			  : c == 'C' ? &o.compact
			  : c == 'S' ? &o.snapshot
			  : c == 'g' ? &o.segment
			  : c == 'd' ? &o.nodes
			             : (u32 *)&o.codec) = (u32)atoi(optarg);
	}
	if (o.files < 1 || o.files > 64 || o.batch < 1) {
		fprintf(stderr, "tfs-age: expected 1 to 64 files and a batch of at least 1\n");
		return 2;
	}
	volume_make();
	age();
	return 0;
}
