/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* mkfs.tfs: what its parts share. */
#ifndef MKFS_H
#define MKFS_H

#include "tfs/tfs.h"

enum mkfs_exit { MKFS_OK = 0, MKFS_USAGE = 1, MKFS_SOURCE = 2, MKFS_DEVICE = 3, MKFS_FULL = 4 };

struct mkfs {
	struct tfs_vol *vol;
	u8 codec, level;
	bool all_root;
	u64 files, bytes;
};

/* Prints "mkfs.tfs: OBJECT: WHAT" and returns code. */
int mkfs_fail(int code, const char *object, const char *what);
int mkfs_failed(const char *object, int err); /* by errno: full or device */
/* Everything below `dir` becomes the root's content, in the order of name bytes. */
int mkfs_walk(struct mkfs *m, const char *dir);
/* An upper bound of the bytes that the tree needs. */
int mkfs_estimate(const char *dir, u64 *bytes);

#endif
