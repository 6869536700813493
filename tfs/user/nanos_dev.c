// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Finding a volume of the Nanos kernel by content; see nanos_dev.h. Called by the tools when they have opened a device.
 */
#include "tfs/user/nanos_dev.h"

static const struct nanos_part *part_choose(const struct tfs_nanos_place *o, const char *p)
{
	const struct nanos_part *first = NULL, *last = NULL;

	if (*p >= '1' && *p <= '4' && !p[1])
		return (u32)(*p - '0') <= o->parts ? &o->part[*p - '1'] : NULL;
	for (u32 i = 0; i < o->parts; i++)
		if (o->part[i].volume) {
			first = first ? first : &o->part[i];
			last = &o->part[i];
		}
	return !strcmp(p, "root") ? last : !strcmp(p, "boot") && first != last ? first : NULL;
}

/* The last partition takes what the device has, as its kernel does. */
static int part_enter(struct tfs_file_dev *dev, const char *partition, struct tfs_nanos_place *o)
{
	const struct nanos_part *p = part_choose(o, partition ? partition : "root");
	u64 left;

	o->why = "expected --partition root, boot or the number of one that holds a volume";
	if (!p || !p->volume)
		return -ENOENT;
	left = dev->dev.size - p->offset;
	dev->offset += p->offset;
	dev->dev.size = p == &o->part[o->parts - 1] || p->size > left ? left : p->size;
	return 1;
}

int tfs_nanos_find(struct tfs_file_dev *dev, const struct tfs_env *env, const char *format, const char *partition,
                   struct tfs_nanos_place *o)
{
	bool asked = format && !strcmp(format, "nanos");
	u8 block[NANOS_BLOCK];
	struct tfs_super super;

	*o = (struct tfs_nanos_place){.before = dev->offset, .whole = dev->dev.size};
	if (format && !asked)
		return 0;
	if (o->whole >= NANOS_BLOCK && !dev->dev.ops->io(&dev->dev, TFS_IO_READ, 0, block, NANOS_BLOCK, 0) &&
	    nanos_probe(block)) {
		o->why = "is a volume and has no partitions";
		return partition ? -ENOENT : 1;
	}
	if (!asked && !partition && !tfs_probe(&dev->dev, env, &super, NULL))
		return 0; /* boot code before one of ours may look like a partition table */
	if (!nanos_parts(&dev->dev, o->part, &o->parts))
		return part_enter(dev, partition, o);
	o->why = "expected a Nanos volume (NVMTFS at byte 0) or an image with a partition that is one";
	return asked || partition ? -EINVAL : 0;
}
