// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A filesystem in plain memory, as simple as can be: arrays searched from the front, contents as a list of 4 KiB pages.
 * It says what each operation must return (errnos in Linux's order, as tfs/tfs.h and the unit tests have them) and what
 * the volume must hold afterwards. Nothing of the core's code or structures is used. Space is not modelled.
 */
#include "fuzz/model.h"

#include <stdlib.h>

#define INODES 512u
#define NAME_MAX_ 255u
#define BLOCK_MAX (1ull << 51)
#define SIZE_MAX_ 0x7fffffffffffffffull

struct page {
	struct page *next;
	u64 block;
	u8 data[4096];
};
struct xattr {
	struct xattr *next;
	u8 name;
	u32 len, seed;
};
struct entry {
	struct entry *next;
	u8 name;
	u64 ino;
};
struct inode {
	u64 ino, size, parent;
	u32 mode, uid, gid, nlink, user_flags, rdev, seed;
	u8 codec, window_bits;
	bool opaque; /* content unknown */
	struct page *pages;
	struct xattr *xattrs;
	struct entry *entries;
};

static struct inode inodes[INODES];
static u32 count;
static u64 next_ino;
static u32 hidden; /* inodes that the base has and the model has not */

/* ---- names ---- */

static char longest[256], too_long[256], middle[256];

const char *model_name(u32 i, u32 *len)
{
	static const struct {
		const char *s;
		u32 len;
	} name[MODEL_NAMES] = {{"a", 1},   {"b", 1},        {"c", 1},      {"dd", 2},      {"e.e", 3},      {"-", 1},
	                       {"...", 3}, {"\xff\xfe", 2}, {middle, 100}, {longest, 255}, {too_long, 256}, {".", 1},
	                       {"..", 2},  {"", 0},         {"x/y", 3},    {"z\0z", 3},    {"file", 4},     {"dir", 3}};

	if (!longest[0]) {
		memset(longest, 'L', sizeof(longest));
		memset(too_long, 'T', sizeof(too_long));
		memset(middle, 'M', sizeof(middle));
	}
	*len = name[i % MODEL_NAMES].len;
	return name[i % MODEL_NAMES].s;
}

const char *model_xattr(u32 i, u32 *len)
{
	static const struct {
		const char *s;
		u32 len;
	} name[MODEL_XATTRS] = {{"user.a", 6},  {"user.bb", 7},  {"trusted.q", 9}, {"security.z", 10},
	                        {longest, 255}, {too_long, 256}, {"", 0},          {"user.c", 6}};

	model_name(0, len);
	*len = name[i % MODEL_XATTRS].len;
	return name[i % MODEL_XATTRS].s;
}

/* -EINVAL or -ENAMETOOLONG as a name of a new entry. */
static int name_bad(u32 i)
{
	u32 len, k;
	const char *s = model_name(i, &len);

	if (len > NAME_MAX_)
		return -ENAMETOOLONG;
	if (!len || !strcmp(s, ".") || !strcmp(s, ".."))
		return -EINVAL;
	for (k = 0; k < len; k++)
		if (s[k] == 0 || s[k] == '/')
			return -EINVAL;
	return 0;
}

static void enter(struct inode *dir, u32 name, const struct inode *i);

/* ---- inodes ---- */

static struct inode *get(u64 ino)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (inodes[i].ino == ino)
			return &inodes[i];
	return NULL;
}

static bool is_dir(const struct inode *i)
{
	return (i->mode & 0170000) == 0040000;
}

static bool is_file(const struct inode *i)
{
	return (i->mode & 0170000) == 0100000;
}

static struct inode *add(u32 mode, u64 parent, u32 nlink)
{
	struct inode *p = get(parent), *i = &inodes[count++];

	memset(i, 0, sizeof(*i));
	i->ino = next_ino++;
	i->mode = mode;
	i->nlink = nlink;
	i->parent = is_dir(i) ? parent : 0;
	i->codec = p ? p->codec : TFS_CODEC_LZ4;
	i->window_bits = p ? p->window_bits : 16;
	return i;
}

