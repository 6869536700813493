// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What changed between two moments, from the items that differ: they come in order of inodes, so what is known of one
 * stands together. Names that one inode lost and won are a rename. Then the paths, and the lines. Called by tools.
 */
#include "tfs/user/diff.h"

#include <stdlib.h>

/* ---- gathering ---- */

enum { CREATED = 1, DELETED = 2, META = 4, DATA = 8, XATTRS = 16, RESIZED = 32 };
struct change { /* one an inode, ascending */
	u64 ino, size;
	u32 what, mode;
	size_t range, ranges;
	struct place {
		u64 dir, pos;
	} place[2]; /* where its name stands, before and after; zeros: not known */
};
struct range {
	u64 block, end;
};
struct name {
	u64 dir, child;
	char *text; /* owned, ends with NUL; may hold any byte but NUL */
	bool added;
};
struct diff {
	const struct tfs_items_source *source;
	bool json, want_paths;
	struct change *change;
	struct range *range;
	struct name *name;
	struct tfs_paths paths[2]; /* of the older, of the newer */
	size_t changes, changes_max, ranges, ranges_max, names, names_max;
};

static int grow(void *array, size_t *max, size_t need, size_t size)
{
	void **p = array, *more;

	if (need <= *max)
		return 0;
	more = realloc(*p, (need + need / 2 + 16) * size);
	if (!more)
		return -ENOMEM;
	*p = more;
	*max = need + need / 2 + 16;
	return 0;
}

static struct change *change_of(struct diff *f, u64 ino)
{
	if (f->changes && f->change[f->changes - 1].ino == ino)
		return &f->change[f->changes - 1];
	if (grow(&f->change, &f->changes_max, f->changes + 1, sizeof(*f->change)))
		return NULL;
	f->change[f->changes] = (struct change){.ino = ino, .range = f->ranges};
	return &f->change[f->changes++];
}

static struct place place_of(const struct tfs_inode *i)
{
	return i ? (struct place){tfs_le64(i->name_dir), tfs_le64(i->name_pos)} : (struct place){0, 0};
}

static void inode_differs(struct change *c, const struct tfs_inode *a, const struct tfs_inode *b)
{
	const struct tfs_inode *i = b ? b : a;

	c->place[0] = place_of(a);
	c->place[1] = place_of(b);
	c->mode = tfs_le32(i->mode);
	c->size = tfs_le64(i->size);
	if (!a || !b || !b->nlink) { /* without a name: gone, if not freed yet */
		c->what |= a ? DELETED : CREATED;
		return;
	}
	if (a->size != b->size && (c->mode >> 12) == 8)
		c->what |= RESIZED;
	/* of times only ctime counts: it moves with all else; a write of data moves it, too */
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->nlink != b->nlink ||
	    a->user_flags != b->user_flags || a->codec != b->codec || a->window_bits != b->window_bits ||
	    memcmp(&a->ctime, &b->ctime, sizeof(a->ctime)))
		c->what |= META;
}

/* The same content at another place is no change. */
static bool extent_alike(const struct tfs_extent *a, u32 a_len, const struct tfs_extent *b, u32 b_len)
{
	struct tfs_extent x = *a, y = *b;

	if (a_len != b_len || x.codec != y.codec || (x.codec && x.ptr.crc != y.ptr.crc) || x.ptr.len != y.ptr.len)
		return false;
	memset(&x.ptr, 0, sizeof(x.ptr));
	memset(&y.ptr, 0, sizeof(y.ptr));
	return !memcmp(&x, &y, sizeof(x)) && !memcmp(a->crc, b->crc, a_len - sizeof(x));
}

static int range_add(struct diff *f, struct change *c, u64 block, u64 blocks)
{
	struct range *last = c->ranges ? &f->range[c->range + c->ranges - 1] : NULL;

	c->what |= DATA;
	if (last && block <= last->end) {
		if (block + blocks > last->end)
			last->end = block + blocks;
		return 0;
	}
	if (grow(&f->range, &f->ranges_max, f->ranges + 1, sizeof(*f->range)))
		return -ENOMEM;
	f->range[f->ranges++] = (struct range){block, block + blocks};
	c->ranges++;
	return 0;
}

static int extent_differs(struct diff *f, struct change *c, u64 block, const struct tfs_extent *a, u32 a_len,
                          const struct tfs_extent *b, u32 b_len)
{
	u32 blocks = a ? tfs_le16(a->blocks) : 0;

	if (a && b && extent_alike(a, a_len, b, b_len))
		return 0;
	if (b && tfs_le16(b->blocks) > blocks)
		blocks = tfs_le16(b->blocks);
	return range_add(f, c, block, blocks);
}

