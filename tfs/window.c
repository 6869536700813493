// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One window's pieces: loading its EXTENT items, cutting a range out, adding new pieces, writing the difference back.
 * A raw piece is its 4 KiB blocks: a part cut off dies at once (unless others share it). A compressed extent is one
 * range that several pieces may use: the window's reference to it ends with the last of them, so the check is local
 * (refs.c counts windows that share one). Called by write_apply.c, range_apply.c and read.c; at most 16 pieces a
 * window.
 */
#include "tfs/window.h"

static int window_bad(struct tfs_vol *vol, u64 ino)
{
	return tfs_corrupt(vol, ino, "extents overlap or cross a window");
}

struct loading {
	struct tfs_vol *vol;
	struct tfs_window *w;
	u64 ino, at; /* up to which block there are pieces */
};

static int piece_load(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct loading *l = arg;
	struct tfs_window *w = l->w;
	struct tfs_piece *p = &w->old[w->olds];

	if (w->olds == TFS_WINDOW_BLOCKS || len > sizeof(p->bytes) || tfs_key_pos(key) < l->at)
		return window_bad(l->vol, l->ino);
	p->block = tfs_key_pos(key);
	memcpy(p->bytes, value, len);
	l->at = p->block + tfs_piece_blocks(p);
	w->olds++;
	return l->at > w->first + TFS_WINDOW_BLOCKS ? window_bad(l->vol, l->ino) : 0;
}

int tfs_window_load(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_window *w)
{
	u64 first = tfs_window_first(block);
	struct loading l = {.vol = vol, .w = w, .ino = ino, .at = first};
	int err;

	w->first = first;
	w->olds = w->dead = 0;
	w->mapped = 0;
	err = tfs_items_scan(vol, TFS_TREE_FS, tfs_extent_key(ino, first),
	                     tfs_extent_key(ino, first + TFS_WINDOW_BLOCKS), piece_load, &l);
	memcpy(w->piece, w->old, w->olds * sizeof(w->old[0]));
	w->news = w->olds;
	return err;
}

void tfs_piece_part(struct tfs_piece *out, const struct tfs_piece *p, u32 skip, u32 blocks)
{
	*out = *p;
	out->block += skip;
	out->e.blocks = tfs_cpu16((u16)blocks);
	if (p->e.codec) {
		out->e.skip = tfs_cpu16((u16)(tfs_le16(p->e.skip) + skip));
		return;
	}
	out->e.total = out->e.blocks;
	out->e.ptr.addr = tfs_cpu64(tfs_le64(p->e.ptr.addr) + (u64)skip * TFS_UNITS_PER_BLOCK);
	out->e.ptr.len = tfs_cpu16((u16)(blocks * TFS_UNITS_PER_BLOCK));
	memmove(out->e.crc, p->e.crc + skip, 4 * blocks);
}

bool tfs_window_uses(const struct tfs_window *w, le64 addr)
{
	u32 i;

	for (i = 0; i < w->news; i++)
		if (w->piece[i].e.codec && w->piece[i].e.ptr.addr == addr)
			return true;
	return false;
}

static bool addr_used(const struct tfs_window *w, le64 addr)
{
	u32 i;

	if (tfs_window_uses(w, addr))
		return true;
	for (i = 0; i < w->dead; i++)
		if (w->die[i].ptr.addr == tfs_le64(addr))
			return true;
	return false;
}

static int piece_insert(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u32 at, const struct tfs_piece *p)
{
	if (w->news == TFS_WINDOW_BLOCKS)
		return window_bad(vol, ino);
	memmove(&w->piece[at + 1], &w->piece[at], (w->news - at) * sizeof(*p));
	w->piece[at] = *p;
	w->news++;
	return 0;
}

/* Takes [from, to) out of piece i; the rest stays as up to two pieces. */
static int piece_cut(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u32 i, u64 from, u64 to)
{
	struct tfs_piece old = w->piece[i], part, gone;
	u32 head = (u32)(from - old.block), cut = (u32)(to - from), tail = tfs_piece_blocks(&old) - head - cut;
	int err = 0;

	memmove(&w->piece[i], &w->piece[i + 1], (w->news - i - 1) * sizeof(old));
	w->news--;
	if (tail) {
		tfs_piece_part(&part, &old, head + cut, tail);
		err = piece_insert(vol, ino, w, i, &part);
	}
	if (!err && head) {
		tfs_piece_part(&part, &old, 0, head);
		err = piece_insert(vol, ino, w, i, &part);
	}
	w->mapped -= cut;
	tfs_piece_part(&gone, &old, head, cut);
	if (err || (old.e.codec && addr_used(w, old.e.ptr.addr)))
		return err;
	if (w->dead == TFS_WINDOW_BLOCKS)
		return window_bad(vol, ino);
	w->die[w->dead++] = (struct tfs_dying){.ptr = tfs_ptr_cpu(&gone.e.ptr), .raw = !gone.e.codec};
	return 0;
}

