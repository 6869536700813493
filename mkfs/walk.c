// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Filling a new volume from a directory: names in byte order, so that the order on the source's disk does not matter; modes,
 * owners, nanosecond times, xattrs, hard links, symlinks, devices and holes. Content is read once, forward. A file
 * that changes while it is read is an error that names it.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WINDOW 65536

struct link_seen { /* inodes with several names, by device and number */
	struct link_seen *next;
	dev_t dev;
	ino_t from;
	u64 ino;
};
static struct link_seen *seen[4096];

static struct link_seen **seen_at(const struct stat *st)
{
	struct link_seen **p = &seen[(st->st_ino ^ st->st_dev) % 4096];

	while (*p && ((*p)->dev != st->st_dev || (*p)->from != st->st_ino))
		p = &(*p)->next;
	return p;
}

static struct tfs_time disk_time(const struct timespec *t)
{
	return (struct tfs_time){ tfs_cpu64((u64)t->tv_sec), tfs_cpu32((u32)t->tv_nsec), 0 };
}

static int attrs_set(struct mkfs *m, const char *path, u64 ino, const struct stat *st)
{
	struct tfs_attr a = { .mode = st->st_mode & 07777, .uid = m->all_root ? 0 : st->st_uid,
			      .gid = m->all_root ? 0 : st->st_gid };
	int err;

	a.atime = a.mtime = a.ctime = a.btime = disk_time(&st->st_mtim);
	err = tfs_setattr(m->vol, ino,
			  TFS_SET_MODE | TFS_SET_UID | TFS_SET_GID | TFS_SET_ATIME | TFS_SET_MTIME | TFS_SET_CTIME |
				  TFS_SET_BTIME,
			  &a);
	return err ? mkfs_failed(path, err) : 0;
}

static int xattrs_copy(struct mkfs *m, const char *path, u64 ino)
{
	static char names[65536], value[65536];
	ssize_t n = llistxattr(path, names, sizeof(names)), len;
	char *p;
	int err = 0;

	if (n < 0)
		return errno == ENOTSUP ? 0 : mkfs_fail(MKFS_SOURCE, path, strerror(errno));
	for (p = names; !err && p < names + n; p += strlen(p) + 1) {
		len = lgetxattr(path, p, value, sizeof(value));
		if (len < 0)
			return mkfs_fail(MKFS_SOURCE, path, strerror(errno));
		err = tfs_setxattr(m->vol, ino, p, (u32)strlen(p), value, (u32)len, 0);
	}
	return err ? mkfs_failed(path, err) : 0;
}

static int window_write(struct mkfs *m, const char *path, u64 ino, u64 at, u8 *data, u32 n, u64 size)
{
	static u8 scratch[WINDOW];
	struct tfs_encoded e;
	u32 blocks = (n + 4095) / 4096;
	int err;

	memset(data + n, 0, blocks * 4096 - n);
	tfs_encode(size <= TFS_INLINE_MAX ? TFS_CODEC_NONE : m->codec, m->level, data, blocks, scratch, &e);
	err = tfs_write(m->vol, ino, at / 4096, &e, at + n, NULL);
	return err ? mkfs_failed(path, err) : 0;
}

/* One stretch of data, from a window's start on. */
static int data_copy(struct mkfs *m, const char *path, int fd, u64 ino, u64 at, u64 end, u64 size)
{
	static u8 data[WINDOW];
	int err;

	while (at < end) {
		u32 want = (u32)(WINDOW - at % WINDOW), got = 0;

		if (want > end - at)
			want = (u32)(end - at);
		while (got < want) {
			ssize_t n = pread(fd, data + got, want - got, (off_t)(at + got));

			if (n <= 0)
				return mkfs_fail(MKFS_SOURCE, path, n ? strerror(errno) : "became shorter while it was read");
			got += (u32)n;
		}
		err = window_write(m, path, ino, at, data, got, size);
		if (err)
			return err;
		at += got;
	}
	m->bytes += size;
	return 0;
}

static int content_copy(struct mkfs *m, const char *path, int fd, u64 ino, u64 size)
{
	u64 at = 0;
	int err = 0;

	while (!err && at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? (off_t)size : lseek(fd, data, SEEK_HOLE);
		data = data < 0 ? (off_t)at : data & ~4095;
		if (hole < 0 || (u64)hole > size)
			hole = (off_t)size;
		err = data_copy(m, path, fd, ino, (u64)data, (u64)hole, size);
		at = (u64)hole;
	}
	if (!err && size && (err = tfs_truncate(m->vol, ino, size)))
		return mkfs_failed(path, err); /* a hole at the end */
	return err;
}

