// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An independent model of names, attributes and xattrs: a plain tree in memory that knows no core code. It starts from
 * what a mounted volume shows (model_load); from then on ops.c tells it each call and what the core answered. It says
 * which errno Linux semantics ask for, makes the change when the call succeeded, and its hash must equal that of the
 * live volume after every step (state.c): so the live volume is not the oracle of itself. Contents are ops.c's flat
 * buffers.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

#define S_TYPE 0170000u
#define S_DIR 0040000u
#define S_REG 0100000u
#define S_LNK 0120000u

struct entry {
	struct entry *next;
	u64 ino;
	u8 type, len;
	char name[POWER_NAME_MAX];
};
struct attribute {
	struct attribute *next;
	u64 hash; /* of name and value */
	char name[16];
};
struct node {
	struct node *next; /* all */
	struct tfs_attr a;
	struct entry *entries;
	struct attribute *xattrs;
	struct power_ship ship;
	u64 origin; /* of an orphan: whose lines it holds */
	u64 named;  /* hash of its newest name and where that is; 0: not known */
	char target[64];
};
#define RULES 8
static struct rule {
	u64 rule, ino;
	char pattern[16];
} rules[RULES], rules_kept[RULES];
static u32 rule_count, rules_kept_count;

#define BUCKETS 256
static struct node *nodes[BUCKETS], *kept[BUCKETS]; /* by ino */
struct tfs_time model_now;                          /* what the environment gave last */
u64 model_random;

static struct node *get(u64 ino)
{
	struct node *n = nodes[ino % BUCKETS];

	while (n && n->a.ino != ino)
		n = n->next;
	return n;
}

static struct node *add(u64 ino)
{
	struct node *n = calloc(1, sizeof(*n));

	n->a.ino = ino;
	n->next = nodes[ino % BUCKETS];
	nodes[ino % BUCKETS] = n;
	return n;
}

static void node_free(struct node *n)
{
	while (n->entries) {
		struct entry *e = n->entries;

		n->entries = e->next;
		free(e);
	}
	while (n->xattrs) {
		struct attribute *x = n->xattrs;

		n->xattrs = x->next;
		free(x);
	}
	free(n);
}

static void clear(struct node **table)
{
	u32 i;

	for (i = 0; i < BUCKETS; i++)
		while (table[i]) {
			struct node *n = table[i];

			table[i] = n->next;
			node_free(n);
		}
}

static void *copy(const void *data, size_t bytes)
{
	return memcpy(malloc(bytes), data, bytes);
}

static struct node *node_copy(const struct node *from)
{
	struct node *n = copy(from, sizeof(*n));
	struct entry **e;
	struct attribute **x;

	for (e = &n->entries; *e; e = &(*e)->next)
		*e = copy(*e, sizeof(**e));
	for (x = &n->xattrs; *x; x = &(*x)->next)
		*x = copy(*x, sizeof(**x));
	return n;
}

static void table_copy(struct node **to, struct node **from)
{
	struct node **n;
	u32 i;

	clear(to);
	for (i = 0; i < BUCKETS; i++) {
		to[i] = from[i];
		for (n = &to[i]; *n; n = &(*n)->next)
			*n = node_copy(*n);
	}
}

void model_keep(void)
{
	memcpy(rules_kept, rules, sizeof(rules));
	rules_kept_count = rule_count;
	table_copy(kept, nodes);
}

void model_back(void)
{
	memcpy(rules, rules_kept, sizeof(rules));
	rule_count = rules_kept_count;
	table_copy(nodes, kept);
}

static bool is_dir(const struct node *n)
{
	return (n->a.mode & S_TYPE) == S_DIR;
}

static struct entry **entry_at(struct node *dir, const char *name, u32 len)
{
	struct entry **e = &dir->entries;

	while (*e && ((*e)->len != len || memcmp((*e)->name, name, len)))
		e = &(*e)->next;
	return e;
}

