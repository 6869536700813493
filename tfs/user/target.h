/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a command works on: a volume that is mounted (any directory in it; requests are ioctls) or one that is not (an
 * image or a device; requests go to the core, in this process). Both take the requests of tfs/ioctl.h, so that a
 * command does not know which it has. Used by tfs and tfs-backup.
 */
#ifndef TFS_USER_TARGET_H
#define TFS_USER_TARGET_H

#include "tfs/ioctl.h"
#include "tfs/tfs.h"
#include "tfs/user/file_dev.h"

struct target;
struct target_ops {
	int (*request)(struct target *t, u32 request, void *arg); /* 0 or a negative errno */
	int (*close)(struct target *t);                           /* likewise: of what was still to be written */
};
struct target_codes {           /* what a tool ends with */
	int usage;              /* nothing of that name, or no volume */
	int damage;             /* not to be opened as a volume */
	int refused;            /* in use, no permission, an error */
	const char *unwritable; /* added where it may not be written; NULL: nothing */
};
struct target {
	const struct target_ops *ops;
	const struct target_codes *codes;
	const char *path;
	bool mounted;
	int fd;                  /* mounted */
	struct tfs_file_dev dev; /* not mounted */
	struct tfs_vol *vol;
};

/* offset: of the volume in an image. write: whether anything will change. 0, or one of the codes, and it is said why. */
int target_open(struct target *t, const struct target_codes *codes, const char *path, u64 offset, bool write);
int target_request(struct target *t, u32 request, void *arg);
int target_close(struct target *t);

#endif
