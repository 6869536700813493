// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A tar archive as the source, read by libarchive: GNU and pax forms, from a file or standard input; stream.c undoes
 * compression. Entries go to the volume in the archive's order. Names are taken as bytes: in the C locale, which this
 * program stays in, libarchive hands over what is in the archive. fill.c finds the paths in the volume itself, so
 * nothing leads out of it. Called by main.c.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A reader for the tar format alone; what it reads comes from stream.c. */
struct reader {
	struct archive *a;
	struct mkfs_stream *stream;
	bool started; /* an entry was read */
};

static int reader_open(struct reader *r, int fd, char *why, size_t size)
{
	r->started = false;
	r->a = archive_read_new();
	if (!r->a)
		return -1;
	archive_read_support_format_tar(r->a);
	archive_read_support_format_empty(r->a);
	r->stream = mkfs_stream_open(fd, r->a, why, size);
	if (r->stream)
		return 0;
	archive_read_free(r->a);
	return -1;
}

static void reader_close(struct reader *r)
{
	archive_read_free(r->a);
	mkfs_stream_close(r->stream);
}

static int open_fd(const char *path)
{
	return !strcmp(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
}

/* 1: an entry; 0: the end; -1: damaged. Names that are not in the locale's charset are no cause for a warning. */
static int header_next(struct reader *from, struct archive_entry **e)
{
	struct archive *a = from->a;
	const char *what;
	int r = ARCHIVE_OK;

	if (from->started)
		r = archive_read_data_skip(a); /* content of what has none, of any size */
	from->started = true;
	mkfs_stream_header(from->stream, true);
	if (r == ARCHIVE_OK || r == ARCHIVE_EOF || r == ARCHIVE_WARN)
		r = archive_read_next_header(a, e);
	what = archive_error_string(a);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_WARN && what && !strstr(what, "can't be converted"))
		tfs_cli_warn(archive_entry_pathname(*e), "warning: %s", what);
	return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 1 : -1;
}

/* ---- POSIX ACLs: text in the archive, system.posix_acl_* in a filesystem ---- */

static u16 acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return 1;
	case ARCHIVE_ENTRY_ACL_USER:
		return 2;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return 4;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return 8;
	case ARCHIVE_ENTRY_ACL_MASK:
		return 16;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return 32;
	}
	return 0;
}

struct acl_entry {
	le16 tag, perm;
	le32 id;
};

static int acl_order(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;
	u32 tx = tfs_le16(x->tag), ty = tfs_le16(y->tag), ix = tfs_le32(x->id), iy = tfs_le32(y->id);

	return tx != ty ? (tx < ty ? -1 : 1) : ix == iy ? 0 : ix < iy ? -1 : 1;
}

static void acl_take(struct mkfs_job *job, struct archive_entry *e, int type, const char *name)
{
	struct {
		le32 version;
		struct acl_entry at[512];
	} acl = {.version = tfs_cpu32(2)};
	int want, perm, tag, id, n = 0;
	const char *who;

	/* three entries are the mode bits, no more */
	if (archive_entry_acl_count(e, type) <= (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? 3 : 0))
		return;
	archive_entry_acl_reset(e, type);
	while (archive_entry_acl_next(e, type, &want, &perm, &tag, &id, &who) == ARCHIVE_OK && n < 512) {
		u16 t = acl_tag(tag);

		if (t)
			acl.at[n++] = (struct acl_entry){tfs_cpu16(t), tfs_cpu16((u16)(perm & 7)),
			                                 tfs_cpu32(t == 2 || t == 8 ? (u32)id : ~0u)};
	}
	qsort(acl.at, (size_t)n, sizeof(acl.at[0]), acl_order);
	if (mkfs_xattr_add(job, name, &acl, 4 + (size_t)n * sizeof(acl.at[0])))
		mkfs_job_fail(job, MKFS_SOURCE, "ACL too large");
}