static void release(struct inode *i)
{
	struct page *p;
	struct xattr *x;
	struct entry *e;

	while ((p = i->pages)) {
		i->pages = p->next;
		free(p);
	}
	while ((x = i->xattrs)) {
		i->xattrs = x->next;
		free(x);
	}
	while ((e = i->entries)) {
		i->entries = e->next;
		free(e);
	}
}

static void forget(struct inode *i)
{
	release(i);
	*i = inodes[--count];
}

void model_reset(const struct model_base *base)
{
	struct inode *i;

	while (count)
		release(&inodes[--count]);
	next_ino = 1;
	hidden = base->hidden;
	add(0040755, 1, 2)->parent = 1;
	if (!base->size && !hidden)
		return;
	i = add(hidden ? 0040755 : 0100644, 1, hidden ? 2 : 1);
	i->size = hidden ? hidden : base->size;
	i->uid = 1;
	i->gid = 2;
	i->rdev = 3;
	i->opaque = true;
	next_ino += hidden;
	enter(get(1), hidden ? MODEL_NAMES - 1 : MODEL_NAMES - 2, i);
}

u64 model_next_ino(void)
{
	return next_ino;
}

u32 model_inodes(void)
{
	return count;
}

u64 model_pick(u32 n, bool dir)
{
	u32 i, k = 0;

	if (!dir)
		return inodes[n % count].ino;
	for (i = 0; i < 2 * count; i++)
		if (is_dir(&inodes[i % count]) && (k++ == n % 8 || i >= count))
			return inodes[i % count].ino;
	return 1;
}

u64 model_size(u64 ino)
{
	struct inode *i = get(ino);

	return i ? i->size : 0;
}

bool model_is_file(u64 ino)
{
	struct inode *i = get(ino);

	return i && is_file(i);
}

void model_evict_orphans(void)
{
	u32 i = 0;

	while (i < count)
		if (inodes[i].nlink)
			i++;
		else
			forget(&inodes[i]);
}

/* ---- entries ---- */

static struct entry *find(const struct inode *dir, u32 name)
{
	struct entry *e = dir->entries;

	while (e && e->name != name % MODEL_NAMES)
		e = e->next;
	return e;
}

static void enter(struct inode *dir, u32 name, const struct inode *i)
{
	struct entry *e = calloc(1, sizeof(*e));

	FUZZ_CHECK(e, "model: no memory");
	e->name = (u8)(name % MODEL_NAMES);
	e->ino = i->ino;
	e->next = dir->entries;
	dir->entries = e;
	dir->size++;
	dir->nlink += is_dir(i);
}

static void leave(struct inode *dir, u32 name)
{
	struct entry **p = &dir->entries, *e;

	while ((*p)->name != name % MODEL_NAMES)
		p = &(*p)->next;
	e = *p;
	dir->size--;
	dir->nlink -= is_dir(get(e->ino));
	*p = e->next;
	free(e);
}

u64 model_last_name(u64 parent, u32 name)
{
	struct inode *dir = get(parent), *i;
	struct entry *e = dir ? find(dir, name) : NULL;

	i = e ? get(e->ino) : NULL;
	return i && (is_dir(i) || i->nlink == 1) ? i->ino : 0;
}

static int dir_bad(u64 ino, bool living)
{
	struct inode *d = get(ino);

	if (!d)
		return -ENOENT;
	if (!is_dir(d))
		return -ENOTDIR;
	return living && !d->nlink ? -ENOENT : 0;
}

/* May a new entry be made? */
static int free_bad(u64 parent, u32 name)
{
	int err = dir_bad(parent, true);

	if (!err)
		err = name_bad(name);
	return err ? err : find(get(parent), name) ? -EEXIST : 0;
}

static int named_bad(u64 parent, u32 name)
{
	int err = dir_bad(parent, false);

	if (!err)
		err = name_bad(name);
	return err ? err : find(get(parent), name) ? 0 : -ENOENT;
}

