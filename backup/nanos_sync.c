// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A volume of ours becomes equal to a Nanos volume: names, content, holes, links, targets, times and attributes.
 * What is equal already is not written, so that the next snapshot shares it with the one before; content is compared by
 * its BLAKE2b, kept as an attribute of the file, since the kernel writes over blocks in place and logs no new time for
 * that. A file keeps its inode as long as it keeps a name; one that was renamed is written again. Nothing recurses.
 */
#include "backup/nanos.h"
#include "fsck/dump.h"
#include "tfs/user/pagecache.h"

#include <json-c/json.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CHUNK (1u << 20)
#define SUM 32u

struct pair { /* a directory in both */
	u64 from, to;
};
struct sync {
	struct bk_nanos_sync *s;
	struct tfs_reader view;
	struct tfs_cache *cache;
	u64 *made; /* by number of the tuple: its inode; 0: none yet */
	u8 *taken; /* a bit an inode: a tuple has it */
	size_t taken_max;
	struct pair *dir;
	size_t dirs, dirs_max;
	u8 *buf;
	bool said;
};

static int named(struct sync *y, const char *name, int err, const char *what)
{
	y->said = true;
	tfs_cli_fail(0, y->s->path, "'%s': %s: %s; the backup is not made", name, what, strerror(-err));
	return err;
}

/* ---- lists of names ---- */

struct name {
	u64 ino;
	size_t at; /* of its bytes, which end with NUL */
	u32 len;
	u8 type;
};
struct names {
	struct name *name;
	char *bytes;
	size_t count, max, used, bytes_max;
};

static int name_add(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct names *n = arg;

	(void)next;
	if (bk_grow(&n->name, &n->max, n->count + 1, sizeof(*n->name)) ||
	    bk_grow(&n->bytes, &n->bytes_max, n->used + len + 1, 1)) {
		n->count = ~(size_t)0;
		return 1;
	}
	n->name[n->count++] = (struct name){ino, n->used, len, type};
	memcpy(n->bytes + n->used, name, len);
	n->bytes[n->used + len] = 0;
	n->used += len + 1;
	return 0;
}

static void names_free(struct names *n)
{
	free(n->name);
	free(n->bytes);
	*n = (struct names){0};
}

static int names_read(const struct tfs_reader *r, u64 dir, struct names *n)
{
	u64 pos = 0;
	int err;

	*n = (struct names){0};
	err = tfs_reader_readdir(r, dir, &pos, name_add, n);
	if (n->count == ~(size_t)0) {
		n->count = 0;
		err = -ENOMEM;
	}
	if (err)
		names_free(n);
	return err;
}

/* ---- which inodes have their tuple ---- */

static bool is_taken(const struct sync *y, u64 ino)
{
	return ino / 8 < y->taken_max && y->taken[ino / 8] >> ino % 8 & 1;
}

static int take(struct sync *y, u64 tuple, u64 ino)
{
	size_t had = y->taken_max;

	if (bk_grow(&y->taken, &y->taken_max, ino / 8 + 1, 1))
		return -ENOMEM;
	memset(y->taken + had, 0, y->taken_max - had);
	y->taken[ino / 8] |= (u8)(1u << ino % 8);
	y->made[tuple] = ino;
	return 0;
}

/* ---- removing ---- */

static int name_drop(struct sync *y, u64 dir, const char *name, u32 len, bool is_dir)
{
	u64 ino;
	int err = tfs_unlink(y->s->to, dir, name, len, is_dir, &ino);

	while (!err && (err = tfs_evict(y->s->to, ino)) > 0)
		err = 0;
	return err;
}

struct level { /* a directory that is being emptied */
	u64 ino;
	struct names names;
	size_t next;
};

