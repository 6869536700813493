// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * find: names by pattern, type or inode number, and --addr: what uses a place of the device. A place is looked for in
 * all that can name one: fixed places, the checkpoint, log runs, nodes of every tree, extents and large xattrs, gangs
 * included; a file found so is shown with its names.
 */
#include "fsck/dump.h"

#include <fnmatch.h>
#include <stdlib.h>

/* ---- by name ---- */

static char type_letter(u32 mode)
{
	static const char letters[] = "?pc?d?b?f?l?s???";

	return letters[mode >> 12 & 15];
}

static int find_entry(void *arg, const struct dump_entry *e)
{
	struct dump *d = arg;

	if ((!d->glob || !fnmatch(d->glob, e->name, 0)) && (!d->types || strchr(d->types, type_letter(e->attr.mode))) &&
	    (!d->by_ino || e->attr.ino == d->ino))
		dump_attr_line(d, e, *e->path ? e->path : "/");
	return ferror(stdout) ? DUMP_HOST : 0;
}

int dump_cmd_find(struct dump *d)
{
	struct dump_walk_ops ops = {.entry = find_entry};

	if (d->by_addr)
		return dump_find_addr(d);
	return dump_walk(d, d->args ? d->arg[0] : NULL, &ops, d);
}

/* ---- by place ---- */

struct place {
	struct dump *d;
	u64 unit;
	u64 found;
	u64 *hit; /* inodes that use it, ascending as the tree is */
	size_t hits, cap;
	int err;
};

static bool covers(const struct place *p, u64 addr, u64 units)
{
	return p->unit >= addr && p->unit - addr < units;
}

static void begin(struct place *p, struct tfs_line *l, const char *use)
{
	p->found++;
	dump_begin(p->d, l, 0, use);
	tfs_line_num(l, "addr", p->unit);
}

static void say(struct place *p, const char *use)
{
	struct tfs_line l;

	begin(p, &l, use);
	tfs_line_end(&l);
}

/* Does the pointer's content, or the gang block that lists it, lie there? */
static bool ptr_covers(struct place *p, const struct tfs_ptr *ptr)
{
	static u8 block[TFS_BLOCK];
	const struct tfs_gang *g = (const struct tfs_gang *)block;
	u64 volume = tfs_le64(p->d->super.head.volume);

	if (!(ptr->flags & TFS_PTR_GANG))
		return covers(p, ptr->addr, ptr->len);
	if (covers(p, ptr->addr, TFS_UNITS_PER_BLOCK))
		return true;
	if (dump_read(p->d, ptr->addr, TFS_UNITS_PER_BLOCK, block) ||
	    dump_head_check(block, TFS_BT_GANG, volume, TFS_BLOCK))
		return false;
	for (u32 i = 0; i < tfs_le32(g->count) && i < TFS_GANG_RUNS; i++)
		if (covers(p, tfs_le64(g->run[i].addr), tfs_le32(g->run[i].len)))
			return true;
	return false;
}

static void hit_add(struct place *p, u64 ino)
{
	u64 *more;

	if (p->hits && p->hit[p->hits - 1] == ino)
		return;
	if (p->hits == p->cap) {
		more = realloc(p->hit, (2 * p->cap + 16) * sizeof(*more));
		if (!more) {
			p->err = tfs_cli_fail(DUMP_HOST, p->d->image, "out of memory");
			return;
		}
		p->hit = more;
		p->cap = 2 * p->cap + 16;
	}
	p->hit[p->hits++] = ino;
}

static void leaf_look(struct place *p, const struct tfs_node_info *info)
{
	const u8 *node = info->node;
	const struct tfs_slot *s = (const struct tfs_slot *)(node + sizeof(struct tfs_node_head));
	u32 count = tfs_le16(((const struct tfs_node_head *)node)->count);

	for (; count; count--, s++) {
		struct tfs_key key = {tfs_le64(s->key.a), tfs_le64(s->key.b)};
		struct tfs_ptr ptr;

		if (!tfs_item_ptr(info->tree, key, node + tfs_le16(s->off), &ptr) || !ptr_covers(p, &ptr))
			continue;
		p->found++;
		dump_item(p->d, 0, info->tree, key, node + tfs_le16(s->off), tfs_le16(s->len));
		hit_add(p, key.a);
	}
}

