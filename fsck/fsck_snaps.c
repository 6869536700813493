// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pass 4: snapshots. Their trees are walked from the newest to the oldest, each node once, after the live trees: what
 * is met first is held from the snapshot that its birth names up to the one being walked, so the deadlists follow from
 * nothing but the trees, and are compared unit by unit. Every node is verified as it is read and every place counts as
 * used; whether names and link counts agree is not asked again, they were the live tree's. A repair of anything builds
 * the deadlists anew, since it writes nodes that snapshots hold elsewhere. A snapshot that cannot be read whole is
 * deleted with consent; without, nothing is repaired, for what it holds is not known.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

/* Units that only snapshots hold, or a list says so; by index into f->snap. */
struct fsck_held {
	u64 addr, end;
	u32 oldest, newest;
};

struct snaps {
	struct fsck *f;
	struct fsck_held *want, *found;
	size_t wants, wants_max, founds, founds_max;
	u32 at; /* the snapshot being walked */
	u32 oldest;
	const char *why; /* it cannot be read whole; NULL: so far it can */
	u8 *buf;         /* for --data */
	u64 fresh;       /* units that were met first */
};

/* ---- nodes that were walked ---- */

static struct fsck_seen *seen_at(struct fsck_seen *table, size_t max, u64 addr)
{
	size_t i = (addr * 0x9e3779b97f4a7c15ull) >> 20;

	while (table[i & (max - 1)].addr && table[i & (max - 1)].addr != addr)
		i++;
	return &table[i & (max - 1)];
}

static int seen_grow(struct fsck *f)
{
	size_t max = f->seen_max ? 2 * f->seen_max : 1024;
	struct fsck_seen *more = calloc(max, sizeof(*more));

	if (!more)
		return -ENOMEM;
	for (size_t i = 0; i < f->seen_max; i++)
		if (f->seen[i].addr)
			*seen_at(more, max, f->seen[i].addr) = f->seen[i];
	free(f->seen);
	f->seen = more;
	f->seen_max = max;
	return 0;
}

int fsck_seen_add(struct fsck *f, int tree, const struct tfs_ptr *ptr)
{
	int err = 0;

	if (!f->st.snapshots || !ptr->addr)
		return 0;
	if (2 * f->seens >= f->seen_max)
		err = seen_grow(f);
	if (err)
		return err;
	f->seens++;
	*seen_at(f->seen, f->seen_max, ptr->addr) = (struct fsck_seen){ptr->addr, ptr->crc, (u32)tree};
	return 0;
}

/* ---- the table ---- */

static u32 snap_from(const struct fsck *f, u64 epoch)
{
	u32 i = 0, end = (u32)f->snaps;

	while (i < end) {
		u32 mid = (i + end) / 2;

		if (f->snap[mid].epoch < epoch)
			i = mid + 1;
		else
			end = mid;
	}
	return i;
}

/* Those that are neither dying nor to be deleted. */
static int table_load(struct fsck *f)
{
	u64 epoch = 0;
	int err;

	f->snaps = 0;
	f->dying = false;
	for (;; epoch++) {
		struct tfs_snapshot_info *i;

		if (fsck_grow(&f->snap, &f->snaps_max, f->snaps + 1, sizeof(*f->snap)))
			return -ENOMEM;
		i = &f->snap[f->snaps];
		err = tfs_snapshot_next(f->vol, &epoch, i);
		if (err) /* a damaged node is reported already */
			return err == -ENOENT || err == -EIO ? 0 : err;
		f->dying |= i->dying;
		f->snaps += !i->dying;
	}
}

/* ---- what a snapshot's trees hold ---- */

static int held_add(struct fsck_held **array, size_t *n, size_t *max, u64 addr, u32 units, u32 oldest, u32 newest)
{
	struct fsck_held *last = *n ? &(*array)[*n - 1] : NULL;

	if (last && last->end == addr && last->oldest == oldest && last->newest == newest) {
		last->end += units;
		return 0;
	}
	if (fsck_grow(array, max, *n + 1, sizeof(**array)))
		return -ENOMEM;
	(*array)[(*n)++] = (struct fsck_held){addr, addr + units, oldest, newest};
	return 0;
}

