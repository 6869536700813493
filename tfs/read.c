// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Reading a file as the volume holds it: window by window, every block against its CRC, compressed extents against
 * theirs before they are decoded. Anything that does not verify is -EIO with a message that names inode, block, place,
 * expected and found. Called by hosts and by data.c when a tail must be rewritten.
 */
#include "tfs/window.h"

#define WINDOW_BYTES (TFS_WINDOW_BLOCKS * TFS_BLOCK)

static int read_failed(struct tfs_vol *vol, u64 ino, const struct tfs_piece *p, u32 block, u32 want, u32 got)
{
	tfs_err(vol, "inode %llu block %llu at unit %llu: expected CRC %08x, found %08x; run fsck.tfs --data",
	        (unsigned long long)ino, (unsigned long long)(p->block + block),
	        (unsigned long long)tfs_le64(p->e.ptr.addr), want, got);
	return -EIO;
}

int tfs_read_raw(struct tfs_vol *vol, u64 ino, const struct tfs_piece *p, u8 *out)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&p->e.ptr);
	u32 i;
	int err = tfs_read_ptr(vol, &ptr, out, false);

	for (i = 0; !err && i < tfs_piece_blocks(p); i++) {
		u32 crc = tfs_port_crc32c(0, out + i * TFS_BLOCK, TFS_BLOCK);

		if (crc != tfs_le32(p->e.crc[i]))
			err = read_failed(vol, ino, p, i, tfs_le32(p->e.crc[i]), crc);
	}
	return err;
}

static int read_compressed(struct tfs_vol *vol, u64 ino, const struct tfs_piece *p, u8 *out)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&p->e.ptr);
	u8 *stored = tfs_scratch(vol), *whole = stored + WINDOW_BYTES;
	u32 crc, total = tfs_le16(p->e.total);
	int err;

	if (total > TFS_WINDOW_BLOCKS)
		return tfs_corrupt(vol, ino, "extent larger than a window");
	err = tfs_read_ptr(vol, &ptr, stored, false);
	if (err)
		return err;
	crc = tfs_port_crc32c(0, stored, ptr.len * TFS_UNIT);
	if (crc != ptr.crc)
		return read_failed(vol, ino, p, 0, ptr.crc, crc);
	err = tfs_port_decompress(p->e.codec, whole, total * TFS_BLOCK, stored, ptr.len * TFS_UNIT);
	if (err == -ENOMEM)
		return err;
	if (err) {
		tfs_corrupt(vol, ino, "compressed extent does not decode");
		return -EIO;
	}
	memcpy(out, whole + tfs_le16(p->e.skip) * TFS_BLOCK, tfs_piece_blocks(p) * TFS_BLOCK);
	return 0;
}

bool tfs_pending_covers(struct tfs_vol *vol, u64 ino, u64 block, int *err)
{
	struct tfs_key k = tfs_key(ino, TFS_IT_PENDING, block);
	const void *v;
	u32 len;

	*err = tfs_item_prev(vol, TFS_TREE_FS, &k, &v, &len);
	if (*err == -ENOENT)
		*err = 0;
	else if (!*err && k.a == ino && tfs_key_type(k) == TFS_IT_PENDING)
		return block - tfs_key_pos(k) < tfs_le64(((const struct tfs_pending *)v)->blocks);
	return false;
}

static int read_inline(struct tfs_vol *vol, u64 ino, u8 *out)
{
	const void *v;
	u32 len;
	int err = tfs_item_find(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_INLINE, 0), &v, &len);

	if (!err)
		memcpy(out, v, len);
	return err == -ENOENT ? 0 : err;
}

int tfs_read_window(struct tfs_vol *vol, u64 ino, u64 first, u8 *out)
{
	struct tfs_window *w = (struct tfs_window *)((u8 *)tfs_scratch(vol) + 2 * WINDOW_BYTES);
	u32 i;
	int err;

	memset(out, 0, WINDOW_BYTES);
	if (tfs_pending_covers(vol, ino, first, &err) || err)
		return err;
	err = first ? 0 : read_inline(vol, ino, out);
	if (!err)
		err = tfs_window_load(vol, ino, first, w);
	for (i = 0; !err && i < w->news; i++) {
		const struct tfs_piece *p = &w->piece[i];
		u8 *at = out + (p->block - first) * TFS_BLOCK;

		err = p->e.codec ? read_compressed(vol, ino, p, at) : tfs_read_raw(vol, ino, p, at);
	}
	return err == -EUCLEAN ? -EIO : err;
}

s64 tfs_read(struct tfs_vol *vol, u64 ino, u64 off, void *buf, u32 len)
{
	u8 *window = (u8 *)tfs_scratch(vol) + 3 * WINDOW_BYTES;
	struct tfs_inode inode;
	u32 done = 0;
	int err = tfs_inode_find(vol, ino, &inode);

	if (err)
		return err;
	if (off >= tfs_le64(inode.size))
		return 0;
	if (len > tfs_le64(inode.size) - off)
		len = (u32)(tfs_le64(inode.size) - off);
	while (done < len) {
		u64 at = off + done;
		u32 in = (u32)(at % WINDOW_BYTES), n = WINDOW_BYTES - in;

		if (n > len - done)
			n = len - done;
		err = tfs_read_window(vol, ino, tfs_window_first(at / TFS_BLOCK), window);
		if (err)
			return err;
		memcpy((u8 *)buf + done, window + in, n);
		done += n;
	}
	return done;
}
