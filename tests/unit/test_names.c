// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Names on a RAM volume: errnos as Linux gives them, what rename does, readdir under change, and the same after replay.
 */
#include "tests/unit/ram.h"
#include "tfs/name.h"

static int setup(void **state)
{
	(void)state;
	ram_format(32u << 20);
	return 0;
}

static void crash(void)
{
	assert_int_equal(tfs_sync(vol), 0);
	tfs_abandon(vol);
	ram_mount();
}

static int mk(u64 dir, const char *name, u32 mode, u64 *ino)
{
	struct tfs_create c = {.mode = mode};

	return tfs_create(vol, dir, name, (u32)strlen(name), &c, ino);
}

static u64 at(u64 dir, const char *name)
{
	u64 ino;
	u8 type;

	return tfs_lookup(vol, dir, name, (u32)strlen(name), &ino, &type) ? 0 : ino;
}

static int mv(u64 a, const char *from, u64 b, const char *to, u32 flags)
{
	u64 victim;

	return tfs_rename(vol, a, from, (u32)strlen(from), b, to, (u32)strlen(to), flags, &victim);
}

static u32 links(u64 ino)
{
	struct tfs_attr a;

	assert_int_equal(tfs_getattr(vol, ino, &a), 0);
	return a.nlink;
}

static void test_errnos(void **state)
{
	char long_name[257];
	u64 d, f, x;

	(void)state;
	memset(long_name, 'n', 256);
	long_name[256] = 0;
	assert_int_equal(mk(1, "d", 0040755, &d), 0);
	assert_int_equal(mk(1, "f", 0100644, &f), 0);
	assert_int_equal(mk(1, "f", 0100644, &x), -EEXIST);
	assert_int_equal(mk(f, "x", 0100644, &x), -ENOTDIR);
	assert_int_equal(mk(1, long_name, 0100644, &x), -ENAMETOOLONG);
	assert_int_equal(mk(1, long_name + 1, 0100644, &x), 0);
	assert_int_equal(mk(1, "..", 0100644, &x), -EINVAL);
	assert_int_equal(tfs_unlink(vol, 1, "d", 1, false, &x), -EISDIR);
	assert_int_equal(tfs_unlink(vol, 1, "f", 1, true, &x), -ENOTDIR);
	assert_int_equal(tfs_unlink(vol, 1, "g", 1, false, &x), -ENOENT);
	assert_int_equal(mk(d, "x", 0100644, &x), 0);
	assert_int_equal(tfs_unlink(vol, 1, "d", 1, true, &x), -ENOTEMPTY);
	assert_int_equal(tfs_link(vol, d, 1, "l", 1), -EPERM);
	assert_int_equal(mv(1, "d", d, "in", 0), -EINVAL);
	assert_int_equal(mv(1, "d", 1, "f", 0), -ENOTDIR);
	assert_int_equal(mv(1, "f", 1, "d", 0), -EISDIR);
	assert_int_equal(mv(1, "f", 1, "d", TFS_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(mv(1, "f", 1, "none", TFS_RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(mv(d, "x", 1, "d", 0),
	                 -ENOTEMPTY); /* the target holds the source: Linux looks at that first */
}

static void test_rename(void **state)
{
	u64 a, b, d, e;
	struct tfs_attr attr;

	(void)state;
	assert_int_equal(mk(1, "a", 0100644, &a), 0);
	assert_int_equal(mk(1, "b", 0100644, &b), 0);
	assert_int_equal(mk(1, "d", 0040755, &d), 0);
	assert_int_equal(mk(d, "e", 0040755, &e), 0);
	assert_int_equal(links(1), 3);
	assert_int_equal(mv(1, "a", 1, "b", 0), 0);
	assert_int_equal(at(1, "b"), a);
	assert_int_equal(links(b), 0);
	while (tfs_evict(vol, b) > 0)
		;
	assert_int_equal(tfs_getattr(vol, b, &attr), -ENOENT);
	assert_int_equal(mv(1, "b", d, "e", TFS_RENAME_EXCHANGE), 0);
	assert_int_equal(at(d, "e"), a);
	assert_int_equal(at(1, "b"), e);
	assert_int_equal(links(1), 4);
	assert_int_equal(links(d), 2);
	assert_int_equal(mv(d, "e", 1, "w", TFS_RENAME_WHITEOUT), 0);
	crash();
	assert_int_equal(at(1, "w"), a);
	assert_int_equal(tfs_getattr(vol, at(d, "e"), &attr), 0);
	assert_int_equal(attr.mode, 0020000);
	assert_int_equal(tfs_getattr(vol, e, &attr), 0);
	assert_int_equal(attr.parent, 1);
}

/* What an inode says of its newest name: it is `name` in dir, or (NULL) nothing. */
static void says(u64 ino, u64 dir, const char *name)
{
	const struct tfs_dirent *d;
	struct tfs_inode i;
	const void *v;
	u32 len;

	assert_int_equal(tfs_inode_find(vol, ino, &i), 0);
	assert_int_equal(tfs_le64(i.name_dir), name ? dir : 0);
	if (!name) {
		assert_int_equal(tfs_le64(i.name_pos), 0);
		return;
	}
	assert_int_equal(tfs_item_find(vol, TFS_TREE_FS, tfs_key(dir, TFS_IT_DIRENT, tfs_le64(i.name_pos)), &v, &len),
	                 0);
	d = v;
	assert_int_equal(tfs_le64(d->ino), ino);
	assert_int_equal(d->name_len, strlen(name));
	assert_memory_equal(d->name, name, d->name_len);
}

static u64 rm(u64 dir, const char *name, bool is_dir)
{
	u64 ino;

	assert_int_equal(tfs_unlink(vol, dir, name, (u32)strlen(name), is_dir, &ino), 0);
	return ino;
}

/* An inode states where its newest name is, live and after replay; nothing when that name is gone. */
static void test_places(void **state)
{
	u64 d, a, b, t, e, w;

	(void)state;
	assert_int_equal(mk(1, "d", 0040755, &d), 0);
	assert_int_equal(mk(d, "a", 0100644, &a), 0);
	assert_int_equal(mk(1, "b", 0100644, &b), 0);
	assert_int_equal(mk(1, "e", 0040755, &e), 0);
	assert_int_equal(mk(1, "", 0100644, &t), 0);
	says(1, 0, NULL);
	says(d, 1, "d");
	says(a, d, "a");
	says(t, 0, NULL);
	assert_int_equal(tfs_link(vol, t, d, "t", 1), 0);
	says(t, d, "t");
	assert_int_equal(tfs_link(vol, a, 1, "a2", 2), 0);
	says(a, 1, "a2"); /* the newest */
	rm(d, "a", false);
	says(a, 1, "a2"); /* another went */
	assert_int_equal(tfs_link(vol, a, 1, "a3", 2), 0);
	assert_int_equal(tfs_link(vol, a, 1, "a4", 2), 0);
	rm(1, "a4", false);
	says(a, 0, NULL); /* a2 and a3 are left */
	assert_int_equal(mv(1, "a2", d, "a5", 0), 0);
	says(a, d, "a5");
	assert_int_equal(mv(d, "a5", 1, "b", TFS_RENAME_EXCHANGE), 0);
	says(a, 1, "b");
	says(b, d, "a5");
	assert_int_equal(mv(1, "b", 1, "d2", TFS_RENAME_WHITEOUT), 0);
	w = at(1, "b");
	says(w, 1, "b");
	says(a, 1, "d2");
	assert_int_equal(mv(d, "a5", 1, "d2", 0), 0); /* a loses the name it states, a3 is left */
	says(b, 1, "d2");
	says(a, 0, NULL);
	rm(1, "e", true);
	says(e, 0, NULL);
	crash();
	says(d, 1, "d");
	says(t, d, "t");
	says(w, 1, "b");
	says(b, 1, "d2");
	says(a, 0, NULL);
}

static u32 seen;
static int count(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	(void)arg, (void)name, (void)len, (void)ino, (void)type, (void)next;
	seen++;
	return 0;
}
static int one(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	(void)len, (void)ino, (void)type, (void)next;
	if (*(char *)arg)
		return 1;
	strcpy(arg, name[0] == 'f' ? "f" : "?");
	memcpy(arg, name, len);
	((char *)arg)[len] = 0;
	return 0;
}

static void test_many(void **state)
{
	u64 ino, pos = 0, n = 0;
	char name[256];
	int i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(mk(1, name, 0100644, &ino), 0);
	}
	seen = 0;
	assert_int_equal(tfs_readdir(vol, 1, &pos, count, NULL), 0);
	assert_int_equal(seen, 5000);
	for (pos = 0;; n++) { /* removing what was just read must not skip or repeat any */
		name[0] = 0;
		assert_int_equal(tfs_readdir(vol, 1, &pos, one, name), 0);
		if (!name[0])
			break;
		assert_int_equal(tfs_unlink(vol, 1, name, (u32)strlen(name), false, &ino), 0);
		while (tfs_evict(vol, ino) > 0)
			;
	}
	assert_int_equal(n, 5000);
	crash();
	seen = 0;
	pos = 0;
	assert_int_equal(tfs_readdir(vol, 1, &pos, count, NULL), 0);
	assert_int_equal(seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_errnos, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_rename, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_places, setup, ram_end),
	    cmocka_unit_test_setup_teardown(test_many, setup, ram_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
