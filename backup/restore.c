// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `restore` onto an image or device: every range that the snapshot holds goes back to its own address, in the order of
 * the packs; then SPACE is counted and the snapshot made again (rebuild.c). Superblocks
 * are written last: what was interrupted does not mount, and is restored by running it again. The device as the core
 * sees it has them from the start (struct target).
 */
#include "backup/nanos.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX (8u << 20) /* bytes of one request */
#define GAP_MAX (64u << 10) /* read over rather than ask twice */

/* ---- the target: a device whose superblocks are kept back ---- */

struct target {
	struct tfs_dev dev; /* first */
	struct tfs_file_dev file;
	struct tfs_super super; /* the newest that was written */
	u64 size;               /* of the volume */
};

static bool is_super(const struct target *t, u64 offset)
{
	return offset == TFS_SUPER_OFFSET || offset == t->size - TFS_BLOCK;
}

static int target_io(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags)
{
	struct target *t = (struct target *)dev;
	int err = 0;

	if (op == TFS_IO_WRITE && is_super(t, offset) && bytes == TFS_BLOCK) {
		memcpy(&t->super, buf, sizeof(t->super));
		return 0;
	}
	err = t->file.dev.ops->io(&t->file.dev, op, offset, buf, bytes, flags & ~TFS_IO_FUA);
	if (!err && op == TFS_IO_READ && is_super(t, offset)) {
		memset(buf, 0, TFS_BLOCK);
		memcpy(buf, &t->super, sizeof(t->super));
	}
	return err;
}

static int target_flush(struct tfs_dev *dev)
{
	(void)dev; /* once, before the superblocks */
	return 0;
}

static int block_write(struct target *t, u64 offset, const void *data, size_t bytes)
{
	static u8 block[TFS_BLOCK];

	memset(block, 0, sizeof(block));
	if (bytes)
		memcpy(block, data, bytes);
	return t->file.dev.ops->io(&t->file.dev, TFS_IO_WRITE, offset, block, TFS_BLOCK, 0);
}

static int target_failed(const char *path, int err)
{
	return tfs_cli_fail(err == -ENOMEM ? BK_HOST : BK_VOLUME, path,
	                    "cannot be written: %s; the restore is not complete", strerror(-err));
}

/* Superblocks and anchors of what was there must not be found beside half of a restored volume. */
static int target_clear(struct target *t)
{
	int err = block_write(t, TFS_SUPER_OFFSET, NULL, 0);
	u64 last = (t->file.dev.size & ~(u64)(TFS_BLOCK - 1)) - TFS_BLOCK;

	if (!err && last >= t->size)
		err = block_write(t, last, NULL, 0);
	for (u64 at = t->size - TFS_TAIL_SIZE; !err && at < t->size; at += TFS_BLOCK)
		err = block_write(t, at, NULL, 0);
	for (u32 i = 0; !err && i < TFS_ANCHOR_SLOTS; i++)
		err = block_write(t, TFS_ANCHOR_OFFSET + i * TFS_BLOCK, NULL, 0);
	return err ? err : t->file.dev.ops->flush(&t->file.dev);
}

static int target_open(struct target *t, const char *path, const struct bk_options *o, u64 size)
{
	static const struct tfs_dev_ops ops = {target_io, target_flush, NULL};
	struct stat st;
	bool there = !stat(path, &st), file = !there || S_ISREG(st.st_mode);
	int err;

	if (there && !o->force)
		return tfs_cli_fail(BK_USAGE, path, "exists; --force writes over it");
	memset(t, 0, sizeof(*t));
	err = tfs_file_dev_open(&t->file, path, 0, true, file ? size : 0);
	if (err)
		return tfs_cli_fail(BK_VOLUME, path, "%s", tfs_file_dev_error(err));
	t->dev = (struct tfs_dev){.ops = &ops, .size = size};
	t->size = size;
	if (t->file.dev.size < size) {
		tfs_file_dev_close(&t->file);
		return tfs_cli_fail(
		    BK_VOLUME, path,
		    "has %llu bytes and the volume %llu; a smaller place takes the files: --to DIRECTORY",
		    (unsigned long long)t->file.dev.size, (unsigned long long)size);
	}
	return 0;
}

/* ---- what goes where ---- */

struct piece {
	u32 pack, offset; /* of the range */
	const struct bk_place *place;
	u64 addr;
	u32 units;
};
struct restore {
	struct bk_repo *r;
	struct bk_image image;
	struct target t;
	const char *path;
	struct piece *piece;
	size_t pieces, pieces_max;
	u64 bytes;
	struct tfs_progress progress;
	u8 *buf, *open; /* sealed bytes of one request; one range */
};

