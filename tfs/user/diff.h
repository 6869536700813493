/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What changed between two snapshots, or a snapshot and now, for people and programs: created, deleted, renamed,
 * linked, unlinked, modified with byte ranges, metadata. Gets everything by TFS_IOC_ITEMS, so it works on a volume in a
 * file and on a mounted one. For dump.tfs and tfs.
 */
#ifndef TFS_USER_DIFF_H
#define TFS_USER_DIFF_H

#include "tfs/ioctl.h"
#include "tfs/user/lines.h"

/* Whoever answers requests: 0 or a negative errno. */
struct tfs_items_source {
	int (*items)(void *arg, struct tfs_ioc_items *batch);
	void *arg;
	struct tfs_ioc_items *batch; /* room for one, the source's owner's */
};
/*
 * tfs_items_each: each item from {a, b} to {last_a, last_b} of a snapshot (0: now), or those that differ from an older
 * one. Values stay good until fn returns; fn may not ask the source. Its nonzero ends it and is returned.
 * tfs_items_some: as one request answers; 1: go on from {a, b}. tfs_items_inode: an inode's own item, if it is there.
 */
struct tfs_items_range {
	u64 older, newer, a, b, last_a, last_b;
};
typedef int (*tfs_item_differs_fn)(void *arg, const struct tfs_ioc_item *i, const void *a, const void *b);
int tfs_items_some(const struct tfs_items_source *s, struct tfs_items_range *r, tfs_item_differs_fn fn, void *arg);
int tfs_items_each(const struct tfs_items_source *s, const struct tfs_items_range *r, tfs_item_differs_fn fn,
                   void *arg);
int tfs_items_inode(const struct tfs_items_source *s, u64 epoch, u64 ino, tfs_item_differs_fn fn, void *arg);

/* json: one object a line. paths: inode numbers alone cost what changed, and nothing more. -ENOMEM, and what the source
 * says. -EINVAL: the later is older. */
int tfs_diff_print(const struct tfs_items_source *s, u64 older, u64 newer, bool json, bool paths);

/* ---- diff_paths.c: the names of some inodes and of the directories above them, at one moment ---- */
struct tfs_path_name { /* of one inode */
	u64 ino, dir;
	char *text;
};
struct tfs_paths {
	struct tfs_path_name *name; /* directories in the order in which they were found, and what was asked for */
	size_t names, names_max;
	size_t *slot, slots; /* by inode: index of name + 1 */
};
/* An inode whose path is wanted, and the entry where it says that its name stands, {0, 0}: to be asked. */
struct tfs_path_want {
	u64 ino, dir, pos;
};
/* Finds a name of each of the n inodes and of all directories above; the list is used up. Costs what
 * is asked for, but where an inode does not say where its name stands: then at worst all directories are gone through. */
int tfs_paths_load(struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch, struct tfs_path_want *want,
                   size_t n);
const struct tfs_path_name *tfs_paths_find(const struct tfs_paths *p, u64 ino);
/* The path of `text` in dir, built from the end of buf on; NULL: not known, or it does not fit. */
char *tfs_paths_text(const struct tfs_paths *p, u64 dir, const char *text, char *buf, size_t size);
void tfs_paths_free(struct tfs_paths *p);

#endif
