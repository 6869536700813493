// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The crash simulator. A workload runs on a recording RAM device; before every flush, every FUA write and at the end the
 * writes in flight are dropped, kept, torn and mixed in all the ways a disk may, and each such state is recovered
 * read-write and compared: the sequence it recovered to must be at or above what was durable, and names, attributes
 * and contents must be exactly those of that sequence. Accounting must be exact. Workloads: every one of one and of
 * two operations of the table, and random histories. A failure prints an id that replays just it.
 */
#include "tests/power/power.h"
#include "tfs/user/port.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECORDS_MAX 65536u

static struct power_dev run_dev, crash_dev;
static u64 want_hash[RECORDS_MAX]; /* by sequence - first_seq */
static u64 first_seq, durable_seq;
static unsigned long states, failures;
static char workload[160];
static u64 rng;
static u32 sample_limit = 10; /* above so many in flight, subsets are sampled */
static int verbose;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* ---- judging a state ---- */

static void fail(const char *state, const char *what)
{
	failures++;
	fprintf(stderr, "FAILED %s: %s; repeat: tfs-power --replay '%s'\n", state, what, workload);
	if (failures > 20)
		exit(3); /* no report: enough is known */
}

static void judge_volume(struct tfs_vol *vol, const char *state)
{
	struct tfs_stat st;
	u64 seq = tfs_sequence(vol), hash;
	char text[200];
	int err;

	tfs_statfs(vol, &st);
	if (st.damaged) {
		fail(state, "a crash was taken for damage");
		return;
	}
	if (seq < durable_seq || seq - first_seq >= RECORDS_MAX) {
		snprintf(text, sizeof(text), "recovered to record %llu, but records below %llu were durable",
			 (unsigned long long)seq, (unsigned long long)durable_seq);
		fail(state, text);
		return;
	}
	hash = power_walk(vol, false, &err);
	if (err) {
		snprintf(text, sizeof(text), "recovered volume cannot be read: error %d", err);
		fail(state, text);
	} else if (hash != want_hash[seq - first_seq]) {
		snprintf(text, sizeof(text), "state differs from that of record %llu", (unsigned long long)seq);
		fail(state, text);
	}
	if (states % 4 == 0 || failures) {
		const char *why = power_account_dev(vol, &crash_dev.dev);

		if (why)
			fail(state, why);
	}
}

static void judge(const char *state)
{
	struct tfs_mount_options opt = { 0 };
	struct tfs_env env = power_env();
	u64 clock = power_clock;
	struct tfs_vol *vol;
	char text[100];
	int err;

	states++;
	if (states % 16 == 0)
		opt.flags = TFS_MOUNT_RO;
	err = tfs_mount(&crash_dev.dev, &env, &opt, &vol);
	if (err) {
		snprintf(text, sizeof(text), "does not mount: error %d", err);
		fail(state, text);
	} else {
		judge_volume(vol, state);
		tfs_abandon(vol);
	}
	power_clock = clock;
	power_dev_reset(&crash_dev);
}

/* ---- making states ---- */

/* What reached the platter before the writes in flight. */
static u8 *solid[POWER_PAGES];
static u32 solid_touched[POWER_PAGES], solids;

static void solid_set(u64 page, u8 *data)
{
	if (solid[page] == power_base[page])
		solid_touched[solids++] = (u32)page;
	solid[page] = data;
}

static void solid_reset(void)
{
	while (solids) {
		u32 p = solid_touched[--solids];

		solid[p] = power_base[p];
	}
}

static void state_base(void)
{
	u32 i;

	for (i = 0; i < solids; i++)
		power_dev_page(&crash_dev, solid_touched[i], solid[solid_touched[i]]);
}

/* sectors of the write reached the disk, from the front or (from_end) from the end */
static void land(const struct power_write *w, u32 sectors, bool from_end)
{
	u32 all = w->pages * 8, s;

	if (sectors >= all) {
		for (s = 0; s < w->pages; s++)
			power_dev_page(&crash_dev, w->page + s, w->data + s * TFS_BLOCK);
		return;
	}
	for (s = 0; s < all; s++) {
		u64 page = w->page + s / 8;
		bool here = from_end ? s >= all - sectors : s < sectors;

		if (s % 8 == 0) {
			u8 *copy = power_dev_alloc(&crash_dev);

			memcpy(copy, crash_dev.page[page], TFS_BLOCK);
			power_dev_page(&crash_dev, page, copy);
		}
		if (here)
			memcpy(crash_dev.page[page] + s % 8 * 512, w->data + s * 512, 512);
	}
}

