// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What must hold of a recovered volume, shared by all modes of the simulator: the hash of the state at every sequence
 * number, which the core's `logged` and power_step keep; what is durable, which `durable` keeps; the judgement of a
 * mounted volume against both; and the base volume (a, d, d/c) that every workload starts from.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX 65536u

struct power_dev power_run, power_crash;
u64 power_first_seq, power_durable_seq, power_hash;
unsigned long power_states, power_failures;
char power_workload[160];
int power_verbose, power_failures_max = 20;
bool power_frozen, power_judging;
static u64 want[RECORDS_MAX]; /* by sequence - power_first_seq */
static u64 kept[RECORDS_MAX];
static u32 kepts;

void power_fail(const char *state, const char *what)
{
	char number[24] = "";

	power_failures++;
	if (power_judging)
		snprintf(number, sizeof(number), "@%lu", power_state);
	fprintf(stderr, "FAILED %s: %s; repeat: tfs-power --replay '%s%s'\n", state, what, power_workload, number);
	if (power_failures >= (unsigned long)power_failures_max)
		exit(3); /* no report: enough is known */
}

void power_must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "power: %s: error %d\n", what, err);
		exit(2);
	}
}

/* ---- the state at each sequence number ---- */

u64 power_want(u64 seq)
{
	return want[seq - power_first_seq];
}

bool power_known(u64 seq)
{
	return seq >= power_first_seq && seq - power_first_seq < RECORDS_MAX;
}

void power_want_set(u64 seq, u64 hash)
{
	if (!power_frozen)
		want[seq - power_first_seq] = hash;
}

void power_states_keep(u64 upto)
{
	kepts = (u32)(upto - power_first_seq + 1);
	memcpy(kept, want, kepts * sizeof(kept[0]));
}

void power_states_back(void)
{
	memcpy(want, kept, kepts * sizeof(kept[0]));
	power_durable_seq = power_first_seq;
	power_hash = want[0];
}

u32 power_record_type;

static void logged(void *ctx, u64 seq, const struct tfs_rec_head *rec)
{
	(void)ctx;
	power_record_type = tfs_le16(rec->type);
	if (power_frozen)
		return;
	if (!power_known(seq + 1)) {
		fprintf(stderr, "power: workload too long\n");
		exit(2);
	}
	/* until power_step: the records that prepare an operation (a tail rewritten) change nothing one can see */
	want[seq + 1 - power_first_seq] = power_hash;
}

static void durable(void *ctx, u64 seq)
{
	(void)ctx;
	if (seq > power_durable_seq)
		power_durable_seq = seq;
}

struct tfs_env power_env_model(void)
{
	struct tfs_env env = power_env();

	env.logged = logged;
	env.durable = durable;
	return env;
}

void power_step(struct tfs_vol *vol)
{
	int err;

	power_snaps_look(vol);
	power_hash = power_walk(vol, true, &err);
	want[tfs_sequence(vol) - power_first_seq] = power_hash;
	if (err)
		power_fail("walk", "the live volume cannot be read");
	else if (model_hash() != power_hash)
		power_fail("live", "the volume in memory differs from the model");
}

static void step_if_done(struct tfs_vol *vol, int err)
{
	if (!err)
		power_step(vol);
}

void (*power_called)(struct tfs_vol *vol, int err) = step_if_done;

/* From here on the volume is the model's: call after a mount with power_env_model. */
void power_begin(struct tfs_vol *vol)
{
	int err;

	power_size_settle(vol);
	power_first_seq = tfs_sequence(vol);
	power_durable_seq = power_first_seq;
	power_hash = power_walk(vol, true, &err);
	model_load(vol);
	power_owed_first(vol);
	want[0] = power_hash;
}

/* ---- judging ---- */

