// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * FICLONE, FICLONERANGE, FIDEDUPERANGE and copy_file_range as ext4's, XFS's and btrfs's users know them. usage: clones
 * DIR OTHER_FILESYSTEM; or clones append FROM TO; 0: as it should be, 1: not, with a message. What is left in DIR is compared after a remount by
 * job_clone.sh. Linked statically, run as root in the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			printf("clones: line %d: %s: errno %d (%s)\n", __LINE__, #cond, errno, strerror(errno));       \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

#define BLOCKS 70u
#define SIZE (BLOCKS * 4096u + 100)

static uint8_t data[SIZE], got[2 * SIZE];

/* Blocks of a window compress or do not, by turns. */
static void fill(uint8_t seed)
{
	uint32_t r = seed * 2654435761u + 1;

	for (uint32_t i = 0; i < SIZE; i++) {
		r = r * 1664525u + 1013904223u;
		data[i] = i / 65536 % 2 ? (uint8_t)(i / 512 + seed) : (uint8_t)(r >> 24);
	}
}

static int make(const char *name, const void *content, size_t n)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && pwrite(fd, content, n, 0) == (ssize_t)n);
	return fd;
}

static int range(int to, uint64_t at, int from, uint64_t off, uint64_t len)
{
	struct file_clone_range r = {.src_fd = from, .src_offset = off, .src_length = len, .dest_offset = at};

	return ioctl(to, FICLONERANGE, &r) ? errno : 0;
}

static bool holds(int fd, uint64_t at, const void *want, size_t n)
{
	return pread(fd, got, n, (off_t)at) == (ssize_t)n && !memcmp(got, want, n);
}

static off_t size(int fd)
{
	struct stat st;

	CHECK(!fstat(fd, &st));
	return st.st_size;
}

static void whole(void)
{
	int a = make("a", data, SIZE), b = make("b", "other", 5), c;
	struct stat st;

	CHECK(!ioctl(b, FICLONE, a));
	CHECK(size(b) == SIZE && holds(b, 0, data, SIZE));
	CHECK(!fstat(b, &st) && st.st_blocks >= BLOCKS * 8);
	/* each goes its own way */
	CHECK(pwrite(b, "changed", 7, 5 * 4096) == 7 && holds(a, 0, data, SIZE));
	CHECK(pwrite(a, "another", 7, 20 * 4096) == 7 && holds(b, 20 * 4096, data + 20 * 4096, 4096));
	CHECK(!ftruncate(a, 0) && holds(b, 6 * 4096, data + 6 * 4096, SIZE - 6 * 4096));
	c = make("small", "inline", 6);
	CHECK(!ioctl(make("small2", "", 0), FICLONE, c));
	CHECK(!ioctl(b, FICLONE, c) || errno == EINVAL); /* the end of one amid the other */
	CHECK(holds(open("small2", O_RDONLY), 0, "inline", 6) && size(b) == SIZE);
}

static void ranges(void)
{
	int a = make("r", data, SIZE), b = make("r2", data, 4096);

	CHECK(!range(b, 7 * 4096, a, 3 * 4096, 30 * 4096)); /* at another place of its window, past the end */
	memset(got + SIZE, 0, SIZE);
	CHECK(size(b) == 37 * 4096 && holds(b, 7 * 4096, data + 3 * 4096, 30 * 4096));
	CHECK(holds(b, 4096, got + SIZE, 6 * 4096));
	CHECK(!range(b, 40 * 4096, a, 60 * 4096, 0)); /* to the end */
	CHECK(size(b) == 40 * 4096 + 10 * 4096 + 100 && holds(b, 40 * 4096, data + 60 * 4096, 10 * 4096 + 100));
	CHECK(range(b, 0, a, 100, 4096) == EINVAL && range(b, 100, a, 0, 4096) == EINVAL);
	CHECK(range(b, 0, a, 0, 100) == EINVAL);
	CHECK(range(b, 0, a, 60 * 4096, 20 * 4096) == EINVAL); /* past the end */
	CHECK(range(b, 0, a, 70 * 4096, 0) == EINVAL);         /* its last part amid the other */
	CHECK(range(a, 4096, a, 0, 2 * 4096) == EINVAL);       /* onto itself */
	CHECK(!range(a, 30 * 4096, a, 1 * 4096, 29 * 4096) && holds(a, 30 * 4096, data + 4096, 29 * 4096));
	CHECK(!range(a, 30 * 4096, a, 2 * 4096, 20 * 4096) && holds(a, 30 * 4096, data + 2 * 4096, 20 * 4096));
	CHECK(range(open("r2", O_RDONLY), 0, a, 0, 4096) == EBADF);
	CHECK(range(b, 0, open("r", O_WRONLY), 0, 4096) == EBADF);
	CHECK(range(b, 0, open(".", O_RDONLY), 0, 4096) == EISDIR);
	CHECK(!ftruncate(a, 3 * 4096) && holds(b, 7 * 4096, data + 3 * 4096, 30 * 4096));
}

