// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The SPACE tree and the segment table: which 512-byte units are live, exactly. A map item holds a bit for each unit of
 * a segment (of 4 MiB of it at most), a byte of it one 4 KiB block; a segment's counts stand in SEGS items and in
 * vol->segment. Marking works in place in dirty leaves (tfs_space_prepare), so it cannot fail. A block whose last
 * unit dies is pinned until the open epoch's anchor is durable.
 */
#include "tfs/vol.h"

static struct tfs_key segs_key(u64 segment)
{
	return (struct tfs_key){TFS_SPACE_SEGS | segment / TFS_SEGS_PER_ITEM, 0};
}

static struct tfs_key map_key(u64 segment, u64 chunk)
{
	return (struct tfs_key){TFS_SPACE_MAP | segment, chunk};
}

/* A range of units inside one map item. */
struct piece {
	u64 segment, chunk;
	u32 bit, bits;
};

static u32 chunk_units(const struct tfs_vol *vol)
{
	return vol->map_bytes * 8;
}

static struct piece piece_at(const struct tfs_vol *vol, u64 addr, u32 units)
{
	u64 off = addr - TFS_SEGMENTS_OFFSET / TFS_UNIT;
	u32 per_segment = vol->segment_blocks * TFS_UNITS_PER_BLOCK, in;
	struct piece p;

	p.segment = off >> (vol->segment_bits - TFS_UNIT_BITS);
	in = (u32)(off & (per_segment - 1));
	p.chunk = in / chunk_units(vol);
	p.bit = in % chunk_units(vol);
	p.bits = chunk_units(vol) - p.bit;
	if (p.bits > units)
		p.bits = units;
	return p;
}

bool tfs_space_valid(const struct tfs_vol *vol, u64 addr, u32 units)
{
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT, all = vol->segments << (vol->segment_bits - TFS_UNIT_BITS);
	u32 bits = vol->segment_bits - TFS_UNIT_BITS;

	return units && addr >= base && addr - base < all && units <= all - (addr - base) &&
	       (addr - base) >> bits == (addr - base + units - 1) >> bits;
}

int tfs_space_prepare(struct tfs_vol *vol, u64 addr, u32 units)
{
	static const u8 zero[1024];
	struct tfs_node *leaf;
	int err;

	if (!tfs_space_valid(vol, addr, units))
		return tfs_corrupt(vol, 0, "address out of range");
	if (vol->repairing)
		return 0;
	err = tfs_pin_prepare(vol, addr / TFS_UNITS_PER_BLOCK, (addr % TFS_UNITS_PER_BLOCK + units + 7) / 8);
	while (!err && units) {
		struct piece p = piece_at(vol, addr, units);

		err = tfs_tree_ensure(vol, TFS_TREE_SPACE, map_key(p.segment, p.chunk), zero, vol->map_bytes);
		if (!err)
			err = tfs_tree_dirty(vol, TFS_TREE_SPACE, segs_key(p.segment), &leaf);
		addr += p.bits;
		units -= p.bits;
	}
	return err;
}

static void block_changed(struct tfs_vol *vol, u64 segment, u64 block, bool live)
{
	if (live) {
		vol->used_blocks++;
		vol->segment[segment].used_blocks++;
		tfs_unpin_claimed(vol, block);
	} else {
		vol->used_blocks--;
		vol->segment[segment].used_blocks--;
		tfs_space_emptier(vol, segment);
		tfs_pin_set(vol, tfs_epoch_pin(vol->epoch), block, 1);
	}
}

/* Returns how many units changed: fewer than asked for only in a contradictory image (one place named twice). */
static u32 piece_mark(struct tfs_vol *vol, const struct piece *p, u64 addr, bool live)
{
	u8 *map = tfs_item_edit(vol, TFS_TREE_SPACE, map_key(p->segment, p->chunk), NULL);
	u32 i, end = p->bit + p->bits, changed = 0;

	for (i = p->bit; i < end; i = (i | 7) + 1) {
		u8 old = map[i / 8], mask = (u8)(0xff << i % 8);

		if (end < (i | 7) + 1)
			mask &= (u8)(0xff >> ((i | 7) + 1 - end));
		map[i / 8] = live ? old | mask : old & (u8)~mask;
		changed += (u32)__builtin_popcount(old ^ map[i / 8]);
		if (!old != !map[i / 8])
			block_changed(vol, p->segment, (addr + (i - p->bit)) / TFS_UNITS_PER_BLOCK, live);
	}
	if (changed != p->bits)
		tfs_stop(vol, tfs_corrupt(vol, 0, "a place is named twice"));
	return changed;
}