static int name_add(struct diff *f, u64 dir, const struct tfs_dirent *e, bool added)
{
	char *text = malloc(e->name_len + 1u);

	if (!text || grow(&f->name, &f->names_max, f->names + 1, sizeof(*f->name))) {
		free(text);
		return -ENOMEM;
	}
	memcpy(text, e->name, e->name_len);
	text[e->name_len] = 0;
	f->name[f->names++] = (struct name){dir, tfs_le64(e->ino), text, added};
	return 0;
}

static int differs(void *arg, const struct tfs_ioc_item *i, const void *old, const void *new)
{
	struct diff *f = arg;
	const void *a = i->there & TFS_ITEM_OLD ? old : NULL, *b = i->there & TFS_ITEM_NEW ? new : NULL;
	struct change *c = i->a ? change_of(f, i->a) : NULL;
	u64 pos = i->b & TFS_POS_MASK;
	int err = 0;

	if (!i->a) /* orphans have no name: nobody sees them */
		return 0;
	if (!c)
		return -ENOMEM;
	switch (i->b >> TFS_POS_BITS) {
	case TFS_IT_INODE:
		inode_differs(c, a, b);
		break;
	case TFS_IT_XATTR:
		c->what |= XATTRS;
		break;
	case TFS_IT_SYMLINK:
	case TFS_IT_INLINE:
		err = range_add(f, c, 0, 1);
		break;
	case TFS_IT_EXTENT:
		err = extent_differs(f, c, pos, a, i->old_len, b, i->new_len);
		break;
	case TFS_IT_PENDING: /* reads as a hole from now on, or did */
		err = range_add(f, c, pos, tfs_le64(*(const le64 *)(b ? b : a)));
		break;
	case TFS_IT_DIRENT:
		if (a)
			err = name_add(f, i->a, a, false);
		if (!err && b)
			err = name_add(f, i->a, b, true);
		break;
	}
	return err;
}

