// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `run`: a snapshot, what was born in it since the base, and one manifest. The order on the store: intent, packs,
 * shards, manifest; so what a killed run leaves is packs that no manifest names, and an intent by which the next run of
 * the same volume goes on: with the same snapshot, base and run id the same packs come out, and those that are there
 * are not put again. It commits only while its intent is younger than the grace time and its base is still kept: then
 * prune has left alone all that it uses (docs/REPOSITORY.md, "No locks").
 */
#include "backup/nanos.h"
#include "backup/source.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#define SHARD_PLACES (1u << 20)
#define FOLD 8u             /* so many shards of a size become one of the next */
#define FOLD_MIN (1u << 20) /* bytes: what is always worth folding; above it, an eighth of what the run adds */

struct run {
	struct bk_repo *r;
	struct bk_source s;
	struct bk_nanos *nanos; /* NULL: a volume of ours */
	struct bk_packer *p;
	struct tfs_snapshot_info snap;
	struct bk_backup base; /* buf NULL: full */
	u8 run[BK_RUN];
	bool resumed;
	struct bk_manifest m;       /* to come */
	struct bk_shard_ref *shard; /* of it */
	size_t shards, shards_max;
	u64 added, sent, sequence;
	struct tfs_progress progress;
	u8 base_digest[BK_HASH];
	u64 base_sequence;
};

/* ---- the base ---- */

/* The newest backup of this volume whose snapshot the volume still holds, before the snapshot `until` (0: any). */
static int base_find(struct run *u, u64 until)
{
	bool any = false;

	for (size_t i = u->r->chain.lives; i--;) {
		const struct bk_listed *l = &u->r->chain.live[i];
		bool holds = false;
		int code;

		if (l->volume != u->s.volume)
			continue;
		any = true;
		code = bk_backup_load(u->r, l, &u->base);
		if (code == BK_OVERTAKEN)
			continue;
		if (!code && (!until || tfs_le64(u->base.m->epoch) < until))
			code = bk_source_holds(&u->s, u->base.m, &holds);
		if (holds && !code) {
			u->base_sequence = l->sequence;
			memcpy(u->base_digest, l->digest, BK_HASH);
			return 0;
		}
		bk_backup_free(&u->base);
		if (code)
			return code;
	}
	if (any && !u->r->o->quiet && !u->r->o->full)
		tfs_cli_warn(u->s.path, "holds no snapshot of an earlier backup: everything is backed up again");
	return 0;
}

/* --full builds on nothing. What the newest backup was made of stays until this one is done: *keep is its epoch. */
static int base_choose(struct run *u, u64 until, u64 *keep)
{
	int code = base_find(u, until);

	*keep = !code && u->base.buf ? tfs_le64(u->base.m->epoch) : 0;
	if (code || !u->r->o->full)
		return code;
	bk_backup_free(&u->base);
	memset(u->base_digest, 0, BK_HASH);
	u->base_sequence = 0;
	return 0;
}

/* ---- going on with what was interrupted ---- */

static bool committed(struct run *u, const u8 run[BK_RUN], int *code)
{
	for (size_t i = u->r->chain.lives; i-- && !*code;) {
		struct bk_backup b;
		bool same;

		if (u->r->chain.live[i].volume != u->s.volume)
			continue;
		*code = bk_backup_load(u->r, &u->r->chain.live[i], &b);
		if (*code == BK_OVERTAKEN) {
			*code = 0;
			continue;
		}
		if (*code)
			return false;
		same = !memcmp(b.m->run, run, BK_RUN);
		bk_backup_free(&b);
		if (same)
			return true;
	}
	return false;
}

static bool useful(const struct run *u, const struct bk_intent_info *i)
{
	return i->volume == u->s.volume && i->age * 2 < u->r->grace && i->base == u->base_sequence;
}

