// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The one thread that writes the volume: takes jobs in order and turns each into operations of the core. The
 * environment's "now" is set to the time that a new inode shall have, which saves an operation for each file;
 * directories get their times when all is in them. Called by main.c; archive entries and manifest lines are found by
 * path here, so that nothing an archive says leads out of the volume's root or through a symlink.
 */
#include "mkfs/sink.h"
#include "tfs/user/acl.h"

#include <stdlib.h>
#include <unistd.h>

static struct tfs_time fill_now(void *ctx)
{
	return ((struct mkfs_fill *)ctx)->now;
}

static u64 fill_random(void *ctx)
{
	struct mkfs_fill *f = ctx;

	f->seed = f->seed * 6364136223846793005ull + 1442695040888963407ull;
	return f->seed;
}

void mkfs_fill_env(struct mkfs_fill *f, const struct tfs_time *created)
{
	f->now = f->created = *created;
	f->seed = 1;
	f->env = (struct tfs_env){.ctx = f, .now = fill_now, .random = fill_random};
}

/* ---- messages ---- */

int mkfs_fill_error(struct mkfs_fill *f, const struct mkfs_job *job, int err)
{
	char path[4096];
	const char *object;

	if (!err)
		return 0;
	tfs_progress_end(&f->progress);
	if (f->target->error)
		return mkfs_target_failed(f->target, err);
	object = mkfs_job_path(job, path, sizeof(path));
	if (err == -ENOSPC)
		return tfs_cli_fail(MKFS_FULL, object,
		                    "does not fit into the volume; give a larger size or --size auto");
	if (err == -ENOMEM || err == -EIO || err == -EUCLEAN)
		return tfs_cli_fail(MKFS_DEVICE, object, "%s", strerror(-err));
	return tfs_cli_fail(MKFS_SOURCE, object, "the volume cannot hold it: %s", strerror(-err));
}

static int refuse(struct mkfs_fill *f, const struct mkfs_job *job, const char *what)
{
	tfs_progress_end(&f->progress);
	return tfs_cli_fail(MKFS_SOURCE, job->text, "%s", what);
}

/* ---- inodes ---- */

int mkfs_fill_create(struct mkfs_fill *f, const struct mkfs_job *job, u64 parent, const char *name, u32 len,
                     const struct mkfs_node *n, const char *target, u32 target_len, u64 *ino)
{
	struct tfs_create c = {
	    .mode = n->mode, .uid = n->uid, .gid = n->gid, .rdev_major = n->major, .rdev_minor = n->minor};

	if (S_ISLNK(n->mode)) {
		c.target = target;
		c.target_len = target_len;
	}
	f->now = n->mtime;
	f->files++;
	tfs_progress_add(&f->progress, 1);
	return mkfs_fill_error(f, job, f->sink->create(f, parent, name, len, &c, ino));
}

int mkfs_fill_attrs(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino, const struct mkfs_node *n)
{
	struct tfs_attr a = {.mode = n->mode & 07777,
	                     .uid = n->uid,
	                     .gid = n->gid,
	                     .atime = n->mtime,
	                     .mtime = n->mtime,
	                     .ctime = n->mtime,
	                     .btime = n->mtime};

	return mkfs_fill_error(f, job,
	                       f->sink->setattr(f, ino,
	                                        TFS_SET_MODE | TFS_SET_UID | TFS_SET_GID | TFS_SET_ATIME |
	                                            TFS_SET_MTIME | TFS_SET_CTIME | TFS_SET_BTIME,
	                                        &a));
}

static int times_set(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino, const struct tfs_time *t)
{
	struct tfs_attr a = {.atime = *t, .mtime = *t, .ctime = *t, .btime = *t};

	return mkfs_fill_error(
	    f, job, f->sink->setattr(f, ino, TFS_SET_ATIME | TFS_SET_MTIME | TFS_SET_CTIME | TFS_SET_BTIME, &a));
}

int mkfs_fill_xattrs(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino)
{
	const char *name, *wrong;
	char path[4096];
	const void *value;
	u32 at = 0, len;
	int err = 0;

	while (!err && mkfs_xattr_next(job, &at, &name, &value, &len)) {
		wrong = tfs_acl_named(name, (u32)strlen(name), value, len);
		if (wrong) { /* who sees it mounted could not use the file */
			tfs_progress_end(&f->progress);
			return tfs_cli_fail(MKFS_SOURCE, mkfs_job_path(job, path, sizeof(path)), "%s: %s", name, wrong);
		}
		err = mkfs_fill_error(f, job, f->sink->setxattr(f, ino, name, (u32)strlen(name), value, len));
	}
	return err;
}

