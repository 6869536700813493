// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Extraction: contents, modes, owners (as root), nanosecond times, xattrs, hard links, symlinks, devices and holes. Works
 * only by open directory handles and single names, follows no symlink, and never leaves the target: the verifier refuses
 * names with a slash, and ".." is none. A file has a temporary name until it is whole.
 */
#define _GNU_SOURCE
#include "fsck/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TEMPORARY ".dump.tfs.partial"

struct extract {
	struct tfs_vol *vol;
	int fd; /* of the directory being filled */
	int err;
	u32 depth;
};

struct done { /* first names of inodes with several */
	struct done *next;
	u64 ino;
	int dirfd; /* kept open */
	char name[256];
};
static struct done *done[1024];

static struct timespec host_time(const struct tfs_time *t)
{
	return (struct timespec){ (time_t)tfs_le64(t->sec), (long)tfs_le32(t->nsec) };
}

static int failed(const char *name)
{
	return dump_fail(3, name, strerror(errno));
}

static int xattrs_restore(struct tfs_vol *vol, u64 ino, int fd, const char *name)
{
	static char names[65536], value[65536], path[64];
	int n = tfs_listxattr(vol, ino, names, sizeof(names)), len;
	char *p;

	if (n < 0)
		return dump_fail(2, name, "xattrs cannot be read");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (p = names; p < names + n; p += strlen(p) + 1) {
		len = tfs_getxattr(vol, ino, p, (u32)strlen(p), value, sizeof(value));
		if (len < 0)
			return dump_fail(2, name, "xattr cannot be read");
		if (setxattr(path, p, value, (size_t)len, 0) && geteuid() == 0)
			return failed(name);
	}
	return 0;
}

static int attrs_restore(int dirfd, const char *name, const struct tfs_attr *a)
{
	struct timespec t[2] = { host_time(&a->atime), host_time(&a->mtime) };

	if (geteuid() == 0 && fchownat(dirfd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW))
		return failed(name);
	if ((a->mode & 0170000) != 0120000 && fchmodat(dirfd, name, a->mode & 07777, 0))
		return failed(name);
	return utimensat(dirfd, name, t, AT_SYMLINK_NOFOLLOW) ? failed(name) : 0;
}

static int content_restore(struct tfs_vol *vol, const struct tfs_attr *a, int fd, const char *name)
{
	static u8 buf[65536];
	s64 at = 0, n, hole;

	while (at < (s64)a->size) {
		s64 data = tfs_seek(vol, a->ino, (u64)at, false);

		if (data == -ENXIO)
			break;
		if (data < 0)
			return dump_fail(2, name, "content cannot be read");
		at = data;
		hole = tfs_seek(vol, a->ino, (u64)at, true);
		if (hole <= at)
			return dump_fail(2, name, "content cannot be read");
		n = 65536 - at % 65536;
		n = tfs_read(vol, a->ino, (u64)at, buf, (u32)(hole - at < n ? hole - at : n));
		if (n <= 0)
			return dump_fail(2, name, "content cannot be read; nothing was left under this name");
		if (pwrite(fd, buf, (size_t)n, at) != (ssize_t)n)
			return failed(name);
		at += n;
	}
	return ftruncate(fd, (off_t)a->size) ? failed(name) : 0;
}

static int file_restore(struct extract *x, const struct tfs_attr *a, const char *name)
{
	int fd = openat(x->fd, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return failed(name);
	err = content_restore(x->vol, a, fd, name);
	if (!err)
		err = xattrs_restore(x->vol, a->ino, fd, name);
	if (close(fd) && !err)
		err = failed(name);
	if (!err)
		err = attrs_restore(x->fd, TEMPORARY, a);
	if (!err && renameat(x->fd, TEMPORARY, x->fd, name))
		err = failed(name);
	if (err)
		unlinkat(x->fd, TEMPORARY, 0);
	return err;
}

static int special_restore(struct extract *x, const struct tfs_attr *a, const char *name)
{
	char target[4096];
	int n;

	if ((a->mode & 0170000) == 0120000) {
		n = tfs_readlink(x->vol, a->ino, target, sizeof(target) - 1);
		if (n < 0)
			return dump_fail(2, name, "target cannot be read");
		target[n] = 0;
		if (symlinkat(target, x->fd, name))
			return failed(name);
	} else if (mknodat(x->fd, name, a->mode, makedev(a->rdev_major, a->rdev_minor))) {
		return failed(name);
	}
	return attrs_restore(x->fd, name, a);
}

static int dir_restore(struct tfs_vol *vol, u64 ino, int fd, u32 depth, const char *name);

static int subdir_restore(struct extract *x, const struct tfs_attr *a, const char *name)
{
	int fd, err;

	if (mkdirat(x->fd, name, 0700) && errno != EEXIST)
		return failed(name);
	fd = openat(x->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(name);
	err = dir_restore(x->vol, a->ino, fd, x->depth + 1, name);
	if (!err)
		err = xattrs_restore(x->vol, a->ino, fd, name);
	close(fd);
	return err ? err : attrs_restore(x->fd, name, a);
}

/* 1: was linked to its first name; 0: is the first. */
static int link_restore(struct extract *x, u64 ino, const char *name, int *err)
{
	struct done *d = done[ino % 1024];

	while (d && d->ino != ino)
		d = d->next;
	if (d) {
		*err = linkat(d->dirfd, d->name, x->fd, name, 0) ? failed(name) : 0;
		return 1;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		*err = dump_fail(3, name, "out of memory");
		return 1;
	}
	d->ino = ino;
	d->dirfd = fcntl(x->fd, F_DUPFD_CLOEXEC, 0);
	if (d->dirfd < 0)
		*err = failed(name);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->next = done[ino % 1024];
	done[ino % 1024] = d;
	return *err != 0;
}

static int entry_restore(void *arg, const char *bytes, u32 len, u64 ino, u8 type, u64 next)
{
	struct extract *x = arg;
	struct tfs_attr a;
	char name[256];

	(void)next, (void)type;
	memcpy(name, bytes, len);
	name[len] = 0;
	x->err = tfs_getattr(x->vol, ino, &a);
	if (x->err)
		return x->err = dump_fail(2, name, "inode cannot be read");
	if (a.nlink > 1 && (a.mode & 0170000) != 0040000 && link_restore(x, ino, name, &x->err))
		return x->err;
	if ((a.mode & 0170000) == 0100000)
		x->err = file_restore(x, &a, name);
	else if ((a.mode & 0170000) == 0040000)
		x->err = subdir_restore(x, &a, name);
	else
		x->err = special_restore(x, &a, name);
	return x->err;
}

static int dir_restore(struct tfs_vol *vol, u64 ino, int fd, u32 depth, const char *name)
{
	struct extract x = { vol, fd, 0, depth };
	u64 pos = 0;
	int err;

	if (depth > 512)
		return dump_fail(2, name, "directories nest deeper than 512; a cycle?");
	err = tfs_readdir(vol, ino, &pos, entry_restore, &x);
	return x.err ? x.err : err ? dump_fail(2, name, "directory cannot be read") : 0;
}

int dump_extract(struct tfs_vol *vol, const char *dir)
{
	struct tfs_attr a;
	int fd, err;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return failed(dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(dir);
	err = dir_restore(vol, TFS_INO_ROOT, fd, 0, dir);
	if (!err)
		err = xattrs_restore(vol, TFS_INO_ROOT, fd, dir);
	close(fd);
	if (!err && !tfs_getattr(vol, TFS_INO_ROOT, &a))
		err = attrs_restore(AT_FDCWD, dir, &a);
	return err;
}
