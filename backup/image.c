// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A backup as a read-only device: blocks come from packs by the index, and the few that lead to the snapshot's trees
 * from front.c, the checkpoint at a place that nothing of the index covers. On it the
 * core's own code mounts the snapshot, so listing, reading, taking out and restoring need no second reader of the
 * format. It is mounted as for a repair: SPACE is not part of a backup. Units that no range covers read as zeros, and
 * whoever points there has a CRC that says so.
 */
#include "backup/backup.h"
#include "tfs/user/port.h"
#include "tfs/vol.h"

#include <stdlib.h>

/* ---- the blocks in front ---- */

static bool block_free(const struct bk_index *x, u64 addr)
{
	u64 end;

	return !bk_index_find(x, addr, &end) && end - addr >= TFS_UNITS_PER_BLOCK;
}

/* The last free block of the volume: there is one, for a volume cannot be filled to the last. */
static u64 block_find(const struct bk_image *i)
{
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT;
	u64 units = tfs_le64(i->front.super.segments) << (tfs_le32(i->front.super.segment_bits) - TFS_UNIT_BITS);
	u64 at = base + units;

	while (at > base) {
		at -= TFS_UNITS_PER_BLOCK;
		if (block_free(&i->x, at))
			return at;
	}
	return 0;
}

static int front_make(struct bk_image *i, const struct bk_backup *b)
{
	u64 at;

	memcpy(&i->front.super, b->m->super, sizeof(i->front.super));
	at = block_find(i);
	if (!at)
		return tfs_cli_fail(BK_DAMAGE, NULL, "backup %llu has no free block", (unsigned long long)b->sequence);
	bk_front_make(&i->front, b->m, at * TFS_UNIT);
	i->dev.size = tfs_le64(i->front.super.size);
	return 0;
}

/* ---- the device ---- */

static int units_read(struct bk_image *i, u64 addr, u64 stop, u8 *buf)
{
	int code = 0;
	u64 end;

	for (u64 at = addr; !code && at < stop; at = end) {
		const struct bk_place *p = bk_index_find(&i->x, at, &end);
		const u8 *data;

		if (end > stop)
			end = stop;
		if (!p)
			continue;
		code = bk_fetch_range(i->fetch, p, bk_index_stale(&i->x, p, at, end), &data);
		if (!code && data)
			memcpy(buf + (at - addr) * TFS_UNIT, data + (at - p->addr) * TFS_UNIT, (end - at) * TFS_UNIT);
	}
	if (code && !i->code)
		i->code = code;
	return code ? -EIO : 0;
}

static int image_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct bk_image *i = (struct bk_image *)dev;
	int err;

	(void)flags;
	if (op != TFS_IO_READ || offset % TFS_BLOCK || offset > dev->size || bytes > dev->size - offset)
		return op == TFS_IO_READ ? -EIO : -EROFS;
	memset(buf, 0, bytes);
	err = units_read(i, offset / TFS_UNIT, (offset + bytes) / TFS_UNIT, buf);
	bk_front_show(&i->front, offset, buf, bytes);
	return err;
}

static int image_flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

/* ---- opening ---- */

static char core_said[256];

/* That SPACE is not there is no news; what else the core said is, when the mount fails. */
static void core_message(int level, const char *line)
{
	(void)level;
	if (!strstr(line, "segment table"))
		snprintf(core_said, sizeof(core_said), "%s", line);
}

int bk_mount(struct tfs_dev *dev, struct tfs_vol **vol)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO | TFS_MOUNT_REPAIR | TFS_MOUNT_NOREPLAY,
	                                .cache_nodes = 4096};
	struct tfs_env env = tfs_user_env();
	int err;

	core_said[0] = 0;
	tfs_user_log_sink(core_message);
	err = tfs_mount(dev, &env, &opt, vol);
	tfs_cli_start("tfs-backup");
	if (err && *core_said)
		tfs_cli_warn(NULL, "%s", core_said);
	return err;
}

static int image_mount(struct bk_image *i)
{
	int err = bk_mount(&i->dev, &i->vol);

	return err ? tfs_cli_fail(i->code ? i->code : BK_DAMAGE, NULL, "the backup cannot be opened as a volume: %s",
	                          strerror(-err))
	           : 0;
}

int bk_image_open(struct bk_image *i, struct bk_repo *r, const struct bk_backup *b)
{
	static const struct tfs_dev_ops ops = {image_io, image_flush, NULL};
	int code;

	memset(i, 0, sizeof(*i));
	i->r = r;
	i->dev.ops = &ops;
	i->dev.read_only = true;
	i->dev.no_gaps = true; /* what lay there may be in a pack that prune has deleted */
	code = bk_index_load(r, &i->x, b);
	if (!code)
		code = front_make(i, b);
	if (!code) {
		i->fetch = bk_fetch_new(r, &i->x);
		code = i->fetch ? image_mount(i) : bk_no_memory();
	}
	if (code)
		bk_image_close(i);
	return code;
}

void bk_image_close(struct bk_image *i)
{
	if (i->vol)
		tfs_abandon(i->vol);
	i->vol = NULL;
	bk_fetch_free(i->fetch);
	i->fetch = NULL;
	bk_index_free(&i->x);
}
