// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Repacking, a part of prune: of a pack of which little is needed, what is needed is copied into a new one, a moved list
 * says so (moved.c), and the old pack is condemned. Ranges are copied as they are sealed, after the whole pack was held
 * against its name. A new pack begins with random bytes, so that its name stands on no condemned list of another prune.
 *
 * What is needed is gathered backup by backup, exactly, for packs of which little is needed so far: that takes a bit for
 * 512 bytes of such a pack and 8 bytes for a range, MEMORY in all; packs beyond it wait for another prune. Copying
 * takes two packs of memory. After each BATCH a list is put and what it moves is done: killed, the next prune goes on
 * from there; what was put without a list is a leftover like any other.
 */
#include "backup/prune.h"

#include <stdlib.h>

#define HEAD ((u32)sizeof(struct bk_head) + BK_NONCE) /* of a pack, before its ranges */
#define MEMORY (64u << 20)
#define BATCH_ENTRIES (1u << 20)
#define BATCH_PACKS 16u
#define TARGET_MIN (16u << 20) /* a pack of 64 MiB then fills no more than struct repack has room for */
#define LISTS_MAX 8u           /* more are written as one */

struct piece {
	u32 offset, bytes;
};
struct used { /* a pack that is needed */
	u8 name[BK_HASH];
	u32 size, pieces;
	size_t pieces_max;
	u64 need;
	u8 *bit;
	struct piece *piece;
	bool busy;      /* much of it is needed, or nobody looked closely */
	bool old, seen; /* seen: it is in the store, whole */
};
struct bk_use {
	struct used *used;
	size_t count, max, slots;
	u32 *slot; /* hash table: index + 1 */
	u32 percent;
	u64 memory;
};

/* ---- what is needed ---- */

struct bk_use *bk_use_new(u32 percent)
{
	struct bk_use *u = calloc(1, sizeof(*u));

	if (u)
		u->percent = percent;
	return u;
}

static void forget(struct bk_use *u, struct used *p)
{
	if (p->bit)
		u->memory -= p->size / TFS_UNIT / 8 + 1;
	u->memory -= p->pieces_max * sizeof(*p->piece);
	free(p->bit);
	free(p->piece);
	p->bit = NULL;
	p->piece = NULL;
	p->pieces_max = p->pieces = 0;
	p->busy = true;
}

void bk_use_free(struct bk_use *u)
{
	for (size_t i = 0; u && i < u->count; i++)
		forget(u, &u->used[i]);
	if (u) {
		free(u->used);
		free(u->slot);
	}
	free(u);
}

static size_t slot_of(const struct bk_use *u, const u8 name[BK_HASH])
{
	size_t i;

	memcpy(&i, name, sizeof(i)); /* it is a hash */
	for (i &= u->slots - 1; u->slot[i] && memcmp(u->used[u->slot[i] - 1].name, name, BK_HASH);)
		i = (i + 1) & (u->slots - 1);
	return i;
}

static struct used *use_find(const struct bk_use *u, const u8 name[BK_HASH])
{
	size_t i = u->slots ? slot_of(u, name) : 0;

	return u->slots && u->slot[i] ? &u->used[u->slot[i] - 1] : NULL;
}

bool bk_use_live(const struct bk_use *u, const u8 name[BK_HASH])
{
	return use_find(u, name) != NULL;
}

void bk_use_old(struct bk_use *u, const u8 name[BK_HASH])
{
	struct used *p = use_find(u, name);

	if (p)
		p->old = true;
}

void bk_use_seen(struct bk_use *u, const u8 name[BK_HASH], u64 size)
{
	struct used *p = use_find(u, name);

	if (p && p->size == size)
		p->seen = true;
}

const u8 *bk_use_missing(const struct bk_use *u)
{
	for (size_t i = 0; i < u->count; i++)
		if (!u->used[i].seen)
			return u->used[i].name;
	return NULL;
}

static int slots_grow(struct bk_use *u)
{
	size_t slots = u->slots ? 2 * u->slots : 1024;
	u32 *slot = calloc(slots, sizeof(*slot));

	if (!slot)
		return bk_no_memory();
	free(u->slot);
	u->slot = slot;
	u->slots = slots;
	for (size_t i = 0; i < u->count; i++)
		u->slot[slot_of(u, u->used[i].name)] = (u32)i + 1;
	return 0;
}

static int use_get(struct bk_use *u, const struct bk_pack_ref *k, struct used **out)
{
	int code = bk_grow(&u->used, &u->max, u->count + 1, sizeof(*u->used));
	size_t i;

	if (!code && 2 * u->count >= u->slots)
		code = slots_grow(u);
	if (code)
		return code;
	i = slot_of(u, k->name);
	if (!u->slot[i]) {
		struct used p = {.size = k->size, .busy = !u->percent};

		memcpy(p.name, k->name, BK_HASH);
		u->used[u->count++] = p;
		u->slot[i] = (u32)u->count;
	}
	*out = &u->used[u->slot[i] - 1];
	return 0;
}

