// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The copy-on-write B+tree. Reading descends from vol->root; changing comes in two parts: tfs_prepare makes the path of
 * every key dirty and splits until all new values fit (may fail; splits and copies leave the content as it is), then
 * put, del and edit work in dirty leaves and cannot fail. Full index nodes are split on the way down, so a split
 * below always finds room above. tfs_tidy merges small nodes and takes empty leaves out when it can: where it could
 * not, an empty leaf stays, and is legal.
 */
#include "tfs/vol.h"

static const struct tfs_key KEY_MIN = {0, 0};
static const struct tfs_key KEY_MAX = {~0ull, ~0ull};

struct path {
	struct tfs_node *node[TFS_HEIGHT_MAX]; /* by level */
	u32 slot[TFS_HEIGHT_MAX];              /* of index nodes: the branch taken */
	int height;                            /* levels */
	struct tfs_key lo, hi;                 /* the leaf's range: lo <= key < hi */
};

static struct tfs_key branch_hi(const struct tfs_node *n, u32 slot, struct tfs_key hi)
{
	return slot + 1 < tfs_node_count(n->buf) ? tfs_node_key(n->buf, slot + 1) : hi;
}

static int child_get(struct tfs_vol *vol, struct tfs_node *n, u32 slot, struct tfs_key *hi, struct tfs_node **out)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&tfs_branch_at(n->buf, slot)->ptr);

	if (!tfs_cache_find(vol, ptr.addr))
		tfs_ahead(vol, n, slot, *hi);
	*hi = branch_hi(n, slot, *hi);
	return tfs_cache_get(vol, n->tree, &ptr, n->level - 1, tfs_node_key(n->buf, slot), *hi, out);
}

static bool view_lost(const struct tfs_vol *vol, int tree)
{
	return vol->view_gone && (tree == TFS_TREE_FS || tree == TFS_TREE_REFS);
}

/* -ENOENT: empty tree */
static int root_get(struct tfs_vol *vol, int tree, struct tfs_node **out)
{
	if (view_lost(vol, tree))
		return -ESTALE;
	if (!vol->root[tree].addr)
		return -ENOENT;
	return tfs_cache_get(vol, tree, &vol->root[tree], -1, KEY_MIN, KEY_MAX, out);
}

/* Down to the leaf that covers key. On an error lo and hi are of the node that could not be had. */
static int descend(struct tfs_vol *vol, int tree, struct tfs_key key, struct path *p)
{
	struct tfs_node *n;
	int err = root_get(vol, tree, &n);

	p->lo = KEY_MIN;
	p->hi = KEY_MAX;
	if (err)
		return err;
	p->height = n->level + 1;
	while (n->level) {
		u32 slot = tfs_branch_find(n->buf, key);

		p->node[n->level] = n;
		p->slot[n->level] = slot;
		p->lo = tfs_node_key(n->buf, slot);
		err = child_get(vol, n, slot, &p->hi, &n);
		if (err)
			return err;
	}
	p->node[0] = n;
	return 0;
}

/* Where a key is or would be: the leaf that covers it, that leaf's range, and the first slot at or after the key. */
struct spot {
	struct tfs_node *leaf;
	struct tfs_key lo, hi;
	u32 slot;
	bool exact;
};

static int spot_find(struct tfs_vol *vol, int tree, struct tfs_key key, struct spot *s)
{
	const struct tfs_finger *f = view_lost(vol, tree) ? NULL : tfs_finger_find(vol, tree, key);

	if (f) {
		s->leaf = f->leaf;
		s->lo = f->lo;
		s->hi = f->hi;
	} else {
		struct path p;
		int err = descend(vol, tree, key, &p);

		if (err)
			return err;
		s->leaf = p.node[0];
		s->lo = p.lo;
		s->hi = p.hi;
		tfs_finger_set(vol, tree, s->leaf, s->lo, s->hi);
	}
	s->slot = tfs_node_search(s->leaf->buf, key, &s->exact);
	return 0;
}

int tfs_item_find(struct tfs_vol *vol, int tree, struct tfs_key key, const void **value, u32 *len)
{
	struct spot s;
	int err = spot_find(vol, tree, key, &s);

	if (err)
		return err;
	if (!s.exact)
		return -ENOENT;
	*value = tfs_leaf_value(s.leaf->buf, s.slot, len);
	return 0;
}

