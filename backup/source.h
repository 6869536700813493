/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The volume that is backed up, mounted (a directory in it) or not (an image or device): opened, its snapshots found,
 * made, held and let go, one of them walked. A snapshot that a run makes is named "tfs-backup.REPOSITORY.RUN" by the
 * first digits of their ids, and held once: it is the next run's base. Called by run.c. Exit codes, said.
 */
#ifndef TFS_BACKUP_SOURCE_H
#define TFS_BACKUP_SOURCE_H

#include "backup/backup.h"
#include "tfs/user/target.h"

struct bk_source {
	struct target target;
	const char *path;
	u64 volume;
	bool writable, opened;
};
extern const struct target_codes bk_source_codes;

/* source.c. write: snapshots are to be made. */
int bk_source_open(struct bk_source *s, const char *path, u64 offset, bool write);
/* The same of a volume that is mounted in this process; ops has the requests, and closes it when it is done. */
int bk_source_adopt(struct bk_source *s, const struct target_ops *ops, struct tfs_vol *vol, const char *path);
int bk_source_close(struct bk_source *s, int code);
int bk_source_failed(const struct bk_source *s, int err); /* of a request about snapshots */
/* By its name. 0 found, 1 not there, or an exit code above it. */
int bk_source_find(struct bk_source *s, const char *name, struct tfs_snapshot_info *out);
/* Is the snapshot of this backup still there, with the same id and roots? */
int bk_source_holds(struct bk_source *s, const struct bk_manifest *m, bool *holds);
void bk_source_name(const struct bk_repo *r, const u8 run[BK_RUN], char name[64]);
int bk_source_take(struct bk_source *s, const char *name, struct tfs_snapshot_info *out); /* made, and held */
int bk_source_hold(struct bk_source *s, u64 epoch);
/* What a manifest says of the volume and the snapshot, but for the superblock. */
int bk_source_describe(struct bk_source *s, const struct tfs_snapshot_info *i, struct bk_manifest *m);
/* Lets go of all that runs made for this repository, but for those of two epochs. */
int bk_source_tidy(struct bk_source *s, const struct bk_repo *r, u64 keep, u64 also);

/* pinned.c: a snapshot as a device, mounted by the core. Not while bk_source_close. */
struct bk_pinned {
	struct tfs_dev dev; /* first */
	struct bk_source *source;
	struct tfs_vol *vol;
	struct bk_front front;
	u64 snapshot;  /* its epoch */
	bool mounting; /* the blocks in front are shown */
	bool large;    /* large requests can be made */
	int err;       /* of the last request */
	u8 *buf;       /* what was read last: bytes [at, at + len) of the volume */
	u64 at, len;
	struct tfs_ioc_raw request;
};
/* m: as bk_source_describe left it; the superblock is filled in. */
int bk_pinned_open(struct bk_pinned *p, struct bk_source *s, struct bk_manifest *m);
void bk_pinned_close(struct bk_pinned *p);
int bk_pinned_failed(const struct bk_pinned *p); /* says what err is */

/* source_walk.c: everything of the snapshot that was born after epoch `base` goes to the packer. */
int bk_source_walk(struct bk_source *s, struct bk_manifest *m, u64 base, struct bk_packer *p,
                   struct tfs_progress *progress);

#endif
