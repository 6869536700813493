// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `verify`: every backup that is kept is walked from its trees, so that each node is read and opened, and each range it
 * leads to has a place in a pack that is there in full length. --read-data reads the packs as well, all or some: each
 * against its name, each range opened. Keys, intents and condemned lists are opened, too. Goes on after damage and says
 * all of it.
 */
#define _GNU_SOURCE
#include "backup/backup.h"

#include <json-c/json.h>
#include <stdlib.h>

struct object { /* a pack on the store */
	u8 name[BK_HASH];
	u64 size;
	bool read, needed;
};
struct verify {
	struct bk_repo *r;
	struct object *object;
	size_t objects, objects_max;
	struct bk_image *image;
	u8 *marks; /* by pack of the image: looked at */
	u8 *opened;
	struct tfs_progress progress;
	u64 backups, bad_backups, bad, bytes, packs;
	int code;
};

static int bad(struct verify *v, int code)
{
	v->bad++;
	if (!v->code || code == BK_DAMAGE)
		v->code = code;
	return 0;
}

/* ---- the packs there are ---- */

static int object_add(void *arg, const struct tfs_store_entry *e)
{
	struct verify *v = arg;
	const char *slash = strrchr(e->name, '/');
	struct object o = {.size = e->size};
	int code;

	if (!slash || !bk_unhex(slash + 1, o.name, BK_HASH))
		return 0;
	code = bk_grow(&v->object, &v->objects_max, v->objects + 1, sizeof(o));
	if (!code)
		v->object[v->objects++] = o;
	return code;
}

static int object_cmp(const void *a, const void *b)
{
	return memcmp(a, b, BK_HASH);
}

static struct object *object_find(struct verify *v, const u8 name[BK_HASH])
{
	return v->objects ? bsearch(name, v->object, v->objects, sizeof(struct object), object_cmp) : NULL;
}

static int objects_load(struct verify *v)
{
	int code = tfs_store_list(v->r->store, "packs/", NULL, object_add, v);

	if (code)
		return code < 0 ? bk_store_failed(v->r, code, BK_STORE) : code;
	if (v->objects)
		qsort(v->object, v->objects, sizeof(*v->object), object_cmp);
	return 0;
}

/* ---- one backup ---- */

static int pack_missing(const struct bk_pack_ref *k, const struct object *o)
{
	char name[BK_KEY_MAX];

	bk_object_name(name, BK_PACK, k->name);
	return o ? tfs_cli_fail(BK_DAMAGE, name, "has %llu bytes, expected %u", (unsigned long long)o->size, k->size)
	         : tfs_cli_fail(BK_DAMAGE, name, "is missing");
}

/* Each pack is said once, and the backup is bad. */
static int range(void *arg, const struct bk_place *p, u64 addr, u32 units)
{
	struct verify *v = arg;
	const struct bk_pack_ref *k = &v->image->x.pack[p->pack];
	struct object *o;

	(void)addr;
	v->bytes += (u64)units * TFS_UNIT;
	if (v->marks[p->pack])
		return 0;
	v->marks[p->pack] = 1;
	o = object_find(v, k->name);
	if (!o || o->size != k->size)
		return pack_missing(k, o);
	if (!o->needed && !v->r->o->read_percent)
		tfs_progress_add(&v->progress, 1);
	o->needed = true;
	return 0;
}

static int begin(void *arg, const struct bk_backup *b, struct bk_image *i)
{
	struct verify *v = arg;

	(void)b;
	v->image = i;
	free(v->marks);
	v->marks = calloc(i->x.packs + 1, 1);
	return v->marks ? 0 : bk_no_memory();
}

/* ---- their content ---- */

/* By name: what was moved from several packs into one stands there under as many entries. */
static int by_pack(const void *a, const void *b, void *index)
{
	const struct bk_place *const *x = a, *const *y = b;
	const struct bk_pack_ref *pack = ((const struct bk_index *)index)->pack;

	return (*x)->pack == (*y)->pack ? 0 : memcmp(pack[(*x)->pack].name, pack[(*y)->pack].name, BK_HASH);
}

static int places_open(struct verify *v, const struct bk_place **place, size_t n, const u8 *data, const char *name)
{
	int code = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = bk_range_open(v->r, &v->image->x, place[i], data + place[i]->offset, v->opened);

		if (why)
			code = tfs_cli_fail(BK_DAMAGE, name, "range at byte %u %s", place[i]->offset, why);
	}
	return code;
}

