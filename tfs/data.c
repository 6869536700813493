// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The data operations as hosts call them: place the content, build the record, commit. What the record does is in
 * data_apply.c, which replay shares. Before an operation changes a file, ranges still pending from an earlier truncate
 * or punch are dropped to the end, and a file with a dirty tail has that block rewritten before it grows past it: both
 * leave the content as it is.
 */
#include "tfs/data.h"
#include "tfs/ship.h"

#define WINDOW_BYTES (TFS_WINDOW_BLOCKS * TFS_BLOCK)

int tfs_file_find(struct tfs_vol *vol, u64 ino, struct tfs_inode *inode)
{
	int err = tfs_inode_find(vol, ino, inode);

	if (!err && (tfs_le32(inode->mode) >> 12) != 8)
		return (tfs_le32(inode->mode) >> 12) == 4 ? -EISDIR : -EINVAL;
	return err;
}

int tfs_file_open(struct tfs_vol *vol, u64 ino, struct tfs_inode *inode)
{
	int err = tfs_file_find(vol, ino, inode);

	return err ? err : tfs_pending_drain(vol, ino);
}

static enum tfs_tier write_tier(struct tfs_vol *vol)
{
	const struct tfs_counters *c = tfs_counters_of(vol);

	/* space promised before, to delayed data or by preallocation, must be there now */
	return c->delayed_blocks || c->prealloc_blocks ? TFS_TIER_FREEING : TFS_TIER_NORMAL;
}

/* ---- WRITE ---- */

void tfs_write_head(struct tfs_rec_write *r, u64 block, u32 blocks, u64 size, const struct tfs_time *mtime)
{
	r->block = tfs_cpu64(block);
	r->blocks = tfs_cpu32(blocks);
	r->size = tfs_cpu64(size);
	if (mtime) {
		r->head.flags = tfs_cpu16(tfs_le16(r->head.flags) | TFS_WRITE_TIMES);
		r->head.time = *mtime;
	}
}

static u8 *item_head(u8 *at, u64 block, u32 len)
{
	le64 b = tfs_cpu64(block);
	le32 l[2] = {tfs_cpu32(len), 0};

	memcpy(at, &b, 8);
	memcpy(at + 8, l, 8);
	return at + 16;
}

static u32 pad8(u32 n)
{
	return (n + 7) & ~7u;
}

/* One extent item behind the record so far; returns its bytes or a negative errno. done: blocks placed before. */
static int item_packed(struct tfs_vol *vol, const struct tfs_encoded *e, u64 block, u8 *at)
{
	struct tfs_extent x;
	struct tfs_ptr ptr;
	int err = tfs_place_packed(vol, e->buf, e->bytes, e->beside, &ptr);

	if (err)
		return err;
	memset(&x, 0, sizeof(x));
	x.ptr = tfs_ptr_disk(&ptr);
	x.blocks = x.total = tfs_cpu16((u16)e->blocks);
	x.codec = e->codec;
	memcpy(item_head(at, block, TFS_EXTENT_HEAD), &x, TFS_EXTENT_HEAD);
	return 16 + TFS_EXTENT_HEAD;
}

static int item_raw(struct tfs_vol *vol, const struct tfs_encoded *e, u32 done, u64 block, u8 *at, u32 *placed)
{
	const u8 *data = (const u8 *)e->buf + done * TFS_BLOCK;
	struct tfs_extent *x;
	struct tfs_ptr ptr;
	u32 i, len;
	int n = tfs_place_raw(vol, data, e->blocks - done, e->beside, &ptr);

	if (n < 0)
		return n;
	len = TFS_EXTENT_HEAD + 4 * (u32)n;
	x = (struct tfs_extent *)item_head(at, block, len);
	memset(x, 0, pad8(len));
	x->ptr = tfs_ptr_disk(&ptr);
	x->blocks = x->total = tfs_cpu16((u16)n);
	for (i = 0; i < (u32)n; i++)
		x->crc[i] = tfs_cpu32(tfs_port_crc32c(0, data + i * TFS_BLOCK, TFS_BLOCK));
	*placed = (u32)n;
	return (int)(16 + pad8(len));
}

