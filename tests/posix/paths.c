// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What every call that takes a path says of a bad one: a missing or wrong component, names and paths too long, loops,
 * directories that may not be searched or written, bad addresses, the empty path.
 */
#include "tests/posix/posix.h"

#include <limits.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

enum { FOLLOWS = 1, MAKES = 2, REMOVES = 4, USES = 8 }; /* USES: of the last component, which must be there */

static int open_read(const char *p)
{
	int fd = open(p, O_RDONLY);

	return fd < 0 ? -1 : close(fd);
}
static int open_create(const char *p)
{
	int fd = open(p, O_CREAT | O_WRONLY, 0644);

	return fd < 0 ? -1 : close(fd);
}
static int do_mkdir(const char *p)
{
	return mkdir(p, 0755);
}
static int do_mkfifo(const char *p)
{
	return mkfifo(p, 0644);
}
static int do_mknod(const char *p)
{
	return mknod(p, S_IFREG | 0644, 0);
}
static int do_chmod(const char *p)
{
	return chmod(p, 0644);
}
static int do_chown(const char *p)
{
	return chown(p, geteuid(), (gid_t)-1);
}
static int do_lchown(const char *p)
{
	return lchown(p, geteuid(), (gid_t)-1);
}
static int do_truncate(const char *p)
{
	return truncate(p, 0);
}
static int link_from(const char *p)
{
	return link(p, "made-link");
}
static int link_to(const char *p)
{
	return link("source", p);
}
static int rename_from(const char *p)
{
	return rename(p, "made-name");
}
static int rename_to(const char *p)
{
	return rename("source", p);
}
static int do_symlink(const char *p)
{
	return symlink("target", p);
}
static int do_stat(const char *p)
{
	struct stat s;

	return stat(p, &s);
}
static int do_lstat(const char *p)
{
	struct stat s;

	return lstat(p, &s);
}
static int do_utimens(const char *p)
{
	return utimensat(AT_FDCWD, p, NULL, 0);
}
static int do_access(const char *p)
{
	return faccessat(AT_FDCWD, p, R_OK, AT_EACCESS);
}
static int do_getxattr(const char *p)
{
	ssize_t n = getxattr(p, "user.none", NULL, 0);

	return n < 0 && errno == ENODATA ? 0 : (int)n;
}
static int do_statvfs(const char *p)
{
	struct statvfs s;

	return statvfs(p, &s);
}
static int do_readlink(const char *p)
{
	char b[10];
	ssize_t n = readlink(p, b, sizeof(b));

	return n < 0 && errno == EINVAL ? 0 : (int)n; /* not a symlink, but there */
}

static const struct path_call {
	const char *name;
	int (*call)(const char *);
	int what;
} calls[] = {
    {"open", open_read, USES | FOLLOWS},
    {"open O_CREAT", open_create, MAKES | FOLLOWS},
    {"mkdir", do_mkdir, MAKES},
    {"mkfifo", do_mkfifo, MAKES},
    {"mknod", do_mknod, MAKES},
    {"symlink", do_symlink, MAKES},
    {"link to", link_to, MAKES},
    {"rename to", rename_to, MAKES},
    {"rename from", rename_from, USES | REMOVES},
    {"link from", link_from, USES},
    {"unlink", unlink, USES | REMOVES},
    {"rmdir", rmdir, USES | REMOVES},
    {"chmod", do_chmod, USES | FOLLOWS},
    {"chown", do_chown, USES | FOLLOWS},
    {"lchown", do_lchown, USES},
    {"truncate", do_truncate, USES | FOLLOWS},
    {"stat", do_stat, USES | FOLLOWS},
    {"lstat", do_lstat, USES},
    {"utimensat", do_utimens, USES | FOLLOWS},
    {"access", do_access, USES | FOLLOWS},
    {"getxattr", do_getxattr, USES | FOLLOWS},
    {"statvfs", do_statvfs, USES | FOLLOWS},
    {"readlink", do_readlink, USES},
};
#define EACH_CALL(c)                                                                                                   \
	for (const struct path_call *c = calls;                                                                        \
	     c < calls + sizeof(calls) / sizeof(*calls) && (about("%s", c->name), 1); c++)

static void missing(void)
{
	OK(create("source", 0644));
	EACH_CALL(c)
	{
		ERR(ENOENT, c->call("none/x"));
		ERR(ENOENT, c->call(""));
		if (c->what & USES)
			ERR(ENOENT, c->call("none"));
	}
}

static void not_directory(void)
{
	OK(create("source", 0644));
	for (int k = 0; k < KINDS; k++)
		if (k != DIR_ && k != SYMLINK_ && (!geteuid() || (k != BLOCK_ && k != CHAR_)))
			OK(make((enum kind)k, kind_name[k], 0777));
	EACH_CALL(c)
	for (int k = 0; k < KINDS; k++) {
		char path[80];

		if (!there(kind_name[k]))
			continue;
		snprintf(path, sizeof(path), "%s/x", kind_name[k]);
		about("%s below a %s", c->name, kind_name[k]);
		ERR(ENOTDIR, c->call(path));
	}
	/* a slash behind the name of what is no directory */
	EACH_CALL(c)
	if (c->what & USES && c->call != rmdir)
		ERR(ENOTDIR, c->call("file/"));
	ERR(ENOTDIR, rmdir("file/"));
	ERR(EISDIR, open_create("new/"));
	ERR2(ENOENT, EEXIST, do_mknod("new/"));
	ERR2(ENOENT, ENOTDIR, link_to("new/"));
	ERR2(ENOTDIR, ENOENT, rename_to("new/"));
	ERR(ENOENT, do_symlink("new/"));
	OK(do_mkdir("new/"));
	OK(drop("new/"));
}

