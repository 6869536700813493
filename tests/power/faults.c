// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-power --faults: the Nth allocation, then the Nth request to the device, fails, then each write and flush from the
 * Nth on; for every N until a pass gets through without meeting it. Passes: each operation of the table on a volume
 * with contents, cold, then sync and checkpoints and unmount; mounting what a crash left after that operation; and a
 * repair of a sound volume, which must change nothing. Always: nothing crashes or leaks; a call that fails changed
 * nothing; one that failed for want of memory succeeds later; the image then mounts, is sound, holds what was durable
 * and equals a state of the history, both with all writes on the platter and with those alone that a flush confirmed.
 * Random histories with a fault every few calls do the same on fuller and fragmented volumes.
 */
#include "tests/power/power.h"
#include "tfs/user/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { NONE, ALLOC, IO, DEAD, KINDS };
static const char *const kinds[] = {"none", "allocation", "request", "each write from"};
static enum kind kind;
static long nth;
static bool handled; /* the fault happened and was judged */
static u64 before_seq;

static void arm(enum kind k, long n)
{
	tfs_user_fail_alloc(k == ALLOC ? n : -1);
	power_run.fail_in = k == IO ? n : -1;
	if (k == DEAD)
		power_run.dies_in = n;
}

/* A device that died stays so until the pass is over; it can be read. */
static void revive(void)
{
	arm(NONE, 0);
	power_run.dies_in = -1;
}

static bool fired(void)
{
	return kind == ALLOC ? tfs_user_alloc_failed()
	                     : (kind == IO && power_run.fail_in == 0) || (kind == DEAD && power_run.dies_in == 0);
}

static void failed(const char *what)
{
	char text[80];

	snprintf(text, sizeof(text), "%s %ld fails", kinds[kind], nth);
	power_fail(text, what);
}

/* After the call that met the fault: the state is that of before, or of after if the call succeeded all the same. */
static void judge_call(struct tfs_vol *vol, int err)
{
	u64 seq = err < 0 && !power_rolled ? before_seq : tfs_sequence(vol), hash;
	bool stopped = kind >= IO;
	char text[100];
	int e;

	arm(NONE, 0);
	handled = true;
	hash = power_walk(vol, stopped, &e); /* a volume that stopped may have lost what was not yet written */
	if (e)
		failed("the volume cannot be read afterwards");
	else if (hash != power_want(seq) && (err < 0 || hash != model_hash())) { /* it may have logged less: a copy that
		                                                                  * it does without */
		snprintf(text, sizeof(text), "call returned %d (records %llu to %llu) and changed the state", err,
		         (unsigned long long)before_seq, (unsigned long long)tfs_sequence(vol));
		failed(text);
	}
	power_frozen = power_rolled = false;
	power_hash = hash;
}

/* Until the fault the states are known from the pass without one; from there on they are walked. */
static void called(struct tfs_vol *vol, int err)
{
	if (power_frozen && fired())
		judge_call(vol, err);
	if (!power_frozen && err >= 0)
		power_step(vol);
	before_seq = tfs_sequence(vol);
}

/* ---- the image ---- */

static void judge_image(struct power_dev *d, const char *what)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env();
	struct tfs_vol *vol;
	char text[120];
	int err;

	snprintf(text, sizeof(text), "%s %ld fails, %s", kinds[kind], nth, what);
	err = tfs_mount(&d->dev, &env, &opt, &vol);
	if (err) {
		power_fail(text, "the image does not mount afterwards");
		return;
	}
	power_judge(vol, &d->dev, text, true);
	power_unmount(vol);
}

static void judge_end(long allocs)
{
	revive();
	power_states++;
	power_state = (unsigned long)nth; /* other filler files each time */
	if (tfs_user_allocs() != allocs)
		failed("memory leaks");
	power_run.before_flush = NULL;
	power_solid_state();
	judge_image(&power_crash, "flushed writes alone");
	power_dev_reset(&power_crash);
	judge_image(&power_run, "all writes");
}

/* ---- one pass ---- */

static int ops[8], nops; /* of the workload */
static bool at_mount;    /* the fault may hit the mount, too */
static u64 end_seq;

static void pass_start(void)
{
	power_model_reset();
	power_dev_reset(&power_run);
	power_solid_reset();
	power_clock = 1000;
	power_run.before_flush = power_solidify;
}

