// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The one table of concrete operations over a small namespace, and the model of file contents. Names: a b f (files),
 * l (link), s (symlink), d e (directories), d/c d/n. An operation looks its names up, does one thing and returns its
 * errno; what fails must change nothing. Contents of regular files are kept in flat buffers by inode number.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

struct power_content power_content[POWER_FILES];
u64 power_clock;

u8 *power_file(u64 ino)
{
	static u64 changes;
	struct power_content *c = &power_content[ino % POWER_FILES];

	c->changed = ++changes; /* most who ask do so to write */
	if (!c->data)
		c->data = malloc(POWER_FILE_MAX);
	if (c->ino != ino) {
		c->ino = ino;
		memset(c->data, 0, POWER_FILE_MAX);
	}
	return c->data;
}

static u64 fill_state;

/* What the model goes back to. */
static struct saved {
	u64 ino;
	u32 bytes;
	u8 *data;
} saved[16];
static u32 saveds;

void power_model_save(void)
{
	u32 i;

	power_snaps_save(false);
	while (saveds)
		free(saved[--saveds].data);
	for (i = 0; i < POWER_FILES; i++) {
		struct power_content *c = &power_content[i];
		u32 n = POWER_FILE_MAX;

		while (c->ino && n && !c->data[n - 1])
			n--;
		if (!c->ino || !n || saveds == 16)
			continue;
		saved[saveds] = (struct saved){c->ino, n, malloc(n)};
		memcpy(saved[saveds++].data, c->data, n);
	}
}

void power_model_reset(void)
{
	u32 i;

	fill_state = 88172645463325252ull;
	power_snaps_reset();
	power_size_reset();
	for (i = 0; i < POWER_FILES; i++)
		power_content[i].ino = 0;
	for (i = 0; i < saveds; i++)
		memcpy(power_file(saved[i].ino), saved[i].data, saved[i].bytes);
}

static struct tfs_time env_now(void *ctx)
{
	(void)ctx;
	model_now = (struct tfs_time){.sec = tfs_cpu64(1000000 + ++power_clock)};
	return model_now;
}

static u64 env_random(void *ctx)
{
	(void)ctx;
	power_clock++;
	model_random = power_clock * 0x9e3779b97f4a7c15ull | 1;
	return model_random;
}

struct tfs_env power_env(void)
{
	return (struct tfs_env){.now = env_now, .random = env_random};
}

/* ---- after a rollback ---- */

struct reload {
	struct tfs_vol *vol;
	u64 dirs[512];
	u32 n, done;
	int err;
};

static int reload_entry(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct reload *r = arg;
	struct tfs_attr a;

	(void)name;
	(void)len;
	(void)next;
	if (type == 4 && r->n < 512)
		r->dirs[r->n++] = ino;
	if (type != 8)
		return 0;
	r->err = tfs_getattr(r->vol, ino, &a);
	if (!r->err) {
		u8 *data = power_file(ino);
		s64 got;

		memset(data, 0, POWER_FILE_MAX);
		got = tfs_read(r->vol, ino, 0, data, a.size < POWER_FILE_MAX ? (u32)a.size : POWER_FILE_MAX);
		r->err = got < 0 ? (int)got : 0;
	}
	return r->err;
}

/* The models of contents and of names become what the volume shows. */
int power_model_reload(struct tfs_vol *vol)
{
	static struct reload r;

	r = (struct reload){.vol = vol, .dirs = {TFS_INO_ROOT}, .n = 1};
	while (r.done < r.n && !r.err) {
		u64 pos = 0;
		int err = tfs_readdir(vol, r.dirs[r.done++], &pos, reload_entry, &r);

		r.err = r.err ? r.err : err;
	}
	model_load(vol);
	power_owed_begin(vol);
	return r.err;
}

/* ---- names ---- */

static u64 find(struct tfs_vol *vol, const char *path, u64 *parent, const char **last)
{
	const char *slash = strchr(path, '/');
	u64 ino = 0;
	u8 type;

	*parent = TFS_INO_ROOT;
	*last = path;
	if (slash) {
		if (tfs_lookup(vol, TFS_INO_ROOT, path, (u32)(slash - path), parent, &type))
			*parent = 0;
		*last = slash + 1;
	}
	if (*parent && tfs_lookup(vol, *parent, *last, (u32)strlen(*last), &ino, &type))
		ino = 0;
	return ino;
}

/* After every call into the core, once the model of contents has followed it. */
static int called(struct tfs_vol *vol, int err)
{
	power_owed_called(vol);
	power_called(vol, err);
	return err;
}