/* An intent of this volume whose snapshot is there. What is of no use any more goes. */
static int resume_try(struct run *u, const struct bk_intent_info *i)
{
	struct tfs_snapshot_info found;
	char name[64];
	int code = 0, err;

	if (i->volume != u->s.volume || u->resumed)
		return 0;
	bk_source_name(u->r, i->run, name);
	err = bk_source_find(&u->s, name, &found);
	if (err > 1)
		return err;
	if (err) /* the snapshot was not made yet, or is another copy's: such an intent ends by its age */
		return 0;
	if (committed(u, i->run, &code) || code)
		return code ? code : bk_intent_remove(u->r, i->run);
	if (!useful(u, i) || found.epoch <= (u->base.buf ? tfs_le64(u->base.m->epoch) : 0))
		return bk_intent_remove(u->r, i->run);
	u->resumed = true;
	u->snap = found;
	memcpy(u->run, i->run, BK_RUN);
	return 0;
}

static int resume_find(struct run *u)
{
	struct bk_intent_info *intent = NULL;
	size_t n = 0;
	int code = bk_intents(u->r, &intent, &n);

	for (size_t i = 0; !code && i < n; i++)
		code = resume_try(u, &intent[i]);
	free(intent);
	return code;
}

static int known_add(void *arg, const struct tfs_store_entry *e)
{
	struct run *u = arg;
	const char *slash = strrchr(e->name, '/');
	u8 name[BK_HASH];

	return slash && bk_unhex(slash + 1, name, BK_HASH) ? bk_packer_known(u->p, name) : 0;
}

/* ---- the snapshot ---- */

static int snapshot_named(struct run *u)
{
	int code = bk_source_find(&u->s, u->r->o->snapshot, &u->snap);
	u64 keep;

	if (code == 1)
		return tfs_cli_fail(BK_USAGE, u->r->o->snapshot, "no such snapshot; see dump.tfs snapshots");
	if (code)
		return code;
	code = base_choose(u, u->snap.epoch, &keep);
	if (!code) {
		struct bk_listed base = {.sequence = u->base_sequence};

		memcpy(base.digest, u->base_digest, BK_HASH);
		bk_random(u->run, BK_RUN);
		code = bk_intent_put(u->r, u->run, u->s.volume, u->base.buf ? &base : NULL);
	}
	return code;
}

static int snapshot_taken(struct run *u)
{
	struct bk_listed base = {0};
	char name[64];
	u64 keep;
	int code = base_choose(u, 0, &keep);

	if (!code)
		code = resume_find(u);
	if (code)
		return code;
	if (u->resumed)
		return u->snap.holds ? 0 : bk_source_hold(&u->s, u->snap.epoch);
	code = bk_source_tidy(&u->s, u->r, keep, 0);
	if (code)
		return code;
	bk_random(u->run, BK_RUN);
	base.sequence = u->base_sequence;
	memcpy(base.digest, u->base_digest, BK_HASH);
	code = bk_intent_put(u->r, u->run, u->s.volume, u->base.buf ? &base : NULL);
	bk_source_name(u->r, u->run, name);
	return code ? code : bk_source_take(&u->s, name, &u->snap);
}

/* ---- packs and shards ---- */

static int walk(struct run *u)
{
	int code = 0;

	u->p = bk_packer_new(u->r, u->run, u->s.volume, u->r->o->pack_bytes, &u->progress);
	if (!u->p)
		return bk_no_memory();
	if (u->resumed)
		code = tfs_store_list(u->r->store, "packs/", NULL, known_add, u);
	if (code)
		return code < 0 ? bk_store_failed(u->r, code, BK_STORE) : code;
	tfs_progress_start(&u->progress, u->r->o->quiet, -1, 1);
	tfs_progress_pass_bytes(&u->progress, u->base.buf ? "what changed" : "everything",
	                        u->base.buf ? 0 : u->snap.units * TFS_UNIT, "packs sent");
	code = bk_source_walk(&u->s, &u->m, u->base.buf ? tfs_le64(u->base.m->epoch) : 0, u->p, &u->progress);
	if (!code)
		code = bk_packer_finish(u->p);
	tfs_progress_end(&u->progress);
	bk_packer_count(u->p, &u->added, &u->sent);
	return code;
}

