// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --data: an extent's stored bytes against their checksums, that they decode to the blocks it states, and that what
 * lies behind the end of a file is zero or marked. Changes nothing but for that mark. Called by fsck_extents.c.
 */
#include "fsck/fsck_items.h"
#include "tfs/user/damage.h"

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

int fsck_bad(void *arg, const struct tfs_bad *b)
{
	char object[TFS_DAMAGE_TEXT], detail[TFS_DAMAGE_TEXT];
	struct fsck *f = arg;
	enum fsck_problem p = b->kind == TFS_BAD_CODE ? FSCK_DATA_CODE : FSCK_DATA_BAD;

	tfs_damage_object(b, object, sizeof(object));
	tfs_damage_detail(b, detail, sizeof(detail));
	fsck_problem(f, p, object, "%s", detail);
	return 0;
}

int fsck_data_check(struct fsck_item_state *s, const struct tfs_extent *e, u64 block)
{
	struct tfs_key key = fsck_key(s->ino, TFS_IT_EXTENT, block);
	int bad = tfs_data_verify(s->f->vol, key, e, s->buf, fsck_bad, s->f);

	if (bad)
		return bad == -ENOMEM ? bad : 0;
	if (fsck_tail_here(s, e, block))
		tail_check(s, e->codec ? s->buf + TFS_VERIFY_UNITS * TFS_UNIT + tfs_le16(e->skip) * TFS_BLOCK : s->buf,
		           block);
	return 0;
}
