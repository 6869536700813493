// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Objects in a directory: also one of another machine, mounted over a network.
 *
 * A put writes a temporary file beside the object, syncs it, gives it the name and syncs the folder (and, for a folder
 * it made, the one above). RENAME_NOREPLACE, else link(2), makes a put conditional. Temporaries are named ".tmp-PID-N",
 * which no object can be, are locked (flock) while their writer lives, and are removed by tfs_store_clean. Folders are
 * never removed, so nobody has to fear that one vanishes below a put. Requests are done one after the other in step.
 * Of the options it takes `bandwidth`, and refuses `lock`, which it could only pretend to keep; the rest is of S3.
 */
#define _GNU_SOURCE
#include "backup/store_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY ".tmp-"

struct dir_store {
	struct tfs_store s; /* first */
	int root;
	u64 bandwidth; /* bytes a second; 0: no limit */
	s64 due_us;    /* when what has been moved so far may have been moved */
	struct tfs_store_request *first, **last;
};

static struct dir_store *dir_of(struct tfs_store *s)
{
	return (struct dir_store *)s;
}

/* errno as an interface's one; what it does not know is EIO. */
static int known_error(int err)
{
	switch (err) {
	case ENOENT:
	case EEXIST:
	case EACCES:
	case EPERM:
	case ENOSPC:
	case ETIMEDOUT:
	case ENOMEM:
	case EFBIG:
	case EOPNOTSUPP:
		return -err;
	case ENOTDIR: /* below an object */
		return -ENOENT;
	case EDQUOT:
		return -ENOSPC;
	case EROFS:
		return -EACCES;
	default:
		return -EIO;
	}
}

static const char *advice(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return "; make room there (prune, or a larger disk) and run it again";
	case EACCES:
		return "; give this user the right, or run it as another one";
	case EROFS:
		return "; mount it read-write";
	case EPERM:
		return "; the file or its folder cannot be changed (chattr +i?)";
	case EIO:
	case ESTALE:
		return "; look at the kernel's messages, the disk may fail";
	default:
		return "";
	}
}

static int fail(struct tfs_store *s, char *error, const char *what, const char *name, int err)
{
	return tfs_store_say(error, known_error(err), "%s: %s: %s: %s%s", s->url, name, what, strerror(err),
	                     advice(err));
}

static int sync_folder(int root, const char *path)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) && errno != EINVAL) /* EINVAL: a filesystem that has no sync of folders */
		err = -errno;
	close(fd);
	return err;
}

/* Cuts path at its last slash: the folder, "." for none. */
static void folder_of(const char *name, char folder[TFS_STORE_NAME_MAX + 1])
{
	const char *slash = strrchr(name, '/');

	if (slash)
		snprintf(folder, TFS_STORE_NAME_MAX + 1, "%.*s", (int)(slash - name), name);
	else
		strcpy(folder, ".");
}

/* Makes the folders of a name that are not there, each durable before anything goes below it. */
static int make_folders(int root, const char *name)
{
	char path[TFS_STORE_NAME_MAX + 1], above[TFS_STORE_NAME_MAX + 1];
	int err;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
		if (mkdirat(root, path, 0777)) {
			if (errno == EEXIST)
				continue;
			return -errno;
		}
		folder_of(path, above);
		err = sync_folder(root, above);
		if (err)
			return err;
	}
	return 0;
}

