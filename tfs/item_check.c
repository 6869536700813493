// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Verifiers for every item type, by tree. Run on each leaf when it is read and by fsck, dump and the fuzzers, so that
 * all later code may trust lengths, names and pointers. Pure: they see one item and nothing else. NULL: sound; else
 * what is wrong, a static text. And, for all who look from outside: the place that a sound item refers to.
 */
#include "tfs/core.h"

static const char *time_check(const struct tfs_time *t)
{
	return tfs_le32(t->nsec) < 1000000000u ? NULL : "time out of range";
}

static bool type_known(u32 type)
{
	return type == 1 || type == 2 || type == 4 || type == 6 || type == 8 || type == 10 || type == 12;
}

static const char *inode_check(struct tfs_key key, const struct tfs_inode *i, u32 len)
{
	if (len != sizeof(*i) || tfs_key_pos(key))
		return "inode item malformed";
	if (!type_known(tfs_le32(i->mode) >> 12))
		return "inode type unknown";
	if (tfs_le64(i->size) > TFS_FILE_SIZE_MAX || tfs_le32(i->nlink) > TFS_LINK_MAX)
		return "inode size or link count out of range";
	if (i->codec >= TFS_CODEC_COUNT || i->window_bits < TFS_WINDOW_BITS_MIN || i->window_bits > TFS_WINDOW_BITS_MAX)
		return "inode codec or window unknown";
	if (tfs_le64(i->name_dir) > TFS_INO_MAX || tfs_le64(i->name_pos) > TFS_POS_MASK)
		return "inode's name out of range";
	if (time_check(&i->atime) || time_check(&i->mtime) || time_check(&i->ctime) || time_check(&i->btime))
		return "inode time out of range";
	return NULL;
}

