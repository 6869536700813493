// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a volume holds, as one number, and whether its accounting is exact. The number covers every name, attribute,
 * target, xattr and byte; of the live volume the bytes come from the model (what the workload handed over), of a
 * recovered one from the volume: so they are compared. Accounting: live units recomputed from all trees.
 */
#include "tests/power/power.h"
#include "tfs/name.h"
#include "tfs/ship.h"
#include "tfs/vol.h"

#include <stdio.h>
#include <stdlib.h>

#define MULTIPLIER 0x9fb21c651e98df25ull

static inline u64 mix_word(u64 h, const u8 *p)
{
	u64 w;

	memcpy(&w, p, 8);
	h = (h ^ w) * MULTIPLIER;
	return h << 32 | h >> 32;
}

/* Four lanes for what is long: contents are most of a state's cost. */
u64 power_mix(u64 h, const void *data, size_t n)
{
	const u8 *p = data;
	u64 w = 0;

	if (n >= 64) {
		u64 a = h, b = h + 1, c = h + 2, d = h + 3;

		for (; n >= 32; n -= 32, p += 32) {
			a = mix_word(a, p);
			b = mix_word(b, p + 8);
			c = mix_word(c, p + 16);
			d = mix_word(d, p + 24);
		}
		h = (((a * 31 ^ b) * MULTIPLIER ^ c) * MULTIPLIER ^ d) * MULTIPLIER;
	}
	for (; n >= 8; n -= 8, p += 8)
		h = mix_word(h, p);
	memcpy(&w, p, n);
	h = (h ^ w ^ (u64)n << 56) * MULTIPLIER;
	return h ^ h >> 29;
}
#define mix power_mix

struct walk {
	struct tfs_vol *vol;
	bool live;
	int err;
	u64 sum;
	u64 dirs[512];
	u32 n, done;
	u64 dir;
};

static void xattrs_hash(struct walk *w, u64 ino, u64 *h)
{
	static char names[4096], value[65536];
	int n = tfs_listxattr(w->vol, ino, names, sizeof(names)), i, len;
	u64 sum = 0;

	if (n < 0)
		w->err = n;
	for (i = 0; i < n; i += (int)strlen(names + i) + 1) {
		u32 l = (u32)strlen(names + i);

		len = tfs_getxattr(w->vol, ino, names + i, l, NULL, 0);
		if (len > 2048 && w->live)
			memset(value, 'X', (size_t)len); /* what ops.c sets: not to be read back from the live one */
		else
			len = tfs_getxattr(w->vol, ino, names + i, l, value, sizeof(value));
		if (len < 0)
			w->err = len;
		else
			sum += mix(mix(1, names + i, l), value, (size_t)len);
	}
	*h = mix(*h, &sum, 8);
}

/* Files that fill the volume never change: not in the hash, but compared, a few in each state. */
static void filler_check(struct walk *w, u64 ino)
{
	static u8 buf[TFS_BLOCK];

	if (w->live || power_viewing || (ino + power_state) % 16) /* a snapshot may hold what was punched since */
		return;
	if (tfs_read(w->vol, ino, 0, buf, TFS_BLOCK) != TFS_BLOCK || memcmp(buf, power_file(ino), TFS_BLOCK))
		w->err = -EIO;
}

/* The walk of the live volume and the model ask for the same, and most contents stay. */
static struct {
	u64 ino, n, hash, changed;
} known[256];

u64 power_content_mix(u64 h, const struct tfs_attr *a)
{
	u64 n = a->size < POWER_FILE_MAX ? a->size : POWER_FILE_MAX;
	const struct power_content *c = &power_content[a->ino % POWER_FILES];
	u32 i = a->ino % 256;

	if (a->size == POWER_FILL_SIZE)
		return h;
	if (c->ino != a->ino || known[i].ino != a->ino || known[i].n != n || known[i].changed != c->changed) {
		known[i].ino = a->ino;
		known[i].n = n;
		known[i].hash = mix(7, power_file(a->ino), n);
		known[i].changed = c->changed;
	}
	return mix(h, &known[i].hash, 8);
}

