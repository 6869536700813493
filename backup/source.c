// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Opening a volume for a run and walking its snapshot: see source.h. What is stored goes as it is: nodes and extents
 * are read at their addresses and verified against the CRCs that point at them, never decoded. A node born at or before
 * the base's epoch is in the base with all below it, and so is an extent: what lives on was there then.
 */
#include "backup/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

/* A mounted device changes while it is read. */
static bool mounted(const char *path)
{
	char loop[64];
	struct stat st;
	int fd;

	if (tfs_looped(path, loop, sizeof(loop)))
		return true;
	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

static int volume_mount(struct bk_source *s, bool write)
{
	struct tfs_mount_options opt = {.flags = write ? 0 : TFS_MOUNT_RO, .cache_nodes = 4096};
	struct tfs_env env = tfs_user_env();
	struct tfs_stat st;
	int err = tfs_mount(&s->dev.dev, &env, &opt, &s->vol);

	if (err)
		return tfs_cli_fail(BK_VOLUME, s->path, "%s",
		                    err == -EINVAL    ? "expected a TFS superblock, found none; is --offset missing?"
		                    : err == -EUCLEAN ? "is damaged; run fsck.tfs"
		                                      : strerror(-err));
	tfs_statfs(s->vol, &st);
	if (st.damaged)
		return tfs_cli_fail(BK_VOLUME, s->path, "its log is damaged; run fsck.tfs");
	s->super = *tfs_super_of(s->vol);
	s->volume = st.volume;
	return 0;
}

int bk_source_open(struct bk_source *s, const char *path, u64 offset, bool write)
{
	int err, code;

	memset(s, 0, sizeof(*s));
	s->path = path;
	err = mounted(path) ? -EBUSY : tfs_file_dev_open(&s->dev, path, offset, write, 0);
	if (err == -EACCES || err == -EROFS || err == -EPERM)
		return tfs_cli_fail(BK_VOLUME, path,
		                    "%s: a run takes a snapshot; --snapshot NAME backs up one that is there",
		                    strerror(-err));
	if (err)
		return tfs_cli_fail(BK_VOLUME, path, "%s", tfs_file_dev_error(err));
	s->opened = true;
	s->writable = write;
	code = volume_mount(s, write);
	if (code)
		bk_source_close(s, code);
	return code;
}

int bk_source_close(struct bk_source *s, int code)
{
	int err = 0;

	if (s->vol) {
		tfs_view_close(s->vol);
		err = tfs_unmount(s->vol);
	}
	s->vol = NULL;
	if (s->opened && tfs_file_dev_close(&s->dev) && !err)
		err = -EIO;
	s->opened = false;
	return err && !code ? tfs_cli_fail(BK_VOLUME, s->path, "cannot be written: %s", strerror(-err)) : code;
}

/* ---- snapshots ---- */

static int snapshots_failed(const struct bk_source *s, int err)
{
	return tfs_cli_fail(BK_VOLUME, s->path, "%s",
	                    err == -ENOSPC   ? "no space for a snapshot"
	                    : err == -ENOMEM ? "out of memory"
	                                     : "its snapshots cannot be read or changed; run fsck.tfs");
}

static int snapshot_next(struct bk_source *s, u64 *epoch, struct tfs_snapshot_info *out)
{
	int err = tfs_snapshot_next(s->vol, epoch, out);

	return err == -ENOENT ? -1 : err ? snapshots_failed(s, err) : 0;
}

int bk_source_find(struct bk_source *s, const char *name, struct tfs_snapshot_info *out)
{
	u64 epoch;
	int err = tfs_snapshot_find(s->vol, name, (u32)strlen(name), &epoch);

	if (!err)
		err = tfs_snapshot_next(s->vol, &epoch, out);
	return err == -ENOENT ? 1 : err ? snapshots_failed(s, err) : 0;
}

static bool ptr_same(const struct tfs_ptr *p, const struct tfs_disk_ptr *d)
{
	struct tfs_disk_ptr q = {tfs_cpu64(p->addr), tfs_cpu64(p->birth), tfs_cpu32(p->crc), tfs_cpu16(p->len),
	                         tfs_cpu16(p->flags)};

	return !memcmp(&q, d, sizeof(q));
}

int bk_source_holds(struct bk_source *s, const struct bk_manifest *m, bool *holds)
{
	struct tfs_snapshot_info i;
	u64 epoch = tfs_le64(m->epoch);
	int code = snapshot_next(s, &epoch, &i);

	*holds = !code && epoch == tfs_le64(m->epoch) && !i.dying && !memcmp(i.id, m->snapshot, sizeof(i.id)) &&
	         ptr_same(&i.fs, &m->fs) && ptr_same(&i.refs, &m->refs);
	return code < 0 ? 0 : code;
}

static void prefix_make(const struct bk_repo *r, char out[32])
{
	char hex[9];

	bk_hex(r->config.id, 4, hex);
	snprintf(out, 32, "tfs-backup.%s.", hex);
}

void bk_source_name(const struct bk_repo *r, const u8 run[BK_RUN], char name[64])
{
	char prefix[32], hex[17];

	prefix_make(r, prefix);
	bk_hex(run, 8, hex);
	snprintf(name, 64, "%s%s", prefix, hex);
}

int bk_source_take(struct bk_source *s, const char *name, struct tfs_snapshot_info *out)
{
	u64 epoch;
	int err = tfs_snapshot_create(s->vol, name, (u32)strlen(name), &epoch);

	if (!err)
		err = tfs_snapshot_hold(s->vol, epoch, true);
	return err ? snapshots_failed(s, err) : bk_source_find(s, name, out);
}

static int let_go(struct bk_source *s, const struct tfs_snapshot_info *i)
{
	int err = 0;

	for (u32 h = 0; !err && h < i->holds; h++)
		err = tfs_snapshot_hold(s->vol, i->epoch, false);
	if (!err)
		err = tfs_snapshot_delete(s->vol, i->epoch);
	while (!err && (err = tfs_snapshot_step(s->vol)) > 0)
		err = 0;
	return err ? snapshots_failed(s, err) : 0;
}

int bk_source_tidy(struct bk_source *s, const struct bk_repo *r, u64 keep, u64 also)
{
	struct tfs_snapshot_info i;
	char prefix[32];
	u64 epoch = 0;
	int code = 0;

	prefix_make(r, prefix);
	for (; s->writable && !code && !(code = snapshot_next(s, &epoch, &i)); epoch++)
		if (!i.dying && epoch != keep && epoch != also && i.name_len > strlen(prefix) &&
		    !memcmp(i.name, prefix, strlen(prefix)))
			code = let_go(s, &i);
	return code < 0 ? 0 : code;
}

/* ---- walking ---- */

struct walk {
	struct bk_source *s;
	struct bk_packer *p;
	struct tfs_progress *progress;
	u64 base;
	u64 *shared,
	    shareds; /* addresses of extents with several owners, ascending; what went is marked by its bit 63 */
	size_t shareds_max;
	u64 ino, window;
	u64 met[16]; /* extents of this window */
	u32 mets;
	u8 *buf;
	size_t buf_max;
	u64 birth; /* of the gang being added */
	int code;
};
#define WENT (1ull << 63)

static int stop(struct walk *w, int code)
{
	if (!w->code)
		w->code = code;
	return -ECANCELED;
}

static int damaged(struct walk *w, u64 ino, u64 addr, const char *what)
{
	return stop(w, tfs_cli_fail(BK_VOLUME, w->s->path,
	                            "inode %llu, unit %llu: %s; the backup is not made; run fsck.tfs --data",
	                            (unsigned long long)ino, (unsigned long long)addr, what));
}

static int add(struct walk *w, int stream, u64 addr, u64 birth, u32 units)
{
	int code = bk_packer_add(w->p, stream, addr, birth, units, w->buf);

	tfs_progress_add(w->progress, (u64)units * TFS_UNIT);
	return code ? stop(w, code) : 0;
}

static int buf_get(struct walk *w, size_t bytes)
{
	return bk_grow(&w->buf, &w->buf_max, bytes, 1) ? stop(w, BK_HOST) : 0;
}

static int gang_run_add(void *arg, u64 addr, u32 units)
{
	struct walk *w = arg;
	struct tfs_dev *dev = &w->s->dev.dev;
	int err = buf_get(w, (size_t)units * TFS_UNIT);

	if (!err && dev->ops->io(dev, TFS_IO_READ, addr * TFS_UNIT, w->buf, units * TFS_UNIT, 0))
		err = damaged(w, 0, addr, "cannot be read");
	return err ? err : add(w, BK_STREAM_DATA, addr, w->birth, units);
}

static const u32 *raw_crcs(const struct tfs_extent *e)
{
	return e && !e->codec ? e->crc : NULL;
}

/* e: of an extent, else NULL. */
static int place_add(struct walk *w, int stream, u64 ino, const struct tfs_ptr *ptr, const struct tfs_extent *e)
{
	const u32 *crc = raw_crcs(e);
	size_t bytes = (size_t)ptr->len * TFS_UNIT;
	int err = buf_get(w, bytes + TFS_BLOCK);

	if (!err && tfs_read_ptr(w->s->vol, ptr, w->buf, !crc))
		err = damaged(w, ino, ptr->addr, "cannot be read, or its CRC differs");
	for (size_t i = 0; !err && crc && i < bytes / TFS_BLOCK; i++)
		if (tfs_port_crc32c(0, w->buf + i * TFS_BLOCK, TFS_BLOCK) != tfs_le32(crc[i]))
			err = damaged(w, ino, ptr->addr + i * TFS_UNITS_PER_BLOCK, "its CRC differs");
	if (err || !(ptr->flags & TFS_PTR_GANG))
		return err ? err : add(w, stream, ptr->addr, ptr->birth, ptr->len);
	w->birth = ptr->birth;
	err = tfs_ptr_runs(w->s->vol, ptr, gang_run_add, w);
	return err && !w->code ? damaged(w, ino, ptr->addr, "its list of places cannot be read") : err;
}

static bool window_met(struct walk *w, u64 ino, u64 window, u64 addr)
{
	if (ino != w->ino || window != w->window) {
		w->ino = ino;
		w->window = window;
		w->mets = 0;
	}
	for (u32 i = 0; i < w->mets; i++)
		if (w->met[i] == addr)
			return true;
	if (w->mets < 16)
		w->met[w->mets++] = addr;
	return false;
}

static bool shared_met(struct walk *w, u64 addr)
{
	size_t lo = 0, hi = w->shareds;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if ((w->shared[mid] & ~WENT) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == w->shareds || (w->shared[lo] & ~WENT) != addr)
		return false;
	if (w->shared[lo] & WENT)
		return true;
	w->shared[lo] |= WENT;
	return false;
}

static int item_add(struct walk *w, struct tfs_key key, const void *value)
{
	const struct tfs_extent *e = key.b >> TFS_POS_BITS == TFS_IT_EXTENT ? value : NULL;
	struct tfs_ptr ptr;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= w->base)
		return 0;
	if (e && e->codec &&
	    (window_met(w, key.a, (key.b & TFS_POS_MASK) >> (TFS_WINDOW_BITS - TFS_BLOCK_BITS), ptr.addr) ||
	     shared_met(w, ptr.addr)))
		return 0;
	return place_add(w, BK_STREAM_DATA, key.a, &ptr, e);
}

