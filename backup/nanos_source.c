// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The shadow of a Nanos volume: see nanos.h. A device that reads what the newest backup of the volume holds, out of its
 * packs when asked, and keeps what is written in a temporary file without a name. Its SPACE and the base's snapshot are
 * made as for a restore (rebuild.c), so the run that follows finds its base in it. Nothing of it outlives the run. The
 * volume is read while nobody changes it: what shows that somebody did ends the run.
 */
#include "backup/nanos.h"
#include "backup/source.h"
#include "tfs/user/port.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM (1ull << 30)

struct shadow {
	struct tfs_dev dev; /* first */
	struct tfs_file_dev file;
	struct bk_image *base; /* NULL: none */
	u8 *written;           /* a bit a block */
};
struct bk_nanos {
	struct bk_repo *r;
	const char *path;
	struct tfs_file_dev dev;
	struct tfs_env env;
	struct stat before;
	struct nanos_vol *vol;
	struct shadow shadow;
	struct bk_image base;
	struct bk_backup from; /* the base's manifest; buf NULL: none */
};

/* ---- the shadow as a device ---- */

static bool is_written(const struct shadow *s, u64 block)
{
	return s->written[block / 8] >> block % 8 & 1;
}

static int run_read(struct shadow *s, u64 offset, u8 *buf, u32 bytes, bool written)
{
	struct tfs_dev *base = s->base ? &s->base->dev : NULL;
	u32 n = bytes;

	if (written)
		return s->file.dev.ops->io(&s->file.dev, TFS_IO_READ, offset, buf, bytes, 0);
	memset(buf, 0, bytes);
	if (!base || offset >= base->size)
		return 0;
	if (n > base->size - offset)
		n = (u32)(base->size - offset);
	return base->ops->io(base, TFS_IO_READ, offset, buf, n, 0);
}

static int shadow_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct shadow *s = (struct shadow *)dev;
	int err;

	(void)flags;
	if (offset % TFS_BLOCK || bytes % TFS_BLOCK || offset > dev->size || bytes > dev->size - offset)
		return -EIO;
	if (op == TFS_IO_WRITE) {
		err = s->file.dev.ops->io(&s->file.dev, TFS_IO_WRITE, offset, buf, bytes, 0);
		for (u64 b = offset / TFS_BLOCK; !err && b < (offset + bytes) / TFS_BLOCK; b++)
			s->written[b / 8] |= (u8)(1u << b % 8);
		return err;
	}
	for (u32 done = 0, n; done < bytes; done += n) {
		u64 block = (offset + done) / TFS_BLOCK;
		bool written = is_written(s, block);

		n = TFS_BLOCK;
		while (done + n < bytes && is_written(s, block + n / TFS_BLOCK) == written)
			n += TFS_BLOCK;
		err = run_read(s, offset + done, (u8 *)buf + done, n, written);
		if (err)
			return err;
	}
	return 0;
}

static int shadow_flush(struct tfs_dev *dev)
{
	(void)dev; /* it need not outlive this process */
	return 0;
}

