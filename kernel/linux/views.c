// SPDX-License-Identifier: GPL-2.0
/*
 * Looking into snapshots: .snapshots/NAME below the root, and -o snapshot=NAME. A snapshot that is looked into is a
 * struct tfs_seen for as long as an inode of it is in memory: its roots, and a device number of its own, since inode
 * numbers in it are those of the volume. Inodes are found by {tfs_seen, number}; each call of the core for one of them
 * exchanges the roots for that call (tfs_enter_inode). All of them are read-only whatever the mount is.
 *
 * .snapshots is found and not listed, and stands before a real entry of that name. What is below it is looked up anew
 * each time, since snapshots come, go and change their names. One that is deleted while it is read: what is cached can
 * still be read, the rest ends with ESTALE.
 */
#include "acl.h"

#include <linux/namei.h>
#include <linux/slab.h>

#define SNAPDIR_NAME ".snapshots"
#define SNAPDIR_INO ((unsigned long)TFS_INO_MAX + 1) /* of no inode of a volume */

/* ---- snapshots that are looked into ---- */

void tfs_views_init(struct tfs_sb *s)
{
	mutex_init(&s->seen_lock);
	INIT_LIST_HEAD(&s->seen);
}

static struct tfs_seen *seen_find(struct tfs_sb *s, u64 epoch)
{
	struct tfs_seen *i;

	list_for_each_entry(i, &s->seen, list) if (i->view.epoch == epoch) return i;
	return NULL;
}

static void seen_free(struct tfs_seen *n)
{
	free_anon_bdev(n->dev);
	kfree(n);
}

/* Without seen_lock: to make room for it the last inode of another snapshot may have to go, which takes that. */
static struct tfs_seen *seen_make(struct tfs_sb *s, u64 epoch)
{
	struct tfs_seen *n = kzalloc(sizeof(*n), GFP_KERNEL);
	int err = n ? get_anon_bdev(&n->dev) : -ENOMEM;

	if (err) {
		kfree(n);
		return ERR_PTR(err);
	}
	err = tfs_view_find(tfs_enter(s->sb), epoch, &n->view);
	tfs_leave(s->sb);
	if (err) {
		seen_free(n);
		return ERR_PTR(tfs_user_err(err));
	}
	atomic_set(&n->refs, 1);
	return n;
}

/* made: to be listed, unless another is there by now; NULL: none was made yet. */
static struct tfs_seen *seen_listed(struct tfs_sb *s, u64 epoch, struct tfs_seen *made)
{
	struct tfs_seen *i;

	mutex_lock(&s->seen_lock);
	i = seen_find(s, epoch);
	if (i)
		atomic_inc(&i->refs);
	else if (made)
		list_add(&made->list, &s->seen);
	mutex_unlock(&s->seen_lock);
	return i ? i : made;
}

static struct tfs_seen *seen_get(struct super_block *sb, u64 epoch)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_seen *i = seen_listed(s, epoch, NULL), *made;

	if (i)
		return i;
	made = seen_make(s, epoch);
	if (IS_ERR(made))
		return made;
	i = seen_listed(s, epoch, made);
	if (i != made)
		seen_free(made);
	return i;
}

void tfs_seen_put(struct super_block *sb, struct tfs_seen *seen)
{
	struct tfs_sb *s = tfs_sb(sb);

	if (!atomic_dec_and_mutex_lock(&seen->refs, &s->seen_lock))
		return;
	list_del(&seen->list);
	mutex_unlock(&s->seen_lock);
	seen_free(seen);
}

/* The root directory of a snapshot. */
static struct inode *seen_root(struct super_block *sb, u64 epoch)
{
	struct tfs_seen *seen = seen_get(sb, epoch);
	struct inode *inode;

	if (IS_ERR(seen))
		return ERR_CAST(seen);
	inode = tfs_iget_seen(sb, seen, TFS_INO_ROOT);
	tfs_seen_put(sb, seen);
	return inode;
}

struct inode *tfs_snapshot_root(struct super_block *sb, const char *name)
{
	u64 epoch;
	int err = tfs_snapshot_find(tfs_enter(sb), name, strlen(name), &epoch);

	tfs_leave(sb);
	return err ? ERR_PTR(tfs_user_err(err)) : seen_root(sb, epoch);
}

/* ---- inodes of a snapshot ---- */

/* As on a filesystem that is read-only: devices, fifos and sockets are something else's. */
static int permission(tfs_idmap *idmap, struct inode *inode, int mask)
{
	umode_t m = inode->i_mode;

	if (mask & MAY_WRITE && (S_ISREG(m) || S_ISDIR(m) || S_ISLNK(m)))
		return -EROFS;
	return generic_permission(idmap, inode, mask);
}

static int setattr(tfs_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	return -EROFS;
}

