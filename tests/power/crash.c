// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Making crash states: before every flush, every FUA write and at the end the writes in flight are dropped, kept, torn
 * and mixed in all the ways a disk may, on top of what is on the platter, and each such state is mounted and judged.
 * Called by main.c, which hangs power_crash_flush on the recording device.
 */
#include "tests/power/power.h"

#include <stdio.h>

u64 power_rng;
u32 power_exhaust = 10; /* above so many in flight, subsets are sampled */
unsigned long power_state, power_only;

u64 power_random(void)
{
	power_rng ^= power_rng << 13;
	power_rng ^= power_rng >> 7;
	power_rng ^= power_rng << 17;
	return power_rng;
}

static void judge(const char *state)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env();
	u64 clock = power_clock;
	struct tfs_vol *vol;
	char text[100];
	int err;

	power_state++;
	if (power_only && power_only != power_state) {
		power_dev_reset(&power_crash);
		return;
	}
	power_states++;
	power_judging = true;
	if (power_state % 16 == 0)
		opt.flags = TFS_MOUNT_RO;
	err = tfs_mount(&power_crash.dev, &env, &opt, &vol);
	if (err) {
		snprintf(text, sizeof(text), "does not mount: error %d", err);
		power_fail(state, text);
	} else {
		power_judge(vol, &power_crash.dev, state, power_state % 4 == 0);
		power_abandon(vol);
	}
	power_judging = false;
	power_clock = clock;
	power_dev_reset(&power_crash);
}

/* ---- making states ---- */

/* What reached the platter before the writes in flight; NULL: as in the base. */
static u8 *solid[POWER_PAGES];
static u32 solid_touched[POWER_PAGES], solids;

void power_solid_set(u64 page, u8 *data)
{
	if (!solid[page])
		solid_touched[solids++] = (u32)page;
	solid[page] = data;
}

void power_solid_reset(void)
{
	while (solids)
		solid[solid_touched[--solids]] = NULL;
}

void power_solid_state(void)
{
	u32 i;

	power_crash.dev.size = power_run.dev.size;
	for (i = 0; i < solids; i++)
		power_dev_page(&power_crash, solid_touched[i], solid[solid_touched[i]]);
}

/* sectors of the write reached the disk, from the front or (from_end) from the end */
static void land(const struct power_write *w, u32 sectors, bool from_end)
{
	u32 all = w->pages * 8, s;

	if (sectors >= all) {
		for (s = 0; s < w->pages; s++)
			power_dev_page(&power_crash, w->page + s, w->data + s * TFS_BLOCK);
		return;
	}
	for (s = 0; s < all; s++) {
		u64 page = w->page + s / 8;
		bool here = from_end ? s >= all - sectors : s < sectors;

		if (s % 8 == 0) {
			u8 *copy = power_dev_alloc(&power_crash);

			memcpy(copy, power_crash.page[page], TFS_BLOCK);
			power_dev_page(&power_crash, page, copy);
		}
		if (here)
			memcpy(power_crash.page[page] + s % 8 * 512, w->data + s * 512, 512);
	}
}

/* The device becomes larger; its new pages hold what anybody may have left there. */
void power_device_grow(u64 size, void (*left)(u64 page, u8 *data))
{
	u64 page = power_run.dev.size / TFS_BLOCK;

	power_run.dev.size = size;
	for (; page < size / TFS_BLOCK; page++) {
		u8 *data = power_dev_alloc(&power_run);

		left(page, data);
		power_dev_page(&power_run, page, data);
		power_solid_set(page, data);
	}
}

static void state_mask(const struct power_dev *d, u64 mask, const char *what)
{
	char name[64];
	u32 i;

	power_solid_state();
	for (i = 0; i < d->flights; i++)
		if (i >= 64 || mask >> i & 1)
			land(&d->flight[i], ~0u, false);
	snprintf(name, sizeof(name), "flush %llu, %s %llx of %u", (unsigned long long)d->flushes, what,
	         (unsigned long long)mask, d->flights);
	judge(name);
}

