// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Names come and go: link, unlink, rmdir. Counts and times of inodes and directories, what may not be linked or
 * removed and by whom, files that live on without a name. link(2), unlink(2), rmdir(2), sticky bit of inode(7).
 */
#include "tests/posix/posix.h"

#include <dirent.h>
#include <sys/mount.h>

static void hard_links(void)
{
	for (int k = 0; k < KINDS; k++) {
		struct stat a, b, dir;

		if (k == DIR_ || (geteuid() && (k == BLOCK_ || k == CHAR_)))
			continue;
		about("a %s", kind_name[k]);
		OK(make((enum kind)k, "a", 0644));
		a = look("a");
		dir = look(".");
		nap();
		OK(link("a", "b"));
		b = look("b");
		IS(b.st_ino == a.st_ino && b.st_nlink == 2 && look("a").st_nlink == 2);
		IS(later(b.st_ctim, a.st_ctim) && same_time(b.st_mtim, a.st_mtim));
		IS(later(look(".").st_mtim, dir.st_mtim) && later(look(".").st_ctim, dir.st_ctim));
		OK(link("b", "c"));
		IS(look("a").st_nlink == 3);
		if (k != SYMLINK_) {
			OK(chmod("b", 0601));
			IS((look("a").st_mode & 07777) == 0601 && (look("c").st_mode & 07777) == 0601);
		}
		a = look("a");
		dir = look(".");
		nap();
		ERR(EEXIST, link("a", "b"));
		IS(same_time(look("a").st_ctim, a.st_ctim) && same_time(look(".").st_ctim, dir.st_ctim));
		OK(unlink("a"));
		b = look("b");
		IS(b.st_nlink == 2 && later(b.st_ctim, a.st_ctim));
		IS(later(look(".").st_mtim, dir.st_mtim) && later(look(".").st_ctim, dir.st_ctim));
		OK(unlink("c"));
		IS(look("b").st_nlink == 1);
		OK(unlink("b"));
		ERR(ENOENT, unlink("b"));
	}
}

static void not_linked(void)
{
	char path[60];
	int fd;

	OK(create("f", 0644));
	OK(mkdir("d", 0755));
	OK(symlink("f", "s"));
	for (int k = 0; k < KINDS; k++)
		if (!geteuid() || (k != BLOCK_ && k != CHAR_)) {
			OK(make((enum kind)k, "to", 0644));
			about("a %s", kind_name[k]);
			ERR(EEXIST, link("f", "to"));
			OK(drop("to"));
		}
	about("%s", "");
	ERR(EPERM, link("d", "x"));
	ERR(EPERM, link(".", "x"));
	ERR(EEXIST, link("d", "f"));
	ERR(EEXIST, link("f", "."));
	ERR2(ENOENT, ENOTDIR, link("f", "x/"));
	OK(link("s", "s2")); /* the link itself */
	IS(S_ISLNK(look("s2").st_mode) && look("s2").st_ino == look("s").st_ino);
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
	IS(look("f2").st_ino == look("f").st_ino);
	ERR(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "x", 0x4));
	OK(fd = open("f", O_RDONLY));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "f3", AT_SYMLINK_FOLLOW));
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "x", 0));
	if (!geteuid()) {
		OK(linkat(fd, "", AT_FDCWD, "f4", AT_EMPTY_PATH));
		OK(unlink("f4"));
	}
	OK(unlink("f"));
	OK(unlink("f2"));
	OK(unlink("f3"));
	ERR(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "x", AT_SYMLINK_FOLLOW)); /* without a name: gone for good */
	close(fd);
}

static void linked_by_others(void)
{
	OK(chmod(".", 0777));
	OK(make_for(FILE_, "f", 0644, ALICE, ALICE));
	OK(mkdir("d", 0755));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, link("f", "d/x"));
	OK(link("f", "g"));
	ERR2(EPERM, EACCES, link(".", "x"));
	root_again();
}

static void unlinks(void)
{
	struct stat dir;

	OK(mkdir("d", 0755));
	OK(create("f", 0644));
	OK(symlink("d", "sd"));
	ERR(EISDIR, unlink("d"));
	ERR(EISDIR, unlink("."));
	ERR(EISDIR, unlink(".."));
	ERR2(ENOTDIR, EISDIR, unlink("sd/"));
	ERR(EINVAL, unlinkat(AT_FDCWD, "f", 0x1));
	dir = look(".");
	nap();
	ERR(ENOENT, unlink("none"));
	IS(same_time(look(".").st_ctim, dir.st_ctim));
	OK(unlink("sd"));
	IS(there("d"));
	if (geteuid())
		return;
	OK(chmod(".", 0777));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR2(EISDIR, EPERM, unlink("d"));
	root_again();
}

/* Without a name and open: everything goes on, and the last close ends it. */
static void nameless(void)
{
	struct stat s;
	char b[20];
	int fd;

	OK(write_file("f", "some text"));
	OK(fd = open("f", O_RDWR));
	OK(unlink("f"));
	OK(fstat(fd, &s));
	IS(!s.st_nlink && s.st_size == 9);
	IS(pread(fd, b, 20, 0) == 9 && !memcmp(b, "some text", 9));
	IS(pwrite(fd, "more", 4, 100000) == 4);
	OK(ftruncate(fd, 200000));
	OK(fchmod(fd, 0600));
	OK(fsync(fd));
	OK(fstat(fd, &s));
	IS(s.st_size == 200000 && (s.st_mode & 07777) == 0600 && !s.st_nlink);
	OK(create("f", 0644)); /* the name is another file's now */
	IS(look("f").st_ino != s.st_ino && !look("f").st_size);
	IS(pread(fd, b, 4, 100000) == 4 && !memcmp(b, "more", 4));
	OK(close(fd));
}

