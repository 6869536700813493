// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The image: what is there before, whether it may be overwritten, and the device that the core writes to. What libblkid
 * knows (and a TFS volume, which it does not) is refused unless -f says otherwise; what is mounted or attached is
 * refused always. Old signatures are wiped before anything is written, so an interrupted run leaves neither the old
 * volume nor half of the new one to be mounted; a file that was not there before gets its name when it is whole
 * (newfile.c). An old file is written in place: it keeps its inode, owner and mode, and its size unless one is given.
 * Called by main.c.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ENDS 65536u            /* bytes cleared at both ends */
#define KICK_EVERY (16u << 20) /* bytes after which the host is told to start writing */

/* ---- who else uses it ---- */

/* A mounted block device, by number, whatever it is called. */
static bool is_mounted(dev_t dev)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned id, up, major, minor;
	size_t room = 0;
	char *line = NULL;
	bool hit = false;

	while (f && !hit && getline(&line, &room, f) >= 0)
		hit = sscanf(line, "%u %u %u:%u", &id, &up, &major, &minor) == 4 && makedev(major, minor) == dev;
	free(line);
	if (f)
		fclose(f);
	return hit;
}

static int refuse_in_use(const char *path, const struct stat *st)
{
	char loop[64];
	int fd;

	if (S_ISREG(st->st_mode) && tfs_looped(path, loop, sizeof(loop)))
		return tfs_cli_fail(MKFS_DEVICE, path, "is in use by %s; detach it first (losetup -d)", loop);
	if (!S_ISBLK(st->st_mode))
		return 0;
	if (is_mounted(st->st_rdev))
		return tfs_cli_fail(MKFS_DEVICE, path, "is mounted; unmount it first");
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC); /* the kernel knows of swap, RAID and device mapper too */
	if (fd < 0 && errno == EBUSY)
		return tfs_cli_fail(MKFS_DEVICE, path,
		                    "is in use by the system (mounted, swap, RAID or device mapper)");
	if (fd >= 0)
		close(fd);
	return 0;
}

/* ---- what it holds ---- */

static blkid_probe probe_new(int fd)
{
	blkid_probe pr = blkid_new_probe();

	if (!pr)
		return NULL;
	if (blkid_probe_set_device(pr, fd, 0, 0)) {
		blkid_free_probe(pr);
		return NULL;
	}
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	return pr;
}

static bool holds_tfs(int fd, u64 size)
{
	static u8 block[TFS_BLOCK];
	u64 at[2] = {TFS_SUPER_OFFSET, (size & ~(u64)(TFS_BLOCK - 1)) - TFS_BLOCK};
	int i;

	for (i = 0; i < 2 && size >= TFS_MIN_VOLUME; i++)
		if (pread(fd, block, TFS_BLOCK, (off_t)at[i]) == TFS_BLOCK && !tfs_super_check(block, 0))
			return true;
	return false;
}

/* -1: cannot be told. 1: something, named in what. */
static int signature(int fd, u64 size, char *what, size_t what_size)
{
	blkid_probe pr = probe_new(fd);
	const char *type = NULL;
	int r;

	if (holds_tfs(fd, size))
		type = "TFS volume";
	else if (!pr)
		return size ? -1 : 0;
	else if ((r = blkid_do_probe(pr)) < 0)
		type = "something that cannot be told (signatures contradict one another or cannot be read)";
	else if (!r && blkid_probe_lookup_value(pr, "TYPE", &type, NULL) &&
	         blkid_probe_lookup_value(pr, "PTTYPE", &type, NULL))
		type = "known signature";
	if (type)
		snprintf(what, what_size, "%s", type);
	blkid_free_probe(pr);
	return type != NULL;
}

static int refuse_signature(const char *path, int fd, u64 size)
{
	char what[100];
	int r = signature(fd, size, what, sizeof(what));

	if (r < 0)
		return tfs_cli_fail(MKFS_DEVICE, path,
		                    "cannot be examined for signatures; -f overwrites it all the same");
	return r ? tfs_cli_fail(MKFS_DEVICE, path, "holds data already (%s); -f overwrites it", what) : 0;
}

