// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * --undo for a Nanos volume: before blocks are first overwritten, their content goes to a file, durably. The file: a
 * head, then entries {offset, bytes, CRC, content}. Such a volume has no identity that a repair keeps, so the head
 * holds the CRC of block 0 before and of each block 0 written since: a volume that has another one now was changed
 * after the repair, or is another, and is refused. `whole` says how far entries are durable; it grows before the volume
 * is written there, so what a power failure left behind it was in vain and is not looked at.
 */
#include "fsck/fsck_nanos.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "TFS undo nanos 1"
#define STATES 16u
#define PIECE 65536u

struct head {
	char magic[16];
	le64 device; /* bytes */
	le64 whole;  /* bytes of this file */
	le32 states, crc[STATES];
	u8 pad[512 - 36 - 4 * STATES];
} __attribute__((packed));
TFS_ASSERT_SIZE(struct head, 512);

struct entry {
	le64 offset;
	le32 bytes, crc;
} __attribute__((packed));

struct undo {
	struct tfs_dev dev;
	struct tfs_dev *under;
	int fd;
	off_t end;
	struct head head;
};

static int write_all(int fd, const void *buf, size_t bytes, off_t at)
{
	ssize_t n = pwrite(fd, buf, bytes, at);

	return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -ENOSPC;
}

static int state_add(struct undo *u, const u8 *block)
{
	u32 n = tfs_le32(u->head.states);

	if (n == STATES)
		return -ENOSPC;
	u->head.crc[n] = tfs_cpu32(tfs_port_crc32c(0, block, NANOS_BLOCK));
	u->head.states = tfs_cpu32(n + 1);
	return 0;
}

/* One sector, when all entries are durable. */
static int head_write(struct undo *u)
{
	int err;

	u->head.whole = tfs_cpu64((u64)u->end);
	err = write_all(u->fd, &u->head, sizeof(u->head), 0);
	return !err && fdatasync(u->fd) ? -errno : err;
}

static int begin(struct undo *u)
{
	u8 block[NANOS_BLOCK];
	int err = u->under->ops->io(u->under, TFS_IO_READ, 0, block, NANOS_BLOCK, 0);

	memcpy(u->head.magic, MAGIC, sizeof(u->head.magic));
	u->head.device = tfs_cpu64(u->under->size);
	if (!err)
		err = state_add(u, block);
	return err ? err : head_write(u);
}

static int save(struct undo *u, u64 offset, u32 bytes)
{
	static u8 old[PIECE];
	int err = 0;

	for (u32 n; bytes && !err; offset += n, bytes -= n) {
		struct entry e;

		n = bytes < PIECE ? bytes : PIECE;
		err = u->under->ops->io(u->under, TFS_IO_READ, offset, old, n, 0);
		e = (struct entry){tfs_cpu64(offset), tfs_cpu32(n), tfs_cpu32(tfs_port_crc32c(0, old, n))};
		if (!err)
			err = write_all(u->fd, &e, sizeof(e), u->end);
		if (!err)
			err = write_all(u->fd, old, n, u->end + (off_t)sizeof(e));
		u->end += (off_t)(sizeof(e) + n);
	}
	return !err && fdatasync(u->fd) ? -errno : err;
}

/* A repair writes no place twice, so all that is saved is old. */
static int undo_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct undo *u = (struct undo *)dev;
	int err = op == TFS_IO_WRITE && !u->head.states ? begin(u) : 0;

	if (!err && op == TFS_IO_WRITE)
		err = save(u, offset, bytes);
	if (!err && op == TFS_IO_WRITE && !offset)
		err = state_add(u, buf);
	if (!err && op == TFS_IO_WRITE)
		err = head_write(u);
	return err ? err : u->under->ops->io(u->under, op, offset, buf, bytes, flags);
}

static int undo_flush(struct tfs_dev *dev)
{
	struct undo *u = (struct undo *)dev;

	return u->under->ops->flush(u->under);
}

