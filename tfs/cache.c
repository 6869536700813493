// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The nodes in memory. One hash over all: a clean node is found by its address, a dirty one by a number of its own
 * (TFS_MEM_ADDR | n), which its parent holds in place of an address until a checkpoint gives it one. Three states:
 *   clean   epoch 0, on vol->lru, may go in tfs_cache_trim; or on vol->ahead: read ahead, and nobody has asked for it
 *   dirty   epoch == vol->epoch, on vol->dirty
 *   frozen  epoch == vol->ck.epoch, on vol->ck.frozen: being written; a change copies it first
 * Trimming takes the least recently used of at least TFS_CACHE_MIN clean nodes, more than an operation can touch, so
 * pointers into nodes are good within one.
 */
#include "tfs/vol.h"

/* Two streams at once: a walk reads names and inodes in turn, a diff the older and the newer tree. When they waited at
 * the old end of the LRU, a full cache dropped what one had read ahead when the other did. */
#define AHEAD_MAX (2 * TFS_AHEAD_NODES)

static struct tfs_node **bucket(struct tfs_vol *vol, u64 id)
{
	return &vol->hash[(id * 0x9e3779b97f4a7c15ull) >> 54 & (TFS_HASH_BUCKETS - 1)];
}

struct tfs_node *tfs_cache_find(struct tfs_vol *vol, u64 id)
{
	struct tfs_node *n = *bucket(vol, id);

	while (n && n->id != id)
		n = n->hash_next;
	return n;
}

static void hash_add(struct tfs_vol *vol, struct tfs_node *n)
{
	struct tfs_node **b = bucket(vol, n->id);

	n->hash_next = *b;
	*b = n;
}

static void hash_remove(struct tfs_vol *vol, struct tfs_node *n)
{
	struct tfs_node **p = bucket(vol, n->id);

	while (*p != n)
		p = &(*p)->hash_next;
	*p = n->hash_next;
}

void tfs_list_add(struct tfs_list_head *l, struct tfs_node *n)
{
	n->next = NULL;
	n->prev = l->last;
	if (l->last)
		l->last->next = n;
	else
		l->first = n;
	l->last = n;
	l->count++;
}

void tfs_list_remove(struct tfs_list_head *l, struct tfs_node *n)
{
	if (n->prev)
		n->prev->next = n->next;
	else
		l->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		l->last = n->prev;
	l->count--;
}

/* ---- nodes in the order of their keys ---- */

static bool node_before(const struct tfs_node *a, const struct tfs_node *b)
{
	u32 an = tfs_node_count(a->buf), bn = tfs_node_count(b->buf);

	if (a->tree != b->tree)
		return a->tree < b->tree;
	return bn && (!an || tfs_key_cmp(tfs_node_key(a->buf, 0), tfs_node_key(b->buf, 0)) < 0);
}

/* Both by `next` alone; b is the younger where they are equal. */
static struct tfs_node *merge(struct tfs_node *a, struct tfs_node *b)
{
	struct tfs_node *first = NULL, **end = &first;

	while (a && b) {
		struct tfs_node **from = node_before(b, a) ? &b : &a;

		*end = *from;
		end = &(*from)->next;
		*from = (*from)->next;
	}
	*end = a ? a : b;
	return first;
}

/* By merging; part[i] has 2^i nodes or none. */
void tfs_list_sort(struct tfs_list_head *l)
{
	struct tfs_node *part[32] = {NULL}, *n, *next, *sorted = NULL;
	u32 i;

	for (n = l->first; n; n = next) {
		next = n->next;
		n->next = NULL;
		for (i = 0; part[i]; i++) {
			n = merge(part[i], n);
			part[i] = NULL;
		}
		part[i] = n;
	}
	for (i = 0; i < 32; i++)
		sorted = merge(part[i], sorted);
	memset(l, 0, sizeof(*l));
	for (n = sorted; n; n = next) {
		next = n->next;
		tfs_list_add(l, n);
	}
}

static void node_free(struct tfs_node *n)
{
	tfs_port_free(n->buf);
	tfs_port_free(n);
}

/* One that may have been found before. */
static void node_drop(struct tfs_vol *vol, struct tfs_node *n)
{
	tfs_fingers_forget(vol);
	node_free(n);
}

static void clean_remove(struct tfs_vol *vol, struct tfs_node *n)
{
	tfs_list_remove(n->ahead ? &vol->ahead : &vol->lru, n);
	n->ahead = false;
}

static void clean_drop(struct tfs_vol *vol, struct tfs_node *n)
{
	hash_remove(vol, n);
	clean_remove(vol, n);
	node_drop(vol, n);
}

