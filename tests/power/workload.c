// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The workloads of the crash simulator. All start from the base, keep the model beside the volume and have crash states
 * made at every flush. Of one, two and three operations of the table, every one there is, with and without a sync in
 * between; random histories; and a log that runs in circles within one generation. Each has an id that repeats just it;
 * ID@N repeats its Nth state alone. Called by main.c.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- workloads ---- */

static int op_run(struct tfs_vol *vol, int op)
{
	u64 from = tfs_sequence(vol), old = power_hash;
	int err = power_op_run(vol, op);

	if (err) /* else its last call made the step */
		power_step(vol);
	if (err && power_hash != old && tfs_sequence(vol) == from)
		power_fail(power_op_name(op), "a failed operation changed the volume");
	if (err < 0 && (!strcmp(power_op_name(op), "sync") || !strncmp(power_op_name(op), "checkpoint", 10) ||
	                !strncmp(power_op_name(op), "compact", 7)))
		power_fail(power_op_name(op), "failed on a sound device");
	if (power_verbose)
		printf("%s: %d\n", power_op_name(op), err);
	return err;
}

static void sync_now(struct tfs_vol *vol)
{
	if (tfs_sync(vol))
		power_fail("sync", "failed on a sound device");
}

static bool leftovers; /* what is given up stays on the device, for images that fsck is to search */

/* The base, mounted, under the eyes of the model. */
static struct tfs_vol *workload_start(void)
{
	struct tfs_mount_options opt = {.flags = leftovers ? 0 : TFS_MOUNT_DISCARD};
	struct tfs_env env = power_env_model();
	struct tfs_vol *vol;

	power_model_reset();
	power_dev_reset(&power_run);
	power_clock = 1000;
	power_state = 0;
	power_promise_forget();
	power_run.before_flush = NULL;
	power_must(tfs_mount(&power_run.dev, &env, &opt, &vol), "base does not mount");
	power_solid_start(&power_run);
	power_run.before_flush = power_crash_flush;
	power_begin(vol);
	return vol;
}

/*
 * syncs: bit i asks for a sync after operation i; the last one always has its own. States are made from operation
 * `from` on: those before are the states of a shorter workload, which runs by itself.
 */
static void workload_run(const int *ops, int n, u32 syncs, int from)
{
	struct tfs_vol *vol = workload_start();
	int i;

	for (i = 0; i < n; i++) {
		power_run.before_flush = i < from ? power_solidify : power_crash_flush;
		op_run(vol, ops[i]);
		if (syncs >> i & 1 || i == n - 1)
			sync_now(vol);
	}
	power_crash_states(&power_run, NULL);
	if (power_unmount(vol))
		power_fail("unmount", "failed");
}

static void run_one(const char *prefix, const int *ops, int n, u32 syncs, int from)
{
	int i, len = snprintf(power_workload, sizeof(power_workload), "%s%u", prefix, syncs);

	for (i = 0; i < n; i++)
		len += snprintf(power_workload + len, sizeof(power_workload) - (size_t)len, ",%d", ops[i]);
	power_rng = 88172645463325252ull;
	workload_run(ops, n, syncs, from);
}

/* Every workload of one and of two operations. */
void power_pairs(int part, int parts)
{
	int n = power_ops(), ops[2];

	for (ops[0] = part; ops[0] < n; ops[0] += parts) {
		run_one("", ops, 1, 0, 0);
		for (ops[1] = 0; ops[1] < n; ops[1]++) {
			run_one("", ops, 2, 0, 0);
			run_one("", ops, 2, 1, 0);
		}
	}
}

/*
 * Every workload of three, without syncs, with one after the first, after the second, and after both. A crash before
 * the third operation begins leaves what a workload of two leaves, so states begin there. Shuffled by a fixed rule, so
 * that a part of them is a fair part: `index` below power_triples() names a workload for ever.
 */
u64 power_triples(void)
{
	u64 n = (u64)power_ops();

	return n * n * n;
}

void power_triple(u64 index)
{
	u64 n = (u64)power_ops(), at = index * 1000000007ull % power_triples(); /* a prime: all are met */
	int ops[3] = {(int)(at / n / n), (int)(at / n % n), (int)(at % n)};
	u32 syncs;

	for (syncs = 0; syncs < 4; syncs++)
		run_one("t", ops, 3, syncs, 2);
}

/* ---- random histories ---- */

