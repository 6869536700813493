/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Backups of Nanos volumes. They have no snapshots and no births, so a run keeps a copy of one in a volume of ours, the
 * shadow: the base's backup with a temporary file over it, in which files that changed are written anew
 * (nanos_sync.c). What then goes into packs, how it is looked into, verified and pruned is as of any volume; the
 * manifest has BK_NANOS. Restoring makes a new volume of either kind from it (nanos_restore.c).
 */
#ifndef TFS_BACKUP_NANOS_H
#define TFS_BACKUP_NANOS_H

#include "backup/backup.h"
#include "tfs/user/nanos_dev.h"
#include "tfs/user/reader.h"

/* Attributes that only a shadow has; no command shows them. On files: the content's hash; on the root the
 * configuration, JSON in pieces .0, .1, ..., and the size of the volume in bytes, decimal. */
#define BK_NANOS_XATTR "trusted.tfs-nanos."
#define BK_NANOS_SUM BK_NANOS_XATTR "sum"
#define BK_NANOS_SIZE BK_NANOS_XATTR "size"
#define BK_NANOS_CONFIG BK_NANOS_XATTR "config.%u"
#define BK_NANOS_PIECE 60000u

/* ---- nanos_source.c ---- */
struct bk_nanos;
struct bk_source;
/* *out NULL: the volume is not one. Else it is open and sound. An exit code. */
int bk_nanos_find(struct bk_repo *r, const char *path, struct bk_nanos **out);
/* The shadow, brought up to the volume's state, as what a run backs up. s is closed before n. */
int bk_nanos_source(struct bk_nanos *n, struct bk_source *s);
void bk_nanos_close(struct bk_nanos *n); /* NULL: nothing */

/* ---- nanos_sync.c ---- */
struct bk_nanos_sync {
	struct nanos_vol *from;
	u64 size; /* of the volume, bytes */
	struct tfs_vol *to;
	const char *path; /* for messages */
	struct tfs_progress *progress;
	u64 files, written; /* out: looked at; of these written anew */
};
/* 0, or a negative errno; *said: a message named the object. What it left is not to be used then. */
int bk_nanos_bring(struct bk_nanos_sync *s, bool *said);

/* ---- nanos_restore.c ---- */
bool bk_is_nanos(const struct bk_backup *b);
/* Is this backup restored by making a volume anew: of a Nanos volume, or as one? An exit code. */
int bk_nanos_restores(const struct bk_options *o, const struct bk_backup *b, bool *yes);
int bk_nanos_restore(struct bk_repo *r, const char *which, const struct bk_backup *b);
/* A backup's files without the attributes above. */
struct tfs_reader bk_nanos_view(struct tfs_vol *vol);

#endif
