// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Records that give a range of one window new content: WRITE places it, CLONE shares what another window holds. Always:
 * the old pieces are cut out, the new ones fit between what stays, and a place is claimed, or counted once more, with
 * the record that names it. Called by data_apply.c.
 */
#include "tfs/data_apply.h"

/* ---- WRITE ---- */

static int write_sound(struct tfs_vol *vol, const struct tfs_rec_write *r)
{
	u64 block = tfs_le64(r->block), blocks = tfs_le32(r->blocks), size = tfs_le64(r->size);

	if (tfs_le32(r->head.len) < sizeof(*r) || !blocks || blocks > TFS_WINDOW_BLOCKS || block >= TFS_BLOCK_MAX ||
	    tfs_window_first(block) != tfs_window_first(block + blocks - 1) || size > TFS_FILE_SIZE_MAX)
		return tfs_data_bad(vol, &r->head, "write record out of range");
	if (!(tfs_le16(r->head.flags) & TFS_WRITE_INLINE))
		return 0;
	if (block || blocks != 1 || !r->count || tfs_le32(r->count) > TFS_INLINE_MAX ||
	    tfs_le32(r->head.len) < sizeof(*r) + tfs_le32(r->count))
		return tfs_data_bad(vol, &r->head, "inline write record malformed");
	return 0;
}

/* New pieces into the window, their places ready to be claimed. */
static int write_pieces(struct tfs_vol *vol, const struct tfs_rec_write *r, struct tfs_window *w)
{
	const u8 *at = (const u8 *)(r + 1), *end = (const u8 *)r + tfs_le32(r->head.len);
	u64 ino = tfs_le64(r->head.ino), first = tfs_le64(r->block), last = first + tfs_le32(r->blocks);
	u32 i, n = tfs_le16(r->head.flags) & TFS_WRITE_INLINE ? 0 : tfs_le32(r->count);
	int err = 0;

	for (i = 0; !err && i < n; i++) {
		const struct tfs_extent *e = (const struct tfs_extent *)(at + 16);
		struct tfs_ptr ptr;
		le64 block;
		le32 len;

		if (end - at < 16)
			return tfs_data_bad(vol, &r->head, "write record too short");
		memcpy(&block, at, 8);
		memcpy(&len, at + 8, 4);
		if ((u64)(end - at) < 16 + (u64)((tfs_le32(len) + 7) & ~7u) || tfs_le32(len) > TFS_ITEM_MAX ||
		    tfs_item_check(TFS_TREE_FS, tfs_extent_key(ino, tfs_le64(block)), e, tfs_le32(len)))
			return tfs_data_bad(vol, &r->head, "write record's extent is malformed");
		if (tfs_le64(block) < first || tfs_le64(block) + tfs_le16(e->blocks) > last)
			return tfs_data_bad(vol, &r->head, "write record's extent is outside of its range");
		ptr = tfs_ptr_cpu(&e->ptr);
		err = tfs_window_add(vol, ino, w, tfs_le64(block), e, tfs_le32(len));
		if (!err)
			err = tfs_ptr_prepare_claim(vol, &ptr);
		at += 16 + ((tfs_le32(len) + 7) & ~7u);
	}
	return err;
}

static void write_claim(struct tfs_vol *vol, const struct tfs_rec_write *r)
{
	const u8 *at = (const u8 *)(r + 1);
	u32 i, n = tfs_le16(r->head.flags) & TFS_WRITE_INLINE ? 0 : tfs_le32(r->count);

	for (i = 0; i < n; i++) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&((const struct tfs_extent *)(at + 16))->ptr);
		le32 len;

		tfs_ptr_claim(vol, &ptr);
		memcpy(&len, at + 8, 4);
		at += 16 + ((tfs_le32(len) + 7) & ~7u);
	}
}

static bool time_before(const struct tfs_time *a, const struct tfs_time *b)
{
	s64 x = (s64)tfs_le64(a->sec), y = (s64)tfs_le64(b->sec);

	return x != y ? x < y : tfs_le32(a->nsec) < tfs_le32(b->nsec);
}

