// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Extended attributes of one file on their way from the source to the volume: records of {u32 value length, name with
 * its NUL, value} one after the other, in the order of the names' bytes, so that the order on the source's disk does
 * not show. Called by workers (reading), tar.c, manifest.c (adding) and fill.c (taking them out).
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <stdlib.h>
#include <sys/xattr.h>

#define ALL_MAX (16u << 20) /* of one file */

int mkfs_xattr_add(struct mkfs_job *job, const char *name, const void *value, size_t len)
{
	size_t name_len = strlen(name) + 1, more = 4 + name_len + len;
	u32 n = (u32)len;
	u8 *all;

	if (len > TFS_XATTR_MAX || more > ALL_MAX - job->xattr_bytes)
		return -1;
	all = realloc(job->xattrs, job->xattr_bytes + more);
	if (!all)
		return -1;
	job->xattrs = all;
	all += job->xattr_bytes;
	memcpy(all, &n, 4);
	memcpy(all + 4, name, name_len);
	if (len)
		memcpy(all + 4 + name_len, value, len);
	job->xattr_bytes += (u32)more;
	return 0;
}

bool mkfs_xattr_next(const struct mkfs_job *job, u32 *at, const char **name, const void **value, u32 *len)
{
	const u8 *p;

	if (*at >= job->xattr_bytes)
		return false;
	p = job->xattrs + *at;
	memcpy(len, p, 4);
	*name = (const char *)p + 4;
	*value = p + 4 + strlen(*name) + 1;
	*at += 4 + (u32)strlen(*name) + 1 + *len;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* For the few that an archive or a manifest gives: out into a sorted list and in again. */
void mkfs_xattr_sort(struct mkfs_job *job)
{
	struct mkfs_job old = *job;
	const char **list, *name;
	const void *value;
	u32 at = 0, n = 0, len, i;

	while (mkfs_xattr_next(&old, &at, &name, &value, &len))
		n++;
	list = n > 1 ? malloc(n * sizeof(*list)) : NULL;
	if (!list)
		return;
	for (at = n = 0; mkfs_xattr_next(&old, &at, &name, &value, &len);)
		list[n++] = name;
	qsort(list, n, sizeof(*list), by_name);
	job->xattrs = NULL;
	job->xattr_bytes = 0;
	for (i = 0; i < n; i++) {
		const char *p = list[i];

		memcpy(&len, p - 4, 4);
		if (mkfs_xattr_add(job, p, p + strlen(p) + 1, len))
			mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
	}
	free(list);
	free(old.xattrs);
}

/* What only root or a security module may read is left out where it may not be read. */
static bool may_be_hidden(const char *name, int err)
{
	return err == ENODATA || err == ENOTSUP ||
	       ((err == EPERM || err == EACCES) && (!strncmp(name, "security.", 9) || !strncmp(name, "trusted.", 8)));
}

static void value_read(struct mkfs_job *job, int fd, const char *path, const char *name, u8 *value)
{
	ssize_t len = fd >= 0 ? fgetxattr(fd, name, value, TFS_XATTR_MAX) : lgetxattr(path, name, value, TFS_XATTR_MAX);

	if (len < 0) {
		if (!may_be_hidden(name, errno))
			mkfs_job_fail(job, MKFS_SOURCE, "attribute %.80s cannot be read: %s", name, strerror(errno));
	} else if (mkfs_xattr_add(job, name, value, (size_t)len)) {
		mkfs_job_fail(job, MKFS_SOURCE, "has more than 16 MiB of extended attributes, or memory ran out");
	}
}

void mkfs_xattr_read(struct mkfs_job *job, int fd, const char *path)
{
	char small[256], *names = small, *p, **list = NULL;
	ssize_t n = fd >= 0 ? flistxattr(fd, small, sizeof(small)) : llistxattr(path, small, sizeof(small));
	u32 count = 0, i;
	u8 *value;

	if (!n || (n < 0 && (errno == ENOTSUP || errno == EPERM)))
		return;
	if (n < 0 && errno == ERANGE && (names = malloc(65536)))
		n = fd >= 0 ? flistxattr(fd, names, 65536) : llistxattr(path, names, 65536);
	value = malloc(TFS_XATTR_MAX);
	if (n > 0)
		list = malloc((size_t)n * sizeof(*list));
	if (n < 0)
		mkfs_job_fail(job, MKFS_SOURCE, "attributes cannot be listed: %s", strerror(errno));
	else if (!value || !list)
		mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
	for (p = names; !job->code && p < names + n; p += strlen(p) + 1)
		list[count++] = p;
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	for (i = 0; !job->code && i < count; i++)
		value_read(job, fd, path, list[i], value);
	free(list);
	free(value);
	if (names != small)
		free(names);
}
