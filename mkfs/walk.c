// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A directory as the source: all names of a directory in the order of their bytes, then what is in its directories, so
 * that the order on the source's disk does not matter. (Names first, so that a directory is open only while it is read
 * and its items lie together.) Directories are opened relative to one another, so depth is bounded by open files, not
 * by PATH_MAX. This thread looks (lstat, open); reading and encoding are the workers', see hostfile.c. Called by
 * main.c.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SEEN_BUCKETS 16384u

/* ---- one directory ---- */

struct names { /* being collected */
	char *text;
	u32 *at;
	size_t used, room;
	u32 count, at_room;
};

static int name_add(struct names *n, const char *name)
{
	size_t len = strlen(name) + 1;

	if (n->used + len > n->room) {
		char *more = realloc(n->text, n->room = 2 * (n->room + len) + 512);

		if (!more)
			return -1;
		n->text = more;
	}
	if (n->count == n->at_room) {
		u32 *more = realloc(n->at, (n->at_room = 2 * n->at_room + 16) * sizeof(*more));

		if (!more)
			return -1;
		n->at = more;
	}
	if (n->used + len > ~0u)
		return -1;
	memcpy(n->text + n->used, name, len);
	n->at[n->count++] = (u32)n->used;
	n->used += len;
	return 0;
}

static int by_bytes(const void *a, const void *b, void *text)
{
	return strcmp((char *)text + *(const u32 *)a, (char *)text + *(const u32 *)b);
}

/* The names in a directory but "." and ".."; negative errno. */
static int names_read(int fd, struct names *n)
{
	_Alignas(8) static __thread char buf[65536];
	ssize_t got, at;

	while ((got = getdents64(fd, buf, sizeof(buf))) > 0)
		for (at = 0; at < got;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);

			at += d->d_reclen;
			if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") && name_add(n, d->d_name))
				return -ENOMEM;
		}
	if (got < 0)
		return -errno;
	if (n->count)
		qsort_r(n->at, n->count, sizeof(*n->at), by_bytes, n->text);
	return 0;
}

void mkfs_dir_free(struct mkfs_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->names);
	free(d->at);
	free(d->sub);
	free(d);
}

/* NULL: errno says why. up NULL: the root, whose name may lead through symlinks. */
static struct mkfs_dir *dir_open(struct mkfs_dir *up, const char *name)
{
	struct mkfs_dir *d = calloc(1, sizeof(*d));
	struct names n = {0};
	int err;

	if (!d)
		return NULL;
	d->up = up;
	d->name = name;
	d->fd = openat(up ? up->fd : AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (up ? O_NOFOLLOW : 0));
	err = d->fd < 0 || fstat(d->fd, &d->st) ? -errno : names_read(d->fd, &n);
	d->names = n.text;
	d->at = n.at;
	d->count = n.count;
	if (!err)
		return d;
	mkfs_dir_free(d);
	errno = -err;
	return NULL;
}

static size_t dir_path(const struct mkfs_dir *d, char *buf, size_t size)
{
	size_t at = d->up ? dir_path(d->up, buf, size) : 0;
	int n = at < size ? snprintf(buf + at, size - at, "%s%s", d->up ? "/" : "", d->name) : 0;

	return at + (size_t)n;
}

const char *mkfs_job_path(const struct mkfs_job *job, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	if (job->text)
		return job->text;
	if (!job->dir && job->name)
		return job->name;
	if (job->kind == JOB_UP) {
		dir_path(job->dir, buf, size);
		return buf;
	}
	if (job->dir) {
		at = dir_path(job->dir, buf, size);
		if (at < size)
			snprintf(buf + at, size - at, "/%s", job->name);
	}
	return buf;
}

bool mkfs_give_up(struct mkfs_source *s, int code, const char *object, const char *fmt, ...)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);
	va_list ap;

	if (!job)
		return false;
	job->kind = JOB_FAIL;
	job->text = strdup(object);
	job->code = code;
	va_start(ap, fmt);
	vsnprintf(job->what, sizeof(job->what), fmt, ap);
	va_end(ap);
	mkfs_pool_push(s->pool, job);
	return false;
}

static bool give_up_at(struct mkfs_source *s, const struct mkfs_dir *d, const char *name, int code, const char *why)
{
	struct mkfs_job job = {.kind = JOB_NODE, .dir = (struct mkfs_dir *)d, .name = name};
	char path[4096];

	return mkfs_give_up(s, code, mkfs_job_path(&job, path, sizeof(path)), "%s", why);
}

/* ---- nodes ---- */

