// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Scrub: every live place read from the device and verified, in bounded steps beside operations. What a snapshot holds
 * and the one before it does not was born between the two; so the snapshots in ascending order, each with what was born
 * since the one before, and last the live trees with what is younger than all snapshots, are every place once. The
 * cursor is the caller's, plain data: it is good over days, remounts, and snapshots that come and go meanwhile. What was
 * dropped before its turn came is not looked at; what was written behind the cursor is not waited for.
 * An extent that several files share is met once for each; a small memory of the last ones spares most of that.
 */
#include "tfs/vol.h"

static const struct tfs_key KEY_MIN = {0, 0};
static const struct tfs_key KEY_MAX = {~0ull, ~0ull};

struct step {
	struct tfs_vol *vol;
	struct tfs_scrub *s;
	struct tfs_ptr root;
	u64 since, left; /* left: bytes to go in this step */
	u8 *buf;
	tfs_bad_fn fn;
	void *arg;
};

static int bad(void *arg, const struct tfs_bad *b)
{
	struct step *t = arg;
	struct tfs_bad with = *b;

	with.snapshot = t->s->snapshot;
	t->s->bad++;
	return t->fn(t->arg, &with);
}

static void done(struct step *t, u64 units)
{
	t->s->bytes += units * TFS_UNIT;
	t->left -= units * TFS_UNIT < t->left ? units * TFS_UNIT : t->left;
}

/* ---- where to go on ---- */

/* The first snapshot that is younger than what is done; 0: there is none, the live trees are next. */
static int target_find(struct step *t, u64 *epoch)
{
	struct tfs_snapshot_info *i = (struct tfs_snapshot_info *)t->buf;
	int err;

	for (*epoch = t->s->since + 1;; ++*epoch) {
		err = tfs_snapshot_next(t->vol, epoch, i);
		if (err) {
			*epoch = 0;
			return err == -ENOENT ? 0 : err;
		}
		if (i->dying || !i->fs.addr)
			continue;
		t->root = t->s->tree == TFS_TREE_FS ? i->fs : i->refs;
		return 0;
	}
}

/*
 * A snapshot made while the live trees were looked at holds what was live then: it is gone on with where the live tree
 * was left, or all of it is done. One that is gone leaves what it held to a later one, which begins anew.
 */
static int target_set(struct step *t)
{
	struct tfs_scrub *s = t->s;
	u64 epoch;
	int err;

	while (!(err = target_find(t, &epoch))) {
		if (epoch && !s->snapshot && s->tree != TFS_TREE_FS && s->tree != TFS_TREE_REFS) {
			s->since = epoch;
		} else if (epoch != s->snapshot && s->snapshot) {
			s->tree = TFS_TREE_FS;
			s->next = KEY_MIN;
			s->snapshot = epoch;
		} else {
			break;
		}
	}
	if (err)
		return err;
	s->snapshot = epoch;
	if (!epoch)
		t->root = t->vol->root[s->tree];
	t->since = s->tree == TFS_TREE_FS || s->tree == TFS_TREE_REFS ? s->since : 0;
	return 0;
}

/* 0: all is done. */
static int tree_next(struct tfs_scrub *s)
{
	static const u32 next[TFS_TREES] = {[TFS_TREE_FS] = TFS_TREE_REFS,
	                                    [TFS_TREE_REFS] = TFS_TREE_SNAP,
	                                    [TFS_TREE_SNAP] = TFS_TREE_SPACE,
	                                    [TFS_TREE_SPACE] = TFS_TREES};

	s->next = KEY_MIN;
	s->tree = next[s->tree];
	if (s->snapshot && s->tree == TFS_TREE_SNAP) {
		s->since = s->snapshot;
		s->snapshot = 0;
		s->tree = TFS_TREE_FS;
	}
	return s->tree != TFS_TREES;
}

/* ---- one leaf, and the nodes that begin with it ---- */

static int node_verify(struct step *t, const struct tfs_born *p, int level)
{
	const struct tfs_node *n = p->node[level];
	int err;

	if (n->epoch) /* changed in memory: its place on the device is given up */
		return 0;
	err = tfs_node_verify(t->vol, (int)t->s->tree, level, p->lo[level], &n->ptr, t->buf, bad, t);
	done(t, n->ptr.len);
	t->s->nodes++;
	return err < 0 ? err : 0;
}

