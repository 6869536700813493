// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: items, nodes and heads one by one. The first byte chooses: a verifier called on the rest (with magic, type
 * and volume put right), or items in fuzz/items.h's encoding that become the FS or the SPACE leaf of a small volume,
 * which is then used. So what the verifiers let through meets all later code.
 */
#include "fuzz/items.h"

static bool made;

static void check_item(struct fuzz_in *in)
{
	static u64 value[(0x10000 + 8) / 8];
	u32 tree = fuzz_u8(in) % 5, len;
	u8 *exact;
	struct tfs_key key;

	if (!fuzz_item_read(in, &key, value, &len))
		return;
	exact = malloc(len ? len : 1);
	FUZZ_CHECK(exact, "memory: none for an item");
	memcpy(exact, value, len);
	tfs_item_check((int)tree, key, exact, len);
	free(exact);
}

static void check_node(struct fuzz_in *in)
{
	static u64 node[TFS_NODE_SIZE / 8];
	struct tfs_node_head *h = (struct tfs_node_head *)node;

	tfs_node_init(node, (int)(fuzz_u8(in) % 4), (int)(fuzz_u8(in) % 9), 7);
	h->count = tfs_cpu16((u16)fuzz_u16(in));
	h->heap = tfs_cpu16((u16)fuzz_u16(in));
	fuzz_bytes(in, h + 1, 1024);
	fuzz_bytes(in, (u8 *)node + (tfs_le16(h->heap) < TFS_NODE_SIZE ? tfs_le16(h->heap) : 0),
	           TFS_NODE_SIZE - (tfs_le16(h->heap) < TFS_NODE_SIZE ? tfs_le16(h->heap) : 0));
	tfs_node_check(node, 7);
}

/* A node's body by columns; what the verifier lets through is the same when it went there and back. */
static void check_columns(struct fuzz_in *in)
{
	static u64 node[TFS_NODE_SIZE / 8], again[TFS_NODE_SIZE / 8];
	const u32 body = TFS_NODE_SIZE - sizeof(struct tfs_node_head);
	struct tfs_node_head *h = (struct tfs_node_head *)node;
	u8 *columns = calloc(1, body), *exact = malloc(TFS_NODE_SIZE);

	FUZZ_CHECK(columns && exact, "memory: none for a node");
	tfs_node_init(node, (int)(fuzz_u8(in) % 4), (int)(fuzz_u8(in) % 9), 7);
	h->count = tfs_cpu16((u16)fuzz_u16(in));
	h->heap = tfs_cpu16((u16)fuzz_u16(in));
	fuzz_bytes(in, columns, body);
	memcpy(exact, node, sizeof(*h));
	if (tfs_columns_in(exact, columns) && !tfs_node_check(exact, 7)) {
		memcpy(node, exact, sizeof(node));
		memcpy(again, exact, sizeof(*h));
		tfs_columns_out(columns, exact);
		FUZZ_CHECK(tfs_columns_in((u8 *)again, columns) && !memcmp(again, node, sizeof(node)),
		           "columns: a node is another when it comes back");
	}
	free(exact);
	free(columns);
}

static void check_block(struct fuzz_in *in, int type)
{
	static u64 block[TFS_BLOCK / 8];
	struct tfs_block_head *h = (struct tfs_block_head *)block;
	u32 length = fuzz_u16(in);

	memset(block, 0, sizeof(block));
	fuzz_bytes(in, h + 1, TFS_BLOCK - sizeof(*h));
	h->magic = tfs_cpu32(TFS_MAGIC);
	h->crc = tfs_cpu32(FUZZ_CRC);
	h->volume = tfs_cpu64(7);
	h->type = tfs_cpu16((u16)type);
	h->length = tfs_cpu32(length ? length % (TFS_BLOCK + 1) : 512);
	if (type == TFS_BT_SUPER)
		tfs_super_check(block, length & 1 ? FUZZ_SIZE : 0);
	else if (type == TFS_BT_ANCHOR)
		tfs_anchor_check(block, 7);
	else
		tfs_log_head_check(block, 7);
}

