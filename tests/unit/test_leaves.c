// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is emptied leaves the tree: no search has to read through rows of empty leaves, whatever emptied them. And a scan,
 * which searches once a leaf, gives the items that one search for each gives.
 */
#include "tests/unit/ram.h"
#include "tfs/vol.h"

#define SIZE (64u << 20)
#define WRITES 4000u

static int setup(void **state)
{
	(void)state;
	ram_format(SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tfs_abandon(vol);
	ram_free();
	return 0;
}

struct leaves {
	u32 all, empty;
};

static int leaf(void *arg, const struct tfs_node_info *info)
{
	struct leaves *l = arg;

	if (!info->level) {
		l->all++;
		l->empty += !((const struct tfs_node_head *)info->node)->count;
	}
	return 0;
}

static void expect(u32 least, u32 most)
{
	struct leaves l = {0, 0};

	assert_int_equal(tfs_tree_walk(vol, TFS_TREE_FS, leaf, &l), 0);
	assert_in_range(l.all, least, most);
	assert_int_equal(l.empty, 0);
}

static u64 file_make(const char *name)
{
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	for (u64 i = 0; i < WRITES; i++)
		assert_int_equal(tfs_write(vol, ino, 2 * i, &e, (2 * i + 1) * TFS_BLOCK, NULL), 0);
	expect(10, 1000);
	return ino;
}

static void remove_name(const char *name)
{
	u64 ino;
	int err;

	assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &ino), 0);
	while ((err = tfs_evict(vol, ino)) > 0)
		;
	assert_int_equal(err, 0);
}

static void test_truncate(void **state)
{
	(void)state;
	assert_int_equal(tfs_truncate(vol, file_make("f"), 0), 0);
	expect(1, 2);
}

static void test_evict(void **state)
{
	(void)state;
	file_make("g");
	remove_name("g");
	expect(1, 2);
}

static void test_punch(void **state)
{
	u64 ino = file_make("h");

	(void)state;
	for (u64 i = 0; i < 2 * WRITES; i += 16)
		assert_int_equal(tfs_punch(vol, ino, i, 16), 0);
	expect(1, 2);
}

static void test_names(void **state)
{
	struct tfs_create c = {.mode = 0100644};
	char name[16];
	u64 ino;

	(void)state;
	for (u32 i = 0; i < WRITES; i++) {
		u32 n = (u32)sprintf(name, "n%u", i);

		assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, n, &c, &ino), 0);
	}
	expect(10, 1000);
	for (u32 i = 0; i < WRITES; i++) {
		sprintf(name, "n%u", i);
		remove_name(name);
	}
	expect(1, 2);
}

struct scanned {
	u32 n, most;
	struct tfs_key key[WRITES];
	u64 addr[WRITES];
};

static int scan_note(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct scanned *s = arg;

	assert_true(len >= TFS_EXTENT_HEAD && s->n < s->most);
	s->key[s->n] = key;
	s->addr[s->n++] = ((const struct tfs_extent *)value)->ptr.addr;
	return s->n == s->most ? -EDOM : 0;
}

static void expect_scan(u64 ino, u64 from, u64 to, u32 most)
{
	static struct scanned s;
	struct tfs_key k = tfs_key(ino, TFS_IT_EXTENT, from), hi = tfs_key(ino, TFS_IT_EXTENT, to);
	const void *v;
	u32 len;
	int err;

	s.n = 0;
	s.most = most;
	err = tfs_items_scan(vol, TFS_TREE_FS, k, hi, scan_note, &s);
	assert_int_equal(err, s.n == most ? -EDOM : 0);
	for (u32 i = 0; i < s.n; i++, k.b++) {
		assert_true(tfs_key_cmp(s.key[i], hi) < 0);
		assert_int_equal(tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len), 0);
		assert_true(!tfs_key_cmp(k, s.key[i]) && ((const struct tfs_extent *)v)->ptr.addr == s.addr[i]);
	}
	if (s.n < most)
		assert_int_equal(tfs_item_next_before(vol, TFS_TREE_FS, hi, &k, &v, &len), -ENOENT);
}

static void test_scans(void **state)
{
	u64 ino = file_make("scanned"), i;

	(void)state;
	expect_scan(ino, 0, 2 * WRITES, WRITES);
	for (i = 0; i < 2 * WRITES; i += 7) {
		expect_scan(ino, i, i + i % 900, WRITES);
		expect_scan(ino, i, 2 * WRITES, 1 + (u32)(i % 500));
	}
	expect_scan(ino, 5, 5, WRITES);
	expect_scan(ino, 6, 5, WRITES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_truncate), cmocka_unit_test(test_evict), cmocka_unit_test(test_punch),
	    cmocka_unit_test(test_names),    cmocka_unit_test(test_scans),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