static void write_inode(struct tfs_inode *inode, const struct tfs_rec_write *r)
{
	u64 old = tfs_le64(inode->size), tail = old / TFS_BLOCK, block = tfs_le64(r->block);

	if (block <= tail && tail < block + tfs_le32(r->blocks))
		inode->flags &= tfs_cpu32(~TFS_INODE_TAIL);
	inode->size = r->size;
	if (!(tfs_le16(r->head.flags) & TFS_WRITE_TIMES))
		return;
	inode->mtime = r->head.time;
	if (time_before(&inode->ctime,
	                &r->head.time)) /* else something after the write, as a chmod, was logged first */
		inode->ctime = r->head.time;
}

/* A range of one window that is about to hold something else: WRITE and CLONE. */
struct replace {
	struct tfs_window *w;
	struct tfs_inode inode;
	struct carve carve;
	u32 inlined; /* bytes of the INLINE item that goes, 0: none */
};

static int replace_load(struct tfs_vol *vol, const struct tfs_rec_write *r, struct replace *p)
{
	u64 ino = tfs_le64(r->head.ino), block = tfs_le64(r->block), end = block + tfs_le32(r->blocks);
	int err = tfs_data_open(vol, &r->head, &p->inode, &p->inlined);

	p->w = &tfs_change_of(vol)->left;
	if (block)
		p->inlined = 0;
	if (!err)
		err = tfs_carve_load(vol, ino, block, end, &p->carve);
	if (!err)
		err = tfs_window_load(vol, ino, block, p->w);
	return err ? err : tfs_window_cut(vol, ino, p->w, block, end);
}

/* stays: bytes of the INLINE item that comes, 0: none */
static int replace_prepare(struct tfs_vol *vol, u64 ino, struct replace *p, u32 stays)
{
	int err;

	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), 0);
	if (p->inlined || stays)
		tfs_need(vol, TFS_TREE_FS, tfs_inline_key(ino), stays);
	tfs_carve_need(vol, ino, &p->carve);
	err = tfs_window_need(vol, ino, p->w);
	return err ? err : tfs_prepare(vol);
}

static void replace_apply(struct tfs_vol *vol, const struct tfs_rec_write *r, struct replace *p)
{
	u64 ino = tfs_le64(r->head.ino);

	tfs_carve_apply(vol, ino, &p->carve, &p->inode);
	tfs_window_apply(vol, ino, p->w);
	if (p->inlined)
		tfs_item_del(vol, TFS_TREE_FS, tfs_inline_key(ino));
	tfs_blocks_add(&p->inode, p->w->mapped);
	write_inode(&p->inode, r);
	tfs_data_inode_put(vol, ino, &p->inode);
}

int tfs_apply_write(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_write *r = (const struct tfs_rec_write *)rec;
	u32 stays = tfs_le16(rec->flags) & TFS_WRITE_INLINE ? tfs_le32(r->count) : 0;
	u64 ino = tfs_le64(rec->ino);
	struct replace p;
	int err = write_sound(vol, r);

	if (!err)
		err = replace_load(vol, r, &p);
	if (!err)
		err = write_pieces(vol, r, p.w);
	if (!err)
		err = replace_prepare(vol, ino, &p, stays);
	if (err)
		return err;
	replace_apply(vol, r, &p);
	write_claim(vol, r);
	if (stays)
		tfs_item_put(vol, TFS_TREE_FS, tfs_inline_key(ino), r + 1, stays);
	return 0;
}

/* ---- CLONE ---- */

static int clone_sound(struct tfs_vol *vol, const struct tfs_rec_clone *r)
{
	u64 from = tfs_le64(r->from), to = tfs_le64(r->to.block), n = tfs_le32(r->to.blocks);

	if (tfs_le32(r->to.head.len) < sizeof(*r) || tfs_le16(r->to.head.flags) & TFS_WRITE_INLINE ||
	    from >= TFS_BLOCK_MAX || n > TFS_WINDOW_BLOCKS || from % TFS_WINDOW_BLOCKS + n > TFS_WINDOW_BLOCKS ||
	    (r->source == r->to.head.ino && from < to + n && to < from + n))
		return tfs_data_bad(vol, &r->to.head, "clone record out of range");
	return write_sound(vol, &r->to);
}

