// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the jobs of test_features.sh ask of a kernel that a shell cannot. usage: kfeat WHAT ARGUMENT...; 0: as it should
 * be, 1: not, with a message. Linked statically, run as root in the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GOINGDOWN _IOR('X', 125, uint32_t)

static _Noreturn void fail(const char *what)
{
	printf("kfeat: %s: errno %d (%s)\n", what, errno, strerror(errno));
	exit(1);
}
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			fail(#cond);                                                                                   \
	} while (0)

/* ---- ACLs ---- */

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};
struct acl {
	uint32_t version;
	struct acl_entry e[5];
};
enum { OWNER = 1, USER = 2, GROUP = 4, MASK = 16, OTHER = 32 };

static struct acl acl_make(unsigned owner, unsigned user, unsigned group, unsigned mask, unsigned other)
{
	return (struct acl){2,
	                    {{OWNER, (uint16_t)owner, ~0u},
	                     {USER, (uint16_t)user, 1000},
	                     {GROUP, (uint16_t)group, ~0u},
	                     {MASK, (uint16_t)mask, ~0u},
	                     {OTHER, (uint16_t)other, ~0u}}};
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK(!stat(path, &st));
	return st.st_mode & 07777;
}

static bool can_read_as(uid_t uid, const char *path)
{
	int status;
	pid_t p = fork();

	if (!p) {
		if (setgid(uid) || setuid(uid))
			_exit(2);
		_exit(open(path, O_RDONLY) < 0);
	}
	CHECK(p > 0 && waitpid(p, &status, 0) == p);
	return status == 0;
}

static void has_acl(const char *path, const char *name, const struct acl *want)
{
	struct acl found;

	memset(&found, 0, sizeof(found));
	CHECK(getxattr(path, name, &found, sizeof(found)) == sizeof(found));
	CHECK(!memcmp(&found, want, sizeof(found)));
}

static int acl(char **argv)
{
	const char *access = "system.posix_acl_access", *def = "system.posix_acl_default";
	struct acl a = acl_make(6, 4, 0, 4, 0), d = acl_make(7, 5, 5, 5, 0), want;
	char list[256];
	ssize_t n;
	int fd;

	CHECK(!chdir(argv[0]) && !chmod(".", 0755));
	umask(022);
	CHECK((fd = open("f", O_CREAT | O_WRONLY, 0600)) >= 0 && write(fd, "x", 1) == 1 && !close(fd));
	CHECK(!can_read_as(1000, "f"));
	CHECK(!setxattr("f", access, &a, sizeof(a), 0));
	CHECK(mode_of("f") == 0640); /* the group bits show the mask */
	CHECK(can_read_as(1000, "f") && !can_read_as(1001, "f"));
	n = listxattr("f", list, sizeof(list));
	CHECK(n == (ssize_t)strlen(access) + 1 && !strcmp(list, access));
	CHECK(!chmod("f", 0600)); /* the mask goes down with the group bits */
	want = acl_make(6, 4, 0, 0, 0);
	has_acl("f", access, &want);
	CHECK(!can_read_as(1000, "f") && !chmod("f", 0640) && can_read_as(1000, "f"));
	CHECK(setxattr("f", def, &d, sizeof(d), 0) < 0 && errno == EACCES); /* files have none */
	CHECK(!mkdir("d", 0777) && !setxattr("d", def, &d, sizeof(d), 0));
	CHECK((fd = open("d/f", O_CREAT | O_WRONLY, 0666)) >= 0 && !close(fd)); /* the umask is not asked */
	want = acl_make(6, 5, 5, 4, 0);
	has_acl("d/f", access, &want);
	CHECK(mode_of("d/f") == 0640);
	CHECK(!mkdir("d/d", 0777));
	has_acl("d/d", access, &d);
	has_acl("d/d", def, &d);
	CHECK(mode_of("d/d") == 0750);
	CHECK((fd = open("d", O_TMPFILE | O_RDWR, 0666)) >= 0);
	CHECK(!linkat(AT_FDCWD, (snprintf(list, sizeof(list), "/proc/self/fd/%d", fd), list), AT_FDCWD, "d/t",
	              AT_SYMLINK_FOLLOW) &&
	      !close(fd));
	has_acl("d/t", access, &want);
	CHECK(!symlink("f", "d/l") && getxattr("d/l", access, list, sizeof(list)) > 0); /* through the link */
	CHECK(lgetxattr("d/l", access, list, sizeof(list)) < 0);
	CHECK(!removexattr("f", access) && mode_of("f") == 0640 && !can_read_as(1000, "f"));
	CHECK((fd = open("g", O_CREAT | O_WRONLY, 0666)) >= 0 && !close(fd) && mode_of("g") == 0644); /* now it is */
	CHECK(listxattr("g", list, sizeof(list)) == 0);
	a.e[1].tag = 64;
	CHECK(setxattr("f", access, &a, sizeof(a), 0) < 0 && errno == EINVAL);
	return 0;
}

