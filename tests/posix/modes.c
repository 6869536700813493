// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Modes and owners: chmod, chown, what they clear, whom they let; what a write or truncate does to set-id bits; classes
 * of permissions. POSIX chmod, chown; chmod(2), chown(2), inode(7).
 */
#include "tests/posix/posix.h"

#include <sys/wait.h>

#define EACH_KIND(k) for (int k = 0; k < KINDS && (about("a %s", kind_name[k]), 1); k++)

static mode_t mode_of(const char *p)
{
	return look(p).st_mode & 07777;
}

static bool owned(const char *p, uid_t uid, gid_t gid)
{
	struct stat s = look(p);

	return s.st_uid == uid && s.st_gid == gid;
}

static void change_mode(void)
{
	static const mode_t modes[] = {0111, 0, 07777, 01777, 02711, 04000};

	EACH_KIND(k)
	{
		struct stat a, b;

		if (k == SYMLINK_)
			continue;
		OK(make((enum kind)k, "x", 0644));
		OK(symlink("x", "s"));
		a = look("s");
		for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
			OK(chmod(i & 1 ? "s" : "x", modes[i]));
			IS(mode_of("x") == modes[i]);
		}
		IS(look("s").st_mode == a.st_mode);
		a = look("x");
		nap();
		OK(chmod("x", 0600));
		b = look("x");
		IS(later(b.st_ctim, a.st_ctim));
		IS(same_time(b.st_mtim, a.st_mtim) && same_time(b.st_atim, a.st_atim));
		nap();
		become(ALICE, ALICE, NOBODY_ELSE);
		ERR(EPERM, chmod("x", 0666));
		root_again();
		IS(same_time(look("x").st_ctim, b.st_ctim) && mode_of("x") == 0600);
		OK(chown("x", ALICE, ALICE));
		become(ALICE, ALICE, NOBODY_ELSE);
		OK(chmod("x", 0604));
		root_again();
		IS(mode_of("x") == 0604);
		OK(drop("x"));
		OK(drop("s"));
	}
}

static void change_mode_fd(void)
{
	int fd;

	OK(create("x", 0644));
	OK(symlink("x", "s"));
	OK(fd = open("x", O_RDONLY));
	OK(fchmod(fd, 0601));
	IS(mode_of("x") == 0601);
	close(fd);
	ERR(EOPNOTSUPP, fchmodat(AT_FDCWD, "s", 0600, AT_SYMLINK_NOFOLLOW));
	ERR(EBADF, fchmod(fd, 0600));
	OK(fd = open("x", O_PATH));
	ERR(EBADF, fchmod(fd, 0600));
	close(fd);
}

/* Who is not of the file's group cannot set the bit: chmod succeeds without it. */
static void set_group_of_others(void)
{
	OK(make_for(FILE_, "x", 0755, ALICE, BOB));
	become(ALICE, BOB, NOBODY_ELSE);
	OK(chmod("x", 02755));
	IS(mode_of("x") == 02755);
	OK(chmod("x", 0755));
	become(ALICE, CAROL, BOB);
	OK(chmod("x", 02755));
	IS(mode_of("x") == 02755);
	OK(chmod("x", 0755));
	become(ALICE, CAROL, NOBODY_ELSE);
	OK(chmod("x", 02755));
	IS(mode_of("x") == 0755);
	OK(chmod("x", 06755));
	IS(mode_of("x") == 04755);
	OK(chmod("x", 01755)); /* Linux gives the sticky bit to anybody */
	IS(mode_of("x") == 01755);
	root_again();
}

static void change_owner(void)
{
	EACH_KIND(k)
	{
		struct stat a, b;

		OK(make((enum kind)k, "x", 0644));
		OK(lchown("x", 123, 456));
		IS(owned("x", 123, 456));
		OK(lchown("x", (uid_t)-1, 457));
		IS(owned("x", 123, 457));
		OK(lchown("x", 124, (gid_t)-1));
		IS(owned("x", 124, 457));
		OK(lchown("x", 0xfffffffeu, 0xfffffffeu));
		IS(owned("x", 0xfffffffeu, 0xfffffffeu));
		a = look("x");
		nap();
		OK(lchown("x", ALICE, BOB));
		b = look("x");
		IS(later(b.st_ctim, a.st_ctim) && same_time(b.st_mtim, a.st_mtim));
		if (k != SYMLINK_) {
			OK(symlink("x", "s"));
			OK(chown("s", BOB, ALICE));
			IS(owned("x", BOB, ALICE) && owned("s", 0, 0));
			OK(chown("s", ALICE, BOB));
			OK(drop("s"));
		}
		b = look("x");
		nap();
		become(CAROL, CAROL, NOBODY_ELSE);
		ERR(EPERM, lchown("x", CAROL, (gid_t)-1));
		ERR(EPERM, lchown("x", (uid_t)-1, CAROL));
		ERR(EPERM, lchown("x", ALICE, BOB));
		root_again();
		IS(owned("x", ALICE, BOB) && same_time(look("x").st_ctim, b.st_ctim));
		become(CAROL, CAROL, NOBODY_ELSE);
		OK(lchown("x", (uid_t)-1, (gid_t)-1)); /* nothing asked, nothing refused */
		become(ALICE, BOB, CAROL);
		ERR(EPERM, lchown("x", CAROL, (gid_t)-1)); /* given away */
		ERR(EPERM, lchown("x", (uid_t)-1, 123));   /* a group that is not theirs */
		nap();
		OK(lchown("x", (uid_t)-1, CAROL));
		OK(lchown("x", ALICE, CAROL));
		root_again();
		IS(owned("x", ALICE, CAROL) && later(look("x").st_ctim, b.st_ctim));
		OK(drop("x"));
	}
}

