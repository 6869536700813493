// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Encoding a part of a window: compress it where that saves at least 1/8, else leave it raw. Pure, any thread, no
 * volume: mkfs runs it on all cores, the kernel outside of its locks. Data that will not compress is told by a sample
 * first.
 */
#include "tfs/tfs.h"

#define SAMPLE 2048u

/* Bytes of near-random data hit nearly all 256 values about equally often: the sum of squared counts is then small.
 * A sample of n even bytes has a sum around n + n*n/256; text and code are far above twice that. */
static bool looks_random(const u8 *data, u32 bytes)
{
	u16 count[256];
	u32 step = bytes / SAMPLE, sum = 0, i;

	memset(count, 0, sizeof(count));
	for (i = 0; i < SAMPLE; i++)
		count[data[i * step]]++;
	for (i = 0; i < 256; i++)
		sum += (u32)count[i] * count[i];
	return sum < (SAMPLE + SAMPLE * SAMPLE / 256) * 9 / 8;
}

void tfs_encode(int codec, int level, const void *data, u32 blocks, void *scratch, struct tfs_encoded *out)
{
	u32 bytes = blocks * TFS_BLOCK;
	size_t n = 0;

	/* LZ4 finds repeats, not skewed counts: random-looking samples are only skipped for it */
	if (codec && !(codec == TFS_CODEC_LZ4 && looks_random(data, bytes)))
		n = tfs_port_compress(codec, level, scratch, bytes - bytes / 8, data, bytes);
	out->codec = n ? (u8)codec : TFS_CODEC_NONE;
	out->blocks = blocks;
	out->beside = false;
	out->bytes = n ? (u32)n : bytes;
	out->buf = n ? scratch : data;
}