static void content_hash(struct walk *w, const struct tfs_attr *a, u64 *h)
{
	static u8 buf[POWER_FILE_MAX];
	u64 n = a->size < POWER_FILE_MAX ? a->size : POWER_FILE_MAX;
	s64 got;

	if (a->size == POWER_FILL_SIZE) {
		filler_check(w, a->ino);
		return;
	}
	if (w->live) {
		*h = power_content_mix(*h, a);
		return;
	}
	got = tfs_read(w->vol, a->ino, 0, buf, (u32)n);
	if (got != (s64)n)
		w->err = got < 0 ? (int)got : -EIO;
	n = mix(7, buf, n);
	*h = mix(*h, &n, 8);
}

/* ---- log forwarding ---- */

u64 power_ship_mix(u64 h, const struct power_ship *s)
{
	if (!s->there)
		return h;
	h = mix(h, &s->generation, 4);
	h = mix(h, s->rule, s->cursors * 8);
	return mix(h, s->acked, s->cursors * 8);
}

u64 power_rule_mix(u64 rule, u64 ino, const char *pattern, u32 len)
{
	u64 h = mix(mix(rule, &ino, 8), pattern, len);

	return h * h + h;
}

int power_ship_load(struct tfs_vol *vol, u64 ino, struct power_ship *out)
{
	struct tfs_ship_part part;
	u32 i;
	int err = tfs_ship_load(vol, ino, &part);

	memset(out, 0, sizeof(*out));
	out->there = !err && part.there;
	out->generation = tfs_le32(part.head.generation);
	for (i = 0; !err && i < tfs_le16(part.head.count); i++) {
		err = tfs_rule_find(vol, tfs_le64(part.cursor[i].rule));
		if (!err) {
			out->rule[out->cursors] = tfs_le64(part.cursor[i].rule);
			out->acked[out->cursors++] = tfs_le64(part.cursor[i].acked);
		}
		err = err == -ENOENT ? 0 : err;
	}
	return err;
}

static void rules_hash(struct walk *w)
{
	static struct tfs_ship_rule_info info;
	u64 rule = 0;
	int err = 0;

	for (; !w->err && !(err = tfs_ship_rule_next(w->vol, &rule, &info)); rule++)
		w->sum += power_rule_mix(rule, info.ino, info.pattern, info.pattern_len);
	if (err && err != -ENOENT)
		w->err = err;
}

/* ---- where a name stands, as its inode says ---- */

u64 power_name_mix(u64 dir, const char *name, u32 len)
{
	return mix(mix(5, &dir, 8), name, len);
}

int power_name_load(struct tfs_vol *vol, u64 ino, u64 *out)
{
	const struct tfs_dirent *d;
	struct tfs_inode i;
	const void *v;
	u64 dir;
	u32 len;
	int err = tfs_inode_find(vol, ino, &i);

	*out = 0;
	dir = err ? 0 : tfs_le64(i.name_dir);
	if (!dir)
		return err;
	err = tfs_item_find(vol, TFS_TREE_FS, tfs_key(dir, TFS_IT_DIRENT, tfs_le64(i.name_pos)), &v, &len);
	if (err)
		return err;
	d = v;
	*out = power_name_mix(dir, (const char *)d->name, d->name_len);
	return tfs_le64(d->ino) == ino ? 0 : -EUCLEAN;
}

static u64 inode_hash(struct walk *w, u64 ino)
{
	struct power_ship ship;
	struct tfs_attr a;
	char target[4096];
	u64 h = ino, named = 0;
	int n;

	w->err = w->err ? w->err : tfs_getattr(w->vol, ino, &a);
	if (w->err)
		return 0;
	a.blocks = 0; /* a matter of placement; the accounting checks it */
	a.flags = 0;
	h = mix(h, &a, sizeof(a));
	w->err = power_name_load(w->vol, ino, &named);
	h = mix(h, &named, 8);
	xattrs_hash(w, ino, &h);
	w->err = w->err ? w->err : power_ship_load(w->vol, ino, &ship);
	h = power_ship_mix(h, &ship);
	if ((a.mode & 0170000) == 0100000)
		content_hash(w, &a, &h);
	if ((a.mode & 0170000) == 0120000) {
		n = tfs_readlink(w->vol, ino, target, sizeof(target));
		h = n < 0 ? 0 : mix(h, target, (size_t)n);
	}
	return h;
}