static int make(struct tfs_vol *vol, const char *path, u32 mode, const char *target)
{
	struct tfs_create c = {.mode = mode,
	                       .uid = 7,
	                       .gid = 8,
	                       .rdev_major = 1,
	                       .rdev_minor = 3,
	                       .target = target,
	                       .target_len = target ? (u32)strlen(target) : 0};
	const char *last;
	u64 parent, ino;
	int err;

	find(vol, path, &parent, &last);
	err = tfs_create(vol, parent, last, (u32)strlen(last), &c, &ino);
	model_create(parent, last, (u32)strlen(last), &c, ino, err);
	return called(vol, err);
}

static int evict(struct tfs_vol *vol, u64 ino)
{
	int err;

	do
		err = called(vol, tfs_evict(vol, ino));
	while (err > 0);
	if (err == -ENOSPC && !power_snapshots())
		power_fail("evict", "what frees space finds none");
	return err;
}

static int drop(struct tfs_vol *vol, const char *path, bool dir, bool keep)
{
	const char *last;
	u64 parent, ino;
	int err;

	find(vol, path, &parent, &last);
	err = tfs_unlink(vol, parent, last, (u32)strlen(last), dir, &ino);
	model_unlink(parent, last, (u32)strlen(last), dir, err);
	if (!err)
		power_owed_unlinked(vol, ino);
	called(vol, err);
	return err || keep ? err : evict(vol, ino);
}

static int move(struct tfs_vol *vol, const char *from, const char *to, u32 flags)
{
	const char *a, *b;
	u64 pa, pb, victim, whiteout;
	struct tfs_stat st;
	int err;

	find(vol, from, &pa, &a);
	find(vol, to, &pb, &b);
	tfs_statfs(vol, &st);
	whiteout = st.next_ino;
	err = tfs_rename(vol, pa, a, (u32)strlen(a), pb, b, (u32)strlen(b), flags, &victim);
	model_rename(pa, a, (u32)strlen(a), pb, b, (u32)strlen(b), flags, whiteout, err);
	if (!err && victim)
		power_owed_unlinked(vol, victim);
	called(vol, err);
	return err || !victim ? err : evict(vol, victim);
}

static int link_to(struct tfs_vol *vol, const char *path, const char *to)
{
	const char *a, *b;
	u64 pa, pb, ino = find(vol, path, &pa, &a);

	int err;

	find(vol, to, &pb, &b);
	err = tfs_link(vol, ino, pb, b, (u32)strlen(b));
	model_link(ino, pb, b, (u32)strlen(b), err);
	return called(vol, err);
}

/* ---- contents ---- */

static u64 next_ino(struct tfs_vol *vol)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.next_ino;
}

static void fill(u8 *p, u32 n, int kind)
{
	u64 r = fill_state;
	u32 i, j;

	for (i = 0; i < n; i += 8) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		for (j = 0; j < 8 && i + j < n; j++)
			p[i + j] = kind ? (u8)(r >> 8 * j) : (u8) "log-structured "[(i + j) % 15];
		p[i] = (u8)(p[i] + (r % 8 == 0));
	}
	fill_state = r;
}

/* Bytes [off, off + len) become new content: kind 0 compresses, 1 does not. Whole windows (the inode's) as one write.
 */
static int put(struct tfs_vol *vol, const char *path, u32 off, u32 len, int kind)
{
	static u8 data[65536], scratch[65536];
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last);
	struct tfs_attr a;
	u32 at = off, end = off + len;
	int err = tfs_getattr(vol, ino, &a);

	if (!err && (a.mode & 0170000) != 0100000)
		err = -EINVAL;
	while (!err && at < end) {
		u32 first = at & ~4095u, next = (at | ((1u << a.window_bits) - 1)) + 1, stop = next < end ? next : end;
		u32 blocks = (stop - first + 4095) / 4096;
		u64 size = a.size > stop ? a.size : stop;
		struct tfs_time now = env_now(NULL);
		struct tfs_encoded e;

		memcpy(data, power_file(ino) + first, blocks * 4096);
		fill(data + (at - first), stop - at, kind);
		tfs_encode(size <= TFS_INLINE_MAX ? TFS_CODEC_NONE : a.codec, 0, data, blocks, scratch, &e);
		e.beside = blocks <= 4; /* both ways to place are in every workload's reach */
		err = tfs_write(vol, ino, first / 4096, &e, size, &now);
		model_write(ino, size, &now, err);
		if (!err)
			memcpy(power_file(ino) + first, data, blocks * 4096);
		if (!err && a.size < size)
			a.size = size;
		called(vol, err);
		at = stop;
	}
	return err;
}

