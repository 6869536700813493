// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Extraction. What always holds: nothing is made outside the target, for every step is one name below an open
 * directory, no symlink is followed, and the way up (..) counts only when it leads to the directory one came from.
 * Nothing half done has its final name: each object is made in a private directory of the target (".dump.tfs." and
 * random letters), gets its attributes there and is renamed. That directory also keeps one link to every inode with
 * several names until they are all made, so hard links need no memory. Three directories are open at a time, whatever
 * the depth.
 */
#define _GNU_SOURCE
#include "fsck/dump.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NEW "new" /* the object being made, in the private directory */

struct came_from {
	dev_t dev;
	ino_t ino;
};

struct extract {
	struct dump *d;
	int root, stage; /* the target, the private directory */
	int fd;          /* the directory being filled; -1 before and after */
	char stage_name[32];
	struct came_from *up; /* of each directory on the way down, its parent */
	u32 depth, cap;
	struct dump_attrs attrs;
	struct tfs_progress progress;
	u64 made, missing, specials; /* specials: device nodes among the missing */
	u32 root_mode;               /* of a target that had to be made writable; 0: none */
};

/* ---- what went wrong ---- */

static const char *shown(const struct dump_entry *e)
{
	return *e->path ? e->path : "/";
}

static void lost(struct extract *x, const struct dump_entry *e, const char *what, const char *why)
{
	struct tfs_line l;

	x->missing++;
	tfs_progress_end(&x->progress);
	tfs_cli_fail(0, shown(e), "%s%s", what, why);
	if (!x->d->json)
		return;
	dump_begin(x->d, &l, 0, "failed");
	tfs_line_bytes(&l, "path", e->path, e->path_len);
	tfs_line_num(&l, "ino", e->attr.ino);
	tfs_line_text(&l, "reason", what);
	tfs_line_end(&l);
}

/* The host refuses: an exit code that ends the walk when nothing more can work, else 0. Uses errno. */
static int refused(struct extract *x, const struct dump_entry *e, const char *what)
{
	int err = errno;
	bool ends = err == ENOSPC || err == EDQUOT || err == EROFS || err == EMFILE || err == ENOMEM;
	char why[128];

	if (dump_interrupted())
		return DUMP_HOST;
	dump_note(x->d, DUMP_HOST);
	snprintf(why, sizeof(why), ": %s%s", strerror(err), ends ? "; stopped here" : "");
	lost(x, e, what, why);
	return ends ? DUMP_HOST : 0;
}

static int damaged(struct extract *x, const struct dump_entry *e, const char *what)
{
	dump_note(x->d, DUMP_DAMAGE);
	lost(x, e, what, "; run fsck.tfs");
	return 0;
}

/* Attributes that could not be read or set: said, and the object stays without them. A host's ENOSPC for an xattr may
 * mean its own limit; a disk that is full shows at the next step. */
static void incomplete(struct extract *x, const struct dump_entry *e, int code, const char *what)
{
	char why[128];

	if (!code)
		return;
	snprintf(why, sizeof(why), ": %s; the object is there without it",
	         code == DUMP_DAMAGE ? "run fsck.tfs" : strerror(errno));
	dump_note(x->d, code);
	lost(x, e, what, why);
}

static int made(struct extract *x, const struct dump_entry *e)
{
	struct tfs_line l;

	x->made++;
	tfs_progress_add(&x->progress, 1);
	if (x->d->json) {
		dump_begin(x->d, &l, 0, "extracted");
		tfs_line_bytes(&l, "path", e->path, e->path_len);
		tfs_line_num(&l, "ino", e->attr.ino);
		tfs_line_text(&l, "type", tfs_type_text(e->attr.mode));
		tfs_line_end(&l);
	}
	return 0;
}

static bool is_device(u32 mode)
{
	return (mode & 0170000) == 0020000 || (mode & 0170000) == 0060000;
}

/* ---- objects that are no directories: made in the private directory ---- */

