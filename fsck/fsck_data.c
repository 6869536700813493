// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --data: an extent's stored bytes against their checksums, that they decode to the blocks it states, and that what
 * lies behind the end of a file is zero or marked. Changes nothing but for that mark. Called by fsck_extents.c.
 */
#include "fsck/fsck_items.h"

/* The file's last block, which the extent maps if it ends inside it and says nothing of what lies behind the end. */
bool fsck_tail_here(const struct fsck_item_state *s, const struct tfs_extent *e, u64 block)
{
	u64 size = tfs_le64(s->inode.size);

	return s->have && size < TFS_FILE_SIZE_MAX && size % TFS_BLOCK && size / TFS_BLOCK >= block &&
	       size / TFS_BLOCK < block + tfs_le16(e->blocks) && !(tfs_le32(s->inode.flags) & TFS_INODE_TAIL);
}

/* data: the extent's mapped blocks, decoded. Bytes behind the end would appear when the file grows. */
static void tail_check(struct fsck_item_state *s, const u8 *data, u64 block)
{
	u64 size = tfs_le64(s->inode.size);

	data += (size / TFS_BLOCK - block) * TFS_BLOCK;
	for (u32 i = (u32)(size % TFS_BLOCK); i < TFS_BLOCK; i++)
		if (data[i]) {
			fsck_flags_wrong(s, true);
			return;
		}
}

/* The stored bytes against their checksums. 1: they differ, and that is said. */
static int crc_check(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                     const char *object)
{
	int bad = 0, err = tfs_read_ptr(s->f->vol, ptr, s->buf, e->codec != 0);

	if (err == -ENOMEM)
		return err;
	if (err) {
		fsck_problem(s->f, FSCK_DATA_BAD, object, "%s", fsck_core_message());
		return 1;
	}
	for (u32 i = 0; !e->codec && i < tfs_le16(e->blocks); i++) {
		u32 crc = tfs_port_crc32c(0, s->buf + i * TFS_BLOCK, TFS_BLOCK);

		if (crc == tfs_le32(e->crc[i]))
			continue;
		fsck_problem(s->f, FSCK_DATA_BAD, object, "block %u at unit %llu: expected CRC %08x, found %08x", i,
		             (unsigned long long)ptr->addr, tfs_le32(e->crc[i]), crc);
		bad = 1;
	}
	return bad;
}

/* What the extent's blocks decode to, NULL: they do not, and that is said. */
static const u8 *decoded(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                         const char *object)
{
	u32 total = tfs_le16(e->total);
	u8 *out = s->buf + FSCK_WINDOW_BLOCKS * TFS_BLOCK;

	if (!e->codec)
		return s->buf;
	if (!tfs_port_decompress(e->codec, out, total * TFS_BLOCK, s->buf, ptr->len * TFS_UNIT))
		return out + tfs_le16(e->skip) * TFS_BLOCK;
	fsck_problem(s->f, FSCK_DATA_CODE, object, "expected codec %u to give %u blocks from unit %llu+%u, found other",
	             e->codec, total, (unsigned long long)ptr->addr, ptr->len);
	return NULL;
}

int fsck_data_check(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr, u64 block)
{
	const u8 *data;
	char object[64];
	int err;

	fsck_item_name(s->ino, object, sizeof(object), "block", block);
	err = crc_check(s, e, ptr, object);
	if (err)
		return err < 0 ? err : 0;
	data = decoded(s, e, ptr, object);
	if (data && fsck_tail_here(s, e, block))
		tail_check(s, data, block);
	return 0;
}