static void segment_store(struct tfs_vol *vol, u64 segment)
{
	struct tfs_segment *item = tfs_item_edit(vol, TFS_TREE_SPACE, segs_key(segment), NULL);
	const struct tfs_segment *s = &vol->segment[segment];

	item += segment % TFS_SEGS_PER_ITEM;
	item->live = tfs_cpu32(s->live);
	item->used_blocks = tfs_cpu32(s->used_blocks);
	item->age = tfs_cpu64(s->age);
}

void tfs_space_mark(struct tfs_vol *vol, u64 addr, u32 units, bool live)
{
	if (vol->repairing)
		return;
	while (units) {
		struct piece p = piece_at(vol, addr, units);

		u32 n = piece_mark(vol, &p, addr, live);

		vol->segment[p.segment].live += live ? n : -n;
		vol->live_units += live ? (u64)n : -(u64)n;
		if (live)
			vol->segment[p.segment].age = vol->epoch;
		segment_store(vol, p.segment);
		addr += p.bits;
		units -= p.bits;
	}
}

/* How many of the units are live; negative errno. */
static s64 live_count(struct tfs_vol *vol, u64 addr, u32 units)
{
	s64 n = 0;

	while (units) {
		struct piece p = piece_at(vol, addr, units);
		const void *v;
		u32 len, i;
		int err = tfs_item_find(vol, TFS_TREE_SPACE, map_key(p.segment, p.chunk), &v, &len);

		if (!err && len != vol->map_bytes)
			err = tfs_corrupt(vol, 0, "segment map of another size");
		if (err && err != -ENOENT)
			return err;
		for (i = p.bit; !err && i < p.bit + p.bits; i++)
			n += ((const u8 *)v)[i / 8] >> i % 8 & 1;
		addr += p.bits;
		units -= p.bits;
	}
	return n;
}

int tfs_space_live(struct tfs_vol *vol, u64 addr, u32 units, bool want)
{
	s64 n = vol->repairing ? (want ? (s64)units : 0) : live_count(vol, addr, units);

	if (n < 0)
		return (int)n;
	if (n != (want ? (s64)units : 0)) {
		tfs_err(vol, "units %llu+%u: expected %s, found %lld of them live; run fsck.tfs",
		        (unsigned long long)addr, units, want ? "live" : "dead", (long long)n);
		return -EUCLEAN;
	}
	return 0;
}

/* ---- the segment table ---- */

static void sizes_set(struct tfs_vol *vol, u64 segments)
{
	vol->segments = segments;
	vol->total_blocks = vol->segments * vol->segment_blocks;
	vol->reserve_blocks = vol->total_blocks / 20;
	if (vol->reserve_blocks < 10ull * vol->segment_blocks)
		vol->reserve_blocks = 10ull * vol->segment_blocks;
	if (vol->reserve_blocks > (64ull << 30) / TFS_BLOCK)
		vol->reserve_blocks = (64ull << 30) / TFS_BLOCK;
	if (vol->reserve_blocks > vol->total_blocks / 4)
		vol->reserve_blocks = vol->total_blocks / 4;
	vol->dirty_cap = (u32)(vol->reserve_blocks / 8 < TFS_DIRTY_MAX ? vol->reserve_blocks / 8 : TFS_DIRTY_MAX);
	vol->log_share = (u32)(vol->reserve_blocks / 4 < TFS_LOG_MAX ? vol->reserve_blocks / 4 : TFS_LOG_MAX);
}

void tfs_space_table_free(struct tfs_segment_table *table)
{
	tfs_port_free(table->segment);
	tfs_port_free(table->longest);
	tfs_port_free(table->group);
}

