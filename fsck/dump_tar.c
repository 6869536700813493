// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A tar archive of the volume or a part of it: pax format with nanosecond times, xattrs, hard links, holes and devices,
 * names sorted and nothing of this machine in it, so the same content gives the same archive. A file is read and
 * verified once before its header goes out, so that no member holds anything but its content. With -o the archive has a
 * temporary name until it is whole. Sockets have no place in tar: they are counted. libarchive does the format.
 */
#define _GNU_SOURCE
#include "fsck/dump.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLE_STEP (1u << 30)
#define LINKS_MAX (64u << 20) /* bytes that names of hard links may take */
#define BUCKETS 4096u

struct first_name { /* of an inode with more names to come */
	struct first_name *next;
	u64 ino;
	u32 left;
	char path[];
};

struct tar {
	struct dump *d;
	struct archive *a;
	int fd;
	int error; /* errno of the output; from then on nothing is written, though libarchive is told it was */
	bool given_up;
	char *temporary;
	struct first_name *bucket[BUCKETS];
	size_t links_bytes;
	const u8 *hole; /* HOLE_STEP bytes that are never touched: libarchive skips what lies in holes */
	struct tfs_progress progress;
	u64 members, missing, sockets;
};

static const char *shown(const struct dump_entry *e)
{
	return *e->path ? e->path : "/";
}

static int damaged(struct tar *t, const struct dump_entry *e, const char *what)
{
	t->missing++;
	dump_note(t->d, DUMP_DAMAGE);
	tfs_progress_end(&t->progress);
	tfs_cli_fail(0, shown(e), "%s; left out of the archive; run fsck.tfs", what);
	return 0;
}

static int refused(struct tar *t, const struct dump_entry *e)
{
	if (dump_interrupted())
		return DUMP_HOST;
	tfs_progress_end(&t->progress);
	return tfs_cli_fail(DUMP_HOST, shown(e), "cannot be written to the archive: %s",
	                    t->error ? strerror(t->error) : archive_error_string(t->a));
}

/* ---- hard links ---- */

/* The path that an earlier member has, when it is the same inode. */
static const char *link_find(struct tar *t, const struct dump_entry *e, struct first_name **out)
{
	struct first_name *f = t->bucket[e->attr.ino % BUCKETS];

	while (f && f->ino != e->attr.ino)
		f = f->next;
	*out = f;
	return f ? f->path : NULL;
}

/* Kept while more names are to come. Beyond the limit further names become members with content of their own. */
static void link_keep(struct tar *t, const struct dump_entry *e, const char *path)
{
	size_t bytes = sizeof(struct first_name) + strlen(path) + 1;
	struct first_name *f = t->links_bytes + bytes > LINKS_MAX ? NULL : malloc(bytes);

	if (!f) {
		tfs_cli_warn(shown(e), "too many hard links at once: its other names get a copy each");
		return;
	}
	f->ino = e->attr.ino;
	f->left = e->attr.nlink - 1;
	f->next = t->bucket[f->ino % BUCKETS];
	strcpy(f->path, path);
	t->bucket[f->ino % BUCKETS] = f;
	t->links_bytes += bytes;
}

static void link_used(struct tar *t, struct first_name *used)
{
	struct first_name **p = &t->bucket[used->ino % BUCKETS];

	if (--used->left)
		return;
	while (*p != used)
		p = &(*p)->next;
	*p = used->next;
	t->links_bytes -= sizeof(*used) + strlen(used->path) + 1;
	free(used);
}

static void links_free(struct tar *t)
{
	for (u32 i = 0; i < BUCKETS; i++)
		while (t->bucket[i]) {
			struct first_name *f = t->bucket[i];

			t->bucket[i] = f->next;
			free(f);
		}
}

/* ---- one member ---- */

/* "./" is the start, "./a/b" what is below it; a start that is no directory goes by its own name. NULL: no memory. */
static char *member_path(const struct dump_entry *e, size_t start_len)
{
	bool dir = (e->attr.mode & 0170000) == 0040000;
	const char *below = e->depth ? e->path + start_len + (start_len && e->path[start_len] == '/')
	                    : dir    ? ""
	                             : e->name;
	char *p;

	if (asprintf(&p, "./%s%s", below, dir && *below ? "/" : "") < 0)
		return NULL;
	return p;
}

