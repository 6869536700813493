/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What data.c and clone.c share: how an operation on content begins, and how a range is written. */
#ifndef TFS_DATA_H
#define TFS_DATA_H

#include "tfs/window.h"

int tfs_file_find(struct tfs_vol *vol, u64 ino, struct tfs_inode *inode); /* a regular file; -EISDIR, -EINVAL */
/* The file that an operation is about to change, with nothing pending. Its count of blocks is of before. */
int tfs_file_open(struct tfs_vol *vol, u64 ino, struct tfs_inode *inode);
/* -EFBIG, -EINVAL: not within one window. */
int tfs_write_check(u64 block, u32 blocks, u64 size);
/*
 * Before [block, block + blocks) is written: *size is asked for, and becomes the size that the file will have. 1: it
 * grows, and a dirty tail outside of the range was rewritten for that, so the operation begins anew.
 */
int tfs_size_settle(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, u64 block, u32 blocks, u64 *size);
/* Rewrites the last block with zeros behind the end, if it is dirty there. */
int tfs_tail_fix(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode);
void tfs_write_head(struct tfs_rec_write *r, u64 block, u32 blocks, u64 size, const struct tfs_time *mtime);
/* Places and commits. e->buf may lie in the first or the last quarter of tfs_scratch. */
int tfs_window_write(struct tfs_vol *vol, u64 ino, u64 block, const struct tfs_encoded *e, u64 size,
                     const struct tfs_time *mtime);

#endif