static int piece_add(struct bk_use *u, struct used *p, u32 offset, u32 bytes)
{
	u32 n = offset / TFS_UNIT; /* ranges are longer than that: each has a bit of its own */
	size_t had = p->pieces_max;
	int code;

	if (!p->bit) {
		p->bit = calloc(p->size / TFS_UNIT / 8 + 1, 1);
		if (!p->bit)
			return bk_no_memory();
		u->memory += p->size / TFS_UNIT / 8 + 1;
	}
	if (p->bit[n / 8] >> n % 8 & 1)
		return 0;
	p->bit[n / 8] |= (u8)(1u << n % 8);
	code = bk_grow(&p->piece, &p->pieces_max, p->pieces + 1, sizeof(*p->piece));
	u->memory += (p->pieces_max - had) * sizeof(*p->piece);
	if (code)
		return code;
	p->piece[p->pieces++] = (struct piece){offset, bytes};
	p->need += bytes;
	if (p->need * 100 >= (u64)(p->size - HEAD) * u->percent || u->memory > MEMORY)
		forget(u, p);
	return 0;
}

int bk_use_add(struct bk_use *u, const struct bk_index *x, const u8 *marks)
{
	int code = 0;

	for (size_t i = 0; !code && i < x->places; i++) {
		const struct bk_place *place = &x->place[i];
		struct used *p;

		if (!marks[i])
			continue;
		code = use_get(u, &x->pack[place->pack], &p);
		if (!code && !p->busy)
			code = piece_add(u, p, place->offset, BK_SEALED + place->units * TFS_UNIT);
	}
	return code;
}

/* ---- a batch, and the list of what it moved ---- */

struct target {
	u8 name[BK_HASH];
	u32 size;
};
struct repack {
	struct bk_repo *r;
	struct bk_use *u;
	const struct bk_repack_ops *ops;
	void *arg;
	struct used **pack; /* the packs of this batch */
	size_t packs;
	struct bk_moves moves;
	struct target
	    target[4 * BATCH_PACKS]; /* put for this batch, the last one still open; one pack fills 9 at most */
	u32 targets;
	u8 *buf; /* the open one; NULL: none */
	u32 size, room;
	u64 generation;
	s64 began; /* by the store's clock, before the first pack of the batch was put */
	bool merged;
};

static int list_put(struct repack *p)
{
	u8 *plain, digest[BK_HASH];
	int err, code;
	size_t len;

	plain = bk_moved_encode(&p->moves, p->generation, &len);
	if (plain && len > BK_MOVED_MAX) { /* nobody could read it, nor any backup then */
		free(plain);
		return tfs_cli_fail(BK_HOST, "moved",
		                    "a list of %zu bytes, expected %u at most: nothing of this part was moved; "
		                    "prune again with a lower --repack",
		                    len, BK_MOVED_MAX);
	}
	code = plain ? bk_save(p->r, BK_MOVED, NULL, NULL, 0, plain, len, 0, digest, &err) : bk_no_memory();
	free(plain);
	return code;
}

static bool use_has(void *arg, const u8 name[BK_HASH])
{
	return bk_use_live(arg, name);
}

/* Many lists become one, with the first that is put: the old ones are then in the way of nothing and are condemned. */
static int merge(struct repack *p)
{
	size_t lists = 0;
	int code;

	if (p->merged || p->r->moveds <= LISTS_MAX)
		return 0;
	p->merged = true;
	code = bk_moved_merge(p->r, &p->moves, BK_MOVED_MAX, use_has, p->u, &lists);
	if (!code)
		p->ops->merged(p->arg, lists);
	return code;
}

/* ---- copying ---- */

static int target_close(struct repack *p)
{
	struct target *t = &p->target[p->targets];
	char name[BK_KEY_MAX];
	int err;

	if (!p->buf)
		return 0;
	bk_name(p->r->crypt, BK_PACK, p->buf, p->size, t->name);
	t->size = p->size;
	bk_object_name(name, BK_PACK, t->name);
	err = p->targets ? 0 : tfs_store_now(p->r->store, &p->began);
	if (!err)
		err = tfs_store_put(p->r->store, name, p->buf, p->size, 0);
	free(p->buf);
	p->buf = NULL;
	if (err)
		return bk_store_failed(p->r, err, BK_STORE);
	for (size_t i = p->moves.count; i-- && p->moves.move[i].to_pack == t->name;)
		p->moves.move[i].to_size = t->size;
	p->targets++;
	p->ops->put(p->arg, t->size);
	return 0;
}

