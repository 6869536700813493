// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What hosts ask of log forwarding: rules, who is to be forwarded, and how far it got. The core keeps them and sends
 * nothing. A cursor only ever goes forward by tfs_ship_acked, which names the generation that the lines were read
 * under: an answer that comes after a truncate says nothing about the new content. Called by hosts and by admin.c.
 */
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

static int file_of(struct tfs_vol *vol, u64 ino, struct tfs_inode *inode)
{
	int err = tfs_inode_find(vol, ino, inode);
	u32 type = tfs_le32(inode->mode) & TFS_S_IFMT;

	if (err)
		return err;
	return type == TFS_S_IFREG || type == TFS_S_IFDIR ? 0 : -EINVAL;
}

static u64 start_of(const struct tfs_inode *inode, u64 acked)
{
	u64 end = tfs_is_dir(inode) ? 0 : tfs_le64(inode->size);

	return acked > end ? end : acked;
}

static struct tfs_rec_ship *rec_start(struct tfs_vol *vol, enum tfs_ship_what what, u64 ino, u64 rule)
{
	struct tfs_rec_ship *r = tfs_rec_start(vol, TFS_REC_SHIP, ino, sizeof(*r));

	r->head.flags = tfs_cpu16((u16)what);
	r->rule = tfs_cpu64(rule);
	return r;
}

/* Live entries: those of rules that are gone make room. */
static int room_check(struct tfs_vol *vol, const struct tfs_ship_part *p)
{
	u32 i, live = 0;
	int err = 0;

	for (i = 0; i < tfs_le16(p->head.count) && (!err || err == -ENOENT); i++) {
		err = tfs_rule_find(vol, tfs_le64(p->cursor[i].rule));
		live += !err;
	}
	if (err && err != -ENOENT)
		return err;
	return live < TFS_SHIP_RULES_MAX ? 0 : -EMLINK;
}

int tfs_ship_add(struct tfs_vol *vol, u64 ino, const char *pattern, u32 pattern_len, const char *target, u32 target_len,
                 u64 acked, u64 *rule)
{
	struct tfs_ship_part part;
	struct tfs_inode inode;
	struct tfs_rec_ship *r;
	int err;

	if (pattern_len > TFS_SHIP_PATTERN_MAX || !target_len || target_len > TFS_SHIP_TARGET_MAX)
		return -EINVAL;
	err = tfs_op_begin(vol, TFS_TIER_NORMAL, 1);
	if (!err)
		err = file_of(vol, ino, &inode);
	if (!err && !inode.nlink)
		err = -ENOENT;
	if (!err)
		err = tfs_ship_load(vol, ino, &part);
	if (!err)
		err = room_check(vol, &part);
	if (!err && tfs_counters_of(vol)->next_ino > TFS_INO_MAX)
		err = -ENOSPC;
	if (!err && !tfs_ship_on(vol))
		err = tfs_super_feature(vol, TFS_RO_COMPAT_SHIP);
	if (err)
		return err;
	*rule = tfs_counters_of(vol)->next_ino;
	r = rec_start(vol, TFS_SHIP_RULE, ino, *rule);
	r->acked = tfs_cpu64(start_of(&inode, acked));
	r->generation = part.head.generation;
	r->pattern_len = tfs_cpu16((u16)pattern_len);
	r->target_len = tfs_cpu16((u16)target_len);
	memcpy(r + 1, pattern, pattern_len);
	memcpy((u8 *)(r + 1) + pattern_len, target, target_len);
	return tfs_commit(vol, (u32)sizeof(*r) + pattern_len + target_len);
}

int tfs_ship_remove(struct tfs_vol *vol, u64 rule)
{
	int err = tfs_op_begin(vol, TFS_TIER_FREEING, 0);

	if (!err)
		err = rule && rule <= TFS_INO_MAX && tfs_ship_on(vol) ? tfs_rule_find(vol, rule) : -ENOENT;
	if (err)
		return err;
	rec_start(vol, TFS_SHIP_REMOVE, 0, rule);
	err = tfs_commit(vol, sizeof(struct tfs_rec_ship));
	if (err)
		return err;
	tfs_tidy(vol, TFS_TREE_FS, tfs_rule_key(rule));
	tfs_kept_review_some(vol, 32); /* the others when space is wanted, or by a mount */
	return 0;
}

static int cursor_commit(struct tfs_vol *vol, u64 ino, u64 rule, le32 generation, u64 acked)
{
	struct tfs_rec_ship *r = rec_start(vol, TFS_SHIP_CURSOR, ino, rule);

	r->generation = generation;
	r->acked = tfs_cpu64(acked);
	return tfs_commit(vol, sizeof(*r));
}

int tfs_ship_cut_commit(struct tfs_vol *vol, u64 ino, u64 copy, u64 from)
{
	struct tfs_ship_part part;
	struct tfs_rec_ship *r;
	int err = tfs_op_begin(vol, TFS_TIER_NORMAL, 1);

	if (!err)
		err = tfs_ship_load(vol, ino, &part);
	if (err)
		return err;
	r = rec_start(vol, TFS_SHIP_CUT, copy, ino);
	r->generation = part.head.generation;
	r->acked = tfs_cpu64(from);
	return tfs_commit(vol, sizeof(*r));
}

/* The inode, its item, and the rule, which must be there. */
static int cursor_begin(struct tfs_vol *vol, enum tfs_tier tier, u64 ino, u64 rule, struct tfs_inode *inode,
                        struct tfs_ship_part *part)
{
	int err = tfs_op_begin(vol, tier, tier == TFS_TIER_NORMAL);

