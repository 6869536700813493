// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The same random stream of system calls in two directories, one on the filesystem under test and one on the host's:
 * every result, errno, and attribute must be the same. usage: differ REFERENCE TESTED SEED COUNT [times]; with "times"
 * which timestamps a call changes must be the same too. Names come from a small set, so
 * that operations meet; as root every other stretch runs as an ordinary user. Prints the first difference and how to
 * repeat it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FDS 4
static int base[2], held[2][FDS];
static uint64_t seed;
static char trace[400];
static char big_name[300], big_path[5000];

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

static const char *const names[] = {"a", "b",    "c",   "d/a",    "d/b", "d/e",   "d/e/f", "d/e/g",
                                    "d", "d/..", "a/x", "none/x", ".",   "d/e/.", "l",     "l/a"};
static const char *path_any(void)
{
	uint32_t n = rnd(60);

	if (n == 58)
		return big_name;
	if (n == 59)
		return rnd(2) ? big_path : "";
	return names[n % (sizeof(names) / sizeof(*names))];
}

struct outcome {
	long result;
	int error;
	uint64_t extra, times;
};

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		h = (h ^ *b++) * 0x100000001b3ull;
	return h;
}

static struct stat seen[2]; /* for the report */
static int seen_next;

static uint64_t stat_hash(const struct stat *s)
{
	uint64_t v[7] = {s->st_mode, s->st_uid, s->st_gid, s->st_nlink, S_ISDIR(s->st_mode) ? 0 : (uint64_t)s->st_size,
	                 0,          0};

	if (S_ISCHR(s->st_mode) || S_ISBLK(s->st_mode))
		v[5] = s->st_rdev;
	seen[seen_next++ & 1] = *s;
	return mix(1, v, sizeof(v));
}

static struct outcome done(long result, uint64_t extra)
{
	return (struct outcome){result, result < 0 ? errno : 0, extra, 0};
}

/* ---- times: which of these objects had mtime or ctime changed by a call ---- */

#define WATCHED 8
struct times {
	struct timespec m[WATCHED + FDS], c[WATCHED + FDS];
};

static void times_take(int side, struct times *t)
{
	static const char *const watched[WATCHED] = {".", "a", "b", "c", "d", "d/a", "d/e", "l"};
	struct stat s;

	memset(t, 0, sizeof(*t));
	for (int i = 0; i < WATCHED + FDS; i++) {
		int r = i < WATCHED                   ? fstatat(base[side], watched[i], &s, AT_SYMLINK_NOFOLLOW)
		        : held[side][i - WATCHED] < 0 ? -1
		                                      : fstat(held[side][i - WATCHED], &s);

		if (!r) {
			t->m[i] = s.st_mtim;
			t->c[i] = s.st_ctim;
		}
	}
}

static uint64_t times_changed(const struct times *x, const struct times *y)
{
	uint64_t bits = 0;

	for (int i = 0; i < WATCHED + FDS; i++) {
		bits |= (uint64_t)(memcmp(&x->m[i], &y->m[i], sizeof(x->m[i])) != 0) << (2 * i);
		bits |= (uint64_t)(memcmp(&x->c[i], &y->c[i], sizeof(x->c[i])) != 0) << (2 * i + 1);
	}
	return bits;
}

/* All arguments are drawn once, then the call is made in both places. */
struct call {
	uint32_t op, flags, mode, n;
	const char *path, *path2;
	off_t off, len;
	uint8_t fill;
};

static uint8_t buffer[300000];

static struct outcome file_call(const struct call *c, int side)
{
	int fd = held[side][c->n % FDS];
	struct stat s;
	long r;

	switch (c->op) {
	case 0:
		memset(buffer, c->fill, (size_t)c->len);
		return done(pwrite(fd, buffer, (size_t)c->len, c->off), 0);
	case 1:
		r = pread(fd, buffer, (size_t)c->len, c->off);
		return done(r, r > 0 ? mix(2, buffer, (size_t)r) : 0);
	case 2:
		return done(ftruncate(fd, c->off), 0);
	case 3:
		return done(fallocate(fd, c->flags & 1 ? FALLOC_FL_KEEP_SIZE : 0, c->off, c->len), 0);
	case 4: /* beyond the end nothing is punched; whether that counts as a change (set-id bits, times) differs
	           between filesystems and even between versions of ext4 */
		if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && c->off >= s.st_size)
			return done(0, 0);
		return done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, c->off, c->len), 0);
	case 5:
		return done(c->flags & 1 ? fsync(fd) : fdatasync(fd), 0);
	case 6:
		r = fstat(fd, &s);
		return done(r, r ? 0 : stat_hash(&s));
	default:
		return done(fchmod(fd, c->mode), 0);
	}
}

