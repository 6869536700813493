// SPDX-License-Identifier: GPL-2.0
/*
 * Contents. Writes go to the write-back cache, fsync writes back and makes durable with one flush; what is older than a
 * few seconds is written back by main.c. An error that write back meets is kept for the file and given to fsync and
 * close.
 */
#define _GNU_SOURCE
#include "kernel/fuse/fuse_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	struct host_inode *i = host_inode_find(h, ino);

	if (fi->flags & (O_WRONLY | O_RDWR) && host_refused(req, ino, NULL))
		return;
	if (i) /* O_TRUNC comes as a setattr of its own */
		i->opens++;
	fi->keep_cache = 1; /* nobody else changes the volume */
	if (fuse_reply_open(req, fi) && i)
		i->opens--;
}

/* Nothing of a snapshot is dirty, so it is read past the cache. */
static s64 bytes_read(struct host *h, u64 id, u64 off, u8 *buf, u32 len)
{
	s64 n;

	if (!host_slot(id))
		return tfs_cache_read(h->cache, id, off, buf, len);
	n = tfs_read(h->vol, host_view_enter(h, id), off, buf, len);
	host_view_leave(h, id);
	return n;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	u32 done = 0, len = size > HOST_READ_MAX ? HOST_READ_MAX : (u32)size;
	s64 n = 0;

	while (done < len) {
		n = bytes_read(h, ino, (u64)off + done, h->buf + done, len - done);
		if (n <= 0)
			break;
		done += (u32)n;
	}
	if (n < 0 && !done) {
		fuse_reply_err(req, n == -EUCLEAN ? EIO : (int)-n);
		return;
	}
	if (!fi || !(fi->flags & O_NOATIME))
		host_atime_touch(h, ino);
	fuse_reply_buf(req, (char *)h->buf, done);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	struct tfs_time now = host_now();
	s64 n = h->read_only || host_slot(ino) ? -EROFS
	        : fi->writepage                ? 0
	                                       : host_group_bit_drop(req, ino); /* pages: nobody's */

	if (!n)
		n = tfs_cache_write(h->cache, ino, (u64)off, buf, (u32)size, &now);

	if (n > 0 && fi->flags & (O_SYNC | O_DSYNC)) {
		int err = tfs_cache_flush(h->cache, ino);

		if (!err)
			err = tfs_sync(h->vol);
		n = err ? err : n;
	}
	if (n >= 0 && (size_t)n < size &&
	    fi->writepage) /* the kernel would take the rest of a mapped page as written */
		n = -ENOSPC;
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

/* close: nothing is written, but what could not be written is told. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	fuse_reply_err(req, host_slot(ino) ? 0 : -tfs_cache_error(host_of(req)->cache, ino));
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	struct host_inode *i = host_inode_find(h, ino);

	(void)fi;
	if (i && i->opens && !--i->opens && i->emptied) {
		i->emptied = false;
		tfs_cache_flush(h->cache, ino);
	}
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	int err = host_slot(ino) ? 0 : tfs_cache_flush(h->cache, ino);

	(void)datasync;
	(void)fi;
	if (!err)
		err = tfs_sync(h->vol);
	fuse_reply_err(req, -err);
}

/* ---- fallocate, lseek ---- */

static int preallocate(struct host *h, u64 ino, u64 off, u64 len, bool keep_size)
{
	u64 first = off / TFS_BLOCK, last = (off + len + TFS_BLOCK - 1) / TFS_BLOCK;
	int err = tfs_cache_flush(h->cache, ino);

	if (!err)
		err = tfs_preallocate(h->vol, ino, first, last - first, keep_size ? 0 : off + len);
	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_preallocate(h->vol, ino, first, last - first, keep_size ? 0 : off + len);
	return err;
}

static int times_touch(struct host *h, u64 ino)
{
	struct tfs_attr a = {.mtime = host_now()};

	return tfs_setattr(h->vol, ino, TFS_SET_MTIME, &a);
}

static int zero_range(struct host *h, u64 ino, u64 off, u64 len, bool keep_size)
{
	struct tfs_time now = host_now();
	int err = tfs_cache_zero(h->cache, ino, off, len, &now);

	return err ? err : preallocate(h, ino, off, len, keep_size);
}

static int range_change(struct host *h, u64 ino, int mode, u64 off, u64 len)
{
	struct tfs_time now = host_now();
	bool keep_size = mode & FALLOC_FL_KEEP_SIZE;

	if (off > TFS_FILE_SIZE_MAX - len)
		return -EFBIG;
	if (!(mode & ~FALLOC_FL_KEEP_SIZE))
		return preallocate(h, ino, off, len, keep_size);
	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return tfs_cache_zero(h->cache, ino, off, len, &now);
	if ((mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE)
		return zero_range(h, ino, off, len, keep_size);
	return -EOPNOTSUPP;
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	int err = h->read_only || host_slot(ino) ? -EROFS : off < 0 || len <= 0 ? -EINVAL : 0;

	(void)fi;
	if (!err)
		err = range_change(h, ino, mode, (u64)off, (u64)len);
	if (!err)
		err = host_group_bit_drop(req, ino);
	if (!err)
		err = times_touch(h, ino);
	fuse_reply_err(req, -err);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct host *h = host_of(req);
	int err = off < 0                                      ? -ENXIO
	          : whence != SEEK_DATA && whence != SEEK_HOLE ? -EINVAL
	          : host_slot(ino)                             ? 0
	                                                       : tfs_cache_flush(h->cache, ino);
	s64 at = err;

	if (!err) {
		at = tfs_seek(h->vol, host_view_enter(h, ino), (u64)off, whence == SEEK_HOLE);
		host_view_leave(h, ino);
	}
	(void)fi;
	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
}

/* ---- copy_file_range: shared where both places are whole blocks (FICLONE itself never reaches a FUSE host) ---- */

#define SHARE_MAX (64u << 20) /* bytes a request: others wait for it */

/* How much of the range can be shared: whole blocks, and the rest of the last one where it is the end of both. */
static s64 share_bytes(struct host *h, u64 ino, u64 off, u64 to_ino, u64 to, u64 len)
{
	struct tfs_attr in, out;
	int err = tfs_cache_getattr(h->cache, ino, &in);

	if (!err)
		err = tfs_cache_getattr(h->cache, to_ino, &out);
	if (err)
		return err;
	if (off >= in.size)
		return 0;
	if (len > in.size - off)
		len = in.size - off;
	if (len > SHARE_MAX)
		len = SHARE_MAX;
	if (to > TFS_FILE_SIZE_MAX - len)
		return -EFBIG;
	if (off + len < in.size || to + len < out.size)
		len -= len % TFS_BLOCK;
	return off % TFS_BLOCK || to % TFS_BLOCK || !len ? -EOPNOTSUPP : (s64)len;
}

/* Bytes shared, fewer than asked for when something fails behind them. */
static s64 range_share(struct host *h, u64 ino, u64 off, u64 to_ino, u64 to, u64 len)
{
	u64 from = off / TFS_BLOCK, block = to / TFS_BLOCK, blocks = (len + TFS_BLOCK - 1) / TFS_BLOCK, done = 0;
	struct tfs_time now = host_now();
	bool again = false;

	while (done < blocks) {
		s64 n = tfs_reflink(h->vol, ino, from + done, to_ino, block + done, blocks - done, to + len, &now);

		if (n == -ENOSPC && !again && tfs_cache_shrink(h->cache)) {
			again = true;
			continue;
		}
		if (n < 0)
			return done ? (s64)(done * TFS_BLOCK) : n;
		done += (u64)n;
	}
	return (s64)len;
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino, off_t off, struct fuse_file_info *fi, fuse_ino_t to_ino,
                        off_t to, struct fuse_file_info *to_fi, size_t len, int flags)
{
	struct host *h = host_of(req);
	s64 n = h->read_only || host_slot(to_ino) ? -EROFS
	        : host_slot(ino)                  ? -EXDEV /* as the core would say; the kernel copies */
	        : off < 0 || to < 0 || flags      ? -EINVAL
	                                          : 0;

	(void)fi;
	if (!n)
		n = share_bytes(h, ino, (u64)off, to_ino, (u64)to, len);
	if (n > 0) {
		len = (size_t)n;
		n = host_group_bit_drop(req, to_ino);
		if (!n)
			n = tfs_cache_flush(h->cache, ino);
		if (!n)
			n = tfs_cache_flush(h->cache, to_ino);
		if (!n)
			n = range_share(h, ino, (u64)off, to_ino, (u64)to, len);
	}
	if (n > 0 && to_fi && to_fi->flags & (O_SYNC | O_DSYNC)) {
		int err = tfs_sync(h->vol);

		n = err ? err : n;
	}
	if (n < 0)
		fuse_reply_err(req, n == -EUCLEAN ? EIO : (int)-n); /* EOPNOTSUPP: the kernel copies */
	else
		fuse_reply_write(req, (size_t)n);
}
