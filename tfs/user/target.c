// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Opening what a command works on, and its two kinds. A directory is taken for one in a mounted volume, a file or
 * device for a volume that nobody has mounted: that is refused when it is in use, also for reading, for what is mounted
 * changes under the reader. Called by tfs and tfs-backup.
 */
#include "tfs/user/target.h"
#include "tfs/user/cli.h"
#include "tfs/user/port.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- mounted ---- */

static int mounted_request(struct target *t, u32 request, void *arg)
{
	return ioctl(t->fd, request, arg) ? -errno : 0;
}

static int mounted_close(struct target *t)
{
	return close(t->fd) ? -errno : 0;
}

static int mounted_open(struct target *t)
{
	static const struct target_ops ops = {mounted_request, mounted_close};
	struct tfs_ioc_info info = {0};
	int err;

	t->ops = &ops;
	t->mounted = true;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return tfs_cli_fail(t->codes->refused, t->path, "%s", strerror(errno));
	err = mounted_request(t, TFS_IOC_INFO, &info);
	if (!err)
		return 0;
	close(t->fd);
	if (err == -ENOTTY || err == -EINVAL || err == -ENOSYS)
		return tfs_cli_fail(
		    t->codes->usage, t->path,
		    "expected a directory of a mounted TFS volume, or an image or device; what is mounted "
		    "here is none, or older than this tool");
	return tfs_cli_fail(t->codes->refused, t->path, "%s", strerror(-err));
}

/* ---- not mounted ---- */

static int offline_request(struct target *t, u32 request, void *arg)
{
	return tfs_admin(t->vol, request, arg);
}

/* What a delete left to be freed is freed now: there is no later. */
static int deleted_free(struct target *t)
{
	struct tfs_progress p;
	struct tfs_stat st;
	int more;

	tfs_statfs(t->vol, &st);
	if (st.read_only || !st.dying)
		return 0;
	tfs_progress_start(&p, false, -1, 1);
	tfs_progress_pass(&p, "freeing what deleted snapshots held, steps", 0);
	while ((more = tfs_snapshot_step(t->vol)) > 0)
		tfs_progress_add(&p, 1);
	tfs_progress_end(&p);
	return more;
}

static int offline_close(struct target *t)
{
	int err = deleted_free(t), end = tfs_unmount(t->vol);

	if (!err)
		err = end;
	end = tfs_file_dev_close(&t->dev);
	return err ? err : end;
}

/* A device that is mounted is busy for who asks so; a file behind a loop device is not, but may be mounted there. */
static bool in_use(const char *path, const struct stat *st)
{
	char loop[64];
	int fd;

	if (!S_ISBLK(st->st_mode))
		return tfs_looped(path, loop, sizeof(loop));
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

static int mount_failed(const struct target *t, int err)
{
	return tfs_cli_fail(t->codes->damage, t->path, "%s",
	                    err == -EINVAL       ? "expected a TFS superblock, found none; of a mounted volume give a "
	                                           "directory in it; is --offset missing?"
	                    : err == -EUCLEAN    ? "is damaged; run fsck.tfs"
	                    : err == -EOPNOTSUPP ? "was made with features that this tool does not know"
	                                         : strerror(-err));
}

static int offline_mount(struct target *t, bool write)
{
	struct tfs_mount_options opt = {.flags = write ? 0 : TFS_MOUNT_RO};
	struct tfs_env env = tfs_user_env();
	struct tfs_stat st;
	int err = tfs_mount(&t->dev.dev, &env, &opt, &t->vol);

	if (err)
		return mount_failed(t, err);
	tfs_statfs(t->vol, &st);
	if (!st.damaged || !write)
		return 0;
	tfs_abandon(t->vol);
	return tfs_cli_fail(t->codes->damage, t->path, "its log is damaged; run fsck.tfs first");
}

static int offline_open(struct target *t, const struct stat *st, u64 offset, bool write)
{
	static const struct target_ops ops = {offline_request, offline_close};
	int err, code;

	t->ops = &ops;
	err = in_use(t->path, st) ? -EBUSY : tfs_file_dev_open(&t->dev, t->path, offset, write, 0);
	if (err == -EBUSY)
		return tfs_cli_fail(t->codes->refused, t->path, "%s; if it is mounted, give the directory where it is",
		                    tfs_file_dev_error(err));
	if (write && t->codes->unwritable && (err == -EACCES || err == -EROFS || err == -EPERM))
		return tfs_cli_fail(t->codes->refused, t->path, "%s: %s", strerror(-err), t->codes->unwritable);
	if (err)
		return tfs_cli_fail(err == -ENOTBLK ? t->codes->usage : t->codes->refused, t->path, "%s",
		                    tfs_file_dev_error(err));
	code = offline_mount(t, write);
	if (code)
		tfs_file_dev_close(&t->dev);
	return code;
}

/* ---- either ---- */

int target_open(struct target *t, const struct target_codes *codes, const char *path, u64 offset, bool write)
{
	struct stat st;

	memset(t, 0, sizeof(*t));
	t->codes = codes;
	t->path = path;
	if (stat(path, &st))
		return tfs_cli_fail(t->codes->usage, path, "%s", strerror(errno));
	return S_ISDIR(st.st_mode) ? mounted_open(t) : offline_open(t, &st, offset, write);
}

int target_request(struct target *t, u32 request, void *arg)
{
	return t->ops->request(t, request, arg);
}

int target_close(struct target *t)
{
	return t->ops->close(t);
}