static void item_at(const struct spot *s, u32 slot, struct tfs_key *key, const void **value, u32 *len)
{
	*key = tfs_node_key(s->leaf->buf, slot);
	*value = tfs_leaf_value(s->leaf->buf, slot, len);
}

int tfs_item_next_before(struct tfs_vol *vol, int tree, struct tfs_key hi, struct tfs_key *key, const void **value,
                         u32 *len)
{
	struct tfs_key from = *key;
	struct spot s;

	for (;;) {
		int err = spot_find(vol, tree, from, &s);

		if (err)
			return err;
		if (s.slot < tfs_node_count(s.leaf->buf)) {
			item_at(&s, s.slot, key, value, len);
			return tfs_key_cmp(*key, hi) < 0 ? 0 : -ENOENT;
		}
		if (tfs_key_cmp(s.hi, hi) >= 0)
			return -ENOENT;
		from = s.hi; /* the next leaf begins there */
	}
}

int tfs_item_next(struct tfs_vol *vol, int tree, struct tfs_key *key, const void **value, u32 *len)
{
	return tfs_item_next_before(vol, tree, KEY_MAX, key, value, len);
}

int tfs_items_scan(struct tfs_vol *vol, int tree, struct tfs_key from, struct tfs_key hi, tfs_scan_fn fn, void *arg)
{
	struct spot s = {.hi = from};
	int err = 0;

	while (!err && tfs_key_cmp(s.hi, hi) < 0) {
		err = spot_find(vol, tree, s.hi, &s);
		if (err == -ENOENT)
			return 0;
		for (; !err && s.slot < tfs_node_count(s.leaf->buf); s.slot++) {
			struct tfs_key key;
			const void *value;
			u32 len;

			item_at(&s, s.slot, &key, &value, &len);
			if (tfs_key_cmp(key, hi) >= 0)
				return 0;
			err = fn(arg, key, value, len);
		}
	}
	return err;
}

int tfs_item_prev(struct tfs_vol *vol, int tree, struct tfs_key *key, const void **value, u32 *len)
{
	struct tfs_key from = *key;
	struct spot s;

	for (;;) {
		int err = spot_find(vol, tree, from, &s);

		if (err)
			return err;
		if (s.exact || s.slot) {
			item_at(&s, s.exact ? s.slot : s.slot - 1, key, value, len);
			return 0;
		}
		if (!tfs_key_cmp(s.lo, KEY_MIN))
			return -ENOENT;
		from = s.lo; /* the key just before it is the last of the leaf before */
		if (!from.b--)
			from.a--;
	}
}

int tfs_tree_victims(struct tfs_vol *vol, int tree, struct tfs_key key, struct tfs_key *end)
{
	struct path p;
	int level, n = 0, err = descend(vol, tree, key, &p);

	*end = p.hi;
	for (level = 0; !err && level < p.height; level++)
		if (!p.node[level]->epoch) {
			struct tfs_ptr ptr = p.node[level]->ptr;

			if (tree == TFS_TREE_SPACE || tree == TFS_TREE_SNAP)
				ptr.birth = ~0ull; /* no snapshot holds them */
			err = tfs_ptr_victim(vol, &ptr);
			n += err > 0;
			err = err < 0 ? err : 0;
		}
	return err ? err : n;
}

/* ---- making room ---- */

static struct tfs_ptr mem_ptr(const struct tfs_node *n)
{
	return (struct tfs_ptr){.addr = n->id};
}

static void branch_point(struct tfs_node *parent, u32 slot, const struct tfs_node *child)
{
	struct tfs_ptr ptr = mem_ptr(child);

	tfs_branch_at(parent->buf, slot)->ptr = tfs_ptr_disk(&ptr);
}

static int root_dirty(struct tfs_vol *vol, int tree, struct tfs_node **out)
{
	int err = root_get(vol, tree, out);

	if (err == -ENOENT) {
		*out = tfs_cache_new(vol, tree, 0);
		if (!*out)
			return -ENOMEM;
	} else {
		if (!err)
			err = tfs_cache_dirty(vol, out);
		if (err)
			return err;
	}
	vol->root[tree] = mem_ptr(*out);
	return 0;
}