	if (!err)
		err = rule && rule <= TFS_INO_MAX && tfs_ship_on(vol) ? tfs_rule_find(vol, rule) : -ENOENT;
	if (!err)
		err = file_of(vol, ino, inode);
	return err ? err : tfs_ship_load(vol, ino, part);
}

int tfs_ship_mark(struct tfs_vol *vol, u64 ino, u64 rule, u64 acked)
{
	struct tfs_ship_part part;
	struct tfs_inode inode;
	int err = cursor_begin(vol, TFS_TIER_NORMAL, ino, rule, &inode, &part);

	if (!err && !inode.nlink)
		err = -ENOENT; /* what arrived of it elsewhere may be freed */
	if (err || tfs_ship_cursor_of(&part, rule))
		return err;
	err = room_check(vol, &part);
	return err ? err : cursor_commit(vol, ino, rule, part.head.generation, start_of(&inode, acked));
}

int tfs_ship_acked(struct tfs_vol *vol, u64 ino, u64 rule, u32 generation, u64 acked)
{
	const struct tfs_ship_cursor *c;
	struct tfs_ship_part part;
	struct tfs_inode inode;
	u64 kept = tfs_kept_of(vol, ino, generation); /* where lines that were cut off lie now */
	int err;

	if (kept)
		ino = kept;
	err = cursor_begin(vol, TFS_TIER_FREEING, ino, rule, &inode, &part);
	if (err)
		return err;
	if (kept && acked > tfs_le64(inode.size))
		acked = tfs_le64(inode.size); /* what lay behind a punch */
	c = tfs_ship_cursor_of(&part, rule);
	if (!c || tfs_is_dir(&inode))
		return -ENOENT;
	if (tfs_le32(part.head.generation) != generation)
		return -ESTALE;
	if (acked > tfs_le64(inode.size))
		return -EINVAL;
	if (acked <= tfs_le64(c->acked))
		return 0;
	err = cursor_commit(vol, ino, rule, part.head.generation, acked);
	if (!err && !inode.nlink)
		tfs_kept_review(vol, ino); /* what it does not free, a mount does */
	return err;
}

/* ---- looking ---- */

int tfs_ship_rule_next(struct tfs_vol *vol, u64 *rule, struct tfs_ship_rule_info *out)
{
	struct tfs_key k = tfs_rule_key(*rule);
	const struct tfs_ship_rule *r;
	const void *v;
	u32 len;
	int err = *rule <= TFS_INO_MAX && tfs_ship_on(vol) ? tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len) : -ENOENT;

	if (!err && (k.a != TFS_INO_ORPHANS || tfs_key_type(k) != TFS_IT_RULE))
		err = -ENOENT;
	if (err)
		return err;
	r = v;
	*rule = tfs_key_pos(k);
	out->ino = tfs_le64(r->ino);
	out->pattern_len = tfs_le16(r->pattern_len);
	out->target_len = tfs_le16(r->target_len);
	memcpy(out->pattern, r->text, out->pattern_len);
	memcpy(out->target, r->text + out->pattern_len, out->target_len);
	return 0;
}

/* One item after *ino: -ENOENT behind the last. */
static int ship_next(struct tfs_vol *vol, u64 *ino, struct tfs_ship_part *part)
{
	struct tfs_key k = tfs_ship_key(*ino);
	const void *v;
	u32 len;
	int err = *ino <= TFS_INO_MAX && tfs_ship_on(vol) ? tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len) : -ENOENT;

	if (!err && (k.a != TFS_INO_ORPHANS || tfs_key_type(k) != TFS_IT_SHIP))
		err = -ENOENT;
	if (err)
		return err;
	*ino = tfs_key_pos(k);
	return tfs_ship_load(vol, *ino, part);
}

int tfs_ship_file_next(struct tfs_vol *vol, u64 rule, u64 *ino, u32 items, struct tfs_ship_file *out)
{
	struct tfs_ship_part part;
	struct tfs_inode inode;
	int err = 0;

	for (; items && !(err = ship_next(vol, ino, &part)); ++*ino, items--) {
		const struct tfs_ship_cursor *c = tfs_ship_cursor_of(&part, rule);

		err = c ? file_of(vol, *ino, &inode) : 0;
		if (err)
			return err == -ENOENT ? tfs_corrupt(vol, *ino, "is to be forwarded and is not there") : err;
		if (!c || tfs_is_dir(&inode))
			continue;
		if (!tfs_ship_counts(&part))
			continue;
		if (part.head.origin && inode.nlink)
			return tfs_corrupt(vol, *ino, "has a name, and lines that were cut off another file");
		out->ino = *ino;
		out->origin = part.head.origin ? tfs_le64(part.head.origin) : *ino;
		out->acked = tfs_le64(c->acked);
		out->size = tfs_le64(inode.size);
		out->generation = tfs_le32(part.head.generation);
		out->nlink = tfs_le32(inode.nlink);
		out->ended = !inode.nlink && tfs_kept_has(vol, *ino);
		return 0;
	}
	return err ? err : 1;
}

int tfs_ship_state(struct tfs_vol *vol, u64 ino, u64 rule, u32 *generation, u64 *acked)
{
	const struct tfs_ship_cursor *c;
	struct tfs_ship_part part;
	int err = tfs_ship_load(vol, ino, &part);

	if (err)
		return err;
	if (!part.there)
		return -ENOENT;
	*generation = tfs_le32(part.head.generation);
	c = tfs_ship_cursor_of(&part, rule);
	if (!c)
		return -ENODATA;
	*acked = tfs_le64(c->acked);
	return 0;
}
