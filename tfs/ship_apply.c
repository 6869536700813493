// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Log forwarding in the trees, live and in replay: SHIP records, the rules that a new name brings, and what a truncate
 * does to cursors. Always: a cursor is at most its file's size, its entries ascend by rule; whoever adds an entry
 * leaves out those whose rule is gone. An inode's item stays, once there, until the inode goes: its generation must
 * never repeat. Called by name_apply.c, range_apply.c and tfs_apply.
 */
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

bool tfs_ship_on(const struct tfs_vol *vol)
{
	return tfs_le64(vol->super.ro_compat) & TFS_RO_COMPAT_SHIP;
}

bool tfs_ship_match(const u8 *pattern, u32 pattern_len, const u8 *name, u32 len)
{
	u32 p = 0, n = 0, star = ~0u, back = 0; /* behind the last `*`, and how far that reached */

	if (!pattern_len)
		return true;
	while (n < len) {
		bool escaped = p + 1 < pattern_len && pattern[p] == '\\';

		if (p < pattern_len && pattern[p] == '*') {
			star = ++p;
			back = n;
		} else if (p < pattern_len &&
		           (escaped ? pattern[p + 1] == name[n] : pattern[p] == '?' || pattern[p] == name[n])) {
			p += escaped ? 2 : 1;
			n++;
		} else if (star != ~0u) {
			p = star;
			n = ++back;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

/* ---- an inode's item ---- */

int tfs_ship_load(struct tfs_vol *vol, u64 ino, struct tfs_ship_part *p)
{
	const void *v;
	u32 len;
	int err = tfs_ship_on(vol) ? tfs_item_find(vol, TFS_TREE_FS, tfs_ship_key(ino), &v, &len) : -ENOENT;

	memset(p, 0, sizeof(*p));
	p->ino = ino;
	if (err)
		return err == -ENOENT ? 0 : err;
	p->there = true;
	memcpy(&p->head, v, sizeof(p->head));
	memcpy(p->cursor, (const u8 *)v + sizeof(p->head), len - sizeof(p->head)); /* verified: at most so many */
	return 0;
}

struct tfs_ship_cursor *tfs_ship_cursor_of(struct tfs_ship_part *p, u64 rule)
{
	u32 i;

	for (i = 0; i < tfs_le16(p->head.count); i++)
		if (tfs_le64(p->cursor[i].rule) == rule)
			return &p->cursor[i];
	return NULL;
}

int tfs_rule_find(struct tfs_vol *vol, u64 rule)
{
	const void *v;
	u32 len;

	return tfs_item_find(vol, TFS_TREE_FS, tfs_rule_key(rule), &v, &len);
}

static int gone_drop(struct tfs_vol *vol, struct tfs_ship_part *p)
{
	u32 i, kept = 0, n = tfs_le16(p->head.count);

	for (i = 0; i < n; i++) {
		int err = tfs_rule_find(vol, tfs_le64(p->cursor[i].rule));

		if (err && err != -ENOENT)
			return err;
		if (!err)
			p->cursor[kept++] = p->cursor[i];
	}
	p->head.count = tfs_cpu16((u16)kept);
	return 0;
}

/* -ENOSPC: it has as many rules as can be. */
static int entry_add(struct tfs_vol *vol, struct tfs_ship_part *p, u64 rule, u64 acked)
{
	int err = gone_drop(vol, p);
	u32 n = tfs_le16(p->head.count);

	if (err || n == TFS_SHIP_RULES_MAX)
		return err ? err : -ENOSPC;
	for (; n && tfs_le64(p->cursor[n - 1].rule) > rule; n--)
		p->cursor[n] = p->cursor[n - 1];
	p->cursor[n] = (struct tfs_ship_cursor){tfs_cpu64(rule), tfs_cpu64(acked)};
	p->head.count = tfs_cpu16((u16)(tfs_le16(p->head.count) + 1));
	p->changed = true;
	return 0;
}

static u32 part_bytes(const struct tfs_ship_part *p)
{
	return (u32)(sizeof(p->head) + tfs_le16(p->head.count) * sizeof(p->cursor[0]));
}

static void part_need(struct tfs_vol *vol, const struct tfs_ship_part *p)
{
	tfs_need(vol, TFS_TREE_FS, tfs_ship_key(p->ino), part_bytes(p));
}

static void part_put(struct tfs_vol *vol, const struct tfs_ship_part *p)
{
	tfs_item_put(vol, TFS_TREE_FS, tfs_ship_key(p->ino), &p->head, part_bytes(p));
}

/* As all that a record does. */
static int part_write(struct tfs_vol *vol, const struct tfs_ship_part *p)
{
	int err;

	part_need(vol, p);
	err = tfs_prepare(vol);
	if (!err)
		part_put(vol, p);
	return err;
}

/* ---- what a name brings ---- */

struct names {
	struct tfs_ship_part dir, part[2];
};

static bool shippable(u32 mode)
{
	return (mode & TFS_S_IFMT) == TFS_S_IFREG || (mode & TFS_S_IFMT) == TFS_S_IFDIR;
}

/* Does a file of this name get the rule? -ENOENT: the rule is gone. Negative, 0 or 1. */
static int rule_fits(struct tfs_vol *vol, u64 rule, const u8 *name, u32 len, u32 mode)
{
	const struct tfs_ship_rule *r;
	const void *v;
	u32 bytes;
	int err = tfs_item_find(vol, TFS_TREE_FS, tfs_rule_key(rule), &v, &bytes);

	if (err)
		return err;
	r = v;
	return (mode & TFS_S_IFMT) == TFS_S_IFDIR || tfs_ship_match(r->text, tfs_le16(r->pattern_len), name, len);
}

int tfs_ship_inherit(struct tfs_vol *vol, u32 slot, u64 dir, const u8 *name, u32 len, u64 ino, u32 mode)
{
	struct names *s = tfs_scratch(vol);
	struct tfs_ship_part *p = &s->part[slot];
	u32 i;
	int err;

	p->changed = false;
	if (!tfs_ship_on(vol) || !shippable(mode))
		return 0;
	err = tfs_ship_load(vol, dir, &s->dir);
	if (err || !s->dir.there)
		return err;
	err = tfs_ship_load(vol, ino, p);
	for (i = 0; !err && i < tfs_le16(s->dir.head.count); i++) {
		u64 rule = tfs_le64(s->dir.cursor[i].rule);

		if (tfs_ship_cursor_of(p, rule))
			continue;
		err = rule_fits(vol, rule, name, len, mode);
		if (err > 0)
			err = entry_add(vol, p, rule, 0);
		if (err == -ENOENT || err == -ENOSPC)
			err = 0;
	}
	if (!err && p->changed)
		part_need(vol, p);
	return err;
}

void tfs_ship_inherited(struct tfs_vol *vol, u32 slots)
{
	struct names *s = tfs_scratch(vol);
	u32 i;

	for (i = 0; i < slots; i++)
		if (s->part[i].changed)
			part_put(vol, &s->part[i]);
}

/* ---- bytes of a file go ---- */

int tfs_ship_cut(struct tfs_vol *vol, u64 ino, bool *there)
{
	const void *v;
	u32 len;
	int err = tfs_ship_on(vol) ? tfs_item_find(vol, TFS_TREE_FS, tfs_ship_key(ino), &v, &len) : -ENOENT;

	*there = !err;
	if (*there)
		tfs_need(vol, TFS_TREE_FS, tfs_ship_key(ino), 0);
	return err == -ENOENT ? 0 : err;
}

static void cursors_clamp(struct tfs_ship_cursor *c, u32 n, u64 from, u64 to)
{
	for (; n--; c++) {
		u64 acked = tfs_le64(c->acked);

		c->acked = tfs_cpu64(acked < from ? from : acked > to ? to : acked);
	}
}

void tfs_ship_cut_apply(struct tfs_vol *vol, u64 ino, u64 from, u64 to)
{
	struct tfs_ship *s = tfs_item_edit(vol, TFS_TREE_FS, tfs_ship_key(ino), NULL);

	s->head.generation = tfs_cpu32(tfs_le32(s->head.generation) + 1);
	cursors_clamp(s->cursor, tfs_le16(s->head.count), from, to);
}

bool tfs_ship_counts(const struct tfs_ship_part *p)
{
	return !p->head.origin || tfs_le16(p->head.flags) & TFS_SHIP_COUNTS;
}

int tfs_ship_copy(struct tfs_vol *vol, u64 ino, u64 copy)
{
	struct tfs_ship_part part;
	int err = copy <= TFS_INO_MAX ? tfs_ship_load(vol, copy, &part) : -EINVAL;

	if (!err && (!part.there || tfs_le64(part.head.origin) != ino || tfs_ship_counts(&part)))
		err = -EINVAL;
	if (err)
		return err == -EINVAL ? tfs_corrupt(vol, ino, "range record names no copy of its lines") : err;
	tfs_need(vol, TFS_TREE_FS, tfs_ship_key(copy), 0);
	return 0;
}

void tfs_ship_copy_apply(struct tfs_vol *vol, u64 copy)
{
	struct tfs_ship *s = tfs_item_edit(vol, TFS_TREE_FS, tfs_ship_key(copy), NULL);

	s->head.flags |= tfs_cpu16(TFS_SHIP_COUNTS);
}

/* ---- SHIP records ---- */

static int bad(struct tfs_vol *vol, const struct tfs_rec_head *rec, const char *what)
{
	return tfs_corrupt(vol, tfs_le64(rec->ino), what);
}

/* The inode's entry as the record wants it, in p. */
static int cursor_load(struct tfs_vol *vol, const struct tfs_rec_ship *r, struct tfs_ship_part *p)
{
	u64 ino = tfs_le64(r->head.ino), rule = tfs_le64(r->rule), acked = tfs_le64(r->acked);
	struct tfs_ship_cursor *c;
	struct tfs_inode inode;
	int err = tfs_inode_find(vol, ino, &inode);

	if (err)
		return err == -ENOENT ? bad(vol, &r->head, "forwarding record names no inode") : err;
	if (!shippable(tfs_le32(inode.mode)) || acked > (tfs_is_dir(&inode) ? 0 : tfs_le64(inode.size)))
		return bad(vol, &r->head, "forwarding record's cursor lies past the end, or is no file's");
	err = tfs_ship_load(vol, ino, p);
	if (err)
		return err;
	if (p->head.generation != r->generation)
		return bad(vol, &r->head, "forwarding record is of another generation");
	c = tfs_ship_cursor_of(p, rule);
	if (c)
		c->acked = r->acked;
	else
		err = entry_add(vol, p, rule, acked);
	return err == -ENOSPC ? bad(vol, &r->head, "forwarding record is one rule too many") : err;
}

static int cursor_apply(struct tfs_vol *vol, const struct tfs_rec_ship *r)
{
	struct tfs_ship_part *p = tfs_scratch(vol);
	int err = tfs_rule_find(vol, tfs_le64(r->rule));

	if (err)
		return err == -ENOENT ? bad(vol, &r->head, "forwarding record names no rule") : err;
	err = cursor_load(vol, r, p);
	return err ? err : part_write(vol, p);
}

static int rule_apply(struct tfs_vol *vol, const struct tfs_rec_ship *r)
{
	struct tfs_ship_part *p = tfs_scratch(vol);
	struct tfs_ship_rule *item = (struct tfs_ship_rule *)(p + 1);
	u32 text = tfs_le16(r->pattern_len) + tfs_le16(r->target_len), bytes = (u32)sizeof(*item) + text;
	u64 rule = tfs_le64(r->rule);
	int err;

	if (tfs_le32(r->head.len) < sizeof(*r) + text || rule < tfs_counters_of(vol)->next_ino || rule > TFS_INO_MAX)
		return bad(vol, &r->head, "forwarding record too short, or of a number that was used");
	memset(item, 0, sizeof(*item));
	item->ino = r->head.ino;
	item->pattern_len = r->pattern_len;
	item->target_len = r->target_len;
	memcpy(item->text, r + 1, text); /* a record is at most 16 KiB, the scratch 256 */
	if (tfs_item_check(TFS_TREE_FS, tfs_rule_key(rule), item, bytes))
		return bad(vol, &r->head, "forwarding record's texts out of range");
	err = cursor_load(vol, r, p);
	if (err)
		return err;
	part_need(vol, p);
	tfs_need(vol, TFS_TREE_FS, tfs_rule_key(rule), bytes);
	err = tfs_prepare(vol);
	if (err)
		return err;
	part_put(vol, p);
	tfs_item_put(vol, TFS_TREE_FS, tfs_rule_key(rule), item, bytes);
	tfs_counters_of(vol)->next_ino = rule + 1;
	return 0;
}

static int remove_apply(struct tfs_vol *vol, const struct tfs_rec_ship *r)
{
	struct tfs_key key = tfs_rule_key(tfs_le64(r->rule));
	int err = tfs_rule_find(vol, tfs_le64(r->rule));

	if (err)
		return err == -ENOENT ? bad(vol, &r->head, "forwarding record removes no rule") : err;
	tfs_need(vol, TFS_TREE_FS, key, 0);
	err = tfs_prepare(vol);
	if (!err)
		tfs_item_del(vol, TFS_TREE_FS, key);
	return err;
}

/* The orphan's item: the file's cursors, as far as they lie in the orphan's lines. */
static int cut_load(struct tfs_vol *vol, const struct tfs_rec_ship *r, struct tfs_ship_part *p)
{
	u64 copy = tfs_le64(r->head.ino), from = tfs_le64(r->acked), origin = tfs_le64(r->rule);
	struct tfs_inode inode;
	int err = origin <= TFS_INO_MAX ? tfs_inode_find(vol, copy, &inode) : -ENOENT;

	if (err)
		return err == -ENOENT ? bad(vol, &r->head, "forwarding record names no inode") : err;
	if (inode.nlink || (tfs_le32(inode.mode) & TFS_S_IFMT) != TFS_S_IFREG || from > tfs_le64(inode.size))
		return bad(vol, &r->head,
		           "forwarding record of lines that were cut off is of no orphan that holds them");
	err = tfs_ship_load(vol, copy, p);
	if (!err && p->there)
		return bad(vol, &r->head, "forwarding record makes an item that is there");
	if (!err)
		err = tfs_ship_load(vol, origin, p);
	if (err)
		return err;
	if (!p->there || !tfs_ship_counts(p) || p->head.generation != r->generation)
		return bad(vol, &r->head, "forwarding record of lines that were cut off is of another generation");
	p->ino = copy;
	p->head.origin = r->rule;
	p->head.flags = 0;
	cursors_clamp(p->cursor, tfs_le16(p->head.count), from, tfs_le64(inode.size));
	return gone_drop(vol, p);
}

static int cut_apply(struct tfs_vol *vol, const struct tfs_rec_ship *r)
{
	struct tfs_ship_part *p = tfs_scratch(vol);
	int err = cut_load(vol, r, p);

	return err ? err : part_write(vol, p);
}

int tfs_apply_ship(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_ship *r = (const struct tfs_rec_ship *)rec;

	if (tfs_le32(rec->len) < sizeof(*r) || !tfs_ship_on(vol))
		return bad(vol, rec, "forwarding record malformed, or on a volume without rules");
	switch (tfs_le16(rec->flags)) {
	case TFS_SHIP_RULE:
		return rule_apply(vol, r);
	case TFS_SHIP_REMOVE:
		return remove_apply(vol, r);
	case TFS_SHIP_CURSOR:
		return cursor_apply(vol, r);
	case TFS_SHIP_CUT:
		return cut_apply(vol, r);
	}
	return bad(vol, rec, "unknown forwarding record");
}
