// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Reading directories: every name once, ".", "..", types and inode numbers; positions that stay while names come and
 * go. POSIX readdir, telldir, seekdir; getdents64(2).
 */
#include "tests/posix/posix.h"

#include <dirent.h>
#include <sys/syscall.h>

#define MANY 3000

static char seen[MANY];

static const char *many_name(int i)
{
	static char name[40];

	snprintf(name, sizeof(name), "d/some-name-%d", i);
	return name;
}

/* Notes the names of d in seen[]; how many others, dots apart. */
static int list(DIR *d)
{
	struct dirent *e;
	int others = 0, i;

	while ((e = readdir(d)))
		if (sscanf(e->d_name, "some-name-%d", &i) == 1 && i >= 0 && i < MANY)
			seen[i]++;
		else
			others += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	return others;
}

static bool seen_all(int from, int to, int times)
{
	for (int i = from; i < to; i++)
		if (seen[i] != times)
			return false;
	return true;
}

static void entries(void)
{
	int dots = 0, kinds = 0;
	struct dirent *e;
	DIR *d;

	OK(mkdir("d", 0755));
	for (int k = 0; k < KINDS; k++) {
		char path[40];

		snprintf(path, sizeof(path), "d/%s", kind_name[k]);
		if (!geteuid() || (k != BLOCK_ && k != CHAR_))
			OK(make((enum kind)k, path, 0644));
		else
			kinds++;
	}
	d = opendir("d");
	while ((e = readdir(d))) {
		char path[300];

		about("%s", e->d_name);
		snprintf(path, sizeof(path), "d/%s", e->d_name);
		IS(e->d_ino == look(path).st_ino);
		IS(e->d_type == DT_UNKNOWN || e->d_type == IFTODT(look(path).st_mode));
		dots += !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
		kinds += *e->d_name != '.';
	}
	about("%s", "");
	IS(dots == 2 && kinds == KINDS);
	closedir(d);
}

static DIR *many_made(void)
{
	OK(mkdir("d", 0755));
	for (int i = 0; i < MANY; i++)
		if (create(many_name(i), 0644))
			break;
	return opendir("d");
}

static void many(void)
{
	DIR *d;

	d = many_made();
	memset(seen, 0, sizeof(seen));
	IS(!list(d) && seen_all(0, MANY, 1));
	rewinddir(d);
	IS(!list(d) && seen_all(0, MANY, 2));
	for (int i = 0; i < MANY; i += 2)
		if (unlink(many_name(i)))
			break;
	rewinddir(d);
	memset(seen, 0, sizeof(seen));
	IS(!list(d));
	for (int i = 0; i < MANY; i++)
		if (seen[i] != (i & 1)) {
			IS(seen[i] == (i & 1));
			break;
		}
	closedir(d);
}

/* rm -r: what is removed while reading must not hide what follows. */
static void removed_while_read(void)
{
	struct dirent *e;
	DIR *d;
	int n = 0;

	d = many_made();
	while ((e = readdir(d)))
		if (*e->d_name != '.')
			n += !unlinkat(dirfd(d), e->d_name, 0);
	IS(n == MANY);
	closedir(d);
	OK(rmdir("d"));
}

/* Positions lead back to the same entry, whatever else came and went. */
static void positions(void)
{
	static long at[MANY + 2];
	static char name[MANY + 2][32];
	struct dirent *e;
	bool good = true;
	int n = 0;
	DIR *d;

	d = many_made();
	for (;;) {
		at[n] = telldir(d);
		e = readdir(d);
		if (!e || n == MANY + 2)
			break;
		strcpy(name[n++], e->d_name);
	}
	IS(n == MANY + 2);
	for (int i = n - 1; i >= 0; i -= 37) {
		seekdir(d, at[i]);
		e = readdir(d);
		good &= e && !strcmp(e->d_name, name[i]);
	}
	IS(good);
	for (int i = 0; i < n; i++) /* every third name goes, others come */
		if (i % 3 == 0 && *name[i] != '.')
			unlinkat(dirfd(d), name[i], 0);
	for (int i = 0; i < 500; i++) {
		char path[40];

		snprintf(path, sizeof(path), "d/late-%d", i);
		create(path, 0644);
	}
	good = true;
	for (int i = 1; i < n; i += 3) {
		int found = 0;

		seekdir(d, at[i]);
		while ((e = readdir(d)) && ++found < 600) /* a late name may stand before it */
			if (!strcmp(e->d_name, name[i]))
				break;
		good &= e && found < 600;
	}
	differs(ON_TMPFS | ON_EXT, "positions are not kept so");
	IS(good);
	closedir(d);
}

/* While another reads on, names that neither come nor go are read once. */
static void changed_while_read(void)
{
	struct dirent *e;
	int round = 0, i;
	DIR *d;

	OK(mkdir("d", 0755));
	for (i = 0; i < MANY; i++)
		if (create(many_name(i), 0644))
			break;
	d = opendir("d");
	memset(seen, 0, sizeof(seen));
	while ((e = readdir(d))) {
		char path[60];

		if (sscanf(e->d_name, "some-name-%d", &i) == 1)
			seen[i]++;
		snprintf(path, sizeof(path), "d/other-%d", round++);
		create(path, 0644);
		if (round % 2)
			unlink(path);
		if (round > 20000)
			break;
	}
	differs(ON_TMPFS, "new names come at the front or end of the list");
	IS(seen_all(0, MANY, 1));
	closedir(d);
}

static void odd_calls(void)
{
	char b[16];
	int fd = open(".", O_RDONLY | O_DIRECTORY), file = open("f", O_CREAT | O_RDWR, 0644);

	ERR(EINVAL, (int)syscall(SYS_getdents64, fd, b, 1)); /* no room for one entry */
	ERR(ENOTDIR, (int)syscall(SYS_getdents64, file, b, 16));
	ERR(EBADF, (int)syscall(SYS_getdents64, -1, b, 16));
	close(fd);
	close(file);
}

static void long_names(void)
{
	char name[256];
	int found = 0;
	struct dirent *e;
	DIR *d;

	OK(mkdir("d", 0755));
	for (int i = 0; i < 200; i++) {
		char path[300];

		fill_name(name, 255, 'n');
		snprintf(name + 250, 6, "%05d", i);
		snprintf(path, sizeof(path), "d/%s", name);
		if (create(path, 0644))
			break;
	}
	d = opendir("d");
	while ((e = readdir(d)))
		found += strlen(e->d_name) == 255;
	IS(found == 200);
	closedir(d);
}

const struct test dir_tests[] = {{"entries", entries, false},
                                 {"many", many, false},
                                 {"removed-while-read", removed_while_read, false},
                                 {"positions", positions, false},
                                 {"changed-while-read", changed_while_read, false},
                                 {"odd-calls", odd_calls, false},
                                 {"long-names", long_names, false},
                                 TESTS_END};