static struct tfs_node *node_alloc(void)
{
	struct tfs_node *n = tfs_port_alloc(sizeof(*n));

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->buf = tfs_port_alloc(TFS_NODE_SIZE);
	if (!n->buf) {
		tfs_port_free(n);
		return NULL;
	}
	return n;
}

/* ---- stored form ---- */

static u32 lz4(u8 *to, u32 room, const u8 *body, u32 bytes)
{
	return (u32)tfs_port_compress(TFS_CODEC_LZ4, 0, to, room, body, bytes);
}

/* By columns; or, where that takes more than half, as it is, if this saves a unit more: values that come again and again
 * are one match of LZ4's, and as many as they have bytes in columns. */
static u32 columns_pack(const u8 *node, int *codec, u8 *out, u8 *spare)
{
	const u32 head = sizeof(struct tfs_node_head), body = TFS_NODE_SIZE - head;
	u32 stored, plain;

	memcpy(out, node, TFS_NODE_SIZE);
	tfs_columns_out(spare, out);
	stored = lz4(out + head, body - TFS_UNIT, spare, body);
	if (stored && stored <= body / 2)
		return stored;
	plain = lz4(spare, (stored ? stored : body) - TFS_UNIT, node + head, body);
	if (!plain)
		return stored;
	memcpy(out + head, spare, plain);
	*codec = TFS_CODEC_LZ4;
	return plain;
}

/* The body as one stream that saves a unit at least, which pays for the decoding; its bytes, 0: there is none. */
static u32 body_pack(const u8 *node, int *codec, u8 *out, u8 *spare)
{
	const u32 head = sizeof(struct tfs_node_head), body = TFS_NODE_SIZE - head;

	if (*codec == TFS_NODE_COLUMNS && tfs_node_count(node) >= TFS_COLUMN_ROWS)
		return columns_pack(node, codec, out, spare);
	if (*codec == TFS_NODE_COLUMNS)
		*codec = TFS_CODEC_LZ4;
	return (u32)tfs_port_compress(*codec, 0, out + head, body - TFS_UNIT, node + head, body);
}

u32 tfs_node_store(const u8 *node, int codec, u8 *out, u8 *spare)
{
	struct tfs_node_head *h = (struct tfs_node_head *)out;
	const u32 body = TFS_NODE_SIZE - sizeof(*h);
	u32 stored, bytes;

	stored = body_pack(node, &codec, out, spare);
	memcpy(h, node, sizeof(*h));
	h->codec = tfs_cpu16((u16)(stored ? codec : TFS_CODEC_NONE));
	h->check = 0;
	if (!stored) {
		memcpy(out + sizeof(*h), node + sizeof(*h), body);
		stored = body;
	}
	h->stored = tfs_cpu32(stored);
	bytes = (stored + (u32)sizeof(*h) + TFS_UNIT - 1) & ~(TFS_UNIT - 1);
	memset(out + sizeof(*h) + stored, 0, bytes - stored - sizeof(*h));
	h->check = tfs_cpu32(tfs_port_crc32c(0, out, bytes));
	return bytes;
}

int tfs_node_decode(u8 *buf, const u8 *in, u32 bytes, u8 *spare, const char **why)
{
	struct tfs_node_head *h = (struct tfs_node_head *)buf;
	const u32 body = TFS_NODE_SIZE - sizeof(*h);
	u32 stored, codec;
	bool columns;
	int err;

	memcpy(h, in, sizeof(*h));
	stored = tfs_le32(h->stored);
	codec = tfs_le16(h->codec);
	*why = "stored length out of range";
	if (stored > bytes - sizeof(*h))
		return -EIO;
	columns = codec == TFS_NODE_COLUMNS;
	if (columns || (codec && codec < TFS_CODEC_COUNT)) {
		*why = "node does not decode";
		err = tfs_port_decompress(columns ? TFS_CODEC_LZ4 : (int)codec, columns ? spare : buf + sizeof(*h),
		                          body, in + sizeof(*h), stored);
		if (err || (columns && !tfs_columns_in(buf, spare)))
			return err == -ENOMEM ? err : -EIO;
	} else if (codec || stored != body) {
		*why = "unknown node codec";
		return -EIO;
	} else {
		memcpy(buf + sizeof(*h), in + sizeof(*h), body);
	}
	h->stored = 0;
	h->codec = 0;
	h->check = 0;
	*why = NULL;
	return 0;
}

