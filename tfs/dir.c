// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Directory entries: an item each, at position hash48 << 8 | n, n counting the names of one hash. So a position is also
 * a cookie for readdir that stays while other names come and go. Lookups read one leaf as a rule. Called by hosts and
 * by the name operations.
 */
#include "tfs/name.h"

int tfs_dir_inode(struct tfs_vol *vol, u64 ino, struct tfs_inode *out)
{
	int err = tfs_inode_find(vol, ino, out);

	if (!err && !tfs_is_dir(out))
		return -ENOTDIR;
	return err;
}

static struct tfs_key dirent_key(u64 dir, u64 pos)
{
	return tfs_key(dir, TFS_IT_DIRENT, pos);
}

int tfs_dirent_find(struct tfs_vol *vol, u64 dir, const void *name, u32 len, struct tfs_key *key, u64 *ino, u8 *type)
{
	u64 first = tfs_name_hash(vol, name, len) << 8, n = 0;
	struct tfs_key k = dirent_key(dir, first), last = dirent_key(dir, first | 0xff);
	int err;

	for (;; k.b++) {
		const struct tfs_dirent *d;
		const void *v;
		u32 item_len;

		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &item_len);
		if (err == -ENOENT || (!err && tfs_key_cmp(k, last) > 0))
			break;
		if (err)
			return err;
		d = v;
		if (d->name_len == len && !memcmp(d->name, name, len)) {
			*key = k;
			*ino = tfs_le64(d->ino);
			*type = d->type;
			return 0;
		}
		n += tfs_key_pos(k) == (first | n); /* stays at the first gap */
	}
	*key = dirent_key(dir, first | (n & 0xff));
	return n > 0xff ? -ENOSPC : -ENOENT;
}

void tfs_dirent_put(struct tfs_vol *vol, struct tfs_key key, const void *name, u32 len, u64 ino, u8 type)
{
	union {
		struct tfs_dirent d;
		u8 bytes[16 + TFS_NAME_MAX];
	} u;

	memset(&u, 0, sizeof(u));
	u.d.ino = tfs_cpu64(ino);
	u.d.type = type;
	u.d.name_len = (u8)len;
	memcpy(u.d.name, name, len);
	tfs_item_put(vol, TFS_TREE_FS, key, &u, tfs_dirent_bytes(len));
}

int tfs_lookup(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, u64 *ino_out, u8 *type_out)
{
	struct tfs_inode dir;
	struct tfs_key key;
	int err = tfs_dir_inode(vol, parent, &dir);

	if (err)
		return err;
	if (name_len > TFS_NAME_MAX)
		return -ENAMETOOLONG;
	err = tfs_dirent_find(vol, parent, name, name_len, &key, ino_out, type_out);
	return err == -ENOSPC ? -ENOENT : err;
}

int tfs_readdir(struct tfs_vol *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg)
{
	struct tfs_inode inode;
	int err = tfs_dir_inode(vol, dir, &inode);

	while (!err && *pos <= TFS_POS_MASK) {
		struct tfs_key k = dirent_key(dir, *pos);
		const struct tfs_dirent *d;
		const void *v;
		u32 len;

		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
		if (err == -ENOENT || (!err && (k.a != dir || tfs_key_type(k) != TFS_IT_DIRENT)))
			return 0;
		if (err)
			return err;
		d = v;
		if (emit(arg, (const char *)d->name, d->name_len, tfs_le64(d->ino), d->type, tfs_key_pos(k) + 1))
			return 0;
		*pos = tfs_key_pos(k) + 1;
	}
	return err;
}

int tfs_readlink(struct tfs_vol *vol, u64 ino, char *buf, u32 size)
{
	struct tfs_inode i;
	const void *v;
	u32 len;
	int err = tfs_inode_find(vol, ino, &i);

	if (err)
		return err;
	if ((tfs_le32(i.mode) & TFS_S_IFMT) != TFS_S_IFLNK)
		return -EINVAL;
	err = tfs_item_find(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_SYMLINK, 0), &v, &len);
	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, ino, "symlink without a target") : err;
	if (len > size)
		len = size;
	memcpy(buf, v, len);
	return (int)len;
}
