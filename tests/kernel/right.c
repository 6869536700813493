// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Files whose content follows from their number, to tell wrong data from data that is refused. usage:
 *   right make FOLDER FIRST END        makes files FIRST to END - 1, each with fsync; ends at the first error, names it
 *   right check FOLDER FIRST END       each is absent, or what can be read of it is as made; prints the counts
 *   right check FOLDER FIRST END all   and all of it is there
 * Exit code 0: so; 1: not so, or making met an error; 2: usage. Used by flaky.sh and devices.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (180 * 1024)
#define PAGE 4096

static uint8_t content[FILE_MAX], found[PAGE];
static unsigned long absent, refused, pages;

/* A third is small, a third does not compress. */
static size_t fill(uint64_t number)
{
	uint64_t x = number * 0x9e3779b97f4a7c15ull + 1;
	size_t size = (x >> 33) % (number % 3 ? FILE_MAX : 900);

	for (size_t i = 0; i < size; i++) {
		if (i % (number % 2 ? 64 : 1) == 0)
			x = x * 6364136223846793005ull + 1442695040888963407ull;
		content[i] = (uint8_t)(x >> 56);
	}
	return size;
}

static void name_of(char *to, const char *folder, uint64_t number)
{
	snprintf(to, 4096, "%s/%llu", folder, (unsigned long long)number);
}

static int make(const char *folder, uint64_t number)
{
	size_t size = fill(number);
	char name[4096];
	int fd, err;

	name_of(name, folder, number);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	errno = fd < 0 ? errno : 0;
	if (!errno && write(fd, content, size) == (ssize_t)size && !fsync(fd))
		return close(fd);
	err = errno;
	printf("file %llu: %s\n", (unsigned long long)number, strerror(err));
	return 1;
}

/* What is not as made is said, and counted. */
static int differs(uint64_t number, const char *what, unsigned long long at)
{
	printf("file %llu: %s at %llu\n", (unsigned long long)number, what, at);
	return 1;
}

static int check_pages(int fd, uint64_t number, size_t size, bool all)
{
	int wrong = 0;

	for (size_t at = 0; at < size; at += PAGE) {
		size_t want = size - at < PAGE ? size - at : PAGE;
		ssize_t n = pread(fd, found, PAGE, (off_t)at);

		pages++;
		refused += n < 0;
		if (n < 0 && errno != EIO)
			wrong += differs(number, strerror(errno), at);
		else if (n < 0)
			wrong += all && differs(number, "not readable", at);
		else if (n > (ssize_t)want || memcmp(found, content + at, (size_t)n))
			wrong += differs(number, "wrong data", at);
		else if (all && n < (ssize_t)want)
			return wrong + differs(number, "cut short", at + (size_t)n);
		else if (n < (ssize_t)want) /* nothing may follow */
			return wrong + (lseek(fd, 0, SEEK_END) > (off_t)(at + (size_t)n)
			                    ? differs(number, "a short read", at)
			                    : 0);
	}
	return wrong;
}

static int check(const char *folder, uint64_t number, bool all)
{
	size_t size = fill(number);
	char name[4096];
	int fd, wrong;

	name_of(name, folder, number);
	fd = open(name, O_RDONLY);
	if (fd < 0) {
		absent += errno == ENOENT;
		refused += errno == EIO;
		return all || (errno != ENOENT && errno != EIO) ? differs(number, strerror(errno), 0) : 0;
	}
	wrong = check_pages(fd, number, size, all);
	close(fd);
	return wrong;
}

int main(int argc, char **argv)
{
	bool making = argc == 5 && !strcmp(argv[1], "make"), all = argc == 6 && !strcmp(argv[5], "all");
	uint64_t i, end;
	int wrong = 0;

	if (!making && !(argc > 4 && !strcmp(argv[1], "check") && (argc == 5 || all)))
		return fprintf(stderr, "usage: right make | check FOLDER FIRST END [all]\n"), 2;
	end = strtoull(argv[4], NULL, 10);
	for (i = strtoull(argv[3], NULL, 10); i < end && !(making && wrong); i++)
		wrong += making ? make(argv[2], i) : check(argv[2], i, all);
	if (!making)
		printf("%lu pages as made but %lu that are refused, %lu files absent\n", pages - refused, refused,
		       absent);
	return wrong != 0;
}
