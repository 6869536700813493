// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Snapshots: creating, naming, holding, deleting and looking into them. A snapshot is a checkpoint whose SNAP tree
 * names its own FS and REFS roots, so it costs what is dirty and two superblock writes the first time. Whatever is done
 * to snapshots is durable when the call returns, by a checkpoint: they appear in no log record, and recovery books
 * drops by the table of the checkpoint that it starts from. A deleted one is dying: out of sight and of the table at
 * once, its item stays until tfs_snapshot_step has freed what it alone held; a mount goes on with that.
 * Callers: hosts, one at a time as all of tfs.h.
 */
#include "tfs/vol.h"

#define STEP_LISTS 256u /* looked at in one step */
#define ITEM_MAX (sizeof(struct tfs_snapshot) + TFS_NAME_MAX)

union item {
	struct tfs_snapshot s;
	u8 bytes[ITEM_MAX + 1];
};

static struct tfs_key item_key(u64 epoch)
{
	return (struct tfs_key){TFS_SNAP_ITEM, epoch};
}

static u32 item_bytes(const struct tfs_snapshot *s)
{
	return (u32)sizeof(*s) + s->name_len;
}

static bool name_sound(const char *name, u32 len)
{
	u32 i;

	if (!len || len > TFS_NAME_MAX || (len <= 2 && !memcmp(name, "..", len)))
		return false;
	for (i = 0; i < len; i++)
		if (!name[i] || name[i] == '/')
			return false;
	return true;
}

static bool dying(const struct tfs_snapshot *s)
{
	return tfs_le16(s->flags) & TFS_SNAPSHOT_DYING;
}

/* ---- finding ---- */

/* The first at or after *epoch, dying or not. */
static int item_next(struct tfs_vol *vol, u64 *epoch, union item *out)
{
	struct tfs_key k = item_key(*epoch);
	const void *v;
	u32 len;
	int err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len);

	if (!err && k.a != TFS_SNAP_ITEM)
		err = -ENOENT;
	if (err)
		return err;
	*epoch = k.b;
	memcpy(out, v, len);
	return 0;
}

/* One that is not dying. */
static int item_get(struct tfs_vol *vol, u64 epoch, union item *out)
{
	u64 at = epoch;
	int err = epoch ? item_next(vol, &at, out) : -ENOENT;

	return err ? err : at != epoch || dying(&out->s) ? -ENOENT : 0;
}

int tfs_snapshot_next(struct tfs_vol *vol, u64 *epoch, struct tfs_snapshot_info *out)
{
	union item it;
	int err = item_next(vol, epoch, &it);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->epoch = *epoch;
	memcpy(out->id, it.s.id, sizeof(out->id));
	out->created = it.s.created;
	out->inodes = tfs_le64(it.s.inodes);
	out->units = tfs_le64(it.s.units);
	out->fs = tfs_ptr_cpu(&it.s.fs);
	out->refs = tfs_ptr_cpu(&it.s.refs);
	out->holds = tfs_le32(it.s.holds);
	out->dying = dying(&it.s);
	out->name_len = it.s.name_len;
	memcpy(out->name, it.s.name, it.s.name_len);
	return 0;
}

int tfs_snapshot_find(struct tfs_vol *vol, const char *name, u32 len, u64 *epoch)
{
	union item it;
	int err;

	for (*epoch = 0; !(err = item_next(vol, epoch, &it)); ++*epoch)
		if (!dying(&it.s) && it.s.name_len == len && !memcmp(it.s.name, name, len))
			return 0;
	return err;
}

/* ---- space ---- */

int tfs_deadlist_next(struct tfs_vol *vol, u64 *id, struct tfs_deadlist *out)
{
	struct tfs_key k = {TFS_SNAP_LIST, *id};
	const void *v;
	u32 len;
	int err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len);

	if (!err && k.a != TFS_SNAP_LIST)
		err = -ENOENT;
	if (err)
		return err;
	*id = k.b;
	memcpy(out, v, sizeof(*out));
	return 0;
}

/* The lists that end at a snapshot were made before the next one was. */
static u64 lists_end(const struct tfs_vol *vol, u64 epoch)
{
	u32 i = tfs_snap_from(vol, epoch + 1);

	return i < vol->snaps ? vol->snap[i].first_list : ~0ull;
}

int tfs_snapshot_usage(struct tfs_vol *vol, u64 epoch, u64 *exclusive)
{
	struct tfs_deadlist l;
	u64 id, end = lists_end(vol, epoch);
	u32 i, oldest, newest;
	int err = tfs_settle_drops(vol);

	*exclusive = 0;
	i = tfs_snap_from(vol, epoch);
	if (err || i == vol->snaps || vol->snap[i].epoch != epoch)
		return err ? err : -ENOENT;
	for (id = vol->snap[i].first_list; !(err = tfs_deadlist_next(vol, &id, &l)) && id < end; id++)
		if (tfs_dead_span(vol, &l, &oldest, &newest) && oldest == i && newest == i)
			*exclusive += tfs_le64(l.units) * TFS_UNIT;
	return err == -ENOENT ? 0 : err;
}

