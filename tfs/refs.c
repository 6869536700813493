// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What several owners share. The REFS tree maps ranges of units to counts of two and more; where it says nothing, what
 * is live has one owner. Of a compressed extent an owner is an {inode, window} that refers to it, and its item is
 * always the whole extent; of raw content an owner is an EXTENT item that maps the 4 KiB block, and items are cut where
 * an operation's range begins or ends. They never overlap; neighbours of equal count are not joined again, so at worst
 * an item stands for one block. What loses a reference becomes free with the last one. Extents in gangs are not shared.
 *
 * Prepare and apply look at the parts of a range: pieces of one item, and gaps. Between them the parts may change, for
 * an operation may drop and add several ranges that overlap; but parts only begin and end where an item or a range
 * does, and all these keys were named. A volume that shares nothing has no REFS tree and pays nothing here. Called in
 * the prepare and apply phases of data records (window.c, write_apply.c, range_apply.c), and by data.c and compact.c to
 * ask.
 */
#include "tfs/vol.h"

struct part { /* of a range: units [at, end) that have one count */
	u64 at, end;
	u64 item, item_end; /* the item that says so; item_end 0: none, one owner */
	u32 count;
};

static struct tfs_key ref_key(u64 addr)
{
	return (struct tfs_key){addr, 0};
}

/* The last item at or before addr; its end is 0 when there is none. */
static int item_before(struct tfs_vol *vol, u64 addr, struct part *p)
{
	struct tfs_key k = ref_key(addr);
	const struct tfs_ref *r;
	const void *v;
	u32 len;
	int err = tfs_item_prev(vol, TFS_TREE_REFS, &k, &v, &len);

	p->item_end = 0;
	if (err)
		return err == -ENOENT ? 0 : err;
	r = v;
	p->item = k.a;
	p->item_end = k.a + tfs_le32(r->len);
	p->count = tfs_le32(r->count);
	return 0;
}

/* The part of [at, end) that begins at `at`. */
static int part_find(struct tfs_vol *vol, u64 at, u64 end, struct part *p)
{
	struct tfs_key k = ref_key(at);
	const void *v;
	u32 len;
	int err;

	*p = (struct part){.at = at, .end = end};
	err = item_before(vol, at, p);
	if (err)
		return err;
	if (p->item_end > at) {
		p->end = p->item_end < end ? p->item_end : end;
		return 0;
	}
	p->item_end = 0;
	p->count = 1;
	err = tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len);
	if (!err && k.a == at) /* and no further: a walk over it would have no end */
		return tfs_corrupt(vol, 0, "shared range of no length");
	if (!err && k.a < end)
		p->end = k.a;
	return err == -ENOENT ? 0 : err;
}

/* Does the item fit what is there, and does none reach into it? Else its splits would have keys that nobody named. */
static int part_sound(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw, const struct part *p)
{
	struct part before;
	int err;

	if (p->count < 2)
		return tfs_corrupt(vol, 0, "shared range with a count of less than two");
	if (raw ? p->item % TFS_UNITS_PER_BLOCK || p->item_end % TFS_UNITS_PER_BLOCK ||
	              p->item_end - p->item > TFS_WINDOW_PIECES * TFS_UNITS_PER_BLOCK
	        : p->item != ptr->addr || p->item_end != ptr->addr + ptr->len)
		return tfs_corrupt(vol, 0, "shared range of another length than its extent");
	err = p->item ? item_before(vol, p->item - 1, &before) : 0;
	if (!err && p->item && before.item_end > p->item)
		return tfs_corrupt(vol, 0, "shared ranges overlap");
	return err;
}

typedef int (*part_fn)(struct tfs_vol *vol, const struct tfs_ptr *ptr, const struct part *p);

/* Calls fn (unless NULL) for each part, all of which are sound. *shared: one of them has an item. */
static int parts_each(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw, part_fn fn, bool *shared)
{
	u64 at = ptr->addr, end = at + ptr->len;
	struct part p;
	int err = 0;

	*shared = false;
	for (; !err && at < end; at = p.end) {
		err = part_find(vol, at, end, &p);
		if (!err && p.item_end)
			err = part_sound(vol, ptr, raw, &p);
		if (err)
			return err;
		*shared |= p.item_end;
		if (fn)
			err = fn(vol, ptr, &p);
	}
	return err;
}

static bool can_be_shared(const struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	return vol->root[TFS_TREE_REFS].addr && !(ptr->flags & TFS_PTR_GANG);
}

/* ---- prepare ---- */

static void key_need(struct tfs_vol *vol, u64 addr)
{
	tfs_need(vol, TFS_TREE_REFS, ref_key(addr), sizeof(struct tfs_ref));
}

/* Where the part begins, and its item does. */
static void part_need(struct tfs_vol *vol, const struct part *p)
{
	key_need(vol, p->at);
	if (p->item_end && p->item < p->at)
		key_need(vol, p->item);
}

static struct tfs_ptr part_ptr(const struct tfs_ptr *ptr, const struct part *p)
{
	struct tfs_ptr part = *ptr;

