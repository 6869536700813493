// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* tfs df: where the space is, and in which pieces what is free lies. */
#include "admin/admin.h"

int space_spread(struct admin *a, u64 segments, struct tfs_ioc_spread *sum)
{
	struct tfs_ioc_spread part;
	u64 at = 0;
	int err;

	memset(sum, 0, sizeof(*sum));
	while (at < segments) {
		memset(&part, 0, sizeof(part));
		part.segment = at;
		part.count = segments - at;
		err = target_request(&a->target, TFS_IOC_SPREAD, &part);
		if (err)
			return err;
		at = part.segment;
		sum->free_blocks += part.free_blocks;
		sum->used_blocks += part.used_blocks;
		sum->live_units += part.live_units;
		sum->whole_segments += part.whole_segments;
		for (u32 i = 0; i < TFS_IOC_RUN_CLASSES; i++) {
			sum->runs[i] += part.runs[i];
			sum->blocks[i] += part.blocks[i];
		}
	}
	return 0;
}

static void bytes_line(struct admin *a, struct tfs_line *l, const char *key, u64 bytes)
{
	char human[16];

	if (a->json)
		tfs_line_num(l, key, bytes);
	else
		tfs_line_text(l, key, tfs_cli_human(bytes, human));
}

static void volume_print(struct admin *a, const struct tfs_ioc_info *i, const struct tfs_ioc_spread *s)
{
	struct tfs_line l;
	char uuid[37];

	tfs_cli_uuid_text(i->uuid, uuid);
	tfs_line_begin_tall(&l, a->json, "volume");
	tfs_line_text(&l, "uuid", uuid);
	tfs_line_bytes(&l, "label", i->label, strnlen(i->label, sizeof(i->label)));
	bytes_line(a, &l, "size", i->size);
	bytes_line(a, &l, "used", (i->blocks - i->free_blocks) * TFS_BLOCK);
	bytes_line(a, &l, "by_snapshots", i->snapshot_blocks * TFS_BLOCK);
	bytes_line(a, &l, "promised", (i->prealloc_blocks + i->delayed_blocks) * TFS_BLOCK);
	bytes_line(a, &l, "free", i->free_blocks * TFS_BLOCK);
	bytes_line(a, &l, "available", i->available_blocks * TFS_BLOCK);
	bytes_line(a, &l, "free_whole", s->whole_segments << i->segment_bits);
	tfs_line_num(&l, "inodes", i->inodes);
	tfs_line_num(&l, "snapshots", i->snapshots);
	if (i->dying)
		tfs_line_num(&l, "dying", i->dying);
	tfs_line_end(&l);
}

/* Free runs by size. */
static void runs_print(struct admin *a, const struct tfs_ioc_spread *s)
{
	for (u32 i = 0; i < TFS_IOC_RUN_CLASSES; i++) {
		struct tfs_line l;

		if (!s->runs[i])
			continue;
		tfs_line_begin(&l, a->json, a->json ? 0 : 2, "free_runs");
		bytes_line(a, &l, "from", (u64)TFS_BLOCK << i);
		tfs_line_num(&l, "runs", s->runs[i]);
		bytes_line(a, &l, "bytes", s->blocks[i] * TFS_BLOCK);
		tfs_line_end(&l);
	}
}

int admin_df(struct admin *a)
{
	struct tfs_ioc_spread spread;
	struct tfs_ioc_info info = {0};
	int err = target_request(&a->target, TFS_IOC_INFO, &info);

	if (!err)
		err = space_spread(a, info.segments, &spread);
	if (err)
		return admin_fail(a, NULL, err);
	volume_print(a, &info, &spread);
	runs_print(a, &spread);
	return 0;
}
