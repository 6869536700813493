// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fills a volume through mmap: files are made with holes and stored to, page by page, until a store meets SIGBUS. What
 * was stored before and then said durable by msync must be read back after. usage: full FOLDER BYTES-OF-A-FILE Exit
 * code 0: full was met and nothing is lost; 1: lost, or never full.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define FILES_MAX 400

static sigjmp_buf back;

static void bus(int signal)
{
	siglongjmp(back, signal);
}

static void page_fill(uint64_t *to, uint64_t seed)
{
	for (int i = 0; i < PAGE / 8; i++)
		to[i] = seed = seed * 6364136223846793005ull + 1442695040888963407ull; /* does not compress */
}

/* The page that is stored as the i-th of n (a power of two where there is a stride). */
static size_t place(size_t i, size_t n, size_t stride)
{
	return stride ? i * stride % n : i;
}

static int map(const char *folder, int n, size_t bytes, int flags, uint8_t **out)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/m%d", folder, n);
	fd = open(path, flags, 0644);
	if (fd < 0 || (flags & O_CREAT && ftruncate(fd, (off_t)bytes)))
		return close(fd), -1;
	*out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return *out == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	static volatile int files, pages;
	size_t bytes = argc >= 3 ? strtoul(argv[2], NULL, 10) & ~(size_t)(PAGE - 1) : 0;
	size_t stride = argc == 4 ? strtoul(argv[3], NULL, 10) | 1 : 0;
	static uint64_t want[PAGE / 8];
	static uint8_t *volatile p;
	static volatile int wrong;

	if (!bytes || (stride && bytes & (bytes - 1)))
		return fprintf(
		           stderr,
		           "usage: full FOLDER BYTES-OF-A-FILE [STRIDE]   (a power of two where there is a stride)\n"),
		       2;
	signal(SIGBUS, bus);
	if (!sigsetjmp(back, 1)) {
		for (files = 0; files < FILES_MAX; files++) {
			uint8_t *new;

			pages = 0;
			if (map(argv[1], files, bytes, O_RDWR | O_CREAT | O_EXCL, &new))
				break; /* not even a name fits */
			p = new;
			for (; (size_t)pages < bytes / PAGE; pages++) {
				uint8_t *to = p + place((size_t)pages, bytes / PAGE, stride) * PAGE;

				page_fill((uint64_t *)to, (uint64_t)files << 32 | (uint64_t)pages);
				if (stride && pages % 10 == 0 && msync(to, PAGE, MS_SYNC))
					return printf("msync of a page: %s\n", strerror(errno)), 1;
			}
			if (msync(p, bytes, MS_SYNC))
				return printf("msync of what was stored: %s\n", strerror(errno)), 1;
			munmap(p, bytes);
		}
	} else if (msync(p, bytes, MS_SYNC)) {
		return printf("msync after SIGBUS: %s\n", strerror(errno)), 1;
	}
	if (files == FILES_MAX)
		return printf("%d files of %zu bytes fit: make the volume smaller\n", files, bytes), 1;
	for (int f = 0; f <= files && !wrong; f++) {
		uint8_t *q;
		size_t n = f < files ? bytes / PAGE : (size_t)pages;

		if (map(argv[1], f, bytes, O_RDWR, &q)) {
			wrong = n ? printf("file %d: %s\n", f, strerror(errno)) : 0;
			continue;
		}
		for (size_t i = 0; i < n && !wrong; i++) {
			page_fill(want, (uint64_t)f << 32 | i);
			if (memcmp(want, q + place(i, bytes / PAGE, stride) * PAGE, PAGE))
				wrong = printf("file %d differs in page %zu\n", f, i);
		}
		munmap(q, bytes);
	}
	printf("full after %d files and %d pages\n", files, pages);
	return wrong ? 1 : 0;
}
