/* SPDX-License-Identifier: GPL-2.0 */
/* Mounting what can only be read; see view.c. */
#ifndef TFS_FUSE_VIEW_H
#define TFS_FUSE_VIEW_H

#include "tfs/user/reader.h"

#include <sys/types.h>

struct fuse_args;
struct fuse_session;
struct view_host {
	struct tfs_reader view;
	u64 size; /* bytes of the device */
	uid_t uid;
	gid_t gid;
};
struct fuse_session *view_session(struct fuse_args *args, struct view_host *h);

#endif
