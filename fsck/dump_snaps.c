// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Snapshots: `snapshots` lists them with what deleting each would free, --snapshot NAME lets other commands look into
 * one, `diff` says what changed between two, or one and now (tfs/user/diff.h).
 */
#include "fsck/dump.h"
#include "tfs/user/diff.h"

/* ---- finding ---- */

static int snapshot_find(struct dump *d, const char *name, u64 *epoch)
{
	int err = tfs_snapshot_find(d->vol, name, (u32)strlen(name), epoch);

	if (err == -ENOENT)
		return tfs_cli_fail(DUMP_USAGE, name, "no such snapshot; see dump.tfs snapshots");
	return err ? tfs_cli_fail(DUMP_DAMAGE, d->image, "snapshots cannot be read; fsck.tfs says more") : 0;
}

int dump_view(struct dump *d)
{
	u64 epoch;
	int code = d->snapshot ? snapshot_find(d, d->snapshot, &epoch) : 0;

	if (code || !d->snapshot)
		return code;
	return tfs_view_open(d->vol, epoch)
	           ? tfs_cli_fail(DUMP_DAMAGE, d->snapshot, "cannot be opened; fsck.tfs says more")
	           : 0;
}

/* ---- listing ---- */

int dump_cmd_snapshots(struct dump *d)
{
	struct tfs_snapshot_info i;
	u64 epoch = 0, held;
	char id[33];
	int err;

	for (; !(err = tfs_snapshot_next(d->vol, &epoch, &i)); epoch++) {
		struct tfs_line l;

		for (u32 n = 0; n < sizeof(i.id); n++)
			snprintf(id + 2 * n, 3, "%02x", i.id[n]);
		dump_begin(d, &l, 0, "snapshot");
		tfs_line_bytes(&l, "name", i.name, i.name_len);
		tfs_line_time(&l, "created", &i.created);
		tfs_line_num(&l, "epoch", i.epoch);
		tfs_line_text(&l, "id", id);
		tfs_line_num(&l, "inodes", i.inodes);
		tfs_line_num(&l, "referenced", i.units * TFS_UNIT);
		if (!i.dying && !tfs_snapshot_usage(d->vol, epoch, &held))
			tfs_line_num(&l, "exclusive", held);
		tfs_line_num(&l, "holds", i.holds);
		tfs_line_bool(&l, "dying", i.dying);
		tfs_line_end(&l);
	}
	return err == -ENOENT ? 0 : tfs_cli_fail(DUMP_DAMAGE, d->image, "snapshots cannot be read; fsck.tfs says more");
}

/* ---- what changed ---- */

static int items(void *arg, struct tfs_ioc_items *batch)
{
	struct dump *d = arg;

	return tfs_admin(d->vol, TFS_IOC_ITEMS, batch);
}

int dump_cmd_diff(struct dump *d)
{
	static struct tfs_ioc_items batch;
	struct tfs_items_source source = {items, d, &batch};
	u64 older, newer = 0;
	int code = snapshot_find(d, d->arg[0], &older), err;

	if (!code && d->args > 1)
		code = snapshot_find(d, d->arg[1], &newer);
	if (code)
		return code;
	err = tfs_diff_print(&source, older, newer, d->json, !d->inodes);
	if (err == -EINVAL)
		return tfs_cli_fail(DUMP_USAGE, d->arg[0], "expected the older snapshot first, found it newer than %s",
		                    d->arg[1]);
	if (err == -ENOMEM)
		return tfs_cli_fail(DUMP_HOST, d->image, "out of memory");
	return err ? tfs_cli_fail(DUMP_DAMAGE, d->image, "a tree cannot be read; fsck.tfs says more") : 0;
}
