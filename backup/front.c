// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The blocks that lead to a snapshot's trees, made from what a manifest says: superblock, one anchor, a checkpoint that
 * names the trees FS and REFS and nothing else. On a device that shows them the core mounts the snapshot as for a
 * repair, without SPACE and without a log. Used where a backup is read (image.c) and where one is made (pinned.c).
 */
#include "backup/backup.h"
#include "tfs/user/port.h"
#include "tfs/vol.h"

void bk_front_make(struct bk_front *f, const struct bk_manifest *m, u64 checkpoint_at)
{
	u64 volume;
	struct tfs_checkpoint *c = &f->checkpoint;
	struct tfs_anchor *a = &f->anchor;
	struct tfs_ptr ptr;

	memset(f, 0, sizeof(*f));
	memcpy(&f->super, m->super, sizeof(f->super));
	volume = tfs_le64(f->super.head.volume);
	f->checkpoint_at = checkpoint_at;
	c->epoch = a->epoch = m->epoch;
	c->root[TFS_TREE_FS] = m->fs;
	c->root[TFS_TREE_REFS] = m->refs;
	c->next_ino = m->next_ino;
	c->inodes = m->inodes;
	tfs_head_seal(&c->head, TFS_BT_CHECKPOINT, volume, sizeof(*c));
	ptr = (struct tfs_ptr){.addr = checkpoint_at / TFS_UNIT,
	                       .birth = tfs_le64(m->epoch),
	                       .crc = tfs_port_crc32c(0, c, sizeof(*c)),
	                       .len = TFS_UNITS_PER_BLOCK};
	a->checkpoint = tfs_ptr_disk(&ptr);
	a->flags = tfs_cpu32(TFS_ANCHOR_CLEAN);
	tfs_head_seal(&a->head, TFS_BT_ANCHOR, volume, sizeof(*a));
}

u64 bk_front_anchor_at(const struct bk_front *f)
{
	return TFS_ANCHOR_OFFSET + tfs_le64(f->anchor.epoch) % TFS_ANCHOR_SLOTS * TFS_BLOCK;
}

static void overlay(u64 at, const void *block, size_t len, u64 offset, u8 *buf, u32 bytes)
{
	if (at >= offset && at + TFS_BLOCK <= offset + bytes)
		memcpy(buf + (at - offset), block, len);
}

void bk_front_show(const struct bk_front *f, u64 offset, u8 *buf, u32 bytes)
{
	overlay(TFS_SUPER_OFFSET, &f->super, sizeof(f->super), offset, buf, bytes);
	overlay(bk_front_anchor_at(f), &f->anchor, sizeof(f->anchor), offset, buf, bytes);
	overlay(f->checkpoint_at, &f->checkpoint, sizeof(f->checkpoint), offset, buf, bytes);
}
