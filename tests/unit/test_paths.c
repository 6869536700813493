// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The paths of a diff: right for files, directories, hard links and names that moved; found from the inode up, so that
 * what is asked for depends on what changed and not on how many directories there are; found all the same where inodes
 * say nothing, or something wrong, of where their names stand.
 */
#include "tests/unit/ram.h"

#include "tfs/name.h"
#include "tfs/user/diff.h"

#define DIRS 300u
#define EACH 40u
static u64 dirs[DIRS], files[DIRS][EACH];
static u32 requests;

static int ask(void *arg, struct tfs_ioc_items *batch)
{
	(void)arg;
	requests++;
	return tfs_admin(vol, TFS_IOC_ITEMS, batch);
}
static struct tfs_ioc_items batch;
static const struct tfs_items_source source = {ask, NULL, &batch};

static u64 mk(u64 dir, const char *name, u32 mode)
{
	struct tfs_create c = {.mode = mode};
	u64 ino;

	assert_int_equal(tfs_create(vol, dir, name, (u32)strlen(name), &c, &ino), 0);
	return ino;
}

static int setup(void **state)
{
	char name[32];

	(void)state;
	ram_format(64u << 20);
	for (u32 d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), "dir%u", d);
		dirs[d] = mk(d % 10 ? dirs[d - 1] : TFS_INO_ROOT, name, 0040755); /* ten deep */
		for (u32 f = 0; f < EACH; f++) {
			snprintf(name, sizeof(name), "file%u", f);
			files[d][f] = mk(dirs[d], name, 0100644);
		}
	}
	assert_int_equal(tfs_checkpoint(vol), 0);
	return 0;
}

/* What the inode says, forged. */
static void say(u64 ino, u64 dir, u64 pos)
{
	struct tfs_inode *i;

	assert_int_equal(tfs_op_begin(vol, TFS_TIER_NORMAL, 0), 0);
	tfs_need_inode(vol, ino);
	assert_int_equal(tfs_prepare(vol), 0);
	i = tfs_item_edit(vol, TFS_TREE_FS, tfs_inode_key(ino), NULL);
	i->name_dir = tfs_cpu64(dir);
	i->name_pos = tfs_cpu64(pos);
}

static void path_is(const struct tfs_paths *p, u64 ino, const char *want)
{
	const struct tfs_path_name *n = tfs_paths_find(p, ino);
	static char buf[8192];
	const char *path = n ? tfs_paths_text(p, n->dir, n->text, buf, sizeof(buf)) : NULL;

	if (!want)
		assert_null(path);
	else
		assert_string_equal(path ? path : "(none)", want);
}

/* Paths of n inodes at the volume as it is, each of which is the one that is wanted; at most `most` requests. */
static void paths(const u64 *ino, const char *const *want, size_t n, u32 most)
{
	struct tfs_path_want *w = calloc(n, sizeof(*w));
	struct tfs_paths p = {0};

	for (size_t i = 0; i < n; i++)
		w[i].ino = ino[i];
	requests = 0;
	assert_int_equal(tfs_paths_load(&p, &source, 0, w, n), 0);
	for (size_t i = 0; i < n; i++)
		path_is(&p, ino[i], want[i]);
	if (requests > most)
		fail_msg("expected at most %u requests, found %u", most, requests);
	tfs_paths_free(&p);
	free(w);
}
#define PATHS(most, ino, ...) paths(ino, (const char *const[]){__VA_ARGS__}, sizeof(ino) / sizeof(*(ino)), most)

static void test_few(void **state)
{
	const u64 ino[] = {files[0][3], files[12][7], files[12][8], dirs[12], TFS_INO_ROOT};

	(void)state;
	/* four that are asked and the root; then four directories; each level what it wants above */
	PATHS(16, ino, "dir0/file3", "dir10/dir11/dir12/file7", "dir10/dir11/dir12/file8", "dir10/dir11/dir12", "");
}

