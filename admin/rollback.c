// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs rollback: back to a snapshot, for good. Only of what is not mounted: nothing that a program has open would be what
 * it was. (A mount can begin with it: -o rollback=NAME.)
 */
#include "admin/admin.h"
#include "tfs/user/rollback.h"

int admin_rollback(struct admin *a)
{
	char why[4 * TFS_NAME_MAX + 160];
	struct tfs_line l;
	int err;

	if (a->target.mounted)
		return tfs_cli_fail(ADMIN_REFUSED, a->target.path,
		                    "is mounted: unmount it first, or mount it with -o rollback=NAME");
	err = tfs_user_rollback(a->target.vol, a->arg[0], why, sizeof(why));
	if (err)
		return tfs_cli_fail(err == -ENOENT                   ? ADMIN_USAGE
		                    : err == -EIO || err == -EUCLEAN ? ADMIN_DAMAGE
		                                                     : ADMIN_REFUSED,
		                    a->arg[0], "%s", why);
	if (!a->json)
		return 0;
	tfs_line_begin(&l, true, 0, "rolled-back");
	tfs_line_bytes(&l, "name", a->arg[0], strlen(a->arg[0]));
	tfs_line_end(&l);
	return 0;
}