static int node_look(void *arg, const struct tfs_node_info *info)
{
	struct place *p = arg;
	struct tfs_line l;

	if (info->ptr.addr && ptr_covers(p, &info->ptr)) {
		begin(p, &l, "node");
		tfs_line_text(&l, "tree", dump_tree_text(info->tree));
		tfs_line_num(&l, "level", info->level);
		tfs_line_num(&l, "unit", info->ptr.addr);
		tfs_line_num(&l, "len", info->ptr.len);
		tfs_line_end(&l);
	}
	if (info->err)
		dump_note(p->d, DUMP_DAMAGE);
	else if (!info->level && info->tree == TFS_TREE_FS)
		leaf_look(p, info);
	return p->err ? 1 : 0;
}

static void fixed_look(struct place *p)
{
	u64 at = p->unit * TFS_UNIT, size = tfs_le64(p->d->super.size);
	u64 area = TFS_ANCHOR_SLOTS * TFS_BLOCK;

	if (at < TFS_SUPER_OFFSET)
		say(p, "boot code");
	else if (at < TFS_SUPER_OFFSET + TFS_BLOCK || (at >= size - TFS_BLOCK && at < size))
		say(p, "superblock");
	else if ((at >= TFS_ANCHOR_OFFSET && at < TFS_ANCHOR_OFFSET + area) ||
	         (at >= size - TFS_TAIL_SIZE && at < size - TFS_TAIL_SIZE + area))
		say(p, "anchor slot");
}

static void run_look(void *arg, u64 addr, u32 blocks)
{
	struct place *p = arg;

	if (covers(p, addr, (u64)blocks * TFS_UNITS_PER_BLOCK))
		say(p, "log run");
}

static void checkpoint_look(struct place *p, const struct tfs_anchor *a)
{
	static u8 block[TFS_BLOCK];
	const struct tfs_checkpoint *c = (const struct tfs_checkpoint *)block;

	if (covers(p, tfs_le64(a->checkpoint.addr), TFS_UNITS_PER_BLOCK))
		say(p, "checkpoint block");
	if (dump_read(p->d, tfs_le64(a->checkpoint.addr), TFS_UNITS_PER_BLOCK, block) ||
	    dump_head_check(block, TFS_BT_CHECKPOINT, tfs_le64(p->d->super.head.volume), TFS_BLOCK))
		return;
	for (int i = 0; i < (int)TFS_TREES; i++) { /* the walk may see a newer root, in memory */
		struct tfs_ptr root = tfs_ptr_cpu(&c->root[i]);

		if (root.addr && ptr_covers(p, &root))
			say(p, "root of the checkpoint");
	}
	for (u32 i = 0; i < tfs_le32(c->lists) && i < TFS_LIST_PTRS; i++)
		if (covers(p, tfs_le64(c->list[i].addr), TFS_UNITS_PER_BLOCK))
			say(p, "list block");
}

static int by_number(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int names_look(void *arg, const struct dump_entry *e)
{
	struct place *p = arg;

	if (bsearch(&e->attr.ino, p->hit, p->hits, sizeof(*p->hit), by_number))
		dump_attr_line(p->d, e, *e->path ? e->path : "/");
	return 0;
}

static void nothing(struct place *p)
{
	struct dump *d = p->d;
	u32 bits = tfs_le32(d->super.segment_bits);
	struct tfs_line l;

	dump_begin(d, &l, 0, "nothing");
	tfs_line_num(&l, "addr", p->unit);
	if (dump_place_valid(d, p->unit, 1))
		tfs_line_num(&l, "segment", (p->unit * TFS_UNIT - TFS_SEGMENTS_OFFSET) >> bits);
	tfs_line_end(&l);
}

int dump_find_addr(struct dump *d)
{
	static const struct dump_log_ops ops = {.run = run_look};
	struct place p = {.d = d, .unit = d->addr};
	struct dump_walk_ops names = {.entry = names_look};
	struct dump_log_end end;
	struct tfs_anchor a;

	if (d->addr >= tfs_le64(d->super.size) / TFS_UNIT)
		return tfs_cli_fail(DUMP_USAGE, d->image, "expected a unit of 512 bytes below %llu",
		                    (unsigned long long)tfs_le64(d->super.size) / TFS_UNIT);
	fixed_look(&p);
	if (!tfs_probe(&d->dev.dev, &d->env, NULL, &a)) {
		checkpoint_look(&p, &a);
		p.err = dump_log_scan(d, &a, &ops, &p, &end);
	}
	for (int tree = 0; !p.err && tree < (int)TFS_TREES; tree++)
		if (tfs_tree_walk(d->vol, tree, node_look, &p) < 0)
			dump_note(d, DUMP_DAMAGE);
	if (!p.err && p.hits)
		p.err = dump_walk(d, d->args ? d->arg[0] : NULL, &names, &p);
	if (!p.err && !p.found)
		nothing(&p);
	free(p.hit);
	return p.err;
}