/* A directory with all below it: each is emptied before its name goes. */
static int dir_drop(struct sync *y, u64 parent, const struct name *top, const char *top_name)
{
	const struct tfs_reader to = tfs_reader_of(y->s->to);
	struct level *stack = NULL;
	size_t depth = 0, max = 0;
	int err = bk_grow(&stack, &max, 1, sizeof(*stack)) ? -ENOMEM : 0;

	if (!err) {
		stack[0] = (struct level){.ino = top->ino};
		err = names_read(&to, top->ino, &stack[0].names);
		depth = !err;
	}
	while (!err && depth) {
		struct level *l = &stack[depth - 1];
		const struct name *n = l->next < l->names.count ? &l->names.name[l->next] : NULL;

		if (!n) {
			names_free(&l->names);
			if (!--depth)
				break;
			l = &stack[depth - 1];
			n = &l->names.name[l->next++];
			err = name_drop(y, l->ino, l->names.bytes + n->at, n->len, true);
		} else if (n->type == S_IFDIR >> 12) {
			u64 ino = n->ino;

			if (bk_grow(&stack, &max, depth + 1, sizeof(*stack)))
				err = -ENOMEM;
			if (err)
				break;
			stack[depth] = (struct level){.ino = ino};
			err = names_read(&to, ino, &stack[depth].names);
			depth += !err;
		} else {
			l->next++;
			err = name_drop(y, l->ino, l->names.bytes + n->at, n->len, false);
		}
	}
	while (depth)
		names_free(&stack[--depth].names);
	free(stack);
	return err ? err : name_drop(y, parent, top_name, top->len, true);
}

static int drop(struct sync *y, u64 dir, const struct name *n, const char *name)
{
	return n->type == S_IFDIR >> 12 ? dir_drop(y, dir, n, name) : name_drop(y, dir, name, n->len, false);
}

/* ---- attributes ---- */

static const char *own(const char *name)
{
	return strncmp(name, BK_NANOS_XATTR, strlen(BK_NANOS_XATTR)) ? NULL : name;
}

/* The names of an inode's attributes, each with a NUL; *list is the caller's. */
static s64 xattrs_list(const struct tfs_reader *r, u64 ino, char **list)
{
	int need = tfs_reader_listxattr(r, ino, NULL, 0);

	*list = NULL;
	if (need <= 0)
		return need;
	*list = malloc((size_t)need);
	return *list ? tfs_reader_listxattr(r, ino, *list, (u32)need) : -ENOMEM;
}

static int xattr_bring(struct sync *y, u64 tuple, u64 ino, const char *name)
{
	u32 len = (u32)strlen(name);
	u8 *was = y->buf + TFS_XATTR_MAX;
	int n, had;

	if (own(name))
		return named(y, name, -EEXIST, "an attribute by a name that tfs-backup keeps for itself");
	n = tfs_reader_getxattr(&y->view, tuple, name, len, y->buf, TFS_XATTR_MAX);
	if (n < 0)
		return named(y, name, n, "an attribute that cannot be read");
	had = tfs_getxattr(y->s->to, ino, name, len, was, TFS_XATTR_MAX);
	if (had == n && !memcmp(was, y->buf, (size_t)n))
		return 0;
	return had < 0 && had != -ENODATA ? had : tfs_setxattr(y->s->to, ino, name, len, y->buf, (u32)n, 0);
}

static bool listed(const char *list, s64 bytes, const char *name)
{
	for (s64 at = 0; at < bytes; at += (s64)strlen(list + at) + 1)
		if (!strcmp(list + at, name))
			return true;
	return false;
}

static int xattrs_bring(struct sync *y, u64 tuple, u64 ino)
{
	const struct tfs_reader to = tfs_reader_of(y->s->to);
	char *want, *have;
	s64 wants = xattrs_list(&y->view, tuple, &want), haves = xattrs_list(&to, ino, &have);
	int err = wants < 0 ? (int)wants : haves < 0 ? (int)haves : 0;

	for (s64 at = 0; !err && at < wants; at += (s64)strlen(want + at) + 1)
		err = xattr_bring(y, tuple, ino, want + at);
	for (s64 at = 0; !err && at < haves; at += (s64)strlen(have + at) + 1)
		if (!own(have + at) && !listed(want, wants, have + at))
			err = tfs_removexattr(y->s->to, ino, have + at, (u32)strlen(have + at));
	free(want);
	free(have);
	return err;
}

