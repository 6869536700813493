// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * New places for pieces of one window: read, verified, placed and logged as a MOVE record, which move_apply.c applies.
 * Nothing that can be read changes. Raw pieces that follow each other in the file become one. Which pieces go, and why,
 * is the caller's: the compactor empties segments (compact.c), defrag.c joins what is scattered. Under the same lock as
 * any operation.
 */
#include "tfs/move.h"

int tfs_move_begin(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_mover *m)
{
	int err = tfs_op_begin(vol, TFS_TIER_COMPACT, TFS_WINDOW_BLOCKS + 2);

	memset(m, 0, sizeof(*m));
	m->vol = vol;
	m->ino = ino;
	m->w = &tfs_change_of(vol)->right;
	m->data = (u8 *)tfs_scratch(vol) + TFS_SCRATCH - TFS_WINDOW_BLOCKS * TFS_BLOCK;
	if (!err)
		err = tfs_pending_step(vol, ino);
	return err ? err : tfs_window_load(vol, ino, block, m->w);
}

int tfs_move_alone(struct tfs_mover *m, u32 piece)
{
	const struct tfs_extent *e = &m->w->piece[piece].e;
	struct tfs_ptr ptr = tfs_ptr_cpu(&e->ptr);
	int keys = tfs_ref_keys(m->vol, &ptr, !e->codec);

	return keys < 0 ? keys : !keys;
}

static void item_begin(struct tfs_mover *m, u64 block, u32 len, const struct tfs_extent *head)
{
	le64 b = tfs_cpu64(block);
	le32 l[2] = {tfs_cpu32(len), 0};

	memcpy(m->at, &b, 8);
	memcpy(m->at + 8, l, 8);
	memset(m->at + 16, 0, (len + 7) & ~7u);
	memcpy(m->at + 16, head, TFS_EXTENT_HEAD);
}

static void item_end(struct tfs_mover *m, u32 len)
{
	m->at += 16 + ((len + 7) & ~7u);
	m->count++;
}

/* Pieces [i, i + n), which follow each other in the file, become one. */
static int raw_move(struct tfs_mover *m, u32 i, u32 n)
{
	struct tfs_extent *e = (struct tfs_extent *)(m->at + 16), head = {0};
	u32 done = 0, len, j, k;
	struct tfs_ptr ptr;
	int got;

	for (j = i; j < i + n; j++) {
		const struct tfs_piece *p = &m->w->piece[j];
		int err = tfs_read_raw(m->vol, m->ino, p, m->data + done * TFS_BLOCK);

		if (err)
			return err;
		done += tfs_piece_blocks(p);
	}
	got = tfs_place_raw(m->vol, m->data, done, false, &ptr);
	if (got < 0)
		return got;
	len = TFS_EXTENT_HEAD + 4 * done;
	head.ptr = tfs_ptr_disk(&ptr);
	head.blocks = head.total = tfs_cpu16((u16)done);
	item_begin(m, m->w->piece[i].block, len, &head);
	for (j = i, done = 0; j < i + n; j++)
		for (k = 0; k < tfs_piece_blocks(&m->w->piece[j]); k++)
			e->crc[done++] = m->w->piece[j].e.crc[k];
	item_end(m, len);
	m->blocks += done;
	return 0;
}

static int packed_move(struct tfs_mover *m, const struct tfs_piece *p)
{
	struct tfs_ptr old = tfs_ptr_cpu(&p->e.ptr), ptr;
	struct tfs_extent e = p->e;
	int err;

	if (old.len > TFS_WINDOW_BLOCKS * TFS_UNITS_PER_BLOCK)
		return -ENOSPC; /* of another version: it stays */
	err = tfs_read_ptr(m->vol, &old, m->data, true);
	if (!err)
		err = tfs_place_packed(m->vol, m->data, old.len * TFS_UNIT, false, &ptr);
	if (err)
		return err;
	e.ptr = tfs_ptr_disk(&ptr);
	item_begin(m, p->block, TFS_EXTENT_HEAD, &e);
	item_end(m, TFS_EXTENT_HEAD);
	m->blocks += (old.len + TFS_UNITS_PER_BLOCK - 1u) / TFS_UNITS_PER_BLOCK;
	return 0;
}

/* How many pieces from i on can become one: raw, chosen, and without a hole between them. */
static u32 row_of(const struct tfs_mover *m, u32 i)
{
	u32 n = 1;

	while (i + n < m->w->news && m->go[i + n] && !m->w->piece[i + n].e.codec &&
	       m->w->piece[i + n].block == m->w->piece[i + n - 1].block + tfs_piece_blocks(&m->w->piece[i + n - 1]))
		n++;
	return n;
}

/* What finds no place, or does not match its CRC (which was said), stays where it is. */
static int stays(struct tfs_mover *m, int err, u32 n)
{
	if ((err != -ENOSPC && err != -EIO) || m->vol->stopped)
		return err;
	*(err == -EIO ? &m->bad : &m->lost) += n;
	return 0;
}

/* As one, or (unless that is what it is moved for) each by itself where there is no room for that. */
static int row_move(struct tfs_mover *m, u32 i, u32 n)
{
	int err = raw_move(m, i, n);
	u32 j;

	if (n == 1 || m->rows || err != -ENOSPC)
		return stays(m, err, n);
	for (err = 0, j = i; !err && j < i + n; j++)
		err = stays(m, raw_move(m, j, 1), 1);
	return err;
}

static int pieces_move(struct tfs_mover *m)
{
	u32 i, n;
	int err = 0;

	for (i = 0; !err && i < m->w->news; i += n) {
		const struct tfs_piece *p = &m->w->piece[i];

		n = m->go[i] && !p->e.codec ? row_of(m, i) : 1;
		if (m->go[i])
			err = p->e.codec ? stays(m, packed_move(m, p), 1) : row_move(m, i, n);
	}
	return err;
}

int tfs_move(struct tfs_mover *m)
{
	struct tfs_rec_write *r = tfs_rec_start(m->vol, TFS_REC_MOVE, m->ino, sizeof(*r));
	int err;

	m->at = (u8 *)(r + 1);
	m->vol->compact.moving = true;
	err = pieces_move(m);
	m->vol->compact.moving = false;
	if (err || !m->count)
		return err;
	r->block = tfs_cpu64(m->w->first);
	r->blocks = tfs_cpu32(TFS_WINDOW_BLOCKS);
	r->count = tfs_cpu32(m->count);
	err = tfs_commit(m->vol, (u32)(m->at - (u8 *)r));
	if (!err)
		m->vol->moved_blocks += m->blocks;
	return err;
}

int tfs_move_places(struct tfs_vol *vol, bool *again)
{
	struct tfs_compact *c = &vol->compact;

	if (vol->moved_blocks - c->moved < vol->segment_blocks)
		return 0;
	c->moved = vol->moved_blocks;
	*again = true;
	return tfs_checkpoint_run(vol, false);
}
