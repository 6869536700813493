// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsck.tfs on a Nanos volume, the tool's part: a repair goes to a copy (--to), or saves what it overwrites (--undo);
 * without either nothing is written. Exit bits are those of fsck(8).
 */
#include "fsck/fsck_nanos.h"

/* ---- the end ---- */

static void summary(struct fsck *f, const struct fsck_nanos *n, const char *to, int code)
{
	u64 records = n->vol ? n->vol->records : 0;
	char safe[1400];

	tfs_progress_end(&f->progress);
	if (f->stop_preen)
		tfs_cli_fail(0, f->image,
		             "unexpected inconsistency; run fsck.tfs without -a or -p; nothing was changed");
	if (f->quiet && !code)
		return;
	if (f->json) {
		printf("{\"image_exit\":%d,\"checked\":true,\"format\":\"nanos\",\"problems\":%u,\"repaired\":%u,"
		       "\"in_copy\":%s,\"records\":%llu}\n",
		       code, f->found, f->fixed, to && f->fixed ? "true" : "false", (unsigned long long)records);
		return;
	}
	printf("%s: %s, Nanos volume, %llu records", f->image,
	       code & FSCK_LEFT          ? "has problems"
	       : code & FSCK_FIXED && to ? "has problems"
	       : code & FSCK_FIXED       ? "repaired"
	                                 : "sound",
	       (unsigned long long)records);
	if (f->found)
		printf("; %u problems, %u repaired", f->found, f->fixed);
	if (to && f->fixed)
		printf(" in the copy %s", tfs_cli_escape(safe, sizeof(safe), to, strlen(to)));
	printf("\n");
}

static int repair_failed(struct fsck *f, const struct fsck_nanos_options *o, int err)
{
	f->left = f->found;
	f->fixed = 0;
	if (err == -ENOSPC && !o->to)
		return tfs_cli_fail(
		    FSCK_LEFT | FSCK_FAILED, f->image,
		    "no free place of 512 KiB for a new log: repair a copy (--to FILE), which can grow");
	return tfs_cli_fail(FSCK_LEFT | FSCK_FAILED, f->image, "repair failed: %s; the old log is as it was",
	                    strerror(-err));
}

static int repair_to(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file,
                     const struct fsck_nanos_options *o)
{
	static struct fsck_nanos_copy c;
	int err;

	c.path = o->to;
	err = fsck_nanos_copy_open(&c, file, &f->progress);
	if (err) {
		f->left = f->found;
		f->fixed = 0;
		return FSCK_LEFT | FSCK_FAILED;
	}
	n->dev = &c.file.dev;
	n->vol->dev = n->dev;
	err = fsck_nanos_repair(n, fsck_nanos_copy_grow, &c);
	if (err)
		repair_failed(f, o, err);
	return fsck_nanos_copy_end(&c, err) ? FSCK_LEFT | FSCK_FAILED : 0;
}

static int repair_undo(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file,
                       const struct fsck_nanos_options *o)
{
	struct tfs_dev *undo;
	int err = fsck_nanos_undo_open(&file->dev, o->undo, &undo), code = 0;

	if (err) {
		f->left = f->found;
		f->fixed = 0;
		return tfs_cli_fail(FSCK_LEFT | FSCK_FAILED, o->undo, "expected a file that can be created: %s",
		                    strerror(-err));
	}
	n->dev = undo;
	n->vol->dev = undo;
	err = fsck_nanos_repair(n, NULL, NULL);
	if (err)
		code = repair_failed(f, o, err);
	n->vol->dev = NULL;
	if (fsck_nanos_undo_close(undo))
		code |= tfs_cli_fail(FSCK_FAILED, o->undo, "cannot be written to the end");
	return code;
}

static int repair(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file, const struct fsck_nanos_options *o)
{
	if (!f->fixed || f->mode == MODE_CHECK)
		return 0;
	if (f->stop_preen || f->log_kept || (!o->to && !o->undo)) {
		f->left = f->found;
		f->fixed = 0;
		if (!f->stop_preen && !f->log_kept)
			tfs_cli_fail(0, f->image,
			             "a repair needs --undo FILE, or --to FILE for a copy; nothing was changed");
		else if (f->log_kept)
			tfs_cli_fail(0, f->image, "a repair would give up the rest of the log; nothing was changed");
		return 0;
	}
	return o->to ? repair_to(n, f, file, o) : repair_undo(n, f, file, o);
}

int fsck_nanos_run(struct fsck *f, struct tfs_file_dev *file, const struct fsck_nanos_options *o)
{
	struct fsck_nanos n = {.f = f, .dev = &file->dev, .force = true, .log_at = o->log_at};
	int err, code = 0;

	if (o->restore)
		return fsck_nanos_undo_restore(o->restore, &file->dev) ? FSCK_FAILED : FSCK_FIXED;
	tfs_progress_start(&f->progress, f->quiet || f->json, o->progress_fd, o->to && f->mode != MODE_CHECK ? 3 : 2);
	err = fsck_nanos_check(&n);
	if (err && err != -EUCLEAN)
		code = tfs_cli_fail(FSCK_FAILED, f->image, "%s", strerror(-err));
	else if (!err)
		code = repair(&n, f, file, o);
	code |= f->left ? FSCK_LEFT : f->fixed ? FSCK_FIXED : FSCK_OK;
	if (!(code & FSCK_FAILED) || n.vol)
		summary(f, &n, o->to, code);
	fsck_nanos_free(&n);
	return code;
}
