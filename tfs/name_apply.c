// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What namespace records do to the trees, live and in replay. Each function checks the whole record against the volume
 * first (a crafted log may say anything: -EUCLEAN), then prepares every item it touches, then applies, which cannot
 * fail. Always: a directory's size counts its entries and nlink its subdirectories plus two; an inode without links has
 * an orphan item; an inode that says where its name stands says the truth.
 */
#include "tfs/name.h"
#include "tfs/ship.h"

static int bad(struct tfs_vol *vol, const struct tfs_rec_head *rec, const char *what)
{
	return tfs_corrupt(vol, tfs_le64(rec->ino), what);
}

/* -ENOENT in replay is a contradiction. */
static int must(struct tfs_vol *vol, const struct tfs_rec_head *rec, int err, const char *what)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ENOSPC ? bad(vol, rec, what) : err;
}

static bool name_sound(const u8 *name, u32 len)
{
	u32 i;

	if (!len || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return false;
	for (i = 0; i < len; i++)
		if (!name[i] || name[i] == '/')
			return false;
	return true;
}

static void add32(le32 *v, int n)
{
	*v = tfs_cpu32(tfs_le32(*v) + (u32)n);
}

/* A directory gained (n = 1) or lost (-1) an entry, a subdirectory's perhaps. */
static void dir_changed(struct tfs_inode *dir, int n, bool subdir, const struct tfs_time *t)
{
	dir->size = tfs_cpu64(tfs_le64(dir->size) + (u64)(s64)n);
	if (subdir)
		add32(&dir->nlink, n);
	dir->mtime = dir->ctime = *t;
}

static int orphan_find(struct tfs_vol *vol, u64 ino)
{
	const void *v;
	u32 len;

	return tfs_item_find(vol, TFS_TREE_FS, tfs_orphan_key(ino), &v, &len);
}

static void orphan_put(struct tfs_vol *vol, u64 ino)
{
	tfs_item_put(vol, TFS_TREE_FS, tfs_orphan_key(ino), "", 0);
}

/* Who has an inode's number so finds its path without looking through directories. */
static void named(struct tfs_inode *i, struct tfs_key entry)
{
	i->name_dir = tfs_cpu64(entry.a);
	i->name_pos = tfs_cpu64(tfs_key_pos(entry));
}

/* Of other names it may have nobody knows where they are. */
static void unnamed(struct tfs_inode *i, struct tfs_key entry)
{
	if (tfs_le64(i->name_dir) == entry.a && tfs_le64(i->name_pos) == tfs_key_pos(entry))
		i->name_dir = i->name_pos = 0;
}

/* Takes one link, the name at `entry` (a directory: all), from an inode; the last makes it an orphan. */
static void link_drop(struct tfs_vol *vol, u64 ino, struct tfs_inode *i, struct tfs_key entry, const struct tfs_time *t)
{
	unnamed(i, entry);
	i->nlink = tfs_is_dir(i) ? 0 : tfs_cpu32(tfs_le32(i->nlink) - 1);
	i->ctime = *t;
	if (!i->nlink)
		orphan_put(vol, ino);
}

/* The entry for a name must be absent: *key is where it goes. */
static int expect_free(struct tfs_vol *vol, const struct tfs_rec_head *rec, u64 dir, const u8 *name, u32 len,
                       struct tfs_key *key)
{
	u64 ino;
	u8 type;
	int err = tfs_dirent_find(vol, dir, name, len, key, &ino, &type);

	if (!err)
		return bad(vol, rec, "record makes a name that exists");
	return err == -ENOENT ? 0 : err;
}

/* The entry must be there and name `want`. */
static int expect_name(struct tfs_vol *vol, const struct tfs_rec_head *rec, u64 dir, const u8 *name, u32 len, u64 want,
                       struct tfs_key *key)
{
	u64 ino;
	u8 type;
	int err = tfs_dirent_find(vol, dir, name, len, key, &ino, &type);

	if (!err && ino != want)
		return bad(vol, rec, "record names another inode than the entry");
	return must(vol, rec, err, "record names an entry that is not there");
}

static void created_count(struct tfs_vol *vol, u64 ino)
{
	struct tfs_counters *c = tfs_counters_of(vol);

	c->inodes++;
	if (c->next_ino <= ino)
		c->next_ino = ino + 1;
}

/* ---- create ---- */

static int create_sound(struct tfs_vol *vol, const struct tfs_rec_create *r)
{
	const u8 *name = (const u8 *)(r + 1);
	u32 type = tfs_le32(r->mode) & TFS_S_IFMT, target = tfs_le16(r->target_len);

	if (tfs_le32(r->head.len) < sizeof(*r) || tfs_le32(r->head.len) < sizeof(*r) + r->name_len + target)
		return bad(vol, &r->head, "create record too short");
	if ((r->name_len && !name_sound(name, r->name_len)) || (!r->name_len && type == TFS_S_IFDIR))
		return bad(vol, &r->head, "create record's name is not one");
	if ((type == TFS_S_IFLNK) != (target != 0) || target > TFS_SYMLINK_MAX)
		return bad(vol, &r->head, "create record's target does not fit its type");
	if (tfs_le64(r->head.ino) < tfs_counters_of(vol)->next_ino || tfs_le64(r->head.ino) > TFS_INO_MAX)
		return bad(vol, &r->head, "create record reuses an inode number");
	return 0;
}

static void create_inode(const struct tfs_rec_create *r, struct tfs_inode *i)
{
	bool dir = (tfs_le32(r->mode) & TFS_S_IFMT) == TFS_S_IFDIR;

	memset(i, 0, sizeof(*i));
	i->mode = r->mode;
	i->uid = r->uid;
	i->gid = r->gid;
	i->nlink = tfs_cpu32(!r->name_len ? 0 : dir ? 2 : 1);
	i->size = tfs_cpu64(tfs_le16(r->target_len));
	i->rdev_major = r->rdev_major;
	i->rdev_minor = r->rdev_minor;
	i->parent = dir ? r->parent : 0;
	i->codec = r->codec;
	i->codec_level = r->codec_level;
	i->window_bits = r->window_bits;
	i->generation = r->generation;
	i->atime = i->mtime = i->ctime = i->btime = r->head.time;
}

static int create_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_create *r = (const struct tfs_rec_create *)rec;
	const u8 *name = (const u8 *)(r + 1);
	u64 ino = tfs_le64(rec->ino), parent;
	u32 target;
	struct tfs_inode dir, inode;
	struct tfs_key key;
	int err = create_sound(vol, r);

	if (err)
		return err;
	parent = tfs_le64(r->parent);
	target = tfs_le16(r->target_len);
	create_inode(r, &inode);
	if (tfs_item_check(TFS_TREE_FS, tfs_inode_key(ino), &inode, sizeof(inode)))
		return bad(vol, rec, "create record's attributes are out of range");
	err = must(vol, rec, tfs_dir_inode(vol, parent, &dir), "create record's parent is not a directory");
	if (!err && r->name_len)
		err = expect_free(vol, rec, parent, name, r->name_len, &key);
	if (!err && r->name_len)
		err = tfs_ship_inherit(vol, 0, parent, name, r->name_len, ino, tfs_le32(r->mode));
	if (err)
		return err;
	tfs_need(vol, TFS_TREE_FS, tfs_inode_key(ino), sizeof(inode));
	if (r->name_len) {
		tfs_need_inode(vol, parent);
		tfs_need(vol, TFS_TREE_FS, key, tfs_dirent_bytes(r->name_len));
	} else {
		tfs_need(vol, TFS_TREE_FS, tfs_orphan_key(ino), 1);
	}
	if (target)
		tfs_need(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_SYMLINK, 0), target);
	err = tfs_prepare(vol);
	if (err)
		return err;
	if (r->name_len)
		named(&inode, key);
	tfs_item_put(vol, TFS_TREE_FS, tfs_inode_key(ino), &inode, sizeof(inode));
	if (target)
		tfs_item_put(vol, TFS_TREE_FS, tfs_key(ino, TFS_IT_SYMLINK, 0), name + r->name_len, target);
	if (r->name_len) {
		tfs_dirent_put(vol, key, name, r->name_len, ino, (u8)(tfs_le32(r->mode) >> 12));
		dir_changed(&dir, 1, tfs_is_dir(&inode), &rec->time);
		tfs_inode_put(vol, parent, &dir);
		tfs_ship_inherited(vol, 1);
	} else {
		orphan_put(vol, ino);
	}
	created_count(vol, ino);
	return 0;
}

