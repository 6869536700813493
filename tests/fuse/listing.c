// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * telldir and seekdir while names come and go and others list the same directory: what followed a position before
 * follows it again, though the entry before it is gone. usage: listing NEW-DIRECTORY NAMES SEED ROUNDS
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path;
static int dir;

static void name_make(char letter, int n)
{
	char name[20];
	int fd;

	snprintf(name, sizeof(name), "%c%d", letter, n);
	fd = openat(dir, name, O_CREAT | O_RDWR, 0644);
	if (fd < 0 || close(fd)) {
		perror("listing: creating a name");
		exit(1);
	}
}

static void next(DIR *d, char *name)
{
	struct dirent *e = readdir(d);

	strcpy(name, e ? e->d_name : "(end)");
}

/* Another reader, up to the end or only some way. */
static void other_lists(int most)
{
	DIR *d = opendir(path);

	while (most-- && readdir(d))
		;
	closedir(d);
}

static bool round_sound(DIR *d, int n, int names)
{
	char before[300] = ".", want[300], found[300];
	int stop = rand() % names;
	long pos;

	rewinddir(d);
	for (int i = 0; i <= stop; i++)
		next(d, before);
	pos = telldir(d);
	next(d, want);
	if (before[0] == 'a' && rand() % 2)
		unlinkat(dir, before, 0);
	else
		name_make('b', n);
	for (int i = rand() % 3; i; i--)
		other_lists(rand() % 3 ? -1 : rand() % names);
	seekdir(d, pos);
	do /* the name just made may come first */
		next(d, found);
	while (found[0] == 'b' && strcmp(found, want));
	if (!strcmp(found, want))
		return true;
	fprintf(stderr, "listing: after entry %d, %s: expected %s, found %s\n", stop, before, want, found);
	return false;
}

int main(int argc, char **argv)
{
	int names, bad = 0;
	DIR *d;

	if (argc != 5 || mkdir(argv[1], 0755))
		return fputs("usage: listing NEW-DIRECTORY NAMES SEED ROUNDS\n", stderr), 2;
	path = argv[1];
	names = atoi(argv[2]);
	srand((unsigned)atoi(argv[3]));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	d = opendir(path);
	if (dir < 0 || !d)
		return perror(path), 1;
	for (int i = 0; i < names; i++)
		name_make('a', i);
	for (int i = 0; i < atoi(argv[4]); i++)
		bad += !round_sound(d, i, names);
	if (bad)
		fprintf(stderr, "repeat: listing %s %s %s %s\n", argv[1], argv[2], argv[3], argv[4]);
	return bad != 0;
}
