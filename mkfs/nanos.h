/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* mkfs.tfs --format nanos: what nanos_sink.c, nanos_config.c and nanos_make.c share. */
#ifndef MKFS_NANOS_H
#define MKFS_NANOS_H

#include "mkfs/sink.h"
#include "tfs/nanos/nanos.h"

#define MKFS_NANOS_MIN 2621440ull   /* bytes: what its own mkfs makes of nothing */
#define MKFS_NANOS_LEFT_OUT (~0ull) /* inode number of what the format cannot hold */

struct mkfs_nanos {
	struct nanos_vol *vol;
	u64 next; /* block for new data */
	u32 exec, readonly, extents, filelength, mtime, atime, nlink, offset, length, allocated, children; /* symbols */
	u32 tail; /* extent written last, of file tail_of: may become longer */
	u64 tail_of, tail_block, tail_start, tail_len;
	u64 owners, modes, times, names, left_out; /* what could not be kept */
	bool log;                                  /* the first extension has its place */
};

int mkfs_nanos_begin(struct mkfs_nanos *m, const struct tfs_env *env);
int mkfs_nanos_config(struct mkfs_nanos *m, const char *path); /* an exit code */
int mkfs_nanos_room(struct mkfs_fill *f, u64 blocks);          /* the device has that many: negative errno */
struct mkfs_plan_nanos {
	const struct mkfs_found *found;
	u64 size; /* bytes; 0: of what is there, or what it takes */
	bool automatic, progress;
	u64 files; /* known: for progress */
};
/* All of it; fill: takes the jobs of all sources. An exit code. */
int mkfs_nanos_make(struct mkfs_options *o, const struct mkfs_plan_nanos *p,
                    int (*fill)(struct mkfs_fill *f, const struct mkfs_options *o));

#endif
