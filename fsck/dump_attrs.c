// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An object's attributes onto the host's: owner, xattrs, mode, ACLs, times. The order matters: chown clears setuid and
 * file capabilities, setting an xattr needs the write permission that the mode may take away, chmod changes an ACL's
 * mask, and all of them touch the times. Without root, owners stay and what only root may set (trusted.*, security.*)
 * is counted. What cannot be set keeps nothing else back, but for one: without its owner an object gets no setuid.
 * Called by extract.
 */
#define _GNU_SOURCE
#include "fsck/dump.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct onto {
	struct dump *d;
	struct dump_attrs *s;
	const struct tfs_attr *a;
	int fd;            /* of the object, or -1: by dirfd and name */
	const char *path;  /* of the object below /proc/self/fd when fd is -1 */
	const char **what; /* the first that failed, its code and errno */
	int code, error;
	bool foreign; /* owner could not be set */
};

static void failed(struct onto *o, int code, const char *what)
{
	if (o->code)
		return;
	*o->what = what;
	o->code = code;
	o->error = errno;
}

static bool is_acl(const char *name)
{
	return !strncmp(name, "system.posix_acl_", 17);
}

static void xattr_set(struct onto *o, const char *name, const u8 *value, size_t len)
{
	bool for_root = !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9);

	if (!(o->fd >= 0 ? fsetxattr(o->fd, name, value, len, 0) : lsetxattr(o->path, name, value, len, 0)))
		return;
	if (for_root && !o->s->privileged && (errno == EPERM || errno == EACCES || errno == ENOTSUP))
		o->s->xattrs_skipped++;
	else
		failed(o, DUMP_HOST, "an xattr cannot be set");
}

static void xattrs_each(struct onto *o, const char *names, int n, bool acls)
{
	static u8 value[TFS_XATTR_MAX];

	for (const char *p = names; p < names + n; p += strlen(p) + 1) {
		int len;

		if (is_acl(p) != acls)
			continue;
		len = tfs_reader_getxattr(&o->d->view, o->a->ino, p, (u32)strlen(p), value, sizeof(value));
		if (len < 0)
			failed(o, DUMP_DAMAGE, "an xattr cannot be read");
		else
			xattr_set(o, p, value, (size_t)len);
	}
}

/* The names of all xattrs, NUL behind each; *n of no bytes when there are none or they cannot be read. */
static char *xattr_names(struct onto *o, int *n)
{
	char *names = NULL;

	*n = tfs_reader_listxattr(&o->d->view, o->a->ino, NULL, 0);
	if (*n > 0)
		names = malloc((size_t)*n);
	if (*n < 0 || (names && tfs_reader_listxattr(&o->d->view, o->a->ino, names, (u32)*n) != *n))
		failed(o, DUMP_DAMAGE, "xattrs cannot be read");
	else if (!*n || names)
		return names;
	else
		failed(o, DUMP_HOST, "xattrs cannot be held in memory");
	*n = 0;
	return names;
}

static void owner_set(struct onto *o, int dirfd, const char *name)
{
	const struct tfs_attr *a = o->a;

	if (!o->s->privileged)
		return;
	if (o->fd >= 0 ? fchown(o->fd, a->uid, a->gid) : fchownat(dirfd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW)) {
		failed(o, DUMP_HOST, "owner cannot be set");
		o->foreign = true;
	}
}

/* dirfd and name are of a private directory, so a plain chmod meets no symlink of someone else */
static void mode_set(struct onto *o, int dirfd, const char *name)
{
	mode_t mode = o->a->mode & (o->foreign ? 01777 : 07777);

	if ((o->a->mode & 0170000) == 0120000)
		return;
	if (o->fd >= 0 ? fchmod(o->fd, mode) : fchmodat(dirfd, name, mode, 0))
		failed(o, DUMP_HOST, "mode cannot be set");
}

static void times_set(struct onto *o, int dirfd, const char *name)
{
	const struct tfs_attr *a = o->a;
	struct timespec t[2] = {{(time_t)tfs_le64(a->atime.sec), (long)tfs_le32(a->atime.nsec)},
	                        {(time_t)tfs_le64(a->mtime.sec), (long)tfs_le32(a->mtime.nsec)}};

	if (o->fd >= 0 ? futimens(o->fd, t) : utimensat(dirfd, name, t, AT_SYMLINK_NOFOLLOW))
		failed(o, DUMP_HOST, "times cannot be set");
}

static int all_set(struct onto *o, int dirfd, const char *name)
{
	int n = 0;
	char *names;

	owner_set(o, dirfd, name);
	names = xattr_names(o, &n);
	xattrs_each(o, names, n, false);
	mode_set(o, dirfd, name);
	xattrs_each(o, names, n, true);
	free(names);
	times_set(o, dirfd, name);
	errno = o->error;
	return o->code;
}

int dump_attrs_fd(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int fd, const char **what)
{
	struct onto o = {.d = d, .s = s, .a = a, .fd = fd, .what = what};

	return all_set(&o, -1, NULL);
}

int dump_attrs_at(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int dirfd, const char *name,
                  const char **what)
{
	char path[64];
	struct onto o = {.d = d, .s = s, .a = a, .fd = -1, .path = path, .what = what};

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	return all_set(&o, dirfd, name);
}
