/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * fsck in process, and a walk that takes the volume at its word. Shared by the targets whose result has to be sound:
 * fuzz/fsck.c and fuzz/tar.c.
 */
#ifndef TFS_FUZZ_CHECK_H
#define TFS_FUZZ_CHECK_H

#include "fsck/fsck.h"
#include "fuzz/fuzz.h"

/* ---- quiet.c ---- */
/* Standard output and error of the C library go nowhere until it is called with false; shown when FUZZ_VERBOSE is set.
 */
void fuzz_quiet(bool on);

/* ---- check.c ---- */
struct fuzz_checked {
	int err; /* of fsck_check: not 0: it could not be done */
	u32 found, fixed, left;
	struct tfs_stat st;
};
/* What fsck.tfs -f (and --data) does to fuzz_dev; the caller has made it quiet. */
struct fuzz_checked fuzz_fsck(enum fsck_mode mode, bool data);
/*
 * Mounts read-only and follows every name: what is there can be looked up, has attributes of its type, states its
 * parent, gives its target, attributes and content. A finding if anything fails, or, with data_errors, anything but
 * content.
 */
void fuzz_walk(bool data_errors);

#endif
