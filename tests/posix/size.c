// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sizes: truncate, ftruncate, fallocate and what bounds them. truncate(2), fallocate(2), setrlimit(2).
 */
#include "tests/posix/posix.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int open_rw(const char *path)
{
	return open(path, O_CREAT | O_RDWR, 0644);
}

/* Bytes [from, to) of the file are all c. */
static bool all(int fd, off_t from, off_t to, char c)
{
	char b[4096];

	while (from < to) {
		size_t n = to - from > (off_t)sizeof(b) ? sizeof(b) : (size_t)(to - from);

		if (pread(fd, b, n, from) != (ssize_t)n)
			return false;
		for (size_t i = 0; i < n; i++)
			if (b[i] != c)
				return false;
		from += (off_t)n;
	}
	return true;
}

static int fill(int fd, off_t from, off_t to, char c)
{
	char b[4096];

	memset(b, c, sizeof(b));
	while (from < to) {
		size_t n = to - from > (off_t)sizeof(b) ? sizeof(b) : (size_t)(to - from);

		if (pwrite(fd, b, n, from) != (ssize_t)n)
			return -1;
		from += (off_t)n;
	}
	return 0;
}

static void shrink_and_grow(void)
{
	int fd = open_rw("x");

	OK(fd);
	OK(fill(fd, 0, 12345, 'a'));
	OK(truncate("x", 23456));
	IS(look("x").st_size == 23456 && all(fd, 0, 12345, 'a') && all(fd, 12345, 23456, 0));
	OK(truncate("x", 100));
	OK(ftruncate(fd, 10000)); /* what was cut off does not come back */
	IS(look("x").st_size == 10000 && all(fd, 0, 100, 'a') && all(fd, 100, 10000, 0));
	OK(ftruncate(fd, 0));
	OK(ftruncate(fd, 1234567));
	IS(look("x").st_size == 1234567 && look("x").st_blocks == 0 && all(fd, 0, 1234567, 0));
	OK(ftruncate(fd, 1));
	IS(look("x").st_size == 1);
	close(fd);
}

static void truncate_times(void)
{
	struct stat a, b;
	int fd = open_rw("x");

	for (int i = 0; i < 4; i++) {
		off_t size = i < 2 ? 1000 * (i + 1) : 500;

		about("to %d", (int)size);
		a = look("x");
		nap();
		OK(i & 1 ? ftruncate(fd, size) : truncate("x", size));
		b = look("x");
		IS(later(b.st_mtim, a.st_mtim) && later(b.st_ctim, a.st_ctim) && same_time(b.st_atim, a.st_atim));
	}
	close(fd);
	if (geteuid())
		return;
	about("%s", "");
	nap();
	OK(chmod("x", 0644));
	a = look("x");
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, truncate("x", 1));
	root_again();
	b = look("x");
	IS(b.st_size == 500 && same_time(a.st_mtim, b.st_mtim) && same_time(a.st_ctim, b.st_ctim));
}

static void truncate_errors(void)
{
	int fd, p[2];

	OK(write_file("x", "text"));
	ERR(EINVAL, truncate("x", -1));
	ERR(EISDIR, truncate(".", 0));
	OK(mkfifo("p", 0644));
	ERR(EINVAL, truncate("p", 0));
	OK(fd = open("x", O_RDONLY));
	ERR(EINVAL, ftruncate(fd, 0));
	close(fd);
	ERR(EBADF, ftruncate(fd, 0));
	OK(fd = open("x", O_RDWR));
	ERR(EINVAL, ftruncate(fd, -1));
	close(fd);
	OK(fd = open(".", O_RDONLY));
	ERR(EINVAL, ftruncate(fd, 0));
	close(fd);
	OK(pipe(p));
	ERR(EINVAL, ftruncate(p[1], 0));
	close(p[0]);
	close(p[1]);
	IS(look("x").st_size == 4);
}

/* Sizes near the largest are taken, or are EFBIG; never anything else, and the file stays as it was. */
static void far(void)
{
	int fd = open_rw("x");
	char c = 'x';

	for (int bits = 30; bits < 63; bits++) {
		off_t size = (off_t)((1ull << bits) + 5);

		about("2^%d", bits);
		ERR2(0, EFBIG, ftruncate(fd, size));
		if (look("x").st_size != size)
			break;
		IS(pread(fd, &c, 1, size - 1) == 1 && !c);
		c = 'x';
		ERR2(0, EFBIG, (int)pwrite(fd, &c, 1, size));
		if (look("x").st_size == size + 1) {
			OK(fsync(fd));
			c = 0;
			IS(pread(fd, &c, 1, size) == 1 && c == 'x');
		}
	}
	about("%s", "");
	ERR2(0, EFBIG, truncate("x", INT64_MAX));
	OK(ftruncate(fd, 0));
	ERR(EINVAL, (int)pwrite(fd, &c, 1, -1));
	ERR2(EFBIG, EINVAL, (int)pwrite(fd, &c, 1, INT64_MAX));
	IS(look("x").st_size == 0);
	close(fd);
}

