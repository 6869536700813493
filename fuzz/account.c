// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Which units of a volume are live, counted from its trees, against what its SPACE tree says: exact, or a finding.
 * Called by fuzz/ops.c on volumes that the core alone has written, when nothing waits in a buffer (after a checkpoint).
 */
#include "fuzz/fuzz.h"

static u8 want[FUZZ_PAGES]; /* a bit for each unit */

static void add(u64 addr, u32 units)
{
	for (; units; units--, addr++) {
		FUZZ_CHECK(addr / 8 < FUZZ_PAGES && !(want[addr / 8] >> addr % 8 & 1), "space: unit %llu is used twice",
		           (unsigned long long)addr);
		want[addr / 8] |= (u8)(1 << addr % 8);
	}
}

static void add_ptr(const struct tfs_ptr *p)
{
	const struct tfs_gang *g;
	u32 i;

	if (!(p->flags & TFS_PTR_GANG)) {
		add(p->addr, p->len);
		return;
	}
	add(p->addr, TFS_UNITS_PER_BLOCK);
	g = (const struct tfs_gang *)fuzz_ram_look((u32)(p->addr / 8));
	for (i = 0; i < tfs_le32(g->count) && i < TFS_GANG_RUNS; i++)
		add(tfs_le64(g->run[i].addr), tfs_le32(g->run[i].len));
}

static int node(void *arg, const struct tfs_node_info *info)
{
	(void)arg;
	FUZZ_CHECK(!info->err, "space: a node cannot be read: error %d", info->err);
	if (info->ptr.addr)
		add_ptr(&info->ptr);
	return 0;
}

/* Of each unit: how often REFS says that it is referred to, and how often it is. */
static u32 said[FUZZ_PAGES * 8], found[FUZZ_PAGES * 8];
static bool shares;

static void shared_load(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;

	if (shares) {
		memset(said, 0, sizeof(said));
		memset(found, 0, sizeof(found));
	}
	for (shares = false; !tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len); k.b++) {
		const struct tfs_ref *r = v;
		u64 u, end = k.a + tfs_le32(r->len);

		shares = true;
		FUZZ_CHECK(end <= FUZZ_PAGES * 8 && end > k.a && tfs_le32(r->count) > 1,
		           "space: shared range at unit %llu is malformed", (unsigned long long)k.a);
		for (u = k.a; u < end; u++) {
			FUZZ_CHECK(!said[u], "space: shared ranges overlap at unit %llu", (unsigned long long)u);
			said[u] = tfs_le32(r->count);
		}
	}
}

/* Counts a reference to them, and adds what it is the first to. */
static void add_shared(const struct tfs_ptr *p)
{
	u64 u;

	if (p->flags & TFS_PTR_GANG || p->addr + p->len > FUZZ_PAGES * 8) {
		add_ptr(p);
		return;
	}
	for (u = p->addr; u < p->addr + p->len; u++)
		if (!said[u] || !found[u]++)
			add(u, 1);
}

static void shared_check(void)
{
	u64 u;

	for (u = 0; shares && u < FUZZ_PAGES * 8; u++)
		FUZZ_CHECK(said[u] == found[u], "space: shared unit %llu: expected a count of %u, found %u",
		           (unsigned long long)u, found[u], said[u]);
}

static void items(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	u64 seen[16], window = ~0ull;
	const void *v;
	u32 len, seens = 0, i;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); k.b++) {
		u32 type = (u32)(k.b >> TFS_POS_BITS);
		const struct tfs_xattr *x = v;
		struct tfs_disk_ptr d;
		struct tfs_ptr p;

		if (type != TFS_IT_EXTENT && !(type == TFS_IT_XATTR && x->where))
			continue;
		memcpy(&d, type == TFS_IT_EXTENT ? v : x->name + x->name_len, sizeof(d));
		p = (struct tfs_ptr){.addr = tfs_le64(d.addr), .len = tfs_le16(d.len), .flags = tfs_le16(d.flags)};
		if (type == TFS_IT_EXTENT && (k.a << 48 ^ k.b >> 4) != window) {
			window = k.a << 48 ^ k.b >> 4;
			seens = 0;
		}
		for (i = 0; type == TFS_IT_EXTENT && i < seens && seen[i] != p.addr; i++)
			;
		if (type == TFS_IT_EXTENT && i < seens && ((const struct tfs_extent *)v)->codec)
			continue; /* pieces of one compressed extent */
		if (type == TFS_IT_EXTENT && seens < 16)
			seen[seens++] = p.addr;
		if (type == TFS_IT_EXTENT)
			add_shared(&p);
		else
			add_ptr(&p);
	}
}

static u32 segment(struct tfs_vol *vol, u64 s, u32 blocks)
{
	static u8 map[(1u << TFS_SEGMENT_BITS_MAX) / TFS_BLOCK];
	const u8 *w = want + TFS_SEGMENTS_OFFSET / TFS_BLOCK + s * blocks;
	u32 b, used = 0, units = 0;
	struct tfs_segment info;

	FUZZ_CHECK(!tfs_segment_map(vol, s, map, &info), "space: the map of segment %llu cannot be read",
	           (unsigned long long)s);
	for (b = 0; b < blocks; b++) {
		used += w[b] != 0;
		units += (u32)__builtin_popcount(w[b]);
		FUZZ_CHECK(map[b] == w[b], "space: segment %llu block %u: expected live %02x, found %02x",
		           (unsigned long long)s, b, w[b], map[b]);
	}
	FUZZ_CHECK(info.live == units && info.used_blocks == used, "space: segment %llu: counts differ",
	           (unsigned long long)s);
	return units;
}

void fuzz_account(struct tfs_vol *vol)
{
	struct tfs_stat st;
	u64 s, live = 0;
	int t;

	FUZZ_CHECK(!tfs_checkpoint(vol), "checkpoint failed");
	memset(want, 0, sizeof(want));
	for (t = 0; t < TFS_TREES; t++)
		FUZZ_CHECK(!tfs_tree_walk(vol, t, node, NULL), "space: tree %d cannot be walked", t);
	shared_load(vol);
	items(vol);
	shared_check();
	tfs_statfs(vol, &st);
	for (s = 0; s < st.segments; s++)
		live += segment(vol, s, 1u << (st.segment_bits - TFS_BLOCK_BITS));
	FUZZ_CHECK(live == st.live_units, "space: expected %llu live units, found %llu", (unsigned long long)live,
	           (unsigned long long)st.live_units);
}
