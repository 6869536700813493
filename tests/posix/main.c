// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * posix DIR [AREA[/TEST]]: runs the tests in a directory made in DIR, and prints a line for each fact: "ok N - test:
 * fact", "not ok N ..." with what was expected and found, "# DIFFERS why" behind a fact that is known not to hold
 * there. posix --readonly DIR: DIR is on a filesystem mounted read-only and holds what `posix --prepare DIR` made
 * before. exit: 0 all facts hold or differ as listed, 1 some do not, 2 it could not be run
 */
#include "tests/posix/posix.h"

#include <ftw.h>
#include <stdarg.h>
#include <sys/vfs.h>

static const struct area {
	const char *name;
	const struct test *tests;
} areas[] = {{"paths", path_tests},    {"modes", mode_tests},  {"create", create_tests}, {"names", name_tests},
             {"rename", rename_tests}, {"size", size_tests},   {"times", time_tests},    {"data", data_tests},
             {"dirs", dir_tests},      {"xattr", xattr_tests}, {"acl", acl_tests},       {"volume", volume_tests}};

static int facts, failed, differing, skipped, fs;
static char test_name[80], round_name[200];
static const char *difference, *skip_why;

static void line_out(bool good, const char *text, int line, const char *detail)
{
	const char *why = good ? NULL : difference;

	facts++;
	failed += !good && !why;
	differing += why != NULL;
	printf("%s %d - %s:%d: %s%s%s%s%s%s\n", good || why ? "ok" : "not ok", facts, test_name, line, text,
	       *round_name ? " with " : "", round_name, detail, why ? " # DIFFERS " : "", why ? why : "");
	difference = NULL;
}

void fact_result(int got, int want, int or_want, const char *text, int line)
{
	bool good = got == want || got == or_want;
	char detail[160] = "";

	if (!good)
		snprintf(detail, sizeof(detail), "; expected %s, found %s", want ? strerrorname_np(want) : "success",
		         got ? strerrorname_np(got) : "success");
	line_out(good, text, line, detail);
}

bool fact_true(bool good, const char *text, int line)
{
	line_out(good, text, line, good ? "" : "; expected this to hold");
	return good;
}

void about(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(round_name, sizeof(round_name), fmt, ap);
	va_end(ap);
}

void differs(int on, const char *why)
{
	difference = on & fs ? why : NULL;
}

void skip(const char *why)
{
	skip_why = why;
}

int filesystem(void)
{
	return fs;
}

static int fs_find(void)
{
	struct statfs s;

	if (statfs(".", &s))
		return 0;
	return s.f_type == 0x65735546   ? ON_FUSE
	       : s.f_type == 0x01021994 ? ON_TMPFS
	       : s.f_type == 0xef53     ? ON_EXT
	       : s.f_type == 0x54465376 ? ON_TFS
	                                : 0;
}

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
	(void)s;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* Are there other users here? Not on a mount without allow_other. */
static bool users(void)
{
	bool seen;

	if (geteuid())
		return false;
	become(ALICE, ALICE, NOBODY_ELSE);
	seen = !access(".", X_OK);
	root_again();
	return seen;
}

static void test_run(const struct area *a, const struct test *t, bool root)
{
	snprintf(test_name, sizeof(test_name), "%s/%s", a->name, t->name);
	if (t->root && !root) {
		skipped++;
		printf("ok %d - %s # SKIP needs root, and a mount that other users may enter\n", ++facts, test_name);
		return;
	}
	about("%s", "");
	difference = skip_why = NULL;
	umask(022);
	if (mkdir("t", 0755) || chmod("t", 0755) || chdir("t")) {
		perror("posix: a directory for the test");
		exit(2);
	}
	t->run();
	if (!geteuid())
		root_again();
	about("%s", "");
	if (skip_why) {
		skipped++;
		printf("ok %d - %s # SKIP %s\n", ++facts, test_name, skip_why);
	}
	fflush(stdout);
	if (chdir("..") || nftw("t", remove_one, 20, FTW_DEPTH | FTW_PHYS)) {
		printf("not ok %d - %s: its directory can be removed; %s\n", ++facts, test_name, strerror(errno));
		exit(1);
	}
}

static bool chosen(const char *which, const struct area *a, const struct test *t)
{
	size_t len = strlen(a->name);

	return !which || (!strncmp(which, a->name, len) &&
	                  (!which[len] || (which[len] == '/' && !strcmp(which + len + 1, t->name))));
}

static int summary(void)
{
	printf("1..%d\n# %d facts, %d failed, %d differ as listed, %d skipped\n", facts, facts, failed, differing,
	       skipped);
	return failed != 0;
}

static int readonly_run(const char *dir)
{
	if (chdir(dir))
		return perror(dir), 2;
	fs = fs_find();
	for (const struct test *t = readonly_tests; t->run; t++) {
		snprintf(test_name, sizeof(test_name), "readonly/%s", t->name);
		t->run();
	}
	return summary();
}

static int prepare(const char *dir)
{
	return chdir(dir) || write_file("file", "content") || mkdir("dir", 0755) || symlink("file", "link") ||
	               mkdir("full", 0755) || create("full/x", 0644)
	           ? (perror(dir), 2)
	           : 0;
}

int main(int argc, char **argv)
{
	char made[] = "posix-XXXXXX";
	bool root;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc == 3 && !strcmp(argv[1], "--readonly"))
		return readonly_run(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--prepare"))
		return prepare(argv[2]);
	if (argc < 2 || argc > 3 || argv[1][0] == '-')
		return fputs("usage: posix DIR [AREA[/TEST]] | posix --prepare DIR | posix --readonly DIR\n", stderr),
		       2;
	if (chdir(argv[1]) || !mkdtemp(made) || chmod(made, 0755) || chdir(made))
		return perror(argv[1]), 2;
	fs = fs_find();
	root = users();
	for (size_t i = 0; i < sizeof(areas) / sizeof(*areas); i++)
		for (const struct test *t = areas[i].tests; t->run; t++)
			if (chosen(argc == 3 ? argv[2] : NULL, &areas[i], t))
				test_run(&areas[i], t, root);
	if (chdir("..") || rmdir(made))
		return perror(made), 2;
	return facts ? summary() : (fputs("posix: no such test\n", stderr), 2);
}
