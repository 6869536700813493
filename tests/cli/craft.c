// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Makes the images that mkfs.tfs never makes, for tests of what reads them: logs to replay, very deep trees, and
 * crafted ones whose checksums are right and whose content is not. Uses the core's inside, as no tool may. Called by
 * tests/cli/test_*.sh.
 *
 *   tfs-craft log IMAGE            one record of every kind behind the last checkpoint, then a crash
 *   tfs-craft deep IMAGE N         N directories below each other, a file in the last
 *   tfs-craft swap IMAGE HEX HEX   these bytes become those wherever they are in the FS tree (a single leaf)
 *   tfs-craft leaf IMAGE SEED      some bytes of that leaf change
 *   tfs-craft garble IMAGE SEED    bytes of the first log write change, its CRC is right again
 *   tfs-craft loop IMAGE           two log writes that each follow the other
 */
#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"
#include "tfs/vol.h"

#include <stdlib.h>

static struct tfs_file_dev dev;
static struct tfs_env env;
static struct tfs_super super;
static struct tfs_anchor anchor;

static int check(int err, const char *what)
{
	if (err < 0) {
		tfs_cli_fail(1, what, "%s", strerror(-err));
		exit(1);
	}
	return err;
}

static void device(enum tfs_io_op op, u64 unit, void *buf, u32 bytes)
{
	check(dev.dev.ops->io(&dev.dev, op, unit * TFS_UNIT, buf, bytes, 0), op == TFS_IO_READ ? "read" : "write");
}

static struct tfs_vol *mount_volume(u32 flags)
{
	struct tfs_mount_options opt = {.flags = flags};
	struct tfs_vol *vol;

	check(tfs_mount(&dev.dev, &env, &opt, &vol), "mount");
	return vol;
}

/* Both copies of the newest anchor, as `anchor` is now. */
static void anchor_put(void)
{
	u64 slot = tfs_le64(anchor.epoch) % TFS_ANCHOR_SLOTS * TFS_BLOCK;
	static u8 block[TFS_BLOCK];

	tfs_head_seal(&anchor.head, TFS_BT_ANCHOR, tfs_le64(super.head.volume), sizeof(anchor));
	memcpy(block, &anchor, sizeof(anchor));
	device(TFS_IO_WRITE, (TFS_ANCHOR_OFFSET + slot) / TFS_UNIT, block, TFS_BLOCK);
	device(TFS_IO_WRITE, (tfs_le64(super.size) - TFS_TAIL_SIZE + slot) / TFS_UNIT, block, TFS_BLOCK);
}

/* A place near the end of the volume, which nothing of a small test uses. */
static u64 place(u32 blocks_from_end)
{
	u64 end = (TFS_SEGMENTS_OFFSET + (tfs_le64(super.segments) << tfs_le32(super.segment_bits))) / TFS_UNIT;

	return end - (u64)blocks_from_end * TFS_UNITS_PER_BLOCK;
}

/* ---- log, deep ---- */

static u64 create(struct tfs_vol *vol, u64 parent, const char *name, u32 mode, const char *target)
{
	struct tfs_create c = {.mode = mode,
	                       .uid = 7,
	                       .gid = 8,
	                       .rdev_major = 1,
	                       .rdev_minor = 3,
	                       .target = target,
	                       .target_len = target ? (u32)strlen(target) : 0};
	u64 ino;

	check(tfs_create(vol, parent, name, (u32)strlen(name), &c, &ino), name);
	return ino;
}

static void file_write(struct tfs_vol *vol, u64 ino, u64 block, u32 blocks, int codec, u64 size)
{
	static u8 data[65536], scratch[65536];
	struct tfs_encoded e;

	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(codec ? i / 700 : i * i >> 7);
	tfs_encode(codec, 0, data, blocks, scratch, &e);
	check(tfs_write(vol, ino, block, &e, size, NULL), "write");
}