static int write_all(int fd, const u8 *buf, size_t n, u64 at)
{
	while (n) {
		ssize_t got = pwrite(fd, buf, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		buf += got;
		n -= (size_t)got;
		at += (u64)got;
	}
	return 0;
}

/* 0, DUMP_DAMAGE, DUMP_HOST with errno; *what says at what. */
static int content_make(struct extract *x, const struct tfs_attr *a, int fd, const char **what)
{
	static u8 buf[DUMP_DATA_MAX];
	struct dump_data c = {0, 0};
	u64 at;
	u32 len;
	int got;

	while ((got = dump_data_next(x->d, &c, a, &at, buf, &len)) > 0) {
		*what = "content cannot be written; nothing is left under this name";
		if (dump_interrupted() || write_all(fd, buf, len, at))
			return DUMP_HOST;
		tfs_progress_add(&x->progress, 0);
	}
	*what = "content cannot be read; nothing is left under this name";
	if (got < 0)
		return DUMP_DAMAGE;
	*what = "size cannot be set";
	return ftruncate(fd, (off_t)a->size) ? DUMP_HOST : 0;
}

static int file_make(struct extract *x, const struct dump_entry *e, const char **what)
{
	const struct tfs_attr *a = &e->attr;
	int fd = openat(x->stage, NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), err, saved;
	const char *missing = NULL;

	*what = "cannot be made";
	if (fd < 0)
		return DUMP_HOST;
	err = content_make(x, a, fd, what);
	saved = errno;
	if (!err) {
		err = dump_attrs_fd(x->d, &x->attrs, a, fd, &missing);
		incomplete(x, e, err, missing);
		err = 0;
	}
	if (close(fd) && !err) {
		*what = "content cannot be written; nothing is left under this name";
		return DUMP_HOST;
	}
	errno = saved;
	return err;
}

static int special_make(struct extract *x, const struct dump_entry *e, const char **what)
{
	const struct tfs_attr *a = &e->attr;
	const char *missing = NULL;
	char target[TFS_SYMLINK_MAX + 1];
	int err;

	*what = "cannot be made";
	if ((a->mode & 0170000) == 0120000) {
		if (dump_target(x->d, a->ino, target)) {
			*what = "target cannot be read, or is none that a symlink can have";
			return DUMP_DAMAGE;
		}
		err = symlinkat(target, x->stage, NEW);
	} else {
		err = mknodat(x->stage, NEW, (a->mode & 0170000) | 0600, makedev(a->rdev_major, a->rdev_minor));
	}
	if (err && is_device(a->mode) && !x->attrs.privileged) {
		x->specials++;
		*what = "device nodes can only be made by root";
	}
	if (err)
		return DUMP_HOST;
	err = dump_attrs_at(x->d, &x->attrs, a, x->stage, NEW, &missing);
	incomplete(x, e, err, missing);
	return 0;
}

/* ---- hard links ---- */

static void link_name(char out[32], u64 ino)
{
	snprintf(out, 32, "l%llu", (unsigned long long)ino);
}

/* An earlier name's link becomes NEW: true. The last name's link goes. */
static bool link_take(struct extract *x, const struct tfs_attr *a)
{
	char name[32];
	struct stat st;

	link_name(name, a->ino);
	if (linkat(x->stage, name, x->stage, NEW, 0)) {
		if (errno == EMLINK) /* more than the host can: start another */
			unlinkat(x->stage, name, 0);
		return false;
	}
	if (!fstatat(x->stage, name, &st, AT_SYMLINK_NOFOLLOW) && st.st_nlink > a->nlink)
		unlinkat(x->stage, name, 0);
	return true;
}

static int link_keep(struct extract *x, const struct tfs_attr *a, const char **what)
{
	char name[32];

	link_name(name, a->ino);
	*what = "cannot be linked to its other names";
	return linkat(x->stage, NEW, x->stage, name, 0) ? DUMP_HOST : 0;
}

static int place(struct extract *x, const struct dump_entry *e)
{
	int dir = x->fd < 0 ? x->root : x->fd;

	if (renameat(x->stage, NEW, dir, e->name))
		return refused(x, e, "cannot be put under its name");
	unlinkat(x->stage, NEW, 0); /* a link to what has that name already stays where it is */
	return made(x, e);
}

static int object_extract(struct extract *x, const struct dump_entry *e)
{
	const struct tfs_attr *a = &e->attr;
	const char *what;
	int err;

	unlinkat(x->stage, NEW, 0);
	if (a->nlink > 1 && link_take(x, a))
		return place(x, e);
	err = (a->mode & 0170000) == 0100000 ? file_make(x, e, &what) : special_make(x, e, &what);
	if (!err && a->nlink > 1)
		err = link_keep(x, a, &what);
	if (!err)
		return place(x, e);
	return err == DUMP_DAMAGE ? damaged(x, e, what) : refused(x, e, what);
}

/* ---- directories ---- */

static int dir_open(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* One that is there already may not let us in: its mode is set at the end anyway. */
static void dir_unlock(int at, const char *name)
{
	int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)!chmod(path, 0700);
	close(fd);
}

/* Something else of that name gives way, as a file would; an existing directory is filled. */
static int dir_make(struct extract *x, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(x->fd, name, 0700)) {
		if (errno != EEXIST || fstatat(x->fd, name, &st, AT_SYMLINK_NOFOLLOW))
			return -1;
		if (!S_ISDIR(st.st_mode) && (unlinkat(x->fd, name, 0) || mkdirat(x->fd, name, 0700)))
			return -1;
		if (S_ISDIR(st.st_mode) && (st.st_mode & 0700) != 0700)
			dir_unlock(x->fd, name);
	}
	fd = dir_open(x->fd, name);
	return fd;
}

