// SPDX-License-Identifier: GPL-2.0
/*
 * The file of kernel messages, by a thread that has no mount and so no struct file: names are looked up, made and
 * renamed as the VFS does it for a server (i_rwsem of the directory, then vfs_create and vfs_rename), bytes go into the
 * page cache by the same steps as those of write(2). Dirty pages are not throttled: who unmounts waits for the thread,
 * and what it writes in a second is no more than the kernel's message buffer holds.
 * Whatever stands at the path is looked at before it is written: a link, a device or another user's file is refused.
 */
#include "kmsg.h"
#include "ship.h"

#include <linux/fsnotify.h>
#include <linux/highmem.h>
#include <linux/namei.h>

#define OLD ".old"

/* ---- the path ---- */

static const char *refusal(const struct dentry *d)
{
	struct inode *inode = d_inode(d);

	if (!d_is_reg(d))
		return "expected a regular file";
	if (!uid_eq(inode->i_uid, GLOBAL_ROOT_UID) || inode->i_mode & (S_ISUID | S_ISGID | 0022))
		return "expected a file of root's that nobody else may write";
	return inode->i_nlink != 1 ? "expected a file with one name" : NULL;
}

static int refuse(struct tfs_kmsg_file *f, int err, const char *why)
{
	f->why = why;
	return err;
}

/* f->dir goes one part of the path down. */
static int step_down(struct tfs_kmsg_file *f, const char *part, int len)
{
	struct dentry *d = lookup_one_unlocked(TFS_NO_IDMAP, part, f->dir, len);

	if (IS_ERR(d))
		return PTR_ERR(d);
	dput(f->dir);
	f->dir = d;
	if (d_is_negative(d))
		return refuse(f, -ENOENT, "its directory is missing");
	if (!d_can_lookup(d))
		return refuse(f, -ENOTDIR, "expected a directory in the path");
	return tfs_of_snapshots(d_inode(d)) ? refuse(f, -EROFS, "a snapshot cannot be written") : 0;
}

static int make_file(struct tfs_kmsg_file *f)
{
	struct inode *dir = d_inode(f->dir);
	int err = 0;

	dput(f->file);
	inode_lock_nested(dir, I_MUTEX_PARENT);
	f->file = lookup_one(TFS_NO_IDMAP, f->name, f->dir, strlen(f->name));
	if (IS_ERR(f->file)) {
		err = PTR_ERR(f->file);
		f->file = NULL;
	} else if (d_is_negative(f->file)) {
		err = vfs_create(TFS_NO_IDMAP, dir, f->file, S_IFREG | 0600, true);
	}
	inode_unlock(dir);
	return err;
}

static int find_file(struct tfs_kmsg_file *f, bool make)
{
	struct dentry *d = lookup_one_unlocked(TFS_NO_IDMAP, f->name, f->dir, strlen(f->name));
	int err = 0;

	if (IS_ERR(d))
		return PTR_ERR(d);
	f->file = d;
	if (d_is_negative(d) && make)
		err = make_file(f);
	if (err || d_is_negative(f->file))
		return err;
	f->why = tfs_of_snapshots(d_inode(f->file)) ? "a snapshot cannot be written" : refusal(f->file);
	return f->why ? -EINVAL : 0;
}

void tfs_kmsg_close(struct tfs_kmsg_file *f)
{
	dput(f->file);
	dput(f->dir);
	f->file = f->dir = NULL;
}

int tfs_kmsg_open(struct super_block *sb, const char *path, bool make, struct tfs_kmsg_file *f)
{
	const char *end;
	int err = 0;

	*f = (struct tfs_kmsg_file){.dir = dget(sb->s_root), .name = path};
	while (!err && (end = strchr(f->name, '/'))) {
		err = step_down(f, f->name, end - f->name);
		f->name = end + 1;
	}
	if (!err)
		err = find_file(f, make);
	if (err)
		tfs_kmsg_close(f);
	return err;
}

/* ---- its bytes ---- */

