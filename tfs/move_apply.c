// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * MOVE: pieces of one window get new places and nothing else changes: not the size, not a time, not a byte. The record
 * looks like a WRITE; each of its items says what the window holds there already, with the same CRCs, at another place.
 * A raw item stands for whole blocks, whatever pieces hold them now; a compressed one for its extent, in all pieces of
 * the window that use it, and it begins at the first of them. The compactor leaves shared extents alone; in replay one
 * may be shared still, by an orphan whose content went without a record: then the window's reference goes, as in a
 * WRITE. Called by data_apply.c, live and in replay.
 */
#include "tfs/data_apply.h"

static bool move_sound(const struct tfs_rec_write *r)
{
	u64 block = tfs_le64(r->block), blocks = tfs_le32(r->blocks);

	return tfs_le32(r->head.len) >= sizeof(*r) && blocks && blocks <= TFS_WINDOW_BLOCKS && block < TFS_BLOCK_MAX &&
	       tfs_window_first(block) == tfs_window_first(block + blocks - 1) && !r->size && !r->head.flags;
}

struct item {
	u64 block;
	u32 len;
	const struct tfs_extent *e;
};

/* The item at *at, which goes behind it. */
static int item_take(struct tfs_vol *vol, const struct tfs_rec_write *r, const u8 **at, struct item *out)
{
	const u8 *end = (const u8 *)r + tfs_le32(r->head.len);
	le64 block;
	le32 len;

	if (end - *at < 16)
		return tfs_data_bad(vol, &r->head, "move record too short");
	memcpy(&block, *at, 8);
	memcpy(&len, *at + 8, 4);
	out->block = tfs_le64(block);
	out->len = tfs_le32(len);
	out->e = (const struct tfs_extent *)(*at + 16);
	if (out->len > TFS_ITEM_MAX || (u64)(end - *at) < 16 + (u64)((out->len + 7) & ~7u) ||
	    tfs_item_check(TFS_TREE_FS, tfs_extent_key(tfs_le64(r->head.ino), out->block), out->e, out->len))
		return tfs_data_bad(vol, &r->head, "move record's extent is malformed");
	if (out->block < tfs_le64(r->block) ||
	    out->block + tfs_le16(out->e->blocks) > tfs_le64(r->block) + tfs_le32(r->blocks))
		return tfs_data_bad(vol, &r->head, "move record's extent is outside of its range");
	*at += 16 + ((out->len + 7) & ~7u);
	return 0;
}

/* Does a raw piece hold block `block` with this CRC? */
static bool raw_there(const struct tfs_window *w, u64 block, le32 crc)
{
	u32 i;

	for (i = 0; i < w->news; i++) {
		const struct tfs_piece *p = &w->piece[i];

		if (!p->e.codec && p->block <= block && block < p->block + tfs_piece_blocks(p))
			return p->e.crc[block - p->block] == crc;
	}
	return false;
}

static int raw_move(struct tfs_vol *vol, u64 ino, struct tfs_window *w, const struct item *it)
{
	u32 n = tfs_le16(it->e->blocks), i;
	int err;

	for (i = 0; i < n; i++)
		if (!raw_there(w, it->block + i, it->e->crc[i]))
			return -ENOENT;
	err = tfs_window_cut(vol, ino, w, it->block, it->block + n);
	return err ? err : tfs_window_add(vol, ino, w, it->block, it->e, it->len);
}

/* The first piece that uses the extent names it. */
static struct tfs_piece *packed_there(struct tfs_window *w, const struct item *it)
{
	u32 i, j;

	for (i = 0; i < w->news && w->piece[i].block != it->block; i++)
		;
	if (i == w->news)
		return NULL;
	for (j = 0; j < i; j++)
		if (w->piece[j].e.codec && w->piece[j].e.ptr.addr == w->piece[i].e.ptr.addr)
			return NULL;
	return &w->piece[i];
}

static int packed_move(struct tfs_window *w, const struct item *it)
{
	const struct tfs_piece *p = packed_there(w, it);
	struct tfs_extent old;
	u32 i;

	if (!p)
		return -ENOENT;
	old = p->e;
	if (old.codec != it->e->codec || old.ptr.crc != it->e->ptr.crc || old.ptr.len != it->e->ptr.len ||
	    old.blocks != it->e->blocks || old.skip != it->e->skip || old.total != it->e->total ||
	    w->dead == TFS_WINDOW_BLOCKS)
		return -ENOENT;
	for (i = 0; i < w->news; i++)
		if (w->piece[i].e.codec && w->piece[i].e.ptr.addr == old.ptr.addr)
			w->piece[i].e.ptr = it->e->ptr;
	w->die[w->dead++] = (struct tfs_dying){.ptr = tfs_ptr_cpu(&old.ptr)};
	return 0;
}

static int move_pieces(struct tfs_vol *vol, const struct tfs_rec_write *r, struct tfs_window *w)
{
	const u8 *at = (const u8 *)(r + 1);
	u64 ino = tfs_le64(r->head.ino);
	u32 i, n = tfs_le32(r->count);
	int err = 0;

	for (i = 0; !err && i < n; i++) {
		struct tfs_ptr ptr;
		struct item it = {0};

		err = item_take(vol, r, &at, &it);
		if (err)
			return err;
		ptr = tfs_ptr_cpu(&it.e->ptr);
		err = it.e->codec ? packed_move(w, &it) : raw_move(vol, ino, w, &it);
		if (err == -ENOENT)
			return tfs_data_bad(vol, &r->head, "move record names content that is not there");
		if (!err)
			err = tfs_ptr_prepare_claim(vol, &ptr);
	}
	return err;
}

static void move_claim(struct tfs_vol *vol, const struct tfs_rec_write *r)
{
	const u8 *at = (const u8 *)(r + 1);
	u32 i;

	for (i = 0; i < tfs_le32(r->count); i++) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&((const struct tfs_extent *)(at + 16))->ptr);
		le32 len;

		tfs_ptr_claim(vol, &ptr);
		memcpy(&len, at + 8, 4);
		at += 16 + ((tfs_le32(len) + 7) & ~7u);
	}
}

int tfs_apply_move(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_write *r = (const struct tfs_rec_write *)rec;
	struct tfs_window *w = &tfs_change_of(vol)->left;
	u64 ino = tfs_le64(rec->ino);
	struct tfs_inode inode;
	u32 inlined;
	int err = move_sound(r) ? 0 : tfs_data_bad(vol, rec, "move record out of range");

	if (!err)
		err = tfs_data_open(vol, rec, &inode, &inlined);
	if (!err)
		err = tfs_window_load(vol, ino, tfs_le64(r->block), w);
	if (!err)
		err = move_pieces(vol, r, w);
	if (!err)
		err = tfs_window_need(vol, ino, w);
	if (!err)
		err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_window_apply(vol, ino, w);
	move_claim(vol, r);
	return 0;
}