static void unname(struct inode *i)
{
	i->nlink = is_dir(i) ? 0 : i->nlink - 1;
}

static int do_create(const struct op *op)
{
	u32 type = op->mode & 0170000, len;
	struct inode *i;
	int err;

	model_name(op->name, &len);
	err = len ? free_bad(op->parent, op->name) : dir_bad(op->parent, true);
	if (err)
		return err;
	if (type == 0120000 && (!op->len || op->len > 4095))
		return op->len ? -ENAMETOOLONG : -EINVAL;
	if (type == 0040000 && !len)
		return -EINVAL;
	i = add(op->mode, op->parent, !len ? 0 : type == 0040000 ? 2 : 1);
	i->uid = op->uid;
	i->gid = ~op->uid;
	i->rdev = op->seed;
	i->seed = op->seed;
	i->size = type == 0120000 ? op->len : 0;
	if (len)
		enter(get(op->parent), op->name, i);
	return 0;
}

static int do_link(const struct op *op)
{
	struct inode *i = get(op->ino);
	int err = i ? free_bad(op->parent, op->name) : -ENOENT;

	if (!err && is_dir(i))
		err = -EPERM;
	if (err)
		return err;
	i->nlink++;
	enter(get(op->parent), op->name, i);
	return 0;
}

static int do_unlink(const struct op *op)
{
	int err = named_bad(op->parent, op->name);
	struct inode *i;

	if (err)
		return err;
	i = get(find(get(op->parent), op->name)->ino);
	if (is_dir(i) != op->dir)
		return op->dir ? -ENOTDIR : -EISDIR;
	if (op->dir && i->size)
		return -ENOTEMPTY;
	leave(get(op->parent), op->name);
	unname(i);
	return 0;
}

/* Is x the directory y or above it? */
static bool above(const struct inode *x, u64 y)
{
	while (x->ino != y && y != 1)
		y = get(y)->parent;
	return x->ino == y;
}

static int rename_bad(const struct op *op, const struct inode *i, const struct inode *t)
{
	if (op->flags & 1 && t)
		return -EEXIST;
	if (op->flags & 2 && !t)
		return -ENOENT;
	if (i == t)
		return 0;
	if (is_dir(i) && above(i, op->parent2))
		return -EINVAL;
	if (t && is_dir(t) && above(t, op->parent))
		return op->flags & 2 ? -EINVAL : -ENOTEMPTY;
	if (!t || op->flags & 2)
		return 0;
	if (is_dir(i) != is_dir(t))
		return is_dir(i) ? -ENOTDIR : -EISDIR;
	return is_dir(t) && t->size ? -ENOTEMPTY : 0;
}

static void rename_exchange(const struct op *op, struct inode *i, struct inode *t)
{
	leave(get(op->parent), op->name);
	leave(get(op->parent2), op->name2);
	enter(get(op->parent), op->name, t);
	enter(get(op->parent2), op->name2, i);
	if (is_dir(t))
		t->parent = op->parent;
}

static void rename_move(const struct op *op, struct inode *i, struct inode *t)
{
	leave(get(op->parent), op->name);
	if (t) {
		leave(get(op->parent2), op->name2);
		unname(t);
	}
	enter(get(op->parent2), op->name2, i);
	if (op->flags & 4) {
		struct inode *w = add(0020000, op->parent, 1);

		enter(get(op->parent), op->name, w);
	}
}

static int do_rename(const struct op *op)
{
	struct inode *i, *t = NULL;
	int err;

	if (op->flags & ~7u || (op->flags & 2 && op->flags & 5))
		return -EINVAL;
	err = dir_bad(op->parent2, true);
	if (!err)
		err = dir_bad(op->parent, false);
	if (!err)
		err = name_bad(op->name2);
	if (!err)
		err = named_bad(op->parent, op->name);
	if (err)
		return err;
	i = get(find(get(op->parent), op->name)->ino);
	if (find(get(op->parent2), op->name2))
		t = get(find(get(op->parent2), op->name2)->ino);
	err = rename_bad(op, i, t);
	if (err || i == t)
		return err;
	if (op->flags & 2)
		rename_exchange(op, i, t);
	else
		rename_move(op, i, t);
	i = get(i->ino);
	if (is_dir(i))
		i->parent = op->parent2;
	return 0;
}

