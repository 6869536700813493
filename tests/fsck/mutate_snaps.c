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
    {NULL, NULL, 0, 0, 0},
};
