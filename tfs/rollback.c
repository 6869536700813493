// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Rollback: the state of a snapshot becomes the live state, and all that came later goes, later snapshots among it. One
 * checkpoint does it: the roots are exchanged, later snapshots are marked dying, and an item keeps the roots of the
 * state that was given up, whose content born since is freed in steps (old_state.c). A crash before that checkpoint
 * leaves everything as it was, one after it the snapshot's state. Epochs, record numbers and the next inode number go
 * on: nothing is ever named twice. Only SNAP and SPACE are written: a full volume can be rolled back.
 * Callers: hosts, right after a mount; what they know of files is void afterwards.
 */
#include "tfs/vol.h"

#define ITEM_MAX (sizeof(struct tfs_snapshot) + TFS_NAME_MAX)

static struct tfs_key item_key(u64 epoch)
{
	return (struct tfs_key){TFS_SNAP_ITEM, epoch};
}

/* ---- may it be? ---- */

/* The snapshot's item at exactly this epoch. */
static int target_get(struct tfs_vol *vol, u64 epoch, struct tfs_snapshot *out)
{
	const void *v;
	u32 len;
	int err = tfs_item_find(vol, TFS_TREE_SNAP, item_key(epoch), &v, &len);

	if (err)
		return err;
	memcpy(out, v, sizeof(*out));
	return tfs_le16(out->flags) & TFS_SNAPSHOT_DYING ? -ENOENT : 0;
}

/* The next snapshot after *epoch that is not dying. -ENOENT */
static int later_next(struct tfs_vol *vol, u64 *epoch, struct tfs_snapshot *out)
{
	struct tfs_key k = item_key(*epoch);
	const void *v;
	u32 len;
	int err;

	do {
		k.b++;
		err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len);
		if (!err && k.a != TFS_SNAP_ITEM)
			err = -ENOENT;
		if (err)
			return err;
		memcpy(out, v, sizeof(*out));
	} while (tfs_le16(out->flags) & TFS_SNAPSHOT_DYING);
	*epoch = k.b;
	return 0;
}

static int later_held(struct tfs_vol *vol, u64 epoch, u64 *held)
{
	struct tfs_snapshot s;
	int err;

	*held = 0;
	while (!(err = later_next(vol, &epoch, &s)))
		if (s.holds) {
			*held = epoch;
			return -EBUSY;
		}
	return err == -ENOENT ? 0 : err;
}

/* ---- counters of the snapshot's state ---- */

static void count(struct tfs_counters *c, struct tfs_key key, const void *value, u64 sign)
{
	if (!value || key.a == TFS_INO_ORPHANS)
		return;
	if (tfs_key_type(key) == TFS_IT_INODE)
		c->inodes += sign;
	else if (tfs_key_type(key) == TFS_IT_PREALLOC)
		c->prealloc_blocks += sign * tfs_le64(((const struct tfs_prealloc *)value)->blocks);
}

static int item_differs(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	(void)a_len;
	(void)b_len;
	count(arg, key, a, 1);
	count(arg, key, b, -1ull);
	return 0;
}

static int items_count(struct tfs_vol *vol, const struct tfs_ptr *fs, struct tfs_counters *c)
{
	struct tfs_ptr root = vol->root[TFS_TREE_FS];
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err;

	c->inodes = c->prealloc_blocks = 0;
	vol->root[TFS_TREE_FS] = *fs;
	for (; !(err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)); k.b++)
		count(c, k, v, 1);
	vol->root[TFS_TREE_FS] = root;
	return err == -ENOENT ? 0 : err;
}

/* From what changed since; where the live tree is damaged, which may be why one goes back, from the snapshot alone. */
static int counters_find(struct tfs_vol *vol, u64 epoch, const struct tfs_ptr *fs, struct tfs_counters *c)
{
	int err;

	*c = vol->counters;
	err = tfs_snapshot_diff(vol, epoch, 0, item_differs, c);
	return err == -EIO ? items_count(vol, fs, c) : err;
}

/* ---- the change ---- */

static int flags_set(struct tfs_vol *vol, u64 epoch, u16 flags)
{
	struct tfs_snapshot *s;
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, item_key(epoch), 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	s = tfs_item_edit(vol, TFS_TREE_SNAP, item_key(epoch), NULL);
	s->flags = tfs_cpu16(flags);
	return 0;
}

/* Of those that were marked the leaves are dirty: taking it back cannot fail. */
static void later_unmark(struct tfs_vol *vol, u64 epoch)
{
	u32 i;

	for (i = tfs_snap_from(vol, epoch + 1); i < vol->snaps; i++)
		flags_set(vol, vol->snap[i].epoch, 0);
}

