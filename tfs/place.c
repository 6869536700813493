// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Placing content on the device. A head holds an open run of free blocks and fills it in ascending order through a
 * buffer: whole blocks for raw data, 512-byte units packed for nodes and compressed extents. Whole segments first,
 * then the emptiest with a long enough run, then any hole; content that finds no run at all becomes a gang of blocks.
 * What is placed is pinned META until tfs_ptr_claim makes it live, so two places never overlap, whatever fails.
 */
#include "tfs/vol.h"

static u32 blocks_of(u32 bytes)
{
	return (bytes + TFS_BLOCK - 1) / TFS_BLOCK;
}

static u64 block_units(u64 block)
{
	return block * TFS_UNITS_PER_BLOCK;
}

/* ---- runs ---- */

static bool segment_taken(const struct tfs_vol *vol, int head, u64 segment)
{
	int h;

	for (h = 0; h < TFS_HEADS; h++)
		if (h != head && vol->head[h].segment == segment)
			return true;
	return false;
}

/* The compactor moves into no victim; others go there when there is nothing else. */
static bool victim(const struct tfs_vol *vol, u64 segment)
{
	return vol->compact.victim && !vol->compact.ignored && tfs_compact_victim(vol, segment);
}

static bool run_in(struct tfs_vol *vol, struct tfs_head *h, u64 segment, u64 from, u32 min, u32 max)
{
	u64 start, n = tfs_space_find(vol, segment, from, min, max, &start);

	if (!n)
		return false;
	h->segment = segment;
	h->pos = h->from = start;
	h->end = start + n;
	h->fill = 0;
	return true;
}

/* Segments that may have it, each once, from vol->search on; all of them: no more. *seen: 0 at first. */
static u64 turn_next(struct tfs_vol *vol, u64 *seen, u32 free, u32 min)
{
	u64 all = vol->segments, start = vol->search % all;

	while (*seen < all) {
		u64 from = (start + *seen) % all, end = from < start ? start : all;
		u64 s = tfs_space_next(vol, from, end, free, min);

		*seen += s - from;
		if (s < end) {
			++*seen;
			return s;
		}
	}
	return all;
}

static bool whole_segment(struct tfs_vol *vol, int head, u32 max)
{
	u32 all = vol->segment_blocks;
	u64 seen = 0, s, start;

	while ((s = turn_next(vol, &seen, all, all)) < vol->segments) {
		u64 first = tfs_segment_block(vol, s);

		if (segment_taken(vol, head, s) || victim(vol, s))
			continue;
		if (tfs_space_find(vol, s, first, all, all, &start)) {
			vol->search = s + 1;
			return run_in(vol, &vol->head[head], s, first, max < all ? max : all, max);
		}
	}
	return false;
}

/* Segments with at least `free` free blocks, in turn. */
static bool any_segment(struct tfs_vol *vol, int head, u32 free, u32 min, u32 max)
{
	u64 seen = 0, s;

	while ((s = turn_next(vol, &seen, free, min)) < vol->segments)
		if (!victim(vol, s) && run_in(vol, &vol->head[head], s, tfs_segment_block(vol, s), min, max))
			return true;
	return false;
}

/*
 * mkfs rewrites a leaf again and again when names come in no order. Filling the device once around before anything is
 * used again would leave an image of little content and much air: so its nodes go to the first segment that is half
 * empty, as long as there are holes of BULK_HOLE blocks.
 */
#define BULK_HOLE 16u

static bool bulk_hole(struct tfs_vol *vol, int head, u32 max)
{
	u64 s, all = vol->segments;
	u32 half = vol->segment_blocks - vol->segment_blocks / 2;

	for (s = 0; (s = tfs_space_next(vol, s, all, half, BULK_HOLE)) < all; s++)
		if (!segment_taken(vol, head, s) &&
		    run_in(vol, &vol->head[head], s, tfs_segment_block(vol, s), BULK_HOLE, max))
			return true;
	return false;
}