static void entry_add(struct node *dir, const char *name, u32 len, u64 ino, u32 mode)
{
	struct entry *e = calloc(1, sizeof(*e));

	e->ino = ino;
	e->type = (u8)(mode >> 12);
	e->len = (u8)len;
	memcpy(e->name, name, len < sizeof(e->name) ? len : sizeof(e->name));
	e->next = dir->entries;
	dir->entries = e;
}

/* A name given now: the inode's newest. */
static void entry_give(struct node *dir, const char *name, u32 len, struct node *n)
{
	entry_add(dir, name, len, n->a.ino, n->a.mode);
	n->named = power_name_mix(dir->a.ino, name, len);
}

static void entry_drop(struct node *dir, const char *name, u32 len)
{
	struct entry **at = entry_at(dir, name, len), *e = *at;

	*at = e->next;
	free(e);
}

static struct attribute **xattr_at(struct node *n, const char *name)
{
	struct attribute **x = &n->xattrs;

	while (*x && strcmp((*x)->name, name))
		x = &(*x)->next;
	return x;
}

/* ---- where it starts ---- */

static int load_entry(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	(void)next;
	entry_add(arg, name, len, ino, (u32)type << 12);
	return 0;
}

static void load_xattrs(struct tfs_vol *vol, struct node *n)
{
	static char names[4096], value[65536];
	int len = tfs_listxattr(vol, n->a.ino, names, sizeof(names)), i, got;

	for (i = 0; i < len; i += (int)strlen(names + i) + 1) {
		struct attribute *x = calloc(1, sizeof(*x));

		got = tfs_getxattr(vol, n->a.ino, names + i, (u32)strlen(names + i), value, sizeof(value));
		snprintf(x->name, sizeof(x->name), "%s", names + i);
		x->hash = power_mix(power_mix(1, names + i, strlen(names + i)), value, got < 0 ? 0 : (size_t)got);
		x->next = n->xattrs;
		n->xattrs = x;
	}
}

static void load(struct tfs_vol *vol, u64 ino)
{
	struct node *n = add(ino);
	struct entry *e;
	u64 pos = 0;

	tfs_getattr(vol, ino, &n->a);
	power_name_load(vol, ino, &n->named);
	load_xattrs(vol, n);
	power_ship_load(vol, ino, &n->ship);
	if ((n->a.mode & S_TYPE) == S_LNK)
		tfs_readlink(vol, ino, n->target, sizeof(n->target) - 1);
	if (!is_dir(n))
		return;
	tfs_readdir(vol, ino, &pos, load_entry, n);
	for (e = n->entries; e; e = e->next)
		if (!get(e->ino))
			load(vol, e->ino);
}

static void load_rules(struct tfs_vol *vol)
{
	static struct tfs_ship_rule_info info;
	u64 rule = 0;

	for (rule_count = 0; rule_count < RULES && !tfs_ship_rule_next(vol, &rule, &info); rule++) {
		struct rule *r = &rules[rule_count++];

		*r = (struct rule){.rule = rule, .ino = info.ino};
		memcpy(r->pattern, info.pattern, info.pattern_len < 15 ? info.pattern_len : 15);
	}
}

/* Orphans that hold lines which were cut off a file: no name leads to them. */
static void load_copies(struct tfs_vol *vol, u64 rule)
{
	struct tfs_ship_file f;
	u64 ino = 0;

	for (; !tfs_ship_file_next(vol, rule, &ino, ~0u, &f); ino = f.ino + 1)
		if (f.origin != f.ino && !get(f.ino)) {
			load(vol, f.ino);
			get(f.ino)->origin = f.origin;
		}
}

void model_load(struct tfs_vol *vol)
{
	u32 i;

	clear(nodes);
	load_rules(vol);
	load(vol, TFS_INO_ROOT);
	for (i = 0; i < rule_count; i++)
		load_copies(vol, rules[i].rule);
}

/* ---- the hash, as check.c makes it of a volume ---- */

