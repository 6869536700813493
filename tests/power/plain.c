// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A device in memory that forgets nothing and makes no crash states: for what runs so often that nothing else matters
 * (torture.c, refill.c). What is discarded holds something else at once.
 */
#include "tests/power/power.h"

#include <stdlib.h>

static u8 *data;

static int plain_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	(void)flags;
	if (offset + bytes > dev->size)
		return -EIO;
	if (op == TFS_IO_READ)
		memcpy(buf, data + offset, bytes);
	else
		memcpy(data + offset, buf, bytes);
	return 0;
}

static int plain_flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

/* Whoever still needs it finds something else. */
static int plain_discard(struct tfs_dev *dev, u64 offset, u64 bytes)
{
	if (offset + bytes > dev->size)
		return -EIO;
	memset(data + offset, 0xa5, bytes);
	return 0;
}

static const struct tfs_dev_ops plain_ops = {plain_io, plain_flush, plain_discard};
struct tfs_dev power_plain = {.ops = &plain_ops};

void power_plain_make(u64 size, u64 largest)
{
	free(data);
	data = calloc(1, largest);
	power_must(data ? 0 : -ENOMEM, "memory");
	power_plain.size = size;
}