int tfs_window_cut(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u64 block, u64 end)
{
	u32 i = 0;

	while (i < w->news) {
		u64 from = w->piece[i].block, to = from + tfs_piece_blocks(&w->piece[i]);
		u32 before = w->news;
		int err;

		if (to <= block || from >= end) {
			i++;
			continue;
		}
		err = piece_cut(vol, ino, w, i, from > block ? from : block, to < end ? to : end);
		if (err)
			return err;
		i += w->news >= before; /* a head stayed (or head and tail): step over it */
	}
	return 0;
}

int tfs_window_add(struct tfs_vol *vol, u64 ino, struct tfs_window *w, u64 block, const struct tfs_extent *e, u32 len)
{
	struct tfs_piece p;
	u32 i = 0;

	memset(&p, 0, sizeof(p));
	if (len > sizeof(p.bytes))
		return window_bad(vol, ino);
	p.block = block;
	memcpy(p.bytes, e, len);
	while (i < w->news && w->piece[i].block < block)
		i++;
	if (block < w->first || block + tfs_piece_blocks(&p) > w->first + TFS_WINDOW_BLOCKS ||
	    (i && w->piece[i - 1].block + tfs_piece_blocks(&w->piece[i - 1]) > block) ||
	    (i < w->news && block + tfs_piece_blocks(&p) > w->piece[i].block))
		return window_bad(vol, ino);
	w->mapped += tfs_piece_blocks(&p);
	return piece_insert(vol, ino, w, i, &p);
}

static bool piece_same(const struct tfs_piece *a, const struct tfs_piece *b)
{
	return a->block == b->block && tfs_piece_bytes(a) == tfs_piece_bytes(b) &&
	       !memcmp(a->bytes, b->bytes, tfs_piece_bytes(a));
}

/* What changes at one block: a piece goes, comes, or another one takes its place. */
struct change {
	const struct tfs_piece *was, *is; /* NULL: none */
};

/* Both lists ascend. i, j: how far they were looked at. */
static bool change_next(const struct tfs_window *w, u32 *i, u32 *j, struct change *c)
{
	while (*i < w->olds || *j < w->news) {
		const struct tfs_piece *was = *i < w->olds ? &w->old[*i] : NULL;
		const struct tfs_piece *is = *j < w->news ? &w->piece[*j] : NULL;

		c->was = was && (!is || was->block <= is->block) ? was : NULL;
		c->is = is && (!was || is->block <= was->block) ? is : NULL;
		*i += c->was != NULL;
		*j += c->is != NULL;
		if (!c->was || !c->is || !piece_same(c->was, c->is))
			return true;
	}
	return false;
}

int tfs_window_need(struct tfs_vol *vol, u64 ino, struct tfs_window *w)
{
	struct change c;
	u32 i = 0, j = 0;
	int err = 0;

	while (change_next(w, &i, &j, &c)) {
		u32 gone = c.was ? tfs_piece_bytes(c.was) : 0, come = c.is ? tfs_piece_bytes(c.is) : 0;

		tfs_need(vol, TFS_TREE_FS, tfs_extent_key(ino, (c.is ? c.is : c.was)->block), come == gone ? 0 : come);
	}
	for (i = 0; !err && i < w->dead; i++)
		err = tfs_ref_prepare_drop(vol, &w->die[i].ptr, w->die[i].raw, &w->die[i].shared);
	return err;
}

void tfs_window_apply(struct tfs_vol *vol, u64 ino, const struct tfs_window *w)
{
	struct change c;
	u32 i = 0, j = 0;

	while (change_next(w, &i, &j, &c))
		if (c.is)
			tfs_item_put(vol, TFS_TREE_FS, tfs_extent_key(ino, c.is->block), c.is->bytes,
			             tfs_piece_bytes(c.is));
		else
			tfs_item_del(vol, TFS_TREE_FS, tfs_extent_key(ino, c.was->block));
	for (i = 0; i < w->dead; i++)
		tfs_ref_drop(vol, &w->die[i].ptr, w->die[i].shared);
}