static u64 node_hash(struct node *n)
{
	struct tfs_attr a = n->a;
	struct attribute *x;
	u64 h = n->a.ino, sum = 0;

	a.blocks = 0;
	a.flags = 0;
	h = power_mix(h, &a, sizeof(a));
	h = power_mix(h, &n->named, 8);
	for (x = n->xattrs; x; x = x->next)
		sum += x->hash;
	h = power_mix(h, &sum, 8);
	h = power_ship_mix(h, &n->ship);
	if ((a.mode & S_TYPE) == S_REG)
		h = power_content_mix(h, &a);
	if ((a.mode & S_TYPE) == S_LNK)
		h = power_mix(h, n->target, strlen(n->target));
	return h;
}

static u64 dir_hash(struct node *dir, u32 depth)
{
	struct entry *e;
	u64 sum = 0;

	for (e = dir->entries; e; e = e->next) {
		struct node *n = get(e->ino);
		u64 h = power_mix(dir->a.ino * 31 + e->type, e->name, e->len) * 3 + (n ? node_hash(n) : 0);

		sum += h * h + h;
		if (n && is_dir(n) && depth < 100)
			sum += dir_hash(n, depth + 1);
	}
	return sum;
}

u64 model_hash(void)
{
	struct node *root = get(TFS_INO_ROOT);
	u64 sum = 0;
	u32 i;

	for (i = 0; i < rule_count; i++)
		sum += power_rule_mix(rules[i].rule, rules[i].ino, rules[i].pattern, (u32)strlen(rules[i].pattern));
	return node_hash(root) + dir_hash(root, 0) + sum;
}

/* ---- calls ---- */

/* Does the core's answer fit? What only the core can know (space, memory, device) counts as failed. True: do it. */
static bool agree(const char *call, int expected, int got)
{
	char text[100];

	if (got == -ENOSPC || got == -ENOMEM || got == -EIO || got == -EROFS)
		return false;
	if (got != expected) {
		snprintf(text, sizeof(text), "expected %d, found %d", expected, got);
		power_fail(call, text);
	}
	return !got && !expected;
}

/* Of a call that frees space: it never wants for some, but for what snapshots hold. */
static bool agree_freeing(const char *call, int expected, int got)
{
	if (got == -ENOSPC && !power_snapshots())
		power_fail(call, "what frees space finds none");
	return agree(call, expected, got);
}

static int dir_check(u64 ino, bool alive)
{
	struct node *n = get(ino);

	if (!n)
		return -ENOENT;
	if (!is_dir(n))
		return -ENOTDIR;
	return alive && !n->a.nlink ? -ENOENT : 0;
}

static void touch(struct node *n)
{
	n->a.ctime = model_now;
}

static void dir_touch(struct node *dir, int entries, int subdirs)
{
	dir->a.size += (u64)(s64)entries;
	dir->a.nlink += (u32)subdirs;
	dir->a.mtime = dir->a.ctime = model_now;
}

/* ---- log forwarding ---- */

static bool fits(const char *p, const char *name, u32 len)
{
	if (!*p)
		return !len;
	if (*p == '*')
		return fits(p + 1, name, len) || (len && fits(p, name + 1, len - 1));
	return len && (*p == '?' || *p == *name) && fits(p + 1, name + 1, len - 1);
}

static void cursor_set(struct power_ship *s, u64 rule, u64 acked)
{
	u32 i = 0;

	while (i < s->cursors && s->rule[i] < rule)
		i++;
	if (i == s->cursors || s->rule[i] != rule) {
		memmove(s->rule + i + 1, s->rule + i, (s->cursors - i) * sizeof(u64));
		memmove(s->acked + i + 1, s->acked + i, (s->cursors - i) * sizeof(u64));
		s->cursors++;
	}
	s->there = true;
	s->rule[i] = rule;
	s->acked[i] = acked;
}

static bool has_rule(const struct power_ship *s, u64 rule)
{
	u32 i = 0;

	while (i < s->cursors && s->rule[i] != rule)
		i++;
	return i < s->cursors;
}

static bool shippable(const struct node *n)
{
	return n && (is_dir(n) || (n->a.mode & S_TYPE) == S_REG);
}

