// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --image=SEED:FILE: the volume after a random history that a power cut ended, as an image file, for tests that look at
 * volumes from outside. Codec, size and free space go by the seed as in histories; of odd seeds what was done last is
 * synced. The same seed gives the same image. No state is judged here. Called by main.c.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

#define OPERATIONS 150

static int pages_write(FILE *f)
{
	u64 i;

	for (i = 0; i < power_run.dev.size / TFS_BLOCK; i++)
		if (fwrite(power_run.page[i], TFS_BLOCK, 1, f) != 1)
			return -EIO;
	return fclose(f) ? -EIO : 0;
}

void power_image(const char *what)
{
	struct tfs_vol *vol;
	char *path;
	u64 seed = strtoull(what, &path, 10);
	FILE *f = *path == ':' ? fopen(path + 1, "wb") : NULL;

	if (!f) {
		fprintf(stderr, "power: --image=%s: expected SEED:FILE, a file that can be written\n", what);
		exit(2);
	}
	vol = power_history_volume(seed, OPERATIONS);
	if (seed % 2)
		power_must(tfs_sync(vol), "sync");
	power_abandon(vol);
	power_must(pages_write(f), path + 1);
}