static void state_mask(const struct power_dev *d, u64 mask, const char *what)
{
	char name[64];
	u32 i;

	state_base();
	for (i = 0; i < d->flights; i++)
		if (i >= 64 || mask >> i & 1)
			land(&d->flight[i], ~0u, false);
	snprintf(name, sizeof(name), "flush %llu, %s %llx of %u", (unsigned long long)d->flushes, what,
		 (unsigned long long)mask, d->flights);
	judge(name);
}

static void state_torn(const struct power_dev *d, u32 i, u32 sectors, bool from_end)
{
	char name[64];
	u32 j;

	state_base();
	for (j = 0; j < d->flights; j++)
		land(&d->flight[j], j == i ? sectors : ~0u, j == i && from_end);
	snprintf(name, sizeof(name), "flush %llu, write %u of %u torn at %u", (unsigned long long)d->flushes, i,
		 d->flights, sectors);
	judge(name);
}

static void states_sampled(const struct power_dev *d)
{
	u32 n = d->flights < 64 ? d->flights : 64, i;
	u64 all = n == 64 ? ~0ull : (1ull << n) - 1;

	state_mask(d, 0, "none");
	state_mask(d, all, "all");
	for (i = 0; i < 6; i++) {
		u32 k = (u32)(rnd() % n);

		state_mask(d, 1ull << k, "only");
		state_mask(d, all & ~(1ull << k), "all but one");
		state_mask(d, (1ull << k) - 1, "prefix");
		state_mask(d, rnd() & all, "subset");
	}
}

static void crash_states(struct power_dev *d, void *arg)
{
	u64 m;
	u32 i;

	(void)arg;
	if (!d->flights) {
		state_mask(d, 0, "nothing in flight");
		return;
	}
	if (d->flights <= sample_limit && d->flights < 5)
		for (m = 0; m < 1ull << d->flights; m++)
			state_mask(d, m, "subset");
	else
		states_sampled(d);
	for (i = 0; i < d->flights && i < 8; i++) {
		u32 sectors = d->flight[i].pages * 8;

		state_torn(d, i, 1 + (u32)(rnd() % (sectors - 1)), false);
		state_torn(d, i, 1 + (u32)(rnd() % (sectors - 1)), true);
	}
}

/* Everything in flight is on the platter. */
static void solidify(struct power_dev *d, void *arg)
{
	u32 i, j;

	(void)arg;
	for (i = 0; i < d->flights; i++)
		for (j = 0; j < d->flight[i].pages; j++)
			solid_set(d->flight[i].page + j, d->flight[i].data + j * TFS_BLOCK);
}

/* Before a flush returns. */
static void before_flush(struct power_dev *d, void *arg)
{
	crash_states(d, arg);
	solidify(d, arg);
}

/* ---- workloads ---- */

static u64 before_hash;

static void logged(void *ctx, u64 seq, const struct tfs_rec_head *rec)
{
	(void)ctx;
	(void)rec;
	if (seq + 1 - first_seq >= RECORDS_MAX) {
		fprintf(stderr, "power: workload too long\n");
		exit(2);
	}
	/* until power_step: the records that prepare an operation (a tail rewritten) change nothing one can see */
	want_hash[seq + 1 - first_seq] = before_hash;
}

static void durable(void *ctx, u64 seq)
{
	(void)ctx;
	if (seq > durable_seq)
		durable_seq = seq;
}

void power_step(struct tfs_vol *vol)
{
	int err;

	before_hash = power_walk(vol, true, &err);
	want_hash[tfs_sequence(vol) - first_seq] = before_hash;
	if (err)
		fail("walk", "the live volume cannot be read");
}

