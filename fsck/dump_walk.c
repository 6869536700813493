// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Walking the names of a volume: a loop with a stack of its own, so depth costs memory and nothing else, and one
 * directory entry in hand at a time. A directory is entered once: a crafted image that names one twice (a cycle, or two
 * ways to one place, which would double the work at each level) is reported as damage. Also resolves paths and finds a
 * file's data. Called by ls, find, extract and tar.
 */
#define _GNU_SOURCE
#include "fsck/dump.h"

#include <stdlib.h>

/* ---- inode numbers of directories entered: open addressing, 16 bytes each at most ---- */

struct seen {
	u64 *slot; /* 0: empty */
	size_t size, used;
};

static u64 *seen_slot(const struct seen *s, u64 ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15ull >> 20) & (s->size - 1);

	while (s->slot[i] && s->slot[i] != ino)
		i = (i + 1) & (s->size - 1);
	return &s->slot[i];
}

static int seen_grow(struct seen *s)
{
	struct seen bigger = {.size = s->size ? 2 * s->size : 1024, .used = s->used};

	bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++)
		if (s->slot[i])
			*seen_slot(&bigger, s->slot[i]) = s->slot[i];
	free(s->slot);
	*s = bigger;
	return 0;
}

/* 1: was there; 0: added; negative: no memory */
static int seen_add(struct seen *s, u64 ino)
{
	u64 *slot;

	if (2 * s->used >= s->size && seen_grow(s))
		return -ENOMEM;
	slot = seen_slot(s, ino);
	if (*slot)
		return 1;
	*slot = ino;
	s->used++;
	return 0;
}

/* ---- one directory ---- */

struct name {
	u64 ino;
	u8 type;
	u8 len;
	char bytes[TFS_NAME_MAX + 1];
};
#define NAME_HEAD (offsetof(struct name, bytes))

struct frame {
	struct tfs_attr attr;
	size_t path_len, name_at;
	u64 pos;    /* readdir's, when not sorted */
	u8 *packed; /* sorted: names one behind the other, each NAME_HEAD + len bytes */
	size_t packed_len, packed_cap;
	size_t *order;
	size_t count, cap, next;
};

struct walk {
	struct dump *d;
	const struct dump_walk_ops *ops;
	void *arg;
	struct frame *frame;
	u32 depth, frames; /* depth: frames in use */
	char *path;
	size_t path_cap;
	struct seen seen;
};

static int no_memory(struct walk *w)
{
	return tfs_cli_fail(DUMP_HOST, w->d->image, "out of memory");
}

static bool grow(void *array, size_t *cap, size_t need, size_t each)
{
	void *p;
	size_t n = *cap ? *cap : 16;

	while (n < need)
		n *= 2;
	if (n == *cap)
		return true;
	p = realloc(*(void **)array, n * each);
	if (!p)
		return false;
	*(void **)array = p;
	*cap = n;
	return true;
}

struct take {
	struct name *name;
	struct frame *frame;
	u64 next;
	bool got, failed;
};

/* Takes one entry and stops; where to go on is in next. */
static int take_one(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct take *t = arg;

	*t->name = (struct name){.ino = ino, .type = type, .len = (u8)len};
	memcpy(t->name->bytes, name, len);
	t->next = next;
	t->got = true;
	return 1;
}

static int take_all(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct take *t = arg;
	struct frame *f = t->frame;
	u8 head[NAME_HEAD] = {0};

	(void)next;
	if (!grow(&f->packed, &f->packed_cap, f->packed_len + NAME_HEAD + len, 1) ||
	    !grow(&f->order, &f->cap, f->count + 1, sizeof(*f->order)))
		return t->failed = true;
	memcpy(head + offsetof(struct name, ino), &ino, 8);
	head[offsetof(struct name, type)] = type;
	head[offsetof(struct name, len)] = (u8)len;
	f->order[f->count++] = f->packed_len;
	memcpy(f->packed + f->packed_len, head, NAME_HEAD);
	memcpy(f->packed + f->packed_len + NAME_HEAD, name, len);
	f->packed_len += NAME_HEAD + len;
	return 0;
}

static int by_bytes(const void *a, const void *b, void *packed)
{
	const u8 *x = (const u8 *)packed + *(const size_t *)a, *y = (const u8 *)packed + *(const size_t *)b;
	u8 xl = x[offsetof(struct name, len)], yl = y[offsetof(struct name, len)];
	int c = memcmp(x + NAME_HEAD, y + NAME_HEAD, xl < yl ? xl : yl);

	return c ? c : (int)xl - (int)yl;
}

