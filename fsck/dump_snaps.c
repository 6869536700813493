// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Snapshots: `snapshots` lists them with what deleting each would free, --snapshot NAME lets other commands look into
 * one, `diff` says what changed between two (or one and now): created, deleted, renamed, linked, unlinked, modified
 * with byte ranges, metadata. The differences cost what changed, the paths one look at all names: -i leaves them out.
 */
#include "fsck/dump.h"

#include <stdlib.h>

/* ---- finding ---- */

static int snapshot_find(struct dump *d, const char *name, u64 *epoch)
{
	int err = tfs_snapshot_find(d->vol, name, (u32)strlen(name), epoch);

	if (err == -ENOENT)
		return tfs_cli_fail(DUMP_USAGE, name, "no such snapshot; see dump.tfs snapshots");
	return err ? tfs_cli_fail(DUMP_DAMAGE, d->image, "snapshots cannot be read; fsck.tfs says more") : 0;
}

int dump_view(struct dump *d)
{
	u64 epoch;
	int code = d->snapshot ? snapshot_find(d, d->snapshot, &epoch) : 0;

	if (code || !d->snapshot)
		return code;
	return tfs_view_open(d->vol, epoch)
	           ? tfs_cli_fail(DUMP_DAMAGE, d->snapshot, "cannot be opened; fsck.tfs says more")
	           : 0;
}

/* ---- listing ---- */

int dump_cmd_snapshots(struct dump *d)
{
	struct tfs_snapshot_info i;
	u64 epoch = 0, held;
	char id[33];
	int err;

	for (; !(err = tfs_snapshot_next(d->vol, &epoch, &i)); epoch++) {
		struct dump_line l;

		for (u32 n = 0; n < sizeof(i.id); n++)
			snprintf(id + 2 * n, 3, "%02x", i.id[n]);
		dump_begin(d, &l, 0, "snapshot");
		dump_bytes(&l, "name", i.name, i.name_len);
		dump_time(&l, "created", &i.created);
		dump_num(&l, "epoch", i.epoch);
		dump_text(&l, "id", id);
		dump_num(&l, "inodes", i.inodes);
		dump_num(&l, "referenced", i.units * TFS_UNIT);
		if (!i.dying && !tfs_snapshot_usage(d->vol, epoch, &held))
			dump_num(&l, "exclusive", held);
		dump_num(&l, "holds", i.holds);
		dump_bool(&l, "dying", i.dying);
		dump_end(&l);
	}
	return err == -ENOENT ? 0 : tfs_cli_fail(DUMP_DAMAGE, d->image, "snapshots cannot be read; fsck.tfs says more");
}

/* ---- diff: gathering ---- */

