// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting what can only be read: a volume of the Nanos kernel, through the view (tfs/user/reader.h). Nothing changes
 * under it, so the kernel may remember everything for ever and no inode is counted. Called by main.c instead of the
 * host for our volumes; the mount is read-only, whatever was asked for.
 */
#define _GNU_SOURCE
#include "kernel/fuse/fuse_host.h"
#include "kernel/fuse/view.h"

#include <stdlib.h>
#include <sys/statvfs.h>
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
	st->st_uid = h->uid; /* the format has no owners */
	st->st_gid = h->gid;
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
	conn->max_read = HOST_READ_MAX; /* as -o max_read says */
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
		fuse_reply_err(req, -err);
	else
		fuse_reply_entry(req, &e);
}

static void view_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int err = attr_get(view_of(req), ino, &st);

	(void)fi;
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

static void view_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[TFS_SYMLINK_MAX + 1];
	int n = tfs_reader_readlink(&view_of(req)->view, ino, target, TFS_SYMLINK_MAX);

	if (n < 0) {
		fuse_reply_err(req, -n);
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
		fuse_reply_err(req, -err);
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
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

static void view_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	s64 at = tfs_reader_seek(&view_of(req)->view, ino, (u64)off, whence == SEEK_HOLE);

	(void)fi;
	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
}

/* ---- the rest ---- */

static void reply_bytes(fuse_req_t req, int n, size_t size, const char *buf)
{
	if (n < 0)
		fuse_reply_err(req, -n);
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

struct fuse_session *view_session(struct fuse_args *args, struct view_host *h)
{
	h->uid = geteuid();
	h->gid = getegid();
	return fuse_session_new(args, &view_ops, sizeof(view_ops), h);
}
