// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a tree can have wrong although its log could be read: names, kinds, lengths, link counts, extents of a file
 * against each other and of all files and the log against the volume. Only what a name leads to is looked at: removed
 * files stay in a log until it is rebuilt. A tuple that is a directory's names, a file's extents or an extent is that
 * and nothing else: else to mend one thing would change another. Says what it finds and changes nothing. Called by
 * fsck.tfs, dump.tfs and the fuzzers.
 */
#include "tfs/nanos/nanos.h"

struct used {
	u64 start, blocks;
	u32 file, attr, in;
};

struct check {
	struct nanos_vol *vol;
	nanos_found_fn fn;
	void *arg;
	struct used *used;
	u32 useds, useds_max;
	struct nanos_extent *map; /* of the file in hand; object: its attribute */
	u32 maps, maps_max;
	u32 *part; /* by tuple: the attribute whose part it is; 0: of none */
	u32 *queue;
	u8 *met;
};
#define PART_OF_NONE (~0u) /* the root */

static int say(struct check *c, enum nanos_problem p, u32 object, u32 in, u32 attr, u64 expected, u64 found)
{
	const struct nanos_found f = {p, object, attr, in, expected, found, 0};

	return c->fn(c->arg, &f);
}

/* ---- parts: names, extents, each extent ---- */

static u32 attr_of(struct nanos_vol *vol, u32 tuple, const char *name)
{
	const struct nanos_value *v = nanos_find(vol, tuple, name);

	return v ? (u32)((const struct nanos_attr *)v - vol->attr) : 0;
}

/* The tuple that an attribute leads to is its part, or has been another's. */
static bool part_is(struct check *c, u32 attr)
{
	const struct nanos_value *v = &c->vol->attr[attr].v;

	return attr && v->type == NANOS_TUPLE && c->part[v->n] == attr;
}

static bool part_note(struct check *c, u32 attr)
{
	const struct nanos_value *v = &c->vol->attr[attr].v;

	if (attr && v->type == NANOS_TUPLE && !c->part[v->n])
		c->part[v->n] = attr;
	return part_is(c, attr);
}

static int part_say(struct check *c, u32 object, u32 in, u32 attr)
{
	return say(c, NANOS_ROLES, object, in, attr, c->vol->attr[attr].v.n, 0);
}

static void file_parts(struct check *c, u32 file)
{
	u32 extents = attr_of(c->vol, file, "extents");

	if (!part_note(c, extents))
		return;
	for (u32 i = c->vol->entry[c->vol->attr[extents].v.n].first; i; i = c->vol->attr[i].next)
		part_note(c, i);
}

/* Before anything else: who comes first from the root on has the part. */
static void parts_note(struct check *c)
{
	struct nanos_vol *vol = c->vol;
	u32 read = 0, write = 0;

	c->part[1] = PART_OF_NONE;
	c->queue[write++] = 1;
	c->met[1] = 1;
	while (read < write) {
		u32 children = attr_of(vol, c->queue[read++], "children");

		if (!part_note(c, children))
			continue;
		for (u32 i = vol->entry[vol->attr[children].v.n].first; i; i = vol->attr[i].next) {
			u32 node = (u32)vol->attr[i].v.n;

			if (vol->attr[i].v.type != NANOS_TUPLE || c->met[node])
				continue;
			c->met[node] = 1;
			if (nanos_children(vol, node))
				c->queue[write++] = node;
			else if (nanos_node_of(vol, node) == NANOS_FILE)
				file_parts(c, node);
		}
	}
}

/* ---- one file's extents ---- */

static int extent_check(struct check *c, u32 file, u32 extents, u32 attr, struct nanos_extent *e, bool *sound)
{
	struct nanos_vol *vol = c->vol;
	const struct nanos_attr *a = &vol->attr[attr];
	u32 len;
	const u8 *name = nanos_bytes(vol, a->name, &len);

	*sound = false;
	if (a->v.type != NANOS_TUPLE || nanos_decimal(name, len, &e->block) || nanos_extent_of(vol, (u32)a->v.n, e) ||
	    !e->length || e->length > e->allocated || e->length > TFS_FILE_SIZE_MAX / NANOS_BLOCK ||
	    e->block > TFS_FILE_SIZE_MAX / NANOS_BLOCK - e->length)
		return say(c, NANOS_EXTENT, file, extents, attr, 0, 0);
	if (!part_is(c, attr))
		return part_say(c, file, extents, attr);
	if (!e->start || e->start >= vol->blocks || e->allocated > vol->blocks - e->start)
		return say(c, NANOS_RANGE, file, extents, attr, vol->blocks, e->start + e->allocated);
	*sound = true;
	return 0;
}

static int extent_use(struct check *c, u32 file, u32 extents, u32 attr, const struct nanos_extent *e)
{
	int err = nanos_grow(&c->used, &c->useds_max, c->useds + 1ull, sizeof(*c->used));

	if (!err)
		err = nanos_grow(&c->map, &c->maps_max, c->maps + 1ull, sizeof(*c->map));
	if (err)
		return err;
	c->used[c->useds++] = (struct used){e->start, e->allocated, file, attr, extents};
	c->map[c->maps] = *e;
	c->map[c->maps++].object = attr;
	return 0;
}

