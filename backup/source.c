// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The volume of a run, mounted or not, and its snapshots: see source.h. Everything is asked for by the requests of
 * tfs/ioctl.h, which a volume that is mounted takes as ioctls and one that is not in this process, so a run does not
 * know which it has. Snapshots go by their epochs, which are never used twice.
 */
#include "backup/source.h"
#include "tfs/core.h"

#include <stdlib.h>

/* ---- opening ---- */

const struct target_codes bk_source_codes = {
    .usage = BK_VOLUME,
    .damage = BK_VOLUME,
    .refused = BK_VOLUME,
    .unwritable = "a run takes a snapshot; --snapshot NAME backs up one that is there",
};

static int volume_look(struct bk_source *s)
{
	struct tfs_ioc_info i = {0};
	int err = target_request(&s->target, TFS_IOC_INFO, &i);

	if (err)
		return tfs_cli_fail(BK_VOLUME, s->path, "%s", strerror(-err));
	if (!(i.requests >> (TFS_IOC_RAW & 63) & 1))
		return tfs_cli_fail(BK_VOLUME, s->path,
		                    "what has it mounted is older than this tool and cannot be read for a backup");
	if (i.flags & TFS_INFO_DAMAGED)
		return tfs_cli_fail(BK_VOLUME, s->path, "its log is damaged; run fsck.tfs");
	if (s->writable && i.flags & TFS_INFO_READ_ONLY)
		return tfs_cli_fail(BK_VOLUME, s->path, "is mounted read-only: %s", bk_source_codes.unwritable);
	s->volume = i.volume;
	return 0;
}

int bk_source_open(struct bk_source *s, const char *path, u64 offset, bool write)
{
	int code;

	memset(s, 0, sizeof(*s));
	s->path = path;
	s->writable = write;
	code = target_open(&s->target, &bk_source_codes, path, offset, write);
	s->opened = !code;
	if (!code)
		code = volume_look(s);
	if (!code && s->target.mounted && offset)
		code = tfs_cli_fail(BK_USAGE, path, "is a directory: --offset is for images");
	if (code)
		bk_source_close(s, code);
	return code;
}

int bk_source_adopt(struct bk_source *s, const struct target_ops *ops, struct tfs_vol *vol, const char *path)
{
	*s = (struct bk_source){
	    .path = path,
	    .writable = true,
	    .opened = true,
	    .target = {.ops = ops, .codes = &bk_source_codes, .path = path, .vol = vol},
	};
	return volume_look(s);
}

int bk_source_close(struct bk_source *s, int code)
{
	int err = s->opened ? target_close(&s->target) : 0;

	s->opened = false;
	return err && !code ? tfs_cli_fail(BK_VOLUME, s->path, "cannot be written: %s", strerror(-err)) : code;
}

/* ---- snapshots ---- */

int bk_source_failed(const struct bk_source *s, int err)
{
	return tfs_cli_fail(err == -ENOENT ? BK_OVERTAKEN : BK_VOLUME, s->path, "%s",
	                    err == -ENOSPC   ? "no space for a snapshot"
	                    : err == -ENOMEM ? "out of memory"
	                    : err == -EPERM  ? "whose snapshots are for root, or whoever mounted it by tfs-fuse"
	                    : err == -EROFS  ? "is read-only"
	                    : err == -ENOENT
	                        ? "its snapshot was deleted by somebody else: the backup is not made; run it "
	                          "again"
	                        : "its snapshots cannot be read or changed; run fsck.tfs");
}

/* The first at or after *epoch that is not being deleted. -1: none. */
static int snapshot_next(struct bk_source *s, u64 *epoch, struct tfs_snapshot_info *out)
{
	struct tfs_ioc_snapshot q;
	int err;

	do {
		memset(&q, 0, sizeof(q));
		q.epoch = *epoch;
		err = target_request(&s->target, TFS_IOC_SNAPSHOT_NEXT, &q);
		*epoch = q.epoch + 1;
	} while (!err && q.flags & TFS_SNAP_DYING);
	if (err)
		return err == -ENOENT ? -1 : bk_source_failed(s, err);
	*epoch = q.epoch;
	*out = (struct tfs_snapshot_info){.epoch = q.epoch,
	                                  .created = {tfs_cpu64((u64)q.created), tfs_cpu32(q.created_nsec), 0},
	                                  .inodes = q.inodes,
	                                  .units = q.referenced / TFS_UNIT,
	                                  .fs = tfs_ptr_cpu(&q.fs),
	                                  .refs = tfs_ptr_cpu(&q.refs),
	                                  .holds = q.holds,
	                                  .name_len = (u8)q.name_len};
	memcpy(out->id, q.id, sizeof(out->id));
	memcpy(out->name, q.name, out->name_len);
	return 0;
}

