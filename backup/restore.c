// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `restore` onto an image or device: every range that the snapshot holds goes back to its own address, in the order of
 * the packs; then SPACE is counted from the trees and written by the core's repair code, with REFS held against FS, and
 * the snapshot is made again under its id, so that the next run from the restored volume is incremental. Superblocks
 * are written last: what was interrupted does not mount, and is restored by running it again. The device as the core
 * sees it has them from the start (struct target).
 */
#include "backup/backup.h"

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
	int code = 0;

	for (size_t i = 0, n; !code && i < s->pieces; i += n) {
		char name[BK_KEY_MAX];
		size_t bytes, got;
		int err;

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

/* ---- SPACE, REFS and the snapshot ---- */

struct count {
	struct restore *s;
	struct tfs_vol *vol;
	u8 **live; /* of each segment, a byte a block; NULL: none */
	u64 segments, segment_units;
	struct tfs_repair_counters c;
	struct shared {
		u64 addr;
		u32 len, count, found;
	} * shared;
	size_t shareds, shareds_max;
	u64 ino, window, met[16];
	u32 mets;
	int code;
};

static int wrong(struct count *c, const char *what, u64 addr)
{
	if (!c->code)
		c->code =
		    tfs_cli_fail(BK_DAMAGE, c->s->path, "unit %llu: %s; the snapshot was damaged when it was backed up",
		                 (unsigned long long)addr, what);
	return -ECANCELED;
}

static int run_count(void *arg, u64 addr, u32 units)
{
	struct count *c = arg;
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT;

	if (addr < base || (addr - base) / c->segment_units >= c->segments ||
	    (addr - base) % c->segment_units + units > c->segment_units)
		return wrong(c, "outside of the volume", addr);
	for (u64 at = addr - base; at < addr - base + units; at++) {
		u64 segment = at / c->segment_units, unit = at % c->segment_units;

		if (!c->live[segment])
			c->live[segment] = calloc(1, c->segment_units / TFS_UNITS_PER_BLOCK);
		if (!c->live[segment]) {
			c->code = bk_no_memory();
			return -ENOMEM;
		}
		if (c->live[segment][unit / 8] >> unit % 8 & 1)
			return wrong(c, "used twice", addr);
		c->live[segment][unit / 8] |= (u8)(1u << unit % 8);
	}
	return 0;
}

static int ptr_count(struct count *c, const struct tfs_ptr *ptr)
{
	int err = tfs_ptr_runs(c->vol, ptr, run_count, c);

	return err && !c->code ? wrong(c, "its list of places cannot be read", ptr->addr) : err;
}

static struct shared *shared_find(struct count *c, u64 addr)
{
	size_t lo = 0, hi = c->shareds;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c->shared[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->shareds && c->shared[lo].addr == addr ? &c->shared[lo] : NULL;
}

/* Several pieces in one window are one reference. */
static bool met_before(struct count *c, struct tfs_key key, u64 addr)
{
	u64 window = (key.b & TFS_POS_MASK) >> (TFS_WINDOW_BITS - TFS_BLOCK_BITS);

	if (c->ino != key.a || c->window != window) {
		c->ino = key.a;
		c->window = window;
		c->mets = 0;
	}
	for (u32 i = 0; i < c->mets; i++)
		if (c->met[i] == addr)
			return true;
	if (c->mets < 16)
		c->met[c->mets++] = addr;
	return false;
}

static int item_count(struct count *c, struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct shared *shared;
	struct tfs_ptr ptr;

	if (key.b >> TFS_POS_BITS == TFS_IT_INODE) {
		c->c.inodes++;
		if (key.a >= c->c.next_ino)
			c->c.next_ino = key.a + 1;
	}
	if (key.b >> TFS_POS_BITS == TFS_IT_PREALLOC)
		c->c.prealloc_blocks += tfs_le64(((const struct tfs_prealloc *)value)->blocks);
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || (e && e->codec && met_before(c, key, ptr.addr)))
		return 0;
	shared = e && e->codec && !(ptr.flags & TFS_PTR_GANG) ? shared_find(c, ptr.addr) : NULL;
	if (shared && shared->len == ptr.len && shared->found++)
		return 0;
	return ptr_count(c, &ptr);
}

static int node_count(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = info->node;
	const struct tfs_slot *slot = (const struct tfs_slot *)(h + 1);
	struct count *c = arg;
	int err;

	if (info->err)
		return wrong(c, "a node cannot be read", info->ptr.addr);
	err = info->ptr.addr ? ptr_count(c, &info->ptr) : 0;
	if (err || info->level || info->tree != TFS_TREE_FS)
		return err;
	for (u32 i = 0; !err && i < tfs_le16(h->count); i++)
		err = item_count(c, (struct tfs_key){tfs_le64(slot[i].key.a), tfs_le64(slot[i].key.b)},
		                 (const u8 *)h + tfs_le16(slot[i].off));
	return err;
}

static int shared_load(struct count *c)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(c->vol, TFS_TREE_REFS, &k, &v, &len)); k.b++) {
		const struct tfs_ref *ref = v;

		if (bk_grow(&c->shared, &c->shareds_max, c->shareds + 1, sizeof(*c->shared)))
			return c->code = BK_HOST, -ENOMEM;
		c->shared[c->shareds++] = (struct shared){k.a, tfs_le32(ref->len), tfs_le32(ref->count), 0};
	}
	return err == -ENOENT ? 0 : wrong(c, "shared extents cannot be read", 0);
}