/*
 * What is moved plugs the holes of the fullest segments: so that a victim's place is gained and not only exchanged for
 * another's. Whole segments come last.
 */
static bool fullest_segment(struct tfs_vol *vol, int head, u32 min, u32 max)
{
	u64 s, all = vol->segments;
	u32 free;

	for (free = min; free < vol->segment_blocks; free *= 2)
		for (s = 0; (s = tfs_space_next(vol, s, all, free, min)) < all; s++) {
			u32 has = vol->segment_blocks - vol->segment[s].used_blocks;

			if (has < 2 * free && has < vol->segment_blocks && !victim(vol, s) &&
			    run_in(vol, &vol->head[head], s, tfs_segment_block(vol, s), min, max))
				return true;
		}
	return false;
}

static int open_for_moves(struct tfs_vol *vol, int head, u32 min, u32 max)
{
	if (fullest_segment(vol, head, min, max) || whole_segment(vol, head, max))
		return 0;
	return -ENOSPC;
}

static int head_open(struct tfs_vol *vol, int head, u32 min, u32 max)
{
	struct tfs_head *h = &vol->head[head];
	u32 free;

	if (h->pos && !victim(vol, h->segment) && run_in(vol, h, h->segment, h->pos, min, max))
		return 0;
	if (vol->compact.moving)
		return open_for_moves(vol, head, min, max);
	if (vol->bulk && head == TFS_HEAD_NODE && min <= BULK_HOLE && bulk_hole(vol, head, max))
		return 0;
	if (whole_segment(vol, head, max))
		return 0;
	for (free = vol->segment_blocks / 2; free > min; free /= 2)
		if (any_segment(vol, head, free, min, max))
			return 0;
	return any_segment(vol, head, min, min, max) ? 0 : -ENOSPC;
}

int tfs_head_open(struct tfs_vol *vol, int head, u32 min, u32 max)
{
	int err = head_open(vol, head, min, max);

	if (err != -ENOSPC || !vol->compact.victim || vol->compact.moving)
		return err;
	vol->compact.ignored = true; /* better there than not at all */
	err = head_open(vol, head, min, max);
	vol->compact.ignored = false;
	return err;
}

int tfs_head_close(struct tfs_vol *vol, int head)
{
	struct tfs_head *h = &vol->head[head];
	u32 blocks = blocks_of(h->fill);
	u64 at = h->from;
	int err = 0;

	if (!h->end) /* closed: it goes on from where it was */
		return 0;
	h->pos = at + blocks;
	if (h->pos < h->end) /* others may have what is left */
		tfs_space_freed(vol, h->pos);
	h->from = h->end = 0;
	if (blocks) {
		memset(h->buf + h->fill, 0, blocks * TFS_BLOCK - h->fill);
		err = tfs_dev_io(vol, TFS_IO_WRITE, at << TFS_BLOCK_BITS, h->buf, blocks * TFS_BLOCK, 0);
		*(head == TFS_HEAD_NODE ? &vol->node_blocks : &vol->data_blocks) += blocks;
	}
	h->fill = 0;
	return err;
}

int tfs_data_close(struct tfs_vol *vol)
{
	int err = tfs_head_close(vol, TFS_HEAD_DATA);

	return err ? err : tfs_head_close(vol, TFS_HEAD_COLD);
}

static u32 head_room(const struct tfs_head *h)
{
	return (u32)(h->end - h->from) * TFS_BLOCK - h->fill;
}

static int head_reopen(struct tfs_vol *vol, int head, u32 min)
{
	u32 max = head == TFS_HEAD_NODE && !vol->bulk ? TFS_NODE_HEAD_BLOCKS : TFS_HEAD_BLOCKS;
	int err = tfs_head_close(vol, head);

	return err ? err : tfs_head_open(vol, head, min, max);
}

