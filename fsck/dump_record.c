// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Log records by name and field. A record comes from a log that may be crafted: only its length has been checked (it is
 * all in memory), so each part is checked against it before it is shown; what does not fit is said. Called by the log
 * command.
 */
#include "fsck/dump.h"

struct cursor { /* what is left of the record */
	const u8 *at;
	u32 left;
};

static const u8 *take(struct cursor *c, u32 n)
{
	const u8 *p = c->at;

	if (n > c->left)
		return NULL;
	c->at += n;
	c->left -= n;
	return p;
}

static bool name_field(struct tfs_line *l, struct cursor *c, const char *key, u32 n)
{
	const u8 *p = take(c, n);

	if (p)
		tfs_line_bytes(l, key, p, n);
	return p != NULL;
}

static bool create_fields(struct tfs_line *l, const struct tfs_rec_create *r, struct cursor *c)
{
	tfs_line_num(l, "parent", tfs_le64(r->parent));
	tfs_line_octal(l, "mode", tfs_le32(r->mode));
	tfs_line_num(l, "uid", tfs_le32(r->uid));
	tfs_line_num(l, "gid", tfs_le32(r->gid));
	tfs_line_num(l, "major", tfs_le32(r->rdev_major));
	tfs_line_num(l, "minor", tfs_le32(r->rdev_minor));
	tfs_line_text(l, "codec", dump_codec_text(r->codec));
	tfs_line_num(l, "window_bits", r->window_bits);
	tfs_line_num(l, "generation", tfs_le32(r->generation));
	return name_field(l, c, "name", r->name_len) &&
	       (!r->target_len || name_field(l, c, "target", tfs_le16(r->target_len)));
}

static bool link_fields(struct tfs_line *l, const struct tfs_rec_link *r, struct cursor *c)
{
	tfs_line_num(l, "parent", tfs_le64(r->parent));
	return name_field(l, c, "name", r->name_len);
}

static bool rename_fields(struct tfs_line *l, const struct tfs_rec_rename *r, struct cursor *c)
{
	tfs_line_num(l, "old_parent", tfs_le64(r->old_parent));
	tfs_line_num(l, "new_parent", tfs_le64(r->new_parent));
	tfs_line_num(l, "replaced", tfs_le64(r->target));
	tfs_line_num(l, "whiteout", tfs_le64(r->whiteout));
	return name_field(l, c, "old", r->old_len) && name_field(l, c, "new", r->new_len);
}

static bool setattr_fields(struct tfs_line *l, const struct tfs_rec_setattr *r)
{
	u32 mask = tfs_le16(r->head.flags);

	if (mask & TFS_SET_MODE)
		tfs_line_octal(l, "mode", tfs_le32(r->mode));
	if (mask & TFS_SET_UID)
		tfs_line_num(l, "uid", tfs_le32(r->uid));
	if (mask & TFS_SET_GID)
		tfs_line_num(l, "gid", tfs_le32(r->gid));
	if (mask & TFS_SET_ATIME)
		tfs_line_time(l, "atime", &r->atime);
	if (mask & TFS_SET_MTIME)
		tfs_line_time(l, "mtime", &r->mtime);
	if (mask & TFS_SET_CTIME)
		tfs_line_time(l, "ctime", &r->ctime);
	if (mask & TFS_SET_BTIME)
		tfs_line_time(l, "btime", &r->btime);
	if (mask & TFS_SET_FLAGS)
		tfs_line_hex(l, "user_flags", tfs_le32(r->user_flags), 1);
	if (mask & TFS_SET_CODEC) {
		tfs_line_text(l, "codec", dump_codec_text(r->codec));
		tfs_line_num(l, "level", r->codec_level);
		tfs_line_num(l, "window_bits", r->window_bits);
	}
	return true;
}

static bool xattr_fields(struct tfs_line *l, const struct tfs_rec_xattr *r, struct cursor *c)
{
	struct tfs_disk_ptr p;
	const u8 *at;

	if (!name_field(l, c, "name", r->name_len))
		return false;
	tfs_line_bool(l, "removed", r->where == 0xff);
	if (r->where == 0xff)
		return true;
	tfs_line_num(l, "length", tfs_le32(r->value_len));
	if (!r->where)
		return name_field(l, c, "value", tfs_le32(r->value_len));
	at = take(c, sizeof(p));
	if (r->where != 1 || !at)
		return false;
	memcpy(&p, at, sizeof(p));
	dump_ptr(l, &p);
	return true;
}