static void xattrs_take(struct mkfs_job *job, struct archive_entry *e)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
		if (!name || mkfs_xattr_add(job, name, value, len))
			mkfs_job_fail(job, MKFS_SOURCE, "extended attribute too large");
	acl_take(job, e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access");
	acl_take(job, e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
	mkfs_xattr_sort(job);
}

/* ---- entries ---- */

static struct mkfs_node node_of(struct archive_entry *e, const struct mkfs_options *o)
{
	struct mkfs_node n = {
	    .mode = archive_entry_mode(e), .uid = (u32)archive_entry_uid(e), .gid = (u32)archive_entry_gid(e)};

	if (o->all_root)
		n.uid = n.gid = 0;
	if (S_ISCHR(n.mode) || S_ISBLK(n.mode)) {
		n.major = (u32)archive_entry_rdevmajor(e);
		n.minor = (u32)archive_entry_rdevminor(e);
	}
	if (S_ISREG(n.mode))
		n.size = (u64)archive_entry_size(e);
	n.mtime =
	    (struct tfs_time){tfs_cpu64((u64)archive_entry_mtime(e)), tfs_cpu32((u32)archive_entry_mtime_nsec(e)), 0};
	return n;
}

/* Path and target in one piece of memory, both cleaned; the entry's own path for messages when something is wrong. */
static void names_take(struct mkfs_job *job, const char *path, const char *target, bool clean_target)
{
	size_t len = strlen(path) + 1, target_len = target ? strlen(target) : 0;
	const char *bad = NULL;
	char *text = malloc(len + target_len + 1);

	if (!text) {
		mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
		return;
	}
	memcpy(text, path, len);
	memcpy(text + len, target ? target : "", target_len + 1);
	bad = mkfs_path_clean(text);
	if (!bad && clean_target && (bad = mkfs_path_clean(text + len)))
		bad = "hard link leads out of the root ('..' in its target); refused";
	if (bad) {
		memcpy(text, path, len);
		mkfs_job_fail(job, MKFS_SOURCE, "%s", bad);
	}
	job->text = text;
	job->target = text + len;
	job->target_len = (u32)strlen(job->target);
}

static const char *type_wrong(struct archive_entry *e, const char *path)
{
	u32 type = archive_entry_filetype(e);

	if (!path)
		return "has no name that can be read";
	if (archive_entry_hardlink(e))
		return NULL;
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR && type != S_IFBLK &&
	    type != S_IFIFO && type != S_IFSOCK)
		return "is of a type that a volume cannot hold";
	if (type == S_IFLNK && (!archive_entry_symlink(e) || !*archive_entry_symlink(e)))
		return "is a symbolic link without a target";
	if (type == S_IFREG && archive_entry_size(e) < 0)
		return "has a negative size";
	return NULL;
}

/* Pushes the entry; 1: data follows. -1: failed or stopped. */
static int entry_send(struct mkfs_source *s, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e), *hard = archive_entry_hardlink(e), *bad = type_wrong(e, path);
	struct mkfs_job *job = mkfs_pool_slot(s->pool);
	bool data;

	if (!job)
		return -1;
	names_take(job, path ? path : "?", hard ? hard : archive_entry_symlink(e), hard != NULL);
	job->kind = hard ? JOB_HARD : JOB_ENTRY;
	job->node = node_of(e, s->opt);
	job->total = job->node.size;
	if (bad)
		mkfs_job_fail(job, MKFS_SOURCE, "%s", bad);
	if (!job->code && !hard)
		xattrs_take(job, e);
	data = !hard && S_ISREG(job->node.mode) && job->node.size;
	mkfs_pool_push(s->pool, job);
	return data;
}

/* ---- content ---- */

struct window {
	struct mkfs_job *job; /* being filled; NULL: none */
	u64 size;
};

static int window_open(struct mkfs_source *s, struct window *w, u64 off)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return -1;
	w->job = job;
	job->kind = JOB_DATA;
	job->off = off & ~(u64)(MKFS_WINDOW - 1);
	job->total = w->size;
	job->bytes = w->size - job->off < MKFS_WINDOW ? (u32)(w->size - job->off) : MKFS_WINDOW;
	if (job->data)
		memset(job->data, 0, job->bytes);
	return job->code ? mkfs_pool_push(s->pool, job), -1 : 0;
}

