// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What tfs/ioctl.h asks for, done on a volume: one function a request, and one table of them. The hosts copy structures
 * in and out, say who may ask, and do what needs no volume (writing back, time for the steps of a delete). Everything
 * in a structure is checked here. Called by hosts between operations, under the lock of all of tfs.h.
 */
#include "tfs/admin.h"
#include "tfs/vol.h"

#define DIFF_LEAVES 64u
#define STEP_BLOCKS_MAX 4096u

bool tfs_admin_zero(const void *p, size_t bytes)
{
	const u8 *b = p;

	while (bytes && !*b)
		b++, bytes--;
	return !bytes;
}

/* ---- the volume ---- */

static u64 requests_known(void);

static int info(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_info *i = arg;
	struct tfs_stat st;

	if (!tfs_admin_zero(i, sizeof(*i)))
		return -EINVAL;
	tfs_statfs(vol, &st);
	i->version = TFS_IOC_VERSION;
	i->flags = (st.read_only ? TFS_INFO_READ_ONLY : 0) | (st.damaged ? TFS_INFO_DAMAGED : 0) |
	           (vol->compact.off || st.read_only ? 0 : TFS_INFO_COMPACT_AUTO);
	i->requests = requests_known();
	i->volume = st.volume;
	i->epoch = st.epoch;
	memcpy(i->uuid, vol->super.uuid, sizeof(i->uuid));
	memcpy(i->label, vol->super.label, sizeof(i->label));
	i->size = st.size;
	i->blocks = st.blocks;
	i->free_blocks = st.free;
	i->available_blocks = st.available;
	i->snapshot_blocks = st.snapshot_blocks;
	i->prealloc_blocks = st.prealloc_blocks;
	i->delayed_blocks = st.delayed_blocks;
	i->inodes = st.inodes;
	i->segments = st.segments;
	i->segment_bits = st.segment_bits;
	i->snapshots = st.snapshots;
	i->dying = st.dying;
	i->user_blocks = st.user_blocks;
	i->data_blocks = st.data_blocks;
	i->node_blocks = st.node_blocks;
	i->log_blocks = st.log_blocks;
	i->moved_blocks = st.moved_blocks;
	i->checkpoints = st.checkpoints;
	i->compact_sweeps = st.compact_sweeps;
	i->compact_emptied = st.compact_emptied;
	i->next_ino = st.next_ino;
	return 0;
}

static int spread(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_spread *s = arg;
	struct tfs_spread out;
	u64 count = s->count < TFS_IOC_SPREAD_MAX ? s->count : TFS_IOC_SPREAD_MAX;
	int err;

	if (!tfs_admin_zero(&s->free_blocks, sizeof(*s) - 2 * sizeof(u64)) || !s->count || s->segment >= vol->segments)
		return -EINVAL;
	if (count > vol->segments - s->segment)
		count = vol->segments - s->segment;
	memset(&out, 0, sizeof(out));
	err = tfs_spread_add(vol, s->segment, count, &out);
	s->segment += count;
	s->count -= count;
	s->free_blocks = out.free_blocks;
	s->used_blocks = out.used_blocks;
	s->live_units = out.live_units;
	s->whole_segments = out.whole_segments;
	memcpy(s->runs, out.runs, sizeof(s->runs));
	memcpy(s->blocks, out.blocks, sizeof(s->blocks));
	return err;
}

/* ---- snapshots ---- */

/* That of what comes in only these are given. */
static bool only(const struct tfs_ioc_snapshot *s, bool epoch, bool name)
{
	return (epoch || !s->epoch) && !s->flags && s->name_len <= sizeof(s->name) && (name || !s->name_len) &&
	       tfs_admin_zero(s->name + s->name_len, sizeof(s->name) - s->name_len) &&
	       tfs_admin_zero(&s->holds, sizeof(*s) - offsetof(struct tfs_ioc_snapshot, holds));
}

