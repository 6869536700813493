/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the compactor and defrag.c share: moving pieces of a window (move.c). */
#ifndef TFS_MOVE_H
#define TFS_MOVE_H

#include "tfs/data_apply.h"
#include "tfs/vol.h"

struct tfs_mover {
	struct tfs_vol *vol;
	u64 ino;
	struct tfs_window *w;
	u8 *data;                   /* a window's bytes */
	u8 *at;                     /* where the record goes on */
	u32 count, blocks;          /* items, and blocks of 4 KiB written for them */
	u32 lost;                   /* pieces that found no place */
	u32 bad;                    /* pieces that do not match their CRC: said already */
	bool rows;                  /* raw pieces that follow each other go together or not at all */
	bool go[TFS_WINDOW_BLOCKS]; /* pieces that are to move: set between the two calls */
};

/* Loads the window of `block`. 1: content is being dropped there, call again. -ENOSPC: too little is left to move
 * anything; -EROFS, -EIO, -ENOMEM, -EUCLEAN. */
int tfs_move_begin(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_mover *m);
/* 1: nothing but this window's piece refers to what it maps; 0: something else does. */
int tfs_move_alone(struct tfs_mover *m, u32 piece);
/* Moves what is chosen; what finds no place stays (m->lost). Then m->blocks were written. */
int tfs_move(struct tfs_mover *m);
/* What was moved left places that only a checkpoint gives back: makes one when a segment's worth was since the last.
 * *again: it did, and what found no place may find one. */
int tfs_move_places(struct tfs_vol *vol, bool *again);

#endif
