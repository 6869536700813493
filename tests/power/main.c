// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The crash simulator. A workload runs on a recording RAM device; at every flush crash states are made (crash.c), and
 * each is recovered read-write and compared: the sequence it recovered to must be at or above what was durable, and
 * names, attributes and contents must be exactly those of that sequence. Accounting must be exact. Workloads: every one
 * of one and of two operations of the table, random histories, and a log that runs in circles. A failure prints an id
 * that replays just it. Other modes: --costs (cost.c), --faults (faults.c), --flip (flip.c).
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

/* ---- workloads ---- */

static int op_run(struct tfs_vol *vol, int op)
{
	u64 from = tfs_sequence(vol), old = power_hash;
	int err = power_op_run(vol, op);

	power_step(vol);
	if (err && power_hash != old && tfs_sequence(vol) == from)
		power_fail(power_op_name(op), "a failed operation changed the volume");
	if (power_verbose)
		printf("%s: %d\n", power_op_name(op), err);
	return err;
}

static struct tfs_vol *workload_start(void)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env_model();
	struct tfs_vol *vol;

	power_model_reset();
	power_dev_reset(&power_run);
	power_clock = 1000;
	power_run.before_flush = NULL;
	power_must(tfs_mount(&power_run.dev, &env, &opt, &vol), "base does not mount");
	power_solid_start(&power_run);
	power_run.before_flush = power_crash_flush;
	power_begin(vol);
	return vol;
}

static void workload_run(const int *ops, int n, bool sync_each)
{
	struct tfs_vol *vol;
	int i;

	vol = workload_start();
	for (i = 0; i < n; i++) {
		op_run(vol, ops[i]);
		if (sync_each || i == n - 1)
			tfs_sync(vol);
	}
	power_crash_states(&power_run, NULL);
	if (tfs_unmount(vol))
		power_fail("unmount", "failed");
}

/* ---- what to run ---- */

static void run_one(const int *ops, int n, bool sync_each)
{
	int i, len = snprintf(power_workload, sizeof(power_workload), "%d", sync_each);

	for (i = 0; i < n; i++)
		len += snprintf(power_workload + len, sizeof(power_workload) - (size_t)len, ",%d", ops[i]);
	power_rng = 88172645463325252ull;
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

	snprintf(power_workload, sizeof(power_workload), "r%llu,%d", (unsigned long long)seed, length);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	power_sample_limit = 0;
	vol = workload_start();
	if (seed % 3 == 0) {
		power_run.before_flush = power_solidify;
		if (power_fill(vol) || tfs_checkpoint(vol))
			power_fail("fill", "a full volume is stuck");
		power_run.before_flush = power_crash_flush;
		power_step(vol);
	}
	for (i = 0; i < length; i++) {
		u64 r = power_random();

		if (op_run(vol, (int)((r >> 8) % (u64)power_ops())) == -ENOENT && r % 3 == 0) {
			power_restore(vol);
			power_step(vol);
		}
		if (r % 7 == 0)
			tfs_sync(vol);
	}
	if (tfs_unmount(vol))
		power_fail("unmount", "failed");
	power_sample_limit = 10;
}

/* ---- log runs used again within one generation ---- */

static u8 run_seen[POWER_PAGES];
static u64 run_last;
static u32 run_reuses;

/* Few states at each flush, for there are many flushes; and a look at where the log goes. */
static void churn_flush(struct power_dev *d, void *arg)
{
	u32 i;

	for (i = 0; i < d->flights; i++) {
		const struct tfs_log_head *h = (const struct tfs_log_head *)d->flight[i].data;
		u64 run = tfs_le64(h->run) / TFS_UNITS_PER_BLOCK;

		if (tfs_le32(h->head.magic) != TFS_MAGIC || tfs_le16(h->head.type) != TFS_BT_LOG || run == run_last)
			continue;
		run_reuses += run_seen[run];
		run_seen[run] = 1;
		run_last = run;
	}
	power_crash_few(d);
	power_solidify(d, arg);
}

/* A full volume, every small operation synced: the log comes back to the same places again and again. */
static void run_churn(u64 seed, int rounds)
{
	static const char *const small[] = {"chmod a",          "utimes d/c", "setxattr a small", "removexattr a small",
	                                    "setxattr d small", "create b",   "unlink b",         "symlink s",
	                                    "write a inline"};
	struct tfs_vol *vol;
	int i, j;

	snprintf(power_workload, sizeof(power_workload), "l%llu,%d", (unsigned long long)seed, rounds);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	memset(run_seen, 0, sizeof(run_seen));
	run_last = run_reuses = 0;
	vol = workload_start();
	power_run.before_flush = power_solidify;
	if (power_fill(vol) || tfs_checkpoint(vol))
		power_fail("fill", "a full volume is stuck");
	power_step(vol);
	power_run.before_flush = churn_flush;
	for (i = 0; i < rounds; i++) {
		const char *name = small[power_random() % (sizeof(small) / sizeof(small[0]))];

		for (j = 0; strcmp(power_op_name(j), name); j++)
			;
		op_run(vol, j);
		if (power_random() % 4)
			tfs_sync(vol);
	}
	if (tfs_unmount(vol))
		power_fail("unmount", "failed");
	if (run_reuses < 4)
		power_fail("churn", "no log run was used again: the workload proves nothing");
}

