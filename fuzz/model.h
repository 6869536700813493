/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What fuzz/ops.c and its model agree on: one operation, with all that it needs, so that it can be done to the volume
 * and to the model alike, and done again to a model that goes back to an earlier state. The model knows nothing of the
 * core but its errnos.
 */
#ifndef TFS_FUZZ_MODEL_H
#define TFS_FUZZ_MODEL_H

#include "fuzz/fuzz.h"

enum op_kind {
	OP_CREATE,
	OP_LINK,
	OP_UNLINK,
	OP_RENAME,
	OP_SETATTR,
	OP_SETXATTR,
	OP_REMOVEXATTR,
	OP_WRITE,
	OP_TRUNCATE,
	OP_PUNCH,
	OP_PREALLOC,
	OP_CLONE,
	OP_EVICT,
	OP_MODELLED, /* those above change the model */
	OP_SYNC = OP_MODELLED,
	OP_CHECKPOINT,
	OP_STEP,
	OP_COMPACT,
	OP_REMOUNT,
	OP_CRASH,
	OP_LOOK,
	OP_KINDS
};

struct op {
	u8 kind, codec, window_bits;
	bool dir;                 /* UNLINK: rmdir */
	u8 name, name2;           /* model_name(), xattrs: model_xattr() */
	u32 flags;                /* rename, setxattr; SETATTR: mask */
	u32 mode, uid, nsec;      /* CREATE, SETATTR */
	u32 len;                  /* of a symlink's target, an xattr's value */
	u32 seed;                 /* of content */
	u64 ino, parent, parent2; /* CLONE: parent is the source */
	u64 block, blocks, size, from;
};

#define MODEL_NAMES 18u
const char *model_name(u32 i, u32 *len);
#define MODEL_XATTRS 8u
const char *model_xattr(u32 i, u32 *len);

/*
 * A fresh volume: the root; with a size also file 2 of so many bytes, named "file", or with hidden inodes directory 2,
 * named "dir", that has so many entries. What is in inode 2 is not looked at.
 */
struct model_base {
	u64 size;
	u32 hidden;
};
void model_reset(const struct model_base *base);
int model_do(const struct op *op); /* 0 or the errno that is due; what fails changes nothing */
u64 model_next_ino(void);
u32 model_inodes(void);
/* Some inode: n-th of those there are, a directory if dir. */
u64 model_pick(u32 n, bool dir);
u64 model_size(u64 ino); /* 0 when there is none */
/* The inode that a name leads to when that name is its last one, else 0. */
u64 model_last_name(u64 parent, u32 name);
bool model_is_file(u64 ino);
void model_evict_orphans(void); /* what a read-write mount does */
/* Is the volume as the model says? Ends in fuzz_fail otherwise. ino 0: everything. */
void model_compare(struct tfs_vol *vol, u64 ino);

#endif
