// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The crash simulator's table of operations (tests/power/ops.c) and its model (model.c) on a mounted filesystem: the
 * core's calls that they make are system calls here, so each result and errno is held against what the model expects,
 * and after each operation names, attributes, contents and xattrs against what the model holds. Times are the kernel's
 * and not compared; what a write failed for (space) is taken as it is. Now and then everything is closed, the
 * filesystem mounted again, and all of it read back.
 * usage: modelled DIR SEED COUNT [REMOUNT-COMMAND]   DIR is empty; as root. 0: all as expected; 1: not, and what
 */
#define _GNU_SOURCE
#include "tests/power/model.c"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define KNOWN_MAX 900

/* The model's inode numbers are never used again; a filesystem's may be. */
static struct known {
	u64 id;
	ino_t ino;
	int fd; /* O_PATH: holds the inode */
} known[KNOWN_MAX];
static u32 count;
static u64 next_id = TFS_INO_ROOT;
static const char *top, *doing = "";
static u64 step, first_seed;

void power_fail(const char *call, const char *what)
{
	printf("step %llu, %s: %s: %s\n  repeat: modelled %s %llu %llu\n", (unsigned long long)step, doing, call, what,
	       top, (unsigned long long)first_seed, (unsigned long long)step + 1);
	exit(1);
}

void power_must(int err, const char *what)
{
	if (err)
		power_fail(what, strerror(-err));
}

static void must(bool good, const char *what)
{
	if (!good)
		power_fail(what, strerror(errno));
}

u64 power_mix(u64 h, const void *data, size_t n)
{
	const u8 *p = data;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

u64 power_content_mix(u64 h, const struct tfs_attr *a)
{
	(void)a;
	return h;
}

static void nothing(struct tfs_vol *vol, int err)
{
	(void)vol;
	(void)err;
}
void (*power_called)(struct tfs_vol *vol, int err) = nothing;

/* What only the core itself can do: here it does nothing. */
void power_snaps_save(bool none)
{
	(void)none;
}

void power_snaps_reset(void)
{
}

u32 power_snapshots(void)
{
	return 0;
}

int power_snapshot_make(struct tfs_vol *vol, const char *name)
{
	(void)vol, (void)name;
	return 0;
}

int power_snapshot_begin(struct tfs_vol *vol, const char *name, int steps)
{
	(void)vol, (void)name, (void)steps;
	return 0;
}

bool tfs_checkpoint_running(const struct tfs_vol *vol)
{
	(void)vol;
	return false;
}

int power_snapshot_drop(struct tfs_vol *vol, const char *name, int steps)
{
	(void)vol, (void)name, (void)steps;
	return 0;
}

int power_snapshot_name(struct tfs_vol *vol, const char *name, const char *to)
{
	(void)vol, (void)name, (void)to;
	return 0;
}

int power_snapshot_hold(struct tfs_vol *vol, const char *name)
{
	(void)vol, (void)name;
	return 0;
}

int power_rollback(struct tfs_vol *vol, const char *name, int steps)
{
	(void)vol, (void)name, (void)steps;
	return 0;
}

int power_grow(struct tfs_vol *vol, u64 bytes)
{
	(void)vol, (void)bytes;
	return 0;
}

void power_owed_begin(struct tfs_vol *v)
{
	(void)v;
}
void power_owed_called(struct tfs_vol *v)
{
	(void)v;
}
void power_owed_unlinked(struct tfs_vol *v, u64 ino)
{
	(void)v;
	(void)ino;
}
void power_owed_cut(struct tfs_vol *v, u64 ino, u64 copy, u64 from, u64 to)
{
	(void)v, (void)ino, (void)copy, (void)from, (void)to;
}
bool power_owed_has(u64 ino)
{
	(void)ino;
	return false;
}
u64 power_owed_any(u32 *size)
{
	*size = 0;
	return 0;
}
void power_size_reset(void)
{
}

int power_scrub(struct tfs_vol *vol)
{
	(void)vol;
	return 0;
}

int tfs_compact_step(struct tfs_vol *vol, u32 blocks, u32 flags)
{
	(void)vol, (void)blocks, (void)flags;
	return 0;
}

/* ---- inodes held ---- */

static struct known *by_id(u64 id)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (known[i].id == id)
			return &known[i];
	return NULL;
}

static u64 id_of(ino_t ino)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (known[i].ino == ino)
			return known[i].id;
	return 0;
}

