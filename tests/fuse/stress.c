// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Several processes at once in one tree: each makes random calls on names from a small set, so that they meet. Nobody
 * knows what the tree should look like; what must hold anyway is checked: a block of a file holds zeros or what was
 * once written to that inode at that place; no call fails but as it may when others interfere; and in the end every
 * name leads to an inode, link counts are the names found, and a directory's are its subdirectories and two.
 * usage: stress DIR PROCESSES SEED COUNT; DIR is a directory of any filesystem, and is emptied in the end. No
 * processes: what an earlier run, cut off by a crash, has left is checked and removed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)
#define CELL 512u /* the unit that is written and checked */

struct cell { /* repeated to CELL bytes */
	uint64_t ino, offset;
};

static uint64_t state;
static char call_text[300];
static uint8_t buf[1 << 17] __attribute__((aligned(4096)));

static uint32_t rnd(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static void fail(const char *what)
{
	fprintf(stderr, "stress: %s: %s; errno: %s\n", call_text, what, strerror(errno));
	_exit(1);
}

/* What others may do to a call that was right when it was made. */
static void result(long r)
{
	static const int allowed[] = {ENOENT,  EEXIST,     ENOTEMPTY, ENOTDIR, EISDIR, EINVAL, ELOOP, EBUSY, EXDEV,
	                              ENODATA, EOPNOTSUPP, EPERM,     ENXIO,   EMLINK, ENOSPC, EFBIG, EMFILE};

	if (r >= 0)
		return;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		if (errno == allowed[i])
			return;
	fail("an error that nothing explains");
}

static const char *const dirs[] = {"d0/", "d1/", "d0/d2/", "d1/d2/", "d0/d2/d3/", "d0/d1/", ""};

static void dirs_make(void)
{
	for (int i = 0; i < 6; i++)
		mkdir(dirs[i], 0755);
}

static char *path_any(char *path)
{
	sprintf(path, "%s%c%u", dirs[rnd(7)], "fffd"[rnd(4)], rnd(12));
	return path;
}

/* ---- contents ---- */

static void cells_fill(uint64_t ino, uint64_t off, size_t len)
{
	for (size_t at = 0; at < len; at += sizeof(struct cell)) {
		struct cell c = {ino, (off + at) / CELL * CELL};

		memcpy(buf + at, &c, sizeof(c));
	}
}

static void cells_check(uint64_t ino, uint64_t off, size_t len)
{
	for (size_t at = 0; at + sizeof(struct cell) <= len; at += sizeof(struct cell)) {
		struct cell c, want = {ino, (off + at) / CELL * CELL}, zero = {0, 0};

		memcpy(&c, buf + at, sizeof(c));
		if (!memcmp(&c, &zero, sizeof(c)) || !memcmp(&c, &want, sizeof(c)))
			continue;
		snprintf(call_text + strlen(call_text), 150, ": byte %llu: found inode %llu offset %llu, expected %llu",
		         (unsigned long long)(off + at), (unsigned long long)c.ino, (unsigned long long)c.offset,
		         (unsigned long long)ino);
		fail("content that was never written there");
	}
}

static uint64_t ino_of(int fd)
{
	struct stat s;

	if (fstat(fd, &s))
		fail("fstat");
	return s.st_ino;
}

static void do_write(int fd, uint64_t ino)
{
	size_t len = (1 + rnd(rnd(4) ? 8 : 200)) * CELL;
	uint64_t off = rnd(FILE_MAX / CELL) * CELL;

	cells_fill(ino, off, len);
	result(pwrite(fd, buf, len, (off_t)off));
}

static void do_read(int fd, uint64_t ino)
{
	uint64_t off = rnd(FILE_MAX / CELL) * CELL;
	ssize_t n;

	if (rnd(2))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	n = pread(fd, buf, (1 + rnd(200)) * CELL, (off_t)off);
	result(n);
	if (n > 0)
		cells_check(ino, off, (size_t)n);
}

/* The file may get shorter under a mapping: SIGBUS. So a private copy of the pages is made by the kernel. */
static void do_map(int fd, uint64_t ino)
{
	uint64_t off = rnd(FILE_MAX / 4096) * 4096;
	struct stat s;
	int pipes[2];
	uint8_t *m;
	ssize_t n;

	if (fstat(fd, &s) || (uint64_t)s.st_size < off + 8192 || pipe(pipes))
		return;
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
	if (m == MAP_FAILED)
		fail("mmap");
	n = write(pipes[1], m, 8192); /* -1, EFAULT: it got shorter */
	if (n > 0 && read(pipes[0], buf, (size_t)n) == n)
		cells_check(ino, off, (size_t)n);
	cells_fill(ino, off, 8192);
	if (write(pipes[1], buf, 4096) == 4096)
		n = read(pipes[0], m, 4096); /* the kernel stores into the mapping, and may meet the same */
	msync(m, 8192, rnd(2) ? MS_SYNC : MS_ASYNC);
	munmap(m, 8192);
	close(pipes[0]);
	close(pipes[1]);
}

static void do_shape(int fd)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	off_t off = rnd(FILE_MAX / CELL) * CELL;

	switch (rnd(4)) {
	case 0:
		result(ftruncate(fd, off));
		break;
	case 1:
		result(rnd(2) ? fsync(fd) : fdatasync(fd));
		break;
	case 2:
		result(lseek(fd, off, rnd(2) ? SEEK_DATA : SEEK_HOLE));
		break;
	default:
		result(fallocate(fd, modes[rnd(4)], off, (1 + rnd(200)) * CELL));
	}
}

