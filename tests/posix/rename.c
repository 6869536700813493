// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * rename and renameat2: what replaces what, counts, times and "..", open files on both sides, moves into oneself, the
 * sticky bit, RENAME_NOREPLACE, _EXCHANGE, _WHITEOUT. POSIX rename; rename(2).
 */
#include "tests/posix/posix.h"

#include <sys/syscall.h>

#define NOREPLACE 1u
#define EXCHANGE 2u
#define WHITEOUT 4u

static int rename2(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static int make_here(enum kind k, const char *path)
{
	return make(k, path, k == DIR_ ? 0755 : 0644);
}

static void to_free_name(void)
{
	for (int k = 0; k < KINDS; k++) {
		struct stat a, b, from, to;

		if (geteuid() && (k == BLOCK_ || k == CHAR_))
			continue;
		about("a %s", kind_name[k]);
		OK(mkdir("to", 0755));
		OK(mkdir("from", 0755));
		OK(make_here((enum kind)k, "from/a"));
		a = look("from/a");
		from = look("from");
		to = look("to");
		nap();
		OK(rename("from/a", "to/b"));
		ERR(ENOENT, lstat("from/a", &b));
		b = look("to/b");
		IS(b.st_ino == a.st_ino && b.st_mode == a.st_mode && b.st_nlink == a.st_nlink);
		IS(same_time(b.st_mtim, a.st_mtim));
		IS(later(b.st_ctim, a.st_ctim)); /* POSIX leaves this open; Linux's own do it */
		IS(later(look("from").st_mtim, from.st_mtim) && later(look("from").st_ctim, from.st_ctim));
		IS(later(look("to").st_mtim, to.st_mtim) && later(look("to").st_ctim, to.st_ctim));
		IS(look("from").st_nlink == 2 && look("to").st_nlink == (k == DIR_ ? 3 : 2));
		if (k == DIR_)
			IS(look("to/b/..").st_ino == to.st_ino);
		OK(rename("to/b", "to/c"));
		OK(drop("to/c"));
		OK(drop("from"));
		OK(drop("to"));
	}
}

static void over_each_other(void)
{
	for (int k = 0; k < KINDS; k++)
		for (int v = 0; v < KINDS; v++) {
			struct stat a;

			if (geteuid() && (k == BLOCK_ || k == CHAR_ || v == BLOCK_ || v == CHAR_))
				continue;
			about("a %s over a %s", kind_name[k], kind_name[v]);
			OK(make_here((enum kind)k, "a"));
			OK(make_here((enum kind)v, "b"));
			a = look("a");
			ERR(EEXIST, rename2("a", "b", NOREPLACE));
			if (k == DIR_ && v != DIR_) {
				ERR(ENOTDIR, rename("a", "b"));
				OK(drop("a"));
			} else if (k != DIR_ && v == DIR_) {
				ERR(EISDIR, rename("a", "b"));
				OK(drop("a"));
			} else {
				OK(rename("a", "b"));
				IS(look("b").st_ino == a.st_ino && !there("a"));
			}
			OK(drop("b"));
		}
}

static void replaced_lives_on(void)
{
	struct stat s, before;
	char b[10];
	int fd, dir;

	OK(write_file("old", "old text"));
	OK(write_file("new", "new"));
	OK(link("old", "old2"));
	before = look("old");
	OK(fd = open("old", O_RDWR));
	nap();
	OK(rename("new", "old"));
	OK(fstat(fd, &s));
	IS(s.st_nlink == 1 && later(s.st_ctim, before.st_ctim));
	OK(unlink("old2"));
	OK(fstat(fd, &s));
	IS(!s.st_nlink && pread(fd, b, 10, 0) == 8 && pwrite(fd, "x", 1, 70000) == 1);
	IS(look("old").st_size == 3);
	OK(close(fd));
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	OK(create("e/x", 0644));
	OK(dir = open("d", O_RDONLY | O_DIRECTORY));
	OK(rename("e", "d"));
	OK(fstat(dir, &s));
	IS(!s.st_nlink && there("d/x"));
	ERR(ENOENT, openat(dir, "y", O_CREAT | O_RDWR, 0644));
	OK(close(dir));
}

static void one_inode(void)
{
	struct stat a;

	OK(create("a", 0644));
	OK(link("a", "b"));
	OK(mkdir("d", 0755));
	OK(link("a", "d/a"));
	a = look("a");
	OK(rename("a", "b")); /* two names of one file: nothing happens */
	OK(rename("a", "d/a"));
	OK(rename("a", "a"));
	OK(rename("d", "d"));
	IS(there("a") && there("b") && there("d/a") && look("a").st_nlink == 3);
	IS(same_time(look("a").st_ctim, a.st_ctim));
	ERR(EEXIST, rename2("a", "b", NOREPLACE));
}

static void not_empty(void)
{
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	for (int k = 0; k < KINDS; k++) {
		if (geteuid() && (k == BLOCK_ || k == CHAR_))
			continue;
		about("a %s in it", kind_name[k]);
		OK(make_here((enum kind)k, "e/x"));
		ERR2(ENOTEMPTY, EEXIST, rename("d", "e"));
		OK(drop("e/x"));
	}
	about("%s", "");
	OK(rename("d", "e"));
	IS(!there("d"));
}

static void into_itself(void)
{
	OK(mkdir("d", 0755));
	OK(mkdir("d/e", 0755));
	OK(mkdir("d/e/f", 0755));
	ERR(EINVAL, rename("d", "d/x"));
	ERR(EINVAL, rename("d", "d/e/x"));
	ERR(EINVAL, rename("d", "d/e/f"));
	ERR(EINVAL, rename2("d", "d/e", EXCHANGE));
	ERR(EINVAL, rename2("d/e", "d", EXCHANGE));
	ERR2(ENOTEMPTY, EEXIST, rename("d/e/f", "d"));
	ERR2(ENOTEMPTY, EEXIST, rename("d/e", "d"));
	OK(create("d/e/file", 0644));
	ERR2(ENOTEMPTY, EISDIR, rename("d/e/file", "d"));
	ERR2(EBUSY, EINVAL, rename("d/.", "x"));
	ERR2(EBUSY, EINVAL, rename("d/e/..", "x"));
	ERR2(EBUSY, EINVAL, rename("d", "d/."));
	ERR2(EBUSY, EINVAL, rename(".", "x"));
	ERR2(EBUSY, EINVAL, rename("d/e", "d/e/.."));
	OK(rename("d/e/f", "d/f"));
	OK(rename("d/e", "d/f/e"));
	IS(look("d/f/e/..").st_ino == look("d/f").st_ino && look("d").st_nlink == 3);
	ERR(EINVAL, rename("d/f", "d/f/e/x"));
	OK(rename("d/", "g/"));
	IS(there("g/f/e/file"));
}

static void exchange(void)
{
	struct stat d, f;

	OK(mkdir("p", 0755));
	OK(mkdir("p/d", 0755));
	OK(create("p/d/x", 0644));
	OK(mkdir("q", 0755));
	OK(write_file("q/f", "text"));
	d = look("p/d");
	f = look("q/f");
	if (rename2("p/d", "q/f", EXCHANGE) && errno == EINVAL) {
		skip("RENAME_EXCHANGE is not offered");
		return;
	}
	IS(look("p/d").st_ino == f.st_ino && look("q/f").st_ino == d.st_ino);
	IS(look("p").st_nlink == 2 && look("q").st_nlink == 3 && look("q/f/..").st_ino == look("q").st_ino);
	nap();
	OK(rename2("q/f", "p/d", EXCHANGE));
	IS(look("p/d").st_ino == d.st_ino && look("q/f").st_ino == f.st_ino && there("p/d/x"));
	IS(later(look("p/d").st_ctim, d.st_ctim) && later(look("q/f").st_ctim, f.st_ctim));
	OK(mkdir("q/full", 0755));
	OK(create("q/full/y", 0644));
	OK(rename2("p/d", "q/full", EXCHANGE)); /* neither has to be empty */
	IS(there("p/d/y") && there("q/full/x"));
	ERR(ENOENT, rename2("p/d", "none", EXCHANGE));
	ERR(ENOENT, rename2("none", "p/d", EXCHANGE));
	ERR(EINVAL, rename2("p/d", "q/full", EXCHANGE | NOREPLACE));
	ERR(EINVAL, rename2("p/d", "q/full", EXCHANGE | WHITEOUT));
	ERR(EINVAL, rename2("p/d", "q/full", 0x80));
	OK(rename2("p/d", "p/d", EXCHANGE));
	OK(rename2("p/d", "fresh", NOREPLACE));
	IS(there("fresh/y") && !there("p/d"));
	ERR(ENOENT, rename2("none", "x", NOREPLACE));
}

static void whiteout(void)
{
	struct stat f;

	OK(create("f", 0644));
	f = look("f");
	if (rename2("f", "g", WHITEOUT) && (errno == EINVAL || errno == EPERM)) {
		skip("RENAME_WHITEOUT is not offered");
		return;
	}
	IS(look("g").st_ino == f.st_ino);
	IS(S_ISCHR(look("f").st_mode) && !look("f").st_rdev);
	OK(unlink("f"));
	OK(create("f", 0644));
	OK(rename2("f", "g", WHITEOUT)); /* over another */
	IS(S_ISCHR(look("f").st_mode) && S_ISREG(look("g").st_mode));
	ERR(EEXIST, rename2("g", "f", WHITEOUT | NOREPLACE));
}

static void refused(void)
{
	struct stat a, dir;

	OK(mkdir("d", 0755));
	for (int k = 0; k < KINDS; k++) {
		about("a %s", kind_name[k]);
		OK(make_for((enum kind)k, "d/a", 0777, ALICE, ALICE));
		a = look("d/a");
		dir = look("d");
		nap();
		become(ALICE, ALICE, NOBODY_ELSE);
		ERR(EACCES, rename("d/a", "d/b"));
		root_again();
		IS(same_time(look("d/a").st_ctim, a.st_ctim) && same_time(look("d").st_ctim, dir.st_ctim));
		OK(drop("d/a"));
	}
	about("%s", "");
	/* moving a directory changes its "..": that needs a right to write it; renaming it in place does not */
	OK(mkdir("one", 0777));
	OK(mkdir("two", 0777));
	OK(chmod("one", 0777));
	OK(chmod("two", 0777));
	OK(mkdir("one/d", 0755));
	OK(create("one/f", 0600));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, rename("one/d", "two/d"));
	OK(rename("one/d", "one/e"));
	OK(rename("one/f", "two/f"));
	root_again();
	IS(there("one/e") && there("two/f"));
}