/* Blocks of one file share another's; what cannot be shared is left as it is. */
static int clone(struct tfs_vol *vol, const char *path, u32 from, const char *to, u32 block, u32 blocks)
{
	const char *last;
	u64 parent, source = find(vol, path, &parent, &last), ino = find(vol, to, &parent, &last);
	struct tfs_time now = env_now(NULL);
	struct tfs_attr s, a;
	u64 size = 0;
	int err = tfs_getattr(vol, source, &s);

	if (!err)
		err = tfs_getattr(vol, ino, &a);
	if (err)
		return err;
	size = (block + blocks) * 4096u;
	if (s.size < (from + blocks) * 4096u)
		size -= (from + blocks) * 4096u - s.size;
	if ((s.mode & 0170000) != 0100000 || s.size <= from * 4096u || size > POWER_FILE_MAX)
		return -EINVAL;
	size = a.size > size ? a.size : size;
	err = tfs_clone(vol, source, from, ino, block, blocks, size, &now);
	if (err != -EOPNOTSUPP)
		model_write(ino, size, &now, err);
	if (!err)
		memmove(power_file(ino) + block * 4096, power_file(source) + from * 4096, blocks * 4096);
	return called(vol, err);
}

/* What has become of lines that an operation cut off, if there were any: before the models hear of it. next: the
 * number that an orphan for them has. */
static void lines_cut(struct tfs_vol *vol, u64 ino, bool punch, u64 from, u64 to, u64 next)
{
	bool made = next_ino(vol) != next;

	if (!model_lines(ino, punch, &from, &to)) {
		if (made)
			power_fail("kept", "an orphan was made for no lines");
		return;
	}
	power_owed_cut(vol, ino, made ? next : 0, from, to);
	if (made)
		model_lines_cut(ino, next, from, to);
}

/* One step of a reflink, told by what it logged: a hole may take no record, or one that punches. */
static s64 reflink_step(struct tfs_vol *vol, u64 source, u32 from, u64 ino, u32 block, u32 blocks, u64 size)
{
	struct tfs_time now = env_now(NULL);
	u64 before = tfs_sequence(vol), at = block, next = next_ino(vol);
	struct tfs_attr a;
	s64 n;

	power_record_type = 0;
	n = tfs_reflink(vol, source, from, ino, block, blocks, size, &now);
	if (n > 0)
		at += (u64)n;
	if (size > at * 4096)
		size = at * 4096;
	if (n > 0 && power_record_type == TFS_REC_PUNCH) {
		lines_cut(vol, ino, true, block * 4096ull, at * 4096, next);
		model_punch(ino, block * 4096ull, at * 4096, 0);
	} else if ((n < 0 && n != -EOPNOTSUPP) ||
	           (n > 0 && tfs_sequence(vol) > before && power_record_type != TFS_REC_TRUNCATE))
		model_write(ino, !tfs_getattr(vol, ino, &a) && a.size > size ? a.size : size, &now, n < 0 ? (int)n : 0);
	if (n > 0)
		memmove(power_file(ino) + block * 4096, power_file(source) + from * 4096, (u64)n * 4096);
	called(vol, n < 0 ? (int)n : 0);
	return n;
}

static int reflink(struct tfs_vol *vol, const char *path, u32 from, const char *to, u32 block, u32 blocks)
{
	const char *last;
	u64 parent, source = find(vol, path, &parent, &last), ino = find(vol, to, &parent, &last), size;
	struct tfs_attr s, a;
	s64 n = tfs_getattr(vol, source, &s);

	if (!n)
		n = tfs_getattr(vol, ino, &a);
	if (n)
		return (int)n;
	if ((s.mode & 0170000) != 0100000 || (a.mode & 0170000) != 0100000 || s.size <= from * 4096u)
		return -EINVAL;
	if (blocks > (s.size + 4095) / 4096 - from)
		blocks = (u32)((s.size + 4095) / 4096 - from);
	size = (block + blocks) * 4096u;
	if (s.size < (from + blocks) * 4096u)
		size -= (from + blocks) * 4096u - s.size;
	if (size > POWER_FILE_MAX || (source == ino && from < block + blocks && block < from + blocks) ||
	    (size % 4096 && size < a.size)) /* the end of one amid the other: hosts refuse that */
		return -EINVAL;
	for (; blocks; from += (u32)n, block += (u32)n, blocks -= (u32)n) {
		n = reflink_step(vol, source, from, ino, block, blocks, size);
		if (n < 0)
			return (int)n;
	}
	return 0;
}

/* As a host with delayed data does it: what was promised must be there. */
static int put_delayed(struct tfs_vol *vol, const char *path, u32 off, u32 len, int kind)
{
	u32 blocks = (off + len + 4095) / 4096 - off / 4096;
	int err = tfs_reserve(vol, blocks);

	if (called(vol, err))
		return err;
	err = put(vol, path, off, len, kind);
	if (err == -ENOSPC)
		power_fail("delayed write", "no space, though it was promised");
	tfs_unreserve(vol, blocks);
	return err;
}

static int cut(struct tfs_vol *vol, const char *path, u32 size)
{
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last), next = next_ino(vol);
	int err = tfs_truncate(vol, ino, size);

	if (!err)
		lines_cut(vol, ino, false, size, ~0ull, next);
	model_truncate(ino, size, err);
	if (!err)
		memset(power_file(ino) + size, 0, POWER_FILE_MAX - size);
	return called(vol, err);
}