/* ---- link and unlink ---- */

static int link_sound(struct tfs_vol *vol, const struct tfs_rec_link *r)
{
	if (tfs_le32(r->head.len) < sizeof(*r) || tfs_le32(r->head.len) < sizeof(*r) + r->name_len ||
	    !name_sound((const u8 *)(r + 1), r->name_len))
		return bad(vol, &r->head, "link record malformed");
	return 0;
}

static int link_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_link *r = (const struct tfs_rec_link *)rec;
	const u8 *name = (const u8 *)(r + 1);
	u64 ino = tfs_le64(rec->ino), parent;
	struct tfs_inode dir, inode;
	struct tfs_key key;
	bool orphan;
	int err = link_sound(vol, r);

	if (err)
		return err;
	parent = tfs_le64(r->parent);
	err = must(vol, rec, tfs_dir_inode(vol, parent, &dir), "link record's parent is not a directory");
	if (!err)
		err = must(vol, rec, tfs_inode_find(vol, ino, &inode), "link record names no inode");
	if (!err)
		err = expect_free(vol, rec, parent, name, r->name_len, &key);
	if (err)
		return err;
	if (tfs_is_dir(&inode) || tfs_le32(inode.nlink) >= TFS_LINK_MAX)
		return bad(vol, rec, "link record names a directory or has too many links");
	orphan = !inode.nlink;
	if (orphan)
		err = must(vol, rec, orphan_find(vol, ino), "link record's inode has no links and is no orphan");
	if (!err)
		err = tfs_ship_inherit(vol, 0, parent, name, r->name_len, ino, tfs_le32(inode.mode));
	if (err)
		return err;
	tfs_need_inode(vol, parent);
	tfs_need_inode(vol, ino);
	tfs_need(vol, TFS_TREE_FS, key, tfs_dirent_bytes(r->name_len));
	if (orphan)
		tfs_need(vol, TFS_TREE_FS, tfs_orphan_key(ino), 0);
	err = tfs_prepare(vol);
	if (err)
		return err;
	if (orphan)
		tfs_item_del(vol, TFS_TREE_FS, tfs_orphan_key(ino));
	add32(&inode.nlink, 1);
	inode.ctime = rec->time;
	named(&inode, key);
	dir_changed(&dir, 1, false, &rec->time);
	tfs_dirent_put(vol, key, name, r->name_len, ino, (u8)(tfs_le32(inode.mode) >> 12));
	tfs_inode_put(vol, ino, &inode);
	tfs_inode_put(vol, parent, &dir);
	tfs_ship_inherited(vol, 1);
	return 0;
}

