// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is remembered of free space (tfs/free.c) is never less than there is: through overwrites, truncations, snapshots,
 * compaction and mounts of a volume that is nearly full, no segment has a longer free run or more free blocks than its
 * bounds and its group's say, and a search by groups finds what a look at every segment finds.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define SIZE (64u << 20)
#define FILES 8u
#define PART 16u /* blocks, of one write */

static u64 file[FILES], blocks[FILES], random_state = 88172645463325252ull;

static u32 below(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (u32)(random_state >> 33) % n;
}

static int put(u32 f, u64 block, u32 n)
{
	static u8 data[PART * TFS_BLOCK];
	struct tfs_encoded e = {.blocks = n, .bytes = n * TFS_BLOCK, .buf = data};

	return tfs_write(vol, file[f], block, &e, (block + n) * TFS_BLOCK, NULL);
}

/* ---- what there is ---- */

static bool in_open_run(u64 block)
{
	for (u32 h = 0; h < TFS_HEADS; h++)
		if (block >= vol->head[h].from && block < vol->head[h].end)
			return true;
	return false;
}

static u32 longest_run(u64 segment)
{
	u64 first = tfs_segment_block(vol, segment);
	u32 longest = 0, run = 0;

	for (u32 b = 0; b < vol->segment_blocks; b++) {
		const u8 *map;

		assert_int_equal(tfs_space_map(vol, segment, b / vol->map_bytes, &map), 0);
		run = (map && map[b % vol->map_bytes]) || tfs_pinned(vol, first + b) || in_open_run(first + b)
		          ? 0
		          : run + 1;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static u64 next_of_all(u64 s, u32 free, u32 min)
{
	for (; s < vol->segments; s++)
		if (vol->segment_blocks - vol->segment[s].used_blocks >= free && vol->longest[s] >= min)
			return s;
	return vol->segments;
}

static void bounds_hold(void)
{
	u64 s = 0;

	for (s = 0; s < vol->segments; s++) {
		const struct tfs_segment_bounds *g = &vol->group[s / TFS_SEGMENT_GROUP];

		assert_true(longest_run(s) <= vol->longest[s]);
		assert_true(vol->longest[s] <= g->longest);
		if (vol->longest[s]) /* else nothing of it can be had */
			assert_true(vol->segment_blocks - vol->segment[s].used_blocks <= g->free);
	}
	for (u32 free = 1; free <= vol->segment_blocks; free *= 2)
		for (u32 min = 1; min <= free; min *= 2) {
			u64 from = below((u32)vol->segments), end = from + below((u32)(vol->segments - from) + 1);
			u64 want = next_of_all(from, free, min);

			assert_int_equal(tfs_space_next(vol, from, end, free, min), want < end ? want : end);
		}
}

/* ---- what happens ---- */

static void start(void)
{
	ram_format(SIZE);
	for (u32 f = 0; f < FILES; f++) {
		struct tfs_create c = {.mode = 0100644};
		char name[] = {'f', (char)('0' + f)};

		blocks[f] = 0;
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, sizeof(name), &c, &file[f]), 0);
	}
	for (u32 f = 0; !put(f, blocks[f], PART); f = (f + 1) % FILES)
		blocks[f] += PART;
}

static void snapshot_take(void)
{
	u64 epoch;

	if (!tfs_snapshot_find(vol, "s", 1, &epoch)) {
		assert_int_equal(tfs_snapshot_delete(vol, epoch), 0);
		while (tfs_snapshot_step(vol) > 0)
			;
	} else {
		tfs_snapshot_create(vol, "s", 1, NULL); /* or there is no room */
	}
}

static void file_cut(u32 f)
{
	u64 keep = below((u32)blocks[f] + 1);

	assert_int_equal(tfs_truncate(vol, file[f], keep * TFS_BLOCK), 0);
	blocks[f] = keep;
}

static void something(void)
{
	u32 f = below(FILES), what = below(1000);

	if (what < 850 && blocks[f])
		put(f, below((u32)blocks[f]), 1);
	else if (what < 950)
		blocks[f] += put(f, blocks[f], PART) ? 0 : PART;
	else if (what < 960)
		file_cut(f);
	else if (what < 985)
		assert_int_equal(tfs_sync(vol), 0);
	else if (what < 992)
		assert_true(tfs_compact_step(vol, 32, TFS_COMPACT_NOW) >= 0);
	else if (what < 996)
		assert_int_equal(tfs_checkpoint(vol), 0);
	else
		snapshot_take();
}

/* All bounds as low as they can be, where no segment of a group is whole. Returns how many groups that are. */
static u32 tighten(void)
{
	u64 start_at, s;
	u32 n = 0;

	for (s = 0; s < vol->segments; s++)
		tfs_space_find(vol, s, tfs_segment_block(vol, s), vol->segment_blocks, vol->segment_blocks, &start_at);
	for (s = 0; s < vol->segments; s += TFS_SEGMENT_GROUP) {
		u64 end = s + TFS_SEGMENT_GROUP < vol->segments ? s + TFS_SEGMENT_GROUP : vol->segments;

		tfs_space_next(vol, s, end, 0, vol->segment_blocks + 1);
		n += vol->group[s / TFS_SEGMENT_GROUP].longest < vol->segment_blocks;
	}
	return n;
}

static void bounds_through_a_life(void **state)
{
	u32 lowered = 0;

	(void)state;
	start();
	for (u32 i = 0; i < 20000; i++) {
		something();
		if (i % 100 == 0) {
			bounds_hold();
			lowered += tighten();
		}
		if (i % 4000 == 3999)
			ram_remount();
	}
	assert_true(lowered > 200); /* else nothing was ever passed over */
}

/* What a head leaves of its run when it is closed is free again. */
static void a_head_is_closed(void **state)
{
	struct tfs_head *h;

	(void)state;
	start();
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_truncate(vol, file[0], 0), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
	h = &vol->head[TFS_HEAD_DATA];
	assert_int_equal(tfs_head_open(vol, TFS_HEAD_DATA, PART, PART), 0);
	assert_true(h->end - h->from == PART);
	tighten();
	assert_int_equal(tfs_head_close(vol, TFS_HEAD_DATA), 0);
	bounds_hold();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(bounds_through_a_life, ram_end),
	    cmocka_unit_test_teardown(a_head_is_closed, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
