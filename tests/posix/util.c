// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Helpers of the areas: files of each kind, users, times. */
#include "tests/posix/posix.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/un.h>

const char *const kind_name[KINDS] = {"file",   "directory", "fifo", "block device", "character device",
                                      "socket", "symlink"};

void *volatile nowhere = (void *)8;

static int socket_make(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), err;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	err = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof(a));
	if (fd >= 0)
		close(fd);
	return err;
}

int create(const char *path, mode_t mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, mode);

	return fd < 0 ? -1 : close(fd);
}

int make(enum kind k, const char *path, mode_t mode)
{
	int err;

	switch (k) {
	case FILE_:
		err = create(path, 0600);
		break;
	case DIR_:
		err = mkdir(path, 0700);
		break;
	case FIFO_:
		err = mkfifo(path, 0600);
		break;
	case BLOCK_:
		err = mknod(path, S_IFBLK | 0600, makedev(1, 2));
		break;
	case CHAR_:
		err = mknod(path, S_IFCHR | 0600, makedev(1, 3));
		break;
	case SOCKET_:
		err = socket_make(path);
		break;
	default:
		return symlink("target", path);
	}
	return err ? err : chmod(path, mode);
}

int make_for(enum kind k, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	/* the owner first: giving it away clears set-id bits */
	return make(k, path, 0600) || lchown(path, uid, gid) || (k != SYMLINK_ && chmod(path, mode)) ? -1 : 0;
}

int drop(const char *path)
{
	return remove(path);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	return fd < 0 || close(fd) || n != (ssize_t)strlen(text) ? -1 : 0;
}

struct stat look(const char *path)
{
	struct stat s;

	if (lstat(path, &s))
		memset(&s, 0, sizeof(s));
	return s;
}

bool there(const char *path)
{
	return look(path).st_ino != 0;
}

bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* The kernel's coarse clock ticks every 10 ms at worst. */
void nap(void)
{
	usleep(21000);
}

void fill_name(char *name, size_t len, char c)
{
	memset(name, c, len);
	name[len] = 0;
}

void become(uid_t uid, gid_t gid, gid_t also)
{
	root_again();
	if (setgroups(also != NOBODY_ELSE, &also) || setegid(gid) || seteuid(uid)) {
		perror("posix: another user");
		exit(2);
	}
}

void root_again(void)
{
	if (geteuid() && seteuid(0)) {
		perror("posix: root again");
		exit(2);
	}
	if (setegid(0) || setgroups(0, NULL))
		exit(2);
}

const char *elsewhere(void)
{
	static const char *const dirs[] = {"/dev/shm", "/tmp", "/var/tmp"};
	struct stat here = look("."), s;

	for (int i = 0; i < 3; i++)
		if (!stat(dirs[i], &s) && s.st_dev != here.st_dev)
			return dirs[i];
	return NULL;
}
