/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A struct tfs_dev on a file or block device, and the environment of user-space programs. */
#ifndef TFS_FILE_DEV_H
#define TFS_FILE_DEV_H

#include "tfs/tfs.h"

struct tfs_file_dev {
	struct tfs_dev dev; /* first */
	int fd;
	u64 offset; /* bytes, of the volume in the file */
};

/* size: of a new file (made, or an old one cut and extended); 0: opens what is there. Takes a lock: -EBUSY when another
 * tool writes the image; -ENOTBLK: neither a file nor a block device. Who writes gets -EBUSY also for what the kernel
 * holds: a mounted device, a file behind a loop device. */
int tfs_file_dev_open(struct tfs_file_dev *d, const char *path, u64 offset, bool write, u64 size);
const char *tfs_file_dev_error(int err); /* what an error of these means */
/* The same of a file that is open; fd belongs to d from here on, and is closed when this fails. */
int tfs_file_dev_take(struct tfs_file_dev *d, int fd, u64 offset, bool write, u64 size);
bool tfs_looped(const char *path, char *loop, size_t size); /* behind a loop device: its name into loop */
int tfs_file_dev_close(struct tfs_file_dev *d);             /* errno of the last write-back */

struct tfs_env tfs_user_env(void);
/* The same answers every time: for images that can be repeated. One at a time. */
struct tfs_env tfs_fixed_env(const struct tfs_time *now, u64 seed);

#endif
