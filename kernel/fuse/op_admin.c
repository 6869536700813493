// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of tfs/ioctl.h, on any file or directory. Whoever mounted the volume may ask, and root. What is unwritten is
 * written back before a snapshot, and before it is told what is to be forwarded; what a deleted snapshot held is freed by
 * the loop in main.c, a step for each request and more when there is none.
 */
#include "kernel/fuse/fuse_host.h"
#include "tfs/ioctl.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

_Static_assert(TFS_IOC_INFO == _IOWR(TFS_IOC_LETTER, 1, struct tfs_ioc_info), "as the kernel takes the number apart");

static int request_do(struct host *h, u32 request, void *arg)
{
	bool back = request == TFS_IOC_SNAPSHOT_CREATE || request == TFS_IOC_SHIP_FILES;
	int err = back && !h->read_only ? tfs_cache_flush_all(h->cache) : 0;

	if (!err)
		err = tfs_admin(h->vol, request, arg);
	if (!err && request == TFS_IOC_SNAPSHOT_DELETE)
		h->dying = true;
	if (!err && request == TFS_IOC_COMPACT)
		h->compact_seen = 0; /* what was settled is looked at again */
	return err;
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, int number, void *arg, struct fuse_file_info *fi, unsigned flags,
              const void *in, size_t in_bytes, size_t out_bytes)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	u32 request = (u32)number;
	void *buf;
	int err;

	(void)ino, (void)arg, (void)fi, (void)flags;
	if (_IOC_TYPE(request) != TFS_IOC_LETTER || in_bytes != _IOC_SIZE(request) || out_bytes != in_bytes) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (request != TFS_IOC_INFO && ctx->uid && ctx->uid != geteuid()) {
		fuse_reply_err(req, EPERM);
		return;
	}
	buf = malloc(in_bytes);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	memcpy(buf, in, in_bytes);
	err = request_do(host_of(req), request, buf);
	if (err)
		fuse_reply_err(req, err == -EUCLEAN ? EIO : -err);
	else
		fuse_reply_ioctl(req, 0, buf, out_bytes);
	free(buf);
}
