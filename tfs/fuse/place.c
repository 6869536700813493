// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What a FUSE mount of ours begins with: is the place fit, and what it shows as its source. Called before the mount. */
#define _GNU_SOURCE
#include "tfs/fuse/view.h"
#include "tfs/user/cli.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opened, for what stat(2) would say may be remembered. */
static bool dead_mount(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTCONN;
	close(fd);
	return false;
}

int fuse_place_check(const char *dir, int code)
{
	struct stat st;

	if (dead_mount(dir))
		return tfs_cli_fail(code, dir, "holds a mount whose program has died; first: fusermount3 -u %s", dir);
	if (stat(dir, &st))
		return tfs_cli_fail(code, dir, "%s", strerror(errno));
	/* libfuse would mount over a file, and nothing could be done with that but unmounting it */
	return S_ISDIR(st.st_mode) ? 0 : tfs_cli_fail(code, dir, "expected a directory to mount on");
}

/* Comma and backslash have a meaning in options. */
void fuse_source_add(char *list, size_t room, const char *source)
{
	char real[PATH_MAX];
	size_t used = strlen(list);
	const char *s = realpath(source, real) ? real : source;

	if (strstr(list, ",fsname=") || used + 2 * strlen(s) + 9 > room)
		return;
	used += (size_t)sprintf(list + used, ",fsname=");
	for (; *s; s++) {
		if (*s == ',' || *s == '\\')
			list[used++] = '\\';
		list[used++] = *s;
	}
	list[used] = 0;
}