/* ---- changing ---- */

void tfs_snapshots_stepwise(struct tfs_vol *vol, bool on)
{
	vol->stepwise = on;
}

int tfs_snapshot_begin(struct tfs_vol *vol, enum tfs_tier tier, u64 blocks)
{
	int err = 0;

	if (vol->bulk || vol->damaged)
		return vol->bulk ? -EINVAL : -EROFS;
	if (!vol->stopped && !vol->read_only && vol->ck.state != TFS_CK_IDLE)
		err = vol->stepwise ? -EAGAIN : tfs_checkpoint_step(vol, ~0u);
	if (!err)
		err = tfs_op_begin(vol, tier, blocks);
	return err || !vol->old_lists ? err : tfs_old_lists(vol); /* they would be taken for lists of others */
}

static int item_put(struct tfs_vol *vol, u64 epoch, const union item *it)
{
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, item_key(epoch), item_bytes(&it->s));
	err = tfs_prepare(vol);
	if (!err)
		tfs_item_put(vol, TFS_TREE_SNAP, item_key(epoch), it, item_bytes(&it->s));
	return err;
}

static void item_make(struct tfs_vol *vol, union item *it, const char *name, u32 len)
{
	u64 random;
	u32 i;

	memset(it, 0, sizeof(*it));
	for (i = 0; i < 2; i++) {
		random = tfs_random(vol);
		memcpy(it->s.id + i * 8, &random, 8);
	}
	it->s.inodes = tfs_cpu64(vol->counters.inodes);
	it->s.units = tfs_cpu64(vol->live_units > vol->dead_units ? vol->live_units - vol->dead_units : 0);
	it->s.first_list = tfs_cpu64(vol->next_list);
	it->s.created = tfs_now(vol);
	it->s.name_len = (u8)len;
	memcpy(it->s.name, name, len);
}

/* Before the gate a failure takes the item back: its leaf is dirty, so that cannot fail. */
static int create(struct tfs_vol *vol, const char *name, u32 len, u64 *epoch)
{
	union item it;
	bool gone;
	int err = tfs_snap_room(vol);

	if (!err)
		err = vol->stepwise ? tfs_super_feature_step(vol, TFS_RO_COMPAT_SNAPSHOTS)
		                    : tfs_super_feature(vol, TFS_RO_COMPAT_SNAPSHOTS);
	if (!err)
		err = tfs_settle_drops(vol);
	if (err)
		return err;
	item_make(vol, &it, name, len);
	*epoch = vol->epoch;
	err = item_put(vol, *epoch, &it);
	if (err)
		return err;
	err = tfs_checkpoint_snapshot(vol, tfs_le64(it.s.first_list), &gone);
	if (!gone)
		tfs_item_del(vol, TFS_TREE_SNAP, item_key(*epoch));
	return err;
}

int tfs_snapshot_create(struct tfs_vol *vol, const char *name, u32 len, u64 *epoch)
{
	u64 found;
	int err;

	if (!name_sound(name, len))
		return len > TFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	/* what is dirty and delayed counts as growth from now on; a root to name must be there */
	err = tfs_snapshot_begin(vol, TFS_TIER_NORMAL, 16 + (vol->snaps ? 0 : 10 * vol->counters.delayed_windows));
	if (err)
		return err;
	err = tfs_snapshot_find(vol, name, len, &found);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	return create(vol, name, len, epoch ? epoch : &found);
}

/* The leaf that holds the item, as the checkpoint writes it, and a newer copy that an operation made meanwhile. */
static void fill_in(struct tfs_list_head *nodes, u64 epoch, const struct tfs_disk_ptr *fs,
                    const struct tfs_disk_ptr *refs)
{
	struct tfs_node *n;

	for (n = nodes->first; n; n = n->next) {
		struct tfs_snapshot *s;
		u32 slot, len;
		bool exact;

		if (n->tree != TFS_TREE_SNAP || n->level)
			continue;
		slot = tfs_node_search(n->buf, item_key(epoch), &exact);
		if (!exact)
			continue;
		s = tfs_leaf_value(n->buf, slot, &len);
		s->fs = *fs;
		s->refs = *refs;
	}
}

void tfs_snapshot_fill(struct tfs_vol *vol, const struct tfs_disk_ptr *fs, const struct tfs_disk_ptr *refs)
{
	fill_in(&vol->ck.frozen, vol->ck.snapshot, fs, refs);
	fill_in(&vol->dirty, vol->ck.snapshot, fs, refs);
}

