// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Nodes are read ahead where the tree is read in order, and only there: counted in requests. What is read ahead and
 * damaged is nobody's error but that of who needs it, and a device that refuses long reads is still read. A diff of
 * snapshots reads the leaves of what changed.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define SIZE (1u << 30) /* large, so that all is written by one checkpoint */
#define FILES 6000u

static u32 reads, refused;
static u64 ino_of[FILES];
static u8 *seen; /* a byte a block of the device: it was read. NULL: nobody asks */

static int counting_io(struct tfs_dev *d, enum tfs_io_op op, u64 off, void *buf, u32 n, u32 flags)
{
	reads += op == TFS_IO_READ;
	if (op == TFS_IO_READ && seen)
		memset(seen + off / TFS_BLOCK, 1, n / TFS_BLOCK);
	if (op == TFS_IO_READ && n > TFS_NODE_SIZE + TFS_BLOCK && refused)
		return -EIO;
	return ram_io(d, op, off, buf, n, flags);
}

static const struct tfs_dev_ops counting_ops = {counting_io, ram_flush, NULL};

static int leaf(void *arg, const struct tfs_node_info *info)
{
	*(u32 *)arg += !info->level;
	return 0;
}

static u32 leaves(void)
{
	u32 n = 0;

	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, leaf, &n), 0);
	return n;
}

static void remount(void)
{
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount();
	reads = 0;
}

/* Names in the order of their hashes among inodes in the order of their numbers: leaves split everywhere. */
static int setup(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	char name[200];

	(void)state;
	ram_dev.ops = &counting_ops;
	ram_format(SIZE);
	memset(name, 'x', sizeof(name));
	for (u32 i = 0; i < FILES; i++) {
		sprintf(name + 180, "%u", i);
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino_of[i]), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tfs_abandon(vol);
	ram_free();
	return 0;
}

static int none(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	(void)name;
	(void)len;
	(void)ino;
	(void)type;
	(void)next;
	++*(u32 *)arg;
	return 0;
}

static int one(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	u32 *left = arg;

	(void)name;
	(void)len;
	(void)ino;
	(void)type;
	(void)next;
	return !(*left)--;
}

static void all_of(u32 files)
{
	u64 pos = 0;
	u32 n = 0;

	assert_int_equal(tfs_readdir(vol, TFS_INO_ROOT, &pos, none, &n), 0);
	assert_int_equal(n, files);
}

static void all_names(void)
{
	all_of(FILES);
}

static void test_in_order(void **state)
{
	u32 all = leaves();

	(void)state;
	assert_in_range(all, 100, 1000);
	remount();
	all_names();
	assert_in_range(reads, 2, all / 4);
}

/* Far apart from each other: no leaf but those that are asked for. */
static void test_not_in_order(void **state)
{
	struct tfs_attr a;
	u32 i, at = 0;

	(void)state;
	remount();
	for (i = 0; i < 8; i++, at = (at + FILES / 8 * 3) % FILES)
		assert_int_equal(tfs_getattr(vol, ino_of[at], &a), 0);
	assert_in_range(reads, 1, 12);
}

static void test_refused(void **state)
{
	u32 all = leaves();

	(void)state;
	remount();
	refused = 1;
	all_names();
	refused = 0;
	assert_in_range(reads, all / 2, 3 * all);
}

#define CHANGED 8u

static int counted(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	(void)a_len;
	(void)b_len;
	*(u32 *)arg += key.b >> TFS_POS_BITS == TFS_IT_INODE && a && b;
	return 0;
}

/* Of each tree the leaf of what changed and the way there, and not what comes after that leaf. */
static void test_diff(void **state)
{
	struct tfs_attr a;
	u64 older, newer;
	u32 n = 0, blocks = 0;

	(void)state;
	assert_int_equal(tfs_snapshot_create(vol, "a", 1, &older), 0);
	for (u32 i = 0; i < CHANGED; i++) {
		assert_int_equal(tfs_getattr(vol, ino_of[i * (FILES / CHANGED)], &a), 0);
		a.uid = 7;
		assert_int_equal(tfs_setattr(vol, ino_of[i * (FILES / CHANGED)], TFS_SET_UID, &a), 0);
	}
	assert_int_equal(tfs_snapshot_create(vol, "b", 1, &newer), 0);
	remount();
	seen = calloc(1, SIZE / TFS_BLOCK);
	assert_int_equal(tfs_snapshot_diff(vol, older, newer, counted, &n), 0);
	for (u32 i = 0; i < SIZE / TFS_BLOCK; i++)
		blocks += seen[i];
	free(seen);
	seen = NULL;
	assert_int_equal(n, CHANGED);
	assert_in_range(reads, CHANGED, 2 * CHANGED - 1); /* the newer leaves come together */
	assert_in_range(blocks, CHANGED, 5 * CHANGED);    /* a leaf may reach into a second block */
}

struct found {
	struct tfs_ptr ptr;
	u32 skip;
};