static void other_filesystem(const char *other)
{
	char name[200];
	int fd, a = make("x", data, 8192);

	snprintf(name, sizeof(name), "%s/clone", other);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	CHECK(fd >= 0 && ioctl(fd, FICLONE, a) && (errno == EXDEV || errno == EOPNOTSUPP));
	CHECK(ioctl(a, FICLONE, fd) && (errno == EXDEV || errno == EOPNOTSUPP));
}

static void holes(void)
{
	int a = make("h", data, 4096), b = make("h2", data, SIZE);

	CHECK(!ftruncate(a, 1ll << 40) && pwrite(a, data, 8192, (1ll << 40) - 8192) == 8192);
	CHECK(!ioctl(b, FICLONE, a)); /* without a step for each window */
	CHECK(size(b) == 1ll << 40 && holds(b, 0, data, 4096) && holds(b, (1ull << 40) - 8192, data, 8192));
	CHECK(lseek(b, 4096, SEEK_DATA) == (1ll << 40) - 8192);
	CHECK(!fallocate(a, 0, 4096, 100 * 4096) && !ioctl(b, FICLONE, a)); /* what is promised is a hole */
	CHECK(lseek(b, 4096, SEEK_DATA) == (1ll << 40) - 8192);
}

static void mapped(void)
{
	int a = make("m", data, SIZE), b = make("m2", data, SIZE);
	uint8_t *ma = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	uint8_t *mb = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b, 0);

	CHECK(ma != MAP_FAILED && mb != MAP_FAILED);
	for (uint32_t i = 0; i < SIZE; i += 1000)
		ma[i] ^= 0xff; /* dirty through the mapping alone */
	for (uint32_t i = 0; i < SIZE; i += 3000)
		mb[i] ^= 0x55; /* is to go */
	CHECK(!ioctl(b, FICLONE, a) && !memcmp(ma, mb, SIZE));
	ma[7] ^= 1;
	CHECK(mb[7] != ma[7] && (mb[7] ^= 1, mb[7] == ma[7]));
	mb[50000] ^= 1;
	CHECK(mb[50000] != ma[50000]);
	CHECK(!msync(ma, SIZE, MS_SYNC) && !msync(mb, SIZE, MS_SYNC));
	CHECK(holds(a, 0, ma, SIZE) && holds(b, 0, mb, SIZE));
}

static int dedupe(int from, uint64_t off, uint64_t len, int to, uint64_t at, uint64_t *bytes)
{
	union {
		struct file_dedupe_range r;
		char space[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
	} d;

	memset(&d, 0, sizeof(d));
	d.r.src_offset = off;
	d.r.src_length = len;
	d.r.dest_count = 1;
	d.r.info[0].dest_fd = to;
	d.r.info[0].dest_offset = (__s64)at;
	if (ioctl(from, FIDEDUPERANGE, &d))
		return errno;
	*bytes = d.r.info[0].bytes_deduped;
	return d.r.info[0].status;
}

static void dedupes(void)
{
	int a = make("d", data, SIZE), b = make("d2", data, SIZE);
	struct stat before, after;
	uint64_t n;

	CHECK(!fsync(b) && !fstat(b, &before));
	CHECK(dedupe(a, 0, SIZE, b, 0, &n) == FILE_DEDUPE_RANGE_SAME && n >= BLOCKS * 4096);
	CHECK(!fstat(b, &after) && !memcmp(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim)));
	CHECK(pwrite(b, "x", 1, 10000) == 1 && holds(a, 0, data, SIZE));
	CHECK(dedupe(a, 0, 65536, b, 0, &n) == FILE_DEDUPE_RANGE_DIFFERS && !n);
	CHECK(holds(b, 16384, data + 16384, SIZE - 16384) && pread(b, got, 1, 10000) == 1 && got[0] == 'x');
	CHECK(dedupe(a, 100, 4096, b, 0, &n) == EINVAL || n == 0);
	CHECK(dedupe(a, 4096, 4096, a, 40960, &n) == FILE_DEDUPE_RANGE_DIFFERS);
}

