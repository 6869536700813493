// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * POSIX access control lists: who may what by them, how they follow chmod and the mode follows them, what is inherited,
 * what is refused. acl(5); POSIX 1003.1e draft 17. Values are made here, as the kernel takes them.
 */
#include "tests/posix/posix.h"

#include <endian.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct list {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[8];
	size_t n;
};
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

/* "u7 U65534:4 g5 G65533:2 m4 o0": owner, users, group, groups, mask, others. */
static struct list list_of(const char *text)
{
	static const struct {
		char c;
		uint16_t tag;
	} tags[] = {{'u', USER_OBJ}, {'U', USER}, {'g', GROUP_OBJ}, {'G', GROUP}, {'m', MASK}, {'o', OTHER}};
	struct list l = {.version = htole32(2)};

	while (*text) {
		uint32_t id = UINT32_MAX;
		char c = *text++;

		if (c == ' ')
			continue;
		for (int t = 0; t < 6; t++)
			if (tags[t].c == c)
				l.e[l.n].tag = htole16(tags[t].tag);
		if (c == 'U' || c == 'G')
			id = (uint32_t)strtoul(text, (char **)&text, 10), text++;
		l.e[l.n].id = htole32(id);
		l.e[l.n++].perm = htole16((uint16_t)(*text++ - '0'));
	}
	return l;
}

static int set(const char *path, const char *name, const char *text)
{
	struct list l = list_of(text);

	return setxattr(path, name, &l, 4 + 8 * l.n, 0);
}

static bool is(const char *path, const char *name, const char *text)
{
	struct list want = list_of(text), got;
	ssize_t n = getxattr(path, name, &got, sizeof(got));

	return n == (ssize_t)(4 + 8 * want.n) && !memcmp(&want, &got, (size_t)n);
}

static bool none(const char *path, const char *name)
{
	return getxattr(path, name, NULL, 0) < 0 && errno == ENODATA;
}

static mode_t mode_of(const char *path)
{
	return look(path).st_mode & 07777;
}

static bool offered(void)
{
	OK(create("f", 0640));
	if (!set("f", ACCESS, "u6 U65534:4 g4 m4 o0"))
		return true;
	skip("POSIX ACLs are not offered");
	return false;
}

static bool may(const char *path, int how)
{
	return !faccessat(AT_FDCWD, path, how, AT_EACCESS);
}

static void obeyed(void)
{
	if (!offered())
		return;
	become(ALICE, ALICE, NOBODY_ELSE);
	IS(may("f", R_OK) && !may("f", W_OK));
	become(BOB, BOB, NOBODY_ELSE);
	IS(!may("f", R_OK));
	root_again();
	OK(set("f", ACCESS, "u6 U65534:6 U65533:0 g4 G65532:6 m4 o4"));
	become(ALICE, ALICE, NOBODY_ELSE);
	IS(may("f", R_OK) && !may("f", W_OK)); /* the mask bounds it */
	become(BOB, BOB, NOBODY_ELSE);
	IS(!may("f", R_OK)); /* an entry of one's own counts before others' */
	become(123, 123, CAROL);
	IS(may("f", R_OK) && !may("f", W_OK));
	root_again();
	OK(set("f", ACCESS, "u6 U65534:6 U65533:0 g4 G65532:6 m6 o4"));
	become(ALICE, ALICE, NOBODY_ELSE);
	IS(may("f", W_OK));
	become(123, 123, CAROL);
	IS(may("f", W_OK));
	become(123, 123, NOBODY_ELSE);
	IS(may("f", R_OK) && !may("f", W_OK));
	root_again();
	OK(mkdir("d", 0700));
	OK(set("d", ACCESS, "u7 U65534:7 g0 m7 o0"));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(create("d/x", 0644));
	become(BOB, BOB, NOBODY_ELSE);
	ERR(EACCES, create("d/y", 0644));
	root_again();
}

static void with_mode(void)
{
	struct stat a;

	if (!offered())
		return;
	IS(mode_of("f") == 0640 && is("f", ACCESS, "u6 U65534:4 g4 m4 o0"));
	a = look("f");
	nap();
	OK(set("f", ACCESS, "u7 U65534:4 g0 m6 o1"));
	IS(mode_of("f") == 0761 && later(look("f").st_ctim, a.st_ctim)); /* the mask shows as the group's bits */
	OK(chmod("f", 0642));
	IS(mode_of("f") == 0642 && is("f", ACCESS, "u6 U65534:4 g0 m4 o2"));
	OK(chmod("f", 04777));
	IS(is("f", ACCESS, "u7 U65534:4 g0 m7 o7") && mode_of("f") == 04777);
	OK(set("f", ACCESS, "u6 g4 o0")); /* nothing that a mode cannot say: kept as a mode */
	IS(mode_of("f") == 04640 && none("f", ACCESS));
	OK(set("f", ACCESS, "u6 g6 m4 o0")); /* a mask without more is a list */
	IS(mode_of("f") == 04640 && is("f", ACCESS, "u6 g6 m4 o0"));
	OK(removexattr("f", ACCESS));
	IS(mode_of("f") == 04640 && none("f", ACCESS));
	OK(chown("f", ALICE, ALICE));
	OK(chmod("f", 02770));
	become(ALICE, BOB, NOBODY_ELSE); /* not of the file's group */
	OK(set("f", ACCESS, "u7 U65533:4 g0 m4 o0"));
	root_again();
	IS(mode_of("f") == 0740);
}