/* Which volume a seed runs on: its size, its codec, whether it is full, whether the root has many names. */
static void history_base(u64 seed)
{
	static u64 have_size = POWER_SIZE;
	static u8 have_codec = TFS_CODEC_LZ4;
	u64 size = seed % 4 == 1 ? POWER_SIZE_LARGE : POWER_SIZE;
	u8 codec = seed % 5 == 0 ? TFS_CODEC_NONE : seed % 16 == 3 ? TFS_CODEC_ZLIB : TFS_CODEC_LZ4;

	if (size == have_size && codec == have_codec)
		return;
	power_base_make(have_size = size, have_codec = codec);
}

static void no_step(struct tfs_vol *vol, int err)
{
	(void)vol;
	(void)err;
}

/*
 * shred: and in single blocks, so that nodes become gangs; room: some of them are free. One step for all of it: no
 * crash state is made before its checkpoint, and none may go back behind that.
 */
static void history_fill(struct tfs_vol *vol, bool shred, bool room)
{
	void (*plain)(struct tfs_vol * vol, int err) = power_called;

	power_run.before_flush = power_solidify;
	power_called = no_step;
	if (shred) {
		power_shred(vol);
		if (room)
			power_unshred(vol);
		power_must(tfs_checkpoint(vol), "checkpoint");
	} else if (power_fill(vol) || tfs_checkpoint(vol))
		power_fail("fill", "a full volume is stuck");
	power_called = plain;
	power_run.before_flush = power_crash_flush;
	power_step(vol);
}

/* Of four mounts one with so few nodes that operations begin with checkpoints, and one whose host would take them: its
 * steps are operations of the table, and when it is late an operation ends the one that runs. */
static void few_dirty(struct tfs_mount_options *opt)
{
	u64 turn = power_rng >> 32 & 3; /* looked at, not drawn */

	if (turn < 2)
		opt->dirty_nodes = 24;
	if (turn == 1)
		opt->flags |= TFS_MOUNT_CHECKPOINTS;
}

/* Crash states are made of what the unmount and the recovery write, too. crash: only what is synced is there. frees:
 * what a deleted snapshot or a rollback left is not freed by the mount, but beside what comes. */
static struct tfs_vol *remount(struct tfs_vol *vol, bool crash, bool frees)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_DISCARD | (frees ? TFS_MOUNT_FREES : 0)};
	struct tfs_env env = power_env_model();
	int err;

	few_dirty(&opt);

	if (crash) {
		sync_now(vol);
		power_abandon(vol);
	} else if (power_unmount(vol)) {
		power_fail("unmount", "failed");
	}
	power_promise_forget();
	err = tfs_mount(&power_run.dev, &env, &opt, &vol);
	if (err) {
		power_fail("mount", "what was unmounted does not mount");
		return NULL;
	}
	power_owed_mounted(vol);
	power_snaps_settle(vol);
	power_size_settle(vol);
	power_owed_called(vol);
	power_step(vol);
	return vol;
}

/* snaps: one call in four is about a snapshot; shred: one in eight about a gang */
static void history_step(struct tfs_vol *vol, u64 r, bool wide, bool snaps, bool shred)
{
	if (shred && r % 8 == 2)
		power_shred_touch(vol, (u32)(r >> 8));
	if (snaps && r % 4 == 1)
		power_snapshot_any(vol, r >> 8);
	else if (wide && r % 4 == 0)
		power_names(vol, (u32)(r >> 8) % 64, 1 + (u32)(r >> 16) % 8, r >> 24 & 1);
	else if (r % 16 == 5)
		power_promise(vol);
	else if (op_run(vol, (int)((r >> 8) % (u64)power_ops())) != -ENOENT || r % 3)
		return;
	else
		power_restore(vol);
	power_step(vol);
}

/* A random history: its id is the seed. Fewer subsets at each flush, many operations. */
static struct tfs_vol *history_start(u64 seed)
{
	struct tfs_vol *vol;

	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	history_base(seed);
	vol = workload_start();
	if (seed % 3 == 0 || seed % 11 == 4)
		history_fill(vol, seed % 11 == 4, seed % 5 == 1);
	return vol;
}

struct tfs_vol *power_history_volume(u64 seed, int length)
{
	struct tfs_vol *vol;
	int i;