static struct tfs_vol *pass_mount(void)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env_model();
	struct tfs_vol *vol;
	int err;

	pass_start();
	if (at_mount)
		arm(kind, nth);
	err = tfs_mount(&power_run.dev, &env, &opt, &vol);
	handled = at_mount && fired();
	if (!err)
		return vol;
	if (!handled || (kind == ALLOC && err != -ENOMEM))
		failed("the mount fails for no reason, or the wrong one");
	return NULL;
}

static void op_run(struct tfs_vol *vol, int op)
{
	int err = power_op_run(vol, op);

	if (power_frozen && fired())
		judge_call(vol, err < 0 ? err : -1); /* a lookup met it */
}

/* For want of memory a call may fail once, and must do then. */
static void end_call(struct tfs_vol *vol, int (*call)(struct tfs_vol *vol), const char *what)
{
	bool was = handled;
	int err = call(vol);

	called(vol, err);
	if (err < 0 && handled && !was && kind == ALLOC)
		err = call(vol);
	if (err < 0 && kind < IO)
		failed(what);
}

static int some_steps(struct tfs_vol *vol)
{
	int err = tfs_checkpoint_step(vol, 1);

	return err < 0 ? err : 0;
}

static void pass_ops(struct tfs_vol *vol)
{
	int i;

	for (i = 0; i < nops; i++)
		op_run(vol, ops[i]);
	end_call(vol, some_steps, "checkpoint step fails");
	end_call(vol, tfs_sync, "sync fails");
	end_call(vol, tfs_checkpoint, "checkpoint fails");
	end_seq = tfs_sequence(vol);
	tfs_evict(vol, TFS_INO_ROOT); /* begins and does nothing: what a failed call placed is given back */
	if (!fired() && !(kind >= IO && handled) && power_pins_stray(vol))
		failed("blocks stay pinned");
	if (power_unmount(vol) && !handled && !fired())
		failed("unmount fails");
	handled |= fired();
}

/* True if the fault was met. The first pass, without one, learns the states. */
static bool pass(void)
{
	long allocs = tfs_user_allocs();
	struct tfs_vol *vol = pass_mount();

	if (kind == NONE) {
		power_begin(vol);
		model_keep();
	} else {
		power_states_back();
		model_back();
	}
	power_frozen = kind != NONE;
	before_seq = power_first_seq;
	if (handled) { /* the mount met it: what is open now, if anything, must be the state that was there */
		if (vol)
			judge_call(vol, -1);
		arm(NONE, 0);
	} else if (!at_mount) {
		arm(kind, nth);
	}
	if (vol)
		pass_ops(vol);
	if (kind == NONE)
		power_states_keep(end_seq);
	judge_end(allocs);
	return handled;
}

static void passes(const char *prefix, int op)
{
	const long limit = 5000;

	kind = NONE;
	pass();
	for (kind = ALLOC; kind < KINDS; kind++) {
		for (nth = 1; nth < limit; nth++) {
			snprintf(power_workload, sizeof(power_workload), "%s%d,%ld,%d", prefix, kind, nth, op);
			if (!pass())
				break;
		}
		if (nth == limit)
			failed("faults without end");
	}
	kind = NONE;
}

/* ---- workloads ---- */

static int op_named(const char *name)
{
	int i;

	for (i = 0; i < power_ops(); i++)
		if (!strcmp(power_op_name(i), name))
			return i;
	fprintf(stderr, "power: no operation '%s'\n", name);
	exit(2);
}

static const char *const prelude[] = {"write a 64K compressible",
                                      "overwrite a 4K at 28K",
                                      "overwrite a 4K at 20K",
                                      "write d/c 130K",
                                      "write a at 300K",
                                      "create b",
                                      "mkdir e",
                                      "symlink s",
                                      "setxattr a big",
                                      "setxattr a small",
                                      "setxattr d small",
                                      "link a l",
                                      "write f 200K",
                                      "preallocate a"};

/*
 * Every second block on its own, far past what the model of contents holds: extents in several leaves, and a range over
 * them has more items than one record drops.
 */
static void fragment(struct tfs_vol *vol, u64 ino)
{
	static u8 far[TFS_BLOCK];
	u32 b;

	for (b = 24; b < 600; b += 2) {
		bool held = (b + 1) * TFS_BLOCK <= POWER_FILE_MAX;
		u8 *data = held ? power_file(ino) + b * TFS_BLOCK : far;
		struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};

		memset(data, (int)b, TFS_BLOCK);
		power_must(tfs_write(vol, ino, b, &e, 601 * TFS_BLOCK, NULL), "fragment");
		model_write(ino, 601 * TFS_BLOCK, NULL, 0);
		power_step(vol);
	}
}

