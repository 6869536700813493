// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Files without a name of which lines are still to be forwarded, and what was cut off others (cut.c): when the last
 * handle is closed their tails stay, as orphans, until the lines have arrived, across mounts. Kept are the last TFS_SHIP_KEPT_MAX bytes of a file and a hundredth
 * of the volume in all; what is more goes, the oldest first, and so do all when an operation would find no space. What
 * went unsent is counted.
 *
 * Always: a file on the list is an orphan that its host has let go of (tfs_evict), so nobody writes to it; nothing here
 * appends a record, as nothing does that frees an orphan. The list is in memory: a mount evicts every orphan
 * and so makes it anew. Called by orphan.c, ship.c, op.c, mount.c.
 */
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

/* The lowest cursor of a rule that is still there. 1: lines behind it are to be sent; 0: none, or nobody asks. */
static int unsent_from(struct tfs_vol *vol, const struct tfs_ship_part *p, u64 size, u64 *from)
{
	u32 i;

	*from = size;
	for (i = 0; i < tfs_le16(p->head.count); i++) {
		u64 acked = tfs_le64(p->cursor[i].acked);
		int err = acked < *from ? tfs_rule_find(vol, tfs_le64(p->cursor[i].rule)) : -ENOENT;

		if (err && err != -ENOENT)
			return err;
		if (!err)
			*from = acked;
	}
	return *from < size;
}

int tfs_ship_unsent(struct tfs_vol *vol, u64 ino, u64 size, u64 *from)
{
	struct tfs_ship_part part;
	int err = tfs_ship_load(vol, ino, &part);

	return err ? err : unsent_from(vol, &part, size, from);
}

/* Its cursors go on to `to`: what lies before is more than is kept. No record, as a mount does it again. */
static int forward(struct tfs_vol *vol, u64 ino, u64 from, u64 to)
{
	struct tfs_ship *s;
	u32 i;
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, tfs_ship_key(ino), 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	s = tfs_item_edit(vol, TFS_TREE_FS, tfs_ship_key(ino), NULL);
	for (i = 0; i < tfs_le16(s->head.count); i++)
		if (tfs_le64(s->cursor[i].acked) < to)
			s->cursor[i].acked = tfs_cpu64(to);
	vol->kept.lost += to - from;
	return 0;
}

/* ---- the list ---- */

static u64 volume_limit(const struct tfs_vol *vol)
{
	return vol->total_blocks / 100;
}

u64 tfs_kept_limit(const struct tfs_vol *vol)
{
	u64 all = volume_limit(vol) * TFS_BLOCK;

	return all < TFS_SHIP_KEPT_MAX ? all : TFS_SHIP_KEPT_MAX;
}

static u32 list_find(const struct tfs_kept *k, u64 ino)
{
	u32 i = 0;

	while (i < k->count && k->file[i].ino != ino)
		i++;
	return i;
}

u64 tfs_kept_of(const struct tfs_vol *vol, u64 ino, u32 generation)
{
	const struct tfs_kept_file *f = vol->kept.file, *end = f + vol->kept.count;

	while (f < end && (f->origin != ino || f->generation != generation))
		f++;
	return f < end ? f->ino : 0;
}

bool tfs_kept_has(const struct tfs_vol *vol, u64 ino)
{
	return list_find(&vol->kept, ino) < vol->kept.count;
}

void tfs_kept_forget(struct tfs_vol *vol, u64 ino)
{
	struct tfs_kept *k = &vol->kept;
	u32 i = list_find(k, ino);

	if (i == k->count)
		return;
	k->blocks -= k->file[i].blocks;
	memmove(k->file + i, k->file + i + 1, (--k->count - i) * sizeof(k->file[0]));
}

void tfs_kept_reset(struct tfs_vol *vol)
{
	vol->kept.count = 0;
	vol->kept.blocks = 0;
}