static void log_image(void)
{
	struct tfs_vol *vol = mount_volume(0);
	u64 dir = create(vol, TFS_INO_ROOT, "logged", 0040755, NULL), file = create(vol, dir, "file", 0100644, NULL),
	    victim, rule;
	struct tfs_attr a = {.mode = 0600};
	static u8 big[5000];

	create(vol, dir, "sym", 0120777, "some/target");
	create(vol, dir, "device", 0020666, NULL);
	create(vol, dir, "fifo", 0010600, NULL);
	create(vol, dir, "socket", 0140600, NULL);
	check(tfs_link(vol, file, TFS_INO_ROOT, "second", 6), "link");
	check(tfs_rename(vol, TFS_INO_ROOT, "second", 6, dir, "third", 5, 0, &victim), "rename");
	check(tfs_setattr(vol, file, TFS_SET_MODE | TFS_SET_MTIME, &a), "setattr");
	check(tfs_setxattr(vol, file, "user.small", 10, "value", 5, 0), "xattr");
	check(tfs_setxattr(vol, file, "user.big", 8, big, sizeof(big), 0), "xattr");
	check(tfs_removexattr(vol, file, "user.small", 10), "xattr");
	file_write(vol, file, 0, 3, TFS_CODEC_NONE, 3 * 4096);
	file_write(vol, file, 16, 16, TFS_CODEC_LZ4, 32 * 4096);
	check(tfs_punch(vol, file, 20, 2), "punch");
	check(tfs_preallocate(vol, file, 40, 4, 0), "preallocate");
	check(tfs_truncate(vol, file, 100000), "truncate");
	check(tfs_ship_add(vol, dir, "g*", 2, "relp://10.0.0.2:2514", 20, 0, &rule), "ship");
	check(tfs_ship_mark(vol, file, rule, 5000), "ship");
	check(tfs_ship_acked(vol, file, rule, 0, 90000), "ship");
	check(tfs_truncate(vol, file, 80000), "truncate");
	create(vol, create(vol, dir, "below", 0040755, NULL), "given", 0100600, NULL);
	create(vol, dir, "other", 0100600, NULL);
	check(tfs_rename(vol, dir, "other", 5, dir, "gets", 4, 0, &victim), "rename");
	check(tfs_ship_add(vol, file, "", 0, "udp://10.0.0.2", 14, TFS_SHIP_END, &rule), "ship");
	check(tfs_ship_remove(vol, rule), "ship");
	check(tfs_ship_add(vol, file, "", 0, "tcp://10.0.0.2", 14, 0, &rule), "ship");
	create(vol, dir, "gone", 0100600, NULL);
	check(tfs_unlink(vol, dir, "gone", 4, false, &victim), "unlink");
	check(tfs_sync(vol), "sync");
	tfs_abandon(vol);
}

static void deep_image(u32 n)
{
	struct tfs_vol *vol = mount_volume(0);
	u64 at = TFS_INO_ROOT;

	while (n--)
		at = create(vol, at, "directory", 0040755, NULL);
	file_write(vol, create(vol, at, "bottom", 0100644, NULL), 0, 2, TFS_CODEC_NONE, 8000);
	check(tfs_unmount(vol), "unmount");
}

/* ---- swap ---- */

static u32 unhex(const char *text, u8 *out)
{
	u32 n = 0, v;

	for (; sscanf(text, "%2x", &v) == 1 && n < 256; text += 2)
		out[n++] = (u8)v;
	return n;
}

static u8 leaf[TFS_NODE_SIZE];
static struct tfs_ptr leaf_ptr;

static int leaf_take(void *arg, const struct tfs_node_info *info)
{
	(void)arg;
	check(info->level ? -EFBIG : 0, "the FS tree is expected to be a single leaf");
	memcpy(leaf, info->node, sizeof(leaf));
	leaf_ptr = info->ptr;
	return 0;
}

static void leaf_get(void)
{
	struct tfs_vol *vol = mount_volume(TFS_MOUNT_RO | TFS_MOUNT_NOREPLAY);

	tfs_tree_walk(vol, TFS_TREE_FS, leaf_take, NULL);
	tfs_abandon(vol);
}