static int target_begin(struct repack *p, u32 bytes)
{
	u32 most = p->r->o->pack_bytes > TARGET_MIN ? (u32)p->r->o->pack_bytes : TARGET_MIN;

	p->room = HEAD + bytes > most ? HEAD + bytes : most;
	p->buf = malloc(p->room);
	if (!p->buf)
		return bk_no_memory();
	bk_head_fill((struct bk_head *)p->buf, BK_PACK);
	bk_random(p->buf + sizeof(struct bk_head), BK_NONCE);
	p->size = HEAD;
	return 0;
}

static int range_copy(struct repack *p, const struct used *from, const u8 *data, const struct piece *piece)
{
	int code = p->buf && piece->bytes > p->room - p->size ? target_close(p) : 0;

	if (!code && !p->buf)
		code = target_begin(p, piece->bytes);
	if (!code)
		code = bk_moves_add(
		    &p->moves, (struct bk_move){from->name, p->target[p->targets].name, piece->offset, p->size, 0});
	if (code)
		return code;
	memcpy(p->buf + p->size, data + piece->offset, piece->bytes);
	p->size += piece->bytes;
	return 0;
}

static int pack_copy(struct repack *p, const struct used *from)
{
	char name[BK_KEY_MAX];
	void *data;
	int code = bk_pack_load(p->r, from->name, from->size, name, &data);

	for (u32 i = 0; !code && i < from->pieces; i++)
		code = range_copy(p, from, data, &from->piece[i]);
	free(data);
	return code;
}

/* How long ago the first pack of the batch was put; an exit code. */
static int age_of(struct repack *p, s64 *age)
{
	s64 now;
	int err = tfs_store_now(p->r->store, &now);

	*age = now - p->began;
	return err ? bk_store_failed(p->r, err, BK_STORE) : 0;
}

/* Until the list is there, another prune may take the new packs for leftovers: condemned after a grace time, deleted
 * after two. */
static int in_time(struct repack *p)
{
	s64 age;
	int code = age_of(p, &age);

	if (code || age < p->r->grace)
		return code;
	return tfs_cli_fail(
	    BK_OVERTAKEN, p->r->url,
	    "copying took %lld s, and the grace time is %u s: another prune may have taken the new packs "
	    "for leftovers; run prune again, or with --repack 0",
	    (long long)age, p->r->grace);
}

/* A batch that is slow is ended early, so that the next one goes on from there. */
static int batch_full(struct repack *p, bool *full)
{
	s64 age = 0;
	int code = p->targets ? age_of(p, &age) : 0;

	*full = p->moves.count >= BATCH_ENTRIES || p->targets >= BATCH_PACKS || age >= p->r->grace / 2;
	return code;
}

/* Packs first, then the list, then the old packs are given up: see REPOSITORY.md. */
static int batch_end(struct repack *p)
{
	int code = target_close(p);

	if (!code && p->moves.count)
		code = merge(p);
	if (!code && p->moves.count)
		code = in_time(p);
	if (!code && p->moves.count)
		code = list_put(p);
	for (size_t i = 0; !code && i < p->packs; i++)
		code = p->ops->moved(p->arg, p->pack[i]->name, p->pack[i]->size, p->pack[i]->need);
	p->packs = p->moves.count = p->targets = 0;
	p->generation++;
	return code;
}

static int by_name(const void *a, const void *b)
{
	return memcmp((*(struct used *const *)a)->name, (*(struct used *const *)b)->name, BK_HASH);
}

static size_t choose(const struct bk_use *u, struct used **out)
{
	size_t n = 0;

	for (size_t i = 0; i < u->count; i++)
		if (u->used[i].old && !u->used[i].busy)
			out[n++] = &u->used[i];
	qsort(out, n, sizeof(*out), by_name);
	return n;
}

int bk_repack(struct bk_repo *r, struct bk_use *u, const struct bk_repack_ops *ops, void *arg)
{
	struct repack p = {.r = r, .u = u, .ops = ops, .arg = arg, .generation = 1};
	struct used **chosen = malloc((u->count + 1) * sizeof(*chosen));
	size_t n = chosen ? choose(u, chosen) : 0;
	int code = chosen ? 0 : bk_no_memory();
	bool full;

	for (size_t i = 0; i < r->moveds; i++)
		if (r->moved[i].generation >= p.generation)
			p.generation = r->moved[i].generation + 1;
	p.pack = chosen;
	for (size_t i = 0; !code && i < n; i++) {
		if (r->o->dry_run) {
			code = ops->moved(arg, chosen[i]->name, chosen[i]->size, chosen[i]->need);
			continue;
		}
		code = pack_copy(&p, chosen[i]);
		p.packs++;
		if (!code)
			code = batch_full(&p, &full);
		if (!code && full) {
			code = batch_end(&p);
			p.pack = chosen + i + 1;
		}
	}
	if (!code && p.packs)
		code = batch_end(&p);
	free(p.buf);
	free(p.moves.move);
	free(chosen);
	return code;
}