void power_judge(struct tfs_vol *vol, struct tfs_dev *dev, const char *state, bool account)
{
	struct tfs_stat st;
	u64 seq = tfs_sequence(vol), hash;
	const char *why;
	char text[200];
	int err;

	tfs_statfs(vol, &st);
	if (st.damaged) {
		power_fail(state, "a crash was taken for damage");
		return;
	}
	if (seq < power_durable_seq || !power_known(seq)) {
		snprintf(text, sizeof(text), "recovered to record %llu, but records below %llu were durable",
		         (unsigned long long)seq, (unsigned long long)power_durable_seq);
		power_fail(state, text);
		return;
	}
	hash = power_walk(vol, false, &err);
	if (err) {
		snprintf(text, sizeof(text), "recovered volume cannot be read: error %d", err);
		power_fail(state, text);
	} else if (hash != power_want(seq)) {
		snprintf(text, sizeof(text), "state differs from that of record %llu", (unsigned long long)seq);
		power_fail(state, text);
	}
	why =
	    st.dying && !st.read_only ? "a deleted snapshot is not freed by a mount" : power_snaps_judge(vol, account);
	if (why)
		power_fail(state, why);
	why = power_owed_judge(vol);
	if (why)
		power_fail(state, why);
	why = power_size_judge(dev, st.size);
	if (why)
		power_fail(state, why);
	why = account || power_failures ? power_account_dev(vol, dev) : NULL;
	if (why)
		power_fail(state, why);
}

/* ---- the base: a, d, d/c ---- */

static void base_file(struct tfs_vol *vol, u64 parent, const char *name, const u8 *data, u32 blocks, u64 size)
{
	struct tfs_create c = {.mode = 0100644};
	struct tfs_encoded e = {.codec = 0, .blocks = blocks, .bytes = blocks * 4096, .buf = data};
	u64 ino;

	power_must(tfs_create(vol, parent, name, (u32)strlen(name), &c, &ino), "base file");
	power_must(tfs_write(vol, ino, 0, &e, size, NULL), "base content");
}

static u8 *base_kept; /* the pages of this base, and of earlier ones: others may still point into them */

/* What power_run and the model of contents hold now is what workloads start from. */
void power_base_take(void)
{
	u8 *copy = malloc((power_run.touches + 1) * TFS_BLOCK);
	u32 i;

	memcpy(copy, &base_kept, sizeof(base_kept));
	base_kept = copy;
	power_model_save();
	for (i = 0; i < power_run.touches; i++) {
		u32 page = power_run.touched[i];

		copy += TFS_BLOCK;
		memcpy(copy, power_run.page[page], TFS_BLOCK);
		power_base[page] = power_run.page[page] = power_crash.page[page] = copy;
	}
	power_run.touches = 0;
	power_run.size_first = power_crash.size_first = power_run.dev.size; /* it may have grown */
	power_dev_reset(&power_run);
	power_dev_reset(&power_crash);
}

static void base_drop(void)
{
	u8 *older;

	while (base_kept) {
		memcpy(&older, base_kept, sizeof(older));
		free(base_kept);
		base_kept = older;
	}
}

void power_base_make(u64 size, u8 codec)
{
	static u8 inlined[4096] = "inline", base_a[8192];
	struct tfs_format_options opt = {.size = size, .codec = codec, .uuid = "power simulator"};
	struct tfs_create dir = {.mode = 0040755};
	struct tfs_env env = power_env();
	struct tfs_vol *vol;
	static u8 zero[TFS_BLOCK];
	u64 d;
	u32 i;

	base_drop();
	power_snaps_save(true);
	for (i = 0; i < POWER_FILES; i++)
		power_content[i].ino = 0;
	for (i = 0; i < POWER_PAGES; i++)
		power_base[i] = zero;
	for (i = 0; i < sizeof(base_a); i++)
		base_a[i] = (u8)(i * 7 + i / 256);
	power_dev_init(&power_run, size);
	power_must(tfs_format(&power_run.dev, &env, &opt, &vol), "format");
	base_file(vol, TFS_INO_ROOT, "a", base_a, 2, 8192);
	power_must(tfs_create(vol, TFS_INO_ROOT, "d", 1, &dir, &d), "base dir");
	base_file(vol, d, "c", inlined, 1, 6);
	power_must(tfs_format_finish(vol, 0), "finish");
	power_unmount(vol);
	power_dev_init(&power_crash, size);
	memcpy(power_file(2), base_a, sizeof(base_a));
	memcpy(power_file(4), "inline", 6);
	power_base_take();
}