	part.addr = p->at;
	part.len = (u16)(p->end - p->at);
	return part;
}

static int drop_prepare(struct tfs_vol *vol, const struct tfs_ptr *ptr, const struct part *p)
{
	struct tfs_ptr part = part_ptr(ptr, p);

	part_need(vol, p);
	return tfs_ptr_prepare(vol, &part);
}

int tfs_ref_prepare_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw, bool *shared)
{
	int err = 0;

	*shared = false;
	if (can_be_shared(vol, ptr))
		err = parts_each(vol, ptr, raw, NULL, shared);
	if (err || !*shared)
		return err ? err : tfs_ptr_prepare(vol, ptr);
	err = parts_each(vol, ptr, raw, drop_prepare, shared);
	key_need(vol, ptr->addr + ptr->len);
	/* ranges of one operation cut each other: each adds at most one more run to what dies in it */
	return !err && tfs_held(vol, ptr->birth) ? tfs_dead_prepare(vol, ptr->birth, ptr->addr, ptr->len) : err;
}

static int add_prepare(struct tfs_vol *vol, const struct tfs_ptr *ptr, const struct part *p)
{
	(void)ptr;
	if (p->count > ~0u - TFS_WINDOW_PIECES) /* a window may hold one block as often, and each of them counts */
		return -EOPNOTSUPP;
	part_need(vol, p);
	return 0;
}

int tfs_ref_prepare_add(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw)
{
	bool shared;
	int err = parts_each(vol, ptr, raw, add_prepare, &shared);

	key_need(vol, ptr->addr + ptr->len);
	return err ? err : tfs_space_live(vol, ptr->addr, ptr->len, true);
}

/* ---- apply ---- */

/* As part_find, by what prepare named alone: other leaves may be on the device only. */
static void part_have(struct tfs_vol *vol, u64 at, u64 end, struct part *p)
{
	u32 i;

	*p = (struct part){.at = at, .end = end, .count = 1};
	for (i = 0; i < vol->needs; i++) {
		u64 item = vol->need[i].key.a;
		const struct tfs_ref *r = NULL;

		if (vol->need[i].tree == TFS_TREE_REFS && item < p->end)
			r = tfs_item_have(vol, TFS_TREE_REFS, vol->need[i].key);
		if (!r || item + tfs_le32(r->len) <= at)
			continue;
		if (item <= at) {
			p->item = item;
			p->item_end = item + tfs_le32(r->len);
			p->count = tfs_le32(r->count);
			item = p->item_end;
		}
		if (item < p->end)
			p->end = item;
	}
}

static void ref_put(struct tfs_vol *vol, u64 at, u64 end, u32 count)
{
	struct tfs_ref r = {tfs_cpu32((u32)(end - at)), tfs_cpu32(count)};

	tfs_item_put(vol, TFS_TREE_REFS, ref_key(at), &r, sizeof(r));
}

/* What of the item lies outside of the part stays as it is. */
static void part_set(struct tfs_vol *vol, const struct part *p, u32 count)
{
	if (p->item_end && p->item < p->at)
		ref_put(vol, p->item, p->at, p->count);
	if (count > 1)
		ref_put(vol, p->at, p->end, count);
	else if (p->item_end && p->item == p->at)
		tfs_item_del(vol, TFS_TREE_REFS, ref_key(p->at));
	if (p->item_end > p->end)
		ref_put(vol, p->end, p->item_end, p->count);
}

void tfs_ref_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool shared)
{
	u64 at = ptr->addr, end = at + ptr->len;
	struct tfs_ptr part;
	struct part p;

	if (!shared) {
		tfs_ptr_drop(vol, ptr);
		return;
	}
	for (; at < end; at = p.end) {
		part_have(vol, at, end, &p); /* its count may be less by now: the operation drops others, too */
		part = part_ptr(ptr, &p);
		if (p.item_end)
			part_set(vol, &p, p.count - 1);
		else
			tfs_ptr_drop(vol, &part);
	}
}

void tfs_ref_add(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	u64 at = ptr->addr, end = at + ptr->len;
	struct part p;

	for (; at < end; at = p.end) {
		part_have(vol, at, end, &p);
		part_set(vol, &p, p.count + 1);
	}
}

/* ---- questions ---- */

int tfs_ref_keys(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw)
{
	bool shared = false;
	int err = can_be_shared(vol, ptr) ? parts_each(vol, ptr, raw, NULL, &shared) : 0;

	return err ? err : !shared ? 0 : 2 + (raw ? (int)(ptr->len / TFS_UNITS_PER_BLOCK) : 1);
}

int tfs_ref_shared(struct tfs_vol *vol, const struct tfs_ptr *ptr, u32 *units)
{
	struct part p;
	int err;

	*units = ptr->len;
	if (!can_be_shared(vol, ptr))
		return 0;
	err = part_find(vol, ptr->addr, ptr->addr + ptr->len, &p);
	*units = (u32)(p.end - p.at);
	return err ? err : p.item_end != 0;
}