static bool up_room(struct extract *x)
{
	struct came_from *more;

	if (x->depth < x->cap)
		return true;
	more = realloc(x->up, (2 * x->cap + 64) * sizeof(*more));
	if (!more)
		return false;
	x->up = more;
	x->cap = 2 * x->cap + 64;
	return true;
}

static int dir_enter(struct extract *x, const struct dump_entry *e)
{
	struct stat st;
	int fd;

	if (!e->depth) {
		x->fd = fcntl(x->root, F_DUPFD_CLOEXEC, 0);
		return x->fd < 0 ? refused(x, e, "cannot be opened") : 0;
	}
	if (!up_room(x) || fstat(x->fd, &st))
		return refused(x, e, "cannot be entered");
	fd = dir_make(x, e->name);
	if (fd < 0)
		return refused(x, e, "directory cannot be made; what is below is left out") ? DUMP_HOST : DUMP_SKIP;
	x->up[x->depth++] = (struct came_from){st.st_dev, st.st_ino};
	close(x->fd);
	x->fd = fd;
	return 0;
}

/* The directory that x->fd was entered from, checked; -1. */
static int dir_up(struct extract *x)
{
	const struct came_from *from = &x->up[--x->depth];
	int fd = openat(x->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_dev == from->dev && st.st_ino == from->ino)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int attrs_set(struct extract *x, const struct dump_entry *e, int fd)
{
	const char *what = NULL;
	int code = dump_attrs_fd(x->d, &x->attrs, &e->attr, fd, &what);

	incomplete(x, e, code, what);
	return made(x, e);
}

/* The target itself gets its attributes last, when the private directory in it is gone (root_finish). */
static int leave(void *arg, const struct dump_entry *e)
{
	struct extract *x = arg;
	int up, err;

	if (!e->depth)
		return 0;
	up = dir_up(x);
	if (up < 0)
		return tfs_cli_fail(dump_note(x->d, DUMP_HOST), shown(e),
		                    "was moved or removed while it was filled; stopped here");
	err = attrs_set(x, e, x->fd);
	close(x->fd);
	x->fd = up;
	return err;
}

static int entry(void *arg, const struct dump_entry *e)
{
	return (e->attr.mode & 0170000) == 0040000 ? dir_enter(arg, e) : object_extract(arg, e);
}

/* ---- the private directory ---- */

static int stage_open(struct extract *x)
{
	u64 r = 0;

	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return -1;
		snprintf(x->stage_name, sizeof(x->stage_name), ".dump.tfs.%012llx",
		         (unsigned long long)(r & 0xffffffffffff));
		if (!mkdirat(x->root, x->stage_name, 0700))
			return x->stage = dir_open(x->root, x->stage_name);
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

static void stage_close(struct extract *x)
{
	int fd = fcntl(x->stage, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			unlinkat(x->stage, e->d_name, 0);
	if (dir)
		closedir(dir);
	close(x->stage);
	if (unlinkat(x->root, x->stage_name, AT_REMOVEDIR))
		tfs_cli_warn(x->stage_name, "cannot be removed: %s", strerror(errno));
}

/* ---- the command ---- */

static void summary(struct extract *x)
{
	struct tfs_line l;

	tfs_progress_end(&x->progress);
	if (x->d->json) {
		dump_begin(x->d, &l, 0, "summary");
		tfs_line_num(&l, "made", x->made);
		tfs_line_num(&l, "missing", x->missing);
		tfs_line_num(&l, "devices_missing", x->specials);
		tfs_line_num(&l, "xattrs_skipped", x->attrs.xattrs_skipped);
		tfs_line_end(&l);
	}
	if (x->missing)
		tfs_cli_warn(
		    NULL,
		    "%llu objects not or not fully extracted, %llu of them device nodes that need root; %llu made",
		    (unsigned long long)x->missing, (unsigned long long)x->specials, (unsigned long long)x->made);
	if (x->attrs.xattrs_skipped)
		tfs_cli_warn(NULL, "note: %llu trusted or security xattrs left out: they need root",
		             (unsigned long long)x->attrs.xattrs_skipped);
	if (dump_interrupted())
		tfs_cli_fail(0, NULL, "interrupted; what is there is whole");
}

static int root_open(struct extract *x, const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0777) && errno != EEXIST)
		return -1;
	x->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root < 0 || fstat(x->root, &st))
		return -1;
	if ((st.st_mode & 0300) == 0300 || fchmod(x->root, (st.st_mode & 07777) | 0300))
		return 0;
	x->root_mode = st.st_mode & 07777;
	return 0;
}

