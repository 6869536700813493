/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * mutate: what its rooms share. mutate_edit.c has the edits, mutate_volume.c the volumes they are made in, and the
 * tables of mutations stand by what they damage: mutate_names.c, mutate_inodes.c, mutate_extents.c, mutate_space.c,
 * mutate_snaps.c.
 * mutate_pick.c finds the one asked for and runs it on the mounted volume. One thread, one volume; what fails ends the
 * program with a message.
 */
#ifndef TESTS_FSCK_MUTATE_H
#define TESTS_FSCK_MUTATE_H

#include "tfs/name.h"
#include "tfs/user/acl.h"
#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"
#include "tfs/vol.h"

#include <stdlib.h>

struct mutation {
	const char *name; /* NULL ends a table */
	void (*fn)(void);
	int problem; /* the number that fsck must report */
	int left;    /* 1: a repair cannot mend it */
	int data;    /* 1: only --data finds it */
};
extern const struct mutation mutations_names[], mutations_inodes[], mutations_extents[], mutations_space[],
    mutations_snaps[];

/* ---- mutate_pick.c ---- */
void mutate_each(void (*fn)(void *arg, const struct mutation *m), void *arg); /* the named ones */
/* Does the one of that name, or "random:SEED", to the volume, which is then unmounted to take effect. -ENOENT. */
int mutate_damage(const char *name);

/* ---- mutate_edit.c ---- */
extern struct tfs_vol *vol;
extern u8 buf[TFS_ITEM_MAX];   /* scratch: the item being edited */
extern struct tfs_inode inode; /* scratch of inode_load and inode_store */

void must(int err, const char *what);             /* negative: ends the program */
void room(int tree, struct tfs_key key, u32 len); /* makes the leaf ready for an item of that length */
struct tfs_key item_first(u64 ino, u32 type);
void item_put(struct tfs_key key, const void *value, u32 len); /* of the FS tree; new or in place of the old */
void item_del(struct tfs_key key);
u32 item_get(struct tfs_key key, void *out); /* its length; out: TFS_ITEM_MAX bytes */
void inode_load(u64 ino);
void inode_store(u64 ino);
struct tfs_key entry_of(u64 dir, const char *name);
void entry_put(u64 dir, u64 pos, const char *name, u64 ino, u8 type);
u64 free_pos(const char *name); /* where its hash wants it */
/* By operations of the core: */
u64 make(u64 parent, const char *name, u32 mode);
void write_blocks(u64 ino, u32 blocks, int codec); /* a multiple of 16 */

/* ---- mutate_volume.c ---- */
extern const u8 volume_acl[44];     /* sound; dir/b has it as access list, same as default list */
void volume_make(const char *path); /* the volume that all mutations work on */
void log_make(void);
void many_make(u32 files);
void scatter_make(void);
void copies_make(void);
/* A raw file takes all space there is but the reserve, then single blocks of it, that many, are free again. Its number.
 */
u64 fill_make(u32 free);
u64 index_place(int level); /* bytes: the last node of that level in the FS tree; 0: none */

/* ---- mutate_snaps.c ---- */
void rollback_make(int steps);    /* to "one" of them, and so many steps of freeing what it left; -1: all */
void snaps_make_some(u32 rounds); /* snapshots of changes below dir; of four the second is deleted again */

#endif