static int write_extents(struct tfs_vol *vol, struct tfs_rec_write *r, u64 block, const struct tfs_encoded *e)
{
	u8 *at = (u8 *)(r + 1);
	u32 done = 0, placed, count = 0;
	int n;

	if (e->codec) {
		n = item_packed(vol, e, block, at);
		r->count = tfs_cpu32(1);
		return n < 0 ? n : tfs_commit(vol, (u32)(sizeof(*r) + n));
	}
	for (; done < e->blocks; done += placed, count++) {
		n = item_raw(vol, e, done, block + done, at, &placed);
		if (n < 0)
			return n;
		at += n;
	}
	r->count = tfs_cpu32(count);
	return tfs_commit(vol, (u32)(at - (u8 *)r));
}

static int write_inline(struct tfs_vol *vol, struct tfs_rec_write *r, const struct tfs_encoded *e, u64 size)
{
	r->head.flags = tfs_cpu16(tfs_le16(r->head.flags) | TFS_WRITE_INLINE);
	r->count = tfs_cpu32((u32)size);
	memcpy(r + 1, e->buf, size);
	return tfs_commit(vol, (u32)(sizeof(*r) + size));
}

int tfs_window_write(struct tfs_vol *vol, u64 ino, u64 block, const struct tfs_encoded *e, u64 size,
                     const struct tfs_time *mtime)
{
	struct tfs_rec_write *r = tfs_rec_start(vol, TFS_REC_WRITE, ino, sizeof(*r));

	tfs_write_head(r, block, e->blocks, size, mtime);
	if (!block && e->blocks == 1 && !e->codec && size && size <= TFS_INLINE_MAX)
		return write_inline(vol, r, e, size);
	return write_extents(vol, r, block, e);
}

int tfs_tail_fix(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode)
{
	u64 size = tfs_le64(inode->size), block = size / TFS_BLOCK, first = tfs_window_first(block);
	u8 *data = (u8 *)tfs_scratch(vol) + 3 * WINDOW_BYTES;
	struct tfs_encoded e = {.blocks = 1};
	int err;

	if (!(tfs_le32(inode->flags) & TFS_INODE_TAIL) || size % TFS_BLOCK == 0)
		return 0;
	err = tfs_read_window(vol, ino, first, data);
	if (err)
		return err;
	data += (block - first) * TFS_BLOCK;
	memset(data + size % TFS_BLOCK, 0, TFS_BLOCK - size % TFS_BLOCK);
	e.bytes = TFS_BLOCK;
	e.buf = data;
	return tfs_window_write(vol, ino, block, &e, size, NULL);
}

int tfs_write_check(u64 block, u32 blocks, u64 size)
{
	if (!blocks || blocks > TFS_WINDOW_BLOCKS || block >= TFS_BLOCK_MAX || size > TFS_FILE_SIZE_MAX)
		return -EFBIG;
	return tfs_window_first(block) == tfs_window_first(block + blocks - 1) ? 0 : -EINVAL;
}

int tfs_size_settle(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, u64 block, u32 blocks, u64 *size)
{
	u64 old = tfs_le64(inode->size);
	int err = 0;

	if (*size <= old) {
		*size = old;
		return 0;
	}
	if (block > old / TFS_BLOCK || block + blocks <= old / TFS_BLOCK)
		err = tfs_tail_fix(vol, ino, inode);
	return err ? err : 1;
}

int tfs_write(struct tfs_vol *vol, u64 ino, u64 block, const struct tfs_encoded *e, u64 size,
              const struct tfs_time *mtime)
{
	struct tfs_inode inode;
	int err = mtime && tfs_le32(mtime->nsec) >= 1000000000u ? -EINVAL : tfs_write_check(block, e->blocks, size);

	if (!err)
		err = tfs_op_begin(vol, write_tier(vol), e->blocks + 2);
	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err)
		err = tfs_size_settle(vol, ino, &inode, block, e->blocks, &size);
	if (err > 0)
		err = tfs_op_begin(vol, write_tier(vol), e->blocks + 2);
	if (!err)
		err = tfs_window_write(vol, ino, block, e, size, mtime);
	if (!err)
		tfs_written_note(vol, e->blocks);
	return err;
}

