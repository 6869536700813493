// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Contents: reads and writes at every edge, vectors, O_APPEND, O_DIRECT, mappings, holes, copies between files, locks.
 */
#include "tests/posix/posix.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int open_rw(const char *path)
{
	return open(path, O_CREAT | O_RDWR, 0644);
}

static void edges(void)
{
	static char out[200000], in[200000];
	int fd = open_rw("x");

	OK(fd);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 251);
	for (off_t at = 4094; at <= 4098; at++)
		for (size_t len = 4094; len <= 4098; len++) {
			about("%zu bytes at %ld", len, (long)at);
			OK(ftruncate(fd, 0));
			IS(pwrite(fd, out, len, at) == (ssize_t)len);
			IS(pread(fd, in, sizeof(in), 0) == (ssize_t)(at + (off_t)len) && !memcmp(in + at, out, len) &&
			   !in[0] && !in[at - 1]);
		}
	about("%s", "");
	IS(pwrite(fd, out, sizeof(out), 65530) == sizeof(out));
	IS(pread(fd, in, sizeof(in), 65530) == sizeof(in) && !memcmp(in, out, sizeof(out)));
	IS(pread(fd, in, 10, look("x").st_size) == 0);
	IS(pread(fd, in, 10, look("x").st_size - 3) == 3);
	IS(pread(fd, in, 10, INT64_MAX - 10) == 0);
	ERR(EINVAL, (int)pread(fd, in, 10, -1));
	ERR(EINVAL, lseek(fd, -1, SEEK_SET) < 0 ? -1 : 0);
	IS(lseek(fd, 1 << 30, SEEK_SET) == 1 << 30 && look("x").st_size == 265530); /* seeking alone changes nothing */
	IS(!read(fd, in, 10));
	ERR(EFAULT, (int)pwrite(fd, nowhere, 10, 0));
	ERR(EFAULT, (int)pread(fd, nowhere, 10, 0));
	close(fd);
	OK(fd = open("x", O_RDONLY));
	ERR(EBADF, (int)write(fd, "x", 1));
	close(fd);
	OK(fd = open("x", O_WRONLY));
	ERR(EBADF, (int)read(fd, in, 1));
	close(fd);
	OK(fd = open(".", O_RDONLY));
	ERR(EISDIR, (int)read(fd, in, 1));
	close(fd);
}

static void vectors(void)
{
	char a[5] = "", b[5] = "";
	struct iovec out[2] = {{"abcd", 4}, {"efgh", 4}}, in[2] = {{a, 4}, {b, 4}},
	             bad[2] = {{"1234", 4}, {nowhere, 4}};
	int fd = open_rw("x");
	volatile int minus = -1;

	IS(writev(fd, out, 2) == 8 && pwritev(fd, out, 2, 100) == 8);
	IS(preadv(fd, in, 2, 0) == 8 && !strcmp(a, "abcd") && !strcmp(b, "efgh"));
	IS(preadv(fd, in, 2, 102) == 6 && !strcmp(a, "cdef"));
	ERR(EINVAL, (int)writev(fd, out, minus));
	ERR2(0, EFAULT, (int)pwritev(fd, bad, 2, 200)); /* a part may be written before the bad one */
	close(fd);
}

static void append(void)
{
	int a = open("x", O_CREAT | O_WRONLY | O_APPEND, 0644), b = open("x", O_WRONLY | O_APPEND);
	char got[20] = "";

	OK(a);
	OK(b);
	OK((int)write(a, "one", 3));
	OK((int)write(b, "two", 3));
	OK((int)lseek(a, 0, SEEK_SET));
	OK((int)write(a, "three", 5));
	OK((int)pwrite(b, "four", 4, 0)); /* Linux appends here too */
	close(a);
	close(b);
	OK(a = open("x", O_RDONLY));
	IS(read(a, got, 20) == 15 && !strcmp(got, "onetwothreefour"));
	close(a);
}

/* Appenders do not overwrite one another. */
static void appenders(void)
{
	enum { WRITERS = 4, LINES = 300 };
	char line[32];
	int fd, seen[WRITERS] = {0}, status;

	for (int w = 0; w < WRITERS; w++)
		if (!fork()) {
			fd = open("x", O_CREAT | O_WRONLY | O_APPEND, 0644);
			for (int i = 0; i < LINES; i++) {
				snprintf(line, sizeof(line), "%d %8u ....\n", w % 10, (unsigned)i % 10000);
				if (write(fd, line, 15) != 15)
					_exit(1);
			}
			_exit(0);
		}
	for (int w = 0; w < WRITERS; w++) {
		wait(&status);
		IS(!status);
	}
	OK(fd = open("x", O_RDONLY));
	while (read(fd, line, 15) == 15)
		if (line[0] >= '0' && line[0] < '0' + WRITERS && atoi(line + 2) == seen[line[0] - '0'])
			seen[line[0] - '0']++;
	for (int w = 0; w < WRITERS; w++)
		IS(seen[w] == LINES);
	close(fd);
}

