// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One run over a device: the order of the passes, and what comes after them. Nothing is written before all passes are
 * through, but copies of superblocks and anchors; a repair is one checkpoint. Called by fsck_main.c and by the fuzzers,
 * which have no image file: so nothing here knows of files, options or exit codes.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct tfs_env fsck_env;

static int volume_open(struct fsck *f)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO}; /* each node is read once */
	char why[512];
	int err;

	err = tfs_mount(f->dev, &fsck_env, &opt, &f->vol);
	if (err == -EUCLEAN) {
		snprintf(why, sizeof(why), "%s", fsck_core_message());
		opt.flags |= TFS_MOUNT_REPAIR;
		err = tfs_mount(f->dev, &fsck_env, &opt, &f->vol);
		if (!err) {
			f->space_bad = true;
			tfs_statfs(f->vol, &f->st);
			if (!f->st.damaged)
				fsck_problem(f, FSCK_SPACE_NODE_BAD, "volume", "%s", why);
		}
	}
	if (err)
		return err;
	tfs_statfs(f->vol, &f->st);
	if (f->st.damaged) {
		f->log_bad = fsck_problem(f, FSCK_LOG_DAMAGED, "log", "%s", fsck_core_message());
		f->log_kept = !f->log_bad; /* any repair begins a new log */
	}
	return fsck_use_start(f);
}

static int passes(struct fsck *f)
{
	int err = fsck_rescue(f);

	if (!err)
		err = fsck_trees(f);
	if (!err)
		err = fsck_twice(f);
	if (!err)
		err = fsck_names(f);
	if (!err)
		err = fsck_snaps(f);
	if (!err)
		err = fsck_space(f);
	return err;
}

static bool must_write(const struct fsck *f)
{
	return f->fixes || f->snaps_fix || f->counters_bad || f->log_bad || (f->space_bad && f->fixed);
}

/* Recovery alone: what mounting would do. */
static int recover(struct fsck *f)
{
	struct tfs_mount_options opt = {0};
	int err;

	tfs_abandon(f->vol);
	f->vol = NULL;
	err = tfs_mount(f->dev, &fsck_env, &opt, &f->vol);
	return err;
}

static int close_volume(struct fsck *f, int err)
{
	int end = 0;

	if (f->vol && err)
		tfs_abandon(f->vol);
	else if (f->vol)
		end = tfs_unmount(f->vol);
	f->vol = NULL;
	return err ? err : end;
}

static int repair_or_recover(struct fsck *f)
{
	if (f->mode == MODE_CHECK || f->stop_preen || f->log_kept || f->snap_kept)
		return 0;
	if (must_write(f))
		return fsck_repair(f);
	if (!f->st.was_clean && !f->left)
		return recover(f);
	return 0;
}

int fsck_check(struct fsck *f, bool force)
{
	int err = fsck_places(f);

	if (err)
		return err;
	fsck_core_quiet();
	err = volume_open(f);
	if (err)
		return err;
	if (!force && f->st.was_clean && !f->found)
		return close_volume(f, 0);
	err = passes(f);
	if (!err)
		err = repair_or_recover(f);
	return close_volume(f, err);
}

void fsck_free(struct fsck *f)
{
	fsck_use_free(f);
	for (size_t i = 0; i < f->fixes; i++)
		free(f->fix[i].value);
	for (size_t i = 0; i < f->lifts; i++)
		free(f->lifted[i].value);
	free(f->lifted);
	free(f->snap);
	free(f->seen);
	free(f->condemned);
	free(f->leaf);
	free(f->span);
	free(f->fix);
	fsck_refs_free(f);
	free(f->run);
	free(f->name);
	free(f->ship);
	free(f->object);
}
