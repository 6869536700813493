// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 5: what is in use, recomputed from nothing, against SPACE: a byte a block, a bit a 512-byte unit, in one map for
 * each segment that holds anything (1 KiB for 4 MiB). Filled by the other passes through fsck_use; compared here,
 * together with the counters of the checkpoint and the reference counts.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

static u32 segment_blocks(const struct fsck *f)
{
	return 1u << (f->st.segment_bits - TFS_BLOCK_BITS);
}

int fsck_use_start(struct fsck *f)
{
	f->live = calloc(f->st.segments, sizeof(*f->live));
	return f->live ? 0 : -ENOMEM;
}

void fsck_use_free(struct fsck *f)
{
	for (u64 s = 0; f->live && s < f->st.segments; s++)
		free(f->live[s]);
	free(f->live);
	f->live = NULL;
}

static int span_add(struct fsck *f, u64 unit)
{
	if (f->spans && f->span[f->spans - 1].end == unit) {
		f->span[f->spans - 1].end++;
		return 0;
	}
	if (fsck_grow(&f->span, &f->spans_max, f->spans + 1, sizeof(*f->span)))
		return -ENOMEM;
	f->span[f->spans++] = (struct fsck_span){unit, unit + 1, 0};
	return 0;
}

static int use_run(void *arg, u64 addr, u32 units)
{
	struct fsck *f = arg;
	u64 in = addr - TFS_SEGMENTS_OFFSET / TFS_UNIT, segment = in >> (f->st.segment_bits - TFS_UNIT_BITS);
	int err = 0;
	u8 *map;

	if (addr < TFS_SEGMENTS_OFFSET / TFS_UNIT || segment >= f->st.segments)
		return -ERANGE;
	if (!f->live[segment])
		f->live[segment] = calloc(1, segment_blocks(f));
	map = f->live[segment];
	if (!map)
		return -ENOMEM;
	in &= ((u64)segment_blocks(f) << 3) - 1;
	for (; !err && units && in < (u64)segment_blocks(f) * 8; units--, in++, addr++) {
		u8 bit = (u8)(1 << (in & 7));

		if (map[in >> 3] & bit && !f->recount)
			err = span_add(f, addr);
		map[in >> 3] |= bit;
	}
	return !err && units ? -ERANGE : err;
}

bool fsck_used(const struct fsck *f, u64 addr)
{
	u64 in = addr - TFS_SEGMENTS_OFFSET / TFS_UNIT, segment = in >> (f->st.segment_bits - TFS_UNIT_BITS);

	if (addr < TFS_SEGMENTS_OFFSET / TFS_UNIT || segment >= f->st.segments || !f->live[segment])
		return false;
	in &= ((u64)segment_blocks(f) << 3) - 1;
	return f->live[segment][in >> 3] >> (in & 7) & 1;
}

struct use_new {
	struct fsck *f;
	int (*fn)(void *arg, u64 addr, u32 units);
	void *arg;
};

static int run_new(void *arg, u64 addr, u32 units)
{
	struct use_new *n = arg;
	int err = 0;

	for (; !err && units; units--, addr++) {
		if (fsck_used(n->f, addr))
			continue;
		err = use_run(n->f, addr, 1);
		if (!err)
			err = n->fn(n->arg, addr, 1);
	}
	return err;
}

int fsck_use_new(struct fsck *f, const struct tfs_ptr *ptr, int (*fn)(void *arg, u64 addr, u32 units), void *arg)
{
	struct use_new n = {f, fn, arg};

	return tfs_ptr_runs(f->vol, ptr, run_new, &n);
}

int fsck_use_run_new(struct fsck *f, u64 addr, u32 units)
{
	int err = 0;

	for (; !err && units; units--, addr++)
		err = fsck_used(f, addr) ? -EUCLEAN : use_run(f, addr, 1);
	return err;
}

int fsck_use(struct fsck *f, const struct tfs_ptr *ptr)
{
	return tfs_ptr_runs(f->vol, ptr, use_run, f);
}

/* ---- comparing ---- */

static u32 chunk_bytes(const struct fsck *f)
{
	return segment_blocks(f) < 1u << (TFS_CHUNK_BITS - TFS_BLOCK_BITS) ? segment_blocks(f)
	                                                                   : 1u << (TFS_CHUNK_BITS - TFS_BLOCK_BITS);
}

