// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The namespace operations as hosts call them: errnos in the order that Linux gives them, and the record. What the
 * record does is in name_apply.c, which replay shares. Permissions are the host's affair.
 */
#include "tfs/name.h"

static int name_valid(const char *name, u32 len)
{
	u32 i;

	if (len > TFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (!name[i] || name[i] == '/')
			return -EINVAL;
	return 0;
}

/* A directory that still has a name: nothing new goes into one that was removed. */
static int parent_get(struct tfs_vol *vol, u64 ino, struct tfs_inode *dir)
{
	int err = tfs_dir_inode(vol, ino, dir);

	return err ? err : dir->nlink ? 0 : -ENOENT;
}

/* 0: the name is free in a living directory. */
static int name_free(struct tfs_vol *vol, u64 parent, const char *name, u32 len, struct tfs_inode *dir)
{
	struct tfs_key key;
	u64 ino;
	u8 type;
	int err = parent_get(vol, parent, dir);

	if (!err)
		err = name_valid(name, len);
	if (err)
		return err;
	err = tfs_dirent_find(vol, parent, name, len, &key, &ino, &type);
	return err == -ENOENT ? 0 : err ? err : -EEXIST;
}

int tfs_create(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, const struct tfs_create *c,
               u64 *ino_out)
{
	struct tfs_counters *counters = tfs_counters_of(vol);
	struct tfs_rec_create *r;
	struct tfs_inode dir;
	u32 type = c->mode & TFS_S_IFMT;
	int err = tfs_op_begin(vol, TFS_TIER_NORMAL, 4);

	if (!err)
		err = name_len ? name_free(vol, parent, name, name_len, &dir) : parent_get(vol, parent, &dir);
	if (err)
		return err;
	if (type == TFS_S_IFLNK && (!c->target_len || c->target_len > TFS_SYMLINK_MAX))
		return c->target_len ? -ENAMETOOLONG : -EINVAL;
	if (type == TFS_S_IFDIR && (!name_len || tfs_le32(dir.nlink) >= TFS_LINK_MAX))
		return name_len ? -EMLINK : -EINVAL;
	if (counters->next_ino > TFS_INO_MAX)
		return -ENOSPC;
	r = tfs_rec_start(vol, TFS_REC_CREATE, counters->next_ino, sizeof(*r));
	r->parent = tfs_cpu64(parent);
	r->mode = tfs_cpu32(c->mode);
	r->uid = tfs_cpu32(c->uid);
	r->gid = tfs_cpu32(c->gid);
	r->rdev_major = tfs_cpu32(c->rdev_major);
	r->rdev_minor = tfs_cpu32(c->rdev_minor);
	r->codec = dir.codec;
	r->codec_level = dir.codec_level;
	r->window_bits = dir.window_bits;
	r->generation = tfs_cpu32((u32)tfs_random(vol));
	r->name_len = (u8)name_len;
	memcpy(r + 1, name, name_len);
	if (type == TFS_S_IFLNK) {
		r->target_len = tfs_cpu16((u16)c->target_len);
		memcpy((u8 *)(r + 1) + name_len, c->target, c->target_len);
	}
	*ino_out = counters->next_ino;
	return tfs_commit(vol, (u32)sizeof(*r) + name_len + tfs_le16(r->target_len));
}

static int link_commit(struct tfs_vol *vol, int type, u64 ino, u64 parent, const char *name, u32 len)
{
	struct tfs_rec_link *r = tfs_rec_start(vol, type, ino, sizeof(*r));

	r->parent = tfs_cpu64(parent);
	r->name_len = (u8)len;
	memcpy(r + 1, name, len);
	return tfs_commit(vol, (u32)sizeof(*r) + len);
}

int tfs_link(struct tfs_vol *vol, u64 ino, u64 parent, const char *name, u32 name_len)
{
	struct tfs_inode dir, inode;
	int err = tfs_op_begin(vol, TFS_TIER_NORMAL, 1);

	if (!err)
		err = tfs_inode_find(vol, ino, &inode);
	if (!err)
		err = name_free(vol, parent, name, name_len, &dir);
	if (err)
		return err;
	if (tfs_is_dir(&inode))
		return -EPERM;
	if (tfs_le32(inode.nlink) >= TFS_LINK_MAX)
		return -EMLINK;
	return link_commit(vol, TFS_REC_LINK, ino, parent, name, name_len);
}

/* The inode behind a name, which must be there. */
static int name_get(struct tfs_vol *vol, u64 parent, const char *name, u32 len, struct tfs_key *key, u64 *ino,
                    struct tfs_inode *inode)
{
	struct tfs_inode dir;
	u8 type;
	int err = tfs_dir_inode(vol, parent, &dir);

	if (!err)
		err = name_valid(name, len);
	if (!err)
		err = tfs_dirent_find(vol, parent, name, len, key, ino, &type);
	if (err)
		return err == -ENOSPC ? -ENOENT : err;
	err = tfs_inode_find(vol, *ino, inode);
	return err == -ENOENT ? tfs_corrupt(vol, *ino, "named by an entry but not there") : err;
}

int tfs_unlink(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, bool dir, u64 *ino_out)
{
	struct tfs_inode inode;
	struct tfs_key key;
	u64 ino;
	int err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);

	if (!err)
		err = name_get(vol, parent, name, name_len, &key, &ino, &inode);
	if (err)
		return err;
	if (dir != tfs_is_dir(&inode))
		return dir ? -ENOTDIR : -EISDIR;
	if (dir && inode.size)
		return -ENOTEMPTY;
	err = link_commit(vol, TFS_REC_UNLINK, ino, parent, name, name_len);
	if (err)
		return err;
	tfs_tidy(vol, TFS_TREE_FS, key);
	if (ino_out)
		*ino_out = ino;
	return 0;
}