u32 tfs_node_find(u8 *stored, u32 bytes, u64 volume, u8 *node)
{
	struct tfs_node_head *h = (struct tfs_node_head *)stored;
	u32 len = tfs_le32(h->stored), check = tfs_le32(h->check);
	const char *why;
	bool whole;

	if (tfs_le32(h->magic) != TFS_MAGIC || tfs_le64(h->volume) != volume || len > TFS_NODE_SIZE)
		return 0;
	len = (len + (u32)sizeof(*h) + TFS_UNIT - 1) & ~(TFS_UNIT - 1);
	if (len > bytes)
		return 0;
	h->check = 0;
	whole = tfs_port_crc32c(0, stored, len) == check;
	h->check = tfs_cpu32(check);
	return whole && !tfs_node_decode(node, stored, len, node + TFS_NODE_SIZE, &why) && !tfs_node_check(node, volume)
	           ? len
	           : 0;
}

/* That a sound node is the one the parent means. */
static const char *node_in_place(const u8 *buf, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                                 struct tfs_key hi)
{
	const struct tfs_node_head *h = (const struct tfs_node_head *)buf;
	u32 n = tfs_node_count(buf);

	if (h->tree != tree || (level >= 0 && h->level != level))
		return "node of another tree or level";
	if (tfs_le64(h->birth) != ptr->birth)
		return "node of another birth";
	if (h->level && tfs_key_cmp(tfs_node_key(buf, 0), lo))
		return "first branch differs from the parent's key";
	if (n && (tfs_key_cmp(tfs_node_key(buf, 0), lo) < 0 || tfs_key_cmp(tfs_node_key(buf, n - 1), hi) >= 0))
		return "keys outside of the parent's range";
	return NULL;
}

static int node_damaged(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, const char *why)
{
	tfs_err(vol, "tree %d node at unit %llu: %s; run fsck.tfs", tree, (unsigned long long)ptr->addr, why);
	tfs_event(vol, TFS_EVENT_DAMAGED, 0, ptr->addr);
	return -EIO;
}

/* A node as it is stored, its CRC verified, to one in memory. *why, when it is not sound, and -EIO; or -ENOMEM. */
static int node_load(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                     struct tfs_key hi, const u8 *stored, struct tfs_node **out, const char **why)
{
	u8 *spare = vol->node_scratch + 2 * TFS_NODE_SIZE;
	struct tfs_node *n = node_alloc();
	int err;

	*why = NULL;
	if (!n)
		return -ENOMEM;
	err = tfs_node_decode(n->buf, stored, ptr->len * TFS_UNIT, spare, why);
	if (!err)
		*why = tfs_node_check(n->buf, vol->volume);
	if (!err && !*why)
		*why = node_in_place(n->buf, tree, ptr, level, lo, hi);
	if (err == -ENOMEM || *why) {
		node_free(n);
		return err == -ENOMEM ? err : -EIO;
	}
	n->id = ptr->addr;
	n->ptr = *ptr;
	n->tree = (u8)tree;
	n->level = (u8)tfs_node_level(n->buf);
	hash_add(vol, n);
	*out = n;
	return 0;
}

static bool stored_bytes_valid(const struct tfs_ptr *ptr)
{
	return ptr->len && ptr->len * TFS_UNIT <= TFS_NODE_SIZE + TFS_UNIT;
}

static int node_read(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                     struct tfs_key hi, struct tfs_node **out)
{
	const char *why;
	int err;

	if (!stored_bytes_valid(ptr))
		return node_damaged(vol, tree, ptr, "pointer length out of range");
	err = tfs_read_ptr(vol, ptr, vol->node_scratch, true);
	if (err)
		return err == -ENOMEM ? err : node_damaged(vol, tree, ptr, "cannot be read or CRC differs");
	err = node_load(vol, tree, ptr, level, lo, hi, vol->node_scratch, out, &why);
	if (err)
		return err == -ENOMEM ? err : node_damaged(vol, tree, ptr, why);
	tfs_list_add(&vol->lru, *out);
	tfs_cache_trim(vol); /* the oldest: what an operation holds is far younger, see TFS_CACHE_MIN */
	return 0;
}

bool tfs_cache_offer(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                     struct tfs_key hi, const u8 *stored)
{
	struct tfs_node *n;
	const char *why;

	if (!stored_bytes_valid(ptr) || tfs_cache_find(vol, ptr->addr) ||
	    tfs_port_crc32c(0, stored, ptr->len * TFS_UNIT) != ptr->crc ||
	    node_load(vol, tree, ptr, level, lo, hi, stored, &n, &why))
		return false;
	if (vol->ahead.count >= AHEAD_MAX)
		clean_drop(vol, vol->ahead.first);
	n->ahead = true;
	tfs_list_add(&vol->ahead, n);
	return true;
}

