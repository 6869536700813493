// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that the kernel makes and libfuse 3.14 does not know: O_TMPFILE and statx with the time of birth. They are
 * read from the request as it came, and answered on the session's descriptor, in the protocol's own form
 * (linux/fuse.h; what its older versions lack is named here). Called by the loop in main.c before libfuse sees a
 * request; kernels that do not ask lose nothing.
 */
#include "kernel/fuse/fuse_host.h"

#include <linux/fuse.h>
#include <linux/stat.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_TMPFILE = 51, OP_STATX = 52 };

struct statx_time {
	s64 sec;
	u32 nsec, zero;
};
struct statx_answer { /* fuse_statx_out */
	u64 valid;
	u32 valid_nsec, flags;
	u64 spare[2];
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, spare0;
	u64 ino, size, blocks, attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 spare2[14];
};
_Static_assert(sizeof(struct statx_answer) == 288 && offsetof(struct statx_answer, atime) == 96,
               "as the kernel has it");

struct tmpfile_answer {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};
_Static_assert(sizeof(struct tmpfile_answer) == 144, "as the kernel has it");

/* False: nobody waits for it any more. */
static bool answer(struct fuse_session *se, u64 unique, int err, void *body, size_t len)
{
	struct fuse_out_header head = {.error = err, .unique = unique};
	struct iovec v[2] = {{&head, sizeof(head)}, {body, err ? 0 : len}};

	head.len = (u32)(v[0].iov_len + v[1].iov_len);
	return writev(fuse_session_fd(se), v, 2) == (ssize_t)head.len;
}

static u32 whole_seconds(const struct host *h)
{
	return (u32)h->timeout;
}

/* ---- statx ---- */

static struct statx_time time_of(const struct tfs_time *t)
{
	return (struct statx_time){(s64)tfs_le64(t->sec), tfs_le32(t->nsec), 0};
}

static int statx_fill(struct host *h, u64 ino, struct statx_answer *out)
{
	struct tfs_attr a;
	struct stat st;
	int err = host_stat(h, ino, &st);

	if (!err)
		err = tfs_cache_getattr(h->cache, ino, &a);
	if (err)
		return err;
	out->valid = whole_seconds(h);
	out->mask = STATX_BASIC_STATS | STATX_BTIME;
	out->blksize = (u32)st.st_blksize;
	out->nlink = a.nlink;
	out->uid = a.uid;
	out->gid = a.gid;
	out->mode = (u16)a.mode;
	out->ino = ino;
	out->size = a.size;
	out->blocks = (u64)st.st_blocks;
	out->atime = time_of(&a.atime);
	out->btime = time_of(&a.btime);
	out->ctime = time_of(&a.ctime);
	out->mtime = time_of(&a.mtime);
	out->rdev_major = a.rdev_major;
	out->rdev_minor = a.rdev_minor;
	return 0;
}

static void statx_request(struct fuse_session *se, struct host *h, const struct fuse_in_header *in)
{
	struct statx_answer out = {0};
	int err = statx_fill(h, in->nodeid, &out);

	answer(se, in->unique, err, &out, sizeof(out));
}

/* ---- O_TMPFILE ---- */

/* Owner and group as for what gets a name. The kernel has taken a set-group-id bit that the caller may not give. */
static int tmpfile_make(struct host *h, const struct fuse_in_header *in, const struct fuse_create_in *arg, u64 *ino)
{
	struct tfs_create c = {.mode = S_IFREG | (arg->mode & 07777), .uid = in->uid, .gid = in->gid};
	struct tfs_attr dir;
	int err = h->read_only ? -EROFS : tfs_getattr(h->vol, in->nodeid, &dir), acl;
	u32 mode;

	if (err)
		return err;
	if (dir.mode & S_ISGID)
		c.gid = dir.gid;
	acl = host_acl_default(h, in->nodeid, &c.mode, arg->umask);
	if (acl < 0)
		return acl;
	mode = c.mode;
	err = tfs_create(h->vol, in->nodeid, "", 0, &c, ino);
	if (err == -ENOSPC && tfs_cache_shrink(h->cache))
		err = tfs_create(h->vol, in->nodeid, "", 0, &c, ino);
	if (err || !acl)
		return err;
	err = host_acl_hand_down(h, *ino, mode, (u32)acl);
	if (err)
		host_inode_unnamed(h, *ino);
	return err;
}

static void attr_fill(const struct stat *st, struct fuse_attr *a)
{
	a->ino = st->st_ino;
	a->size = (u64)st->st_size;
	a->blocks = (u64)st->st_blocks;
	a->atime = (u64)st->st_atim.tv_sec;
	a->mtime = (u64)st->st_mtim.tv_sec;
	a->ctime = (u64)st->st_ctim.tv_sec;
	a->atimensec = (u32)st->st_atim.tv_nsec;
	a->mtimensec = (u32)st->st_mtim.tv_nsec;
	a->ctimensec = (u32)st->st_ctim.tv_nsec;
	a->mode = st->st_mode;
	a->nlink = (u32)st->st_nlink;
	a->uid = st->st_uid;
	a->gid = st->st_gid;
	a->blksize = (u32)st->st_blksize;
}

static void tmpfile_request(struct fuse_session *se, struct host *h, const struct fuse_in_header *in, size_t len)
{
	const struct fuse_create_in *arg = (const struct fuse_create_in *)(in + 1);
	struct tmpfile_answer out = {0};
	struct fuse_entry_param e;
	u64 ino = 0;
	int err = len < sizeof(*in) + sizeof(*arg) ? -EINVAL : tmpfile_make(h, in, arg, &ino);

	if (!err)
		err = host_entry(h, ino, &e);
	if (err) {
		answer(se, in->unique, err, NULL, 0);
		return;
	}
	out.entry.nodeid = ino;
	out.entry.generation = e.generation;
	out.entry.entry_valid = out.entry.attr_valid = whole_seconds(h);
	attr_fill(&e.attr, &out.entry.attr);
	out.open.open_flags = FOPEN_KEEP_CACHE;
	host_inode_find(h, ino)->opens++;
	if (!answer(se, in->unique, 0, &out, sizeof(out)))
		host_inode_drop(h, ino, 1);
}

bool host_raw(struct fuse_session *se, struct host *h, const void *request, size_t len)
{
	const struct fuse_in_header *in = request;

	if (len < sizeof(*in) || (in->opcode != OP_TMPFILE && in->opcode != OP_STATX))
		return false;
	if (in->opcode == OP_STATX)
		statx_request(se, h, in);
	else
		tmpfile_request(se, h, in, len);
	return true;
}