/* mask: which of the others landed */
static void state_torn(const struct power_dev *d, u64 mask, u32 i, u32 sectors, bool from_end)
{
	char name[80];
	u32 j;

	power_solid_state();
	for (j = 0; j < d->flights; j++)
		if (j == i || j >= 64 || mask >> j & 1)
			land(&d->flight[j], j == i ? sectors : ~0u, j == i && from_end);
	snprintf(name, sizeof(name), "flush %llu, write %u of %u torn at %u beside %llx",
	         (unsigned long long)d->flushes, i, d->flights, sectors, (unsigned long long)mask);
	judge(name);
}

/* Each subset once. */
static struct {
	u64 mask[32];
	u32 n;
} sampled;

static void state_new(const struct power_dev *d, u64 mask, const char *what)
{
	u32 i;

	for (i = 0; i < sampled.n; i++)
		if (sampled.mask[i] == mask)
			return;
	sampled.mask[sampled.n++] = mask;
	state_mask(d, mask, what);
}

static void states_sampled(const struct power_dev *d)
{
	u32 n = d->flights < 64 ? d->flights : 64, i;
	u64 all = n == 64 ? ~0ull : (1ull << n) - 1;

	sampled.n = 0;
	state_new(d, 0, "none");
	state_new(d, all, "all");
	for (i = 0; i < 6; i++) {
		u32 k = (u32)(power_random() % n);

		state_new(d, 1ull << k, "only");
		state_new(d, all & ~(1ull << k), "all but one");
		state_new(d, (1ull << k) - 1, "prefix");
		state_new(d, power_random() & all, "subset");
	}
}

void power_crash_states(struct power_dev *d, void *arg)
{
	u64 m;
	u32 i;

	(void)arg;
	if (!d->flights) {
		state_mask(d, 0, "nothing in flight");
		return;
	}
	if (d->flights <= power_exhaust)
		for (m = 0; m < 1ull << d->flights; m++)
			state_mask(d, m, "subset");
	else
		states_sampled(d);
	for (i = 0; i < d->flights && i < 8; i++) {
		u32 sectors = d->flight[i].pages * 8;

		state_torn(d, ~0ull, i, 1 + (u32)(power_random() % (sectors - 1)), false);
		state_torn(d, ~0ull, i, 1 + (u32)(power_random() % (sectors - 1)), true);
		if (d->flights > 1)
			state_torn(d, power_random(), i, 1 + (u32)(power_random() % (sectors - 1)), i & 1);
	}
}

/* Subsets of the first three writes in flight, and one of them torn. */
void power_crash_few(struct power_dev *d)
{
	u64 m, n = d->flights < 3 ? d->flights : 3;

	for (m = 0; m < 1ull << n; m++)
		state_mask(d, m | ~0ull << n, "subset");
	if (n) {
		u32 i = (u32)(power_random() % n);

		state_torn(d, ~0ull, i, 1 + (u32)(power_random() % (d->flight[i].pages * 8 - 1)), false);
	}
}

/* Everything in flight is on the platter, or the FUA write alone. */
void power_solidify(struct power_dev *d, void *arg)
{
	u32 i, j;

	(void)arg;
	for (i = d->fua ? d->flights - 1 : 0; i < d->flights; i++)
		for (j = 0; j < d->flight[i].pages; j++)
			power_solid_set(d->flight[i].page + j, d->flight[i].data + j * TFS_BLOCK);
}

/* Before a flush returns. */
void power_crash_flush(struct power_dev *d, void *arg)
{
	power_crash_states(d, arg);
	power_solidify(d, arg);
}

/* The device as it is now counts as being on the platter. */
void power_solid_start(struct power_dev *d)
{
	u32 i;

	power_solid_reset();
	for (i = 0; i < d->touches; i++)
		power_solid_set(d->touched[i], d->page[d->touched[i]]);
	d->flights = 0;
}
