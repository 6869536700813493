// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs compact: whether free space is gathered in idle time, and doing it now, step by step, so that it can be
 * interrupted at any moment and others get in between.
 */
#include "admin/admin.h"

#define STEP_BLOCKS 256u

static int info_get(struct admin *a, struct tfs_ioc_info *info)
{
	memset(info, 0, sizeof(*info));
	return target_request(&a->target, TFS_IOC_INFO, info);
}

static int state_print(struct admin *a)
{
	struct tfs_ioc_spread spread;
	struct tfs_ioc_info i;
	struct tfs_line l;
	int err = info_get(a, &i);

	if (!err)
		err = space_spread(a, i.segments, &spread);
	if (err)
		return admin_fail(a, NULL, err);
	tfs_line_begin_tall(&l, a->json, "compactor");
	tfs_line_text(&l, "state",
	              !a->target.mounted                ? "not mounted"
	              : i.flags & TFS_INFO_COMPACT_AUTO ? "auto"
	                                                : "off");
	tfs_line_num(&l, "segments", i.segments);
	tfs_line_num(&l, "whole", spread.whole_segments);
	tfs_line_num(&l, "sweeps", i.compact_sweeps);
	tfs_line_num(&l, "emptied", i.compact_emptied);
	tfs_line_num(&l, "moved_bytes", i.moved_blocks * TFS_BLOCK);
	tfs_line_num(&l, "user_bytes", i.user_blocks * TFS_BLOCK);
	tfs_line_num(&l, "written_bytes", (i.data_blocks + i.node_blocks + i.log_blocks) * TFS_BLOCK);
	tfs_line_end(&l);
	return 0;
}

int compact_now(struct admin *a, struct tfs_progress *p)
{
	struct tfs_ioc_compact c;
	int err;

	tfs_progress_pass(p, "gathering free space, steps", 0);
	do {
		c = (struct tfs_ioc_compact){.what = TFS_COMPACT_STEP, .blocks = STEP_BLOCKS};
		err = target_request(&a->target, TFS_IOC_COMPACT, &c);
		tfs_progress_add(p, 1);
	} while (!err && c.more);
	return err;
}

static int now(struct admin *a)
{
	struct tfs_progress p;
	int err;

	tfs_progress_start(&p, a->quiet || a->json, -1, 1);
	err = compact_now(a, &p);
	tfs_progress_end(&p);
	return err ? admin_fail(a, NULL, err) : a->quiet ? 0 : state_print(a);
}

int admin_compact(struct admin *a)
{
	struct tfs_ioc_compact c = {0};
	int err;

	if (!a->args)
		return state_print(a);
	if (!strcmp(a->arg[0], "now"))
		return now(a);
	c.what = !strcmp(a->arg[0], "off") ? TFS_COMPACT_OFF : !strcmp(a->arg[0], "auto") ? TFS_COMPACT_AUTO : 0;
	if (!c.what)
		return tfs_cli_fail(ADMIN_USAGE, a->arg[0], "expected off, auto or now");
	if (!a->target.mounted)
		return tfs_cli_fail(ADMIN_USAGE, a->target.path,
		                    "is not mounted: off and auto are for the time of a mount");
	err = target_request(&a->target, TFS_IOC_COMPACT, &c);
	return err ? admin_fail(a, NULL, err) : 0;
}