/* The leaf goes to another place, and all that leads to it is right again. */
static void leaf_put(void)
{
	static u8 block[2 * TFS_NODE_SIZE];
	struct tfs_checkpoint *cp = (struct tfs_checkpoint *)block;
	u32 bytes;

	bytes = tfs_node_store(leaf, TFS_CODEC_LZ4, block, NULL);
	leaf_ptr.addr = place(8);
	leaf_ptr.len = (u16)(bytes / TFS_UNIT);
	leaf_ptr.crc = tfs_port_crc32c(0, block, bytes);
	device(TFS_IO_WRITE, leaf_ptr.addr, block, (bytes + TFS_BLOCK - 1) & ~(TFS_BLOCK - 1));
	device(TFS_IO_READ, tfs_le64(anchor.checkpoint.addr), block, TFS_BLOCK);
	cp->root[TFS_TREE_FS] = tfs_ptr_disk(&leaf_ptr);
	tfs_head_seal(&cp->head, TFS_BT_CHECKPOINT, tfs_le64(super.head.volume), tfs_le32(cp->head.length));
	device(TFS_IO_WRITE, tfs_le64(anchor.checkpoint.addr), block, TFS_BLOCK);
	anchor.checkpoint.crc = tfs_cpu32(tfs_port_crc32c(0, block, TFS_BLOCK));
	anchor_put();
}

static void leaf_garble(u32 seed)
{
	u32 heap;

	leaf_get();
	heap = tfs_le16(((struct tfs_node_head *)leaf)->heap);
	srand(seed);
	for (int n = rand() % 4 + 1; n; n--)
		leaf[heap + (u32)rand() % (TFS_NODE_SIZE - heap)] = (u8)(rand() % 2   ? rand()
		                                                         : rand() % 2 ? 0xff
		                                                                      : 0x7f);
	leaf_put();
}

static void swap_bytes(const char *from_hex, const char *to_hex)
{
	u8 from[256], to[256];
	u32 n = unhex(from_hex, from), hits = 0;

	check(n && unhex(to_hex, to) == n ? 0 : -EINVAL, "hex strings of one length");
	leaf_get();
	for (u32 i = sizeof(struct tfs_node_head); i + n <= sizeof(leaf); i++)
		if (!memcmp(leaf + i, from, n))
			memcpy(leaf + i, to, n), hits++;
	check(hits ? 0 : -ENOENT, "bytes");
	leaf_put();
}

/* ---- garble, loop ---- */

static void garble(u32 seed)
{
	static u8 buf[TFS_LOG_BUFFER + 2 * TFS_BLOCK];
	struct tfs_log_head *h = (struct tfs_log_head *)buf;
	u64 unit = tfs_le64(anchor.log.run) + (u64)tfs_le32(anchor.log.offset) * TFS_UNITS_PER_BLOCK;
	u32 length;

	device(TFS_IO_READ, unit, buf, TFS_BLOCK);
	length = tfs_le32(h->head.length);
	check(length > sizeof(*h) && length <= sizeof(buf) - TFS_BLOCK ? 0 : -EINVAL, "first log write");
	device(TFS_IO_READ, unit, buf, (length + TFS_BLOCK - 1) & ~(TFS_BLOCK - 1));
	srand(seed);
	for (int n = rand() % 4 + 1; n; n--) {
		u32 at = (u32)sizeof(h->head) + (u32)rand() % (length - (u32)sizeof(h->head));

		buf[at] = (u8)(rand() % 3 ? rand() : rand() % 2 ? 0xff : 0);
	}
	if (seed % 2) /* the head itself as it was, but for the records */
		h->head.length = tfs_cpu32(length);
	tfs_head_seal(&h->head, TFS_BT_LOG, tfs_le64(super.head.volume), length);
	device(TFS_IO_WRITE, unit, buf, (length + TFS_BLOCK - 1) & ~(TFS_BLOCK - 1));
}