/* ---- leaves ---- */

static void leaf_add(u8 *leaf, struct tfs_key key, const void *value, u32 len)
{
	static u8 spare[TFS_NODE_SIZE];
	bool exact;
	u32 slot = tfs_node_search(leaf, key, &exact);

	if (!exact && len <= TFS_ITEM_MAX && tfs_leaf_cost(len) <= tfs_leaf_free(leaf))
		tfs_leaf_insert(leaf, spare, slot, key, value, len);
}

/* The tree's one leaf is built anew at its place: the pointer to it stays as it is, its checksum is the constant. */
static void leaf_replace(struct fuzz_in *in, int tree)
{
	static u64 leaf[TFS_NODE_SIZE / 8], value[(0x10000 + 8) / 8];
	static const struct tfs_segment none[TFS_SEGS_PER_ITEM];
	struct tfs_node_head *h = (struct tfs_node_head *)leaf;
	struct tfs_ptr root = fuzz_root(tree);
	struct tfs_key key;
	u32 len, i;

	FUZZ_CHECK(root.addr && root.addr % 8 == 0 && root.len == 32,
	           "base: expected one leaf as it is, found %u units", root.len);
	tfs_node_init(leaf, tree, 0, FUZZ_VOLUME);
	while (fuzz_item_read(in, &key, value, &len))
		leaf_add((u8 *)leaf, key, value, len);
	if (tree == TFS_TREE_SPACE)
		leaf_add((u8 *)leaf, (struct tfs_key){TFS_SPACE_SEGS, 0}, none, sizeof(none));
	h->birth = tfs_cpu64(root.birth);
	h->stored = tfs_cpu32(TFS_NODE_SIZE - sizeof(*h));
	for (i = 0; i < TFS_NODE_BLOCKS; i++)
		memcpy(fuzz_ram_page((u32)(root.addr / 8) + i), (u8 *)leaf + i * TFS_BLOCK, TFS_BLOCK);
}

/* Half of the time a field of some item's value, where fields are aligned. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	static u64 value[(0x10000 + 8) / 8];
	struct fuzz_in in = {data + 2, data + size};
	u32 r = seed, len, n, got;
	struct tfs_key key;

	if (fuzz_random(&r) % 2 || size < 8)
		return LLVMFuzzerMutate(data, size, max);
	if (data[0] % 8 == FUZZ_ITEMS_CHECK)
		in.at++;
	for (n = fuzz_random(&r) % 24; fuzz_item_read(&in, &key, value, &len) && n; n--)
		;
	got = len < (u32)(in.at - data - 2) ? len : 0; /* in.at is behind the value */
	fuzz_mutate_field((u8 *)in.at - got, got, fuzz_random(&r), &r);
	return size;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};
	u32 what = fuzz_u8(&in) % 8, seed = fuzz_u8(&in);

	if (!made) {
		fuzz_base_small();
		made = true;
	}
	switch (what) {
	case FUZZ_ITEMS_CHECK:
		check_item(&in);
		break;
	case FUZZ_ITEMS_NODE:
		check_node(&in);
		break;
	case FUZZ_ITEMS_COLUMNS:
		check_columns(&in);
		break;
	case FUZZ_ITEMS_SUPER:
		check_block(&in, TFS_BT_SUPER);
		break;
	case FUZZ_ITEMS_ANCHOR:
		check_block(&in, TFS_BT_ANCHOR);
		break;
	case FUZZ_ITEMS_HEAD:
		check_block(&in, TFS_BT_LOG);
		break;
	default:
		fuzz_ram_reset();
		leaf_replace(&in, what == FUZZ_ITEMS_SPACE ? TFS_TREE_SPACE : TFS_TREE_FS);
		fuzz_use(seed, false);
	}
	fuzz_end();
	return 0;
}
