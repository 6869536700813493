// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Giving what used a place twice a place of its own. fsck_lift takes the item out of the tree, so that counting afresh
 * does not see it there, and keeps it in memory; the core pins the old place. fsck_put_back, when SPACE has been built
 * anew, copies the content and puts the item again. Until the checkpoint after that nothing of it is on the device.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

static int lift_add(struct fsck *f, struct tfs_key key, const void *value, u32 len)
{
	struct fsck_fix *x;

	if (fsck_grow(&f->lifted, &f->lifts_max, f->lifts + 1, sizeof(*f->lifted)))
		return -ENOMEM;
	x = &f->lifted[f->lifts];
	*x = (struct fsck_fix){.kind = FIX_PLACE, .tree = TFS_TREE_FS, .key = key, .len = len, .value = malloc(len)};
	if (!x->value)
		return -ENOMEM;
	memcpy(x->value, value, len);
	f->lifts++;
	return 0;
}

static int blocks_take(struct fsck *f, u64 ino, u64 n)
{
	struct tfs_inode i;
	u64 blocks;
	int err = n ? fsck_inode_get(f, ino, &i) : -ENOENT;

	if (err)
		return err == -ENOENT ? 0 : err;
	blocks = tfs_le64(i.blocks);
	i.blocks = tfs_cpu64(blocks > n ? blocks - n : 0);
	return fsck_inode_put(f, ino, &i);
}

/* ---- out of the tree ---- */

enum fate { KEEP, COPY, LOSE };

static enum fate fate_of(u64 masks, u32 block)
{
	return masks >> block & 1 ? COPY : masks >> (block + 16) & 1 ? LOSE : KEEP;
}

/* Blocks [at, at + n) of a raw extent as one of their own. */
static int piece_put(struct fsck *f, struct tfs_key key, const struct tfs_extent *e, u32 at, u32 n, enum fate fate)
{
	u8 buf[TFS_EXTENT_HEAD + 4 * FSCK_WINDOW_BLOCKS];
	struct tfs_extent *p = (struct tfs_extent *)buf;
	u32 len = TFS_EXTENT_HEAD + 4 * n;

	memcpy(p, e, TFS_EXTENT_HEAD);
	p->ptr.addr = tfs_cpu64(tfs_le64(e->ptr.addr) + at * TFS_UNITS_PER_BLOCK);
	p->ptr.len = tfs_cpu16((u16)(n * TFS_UNITS_PER_BLOCK));
	p->blocks = p->total = tfs_cpu16((u16)n);
	memcpy(p->crc, e->crc + at, 4 * n);
	key.b += at;
	return fate == COPY ? lift_add(f, key, p, len) : tfs_repair_put(f->vol, TFS_TREE_FS, key, p, len);
}

static int lift_raw(struct fsck *f, const struct fsck_fix *x, const struct tfs_extent *e)
{
	u32 n = tfs_le16(e->blocks), at, end, lost = 0;
	int err = 0;

	for (at = 0; !err && at < n; at = end) {
		enum fate fate = fate_of(x->n, at);

		for (end = at + 1; end < n && fate_of(x->n, end) == fate; end++)
			;
		if (fate == LOSE)
			lost += end - at;
		else
			err = piece_put(f, x->key, e, at, end - at, fate);
	}
	return err ? err : blocks_take(f, x->key.a, lost);
}

int fsck_lift(struct fsck *f, const struct fsck_fix *x)
{
	u8 buf[TFS_ITEM_MAX];
	const struct tfs_extent *e = (const struct tfs_extent *)buf;
	bool extent = x->key.b >> TFS_POS_BITS == TFS_IT_EXTENT;
	u32 len;
	int err = fsck_item_get(f, x->key, buf, &len);

	if (!err)
		err = tfs_repair_del(f->vol, TFS_TREE_FS, x->key);
	if (err)
		return err == -ENOENT ? 0 : err; /* another repair removed it */
	if (extent && !e->codec)
		return lift_raw(f, x, e);
	if (fate_of(x->n, 0) == COPY)
		return lift_add(f, x->key, buf, len);
	return extent ? blocks_take(f, x->key.a, tfs_le16(e->blocks)) : 0;
}

/* ---- back into it ---- */

static int copy(struct fsck *f, const struct fsck_fix *x, struct tfs_key key, u8 *buf)
{
	struct tfs_stat st;
	struct tfs_ptr ptr;
	bool raw;
	int err;

	if (!tfs_item_ptr(TFS_TREE_FS, key, x->value, &ptr))
		return -EINVAL;
	raw = key.b >> TFS_POS_BITS == TFS_IT_EXTENT && !((const struct tfs_extent *)x->value)->codec;
	tfs_statfs(f->vol, &st);
	if (st.free < st.blocks / 40 + 4 * FSCK_WINDOW_BLOCKS) /* half of the reserve is left to the checkpoint */
		return -ENOSPC;
	err = tfs_read_ptr(f->vol, &ptr, buf, !raw);
	return err ? err : tfs_repair_copy(f->vol, key, x->value, x->len, buf);
}

/* There is no room for the copy: with consent it goes, else the whole repair ends with nothing changed. */
static int no_room(struct fsck *f, const struct fsck_fix *x)
{
	const struct tfs_extent *e = (const struct tfs_extent *)x->value;
	char object[64];

	snprintf(object, sizeof(object), "inode %llu item at %llx", (unsigned long long)x->key.a,
	         (unsigned long long)x->key.b);
	if (!fsck_problem(f, FSCK_UNIT_TAKEN, object, "expected room for a copy, found the volume full"))
		return -ENOSPC;
	return x->key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? blocks_take(f, x->key.a, tfs_le16(e->blocks)) : 0;
}

static int put_one(struct fsck *f, const struct fsck_fix *x, u8 *buf)
{
	const struct tfs_xattr *a = (const struct tfs_xattr *)x->value;
	struct tfs_key key = x->key;
	int err = 0;

	if (key.b >> TFS_POS_BITS == TFS_IT_XATTR) {
		if (tfs_getxattr(f->vol, key.a, (const char *)a->name, a->name_len, NULL, 0) >= 0)
			return 0; /* under its right hash meanwhile */
		err = fsck_position(f, key.a, TFS_IT_XATTR, a->name, a->name_len, &key);
	}
	if (!err)
		err = copy(f, x, key, buf);
	return err == -ENOSPC ? no_room(f, x) : err;
}

int fsck_put_back(struct fsck *f)
{
	u8 *buf = malloc(FSCK_WINDOW_BLOCKS * TFS_BLOCK);
	int err = buf ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < f->lifts; i++) {
		err = put_one(f, &f->lifted[i], buf);
		if (err)
			tfs_cli_fail(0, f->image, "inode %llu cannot get a place of its own: %s; nothing was changed",
			             (unsigned long long)f->lifted[i].key.a, strerror(-err));
	}
	free(buf);
	return err;
}
