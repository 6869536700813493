// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A manifest: one line a path, "PATH KEY=VALUE...", applied in order after the directory or archive; see mkfs.tfs(8).
 * It changes what is there and adds what is not. The whole file is parsed before anything is written, so that a mistake
 * in the last line costs nothing. Parsing is the producer's, applying the taker's part. Called by main.c and fill.c.
 */
#define _GNU_SOURCE
#include "mkfs/sink.h"
#include "tfs/user/acl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	HAS_TYPE = 1,
	HAS_MODE = 2,
	HAS_UID = 4,
	HAS_GID = 8,
	HAS_MTIME = 16,
	HAS_DEVICE = 32,
	HAS_TARGET = 64,
	HAS_CONTENT = 128,
};

struct mkfs_line {
	u32 has;
	struct mkfs_node node; /* mode: type and permission bits, each when given */
	char *path, *target, *content;
	u32 target_len;
	u64 size; /* of content */
};

void mkfs_line_free(struct mkfs_line *l)
{
	if (!l)
		return;
	free(l->path);
	free(l->target);
	free(l->content);
	free(l);
}

/* ---- parsing ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* \nnn and \xHH in place; NULL or what is wrong. */
static const char *unescape(char *text)
{
	char *to = text;
	const char *s;

	for (s = text; *s; s++) {
		int v = (u8)*s;

		if (*s == '\\' && s[1] == 'x' && hex(s[2]) >= 0 && hex(s[3]) >= 0) {
			v = hex(s[2]) << 4 | hex(s[3]);
			s += 3;
		} else if (*s == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		           s[3] <= '7') {
			v = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 3;
		} else if (*s == '\\') {
			return "expected \\nnn (octal) or \\xHH after a backslash";
		}
		if (!v)
			return "a name cannot hold a NUL byte";
		*to++ = (char)v;
	}
	*to = 0;
	return NULL;
}

static bool number(const char *text, int base, u64 max, u64 *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, base);
	return !*end && !errno && *out <= max;
}

static const char *type_parse(struct mkfs_line *l, const char *v)
{
	static const struct {
		const char *name;
		u32 mode;
	} types[] = {{"file", S_IFREG},  {"dir", S_IFDIR},  {"link", S_IFLNK}, {"char", S_IFCHR},
	             {"block", S_IFBLK}, {"fifo", S_IFIFO}, {"sock", S_IFSOCK}};
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(v, types[i].name)) {
			l->node.mode = (l->node.mode & 07777) | types[i].mode;
			return NULL;
		}
	return "expected type=file, dir, link, char, block, fifo or sock";
}

static const char *mtime_parse(struct mkfs_line *l, const char *v)
{
	char *end;
	long long sec;
	u32 nsec = 0, unit = 100000000;

	errno = 0;
	sec = strtoll(v, &end, 10);
	if (end == v || errno)
		return "expected mtime=SECONDS or SECONDS.FRACTION";
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			nsec += (u32)(*end - '0') * unit;
	if (*end)
		return "expected mtime=SECONDS or SECONDS.FRACTION";
	l->node.mtime = (struct tfs_time){tfs_cpu64((u64)sec), tfs_cpu32(nsec), 0};
	return NULL;
}

static const char *device_parse(struct mkfs_line *l, char *v)
{
	char *colon = strchr(v, ':');
	u64 major, minor;

	if (colon)
		*colon = 0;
	if (!colon || !number(v, 10, 0xfff, &major) || !number(colon + 1, 10, 0xfffff, &minor))
		return "expected device=MAJOR:MINOR";
	l->node.major = (u32)major;
	l->node.minor = (u32)minor;
	return NULL;
}

static const char *xattr_parse(struct mkfs_job *job, char *name, const char *v)
{
	size_t n = strlen(v), i;
	const char *bad = unescape(name);
	u8 *value;
	int err;

	if (bad || !*name || strlen(name) > TFS_NAME_MAX)
		return bad ? bad : "attribute names are 1 to 255 bytes long";
	if (n % 2 || n / 2 > TFS_XATTR_MAX)
		return "expected an attribute's value in hex digits, two for a byte, at most 64 KiB";
	value = malloc(n / 2 + 1);
	for (i = 0; value && i < n / 2; i++) {
		int hi = hex(v[2 * i]), lo = hex(v[2 * i + 1]);

		if (hi < 0 || lo < 0) {
			free(value);
			return "expected an attribute's value in hex digits, two for a byte";
		}
		value[i] = (u8)(hi << 4 | lo);
	}
	err = value ? mkfs_xattr_add(job, name, value, n / 2) : -1;
	bad = err ? "out of memory" : tfs_acl_named(name, (u32)strlen(name), value, (u32)n / 2);
	free(value);
	return bad;
}