static int snapshot_next(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;
	struct tfs_snapshot_info i;
	u32 flags = s->flags;
	int err;

	s->flags = 0;
	if (flags & ~TFS_SNAP_USAGE || !only(s, true, false))
		return -EINVAL;
	err = tfs_snapshot_next(vol, &s->epoch, &i);
	if (err)
		return err;
	s->flags = i.dying ? TFS_SNAP_DYING : 0;
	s->name_len = i.name_len;
	memcpy(s->name, i.name, i.name_len);
	s->holds = i.holds;
	memcpy(s->id, i.id, sizeof(s->id));
	s->created = (s64)tfs_le64(i.created.sec);
	s->created_nsec = tfs_le32(i.created.nsec);
	s->inodes = i.inodes;
	s->referenced = i.units * TFS_UNIT;
	s->fs = tfs_ptr_disk(&i.fs);
	s->refs = tfs_ptr_disk(&i.refs);
	return flags & TFS_SNAP_USAGE && !i.dying ? tfs_snapshot_usage(vol, s->epoch, &s->exclusive) : 0;
}

static int snapshot_create(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;

	return only(s, false, true) ? tfs_snapshot_create(vol, s->name, s->name_len, &s->epoch) : -EINVAL;
}

static int snapshot_rename(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;

	return only(s, true, true) ? tfs_snapshot_rename(vol, s->epoch, s->name, s->name_len) : -EINVAL;
}

static int snapshot_delete(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;

	return only(s, true, false) ? tfs_snapshot_delete(vol, s->epoch) : -EINVAL;
}

static int snapshot_hold(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;

	return only(s, true, false) ? tfs_snapshot_hold(vol, s->epoch, true) : -EINVAL;
}

static int snapshot_release(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_snapshot *s = arg;

	return only(s, true, false) ? tfs_snapshot_hold(vol, s->epoch, false) : -EINVAL;
}

/* ---- items ---- */

static bool left_out(const struct tfs_ioc_items *q, struct tfs_key key)
{
	u32 type = tfs_key_type(key);

	return !(q->flags & TFS_ITEMS_VALUES) &&
	       (type == TFS_IT_INLINE || type == TFS_IT_SYMLINK || type == TFS_IT_XATTR);
}

static u8 *value_put(u8 *to, const void *value, u32 len)
{
	u32 padded = (len + 7) & ~7u;

	if (len)
		memcpy(to, value, len);
	memset(to + len, 0, padded - len);
	return to + padded;
}

/* 1: there is no room for it any more. */
static int item_put(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	struct tfs_ioc_items *q = arg;
	struct tfs_ioc_item i = {.a = key.a, .b = key.b};
	u8 *to = q->data + q->bytes;

	i.there = (a ? TFS_ITEM_OLD : 0) | (b ? TFS_ITEM_NEW : 0);
	if (left_out(q, key))
		a_len = b_len = 0;
	i.old_len = (u16)(a ? a_len : 0);
	i.new_len = (u16)(b ? b_len : 0);
	i.bytes = (u16)(sizeof(i) + ((i.old_len + 7) & ~7u) + ((i.new_len + 7) & ~7u));
	if (i.bytes > sizeof(q->data) - q->bytes)
		return 1;
	memcpy(to, &i, sizeof(i));
	to = value_put(to + sizeof(i), a, i.old_len);
	value_put(to, b, i.new_len);
	q->bytes += i.bytes;
	return 0;
}

static bool in_range(const struct tfs_ioc_items *q, struct tfs_key k)
{
	struct tfs_key last = {q->last_a, q->last_b};

	return (!last.a && !last.b) || tfs_key_cmp(k, last) <= 0;
}

/* 1: there are more. */
static int items_all(struct tfs_vol *vol, struct tfs_ioc_items *q, struct tfs_key *k)
{
	struct tfs_view view;
	const void *v;
	u32 len;
	int err = vol->viewing ? -EBUSY : q->newer ? tfs_view_find(vol, q->newer, &view) : 0;

	if (err)
		return err;
	if (q->newer)
		tfs_view_enter(vol, &view);
	while (!(err = tfs_item_next(vol, TFS_TREE_FS, k, &v, &len)) && in_range(q, *k) &&
	       !(err = item_put(q, *k, NULL, 0, v, len)))
		if (!++k->b)
			k->a++;
	tfs_view_leave(vol);
	tfs_cache_trim(vol);
	return err == -ENOENT ? 0 : err;
}

