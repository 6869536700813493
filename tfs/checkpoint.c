// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Checkpoint: makes the trees of an epoch durable and lets the log begin anew. begin (the gate) closes the open writes,
 * notes the log's position, freezes the dirty nodes and opens the next epoch; nodes are then written children first
 * while operations go on (they copy frozen nodes); then list and checkpoint blocks, a flush, the anchors at both ends,
 * another flush; last the new places are claimed in SPACE of the open epoch and what the closed epoch dropped comes free.
 * Every step can be repeated after -ENOMEM. A host that takes small steps does what waits for the device outside of its
 * lock: the flushes, and reads of the closed epoch. In bulk mode (mkfs) nothing but nodes is written until the end.
 */
#include "tfs/vol.h"

#define STEP_ALL (~0u)

int tfs_checkpoint_begin(struct tfs_vol *vol, bool clean)
{
	struct tfs_ck *ck = &vol->ck;
	int err = vol->viewing ? -EBUSY : tfs_settle_drops(vol);

	if (!err)
		err = tfs_data_close(vol);
	if (!err)
		err = tfs_log_submit(vol);
	if (err)
		return err;
	ck->epoch = vol->epoch++;
	ck->clean = clean;
	ck->frozen = vol->dirty;
	tfs_list_sort(&ck->frozen); /* what follows each other in the tree will do so on the device: ahead.c */
	memset(&vol->dirty, 0, sizeof(vol->dirty));
	memcpy(ck->root, vol->root, sizeof(ck->root));
	ck->counters = vol->counters;
	ck->live_units = vol->live_units;
	ck->sequence = vol->log.next;
	ck->log = vol->log.pos;
	ck->log.sequence += vol->rolling;
	if (vol->leaving)
		ck->log = (struct tfs_log_position){.sequence = ck->log.sequence};
	vol->log.blocks_used = 0;
	ck->level = ck->pass = 0;
	ck->snapshot = 0;
	ck->cursor = ck->frozen.first;
	ck->metas = 0;
	ck->state = TFS_CK_NODES;
	tfs_event(vol, TFS_EVENT_CHECKPOINT, ck->epoch, ck->frozen.count);
	return 0;
}

/* ---- nodes ---- */

/* Children that were dirty have their places by now. */
static void fill_branches(struct tfs_vol *vol, void *buf)
{
	u32 i, count = tfs_node_count(buf);

	for (i = 0; i < count; i++) {
		struct tfs_branch *b = tfs_branch_at(buf, i);
		struct tfs_node *child;

		if (!(tfs_le64(b->ptr.addr) & TFS_MEM_ADDR))
			continue;
		child = tfs_cache_find(vol, tfs_le64(b->ptr.addr));
		if (child && child->placed)
			b->ptr = tfs_ptr_disk(&child->ptr);
	}
}

static int node_write(struct tfs_vol *vol, struct tfs_node *n)
{
	struct tfs_node_head *h = (struct tfs_node_head *)n->buf;
	/* not in node_scratch: looking for a free run may read nodes of SPACE, and decodes them there */
	u8 *stored = (u8 *)vol->scratch + TFS_NODE_SIZE;
	const u8 *image = n->buf;
	u32 bytes;
	int err;

	h->birth = tfs_cpu64(vol->ck.epoch);
	if (n->level) { /* in a copy: until the end readers find the children by their numbers */
		image = memcpy(vol->scratch, n->buf, TFS_NODE_SIZE);
		fill_branches(vol, vol->scratch);
	} else if (h->garbage) {
		tfs_leaf_compact(n->buf, vol->node_scratch);
	}
	bytes = tfs_node_store(image, vol->node_codec, stored, vol->node_scratch);
	err = tfs_head_packed(vol, TFS_HEAD_NODE, stored, bytes, &n->ptr);
	n->ptr.birth = vol->ck.epoch; /* of the tree it belongs to, not of the epoch open by now */
	if (err)
		return err;
	n->placed = true;
	tfs_cache_stale(vol, n->ptr.addr); /* also where a copy supersedes this one: a snapshot may name it */
	return 0;
}

