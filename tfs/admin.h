/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Requests of tfs/ioctl.h: what admin.c, which has their table, and admin_ship.c offer each other. */
#ifndef TFS_ADMIN_H
#define TFS_ADMIN_H

#include "tfs/ioctl.h"
#include "tfs/tfs.h"

bool tfs_admin_zero(const void *p, size_t bytes);
#define TFS_ALL_ZERO(field) tfs_admin_zero(&(field), sizeof(field))

/* One each; arg: the request's structure, all of it still to be checked. */
int tfs_admin_ship_add(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_remove(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_next(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_mark(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_acked(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_files(struct tfs_vol *vol, void *arg);
int tfs_admin_ship_read(struct tfs_vol *vol, void *arg);

#endif
