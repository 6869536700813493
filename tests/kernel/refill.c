// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fills a volume to ENOSPC, removes files of it at random, and fills it again, for SECONDS: by write and by stores into
 * preallocated mappings, synced or not. What was accepted is read back; sync and the sync of a file never fail; while
 * no snapshot holds them files can always be removed and cut. At the end all is checked and removed, and the volume
 * must have the room that it had. usage: refill FOLDER SECONDS SEED [SNAPSHOTS]   SNAPSHOTS: made in one cycle of four by
 * the program `tfs`. Exit code 0, or 1 and what was wrong. Called by tests/kernel/refill.sh, in the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define FILES 400
#define BLOCK 4096
#define BLOCKS_MAX 128 /* of a file */
#define POOL 96        /* blocks that the module may keep promised in advance (kernel/linux/reserve.c) */

static struct file {
	bool there;
	unsigned int version;
	size_t bytes;
} files[FILES];
static const char *folder;
static unsigned int versions, cycles, fulls, snapshots, buses;
static bool held; /* by a snapshot */
static uint64_t state;
static unsigned char want[BLOCKS_MAX * BLOCK], got[BLOCKS_MAX * BLOCK];

static uint64_t rnd(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 24;
}

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void wrong(const char *fmt, ...)
{
	int err = errno;
	va_list args;

	printf("FAILED: cycle %u: ", cycles);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(" (%s)\n", strerror(err));
	exit(1);
}

/* What a file of this version holds; a third of them compress. */
static void fill(unsigned char *to, size_t bytes, unsigned int version)
{
	uint64_t x = version * 0x9e3779b97f4a7c15ull | 1;

	for (size_t i = 0; i < bytes; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(to + i, version % 3 || i % 64 == 0 ? (void *)&x : "log-stru", 8);
	}
}

static const char *path(int f)
{
	static char name[4096];

	snprintf(name, sizeof(name), "%s/f%d", folder, f);
	return name;
}

/* ---- making ---- */

static sigjmp_buf back;

static void bus(int signal)
{
	siglongjmp(back, signal);
}

/* Page by page. Under a snapshot a store may meet SIGBUS though fallocate promised its block: the leaves that it changes
 * are growth then. What was stored before stays. */
static size_t store(int fd, unsigned char *p, size_t bytes)
{
	static volatile size_t done;

	done = 0;
	if (sigsetjmp(back, 1)) {
		if (!held)
			wrong("a store into what fallocate promised met SIGBUS");
		buses++;
		if (ftruncate(fd, (off_t)done))
			wrong("truncate after a store");
		return done;
	}
	for (; done<bytes; done += done + BLOCK> bytes ? bytes - done : BLOCK)
		memcpy(p + done, want + done, done + BLOCK > bytes ? bytes - done : BLOCK);
	return bytes;
}

static size_t by_mapping(int fd, size_t bytes)
{
	unsigned char *p;
	size_t done;

	if (fallocate(fd, 0, 0, (off_t)bytes)) {
		if (errno != ENOSPC)
			wrong("fallocate");
		if (ftruncate(fd, 0))
			wrong("truncate after fallocate");
		return 0;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		wrong("mmap");
	done = store(fd, p, bytes);
	if (munmap(p, bytes))
		wrong("munmap");
	return done;
}

static size_t by_write(int fd, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = write(fd, want + done, bytes - done);

		if (n < 0 && errno == ENOSPC)
			break;
		if (n <= 0)
			wrong("write");
		done += (size_t)n;
	}
	return done;
}

/* False: the volume is full. */
static bool make(int f)
{
	size_t bytes = (1 + rnd() % BLOCKS_MAX) * BLOCK - (rnd() % 2 ? rnd() % BLOCK : 0);
	int fd = open(path(f), O_CREAT | O_EXCL | O_RDWR, 0600);

	if (fd < 0) {
		if (errno != ENOSPC)
			wrong("creating %s", path(f));
		return false;
	}
	files[f] = (struct file){.there = true, .version = ++versions};
	fill(want, (bytes + 7) & ~(size_t)7, versions);
	files[f].bytes = rnd() % 4 ? by_write(fd, bytes) : by_mapping(fd, bytes);
	if (rnd() % 8 == 0 && fsync(fd))
		wrong("fsync of %s, %zu bytes of it accepted", path(f), files[f].bytes);
	if (close(fd))
		wrong("close");
	return files[f].bytes == bytes;
}