/* place: the n places that the index has in it. */
static int pack_read(struct verify *v, const struct bk_place **place, size_t n)
{
	const struct bk_pack_ref *k = &v->image->x.pack[place[0]->pack];
	char name[BK_KEY_MAX];
	void *data;
	int code = bk_pack_load(v->r, k->name, k->size, name, &data);

	if (!data)
		return code;
	if (!code)
		code = places_open(v, place, n, data, name);
	free(data);
	v->packs++;
	return code;
}

static bool chosen(const struct verify *v)
{
	u32 n;

	bk_random(&n, sizeof(n));
	return n % 100 < v->r->o->read_percent;
}

/* A pack that an earlier backup had is not read again. */
static int packs_read(struct verify *v, const struct bk_place **place, size_t places)
{
	int code = 0;

	for (size_t i = 0, end; i < places; i = end) {
		const struct bk_pack_ref *k = &v->image->x.pack[place[i]->pack];
		struct object *o = object_find(v, k->name);
		int err;

		for (end = i; end < places && !by_pack(&place[end], &place[i], &v->image->x); end++)
			;
		if (!o || o->read || o->size != k->size)
			continue;
		o->read = true;
		if (!chosen(v))
			continue;
		err = pack_read(v, place + i, end - i);
		tfs_progress_objects(&v->progress, v->packs);
		tfs_progress_add(&v->progress, o->size);
		code = code ? code : err;
	}
	return code;
}

static int after(void *arg, const struct bk_backup *b, struct bk_image *i)
{
	const struct bk_place **place = malloc((i->x.places + 1) * sizeof(*place));
	struct verify *v = arg;
	int code;

	(void)b;
	v->backups++;
	v->opened = malloc((size_t)i->x.longest * TFS_UNIT + 1);
	if (!place || !v->opened) {
		free(place);
		free(v->opened);
		return bk_no_memory();
	}
	for (size_t n = 0; n < i->x.places; n++)
		place[n] = &i->x.place[n];
	qsort_r(place, i->x.places, sizeof(*place), by_pack, &i->x);
	code = v->r->o->read_percent ? packs_read(v, place, i->x.places) : 0;
	free(place);
	free(v->opened);
	return code;
}

static int failed(void *arg, u64 sequence, int code)
{
	struct verify *v = arg;

	tfs_cli_fail(code, v->r->url, "backup %llu is not whole", (unsigned long long)sequence);
	v->bad_backups++;
	bad(v, code);
	return code == BK_DAMAGE ? 0 : code; /* a store that cannot be reached says nothing of the rest */
}

/* ---- what else there is ---- */

static int doomed(void *arg, const char *list, s64 age, const struct bk_doomed *d)
{
	(void)arg;
	(void)list;
	(void)age;
	(void)d;
	return 0;
}

static void rest(struct verify *v)
{
	struct bk_intent_info *intent = NULL;
	size_t n;
	int code = bk_intents(v->r, &intent, &n);

	free(intent);
	if (code)
		bad(v, code);
	code = bk_condemned(v->r, doomed, NULL);
	if (code)
		bad(v, code);
	code = bk_repo_keys_check(v->r);
	if (code)
		bad(v, code);
}

static void report(const struct verify *v)
{
	struct json_object *o;

	if (!v->r->o->json) {
		if (!v->code && !v->r->o->quiet)
			printf("%llu backups are whole, %llu packs read\n", (unsigned long long)v->backups,
			       (unsigned long long)v->packs);
		return;
	}
	o = json_object_new_object();
	tfs_json_u64(o, "backups", v->backups);
	tfs_json_u64(o, "bad_backups", v->bad_backups);
	tfs_json_u64(o, "bad", v->bad);
	tfs_json_u64(o, "packs", v->objects);
	tfs_json_u64(o, "packs_read", v->packs);
	tfs_json_line(stdout, o);
}

int bk_cmd_verify(struct bk_repo *r)
{
	static const struct bk_all_ops ops = {.range = range, .begin = begin, .after = after, .failed = failed};
	struct verify v = {.r = r};
	int code = objects_load(&v);
	u64 size = 0;

	for (size_t i = 0; i < v.objects; i++)
		size += v.object[i].size;
	tfs_progress_start(&v.progress, r->o->quiet, -1, 1);
	if (r->o->read_percent)
		tfs_progress_pass_bytes(&v.progress, "read", size / 100 * r->o->read_percent, "packs");
	else
		tfs_progress_pass(&v.progress, "packs", v.objects);
	if (!code)
		code = bk_live_all(r, &ops, &v);
	if (!code)
		rest(&v);
	tfs_progress_end(&v.progress);
	report(&v);
	free(v.marks);
	free(v.object);
	return v.code ? v.code : code;
}
