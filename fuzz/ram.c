// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The fuzzers' device: 16 MiB in memory, pages over a base image, so that going back costs what was touched. Everything
 * is written at once; flush does nothing. A request that is not whole blocks inside of the device is a finding: the
 * core has to check what it reads before it asks. Clock and random numbers are counters that a reset sets back.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>

static u8 *base, *bases[3], *arena;
static u8 *page[FUZZ_PAGES]; /* NULL: as in the base */
static u32 touched[FUZZ_PAGES], touches;
static u64 ticks, randoms, salt;
bool fuzz_no_writes;

static void init(void)
{
	if (base)
		return;
	bases[0] = calloc(1, FUZZ_SIZE);
	bases[1] = calloc(1, FUZZ_SIZE);
	bases[2] = calloc(1, FUZZ_SIZE);
	arena = malloc(FUZZ_SIZE);
	FUZZ_CHECK(bases[0] && bases[1] && bases[2] && arena, "memory: no room for the device");
	base = bases[0];
}

void fuzz_ram_select(u32 n)
{
	fuzz_ram_reset();
	base = bases[n];
}

void fuzz_ram_reset(void)
{
	init();
	while (touches)
		page[touched[--touches]] = NULL;
	ticks = randoms = salt = 0;
	fuzz_no_writes = false;
}

void fuzz_ram_salt(const void *data, size_t bytes)
{
	const u8 *p = data;

	for (salt = bytes + 1; bytes--; p++) /* not by CRC, which is a constant here */
		salt = (salt ^ *p) * 0x100000001b3ull ^ salt >> 29;
}

void fuzz_ram_keep(void)
{
	u32 i;

	for (i = 0; i < touches; i++)
		memcpy(base + (size_t)touched[i] * TFS_BLOCK, page[touched[i]], TFS_BLOCK);
	fuzz_ram_reset();
}

void fuzz_ram_zero(void)
{
	fuzz_ram_reset();
	memset(base, 0, FUZZ_SIZE);
}

const u8 *fuzz_ram_look(u32 p)
{
	return page[p] ? page[p] : base + (size_t)p * TFS_BLOCK;
}

u8 *fuzz_ram_page(u32 p)
{
	if (!page[p]) {
		page[p] = memcpy(arena + (size_t)touches * TFS_BLOCK, base + (size_t)p * TFS_BLOCK, TFS_BLOCK);
		touched[touches++] = p;
	}
	return page[p];
}

const u32 *fuzz_ram_touched(u32 *count)
{
	*count = touches;
	return touched;
}

static int io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	u32 first = (u32)(offset / TFS_BLOCK), i;

	(void)flags;
	FUZZ_CHECK(bytes && offset % TFS_BLOCK == 0 && bytes % TFS_BLOCK == 0 && offset <= dev->size &&
	               bytes <= dev->size - offset,
	           "device: expected whole blocks below %llu, found %llu+%u", (unsigned long long)dev->size,
	           (unsigned long long)offset, bytes);
	FUZZ_CHECK(op == TFS_IO_READ || !fuzz_no_writes, "device: expected no write in a read-only mount, found one");
	for (i = 0; i < bytes / TFS_BLOCK; i++) {
		u8 *at = (u8 *)buf + (size_t)i * TFS_BLOCK;

		if (op == TFS_IO_READ)
			memcpy(at, fuzz_ram_look(first + i), TFS_BLOCK);
		else
			memcpy(fuzz_ram_page(first + i), at, TFS_BLOCK);
	}
	return 0;
}

static int flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

static struct tfs_time now(void *ctx)
{
	(void)ctx;
	return (struct tfs_time){.sec = tfs_cpu64(1000000 + ++ticks)};
}

static u64 random_next(void *ctx)
{
	(void)ctx;
	return (++randoms * 0x9e3779b97f4a7c15ull ^ salt) | 1;
}

static const struct tfs_dev_ops ops = {io, flush, NULL};
struct tfs_dev fuzz_dev = {.ops = &ops, .size = FUZZ_SIZE};
struct tfs_env fuzz_env = {.now = now, .random = random_next};
