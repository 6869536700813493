// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --undo: a device in front of the image that appends each block to a file, durably, before it is first overwritten;
 * and putting those blocks back. The file: a head block, then pairs of a block that names the place and the old block.
 */
#include "fsck/fsck.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define UNDO_MAGIC "TFS undo file 1\n"

struct undo {
	struct tfs_dev dev;
	struct tfs_dev *under;
	int fd;
	u8 *saved; /* a bit a block */
	off_t end;
};

struct undo_entry {
	le64 offset;
	le32 crc; /* of the old block */
	u8 pad[TFS_BLOCK - 12];
	u8 old[TFS_BLOCK];
} __attribute__((packed));

static int block_save(struct undo *u, u64 block)
{
	static struct undo_entry e;
	int err = u->under->ops->io(u->under, TFS_IO_READ, block * TFS_BLOCK, e.old, TFS_BLOCK, 0);

	if (err)
		return err;
	e.offset = tfs_cpu64(block * TFS_BLOCK);
	e.crc = tfs_cpu32(tfs_port_crc32c(0, e.old, TFS_BLOCK));
	if (pwrite(u->fd, &e, sizeof(e), u->end) != sizeof(e))
		return errno ? -errno : -EIO;
	u->end += sizeof(e);
	u->saved[block / 8] |= (u8)(1 << block % 8);
	return 0;
}

static int undo_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct undo *u = (struct undo *)dev;
	bool saved = false;
	int err = 0;

	for (u64 b = offset / TFS_BLOCK; !err && op == TFS_IO_WRITE && b < (offset + bytes) / TFS_BLOCK; b++)
		if (!(u->saved[b / 8] >> b % 8 & 1)) {
			err = block_save(u, b);
			saved = true;
		}
	if (!err && saved && fdatasync(u->fd))
		err = -errno;
	return err ? err : u->under->ops->io(u->under, op, offset, buf, bytes, flags);
}

static int undo_flush(struct tfs_dev *dev)
{
	struct undo *u = (struct undo *)dev;

	return u->under->ops->flush(u->under);
}

int fsck_undo_open(struct tfs_dev *under, const char *path, struct tfs_dev **out)
{
	static const struct tfs_dev_ops ops = {undo_io, undo_flush, NULL};
	static u8 head[TFS_BLOCK] = UNDO_MAGIC;
	struct undo *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->dev = *under;
	u->dev.ops = &ops;
	u->under = under;
	u->saved = calloc(1, under->size / TFS_BLOCK / 8 + 1);
	u->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	u->end = TFS_BLOCK;
	if (!u->saved || u->fd < 0 || pwrite(u->fd, head, sizeof(head), 0) != sizeof(head)) {
		int err = u->saved && errno ? -errno : -ENOMEM;

		if (u->fd >= 0)
			close(u->fd);
		free(u->saved);
		free(u);
		return err;
	}
	*out = &u->dev;
	return 0;
}

int fsck_undo_close(struct tfs_dev *dev)
{
	struct undo *u = (struct undo *)dev;
	int err = fsync(u->fd) ? -errno : 0;

	close(u->fd);
	free(u->saved);
	free(u);
	return err;
}

int fsck_undo_restore(const char *path, struct tfs_dev *dev)
{
	static struct undo_entry e;
	static u8 head[TFS_BLOCK];
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	off_t at = TFS_BLOCK;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, UNDO_MAGIC, sizeof(UNDO_MAGIC)))
		err = -EINVAL;
	for (; !err && (n = pread(fd, &e, sizeof(e), at)) == sizeof(e); at += n) {
		u64 offset = tfs_le64(e.offset);

		if (offset % TFS_BLOCK || offset + TFS_BLOCK > dev->size ||
		    tfs_port_crc32c(0, e.old, TFS_BLOCK) != tfs_le32(e.crc))
			err = -EINVAL;
		else
			err = dev->ops->io(dev, TFS_IO_WRITE, offset, e.old, TFS_BLOCK, 0);
	}
	if (!err && n < 0)
		err = -errno;
	close(fd);
	return err ? err : dev->ops->flush(dev);
}
