// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Superblocks and anchors: checking, choosing, writing. The only structures written in place, a copy at each end of
 * the device. Called by mount, checkpoint, fsck and dump. A copy that fails its check is as good as absent.
 */
#include "tfs/vol.h"

u32 tfs_head_crc(const struct tfs_block_head *head, u32 length)
{
	struct tfs_block_head h = *head;
	u32 crc;

	h.crc = 0;
	crc = tfs_port_crc32c(0, &h, sizeof(h));
	return tfs_port_crc32c(crc, head + 1, length - sizeof(h));
}

void tfs_head_seal(struct tfs_block_head *head, int type, u64 volume, u32 length)
{
	head->magic = tfs_cpu32(TFS_MAGIC);
	head->volume = tfs_cpu64(volume);
	head->type = tfs_cpu16((u16)type);
	head->version = tfs_cpu16(TFS_VERSION);
	head->length = tfs_cpu32(length);
	head->crc = tfs_cpu32(tfs_head_crc(head, length));
}

/* volume 0: any. max: how many bytes are there. */
const char *tfs_head_check(const void *block, int type, u64 volume, u32 max)
{
	const struct tfs_block_head *h = block;
	u32 length = tfs_le32(h->length);

	if (tfs_le32(h->magic) != TFS_MAGIC || tfs_le16(h->type) != type)
		return "wrong magic or type";
	if (volume ? tfs_le64(h->volume) != volume : !h->volume)
		return "of another volume";
	if (length < sizeof(*h) || length > max)
		return "length out of range";
	return tfs_head_crc(h, length) == tfs_le32(h->crc) ? NULL : "CRC differs";
}

static const char *super_geometry(const struct tfs_super *s, u64 dev_size)
{
	u64 size = tfs_le64(s->size);
	u32 bits = tfs_le32(s->segment_bits);

	if (tfs_le32(s->node_size) != TFS_NODE_SIZE || tfs_le32(s->checksum) != 1)
		return "unknown node size or checksum";
	if (bits < TFS_SEGMENT_BITS_MIN || bits > TFS_SEGMENT_BITS_MAX)
		return "segment size out of range";
	if (size < TFS_MIN_VOLUME || size > TFS_MAX_VOLUME || size % TFS_BLOCK)
		return "size out of range";
	if (dev_size && size > dev_size)
		return "volume is larger than its device";
	if (!s->segments || tfs_le64(s->segments) > TFS_SEGMENTS_MAX ||
	    tfs_le64(s->segments) > (size - TFS_SEGMENTS_OFFSET - TFS_TAIL_SIZE) >> bits)
		return "segment count out of range";
	return NULL;
}

const char *tfs_super_check(const void *block, u64 dev_size)
{
	const struct tfs_super *s = block;
	const char *why = tfs_head_check(block, TFS_BT_SUPER, 0, sizeof(*s));

	if (why)
		return why;
	if (tfs_le32(s->head.length) != sizeof(*s))
		return "length out of range";
	if (s->codec >= TFS_CODEC_COUNT || s->window_bits < TFS_WINDOW_BITS_MIN || s->window_bits > TFS_WINDOW_BITS_MAX)
		return "unknown codec or window size";
	return super_geometry(s, dev_size);
}

const char *tfs_anchor_check(const void *block, u64 volume)
{
	const struct tfs_anchor *a = block;
	const char *why = tfs_head_check(block, TFS_BT_ANCHOR, volume, sizeof(*a));

	if (why)
		return why;
	if (tfs_le32(a->head.length) != sizeof(*a))
		return "length out of range";
	if (tfs_le64(a->epoch) > TFS_EPOCH_MAX)
		return "epoch out of range";
	if (tfs_le16(a->checkpoint.len) != TFS_UNITS_PER_BLOCK || a->checkpoint.flags)
		return "checkpoint pointer out of range";
	return NULL;
}

const char *tfs_log_head_check(const void *block, u64 volume)
{
	const struct tfs_log_head *h = block;
	const char *why = tfs_head_check(block, TFS_BT_LOG, volume, TFS_LOG_BUFFER + 2 * TFS_BLOCK);

	if (!why && tfs_le32(h->head.length) != sizeof(*h) + (u64)tfs_le32(h->bytes))
		why = "length out of range";
	if (!why && tfs_le64(h->epoch) > TFS_EPOCH_MAX / 2)
		why = "epoch out of range";
	return why;
}