/* A directory's rules come with a name in it. */
static void inherit(struct node *n, const struct node *dir, const char *name, u32 len)
{
	u32 i, j;

	for (i = 0; shippable(n) && i < dir->ship.cursors; i++)
		for (j = 0; j < rule_count; j++)
			if (rules[j].rule == dir->ship.rule[i] && !has_rule(&n->ship, rules[j].rule) &&
			    (is_dir(n) || !*rules[j].pattern || fits(rules[j].pattern, name, len)))
				cursor_set(&n->ship, rules[j].rule, 0);
}

static void cursors_move(struct power_ship *s, u64 from, u64 to)
{
	u32 i;

	for (i = 0; i < s->cursors; i++) {
		if (s->acked[i] < from)
			s->acked[i] = from;
		if (s->acked[i] > to)
			s->acked[i] = to;
	}
}

static void shrunk(struct node *n, u64 size)
{
	n->ship.generation += n->ship.there;
	cursors_move(&n->ship, 0, size);
}

static u64 lowest(const struct power_ship *s)
{
	u64 low = ~0ull;
	u32 i;

	for (i = 0; i < s->cursors; i++)
		low = s->acked[i] < low ? s->acked[i] : low;
	return low;
}

bool model_lines(u64 ino, bool punch, u64 *from, u64 *to)
{
	struct node *n = get(ino);
	u64 low = n ? lowest(&n->ship) : 0;

	if (!n || (n->a.mode & S_TYPE) != S_REG || *from >= n->a.size || low >= n->a.size)
		return false;
	if (*to > n->a.size)
		*to = n->a.size;
	if (punch || low > *from)
		*from = low;
	return *from < *to;
}

void model_lines_cut(u64 ino, u64 copy, u64 from, u64 to)
{
	struct node *n = get(ino), *c = add(copy);

	c->a = n->a;
	c->a.ino = copy;
	c->a.nlink = 0;
	c->a.size = to;
	c->ship = n->ship;
	c->origin = ino;
	cursors_move(&c->ship, from, to);
}

u64 model_size(u64 ino)
{
	return get(ino)->a.size;
}

u64 model_copy(u64 ino, u32 generation)
{
	struct node *n;
	u32 b;

	for (b = 0; b < BUCKETS; b++)
		for (n = nodes[b]; n; n = n->next)
			if (n->origin == ino && n->ship.generation == generation)
				return n->a.ino;
	return 0;
}

static u64 within(const struct node *n, u64 acked)
{
	u64 end = is_dir(n) ? 0 : n->a.size;

	return acked < end ? acked : end;
}

static int rule_check(u64 rule)
{
	u32 i = 0;

	while (i < rule_count && rules[i].rule != rule)
		i++;
	return i < rule_count ? 0 : -ENOENT;
}

u32 model_rules(u64 *oldest)
{
	*oldest = rule_count ? rules[0].rule : 0;
	return rule_count;
}

u64 model_unsent(u64 ino, struct tfs_attr *a)
{
	struct node *n = get(ino);
	u64 low = n ? lowest(&n->ship) : 0;

	if (!n || n->a.nlink || (n->a.mode & S_TYPE) != S_REG)
		return 0;
	*a = n->a;
	return low < a->size ? low + 1 : 0;
}

void model_ship_add(u64 ino, const char *pattern, u64 acked, u64 rule, int got)
{
	struct node *n = get(ino);
	struct rule *r = &rules[rule_count];

	if (!agree("ship add", !n || !n->a.nlink ? -ENOENT : shippable(n) ? 0 : -EINVAL, got))
		return;
	if (rule_count == RULES || get(rule) || !rule_check(rule))
		power_fail("ship add", "a number is used twice, or there are too many rules");
	*r = (struct rule){.rule = rule, .ino = ino};
	snprintf(r->pattern, sizeof(r->pattern), "%s", pattern);
	rule_count++;
	cursor_set(&n->ship, rule, within(n, acked));
}