static int unlink_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_link *r = (const struct tfs_rec_link *)rec;
	u64 ino = tfs_le64(rec->ino), parent;
	struct tfs_inode dir, inode;
	struct tfs_key key;
	int err = link_sound(vol, r);

	if (err)
		return err;
	parent = tfs_le64(r->parent);
	err = must(vol, rec, tfs_dir_inode(vol, parent, &dir), "unlink record's parent is not a directory");
	if (!err)
		err = expect_name(vol, rec, parent, (const u8 *)(r + 1), r->name_len, ino, &key);
	if (!err)
		err = must(vol, rec, tfs_inode_find(vol, ino, &inode), "unlink record names no inode");
	if (err)
		return err;
	if (!inode.nlink || ino == parent || (tfs_is_dir(&inode) && inode.size))
		return bad(vol, rec, "unlink record takes a link that is not there, or a directory in use");
	tfs_need_inode(vol, parent);
	tfs_need_inode(vol, ino);
	tfs_need(vol, TFS_TREE_FS, key, 0);
	tfs_need(vol, TFS_TREE_FS, tfs_orphan_key(ino), 1);
	err = tfs_prepare(vol);
	if (err)
		return err;
	tfs_item_del(vol, TFS_TREE_FS, key);
	link_drop(vol, ino, &inode, key, &rec->time);
	dir_changed(&dir, -1, tfs_is_dir(&inode), &rec->time);
	tfs_inode_put(vol, ino, &inode);
	tfs_inode_put(vol, parent, &dir);
	return 0;
}

/* ---- rename ---- */

