// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The names of some inodes, and of the directories above them. An inode says where its newest name stands: from there
 * up, a level at a time; an entry that names another inode is passed over. For what says nothing (volumes of older
 * versions, hard links whose newest name was taken away) directories are gone through breadth first, entries only,
 * until all are found. No directory is entered twice, whatever a damaged volume says. Called by diff.c.
 */
#include "tfs/user/diff.h"

#include <stdlib.h>

#define DEPTH_MAX 4096u

int tfs_items_some(const struct tfs_items_source *s, struct tfs_items_range *r, tfs_item_differs_fn fn, void *arg)
{
	struct tfs_ioc_items *q = s->batch;
	int err;

	memset(q, 0, offsetof(struct tfs_ioc_items, data));
	q->older = r->older;
	q->newer = r->newer;
	q->a = r->a;
	q->b = r->b;
	q->last_a = r->last_a;
	q->last_b = r->last_b;
	err = s->items(s->arg, q);
	for (u32 at = 0; !err && at < q->bytes;) {
		struct tfs_ioc_item i;
		const u8 *v = q->data + at + sizeof(i);

		memcpy(&i, q->data + at, sizeof(i));
		err = fn(arg, &i, v, v + ((i.old_len + 7u) & ~7u));
		at += i.bytes;
	}
	r->a = q->a;
	r->b = q->b;
	return err ? err : q->more != 0;
}

int tfs_items_each(const struct tfs_items_source *s, const struct tfs_items_range *r, tfs_item_differs_fn fn, void *arg)
{
	struct tfs_items_range left = *r;
	int more;

	do
		more = tfs_items_some(s, &left, fn, arg);
	while (more == 1);
	return more;
}

int tfs_items_inode(const struct tfs_items_source *s, u64 epoch, u64 ino, tfs_item_differs_fn fn, void *arg)
{
	u64 b = (u64)TFS_IT_INODE << TFS_POS_BITS;
	struct tfs_items_range r = {.newer = epoch, .a = ino, .b = b, .last_a = ino, .last_b = b};

	return tfs_items_each(s, &r, fn, arg);
}

/* ---- by inode ---- */

static size_t slot_of(const struct tfs_paths *p, u64 ino)
{
	size_t i = (size_t)((ino * 0x9e3779b97f4a7c15ull) >> 20) & (p->slots - 1);

	while (p->slot[i] && p->name[p->slot[i] - 1].ino != ino)
		i = (i + 1) & (p->slots - 1);
	return i;
}

const struct tfs_path_name *tfs_paths_find(const struct tfs_paths *p, u64 ino)
{
	size_t i = p->slots ? p->slot[slot_of(p, ino)] : 0;

	return i ? &p->name[i - 1] : NULL;
}

static int slots_grow(struct tfs_paths *p)
{
	size_t *old = p->slot;

	if (2 * (p->names + 1) < p->slots)
		return 0;
	p->slots = p->slots ? 2 * p->slots : 256;
	p->slot = calloc(p->slots, sizeof(*p->slot));
	if (!p->slot) {
		p->slot = old;
		p->slots /= 2;
		return -ENOMEM;
	}
	free(old);
	for (size_t i = 0; i < p->names; i++)
		p->slot[slot_of(p, p->name[i].ino)] = i + 1;
	return 0;
}

static int name_add(struct tfs_paths *p, u64 ino, u64 dir, const u8 *text, size_t len)
{
	struct tfs_path_name *n;

	if (p->names == p->names_max) {
		size_t max = 2 * p->names_max + 64;

		n = realloc(p->name, max * sizeof(*n));
		if (!n)
			return -ENOMEM;
		p->name = n;
		p->names_max = max;
	}
	if (slots_grow(p))
		return -ENOMEM;
	n = &p->name[p->names];
	*n = (struct tfs_path_name){ino, dir, malloc(len + 1)};
	if (!n->text)
		return -ENOMEM;
	memcpy(n->text, text, len);
	n->text[len] = 0;
	p->slot[slot_of(p, ino)] = ++p->names;
	return 0;
}