static void op_run(struct tfs_vol *vol, int op)
{
	u64 from = tfs_sequence(vol), old = before_hash;
	int err = power_op_run(vol, op);

	power_step(vol);
	if (err && before_hash != old && tfs_sequence(vol) == from)
		fail(power_op_name(op), "a failed operation changed the volume");
	if (verbose)
		printf("%s: %d\n", power_op_name(op), err);
}

static struct tfs_vol *workload_start(void)
{
	struct tfs_mount_options opt = { 0 };
	struct tfs_env env = power_env();
	struct tfs_vol *vol;
	int err;

	power_dev_reset(&run_dev);
	solid_reset();
	power_clock = 1000;
	env.logged = logged;
	env.durable = durable;
	run_dev.before_flush = NULL;
	err = tfs_mount(&run_dev.dev, &env, &opt, &vol);
	if (err) {
		fprintf(stderr, "power: base does not mount: error %d\n", err);
		exit(2);
	}
	run_dev.before_flush = before_flush;
	for (u32 i = 0; i < run_dev.touches; i++)
		solid_set(run_dev.touched[i], run_dev.page[run_dev.touched[i]]);
	run_dev.flights = 0;
	first_seq = tfs_sequence(vol);
	durable_seq = first_seq;
	before_hash = power_walk(vol, true, &err);
	want_hash[0] = before_hash;
	return vol;
}

static void base_contents(void);

static void workload_run(const int *ops, int n, bool sync_each)
{
	struct tfs_vol *vol;
	int i;

	power_model_reset();
	base_contents();
	vol = workload_start();
	for (i = 0; i < n; i++) {
		op_run(vol, ops[i]);
		if (sync_each || i == n - 1)
			tfs_sync(vol);
	}
	crash_states(&run_dev, NULL);
	if (tfs_unmount(vol))
		fail("unmount", "failed");
}

/* ---- the base: a, d, d/c ---- */

static u8 base_a[8192];

static void base_contents(void)
{
	memcpy(power_file(2), base_a, sizeof(base_a));
	memcpy(power_file(4), "inline", 6);
}

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "power: %s: error %d\n", what, err);
		exit(2);
	}
}

static void base_file(struct tfs_vol *vol, u64 parent, const char *name, const u8 *data, u32 blocks, u64 size)
{
	struct tfs_create c = { .mode = 0100644 };
	struct tfs_encoded e = { .codec = 0, .blocks = blocks, .bytes = blocks * 4096, .buf = data };
	u64 ino;

	must(tfs_create(vol, parent, name, (u32)strlen(name), &c, &ino), "base file");
	must(tfs_write(vol, ino, 0, &e, size, NULL), "base content");
}

static void base_make(void)
{
	static u8 inlined[4096] = "inline";
	struct tfs_format_options opt = { .size = POWER_SIZE, .codec = TFS_CODEC_LZ4, .uuid = "power simulator" };
	struct tfs_create dir = { .mode = 0040755 };
	struct tfs_env env = power_env();
	struct tfs_vol *vol;
	u8 *zero = calloc(1, TFS_BLOCK);
	u64 d;
	u32 i;

	for (i = 0; i < POWER_PAGES; i++)
		power_base[i] = zero;
	for (i = 0; i < sizeof(base_a); i++)
		base_a[i] = (u8)(i * 7 + i / 256);
	power_dev_init(&run_dev);
	must(tfs_format(&run_dev.dev, &env, &opt, &vol), "format");
	base_file(vol, TFS_INO_ROOT, "a", base_a, 2, 8192);
	must(tfs_create(vol, TFS_INO_ROOT, "d", 1, &dir, &d), "base dir");
	base_file(vol, d, "c", inlined, 1, 6);
	must(tfs_format_finish(vol, 0), "finish");
	tfs_unmount(vol);
	memcpy(power_base, run_dev.page, sizeof(power_base));
	memcpy(solid, power_base, sizeof(solid));
	power_dev_init(&run_dev);
	power_dev_init(&crash_dev);
}

/* ---- what to run ---- */

static void run_one(const int *ops, int n, bool sync_each)
{
	int i, len = snprintf(workload, sizeof(workload), "%d", sync_each);

	for (i = 0; i < n; i++)
		len += snprintf(workload + len, sizeof(workload) - (size_t)len, ",%d", ops[i]);
	rng = 88172645463325252ull;
	workload_run(ops, n, sync_each);
}

