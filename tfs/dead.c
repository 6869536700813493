// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What snapshots alone hold. The table of snapshots in memory (those not dying, ascending by epoch), and the deadlists:
 * what loses its last live reference and was born at or before the newest snapshot stays live in SPACE and goes on the
 * list of {oldest, newest snapshot holding it}, which the birth and the table tell. No entry ever moves: deleting a
 * snapshot takes it out of the table, and each list's span shrinks by itself. Runs stand in items of 64, full size
 * before they are filled (tfs_dead_prepare), so that adding works in place and cannot fail. Called through
 * tfs_ptr_prepare and tfs_ptr_drop (place.c), live, in replay and by tfs_settle_drops; SNAP's own nodes are in no
 * snapshot, so there is no recursion. A volume without snapshots pays one compare for each drop.
 */
#include "tfs/vol.h"

static struct tfs_key list_key(u64 id)
{
	return (struct tfs_key){TFS_SNAP_LIST, id};
}

static struct tfs_key runs_key(u64 id, u64 n)
{
	return (struct tfs_key){TFS_SNAP_RUNS | id, n};
}

/* ---- the table ---- */

u32 tfs_snap_from(const struct tfs_vol *vol, u64 epoch)
{
	u32 lo = 0, hi = vol->snaps;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (vol->snap[mid].epoch < epoch)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool tfs_dead_span(const struct tfs_vol *vol, const struct tfs_deadlist *l, u32 *oldest, u32 *newest)
{
	u32 first = tfs_snap_from(vol, tfs_le64(l->oldest)), end = tfs_snap_from(vol, tfs_le64(l->newest) + 1);

	*oldest = first;
	*newest = end - 1;
	return first < end;
}

int tfs_snap_room(struct tfs_vol *vol)
{
	u32 max = vol->snaps_max ? 2 * vol->snaps_max : 16;
	struct tfs_snap *more;

	if (vol->snaps < vol->snaps_max)
		return 0;
	more = tfs_port_alloc((size_t)max * sizeof(*more));
	if (!more)
		return -ENOMEM;
	if (vol->snaps)
		memcpy(more, vol->snap, vol->snaps * sizeof(*more));
	tfs_port_free(vol->snap);
	vol->snap = more;
	vol->snaps_max = max;
	return 0;
}

static void newest_set(struct tfs_vol *vol)
{
	vol->snap_newest = vol->snaps ? vol->snap[vol->snaps - 1].epoch : 0;
}

/*
 * Finds the lists that what is dropped from now on goes to: those up to the newest snapshot. They were all made after
 * it was. Where one is not found (for want of memory, say), a new one is begun and merely makes one more.
 */
static int lists_open(struct tfs_vol *vol)
{
	struct tfs_key k = list_key(vol->snaps ? vol->snap[vol->snaps - 1].first_list : 0);
	const void *v;
	u32 len, i, newest;
	int err;

	for (i = 0; i < vol->snaps; i++)
		vol->snap[i].list = vol->snap[i].runs = vol->snap[i].reserved = 0;
	vol->snap_reserved = false;
	if (!vol->snaps)
		return 0;
	for (; !(err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_LIST; k.b++) {
		const struct tfs_deadlist *l = v;

		if (!tfs_dead_span(vol, l, &i, &newest) || newest != vol->snaps - 1)
			continue;
		vol->snap[i].list = k.b;
		vol->snap[i].runs = tfs_le64(l->runs);
	}
	return err == -ENOENT ? 0 : err;
}

void tfs_snap_add(struct tfs_vol *vol, u64 epoch, u64 first_list)
{
	u32 i;

	TFS_BUG_ON(vol->snaps == vol->snaps_max);
	for (i = 0; i < vol->snaps; i++) /* their lists end at the snapshot before */
		vol->snap[i].list = vol->snap[i].runs = vol->snap[i].reserved = 0;
	vol->snap[vol->snaps++] = (struct tfs_snap){.epoch = epoch, .first_list = first_list};
	newest_set(vol);
}

void tfs_snap_remove(struct tfs_vol *vol, u64 epoch)
{
	u32 i = tfs_snap_from(vol, epoch);

	TFS_BUG_ON(i == vol->snaps || vol->snap[i].epoch != epoch);
	memmove(&vol->snap[i], &vol->snap[i + 1], (vol->snaps - i - 1) * sizeof(*vol->snap));
	vol->snaps--;
	newest_set(vol);
	lists_open(vol);
}

void tfs_snap_cut(struct tfs_vol *vol, u64 epoch, u64 first_list)
{
	u32 i = tfs_snap_from(vol, epoch);

	TFS_BUG_ON(i == vol->snaps || vol->snap[i].epoch != epoch);
	vol->snaps = i + 1;
	vol->snap[i].first_list = first_list;
	newest_set(vol);
	for (i = 0; i < vol->snaps; i++) /* none is behind first_list yet */
		vol->snap[i].list = vol->snap[i].runs = vol->snap[i].reserved = 0;
	vol->snap_reserved = false;
}

/* What is on all lists. The next id is above theirs, and at or above what the newest snapshot says. */
static int lists_load(struct tfs_vol *vol)
{
	struct tfs_key k = list_key(0);
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_LIST; k.b++) {
		vol->dead_units += tfs_le64(((const struct tfs_deadlist *)v)->units);
		if (k.b >= vol->next_list)
			vol->next_list = k.b + 1;
	}
	return err == -ENOENT ? 0 : err;
}

int tfs_snap_load(struct tfs_vol *vol)
{
	struct tfs_key k = {TFS_SNAP_ITEM, 0};
	const void *v;
	u32 len;
	int err;

	vol->snaps = vol->dying = 0;
	vol->snap_newest = vol->dying_epoch = vol->old = 0;
	vol->dead_units = 0;
	vol->next_list = 1;
	if (!vol->root[TFS_TREE_SNAP].addr)
		return 0;
	for (; !(err = tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_ITEM; k.b++) {
		const struct tfs_snapshot *s = v;
		u64 first = tfs_le64(s->first_list);

		if (k.b > vol->anchor)
			return tfs_corrupt(vol, 0, "snapshot of an epoch to come");
		if (first > vol->next_list)
			vol->next_list = first;
		if (tfs_le16(s->flags) & TFS_SNAPSHOT_DYING) {
			vol->dying++;
			continue;
		}
		err = tfs_snap_room(vol);
		if (err)
			return err;
		tfs_snap_add(vol, k.b, first);
	}
	if (err && err != -ENOENT)
		return err;
	err = lists_load(vol);
	if (!err)
		err = tfs_old_load(vol);
	return err ? err : lists_open(vol);
}

/* ---- drops ---- */

static int list_new(struct tfs_vol *vol, struct tfs_snap *s)
{
	struct tfs_deadlist l = {.oldest = tfs_cpu64(s->epoch), .newest = tfs_cpu64(vol->snap_newest)};
	int err;

	if (vol->next_list > TFS_LIST_ID_MAX)
		return tfs_corrupt(vol, 0, "numbers of deadlists are used up");
	err = tfs_tree_ensure(vol, TFS_TREE_SNAP, list_key(vol->next_list), &l, sizeof(l));
	if (err)
		return err;
	s->list = vol->next_list++;
	s->runs = 0;
	return 0;
}

int tfs_dead_prepare(struct tfs_vol *vol, u64 birth, u64 addr, u32 units)
{
	static const struct tfs_run zero[TFS_DEAD_RUNS];
	struct tfs_snap *s = &vol->snap[tfs_snap_from(vol, birth)];
	struct tfs_node *leaf;
	u64 n, last;
	int err;

	if (!tfs_space_valid(vol, addr, units))
		return tfs_corrupt(vol, 0, "address out of range");
	err = s->list ? tfs_tree_dirty(vol, TFS_TREE_SNAP, list_key(s->list), &leaf) : list_new(vol, s);
	last = (s->runs + s->reserved) / TFS_DEAD_RUNS;
	for (n = s->runs / TFS_DEAD_RUNS; !err && n <= last; n++)
		err = tfs_tree_ensure(vol, TFS_TREE_SNAP, runs_key(s->list, n), zero, sizeof(zero));
	if (err)
		return err;
	s->reserved++;
	vol->snap_reserved = true;
	return 0;
}

/* A run never crosses a segment's end. */
static bool run_extend(const struct tfs_vol *vol, struct tfs_run *r, u64 addr, u32 units)
{
	if (tfs_le64(r->addr) + tfs_le32(r->len) != addr ||
	    !tfs_space_valid(vol, tfs_le64(r->addr), tfs_le32(r->len) + units))
		return false;
	r->len = tfs_cpu32(tfs_le32(r->len) + units);
	return true;
}

void tfs_dead_add(struct tfs_vol *vol, u64 birth, u64 addr, u32 units)
{
	struct tfs_snap *s = &vol->snap[tfs_snap_from(vol, birth)];
	struct tfs_deadlist *l = tfs_item_edit(vol, TFS_TREE_SNAP, list_key(s->list), NULL);
	u32 in = (u32)(s->runs % TFS_DEAD_RUNS);
	struct tfs_run *r;

	l->units = tfs_cpu64(tfs_le64(l->units) + units);
	vol->dead_units += units;
	r = tfs_item_edit(vol, TFS_TREE_SNAP, runs_key(s->list, s->runs / TFS_DEAD_RUNS), NULL);
	if (s->reserved)
		s->reserved--;
	if (in && run_extend(vol, &r[in - 1], addr, units))
		return;
	r[in] = (struct tfs_run){.addr = tfs_cpu64(addr), .len = tfs_cpu32(units)};
	l = tfs_item_edit(vol, TFS_TREE_SNAP, list_key(s->list), NULL);
	l->runs = tfs_cpu64(++s->runs);
}

void tfs_dead_reset(struct tfs_vol *vol)
{
	u32 i;

	if (!vol->snap_reserved)
		return;
	for (i = 0; i < vol->snaps; i++)
		vol->snap[i].reserved = 0;
	vol->snap_reserved = false;
}
