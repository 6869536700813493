// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Defragmentation: raw content of a window that lies in several places, as overwrites at random leave it, comes to lie
 * in one, so that reading the file in order takes one request a window and not one a block. By MOVE records, as the
 * compactor's: nothing that can be read changes, and a crash at any point leaves what was or what is. What a snapshot
 * holds stays where it is (a second copy would be growth, and the snapshot's stays scattered), as does what is shared, and
 * compressed content, which lies in one piece. In steps that a host calls, under the same lock as any operation; where
 * one begins is the caller's, so nothing is remembered in between.
 */
#include "tfs/move.h"

/* Do the pieces i and i + 1 follow each other on the device, too? */
static bool joined(const struct tfs_window *w, u32 i)
{
	const struct tfs_piece *p = &w->piece[i];

	return tfs_le64(p->e.ptr.addr) + tfs_le16(p->e.ptr.len) == tfs_le64(w->piece[i + 1].e.ptr.addr);
}

/* A row of pieces without a hole between them that may all be moved, from i on: how many. */
static int row_of(struct tfs_mover *m, u32 i, u32 *n)
{
	const struct tfs_window *w = m->w;
	int err;

	for (*n = 0; i < w->news; i++, ++*n) {
		const struct tfs_piece *p = &w->piece[i];

		if (p->e.codec || tfs_held(m->vol, tfs_le64(p->e.ptr.birth)) ||
		    (*n && p->block != p[-1].block + tfs_piece_blocks(&p[-1])))
			break;
		err = tfs_move_alone(m, i);
		if (err <= 0)
			return err;
	}
	return 0;
}

/* Asked before 64 KiB are read: is there a hole for so many blocks? */
static bool hole_likely(struct tfs_vol *vol, u32 blocks)
{
	return tfs_space_next(vol, 0, vol->segments, blocks, blocks) < vol->segments;
}

/* Rows that lie in at least `places` go, if there is a hole for them; *lacks: there is none for one. */
static int rows_choose(struct tfs_mover *m, u32 places, bool *chosen, bool *lacks)
{
	u32 i, n, j, in, blocks;
	int err = 0;

	for (i = 0; !err && i < m->w->news; i += n ? n : 1) {
		err = row_of(m, i, &n);
		for (in = blocks = 0, j = i; j < i + n; j++) {
			in += j == i || !joined(m->w, j - 1);
			blocks += tfs_piece_blocks(&m->w->piece[j]);
		}
		if (in < places)
			continue;
		if (!hole_likely(m->vol, blocks)) {
			*lacks = true;
			continue;
		}
		for (j = i; j < i + n; j++)
			m->go[j] = true;
		*chosen = true;
	}
	tfs_need_reset(m->vol);
	return err;
}

/* In how many places the window lies. */
static u32 places_of(const struct tfs_window *w)
{
	u32 n = w->news ? 1 : 0, i;

	for (i = 0; i + 1 < w->news; i++)
		n += !joined(w, i);
	return n;
}

static int window_look(struct tfs_vol *vol, struct tfs_defrag *d)
{
	struct tfs_window *w = &tfs_change_of(vol)->right;
	int err = tfs_window_load(vol, d->ino, d->block, w);

	if (err)
		return err;
	d->windows++;
	d->scattered += places_of(w) > 1;
	return 0;
}

/* *again: the window is to be looked at once more. */
static int window_join(struct tfs_vol *vol, struct tfs_defrag *d, bool *again)
{
	bool chosen = false, lacks = false;
	struct tfs_mover m;
	int err = tfs_move_begin(vol, d->ino, d->block, &m);

	*again = err > 0;
	if (err == -ENOSPC) {
		err = tfs_move_places(vol, again);
		return err || *again ? err : -ENOSPC;
	}
	if (err)
		return err < 0 ? err : 0;
	d->windows++;
	d->scattered += places_of(m.w) > 1;
	m.rows = true;
	err = rows_choose(&m, d->places, &chosen, &lacks);
	if (!err && chosen)
		err = tfs_move(&m);
	d->moved += m.blocks;
	d->joined += m.count != 0;
	if (err || (!m.lost && !lacks))
		return err;
	err = tfs_move_places(vol, again);
	if (*again) { /* it is counted then */
		d->windows--;
		d->scattered--;
		d->joined -= m.count != 0;
	}
	return err;
}

/* On to the next window that an extent maps: 1; 0: no more. */
static int window_next(struct tfs_vol *vol, struct tfs_defrag *d)
{
	struct tfs_key k = tfs_extent_key(d->ino, d->block);

	for (;;) {
		const void *v;
		u32 len, type;
		int err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);

		if (err == -ENOENT || (!err && k.a > d->last))
			return 0;
		if (err)
			return err;
		type = tfs_key_type(k);
		if (type == TFS_IT_EXTENT) {
			d->ino = k.a;
			d->block = tfs_window_first(tfs_key_pos(k));
			return 1;
		}
		k = type < TFS_IT_EXTENT ? tfs_extent_key(k.a, 0) : (struct tfs_key){k.a + 1, 0};
	}
}

int tfs_defrag_step(struct tfs_vol *vol, struct tfs_defrag *d, u32 blocks)
{
	u64 moved = d->moved;
	u32 looked = 0;
	int err = 1;

	while (err > 0 && looked < blocks && d->moved - moved < blocks) {
		bool again = false;

		err = window_next(vol, d);
		if (err <= 0)
			return err;
		err = d->look ? window_look(vol, d) : window_join(vol, d, &again);
		if (err)
			return err;
		if (!again)
			d->block += TFS_WINDOW_BLOCKS;
		looked++;
		err = 1;
	}
	return 1;
}
