// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `prune`: deletes what no backup needs, in two visits. The first condemns: what nothing refers to and was put longer
 * ago than the grace time goes on a list. A later one, when that list is older than the grace time too, deletes what on
 * it nothing refers to still. So a run that commits within the grace time has never lost anything to it, and no lock is
 * needed. What a backup needs is found from its trees: a pack goes when no kept snapshot holds anything in it, or what
 * they hold was copied elsewhere because it was little (repack.c). Memory: 80 bytes a pack, and what repack.c says.
 * Interrupted, it is simply run again.
 */
#include "backup/prune.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <time.h>

#define LIST_MAX 100000u

struct prune {
	struct bk_repo *r;
	struct bk_names live, waiting; /* shards and moved lists that are needed; on condemned lists that are young */
	struct bk_use *use;            /* packs */
	struct bk_image *image;
	u8 *marks; /* by place of the image: needed */
	struct bk_doomed *doomed;
	size_t dooms, dooms_max;
	s64 now;
	u64 condemned, deleted, bytes, young, repacked, written, merged;
	struct tfs_progress progress;
};

/* ---- what is needed ---- */

static void mark(struct prune *p, u64 from, u64 to)
{
	const struct bk_index *x = &p->image->x;

	for (u64 at = from, end; at < to; at = end) {
		const struct bk_place *place = bk_index_find(x, at, &end);

		if (place && !bk_index_stale(x, place, at, end < to ? end : to))
			p->marks[place - x->place] = 1;
	}
}

/* A backup is read by blocks: what was written into one with something needed has to be there, too, though nobody looks
 * at it, and image.c reads it, unless it is stale. */
static int range(void *arg, const struct bk_place *place, u64 addr, u32 units)
{
	struct prune *p = arg;
	u64 block = TFS_UNITS_PER_BLOCK, end = addr + units;

	p->marks[place - p->image->x.place] = 1;
	mark(p, addr / block * block, addr);
	mark(p, end, (end + block - 1) / block * block);
	return 0;
}

static int begin(void *arg, const struct bk_backup *b, struct bk_image *i)
{
	struct prune *p = arg;
	int code = 0;

	p->image = i;
	free(p->marks);
	p->marks = calloc(i->x.places + 1, 1);
	if (!p->marks)
		return bk_no_memory();
	for (u32 s = 0; !code && s < b->shards; s++)
		code = bk_names_have(&p->live, b->shard[s].name) ? 0 : bk_names_add(&p->live, b->shard[s].name);
	tfs_progress_add(&p->progress, 1);
	return code;
}

static int after(void *arg, const struct bk_backup *b, struct bk_image *i)
{
	struct prune *p = arg;
	u64 lists = 0;
	int code = bk_use_add(p->use, &i->x, p->marks);

	(void)b;
	for (size_t n = 0; n < i->x.places; n++)
		if (p->marks[n])
			lists |= i->x.pack[i->x.place[n].pack].lists;
	for (size_t n = 0; !code && n < p->r->moveds; n++)
		if (lists >> (n < 63 ? n : 63) & 1 && !bk_names_have(&p->live, p->r->moved[n].name))
			code = bk_names_add(&p->live, p->r->moved[n].name);
	return code;
}

static bool is_live(struct prune *p, const u8 name[BK_HASH])
{
	return bk_use_live(p->use, name) || bk_names_have(&p->live, name);
}

static int pack_seen(void *arg, const struct tfs_store_entry *e)
{
	const char *slash = strrchr(e->name, '/');
	u8 name[BK_HASH];

	if (slash && bk_unhex(slash + 1, name, BK_HASH))
		bk_use_seen(((struct prune *)arg)->use, name, e->size);
	return 0;
}

/* Nothing is deleted while something needed is missing: what is condemned may be what brings it back. */
static int all_there(struct prune *p)
{
	int err = tfs_store_list(p->r->store, "packs/", NULL, pack_seen, p);
	const u8 *missing = bk_use_missing(p->use);
	char name[BK_KEY_MAX];

	if (err)
		return bk_store_failed(p->r, err, BK_STORE);
	if (!missing)
		return 0;
	bk_object_name(name, BK_PACK, missing);
	return tfs_cli_fail(BK_DAMAGE, name,
	                    "a backup needs it, and it is missing or cut off: nothing is pruned; "
	                    "run verify to see which");
}