/* After the mount went and came: what acl left is still there. */
static int acl_after(char **argv)
{
	struct acl want = acl_make(6, 5, 5, 4, 0), d = acl_make(7, 5, 5, 5, 0);

	CHECK(!chdir(argv[0]));
	has_acl("d/f", "system.posix_acl_access", &want);
	has_acl("d/d", "system.posix_acl_default", &d);
	CHECK(can_read_as(1000, "d/f") && !can_read_as(1001, "d/f"));
	return 0;
}

/* What acl left, when each list has an entry of no known kind. */
static int acl_malformed(char **argv)
{
	const char *access = "system.posix_acl_access", *def = "system.posix_acl_default";
	char list[256];

	CHECK(!chdir(argv[0]));
	CHECK(getxattr("d/f", access, list, sizeof(list)) < 0 && errno == EIO);
	CHECK(getxattr("d/d", def, list, sizeof(list)) < 0 && errno == EIO);
	CHECK(chmod("d/f", 0666) < 0 && errno == EIO);
	CHECK(mkdir("d/d/x", 0777) < 0 && errno == EIO); /* it would have to inherit */
	CHECK(!can_read_as(1000, "d/f") && !can_read_as(1001, "d/f"));
	CHECK(!removexattr("d/f", access) && !chmod("d/f", 0644) && can_read_as(1001, "d/f"));
	CHECK(!removexattr("d/t", access) && !removexattr("d/d", access) && !removexattr("d/d", def));
	CHECK(!removexattr("d", def) && !mkdir("d/d/x", 0777));
	return 0;
}

/* ---- FIEMAP, FITRIM, shutdown, freeze ---- */

static int fiemap(char **argv)
{
	enum { N = 64 };
	struct fiemap *m = calloc(1, sizeof(*m) + N * sizeof(m->fm_extents[0]));
	int fd = open(argv[0], O_RDONLY);

	CHECK(m && fd >= 0);
	m->fm_length = ~0ull;
	m->fm_extent_count = N;
	CHECK(!ioctl(fd, FS_IOC_FIEMAP, m));
	for (unsigned i = 0; i < m->fm_mapped_extents; i++) {
		struct fiemap_extent *e = &m->fm_extents[i];

		printf("%llu+%llu%s%s%s%s%s%s%s\n", e->fe_logical >> 12, e->fe_length >> 12,
		       e->fe_flags & FIEMAP_EXTENT_ENCODED ? " encoded" : "",
		       e->fe_flags & FIEMAP_EXTENT_DATA_INLINE ? " inline" : "",
		       e->fe_flags & FIEMAP_EXTENT_UNWRITTEN ? " unwritten" : "",
		       e->fe_flags & FIEMAP_EXTENT_UNKNOWN ? " unknown" : "",
		       e->fe_flags & FIEMAP_EXTENT_SHARED ? " shared" : "",
		       e->fe_flags & FIEMAP_EXTENT_LAST ? " last" : "", e->fe_physical ? " placed" : "");
	}
	return 0;
}

static int trim(char **argv)
{
	struct fstrim_range r = {0, ~0ull, 0};
	int fd = open(argv[0], O_RDONLY);

	CHECK(fd >= 0 && !ioctl(fd, FITRIM, &r));
	printf("%llu\n", (unsigned long long)r.len);
	return 0;
}

static int shutdown_(char **argv)
{
	uint32_t flags = (uint32_t)atoi(argv[1]);
	int fd = open(argv[0], O_RDONLY);

	CHECK(fd >= 0 && !ioctl(fd, GOINGDOWN, &flags));
	CHECK(open(argv[0], O_TMPFILE | O_RDWR, 0600) < 0 && errno == EIO);
	return 0;
}

