// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Nodes by columns (tfs/columns.c). Any node, stored and decoded, is the compact node it was: leaves of every mix of
 * lengths and order of insertion, and index nodes; also by the codecs of before. The form is the one that was: of one
 * node by a checksum (tests/format reads it by the document). A leaf of a file in pieces takes at most two thirds of
 * what LZ4 alone makes of it. Bytes that no writer made are decoded without a byte outside of the node being changed.
 * A volume without the feature gets no such node.
 */
#include "tests/unit/ram.h"

#include "tfs/vol.h"

#define BODY (TFS_NODE_SIZE - 64)
#define SIZE (64u << 20)

static u64 seed;
static u8 node[TFS_NODE_SIZE], again[TFS_NODE_SIZE], stored[2 * TFS_NODE_SIZE], spare[TFS_NODE_SIZE];

static u64 rnd64(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed ^ seed >> 29;
}

static u32 rnd(u32 below)
{
	return (u32)((rnd64() >> 20) % below);
}

/* ---- there and back ---- */

/* Random in some bytes, as addresses and CRCs are, and alike in the others. */
static void value_make(u8 *value, u32 len)
{
	for (u32 i = 0; i < len; i++)
		value[i] = i % 8 < 3 ? (u8)rnd(256) : (u8)(i / 8);
}

static u32 length_of(u32 mix)
{
	switch (mix) {
	case 0:
		return 36;
	case 1:
		return 33 + rnd(64);
	case 2:
		return rnd(2) ? 152 : 10 + rnd(30);
	case 3:
		return rnd(400);
	case 4:
		return rnd(8);
	default:
		return rnd(20) ? 40 : rnd(TFS_ITEM_MAX + 1);
	}
}

/* Up to `most` items, keys in any order, some taken out again. */
static void leaf_make(u32 mix, u32 most)
{
	u8 value[TFS_ITEM_MAX];
	bool exact;

	tfs_node_init(node, (int)rnd(4), 0, 7);
	for (u32 i = 0; i < most; i++) {
		struct tfs_key key = {mix % 2 ? 5 : rnd64() >> rnd(64), (6ull << 56) + rnd(mix % 2 ? 2000 : 20)};
		u32 len = length_of(mix), slot = tfs_node_search(node, key, &exact);

		if (exact && rnd(2))
			tfs_leaf_remove(node, slot);
		if (exact || tfs_leaf_cost(len) > tfs_leaf_free(node))
			continue;
		value_make(value, len);
		tfs_leaf_insert(node, spare, slot, key, value, len);
	}
	if (((struct tfs_node_head *)node)->garbage)
		tfs_leaf_compact(node, spare);
}

static void index_make(u32 most)
{
	struct tfs_key key = {0, 0};

	tfs_node_init(node, (int)rnd(4), 1 + (int)rnd(7), 7);
	for (u32 i = 0; i < most; i++) {
		struct tfs_ptr p = {
		    .addr = rnd64() >> 19, .len = (u16)(1 + rnd(33)), .crc = (u32)rnd64(), .birth = rnd(9000)};

		tfs_branch_insert(node, i, key, &p);
		key.a += rnd(3);
		key.b = key.b + 1 + (rnd64() >> rnd(64)) % 100000;
	}
}

/* Stored by codec and decoded; units of its stored form. */
static u32 there_and_back(int codec)
{
	u32 bytes = tfs_node_store(node, codec, stored, spare), count = tfs_node_count(node);
	const struct tfs_node_head *h = (const struct tfs_node_head *)stored;
	const char *why = NULL;

	if (codec == TFS_NODE_COLUMNS && h->codec)
		assert_true(h->codec == TFS_CODEC_LZ4 || (h->codec == TFS_NODE_COLUMNS && count >= TFS_COLUMN_ROWS));
	memset(again, 0xa5, sizeof(again));
	memset(spare, 0x5a, sizeof(spare));
	assert_int_equal(tfs_node_decode(again, stored, bytes, spare, &why), 0);
	assert_null(why);
	if (h->codec == TFS_NODE_COLUMNS && !h->level) /* values stand in the order of slots from then on */
		tfs_leaf_compact(node, spare);
	assert_memory_equal(again, node, TFS_NODE_SIZE);
	return bytes / TFS_UNIT;
}

static void test_there_and_back(void **state)
{
	static const int codecs[] = {TFS_CODEC_NONE, TFS_CODEC_LZ4, TFS_CODEC_ZLIB, TFS_NODE_COLUMNS};
	u32 columns = 0;

	(void)state;
	for (u32 i = 0; i < 2500; i++) {
		u32 most = rnd(2) ? rnd(30) : rnd(1200);

		seed = i * 7919 + 1;
		if (i % 5)
			leaf_make(i % 6, most);
		else
			index_make(1 + most % TFS_BRANCH_MAX);
		for (u32 c = 0; c < 4; c++)
			there_and_back(codecs[c]);
		columns += ((struct tfs_node_head *)stored)->codec == TFS_NODE_COLUMNS;
	}
	assert_in_range(columns, 1200, 2500);
}

/* ---- the form ---- */

/* A file's leaf: pieces of a block each, and one in seven of two. */
static void pieces_make(void)
{
	bool exact;

	tfs_node_init(node, TFS_TREE_FS, 0, 7);
	for (u32 i = 0; i < 240; i++) {
		u64 value[5] = {tfs_cpu64(rnd(1u << 20) * 8ull), tfs_cpu64(300 + rnd(90)), tfs_cpu64(8ull << 32)};
		struct tfs_key key = tfs_key(300, TFS_IT_EXTENT, 16000 + i);

		value[3] = tfs_cpu64(1 | 1ull << 32);
		value[4] = tfs_cpu64(i % 7 ? rnd64() >> 32 : rnd64());
		tfs_leaf_insert(node, spare, tfs_node_search(node, key, &exact), key, value, i % 7 ? 36 : 40);
	}
}

