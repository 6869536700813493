// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Tree items by name and field. Every item passes the core's verifier first, so lengths inside it may be trusted after
 * that; one that does not is shown as what it claims to be and why it is not. Called by tree, object and find --addr.
 */
#include "fsck/dump.h"

#include <json-c/json.h>

const char *dump_tree_text(int tree)
{
	static const char *const names[TFS_TREES] = {"fs", "space", "snap", "refs"};

	return tree >= 0 && tree < (int)TFS_TREES ? names[tree] : "unknown";
}

static u32 key_type(struct tfs_key k)
{
	return (u32)(k.b >> TFS_POS_BITS);
}

static u64 key_pos(struct tfs_key k)
{
	return k.b & TFS_POS_MASK;
}

static const char *fs_type(u32 type)
{
	static const char *const names[] = {"unknown", "inode",    "symlink", "inline", "xattr", "dirent",
	                                    "extent",  "prealloc", "pending", "orphan", "rule",  "ship"};

	return type < sizeof(names) / sizeof(*names) ? names[type] : "unknown";
}

static void inode_fields(struct tfs_line *l, const struct tfs_inode *i)
{
	tfs_line_text(l, "type", tfs_type_text(tfs_le32(i->mode)));
	tfs_line_octal(l, "mode", tfs_le32(i->mode));
	tfs_line_num(l, "nlink", tfs_le32(i->nlink));
	tfs_line_num(l, "uid", tfs_le32(i->uid));
	tfs_line_num(l, "gid", tfs_le32(i->gid));
	tfs_line_num(l, "size", tfs_le64(i->size));
	tfs_line_num(l, "blocks", tfs_le64(i->blocks));
	tfs_line_num(l, "major", tfs_le32(i->rdev_major));
	tfs_line_num(l, "minor", tfs_le32(i->rdev_minor));
	tfs_line_num(l, "parent", tfs_le64(i->parent));
	tfs_line_hex(l, "flags", tfs_le32(i->flags), 1);
	tfs_line_hex(l, "user_flags", tfs_le32(i->user_flags), 1);
	tfs_line_text(l, "codec", dump_codec_text(i->codec));
	tfs_line_num(l, "level", i->codec_level);
	tfs_line_num(l, "window_bits", i->window_bits);
	tfs_line_num(l, "generation", tfs_le32(i->generation));
	tfs_line_time(l, "atime", &i->atime);
	tfs_line_time(l, "mtime", &i->mtime);
	tfs_line_time(l, "ctime", &i->ctime);
	tfs_line_time(l, "btime", &i->btime);
	if (i->name_dir) {
		tfs_line_num(l, "name_dir", tfs_le64(i->name_dir));
		tfs_line_hex(l, "name_pos", tfs_le64(i->name_pos), 14);
	}
}

void dump_extent_fields(struct tfs_line *l, const struct tfs_extent *e)
{
	struct json_object *crcs;
	char text[12];
	u32 i, n = tfs_le16(e->blocks);

	tfs_line_num(l, "blocks", n);
	tfs_line_text(l, "codec", dump_codec_text(e->codec));
	if (e->codec) {
		tfs_line_num(l, "skip", tfs_le16(e->skip));
		tfs_line_num(l, "total", tfs_le16(e->total));
	}
	dump_ptr(l, &e->ptr);
	if (e->codec)
		return;
	crcs = l->o ? json_object_new_array() : NULL;
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%08x", tfs_le32(e->crc[i]));
		if (crcs)
			json_object_array_add(crcs, json_object_new_string(text));
		else
			printf("%s%s", i ? "," : " crcs=", text);
	}
	if (crcs)
		json_object_object_add(l->o, "crcs", crcs);
}

static void xattr_fields(struct tfs_line *l, const struct tfs_xattr *x)
{
	struct tfs_disk_ptr p;

	tfs_line_bytes(l, "name", x->name, x->name_len);
	tfs_line_num(l, "length", tfs_le32(x->value_len));
	if (x->where) {
		memcpy(&p, x->name + x->name_len, sizeof(p));
		dump_ptr(l, &p);
	} else {
		tfs_line_bytes(l, "value", x->name + x->name_len, tfs_le32(x->value_len));
	}
}

static void dirent_fields(struct tfs_line *l, const struct tfs_dirent *e)
{
	tfs_line_bytes(l, "name", e->name, e->name_len);
	tfs_line_num(l, "target", tfs_le64(e->ino));
	tfs_line_text(l, "type", tfs_type_text((u32)e->type << 12));
}

static void rule_fields(struct tfs_line *l, const struct tfs_ship_rule *r)
{
	tfs_line_num(l, "on", tfs_le64(r->ino));
	tfs_line_bytes(l, "pattern", r->text, tfs_le16(r->pattern_len));
	tfs_line_bytes(l, "target", r->text + tfs_le16(r->pattern_len), tfs_le16(r->target_len));
}

