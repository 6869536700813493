// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What fsck changes a volume with. A volume mounted with TFS_MOUNT_REPAIR is read-only and replayed, and the SPACE tree
 * plays no part: items are put and deleted in memory, old places are gathered in vol->drops, and tfs_repair_finish
 * builds SPACE anew from the caller's map, pins what the state on the device still needs, and makes it all durable in
 * one checkpoint. So a repair that is cut off left nothing behind, and can be repeated.
 */
#include "tfs/name.h"
#include "tfs/vol.h"

u64 tfs_name_position(const struct tfs_vol *vol, const void *name, u32 len)
{
	return tfs_name_hash(vol, name, len) << 8;
}

int tfs_repair_node(struct tfs_vol *vol, int tree, struct tfs_key lo, int level)
{
	return vol->repairing ? tfs_tree_blank(vol, tree, lo, level) : -EINVAL;
}

int tfs_repair_move(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	struct tfs_node *leaf;

	return vol->repairing ? tfs_tree_dirty(vol, tree, key, &leaf) : -EINVAL;
}

/* ---- items ---- */

static bool open_to_repair(const struct tfs_vol *vol)
{
	return vol->repairing || vol->mending;
}

/* What the item refers to is no longer wanted; its place stays untouched until the repair is durable. */
static int item_drop(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value)
{
	struct tfs_ptr ptr;

	return tfs_item_ptr(tree, key, value, &ptr) ? tfs_push_drop(vol, &ptr) : 0;
}

static int prepare_one(struct tfs_vol *vol, int tree, struct tfs_key key, u32 len)
{
	tfs_need_reset(vol);
	tfs_need(vol, tree, key, len);
	return tfs_prepare(vol);
}

int tfs_repair_put(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value, u32 len)
{
	int err;

	if (!open_to_repair(vol) || len > TFS_ITEM_MAX || tfs_item_check(tree, key, value, len))
		return -EINVAL;
	err = prepare_one(vol, tree, key, len ? len : 1);
	if (!err)
		tfs_item_put(vol, tree, key, value, len);
	return err;
}

int tfs_repair_del(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	const void *v;
	u32 len;
	int err = open_to_repair(vol) ? tfs_item_find(vol, tree, key, &v, &len) : -EINVAL;

	if (!err)
		err = item_drop(vol, tree, key, v);
	if (!err)
		err = prepare_one(vol, tree, key, 0);
	if (!err)
		tfs_item_del(vol, tree, key);
	return err == -ENOENT ? 0 : err;
}

/* ---- what a damaged leaf still holds ---- */

static int salvage_slots(const u8 *node, const struct tfs_node_info *info, tfs_item_fn fn, void *arg)
{
	const struct tfs_node_head *h = (const struct tfs_node_head *)node;
	const struct tfs_slot *s = (const struct tfs_slot *)(h + 1);
	u32 n = tfs_le16(h->count), max = (TFS_NODE_SIZE - sizeof(*h)) / sizeof(*s), i;
	struct tfs_key last = {0, 0};
	int found = 0;

	for (i = 0; i < n && i < max; i++) {
		u32 off = tfs_le16(s[i].off), len = tfs_le16(s[i].len);
		struct tfs_key k = {tfs_le64(s[i].key.a), tfs_le64(s[i].key.b)};

		if (off % 8 || off < sizeof(*h) || off + len > TFS_NODE_SIZE || (found && tfs_key_cmp(k, last) <= 0) ||
		    tfs_key_cmp(k, info->lo) < 0 || tfs_key_cmp(k, info->hi) >= 0 ||
		    tfs_item_check(info->tree, k, node + off, len))
			continue;
		if (fn(arg, k, node + off, len))
			break;
		last = k;
		found++;
	}
	return found;
}

int tfs_repair_salvage(struct tfs_vol *vol, const struct tfs_node_info *info, tfs_item_fn fn, void *arg)
{
	u32 bytes = info->ptr.len * TFS_UNIT;
	const char *why;
	u8 *buf;
	int err, found = 0;

	if (info->level || bytes < TFS_UNIT || bytes > TFS_NODE_SIZE + TFS_UNIT)
		return 0;
	buf = tfs_port_alloc(4 * TFS_NODE_SIZE);
	if (!buf)
		return -ENOMEM;
	err = tfs_read_ptr(vol, &info->ptr, buf + 2 * TFS_NODE_SIZE, true);
	if (!err)
		err = tfs_node_decode(buf, buf + 2 * TFS_NODE_SIZE, bytes, buf + TFS_NODE_SIZE, &why);
	if (err == -ENOMEM)
		found = err;
	else if (!err && !tfs_node_level(buf))
		found = salvage_slots(buf, info, fn, arg);
	tfs_port_free(buf);
	return found;
}

