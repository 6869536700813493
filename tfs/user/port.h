/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user-space programs and tests may ask of the port beyond tfs/port.h. */
#ifndef TFS_USER_PORT_H
#define TFS_USER_PORT_H

#include "tfs/port.h"

/* The nth request from now gets NULL (1: the next); -1: none. Then tfs_user_alloc_failed tells whether it happened. */
long tfs_user_fail_alloc(long nth); /* returns what was to come */
bool tfs_user_alloc_failed(void);
long tfs_user_allocs(void); /* not freed yet */
/* Where messages go instead of standard error; NULL: back. */
void tfs_user_log_sink(void (*sink)(int level, const char *line));

#endif