static int emit(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct walk *w = arg;
	u64 h = mix(w->dir * 31 + type, name, len);

	(void)next;
	h = h * 3 + inode_hash(w, ino);
	w->sum += h * h + h;
	if (type == 4 && w->n < 512)
		w->dirs[w->n++] = ino;
	return w->err;
}

u64 power_walk(struct tfs_vol *vol, bool live, int *err)
{
	static struct walk w;

	memset(&w, 0, sizeof(w));
	w.vol = vol;
	w.live = live;
	w.dirs[w.n++] = TFS_INO_ROOT;
	w.sum = inode_hash(&w, TFS_INO_ROOT);
	rules_hash(&w);
	while (w.done < w.n && !w.err) {
		u64 pos = 0;
		int e;

		w.dir = w.dirs[w.done++];
		e = tfs_readdir(vol, w.dir, &pos, emit, &w);
		if (!w.err)
			w.err = e;
	}
	*err = w.err;
	return w.sum;
}

/* ---- accounting ---- */

static u8 want[POWER_PAGES];
static bool twice;

/* Of units that only snapshots hold: the oldest and the newest that do, + 1; bit 7 of the first: on a list. */
static struct held {
	u8 oldest, newest;
} held[POWER_PAGES * 8];
static u8 viewing;   /* the snapshot that is walked, + 1; 0: the live trees */
static u8 oldest_of; /* of the pointer at hand */

static void held_add(u64 addr, u32 units)
{
	for (; units; units--, addr++) {
		if (want[addr / 8] >> addr % 8 & 1)
			continue;
		want[addr / 8] |= (u8)(1 << addr % 8);
		held[addr] = (struct held){oldest_of, viewing};
	}
}

static void live_add(u64 addr, u32 units)
{
	if (viewing) {
		held_add(addr, units);
		return;
	}
	for (; units; units--, addr++) {
		twice |= want[addr / 8] >> addr % 8 & 1;
		want[addr / 8] |= (u8)(1 << addr % 8);
	}
}

static u64 snap_epoch[128];
static u32 snaps;

/* The first snapshot since, + 1. */
static u8 oldest_born(u64 birth)
{
	u32 i = 0;

	while (i < snaps && snap_epoch[i] < birth)
		i++;
	return (u8)(i + 1);
}

/* A gang's block is read raw: it is the only structure that a pointer does not describe by itself. */
static struct tfs_dev *gang_dev;

static void ptr_add(const struct tfs_ptr *p)
{
	static struct tfs_gang g;
	u32 i;

	if (viewing)
		oldest_of = oldest_born(p->birth);
	if (!(p->flags & TFS_PTR_GANG)) {
		live_add(p->addr, p->len);
		return;
	}
	live_add(p->addr, 8);
	gang_dev->ops->io(gang_dev, TFS_IO_READ, p->addr * 512, &g, 4096, 0);
	for (i = 0; i < tfs_le32(g.count) && i < TFS_GANG_RUNS; i++)
		live_add(tfs_le64(g.run[i].addr), tfs_le32(g.run[i].len));
}

static int node_add(void *arg, const struct tfs_node_info *info)
{
	int *err = arg;

	if (info->err)
		*err = info->err;
	else if (info->ptr.addr)
		ptr_add(&info->ptr);
	return 0;
}

static struct tfs_ptr disk_ptr(const void *p)
{
	struct tfs_disk_ptr d;

	memcpy(&d, p, sizeof(d));
	return tfs_ptr_cpu(&d);
}

/* What is shared: how often the REFS tree says, and how often it is referred to, for each unit that it names. */
static struct shared {
	u64 addr;
	u32 units;
} shared[4096];
static u32 shareds;
static u32 said[POWER_PAGES * 8], found[POWER_PAGES * 8];