static int root_finish(struct extract *x, const char *path, u64 ino)
{
	struct dump_entry e = {.path = path ? path : "", .path_len = path ? strlen(path) : 0};

	if (!tfs_reader_getattr(&x->d->view, ino, &e.attr) && (e.attr.mode & 0170000) == 0040000)
		return attrs_set(x, &e, x->root);
	if (x->root_mode)
		(void)!fchmod(x->root, x->root_mode);
	return 0;
}

int dump_cmd_extract(struct dump *d)
{
	struct extract x = {.d = d, .fd = -1, .attrs.privileged = geteuid() == 0};
	const struct dump_walk_ops ops = {.entry = entry, .leave = leave};
	const char *path = d->args > 1 ? d->arg[1] : NULL;
	u64 ino;
	int err = dump_resolve(d, path ? path : "", &ino);

	if (err)
		return err;
	dump_catch_signals(); /* before there is anything to remove */
	if (root_open(&x, d->arg[0]) || stage_open(&x) < 0)
		return tfs_cli_fail(DUMP_HOST, d->arg[0], "cannot be written to: %s", strerror(errno));
	tfs_progress_start(&x.progress, d->quiet, -1, 1);
	tfs_progress_pass(&x.progress, "extracting", path ? 0 : tfs_reader_inodes(&d->view));
	err = dump_walk(d, path, &ops, &x);
	if (x.fd >= 0)
		close(x.fd);
	stage_close(&x);
	if (!err)
		err = root_finish(&x, path, ino);
	summary(&x);
	close(x.root);
	free(x.up);
	return err;
}