/* A snapshot's item names roots: it is written when they have their places. */
static bool in_pass(const struct tfs_ck *ck, const struct tfs_node *n)
{
	bool own = n->tree == TFS_TREE_SPACE || n->tree == TFS_TREE_SNAP;

	return !ck->snapshot || own == (ck->pass == 1);
}

/* 1: the budget is used up */
static int pass_step(struct tfs_vol *vol, u32 *budget)
{
	struct tfs_ck *ck = &vol->ck;

	for (; ck->level < TFS_HEIGHT_MAX; ck->level++, ck->cursor = ck->frozen.first)
		for (; ck->cursor; ck->cursor = ck->cursor->next) {
			int err;

			if (ck->cursor->level != ck->level || !in_pass(ck, ck->cursor))
				continue;
			if (!*budget)
				return 1;
			--*budget;
			err = node_write(vol, ck->cursor);
			if (err)
				return err;
		}
	return 0;
}

static struct tfs_disk_ptr root_ptr(struct tfs_vol *vol, const struct tfs_ptr *root)
{
	struct tfs_node *n = root->addr & TFS_MEM_ADDR ? tfs_cache_find(vol, root->addr) : NULL;

	return tfs_ptr_disk(n ? &n->ptr : root);
}

static int nodes_step(struct tfs_vol *vol, u32 *budget)
{
	struct tfs_ck *ck = &vol->ck;
	int err = pass_step(vol, budget);

	if (!err && ck->snapshot && !ck->pass) {
		struct tfs_disk_ptr fs = root_ptr(vol, &ck->root[TFS_TREE_FS]);
		struct tfs_disk_ptr refs = root_ptr(vol, &ck->root[TFS_TREE_REFS]);

		tfs_snapshot_fill(vol, &fs, &refs);
		ck->pass = 1;
		ck->level = 0;
		ck->cursor = ck->frozen.first;
		err = pass_step(vol, budget);
	}
	return err;
}

/* ---- list blocks, checkpoint block, anchors ---- */

static int meta_write(struct tfs_vol *vol, const void *block, struct tfs_disk_ptr *out)
{
	struct tfs_ck *ck = &vol->ck;
	struct tfs_ptr ptr;
	int n = tfs_head_blocks(vol, TFS_HEAD_NODE, block, 1, &ptr);

	if (n < 0)
		return n;
	ptr.crc = tfs_port_crc32c(0, block, TFS_BLOCK);
	ptr.birth = ck->epoch;
	ck->meta[ck->metas++] = ptr.addr;
	*out = tfs_ptr_disk(&ptr);
	return 0;
}

struct list_builder {
	struct tfs_vol *vol;
	struct tfs_list *list; /* being filled */
	struct tfs_checkpoint *cp;
	u32 count;
	u64 units;
};

static int list_flush(struct list_builder *b)
{
	u32 n = tfs_le32(b->cp->lists);
	int err;

	if (!b->count)
		return 0;
	if (n == TFS_LIST_PTRS)
		return -ENOSPC; /* the dirty-node cap is far below */
	b->list->count = tfs_cpu32(b->count);
	tfs_head_seal(&b->list->head, TFS_BT_LIST, b->vol->volume, sizeof(*b->list));
	err = meta_write(b->vol, b->list, &b->cp->list[n]);
	if (err)
		return err;
	b->cp->lists = tfs_cpu32(n + 1);
	b->count = 0;
	memset(b->list, 0, sizeof(*b->list));
	return 0;
}