static void inherited(void)
{
	if (!offered())
		return;
	OK(mkdir("d", 0755));
	OK(set("d", DEFAULT, "u7 U65534:7 g5 m7 o0"));
	IS(mode_of("d") == 0755 && none("d", ACCESS) && is("d", DEFAULT, "u7 U65534:7 g5 m7 o0"));
	umask(077); /* does not count here */
	OK(create("d/f", 0664));
	IS(mode_of("d/f") == 0660 && is("d/f", ACCESS, "u6 U65534:7 g5 m6 o0") && none("d/f", DEFAULT));
	OK(mkdir("d/d", 0750));
	IS(mode_of("d/d") == 0750 && is("d/d", ACCESS, "u7 U65534:7 g5 m5 o0") &&
	   is("d/d", DEFAULT, "u7 U65534:7 g5 m7 o0"));
	OK(mkfifo("d/p", 0600));
	IS(mode_of("d/p") == 0600 && is("d/p", ACCESS, "u6 U65534:7 g5 m0 o0"));
	OK(make(SOCKET_, "d/s", 0600));
	OK(symlink("x", "d/l"));
	IS(mode_of("d/l") == 0777);
	OK(create("d/d/deep", 0777));
	IS(mode_of("d/d/deep") == 0770);
	OK(set("d", DEFAULT, "u6 g4 o4")); /* a default that only stands for a mode */
	OK(create("d/plain", 0666));
	IS(mode_of("d/plain") == 0644 && none("d/plain", ACCESS));
	OK(rename("d/plain", "plain"));
	OK(rename("f", "d/f")); /* what is moved in keeps its own */
	IS(is("d/f", ACCESS, "u6 U65534:4 g4 m4 o0"));
	OK(link("d/f", "f"));
	OK(removexattr("d", DEFAULT));
	OK(create("d/after", 0666));
	IS(mode_of("d/after") == 0600);
	umask(022);
	OK(create("d/after2", 0666));
	IS(mode_of("d/after2") == 0644 && none("d/after2", ACCESS));
	OK(mkdir("g", 0755));
	OK(chmod("g", 02755));
	OK(set("g", DEFAULT, "u7 U65534:7 g5 m7 o0"));
	OK(mkdir("g/d", 0755));
	IS(mode_of("g/d") == 02750);
}

static void refused(void)
{
	struct list l = list_of("u6 U65534:4 g4 m4 o0");

	if (!offered())
		return;
	OK(mkdir("d", 0755));
	ERR(EINVAL, set("f", ACCESS, "u6 U65534:4 g4 o0")); /* no mask */
	ERR(EINVAL, set("f", ACCESS, "u6 g4"));             /* no others */
	ERR(EINVAL, set("f", ACCESS, "u6 u6 g4 o0"));       /* two owners */
	ERR(EINVAL, set("f", ACCESS, "g4 u6 o0"));          /* out of order */
	ERR(EINVAL, set("f", ACCESS, "u8 g4 o0"));          /* no such right */
	ERR(EINVAL, set("d", DEFAULT, "u6 U65534:4 g4 o0"));
	ERR(EINVAL, setxattr("f", ACCESS, &l, 4 + 8 * l.n - 1, 0)); /* a torn value */
	l.version = htole32(1);
	ERR(EOPNOTSUPP, setxattr("f", ACCESS, &l, 4 + 8 * l.n, 0));
	ERR(EACCES, set("f", DEFAULT, "u6 g4 o0")); /* of directories only */
	IS(is("f", ACCESS, "u6 U65534:4 g4 m4 o0") && none("d", DEFAULT));
	OK(symlink("f", "s"));
	ERR(EOPNOTSUPP, lsetxattr("s", ACCESS, &l, 4 + 8 * l.n, 0));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EPERM, set("f", ACCESS, "u6 U65534:7 g4 m7 o0"));
	ERR(EPERM, removexattr("f", ACCESS));
	ERR(EPERM, set("d", DEFAULT, "u6 g4 o0"));
	root_again();
	IS(is("f", ACCESS, "u6 U65534:4 g4 m4 o0"));
}

const struct test acl_tests[] = {{"obeyed", obeyed, true},
                                 {"with-mode", with_mode, true},
                                 {"inherited", inherited, true},
                                 {"refused", refused, true},
                                 TESTS_END};
