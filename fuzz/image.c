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

/* Half of the time a patch of one field is added, at a place where the base holds something. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	u32 r = seed, block, at, tries;
	const u8 *b;

	if (!uses || fuzz_random(&r) % 2 || size < 1 || size + 5 + 8 > max)
		return LLVMFuzzerMutate(data, size, max);
	block = fuzz_random(&r) % uses;
	b = fuzz_ram_look(used[block]);
	for (tries = at = 0; tries < 1000 && !b[at]; tries++)
		at = fuzz_random(&r) % TFS_BLOCK;
	at &= ~7u;
	data[size] = (u8)block;
	data[size + 1] = (u8)(block >> 8);
	data[size + 2] = (u8)at;
	data[size + 3] = (u8)(at >> 8);
	data[size + 4] = 7;
	memcpy(data + size + 5, b + at, 8);
	fuzz_mutate_field(data + size + 5, 8, fuzz_random(&r), &r);
	return size + 5 + 8;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};
	u32 seed = fuzz_u8(&in);

	if (!uses) {
		fuzz_snapshots = true;
		fuzz_base_logging();
		used = fuzz_base_used(&uses);
	}
	fuzz_ram_reset();
	fuzz_ram_salt(data, size);
	while (fuzz_left(&in) > 5)
		patch(&in);
	fuzz_use(seed, false);
	fuzz_end();
	return 0;
}
