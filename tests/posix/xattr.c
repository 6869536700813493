// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Extended attributes: values and lists, flags, limits, which names on which files and for whom. xattr(7), setxattr(2),
 * getxattr(2), listxattr(2).
 */
#include "tests/posix/posix.h"

#include <sys/xattr.h>

/* The first call tells whether there are any. */
static bool offered(void)
{
	OK(create("x", 0644));
	if (!setxattr("x", "user.a", "value", 5, 0))
		return true;
	skip("user. attributes are not offered");
	return false;
}

static void values(void)
{
	char b[64];

	if (!offered())
		return;
	IS(getxattr("x", "user.a", b, sizeof(b)) == 5 && !memcmp(b, "value", 5));
	IS(getxattr("x", "user.a", NULL, 0) == 5);
	ERR(ERANGE, (int)getxattr("x", "user.a", b, 4));
	ERR(ENODATA, (int)getxattr("x", "user.b", b, sizeof(b)));
	ERR(ENODATA, removexattr("x", "user.b"));
	ERR(EEXIST, setxattr("x", "user.a", "other", 5, XATTR_CREATE));
	ERR(ENODATA, setxattr("x", "user.b", "other", 5, XATTR_REPLACE));
	ERR(EINVAL, setxattr("x", "user.b", "other", 5, 8));
	IS(getxattr("x", "user.a", b, sizeof(b)) == 5 && !memcmp(b, "value", 5));
	OK(setxattr("x", "user.a", "longer value", 12, XATTR_REPLACE));
	IS(getxattr("x", "user.a", b, sizeof(b)) == 12);
	OK(setxattr("x", "user.b", "", 0, XATTR_CREATE)); /* empty is a value */
	IS(getxattr("x", "user.b", b, sizeof(b)) == 0);
	OK(setxattr("x", "user.\xff\x01", "\0\xff", 2, 0));
	IS(getxattr("x", "user.\xff\x01", b, sizeof(b)) == 2 && !b[0] && (unsigned char)b[1] == 0xff);
	OK(link("x", "y")); /* of the inode, not the name */
	OK(removexattr("y", "user.a"));
	ERR(ENODATA, (int)getxattr("x", "user.a", b, sizeof(b)));
	OK(rename("y", "z"));
	IS(getxattr("z", "user.b", b, sizeof(b)) == 0);
	ERR(EFAULT, setxattr("x", "user.c", nowhere, 10, 0));
}

static void lists(void)
{
	char b[20000], name[40];
	ssize_t n;
	int found = 0;

	if (!offered())
		return;
	OK(setxattr("x", "user.bb", "", 0, 0));
	n = listxattr("x", b, sizeof(b));
	IS(n >= 15 && memmem(b, (size_t)n, "user.a", 7) && memmem(b, (size_t)n, "user.bb", 8));
	IS(listxattr("x", NULL, 0) == n);
	ERR(ERANGE, (int)listxattr("x", b, 3));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.many-%d", i);
		if (setxattr("x", name, name, strlen(name), 0))
			break;
		found++;
	}
	differs(ON_EXT, "one block for all attributes");
	IS(found == 100);
	n = listxattr("x", b, sizeof(b));
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(b + at) + 1)
		found -= !strncmp(b + at, "user.many-", 10);
	IS(!found);
	OK(mkdir("d", 0755));
	IS(listxattr("d", b, sizeof(b)) >= 0);
}