static bool write_fields(struct tfs_line *l, const struct tfs_rec_write *r, struct cursor *c)
{
	bool is_inline = tfs_le16(r->head.flags) & TFS_WRITE_INLINE;
	const u8 *at;

	tfs_line_num(l, "block", tfs_le64(r->block));
	tfs_line_num(l, "blocks", tfs_le32(r->blocks));
	tfs_line_num(l, "size", tfs_le64(r->size));
	tfs_line_num(l, is_inline ? "inline_bytes" : "extents", tfs_le32(r->count));
	tfs_line_bool(l, "times", tfs_le16(r->head.flags) & TFS_WRITE_TIMES);
	if (!is_inline)
		return true; /* a line each follows */
	at = take(c, tfs_le32(r->count));
	if (at)
		tfs_line_hex(l, "crc", tfs_port_crc32c(0, at, tfs_le32(r->count)), 8);
	return at != NULL;
}

static bool clone_fields(struct tfs_line *l, const struct tfs_rec_clone *r)
{
	tfs_line_num(l, "block", tfs_le64(r->to.block));
	tfs_line_num(l, "blocks", tfs_le32(r->to.blocks));
	tfs_line_num(l, "size", tfs_le64(r->to.size));
	tfs_line_num(l, "source", tfs_le64(r->source));
	tfs_line_num(l, "from", tfs_le64(r->from));
	return true;
}

static bool ship_fields(struct tfs_line *l, const struct tfs_rec_ship *r, struct cursor *c)
{
	static const char *const names[] = {"unknown", "rule", "remove", "cursor", "cut"};
	u32 kind = tfs_le16(r->head.flags);

	tfs_line_text(l, "change", names[kind < 5 ? kind : 0]);
	tfs_line_num(l, kind == TFS_SHIP_CUT ? "origin" : "rule", tfs_le64(r->rule));
	tfs_line_num(l, "acked", tfs_le64(r->acked));
	tfs_line_num(l, "generation", tfs_le32(r->generation));
	return kind != TFS_SHIP_RULE || (name_field(l, c, "pattern", tfs_le16(r->pattern_len)) &&
	                                 name_field(l, c, "target", tfs_le16(r->target_len)));
}

static bool range_fields(struct tfs_line *l, const struct tfs_rec_range *r)
{
	u32 type = tfs_le16(r->head.type);

	if (type != TFS_REC_TRUNCATE) {
		tfs_line_num(l, "block", tfs_le64(r->block));
		tfs_line_num(l, "blocks", tfs_le64(r->blocks));
	}
	if (type != TFS_REC_PUNCH)
		tfs_line_num(l, "size", tfs_le64(r->size));
	if (type != TFS_REC_PREALLOC && tfs_le16(r->head.flags) & TFS_RANGE_LINES)
		tfs_line_num(l, "copy", tfs_le64(type == TFS_REC_PUNCH ? r->size : r->block));
	return true;
}

static const struct {
	const char *name;
	u32 size;
} kinds[] = {
    {"unknown", 0},
    {"create", sizeof(struct tfs_rec_create)},
    {"link", sizeof(struct tfs_rec_link)},
    {"unlink", sizeof(struct tfs_rec_link)},
    {"rename", sizeof(struct tfs_rec_rename)},
    {"setattr", sizeof(struct tfs_rec_setattr)},
    {"xattr", sizeof(struct tfs_rec_xattr)},
    {"write", sizeof(struct tfs_rec_write)},
    {"truncate", sizeof(struct tfs_rec_range)},
    {"punch", sizeof(struct tfs_rec_range)},
    {"prealloc", sizeof(struct tfs_rec_range)},
    {"clone", sizeof(struct tfs_rec_clone)},
    {"move", sizeof(struct tfs_rec_write)},
    {"ship", sizeof(struct tfs_rec_ship)},
};

