// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: a whole image. The input is patches over the filled base: a byte for what is done afterwards, then
 * {block (2 bytes), offset (2 bytes), length - 1 (1 byte), bytes}. A block number counts the blocks that the base uses
 * (superblocks, anchors, nodes, log...), or with its top bit set all blocks.
 */
#include "fuzz/fuzz.h"

static const u32 *used;
static u32 uses;

static void patch(struct fuzz_in *in)
{
	u32 block = fuzz_u16(in), off = fuzz_u16(in) % TFS_BLOCK, n = fuzz_u8(in) + 1;

	block = block & 0x8000 ? (block & 0x7fff) % FUZZ_PAGES : used[block % uses];
	if (n > TFS_BLOCK - off)
		n = TFS_BLOCK - off;
	fuzz_bytes(in, fuzz_ram_page(block) + off, n);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	u32 seed = fuzz_u8(&in);

	if (!uses) {
		fuzz_base_logging();
		used = fuzz_base_used(&uses);
	}
	fuzz_ram_reset();
	while (fuzz_left(&in) > 5)
		patch(&in);
	fuzz_use(seed, false);
	fuzz_end();
	return 0;
}
