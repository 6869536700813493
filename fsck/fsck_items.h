/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the files of pass 2 that look at items share: the inode whose items are passing, with its sums so far. Filled in
 * key order by fsck_items.c, fsck_extents.c and fsck_entries.c; nobody else looks into it.
 */
#ifndef FSCK_ITEMS_H
#define FSCK_ITEMS_H

#include "fsck/fsck.h"

#define NAMES_OF_HASH 256

struct fsck_item_state {
	struct fsck *f;
	u64 ino;
	bool begun, have; /* have: its inode item was there */
	struct tfs_inode inode;
	u32 types;       /* 1 << item type seen */
	u64 blocks, end; /* mapped and promised; end of the last extent, blocks */
	u32 target, inline_bytes;
	u32 entries, subdirs;
	u64 past;              /* first block mapped behind the inode's size */
	bool past_pending;     /* a pending range covers all from there on: it is to go */
	u64 promised, dropped; /* where the last promised and the last pending range end */
	u64 window;
	struct tfs_extent seen[FSCK_WINDOW_BLOCKS]; /* compressed extents of this window already counted */
	u32 seens;
	u64 hash; /* of the names kept below, with the item type: xattrs are not entries */
	u32 same;
	u8 name[NAMES_OF_HASH][256];
	u8 name_len[NAMES_OF_HASH];
	u8 *buf; /* for --data */
};

/* Of the file's size. */
static inline u64 fsck_size_blocks(const struct fsck_item_state *s)
{
	return (tfs_le64(s->inode.size) + TFS_BLOCK - 1) / TFS_BLOCK;
}

/* fsck_items.c */
const char *fsck_item_name(u64 ino, char *out, size_t size, const char *what, u64 n); /* what NULL: the inode itself */
void fsck_item_remove(struct fsck_item_state *s, struct tfs_key key);
void fsck_flags_wrong(struct fsck_item_state *s, bool tail); /* TFS_INODE_TAIL: missing (tail), or under no file */
/* fsck_extents.c: what maps and promises blocks. Negative: ends the run. */
int fsck_extent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_extent *e);
int fsck_pending(struct fsck_item_state *s, struct tfs_key key, const struct tfs_pending *p);
void fsck_prealloc(struct fsck_item_state *s, struct tfs_key key, const struct tfs_prealloc *p);
/* Counts a place as used. e: the extent, which may be shared, or NULL. 1: its list of places is damaged, and so the
 * item goes. */
int fsck_place_use(struct fsck_item_state *s, struct tfs_key key, const struct tfs_ptr *ptr, const struct tfs_extent *e,
                   const char *what, u64 n);
/* fsck_data.c: --data. */
bool fsck_tail_here(const struct fsck_item_state *s, const struct tfs_extent *e, u64 block);
int fsck_data_check(struct fsck_item_state *s, const struct tfs_extent *e, u64 block);
/* fsck_entries.c: names and xattrs. */
int fsck_dirent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_dirent *d);
int fsck_xattr(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x);

#endif
