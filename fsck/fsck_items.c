// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The items of the FS tree as they come in key order: those of one inode stand together, the inode item first. Each is
 * held against its inode's type and handed to fsck_extents.c or fsck_entries.c; sizes, blocks and entries are summed
 * and compared when the next inode begins. Leaves behind the table of objects and the list of names for fsck_names.c.
 */
#include "fsck/fsck_items.h"

#include <stdlib.h>

const char *fsck_item_name(u64 ino, char *out, size_t size, const char *what, u64 n)
{
	if (what)
		snprintf(out, size, "inode %llu %s %llu", (unsigned long long)ino, what, (unsigned long long)n);
	else
		snprintf(out, size, "inode %llu", (unsigned long long)ino);
	return out;
}

int fsck_items_begin(struct fsck *f, struct fsck_item_state **out)
{
	struct fsck_item_state *s = calloc(1, sizeof(*s) + (f->data ? 1u << 18 : 0));

	if (!s)
		return -ENOMEM;
	s->f = f;
	s->buf = f->data ? (u8 *)(s + 1) : NULL;
	*out = s;
	return 0;
}

static u32 inode_type(const struct tfs_inode *i)
{
	return tfs_le32(i->mode) >> 12;
}

/* The last block of the largest file is one byte short. */
static u64 bytes_to(u64 block)
{
	return block * TFS_BLOCK > TFS_FILE_SIZE_MAX ? TFS_FILE_SIZE_MAX : block * TFS_BLOCK;
}

/* Item types that an inode of this type may have, a bit each. */
static u32 items_of(u32 inode)
{
	const u32 any = 1u << TFS_IT_INODE | 1u << TFS_IT_XATTR;

	if (inode == 4)
		return any | 1u << TFS_IT_DIRENT;
	if (inode == 10)
		return any | 1u << TFS_IT_SYMLINK;
	if (inode == 8)
		return any | 1u << TFS_IT_INLINE | 1u << TFS_IT_EXTENT | 1u << TFS_IT_PREALLOC | 1u << TFS_IT_PENDING;
	return any;
}

void fsck_item_remove(struct fsck_item_state *s, struct tfs_key key)
{
	fsck_fix_add(s->f, FIX_DEL, TFS_TREE_FS, key, 0, NULL, 0);
}

/* ---- the end of an inode's items ---- */

/* No inode item: one is made from what its items say it was. */
static void inode_make(struct fsck_item_state *s)
{
	struct tfs_inode *i = &s->inode;
	char object[64];
	bool root = s->ino == TFS_INO_ROOT;
	u32 type = root || s->types >> TFS_IT_DIRENT & 1 ? 4 : s->types >> TFS_IT_SYMLINK & 1 ? 10 : 8;
	u64 size = type == 4 ? s->entries : type == 10 ? s->target : s->end ? bytes_to(s->end) : s->inline_bytes;
	u32 unfit = s->types & ~items_of(type);

	memset(i, 0, sizeof(*i));
	i->mode = tfs_cpu32(type << 12 | (type == 4 ? 0700 : type == 10 ? 0777 : 0600));
	i->nlink = tfs_cpu32(type == 4 ? 2 + s->subdirs : 1);
	i->size = tfs_cpu64(size);
	i->blocks = tfs_cpu64(type == 8 ? s->blocks : 0);
	i->parent = tfs_cpu64(type == 4 ? TFS_INO_ROOT : 0);
	i->codec = TFS_CODEC_NONE;
	i->window_bits = TFS_WINDOW_BITS;
	if (fsck_problem(s->f, root ? FSCK_ROOT_MISSING : FSCK_INODE_MISSING,
	                 fsck_item_name(s->ino, object, sizeof(object), NULL, 0),
	                 "expected an inode item, found only items of type mask %x", s->types))
		fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 0, i, sizeof(*i));
	if (unfit && fsck_problem(s->f, FSCK_ITEM_UNFIT, fsck_item_name(s->ino, object, sizeof(object), NULL, 0),
	                          "expected none of type mask %x under an inode of type %u", unfit, type))
		fsck_fix_add(s->f, FIX_UNFIT, TFS_TREE_FS, fsck_key(s->ino, 0, 0), unfit, NULL, 0);
}