int tfs_space_table(struct tfs_vol *vol, u64 segments, struct tfs_segment_table *out)
{
	size_t bytes = (segments + TFS_SEGS_PER_ITEM) * sizeof(*vol->segment);
	size_t groups = (segments / TFS_SEGMENT_GROUP + 1) * sizeof(*vol->group);

	if (bytes / sizeof(*vol->segment) != segments + TFS_SEGS_PER_ITEM) /* a host of 32 bits */
		return -ENOMEM;
	out->segment = tfs_port_alloc(bytes);
	out->longest = tfs_port_alloc(segments * sizeof(*out->longest));
	out->group = tfs_port_alloc(groups);
	if (!out->segment || !out->longest || !out->group) {
		tfs_space_table_free(out);
		return -ENOMEM;
	}
	memset(out->longest, 0xff, segments * sizeof(*out->longest));
	memset(out->group, 0xff, groups);
	memset(out->segment, 0, bytes);
	return 0;
}

void tfs_space_table_use(struct tfs_vol *vol, u64 segments, struct tfs_segment_table *table)
{
	if (vol->segment)
		memcpy(table->segment, vol->segment,
		       (vol->segments < segments ? vol->segments : segments) * sizeof(*vol->segment));
	tfs_compact_destroy(vol);
	tfs_port_free(vol->segment);
	vol->segment = table->segment;
	tfs_port_free(vol->longest);
	vol->longest = table->longest;
	tfs_port_free(vol->group);
	vol->group = table->group;
	sizes_set(vol, segments);
}

int tfs_space_resize(struct tfs_vol *vol, u64 segments)
{
	struct tfs_segment_table table;
	int err = tfs_space_table(vol, segments, &table);

	if (!err)
		tfs_space_table_use(vol, segments, &table);
	return err;
}

int tfs_space_init(struct tfs_vol *vol)
{
	vol->segment_bits = tfs_le32(vol->super.segment_bits);
	vol->segment_blocks = 1u << (vol->segment_bits - TFS_BLOCK_BITS);
	vol->map_bytes =
	    (vol->segment_bits < TFS_CHUNK_BITS ? 1u << vol->segment_bits : 1u << TFS_CHUNK_BITS) / TFS_BLOCK;
	return tfs_space_resize(vol, tfs_le64(vol->super.segments));
}

static int load_group(struct tfs_vol *vol, u64 group, const struct tfs_segment *item)
{
	u32 i;

	for (i = 0; i < TFS_SEGS_PER_ITEM && group * TFS_SEGS_PER_ITEM + i < vol->segments; i++) {
		struct tfs_segment *s = &vol->segment[group * TFS_SEGS_PER_ITEM + i];

		s->live = tfs_le32(item[i].live);
		s->used_blocks = tfs_le32(item[i].used_blocks);
		s->age = tfs_le64(item[i].age);
		if (s->used_blocks > vol->segment_blocks || s->live > s->used_blocks * TFS_UNITS_PER_BLOCK ||
		    s->live < s->used_blocks)
			return tfs_corrupt(vol, 0, "segment counts out of range");
		vol->used_blocks += s->used_blocks;
		vol->live_units += s->live;
	}
	return 0;
}

int tfs_space_load(struct tfs_vol *vol)
{
	u64 group;

	for (group = 0; group * TFS_SEGS_PER_ITEM < vol->segments; group++) {
		const void *v;
		u32 len;
		int err = tfs_item_find(vol, TFS_TREE_SPACE, segs_key(group * TFS_SEGS_PER_ITEM), &v, &len);

		if (!err)
			err = load_group(vol, group, v);
		if (err)
			return err == -ENOENT ? tfs_corrupt(vol, 0, "segment table item missing") : err;
	}
	return 0;
}

/* The table of a large new volume is written as it grows: memory stays bounded. A repair is one checkpoint. */
int tfs_space_format(struct tfs_vol *vol, u64 from)
{
	static const struct tfs_segment zero[TFS_SEGS_PER_ITEM];
	u64 group;
	int err = 0;

	for (group = from / TFS_SEGS_PER_ITEM; !err && group * TFS_SEGS_PER_ITEM < vol->segments; group++) {
		err = tfs_tree_ensure(vol, TFS_TREE_SPACE, segs_key(group * TFS_SEGS_PER_ITEM), zero, sizeof(zero));
		if (!err && vol->bulk && vol->dirty.count >= vol->dirty_cap / 2) {
			err = tfs_checkpoint(vol);
			tfs_cache_trim(vol);
		}
	}
	return err;
}