	leftovers = true;
	vol = history_start(seed);
	leftovers = false;
	power_run.before_flush = NULL;
	for (i = 0; i < length; i++)
		history_step(vol, power_random(), seed % 7 == 2, false, false);
	return vol;
}

void power_history(u64 seed, int length)
{
	u32 exhaust = power_exhaust;
	struct tfs_vol *vol;
	int i;

	snprintf(power_workload, sizeof(power_workload), "r%llu,%d", (unsigned long long)seed, length);
	if (power_exhaust > 3)
		power_exhaust = 3;
	vol = history_start(seed);
	for (i = 0; vol && i < length; i++) {
		u64 r = power_random();

		history_step(vol, r, seed % 7 == 2, seed % 5 == 1, seed % 11 == 4 && seed % 5 == 1);
		if (r % 7 == 0)
			sync_now(vol);
		if (r % 64 < 2)
			vol = remount(vol, r & 1, r >> 6 & 1);
	}
	if (vol && power_unmount(vol))
		power_fail("unmount", "failed");
	power_exhaust = exhaust;
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
void power_churn(u64 seed, int rounds)
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
	history_fill(vol, false, false);
	power_run.before_flush = churn_flush;
	for (i = 0; i < rounds; i++) {
		const char *name = small[power_random() % (sizeof(small) / sizeof(small[0]))];

		for (j = 0; strcmp(power_op_name(j), name); j++)
			;
		op_run(vol, j);
		if (power_random() % 4)
			sync_now(vol);
	}
	if (power_unmount(vol))
		power_fail("unmount", "failed");
	if (run_reuses < 4)
		power_fail("churn", "no log run was used again: the workload proves nothing");
}

/* ---- full, with and without snapshots ---- */

static void few_flush(struct power_dev *d, void *arg)
{
	power_crash_few(d);
	power_solidify(d, arg);
}

/* One of the large files goes, is written over or comes back. */
static int wedge_call(struct tfs_vol *vol, u64 r)
{
	static const int what[] = {0, 1, 1, 2};

	return power_large(vol, (u32)(r >> 8) % 100, what[r % 4]);
}

/*
 * Fill to ENOSPC, delete at random, refill, while snapshots come and go: whatever they hold, deleting them works, and
 * with the last of them everything that frees space does, and no block is lost.
 */
void power_wedge(u64 seed, int rounds)
{
	void (*plain)(struct tfs_vol * vol, int err) = power_called;
	struct tfs_stat empty, st;
	struct tfs_vol *vol;
	int i, j;

	snprintf(power_workload, sizeof(power_workload), "w%llu,%d", (unsigned long long)seed, rounds);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	vol = workload_start();
	power_called = no_step; /* too many calls for a step after each */
	tfs_statfs(vol, &empty);
	for (i = 0; vol && i < rounds; i++) {
		power_run.before_flush = power_solidify;
		power_promise(vol); /* while data is delayed, writes go to the floor of what frees space */
		for (j = 0; j < 150; j++) {
			u64 r = power_random();

			if (r % 16 == 0 && i % 4)
				power_step(vol), power_snapshot_any(vol, r >> 8 | 1);
			else
				wedge_call(vol, r >> 8);
		}
		power_step(vol);
		if (power_verbose) {
			tfs_statfs(vol, &st);
			printf("round %d: %llu free, %u snapshots\n", i, (unsigned long long)st.free, st.snapshots);
		}
		sync_now(vol);
		power_run.before_flush = few_flush;
		vol = remount(vol, i & 1, false);
		power_snapshots_drop(vol, i % 4 == 3 ? 0 : 2);
		if (i % 4 != 3)
			continue;
		for (j = 0; j < 100; j++)
			power_large(vol, (u32)j, 0);
		power_step(vol);
		power_run.before_flush = power_solidify;
		vol = remount(vol, true, false); /* orphans that there was no room to free */
		if (!vol || tfs_checkpoint(vol) || tfs_checkpoint(vol))
			power_fail("wedge", "no checkpoint on an empty volume");
		tfs_statfs(vol, &st);
		if (st.free + 64 < empty.free)
			power_fail("wedge", "space is lost");
	}
	power_called = plain;
	if (vol && power_unmount(vol))
		power_fail("unmount", "failed");
}

/* ---- what is shared, and held, and given back ---- */