static int node_add(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = info->node;
	const struct tfs_slot *slot = (const struct tfs_slot *)(h + 1);
	struct walk *w = arg;
	int err;

	if (info->err)
		return damaged(w, 0, info->ptr.addr, "the node there cannot be read");
	err = place_add(w, BK_STREAM_NODES, 0, &info->ptr, NULL);
	if (err || info->level || info->tree != TFS_TREE_FS)
		return err;
	for (u32 i = 0; !err && i < tfs_le16(h->count); i++)
		err = item_add(w, (struct tfs_key){tfs_le64(slot[i].key.a), tfs_le64(slot[i].key.b)},
		               (const u8 *)h + tfs_le16(slot[i].off));
	return err;
}

static bool old(void *arg, const struct tfs_ptr *ptr)
{
	return ptr->birth <= ((struct walk *)arg)->base;
}

static int shared_load(struct walk *w)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err;

	for (; !(err = tfs_item_next(w->s->vol, TFS_TREE_REFS, &k, &v, &len)); k.b++) {
		if (bk_grow(&w->shared, &w->shareds_max, w->shareds + 1, sizeof(u64)))
			return stop(w, BK_HOST);
		w->shared[w->shareds++] = k.a;
	}
	return err == -ENOENT ? 0 : damaged(w, 0, 0, "the tree of shared extents cannot be read");
}

int bk_source_walk(struct bk_source *s, u64 epoch, u64 base, struct bk_packer *p, struct tfs_progress *progress)
{
	struct walk w = {.s = s, .p = p, .base = base, .progress = progress};
	int err = tfs_view_open(s->vol, epoch);

	if (err)
		return snapshots_failed(s, err);
	err = shared_load(&w);
	if (!err)
		err = tfs_tree_walk_new(s->vol, TFS_TREE_FS, old, node_add, &w);
	if (!err)
		err = tfs_tree_walk_new(s->vol, TFS_TREE_REFS, old, node_add, &w);
	tfs_view_close(s->vol);
	free(w.shared);
	free(w.buf);
	if (err && !w.code)
		w.code = tfs_cli_fail(BK_VOLUME, s->path, "cannot be walked: %s", strerror(-err));
	return w.code;
}