/* A compressed extent is remembered: other items may name it. */
static bool met(struct tfs_scrub *s, const struct tfs_ptr *ptr, struct tfs_key key, const void *value)
{
	u64 *slot = &s->recent[(ptr->addr * 0x9e3779b97f4a7c15ull) >> 56];
	bool again = *slot == ptr->addr;

	if (tfs_key_type(key) != TFS_IT_EXTENT || !((const struct tfs_extent *)value)->codec)
		return false;
	*slot = ptr->addr;
	return again;
}

static int item_verify(struct step *t, struct tfs_key key, const void *value)
{
	struct tfs_ptr ptr;
	int err;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &ptr) || ptr.birth <= t->since || met(t->s, &ptr, key, value))
		return 0;
	err = tfs_data_verify(t->vol, key, value, t->buf, bad, t);
	done(t, ptr.len);
	t->s->places++;
	return err < 0 ? err : 0;
}

static int leaf_verify(struct step *t, struct tfs_node *leaf, struct tfs_key hi)
{
	u32 n = tfs_node_count(leaf->buf), slot, len;
	bool exact;

	for (slot = tfs_node_search(leaf->buf, t->s->next, &exact); slot < n; slot++) {
		struct tfs_key k = tfs_node_key(leaf->buf, slot);
		int err;

		t->s->next = k;
		if (!t->left)
			return 0;
		err = item_verify(t, k, tfs_leaf_value(leaf->buf, slot, &len));
		if (err)
			return err;
	}
	t->s->next = hi;
	return 0;
}

/* A node that cannot be read is said to be so, and what is below it left out. 1: it can, now. */
static int node_skip(struct step *t, const struct tfs_born *p, bool again)
{
	struct tfs_bad b = {.kind = TFS_BAD_NODE,
	                    .tree = (u8)t->s->tree,
	                    .level = (u8)p->next_level,
	                    .key = p->lo[p->next_level],
	                    .ptr = p->next,
	                    .block = -1};
	int err = tfs_node_verify(t->vol, (int)t->s->tree, p->next_level, b.key, &p->next, t->buf, bad, t);

	if (err < 0 || (!err && !again))
		return err ? err : 1;
	if (!err) /* whole, and not the one that is meant */
		bad(t, &b);
	done(t, p->next.len);
	t->s->nodes++;
	t->s->next = p->hi[p->next_level];
	return 0;
}

static int way_verify(struct step *t, const struct tfs_born *p, struct tfs_key from)
{
	int level, err = 0;

	for (level = p->top; !err && level >= p->level; level--)
		if (tfs_key_cmp(p->lo[level], from) >= 0)
			err = node_verify(t, p, level);
	if (!err && !p->level && t->s->tree == TFS_TREE_FS)
		err = leaf_verify(t, p->node[0], p->hi[0]);
	else if (!err)
		t->s->next = p->hi[p->level];
	return err;
}

/* 1: the tree goes on at s->next. */
static int part(struct step *t)
{
	struct tfs_key from = t->s->next;
	struct tfs_born p;
	bool again = false;
	int err;

	do {
		err = tfs_born_find(t->vol, (int)t->s->tree, &t->root, t->since, &t->s->next, &p);
		if (err == -ENOENT)
			return 0;
		if (err == -EIO)
			err = node_skip(t, &p, again);
		else if (!err)
			err = way_verify(t, &p, from);
	} while (err > 0 && (again = true));
	return err ? err : tfs_key_cmp(t->s->next, KEY_MAX) != 0;
}

int tfs_scrub_step(struct tfs_vol *vol, struct tfs_scrub *s, u64 bytes, tfs_bad_fn fn, void *arg)
{
	struct step t = {.vol = vol, .s = s, .left = bytes, .fn = fn, .arg = arg};
	int err = vol->viewing || vol->bulk ? -EBUSY : 0, more = 1;

	if (s->tree >= TFS_TREES)
		return 0;
	t.buf = err ? NULL : tfs_port_alloc(TFS_VERIFY_BYTES);
	if (!err && !t.buf)
		err = -ENOMEM;
	while (!err && more && t.left) {
		tfs_cache_trim(vol);
		err = target_set(&t);
		if (!err)
			err = part(&t);
		if (!err)
			more = tree_next(s);
		err = err > 0 ? 0 : err;
	}
	tfs_port_free(t.buf);
	return err ? err : more;
}