static const char *copy(char **to, char *v)
{
	const char *bad = unescape(v);

	if (bad)
		return bad;
	free(*to);
	*to = strdup(v);
	return !*to ? "out of memory" : **to ? NULL : "expected a value";
}

static const char *field_parse(struct mkfs_job *job, struct mkfs_line *l, char *key)
{
	static const char *const keys[] = {"type", "mode", "uid", "gid", "mtime", "device", "target", "content"};
	char *v = strchr(key, '=');
	const char *bad;
	u64 n = 0;
	u32 i;

	if (!v)
		return "expected KEY=VALUE";
	*v++ = 0;
	if (!strncmp(key, "xattr.", 6))
		return xattr_parse(job, key + 6, v);
	for (i = 0; i < 8 && strcmp(key, keys[i]); i++)
		;
	if (i == 8)
		return "unknown key; expected type, mode, uid, gid, mtime, device, target, content or xattr.NAME";
	if (l->has & 1u << i)
		return "a key is given twice";
	l->has |= 1u << i;
	switch (1 << i) {
	case HAS_TYPE:
		return type_parse(l, v);
	case HAS_MODE:
		bad = number(v, 8, 07777, &n) ? NULL : "expected mode= in octal, at most 7777";
		l->node.mode |= (u32)n;
		return bad;
	case HAS_UID:
	case HAS_GID:
		bad = number(v, 10, 0xffffffff, &n) ? NULL : "expected a number";
		*(1 << i == HAS_UID ? &l->node.uid : &l->node.gid) = (u32)n;
		return bad;
	case HAS_MTIME:
		return mtime_parse(l, v);
	case HAS_DEVICE:
		return device_parse(l, v);
	case HAS_TARGET:
		bad = copy(&l->target, v);
		l->target_len = bad ? 0 : (u32)strlen(l->target);
		return bad ? bad : l->target_len > TFS_SYMLINK_MAX ? "expected a target of at most 4095 bytes" : NULL;
	}
	return copy(&l->content, v);
}

static const char *line_sound(const struct mkfs_line *l)
{
	u32 type = l->node.mode & S_IFMT;
	bool device = type == S_IFCHR || type == S_IFBLK;

	if (!*l->path && type && type != S_IFDIR)
		return "the root is a directory";
	if (!*l->path && l->has & (HAS_TARGET | HAS_DEVICE | HAS_CONTENT))
		return "the root has no target, device or content";
	if (!type)
		return NULL;
	if ((type == S_IFLNK) != !!(l->has & HAS_TARGET))
		return "target= goes with type=link, and type=link needs it";
	if (device != !!(l->has & HAS_DEVICE))
		return "device= goes with type=char and type=block, which need it";
	return l->has & HAS_CONTENT && type != S_IFREG ? "content= goes with type=file" : NULL;
}

/* Fills job->line; NULL or what is wrong. */
static const char *line_parse(struct mkfs_job *job, char *text)
{
	struct mkfs_line *l = calloc(1, sizeof(*l));
	char *save, *word = strtok_r(text, " \t\n", &save);
	const char *bad;

	if (!l)
		return "out of memory";
	job->line = l;
	bad = copy(&l->path, word);
	if (!bad)
		bad = mkfs_path_clean(l->path);
	while (!bad && (word = strtok_r(NULL, " \t\n", &save)))
		bad = field_parse(job, l, word);
	return bad ? bad : line_sound(l);
}

static bool line_empty(const char *text)
{
	text += strspn(text, " \t\n");
	return !*text || *text == '#';
}

/* ---- the producer's part ---- */

/* Opens content= of a line. NULL and errno. */
static struct mkfs_file *content_open(const char *path)
{
	struct mkfs_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (file->fd >= 0 && !fstat(file->fd, &file->st)) {
		if (S_ISREG(file->st.st_mode))
			return file;
		errno = EINVAL;
	}
	if (file->fd >= 0)
		close(file->fd);
	free(file);
	return NULL;
}