/* ---- pins of what is placed ---- */

/* A block that is forgotten is not packed into any further: it goes with what the head closes over. */
static void head_round(struct tfs_head *h)
{
	memset(h->buf + h->fill, 0, blocks_of(h->fill) * TFS_BLOCK - h->fill);
	h->fill = blocks_of(h->fill) * TFS_BLOCK;
}

/* What was claimed is not pinned any more: nothing happens to it. */
void tfs_placed_forget(struct tfs_vol *vol)
{
	u64 before = vol->pinned_blocks;
	u32 i;

	for (i = 0; i < vol->placeds; i++)
		tfs_unpin(vol, vol->placed[i].block, vol->placed[i].blocks);
	vol->placeds = 0;
	if (vol->pinned_blocks != before) {
		head_round(&vol->head[TFS_HEAD_DATA]);
		head_round(&vol->head[TFS_HEAD_COLD]);
	}
}

static void placed_note(struct tfs_vol *vol, u64 block, u32 blocks)
{
	struct tfs_placed *last = vol->placeds ? &vol->placed[vol->placeds - 1] : NULL;

	if (last && last->block + last->blocks == block)
		last->blocks += blocks;
	else if (vol->placeds < TFS_PLACED_MAX)
		vol->placed[vol->placeds++] = (struct tfs_placed){block, blocks};
}

/* Copies into the open run, which has room, and pins the blocks it begins. */
static int head_fill(struct tfs_vol *vol, int head, const void *buf, u32 bytes, u32 padded, struct tfs_ptr *out)
{
	struct tfs_head *h = &vol->head[head];
	u64 first = h->from + blocks_of(h->fill), end = h->from + blocks_of(h->fill + padded);
	int err = end > first && head != TFS_HEAD_BESIDE ? tfs_pin(vol, TFS_PIN_META, first, end - first) : 0;

	if (err)
		return err;
	if (head != TFS_HEAD_NODE && head != TFS_HEAD_BESIDE && end > first)
		placed_note(vol, first, (u32)(end - first));
	if (head == TFS_HEAD_BESIDE) /* pinned with the log's run, whether it is claimed or not */
		vol->log.beside += (u32)(end - first);
	memcpy(h->buf + h->fill, buf, bytes);
	memset(h->buf + h->fill + bytes, 0, padded - bytes);
	memset(out, 0, sizeof(*out));
	out->addr = block_units(h->from) + h->fill / TFS_UNIT;
	out->birth = vol->epoch;
	out->len = (u16)(padded / TFS_UNIT);
	h->fill += padded;
	return 0;
}

int tfs_head_blocks(struct tfs_vol *vol, int head, const void *buf, u32 blocks, struct tfs_ptr *out)
{
	struct tfs_head *h = &vol->head[head];
	u32 n;
	int err = 0;

	head_round(h);
	if (head_room(h) < blocks * TFS_BLOCK) {
		err = head_reopen(vol, head, blocks);
		if (err == -ENOSPC && !vol->compact.moving)
			err = tfs_head_open(vol, head, 1, blocks);
	}
	if (err)
		return err;
	n = head_room(h) / TFS_BLOCK < blocks ? head_room(h) / TFS_BLOCK : blocks;
	err = head_fill(vol, head, buf, n * TFS_BLOCK, n * TFS_BLOCK, out);
	return err ? err : (int)n;
}

/* ---- gangs ---- */