/* ---- from inodes up ---- */

#define BITS_OF(type) ((u64)(type) << TFS_POS_BITS)

/* Wanted ones in one directory, by position; those behind `next` are yet to be met. */
struct climb {
	struct tfs_paths *p;
	struct tfs_path_want *next, *end;
};

static int by_entry(const void *a, const void *b)
{
	const struct tfs_path_want *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	return x->pos < y->pos ? -1 : x->pos > y->pos;
}

/* An entry of the directory: takes what is wanted up to it. What is passed without being met is not there. */
static int entry_met(void *arg, const struct tfs_ioc_item *i, const void *a, const void *b)
{
	struct climb *c = arg;
	const struct tfs_dirent *e = b;
	u64 pos = i->b & TFS_POS_MASK;
	int err = 0;

	(void)a;
	while (c->next < c->end && c->next->pos < pos)
		c->next++;
	for (; !err && c->next < c->end && c->next->pos == pos; c->next++)
		if (i->new_len > offsetof(struct tfs_dirent, name) && tfs_le64(e->ino) == c->next->ino &&
		    !tfs_paths_find(c->p, c->next->ino))
			err = name_add(c->p, c->next->ino, i->a, e->name, e->name_len);
	return err;
}

/* A request answers as much as it has room for, from the next one that is wanted on: in a small directory all. */
static int directory_climb(struct climb *c, const struct tfs_items_source *s, u64 epoch)
{
	u64 dir = c->next->dir;

	while (c->next < c->end) {
		struct tfs_path_want *first = c->next;
		struct tfs_items_range r = {.newer = epoch,
		                            .a = dir,
		                            .b = BITS_OF(TFS_IT_DIRENT) | first->pos,
		                            .last_a = dir,
		                            .last_b = BITS_OF(TFS_IT_DIRENT) | c->end[-1].pos};
		int more = tfs_items_some(s, &r, entry_met, c);

		if (more < 0)
			return more;
		if (!more || r.a != dir)
			return 0;
		while (c->next < c->end && c->next->pos < (r.b & TFS_POS_MASK))
			c->next++;
		c->next += c->next == first; /* an answer without anything: it is left to walk() */
	}
	return 0;
}

static int place_take(void *arg, const struct tfs_ioc_item *i, const void *a, const void *b)
{
	struct tfs_path_want *w = arg;
	const struct tfs_inode *inode = b;

	(void)a;
	if (i->new_len >= sizeof(*inode)) {
		w->dir = tfs_le64(inode->name_dir);
		w->pos = tfs_le64(inode->name_pos);
	}
	return 0;
}

static int places_ask(const struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch,
                      struct tfs_path_want *want, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		if (!want[i].dir && !tfs_paths_find(p, want[i].ino))
			err = tfs_items_inode(s, epoch, want[i].ino, place_take, &want[i]);
	return err;
}

/* One level: names of what is wanted; what remains, in place, is their directories that are not known yet. */
static int level_climb(struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch, struct tfs_path_want *want,
                       size_t *n)
{
	int err = places_ask(p, s, epoch, want, *n);
	size_t above = 0, end, names;

	qsort(want, *n, sizeof(*want), by_entry);
	for (size_t i = 0; !err && i < *n; i = end) {
		u64 dir = want[i].dir;

		for (end = i; end < *n && want[end].dir == dir; end++)
			;
		if (!dir)
			continue;
		names = p->names;
		err = directory_climb(&(struct climb){p, want + i, want + end}, s, epoch);
		if (p->names > names && !tfs_paths_find(p, dir))
			want[above++] = (struct tfs_path_want){.ino = dir};
	}
	*n = above;
	return err;
}

/* Ends, and asks no more than there are names: who is above is asked for a name that was not known. */
static int climb(struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch, const struct tfs_path_want *want,
                 size_t n)
{
	struct tfs_path_want *left = malloc(n * sizeof(*left));
	int err = left ? 0 : -ENOMEM;

	if (left)
		memcpy(left, want, n * sizeof(*left));
	while (!err && n)
		err = level_climb(p, s, epoch, left, &n);
	free(left);
	return err;
}

