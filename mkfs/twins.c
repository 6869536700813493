// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Windows whose content the volume holds already share it. A table remembers where each compressed window went, by the
 * CRC and length of its stored bytes; what matches is read back and compared, so the CRC only proposes. The order of
 * jobs is that of the source, so the same source shares the same. The table has a fixed size: when it is full, later
 * windows are still found in it, and no more go in. Called by fill.c, from the one thread that writes the volume.
 */
#include "mkfs/mkfs.h"

#include <stdlib.h>

#define SLOTS (1u << 19) /* 12 MiB, only touched as far as they are used; windows of 24 GiB of content */
#define PROBES 16u

struct twin {
	u64 ino; /* 0: empty */
	u64 block;
	u32 sum, bytes;
};

struct mkfs_twins {
	u8 window[MKFS_WINDOW];
	struct twin slot[SLOTS];
};

/* The slot that holds the like, or the free one where it would go; NULL: neither. */
static struct twin *slot_of(struct mkfs_twins *t, const struct mkfs_job *job)
{
	u32 at = job->sum ^ job->e.bytes * 0x9e3779b1u, i;

	for (i = 0; i < PROBES; i++) {
		struct twin *s = &t->slot[(at + i) % SLOTS];

		if (!s->ino || (s->sum == job->sum && s->bytes == job->e.bytes))
			return s;
	}
	return NULL;
}

static bool same(struct mkfs_fill *f, const struct twin *s, const struct mkfs_job *job)
{
	u32 len = job->e.blocks * TFS_BLOCK, real = job->bytes - job->first * TFS_BLOCK;

	if (len > real)
		len = real;
	if (s->block % (MKFS_WINDOW / TFS_BLOCK) != job->first) /* another place in its window, behind zeros */
		return false;
	return tfs_read(f->vol, s->ino, s->block * TFS_BLOCK, f->twins->window, len) == (s64)len &&
	       !memcmp(f->twins->window, job->data + job->first * TFS_BLOCK, len);
}

int mkfs_twins_put(struct mkfs_fill *f, const struct mkfs_job *job, u64 size)
{
	u64 block = job->off / TFS_BLOCK + job->first;
	struct twin *s = NULL;
	int err;

	if (job->e.codec && !f->twins)
		f->twins = calloc(1, sizeof(*f->twins));
	if (job->e.codec && f->twins)
		s = slot_of(f->twins, job);
	if (s && s->ino && same(f, s, job)) {
		err = tfs_clone(f->vol, s->ino, s->block, f->ino, block, job->e.blocks, size, NULL);
		if (!err)
			f->shared += job->e.bytes;
		if (err != -EOPNOTSUPP)
			return err;
	}
	err = tfs_write(f->vol, f->ino, block, &job->e, size, NULL);
	if (!err && s) /* over what was replaced since, as an archive may */
		*s = (struct twin){f->ino, block, job->sum, job->e.bytes};
	return err;
}

void mkfs_twins_free(struct mkfs_fill *f)
{
	free(f->twins);
	f->twins = NULL;
}