/* ---- rename ---- */

struct rename {
	u64 old_parent, new_parent;
	const char *old_name, *new_name;
	u32 old_len, new_len, flags;
	u64 ino, target; /* target 0: the new name is free */
	struct tfs_inode inode, target_inode, new_dir, old_dir;
	struct tfs_key old_key;
};

/* Is `ino` the directory `dir` or above it? In a crafted image parents may form a cycle: then the way comes by a mark
 * again, which is set anew after 2, 4, 8... steps, so that it lies in the cycle at last. */
static int is_above(struct tfs_vol *vol, u64 ino, u64 dir)
{
	u64 mark = 0, step, again = 2;
	struct tfs_inode i;

	for (step = 1; dir != mark; step++) {
		int err;

		if (dir == ino)
			return 1;
		if (dir == TFS_INO_ROOT)
			return 0;
		if (step == again) {
			mark = dir;
			again *= 2;
		}
		err = tfs_dir_inode(vol, dir, &i);
		if (err)
			return err;
		dir = tfs_le64(i.parent);
	}
	return tfs_corrupt(vol, ino, "parents form a cycle");
}

static int rename_find(struct tfs_vol *vol, struct rename *r)
{
	struct tfs_key key;
	int err = parent_get(vol, r->new_parent, &r->new_dir);

	if (!err)
		err = tfs_dir_inode(vol, r->old_parent, &r->old_dir);
	if (!err)
		err = name_valid(r->new_name, r->new_len);
	if (!err)
		err = name_get(vol, r->old_parent, r->old_name, r->old_len, &r->old_key, &r->ino, &r->inode);
	if (err)
		return err;
	err = name_get(vol, r->new_parent, r->new_name, r->new_len, &key, &r->target, &r->target_inode);
	if (err == -ENOENT)
		r->target = 0;
	return err == -ENOENT ? 0 : err;
}

static int rename_replace_check(const struct rename *r)
{
	bool dir = tfs_is_dir(&r->inode);

	if (!r->target)
		return 0;
	if (dir != tfs_is_dir(&r->target_inode))
		return dir ? -ENOTDIR : -EISDIR;
	return dir && r->target_inode.size ? -ENOTEMPTY : 0;
}