static void directories(void)
{
	struct stat dir;
	DIR *d;
	int fd;

	OK(mkdir("d", 0755));
	OK(mkdir("d/e", 0755));
	ERR2(ENOTEMPTY, EEXIST, rmdir("d"));
	ERR(EINVAL, rmdir("d/e/."));
	ERR2(ENOTEMPTY, EEXIST, rmdir("d/e/.."));
	OK(symlink("d/e", "s"));
	ERR(ENOTDIR, rmdir("s"));
	ERR(ENOTDIR, rmdir("s/"));
	ERR(EBUSY, rmdir("/"));
	for (int k = 0; k < KINDS; k++)
		if (k != DIR_ && (!geteuid() || (k != BLOCK_ && k != CHAR_))) {
			about("a %s", kind_name[k]);
			OK(make((enum kind)k, "x", 0644));
			ERR(ENOTDIR, rmdir("x"));
			OK(rename("x", "d/x"));
			ERR2(ENOTEMPTY, EEXIST, rmdir("d"));
			OK(drop("d/x"));
		}
	about("%s", "");
	dir = look("d");
	IS(dir.st_nlink == 3);
	nap();
	OK(fd = open("d/e", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d/e"));
	IS(later(look("d").st_mtim, dir.st_mtim) && later(look("d").st_ctim, dir.st_ctim) && look("d").st_nlink == 2);
	OK(fstat(fd, &dir));
	IS(!dir.st_nlink);
	ERR(ENOENT, mkdirat(fd, "x", 0755)); /* nothing new in what is gone */
	ERR(ENOENT, openat(fd, "x", O_CREAT | O_RDWR, 0644));
	ERR(ENOENT, symlinkat("x", fd, "x"));
	ERR(ENOENT, linkat(AT_FDCWD, "s", fd, "x", 0));
	ERR(ENOENT, renameat(AT_FDCWD, "s", fd, "x"));
	ERR(ENOENT, mkfifoat(fd, "x", 0644));
	ERR(ENOENT, faccessat(fd, "x", F_OK, 0));
	d = fdopendir(fd);
	IS(d && !readdir(d));
	closedir(d);
	ERR(ENOENT, rmdir("d/e"));
}

/* Who may take a name from a sticky directory: the directory's owner, the file's owner, root. */
static void sticky(void)
{
	static const uid_t users[] = {ALICE, BOB, 0};

	OK(mkdir("d", 0777));
	OK(chmod("d", 01777));
	for (int k = 0; k < KINDS; k++)
		for (int of_dir = 0; of_dir < 3; of_dir++)
			for (int of_file = 0; of_file < 3; of_file++)
				for (int user = 0; user < 3; user++) {
					bool may = !users[user] || user == of_dir || user == of_file;

					about("a %s of %u in %u's directory, by %u", kind_name[k], users[of_file],
					      users[of_dir], users[user]);
					OK(chown("d", users[of_dir], users[of_dir]));
					OK(make_for((enum kind)k, "d/x", 0644, users[of_file], users[of_file]));
					become(users[user], users[user], NOBODY_ELSE);
					if (may)
						OK(k == DIR_ ? rmdir("d/x") : unlink("d/x"));
					else
						ERR2(EPERM, EACCES, k == DIR_ ? rmdir("d/x") : unlink("d/x"));
					root_again();
					IS(there("d/x") != may);
					if (there("d/x"))
						OK(drop("d/x"));
				}
}

static void other_filesystem(void)
{
	char path[200];
	const char *dir = elsewhere();

	if (!dir) {
		skip("no other filesystem that may be written");
		return;
	}
	snprintf(path, sizeof(path), "%s/posix-test-%d", dir, (int)getpid());
	OK(create("f", 0644));
	ERR(EXDEV, link("f", path));
	ERR(EXDEV, rename("f", path));
	if (!create(path, 0644)) {
		ERR(EXDEV, link(path, "x"));
		ERR(EXDEV, rename(path, "x"));
		ERR(EXDEV, rename(path, "f"));
		unlink(path);
	}
	OK(mkdir("d", 0755));
	ERR(EXDEV, rename("d", path));
}

static void mount_point(void)
{
	OK(mkdir("d", 0755));
	OK(mkdir("d/m", 0755));
	OK(mkdir("other", 0755));
	OK(mkdir("e", 0755));
	if (mount("other", "d/m", NULL, MS_BIND, NULL)) {
		skip("nothing can be mounted here");
		return;
	}
	ERR(EBUSY, rmdir("d/m"));
	ERR(EBUSY, rename("d/m", "x"));
	ERR(EBUSY, rename("e", "d/m"));
	ERR2(ENOTEMPTY, EEXIST, rmdir("d"));
	OK(rename("d", "f"));
	OK(umount("f/m"));
	OK(rmdir("f/m"));
}

static void many_links(void)
{
	char name[20];

	OK(create("f", 0644));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		if (link("f", name))
			break;
	}
	IS(look("f").st_nlink == 1001);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		if (unlink(name))
			break;
	}
	IS(look("f").st_nlink == 1);
	OK(mkdir("d", 0755));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		if (mkdir(name, 0755))
			break;
	}
	IS(look("d").st_nlink == 1002);
}

const struct test name_tests[] = {{"hard-links", hard_links, false},
                                  {"not-linked", not_linked, false},
                                  {"linked-by-others", linked_by_others, true},
                                  {"unlink", unlinks, false},
                                  {"nameless", nameless, false},
                                  {"directories", directories, false},
                                  {"sticky", sticky, true},
                                  {"other-filesystem", other_filesystem, false},
                                  {"mount-point", mount_point, true},
                                  {"many-links", many_links, false},
                                  TESTS_END};