/* ---- choosing ---- */

static int read_block(struct tfs_dev *dev, u64 offset, void *buf)
{
	if (offset + TFS_BLOCK > dev->size)
		return -EIO;
	return dev->ops->io(dev, TFS_IO_READ, offset, buf, TFS_BLOCK, 0);
}

/*
 * The first copy decides, if it is whole. Where it is not, the last block of the device may hold the other, of a volume
 * that is as large as the device: what says less is of a time before it grew.
 */
static int super_find(struct tfs_dev *dev, const struct tfs_env *env, u8 *block)
{
	u64 all = dev->size & ~(u64)(TFS_BLOCK - 1);
	const struct tfs_super *s = (const struct tfs_super *)block;
	const char *why = "cannot be read";

	if (dev->size < TFS_MIN_VOLUME)
		return -EINVAL;
	if (!read_block(dev, TFS_SUPER_OFFSET, block)) {
		why = tfs_super_check(block, 0);
		if (!why && tfs_le64(s->size) > dev->size) {
			tfs_port_log(env->ctx, 0, "volume of %llu bytes on a device of %llu: cut short",
			             (unsigned long long)tfs_le64(s->size), (unsigned long long)dev->size);
			return -EINVAL;
		}
		if (!why)
			return 0;
	}
	if (!read_block(dev, all - TFS_BLOCK, block) && !tfs_super_check(block, dev->size) &&
	    tfs_le64(s->size) == all) {
		tfs_port_log(env->ctx, 1, "first superblock: %s; using the copy at the end; run fsck.tfs", why);
		return 0;
	}
	return -EINVAL;
}

static u64 anchor_offset(u64 size, u32 copy, u64 epoch)
{
	u64 base = copy ? size - TFS_TAIL_SIZE : TFS_ANCHOR_OFFSET;

	return base + epoch % TFS_ANCHOR_SLOTS * TFS_BLOCK;
}

static int anchor_find(struct tfs_dev *dev, const struct tfs_super *super, u8 *block, struct tfs_anchor *out)
{
	u64 best = 0;
	u32 i;

	for (i = 0; i < 2 * TFS_ANCHOR_SLOTS; i++) {
		const struct tfs_anchor *a = (const struct tfs_anchor *)block;
		u64 at = anchor_offset(tfs_le64(super->size), i / TFS_ANCHOR_SLOTS, i % TFS_ANCHOR_SLOTS);

		if (read_block(dev, at, block) || tfs_anchor_check(block, tfs_le64(super->head.volume)) ||
		    tfs_le64(a->epoch) <= best)
			continue;
		best = tfs_le64(a->epoch);
		*out = *a;
	}
	return best ? 0 : -EUCLEAN;
}

int tfs_probe(struct tfs_dev *dev, const struct tfs_env *env, struct tfs_super *super, struct tfs_anchor *anchor)
{
	u8 *block = tfs_port_alloc(TFS_BLOCK);
	struct tfs_super *s;
	int err;

	if (!block)
		return -ENOMEM;
	err = super_find(dev, env, block);
	s = (struct tfs_super *)block;
	if (!err && super)
		*super = *s;
	if (!err && anchor) {
		u64 volume[2] = {s->head.volume, s->size};
		struct tfs_super key;

		memset(&key, 0, sizeof(key));
		key.head.volume = volume[0];
		key.size = volume[1];
		err = anchor_find(dev, &key, block, anchor);
		if (err)
			tfs_port_log(env->ctx, 0,
			             "no anchor of volume %016llx is whole: nothing to mount; run fsck.tfs",
			             (unsigned long long)tfs_le64(key.head.volume));
	}
	tfs_port_free(block);
	return err;
}

/* ---- writing ---- */

static int write_slot(struct tfs_vol *vol, u64 offset, const void *data, u32 bytes, u32 flags)
{
	memset(vol->node_scratch, 0, TFS_BLOCK);
	memcpy(vol->node_scratch, data, bytes);
	return tfs_dev_io(vol, TFS_IO_WRITE, offset, vol->node_scratch, TFS_BLOCK, flags);
}