static int attr_bring(struct sync *y, u64 tuple, u64 ino)
{
	struct tfs_attr a, b;
	int err = nanos_getattr_quick(y->s->from, tuple, &a);

	if (!err)
		err = tfs_getattr(y->s->to, ino, &b);
	if (err || (a.mode == b.mode && !memcmp(&a.mtime, &b.mtime, sizeof(a.mtime))))
		return err;
	a.mode &= 07777;
	return tfs_setattr(y->s->to, ino, TFS_SET_MODE | TFS_SET_MTIME | TFS_SET_ATIME, &a);
}

/* ---- content ---- */

struct content {
	u64 tuple, ino, size;
	bool write;
	crypto_generichash_state hash;
};

static int range_take(struct sync *y, struct content *c, u64 off, u32 len)
{
	s64 n = tfs_reader_read(&y->view, c->tuple, off, y->buf, len);
	struct tfs_time zero = {0};
	u32 done = 0;

	if (n < 0 || (u32)n != len)
		return n < 0 ? (int)n : -EIO;
	crypto_generichash_update(&c->hash, y->buf, len);
	tfs_progress_add(y->s->progress, len);
	while (c->write && done < len) {
		n = tfs_cache_write(y->cache, c->ino, off + done, y->buf + done, len - done, &zero);
		if (n <= 0)
			return n ? (int)n : -ENOSPC;
		done += (u32)n;
	}
	return 0;
}

/* Where data lies and what it is, hashed, and written when c says so. */
static int content_pass(struct sync *y, struct content *c, u8 sum[SUM])
{
	u64 head[2] = {tfs_cpu64(c->size)}, off = 0;
	int err = 0;

	crypto_generichash_init(&c->hash, NULL, 0, SUM);
	crypto_generichash_update(&c->hash, (u8 *)head, 8);
	while (!err && off < c->size) {
		s64 from = tfs_reader_seek(&y->view, c->tuple, off, false), to;

		if (from == -ENXIO)
			break;
		to = from < 0 ? from : tfs_reader_seek(&y->view, c->tuple, (u64)from, true);
		if (to < 0)
			return (int)to;
		head[0] = tfs_cpu64((u64)from);
		head[1] = tfs_cpu64((u64)to);
		crypto_generichash_update(&c->hash, (u8 *)head, sizeof(head));
		for (off = (u64)from; !err && off < (u64)to; off += CHUNK)
			err = range_take(y, c, off, (u64)to - off < CHUNK ? (u32)((u64)to - off) : CHUNK);
		off = (u64)to;
	}
	crypto_generichash_final(&c->hash, sum, SUM);
	return err;
}

static int content_write(struct sync *y, struct content *c, u8 sum[SUM])
{
	int err = tfs_truncate(y->s->to, c->ino, 0);

	c->write = true;
	y->s->written++;
	if (!err)
		err = content_pass(y, c, sum);
	if (!err)
		err = tfs_cache_flush(y->cache, c->ino);
	if (!err)
		err = tfs_truncate(y->s->to, c->ino, c->size);
	return err ? err : tfs_setxattr(y->s->to, c->ino, BK_NANOS_SUM, strlen(BK_NANOS_SUM), sum, SUM, 0);
}

static int content_bring(struct sync *y, u64 tuple, u64 ino)
{
	struct content c = {.tuple = tuple, .ino = ino};
	u8 sum[SUM], had[SUM];
	struct tfs_attr a, b;
	int err = tfs_reader_getattr(&y->view, tuple, &a), n;

	if (!err)
		err = tfs_getattr(y->s->to, ino, &b);
	if (err)
		return err;
	y->s->files++;
	tfs_progress_objects(y->s->progress, y->s->files);
	c.size = a.size;
	n = tfs_getxattr(y->s->to, ino, BK_NANOS_SUM, strlen(BK_NANOS_SUM), had, SUM);
	if (n != (int)SUM || a.size != b.size)
		return content_write(y, &c, sum);
	err = content_pass(y, &c, sum);
	return err || !memcmp(sum, had, SUM) ? err : content_write(y, &c, sum);
}