/* from: sticky directory that holds what is moved; to: what may be replaced there. Who may? */
static void sticky(void)
{
	static const uid_t users[] = {ALICE, BOB, 0};

	OK(mkdir("from", 0755));
	OK(mkdir("to", 0755));
	OK(chmod("from", 01777));
	OK(chmod("to", 01777));
	for (int k = 0; k < KINDS; k++)
		for (int d = 0; d < 3; d++)
			for (int f = 0; f < 3; f++)
				for (int replaced = 0; replaced < 2; replaced++) {
					const char *from = replaced ? "to/a" : "from/a",
					           *to = replaced ? "from/a" : "to/a";
					bool may = d == 0 || f == 0;

					/* ALICE moves; the other side is hers, and so is a directory that moves */
					about("a %s %s, of %u in %u's sticky directory", kind_name[k],
					      replaced ? "replaced" : "moved", users[f], users[d]);
					if (k == DIR_ && f && !replaced)
						continue;
					OK(chown("from", users[d], users[d]));
					OK(chown("to", ALICE, ALICE));
					OK(make_for((enum kind)k, "from/a", k == DIR_ ? 0755 : 0644, users[f],
					            users[f]));
					if (replaced)
						OK(make_for((enum kind)k, "to/a", k == DIR_ ? 0755 : 0644, ALICE,
						            ALICE));
					become(ALICE, ALICE, NOBODY_ELSE);
					if (may)
						OK(rename(from, to));
					else
						ERR2(EPERM, EACCES, rename(from, to));
					if (!may && replaced)
						ERR2(EPERM, EACCES, rename2(from, to, EXCHANGE));
					root_again();
					IS(there(from) != may);
					OK(drop(may ? to : from));
					if (there(to))
						OK(drop(to));
				}
}

static void deep(void)
{
	char path[4000] = "d";

	OK(mkdir("d", 0755));
	for (int i = 0; i < 500; i++) {
		strcat(path, "/e");
		if (mkdir(path, 0755))
			break;
	}
	OK(mkdir("x", 0755));
	ERR(EINVAL, rename("d", path));
	OK(rename("d", "x/d"));
	IS(there("x/d/e/e/e"));
	path[0] = 'x';
	OK(rename("x/d", "x/e"));
	memmove(path + 2, path, strlen(path) + 1);
	IS(there("x/e/e"));
}

const struct test rename_tests[] = {{"to-free-name", to_free_name, false},
                                    {"over-each-other", over_each_other, false},
                                    {"replaced-lives-on", replaced_lives_on, false},
                                    {"one-inode", one_inode, false},
                                    {"not-empty", not_empty, false},
                                    {"into-itself", into_itself, false},
                                    {"exchange", exchange, false},
                                    {"whiteout", whiteout, true},
                                    {"refused", refused, true},
                                    {"sticky", sticky, true},
                                    {"deep", deep, false},
                                    TESTS_END};
