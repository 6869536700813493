/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What verifying found (struct tfs_bad), in the words that fsck.tfs --data and tfs scrub share. */
#ifndef TFS_USER_DAMAGE_H
#define TFS_USER_DAMAGE_H

#include "tfs/tfs.h"

#include <stddef.h>

/* Texts of 160 bytes at most. object: what is damaged; detail: "expected ..., found ...". */
#define TFS_DAMAGE_TEXT 160u
void tfs_damage_object(const struct tfs_bad *b, char *out, size_t size);
void tfs_damage_detail(const struct tfs_bad *b, char *out, size_t size);

#endif
