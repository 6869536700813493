// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An image file that was not there before: it has no name until it is whole and on the disk. Where the filesystem can
 * (O_TMPFILE), it has none at all, and whatever ends the run leaves nothing. Elsewhere it is called
 * ".NAME.mkfs.tfs.RANDOM" beside its place; an error or a signal removes that, and after kill -9 it may stay, which no
 * later run minds. The final name is never taken from a file that appeared meanwhile. Called by target.c.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

/* What a signal removes. Set before the file is made, so that none is missed. */
static struct mkfs_newfile *doomed;

static void on_signal(int sig)
{
	if (doomed)
		unlinkat(doomed->dir, doomed->temporary, 0);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void signals_catch(void)
{
	static const int list[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGXCPU};
	struct sigaction a = {.sa_handler = on_signal}, old;

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (!sigaction(list[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(list[i], &a, NULL);
}

/* Without /proc a file without a name could never get one. */
static int open_nameless(struct mkfs_newfile *n)
{
	int fd = openat(n->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	snprintf(n->proc, sizeof(n->proc), "/proc/self/fd/%d", fd);
	if (!faccessat(AT_FDCWD, n->proc, F_OK, 0))
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

static int open_named(struct mkfs_newfile *n)
{
	u32 random = 0, tries;
	int fd = -1;

	signals_catch();
	for (tries = 0; fd < 0 && tries < 100; tries++) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -errno;
		/* a name has 255 bytes */
		snprintf(n->temporary, sizeof(n->temporary), ".%.220s.mkfs.tfs.%08x", n->name, random);
		doomed = n;
		fd = openat(n->dir, n->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		doomed = NULL;
		if (errno != EEXIST)
			break;
	}
	*n->temporary = 0;
	return -errno;
}

static int dir_open(struct mkfs_newfile *n, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	n->name = slash ? slash + 1 : path;
	n->dir = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(dir);
	return n->dir < 0 ? -errno : 0;
}

int mkfs_newfile_open(struct mkfs_newfile *n, const char *path)
{
	int fd = dir_open(n, path);

	if (fd)
		return fd;
	fd = *n->name ? open_nameless(n) : -EISDIR;
	if (*n->name && (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)) {
		*n->proc = 0;
		fd = open_named(n);
	}
	if (fd < 0)
		close(n->dir);
	return fd;
}

int mkfs_newfile_name(struct mkfs_newfile *n)
{
	int err = 0;

	if (*n->proc)
		err = linkat(AT_FDCWD, n->proc, n->dir, n->name, AT_SYMLINK_FOLLOW);
	else if (renameat2(n->dir, n->temporary, n->dir, n->name, RENAME_NOREPLACE))
		err = errno == EINVAL ? linkat(n->dir, n->temporary, n->dir, n->name, 0) : -1;
	if (!err && fsync(n->dir) && errno != EINVAL) /* EINVAL: directories cannot be synced there */
		err = -1;
	return err ? -errno : 0;
}

void mkfs_newfile_end(struct mkfs_newfile *n)
{
	if (*n->temporary)
		unlinkat(n->dir, n->temporary, 0); /* of no matter when it was renamed */
	doomed = NULL;
	close(n->dir);
}
