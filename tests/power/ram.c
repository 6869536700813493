// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A RAM device as pointers to 4 KiB pages over a shared base: a state costs what it touches. Writes go to an arena and
 * are remembered until the next flush; before every flush (and every FUA write) the owner may look at what is in
 * flight and make crash states of it. A FUA write is durable when it returns and orders nothing else.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA (192u << 20)

u8 *power_base[POWER_PAGES];

u8 *power_dev_alloc(struct power_dev *d)
{
	u8 *p = d->arena + d->used;

	d->used += TFS_BLOCK;
	if (d->used > ARENA) {
		fprintf(stderr, "power: arena full: workload too long\n");
		exit(2);
	}
	return p;
}

void power_dev_page(struct power_dev *d, u64 page, u8 *data)
{
	if (d->page[page] == power_base[page])
		d->touched[d->touches++] = (u32)page;
	d->page[page] = data;
}

static int fails(struct power_dev *d, bool read)
{
	if (!read && d->dies_in > 0)
		--d->dies_in;
	return (!read && !d->dies_in) || (d->fail_in > 0 && --d->fail_in == 0);
}

static void flight_add(struct power_dev *d, u64 page, u32 pages, u8 *data)
{
	if (d->flights == d->flights_max) {
		d->flights_max = d->flights_max ? d->flights_max * 2 : 64;
		d->flight = realloc(d->flight, d->flights_max * sizeof(*d->flight));
	}
	d->flight[d->flights++] = (struct power_write){page, pages, data};
}

static int dev_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct power_dev *d = (struct power_dev *)dev;
	u64 page = offset / TFS_BLOCK;
	u32 n = bytes / TFS_BLOCK, i;
	u8 *data;

	if (offset % TFS_BLOCK || bytes % TFS_BLOCK || page + n > dev->size / TFS_BLOCK) {
		fprintf(stderr, "power: request out of range: %llu+%u\n", (unsigned long long)offset, bytes);
		abort();
	}
	if (fails(d, op == TFS_IO_READ))
		return -EIO;
	if (op == TFS_IO_READ) {
		if (d->reads)
			memset(d->reads + page, 1, n);
		for (i = 0; i < n; i++)
			memcpy((u8 *)buf + i * TFS_BLOCK, d->page[page + i], TFS_BLOCK);
		return 0;
	}
	data = d->arena + d->used;
	for (i = 0; i < n; i++)
		power_dev_alloc(d);
	memcpy(data, buf, bytes);
	d->writes++;
	d->blocks += n;
	flight_add(d, page, n, data);
	if (flags & TFS_IO_FUA) {
		d->fua = true;
		if (d->before_flush)
			d->before_flush(d, d->arg);
		d->fua = false;
		d->flights--;
	}
	for (i = 0; i < n; i++)
		power_dev_page(d, page + i, data + i * TFS_BLOCK);
	return 0;
}

static int dev_flush(struct tfs_dev *dev)
{
	struct power_dev *d = (struct power_dev *)dev;

	if (fails(d, false))
		return -EIO;
	d->flushes++;
	if (d->before_flush)
		d->before_flush(d, d->arg);
	d->flights = 0;
	return 0;
}

/* What the core gives up is gone at once, in every crash state from here on: whoever still needs it finds something
 * else. */
static int dev_discard(struct tfs_dev *dev, u64 offset, u64 bytes)
{
	static u8 spoiled[TFS_BLOCK];
	struct power_dev *d = (struct power_dev *)dev;
	u64 page;

	memset(spoiled, 0xa5, sizeof(spoiled));
	for (page = offset / TFS_BLOCK; page < (offset + bytes) / TFS_BLOCK; page++) {
		power_dev_page(d, page, spoiled);
		power_solid_set(page, spoiled);
	}
	return 0;
}

static const struct tfs_dev_ops ops = {dev_io, dev_flush, dev_discard};

void power_dev_init(struct power_dev *d, u64 size)
{
	u8 *arena = d->arena ? d->arena : malloc(ARENA);

	free(d->flight);
	memset(d, 0, sizeof(*d));
	d->dev.ops = &ops;
	d->dev.size = d->size_first = size;
	d->arena = arena;
	d->fail_in = d->dies_in = -1;
	memcpy(d->page, power_base, sizeof(d->page));
}

void power_dev_reset(struct power_dev *d)
{
	while (d->touches) {
		u32 p = d->touched[--d->touches];

		d->page[p] = power_base[p];
	}
	d->used = 0;
	d->dev.size = d->size_first;
	d->flights = 0;
	d->writes = d->blocks = d->flushes = 0;
}
