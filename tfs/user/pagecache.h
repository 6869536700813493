/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A write-back cache over the core for hosts in user space: what write(2) handed over and the volume does not hold yet.
 * A file's dirty windows (64 KiB) are encoded and written in ascending order, each as one atomic record, so that a size
 * becomes visible with its data. Space is reserved before a write is accepted. One caller at a time, as for the core.
 */
#ifndef TFS_USER_PAGECACHE_H
#define TFS_USER_PAGECACHE_H

#include "tfs/tfs.h"

struct tfs_cache;

int tfs_cache_create(struct tfs_vol *vol, u64 max_bytes,
                     struct tfs_cache **out); /* max: dirty bytes kept, at least 1 MiB */
void tfs_cache_free(struct tfs_cache *c);     /* drops what is dirty */

/* The attributes with what is dirty: size, mtime, ctime, blocks. */
int tfs_cache_getattr(struct tfs_cache *c, u64 ino, struct tfs_attr *out);
s64 tfs_cache_read(struct tfs_cache *c, u64 ino, u64 off, void *buf, u32 len); /* -EIO, -EISDIR */
/* Bytes accepted, fewer than len when space ends: these will be written back. -ENOSPC: none; -EFBIG. buf NULL: zeros.
 */
s64 tfs_cache_write(struct tfs_cache *c, u64 ino, u64 off, const void *buf, u32 len, const struct tfs_time *now);
int tfs_cache_truncate(struct tfs_cache *c, u64 ino, u64 size);
/* fallocate: a range of bytes reads as zeros; the size stays. */
int tfs_cache_zero(struct tfs_cache *c, u64 ino, u64 off, u64 len, const struct tfs_time *now);

/* Writes back one file, or what is older than before_ms (see tfs_cache_now), or all: into the volume, not yet durable.
 * A file whose write failed keeps its data, and is tried again by the next. */
int tfs_cache_flush(struct tfs_cache *c, u64 ino);
int tfs_cache_flush_old(struct tfs_cache *c, u64 before_ms);
int tfs_cache_flush_all(struct tfs_cache *c);
int tfs_cache_error(const struct tfs_cache *c, u64 ino); /* that keeps it from being written back; 0: none */
/* After -ENOSPC: writes all back, for what was promised at full size may turn out small. True: try again. */
bool tfs_cache_shrink(struct tfs_cache *c);
void tfs_cache_drop(struct tfs_cache *c, u64 ino); /* the file is gone */
bool tfs_cache_dirty_file(const struct tfs_cache *c, u64 ino);
u64 tfs_cache_now(void); /* monotonic, ms */

#endif
