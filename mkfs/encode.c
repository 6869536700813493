// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One window of content on its way to the volume: zeros at its ends become holes, the rest is compressed as hard as the
 * time of the peers allows. An image is made once and read often, so this spends what the core's own tfs_encode does
 * not: a slow search for LZ4 where it pays, libdeflate in place of zlib. What comes out is what the core reads. Pure;
 * each worker of pool.c has an encoder of its own.
 */
#include "mkfs/mkfs.h"

#include <libdeflate.h>
#include <lz4.h>
#define LZ4_HC_STATIC_LINKING_ONLY
#include <lz4hc.h>
#include <stdlib.h>

struct mkfs_encoder {
	u8 codec;
	struct libdeflate_compressor *deflate; /* zlib only */
	void *lz4;                             /* LZ4 only: state of the slow search, and where its output goes */
	u8 *spare;
};

struct mkfs_encoder *mkfs_encoder_new(u8 codec, u8 level)
{
	struct mkfs_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->codec = codec;
	if (codec == TFS_CODEC_LZ4) {
		e->lz4 = malloc((size_t)LZ4_sizeofStateHC());
		e->spare = malloc(MKFS_WINDOW);
	}
	if (codec == TFS_CODEC_ZLIB)
		e->deflate = libdeflate_alloc_compressor(level);
	if ((codec == TFS_CODEC_LZ4 && (!e->lz4 || !e->spare)) || (codec == TFS_CODEC_ZLIB && !e->deflate)) {
		mkfs_encoder_free(e);
		return NULL;
	}
	return e;
}

void mkfs_encoder_free(struct mkfs_encoder *e)
{
	if (!e)
		return;
	libdeflate_free_compressor(e->deflate);
	free(e->lz4);
	free(e->spare);
	free(e);
}

static bool block_zero(const u8 *b)
{
	return !b[0] && !memcmp(b, b + 1, TFS_BLOCK - 1);
}

/*
 * LZ4's slow search gains most where the fast one already found much: 11 MB for each second below 2/5 of the input,
 * half of that from 3/5 on (measured on /usr). It is tried below 2/9: a tenth more time, and 0.8% fewer bytes in use.
 */
static void lz4_harder(struct mkfs_encoder *m, const u8 *from, u8 *scratch, struct tfs_encoded *e)
{
	u32 bytes = e->blocks * TFS_BLOCK;
	int n;

	if (e->codec != TFS_CODEC_LZ4 || e->bytes > bytes / 9 * 2 || e->bytes <= TFS_UNIT)
		return;
	n = LZ4_compress_HC_extStateHC(m->lz4, (const char *)from, (char *)m->spare, (int)bytes, (int)e->bytes, 1);
	if (n <= 0 || (u32)n >= e->bytes)
		return;
	memcpy(scratch, m->spare, (u32)n);
	e->bytes = (u32)n;
}

/* As tfs_encode, by its rule of what compression must save. */
static void deflate(struct mkfs_encoder *m, const u8 *from, u32 blocks, u8 *scratch, struct tfs_encoded *e)
{
	u32 bytes = blocks * TFS_BLOCK;
	size_t n = libdeflate_zlib_compress(m->deflate, from, bytes, scratch, bytes - bytes / 8);

	e->codec = n ? TFS_CODEC_ZLIB : TFS_CODEC_NONE;
	e->blocks = blocks;
	e->bytes = n ? (u32)n : bytes;
	e->buf = n ? scratch : from;
}

/* Blocks of zeros at both ends become holes: what the image holds depends on the content, not on the source's holes. */
void mkfs_encode(struct mkfs_encoder *m, struct mkfs_job *job)
{
	u32 blocks = (job->bytes + TFS_BLOCK - 1) / TFS_BLOCK, first = 0;
	const u8 *from;

	memset(job->data + job->bytes, 0, blocks * TFS_BLOCK - job->bytes);
	while (first < blocks && block_zero(job->data + first * TFS_BLOCK))
		first++;
	while (blocks > first && block_zero(job->data + (blocks - 1) * TFS_BLOCK))
		blocks--;
	job->first = first;
	memset(&job->e, 0, sizeof(job->e));
	if (blocks == first)
		return;
	from = job->data + first * TFS_BLOCK;
	job->sum = 0;
	if (job->total <= TFS_INLINE_MAX) { /* goes into the tree as it is, and is compressed with its node */
		tfs_encode(TFS_CODEC_NONE, 0, from, blocks - first, job->scratch, &job->e);
	} else if (m->codec == TFS_CODEC_ZLIB) {
		deflate(m, from, blocks - first, job->scratch, &job->e);
	} else {
		tfs_encode(m->codec, 0, from, blocks - first, job->scratch, &job->e);
		lz4_harder(m, from, job->scratch, &job->e);
	}
	if (job->e.codec)
		job->sum = tfs_port_crc32c(0, job->e.buf, job->e.bytes);
}