/* Changes an item and makes that durable. */
static int item_change(struct tfs_vol *vol, u64 epoch, const union item *it)
{
	int err = item_put(vol, epoch, it);

	return err ? err : tfs_checkpoint_change(vol);
}

int tfs_snapshot_rename(struct tfs_vol *vol, u64 epoch, const char *name, u32 len)
{
	union item it;
	u64 other;
	int err;

	if (!name_sound(name, len))
		return len > TFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	err = tfs_snapshot_begin(vol, TFS_TIER_SNAPSHOT, 0);
	if (!err)
		err = item_get(vol, epoch, &it);
	if (err)
		return err;
	err = tfs_snapshot_find(vol, name, len, &other);
	if (err != -ENOENT)
		return err ? err : other == epoch ? 0 : -EEXIST;
	it.s.name_len = (u8)len;
	memcpy(it.s.name, name, len);
	return item_change(vol, epoch, &it);
}

int tfs_snapshot_hold(struct tfs_vol *vol, u64 epoch, bool hold)
{
	union item it;
	u32 holds;
	int err = tfs_snapshot_begin(vol, TFS_TIER_SNAPSHOT, 0);

	if (!err)
		err = item_get(vol, epoch, &it);
	if (err)
		return err;
	holds = tfs_le32(it.s.holds);
	if (hold ? holds == ~0u : !holds)
		return hold ? -EOVERFLOW : -EINVAL;
	it.s.holds = tfs_cpu32(hold ? holds + 1 : holds - 1);
	return item_change(vol, epoch, &it);
}

int tfs_snapshot_delete(struct tfs_vol *vol, u64 epoch)
{
	union item it;
	int err = tfs_snapshot_begin(vol, TFS_TIER_SNAPSHOT, 0);

	if (!err)
		err = item_get(vol, epoch, &it);
	if (err)
		return err;
	if (it.s.holds)
		return -EBUSY;
	err = tfs_old_leave(vol, epoch);
	if (err)
		return err;
	it.s.flags |= tfs_cpu16(TFS_SNAPSHOT_DYING);
	err = tfs_settle_drops(vol); /* by the table as it was */
	if (!err)
		err = item_put(vol, epoch, &it);
	if (err)
		return err;
	tfs_snap_remove(vol, epoch);
	vol->dying++;
	return tfs_checkpoint_change(vol);
}

/* ---- freeing what a dying one held ---- */

/* The last runs of a list that nobody holds go, with their item; then the list itself. keep: they are live again. */
static int list_shrink(struct tfs_vol *vol, u64 id, u64 n, bool keep)
{
	struct tfs_key list = {TFS_SNAP_LIST, id}, runs = {TFS_SNAP_RUNS | id, n};
	struct tfs_run *run = (struct tfs_run *)vol->scratch;
	struct tfs_deadlist *l;
	u64 units = 0;
	const void *v;
	u32 len, i;
	int err = tfs_item_find(vol, TFS_TREE_SNAP, runs, &v, &len);

	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, 0, "runs of a deadlist are missing") : err;
	memcpy(run, v, len);
	for (i = 0; !err && i < TFS_DEAD_RUNS && run[i].len; i++) {
		if (!keep)
			err = tfs_space_prepare(vol, tfs_le64(run[i].addr), tfs_le32(run[i].len));
		if (!err && !keep)
			err = tfs_space_live(vol, tfs_le64(run[i].addr), tfs_le32(run[i].len), true);
		units += tfs_le32(run[i].len);
	}
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, list, 0);
	tfs_need(vol, TFS_TREE_SNAP, runs, 0);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	for (i = 0; !keep && i < TFS_DEAD_RUNS && run[i].len; i++)
		tfs_space_mark(vol, tfs_le64(run[i].addr), tfs_le32(run[i].len), false);
	tfs_item_del(vol, TFS_TREE_SNAP, runs);
	l = tfs_item_edit(vol, TFS_TREE_SNAP, list, NULL);
	l->runs = tfs_cpu64(n * TFS_DEAD_RUNS);
	l->units = tfs_cpu64(tfs_le64(l->units) - units);
	vol->dead_units -= units < vol->dead_units ? units : vol->dead_units;
	tfs_tidy(vol, TFS_TREE_SNAP, runs);
	return 0;
}

int tfs_snap_remove_item(struct tfs_vol *vol, struct tfs_key key)
{
	int err;

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, key, 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_del(vol, TFS_TREE_SNAP, key);
	tfs_tidy(vol, TFS_TREE_SNAP, key);
	return 0;
}

