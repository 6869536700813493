// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * From the trees of a snapshot that stand on a device to a volume: what FS and REFS use is counted, with REFS held
 * against FS; the core's repair code writes SPACE from that, and the snapshot's item under its id, in one checkpoint of
 * a new generation. So the next run from the restored volume is incremental. Memory: 1 KiB for each 4 MiB in use.
 * Called by restore.c; the device keeps superblocks back until all is through.
 */
#include "backup/backup.h"

#include <stdlib.h>

struct count {
	const char *path;
	struct tfs_vol *vol;
	u8 **live; /* of each segment, a byte a block; NULL: none */
	u64 segments, segment_units;
	struct tfs_repair_counters c;
	struct bk_shared shared;
	struct tfs_ptr extent; /* that is being counted */
	int code;
};

static int wrong(struct count *c, const char *what, u64 addr)
{
	if (!c->code)
		c->code =
		    tfs_cli_fail(BK_DAMAGE, c->path, "unit %llu: %s; the snapshot was damaged when it was backed up",
		                 (unsigned long long)addr, what);
	return -ECANCELED;
}

static int run_count(void *arg, u64 addr, u32 units)
{
	struct count *c = arg;
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT;

	if (addr < base || (addr - base) / c->segment_units >= c->segments ||
	    (addr - base) % c->segment_units + units > c->segment_units)
		return wrong(c, "outside of the volume", addr);
	for (u64 at = addr - base; at < addr - base + units; at++) {
		u64 segment = at / c->segment_units, unit = at % c->segment_units;

		if (!c->live[segment])
			c->live[segment] = calloc(1, c->segment_units / TFS_UNITS_PER_BLOCK);
		if (!c->live[segment]) {
			c->code = bk_no_memory();
			return -ENOMEM;
		}
		if (c->live[segment][unit / 8] >> unit % 8 & 1)
			return wrong(c, "used twice", addr);
		c->live[segment][unit / 8] |= (u8)(1u << unit % 8);
	}
	return 0;
}

static int ptr_count(struct count *c, const struct tfs_ptr *ptr)
{
	int err = tfs_ptr_runs(c->vol, ptr, run_count, c);

	return err && !c->code ? wrong(c, "its list of places cannot be read", ptr->addr) : err;
}

static int extent_count(void *arg, u32 first, u32 units)
{
	struct count *c = arg;
	struct tfs_ptr part = c->extent;

	part.addr += first;
	part.len = (u16)units;
	return ptr_count(c, &part);
}

static int item_count(struct count *c, struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct tfs_ptr ptr;
	int err;

	if (key.b >> TFS_POS_BITS == TFS_IT_INODE) {
		c->c.inodes++;
		if (key.a >= c->c.next_ino)
			c->c.next_ino = key.a + 1;
	}
	if (key.b >> TFS_POS_BITS == TFS_IT_PREALLOC)
		c->c.prealloc_blocks += tfs_le64(((const struct tfs_prealloc *)value)->blocks);
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr))
		return 0;
	if (!e)
		return ptr_count(c, &ptr);
	c->extent = ptr;
	err = bk_shared_extent(&c->shared, key, e, &ptr, extent_count, c);
	if (err == -ENOMEM && !c->code)
		c->code = bk_no_memory();
	return err;
}

static int node_count(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = info->node;
	const struct tfs_slot *slot = (const struct tfs_slot *)(h + 1);
	struct count *c = arg;
	int err;

	if (info->err)
		return wrong(c, "a node cannot be read", info->ptr.addr);
	err = info->ptr.addr ? ptr_count(c, &info->ptr) : 0;
	if (err || info->level || info->tree != TFS_TREE_FS)
		return err;
	for (u32 i = 0; !err && i < tfs_le16(h->count); i++)
		err = item_count(c, (struct tfs_key){tfs_le64(slot[i].key.a), tfs_le64(slot[i].key.b)},
		                 (const u8 *)h + tfs_le16(slot[i].off));
	return err;
}

static int shared_load(struct count *c)
{
	int err = bk_shared_load(&c->shared, c->vol);

	return !err || err == -ENOMEM ? err : wrong(c, "shared extents cannot be read", 0);
}

static int shared_check(struct count *c)
{
	const struct bk_shared_range *r = bk_shared_wrong(&c->shared);

	return r ? wrong(c, "shared by another number of owners than REFS says", r->addr) : 0;
}

static const u8 *segment_live(void *arg, u64 segment)
{
	return ((struct count *)arg)->live[segment];
}

static int snapshot_put(struct tfs_vol *vol, const struct bk_manifest *m)
{
	union {
		struct tfs_snapshot s;
		u8 bytes[sizeof(struct tfs_snapshot) + TFS_NAME_MAX + 1];
	} it;

	memset(&it, 0, sizeof(it));
	memcpy(it.s.id, m->snapshot, sizeof(it.s.id));
	it.s.fs = m->fs;
	it.s.refs = m->refs;
	it.s.inodes = m->inodes;
	it.s.units = m->units;
	it.s.first_list = tfs_cpu64(1);
	it.s.created = m->created;
	it.s.holds = tfs_cpu32(m->name_len > 11 && !memcmp(m->name, "tfs-backup.", 11));
	it.s.name_len = m->name_len;
	memcpy(it.s.name, m->name, m->name_len);
	return tfs_repair_put(vol, TFS_TREE_SNAP, (struct tfs_key){TFS_SNAP_ITEM, tfs_le64(m->epoch)}, &it,
	                      (u32)sizeof(it.s) + m->name_len);
}

static int volume_finish(struct count *c, const struct bk_backup *b)
{
	int err = shared_load(c);

	if (!err)
		err = tfs_tree_walk(c->vol, TFS_TREE_FS, node_count, c);
	if (!err)
		err = shared_check(c);
	if (!err)
		err = tfs_tree_walk(c->vol, TFS_TREE_REFS, node_count, c);
	if (!err)
		err = snapshot_put(c->vol, b->m);
	if (!err)
		err = tfs_repair_snapshots(c->vol);
	if (!err)
		err = tfs_repair_space(c->vol, segment_live, c);
	if (!err)
		err = tfs_repair_finish(c->vol, &c->c);
	return err;
}

int bk_rebuild(struct tfs_dev *dev, const char *path, const struct bk_backup *b)
{
	const struct tfs_super *super = (const struct tfs_super *)b->m->super;
	struct count c = {.path = path, .c.next_ino = tfs_le64(b->m->next_ino)};
	int err = bk_mount(dev, &c.vol), end;

	if (err)
		return tfs_cli_fail(BK_VOLUME, path, "what was written cannot be opened: %s", strerror(-err));
	c.segments = tfs_le64(super->segments);
	c.segment_units = 1ull << (tfs_le32(super->segment_bits) - TFS_UNIT_BITS);
	c.live = calloc(c.segments, sizeof(*c.live));
	err = c.live ? volume_finish(&c, b) : -ENOMEM;
	if (err)
		tfs_abandon(c.vol);
	else if ((end = tfs_unmount(c.vol)))
		err = end;
	for (u64 i = 0; c.live && i < c.segments; i++)
		free(c.live[i]);
	free(c.live);
	bk_shared_free(&c.shared);
	if (!err || c.code)
		return c.code;
	return tfs_cli_fail(err == -ENOMEM ? BK_HOST : BK_VOLUME, path, "space cannot be counted and written: %s",
	                    strerror(-err));
}