/* A leaf of inodes somewhere in the middle of those that are read ahead. */
static int some_leaf(void *arg, const struct tfs_node_info *info)
{
	struct found *f = arg;

	if (!info->level && info->lo.a >= ino_of[FILES / 2] && !f->ptr.len && !f->skip--)
		f->ptr = info->ptr;
	return 0;
}

/* Damage in what comes along is found, whichever byte it is in: an error or the truth, never anything else. */
static void test_damaged(void **state)
{
	static struct tfs_attr truth[FILES];
	struct found f = {.skip = 3};
	u32 i, at, bad;

	(void)state;
	for (i = 0; i < FILES; i++)
		assert_int_equal(tfs_getattr(vol, ino_of[i], &truth[i]), 0);
	remount();
	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, some_leaf, &f), 0);
	assert_true(f.ptr.len);
	for (at = 64; at < f.ptr.len * TFS_UNIT - TFS_UNIT; at += 61) {
		remount();
		ram[f.ptr.addr * TFS_UNIT + at] ^= 0x10;
		for (i = bad = 0; i < FILES; i++) {
			struct tfs_attr a;
			int err = tfs_getattr(vol, ino_of[i], &a);

			assert_true(err == -EIO || (!err && !memcmp(&a, &truth[i], sizeof(a))));
			bad += err != 0;
		}
		assert_in_range(bad, 1, FILES / 4);
		ram[f.ptr.addr * TFS_UNIT + at] ^= 0x10;
		tfs_abandon(vol);
		ram_mount();
	}
}

/* ---- gaps ---- */

/* Blocks of a node become 2: they may be read. */
static int live_blocks(void *arg, const struct tfs_node_info *info)
{
	u64 first = info->ptr.addr / TFS_UNITS_PER_BLOCK,
	    last = (info->ptr.addr + info->ptr.len - 1) / TFS_UNITS_PER_BLOCK;

	memset((u8 *)arg + first, 2, last - first + 1);
	return 0;
}

#define NAMES 20000u
static u64 last_ino;

/* Reads all names in order; how many blocks were read that have nothing live. */
static u32 dead_blocks_read(void)
{
	u64 blocks = ram_dev.size / TFS_BLOCK, pos = 0;
	u8 *live = calloc(blocks, 1), *read = calloc(blocks, 1);
	u32 dead = 0, n = 0;

	assert_non_null(live);
	assert_non_null(read);
	remount();
	seen = read;
	assert_int_equal(tfs_readdir(vol, TFS_INO_ROOT, &pos, none, &n), 0);
	seen = NULL;
	assert_int_equal(n, NAMES);
	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, live_blocks, live), 0);
	for (u64 b = 0; b < blocks; b++)
		dead += read[b] && !live[b];
	free(read);
	free(live);
	return dead;
}

/* Nodes that are hardly compressed leave some room at the end of each segment. It is read over, but not from a device that has no gaps. */
static void test_gaps(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	char name[200];
	u32 with;

	(void)state;
	tfs_abandon(vol);
	ram_free();
	ram_format(SIZE);
	vol->node_codec = TFS_CODEC_LZ4; /* by columns they fit better */
	srand(1);
	for (u32 i = 0; i < NAMES; i++) {
		for (u32 k = 0; k < sizeof(name); k++)
			name[k] = (char)('0' + rand() % 70);
		memcpy(name, &(u32){i | 0x80808080u}, 4);
		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, sizeof(name), &c, &last_ino), 0);
	}
	assert_true(dead_blocks_read() > 0); /* else nobody would read over anything, and this tests nothing */
	with = reads;
	ram_dev.no_gaps = true;
	assert_int_equal(dead_blocks_read(), 0);
	assert_in_range(reads, with, leaves() / 2); /* and still reads ahead */
	ram_dev.no_gaps = false;
}

/* Two streams, names and inodes in turn, in a cache that is smaller than the tree: what one reads ahead is still there after
 * the other did. On the volume of test_gaps. */
static void test_full(void **state)
{
	u32 all = leaves(), max = vol->cache_max, n = 0, left;
	struct tfs_attr a;
	u64 pos = 0;

	(void)state;
	remount();
	all_of(NAMES);
	vol->cache_max = all / 4;
	assert_true(vol->cache_max > 2 * TFS_AHEAD_NODES);
	tfs_cache_trim(vol);
	reads = 0;
	for (u32 i = 0; i < NAMES; i++) {
		assert_int_equal(tfs_getattr(vol, last_ino - NAMES + 1 + i, &a), 0);
		left = 1;
		assert_int_equal(tfs_readdir(vol, TFS_INO_ROOT, &pos, one, &left), 0);
		n += left != 1;
	}
	vol->cache_max = max;
	assert_int_equal(n, NAMES);
	assert_in_range(reads, 2, all / 10); /* 13 leaves a request, of 25 that fit in one */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_order),
	    cmocka_unit_test(test_not_in_order),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_diff),
	    cmocka_unit_test(test_gaps),
	    /* on another volume */ cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