/* ---- the second visit ---- */

static int object_delete(struct prune *p, const struct bk_doomed *d)
{
	char name[BK_KEY_MAX];
	int err;

	bk_object_name(name, (int)tfs_le32(d->type), d->name);
	p->deleted++;
	if (p->r->o->dry_run)
		return 0;
	err = tfs_store_delete(p->r->store, name);
	if (err == -EPERM) { /* Object Lock: it is condemned again when that is over */
		tfs_cli_warn(NULL, "%s", tfs_store_error(p->r->store));
		return 0;
	}
	return err ? bk_store_failed(p->r, err, BK_STORE) : 0;
}

static int list_visit(void *arg, const char *list, s64 age, const struct bk_doomed *d)
{
	struct prune *p = arg;
	int err;

	if (age < p->r->grace)
		return d ? bk_names_add(&p->waiting, d->name) : 0;
	if (d)
		return is_live(p, d->name) ? 0 : object_delete(p, d);
	if (p->r->o->dry_run)
		return 0;
	err = tfs_store_delete(p->r->store, list);
	return err ? bk_store_failed(p->r, err, BK_STORE) : 0;
}

/* ---- the first visit ---- */

static int list_put(struct prune *p)
{
	size_t len = sizeof(struct bk_condemned) + p->dooms * sizeof(*p->doomed);
	struct bk_condemned *c = malloc(len);
	char name[BK_KEY_MAX], hex[33];
	u8 id[16];
	int code = 0, err;

	if (!c)
		return bk_no_memory();
	*c = (struct bk_condemned){tfs_cpu64(p->dooms), tfs_cpu64((u64)time(NULL))};
	memcpy(c + 1, p->doomed, p->dooms * sizeof(*p->doomed));
	bk_random(id, sizeof(id));
	bk_hex(id, sizeof(id), hex);
	snprintf(name, sizeof(name), "condemned/%s", hex);
	if (!p->r->o->dry_run)
		code = bk_save(p->r, BK_CONDEMNED, name, name, strlen(name), c, len, 0, NULL, &err);
	free(c);
	p->dooms = 0;
	return code;
}

static int doom(struct prune *p, int type, const u8 name[BK_HASH], u64 size)
{
	struct bk_doomed d = {.type = tfs_cpu32((u32)type)};
	int code = bk_grow(&p->doomed, &p->dooms_max, p->dooms + 1, sizeof(d));

	if (code)
		return code;
	memcpy(d.name, name, BK_HASH);
	p->doomed[p->dooms++] = d;
	p->condemned++;
	p->bytes += size;
	return p->dooms == LIST_MAX ? list_put(p) : 0;
}

static int object_visit(struct prune *p, int type, const struct tfs_store_entry *e)
{
	const char *slash = strrchr(e->name, '/');
	bool old = p->now - e->time >= p->r->grace;
	u8 name[BK_HASH];

	if (!slash || !bk_unhex(slash + 1, name, BK_HASH) || bk_names_have(&p->waiting, name))
		return 0;
	if (is_live(p, name)) {
		if (old && type == BK_PACK)
			bk_use_old(p->use, name);
		return 0;
	}
	if (old)
		return doom(p, type, name, e->size);
	p->young++; /* a run that is under way may have put it */
	return 0;
}

static int pack_visit(void *arg, const struct tfs_store_entry *e)
{
	return object_visit(arg, BK_PACK, e);
}

static int shard_visit(void *arg, const struct tfs_store_entry *e)
{
	return object_visit(arg, BK_SHARD, e);
}

static int moved_visit(void *arg, const struct tfs_store_entry *e)
{
	return object_visit(arg, BK_MOVED, e);
}

static int condemn(struct prune *p)
{
	int code = tfs_store_list(p->r->store, "packs/", NULL, pack_visit, p);

	if (!code)
		code = tfs_store_list(p->r->store, "index/", NULL, shard_visit, p);
	if (!code)
		code = tfs_store_list(p->r->store, "moved/", NULL, moved_visit, p);
	if (code)
		return code < 0 ? bk_store_failed(p->r, code, BK_STORE) : code;
	return p->dooms ? list_put(p) : 0;
}

/* ---- packs of which little is needed ---- */

