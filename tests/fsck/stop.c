// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Preloaded into fsck.tfs by tests/fsck/stop.sh: the power fails at write number STOP_AT. With STOP_KEEP=0 all writes
 * since the last flush of their file are lost then, with another number each is lost or kept by chance of that seed;
 * without it all reached the device. With STOP_FAIL=1 just that write fails, with EIO. Exit 99 tells that it came so far.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
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

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	pwrite_fn real;
	void *sym = dlsym(RTLD_NEXT, "pwrite");

	memcpy(&real, &sym, sizeof(real));
	if ((long)++count == number("STOP_AT")) {
		if (number("STOP_FAIL") != 1)
			power_fails(real);
		errno = EIO;
		return -1;
	}
	note(fd, bytes, at);
	return real(fd, buf, bytes, at);
}

/* What was written to other files stays at the mercy of the power. */
int fdatasync(int fd)
{
	size_t kept = 0;

	for (size_t i = 0; i < writes; i++) {
		if (list[i].fd == fd)
			free(list[i].old);
		else
			list[kept++] = list[i];
	}
	writes = kept;
	return 0;
}