static void file_calls(void)
{
	char path[100];
	int fd = open(path_any(path),
	              O_RDWR | O_NOFOLLOW | O_NONBLOCK | (rnd(3) ? O_CREAT : 0) | (rnd(20) ? 0 : O_TRUNC), 0644);
	uint64_t ino;
	struct stat s;

	snprintf(call_text, sizeof(call_text), "file %s", path);
	result(fd);
	if (fd < 0)
		return;
	if (!fstat(fd, &s) && S_ISREG(s.st_mode)) {
		ino = ino_of(fd);
		for (uint32_t n = rnd(6); n; n--)
			switch (rnd(5)) {
			case 0:
				do_shape(fd);
				break;
			case 1:
				do_map(fd, ino);
				break;
			case 2:
				do_read(fd, ino);
				break;
			default:
				do_write(fd, ino);
			}
	}
	if (close(fd))
		fail("close");
}

/* ---- names ---- */

static void list_call(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct stat s;

	if (!d) {
		result(-1);
		return;
	}
	while (errno = 0, (e = readdir(d)))
		if (!rnd(4))
			result(fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW));
	if (errno && errno != ENOENT)
		fail("readdir");
	closedir(d);
}

static void xattr_calls(const char *path)
{
	char value[3000];
	uint32_t len = rnd(4) ? rnd(100) : rnd(3000);

	memset(value, 'v', sizeof(value));
	switch (rnd(4)) {
	case 0:
		result(lsetxattr(path, rnd(2) ? "user.a" : "user.b", value, len, 0));
		break;
	case 1:
		result(lremovexattr(path, "user.a"));
		break;
	case 2:
		result(llistxattr(path, value, sizeof(value)));
		break;
	default:
		result(lgetxattr(path, "user.b", value, sizeof(value)));
	}
}

/* A file that gets its name when it is whole, or never. */
static void unnamed_calls(const char *path)
{
	int fd = open(rnd(2) ? "." : "d0", O_TMPFILE | O_RDWR, 0644);
	char link[60];

	result(fd);
	if (fd < 0)
		return;
	do_write(fd, ino_of(fd));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (rnd(3))
		result(linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
	if (close(fd))
		fail("close");
}

static void name_calls(void)
{
	static char a[100], b[100];
	uint32_t op = rnd(15);
	struct stat s;

	path_any(a);
	path_any(b);
	snprintf(call_text, sizeof(call_text), "call %u %s %s", op, a, b);
	switch (op) {
	case 0:
		result(mkdir(a, 0755));
		break;
	case 1:
		result(rmdir(a));
		break;
	case 2:
	case 3:
		result(unlink(a));
		break;
	case 4:
	case 5:
		result(rename(a, b));
		break;
	case 6:
		result(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 1u << rnd(2)));
		break;
	case 7:
		result(link(a, b));
		break;
	case 8:
		result(symlink(b, a));
		break;
	case 9:
		result(rnd(2) ? mkfifo(a, 0644) : stat(a, &s));
		break;
	case 10:
		result(chmod(a, 0700 | rnd(0100)));
		break;
	case 11:
		result(utimensat(AT_FDCWD, a, NULL, AT_SYMLINK_NOFOLLOW));
		break;
	case 13:
		unnamed_calls(a);
		break;
	case 12:
		xattr_calls(a);
		break;
	default:
		list_call(rnd(3) ? "d0" : ".");
	}
}