static int shadow_open(struct bk_nanos *n, u64 size)
{
	static const struct tfs_dev_ops ops = {shadow_io, shadow_flush, NULL};
	const char *dir = getenv("TMPDIR");
	struct shadow *s = &n->shadow;
	char path[4096];
	int fd, err;

	snprintf(path, sizeof(path), "%s/tfs-backup.XXXXXX", dir && *dir ? dir : "/var/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return tfs_cli_fail(BK_HOST, path, "cannot be made: %s; TMPDIR says where else", strerror(errno));
	unlink(path);
	err = tfs_file_dev_take(&s->file, fd, 0, true, size);
	if (err)
		return tfs_cli_fail(BK_HOST, path, "%s; TMPDIR says where else", tfs_file_dev_error(err));
	s->written = calloc(size / TFS_BLOCK / 8 + 1, 1);
	s->dev = (struct tfs_dev){.ops = &ops, .size = size, .no_gaps = true}; /* as the base below it: image.c */
	return s->written ? 0 : bk_no_memory();
}

static void shadow_close(struct bk_nanos *n)
{
	if (n->shadow.written)
		tfs_file_dev_close(&n->shadow.file);
	free(n->shadow.written);
	n->shadow = (struct shadow){0};
	if (n->from.buf) {
		bk_image_close(&n->base);
		bk_backup_free(&n->from);
	}
}

/* ---- the volume ---- */

static int problem(void *arg, const struct nanos_found *f)
{
	u64 *count = arg;

	*count += f->problem != NANOS_NLINK && f->problem != NANOS_BEYOND;
	return 0;
}

static int volume_open(struct bk_nanos *n)
{
	u64 problems = 0;
	int err = nanos_open(&n->dev.dev, &n->env, NULL, NULL, &n->vol);

	if (err)
		return tfs_cli_fail(err == -ENOMEM ? BK_HOST : BK_VOLUME, n->path,
		                    "cannot be opened as a Nanos volume: %s", strerror(-err));
	if (n->vol->fault.kind == NANOS_SOUND)
		err = nanos_check(n->vol, problem, &problems);
	if (err)
		return tfs_cli_fail(BK_HOST, n->path, "%s", strerror(-err));
	if (n->vol->fault.kind != NANOS_SOUND || problems)
		return tfs_cli_fail(BK_VOLUME, n->path, "is damaged; the backup is not made; run fsck.tfs");
	return fstat(n->dev.fd, &n->before) ? tfs_cli_fail(BK_VOLUME, n->path, "%s", strerror(errno)) : 0;
}

int bk_nanos_find(struct bk_repo *r, const char *path, struct bk_nanos **out)
{
	struct bk_nanos *n = calloc(1, sizeof(*n));
	struct tfs_nanos_place place;
	int code = 0, found;

	*out = NULL;
	if (!n)
		return bk_no_memory();
	n->r = r;
	n->path = path;
	n->env = tfs_user_env();
	if (tfs_file_dev_open(&n->dev, path, r->o->offset, false, 0)) { /* said by who opens it as one of ours */
		free(n);
		return 0;
	}
	found = tfs_nanos_find(&n->dev, &n->env, r->o->partition ? "nanos" : NULL, r->o->partition, &place);
	if (found > 0 && r->o->snapshot)
		code = tfs_cli_fail(BK_USAGE, "--snapshot", "a Nanos volume has no snapshots");
	else if (found < 0)
		code = tfs_cli_fail(found == -ENOENT ? BK_USAGE : BK_VOLUME, path, "%s", place.why);
	else if (found)
		code = volume_open(n);
	if (found > 0 && !code)
		*out = n;
	else
		bk_nanos_close(n);
	return code;
}

void bk_nanos_close(struct bk_nanos *n)
{
	if (!n)
		return;
	shadow_close(n);
	nanos_close(n->vol);
	tfs_file_dev_close(&n->dev);
	free(n);
}

/* A file says by its time that it was written, a device at least when its log has grown. */
static int unchanged(struct bk_nanos *n)
{
	const struct nanos_vol *old = n->vol;
	struct nanos_vol *now;
	struct stat st;
	bool same;

	if (fstat(n->dev.fd, &st) || nanos_open(&n->dev.dev, &n->env, NULL, NULL, &now))
		return tfs_cli_fail(BK_VOLUME, n->path, "cannot be read a second time");
	same = S_ISBLK(st.st_mode) ||
	       (st.st_mtim.tv_sec == n->before.st_mtim.tv_sec && st.st_mtim.tv_nsec == n->before.st_mtim.tv_nsec);
	same &= now->log_end == old->log_end && now->records == old->records && now->exts == old->exts;
	nanos_close(now);
	return same ? 0
	            : tfs_cli_fail(BK_VOLUME, n->path,
	                           "was changed while it was read; the backup is not made: stop the machine, or back "
	                           "up a copy");
}

/* ---- the base ---- */

static u64 size_wanted(const struct bk_nanos *n)
{
	return (2 * n->dev.dev.size + ROOM + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
}

/* The newest backup of a volume with this uuid, of a shadow that has room enough; n->from.buf NULL: none. */
static int base_find(struct bk_nanos *n)
{
	for (size_t i = n->r->chain.lives; !n->r->o->full && i--;) {
		const struct tfs_super *super;
		int code = bk_backup_load(n->r, &n->r->chain.live[i], &n->from);

		if (code == BK_OVERTAKEN)
			continue;
		if (code)
			return code;
		super = (const struct tfs_super *)n->from.m->super;
		if (bk_is_nanos(&n->from) && !memcmp(super->uuid, n->vol->uuid, 16) &&
		    tfs_le64(super->size) >= size_wanted(n))
			return 0;
		bk_backup_free(&n->from);
	}
	return 0;
}

/* BK_DAMAGE: the base cannot be read. */
static int base_open(struct bk_nanos *n)
{
	int code = bk_image_open(&n->base, n->r, &n->from);

	if (code) {
		bk_backup_free(&n->from);
		return code;
	}
	n->shadow.base = &n->base;
	code = shadow_open(n, n->base.dev.size);
	return code ? code : bk_rebuild(&n->shadow.dev, n->path, &n->from);
}

static int fresh_make(struct bk_nanos *n)
{
	struct tfs_format_options opt = {.size = size_wanted(n), .codec = TFS_CODEC_LZ4};
	int code = shadow_open(n, opt.size), err;
	struct tfs_vol *vol;

	if (code)
		return code;
	memcpy(opt.uuid, n->vol->uuid, sizeof(opt.uuid));
	snprintf(opt.label, sizeof(opt.label), "%s", n->vol->label);
	opt.created = n->env.now(n->env.ctx);
	err = tfs_format(&n->shadow.dev, &n->env, &opt, &vol);
	if (!err) {
		int end;

		err = tfs_format_finish(vol, 0);
		end = tfs_unmount(vol);
		err = err ? err : end;
	}
	return err ? tfs_cli_fail(BK_HOST, n->path, "no temporary volume can be made for it: %s", strerror(-err)) : 0;
}

/* ---- the source of a run ---- */

static int shadow_request(struct target *t, u32 request, void *arg)
{
	return tfs_admin(t->vol, request, arg);
}

static int shadow_done(struct target *t)
{
	tfs_abandon(t->vol); /* nobody reads it again */
	return 0;
}

static int shadow_mount(struct bk_nanos *n, struct bk_source *s)
{
	static const struct target_ops ops = {shadow_request, shadow_done};
	struct tfs_mount_options opt = {.cache_nodes = 4096};
	struct tfs_vol *vol;
	int err = tfs_mount(&n->shadow.dev, &n->env, &opt, &vol);

	return err ? tfs_cli_fail(BK_HOST, n->path, "its temporary volume cannot be opened: %s", strerror(-err))
	           : bk_source_adopt(s, &ops, vol, n->path);
}

static int bring(struct bk_nanos *n, struct bk_source *s)
{
	struct tfs_progress progress;
	struct bk_nanos_sync y = {
	    .from = n->vol, .size = n->dev.dev.size, .to = s->target.vol, .path = n->path, .progress = &progress};
	bool said;
	int err;

	tfs_progress_start(&progress, n->r->o->quiet, -1, 1);
	tfs_progress_pass_bytes(&progress, "files compared", 0, "files");
	err = bk_nanos_bring(&y, &said);
	tfs_progress_end(&progress);
	if (err && !said)
		tfs_cli_fail(0, n->path, "its files cannot be put into a temporary volume: %s", strerror(-err));
	return !err ? 0 : n->base.code ? n->base.code : err == -ENOMEM || err == -ENOSPC ? BK_HOST : BK_VOLUME;
}

static int source_try(struct bk_nanos *n, struct bk_source *s)
{
	int code = n->from.buf ? base_open(n) : fresh_make(n);

	if (!code)
		code = shadow_mount(n, s);
	if (!code)
		code = bring(n, s);
	return code;
}

int bk_nanos_source(struct bk_nanos *n, struct bk_source *s)
{
	u64 base = 0;
	int code = base_find(n);

	if (!code && n->from.buf) {
		base = n->from.sequence;
		code = source_try(n, s);
		if (code == BK_DAMAGE || code == BK_HOST) { /* a copy that is whole beats one that is small */
			tfs_cli_warn(n->path, "backup %llu cannot be built on: everything is backed up again",
			             (unsigned long long)base);
			bk_source_close(s, code);
			shadow_close(n);
			base = 0;
			code = source_try(n, s);
		}
	} else if (!code) {
		code = source_try(n, s);
	}
	if (!code)
		code = unchanged(n);
	if (code)
		bk_source_close(s, code);
	return code;
}