static struct mkfs_seen *seen[SEEN_BUCKETS];

/* The inode's record, made if there is none; NULL: no memory. *first: it was not there. */
static struct mkfs_seen *seen_get(const struct stat *st, bool *first)
{
	struct mkfs_seen **p = &seen[(st->st_ino ^ st->st_dev) % SEEN_BUCKETS], *s = *p;

	while (s && (s->dev != st->st_dev || s->from != st->st_ino))
		s = s->next;
	*first = !s;
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct mkfs_seen){*p, st->st_dev, st->st_ino, 0};
	return *p = s;
}

static struct mkfs_node node_of(const struct stat *st, const struct mkfs_options *o)
{
	struct mkfs_node n = {
	    .mode = st->st_mode, .uid = o->all_root ? 0 : st->st_uid, .gid = o->all_root ? 0 : st->st_gid};

	n.size = S_ISREG(st->st_mode) ? (u64)st->st_size : 0;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		n.major = major(st->st_rdev);
		n.minor = minor(st->st_rdev);
	}
	n.mtime = (struct tfs_time){tfs_cpu64((u64)st->st_mtim.tv_sec), tfs_cpu32((u32)st->st_mtim.tv_nsec), 0};
	return n;
}

static void dir_work(struct mkfs_job *job)
{
	mkfs_xattr_read(job, job->dir->fd, NULL);
}

static void file_work(struct mkfs_job *job)
{
	mkfs_xattr_read(job, job->file->fd, NULL);
}

/* Symlinks, devices, pipes and sockets cannot be opened for this: by path, short through /proc when it is long. */
static void special_work(struct mkfs_job *job)
{
	char path[4096];
	ssize_t n;

	if (S_ISLNK(job->node.mode)) {
		n = readlinkat(job->dir->fd, job->name, (char *)job->data, MKFS_WINDOW);
		if (n <= 0) {
			mkfs_job_fail(job, MKFS_SOURCE, "cannot be read: %s", n ? strerror(errno) : "empty symlink");
			return;
		}
		job->target = (char *)job->data;
		job->target_len = (u32)n;
	}
	mkfs_job_path(job, path, sizeof(path));
	if (strlen(path) >= sizeof(path) - 1)
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", job->dir->fd, job->name);
	mkfs_xattr_read(job, -1, path);
}

static bool small_send(struct mkfs_source *s, struct mkfs_dir *d, const char *name, const struct stat *st,
                       struct mkfs_seen *link)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return false;
	job->kind = JOB_NODE;
	job->dir = d;
	job->name = name;
	job->seen = link;
	job->node = node_of(st, s->opt);
	job->total = job->node.size;
	job->bytes = (u32)job->node.size;
	job->work = S_ISREG(st->st_mode) ? mkfs_file_small : special_work;
	mkfs_pool_push(s->pool, job);
	return true;
}

static bool large_send(struct mkfs_source *s, struct mkfs_dir *d, const char *name, const struct stat *st,
                       struct mkfs_seen *link)
{
	struct mkfs_file *file = calloc(1, sizeof(*file));
	struct mkfs_job *job;

	if (!file)
		return give_up_at(s, d, name, MKFS_DEVICE, "out of memory");
	file->fd = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &file->st) || !mkfs_same_file(st, &file->st)) {
		const char *why = file->fd < 0 ? strerror(errno) : "changed while it was read";

		if (file->fd >= 0)
			close(file->fd);
		free(file);
		return give_up_at(s, d, name, MKFS_SOURCE, why);
	}
	job = mkfs_pool_slot(s->pool);
	if (!job) {
		close(file->fd);
		free(file);
		return false;
	}
	job->kind = JOB_NODE;
	job->dir = d;
	job->name = name;
	job->seen = link;
	job->file = file;
	job->node = node_of(st, s->opt);
	job->total = job->node.size;
	job->work = file_work;
	mkfs_pool_push(s->pool, job);
	return !mkfs_file_send(s->pool, file);
}

static bool link_send(struct mkfs_source *s, struct mkfs_dir *d, const char *name, const struct stat *st,
                      struct mkfs_seen *link)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return false;
	job->kind = JOB_LINK;
	job->dir = d;
	job->name = name;
	job->seen = link;
	job->node = node_of(st, s->opt);
	mkfs_pool_push(s->pool, job);
	return true;
}