/* Content in several runs of whole blocks and a block that lists them. */
static int gang_place(struct tfs_vol *vol, int head, const u8 *buf, u32 bytes, struct tfs_ptr *out)
{
	struct tfs_gang_ref *ref = tfs_port_alloc(sizeof(*ref));
	u32 done = 0, total = blocks_of(bytes) * TFS_BLOCK, n = 0;
	struct tfs_ptr p;
	int got = 0;

	if (!ref)
		return -ENOMEM;
	memset(&ref->gang, 0, sizeof(ref->gang));
	while (done < total && n < TFS_GANG_RUNS) {
		u32 last = bytes - done < TFS_BLOCK;
		u8 *pad = vol->rec + TFS_REC_MAX; /* a spare block behind the record buffer */

		if (last) {
			memset(pad, 0, TFS_BLOCK);
			memcpy(pad, buf + done, bytes - done);
		}
		got = tfs_head_blocks(vol, head, last ? pad : buf + done, last ? 1 : (bytes - done) / TFS_BLOCK, &p);
		if (got < 0)
			break;
		ref->gang.run[n].addr = tfs_cpu64(p.addr);
		ref->gang.run[n].len = tfs_cpu32(p.len);
		ref->gang.run[n++].crc = tfs_cpu32(tfs_port_crc32c(0, last ? pad : buf + done, (u32)got * TFS_BLOCK));
		done += (u32)got * TFS_BLOCK;
	}
	if (got >= 0) {
		ref->gang.count = tfs_cpu32(n);
		ref->gang.bytes = tfs_cpu32(bytes);
		tfs_head_seal(&ref->gang.head, TFS_BT_GANG, vol->volume, sizeof(ref->gang));
		got = tfs_head_blocks(vol, head, &ref->gang, 1, out);
	}
	if (got < 0) {
		while (n-- && head == TFS_HEAD_NODE) /* others are noted, and forgotten with the operation */
			tfs_unpin(vol, tfs_le64(ref->gang.run[n].addr) / TFS_UNITS_PER_BLOCK,
			          tfs_le32(ref->gang.run[n].len) / TFS_UNITS_PER_BLOCK);
		tfs_port_free(ref);
		return got;
	}
	out->flags = TFS_PTR_GANG;
	out->len = (u16)((bytes + TFS_UNIT - 1) / TFS_UNIT);
	ref->addr = out->addr;
	ref->next = vol->gangs;
	vol->gangs = ref;
	return 0;
}

int tfs_head_packed(struct tfs_vol *vol, int head, const void *buf, u32 bytes, struct tfs_ptr *out)
{
	u32 padded = (bytes + TFS_UNIT - 1) & ~(TFS_UNIT - 1), crc;
	static const u8 zero[TFS_UNIT];
	int err = 0;

	if (head_room(&vol->head[head]) < padded)
		err = head_reopen(vol, head, blocks_of(padded));
	if (err == -ENOSPC && !vol->compact.moving)
		err = gang_place(vol, head, buf, bytes, out);
	else if (!err)
		err = head_fill(vol, head, buf, bytes, padded, out);
	if (err)
		return err;
	crc = tfs_port_crc32c(0, buf, bytes);
	out->crc = tfs_port_crc32c(crc, zero, padded - bytes);
	return 0;
}

static int data_head(struct tfs_vol *vol, bool beside, u32 bytes)
{
	if (vol->compact.moving)
		return TFS_HEAD_COLD;
	return beside && tfs_log_beside(vol, bytes) ? TFS_HEAD_BESIDE : TFS_HEAD_DATA;
}

int tfs_place_raw(struct tfs_vol *vol, const void *buf, u32 blocks, bool beside, struct tfs_ptr *out)
{
	return tfs_head_blocks(vol, data_head(vol, beside, blocks * TFS_BLOCK), buf, blocks, out);
}

int tfs_place_packed(struct tfs_vol *vol, const void *buf, u32 bytes, bool beside, struct tfs_ptr *out)
{
	return tfs_head_packed(vol, data_head(vol, beside, bytes), buf, bytes, out);
}

void tfs_gangs_forget(struct tfs_vol *vol)
{
	struct tfs_gang_ref *g;

	while ((g = vol->gangs)) {
		vol->gangs = g->next;
		tfs_port_free(g);
	}
}

