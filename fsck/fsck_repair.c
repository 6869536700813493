// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Applies the noted fixes: the volume is mounted again with TFS_MOUNT_REPAIR, blank nodes first, then items, then what
 * gives up a place, then names in lost+found (they count up what the others set); then everything in use is counted
 * afresh, what was lifted gets new places, and one checkpoint makes it durable. Afterwards the volume is mounted
 * read-write.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

#define LOST_FOUND "lost+found"

/* ---- single fixes ---- */

int fsck_inode_get(struct fsck *f, u64 ino, struct tfs_inode *i)
{
	struct tfs_key key = fsck_key(ino, TFS_IT_INODE, 0), at = key;
	const void *v;
	u32 len;
	int err = tfs_item_next(f->vol, TFS_TREE_FS, &at, &v, &len);

	if (!err && (at.a != key.a || at.b != key.b))
		err = -ENOENT;
	if (!err)
		memcpy(i, v, sizeof(*i));
	return err;
}

int fsck_inode_put(struct fsck *f, u64 ino, const struct tfs_inode *i)
{
	return tfs_repair_put(f->vol, TFS_TREE_FS, fsck_key(ino, TFS_IT_INODE, 0), i, sizeof(*i));
}

static void name_set(struct tfs_inode *i, struct tfs_key entry)
{
	i->name_dir = tfs_cpu64(entry.a);
	i->name_pos = tfs_cpu64(entry.b & TFS_POS_MASK);
}

static int inode_field(struct fsck *f, const struct fsck_fix *x)
{
	struct tfs_inode i;
	int err = fsck_inode_get(f, x->key.a, &i);

	if (err)
		return err;
	if (x->kind == FIX_SIZE)
		i.size = tfs_cpu64(x->n);
	else if (x->kind == FIX_BLOCKS)
		i.blocks = tfs_cpu64(x->n);
	else if (x->kind == FIX_FLAGS)
		i.flags = tfs_cpu32((u32)x->n);
	else if (x->kind == FIX_MODE)
		i.mode = tfs_cpu32(tfs_le32(i.mode) & ~(u32)x->n);
	else if (x->kind == FIX_NLINK)
		i.nlink = tfs_cpu32((u32)x->n);
	else if (x->kind == FIX_NAME)
		name_set(&i, *(const struct tfs_key *)x->value);
	else
		i.parent = tfs_cpu64(x->n);
	return fsck_inode_put(f, x->key.a, &i);
}

static int unfit_remove(struct fsck *f, const struct fsck_fix *x)
{
	struct tfs_key k = x->key;
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(f->vol, TFS_TREE_FS, &k, &v, &len)) && k.a == x->key.a; k.b++)
		if (x->n >> (k.b >> TFS_POS_BITS) & 1) {
			err = tfs_repair_del(f->vol, TFS_TREE_FS, k);
			if (err)
				return err;
		}
	return err == -ENOENT ? 0 : err;
}

int fsck_item_get(struct fsck *f, struct tfs_key key, u8 *buf, u32 *len)
{
	struct tfs_key at = key;
	const void *v;
	int err = tfs_item_next(f->vol, TFS_TREE_FS, &at, &v, len);

	if (!err && (at.a != key.a || at.b != key.b))
		err = -ENOENT;
	if (!err)
		memcpy(buf, v, *len);
	return err;
}

static int entry_type(struct fsck *f, const struct fsck_fix *x)
{
	u8 buf[TFS_ITEM_MAX];
	u32 len;
	int err = fsck_item_get(f, x->key, buf, &len);

	if (err)
		return err;
	((struct tfs_dirent *)buf)->type = (u8)x->n;
	return tfs_repair_put(f->vol, TFS_TREE_FS, x->key, buf, len);
}

static int acked_cut(struct fsck *f, const struct fsck_fix *x)
{
	struct tfs_key key = fsck_key(TFS_INO_ORPHANS, TFS_IT_SHIP, x->key.a);
	u8 buf[TFS_ITEM_MAX];
	struct tfs_ship *s = (struct tfs_ship *)buf;
	u32 len;
	int err = fsck_item_get(f, key, buf, &len);

	for (u32 i = 0; !err && i < tfs_le16(s->head.count); i++)
		if (tfs_le64(s->cursor[i].acked) > x->n)
			s->cursor[i].acked = tfs_cpu64(x->n);
	return err ? err : tfs_repair_put(f->vol, TFS_TREE_FS, key, buf, len);
}