int tfs_kmsg_tail(struct tfs_kmsg_file *f, u8 *to, u32 n)
{
	struct inode *inode = d_inode(f->file);
	loff_t size;
	int err;

	inode_lock_shared(inode);
	size = i_size_read(inode);
	n = min_t(loff_t, n, size);
	err = n ? tfs_cached_copy(inode, size - n, to, n) : 0;
	inode_unlock_shared(inode);
	return err ? err : (int)n;
}

/* Within one page. */
static int page_append(struct address_space *mapping, loff_t pos, const u8 *from, u32 n)
{
	tfs_write_page *page;
	struct folio *folio;
	void *fsdata = NULL, *to;
	int err = tfs_aops.write_begin(NULL, mapping, pos, n, &page, &fsdata);

	if (err)
		return err;
	folio = tfs_write_folio(page);
	to = kmap_local_folio(folio, offset_in_folio(folio, pos));
	memcpy(to, from, n);
	kunmap_local(to);
	flush_dcache_folio(folio);
	return tfs_aops.write_end(NULL, mapping, pos, n, n, page, fsdata) == n ? 0 : -EIO;
}

static int append_locked(struct inode *inode, const u8 *from, u32 n, u32 *done)
{
	int err = inode->i_nlink ? 0 : -ESTALE; /* removed meanwhile: the next turn makes another */

	while (!err && *done < n) {
		loff_t pos = i_size_read(inode);
		u32 part = min_t(u32, n - *done, PAGE_SIZE - offset_in_page(pos));

		err = pos > inode->i_sb->s_maxbytes - part ? -EFBIG
		                                           : page_append(inode->i_mapping, pos, from + *done, part);
		*done += err ? 0 : part;
		cond_resched();
	}
	if (*done) {
		struct timespec64 now = current_time(inode);

		inode_set_mtime_to_ts(inode, now);
		inode_set_ctime_to_ts(inode, now);
		mark_inode_dirty(inode);
	}
	return err;
}

int tfs_kmsg_append(struct tfs_kmsg_file *f, const u8 *from, u32 n, u32 *done)
{
	struct inode *inode = d_inode(f->file);
	int err;

	*done = 0;
	inode_lock(inode);
	err = append_locked(inode, from, n, done);
	inode_unlock(inode);
	if (*done)
		fsnotify_dentry(f->file, FS_MODIFY);
	return err;
}

int tfs_kmsg_sync(struct tfs_kmsg_file *f)
{
	int err = filemap_write_and_wait(d_inode(f->file)->i_mapping);

	return err ? err : tfs_sync_wait(f->file->d_sb);
}

/* ---- the ring's other half ---- */

static int rename_locked(struct tfs_kmsg_file *f, struct dentry *to)
{
	struct inode *dir = d_inode(f->dir);
	struct renamedata r = {TFS_RENAME_IDMAPS, .old_dir = dir, .old_dentry = f->file, .new_dir = dir,
	                       .new_dentry = to};

	if (f->file->d_parent != f->dir || d_unhashed(f->file) || f->file == to ||
	    strcmp(f->file->d_name.name, f->name)) /* somebody else was faster */
		return -ESTALE;
	if (d_is_positive(to) && !d_is_reg(to))
		return refuse(f, -EINVAL, "expected a regular file, or none, at its name with " OLD);
	return vfs_rename(&r);
}

int tfs_kmsg_set_aside(struct tfs_kmsg_file *f)
{
	struct inode *dir = d_inode(f->dir);
	char name[NAME_MAX + sizeof(OLD)];
	int len = snprintf(name, sizeof(name), "%s" OLD, f->name), err;
	struct dentry *to;

	err = filemap_write_and_wait(d_inode(f->file)->i_mapping); /* before anything of the next file */
	if (err)
		return err;
	inode_lock_nested(dir, I_MUTEX_PARENT);
	to = lookup_one(TFS_NO_IDMAP, name, f->dir, len);
	err = IS_ERR(to) ? PTR_ERR(to) : rename_locked(f, to);
	inode_unlock(dir);
	if (!IS_ERR(to))
		dput(to);
	return err;
}