/* ---- TRUNCATE, PUNCH, PREALLOC ---- */

static int range_commit(struct tfs_vol *vol, int type, u32 flags, u64 ino, u64 block, u64 blocks, u64 size)
{
	struct tfs_rec_range *r = tfs_rec_start(vol, type, ino, sizeof(*r));

	r->head.flags = tfs_cpu16((u16)flags);
	r->block = tfs_cpu64(block);
	r->blocks = tfs_cpu64(blocks);
	r->size = tfs_cpu64(size);
	return tfs_commit(vol, sizeof(*r));
}

/* The operation is done: what cannot be dropped now, for whatever reason, is dropped before the next one. */
static int drain_and_tidy(struct tfs_vol *vol, u64 ino)
{
	if (!tfs_pending_drain(vol, ino))
		tfs_tidy(vol, TFS_TREE_FS, tfs_extent_key(ino, 0));
	return 0;
}

static int truncate(struct tfs_vol *vol, u64 ino, u64 size, const struct tfs_cut *cut)
{
	struct tfs_inode inode;
	int err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);

	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err && size > tfs_le64(inode.size) && tfs_le32(inode.flags) & TFS_INODE_TAIL) {
		err = tfs_tail_fix(vol, ino, &inode);
		if (!err)
			err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
	}
	if (!err)
		err = range_commit(vol, TFS_REC_TRUNCATE, cut->lines ? TFS_RANGE_LINES : 0, ino, cut->copy, 0, size);
	return err ? err : drain_and_tidy(vol, ino);
}

int tfs_truncate(struct tfs_vol *vol, u64 ino, u64 size)
{
	struct tfs_cut cut = {.from = size, .to = TFS_FILE_SIZE_MAX};
	int err = size > TFS_FILE_SIZE_MAX ? -EFBIG : tfs_cut_begin(vol, ino, false, &cut);

	if (!err)
		err = truncate(vol, ino, size, &cut);
	tfs_cut_end(vol, &cut, err);
	return err;
}

static int punch(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks, const struct tfs_cut *cut)
{
	struct tfs_inode inode;
	int err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);

	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err)
		err = range_commit(vol, TFS_REC_PUNCH, cut->lines ? TFS_RANGE_LINES : 0, ino, block, blocks, cut->copy);
	return err ? err : drain_and_tidy(vol, ino);
}

int tfs_punch(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks)
{
	struct tfs_cut cut = {0};
	int err;

	if (!blocks || block >= TFS_BLOCK_MAX)
		return blocks ? -EFBIG : -EINVAL;
	if (blocks > TFS_BLOCK_MAX - block)
		blocks = TFS_BLOCK_MAX - block;
	cut.from = block * TFS_BLOCK;
	cut.to = (block + blocks) * TFS_BLOCK;
	err = tfs_cut_begin(vol, ino, true, &cut);
	if (!err)
		err = punch(vol, ino, block, blocks, &cut);
	tfs_cut_end(vol, &cut, err);
	return err;
}

/* The next mapped range (EXTENT, INLINE or PREALLOC) that ends after `block`. False: none before end. */
struct mapped {
	u64 block, end;
	bool data, gang;
	u8 codec;
	u64 addr;
	u32 units;
};

static void mapped_place(struct mapped *m, const struct tfs_extent *e)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&e->ptr);

	m->codec = e->codec;
	m->gang = ptr.flags & TFS_PTR_GANG;
	m->addr = ptr.addr;
	m->units = ptr.len;
}

