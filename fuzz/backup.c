// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: what stands in a backup repository once it is opened: plaintexts of manifests, index shards and moved lists
 * (a first byte of 255). (Who can make them has the key, or found a way around it.) The first byte chooses. What is taken must lie within the input, name
 * ranges that are within packs and volumes, and come out alike when it is written and read again; finding by address
 * gives a place that holds the address, and goes on.
 */
#include "fuzz/fuzz.h"

#include "backup/backup.h"

#include <stdlib.h>

/* backup/small.c says it on standard error. */
int tfs_cli_fail(int code, const char *object, const char *fmt, ...)
{
	(void)object;
	(void)fmt;
	return code;
}

static void manifest(u8 *data, size_t n)
{
	struct bk_backup b;

	if (bk_manifest_decode(data, n, 7, &b))
		return;
	FUZZ_CHECK((u8 *)(b.shard + b.shards) == data + n, "backup: a manifest of another length is taken");
	FUZZ_CHECK((u8 *)b.catalog >= data && (u8 *)b.shard >= data, "backup: a manifest lies outside");
	for (u32 i = 0; i < b.catalogs; i++)
		FUZZ_CHECK(tfs_le64(b.catalog[i].sequence) < 7, "backup: a catalog names what is to come");
}

static void places_check(const struct bk_index *x)
{
	for (size_t i = 0; i < x->places; i++) {
		const struct bk_place *p = &x->place[i];

		FUZZ_CHECK(p->pack < x->packs && p->units && p->units <= x->longest, "backup: a place without a pack");
		FUZZ_CHECK((u64)p->offset + BK_SEALED + (u64)p->units * TFS_UNIT <= x->pack[p->pack].size,
		           "backup: a place past the end of its pack");
	}
}

static void find(const struct bk_index *x, u64 from)
{
	u64 at = from, end;

	for (int i = 0; i < 100 && at != ~0ull; i++, at = end) {
		const struct bk_place *p = bk_index_find(x, at, &end);

		FUZZ_CHECK(end > at, "backup: finding stands still");
		FUZZ_CHECK(!p || (at >= p->addr && at - p->addr < p->units && end <= p->addr + p->units),
		           "backup: a place that does not hold the address");
	}
}

static void shard(const u8 *plain, size_t n)
{
	struct bk_index x = {0}, y = {0};
	size_t len, more;
	u8 *once, *twice;

	if (!bk_shard_decode(&x, plain, n)) {
		places_check(&x);
		once = bk_shard_encode(&x, &len);
		FUZZ_CHECK(once && !bk_shard_decode(&y, once, len), "backup: a shard cannot be read again");
		FUZZ_CHECK(y.places == x.places && y.volume == x.volume, "backup: a shard loses places");
		twice = bk_shard_encode(&y, &more);
		FUZZ_CHECK(twice && more == len && !memcmp(once, twice, len),
		           "backup: a shard differs when written again");
		free(once);
		free(twice);
		bk_index_sort(&x);
		find(&x, 0);
		if (x.places)
			find(&x, x.place[x.places / 2].addr);
	}
	bk_index_free(&x);
	bk_index_free(&y);
}

/* Raw groups and entries, packed here: a fuzzer makes no zlib stream. */
static void shard_raw(const u8 *data, size_t n)
{
	u8 *plain = malloc(sizeof(struct bk_shard) + 2 * n + 512);
	struct bk_shard *s = (struct bk_shard *)plain;
	size_t bytes;

	if (n >= 8 && plain) {
		*s = (struct bk_shard){.volume = 5, .raw = tfs_cpu32((u32)(n - 8))};
		memcpy(&s->groups, data, 4);
		memcpy(&s->entries, data + 4, 4);
		bytes = tfs_port_compress(TFS_CODEC_ZLIB, 1, s + 1, 2 * n + 512, data + 8, n - 8);
		if (bytes)
			shard(plain, sizeof(*s) + bytes);
	}
	free(plain);
}

static void moved(u8 *data, size_t n)
{
	struct bk_moved_list l;
	const u8 *last = data;
	u64 entries = 0;

	if (bk_moved_decode(&l, data, n))
		return;
	for (u32 i = 0; i < l.groups; i++) {
		const struct bk_moved_entry *e = (const struct bk_moved_entry *)(l.group[i] + 1);
		u32 count = tfs_le32(l.group[i]->count);

		FUZZ_CHECK((const u8 *)l.group[i] >= last && (const u8 *)(e + count) <= data + n,
		           "backup: a moved list lies outside");
		last = (const u8 *)(e + count);
		entries += count;
		for (u32 k = 0; k < count; k++)
			FUZZ_CHECK(tfs_le32(e[k].target) < l.targets, "backup: a range moved to nowhere");
	}
	FUZZ_CHECK(entries == l.entries, "backup: a moved list with another number of ranges");
	free(l.group);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *copy;

	if (!size || size > 1 << 20)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] == 255)
		moved(copy, size - 1);
	else if (data[0] % 3 == 0)
		manifest(copy, size - 1);
	else if (data[0] % 3 == 1)
		shard(copy, size - 1);
	else
		shard_raw(copy, size - 1);
	free(copy);
	return 0;
}
