// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Blocks that several packed extents share, and pins: what is live is not discarded, nor free a moment too early, when
 * an extent died beside another in one block; a block that a failed operation began is not packed into again. And two
 * calls at moments that hosts seldom meet: the compactor where there is no room, a view while a checkpoint is under
 * way.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define SIZE (512u << 20)
#define WINDOW (16 * TFS_BLOCK)

static u64 file;

static int zap(struct tfs_dev *d, u64 off, u64 bytes)
{
	(void)d;
	memset(ram + off, 0xdd, bytes);
	return 0;
}
static const struct tfs_dev_ops zap_ops = {ram_io, ram_flush, zap};

/* A window that LZ4 makes smaller than half a block. */
static void fill(u8 *data, u8 with)
{
	memset(data, 0, WINDOW);
	for (u32 i = 0; i < 200; i++)
		data[i * 7] = (u8)(with + i * i);
}

static void put(u8 with)
{
	static u8 data[WINDOW], scratch[WINDOW];
	struct tfs_encoded e;

	fill(data, with);
	tfs_encode(TFS_CODEC_LZ4, 1, data, 16, scratch, &e);
	assert_true(e.bytes < TFS_BLOCK / 2);
	assert_int_equal(tfs_write(vol, file, 0, &e, WINDOW, NULL), 0);
}

static void same(u8 with)
{
	static u8 want[WINDOW], got[WINDOW];

	fill(want, with);
	assert_int_equal(tfs_read(vol, file, 0, got, WINDOW), WINDOW);
	assert_memory_equal(want, got, WINDOW);
}

static u64 place(void)
{
	struct tfs_map m;

	assert_int_equal(tfs_map(vol, file, 0, &m), 0);
	return m.piece[0].addr / TFS_UNITS_PER_BLOCK;
}

static void start(u32 flags)
{
	struct tfs_create c = {.mode = 0100644};
	struct tfs_mount_options o = {.flags = flags};

	ram_dev.ops = &zap_ops;
	ram_format(SIZE);
	assert_int_equal(tfs_unmount(vol), 0);
	assert_int_equal(tfs_mount(&ram_dev, &ram_env, &o, &vol), 0);
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "f", 1, &c, &file), 0);
}

static void end(void)
{
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static void live_is_not_discarded(void **state)
{
	(void)state;
	start(TFS_MOUNT_DISCARD);
	put(1);
	put(2); /* into the block in which the first died */
	assert_false(tfs_pinned(vol, place()));
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_mount();
	same(2);
	end();
}

static void waits_for_its_own_epoch(void **state)
{
	u64 x;

	(void)state;
	start(0);
	put(1);
	put(2);
	x = place();
	assert_int_equal(tfs_checkpoint_begin(vol, false), 0);
	put(3); /* the second dies in the next epoch */
	assert_true(place() != x);
	while (vol->ck.state != TFS_CK_IDLE)
		assert_true(tfs_checkpoint_step(vol, 1) >= 0);
	assert_true(tfs_pinned(vol, x));
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_false(tfs_pinned(vol, x));
	end();
}

static void forgotten_block_is_left(void **state)
{
	u8 some[600] = {1};
	struct tfs_ptr p, q;
	u64 at;

	(void)state;
	start(0);
	vol->compact.moving = true;
	assert_int_equal(tfs_place_packed(vol, some, sizeof(some), false, &p), 0);
	tfs_placed_forget(vol); /* the operation failed */
	assert_int_equal(tfs_place_packed(vol, some, sizeof(some), false, &q), 0);
	vol->compact.moving = false;
	assert_int_equal(tfs_head_close(vol, TFS_HEAD_COLD), 0);
	assert_true(q.addr / TFS_UNITS_PER_BLOCK != p.addr / TFS_UNITS_PER_BLOCK);
	assert_true(tfs_pinned(vol, q.addr / TFS_UNITS_PER_BLOCK));
	if (tfs_space_find(vol, tfs_block_segment(vol, q.addr / TFS_UNITS_PER_BLOCK), q.addr / TFS_UNITS_PER_BLOCK, 1,
	                   1, &at))
		assert_true(at != q.addr / TFS_UNITS_PER_BLOCK);
	end();
}

static void compact_without_room(void **state)
{
	u64 epoch;

	(void)state;
	start(0);
	put(1);
	assert_int_equal(tfs_snapshot_create(vol, "s", 1, &epoch), 0);
	vol->reserve_blocks = 4 * vol->total_blocks; /* as if full */
	assert_int_equal(tfs_compact_step(vol, 16, 0), 0);
	tfs_abandon(vol);
	ram_free();
}

static void view_waits_for_the_checkpoint(void **state)
{
	u64 epoch;

	(void)state;
	start(0);
	put(1);
	assert_int_equal(tfs_snapshot_create(vol, "s", 1, &epoch), 0);
	put(2);
	assert_int_equal(tfs_checkpoint_begin(vol, false), 0);
	assert_int_equal(tfs_view_open(vol, epoch), -EBUSY);
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_view_open(vol, epoch), 0);
	same(1);
	assert_int_equal(tfs_checkpoint_step(vol, 1), -EBUSY);
	tfs_view_close(vol);
	same(2);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(live_is_not_discarded),         cmocka_unit_test(waits_for_its_own_epoch),
	    cmocka_unit_test(forgotten_block_is_left),       cmocka_unit_test(compact_without_room),
	    cmocka_unit_test(view_waits_for_the_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