/* -EUCLEAN, to be told from a device that fails: in replay it is a write that never was. */
static int gang_check(struct tfs_vol *vol, const struct tfs_gang *g, const struct tfs_ptr *ptr)
{
	u32 n = tfs_le32(g->count), units = 0, i;

	if (tfs_head_check(g, TFS_BT_GANG, vol->volume, sizeof(*g)) || !n || n > TFS_GANG_RUNS)
		return -EUCLEAN;
	for (i = 0; i < n; i++) {
		u32 len = tfs_le32(g->run[i].len);

		if (len % 8 || !tfs_space_valid(vol, tfs_le64(g->run[i].addr), len))
			return -EUCLEAN;
		units += len;
	}
	return units == (ptr->len + 7u) / 8 * 8 ? 0 : -EUCLEAN;
}

static int gang_get(struct tfs_vol *vol, const struct tfs_ptr *ptr, const struct tfs_gang **out)
{
	struct tfs_gang_ref *g;
	int err;

	for (g = vol->gangs; g; g = g->next)
		if (g->addr == ptr->addr)
			goto found;
	if (!tfs_space_valid(vol, ptr->addr, 8) || ptr->addr % 8)
		return -EIO;
	g = tfs_port_alloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	err = tfs_heads_close_over(vol, ptr->addr, TFS_UNITS_PER_BLOCK); /* it may have been placed just before */
	if (!err)
		err = tfs_dev_io(vol, TFS_IO_READ, ptr->addr * TFS_UNIT, &g->gang, TFS_BLOCK, 0);
	if (!err)
		err = gang_check(vol, &g->gang, ptr);
	if (err) {
		tfs_port_free(g);
		return err;
	}
	g->addr = ptr->addr;
	g->next = vol->gangs;
	vol->gangs = g;
found:
	*out = &g->gang;
	return 0;
}

/* ---- pointers ---- */

/* The i-th run of units that ptr stands for; gang NULL: just itself. */
static bool ptr_run(const struct tfs_ptr *ptr, const struct tfs_gang *gang, u32 i, u64 *addr, u32 *units)
{
	if (!gang || !i) {
		*addr = ptr->addr;
		*units = gang ? TFS_UNITS_PER_BLOCK : ptr->len;
		return !i;
	}
	if (i > tfs_le32(gang->count))
		return false;
	*addr = tfs_le64(gang->run[i - 1].addr);
	*units = tfs_le32(gang->run[i - 1].len);
	return true;
}

int tfs_ptr_runs(struct tfs_vol *vol, const struct tfs_ptr *ptr, int (*fn)(void *arg, u64 addr, u32 units), void *arg)
{
	const struct tfs_gang *gang = NULL;
	u64 addr;
	u32 units, i;
	int err = ptr->flags & TFS_PTR_GANG ? gang_get(vol, ptr, &gang) : 0;

	for (i = 0; !err && ptr_run(ptr, gang, i, &addr, &units); i++)
		err = fn(arg, addr, units);
	if (gang && vol->read_only) /* no operation is under way: memory stays bounded */
		tfs_gangs_forget(vol);
	return err;
}

static int ptr_prepare(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool live)
{
	const struct tfs_gang *gang = NULL;
	u64 addr;
	u32 units, i;
	int err = ptr->flags & TFS_PTR_GANG ? gang_get(vol, ptr, &gang) : 0;

	for (i = 0; !err && ptr_run(ptr, gang, i, &addr, &units); i++) {
		err = live && tfs_held(vol, ptr->birth) ? tfs_dead_prepare(vol, ptr->birth, addr, units)
		                                        : tfs_space_prepare(vol, addr, units);
		if (!err)
			err = tfs_space_live(vol, addr, units, live);
	}
	return err;
}

int tfs_ptr_prepare(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	int err = ptr_prepare(vol, ptr, true);

	/* what the log drops is not booked now, and a second replay must find it untouched */
	return !err && vol->repairing ? tfs_push_drop(vol, ptr) : err;
}