/* Frozen, a writer and a store through mmap wait; thawed, both go on. */
static int freeze(char **argv)
{
	int dir = open(argv[0], O_RDONLY), fd, status;
	pid_t p;
	char *m;

	CHECK(!chdir(argv[0]) && (fd = open("frozen", O_CREAT | O_RDWR | O_TRUNC, 0600)) >= 0);
	CHECK(!ftruncate(fd, 8192));
	CHECK((m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
	CHECK(!unlink("frozen")); /* its last close comes while frozen in the child below, too */
	CHECK(!ioctl(dir, FIFREEZE, 0));
	for (int i = 0; i < 2; i++) {
		p = fork();
		if (!p) {
			if (i)
				m[5000] = 1;
			else if (pwrite(fd, "y", 1, 0) != 1)
				_exit(1);
			_exit(0);
		}
		usleep(300000);
		CHECK(waitpid(p, &status, WNOHANG) == 0);
	}
	CHECK(!ioctl(dir, FITHAW, 0));
	for (int i = 0; i < 2; i++)
		CHECK(wait(&status) > 0 && status == 0);
	CHECK(m[0] == 'y' && m[5000] == 1);
	return 0;
}

/* ---- handles ---- */

struct stored_handle {
	struct file_handle h;
	unsigned char bytes[128];
};

static void handle_get(const char *path, struct stored_handle *s)
{
	int id;

	s->h.handle_bytes = sizeof(s->bytes);
	CHECK(!name_to_handle_at(AT_FDCWD, path, &s->h, &id, 0));
}

static int handle(char **argv)
{
	int dir = open(argv[0], O_RDONLY), fd;
	struct stored_handle f, d, gone;
	char buf[16] = "";
	FILE *out;

	CHECK(dir >= 0 && !chdir(argv[0]));
	CHECK(!mkdir("hd", 0755) && !mkdir("hd/e", 0755));
	CHECK((fd = open("hd/e/f", O_CREAT | O_WRONLY, 0644)) >= 0 && write(fd, "handle", 6) == 6 && !close(fd));
	CHECK((fd = open("hd/gone", O_CREAT | O_WRONLY, 0644)) >= 0 && !close(fd));
	handle_get("hd/e/f", &f);
	handle_get("hd/e", &d);
	handle_get("hd/gone", &gone);
	CHECK(!unlink("hd/gone") && open_by_handle_at(dir, &gone.h, O_RDONLY) < 0 && errno == ESTALE);
	CHECK((fd = open_by_handle_at(dir, &f.h, O_RDONLY)) >= 0 && read(fd, buf, 16) == 6 && !strcmp(buf, "handle"));
	close(fd);
	f.bytes[0] ^= 0x80; /* no inode has that number */
	CHECK(open_by_handle_at(dir, &f.h, O_RDONLY) < 0 && errno == ESTALE);
	f.bytes[0] ^= 0x80;
	f.h.handle_type = 1; /* another filesystem's kind */
	CHECK(open_by_handle_at(dir, &f.h, O_RDONLY) < 0 && errno == ESTALE);
	handle_get("hd/e/f", &f);
	CHECK((out = fopen("/tmp/handles", "w")) && fwrite(&f, sizeof(f), 1, out) == 1 &&
	      fwrite(&d, sizeof(d), 1, out) == 1 && !fclose(out));
	return 0;
}

/* A fresh mount, nothing cached: a directory is connected up to the root, a file is read. */
static int handle_after(char **argv)
{
	int dir = open(argv[0], O_RDONLY), fd;
	struct stored_handle f, d;
	char buf[64] = "", link[64];
	FILE *in = fopen("/tmp/handles", "r");

	CHECK(dir >= 0 && in && fread(&f, sizeof(f), 1, in) == 1 && fread(&d, sizeof(d), 1, in) == 1);
	CHECK((fd = open_by_handle_at(dir, &d.h, O_RDONLY | O_DIRECTORY)) >= 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK(readlink(link, buf, sizeof(buf) - 1) > 0 && strstr(buf, "/hd/e"));
	CHECK(!faccessat(fd, "../../hd/e/f", R_OK, 0));
	CHECK((fd = open_by_handle_at(dir, &f.h, O_RDONLY)) >= 0);
	memset(buf, 0, sizeof(buf));
	CHECK(read(fd, buf, 16) == 6 && !strcmp(buf, "handle"));
	return 0;
}

/* FILE's bytes from SOURCE, through a mapping. A SIGBUS ends the program. */
static int store(char **argv)
{
	static char bytes[4 << 20];
	int from = open(argv[1], O_RDONLY), to = open(argv[0], O_RDWR);
	ssize_t n = read(from, bytes, sizeof(bytes));
	char *p;

	CHECK(n > 0 && to >= 0);
	p = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	CHECK(p != MAP_FAILED);
	memcpy(p, bytes, (size_t)n);
	CHECK(!msync(p, (size_t)n, MS_SYNC));
	return 0;
}

/* ---- load ---- */

static int fsyncs(char **argv)
{
	int n = atoi(argv[1]), count = atoi(argv[2]), status;

	CHECK(!chdir(argv[0]));
	for (int i = 0; i < n; i++) {
		char name[16], block[4096];
		int fd;

		if (fork())
			continue;
		snprintf(name, sizeof(name), "sync%d", i);
		memset(block, 'a' + i, sizeof(block));
		fd = open(name, O_CREAT | O_WRONLY, 0600);
		for (int j = 0; j < count; j++)
			if (pwrite(fd, block, sizeof(block), j * 4096) != sizeof(block) || fsync(fd))
				_exit(1);
		_exit(0);
	}
	while (n--)
		CHECK(wait(&status) > 0 && status == 0);
	return 0;
}

/* The device takes no writes any more: one who did something unsynced is told by syncfs, though another met the error.
 */
static int told(char **argv)
{
	int dir = open(argv[0], O_RDONLY), fd;

	CHECK(dir >= 0 && !chdir(argv[0]) && !mkdir("unsynced", 0755));
	CHECK((fd = open("file", O_CREAT | O_WRONLY, 0600)) >= 0);
	CHECK(fsync(fd) < 0 && errno == EIO);
	CHECK(syncfs(dir) < 0 && errno == EIO);
	CHECK(fsync(dir) < 0 && fsync(fd) < 0 && fdatasync(fd) < 0);
	return 0;
}

/* The open file with this number is one that NFS does not know any more. */
static int stale(char **argv)
{
	struct stat st;
	char byte;
	int fd = atoi(argv[0]);

	CHECK(fstat(fd, &st) < 0 && errno == ESTALE);
	CHECK(pread(fd, &byte, 1, 0) < 0 && (errno == ESTALE || errno == EIO));
	return 0;
}

static sigjmp_buf bus;
static void on_bus(int sig)
{
	siglongjmp(bus, sig);
}

/* Stores into a sparse file larger than the volume: SIGBUS comes, what was stored before stays. */
static int enospc(char **argv)
{
	static volatile size_t at;
	static uint64_t seed = 88172645463325252ull;
	const size_t pages = 262144;
	int fd;
	char *m;

	CHECK(!chdir(argv[0]) && (fd = open("sparse", O_CREAT | O_RDWR | O_TRUNC, 0600)) >= 0);
	CHECK(!ftruncate(fd, (off_t)(pages * 4096)));
	m = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	signal(SIGBUS, on_bus);
	if (!sigsetjmp(bus, 1)) {
		for (at = 0; at < pages; at++)
			for (size_t i = 0; i < 4096; i += 8) {
				seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17; /* does not compress */
				memcpy(m + at * 4096 + i, &seed, 8);
			}
		printf("no SIGBUS; fsync: %d\n", fsync(fd) ? errno : 0);
		return 1;
	}
	printf("SIGBUS after %zu pages\n", at);
	CHECK(at > 1000 && !fsync(fd)); /* what was promised a place got one */
	CHECK(!munmap(m, pages * 4096) && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	seed = 88172645463325252ull;
	for (size_t p = 0; p < at; p++) {
		uint64_t page[512];

		CHECK(pread(fd, page, 4096, (off_t)(p * 4096)) == 4096);
		for (size_t i = 0; i < 512; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			CHECK(page[i] == seed);
		}
	}
	CHECK(!close(fd) && !unlink("sparse"));
	return 0;
}

/* What mmap stores past the end never shows, whichever way the file grows. */
static int tail(char **argv)
{
	CHECK(!chdir(argv[0]));
	for (int how = 0; how < 3; how++) {
		int fd = open("tail", O_CREAT | O_RDWR | O_TRUNC, 0600);
		char buf[4096], *m;

		CHECK(fd >= 0 && pwrite(fd, "abc", 3, 0) == 3);
		CHECK((m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
		memset(m + 3, 'X', 4093);
		if (how == 0)
			CHECK(pwrite(fd, "z", 1, 9000) == 1);
		else if (how == 1)
			CHECK(!ftruncate(fd, 9000));
		else
			CHECK(!fallocate(fd, 0, 0, 9000));
		for (int again = 0; again < 2; again++) {
			CHECK(pread(fd, buf, 4096, 0) == 4096 && !memcmp(buf, "abc", 3));
			for (int i = 3; i < 4096; i++)
				CHECK(!buf[i]);
			CHECK(!fsync(fd) && !munmap(m, 4096) && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
			m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		}
		CHECK(!munmap(m, 4096) && !close(fd));
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(char **argv);
		int args;
	} what[] = {{"acl", acl, 1},       {"acl-after", acl_after, 1}, {"acl-malformed", acl_malformed, 1},
	            {"fiemap", fiemap, 1}, {"trim", trim, 1},           {"shutdown", shutdown_, 2},
	            {"freeze", freeze, 1}, {"handle", handle, 1},       {"handle-after", handle_after, 1},
	            {"fsyncs", fsyncs, 3}, {"store", store, 2},         {"told", told, 1},
	            {"stale", stale, 1},   {"enospc", enospc, 1},       {"tail", tail, 1}};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(what) / sizeof(what[0]); i++)
		if (!strcmp(argv[1], what[i].name) && argc == 2 + what[i].args)
			return what[i].fn(argv + 2);
	fprintf(stderr, "usage: kfeat WHAT ARGUMENT...\n");
	return 2;
}
