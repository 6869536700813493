// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 3: what the names say against what the inodes say. Every entry leads to an inode of its type; every directory
 * has one name, in the parent it states, and a path to the root; where an inode says that its name stands it does; link
 * counts are what was counted; inodes without a name are on the orphan list and nothing else is; forwarding cursors lie
 * within files. Works on the tables of pass 2 alone.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct fsck_object *fsck_object_find(struct fsck *f, u64 ino)
{
	size_t lo = 0, hi = f->objects;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->object[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->objects && f->object[lo].ino == ino ? &f->object[lo] : NULL;
}

static u64 child_of(const struct fsck_name *n)
{
	return n->child & TFS_INO_MAX;
}

static struct tfs_key entry_key(const struct fsck_name *n)
{
	return fsck_key(n->parent, TFS_IT_DIRENT, n->pos);
}

static const char *entry_name(const struct fsck_name *n, char out[96])
{
	snprintf(out, 96, "directory %llu entry %llx", (unsigned long long)n->parent, (unsigned long long)n->pos);
	return out;
}

static const char *inode_name(u64 ino, char out[96])
{
	snprintf(out, 96, "inode %llu", (unsigned long long)ino);
	return out;
}

static bool stated(const struct fsck_object *o, const struct fsck_name *n)
{
	return o->name_dir == n->parent && o->name_pos == n->pos;
}

/* The entry goes: its directory counts one less. */
static void entry_remove(struct fsck *f, struct fsck_name *n)
{
	struct fsck_object *dir = fsck_object_find(f, n->parent), *o = fsck_object_find(f, child_of(n));

	if (o && stated(o, n))
		o->flags &= (u8)~OBJ_TRUE;
	fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, entry_key(n), 0, NULL, 0);
	dir->entries--;
	n->child = 0;
}

static void entry_counts(struct fsck *f, struct fsck_name *n, struct fsck_object *o)
{
	o->flags |= (u8)(OBJ_NAMED | (stated(o, n) ? OBJ_TRUE : 0));
	o->links++;
	o->name = (size_t)(n - f->name);
}

static void entry_dir(struct fsck *f, struct fsck_name *n, struct fsck_object *o)
{
	struct fsck_object *dir = fsck_object_find(f, n->parent);
	char object[96];

	if (o->flags & OBJ_NAMED || o->ino == TFS_INO_ROOT) {
		if (fsck_problem(f, FSCK_DIR_TWO_NAMES, entry_name(n, object),
		                 "expected one name of directory %llu, found another", (unsigned long long)o->ino))
			entry_remove(f, n);
		return;
	}
	entry_counts(f, n, o);
	dir->subdirs++;
	if (o->parent == n->parent)
		return;
	if (fsck_problem(f, FSCK_DIR_PARENT, inode_name(o->ino, object), "expected parent %llu, found %llu",
	                 (unsigned long long)n->parent, (unsigned long long)o->parent))
		fsck_fix_add(f, FIX_PARENT, TFS_TREE_FS, fsck_key(o->ino, TFS_IT_INODE, 0), n->parent, NULL, 0);
	o->parent = n->parent;
}

static void entry(struct fsck *f, struct fsck_name *n)
{
	struct fsck_object *o = fsck_object_find(f, child_of(n));
	u32 type = (u32)(n->child >> 56);
	char object[96];

	if (!o) {
		if (fsck_problem(f, FSCK_ENTRY_DANGLING, entry_name(n, object), "expected inode %llu, found none",
		                 (unsigned long long)child_of(n)))
			entry_remove(f, n);
		return;
	}
	if (type != o->type &&
	    fsck_problem(f, FSCK_ENTRY_TYPE, entry_name(n, object), "expected type %u of inode %llu, found %u", o->type,
	                 (unsigned long long)o->ino, type))
		fsck_fix_add(f, FIX_ENTRY_TYPE, TFS_TREE_FS, entry_key(n), o->type, NULL, 0);
	if (o->type == 4) {
		entry_dir(f, n, o);
		return;
	}
	entry_counts(f, n, o);
}

static void orphan_item(struct fsck *f, const struct fsck_name *n)
{
	struct fsck_object *o = fsck_object_find(f, n->pos);
	char object[96];

	if (o && !o->nlink) {
		o->flags |= OBJ_ORPHAN;
		return;
	}
	if (fsck_problem(f, FSCK_ORPHAN_WRONG, inode_name(n->pos, object), "expected an inode without links, found %s",
	                 o ? "one with links" : "none"))
		fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_ORPHAN, n->pos), 0, NULL, 0);
}

