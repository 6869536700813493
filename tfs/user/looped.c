// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Image files behind loop devices: the kernel may have them mounted, and takes no lock that flock(2) would meet. Called
 * before a tool writes an image.
 */
#define _GNU_SOURCE
#include "tfs/user/file_dev.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tfs_looped(const char *path, char *loop, size_t size)
{
	char real[4096], name[300], *line = NULL;
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	size_t room = 0;
	bool hit = false;

	while (d && realpath(path, real) && !hit && (e = readdir(d))) {
		FILE *f;

		if (strncmp(e->d_name, "loop", 4))
			continue;
		snprintf(name, sizeof(name), "/sys/block/%s/loop/backing_file", e->d_name);
		f = fopen(name, "re");
		if (f && getline(&line, &room, f) > 0) {
			line[strcspn(line, "\n")] = 0;
			hit = !strcmp(line, real);
			snprintf(loop, size, "/dev/%.32s", e->d_name);
		}
		if (f)
			fclose(f);
	}
	free(line);
	if (d)
		closedir(d);
	return hit;
}
