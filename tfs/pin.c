// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pins: blocks that SPACE calls free and that must not be written yet. What the open or the closing epoch dropped
 * waits for that epoch's anchor (EVEN, ODD by the epoch's parity); log runs, checkpoint and list blocks and nodes
 * placed but not yet claimed are META. Kept as bitmaps of 1024 blocks, in memory only: a mount starts without the
 * first two and finds the third. Setting a bit cannot fail once tfs_pin_prepare made its chunk.
 */
#include "tfs/vol.h"

static struct tfs_pin_chunk *chunk_find(const struct tfs_vol *vol, u64 block)
{
	struct tfs_pin_chunk *c = vol->pins[(block >> 10) % TFS_PIN_BUCKETS];

	while (c && c->index != block >> 10)
		c = c->next;
	return c;
}

int tfs_pin_prepare(struct tfs_vol *vol, u64 block, u64 blocks)
{
	u64 i;

	for (i = block >> 10; i <= (block + blocks - 1) >> 10; i++) {
		struct tfs_pin_chunk *c = chunk_find(vol, i << 10), **b = &vol->pins[i % TFS_PIN_BUCKETS];

		if (c)
			continue;
		c = tfs_port_alloc(sizeof(*c));
		if (!c)
			return -ENOMEM;
		memset(c, 0, sizeof(*c));
		c->index = i;
		c->next = *b;
		*b = c;
	}
	return 0;
}

static bool chunk_any(const struct tfs_pin_chunk *c, u64 block)
{
	u32 w = block >> 6 & 15;

	return ((c->bits[0][w] | c->bits[1][w] | c->bits[2][w]) >> (block & 63)) & 1;
}

bool tfs_pinned(const struct tfs_vol *vol, u64 block)
{
	const struct tfs_pin_chunk *c = chunk_find(vol, block);

	return c && chunk_any(c, block);
}

void tfs_pin_set(struct tfs_vol *vol, enum tfs_pin pin, u64 block, u64 blocks)
{
	for (; blocks; block++, blocks--) {
		struct tfs_pin_chunk *c = chunk_find(vol, block);

		TFS_BUG_ON(!c);
		if (chunk_any(c, block))
			continue;
		c->bits[pin][block >> 6 & 15] |= 1ull << (block & 63);
		vol->pinned_blocks++;
	}
}

int tfs_pin(struct tfs_vol *vol, enum tfs_pin pin, u64 block, u64 blocks)
{
	int err = tfs_pin_prepare(vol, block, blocks);

	if (!err)
		tfs_pin_set(vol, pin, block, blocks);
	return err;
}

static void bits_clear(struct tfs_vol *vol, u64 block, u32 first, u32 end)
{
	struct tfs_pin_chunk *c = chunk_find(vol, block);
	u64 bit = 1ull << (block & 63);
	u32 w = block >> 6 & 15, i;

	for (i = first; c && i < end; i++)
		if (c->bits[i][w] & bit) {
			c->bits[i][w] &= ~bit;
			vol->pinned_blocks--;
		}
}

void tfs_unpin_claimed(struct tfs_vol *vol, u64 block)
{
	bits_clear(vol, block, 0, TFS_PINS);
}

void tfs_unpin(struct tfs_vol *vol, u64 block, u64 blocks)
{
	for (; blocks; block++, blocks--) {
		bits_clear(vol, block, TFS_PIN_META, TFS_PIN_META + 1);
		tfs_space_freed(vol, block);
	}
}

void tfs_pin_turn(struct tfs_vol *vol, enum tfs_pin from, enum tfs_pin to, u64 block, u64 blocks)
{
	for (; blocks; block++, blocks--) {
		struct tfs_pin_chunk *c = chunk_find(vol, block);
		u64 bit = 1ull << (block & 63);
		u32 w = block >> 6 & 15;

		if (!c || !(c->bits[from][w] & bit))
			continue;
		c->bits[from][w] &= ~bit;
		c->bits[to][w] |= bit;
	}
}

static u32 chunk_clear(struct tfs_vol *vol, struct tfs_pin_chunk *c, enum tfs_pin pin)
{
	u32 n = 0, w;

	for (w = 0; w < 16; w++) {
		if (c->bits[pin][w]) { /* 64 blocks never span more than two segments: they have 64 at least */
			tfs_space_freed(vol, (c->index << 10) + w * 64);
			tfs_space_freed(vol, (c->index << 10) + w * 64 + 63);
		}
		n += (u32)__builtin_popcountll(c->bits[pin][w]);
		c->bits[pin][w] = 0;
	}
	return n;
}

static bool chunk_empty(const struct tfs_pin_chunk *c)
{
	u32 i;

	for (i = 0; i < TFS_PINS * 16; i++)
		if (c->bits[i / 16][i % 16])
			return false;
	return true;
}

/* Gives empty chunks back too: called outside of any prepared operation. */
void tfs_unpin_all(struct tfs_vol *vol, enum tfs_pin pin)
{
	u32 i;

	for (i = 0; i < TFS_PIN_BUCKETS; i++) {
		struct tfs_pin_chunk **p = &vol->pins[i], *c;

		while ((c = *p)) {
			vol->pinned_blocks -= chunk_clear(vol, c, pin);
			if (!chunk_empty(c)) {
				p = &c->next;
				continue;
			}
			*p = c->next;
			tfs_port_free(c);
		}
	}
}

/* No live unit lies in a pinned block, so each run of pinned blocks may go as one. */
static void chunk_discard(struct tfs_vol *vol, const struct tfs_pin_chunk *c, enum tfs_pin pin)
{
	u32 from, to = 0;

	while (to < 1024) {
		for (from = to; from < 1024 && !(c->bits[pin][from >> 6] >> (from & 63) & 1); from++)
			;
		for (to = from; to < 1024 && c->bits[pin][to >> 6] >> (to & 63) & 1; to++)
			;
		if (to > from && vol->dev->ops->discard(vol->dev, ((c->index << 10) + from) << TFS_BLOCK_BITS,
		                                        (u64)(to - from) << TFS_BLOCK_BITS))
			vol->discard = false; /* it cannot, or no longer */
	}
}

void tfs_pin_discard(struct tfs_vol *vol, enum tfs_pin pin)
{
	u32 i;

	for (i = 0; i < TFS_PIN_BUCKETS && vol->dev->ops->discard; i++) {
		const struct tfs_pin_chunk *c;

		for (c = vol->pins[i]; c && vol->discard; c = c->next)
			chunk_discard(vol, c, pin);
	}
}

void tfs_pin_destroy(struct tfs_vol *vol)
{
	u32 i;

	for (i = 0; i < TFS_PIN_BUCKETS; i++) {
		struct tfs_pin_chunk *c;

		while ((c = vol->pins[i])) {
			vol->pins[i] = c->next;
			tfs_port_free(c);
		}
	}
}