static bool line_send(struct mkfs_source *s, char *text, unsigned long number)
{
	struct mkfs_job *job = mkfs_pool_slot(s->pool);
	struct mkfs_file *file = NULL;
	const char *bad;

	if (!job)
		return false;
	job->kind = JOB_LINE;
	bad = line_parse(job, text);
	if (asprintf(&job->text, "%s:%lu%s%s", s->opt->manifest, number, bad || !job->line->content ? "" : ": ",
	             bad || !job->line->content ? "" : job->line->content) < 0)
		job->text = NULL;
	mkfs_xattr_sort(job);
	if (bad)
		mkfs_job_fail(job, MKFS_SOURCE, "%s", bad);
	else if (job->line->content && !(file = content_open(job->line->content)))
		mkfs_job_fail(job, MKFS_SOURCE, "content: %s",
		              errno == EINVAL ? "is not a regular file" : strerror(errno));
	if (file)
		job->line->size = (u64)file->st.st_size;
	bad = job->code ? "" : NULL;
	mkfs_pool_push(s->pool, job);
	return !bad && (!file || !mkfs_file_send(s->pool, file));
}

/* A pipe is told at once and not waited for. */
static FILE *manifest_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

bool mkfs_manifest(struct mkfs_source *s)
{
	FILE *f = manifest_open(s->opt->manifest);
	unsigned long number = 0;
	size_t room = 0;
	char *text = NULL;
	bool ok = true;

	if (!f)
		return mkfs_give_up(s, MKFS_SOURCE, s->opt->manifest, "%s", strerror(errno));
	while (ok && getline(&text, &room, f) >= 0) {
		number++;
		if (!line_empty(text))
			ok = line_send(s, text, number);
	}
	if (ok && ferror(f))
		ok = mkfs_give_up(s, MKFS_SOURCE, s->opt->manifest, "cannot be read to its end");
	free(text);
	fclose(f);
	return ok;
}

