// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One tree node in its buffer: searching, inserting, removing. Knows no volume and does no I/O. Callers (tree.c,
 * cache.c) see to room first: nothing here can fail. Values are 8-byte aligned, so items can be read as structures.
 * Always: slots ascend; heap <= every value's offset; garbage counts the heap bytes that no slot uses.
 */
#include "tfs/vol.h"

#define HEAD(buf) ((struct tfs_node_head *)(buf))
#define CHEAD(buf) ((const struct tfs_node_head *)(buf))
#define SLOTS(buf) ((struct tfs_slot *)((u8 *)(buf) + sizeof(struct tfs_node_head)))
#define CSLOTS(buf) ((const struct tfs_slot *)((const u8 *)(buf) + sizeof(struct tfs_node_head)))
#define BRANCHES(buf) ((struct tfs_branch *)((u8 *)(buf) + sizeof(struct tfs_node_head)))
#define CBRANCHES(buf) ((const struct tfs_branch *)((const u8 *)(buf) + sizeof(struct tfs_node_head)))

static u32 align8(u32 n)
{
	return (n + 7) & ~7u;
}

void tfs_node_init(void *buf, int tree, int level, u64 volume)
{
	struct tfs_node_head *h = HEAD(buf);

	memset(buf, 0, TFS_NODE_SIZE);
	h->magic = tfs_cpu32(TFS_MAGIC);
	h->type = tfs_cpu16(TFS_BT_NODE);
	h->tree = (u8)tree;
	h->level = (u8)level;
	h->volume = tfs_cpu64(volume);
	h->heap = tfs_cpu16(level ? 0 : TFS_NODE_SIZE);
}

u32 tfs_node_count(const void *buf)
{
	return tfs_le16(CHEAD(buf)->count);
}

static void count_add(void *buf, int n)
{
	HEAD(buf)->count = tfs_cpu16((u16)(tfs_node_count(buf) + n));
}

int tfs_node_level(const void *buf)
{
	return CHEAD(buf)->level;
}

struct tfs_key tfs_node_key(const void *buf, u32 slot)
{
	const struct tfs_disk_key *k = tfs_node_level(buf) ? &CBRANCHES(buf)[slot].key : &CSLOTS(buf)[slot].key;

	return (struct tfs_key){tfs_le64(k->a), tfs_le64(k->b)};
}

u32 tfs_node_search(const void *buf, struct tfs_key key, bool *exact)
{
	const u8 *first = (const u8 *)buf + sizeof(struct tfs_node_head); /* slots and branches begin with their keys */
	u32 step = tfs_node_level(buf) ? sizeof(struct tfs_branch) : sizeof(struct tfs_slot);
	u32 lo = 0, hi = tfs_node_count(buf);

	*exact = false;
	while (lo < hi) {
		u32 mid = (lo + hi) / 2;
		const struct tfs_disk_key *k = (const struct tfs_disk_key *)(first + mid * step);
		u64 a = tfs_le64(k->a), b = tfs_le64(k->b);

		if (a < key.a || (a == key.a && b < key.b)) {
			lo = mid + 1;
		} else if (a == key.a && b == key.b) { /* keys of a node differ */
			*exact = true;
			return mid;
		} else {
			hi = mid;
		}
	}
	return lo;
}

void *tfs_leaf_value(void *buf, u32 slot, u32 *len)
{
	*len = tfs_le16(SLOTS(buf)[slot].len);
	return (u8 *)buf + tfs_le16(SLOTS(buf)[slot].off);
}

static u32 leaf_gap(const void *buf)
{
	return tfs_le16(CHEAD(buf)->heap) - (u32)sizeof(struct tfs_node_head) -
	       tfs_node_count(buf) * (u32)sizeof(struct tfs_slot);
}

u32 tfs_leaf_free(const void *buf)
{
	return leaf_gap(buf) + tfs_le16(CHEAD(buf)->garbage);
}

