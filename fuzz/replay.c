// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: recovery. The input becomes log writes at the position that the base's anchor names, framed so that mount
 * follows them: a byte for what is done afterwards, then writes {control, length (2 bytes), records}. control: bit 0:
 * ten bytes follow, an offset into the head, how many bytes and a value to put there; bit 1: all before is stated
 * durable. A record longer than its write goes on in the next. The base itself is sound, so whatever recovery accepts
 * must mount again.
 */
#include "fuzz/fuzz.h"

struct chain {
	struct tfs_log_position pos;
	u64 volume, epoch;
	u32 beyond; /* bytes that the last record still lacks */
	u32 spare;  /* next segment from the end to take a run from */
	u64 segments;
	u32 segment_bits;
};

static bool made;

static void chain_start(struct chain *c)
{
	struct tfs_super super;
	struct tfs_anchor anchor;

	fuzz_anchor(&anchor, &super);
	memset(c, 0, sizeof(*c));
	c->pos = anchor.log;
	c->volume = tfs_le64(super.head.volume);
	c->epoch = tfs_le64(anchor.epoch) + 1;
	c->segments = tfs_le64(super.segments);
	c->segment_bits = tfs_le32(super.segment_bits);
}

/* The run is full: on, with a quarter of a segment near the end of the volume after it. */
static void run_advance(struct chain *c)
{
	u64 segment = c->segments - 1 - c->spare / 4 % 32;
	u64 at = TFS_SEGMENTS_OFFSET + (segment << c->segment_bits) + ((u64)(c->spare % 4) << (c->segment_bits - 2));

	c->spare++;
	c->pos.run = c->pos.next;
	c->pos.run_blocks = c->pos.next_blocks;
	c->pos.offset = 0;
	c->pos.next = tfs_cpu64(at / TFS_UNIT);
	c->pos.next_blocks = tfs_cpu32(1u << (c->segment_bits - 2 - TFS_BLOCK_BITS));
}

/* How many records begin in the bytes, as their own lengths tell. */
static u32 records_in(struct chain *c, const u8 *bytes, u32 n)
{
	u32 at = c->beyond < n ? c->beyond : n, count = 0;

	c->beyond -= at;
	while (at + 4 <= n) {
		le32 len;

		memcpy(&len, bytes + at, 4);
		count++;
		if (tfs_le32(len) < sizeof(struct tfs_rec_head) || tfs_le32(len) > TFS_REC_MAX)
			return count;
		at += tfs_le32(len);
	}
	c->beyond = at > n ? at - n : c->beyond;
	return count;
}

static void head_build(struct chain *c, struct tfs_log_head *h, const u8 *records, u32 n, u32 control)
{
	memset(h, 0, sizeof(*h));
	h->generation = c->pos.generation;
	h->epoch = tfs_cpu64(c->epoch);
	h->addr = tfs_cpu64(tfs_le64(c->pos.run) + (u64)tfs_le32(c->pos.offset) * TFS_UNITS_PER_BLOCK);
	h->run = c->pos.run;
	h->next = c->pos.next;
	h->run_blocks = c->pos.run_blocks;
	h->next_blocks = c->pos.next_blocks;
	h->sequence = c->pos.sequence;
	h->durable = control & 2 ? c->pos.sequence : 0;
	h->anchor = tfs_cpu64(c->epoch - 1);
	h->prev_crc = c->pos.prev_crc;
	h->bytes = tfs_cpu32(n);
	h->carry = tfs_cpu32(c->beyond < n ? c->beyond : n);
	h->records = tfs_cpu32(records_in(c, records, n));
	tfs_head_seal(&h->head, TFS_BT_LOG, c->volume, (u32)sizeof(*h) + n);
}

static void write_put(struct chain *c, const u8 *write, u32 bytes)
{
	u32 block = (u32)(tfs_le64(c->pos.run) / TFS_UNITS_PER_BLOCK) + tfs_le32(c->pos.offset), done;

	for (done = 0; done < bytes; done += TFS_BLOCK, block++)
		memcpy(fuzz_ram_page(block), write + done, bytes - done < TFS_BLOCK ? bytes - done : TFS_BLOCK);
}

static void chain_add(struct chain *c, struct fuzz_in *in)
{
	static u8 write[sizeof(struct tfs_log_head) + 0x4000 + 2 * TFS_BLOCK];
	struct tfs_log_head *h = (struct tfs_log_head *)write;
	u32 control = fuzz_u8(in), n = fuzz_u16(in) & 0x3fff, room;
	u32 off = control & 1 ? fuzz_u8(in) : 0, width = control & 1 ? 1u << fuzz_u8(in) % 4 : 0;
	u64 value = 0;

	if (control & 1)
		fuzz_bytes(in, &value, 8);

	if (tfs_le32(c->pos.offset) >= tfs_le32(c->pos.run_blocks))
		run_advance(c);
	memset(write, 0, sizeof(write));
	room = (tfs_le32(c->pos.run_blocks) - tfs_le32(c->pos.offset)) * TFS_BLOCK - (u32)sizeof(*h);
	if (n > room)
		n = room;
	n = fuzz_bytes(in, h + 1, n);
	head_build(c, h, (const u8 *)(h + 1), n, control);
	if (width)
		memcpy(write + off % sizeof(*h) / width * width, &value, width);
	n = ((u32)sizeof(*h) + n + TFS_BLOCK - 1) & ~(TFS_BLOCK - 1);
	write_put(c, write, n);
	c->pos.offset = tfs_cpu32(tfs_le32(c->pos.offset) + n / TFS_BLOCK);
	c->pos.prev_crc = tfs_cpu32(FUZZ_CRC);
	c->pos.sequence = tfs_cpu64(tfs_le64(c->pos.sequence) + tfs_le32(h->records));
}

/* Half of the time a field of a record, or of the head of the first write. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	u32 r = seed, records = size && data[1] & 1 ? 14 : 4;

	if (fuzz_random(&r) % 2 || size < 16)
		return LLVMFuzzerMutate(data, size, max);
	if (!(data[1] & 1) && fuzz_random(&r) % 8 == 0 && size + 10 <= max) {
		data[1] |= 1;
		memmove(data + 14, data + 4, size - 4);
		data[4] = (u8)fuzz_random(&r);
		data[5] = (u8)fuzz_random(&r);
		memset(data + 6, 0, 8);
		fuzz_mutate_field(data + 6, 8, 0, &r);
		return size + 10;
	}
	fuzz_mutate_field(data + records, (u32)size - records, fuzz_random(&r), &r);
	if (data[1] & 1 && fuzz_random(&r) % 2)
		fuzz_mutate_field(data + 6, 8, 0, &r);
	return size;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};
	u32 seed = fuzz_u8(&in);
	struct chain c;

	if (!made) {
		fuzz_base_logging();
		made = true;
	}
	fuzz_ram_reset();
	fuzz_ram_salt(data, size);
	chain_start(&c);
	while (fuzz_left(&in) > 4)
		chain_add(&c, &in);
	fuzz_use(seed, true);
	fuzz_end();
	return 0;
}
