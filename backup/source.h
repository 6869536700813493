/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The volume that is backed up: opened, its snapshots found, made, held and let go, one of them walked. A snapshot that
 * a run makes is named "tfs-backup.REPOSITORY.RUN" by the first digits of their ids, and held once: it is the next
 * run's base. Called by run.c.
 */
#ifndef TFS_BACKUP_SOURCE_H
#define TFS_BACKUP_SOURCE_H

#include "backup/backup.h"

struct bk_source {
	struct tfs_file_dev dev;
	struct tfs_vol *vol;
	struct tfs_super super;
	const char *path;
	u64 volume;
	bool writable, opened;
};

/* write: snapshots are to be made. */
int bk_source_open(struct bk_source *s, const char *path, u64 offset, bool write);
int bk_source_close(struct bk_source *s, int code);
/* By its name. 0 found, 1 not there, or an exit code above it. */
int bk_source_find(struct bk_source *s, const char *name, struct tfs_snapshot_info *out);
/* Is the snapshot of this backup still there, with the same id and roots? */
int bk_source_holds(struct bk_source *s, const struct bk_manifest *m, bool *holds);
void bk_source_name(const struct bk_repo *r, const u8 run[BK_RUN], char name[64]);
int bk_source_take(struct bk_source *s, const char *name, struct tfs_snapshot_info *out); /* made, and held */
/* Lets go of all that runs made for this repository, but for those of two epochs. */
int bk_source_tidy(struct bk_source *s, const struct bk_repo *r, u64 keep, u64 also);
/* Everything of the snapshot that was born after epoch `base` goes to the packer. */
int bk_source_walk(struct bk_source *s, u64 epoch, u64 base, struct bk_packer *p, struct tfs_progress *progress);

#endif
