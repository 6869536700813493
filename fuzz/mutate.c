// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Mutations that know numbers are aligned: one little-endian field of 1, 2, 4 or 8 bytes becomes a limit, a power of
 * two or a neighbour of one, moves a little, or becomes what another field is. Called by the targets'
 * LLVMFuzzerCustomMutator, which know where structures begin. libFuzzer's own mutations do the rest.
 */
#include "fuzz/fuzz.h"

u32 fuzz_random(u32 *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 9;
}

static u64 value(u64 old, u64 other, u32 *r)
{
	static const u64 limit[] = {0,          1,
	                            2,          7,
	                            255,        4095,
	                            4096,       16384,
	                            0xffff,     0x7fffffff,
	                            0xffffffff, ~0ull,
	                            1ull << 63, (1ull << 63) - 1,
	                            1ull << 51, 1ull << 52,
	                            1ull << 56, (1ull << 56) - 1,
	                            1ull << 45};

	switch (fuzz_random(r) % 8) {
	case 0:
	case 1:
		return limit[fuzz_random(r) % (sizeof(limit) / sizeof(limit[0]))];
	case 2:
		return (1ull << fuzz_random(r) % 64) + fuzz_random(r) % 3 - 1;
	case 3:
		return old ^ 1ull << fuzz_random(r) % 64;
	case 4:
		return other;
	case 5:
		return -old;
	default:
		return old + fuzz_random(r) % 33 - 16;
	}
}

/* at: a multiple of the field's size from where the structure begins. */
void fuzz_mutate_field(u8 *p, u32 n, u32 at, u32 *r)
{
	u32 width = 1u << fuzz_random(r) % 4;
	u64 old = 0, other = 0, new;

	while (width > n)
		width /= 2;
	if (!width)
		return;
	at = at % n / width * width;
	if (at + width > n)
		at -= width;
	memcpy(&old, p + at, width);
	memcpy(&other, p + fuzz_random(r) % (n / width) * width, width);
	new = value(old, other, r);
	memcpy(p + at, &new, width);
}