static void replay(const char *id)
{
	int ops[64], n = 0, sync_each;
	const char *p;
	unsigned long long seed;
	int length;

	power_verbose = 1;
	if (power_faults_replay(id) || power_flip_replay(id))
		return;
	if (sscanf(id, "r%llu,%d", &seed, &length) == 2) {
		run_random(seed, length);
		return;
	}
	if (sscanf(id, "l%llu,%d", &seed, &length) == 2) {
		run_churn(seed, length);
		printf("%u log runs used again\n", run_reuses);
		return;
	}
	sync_each = atoi(id);
	for (p = strchr(id, ','); p && n < 64; p = strchr(p + 1, ','))
		ops[n++] = atoi(p + 1);
	run_one(ops, n, sync_each);
}

static void quiet(int level, const char *line)
{
	if (power_verbose)
		printf("  [%d] %s\n", level, line);
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct report {
	unsigned long states, failures;
	double seconds; /* of processor time: others may be at work */
};

static int histories = 20, length = 200, seconds;

static void crashes(int part, int parts)
{
	double t0 = now(CLOCK_MONOTONIC);
	int i;

	if (!seconds) {
		run_churn((u64)part + 1, 1200);
		run_pairs(part, parts);
	}
	for (i = part; seconds ? now(CLOCK_MONOTONIC) - t0 < seconds : i < histories; i += parts)
		run_random((u64)i + 1 + (seconds ? (u64)time(NULL) * 1000 : 0), length);
}

static void child(void (*mode)(int part, int parts), int part, int parts, int fd)
{
	struct report r;
	double t0 = now(CLOCK_PROCESS_CPUTIME_ID);

	mode(part, parts);
	free(power_run.flight);
	r = (struct report){power_states, power_failures, now(CLOCK_PROCESS_CPUTIME_ID) - t0};
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		exit(2);
	exit(power_failures != 0);
}

/* The parts of a mode, a process each. */
static int spread(const char *what, void (*mode)(int part, int parts), int jobs)
{
	int i, status, bad = 0, pipes[2];
	unsigned long all = 0;
	double cpu = 0;

	if (pipe(pipes))
		return 2;
	for (i = 0; i < jobs; i++)
		if (!fork())
			child(mode, i, jobs, pipes[1]);
	close(pipes[1]);
	for (i = 0; i < jobs; i++) {
		struct report r = {0, 0, 0};

		wait(&status);
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
		if (WIFEXITED(status) && WEXITSTATUS(status) < 2 && read(pipes[0], &r, sizeof(r)) == sizeof(r)) {
			all += r.states;
			cpu += r.seconds;
		}
	}
	printf("%s: %d operations, %lu states, %.0f states a second and core\n", what, power_ops(), all,
	       cpu > 0 ? (double)all / cpu : 0);
	return bad != 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"replay", 1, 0, 'r'}, {"histories", 1, 0, 'h'}, {"length", 1, 0, 'l'},
	                                        {"jobs", 1, 0, 'j'},   {"seconds", 1, 0, 's'},   {"costs", 0, 0, 'c'},
	                                        {"faults", 0, 0, 'f'}, {"flip", 2, 0, 'x'},      {0, 0, 0, 0}};
	void (*mode)(int part, int parts) = crashes;
	const char *what = "crash simulator";
	int c, jobs = 2;

	mallopt(M_MMAP_THRESHOLD, 1 << 30); /* a mount's buffers come and go thousands of times a second */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	tfs_user_log_sink(quiet);
	power_base_make();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			return power_costs();
		case 'f':
			mode = power_faults;
			what = "faults met";
			break;
		case 'x':
			mode = power_flip;
			what = "flip";
			power_flip_all = optarg && !strcmp(optarg, "all");
			break;
		case 'r':
			replay(optarg);
			printf("%lu states, %lu failures\n", power_states, power_failures);
			return power_failures != 0;
		case '?':
			return 2;
		default:
			*(c == 'h' ? &histories : c == 'l' ? &length : c == 's' ? &seconds : &jobs) = atoi(optarg);
		}
	}
	return spread(what, mode, jobs < 1 ? 1 : jobs);
}
