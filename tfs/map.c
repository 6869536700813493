// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where a window lies on the device, for hosts that read it by themselves: many windows at once, without the volume's
 * lock, verified and decoded on their own threads. The places stay as they are until env.quiesce returned for the epoch
 * of the mapping (checkpoint.c calls it before what that epoch dropped is reused). Called by hosts.
 */
#include "tfs/window.h"
#include "tfs/vol.h"

_Static_assert(TFS_MAP_BLOCKS == TFS_WINDOW_BLOCKS, "a mapping is a window");

static bool inline_there(struct tfs_vol *vol, u64 ino, int *err)
{
	const void *v;
	u32 len;

	*err = tfs_item_find(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_INLINE, 0), &v, &len);
	if (*err != -ENOENT)
		return true;
	*err = 0;
	return false;
}

static bool only_tfs_read(struct tfs_vol *vol, u64 ino, u64 first, int *err)
{
	return tfs_pending_covers(vol, ino, first, err) || *err || (!first && inline_there(vol, ino, err));
}

static int piece_map(struct tfs_vol *vol, u64 ino, const struct tfs_window *w, const struct tfs_piece *p,
                     struct tfs_map *out)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&p->e.ptr);
	struct tfs_map_piece *m = &out->piece[out->pieces++];
	u32 i;

	if (ptr.flags & TFS_PTR_GANG) {
		out->direct = false;
		return 0;
	}
	m->addr = ptr.addr;
	m->units = ptr.len;
	m->crc = ptr.crc;
	m->at = (u16)(p->block - w->first);
	m->blocks = tfs_le16(p->e.blocks);
	m->skip = tfs_le16(p->e.skip);
	m->total = tfs_le16(p->e.total);
	m->codec = p->e.codec;
	for (i = 0; !m->codec && i < m->blocks; i++)
		out->crc[m->at + i] = tfs_le32(p->e.crc[i]);
	if (!tfs_space_valid(vol, ptr.addr, ptr.len) || m->total > TFS_WINDOW_BLOCKS ||
	    m->skip + m->blocks > m->total || ptr.len > TFS_WINDOW_BLOCKS * TFS_UNITS_PER_BLOCK ||
	    (!m->codec && (ptr.addr % TFS_UNITS_PER_BLOCK || ptr.len != m->blocks * TFS_UNITS_PER_BLOCK)))
		return tfs_corrupt(vol, ino, "extent out of range");
	return tfs_heads_close_over(vol, ptr.addr, ptr.len);
}

int tfs_map(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_map *out)
{
	struct tfs_window *w = (struct tfs_window *)((u8 *)tfs_scratch(vol) + 2 * TFS_WINDOW_BLOCKS * TFS_BLOCK);
	struct tfs_inode inode;
	u32 i;
	int err = tfs_inode_find(vol, ino, &inode);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->size = tfs_le64(inode.size);
	out->epoch = vol->epoch;
	out->direct = !only_tfs_read(vol, ino, tfs_window_first(block), &err);
	if (err || !out->direct)
		return err;
	err = tfs_window_load(vol, ino, block, w);
	for (i = 0; !err && i < w->news; i++)
		err = piece_map(vol, ino, w, &w->piece[i], out);
	return err;
}
