// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* tfs snapshot diff: as dump.tfs diff, of a volume that may be mounted. */
#include "admin/admin.h"
#include "tfs/user/diff.h"

static int items(void *arg, struct tfs_ioc_items *batch)
{
	struct admin *a = arg;

	return target_request(&a->target, TFS_IOC_ITEMS, batch);
}

int admin_snapshot_diff(struct admin *a)
{
	static struct tfs_ioc_items batch;
	struct tfs_items_source source = {items, a, &batch};
	u64 older, newer = 0;
	int code = snapshot_find(a, a->arg[0], &older), err;

	if (!code && a->args > 1)
		code = snapshot_find(a, a->arg[1], &newer);
	if (code)
		return code;
	err = tfs_diff_print(&source, older, newer, a->json, !a->inodes);
	if (err == -EINVAL)
		return tfs_cli_fail(ADMIN_USAGE, a->arg[0], "expected the older snapshot first, found it newer than %s",
		                    a->arg[1]);
	if (err == -ENOENT || err == -ESTALE)
		return tfs_cli_fail(ADMIN_REFUSED, NULL, "a snapshot was deleted meanwhile");
	return err ? admin_fail(a, NULL, err) : 0;
}
