// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Mounting what can only be read, through the view (tfs/user/reader.h): a volume of the Nanos kernel, a backup. Nothing
 * changes under it, so the kernel may remember everything for ever and no inode is counted; what cannot be read now is
 * EIO and is asked for again. Called by tfs-fuse, instead of the host for our volumes, and by tfs-backup mount; the
 * mount is read-only, whatever was asked for. One request at a time.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 35
#include "tfs/fuse/view.h"
#include "tfs/user/cli.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FOREVER 86400.0
#define LAST ((off_t)1 << 62) /* position behind the last entry */
#define DOTS 2

static struct view_host *view_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct timespec time_of(const struct tfs_time *t)
{
	return (struct timespec){(time_t)tfs_le64(t->sec), (long)tfs_le32(t->nsec)};
}

/* Damage is EIO for a file. */
static int user_errno(s64 err)
{
	return err == -EUCLEAN ? EIO : (int)-err;
}

static int attr_get(struct view_host *h, u64 ino, struct stat *st)
{
	struct tfs_attr a;
	int err = tfs_reader_getattr(&h->view, ino, &a);

	if (err)
		return err;
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = a.mode;
	st->st_nlink = a.nlink;
	st->st_uid = h->ownerless ? h->uid : a.uid;
	st->st_gid = h->ownerless ? h->gid : a.gid;
	st->st_rdev = makedev(a.rdev_major, a.rdev_minor);
	st->st_size = (off_t)a.size;
	st->st_blocks = (blkcnt_t)(a.blocks * (TFS_BLOCK / 512));
	st->st_blksize = TFS_BLOCK;
	st->st_atim = time_of(&a.atime);
	st->st_mtim = time_of(&a.mtime);
	st->st_ctim = time_of(&a.ctime);
	return 0;
}

static void view_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->max_read = VIEW_READ_MAX; /* as -o max_read says */
}

static void view_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {.attr_timeout = FOREVER, .entry_timeout = FOREVER};
	struct view_host *h = view_of(req);
	u64 ino;
	u8 type;
	int err = tfs_reader_lookup(&h->view, parent, name, (u32)strlen(name), &ino, &type);

	if (!err)
		err = attr_get(h, ino, &e.attr);
	e.ino = err ? 0 : ino;
	if (err)
		fuse_reply_err(req, user_errno(err));
	else
		fuse_reply_entry(req, &e);
}

static void view_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int err = attr_get(view_of(req), ino, &st);

	(void)fi;
	if (err)
		fuse_reply_err(req, user_errno(err));
	else
		fuse_reply_attr(req, &st, FOREVER);
}

static void view_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[TFS_SYMLINK_MAX + 1];
	int n = tfs_reader_readlink(&view_of(req)->view, ino, target, TFS_SYMLINK_MAX);

	if (n < 0) {
		fuse_reply_err(req, user_errno(n));
		return;
	}
	target[n] = 0;
	fuse_reply_readlink(req, target);
}

/* ---- directories ---- */

struct fill {
	fuse_req_t req;
	char *buf;
	size_t size, used;
};

static bool entry_add(struct fill *f, const char *name, u64 ino, u32 type, off_t next)
{
	struct stat st = {.st_ino = ino, .st_mode = type << 12};
	size_t room = f->size - f->used, n = fuse_add_direntry(f->req, f->buf + f->used, room, name, &st, next);

	if (n > room)
		return false;
	f->used += n;
	return true;
}

static int emit(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	char text[TFS_NAME_MAX + 1];

	memcpy(text, name, len);
	text[len] = 0;
	return !entry_add(arg, text, ino, type, next == ~0ull ? LAST : (off_t)next + DOTS);
}