/* ---- places ---- */

/* Places in sound lists never overlap: what exceeds the volume is crafted. */
static int list_runs(struct tfs_vol *vol, const struct tfs_list *list, u64 *units,
                     int (*fn)(void *arg, u64 addr, u32 units), void *arg)
{
	u32 i, n = tfs_le32(list->count);
	int err = 0;

	for (i = 0; !err && i < n && i < TFS_LIST_RUNS; i++) {
		u64 addr = tfs_le64(list->run[i].addr);
		u32 len = tfs_le32(list->run[i].len);

		*units += len;
		if (*units <= vol->total_blocks * TFS_UNITS_PER_BLOCK && tfs_space_valid(vol, addr, len))
			err = fn(arg, addr, len);
	}
	return err;
}

int tfs_repair_lists(struct tfs_vol *vol, int (*fn)(void *arg, u64 addr, u32 units), void *arg)
{
	struct tfs_list *list = tfs_port_alloc(TFS_BLOCK);
	int err = list ? 0 : -ENOMEM;
	u64 units = 0;
	u32 n;

	for (n = 1; !err && vol->repairing && n < vol->metas; n++) /* the first is the checkpoint block */
		if (!tfs_dev_io(vol, TFS_IO_READ, vol->meta[n] * TFS_UNIT, list, TFS_BLOCK, 0) &&
		    !tfs_head_check(list, TFS_BT_LIST, vol->volume, TFS_BLOCK))
			err = list_runs(vol, list, &units, fn, arg);
	tfs_port_free(list);
	return err;
}

int tfs_repair_snapshots(struct tfs_vol *vol)
{
	return vol->repairing ? tfs_snap_load(vol) : -EINVAL;
}

int tfs_repair_pin(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	return vol->repairing ? tfs_push_drop(vol, ptr) : -EINVAL;
}

/* ---- finishing ---- */

static int old_node(void *arg, const struct tfs_node_info *info)
{
	struct tfs_vol *vol = arg;

	if (info->err == -ENOMEM)
		return info->err;
	return info->ptr.addr && info->ptr.len ? tfs_push_drop(vol, &info->ptr) : 0;
}

/* The old SPACE tree, as far as it can be read, is given up. */
static int space_forget(struct tfs_vol *vol)
{
	struct tfs_node *n, *next;
	int err = tfs_tree_walk(vol, TFS_TREE_SPACE, old_node, vol);

	if (err)
		return err;
	for (n = vol->dirty.first; n; n = next) {
		next = n->next;
		if (n->tree == TFS_TREE_SPACE)
			tfs_cache_forget(vol, n);
	}
	memset(&vol->root[TFS_TREE_SPACE], 0, sizeof(vol->root[TFS_TREE_SPACE]));
	vol->used_blocks = vol->live_units = 0;
	return tfs_space_format(vol, 0);
}

static bool block_live(struct tfs_vol *vol, u64 block)
{
	const void *v;
	u64 segment = tfs_block_segment(vol, block), in = block - tfs_segment_block(vol, segment);
	u32 len;

	if (tfs_item_find(vol, TFS_TREE_SPACE, (struct tfs_key){TFS_SPACE_MAP | segment, in / vol->map_bytes}, &v,
	                  &len))
		return false;
	return ((const u8 *)v)[in % vol->map_bytes];
}

/* The state on the device still needs them until the repair is durable. */
static int pin_run(void *arg, u64 addr, u32 units)
{
	struct tfs_vol *vol = arg;
	u64 block = addr / TFS_UNITS_PER_BLOCK, end = (addr + units + 7) / TFS_UNITS_PER_BLOCK;
	int err = 0;

	if (!tfs_space_valid(vol, addr, units))
		return 0;
	for (; !err && block < end; block++)
		if (!block_live(vol, block))
			err = tfs_pin(vol, tfs_epoch_pin(vol->epoch), block, 1);
	return err;
}