/* A temporary in the folder of name, locked: its path and descriptor, or -errno. */
static int make_temporary(int root, const char *name, char path[TFS_STORE_NAME_MAX + 64])
{
	char folder[TFS_STORE_NAME_MAX + 1];
	u64 number;
	int fd;

	folder_of(name, folder);
	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -EIO;
		snprintf(path, TFS_STORE_NAME_MAX + 64, "%s/" TEMPORARY "%ld-%016llx", folder, (long)getpid(),
		         (unsigned long long)number);
		fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (fd >= 0) {
			flock(fd, LOCK_EX | LOCK_NB); /* where there are no locks, tfs_store_clean goes by age alone */
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* ---- bandwidth: moved in pieces of an eighth of a second, with a rest behind each ---- */

static size_t piece(const struct dir_store *d, size_t length)
{
	u64 most = !d->bandwidth ? 1u << 30 : d->bandwidth / 8 > 4096 ? d->bandwidth / 8 : 4096;

	return length < most ? length : (size_t)most;
}

static void rest(struct dir_store *d, size_t bytes)
{
	struct timespec t;
	s64 now;

	if (!d->bandwidth)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (s64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	d->due_us = (d->due_us > now ? d->due_us : now) + (s64)(bytes * 1000000.0 / (double)d->bandwidth);
	t = (struct timespec){(d->due_us - now) / 1000000, (d->due_us - now) % 1000000 * 1000};
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static int write_all(struct dir_store *d, int fd, const u8 *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, piece(d, length));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		rest(d, (size_t)n);
		data += n;
		length -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name, if nobody has it. A server may have done a link whose answer was lost: the count of links tells. */
static int link_new(int root, int fd, const char *from, const char *to)
{
	struct stat st;
	int err;

	if (!renameat2(root, from, root, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	err = linkat(root, from, root, to, 0) ? -errno : 0;
	if (err == -EEXIST && !fstat(fd, &st) && st.st_nlink == 2)
		err = 0;
	if (err == -EPERM || err == -ENOSYS || err == -EMLINK)
		err = -EOPNOTSUPP;
	if (!err)
		unlinkat(root, from, 0);
	return err;
}

static int do_put(struct dir_store *d, struct tfs_store_request *r)
{
	char temporary[TFS_STORE_NAME_MAX + 64], folder[TFS_STORE_NAME_MAX + 1];
	const char *what = "cannot make the folder";
	int err, fd = -1;

	if ((r->flags & TFS_STORE_IF_ABSENT) && !faccessat(d->root, r->name, F_OK, 0))
		return fail(&d->s, r->error, "put if absent", r->name, EEXIST);
	err = make_folders(d->root, r->name);
	if (err)
		return fail(&d->s, r->error, what, r->name, -err);
	what = "cannot write";
	fd = make_temporary(d->root, r->name, temporary);
	if (fd < 0)
		return fail(&d->s, r->error, what, r->name, -fd);
	err = write_all(d, fd, r->data, r->length);
	if (!err) {
		what = "cannot name";
		if (r->flags & TFS_STORE_IF_ABSENT)
			err = link_new(d->root, fd, temporary, r->name);
		else if (renameat(d->root, temporary, d->root, r->name))
			err = -errno;
	}
	if (err)
		unlinkat(d->root, temporary, 0);
	close(fd);
	if (!err) {
		what = "cannot sync the folder";
		folder_of(r->name, folder);
		err = sync_folder(d->root, folder);
	}
	d->s.stats.sent += r->length;
	return err ? fail(&d->s, r->error, what, r->name, -err) : 0;
}

static int read_range(struct dir_store *d, int fd, struct tfs_store_request *r)
{
	u8 *to = r->buffer;

	while (r->got < r->length && r->offset + r->got < r->size) {
		ssize_t n = pread(fd, to + r->got, piece(d, r->length - r->got), (off_t)(r->offset + r->got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO; /* shorter than it was a moment ago */
		r->got += (size_t)n;
		rest(d, (size_t)n);
	}
	return 0;
}

static int do_get(struct dir_store *d, struct tfs_store_request *r)
{
	int fd = openat(d->root, r->name, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return fail(&d->s, r->error, "cannot open", r->name, errno);
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ENOENT;
	else if (r->offset > (u64)st.st_size)
		r->size = (u64)st.st_size;
	else
		r->size = (u64)st.st_size, err = read_range(d, fd, r);
	close(fd);
	d->s.stats.received += r->got;
	return err ? fail(&d->s, r->error, "cannot read", r->name, -err) : 0;
}

static int do_stat(struct dir_store *d, struct tfs_store_request *r)
{
	struct stat st;

	if (fstatat(d->root, r->name, &st, 0))
		return fail(&d->s, r->error, "stat", r->name, errno);
	if (!S_ISREG(st.st_mode))
		return fail(&d->s, r->error, "stat", r->name, ENOENT);
	r->size = (u64)st.st_size;
	r->time = st.st_mtime;
	return 0;
}

static int do_delete(struct dir_store *d, struct tfs_store_request *r)
{
	char folder[TFS_STORE_NAME_MAX + 1];
	int err;

	if (unlinkat(d->root, r->name, 0))
		return errno == ENOENT ? 0 : fail(&d->s, r->error, "cannot delete", r->name, errno);
	folder_of(r->name, folder);
	err = sync_folder(d->root, folder);
	return err ? fail(&d->s, r->error, "cannot sync the folder", r->name, -err) : 0;
}

static void dir_start(struct tfs_store *s, struct tfs_store_request *r)
{
	struct dir_store *d = dir_of(s);

	*d->last = r;
	d->last = &r->next;
}

static void dir_step(struct tfs_store *s, int timeout_ms)
{
	static int (*const work[])(struct dir_store *, struct tfs_store_request *) = {do_put, do_get, do_stat,
	                                                                              do_delete};
	struct dir_store *d = dir_of(s);
	struct tfs_store_request *r = d->first;

	(void)timeout_ms;
	if (!r)
		return;
	d->first = r->next;
	if (!d->first)
		d->last = &d->first;
	r->next = NULL;
	s->stats.requests++;
	tfs_store_complete(s, r, work[r->op](d, r));
}

/* ---- listing: folder by folder, each sorted; a folder's name counts with its slash, so that the order is strcmp's
 * ---- */

struct names {
	char **name;
	size_t count, room;
};

static void names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
}

static int names_add(struct names *n, const char *name, bool folder)
{
	if (n->count == n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		char **larger = realloc(n->name, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		n->name = larger;
		n->room = room;
	}
	if (asprintf(&n->name[n->count], "%s%s", name, folder ? "/" : "") < 0)
		return -ENOMEM;
	n->count++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(int fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_DIR;
	return !fstatat(fd, e->d_name, &st, 0) && S_ISDIR(st.st_mode);
}

/* All names of a folder, hidden ones only when asked for. */
static int read_folder(int root, const char *path, bool hidden, struct names *n)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	for (errno = 0; !err && (e = readdir(dir)); errno = 0)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && (hidden || e->d_name[0] != '.'))
			err = names_add(n, e->d_name, is_folder(fd, e));
	if (!err && errno)
		err = -errno;
	closedir(dir);
	if (!err && n->count)
		qsort(n->name, n->count, sizeof(*n->name), by_name);
	return err;
}

struct walk {
	struct dir_store *d;
	const char *prefix, *after;
	bool hidden; /* for clean */
	int (*visit)(struct walk *w, const char *name);
	int (*entry)(void *arg, const struct tfs_store_entry *e);
	void *arg;
	s64 before;
	u64 removed;
};

/* May the file, or anything below the folder (its path ends with a slash), be wanted? Folders that are none of ours,
 * such as lost+found, may not even be readable. */
static bool wanted(const struct walk *w, char *path, size_t len)
{
	size_t prefix = strlen(w->prefix);
	bool ours = true;

	if (path[len - 1] == '/') {
		path[len - 1] = 0;
		ours = tfs_store_name_ok(path);
		path[len - 1] = '/';
	}
	return ours && !strncmp(path, w->prefix, len < prefix ? len : prefix) && strncmp(w->after, path, len) <= 0;
}

static int walk_folder(struct walk *w, const char *folder, int depth)
{
	char path[TFS_STORE_NAME_MAX + NAME_MAX + 2];
	struct names names = {0};
	int err = read_folder(w->d->root, *folder ? folder : ".", w->hidden, &names);

	if (err == -ENOENT && *folder)
		err = 0; /* gone meanwhile */
	else if (err)
		err = fail(&w->d->s, w->d->s.error, "cannot list", *folder ? folder : ".", -err);
	for (size_t i = 0; !err && i < names.count; i++) {
		size_t len = (size_t)snprintf(path, sizeof(path), "%s%s", folder, names.name[i]);

		if (len >= sizeof(path) || len > TFS_STORE_NAME_MAX || !wanted(w, path, len))
			continue;
		if (path[len - 1] != '/')
			err = w->visit(w, path);
		else if (depth < 16)
			err = walk_folder(w, path, depth + 1);
	}
	names_free(&names);
	return err;
}

static int visit_object(struct walk *w, const char *name)
{
	struct tfs_store_entry e = {.name = name};
	struct stat st;

	if (!tfs_store_name_ok(name) || strncmp(name, w->prefix, strlen(w->prefix)) || strcmp(name, w->after) <= 0)
		return 0;
	if (fstatat(w->d->root, name, &st, 0))
		return errno == ENOENT ? 0 : fail(&w->d->s, w->d->s.error, "stat", name, errno);
	if (!S_ISREG(st.st_mode))
		return 0;
	e.size = (u64)st.st_size;
	e.time = st.st_mtime;
	return w->entry(w->arg, &e);
}

static int dir_list(struct tfs_store *s, const char *prefix, const char *after,
                    int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg)
{
	struct walk w = {
	    .d = dir_of(s), .prefix = prefix, .after = after, .visit = visit_object, .entry = entry, .arg = arg};

	return walk_folder(&w, "", 0);
}

/* The clock that stamps files here may be another machine's: let it stamp the folder. */
static int dir_now(struct tfs_store *s, s64 *seconds)
{
	struct stat st;

	if (futimens(dir_of(s)->root, NULL) || fstat(dir_of(s)->root, &st)) {
		*seconds = (s64)time(NULL); /* not ours, or read-only: nothing will be put here either */
		return 0;
	}
	*seconds = st.st_mtime;
	return 0;
}

static int visit_temporary(struct walk *w, const char *name)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	struct stat st;
	int fd;

	if (strncmp(base, TEMPORARY, sizeof(TEMPORARY) - 1) || fstatat(w->d->root, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode) || st.st_mtime > w->before)
		return 0;
	fd = openat(w->d->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		close(fd);
		return 0; /* its writer lives */
	}
	if (!unlinkat(w->d->root, name, 0))
		w->removed++;
	if (fd >= 0)
		close(fd);
	return 0;
}

static int dir_clean(struct tfs_store *s, s64 seconds, u64 *removed)
{
	struct walk w = {.d = dir_of(s), .prefix = "", .after = "", .hidden = true, .visit = visit_temporary};
	s64 now;
	int err = dir_now(s, &now);

	w.before = now - seconds;
	if (!err)
		err = walk_folder(&w, "", 0);
	*removed = w.removed;
	return err;
}

static void dir_close(struct tfs_store *s)
{
	close(dir_of(s)->root);
	tfs_store_fini(s);
	free(s);
}

static const struct tfs_store_ops dir_ops = {
    .start = dir_start,
    .step = dir_step,
    .list = dir_list,
    .now = dir_now,
    .clean = dir_clean,
    .close = dir_close,
};

static int make_root(const char *path)
{
	char above[PATH_MAX];

	if (mkdir(path, 0777))
		return errno == EEXIST ? 0 : -errno;
	snprintf(above, sizeof(above), "%s/..", path);
	return sync_folder(AT_FDCWD, above);
}

int tfs_store_dir_open(struct tfs_store **out, const char *path, const struct tfs_store_options *o, unsigned flags,
                       char *error)
{
	struct dir_store *d;
	int err;

	if (o->lock != TFS_STORE_LOCK_NONE)
		return tfs_store_say(error, -EINVAL,
		                     "%s: option lock: a directory locks nothing; leave it out, or use s3://", path);
	if (flags & TFS_STORE_CREATE) {
		err = make_root(path);
		if (err)
			return tfs_store_say(error, known_error(-err), "%s: cannot make the folder: %s%s", path,
			                     strerror(-err), advice(-err));
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return tfs_store_say(error, -ENOMEM, "%s: no memory", path);
	d->last = &d->first;
	d->bandwidth = o->bandwidth;
	d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root < 0) {
		err = errno;
		free(d);
		return tfs_store_say(error, known_error(err), "%s: cannot open the folder: %s%s", path, strerror(err),
		                     err == ENOENT ? "; is its disk mounted? `init` makes a new one" : advice(err));
	}
	err = tfs_store_init(&d->s, &dir_ops, path, (unsigned)o->parallel);
	if (err) {
		dir_close(&d->s);
		return tfs_store_say(error, err, "%s: no memory", path);
	}
	*out = &d->s;
	return 0;
}