static int piece_add(void *arg, const struct bk_place *p, u64 addr, u32 units)
{
	struct restore *s = arg;
	int code = bk_grow(&s->piece, &s->pieces_max, s->pieces + 1, sizeof(*s->piece));

	if (!code)
		s->piece[s->pieces++] = (struct piece){p->pack, p->offset, p, addr, units};
	return code;
}

static int piece_cmp(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Shared extents are met several times. */
static void pieces_sort(struct restore *s)
{
	size_t n = 0;

	if (s->pieces)
		qsort(s->piece, s->pieces, sizeof(*s->piece), piece_cmp);
	for (size_t i = 0; i < s->pieces; i++) {
		if (n && !piece_cmp(&s->piece[n - 1], &s->piece[i]) && s->piece[n - 1].units == s->piece[i].units)
			continue;
		s->piece[n++] = s->piece[i];
		s->bytes += (u64)s->piece[i].units * TFS_UNIT;
	}
	s->pieces = n;
}

/* ---- writing: units that share a block go one after the other, so each write reads what is around it ---- */

static int units_write(struct restore *s, u64 addr, u32 units, const u8 *data)
{
	struct tfs_dev *dev = &s->t.file.dev;
	u64 at = addr * TFS_UNIT, end = at + (u64)units * TFS_UNIT;
	u8 block[TFS_BLOCK];
	int err = 0;

	while (!err && at < end) {
		u64 in = at % TFS_BLOCK, n = TFS_BLOCK - in;

		if (!in && end - at >= TFS_BLOCK) {
			n = (end - at) & ~(u64)(TFS_BLOCK - 1);
			err = dev->ops->io(dev, TFS_IO_WRITE, at, (void *)data, (u32)n, 0);
		} else {
			n = n < end - at ? n : end - at;
			err = dev->ops->io(dev, TFS_IO_READ, at - in, block, TFS_BLOCK, 0);
			memcpy(block + in, data, n);
			if (!err)
				err = dev->ops->io(dev, TFS_IO_WRITE, at - in, block, TFS_BLOCK, 0);
		}
		at += n;
		data += n;
	}
	return err ? target_failed(s->path, err) : 0;
}

static size_t sealed_bytes(const struct piece *p)
{
	return BK_SEALED + (size_t)p->place->units * TFS_UNIT;
}

/* How many pieces, from i on, one request brings; *bytes of the pack from the first's offset on. */
static size_t batch(const struct restore *s, size_t i, size_t *bytes)
{
	const struct piece *first = &s->piece[i];
	size_t n = 1;

	*bytes = sealed_bytes(first);
	for (; i + n < s->pieces; n++) {
		const struct piece *p = &s->piece[i + n];
		size_t end;

		if (p->pack != first->pack || p->offset > first->offset + *bytes + GAP_MAX)
			break;
		end = p->offset - first->offset + sealed_bytes(p);
		if (end > READ_MAX)
			break;
		if (end > *bytes)
			*bytes = end;
	}
	return n;
}

static int piece_put(struct restore *s, const struct piece *p, const struct piece *before, const u8 *sealed)
{
	const struct bk_place *place = p->place;
	const char *why =
	    before && before->place == place ? NULL : bk_range_open(s->r, &s->image.x, place, sealed, s->open);
	char name[BK_KEY_MAX];

	if (why) {
		bk_object_name(name, BK_PACK, s->image.x.pack[p->pack].name);
		return tfs_cli_fail(BK_DAMAGE, name, "range at byte %u %s", p->offset, why);
	}
	tfs_progress_add(&s->progress, (u64)p->units * TFS_UNIT);
	return units_write(s, p->addr, p->units, s->open + (p->addr - place->addr) * TFS_UNIT);
}

static int pieces_put(struct restore *s)
{
	u64 packs = 0;
	int code = 0;

	for (size_t i = 0, n; !code && i < s->pieces; i += n) {
		char name[BK_KEY_MAX];
		size_t bytes, got;
		int err;

		packs += !i || s->piece[i].pack != s->piece[i - 1].pack;
		tfs_progress_objects(&s->progress, packs);
		n = batch(s, i, &bytes);
		bk_object_name(name, BK_PACK, s->image.x.pack[s->piece[i].pack].name);
		err = tfs_store_get(s->r->store, name, s->piece[i].offset, s->buf, bytes, &got);
		if (err)
			return bk_store_failed(s->r, err, BK_DAMAGE);
		if (got < bytes)
			return tfs_cli_fail(BK_DAMAGE, name, "is shorter than it was: %zu bytes at %u, expected %zu",
			                    got, s->piece[i].offset, bytes);
		for (size_t j = 0; !code && j < n; j++)
			code = piece_put(s, &s->piece[i + j], j ? &s->piece[i + j - 1] : NULL,
			                 s->buf + (s->piece[i + j].offset - s->piece[i].offset));
	}
	return code;
}

/* ---- the order ---- */

static int heads_write(struct restore *s)
{
	const struct bk_image *i = &s->image;
	int err = block_write(&s->t, i->front.checkpoint_at, &i->front.checkpoint, sizeof(i->front.checkpoint));

	if (!err)
		err = block_write(&s->t, bk_front_anchor_at(&i->front), &i->front.anchor, sizeof(i->front.anchor));
	s->t.super = i->front.super;
	return err ? target_failed(s->path, err) : 0;
}

static int supers_write(struct restore *s)
{
	struct tfs_dev *dev = &s->t.file.dev;
	int err = dev->ops->flush(dev);

	if (!err)
		err = block_write(&s->t, s->t.size - TFS_BLOCK, &s->t.super, sizeof(s->t.super));
	if (!err)
		err = dev->ops->flush(dev);
	if (!err)
		err = block_write(&s->t, TFS_SUPER_OFFSET, &s->t.super, sizeof(s->t.super));
	if (!err)
		err = dev->ops->flush(dev);
	return err ? target_failed(s->path, err) : 0;
}

static int buffers_get(struct restore *s)
{
	size_t sealed =
	    READ_MAX > s->image.x.longest * TFS_UNIT + BK_SEALED ? READ_MAX : s->image.x.longest * TFS_UNIT + BK_SEALED;

	s->buf = malloc(sealed);
	s->open = malloc((size_t)s->image.x.longest * TFS_UNIT + 1);
	return s->buf && s->open ? 0 : bk_no_memory();
}

static int restore_to(struct restore *s, const struct bk_backup *b)
{
	static const struct bk_live_ops ops = {.range = piece_add};
	int code, err;

	tfs_progress_start(&s->progress, s->r->o->quiet, -1, 3);
	tfs_progress_pass(&s->progress, "what it holds", 0);
	code = bk_live_walk(&s->image, &ops, s);
	pieces_sort(s);
	if (!code)
		code = buffers_get(s);
	if (!code)
		code = target_open(&s->t, s->path, s->r->o, s->image.dev.size);
	if (code)
		return code;
	err = target_clear(&s->t);
	code = err ? target_failed(s->path, err) : 0;
	tfs_progress_pass_bytes(&s->progress, "contents", s->bytes, "packs read");
	if (!code)
		code = pieces_put(s);
	if (!code)
		code = heads_write(s);
	tfs_progress_pass(&s->progress, "space", 0);
	if (!code)
		code = bk_rebuild(&s->t.dev, s->path, b);
	if (!code)
		code = supers_write(s);
	tfs_progress_end(&s->progress);
	if (tfs_file_dev_close(&s->t.file) && !code)
		code = target_failed(s->path, -EIO);
	return code;
}

static int to_directory(struct bk_repo *r, const char *which)
{
	char *arg[] = {(char *)r->o->to};

	return bk_cmd_look(r, "extract", which, arg, 1);
}

int bk_cmd_restore(struct bk_repo *r, const char *which)
{
	struct restore s = {.r = r, .path = r->o->to};
	struct bk_backup b;
	struct stat st;
	char size[16];
	bool anew;
	int code;

	if (!s.path)
		return tfs_cli_fail(BK_USAGE, NULL, "expected --to IMAGE, DEVICE or DIRECTORY");
	if ((!stat(s.path, &st) && S_ISDIR(st.st_mode)) || s.path[strlen(s.path) - 1] == '/')
		return to_directory(r, which);
	code = bk_backup_find(r, which, &b);
	if (code)
		return code;
	code = bk_nanos_restores(r->o, &b, &anew);
	if (code || anew) {
		code = code ? code : bk_nanos_restore(r, which, &b);
		bk_backup_free(&b);
		return code;
	}
	code = bk_image_open(&s.image, r, &b);
	if (!code) {
		code = restore_to(&s, &b);
		bk_image_close(&s.image);
	}
	if (!code && !r->o->quiet)
		printf("backup %llu restored onto %s: %s\n", (unsigned long long)b.sequence, s.path,
		       tfs_cli_human(s.bytes, size));
	free(s.piece);
	free(s.buf);
	free(s.open);
	bk_backup_free(&b);
	return code;
}
