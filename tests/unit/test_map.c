// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a host does that reads by places: tfs_map's pieces, read from the device and verified here, equal what tfs_read
 * gives, also when what they map was overwritten meanwhile, until env.quiesce. Blocks that are discarded (the RAM
 * device fills them) were of no use to anybody, before and after a crash. The halves of tfs_sync make durable what they
 * say.
 */
#include "tests/unit/ram.h"

#define SIZE (32u << 20)
#define WINDOW (TFS_MAP_BLOCKS * TFS_BLOCK)
#define FILES 12u
#define WINDOWS 8u
static u8 data[WINDOW], scratch[WINDOW], found[WINDOW], stored[WINDOW], whole[WINDOW];
static u8 *model[FILES];
static u64 ino[FILES], discards;
static u32 flushes;

static struct {
	bool held;
	struct tfs_map map;
	u8 content[WINDOW];
} reader;

static int flush(struct tfs_dev *d)
{
	(void)d;
	flushes++;
	return 0;
}
static int discard(struct tfs_dev *d, u64 off, u64 bytes)
{
	assert_true(off % TFS_BLOCK == 0 && bytes % TFS_BLOCK == 0 && off + bytes <= d->size);
	memset(ram + off, 0xdd, bytes);
	discards += bytes;
	return 0;
}
static u64 rnd(void *ctx)
{
	(void)ctx;
	return ++ram_ticks * 0x9e3779b97f4a7c15ull >> 20;
}

/* The mapped bytes, as a host reads them. */
static void map_read(const struct tfs_map *m, u8 *out)
{
	memset(out, 0, WINDOW);
	for (u32 i = 0; i < m->pieces; i++) {
		const struct tfs_map_piece *p = &m->piece[i];
		u8 *at = out + p->at * TFS_BLOCK;

		memcpy(stored, ram + p->addr * TFS_UNIT, p->units * TFS_UNIT);
		if (!p->codec) {
			memcpy(at, stored, p->units * TFS_UNIT);
			for (u32 b = 0; b < p->blocks; b++)
				assert_int_equal(tfs_port_crc32c(0, at + b * TFS_BLOCK, TFS_BLOCK), m->crc[p->at + b]);
			continue;
		}
		assert_int_equal(tfs_port_crc32c(0, stored, p->units * TFS_UNIT), p->crc);
		assert_int_equal(
		    tfs_port_decompress(p->codec, whole, p->total * TFS_BLOCK, stored, p->units * TFS_UNIT), 0);
		memcpy(at, whole + p->skip * TFS_BLOCK, p->blocks * TFS_BLOCK);
	}
}

static void reader_end(void)
{
	if (reader.held) {
		map_read(&reader.map, found);
		assert_memory_equal(found, reader.content, WINDOW);
	}
	reader.held = false;
}

static void quiesce(void *ctx, u64 epoch)
{
	(void)ctx;
	if (reader.held && reader.map.epoch <= epoch)
		reader_end();
}

static const struct tfs_dev_ops ops = {ram_io, flush, discard};
static struct tfs_dev dev = {.ops = &ops, .size = SIZE};
static const struct tfs_env env = {.now = ram_now, .random = rnd, .quiesce = quiesce};
static const struct tfs_mount_options rw = {.flags = TFS_MOUNT_DISCARD};

static void change(u32 f, u32 w)
{
	u32 at = (u32)rnd(NULL) % TFS_MAP_BLOCKS, n = 1 + (u32)rnd(NULL) % (TFS_MAP_BLOCKS - at);
	bool packs = rnd(NULL) & 8;
	struct tfs_encoded e;

	for (u32 i = 0; i < n * TFS_BLOCK; i++)
		data[i] = packs ? (u8)(i / 300 + ram_ticks) : (u8)rnd(NULL);
	tfs_encode(packs ? TFS_CODEC_LZ4 : TFS_CODEC_NONE, 0, data, n, scratch, &e);
	assert_int_equal(tfs_write(vol, ino[f], w * TFS_MAP_BLOCKS + at, &e, WINDOWS * WINDOW, NULL), 0);
	memcpy(model[f] + w * WINDOW + at * TFS_BLOCK, data, n * TFS_BLOCK);
	if (rnd(NULL) % 16 == 0) {
		assert_int_equal(tfs_punch(vol, ino[f], w * TFS_MAP_BLOCKS + at, 1), 0);
		memset(model[f] + w * WINDOW + at * TFS_BLOCK, 0, TFS_BLOCK);
	}
}

