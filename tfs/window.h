/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The pieces of one 64 KiB window of a file, in memory; see window.c. */
#ifndef TFS_WINDOW_H
#define TFS_WINDOW_H

#include "tfs/core.h"

#define TFS_WINDOW_BLOCKS 16u
#define TFS_BLOCK_MAX (1ull << 51) /* file blocks */

struct tfs_piece {
	u64 block;
	union {
		struct tfs_extent e;
		u8 bytes[TFS_EXTENT_HEAD + 4 * TFS_WINDOW_BLOCKS];
	};
};

struct tfs_dying { /* what a window no longer refers to */
	struct tfs_ptr ptr;
	bool raw, shared; /* shared: others refer to it, set by tfs_window_need */
};

struct tfs_window {
	u64 first; /* block, multiple of 16 */
	u32 olds, news, dead;
	s64 mapped; /* how many more blocks are mapped afterwards */
	struct tfs_piece old[TFS_WINDOW_BLOCKS], piece[TFS_WINDOW_BLOCKS];
	struct tfs_dying die[TFS_WINDOW_BLOCKS];
};

static inline u64 tfs_window_first(u64 block)
{
	return block & ~(u64)(TFS_WINDOW_BLOCKS - 1);
}
static inline u32 tfs_piece_blocks(const struct tfs_piece *p)
{
	return tfs_le16(p->e.blocks);
}
static inline u32 tfs_piece_bytes(const struct tfs_piece *p)
{
	return TFS_EXTENT_HEAD + (p->e.codec ? 0 : 4 * tfs_piece_blocks(p));
}
static inline struct tfs_key tfs_extent_key(u64 ino, u64 block)
{
	return tfs_key(ino, TFS_IT_EXTENT, block);
}

/* Reads the window of `block` as it is: old and piece alike. -EUCLEAN: items overlap or cross it. */
int tfs_window_load(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_window *w);
/* Takes [block, end) out of the pieces; what no piece uses any more is noted to die. */
int tfs_window_cut(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u64 block, u64 end);
/* Adds a piece whose range was cut before. -EUCLEAN: does not fit. */
int tfs_window_add(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u64 block, const struct tfs_extent *e, u32 len);
/* Names the keys and addresses of the change; then makes it. */
int tfs_window_need(struct tfs_vol *vol, u64 ino, struct tfs_window *w);
/* The part [skip, skip + blocks) of a piece. */
void tfs_piece_part(struct tfs_piece *out, const struct tfs_piece *p, u32 skip, u32 blocks);
/* Does a piece use that compressed extent? */
bool tfs_window_uses(const struct tfs_window *w, le64 addr);
void tfs_window_apply(struct tfs_vol *vol, u64 ino, const struct tfs_window *w);

int tfs_read_window(struct tfs_vol *vol, u64 ino, u64 first, u8 *out); /* 64 KiB, verified */
/* A raw piece's blocks, each verified; read.c. */
int tfs_read_raw(struct tfs_vol *vol, u64 ino, const struct tfs_piece *p, u8 *out);
int tfs_pending_drain(struct tfs_vol *vol, u64 ino);
bool tfs_pending_covers(struct tfs_vol *vol, u64 ino, u64 block, int *err);

#endif