struct move {
	const struct tfs_rec_rename *r;
	const u8 *old_name, *new_name;
	u64 ino, target, whiteout, from, to;
	bool exchange;
	struct tfs_inode inode, victim, from_dir, to_dir;
	struct tfs_key from_key, to_key;
};

static int move_load(struct tfs_vol *vol, const struct tfs_rec_rename *r, struct move *m)
{
	u32 flags;

	if (tfs_le32(r->head.len) < sizeof(*r) || tfs_le32(r->head.len) < sizeof(*r) + r->old_len + r->new_len)
		return bad(vol, &r->head, "rename record too short");
	flags = tfs_le16(r->head.flags);
	m->r = r;
	m->old_name = (const u8 *)(r + 1);
	m->new_name = m->old_name + r->old_len;
	m->ino = tfs_le64(r->head.ino);
	m->target = tfs_le64(r->target);
	m->whiteout = tfs_le64(r->whiteout);
	m->from = tfs_le64(r->old_parent);
	m->to = tfs_le64(r->new_parent);
	m->exchange = flags & TFS_RENAME_EXCHANGE;
	if (!name_sound(m->old_name, r->old_len) || !name_sound(m->new_name, r->new_len) || m->ino == m->target ||
	    (m->exchange && (!m->target || m->whiteout)) || m->ino == m->to || m->ino == m->from ||
	    (m->target && (m->target == m->from || m->target == m->to)) ||
	    (m->whiteout && (m->whiteout < tfs_counters_of(vol)->next_ino || m->whiteout > TFS_INO_MAX)))
		return bad(vol, &r->head, "rename record malformed");
	return 0;
}

static int move_find(struct tfs_vol *vol, struct move *m)
{
	const struct tfs_rec_head *rec = &m->r->head;
	int err = must(vol, rec, tfs_dir_inode(vol, m->from, &m->from_dir), "rename record's parent is not there");

	if (!err)
		err = must(vol, rec, tfs_dir_inode(vol, m->to, &m->to_dir), "rename record's parent is not there");
	if (!err)
		err = must(vol, rec, tfs_inode_find(vol, m->ino, &m->inode), "rename record names no inode");
	if (!err)
		err = expect_name(vol, rec, m->from, m->old_name, m->r->old_len, m->ino, &m->from_key);
	if (err)
		return err;
	if (!m->target)
		return expect_free(vol, rec, m->to, m->new_name, m->r->new_len, &m->to_key);
	err = expect_name(vol, rec, m->to, m->new_name, m->r->new_len, m->target, &m->to_key);
	if (!err)
		err = must(vol, rec, tfs_inode_find(vol, m->target, &m->victim), "rename record names no inode");
	if (!err && !m->exchange &&
	    (!m->victim.nlink || tfs_is_dir(&m->victim) != tfs_is_dir(&m->inode) ||
	     (tfs_is_dir(&m->victim) && m->victim.size)))
		err = bad(vol, rec, "rename record replaces what cannot be replaced");
	return err;
}

static int move_inherit(struct tfs_vol *vol, const struct move *m)
{
	int err = tfs_ship_inherit(vol, 0, m->to, m->new_name, m->r->new_len, m->ino, tfs_le32(m->inode.mode));

	if (!err && m->exchange)
		err =
		    tfs_ship_inherit(vol, 1, m->from, m->old_name, m->r->old_len, m->target, tfs_le32(m->victim.mode));
	return err;
}

static int move_prepare(struct tfs_vol *vol, const struct move *m)
{
	tfs_need_inode(vol, m->from);
	tfs_need_inode(vol, m->to);
	tfs_need_inode(vol, m->ino);
	tfs_need(vol, TFS_TREE_FS, m->from_key, m->exchange || m->whiteout ? tfs_dirent_bytes(m->r->old_len) : 0);
	tfs_need(vol, TFS_TREE_FS, m->to_key, tfs_dirent_bytes(m->r->new_len));
	if (m->target) {
		tfs_need_inode(vol, m->target);
		tfs_need(vol, TFS_TREE_FS, tfs_orphan_key(m->target), 1);
	}
	if (m->whiteout)
		tfs_need(vol, TFS_TREE_FS, tfs_inode_key(m->whiteout), sizeof(struct tfs_inode));
	return tfs_prepare(vol);
}