static void sharing_snapshot(struct tfs_vol *vol, u64 r)
{
	static const char *const names[] = {"x", "y", "z"};
	const char *name = names[r % 3];
	int steps = (int)(r >> 8 & 1) - !(r >> 9 & 3); /* 0 or 1, now and then all */

	if (r >> 16 & 1)
		power_snapshot_make(vol, name);
	else if (r >> 17 & 1)
		power_rollback(vol, name, steps);
	else
		power_snapshot_drop(vol, name, steps);
}

/* They hold what they have to also as memory shows them, which still knows what lay at their places before. */
static void snapshots_look(struct tfs_vol *vol)
{
	const char *why = tfs_checkpoint_running(vol) ? NULL : power_snaps_judge(vol, true);

	if (why)
		power_fail("live", why);
}

/*
 * Files that share content with each other and themselves, written over, cut, deleted and compacted, under snapshots
 * that come, go and are gone back to, on mounts that free beside it. Few states at each flush, many orders.
 */
void power_sharing(u64 seed, int rounds)
{
	static const char *const calls[] = {"clone a to b",
	                                    "clone a in itself",
	                                    "clone a 4+3 to d/c 20",
	                                    "clone b to a",
	                                    "clone raw a to b",
	                                    "clone raw a 2+9 to a 20",
	                                    "clone raw a thrice and cut",
	                                    "reflink a to b",
	                                    "reflink a 3+20 to d/c 10",
	                                    "reflink d/c to a 1",
	                                    "write a 64K compressible",
	                                    "overwrite a 4K at 20K",
	                                    "write d/c 130K",
	                                    "truncate a 6000",
	                                    "truncate d/c 70000",
	                                    "punch a 1+2",
	                                    "punch d/c 10+20",
	                                    "unlink b",
	                                    "unlink a kept open",
	                                    "rename b a",
	                                    "exchange a d/c",
	                                    "setxattr a big",
	                                    "checkpoint",
	                                    "checkpoint step",
	                                    "compact",
	                                    "compact step",
	                                    "snapshot q in steps",
	                                    "snapshot p among writes",
	                                    "delete p",
	                                    "delete q in part"};
	struct tfs_vol *vol;
	int i, j;

	snprintf(power_workload, sizeof(power_workload), "s%llu,%d", (unsigned long long)seed, rounds);
	history_base(seed);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	vol = workload_start();
	power_run.before_flush = few_flush;
	for (i = 0; vol && i < rounds; i++) {
		u64 r = power_random();

		if (r % 4 == 0)
			sharing_snapshot(vol, r >> 8);
		else if (r % 16 == 1)
			tfs_snapshot_step(vol);
		else {
			for (j = 0; strcmp(power_op_name(j), calls[(r >> 8) % (sizeof(calls) / sizeof(calls[0]))]); j++)
				;
			if (op_run(vol, j) == -ENOENT)
				power_restore(vol);
		}
		power_step(vol);
		if (r >> 32 & 1)
			sync_now(vol);
		if ((r >> 33) % 4 == 0)
			snapshots_look(vol);
		if ((r >> 35) % 16 == 0)
			vol = remount(vol, r >> 40 & 1, r >> 41 & 3);
	}
	if (vol && power_unmount(vol))
		power_fail("unmount", "failed");
}

/* False: the id is none of a workload. ID@N: the Nth state alone. */
bool power_workload_replay(const char *id)
{
	int ops[64], n = 0, length, triple = *id == 't';
	const char *p = strchr(id, '@');
	unsigned long long seed;

	power_only = p ? strtoul(p + 1, NULL, 10) : 0;
	if (sscanf(id, "r%llu,%d", &seed, &length) == 2) {
		power_history(seed, length);
		return true;
	}
	if (sscanf(id, "w%llu,%d", &seed, &length) == 2) {
		power_wedge(seed, length);
		return true;
	}
	if (sscanf(id, "l%llu,%d", &seed, &length) == 2) {
		power_churn(seed, length);
		printf("%u log runs used again\n", run_reuses);
		return true;
	}
	if (sscanf(id, "s%llu,%d", &seed, &length) == 2) {
		power_sharing(seed, length);
		return true;
	}
	for (p = strchr(id, ','); p && n < 64; p = strchr(p + 1, ',')) {
		ops[n] = atoi(p + 1);
		if (ops[n] < 0 || ops[n++] >= power_ops())
			return false;
	}
	if (!n)
		return false;
	run_one(triple ? "t" : "", ops, n, (u32)atoi(id + triple), triple ? 2 : 0);
	return true;
}
