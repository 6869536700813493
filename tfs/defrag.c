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

/* Do the pieces i and i + 1 follow each other on the device, too, or lie in one compressed extent? */
static bool joined(const struct tfs_window *w, u32 i)
{
	u64 a = tfs_le64(w->piece[i].e.ptr.addr), b = tfs_le64(w->piece[i + 1].e.ptr.addr);

	return a == b || a + tfs_le16(w->piece[i].e.ptr.len) == b;
}

/* In how many places the window lies. */
static u32 places_of(const struct tfs_window *w)
{
	u32 n = w->news ? 1 : 0, i;

	for (i = 0; i + 1 < w->news; i++)
		n += !joined(w, i);
	return n;
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
	u64 s = 0, all = vol->segments;

	for (; (s = tfs_space_next(vol, s, all, blocks, blocks)) < all; s++)
		if (!(vol->compact.victim && tfs_compact_victim(vol, s)) &&
		    (vol->segment[s].used_blocks || !tfs_segment_busy(vol, s))) /* the log's: nothing in it is live */
			return true;
	return false;
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
	return err;
}

/* What became of one window. */
struct outcome {
	bool joined, lacks, again; /* again: it is to be looked at once more, since places came free */
};

/* 1: content is being dropped there, a step of which was done. */
static int window_try(struct tfs_vol *vol, struct tfs_defrag *d, struct outcome *o)
{
	bool chosen = false;
	struct tfs_mover m;
	int err = tfs_move_begin(vol, d->ino, d->block, &m);

	o->lacks = o->again = false;
	if (err == -ENOSPC) {
		err = tfs_move_places(vol, &o->again);
		return err || o->again ? err : -ENOSPC;
	}
	if (err)
		return err;
	m.rows = true;
	err = rows_choose(&m, d->places, &chosen, &o->lacks);
	if (!err && chosen)
		err = tfs_move(&m);
	d->moved += m.blocks;
	o->joined |= m.count != 0;
	o->lacks |= m.lost != 0;
	return err || !o->lacks ? err : tfs_move_places(vol, &o->again);
}

/* 1: not done with it yet. */
static int window_do(struct tfs_vol *vol, struct tfs_defrag *d)
{
	struct tfs_window *w = &tfs_change_of(vol)->right;
	struct outcome o = {false, false, false};
	int err = tfs_window_load(vol, d->ino, d->block, w);
	u32 places = places_of(w);

	if (!err && places >= d->places && !d->look)
		do
			err = window_try(vol, d, &o);
		while (!err && o.again);
	if (err)
		return err;
	d->windows++;
	d->scattered += places > 1;
	d->joined += o.joined;
	d->lacking += o.lacks;
	return 0;
}

/* On to the next window that an extent maps: 1; 0: no more; 2: so many items were looked at. */
static int window_next(struct tfs_vol *vol, struct tfs_defrag *d, u32 *items)
{
	struct tfs_key k = tfs_extent_key(d->ino, d->block);

	for (; *items; --*items) {
		const void *v;
		u32 len;
		int err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len);

		if (err == -ENOENT || (!err && k.a > d->last))
			return 0;
		if (err)
			return err;
		d->ino = k.a;
		d->block = 0;
		if (tfs_key_type(k) == TFS_IT_EXTENT) {
			d->block = tfs_window_first(tfs_key_pos(k));
			return 1;
		}
		if (tfs_key_type(k) > TFS_IT_EXTENT) {
			if (k.a == d->last)
				return 0;
			d->ino++;
		}
		k = tfs_extent_key(d->ino, 0);
	}
	return 2;
}

int tfs_defrag_step(struct tfs_vol *vol, struct tfs_defrag *d, u32 blocks)
{
	u32 looked, items = blocks * TFS_WINDOW_BLOCKS;
	u64 moved = d->moved;

	for (looked = 0; looked < blocks && d->moved - moved < blocks; looked++) {
		int err = window_next(vol, d, &items);

		if (err != 1)
			return err < 0 ? err : err != 0;
		err = window_do(vol, d);
		if (err < 0)
			return err;
		if (!err)
			d->block += TFS_WINDOW_BLOCKS;
	}
	return 1;
}