/* ---- paths to the root ---- */

/* A directory that leads to itself and not to the root loses its name, and so becomes the top of what is lost. */
static void name_cut(struct fsck *f, struct fsck_object *o)
{
	fsck_object_find(f, o->parent)->subdirs--;
	entry_remove(f, &f->name[o->name]);
	o->links--;
}

/* REACHED afterwards, whatever was decided: what hangs below is lost with it and said once. */
static void lost(struct fsck *f, struct fsck_object *o, const char *why)
{
	char object[96];

	o->flags |=
	    OBJ_REACHED | OBJ_TRUE; /* it will state its new name; declined, what it states is all there is to go by */
	if (!fsck_problem(f, FSCK_UNREACHABLE, inode_name(o->ino, object), "expected a name, found %s", why))
		return;
	if (o->flags & OBJ_NAMED)
		name_cut(f, o);
	if (o->flags & OBJ_ORPHAN)
		fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_ORPHAN, o->ino), 0, NULL, 0);
	fsck_fix_add(f, FIX_LOST, TFS_TREE_FS, fsck_key(o->ino, TFS_IT_INODE, 0), o->type, NULL, 0);
	o->flags = (u8)((o->flags | OBJ_NAMED | OBJ_TRUE) & ~OBJ_ORPHAN);
	o->links++;
}

/* Walks up until something known; each directory is passed once. A walk that meets itself found a cycle. */
static void reach(struct fsck *f, struct fsck_object *o)
{
	struct fsck_object *p = o;

	while (!(p->flags & (OBJ_WALKED | OBJ_REACHED)) && p->flags & OBJ_NAMED) {
		p->flags |= OBJ_WALKED;
		p = fsck_object_find(f, p->parent);
	}
	if (p->flags & OBJ_WALKED)
		lost(f, p, "a cycle of directories");
	for (p = o; p->flags & OBJ_WALKED; p = fsck_object_find(f, p->parent))
		p->flags = (u8)((p->flags | OBJ_REACHED) & ~OBJ_WALKED);
}

/* An orphan has no links; and nothing in it: what a directory names would be lost with it. */
static bool must_have_name(const struct fsck_object *o)
{
	return o->ino != TFS_INO_ROOT && (o->entries || (o->nlink && !(o->flags & OBJ_ORPHAN)));
}

static void paths(struct fsck *f)
{
	size_t i;

	fsck_object_find(f, TFS_INO_ROOT)->flags |= OBJ_REACHED;
	for (i = 0; i < f->objects; i++)
		if (!(f->object[i].flags & OBJ_NAMED) && must_have_name(&f->object[i]))
			lost(f, &f->object[i], "none");
	for (i = 0; i < f->objects; i++)
		if (f->object[i].flags & OBJ_DIR)
			reach(f, &f->object[i]);
}

/* ---- counts ---- */

static void number(struct fsck *f, const struct fsck_object *o, enum fsck_problem p, enum fsck_fix_kind fix, u64 stated,
                   u64 found)
{
	char object[96];

	if (stated != found && fsck_problem(f, p, inode_name(o->ino, object), "expected %llu, found %llu",
	                                    (unsigned long long)found, (unsigned long long)stated))
		fsck_fix_add(f, fix, TFS_TREE_FS, fsck_key(o->ino, TFS_IT_INODE, 0), found, NULL, 0);
}

/* Where it says that its name stands. */
static void place(struct fsck *f, const struct fsck_object *o)
{
	const struct fsck_name *n = o->flags & OBJ_NAMED ? &f->name[o->name] : NULL;
	struct tfs_key to = {0, 0};
	char object[96];

	if (!o->name_dir || o->flags & OBJ_TRUE)
		return;
	if (n)
		to = (struct tfs_key){n->parent, n->pos};
	if (fsck_problem(f, FSCK_NAME_PLACE, inode_name(o->ino, object),
	                 "expected its name in directory %llu at %llx, found that it states directory %llu at %llx",
	                 (unsigned long long)to.a, (unsigned long long)to.b, (unsigned long long)o->name_dir,
	                 (unsigned long long)o->name_pos))
		fsck_fix_add(f, FIX_NAME, TFS_TREE_FS, fsck_key(o->ino, TFS_IT_INODE, 0), 0, &to, sizeof(to));
}