static void change_owner_clears(void)
{
	EACH_KIND(k)
	{
		mode_t cleared = k == DIR_ ? 06555 : 0555;

		if (k == SYMLINK_)
			continue;
		OK(make_for((enum kind)k, "x", 06555, ALICE, BOB));
		IS(mode_of("x") == 06555);
		become(ALICE, BOB, CAROL);
		OK(chown("x", (uid_t)-1, CAROL));
		IS(mode_of("x") == cleared);
		root_again();
		OK(chmod("x", 06555));
		OK(chown("x", 0, 0)); /* Linux clears them for root too */
		IS(mode_of("x") == cleared);
		OK(chmod("x", 02644)); /* not a program: of old a mark for mandatory locks */
		OK(chown("x", 1, 1));
		IS(mode_of("x") == 02644);
		OK(chown("x", ALICE, BOB));
		OK(chmod("x", 02644));
		become(ALICE, BOB, NOBODY_ELSE);
		OK(chown("x", ALICE, (gid_t)-1)); /* of the group: it may stay */
		IS(mode_of("x") == 02644);
		become(ALICE, CAROL, NOBODY_ELSE);
		OK(chown("x", ALICE, (gid_t)-1));
		IS(mode_of("x") == (k == DIR_ ? 02644 : 0644));
		root_again();
		OK(chmod("x", 02644));
		become(CAROL, CAROL, NOBODY_ELSE);
		differs(ON_FUSE, "the kernel's FUSE asks for nothing then; the bit stays");
		ERR(k == DIR_ ? 0 : EPERM, chown("x", (uid_t)-1, (gid_t)-1)); /* it would take the bit */
		IS(mode_of("x") == 02644);
		become(ALICE, CAROL, NOBODY_ELSE);
		OK(chown("x", (uid_t)-1, (gid_t)-1));
		IS(mode_of("x") == (k == DIR_ ? 02644 : 0644));
		root_again();
		OK(drop("x"));
	}
}

static ssize_t poke(const char *path)
{
	int fd = open(path, O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, "x", 1);

	if (fd >= 0)
		close(fd);
	return n;
}

static int grow(const char *path)
{
	int fd = open(path, O_WRONLY);
	int err = fd < 0 ? -1 : fallocate(fd, 0, 0, 100000);

	if (fd >= 0)
		close(fd);
	return err;
}

static int empty(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	return fd < 0 ? -1 : close(fd);
}

/* Writing, truncating and allocating take set-id bits from a program, unless root does it. */
static void write_clears(void)
{
	for (mode_t bits = 02000; bits <= 06000; bits += 02000) {
		about("mode 0%o", bits | 0777);
		OK(make(FILE_, "x", bits | 0777));
		become(ALICE, ALICE, NOBODY_ELSE);
		OK(poke("x"));
		IS(mode_of("x") == 0777);
		root_again();
		OK(chmod("x", bits | 0777));
		become(ALICE, ALICE, NOBODY_ELSE);
		OK(truncate("x", 100));
		IS(mode_of("x") == 0777);
		root_again();
		OK(chmod("x", bits | 0777));
		become(ALICE, ALICE, NOBODY_ELSE);
		OK(empty("x"));
		IS(mode_of("x") == 0777);
		root_again();
		OK(chmod("x", bits | 0777));
		become(ALICE, ALICE, NOBODY_ELSE);
		OK(grow("x"));
		differs(ON_TMPFS, "allocation leaves the bits");
		IS(mode_of("x") == 0777);
		root_again();
		OK(chmod("x", bits | 0777));
		OK(poke("x"));
		IS(mode_of("x") == (bits | 0777));
		OK(truncate("x", 5));
		IS(mode_of("x") == (bits | 0777));
		OK(drop("x"));
	}
	about("%s", "");
	OK(make(FILE_, "x", 02666));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(poke("x"));
	IS(mode_of("x") == 0666);
	root_again();
	OK(chmod("x", 02666));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(truncate("x", 1));
	IS(mode_of("x") == 0666);
	root_again();
	OK(chmod("x", 06666));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(truncate("x", 2));
	IS(mode_of("x") == 0666);
	root_again();
	OK(chown("x", BOB, BOB));
	OK(chmod("x", 02666));
	become(ALICE, ALICE, BOB); /* of the group: it may stay */
	OK(poke("x"));
	IS(mode_of("x") == 02666);
	root_again();
}

