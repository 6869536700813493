// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The tree in memory: bytes in one arena, objects and attributes in arrays, so that a volume of some hundred thousand
 * files costs some ten MB. A symbol is its place in the arena; the same bytes are there once, and so names compare as
 * numbers. A tuple's attributes are a chain; those of tuples with many are in a hash besides. The hashes are seeded at
 * random: a crafted volume cannot aim at them. Called by decode.c, files.c and writers.
 */
#include "tfs/nanos/nanos.h"

#define BIG 16u /* attributes from which a tuple's are hashed */
#define ARENA_HEAD 8u
#define ARENA_LIMIT 0xfffffff0ull

int nanos_grow(void *array, u32 *max, u64 need, size_t each)
{
	void *old, *more;
	u64 n = *max ? *max : 64;

	if (need <= *max)
		return 0;
	while (n < need)
		n += n / 2;
	if (n > 0xfffffff0u)
		return -ENOMEM;
	memcpy(&old, array, sizeof(old));
	more = tfs_port_alloc(n * each);
	if (!more)
		return -ENOMEM;
	if (old)
		memcpy(more, old, *max * each);
	tfs_port_free(old);
	memcpy(array, &more, sizeof(more));
	*max = (u32)n;
	return 0;
}

/* ---- bytes ---- */

const u8 *nanos_bytes(const struct nanos_vol *vol, u64 at, u32 *len)
{
	memcpy(len, vol->arena + at, 4);
	return vol->arena + at + ARENA_HEAD;
}

static int arena_room(struct nanos_vol *vol, u64 need)
{
	u64 n = vol->arena_max ? vol->arena_max : 4096;
	u8 *more;

	if (need <= vol->arena_max)
		return 0;
	while (n < need)
		n += n / 2;
	if (need > ARENA_LIMIT)
		return -ENOMEM;
	more = tfs_port_alloc(n);
	if (!more)
		return -ENOMEM;
	if (vol->arena_max)
		memcpy(more, vol->arena, vol->arena_used);
	else
		memset(more, 0, ARENA_HEAD);
	tfs_port_free(vol->arena);
	vol->arena = more;
	vol->arena_max = n;
	return 0;
}

static int arena_add(struct nanos_vol *vol, const void *bytes, u32 len, u32 *at)
{
	u32 zero = 0;
	int err;

	if (!vol->arena_used)
		vol->arena_used = ARENA_HEAD; /* 0 is no place */
	err = arena_room(vol, vol->arena_used + ARENA_HEAD + len);
	if (err)
		return err;
	*at = (u32)vol->arena_used;
	memcpy(vol->arena + *at, &len, 4);
	memcpy(vol->arena + *at + 4, &zero, 4);
	if (len)
		memcpy(vol->arena + *at + ARENA_HEAD, bytes, len);
	vol->arena_used += ARENA_HEAD + len;
	return 0;
}

int nanos_value_bytes(struct nanos_vol *vol, enum nanos_type type, const void *bytes, u32 len, struct nanos_value *out)
{
	u32 at;
	int err = arena_add(vol, bytes, len, &at);

	*out = (struct nanos_value){.n = at, .type = (u8)type};
	return err;
}

/* ---- hashes ---- */