static int mapped_of_type(struct tfs_vol *vol, u64 ino, int type, u64 block, struct mapped *m)
{
	struct tfs_key k = tfs_key(ino, (u32)type, block);
	const void *v;
	u32 len, tries;
	int err = tfs_item_prev(vol, TFS_TREE_FS, &k, &v, &len);

	for (tries = 0; tries < 2; tries++) {
		if (!err && k.a == ino && tfs_key_type(k) == (u32)type) {
			m->block = tfs_key_pos(k);
			m->end =
			    m->block + (type == TFS_IT_EXTENT ? tfs_le16(((const struct tfs_extent *)v)->blocks)
			                                      : tfs_le64(((const struct tfs_prealloc *)v)->blocks));
			m->data = type == TFS_IT_EXTENT;
			if (m->data)
				mapped_place(m, v);
			if (m->end > block)
				return 1;
		}
		if (err && err != -ENOENT)
			return err;
		k = tfs_key(ino, (u32)type, block);
		err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);
	}
	return 0;
}

static int mapped_next(struct tfs_vol *vol, u64 ino, u64 block, struct mapped *m)
{
	struct mapped p = {0}; /* a promise sets only some of it */
	const void *v;
	u32 len;
	int got, err;

	if (!block && !(err = tfs_item_find(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_INLINE, 0), &v, &len))) {
		*m = (struct mapped){.end = 1, .data = true};
		return 1;
	}
	got = mapped_of_type(vol, ino, TFS_IT_EXTENT, block, m);
	if (got < 0)
		return got;
	err = mapped_of_type(vol, ino, TFS_IT_PREALLOC, block, &p);
	if (err > 0 && (!got || p.block < m->block)) {
		*m = p;
		got = 1;
	}
	return err < 0 ? err : got;
}

/* Walks the holes of [block, end): counts their blocks, and where the n-th ends (*stop). */
static s64 holes(struct tfs_vol *vol, u64 ino, u64 block, u64 end, u32 n, u64 *stop)
{
	s64 sum = 0;

	*stop = end;
	while (block < end) {
		struct mapped m;
		int got = mapped_next(vol, ino, block, &m);
		u64 to = got > 0 && m.block < end ? m.block : end;

		if (got < 0)
			return got;
		if (to > block) {
			sum += (s64)(to - block);
			if (n && !--n) {
				*stop = to;
				return sum;
			}
		}
		block = got > 0 && m.end < end ? m.end : end;
		if (got > 0 && m.block >= end)
			break;
	}
	return sum;
}

int tfs_preallocate(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks, u64 size)
{
	struct tfs_inode inode;
	u64 end = block + blocks, stop;
	s64 need;
	int err;

	if (!blocks || block >= TFS_BLOCK_MAX || blocks > TFS_BLOCK_MAX - block || size > TFS_FILE_SIZE_MAX)
		return blocks ? -EFBIG : -EINVAL;
	err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
	if (!err)
		err = tfs_file_open(vol, ino, &inode);
	if (!err && size > tfs_le64(inode.size))
		err = tfs_tail_fix(vol, ino, &inode);
	if (err)
		return err;
	need = holes(vol, ino, block, end, 0, &stop);
	if (need < 0)
		return (int)need;
	err = tfs_op_begin(vol, TFS_TIER_NORMAL, (u64)need + (u64)need / 64 + 1);
	while (!err && block < end) {
		need = holes(vol, ino, block, end, 16, &stop);
		if (need < 0)
			return (int)need;
		err = range_commit(vol, TFS_REC_PREALLOC, 0, ino, block, stop - block, stop == end ? size : 0);
		block = stop;
		if (!err && block < end)
			err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);
	}
	return err;
}

/* ---- questions ---- */

