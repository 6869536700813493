// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Preloaded into fsck.tfs by tests/fsck/stop.sh and others: the power fails at step number STOP_AT, a write or a flush
 * that is not done any more. With STOP_KEEP=0 all writes since the last flush of their file are lost then, with -2 all but
 * the newest, as on a device that took them in another order, with another number each is lost or kept by chance of that
 * seed; without it all reached the device. With STOP_FAIL=1 just that step fails, with EIO. Exit 99 tells that it came
 * so far.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct write {
	int fd;
	off_t at;
	size_t bytes;
	void *old;
} * list;
static size_t writes, count;

typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off_t);

static long number(const char *name)
{
	const char *v = getenv(name);

	return v ? atol(v) : -1;
}

/* Newest first, so that a place written twice ends as it was at the flush. */
static void power_fails(pwrite_fn real)
{
	long keep = number("STOP_KEEP");
	unsigned long x = (unsigned long)keep;

	if (keep == -2 && writes) {
		writes--;
		keep = 0;
	}
	while (keep >= 0 && writes--) {
		const struct write *w = &list[writes];

		x = x * 6364136223846793005ul + (unsigned long)(keep != 0);
		if (keep && x >> 63)
			continue;
		if (real(w->fd, w->old, w->bytes, w->at) < 0)
			_exit(98);
	}
	_exit(99);
}

static void note(int fd, size_t bytes, off_t at)
{
	struct write *w;
	ssize_t n;

	list = realloc(list, (writes + 1) * sizeof(*list));
	w = list ? &list[writes++] : NULL;
	if (!w)
		_exit(98);
	*w = (struct write){fd, at, bytes, malloc(bytes)};
	n = w->old ? pread(fd, w->old, bytes, at) : -1;
	if (n < 0)
		_exit(98);
	w->bytes = (size_t)n; /* an undo file grows: what lay behind its end is not taken back */
}

static pwrite_fn real_pwrite(void)
{
	pwrite_fn real;
	void *sym = dlsym(RTLD_NEXT, "pwrite");

	memcpy(&real, &sym, sizeof(real));
	return real;
}

/* Is it this step that is not done? */
static bool stops(void)
{
	if ((long)++count != number("STOP_AT"))
		return false;
	if (number("STOP_FAIL") != 1)
		power_fails(real_pwrite());
	errno = EIO;
	return true;
}

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	if (stops())
		return -1;
	note(fd, bytes, at);
	return real_pwrite()(fd, buf, bytes, at);
}

/* What was written to other files stays at the mercy of the power. */
static int flush(int fd)
{
	size_t kept = 0;

	if (stops())
		return -1;
	for (size_t i = 0; i < writes; i++) {
		if (list[i].fd == fd)
			free(list[i].old);
		else
			list[kept++] = list[i];
	}
	writes = kept;
	return 0;
}

int fdatasync(int fd)
{
	return flush(fd);
}

int fsync(int fd)
{
	return flush(fd);
}
