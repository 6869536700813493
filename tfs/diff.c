// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What changed between two snapshots, or a snapshot and now, item by item in key order. Only nodes of the newer tree
 * that were born after the older snapshot are read, and of the older one what lies in their key ranges: a node that is
 * as old as that is in both trees, and a node's range never changes without the node (splits and merges dirty both
 * sides). So the cost is that of what changed. Nothing of files' content is read. Called by hosts, between operations.
 */
#include "tfs/vol.h"

static const struct tfs_key KEY_MIN = {0, 0};
static const struct tfs_key KEY_MAX = {~0ull, ~0ull};

struct diff {
	struct tfs_vol *vol;
	struct tfs_ptr older, newer; /* roots of FS */
	u64 since;
	u8 *leaf;                    /* a copy: reading the older tree may trim the cache */
	struct tfs_key from, lo, hi; /* from: what is before it was compared already */
	tfs_diff_fn fn;
	void *arg;
};

/* The first new leaf that reaches past from, copied to d->leaf. -ENOENT: no more. */
static int leaf_next(struct diff *d, struct tfs_key from)
{
	for (;;) {
		struct tfs_born p;
		int err = tfs_born_ahead(d->vol, TFS_TREE_FS, &d->newer, d->since, &from, &p);

		if (err)
			return err;
		d->lo = p.lo[p.level];
		d->hi = p.hi[p.level];
		if (!p.level) {
			memcpy(d->leaf, p.node[0]->buf, TFS_NODE_SIZE);
			return 0;
		}
		if (!tfs_key_cmp(d->hi, KEY_MAX)) /* all of that index node is old */
			return -ENOENT;
		from = d->hi;
	}
}

/* An item of the older tree below hi, beyond which no leaf is read. */
static int older_next(struct diff *d, struct tfs_key *key, const void **value, u32 *len)
{
	struct tfs_ptr root = d->vol->root[TFS_TREE_FS];
	int err;

	d->vol->root[TFS_TREE_FS] = d->older;
	err = tfs_item_next_before(d->vol, TFS_TREE_FS, d->hi, key, value, len);
	d->vol->root[TFS_TREE_FS] = root;
	return err;
}

static bool key_next(struct tfs_key *k)
{
	if (!++k->b)
		return ++k->a != 0;
	return true;
}

static int leaf_compare(struct diff *d)
{
	struct tfs_key at = tfs_key_cmp(d->lo, d->from) < 0 ? d->from : d->lo, key;
	u32 n = tfs_node_count(d->leaf), slot, a_len = 0, b_len = 0;
	int err = 0, older = 0;
	bool exact;

	slot = tfs_node_search(d->leaf, at, &exact);
	while (!err) {
		const void *a = NULL, *b = NULL;
		int order;

		if (!older)
			older = older_next(d, &at, &a, &a_len);
		if (older && older != -ENOENT)
			return older;
		if (slot < n) {
			key = tfs_node_key(d->leaf, slot);
			b = tfs_leaf_value(d->leaf, slot, &b_len);
		}
		if (older && slot == n)
			break;
		order = older ? 1 : slot == n ? -1 : tfs_key_cmp(at, key);
		if (order < 0)
			err = d->fn(d->arg, at, a, a_len, NULL, 0);
		else if (order > 0)
			err = d->fn(d->arg, key, NULL, 0, b, b_len);
		else if (a_len != b_len || memcmp(a, b, a_len))
			err = d->fn(d->arg, key, a, a_len, b, b_len);
		if (err)
			d->from = order < 0 ? at : key;
		slot += order >= 0;
		if (order <= 0 && !key_next(&at))
			older = -ENOENT;
	}
	return err;
}

static int root_of(struct tfs_vol *vol, u64 epoch, struct tfs_ptr *out)
{
	struct tfs_snapshot_info *info = (struct tfs_snapshot_info *)vol->scratch;
	u64 at = epoch;
	int err = tfs_snapshot_next(vol, &at, info);

	if (err)
		return err;
	*out = info->fs;
	return at != epoch || info->dying || !info->fs.addr ? -ENOENT : 0;
}

static int steps(struct diff *d, u32 leaves)
{
	int err;

	do {
		tfs_cache_trim(d->vol);
		err = leaf_next(d, d->from);
		if (!err)
			err = leaf_compare(d);
		if (!err)
			d->from = d->hi;
	} while (!err && --leaves && tfs_key_cmp(d->hi, KEY_MAX));
	if (err)
		return err == -ENOENT ? 0 : err;
	return tfs_key_cmp(d->hi, KEY_MAX) != 0;
}

int tfs_snapshot_diff_step(struct tfs_vol *vol, u64 older, u64 newer, struct tfs_key *at, u32 leaves, tfs_diff_fn fn,
                           void *arg)
{
	struct diff d = {.vol = vol, .since = older, .from = *at, .fn = fn, .arg = arg};
	int err = vol->viewing ? -EBUSY : newer && newer < older ? -EINVAL : root_of(vol, older, &d.older);

	d.newer = vol->root[TFS_TREE_FS];
	if (!err && newer)
		err = root_of(vol, newer, &d.newer);
	if (err)
		return err;
	d.leaf = tfs_port_alloc(TFS_NODE_SIZE);
	if (!d.leaf)
		return -ENOMEM;
	err = steps(&d, leaves);
	*at = d.from;
	tfs_port_free(d.leaf);
	return err;
}

int tfs_snapshot_diff(struct tfs_vol *vol, u64 older, u64 newer, tfs_diff_fn fn, void *arg)
{
	struct tfs_key at = KEY_MIN;

	return tfs_snapshot_diff_step(vol, older, newer, &at, ~0u, fn, arg);
}
