// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Devices and environment of user-space programs: whole reads and writes with pread and pwrite, fdatasync as flush, a
 * lock on the file so that two tools never write one image. Called by the tools.
 */
#include "tfs/user/file_dev.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int whole_io(int fd, enum tfs_io_op op, u64 at, u8 *buf, size_t bytes)
{
	while (bytes) {
		ssize_t n = op == TFS_IO_READ ? pread(fd, buf, bytes, (off_t)at) : pwrite(fd, buf, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += (u64)n;
		buf += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int file_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct tfs_file_dev *d = (struct tfs_file_dev *)dev;
	int err;

	if (offset + bytes > dev->size)
		return -EIO;
	err = whole_io(d->fd, op, d->offset + offset, buf, bytes);
	if (!err && flags & TFS_IO_FUA && fdatasync(d->fd))
		err = -errno;
	return err;
}

static int file_flush(struct tfs_dev *dev)
{
	return fdatasync(((struct tfs_file_dev *)dev)->fd) ? -errno : 0;
}

static int file_resized(struct tfs_dev *dev)
{
	struct tfs_file_dev *d = (struct tfs_file_dev *)dev;
	struct stat st;
	u64 size;

	if (fstat(d->fd, &st))
		return -errno;
	size = (u64)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(d->fd, BLKGETSIZE64, &size))
		return -errno;
	d->dev.size = size > d->offset ? size - d->offset : 0;
	return 0;
}

static int file_prepare(struct tfs_file_dev *d, bool write, u64 size)
{
	struct stat st;

	if (fstat(d->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	if (flock(d->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (size && S_ISREG(st.st_mode) && (ftruncate(d->fd, 0) || ftruncate(d->fd, (off_t)size)))
		return -errno;
	return file_resized(&d->dev);
}

/* A block device that is mounted, or otherwise held, is busy for writers. */
static int exclusive(const char *path, bool write)
{
	struct stat st;

	return write && !stat(path, &st) && S_ISBLK(st.st_mode) ? O_EXCL : 0;
}

int tfs_file_dev_take(struct tfs_file_dev *d, int fd, u64 offset, bool write, u64 size)
{
	static const struct tfs_dev_ops ops = {file_io, file_flush, NULL};
	int err;

	memset(d, 0, sizeof(*d));
	d->dev.ops = &ops;
	d->dev.resized = file_resized;
	d->dev.read_only = !write;
	d->offset = offset;
	d->fd = fd;
	err = file_prepare(d, write, size);
	if (err)
		close(fd);
	return err;
}

int tfs_file_dev_open(struct tfs_file_dev *d, const char *path, u64 offset, bool write, u64 size)
{
	int flags = (write ? O_RDWR : O_RDONLY) | (size ? O_CREAT : 0) | exclusive(path, write);
	char loop[64];
	int fd;

	if (write && !size && tfs_looped(path, loop, sizeof(loop)))
		return -EBUSY;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0666); /* a pipe would wait for its other end */
	return fd < 0 ? -errno : tfs_file_dev_take(d, fd, offset, write, size);
}

int tfs_file_dev_close(struct tfs_file_dev *d)
{
	return close(d->fd) ? -errno : 0;
}

const char *tfs_file_dev_error(int err)
{
	return err == -EBUSY     ? "is in use: mounted, attached to a loop device, or held by another tool"
	       : err == -ENOTBLK ? "expected a regular file or a block device"
	                         : strerror(-err);
}

/* ---- environment ---- */

static struct tfs_time real_now(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct tfs_time){tfs_cpu64((u64)t.tv_sec), tfs_cpu32((u32)t.tv_nsec), 0};
}

static u64 real_random(void *ctx)
{
	u64 v = 0;

	(void)ctx;
	while (getrandom(&v, sizeof(v), 0) != sizeof(v))
		;
	return v;
}

struct tfs_env tfs_user_env(void)
{
	return (struct tfs_env){.now = real_now, .random = real_random};
}

static struct tfs_time fixed_time;
static u64 fixed_seed;

static struct tfs_time fixed_now(void *ctx)
{
	(void)ctx;
	return fixed_time;
}

static u64 fixed_random(void *ctx)
{
	(void)ctx;
	fixed_seed = fixed_seed * 6364136223846793005ull + 1442695040888963407ull;
	return fixed_seed;
}

struct tfs_env tfs_fixed_env(const struct tfs_time *now, u64 seed)
{
	fixed_time = *now;
	fixed_seed = seed;
	return (struct tfs_env){.now = fixed_now, .random = fixed_random};
}