#define SORTED(name, type, less)                                                                                       \
	static void name(type *e, u32 n)                                                                               \
	{                                                                                                              \
		for (u32 end = n, first = n / 2; end > 1;) {                                                           \
			u32 i;                                                                                         \
			type t;                                                                                        \
                                                                                                                       \
			if (first) {                                                                                   \
				i = --first;                                                                           \
			} else {                                                                                       \
				t = e[--end];                                                                          \
				e[end] = e[0];                                                                         \
				e[0] = t;                                                                              \
				i = 0;                                                                                 \
			}                                                                                              \
			for (u32 k; (k = 2 * i + 1) < end; i = k) {                                                    \
				if (k + 1 < end && less(&e[k], &e[k + 1]))                                             \
					k++;                                                                           \
				if (!less(&e[i], &e[k]))                                                               \
					break;                                                                         \
				t = e[i];                                                                              \
				e[i] = e[k];                                                                           \
				e[k] = t;                                                                              \
			}                                                                                              \
		}                                                                                                      \
	}

static bool map_less(const struct nanos_extent *a, const struct nanos_extent *b)
{
	return a->block != b->block ? a->block < b->block : a->object < b->object;
}
SORTED(map_sort, struct nanos_extent, map_less)

static bool used_less(const struct used *a, const struct used *b)
{
	return a->start != b->start ? a->start < b->start : a->attr < b->attr;
}
SORTED(used_sort, struct used, used_less)

/* Extents of one file that hold the same block, and written ones behind its end. */
static int map_check(struct check *c, u32 file, u32 extents, u64 size)
{
	u64 end = 0, blocks = (size + NANOS_BLOCK - 1) / NANOS_BLOCK;
	int err = 0;

	map_sort(c->map, c->maps);
	for (u32 i = 0; i < c->maps && !err; i++) {
		const struct nanos_extent *e = &c->map[i];

		if (i && e->block < end) {
			err = say(c, NANOS_OVERLAP, file, extents, e->object, end, e->block);
			continue;
		}
		end = e->block + e->length;
		if (!e->uninited && e->block >= blocks)
			err = say(c, NANOS_BEYOND, file, extents, e->object, blocks, e->block);
	}
	return err;
}

static int file_check(struct check *c, u32 file)
{
	struct nanos_vol *vol = c->vol;
	const struct nanos_value *length = nanos_find(vol, file, "filelength");
	u32 attr = attr_of(vol, file, "extents");
	u32 extents = attr && vol->attr[attr].v.type == NANOS_TUPLE ? (u32)vol->attr[attr].v.n : 0;
	struct nanos_extent e;
	u64 size = 0;
	bool sound;
	int err = 0;

	c->maps = 0;
	if (!length) /* not yet: the kernel logs it after the extents */
		size = TFS_FILE_SIZE_MAX;
	else if (nanos_number(vol, length, &size) || size > TFS_FILE_SIZE_MAX)
		err = say(c, NANOS_LENGTH, file, 0, 0, TFS_FILE_SIZE_MAX, size);
	if (!err && attr && !extents)
		err = say(c, NANOS_EXTENT, file, 0, 0, 0, 0);
	if (!err && extents && !part_is(c, attr)) {
		err = part_say(c, file, file, attr);
		extents = 0;
	}
	for (u32 i = extents ? vol->entry[extents].first : 0; i && !err; i = vol->attr[i].next) {
		if (vol->attr[i].v.type == NANOS_NONE)
			continue;
		err = extent_check(c, file, extents, i, &e, &sound);
		if (!err && sound)
			err = extent_use(c, file, extents, i, &e);
	}
	return err ? err : map_check(c, file, extents, size);
}

/* ---- other nodes ---- */

static int link_check(struct check *c, u32 node)
{
	u32 len;
	const u8 *p = nanos_bytes(c->vol, nanos_find(c->vol, node, "linktarget")->n, &len);
	bool nul = false;

	for (u32 i = 0; i < len; i++)
		nul |= !p[i];
	return !len || len > TFS_SYMLINK_MAX || nul ? say(c, NANOS_TARGET, node, 0, 0, TFS_SYMLINK_MAX, len) : 0;
}

static int times_check(struct check *c, u32 node)
{
	static const char *const names[] = {"mtime", "atime"};
	int err = 0;

	for (u32 i = 0; i < 2 && !err; i++) {
		u32 attr = attr_of(c->vol, node, names[i]);
		u64 time;

		if (attr && nanos_number(c->vol, &c->vol->attr[attr].v, &time))
			err = say(c, NANOS_TIME, node, node, attr, 0, 0);
	}
	return err;
}

