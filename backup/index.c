// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The index: which ranges of a volume lie where in packs. A shard holds some of it, pack by pack; a backup's shards
 * together hold all that its snapshot needs, and maybe more: what later snapshots replaced stays in old shards. So a
 * place is found by address, and of several that hold a unit the one born last is meant: of what a snapshot holds,
 * nothing was placed over it before the snapshot was made. 32 bytes a range in memory. Decoding and encoding of shards,
 * manifests and moved lists are here: pure computation, which the fuzzers call (fuzz/backup.c).
 */
#include "backup/backup.h"

#include <stdlib.h>

#define UNITS_MAX 65536u

void bk_index_free(struct bk_index *x)
{
	free(x->pack);
	free(x->place);
	memset(x, 0, sizeof(*x));
}

/* ---- decoding ---- */

static const char *entry_add(struct bk_index *x, const struct bk_entry *e, u32 pack, u32 size)
{
	struct bk_place p = {.addr = tfs_le64(e->addr),
	                     .birth = tfs_le64(e->birth),
	                     .units = tfs_le32(e->units),
	                     .pack = pack,
	                     .offset = tfs_le32(e->offset)};

	if (p.addr >> 45 || !p.birth || p.birth > TFS_EPOCH_MAX || !p.units || p.units > UNITS_MAX)
		return "names a range that no volume has";
	if (p.offset < sizeof(struct bk_head) || p.offset > size || p.units * TFS_UNIT + BK_SEALED > size - p.offset)
		return "names a range past the end of its pack";
	x->place[x->places++] = p;
	if (p.units > x->longest)
		x->longest = p.units;
	return NULL;
}

static const char *group_add(struct bk_index *x, const u8 **at, const u8 *end, u64 *entries)
{
	const struct bk_group *g = (const struct bk_group *)*at;
	const struct bk_entry *e = (const struct bk_entry *)(g + 1);
	const char *why = NULL;
	u32 count, size;

	if ((size_t)(end - *at) < sizeof(*g))
		return "is cut short";
	count = tfs_le32(g->count);
	size = tfs_le32(g->size);
	if (count > (size_t)(end - (const u8 *)e) / sizeof(*e) || size > BK_PACK_MAX || count > *entries)
		return "has more ranges than bytes";
	*entries -= count;
	if (bk_grow(&x->pack, &x->packs_max, x->packs + 1, sizeof(*x->pack)))
		return "needs more memory";
	struct bk_pack_ref *p = &x->pack[x->packs];

	memcpy(p->name, g->pack, BK_HASH);
	memcpy(p->run, g->run, BK_RUN);
	p->number = tfs_le32(g->number);
	p->size = size;
	p->lists = 0;
	for (u32 i = 0; !why && i < count; i++)
		why = entry_add(x, &e[i], (u32)x->packs, size);
	x->packs++;
	*at = (const u8 *)(e + count);
	return why;
}

static const char *groups_add(struct bk_index *x, const struct bk_shard *s, const u8 *raw)
{
	const u8 *at = raw, *end = raw + tfs_le32(s->raw);
	u64 left = tfs_le32(s->entries);
	const char *why = NULL;

	if (left > tfs_le32(s->raw) / sizeof(struct bk_entry))
		return "has more ranges than bytes";
	if (bk_grow(&x->place, &x->places_max, x->places + left, sizeof(*x->place)))
		return "needs more memory";
	for (u32 i = 0; !why && i < tfs_le32(s->groups); i++)
		why = group_add(x, &at, end, &left);
	return why ? why : left || at != end ? "has another number of ranges than it says" : NULL;
}

const char *bk_shard_decode(struct bk_index *x, const u8 *plain, size_t len)
{
	const struct bk_shard *s = (const struct bk_shard *)plain;
	const char *why;
	u8 *raw;
	u32 bytes;

	if (len < sizeof(*s))
		return "is shorter than a shard";
	bytes = tfs_le32(s->raw);
	if (bytes > BK_SHARD_RAW_MAX || (x->volume && tfs_le64(s->volume) != x->volume))
		return bytes > BK_SHARD_RAW_MAX ? "is larger than a shard can be" : "is of another volume";
	raw = malloc(bytes + 1);
	if (!raw)
		return "needs more memory";
	x->volume = tfs_le64(s->volume);
	why = tfs_port_decompress(TFS_CODEC_ZLIB, raw, bytes, plain + sizeof(*s), len - sizeof(*s))
	          ? "does not decompress to what it says"
	          : groups_add(x, s, raw);
	free(raw);
	return why;
}

/* ---- encoding ---- */

