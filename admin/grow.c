// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs grow: the volume becomes as large as its device, or as is asked for; mounted or not. An image file that is not
 * mounted is made larger first. Nothing shrinks.
 */
#include "admin/admin.h"

#include <sys/stat.h>
#include <unistd.h>

/* A file is made as large as is asked for; sparse, so that costs nothing. */
static int file_extend(struct admin *a, u64 size)
{
	struct tfs_file_dev *d = &a->target.dev;
	struct stat st;

	if (fstat(d->fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode) && (u64)st.st_size < d->offset + size && ftruncate(d->fd, (off_t)(d->offset + size)))
		return -errno;
	return 0;
}

static int failed(struct admin *a, int err)
{
	if (err == -EINVAL)
		return tfs_cli_fail(ADMIN_USAGE, a->args ? a->arg[0] : a->target.path,
		                    "expected a size from the volume's to its device's: a volume never shrinks");
	if (err == -EFBIG)
		return tfs_cli_fail(ADMIN_USAGE, a->target.path, "would have more segments than the format holds");
	if (err == -ENOSPC)
		return tfs_cli_fail(ADMIN_REFUSED, a->target.path,
		                    "too full for the table of so many segments: grow it by less first");
	return admin_fail(a, NULL, err);
}

int admin_grow(struct admin *a)
{
	struct tfs_ioc_grow g = {0};
	struct tfs_line l;
	u64 size = 0;
	int err = 0;

	if (a->args && (tfs_cli_size(a->arg[0], &size) || !size))
		return tfs_cli_fail(ADMIN_USAGE, a->arg[0], "expected a size such as 20G");
	if (!a->target.mounted)
		err = file_extend(a, size);
	g.size = size;
	if (!err)
		err = target_request(&a->target, TFS_IOC_GROW, &g);
	if (err)
		return failed(a, err);
	if (a->quiet)
		return 0;
	tfs_line_begin(&l, a->json, 0, "grown");
	tfs_line_num(&l, "before", g.before);
	tfs_line_num(&l, "size", g.size);
	tfs_line_end(&l);
	return 0;
}