static void check(int f)
{
	int fd = open(path(f), O_RDONLY);
	ssize_t n;

	if (fd < 0)
		wrong("opening %s", path(f));
	if (rnd() % 4 &&
	    (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))) /* from the volume, not from memory */
		wrong("fsync of %s before it is read again", path(f));
	n = read(fd, got, sizeof(got));
	close(fd);
	fill(want, (files[f].bytes + 7) & ~(size_t)7, files[f].version);
	if (n != (ssize_t)files[f].bytes)
		wrong("%s: expected %zu bytes, found %zd", path(f), files[f].bytes, n);
	for (size_t i = 0; i < files[f].bytes; i++)
		if (got[i] != want[i])
			wrong("%s: byte %zu is not what was accepted", path(f), i);
}

/* ---- removing ---- */

/* While a snapshot holds what was there it is growth, and may find no space. */
static void removed(int err, const char *what, int f)
{
	if (err && !(held && errno == ENOSPC))
		wrong("%s of %s on a full volume", what, path(f));
}

static void drop(int f)
{
	int err = unlink(path(f));

	removed(err, "unlink", f);
	files[f].there = err;
}

static void cut(int f)
{
	size_t bytes = rnd() % (files[f].bytes + 1);
	int err = truncate(path(f), (off_t)bytes);

	removed(err, "truncate", f);
	if (!err)
		files[f].bytes = bytes;
}

static void empty(unsigned int of)
{
	for (int f = 0; f < FILES; f++) {
		if (!files[f].there || rnd() % 8 >= of)
			continue;
		if (rnd() % 16 == 0)
			check(f);
		if (of < 8 && rnd() % 8 == 0)
			cut(f);
		else
			drop(f);
	}
}

/* ---- snapshots: ioctls are the tool's ---- */

static int tool(const char *command)
{
	char line[4200];

	snprintf(line, sizeof(line), "tfs snapshot %s %s refill >/dev/null 2>&1", command, folder);
	return system(line);
}

static void snapshot_make(void)
{
	held = tool("create") == 0;
	snapshots += held;
}

static void snapshot_end(void)
{
	if (held && tool("delete"))
		wrong("a snapshot cannot be deleted");
	held = false;
}

/* ---- all ---- */

static void cycle(bool snaps)
{
	int f = (int)(rnd() % FILES), tries;
	bool more = true;

	if (snaps && rnd() % 4 == 0)
		snapshot_make();
	for (tries = 0; more && tries < FILES; tries++, f = (f + 1) % FILES)
		if (!files[f].there)
			more = make(f);
	fulls += !more;
	if (snaps && !held && rnd() % 16 == 0)
		snapshot_make();
	empty(1 + (unsigned int)(rnd() % 8));
	snapshot_end();
	if (rnd() % 16 == 0) {
		int fd = open(folder, O_RDONLY);

		if (fd < 0 || syncfs(fd))
			wrong("syncfs of a full volume");
		close(fd);
	}
	cycles++;
}

static long long available(void)
{
	long long last = -1, now;
	struct statvfs st;
	int tries = 0;

	do { /* what was removed comes free by threads and checkpoints; until it stays as it is */
		if (last >= 0)
			sleep(1);
		last = tries ? (long long)st.f_bavail : -1;
		sync();
		if (statvfs(folder, &st))
			wrong("statvfs");
		now = (long long)st.f_bavail;
	} while (tries++ < 60 && now != last);
	return now;
}

int main(int argc, char **argv)
{
	long long before, after;
	time_t end;

	if (argc != 4 && argc != 5)
		return fprintf(stderr, "usage: refill FOLDER SECONDS SEED [SNAPSHOTS]\n"), 2;
	folder = argv[1];
	end = time(NULL) + atol(argv[2]);
	state = strtoull(argv[3], NULL, 10) * 2 + 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGBUS, bus);
	before = available();
	while (time(NULL) < end)
		cycle(argc == 5);
	for (int f = 0; f < FILES; f++)
		if (files[f].there)
			check(f);
	empty(8);
	after = available();
	errno = 0;
	if (after + POOL + 16 < before || after > before + POOL + 16)
		wrong("%lld blocks are available when empty, %lld were before", after, before);
	printf("%u cycles, %u times full, %u snapshots, %u stores refused; nothing lost or leaked\n", cycles, fulls,
	       snapshots, buses);
	return fulls ? 0 : 1;
}