static int unreadable(struct walk *w, const char *path, int err)
{
	if (err == -ENOMEM)
		return no_memory(w);
	tfs_cli_fail(0, *path ? path : "/", "directory cannot be read to its end: %s; run fsck.tfs", strerror(-err));
	dump_note(w->d, DUMP_DAMAGE);
	return 0;
}

static int frame_load(struct walk *w, struct frame *f)
{
	struct take t = {.frame = f};
	u64 pos = 0;
	int err = tfs_reader_readdir(&w->d->view, f->attr.ino, &pos, take_all, &t);

	if (t.failed)
		return no_memory(w);
	if (f->count)
		qsort_r(f->order, f->count, sizeof(*f->order), by_bytes, f->packed);
	return err ? unreadable(w, w->path, err) : 0;
}

/* The next entry: true. False: no more, or an exit code in *code. */
static bool frame_next(struct walk *w, struct frame *f, struct name *n, int *code)
{
	struct take t = {.name = n};
	int err;

	if (w->ops->sorted) {
		const u8 *p;

		if (f->next == f->count)
			return false;
		p = f->packed + f->order[f->next++];
		memcpy(n, p, NAME_HEAD);
		memcpy(n->bytes, p + NAME_HEAD, n->len);
	} else {
		err = tfs_reader_readdir(&w->d->view, f->attr.ino, &f->pos, take_one, &t);
		if (err)
			*code = unreadable(w, w->path, err);
		if (!t.got)
			return false;
		f->pos = t.next;
	}
	n->bytes[n->len] = 0;
	return true;
}

/* ---- the walk ---- */

static struct dump_entry entry_of(struct walk *w, size_t name_at, size_t path_len, u32 depth, const struct tfs_attr *a)
{
	return (struct dump_entry){.name = w->path + name_at,
	                           .name_len = (u32)(path_len - name_at),
	                           .path = w->path,
	                           .path_len = path_len,
	                           .depth = depth,
	                           .attr = *a};
}

static int descend(struct walk *w, const struct tfs_attr *a, size_t name_at, size_t path_len)
{
	size_t cap = w->frames;
	struct frame *f;

	if (!grow(&w->frame, &cap, w->depth + 1, sizeof(*w->frame)))
		return no_memory(w);
	w->frames = (u32)cap;
	f = &w->frame[w->depth++];
	*f = (struct frame){.attr = *a, .path_len = path_len, .name_at = name_at};
	return w->ops->sorted ? frame_load(w, f) : 0;
}

/* An object whose name ends w->path at path_len. */
static int object(struct walk *w, u64 ino, u8 type, size_t name_at, size_t path_len)
{
	const char *shown = path_len ? w->path : "/";
	struct dump_entry e;
	struct tfs_attr a;
	int err = tfs_reader_getattr(&w->d->view, ino, &a);

	if (err == -ENOMEM)
		return no_memory(w);
	if (err || a.mode >> 12 != type) {
		tfs_cli_fail(0, shown,
		             err ? "inode %llu cannot be read; run fsck.tfs"
		                 : "inode %llu has another type than its name says; run fsck.tfs",
		             (unsigned long long)ino);
		dump_note(w->d, DUMP_DAMAGE);
		return 0;
	}
	if (type == 4) {
		err = seen_add(&w->seen, ino);
		if (err < 0)
			return no_memory(w);
		if (err) {
			tfs_cli_fail(
			    0, shown,
			    "directory %llu has another name already: a cycle or a crafted image; run fsck.tfs",
			    (unsigned long long)ino);
			dump_note(w->d, DUMP_DAMAGE);
			return 0;
		}
	}
	e = entry_of(w, name_at, path_len, w->depth, &a);
	err = w->ops->entry(w->arg, &e);
	if (err == DUMP_SKIP)
		return 0;
	return err || type != 4 ? err : descend(w, &a, name_at, path_len);
}

static int child(struct walk *w, const struct name *n)
{
	size_t at = w->frame[w->depth - 1].path_len, name_at = at ? at + 1 : 0;

	if (!grow(&w->path, &w->path_cap, name_at + n->len + 1u, 1))
		return no_memory(w);
	if (at)
		w->path[at] = '/';
	memcpy(w->path + name_at, n->bytes, n->len + 1u);
	return object(w, n->ino, n->type, name_at, name_at + n->len);
}

static int leave(struct walk *w)
{
	struct frame *f = &w->frame[--w->depth];
	struct dump_entry e = entry_of(w, f->name_at, f->path_len, w->depth, &f->attr);
	int err = w->ops->leave ? w->ops->leave(w->arg, &e) : 0;

	free(f->packed);
	free(f->order);
	return err;
}

