// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Inode items: reading them, and setting attributes. The item is the truth; hosts keep copies. Called by hosts and by
 * every file that changes an inode. Sizes are changed by data.c only, link counts by name_apply.c only.
 */
#include "tfs/name.h"

int tfs_inode_find(struct tfs_vol *vol, u64 ino, struct tfs_inode *out)
{
	const void *v;
	u32 len;
	int err;

	if (!ino || ino > TFS_INO_MAX)
		return -ENOENT;
	err = tfs_item_find(vol, TFS_TREE_FS, tfs_inode_key(ino), &v, &len);
	if (!err)
		memcpy(out, v, sizeof(*out));
	return err;
}

void tfs_need_inode(struct tfs_vol *vol, u64 ino)
{
	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), 0);
}

void tfs_inode_put(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode)
{
	memcpy(tfs_item_edit(vol, TFS_TREE_FS, tfs_inode_key(ino), NULL), inode, sizeof(*inode));
}

int tfs_getattr(struct tfs_vol *vol, u64 ino, struct tfs_attr *out)
{
	struct tfs_inode i;
	int err = tfs_inode_find(vol, ino, &i);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->ino = ino;
	out->size = tfs_le64(i.size);
	out->blocks = tfs_le64(i.blocks);
	out->parent = tfs_le64(i.parent);
	out->mode = tfs_le32(i.mode);
	out->uid = tfs_le32(i.uid);
	out->gid = tfs_le32(i.gid);
	out->nlink = tfs_le32(i.nlink);
	out->rdev_major = tfs_le32(i.rdev_major);
	out->rdev_minor = tfs_le32(i.rdev_minor);
	out->flags = tfs_le32(i.flags);
	out->user_flags = tfs_le32(i.user_flags);
	out->generation = tfs_le32(i.generation);
	out->codec = i.codec;
	out->codec_level = i.codec_level;
	out->window_bits = i.window_bits;
	out->atime = i.atime;
	out->mtime = i.mtime;
	out->ctime = i.ctime;
	out->btime = i.btime;
	return 0;
}

static bool setattr_valid(const struct tfs_rec_setattr *r)
{
	u32 mask = tfs_le16(r->head.flags);

	return !(mask & ~0x1ffu) && tfs_le32(r->atime.nsec) < 1000000000u && tfs_le32(r->mtime.nsec) < 1000000000u &&
	       tfs_le32(r->ctime.nsec) < 1000000000u && tfs_le32(r->btime.nsec) < 1000000000u &&
	       (!(mask & TFS_SET_CODEC) || (r->codec < TFS_CODEC_COUNT && r->window_bits >= TFS_WINDOW_BITS_MIN &&
	                                    r->window_bits <= TFS_WINDOW_BITS));
}

int tfs_setattr(struct tfs_vol *vol, u64 ino, u32 mask, const struct tfs_attr *a)
{
	struct tfs_inode i;
	struct tfs_rec_setattr *r;
	int err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);

	if (!err)
		err = tfs_inode_find(vol, ino, &i);
	if (err)
		return err;
	r = tfs_rec_start(vol, TFS_REC_SETATTR, ino, sizeof(*r));
	r->head.flags = tfs_cpu16((u16)mask);
	r->mode = tfs_cpu32(a->mode & 07777);
	r->uid = tfs_cpu32(a->uid);
	r->gid = tfs_cpu32(a->gid);
	r->user_flags = tfs_cpu32(a->user_flags);
	r->codec = a->codec;
	r->codec_level = a->codec_level;
	r->window_bits = a->window_bits;
	if (mask & TFS_SET_ATIME)
		r->atime = a->atime;
	if (mask & TFS_SET_MTIME)
		r->mtime = a->mtime;
	if (mask & TFS_SET_CTIME)
		r->ctime = a->ctime;
	if (mask & TFS_SET_BTIME)
		r->btime = a->btime;
	return setattr_valid(r) ? tfs_commit(vol, sizeof(*r)) : -EINVAL;
}

static void setattr_into(struct tfs_inode *i, const struct tfs_rec_setattr *r)
{
	u32 mask = tfs_le16(r->head.flags);

	i->ctime = mask & TFS_SET_CTIME ? r->ctime : r->head.time;
	if (mask & TFS_SET_MODE)
		i->mode = tfs_cpu32((tfs_le32(i->mode) & TFS_S_IFMT) | (tfs_le32(r->mode) & 07777));
	if (mask & TFS_SET_UID)
		i->uid = r->uid;
	if (mask & TFS_SET_GID)
		i->gid = r->gid;
	if (mask & TFS_SET_ATIME)
		i->atime = r->atime;
	if (mask & TFS_SET_MTIME)
		i->mtime = r->mtime;
	if (mask & TFS_SET_BTIME)
		i->btime = r->btime;
	if (mask & TFS_SET_FLAGS)
		i->user_flags = r->user_flags;
	if (mask & TFS_SET_CODEC) {
		i->codec = r->codec;
		i->codec_level = r->codec_level;
		i->window_bits = r->window_bits;
	}
}

int tfs_setattr_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_setattr *r = (const struct tfs_rec_setattr *)rec;
	u64 ino = tfs_le64(rec->ino);
	struct tfs_inode i;
	int err;

	if (tfs_le32(rec->len) < sizeof(*r) || !setattr_valid(r))
		return tfs_corrupt(vol, ino, "setattr record malformed");
	err = tfs_inode_find(vol, ino, &i);
	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, ino, "setattr record names no inode") : err;
	tfs_need_inode(vol, ino);
	err = tfs_prepare(vol);
	if (err)
		return err;
	setattr_into(&i, r);
	tfs_inode_put(vol, ino, &i);
	return 0;
}
