// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A volume's life in memory: from superblock and anchor to trees, through recovery, to the last checkpoint. A read-only
 * mount replays into memory and writes nothing. A read-write mount ends recovery with a checkpoint that starts a new
 * log generation, before the first new operation; then it frees what orphans a crash left. Damage that recovery proves
 * leaves the volume read-only.
 */
#include "tfs/vol.h"

int tfs_dev_io(struct tfs_vol *vol, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	int err;

	TFS_BUG_ON(op == TFS_IO_WRITE && vol->read_only);
	err = vol->dev->ops->io(vol->dev, op, offset, buf, bytes, flags);
	if (op == TFS_IO_WRITE)
		vol->writes++;
	if (!err)
		return 0;
	tfs_err(vol, "%s of %u bytes at byte %llu failed: error %d", op == TFS_IO_WRITE ? "write" : "read", bytes,
	        (unsigned long long)offset, err);
	return op == TFS_IO_WRITE ? tfs_stop(vol, err) : err;
}

/* ---- memory ---- */

static bool buffers_alloc(struct tfs_vol *vol)
{
	u32 h;

	vol->rec = tfs_port_alloc(TFS_REC_MAX + TFS_BLOCK);
	vol->scratch = tfs_port_alloc(TFS_SCRATCH);
	vol->node_scratch = tfs_port_alloc(3 * TFS_NODE_SIZE);
	vol->log.pending = tfs_port_alloc(TFS_LOG_BUFFER);
	vol->log.write = tfs_port_alloc(TFS_LOG_BUFFER + 2 * TFS_BLOCK);
	for (h = 0; h < TFS_HEAD_LOG; h++)
		vol->head[h].buf = tfs_port_alloc(TFS_HEAD_BLOCKS * TFS_BLOCK);
	if (vol->log.write) /* it is written with the block before it */
		vol->head[TFS_HEAD_BESIDE].buf = vol->log.write + TFS_BLOCK;
	return vol->rec && vol->scratch && vol->node_scratch && vol->log.pending && vol->log.write &&
	       vol->head[TFS_HEAD_DATA].buf && vol->head[TFS_HEAD_COLD].buf && vol->head[TFS_HEAD_NODE].buf;
}

int tfs_vol_new(struct tfs_dev *dev, const struct tfs_env *env, struct tfs_vol **out)
{
	struct tfs_vol *vol = tfs_port_alloc(sizeof(*vol));
	u32 h;

	if (!vol)
		return -ENOMEM;
	memset(vol, 0, sizeof(*vol));
	vol->dev = dev;
	vol->env = *env;
	vol->cache_max = TFS_CACHE_MIN;
	vol->dirty_max = TFS_DIRTY_MAX;
	vol->shape = 1; /* no finger's */
	for (h = 0; h < TFS_HEADS; h++)
		vol->head[h].segment = ~0ull;
	if (!buffers_alloc(vol)) {
		tfs_vol_free(vol);
		return -ENOMEM;
	}
	*out = vol;
	return 0;
}

void tfs_vol_free(struct tfs_vol *vol)
{
	u32 h;

	tfs_cache_destroy(vol);
	tfs_gangs_forget(vol);
	tfs_log_destroy(vol);
	tfs_pin_destroy(vol);
	tfs_compact_destroy(vol);
	for (h = 0; h < TFS_HEAD_LOG; h++)
		tfs_port_free(vol->head[h].buf);
	tfs_port_free(vol->kept.file);
	tfs_port_free(vol->snap);
	tfs_port_free(vol->segment);
	tfs_port_free(vol->longest);
	tfs_port_free(vol->group);
	tfs_port_free(vol->log.write);
	tfs_port_free(vol->log.pending);
	tfs_port_free(vol->node_scratch);
	tfs_port_free(vol->scratch);
	tfs_port_free(vol->rec);
	tfs_port_free(vol);
}

/* ---- mounting ---- */

static int features_check(struct tfs_vol *vol)
{
	u64 unknown = tfs_le64(vol->super.incompat) & ~TFS_INCOMPAT_KNOWN;

	if (unknown) {
		tfs_err(vol, "volume uses features %llx that this version does not know", (unsigned long long)unknown);
		return -EOPNOTSUPP;
	}
	if (tfs_le64(vol->super.ro_compat) & ~TFS_RO_COMPAT_KNOWN && !vol->read_only) {
		tfs_err(vol, "volume can only be mounted read-only: unknown features %llx",
		        (unsigned long long)(tfs_le64(vol->super.ro_compat) & ~TFS_RO_COMPAT_KNOWN));
		return -EROFS;
	}
	/* what knows no columns may still read a volume made before them */
	vol->node_codec = tfs_le64(vol->super.incompat) & TFS_INCOMPAT_COLUMNS ? TFS_NODE_COLUMNS : TFS_CODEC_LZ4;
	return 0;
}