static void attrs_put(struct archive_entry *m, const struct tfs_attr *a)
{
	archive_entry_set_mode(m, (__LA_MODE_T)(a->mode & 0177777));
	archive_entry_set_uid(m, a->uid);
	archive_entry_set_gid(m, a->gid);
	archive_entry_set_nlink(m, a->nlink);
	archive_entry_set_mtime(m, (time_t)tfs_le64(a->mtime.sec), (long)tfs_le32(a->mtime.nsec));
	archive_entry_set_atime(m, (time_t)tfs_le64(a->atime.sec), (long)tfs_le32(a->atime.nsec));
	archive_entry_set_ctime(m, (time_t)tfs_le64(a->ctime.sec), (long)tfs_le32(a->ctime.nsec));
	archive_entry_set_birthtime(m, (time_t)tfs_le64(a->btime.sec), (long)tfs_le32(a->btime.nsec));
	archive_entry_set_rdevmajor(m, a->rdev_major);
	archive_entry_set_rdevminor(m, a->rdev_minor);
	archive_entry_set_size(m, (a->mode & 0170000) == 0100000 ? (la_int64_t)a->size : 0);
}

static bool xattrs_put(struct dump *d, struct archive_entry *m, u64 ino)
{
	static u8 value[TFS_XATTR_MAX];
	int n = tfs_reader_listxattr(&d->view, ino, NULL, 0), len = 0;
	char *names = n > 0 ? malloc((size_t)n) : NULL;

	if (n > 0 && (!names || tfs_reader_listxattr(&d->view, ino, names, (u32)n) != n))
		n = -1;
	for (char *p = names; n > 0 && len >= 0 && p < names + n; p += strlen(p) + 1) {
		len = tfs_reader_getxattr(&d->view, ino, p, (u32)strlen(p), value, sizeof(value));
		if (len >= 0)
			archive_entry_xattr_add_entry(m, p, value, (size_t)len);
	}
	free(names);
	return n >= 0 && len >= 0;
}

/* Reads all of a file: it verifies, and its holes become the member's. */
static bool content_map(struct tar *t, struct archive_entry *m, const struct tfs_attr *a)
{
	static u8 buf[DUMP_DATA_MAX];
	struct dump_data ranges = {0, 0}, data = {0, 0};
	u64 at, end, mapped = 0;
	u32 len;
	int got;

	while ((got = dump_data_range(t->d, &ranges, a, &at, &end)) > 0) {
		if (mapped != at || end != a->size || mapped) /* not one stretch over the whole file */
			archive_entry_sparse_add_entry(m, (la_int64_t)at, (la_int64_t)(end - at));
		mapped = end;
	}
	if (!got && !mapped && a->size)
		archive_entry_sparse_add_entry(m, 0, 0); /* nothing but a hole */
	if (got < 0)
		return false;
	while ((got = dump_data_next(t->d, &data, a, &at, buf, &len)) > 0 && !dump_interrupted())
		tfs_progress_add(&t->progress, 0);
	return got >= 0;
}

static int bytes_put(struct tar *t, const void *buf, u64 n)
{
	while (n) {
		size_t part = n < HOLE_STEP ? (size_t)n : HOLE_STEP;
		la_ssize_t done = archive_write_data(t->a, buf, part);

		if (done <= 0 || t->error)
			return -1;
		n -= (u64)done;
	}
	return 0;
}

/* 0, ARCHIVE_FATAL, or an exit code that has been explained. */
static int content_put(struct tar *t, const struct dump_entry *e)
{
	static u8 buf[DUMP_DATA_MAX];
	struct dump_data c = {0, 0};
	u64 at, pos = 0;
	u32 len;
	int got;

	while ((got = dump_data_next(t->d, &c, &e->attr, &at, buf, &len)) > 0) {
		if (dump_interrupted())
			return DUMP_HOST;
		if (bytes_put(t, t->hole, at - pos) || bytes_put(t, buf, len))
			return ARCHIVE_FATAL;
		pos = at + len;
		tfs_progress_add(&t->progress, 0);
	}
	if (!got && !pos && e->attr.size && bytes_put(t, t->hole, 1)) /* or libarchive forgets the map of holes */
		return ARCHIVE_FATAL;
	if (got < 0) { /* verified a moment ago: the device is failing; the archive cannot be made right any more */
		dump_note(t->d, DUMP_DAMAGE);
		return tfs_cli_fail(DUMP_DAMAGE, shown(e), "content was readable and is no longer; archive given up");
	}
	return 0;
}