static int items(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_items *q = arg;
	struct tfs_key k = {q->a, q->b};
	int err;

	if (q->flags & ~TFS_ITEMS_VALUES || q->bytes || q->more || q->reserved0 ||
	    (q->older && (q->last_a || q->last_b)))
		return -EINVAL;
	memset(q->data, 0, sizeof(q->data));
	err = q->older ? tfs_snapshot_diff_step(vol, q->older, q->newer, &k, DIFF_LEAVES, item_put, q)
	               : items_all(vol, q, &k);
	q->a = k.a;
	q->b = k.b;
	q->more = err > 0;
	return err < 0 ? err : 0;
}

/* ---- blocks ---- */

static int raw(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_raw *q = arg;
	u64 size = tfs_le64(vol->super.size);
	struct tfs_view view;
	int err;

	if (q->reserved0 || !TFS_ALL_ZERO(q->reserved) || (q->offset | q->bytes) % TFS_BLOCK ||
	    q->bytes > TFS_IOC_RAW_DATA || q->offset > size || q->bytes > size - q->offset)
		return -EINVAL;
	if (q->to)
		return -EOPNOTSUPP;
	err = tfs_view_find(vol, q->snapshot, &view);
	if (err || !q->bytes)
		return err;
	return tfs_dev_io(vol, TFS_IO_READ, q->offset, q->data, q->bytes, 0);
}

/* ---- the compactor ---- */

static int compact(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_compact *c = arg;
	int err;

	if (c->more || !TFS_ALL_ZERO(c->reserved) || c->what < TFS_COMPACT_OFF || c->what > TFS_COMPACT_STEP ||
	    (c->what == TFS_COMPACT_STEP ? !c->blocks || c->blocks > STEP_BLOCKS_MAX : c->blocks))
		return -EINVAL;
	if (vol->read_only)
		return -EROFS;
	if (c->what != TFS_COMPACT_STEP) {
		tfs_compact_set(vol, c->what == TFS_COMPACT_OFF);
		return 0;
	}
	err = tfs_compact_step(vol, (u32)c->blocks, TFS_COMPACT_NOW);
	c->more = err > 0;
	return err < 0 ? err : 0;
}

static int defrag(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_defrag *q = arg;
	struct tfs_defrag d = {
	    .ino = q->ino, .block = q->block, .last = q->last, .places = q->places, .look = q->flags & TFS_DEFRAG_LOOK};
	int err;

	if (!d.ino || d.ino > TFS_INO_MAX || d.last > TFS_INO_MAX || d.block > TFS_POS_MASK || d.places < 2 ||
	    !q->blocks || q->blocks > STEP_BLOCKS_MAX || q->flags & ~TFS_DEFRAG_LOOK || q->more || q->windows ||
	    q->scattered || q->joined || q->lacking || q->moved || !TFS_ALL_ZERO(q->reserved))
		return -EINVAL;
	if (vol->read_only && !d.look)
		return -EROFS;
	err = tfs_defrag_step(vol, &d, q->blocks);
	*q = (struct tfs_ioc_defrag){.ino = d.ino,
	                             .block = d.block,
	                             .last = d.last,
	                             .blocks = q->blocks,
	                             .places = d.places,
	                             .flags = q->flags,
	                             .more = err > 0,
	                             .windows = d.windows,
	                             .scattered = d.scattered,
	                             .joined = d.joined,
	                             .lacking = d.lacking,
	                             .moved = d.moved};
	return err < 0 ? err : 0;
}

/* ---- size, and what is stored ---- */

static int grow(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_grow *g = arg;
	int err;

	if (g->before || !TFS_ALL_ZERO(g->reserved))
		return -EINVAL;
	if (vol->read_only)
		return -EROFS;
	g->before = tfs_le64(vol->super.size);
	err = tfs_grow(vol, g->size);
	g->size = tfs_le64(vol->super.size);
	return err;
}

#define SCRUB_BYTES_MAX (16u << 20)