/* Makes it; what is in it comes when all names of d are there. */
static bool dir_send(struct mkfs_source *s, struct mkfs_dir *d, u32 at, const struct stat *st)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return false;
	if (!d->sub)
		d->sub = calloc(d->count, sizeof(*d->sub));
	if (!d->sub)
		mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
	job->kind = JOB_NODE;
	job->dir = d;
	job->name = d->names + at;
	job->node = node_of(st, s->opt);
	if (d->sub) {
		job->sub = &d->sub[d->subs++];
		job->sub->at = at;
	}
	mkfs_pool_push(s->pool, job);
	return true;
}

static bool node_send(struct mkfs_source *s, struct mkfs_dir *d, u32 at)
{
	const char *name = d->names + at;
	struct mkfs_seen *link = NULL;
	struct stat st;
	bool first = true;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return give_up_at(s, d, name, MKFS_SOURCE, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return dir_send(s, d, at, &st);
	if (s->image_known && s->image.st_dev == st.st_dev && s->image.st_ino == st.st_ino)
		return give_up_at(s, d, name, MKFS_USAGE, "is the image itself; make it outside of the source");
	if (st.st_nlink > 1) {
		link = seen_get(&st, &first);
		if (!link)
			return give_up_at(s, d, name, MKFS_DEVICE, "out of memory");
	}
	if (!first)
		return link_send(s, d, name, &st, link);
	if (S_ISREG(st.st_mode) && st.st_size > MKFS_WINDOW)
		return large_send(s, d, name, &st, link);
	return small_send(s, d, name, &st, link);
}

static struct mkfs_dir *deepest; /* not finished yet */

static bool down(struct mkfs_source *s, struct mkfs_dir *d, const char *name, const u64 *ino)
{
	struct mkfs_dir *child = dir_open(d, name);

	if (!child && d)
		return give_up_at(s, d, name, MKFS_SOURCE, strerror(errno));
	if (!child)
		return mkfs_give_up(s, MKFS_SOURCE, name, "%s", strerror(errno));
	child->ino = ino;
	deepest = child;
	if (s->image_known && s->image.st_dev == child->st.st_dev && s->image.st_ino == child->st.st_ino)
		return mkfs_give_up(s, MKFS_USAGE, s->opt->image,
		                    "would be in the source itself; make it outside of the source");
	return true;
}

/* All is in it: from here on it is the taker's. */
static bool up_send(struct mkfs_source *s, struct mkfs_dir *d)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return false;
	job->kind = JOB_UP;
	job->dir = d;
	job->node = node_of(&d->st, s->opt);
	job->work = dir_work;
	deepest = d->up;
	mkfs_pool_push(s->pool, job);
	return true;
}

bool mkfs_walk(struct mkfs_source *s)
{
	static const u64 root = TFS_INO_ROOT;
	bool ok = down(s, NULL, s->opt->from, &root);

	while (ok && deepest) {
		struct mkfs_dir *d = deepest;

		if (d->next < d->count) {
			ok = node_send(s, d, d->at[d->next++]);
		} else if (d->next_sub < d->subs) {
			struct mkfs_sub *sub = &d->sub[d->next_sub++];

			ok = down(s, d, d->names + sub->at, &sub->ino);
		} else {
			ok = up_send(s, d);
		}
	}
	return ok;
}

/* ---- counting ---- */

static int count_fail(const struct mkfs_dir *d, const char *name)
{
	struct mkfs_job job = {.kind = JOB_NODE, .dir = (struct mkfs_dir *)d, .name = name};
	int err = errno;
	char path[4096];

	return tfs_cli_fail(MKFS_SOURCE, d ? mkfs_job_path(&job, path, sizeof(path)) : name, "%s", strerror(err));
}

static int count_one(struct mkfs_dir **d, const char *name, struct mkfs_count *c)
{
	struct mkfs_dir *child;
	struct stat st;

	if (fstatat((*d)->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return count_fail(*d, name);
	c->files++;
	if (S_ISREG(st.st_mode) && c->bytes < 1ull << 62)
		c->bytes += ((u64)st.st_size + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
	if (!S_ISDIR(st.st_mode))
		return 0;
	child = dir_open(*d, name);
	if (!child)
		return count_fail(*d, name);
	*d = child;
	return 0;
}

int mkfs_walk_count(const char *path, struct mkfs_count *c, u64 enough)
{
	struct mkfs_dir *d = dir_open(NULL, path), *done;
	int err = d ? 0 : count_fail(NULL, path);

	while (d) {
		if (!err && c->bytes < enough && d->next < d->count) {
			const char *name = d->names + d->at[d->next++];

			err = count_one(&d, name, c);
			continue;
		}
		done = d;
		d = d->up;
		mkfs_dir_free(done);
	}
	return err;
}
