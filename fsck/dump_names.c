// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * ls, stat and cat: what is in the volume by name. ls prints one name a line, sorted, as ls does into a pipe; names are
 * escaped unless -0 asks for raw ones.
 */
#include "fsck/dump.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

static void print_shown(struct dump *d, const char *shown)
{
	if (d->null)
		fwrite(shown, 1, strlen(shown) + 1, stdout);
	else
		tfs_cli_print_name(stdout, shown, strlen(shown));
}

static bool is_device(u32 mode)
{
	return (mode & 0170000) == 0020000 || (mode & 0170000) == 0060000;
}

/* The target goes to buf; unreadable: reported, noted, false. */
static bool target_of(struct dump *d, const struct dump_entry *e, char *buf)
{
	if (!dump_target(d, e->attr.ino, buf))
		return true;
	tfs_cli_fail(0, e->path, "symlink target cannot be read or holds a NUL; run fsck.tfs");
	dump_note(d, DUMP_DAMAGE);
	return false;
}

static void attr_json(struct dump *d, struct tfs_line *l, const struct dump_entry *e)
{
	const struct tfs_attr *a = &e->attr;
	char target[TFS_SYMLINK_MAX + 1];

	tfs_line_bytes(l, "path", e->path, e->path_len);
	tfs_line_num(l, "ino", a->ino);
	tfs_line_text(l, "type", tfs_type_text(a->mode));
	tfs_line_octal(l, "mode", a->mode & 07777);
	tfs_line_num(l, "nlink", a->nlink);
	tfs_line_num(l, "uid", a->uid);
	tfs_line_num(l, "gid", a->gid);
	tfs_line_num(l, "size", a->size);
	tfs_line_num(l, "blocks", a->blocks);
	if (is_device(a->mode)) {
		tfs_line_num(l, "major", a->rdev_major);
		tfs_line_num(l, "minor", a->rdev_minor);
	}
	tfs_line_time(l, "atime", &a->atime);
	tfs_line_time(l, "mtime", &a->mtime);
	tfs_line_time(l, "ctime", &a->ctime);
	tfs_line_time(l, "btime", &a->btime);
	if ((a->mode & 0170000) == 0120000 && target_of(d, e, target))
		tfs_line_bytes(l, "target", target, strlen(target));
}

static void long_text(struct dump *d, const struct dump_entry *e, const char *shown)
{
	const struct tfs_attr *a = &e->attr;
	char mode[12], when[48], target[TFS_SYMLINK_MAX + 1];

	printf("%s %3u %5u %5u ", dump_mode_text(a->mode, mode), a->nlink, a->uid, a->gid);
	if (is_device(a->mode))
		printf("%6u, %4u", a->rdev_major, a->rdev_minor);
	else
		printf("%12llu", (unsigned long long)a->size);
	tfs_time_text(&a->mtime, when);
	if (*when != '@' && strlen(when) == 30) { /* "2001-02-03 04:05:06" is enough here, in UTC; stat shows all */
		when[10] = ' ';
		when[19] = 0;
	}
	printf(" %s ", when);
	print_shown(d, shown);
	if ((a->mode & 0170000) == 0120000 && !d->null && target_of(d, e, target)) {
		printf(" -> ");
		tfs_cli_print_name(stdout, target, strlen(target));
	}
}

void dump_attr_line(struct dump *d, const struct dump_entry *e, const char *shown)
{
	struct tfs_line l;

	if (d->json) {
		dump_begin(d, &l, 0, "name");
		attr_json(d, &l, e);
		tfs_line_end(&l);
		return;
	}
	if (d->inodes)
		printf("%8llu ", (unsigned long long)e->attr.ino);
	if (d->full_lines)
		long_text(d, e, shown);
	else
		print_shown(d, shown);
	if (!d->null)
		putchar('\n');
}

/* ---- ls ---- */