static void number_check(struct fsck_item_state *s, enum fsck_problem p, enum fsck_fix_kind fix, u64 stated, u64 found)
{
	char object[64];

	if (stated == found)
		return;
	if (fsck_problem(s->f, p, fsck_item_name(s->ino, object, sizeof(object), NULL, 0), "expected %llu, found %llu",
	                 (unsigned long long)found, (unsigned long long)stated))
		fsck_fix_add(s->f, fix, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), found, NULL, 0);
}

static void target_check(struct fsck_item_state *s, u64 size)
{
	char object[64];

	if (!(s->types >> TFS_IT_SYMLINK & 1)) {
		if (fsck_problem(s->f, FSCK_TARGET_MISSING, fsck_item_name(s->ino, object, sizeof(object), NULL, 0),
		                 "expected a target of %llu bytes, found none", (unsigned long long)size)) {
			fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_SYMLINK, 0), 0, "lost-target",
			             11);
			fsck_fix_add(s->f, FIX_SIZE, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 11, NULL, 0);
		}
		return;
	}
	number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, s->target);
}

void fsck_flags_wrong(struct fsck_item_state *s, bool tail)
{
	u32 flags = tfs_le32(s->inode.flags);
	char object[64];

	if (fsck_problem(s->f, FSCK_TAIL_FLAG, fsck_item_name(s->ino, object, sizeof(object), NULL, 0),
	                 tail ? "expected it, since bytes behind the end are not zero; found none"
	                      : "expected none, since it is no regular file; found one"))
		fsck_fix_add(s->f, FIX_FLAGS, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), flags ^ TFS_INODE_TAIL,
		             NULL, 0);
}

static void content_check(struct fsck_item_state *s)
{
	u32 type = inode_type(&s->inode);
	u64 size = tfs_le64(s->inode.size);

	if (type != 8 && tfs_le32(s->inode.flags) & TFS_INODE_TAIL)
		fsck_flags_wrong(s, false);
	number_check(s, FSCK_BLOCKS_WRONG, FIX_BLOCKS, tfs_le64(s->inode.blocks), s->blocks);
	if (type == 10)
		target_check(s, size);
	else if (type == 8 && s->end > fsck_size_blocks(s) &&
	         !s->past_pending) /* shrinking would lose what was written */
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, bytes_to(s->end));
	else if (type == 8 && s->inline_bytes > size)
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, s->inline_bytes);
	else if (type != 8 && type != 4)
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, 0);
}

static int object_end(struct fsck_item_state *s)
{
	struct fsck *f = s->f;
	struct fsck_object *o;

	if (!s->begun || !s->ino)
		return 0;
	if (s->have)
		content_check(s);
	else
		inode_make(s);
	if (fsck_grow(&f->object, &f->objects_max, f->objects + 1, sizeof(*f->object)))
		return -ENOMEM;
	o = &f->object[f->objects++];
	memset(o, 0, sizeof(*o));
	o->ino = s->ino;
	o->type = (u8)inode_type(&s->inode);
	o->nlink = tfs_le32(s->inode.nlink);
	o->entries = s->entries;
	o->subdirs = s->subdirs;
	o->name_dir = tfs_le64(s->inode.name_dir);
	o->name_pos = tfs_le64(s->inode.name_pos);
	if (o->type == 4 || o->type == 8)
		o->size = tfs_le64(s->inode.size);
	if (o->type == 4) {
		o->flags |= OBJ_DIR;
		o->parent = tfs_le64(s->inode.parent);
	}
	if (s->ino > f->max_ino)
		f->max_ino = s->ino;
	tfs_progress_add(&f->progress, 0);
	return 0;
}

static int object_begin(struct fsck_item_state *s, u64 ino)
{
	int err = object_end(s);

	s->begun = true;
	s->have = s->past_pending = false;
	s->ino = ino;
	s->types = s->target = s->inline_bytes = s->entries = s->subdirs = s->seens = s->same = 0;
	s->blocks = s->end = s->promised = s->dropped = 0;
	s->window = s->hash = s->past = ~0ull;
	s->f->runs = 0;
	memset(&s->inode, 0, sizeof(s->inode));
	return err;
}