/* ---- one name ---- */

/* What cannot be changed of a symlink or device is as it has to be. */
static int fits(struct sync *y, u64 tuple, u64 ino, u8 type, bool *yes)
{
	char want[TFS_SYMLINK_MAX], have[TFS_SYMLINK_MAX];
	struct tfs_attr a, b;
	int err, n;

	*yes = true;
	if (type == S_IFLNK >> 12) {
		n = tfs_reader_readlink(&y->view, tuple, want, sizeof(want));
		err = tfs_readlink(y->s->to, ino, have, sizeof(have));
		*yes = n == err && n > 0 && !memcmp(want, have, (size_t)n);
		return n < 0 ? n : err < 0 ? err : 0;
	}
	if (type != S_IFCHR >> 12)
		return 0;
	err = tfs_reader_getattr(&y->view, tuple, &a);
	if (!err)
		err = tfs_getattr(y->s->to, ino, &b);
	*yes = !err && a.rdev_major == b.rdev_major && a.rdev_minor == b.rdev_minor;
	return err;
}

static int create(struct sync *y, u64 dir, const struct name *n, const char *name, u64 *ino)
{
	char target[TFS_SYMLINK_MAX];
	struct tfs_attr a;
	struct tfs_create c;
	int err = tfs_reader_getattr(&y->view, n->ino, &a), len = 0;

	if (!err && (a.mode & S_IFMT) == S_IFLNK)
		len = tfs_reader_readlink(&y->view, n->ino, target, sizeof(target));
	if (err || len < 0)
		return err ? err : len;
	c = (struct tfs_create){.mode = a.mode,
	                        .rdev_major = a.rdev_major,
	                        .rdev_minor = a.rdev_minor,
	                        .target = target,
	                        .target_len = (u32)len};
	return tfs_create(y->s->to, dir, name, n->len, &c, ino);
}

static int filled(struct sync *y, const struct name *n, u64 ino)
{
	int err = take(y, n->ino, ino);

	if (err)
		return err;
	if (n->type == S_IFDIR >> 12) {
		if (bk_grow(&y->dir, &y->dirs_max, y->dirs + 1, sizeof(*y->dir)))
			return -ENOMEM;
		y->dir[y->dirs++] = (struct pair){n->ino, ino};
		return 0; /* its attributes at the end: names change its times */
	}
	if (n->type == S_IFREG >> 12)
		err = content_bring(y, n->ino, ino);
	if (!err)
		err = xattrs_bring(y, n->ino, ino);
	return err ? err : attr_bring(y, n->ino, ino);
}

static int name_bring(struct sync *y, u64 dir, const struct name *n, const char *name)
{
	u64 there, linked = y->made[n->ino];
	bool fit = false;
	u8 type;
	int err = tfs_lookup(y->s->to, dir, name, n->len, &there, &type);

	if (err && err != -ENOENT)
		return err;
	if (!err && linked == there && linked)
		return 0;
	if (!err && !linked && type == n->type && !is_taken(y, there))
		err = fits(y, n->ino, there, type, &fit);
	if (!err && !fit) {
		const struct name old = {.ino = there, .len = n->len, .type = type};

		err = drop(y, dir, &old, name);
	}
	if (err && err != -ENOENT)
		return err;
	if (fit)
		return filled(y, n, there);
	if (linked)
		return tfs_link(y->s->to, linked, dir, name, n->len);
	err = create(y, dir, n, name, &there);
	return err ? err : filled(y, n, there);
}

/* ---- one directory ---- */

