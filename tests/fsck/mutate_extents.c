// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mutations of what maps and promises blocks: extents, places that two of them claim, ranges, content. Each function
 * makes one change; the table says what fsck has to call it. */
#include "tests/fsck/mutate.h"

static void m_overlap(void)
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT), n = k;
	struct tfs_extent *e = (struct tfs_extent *)buf;

	item_get(k, buf);
	n.b += 4; /* raw, four blocks in: the same place again */
	e->blocks = e->total = tfs_cpu16(8);
	e->ptr.len = tfs_cpu16(64);
	item_put(n, buf, TFS_EXTENT_HEAD + 4 * 8);
}
static void m_range(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = item_get(k, buf);

	((struct tfs_extent *)buf)->ptr.addr = tfs_cpu64(1ull << 40);
	item_put(k, buf, len);
}
static void m_future(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = item_get(k, buf);

	((struct tfs_extent *)buf)->ptr.birth = tfs_cpu64(1ull << 40);
	item_put(k, buf, len);
}
static void claim(bool alike)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT), n = k;
	u32 len = item_get(k, buf);

	n.a = 6;
	if (!alike)
		((struct tfs_extent *)buf)->ptr.birth = 0;
	item_put(n, buf, len);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
static void m_claim(void)
{
	claim(false);
}
static void m_claim_alike(void)
{
	claim(true);
}
/* Inode 6 shows inode 7's first window too, but for two blocks that it states other content of. */
static void m_claim_raw(void)
{
	u32 len = item_get(item_first(7, TFS_IT_EXTENT), buf);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	e->crc[3] ^= 1;
	e->crc[4] ^= 1;
	e->ptr.birth = 0; /* no clone */
	item_put(tfs_key(6, TFS_IT_EXTENT, 0), buf, len);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
static void m_claim_xattr(void)
{
	struct tfs_key k = item_first(3, TFS_IT_XATTR);
	u32 len;

	while (len = item_get(k, buf), !((struct tfs_xattr *)buf)->where) {
		const void *v;

		k.b++;
		must(tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len), "xattr");
	}
	k.a = 6;
	item_put(k, buf, len);
}
/* Inode 6 claims all that another does: two owners in each window, of which one is to be copied unless they are alike.
 */