int tfs_space_set(struct tfs_vol *vol, u64 segment, const u8 *map)
{
	struct tfs_segment *s = &vol->segment[segment];
	struct tfs_node *leaf;
	u32 done, b, used;
	int err = 0;

	for (done = 0; !err && done < vol->segment_blocks; done += vol->map_bytes) {
		for (b = done, used = 0; b < done + vol->map_bytes; b++) {
			used += map[b] != 0;
			s->live += (u32)__builtin_popcount(map[b]);
		}
		s->used_blocks += used;
		if (used)
			err = tfs_tree_ensure(vol, TFS_TREE_SPACE, map_key(segment, done / vol->map_bytes), map + done,
			                      vol->map_bytes);
	}
	if (!err)
		err = tfs_tree_dirty(vol, TFS_TREE_SPACE, segs_key(segment), &leaf);
	if (err)
		return err;
	vol->used_blocks += s->used_blocks;
	vol->live_units += s->live;
	segment_store(vol, segment);
	return 0;
}

int tfs_segment_map(struct tfs_vol *vol, u64 segment, u8 *map, struct tfs_segment *info)
{
	u32 done;
	int settled = tfs_settle_drops(vol);

	if (settled)
		return settled;
	if (segment >= vol->segments)
		return -EINVAL;
	for (done = 0; map && done < vol->segment_blocks; done += vol->map_bytes) {
		const u8 *m;
		int err = tfs_space_map(vol, segment, done / vol->map_bytes, &m);

		if (err)
			return err;
		if (m)
			memcpy(map + done, m, vol->map_bytes);
		else
			memset(map + done, 0, vol->map_bytes);
	}
	*info = vol->segment[segment];
	return 0;
}

/* ---- how free space is spread ---- */

static void run_count(struct tfs_spread *s, u32 run)
{
	u32 class = run ? 31 - (u32)__builtin_clz(run) : 0;

	if (!run)
		return;
	class = class < TFS_RUN_CLASSES ? class : TFS_RUN_CLASSES - 1;
	s->runs[class]++;
	s->blocks[class] += run;
	s->free_blocks += run;
}

static int spread_segment(struct tfs_vol *vol, u64 segment, struct tfs_spread *s)
{
	u32 done, b, run = 0;

	for (done = 0; done < vol->segment_blocks; done += vol->map_bytes) {
		const u8 *map;
		int err = tfs_space_map(vol, segment, done / vol->map_bytes, &map);

		if (err)
			return err;
		if (!map)
			run += vol->map_bytes;
		for (b = 0; map && b < vol->map_bytes; b++)
			if (map[b])
				run_count(s, run), run = 0;
			else
				run++;
	}
	s->whole_segments += run == vol->segment_blocks;
	run_count(s, run);
	s->used_blocks += vol->segment[segment].used_blocks;
	s->live_units += vol->segment[segment].live;
	return 0;
}

int tfs_spread_add(struct tfs_vol *vol, u64 segment, u64 count, struct tfs_spread *out)
{
	int err = tfs_settle_drops(vol);

	for (; !err && count && segment < vol->segments; count--)
		err = spread_segment(vol, segment++, out);
	return err;
}

int tfs_trim(struct tfs_vol *vol, u64 segment, u64 from, u64 to, u64 min, u64 *discarded)
{
	u64 block, end, start, n, least = (min + TFS_BLOCK - 1) / TFS_BLOCK;
	int err = tfs_settle_drops(vol);

	if (err)
		return err;
	if (segment >= vol->segments)
		return -EINVAL;
	if (!vol->dev->ops->discard)
		return -EOPNOTSUPP;
	block = tfs_segment_block(vol, segment);
	end = block + vol->segment_blocks;
	if (block < (from + TFS_BLOCK - 1) / TFS_BLOCK)
		block = (from + TFS_BLOCK - 1) / TFS_BLOCK;
	if (end > to / TFS_BLOCK)
		end = to / TFS_BLOCK;
	if (least > vol->segment_blocks)
		return 0;
	for (; !err && block < end; block = start + n) {
		n = tfs_space_find(vol, segment, block, least ? (u32)least : 1, (u32)(end - block), &start);
		if (!n || start >= end)
			break;
		if (n > end - start)
			n = end - start;
		err = vol->dev->ops->discard(vol->dev, start << TFS_BLOCK_BITS, n << TFS_BLOCK_BITS);
		if (!err)
			*discarded += n << TFS_BLOCK_BITS;
	}
	return err;
}
