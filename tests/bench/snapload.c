// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The two things that tests/bench/snapshot.sh does to its many files, without a process for each.
 * snapload change FOLDER FROM TO STEP: the first 4 KiB of every STEP-th of the files d%04d/f%06d from FROM to before TO, a
 * hundred in a folder, are written anew; prints how many. snapload walk FOLDER: every name below is met and its attributes are asked for,
 * as by rsync or a backup that knows no snapshots; prints how many are files.
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_FOLDER 100

static int files;

static void must(int ok, const char *of)
{
	if (ok)
		return;
	perror(of);
	exit(1);
}

/* What is written differs from what another step wrote. */
static void change(const char *folder, int i, int step)
{
	static char block[4096];
	char name[300];
	int fd;

	snprintf(name, sizeof(name), "%s/d%04d/f%06d", folder, i / IN_FOLDER, i);
	memset(block, i, sizeof(block));
	memcpy(block, &i, sizeof(i));
	memcpy(block + sizeof(i), &step, sizeof(step));
	fd = open(name, O_WRONLY);
	must(fd >= 0 && pwrite(fd, block, sizeof(block), 0) == sizeof(block) && !close(fd), name);
	files++;
}

static int met(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)at;
	files += type == FTW_F && st->st_size > 0;
	return type == FTW_NS || type == FTW_DNR;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "change"))
		for (int i = atoi(argv[3]); i < atoi(argv[4]); i += atoi(argv[5]))
			change(argv[2], i, atoi(argv[5]));
	else if (argc == 3 && !strcmp(argv[1], "walk"))
		must(!nftw(argv[2], met, 20, FTW_PHYS), argv[2]);
	else
		return fprintf(stderr, "usage: snapload change FOLDER FROM TO STEP | snapload walk FOLDER\n"), 2;
	printf("%d\n", files);
	return 0;
}