static u64 mix(u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static u64 hash_bytes(const struct nanos_vol *vol, const u8 *p, u32 len)
{
	u64 h = vol->seed ^ len, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = mix(h ^ word) + vol->seed;
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	return mix(h ^ word);
}

static u32 *symbol_slot(const struct nanos_vol *vol, u32 *table, u32 size, const u8 *name, u32 len)
{
	u32 i = (u32)hash_bytes(vol, name, len) & (size - 1), n;

	for (; table[i]; i = (i + 1) & (size - 1)) {
		const u8 *have = nanos_bytes(vol, table[i], &n);

		if (n == len && (!len || !memcmp(have, name, len)))
			break;
	}
	return &table[i];
}

static u32 *table_new(u32 size)
{
	u32 *t = size > 1u << 30 ? NULL : tfs_port_alloc(size * sizeof(*t));

	if (t)
		memset(t, 0, size * sizeof(*t));
	return t;
}

static int symbols_room(struct nanos_vol *vol)
{
	u32 size = vol->symbols_max ? 2 * vol->symbols_max : 256, *more, len;

	if (2 * vol->symbols < vol->symbols_max)
		return 0;
	more = table_new(size);
	if (!more)
		return -ENOMEM;
	for (u32 i = 0; i < vol->symbols_max; i++)
		if (vol->symbol[i]) {
			const u8 *name = nanos_bytes(vol, vol->symbol[i], &len);

			*symbol_slot(vol, more, size, name, len) = vol->symbol[i];
		}
	tfs_port_free(vol->symbol);
	vol->symbol = more;
	vol->symbols_max = size;
	return 0;
}

u32 nanos_symbol(struct nanos_vol *vol, const void *name, u32 len, bool make)
{
	u32 *slot, at;

	if (!make) {
		slot = vol->symbols_max ? symbol_slot(vol, vol->symbol, vol->symbols_max, name, len) : NULL;
		return slot ? *slot : 0;
	}
	if (symbols_room(vol))
		return 0;
	slot = symbol_slot(vol, vol->symbol, vol->symbols_max, name, len);
	if (*slot)
		return *slot;
	if (arena_add(vol, name, len, &at))
		return 0;
	vol->symbols++;
	return *slot = at;
}

/* The owner of an attribute is not in it: the hash holds pairs {tuple, attribute}. */
static u32 big_hash(const struct nanos_vol *vol, u32 tuple, u32 name)
{
	return (u32)mix(vol->seed ^ ((u64)tuple << 32 | name));
}

static u32 *big_slot(const struct nanos_vol *vol, u32 *table, u32 size, u32 tuple, u32 name)
{
	u32 i = big_hash(vol, tuple, name) & (size - 1);

	while (table[2 * i + 1] && !(table[2 * i] == tuple && vol->attr[table[2 * i + 1]].name == name))
		i = (i + 1) & (size - 1);
	return table + 2 * (size_t)i;
}

static int bigs_room(struct nanos_vol *vol, u32 more_entries)
{
	u32 size = vol->bigs_max ? vol->bigs_max : 256, *more, *slot;

	while (size / 2 < vol->bigs + more_entries) {
		if (size >= 1u << 28)
			return -ENOMEM;
		size *= 2;
	}
	if (size == vol->bigs_max)
		return 0;
	more = table_new(2 * size);
	if (!more)
		return -ENOMEM;
	for (u32 i = 0; i < vol->bigs_max; i++)
		if (vol->big[2 * (size_t)i + 1]) {
			u32 *old = vol->big + 2 * (size_t)i;

			slot = big_slot(vol, more, size, old[0], vol->attr[old[1]].name);
			slot[0] = old[0];
			slot[1] = old[1];
		}
	tfs_port_free(vol->big);
	vol->big = more;
	vol->bigs_max = size;
	return 0;
}

static void big_add(struct nanos_vol *vol, u32 tuple, u32 attr)
{
	u32 *slot = big_slot(vol, vol->big, vol->bigs_max, tuple, vol->attr[attr].name);

	slot[0] = tuple;
	slot[1] = attr;
	vol->bigs++;
}

/* ---- objects and attributes ---- */

int nanos_object_new(struct nanos_vol *vol, enum nanos_kind kind, u32 *out)
{
	int err;

	if (!vol->entries)
		vol->entries = 1;
	err = nanos_grow(&vol->entry, &vol->entries_max, vol->entries + 1ull, sizeof(*vol->entry));
	if (err)
		return err;
	*out = vol->entries++;
	vol->entry[*out] = (struct nanos_entry){.kind = (u8)kind};
	return 0;
}

/* The slot of a name, also of one that was removed; 0: there is none. */
static u32 attr_find(const struct nanos_vol *vol, u32 tuple, u32 name)
{
	const struct nanos_entry *e = &vol->entry[tuple];

	if (e->slots > BIG)
		return big_slot(vol, vol->big, vol->bigs_max, tuple, name)[1];
	for (u32 i = e->first; i; i = vol->attr[i].next)
		if (vol->attr[i].name == name)
			return i;
	return 0;
}

struct nanos_attr *nanos_get(const struct nanos_vol *vol, u32 tuple, u32 name)
{
	u32 i = name ? attr_find(vol, tuple, name) : 0;

	return i && vol->attr[i].v.type != NANOS_NONE ? &vol->attr[i] : NULL;
}

const struct nanos_value *nanos_find(struct nanos_vol *vol, u32 tuple, const char *name)
{
	u32 len = 0;
	struct nanos_attr *a;

	while (name[len])
		len++;
	a = nanos_get(vol, tuple, nanos_symbol(vol, name, len, false));
	return a ? &a->v : NULL;
}

static int attr_add(struct nanos_vol *vol, u32 object, u32 name, struct nanos_value v, u32 *out)
{
	struct nanos_entry *e = &vol->entry[object];
	int err;

	if (!vol->attrs)
		vol->attrs = 1;
	err = nanos_grow(&vol->attr, &vol->attrs_max, vol->attrs + 1ull, sizeof(*vol->attr));
	if (err)
		return err;
	*out = vol->attrs++;
	vol->attr[*out] = (struct nanos_attr){.v = v, .name = name};
	if (e->last)
		vol->attr[e->last].next = *out;
	else
		e->first = *out;
	e->last = *out;
	e->slots++;
	return 0;
}

int nanos_append(struct nanos_vol *vol, u32 vector, struct nanos_value v)
{
	u32 i;

	return attr_add(vol, vector, 0, v, &i);
}

int nanos_set(struct nanos_vol *vol, u32 tuple, u32 name, struct nanos_value v)
{
	u32 i = attr_find(vol, tuple, name), slots = vol->entry[tuple].slots;
	int err;

	if (i) {
		vol->attr[i].v = v;
		return 0;
	}
	if (v.type == NANOS_NONE)
		return 0;
	err = slots >= BIG ? bigs_room(vol, BIG + 1) : 0;
	if (!err)
		err = attr_add(vol, tuple, name, v, &i);
	if (err || slots < BIG)
		return err;
	if (slots > BIG) {
		big_add(vol, tuple, i);
		return 0;
	}
	for (i = vol->entry[tuple].first; i; i = vol->attr[i].next) /* it has become big */
		big_add(vol, tuple, i);
	return 0;
}

int nanos_set_named(struct nanos_vol *vol, u32 tuple, const char *name, struct nanos_value v)
{
	u32 len = 0, symbol;

	while (name[len])
		len++;
	symbol = nanos_symbol(vol, name, len, true);
	return symbol ? nanos_set(vol, tuple, symbol, v) : -ENOMEM;
}

/* ---- numbers ---- */

int nanos_decimal(const u8 *s, u32 len, u64 *out)
{
	u64 n = 0;

	if (!len || len > 20 || (len > 1 && s[0] == '0'))
		return -EINVAL;
	for (u32 i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || n > (~0ull - (s[i] - '0')) / 10)
			return -EINVAL;
		n = n * 10 + (s[i] - '0');
	}
	*out = n;
	return 0;
}

int nanos_number(const struct nanos_vol *vol, const struct nanos_value *v, u64 *out)
{
	const u8 *s;
	u32 len;

	if (!v)
		return -EINVAL;
	if (v->type == NANOS_INT) {
		*out = v->n;
		return v->negative && v->n ? -EINVAL : 0;
	}
	if (v->type != NANOS_BYTES && v->type != NANOS_STRING)
		return -EINVAL;
	s = nanos_bytes(vol, v->n, &len);
	return nanos_decimal(s, len, out);
}
