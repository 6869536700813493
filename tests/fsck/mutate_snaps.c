// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mutations of the SNAP tree: snapshots and the lists of what they alone hold. Each makes its snapshots first, then one
 * change; the table says what fsck has to call it. */
#include "tests/fsck/mutate.h"

/* ---- snapshots: one, three and four stay of four, /dir/sub/deep and /dir/b change in between ---- */

static u64 snap(const char *name)
{
	u64 epoch;

	must(tfs_snapshot_create(vol, name, (u32)strlen(name), &epoch), name);
	return epoch;
}

void snaps_make_some(u32 rounds)
{
	static const char *const names[] = {"one", "two", "three", "four"};
	static u8 big[9000];
	u64 epoch[4], ino;

	for (u32 i = 0; i < rounds; i++) {
		write_blocks(6, 16 * (i + 1), (int)(i & 1));
		memset(big, (int)i, sizeof(big));
		must(tfs_setxattr(vol, 6, "user.snap", 9, big, sizeof(big), 0), "xattr");
		make(2, names[i], 0100644);
		if (i == 2)
			must(tfs_unlink(vol, 2, "one", 3, false, &ino), "unlink");
		epoch[i] = snap(names[i]);
	}
	if (rounds < 4)
		return;
	write_blocks(6, 16, 0);
	must(tfs_truncate(vol, 6, 65536), "truncate");
	must(tfs_snapshot_delete(vol, epoch[1]), "delete");
	while (tfs_snapshot_step(vol) > 0)
		;
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
}

static void snaps_make(void)
{
	snaps_make_some(4);
}

/* The first list with runs; a key of it, into buf. */
static struct tfs_key list_first(u64 kind)
{
	struct tfs_key k = {TFS_SNAP_LIST, 0};
	const void *v;
	u32 len;

	snaps_make();
	for (; !tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len) && !tfs_le64(((const struct tfs_deadlist *)v)->runs);
	     k.b++)
		;
	if (kind == TFS_SNAP_RUNS)
		k = (struct tfs_key){TFS_SNAP_RUNS | k.b, 0};
	must(tfs_item_find(vol, TFS_TREE_SNAP, k, &v, &len), "list");
	memcpy(buf, v, len);
	return k;
}

static void snap_put(struct tfs_key k, u32 len)
{
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_SNAP, k, len ? len : 0);
	must(tfs_prepare(vol), "prepare");
	if (len)
		tfs_item_put(vol, TFS_TREE_SNAP, k, buf, len);
	else
		tfs_item_del(vol, TFS_TREE_SNAP, k);
}

static void m_snap_run(void) /* one unit of what is held is not on its list */
{
	struct tfs_key k = list_first(TFS_SNAP_RUNS);

	((struct tfs_run *)buf)->len = tfs_cpu32(tfs_le32(((struct tfs_run *)buf)->len) - 1);
	snap_put(k, TFS_DEAD_RUNS * sizeof(struct tfs_run));
}

static void m_snap_live(void) /* and one that is live */
{
	static u8 live[TFS_ITEM_MAX];
	struct tfs_key k = list_first(TFS_SNAP_RUNS);

	struct tfs_run *run = (struct tfs_run *)live;

	memcpy(live, buf, sizeof(live));
	item_get(item_first(12, TFS_IT_EXTENT), buf);
	run->addr = ((struct tfs_extent *)buf)->ptr.addr;
	memcpy(buf, live, sizeof(live));
	snap_put(k, TFS_DEAD_RUNS * sizeof(struct tfs_run));
}

static void m_snap_span(void)
{
	struct tfs_key k = list_first(TFS_SNAP_LIST);

	((struct tfs_deadlist *)buf)->newest = tfs_cpu64(vol->snap_newest);
	snap_put(k, sizeof(struct tfs_deadlist));
}

static void m_snap_units(void)
{
	struct tfs_key k = list_first(TFS_SNAP_LIST);

	((struct tfs_deadlist *)buf)->units = tfs_cpu64(tfs_le64(((struct tfs_deadlist *)buf)->units) + 1);
	snap_put(k, sizeof(struct tfs_deadlist));
}

