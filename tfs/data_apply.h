/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What data_apply.c, write_apply.c, range_apply.c and prealloc_apply.c share: all apply data records, live and in
 * replay. */
#ifndef TFS_DATA_APPLY_H
#define TFS_DATA_APPLY_H

#include "tfs/window.h"

#define RANGE_ITEMS 32u
#define RANGE_KEYS 96u /* of REFS, that dropping them may take; more than one window's 16 * 3 */
#define SCRATCH_WINDOW (2u * 65536)
#define PENDING_END (1ull << 52)

struct range_item {
	struct tfs_key key;
	struct tfs_ptr ptr; /* addr 0: nothing dies with it (PREALLOC, or its window refers to the extent by another) */
	bool raw, shared;   /* shared: set by range_need */
	u64 blocks;
};

struct range {
	u64 first, end; /* whole windows */
	u32 count, extents, keys;
	bool more; /* there are others behind the last on the list */
	struct range_item item[RANGE_ITEMS + 1];
};

struct share { /* what a window begins to share */
	struct tfs_ptr more[TFS_WINDOW_BLOCKS];
	u32 mores;
};

struct change { /* in tfs_scratch */
	struct tfs_window left, right;
	struct range range;
	struct share share;
};

static inline struct change *tfs_change_of(struct tfs_vol *vol)
{
	return (struct change *)((u8 *)tfs_scratch(vol) + SCRATCH_WINDOW);
}
static inline struct tfs_key tfs_inode_key(u64 ino)
{
	return tfs_key(ino, TFS_IT_INODE, 0);
}
static inline struct tfs_key tfs_inline_key(u64 ino)
{
	return tfs_key(ino, TFS_IT_INLINE, 0);
}
static inline void tfs_blocks_add(struct tfs_inode *inode, s64 n)
{
	inode->blocks = tfs_cpu64(tfs_le64(inode->blocks) + (u64)n);
}

/* ---- data_apply.c ---- */
int tfs_data_bad(struct tfs_vol *vol, const struct tfs_rec_head *rec, const char *what); /* -EUCLEAN, with a message */
/* The regular file that a record names, with nothing pending, and its tfs_data_inline; -EUCLEAN: none. */
int tfs_data_open(struct tfs_vol *vol, const struct tfs_rec_head *rec, struct tfs_inode *inode, u32 *inlined);
void tfs_data_inode_put(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode); /* named by tfs_need */
int tfs_data_inline(struct tfs_vol *vol, u64 ino, u32 *len);                          /* of the INLINE item, 0: none */

/* ---- prealloc_apply.c: a range [block, end) cut out of the promises ---- */
struct carve {
	u64 block, end;   /* the range */
	u64 old[18];      /* items that go */
	u64 left, left_n; /* what stays of the first and of the last */
	u64 right, right_n;
	u32 olds;
	u64 given_back;
};
int tfs_carve_load(struct tfs_vol *vol, u64 ino, u64 block, u64 end, struct carve *c);
void tfs_carve_need(struct tfs_vol *vol, u64 ino, const struct carve *c);
void tfs_carve_apply(struct tfs_vol *vol, u64 ino, const struct carve *c, struct tfs_inode *inode);
/* Cuts a promise in two at a block, which changes nothing, so that whole items lie in or out of a range. */
int tfs_prealloc_split(struct tfs_vol *vol, u64 ino, u64 at);

/* ---- by record type: 0, -EUCLEAN when it contradicts the volume, -EIO, -ENOMEM ---- */
int tfs_apply_write(struct tfs_vol *vol, const struct tfs_rec_head *rec);
/* Also -EOPNOTSUPP, live: what is there cannot be shared. */
int tfs_apply_clone(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_apply_move(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_apply_prealloc(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_apply_hole(struct tfs_vol *vol, const struct tfs_rec_head *rec); /* TRUNCATE, PUNCH */

#endif
