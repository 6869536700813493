// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs/port.h in user space: memory from malloc (with a switch to fail the Nth request, for the fault loops), CRC-32C by
 * the processor's instruction where there is one, LZ4 and zlib from Debian's libraries, messages to standard error or
 * to a sink that a test sets.
 */
#include "tfs/port.h"
#include "tfs/format.h"
#include "tfs/user/port.h"

#include <lz4.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* ---- memory ---- */

static long fail_in = -1; /* requests until one fails; -1: never */
static long in_use;

long tfs_user_fail_alloc(long nth)
{
	long was = fail_in;

	fail_in = nth;
	return was;
}

bool tfs_user_alloc_failed(void)
{
	return fail_in == 0;
}

long tfs_user_allocs(void)
{
	return in_use;
}

void *tfs_port_alloc(size_t bytes)
{
	void *p;

	if (fail_in > 0 && --fail_in == 0)
		return NULL;
	p = malloc(bytes);
	if (p)
		in_use++;
	return p;
}

void tfs_port_free(void *p)
{
	if (p)
		in_use--;
	free(p);
}

/* ---- CRC-32C ---- */

static u32 crc_table[256];

static u32 crc_soft(u32 crc, const u8 *p, size_t n)
{
	if (!crc_table[1])
		for (u32 i = 0; i < 256; i++) {
			u32 x = i;

			for (int k = 0; k < 8; k++)
				x = x & 1 ? x >> 1 ^ 0x82f63b78u : x >> 1;
			crc_table[i] = x;
		}
	while (n--)
		crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 255];
	return crc;
}

#ifdef __x86_64__
/*
 * The instruction takes three cycles, and the next one may begin in each: so three lanes at a time, and their CRCs put
 * together. Three lanes nearly fill a block. lane_zeros: what LANE zero bytes make of a CRC, by its bytes.
 */
#define LANE 1360u
static u32 lane_zeros[4][256];

__attribute__((constructor)) static void lane_fill(void)
{
	u32 bit, at, v;

	for (bit = 0; bit < 32; bit++) {
		u32 crc = 1u << bit;

		for (at = 0; at < LANE * 8; at++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		for (v = 0; v < 256; v++)
			if (v >> bit % 8 & 1)
				lane_zeros[bit / 8][v] ^= crc;
	}
}

static u32 lane_skip(u32 crc)
{
	return lane_zeros[0][crc & 255] ^ lane_zeros[1][crc >> 8 & 255] ^ lane_zeros[2][crc >> 16 & 255] ^
	       lane_zeros[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static u32 crc_lanes(u32 crc, const u8 *p)
{
	u64 a = crc, b = 0, c = 0, w[3];
	u32 i;

	for (i = 0; i < LANE; i += 8) {
		memcpy(&w[0], p + i, 8);
		memcpy(&w[1], p + LANE + i, 8);
		memcpy(&w[2], p + 2 * LANE + i, 8);
		a = __builtin_ia32_crc32di(a, w[0]);
		b = __builtin_ia32_crc32di(b, w[1]);
		c = __builtin_ia32_crc32di(c, w[2]);
	}
	return lane_skip(lane_skip((u32)a) ^ (u32)b) ^ (u32)c;
}

__attribute__((target("sse4.2"))) static u32 crc_hard(u32 crc, const u8 *p, size_t n)
{
	u64 c, w;

	for (; n >= 3 * LANE; n -= 3 * LANE, p += 3 * LANE)
		crc = crc_lanes(crc, p);
	c = crc;
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&w, p, 8);
		c = __builtin_ia32_crc32di(c, w);
	}
	for (; n; n--)
		c = __builtin_ia32_crc32qi((u32)c, *p++);
	return (u32)c;
}
#endif

u32 tfs_port_crc32c(u32 crc, const void *data, size_t bytes)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_hard(~crc, data, bytes);
#endif
	return ~crc_soft(~crc, data, bytes);
}

/* ---- codecs ---- */

size_t tfs_port_compress(int codec, int level, void *dst, size_t dst_max, const void *src, size_t bytes)
{
	uLongf out = dst_max;
	int n;

	switch (codec) {
	case TFS_CODEC_LZ4:
		n = LZ4_compress_default(src, dst, (int)bytes, (int)dst_max);
		return n > 0 ? (size_t)n : 0;
	case TFS_CODEC_ZLIB:
		return compress2(dst, &out, src, bytes, level ? level : Z_DEFAULT_COMPRESSION) == Z_OK ? out : 0;
	}
	return 0;
}

/* src may carry zeros behind the stream: stored lengths are whole units. */
static int lz4_decode(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	/* nothing follows the stream: quicker, where bytes repeat four times as quick */
	int n = src_bytes % TFS_UNIT
	            ? LZ4_decompress_safe(src, dst, (int)src_bytes, (int)dst_bytes)
	            : LZ4_decompress_safe_partial(src, dst, (int)src_bytes, (int)dst_bytes, (int)dst_bytes);

	return n == (int)dst_bytes ? 0 : -EINVAL;
}

static int zlib_decode(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	uLongf out = dst_bytes;
	int r = uncompress(dst, &out, src, src_bytes);

	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK && out == dst_bytes ? 0 : -EINVAL;
}

int tfs_port_decompress(int codec, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	if (codec == TFS_CODEC_LZ4)
		return lz4_decode(dst, dst_bytes, src, src_bytes);
	return codec == TFS_CODEC_ZLIB ? zlib_decode(dst, dst_bytes, src, src_bytes) : -EINVAL;
}

/* ---- messages ---- */

static void (*log_sink)(int level, const char *line);

void tfs_user_log_sink(void (*sink)(int level, const char *line))
{
	log_sink = sink;
}

void tfs_port_log(void *ctx, int level, const char *fmt, ...)
{
	char line[512];
	va_list args;

	(void)ctx;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (log_sink)
		log_sink(level, line);
	else
		fprintf(stderr, "tfs: %s\n", line);
}

void tfs_port_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "tfs: internal error at %s:%d: %s\n", file, line, what);
	abort();
}
