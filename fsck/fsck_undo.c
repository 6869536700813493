// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --undo: a device in front of the image that appends each block to a file, durably, before it is first overwritten;
 * and putting those blocks back. The file: a head block, then pairs of a block that names the place and the old block.
 * The head names the volume and every state it was in from the first write on, by its newest anchor: each is noted
 * before that anchor is written. So a repair that was cut off can be taken back, and a volume that was mounted
 * read-write since, or another one, is refused.
 */
#include "fsck/fsck.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNDO_MAGIC "TFS undo file 2\n"
#define UNDO_STATES 29u

struct undo_head {
	char magic[16];
	le64 volume;
	le64 device; /* bytes */
	le32 states, reserved;
	struct {
		le64 epoch;
		le32 crc; /* of the anchor */
		le32 reserved;
	} state[UNDO_STATES]; /* within the first 512 bytes: never torn */
	u8 pad[TFS_BLOCK - 504];
};
TFS_ASSERT_SIZE(struct undo_head, TFS_BLOCK);

struct undo {
	struct tfs_dev dev;
	struct tfs_dev *under;
	int fd;
	u8 *saved; /* a bit a block */
	off_t end;
	struct undo_head head; /* states 0: nothing was written yet */
};

struct undo_entry {
	le64 offset;
	le32 crc; /* of the old block */
	u8 pad[TFS_BLOCK - 12];
	u8 old[TFS_BLOCK];
} __attribute__((packed));

/* ---- saving ---- */

static int write_all(int fd, const void *buf, size_t bytes, off_t at)
{
	ssize_t n = pwrite(fd, buf, bytes, at);

	return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -ENOSPC;
}

static bool state_known(const struct undo_head *h, const struct tfs_anchor *a)
{
	for (u32 i = 0; i < tfs_le32(h->states) && i < UNDO_STATES; i++)
		if (h->state[i].epoch == a->epoch && h->state[i].crc == a->head.crc)
			return true;
	return false;
}

static int state_add(struct undo *u, const struct tfs_anchor *a)
{
	u32 n = tfs_le32(u->head.states);
	int err;

	if (state_known(&u->head, a))
		return 0;
	if (n == UNDO_STATES)
		return -ENOSPC;
	u->head.state[n].epoch = a->epoch;
	u->head.state[n].crc = a->head.crc;
	u->head.states = tfs_cpu32(n + 1);
	err = write_all(u->fd, &u->head, sizeof(u->head), 0);
	return !err && fdatasync(u->fd) ? -errno : err;
}

/* Before the first write: what volume this is, and its state. */
static int head_begin(struct undo *u)
{
	struct tfs_super super;
	struct tfs_anchor anchor;
	int err = tfs_probe(u->under, &fsck_env, &super, &anchor);

	if (err)
		return err;
	memcpy(&u->head, UNDO_MAGIC, sizeof(u->head.magic));
	u->head.volume = super.head.volume;
	u->head.device = tfs_cpu64(u->under->size);
	return state_add(u, &anchor);
}

static int block_save(struct undo *u, u64 block)
{
	static struct undo_entry e;
	int err = u->under->ops->io(u->under, TFS_IO_READ, block * TFS_BLOCK, e.old, TFS_BLOCK, 0);

	if (err)
		return err;
	e.offset = tfs_cpu64(block * TFS_BLOCK);
	e.crc = tfs_cpu32(tfs_port_crc32c(0, e.old, TFS_BLOCK));
	err = write_all(u->fd, &e, sizeof(e), u->end);
	if (err)
		return err;
	u->end += sizeof(e);
	u->saved[block / 8] |= (u8)(1 << block % 8);
	return 0;
}

