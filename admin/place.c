// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Paths within the target, mounted or not: the number of the file or directory there. Links are not followed, and what
 * is mounted below is not entered. Called by commands that take --path.
 */
#define _GNU_SOURCE
#include "admin/admin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the mounted volume, and not of another that is mounted in it. */
static int mounted_find(const struct admin *a, const char *path, u64 *ino, bool *dir)
{
	struct stat top, st;
	int fd = openat(a->target.fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(a->target.fd, &top) || fstat(fd, &st))
		err = -errno;
	else if (st.st_dev != top.st_dev || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		err = -EINVAL;
	close(fd);
	*ino = st.st_ino;
	*dir = S_ISDIR(st.st_mode);
	return err;
}

static int image_find(const struct admin *a, const char *path, u64 *ino, bool *dir)
{
	u8 type = 4;

	*ino = TFS_INO_ROOT;
	while (*(path += strspn(path, "/"))) {
		u32 n = (u32)strcspn(path, "/");
		int err = n == 1 && *path == '.' ? 0 : tfs_lookup(a->target.vol, *ino, path, n, ino, &type);

		if (err)
			return err;
		path += n;
	}
	*dir = type == 4;
	return type == 4 || type == 8 ? 0 : -EINVAL;
}

int place_find(const struct admin *a, const char *path, u64 *ino, bool *dir)
{
	if (!path)
		path = ".";
	return a->target.mounted ? mounted_find(a, path, ino, dir) : image_find(a, path, ino, dir);
}