static struct outcome open_call(const struct call *c, int side)
{
	static const int flags[] = {O_RDWR | O_CREAT,
	                            O_RDWR,
	                            O_RDONLY,
	                            O_RDWR | O_CREAT | O_EXCL,
	                            O_RDWR | O_CREAT | O_TRUNC,
	                            O_WRONLY | O_APPEND,
	                            O_RDONLY | O_DIRECTORY,
	                            O_RDWR | O_NOFOLLOW};
	int *slot = &held[side][c->n % FDS], fd;

	fd = openat(base[side], c->path, flags[c->flags % 8] | O_NONBLOCK | O_CLOEXEC, c->mode);
	if (fd < 0)
		return done(-1, 0);
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
	return done(0, 0);
}

static struct outcome list_call(const struct call *c, int side)
{
	int fd = openat(base[side], c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	if (fd < 0)
		return done(-1, 0);
	d = fdopendir(fd);
	while ((e = readdir(d)))
		sum += mix(e->d_type, e->d_name, strlen(e->d_name));
	closedir(d);
	return done(0, sum);
}

static struct outcome xattr_call(const struct call *c, int side)
{
	char full[5400], value[300];
	const char *name = c->mode & 1 ? "user.one" : "user.two";
	long r;

	snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", base[side], c->path);
	memset(value, c->fill, sizeof(value));
	switch (c->flags % 4) {
	case 0:
		return done(lsetxattr(full, name, value, c->n % 200,
		                      c->mode & 2   ? XATTR_CREATE
		                      : c->mode & 4 ? XATTR_REPLACE
		                                    : 0),
		            0);
	case 1:
		r = lgetxattr(full, name, value, c->mode & 2 ? 0 : c->mode & 4 ? 10 : sizeof(value));
		return done(r, r > 0 && !(c->mode & 2) ? mix(3, value, (size_t)r) : 0);
	case 2:
		return done(lremovexattr(full, name), 0);
	default:
		r = llistxattr(full, value, sizeof(value));
		return done(r, 0);
	}
}

static struct outcome name_call(const struct call *c, int side)
{
	int b = base[side];
	struct stat s;
	char target[5000];
	long r;