static void ship_fields(struct tfs_line *l, const struct tfs_ship *s)
{
	struct json_object *list = l->o ? json_object_new_array() : NULL;

	tfs_line_num(l, "generation", tfs_le32(s->head.generation));
	if (s->head.origin) {
		tfs_line_num(l, "origin", tfs_le64(s->head.origin));
		tfs_line_num(l, "counts", tfs_le16(s->head.flags) & TFS_SHIP_COUNTS);
	}
	for (u32 i = 0; i < tfs_le16(s->head.count); i++) {
		u64 rule = tfs_le64(s->cursor[i].rule), acked = tfs_le64(s->cursor[i].acked);
		struct json_object *c = list ? json_object_new_object() : NULL;

		if (c) {
			tfs_json_u64(c, "rule", rule);
			tfs_json_u64(c, "acked", acked);
			json_object_array_add(list, c);
		} else {
			printf("%s%llu:%llu", i ? "," : " cursors=", (unsigned long long)rule,
			       (unsigned long long)acked);
		}
	}
	if (list)
		json_object_object_add(l->o, "cursors", list);
}

static void fs_fields(struct tfs_line *l, struct tfs_key key, const void *v, u32 len)
{
	u64 blocks;

	switch (key_type(key)) {
	case TFS_IT_INODE:
		inode_fields(l, v);
		break;
	case TFS_IT_SYMLINK:
		tfs_line_bytes(l, "target", v, len);
		break;
	case TFS_IT_INLINE:
		tfs_line_num(l, "length", len);
		tfs_line_hex(l, "crc", tfs_port_crc32c(0, v, len), 8);
		break;
	case TFS_IT_XATTR:
		xattr_fields(l, v);
		break;
	case TFS_IT_DIRENT:
		dirent_fields(l, v);
		break;
	case TFS_IT_EXTENT:
		dump_extent_fields(l, v);
		break;
	case TFS_IT_PREALLOC:
	case TFS_IT_PENDING:
		memcpy(&blocks, v, 8);
		tfs_line_num(l, "blocks", tfs_le64(blocks));
		break;
	case TFS_IT_RULE:
		rule_fields(l, v);
		break;
	case TFS_IT_SHIP:
		ship_fields(l, v);
		break;
	}
}

static void fs_item(struct dump *d, int indent, struct tfs_key key, const void *v, u32 len, const char *why)
{
	u32 type = key_type(key);
	struct tfs_line l;

	dump_begin(d, &l, indent, fs_type(type));
	tfs_line_num(&l, type == TFS_IT_RULE ? "rule" : "ino", key.a ? key.a : key_pos(key));
	if (type == TFS_IT_XATTR || type == TFS_IT_DIRENT)
		tfs_line_hex(&l, "position", key_pos(key), 14);
	else if (type >= TFS_IT_EXTENT && type <= TFS_IT_PENDING)
		tfs_line_num(&l, "block", key_pos(key));
	if (why)
		tfs_line_text(&l, "damage", why);
	else
		fs_fields(&l, key, v, len);
	tfs_line_end(&l);
}

static void segs_fields(struct tfs_line *l, struct tfs_key key, const struct tfs_segment *s)
{
	u64 live = 0, used = 0;

	for (u32 i = 0; i < TFS_SEGS_PER_ITEM; i++) {
		live += tfs_le32(s[i].live);
		used += tfs_le32(s[i].used_blocks);
	}
	tfs_line_num(l, "segment", (key.a & TFS_POS_MASK) * TFS_SEGS_PER_ITEM);
	tfs_line_num(l, "segments", TFS_SEGS_PER_ITEM);
	tfs_line_num(l, "live_units", live);
	tfs_line_num(l, "used_blocks", used);
}

static void space_item(struct dump *d, int indent, struct tfs_key key, const u8 *v, u32 len, const char *why)
{
	bool map = key.a >> TFS_POS_BITS == 2;
	struct tfs_line l;
	u64 live = 0;

	dump_begin(d, &l, indent, map ? "map" : "segments");
	if (why) {
		tfs_line_text(&l, "damage", why);
	} else if (map) {
		for (u32 i = 0; i < len; i++)
			live += (u64)__builtin_popcount(v[i]);
		tfs_line_num(&l, "segment", key.a & TFS_POS_MASK);
		tfs_line_num(&l, "chunk", key.b);
		tfs_line_num(&l, "blocks", len);
		tfs_line_num(&l, "live_units", live);
	} else {
		segs_fields(&l, key, (const struct tfs_segment *)v);
	}
	tfs_line_end(&l);
}

static void other_item(struct dump *d, int indent, int tree, struct tfs_key key, const void *v, u32 len,
                       const char *why)
{
	struct tfs_line l;
	struct tfs_ref r;

	dump_begin(d, &l, indent, tree == TFS_TREE_REFS ? "ref" : "item");
	tfs_line_hex(&l, "a", key.a, 16);
	tfs_line_hex(&l, "b", key.b, 16);
	tfs_line_num(&l, "length", len);
	if (why) {
		tfs_line_text(&l, "damage", why);
	} else if (tree == TFS_TREE_REFS) {
		memcpy(&r, v, sizeof(r));
		tfs_line_num(&l, "addr", key.a);
		tfs_line_num(&l, "len", tfs_le32(r.len));
		tfs_line_num(&l, "count", tfs_le32(r.count));
	}
	tfs_line_end(&l);
}

