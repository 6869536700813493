// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Preloaded into tfs-backup by tests/backup/test_kill.sh: kill -9 just before call number DIE_AT of those that change
 * a file or folder. DIE_COUNT names a file that gets the number of such calls when the program ends by itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long calls;

static void count(void)
{
	const char *at = getenv("DIE_AT");

	if (at && ++calls == atol(at))
		kill(getpid(), SIGKILL);
	if (!at)
		calls++;
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("DIE_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (f && (fprintf(f, "%ld\n", calls) < 0 || fclose(f)))
		_exit(98);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	count();
	return REAL(pwrite)(fd, buf, bytes, at);
}

ssize_t write(int fd, const void *buf, size_t bytes)
{
	if (fd > 2)
		count();
	return REAL(write)(fd, buf, bytes);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	count();
	return REAL(renameat2)(a, from, b, to, flags);
}

int renameat(int a, const char *from, int b, const char *to)
{
	count();
	return REAL(renameat)(a, from, b, to);
}

int rename(const char *from, const char *to)
{
	count();
	return REAL(rename)(from, to);
}

int unlinkat(int fd, const char *name, int flags)
{
	count();
	return REAL(unlinkat)(fd, name, flags);
}

int mkdirat(int fd, const char *name, mode_t mode)
{
	count();
	return REAL(mkdirat)(fd, name, mode);
}
