/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Log forwarding inside the core: an inode's item in memory, and what records of names and sizes do to it. Declared
 * here for name_apply.c, range_apply.c, orphan.c and ship.c; done in ship_apply.c.
 */
#ifndef TFS_SHIP_ITEM_H
#define TFS_SHIP_ITEM_H

#include "tfs/core.h"

struct tfs_ship_part { /* disk order */
	u64 ino;
	bool there, changed; /* in the tree; to be put */
	struct tfs_ship_head head;
	struct tfs_ship_cursor cursor[TFS_SHIP_RULES_MAX];
};

static inline struct tfs_key tfs_ship_key(u64 ino)
{
	return tfs_key(TFS_INO_ORPHANS, TFS_IT_SHIP, ino);
}
static inline struct tfs_key tfs_rule_key(u64 rule)
{
	return tfs_key(TFS_INO_ORPHANS, TFS_IT_RULE, rule);
}

/* Volumes that never had a rule pay nothing. */
bool tfs_ship_on(const struct tfs_vol *vol);
/* A copy of the item; an empty one when there is none. */
int tfs_ship_load(struct tfs_vol *vol, u64 ino, struct tfs_ship_part *p);
/* Its entry for a rule. NULL: none. */
struct tfs_ship_cursor *tfs_ship_cursor_of(struct tfs_ship_part *p, u64 rule);
/* 0, or -ENOENT: no such rule. */
int tfs_rule_find(struct tfs_vol *vol, u64 rule);

/*
 * What ino gets from the directory in which it has a new name: names what it needs (tfs_need). In the apply phase
 * tfs_ship_inherited puts it. Two a record at most, slot 0 and 1, which lie in the scratch.
 */
int tfs_ship_inherit(struct tfs_vol *vol, u32 slot, u64 dir, const u8 *name, u32 len, u64 ino, u32 mode);
void tfs_ship_inherited(struct tfs_vol *vol, u32 slots);
/* A file shrinks: its generation goes up, and what was acknowledged behind the end was not. */
int tfs_ship_cut(struct tfs_vol *vol, u64 ino, bool *there);
void tfs_ship_cut_apply(struct tfs_vol *vol, u64 ino, u64 size);
int tfs_apply_ship(struct tfs_vol *vol, const struct tfs_rec_head *rec);

#endif