int mkfs_target_look(const struct mkfs_options *o, struct mkfs_found *found)
{
	const char *path = o->image;
	struct stat st;
	off_t end;
	int err, fd;

	memset(found, 0, sizeof(*found));
	if (stat(path, &st) && errno == ENOENT && !lstat(path, &st))
		return tfs_cli_fail(MKFS_DEVICE, path,
		                    "is a symbolic link to what is not there; name the file that is to be made");
	if (stat(path, &st))
		return errno == ENOENT ? 0 : tfs_cli_fail(MKFS_DEVICE, path, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return tfs_cli_fail(MKFS_DEVICE, path, "expected a regular file or a block device");
	found->exists = true;
	found->block = S_ISBLK(st.st_mode);
	err = o->dry_run ? 0 : refuse_in_use(path, &st);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tfs_cli_fail(MKFS_DEVICE, path, "%s", strerror(errno));
	end = lseek(fd, 0, SEEK_END);
	found->size = end > 0 ? (u64)end : 0;
	if (!o->force && !o->dry_run)
		err = refuse_signature(path, fd, found->size);
	close(fd);
	return err;
}

/* ---- the device ---- */

static int target_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct mkfs_target *t = (struct mkfs_target *)dev;
	int err = t->file.dev.ops->io(&t->file.dev, op, offset, buf, bytes, flags);

	if (op != TFS_IO_WRITE)
		return err;
	if (err && !t->error)
		t->error = err;
	t->kicked += bytes;
	if (t->kicked >= KICK_EVERY) { /* the disk works while we do; what fails shows at the flush */
		t->kicked = 0;
		sync_file_range(t->file.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	return err;
}

static int target_flush(struct tfs_dev *dev)
{
	struct mkfs_target *t = (struct mkfs_target *)dev;
	int err = t->file.dev.ops->flush(&t->file.dev);

	if (err && !t->error)
		t->error = err;
	return err;
}

static int signatures_wipe(int fd)
{
	blkid_probe pr = probe_new(fd);
	int n = 0;

	while (pr && n++ < 64 && !blkid_do_probe(pr))
		if (blkid_do_wipe(pr, 0))
			break;
	blkid_free_probe(pr);
	return fsync(fd) ? -errno : 0;
}

/* Both ends, where the superblocks and anchors of a TFS volume are, and whatever libblkid finds elsewhere. */
static int old_clear(struct mkfs_target *t)
{
	static u8 zero[ENDS];
	u64 size = t->file.dev.size & ~(u64)(TFS_BLOCK - 1);
	int err = signatures_wipe(t->file.fd);

	if (!err)
		err = target_io(&t->dev, TFS_IO_WRITE, 0, zero, ENDS, 0);
	if (!err)
		err = target_io(&t->dev, TFS_IO_WRITE, size - ENDS, zero, ENDS, 0);
	return err ? err : target_flush(&t->dev);
}

static int open_failed(const char *path, int err)
{
	if (err == -ENOENT)
		return tfs_cli_fail(MKFS_DEVICE, path, "its directory does not exist");
	if (err == -EBUSY)
		return tfs_cli_fail(MKFS_DEVICE, path, "is being written by another tool");
	if (err == -EFBIG)
		return tfs_cli_fail(MKFS_DEVICE, path, "its filesystem does not hold files of this size");
	return tfs_cli_fail(MKFS_DEVICE, path, "%s", strerror(-err));
}

/* A dry run's device: a file without a name, gone with the process. */
static int scratch_open(struct mkfs_target *t, u64 size)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd, err;

	snprintf(path, sizeof(path), "%s/mkfs.tfs.XXXXXX", dir && *dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return tfs_cli_fail(MKFS_DEVICE, path, "%s", strerror(errno));
	unlink(path);
	err = tfs_file_dev_take(&t->file, fd, 0, true, size);
	return err ? open_failed(path, err) : 0;
}

static int new_open(struct mkfs_target *t, u64 size)
{
	int err;

	if (!size)
		return tfs_cli_fail(MKFS_DEVICE, t->image, "does not exist; give a size to make it");
	err = mkfs_newfile_open(&t->newfile, t->image);
	if (err < 0)
		return open_failed(t->image, err);
	t->is_new = true;
	err = tfs_file_dev_take(&t->file, err, 0, true, size);
	if (!err)
		return 0;
	mkfs_newfile_end(&t->newfile);
	return open_failed(t->image, err);
}

static int old_open(struct mkfs_target *t, const struct mkfs_found *found, u64 size)
{
	int err = tfs_file_dev_open(&t->file, t->image, 0, true, found->block ? 0 : size);

	t->old_size = found->size;
	return err ? open_failed(t->image, err) : 0;
}

int mkfs_target_open(struct mkfs_target *t, const struct mkfs_options *o, const struct mkfs_found *found, u64 size)
{
	static const struct tfs_dev_ops ops = {target_io, target_flush, NULL};
	int err;

	memset(t, 0, sizeof(*t));
	t->image = o->image;
	t->regular = !found->block;
	if (o->dry_run)
		err = scratch_open(t, size ? size : found->size);
	else
		err = found->exists ? old_open(t, found, size) : new_open(t, size);
	if (err)
		return err;
	t->dev = t->file.dev;
	t->dev.ops = &ops;
	if (t->dev.size < mkfs_size_min(o) || t->dev.size < size) {
		mkfs_target_close(t);
		return tfs_cli_fail(MKFS_DEVICE, o->image, "has %llu bytes; expected at least %llu",
		                    (unsigned long long)t->file.dev.size,
		                    (unsigned long long)(size > mkfs_size_min(o) ? size : mkfs_size_min(o)));
	}
	err = old_clear(t);
	if (!err)
		return 0;
	t->error = err;
	mkfs_target_close(t);
	return mkfs_target_failed(t, err);
}

int mkfs_target_grow(struct mkfs_target *t, u64 size)
{
	if (ftruncate(t->file.fd, (off_t)size))
		return -errno;
	t->dev.size = t->file.dev.size = size;
	return 0;
}

int mkfs_target_cut(struct mkfs_target *t, u64 size)
{
	return t->regular && ftruncate(t->file.fd, (off_t)size) ? -errno : 0;
}

int mkfs_target_done(struct mkfs_target *t)
{
	int err = t->regular && fsync(t->file.fd) ? -errno : 0; /* what was cut off too */

	if (!err && t->is_new)
		err = mkfs_newfile_name(&t->newfile);
	t->done = !err;
	return err;
}

int mkfs_target_close(struct mkfs_target *t)
{
	/* the rest of an attempt with --size auto may be much larger; a new or scratch file goes anyway */
	if (!t->done && t->regular && t->file.dev.size != t->old_size && ftruncate(t->file.fd, (off_t)t->old_size))
		tfs_cli_warn(t->image, "cannot get its old length back: %s", strerror(errno));
	if (t->is_new)
		mkfs_newfile_end(&t->newfile);
	return tfs_file_dev_close(&t->file);
}

int mkfs_target_failed(const struct mkfs_target *t, int err)
{
	if (t->error)
		err = t->error;
	if (err == -EEXIST)
		return tfs_cli_fail(MKFS_DEVICE, t->image, "appeared while the volume was made; it was left as it is");
	if (err == -EFBIG)
		return tfs_cli_fail(MKFS_DEVICE, t->image,
		                    "its filesystem or a limit (ulimit -f) does not let files become so large; nothing "
		                    "mountable was left");
	if (err == -ENOSPC || err == -EDQUOT)
		return tfs_cli_fail(MKFS_DEVICE, t->image,
		                    "the disk that holds the image is full; nothing mountable was left");
	return tfs_cli_fail(MKFS_DEVICE, t->image, "cannot be written: %s; nothing mountable was left", strerror(-err));
}
