// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The frame of an operation: begin (housekeeping and the space check), prepare (the fallible part), commit (apply and
 * append). tfs_commit is the only way a record comes to be; replay calls tfs_apply alone. Housekeeping that may write
 * or checkpoint happens in tfs_op_begin and nowhere else, so nothing moves while an operation is under way.
 */
#include "tfs/ship.h"
#include "tfs/vol.h"

#define NODE_COST 5u /* blocks a dirty node may need at worst: four and the gang's list */

int tfs_stop(struct tfs_vol *vol, int err)
{
	if (!vol->stopped) {
		vol->stopped = err;
		tfs_event(vol, TFS_EVENT_STOPPED, (u64)-err, 0);
	}
	return err;
}

void tfs_event(struct tfs_vol *vol, enum tfs_event event, u64 a, u64 b)
{
	if (vol->env.event)
		vol->env.event(vol->env.ctx, event, a, b);
}

void tfs_shutdown(struct tfs_vol *vol)
{
	tfs_stop(vol, -EIO);
}

int tfs_stopped(const struct tfs_vol *vol)
{
	return vol->stopped;
}

int tfs_corrupt(struct tfs_vol *vol, u64 ino, const char *what)
{
	tfs_err(vol, "inode %llu: %s; run fsck.tfs", (unsigned long long)ino, what);
	tfs_event(vol, TFS_EVENT_DAMAGED, ino, 0);
	return -EUCLEAN;
}

void *tfs_log_ctx(const struct tfs_vol *vol)
{
	return vol->env.ctx;
}

bool tfs_replaying(const struct tfs_vol *vol)
{
	return vol->replaying;
}

struct tfs_counters *tfs_counters_of(struct tfs_vol *vol)
{
	return &vol->counters;
}

bool tfs_snapshots_hold(const struct tfs_vol *vol)
{
	return vol->snaps;
}

void tfs_written_note(struct tfs_vol *vol, u32 blocks)
{
	vol->user_blocks += blocks;
}

struct tfs_time tfs_now(struct tfs_vol *vol)
{
	return vol->env.now(vol->env.ctx);
}

u64 tfs_random(struct tfs_vol *vol)
{
	return vol->env.random(vol->env.ctx);
}

void *tfs_scratch(struct tfs_vol *vol)
{
	return vol->scratch;
}

const struct tfs_super *tfs_super_of(const struct tfs_vol *vol)
{
	return &vol->super;
}

u32 tfs_dirty_nodes(const struct tfs_vol *vol)
{
	return vol->dirty.count + vol->ck.frozen.count;
}

/* ---- space ---- */

