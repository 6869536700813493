// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Many small files. usage: files create|stat|list|unlink FOLDER N
 * create: N files of 1 KiB in folders of 1000; stat: each by its name; list: every folder read; unlink: all, and the
 * folders.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_FOLDER 1000
static int top;

static void must(int ok, const char *of)
{
	if (ok)
		return;
	perror(of);
	exit(1);
}

static void name_of(char *name, int i)
{
	sprintf(name, "d%d/a-small-file-%d", i / IN_FOLDER, i);
}

static void create(int i)
{
	static char data[1024];
	char name[64], folder[32];
	int fd;

	sprintf(folder, "d%d", i / IN_FOLDER);
	if (i % IN_FOLDER == 0)
		must(!mkdirat(top, folder, 0755), folder);
	name_of(name, i);
	memset(data, 'a' + i % 26, sizeof(data));
	fd = openat(top, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	must(fd >= 0 && write(fd, data, sizeof(data)) == sizeof(data) && !close(fd), name);
}

static void look(int i)
{
	struct stat st;
	char name[64];

	name_of(name, i);
	must(!fstatat(top, name, &st, 0) && st.st_size == 1024, name);
}

static void list(int i)
{
	char folder[32];
	int names = 0;
	DIR *d;

	if (i % IN_FOLDER)
		return;
	sprintf(folder, "d%d", i / IN_FOLDER);
	d = fdopendir(openat(top, folder, O_RDONLY | O_DIRECTORY));
	must(d != NULL, folder);
	while (readdir(d))
		names++;
	must(names > 2, folder);
	closedir(d);
}

static void removed(int i, int n)
{
	char name[64], folder[32];

	name_of(name, i);
	must(!unlinkat(top, name, 0), name);
	sprintf(folder, "d%d", i / IN_FOLDER);
	if (i % IN_FOLDER == IN_FOLDER - 1 || i == n - 1)
		must(!unlinkat(top, folder, AT_REMOVEDIR), folder);
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[3]) : 0;

	if (n < 1 || !strchr("cslu", *argv[1]))
		return fprintf(stderr, "usage: files create|stat|list|unlink FOLDER N\n"), 2;
	top = open(argv[2], O_RDONLY | O_DIRECTORY);
	must(top >= 0, argv[2]);
	for (int i = 0; i < n; i++)
		switch (*argv[1]) {
		case 'c':
			create(i);
			break;
		case 's':
			look(i);
			break;
		case 'l':
			list(i);
			break;
		default:
			removed(i, n);
		}
	return 0;
}