static int list_add(struct list_builder *b, u64 addr, u32 len)
{
	struct tfs_run *last = b->count ? &b->list->run[b->count - 1] : NULL;
	int err;

	b->units += len;
	if (last && tfs_le64(last->addr) + tfs_le32(last->len) == addr &&
	    tfs_space_valid(b->vol, tfs_le64(last->addr), tfs_le32(last->len) + len)) {
		last->len = tfs_cpu32(tfs_le32(last->len) + len);
		return 0;
	}
	if (b->count == TFS_LIST_RUNS) {
		err = list_flush(b);
		if (err)
			return err;
	}
	b->list->run[b->count].addr = tfs_cpu64(addr);
	b->list->run[b->count++].len = tfs_cpu32(len);
	return 0;
}

static int list_node(struct list_builder *b, const struct tfs_ptr *ptr)
{
	struct tfs_gang_ref *g = b->vol->gangs;
	u32 i;
	int err = list_add(b, ptr->addr, ptr->flags & TFS_PTR_GANG ? TFS_UNITS_PER_BLOCK : ptr->len);

	if (err || !(ptr->flags & TFS_PTR_GANG))
		return err;
	while (g && g->addr != ptr->addr)
		g = g->next;
	if (!g)
		return -EIO;
	for (i = 0; !err && i < tfs_le32(g->gang.count); i++)
		err = list_add(b, tfs_le64(g->gang.run[i].addr), tfs_le32(g->gang.run[i].len));
	return err;
}

/* Blocks of an attempt that failed half-way are given back. */
static void metas_drop(struct tfs_vol *vol, const u64 *meta, u32 n)
{
	while (n--)
		tfs_unpin(vol, meta[n] / TFS_UNITS_PER_BLOCK, 1);
}

static int meta_build(struct tfs_vol *vol, struct tfs_checkpoint *cp, struct tfs_list *list, struct tfs_disk_ptr *out)
{
	struct tfs_ck *ck = &vol->ck;
	struct list_builder b = {.vol = vol, .list = list, .cp = cp};
	struct tfs_node *n;
	u32 i;
	int err = 0;

	memset(cp, 0, sizeof(*cp));
	memset(list, 0, sizeof(*list));
	for (n = ck->frozen.first; !err && n; n = n->next)
		err = list_node(&b, &n->ptr);
	if (!err)
		err = list_flush(&b);
	if (err)
		return err;
	cp->epoch = tfs_cpu64(ck->epoch);
	for (i = 0; i < TFS_TREES; i++)
		cp->root[i] = root_ptr(vol, &ck->root[i]);
	cp->next_ino = tfs_cpu64(ck->counters.next_ino);
	cp->inodes = tfs_cpu64(ck->counters.inodes);
	cp->prealloc_blocks = tfs_cpu64(ck->counters.prealloc_blocks);
	cp->live_units = tfs_cpu64(ck->live_units + b.units);
	cp->sequence = tfs_cpu64(ck->sequence);
	tfs_head_seal(&cp->head, TFS_BT_CHECKPOINT, vol->volume, sizeof(*cp));
	return meta_write(vol, cp, out);
}

static struct tfs_log_position position_disk(const struct tfs_log_position *p)
{
	return (struct tfs_log_position){
	    .generation = tfs_cpu64(p->generation),
	    .run = tfs_cpu64(p->run),
	    .next = tfs_cpu64(p->next),
	    .run_blocks = tfs_cpu32(p->run_blocks),
	    .next_blocks = tfs_cpu32(p->next_blocks),
	    .offset = tfs_cpu32(p->offset),
	    .prev_crc = tfs_cpu32(p->prev_crc),
	    .sequence = tfs_cpu64(p->sequence),
	};
}

/* No record came since the gate (tfs_op_begin): the next one goes on from the number of the rollback. */
static void rolled(struct tfs_vol *vol)
{
	if (vol->rolling)
		vol->log.pos.sequence = vol->log.durable = vol->log.next;
	vol->rolling = false;
}

static int meta_step(struct tfs_vol *vol)
{
	struct tfs_ck *ck = &vol->ck;
	struct tfs_checkpoint *cp = (struct tfs_checkpoint *)vol->scratch;
	int err;

	metas_drop(vol, ck->meta, ck->metas);
	ck->metas = 0;
	err = meta_build(vol, cp, (struct tfs_list *)(cp + 1), &ck->block);
	if (!err)
		err = tfs_head_close(vol, TFS_HEAD_NODE);
	ck->writes = vol->writes;
	return err;
}