/* A new root above the old one, which is dirty. */
static int root_grow(struct tfs_vol *vol, int tree, struct tfs_node **root)
{
	struct tfs_node *old = *root, *n;
	struct tfs_ptr ptr = mem_ptr(old);

	if (old->level + 1u >= TFS_HEIGHT_MAX)
		return -EFBIG;
	n = tfs_cache_new(vol, tree, old->level + 1);
	if (!n)
		return -ENOMEM;
	tfs_branch_insert(n->buf, 0, KEY_MIN, &ptr);
	vol->root[tree] = mem_ptr(n);
	*root = n;
	return 0;
}

static void index_move(struct tfs_node *to, struct tfs_node *from, u32 slot)
{
	u32 n = tfs_node_count(from->buf), i;

	for (i = slot; i < n; i++) {
		struct tfs_ptr ptr = tfs_ptr_cpu(&tfs_branch_at(from->buf, i)->ptr);

		tfs_branch_insert(to->buf, tfs_node_count(to->buf), tfs_node_key(from->buf, i), &ptr);
	}
	while (n-- > slot)
		tfs_branch_remove(from->buf, n);
}

/* Splits child (dirty, at parent's slot, room in the dirty parent) before its slot `at`; lo: the new node's bound. */
static int split_at(struct tfs_vol *vol, struct tfs_node *parent, u32 slot, struct tfs_node *child, u32 at,
                    struct tfs_key lo)
{
	struct tfs_node *right = tfs_cache_new(vol, child->tree, child->level);
	struct tfs_ptr ptr;

	if (!right)
		return -ENOMEM;
	if (child->level)
		index_move(right, child, at);
	else
		tfs_leaf_move(right->buf, vol->node_scratch, child->buf, at);
	ptr = mem_ptr(right);
	tfs_branch_insert(parent->buf, slot + 1, lo, &ptr);
	return 0;
}

static bool index_full(const struct tfs_node *n)
{
	return n->level && tfs_node_count(n->buf) >= TFS_BRANCH_MAX;
}

/* Full index nodes: in half, but all on the left when the key goes behind the last (keys mostly ascend). */
static int split_index(struct tfs_vol *vol, struct tfs_node *parent, u32 slot, struct tfs_node *child,
                       struct tfs_key key)
{
	u32 n = tfs_node_count(child->buf);
	u32 at = tfs_branch_find(child->buf, key) == n - 1 ? n - 1 : n / 2;

	return split_at(vol, parent, slot, child, at, tfs_node_key(child->buf, at));
}

/* Dirty path to the leaf of key, index nodes on it with room for one more entry. */
static int descend_dirty(struct tfs_vol *vol, int tree, struct tfs_key key, struct path *p)
{
	struct tfs_node *n, *child;
	int err = root_dirty(vol, tree, &n);

	if (!err && index_full(n))
		err = root_grow(vol, tree, &n);
	if (err)
		return err;
	p->height = n->level + 1;
	p->lo = KEY_MIN;
	p->hi = KEY_MAX;
	while (n->level) {
		u32 slot = tfs_branch_find(n->buf, key);
		struct tfs_key child_hi = p->hi;

		err = child_get(vol, n, slot, &child_hi, &child);
		if (!err)
			err = tfs_cache_dirty(vol, &child);
		if (err)
			return err;
		branch_point(n, slot, child);
		if (index_full(child)) {
			err = split_index(vol, n, slot, child, key);
			if (err)
				return err;
			continue; /* choose between the halves */
		}
		p->node[n->level] = n;
		p->slot[n->level] = slot;
		p->lo = tfs_node_key(n->buf, slot);
		p->hi = child_hi;
		n = child;
	}
	p->node[0] = n;
	return 0;
}

int tfs_tree_dirty(struct tfs_vol *vol, int tree, struct tfs_key key, struct tfs_node **leaf)
{
	const struct tfs_finger *f = tfs_finger_find(vol, tree, key);
	struct path p;
	int err;

	if (f && f->leaf->epoch == vol->epoch) { /* so is the way to it: a node becomes dirty after its parent */
		*leaf = f->leaf;
		return 0;
	}
	err = descend_dirty(vol, tree, key, &p);
	if (err)
		return err;
	*leaf = p.node[0];
	tfs_finger_set(vol, tree, *leaf, p.lo, p.hi);
	return 0;
}