int tfs_ptr_prepare_claim(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	return ptr_prepare(vol, ptr, false);
}

static void ptr_mark(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool live)
{
	const struct tfs_gang *gang = NULL;
	u64 addr;
	u32 units, i;

	TFS_BUG_ON(ptr->flags & TFS_PTR_GANG && gang_get(vol, ptr, &gang)); /* prepared: in memory */
	for (i = 0; ptr_run(ptr, gang, i, &addr, &units); i++)
		if (!live && tfs_held(vol, ptr->birth))
			tfs_dead_add(vol, ptr->birth, addr, units);
		else
			tfs_space_mark(vol, addr, units, live);
}

void tfs_ptr_claim(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	ptr_mark(vol, ptr, true);
}

void tfs_ptr_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	ptr_mark(vol, ptr, false);
}

/* ---- reading ---- */

/* What is still in a head's buffer must reach the device before it is read back. */
int tfs_heads_close_over(struct tfs_vol *vol, u64 addr, u32 units)
{
	int h, err = 0;

	for (h = 0; h < TFS_HEADS && !err; h++)
		if (vol->head[h].fill && addr + units > block_units(vol->head[h].from) &&
		    addr < block_units(vol->head[h].end))
			err = tfs_head_close(vol, h);
	return err;
}

/* Whole blocks are read; the units asked for are copied out of the bounce buffer when the ends do not fit. */
static int read_units(struct tfs_vol *vol, u64 addr, u32 units, u8 *buf)
{
	u64 first = addr / 8, end = (addr + units + 7) / 8;
	u8 *bounce;
	int err = tfs_heads_close_over(vol, addr, units);

	if (err)
		return err;
	if (addr % 8 == 0 && units % 8 == 0)
		return tfs_dev_io(vol, TFS_IO_READ, first * TFS_BLOCK, buf, units * TFS_UNIT, 0);
	bounce = tfs_port_alloc((size_t)(end - first) * TFS_BLOCK);
	if (!bounce)
		return -ENOMEM;
	err = tfs_dev_io(vol, TFS_IO_READ, first * TFS_BLOCK, bounce, (u32)(end - first) * TFS_BLOCK, 0);
	if (!err)
		memcpy(buf, bounce + addr % 8 * TFS_UNIT, units * TFS_UNIT);
	tfs_port_free(bounce);
	return err;
}

static int gang_read(struct tfs_vol *vol, const struct tfs_ptr *ptr, u8 *buf)
{
	const struct tfs_gang *gang;
	u32 done = 0, want = ptr->len, i;
	int err = tfs_heads_close_over(vol, ptr->addr, 8);

	if (!err)
		err = gang_get(vol, ptr, &gang);
	for (i = 0; !err && i < tfs_le32(gang->count); i++) {
		u32 units = tfs_le32(gang->run[i].len);

		if (units > want - done)
			units = want - done;
		err = read_units(vol, tfs_le64(gang->run[i].addr), units, buf + done * TFS_UNIT);
		done += units;
	}
	return err;
}

int tfs_read_ptr(struct tfs_vol *vol, const struct tfs_ptr *ptr, void *buf, bool crc)
{
	u32 found;
	int err;

	if (!(ptr->flags & TFS_PTR_GANG) && !tfs_space_valid(vol, ptr->addr, ptr->len))
		return -EIO;
	err = ptr->flags & TFS_PTR_GANG ? gang_read(vol, ptr, buf) : read_units(vol, ptr->addr, ptr->len, buf);
	if (err || !crc)
		return err;
	found = tfs_port_crc32c(0, buf, ptr->len * TFS_UNIT);
	if (found == ptr->crc)
		return 0;
	tfs_err(vol, "units %llu+%u: expected CRC %08x, found %08x; run fsck.tfs --data", (unsigned long long)ptr->addr,
	        ptr->len, ptr->crc, found);
	return -EIO;
}
