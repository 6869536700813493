/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* dump.tfs: what its parts share. */
#ifndef DUMP_H
#define DUMP_H

#include "tfs/tfs.h"
#include <stdio.h>

int dump_fail(int code, const char *object, const char *what); /* prints, returns code */
void dump_name(FILE *out, const char *name, size_t len);       /* escaped for a terminal */
int dump_extract(struct tfs_vol *vol, const char *dir);	       /* exit code */

#endif
