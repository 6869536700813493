// SPDX-License-Identifier: GPL-2.0
/*
 * Which inodes the kernel holds, and how often it looked each up. An inode whose last name is gone lives on as an
 * orphan of the volume until the kernel forgets it; then it is freed. Attributes as the kernel wants them.
 */
#include "kernel/fuse/fuse_host.h"

#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

struct host_inode *host_inode_find(struct host *h, u64 ino)
{
	struct host_inode *i = h->bucket[ino % HOST_BUCKETS];

	while (i && i->ino != ino)
		i = i->next;
	return i;
}

int host_inode_hold(struct host *h, u64 ino)
{
	struct host_inode *i = host_inode_find(h, ino);

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return -ENOMEM;
		i->ino = ino;
		i->next = h->bucket[ino % HOST_BUCKETS];
		h->bucket[ino % HOST_BUCKETS] = i;
		host_seen_count(h, ino, true);
	}
	i->lookups++;
	return 0;
}

/* What fails here is repeated by the next mount: the volume still lists the orphan. */
static void inode_free(struct host *h, u64 ino)
{
	struct tfs_attr a;
	u64 from;

	if (host_slot(ino) || h->read_only || tfs_getattr(h->vol, ino, &a) || a.nlink)
		return;
	if (!tfs_cache_getattr(h->cache, ino, &a) && tfs_ship_unsent(h->vol, ino, a.size, &from) > 0)
		tfs_cache_flush(h->cache, ino); /* its lines come into the volume, which keeps them */
	tfs_cache_drop(h->cache, ino);
	while (tfs_evict(h->vol, ino) > 0)
		;
}

void host_inode_drop(struct host *h, u64 ino, u64 lookups)
{
	struct host_inode **p = &h->bucket[ino % HOST_BUCKETS], *i;

	while (*p && (*p)->ino != ino)
		p = &(*p)->next;
	i = *p;
	if (!i)
		return;
	i->lookups -= lookups < i->lookups ? lookups : i->lookups;
	if (i->lookups)
		return;
	*p = i->next;
	free(i);
	host_seen_count(h, ino, false);
	inode_free(h, ino);
}

void host_inode_unnamed(struct host *h, u64 ino)
{
	if (ino && !host_inode_find(h, ino))
		inode_free(h, ino);
}

void host_inodes_free(struct host *h)
{
	for (u32 b = 0; b < HOST_BUCKETS; b++)
		while (h->bucket[b])
			host_inode_drop(h, h->bucket[b]->ino, ~0ull);
}

/* ---- attributes ---- */

struct tfs_time host_time(const struct timespec *t)
{
	return (struct tfs_time){tfs_cpu64((u64)t->tv_sec), tfs_cpu32((u32)t->tv_nsec), 0};
}

struct tfs_time host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return host_time(&t);
}

static struct timespec time_out(const struct tfs_time *t)
{
	return (struct timespec){(time_t)tfs_le64(t->sec), (long)tfs_le32(t->nsec)};
}

static int attr_get(struct host *h, u64 id, struct tfs_attr *a)
{
	int err;

	if (!host_slot(id))
		return tfs_cache_getattr(h->cache, id, a);
	err = tfs_getattr(h->vol, host_view_enter(h, id), a);
	host_view_leave(h, id);
	return err == -EUCLEAN ? -EIO : err;
}

int host_stat(struct host *h, u64 id, struct stat *st)
{
	struct tfs_attr a;
	int err;

	if (id == HOST_SNAPDIR)
		return host_snapdir_stat(h, st);
	err = attr_get(h, id, &a);
	if (err)
		return err;
	memset(st, 0, sizeof(*st));
	st->st_ino = id;
	st->st_mode = a.mode;
	st->st_nlink = a.nlink;
	st->st_uid = a.uid;
	st->st_gid = a.gid;
	st->st_rdev = makedev(a.rdev_major, a.rdev_minor);
	st->st_size = (off_t)a.size;
	st->st_blksize = 65536;
	st->st_blocks = (blkcnt_t)a.blocks * 8;
	if (S_ISREG(a.mode) && a.size && !a.blocks && a.size <= TFS_INLINE_MAX)
		st->st_blocks = 1; /* kept in the tree: not a hole, as tar and cp would think */
	st->st_atim = time_out(&a.atime);
	st->st_mtim = time_out(&a.mtime);
	st->st_ctim = time_out(&a.ctime);
	return 0;
}

static bool later(const struct tfs_time *a, const struct tfs_time *b)
{
	return (s64)tfs_le64(a->sec) > (s64)tfs_le64(b->sec) ||
	       (a->sec == b->sec && tfs_le32(a->nsec) > tfs_le32(b->nsec));
}

/* relatime: when it is not newer than the last change, or a day old. */
void host_atime_touch(struct host *h, u64 ino)
{
	struct tfs_time now = host_now();
	struct tfs_attr a;

	if (host_slot(ino) || h->noatime || h->read_only || tfs_cache_getattr(h->cache, ino, &a))
		return;
	if (later(&a.atime, &a.mtime) && later(&a.atime, &a.ctime) &&
	    (s64)(tfs_le64(now.sec) - tfs_le64(a.atime.sec)) < 86400)
		return;
	if (!tfs_getattr(h->vol, ino, &a)) { /* ctime as it is in the volume */
		a.atime = now;
		tfs_setattr(h->vol, ino, TFS_SET_ATIME | TFS_SET_CTIME, &a);
	}
}

int host_entry(struct host *h, u64 id, struct fuse_entry_param *e)
{
	bool seen = host_slot(id) && id != HOST_SNAPDIR;
	int err;

	memset(e, 0, sizeof(*e));
	e->ino = id;
	e->generation = seen ? host_seen_epoch(h, id) : 1; /* numbers are never used again, slots are */
	e->attr_timeout = e->entry_timeout = h->timeout;
	if (seen && host_ino(id) == TFS_INO_ROOT) /* snapshots come, go and change their names */
		e->entry_timeout = 0;
	err = host_stat(h, id, &e->attr);
	return err ? err : host_inode_hold(h, id);
}
