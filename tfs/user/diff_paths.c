// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The names of some inodes: directories are gone through breadth first, entries only, until all are found. An inode
 * other than a directory does not say where it is named, so that is all there is to go by. No directory is entered
 * twice, whatever a damaged volume says. Called by diff.c.
 */
#include "tfs/user/diff.h"

#include <stdlib.h>

#define DEPTH_MAX 4096u

int tfs_items_each(const struct tfs_items_source *s, const struct tfs_items_range *r, tfs_item_differs_fn fn, void *arg)
{
	struct tfs_ioc_items *q = s->batch;
	u64 a = r->a, b = r->b;
	int err = 0;

	do {
		memset(q, 0, offsetof(struct tfs_ioc_items, data));
		q->older = r->older;
		q->newer = r->newer;
		q->a = a;
		q->b = b;
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
		a = q->a;
		b = q->b;
	} while (!err && q->more);
	return err;
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

/* ---- the walk ---- */

struct walk {
	struct tfs_paths *p;
	const u64 *ino; /* ascending */
	size_t n, missing;
};

static bool wanted(const struct walk *w, u64 ino)
{
	size_t lo = 0, hi = w->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (w->ino[mid] < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < w->n && w->ino[lo] == ino;
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

int tfs_paths_load(struct tfs_paths *p, const struct tfs_items_source *s, u64 epoch, const u64 *ino, size_t n)
{
	struct walk w = {.p = p, .ino = ino, .n = n, .missing = n};
	int err = 0;

	if (!n)
		return 0;
	err = name_add(p, TFS_INO_ROOT, TFS_INO_ROOT, (const u8 *)"", 0);
	w.missing -= !err && wanted(&w, TFS_INO_ROOT);
	for (size_t i = 0; !err && w.missing && i < p->names; i++) {
		u64 dir = p->name[i].ino;
		struct tfs_items_range r = {.newer = epoch,
		                            .a = dir,
		                            .b = (u64)TFS_IT_DIRENT << TFS_POS_BITS,
		                            .last_a = dir,
		                            .last_b = (u64)TFS_IT_DIRENT << TFS_POS_BITS | TFS_POS_MASK};

		err = tfs_items_each(s, &r, entry, &w);
	}
	return err;
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