	switch (c->op) {
	case 8:
	case 9:
		return open_call(c, side);
	case 10:
		return done(mkdirat(b, c->path, c->mode), 0);
	case 11:
		return done(unlinkat(b, c->path, c->flags & 1 ? AT_REMOVEDIR : 0), 0);
	case 12:
		return done(linkat(b, c->path, b, c->path2, c->flags & 1 ? AT_SYMLINK_FOLLOW : 0), 0);
	case 13:
		return done(symlinkat(c->path2, b, c->path), 0);
	case 14:
		return done(renameat2(b, c->path, b, c->path2, c->flags % 4 == 3 ? 1u << (c->mode % 2) : 0), 0);
	case 15:
		return done(mknodat(b, c->path,
		                    (c->flags & 1   ? S_IFIFO
		                     : c->flags & 2 ? S_IFSOCK
		                                    : S_IFCHR) |
		                        (c->mode & 0777),
		                    makedev(1, 3)),
		            0);
	case 16:
		return done(fchmodat(b, c->path, c->mode, 0), 0);
	case 17:
		return done(fchownat(b, c->path, c->flags & 1 ? 1000 : (uid_t)-1, c->flags & 2 ? 1000 : (gid_t)-1,
		                     c->flags & 4 ? AT_SYMLINK_NOFOLLOW : 0),
		            0);
	case 18:
	case 19:
		r = fstatat(b, c->path, &s, c->flags & 1 ? AT_SYMLINK_NOFOLLOW : 0);
		return done(r, r ? 0 : stat_hash(&s));
	case 20:
		r = readlinkat(b, c->path, target, sizeof(target));
		return done(r, r > 0 ? mix(4, target, (size_t)r) : 0);
	case 21:
		return list_call(c, side);
	case 22:
		return xattr_call(c, side);
	case 23:
		return done(faccessat(b, c->path, (int)(c->mode & 7), AT_EACCESS), 0);
	default: {
		struct timespec t[2] = {{1000000 + c->off, 5}, {2000000 + c->len, 7}};

		r = utimensat(b, c->path, t, 0);
		if (r || fstatat(b, c->path, &s, 0))
			return done(r, 0);
		return done(0, (uint64_t)s.st_mtim.tv_sec * 31 + (uint64_t)s.st_mtim.tv_nsec);
	}
	}
}

static void draw(struct call *c)
{
	static const uint16_t modes[] = {0644, 0755, 0700, 0, 04755, 02775, 01777, 0400, 06711};

	c->op = rnd(25);
	c->flags = rnd(1024);
	c->mode = rnd(4) ? modes[rnd(9)] : rnd(010000);
	if (c->op == 17 && !(c->flags & 3) && geteuid()) /* of a file of others with set-group-id: see tests/posix */
		c->flags |= 1;
	c->n = rnd(1024);
	c->path = path_any();
	c->path2 = path_any();
	c->off = rnd(4) ? rnd(300000) : rnd(64) * 4096;
	c->len = rnd(3) ? rnd(70000) + 1 : rnd(8) * 4096 + 1;
	c->fill = (uint8_t)(rnd(255) + 1);
	snprintf(trace, sizeof(trace), "op %u path '%.60s' path2 '%.60s' flags %u mode %o n %u off %lld len %lld",
	         c->op, c->path, c->path2, c->flags, c->mode, c->n, (long long)c->off, (long long)c->len);
}

static int same(const struct outcome *x, const struct outcome *y)
{
	return x->result == y->result && x->error == y->error && x->extra == y->extra && x->times == y->times;
}

static bool super, times;

static void user_switch(void)
{
	if (!super)
		return;
	if (seteuid(0) || setegid(0))
		exit(2);
	if (rnd(2) && (setegid(1000) || seteuid(1000)))
		exit(2);
}

static int dir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t count, first;

	if (argc != 5 && argc != 6)
		return fprintf(stderr, "usage: differ REFERENCE TESTED SEED COUNT [times]\n"), 2;
	times = argc == 6;
	base[0] = dir_open(argv[1]);
	base[1] = dir_open(argv[2]);
	first = seed = strtoull(argv[3], NULL, 10);
	count = strtoull(argv[4], NULL, 10);
	super = geteuid() == 0;
	umask(022);
	memset(held, -1, sizeof(held));
	memset(big_name, 'n', 256);
	memset(big_path, 'p', sizeof(big_path) - 1);
	for (uint64_t i = 0; i < count; i++) {
		struct outcome r[2];
		struct call c;

		if (i % 50 == 0)
			user_switch();
		draw(&c);
		if (times)
			usleep(5000); /* the reference's clock may tick that slowly */
		for (int side = 0; side < 2; side++) {
			struct times before, after;

			if (times)
				times_take(side, &before);
			errno = 0;
			r[side] = c.op < 8 ? file_call(&c, side) : name_call(&c, side);
			if (times) {
				times_take(side, &after);
				r[side].times = times_changed(&before, &after);
			}
			if (c.op == 8 || c.op == 9) /* another file in this slot */
				r[side].times &= ~(3ull << 2 * (WATCHED + c.n % FDS));
		}
		if (same(&r[0], &r[1]))
			continue;
		printf("step %llu as %u: %s\n  expected %ld (%s) %llx times %llx\n  found    %ld (%s) %llx times "
		       "%llx\n  repeat: differ REFERENCE TESTED %llu %llu\n",
		       (unsigned long long)i, geteuid(), trace, r[0].result, strerror(r[0].error),
		       (unsigned long long)r[0].extra, (unsigned long long)r[0].times, r[1].result,
		       strerror(r[1].error), (unsigned long long)r[1].extra, (unsigned long long)r[1].times,
		       (unsigned long long)first, (unsigned long long)i + 1);
		for (int side = 0; side < 2 && r[0].extra; side++)
			printf("  last stat: mode %o uid %u gid %u nlink %u size %lld\n", seen[side].st_mode,
			       seen[side].st_uid, seen[side].st_gid, (unsigned)seen[side].st_nlink,
			       (long long)seen[side].st_size);
		return 1;
	}
	return 0;
}