int bk_source_find(struct bk_source *s, const char *name, struct tfs_snapshot_info *out)
{
	u64 epoch = 0;
	int code;

	for (; !(code = snapshot_next(s, &epoch, out)); epoch++)
		if (out->name_len == strlen(name) && !memcmp(out->name, name, out->name_len))
			return 0;
	return code < 0 ? 1 : code;
}

static bool ptr_same(const struct tfs_ptr *p, const struct tfs_disk_ptr *d)
{
	struct tfs_disk_ptr q = tfs_ptr_disk(p);

	return !memcmp(&q, d, sizeof(q));
}

int bk_source_holds(struct bk_source *s, const struct bk_manifest *m, bool *holds)
{
	struct tfs_snapshot_info i;
	u64 epoch = tfs_le64(m->epoch);
	int code = snapshot_next(s, &epoch, &i);

	*holds = !code && epoch == tfs_le64(m->epoch) && !memcmp(i.id, m->snapshot, sizeof(i.id)) &&
	         ptr_same(&i.fs, &m->fs) && ptr_same(&i.refs, &m->refs);
	return code < 0 ? 0 : code;
}

static void prefix_make(const struct bk_repo *r, char out[32])
{
	char hex[9];

	bk_hex(r->config.id, 4, hex);
	snprintf(out, 32, "tfs-backup.%s.", hex);
}

void bk_source_name(const struct bk_repo *r, const u8 run[BK_RUN], char name[64])
{
	char prefix[32], hex[17];

	prefix_make(r, prefix);
	bk_hex(run, 8, hex);
	snprintf(name, 64, "%s%s", prefix, hex);
}

int bk_source_describe(struct bk_source *s, const struct tfs_snapshot_info *i, struct bk_manifest *m)
{
	struct tfs_ioc_info info = {0};
	int err = target_request(&s->target, TFS_IOC_INFO, &info);

	if (err)
		return tfs_cli_fail(BK_VOLUME, s->path, "%s", strerror(-err));
	m->volume = tfs_cpu64(s->volume);
	memcpy(m->snapshot, i->id, sizeof(m->snapshot));
	m->epoch = tfs_cpu64(i->epoch);
	m->fs = tfs_ptr_disk(&i->fs);
	m->refs = tfs_ptr_disk(&i->refs);
	m->inodes = tfs_cpu64(i->inodes);
	m->units = tfs_cpu64(i->units);
	m->next_ino = tfs_cpu64(info.next_ino);
	m->created = i->created;
	m->name_len = i->name_len;
	memcpy(m->name, i->name, i->name_len);
	return 0;
}

/* One that takes an epoch and nothing else. */
static int change(struct bk_source *s, u32 request, u64 epoch)
{
	struct tfs_ioc_snapshot q = {.epoch = epoch};

	return target_request(&s->target, request, &q);
}

int bk_source_hold(struct bk_source *s, u64 epoch)
{
	int err = change(s, TFS_IOC_SNAPSHOT_HOLD, epoch);

	return err ? bk_source_failed(s, err) : 0;
}

int bk_source_take(struct bk_source *s, const char *name, struct tfs_snapshot_info *out)
{
	struct tfs_ioc_snapshot q = {.name_len = (u32)strlen(name)};
	int err, code;

	memcpy(q.name, name, q.name_len);
	err = target_request(&s->target, TFS_IOC_SNAPSHOT_CREATE, &q);
	if (!err)
		err = change(s, TFS_IOC_SNAPSHOT_HOLD, q.epoch);
	if (err)
		return bk_source_failed(s, err);
	code = bk_source_find(s, name, out);
	return code == 1 ? bk_source_failed(s, -ENOENT) : code;
}

/* What somebody else let go or deleted meanwhile is as it should be. */
static int let_go(struct bk_source *s, const struct tfs_snapshot_info *i)
{
	int err = 0;

	for (u32 h = 0; !err && h < i->holds; h++)
		err = change(s, TFS_IOC_SNAPSHOT_RELEASE, i->epoch);
	if (!err || err == -EINVAL)
		err = change(s, TFS_IOC_SNAPSHOT_DELETE, i->epoch);
	return err && err != -ENOENT ? bk_source_failed(s, err) : 0;
}

int bk_source_tidy(struct bk_source *s, const struct bk_repo *r, u64 keep, u64 also)
{
	struct tfs_snapshot_info i;
	char prefix[32];
	u64 epoch = 0;
	int code = 0;

	prefix_make(r, prefix);
	for (; s->writable && !code && !(code = snapshot_next(s, &epoch, &i)); epoch++)
		if (epoch != keep && epoch != also && i.name_len > strlen(prefix) &&
		    !memcmp(i.name, prefix, strlen(prefix)))
			code = let_go(s, &i);
	return code < 0 ? 0 : code;
}