u32 tfs_leaf_cost(u32 len)
{
	return align8(len) + (u32)sizeof(struct tfs_slot);
}

/* Values in slot order from the end of the node down: the stored form does not depend on history. */
void tfs_leaf_compact(void *buf, u8 *spare)
{
	u32 n = tfs_node_count(buf), heap = TFS_NODE_SIZE, from = tfs_le16(HEAD(buf)->heap), i;
	struct tfs_slot *s = SLOTS(buf);

	memcpy(spare + from, (u8 *)buf + from, TFS_NODE_SIZE - from);
	for (i = 0; i < n; i++) {
		u32 len = align8(tfs_le16(s[i].len));

		heap -= len;
		memcpy((u8 *)buf + heap, spare + tfs_le16(s[i].off), len);
		s[i].off = tfs_cpu16((u16)heap);
	}
	HEAD(buf)->heap = tfs_cpu16((u16)heap);
	HEAD(buf)->garbage = 0;
	memset(&s[n], 0, heap - (sizeof(struct tfs_node_head) + n * sizeof(struct tfs_slot)));
}

void tfs_leaf_insert(void *buf, u8 *spare, u32 slot, struct tfs_key key, const void *value, u32 len)
{
	u32 n = tfs_node_count(buf), heap;
	struct tfs_slot *s = SLOTS(buf);

	TFS_BUG_ON(tfs_leaf_cost(len) > tfs_leaf_free(buf));
	if (leaf_gap(buf) < tfs_leaf_cost(len))
		tfs_leaf_compact(buf, spare);
	heap = tfs_le16(HEAD(buf)->heap) - align8(len);
	memmove(&s[slot + 1], &s[slot], (n - slot) * sizeof(*s));
	s[slot].key = (struct tfs_disk_key){tfs_cpu64(key.a), tfs_cpu64(key.b)};
	s[slot].off = tfs_cpu16((u16)heap);
	s[slot].len = tfs_cpu16((u16)len);
	s[slot].reserved = 0;
	memcpy((u8 *)buf + heap, value, len);
	memset((u8 *)buf + heap + len, 0, align8(len) - len);
	HEAD(buf)->heap = tfs_cpu16((u16)heap);
	count_add(buf, 1);
}

void tfs_leaf_remove(void *buf, u32 slot)
{
	u32 n = tfs_node_count(buf);
	struct tfs_slot *s = SLOTS(buf);

	HEAD(buf)->garbage = tfs_cpu16((u16)(tfs_le16(HEAD(buf)->garbage) + align8(tfs_le16(s[slot].len))));
	memmove(&s[slot], &s[slot + 1], (n - slot - 1) * sizeof(*s));
	memset(&s[n - 1], 0, sizeof(*s));
	count_add(buf, -1);
}

static void leaf_append(void *to, u8 *spare, void *from, u32 slot)
{
	u32 len;
	const void *v = tfs_leaf_value(from, slot, &len);

	tfs_leaf_insert(to, spare, tfs_node_count(to), tfs_node_key(from, slot), v, len);
}

void tfs_leaf_move(void *to, u8 *spare, void *from, u32 slot)
{
	u32 n = tfs_node_count(from), i;

	for (i = slot; i < n; i++)
		leaf_append(to, spare, from, i);
	while (n-- > slot)
		tfs_leaf_remove(from, n);
}

struct tfs_branch *tfs_branch_at(void *buf, u32 slot)
{
	return &BRANCHES(buf)[slot];
}

u32 tfs_branch_find(const void *buf, struct tfs_key key)
{
	bool exact;
	u32 slot = tfs_node_search(buf, key, &exact);

	return exact || !slot ? slot : slot - 1;
}

