/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's messages into a file of the volume: kmsg.c is the thread that pulls them, kmsg_file.c finds, makes,
 * appends to and renames the file, logship/ship/kmsg.c makes the lines.
 *
 * What always holds:
 * - The thread holds no mount, and nothing over a turn: a path is walked from the root each time. It ends before the
 *   superblock's inodes are counted.
 * - A turn pulls no further than to the newest message at its beginning, and turns are a second apart: what writing a
 *   message brings about to be said is written a second later, once.
 * - What could not be written waits, in the kernel's own buffer but for one batch; what is overwritten there is counted.
 */
#ifndef TFS_LINUX_KMSG_H
#define TFS_LINUX_KMSG_H

#include "tfs_linux.h"

struct tfs_kmsg_file {
	struct dentry *dir, *file; /* file: negative where there is none and none was to be made */
	const char *name;
	const char *why; /* not NULL: what is wrong with the path, with the error */
};

/* kmsg_file.c: with sb_start_write, and none of the locks behind it. path: relative to the root, no empty parts. Errors
 * leave nothing to be closed. */
int tfs_kmsg_open(struct super_block *sb, const char *path, bool make, struct tfs_kmsg_file *f);
void tfs_kmsg_close(struct tfs_kmsg_file *f);
/* The file's last bytes, at most n: how many. */
int tfs_kmsg_tail(struct tfs_kmsg_file *f, u8 *to, u32 n);
/* *done: so many bytes are in the file, also at an error. */
int tfs_kmsg_append(struct tfs_kmsg_file *f, const u8 *from, u32 n, u32 *done);
/* It becomes NAME.old, in the place of one that there is; f is as it was. */
int tfs_kmsg_set_aside(struct tfs_kmsg_file *f);
int tfs_kmsg_sync(struct tfs_kmsg_file *f);

#endif
