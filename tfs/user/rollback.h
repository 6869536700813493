/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Going back to a snapshot by its name, as tools do. */
#ifndef TFS_USER_ROLLBACK_H
#define TFS_USER_ROLLBACK_H

#include "tfs/tfs.h"

#include <stddef.h>

/* On a volume just mounted read-write: rolls back, and frees all that came later. On an error why says what is the
 * matter and what to do; -ENOENT, -EBUSY (a later snapshot is held; it is named) and as tfs_rollback. */
int tfs_user_rollback(struct tfs_vol *vol, const char *name, char *why, size_t size);

#endif
