// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The model of snapshots: a table of names, each with the number that stands for all it must hold (check.c), as it was
 * when the snapshot was made. What a call changes is durable when it returns, so a crash leaves the table of before,
 * or, while a call is under way, the one it makes; nothing between. A snapshot that is made in steps counts as under way,
 * over other calls, until its checkpoint is through. Called by ops.c for the operations, by state.c to judge a recovered
 * volume.
 */
#include "tests/power/power.h"
#include "tfs/user/port.h"

#include <stdio.h>

#define SNAPS_MAX 16u

struct snap {
	char name[8];
	u64 hash;
	u32 holds;
};
struct table {
	u32 n;
	struct snap s[SNAPS_MAX];
};
static struct table durable, coming, saved;
static bool under_way;
static u64 begun; /* the epoch of a snapshot that is made in steps, 0: none is */
bool power_viewing;

void power_snaps_save(bool none)
{
	if (none)
		memset(&durable, 0, sizeof(durable));
	saved = durable;
}

void power_snaps_reset(void)
{
	durable = saved;
	under_way = false;
	begun = 0;
}

u32 power_snapshots(void)
{
	return begun ? coming.n : durable.n;
}

static int index_of(const struct table *t, const char *name)
{
	int i;

	for (i = 0; i < (int)t->n; i++)
		if (!strcmp(t->s[i].name, name))
			return i;
	return -1;
}

/* ---- what a volume shows ---- */

/* NULL, or how it differs. contents: of which snapshot, by number modulo; ~0: of all. */
static const char *table_compare(struct tfs_vol *vol, const struct table *t, u32 contents)
{
	struct tfs_snapshot_info info;
	static char text[80];
	u64 epoch = 0, hash;
	u32 n = 0;
	int err;

	for (; !(err = tfs_snapshot_next(vol, &epoch, &info)); epoch++) {
		const struct snap *s = &t->s[n];

		if (info.dying)
			continue;
		if (n == t->n || strlen(s->name) != info.name_len || memcmp(s->name, info.name, info.name_len))
			return "other snapshots than the model has";
		if (s->holds != info.holds)
			return "a snapshot's count of holds differs";
		n++;
		if (contents != ~0u && contents % t->n != n - 1)
			continue;
		err = tfs_view_open(vol, epoch);
		if (err)
			return "a snapshot cannot be opened";
		power_viewing = true;
		hash = power_walk(vol, false, &err);
		power_viewing = false;
		tfs_view_close(vol);
		if (err || hash != s->hash) {
			snprintf(text, sizeof(text), "snapshot %s %s", s->name,
			         err ? "cannot be read" : "holds something else than when it was made");
			return text;
		}
	}
	if (err != -ENOENT)
		return "snapshots cannot be listed";
	return n == t->n ? NULL : "snapshots are missing";
}

const char *power_snaps_judge(struct tfs_vol *vol, bool all)
{
	u32 contents = all ? ~0u : (u32)power_state;
	const char *why = table_compare(vol, &durable, contents);

	if (why && under_way && !table_compare(vol, &coming, contents))
		return NULL;
	return why;
}

/* After a mount, or what made a call that failed half-way durable: one of the two holds from now on. */
void power_snaps_settle(struct tfs_vol *vol)
{
	const char *why = table_compare(vol, &durable, ~0u);

	if (why && under_way && !table_compare(vol, &coming, ~0u)) {
		durable = coming;
		why = NULL;
	}
	under_way = false;
	begun = 0;
	if (why)
		power_fail("snapshots", why);
}

/* ---- calls ---- */

/* Is the checkpoint of what was begun through, by whatever was called since? It has to be there from then on. */
void power_snaps_look(struct tfs_vol *vol)
{
	struct tfs_view view;

	if (!begun || tfs_view_find(vol, begun, &view))
		return;
	durable = coming;
	under_way = false;
	begun = 0;
}

static int checkpoint_end(struct tfs_vol *vol)
{
	int err = 0;

	while (tfs_checkpoint_running(vol) && (err = tfs_checkpoint_step(vol, 1)) > 0)
		;
	return err;
}

/* Before another call is made about snapshots. A volume that stopped amid one stays in doubt of that one alone. */
static int begun_end(struct tfs_vol *vol)
{
	int err = 0;

	if (under_way && !begun && tfs_stopped(vol))
		return -EIO;
	power_snaps_look(vol);
	if (begun)
		err = checkpoint_end(vol);
	power_snaps_look(vol);
	return begun && !err ? -EIO : err; /* stopped */
}