static int unit_new(void *arg, u64 addr, u32 units)
{
	struct snaps *s = arg;

	s->fresh += units;
	return held_add(&s->want, &s->wants, &s->wants_max, addr, units, s->oldest, s->at);
}

/* Returns 0: what else there is of it is counted. */
static int bad(struct snaps *s, const char *why)
{
	if (!s->why)
		s->why = why;
	return 0;
}

static int place_add(struct snaps *s, const struct tfs_ptr *ptr)
{
	int err;

	if (ptr->birth > s->f->snap[s->at].epoch)
		return bad(s, "something in it was born after it");
	s->oldest = snap_from(s->f, ptr->birth);
	err = fsck_use_new(s->f, ptr, unit_new, s);
	if (err == -EUCLEAN || err == -EIO || err == -ERANGE)
		return bad(s, "a place in it is outside of the volume or cannot be read");
	return err;
}

/* No reason to give the snapshot up: the rest of it can be read. */
static int data_bad(void *arg, const struct tfs_bad *b)
{
	struct snaps *s = arg;
	struct tfs_bad with = *b;

	with.snapshot = s->f->snap[s->at].epoch;
	return fsck_bad(s->f, &with);
}

static int item(void *arg, struct tfs_key key, const void *value, u32 len)
{
	struct snaps *s = arg;
	u64 fresh = s->fresh;
	struct tfs_ptr ptr;
	int err;

	(void)len;
	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr))
		return 0;
	if (!fsck_place_sound(s->f, key, value, &ptr))
		return bad(s, "a place in it is outside of the volume");
	err = place_add(s, &ptr);
	if (err || !s->buf || s->fresh == fresh)
		return err;
	err = tfs_data_verify(s->f->vol, key, value, s->buf, data_bad, s);
	return err == -ENOMEM ? err : 0;
}

static int node(void *arg, const struct tfs_node_info *info)
{
	struct snaps *s = arg;
	int err;

	tfs_progress_add(&s->f->progress, 1);
	if (info->err == -ENOMEM)
		return info->err;
	if (info->err)
		return bad(s, "a node of it cannot be read");
	err = place_add(s, &info->ptr);
	if (!err)
		err = fsck_seen_add(s->f, info->tree, &info->ptr);
	return err || info->level || info->tree != TFS_TREE_FS ? err : fsck_leaf_items(info->node, item, s);
}

/* Another pointer to its place is not the same: then it is read, and found damaged. */
static bool node_seen(const struct snaps *s, int tree, const struct tfs_ptr *ptr)
{
	const struct fsck_seen *n = s->f->seen_max ? seen_at(s->f->seen, s->f->seen_max, ptr->addr) : NULL;

	return n && n->addr && n->crc == ptr->crc && n->tree == (u32)tree;
}

static bool fs_seen(void *arg, const struct tfs_ptr *ptr)
{
	return node_seen(arg, TFS_TREE_FS, ptr);
}

static bool refs_seen(void *arg, const struct tfs_ptr *ptr)
{
	return node_seen(arg, TFS_TREE_REFS, ptr);
}

static int snapshot_walk(struct snaps *s, u32 at)
{
	int err;

	s->at = at;
	s->why = NULL;
	if (s->f->snap[at].epoch >= s->f->st.epoch)
		return bad(s, "an epoch to come");
	err = tfs_view_open(s->f->vol, s->f->snap[at].epoch);
	if (err)
		return err;
	err = tfs_tree_walk_new(s->f->vol, TFS_TREE_FS, fs_seen, node, s);
	if (!err)
		err = tfs_tree_walk_new(s->f->vol, TFS_TREE_REFS, refs_seen, node, s);
	tfs_view_close(s->f->vol);
	if (err == -EIO || err == -EUCLEAN)
		return bad(s, "a node of it cannot be read");
	return err;
}

static int condemn(struct fsck *f, u64 epoch)
{
	if (fsck_grow(&f->condemned, &f->condemned_max, f->condemneds + 1, sizeof(u64)))
		return -ENOMEM;
	f->condemned[f->condemneds++] = epoch;
	return 0;
}

