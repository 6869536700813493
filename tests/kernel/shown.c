// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a mounted volume shows, as text: see shown.h. Times are left out: the VFS inode may know of later ones than were
 * written. The order is that of the names' bytes.
 */
#define _GNU_SOURCE
#include "tests/kernel/shown.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH 4096
#define DEPTH 16

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
	const unsigned char *p = data;

	while (bytes--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static void say_content(FILE *out, const char *path)
{
	static char buffer[65536];
	uint64_t h = 0xcbf29ce484222325ull;
	int fd = open(path, O_RDONLY);
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
		h = hash(h, buffer, n);
	if (n < 0)
		fprintf(out, " content: %s", strerrorname_np(errno));
	else
		fprintf(out, " content %016llx", (unsigned long long)h);
	if (fd >= 0)
		close(fd);
}

static void say_target(FILE *out, const char *path)
{
	char target[PATH];
	ssize_t n = readlink(path, target, sizeof(target));

	if (n < 0)
		fprintf(out, " target: %s", strerrorname_np(errno));
	else
		fprintf(out, " target %016llx", (unsigned long long)hash(0, target, n));
}

static void say_xattrs(FILE *out, const char *path)
{
	static char names[65536], value[65536];
	ssize_t n = llistxattr(path, names, sizeof(names)), bytes;

	if (n < 0)
		fprintf(out, " xattrs: %s", strerrorname_np(errno));
	for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		bytes = lgetxattr(path, name, value, sizeof(value));
		if (bytes < 0)
			fprintf(out, " %s: %s", name, strerrorname_np(errno));
		else
			fprintf(out, " %s %016llx", name, (unsigned long long)hash(0, value, bytes));
	}
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void say_directory(FILE *out, const char *path, int depth);

static void say_one(FILE *out, const char *path, int depth)
{
	struct stat st;

	if (lstat(path, &st)) {
		fprintf(out, "%s: listed, but lstat says %s\n", path, strerrorname_np(errno));
		return;
	}
	fprintf(out, "%s %o links %lu owner %u:%u size %lld", path, st.st_mode, (unsigned long)st.st_nlink, st.st_uid,
	        st.st_gid, (long long)st.st_size);
	say_xattrs(out, path);
	if (S_ISREG(st.st_mode))
		say_content(out, path);
	if (S_ISLNK(st.st_mode))
		say_target(out, path);
	fputc('\n', out);
	if (S_ISDIR(st.st_mode) && depth < DEPTH)
		say_directory(out, path, depth + 1);
}

static void say_directory(FILE *out, const char *path, int depth)
{
	struct dirent **names;
	char below[PATH];
	int n = scandir(path, &names, not_dots, by_bytes);

	if (n < 0)
		fprintf(out, "%s: scandir says %s\n", path, strerrorname_np(errno));
	for (int i = 0; i < n; i++) {
		if (snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name) < (int)sizeof(below))
			say_one(out, below, depth);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

char *shown(const char *top)
{
	struct statvfs st;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return NULL;
	say_one(out, top, 0);
	if (!statvfs(top, &st)) /* a removed file that stayed, as one nobody finds any more, is counted */
		fprintf(out, "inodes %llu\n", (unsigned long long)(st.f_files - st.f_ffree));
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static void line_copy(char *to, size_t size, const char *from)
{
	size_t n = strcspn(from, "\n");

	snprintf(to, size, "%.*s", (int)n, n ? from : "(nothing)");
}

bool shown_differ(const char *before, const char *after, char *line_before, char *line_after, size_t size)
{
	size_t line = 0;

	if (!strcmp(before, after))
		return false;
	for (size_t i = 0; before[i] && before[i] == after[i]; i++)
		if (before[i] == '\n')
			line = i + 1;
	line_copy(line_before, size, before + line);
	line_copy(line_after, size, after + line);
	return true;
}