static int punch(struct tfs_vol *vol, const char *path, u32 block, u32 blocks)
{
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last), next = next_ino(vol), from = block * 4096ull;
	u64 to = from + blocks * 4096ull;
	int err = tfs_punch(vol, ino, block, blocks);

	if (!err)
		lines_cut(vol, ino, true, from, to, next);
	model_punch(ino, from, to, err);
	if (!err)
		memset(power_file(ino) + block * 4096, 0, blocks * 4096);
	return called(vol, err);
}

static int prealloc(struct tfs_vol *vol, const char *path, u32 block, u32 blocks, u64 size)
{
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last);

	int err = tfs_preallocate(vol, ino, block, blocks, size);

	model_preallocate(ino, size, err);
	return called(vol, err);
}

/* What most operations need and histories soon lose; what is there stays. */
void power_restore(struct tfs_vol *vol)
{
	make(vol, "d", 0040755, NULL);
	make(vol, "a", 0100644, NULL);
	make(vol, "d/c", 0100644, NULL);
}

/* Long names in the root come and go, enough of them for leaves to split and merge. */
void power_names(struct tfs_vol *vol, u32 first, u32 n, bool there)
{
	char name[POWER_NAME_MAX];
	u32 i;

	for (i = first; i < first + n; i++) {
		memset(name, 'a' + (int)(i % 26), sizeof(name));
		name[snprintf(name, sizeof(name), "%u", i * 2654435761u)] = '-';
		name[sizeof(name) - 1 - i % 40] = 0;
		if (there)
			make(vol, name, 0100644, NULL);
		else
			drop(vol, name, false, false);
	}
}

static bool promised;

void power_promise_forget(void)
{
	promised = false;
}

/* As a host does that forgets what it knows of files. */
void power_promise_drop(struct tfs_vol *vol)
{
	if (promised)
		tfs_unreserve(vol, 16);
	promised = false;
}

void power_promise(struct tfs_vol *vol)
{
	if (!promised) {
		promised = !tfs_reserve(vol, 16);
		return;
	}
	if (put(vol, "a", 0, 65536, 1) == -ENOSPC)
		power_fail("delayed write", "no space, though it was promised");
	tfs_unreserve(vol, 16);
	promised = false;
}

/* Fills the volume until it says ENOSPC; then the histories run where every hole counts. */
int power_fill(struct tfs_vol *vol)
{
	char name[8];
	int i, err = 0;

	for (i = 0; !err && i < 200; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		err = make(vol, name, 0100644, NULL);
		if (!err)
			err = put(vol, name, 0, POWER_FILL_SIZE, 1);
	}
	if (err == -ENOSPC) /* room for a little work */
		err = drop(vol, "g0", false, false);
	return err;
}

/* ---- attributes ---- */

static int attr(struct tfs_vol *vol, const char *path, u32 mask, u8 codec, u8 window_bits)
{
	struct tfs_attr a = {.mode = 0640,
	                     .uid = 11,
	                     .gid = 12,
	                     .user_flags = 5,
	                     .codec = codec,
	                     .window_bits = window_bits,
	                     .mtime = env_now(NULL),
	                     .atime = env_now(NULL)};
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last);

	int err = tfs_setattr(vol, ino, mask, &a);

	model_setattr(ino, mask, &a, err);
	return called(vol, err);
}

/* Files whose leaves do not shrink: more of these than the runs hold that the log gives back. */
#define SHRED_FILES 250

/* A leaf of a shredded volume, which is a gang, gets a new form. */
void power_shred_touch(struct tfs_vol *vol, u32 n)
{
	char name[8];

	snprintf(name, sizeof(name), "i%u", n % SHRED_FILES);
	attr(vol, name, TFS_SET_MODE, 0, 16);
}

/* Some single blocks are free again. */
void power_unshred(struct tfs_vol *vol)
{
	char name[8];
	int i;

	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		drop(vol, name, false, false);
	}
}

int power_large(struct tfs_vol *vol, u32 n, int what)
{
	const char *last;
	char name[8];
	u64 parent;
	int err;

	snprintf(name, sizeof(name), "g%u", n);
	if (!what)
		return drop(vol, name, false, false);
	if (!find(vol, name, &parent, &last)) {
		err = make(vol, name, 0100644, NULL);
		return err ? err : put(vol, name, 0, POWER_FILL_SIZE, 1);
	}
	return what == 1 ? put(vol, name, 0, POWER_FILL_SIZE, 1) : put(vol, name, n * 4096, 20480, (int)n & 1);
}

/*
 * A full volume where free space is single blocks: every second block of the large files goes, and small writes take
 * the rest of what is whole.
 */