static int bad_put(void *arg, const struct tfs_bad *b)
{
	struct tfs_ioc_scrub *q = arg;

	if (q->told < TFS_IOC_BADS)
		q->bad[q->told++] = (struct tfs_ioc_bad){
		    .snapshot = b->snapshot,
		    .a = b->key.a,
		    .b = b->key.b,
		    .addr = b->ptr.addr,
		    .kind = b->kind,
		    .tree = b->tree,
		    .level = b->level,
		    .units = b->ptr.len,
		    .block = (u32)b->block,
		    .expected = b->expected,
		    .found = b->found,
		    .error = (u32)-b->err,
		};
	return 0;
}

static int scrub(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_scrub *q = arg;
	struct tfs_scrub *s;
	int err;

	if (q->volume != vol->volume || !q->budget || q->budget > SCRUB_BYTES_MAX || q->tree > TFS_TREES ||
	    q->reserved0 || !TFS_ALL_ZERO(q->reserved))
		return -EINVAL;
	s = tfs_port_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	memset(q->bad, 0, sizeof(q->bad));
	q->told = 0;
	*s = (struct tfs_scrub){.since = q->since,
	                        .snapshot = q->snapshot,
	                        .tree = q->tree,
	                        .next = {q->next_a, q->next_b},
	                        .bytes = q->bytes,
	                        .nodes = q->nodes,
	                        .places = q->places,
	                        .bad = q->damaged};
	memcpy(s->recent, q->recent, sizeof(s->recent));
	err = tfs_scrub_step(vol, s, q->budget, bad_put, q);
	q->more = err > 0;
	q->since = s->since;
	q->snapshot = s->snapshot;
	q->tree = s->tree;
	q->next_a = s->next.a;
	q->next_b = s->next.b;
	q->bytes = s->bytes;
	q->nodes = s->nodes;
	q->places = s->places;
	q->damaged = s->bad;
	memcpy(q->recent, s->recent, sizeof(q->recent));
	tfs_port_free(s);
	return err < 0 ? err : 0;
}

/* ---- the table ---- */

static const struct request {
	u32 request;
	int (*run)(struct tfs_vol *vol, void *arg);
} requests[] = {
    {TFS_IOC_INFO, info},
    {TFS_IOC_SPREAD, spread},
    {TFS_IOC_SNAPSHOT_NEXT, snapshot_next},
    {TFS_IOC_SNAPSHOT_CREATE, snapshot_create},
    {TFS_IOC_SNAPSHOT_RENAME, snapshot_rename},
    {TFS_IOC_SNAPSHOT_DELETE, snapshot_delete},
    {TFS_IOC_SNAPSHOT_HOLD, snapshot_hold},
    {TFS_IOC_SNAPSHOT_RELEASE, snapshot_release},
    {TFS_IOC_ITEMS, items},
    {TFS_IOC_RAW, raw},
    {TFS_IOC_COMPACT, compact},
    {TFS_IOC_DEFRAG, defrag},
    {TFS_IOC_GROW, grow},
    {TFS_IOC_SCRUB, scrub},
    {TFS_IOC_SHIP_ADD, tfs_admin_ship_add},
    {TFS_IOC_SHIP_REMOVE, tfs_admin_ship_remove},
    {TFS_IOC_SHIP_NEXT, tfs_admin_ship_next},
    {TFS_IOC_SHIP_MARK, tfs_admin_ship_mark},
    {TFS_IOC_SHIP_ACKED, tfs_admin_ship_acked},
    {TFS_IOC_SHIP_FILES, tfs_admin_ship_files},
    {TFS_IOC_SHIP_READ, tfs_admin_ship_read},
};
#define REQUESTS (sizeof(requests) / sizeof(*requests))

static u64 requests_known(void)
{
	u64 known = 0;
	u32 i;

	for (i = 0; i < REQUESTS; i++)
		known |= 1ull << (requests[i].request & 63);
	return known;
}

int tfs_admin(struct tfs_vol *vol, u32 request, void *arg)
{
	u32 i;

	for (i = 0; i < REQUESTS; i++)
		if (requests[i].request == request)
			return requests[i].run(vol, arg);
	return -ENOTTY;
}