static const char *name_check(const u8 *name, u32 len)
{
	u32 i;

	if (!len || (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return "name is empty, . or ..";
	for (i = 0; i < len; i++)
		if (!name[i] || name[i] == '/')
			return "name contains NUL or /";
	return NULL;
}

static const char *dirent_check(const struct tfs_dirent *d, u32 len)
{
	if (len < 11 || len != 10u + d->name_len)
		return "directory entry length differs";
	if (!tfs_le64(d->ino) || tfs_le64(d->ino) > TFS_INO_MAX || !type_known(d->type))
		return "directory entry names no inode";
	return name_check(d->name, d->name_len);
}

static const char *ptr_check(const struct tfs_ptr *p)
{
	if (!p->addr || p->addr >> 45 || !p->len || p->flags & ~TFS_PTR_GANG)
		return "pointer out of range";
	return NULL;
}

static const char *xattr_check(const struct tfs_xattr *x, u32 len)
{
	struct tfs_disk_ptr d;
	struct tfs_ptr p;
	u32 i, value;

	if (len < 6 || !x->name_len || len < 6u + x->name_len || x->where > 1)
		return "xattr malformed";
	for (i = 0; i < x->name_len; i++)
		if (!x->name[i])
			return "xattr name contains NUL";
	value = tfs_le32(x->value_len);
	if (value > TFS_XATTR_MAX)
		return "xattr value too long";
	if (!x->where)
		return len == 6 + x->name_len + value ? NULL : "xattr length differs";
	if (len != 6 + x->name_len + sizeof(d))
		return "xattr length differs";
	memcpy(&d, x->name + x->name_len, sizeof(d));
	p = tfs_ptr_cpu(&d);
	if (ptr_check(&p))
		return ptr_check(&p);
	return p.len == (value + TFS_UNIT - 1) / TFS_UNIT ? NULL : "xattr extent length differs";
}

static const char *extent_check(struct tfs_key key, const struct tfs_extent *e, u32 len)
{
	struct tfs_ptr p;
	u32 blocks, skip, total;

	if (len < TFS_EXTENT_HEAD)
		return "extent malformed";
	p = tfs_ptr_cpu(&e->ptr);
	blocks = tfs_le16(e->blocks);
	skip = tfs_le16(e->skip);
	total = tfs_le16(e->total);
	if (ptr_check(&p))
		return ptr_check(&p);
	if (!blocks || total > 256 || skip + blocks > total || e->flags || tfs_key_pos(key) >> 51)
		return "extent range out of bounds";
	if (e->codec >= TFS_CODEC_COUNT)
		return "extent codec unknown";
	if (e->codec)
		return len == TFS_EXTENT_HEAD && p.len < total * TFS_UNITS_PER_BLOCK ? NULL
		                                                                     : "compressed extent malformed";
	if (p.flags || p.addr % TFS_UNITS_PER_BLOCK || p.len != blocks * TFS_UNITS_PER_BLOCK || total != blocks ||
	    len != TFS_EXTENT_HEAD + 4 * blocks)
		return "raw extent malformed";
	return NULL;
}

static const char *range_check(struct tfs_key key, const void *value, u32 len)
{
	u64 blocks;

	if (len != 8)
		return "range malformed";
	blocks = tfs_le64(*(const le64 *)value);
	return blocks && blocks <= 1ull << 52 && tfs_key_pos(key) + blocks <= 1ull << 52 ? NULL : "range out of bounds";
}

static const char *rule_check(struct tfs_key key, const struct tfs_ship_rule *r, u32 len)
{
	u32 pattern, target;

	if (len < sizeof(*r) || !tfs_key_pos(key) || !tfs_le64(r->ino) || tfs_le64(r->ino) > TFS_INO_MAX)
		return "forwarding rule malformed";
	pattern = tfs_le16(r->pattern_len);
	target = tfs_le16(r->target_len);
	if (pattern > TFS_SHIP_PATTERN_MAX || !target || target > TFS_SHIP_TARGET_MAX ||
	    len != sizeof(*r) + pattern + target)
		return "forwarding rule's texts out of range";
	return NULL;
}

static const char *ship_check(struct tfs_key key, const struct tfs_ship *s, u32 len)
{
	u32 i, n;

	if (len < sizeof(*s) || !tfs_key_pos(key) || tfs_le64(s->head.origin) > TFS_INO_MAX ||
	    tfs_le16(s->head.flags) > (s->head.origin ? TFS_SHIP_COUNTS : 0))
		return "forwarding item malformed";
	n = tfs_le16(s->head.count);
	if (n > TFS_SHIP_RULES_MAX || len != sizeof(*s) + n * sizeof(s->cursor[0]))
		return "forwarding item's length differs";
	for (i = 0; i < n; i++) {
		u64 rule = tfs_le64(s->cursor[i].rule);

		if (!rule || rule > TFS_INO_MAX || tfs_le64(s->cursor[i].acked) > TFS_FILE_SIZE_MAX ||
		    (i && rule <= tfs_le64(s->cursor[i - 1].rule)))
			return "forwarding cursor out of range";
	}
	return NULL;
}

static bool of_no_inode(u32 type)
{
	return type == TFS_IT_ORPHAN || type == TFS_IT_RULE || type == TFS_IT_SHIP;
}

static const char *fs_check(struct tfs_key key, const void *value, u32 len)
{
	if (!key.a != of_no_inode(tfs_key_type(key)) || key.a > TFS_INO_MAX)
		return "item of no inode";
	switch (tfs_key_type(key)) {
	case TFS_IT_INODE:
		return inode_check(key, value, len);
	case TFS_IT_SYMLINK:
		return len && len <= TFS_SYMLINK_MAX && !tfs_key_pos(key) ? NULL : "symlink length out of range";
	case TFS_IT_INLINE:
		return len && len <= TFS_INLINE_MAX && !tfs_key_pos(key) ? NULL : "inline data length out of range";
	case TFS_IT_XATTR:
		return xattr_check(value, len);
	case TFS_IT_DIRENT:
		return dirent_check(value, len);
	case TFS_IT_EXTENT:
		return extent_check(key, value, len);
	case TFS_IT_PREALLOC:
	case TFS_IT_PENDING:
		return range_check(key, value, len);
	case TFS_IT_ORPHAN:
		return tfs_key_pos(key) && !len ? NULL : "orphan item malformed";
	case TFS_IT_RULE:
		return rule_check(key, value, len);
	case TFS_IT_SHIP:
		return ship_check(key, value, len);
	}
	return "unknown item type";
}

static const char *space_check(struct tfs_key key, u32 len)
{
	if (key.a >> 56 == 1)
		return len == TFS_SEGS_PER_ITEM * sizeof(struct tfs_segment) && !key.b ? NULL
		                                                                       : "segment table item malformed";
	if (key.a >> 56 == 2)
		return len >= 64 && len <= 1024 && !(len & (len - 1)) && key.b < 16 ? NULL : "segment map malformed";
	return "unknown item type";
}

static const char *root_check(const struct tfs_disk_ptr *d, u64 epoch)
{
	struct tfs_ptr p = tfs_ptr_cpu(d);

	return ptr_check(&p) || p.len > TFS_NODE_SIZE / TFS_UNIT + 1 || p.birth > epoch ? "snapshot root out of range"
	                                                                                : NULL;
}

static const char *snapshot_check(struct tfs_key key, const struct tfs_snapshot *s, u32 len)
{
	if (len < sizeof(*s) || len != sizeof(*s) + s->name_len || !key.b || key.b > TFS_EPOCH_MAX)
		return "snapshot item malformed";
	if (tfs_le16(s->flags) & ~TFS_SNAPSHOT_DYING || tfs_le64(s->first_list) > TFS_LIST_ID_MAX)
		return "snapshot flags or lists out of range";
	if (root_check(&s->fs, key.b) || (s->refs.addr && root_check(&s->refs, key.b)))
		return "snapshot root out of range";
	return time_check(&s->created) ? time_check(&s->created) : name_check(s->name, s->name_len);
}

static const char *runs_check(const struct tfs_run *r, u32 len)
{
	u32 i;

	if (len != TFS_DEAD_RUNS * sizeof(*r))
		return "deadlist runs malformed";
	for (i = 0; i < TFS_DEAD_RUNS; i++)
		if (tfs_le64(r[i].addr) >> 45 || !r[i].addr != !r[i].len)
			return "deadlist run out of range";
	return NULL;
}

static const char *old_state_check(u64 epoch, const struct tfs_old_state *o, u32 len)
{
	if (len != sizeof(*o) || !epoch || epoch > TFS_EPOCH_MAX || tfs_le64(o->since) >= epoch)
		return "old state malformed";
	if (tfs_le64(o->lists_from) > tfs_le64(o->lists_end) || tfs_le64(o->lists_end) > TFS_LIST_ID_MAX + 1 ||
	    tfs_le32(o->stage) > TFS_OLD_REFS)
		return "old state's lists or stage out of range";
	return root_check(&o->fs, epoch) || (o->refs.addr && root_check(&o->refs, epoch))
	           ? "old state's root out of range"
	           : NULL;
}

static const char *old_shared_check(u64 addr, const struct tfs_old_shared *s, u32 len)
{
	return len == sizeof(*s) && tfs_le32(s->len) && tfs_le32(s->len) <= 0xffff &&
	               !(tfs_le16(s->flags) & ~TFS_PTR_GANG) && addr && !(addr >> 45)
	           ? NULL
	           : "shared place of an old state malformed";
}

static const char *snap_check(struct tfs_key key, const void *value, u32 len)
{
	const struct tfs_deadlist *l = value;

	if (key.a == TFS_SNAP_ITEM)
		return snapshot_check(key, value, len);
	if (key.a == TFS_SNAP_LIST)
		return len == sizeof(*l) && key.b && key.b <= TFS_LIST_ID_MAX &&
		               tfs_le64(l->oldest) <= tfs_le64(l->newest) && tfs_le64(l->runs) <= tfs_le64(l->units)
		           ? NULL
		           : "deadlist malformed";
	if (key.a >> 56 == TFS_SNAP_RUNS >> 56)
		return runs_check(value, len);
	if (key.a == TFS_SNAP_OLD)
		return old_state_check(key.b, value, len);
	if (key.a == TFS_SNAP_SHARED)
		return old_shared_check(key.b, value, len);
	return "unknown item type";
}

const char *tfs_item_check(int tree, struct tfs_key key, const void *value, u32 len)
{
	switch (tree) {
	case TFS_TREE_FS:
		return fs_check(key, value, len);
	case TFS_TREE_SPACE:
		return space_check(key, len);
	case TFS_TREE_SNAP:
		return snap_check(key, value, len);
	case TFS_TREE_REFS:
		return len == sizeof(struct tfs_ref) && !key.b && key.a && !(key.a >> 45) ? NULL
		                                                                          : "reference item malformed";
	}
	return "unknown item type";
}

bool tfs_item_ptr(int tree, struct tfs_key key, const void *value, struct tfs_ptr *out)
{
	const struct tfs_xattr *x = value;
	struct tfs_disk_ptr d;

	if (tree != TFS_TREE_FS)
		return false;
	if (tfs_key_type(key) == TFS_IT_EXTENT)
		memcpy(&d, value, sizeof(d));
	else if (tfs_key_type(key) == TFS_IT_XATTR && x->where)
		memcpy(&d, x->name + x->name_len, sizeof(d));
	else
		return false;
	*out = tfs_ptr_cpu(&d);
	return true;
}