static int node_check(struct check *c, u32 node)
{
	const struct nanos_value *v = nanos_find(c->vol, node, "nlink");
	u64 stated = 0;
	int err = 0;

	switch (nanos_node_of(c->vol, node)) {
	case NANOS_FILE:
		err = file_check(c, node);
		break;
	case NANOS_LINK:
		err = link_check(c, node);
		break;
	case NANOS_NO_NODE:
		return say(c, NANOS_UNKNOWN, node, 0, 0, 0, 0);
	default:
		break;
	}
	if (!err)
		err = times_check(c, node);
	if (err || nanos_children(c->vol, node))
		return err;
	if (v ? nanos_number(c->vol, v, &stated) || stated != c->vol->entry[node].links : c->vol->entry[node].links > 1)
		err = say(c, NANOS_NLINK, node, 0, 0, c->vol->entry[node].links, stated);
	return err;
}

/* ---- names ---- */

static int names_check(struct check *c, u32 dir, u32 *write)
{
	struct nanos_vol *vol = c->vol;
	u32 names = nanos_children(vol, dir), children = attr_of(vol, dir, "children"), len;
	int err = 0;

	if (!part_is(c, children))
		return part_say(c, dir, dir, children);
	for (u32 i = vol->entry[names].first; i && !err; i = vol->attr[i].next) {
		const struct nanos_attr *a = &vol->attr[i];
		const u8 *name = nanos_bytes(vol, a->name, &len);
		u32 node = (u32)a->v.n;

		if (a->v.type == NANOS_NONE)
			continue;
		if (!nanos_name_valid(name, len)) {
			/* the kernel keeps the way up in memory; one that got into the log does no harm there */
			err = say(c, NANOS_NAME, dir, names, i, TFS_NAME_MAX, len);
		} else if (a->v.type != NANOS_TUPLE) {
			err = say(c, NANOS_ENTRY, dir, names, i, NANOS_TUPLE, a->v.type);
		} else if (c->part[node] && node != 1) {
			err = part_say(c, dir, names, i);
		} else if (!c->met[node]) {
			c->met[node] = 1;
			if (nanos_children(vol, node))
				c->queue[(*write)++] = node;
			err = node_check(c, node);
		} else if (nanos_children(vol, node)) {
			err = say(c, NANOS_DIR_TWICE, dir, names, i, node, 0);
		}
	}
	return err;
}

static int tree_check(struct check *c)
{
	u32 n = c->vol->entries, read = 0, write = 0;
	int err = 0;

	c->queue = tfs_port_alloc(n * sizeof(*c->queue));
	c->part = tfs_port_alloc(n * sizeof(*c->part));
	c->met = tfs_port_alloc(n);
	if (!c->queue || !c->part || !c->met)
		return -ENOMEM;
	memset(c->part, 0, n * sizeof(*c->part));
	memset(c->met, 0, n);
	parts_note(c);
	memset(c->met, 0, n);
	c->queue[write++] = 1;
	c->met[1] = 1;
	err = times_check(c, 1);
	while (!err && read < write)
		err = names_check(c, c->queue[read++], &write);
	return err;
}

/* ---- the volume's blocks: the log's first, then whose extent begins first keeps them ---- */

static int used_log(struct check *c)
{
	int err = nanos_grow(&c->used, &c->useds_max, c->useds + (u64)c->vol->exts, sizeof(*c->used));

	for (u32 i = 0; !err && i < c->vol->exts; i++)
		c->used[c->useds++] = (struct used){.start = c->vol->ext[i].start, .blocks = c->vol->ext[i].blocks};
	return err;
}

static u64 end_of(const struct used *u)
{
	return u->start + u->blocks;
}

static int used_say(struct check *c, const struct used *keeps, const struct used *goes)
{
	const struct nanos_found f = {NANOS_TWICE,  goes->file,  goes->attr, goes->in,
	                              keeps->start, goes->start, keeps->file};

	return c->fn(c->arg, &f);
}

static int used_check(struct check *c)
{
	const struct used *last = NULL;
	int err = used_log(c);

	used_sort(c->used, c->useds);
	for (u32 i = 0; i < c->useds && !err; i++) {
		const struct used *u = &c->used[i];

		if (!last || u->start >= end_of(last)) {
			last = u;
		} else if (u->file) {
			err = used_say(c, last, u);
		} else { /* the log's place is the log's */
			err = used_say(c, u, last);
			last = u;
		}
	}
	return err;
}

int nanos_check(struct nanos_vol *vol, nanos_found_fn fn, void *arg)
{
	struct check c = {.vol = vol, .fn = fn, .arg = arg};
	int err;

	if (vol->entries < 2 || vol->entry[1].kind != NANOS_IS_TUPLE || !nanos_children(vol, 1))
		return say(&c, NANOS_ROOT, 1, 0, 0, 0, 0);
	err = nanos_links(vol);
	if (!err)
		err = tree_check(&c);
	if (!err)
		err = used_check(&c);
	tfs_port_free(c.used);
	tfs_port_free(c.map);
	tfs_port_free(c.queue);
	tfs_port_free(c.part);
	tfs_port_free(c.met);
	return err;
}
