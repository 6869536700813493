/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * All that the core asks of its host at compile and link time. Each host has a directory with a tfs_host.h (integer
 * types, memcpy family) on its include path and defines the tfs_port_* functions once. tests/unit/nostdlib checks
 * that the core refers to nothing else.
 */
#ifndef TFS_PORT_H
#define TFS_PORT_H

/* u8..u64, s64, bool, size_t, NULL, memcpy, memmove, memset, memcmp, errno names (EIO...) and TFS_S_IF* free of libc */
#include "tfs_host.h"

typedef u16 le16;
typedef u32 le32;
typedef u64 le64;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline u16 tfs_le16(le16 v)
{
	return v;
}
static inline u32 tfs_le32(le32 v)
{
	return v;
}
static inline u64 tfs_le64(le64 v)
{
	return v;
}
#else
static inline u16 tfs_le16(le16 v)
{
	return __builtin_bswap16(v);
}
static inline u32 tfs_le32(le32 v)
{
	return __builtin_bswap32(v);
}
static inline u64 tfs_le64(le64 v)
{
	return __builtin_bswap64(v);
}
#endif
/* the same swap both ways */
#define tfs_cpu16 tfs_le16
#define tfs_cpu32 tfs_le32
#define tfs_cpu64 tfs_le64

#define TFS_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " must be " #size " bytes")

/* Memory is not zeroed; NULL when there is none. Freeing NULL does nothing. */
void *tfs_port_alloc(size_t bytes);
void tfs_port_free(void *p);

/* CRC-32C (Castagnoli), usual pre- and post-inversion; crc = 0 starts. */
u32 tfs_port_crc32c(u32 crc, const void *data, size_t bytes);

/*
 * Codecs by enum tfs_codec. compress: bytes written to dst, or 0 when it does not fit in dst_max or cannot be done.
 * decompress: 0 when exactly dst_bytes came out, else -EINVAL, or -ENOMEM which says nothing of src. Thread safe.
 * level: zlib only. Of whole units zeros may follow the stream.
 */
size_t tfs_port_compress(int codec, int level, void *dst, size_t dst_max, const void *src, size_t bytes);
int tfs_port_decompress(int codec, void *dst, size_t dst_bytes, const void *src, size_t src_bytes);

/* One line, no newline. level: 0 error, 1 warning, 2 note. ctx: struct tfs_env.ctx. */
void tfs_port_log(void *ctx, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A broken invariant: never returns in user space; the kernel stops the volume. */
void tfs_port_bug(const char *file, int line, const char *what) __attribute__((noreturn));
#ifndef TFS_BUG_ON /* a host may have its own */
#define TFS_BUG_ON(cond)                                                                                               \
	do {                                                                                                           \
		if (__builtin_expect(!!(cond), 0))                                                                     \
			tfs_port_bug(__FILE__, __LINE__, #cond);                                                       \
	} while (0)
#endif

#endif
