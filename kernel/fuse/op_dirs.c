// SPDX-License-Identifier: GPL-2.0
/*
 * Reading directories. d_off is the position after an entry: 1 after ".", 2 after "..", then the volume's position plus
 * 2, which stays when other names come and go, so nothing is read twice and nothing is remembered between calls.
 */
#include "kernel/fuse/fuse_host.h"

#include <stdlib.h>

#define DOTS 2u

struct fill {
	fuse_req_t req;
	char *buf;
	size_t size, used;
	bool plus;
	u32 slot;
	int err;
};

/* 1: does not fit any more. */
static int entry_add(struct fill *f, const char *name, u64 ino, u32 type, off_t next)
{
	struct host *h = host_of(f->req);
	struct fuse_entry_param e;
	size_t room = f->size - f->used, n;
	bool hold = f->plus && next > (off_t)DOTS && f->slot != HOST_SLOT_DIR; /* snapshots: when they are entered */

	memset(&e, 0, sizeof(e));
	e.attr.st_ino = ino;
	e.attr.st_mode = type << 12;
	if (hold) {
		f->err = host_entry(h, ino, &e);
		if (f->err)
			return 1;
	}
	if (f->plus)
		n = fuse_add_direntry_plus(f->req, f->buf + f->used, room, name, &e, next);
	else
		n = fuse_add_direntry(f->req, f->buf + f->used, room, name, &e.attr, next);
	if (n > room) {
		if (hold)
			host_inode_drop(h, ino, 1);
		return 1;
	}
	f->used += n;
	return 0;
}

static int emit(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	char text[TFS_NAME_MAX + 1];
	struct fill *f = arg;

	memcpy(text, name, len);
	text[len] = 0;
	return entry_add(f, text, host_id(f->slot, ino), type, (off_t)(next + DOTS));
}

static int dots(struct fill *f, u64 dir, off_t off)
{
	struct tfs_attr a = {.parent = TFS_INO_ROOT};
	int err = dir == HOST_SNAPDIR ? 0 : tfs_getattr(host_of(f->req)->vol, host_ino(dir), &a);
	u64 up = dir == HOST_SNAPDIR                               ? TFS_INO_ROOT
	         : host_slot(dir) && host_ino(dir) == TFS_INO_ROOT ? HOST_SNAPDIR
	                                                           : host_id(host_slot(dir), a.parent);

	if (!err && !off)
		err = entry_add(f, ".", dir, 4, 1);
	if (!err && off < (off_t)DOTS)
		err = entry_add(f, "..", up, 4, DOTS);
	return err;
}

static int entries(struct fill *f, u64 dir, off_t off)
{
	struct host *h = host_of(f->req);
	u64 pos = off > (off_t)DOTS ? (u64)off - DOTS : 0, ino;
	int err;

	if (dir == HOST_SNAPDIR) {
		err = off < (off_t)DOTS ? dots(f, dir, off) : 0;
		return err ? err : host_snapdir_read(h, &pos, emit, f);
	}
	ino = host_view_enter(h, dir);
	err = off < (off_t)DOTS ? dots(f, dir, off) : 0;
	if (!err)
		err = tfs_readdir(h->vol, ino, &pos, emit, f);
	host_view_leave(h, dir);
	return err == -EUCLEAN ? -EIO : err;
}

static void directory_read(fuse_req_t req, u64 dir, size_t size, off_t off, bool plus)
{
	struct fill f = {.req = req, .size = size, .plus = plus, .slot = host_slot(dir)};
	struct host *h = host_of(req); /* the reply frees the request */
	int err;

	f.buf = malloc(size);
	if (!f.buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	err = entries(&f, dir, off);
	err = err > 0 ? 0 : err; /* full */
	if (!f.used && (err || f.err))
		fuse_reply_err(req, err ? -err : -f.err);
	else
		fuse_reply_buf(req, f.buf, f.used);
	if (!off && !h->nodiratime)
		host_atime_touch(h, dir);
	free(f.buf);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	/* no cache_readdir: a reader whose position is not in the list that another one cached is told that the
	 * directory ends */
	fuse_reply_open(req, fi);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	directory_read(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	directory_read(req, ino, size, off, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, -tfs_sync(host_of(req)->vol));
}