/*
 * The bytes behind a file's end in its last block read as zeros when it grows. So the source's last block is shared
 * only when it is clean behind its end, and becomes a last block only where both end at the same byte.
 */
static bool clone_ends_fit(const struct tfs_rec_clone *r, const struct tfs_inode *source)
{
	u64 size = tfs_le64(r->to.size), tail = size / TFS_BLOCK, to = tfs_le64(r->to.block), from = tfs_le64(r->from);
	u64 source_size = tfs_le64(source->size), n = tfs_le32(r->to.blocks);

	if (tfs_le32(source->flags) & TFS_INODE_TAIL && source_size / TFS_BLOCK - from < n)
		return false;
	return size % TFS_BLOCK == 0 || tail - to >= n || source_size - from * TFS_BLOCK == size - to * TFS_BLOCK;
}

/* A piece of the source, as far as it lies in the range, becomes one of the window. */
static int clone_piece(struct tfs_vol *vol, const struct tfs_rec_clone *r, const struct tfs_piece *p,
                       struct tfs_window *w, struct share *s)
{
	u64 from = tfs_le64(r->from), end = from + tfs_le32(r->to.blocks);
	u64 first = p->block > from ? p->block : from, last = p->block + tfs_piece_blocks(p);
	struct tfs_piece part;
	struct tfs_ptr ptr;
	int err = 0;

	if (last > end)
		last = end;
	if (first >= last)
		return 0;
	tfs_piece_part(&part, p, (u32)(first - p->block), (u32)(last - first));
	ptr = tfs_ptr_cpu(&part.e.ptr);
	if (ptr.flags & TFS_PTR_GANG)
		return -EOPNOTSUPP;
	if (!part.e.codec || !tfs_window_uses(w, part.e.ptr.addr)) {
		err = tfs_ref_prepare_add(vol, &ptr, !part.e.codec);
		s->more[s->mores++] = ptr;
	}
	return err ? err
	           : tfs_window_add(vol, tfs_le64(r->to.head.ino), w, tfs_le64(r->to.block) + (first - from), &part.e,
	                            tfs_piece_bytes(&part));
}

static int clone_pieces(struct tfs_vol *vol, const struct tfs_rec_clone *r, struct tfs_window *w, struct share *s)
{
	struct tfs_window *source = &tfs_change_of(vol)->right;
	u64 ino = tfs_le64(r->source), from = tfs_le64(r->from);
	struct tfs_inode inode;
	u32 inlined, i;
	int err = tfs_inode_find(vol, ino, &inode);

	s->mores = 0;
	if (!err && ((tfs_le32(inode.mode) >> 12) != 8 || !clone_ends_fit(r, &inode)))
		err = -EOPNOTSUPP;
	if (!err)
		err = tfs_data_inline(vol, ino, &inlined);
	if (!err && !from && inlined)
		err = -EOPNOTSUPP;
	if (!err)
		err = tfs_window_load(vol, ino, from, source);
	for (i = 0; !err && i < source->olds; i++)
		err = clone_piece(vol, r, &source->old[i], w, s);
	return err;
}

int tfs_apply_clone(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_clone *r = (const struct tfs_rec_clone *)rec;
	struct share *s = &tfs_change_of(vol)->share;
	struct replace p;
	u32 i;
	int err = clone_sound(vol, r);

	if (!err)
		err = tfs_pending_drain(vol, tfs_le64(r->source));
	if (!err)
		err = replace_load(vol, &r->to, &p);
	if (!err)
		err = clone_pieces(vol, r, p.w, s);
	if ((err == -EOPNOTSUPP || err == -ENOENT) && tfs_replaying(vol))
		err = tfs_data_bad(vol, rec, "clone record names what cannot be shared");
	if (!err)
		err = replace_prepare(vol, tfs_le64(rec->ino), &p, 0);
	if (err)
		return err;
	replace_apply(vol, &r->to, &p);
	for (i = 0; i < s->mores; i++)
		tfs_ref_add(vol, &s->more[i]);
	return 0;
}