/* ---- from the root down, for what does not say where its name stands ---- */

struct walk {
	struct tfs_paths *p;
	const struct tfs_path_want *want; /* ascending by ino */
	size_t n, missing;
};

static int by_ino(const void *a, const void *b)
{
	const struct tfs_path_want *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static bool wanted(const struct walk *w, u64 ino)
{
	struct tfs_path_want key = {.ino = ino};

	return bsearch(&key, w->want, w->n, sizeof(key), by_ino);
}

static int entry(void *arg, const struct tfs_ioc_item *i, const void *a, const void *b)
{
	struct walk *w = arg;
	const struct tfs_dirent *e = b;
	bool hit;

	(void)a;
	if (i->new_len <= offsetof(struct tfs_dirent, name) || tfs_paths_find(w->p, tfs_le64(e->ino)))
		return 0;
	hit = wanted(w, tfs_le64(e->ino));
	if (e->type != 4 && !hit)
		return 0;
	w->missing -= hit;
	return name_add(w->p, tfs_le64(e->ino), i->a, e->name, e->name_len);
}

static int walk(struct walk *w, const struct tfs_items_source *s, u64 epoch)
{
	int err = 0;

	for (size_t i = 0; !err && w->missing && i < w->p->names; i++) {
		u64 dir = w->p->name[i].ino;
		struct tfs_items_range r = {.newer = epoch,
		                            .a = dir,
		                            .b = BITS_OF(TFS_IT_DIRENT),
		                            .last_a = dir,
		                            .last_b = BITS_OF(TFS_IT_DIRENT) | TFS_POS_MASK};

		err = tfs_items_each(s, &r, entry, w);
	}
	return err;
}

/* Where the chain of directories above an inode ends: the root, or one that has no name yet (or is part of a cycle). */
static u64 top_of(const struct tfs_paths *p, u64 ino)
{
	const struct tfs_path_name *n;

	for (u32 depth = 0; ino != TFS_INO_ROOT && depth < DEPTH_MAX && (n = tfs_paths_find(p, ino)); depth++)
		ino = n->dir;
	return ino;
}

int tfs_paths_load(struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch, struct tfs_path_want *want,
                   size_t n)
{
	struct walk w = {.p = p, .want = want};
	int err;

	if (!n)
		return 0;
	err = name_add(p, TFS_INO_ROOT, TFS_INO_ROOT, (const u8 *)"", 0);
	if (!err)
		err = climb(p, s, epoch, want, n);
	for (size_t i = 0; !err && i < n; i++)
		want[i].ino = top_of(p, want[i].ino);
	qsort(want, n, sizeof(*want), by_ino);
	for (size_t i = 0; !err && i < n; i++)
		if (!tfs_paths_find(p, want[i].ino) && (!w.n || want[w.n - 1].ino != want[i].ino))
			want[w.n++] = want[i];
	w.missing = w.n;
	return err || !w.n ? err : walk(&w, s, epoch);
}

char *tfs_paths_text(const struct tfs_paths *p, u64 dir, const char *text, char *buf, size_t size)
{
	size_t at = size - 1;

	buf[at] = 0;
	for (u32 depth = 0; depth < DEPTH_MAX; depth++) {
		const struct tfs_path_name *above;
		size_t n = strlen(text);

		if (n + 1 > at)
			return NULL;
		at -= n;
		memcpy(buf + at, text, n);
		if (dir == TFS_INO_ROOT)
			return buf + at;
		buf[--at] = '/';
		above = tfs_paths_find(p, dir);
		if (!above)
			return NULL;
		text = above->text;
		dir = above->dir;
	}
	return NULL;
}

void tfs_paths_free(struct tfs_paths *p)
{
	for (size_t i = 0; i < p->names; i++)
		free(p->name[i].text);
	free(p->name);
	free(p->slot);
}