static int shard_add(struct run *u, const struct bk_shard_ref *s)
{
	int code = bk_grow(&u->shard, &u->shards_max, u->shards + 1, sizeof(*s));

	if (!code)
		u->shard[u->shards++] = *s;
	return code;
}

/* What x holds becomes shards, of which none has more than SHARD_PLACES. */
static int shards_save(struct run *u, const struct bk_index *x)
{
	int code = 0;

	for (size_t at = 0; !code && at < x->places; at += SHARD_PLACES) {
		struct bk_index part = *x;
		struct bk_shard_ref ref;

		part.place = x->place + at;
		part.places = x->places - at < SHARD_PLACES ? x->places - at : SHARD_PLACES;
		code = bk_shard_save(u->r, &part, &ref);
		u->sent += tfs_le64(ref.size);
		if (!code)
			code = shard_add(u, &ref);
	}
	return code;
}

static u32 tier_of(u64 size)
{
	u32 tier = 0;

	for (u64 s = 1024; s < size; s *= FOLD)
		tier++;
	return tier;
}

static bool same_tier(const struct bk_shard_ref *s, u32 tier)
{
	return tier_of(tfs_le64(s->size)) == tier;
}

/* Which tier has FOLD shards of the base that may be folded; -1: none. */
static int tier_full(const struct run *u)
{
	u64 budget = u->added / FOLD > FOLD_MIN ? u->added / FOLD : FOLD_MIN;

	for (u32 tier = 0; tier < 12; tier++) {
		u64 bytes = 0;
		u32 n = 0;

		for (u32 i = 0; i < u->base.shards; i++)
			if (same_tier(&u->base.shard[i], tier)) {
				bytes += tfs_le64(u->base.shard[i].size);
				n++;
			}
		if (n >= FOLD && bytes <= budget)
			return (int)tier;
	}
	return -1;
}

/*
 * The manifest's shards: the base's as they are, and one of this run. When a tier is full, its shards and this run's
 * become one: so their number grows with the logarithm of the places, and what is written again stays a fraction.
 */
static int shards_make(struct run *u)
{
	struct bk_index *x = bk_packer_index(u->p), fold = {.volume = u->s.volume};
	int tier = u->base.buf ? tier_full(u) : -1, code = 0;

	for (u32 i = 0; !code && u->base.buf && i < u->base.shards; i++) {
		if (tier >= 0 && same_tier(&u->base.shard[i], (u32)tier))
			code = bk_shard_load(u->r, &fold, &u->base.shard[i]);
		else
			code = shard_add(u, &u->base.shard[i]);
	}
	if (!code && tier >= 0)
		code = shards_save(u, &fold);
	if (!code)
		code = shards_save(u, x);
	bk_index_free(&fold);
	return code;
}

/* ---- committing ---- */

static int is_mine(void *arg, const char *list, s64 age, const struct bk_doomed *d)
{
	struct run *u = arg;
	struct bk_index *x = bk_packer_index(u->p);

	(void)age;
	for (size_t i = 0; d && tfs_le32(d->type) == BK_PACK && i < x->packs; i++)
		if (!memcmp(x->pack[i].name, d->name, BK_HASH))
			return tfs_cli_fail(BK_OVERTAKEN, list,
			                    "prune condemned a pack that this run uses; run it again");
	for (size_t i = 0; d && tfs_le32(d->type) == BK_SHARD && i < u->shards; i++)
		if (!memcmp(u->shard[i].name, d->name, BK_HASH))
			return tfs_cli_fail(BK_OVERTAKEN, list,
			                    "prune condemned a shard that this run uses; run it again");
	return 0;
}

