// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Looking for free blocks. Of each segment, and of each group of TFS_SEGMENT_GROUP, it is remembered how much is free and
 * how long a run of it is at most, so that a volume that has been full for long is not looked through for each run that is
 * opened. Both are upper bounds: lowered when a search found less, raised when something comes free (tfs_space_emptier,
 * tfs_space_freed). What is free now is what no map says is live, nothing pins and no open run holds. A group's free blocks are
 * those of segments that may have a run at all: of a full volume's most have only what is pinned.
 */
#include "tfs/vol.h"

#define LONGEST_ANY 0xffffu

static bool in_other_run(const struct tfs_vol *vol, u64 block)
{
	u32 h;

	for (h = 0; h < TFS_HEADS; h++)
		if (block >= vol->head[h].from && block < vol->head[h].end)
			return true;
	return false;
}

int tfs_space_map(struct tfs_vol *vol, u64 segment, u64 chunk, const u8 **map)
{
	const void *v;
	u32 len;
	int err = tfs_item_find(vol, TFS_TREE_SPACE, (struct tfs_key){TFS_SPACE_MAP | segment, chunk}, &v, &len);

	if (!err && len != vol->map_bytes)
		err = tfs_corrupt(vol, 0, "segment map of another size");
	*map = err ? NULL : v;
	return err == -ENOENT ? 0 : err;
}

/* ---- what is remembered ---- */

static u32 free_in(const struct tfs_vol *vol, u64 segment)
{
	return vol->segment_blocks - vol->segment[segment].used_blocks;
}

void tfs_space_emptier(struct tfs_vol *vol, u64 segment)
{
	struct tfs_segment_bounds *g = &vol->group[segment / TFS_SEGMENT_GROUP];

	if (vol->longest[segment] && g->free < free_in(vol, segment))
		g->free = (u16)free_in(vol, segment);
}

void tfs_space_freed(struct tfs_vol *vol, u64 block)
{
	u64 first = TFS_SEGMENTS_OFFSET >> TFS_BLOCK_BITS, s;

	if (block < first)
		return;
	s = tfs_block_segment(vol, block);
	if (s >= vol->segments)
		return;
	vol->longest[s] = LONGEST_ANY;
	vol->group[s / TFS_SEGMENT_GROUP].longest = LONGEST_ANY;
	tfs_space_emptier(vol, s);
}

void tfs_space_unknown(struct tfs_vol *vol)
{
	memset(vol->longest, 0xff, vol->segments * sizeof(*vol->longest));
	memset(vol->group, 0xff, (vol->segments / TFS_SEGMENT_GROUP + 1) * sizeof(*vol->group));
}

static void group_look(struct tfs_vol *vol, u64 group)
{
	struct tfs_segment_bounds *g = &vol->group[group];
	u64 s = group * TFS_SEGMENT_GROUP, end = s + TFS_SEGMENT_GROUP;

	for (g->free = g->longest = 0; s < end && s < vol->segments; s++) {
		if (vol->longest[s]) /* else all that is free is pinned */
			g->free = g->free < free_in(vol, s) ? (u16)free_in(vol, s) : g->free;
		g->longest = g->longest < vol->longest[s] ? vol->longest[s] : g->longest;
	}
}

/* ---- searching ---- */

u64 tfs_space_next(struct tfs_vol *vol, u64 from, u64 end, u32 free, u32 min)
{
	while (from < end) {
		u64 group = from / TFS_SEGMENT_GROUP, s = from;
		bool may = vol->group[group].free >= free && vol->group[group].longest >= min;

		from = (group + 1) * TFS_SEGMENT_GROUP;
		for (; may && s < from && s < end; s++)
			if (free_in(vol, s) >= free && vol->longest[s] >= min)
				return s;
		if (may)
			group_look(vol, group);
	}
	return end;
}

u64 tfs_space_find(struct tfs_vol *vol, u64 segment, u64 from, u32 min, u32 max, u64 *start)
{
	u64 first = tfs_segment_block(vol, segment), end = first + vol->segment_blocks, b = from, run = 0, longest = 0;
	const u8 *map = NULL;
	u64 have = ~0ull;

	if (vol->longest[segment] < min)
		return 0;
	for (; b < end && run < max && run + (end - b) >= min; b++) {
		u64 in = b - first, chunk = in / vol->map_bytes;

		if (chunk != have) {
			if (tfs_space_map(vol, segment, chunk, &map))
				return 0; /* unreadable: nothing is placed here */
			have = chunk;
		}
		if (!(map && map[in % vol->map_bytes]) && !tfs_pinned(vol, b) && !in_other_run(vol, b)) {
			if (!run++)
				*start = b;
		} else if (run >= min) {
			break;
		} else {
			longest = run > longest ? run : longest;
			run = 0;
		}
	}
	if (run >= min)
		return run;
	run += end - b;    /* what was not looked at is too short in any case */
	if (from <= first) /* not again before something comes free */
		vol->longest[segment] = (u16)(run > longest ? run : longest);
	return 0;
}
