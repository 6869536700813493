// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mutations of the counts of shared extents (REFS; inode 12 shares each with two others) and of SPACE. Each function
 * makes one change; the table says what fsck has to call it. */
#include "tests/fsck/mutate.h"

/* ---- shared extents: three windows refer to each of inode 12's ---- */

static struct tfs_extent shared_extent(u64 ino)
{
	item_get(item_first(ino, TFS_IT_EXTENT), buf);
	return *(struct tfs_extent *)buf;
}
static void ref_put(u64 addr, u32 len, u32 count)
{
	struct tfs_ref r = {tfs_cpu32(len), tfs_cpu32(count)};
	struct tfs_key k = {addr, 0};

	room(TFS_TREE_REFS, k, sizeof(r));
	tfs_item_put(vol, TFS_TREE_REFS, k, &r, sizeof(r));
}
static void ref_of(u64 ino, int longer, u32 count)
{
	struct tfs_extent e = shared_extent(ino);

	ref_put(tfs_le64(e.ptr.addr), (u32)(tfs_le16(e.ptr.len) + longer), count);
}
static void m_ref_high(void)
{
	ref_of(12, 0, 4);
}
static void m_ref_low(void)
{
	ref_of(12, 0, 2);
}
static void m_ref_one(void)
{
	ref_of(12, 0, 1);
}
static void m_ref_huge(void)
{
	ref_of(12, 0, ~0u);
}
static void m_ref_long(void) /* over the next extent: two owners in all, one each */
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent e = shared_extent(8);

	k.b += 16;
	item_get(k, buf);
	ref_put(tfs_le64(e.ptr.addr),
	        (u32)(tfs_le64(((struct tfs_extent *)buf)->ptr.addr) - tfs_le64(e.ptr.addr)) + tfs_le16(e.ptr.len), 2);
}
static void m_ref_short(void)
{
	ref_of(12, -1, 3);
}
static void m_ref_empty(void)
{
	struct tfs_extent e = shared_extent(12);

	ref_put(tfs_le64(e.ptr.addr), 0, 3);
}
static void m_ref_gone(void)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;

	while (!tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len)) { /* all of them */
		room(TFS_TREE_REFS, k, 0);
		tfs_item_del(vol, TFS_TREE_REFS, k);
	}
}
static void m_ref_alone(void)
{
	ref_of(8, 0, 2);
}
static void m_ref_alone_one(void) /* "one reference" needs no item, and nothing that drops it takes one */
{
	ref_of(8, 0, 1);
}
static void m_ref_nothing(void)
{
	ref_put((TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8, 0);
}
static void m_ref_raw(void)
{
	ref_of(7, 0, 2);
}
/* ---- raw blocks: inode 15's are 16's, too, in items of 11 and of 5 blocks ---- */

static void m_ref_blocks_high(void)
{
	ref_of(15, -5 * 8, 3);
}
static void m_ref_blocks_low(void)
{
	ref_of(15, -5 * 8, 1);
}
static void m_ref_blocks_none(void)
{
	ref_of(15, -5 * 8, 0);
}
static void m_ref_blocks_long(void) /* over the next item, and further */
{
	ref_of(15, 0, 2);
}
static void m_ref_blocks_far(void) /* longer than any that counts blocks */
{
	ref_of(15, 16, 2);
}
static void m_ref_blocks_short(void)
{
	ref_of(15, -7 * 8, 2);
}
static void m_ref_blocks_part(void) /* ends within a block */
{
	ref_of(15, -5 * 8 - 1, 2);
}
static void m_ref_blocks_cut(void) /* one block in the middle counted otherwise */
{
	struct tfs_extent e = shared_extent(15);

	ref_put(tfs_le64(e.ptr.addr), 3 * 8, 2);
	ref_put(tfs_le64(e.ptr.addr) + 3 * 8, 8, 3);
	ref_put(tfs_le64(e.ptr.addr) + 4 * 8, 7 * 8, 2);
}
/* A block of raw content in the middle of what is shared; sound: its checksum is right. */
static void raw_over(bool sound)
{
	static u8 data[TFS_BLOCK];
	struct tfs_extent e = shared_extent(12);
	u64 at = (tfs_le64(e.ptr.addr) + 7) & ~7ull; /* of 16 units */

	must(tfs_dev_io(vol, TFS_IO_READ, at * TFS_UNIT, data, TFS_BLOCK, 0), "read");
	memset(&e, 0, sizeof(e));
	e.ptr.addr = tfs_cpu64(at);
	e.ptr.len = tfs_cpu16(8);
	e.blocks = e.total = tfs_cpu16(1);
	memcpy(buf, &e, TFS_EXTENT_HEAD);
	((struct tfs_extent *)buf)->crc[0] = tfs_cpu32(tfs_port_crc32c(0, data, TFS_BLOCK) ^ !sound);
	item_put(tfs_key(6, TFS_IT_EXTENT, 0), buf, TFS_EXTENT_HEAD + 4);
	inode_load(6);
	inode.size = tfs_cpu64(TFS_BLOCK);
	inode.blocks = tfs_cpu64(1);
	inode_store(6);
}
static void m_ref_over(void)
{
	raw_over(false);
}
static void m_ref_over_sound(void)
{
	raw_over(true);
}
static void m_ref_over_first(void) /* the other comes before them in key order */
{
	raw_over(true);
	m_ref_gone();
}
/* Who refers to it goes in the same repair: its inode is to be a directory. */
static void m_ref_unfit(void)
{
	item_del(tfs_inode_key(13));
	entry_put(13, free_pos("x"), "x", 3, 8);
}
static void m_space_live(void)
{
	must(tfs_space_prepare(vol, (TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8), "space");
	tfs_space_mark(vol, (TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8, true);
}
static void m_space_dead(void)
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT);
	u64 addr;

	item_get(k, buf);
	addr = tfs_le64(((struct tfs_extent *)buf)->ptr.addr);
	must(tfs_space_prepare(vol, addr, 8), "space");
	tfs_space_mark(vol, addr, 8, false);
}
static void m_space_count(void)
{
	struct tfs_key k = {TFS_SPACE_SEGS, 0};
	struct tfs_node *leaf;
	struct tfs_segment *s;

	must(tfs_tree_dirty(vol, TFS_TREE_SPACE, k, &leaf), "space");
	s = tfs_item_edit(vol, TFS_TREE_SPACE, k, NULL);
	s[100].live = tfs_cpu32(5);
	s[100].used_blocks = tfs_cpu32(3);
	vol->segment[100].live = 5;
	vol->segment[100].used_blocks = 3;
}

const struct mutation mutations_space[] = {
    {"ref-high", m_ref_high, 60, 0, 0}, /* name, edit, problem, left, data */
    {"ref-low", m_ref_low, 60, 0, 0},
    {"ref-one", m_ref_one, 60, 0, 0},
    {"ref-huge", m_ref_huge, 60, 0, 0},
    {"ref-long", m_ref_long, 60, 0, 0},
    {"ref-short", m_ref_short, 60, 0, 0},
    {"ref-empty", m_ref_empty, 60, 0, 0},
    {"ref-gone", m_ref_gone, 60, 0, 0},
    {"ref-alone", m_ref_alone, 60, 0, 0},
    {"ref-alone-one", m_ref_alone_one, 60, 0, 0},
    {"ref-nothing", m_ref_nothing, 60, 0, 0},
    {"ref-raw", m_ref_raw, 60, 0, 0},
    {"ref-blocks-high", m_ref_blocks_high, 60, 0, 0},
    {"ref-blocks-low", m_ref_blocks_low, 60, 0, 0},
    {"ref-blocks-none", m_ref_blocks_none, 60, 0, 0},
    {"ref-blocks-long", m_ref_blocks_long, 60, 0, 0},
    {"ref-blocks-far", m_ref_blocks_far, 60, 0, 0},
    {"ref-blocks-short", m_ref_blocks_short, 60, 0, 0},
    {"ref-blocks-part", m_ref_blocks_part, 60, 0, 0},
    {"ref-blocks-cut", m_ref_blocks_cut, 60, 0, 0},
    {"ref-over", m_ref_over, 54, 0, 0},
    {"ref-over-sound", m_ref_over_sound, 50, 0, 0},
    {"ref-over-first", m_ref_over_first, 50, 0, 0},
    {"ref-unfit", m_ref_unfit, 27, 0, 0},
    {"space-live", m_space_live, 51, 0, 0},
    {"space-dead", m_space_dead, 51, 0, 0},
    {"space-count", m_space_count, 52, 0, 0},
    {NULL, NULL, 0, 0, 0},
};