static int pack_moved(void *arg, const u8 name[BK_HASH], u32 size, u64 need)
{
	struct prune *p = arg;

	p->repacked++;
	if (p->r->o->dry_run)
		p->written += need;
	return doom(p, BK_PACK, name, size);
}

static void pack_put(void *arg, u64 bytes)
{
	((struct prune *)arg)->written += bytes;
}

static void lists_merged(void *arg, size_t lists)
{
	((struct prune *)arg)->merged += lists;
}

static int repack(struct prune *p)
{
	static const struct bk_repack_ops ops = {.moved = pack_moved, .put = pack_put, .merged = lists_merged};
	int code = bk_repack(p->r, p->use, &ops, p), end = p->dooms ? list_put(p) : 0;

	return code ? code : end;
}

/* Intents of runs that can no longer commit, and what interrupted puts left. */
static int leftovers(struct prune *p)
{
	struct bk_intent_info *intent = NULL;
	size_t n = 0;
	int code = bk_intents(p->r, &intent, &n), err;

	for (size_t i = 0; !code && i < n; i++)
		if (intent[i].age > 2 * (s64)p->r->grace)
			code = bk_intent_remove(p->r, intent[i].run);
	free(intent);
	if (code)
		return code;
	err = tfs_store_clean(p->r->store, p->r->grace > 86400 ? p->r->grace : 86400, NULL);
	return err ? bk_store_failed(p->r, err, BK_STORE) : 0;
}

static void report(const struct prune *p)
{
	struct json_object *o;
	char size[16], written[16];

	if (!p->r->o->json) {
		if (!p->r->o->quiet)
			printf("%llu objects %sdeleted; %llu (%s) %scondemned, to be deleted by a prune after %u s; "
			       "%llu too young to tell; %llu packs repacked into %s\n",
			       (unsigned long long)p->deleted, p->r->o->dry_run ? "would be " : "",
			       (unsigned long long)p->condemned, tfs_cli_human(p->bytes, size),
			       p->r->o->dry_run ? "would be " : "", p->r->grace, (unsigned long long)p->young,
			       (unsigned long long)p->repacked, tfs_cli_human(p->written, written));
		return;
	}
	o = json_object_new_object();
	tfs_json_u64(o, "deleted", p->deleted);
	tfs_json_u64(o, "condemned", p->condemned);
	tfs_json_u64(o, "condemned_bytes", p->bytes);
	tfs_json_u64(o, "young", p->young);
	tfs_json_u64(o, "repacked", p->repacked);
	tfs_json_u64(o, "written", p->written);
	tfs_json_u64(o, "merged", p->merged);
	tfs_json_line(stdout, o);
}

/* Programs that may work with this repository know of no moved lists: they would take what is in new packs for leftovers. */
static u32 repack_percent(const struct bk_repo *r)
{
	if (!r->o->repack || tfs_le16(r->config.features) & BK_FEATURE_MOVED)
		return r->o->repack;
	if (!r->o->quiet)
		tfs_cli_warn(
		    r->url, "nothing is repacked: made by a tfs-backup that knew no moved lists; make a new repository "
		            "to have it, or say --repack 0");
	return 0;
}

int bk_cmd_prune(struct bk_repo *r)
{
	static const struct bk_all_ops ops = {.range = range, .begin = begin, .after = after};
	struct prune p = {.r = r, .use = bk_use_new(repack_percent(r))};
	int err = tfs_store_now(r->store, &p.now), code;

	if (err || !p.use) {
		bk_use_free(p.use);
		return err ? bk_store_failed(r, err, BK_STORE) : bk_no_memory();
	}
	tfs_progress_start(&p.progress, r->o->quiet, -1, 1);
	tfs_progress_pass(&p.progress, "backups", r->chain.lives);
	code = bk_live_all(r, &ops, &p);
	tfs_progress_end(&p.progress);
	if (code)
		tfs_cli_fail(code, r->url, "not pruned: what the backups need is not known");
	if (!code)
		code = all_there(&p);
	if (!code)
		code = bk_condemned(r, list_visit, &p);
	if (!code)
		code = condemn(&p);
	if (!code)
		code = repack(&p);
	if (!code && !r->o->dry_run)
		code = leftovers(&p);
	if (!code)
		report(&p);
	bk_use_free(p.use);
	free(p.live.name);
	free(p.waiting.name);
	free(p.marks);
	free(p.doomed);
	return code;
}