static int table_begin(void)
{
	coming = durable;
	under_way = true;
	return 0;
}

/* expected: errno that the table asks for; what only the core can know fails alike. */
static int table_end(struct tfs_vol *vol, const char *call, int expected, int err)
{
	char text[80];
	bool host = tfs_stopped(vol) || err == -ENOSPC || err == -ENOMEM || err == -EIO || err == -EROFS;

	if (err != expected && !host) {
		snprintf(text, sizeof(text), "expected %d, found %d", expected, err);
		power_fail(call, text);
	}
	if (err == -ENOSPC && strcmp(call, "snapshot"))
		power_fail(call, "what frees space finds none");
	if (!err)
		durable = coming;
	if (err == -ENOMEM && !tfs_checkpoint(vol))
		power_snaps_settle(vol);
	else if (err != -EIO && err != -ENOMEM)
		under_way = false;
	return err;
}

static int create_expected(const char *name)
{
	int expected = index_of(&durable, name) >= 0 ? -EEXIST : table_begin();
	struct snap *s = &coming.s[coming.n];

	if (!expected) {
		memset(s, 0, sizeof(*s));
		snprintf(s->name, sizeof(s->name), "%s", name);
		s->hash = power_hash;
		coming.n++;
	}
	return expected;
}

int power_snapshot_make(struct tfs_vol *vol, const char *name)
{
	int err = begun_end(vol), expected;

	if (err || durable.n == SNAPS_MAX)
		return err ? err : -EEXIST;
	expected = create_expected(name);
	return table_end(vol, "snapshot", expected, tfs_snapshot_create(vol, name, (u32)strlen(name), NULL));
}

/* So many steps of its checkpoint; whatever comes next may take others, or end it. */
int power_snapshot_begin(struct tfs_vol *vol, const char *name, int steps)
{
	int err = begun_end(vol), expected;
	u64 epoch;

	if (err || durable.n == SNAPS_MAX)
		return err ? err : -EEXIST;
	expected = create_expected(name);
	tfs_snapshots_stepwise(vol, true);
	while ((err = tfs_snapshot_create(vol, name, (u32)strlen(name), &epoch)) == -EAGAIN) {
		err = checkpoint_end(vol);
		if (!err)
			err = tfs_sync(vol);
		if (err)
			break;
	}
	tfs_snapshots_stepwise(vol, false);
	if (err || expected)
		return table_end(vol, "snapshot", expected, err);
	begun = epoch;
	while (steps-- && tfs_checkpoint_running(vol) && (err = tfs_checkpoint_step(vol, 1)) > 0)
		;
	power_snaps_look(vol);
	return err < 0 ? err : 0;
}

static int steps_run(struct tfs_vol *vol, int steps)
{
	int err = 0;

	while (steps-- && (err = tfs_snapshot_step(vol)) > 0)
		;
	if (err == -ENOSPC)
		power_fail("snapshot step", "what frees space finds none");
	return err < 0 ? err : 0;
}

int power_snapshot_drop(struct tfs_vol *vol, const char *name, int steps)
{
	int i, expected, err = begun_end(vol);
	u64 epoch = 0;

	if (err)
		return err;
	i = index_of(&durable, name);
	expected = i < 0 ? -ENOENT : durable.s[i].holds ? -EBUSY : table_begin();
	if (!expected) {
		memmove(&coming.s[i], &coming.s[i + 1], (coming.n - (u32)i - 1) * sizeof(coming.s[0]));
		coming.n--;
	}
	err = tfs_snapshot_find(vol, name, (u32)strlen(name), &epoch);
	if (!err)
		err = tfs_snapshot_delete(vol, epoch);
	err = table_end(vol, "delete", expected, err);
	return err ? err : steps_run(vol, steps);
}

int power_snapshot_name(struct tfs_vol *vol, const char *name, const char *to)
{
	int i, expected, err = begun_end(vol);
	u64 epoch = 0;

	if (err)
		return err;
	i = index_of(&durable, name);
	expected = i < 0 ? -ENOENT : index_of(&durable, to) >= 0 ? -EEXIST : table_begin();
	if (!expected)
		snprintf(coming.s[i].name, sizeof(coming.s[i].name), "%s", to);
	err = tfs_snapshot_find(vol, name, (u32)strlen(name), &epoch);
	if (!err)
		err = tfs_snapshot_rename(vol, epoch, to, (u32)strlen(to));
	return table_end(vol, "rename", expected, err);
}