static void run_pairs(int part, int parts)
{
	int n = power_ops(), ops[2];

	for (ops[0] = part; ops[0] < n; ops[0] += parts) {
		run_one(ops, 1, false);
		for (ops[1] = 0; ops[1] < n; ops[1]++) {
			run_one(ops, 2, false);
			run_one(ops, 2, true);
		}
	}
}

/* A random history: its id is the seed. Fewer states at each flush, many operations. */
static void run_random(u64 seed, int length)
{
	struct tfs_vol *vol;
	int i;

	snprintf(workload, sizeof(workload), "r%llu,%d", (unsigned long long)seed, length);
	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	sample_limit = 0;
	power_model_reset();
	base_contents();
	vol = workload_start();
	if (seed % 3 == 0) {
		run_dev.before_flush = solidify;
		if (power_fill(vol) || tfs_checkpoint(vol))
			fail("fill", "a full volume is stuck");
		run_dev.before_flush = before_flush;
		power_step(vol);
	}
	for (i = 0; i < length; i++) {
		u64 r = rnd();

		op_run(vol, (int)((r >> 8) % (u64)power_ops()));
		if (r % 7 == 0)
			tfs_sync(vol);
	}
	if (tfs_unmount(vol))
		fail("unmount", "failed");
	sample_limit = 10;
}

static void replay(const char *id)
{
	int ops[64], n = 0, sync_each;
	const char *p;
	unsigned long long seed;
	int length;

	verbose = 1;
	if (sscanf(id, "r%llu,%d", &seed, &length) == 2) {
		run_random(seed, length);
		return;
	}
	sync_each = atoi(id);
	for (p = strchr(id, ','); p && n < 64; p = strchr(p + 1, ','))
		ops[n++] = atoi(p + 1);
	run_one(ops, n, sync_each);
}

static void quiet(int level, const char *line)
{
	if (verbose)
		printf("  [%d] %s\n", level, line);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct report {
	unsigned long states, failures;
	double seconds;
};

static void child(int part, int parts, int histories, int length, int seconds, int fd)
{
	struct report r;
	double t0 = now();
	int i;

	if (!seconds)
		run_pairs(part, parts);
	for (i = part; seconds ? now() - t0 < seconds : i < histories; i += parts)
		run_random((u64)i + 1 + (seconds ? (u64)time(NULL) * 1000 : 0), length);
	free(run_dev.flight);
	r = (struct report){ states, failures, now() - t0 };
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		exit(2);
	exit(failures != 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "replay", 1, 0, 'r' }, { "histories", 1, 0, 'h' },
						 { "length", 1, 0, 'l' },  { "jobs", 1, 0, 'j' },
						 { "seconds", 1, 0, 's' }, { 0, 0, 0, 0 } };
	int c, i, jobs = 2, histories = 20, length = 200, seconds = 0, status, bad = 0, pipes[2];
	unsigned long all = 0;
	double cpu = 0;

	mallopt(M_MMAP_THRESHOLD, 1 << 30); /* a mount's buffers come and go thousands of times a second */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	tfs_user_log_sink(quiet);
	base_make();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r') {
			replay(optarg);
			printf("%lu states, %lu failures\n", states, failures);
			return failures != 0;
		}
		*(c == 'h' ? &histories : c == 'l' ? &length : c == 's' ? &seconds : &jobs) = atoi(optarg ? optarg : "2");
	}
	if (pipe(pipes))
		return 2;
	for (i = 0; i < jobs; i++)
		if (!fork())
			child(i, jobs, histories, length, seconds, pipes[1]);
	close(pipes[1]);
	for (i = 0; i < jobs; i++) {
		struct report r = { 0, 0, 0 };

		wait(&status);
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
		if (WIFEXITED(status) && WEXITSTATUS(status) < 2 && read(pipes[0], &r, sizeof(r)) == sizeof(r)) {
			all += r.states;
			cpu += r.seconds;
		}
	}
	printf("crash simulator: %d operations, %lu states, %.0f states a second and core\n", power_ops(), all,
	       cpu > 0 ? (double)all / cpu : 0);
	return bad != 0;
}