static int drops_pin(struct tfs_vol *vol)
{
	struct tfs_drop *d;

	while ((d = vol->drops)) {
		int err = tfs_ptr_runs(vol, &d->ptr, pin_run, vol);

		if (err && err != -EIO &&
		    err != -EUCLEAN) /* a gang whose list is damaged: so it is for the state before */
			return err;
		vol->drops = d->next;
		tfs_port_free(d);
	}
	return 0;
}

int tfs_repair_space(struct tfs_vol *vol, const u8 *(*map)(void *arg, u64 segment), void *arg)
{
	u64 s;
	int err = vol->repairing && !vol->dev->read_only ? space_forget(vol) : -EROFS;

	for (s = 0; !err && s < vol->segments; s++) {
		const u8 *bytes = map(arg, s);

		vol->segment[s].live = vol->segment[s].used_blocks = 0;
		if (bytes)
			err = tfs_space_set(vol, s, bytes);
	}
	tfs_space_unknown(vol);
	if (!err)
		err = drops_pin(vol);
	if (err)
		return err;
	vol->repairing = vol->damaged = vol->read_only = false;
	vol->mending = true;
	return 0;
}

/* ---- content at a new place ---- */

static int copy_put(struct tfs_vol *vol, struct tfs_key key, const void *item, u32 len, const struct tfs_ptr *ptr)
{
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, key, len);
	err = tfs_ptr_prepare_claim(vol, ptr);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_put(vol, TFS_TREE_FS, key, item, len);
	tfs_ptr_claim(vol, ptr);
	return 0;
}

static int copy_raw(struct tfs_vol *vol, struct tfs_key key, const struct tfs_extent *from, const u8 *buf)
{
	struct tfs_extent *e = (struct tfs_extent *)vol->scratch;
	u32 n = tfs_le16(from->blocks), done = 0;
	struct tfs_ptr ptr;
	int err = 0;

	while (!err && done < n) {
		int got = tfs_place_raw(vol, buf + done * TFS_BLOCK, n - done, false, &ptr);

		if (got < 0)
			return got;
		memcpy(e, from, TFS_EXTENT_HEAD);
		e->ptr = tfs_ptr_disk(&ptr);
		e->blocks = e->total = tfs_cpu16((u16)got);
		memcpy(e->crc, from->crc + done, 4 * (u32)got);
		err = copy_put(vol, key, e, TFS_EXTENT_HEAD + 4 * (u32)got, &ptr);
		key.b += (u32)got;
		done += (u32)got;
	}
	return err;
}

static int copy_packed(struct tfs_vol *vol, struct tfs_key key, const void *value, u32 len, const struct tfs_ptr *old,
                       const void *buf)
{
	u8 *item = vol->scratch;
	struct tfs_xattr *x = (struct tfs_xattr *)item;
	struct tfs_disk_ptr d;
	struct tfs_ptr ptr;
	int err = tfs_place_packed(vol, buf, old->len * TFS_UNIT, false, &ptr);

	if (err)
		return err;
	d = tfs_ptr_disk(&ptr);
	memcpy(item, value, len);
	memcpy(tfs_key_type(key) == TFS_IT_EXTENT ? item : x->name + x->name_len, &d, sizeof(d));
	return copy_put(vol, key, item, len, &ptr);
}

int tfs_repair_copy(struct tfs_vol *vol, struct tfs_key key, const void *value, u32 len, const void *buf)
{
	struct tfs_ptr old;
	bool raw = tfs_key_type(key) == TFS_IT_EXTENT && !((const struct tfs_extent *)value)->codec;
	int err;

	if (!vol->mending || tfs_item_check(TFS_TREE_FS, key, value, len) ||
	    !tfs_item_ptr(TFS_TREE_FS, key, value, &old))
		return -EINVAL;
	err = raw ? copy_raw(vol, key, value, buf) : copy_packed(vol, key, value, len, &old, buf);
	tfs_placed_forget(vol);
	tfs_gangs_forget(vol);
	return err;
}

int tfs_repair_finish(struct tfs_vol *vol, const struct tfs_repair_counters *c)
{
	int err;

	if (!vol->mending)
		return -EINVAL;
	vol->counters.next_ino = c->next_ino;
	vol->counters.inodes = c->inodes;
	vol->counters.prealloc_blocks = c->prealloc_blocks;
	vol->mending = false;
	/* orphans wait for the next mount: freeing them is no part of the repair */
	err = tfs_log_start(vol);
	return err ? err : tfs_checkpoint_run(vol, false);
}