static int ls_entry(void *arg, const struct dump_entry *e)
{
	struct dump *d = arg;
	bool dir = (e->attr.mode & 0170000) == 0040000, start = !e->depth;

	if (start && dir && !d->self)
		return 0;
	dump_attr_line(d, e, d->recursive || start ? (*e->path ? e->path : "/") : e->name);
	if (ferror(stdout))
		return DUMP_HOST;
	return start && dir && d->recursive ? 0 : dir && !d->recursive ? DUMP_SKIP : 0;
}

int dump_cmd_ls(struct dump *d)
{
	struct dump_walk_ops ops = {.entry = ls_entry, .sorted = !d->unsorted};

	return dump_walk(d, d->args ? d->arg[0] : NULL, &ops, d);
}

/* ---- stat ---- */

static void stat_text(struct dump *d, const struct dump_entry *e)
{
	const struct tfs_attr *a = &e->attr;
	const struct tfs_time *t[4] = {&a->atime, &a->mtime, &a->ctime, &a->btime};
	static const char *const names[4] = {"accessed", "modified", "changed", "born"};
	char buf[48], target[TFS_SYMLINK_MAX + 1];

	printf("path        ");
	tfs_cli_print_name(stdout, *e->path ? e->path : "/", *e->path ? e->path_len : 1);
	printf("\ninode       %llu, generation %u\ntype        %s\nmode        %04o %s\n", (unsigned long long)a->ino,
	       a->generation, tfs_type_text(a->mode), a->mode & 07777, dump_mode_text(a->mode, buf));
	printf("links       %u\nowner       %u:%u\n", a->nlink, a->uid, a->gid);
	if (is_device(a->mode))
		printf("device      %u:%u\n", a->rdev_major, a->rdev_minor);
	else
		printf("size        %llu %s\n", (unsigned long long)a->size,
		       (a->mode & 0170000) == 0040000 ? "entries" : "bytes");
	printf("blocks      %llu of 4096 bytes\n", (unsigned long long)a->blocks);
	if ((a->mode & 0170000) == 0040000)
		printf("parent      %llu\n", (unsigned long long)a->parent);
	if (d->vol)
		printf("codec       %s, level %u, windows of %u bytes\nflags       %x, user %x\n",
		       dump_codec_text(a->codec), a->codec_level, 1u << a->window_bits, a->flags, a->user_flags);
	for (int i = 0; i < 4; i++)
		printf("%-11s %s\n", names[i], tfs_time_text(t[i], buf));
	if ((a->mode & 0170000) == 0120000 && target_of(d, e, target)) {
		printf("target      ");
		tfs_cli_print_name(stdout, target, strlen(target));
		putchar('\n');
	}
}

static struct json_object *stat_json(struct dump *d, const struct dump_entry *e)
{
	struct tfs_line l;

	dump_begin(d, &l, 0, "stat");
	attr_json(d, &l, e);
	tfs_line_num(&l, "generation", e->attr.generation);
	tfs_line_num(&l, "parent", e->attr.parent);
	if (!d->vol)
		return l.o;
	tfs_line_text(&l, "codec", dump_codec_text(e->attr.codec));
	tfs_line_num(&l, "codec_level", e->attr.codec_level);
	tfs_line_num(&l, "window", 1u << e->attr.window_bits);
	tfs_line_num(&l, "flags", e->attr.flags);
	tfs_line_num(&l, "user_flags", e->attr.user_flags);
	return l.o;
}

static void xattr_show(struct json_object *list, const char *name, const u8 *value, size_t len)
{
	struct json_object *o;

	if (list) {
		o = json_object_new_object();
		tfs_json_text(o, "name", name);
		tfs_json_bytes(o, "value", value, len);
		json_object_array_add(list, o);
		return;
	}
	printf("xattr       ");
	tfs_cli_print_name(stdout, name, strlen(name));
	printf(" = ");
	tfs_cli_print_name(stdout, (const char *)value, len);
	putchar('\n');
}

static int xattr_failed(struct dump *d, const struct dump_entry *e, const char *what)
{
	tfs_cli_fail(0, *e->path ? e->path : "/", "%s; run fsck.tfs", what);
	return dump_note(d, DUMP_DAMAGE), 0;
}