/* Where to cut a leaf: behind everything when key is behind everything, else where the bytes halve. */
static u32 leaf_cut(struct tfs_node *leaf, struct tfs_key key)
{
	u32 n = tfs_node_count(leaf->buf), sum = 0, half, i, len;
	bool exact;

	if (tfs_node_search(leaf->buf, key, &exact) == n)
		return n;
	half = (TFS_NODE_SIZE - (u32)sizeof(struct tfs_node_head) - tfs_leaf_free(leaf->buf)) / 2;
	for (i = 0; i < n - 1 && sum < half; i++) {
		tfs_leaf_value(leaf->buf, i, &len);
		sum += tfs_leaf_cost(len);
	}
	return i ? i : 1;
}

/* How many of the leaf's first items, below key, fit into `free` bytes; *bytes: what they take. */
static u32 items_that_fit(struct tfs_node *leaf, struct tfs_key key, u32 free, u32 *bytes)
{
	u32 n = tfs_node_count(leaf->buf), below, i, len;
	bool exact;

	below = tfs_node_search(leaf->buf, key, &exact);
	*bytes = 0;
	for (i = 0; i < below && i + 1 < n; i++) {
		tfs_leaf_value(leaf->buf, i, &len);
		if (*bytes + tfs_leaf_cost(len) > free)
			break;
		*bytes += tfs_leaf_cost(len);
	}
	return i;
}

/*
 * In bulk mode a full leaf first gives items to its left neighbour, if that is of the open epoch too: names come in the
 * order of their hashes, between items that came before, and plain splitting leaves leaves little more than half full.
 * Only the bound between the two moves. Ends: items only ever go left.
 */
static bool shift_left(struct tfs_vol *vol, const struct path *p, struct tfs_key key)
{
	struct tfs_node *leaf = p->node[0], *parent = p->node[1], *left;
	u32 slot = p->slot[1], n, bytes, i;

	left = slot ? tfs_cache_find(vol, tfs_le64(tfs_branch_at(parent->buf, slot - 1)->ptr.addr)) : NULL;
	if (!left || left->epoch != vol->epoch)
		return false;
	n = items_that_fit(leaf, key, tfs_leaf_free(left->buf), &bytes);
	if (bytes < TFS_NODE_SIZE / 16)
		return false;
	tfs_fingers_forget(vol);
	for (i = 0; i < n; i++) {
		u32 len;
		const void *v = tfs_leaf_value(leaf->buf, i, &len);

		tfs_leaf_insert(left->buf, vol->node_scratch, tfs_node_count(left->buf), tfs_node_key(leaf->buf, i), v,
		                len);
	}
	while (n)
		tfs_leaf_remove(leaf->buf, --n);
	if (tfs_key_cmp(key, tfs_node_key(leaf->buf, 0)) > 0)
		key = tfs_node_key(leaf->buf, 0);
	tfs_branch_at(parent->buf, slot)->key = (struct tfs_disk_key){tfs_cpu64(key.a), tfs_cpu64(key.b)};
	return true;
}

int tfs_tree_split(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	struct path p;
	struct tfs_node *root;
	struct tfs_key lo;
	u32 at;
	int err = descend_dirty(vol, tree, key, &p);

	if (err || (vol->bulk && p.height > 1 && shift_left(vol, &p, key)))
		return err;
	if (p.height == 1) {
		root = p.node[0];
		err = root_grow(vol, tree, &root);
		if (err)
			return err;
		p.node[1] = root;
		p.slot[1] = 0;
	}
	TFS_BUG_ON(!tfs_node_count(p.node[0]->buf));
	at = leaf_cut(p.node[0], key);
	lo = at == tfs_node_count(p.node[0]->buf) ? key : tfs_node_key(p.node[0]->buf, at);
	return split_at(vol, p.node[1], p.slot[1], p.node[0], at, lo);
}

/* ---- the apply phase ---- */