static void direct(void)
{
	char *b = aligned_alloc(4096, 16384);
	int fd = open("x", O_CREAT | O_RDWR | O_DIRECT, 0644), plain;

	if (fd < 0) {
		ERR(EINVAL, fd);
		skip("O_DIRECT is not offered");
		free(b);
		return;
	}
	OK(plain = open("x", O_RDWR));
	memset(b, 'a', 16384);
	IS(write(fd, b, 16384) == 16384);
	IS(pread(plain, b, 4096, 8192) == 4096 && b[0] == 'a');
	memset(b, 'b', 4096);
	IS(pwrite(plain, b, 100, 4096) == 100); /* through the cache, then past it, and back */
	IS(pread(fd, b, 4096, 4096) == 4096 && b[0] == 'b' && b[99] == 'b' && b[100] == 'a');
	memset(b, 'c', 4096);
	IS(pwrite(fd, b, 4096, 4096) == 4096);
	IS(pread(plain, b + 4096, 10, 4096) == 10 && b[4096] == 'c');
	OK(ftruncate(plain, 5000));
	IS(pread(fd, b, 8192, 0) == 5000);
	close(fd);
	close(plain);
	free(b);
}

static void mapped(void)
{
	char b[20], *m, *n;
	int fd = open_rw("x"), other = open_rw("x");

	OK(ftruncate(fd, 10000));
	m = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	n = mmap(NULL, 10000, PROT_READ, MAP_SHARED, other, 0);
	IS(m != MAP_FAILED && n != MAP_FAILED);
	IS(!m[0] && !m[9999] && !m[10000] && !m[12287]);
	memcpy(m + 4090, "across pages", 12);
	IS(!memcmp(n + 4090, "across pages", 12));
	IS(pread(other, b, 12, 4090) == 12 && !memcmp(b, "across pages", 12));
	OK((int)pwrite(other, "ACROSS", 6, 4090));
	IS(!memcmp(m + 4090, "ACROSS pages", 12));
	m[10001] = 'x'; /* past the end: goes nowhere */
	OK(msync(m, 10000, MS_SYNC));
	OK(ftruncate(fd, 12000));
	differs(ON_TMPFS, "it is not cleared, which POSIX allows");
	IS(pread(fd, b, 10, 9999) == 10 && !b[2]);
	OK(ftruncate(fd, 5000));
	OK(ftruncate(fd, 10000));
	IS(!m[5000] && !m[9999] && m[4090] == 'A');
	close(fd); /* a mapping outlives its descriptor, and its name */
	OK(unlink("x"));
	m[1] = 'y';
	IS(n[1] == 'y' && pread(other, b, 2, 0) == 2 && b[1] == 'y');
	OK(munmap(m, 10000));
	OK(munmap(n, 10000));
	close(other);
	OK(fd = open_rw("p"));
	OK((int)write(fd, "private", 7));
	m = mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	m[0] = 'P';
	IS(pread(fd, b, 7, 0) == 7 && b[0] == 'p');
	OK(munmap(m, 7));
	close(fd);
}