static int anchor_step(struct tfs_vol *vol)
{
	struct tfs_ck *ck = &vol->ck;
	struct tfs_anchor anchor;
	int err = 0;

	if (vol->flushed_writes < ck->writes) /* else a sync of the host's did it, see tfs_checkpoint_step */
		err = tfs_flush(vol);
	if (err)
		return err;
	memset(&anchor, 0, sizeof(anchor));
	anchor.checkpoint = ck->block;
	anchor.epoch = tfs_cpu64(ck->epoch);
	anchor.log = position_disk(&ck->log);
	anchor.flags = tfs_cpu32(ck->clean ? TFS_ANCHOR_CLEAN : 0);
	err = tfs_anchor_write(vol, &anchor);
	ck->writes = vol->writes;
	return err;
}

/* Only now nothing can lead back to the older one. */
static int settle_step(struct tfs_vol *vol)
{
	struct tfs_ck *ck = &vol->ck;
	int err = vol->flushed_writes < ck->writes ? tfs_flush(vol) : 0;

	if (err)
		return err;
	vol->anchor = ck->epoch;
	rolled(vol);
	tfs_log_release(vol, &ck->log);
	metas_drop(vol, vol->meta, vol->metas);
	memcpy(vol->meta, ck->meta, sizeof(ck->meta));
	vol->metas = ck->metas;
	ck->metas = 0;
	if (vol->env.durable)
		vol->env.durable(vol->env.ctx, ck->sequence);
	return 0;
}

/* ---- claims ---- */

/* The cursor is carried on, so that a step can be repeated. 1: the budget is used up. */
static int claim_step(struct tfs_vol *vol, u32 *budget)
{
	struct tfs_ck *ck = &vol->ck;
	struct tfs_node *n;
	int err;

	for (n = ck->cursor; n; ck->cursor = n = n->next) {
		if (!*budget)
			return 1;
		--*budget;
		err = tfs_ptr_prepare_claim(vol, &n->ptr);
		if (err)
			return err;
		tfs_ptr_claim(vol, &n->ptr);
	}
	return 0;
}

static void roots_fill(struct tfs_vol *vol)
{
	u32 i;

	for (i = 0; i < TFS_TREES; i++) {
		struct tfs_node *n = vol->root[i].addr & TFS_MEM_ADDR ? tfs_cache_find(vol, vol->root[i].addr) : NULL;

		if (n && n->placed)
			vol->root[i] = n->ptr;
	}
}

static int finish(struct tfs_vol *vol)
{
	struct tfs_ck *ck = &vol->ck;
	struct tfs_node *n;
	int err = 0;

	for (n = ck->frozen.first; !err && n; n = n->next)
		if (n->superseded && n->ptr.addr) {
			err = tfs_push_node_drop(vol, n->tree, &n->ptr);
			if (!err)
				n->ptr.addr = 0;
		}
	if (err)
		return err;
	for (n = vol->dirty.first; n; n = n->next)
		if (n->level)
			fill_branches(vol, n->buf);
	for (n = ck->frozen.first; n; n = n->next)
		if (n->level)
			fill_branches(vol, n->buf);
	roots_fill(vol);
	while ((n = ck->frozen.first)) {
		tfs_list_remove(&ck->frozen, n);
		tfs_cache_clean(vol, n);
	}
	if (vol->env.quiesce)
		vol->env.quiesce(vol->env.ctx, ck->epoch);
	tfs_log_keep_dead(vol, ck->epoch);
	if (vol->discard && !vol->bulk)
		tfs_pin_discard(vol, tfs_epoch_pin(ck->epoch));
	tfs_unpin_all(vol, tfs_epoch_pin(ck->epoch));
	tfs_gangs_forget(vol);
	vol->checkpoints++;
	tfs_event(vol, TFS_EVENT_CHECKPOINT_DONE, ck->epoch, 0);
	ck->state = TFS_CK_IDLE; /* the next operation or checkpoint settles the drops */
	return 0;
}