static bool fields(struct tfs_line *l, u32 type, const struct tfs_rec_head *rec, struct cursor *c)
{
	switch (type) {
	case TFS_REC_CREATE:
		return create_fields(l, (const struct tfs_rec_create *)rec, c);
	case TFS_REC_LINK:
	case TFS_REC_UNLINK:
		return link_fields(l, (const struct tfs_rec_link *)rec, c);
	case TFS_REC_RENAME:
		return rename_fields(l, (const struct tfs_rec_rename *)rec, c);
	case TFS_REC_SETATTR:
		return setattr_fields(l, (const struct tfs_rec_setattr *)rec);
	case TFS_REC_XATTR:
		return xattr_fields(l, (const struct tfs_rec_xattr *)rec, c);
	case TFS_REC_WRITE:
	case TFS_REC_MOVE:
		return write_fields(l, (const struct tfs_rec_write *)rec, c);
	case TFS_REC_CLONE:
		return clone_fields(l, (const struct tfs_rec_clone *)rec);
	case TFS_REC_SHIP:
		return ship_fields(l, (const struct tfs_rec_ship *)rec, c);
	}
	return range_fields(l, (const struct tfs_rec_range *)rec);
}

static bool extent_sound(const struct tfs_extent *e, u32 len)
{
	return len >= TFS_EXTENT_HEAD && (e->codec || len >= TFS_EXTENT_HEAD + 4u * tfs_le16(e->blocks));
}

/* {le64 first block, le32 length, le32 0, struct tfs_extent padded to 8}, count times */
static bool extents(struct dump *d, const struct tfs_rec_write *r, struct cursor *c)
{
	for (u32 i = 0; i < tfs_le32(r->count); i++) {
		const u8 *head = take(c, 16), *body;
		struct tfs_line l;
		u64 block;
		u32 len;

		if (!head)
			return false;
		memcpy(&block, head, 8);
		memcpy(&len, head + 8, 4);
		len = tfs_le32(len);
		body = len <= TFS_ITEM_MAX ? take(c, (len + 7) & ~7u) : NULL;
		if (!body || !extent_sound((const struct tfs_extent *)body, len))
			return false;
		dump_begin(d, &l, 4, "extent");
		tfs_line_num(&l, "block", tfs_le64(block));
		dump_extent_fields(&l, (const struct tfs_extent *)body);
		tfs_line_end(&l);
	}
	return true;
}

static void malformed(struct dump *d, u64 sequence)
{
	struct tfs_line l;

	dump_begin(d, &l, 4, "malformed");
	tfs_line_num(&l, "sequence", sequence);
	tfs_line_text(&l, "damage", "parts reach past the record's end");
	tfs_line_end(&l);
	dump_note(d, DUMP_DAMAGE);
}

void dump_record(struct dump *d, u64 sequence, const struct tfs_rec_head *rec)
{
	u32 type = tfs_le16(rec->type), len = tfs_le32(rec->len);
	bool known = type && type < sizeof(kinds) / sizeof(*kinds), ok = known && len >= kinds[type].size;
	struct cursor c = {0};
	struct tfs_line l;

	dump_begin(d, &l, 2, "record");
	tfs_line_num(&l, "sequence", sequence);
	tfs_line_text(&l, "type", known ? kinds[type].name : "unknown");
	if (!known)
		tfs_line_num(&l, "number", type);
	tfs_line_num(&l, "ino", tfs_le64(rec->ino));
	tfs_line_num(&l, "len", len);
	tfs_line_hex(&l, "flags", tfs_le16(rec->flags), 1);
	tfs_line_time(&l, "time", &rec->time);
	if (ok) {
		c = (struct cursor){(const u8 *)rec + kinds[type].size, len - kinds[type].size};
		ok = fields(&l, type, rec, &c);
	}
	tfs_line_end(&l);
	if (ok && (type == TFS_REC_WRITE || type == TFS_REC_MOVE) && !(tfs_le16(rec->flags) & TFS_WRITE_INLINE))
		ok = extents(d, (const struct tfs_rec_write *)rec, &c);
	if (!ok)
		malformed(d, sequence);
}