/* ---- one item ---- */

/* The root is a directory whatever its inode says: what it names is worth more. */
static void root_type(struct fsck_item_state *s)
{
	struct tfs_inode *i = &s->inode;
	u32 type = inode_type(i);

	if (s->ino != TFS_INO_ROOT || type == 4)
		return;
	i->mode = tfs_cpu32((tfs_le32(i->mode) & 07777) | 0040000);
	i->blocks = 0;
	if (fsck_problem(s->f, FSCK_ROOT_MISSING, "inode 1", "expected a directory, found type %u", type))
		fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 0, i, sizeof(*i));
}

static int orphan(struct fsck *f, struct tfs_key key)
{
	struct fsck_name n = {TFS_INO_ORPHANS, key.b & TFS_POS_MASK, key.b & TFS_POS_MASK};

	if (fsck_grow(&f->name, &f->names_max, f->names + 1, sizeof(*f->name)))
		return -ENOMEM;
	f->name[f->names++] = n;
	return 0;
}

static int ship(struct fsck *f, struct tfs_key key, const struct tfs_ship *s)
{
	struct fsck_ship n = {.ino = key.b & TFS_POS_MASK, .origin = tfs_le64(s->head.origin)};

	if (fsck_grow(&f->ship, &f->ships_max, f->ships + 1, sizeof(*f->ship)))
		return -ENOMEM;
	for (u32 i = 0; i < tfs_le16(s->head.count); i++)
		if (tfs_le64(s->cursor[i].acked) > n.acked)
			n.acked = tfs_le64(s->cursor[i].acked);
	f->ship[f->ships++] = n;
	return 0;
}

/* Items of the volume that stand under no inode. */
static int item_of_none(struct fsck *f, struct tfs_key key, const void *value)
{
	u64 pos = key.b & TFS_POS_MASK;

	switch (key.b >> TFS_POS_BITS) {
	case TFS_IT_RULE: /* its number is never an inode's */
		if (pos > f->max_ino)
			f->max_ino = pos;
		return 0;
	case TFS_IT_SHIP:
		return ship(f, key, value);
	}
	return orphan(f, key);
}

static int item_of_inode(struct fsck_item_state *s, struct tfs_key key, const void *value, u32 len)
{
	switch (key.b >> TFS_POS_BITS) {
	case TFS_IT_SYMLINK:
		s->target = len;
		return 0;
	case TFS_IT_INLINE:
		s->inline_bytes = len;
		return 0;
	case TFS_IT_XATTR:
		return fsck_xattr(s, key, value);
	case TFS_IT_DIRENT:
		return fsck_dirent(s, key, value);
	case TFS_IT_EXTENT:
		return fsck_extent(s, key, value);
	case TFS_IT_PREALLOC:
		fsck_prealloc(s, key, value);
		return 0;
	case TFS_IT_PENDING:
		return fsck_pending(s, key, value);
	}
	return 0;
}

int fsck_item(struct fsck_item_state *s, struct tfs_key key, const void *value, u32 len)
{
	u32 type = (u32)(key.b >> TFS_POS_BITS);
	char object[64];
	int err = !s->begun || key.a != s->ino ? object_begin(s, key.a) : 0;

	if (err)
		return err;
	s->types |= 1u << type;
	if (!key.a)
		return item_of_none(s->f, key, value);
	if (type == TFS_IT_INODE) {
		memcpy(&s->inode, value, sizeof(s->inode));
		s->have = true;
		root_type(s);
		return 0;
	}
	if (!s->have || items_of(inode_type(&s->inode)) >> type & 1)
		return item_of_inode(s, key, value, len);
	s->types &= ~(1u << type);
	fsck_item_name(s->ino, object, sizeof(object), "item at", key.b & TFS_POS_MASK);
	if (fsck_problem(s->f, FSCK_ITEM_UNFIT, object, "expected none of type %u under an inode of type %u", type,
	                 inode_type(&s->inode)))
		fsck_item_remove(s, key);
	return 0;
}

int fsck_items_end(struct fsck_item_state *s)
{
	return object_end(s);
}