static void test_form(void **state)
{
	u32 lz4, columns;

	(void)state;
	seed = 20261130;
	pieces_make();
	memcpy(again, node, sizeof(node));
	tfs_columns_out(spare, again);
	assert_int_equal(tfs_port_crc32c(0, spare, BODY), 0x25f04ea3);
	lz4 = there_and_back(TFS_CODEC_LZ4);
	columns = there_and_back(TFS_NODE_COLUMNS);
	assert_in_range(columns, 1, lz4 * 2 / 3);
}

/* ---- what nobody wrote ---- */

static u8 room[3 * TFS_NODE_SIZE];

static bool outside_kept(void)
{
	for (u32 i = 0; i < TFS_NODE_SIZE; i++)
		if (room[i] != 0xa5 || room[2 * TFS_NODE_SIZE + i] != 0xa5)
			return false;
	return true;
}

static void hostile_make(u8 *columns)
{
	static const u32 counts[] = {0, 7, 8, 9, 255, 407, 408, 409, 680, 681, 65535};
	struct tfs_node_head *h = (struct tfs_node_head *)(room + TFS_NODE_SIZE);
	u32 changes = rnd(4), i;

	if (rnd(4))
		leaf_make(rnd(6), rnd(700));
	else
		index_make(1 + rnd(TFS_BRANCH_MAX));
	if (rnd(4) && tfs_node_count(node) >= TFS_COLUMN_ROWS) { /* nearly one */
		memcpy(h, node, sizeof(*h));
		tfs_columns_out(columns, node);
		for (i = 0; i < changes; i++)
			columns[rnd(BODY)] = (u8)rnd(256);
	} else {
		u32 any = rnd(2) ? 256 : 3;

		for (i = 0; i < BODY; i++)
			columns[i] = (u8)rnd(any);
		changes = 1;
	}
	if (changes)
		h->count = tfs_cpu16((u16)(rnd(2) ? counts[rnd(11)] : rnd(700)));
	if (!rnd(4))
		h->level = (u8)rnd(256);
	h->heap = tfs_cpu16((u16)(rnd(2) ? tfs_le16(h->heap) : rnd(65536)));
}

static void test_hostile(void **state)
{
	u32 taken = 0, refused = 0;

	(void)state;
	memset(room, 0xa5, sizeof(room));
	for (u32 i = 0; i < 12000; i++) {
		u8 *columns = malloc(BODY); /* so that a sanitizer sees where it ends */
		bool in;

		seed = i * 104729 + 1;
		hostile_make(columns);
		in = tfs_columns_in(room + TFS_NODE_SIZE, columns);
		free(columns);
		if (!outside_kept()) {
			print_error("seed %u\n", i);
			fail();
		}
		assert_false(in && tfs_node_count(room + TFS_NODE_SIZE) < TFS_COLUMN_ROWS);
		taken += in;
		refused += !in;
		if (in) /* ends, and looks at nothing outside: the next test of its bytes is the verifier's */
			tfs_node_check(room + TFS_NODE_SIZE, 7);
	}
	assert_in_range(taken, 2000, 12000);
	assert_in_range(refused, 2000, 12000);
}

/* ---- volumes ---- */

static int codecs_count(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = (const struct tfs_node_head *)(ram + info->ptr.addr * TFS_UNIT);
	u32 *counts = arg;

	assert_in_range(h->codec, 0, 3);
	counts[h->codec]++;
	return 0;
}

/* As a version without columns would have made it. */
static void feature_remove(void)
{
	u64 at[2] = {TFS_SUPER_OFFSET, SIZE - TFS_BLOCK};

	assert_int_equal(tfs_unmount(vol), 0);
	for (u32 i = 0; i < 2; i++) {
		struct tfs_super *s = (struct tfs_super *)(ram + at[i]);

		assert_int_equal(tfs_le64(s->incompat), 3);
		s->incompat = tfs_cpu64(TFS_INCOMPAT_BESIDE);
		tfs_head_seal(&s->head, TFS_BT_SUPER, tfs_le64(s->head.volume), sizeof(*s));
	}
	ram_mount();
}

static void names_make(u32 from, u32 to)
{
	struct tfs_create c = {.mode = 0100644};
	char name[16];
	u64 ino;

	for (u32 i = from; i < to; i++)
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)sprintf(name, "%u", i), &c, &ino), 0);
	assert_int_equal(tfs_checkpoint(vol), 0);
}

static void names_found(u32 to)
{
	char name[16];
	u64 ino;
	u8 type;

	ram_remount();
	for (u32 i = 0; i < to; i++)
		assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, name, (u32)sprintf(name, "%u", i), &ino, &type), 0);
}

static void test_feature(void **state)
{
	u32 with[4] = {0}, without[4] = {0};

	(void)state;
	ram_format(SIZE);
	feature_remove();
	names_make(0, 2000);
	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, codecs_count, without), 0);
	assert_true(without[TFS_CODEC_LZ4] > 10);
	assert_int_equal(without[TFS_NODE_COLUMNS], 0);
	names_found(2000);
	ram_end(NULL);

	ram_format(SIZE);
	names_make(0, 2000);
	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, codecs_count, with), 0);
	assert_true(with[TFS_NODE_COLUMNS] > 10);
	names_found(2000);
	ram_end(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