void model_ship_remove(u64 rule, int got)
{
	u32 i, j, b;
	struct node *n;

	if (!agree_freeing("ship remove", rule_check(rule), got))
		return;
	for (i = 0; rules[i].rule != rule; i++)
		;
	memmove(rules + i, rules + i + 1, (--rule_count - i) * sizeof(rules[0]));
	for (b = 0; b < BUCKETS; b++)
		for (n = nodes[b]; n; n = n->next)
			for (j = 0; j < n->ship.cursors; j++)
				if (n->ship.rule[j] == rule) {
					n->ship.cursors--;
					memmove(n->ship.rule + j, n->ship.rule + j + 1, (n->ship.cursors - j) * 8);
					memmove(n->ship.acked + j, n->ship.acked + j + 1, (n->ship.cursors - j) * 8);
				}
}

void model_ship_mark(u64 ino, u64 rule, u64 acked, int got)
{
	struct node *n = get(ino);

	if (agree("ship mark",
	          rule_check(rule) || !n || !n->a.nlink ? -ENOENT
	          : shippable(n)                        ? 0
	                                                : -EINVAL,
	          got) &&
	    !has_rule(&n->ship, rule))
		cursor_set(&n->ship, rule, within(n, acked));
}

void model_ship_acked(u64 ino, u64 rule, u32 generation, u64 acked, int got)
{
	struct node *n = get(ino);
	int expected = rule_check(rule) || !n ? -ENOENT : shippable(n) ? 0 : -EINVAL;
	u32 i;

	if (!expected && (is_dir(n) || !has_rule(&n->ship, rule)))
		expected = -ENOENT;
	if (!expected)
		expected = n->ship.generation != generation ? -ESTALE : acked > n->a.size ? -EINVAL : 0;
	if (!agree_freeing("ship acked", expected, got))
		return;
	for (i = 0; n->ship.rule[i] != rule; i++)
		;
	if (acked > n->ship.acked[i])
		n->ship.acked[i] = acked;
}

/* ---- names ---- */

void model_create(u64 parent, const char *name, u32 len, const struct tfs_create *c, u64 ino, int got)
{
	int expected = dir_check(parent, true);
	struct node *dir = get(parent), *n;
	bool subdir = (c->mode & S_TYPE) == S_DIR;

	if (!expected && len && *entry_at(dir, name, len))
		expected = -EEXIST;
	if (!agree("create", expected, got))
		return;
	if (get(ino))
		power_fail("create", "an inode number is used twice");
	n = add(ino);
	n->a = (struct tfs_attr){.ino = ino,
	                         .mode = c->mode,
	                         .uid = c->uid,
	                         .gid = c->gid,
	                         .size = c->target_len,
	                         .rdev_major = c->rdev_major,
	                         .rdev_minor = c->rdev_minor,
	                         .codec = dir->a.codec,
	                         .codec_level = dir->a.codec_level,
	                         .window_bits = dir->a.window_bits,
	                         .generation = (u32)model_random,
	                         .parent = subdir ? parent : 0,
	                         .nlink = !len     ? 0
	                                  : subdir ? 2
	                                           : 1,
	                         .atime = model_now,
	                         .mtime = model_now,
	                         .ctime = model_now,
	                         .btime = model_now};
	if (c->target_len)
		memcpy(n->target, c->target, c->target_len);
	if (!len)
		return;
	entry_give(dir, name, len, n);
	dir_touch(dir, 1, subdir);
	inherit(n, dir, name, len);
}

void model_link(u64 ino, u64 parent, const char *name, u32 len, int got)
{
	struct node *n = get(ino), *dir = get(parent);
	int expected = n ? dir_check(parent, true) : -ENOENT;

	if (!expected && *entry_at(dir, name, len))
		expected = -EEXIST;
	if (!expected && is_dir(n))
		expected = -EPERM;
	if (!agree("link", expected, got))
		return;
	n->a.nlink++;
	touch(n);
	entry_give(dir, name, len, n);
	dir_touch(dir, 1, 0);
	inherit(n, dir, name, len);
}

/* An inode lost a name; a directory loses all. */
static void unlinked(struct node *n, struct node *dir, const char *name, u32 len)
{
	if (n->named == power_name_mix(dir->a.ino, name, len))
		n->named = 0;
	n->a.nlink = is_dir(n) ? 0 : n->a.nlink - 1;
	touch(n);
}