/* In a set-group-id directory: the directory's group, and directories take the bit. */
static void group_inherited(void)
{
	OK(mkdir("d", 0755));
	OK(chown("d", ALICE, BOB));
	OK(chmod("d", 02777));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(create("d/f", 0644));
	OK(mkdir("d/d", 0755));
	OK(symlink("x", "d/s"));
	OK(mkfifo("d/p", 0644));
	IS(owned("d/f", ALICE, BOB) && owned("d/d", ALICE, BOB) && owned("d/s", ALICE, BOB) &&
	   owned("d/p", ALICE, BOB));
	IS(mode_of("d/d") == 02755 && mode_of("d/f") == 0644);
	umask(0);
	OK(create("d/program", 02775)); /* of a group that is not theirs */
	IS(mode_of("d/program") == 0775);
	become(ALICE, ALICE, BOB);
	OK(create("d/own-program", 02775));
	IS(mode_of("d/own-program") == 02775);
	root_again();
	OK(mkdir("plain", 0777));
	become(ALICE, CAROL, BOB);
	OK(create("plain/f", 0644));
	root_again();
	IS(owned("plain/f", ALICE, CAROL));
}

/* The class that fits first counts, and only that. */
static void classes(void)
{
	static const struct {
		uid_t uid;
		gid_t gid, also;
		int shift;
	} who[] = {{ALICE, CAROL, NOBODY_ELSE, 6},
	           {ALICE, BOB, NOBODY_ELSE, 6},
	           {CAROL, BOB, NOBODY_ELSE, 3},
	           {CAROL, CAROL, BOB, 3},
	           {CAROL, CAROL, NOBODY_ELSE, 0}};
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR};
	static const int needs[] = {4, 2, 6};

	OK(make_for(FILE_, "x", 0, ALICE, BOB));
	for (int bits = 0; bits < 8; bits++)
		for (int inverted = 0; inverted < 2; inverted++)
			for (int w = 0; w < 5; w++) {
				mode_t mode = (mode_t)(bits << who[w].shift);
				int have;

				if (inverted)
					mode = ~mode & 0777;
				have = (int)(mode >> who[w].shift) & 7;
				about("mode 0%o, user %u:%u", mode, who[w].uid, who[w].gid);
				OK(chmod("x", mode));
				become(who[w].uid, who[w].gid, who[w].also);
				for (int f = 0; f < 3; f++) {
					int fd = open("x", flags[f]), want = (have & needs[f]) == needs[f];

					IS((fd >= 0) == want && (want || errno == EACCES));
					if (fd >= 0)
						close(fd);
					IS((faccessat(AT_FDCWD, "x", needs[f], AT_EACCESS) == 0) == want);
				}
				IS((faccessat(AT_FDCWD, "x", X_OK, AT_EACCESS) == 0) == ((have & 1) != 0));
				root_again();
			}
	about("%s", "");
	OK(chmod("x", 0));
	IS(!access("x", R_OK | W_OK));
	ERR(EACCES, access("x", X_OK)); /* root too, when nobody may */
	OK(chmod("x", 0001));
	OK(access("x", X_OK));
}

/* A set-user-id program runs as its owner: the bits are obeyed here. */
static void program(void)
{
	char line[300];
	FILE *p;

	if (system("cp \"$(command -v id)\" ./id 2>/dev/null")) {
		skip("no id(1) to copy");
		return;
	}
	OK(chown("id", BOB, CAROL));
	OK(chmod("id", 06755));
	p = popen("./id -u; ./id -g", "r");
	if (!p || !fgets(line, sizeof(line), p) || atol(line) != BOB)
		skip("mounted nosuid or noexec");
	else
		IS(fgets(line, sizeof(line), p) && atol(line) == CAROL);
	if (p)
		pclose(p);
	OK(chmod("id", 0644));
	IS(system("./id >/dev/null 2>&1") != 0);
}

const struct test mode_tests[] = {{"chmod", change_mode, true},
                                  {"fchmod", change_mode_fd, false},
                                  {"set-group-of-others", set_group_of_others, true},
                                  {"chown", change_owner, true},
                                  {"chown-clears", change_owner_clears, true},
                                  {"write-clears", write_clears, true},
                                  {"group-inherited", group_inherited, true},
                                  {"classes", classes, true},
                                  {"program", program, true},
                                  TESTS_END};
