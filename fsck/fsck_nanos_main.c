// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsck.tfs on a Nanos volume, the tool's part: a repair goes to a copy (--to), or saves what it overwrites (--undo);
 * without either nothing is written. The copy is made whole, partitions and all, before anything in it is changed, and
 * has its name only when it is done. Exit bits are those of fsck(8).
 */
#define _GNU_SOURCE
#include "fsck/fsck_nanos.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the copy ---- */

struct copy {
	const char *path;
	char temporary[4096];
	struct tfs_file_dev file; /* its device is the volume in the copy */
	u64 before;               /* bytes of the copy before the volume */
};

static bool all_zero(const u8 *p, size_t n)
{
	return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

static int copy_bytes(int from, int to, u64 size)
{
	static u8 buf[1 << 20];

	for (u64 at = 0; at < size;) {
		ssize_t n = pread(from, buf, sizeof(buf), (off_t)at);

		if (n <= 0)
			return n ? -errno : -EIO;
		if ((u64)n > size - at)
			n = (ssize_t)(size - at);
		for (ssize_t i = 0, piece; i < n; i += piece) {
			piece = n - i < 65536 ? n - i : 65536;
			if (!all_zero(buf + i, (size_t)piece) &&
			    pwrite(to, buf + i, (size_t)piece, (off_t)at + i) != piece)
				return errno ? -errno : -ENOSPC;
		}
		at += (u64)n;
	}
	return ftruncate(to, (off_t)size) ? -errno : 0;
}

static int copy_open(struct copy *c, const struct tfs_file_dev *image)
{
	u64 size = image->offset + image->dev.size;
	off_t end = lseek(image->fd, 0, SEEK_END);
	int fd, err;

	if (end > 0 && (u64)end > size)
		size = (u64)end; /* the boot partition: what follows comes along */
	if (!access(c->path, F_OK))
		return tfs_cli_fail(-EEXIST, c->path, "is there already; expected a new name for the copy");
	snprintf(c->temporary, sizeof(c->temporary), "%s.XXXXXX", c->path);
	fd = mkostemp(c->temporary, O_CLOEXEC);
	if (fd < 0)
		return tfs_cli_fail(-errno, c->path, "cannot be made: %s", strerror(errno));
	err = copy_bytes(image->fd, fd, size);
	if (err) {
		unlink(c->temporary);
		close(fd);
		return tfs_cli_fail(err, c->path, "cannot be written: %s", strerror(-err));
	}
	c->before = image->offset;
	err = tfs_file_dev_take(&c->file, fd, image->offset, true, 0);
	if (!err)
		c->file.dev.size = image->dev.size;
	return err;
}

static int copy_end(struct copy *c, int err)
{
	if (!err && (fsync(c->file.fd) || fchmod(c->file.fd, 0644) || link(c->temporary, c->path)))
		err = tfs_cli_fail(-errno, c->path, "cannot be finished: %s", strerror(errno));
	unlink(c->temporary);
	tfs_file_dev_close(&c->file);
	return err;
}

/* Only a volume at the end of its file can grow: its size is where the file ends. */
static int copy_grow(void *arg, u64 blocks)
{
	struct copy *c = arg;
	u64 size = c->file.dev.size + blocks * NANOS_BLOCK;
	off_t end = lseek(c->file.fd, 0, SEEK_END);

	if ((u64)end > c->before + c->file.dev.size)
		return -ENOSPC;
	if (ftruncate(c->file.fd, (off_t)(c->before + size)))
		return -errno;
	c->file.dev.size = size;
	return 0;
}

/* ---- the end ---- */

static void summary(struct fsck *f, const struct fsck_nanos *n, int code)
{
	u64 records = n->vol ? n->vol->records : 0;

	tfs_progress_end(&f->progress);
	if (f->stop_preen)
		tfs_cli_fail(0, f->image,
		             "unexpected inconsistency; run fsck.tfs without -a or -p; nothing was changed");
	if (f->quiet && !code)
		return;
	if (f->json) {
		printf("{\"image_exit\":%d,\"checked\":true,\"format\":\"nanos\",\"problems\":%u,\"repaired\":%u,"
		       "\"records\":%llu}\n",
		       code, f->found, f->fixed, (unsigned long long)records);
		return;
	}
	printf("%s: %s, Nanos volume, %llu records", f->image,
	       code & FSCK_LEFT    ? "has problems"
	       : code & FSCK_FIXED ? "repaired"
	                           : "sound",
	       (unsigned long long)records);
	printf(f->found ? "; %u problems, %u repaired\n" : "\n", f->found, f->fixed);
}

static int repair_failed(struct fsck *f, const struct fsck_nanos_options *o, int err)
{
	f->left = f->found;
	f->fixed = 0;
	if (err == -ENOSPC && !o->to)
		return tfs_cli_fail(
		    FSCK_LEFT | FSCK_FAILED, f->image,
		    "no free place of 512 KiB for a new log: repair a copy (--to FILE), which can grow");
	return tfs_cli_fail(FSCK_LEFT | FSCK_FAILED, f->image, "repair failed: %s; the old log is as it was",
	                    strerror(-err));
}

static int repair_to(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file,
                     const struct fsck_nanos_options *o)
{
	static struct copy c;
	int err;

	c.path = o->to;
	err = copy_open(&c, file);
	if (err) {
		f->left = f->found;
		f->fixed = 0;
		return FSCK_LEFT | FSCK_FAILED;
	}
	n->dev = &c.file.dev;
	n->vol->dev = n->dev;
	err = fsck_nanos_repair(n, copy_grow, &c);
	if (err)
		repair_failed(f, o, err);
	return copy_end(&c, err) ? FSCK_LEFT | FSCK_FAILED : 0;
}

static int repair_undo(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file,
                       const struct fsck_nanos_options *o)
{
	struct tfs_dev *undo;
	int err = fsck_nanos_undo_open(&file->dev, o->undo, &undo), code = 0;

	if (err) {
		f->left = f->found;
		f->fixed = 0;
		return tfs_cli_fail(FSCK_LEFT | FSCK_FAILED, o->undo, "expected a file that can be created: %s",
		                    strerror(-err));
	}
	n->dev = undo;
	n->vol->dev = undo;
	err = fsck_nanos_repair(n, NULL, NULL);
	if (err)
		code = repair_failed(f, o, err);
	n->vol->dev = NULL;
	if (fsck_nanos_undo_close(undo))
		code |= tfs_cli_fail(FSCK_FAILED, o->undo, "cannot be written to the end");
	return code;
}

static int repair(struct fsck_nanos *n, struct fsck *f, struct tfs_file_dev *file, const struct fsck_nanos_options *o)
{
	if (!f->fixed || f->mode == MODE_CHECK)
		return 0;
	if (f->stop_preen || f->log_kept || (!o->to && !o->undo)) {
		f->left = f->found;
		f->fixed = 0;
		if (!f->stop_preen && !f->log_kept)
			tfs_cli_fail(0, f->image,
			             "a repair needs --undo FILE, or --to FILE for a copy; nothing was changed");
		else if (f->log_kept)
			tfs_cli_fail(0, f->image, "a repair would give up the rest of the log; nothing was changed");
		return 0;
	}
	return o->to ? repair_to(n, f, file, o) : repair_undo(n, f, file, o);
}

int fsck_nanos_run(struct fsck *f, struct tfs_file_dev *file, const struct fsck_nanos_options *o)
{
	struct fsck_nanos n = {.f = f, .dev = &file->dev, .force = true, .log_at = o->log_at};
	int err, code = 0;

	if (o->restore)
		return fsck_nanos_undo_restore(o->restore, &file->dev) ? FSCK_FAILED : FSCK_FIXED;
	err = fsck_nanos_check(&n);
	if (err && err != -EUCLEAN)
		code = tfs_cli_fail(FSCK_FAILED, f->image, "%s", strerror(-err));
	else if (!err)
		code = repair(&n, f, file, o);
	code |= f->left ? FSCK_LEFT : f->fixed ? FSCK_FIXED : FSCK_OK;
	if (!(code & FSCK_FAILED) || n.vol)
		summary(f, &n, code);
	fsck_nanos_free(&n);
	return code;
}
