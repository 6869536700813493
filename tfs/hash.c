// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) of names, keyed by the superblock's seed so that nobody can prepare names
 * that collide on every volume. Positions in directories keep 48 bits of it. Pure; called by dir.c and xattr.c.
 */
#include "tfs/name.h"

struct sip {
	u64 v0, v1, v2, v3;
};

static u64 rotl(u64 x, int n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static void sip_word(struct sip *s, u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

u64 tfs_name_hash(const struct tfs_vol *vol, const void *name, u32 len)
{
	const struct tfs_super *super = tfs_super_of(vol);
	u64 k0 = tfs_le64(super->hash_seed[0]), k1 = tfs_le64(super->hash_seed[1]), m = 0;
	struct sip s = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull, k0 ^ 0x6c7967656e657261ull,
	                k1 ^ 0x7465646279746573ull};
	const u8 *p = name;
	u32 left = len, i;

	for (; left >= 8; left -= 8, p += 8) {
		le64 w;

		memcpy(&w, p, 8);
		sip_word(&s, tfs_le64(w));
	}
	for (i = 0; i < left; i++)
		m |= (u64)p[i] << 8 * i;
	sip_word(&s, m | (u64)(len & 0xff) << 56);
	s.v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(&s);
	return (s.v0 ^ s.v1 ^ s.v2 ^ s.v3) & ((1ull << 48) - 1);
}