static void window_look(u32 f, u32 w)
{
	reader_end();
	assert_int_equal(tfs_map(vol, ino[f], w * TFS_MAP_BLOCKS, &reader.map), 0);
	if (!reader.map.direct)
		return;
	map_read(&reader.map, found);
	assert_memory_equal(found, model[f] + w * WINDOW, WINDOW);
	memcpy(reader.content, found, WINDOW);
	reader.held = true;
}

static void all_look(void)
{
	for (u32 f = 0; f < FILES; f++)
		for (u32 w = 0; w < WINDOWS; w++) {
			assert_int_equal(tfs_read(vol, ino[f], w * WINDOW, found, WINDOW), WINDOW);
			assert_memory_equal(found, model[f] + w * WINDOW, WINDOW);
		}
}

static void churn(u32 rounds)
{
	for (u32 i = 0; i < rounds; i++) {
		change((u32)rnd(NULL) % FILES, (u32)rnd(NULL) % WINDOWS);
		if (rnd(NULL) % 48 == 0) {
			u32 f = (u32)rnd(NULL) % FILES, w = (u32)rnd(NULL) % WINDOWS;

			window_look(f, w);
			change(f, w); /* what the reader has mapped is dropped */
		}
		if (rnd(NULL) % 64 == 0)
			assert_int_equal(tfs_checkpoint(vol), 0);
	}
}

static void trim(void)
{
	struct tfs_stat st;
	u64 sum = 0;

	tfs_statfs(vol, &st);
	for (u64 s = 0; s < st.segments; s++)
		assert_int_equal(tfs_trim(vol, s, 0, SIZE, 0, &sum), 0);
	assert_int_equal(tfs_trim(vol, st.segments, 0, SIZE, 0, &sum), -EINVAL);
	assert_in_range(sum, SIZE / 8, st.free * TFS_BLOCK);
}

static void places(void **state)
{
	struct tfs_format_options opt = {.size = SIZE};
	struct tfs_create c = {.mode = 0100644};
	char name[2] = "a";

	(void)state;
	assert_non_null(ram = calloc(1, SIZE));
	assert_int_equal(tfs_format(&dev, &env, &opt, &vol), 0);
	assert_int_equal(tfs_format_finish(vol, 0), 0);
	assert_int_equal(tfs_unmount(vol), 0);
	assert_int_equal(tfs_mount(&dev, &env, &rw, &vol), 0);
	for (u32 f = 0; f < FILES; f++, name[0]++) {
		assert_non_null(model[f] = calloc(WINDOWS, WINDOW));
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, 1, &c, &ino[f]), 0);
		assert_int_equal(tfs_truncate(vol, ino[f], WINDOWS * WINDOW), 0);
	}
	for (u32 round = 0; round < 4; round++) {
		churn(1500);
		reader_end();
		trim();
		all_look();
		assert_int_equal(tfs_sync(vol), 0);
		tfs_abandon(vol); /* a crash */
		assert_int_equal(tfs_mount(&dev, &env, &rw, &vol), 0);
		all_look();
	}
	assert_true(discards > SIZE);
	assert_int_equal(tfs_unmount(vol), 0);
	for (u32 f = 0; f < FILES; f++)
		free(model[f]);
}

static void halves(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	struct tfs_sync_ticket t;
	u64 sequence, n;

	(void)state;
	assert_int_equal(tfs_mount(&dev, &env, &rw, &vol), 0);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "x", 1, &c, &n), 0);
	sequence = tfs_sequence(vol);
	flushes = 0;
	assert_int_equal(tfs_sync_begin(vol, &t), 1);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "y", 1, &c, &n), 0);
	assert_int_equal(tfs_sync_end(vol, &t, 0), 0);
	assert_int_equal(tfs_durable(vol), sequence); /* x and not y */
	assert_int_equal(tfs_sync_begin(vol, &t), 1);
	assert_int_equal(tfs_sync_end(vol, &t, 0), 0);
	assert_int_equal(tfs_durable(vol), tfs_sequence(vol));
	assert_int_equal(tfs_sync_begin(vol, &t), 0); /* nothing to do */
	assert_int_equal(flushes, 0);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "z", 1, &c, &n), 0);
	assert_int_equal(tfs_sync_begin(vol, &t), 1);
	assert_int_equal(tfs_sync_end(vol, &t, -EIO), -EIO);
	assert_int_equal(tfs_stopped(vol), -EIO);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "w", 1, &c, &n), -EIO);
	tfs_abandon(vol);
	free(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(places), cmocka_unit_test(halves)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
