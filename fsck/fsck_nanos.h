/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * fsck.tfs on a volume of the Nanos kernel: what its parts share. The volume is read into a tree, problems are decided
 * on and mended in that tree, and a repair writes the tree as a new log (nanos_write): into free space, then one sector
 * makes it the volume's. So a repair that is cut off changed nothing.
 */
#ifndef FSCK_NANOS_H
#define FSCK_NANOS_H

#include "fsck/fsck.h"
#include "tfs/user/nanos_dev.h"

struct fsck_nanos {
	struct fsck *f;
	struct tfs_dev *dev;
	struct nanos_vol *vol;
	bool force;               /* block 0 need not be one */
	u64 log_at;               /* block: of several places where the log may go on, this one; 0: none */
	struct nanos_paths paths; /* of the tree as it was when its check began */
	u32 lost;                 /* names of lost+found, 0: not there yet */
	bool again;               /* something was mended in this round */
	u64 changed;
	u32 joins;
	u64 joined; /* where the last one led */
};

/* fsck_nanos.c: reads, checks, decides; the tree is mended in memory. 0, or a negative errno; -EINVAL: no such volume.
 */
int fsck_nanos_check(struct fsck_nanos *n);
/* Writes the tree. grow: more blocks at the device's end, NULL: none to be had. */
int fsck_nanos_repair(struct fsck_nanos *n, int (*grow)(void *arg, u64 blocks), void *arg);
void fsck_nanos_free(struct fsck_nanos *n);
/* fsck_nanos_tree.c: all problems of the tree */
int fsck_nanos_tree(struct fsck_nanos *n);
/* fsck_nanos_find.c: where the log goes on behind a link or header that is damaged */
bool fsck_nanos_relink(void *arg, const struct nanos_fault *f, struct nanos_join *j);

/* fsck_nanos_copy.c: an image is copied whole, to be repaired there. Negative: why is said. */
struct fsck_nanos_copy {
	const char *path;
	char temporary[4096];
	struct tfs_file_dev file; /* its device is the volume in the copy */
	u64 before;               /* bytes of the copy before the volume */
};
int fsck_nanos_copy_open(struct fsck_nanos_copy *c, const struct tfs_file_dev *image, struct tfs_progress *progress);
int fsck_nanos_copy_grow(void *copy, u64 blocks);
int fsck_nanos_copy_end(struct fsck_nanos_copy *c, int err); /* err 0: it gets its name, else it goes */

/* fsck_nanos_main.c: the tool's part: options, copy, undo file, summary. An exit code. */
struct fsck_nanos_options {
	const char *image, *to, *undo, *restore;
	struct tfs_nanos_place *place;
	u64 log_at;
	int progress_fd; /* -C; -1: none */
};
int fsck_nanos_run(struct fsck *f, struct tfs_file_dev *file, const struct fsck_nanos_options *o);
/* fsck_nanos_undo.c: a device that saves what it overwrites, and bringing it back. */
int fsck_nanos_undo_open(struct tfs_dev *under, const char *path, struct tfs_dev **out);
int fsck_nanos_undo_close(struct tfs_dev *dev);
int fsck_nanos_undo_restore(const char *path, struct tfs_dev *dev); /* negative: why is said */
bool fsck_nanos_undo_is(const char *path);

#endif