static const struct inode_operations seen_dir_ops = {
    .lookup = tfs_lookup_op,
    .permission = permission,
    .getattr = tfs_getattr_op,
    .setattr = setattr,
    .listxattr = tfs_listxattr_op,
    TFS_ACL_OPS,
};
static const struct inode_operations seen_file_ops = {
    .permission = permission,
    .getattr = tfs_getattr_op,
    .setattr = setattr,
    .listxattr = tfs_listxattr_op,
    TFS_ACL_OPS,
    .fiemap = tfs_fiemap,
};
static const struct inode_operations seen_symlink_ops = {
    .get_link = tfs_get_link,
    .getattr = tfs_getattr_op,
    .setattr = setattr,
    .listxattr = tfs_listxattr_op,
};

void tfs_seen_ops_set(struct inode *inode)
{
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	if (S_ISDIR(inode->i_mode))
		inode->i_op = &seen_dir_ops;
	else if (S_ISLNK(inode->i_mode))
		inode->i_op = &seen_symlink_ops;
	else
		inode->i_op = &seen_file_ops;
}

/* ---- .snapshots ---- */

bool tfs_is_snapdir(const struct inode *inode)
{
	return inode->i_ino == SNAPDIR_INO;
}

bool tfs_snapdir_named(struct inode *dir, const struct qstr *name)
{
	return dir->i_ino == TFS_INO_ROOT && !tfs_info(dir)->seen && name->len == sizeof(SNAPDIR_NAME) - 1 &&
	       !memcmp(name->name, SNAPDIR_NAME, name->len);
}

/* Names below it are looked up each time. */
static int revalidate(struct dentry *dentry, unsigned int flags)
{
	struct super_block *sb = dentry->d_sb;
	struct inode *inode;
	struct name_snapshot name;
	u64 epoch;
	int err;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	inode = d_inode(dentry);
	if (!inode)
		return 0;
	take_dentry_name_snapshot(&name, dentry);
	err = tfs_snapshot_find(tfs_enter(sb), name.name.name, name.name.len, &epoch);
	tfs_leave(sb);
	release_dentry_name_snapshot(&name);
	return !err && tfs_info(inode)->seen && tfs_info(inode)->seen->view.epoch == epoch;
}

static const struct dentry_operations entry_ops = {.d_revalidate = revalidate};

static struct dentry *snapdir_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = NULL;
	u64 epoch;
	int err;

	if (dentry->d_name.len > TFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = tfs_snapshot_find(tfs_enter(dir->i_sb), dentry->d_name.name, dentry->d_name.len, &epoch);
	tfs_leave(dir->i_sb);
	if (err && err != -ENOENT)
		return ERR_PTR(tfs_user_err(err));
	if (!err)
		inode = seen_root(dir->i_sb, epoch);
	if (!dentry->d_op)
		d_set_d_op(dentry, &entry_ops);
	return d_splice_alias(inode == ERR_PTR(-ENOENT) ? NULL : inode, dentry);
}

static int snapdir_iterate(struct file *file, struct dir_context *ctx)
{
	struct super_block *sb = file_inode(file)->i_sb;
	struct tfs_snapshot_info *i;
	int err = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	i = kmalloc(sizeof(*i), GFP_KERNEL);
	if (!i)
		return -ENOMEM;
	for (;;) {
		u64 epoch = ctx->pos - 2;

		err = tfs_snapshot_next(tfs_enter(sb), &epoch, i);
		tfs_leave(sb);
		if (err || (!i->dying && !dir_emit(ctx, i->name, i->name_len, TFS_INO_ROOT, DT_DIR)))
			break;
		ctx->pos = epoch + 3;
	}
	kfree(i);
	return err == -ENOENT ? 0 : tfs_user_err(err);
}

static int snapdir_getattr(tfs_idmap *idmap, const struct path *path, struct kstat *st, u32 mask, unsigned int flags)
{
	tfs_fillattr(idmap, mask, d_inode(path->dentry), st);
	return 0;
}

static const struct inode_operations snapdir_ops = {
    .lookup = snapdir_lookup,
    .permission = permission,
    .getattr = snapdir_getattr,
    .setattr = setattr,
};
static const struct file_operations snapdir_file_ops = {
    .llseek = default_llseek,
    .read = generic_read_dir,
    .iterate_shared = snapdir_iterate,
    .fsync = tfs_fsync,
    .unlocked_ioctl = tfs_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
};

struct inode *tfs_snapdir_get(struct super_block *sb)
{
	struct inode *inode = tfs_iget_new(sb, NULL, SNAPDIR_INO), *root = d_inode(sb->s_root);

	if (!inode || !(inode->i_state & I_NEW))
		return inode ? inode : ERR_PTR(-ENOMEM);
	inode->i_mode = S_IFDIR | 0555;
	set_nlink(inode, 2);
	inode_set_atime_to_ts(inode, inode_get_mtime(root));
	inode_set_mtime_to_ts(inode, inode_get_mtime(root));
	inode_set_ctime_to_ts(inode, inode_get_mtime(root));
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	inode->i_op = &snapdir_ops;
	inode->i_fop = &snapdir_file_ops;
	unlock_new_inode(inode);
	return inode;
}