static int meta_read(struct tfs_vol *vol, const struct tfs_disk_ptr *d, int type, void *block)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(d);
	int err;

	if (ptr.len != TFS_UNITS_PER_BLOCK || ptr.addr % TFS_UNITS_PER_BLOCK || ptr.flags)
		return tfs_corrupt(vol, 0, "checkpoint or list pointer out of range");
	err = tfs_read_ptr(vol, &ptr, block, true);
	if (err)
		return err;
	if (tfs_head_check(block, type, vol->volume, TFS_BLOCK))
		return tfs_corrupt(vol, 0, "checkpoint or list block is not one");
	vol->meta[vol->metas++] = ptr.addr;
	return tfs_pin(vol, TFS_PIN_META, ptr.addr / TFS_UNITS_PER_BLOCK, 1);
}

/* The nodes that the checkpoint wrote become live in SPACE. */
static int list_apply(struct tfs_vol *vol, const struct tfs_list *list)
{
	u32 i, n = tfs_le32(list->count);
	int err = n > TFS_LIST_RUNS ? tfs_corrupt(vol, 0, "list block count out of range") : 0;

	for (i = 0; !err && i < n; i++) {
		u64 addr = tfs_le64(list->run[i].addr);
		u32 len = tfs_le32(list->run[i].len);

		err = tfs_space_prepare(vol, addr, len);
		if (!err)
			err = tfs_space_live(vol, addr, len, false);
		if (!err)
			tfs_space_mark(vol, addr, len, true);
	}
	return err;
}

/* A repair builds SPACE anew and looks at every tree itself: what is damaged is no reason to stop here. */
static int forgive(const struct tfs_vol *vol, int err)
{
	return vol->repairing && (err == -EIO || err == -EUCLEAN) ? 0 : err;
}

/* Addresses with high bits are numbers of nodes in memory: none may come from disk. */
static bool root_sound(const struct tfs_ptr *p)
{
	return !p->addr || (!(p->addr >> 45) && p->len && p->len <= TFS_NODE_SIZE / TFS_UNIT + 1);
}

static int roots_load(struct tfs_vol *vol, const struct tfs_checkpoint *cp)
{
	static const struct tfs_ptr unreadable = {.addr = 1}; /* a place without length: a damaged node */
	u32 i;
	int err = 0;

	for (i = 0; i < TFS_TREES; i++) {
		vol->root[i] = tfs_ptr_cpu(&cp->root[i]);
		if (root_sound(&vol->root[i]))
			continue;
		vol->root[i] = unreadable;
		err = tfs_corrupt(vol, 0, "root pointer out of range");
	}
	return forgive(vol, err);
}

static int lists_apply(struct tfs_vol *vol, const struct tfs_checkpoint *cp, void *block)
{
	u32 i, n = tfs_le32(cp->lists);
	int err = n > TFS_LIST_PTRS ? tfs_corrupt(vol, 0, "checkpoint list count out of range") : 0;

	for (i = 0; !err && i < n; i++) {
		err = meta_read(vol, &cp->list[i], TFS_BT_LIST, block);
		if (!err)
			err = list_apply(vol, block);
		err = forgive(vol, err);
	}
	return forgive(vol, err);
}

static int checkpoint_apply(struct tfs_vol *vol, const struct tfs_checkpoint *cp, void *block)
{
	int err = roots_load(vol, cp);

	vol->counters.next_ino = tfs_le64(cp->next_ino);
	vol->counters.inodes = tfs_le64(cp->inodes);
	vol->counters.prealloc_blocks = tfs_le64(cp->prealloc_blocks);
	if (!err)
		err = forgive(vol, tfs_snap_load(vol));
	if (!err)
		err = forgive(vol, tfs_space_load(vol));
	if (!err)
		err = lists_apply(vol, cp, block);
	vol->stated_units = tfs_le64(cp->live_units);
	vol->loaded_units = vol->live_units;
	return err ? err : tfs_settle_drops(vol);
}

