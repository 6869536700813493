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
/* A file's bytes go: its generation goes up, and its cursors go to `from` at least and `to` at most. */
int tfs_ship_cut(struct tfs_vol *vol, u64 ino, bool *there);
void tfs_ship_cut_apply(struct tfs_vol *vol, u64 ino, u64 from, u64 to);
int tfs_apply_ship(struct tfs_vol *vol, const struct tfs_rec_head *rec);

/* ship.c: the record that makes the item of a copy (TFS_SHIP_CUT): what is cut off ino from byte `from` on. */
int tfs_ship_cut_commit(struct tfs_vol *vol, u64 ino, u64 copy, u64 from);
/* false: an orphan's, whose lines are still in the file they were to be cut off. */
bool tfs_ship_counts(const struct tfs_ship_part *p);
/* The record that cuts them off ino: the copy counts. The first checks and names what it needs. */
int tfs_ship_copy(struct tfs_vol *vol, u64 ino, u64 copy);
void tfs_ship_copy_apply(struct tfs_vol *vol, u64 copy);

/* cut.c */
struct tfs_cut {
	u64 from, to; /* bytes: the range; after tfs_cut_begin those of its lines that are kept */
	u64 copy;     /* the orphan; 0: none */
	u64 lost;     /* bytes with lines to be sent that are not kept */
	bool lines;   /* there were some */
};
/* Before [from, to) of a file's bytes goes. Records may be appended, and nothing else that one can see has changed when
 * it returns; after it, whatever it returned, and after the operation: tfs_cut_end, with what came of that. */
int tfs_cut_begin(struct tfs_vol *vol, u64 ino, bool punch, struct tfs_cut *cut);
void tfs_cut_end(struct tfs_vol *vol, const struct tfs_cut *cut, int err);

#endif