/* ---- attributes ---- */

static int do_setattr(const struct op *op)
{
	struct inode *i = get(op->ino);
	u32 m = op->flags;

	if (!i)
		return -ENOENT;
	if (m & ~0x1ffu || (op->nsec >= 1000000000 && m & (8 | 16 | 32 | 64)) ||
	    (m & 256 && (op->codec > 2 || op->window_bits < 14 || op->window_bits > 16)))
		return -EINVAL;
	if (m & 1)
		i->mode = (i->mode & 0170000) | (op->mode & 07777);
	if (m & 2)
		i->uid = op->uid;
	if (m & 4)
		i->gid = ~op->uid;
	if (m & 128)
		i->user_flags = op->seed;
	if (m & 256) {
		i->codec = op->codec;
		i->window_bits = op->window_bits;
	}
	return 0;
}

static struct xattr **xattr_at(struct inode *i, u32 name)
{
	struct xattr **p = &i->xattrs;

	while (*p && (*p)->name != name % MODEL_XATTRS)
		p = &(*p)->next;
	return p;
}

static int xattr_name_bad(u32 name)
{
	u32 len;

	model_xattr(name, &len);
	return !len ? -EINVAL : len > 255 ? -ERANGE : 0;
}

static int do_setxattr(const struct op *op)
{
	struct inode *i = get(op->ino);
	int err = xattr_name_bad(op->name);
	struct xattr **x;

	if (err || op->len > 65536 || !i)
		return err ? err : op->len > 65536 ? -E2BIG : -ENOENT;
	x = xattr_at(i, op->name);
	if (*x ? op->flags & 1 : op->flags & 2)
		return *x ? -EEXIST : -ENODATA;
	if (!*x)
		*x = calloc(1, sizeof(**x));
	FUZZ_CHECK(*x, "model: no memory");
	(*x)->name = (u8)(op->name % MODEL_XATTRS);
	(*x)->len = op->len;
	(*x)->seed = op->seed;
	return 0;
}

static int do_removexattr(const struct op *op)
{
	struct inode *i = get(op->ino);
	int err = xattr_name_bad(op->name);
	struct xattr **x, *gone;

	if (err || !i)
		return err ? err : -ENOENT;
	x = xattr_at(i, op->name);
	if (!*x)
		return -ENODATA;
	gone = *x;
	*x = gone->next;
	free(gone);
	return 0;
}

/* ---- content ---- */

static struct page *page_at(struct inode *i, u64 block, bool make)
{
	struct page *p = i->pages;

	while (p && p->block != block)
		p = p->next;
	if (p || !make)
		return p;
	p = calloc(1, sizeof(*p));
	FUZZ_CHECK(p, "model: no memory");
	p->block = block;
	p->next = i->pages;
	return i->pages = p;
}

/* Whole pages of [block, end) go. */
static void pages_drop(struct inode *i, u64 block, u64 end)
{
	struct page **p = &i->pages, *gone;

	while ((gone = *p))
		if (gone->block >= block && gone->block < end) {
			*p = gone->next;
			free(gone);
		} else {
			p = &gone->next;
		}
}

static int file_bad(u64 ino)
{
	struct inode *i = get(ino);

	return !i ? -ENOENT : is_dir(i) ? -EISDIR : is_file(i) ? 0 : -EINVAL;
}

