// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Preloaded into tfs-backup by its tests. DIE_AT=N: kill -9 just before call number N of those that change a file or
 * folder. DIE_COUNT names a file that gets the number of such calls when the program ends by itself. STOP_AT=PREFIX:
 * SIGSTOP just before the first object whose name begins so gets its name in the store (STOP_AT=pwrite: before the first
 * of those, into a volume or temporary file); whoever waits for that sees state T in /proc, does what is to happen
 * meanwhile, and sends SIGCONT: so no test of what two programs do needs to be quick. STOP_READ=PREFIX: the same before the
 * first such object is read. SLEPT=SECONDS: so long it was
 * stopped, by the clock of a directory that is a store.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long calls;
static int stopped;

static void count(void)
{
	const char *at = getenv("DIE_AT");

	if (at && ++calls == atol(at))
		kill(getpid(), SIGKILL);
	if (!at)
		calls++;
}

static void stop_by(const char *variable, const char *name)
{
	const char *at = getenv(variable);

	if (!at || stopped || strncmp(name, at, strlen(at)))
		return;
	stopped = 1;
	raise(SIGSTOP);
}

static void stop(const char *name)
{
	stop_by("STOP_AT", name);
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("DIE_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (f && (fprintf(f, "%ld\n", calls) < 0 || fclose(f)))
		_exit(98);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* How a directory tells the time: store_dir.c. */
int futimens(int fd, const struct timespec times[2])
{
	const char *slept = getenv("SLEPT");
	struct timespec late[2];

	if (times || !stopped || !slept)
		return REAL(futimens)(fd, times);
	clock_gettime(CLOCK_REALTIME, &late[0]);
	late[0].tv_sec += atol(slept);
	late[1] = late[0];
	return REAL(futimens)(fd, late);
}

int openat(int fd, const char *name, int flags, ...)
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!(flags & (O_CREAT | O_DIRECTORY)))
		stop_by("STOP_READ", name);
	return REAL(openat)(fd, name, flags, mode);
}

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	count();
	stop("pwrite");
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
	stop(to);
	return REAL(renameat2)(a, from, b, to, flags);
}

int renameat(int a, const char *from, int b, const char *to)
{
	count();
	stop(to);
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