static void counts(struct fsck *f, struct fsck_object *o)
{
	char object[96];
	u32 links = o->links;

	if (o->flags & OBJ_DIR) {
		number(f, o, FSCK_SIZE_WRONG, FIX_SIZE, o->size, o->entries);
		links = o->links || o->ino == TFS_INO_ROOT ? 2 + o->subdirs : 0;
	}
	if (links)
		number(f, o, FSCK_NLINK_WRONG, FIX_NLINK, o->nlink, links);
	if (links && o->flags & OBJ_ORPHAN &&
	    fsck_problem(f, FSCK_ORPHAN_WRONG, inode_name(o->ino, object),
	                 "expected an inode without a name, found one with names"))
		fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_ORPHAN, o->ino), 0, NULL, 0);
	if (links || o->flags & OBJ_ORPHAN || must_have_name(o)) /* the last: its repair was declined */
		return;
	if (fsck_problem(f, FSCK_ORPHAN_WRONG, inode_name(o->ino, object), "expected an orphan item, found none"))
		fsck_fix_add(f, FIX_PUT, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_ORPHAN, o->ino), 0, "", 0);
}

/* Forwarding cursors: a file's, at most its size; a directory's are 0. */
static void ship(struct fsck *f, const struct fsck_ship *s)
{
	struct fsck_object *o = fsck_object_find(f, s->ino);
	u64 end = o && o->type == 8 ? o->size : 0;
	char object[96];

	inode_name(s->ino, object);
	if (!o || (o->type != 4 && o->type != 8)) {
		if (fsck_problem(f, FSCK_SHIP_WRONG, object, "expected a file or directory, found %s",
		                 o ? "something else" : "none"))
			fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_SHIP, s->ino), 0, NULL,
			             0);
	} else if (s->origin && o->links) {
		if (fsck_problem(f, FSCK_SHIP_WRONG, object,
		                 "has names: expected lines of its own, found some cut off inode %llu",
		                 (unsigned long long)s->origin))
			fsck_fix_add(f, FIX_DEL, TFS_TREE_FS, fsck_key(TFS_INO_ORPHANS, TFS_IT_SHIP, s->ino), 0, NULL,
			             0);
	} else if (s->acked > end &&
	           fsck_problem(f, FSCK_SHIP_WRONG, object, "expected %llu bytes acknowledged at most, found %llu",
	                        (unsigned long long)end, (unsigned long long)s->acked)) {
		fsck_fix_add(f, FIX_ACKED, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), end, NULL, 0);
	}
}

static int root_ensure(struct fsck *f)
{
	struct fsck_object *root = fsck_object_find(f, TFS_INO_ROOT);
	struct tfs_inode i;

	if (root && root->type == 4) {
		number(f, root, FSCK_DIR_PARENT, FIX_PARENT, root->parent, TFS_INO_ROOT);
		return 0;
	}
	memset(&i, 0, sizeof(i));
	i.mode = tfs_cpu32(0040755);
	i.nlink = tfs_cpu32(2);
	i.parent = tfs_cpu64(TFS_INO_ROOT);
	i.window_bits = TFS_WINDOW_BITS;
	if (!fsck_problem(f, FSCK_ROOT_MISSING, "inode 1", "expected a directory, found %s",
	                  root ? "something else" : "none"))
		return 1;
	fsck_fix_add(f, FIX_PUT, TFS_TREE_FS, fsck_key(TFS_INO_ROOT, TFS_IT_INODE, 0), 0, &i, sizeof(i));
	if (!root) {
		if (fsck_grow(&f->object, &f->objects_max, f->objects + 1, sizeof(*f->object)))
			return -ENOMEM;
		memmove(f->object + 1, f->object, f->objects * sizeof(*f->object));
		f->objects++;
		root = f->object;
	}
	memset(root, 0, sizeof(*root));
	root->ino = root->parent = TFS_INO_ROOT;
	root->nlink = 2;
	root->type = 4;
	root->flags = OBJ_DIR;
	return 0;
}

int fsck_names(struct fsck *f)
{
	size_t i;
	int err = root_ensure(f);

	tfs_progress_pass(&f->progress, "names", f->names);
	if (err)
		return err < 0 ? err : 0;
	for (i = 0; i < f->objects; i++)
		f->object[i].subdirs = 0; /* counted by the entries that stay */
	for (i = 0; i < f->names; i++) {
		if (f->name[i].parent == TFS_INO_ORPHANS)
			orphan_item(f, &f->name[i]);
		else
			entry(f, &f->name[i]);
		tfs_progress_add(&f->progress, 1);
	}
	paths(f);
	for (i = 0; i < f->objects; i++) {
		place(f, &f->object[i]);
		counts(f, &f->object[i]);
	}
	for (i = 0; i < f->ships; i++)
		ship(f, &f->ship[i]);
	return 0;
}