enum { CREATED = 1, DELETED = 2, META = 4, DATA = 8, XATTRS = 16, RESIZED = 32 };
struct change { /* one an inode, ascending */
	u64 ino, size;
	u32 what, mode;
	size_t range, ranges;
};
struct range {
	u64 block, end;
};
struct name {
	u64 dir, child;
	char *text; /* owned, ends with NUL; may hold any byte but NUL */
	bool added;
};
struct where { /* how a path goes on upwards */
	u64 ino, dir;
	char *text;
};
struct diff {
	struct dump *d;
	struct change *change;
	struct range *range;
	struct name *name;
	struct where *where[2]; /* of the older, of the newer */
	size_t changes, changes_max, ranges, ranges_max, names, names_max, wheres[2], wheres_max[2];
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

static void inode_differs(struct change *c, const struct tfs_inode *a, const struct tfs_inode *b)
{
	const struct tfs_inode *i = b ? b : a;

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

static int differs(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	struct diff *f = arg;
	struct change *c = key.a ? change_of(f, key.a) : NULL;
	u64 pos = key.b & TFS_POS_MASK;
	int err = 0;

	if (!key.a) /* orphans have no name: nobody sees them */
		return 0;
	if (!c)
		return -ENOMEM;
	switch (key.b >> TFS_POS_BITS) {
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
		err = extent_differs(f, c, pos, a, a_len, b, b_len);
		break;
	case TFS_IT_PENDING: /* reads as a hole from now on, or did */
		err = range_add(f, c, pos, tfs_le64(*(const le64 *)(b ? b : a)));
		break;
	case TFS_IT_DIRENT:
		if (a)
			err = name_add(f, key.a, a, false);
		if (!err && b)
			err = name_add(f, key.a, b, true);
		break;
	}
	return err;
}

/* ---- paths ---- */

static int by_ino(const void *a, const void *b)
{
	const struct where *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static bool changed(const struct diff *f, u64 ino)
{
	size_t lo = 0, hi = f->changes;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->change[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->changes && f->change[lo].ino == ino;
}

/* The names of all directories, and of what changed. */
static int wheres_load(struct diff *f, int side)
{
	struct tfs_key k = {1, 0};
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(f->d->vol, TFS_TREE_FS, &k, &v, &len)); k.b++) {
		const struct tfs_dirent *e = v;
		struct where *w;

		if (k.b >> TFS_POS_BITS != TFS_IT_DIRENT || (e->type != 4 && !changed(f, tfs_le64(e->ino))))
			continue;
		if (grow(&f->where[side], &f->wheres_max[side], f->wheres[side] + 1, sizeof(*w)))
			return -ENOMEM;
		w = &f->where[side][f->wheres[side]];
		*w = (struct where){tfs_le64(e->ino), k.a, malloc(e->name_len + 1u)};
		if (!w->text)
			return -ENOMEM;
		memcpy(w->text, e->name, e->name_len);
		w->text[e->name_len] = 0;
		f->wheres[side]++;
	}
	if (f->wheres[side])
		qsort(f->where[side], f->wheres[side], sizeof(struct where), by_ino);
	return err == -ENOENT ? 0 : err;
}

static const struct where *where_of(const struct diff *f, int side, u64 ino)
{
	struct where key = {.ino = ino};

	return f->wheres[side] ? bsearch(&key, f->where[side], f->wheres[side], sizeof(key), by_ino) : NULL;
}

/* Writes the path of `text` in dir from the end of buf on; where it begins, NULL: too deep, or not known. */
static char *path_of(const struct diff *f, int side, u64 dir, const char *text, char *buf, size_t size)
{
	size_t at = size - 1;

	buf[at] = 0;
	for (u32 depth = 0; depth < 4096; depth++) {
		const struct where *w;
		size_t n = strlen(text);

		if (n + 1 > at)
			return NULL;
		at -= n;
		memcpy(buf + at, text, n);
		if (dir == TFS_INO_ROOT)
			return buf + at;
		buf[--at] = '/';
		w = where_of(f, side, dir);
		if (!w)
			return NULL;
		text = w->text;
		dir = w->dir;
	}
	return NULL;
}

static void path_line(struct diff *f, struct dump_line *l, const char *key, int side, u64 dir, const char *text)
{
	static char buf[1 << 16];
	char *path;

	if (f->d->inodes)
		return;
	path = path_of(f, side, dir, text, buf, sizeof(buf));
	if (path)
		dump_bytes(l, key, path, strlen(path));
}

/* ---- output ---- */

static void begin(struct diff *f, struct dump_line *l, const char *what, u64 ino)
{
	dump_begin(f->d, l, 0, what);
	dump_num(l, "ino", ino);
}

static void named(struct diff *f, const char *what, const struct change *c, u64 ino, const struct name *n)
{
	struct dump_line l;

	begin(f, &l, what, ino);
	if (c && c->mode)
		dump_text(&l, "type", dump_type_text(c->mode));
	path_line(f, &l, "path", n->added, n->dir, n->text);
	dump_end(&l);
}

static void renamed(struct diff *f, u64 ino, const struct name *from, const struct name *to)
{
	struct dump_line l;

	begin(f, &l, "renamed", ino);
	path_line(f, &l, "from", 0, from->dir, from->text);
	path_line(f, &l, "path", 1, to->dir, to->text);
	dump_end(&l);
}

static int by_child(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->child != y->child ? (x->child < y->child ? -1 : 1) : (int)x->added - (int)y->added;
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
	const struct where *w = where_of(f, 1, c->ino);
	bool data = c->what & (DATA | RESIZED);
	struct dump_line l;

	if (c->what & (CREATED | DELETED) || !(c->what & (DATA | RESIZED | META | XATTRS)))
		return;
	begin(f, &l, data ? "modified" : "metadata", c->ino);
	if (w)
		path_line(f, &l, "path", 1, w->dir, w->text);
	else if (c->ino == TFS_INO_ROOT && !f->d->inodes)
		dump_text(&l, "path", "/");
	dump_bool(&l, "xattrs", c->what & XATTRS);
	if (data)
		dump_num(&l, "size", c->size);
	dump_end(&l);
	for (size_t i = c->range; i < c->range + c->ranges; i++) {
		begin(f, &l, f->d->json ? "range" : "  range", c->ino);
		dump_num(&l, "from", f->range[i].block * TFS_BLOCK);
		dump_num(&l, "to", f->range[i].end * TFS_BLOCK);
		dump_end(&l);
	}
}

/* The size of those whose inode item is as it was. */
static void sizes_fill(struct diff *f)
{
	struct tfs_attr a;

	for (size_t i = 0; i < f->changes; i++)
		if (!f->change[i].mode && !tfs_getattr(f->d->vol, f->change[i].ino, &a))
			f->change[i].size = a.size;
}

static int side_load(struct diff *f, int side, u64 epoch)
{
	int err = epoch ? tfs_view_open(f->d->vol, epoch) : 0;

	if (!err && side)
		sizes_fill(f);
	if (!err && !f->d->inodes)
		err = wheres_load(f, side);
	tfs_view_close(f->d->vol);
	return err;
}

static void diff_free(struct diff *f)
{
	for (size_t i = 0; i < f->names; i++)
		free(f->name[i].text);
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < f->wheres[side]; i++)
			free(f->where[side][i].text);
		free(f->where[side]);
	}
	free(f->name);
	free(f->range);
	free(f->change);
}

int dump_cmd_diff(struct dump *d)
{
	struct diff f = {.d = d};
	u64 older, newer = 0;
	int code = snapshot_find(d, d->arg[0], &older), err;

	if (!code && d->args > 1)
		code = snapshot_find(d, d->arg[1], &newer);
	if (code)
		return code;
	if (newer && newer < older)
		return tfs_cli_fail(DUMP_USAGE, d->arg[0], "expected the older snapshot first, found it newer than %s",
		                    d->arg[1]);
	err = tfs_snapshot_diff(d->vol, older, newer, differs, &f);
	if (!err)
		err = side_load(&f, 0, older);
	if (!err)
		err = side_load(&f, 1, newer);
	if (!err)
		names_print(&f);
	for (size_t i = 0; !err && i < f.changes; i++)
		changed_print(&f, &f.change[i]);
	diff_free(&f);
	if (err == -ENOMEM)
		return tfs_cli_fail(DUMP_HOST, d->image, "out of memory");
	return err ? tfs_cli_fail(DUMP_DAMAGE, d->image, "a tree cannot be read; fsck.tfs says more") : 0;
}
