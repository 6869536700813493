// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What durable operations cost at the block device: each row of the cost table is done N times in a folder, and the
 * kernel's counters of the disk (/sys/block/DISK/stat) say how many KB were written and how often it was flushed for
 * each. usage: rows FOLDER DISK NAME N prepare|0..6     prints a line "NAME|row|KB|flushes" without its end: the caller
 * adds what the disk has taken when the filesystem is unmounted. Row 6 removes what row 3 made.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *disk;
static int dir, file;
static char block[4096];
static unsigned int random_state = 1;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Sectors written and flushes since boot. */
static void counters(unsigned long long out[2])
{
	unsigned long long v[17] = {0};
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	f = fopen(path, "r");
	must(f != NULL, path);
	for (int i = 0; i < 17; i++)
		if (fscanf(f, "%llu", &v[i]) != 1)
			break;
	fclose(f);
	out[0] = v[6];
	out[1] = v[15];
}

static void fill(int i)
{
	for (size_t at = 0; at < sizeof(block); at++) {
		random_state = random_state * 1103515245u + 12345u + (unsigned int)i;
		block[at] = (char)(random_state >> 16);
	}
}

static void create(const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	must(fd >= 0 && write(fd, block, sizeof(block)) == sizeof(block) && !fsync(fd) && !close(fd), name);
}

static void row_append(int i)
{
	(void)i;
	must(lseek(file, 0, SEEK_END) >= 0 && write(file, block, sizeof(block)) == sizeof(block) && !fsync(file),
	     "append");
}

static void row_overwrite(int i)
{
	(void)i;
	must(pwrite(file, block, sizeof(block), 8192) == sizeof(block) && !fdatasync(file), "overwrite");
}

static void row_random(int i)
{
	off_t at = (off_t)((unsigned int)rand() % 1024) * 4096;

	(void)i;
	must(pwrite(file, block, sizeof(block), at) == sizeof(block) && !fsync(file), "random overwrite");
}

static void row_create(int i)
{
	char name[32];

	sprintf(name, "c%d", i);
	create(name);
}

static void row_rename(int i)
{
	char name[32];

	sprintf(name, "to%d", i % 10);
	create("new");
	must(!renameat(dir, "new", dir, name) && !fsync(dir), "rename");
}

static void row_mkdir(int i)
{
	char name[32];

	sprintf(name, "d%d", i);
	must(!mkdirat(dir, name, 0755) && !fsync(dir), "mkdir");
}

static void row_unlink(int i)
{
	char name[32];

	sprintf(name, "c%d", i);
	must(!unlinkat(dir, name, 0) && !fsync(dir), "unlink");
}

static const struct row {
	const char *what;
	void (*run)(int i);
} rows[] = {
    {"append 4 KiB + fsync", row_append},
    {"overwrite 4 KiB + fdatasync", row_overwrite},
    {"random 4 KiB overwrite + fsync", row_random},
    {"create + 4 KiB + fsync", row_create},
    {"create + 4 KiB + fsync + rename + fsync(dir)", row_rename},
    {"mkdir + fsync(dir)", row_mkdir},
    {"unlink + fsync(dir)", row_unlink},
};

static void prepare(void)
{
	for (int i = 0; i < 1024; i++) {
		fill(i);
		must(write(file, block, sizeof(block)) == sizeof(block), "write");
	}
	must(!fsync(file), "fsync");
}

int main(int argc, char **argv)
{
	int n = argc == 6 ? atoi(argv[4]) : 0;
	unsigned int r = argc == 6 ? (unsigned int)atoi(argv[5]) : 0;
	unsigned long long before[2], after[2];

	if (n < 1 || r >= sizeof(rows) / sizeof(*rows))
		return fprintf(stderr, "usage: rows FOLDER DISK NAME N prepare|0..6\n"), 2;
	disk = argv[2];
	dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	must(dir >= 0, argv[1]);
	file = openat(dir, "file", O_RDWR | O_CREAT, 0644);
	must(file >= 0, "file");
	if (!strcmp(argv[5], "prepare"))
		return prepare(), 0;
	if (rows[r].run != row_unlink)
		rows[r].run(n); /* the first is not like the others */
	counters(before);
	for (int i = 0; i < n; i++) {
		fill(i);
		rows[r].run(i);
	}
	counters(after);
	printf("%s|%s|%.1f|%.2f", argv[3], rows[r].what, (double)(after[0] - before[0]) / 2 / n,
	       (double)(after[1] - before[1]) / n);
	return 0;
}