static void log_head(struct tfs_log_head *h, u64 run, u64 next, u32 prev_crc)
{
	memset(h, 0, TFS_BLOCK);
	h->generation = anchor.log.generation;
	h->epoch = anchor.epoch;
	h->addr = h->run = tfs_cpu64(run);
	h->next = tfs_cpu64(next);
	h->run_blocks = h->next_blocks = tfs_cpu32(1);
	h->sequence = anchor.log.sequence;
	h->anchor = anchor.epoch;
	h->prev_crc = tfs_cpu32(prev_crc);
	tfs_head_seal(&h->head, TFS_BT_LOG, tfs_le64(super.head.volume), sizeof(*h));
}

static u32 crc_with(struct tfs_log_head *h, u32 reserved)
{
	memcpy(h->reserved, &reserved, 4);
	return tfs_head_crc(&h->head, sizeof(*h));
}

/* Reserved bytes that make the head's CRC what we like: it is linear in them, so 32 equations over bits. */
static void crc_force(struct tfs_log_head *h, u32 want)
{
	u32 row[32], value[32], zero = crc_with(h, 0), need = want ^ zero, reserved = 0;

	for (u32 i = 0; i < 32; i++) {
		row[i] = crc_with(h, 1u << i) ^ zero;
		value[i] = 1u << i;
	}
	for (u32 bit = 0, done = 0; bit < 32; bit++) {
		for (u32 i = done; i < 32; i++)
			if (row[i] >> bit & 1) {
				u32 r = row[i], v = value[i];

				row[i] = row[done], value[i] = value[done];
				row[done] = r, value[done++] = v;
				for (u32 k = 0; k < 32; k++)
					if (k != done - 1 && row[k] >> bit & 1)
						row[k] ^= r, value[k] ^= v;
				if (need >> bit & 1)
					need ^= r, reserved ^= v;
				break;
			}
	}
	check(crc_with(h, reserved) == want ? 0 : -EINVAL, "forged CRC");
	h->head.crc = tfs_cpu32(want);
}

static void loop_image(void)
{
	static u8 block[TFS_BLOCK];
	struct tfs_log_head *h = (struct tfs_log_head *)block;
	u64 a = place(2), b = place(1);
	u32 first = 0x12345678, crc;

	anchor.log = (struct tfs_log_position){.generation = tfs_cpu64(42),
	                                       .run = tfs_cpu64(a),
	                                       .next = tfs_cpu64(b),
	                                       .run_blocks = tfs_cpu32(1),
	                                       .next_blocks = tfs_cpu32(1),
	                                       .prev_crc = tfs_cpu32(first),
	                                       .sequence = anchor.log.sequence};
	anchor.flags = 0;
	log_head(h, a, b, first);
	crc = tfs_le32(h->head.crc);
	device(TFS_IO_WRITE, a, block, TFS_BLOCK);
	log_head(h, b, a, crc);
	crc_force(h, first);
	device(TFS_IO_WRITE, b, block, TFS_BLOCK);
	anchor_put();
}

int main(int argc, char **argv)
{
	tfs_cli_start("tfs-craft");
	if (argc < 3)
		return tfs_cli_fail(1, NULL, "expected a command and an image");
	check(tfs_file_dev_open(&dev, argv[2], 0, true, 0), argv[2]);
	env = tfs_fixed_env(&(struct tfs_time){0}, 5);
	check(tfs_probe(&dev.dev, &env, &super, &anchor), "probe");
	if (!strcmp(argv[1], "log"))
		log_image();
	else if (!strcmp(argv[1], "deep") && argc == 4)
		deep_image((u32)atoi(argv[3]));
	else if (!strcmp(argv[1], "swap") && argc == 5)
		swap_bytes(argv[3], argv[4]);
	else if (!strcmp(argv[1], "leaf") && argc == 4)
		leaf_garble((u32)atoi(argv[3]));
	else if (!strcmp(argv[1], "garble") && argc == 4)
		garble((u32)atoi(argv[3]));
	else if (!strcmp(argv[1], "loop"))
		loop_image();
	else
		return tfs_cli_fail(1, argv[1], "unknown command or missing arguments");
	return tfs_file_dev_close(&dev) ? 1 : 0;
}
