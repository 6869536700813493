/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where in a file or device a volume of the Nanos kernel is: raw, or a partition of a bootable image. */
#ifndef TFS_NANOS_DEV_H
#define TFS_NANOS_DEV_H

#include "tfs/nanos/nanos.h"
#include "tfs/user/file_dev.h"

struct tfs_nanos_place {
	struct nanos_part part[NANOS_PARTS];
	u32 parts;         /* 0: a raw volume */
	u64 before, whole; /* bytes: where the image begins in the file, and its length */
	const char *why;   /* with -EINVAL, -ENOENT */
};
/*
 * What the device holds: 1 such a volume, to which dev is narrowed when it is a partition; 0 something else; -EINVAL:
 * not what format ("tfs", "nanos", NULL: as the content says) asks for; -ENOENT: no such partition ("root", "boot", "1"
 * to "4"; NULL: root).
 */
int tfs_nanos_find(struct tfs_file_dev *dev, const struct tfs_env *env, const char *format, const char *partition,
                   struct tfs_nanos_place *out);

#endif
