/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What mkfs.tfs fills: a volume of ours, or one of the Nanos kernel. The calls are those of tfs.h by the same names,
 * with the same answers and errors; put is one encoded window of the file that was made last, evict frees an inode
 * without names in one go. Used by fill.c and manifest.c, so that all sources work for both.
 */
#ifndef MKFS_SINK_H
#define MKFS_SINK_H

#include "mkfs/mkfs.h"

struct mkfs_sink_ops {
	int (*create)(struct mkfs_fill *f, u64 parent, const char *name, u32 len, const struct tfs_create *c, u64 *ino);
	int (*lookup)(struct mkfs_fill *f, u64 parent, const char *name, u32 len, u64 *ino, u8 *type);
	int (*getattr)(struct mkfs_fill *f, u64 ino, struct tfs_attr *out);
	int (*setattr)(struct mkfs_fill *f, u64 ino, u32 mask, const struct tfs_attr *a);
	int (*setxattr)(struct mkfs_fill *f, u64 ino, const char *name, u32 len, const void *value, u32 value_len);
	int (*link)(struct mkfs_fill *f, u64 ino, u64 parent, const char *name, u32 len);
	int (*unlink)(struct mkfs_fill *f, u64 parent, const char *name, u32 len, bool dir, u64 *ino);
	int (*evict)(struct mkfs_fill *f, u64 ino);
	int (*truncate)(struct mkfs_fill *f, u64 ino, u64 size);
	int (*put)(struct mkfs_fill *f, const struct mkfs_job *job, u64 size); /* into f->ino */
	int (*grow)(struct mkfs_fill *f);                                      /* an exit code */
};
extern const struct mkfs_sink_ops mkfs_sink_ours;
extern const struct mkfs_sink_ops mkfs_sink_nanos;

#endif