static void name_length(void)
{
	char longest[256], too_long[257];

	fill_name(longest, 255, 'n');
	fill_name(too_long, 256, 'n');
	OK(create("source", 0644));
	EACH_CALL(c)
	{
		ERR(ENAMETOOLONG, c->call(too_long));
		if (c->what & USES) {
			ERR(ENOENT, c->call(longest));
		} else {
			OK(c->call(longest));
			IS(there(longest));
			OK(drop(longest));
			if (!there("source"))
				OK(create("source", 0644));
		}
	}
	about("%s", "");
	for (int i = 0; i < 255; i++) /* any bytes but '/' and NUL, and not UTF-8 */
		longest[i] = (char)(i + 1 == '/' ? 1 : i + 1);
	OK(create(longest, 0644));
	IS(there(longest));
	OK(drop(longest));
	ERR(ENAMETOOLONG, rename(too_long, "x"));
	ERR(ENAMETOOLONG, link(too_long, "x"));
}

/* A path of PATH_MAX - 1 bytes is one, PATH_MAX bytes are not. */
static void path_length(void)
{
	char path[PATH_MAX + 8], dir[256];
	size_t at = 0;
	int top = open(".", O_RDONLY | O_DIRECTORY);

	OK(create("source", 0644));
	fill_name(dir, 200, 'd');
	while (PATH_MAX - 1 - at > 250) {
		OK(mkdir(dir, 0755));
		OK(chdir(dir));
		memcpy(path + at, dir, 200);
		path[at + 200] = '/';
		at += 201;
	}
	OK(fchdir(top));
	memset(path + at, 'x', PATH_MAX - at);
	path[PATH_MAX - 1] = 0;
	EACH_CALL(c)
	if (c->what & MAKES) {
		OK(c->call(path));
		OK(drop(path));
		if (!there("source"))
			OK(create("source", 0644));
	} else {
		ERR(ENOENT, c->call(path));
	}
	path[PATH_MAX - 1] = 'x';
	path[PATH_MAX] = 0;
	EACH_CALL(c)
	ERR(ENAMETOOLONG, c->call(path));
	about("%s", "");
	while (at) { /* the tree is too deep for paths from above */
		path[at] = 0;
		OK(rmdir(path));
		at -= 201;
	}
	close(top);
}

static void loops(void)
{
	OK(create("source", 0644));
	OK(symlink("two", "one"));
	OK(symlink("one", "two"));
	EACH_CALL(c)
	{
		ERR(ELOOP, c->call("one/x"));
		if (c->what & FOLLOWS)
			ERR(ELOOP, c->call("one"));
	}
	about("%s", "");
	ERR(EEXIST, mkdir("one", 0755));
	OK(unlink("one"));
	OK(unlink("two"));
	OK(mkdir("end", 0755));
	for (int i = 0; i < 41; i++) { /* Linux follows 40 */
		char name[20], to[20];

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(to, sizeof(to), i ? "s%d" : "end", i - 1);
		OK(symlink(to, name));
	}
	OK(do_stat("s39"));
	ERR(ELOOP, do_stat("s40"));
}

/* Alice's file in a directory of root's, and another beside it to link and rename. */
static void file_of_alice(void)
{
	OK(create("source", 0666));
	OK(chown("source", ALICE, ALICE));
	OK(mkdir("d", 0755));
	OK(chmod(".", 0777));
	OK(create("d/x", 0666));
	OK(chown("d/x", ALICE, ALICE));
}

static void not_searchable(void)
{
	file_of_alice();
	OK(chown("d", ALICE, ALICE));
	OK(chmod("d", 0677));
	become(ALICE, ALICE, NOBODY_ELSE);
	EACH_CALL(c)
	{
		ERR(EACCES, c->call("d/x"));
		ERR(EACCES, c->call("d/new"));
	}
	root_again();
}

static void not_writable(void)
{
	file_of_alice();
	OK(mkdir("d/dir", 0755));
	OK(chown("d/dir", ALICE, ALICE));
	become(ALICE, ALICE, NOBODY_ELSE);
	EACH_CALL(c)
	{
		if (c->what & MAKES)
			ERR(EACCES, c->call("d/new"));
		else if (c->what & REMOVES)
			ERR(EACCES, c->call(c->call == rmdir ? "d/dir" : "d/x"));
	}
	root_again();
	OK(mkdir("of-group", 0755));
	OK(chown("of-group", BOB, ALICE));
	OK(chmod("of-group", 0757)); /* the group's class counts, though others may write */
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, create("of-group/x", 0644));
	become(CAROL, CAROL, NOBODY_ELSE);
	OK(create("of-group/x", 0644));
	become(CAROL, CAROL, ALICE);
	ERR(EACCES, create("of-group/y", 0644));
	root_again();
}

static void bad_address(void)
{
	OK(create("source", 0644));
	EACH_CALL(c)
	{
		ERR(EFAULT, c->call(nowhere));
		ERR(EFAULT, c->call((const char *)nowhere + 0xdeadbeef));
	}
	ERR(EFAULT, symlink(nowhere, "x"));
}

const struct test path_tests[] = {{"missing", missing, false},
                                  {"not-a-directory", not_directory, false},
                                  {"name-length", name_length, false},
                                  {"path-length", path_length, false},
                                  {"loops", loops, false},
                                  {"not-searchable", not_searchable, true},
                                  {"not-writable", not_writable, true},
                                  {"bad-address", bad_address, false},
                                  TESTS_END};