static int walk_all(struct walk *w)
{
	struct name n;
	int err = 0;

	while (!err && w->depth) {
		struct frame *f = &w->frame[w->depth - 1];

		w->path[f->path_len] = 0;
		if (dump_interrupted())
			err = DUMP_HOST;
		else if (frame_next(w, f, &n, &err))
			err = child(w, &n);
		else if (!err)
			err = leave(w);
	}
	return err;
}

/* The argument without empty and "." components becomes w->path. */
static bool path_start(struct walk *w, const char *path, size_t *name_at)
{
	size_t len = 0;

	*name_at = 0;
	if (!grow(&w->path, &w->path_cap, strlen(path) + 2, 1))
		return false;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n && !(n == 1 && *path == '.')) {
			if (len)
				w->path[len++] = '/';
			*name_at = len;
			memcpy(w->path + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	w->path[len] = 0;
	return true;
}

int dump_walk(struct dump *d, const char *path, const struct dump_walk_ops *ops, void *arg)
{
	struct walk w = {.d = d, .ops = ops, .arg = arg};
	struct tfs_attr a;
	size_t name_at;
	u64 ino;
	int err = dump_resolve(d, path ? path : "", &ino);

	if (err)
		return err;
	if (!path_start(&w, path ? path : "", &name_at))
		return no_memory(&w);
	err = tfs_reader_getattr(&d->view, ino, &a);
	if (err)
		err = tfs_cli_fail(DUMP_DAMAGE, *w.path ? w.path : "/", "inode %llu cannot be read; run fsck.tfs",
		                   (unsigned long long)ino);
	else
		err = object(&w, ino, (u8)(a.mode >> 12), name_at, strlen(w.path));
	if (!err)
		err = walk_all(&w);
	while (w.depth) {
		free(w.frame[--w.depth].packed);
		free(w.frame[w.depth].order);
	}
	free(w.frame);
	free(w.path);
	free(w.seen.slot);
	return err;
}

int dump_resolve(struct dump *d, const char *path, u64 *ino)
{
	const char *p = path;

	*ino = TFS_INO_ROOT;
	while (*p) {
		size_t n = strcspn(p, "/");
		u8 type;
		int err = n && !(n == 1 && *p == '.') ? tfs_reader_lookup(&d->view, *ino, p, (u32)n, ino, &type) : 0;

		if (err == -EIO || err == -EUCLEAN)
			return tfs_cli_fail(DUMP_DAMAGE, path, "a directory on the way cannot be read; run fsck.tfs");
		if (err)
			return tfs_cli_fail(DUMP_USAGE, path, "%s in the volume",
			                    err == -ENOTDIR ? "is below something that is no directory"
			                                    : "no such file or directory");
		p += n + (p[n] == '/');
	}
	return 0;
}

/* ---- contents ---- */

int dump_data_range(struct dump *d, struct dump_data *c, const struct tfs_attr *a, u64 *at, u64 *end)
{
	s64 data, hole;

	if (c->end >= a->size)
		return 0;
	data = tfs_reader_seek(&d->view, a->ino, c->end, false);
	if (data == -ENXIO)
		return 0;
	if (data < 0)
		return (int)data;
	hole = tfs_reader_seek(&d->view, a->ino, (u64)data, true);
	if (hole < 0 || (u64)data < c->end || hole <= data)
		return hole < 0 ? (int)hole : -EIO;
	*at = (u64)data;
	*end = c->end = (u64)hole;
	return 1;
}

int dump_data_next(struct dump *d, struct dump_data *c, const struct tfs_attr *a, u64 *at, u8 *buf, u32 *len)
{
	u64 end;
	s64 n;

	if (c->at == c->end) {
		int got = dump_data_range(d, c, a, &c->at, &end);

		if (got <= 0)
			return got;
	}
	n = (s64)(DUMP_DATA_MAX - c->at % DUMP_DATA_MAX);
	if ((u64)n > c->end - c->at)
		n = (s64)(c->end - c->at);
	n = tfs_reader_read(&d->view, a->ino, c->at, buf, (u32)n);
	if (n <= 0)
		return n ? (int)n : -EIO;
	*at = c->at;
	*len = (u32)n;
	c->at += (u64)n;
	return 1;
}

int dump_target(struct dump *d, u64 ino, char *buf)
{
	int n = tfs_reader_readlink(&d->view, ino, buf, TFS_SYMLINK_MAX + 1);

	if (n <= 0 || n > (int)TFS_SYMLINK_MAX || memchr(buf, 0, (size_t)n))
		return -EIO;
	buf[n] = 0;
	return 0;
}