static int do_write(const struct op *op)
{
	static u8 data[16 * 4096];
	struct inode *i;
	u64 k, end;
	int err;

	if (!op->blocks || op->blocks > 16 || op->block >= BLOCK_MAX || op->size > SIZE_MAX_)
		return -EFBIG;
	if (op->block / 16 != (op->block + op->blocks - 1) / 16)
		return -EINVAL;
	err = file_bad(op->ino);
	if (err)
		return err;
	i = get(op->ino);
	fuzz_pattern(data, (u32)op->blocks * 4096, op->seed);
	end = (op->block + op->blocks) * 4096;
	if (op->size < end && end - op->size < op->blocks * 4096)
		memset(data + op->blocks * 4096 - (end - op->size), 0, end - op->size);
	for (k = 0; k < op->blocks; k++)
		memcpy(page_at(i, op->block + k, true)->data, data + k * 4096, 4096);
	if (op->size > i->size)
		i->size = op->size;
	return 0;
}

static int do_clone(const struct op *op)
{
	struct inode *i, *source;
	u64 k;
	int err;

	if (!op->blocks || op->blocks > 16 || op->block >= BLOCK_MAX || op->size > SIZE_MAX_)
		return -EFBIG;
	if (op->block / 16 != (op->block + op->blocks - 1) / 16)
		return -EINVAL;
	if (op->from >= BLOCK_MAX)
		return -EFBIG;
	if (op->from % 16 + op->blocks > 16 ||
	    (op->parent == op->ino && op->from < op->block + op->blocks && op->block < op->from + op->blocks))
		return -EINVAL;
	err = file_bad(op->parent);
	if (!err)
		err = file_bad(op->ino);
	if (err)
		return err;
	i = get(op->ino);
	source = get(op->parent);
	i->opaque |= source->opaque;
	for (k = 0; k < op->blocks; k++) {
		struct page *p = page_at(source, op->from + k, false);

		if (p)
			memcpy(page_at(i, op->block + k, true)->data, p->data, 4096);
		else
			pages_drop(i, op->block + k, op->block + k + 1);
	}
	if (op->size > i->size)
		i->size = op->size;
	return 0;
}

static int do_truncate(const struct op *op)
{
	int err = op->size > SIZE_MAX_ ? -EFBIG : file_bad(op->ino);
	struct page *tail;
	struct inode *i;

	if (err)
		return err;
	i = get(op->ino);
	pages_drop(i, (op->size + 4095) / 4096, ~0ull);
	tail = page_at(i, op->size / 4096, false);
	if (tail)
		memset(tail->data + op->size % 4096, 0, 4096 - op->size % 4096);
	i->size = op->size;
	return 0;
}

static int do_punch(const struct op *op)
{
	int err;

	if (!op->blocks || op->block >= BLOCK_MAX)
		return op->blocks ? -EFBIG : -EINVAL;
	err = file_bad(op->ino);
	if (!err)
		pages_drop(get(op->ino), op->block,
		           op->blocks > BLOCK_MAX - op->block ? BLOCK_MAX : op->block + op->blocks);
	return err;
}

static int do_prealloc(const struct op *op)
{
	struct inode *i;
	int err;

	if (!op->blocks || op->block >= BLOCK_MAX || op->blocks > BLOCK_MAX - op->block || op->size > SIZE_MAX_)
		return op->blocks ? -EFBIG : -EINVAL;
	err = file_bad(op->ino);
	if (err)
		return err;
	i = get(op->ino);
	if (op->size > i->size)
		i->size = op->size;
	return 0;
}

static int do_evict(const struct op *op)
{
	struct inode *i = get(op->ino);

	if (i && !i->nlink)
		forget(i);
	return 0;
}

int model_do(const struct op *op)
{
	static int (*const todo[OP_MODELLED])(const struct op *) = {
	    do_create, do_link,     do_unlink, do_rename,   do_setattr, do_setxattr, do_removexattr,
	    do_write,  do_truncate, do_punch,  do_prealloc, do_clone,   do_evict,
	};

	FUZZ_CHECK(count < INODES - 2, "model: too many inodes");
	return todo[op->kind](op);
}

/* ---- comparing ---- */