/* Many of one directory: as many as a request has room for come with it. */
static void test_many(void **state)
{
	struct tfs_path_want w[EACH] = {0};
	struct tfs_paths p = {0};
	char name[64];

	(void)state;
	for (u32 f = 0; f < EACH; f++) {
		struct tfs_inode i;

		assert_int_equal(tfs_inode_find(vol, files[20][f], &i), 0);
		w[f] = (struct tfs_path_want){files[20][f], tfs_le64(i.name_dir), tfs_le64(i.name_pos)};
	}
	requests = 0;
	assert_int_equal(tfs_paths_load(&p, &source, 0, w, EACH), 0);
	assert_true(requests <= 3); /* the names, the directory's inode, its name */
	for (u32 f = 0; f < EACH; f++) {
		snprintf(name, sizeof(name), "dir20/file%u", f);
		path_is(&p, files[20][f], name);
	}
	tfs_paths_free(&p);
}

static void test_moved(void **state)
{
	const u64 ino[] = {files[0][0], files[1][1], files[30][2], dirs[31]};
	u64 victim;

	(void)state;
	assert_int_equal(tfs_rename(vol, dirs[0], "file0", 5, dirs[40], "new", 3, 0, &victim), 0);
	assert_int_equal(tfs_link(vol, files[1][1], TFS_INO_ROOT, "twin", 4), 0);
	assert_int_equal(tfs_rename(vol, dirs[30], "dir31", 5, TFS_INO_ROOT, "up", 2, 0, &victim), 0);
	PATHS(16, ino, "dir40/new", "twin", "dir30/file2", "up");
	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "twin", 4, false, &victim), 0); /* says nothing now */
	PATHS(DIRS * 3, ino, "dir40/new", "dir0/dir1/file1", "dir30/file2", "up");
}

/* Nothing said, of a file and of a directory; an entry of another inode; none; a directory in itself. */
static void test_wrong(void **state)
{
	const u64 ino[] = {files[50][0], files[61][1], files[70][2], files[80][3], files[290][0]};
	struct tfs_inode other;

	(void)state;
	assert_int_equal(tfs_inode_find(vol, files[70][5], &other), 0);
	say(files[50][0], 0, 0);
	say(dirs[60], 0, 0);
	say(files[70][2], tfs_le64(other.name_dir), tfs_le64(other.name_pos));
	say(files[80][3], dirs[81], 12345);
	say(dirs[290], dirs[290], 0);
	PATHS(DIRS * 3, ino, "dir50/file0", "dir60/dir61/file1", "dir70/file2", "dir80/file3", "dir290/file0");
}

/* One directory that says nothing, as in a volume of before: asked for is where it may be, and not all that there is. */
static void test_one_unknown(void **state)
{
	const u64 ino[] = {files[0][3]};

	(void)state;
	say(dirs[0], 0, 0);
	PATHS(8, ino, "dir0/file3");
}

/* Directories that state each other in a ring, beside a chain of ten that is honest: each is asked once. */
static void test_ring(void **state)
{
	static u64 ino[101];
	static char text[101][96];
	const char *want[101];

	(void)state;
	for (u32 d = 0; d < 100; d++) {
		int n = 0;

		say(dirs[d], dirs[(d + 1) % 100], 12345);
		ino[d] = files[d][0];
		for (u32 up = d - d % 10; up <= d; up++)
			n += snprintf(text[d] + n, sizeof(text[d]) - (size_t)n, "dir%u/", up);
		snprintf(text[d] + n, sizeof(text[d]) - (size_t)n, "file0");
		want[d] = text[d];
	}
	ino[100] = files[109][0];
	want[100] = "dir100/dir101/dir102/dir103/dir104/dir105/dir106/dir107/dir108/dir109/file0";
	paths(ino, want, 101, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_few, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_many, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_moved, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_wrong, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_one_unknown, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_ring, setup, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