/* ---- steps ---- */

static int checkpoint_step(struct tfs_vol *vol, u32 budget)
{
	struct tfs_ck *ck = &vol->ck;
	bool all = budget == STEP_ALL;
	int err;

	if (ck->state == TFS_CK_NODES) {
		err = nodes_step(vol, &budget);
		if (err)
			return err;
		ck->state = TFS_CK_META;
	}
	if (ck->state == TFS_CK_META) {
		err = vol->bulk ? 0 : meta_step(vol);
		if (err)
			return err;
		ck->state = TFS_CK_ANCHOR;
		if (!all)
			return TFS_CHECKPOINT_SYNC;
	}
	if (ck->state == TFS_CK_ANCHOR) {
		err = vol->bulk ? 0 : anchor_step(vol);
		if (err)
			return err;
		ck->state = TFS_CK_SETTLE;
		if (!all)
			return TFS_CHECKPOINT_SYNC;
	}
	if (ck->state == TFS_CK_SETTLE) {
		err = vol->bulk ? 0 : settle_step(vol);
		if (err)
			return err;
		ck->cursor = ck->frozen.first;
		ck->state = TFS_CK_CLAIM;
	}
	err = claim_step(vol, &budget);
	if (err)
		return err;
	return !all && vol->env.quiet && !vol->env.quiet(vol->env.ctx, ck->epoch) ? TFS_CHECKPOINT_READS : finish(vol);
}

static int step_or_stop(struct tfs_vol *vol, u32 budget)
{
	int err;

	if (vol->stopped)
		return vol->stopped;
	if (vol->viewing)
		return -EBUSY;
	if (vol->ck.state == TFS_CK_IDLE) {
		err = tfs_checkpoint_begin(vol, false);
		if (err)
			return err;
	}
	err = checkpoint_step(vol, budget);
	if (err < 0 && err != -ENOMEM)
		tfs_stop(vol, err);
	return err;
}

int tfs_checkpoint_step(struct tfs_vol *vol, u32 nodes)
{
	return vol->read_only ? -EROFS : step_or_stop(vol, nodes);
}

bool tfs_checkpoint_running(const struct tfs_vol *vol)
{
	return vol->ck.state != TFS_CK_IDLE && !vol->stopped;
}

int tfs_checkpoint_run(struct tfs_vol *vol, bool clean)
{
	int err = 0;

	if (vol->ck.state != TFS_CK_IDLE)
		err = step_or_stop(vol, STEP_ALL);
	if (!err)
		err = tfs_checkpoint_begin(vol, clean);
	return err ? err : step_or_stop(vol, STEP_ALL);
}

int tfs_checkpoint_snapshot(struct tfs_vol *vol, u64 first_list, bool *gone)
{
	int err;

	TFS_BUG_ON(vol->ck.state != TFS_CK_IDLE);
	err = tfs_checkpoint_begin(vol, false);
	*gone = !err;
	if (err)
		return err;
	vol->ck.snapshot = vol->ck.epoch;
	tfs_snap_add(vol, vol->ck.epoch, first_list); /* from here on what is dropped is held */
	return vol->stepwise ? 0 : step_or_stop(vol, STEP_ALL);
}

int tfs_checkpoint_change(struct tfs_vol *vol)
{
	return vol->stepwise ? tfs_checkpoint_begin(vol, false) : tfs_checkpoint_run(vol, false);
}

int tfs_checkpoint(struct tfs_vol *vol)
{
	return vol->read_only ? -EROFS : tfs_checkpoint_run(vol, false);
}

int tfs_rest(struct tfs_vol *vol)
{
	return vol->read_only ? -EROFS : tfs_checkpoint_run(vol, true);
}