static void xattrs_many(struct tfs_vol *vol, u64 ino, int n)
{
	static char value[2000], name[16];
	int i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "user.x%d", i);
		memset(value, 'a' + i, sizeof(value));
		power_must(tfs_setxattr(vol, ino, name, (u32)strlen(name), value, sizeof(value), 0), name);
		model_xattr(ino, name, value, sizeof(value), 0);
		power_step(vol);
	}
}

/* A volume with contents becomes the base; unclean: with its last operations in the log only, and `op` as well. */
static void base_fill(int op)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env_model();
	struct tfs_vol *vol;
	u32 i;

	power_model_reset();
	power_dev_reset(&power_run);
	power_run.before_flush = NULL;
	power_clock = 1000;
	power_must(tfs_mount(&power_run.dev, &env, &opt, &vol), "mount");
	power_begin(vol);
	for (i = 0; op < 0 && i < sizeof(prelude) / sizeof(prelude[0]); i++)
		power_must(power_op_run(vol, op_named(prelude[i])), prelude[i]);
	if (op < 0) {
		fragment(vol, 2);
		xattrs_many(vol, 4, 8);
		power_must(power_unmount(vol), "unmount");
	} else {
		power_op_run(vol, op);
		power_must(tfs_sync(vol), "sync");
		power_abandon(vol);
	}
	power_base_take();
}

static void op_set(int op)
{
	ops[0] = op;
	nops = 1;
	at_mount = false;
	power_called = called;
}

/* What is mounted is what a crash after `op` leaves. */
static void mount_set(int op)
{
	base_fill(op);
	op_set(op_named("utimes d/c"));
	at_mount = true;
}

/* In a process of its own, for the base it makes. */
static void mount_passes(int op)
{
	struct {
		unsigned long states, failures;
	} *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	if (!pid) {
		mount_set(op);
		power_states = power_failures = 0;
		passes("m", op);
		shared->states = power_states;
		shared->failures = power_failures;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		power_fail(power_op_name(op), "mounting after it: the process died");
	power_states += shared->states;
	power_failures += shared->failures;
	munmap(shared, 4096);
}

/* ---- repair ---- */

static u64 repaired_hash; /* of the volume, which is sound: a repair that is cut off anywhere leaves it as it was */

static int repair(struct tfs_vol *vol)
{
	struct tfs_repair_counters c;
	struct tfs_stat st;
	struct tfs_attr a;
	struct tfs_key k = {TFS_INO_ROOT, 0};
	struct tfs_inode inode;
	const void *v;
	u32 len;
	int err = tfs_getattr(vol, TFS_INO_ROOT, &a);

	if (!err)
		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
	if (err)
		return err;
	memcpy(&inode, v, sizeof(inode));
	tfs_statfs(vol, &st);
	c = (struct tfs_repair_counters){st.next_ino, st.inodes, st.prealloc_blocks};
	err = tfs_repair_put(vol, TFS_TREE_FS, k, &inode, len); /* an edit, if only by the same */
	if (!err)
		err = power_maps_take(vol, &power_run.dev);
	if (!err)
		err = tfs_repair_space(vol, power_map, vol);
	return err ? err : tfs_repair_finish(vol, &c);
}

static void repaired_judge(struct power_dev *d, const char *what)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env();
	struct tfs_vol *vol;
	const char *why;
	char text[120];
	int err = tfs_mount(&d->dev, &env, &opt, &vol);
	u64 hash;

	snprintf(text, sizeof(text), "repair, %s %ld fails, %s", kinds[kind], nth, what);
	if (err) {
		power_fail(text, "the image does not mount afterwards");
		return;
	}
	hash = power_walk(vol, false, &err);
	why = power_account_dev(vol, &d->dev);
	if (err || why || (repaired_hash && hash != repaired_hash))
		power_fail(text, err ? "the image cannot be read afterwards" : why ? why : "the content changed");
	repaired_hash = hash;
	power_unmount(vol);
}

