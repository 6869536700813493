// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a search remembers of the leaves is never old. Names come and go where many stand and where few do, so that
 * leaves split, empty and merge; checkpoints run a step at a time between; the cache holds a few dozen nodes, so that
 * they go and come; and a view of a snapshot is entered between all that. After each change the names beside the one
 * changed are looked up, on the volume and in the view, against a list.
 */
#include "tests/unit/ram.h"

#include "tfs/vol.h"

#define NAMES 12000u
#define NEAR 60u    /* names that one stretch of changes goes to */
#define STRETCH 40u /* changes */
#define CACHE 48u   /* far more than one operation of here touches, and far less than there are leaves */

static u64 have[NAMES], had[NAMES]; /* inode of each name, 0: none; had: in the snapshot */
static u64 seed;

static u32 rnd(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((seed >> 33) % below);
}

static u32 name_of(u32 i, char *name)
{
	return (u32)sprintf(name, "%u-and-some-more-so-that-leaves-fill", i);
}

static void expect(u32 i, u64 ino)
{
	char name[64];
	u32 len = name_of(i, name);
	u64 found = 0;
	u8 type;
	int err = tfs_lookup(vol, TFS_INO_ROOT, name, len, &found, &type);
	struct tfs_attr a;

	assert_int_equal(err, ino ? 0 : -ENOENT);
	assert_int_equal(found, ino);
	if (!ino)
		return;
	assert_int_equal(tfs_getattr(vol, ino, &a), 0);
	assert_int_equal(a.mode, 0100644);
	assert_int_equal(a.uid, i);
}

static void change(u32 i)
{
	struct tfs_create c = {.mode = 0100644, .uid = i};
	char name[64];
	u32 len = name_of(i, name);
	u64 ino;
	int err;

	if (!have[i]) {
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, len, &c, &have[i]), 0);
		return;
	}
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, name, len, false, &ino), 0);
	assert_int_equal(ino, have[i]);
	while ((err = tfs_evict(vol, ino)) > 0)
		;
	assert_int_equal(err, 0);
	have[i] = 0;
}

/* Changes near one place, each looked at from both sides. */
static void stretch(const struct tfs_view *view)
{
	u32 base = rnd(NAMES - NEAR), i, n;

	for (n = 0; n < STRETCH; n++) {
		i = base + rnd(NEAR);
		expect(i, have[i]);
		change(i);
		expect(i, have[i]);
		i = base + rnd(NEAR);
		expect(i, have[i]);
		if (rnd(4))
			continue;
		tfs_view_enter(vol, view);
		expect(i, had[i]);
		tfs_view_leave(vol);
		expect(i, have[i]);
		if (!rnd(4))
			assert_true(tfs_checkpoint_step(vol, 1 + rnd(8)) >= 0);
	}
}

static void test_random(void **state)
{
	struct tfs_view view;
	u64 epoch;
	u32 i, round;

	(void)state;
	vol->cache_max = CACHE;
	for (i = 0; i < NAMES; i++)
		if (i % 3)
			change(i);
	for (round = 0; round < 12; round++) {
		memcpy(had, have, sizeof(had));
		assert_int_equal(tfs_snapshot_create(vol, "s", 1, &epoch), 0);
		assert_int_equal(tfs_view_find(vol, epoch, &view), 0);
		for (i = 0; i < 40; i++)
			stretch(&view);
		if (round % 4 == 3) /* most of a range goes, so that leaves merge */
			for (i = NAMES / 4; i < NAMES / 2; i++)
				if (have[i] && rnd(16))
					change(i);
		assert_int_equal(tfs_snapshot_delete(vol, epoch), 0);
		while (tfs_snapshot_step(vol) > 0)
			;
	}
	for (i = 0; i < NAMES; i++)
		expect(i, have[i]);
	assert_int_equal(tfs_checkpoint(vol), 0);
	tfs_abandon(vol);
	ram_mount();
	for (i = 0; i < NAMES; i++)
		expect(i, have[i]);
}

static int setup(void **state)
{
	(void)state;
	ram_format(128u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tfs_abandon(vol);
	ram_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
