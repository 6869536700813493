// SPDX-License-Identifier: GPL-2.0
/* Operations on names: each is one operation of the core, then the VFS inodes take over what it changed. */
#include "acl.h"

struct dentry *tfs_lookup_op(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = NULL;
	u64 ino;
	u8 type;
	int err;

	if (dentry->d_name.len > TFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (tfs_snapdir_named(dir, &dentry->d_name))
		return d_splice_alias(tfs_snapdir_get(dir->i_sb), dentry);
	err = tfs_lookup(tfs_enter_inode(dir), dir->i_ino, dentry->d_name.name, dentry->d_name.len, &ino, &type);
	tfs_leave_inode(dir);
	if (err && err != -ENOENT)
		return ERR_PTR(tfs_user_err(err));
	if (!err)
		inode = tfs_iget_seen(dir->i_sb, tfs_info(dir)->seen, ino);
	return d_splice_alias(inode, dentry);
}

/* What a new inode inherits. On failure its name goes again: nobody has seen it, the directory is locked. */
static int inherit(struct inode *dir, struct inode *inode, const struct qstr *name, struct posix_acl *access,
                   struct posix_acl *def)
{
	int err = tfs_acl_inherit(inode, access, def);

	if (!err && name)
		err = tfs_security_inherit(inode, dir, name);
	if (err && name) {
		tfs_unlink(tfs_enter(dir->i_sb), dir->i_ino, name->name, name->len, S_ISDIR(inode->i_mode), NULL);
		tfs_leave(dir->i_sb);
		tfs_refresh(inode);
	}
	return err;
}

/* Made, and then there was no memory for its VFS inode: it goes again. */
static void unmake(struct inode *dir, const struct qstr *name, bool is_dir, u64 ino)
{
	struct tfs_vol *vol = tfs_enter(dir->i_sb);
	int err = name ? tfs_unlink(vol, dir->i_ino, name->name, name->len, is_dir, NULL) : 0;

	while (!err && tfs_evict(vol, ino) > 0)
		;
	tfs_leave(dir->i_sb);
}

/* Owner and group as inode_init_owner gives them. */
static struct inode *create_in(struct inode *dir, const struct qstr *name, struct tfs_create *c)
{
	struct inode *inode;
	bool again = false;
	u64 ino;
	int err;

	c->uid = from_kuid(dir->i_sb->s_user_ns, current_fsuid());
	c->gid = dir->i_mode & S_ISGID ? i_gid_read(dir) : from_kgid(dir->i_sb->s_user_ns, current_fsgid());
	if (dir->i_mode & S_ISGID && S_ISDIR(c->mode))
		c->mode |= S_ISGID;
	do {
		err = tfs_create(tfs_enter(dir->i_sb), dir->i_ino, name ? (const char *)name->name : "",
		                 name ? name->len : 0, c, &ino);
		tfs_leave(dir->i_sb);
	} while (tfs_space_retry(dir->i_sb, err, &again));
	if (err)
		return ERR_PTR(tfs_user_err(err));
	inode = tfs_iget(dir->i_sb, ino);
	if (IS_ERR(inode))
		unmake(dir, name, S_ISDIR(c->mode), ino);
	return inode;
}

/* mode with type; name NULL: O_TMPFILE. The inode, or an error. */
static struct inode *make(struct inode *dir, const struct qstr *name, umode_t mode, dev_t rdev, const char *target)
{
	struct tfs_create c = {.rdev_major = MAJOR(rdev),
	                       .rdev_minor = MINOR(rdev),
	                       .target = target,
	                       .target_len = target ? strlen(target) : 0};
	struct posix_acl *access = NULL, *def = NULL;
	struct inode *inode;
	int err = S_ISLNK(mode) ? 0 : posix_acl_create(dir, &mode, &def, &access);

	if (err)
		return ERR_PTR(err);
	c.mode = mode;
	inode = create_in(dir, name, &c);
	if (!IS_ERR(inode) && !S_ISLNK(mode)) {
		err = inherit(dir, inode, name, access, def);
		if (err) {
			iput(inode);
			inode = ERR_PTR(err);
		}
	}
	posix_acl_release(access);
	posix_acl_release(def);
	if (name)
		tfs_refresh(dir);
	return inode;
}

static int make_entry(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t rdev, const char *target)
{
	struct inode *inode = make(dir, &dentry->d_name, mode, rdev, target);

	if (IS_ERR(inode)) {
		d_drop(dentry); /* where undoing failed, too, the name is there: ask the volume again */
		return PTR_ERR(inode);
	}
	d_instantiate(dentry, inode);
	return 0;
}

static int create(tfs_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, bool excl)
{
	return make_entry(dir, dentry, mode, 0, NULL);
}

static int mknod(tfs_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t rdev)
{
	return make_entry(dir, dentry, mode, rdev, NULL);
}

static int mkdir(tfs_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return make_entry(dir, dentry, S_IFDIR | mode, 0, NULL);
}

static int symlink(tfs_idmap *idmap, struct inode *dir, struct dentry *dentry, const char *target)
{
	return make_entry(dir, dentry, S_IFLNK | 0777, 0, target);
}

static int tmpfile(tfs_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct inode *inode = make(dir, NULL, mode, 0, NULL);

	if (IS_ERR(inode))
		return finish_open_simple(file, PTR_ERR(inode));
	set_nlink(inode, 1);
	d_tmpfile(file, inode); /* drops the link again */
	return finish_open_simple(file, 0);
}

static int link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	bool again = false;
	int err;

	if (tfs_of_snapshots(inode))
		return -EXDEV;
	do {
		err = tfs_link(tfs_enter(dir->i_sb), inode->i_ino, dir->i_ino, dentry->d_name.name, dentry->d_name.len);
		tfs_leave(dir->i_sb);
	} while (tfs_space_retry(dir->i_sb, err, &again));
	if (err)
		return tfs_user_err(err);
	tfs_refresh(inode);
	tfs_refresh(dir);
	ihold(inode);
	d_instantiate(dentry, inode);
	return 0;
}

