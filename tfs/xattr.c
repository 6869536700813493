// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Extended attributes: an item each, at position hash48 << 8 | n as directory entries have it. Values up to 2 KiB stand
 * in the item and the record; larger ones, up to 64 KiB, in one placed extent that the item names. Names are whole,
 * with their prefix; what a prefix means is the host's affair.
 */
#include "tfs/name.h"

#define XATTR_GONE 0xffu
#define XATTR_HEAD 6u

static struct tfs_key xattr_key(u64 ino, u64 pos)
{
	return tfs_key(ino, TFS_IT_XATTR, pos);
}

/* As tfs_dirent_find: *key is where the name stands or (-ENOENT) would go. */
static int xattr_find(struct tfs_vol *vol, u64 ino, const void *name, u32 len, struct tfs_key *key,
                      const struct tfs_xattr **out)
{
	u64 first = tfs_name_hash(vol, name, len) << 8, n = 0;
	struct tfs_key k = xattr_key(ino, first), last = xattr_key(ino, first | 0xff);
	int err;

	for (;; k.b++) {
		const void *v;
		u32 item_len;

		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &item_len);
		if (err == -ENOENT || (!err && tfs_key_cmp(k, last) > 0))
			break;
		if (err)
			return err;
		*out = v;
		if ((*out)->name_len == len && !memcmp((*out)->name, name, len)) {
			*key = k;
			return 0;
		}
		n += tfs_key_pos(k) == (first | n); /* stays at the first gap */
	}
	*key = xattr_key(ino, first | (n & 0xff));
	return n > 0xff ? -ENOSPC : -ENOENT;
}

static struct tfs_ptr xattr_ptr(const struct tfs_xattr *x)
{
	struct tfs_disk_ptr d;

	memcpy(&d, x->name + x->name_len, sizeof(d));
	return tfs_ptr_cpu(&d);
}

static int name_len_check(u32 len)
{
	return !len ? -EINVAL : len > 255 ? -ERANGE : 0;
}

static int value_read(struct tfs_vol *vol, const struct tfs_xattr *x, u8 *buf, u32 len)
{
	struct tfs_ptr ptr = xattr_ptr(x);
	u8 *big = tfs_scratch(vol);
	int err = tfs_read_ptr(vol, &ptr, big, true);

	if (!err)
		memcpy(buf, big, len);
	return err;
}

int tfs_getxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, void *buf, u32 size)
{
	const struct tfs_xattr *x;
	struct tfs_inode inode;
	struct tfs_key key;
	u32 len;
	int err = name_len_check(name_len);

	if (!err)
		err = tfs_inode_find(vol, ino, &inode);
	if (err)
		return err;
	err = xattr_find(vol, ino, name, name_len, &key, &x);
	if (err)
		return err == -ENOENT || err == -ENOSPC ? -ENODATA : err;
	len = tfs_le32(x->value_len);
	if (!size)
		return (int)len;
	if (len > size)
		return -ERANGE;
	if (x->where)
		err = value_read(vol, x, buf, len);
	else
		memcpy(buf, x->name + x->name_len, len);
	return err ? err : (int)len;
}

int tfs_listxattr(struct tfs_vol *vol, u64 ino, char *buf, u32 size)
{
	struct tfs_key k = xattr_key(ino, 0);
	struct tfs_inode inode;
	u32 used = 0;
	int err = tfs_inode_find(vol, ino, &inode);

	for (; !err; k.b++) {
		const struct tfs_xattr *x;
		const void *v;
		u32 len;

		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
		if (err == -ENOENT || (!err && (k.a != ino || tfs_key_type(k) != TFS_IT_XATTR)))
			return (int)used;
		if (err)
			break;
		x = v;
		if (size && used + x->name_len + 1 > size)
			return -ERANGE;
		if (size) {
			memcpy(buf + used, x->name, x->name_len);
			buf[used + x->name_len] = 0;
		}
		used += x->name_len + 1u;
	}
	return err;
}

/* ---- changing ---- */

