// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The log: records in one total order, gathered in memory (append cannot fail) and written as whole blocks into runs.
 * A run names the one after it, which is reserved before the first write into it. All runs since the durable anchor
 * are pinned META. A write belongs to one epoch: a checkpoint submits first. tfs_sync makes all records so far durable
 * with one flush. Any failed write stops the volume: nothing after it is acknowledged.
 */
#include "tfs/vol.h"

static u64 run_block(u64 addr)
{
	return addr / TFS_UNITS_PER_BLOCK;
}

/* ---- runs ---- */

static int run_keep(struct tfs_vol *vol, u64 addr, u32 from, u32 blocks)
{
	struct tfs_log_run *r = tfs_port_alloc(sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = tfs_pin(vol, TFS_PIN_META, run_block(addr) + from, blocks - from);
	if (err) {
		tfs_port_free(r);
		return err;
	}
	r->addr = addr;
	r->from = from;
	r->blocks = blocks;
	r->older = vol->log.runs;
	vol->log.runs = r;
	return 0;
}

/*
 * Runs of a sound log are apart from each other and from all that is pinned. So a chain of runs ends. Of the first,
 * what lies before the anchor's position is over, and may hold live data.
 */
int tfs_log_adopt(struct tfs_vol *vol, u64 addr, u32 from, u32 blocks)
{
	u32 i;

	for (i = from; i < blocks; i++)
		if (tfs_pinned(vol, run_block(addr) + i))
			return tfs_corrupt(vol, 0, "log runs overlap");
	return run_keep(vol, addr, from, blocks);
}

/* No block of a run goes to anybody else before the run is released: then all that is still pinned of it comes free. */
void tfs_log_keep_dead(struct tfs_vol *vol, u64 epoch)
{
	const struct tfs_log_run *r;

	for (r = vol->log.runs; r; r = r->older)
		tfs_pin_turn(vol, tfs_epoch_pin(epoch), TFS_PIN_META, run_block(r->addr) + r->from,
		             r->blocks - r->from);
}

/* A whole segment where there are many, else 64 KiB, at worst a block. */
static int run_find(struct tfs_vol *vol, u64 *addr, u32 *blocks)
{
	struct tfs_head *h = &vol->head[TFS_HEAD_LOG];
	u32 want = vol->segments >= 64 && vol->segment_blocks <= vol->log_share ? vol->segment_blocks : 16;
	int err = tfs_head_open(vol, TFS_HEAD_LOG, want, want);

	if (err == -ENOSPC)
		err = tfs_head_open(vol, TFS_HEAD_LOG, 16, 16);
	if (err == -ENOSPC)
		err = tfs_head_open(vol, TFS_HEAD_LOG, 1, 16);
	if (err)
		return err;
	*addr = h->from * TFS_UNITS_PER_BLOCK;
	*blocks = (u32)(h->end - h->from);
	h->pos = h->end;
	h->from = h->end = 0;
	return run_keep(vol, *addr, 0, *blocks);
}

void tfs_log_release(struct tfs_vol *vol, const struct tfs_log_position *keep)
{
	struct tfs_log_run **p = &vol->log.runs, *r;

	while (*p && (*p)->addr != keep->run)
		p = &(*p)->older;
	if (*p)
		p = &(*p)->older;
	while ((r = *p)) {
		*p = r->older;
		tfs_unpin(vol, run_block(r->addr) + r->from, r->blocks - r->from);
		tfs_port_free(r);
	}
}

void tfs_log_destroy(struct tfs_vol *vol)
{
	struct tfs_log_run *r;

	while ((r = vol->log.runs)) {
		vol->log.runs = r->older;
		tfs_port_free(r);
	}
}

int tfs_log_start(struct tfs_vol *vol)
{
	struct tfs_log_position *p = &vol->log.pos;
	u64 sequence = p->sequence;
	int err;

	memset(p, 0, sizeof(*p));
	p->sequence = sequence;
	err = run_find(vol, &p->run, &p->run_blocks);
	if (!err)
		err = run_find(vol, &p->next, &p->next_blocks);
	while (!p->generation)
		p->generation = tfs_random(vol);
	return err;
}

/* The run is full: on to the next, once the one after that is reserved. */
static int run_advance(struct tfs_vol *vol)
{
	struct tfs_log_position *p = &vol->log.pos;
	u64 addr;
	u32 blocks;
	int err = run_find(vol, &addr, &blocks);

	if (err)
		return err;
	p->run = p->next;
	p->run_blocks = p->next_blocks;
	p->offset = 0;
	p->next = addr;
	p->next_blocks = blocks;
	return 0;
}

/* ---- records ---- */

static u32 padded(u32 len)
{
	return (len + 7) & ~7u;
}

u64 tfs_log_append(struct tfs_vol *vol, const struct tfs_rec_head *rec, u32 len)
{
	struct tfs_log *log = &vol->log;
	u64 sequence = log->next++;

	if (!vol->bulk) {
		TFS_BUG_ON(log->bytes + padded(len) > TFS_LOG_BUFFER);
		memcpy(log->pending + log->bytes, rec, len);
		log->bytes += padded(len);
		log->begun++;
	}
	if (vol->env.logged)
		vol->env.logged(vol->env.ctx, sequence, rec);
	return sequence;
}

/* How many of the pending records begin in the first `bytes` bytes, and how far the last of them reaches beyond. */
static u32 records_in(const struct tfs_log *log, u32 bytes, u32 *beyond)
{
	u32 at = log->carry, n = 0;

	while (at < bytes) {
		const struct tfs_rec_head *r = (const struct tfs_rec_head *)(log->pending + at);

		at += tfs_le32(r->len);
		n++;
	}
	*beyond = at - bytes;
	return n;
}

static void head_build(struct tfs_vol *vol, struct tfs_log_head *h, u32 bytes, u32 records)
{
	const struct tfs_log_position *p = &vol->log.pos;

	memset(h, 0, sizeof(*h));
	h->generation = tfs_cpu64(p->generation);
	h->epoch = tfs_cpu64(vol->epoch);
	h->addr = tfs_cpu64(p->run + (u64)p->offset * TFS_UNITS_PER_BLOCK);
	h->run = tfs_cpu64(p->run);
	h->next = tfs_cpu64(p->next);
	h->run_blocks = tfs_cpu32(p->run_blocks);
	h->next_blocks = tfs_cpu32(p->next_blocks);
	h->sequence = tfs_cpu64(p->sequence);
	h->durable = tfs_cpu64(vol->log.durable);
	h->anchor = tfs_cpu64(vol->anchor);
	h->prev_crc = tfs_cpu32(p->prev_crc);
	h->records = tfs_cpu32(records);
	h->bytes = tfs_cpu32(bytes);
	h->carry = tfs_cpu32(vol->log.carry < bytes ? vol->log.carry : bytes);
	h->beside = tfs_cpu32(vol->log.beside);
}

/* What stands behind the next write in log->write already; the head is closed. In blocks; 0: nothing, or it was read
 * back and so written before. */
static u32 beside_take(struct tfs_vol *vol)
{
	struct tfs_head *h = &vol->head[TFS_HEAD_BESIDE];
	u32 blocks = (h->fill + TFS_BLOCK - 1) / TFS_BLOCK;

	memset(h->buf + h->fill, 0, blocks * TFS_BLOCK - h->fill);
	h->from = h->end = 0;
	h->fill = 0;
	return blocks;
}

/* One write into the current run, as much as it takes, and one block where data stands behind that. */
static int write_one(struct tfs_vol *vol)
{
	struct tfs_log *log = &vol->log;
	struct tfs_log_head *h = (struct tfs_log_head *)log->write;
	u32 room = (log->beside ? 1 : log->pos.run_blocks - log->pos.offset) * TFS_BLOCK - (u32)sizeof(*h);
	u32 bytes = log->bytes < room ? log->bytes : room, beyond, records, blocks;
	int err;

	records = records_in(log, bytes, &beyond);
	head_build(vol, h, bytes, records);
	memcpy(h + 1, log->pending, bytes);
	blocks = ((u32)sizeof(*h) + bytes + TFS_BLOCK - 1) / TFS_BLOCK;
	memset((u8 *)(h + 1) + bytes, 0, blocks * TFS_BLOCK - sizeof(*h) - bytes);
	tfs_head_seal(&h->head, TFS_BT_LOG, vol->volume, (u32)sizeof(*h) + bytes);
	err = tfs_dev_io(vol, TFS_IO_WRITE, (log->pos.run + (u64)log->pos.offset * TFS_UNITS_PER_BLOCK) * TFS_UNIT, h,
	                 (blocks + beside_take(vol)) * TFS_BLOCK, 0);
	if (err)
		return err;
	log->pos.offset += blocks + log->beside;
	log->beside = 0;
	log->pos.prev_crc = tfs_le32(h->head.crc);
	log->pos.sequence += records;
	log->blocks_used += blocks;
	vol->log_blocks += blocks;
	tfs_event(vol, TFS_EVENT_LOG_WRITE, tfs_le64(h->addr), blocks);
	log->bytes -= bytes;
	log->begun -= records;
	log->carry = log->carry > bytes ? log->carry - bytes : beyond;
	memmove(log->pending, log->pending + bytes, log->bytes);
	return 0;
}

int tfs_log_submit(struct tfs_vol *vol)
{
	int err = vol->log.bytes ? tfs_data_close(vol) : 0;

	while (!err && vol->log.bytes) {
		if (vol->log.pos.offset == vol->log.pos.run_blocks)
			err = run_advance(vol);
		if (!err)
			err = write_one(vol);
	}
	return err;
}

bool tfs_log_beside(struct tfs_vol *vol, u32 bytes)
{
	struct tfs_log *log = &vol->log;
	struct tfs_head *h = &vol->head[TFS_HEAD_BESIDE];
	u32 left = log->pos.run_blocks - log->pos.offset;

	if (!(tfs_le64(vol->super.incompat) & TFS_INCOMPAT_BESIDE) || vol->bulk || !log->pos.generation || left < 2)
		return false;
	if (!log->beside) {
		h->from = run_block(log->pos.run) + log->pos.offset + 1;
		h->end = h->from + (left - 1 < TFS_BESIDE_BLOCKS ? left - 1 : TFS_BESIDE_BLOCKS);
		h->segment = tfs_block_segment(vol, h->from);
		h->fill = 0;
	}
	/* closed, when it was read back: then the rest of it is left */
	return (h->end - h->from) * TFS_BLOCK >= (u64)((h->fill + TFS_BLOCK - 1) & ~(TFS_BLOCK - 1)) + bytes;
}

/* ---- durability ---- */

/* Data heads are closed before records are written, so a written record's data was written too. */
static struct tfs_sync_ticket ticket(const struct tfs_vol *vol)
{
	return (struct tfs_sync_ticket){vol->log.pos.sequence - (vol->log.carry != 0), vol->writes};
}

int tfs_sync_end(struct tfs_vol *vol, const struct tfs_sync_ticket *t, int flushed)
{
	if (flushed) {
		tfs_err(vol, "flush failed: error %d; nothing more is written", flushed);
		return tfs_stop(vol, flushed);
	}
	if (vol->stopped) /* by another's flush, say: what that lost, this one does not bring back */
		return vol->stopped;
	if (t->writes > vol->flushed_writes)
		vol->flushed_writes = t->writes;
	if (!vol->bulk && t->sequence > vol->log.durable) {
		vol->log.durable = t->sequence;
		if (vol->env.durable)
			vol->env.durable(vol->env.ctx, t->sequence);
	}
	return 0;
}

int tfs_flush(struct tfs_vol *vol)
{
	struct tfs_sync_ticket t = ticket(vol);

	return tfs_sync_end(vol, &t, vol->dev->ops->flush(vol->dev));
}

u64 tfs_sequence(const struct tfs_vol *vol)
{
	return vol->log.next;
}

u64 tfs_durable(const struct tfs_vol *vol)
{
	return vol->log.durable;
}

int tfs_sync_begin(struct tfs_vol *vol, struct tfs_sync_ticket *t)
{
	int err;

	if (vol->stopped)
		return vol->stopped;
	if (vol->bulk || vol->read_only)
		return 0;
	err = tfs_data_close(vol);
	if (!err)
		err = tfs_log_submit(vol);
	if (err || (vol->writes == vol->flushed_writes && vol->log.durable == vol->log.next))
		return err;
	*t = ticket(vol);
	return 1;
}

int tfs_sync(struct tfs_vol *vol)
{
	struct tfs_sync_ticket t;
	int todo = tfs_sync_begin(vol, &t);

	return todo > 0 ? tfs_flush(vol) : todo;
}