static int xattrs_show(struct dump *d, const struct dump_entry *e, struct json_object *list)
{
	static u8 value[TFS_XATTR_MAX];
	int n = tfs_reader_listxattr(&d->view, e->attr.ino, NULL, 0);
	char *names;

	if (n < 0)
		return xattr_failed(d, e, "xattrs cannot be read");
	names = malloc((size_t)n + 1);
	if (!names)
		return tfs_cli_fail(DUMP_HOST, e->path, "out of memory");
	if (n && tfs_reader_listxattr(&d->view, e->attr.ino, names, (u32)n) != n)
		n = xattr_failed(d, e, "xattrs cannot be read");
	for (char *p = names; p < names + n; p += strlen(p) + 1) {
		int len = tfs_reader_getxattr(&d->view, e->attr.ino, p, (u32)strlen(p), value, sizeof(value));

		if (len < 0)
			xattr_failed(d, e, "an xattr cannot be read");
		else
			xattr_show(list, p, value, (size_t)len);
	}
	free(names);
	return 0;
}

static int stat_entry(void *arg, const struct dump_entry *e)
{
	struct dump *d = arg;
	struct json_object *o = NULL, *list = NULL;
	int err;

	if (d->json) {
		o = stat_json(d, e);
		list = json_object_new_array();
	} else {
		stat_text(d, e);
	}
	err = xattrs_show(d, e, list);
	if (o) {
		json_object_object_add(o, "xattrs", list);
		tfs_json_line(stdout, o);
	}
	return err ? err : DUMP_SKIP;
}

int dump_cmd_stat(struct dump *d)
{
	struct dump_walk_ops ops = {.entry = stat_entry};

	for (int i = 0; i < d->args; i++) {
		int err = dump_walk(d, d->arg[i], &ops, d);

		if (err == DUMP_HOST)
			return err;
		if (err)
			dump_note(d, err);
	}
	return 0;
}

/* ---- cat ---- */

static int cat_piece(struct dump *d, const char *path, u64 at, const u8 *buf, size_t n)
{
	struct tfs_line l;

	if (d->json) {
		dump_begin(d, &l, 0, "data");
		tfs_line_bytes(&l, "path", path, strlen(path));
		tfs_line_num(&l, "offset", at);
		tfs_line_num(&l, "length", n);
		tfs_line_bytes(&l, "data", buf, n);
		tfs_line_end(&l);
	} else {
		fwrite(buf, 1, n, stdout);
	}
	return ferror(stdout) ? DUMP_HOST : 0; /* tfs_cli_end says why */
}

static int cat_one(struct dump *d, const char *path)
{
	static u8 buf[DUMP_DATA_MAX];
	struct tfs_attr a;
	u64 ino, at = 0;
	s64 n = 0;
	int err = dump_resolve(d, path, &ino);

	if (err)
		return err;
	if (tfs_reader_getattr(&d->view, ino, &a))
		return tfs_cli_fail(DUMP_DAMAGE, path, "inode %llu cannot be read; run fsck.tfs",
		                    (unsigned long long)ino);
	if ((a.mode & 0170000) != 0100000)
		return tfs_cli_fail(DUMP_USAGE, path, "expected a file, found a %s", tfs_type_text(a.mode));
	while (!err && (n = tfs_reader_read(&d->view, ino, at, buf, sizeof(buf))) > 0) {
		err = cat_piece(d, path, at, buf, (size_t)n);
		at += (u64)n;
	}
	if (n < 0)
		return tfs_cli_fail(DUMP_DAMAGE, path, "content cannot be read from byte %llu on; run fsck.tfs",
		                    (unsigned long long)at);
	return err;
}

int dump_cmd_cat(struct dump *d)
{
	for (int i = 0; i < d->args; i++) {
		int err = cat_one(d, d->arg[i]);

		if (err == DUMP_HOST)
			return err;
		if (err)
			dump_note(d, err);
	}
	return 0;
}