static int xattr_commit(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, const void *value, u32 len)
{
	struct tfs_rec_xattr *r;
	struct tfs_disk_ptr disk;
	struct tfs_ptr ptr;
	bool big = len > TFS_XATTR_INLINE_MAX;
	int err;

	if (big) {
		err = tfs_place_packed(vol, value, len, false, &ptr);
		if (err)
			return err;
		disk = tfs_ptr_disk(&ptr);
		value = &disk;
	}
	r = tfs_rec_start(vol, TFS_REC_XATTR, ino, sizeof(*r));
	r->value_len = tfs_cpu32(len);
	r->name_len = (u8)name_len;
	r->where = big;
	memcpy(r + 1, name, name_len);
	if (big)
		len = sizeof(disk);
	if (len)
		memcpy((u8 *)(r + 1) + name_len, value, len);
	return tfs_commit(vol, (u32)sizeof(*r) + name_len + len);
}

int tfs_setxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, const void *value, u32 len, u32 flags)
{
	const struct tfs_xattr *x;
	struct tfs_inode inode;
	struct tfs_key key;
	int err = name_len_check(name_len);

	if (!err && len > TFS_XATTR_MAX)
		err = -E2BIG;
	if (!err)
		err = tfs_op_begin(vol, TFS_TIER_NORMAL, 2 + (len > TFS_XATTR_INLINE_MAX ? len / TFS_BLOCK + 1 : 0));
	if (!err)
		err = tfs_inode_find(vol, ino, &inode);
	if (err)
		return err;
	err = xattr_find(vol, ino, name, name_len, &key, &x);
	if (!err && flags & TFS_XATTR_CREATE)
		return -EEXIST;
	if (err == -ENOENT && flags & TFS_XATTR_REPLACE)
		return -ENODATA;
	if (err && err != -ENOENT)
		return err;
	return xattr_commit(vol, ino, name, name_len, value, len);
}

int tfs_removexattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len)
{
	const struct tfs_xattr *x;
	struct tfs_rec_xattr *r;
	struct tfs_inode inode;
	struct tfs_key key;
	int err = name_len_check(name_len);

	if (!err)
		err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
	if (!err)
		err = tfs_inode_find(vol, ino, &inode);
	if (err)
		return err;
	err = xattr_find(vol, ino, name, name_len, &key, &x);
	if (err)
		return err == -ENOENT || err == -ENOSPC ? -ENODATA : err;
	r = tfs_rec_start(vol, TFS_REC_XATTR, ino, sizeof(*r));
	r->name_len = (u8)name_len;
	r->where = XATTR_GONE;
	memcpy(r + 1, name, name_len);
	err = tfs_commit(vol, (u32)sizeof(*r) + name_len);
	if (!err)
		tfs_tidy(vol, TFS_TREE_FS, key);
	return err;
}

int tfs_xattr_move(struct tfs_vol *vol, struct tfs_key key)
{
	const struct tfs_xattr *x;
	struct tfs_rec_xattr *r;
	struct tfs_disk_ptr disk;
	struct tfs_ptr ptr;
	const void *v;
	u32 len, blocks;
	int err = tfs_item_find(vol, TFS_TREE_FS, key, &v, &len);

	if (err)
		return err;
	x = v;
	r = tfs_rec_start(vol, TFS_REC_XATTR, key.a, sizeof(*r));
	r->head.flags = tfs_cpu16(TFS_XATTR_MOVED);
	r->value_len = x->value_len;
	r->name_len = x->name_len;
	r->where = 1;
	memcpy(r + 1, x->name, x->name_len);
	ptr = xattr_ptr(x);
	len = ptr.len * TFS_UNIT;
	if (len > TFS_XATTR_MAX)
		return -ENOSPC; /* of another version */
	err = tfs_read_ptr(vol, &ptr, tfs_scratch(vol), true);
	if (!err)
		err = tfs_place_packed(vol, tfs_scratch(vol), len, false, &ptr);
	if (err)
		return err;
	blocks = (len + TFS_BLOCK - 1) / TFS_BLOCK;
	disk = tfs_ptr_disk(&ptr);
	memcpy((u8 *)(r + 1) + r->name_len, &disk, sizeof(disk));
	err = tfs_commit(vol, (u32)(sizeof(*r) + r->name_len + sizeof(disk)));
	return err ? err : (int)blocks;
}

/* ---- the record ---- */