static int checkpoint_load(struct tfs_vol *vol, const struct tfs_anchor *a)
{
	u8 *block = tfs_port_alloc(2 * TFS_BLOCK);
	int err;

	if (!block)
		return -ENOMEM;
	vol->anchor = tfs_le64(a->epoch);
	vol->epoch = vol->anchor + 1;
	vol->was_clean = tfs_le32(a->flags) & TFS_ANCHOR_CLEAN;
	err = meta_read(vol, &a->checkpoint, TFS_BT_CHECKPOINT, block);
	if (!err)
		err = checkpoint_apply(vol, (struct tfs_checkpoint *)block, block + TFS_BLOCK);
	tfs_port_free(block);
	return err;
}

int tfs_orphans_evict(struct tfs_vol *vol)
{
	u64 ino = 0;
	int err = 0, first = 0;

	tfs_kept_reset(vol);
	while (!vol->stopped && !(err = tfs_next_orphan(vol, ino, &ino))) {
		do
			err = tfs_evict(vol, ino);
		while (err > 0);
		first = first ? first : err; /* one that cannot be freed keeps no other from it */
	}
	return first ? first : vol->stopped ? vol->stopped : err == -ENOENT ? 0 : err;
}

/* Ends recovery: a checkpoint under a new generation. */
static int session_start(struct tfs_vol *vol, bool frees)
{
	int err = tfs_log_start(vol);

	if (!err)
		err = tfs_checkpoint_run(vol, false);
	if (err)
		return err;
	if (!frees)
		err = tfs_snapshots_finish(vol);
	if (!err)
		err = tfs_orphans_evict(vol);
	return err == -ENOSPC && vol->snaps ? 0 : err; /* orphans that snapshots hold wait for one to be deleted */
}

static int vol_open(struct tfs_vol *vol, const struct tfs_anchor *a, u32 flags)
{
	bool want_write = !(flags & TFS_MOUNT_RO);
	int err;

	vol->volume = tfs_le64(vol->super.head.volume);
	vol->read_only = !want_write;
	vol->repairing = flags & TFS_MOUNT_REPAIR;
	vol->discard = flags & TFS_MOUNT_DISCARD;
	err = features_check(vol);
	vol->read_only = true; /* nothing is written before recovery is through */
	if (!err)
		err = tfs_space_init(vol);
	if (!err)
		err = checkpoint_load(vol, a);
	if (err) /* also of a repair: without the checkpoint there is nothing to keep, and an empty volume is no repair
	          */
		return err;
	if (!(flags & TFS_MOUNT_NOREPLAY)) {
		err = tfs_replay(vol, a);
		if (vol->repairing && (err == -EIO || err == -EUCLEAN))
			vol->damaged = true, err = 0; /* what could be replayed is there */
	}
	if (err || !want_write || vol->damaged)
		return err;
	vol->read_only = false;
	return session_start(vol, flags & TFS_MOUNT_FREES);
}

int tfs_mount(struct tfs_dev *dev, const struct tfs_env *env, const struct tfs_mount_options *opt, struct tfs_vol **out)
{
	struct tfs_anchor anchor;
	struct tfs_vol *vol;
	int err;

	if (dev->read_only && !(opt->flags & TFS_MOUNT_RO))
		return -EROFS;
	err = tfs_vol_new(dev, env, &vol);
	if (err)
		return err;
	if (opt->cache_nodes > vol->cache_max)
		vol->cache_max = opt->cache_nodes;
	if (opt->dirty_nodes)
		vol->dirty_max = opt->dirty_nodes;
	vol->host_checkpoints = opt->flags & TFS_MOUNT_CHECKPOINTS;
	err = tfs_probe(dev, env, &vol->super, &anchor);
	if (!err)
		err = vol_open(vol, &anchor, opt->flags);
	if (err) {
		tfs_vol_free(vol);
		return err == -EIO ? -EUCLEAN : err;
	}
	*out = vol;
	return 0;
}

int tfs_unmount(struct tfs_vol *vol)
{
	int err = vol->stopped;

	tfs_view_close(vol);
	vol->leaving = true;
	if (!err && !vol->read_only && !vol->bulk)
		err = tfs_checkpoint_run(vol, true);
	tfs_vol_free(vol);
	return err;
}

void tfs_abandon(struct tfs_vol *vol)
{
	tfs_vol_free(vol);
}
