// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Volumes of the Nanos kernel, raw or in a bootable image: which of its volumes is meant, opening it, and what is said
 * of damage. The structures are shown by dump_tuples.c; files by the same commands as ours, through the view. Damage
 * never hides behind what can be read: each fault of the log and each problem of the tree is a message, and the exit
 * code says so.
 */
#include "fsck/dump.h"

#include <stdlib.h>

#define PROBLEMS_SHOWN 20u

/* ---- which volume ---- */

int dump_nanos_find(struct dump *d)
{
	int found = tfs_nanos_find(&d->dev, &d->env, d->format, d->partition, &d->place);

	return found >= 0 ? found
	                  : -tfs_cli_fail(found == -ENOENT ? DUMP_USAGE : DUMP_DAMAGE, d->image, "%s", d->place.why);
}

/* ---- damage ---- */

static const char *const problem_text[] = {
    [NANOS_ROOT] = "there is no root directory",
    [NANOS_NAME] = "a name that no file can have is left out",
    [NANOS_ENTRY] = "a name leads to no tuple and is left out",
    [NANOS_UNKNOWN] = "is neither file, directory, symlink, socket nor device: shown as an empty file",
    [NANOS_DIR_TWICE] = "leads to a directory that has another name already",
    [NANOS_TARGET] = "has a target that no symlink can have",
    [NANOS_LENGTH] = "has no length that can be read: shown as empty",
    [NANOS_EXTENT] = "has an extent that is none: its content is not read",
    [NANOS_RANGE] = "has an extent outside of the volume: its content is not read",
    [NANOS_OVERLAP] = "has two extents for the same block: its content is not read",
    [NANOS_TWICE] = "shares blocks with another file or the log: its content may be another's",
    [NANOS_TIME] = "has a time that is none: shown as 1970",
    [NANOS_ROLES] = "has a part that is another's, too",
};

struct told {
	struct dump *d;
	u64 count;
	struct nanos_paths paths; /* collected when there is something to tell */
};

static int problem_tell(void *arg, const struct nanos_found *f)
{
	struct told *t = arg;
	struct nanos_vol *vol = t->d->nanos;
	char path[NANOS_PATH_SHOWN];

	/* what is shown is what was counted; what lies behind a file's end is not shown, and may be a crash's */
	if (f->problem == NANOS_NLINK || f->problem == NANOS_BEYOND)
		return 0;
	dump_note(t->d, DUMP_DAMAGE);
	if (t->count++ >= PROBLEMS_SHOWN)
		return 0;
	if (t->count == 1 && nanos_paths_collect(vol, &t->paths))
		return -ENOMEM;
	tfs_cli_fail(0, nanos_path_of_found(vol, &t->paths, f, path, sizeof(path)), "%s; run fsck.tfs",
	             problem_text[f->problem]);
	return 0;
}

static void fault_tell(struct dump *d)
{
	const struct nanos_fault *f = &d->nanos->fault;
	char numbers[80] = "";

	if (f->kind == NANOS_SOUND)
		return;
	if (f->numbers)
		snprintf(numbers, sizeof(numbers), ": expected %llu, found %llu", (unsigned long long)f->expected,
		         (unsigned long long)f->found);
	dump_note(d, DUMP_DAMAGE);
	tfs_cli_fail(0, d->image, "log at byte %llu: %s%s; what %llu records before it say is shown; run fsck.tfs",
	             (unsigned long long)f->at, f->what, numbers, (unsigned long long)d->nanos->records);
}

int dump_nanos_open(struct dump *d)
{
	struct told told = {.d = d};
	int err = nanos_open(&d->dev.dev, &d->env, NULL, NULL, &d->nanos);

	if (err)
		return tfs_cli_fail(err == -ENOMEM ? DUMP_HOST : DUMP_DAMAGE, d->image,
		                    "cannot be opened as a Nanos volume: %s", strerror(-err));
	d->view = tfs_reader_of_nanos(d->nanos);
	fault_tell(d);
	err = nanos_check(d->nanos, problem_tell, &told);
	nanos_paths_free(&told.paths);
	if (err)
		return tfs_cli_fail(DUMP_HOST, d->image, "%s", strerror(-err));
	if (told.count > PROBLEMS_SHOWN)
		tfs_cli_fail(0, d->image, "%llu more problems of that kind; run fsck.tfs",
		             (unsigned long long)(told.count - PROBLEMS_SHOWN));
	if (d->nanos->entries < 2)
		return tfs_cli_fail(DUMP_DAMAGE, d->image, "no record of its log can be read; run fsck.tfs");
	return 0;
}
