// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Going back to a snapshot by its name: for tfs-fuse and tools, on a volume that they alone have mounted. */
#include "tfs/user/rollback.h"

#include "tfs/user/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void held_text(struct tfs_vol *vol, u64 held, char *why, size_t size)
{
	char name[4 * TFS_NAME_MAX + 1];
	struct tfs_snapshot_info i;

	if (tfs_snapshot_next(vol, &held, &i))
		i.name_len = 0;
	tfs_cli_escape(name, sizeof(name), i.name, i.name_len);
	snprintf(why, size, "snapshot %s was made later and is held: release it first, then it is lost with the rest",
	         name);
}

int tfs_user_rollback(struct tfs_vol *vol, const char *name, char *why, size_t size)
{
	u64 epoch, held = 0;
	int err = tfs_snapshot_find(vol, name, (u32)strlen(name), &epoch);

	if (!err)
		err = tfs_rollback(vol, epoch, &held);
	if (held)
		held_text(vol, held, why, size);
	else
		snprintf(why, size, "%s",
		         err == -ENOENT                   ? "no such snapshot; see dump.tfs snapshots"
		         : err == -EIO || err == -EUCLEAN ? "the volume is damaged; run fsck.tfs"
		                                          : strerror(-err));
	while (!err && tfs_snapshot_step(vol) > 0)
		;
	return err;
}