static void claim_all(u64 ino, bool alike)
{
	struct tfs_key k = item_first(ino, TFS_IT_EXTENT);
	const void *v;
	u32 len, n = 0;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len) && k.a == ino && k.b >> TFS_POS_BITS == TFS_IT_EXTENT;
	     k.b++, n++) {
		struct tfs_key to = {6, k.b};

		memcpy(buf, v, len);
		if (!alike)
			((struct tfs_extent *)buf)->ptr.birth = 0;
		item_put(to, buf, len);
	}
	inode_load(6);
	inode.size = tfs_cpu64(n * 65536ull);
	inode.blocks = tfs_cpu64(n * 16);
	inode_store(6);
}
static void m_claim_all(void)
{
	claim_all(7, false);
}
static void m_claim_blocks(void) /* as clones whose counts are lost */
{
	claim_all(7, true);
}
static void m_claim_full(void) /* no room for the copies */
{
	u64 ino = fill_make(0);

	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	claim_all(ino, false);
}
static int leaf_last(void *arg, const struct tfs_node_info *info)
{
	if (!info->level && info->ptr.addr)
		memcpy(arg, &info->ptr, sizeof(info->ptr));
	return 0;
}
/* An extent lies where a leaf is. */
static void m_claim_node(void)
{
	struct tfs_extent *e = (struct tfs_extent *)buf;
	struct tfs_ptr leaf = {0};
	char name[16];

	for (u32 i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		make(2, name, 0100644);
	}
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	must(tfs_tree_walk(vol, TFS_TREE_FS, leaf_last, &leaf), "walk");
	item_get(item_first(8, TFS_IT_EXTENT), buf);
	leaf.crc ^= 1;
	e->ptr = tfs_ptr_disk(&leaf);
	item_put(tfs_key(6, TFS_IT_EXTENT, 0), buf, TFS_EXTENT_HEAD);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
/* Half of a compressed extent as a second piece that states another length. */
static void m_pieces(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	item_get(k, buf);
	e->blocks = tfs_cpu16(8);
	item_put(k, buf, TFS_EXTENT_HEAD);
	e->skip = tfs_cpu16(8);
	e->ptr.len = tfs_cpu16((u16)(tfs_le16(e->ptr.len) + 1));
	k.b += 8;
	item_put(k, buf, TFS_EXTENT_HEAD);
}
/* A small compressed extent becomes a gang whose list of places is no list. */
static void m_gang(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	item_get(k, buf);
	e->ptr.addr = tfs_cpu64(tfs_le64(e->ptr.addr) & ~7ull);
	e->ptr.flags = tfs_cpu16(TFS_PTR_GANG);
	item_put(k, buf, TFS_EXTENT_HEAD);
}
static void m_inline(void)
{
	item_put(tfs_key(4, TFS_IT_INLINE, 0), "inline", 6);
	inode_load(4);
	inode.size = tfs_cpu64(6);
	inode_store(4);
}
static void range_put(u32 type, u64 ino, u64 block, u64 n)
{
	n = tfs_cpu64(n);
	item_put(tfs_key(ino, type, block), &n, 8);
}
static void m_promise_twice(void)
{
	range_put(TFS_IT_PREALLOC, 4, 2, 4);
	vol->counters.prealloc_blocks += 4;
}
static void m_promise_huge(void)
{
	range_put(TFS_IT_PREALLOC, 4, 100, 1ull << 40);
	vol->counters.prealloc_blocks += 1ull << 40;
}
static void m_pending(void)
{
	range_put(TFS_IT_PENDING, 7, 5, 16);
}
static void m_pending_twice(void)
{
	range_put(TFS_IT_PENDING, 7, 128, 1600);
	range_put(TFS_IT_PENDING, 7, 144, 16);
}
static void m_far(void) /* the last block there is: its file's size is one byte short of 2^63 */
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT);
	u32 len = item_get(k, buf);

	item_del(k);
	k.b += (1ull << 51) - 16;
	item_put(k, buf, len);
}
static void m_prealloc(void)
{
	u64 n = 60;
	item_put(tfs_key(7, TFS_IT_PREALLOC, 0), &n, 8);
}
static void m_tail(void) /* bytes behind the end that nobody is told of */
{
	inode_load(7);
	inode.size = tfs_cpu64(63 * TFS_BLOCK + 100);
	inode_store(7);
}
/* The checksum of the stored bytes stays right. */
static void m_codec(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = item_get(k, buf);

	((struct tfs_extent *)buf)->codec = TFS_CODEC_ZLIB;
	item_put(k, buf, len);
}
/* Eight blocks were encoded, and the extent states sixteen. */
static void m_decoded_short(void)
{
	static u8 data[8 * TFS_BLOCK], scratch[8 * TFS_BLOCK];
	struct tfs_encoded e;
	struct tfs_key k;
	u64 ino = make(TFS_INO_ROOT, "short", 0100644);
	u32 len;

	tfs_encode(TFS_CODEC_LZ4, 0, data, 8, scratch, &e);
	must(tfs_write(vol, ino, 0, &e, sizeof(data), NULL), "write");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	k = item_first(ino, TFS_IT_EXTENT);
	len = item_get(k, buf);
	((struct tfs_extent *)buf)->total = tfs_cpu16(16);
	item_put(k, buf, len);
}

const struct mutation mutations_extents[] = {
    {"overlap", m_overlap, 25, 0, 0}, /* name, edit, problem, left, data */
    {"range", m_range, 26, 0, 0},
    {"future", m_future, 26, 0, 0},
    {"claim", m_claim, 50, 0, 0},
    {"claim-alike", m_claim_alike, 60, 0, 0},
    {"claim-raw", m_claim_raw, 50, 0, 0},
    {"claim-taken", m_claim_raw, 54, 0, 0},
    {"claim-all", m_claim_all, 50, 0, 0},
    {"claim-blocks", m_claim_blocks, 60, 0, 0},
    {"claim-full", m_claim_full, 50, 0, 0},
    {"claim-xattr", m_claim_xattr, 50, 0, 0},
    {"claim-node", m_claim_node, 54, 0, 0},
    {"claim-node-moves", m_claim_node, 50, 0, 0},
    {"pieces", m_pieces, 54, 0, 0},
    {"gang", m_gang, 53, 0, 0},
    {"inline", m_inline, 25, 0, 0},
    {"promise-twice", m_promise_twice, 25, 0, 0},
    {"promise-huge", m_promise_huge, 26, 0, 0},
    {"pending", m_pending, 26, 0, 0},
    {"pending-twice", m_pending_twice, 25, 0, 0},
    {"far", m_far, 22, 0, 0},
    {"prealloc", m_prealloc, 25, 0, 0},
    {"tail", m_tail, 37, 0, 1},
    {"codec", m_codec, 71, 1, 1},
    {"decoded-short", m_decoded_short, 71, 1, 1},
    {NULL, NULL, 0, 0, 0},
};