static int file_copy(struct mkfs *m, const char *path, u64 ino, const struct stat *st)
{
	struct stat after;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0)
		return mkfs_fail(MKFS_SOURCE, path, strerror(errno));
	err = content_copy(m, path, fd, ino, (u64)st->st_size);
	if (!err && (fstat(fd, &after) || after.st_size != st->st_size || after.st_mtim.tv_sec != st->st_mtim.tv_sec ||
		     after.st_mtim.tv_nsec != st->st_mtim.tv_nsec))
		err = mkfs_fail(MKFS_SOURCE, path, "changed while it was read; take a snapshot or stop its writers");
	close(fd);
	return err;
}

static int dir_copy(struct mkfs *m, const char *path, u64 ino);

static int node_copy(struct mkfs *m, u64 parent, const char *path, const char *name)
{
	struct tfs_create c = { 0 };
	struct link_seen **link;
	char target[4096];
	struct stat st;
	ssize_t n;
	u64 ino;
	int err;

	if (lstat(path, &st))
		return mkfs_fail(MKFS_SOURCE, path, strerror(errno));
	link = seen_at(&st);
	if (*link && !S_ISDIR(st.st_mode)) {
		err = tfs_link(m->vol, (*link)->ino, parent, name, (u32)strlen(name));
		return err ? mkfs_failed(path, err) : attrs_set(m, path, (*link)->ino, &st);
	}
	c.mode = st.st_mode;
	c.rdev_major = major(st.st_rdev);
	c.rdev_minor = minor(st.st_rdev);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target));
		if (n < 0)
			return mkfs_fail(MKFS_SOURCE, path, strerror(errno));
		c.target = target;
		c.target_len = (u32)n;
	}
	err = tfs_create(m->vol, parent, name, (u32)strlen(name), &c, &ino);
	if (err)
		return mkfs_failed(path, err);
	m->files++;
	if (st.st_nlink > 1 && !S_ISDIR(st.st_mode)) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return mkfs_fail(MKFS_DEVICE, path, "out of memory");
		**link = (struct link_seen){ NULL, st.st_dev, st.st_ino, ino };
	}
	err = S_ISREG(st.st_mode) ? file_copy(m, path, ino, &st) : S_ISDIR(st.st_mode) ? dir_copy(m, path, ino) : 0;
	if (!err)
		err = xattrs_copy(m, path, ino);
	return err ? err : attrs_set(m, path, ino, &st);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

static int dir_copy(struct mkfs *m, const char *path, u64 ino)
{
	struct dirent **list;
	int n = scandir(path, &list, not_dots, by_bytes), i, err = 0;

	if (n < 0)
		return mkfs_fail(MKFS_SOURCE, path, strerror(errno));
	for (i = 0; i < n; i++) {
		char *child = NULL;

		if (!err && asprintf(&child, "%s/%s", path, list[i]->d_name) < 0)
			err = mkfs_fail(MKFS_DEVICE, path, "out of memory");
		if (!err)
			err = node_copy(m, ino, child, list[i]->d_name);
		free(child);
		free(list[i]);
	}
	free(list);
	return err;
}

int mkfs_walk(struct mkfs *m, const char *dir)
{
	struct stat st;
	int err;

	if (stat(dir, &st))
		return mkfs_fail(MKFS_SOURCE, dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return mkfs_fail(MKFS_SOURCE, dir, "is not a directory");
	err = dir_copy(m, dir, TFS_INO_ROOT);
	if (!err)
		err = xattrs_copy(m, dir, TFS_INO_ROOT);
	return err ? err : attrs_set(m, dir, TFS_INO_ROOT, &st);
}

int mkfs_estimate(const char *dir, u64 *bytes)
{
	struct dirent **list;
	int n = scandir(dir, &list, not_dots, by_bytes), i, err = 0;

	if (n < 0)
		return mkfs_fail(MKFS_SOURCE, dir, strerror(errno));
	for (i = 0; i < n; i++) {
		struct stat st;
		char *child = NULL;

		if (!err && asprintf(&child, "%s/%s", dir, list[i]->d_name) < 0)
			err = mkfs_fail(MKFS_DEVICE, dir, "out of memory");
		if (!err && lstat(child, &st))
			err = mkfs_fail(MKFS_SOURCE, child, strerror(errno));
		if (!err) {
			*bytes += 2048 + ((u64)st.st_blocks * 512 > (u64)st.st_size ? (u64)st.st_blocks * 512 :
					  S_ISREG(st.st_mode) ? (u64)st.st_size : 0);
			if (S_ISDIR(st.st_mode))
				err = mkfs_estimate(child, bytes);
		}
		free(child);
		free(list[i]);
	}
	free(list);
	return err;
}
