// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Times: what each call marks, utimensat's rules, nanoseconds, times far from now, the birth time. POSIX futimens;
 * utimensat(2), statx(2), inode(7).
 */
#include "tests/posix/posix.h"

#include <sys/mman.h>
#include <sys/xattr.h>

static const struct timespec now_both[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
static const struct timespec omit_both[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};

static int set(const char *path, time_t atime, long ansec, time_t mtime, long mnsec)
{
	struct timespec t[2] = {{atime, ansec}, {mtime, mnsec}};

	return utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

static bool has(const char *path, time_t atime, long ansec, time_t mtime, long mnsec)
{
	struct stat s = look(path);

	return s.st_atim.tv_sec == atime && s.st_atim.tv_nsec == ansec && s.st_mtim.tv_sec == mtime &&
	       s.st_mtim.tv_nsec == mnsec;
}

static void each_kind(void)
{
	for (int k = 0; k < KINDS; k++) {
		struct stat a, b;

		if (geteuid() && (k == BLOCK_ || k == CHAR_))
			continue;
		about("a %s", kind_name[k]);
		OK(make((enum kind)k, "x", 0644));
		a = look("x");
		nap();
		OK(set("x", 1000000000, 123456789, 1100000000, 987654321));
		IS(has("x", 1000000000, 123456789, 1100000000, 987654321));
		IS(later(look("x").st_ctim, a.st_ctim));
		OK(set("x", 5, UTIME_OMIT, 1200000000, 1));
		IS(has("x", 1000000000, 123456789, 1200000000, 1));
		OK(set("x", 1300000000, 999999999, 5, UTIME_OMIT));
		IS(has("x", 1300000000, 999999999, 1200000000, 1));
		b = look("x");
		nap();
		OK(utimensat(AT_FDCWD, "x", omit_both, AT_SYMLINK_NOFOLLOW));
		IS(same_time(look("x").st_ctim, b.st_ctim) && has("x", 1300000000, 999999999, 1200000000, 1));
		OK(set("x", 5, UTIME_NOW, 5, UTIME_OMIT));
		IS(later(look("x").st_atim, a.st_atim) && look("x").st_mtim.tv_sec == 1200000000);
		OK(utimensat(AT_FDCWD, "x", now_both, AT_SYMLINK_NOFOLLOW));
		IS(later(look("x").st_mtim, a.st_mtim));
		OK(utimensat(AT_FDCWD, "x", NULL, AT_SYMLINK_NOFOLLOW));
		OK(drop("x"));
	}
	about("%s", "");
	OK(create("f", 0644));
	OK(symlink("f", "s"));
	OK(utimensat(AT_FDCWD, "s", (struct timespec[]){{1, 0}, {2, 0}}, 0));
	IS(has("f", 1, 0, 2, 0) && look("s").st_mtim.tv_sec != 2);
	ERR(EINVAL, set("f", 1, 1000000000, 1, 0));
	ERR(EINVAL, set("f", 1, -1, 1, 0));
	ERR(EINVAL, utimensat(AT_FDCWD, "f", now_both, 0x4000000));
	IS(has("f", 1, 0, 2, 0));
}

static void far_times(void)
{
	static const struct {
		int64_t t;
		int but;
	} times[] = {{0, 0},
	             {-1, 0},
	             {-86400, 0},
	             {-2147483648LL, 0},
	             {2147483647, 0},
	             {2147483648LL, 0},
	             {4294967296LL, 0},
	             {15032385535LL, 0}, /* 2446: where 34 bits end */
	             {15032385536LL, ON_EXT},
	             {253402300799LL, ON_EXT}, /* the end of the year 9999 */
	             {-2147483649LL, ON_EXT},
	             {-62135596800LL, ON_EXT}}; /* the year 1 */

	OK(create("x", 0644));
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		for (int ns = 0; ns < 3; ns++) {
			long nsec = ns == 0 ? 0 : ns == 1 ? 1 : 999999999;

			about("%lld.%09ld", (long long)times[i].t, nsec);
			OK(set("x", times[i].t, nsec, times[i].t, nsec));
			differs(times[i].but |
			            (nsec && (times[i].t == -2147483648LL || times[i].t == 15032385535LL) ? ON_EXT : 0),
			        "34 bits of seconds");
			IS(has("x", times[i].t, nsec, times[i].t, nsec));
		}
}

static void who_may(void)
{
	static const struct timespec then[2] = {{1900000000, 0}, {1950000000, 0}};
	static const struct timespec half[2] = {{0, UTIME_OMIT}, {1950000000, 0}};
	static const struct timespec half_now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};

	OK(chmod(".", 0777));
	OK(make_for(FILE_, "x", 0644, BOB, BOB));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, utimensat(AT_FDCWD, "x", NULL, 0));
	ERR(EACCES, utimensat(AT_FDCWD, "x", now_both, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", then, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", half, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", half_now, 0));
	OK(utimensat(AT_FDCWD, "x", omit_both, 0));
	root_again();
	OK(chmod("x", 0666)); /* who may write may say now */
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(utimensat(AT_FDCWD, "x", NULL, 0));
	OK(utimensat(AT_FDCWD, "x", now_both, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", then, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", half, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "x", half_now, 0));
	root_again();
	OK(chmod("x", 0));
	become(BOB, BOB, NOBODY_ELSE); /* the owner may all, whatever the mode */
	OK(utimensat(AT_FDCWD, "x", NULL, 0));
	OK(utimensat(AT_FDCWD, "x", then, 0));
	OK(utimensat(AT_FDCWD, "x", half, 0));
	root_again();
	IS(has("x", 1900000000, 0, 1950000000, 0));
	OK(utimensat(AT_FDCWD, "x", now_both, 0));
}

/* Which of atime (1), mtime (2), ctime (4) moved since a. */
static int moved(struct stat a, const char *path)
{
	struct stat b = look(path);

	return later(b.st_atim, a.st_atim) | later(b.st_mtim, a.st_mtim) << 1 | later(b.st_ctim, a.st_ctim) << 2;
}

static void marked(void)
{
	char b[10];
	struct stat a;
	void *m;
	int fd = open("x", O_CREAT | O_RDWR, 0644);

	OK(fd);
	a = look("x");
	nap();
	OK((int)write(fd, "text", 4));
	IS(moved(a, "x") == 6);
	a = look("x");
	nap();
	OK((int)write(fd, "", 0)); /* nothing written, nothing marked */
	IS(moved(a, "x") == 0);
	OK(fsync(fd));
	IS(moved(a, "x") == 0);
	OK((int)pread(fd, b, 0, 0));
	IS((moved(a, "x") & 6) == 0);
	nap();
	OK((int)pread(fd, b, 4, 0)); /* atime is not newer than mtime: relatime marks it too */
	IS(moved(a, "x") == 1);
	a = look("x");
	nap();
	OK(chmod("x", 0600));
	IS(moved(a, "x") == 4);
	a = look("x");
	nap();
	ERR2(0, EOPNOTSUPP, setxattr("x", "user.a", "b", 1, 0));
	if (!errno || getxattr("x", "user.a", b, 10) == 1)
		IS(moved(a, "x") == 4);
	a = look("x");
	nap();
	m = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	IS(m != MAP_FAILED);
	memcpy(m, "TEXT", 4);
	OK(msync(m, 4, MS_SYNC));
	OK(munmap(m, 4));
	IS((moved(a, "x") & 6) == 6);
	OK(fsync(fd));
	OK(set("x", 1000, 0, 1000, 0));
	OK((int)write(fd, "more", 4));
	IS(look("x").st_mtim.tv_sec > 1000);
	OK(set("x", 1000, 5, 1000, 5)); /* set while data is unwritten: it stays */
	OK(fsync(fd));
	close(fd);
	IS(has("x", 1000, 5, 1000, 5));
	nap();
	a = look(".");
	OK(write_file("x", "other"));
	OK(chmod("x", 0644));
	OK(truncate("x", 1));
	IS((moved(a, ".") & 6) == 0); /* what a file goes through does not touch its directory */
}

static void birth(void)
{
	struct statx a, b;

	nap();
	OK(create("x", 0644));
	OK(statx(AT_FDCWD, "x", 0, STATX_ALL, &a));
	IS((a.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	if (!(a.stx_mask & STATX_BTIME)) {
		skip("no birth time is told");
		return;
	}
	IS(a.stx_btime.tv_sec == a.stx_mtime.tv_sec && a.stx_btime.tv_nsec == a.stx_mtime.tv_nsec);
	nap();
	OK(set("x", 1, 0, 1, 0));
	OK(rename("x", "y"));
	OK(write_file("y", "text"));
	OK(statx(AT_FDCWD, "y", 0, STATX_ALL, &b));
	IS(a.stx_btime.tv_sec == b.stx_btime.tv_sec && a.stx_btime.tv_nsec == b.stx_btime.tv_nsec);
}

const struct test time_tests[] = {{"each-kind", each_kind, false}, {"far", far_times, false},
                                  {"who-may", who_may, true},      {"marked", marked, false},
                                  {"birth", birth, false},         TESTS_END};
