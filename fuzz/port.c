// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs/port.h for the fuzzers. The checksum is a constant: a mutated structure is as valid as its fields are, and every
 * verifier behind the CRC is reached. Memory is counted, for leaks and for a limit that hostile input must not pass.
 * Messages are formatted, so that their arguments are read, and shown only when FUZZ_VERBOSE is set.
 */
#include "fuzz/fuzz.h"
#include "tfs/user/port.h"

#include <lz4.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define MEMORY_MAX (256l << 20)

bool fuzz_compress = true;
static long in_use, bytes_in_use, fail_in;

long fuzz_fail_alloc(long n)
{
	long left = fail_in;

	fail_in = n;
	return left;
}

void fuzz_fail(const char *fmt, ...)
{
	va_list args;

	dprintf(2, "fuzz: "); /* stderr may be silenced: quiet.c */
	va_start(args, fmt);
	vdprintf(2, fmt, args);
	va_end(args);
	dprintf(2, "\n");
	abort();
}

void fuzz_end(void)
{
	FUZZ_CHECK(!in_use, "memory: expected all freed, found %ld allocations (%ld bytes) left", in_use, bytes_in_use);
}

/*
 * ASan maps each large allocation anew, which was half of the time of a target that reads 512 KiB at once. So those that
 * are freed are kept, poisoned, for the next of exactly that size.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define KEEPS_LARGE
#endif
#endif
#ifdef KEEPS_LARGE
#define LARGE (128u << 10)
#define SPARES 4u

static struct {
	void *p;
	size_t bytes;
} spare[SPARES];
static u32 spare_next;

static void *large_take(size_t bytes)
{
	for (u32 i = 0; i < SPARES; i++)
		if (spare[i].p && spare[i].bytes == bytes) {
			void *p = spare[i].p;

			spare[i].p = NULL;
			ASAN_UNPOISON_MEMORY_REGION(p, bytes);
			return p;
		}
	return malloc(bytes);
}

static void large_give(void *p, size_t bytes)
{
	if (bytes < LARGE) {
		free(p);
		return;
	}
	if (spare[spare_next].p) {
		ASAN_UNPOISON_MEMORY_REGION(spare[spare_next].p, spare[spare_next].bytes);
		free(spare[spare_next].p);
	}
	ASAN_POISON_MEMORY_REGION(p, bytes);
	spare[spare_next].p = p;
	spare[spare_next].bytes = bytes;
	spare_next = (spare_next + 1) % SPARES;
}
#else
static void *large_take(size_t bytes)
{
	return malloc(bytes);
}

static void large_give(void *p, size_t bytes)
{
	(void)bytes;
	free(p);
}
#endif

void *tfs_port_alloc(size_t bytes)
{
	void *p;

	if (fail_in && !--fail_in)
		return NULL;
	p = large_take(bytes);
	FUZZ_CHECK(p, "memory: allocation of %zu bytes failed", bytes);
	memset(p, 0xa5, bytes < 4096 ? bytes : 4096); /* what is not initialised shows, the same way each time */
	in_use++;
	bytes_in_use += (long)malloc_usable_size(p);
	FUZZ_CHECK(bytes_in_use <= MEMORY_MAX, "memory: expected at most %ld bytes, found %ld", MEMORY_MAX,
	           bytes_in_use);
	return p;
}

void tfs_port_free(void *p)
{
	if (!p)
		return;
	in_use--;
	bytes_in_use -= (long)malloc_usable_size(p);
	large_give(p, malloc_usable_size(p));
}

u32 tfs_port_crc32c(u32 crc, const void *data, size_t bytes)
{
	static volatile u8 sink;

	(void)crc;
	if (bytes) /* the range is real: let the sanitizer see its ends */
		sink = ((const u8 *)data)[0] ^ ((const u8 *)data)[bytes - 1];
	(void)sink;
	return FUZZ_CRC;
}

size_t tfs_port_compress(int codec, int level, void *dst, size_t dst_max, const void *src, size_t bytes)
{
	uLongf out = dst_max;
	int n;

	switch (codec) {
	case TFS_CODEC_LZ4:
		n = fuzz_compress ? LZ4_compress_default(src, dst, (int)bytes, (int)dst_max) : 0;
		return n > 0 ? (size_t)n : 0;
	case TFS_CODEC_ZLIB:
		return compress2(dst, &out, src, bytes, level ? level : 1) == Z_OK ? out : 0;
	}
	return 0;
}

int tfs_port_decompress(int codec, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	uLongf out = dst_bytes;

	switch (codec) {
	case TFS_CODEC_LZ4:
		return LZ4_decompress_safe_partial(src, dst, (int)src_bytes, (int)dst_bytes, (int)dst_bytes) ==
		               (int)dst_bytes
		           ? 0
		           : -EINVAL;
	case TFS_CODEC_ZLIB:
		return uncompress(dst, &out, src, src_bytes) == Z_OK && out == dst_bytes ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static void (*log_sink)(int level, const char *line);

void tfs_user_log_sink(void (*sink)(int level, const char *line))
{
	log_sink = sink;
}

void tfs_port_log(void *ctx, int level, const char *fmt, ...)
{
	static int verbose = -1;
	char line[512];
	va_list args;

	(void)ctx;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (log_sink)
		log_sink(level, line);
	if (verbose < 0)
		verbose = getenv("FUZZ_VERBOSE") != NULL;
	if (verbose)
		fprintf(stderr, "tfs[%d]: %s\n", level, line);
}

void tfs_port_bug(const char *file, int line, const char *what)
{
	fuzz_fail("internal error at %s:%d: %s", file, line, what);
}