/* True if the fault was met. */
static bool repair_pass(void)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO | TFS_MOUNT_REPAIR};
	struct tfs_env env = power_env();
	long allocs = tfs_user_allocs();
	struct tfs_vol *vol;
	bool met;
	int err;

	pass_start();
	arm(kind, nth);
	err = tfs_mount(&power_run.dev, &env, &opt, &vol);
	if (!err) {
		err = repair(vol);
		if (err)
			power_abandon(vol);
		else
			err = power_unmount(vol);
	}
	met = fired();
	revive();
	power_states++;
	power_state = (unsigned long)nth;
	if (err && !met)
		failed("the repair fails for no reason");
	if (tfs_user_allocs() != allocs)
		failed("the repair leaks memory");
	power_run.before_flush = NULL;
	power_solid_state();
	repaired_judge(&power_crash, "flushed writes alone");
	power_dev_reset(&power_crash);
	repaired_judge(&power_run, "all writes");
	return met;
}

static void repair_passes(void)
{
	const long limit = 5000;

	for (kind = NONE; kind < KINDS; kind++)
		for (nth = 1; nth < limit; nth++) {
			snprintf(power_workload, sizeof(power_workload), "p%d,%ld", kind, nth);
			if (!repair_pass())
				break;
		}
	kind = NONE;
}

/* ---- histories ---- */

static int misses; /* faults in a row that an operation did not meet */

/* One call in a history met its fault or not; the next is armed. */
static void history_called(struct tfs_vol *vol, int err)
{
	bool met = fired();
	u64 old = power_hash;
	static const char text[] = "a call that failed changed the state";

	arm(NONE, 0);
	power_step(vol);
	if (met) {
		power_states++;
		if (err < 0 && power_hash != old && !power_rolled)
			failed(text);
		if (kind == ALLOC && err < 0 && err != -ENOMEM && err != -ENOENT && err != -ENOSPC)
			failed("want of memory is called something else");
	}
	power_rolled = false;
	misses = met ? 0 : misses + 1;
	nth = 1 + (long)(power_random() % (misses > 3 ? 8 : 60));
	if (kind == ALLOC || !met)
		arm(kind, nth);
	else
		kind = NONE; /* once is enough for a device */
}

static void history(u64 seed, int length)
{
	long allocs = tfs_user_allocs();
	struct tfs_vol *vol;
	int i;

	snprintf(power_workload, sizeof(power_workload), "F%llu,%d", (unsigned long long)seed, length);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	kind = NONE;
	misses = 0; /* so that a replay meets the same */
	at_mount = false;
	vol = pass_mount();
	power_begin(vol);
	if (seed % 2 && power_fill(vol))
		power_fail("fill", "a full volume is stuck");
	kind = ALLOC;
	power_called = history_called;
	for (i = 0; i < length; i++) {
		if (i == length - 5) { /* the last ones meet a device that fails once */
			kind = IO;
			nth = 1 + (long)(power_random() % 8);
			arm(kind, nth);
		}
		if (power_op_run(vol, (int)(power_random() % (u64)power_ops())) == -ENOENT)
			power_restore(vol);
	}
	arm(NONE, 0);
	power_step(vol);
	if (kind == IO) { /* never met */
		tfs_checkpoint(vol);
		tfs_evict(vol, TFS_INO_ROOT);
		if (power_pins_stray(vol))
			failed("blocks stay pinned");
	}
	power_unmount(vol);
	judge_end(allocs);
}

void power_faults(int part, int parts)
{
	void (*plain)(struct tfs_vol * vol, int err) = power_called;
	int op, i;

	base_fill(-1);
	if (part == parts - 1)
		repair_passes();
	for (op = part; op < power_ops(); op += parts) {
		mount_passes(op);
		op_set(op);
		passes("f", op);
		power_called = plain;
	}
	for (i = part; i < 60; i += parts) {
		history((u64)i + 1, 200);
		power_called = plain;
	}
}

bool power_faults_replay(const char *id)
{
	unsigned long long seed;
	int length, op, k;
	char how;

	if (sscanf(id, "F%llu,%d", &seed, &length) == 2) {
		base_fill(-1);
		history(seed, length);
		return true;
	}
	if (sscanf(id, "p%d,%ld", &k, &nth) == 2) {
		base_fill(-1);
		repair_pass();
		kind = (enum kind)k;
		snprintf(power_workload, sizeof(power_workload), "%s", id);
		repair_pass();
		return true;
	}
	if (sscanf(id, "%c%d,%ld,%d", &how, &k, &nth, &op) != 4 || (how != 'f' && how != 'm') || op >= power_ops())
		return false;
	base_fill(-1);
	if (how == 'm')
		mount_set(op);
	else
		op_set(op);
	kind = NONE;
	pass();
	kind = (enum kind)k;
	snprintf(power_workload, sizeof(power_workload), "%s", id);
	pass();
	return true;
}