/* ---- content ---- */

static int data_put(struct mkfs_fill *f, const struct mkfs_job *job)
{
	u64 end = job->off + (job->first + job->e.blocks) * (u64)TFS_BLOCK;

	if (!job->e.blocks)
		return 0;
	if (end > job->off + job->bytes)
		end = job->off + job->bytes;
	f->end = end;
	return mkfs_fill_error(f, job, f->sink->put(f, job, end));
}

/* The file ends with a hole, or is one. */
static int data_end(struct mkfs_fill *f, const struct mkfs_job *job, u64 size)
{
	return f->end < size ? mkfs_fill_error(f, job, f->sink->truncate(f, f->ino, size)) : 0;
}

static int file_end(struct mkfs_fill *f, struct mkfs_job *job)
{
	struct stat st;
	int err = data_end(f, job, job->total);

	if (!job->file)
		return err;
	if (!err && (fstat(job->file->fd, &st) || !mkfs_same_file(&st, &job->file->st)))
		mkfs_job_fail(job, MKFS_SOURCE,
		              "changed while it was read; stop what writes to it, or take a snapshot");
	close(job->file->fd);
	free(job->file);
	job->file = NULL;
	return err;
}

/* ---- jobs of a directory ---- */

static int node_take(struct mkfs_fill *f, struct mkfs_job *job)
{
	int err;

	f->end = 0;
	err = mkfs_fill_create(f, job, *job->dir->ino, job->name, (u32)strlen(job->name), &job->node, job->target,
	                       job->target_len, &f->ino);
	if (err)
		return err;
	if (job->sub)
		job->sub->ino = f->ino;
	if (job->seen)
		job->seen->ino = f->ino;
	err = mkfs_fill_xattrs(f, job, f->ino);
	if (err || !job->bytes)
		return err;
	err = data_put(f, job);
	return err ? err : data_end(f, job, job->total);
}

static int link_take(struct mkfs_fill *f, const struct mkfs_job *job)
{
	f->now = job->node.mtime;
	return mkfs_fill_error(f, job,
	                       f->sink->link(f, job->seen->ino, *job->dir->ino, job->name, (u32)strlen(job->name)));
}

static int up_take(struct mkfs_fill *f, struct mkfs_job *job)
{
	struct mkfs_dir *d = job->dir;
	struct stat st;
	int err = 0;

	if (fstat(d->fd, &st) || !mkfs_same_file(&st, &d->st))
		mkfs_job_fail(job, MKFS_SOURCE,
		              "changed while it was read; stop what writes to it, or take a snapshot");
	else if (!d->up)
		err = mkfs_fill_attrs(f, job, *d->ino, &job->node);
	else if (d->count)
		err = times_set(f, job, *d->ino, &job->node.mtime);
	f->now = job->node.mtime;
	if (!err && !job->code)
		err = mkfs_fill_xattrs(f, job, *d->ino);
	if (!err && !job->code) { /* a message would want its name */
		mkfs_dir_free(d);
		job->dir = NULL;
	}
	return err;
}

/* ---- paths of archives and manifests ---- */