static int refs_load(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len, i;
	int err;

	for (i = 0; i < shareds; i++)
		for (u64 u = shared[i].addr; u < shared[i].addr + shared[i].units; u++)
			said[u] = found[u] = 0;
	for (shareds = 0; !(err = tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len)); k.b++) {
		const struct tfs_ref *r = v;
		u32 units = tfs_le32(r->len), count = tfs_le32(r->count);

		if (shareds == 4096 || count < 2 || !units || k.a >= POWER_PAGES * 8 || units > POWER_PAGES * 8 - k.a)
			return -EUCLEAN;
		shared[shareds++] = (struct shared){k.a, units};
		for (i = 0; i < units; i++) {
			if (said[k.a + i]) /* they must not overlap */
				return -EUCLEAN;
			said[k.a + i] = count;
		}
	}
	return err == -ENOENT ? 0 : err;
}

/* Counts one reference to these units; were they counted before? */
static bool ref_seen(const struct tfs_ptr *p)
{
	bool seen = false;
	u64 u;

	if (!shareds || p->flags & TFS_PTR_GANG || p->addr + p->len > POWER_PAGES * 8)
		return false;
	for (u = p->addr; u < p->addr + p->len; u++)
		if (said[u])
			seen |= found[u]++ > 0;
	return seen;
}

static bool refs_exact(void)
{
	u32 i;

	for (i = 0; i < shareds; i++)
		for (u64 u = shared[i].addr; u < shared[i].addr + shared[i].units; u++)
			if (said[u] != found[u])
				return false;
	return true;
}

/* Raw content is shared block by block. */
static void raw_add(const struct tfs_ptr *p)
{
	struct tfs_ptr block = *p;

	block.len = 8;
	for (; block.addr < p->addr + p->len; block.addr += 8)
		if (!ref_seen(&block))
			ptr_add(&block);
}

static u64 inodes, promised; /* of the tree that was walked last */

static int items_add(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	static u64 seen[16];
	u64 seen_window = ~0ull;
	u32 seens = 0, i;
	const void *v;
	u32 len;
	int err;

	inodes = promised = 0;
	for (; !(err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)); k.b++) {
		u32 type = (u32)(k.b >> 56);
		u64 window = k.a << 20 ^ (k.b & TFS_POS_MASK) >> 4;

		inodes += type == TFS_IT_INODE;
		if (type == TFS_IT_PREALLOC)
			promised += tfs_le64(((const struct tfs_prealloc *)v)->blocks);
		if (type == TFS_IT_XATTR && ((const struct tfs_xattr *)v)->where) {
			struct tfs_ptr p = disk_ptr((const u8 *)v + 6 + ((const struct tfs_xattr *)v)->name_len);

			ptr_add(&p);
		}
		if (type != TFS_IT_EXTENT)
			continue;
		struct tfs_ptr p = disk_ptr(v);

		if (window != seen_window)
			seens = 0;
		seen_window = window;
		for (i = 0; i < seens && seen[i] != p.addr; i++)
			;
		if (!((const struct tfs_extent *)v)->codec) {
			raw_add(&p);
			continue;
		}
		if (i < seens)
			continue;
		seen[seens++ % 16] = p.addr;
		if (!ref_seen(&p))
			ptr_add(&p);
	}
	return err == -ENOENT ? 0 : err;
}

