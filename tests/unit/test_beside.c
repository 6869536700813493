// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Data beside the log: a small write and its record are one device write; read back before the sync, it is what it will
 * be; a crash after the sync keeps it. What died of it is given to nobody while its run is kept, and not before its
 * epoch is over when the run goes first. On a volume without the feature nothing is placed so.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define SIZE (512u << 20) /* runs are whole segments */

static u32 writes;

static int counted_io(struct tfs_dev *d, enum tfs_io_op op, u64 off, void *buf, u32 n, u32 flags)
{
	writes += op == TFS_IO_WRITE;
	return ram_io(d, op, off, buf, n, flags);
}
static const struct tfs_dev_ops counted_ops = {counted_io, ram_flush, NULL};

static u64 file;

static void start(void)
{
	struct tfs_create c = {.mode = 0100644};

	ram_dev.ops = &counted_ops;
	ram_format(SIZE);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "f", 1, &c, &file), 0);
}

static void put(u64 block, u32 blocks, u8 with)
{
	u8 data[4 * TFS_BLOCK];
	struct tfs_encoded e = {.blocks = blocks, .bytes = blocks * TFS_BLOCK, .buf = data, .beside = true};

	memset(data, with, e.bytes);
	assert_int_equal(tfs_write(vol, file, block, &e, (block + blocks) * TFS_BLOCK, NULL), 0);
}

static void same(u64 block, u32 blocks, u8 with)
{
	u8 want[4 * TFS_BLOCK], got[4 * TFS_BLOCK];

	memset(want, with, sizeof(want));
	assert_int_equal(tfs_read(vol, file, block * TFS_BLOCK, got, blocks * TFS_BLOCK), blocks * TFS_BLOCK);
	assert_memory_equal(want, got, blocks * TFS_BLOCK);
}

static u64 place(u64 block)
{
	struct tfs_map m;

	assert_int_equal(tfs_map(vol, file, block, &m), 0);
	for (u32 i = 0; i < m.pieces; i++)
		if (block % TFS_MAP_BLOCKS >= m.piece[i].at &&
		    block % TFS_MAP_BLOCKS < m.piece[i].at + m.piece[i].blocks)
			return m.piece[i].addr / TFS_UNITS_PER_BLOCK + block % TFS_MAP_BLOCKS - m.piece[i].at;
	fail();
	return 0;
}

static void one_write(void **state)
{
	(void)state;
	start();
	assert_int_equal(tfs_sync(vol), 0);
	for (u8 i = 0; i < 40; i++) {
		writes = 0;
		put(i * 4u, 1 + i % 4, i);
		assert_int_equal(writes, 0);
		assert_int_equal(tfs_sync(vol), 0);
		assert_int_equal(writes, 1);
	}
	tfs_abandon(vol);
	ram_mount();
	for (u8 i = 0; i < 40; i++)
		same(i * 4u, 1, i);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static void read_before_sync(void **state)
{
	(void)state;
	start();
	put(0, 2, 1);
	same(0, 2, 1); /* written by itself now, the log write behind which it stands comes later */
	put(2, 1, 2);
	put(20, 3, 3);
	same(2, 1, 2);
	assert_int_equal(tfs_sync(vol), 0);
	put(4, 1, 4);
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol);
	ram_mount();
	same(0, 2, 1);
	same(2, 1, 2);
	same(4, 1, 4);
	same(20, 3, 3);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static bool in_kept_run(u64 block)
{
	const struct tfs_log_run *r = vol->log.runs;

	while (r && (block < r->addr / TFS_UNITS_PER_BLOCK || block >= r->addr / TFS_UNITS_PER_BLOCK + r->blocks))
		r = r->older;
	return r;
}

/* Until the log has left the run that `block` lies in. */
static void log_on(u64 block)
{
	u64 run = vol->log.pos.run;

	assert_true(in_kept_run(block));
	for (u32 i = 0; vol->log.pos.run == run; i++) {
		put(1000 + i % 2000, 1, 9);
		assert_int_equal(tfs_sync(vol), 0);
	}
}

static void dead_with_the_run(void **state)
{
	u64 block;

	(void)state;
	start();
	put(0, 1, 1);
	assert_int_equal(tfs_sync(vol), 0);
	block = place(0);
	assert_true(in_kept_run(block));
	put(0, 1, 2);
	assert_int_equal(tfs_checkpoint(vol), 0); /* its epoch is over, the run goes on */
	assert_true(in_kept_run(block));
	assert_true(tfs_pinned(vol, block));
	log_on(block);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_false(in_kept_run(block));
	assert_false(tfs_pinned(vol, block));
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static void dead_after_the_run(void **state)
{
	u64 block;

	(void)state;
	start();
	put(0, 1, 1);
	assert_int_equal(tfs_sync(vol), 0);
	block = place(0);
	log_on(block);
	assert_int_equal(tfs_checkpoint_begin(vol, false), 0);
	put(0, 1, 2); /* dies in the next epoch, before the run is released with the anchor of this one */
	while (vol->ck.state != TFS_CK_IDLE)
		assert_true(tfs_checkpoint_step(vol, 1) >= 0);
	assert_false(in_kept_run(block));
	assert_true(tfs_pinned(vol, block));
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_false(tfs_pinned(vol, block));
	same(0, 1, 2);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static void not_without_the_feature(void **state)
{
	(void)state;
	start();
	vol->super.incompat = 0;
	assert_int_equal(tfs_sync(vol), 0);
	writes = 0;
	put(0, 1, 1);
	assert_false(in_kept_run(place(0)));
	assert_int_equal(tfs_sync(vol), 0);
	assert_int_equal(writes, 2);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_write),
	    cmocka_unit_test(read_before_sync),
	    cmocka_unit_test(dead_with_the_run),
	    cmocka_unit_test(dead_after_the_run),
	    cmocka_unit_test(not_without_the_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