/* A part of a block is not shared amid a file; that it is the same is said only when it is. */
static void dedupes_parts(void)
{
	int a = make("p", data, SIZE), b = make("p2", data, SIZE);
	uint64_t n;

	CHECK(pwrite(b, "xy", 2, 3 * 4096 + 60) == 2 && data[3 * 4096 + 60] != 'x');
	CHECK(dedupe(a, 0, 100, b, 0, &n) == FILE_DEDUPE_RANGE_SAME && n <= 100);
	CHECK(dedupe(a, 0, 100, b, 3 * 4096, &n) == FILE_DEDUPE_RANGE_DIFFERS && !n);
	CHECK(dedupe(a, 0, 3 * 4096 + 60, b, 0, &n) == FILE_DEDUPE_RANGE_SAME && n >= 3 * 4096 && n <= 3 * 4096 + 60);
	CHECK(dedupe(a, 0, 3 * 4096 + 61, b, 0, &n) == FILE_DEDUPE_RANGE_DIFFERS && !n);
	CHECK(holds(a, 0, data, SIZE) && holds(b, 4 * 4096, data + 4 * 4096, SIZE - 4 * 4096));
}

static void copies(void)
{
	int a = make("c", data, SIZE), b = make("c2", data, 100);
	loff_t in = 8192, out = 16384;

	CHECK(copy_file_range(a, &in, b, &out, 40 * 4096, 0) == 40 * 4096);
	CHECK(holds(b, 16384, data + 8192, 40 * 4096) && holds(b, 0, data, 100));
	in = 77, out = 4099; /* not to be shared: copied */
	CHECK(copy_file_range(a, &in, b, &out, 5000, 0) == 5000 && holds(b, 4099, data + 77, 5000));
}

/* A writer of whole blocks, each of one byte: a clone amid it holds whole blocks. Two clone both ways. */
static void writers(void)
{
	static uint8_t block[4096];
	int a = make("w", "", 0), b = make("w2", "", 0), status;
	pid_t child[3];

	for (uint32_t i = 0; i < 64; i++) {
		memset(block, (int)i, sizeof(block));
		CHECK(pwrite(a, block, 4096, i * 4096) == 4096 && pwrite(b, block, 4096, i * 4096) == 4096);
	}
	for (int p = 0; p < 3; p++)
		if (!(child[p] = fork())) {
			for (uint32_t i = 0; i < 60; i++) {
				memset(block, (int)(i * 7 + p), sizeof(block));
				if (!p)
					CHECK(pwrite(i % 2 ? a : b, block, 4096, i * 13 % 64 * 4096) == 4096);
				else
					CHECK(!(p == 1 ? range(a, i % 5 * 4096, b, i % 7 * 4096, 30 * 4096)
					               : range(b, i % 9 * 4096, a, i % 4 * 4096, 40 * 4096)));
			}
			exit(0);
		}
	for (int p = 0; p < 3; p++)
		CHECK(waitpid(child[p], &status, 0) == child[p] && !status);
	for (uint32_t i = 0; i < 128; i++) {
		CHECK(pread(i < 64 ? a : b, got, 4096, i % 64 * 4096) == 4096);
		for (uint32_t j = 1; j < 4096; j++)
			CHECK(got[j] == got[0]);
	}
}

/* All of `from` behind the end of `to`, which is at a block. */
static int append(const char *from, const char *to)
{
	int a = open(from, O_RDONLY), b = open(to, O_RDWR);

	CHECK(a >= 0 && b >= 0 && !range(b, (uint64_t)size(b), a, 0, 0));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "append"))
		return append(argv[2], argv[3]);
	CHECK(argc == 3 && !chdir(argv[1]));
	fill(1);
	whole();
	ranges();
	other_filesystem(argv[2]);
	holes();
	mapped();
	dedupes();
	dedupes_parts();
	copies();
	writers();
	return 0;
}