void power_shred(struct tfs_vol *vol)
{
	char name[8];
	int i, b, err = 0;

	for (i = 0; i < SHRED_FILES; i++) {
		snprintf(name, sizeof(name), "i%d", i);
		power_must(make(vol, name, 0100644, NULL), name);
		power_must(put(vol, name, 0, 3000, 1), name);
	}
	err = power_fill(vol);
	for (i = 1; !err && i < 200; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		if (punch(vol, name, 0, 1) == -ENOENT)
			break;
		for (b = 2; b < (int)(POWER_FILL_SIZE / 4096); b += 2)
			punch(vol, name, (u32)b, 1);
	}
	for (i = 0; !err && i < 200; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		err = make(vol, name, 0100644, NULL);
		for (b = 0; !err && b < (int)(POWER_FILL_SIZE / 4096); b++)
			err = put(vol, name, (u32)b * 4096, 4096, 1);
	}
	if (err != -ENOSPC)
		power_must(err ? err : -ENOSPC, "shred");
	for (b = 0; b < 3; b++) { /* all leaves of the tree find new places */
		for (i = 0; i < SHRED_FILES; i++) {
			snprintf(name, sizeof(name), "i%d", i);
			attr(vol, name, TFS_SET_MODE, 0, 16);
		}
		power_must(tfs_checkpoint(vol), "checkpoint of a full volume");
	}
}

static int xattr(struct tfs_vol *vol, const char *path, const char *name, int len)
{
	static char value[65536];
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last);

	int err;

	memset(value, 'X', sizeof(value));
	err = len < 0 ? tfs_removexattr(vol, ino, name, (u32)strlen(name))
	              : tfs_setxattr(vol, ino, name, (u32)strlen(name), value, (u32)len, 0);
	model_xattr(ino, name, len < 0 ? NULL : value, len < 0 ? 0 : (u32)len, err);
	return called(vol, err);
}

static int tmpfile_link(struct tfs_vol *vol)
{
	struct tfs_create c = {.mode = 0100600};
	u64 ino = 0;
	int err = tfs_create(vol, TFS_INO_ROOT, "", 0, &c, &ino);

	model_create(TFS_INO_ROOT, "", 0, &c, ino, err);
	called(vol, err);
	if (!err) {
		err = tfs_link(vol, ino, TFS_INO_ROOT, "t", 1);
		model_link(ino, TFS_INO_ROOT, "t", 1, err);
		called(vol, err);
	}
	return err && ino ? evict(vol, ino), err : err;
}

/* A whole sweep: everything that can move has another place afterwards, and nothing else has changed. */
static int compact(struct tfs_vol *vol)
{
	int err;

	do
		err = called(vol, tfs_compact_step(vol, 64, TFS_COMPACT_FORCE));
	while (err > 0);
	return err;
}

static int defrag(struct tfs_vol *vol)
{
	struct tfs_defrag d = {.ino = 1, .last = TFS_INO_MAX, .places = 2};
	int err;

	do
		err = called(vol, tfs_defrag_step(vol, &d, 40));
	while (err > 0);
	return err;
}

/* Every other block of a window elsewhere, and then all of it in one place. */
static int scatter_and_defrag(struct tfs_vol *vol)
{
	put(vol, "a", 0, 65536, 1);
	for (u32 off = 4096; off < 65536; off += 16384)
		put(vol, "a", off, 4096, 1);
	return defrag(vol);
}

/* ---- log forwarding ---- */

static int ship(struct tfs_vol *vol, const char *path, const char *pattern)
{
	const char *last;
	u64 parent, ino = *path ? find(vol, path, &parent, &last) : TFS_INO_ROOT, rule = 0;
	int err;

	if (model_rules(&rule) >= 4)
		return -EMLINK;
	err = tfs_ship_add(vol, ino, pattern, (u32)strlen(pattern), "relp://c", 8, 100, &rule);
	model_ship_add(ino, pattern, 100, rule, err);
	return called(vol, err);
}

static int ship_remove(struct tfs_vol *vol)
{
	u64 rule;
	int err;

	if (!model_rules(&rule))
		return -ENOENT;
	err = tfs_ship_remove(vol, rule);
	model_ship_remove(rule, err);
	return called(vol, err);
}

static int ship_mark(struct tfs_vol *vol, const char *path)
{
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last), rule;
	int err;

	if (!model_rules(&rule))
		return -ENOENT;
	err = tfs_ship_mark(vol, ino, rule, TFS_SHIP_END);
	model_ship_mark(ino, rule, TFS_SHIP_END, err);
	return called(vol, err);
}

static u64 given_up(struct tfs_vol *vol)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.lost_bytes;
}

/* Of a file that lost its name, one part of so many arrived. */
static int unlinked_acked(struct tfs_vol *vol, u32 parts)
{
	u32 size, generation = 0;
	u64 ino, rule, acked = 0, lost = given_up(vol);
	int err;

	power_owed_called(vol); /* promises of space, which are no operations, may have given some up */
	ino = power_owed_any(&size);
	if (!ino || !model_rules(&rule))
		return -ENOENT;
	tfs_ship_state(vol, ino, rule, &generation, &acked);
	acked = size / parts;
	err = tfs_ship_acked(vol, ino, rule, generation, acked);
	if (err != -ENOENT || given_up(vol) == lost) /* the call itself wanted space, and it was this one's */
		model_ship_acked(ino, rule, generation, acked, err);
	return called(vol, err);
}

