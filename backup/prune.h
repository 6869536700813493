/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What prune.c and repack.c share: how much of each pack is needed, and moving it out of those of which it is little. */
#ifndef TFS_BACKUP_PRUNE_H
#define TFS_BACKUP_PRUNE_H

#include "backup/backup.h"

struct bk_use;
/* percent: a pack of which less is needed is repacked; 0: none. NULL: no memory. */
struct bk_use *bk_use_new(u32 percent);
void bk_use_free(struct bk_use *u);
/* What one backup needs: marks has a byte for each place of x. */
int bk_use_add(struct bk_use *u, const struct bk_index *x, const u8 *marks);
bool bk_use_live(const struct bk_use *u, const u8 name[BK_HASH]);
/* It was put longer ago than the grace time, and is on no condemned list. */
void bk_use_old(struct bk_use *u, const u8 name[BK_HASH]);

/* A pack that the store lists; what was needed and not seen so, NULL: nothing. */
void bk_use_seen(struct bk_use *u, const u8 name[BK_HASH], u64 size);
const u8 *bk_use_missing(const struct bk_use *u);

struct bk_repack_ops {
	/* The pack is not needed any more: `need` of its bytes are elsewhere, durably. An exit code ends it all. */
	int (*moved)(void *arg, const u8 name[BK_HASH], u32 size, u64 need);
	void (*put)(void *arg, u64 bytes);       /* of a new pack */
	void (*merged)(void *arg, size_t lists); /* so many moved lists are part of the one that is about to be put */
};
/* All that were said to be old; with --dry-run nothing is copied. */
int bk_repack(struct bk_repo *r, struct bk_use *u, const struct bk_repack_ops *ops, void *arg);

#endif