void model_unlink(u64 parent, const char *name, u32 len, bool want_dir, int got)
{
	struct node *dir = get(parent), *n = NULL;
	int expected = dir_check(parent, false);

	if (!expected) {
		struct entry *e = *entry_at(dir, name, len);

		n = e ? get(e->ino) : NULL;
		expected = !n ? -ENOENT : 0;
	}
	if (!expected && want_dir != is_dir(n))
		expected = want_dir ? -ENOTDIR : -EISDIR;
	if (!expected && want_dir && n->entries)
		expected = -ENOTEMPTY;
	if (!agree_freeing("unlink", expected, got))
		return;
	entry_drop(dir, name, len);
	dir_touch(dir, -1, is_dir(n) ? -1 : 0);
	unlinked(n, dir, name, len);
}

static bool above(u64 ino, u64 dir)
{
	u32 depth;

	for (depth = 0; depth < 1000; depth++) {
		if (ino == dir)
			return true;
		if (dir == TFS_INO_ROOT || !get(dir))
			return false;
		dir = get(dir)->a.parent;
	}
	return true;
}

static int rename_expect(u64 from, u64 to, const struct node *n, const struct node *over, u32 flags)
{
	bool exchange = flags & TFS_RENAME_EXCHANGE;

	if (flags & TFS_RENAME_NOREPLACE && over)
		return -EEXIST;
	if (exchange && !over)
		return -ENOENT;
	if (is_dir(n) && above(n->a.ino, to))
		return -EINVAL;
	if (over && is_dir(over) && above(over->a.ino, from))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (exchange || !over)
		return 0;
	if (is_dir(n) != is_dir(over))
		return is_dir(n) ? -ENOTDIR : -EISDIR;
	return is_dir(over) && over->entries ? -ENOTEMPTY : 0;
}

static void model_whiteout(struct node *dir, const char *name, u32 len, u64 ino)
{
	struct node *n = add(ino);

	n->a = (struct tfs_attr){.ino = ino,
	                         .mode = 0020000,
	                         .nlink = 1,
	                         .codec = dir->a.codec,
	                         .window_bits = dir->a.window_bits,
	                         .atime = model_now,
	                         .mtime = model_now,
	                         .ctime = model_now,
	                         .btime = model_now};
	entry_give(dir, name, len, n);
	dir_touch(dir, 1, 0);
}

static void exchange(struct node *from, struct entry *x, struct node *to, struct entry *y)
{
	struct node *n = get(x->ino), *o = get(y->ino);
	u64 ino = x->ino;
	u8 type = x->type;

	x->ino = y->ino;
	x->type = y->type;
	y->ino = ino;
	y->type = type;
	dir_touch(from, 0, (int)is_dir(o) - (int)is_dir(n));
	dir_touch(to, 0, (int)is_dir(n) - (int)is_dir(o));
	touch(n);
	touch(o);
	if (is_dir(n))
		n->a.parent = to->a.ino;
	if (is_dir(o))
		o->a.parent = from->a.ino;
	n->named = power_name_mix(to->a.ino, y->name, y->len);
	o->named = power_name_mix(from->a.ino, x->name, x->len);
	inherit(n, to, y->name, y->len);
	inherit(o, from, x->name, x->len);
}

void model_rename(u64 from, const char *a, u32 a_len, u64 to, const char *b, u32 b_len, u32 flags, u64 whiteout,
                  int got)
{
	struct node *df = get(from), *dt = get(to), *n = NULL, *over = NULL;
	int expected = dir_check(to, true);
	struct entry *x = NULL, *y = NULL;

	if (!expected)
		expected = dir_check(from, false);
	if (!expected) {
		x = *entry_at(df, a, a_len);
		y = *entry_at(dt, b, b_len);
		n = x ? get(x->ino) : NULL;
		over = y ? get(y->ino) : NULL;
		expected = n ? rename_expect(from, to, n, over, flags) : -ENOENT;
	}
	if (!agree("rename", expected, got) || n == over)
		return;
	if (flags & TFS_RENAME_EXCHANGE) {
		exchange(df, x, dt, y);
		return;
	}
	if (over) {
		entry_drop(dt, b, b_len);
		dir_touch(dt, -1, is_dir(over) ? -1 : 0);
		unlinked(over, dt, b, b_len);
	}
	entry_drop(df, a, a_len);
	dir_touch(df, -1, is_dir(n) ? -1 : 0);
	entry_give(dt, b, b_len, n);
	dir_touch(dt, 1, is_dir(n));
	touch(n);
	if (is_dir(n))
		n->a.parent = to;
	inherit(n, dt, b, b_len);
	if (flags & TFS_RENAME_WHITEOUT)
		model_whiteout(df, a, a_len, whiteout);
}

