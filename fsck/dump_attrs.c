// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An object's attributes onto the host's: owner, xattrs, mode, ACLs, times, in this order, for each undoes a part of what
 * comes later: chown clears setuid and file capabilities, setting an xattr needs the write permission that the mode may take
 * away, chmod changes an ACL's mask, and all of them touch the times. Without root, owners stay and what only root may
 * set (trusted.*, security.*) is counted. Called by extract.
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
	int fd;		  /* of the object, or -1: by dirfd and name */
	const char *path; /* of the object below /proc/self/fd when fd is -1 */
	const char **what;
};

static int failed(struct onto *o, const char *what)
{
	*o->what = what;
	return DUMP_HOST;
}

static bool is_acl(const char *name)
{
	return !strncmp(name, "system.posix_acl_", 17);
}

static int xattr_set(struct onto *o, const char *name, const u8 *value, size_t len)
{
	bool for_root = !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9);

	if (!(o->fd >= 0 ? fsetxattr(o->fd, name, value, len, 0) : lsetxattr(o->path, name, value, len, 0)))
		return 0;
	if (for_root && !o->s->privileged && (errno == EPERM || errno == EACCES || errno == ENOTSUP)) {
		o->s->xattrs_skipped++;
		return 0;
	}
	return failed(o, "an xattr cannot be set");
}

static int xattrs_each(struct onto *o, const char *names, int n, bool acls)
{
	static u8 value[TFS_XATTR_MAX];
	int err = 0;

	for (const char *p = names; !err && p < names + n; p += strlen(p) + 1) {
		int len;

		if (is_acl(p) != acls)
			continue;
		len = tfs_getxattr(o->d->vol, o->a->ino, p, (u32)strlen(p), value, sizeof(value));
		if (len < 0) {
			*o->what = "an xattr cannot be read";
			return DUMP_DAMAGE;
		}
		err = xattr_set(o, p, value, (size_t)len);
	}
	return err;
}

/* The names of all xattrs, NUL behind each; NULL: none, or *err. */
static char *xattr_names(struct onto *o, int *n, int *err)
{
	char *names;

	*n = tfs_listxattr(o->d->vol, o->a->ino, NULL, 0);
	if (!*n)
		return NULL;
	names = *n > 0 ? malloc((size_t)*n) : NULL;
	if (names && tfs_listxattr(o->d->vol, o->a->ino, names, (u32)*n) == *n)
		return names;
	*err = *n < 0 || names ? DUMP_DAMAGE : DUMP_HOST;
	*o->what = "xattrs cannot be read";
	errno = ENOMEM;
	free(names);
	return NULL;
}

static int owner_set(struct onto *o, int dirfd, const char *name)
{
	if (!o->s->privileged)
		return 0;
	if (o->fd >= 0 ? fchown(o->fd, o->a->uid, o->a->gid) : fchownat(dirfd, name, o->a->uid, o->a->gid, AT_SYMLINK_NOFOLLOW))
		return failed(o, "owner cannot be set");
	return 0;
}

/* dirfd and name are of a private directory, so a plain chmod meets no symlink of someone else */
static int mode_set(struct onto *o, int dirfd, const char *name)
{
	if ((o->a->mode & 0170000) == 0120000)
		return 0;
	if (o->fd >= 0 ? fchmod(o->fd, o->a->mode & 07777) : fchmodat(dirfd, name, o->a->mode & 07777, 0))
		return failed(o, "mode cannot be set");
	return 0;
}

static int times_set(struct onto *o, int dirfd, const char *name)
{
	const struct tfs_attr *a = o->a;
	struct timespec t[2] = { { (time_t)tfs_le64(a->atime.sec), (long)tfs_le32(a->atime.nsec) },
				 { (time_t)tfs_le64(a->mtime.sec), (long)tfs_le32(a->mtime.nsec) } };

	if (o->fd >= 0 ? futimens(o->fd, t) : utimensat(dirfd, name, t, AT_SYMLINK_NOFOLLOW))
		return failed(o, "times cannot be set");
	return 0;
}

static int all_set(struct onto *o, int dirfd, const char *name)
{
	int n = 0, err = owner_set(o, dirfd, name);
	char *names = err ? NULL : xattr_names(o, &n, &err);

	if (!err && names)
		err = xattrs_each(o, names, n, false);
	if (!err)
		err = mode_set(o, dirfd, name);
	if (!err && names)
		err = xattrs_each(o, names, n, true);
	free(names);
	return err ? err : times_set(o, dirfd, name);
}

int dump_attrs_fd(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int fd, const char **what)
{
	struct onto o = { d, s, a, fd, NULL, what };

	return all_set(&o, -1, NULL);
}

int dump_attrs_at(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int dirfd, const char *name,
		  const char **what)
{
	char path[64];
	struct onto o = { d, s, a, -1, path, what };

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	return all_set(&o, dirfd, name);
}