void tfs_branch_insert(void *buf, u32 slot, struct tfs_key key, const struct tfs_ptr *ptr)
{
	u32 n = tfs_node_count(buf);
	struct tfs_branch *b = BRANCHES(buf);

	TFS_BUG_ON(n >= TFS_BRANCH_MAX);
	memmove(&b[slot + 1], &b[slot], (n - slot) * sizeof(*b));
	b[slot].key = (struct tfs_disk_key){tfs_cpu64(key.a), tfs_cpu64(key.b)};
	b[slot].ptr = tfs_ptr_disk(ptr);
	count_add(buf, 1);
}

void tfs_branch_remove(void *buf, u32 slot)
{
	u32 n = tfs_node_count(buf);
	struct tfs_branch *b = BRANCHES(buf);

	memmove(&b[slot], &b[slot + 1], (n - slot - 1) * sizeof(*b));
	memset(&b[n - 1], 0, sizeof(*b));
	count_add(buf, -1);
}

static const char *leaf_check(const void *node)
{
	const struct tfs_node_head *h = node;
	const struct tfs_slot *s = CSLOTS(node);
	u32 n = tfs_node_count(node), heap = tfs_le16(h->heap), sum = 0, i;

	if (h->garbage)
		return "leaf heap has holes";
	if (heap > TFS_NODE_SIZE || heap < sizeof(*h) + n * sizeof(*s))
		return "leaf heap out of range";
	for (i = 0; i < n; i++) {
		u32 off = tfs_le16(s[i].off), len = tfs_le16(s[i].len);
		struct tfs_key k = tfs_node_key(node, i);
		const char *why;

		if (off < heap || off % 8 || off + len > TFS_NODE_SIZE || len > TFS_ITEM_MAX)
			return "item out of range";
		if (i && tfs_key_cmp(tfs_node_key(node, i - 1), k) >= 0)
			return "keys out of order";
		sum += align8(len);
		why = tfs_item_check(h->tree, k, (const u8 *)node + off, len);
		if (why)
			return why;
	}
	return sum == TFS_NODE_SIZE - heap ? NULL : "leaf heap does not add up";
}

/*
 * Whether a branch before names the same node. Only an empty leaf could be named twice, since it fits any range; a
 * crafted image could so make a search as long as it has branches, at the price of one leaf. seen: a filter.
 */
static bool branch_again(const struct tfs_branch *b, u32 i, u64 *seen)
{
	u32 bit = (u32)(tfs_le64(b[i].ptr.addr) * 0x9e3779b97f4a7c15ull >> 52), j;
	bool maybe = seen[bit / 64] >> bit % 64 & 1;

	seen[bit / 64] |= 1ull << bit % 64;
	for (j = 0; maybe && j < i; j++)
		if (b[j].ptr.addr == b[i].ptr.addr)
			return true;
	return false;
}

static const char *index_check(const void *node)
{
	const struct tfs_branch *b = CBRANCHES(node);
	u32 n = tfs_node_count(node), i;
	u64 seen[64] = {0};

	if (!n || n > TFS_BRANCH_MAX)
		return "branch count out of range";
	for (i = 0; i < n; i++) {
		u32 len = tfs_le16(b[i].ptr.len);

		if (i && tfs_key_cmp(tfs_node_key(node, i - 1), tfs_node_key(node, i)) >= 0)
			return "keys out of order";
		if (!b[i].ptr.addr || tfs_le64(b[i].ptr.addr) >> 45 || !len || len > TFS_NODE_SIZE / TFS_UNIT + 1)
			return "branch pointer out of range";
		if (branch_again(b, i, seen))
			return "two branches name one node";
	}
	return NULL;
}

const char *tfs_node_check(const void *node, u64 volume)
{
	const struct tfs_node_head *h = node;

	if (tfs_le32(h->magic) != TFS_MAGIC || tfs_le16(h->type) != TFS_BT_NODE)
		return "not a tree node";
	if (tfs_le64(h->volume) != volume)
		return "node of another volume";
	if (h->tree >= TFS_TREES || h->level >= TFS_HEIGHT_MAX)
		return "tree or level out of range";
	return h->level ? index_check(node) : leaf_check(node);
}