int fsck_position(struct fsck *f, u64 ino, u32 type, const void *name, u32 name_len, struct tfs_key *key)
{
	u8 buf[TFS_ITEM_MAX];
	u32 len;

	*key = fsck_key(ino, type, tfs_name_position(f->vol, name, name_len));
	for (u32 n = 0; n < 256; n++, key->b++) {
		int err = fsck_item_get(f, *key, buf, &len);

		if (err)
			return err == -ENOENT ? 0 : err;
	}
	return -ENOSPC;
}

/* The entry's own name is taken by another: it gets a suffix, counted over all so that a name taken often costs no
 * more. */
static void entry_rename(struct fsck *f, u64 dir, struct tfs_dirent *d, u32 *len)
{
	static u32 n;
	u32 base = d->name_len < TFS_NAME_MAX - 12 ? d->name_len : TFS_NAME_MAX - 12;
	u64 ino;
	u8 type;

	while (!tfs_lookup(f->vol, dir, (const char *)d->name, d->name_len, &ino, &type))
		d->name_len = (u8)(base + (u32)sprintf((char *)d->name + base, "~%u", ++n));
	*len = 10 + d->name_len;
}

/* The inode of an entry that moved states the new place. */
static int name_follow(struct fsck *f, u64 ino, struct tfs_key from, struct tfs_key to)
{
	struct tfs_inode i;
	int err = fsck_inode_get(f, ino, &i);

	if (err || tfs_le64(i.name_dir) != from.a || tfs_le64(i.name_pos) != (from.b & TFS_POS_MASK))
		return err == -ENOENT ? 0 : err;
	name_set(&i, to);
	return fsck_inode_put(f, ino, &i);
}

static int rehash_entry(struct fsck *f, const struct fsck_fix *x)
{
	u8 buf[TFS_ITEM_MAX];
	struct tfs_dirent *d = (struct tfs_dirent *)buf;
	struct tfs_key to;
	u32 len;
	int err = fsck_item_get(f, x->key, buf, &len);

	if (err)
		return err;
	err = tfs_repair_del(f->vol, TFS_TREE_FS, x->key);
	if (!err) {
		entry_rename(f, x->key.a, d, &len);
		err = fsck_position(f, x->key.a, TFS_IT_DIRENT, d->name, d->name_len, &to);
	}
	if (!err)
		err = tfs_repair_put(f->vol, TFS_TREE_FS, to, buf, len);
	return err ? err : name_follow(f, tfs_le64(d->ino), x->key, to);
}

/* An xattr whose name is there already goes: the one under the right hash was in force. */
static int rehash_xattr(struct fsck *f, const struct fsck_fix *x)
{
	u8 buf[TFS_ITEM_MAX];
	const struct tfs_xattr *a = (const struct tfs_xattr *)buf;
	struct tfs_key to;
	u32 len;
	int err = fsck_item_get(f, x->key, buf, &len);

	if (err)
		return err;
	err = tfs_repair_del(f->vol, TFS_TREE_FS, x->key);
	if (err || tfs_getxattr(f->vol, x->key.a, (const char *)a->name, a->name_len, NULL, 0) >= 0)
		return err;
	err = fsck_position(f, x->key.a, TFS_IT_XATTR, a->name, a->name_len, &to);
	return err ? err : tfs_repair_put(f->vol, TFS_TREE_FS, to, buf, len);
}

/* After all fixes that name the item by its old place, which may have removed it. */
static int rehash(struct fsck *f, const struct fsck_fix *x)
{
	int err = x->key.b >> TFS_POS_BITS == TFS_IT_DIRENT ? rehash_entry(f, x) : rehash_xattr(f, x);

	return err == -ENOENT ? 0 : err;
}

/* ---- lost+found ---- */