/* Marks later ones dying; *n: how many were. */
static int later_mark(struct tfs_vol *vol, u64 epoch, u32 *n)
{
	struct tfs_snapshot s;
	u64 at = epoch;
	int err;

	for (*n = 0; !(err = later_next(vol, &at, &s)); ++*n) {
		err = flags_set(vol, at, TFS_SNAPSHOT_DYING);
		if (err)
			break;
	}
	if (err != -ENOENT)
		later_unmark(vol, epoch);
	return err == -ENOENT ? 0 : err;
}

static int old_put(struct tfs_vol *vol, u64 epoch, const struct tfs_snapshot *target)
{
	struct tfs_key key = {TFS_SNAP_OLD, vol->epoch};
	struct tfs_old_state o = {.since = tfs_cpu64(epoch),
	                          .lists_from = target->first_list,
	                          .lists_end = tfs_cpu64(vol->next_list),
	                          .fs = tfs_ptr_disk(&vol->root[TFS_TREE_FS]),
	                          .refs = tfs_ptr_disk(&vol->root[TFS_TREE_REFS]),
	                          .stage = tfs_cpu32(TFS_OLD_LISTS)};
	struct tfs_snapshot *s;
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, key, sizeof(o));
	tfs_need(vol, TFS_TREE_SNAP, item_key(epoch), 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_put(vol, TFS_TREE_SNAP, key, &o, sizeof(o));
	s = tfs_item_edit(vol, TFS_TREE_SNAP, item_key(epoch), NULL);
	s->first_list = o.lists_end; /* those made so far name nothing of it any more */
	return 0;
}

/* All that may fail comes first; what follows is done by the next checkpoint, whatever becomes of this one. */
static int exchange(struct tfs_vol *vol, u64 epoch, const struct tfs_snapshot *target)
{
	struct tfs_ptr fs = tfs_ptr_cpu(&target->fs), refs = tfs_ptr_cpu(&target->refs);
	struct tfs_counters c;
	u32 later;
	int err = counters_find(vol, epoch, &fs, &c);

	if (!err)
		err = later_mark(vol, epoch, &later);
	if (err)
		return err;
	err = old_put(vol, epoch, target);
	if (err) {
		later_unmark(vol, epoch);
		return err;
	}
	vol->old = vol->epoch;
	vol->old_lists = true;
	tfs_kept_reset(vol); /* of the state that goes: here they may have names */
	vol->root[TFS_TREE_FS] = fs;
	vol->root[TFS_TREE_REFS] = refs;
	vol->counters.inodes = c.inodes;
	vol->counters.prealloc_blocks = c.prealloc_blocks;
	vol->dying += later;
	tfs_snap_cut(vol, epoch, vol->next_list);
	vol->log.next++; /* it has a number as any operation, and no record */
	vol->rolling = true;
	return tfs_checkpoint_run(vol, false);
}

/* What an earlier one put aside to be freed would be freed now, whatever has become of it. */
static int set_empty(struct tfs_vol *vol)
{
	struct tfs_key k = {TFS_SNAP_SHARED, 0};
	const void *v;
	u32 len;
	int err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len);

	if (!err && k.a == TFS_SNAP_SHARED)
		return tfs_corrupt(vol, 0, "places of an old state that is not there");
	return err == -ENOENT ? 0 : err;
}

/* The trees as they are go to the device: their roots are to be named. */
static int settle(struct tfs_vol *vol)
{
	int err = tfs_snapshots_finish(vol);

	if (!err && vol->old)
		err = -EUCLEAN; /* said already */
	if (!err)
		err = set_empty(vol);
	tfs_compact_forget(vol);
	if (!err)
		err = tfs_checkpoint_run(vol, false);
	return err ? err : tfs_settle_drops(vol);
}

int tfs_rollback(struct tfs_vol *vol, u64 epoch, u64 *held)
{
	struct tfs_snapshot target;
	int err;

	*held = 0;
	if (vol->counters.delayed_blocks)
		return -EBUSY;
	err = tfs_snapshot_begin(vol, TFS_TIER_SNAPSHOT, 0);
	if (!err)
		err = target_get(vol, epoch, &target);
	if (!err)
		err = later_held(vol, epoch, held);
	if (!err)
		err = settle(vol);
	if (!err)
		err = exchange(vol, epoch, &target);
	if (err)
		return err;
	err = tfs_orphans_evict(vol); /* those of then; what fails waits for the next mount */
	return vol->stopped ? err : 0;
}