static void whiteout_put(struct tfs_vol *vol, const struct move *m)
{
	struct tfs_inode i;

	memset(&i, 0, sizeof(i));
	i.mode = tfs_cpu32(TFS_S_IFCHR);
	i.nlink = tfs_cpu32(1);
	i.codec = m->from_dir.codec;
	i.window_bits = m->from_dir.window_bits;
	i.atime = i.mtime = i.ctime = i.btime = m->r->head.time;
	named(&i, m->from_key);
	tfs_item_put(vol, TFS_TREE_FS, tfs_inode_key(m->whiteout), &i, sizeof(i));
	tfs_dirent_put(vol, m->from_key, m->old_name, m->r->old_len, m->whiteout, TFS_S_IFCHR >> 12);
	created_count(vol, m->whiteout);
}

/* Entries and subdirectory counts. Within one directory from_dir stands for both. */
static void move_dirs(struct move *m)
{
	struct tfs_inode *to = m->from == m->to ? &m->from_dir : &m->to_dir;
	const struct tfs_time *t = &m->r->head.time;
	bool dir = tfs_is_dir(&m->inode);

	if (m->exchange) {
		bool other = tfs_is_dir(&m->victim);

		m->from_dir.mtime = m->from_dir.ctime = *t;
		to->mtime = to->ctime = *t;
		add32(&m->from_dir.nlink, (other ? 1 : 0) - (dir ? 1 : 0));
		add32(&to->nlink, (dir ? 1 : 0) - (other ? 1 : 0));
		return;
	}
	dir_changed(&m->from_dir, -1, dir, t);
	if (m->whiteout)
		dir_changed(&m->from_dir, 1, false, t);
	if (m->target)
		dir_changed(to, -1, dir, t); /* the victim is of the same kind */
	dir_changed(to, 1, dir, t);
}

static void move_inodes(struct tfs_vol *vol, struct move *m)
{
	const struct tfs_time *t = &m->r->head.time;

	m->inode.ctime = *t;
	if (tfs_is_dir(&m->inode))
		m->inode.parent = tfs_cpu64(m->to);
	named(&m->inode, m->to_key);
	tfs_inode_put(vol, m->ino, &m->inode);
	if (!m->target)
		return;
	if (m->exchange) {
		m->victim.ctime = *t;
		if (tfs_is_dir(&m->victim))
			m->victim.parent = tfs_cpu64(m->from);
		named(&m->victim, m->from_key);
	} else {
		link_drop(vol, m->target, &m->victim, m->to_key, t);
	}
	tfs_inode_put(vol, m->target, &m->victim);
}

static int rename_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	struct move m;
	int err;

	memset(&m, 0, sizeof(m));
	err = move_load(vol, (const struct tfs_rec_rename *)rec, &m);
	if (!err)
		err = move_find(vol, &m);
	if (!err)
		err = move_inherit(vol, &m);
	if (!err)
		err = move_prepare(vol, &m);
	if (err)
		return err;
	if (m.exchange)
		tfs_dirent_put(vol, m.from_key, m.old_name, m.r->old_len, m.target,
		               (u8)(tfs_le32(m.victim.mode) >> 12));
	else if (m.whiteout)
		whiteout_put(vol, &m);
	else
		tfs_item_del(vol, TFS_TREE_FS, m.from_key);
	tfs_dirent_put(vol, m.to_key, m.new_name, m.r->new_len, m.ino, (u8)(tfs_le32(m.inode.mode) >> 12));
	move_dirs(&m);
	tfs_inode_put(vol, m.from, &m.from_dir);
	if (m.from != m.to)
		tfs_inode_put(vol, m.to, &m.to_dir);
	move_inodes(vol, &m);
	tfs_ship_inherited(vol, m.exchange ? 2 : 1);
	return 0;
}

int tfs_apply_name(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	switch (tfs_le16(rec->type)) {
	case TFS_REC_CREATE:
		return create_apply(vol, rec);
	case TFS_REC_LINK:
		return link_apply(vol, rec);
	case TFS_REC_UNLINK:
		return unlink_apply(vol, rec);
	case TFS_REC_RENAME:
		return rename_apply(vol, rec);
	case TFS_REC_SETATTR:
		return tfs_setattr_apply(vol, rec);
	}
	return tfs_xattr_apply(vol, rec);
}