static int undo_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct undo *u = (struct undo *)dev;
	bool saved = false;
	int err = op == TFS_IO_WRITE && !u->head.states ? head_begin(u) : 0;

	if (!err && op == TFS_IO_WRITE && bytes == TFS_BLOCK && !tfs_anchor_check(buf, tfs_le64(u->head.volume)))
		err = state_add(u, buf);
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
	struct undo *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->dev = *under;
	u->dev.ops = &ops;
	u->under = under;
	u->saved = calloc(1, under->size / TFS_BLOCK / 8 + 1);
	u->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	u->end = TFS_BLOCK;
	if (!u->saved || u->fd < 0) {
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

/* ---- putting back ---- */

/* The file is of this volume, and the volume in a state that it leads back from. */
static int head_check(const char *path, int fd, struct tfs_dev *dev)
{
	static struct undo_head h;
	struct tfs_super super;
	struct tfs_anchor anchor;
	int err;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.magic, UNDO_MAGIC, sizeof(h.magic)))
		return tfs_cli_fail(-EINVAL, path,
		                    "expected an undo file of fsck.tfs that is not empty; nothing was changed");
	err = tfs_probe(dev, &fsck_env, &super, &anchor);
	if (err)
		return tfs_cli_fail(err, path, "expected a TFS volume to restore: %s; nothing was changed",
		                    strerror(-err));
	if (super.head.volume != h.volume || tfs_le64(h.device) != dev->size)
		return tfs_cli_fail(
		    -EINVAL, path,
		    "expected an undo file of volume %016llx of %llu bytes, found one of %016llx of %llu; "
		    "nothing was changed",
		    (unsigned long long)tfs_le64(super.head.volume), (unsigned long long)dev->size,
		    (unsigned long long)tfs_le64(h.volume), (unsigned long long)tfs_le64(h.device));
	if (!state_known(&h, &anchor))
		return tfs_cli_fail(-EINVAL, path,
		                    "expected the volume as the repair left it, found checkpoint %llu: it was changed "
		                    "since, or this is another repair's file; nothing was changed",
		                    (unsigned long long)tfs_le64(anchor.epoch));
	return 0;
}

static bool entry_sound(const struct undo_entry *e, const struct tfs_dev *dev)
{
	u64 offset = tfs_le64(e->offset);

	return !(offset % TFS_BLOCK) && offset < dev->size && dev->size - offset >= TFS_BLOCK &&
	       tfs_port_crc32c(0, e->old, TFS_BLOCK) == tfs_le32(e->crc);
}

/* All entries, verified alone or written. The last may be torn: its block was not overwritten then. */
static int entries(int fd, off_t bytes, struct tfs_dev *dev, bool put)
{
	static struct undo_entry e;

	for (off_t at = TFS_BLOCK; bytes - at >= (off_t)sizeof(e); at += (off_t)sizeof(e)) {
		ssize_t n = pread(fd, &e, sizeof(e), at);
		int err;

		if (n != sizeof(e))
			return n < 0 ? -errno : -EIO;
		if (!entry_sound(&e, dev))
			return bytes - at < 2 * (off_t)sizeof(e) ? 0 : -EINVAL;
		err = put ? dev->ops->io(dev, TFS_IO_WRITE, tfs_le64(e.offset), e.old, TFS_BLOCK, 0) : 0;
		if (err)
			return err;
	}
	return 0;
}

static int restore(const char *path, int fd, struct tfs_dev *dev)
{
	struct stat st;
	int err = fstat(fd, &st) ? -errno : head_check(path, fd, dev);

	if (err)
		return err;
	err = entries(fd, st.st_size, dev, false);
	if (err)
		return tfs_cli_fail(err, path,
		                    "expected whole entries, found one that is damaged; nothing was changed");
	err = entries(fd, st.st_size, dev, true);
	if (!err)
		err = dev->ops->flush(dev);
	if (err)
		tfs_cli_fail(0, path, "%s; restore again to end what was begun", strerror(-err));
	return err;
}

int fsck_undo_restore(const char *path, struct tfs_dev *dev)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return tfs_cli_fail(-errno, path, "%s; nothing was changed", strerror(errno));
	err = restore(path, fd, dev);
	close(fd);
	return err;
}