static void spot_prepared(struct tfs_vol *vol, int tree, struct tfs_key key, struct spot *s)
{
	TFS_BUG_ON(spot_find(vol, tree, key, s));
	TFS_BUG_ON(s->leaf->epoch != vol->epoch); /* not prepared */
}

void tfs_item_put(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value, u32 len)
{
	struct spot s;
	u32 old;

	spot_prepared(vol, tree, key, &s);
	if (s.exact) {
		void *at = tfs_leaf_value(s.leaf->buf, s.slot, &old);

		if (old == len) { /* no garbage, and the slots stay */
			memcpy(at, value, len);
			return;
		}
		tfs_leaf_remove(s.leaf->buf, s.slot);
	}
	tfs_leaf_insert(s.leaf->buf, vol->node_scratch, s.slot, key, value, len);
}

void tfs_item_del(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	struct spot s;

	spot_prepared(vol, tree, key, &s);
	TFS_BUG_ON(!s.exact);
	tfs_leaf_remove(s.leaf->buf, s.slot);
}

static void *value_of(struct tfs_vol *vol, int tree, struct tfs_key key, u32 *len)
{
	struct spot s;

	spot_prepared(vol, tree, key, &s);
	return s.exact ? (void *)tfs_leaf_value(s.leaf->buf, s.slot, len) : NULL;
}

void *tfs_item_have(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	u32 len;

	return value_of(vol, tree, key, &len);
}

void *tfs_item_edit(struct tfs_vol *vol, int tree, struct tfs_key key, u32 *len)
{
	u32 n;
	void *v = value_of(vol, tree, key, len ? len : &n);

	TFS_BUG_ON(!v);
	return v;
}

int tfs_tree_ensure(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value, u32 len)
{
	struct tfs_node *leaf;
	bool exact;
	u32 slot, found;
	int err = tfs_tree_dirty(vol, tree, key, &leaf);

	if (err)
		return err;
	slot = tfs_node_search(leaf->buf, key, &exact);
	if (exact) {
		tfs_leaf_value(leaf->buf, slot, &found);
		return found == len ? 0 : tfs_corrupt(vol, 0, "segment map or table of another size");
	}
	while (tfs_leaf_free(leaf->buf) < tfs_leaf_cost(len)) {
		err = tfs_tree_split(vol, tree, key);
		if (!err)
			err = tfs_tree_dirty(vol, tree, key, &leaf);
		if (err)
			return err;
	}
	tfs_item_put(vol, tree, key, value, len);
	return 0;
}

/* ---- drops of old nodes: booked once the SPACE leaves for them are dirty, which drops further nodes ---- */

int tfs_push_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	struct tfs_drop *d = tfs_port_alloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ptr = *ptr;
	d->next = vol->drops;
	vol->drops = d;
	return 0;
}

/* SPACE and SNAP are no part of a snapshot: born after any, their old nodes are free at once. */
int tfs_push_node_drop(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr)
{
	struct tfs_ptr p = *ptr;

	if (tree == TFS_TREE_SPACE || tree == TFS_TREE_SNAP)
		p.birth = ~0ull;
	return tfs_push_drop(vol, &p);
}

/* Ends because every round dirties nodes that were not: at most a path of SPACE and one of SNAP each time. */
int tfs_settle_drops(struct tfs_vol *vol)
{
	struct tfs_drop *d;

	if (vol->repairing) /* kept until tfs_repair_finish: their blocks must not be reused before it is durable */
		return 0;
	while ((d = vol->drops)) {
		int err;

		vol->drops = d->next;
		err = tfs_ptr_prepare(vol, &d->ptr);
		if (err) {
			d->next = vol->drops;
			vol->drops = d;
			return err;
		}
		tfs_ptr_drop(vol, &d->ptr);
		tfs_port_free(d);
	}
	return 0;
}

/* ---- replacing a damaged node ---- */

/* An empty leaf, and index nodes above it up to `level`, all with the same lower bound. */
static struct tfs_node *blank_chain(struct tfs_vol *vol, int tree, int level, struct tfs_key lo)
{
	struct tfs_node *n = tfs_cache_new(vol, tree, 0), *up;