static void view_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fill f = {.req = req, .size = size, .buf = malloc(size)};
	u64 pos = off > DOTS ? (u64)off - DOTS : 0;
	int err = f.buf ? 0 : -ENOMEM;

	(void)fi;
	if (!err && !off)
		entry_add(&f, ".", dir, 4, 1);
	if (!err && off < DOTS)
		entry_add(&f, "..", dir, 4, DOTS);
	if (!err && off < LAST)
		err = tfs_reader_readdir(&view_of(req)->view, dir, &pos, emit, &f);
	if (err < 0)
		fuse_reply_err(req, user_errno(err));
	else
		fuse_reply_buf(req, f.buf, f.used);
	free(f.buf);
}

/* ---- content ---- */

static void view_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void view_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	char *buf = malloc(size);
	s64 n = buf ? tfs_reader_read(&view_of(req)->view, ino, (u64)off, buf, (u32)size) : -ENOMEM;

	(void)fi;
	if (n < 0)
		fuse_reply_err(req, user_errno(n));
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

static void view_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	s64 at = tfs_reader_seek(&view_of(req)->view, ino, (u64)off, whence == SEEK_HOLE);

	(void)fi;
	if (at < 0)
		fuse_reply_err(req, user_errno(at));
	else
		fuse_reply_lseek(req, at);
}

/* ---- the rest ---- */

static void reply_bytes(fuse_req_t req, int n, size_t size, const char *buf)
{
	if (n < 0)
		fuse_reply_err(req, user_errno(n));
	else if (size)
		fuse_reply_buf(req, buf, (size_t)n);
	else
		fuse_reply_xattr(req, (size_t)n);
}

static void view_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char *buf = malloc(size ? size : 1);

	reply_bytes(
	    req, buf ? tfs_reader_getxattr(&view_of(req)->view, ino, name, (u32)strlen(name), buf, (u32)size) : -ENOMEM,
	    size, buf);
	free(buf);
}

static void view_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char *buf = malloc(size ? size : 1);

	reply_bytes(req, buf ? tfs_reader_listxattr(&view_of(req)->view, ino, buf, (u32)size) : -ENOMEM, size, buf);
	free(buf);
}

static void view_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {.f_bsize = TFS_BLOCK,
	                     .f_frsize = TFS_BLOCK,
	                     .f_blocks = view_of(req)->size / TFS_BLOCK,
	                     .f_namemax = TFS_NAME_MAX};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops view_ops = {
    .init = view_init,
    .lookup = view_lookup,
    .getattr = view_getattr,
    .readlink = view_readlink,
    .readdir = view_readdir,
    .open = view_open,
    .read = view_read,
    .lseek = view_lseek,
    .getxattr = view_getxattr,
    .listxattr = view_listxattr,
    .statfs = view_statfs,
};

/* ---- mounting ---- */

/* The daemon stays where it was: paths that were given may be relative. */
static bool daemonized(void)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = fuse_daemonize(0);

	if (!err && here >= 0)
		err = fchdir(here);
	if (here >= 0)
		close(here);
	if (!err)
		tfs_cli_to_syslog();
	return !err;
}

static enum view_end mounted_serve(struct fuse_session *se, bool foreground)
{
	enum view_end end = VIEW_PLACE;

	if (!fuse_set_signal_handlers(se) && (foreground || daemonized()))
		end = fuse_session_loop(se) < 0 ? VIEW_LOST : VIEW_OK;
	fuse_remove_signal_handlers(se);
	fuse_session_unmount(se);
	return end;
}

enum view_end view_serve(struct view_host *h, char *list, size_t room, const char *dir, bool foreground)
{
	char *argv[] = {"view", "-o", list};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *se;
	enum view_end end;

	h->uid = geteuid();
	h->gid = getegid();
	if (!strstr(list, ",ro") && strlen(list) + 4 < room)
		strcat(list, ",ro");
	se = fuse_session_new(&args, &view_ops, sizeof(view_ops), h);
	if (!se)
		return VIEW_OPTIONS;
	if (fuse_session_mount(se, dir)) {
		tfs_cli_fail(0, dir, "cannot be mounted; expected a directory of yours and /dev/fuse");
		end = VIEW_PLACE;
	} else {
		end = mounted_serve(se, foreground);
	}
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	return end;
}