static void map_differs(struct fsck *f, u64 s, u32 chunk, const u8 *want, const u8 *found)
{
	char object[64];
	u32 b = 0;

	while (b < chunk_bytes(f) - 1 && (want ? want[b] : 0) == (found ? found[b] : 0))
		b++;
	snprintf(object, sizeof(object), "segment %llu", (unsigned long long)s);
	if (fsck_problem(f, FSCK_SPACE_MAP, object, "block %u: expected units %02x in use, found %02x",
	                 chunk * chunk_bytes(f) + b, want ? want[b] : 0, found ? found[b] : 0))
		f->space_bad = true;
}

/* Every map that is there against what was found; seen: a bit a chunk. */
static int maps_compare(struct fsck *f, u16 *seen)
{
	static const u8 zero[1024];
	struct tfs_key k = {TFS_SPACE_MAP, 0};
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(f->vol, TFS_TREE_SPACE, &k, &v, &len)) && !f->space_bad; k.b++) {
		u64 s = k.a & ~TFS_SPACE_MAP;
		u32 chunk = (u32)k.b;
		const u8 *want = s < f->st.segments && f->live[s] ? f->live[s] + chunk * chunk_bytes(f) : NULL;

		tfs_progress_add(&f->progress, 1);
		if (s >= f->st.segments || chunk * chunk_bytes(f) >= segment_blocks(f) || len != chunk_bytes(f)) {
			map_differs(f, s, chunk, NULL, NULL);
			continue;
		}
		seen[s] |= (u16)(1u << chunk);
		if (memcmp(want ? want : zero, v, len))
			map_differs(f, s, chunk, want, v);
	}
	return err == -ENOENT || err == -EIO ? 0 : err; /* a damaged node is reported already */
}

/* A segment's counts, and that no chunk in use is without a map. */
static int segment_compare(struct fsck *f, u64 s, u16 seen)
{
	u32 units = 0, used = 0, all = segment_blocks(f), size = chunk_bytes(f);
	struct tfs_segment info;
	char object[64];
	int err = tfs_segment_map(f->vol, s, NULL, &info);

	for (u32 chunk = 0; f->live[s] && chunk * size < all; chunk++) {
		const u8 *live = f->live[s] + chunk * size;
		u32 before = used;

		for (u32 b = 0; b < size; b++) {
			units += (u32)__builtin_popcount(live[b]);
			used += live[b] != 0;
		}
		if (used != before && !(seen >> chunk & 1) && !f->space_bad)
			map_differs(f, s, chunk, live, NULL);
	}
	if (err || (info.live == units && info.used_blocks == used))
		return err;
	snprintf(object, sizeof(object), "segment %llu", (unsigned long long)s);
	if (fsck_problem(f, FSCK_SPACE_COUNT, object, "expected %u units in %u blocks, found %u in %u", units, used,
	                 info.live, info.used_blocks))
		f->space_bad = true;
	return 0;
}

static int space_compare(struct fsck *f)
{
	u16 *seen = calloc(f->st.segments, sizeof(*seen));
	int err = seen ? maps_compare(f, seen) : -ENOMEM;

	for (u64 s = 0; !err && !f->space_bad && s < f->st.segments; s++)
		err = segment_compare(f, s, seen[s]);
	free(seen);
	return err;
}

static void counter(struct fsck *f, const char *name, u64 stated, u64 found)
{
	if (stated != found && fsck_problem(f, FSCK_COUNTERS, name, "expected %llu, found %llu",
	                                    (unsigned long long)found, (unsigned long long)stated))
		f->counters_bad = true;
}

int fsck_space(struct fsck *f)
{
	tfs_progress_pass(&f->progress, "space", 0);
	fsck_refs_compare(f);
	if (f->incomplete)
		return 0; /* what could not be read is in use too: a repair builds SPACE anew */
	counter(f, "inodes", f->st.inodes, f->objects);
	counter(f, "promised blocks", f->st.prealloc_blocks, f->prealloc);
	if ((f->max_ino >= f->st.next_ino || f->st.next_ino > TFS_INO_MAX + 1) &&
	    fsck_problem(f, FSCK_NEXT_INO, "next inode number", "expected above %llu, below 2^56 + 1, found %llu",
	                 (unsigned long long)f->max_ino, (unsigned long long)f->st.next_ino))
		f->counters_bad = true;
	if (f->space_bad)
		return 0;
	counter(f, "live units", f->st.stated_units, f->st.loaded_units); /* what SPACE holds is compared next */
	return space_compare(f);
}