/* Every file that is to be forwarded is there, and no cursor lies past its end. */
static int ship_check(struct tfs_vol *vol)
{
	struct tfs_key k = tfs_ship_key(0);
	const void *v;
	u32 len, i;
	int err;

	for (; !(err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)) && !k.a; k.b++) {
		struct tfs_ship_part part;
		struct tfs_attr a;

		err = tfs_ship_load(vol, tfs_key_pos(k), &part);
		if (!err)
			err = tfs_getattr(vol, tfs_key_pos(k), &a);
		for (i = 0; !err && i < tfs_le16(part.head.count); i++)
			if (tfs_le64(part.cursor[i].acked) > a.size && (a.mode & 0170000) == 0100000)
				err = -EUCLEAN;
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* ---- snapshots ---- */

static int snaps_load(struct tfs_vol *vol)
{
	struct tfs_snapshot_info info;
	u64 epoch = 0;
	int err;

	for (snaps = 0; !(err = tfs_snapshot_next(vol, &epoch, &info)); epoch++)
		if (!info.dying && snaps < 100)
			snap_epoch[snaps++] = epoch;
	return err == -ENOENT ? 0 : err;
}

/* From the newest on: what is met first is held up to there. */
static int snaps_add(struct tfs_vol *vol)
{
	u32 i;
	int err = 0;

	for (i = snaps; i-- && !err;) {
		err = tfs_view_open(vol, snap_epoch[i]);
		if (err)
			return err;
		viewing = (u8)(i + 1);
		tfs_tree_walk(vol, TFS_TREE_FS, node_add, &err);
		if (!err)
			tfs_tree_walk(vol, TFS_TREE_REFS, node_add, &err);
		if (!err)
			err = refs_load(vol);
		if (!err)
			err = items_add(vol);
		if (!err && !refs_exact())
			err = -EUCLEAN;
		viewing = 0;
		tfs_view_close(vol);
	}
	return err;
}

/* ---- what a rollback left: in use by nobody else, and by itself twice only where it shares ---- */

static u8 old_map[POWER_PAGES];
static struct tfs_old_info old;
static bool old_again; /* the place at hand may be met again */

static int old_run(void *arg, u64 addr, u32 units)
{
	(void)arg;
	for (; units; units--, addr++) {
		u8 bit = (u8)(1 << addr % 8);

		twice |= want[addr / 8] & bit && !(old_again && old_map[addr / 8] & bit);
		want[addr / 8] |= bit;
		old_map[addr / 8] |= bit;
	}
	return 0;
}

static int old_node(void *arg, const struct tfs_node_info *info)
{
	const struct tfs_node_head *h = info->node;
	const struct tfs_slot *s = (const struct tfs_slot *)(h + 1);
	struct tfs_vol *vol = arg;
	struct tfs_ptr ptr;
	int err;
	u32 i;

	old_again = false;
	err = tfs_ptr_runs(vol, &info->ptr, old_run, NULL);
	for (i = 0; !err && !info->level && info->tree == TFS_TREE_FS && i < tfs_le16(h->count); i++) {
		struct tfs_key k = {tfs_le64(s[i].key.a), tfs_le64(s[i].key.b)};
		const void *v = (const u8 *)h + tfs_le16(s[i].off);

		if ((old.stage == TFS_OLD_FS && tfs_key_cmp(k, old.next) < 0) ||
		    !tfs_item_ptr(TFS_TREE_FS, k, v, &ptr) || ptr.birth <= old.since)
			continue;
		old_again = tfs_key_type(k) == TFS_IT_EXTENT; /* shared, or in pieces */
		err = tfs_ptr_runs(vol, &ptr, old_run, NULL);
	}
	return err;
}

static int old_add(struct tfs_vol *vol)
{
	struct tfs_key k = {TFS_SNAP_SHARED, 0};
	const void *v;
	u32 len;
	int err = tfs_old_state(vol, &old);

	if (err) {
		old.lists_end = 0;
		return err == -ENOENT ? 0 : err;
	}
	memset(old_map, 0, sizeof(old_map));
	old_again = false;
	for (; !err && !tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len) && k.a == TFS_SNAP_SHARED; k.b++) {
		const struct tfs_old_shared *s = v;
		struct tfs_ptr ptr = {.addr = k.b, .len = (u16)tfs_le32(s->len), .flags = tfs_le16(s->flags)};

		err = tfs_ptr_runs(vol, &ptr, old_run, NULL);
	}
	if (!err)
		err = tfs_old_walk(vol, TFS_TREE_FS, old_node, vol);
	return err ? err : tfs_old_walk(vol, TFS_TREE_REFS, old_node, vol);
}

/* Of lists that a rollback emptied in part, or will: what they name is live again. */
static bool list_void(u64 id, const struct tfs_deadlist *l)
{
	return old.stage == TFS_OLD_LISTS && id >= old.lists_from && id < old.lists_end &&
	       tfs_le64(l->oldest) <= old.since;
}