static int by_pack(const void *a, const void *b)
{
	const struct bk_place *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Groups and entries; bytes of it. Packs without a place are left out. */
static size_t raw_fill(const struct bk_index *x, const struct bk_place *place, u8 *raw, u32 *groups)
{
	size_t at = 0, i = 0;

	for (*groups = 0; i < x->places; ++*groups) {
		const struct bk_pack_ref *p = &x->pack[place[i].pack];
		struct bk_group g = {.number = tfs_cpu32(p->number), .size = tfs_cpu32(p->size)};
		size_t head = at, first = i;

		memcpy(g.pack, p->name, BK_HASH);
		memcpy(g.run, p->run, BK_RUN);
		at += sizeof(g);
		for (; i < x->places && place[i].pack == place[first].pack; i++, at += sizeof(struct bk_entry))
			*(struct bk_entry *)(raw + at) =
			    (struct bk_entry){tfs_cpu64(place[i].addr), tfs_cpu64(place[i].birth),
			                      tfs_cpu32(place[i].units), tfs_cpu32(place[i].offset)};
		g.count = tfs_cpu32((u32)(i - first));
		memcpy(raw + head, &g, sizeof(g));
	}
	return at;
}

u8 *bk_shard_encode(const struct bk_index *x, size_t *len)
{
	size_t max = x->packs * sizeof(struct bk_group) + x->places * sizeof(struct bk_entry), bytes, packed;
	struct bk_place *place = malloc((x->places + 1) * sizeof(*place));
	u8 *raw = malloc(max + 1), *plain = malloc(sizeof(struct bk_shard) + max + max / 256 + 256);
	struct bk_shard *s = (struct bk_shard *)plain;
	u32 groups;

	if (place && raw && plain && max <= BK_SHARD_RAW_MAX) {
		if (x->places)
			memcpy(place, x->place, x->places * sizeof(*place));
		qsort(place, x->places, sizeof(*place), by_pack);
		bytes = raw_fill(x, place, raw, &groups);
		*s = (struct bk_shard){.volume = tfs_cpu64(x->volume),
		                       .raw = tfs_cpu32((u32)bytes),
		                       .groups = tfs_cpu32(groups),
		                       .entries = tfs_cpu32((u32)x->places)};
		packed = tfs_port_compress(TFS_CODEC_ZLIB, 6, s + 1, max + max / 256 + 256, raw, bytes);
		*len = sizeof(*s) + packed;
		free(raw);
		free(place);
		if (packed)
			return plain;
		free(plain);
		return NULL;
	}
	free(raw);
	free(place);
	free(plain);
	return NULL;
}

/* ---- finding ---- */

static int by_addr(const void *a, const void *b)
{
	const struct bk_place *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->birth < y->birth ? -1 : x->birth > y->birth;
}

void bk_index_sort(struct bk_index *x)
{
	if (x->places)
		qsort(x->place, x->places, sizeof(*x->place), by_addr);
}

const struct bk_place *bk_index_find(const struct bk_index *x, u64 addr, u64 *end)
{
	const struct bk_place *best = NULL;
	size_t lo = 0, hi = x->places;

	while (lo < hi) { /* the first that begins behind addr */
		size_t mid = (lo + hi) / 2;

		if (x->place[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	*end = lo < x->places ? x->place[lo].addr : ~0ull;
	for (size_t i = lo; i-- && addr - x->place[i].addr < x->longest;) {
		const struct bk_place *p = &x->place[i];

		if (addr - p->addr >= p->units || (best && p->birth <= best->birth))
			continue;
		best = p;
	}
	if (best && best->addr + best->units < *end)
		*end = best->addr + best->units;
	return best;
}

/*
 * What is asked for by blocks brings along what shares its first and last one. Where a block was written again, that may
 * be of a tree that no backup has, and the index has what lay there before: its pack may be gone (prune.c). It reads as zeros;
 * should somebody point there all the same, a CRC says so.
 */
bool bk_index_stale(const struct bk_index *x, const struct bk_place *p, u64 at, u64 stop)
{
	u64 block = at / TFS_UNITS_PER_BLOCK * TFS_UNITS_PER_BLOCK, end = block + TFS_UNITS_PER_BLOCK, next;

	for (u64 n = block; stop <= end && stop - at < TFS_UNITS_PER_BLOCK && n < end; n = next) {
		const struct bk_place *q = bk_index_find(x, n, &next);

		if (q && q->birth > p->birth)
			return true;
	}
	return false;
}

/* ---- manifests ---- */

const char *bk_manifest_decode(u8 *plain, size_t len, u64 sequence, struct bk_backup *b)
{
	struct bk_manifest *m = (struct bk_manifest *)plain;
	u64 last = 0;

	if (len < sizeof(*m))
		return "is shorter than a manifest";
	*b = (struct bk_backup){.m = m, .catalogs = tfs_le32(m->catalog), .shards = tfs_le32(m->shards)};
	if (len !=
	    sizeof(*m) + (u64)b->catalogs * sizeof(struct bk_listed) + (u64)b->shards * sizeof(struct bk_shard_ref))
		return "has another length than it says";
	b->catalog = (struct bk_listed *)(m + 1);
	b->shard = (struct bk_shard_ref *)(b->catalog + b->catalogs);
	b->sequence = tfs_le64(m->sequence);
	b->volume = tfs_le64(m->volume);
	if (!sequence || b->sequence != sequence)
		return "is the manifest of another number";
	if (tfs_le32(m->kind) != BK_KIND_BACKUP && tfs_le32(m->kind) != BK_KIND_FORGET)
		return "is a manifest of an unknown kind";
	if (tfs_le32(m->flags) & ~(BK_CATALOG | BK_NANOS))
		return "has flags that this program does not know: a newer one is needed";
	if (b->catalogs && !(tfs_le32(m->flags) & BK_CATALOG))
		return "has a catalog that it does not announce";
	for (u32 i = 0; i < b->catalogs; i++) {
		u64 n = tfs_le64(b->catalog[i].sequence);

		if (n <= last || n >= sequence)
			return "has a catalog that is out of order";
		last = n;
	}
	if (tfs_le32(m->kind) != BK_KIND_BACKUP)
		return b->shards ? "has shards without a backup" : NULL;
	if (tfs_super_check(m->super, 0) || tfs_le64(((struct tfs_super *)m->super)->head.volume) != b->volume)
		return "holds no superblock of its volume";
	if (!m->epoch || tfs_le64(m->epoch) > TFS_EPOCH_MAX / 2 || !m->fs.addr || tfs_le64(m->base) >= sequence)
		return "holds no snapshot";
	return NULL;
}

/* ---- moved lists ---- */

static const char *moved_take(struct bk_moved_list *l, u8 **at, const u8 *end)
{
	struct bk_moved_from *g = (struct bk_moved_from *)*at;
	struct bk_moved_entry *e = (struct bk_moved_entry *)(g + 1);
	u32 count;

	if ((size_t)(end - *at) < sizeof(*g))
		return "is cut short";
	count = tfs_le32(g->count);
	if (!count || count > (size_t)(end - (u8 *)e) / sizeof(*e))
		return "has more ranges than bytes";
	if (l->groups && memcmp(l->group[l->groups - 1]->pack, g->pack, BK_HASH) >= 0)
		return "has packs that are out of order";
	for (u32 i = 0; i < count; i++) {
		if (i && tfs_le32(e[i].from) <= tfs_le32(e[i - 1].from))
			return "has ranges that are out of order";
		if (tfs_le32(e[i].target) >= l->targets || tfs_le32(e[i].to) < sizeof(struct bk_head) ||
		    tfs_le32(e[i].to) >= tfs_le32(l->target[tfs_le32(e[i].target)].size))
			return "names a place past the end of its pack";
	}
	l->group[l->groups++] = g;
	l->entries += count;
	*at = (u8 *)(e + count);
	return NULL;
}

const char *bk_moved_decode(struct bk_moved_list *l, u8 *plain, size_t len)
{
	struct bk_moved *m = (struct bk_moved *)plain;
	u8 *at, *end = plain + len;
	const char *why = NULL;
	u32 groups;

	memset(l, 0, sizeof(*l));
	if (len < sizeof(*m))
		return "is shorter than a list";
	l->generation = tfs_le64(m->generation);
	l->targets = tfs_le32(m->targets);
	groups = tfs_le32(m->groups);
	l->target = (struct bk_moved_to *)(m + 1);
	if (l->targets > (len - sizeof(*m)) / sizeof(*l->target))
		return "has more packs than bytes";
	at = (u8 *)(l->target + l->targets);
	if (groups > (size_t)(end - at) / sizeof(struct bk_moved_from))
		return "has more packs than bytes";
	for (u32 i = 0; i < l->targets; i++)
		if (tfs_le32(l->target[i].size) > BK_PACK_MAX)
			return "names a pack that is too large";
	l->group = malloc((groups + 1) * sizeof(*l->group));
	if (!l->group)
		return "needs more memory";
	while (!why && l->groups < groups)
		why = moved_take(l, &at, end);
	if (!why && at != end)
		why = "has another length than it says";
	if (why) {
		free(l->group);
		l->group = NULL;
	}
	return why;
}