static void m_snap_list_gone(void)
{
	snap_put(list_first(TFS_SNAP_LIST), 0);
}

static void m_snap_runs_gone(void)
{
	snap_put(list_first(TFS_SNAP_RUNS), 0);
}

/* The snapshot at place n, as an item in buf. */
static struct tfs_key snap_item(u32 n, u32 *len)
{
	struct tfs_key k = {TFS_SNAP_ITEM, 0};
	const void *v;

	snaps_make();
	must(tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, len), "snapshot");
	while (n--) {
		k.b++;
		must(tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, len), "snapshot");
	}
	memcpy(buf, v, *len);
	return k;
}

static void m_snap_gone(void)
{
	u32 len;

	snap_put(snap_item(2, &len), 0);
}

static void m_snap_root(void)
{
	u32 len;
	struct tfs_key k = snap_item(1, &len);

	((struct tfs_snapshot *)buf)->fs.crc ^= 1;
	snap_put(k, len);
}

static void m_snap_refs(void)
{
	u32 len;
	struct tfs_key k = snap_item(0, &len);

	((struct tfs_snapshot *)buf)->refs = ((struct tfs_snapshot *)buf)->fs;
	snap_put(k, len);
}

static void m_snap_future(void)
{
	u32 len;
	struct tfs_key k = snap_item(2, &len);

	k.b += 1000;
	((struct tfs_snapshot *)buf)->name[0] = 'x';
	snap_put(k, len);
}

/* ---- what a rollback left: to "one", after which an extent was shared, one cut in parts, and much written ---- */

void rollback_make(int steps)
{
	u64 one, held, ino = make(2, "clone of deep", 0100644);

	write_blocks(6, 32, 1);
	must(tfs_clone(vol, 6, 0, ino, 0, 16, 65536, NULL), "clone");
	must(tfs_punch(vol, 6, 20, 3), "punch");
	for (u32 i = 0; i < 300; i++) {
		char name[160];

		memset(name, 'n', sizeof(name));
		snprintf(name, sizeof(name), "%u", i);
		name[strlen(name)] = '-';
		name[sizeof(name) - 1] = 0;
		make(2, name, 0100644);
	}
	must(tfs_snapshot_find(vol, "one", 3, &one), "find");
	must(tfs_rollback(vol, one, &held), "rollback");
	while (steps-- && tfs_snapshot_step(vol) > 0)
		;
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
}

/* The item as it stands after the first step in that stage, in buf. */
static struct tfs_key old_item(enum tfs_old_stage stage)
{
	struct tfs_key k = {TFS_SNAP_OLD, 0};
	struct tfs_old_info o;
	const void *v;
	u32 len;

	snaps_make();
	rollback_make(0);
	while (!tfs_old_state(vol, &o) && o.stage < stage)
		must(tfs_snapshot_step(vol) < 0 ? -1 : 0, "step");
	if (stage == TFS_OLD_FS) /* past the first names */
		for (u32 i = 0; i < 3; i++)
			must(tfs_snapshot_step(vol) < 0 ? -1 : 0, "step");
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	must(tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len), "old state");
	memcpy(buf, v, len);
	return k;
}

static void old_put(struct tfs_key k)
{
	snap_put(k, sizeof(struct tfs_old_state));
}
#define OLD ((struct tfs_old_state *)buf)

static void m_old_since(void) /* what lives is to be freed */
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	OLD->since = 0;
	old_put(k);
}

static void m_old_since_later(void) /* and some of what is not, forgotten */
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	OLD->since = tfs_cpu64(k.b - 1);
	old_put(k);
}

static void m_old_next(void) /* what is left to be freed is less than there is */
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	OLD->next.a = tfs_cpu64(TFS_INO_MAX);
	old_put(k);
}

static void m_old_back(void) /* what was freed is to be freed again */
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	memset(&OLD->next, 0, sizeof(OLD->next));
	old_put(k);
}

static void m_old_stage(void)
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	OLD->stage = tfs_cpu32(TFS_OLD_REFS);
	old_put(k);
}

static void m_old_fs(void)
{
	struct tfs_key k = old_item(TFS_OLD_FS);

	OLD->fs.crc ^= 1;
	old_put(k);
}