/* `part` of four quarters of what is there arrived; of an earlier generation's when stale. */
static int ship_acked(struct tfs_vol *vol, const char *path, u32 part, bool stale)
{
	const char *last;
	u64 parent, ino = find(vol, path, &parent, &last), rule, acked = 0, copy, lost = given_up(vol);
	u32 generation = 0;
	struct tfs_attr a;
	int err;

	if (!model_rules(&rule))
		return -ENOENT;
	err = tfs_getattr(vol, ino, &a);
	if (err)
		return err;
	power_owed_called(vol);
	tfs_ship_state(vol, ino, rule, &generation, &acked);
	generation -= stale;
	acked = a.size * part / 4;
	err = tfs_ship_acked(vol, ino, rule, generation, acked);
	copy = model_copy(ino, generation);
	if (copy && err == -ENOENT && (!power_owed_has(copy) || given_up(vol) != lost))
		return called(vol, err); /* it went in this call or before, or is there: one of the two has no cursor */
	if (copy && (err != -ESTALE || (power_owed_has(copy) && given_up(vol) == lost))) {
		ino = copy; /* what was cut off then is still there */
		if (acked > model_size(copy))
			acked = model_size(copy);
	}
	model_ship_acked(ino, rule, generation, acked, err);
	return called(vol, err);
}

/* What was written after it goes, an extent that two files share in the meantime among it. */
static int rewrite_and_rollback(struct tfs_vol *vol)
{
	int err = called(vol, power_snapshot_make(vol, "p"));

	if (!err || err == -EEXIST)
		err = make(vol, "b", 0100644, NULL);
	if (!err || err == -EEXIST)
		err = put(vol, "a", 0, 65536, 0);
	if (!err)
		err = clone(vol, "a", 0, "b", 0, 16);
	if (!err)
		err = put(vol, "a", 20480, 4096, 1);
	if (!err)
		err = xattr(vol, "a", "user.b", 9000);
	return err ? err : power_rollback(vol, "p", 1);
}

/* A write after each step of its checkpoint: none of them is in the snapshot. */
static int snapshot_among_writes(struct tfs_vol *vol)
{
	int err = called(vol, power_snapshot_begin(vol, "p", 0)), i = 0;

	while (!err && tfs_checkpoint_running(vol)) {
		put(vol, "a", (u32)(i++ % 16) * 4096, 4096, 1);
		err = called(vol, tfs_checkpoint_step(vol, 1));
		err = err < 0 ? err : 0;
	}
	return err;
}

/* ---- the table ---- */