static const char *line_count(char *text, struct mkfs_count *c)
{
	struct mkfs_job job = {0};
	const char *bad = line_parse(&job, text);
	struct stat st;

	if (!bad && job.line->content && !stat(job.line->content, &st) && c->bytes < 1ull << 62)
		c->bytes += ((u64)st.st_size + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
	c->bytes += job.xattr_bytes;
	c->files++;
	mkfs_line_free(job.line);
	free(job.xattrs);
	return bad;
}

int mkfs_manifest_check(const char *path, struct mkfs_count *c)
{
	FILE *f = manifest_open(path);
	unsigned long number = 0;
	const char *bad = NULL;
	size_t room = 0;
	char *text = NULL, at[4096];
	struct stat st;
	int err = 0;

	if (!f || fstat(fileno(f), &st))
		err = tfs_cli_fail(MKFS_SOURCE, path, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		err = tfs_cli_fail(MKFS_SOURCE, path, "is not a regular file");
	while (!err && getline(&text, &room, f) >= 0) {
		number++;
		if (line_empty(text) || !(bad = line_count(text, c)))
			continue;
		snprintf(at, sizeof(at), "%s:%lu", path, number);
		err = tfs_cli_fail(MKFS_SOURCE, at, "%s", bad);
	}
	free(text);
	if (f)
		fclose(f);
	return err;
}

/* ---- the taker's part ---- */

static int refuse(struct mkfs_fill *f, const struct mkfs_job *job, const char *what)
{
	tfs_progress_end(&f->progress);
	return tfs_cli_fail(MKFS_SOURCE, job->text, "%s", what);
}

/* What the new or changed node shall be: the line's fields over what is there, or over defaults. */
static struct mkfs_node node_merge(const struct mkfs_fill *f, const struct mkfs_line *l, const struct tfs_attr *old)
{
	u32 type = l->has & HAS_TYPE ? l->node.mode & S_IFMT : old->mode & S_IFMT;
	struct mkfs_node n = {.mode = type == S_IFDIR ? 0755 : type == S_IFLNK ? 0777 : 0644, .mtime = f->created};

	if (old) {
		n = (struct mkfs_node){.mode = old->mode & 07777,
		                       .uid = old->uid,
		                       .gid = old->gid,
		                       .major = old->rdev_major,
		                       .minor = old->rdev_minor,
		                       .mtime = old->mtime};
	}
	n.mode |= type;
	if (l->has & HAS_MODE)
		n.mode = type | (l->node.mode & 07777);
	if (l->has & HAS_UID)
		n.uid = l->node.uid;
	if (l->has & HAS_GID)
		n.gid = l->node.gid;
	if (l->has & HAS_MTIME)
		n.mtime = l->node.mtime;
	if (l->has & HAS_DEVICE) {
		n.major = l->node.major;
		n.minor = l->node.minor;
	}
	return n;
}

/* Adding and removing names leaves the directory's times alone: the manifest has a line for them if they are to change.
 */
static int replace(struct mkfs_fill *f, struct mkfs_job *job, u64 parent, const char *name, const struct tfs_attr *old,
                   const struct mkfs_node *n, u64 *ino)
{
	struct tfs_attr dir;
	struct mkfs_node times;
	int err = mkfs_fill_error(f, job, f->sink->getattr(f, parent, &dir));

	if (!err && old)
		err = mkfs_fill_remove(f, job, parent, name, S_ISDIR(old->mode));
	if (!err)
		err = mkfs_fill_create(f, job, parent, name, (u32)strlen(name), n, job->line->target,
		                       job->line->target_len, ino);
	if (err)
		return err;
	times = (struct mkfs_node){.mode = dir.mode, .uid = dir.uid, .gid = dir.gid, .mtime = dir.mtime};
	return mkfs_fill_attrs(f, job, parent, &times);
}

/* NULL: the line goes with what is there. */
static const char *mismatch(const struct mkfs_line *l, const struct tfs_attr *old)
{
	if (l->has & HAS_TARGET && !S_ISLNK(old->mode))
		return "target= for what is not a symbolic link; give type=link to replace it";
	if (l->has & HAS_DEVICE && !S_ISCHR(old->mode) && !S_ISBLK(old->mode))
		return "device= for what is not a device; give type= to replace it";
	if (l->has & HAS_CONTENT && !S_ISREG(old->mode))
		return "content= for what is not a file; give type=file to replace it";
	return NULL;
}

static int change(struct mkfs_fill *f, struct mkfs_job *job, u64 ino, const struct mkfs_node *n)
{
	int err = 0;

	f->now = n->mtime;
	if (job->line->has & HAS_CONTENT)
		err = mkfs_fill_error(f, job, f->sink->truncate(f, ino, 0));
	return err ? err : mkfs_fill_attrs(f, job, ino, n);
}

static int apply_at(struct mkfs_fill *f, struct mkfs_job *job, u64 parent, const char *name, u64 ino)
{
	struct mkfs_line *l = job->line;
	struct tfs_attr old;
	struct mkfs_node n;
	const char *bad;
	bool other;
	int err;

	if (!ino && !(l->has & HAS_TYPE))
		return refuse(f, job, "names nothing that is there; give type= to make it");
	if (!ino) {
		n = node_merge(f, l, NULL);
		return replace(f, job, parent, name, NULL, &n, &f->ino);
	}
	err = mkfs_fill_error(f, job, f->sink->getattr(f, ino, &old));
	if (err)
		return err;
	other = l->has & HAS_TYPE && (l->node.mode & S_IFMT) != (old.mode & S_IFMT);
	bad = other ? NULL : mismatch(l, &old);
	if (bad)
		return refuse(f, job, bad);
	n = node_merge(f, l, other ? NULL : &old);
	f->ino = ino;
	if (other || l->has & (HAS_TARGET | HAS_DEVICE))
		return replace(f, job, parent, name, &old, &n, &f->ino);
	return change(f, job, ino, &n);
}

int mkfs_manifest_apply(struct mkfs_fill *f, struct mkfs_job *job)
{
	u64 parent = 0, ino = TFS_INO_ROOT;
	const char *name = NULL, *path = job->line->path;
	u8 type;
	int err = 0;

	if (*path) {
		err = mkfs_fill_parent(f, job, path, true, &parent, &name);
		if (err)
			return err;
		err = f->sink->lookup(f, parent, name, (u32)strlen(name), &ino, &type);
		if (err == -ENOENT)
			ino = 0;
		else if (err)
			return mkfs_fill_error(f, job, err);
	}
	err = apply_at(f, job, parent, name, ino);
	return err ? err : mkfs_fill_xattrs(f, job, f->ino);
}