static int rename_check(struct tfs_vol *vol, const struct rename *r)
{
	int above;

	if (r->flags & TFS_RENAME_NOREPLACE && r->target)
		return -EEXIST;
	if (r->flags & TFS_RENAME_EXCHANGE && !r->target)
		return -ENOENT;
	if (tfs_is_dir(&r->inode) && (above = is_above(vol, r->ino, r->new_parent)))
		return above < 0 ? above : -EINVAL;
	if (!(r->flags & TFS_RENAME_EXCHANGE)) {
		/* the target must not hold the source */
		if (r->target && tfs_is_dir(&r->target_inode) && (above = is_above(vol, r->target, r->old_parent)))
			return above < 0 ? above : -ENOTEMPTY;
		if (tfs_is_dir(&r->inode) && !r->target && r->old_parent != r->new_parent &&
		    tfs_le32(r->new_dir.nlink) >= TFS_LINK_MAX)
			return -EMLINK;
		return rename_replace_check(r);
	}
	if (tfs_is_dir(&r->target_inode) && (above = is_above(vol, r->target, r->old_parent)))
		return above < 0 ? above : -EINVAL;
	return 0;
}

static int rename_commit(struct tfs_vol *vol, const struct rename *r)
{
	struct tfs_counters *counters = tfs_counters_of(vol);
	struct tfs_rec_rename *rec = tfs_rec_start(vol, TFS_REC_RENAME, r->ino, sizeof(*rec));

	rec->head.flags = tfs_cpu16(r->flags & (TFS_RENAME_EXCHANGE | TFS_RENAME_WHITEOUT));
	rec->old_parent = tfs_cpu64(r->old_parent);
	rec->new_parent = tfs_cpu64(r->new_parent);
	rec->target = tfs_cpu64(r->target);
	rec->whiteout = tfs_cpu64(r->flags & TFS_RENAME_WHITEOUT ? counters->next_ino : 0);
	rec->old_len = (u8)r->old_len;
	rec->new_len = (u8)r->new_len;
	memcpy(rec + 1, r->old_name, r->old_len);
	memcpy((u8 *)(rec + 1) + r->old_len, r->new_name, r->new_len);
	return tfs_commit(vol, (u32)sizeof(*rec) + r->old_len + r->new_len);
}

int tfs_rename(struct tfs_vol *vol, u64 old_parent, const char *old_name, u32 old_len, u64 new_parent,
               const char *new_name, u32 new_len, u32 flags, u64 *victim_out)
{
	struct rename r = {.old_parent = old_parent,
	                   .new_parent = new_parent,
	                   .old_name = old_name,
	                   .new_name = new_name,
	                   .old_len = old_len,
	                   .new_len = new_len,
	                   .flags = flags};
	int err;

	if (victim_out)
		*victim_out = 0;
	if (flags & ~(TFS_RENAME_NOREPLACE | TFS_RENAME_EXCHANGE | TFS_RENAME_WHITEOUT) ||
	    (flags & TFS_RENAME_EXCHANGE && flags & (TFS_RENAME_NOREPLACE | TFS_RENAME_WHITEOUT)))
		return -EINVAL;
	err = tfs_op_begin(vol, TFS_TIER_NORMAL, 1);
	if (!err)
		err = rename_find(vol, &r);
	/* onto itself: nothing happens, whatever it holds */
	if (!err && r.ino == r.target)
		return flags & TFS_RENAME_NOREPLACE ? -EEXIST : 0;
	if (!err)
		err = rename_check(vol, &r);
	if (err)
		return err;
	err = rename_commit(vol, &r);
	if (err)
		return err;
	tfs_tidy(vol, TFS_TREE_FS, r.old_key);
	if (victim_out && !(flags & TFS_RENAME_EXCHANGE))
		*victim_out = r.target;
	return 0;
}
