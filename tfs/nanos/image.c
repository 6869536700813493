// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Bootable images: the partition table of the MBR, and the section before the first partition in which the kernel
 * leaves its last messages when it crashes. Called by tools that look for a volume in a device.
 */
#include "tfs/nanos/nanos.h"

static u32 le32_at(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static __attribute__((noinline)) bool volume_at(struct tfs_dev *dev, u64 at)
{
	u8 block[NANOS_BLOCK];

	return at <= dev->size && dev->size - at >= NANOS_BLOCK &&
	       !dev->ops->io(dev, TFS_IO_READ, at, block, NANOS_BLOCK, 0) && nanos_probe(block);
}

int nanos_parts(struct tfs_dev *dev, struct nanos_part part[NANOS_PARTS], u32 *count)
{
	u8 mbr[NANOS_BLOCK];
	bool any = false;

	*count = 0;
	if (dev->size < NANOS_BLOCK || dev->ops->io(dev, TFS_IO_READ, 0, mbr, NANOS_BLOCK, 0) || mbr[510] != 0x55 ||
	    mbr[511] != 0xaa)
		return -EINVAL;
	for (u32 i = 0; i < NANOS_PARTS; i++) {
		const u8 *e = mbr + 446 + 16 * i;
		struct nanos_part p = {.offset = (u64)le32_at(e + 8) * NANOS_BLOCK,
		                       .size = (u64)le32_at(e + 12) * NANOS_BLOCK,
		                       .type = e[4]};

		if (!p.type || !p.offset)
			continue;
		p.volume = p.type == 0x83 && volume_at(dev, p.offset);
		any |= p.volume;
		part[(*count)++] = p;
	}
	return any ? 0 : -EINVAL;
}

int nanos_klog_read(struct tfs_dev *dev, const struct nanos_part *part, u32 count, struct nanos_klog *out)
{
	u8 *p;
	int err;

	memset(out, 0, sizeof(*out));
	if (!count || part[0].offset < NANOS_KLOG || part[0].offset > dev->size)
		return -EINVAL;
	out->offset = part[0].offset - NANOS_KLOG;
	p = tfs_port_alloc(NANOS_KLOG);
	if (!p)
		return -ENOMEM;
	err = dev->ops->io(dev, TFS_IO_READ, out->offset, p, NANOS_KLOG, 0);
	out->present = !err && !memcmp(p, "KLOG", 4);
	if (out->present) {
		out->boot_id = le32_at(p + 4) | (u64)le32_at(p + 8) << 32;
		out->exit_code = le32_at(p + 12);
		while (out->len < sizeof(out->text) && p[16 + out->len])
			out->len++;
		memcpy(out->text, p + 16, out->len);
	}
	tfs_port_free(p);
	return err;
}