static int member_put(struct tar *t, const struct dump_entry *e, struct archive_entry *m, bool content)
{
	struct tfs_line l;
	int err = archive_write_header(t->a, m);

	if (err == ARCHIVE_WARN && archive_errno(t->a) != EILSEQ) /* that: a name that is not UTF-8 */
		tfs_cli_warn(shown(e), "note: %s", archive_error_string(t->a));
	if (err < ARCHIVE_WARN && err != ARCHIVE_FATAL) {
		t->missing++;
		dump_note(t->d, DUMP_HOST);
		tfs_cli_fail(0, shown(e), "cannot be a member of a tar archive: %s", archive_error_string(t->a));
		return 0;
	}
	if (t->error || err == ARCHIVE_FATAL || (content && (err = content_put(t, e))))
		return t->error || err == ARCHIVE_FATAL ? refused(t, e) : err;
	if (archive_write_finish_entry(t->a) < ARCHIVE_WARN || t->error)
		return refused(t, e);
	t->members++;
	tfs_progress_add(&t->progress, 1);
	if (t->d->json) {
		dump_begin(t->d, &l, 0, "member");
		tfs_line_bytes(&l, "path", e->path, e->path_len);
		tfs_line_num(&l, "ino", e->attr.ino);
		tfs_line_text(&l, "type", archive_entry_hardlink(m) ? "hard link" : tfs_type_text(e->attr.mode));
		tfs_line_end(&l);
	}
	return 0;
}

/* Everything but the name; 0, or 1 when the member cannot be (reported). */
static int member_fill(struct tar *t, const struct dump_entry *e, struct archive_entry *m)
{
	char target[TFS_SYMLINK_MAX + 1];

	attrs_put(m, &e->attr);
	if (!xattrs_put(t->d, m, e->attr.ino))
		return damaged(t, e, "xattrs cannot be read"), 1;
	if ((e->attr.mode & 0170000) == 0120000) {
		if (dump_target(t->d, e->attr.ino, target))
			return damaged(t, e, "symlink target cannot be read or holds a NUL"), 1;
		archive_entry_set_symlink(m, target);
	}
	if ((e->attr.mode & 0170000) == 0100000 && !content_map(t, m, &e->attr))
		return damaged(t, e, "content cannot be read"), 1;
	return 0;
}

static int member(struct tar *t, const struct dump_entry *e, struct archive_entry *m, const char *path)
{
	bool several = e->attr.nlink > 1 && (e->attr.mode & 0170000) != 0040000,
	     file = (e->attr.mode & 0170000) == 0100000;
	struct first_name *first = NULL;
	int err;

	archive_entry_set_pathname(m, path);
	if (several && link_find(t, e, &first)) {
		attrs_put(m, &e->attr);
		archive_entry_set_size(m, 0);
		archive_entry_set_hardlink(m, first->path);
		err = member_put(t, e, m, false);
		link_used(t, first);
		return err;
	}
	if (member_fill(t, e, m))
		return 0;
	err = member_put(t, e, m, file);
	if (!err && several)
		link_keep(t, e, path);
	return err;
}

struct tar_walk {
	struct tar *t;
	size_t start_len;
};

static int entry(void *arg, const struct dump_entry *e)
{
	struct tar_walk *w = arg;
	struct tar *t = w->t;
	struct archive_entry *m;
	char *path;
	int err;

	if (!e->depth)
		w->start_len = e->path_len;
	if ((e->attr.mode & 0170000) == 0140000) {
		t->sockets++;
		return 0;
	}
	path = member_path(e, w->start_len);
	m = archive_entry_new();
	err = path && m ? member(t, e, m, path) : tfs_cli_fail(DUMP_HOST, shown(e), "out of memory");
	archive_entry_free(m);
	free(path);
	return err;
}

/* ---- the archive ---- */

static int output_open(struct tar *t)
{
	struct dump *d = t->d;
	struct stat st;
	mode_t mask = umask(0);

	umask(mask);
	if (d->output && !strcmp(d->output, "-"))
		d->output = NULL;
	if (!d->output) {
		t->fd = STDOUT_FILENO;
		if (isatty(STDOUT_FILENO))
			return tfs_cli_fail(DUMP_USAGE, "standard output",
			                    "is a terminal; give -o FILE or redirect it");
		return d->json
		           ? tfs_cli_fail(DUMP_USAGE, "tar", "--json needs -o FILE: standard output holds the archive")
		           : 0;
	}
	/* a pipe, a device or a symlink, as /dev/stdout is one, is written to: a rename would put a file in its place */
	if (!lstat(d->output, &st) && !S_ISREG(st.st_mode)) {
		t->fd = open(d->output, O_WRONLY | O_TRUNC | O_CLOEXEC);
		return t->fd < 0 ? tfs_cli_fail(DUMP_HOST, d->output, "%s", strerror(errno)) : 0;
	}
	if (asprintf(&t->temporary, "%s.XXXXXX", d->output) < 0)
		return tfs_cli_fail(DUMP_HOST, d->output, "out of memory");
	t->fd = mkostemp(t->temporary, O_CLOEXEC);
	if (t->fd >= 0 && !fchmod(t->fd, 0666 & ~mask))
		return 0;
	free(t->temporary);
	t->temporary = NULL;
	return tfs_cli_fail(DUMP_HOST, d->output, "cannot be made: %s", strerror(errno));
}