static int list_room(struct tfs_kept *k)
{
	struct tfs_kept_file *larger;
	u32 room = k->room ? 2 * k->room : 16;

	if (k->count < k->room)
		return 0;
	larger = tfs_port_alloc(room * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	if (k->count)
		memcpy(larger, k->file, k->count * sizeof(*larger));
	tfs_port_free(k->file);
	k->file = larger;
	k->room = room;
	return 0;
}

/*
 * Frees the oldest. First its cursors go to its end: what a crash or an error leaves of it then is an orphan with nothing
 * to send, and never a hole that is taken for lines.
 */
static int drop(struct tfs_vol *vol)
{
	u64 ino = vol->kept.file[0].ino, from;
	struct tfs_inode inode;
	int err = tfs_op_begin(vol, TFS_TIER_EVICT, 0);

	if (!err)
		err = tfs_inode_find(vol, ino, &inode);
	if (!err && inode.nlink)
		err = -ENOENT; /* nobody gives an orphan a name once it is let go of: forgotten, and left alone */
	if (!err)
		err = tfs_ship_unsent(vol, ino, tfs_le64(inode.size), &from);
	if (err > 0)
		err = forward(vol, ino, from, tfs_le64(inode.size));
	if (!err)
		do
			err = tfs_evict(vol, ino);
		while (err > 0);
	if (!err || err == -ENOENT)
		tfs_kept_forget(vol, ino);
	return err;
}

static int list_add(struct tfs_vol *vol, const struct tfs_ship_part *p, u64 bytes)
{
	struct tfs_kept *k = &vol->kept;
	u64 ino = p->ino, blocks = (bytes + TFS_BLOCK - 1) / TFS_BLOCK, origin = tfs_le64(p->head.origin);
	int err;

	if (tfs_kept_has(vol, ino))
		return 0;
	err = k->count == TFS_KEPT_MAX ? 0 : list_room(k);
	while (!err && k->count && (k->blocks + blocks > volume_limit(vol) || k->count == TFS_KEPT_MAX))
		err = drop(vol);
	if (err)
		return err;
	k->file[k->count++] = (struct tfs_kept_file){ino, blocks, origin ? origin : ino, tfs_le32(p->head.generation)};
	k->blocks += blocks;
	return 0;
}

/* ---- a file ---- */

int tfs_kept_step(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, bool *kept)
{
	u64 size = tfs_le64(inode->size), limit = tfs_kept_limit(vol), from;
	struct tfs_ship_part part;
	int err = 0;

	*kept = false;
	if (!tfs_ship_on(vol) || (tfs_le32(inode->mode) & TFS_S_IFMT) != TFS_S_IFREG)
		return 0;
	err = tfs_ship_load(vol, ino, &part);
	if (!err && tfs_ship_counts(&part))
		err = unsent_from(vol, &part, size, &from);
	if (err <= 0)
		return err;
	*kept = true;
	if (size - from > limit) {
		err = forward(vol, ino, from, size - limit);
		return err ? err : 1;
	}
	/* whoever sends looks at the byte before the cursor: a line begins there, or goes on */
	err = tfs_data_outside_step(vol, ino, from ? (from - 1) / TFS_BLOCK : 0, (size + TFS_BLOCK - 1) / TFS_BLOCK);
	return err ? err : list_add(vol, &part, size - from);
}

bool tfs_ship_freed(struct tfs_vol *vol, u64 ino, u64 offset)
{
	struct tfs_inode inode;
	u64 from;

	return !tfs_inode_find(vol, ino, &inode) && !inode.nlink &&
	       tfs_ship_unsent(vol, ino, tfs_le64(inode.size), &from) >= 0 && offset + 1 < from;
}

int tfs_kept_review(struct tfs_vol *vol, u64 ino)
{
	int err = tfs_kept_has(vol, ino);

	while (err > 0)
		err = tfs_evict(vol, ino);
	return err;
}

void tfs_kept_review_some(struct tfs_vol *vol, u32 files)
{
	u32 i = 0;

	while (i < vol->kept.count && files--) {
		u64 ino = vol->kept.file[i].ino;

		if (tfs_kept_review(vol, ino))
			return;
		i += i < vol->kept.count && vol->kept.file[i].ino == ino;
	}
}

bool tfs_kept_give_up(struct tfs_vol *vol)
{
	return vol->kept.count && !drop(vol);
}
