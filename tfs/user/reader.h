/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The volume view: all that a tool needs to look at files, whatever kind of volume they are in. Ours and the Nanos
 * kernel's stand behind it; the calls, their answers and errors are those of tfs.h by the same names. Used by dump.tfs,
 * mkfs.tfs --image and tfs-fuse.
 */
#ifndef TFS_USER_READER_H
#define TFS_USER_READER_H

#include "tfs/tfs.h"

struct nanos_vol;

struct tfs_reader_ops {
	int (*getattr)(void *vol, u64 ino, struct tfs_attr *out);
	int (*lookup)(void *vol, u64 dir, const char *name, u32 len, u64 *ino, u8 *type);
	int (*readdir)(void *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg);
	int (*readlink)(void *vol, u64 ino, char *buf, u32 size);
	s64 (*read)(void *vol, u64 ino, u64 off, void *buf, u32 len);
	s64 (*seek)(void *vol, u64 ino, u64 off, bool hole);
	int (*listxattr)(void *vol, u64 ino, char *buf, u32 size);
	int (*getxattr)(void *vol, u64 ino, const char *name, u32 len, void *buf, u32 size);
	u64 (*inodes)(void *vol); /* about how many there are, for progress */
};
struct tfs_reader {
	const struct tfs_reader_ops *ops;
	void *vol;
};
struct tfs_reader tfs_reader_of(struct tfs_vol *vol);
struct tfs_reader tfs_reader_of_nanos(struct nanos_vol *vol);

static inline int tfs_reader_getattr(const struct tfs_reader *r, u64 ino, struct tfs_attr *out)
{
	return r->ops->getattr(r->vol, ino, out);
}
static inline int tfs_reader_lookup(const struct tfs_reader *r, u64 dir, const char *name, u32 len, u64 *ino, u8 *type)
{
	return r->ops->lookup(r->vol, dir, name, len, ino, type);
}
static inline int tfs_reader_readdir(const struct tfs_reader *r, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg)
{
	return r->ops->readdir(r->vol, dir, pos, emit, arg);
}
static inline int tfs_reader_readlink(const struct tfs_reader *r, u64 ino, char *buf, u32 size)
{
	return r->ops->readlink(r->vol, ino, buf, size);
}
static inline s64 tfs_reader_read(const struct tfs_reader *r, u64 ino, u64 off, void *buf, u32 len)
{
	return r->ops->read(r->vol, ino, off, buf, len);
}
static inline s64 tfs_reader_seek(const struct tfs_reader *r, u64 ino, u64 off, bool hole)
{
	return r->ops->seek(r->vol, ino, off, hole);
}
static inline int tfs_reader_listxattr(const struct tfs_reader *r, u64 ino, char *buf, u32 size)
{
	return r->ops->listxattr(r->vol, ino, buf, size);
}
static inline int tfs_reader_getxattr(const struct tfs_reader *r, u64 ino, const char *name, u32 len, void *buf,
                                      u32 size)
{
	return r->ops->getxattr(r->vol, ino, name, len, buf, size);
}
static inline u64 tfs_reader_inodes(const struct tfs_reader *r)
{
	return r->ops->inodes(r->vol);
}

#endif
