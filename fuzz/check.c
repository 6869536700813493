// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsck in process, and the strict walk. A volume that fsck calls sound must hold what its names promise; so unlike
 * fuzz_look nothing here is forgiven. The walk needs no table of what it saw: directories that fsck accepts are a tree,
 * and more directories than the volume has inodes are a finding.
 */
#include "fuzz/check.h"
#include "tfs/user/port.h"

struct fuzz_checked fuzz_fsck(enum fsck_mode mode, bool data)
{
	struct fsck f = {.image = "image", .dev = &fuzz_dev, .mode = mode, .data = data};
	struct fuzz_checked c;

	fsck_env = fuzz_env;
	tfs_progress_start(&f.progress, true, -1, 4);
	c.err = fsck_check(&f, true);
	c.found = f.found;
	c.fixed = f.fixed;
	c.left = f.left;
	c.st = f.st;
	fsck_free(&f);
	tfs_user_log_sink(NULL);
	return c;
}

/* ---- the walk ---- */

#define DIRS 4096u
#define BATCH 64u

struct entry {
	u64 ino;
	u8 type, len;
	char name[TFS_NAME_MAX];
};

static struct {
	struct tfs_vol *vol;
	bool data_errors;
	u64 dir[DIRS], inodes, names;
	u32 dirs;
	struct entry entry[BATCH];
	u32 entries;
} walk;

static u8 buffer[1 << 17];

static int emit(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct entry *e = &walk.entry[walk.entries];

	(void)arg;
	(void)next;
	if (walk.entries == BATCH)
		return 1;
	FUZZ_CHECK(len && len <= TFS_NAME_MAX && !memchr(name, '/', len) && !memchr(name, 0, len) &&
	               !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))),
	           "walk: expected a name, found one of %u bytes that leads elsewhere", len);
	*e = (struct entry){.ino = ino, .type = type, .len = (u8)len};
	memcpy(e->name, name, len);
	walk.entries++;
	return 0;
}

static void walk_xattrs(u64 ino)
{
	static char names[1 << 16];
	int n = tfs_listxattr(walk.vol, ino, NULL, 0), at = 0;

	FUZZ_CHECK(n >= 0, "walk: inode %llu: list of attributes: error %d", (unsigned long long)ino, n);
	if (n > (int)sizeof(names))
		return;
	n = tfs_listxattr(walk.vol, ino, names, sizeof(names));
	while (at < n) {
		u32 len = (u32)strlen(names + at);
		int got = tfs_getxattr(walk.vol, ino, names + at, len, buffer, TFS_XATTR_MAX);

		FUZZ_CHECK(got >= 0 || (got == -EIO && walk.data_errors), "walk: inode %llu: attribute: error %d",
		           (unsigned long long)ino, got);
		at += (int)len + 1;
	}
}

static void walk_range(u64 ino, u64 off, u64 size)
{
	s64 want = off >= size ? 0 : size - off < sizeof(buffer) ? (s64)(size - off) : (s64)sizeof(buffer);
	s64 got = tfs_read(walk.vol, ino, off, buffer, sizeof(buffer));

	FUZZ_CHECK(got == want || (got == -EIO && walk.data_errors),
	           "walk: inode %llu: expected %lld bytes at %llu, found %lld", (unsigned long long)ino,
	           (long long)want, (unsigned long long)off, (long long)got);
}

/* Every piece of data up to a number, and the ends. */
static void walk_data(u64 ino, u64 size)
{
	s64 at = 0;
	u32 i;

	walk_range(ino, 0, size);
	walk_range(ino, size > 5000 ? size - 5000 : 0, size);
	for (i = 0; i < 64; i++) {
		at = tfs_seek(walk.vol, ino, (u64)at, false);
		if (at < 0)
			break;
		walk_range(ino, (u64)at, size);
		at = tfs_seek(walk.vol, ino, (u64)at, true);
		FUZZ_CHECK(at >= 0, "walk: inode %llu: end of data: error %lld", (unsigned long long)ino,
		           (long long)at);
	}
	FUZZ_CHECK(at >= 0 || at == -ENXIO, "walk: inode %llu: next data: error %lld", (unsigned long long)ino,
	           (long long)at);
}

static void walk_entry(u64 dir, const struct entry *e)
{
	unsigned long long show = e->ino;
	struct tfs_attr a;
	u64 ino = 0;
	u8 type = 0;
	int err = tfs_lookup(walk.vol, dir, e->name, e->len, &ino, &type);

	FUZZ_CHECK(!err && ino == e->ino && type == e->type,
	           "walk: lookup in %llu: expected inode %llu of type %u, found %llu of %u: error %d",
	           (unsigned long long)dir, show, e->type, (unsigned long long)ino, type, err);
	err = tfs_getattr(walk.vol, ino, &a);
	FUZZ_CHECK(!err && a.mode >> 12 == type, "walk: inode %llu: expected type %u, found mode %o: error %d", show,
	           type, a.mode, err);
	FUZZ_CHECK(a.nlink, "walk: inode %llu has a name and no link", show);
	walk_xattrs(ino);
	if (type == 8)
		walk_data(ino, a.size);
	if (type == 10) {
		err = tfs_readlink(walk.vol, ino, (char *)buffer, sizeof(buffer));
		FUZZ_CHECK(err > 0 && (u64)err == a.size, "walk: inode %llu: expected a target of %llu bytes, found %d",
		           show, (unsigned long long)a.size, err);
	}
	if (type != 4)
		return;
	FUZZ_CHECK(a.parent == dir, "walk: directory %llu: expected parent %llu, found %llu", show,
	           (unsigned long long)dir, (unsigned long long)a.parent);
	FUZZ_CHECK(walk.dirs < walk.inodes, "walk: more directories than inodes");
	if (walk.dirs < DIRS)
		walk.dir[walk.dirs++] = ino;
}

static void walk_dir(u64 dir)
{
	struct tfs_attr a;
	u64 pos = 0, n = 0;
	u32 i;
	int err = tfs_getattr(walk.vol, dir, &a);

	FUZZ_CHECK(!err, "walk: directory %llu: attributes: error %d", (unsigned long long)dir, err);
	do {
		walk.entries = 0;
		err = tfs_readdir(walk.vol, dir, &pos, emit, NULL);
		FUZZ_CHECK(err >= 0, "walk: directory %llu: names: error %d", (unsigned long long)dir, err);
		for (i = 0; i < walk.entries; i++)
			walk_entry(dir, &walk.entry[i]);
		n += walk.entries;
	} while (walk.entries == BATCH);
	FUZZ_CHECK(n == a.size, "walk: directory %llu: expected %llu names, found %llu", (unsigned long long)dir,
	           (unsigned long long)a.size, (unsigned long long)n);
}

void fuzz_walk(bool data_errors)
{
	struct tfs_stat st;
	u32 i;
	int err = fuzz_mount(TFS_MOUNT_RO, &walk.vol);

	FUZZ_CHECK(!err, "walk: expected a volume that mounts, found error %d", err);
	tfs_statfs(walk.vol, &st);
	walk.data_errors = data_errors;
	walk.inodes = st.inodes;
	walk.dirs = 1;
	walk.dir[0] = TFS_INO_ROOT;
	walk_xattrs(TFS_INO_ROOT);
	for (i = 0; i < walk.dirs; i++)
		walk_dir(walk.dir[i]);
	tfs_unmount(walk.vol);
}