static int snapshot_report(struct snaps *s, u32 at)
{
	struct tfs_snapshot_info *i = &s->f->snap[at];
	char object[TFS_NAME_MAX + 16];

	snprintf(object, sizeof(object), "snapshot %.*s", i->name_len, i->name);
	if (!fsck_problem(s->f, FSCK_SNAPSHOT_BAD, object, "expected it whole, found: %s; %s", s->why,
	                  fsck_core_message())) {
		s->f->snap_kept = true;
		return 0;
	}
	s->f->snaps_fix = true;
	return condemn(s->f, i->epoch);
}

static int snapshots_walk(struct snaps *s, bool report)
{
	int err = 0;

	for (u32 i = (u32)s->f->snaps; i-- && !err;) {
		err = snapshot_walk(s, i);
		if (!err && s->why && report)
			err = snapshot_report(s, i);
	}
	return err;
}

/* ---- what the deadlists say ---- */

static int runs_of(struct snaps *s, u64 id, const struct tfs_deadlist *l, u64 *units)
{
	u32 oldest = snap_from(s->f, tfs_le64(l->oldest)), end = snap_from(s->f, tfs_le64(l->newest) + 1);
	struct tfs_key k = {TFS_SNAP_RUNS | id, 0};
	u64 n = 0;
	const void *v;
	u32 len;
	int err = 0;

	for (; n < tfs_le64(l->runs); k.b++) {
		struct tfs_key at = k;
		const struct tfs_run *r;

		err = tfs_item_next(s->f->vol, TFS_TREE_SNAP, &at, &v, &len);
		if (err || at.a != k.a || at.b != k.b)
			return err && err != -ENOENT && err != -EIO ? err : 1;
		r = v;
		for (u32 i = 0; !err && i < TFS_DEAD_RUNS && n < tfs_le64(l->runs) && r[i].len; i++, n++) {
			struct tfs_ptr ptr = {.addr = tfs_le64(r[i].addr)};

			*units += tfs_le32(r[i].len);
			if (oldest < end)
				err = held_add(&s->found, &s->founds, &s->founds_max, ptr.addr, tfs_le32(r[i].len),
				               oldest, end - 1);
			else
				err = fsck_use_run_new(s->f, ptr.addr, tfs_le32(r[i].len));
		}
		if (err)
			return err == -ENOMEM ? err : 1;
		if (n < tfs_le64(l->runs) && n % TFS_DEAD_RUNS)
			return 1;
	}
	return 0;
}

/* No snapshot holds it, nor is one dying that would take it along: nobody would ever free it. */
static bool list_idle(const struct snaps *s, const struct tfs_deadlist *l)
{
	return snap_from(s->f, tfs_le64(l->oldest)) >= snap_from(s->f, tfs_le64(l->newest) + 1);
}