/* The whole archive gets its name, or the temporary file goes. */
static int output_close(struct tar *t, int err)
{
	if (!err && t->temporary && fsync(t->fd))
		err = tfs_cli_fail(DUMP_HOST, t->d->output, "%s", strerror(errno));
	if (t->fd > STDOUT_FILENO && close(t->fd) && !err)
		err = tfs_cli_fail(DUMP_HOST, t->d->output, "%s", strerror(errno));
	if (!t->temporary)
		return err;
	if (!err && rename(t->temporary, t->d->output))
		err = tfs_cli_fail(DUMP_HOST, t->d->output, "%s", strerror(errno));
	if (err)
		unlink(t->temporary);
	free(t->temporary);
	return err;
}

static la_ssize_t output_write(struct archive *a, void *arg, const void *buf, size_t n)
{
	struct tar *t = arg;
	const u8 *p = buf;
	size_t left = n;

	(void)a;
	while (left && !t->error && !t->given_up) {
		ssize_t done = write(t->fd, p, left);

		if (done < 0 && errno == EINTR && !dump_interrupted())
			continue;
		if (done < 0)
			t->error = errno;
		else
			p += done, left -= (size_t)done;
	}
	return (la_ssize_t)n;
}

/* Names that are UTF-8 go out as they are; others, byte for byte, with a mark that says so. */
static int format_open(struct tar *t)
{
	bool utf8 = setlocale(LC_CTYPE, "C.UTF-8") != NULL;

	t->a = archive_write_new();
	t->hole = mmap(NULL, HOLE_STEP, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!t->a || t->hole == MAP_FAILED)
		return tfs_cli_fail(DUMP_HOST, t->d->image, "out of memory");
	if (archive_write_set_format_pax(t->a) ||
	    archive_write_set_format_option(t->a, "pax", "xattrheader", "SCHILY") ||
	    (!utf8 && archive_write_set_format_option(t->a, "pax", "hdrcharset", "BINARY")) ||
	    archive_write_set_bytes_in_last_block(t->a, 10240) || archive_write_add_filter_none(t->a) ||
	    archive_write_open(t->a, t, NULL, output_write, NULL))
		return tfs_cli_fail(DUMP_HOST, t->d->output ? t->d->output : "standard output", "%s",
		                    archive_error_string(t->a));
	return 0;
}

static int archive_make(struct tar *t)
{
	static const struct dump_walk_ops ops = {.entry = entry, .sorted = true};
	struct tar_walk w = {t, 0};
	int err = format_open(t);

	tfs_progress_start(&t->progress, t->d->quiet, -1, 1);
	tfs_progress_pass(&t->progress, "archiving", t->d->args ? 0 : tfs_reader_inodes(&t->d->view));
	if (!err)
		err = dump_walk(t->d, t->d->args ? t->d->arg[0] : NULL, &ops, &w);
	tfs_progress_end(&t->progress);
	t->given_up = err; /* no end mark then: what is there is not an archive */
	if (t->a && archive_write_close(t->a) != ARCHIVE_OK && !err)
		err = tfs_cli_fail(DUMP_HOST, t->d->output ? t->d->output : "standard output", "%s",
		                   archive_error_string(t->a));
	if (!err && t->error)
		err =
		    tfs_cli_fail(DUMP_HOST, t->d->output ? t->d->output : "standard output", "%s", strerror(t->error));
	archive_write_free(t->a);
	if (t->hole && t->hole != MAP_FAILED)
		munmap((void *)t->hole, HOLE_STEP);
	return err;
}

int dump_cmd_tar(struct dump *d)
{
	static struct tar t;
	int err;

	t.d = d;
	dump_catch_signals(); /* before there is anything to remove */
	err = output_open(&t);
	if (err)
		return err;
	err = output_close(&t, archive_make(&t));
	links_free(&t);
	if (t.sockets)
		tfs_cli_warn(NULL, "note: %llu sockets left out: tar has no form for them",
		             (unsigned long long)t.sockets);
	if (t.missing)
		tfs_cli_warn(NULL, "%llu objects left out, %llu in the archive", (unsigned long long)t.missing,
		             (unsigned long long)t.members);
	return err;
}
