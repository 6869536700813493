// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The two kinds of volume behind the view. Each function passes on to the one of its name. */
#include "tfs/user/reader.h"
#include "tfs/nanos/nanos.h"

#define CALL(kind, type)                                                                                               \
	static int kind##_getattr(void *vol, u64 ino, struct tfs_attr *out)                                            \
	{                                                                                                              \
		return type##_getattr(vol, ino, out);                                                                  \
	}                                                                                                              \
	static int kind##_lookup(void *vol, u64 dir, const char *name, u32 len, u64 *ino, u8 *t)                       \
	{                                                                                                              \
		return type##_lookup(vol, dir, name, len, ino, t);                                                     \
	}                                                                                                              \
	static int kind##_readdir(void *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg)                           \
	{                                                                                                              \
		return type##_readdir(vol, dir, pos, emit, arg);                                                       \
	}                                                                                                              \
	static int kind##_readlink(void *vol, u64 ino, char *buf, u32 size)                                            \
	{                                                                                                              \
		return type##_readlink(vol, ino, buf, size);                                                           \
	}                                                                                                              \
	static s64 kind##_read(void *vol, u64 ino, u64 off, void *buf, u32 len)                                        \
	{                                                                                                              \
		return type##_read(vol, ino, off, buf, len);                                                           \
	}                                                                                                              \
	static s64 kind##_seek(void *vol, u64 ino, u64 off, bool hole)                                                 \
	{                                                                                                              \
		return type##_seek(vol, ino, off, hole);                                                               \
	}                                                                                                              \
	static int kind##_listxattr(void *vol, u64 ino, char *buf, u32 size)                                           \
	{                                                                                                              \
		return type##_listxattr(vol, ino, buf, size);                                                          \
	}                                                                                                              \
	static int kind##_getxattr(void *vol, u64 ino, const char *name, u32 len, void *buf, u32 size)                 \
	{                                                                                                              \
		return type##_getxattr(vol, ino, name, len, buf, size);                                                \
	}                                                                                                              \
	static const struct tfs_reader_ops kind##_ops = {kind##_getattr,   kind##_lookup,   kind##_readdir,            \
	                                                 kind##_readlink,  kind##_read,     kind##_seek,               \
	                                                 kind##_listxattr, kind##_getxattr, kind##_inodes};

static u64 ours_inodes(void *vol)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.inodes;
}

static u64 theirs_inodes(void *vol)
{
	(void)vol;
	return 0; /* tuples are more than files */
}

CALL(ours, tfs)
CALL(theirs, nanos)

struct tfs_reader tfs_reader_of(struct tfs_vol *vol)
{
	return (struct tfs_reader){&ours_ops, vol};
}

struct tfs_reader tfs_reader_of_nanos(struct nanos_vol *vol)
{
	return (struct tfs_reader){&theirs_ops, vol};
}