static void limits(void)
{
	static char value[70000], got[70000];
	static const size_t sizes[] = {1, 255, 2047, 2048, 2049, 3000, 4096, 40000, 65535, 65536};
	char name[300];

	if (!offered())
		return;
	fill_name(name, 255, 'n');
	memcpy(name, "user.", 5);
	OK(setxattr("x", name, "v", 1, 0));
	IS(getxattr("x", name, got, 10) == 1);
	OK(removexattr("x", name));
	fill_name(name, 256, 'n');
	memcpy(name, "user.", 5);
	ERR(ERANGE, setxattr("x", name, "v", 1, 0));
	ERR(ERANGE, (int)getxattr("x", name, got, 10));
	ERR(ERANGE, setxattr("x", "", "v", 1, 0));
	ERR2(EINVAL, EOPNOTSUPP, setxattr("x", "user.", "v", 1, 0));
	ERR2(EOPNOTSUPP, EPERM, setxattr("x", "noprefix", "v", 1, 0));
	ERR(EOPNOTSUPP, setxattr("x", "foreign.a", "v", 1, 0));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		about("%zu bytes", sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			value[k] = (char)(k * 31 + k / 256 + i);
		differs(sizes[i] > 3000 ? ON_EXT : 0, "one block for all attributes");
		ERR2(0, sizes[i] > 40000 ? ENOSPC : 0, setxattr("x", "user.big", value, sizes[i], 0));
		if (getxattr("x", "user.big", NULL, 0) == (ssize_t)sizes[i])
			IS(getxattr("x", "user.big", got, sizeof(got)) == (ssize_t)sizes[i] &&
			   !memcmp(value, got, sizes[i]));
	}
	about("%s", "");
	ERR(E2BIG, setxattr("x", "user.big", value, 65537, 0));
	OK(removexattr("x", "user.big"));
}

static void kinds(void)
{
	char b[10];

	for (int k = 0; k < KINDS; k++) {
		about("a %s", kind_name[k]);
		OK(make((enum kind)k, "x", 0644));
		if (k == FILE_ || k == DIR_) {
			if (lsetxattr("x", "user.a", "v", 1, 0)) {
				skip("user. attributes are not offered");
				return;
			}
			IS(lgetxattr("x", "user.a", b, 10) == 1);
		} else {
			ERR(EPERM, lsetxattr("x", "user.a", "v", 1, 0));
			ERR2(ENODATA, EPERM, (int)lgetxattr("x", "user.a", b, 10));
		}
		OK(lsetxattr("x", "trusted.a", "v", 1, 0));
		IS(lgetxattr("x", "trusted.a", b, 10) == 1);
		OK(lremovexattr("x", "trusted.a"));
		OK(drop("x"));
	}
}

static bool lists_name(const char *path, const char *name)
{
	char b[1000];
	ssize_t n = listxattr(path, b, sizeof(b));

	return n > 0 && memmem(b, (size_t)n, name, strlen(name) + 1);
}

static void who_may(void)
{
	char b[10];

	if (!offered())
		return;
	OK(setxattr("x", "trusted.a", "v", 1, 0));
	IS(lists_name("x", "trusted.a"));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, setxattr("x", "user.a", "v", 1, 0));
	ERR(EACCES, removexattr("x", "user.a"));
	IS(getxattr("x", "user.a", b, 10) == 5);
	ERR(EPERM, setxattr("x", "trusted.b", "v", 1, 0));
	ERR2(ENODATA, EPERM, (int)getxattr("x", "trusted.a", b, 10));
	IS(!lists_name("x", "trusted.a"));
	IS(lists_name("x", "user.a"));
	root_again();
	OK(chmod("x", 0600));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, (int)getxattr("x", "user.a", b, 10));
	root_again();
	OK(mkdir("d", 0777)); /* in a sticky directory of others: only its owner sets user. ones */
	OK(chmod("d", 01777));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EPERM, setxattr("d", "user.a", "v", 1, 0));
	root_again();
}

/* A program's capabilities go when somebody writes it or changes its owner. */
static void capability(void)
{
	static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4}; /* net_bind_service, effective */
	char b[40];
	int fd;

	OK(create("x", 0755));
	if (setxattr("x", "security.capability", cap, sizeof(cap), 0)) {
		skip("security. attributes are not offered");
		return;
	}
	IS(getxattr("x", "security.capability", b, sizeof(b)) == 20);
	OK(chown("x", BOB, BOB));
	ERR(ENODATA, (int)getxattr("x", "security.capability", b, sizeof(b)));
	OK(setxattr("x", "security.capability", cap, sizeof(cap), 0));
	OK(fd = open("x", O_WRONLY));
	OK((int)write(fd, "text", 4));
	close(fd);
	ERR(ENODATA, (int)getxattr("x", "security.capability", b, sizeof(b)));
}

const struct test xattr_tests[] = {{"values", values, false},
                                   {"lists", lists, false},
                                   {"limits", limits, false},
                                   {"kinds", kinds, true},
                                   {"who-may", who_may, true},
                                   {"capability", capability, true},
                                   TESTS_END};