#define FILE_MODE 0100644
#define DIR_MODE 0040755
#define OPS                                                                                                            \
	OP("create b", make(vol, "b", FILE_MODE, NULL))                                                                \
	OP("create d/n", make(vol, "d/n", FILE_MODE, NULL))                                                            \
	OP("mkdir e", make(vol, "e", DIR_MODE, NULL))                                                                  \
	OP("mkdir d/e", make(vol, "d/e", DIR_MODE, NULL))                                                              \
	OP("symlink s", make(vol, "s", 0120777, "d/c"))                                                                \
	OP("mknod n", make(vol, "n", 0020600, NULL))                                                                   \
	OP("tmpfile t", tmpfile_link(vol))                                                                             \
	OP("link a l", link_to(vol, "a", "l"))                                                                         \
	OP("link d/c c", link_to(vol, "d/c", "c"))                                                                     \
	OP("unlink a", drop(vol, "a", false, false))                                                                   \
	OP("unlink a kept open", drop(vol, "a", false, true))                                                          \
	OP("unlink b", drop(vol, "b", false, false))                                                                   \
	OP("unlink d/c", drop(vol, "d/c", false, false))                                                               \
	OP("unlink f", drop(vol, "f", false, false))                                                                   \
	OP("rmdir d", drop(vol, "d", true, false))                                                                     \
	OP("rmdir e", drop(vol, "e", true, false))                                                                     \
	OP("rename a b", move(vol, "a", "b", 0))                                                                       \
	OP("rename b a", move(vol, "b", "a", 0))                                                                       \
	OP("rename a d/c", move(vol, "a", "d/c", 0))                                                                   \
	OP("rename d/c a", move(vol, "d/c", "a", 0))                                                                   \
	OP("rename noreplace", move(vol, "a", "x", TFS_RENAME_NOREPLACE))                                              \
	OP("exchange a d/c", move(vol, "a", "d/c", TFS_RENAME_EXCHANGE))                                               \
	OP("exchange a d", move(vol, "a", "d", TFS_RENAME_EXCHANGE))                                                   \
	OP("whiteout a w", move(vol, "a", "w", TFS_RENAME_WHITEOUT))                                                   \
	OP("rename d e/d", move(vol, "d", "e/d", 0))                                                                   \
	OP("rename d y", move(vol, "d", "y", 0))                                                                       \
	OP("write a inline", put(vol, "a", 0, 100, 0))                                                                 \
	OP("write b inline", put(vol, "b", 0, 2000, 1))                                                                \
	OP("write a 4K", put(vol, "a", 0, 4096, 1))                                                                    \
	OP("write b 4K", put(vol, "b", 0, 4096, 1))                                                                    \
	OP("write a 64K compressible", put(vol, "a", 0, 65536, 0))                                                     \
	OP("write a 64K random", put(vol, "a", 0, 65536, 1))                                                           \
	OP("overwrite a 4K at 20K", put(vol, "a", 20480, 4096, 1))                                                     \
	OP("overwrite a 4K at 28K", put(vol, "a", 28672, 4096, 0))                                                     \
	OP("overwrite a bytes", put(vol, "a", 5000, 300, 1))                                                           \
	OP("write d/c 130K", put(vol, "d/c", 1000, 133120, 0))                                                         \
	OP("write a at 300K", put(vol, "a", 307200, 5000, 1))                                                          \
	OP("write f 200K", (make(vol, "f", FILE_MODE, NULL), put(vol, "f", 0, 204800, 1)))                             \
	OP("clone a to b",                                                                                             \
	   (make(vol, "b", FILE_MODE, NULL), put(vol, "a", 0, 65536, 0), clone(vol, "a", 0, "b", 0, 16)))              \
	OP("clone a in itself", (put(vol, "a", 0, 65536, 0), clone(vol, "a", 0, "a", 16, 16)))                         \
	OP("clone a with a hole", (put(vol, "a", 0, 65536, 0), punch(vol, "a", 1, 2), make(vol, "b", FILE_MODE, NULL), \
	                           clone(vol, "a", 0, "b", 0, 16)))                                                    \
	OP("clone a cut off", (make(vol, "b", FILE_MODE, NULL), put(vol, "a", 0, 65536, 0), cut(vol, "a", 6000),       \
	                       clone(vol, "a", 0, "b", 0, 2)))                                                         \
	OP("clone a 4+3 to d/c 20", clone(vol, "a", 4, "d/c", 20, 3))                                                  \
	OP("clone b to a", clone(vol, "b", 0, "a", 0, 16))                                                             \
	OP("clone raw a to b",                                                                                         \
	   (make(vol, "b", FILE_MODE, NULL), put(vol, "a", 0, 65536, 1), clone(vol, "a", 0, "b", 0, 16)))              \
	OP("clone raw a 2+9 to a 20", (put(vol, "a", 0, 65536, 1), clone(vol, "a", 2, "a", 20, 9)))                    \
	OP("clone raw a thrice and cut", (put(vol, "a", 0, 65536, 1), clone(vol, "a", 0, "a", 16, 16),                 \
	                                  clone(vol, "a", 3, "a", 32, 8), cut(vol, "a", 20000)))                       \
	OP("reflink a to b", (make(vol, "b", FILE_MODE, NULL), reflink(vol, "a", 0, "b", 0, 128)))                     \
	OP("reflink a 3+20 to d/c 10", reflink(vol, "a", 3, "d/c", 10, 20))                                            \
	OP("reflink d/c to a 1", reflink(vol, "d/c", 0, "a", 1, 128))                                                  \
	OP("truncate a 0", cut(vol, "a", 0))                                                                           \
	OP("truncate a 50", cut(vol, "a", 50))                                                                         \
	OP("truncate a 6000", cut(vol, "a", 6000))                                                                     \
	OP("truncate a 40000", cut(vol, "a", 40000))                                                                   \
	OP("truncate a 100000", cut(vol, "a", 100000))                                                                 \
	OP("truncate d/c 70000", cut(vol, "d/c", 70000))                                                               \
	OP("punch a 1+2", punch(vol, "a", 1, 2))                                                                       \
	OP("punch a 0+16", punch(vol, "a", 0, 16))                                                                     \
	OP("punch d/c 10+20", punch(vol, "d/c", 10, 20))                                                               \
	OP("preallocate a", prealloc(vol, "a", 2, 30, 0))                                                              \
	OP("preallocate b grow", prealloc(vol, "b", 0, 20, 80000))                                                     \
	OP("chmod a", attr(vol, "a", TFS_SET_MODE, 0, 16))                                                             \
	OP("chown d", attr(vol, "d", TFS_SET_UID | TFS_SET_GID, 0, 16))                                                \
	OP("utimes d/c", attr(vol, "d/c", TFS_SET_ATIME | TFS_SET_MTIME, 0, 16))                                       \
	OP("codec a", attr(vol, "a", TFS_SET_CODEC | TFS_SET_FLAGS, TFS_CODEC_ZLIB, 16))                               \
	OP("windows of 16K a", attr(vol, "a", TFS_SET_CODEC, TFS_CODEC_NONE, 14))                                      \
	OP("delayed write a 64K", put_delayed(vol, "a", 0, 65536, 1))                                                  \
	OP("setxattr a small", xattr(vol, "a", "user.s", 40))                                                          \
	OP("setxattr a big", xattr(vol, "a", "user.b", 9000))                                                          \
	OP("setxattr d small", xattr(vol, "d", "user.s", 2000))                                                        \
	OP("removexattr a small", xattr(vol, "a", "user.s", -1))                                                       \
	OP("removexattr a big", xattr(vol, "a", "user.b", -1))                                                         \
	OP("sync", called(vol, tfs_sync(vol)))                                                                         \
	OP("checkpoint", called(vol, tfs_checkpoint(vol)))                                                             \
	OP("checkpoint step", called(vol, tfs_checkpoint_step(vol, 2)))                                                \
	OP("compact", compact(vol))                                                                                    \
	OP("overwrite a and compact", (put(vol, "a", 0, 65536, 0), put(vol, "a", 20480, 4096, 1), compact(vol)))       \
	OP("compact step", called(vol, tfs_compact_step(vol, 4, TFS_COMPACT_FORCE)))                                   \
	OP("snapshot p", called(vol, power_snapshot_make(vol, "p")))                                                   \
	OP("snapshot q", called(vol, power_snapshot_make(vol, "q")))                                                   \
	OP("delete p", called(vol, power_snapshot_drop(vol, "p", -1)))                                                 \
	OP("delete q in part", called(vol, power_snapshot_drop(vol, "q", 1)))                                          \
	OP("rename p r", called(vol, power_snapshot_name(vol, "p", "r")))                                              \
	OP("hold q", called(vol, power_snapshot_hold(vol, "q")))                                                       \
	OP("roll back to p", called(vol, power_rollback(vol, "p", -1)))                                                \
	OP("roll back to q in part", called(vol, power_rollback(vol, "q", 2)))                                         \
	OP("rewrite a and roll back", called(vol, rewrite_and_rollback(vol)))                                          \
	OP("scrub", called(vol, power_scrub(vol)))                                                                     \
	OP("grow by 4M", called(vol, power_grow(vol, 4u << 20)))                                                       \
	OP("grow by 300K and write", (called(vol, power_grow(vol, 300u << 10)), put(vol, "a", 0, 65536, 1)))           \
	OP("snapshot q in steps", called(vol, power_snapshot_begin(vol, "q", 0)))                                      \
	OP("snapshot p among writes", snapshot_among_writes(vol))                                                      \
	OP("ship all", ship(vol, "", ""))                                                                              \
	OP("ship d/*c", ship(vol, "d", "*c"))                                                                          \
	OP("ship a", ship(vol, "a", ""))                                                                               \
	OP("ship remove", ship_remove(vol))                                                                            \
	OP("ship mark d/c", ship_mark(vol, "d/c"))                                                                     \
	OP("half of a arrived", ship_acked(vol, "a", 2, false))                                                        \
	OP("a arrived", ship_acked(vol, "a", 4, false))                                                                \
	OP("a of before arrived", ship_acked(vol, "a", 1, true))                                                       \
	OP("ship a, write, arrived, cut",                                                                              \
	   (ship(vol, "a", ""), put(vol, "a", 0, 20000, 1), ship_acked(vol, "a", 3, false), cut(vol, "a", 6000)))      \
	OP("ship a, write, half arrived, unlink", (ship(vol, "a", ""), put(vol, "a", 0, 150000, 1),                    \
	                                           ship_acked(vol, "a", 2, false), drop(vol, "a", false, false)))      \
	OP("some unlinked arrived", unlinked_acked(vol, 2))                                                            \
	OP("all unlinked arrived", unlinked_acked(vol, 1))                                                             \
	OP("defrag", defrag(vol))                                                                                      \
	OP("scatter a and defrag", scatter_and_defrag(vol))                                                            \
	OP("defrag step",                                                                                              \
	   called(vol, tfs_defrag_step(vol, &(struct tfs_defrag){.ino = 1, .last = TFS_INO_MAX, .places = 2}, 4)))

const char *power_op_name(int op)
{
#define OP(name, call) name,
	static const char *const names[] = {OPS};
#undef OP
	return names[op];
}

int power_ops(void)
{
#define OP(name, call) +1
	return 0 OPS;
#undef OP
}

int power_op_run(struct tfs_vol *vol, int op)
{
	int i = 0;
#define OP(name, call)                                                                                                 \
	if (op == i++)                                                                                                 \
		return call;
	OPS
#undef OP
	    return -EINVAL;
}