s64 tfs_seek(struct tfs_vol *vol, u64 ino, u64 off, bool hole)
{
	struct tfs_inode inode;
	u64 size, start = off, block = off / TFS_BLOCK;
	int err = tfs_file_find(vol, ino, &inode);

	if (err)
		return err;
	size = tfs_le64(inode.size);
	while (off < size) {
		struct mapped m;
		int got = mapped_next(vol, ino, block, &m);
		bool data = got > 0 && m.block <= block && m.data;

		if (got < 0)
			return got;
		if (data && tfs_pending_covers(vol, ino, block, &err))
			data = false;
		if (err)
			return err;
		if (data != hole)
			return (s64)off;
		if (got > 0 && m.block <= block)
			block = m.end;
		else if (got > 0)
			block = m.block;
		else
			break;
		off = block * TFS_BLOCK;
	}
	return hole && start < size ? (s64)(off < size ? off : size) : -ENXIO;
}

static void range_fill(const struct mapped *m, struct tfs_range *out)
{
	memset(out, 0, sizeof(*out));
	out->block = m->block;
	out->blocks = m->end - m->block;
	out->kind = !m->data ? TFS_RANGE_PREALLOC : m->units ? TFS_RANGE_DATA : TFS_RANGE_INLINE;
	out->codec = m->codec;
	out->addr = m->addr;
	out->units = m->gang ? 0 : m->units;
}

/* Of a raw range the part that ends after `block` and that others share, or none of it does. */
static int range_shared(struct tfs_vol *vol, u64 block, struct tfs_range *r)
{
	struct tfs_ptr ptr = {.addr = r->addr};
	u32 left = r->units, units;
	int got;

	for (;; ptr.addr += units, left -= units) {
		ptr.len = (u16)left;
		got = tfs_ref_shared(vol, &ptr, &units);
		r->shared = got > 0;
		if (got < 0 || r->codec)
			return got < 0 ? got : 0;
		if (units % TFS_UNITS_PER_BLOCK)
			return tfs_corrupt(vol, 0, "shared range of a part of a block");
		if (units == left || r->block + units / TFS_UNITS_PER_BLOCK > block)
			break;
		r->block += units / TFS_UNITS_PER_BLOCK;
		r->blocks -= units / TFS_UNITS_PER_BLOCK;
	}
	r->addr = ptr.addr;
	r->units = units;
	r->blocks = units / TFS_UNITS_PER_BLOCK;
	return 0;
}

int tfs_range_next(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_range *out)
{
	struct tfs_inode inode;
	struct mapped m;
	u64 from = block;
	int err = tfs_file_find(vol, ino, &inode), got;

	if (err)
		return err;
	for (;; block = m.end) {
		memset(&m, 0, sizeof(m));
		got = mapped_next(vol, ino, block, &m);
		if (got <= 0)
			return got;
		if (!m.data || !tfs_pending_covers(vol, ino, m.block, &err))
			break; /* what is pending is gone already */
	}
	range_fill(&m, out);
	if (!err && out->units)
		err = range_shared(vol, from, out);
	return err ? err : 1;
}

/* With snapshots the leaves that a write changes are growth as well, which nobody promised. */
int tfs_preallocated(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks)
{
	u64 end = block + blocks;
	struct mapped m = {0};
	int got = !tfs_snapshots_hold(vol);

	for (; got > 0 && block < end; block = m.end) {
		got = mapped_of_type(vol, ino, TFS_IT_PREALLOC, block, &m);
		if (got > 0 && m.block > block)
			got = 0;
	}
	return got;
}

int tfs_reserve(struct tfs_vol *vol, u64 blocks)
{
	u64 with = blocks + blocks / 16 + 1;
	int err = tfs_op_begin(vol, TFS_TIER_NORMAL, with);

	if (err)
		return err;
	tfs_counters_of(vol)->delayed_blocks += with;
	tfs_counters_of(vol)->delayed_windows += blocks / TFS_WINDOW_BLOCKS + 1;
	return 0;
}

void tfs_unreserve(struct tfs_vol *vol, u64 blocks)
{
	struct tfs_counters *c = tfs_counters_of(vol);
	u64 with = blocks + blocks / 16 + 1, windows = blocks / TFS_WINDOW_BLOCKS + 1;

	c->delayed_blocks -= with < c->delayed_blocks ? with : c->delayed_blocks;
	c->delayed_windows -= windows < c->delayed_windows ? windows : c->delayed_windows;
}