static void snapshot_fields(struct tfs_line *l, struct tfs_key key, const struct tfs_snapshot *s)
{
	tfs_line_bytes(l, "name", s->name, s->name_len);
	tfs_line_num(l, "epoch", key.b);
	tfs_line_time(l, "created", &s->created);
	tfs_line_num(l, "inodes", tfs_le64(s->inodes));
	tfs_line_num(l, "units", tfs_le64(s->units));
	tfs_line_num(l, "first_list", tfs_le64(s->first_list));
	tfs_line_num(l, "holds", tfs_le32(s->holds));
	tfs_line_bool(l, "dying", tfs_le16(s->flags) & TFS_SNAPSHOT_DYING);
	dump_ptr(l, &s->fs);
	tfs_line_num(l, "refs_addr", tfs_le64(s->refs.addr));
}

static void list_fields(struct tfs_line *l, struct tfs_key key, const struct tfs_deadlist *list)
{
	tfs_line_num(l, "list", key.b);
	tfs_line_num(l, "oldest", tfs_le64(list->oldest));
	tfs_line_num(l, "newest", tfs_le64(list->newest));
	tfs_line_num(l, "units", tfs_le64(list->units));
	tfs_line_num(l, "runs", tfs_le64(list->runs));
}

/* The runs of a list, some of them, one a line as they are many. */
static void runs_item(struct dump *d, int indent, struct tfs_key key, const struct tfs_run *r)
{
	for (u32 i = 0; i < TFS_DEAD_RUNS && r[i].len; i++) {
		struct tfs_line l;

		dump_begin(d, &l, indent, "run");
		tfs_line_num(&l, "list", key.a & TFS_POS_MASK);
		tfs_line_num(&l, "number", key.b * TFS_DEAD_RUNS + i);
		tfs_line_num(&l, "addr", tfs_le64(r[i].addr));
		tfs_line_num(&l, "len", tfs_le32(r[i].len));
		tfs_line_end(&l);
	}
}

static void old_fields(struct tfs_line *l, struct tfs_key key, const struct tfs_old_state *o)
{
	static const char *const stages[] = {"lists", "fs", "shared", "refs"};

	tfs_line_num(l, "epoch", key.b);
	tfs_line_num(l, "since", tfs_le64(o->since));
	tfs_line_text(l, "stage", stages[tfs_le32(o->stage)]);
	tfs_line_num(l, "lists_from", tfs_le64(o->lists_from));
	tfs_line_num(l, "lists_end", tfs_le64(o->lists_end));
	tfs_line_num(l, "next_a", tfs_le64(o->next.a));
	tfs_line_num(l, "next_b", tfs_le64(o->next.b));
	dump_ptr(l, &o->fs);
	tfs_line_num(l, "refs_addr", tfs_le64(o->refs.addr));
}

static void shared_fields(struct tfs_line *l, struct tfs_key key, const struct tfs_old_shared *s)
{
	tfs_line_num(l, "addr", key.b);
	tfs_line_num(l, "len", tfs_le32(s->len));
	tfs_line_bool(l, "gang", tfs_le16(s->flags) & TFS_PTR_GANG);
}

static void snap_item(struct dump *d, int indent, struct tfs_key key, const void *v, u32 len, const char *why)
{
	static const char *const kinds[] = {NULL, "snapshot", "deadlist", NULL, "old-state", "old-shared"};
	struct tfs_line l;

	if (why) {
		other_item(d, indent, TFS_TREE_SNAP, key, v, len, why);
		return;
	}
	if (key.a >> 56 == TFS_SNAP_RUNS >> 56) {
		runs_item(d, indent, key, v);
		return;
	}
	dump_begin(d, &l, indent, kinds[key.a >> 56]);
	if (key.a == TFS_SNAP_LIST)
		list_fields(&l, key, v);
	else if (key.a == TFS_SNAP_ITEM)
		snapshot_fields(&l, key, v);
	else if (key.a == TFS_SNAP_OLD)
		old_fields(&l, key, v);
	else
		shared_fields(&l, key, v);
	tfs_line_end(&l);
}

void dump_item(struct dump *d, int indent, int tree, struct tfs_key key, const void *value, u32 len)
{
	const char *why = tfs_item_check(tree, key, value, len);

	if (tree == TFS_TREE_FS)
		fs_item(d, indent, key, value, len, why);
	else if (tree == TFS_TREE_SPACE)
		space_item(d, indent, key, value, len, why);
	else if (tree == TFS_TREE_SNAP)
		snap_item(d, indent, key, value, len, why);
	else
		other_item(d, indent, tree, key, value, len, why);
}