static u64 minus(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* Blocks that nothing live or promised needs; pins come free by themselves. A delayed window will dirty a leaf and, at
 * times, more: that is growth while snapshots hold the old one. */
static u64 free_blocks(const struct tfs_vol *vol)
{
	u64 leaves = vol->snaps ? 2 * NODE_COST * vol->counters.delayed_windows : 0;

	return minus(vol->total_blocks,
	             vol->used_blocks + vol->counters.prealloc_blocks + vol->counters.delayed_blocks + leaves);
}

static u64 tier_floor(const struct tfs_vol *vol, enum tfs_tier tier)
{
	static const u8 part[] = {
	    [TFS_TIER_NORMAL] = 1, [TFS_TIER_FREEING] = 2, [TFS_TIER_EVICT] = 4, [TFS_TIER_COMPACT] = 4};

	return vol->reserve_blocks / part[tier];
}

/*
 * While snapshots hold the old ones, each node that an operation dirties is growth, for which also what frees space
 * needs room: OP_NODES for this one, and those that are dirty already, whose new places are not counted as used yet.
 */
#define OP_NODES 8u

static u64 growth(const struct tfs_vol *vol, u64 blocks)
{
	return vol->snaps ? blocks + (u64)NODE_COST * (OP_NODES + tfs_dirty_nodes(vol)) : blocks;
}

/* What an operation finds taken by that when it is the last that gets through: short of room, it has a checkpoint run first. */
static u64 growth_left(const struct tfs_vol *vol)
{
	u32 dirty = tfs_dirty_nodes(vol);

	return vol->snaps ? (u64)NODE_COST * (OP_NODES + (dirty < OP_NODES ? dirty : OP_NODES)) : 0;
}

static bool short_of(const struct tfs_vol *vol, enum tfs_tier tier, u64 blocks)
{
	u64 want = growth(vol, blocks);

	return tier != TFS_TIER_SNAPSHOT && want && free_blocks(vol) < want + tier_floor(vol, tier);
}

/* Blocks that could be written this moment, less what the next checkpoint needs for its nodes. */
static u64 writable_blocks(const struct tfs_vol *vol)
{
	u64 held = vol->used_blocks + vol->pinned_blocks + (u64)NODE_COST * tfs_dirty_nodes(vol) + 16;
	u32 h;

	for (h = 0; h < TFS_HEADS; h++)
		held += (vol->head[h].fill + TFS_BLOCK - 1) / TFS_BLOCK;
	return minus(vol->total_blocks, held);
}

/*
 * What may wait for a checkpoint. A part of the reserve is there for it on a full volume; as long as the volume could
 * write `least` blocks of what nobody was promised at once it may be more, up to what memory and a mount after a crash
 * can bear: a node is then written once for more changes of it.
 */
static bool room_to_spare(const struct tfs_vol *vol, u64 least)
{
	const struct tfs_counters *c = &vol->counters;

	return minus(writable_blocks(vol), c->delayed_blocks + c->prealloc_blocks) >= least;
}

static u32 dirty_share(const struct tfs_vol *vol, u64 least)
{
	return room_to_spare(vol, least) || vol->dirty_cap > vol->dirty_max ? vol->dirty_max : vol->dirty_cap;
}

static u32 log_share(const struct tfs_vol *vol, u64 least)
{
	return room_to_spare(vol, least) ? TFS_LOG_MAX : vol->log_share;
}

/* Below a quarter of the reserve it is high time, below an eighth an operation makes one itself (make_writable). A host that
 * takes steps is called before, so that it is through by then. */
static u64 least_overdue(const struct tfs_vol *vol)
{
	return vol->reserve_blocks / 4;
}

bool tfs_checkpoint_due(const struct tfs_vol *vol)
{
	u64 least = vol->host_checkpoints ? vol->reserve_blocks * 3 / 8 : least_overdue(vol);

	return vol->dirty.count >= dirty_share(vol, least) / 2 || vol->log.blocks_used >= log_share(vol, least) / 2;
}

/* More than that, and the host's checkpoint would come too late. */
static bool overdue(const struct tfs_vol *vol)
{
	u64 least = least_overdue(vol);

	return tfs_dirty_nodes(vol) >= dirty_share(vol, least) || vol->log.blocks_used >= log_share(vol, least);
}

static bool want_checkpoint(const struct tfs_vol *vol)
{
	return vol->host_checkpoints ? overdue(vol) : tfs_checkpoint_due(vol);
}

/* One that runs is enough: it is what the nodes of the closed epoch wait for. */
static int checkpoint_force(struct tfs_vol *vol)
{
	vol->checkpoints_forced++;
	return tfs_checkpoint_step(vol, ~0u);
}

/* Two in a row at most: the first ends a running one, the second frees what this epoch dropped. */
static int make_writable(struct tfs_vol *vol, u64 blocks)
{
	int i, err = 0;

	for (i = 0; !err && i < 2 && writable_blocks(vol) < blocks + vol->reserve_blocks / 8; i++)
		err = tfs_checkpoint(vol);
	if (!err && writable_blocks(vol) < blocks + NODE_COST * 4)
		err = -ENOSPC;
	return err;
}

static int housekeeping(struct tfs_vol *vol, u64 blocks)
{
	int err = 0;

	tfs_placed_forget(vol);
	tfs_dead_reset(vol);
	if (vol->ck.state == TFS_CK_IDLE) /* a checkpoint still needs those of its nodes */
		tfs_gangs_forget(vol);
	tfs_cache_trim(vol);
	if (vol->drops)
		err = tfs_settle_drops(vol);
	if (!err && !vol->bulk && vol->log.bytes > TFS_LOG_BUFFER / 2)
		err = tfs_log_submit(vol);
	if (!err && want_checkpoint(vol))
		err = checkpoint_force(vol);
	return err ? err : make_writable(vol, blocks);
}

static int room_make(struct tfs_vol *vol, enum tfs_tier tier, u64 blocks)
{
	int err;

	if (short_of(vol, tier, blocks)) {
		if (!vol->snaps || tfs_dirty_nodes(vol) <= OP_NODES)
			return -ENOSPC;
		err = tfs_checkpoint(vol); /* then it is known what they took */
		if (err || short_of(vol, tier, blocks))
			return err ? err : -ENOSPC;
	}
	return housekeeping(vol, blocks);
}

/* Kept files go for what can succeed then, and as long as it helps: what snapshots hold does not come free. */
static bool give_up(struct tfs_vol *vol, u64 blocks)
{
	u64 free = free_blocks(vol);

	return free + vol->kept.blocks >= growth(vol, blocks) + tier_floor(vol, TFS_TIER_NORMAL) &&
	       tfs_kept_give_up(vol) && free_blocks(vol) > free;
}

int tfs_op_begin(struct tfs_vol *vol, enum tfs_tier tier, u64 blocks)
{
	int err;

	if (vol->stopped)
		return vol->stopped;
	if (vol->read_only || vol->viewing)
		return -EROFS;
	if (vol->rolling) { /* a record would be replayed into the state of before */
		err = tfs_checkpoint_step(vol, ~0u);
		if (err)
			return err;
	}
	do
		err = room_make(vol, tier, blocks);
	while (err == -ENOSPC && tier == TFS_TIER_NORMAL && give_up(vol, blocks));
	if (err == -EIO || err == -EUCLEAN)
		tfs_stop(vol, err);
	return err;
}

void tfs_statfs(struct tfs_vol *vol, struct tfs_stat *out)
{
	memset(out, 0, sizeof(*out));
	out->blocks = vol->total_blocks;
	out->free = free_blocks(vol);
	out->available = minus(out->free, vol->reserve_blocks + growth_left(vol));
	out->inodes = vol->counters.inodes;
	out->live_units = vol->live_units;
	out->stated_units = vol->stated_units;
	out->loaded_units = vol->loaded_units;
	out->prealloc_blocks = vol->counters.prealloc_blocks;
	out->delayed_blocks = vol->counters.delayed_blocks;
	out->epoch = vol->epoch;
	out->sequence = vol->log.next;
	out->next_ino = vol->counters.next_ino;
	out->size = tfs_le64(vol->super.size);
	out->segments = vol->segments;
	out->segment_bits = vol->segment_bits;
	out->volume = vol->volume;
	out->log_blocks = vol->log_blocks;
	out->checkpoints = vol->checkpoints;
	out->checkpoints_forced = vol->checkpoints_forced;
	out->user_blocks = vol->user_blocks;
	out->data_blocks = vol->data_blocks;
	out->node_blocks = vol->node_blocks;
	out->moved_blocks = vol->moved_blocks;
	out->compact_sweeps = vol->compact.sweeps;
	out->compact_emptied = vol->compact.emptied;
	out->dirty_nodes = tfs_dirty_nodes(vol);
	out->cache_nodes = out->dirty_nodes + vol->lru.count + vol->ahead.count;
	out->read_only = vol->read_only;
	out->damaged = vol->damaged;
	out->was_clean = vol->was_clean;
	out->kept_blocks = vol->kept.blocks;
	out->lost_bytes = vol->kept.lost;
	out->snapshots = vol->snaps;
	out->dying = vol->dying + (vol->old != 0);
	out->snapshot_blocks = (vol->dead_units + TFS_UNITS_PER_BLOCK - 1) / TFS_UNITS_PER_BLOCK;
}

/* ---- prepare ---- */

void tfs_need_reset(struct tfs_vol *vol)
{
	vol->needs = 0;
}

void tfs_need(struct tfs_vol *vol, int tree, struct tfs_key key, u32 bytes)
{
	TFS_BUG_ON(vol->needs >= TFS_NEEDS_MAX);
	vol->need[vol->needs++] = (struct tfs_need){tree, key, bytes};
}

/* The first need whose leaf cannot take all that is needed of it; -1: all fit. */
static int first_misfit(const struct tfs_vol *vol)
{
	u32 i, j;

	for (i = 0; i < vol->needs; i++) {
		u32 sum = 0;

		for (j = 0; j < vol->needs; j++)
			if (vol->need_leaf[j] == vol->need_leaf[i] && vol->need[j].bytes)
				sum += tfs_leaf_cost(vol->need[j].bytes);
		if (sum > tfs_leaf_free(vol->need_leaf[i]->buf))
			return (int)i;
	}
	return -1;
}

int tfs_prepare(struct tfs_vol *vol)
{
	u32 i;
	int err = 0, misfit;

	for (;;) {
		for (i = 0; !err && i < vol->needs; i++)
			err = tfs_tree_dirty(vol, vol->need[i].tree, vol->need[i].key, &vol->need_leaf[i]);
		if (err)
			return err;
		misfit = first_misfit(vol);
		if (misfit < 0)
			return 0;
		err = tfs_tree_split(vol, vol->need[misfit].tree, vol->need[misfit].key);
	}
}

/* ---- commit ---- */

void *tfs_rec_start(struct tfs_vol *vol, int type, u64 ino, u32 size)
{
	struct tfs_rec_head *r = (struct tfs_rec_head *)vol->rec;

	memset(r, 0, size);
	r->type = tfs_cpu16((u16)type);
	r->ino = tfs_cpu64(ino);
	r->time = tfs_now(vol);
	return r;
}

int tfs_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	u32 type = tfs_le16(rec->type);

	tfs_need_reset(vol);
	if (tfs_le32(rec->time.nsec) >= 1000000000u) /* it would become an inode's */
		return tfs_corrupt(vol, tfs_le64(rec->ino), "record time out of range");
	if (type >= TFS_REC_CREATE && type <= TFS_REC_XATTR)
		return tfs_apply_name(vol, rec);
	if (type >= TFS_REC_WRITE && type <= TFS_REC_MOVE)
		return tfs_apply_data(vol, rec);
	if (type == TFS_REC_SHIP)
		return tfs_apply_ship(vol, rec);
	return tfs_corrupt(vol, tfs_le64(rec->ino), "unknown record type");
}

int tfs_commit(struct tfs_vol *vol, u32 bytes)
{
	struct tfs_rec_head *r = (struct tfs_rec_head *)vol->rec;
	u32 len = (bytes + 7) & ~7u;
	int err;

	TFS_BUG_ON(len > TFS_REC_MAX);
	memset(vol->rec + bytes, 0, len - bytes);
	r->len = tfs_cpu32(len);
	err = tfs_apply(vol, r);
	if (!err)
		tfs_log_append(vol, r, len);
	return err;
}