/* The runs of one deadlist: held by exactly those it says, or by none. */
static const char *list_check(struct tfs_vol *vol, u64 id, const struct tfs_deadlist *l)
{
	u64 n, i, u, units = 0;
	u8 oldest = oldest_born(tfs_le64(l->oldest)), newest = 0;
	const void *v;
	u32 len;

	while (newest < snaps && snap_epoch[newest] <= tfs_le64(l->newest))
		newest++;
	for (n = 0; n < tfs_le64(l->runs); n += TFS_DEAD_RUNS) {
		struct tfs_key k = {TFS_SNAP_RUNS | id, n / TFS_DEAD_RUNS}, at = k;
		const struct tfs_run *r;

		if (tfs_item_next(vol, TFS_TREE_SNAP, &at, &v, &len) || at.a != k.a || at.b != k.b)
			return "runs of a deadlist are missing";
		r = v;
		for (i = 0; i < TFS_DEAD_RUNS && n + i < tfs_le64(l->runs); i++)
			for (u = tfs_le64(r[i].addr); u < tfs_le64(r[i].addr) + tfs_le32(r[i].len); u++, units++) {
				if (oldest > newest) {
					if (want[u / 8] >> u % 8 & 1)
						return "a unit that is to be freed is held";
					want[u / 8] |= (u8)(1 << u % 8);
				} else if (held[u].oldest != oldest || held[u].newest != newest) {
					return "a unit on a deadlist is held by others than it says";
				} else {
					held[u].oldest |= 128;
				}
			}
	}
	return units == tfs_le64(l->units) ? NULL : "a deadlist's size differs";
}

static const char *lists_check(struct tfs_vol *vol)
{
	struct tfs_key k = {TFS_SNAP_LIST, 0};
	const char *why = NULL;
	const void *v;
	u32 len, i;

	for (; !why && !tfs_item_next(vol, TFS_TREE_SNAP, &k, &v, &len) && k.a == TFS_SNAP_LIST; k.b++) {
		struct tfs_deadlist l;

		memcpy(&l, v, sizeof(l));
		why = list_void(k.b, &l) ? NULL : list_check(vol, k.b, &l);
	}
	for (i = 0; snaps && !why && i < POWER_PAGES * 8; i++)
		if (held[i].oldest && held[i].oldest < 128)
			why = "a unit that only snapshots hold is on no deadlist";
	return why;
}

/* What a diff says must turn the sum over one tree's items into that over the other's. */
static u64 item_mix(struct tfs_key key, const void *value, u32 len)
{
	return power_mix(power_mix(3, &key, sizeof(key)), value, len);
}

static int tree_sum(struct tfs_vol *vol, u64 epoch, u64 *sum)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;
	int err = epoch ? tfs_view_open(vol, epoch) : 0;

	for (*sum = 0; !err && !(err = tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len)); k.b++)
		*sum += item_mix(k, v, len);
	tfs_view_close(vol);
	return err == -ENOENT ? 0 : err;
}

static int diff_item(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	u64 *sum = arg;

	if (a)
		*sum -= item_mix(key, a, a_len);
	if (b)
		*sum += item_mix(key, b, b_len);
	return 0;
}

/* Each snapshot against the next, the first against the last, and the last against what is now. */
static const char *diffs_check(struct tfs_vol *vol)
{
	u32 i;

	for (i = 0; i <= snaps && snaps; i++) {
		u64 older = snap_epoch[i < snaps ? i : 0], newer = i + 1 < snaps ? snap_epoch[i + 1] : 0, sum, want_sum;
		int err;

		err = tree_sum(vol, older, &sum);
		if (!err)
			err = tree_sum(vol, newer, &want_sum);
		if (!err)
			err = tfs_snapshot_diff(vol, older, newer, diff_item, &sum);
		if (err || sum != want_sum)
			return "a diff is not the difference";
	}
	return NULL;
}

static int maps_take(struct tfs_vol *vol, struct tfs_dev *dev, bool space)
{
	int t, err = snaps_load(vol);

	if (snaps)
		memset(held, 0, sizeof(held));

	gang_dev = dev;
	memset(want, 0, sizeof(want));
	twice = false;
	for (t = 0; t < TFS_TREES && !err; t++)
		if (t != TFS_TREE_SPACE || space)
			tfs_tree_walk(vol, t, node_add, &err);
	if (!err)
		err = refs_load(vol);
	return err ? err : items_add(vol);
}

int power_maps_take(struct tfs_vol *vol, struct tfs_dev *dev)
{
	return maps_take(vol, dev, false);
}