/* Both copies at once: a torn slot costs what stood in it, the fourth newest. Durable with the next flush. */
int tfs_anchor_write(struct tfs_vol *vol, struct tfs_anchor *anchor)
{
	u64 size = tfs_le64(vol->super.size), epoch = tfs_le64(anchor->epoch);
	int err;

	tfs_head_seal(&anchor->head, TFS_BT_ANCHOR, vol->volume, sizeof(*anchor));
	err = write_slot(vol, anchor_offset(size, 0, epoch), anchor, sizeof(*anchor), 0);
	if (!err)
		err = write_slot(vol, anchor_offset(size, 1, epoch), anchor, sizeof(*anchor), 0);
	return err;
}

/* A slot that holds none gives zeros: what stood there before is of no volume any more. */
int tfs_anchors_copy(struct tfs_vol *vol, u64 size)
{
	u8 *block = vol->scratch;
	u32 slot;
	int err = 0;

	for (slot = 0; !err && slot < TFS_ANCHOR_SLOTS; slot++) {
		err = tfs_dev_io(vol, TFS_IO_READ, anchor_offset(size, 0, slot), block, TFS_BLOCK, 0);
		if (!err && tfs_anchor_check(block, vol->volume))
			memset(block, 0, TFS_BLOCK);
		if (!err)
			err = tfs_dev_io(vol, TFS_IO_WRITE, anchor_offset(size, 1, slot), block, TFS_BLOCK, TFS_IO_FUA);
	}
	return err;
}

static int super_put(struct tfs_vol *vol, u64 offset, u32 flags)
{
	int err;

	tfs_head_seal(&vol->super.head, TFS_BT_SUPER, vol->volume, sizeof(vol->super));
	err = write_slot(vol, offset, &vol->super, sizeof(vol->super), flags);
	if (!flags)
		vol->super_writes = vol->writes;
	return err;
}

/* One after the other, so that a torn write leaves a whole one; and after those in flight, which could come later. */
int tfs_super_write(struct tfs_vol *vol)
{
	int err = vol->flushed_writes < vol->super_writes ? tfs_flush(vol) : 0;

	if (!err)
		err = super_put(vol, tfs_le64(vol->super.size) - TFS_BLOCK, TFS_IO_FUA);
	vol->feature_writes = 0; /* if one was under way: it begins again */
	return err ? err : super_put(vol, TFS_SUPER_OFFSET, TFS_IO_FUA);
}

/* The bit is there before what it stands for: a crash between leaves a bit that means nothing. */
int tfs_super_feature(struct tfs_vol *vol, u64 ro_compat)
{
	if (tfs_le64(vol->super.ro_compat) & ro_compat)
		return 0;
	vol->super.ro_compat |= tfs_cpu64(ro_compat);
	return vol->bulk ? 0 : tfs_super_write(vol); /* bulk: it is written when all is there */
}

int tfs_super_feature_step(struct tfs_vol *vol, u64 ro_compat)
{
	int err;

	if (tfs_le64(vol->super.ro_compat) & ro_compat)
		return 0;
	if (vol->feature_writes && vol->flushed_writes < vol->feature_writes)
		return -EAGAIN;
	vol->super.ro_compat |= tfs_cpu64(ro_compat);
	if (vol->feature_writes) {
		vol->feature_writes = 0;
		return super_put(vol, TFS_SUPER_OFFSET, 0);
	}
	err = super_put(vol, tfs_le64(vol->super.size) - TFS_BLOCK, 0);
	vol->super.ro_compat &= ~tfs_cpu64(ro_compat); /* not in force before the first copy has it */
	vol->feature_writes = vol->writes;
	return err ? err : -EAGAIN;
}

int tfs_set_label(struct tfs_vol *vol, const char *label, u32 len)
{
	if (len >= sizeof(vol->super.label))
		return -EINVAL;
	if (vol->read_only)
		return -EROFS;
	memset(vol->super.label, 0, sizeof(vol->super.label));
	memcpy(vol->super.label, label, len);
	return tfs_super_write(vol);
}