/* Items made in advance, behind the last run, go first. 1: more is to be done. */
int tfs_deadlist_step(struct tfs_vol *vol, u64 id, const struct tfs_deadlist *l, bool keep)
{
	struct tfs_key k = {TFS_SNAP_RUNS | id, ~0ull};
	const void *v;
	u32 len;
	int err = tfs_item_prev(vol, TFS_TREE_SNAP, &k, &v, &len);
	bool there = !err && k.a == (TFS_SNAP_RUNS | id);

	if (err && err != -ENOENT)
		return err;
	if (there && k.b * TFS_DEAD_RUNS >= tfs_le64(l->runs))
		err = tfs_snap_remove_item(vol, k);
	else if (l->runs)
		err = list_shrink(vol, id, (tfs_le64(l->runs) - 1) / TFS_DEAD_RUNS, keep);
	else
		err = tfs_snap_remove_item(vol, (struct tfs_key){TFS_SNAP_LIST, id});
	return err ? err : 1;
}

static int dying_find(struct tfs_vol *vol)
{
	union item it;
	u64 epoch = 0;
	int err;

	while (!(err = item_next(vol, &epoch, &it)) && !dying(&it.s))
		epoch++;
	if (err)
		return err == -ENOENT ? tfs_corrupt(vol, 0, "a dying snapshot is missing") : err;
	vol->dying_epoch = epoch;
	vol->dying_list = tfs_le64(it.s.first_list);
	return 0;
}

static int free_step(struct tfs_vol *vol)
{
	u64 end = lists_end(vol, vol->dying_epoch);
	struct tfs_deadlist l;
	u32 i, oldest, newest;
	int err = 0;

	for (i = 0; i < STEP_LISTS; i++, vol->dying_list++) {
		err = tfs_deadlist_next(vol, &vol->dying_list, &l);
		if (err || vol->dying_list >= end)
			break;
		if (!tfs_dead_span(vol, &l, &oldest, &newest))
			return tfs_deadlist_step(vol, vol->dying_list, &l, false);
	}
	if (i == STEP_LISTS)
		return 1;
	if (err && err != -ENOENT)
		return err;
	err = tfs_snap_remove_item(vol, item_key(vol->dying_epoch));
	if (err)
		return err;
	vol->dying_epoch = 0;
	return --vol->dying != 0;
}

int tfs_snapshot_step(struct tfs_vol *vol)
{
	int err;

	if (vol->old && !vol->old_stuck) {
		err = tfs_old_step(vol);
		if (err)
			return err;
	}
	if (!vol->dying)
		return 0;
	err = tfs_op_begin(vol, TFS_TIER_SNAPSHOT, 0);
	if (!err && !vol->dying_epoch)
		err = dying_find(vol);
	return err ? err : free_step(vol);
}

int tfs_snapshots_finish(struct tfs_vol *vol)
{
	int err;

	do
		err = tfs_snapshot_step(vol);
	while (err > 0);
	return err;
}

/* ---- looking into one ---- */

int tfs_view_find(struct tfs_vol *vol, u64 epoch, struct tfs_view *out)
{
	union item it;
	int err = item_get(vol, epoch, &it);

	if (err)
		return err;
	if (!it.s.fs.addr || epoch > vol->anchor) /* its checkpoint is not through */
		return -EBUSY;
	*out = (struct tfs_view){epoch, tfs_ptr_cpu(&it.s.fs), tfs_ptr_cpu(&it.s.refs)};
	return 0;
}

/* The table tells without a read whether it is still there: its nodes may be overwritten from then on. */
void tfs_view_enter(struct tfs_vol *vol, const struct tfs_view *view)
{
	u32 i = tfs_snap_from(vol, view->epoch);

	TFS_BUG_ON(vol->viewing);
	vol->view_gone = i == vol->snaps || vol->snap[i].epoch != view->epoch;
	memcpy(vol->view_root, vol->root, sizeof(vol->root));
	vol->root[TFS_TREE_FS] = view->fs;
	vol->root[TFS_TREE_REFS] = view->refs;
	vol->viewing = true;
}

void tfs_view_leave(struct tfs_vol *vol)
{
	if (!vol->viewing)
		return;
	vol->root[TFS_TREE_FS] = vol->view_root[TFS_TREE_FS];
	vol->root[TFS_TREE_REFS] = vol->view_root[TFS_TREE_REFS];
	vol->viewing = vol->view_gone = false;
}

int tfs_view_open(struct tfs_vol *vol, u64 epoch)
{
	struct tfs_view view;
	/* the roots set aside must not change: no checkpoint is under way */
	int err = vol->viewing || vol->ck.state != TFS_CK_IDLE ? -EBUSY : tfs_settle_drops(vol);

	if (!err)
		err = tfs_view_find(vol, epoch, &view);
	if (!err)
		tfs_view_enter(vol, &view);
	return err;
}

void tfs_view_close(struct tfs_vol *vol)
{
	tfs_view_leave(vol);
}