static int lists_read(struct snaps *s, u64 *wrong)
{
	struct tfs_key k = {TFS_SNAP_LIST, 0};
	const void *v;
	u32 len;
	int err;

	*wrong = 0;
	for (; !(err = tfs_item_next(s->f->vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a == TFS_SNAP_LIST; k.b++) {
		struct tfs_deadlist l;
		u64 units = 0;

		memcpy(&l, v, sizeof(l));
		if (fsck_list_void(s->f, k.b, &l))
			continue;
		err = runs_of(s, k.b, &l, &units);
		if (err < 0)
			return err;
		if ((err || units != tfs_le64(l.units) || (!s->f->dying && list_idle(s, &l))) && !*wrong)
			*wrong = k.b;
	}
	return err == -ENOENT || err == -EIO || err >= 0 ? 0 : err;
}

static int by_place(const void *a, const void *b)
{
	const struct fsck_held *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sorted, neighbours that are held alike merged. */
static void held_sort(struct fsck_held *h, size_t *n)
{
	size_t out = 0;

	if (!*n)
		return;
	qsort(h, *n, sizeof(*h), by_place);
	for (size_t i = 1; i < *n; i++)
		if (h[i].addr == h[out].end && h[i].oldest == h[out].oldest && h[i].newest == h[out].newest)
			h[out].end = h[i].end;
		else
			h[++out] = h[i];
	*n = out + 1;
}

static void held_text(const struct fsck *f, const struct fsck_held *h, char *buf, size_t size)
{
	if (!h)
		snprintf(buf, size, "no more");
	else
		snprintf(buf, size, "units %llu+%llu of snapshots %.*s to %.*s", (unsigned long long)h->addr,
		         (unsigned long long)(h->end - h->addr), f->snap[h->oldest].name_len, f->snap[h->oldest].name,
		         f->snap[h->newest].name_len, f->snap[h->newest].name);
}

static void lists_compare(struct snaps *s, u64 wrong)
{
	char expected[600], found[600];
	size_t i = 0;

	held_sort(s->want, &s->wants);
	held_sort(s->found, &s->founds);
	while (i < s->wants && i < s->founds && !memcmp(&s->want[i], &s->found[i], sizeof(s->want[i])))
		i++;
	if (!wrong && i == s->wants && i == s->founds)
		return;
	if (i == s->wants && i == s->founds) {
		snprintf(expected, sizeof(expected), "runs that add up, and a snapshot that holds them");
		snprintf(found, sizeof(found), "none of that of list %llu", (unsigned long long)wrong);
	} else {
		held_text(s->f, i < s->wants ? &s->want[i] : NULL, expected, sizeof(expected));
		held_text(s->f, i < s->founds ? &s->found[i] : NULL, found, sizeof(found));
	}
	if (fsck_problem(s->f, FSCK_DEADLIST_WRONG, "deadlists", "expected %s, found %s", expected, found))
		s->f->snaps_fix = true;
}

static void snaps_free(struct snaps *s)
{
	free(s->want);
	free(s->found);
	free(s->buf);
}

int fsck_snaps(struct fsck *f)
{
	struct snaps s = {.f = f};
	u64 wrong;
	int err = table_load(f);

	if (!err && f->snaps)
		tfs_progress_pass(&f->progress, "snapshots", 0);
	s.buf = f->data ? malloc(TFS_VERIFY_BYTES) : NULL;
	if (!err && f->data && !s.buf)
		err = -ENOMEM;
	if (!err)
		err = snapshots_walk(&s, true);
	if (!err)
		err = fsck_old(f);
	if (!err)
		err = lists_read(&s, &wrong);
	/* of a damaged live node all is held, it seems; and a snapshot that goes takes its lists along */
	if (!err && !f->incomplete && !f->condemneds && !f->snap_kept)
		lists_compare(&s, wrong);
	snaps_free(&s);
	return err;
}

/* ---- building the lists anew ---- */

static int items_remove(struct fsck *f, u64 from, u64 to)
{
	struct tfs_key k = {from, 0};
	const void *v;
	u32 len;
	int err;

	while (!(err = tfs_item_next(f->vol, TFS_TREE_SNAP, &k, &v, &len)) && k.a < to) {
		err = tfs_repair_del(f->vol, TFS_TREE_SNAP, k);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

static bool goes(const struct fsck *f, const struct tfs_snapshot_info *i)
{
	for (size_t n = 0; n < f->condemneds; n++)
		if (f->condemned[n] == i->epoch)
			return true;
	return i->dying;
}

/* Dying ones and those given up: what they alone held is in use no more. */
static int snapshots_remove(struct fsck *f)
{
	struct tfs_snapshot_info i;
	u64 epoch = 0;
	int err;

	for (; !(err = tfs_snapshot_next(f->vol, &epoch, &i)); epoch++)
		if (goes(f, &i)) {
			err = tfs_repair_del(f->vol, TFS_TREE_SNAP, (struct tfs_key){TFS_SNAP_ITEM, epoch});
			if (err)
				return err;
		}
	return err == -ENOENT ? 0 : err;
}

static int by_list(const void *a, const void *b)
{
	const struct fsck_held *x = a, *y = b;

	if (x->newest != y->newest)
		return x->newest < y->newest ? -1 : 1;
	if (x->oldest != y->oldest)
		return x->oldest < y->oldest ? -1 : 1;
	return by_place(a, b);
}

struct list_writer {
	struct fsck *f;
	u64 id, runs, units;
	u32 segment_units;
	struct tfs_run run[TFS_DEAD_RUNS];
};

static int runs_put(struct list_writer *w)
{
	struct tfs_key k = {TFS_SNAP_RUNS | w->id, (w->runs - 1) / TFS_DEAD_RUNS};
	int err = tfs_repair_put(w->f->vol, TFS_TREE_SNAP, k, w->run, sizeof(w->run));

	memset(w->run, 0, sizeof(w->run));
	return err;
}

static int run_put(struct list_writer *w, u64 addr, u64 units)
{
	w->run[w->runs++ % TFS_DEAD_RUNS] = (struct tfs_run){.addr = tfs_cpu64(addr), .len = tfs_cpu32((u32)units)};
	w->units += units;
	return w->runs % TFS_DEAD_RUNS ? 0 : runs_put(w);
}

/* No run crosses a segment's end. */
static int held_put(struct list_writer *w, const struct fsck_held *h)
{
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT, addr = h->addr;
	int err = 0;

	while (!err && addr < h->end) {
		u64 stop = base + ((addr - base) / w->segment_units + 1) * w->segment_units;

		if (stop > h->end)
			stop = h->end;
		err = run_put(w, addr, stop - addr);
		addr = stop;
	}
	return err;
}

static int list_put(struct list_writer *w, const struct fsck_held *h)
{
	struct tfs_deadlist l = {tfs_cpu64(w->f->snap[h->oldest].epoch), tfs_cpu64(w->f->snap[h->newest].epoch),
	                         tfs_cpu64(w->units), tfs_cpu64(w->runs)};
	int err = w->runs % TFS_DEAD_RUNS ? runs_put(w) : 0;

	if (!err)
		err = tfs_repair_put(w->f->vol, TFS_TREE_SNAP, (struct tfs_key){TFS_SNAP_LIST, w->id}, &l, sizeof(l));
	w->id++;
	w->runs = w->units = 0;
	return err;
}

static int first_list_set(struct fsck *f, u32 snap, u64 id)
{
	struct tfs_key k = {TFS_SNAP_ITEM, f->snap[snap].epoch};
	u8 buf[TFS_ITEM_MAX];
	const void *v;
	u32 len;
	int err = tfs_item_next(f->vol, TFS_TREE_SNAP, &k, &v, &len);

	if (err)
		return err;
	memcpy(buf, v, len);
	((struct tfs_snapshot *)buf)->first_list = tfs_cpu64(id);
	return tfs_repair_put(f->vol, TFS_TREE_SNAP, k, buf, len);
}

/* Numbered in the order of their newest snapshots, as if they had been made so. */
static int lists_write(struct snaps *s)
{
	struct list_writer w = {.f = s->f, .id = 1, .segment_units = 1u << (s->f->st.segment_bits - TFS_UNIT_BITS)};
	size_t i = 0;
	int err = 0;

	held_sort(s->want, &s->wants);
	if (s->wants)
		qsort(s->want, s->wants, sizeof(*s->want), by_list);
	for (u32 n = 0; !err && n < s->f->snaps; n++) {
		err = first_list_set(s->f, n, w.id);
		for (; !err && i < s->wants && s->want[i].newest == n; i++) {
			const struct fsck_held *h = &s->want[i], *next = i + 1 < s->wants ? h + 1 : NULL;

			err = held_put(&w, h);
			if (!err && (!next || next->newest != n || next->oldest != h->oldest))
				err = list_put(&w, h);
		}
	}
	return err;
}

/* A damaged leaf gave back snapshots that no pass saw: those that cannot be read go with what was lost of it. */
int fsck_snaps_try(struct fsck *f)
{
	struct snaps s = {.f = f};
	int err = table_load(f);

	for (u32 i = (u32)f->snaps; i-- && !err;) {
		err = snapshot_walk(&s, i);
		if (!err && s.why)
			err = condemn(f, f->snap[i].epoch);
	}
	snaps_free(&s);
	return err;
}

int fsck_snaps_again(struct fsck *f)
{
	struct snaps s = {.f = f};
	int err = fsck_old_pin(f);

	if (!err)
		err = snapshots_remove(f);
	if (!err) /* lists, and what a rollback left */
		err = items_remove(f, TFS_SNAP_LIST, TFS_SNAP_SHARED + TFS_SNAP_ITEM);
	if (!err)
		err = table_load(f);
	if (!err)
		err = snapshots_walk(&s, false);
	if (!err)
		err = lists_write(&s);
	if (!err)
		err = tfs_repair_snapshots(f->vol);
	snaps_free(&s);
	return err;
}