static void worker(uint64_t seed, long count)
{
	state = seed * 7919 + 1;
	for (int i = 0; i < 8; i++)
		rnd(2);
	while (count--)
		if (!rnd(100)) /* some went away or became something else */
			dirs_make();
		else if (rnd(3))
			file_calls();
		else
			name_calls();
	_exit(0);
}

/* ---- the end: is the tree one? ---- */

#define INODES 4096
static struct {
	ino_t ino;
	nlink_t links, names;
	bool dir;
} inode[INODES];
static int inodes;

static void inode_count(ino_t ino, nlink_t links, bool dir)
{
	int i = 0;

	while (i < inodes && inode[i].ino != ino)
		i++;
	if (i == INODES)
		fail("too many inodes");
	if (i == inodes) {
		inodes++;
		inode[i].ino = ino;
	}
	if (links) {
		inode[i].links = links;
		inode[i].dir = dir;
	}
	inode[i].names++;
}

static int tree_check(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
	snprintf(call_text, sizeof(call_text), "in the end, %.200s", path);
	if (flag == FTW_NS || flag == FTW_DNR)
		fail("a name that leads nowhere");
	inode_count(s->st_ino, s->st_nlink, S_ISDIR(s->st_mode));
	if (S_ISDIR(s->st_mode) && ftw->level) { /* ".." of each counts for the one above */
		char up[4200];
		struct stat above;

		snprintf(up, sizeof(up), "%s/..", path);
		if (stat(up, &above))
			fail("a directory without ..");
		inode_count(above.st_ino, 0, true);
	}
	if (S_ISREG(s->st_mode)) {
		int fd = open(path, O_RDONLY);
		ssize_t n;

		for (off_t at = 0; (n = pread(fd, buf, sizeof(buf), at)) > 0; at += n)
			cells_check(s->st_ino, (uint64_t)at, (size_t)n);
		if (fd < 0 || n < 0)
			fail("a file that cannot be read");
		close(fd);
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
	(void)s;
	(void)flag;
	return ftw->level ? remove(path) : 0;
}

static void end_check(void)
{
	if (nftw(".", tree_check, 20, FTW_PHYS))
		fail("walking the tree");
	for (int i = 0; i < inodes; i++)
		if (inode[i].links != inode[i].names + inode[i].dir) {
			fprintf(stderr, "stress: inode %lu: expected %lu links, found %lu\n",
			        (unsigned long)inode[i].ino, (unsigned long)(inode[i].names + inode[i].dir),
			        (unsigned long)inode[i].links);
			_exit(1);
		}
	strcpy(call_text, "in the end");
	if (nftw(".", remove_one, 20, FTW_PHYS | FTW_DEPTH))
		fail("removing the tree");
}

int main(int argc, char **argv)
{
	int processes = argc == 5 ? atoi(argv[2]) : -1, status, bad = 0;

	if (processes < 0 || processes > 64 || atol(argv[4]) < 1)
		return fputs("usage: stress DIR PROCESSES SEED COUNT\n", stderr), 2;
	if (chdir(argv[1]))
		return perror(argv[1]), 2;
	for (int p = 0; p < processes; p++)
		if (!fork())
			worker(strtoull(argv[3], NULL, 0) * 100 + (uint64_t)p, atol(argv[4]));
	for (int p = 0; p < processes; p++)
		bad |= wait(&status) < 0 || status;
	if (!bad)
		end_check();
	else
		fprintf(stderr, "repeat: stress %s %s %s %s\n", argv[1], argv[2], argv[3], argv[4]);
	return bad;
}