int fsck_nanos_undo_open(struct tfs_dev *under, const char *path, struct tfs_dev **out)
{
	static const struct tfs_dev_ops ops = {undo_io, undo_flush, NULL};
	struct undo *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->dev = (struct tfs_dev){.ops = &ops, .size = under->size};
	u->under = under;
	u->end = sizeof(struct head);
	u->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (u->fd < 0) {
		int err = -errno;

		free(u);
		return err;
	}
	*out = &u->dev;
	return 0;
}

int fsck_nanos_undo_close(struct tfs_dev *dev)
{
	struct undo *u = (struct undo *)dev;
	int err = fsync(u->fd) ? -errno : 0;

	if (close(u->fd) && !err)
		err = -errno;
	free(u);
	return err;
}

/* ---- bringing it back ---- */

bool fsck_nanos_undo_is(const char *path)
{
	char magic[16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is = fd >= 0 && pread(fd, magic, 16, 0) == 16 && !memcmp(magic, MAGIC, 16);

	if (fd >= 0)
		close(fd);
	return is;
}

static int refuse(const char *path, const char *why)
{
	return tfs_cli_fail(-EINVAL, path, "%s; nothing was changed", why);
}

static int head_check(const char *path, const struct head *h, struct tfs_dev *dev)
{
	u8 block[NANOS_BLOCK];
	u32 crc;

	if (memcmp(h->magic, MAGIC, 16) || tfs_le32(h->states) > STATES || tfs_le64(h->whole) >> 62)
		return refuse(path, "expected an undo file of a Nanos volume");
	if (tfs_le64(h->device) != dev->size || dev->ops->io(dev, TFS_IO_READ, 0, block, NANOS_BLOCK, 0))
		return refuse(path, "is of a volume of another size");
	crc = tfs_port_crc32c(0, block, NANOS_BLOCK);
	for (u32 i = 0; i < tfs_le32(h->states); i++)
		if (tfs_le32(h->crc[i]) == crc)
			return 0;
	return refuse(path, "is of another volume, or the volume was changed since");
}

/* apply false: only looks whether all entries are whole. Block 0 was saved last and comes back last. */
static int entries_take(const char *path, int fd, off_t end, struct tfs_dev *dev, bool apply)
{
	static u8 old[PIECE];
	off_t at = sizeof(struct head);
	struct entry e;
	int err = 0;

	while (at < end && !err) {
		u32 n;
		u64 offset;

		if (pread(fd, &e, sizeof(e), at) != sizeof(e))
			return refuse(path, "is cut off");
		n = tfs_le32(e.bytes);
		offset = tfs_le64(e.offset);
		if (!n || n > PIECE || offset > dev->size || n > dev->size - offset ||
		    pread(fd, old, n, at + (off_t)sizeof(e)) != (ssize_t)n ||
		    tfs_port_crc32c(0, old, n) != tfs_le32(e.crc))
			return refuse(path, "is damaged or cut off");
		if (apply)
			err = dev->ops->io(dev, TFS_IO_WRITE, offset, old, n, 0);
		at += (off_t)(sizeof(e) + n);
	}
	return err;
}

int fsck_nanos_undo_restore(const char *path, struct tfs_dev *dev)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct head h;

	if (fd < 0)
		return tfs_cli_fail(-errno, path, "%s", strerror(errno));
	err = pread(fd, &h, sizeof(h), 0) == sizeof(h) ? head_check(path, &h, dev)
	                                               : refuse(path, "expected an undo file");
	if (!err)
		err = entries_take(path, fd, (off_t)tfs_le64(h.whole), dev, false);
	if (!err) {
		err = entries_take(path, fd, (off_t)tfs_le64(h.whole), dev, true);
		if (!err)
			err = dev->ops->flush(dev);
		if (err)
			tfs_cli_fail(0, path, "cannot be written back: %s; try again", strerror(-err));
	}
	close(fd);
	return err;
}