/* Gives an inode, which is there, a name that it states. */
static int name_add(struct fsck *f, u64 dir, const char *name, u64 ino, u8 type)
{
	union {
		struct tfs_dirent d;
		u8 bytes[300];
	} u;
	struct tfs_inode i;
	struct tfs_key key;
	u32 len = (u32)strlen(name);
	int err = fsck_position(f, dir, TFS_IT_DIRENT, name, len, &key);

	u.d.ino = tfs_cpu64(ino);
	u.d.type = type;
	u.d.name_len = (u8)len;
	memcpy(u.d.name, name, len);
	if (!err)
		err = tfs_repair_put(f->vol, TFS_TREE_FS, key, &u, 10 + len);
	if (!err)
		err = fsck_inode_get(f, ino, &i);
	if (!err) {
		name_set(&i, key);
		err = fsck_inode_put(f, ino, &i);
	}
	if (!err)
		err = fsck_inode_get(f, dir, &i);
	if (err)
		return err;
	i.size = tfs_cpu64(tfs_le64(i.size) + 1);
	if (type == 4)
		i.nlink = tfs_cpu32(tfs_le32(i.nlink) + 1);
	return fsck_inode_put(f, dir, &i);
}

/* Above all numbers that were ever given; where a crafted volume has used up the end, one that is free. */
static u64 number_new(struct fsck *f)
{
	u64 ino = f->st.next_ino > f->max_ino && f->st.next_ino <= TFS_INO_MAX ? f->st.next_ino : f->max_ino + 1;

	if (ino > TFS_INO_MAX)
		for (ino = TFS_INO_MAX; fsck_object_find(f, ino); ino--)
			;
	return ino;
}

/* The first directory of that name, or name for one: what is no directory is passed over. */
static int lost_found(struct fsck *f, u64 *ino)
{
	char name[32] = LOST_FOUND;
	struct tfs_inode i;
	u8 type = 0;
	u32 n = 0;
	int err;

	while (!(err = tfs_lookup(f->vol, TFS_INO_ROOT, name, (u32)strlen(name), ino, &type)) && type != 4)
		snprintf(name, sizeof(name), LOST_FOUND "~%u", ++n);
	if (err != -ENOENT)
		return err;
	*ino = number_new(f);
	memset(&i, 0, sizeof(i));
	i.mode = tfs_cpu32(0040700);
	i.nlink = tfs_cpu32(2);
	i.parent = tfs_cpu64(TFS_INO_ROOT);
	i.window_bits = TFS_WINDOW_BITS;
	err = fsck_inode_put(f, *ino, &i);
	return err ? err : name_add(f, TFS_INO_ROOT, name, *ino, 4);
}

static int lost(struct fsck *f, const struct fsck_fix *x)
{
	struct tfs_inode i;
	char name[48];
	u64 dir, other, n = 0;
	u8 type;
	int err = lost_found(f, &dir);

	snprintf(name, sizeof(name), "#%llu", (unsigned long long)x->key.a);
	while (!err && !tfs_lookup(f->vol, dir, name, (u32)strlen(name), &other, &type))
		snprintf(name, sizeof(name), "#%llu.%llu", (unsigned long long)x->key.a, (unsigned long long)++n);
	if (!err)
		err = fsck_inode_get(f, x->key.a, &i);
	if (!err && x->n == 4) {
		i.parent = tfs_cpu64(dir);
		err = fsck_inode_put(f, x->key.a, &i);
	}
	return err ? err : name_add(f, dir, name, x->key.a, (u8)x->n);
}

/* ---- all of them ---- */

static int fix_one(struct fsck *f, const struct fsck_fix *x)
{
	switch (x->kind) {
	case FIX_PIN:
		return tfs_repair_pin(f->vol, (const struct tfs_ptr *)x->value);
	case FIX_NODE:
		return tfs_repair_node(f->vol, (int)(x->n >> 8), x->key, (int)(x->n & 0xff));
	case FIX_DEL:
		return tfs_repair_del(f->vol, x->tree, x->key);
	case FIX_PUT:
		return tfs_repair_put(f->vol, x->tree, x->key, x->value, x->len);
	case FIX_UNFIT:
		return unfit_remove(f, x);
	case FIX_ENTRY_TYPE:
		return entry_type(f, x);
	case FIX_ACKED:
		return acked_cut(f, x);
	case FIX_REHASH:
		return rehash(f, x);
	case FIX_LOST:
		return lost(f, x);
	case FIX_MOVE:
		return tfs_repair_move(f->vol, x->tree, x->key);
	case FIX_PLACE:
		return fsck_lift(f, x);
	default:
		return inode_field(f, x);
	}
}