static int shared_check(struct count *c)
{
	for (size_t i = 0; i < c->shareds; i++)
		if (c->shared[i].found != c->shared[i].count)
			return wrong(c, "shared by another number of windows than REFS says", c->shared[i].addr);
	return 0;
}

static const u8 *segment_live(void *arg, u64 segment)
{
	return ((struct count *)arg)->live[segment];
}

static int snapshot_put(struct tfs_vol *vol, const struct bk_manifest *m)
{
	union {
		struct tfs_snapshot s;
		u8 bytes[sizeof(struct tfs_snapshot) + TFS_NAME_MAX + 1];
	} it;

	memset(&it, 0, sizeof(it));
	memcpy(it.s.id, m->snapshot, sizeof(it.s.id));
	it.s.fs = m->fs;
	it.s.refs = m->refs;
	it.s.inodes = m->inodes;
	it.s.units = m->units;
	it.s.first_list = tfs_cpu64(1);
	it.s.created = m->created;
	it.s.holds = tfs_cpu32(m->name_len > 11 && !memcmp(m->name, "tfs-backup.", 11));
	it.s.name_len = m->name_len;
	memcpy(it.s.name, m->name, m->name_len);
	return tfs_repair_put(vol, TFS_TREE_SNAP, (struct tfs_key){TFS_SNAP_ITEM, tfs_le64(m->epoch)}, &it,
	                      (u32)sizeof(it.s) + m->name_len);
}

static int volume_finish(struct count *c, const struct bk_backup *b)
{
	int err = shared_load(c);

	if (!err)
		err = tfs_tree_walk(c->vol, TFS_TREE_FS, node_count, c);
	if (!err)
		err = shared_check(c);
	if (!err)
		err = tfs_tree_walk(c->vol, TFS_TREE_REFS, node_count, c);
	if (!err)
		err = snapshot_put(c->vol, b->m);
	if (!err)
		err = tfs_repair_snapshots(c->vol);
	if (!err)
		err = tfs_repair_space(c->vol, segment_live, c);
	if (!err)
		err = tfs_repair_finish(c->vol, &c->c);
	return err;
}

static int volume_make(struct restore *s, const struct bk_backup *b)
{
	struct count c = {.s = s, .c.next_ino = tfs_le64(b->m->next_ino)};
	int err = bk_mount(&s->t.dev, &c.vol), end;

	if (err)
		return tfs_cli_fail(BK_VOLUME, s->path, "what was written cannot be opened: %s", strerror(-err));
	c.segments = tfs_le64(s->image.super.segments);
	c.segment_units = 1ull << (tfs_le32(s->image.super.segment_bits) - TFS_UNIT_BITS);
	c.live = calloc(c.segments, sizeof(*c.live));
	err = c.live ? volume_finish(&c, b) : -ENOMEM;
	if (err)
		tfs_abandon(c.vol);
	else if ((end = tfs_unmount(c.vol)))
		err = end;
	for (u64 i = 0; c.live && i < c.segments; i++)
		free(c.live[i]);
	free(c.live);
	free(c.shared);
	return c.code ? c.code : err ? target_failed(s->path, err) : 0;
}

/* ---- the order ---- */

static int heads_write(struct restore *s)
{
	const struct bk_image *i = &s->image;
	int err = block_write(&s->t, i->checkpoint_at, &i->checkpoint, sizeof(i->checkpoint));
	u64 slot = tfs_le64(i->anchor.epoch) % TFS_ANCHOR_SLOTS * TFS_BLOCK;

	if (!err)
		err = block_write(&s->t, TFS_ANCHOR_OFFSET + slot, &i->anchor, sizeof(i->anchor));
	s->t.super = i->super;
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
		code = target_open(&s->t, s->path, s->r->o, s->image.size);
	if (code)
		return code;
	err = target_clear(&s->t);
	code = err ? target_failed(s->path, err) : 0;
	tfs_progress_pass(&s->progress, "bytes", s->bytes);
	if (!code)
		code = pieces_put(s);
	if (!code)
		code = heads_write(s);
	tfs_progress_pass(&s->progress, "space", 0);
	if (!code)
		code = volume_make(s, b);
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
	int code;

	if (!s.path)
		return tfs_cli_fail(BK_USAGE, NULL, "expected --to IMAGE, DEVICE or DIRECTORY");
	if ((!stat(s.path, &st) && S_ISDIR(st.st_mode)) || s.path[strlen(s.path) - 1] == '/')
		return to_directory(r, which);
	code = bk_backup_find(r, which, &b);
	if (code)
		return code;
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