static void window_close(struct mkfs_source *s, struct window *w)
{
	if (w->job)
		mkfs_pool_push(s->pool, w->job);
	w->job = NULL;
}

/* A piece of the stream, cut at windows. */
static int piece_put(struct mkfs_source *s, struct window *w, u64 off, const u8 *buf, size_t len)
{
	while (len) {
		u32 in = off % MKFS_WINDOW, n = MKFS_WINDOW - in < len ? MKFS_WINDOW - in : (u32)len;

		if (w->job && off - in != w->job->off)
			window_close(s, w);
		if (!w->job && window_open(s, w, off))
			return -1;
		memcpy(w->job->data + in, buf, n);
		off += n;
		buf += n;
		len -= n;
	}
	return 0;
}

/* 0, -1 stopped, or 1 with the reason in why. */
static int content_send(struct mkfs_source *s, struct reader *from, u64 size, const char **why)
{
	struct archive *a = from->a;
	struct window w = {.size = size};
	const void *buf;
	size_t len;
	la_int64_t off;
	u64 at = 0;
	int r;

	while ((r = archive_read_data_block(a, &buf, &len, &off)) == ARCHIVE_OK) {
		mkfs_stream_header(from->stream, false); /* with the first block: a map of holes is behind us */
		*why = "has data outside of its size, or in no order";
		if (off < 0 || (u64)off < at || (u64)off > size || len > size - (u64)off)
			break;
		if (piece_put(s, &w, (u64)off, buf, len))
			return -1;
		at = (u64)off + len;
		*why = NULL;
	}
	window_close(s, &w);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		*why = archive_error_string(a) ? archive_error_string(a) : "cannot be read";
	return 1;
}

static bool end_send(struct mkfs_source *s, enum mkfs_job_kind kind, u64 size)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);

	if (!job)
		return false;
	job->kind = kind;
	job->total = size;
	mkfs_pool_push(s->pool, job);
	return true;
}

static bool entries_send(struct mkfs_source *s, struct reader *from)
{
	struct archive *a = from->a;
	struct archive_entry *e;
	int r, data;

	while ((r = header_next(from, &e)) > 0) {
		const char *why = NULL;
		u64 size = (u64)archive_entry_size(e);

		data = entry_send(s, e);
		if (data < 0)
			return false;
		r = data ? content_send(s, from, size, &why) : 0;
		mkfs_stream_header(from->stream, false);
		if (r > 0)
			return mkfs_give_up(s, MKFS_SOURCE, archive_entry_pathname(e), "%s", why);
		if (r < 0 || (data && !end_send(s, JOB_END, size)))
			return false;
	}
	if (r < 0)
		return mkfs_give_up(s, MKFS_SOURCE, s->opt->tar, "%s", archive_error_string(a));
	return end_send(s, JOB_TIMES, 0);
}

/* What fills an archive up behind its end: who writes it into a pipe must not find that closed. */
static void pipe_drain(int fd)
{
	char rest[4096];
	ssize_t n;

	do
		n = read(fd, rest, sizeof(rest));
	while (n > 0 || (n < 0 && errno == EINTR));
}

bool mkfs_tar(struct mkfs_source *s)
{
	struct stat before, after;
	struct reader from;
	char why[240] = "cannot be read";
	int fd = open_fd(s->opt->tar);
	bool ok;

	if (fd < 0)
		return mkfs_give_up(s, MKFS_SOURCE, s->opt->tar, "%s", strerror(errno));
	if (fstat(fd, &before) || reader_open(&from, fd, why, sizeof(why))) {
		close(fd);
		return mkfs_give_up(s, MKFS_SOURCE, s->opt->tar, "%s", why);
	}
	ok = entries_send(s, &from);
	if (ok && S_ISREG(before.st_mode) && (fstat(fd, &after) || !mkfs_same_file(&before, &after)))
		ok = mkfs_give_up(s, MKFS_SOURCE, s->opt->tar, "changed while it was read");
	reader_close(&from);
	if (ok && S_ISFIFO(before.st_mode))
		pipe_drain(fd);
	close(fd);
	return ok;
}