static int round_of(const struct fsck_fix *x)
{
	switch (x->kind) {
	case FIX_PIN:
	case FIX_NODE:
		return 0;
	case FIX_MOVE:
	case FIX_PLACE:
		return 2;
	case FIX_REHASH:
		return 3;
	case FIX_LOST:
		return 4;
	default:
		return 1;
	}
}
#define ROUNDS 5

static int fix_round(struct fsck *f, int round)
{
	for (size_t i = 0; i < f->fixes; i++) {
		const struct fsck_fix *x = &f->fix[i];
		int err = round_of(x) == round ? fix_one(f, x) : 0;

		if (err)
			return tfs_cli_fail(err, f->image,
			                    "repair of inode %llu (kind %d) failed: %s; nothing was changed",
			                    (unsigned long long)x->key.a, x->kind, strerror(-err));
	}
	return 0;
}

/* ---- counting afresh ---- */

struct recount {
	struct fsck *f;
	struct fsck_window met;
	struct tfs_repair_counters c;
};

static int recount_item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct recount *r = arg;
	struct tfs_ptr ptr;

	(void)len;
	switch (key.b >> TFS_POS_BITS) {
	case TFS_IT_INODE:
		r->c.inodes++;
		if (key.a >= r->c.next_ino)
			r->c.next_ino = key.a + 1;
		break;
	case TFS_IT_RULE:
		if ((key.b & TFS_POS_MASK) >= r->c.next_ino)
			r->c.next_ino = (key.b & TFS_POS_MASK) + 1;
		break;
	case TFS_IT_PREALLOC:
		r->c.prealloc_blocks += tfs_le64(((const struct tfs_prealloc *)value)->blocks);
		break;
	}
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr))
		return 0;
	if (!e)
		return fsck_use(r->f, &ptr);
	if (!e->codec)
		return fsck_use_raw(r->f, &ptr);
	return fsck_window_again(&r->met, key, e) ? 0 : fsck_use_shared(r->f, &ptr);
}

static int recount_node(void *arg, const struct tfs_node_info *info)
{
	struct recount *r = arg;
	int err = info->err;

	if (!err && info->ptr.addr)
		err = fsck_use(r->f, &info->ptr);
	if (!err)
		err = fsck_seen_add(r->f, info->tree, &info->ptr);
	return err || info->level || info->tree != TFS_TREE_FS ? err : fsck_leaf_items(info->node, recount_item, r);
}

static const u8 *segment_live(void *arg, u64 segment)
{
	struct fsck *f = arg;

	return f->live[segment];
}

static int finish(struct fsck *f)
{
	struct recount r = {.f = f,
	                    .c.next_ino = f->st.next_ino <= TFS_INO_MAX + 1 ? f->st.next_ino : TFS_INO_ROOT + 1};
	int err;

	f->recount = true;
	if (f->incomplete) {
		err = fsck_snaps_try(f);
		if (err)
			return err;
	}
	fsck_use_free(f);
	if (f->seens)
		memset(f->seen, 0, f->seen_max * sizeof(*f->seen));
	f->seens = 0;
	err = fsck_use_start(f);
	fsck_refs_reset(f);
	if (!err)
		err = tfs_tree_walk(f->vol, TFS_TREE_FS, recount_node, &r);
	if (!err) /* before the REFS tree is counted */
		err = fsck_refs_again(f);
	if (!err)
		err = tfs_tree_walk(f->vol, TFS_TREE_REFS, recount_node, &r);
	if (!err) /* what snapshots hold besides, and before the SNAP tree is counted */
		err = fsck_snaps_again(f);
	if (!err)
		err = tfs_tree_walk(f->vol, TFS_TREE_SNAP, recount_node, &r);
	if (!err)
		err = tfs_repair_space(f->vol, segment_live, f);
	if (!err)
		err = fsck_put_back(f);
	return err ? err : tfs_repair_finish(f->vol, &r.c);
}

int fsck_repair(struct fsck *f)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO | TFS_MOUNT_REPAIR};
	int err;

	tfs_progress_pass(&f->progress, "repair", 0);
	tfs_abandon(f->vol);
	f->vol = NULL;
	err = tfs_mount(f->dev, &fsck_env, &opt, &f->vol);
	for (int round = 0; !err && round < ROUNDS; round++)
		err = fix_round(f, round);
	return err ? err : finish(f);
}