const char *mkfs_path_clean(char *path)
{
	char *to = path;
	const char *from = path;

	while (*from) {
		size_t n = strcspn(from, "/");

		if (n == 2 && from[0] == '.' && from[1] == '.')
			return "leads out of the root ('..' in its path); refused";
		if (n > TFS_NAME_MAX)
			return "has a name of more than 255 bytes in its path";
		if (n && !(n == 1 && *from == '.')) {
			if (to > path)
				*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n + (from[n] == '/');
	}
	*to = 0;
	return NULL;
}

static int late_add(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino, const struct tfs_time *t)
{
	if (f->lates == f->late_room) {
		u32 room = f->late_room * 2 + 64;
		struct mkfs_late *more = realloc(f->late, room * sizeof(*more));

		if (!more)
			return mkfs_fill_error(f, job, -ENOMEM);
		f->late = more;
		f->late_room = room;
	}
	f->late[f->lates++] = (struct mkfs_late){ino, *t};
	return 0;
}

/* A missing directory of a path: 0755, root's; its parent keeps its times. */
static int dir_make(struct mkfs_fill *f, const struct mkfs_job *job, const char *name, u32 len, u64 *ino)
{
	struct mkfs_node n = {.mode = S_IFDIR | 0755, .mtime = f->created};
	u64 parent = *ino;
	struct tfs_attr a;
	int err = mkfs_fill_error(f, job, f->sink->getattr(f, parent, &a));

	if (!err)
		err = mkfs_fill_create(f, job, parent, name, len, &n, NULL, 0, ino);
	if (!err)
		err = times_set(f, job, parent, &a.mtime);
	return err ? err : late_add(f, job, *ino, &n.mtime);
}

/* One step down the path. make: a directory where nothing is. */
static int step_down(struct mkfs_fill *f, const struct mkfs_job *job, const char *name, u32 len, bool make, u64 *ino)
{
	u64 child;
	u8 type;
	int err = f->sink->lookup(f, *ino, name, len, &child, &type);

	if (err == -ENOENT && make)
		return dir_make(f, job, name, len, ino);
	if (err == -ENOENT)
		return refuse(f, job, "a directory of its path is not there");
	if (err)
		return mkfs_fill_error(f, job, err);
	if (type == S_IFLNK >> 12)
		return refuse(f, job, "its path leads through a symbolic link of the archive; refused");
	if (type != S_IFDIR >> 12)
		return refuse(f, job, "a part of its path is not a directory");
	*ino = child;
	return 0;
}

int mkfs_fill_parent(struct mkfs_fill *f, const struct mkfs_job *job, const char *path, bool make, u64 *parent,
                     const char **name)
{
	const char *last = strrchr(path, '/'), *at = path;
	size_t len = last ? (size_t)(last - path) : 0, n;
	int err = 0;

	*parent = TFS_INO_ROOT;
	*name = last ? last + 1 : path;
	if (f->parent_ino && strlen(f->parent) == len && !memcmp(f->parent, path, len)) {
		*parent = f->parent_ino;
		return 0;
	}
	for (; !err && at < *name; at += n + 1) {
		n = strcspn(at, "/");
		err = step_down(f, job, at, (u32)n, make, parent);
	}
	if (err || len >= sizeof(f->parent))
		return err;
	memcpy(f->parent, path, len);
	f->parent[len] = 0;
	f->parent_ino = *parent;
	return 0;
}

int mkfs_fill_remove(struct mkfs_fill *f, const struct mkfs_job *job, u64 parent, const char *name, bool dir)
{
	u64 ino;
	int err = f->sink->unlink(f, parent, name, (u32)strlen(name), dir, &ino);

	if (err == -ENOTEMPTY)
		return refuse(f, job, "would replace a directory that is not empty");
	if (dir)
		f->parent_ino = 0; /* what was remembered may be gone */
	if (!err)
		err = f->sink->evict(f, ino);
	return mkfs_fill_error(f, job, err);
}

/* ---- jobs of an archive ---- */

static int entry_root(struct mkfs_fill *f, struct mkfs_job *job)
{
	int err;

	if (!S_ISDIR(job->node.mode))
		return refuse(f, job, "names the root and is not a directory");
	err = mkfs_fill_attrs(f, job, TFS_INO_ROOT, &job->node);
	if (!err)
		err = mkfs_fill_xattrs(f, job, TFS_INO_ROOT);
	return err ? err : late_add(f, job, TFS_INO_ROOT, &job->node.mtime);
}

/* An old directory stays and gets new attributes; anything else makes room: as tar does, the last one wins. */
static int entry_clear(struct mkfs_fill *f, struct mkfs_job *job, u64 parent, const char *name, bool *stays)
{
	u8 type;
	int err = f->sink->lookup(f, parent, name, (u32)strlen(name), &f->ino, &type);

	*stays = false;
	if (err)
		return err == -ENOENT ? 0 : mkfs_fill_error(f, job, err);
	*stays = type == S_IFDIR >> 12 && S_ISDIR(job->node.mode);
	return *stays ? 0 : mkfs_fill_remove(f, job, parent, name, type == S_IFDIR >> 12);
}

static int entry_take(struct mkfs_fill *f, struct mkfs_job *job)
{
	const char *name;
	bool stays;
	u64 parent;
	int err;

	f->end = 0;
	if (!*job->text)
		return entry_root(f, job);
	err = mkfs_fill_parent(f, job, job->text, true, &parent, &name);
	if (!err)
		err = entry_clear(f, job, parent, name, &stays);
	if (!err && stays)
		err = mkfs_fill_attrs(f, job, f->ino, &job->node);
	else if (!err)
		err = mkfs_fill_create(f, job, parent, name, (u32)strlen(name), &job->node, job->target,
		                       job->target_len, &f->ino);
	if (!err && S_ISDIR(job->node.mode))
		err = late_add(f, job, f->ino, &job->node.mtime);
	if (!err)
		err = mkfs_fill_xattrs(f, job, f->ino);
	if (!err && job->bytes)
		err = data_put(f, job);
	return err;
}

static int hard_take(struct mkfs_fill *f, struct mkfs_job *job)
{
	const char *name;
	u64 parent, ino, old;
	u8 type;
	int err = *job->text && *job->target ? mkfs_fill_parent(f, job, job->target, false, &parent, &name)
	                                     : refuse(f, job, "hard link to or at the root");

	if (err)
		return err;
	err = f->sink->lookup(f, parent, name, (u32)strlen(name), &ino, &type);
	if (err == -ENOENT)
		return refuse(f, job, "hard link to an entry that is not in the archive before it");
	if (!err && type == S_IFDIR >> 12)
		return refuse(f, job, "hard link to a directory");
	if (err)
		return mkfs_fill_error(f, job, err);
	err = mkfs_fill_parent(f, job, job->text, true, &parent, &name);
	if (!err && !f->sink->lookup(f, parent, name, (u32)strlen(name), &old, &type)) {
		if (old == ino)
			return 0;
		err = mkfs_fill_remove(f, job, parent, name, type == S_IFDIR >> 12);
	}
	f->now = job->node.mtime;
	return err ? err : mkfs_fill_error(f, job, f->sink->link(f, ino, parent, name, (u32)strlen(name)));
}

static int times_take(struct mkfs_fill *f, const struct mkfs_job *job)
{
	struct tfs_attr a;
	bool root = false;
	u32 i;
	int err = 0;

	for (i = 0; !err && i < f->lates; i++) {
		root |= f->late[i].ino == TFS_INO_ROOT;
		if (f->sink->getattr(f, f->late[i].ino, &a) != -ENOENT) /* replaced later on */
			err = times_set(f, job, f->late[i].ino, &f->late[i].mtime);
	}
	return err || root ? err : times_set(f, job, TFS_INO_ROOT, &f->created);
}

/* ---- all of them ---- */

static int job_apply(struct mkfs_fill *f, struct mkfs_job *job)
{
	switch (job->kind) {
	case JOB_NODE:
		return node_take(f, job);
	case JOB_LINK:
		return link_take(f, job);
	case JOB_UP:
		return up_take(f, job);
	case JOB_ENTRY:
		return entry_take(f, job);
	case JOB_HARD:
		return hard_take(f, job);
	case JOB_TIMES:
		return times_take(f, job);
	case JOB_LINE:
		f->end = 0;
		return mkfs_manifest_apply(f, job);
	case JOB_DATA:
		return data_put(f, job);
	case JOB_END:
		return file_end(f, job);
	default:
		return 0;
	}
}

/* Windows do not carry their file's name: the job that made the file is remembered for messages. */
static void name_keep(const struct mkfs_job *job, char *name, size_t size)
{
	char path[4096];

	if (job->kind == JOB_NODE && job->file)
		snprintf(name, size, "%s", mkfs_job_path(job, path, sizeof(path)));
	else if (job->kind == JOB_ENTRY || job->kind == JOB_LINE)
		snprintf(name, size, "%s", job->text);
}

int mkfs_fill(struct mkfs_fill *f, struct mkfs_pool *pool)
{
	static char name[4096];
	int err = 0;

	for (;;) {
		struct mkfs_job *job = mkfs_pool_take(pool);
		char path[4096];

		if (job->kind == JOB_LAST)
			return 0;
		if (job->kind == JOB_DATA || job->kind == JOB_END)
			job->name = name;
		else
			name_keep(job, name, sizeof(name));
		if (f->grows)
			err = f->sink->grow(f);
		if (!job->code && !err)
			err = job_apply(f, job);
		if (job->code && !err) {
			tfs_progress_end(&f->progress);
			err = tfs_cli_fail(job->code, mkfs_job_path(job, path, sizeof(path)), "%s", job->what);
		}
		if (err)
			return err;
		mkfs_pool_release(pool);
	}
}
