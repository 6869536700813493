// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The filesystem as a whole: statvfs, space that goes and comes back, descriptors by handle, and (on a second run,
 * where it is mounted read-only) that nothing changes there. statvfs(3), open_by_handle_at(2).
 */
#include "tests/posix/posix.h"

#include <sys/statvfs.h>
#include <sys/xattr.h>

static void numbers(void)
{
	struct statvfs a, b;
	static char block[1 << 16];
	int fd;

	OK(statvfs(".", &a));
	IS(a.f_bsize && a.f_frsize && a.f_blocks && a.f_namemax == 255);
	IS(a.f_bfree <= a.f_blocks && a.f_bavail <= a.f_bfree && a.f_ffree <= a.f_files);
	IS(!(a.f_flag & ST_RDONLY));
	memset(block, 'x', sizeof(block));
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(rand() >> 7);
	OK(fd = open("x", O_CREAT | O_WRONLY, 0644));
	for (int i = 0; i < 64; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			break;
	IS(look("x").st_size == 64 * sizeof(block));
	OK(fsync(fd));
	OK(statvfs(".", &b));
	IS((a.f_bfree - b.f_bfree) * a.f_frsize >= 3 << 20);
	IS(look("x").st_blocks * 512 >= 4 << 20);
	OK(fstatvfs(fd, &b));
	close(fd);
	OK(unlink("x"));
	IS(pathconf(".", _PC_NAME_MAX) == 255);
}

static void handles(void)
{
	union {
		struct file_handle h;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	struct stat s;
	int id, dir = open(".", O_RDONLY | O_DIRECTORY), fd;

	OK(write_file("x", "text"));
	u.h.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, "x", &u.h, &id, 0)) {
		skip("handles are not offered");
		return;
	}
	OK(rename("x", "y"));
	OK(fd = open_by_handle_at(dir, &u.h, O_RDONLY));
	OK(fstat(fd, &s));
	IS(s.st_ino == look("y").st_ino && s.st_size == 4);
	close(fd);
	OK(unlink("y"));
	nap();
	ERR(ESTALE, open_by_handle_at(dir, &u.h, O_RDONLY));
	u.h.handle_bytes = 0;
	ERR(EOVERFLOW, name_to_handle_at(AT_FDCWD, ".", &u.h, &id, 0));
	close(dir);
}

const struct test volume_tests[] = {{"numbers", numbers, false}, {"handles", handles, true}, TESTS_END};

/* What posix --prepare made. */
static void nothing_changes(void)
{
	struct statvfs v;
	struct stat before, after;
	char b[10];
	int fd;

	OK(statvfs(".", &v));
	IS(v.f_flag & ST_RDONLY);
	before = look("file");
	ERR(EROFS, open("file", O_WRONLY));
	ERR(EROFS, open("file", O_RDWR));
	ERR(EROFS, open("file", O_RDONLY | O_TRUNC));
	ERR(EROFS, open("new", O_CREAT | O_RDWR, 0644));
	ERR(EROFS, open(".", O_TMPFILE | O_RDWR, 0644));
	OK(fd = open("file", O_RDONLY | O_CREAT, 0644)); /* it is there */
	IS(read(fd, b, 10) == 7);
	ERR(EROFS, fchmod(fd, 0600));
	ERR(EROFS, fchown(fd, 0, 0));
	ERR(EROFS, futimens(fd, NULL));
	ERR(EROFS, fsetxattr(fd, "user.a", "b", 1, 0));
	OK(fsync(fd));
	close(fd);
	ERR(EROFS, mkdir("new", 0755));
	ERR(EEXIST, mkdir("dir", 0755));
	ERR(EROFS, mkfifo("new", 0644));
	ERR(EROFS, mknod("new", S_IFREG | 0644, 0));
	ERR(EROFS, symlink("x", "new"));
	ERR(EROFS, link("file", "new"));
	ERR(EROFS, unlink("file"));
	ERR(EROFS, rmdir("dir"));
	ERR(EROFS, rename("file", "new"));
	ERR(EROFS, rename("file", "link"));
	ERR(EROFS, chmod("file", 0600));
	ERR(EROFS, lchown("link", 0, 0));
	ERR(EROFS, truncate("file", 0));
	ERR(EROFS, utimensat(AT_FDCWD, "file", NULL, 0));
	ERR(EROFS, setxattr("file", "user.a", "b", 1, 0));
	ERR(EROFS, removexattr("file", "user.a"));
	ERR(EROFS, access("file", W_OK));
	OK(access("file", R_OK));
	ERR2(EROFS, ENOENT, unlink("none"));
	nap();
	after = look("file");
	IS(!memcmp(&before, &after, sizeof(before)));
}

const struct test readonly_tests[] = {{"nothing-changes", nothing_changes, false}, TESTS_END};