	while (n && n->level < level) {
		struct tfs_ptr ptr = mem_ptr(n);

		up = tfs_cache_new(vol, tree, n->level + 1);
		if (up)
			tfs_branch_insert(up->buf, 0, lo, &ptr);
		n = up;
	}
	return n;
}

int tfs_tree_blank(struct tfs_vol *vol, int tree, struct tfs_key lo, int level)
{
	struct tfs_node *n, *blank;
	struct tfs_key hi = KEY_MAX;
	struct tfs_ptr old;
	u32 slot;
	int err = root_get(vol, tree, &n);

	if (err == -EIO) { /* the root itself: an empty tree */
		err = tfs_push_node_drop(vol, tree, &vol->root[tree]);
		if (!err)
			vol->root[tree].addr = 0;
		return err;
	}
	if (!err)
		err = root_dirty(vol, tree, &n);
	while (!err && n->level > level + 1) {
		struct tfs_node *parent = n;

		slot = tfs_branch_find(n->buf, lo);
		err = child_get(vol, parent, slot, &hi, &n);
		if (!err)
			err = tfs_cache_dirty(vol, &n);
		if (!err)
			branch_point(parent, slot, n);
	}
	if (err || n->level <= level) /* the root, which could be read this time */
		return err;
	slot = tfs_branch_find(n->buf, lo);
	err = child_get(vol, n, slot, &hi, &blank);
	if (err != -EIO) /* so could this one: it stays */
		return err;
	old = tfs_ptr_cpu(&tfs_branch_at(n->buf, slot)->ptr);
	blank = blank_chain(vol, tree, level, tfs_node_key(n->buf, slot));
	if (!blank)
		return -ENOMEM;
	tfs_fingers_forget(vol); /* leaves below it may be in memory */
	branch_point(n, slot, blank);
	return tfs_push_node_drop(vol, tree, &old);
}

/* ---- merging ---- */

static bool node_small(const struct tfs_node *n)
{
	return n->level ? tfs_node_count(n->buf) < TFS_BRANCH_MAX / 4 : tfs_leaf_free(n->buf) > TFS_NODE_SIZE * 3 / 4;
}

/* An empty leaf always goes: where many stood in a row, each search through them would read all of them. */
static bool nodes_fit(const struct tfs_node *x, const struct tfs_node *y)
{
	if (!x->level && (!tfs_node_count(x->buf) || !tfs_node_count(y->buf)))
		return true;
	if (x->level)
		return tfs_node_count(x->buf) + tfs_node_count(y->buf) <= TFS_BRANCH_MAX * 3 / 4;
	return tfs_leaf_free(x->buf) + tfs_leaf_free(y->buf) >= TFS_NODE_SIZE + TFS_NODE_SIZE / 4;
}

static int sibling_dirty(struct tfs_vol *vol, struct tfs_node *parent, u32 slot, struct tfs_node **out)
{
	/* its upper bound is known when it is not the last; the parent's own was checked on the way down */
	struct tfs_key hi = KEY_MAX;
	int err = child_get(vol, parent, slot, &hi, out);

	if (!err)
		err = tfs_cache_dirty(vol, out);
	if (!err)
		branch_point(parent, slot, *out);
	return err;
}

/* Merges the child at p->slot[level + 1] with its right or left neighbour. */
static int merge_level(struct tfs_vol *vol, struct path *p, int level)
{
	struct tfs_node *parent = p->node[level + 1], *left, *right;
	u32 slot = p->slot[level + 1], n = tfs_node_count(parent->buf);
	int err;

	if (n < 2 || !node_small(p->node[level]))
		return 0;
	if (slot + 1 == n)
		slot--;
	err = sibling_dirty(vol, parent, slot, &left);
	if (!err)
		err = sibling_dirty(vol, parent, slot + 1, &right);
	if (err || !nodes_fit(left, right))
		return err;
	if (level)
		index_move(left, right, 0);
	else
		tfs_leaf_move(left->buf, vol->node_scratch, right->buf, 0);
	tfs_branch_remove(parent->buf, slot + 1);
	tfs_cache_forget(vol, right);
	p->node[level] = left;
	return 0;
}