static void compare_attr(struct tfs_vol *vol, const struct inode *i)
{
	struct tfs_attr a;
	int err = tfs_getattr(vol, i->ino, &a);
	unsigned long long ino = i->ino;

	FUZZ_CHECK(!err, "inode %llu: expected to be there, found error %d", ino, err);
	FUZZ_CHECK(a.mode == i->mode && a.nlink == i->nlink && a.size == i->size,
	           "inode %llu: expected mode %o, %u links, size %llu, found %o, %u, %llu", ino, i->mode, i->nlink,
	           (unsigned long long)i->size, a.mode, a.nlink, (unsigned long long)a.size);
	FUZZ_CHECK(a.uid == i->uid && a.gid == i->gid && a.user_flags == i->user_flags && a.rdev_major == i->rdev &&
	               a.codec == i->codec && a.window_bits == i->window_bits,
	           "inode %llu: owner, flags, device or codec differ", ino);
	FUZZ_CHECK(a.parent == i->parent, "inode %llu: expected parent %llu, found %llu", ino,
	           (unsigned long long)i->parent, (unsigned long long)a.parent);
}

struct listing {
	const struct inode *dir;
	u32 seen, batch;
	u64 last;
};

static int listed(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct listing *l = arg;
	const struct entry *e;

	if (!l->batch--)
		return 1;
	FUZZ_CHECK(next > l->last, "readdir %llu: position does not grow", (unsigned long long)l->dir->ino);
	l->last = next;
	for (e = l->dir->entries; e; e = e->next) {
		u32 n;
		const char *s = model_name(e->name, &n);

		if (n == len && !memcmp(s, name, n))
			break;
	}
	FUZZ_CHECK(e && e->ino == ino && get(ino) && get(ino)->mode >> 12 == type,
	           "readdir %llu: an entry of %u bytes for inode %llu, type %u is not the model's",
	           (unsigned long long)l->dir->ino, len, (unsigned long long)ino, type);
	l->seen++;
	return 0;
}

static void compare_dir(struct tfs_vol *vol, const struct inode *dir)
{
	struct listing l = {.dir = dir};
	u32 name, len, before;
	u64 pos = 0, ino;
	u8 type;

	do {
		before = l.seen;
		l.batch = 1 + l.seen % 3;
		FUZZ_CHECK(!tfs_readdir(vol, dir->ino, &pos, listed, &l), "readdir failed");
	} while (l.seen != before);
	FUZZ_CHECK(l.seen == dir->size, "readdir %llu: expected %llu entries, found %u", (unsigned long long)dir->ino,
	           (unsigned long long)dir->size, l.seen);
	for (name = 0; name < MODEL_NAMES; name++) {
		const char *s = model_name(name, &len);
		int err = tfs_lookup(vol, dir->ino, s, len, &ino, &type);
		struct entry *e = find(dir, name);

		FUZZ_CHECK(err == (len > NAME_MAX_ ? -ENAMETOOLONG
		                   : e             ? 0
		                                   : -ENOENT) &&
		               (err || ino == e->ino),
		           "lookup %llu name %u: found %d", (unsigned long long)dir->ino, name, err);
	}
}

static void compare_xattrs(struct tfs_vol *vol, struct inode *i)
{
	static u8 value[65536], want[65536];
	u32 name, len, total = 0;
	int got;

	for (name = 0; name < MODEL_XATTRS; name++) {
		const char *s = model_xattr(name, &len);
		struct xattr *x = *xattr_at(i, name);
		int due = xattr_name_bad(name) ? xattr_name_bad(name) : x ? (int)x->len : -ENODATA;

		got = tfs_getxattr(vol, i->ino, s, len, value, sizeof(value));
		FUZZ_CHECK(got == due, "inode %llu xattr %u: expected %d, found %d", (unsigned long long)i->ino, name,
		           due, got);
		if (!x)
			continue;
		total += len + 1;
		fuzz_pattern(want, x->len, x->seed);
		FUZZ_CHECK(!memcmp(value, want, x->len), "inode %llu xattr %u: value differs",
		           (unsigned long long)i->ino, name);
		if (x->len > 1)
			FUZZ_CHECK(tfs_getxattr(vol, i->ino, s, len, value, x->len - 1) == -ERANGE,
			           "getxattr: no ERANGE");
	}
	got = tfs_listxattr(vol, i->ino, NULL, 0);
	FUZZ_CHECK(got == (int)total, "inode %llu: expected %u bytes of xattr names, found %d",
	           (unsigned long long)i->ino, total, got);
}

