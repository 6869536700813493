/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * tfs: administers a volume, mounted or not. What its parts share. A command is a function in a file of its own and a
 * row of the table in main.c; it gets a struct admin with its target open, asks the target (tfs/user/target.h), and returns an
 * exit code.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include "tfs/user/cli.h"
#include "tfs/user/lines.h"
#include "tfs/user/target.h"

enum admin_exit { ADMIN_OK, ADMIN_USAGE, ADMIN_DAMAGE, ADMIN_REFUSED };

enum keep { KEEP_LAST, KEEP_HOURLY, KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY, KEEP_YEARLY, KEEPS };

struct admin {
	struct target target;
	char **arg; /* after TARGET, `args` of them */
	int args;
	bool json, quiet, inodes, dry_run, from_start, resolve;
	const char *prefix, *cursor, *path, *partition, *ca, *cert, *key;
	u64 rate; /* bytes a second, 0: as fast as it goes */
	u64 keep[KEEPS];
	u64 offset;
};

/* Says what a negative errno of a request means for `object` (NULL: the target); its exit code. */
int admin_fail(const struct admin *a, const char *object, int err);

/* ---- snapshots.c: finding them ---- */
/* The first at or after s->epoch, dying ones left out. usage: with the bytes that it alone holds. -ENOENT */
int snapshot_next(struct admin *a, struct tfs_ioc_snapshot *s, bool usage);
int snapshot_find(struct admin *a, const char *name, u64 *epoch); /* an exit code; says what is wrong */
/* The request, on a snapshot of that name (CREATE: a new one). An exit code; one line as JSON, nothing as text. */
int snapshot_change(struct admin *a, u32 request, const char *what, const char *name, const char *new_name);

/* df.c: how free space is spread over all segments. A negative errno. */
int space_spread(struct admin *a, u64 segments, struct tfs_ioc_spread *sum);

/* compact.c: steps, each of which others get in between, until nothing more is gained. A negative errno. */
int compact_now(struct admin *a, struct tfs_progress *p);

/* place.c: the file or directory at `path` in the target (NULL: the root, or where the target is). A negative errno;
 * -EINVAL: something else, or of another filesystem. */
int place_find(const struct admin *a, const char *path, u64 *ino, bool *dir);

/* ship.c, ship_below.c: what an error means; all below rule->ino gets the rule. Exit codes. */
int ship_fail(const struct admin *a, const char *object, int err);
int ship_below(struct admin *a, const struct tfs_ioc_ship_rule *rule, u64 *files);

/* ---- commands ---- */
int admin_ship_add(struct admin *a);
int admin_ship_list(struct admin *a);
int admin_ship_remove(struct admin *a);
int admin_ship_agent(struct admin *a); /* its target is not open */
int admin_snapshot_create(struct admin *a);
int admin_snapshot_list(struct admin *a);
int admin_snapshot_rename(struct admin *a);
int admin_snapshot_delete(struct admin *a);
int admin_snapshot_hold(struct admin *a);
int admin_snapshot_release(struct admin *a);
int admin_snapshot_diff(struct admin *a);
int admin_snapshot_auto(struct admin *a);
int admin_df(struct admin *a);
int admin_compact(struct admin *a);
int admin_defrag(struct admin *a);
int admin_convert(struct admin *a); /* its target is not open */
int admin_rollback(struct admin *a);
int admin_grow(struct admin *a);
int admin_scrub(struct admin *a);

#endif