static const struct change *change_find(const struct diff *f, u64 ino)
{
	for (size_t lo = 0, hi = f->changes; lo < hi;) {
		size_t mid = (lo + hi) / 2;

		if (f->change[mid].ino == ino)
			return &f->change[mid];
		if (f->change[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- paths ---- */

/* A line of its own, under a name that it has after as before. */
static bool stayed(const struct change *c)
{
	return !(c->what & (CREATED | DELETED)) && c->what & (DATA | RESIZED | META | XATTRS);
}

static int by_number(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static size_t unique(u64 *v, size_t n)
{
	size_t used = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_number);
	for (size_t i = 0; i < n; i++)
		if (!used || v[used - 1] != v[i])
			v[used++] = v[i];
	return used;
}

static int paths_load(struct diff *f, int side, u64 epoch)
{
	u64 *ino = malloc((f->changes + f->names + 1) * sizeof(*ino));
	struct tfs_path_want *want;
	size_t n = 0;
	int err;

	if (!ino)
		return -ENOMEM;
	for (size_t i = 0; i < f->names; i++)
		if (f->name[i].added == side && f->name[i].dir != TFS_INO_ROOT)
			ino[n++] = f->name[i].dir;
	for (size_t i = 0; side && i < f->changes; i++)
		if (stayed(&f->change[i]))
			ino[n++] = f->change[i].ino;
	n = unique(ino, n);
	want = calloc(n + 1, sizeof(*want));
	for (size_t i = 0; want && i < n; i++) {
		const struct change *c = change_find(f, ino[i]);

		want[i].ino = ino[i];
		if (c) {
			want[i].dir = c->place[side].dir;
			want[i].pos = c->place[side].pos;
		}
	}
	err = want ? tfs_paths_load(&f->paths[side], f->source, epoch, want, n) : -ENOMEM;
	free(want);
	free(ino);
	return err;
}

static int size_take(void *arg, const struct tfs_ioc_item *i, const void *a, const void *b)
{
	const struct tfs_inode *inode = b;

	(void)a;
	if (i->new_len >= sizeof(*inode))
		*(u64 *)arg = tfs_le64(inode->size);
	return 0;
}

/* The size of those whose inode item is as it was. */
static int sizes_fill(struct diff *f, u64 epoch)
{
	int err = 0;

	for (size_t i = 0; !err && i < f->changes; i++) {
		struct change *c = &f->change[i];

		if (!c->mode && c->what & DATA)
			err = tfs_items_inode(f->source, epoch, c->ino, size_take, &c->size);
	}
	return err;
}

/* ---- output ---- */

static void begin(struct diff *f, struct tfs_line *l, const char *what, u64 ino)
{
	tfs_line_begin(l, f->json, 0, what);
	tfs_line_num(l, "ino", ino);
}

static void path_line(struct diff *f, struct tfs_line *l, const char *key, int side, u64 dir, const char *text)
{
	static char buf[1 << 16];
	char *path = f->want_paths ? tfs_paths_text(&f->paths[side], dir, text, buf, sizeof(buf)) : NULL;

	if (path)
		tfs_line_bytes(l, key, path, strlen(path));
}

static void named(struct diff *f, const char *what, const struct change *c, u64 ino, const struct name *n)
{
	struct tfs_line l;

	begin(f, &l, what, ino);
	if (c && c->mode)
		tfs_line_text(&l, "type", tfs_type_text(c->mode));
	path_line(f, &l, "path", n->added, n->dir, n->text);
	tfs_line_end(&l);
}

static void renamed(struct diff *f, u64 ino, const struct name *from, const struct name *to)
{
	struct tfs_line l;

	begin(f, &l, "renamed", ino);
	path_line(f, &l, "from", 0, from->dir, from->text);
	path_line(f, &l, "path", 1, to->dir, to->text);
	tfs_line_end(&l);
}

static int by_child(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->child != y->child ? (x->child < y->child ? -1 : 1) : (int)x->added - (int)y->added;
}

/* Names lost and won by one inode: [lost, won) and [won, end). */
static void names_of(struct diff *f, size_t lost, size_t won, size_t end)
{
	u64 ino = f->name[lost].child;
	const struct change *c = change_find(f, ino);
	size_t first = won;

	while (lost < first && won < end)
		renamed(f, ino, &f->name[lost++], &f->name[won++]);
	for (; lost < first; lost++)
		named(f, c && c->what & DELETED ? "deleted" : "unlinked", c, ino, &f->name[lost]);
	for (; won < end; won++)
		named(f, c && c->what & CREATED ? "created" : "linked", c, ino, &f->name[won]);
}

static void names_print(struct diff *f)
{
	if (f->names)
		qsort(f->name, f->names, sizeof(*f->name), by_child);
	for (size_t i = 0, end; i < f->names; i = end) {
		size_t won = i;

		for (end = i; end < f->names && f->name[end].child == f->name[i].child; end++)
			won += !f->name[end].added;
		names_of(f, i, won, end);
	}
}

static void changed_print(struct diff *f, const struct change *c)
{
	const struct tfs_path_name *w = tfs_paths_find(&f->paths[1], c->ino);
	bool data = c->what & (DATA | RESIZED);
	struct tfs_line l;

	if (!stayed(c))
		return;
	begin(f, &l, data ? "modified" : "metadata", c->ino);
	if (c->ino == TFS_INO_ROOT && f->want_paths)
		tfs_line_text(&l, "path", "/");
	else if (w)
		path_line(f, &l, "path", 1, w->dir, w->text);
	tfs_line_bool(&l, "xattrs", c->what & XATTRS);
	if (data)
		tfs_line_num(&l, "size", c->size);
	tfs_line_end(&l);
	for (size_t i = c->range; i < c->range + c->ranges; i++) {
		begin(f, &l, f->json ? "range" : "  range", c->ino);
		tfs_line_num(&l, "from", f->range[i].block * TFS_BLOCK);
		tfs_line_num(&l, "to", f->range[i].end * TFS_BLOCK);
		tfs_line_end(&l);
	}
}

static void diff_free(struct diff *f)
{
	for (size_t i = 0; i < f->names; i++)
		free(f->name[i].text);
	tfs_paths_free(&f->paths[0]);
	tfs_paths_free(&f->paths[1]);
	free(f->name);
	free(f->range);
	free(f->change);
}

int tfs_diff_print(const struct tfs_items_source *s, u64 older, u64 newer, bool json, bool paths)
{
	struct diff f = {.source = s, .json = json, .want_paths = paths};
	struct tfs_items_range all = {.older = older, .newer = newer};
	int err = tfs_items_each(s, &all, differs, &f);

	if (!err)
		err = sizes_fill(&f, newer);
	if (!err && paths)
		err = paths_load(&f, 0, older);
	if (!err && paths)
		err = paths_load(&f, 1, newer);
	if (!err)
		names_print(&f);
	for (size_t i = 0; !err && i < f.changes; i++)
		changed_print(&f, &f.change[i]);
	diff_free(&f);
	return err;
}