static void limited(void)
{
	struct rlimit limit = {100000, 100000};
	pid_t child = fork();
	int status;

	if (!child) {
		char b[5000] = "";
		int fd = open_rw("x"), bad = 0;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		bad |= ftruncate(fd, 100000) != 0;
		bad |= 2 * !(ftruncate(fd, 100001) == -1 && errno == EFBIG);
		bad |= 4 * !(truncate("x", 200000) == -1 && errno == EFBIG);
		bad |= 8 * (pwrite(fd, b, 5000, 98000) != 2000); /* as much as fits */
		bad |= 16 * !(pwrite(fd, b, 1, 100000) == -1 && errno == EFBIG);
		bad |= 32 * !(fallocate(fd, 0, 0, 200000) == -1 && errno == EFBIG);
		_exit(bad);
	}
	waitpid(child, &status, 0);
	about("failures 0x%x", (unsigned)WEXITSTATUS(status) & ~32u);
	IS(WIFEXITED(status) && !(WEXITSTATUS(status) & ~32));
	about("%s", "");
	IS(!(WEXITSTATUS(status) & 32));
	IS(look("x").st_size == 100000);
	child = fork();
	if (!child) {
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_FSIZE, &limit);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		_exit(truncate("x", 200000) ? 1 : 0);
	}
	waitpid(child, &status, 0);
	IS(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

static void allocate(void)
{
	struct stat a, b;
	int fd = open_rw("x");

	OK(fallocate(fd, 0, 0, 567));
	IS(look("x").st_size == 567 && all(fd, 0, 567, 0));
	OK(fill(fd, 0, 567, 'a'));
	a = look("x");
	nap();
	OK(fallocate(fd, 0, 20000, 3456));
	b = look("x");
	IS(b.st_size == 23456 && all(fd, 0, 567, 'a') && all(fd, 567, 23456, 0));
	IS(later(b.st_ctim, a.st_ctim));
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100000, 300000));
	IS(look("x").st_size == 23456);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10));
	IS(look("x").st_blocks * 512 >= 300000);
	OK(ftruncate(fd, 100));
	OK(ftruncate(fd, 500000));
	IS(all(fd, 0, 100, 'a') && all(fd, 100, 500000, 0));
	OK(posix_fallocate(fd, 0, 600000) ? -1 : 0);
	IS(look("x").st_size == 600000 && all(fd, 100, 600000, 0));
	OK(fill(fd, 0, 20000, 'b'));
	a = look("x");
	nap();
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 100)); /* no whole block */
	b = look("x");
	IS(all(fd, 0, 8192, 'b') && all(fd, 8192, 8292, 0) && all(fd, 8292, 20000, 'b'));
	IS(later(b.st_ctim, a.st_ctim) && later(b.st_mtim, a.st_mtim));
	close(fd);
}

static void allocate_errors(void)
{
	struct stat a;
	int fd = open_rw("x"), p[2], other;

	OK(fill(fd, 0, 100, 'a'));
	a = look("x");
	nap();
	ERR(EINVAL, fallocate(fd, 0, 0, 0));
	ERR(EINVAL, fallocate(fd, 0, -1, 10));
	ERR(EINVAL, fallocate(fd, 0, 0, -1));
	ERR(EFBIG, fallocate(fd, 0, INT64_MAX, 10));
	ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	ERR2(EOPNOTSUPP, EINVAL, fallocate(fd, 0x4000, 0, 10));
	OK(other = open("x", O_RDONLY));
	ERR(EBADF, fallocate(other, 0, 0, 10));
	close(other);
	OK(other = open(".", O_RDONLY));
	ERR2(EBADF, EISDIR, fallocate(other, 0, 0, 10));
	close(other);
	OK(pipe(p));
	ERR(ESPIPE, fallocate(p[1], 0, 0, 10));
	close(p[0]);
	close(p[1]);
	IS(same_time(look("x").st_ctim, a.st_ctim) && look("x").st_size == 100 && all(fd, 0, 100, 'a'));
	close(fd);
}

static void punch_and_zero(void)
{
	static const struct {
		off_t off, len;
	} ranges[] = {{0, 1}, {1, 4095}, {4096, 4096}, {5000, 20000}, {65536, 65536}, {70000, 100000}, {299990, 100}};
	int fd = open_rw("x");

	for (int zero = 0; zero < 2; zero++)
		for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
			off_t off = ranges[i].off, end = off + ranges[i].len;
			int mode = zero ? FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
			                : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
			struct stat a;

			about("%s at %ld, %ld bytes", zero ? "zeroing" : "a hole", (long)off, (long)(end - off));
			OK(fill(fd, 0, 300000, 'a'));
			OK(ftruncate(fd, 300000));
			OK(fsync(fd));
			a = look("x");
			nap();
			if (fallocate(fd, mode, off, end - off)) {
				differs(ON_TMPFS, "zeroing is not offered");
				ERR(0, (errno = EOPNOTSUPP, -1));
				continue;
			}
			end = end > 300000 ? 300000 : end;
			IS(all(fd, 0, off, 'a') && all(fd, off, end, 0) && all(fd, end, 300000, 'a'));
			IS(look("x").st_size == 300000 && later(look("x").st_mtim, a.st_mtim));
			if (!zero && end - off >= 65536)
				IS(look("x").st_blocks < a.st_blocks);
		}
	about("%s", "");
	OK(ftruncate(fd, 10));
	if (!fallocate(fd, FALLOC_FL_ZERO_RANGE, 5, 5000))
		IS(look("x").st_size == 5005 && all(fd, 0, 5, 'a') && all(fd, 5, 5005, 0));
	close(fd);
}

const struct test size_tests[] = {{"shrink-and-grow", shrink_and_grow, false},
                                  {"truncate-times", truncate_times, false},
                                  {"truncate-errors", truncate_errors, false},
                                  {"far", far, false},
                                  {"limited", limited, false},
                                  {"allocate", allocate, false},
                                  {"allocate-errors", allocate_errors, false},
                                  {"punch-and-zero", punch_and_zero, false},
                                  TESTS_END};