static int still(void *arg, struct bk_repo *r)
{
	struct run *u = arg;
	const struct bk_listed *base = u->base.buf ? bk_chain_find(r, u->base_sequence) : NULL;
	s64 age;
	int code;

	if (u->base.buf && (!base || memcmp(base->digest, u->base_digest, BK_HASH)))
		return tfs_cli_fail(BK_OVERTAKEN, r->url,
		                    "backup %llu, on which this run builds, was forgotten; run it again",
		                    (unsigned long long)u->base_sequence);
	code = bk_intent_age(r, u->run, &age);
	if (!code && age >= r->grace)
		code = tfs_cli_fail(
		    BK_OVERTAKEN, r->url,
		    "this run began %lld s ago, and the grace time is %u s: prune may have taken its packs for "
		    "leftovers; run it again, or make a repository with a longer --grace",
		    (long long)age, r->grace);
	return code ? code : bk_condemned(r, is_mine, u);
}

static void manifest_finish(struct run *u)
{
	struct bk_manifest *m = &u->m;

	m->kind = tfs_cpu32(BK_KIND_BACKUP);
	m->flags = tfs_cpu32(u->nanos ? BK_NANOS : 0);
	memcpy(m->run, u->run, BK_RUN);
	m->base = tfs_cpu64(u->base_sequence);
	m->added = tfs_cpu64(u->added);
	m->sent = tfs_cpu64(u->sent);
	if (gethostname((char *)m->host, sizeof(m->host) - 1))
		m->host[0] = 0;
}

static int commit(struct run *u)
{
	int code = shards_make(u);

	if (code)
		return code;
	manifest_finish(u);
	code = bk_chain_commit(u->r, &u->m, u->shard, (u32)u->shards, still, u);
	u->sequence = tfs_le64(u->m.sequence);
	return code;
}

static void report(const struct run *u)
{
	struct json_object *o;
	char a[16], b[16];

	if (!u->r->o->json) {
		if (!u->r->o->quiet)
			printf("backup %llu%s: %s%s stored in the volume, %s sent\n", (unsigned long long)u->sequence,
			       u->resumed ? ", of the snapshot that an interrupted run took" : "",
			       u->base.buf ? "changed " : "all ", tfs_cli_human(u->added, a),
			       tfs_cli_human(u->sent, b));
		return;
	}
	o = json_object_new_object();
	tfs_json_u64(o, "backup", u->sequence);
	tfs_json_u64(o, "base", u->base_sequence);
	tfs_json_bool(o, "resumed", u->resumed);
	tfs_json_u64(o, "added", u->added);
	tfs_json_u64(o, "sent", u->sent);
	tfs_json_u64(o, "store_sent", tfs_store_stats(u->r->store)->sent);
	tfs_json_line(stdout, o);
}

int bk_cmd_run(struct bk_repo *r, const char *volume)
{
	struct run u = {.r = r};
	int code = bk_nanos_find(r, volume, &u.nanos);

	if (!code)
		code = u.nanos ? bk_nanos_source(u.nanos, &u.s)
		               : bk_source_open(&u.s, volume, r->o->offset, !r->o->snapshot);
	if (code) {
		bk_nanos_close(u.nanos);
		return code;
	}
	code = r->o->snapshot ? snapshot_named(&u) : snapshot_taken(&u);
	if (!code)
		code = bk_source_describe(&u.s, &u.snap, &u.m);
	if (!code)
		code = walk(&u);
	if (!code)
		code = commit(&u);
	if (!code) {
		report(&u);
		code = bk_intent_remove(r, u.run);
		if (!code && !r->o->snapshot && !u.nanos)
			code = bk_source_tidy(&u.s, r, u.snap.epoch, 0);
	}
	bk_packer_free(u.p);
	bk_backup_free(&u.base);
	free(u.shard);
	code = bk_source_close(&u.s, code);
	bk_nanos_close(u.nanos);
	return code;
}
