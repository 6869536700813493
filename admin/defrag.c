// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs defrag: content that overwrites have scattered comes to lie in one place a window, of one file or of all, mounted or
 * not. Small steps, so that others get in between, and it can be interrupted at any moment: what was done stays done.
 */
#include "admin/admin.h"

#define STEP_BLOCKS 16u   /* a window's: what a step reads block by block, all others wait for */
#define LOOK_BLOCKS 1024u /* windows, of which only the items are read */

static int failed(struct admin *a, const char *object, int err)
{
	if (err == -ENOENT)
		return tfs_cli_fail(ADMIN_USAGE, object, "no such file in it");
	if (err == -EINVAL)
		return tfs_cli_fail(ADMIN_USAGE, object, "expected a regular file of the volume");
	if (err == -ENOSPC)
		return tfs_cli_fail(ADMIN_REFUSED, object,
		                    "too full to move anything; what was joined before stays so");
	return admin_fail(a, object, err);
}

/* Over all windows once; counts in *all are this sweep's. */
static int sweep(struct admin *a, struct tfs_progress *p, struct tfs_ioc_defrag *all)
{
	u64 ino = all->ino, last = all->last;
	struct tfs_ioc_defrag q = {.ino = ino};
	int err;

	*all = (struct tfs_ioc_defrag){.ino = ino, .last = last};
	tfs_progress_pass(p, a->dry_run ? "counting, windows" : "joining, windows", 0);
	do {
		q = (struct tfs_ioc_defrag){.ino = q.ino,
		                            .block = q.block,
		                            .last = last,
		                            .blocks = a->dry_run ? LOOK_BLOCKS : STEP_BLOCKS,
		                            .places = 2,
		                            .flags = a->dry_run ? TFS_DEFRAG_LOOK : 0};
		err = target_request(&a->target, TFS_IOC_DEFRAG, &q);
		if (err)
			break;
		all->windows += q.windows;
		all->scattered += q.scattered;
		all->joined += q.joined;
		all->lacking += q.lacking;
		all->moved += q.moved;
		tfs_progress_add(p, q.windows);
	} while (q.more);
	return err;
}

/* Joining uses up what free space lies together, and the places it leaves are scattered: gathering these makes room for
 * the next ones. Goes on as long as that helps: others may scatter as much meanwhile. */
static int rounds(struct admin *a, struct tfs_ioc_defrag *all, u64 *left)
{
	struct tfs_ioc_defrag q = {.ino = all->ino, .last = all->last};
	struct tfs_progress p;
	u64 before = ~0ull;
	int err;

	tfs_progress_start(&p, a->quiet || a->json, -1, 1);
	for (;;) {
		err = sweep(a, &p, &q);
		if (before == ~0ull) {
			all->windows = q.windows;
			all->scattered = q.scattered;
		}
		all->joined += q.joined;
		all->moved += q.moved;
		*left = q.scattered - q.joined;
		if (err || !q.lacking || q.lacking > before - before / 16)
			break;
		before = q.lacking;
		err = compact_now(a, &p);
		if (err)
			break;
	}
	tfs_progress_end(&p);
	return err;
}

static void result_print(struct admin *a, const struct tfs_ioc_defrag *all, u64 left)
{
	struct tfs_line l;

	tfs_line_begin_tall(&l, a->json, "defrag");
	tfs_line_num(&l, "windows", all->windows);
	tfs_line_num(&l, "scattered", all->scattered);
	if (!a->dry_run) {
		tfs_line_num(&l, "joined", all->joined);
		tfs_line_num(&l, "moved_bytes", all->moved * TFS_BLOCK);
		tfs_line_num(&l, "left", left);
	}
	tfs_line_end(&l);
}

int admin_defrag(struct admin *a)
{
	struct tfs_ioc_defrag all = {.ino = TFS_INO_ROOT, .last = TFS_INO_MAX};
	const char *object = a->path ? a->path : a->target.path;
	bool dir = false;
	u64 left = 0;
	int err = a->path ? place_find(a, a->path, &all.ino, &dir) : 0;

	if (!err && dir)
		err = -EINVAL;
	if (!err && a->path)
		all.last = all.ino;
	if (err)
		return failed(a, object, err);
	err = rounds(a, &all, &left);
	if ((!a->quiet || a->json) && (!err || all.windows))
		result_print(a, &all, left); /* also of what was done before an error */
	return err ? failed(a, object, err) : 0;
}