int power_snapshot_hold(struct tfs_vol *vol, const char *name)
{
	int i, expected, err = begun_end(vol);
	u64 epoch = 0;
	bool hold;

	if (err)
		return err;
	i = index_of(&durable, name);
	hold = i >= 0 && !durable.s[i].holds;
	expected = i < 0 ? -ENOENT : table_begin();
	if (!expected)
		coming.s[i].holds = hold;
	err = tfs_snapshot_find(vol, name, (u32)strlen(name), &epoch);
	if (!err)
		err = tfs_snapshot_hold(vol, epoch, hold);
	return table_end(vol, "hold", expected, err);
}

/* ---- rollback ---- */

static u32 later_held(u32 i)
{
	while (++i < durable.n && !durable.s[i].holds)
		;
	return i;
}

/* Of what a host knows nothing is true any more: the model reads all of it again, whatever fault is to come. */
static int state_reload(struct tfs_vol *vol, u64 hash)
{
	long alloc = tfs_user_fail_alloc(-1), request = power_run.fail_in;
	u64 found;
	int err;

	power_run.fail_in = -1;
	found = power_walk(vol, false, &err);
	if (!err)
		err = power_model_reload(vol);
	if (err || found != hash)
		power_fail("rollback", err ? "the volume cannot be read" : "something else than the snapshot holds");
	power_run.fail_in = request;
	tfs_user_fail_alloc(alloc);
	return err;
}

bool power_rolled;

int power_rollback(struct tfs_vol *vol, const char *name, int steps)
{
	int i, expected = -ENOENT, err = begun_end(vol);
	u64 epoch = 0, held = 0, seq;
	struct tfs_snapshot_info info;

	if (err)
		return err;
	i = index_of(&durable, name);
	power_promise_drop(vol);
	seq = tfs_sequence(vol);
	if (i >= 0)
		expected = later_held((u32)i) < durable.n ? -EBUSY : table_begin();
	if (!expected) {
		coming.n = (u32)i + 1;
		power_want_set(seq + 1, durable.s[i].hash);
	}
	power_rolled = false;
	err = tfs_snapshot_find(vol, name, (u32)strlen(name), &epoch);
	if (!err)
		err = tfs_rollback(vol, epoch, &held);
	if (err == -EBUSY && (!held || tfs_snapshot_next(vol, &held, &info) ||
	                      strncmp(durable.s[later_held((u32)i)].name, info.name, info.name_len)))
		power_fail("rollback", "the snapshot that is held is not named");
	if (err == -ENOMEM && tfs_sequence(vol) != seq)
		err = tfs_checkpoint(vol);
	power_rolled = err && tfs_sequence(vol) != seq;
	if (tfs_sequence(vol) != seq)
		state_reload(vol, durable.s[i].hash);
	err = table_end(vol, "rollback", expected, err);
	if (!err) {
		err = steps_run(vol, steps);
		power_rolled = err;
	}
	return err;
}

/* The oldest ones go until so many are left. */
void power_snapshots_drop(struct tfs_vol *vol, u32 left)
{
	char name[8];

	begun_end(vol);
	while (durable.n > left) {
		memcpy(name, durable.s[0].name, sizeof(name));
		if (power_snapshot_drop(vol, name, -1)) {
			power_fail("delete", "a snapshot cannot be deleted");
			return;
		}
	}
}

/* For histories: eight more names come and go. */
void power_snapshot_any(struct tfs_vol *vol, u64 r)
{
	char name[4];

	snprintf(name, sizeof(name), "n%u", (u32)(r >> 4) % 8);
	if (r & 1 && r >> 14 & 1)
		power_snapshot_begin(vol, name, (int)(r >> 15 & 7));
	else if (r & 1)
		power_snapshot_make(vol, name);
	else if (r >> 12 & 1 && r >> 13 & 1)
		power_rollback(vol, name, r & 2 ? (int)(r >> 8 & 7) : -1);
	else
		power_snapshot_drop(vol, name, r & 2 ? (int)(r >> 8 & 3) : -1);
}
