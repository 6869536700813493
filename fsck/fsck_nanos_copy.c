// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsck.tfs --to of a Nanos volume: the copy. It is made whole, partitions and all, before anything in it is changed, and
 * has its name only when it is done; what is a hole or zeros in the image is a hole in it. Called by fsck_nanos_main.c.
 */
#define _GNU_SOURCE
#include "fsck/fsck_nanos.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool all_zero(const u8 *p, size_t n)
{
	return !n || (!*p && !memcmp(p, p + 1, n - 1));
}

/* Where data is, at or behind a place; a device does not say. */
static u64 data_from(int fd, u64 at, u64 size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	return data >= (off_t)at ? (u64)data : errno == ENXIO ? size : at;
}

static int copy_bytes(int from, int to, u64 size, struct tfs_progress *progress)
{
	static u8 buf[1 << 20];

	for (u64 at = data_from(from, 0, size), last = 0; at < size; at = data_from(from, at, size)) {
		ssize_t n = pread(from, buf, sizeof(buf), (off_t)at);

		tfs_progress_add(progress, (at >> 20) - (last >> 20));
		last = at;
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

int fsck_nanos_copy_open(struct fsck_nanos_copy *c, const struct tfs_file_dev *image, struct tfs_progress *progress)
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
	tfs_progress_pass(progress, "copy, MiB", size >> 20);
	err = copy_bytes(image->fd, fd, size, progress);
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

int fsck_nanos_copy_end(struct fsck_nanos_copy *c, int err)
{
	if (!err && (fsync(c->file.fd) || fchmod(c->file.fd, 0644) || link(c->temporary, c->path)))
		err = tfs_cli_fail(-errno, c->path, "cannot be finished: %s", strerror(errno));
	unlink(c->temporary);
	tfs_file_dev_close(&c->file);
	return err;
}

/* Only a volume at the end of its file can grow: its size is where the file ends. */
int fsck_nanos_copy_grow(void *arg, u64 blocks)
{
	struct fsck_nanos_copy *c = arg;
	u64 size = c->file.dev.size + blocks * NANOS_BLOCK;
	off_t end = lseek(c->file.fd, 0, SEEK_END);

	if ((u64)end > c->before + c->file.dev.size)
		return -ENOSPC;
	if (ftruncate(c->file.fd, (off_t)(c->before + size)))
		return -errno;
	c->file.dev.size = size;
	return 0;
}
