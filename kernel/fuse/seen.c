// SPDX-License-Identifier: GPL-2.0
/*
 * Looking into snapshots below .snapshots/NAME, beside the volume itself. A node id, which is the inode number that
 * programs see as well, is {slot, number}: slot 0 the volume, 255 the directory of all, each other one a snapshot for as
 * long as the kernel knows an inode of it. So no two files of the mount have one number, which cmp, tar and du would
 * take for hard links. A call of the core for an inode of a snapshot stands between host_view_enter and _leave; nothing
 * is changed between them, and no checkpoint taken. All below .snapshots is read-only, and gone when it is deleted:
 * ESTALE, but for what the kernel has cached. On a mount of one snapshot (-o snapshot=NAME) there is no .snapshots.
 */
#include "kernel/fuse/fuse_host.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool host_snapdir_named(const struct host *h, u64 dir, const char *name)
{
	return dir == TFS_INO_ROOT && !h->one_snapshot && !strcmp(name, ".snapshots");
}

/* ---- views ---- */

u64 host_view_enter(struct host *h, u64 id)
{
	u32 slot = host_slot(id);

	if (slot && !h->viewing++)
		tfs_view_enter(h->vol, &h->seen[slot].view);
	return host_ino(id);
}

void host_view_leave(struct host *h, u64 id)
{
	if (host_slot(id) && !--h->viewing)
		tfs_view_leave(h->vol);
}

/* ---- slots ---- */

/* The kernel came to know, or forgot, an inode of it. */
void host_seen_count(struct host *h, u64 id, bool more)
{
	u32 slot = host_slot(id);

	if (slot && slot != HOST_SLOT_DIR)
		h->seen[slot].inodes += more ? 1 : -1u;
}

u64 host_seen_epoch(const struct host *h, u64 id)
{
	return h->seen[host_slot(id)].view.epoch;
}

static int slot_take(struct host *h, u64 epoch, u32 *slot)
{
	u32 i, empty = 0;

	for (i = 1; i < HOST_SLOT_DIR; i++) {
		if (h->seen[i].inodes && h->seen[i].view.epoch == epoch) {
			*slot = i;
			return 0;
		}
		if (!h->seen[i].inodes && !empty)
			empty = i;
	}
	*slot = empty;
	return empty ? tfs_view_find(h->vol, epoch, &h->seen[empty].view) : -ENFILE;
}

int host_seen_lookup(struct host *h, const char *name, u64 *id)
{
	u64 epoch;
	u32 slot;
	int err = tfs_snapshot_find(h->vol, name, (u32)strlen(name), &epoch);

	if (!err)
		err = slot_take(h, epoch, &slot);
	if (!err)
		*id = host_id(slot, TFS_INO_ROOT);
	return err;
}

/* Its time is that of the root; the module's says the same. */
int host_snapdir_stat(struct host *h, struct stat *st)
{
	struct stat root;
	int err = host_stat(h, TFS_INO_ROOT, &root);

	memset(st, 0, sizeof(*st));
	st->st_ino = HOST_SNAPDIR;
	st->st_mode = S_IFDIR | 0555;
	st->st_nlink = 2;
	st->st_blksize = root.st_blksize;
	st->st_atim = st->st_mtim = st->st_ctim = root.st_mtim;
	return err;
}

/* Positions are epochs. */
int host_snapdir_read(struct host *h, u64 *pos, tfs_emit_fn emit, void *arg)
{
	struct tfs_snapshot_info i;
	int err;

	for (; !(err = tfs_snapshot_next(h->vol, pos, &i)); ++*pos)
		if (!i.dying && emit(arg, i.name, i.name_len, host_id(HOST_SLOT_DIR, i.epoch + 1), 4, i.epoch + 1))
			return 1;
	return err == -ENOENT ? 0 : err;
}