static void m_old_refs(void)
{
	struct tfs_key k = old_item(TFS_OLD_SHARED);

	OLD->refs.crc ^= 1;
	old_put(k);
}

static void m_old_refs_live(void)
{
	struct tfs_key k = old_item(TFS_OLD_REFS);
	struct tfs_ptr fs = vol->root[TFS_TREE_FS];

	fs.birth = k.b - 1;
	OLD->refs = tfs_ptr_disk(&fs);
	old_put(k);
}

static void m_old_lists(void) /* lists that say nothing seem to say something */
{
	struct tfs_key k = old_item(TFS_OLD_LISTS);

	OLD->lists_end = OLD->lists_from;
	old_put(k);
}

static void m_old_gone(void)
{
	snap_put(old_item(TFS_OLD_FS), 0);
}

static void m_old_twice(void) /* places put aside, and what put them there is gone */
{
	snap_put(old_item(TFS_OLD_SHARED), 0);
}

static struct tfs_key shared_first(void)
{
	struct tfs_key k = {TFS_SNAP_SHARED, 0};
	const void *v;
	u32 len;

	old_item(TFS_OLD_SHARED);
	must(tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len), "shared");
	memcpy(buf, v, len);
	return k;
}

static void m_shared_len(void)
{
	struct tfs_key k = shared_first();
	struct tfs_old_shared *s = (struct tfs_old_shared *)buf;

	s->len = tfs_cpu32(tfs_le32(s->len) + 1);
	snap_put(k, sizeof(*s));
}

static void m_shared_live(void) /* a live place among them */
{
	static u8 one[TFS_ITEM_MAX];
	struct tfs_key k = shared_first();

	memcpy(one, buf, sizeof(one));
	item_get(item_first(12, TFS_IT_EXTENT), buf);
	k.b = tfs_le64(((struct tfs_extent *)buf)->ptr.addr);
	memcpy(buf, one, sizeof(buf));
	snap_put(k, sizeof(struct tfs_old_shared));
}

static void m_shared_gang(void)
{
	struct tfs_key k = shared_first();

	((struct tfs_old_shared *)buf)->flags = tfs_cpu16(TFS_PTR_GANG);
	snap_put(k, sizeof(struct tfs_old_shared));
}

static void m_shared_gone(void)
{
	snap_put(shared_first(), 0);
}

const struct mutation mutations_snaps[] = {
    {"snap-run", m_snap_run, 66, 0, 0},
    {"snap-live", m_snap_live, 66, 0, 0},
    {"snap-span", m_snap_span, 66, 0, 0},
    {"snap-units", m_snap_units, 66, 0, 0},
    {"snap-list-gone", m_snap_list_gone, 66, 0, 0},
    {"snap-runs-gone", m_snap_runs_gone, 66, 0, 0},
    {"snap-gone", m_snap_gone, 66, 0, 0},
    {"snap-root", m_snap_root, 65, 0, 0},
    {"snap-refs", m_snap_refs, 65, 0, 0},
    {"snap-future", m_snap_future, 65, 0, 0},
    {"old-since", m_old_since, 67, 0, 0},
    {"old-since-later", m_old_since_later, 51, 0, 0},
    {"old-next", m_old_next, 51, 0, 0},
    {"old-back", m_old_back, 51, 0, 0},
    {"old-stage", m_old_stage, 51, 0, 0},
    {"old-fs", m_old_fs, 67, 0, 0},
    {"old-refs", m_old_refs, 67, 0, 0},
    {"old-refs-live", m_old_refs_live, 67, 0, 0},
    {"old-lists", m_old_lists, 66, 0, 0},
    {"old-gone", m_old_gone, 51, 0, 0},
    {"old-twice", m_old_twice, 67, 0, 0},
    {"shared-len", m_shared_len, 67, 0, 0},
    {"shared-live", m_shared_live, 67, 0, 0},
    {"shared-gang", m_shared_gang, 67, 0, 0},
    {"shared-gone", m_shared_gone, 51, 0, 0},
    {NULL, NULL, 0, 0, 0},
};