void tfs_cache_touch(struct tfs_vol *vol, struct tfs_node *n)
{
	if (n->epoch || vol->lru.last == n)
		return;
	clean_remove(vol, n);
	tfs_list_add(&vol->lru, n);
	tfs_cache_trim(vol); /* it may have come from the others */
}

int tfs_cache_get(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                  struct tfs_key hi, struct tfs_node **out)
{
	struct tfs_node *n = tfs_cache_find(vol, ptr->addr);

	if (!n) {
		TFS_BUG_ON(ptr->addr & TFS_MEM_ADDR);
		return node_read(vol, tree, ptr, level, lo, hi, out);
	}
	/* a crafted image may name one node twice */
	if (n->tree != tree || (level >= 0 && n->level != level) ||
	    (!n->epoch &&
	     (n->ptr.crc != ptr->crc || n->ptr.birth != ptr->birth || node_in_place(n->buf, tree, ptr, level, lo, hi))))
		return node_damaged(vol, tree, ptr, "named by two pointers");
	tfs_cache_touch(vol, n);
	*out = n;
	return 0;
}

/* ---- changes of state ---- */

static void make_dirty(struct tfs_vol *vol, struct tfs_node *n)
{
	n->id = TFS_MEM_ADDR | ++vol->next_mem;
	n->epoch = vol->epoch;
	n->placed = n->superseded = false;
	memset(&n->ptr, 0, sizeof(n->ptr));
	tfs_fingers_forget(vol);
	hash_add(vol, n);
	tfs_list_add(&vol->dirty, n);
}

struct tfs_node *tfs_cache_new(struct tfs_vol *vol, int tree, int level)
{
	struct tfs_node *n = node_alloc();

	if (!n)
		return NULL;
	tfs_node_init(n->buf, tree, level, vol->volume);
	n->tree = (u8)tree;
	n->level = (u8)level;
	make_dirty(vol, n);
	return n;
}

int tfs_cache_dirty(struct tfs_vol *vol, struct tfs_node **node)
{
	struct tfs_node *n = *node, *copy;
	int err;

	if (n->epoch == vol->epoch)
		return 0;
	if (!n->epoch) { /* the buffer changes hands, no copy */
		err = tfs_push_node_drop(vol, n->tree, &n->ptr);
		if (err)
			return err;
		hash_remove(vol, n);
		clean_remove(vol, n);
		make_dirty(vol, n);
		return 0;
	}
	copy = node_alloc();
	if (!copy)
		return -ENOMEM;
	memcpy(copy->buf, n->buf, TFS_NODE_SIZE);
	copy->tree = n->tree;
	copy->level = n->level;
	make_dirty(vol, copy);
	n->superseded = true; /* its place is dropped when the checkpoint has claimed it */
	*node = copy;
	return 0;
}

void tfs_cache_forget(struct tfs_vol *vol, struct tfs_node *n)
{
	hash_remove(vol, n);
	tfs_list_remove(&vol->dirty, n);
	node_drop(vol, n);
}

void tfs_cache_stale(struct tfs_vol *vol, u64 addr)
{
	struct tfs_node *n = tfs_cache_find(vol, addr);

	if (n)
		clean_drop(vol, n);
}

void tfs_cache_clean(struct tfs_vol *vol, struct tfs_node *n)
{
	hash_remove(vol, n);
	if (n->superseded) {
		node_drop(vol, n);
		return;
	}
	tfs_cache_stale(vol, n->ptr.addr); /* the same, read by its place, as by who looks into a snapshot */
	n->id = n->ptr.addr;
	n->epoch = 0;
	n->placed = false;
	hash_add(vol, n);
	tfs_list_add(&vol->lru, n);
}

void tfs_cache_trim(struct tfs_vol *vol)
{
	while (vol->lru.count > vol->cache_max)
		clean_drop(vol, vol->lru.first);
}

static void list_destroy(struct tfs_vol *vol, struct tfs_list_head *l)
{
	struct tfs_node *n;

	while ((n = l->first)) {
		tfs_list_remove(l, n);
		node_drop(vol, n);
	}
}

void tfs_cache_destroy(struct tfs_vol *vol)
{
	struct tfs_drop *d;

	list_destroy(vol, &vol->lru);
	list_destroy(vol, &vol->ahead);
	list_destroy(vol, &vol->dirty);
	list_destroy(vol, &vol->ck.frozen);
	while ((d = vol->drops)) {
		vol->drops = d->next;
		tfs_port_free(d);
	}
}
