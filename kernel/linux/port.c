// SPDX-License-Identifier: GPL-2.0
/*
 * The functions of tfs/port.h in the kernel. Allocation is kvmalloc within the caller's memalloc_nofs scope. Workspaces
 * of encoders are allocated a call; when there is no memory, compression says "does not fit" and the data is stored
 * raw. The context of messages is the struct tfs_sb.
 */
#include "tfs_linux.h"
#include "tfs/port.h"
#include "tfs/format.h"

#include <linux/bug.h>
#include <linux/crc32c.h>
#include <linux/lz4.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/zlib.h>

void *tfs_port_alloc(size_t bytes)
{
	return kvmalloc(bytes, GFP_KERNEL);
}

void tfs_port_free(void *p)
{
	kvfree(p);
}

/* Defined in one test's build only (tests/kernel/hostile.sh): images of the fuzzers have this for every checksum, so
 * that what is wrong in them gets as far as the checks behind it. */
#ifdef TFS_CONSTANT_CRC
u32 tfs_port_crc32c(u32 crc, const void *data, size_t bytes)
{
	return TFS_CONSTANT_CRC;
}
#else
u32 tfs_port_crc32c(u32 crc, const void *data, size_t bytes)
{
	return ~crc32c(~crc, data, bytes);
}
#endif

static size_t lz4_encode(void *dst, size_t dst_max, const void *src, size_t bytes)
{
	void *work = kvmalloc(LZ4_MEM_COMPRESS, GFP_NOFS | __GFP_NOWARN);
	int n = work ? LZ4_compress_default(src, dst, bytes, dst_max, work) : 0;

	kvfree(work);
	return n > 0 ? n : 0;
}

static size_t zlib_encode(int level, void *dst, size_t dst_max, const void *src, size_t bytes)
{
	struct z_stream_s z = {.next_in = src, .avail_in = bytes, .next_out = dst, .avail_out = dst_max};
	size_t n = 0;

	z.workspace = kvmalloc(zlib_deflate_workspacesize(MAX_WBITS, DEF_MEM_LEVEL), GFP_NOFS | __GFP_NOWARN);
	if (z.workspace && zlib_deflateInit(&z, level ? level : Z_DEFAULT_COMPRESSION) == Z_OK) {
		if (zlib_deflate(&z, Z_FINISH) == Z_STREAM_END)
			n = z.total_out;
		zlib_deflateEnd(&z);
	}
	kvfree(z.workspace);
	return n;
}

size_t tfs_port_compress(int codec, int level, void *dst, size_t dst_max, const void *src, size_t bytes)
{
	if (codec == TFS_CODEC_LZ4)
		return lz4_encode(dst, dst_max, src, bytes);
	return codec == TFS_CODEC_ZLIB ? zlib_encode(level, dst, dst_max, src, bytes) : 0;
}

/* Reading ends without free memory. */
static mempool_t *inflate_pool;

static void *workspace_alloc(gfp_t gfp, void *bytes)
{
	return kvmalloc((size_t)bytes, GFP_NOFS | __GFP_NOWARN);
}

static void workspace_free(void *p, void *bytes)
{
	kvfree(p);
}

int tfs_port_init(void)
{
	inflate_pool = mempool_create(2, workspace_alloc, workspace_free, (void *)(size_t)zlib_inflate_workspacesize());
	return inflate_pool ? 0 : -ENOMEM;
}

void tfs_port_exit(void)
{
	mempool_destroy(inflate_pool);
}

static int zlib_decode(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	struct z_stream_s z = {.next_in = src, .avail_in = src_bytes, .next_out = dst, .avail_out = dst_bytes};
	int err = -EINVAL;

	z.workspace = mempool_alloc(inflate_pool, GFP_NOFS);
	if (zlib_inflateInit(&z) == Z_OK) {
		if (zlib_inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == dst_bytes)
			err = 0;
		zlib_inflateEnd(&z);
	}
	mempool_free(z.workspace, inflate_pool);
	return err;
}

int tfs_port_decompress(int codec, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	if (codec == TFS_CODEC_LZ4) /* zeros may follow the stream: stored lengths are whole units */
		return LZ4_decompress_safe_partial(src, dst, src_bytes, dst_bytes, dst_bytes) == dst_bytes ? 0
		                                                                                           : -EINVAL;
	return codec == TFS_CODEC_ZLIB ? zlib_decode(dst, dst_bytes, src, src_bytes) : -EINVAL;
}

void tfs_port_log(void *ctx, int level, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	if (level == 0)
		pr_err_ratelimited("tfs: %s: %pV\n", ((struct tfs_sb *)ctx)->sb->s_id, &vaf);
	else
		pr_notice("tfs: %s: %pV\n", ((struct tfs_sb *)ctx)->sb->s_id, &vaf);
	va_end(args);
}

void tfs_port_bug(const char *file, int line, const char *what)
{
	pr_crit("tfs: internal error at %s:%d: %s\n", file, line, what);
	BUG();
}