/* Turns the record's payload into the item; length, or a negative errno. */
static int item_build(struct tfs_vol *vol, const struct tfs_rec_xattr *r, struct tfs_xattr *x)
{
	u32 payload = r->where == XATTR_GONE ? 0
	              : r->where == 1        ? (u32)sizeof(struct tfs_disk_ptr)
	                                     : tfs_le32(r->value_len);
	u64 ino = tfs_le64(r->head.ino);

	if (!r->name_len || payload > TFS_XATTR_INLINE_MAX ||
	    tfs_le32(r->head.len) < sizeof(*r) + r->name_len + payload)
		return tfs_corrupt(vol, ino, "xattr record malformed");
	memset(x, 0, XATTR_HEAD);
	x->value_len = r->value_len;
	x->name_len = r->name_len;
	x->where = r->where;
	memcpy(x->name, r + 1, r->name_len + payload);
	if (r->where != XATTR_GONE &&
	    tfs_item_check(TFS_TREE_FS, xattr_key(ino, 0), x, XATTR_HEAD + r->name_len + payload))
		return tfs_corrupt(vol, ino, "xattr record malformed");
	return (int)(XATTR_HEAD + r->name_len + payload);
}

/* Does the record that only moves a value name the value that is there? */
static bool moved_sound(const struct tfs_xattr *old, const struct tfs_xattr *item)
{
	struct tfs_ptr a, b;

	if (!old || old->where != 1 || item->where != 1 || old->value_len != item->value_len)
		return false;
	a = xattr_ptr(old);
	b = xattr_ptr(item);
	return a.crc == b.crc && a.len == b.len;
}

int tfs_xattr_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_xattr *r = (const struct tfs_rec_xattr *)rec;
	struct tfs_xattr *item = tfs_scratch(vol);
	const struct tfs_xattr *old;
	u64 ino = tfs_le64(rec->ino);
	struct tfs_ptr old_ptr = {0}, new_ptr = {0};
	struct tfs_inode inode;
	struct tfs_key key;
	bool found, gone, moved;
	int len, err;

	if (tfs_le32(rec->len) < sizeof(*r) + 8)
		return tfs_corrupt(vol, ino, "xattr record too short");
	len = item_build(vol, r, item);
	if (len < 0)
		return len;
	gone = r->where == XATTR_GONE;
	err = tfs_inode_find(vol, ino, &inode);
	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, ino, "xattr record names no inode") : err;
	err = xattr_find(vol, ino, r + 1, r->name_len, &key, &old);
	found = !err;
	if (err && (err != -ENOENT || gone))
		return err == -ENOENT || err == -ENOSPC
		           ? tfs_corrupt(vol, ino, "xattr record removes what is not there")
		           : err;
	if (found && old->where)
		old_ptr = xattr_ptr(old);
	if (!gone && r->where)
		new_ptr = xattr_ptr(item);
	moved = tfs_le16(rec->flags) & TFS_XATTR_MOVED;
	if (moved && !moved_sound(found ? old : NULL, item))
		return tfs_corrupt(vol, ino, "xattr record moves a value that is not there");
	tfs_need(vol, TFS_TREE_FS, key, gone ? 0 : (u32)len);
	tfs_need_inode(vol, ino);
	err = old_ptr.addr ? tfs_ptr_prepare(vol, &old_ptr) : 0;
	if (!err && new_ptr.addr)
		err = tfs_ptr_prepare_claim(vol, &new_ptr);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	if (new_ptr.addr)
		tfs_ptr_claim(vol, &new_ptr);
	if (gone)
		tfs_item_del(vol, TFS_TREE_FS, key);
	else
		tfs_item_put(vol, TFS_TREE_FS, key, item, (u32)len);
	if (old_ptr.addr)
		tfs_ptr_drop(vol, &old_ptr);
	if (!moved)
		inode.ctime = rec->time;
	tfs_inode_put(vol, ino, &inode);
	return 0;
}

int tfs_xattr_free_step(struct tfs_vol *vol, u64 ino)
{
	struct tfs_key k = xattr_key(ino, 0);
	struct tfs_ptr ptr = {0};
	const void *v;
	u32 len;
	int err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);

	if (err == -ENOENT || (!err && (k.a != ino || tfs_key_type(k) != TFS_IT_XATTR)))
		return 0;
	if (err)
		return err;
	if (((const struct tfs_xattr *)v)->where)
		ptr = xattr_ptr(v);
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, k, 0);
	if (ptr.addr)
		err = tfs_ptr_prepare(vol, &ptr);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_del(vol, TFS_TREE_FS, k);
	if (ptr.addr)
		tfs_ptr_drop(vol, &ptr);
	return 1;
}