/* What the other has no name for goes. Nothing that is taken goes with it: a directory is taken by the one name it has. */
static int absent_drop(struct sync *y, const struct pair *d)
{
	const struct tfs_reader to = tfs_reader_of(y->s->to);
	struct names have;
	int err = names_read(&to, d->to, &have);

	for (size_t i = 0; !err && i < have.count; i++) {
		const char *name = have.bytes + have.name[i].at;
		u64 tuple;
		u8 type;
		int found = tfs_reader_lookup(&y->view, d->from, name, have.name[i].len, &tuple, &type);

		if (found == -ENOENT || found == -EINVAL)
			err = drop(y, d->to, &have.name[i], name);
		else if (found)
			err = found;
	}
	names_free(&have);
	return err;
}

static int dir_bring(struct sync *y, struct pair d)
{
	struct names want;
	int err = absent_drop(y, &d);

	if (!err)
		err = names_read(&y->view, d.from, &want);
	if (err)
		return err;
	for (size_t i = 0; !err && i < want.count; i++) {
		const char *name = want.bytes + want.name[i].at;

		err = name_bring(y, d.to, &want.name[i], name);
		if (err && err != -ENOSPC && err != -ENOMEM && !y->said)
			named(y, name, err, "cannot be read, or not be written to the temporary volume");
	}
	names_free(&want);
	return err;
}

/* ---- the root's own ---- */

static int text_set(struct sync *y, const char *name, const char *text, u32 len)
{
	u8 *was = y->buf;
	int had = tfs_getxattr(y->s->to, TFS_INO_ROOT, name, (u32)strlen(name), was, TFS_XATTR_MAX);

	if (had == (int)len && !memcmp(was, text, len))
		return 0;
	return tfs_setxattr(y->s->to, TFS_INO_ROOT, name, (u32)strlen(name), text, len, 0);
}

static int config_bring(struct sync *y)
{
	struct json_object *j = dump_nanos_config_json(y->s->from);
	const char *text = json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t left = text ? strlen(text) : 0;
	char name[64], size[24];
	u32 piece = 0;
	int err = text ? 0 : -ENOMEM;

	for (; !err && left; piece++) {
		u32 n = left < BK_NANOS_PIECE ? (u32)left : BK_NANOS_PIECE;

		snprintf(name, sizeof(name), BK_NANOS_CONFIG, piece);
		err = text_set(y, name, text, n);
		text += n;
		left -= n;
	}
	json_object_put(j);
	while (!err) {
		snprintf(name, sizeof(name), BK_NANOS_CONFIG, piece++);
		err = tfs_removexattr(y->s->to, TFS_INO_ROOT, name, (u32)strlen(name));
	}
	if (err != -ENODATA)
		return err;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)y->s->size);
	return text_set(y, BK_NANOS_SIZE, size, (u32)strlen(size));
}

static int all_bring(struct sync *y)
{
	int err = bk_grow(&y->dir, &y->dirs_max, 1, sizeof(*y->dir)) ? -ENOMEM : take(y, 1, TFS_INO_ROOT);

	if (!err)
		y->dir[y->dirs++] = (struct pair){1, TFS_INO_ROOT};
	for (size_t i = 0; !err && i < y->dirs; i++)
		err = dir_bring(y, y->dir[i]);
	for (size_t i = 0; !err && i < y->dirs; i++) {
		err = xattrs_bring(y, y->dir[i].from, y->dir[i].to);
		if (!err)
			err = attr_bring(y, y->dir[i].from, y->dir[i].to);
	}
	return err ? err : config_bring(y);
}

int bk_nanos_bring(struct bk_nanos_sync *s, bool *said)
{
	struct sync y = {.s = s, .view = tfs_reader_of_nanos(s->from)};
	int err = tfs_cache_create(s->to, 16 << 20, &y.cache);

	y.made = calloc(s->from->entries, sizeof(*y.made));
	y.buf = malloc(CHUNK);
	if (!err)
		err = y.made && y.buf ? all_bring(&y) : -ENOMEM;
	if (y.cache)
		tfs_cache_free(y.cache);
	free(y.made);
	free(y.taken);
	free(y.dir);
	free(y.buf);
	*said = y.said;
	return err;
}
