// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A volume of ours as what mkfs.tfs fills: each call is the core's of its name. */
#include "mkfs/sink.h"

static int ours_create(struct mkfs_fill *f, u64 parent, const char *name, u32 len, const struct tfs_create *c, u64 *ino)
{
	return tfs_create(f->vol, parent, name, len, c, ino);
}

static int ours_lookup(struct mkfs_fill *f, u64 parent, const char *name, u32 len, u64 *ino, u8 *type)
{
	return tfs_lookup(f->vol, parent, name, len, ino, type);
}

static int ours_getattr(struct mkfs_fill *f, u64 ino, struct tfs_attr *out)
{
	return tfs_getattr(f->vol, ino, out);
}

static int ours_setattr(struct mkfs_fill *f, u64 ino, u32 mask, const struct tfs_attr *a)
{
	return tfs_setattr(f->vol, ino, mask, a);
}

static int ours_setxattr(struct mkfs_fill *f, u64 ino, const char *name, u32 len, const void *value, u32 value_len)
{
	return tfs_setxattr(f->vol, ino, name, len, value, value_len, 0);
}

static int ours_link(struct mkfs_fill *f, u64 ino, u64 parent, const char *name, u32 len)
{
	return tfs_link(f->vol, ino, parent, name, len);
}

static int ours_unlink(struct mkfs_fill *f, u64 parent, const char *name, u32 len, bool dir, u64 *ino)
{
	return tfs_unlink(f->vol, parent, name, len, dir, ino);
}

static int ours_evict(struct mkfs_fill *f, u64 ino)
{
	int err;

	do
		err = tfs_evict(f->vol, ino);
	while (err > 0);
	return err;
}

static int ours_truncate(struct mkfs_fill *f, u64 ino, u64 size)
{
	return tfs_truncate(f->vol, ino, size);
}

const struct mkfs_sink_ops mkfs_sink_ours = {ours_create,   ours_lookup,    ours_getattr, ours_setattr,
                                             ours_setxattr, ours_link,      ours_unlink,  ours_evict,
                                             ours_truncate, mkfs_twins_put, mkfs_grow};