/* Behind the last page of the file a mapping ends the process with SIGBUS. */
static void mapped_past_end(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		int fd = open_rw("x");
		volatile char *m;

		setenv("ASAN_OPTIONS", "handle_sigbus=0", 1);
		signal(SIGBUS, SIG_DFL);
		if (ftruncate(fd, 10000))
			_exit(1);
		m = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		m[9000] = 1;
		if (ftruncate(fd, 4096))
			_exit(1);
		m[4096] = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	IS(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void holes(void)
{
	int fd = open_rw("x");
	char b[10];

	OK((int)pwrite(fd, "data", 4, 1 << 20));
	OK(ftruncate(fd, 3 << 20));
	IS(look("x").st_blocks * 512 < 1 << 20);
	IS(lseek(fd, 0, SEEK_HOLE) == 0);
	IS(lseek(fd, 0, SEEK_DATA) <= 1 << 20 && lseek(fd, 0, SEEK_DATA) >= 0);
	IS(lseek(fd, 1 << 20, SEEK_DATA) == 1 << 20);
	IS(lseek(fd, 1 << 20, SEEK_HOLE) > 1 << 20 && lseek(fd, 1 << 20, SEEK_HOLE) <= 2 << 20);
	ERR(ENXIO, lseek(fd, 2 << 20, SEEK_DATA) < 0 ? -1 : 0);
	ERR(ENXIO, lseek(fd, 3 << 20, SEEK_HOLE) < 0 ? -1 : 0);
	ERR(ENXIO, lseek(fd, 3 << 20, SEEK_DATA) < 0 ? -1 : 0);
	ERR(ENXIO, lseek(fd, -1, SEEK_DATA) < 0 ? -1 : 0);
	ERR(EINVAL, lseek(fd, 0, 99) < 0 ? -1 : 0);
	IS(pread(fd, b, 10, 5000) == 10 && !b[0] && !b[9]);
	OK(ftruncate(fd, 0));
	OK((int)pwrite(fd, "data", 4, 0));
	IS(lseek(fd, 0, SEEK_DATA) == 0 && lseek(fd, 0, SEEK_HOLE) == 4); /* the end counts as a hole */
	close(fd);
}

static void copies(void)
{
	static char a[300000], b[300000];
	loff_t from = 5, to = 7;
	int in = open_rw("in"), out = open_rw("out"), err;
	ssize_t n;

	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = (char)(i % 255 + 1);
	IS(write(in, a, sizeof(a)) == sizeof(a));
	n = copy_file_range(in, &from, out, &to, 200000, 0);
	IS(n > 0 && n <= 200000 && from == 5 + n && to == 7 + n);
	IS(pread(out, b, sizeof(b), 0) == 7 + n && !b[6] && !memcmp(b + 7, a + 5, (size_t)n));
	from = sizeof(a) - 10;
	IS(copy_file_range(in, &from, out, NULL, 100, 0) == 10);
	IS(!copy_file_range(in, &from, out, NULL, 100, 0)); /* at the end */
	from = 0;
	to = 10;
	ERR(EINVAL, (int)copy_file_range(in, &from, in, &to, 100, 0)); /* onto itself */
	ERR(EINVAL, (int)copy_file_range(in, &from, out, &to, 100, 1));
	from = 0;
	OK(ftruncate(out, 0));
	IS(lseek(out, 0, SEEK_SET) == 0 && lseek(in, 0, SEEK_SET) == 0);
	for (n = 0; n < (ssize_t)sizeof(a);) {
		ssize_t k = sendfile(out, in, NULL, sizeof(a) - (size_t)n);

		if (k <= 0)
			break;
		n += k;
	}
	IS(n == sizeof(a) && pread(out, b, sizeof(b), 0) == sizeof(b) && !memcmp(a, b, sizeof(a)));
	err = ioctl(out, FICLONE, in);
	ERR2(0, EOPNOTSUPP, err); /* all or nothing, and told */
	IS(look("out").st_size == sizeof(a));
	close(in);
	close(out);
}

static void locks(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	int fd = open_rw("x"), other = open_rw("x"), status;

	OK(flock(fd, LOCK_EX | LOCK_NB));
	ERR(EWOULDBLOCK, flock(other, LOCK_SH | LOCK_NB));
	OK(flock(fd, LOCK_SH | LOCK_NB));
	OK(flock(other, LOCK_SH | LOCK_NB));
	OK(flock(fd, LOCK_UN));
	OK(fcntl(fd, F_SETLK, &l));
	if (!fork()) {
		struct flock m = l;
		int bad = !(fcntl(other, F_SETLK, &m) == -1 && (errno == EAGAIN || errno == EACCES));

		bad |= 2 * (fcntl(other, F_GETLK, &m) || m.l_type != F_WRLCK || m.l_pid != getppid());
		m = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
		bad |= 4 * (fcntl(other, F_SETLK, &m) != 0);
		_exit(bad);
	}
	wait(&status);
	IS(!status);
	l.l_pid = 0;
	OK(fcntl(fd, F_OFD_SETLK,
	         &(struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1}));
	ERR(EAGAIN, fcntl(other, F_OFD_SETLK,
	                  &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1}));
	close(fd);
	close(other);
}

static void synced(void)
{
	int fd = open("x", O_CREAT | O_RDWR | O_SYNC, 0644), dir = open(".", O_RDONLY | O_DIRECTORY);

	OK((int)write(fd, "text", 4));
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(fsync(dir));
	OK(fdatasync(dir));
	OK(syncfs(dir));
	OK(sync_file_range(fd, 0, 0, 7));
	close(fd);
	ERR(EBADF, fsync(fd));
	OK(fd = open("x", O_RDONLY));
	OK(fsync(fd));
	close(fd);
	OK(mkfifo("p", 0644));
	OK(fd = open("p", O_RDWR));
	ERR(EINVAL, fsync(fd));
	close(fd);
	close(dir);
}

const struct test data_tests[] = {{"edges", edges, false},
                                  {"vectors", vectors, false},
                                  {"append", append, false},
                                  {"appenders", appenders, false},
                                  {"direct", direct, false},
                                  {"mapped", mapped, false},
                                  {"mapped-past-end", mapped_past_end, false},
                                  {"holes", holes, false},
                                  {"copies", copies, false},
                                  {"locks", locks, false},
                                  {"synced", synced, false},
                                  TESTS_END};