static int file_check(const struct node *n)
{
	if (!n)
		return -ENOENT;
	return is_dir(n) ? -EISDIR : (n->a.mode & S_TYPE) != S_REG ? -EINVAL : 0;
}

void model_write(u64 ino, u64 size, const struct tfs_time *mtime, int got)
{
	struct node *n = get(ino);

	if (!agree("write", file_check(n), got))
		return;
	if (size > n->a.size)
		n->a.size = size;
	if (!mtime)
		return;
	n->a.mtime = *mtime;
	if (tfs_le64(n->a.ctime.sec) < tfs_le64(mtime->sec) ||
	    (n->a.ctime.sec == mtime->sec && tfs_le32(n->a.ctime.nsec) < tfs_le32(mtime->nsec)))
		n->a.ctime = *mtime; /* never back */
}

void model_truncate(u64 ino, u64 size, int got)
{
	struct node *n = get(ino);

	if (!(n && size <= n->a.size ? agree_freeing : agree)("truncate", file_check(n), got))
		return;
	if (size < n->a.size)
		shrunk(n, size);
	n->a.size = size;
	n->a.mtime = n->a.ctime = model_now;
}

void model_punch(u64 ino, u64 from, u64 to, int got)
{
	struct node *n = get(ino);

	if (!agree_freeing("punch", file_check(n), got))
		return;
	n->a.mtime = n->a.ctime = model_now;
	if (!model_lines(ino, true, &from, &to))
		return;
	n->ship.generation++;
	cursors_move(&n->ship, to, n->a.size);
}

void model_preallocate(u64 ino, u64 size, int got)
{
	struct node *n = get(ino);

	if (!agree("preallocate", file_check(n), got))
		return;
	if (size > n->a.size) {
		n->a.size = size;
		n->a.mtime = model_now;
	}
	touch(n);
}

void model_setattr(u64 ino, u32 mask, const struct tfs_attr *a, int got)
{
	struct node *n = get(ino);

	if (!agree("setattr", n ? 0 : -ENOENT, got))
		return;
	touch(n);
	if (mask & TFS_SET_MODE)
		n->a.mode = (n->a.mode & S_TYPE) | (a->mode & 07777);
	if (mask & TFS_SET_UID)
		n->a.uid = a->uid;
	if (mask & TFS_SET_GID)
		n->a.gid = a->gid;
	if (mask & TFS_SET_ATIME)
		n->a.atime = a->atime;
	if (mask & TFS_SET_MTIME)
		n->a.mtime = a->mtime;
	if (mask & TFS_SET_FLAGS)
		n->a.user_flags = a->user_flags;
	if (mask & TFS_SET_CODEC) {
		n->a.codec = a->codec;
		n->a.codec_level = a->codec_level;
		n->a.window_bits = a->window_bits;
	}
}

/* value NULL: removed */
void model_xattr(u64 ino, const char *name, const void *value, u32 len, int got)
{
	struct node *n = get(ino);
	struct attribute **at = n ? xattr_at(n, name) : NULL, *x = at ? *at : NULL;

	if (!agree("xattr", !n ? -ENOENT : !value && !x ? -ENODATA : 0, got))
		return;
	touch(n);
	if (!value) {
		*at = x->next;
		free(x);
		return;
	}
	if (!x) {
		x = calloc(1, sizeof(*x));
		snprintf(x->name, sizeof(x->name), "%s", name);
		x->next = n->xattrs;
		n->xattrs = x;
	}
	x->hash = power_mix(power_mix(1, name, strlen(name)), value, len);
}
