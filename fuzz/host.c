// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What every host does around the core's calls: contents are made and encoded before a write, and a file without names
 * goes in steps. No device of its own, so also for programs that have another (tests/fsck/mutated.c).
 */
#include "fuzz/fuzz.h"

void fuzz_pattern(u8 *out, u32 bytes, u32 seed)
{
	u64 r = (u64)seed * 0x9e3779b97f4a7c15ull + 1;
	u32 i;

	if (seed % 3 == 2)
		memset(out, 0, bytes);
	for (i = 0; seed % 3 == 0 && i < bytes; i++)
		out[i] = (u8)("log-structured "[i & 15] + (i >> 9) + seed % 7);
	for (i = 0; seed % 3 == 1 && i < bytes; i += 8) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		memcpy(out + i, &r, bytes - i < 8 ? bytes - i : 8);
	}
}

int fuzz_write(struct tfs_vol *vol, u64 ino, u64 block, u32 blocks, u64 size, int codec, u32 seed)
{
	static u8 data[16 * TFS_BLOCK], scratch[16 * TFS_BLOCK];
	bool compress = fuzz_compress;
	struct tfs_encoded e;
	u64 end;

	fuzz_pattern(data, blocks * TFS_BLOCK, seed);
	end = (block + blocks) * TFS_BLOCK;
	if (size < end && end - size < blocks * TFS_BLOCK)
		memset(data + blocks * TFS_BLOCK - (end - size), 0, end - size);
	fuzz_compress = true;
	tfs_encode(codec, 0, data, blocks, scratch, &e);
	fuzz_compress = compress;
	return tfs_write(vol, ino, block, &e, size, NULL);
}

int fuzz_evict(struct tfs_vol *vol, u64 ino)
{
	int err;

	do
		err = tfs_evict(vol, ino);
	while (err > 0);
	return err;
}
