/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Mounting what can only be read (view.c), and what every FUSE mount of ours begins with (place.c). */
#ifndef TFS_FUSE_VIEW_H
#define TFS_FUSE_VIEW_H

#include "tfs/user/reader.h"

#include <sys/types.h>

struct view_host {
	struct tfs_reader view;
	u64 size;       /* bytes of the device */
	bool ownerless; /* the format has no owners: all is the mounter's */
	uid_t uid;
	gid_t gid;
};
enum view_end {
	VIEW_OK,
	VIEW_OPTIONS, /* libfuse has said which */
	VIEW_PLACE,   /* it cannot be mounted there; said */
	VIEW_LOST,    /* the kernel's requests cannot be read */
};
#define VIEW_READ_MAX (1u << 20)
/* Mounts at dir, read-only, and serves until it is unmounted or the process gets a signal. list: FUSE options, comma
 * first; room: of its buffer, "ro" is added. foreground: else it goes on as a daemon once it is mounted, in the folder
 * where it was, with messages to the system's log. */
enum view_end view_serve(struct view_host *h, char *list, size_t room, const char *dir, bool foreground);

/* place.c */
/* 0: a directory, and no dead mount; else `code`, and it is said why. */
int fuse_place_check(const char *dir, int code);
/* Adds what mount(8) shows as the source to the options, unless they have one. */
void fuse_source_add(char *list, size_t room, const char *source);

#endif