const u8 *power_map(void *vol, u64 segment)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return want + 16 + (segment << (st.segment_bits - 12));
}

const char *power_account_dev(struct tfs_vol *vol, struct tfs_dev *dev)
{
	static char text[160];
	struct tfs_stat st;
	u8 map[65536 / 8];
	u64 s, live = 0;
	const char *why;
	int err;

	err = maps_take(vol, dev, true);
	if (err || twice)
		return err ? "tree cannot be read" : "a unit is used twice";
	if (!refs_exact())
		return "a shared extent's count differs";
	if (tfs_ship_on(vol) && ship_check(vol))
		return "a forwarding cursor belongs to no file, or lies past its end";
	tfs_statfs(vol, &st);
	if (st.inodes != inodes || st.prealloc_blocks != promised)
		return "a counter differs";
	err = snaps_add(vol);
	if (err)
		return err == -EUCLEAN ? "a shared extent's count differs in a snapshot" : "a snapshot cannot be read";
	err = old_add(vol);
	if (err || twice)
		return err ? "what a rollback left cannot be read" : "what a rollback left is in use";
	why = lists_check(vol);
	if (!why)
		why = diffs_check(vol);
	if (why)
		return why;
	tfs_statfs(vol, &st);
	for (s = 0; s < st.segments; s++) {
		u32 blocks = 1u << (st.segment_bits - 12), b, used = 0, units = 0;
		const u8 *w = want + 16 + s * blocks;
		struct tfs_segment info;

		if (tfs_segment_map(vol, s, map, &info))
			return "segment map cannot be read";
		for (b = 0; b < blocks; b++) {
			used += w[b] != 0;
			units += (u32)__builtin_popcount(w[b]);
			if (map[b] != w[b]) {
				snprintf(text, sizeof(text), "segment %llu block %u: expected live %02x, found %02x",
				         (unsigned long long)s, b, w[b], map[b]);
				return text;
			}
		}
		live += units;
		if (info.live != units || info.used_blocks != used)
			return "segment counts differ";
	}
	return st.live_units == live ? NULL : "live units differ";
}

/* ---- scrub ---- */

static int scrub_bad(void *arg, const struct tfs_bad *b)
{
	(void)arg;
	if (!b->err && b->expected != b->found)
		power_fail("scrub", "a sound place is called damaged");
	return 0;
}

int power_scrub(struct tfs_vol *vol)
{
	static u8 read[POWER_PAGES];
	static struct tfs_scrub s;
	u64 b;
	int err = tfs_checkpoint(vol);

	memset(&s, 0, sizeof(s));
	memset(read, 0, sizeof(read));
	power_run.reads = read;
	while (!err && (err = tfs_scrub_step(vol, &s, 50000, scrub_bad, NULL)) > 0)
		err = 0;
	power_run.reads = NULL;
	if (err || s.bad)
		return err ? err : -EIO;
	err = maps_take(vol, &power_run.dev, true);
	if (!err)
		err = snaps_add(vol);
	for (b = 0; !err && b < POWER_PAGES; b++)
		if (want[b] && !read[b]) {
			power_fail("scrub", "a live block is not read");
			break;
		}
	return err;
}

/* ---- pins ---- */

/* Blocks that a pin alone keeps from use, beyond log runs, checkpoint blocks and what the open epoch dropped. */
static bool in_log_run(const struct tfs_vol *vol, u64 block)
{
	const struct tfs_log_run *r = vol->log.runs;

	while (r &&
	       (block < r->addr / TFS_UNITS_PER_BLOCK + r->from || block >= r->addr / TFS_UNITS_PER_BLOCK + r->blocks))
		r = r->older;
	return r;
}

s64 power_pins_stray(const struct tfs_vol *vol)
{
	const struct tfs_pin_chunk *c;
	s64 n = 0;
	u32 i, b;

	for (i = 0; i < TFS_PIN_BUCKETS; i++)
		for (c = vol->pins[i]; c; c = c->next)
			for (b = 0; b < 1024; b++)
				if (c->bits[TFS_PIN_META][b / 64] >> b % 64 & 1 &&
				    !in_log_run(vol, (c->index << 10) + b))
					n++;
	return n - vol->metas;
}
