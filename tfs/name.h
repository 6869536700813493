/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the namespace files offer each other: hashes, inode copies, directory entries. */
#ifndef TFS_NAME_H
#define TFS_NAME_H

#include "tfs/core.h"

/* SipHash-2-4 under the volume's seed, 48 bits. */
u64 tfs_name_hash(const struct tfs_vol *vol, const void *name, u32 len);

#define TFS_S_IFMT 0170000u
#define TFS_S_IFDIR 0040000u
#define TFS_S_IFREG 0100000u
#define TFS_S_IFLNK 0120000u
#define TFS_S_IFCHR 0020000u

static inline bool tfs_is_dir(const struct tfs_inode *i)
{
	return (tfs_le32(i->mode) & TFS_S_IFMT) == TFS_S_IFDIR;
}
static inline struct tfs_key tfs_inode_key(u64 ino)
{
	return tfs_key(ino, TFS_IT_INODE, 0);
}
static inline struct tfs_key tfs_orphan_key(u64 ino)
{
	return tfs_key(TFS_INO_ORPHANS, TFS_IT_ORPHAN, ino);
}

/* Names an existing inode item to be edited. */
void tfs_need_inode(struct tfs_vol *vol, u64 ino);
void tfs_inode_put(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode);

/* A copy, and -ENOTDIR / -ENOENT (no link left). */
int tfs_dir_inode(struct tfs_vol *vol, u64 ino, struct tfs_inode *out);
/* Where a name stands. -ENOENT: *key is where it would go (-ENOSPC: 256 names of its hash are there). */
int tfs_dirent_find(struct tfs_vol *vol, u64 dir, const void *name, u32 len, struct tfs_key *key, u64 *ino, u8 *type);
void tfs_dirent_put(struct tfs_vol *vol, struct tfs_key key, const void *name, u32 len, u64 ino, u8 type);
static inline u32 tfs_dirent_bytes(u32 name_len)
{
	return 10 + name_len;
}

int tfs_xattr_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_setattr_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_xattr_free_step(struct tfs_vol *vol, u64 ino); /* for evict: 1 more, 0 done */

#endif