static void root_shrink(struct tfs_vol *vol, int tree)
{
	struct tfs_node *root;

	while (!root_get(vol, tree, &root) && root->level && tfs_node_count(root->buf) == 1 &&
	       root->epoch == vol->epoch) {
		vol->root[tree] = tfs_ptr_cpu(&tfs_branch_at(root->buf, 0)->ptr);
		tfs_cache_forget(vol, root);
	}
}

void tfs_tidy(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	struct spot s;
	struct path p;
	int level;

	if (spot_find(vol, tree, key, &s) || !node_small(s.leaf))
		return;
	if (descend(vol, tree, key, &p) || p.height == 1 || descend_dirty(vol, tree, key, &p))
		return;
	for (level = 0; level + 1 < p.height; level++)
		if (merge_level(vol, &p, level))
			return;
	root_shrink(vol, tree);
}

/* ---- walking every node, for tools ---- */

struct walk {
	tfs_node_fn fn;
	void *arg;
	struct tfs_key lo[TFS_HEIGHT_MAX], hi[TFS_HEIGHT_MAX];
};

static int walk_report(struct walk *w, int tree, int level, struct tfs_node *n, const struct tfs_ptr *ptr, int err)
{
	struct tfs_node_info info = {.tree = (u8)tree, .level = (u8)level, .err = err};

	info.lo = w->lo[level];
	info.hi = w->hi[level];
	if (!(ptr->addr & TFS_MEM_ADDR))
		info.ptr = *ptr;
	if (n)
		info.node = n->buf;
	return w->fn(w->arg, &info);
}

static bool never(void *arg, const struct tfs_ptr *ptr)
{
	(void)arg;
	(void)ptr;
	return false;
}

/* Nodes below level `low` are not read. */
static int walk(struct tfs_vol *vol, int tree, int low, tfs_skip_fn skip, tfs_node_fn fn, void *arg)
{
	struct walk w = {.fn = fn, .arg = arg};
	struct tfs_node *node[TFS_HEIGHT_MAX];
	u32 next[TFS_HEIGHT_MAX];
	struct tfs_ptr ptr;
	int level, top, l, err = tfs_settle_drops(vol);

	ptr = vol->root[tree];
	if (err || !ptr.addr || skip(arg, &ptr))
		return err;
	tfs_cache_trim(vol);
	w.lo[0] = KEY_MIN;
	w.hi[0] = KEY_MAX;
	err = tfs_cache_get(vol, tree, &ptr, -1, KEY_MIN, KEY_MAX, &node[0]);
	if (err)
		return walk_report(&w, tree, 0, NULL, &ptr, err);
	top = level = node[0]->level;
	if (top < low)
		return 0;
	node[top] = node[0];
	w.lo[top] = KEY_MIN;
	w.hi[top] = KEY_MAX;
	next[top] = 0;
	err = walk_report(&w, tree, top, node[top], &ptr, 0);
	while (!err && level <= top) {
		struct tfs_node *n = node[level];

		if (level == low || next[level] == tfs_node_count(n->buf)) {
			level++;
			continue;
		}
		for (l = top; l >= level; l--)
			tfs_cache_touch(vol, node[l]); /* held over what fn reads */
		ptr = tfs_ptr_cpu(&tfs_branch_at(n->buf, next[level])->ptr);
		w.lo[level - 1] = tfs_node_key(n->buf, next[level]);
		w.hi[level - 1] = branch_hi(n, next[level], w.hi[level]);
		next[level]++;
		if (skip(arg, &ptr))
			continue;
		err = tfs_cache_get(vol, tree, &ptr, level - 1, w.lo[level - 1], w.hi[level - 1], &node[level - 1]);
		if (!err) {
			level--;
			next[level] = 0;
		}
		err = walk_report(&w, tree, err ? level - 1 : level, err ? NULL : node[level], &ptr, err);
	}
	return err;
}

int tfs_tree_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg)
{
	return walk(vol, tree, 0, never, fn, arg);
}

int tfs_tree_walk_new(struct tfs_vol *vol, int tree, tfs_skip_fn skip, tfs_node_fn fn, void *arg)
{
	return walk(vol, tree, 0, skip, fn, arg);
}

int tfs_index_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg)
{
	return walk(vol, tree, 1, never, fn, arg);
}