/* 16 blocks at `block`, as far as the file goes. */
static void compare_window(struct tfs_vol *vol, struct inode *i, u64 block)
{
	static const u8 zero[4096];
	static u8 data[65536];
	u64 off = block * 4096, n = off >= i->size ? 0 : i->size - off < 65536 ? i->size - off : 65536, k;
	s64 got = tfs_read(vol, i->ino, off, data, 65536);

	FUZZ_CHECK(got == (s64)n, "inode %llu: read at %llu: expected %llu bytes, found %lld",
	           (unsigned long long)i->ino, (unsigned long long)off, (unsigned long long)n, (long long)got);
	for (k = 0; k < n; k += 4096) {
		struct page *p = page_at(i, block + k / 4096, false);

		FUZZ_CHECK(!memcmp(data + k, p ? p->data : zero, n - k < 4096 ? n - k : 4096),
		           "inode %llu block %llu: content differs", (unsigned long long)i->ino,
		           (unsigned long long)(block + k / 4096));
	}
}

static void compare_content(struct tfs_vol *vol, struct inode *i)
{
	struct page *p;
	u64 block, done = ~0ull;
	s64 at = 0;
	u32 n;

	for (block = 0; block < 80; block += 16)
		compare_window(vol, i, block);
	for (p = i->pages; p; p = p->next)
		if (p->block >= 80 && p->block / 16 != done) {
			done = p->block / 16;
			compare_window(vol, i, done * 16);
		}
	if (i->size)
		compare_window(vol, i, (i->size - 1) / 4096 / 16 * 16);
	for (n = 0; n < 200 && at >= 0; n++) { /* holes are holes; data may hold zeros */
		s64 data = tfs_seek(vol, i->ino, (u64)at, false);

		for (p = i->pages; p; p = p->next)
			FUZZ_CHECK(p->block * 4096 < (u64)at || p->block * 4096 >= i->size ||
			               (data >= 0 && (u64)data <= p->block * 4096),
			           "inode %llu: seek skipped data at block %llu", (unsigned long long)i->ino,
			           (unsigned long long)p->block);
		at = data < 0 ? data : tfs_seek(vol, i->ino, (u64)data, true);
	}
}

static void compare_link(struct tfs_vol *vol, const struct inode *i)
{
	static char got[4096], want[4096];
	int n = tfs_readlink(vol, i->ino, got, sizeof(got));

	memset(want, 'a' + (int)(i->seed % 26), sizeof(want));
	FUZZ_CHECK(n == (int)i->size && !memcmp(got, want, i->size), "inode %llu: target differs",
	           (unsigned long long)i->ino);
}

static void compare_inode(struct tfs_vol *vol, struct inode *i)
{
	compare_attr(vol, i);
	compare_xattrs(vol, i);
	if (i->opaque)
		return;
	if (is_dir(i))
		compare_dir(vol, i);
	else if (is_file(i))
		compare_content(vol, i);
	else if ((i->mode & 0170000) == 0120000)
		compare_link(vol, i);
}

void model_compare(struct tfs_vol *vol, u64 ino)
{
	struct tfs_stat st;
	u32 i;

	if (ino) {
		if (get(ino))
			compare_inode(vol, get(ino));
		return;
	}
	tfs_statfs(vol, &st);
	FUZZ_CHECK(st.inodes == count + hidden && st.next_ino == next_ino,
	           "volume: expected %u inodes, next %llu, found %llu, %llu", count, (unsigned long long)next_ino,
	           (unsigned long long)st.inodes, (unsigned long long)st.next_ino);
	for (i = 0; i < count; i++)
		compare_inode(vol, &inodes[i]);
}