static int name_remove(struct inode *dir, struct dentry *dentry, bool is_dir)
{
	int err;

	if (tfs_of_snapshots(d_inode(dentry)))
		return -EROFS;
	err = tfs_unlink(tfs_enter(dir->i_sb), dir->i_ino, dentry->d_name.name, dentry->d_name.len, is_dir, NULL);
	tfs_leave(dir->i_sb);
	if (err)
		return tfs_user_err(err);
	tfs_refresh(d_inode(dentry));
	tfs_refresh(dir);
	return 0;
}

static int unlink(struct inode *dir, struct dentry *dentry)
{
	return name_remove(dir, dentry, false);
}

static int rmdir(struct inode *dir, struct dentry *dentry)
{
	return name_remove(dir, dentry, true);
}

static int rename(tfs_idmap *idmap, struct inode *dir, struct dentry *dentry, struct inode *new_dir,
                  struct dentry *new_dentry, unsigned int flags)
{
	struct inode *inode = d_inode(dentry), *target = d_inode(new_dentry);
	bool again = false;
	u64 victim;
	int err = 0;

	if (tfs_of_snapshots(inode) || (target && tfs_of_snapshots(target)))
		return -EROFS;
	/* replacing must never leave an empty file: what is unwritten of the new one goes first */
	if (target && !(flags & RENAME_EXCHANGE) && S_ISREG(inode->i_mode))
		err = filemap_write_and_wait(inode->i_mapping);
	if (err)
		return err;
	do {
		err = tfs_rename(tfs_enter(dir->i_sb), dir->i_ino, dentry->d_name.name, dentry->d_name.len,
		                 new_dir->i_ino, new_dentry->d_name.name, new_dentry->d_name.len, flags, &victim);
		tfs_leave(dir->i_sb);
	} while (tfs_space_retry(dir->i_sb, err, &again));
	if (err)
		return tfs_user_err(err);
	tfs_refresh(inode);
	if (target)
		tfs_refresh(target);
	tfs_refresh(dir);
	if (new_dir != dir)
		tfs_refresh(new_dir);
	return 0;
}

const struct inode_operations tfs_dir_inode_ops = {
    .lookup = tfs_lookup_op,
    .create = create,
    .mknod = mknod,
    .mkdir = mkdir,
    .symlink = symlink,
    .tmpfile = tmpfile,
    .link = link,
    .unlink = unlink,
    .rmdir = rmdir,
    .rename = rename,
    .getattr = tfs_getattr_op,
    .setattr = tfs_setattr_op,
    .listxattr = tfs_listxattr_op,
    TFS_ACL_OPS,
};