static u64 hold(int fd)
{
	struct stat st;

	must(fd >= 0 && !fstat(fd, &st), "an inode that was made");
	must(count < KNOWN_MAX, "many inodes");
	if (id_of(st.st_ino))
		power_fail("create", "an inode number that is still in use");
	known[count++] = (struct known){next_id, st.st_ino, fd};
	return next_id++;
}

static int fd_of(u64 id)
{
	struct known *k = by_id(id);

	return k ? k->fd : -1;
}

/* The errno of a call, where the caller gave no directory at all: as the core, by the model. */
static int result(long r)
{
	if (r < 0 && (errno == EIO || errno == EROFS))
		power_fail(doing, strerror(errno));
	return r < 0 ? -errno : 0;
}

static char *proc(u64 id)
{
	static char path[2][40];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "/proc/self/fd/%d", fd_of(id));
	return path[turn];
}

static int file_open(u64 id)
{
	struct stat st;
	int fd;

	if (fd_of(id) < 0 || fstat(fd_of(id), &st))
		return -ENOENT;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* opening it would lead to its driver */
		return -EINVAL;
	fd = open(proc(id), O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- the core's calls ---- */

int tfs_lookup(struct tfs_vol *vol, u64 parent, const char *name, u32 len, u64 *ino_out, u8 *type_out)
{
	struct stat st;

	(void)vol;
	(void)len;
	if (fd_of(parent) < 0)
		return -ENOENT;
	if (fstatat(fd_of(parent), name, &st, AT_SYMLINK_NOFOLLOW))
		return result(-1);
	*type_out = (u8)(st.st_mode >> 12);
	*ino_out = id_of(st.st_ino);
	if (!*ino_out)
		power_fail("lookup", "an inode that nobody made");
	return 0;
}

static u64 entries(u64 id)
{
	int fd = open(proc(id), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	u64 n = 0;

	must(d, "opening a directory");
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

int tfs_getattr(struct tfs_vol *vol, u64 ino, struct tfs_attr *out)
{
	struct stat st;

	(void)vol;
	if (fd_of(ino) < 0)
		return -ENOENT;
	must(!fstat(fd_of(ino), &st), "fstat");
	*out = (struct tfs_attr){.ino = ino,
	                         .size = S_ISDIR(st.st_mode) ? entries(ino) : (u64)st.st_size,
	                         .mode = st.st_mode,
	                         .uid = st.st_uid,
	                         .gid = st.st_gid,
	                         .nlink = (u32)st.st_nlink,
	                         .window_bits = 16};
	if (S_ISCHR(st.st_mode)) {
		out->rdev_major = major(st.st_rdev);
		out->rdev_minor = minor(st.st_rdev);
	}
	return 0;
}

int tfs_setattr(struct tfs_vol *vol, u64 ino, u32 mask, const struct tfs_attr *a)
{
	struct timespec t[2] = {{1, 2}, {3, 4}};
	int err = 0;

	(void)vol;
	if (fd_of(ino) < 0)
		return -ENOENT;
	if (mask & TFS_SET_MODE)
		err = result(chmod(proc(ino), a->mode & 07777));
	if (!err && mask & (TFS_SET_UID | TFS_SET_GID))
		err = result(
		    chown(proc(ino), mask & TFS_SET_UID ? a->uid : (uid_t)-1, mask & TFS_SET_GID ? a->gid : (gid_t)-1));
	if (!err && mask & (TFS_SET_ATIME | TFS_SET_MTIME))
		err = result(utimensat(AT_FDCWD, proc(ino), t, 0));
	return err;
}

int tfs_create(struct tfs_vol *vol, u64 parent, const char *name, u32 len, const struct tfs_create *c, u64 *ino_out)
{
	int dir = fd_of(parent), fd = -1, err;

	(void)vol;
	if (dir < 0)
		return -ENOENT;
	if (!len) {
		fd = open(proc(parent), O_TMPFILE | O_RDWR | O_CLOEXEC, c->mode & 07777);
		err = result(fd);
	} else if (S_ISDIR(c->mode)) {
		err = result(mkdirat(dir, name, c->mode & 07777));
	} else if (S_ISLNK(c->mode)) {
		err = result(symlinkat(c->target, dir, name));
	} else {
		err = result(mknodat(dir, name, c->mode, makedev(c->rdev_major, c->rdev_minor)));
	}
	if (err)
		return err;
	if (fd < 0)
		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	must(!fchownat(fd, "", c->uid, c->gid, AT_EMPTY_PATH), "chown");
	*ino_out = hold(fd);
	return 0;
}

int tfs_link(struct tfs_vol *vol, u64 ino, u64 parent, const char *name, u32 len)
{
	(void)vol;
	(void)len;
	if (fd_of(ino) < 0 || fd_of(parent) < 0)
		return -ENOENT;
	return result(linkat(fd_of(ino), "", fd_of(parent), name, AT_EMPTY_PATH));
}

int tfs_unlink(struct tfs_vol *vol, u64 parent, const char *name, u32 len, bool dir, u64 *ino_out)
{
	struct stat st;

	(void)vol;
	(void)len;
	*ino_out = 0;
	if (fd_of(parent) < 0)
		return -ENOENT;
	if (!fstatat(fd_of(parent), name, &st, AT_SYMLINK_NOFOLLOW))
		*ino_out = id_of(st.st_ino);
	return result(unlinkat(fd_of(parent), name, dir ? AT_REMOVEDIR : 0));
}

int tfs_rename(struct tfs_vol *vol, u64 from, const char *a, u32 a_len, u64 to, const char *b, u32 b_len, u32 flags,
               u64 *victim_out)
{
	unsigned int how = (flags & TFS_RENAME_NOREPLACE ? RENAME_NOREPLACE : 0) |
	                   (flags & TFS_RENAME_EXCHANGE ? RENAME_EXCHANGE : 0) |
	                   (flags & TFS_RENAME_WHITEOUT ? RENAME_WHITEOUT : 0);
	struct stat x, y;
	bool moves, over;
	int err;

	(void)vol;
	(void)a_len;
	(void)b_len;
	*victim_out = 0;
	if (fd_of(from) < 0 || fd_of(to) < 0)
		return -ENOENT;
	moves = !fstatat(fd_of(from), a, &x, AT_SYMLINK_NOFOLLOW);
	over = !fstatat(fd_of(to), b, &y, AT_SYMLINK_NOFOLLOW);
	moves = moves && !(over && x.st_ino == y.st_ino);
	err = result(renameat2(fd_of(from), a, fd_of(to), b, how));
	if (err)
		return err;
	if (over && moves && !(flags & TFS_RENAME_EXCHANGE))
		*victim_out = id_of(y.st_ino);
	if (moves && flags & TFS_RENAME_WHITEOUT)
		hold(openat(fd_of(from), a, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	return 0;
}

int tfs_evict(struct tfs_vol *vol, u64 ino)
{
	struct known *k = by_id(ino);
	struct stat st;

	(void)vol;
	must(k && !fstat(k->fd, &st), "an inode to give up");
	if (!st.st_nlink) {
		close(k->fd);
		*k = known[--count];
	}
	return 0;
}

int tfs_readlink(struct tfs_vol *vol, u64 ino, char *buf, u32 size)
{
	ssize_t n = readlinkat(fd_of(ino), "", buf, size);

	(void)vol;
	return n < 0 ? result(n) : (int)n;
}

int tfs_readdir(struct tfs_vol *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg)
{
	(void)vol;
	(void)pos;
	(void)emit;
	(void)arg;
	must(!entries(dir), "the directory is not empty");
	return 0;
}

int tfs_getxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 len, void *buf, u32 size)
{
	ssize_t n = getxattr(proc(ino), name, buf, size);

	(void)vol;
	(void)len;
	return n < 0 ? result(n) : (int)n;
}

int tfs_listxattr(struct tfs_vol *vol, u64 ino, char *buf, u32 size)
{
	ssize_t n = listxattr(proc(ino), buf, size);

	(void)vol;
	return n < 0 ? result(n) : (int)n;
}

/* User xattrs are for files and directories: a rule above the model, to which the call then failed like for space. */
static int xattr_result(u64 ino, int r)
{
	struct stat st;

	if (r < 0 && errno == EPERM && !fstat(fd_of(ino), &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENOSPC;
	return result(r);
}

int tfs_setxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, const void *value, u32 len, u32 flags)
{
	(void)vol;
	(void)name_len;
	(void)flags;
	return fd_of(ino) < 0 ? -ENOENT : xattr_result(ino, setxattr(proc(ino), name, value, len, 0));
}

int tfs_removexattr(struct tfs_vol *vol, u64 ino, const char *name, u32 len)
{
	(void)vol;
	(void)len;
	return fd_of(ino) < 0 ? -ENOENT : xattr_result(ino, removexattr(proc(ino), name));
}

void tfs_encode(int codec, int level, const void *data, u32 blocks, void *scratch, struct tfs_encoded *out)
{
	(void)codec;
	(void)level;
	(void)scratch;
	*out = (struct tfs_encoded){.blocks = blocks, .bytes = blocks * TFS_BLOCK, .buf = data};
}

int tfs_write(struct tfs_vol *vol, u64 ino, u64 block, const struct tfs_encoded *e, u64 size,
              const struct tfs_time *mtime)
{
	u64 at = block * TFS_BLOCK, n = e->bytes < size - at ? e->bytes : size - at;
	int fd = file_open(ino), err;

	(void)vol;
	(void)mtime;
	if (fd < 0)
		return fd;
	err = result(pwrite(fd, e->buf, n, (off_t)at) == (ssize_t)n ? 0 : -1);
	close(fd);
	return err;
}

int tfs_clone(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u32 blocks, u64 size,
              const struct tfs_time *mtime)
{
	(void)vol, (void)source, (void)from, (void)ino, (void)block, (void)blocks, (void)size, (void)mtime;
	return -EOPNOTSUPP;
}

/* The module under test is asked for no forwarding: the core's models have it. */
int tfs_ship_add(struct tfs_vol *vol, u64 ino, const char *pattern, u32 pattern_len, const char *target, u32 target_len,
                 u64 acked, u64 *rule)
{
	(void)vol, (void)ino, (void)pattern, (void)pattern_len, (void)target, (void)target_len, (void)acked;
	*rule = 0;
	return -ENOSPC;
}

int tfs_ship_remove(struct tfs_vol *vol, u64 rule)
{
	(void)vol, (void)rule;
	return -ENOENT;
}

int tfs_ship_mark(struct tfs_vol *vol, u64 ino, u64 rule, u64 acked)
{
	(void)vol, (void)ino, (void)rule, (void)acked;
	return -ENOENT;
}

int tfs_ship_acked(struct tfs_vol *vol, u64 ino, u64 rule, u32 generation, u64 acked)
{
	(void)vol, (void)ino, (void)rule, (void)generation, (void)acked;
	return -ENOENT;
}

int tfs_ship_state(struct tfs_vol *vol, u64 ino, u64 rule, u32 *generation, u64 *acked)
{
	(void)vol, (void)ino, (void)rule, (void)generation, (void)acked;
	return -ENOENT;
}

int tfs_ship_rule_next(struct tfs_vol *vol, u64 *rule, struct tfs_ship_rule_info *out)
{
	(void)vol, (void)rule, (void)out;
	return -ENOENT;
}
int tfs_ship_file_next(struct tfs_vol *vol, u64 rule, u64 *ino, u32 items, struct tfs_ship_file *out)
{
	(void)vol, (void)rule, (void)ino, (void)items, (void)out;
	return -ENOENT;
}

int power_ship_load(struct tfs_vol *vol, u64 ino, struct power_ship *out)
{
	(void)vol, (void)ino;
	memset(out, 0, sizeof(*out));
	return 0;
}

u64 power_ship_mix(u64 h, const struct power_ship *s)
{
	(void)s;
	return h;
}

u64 power_rule_mix(u64 rule, u64 ino, const char *pattern, u32 len)
{
	(void)rule, (void)ino, (void)pattern, (void)len;
	return 0;
}

int tfs_defrag_step(struct tfs_vol *vol, struct tfs_defrag *d, u32 blocks)
{
	(void)vol, (void)d, (void)blocks;
	return 0;
}

u64 power_name_mix(u64 dir, const char *name, u32 len)
{
	(void)dir, (void)name, (void)len;
	return 0;
}

int power_name_load(struct tfs_vol *vol, u64 ino, u64 *out)
{
	(void)vol, (void)ino;
	*out = 0;
	return 0;
}

u32 power_record_type;

u64 tfs_sequence(const struct tfs_vol *vol) /* asked before and after: something was logged */
{
	static u64 n;

	(void)vol;
	return n++;
}

/* All of it in one call. */
s64 tfs_reflink(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u64 blocks, u64 size,
                const struct tfs_time *mtime)
{
	struct file_clone_range r = {
	    .src_offset = from * TFS_BLOCK, .src_length = size - block * TFS_BLOCK, .dest_offset = block * TFS_BLOCK};
	int in = file_open(source), fd = file_open(ino), err;

	(void)vol, (void)mtime;
	r.src_fd = in;
	err = in < 0 ? in : fd < 0 ? fd : result(ioctl(fd, FICLONERANGE, &r));
	if (in >= 0)
		close(in);
	if (fd >= 0)
		close(fd);
	power_record_type = TFS_REC_CLONE;
	return err ? err : (s64)blocks;
}

int tfs_truncate(struct tfs_vol *vol, u64 ino, u64 size)
{
	(void)vol;
	return fd_of(ino) < 0 ? -ENOENT : result(truncate(proc(ino), (off_t)size));
}

static int allocate(u64 ino, int mode, u64 at, u64 bytes)
{
	int fd = file_open(ino), err;

	if (fd < 0)
		return fd;
	err = result(fallocate(fd, mode, (off_t)at, (off_t)bytes));
	close(fd);
	return err;
}

int tfs_punch(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks)
{
	(void)vol;
	return allocate(ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block * TFS_BLOCK, blocks * TFS_BLOCK);
}

int tfs_preallocate(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks, u64 size)
{
	u64 at = block * TFS_BLOCK;

	(void)vol;
	return allocate(ino, size ? 0 : FALLOC_FL_KEEP_SIZE, at, size ? size - at : blocks * TFS_BLOCK);
}

int tfs_reserve(struct tfs_vol *vol, u64 blocks)
{
	(void)vol, (void)blocks;
	return 0;
}

void tfs_unreserve(struct tfs_vol *vol, u64 blocks)
{
	(void)vol, (void)blocks;
}

int tfs_sync(struct tfs_vol *vol)
{
	int fd = open(top, O_RDONLY | O_CLOEXEC), err = result(syncfs(fd));

	(void)vol;
	close(fd);
	return err;
}

/* A freeze takes one. */
int tfs_checkpoint(struct tfs_vol *vol)
{
	int fd = open(top, O_RDONLY | O_CLOEXEC), err;

	(void)vol;
	err = result(ioctl(fd, FIFREEZE, 0));
	if (!err)
		err = result(ioctl(fd, FITHAW, 0));
	close(fd);
	return err;
}

int tfs_checkpoint_step(struct tfs_vol *vol, u32 nodes)
{
	(void)nodes;
	return tfs_sync(vol);
}

s64 tfs_read(struct tfs_vol *vol, u64 ino, u64 offset, void *buf, u32 bytes)
{
	int fd = file_open(ino);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, bytes, (off_t)offset);
	s64 got = n < 0 ? -errno : n;

	(void)vol;
	if (fd >= 0)
		close(fd);
	return got;
}

void tfs_statfs(struct tfs_vol *vol, struct tfs_stat *out)
{
	(void)vol;
	memset(out, 0, sizeof(*out));
	out->next_ino = next_id;
}

/* ---- held against the model ---- */

static void content_compare(const struct node *n)
{
	static u8 buf[POWER_FILE_MAX];
	int fd = file_open(n->a.ino);
	ssize_t got;

	must(fd >= 0 && n->a.size <= POWER_FILE_MAX, "opening a file");
	got = pread(fd, buf, sizeof(buf), 0);
	close(fd);
	must(got == (ssize_t)n->a.size, "reading a file");
	if (memcmp(buf, power_file(n->a.ino), n->a.size))
		power_fail("content", "differs from the model");
}

static void xattrs_compare(struct node *n)
{
	static char names[4096], value[65536];
	int len = tfs_listxattr(NULL, n->a.ino, names, sizeof(names)), i, found = 0, expected = 0;
	struct attribute *x;

	for (i = 0; i < len; i += (int)strlen(names + i) + 1) {
		int got = tfs_getxattr(NULL, n->a.ino, names + i, 0, value, sizeof(value));

		if (strncmp(names + i, "user.", 5))
			continue;
		x = *xattr_at(n, names + i);
		if (got < 0 || !x ||
		    x->hash != power_mix(power_mix(1, names + i, strlen(names + i)), value, (size_t)got))
			power_fail(names + i, "differs from the model");
		found++;
	}
	for (x = n->xattrs; x; x = x->next)
		expected++;
	if (found != expected)
		power_fail("xattrs", "some are missing");
}

static void node_compare(struct node *n, bool all)
{
	struct tfs_attr a;
	char target[100], text[200];

	power_must(tfs_getattr(NULL, n->a.ino, &a), "an inode of the model");
	if (a.mode != n->a.mode || a.uid != n->a.uid || a.gid != n->a.gid || a.size != n->a.size ||
	    a.nlink != n->a.nlink ||
	    ((a.mode & S_TYPE) == S_IFCHR && (a.rdev_major != n->a.rdev_major || a.rdev_minor != n->a.rdev_minor))) {
		snprintf(text, sizeof(text),
		         "inode %llu: expected mode %o %u:%u size %llu nlink %u, found %o %u:%u %llu %u",
		         (unsigned long long)a.ino, n->a.mode, n->a.uid, n->a.gid, (unsigned long long)n->a.size,
		         n->a.nlink, a.mode, a.uid, a.gid, (unsigned long long)a.size, a.nlink);
		power_fail("attributes", text);
	}
	if ((a.mode & S_TYPE) == S_LNK &&
	    (tfs_readlink(NULL, a.ino, target, sizeof(target)) != (int)a.size || memcmp(target, n->target, a.size)))
		power_fail("symlink", "another target");
	if ((a.mode & S_TYPE) == S_REG && all)
		content_compare(n);
	if ((a.mode & S_TYPE) == S_REG || is_dir(n))
		xattrs_compare(n);
}

static void tree_compare(struct node *dir, bool all)
{
	struct entry *e;

	node_compare(dir, all);
	for (e = dir->entries; e; e = e->next) {
		char name[POWER_NAME_MAX + 1] = "";
		struct node *n = get(e->ino);
		u64 ino = 0;
		u8 type = 0;

		memcpy(name, e->name, e->len);
		if (tfs_lookup(NULL, dir->a.ino, name, e->len, &ino, &type) || ino != e->ino || type != e->type)
			power_fail(name, "leads elsewhere than in the model");
		if (is_dir(n))
			tree_compare(n, all);
		else
			node_compare(n, all);
	}
}

/* Everything is closed, dropped from memory, and found again under its name. */
static void reopen(struct node *dir)
{
	struct entry *e;

	for (e = dir->entries; e; e = e->next) {
		char name[POWER_NAME_MAX + 1] = "";
		struct known *k = by_id(e->ino);
		struct stat st;

		memcpy(name, e->name, e->len);
		must(k, name);
		if (k->fd < 0)
			k->fd = openat(fd_of(dir->a.ino), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		must(k->fd >= 0 && !fstat(k->fd, &st), name);
		if (st.st_ino != k->ino)
			power_fail(name, "another inode than before");
		if (is_dir(get(e->ino)))
			reopen(get(e->ino));
	}
}

static void again(const char *remount)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	u32 i;

	doing = "reading all back";
	for (i = count; i-- > 0;)
		tfs_evict(NULL, known[i].id);
	for (i = 0; i < count; i++) {
		close(known[i].fd);
		known[i].fd = -1;
	}
	if (remount && system(remount))
		power_fail("remount", "failed");
	if (fd >= 0) {
		must(write(fd, "3", 1) == 1, "drop_caches");
		close(fd);
	}
	by_id(TFS_INO_ROOT)->fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(fd_of(TFS_INO_ROOT) >= 0, top);
	reopen(get(TFS_INO_ROOT));
	tree_compare(get(TFS_INO_ROOT), true);
}

int main(int argc, char **argv)
{
	u64 state, steps;

	if (argc != 4 && argc != 5)
		return fprintf(stderr, "usage: modelled DIR SEED COUNT [REMOUNT-COMMAND]\n"), 2;
	top = argv[1];
	state = first_seed = strtoull(argv[2], NULL, 10);
	steps = strtoull(argv[3], NULL, 10);
	umask(0);
	power_model_reset();
	hold(open(top, O_PATH | O_DIRECTORY | O_CLOEXEC));
	model_load(NULL);
	for (step = 0; step < steps; step++) {
		int op;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		op = (int)((state >> 33) % (u64)power_ops());
		doing = power_op_name(op);
		if (step % 40 == 0)
			power_restore(NULL);
		power_op_run(NULL, op);
		tree_compare(get(TFS_INO_ROOT), step % 8 == 0);
		if (step % 250 == 249)
			again(argv[4]);
	}
	again(argv[4]);
	return 0;
}
