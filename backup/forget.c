// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `forget`: takes backups out of the chain, by number or by how many to keep. One manifest says what is kept from now
 * on (its catalog); then the others' manifests are deleted, and what interrupts that is made up by the next forget.
 * Packs stay until prune. A backup on which a running run builds is kept.
 */
#include "backup/backup.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <time.h>

struct dated {
	u64 sequence, volume;
	s64 time;
	bool keep;
};
struct forget {
	struct bk_repo *r;
	u64 *number; /* to go */
	size_t numbers;
	bool by_rule, printed;
	struct dated *d;
	size_t n, kept;
};

/* ---- rules: of each volume, the newest of each of the last `count` hours, days, ... that have one ---- */

static s64 hour_of(s64 t)
{
	return t / 3600;
}
static s64 day_of(s64 t)
{
	return t / 86400;
}
static s64 week_of(s64 t)
{
	return (t / 86400 + 3) / 7; /* weeks begin on Mondays */
}
static s64 month_of(s64 t)
{
	time_t at = (time_t)t;
	struct tm tm;

	gmtime_r(&at, &tm);
	return tm.tm_year * 12 + tm.tm_mon;
}
static s64 year_of(s64 t)
{
	return month_of(t) / 12;
}
static s64 each_of(s64 t)
{
	(void)t;
	return -1;
}

static void keep(struct forget *f, u64 volume, u32 count, s64 (*period)(s64 t))
{
	s64 last = 0;
	bool first = true;

	for (size_t i = f->n; i-- && count;) {
		s64 p = period(f->d[i].time);

		if (f->d[i].volume != volume || (!first && p == last && p >= 0))
			continue;
		first = false;
		last = p;
		f->d[i].keep = true;
		count--;
	}
}

static void rules(struct forget *f)
{
	const struct bk_options *o = f->r->o;

	for (size_t i = 0; i < f->n; i++) {
		bool met = false;

		for (size_t j = 0; j < i; j++)
			met |= f->d[j].volume == f->d[i].volume;
		if (met)
			continue;
		keep(f, f->d[i].volume, o->keep_last, each_of);
		keep(f, f->d[i].volume, o->keep_hourly, hour_of);
		keep(f, f->d[i].volume, o->keep_daily, day_of);
		keep(f, f->d[i].volume, o->keep_weekly, week_of);
		keep(f, f->d[i].volume, o->keep_monthly, month_of);
		keep(f, f->d[i].volume, o->keep_yearly, year_of);
	}
}

/* ---- what is kept ---- */

static int dates_read(struct forget *f)
{
	struct bk_chain *c = &f->r->chain;

	free(f->d);
	f->n = 0;
	f->d = calloc(c->lives + 1, sizeof(*f->d));
	if (!f->d)
		return bk_no_memory();
	for (size_t i = 0; i < c->lives; i++) {
		struct bk_backup b;
		int code = bk_backup_load(f->r, &c->live[i], &b);

		if (code)
			return code;
		f->d[f->n++] =
		    (struct dated){b.sequence, b.volume, (s64)tfs_le64(b.m->time), !bk_same_volume(f->r->o, &b)};
		bk_backup_free(&b);
	}
	return 0;
}

/* Another forget may be at work: then from what that one keeps. */
static int dates_load(struct forget *f)
{
	int code = dates_read(f);

	while (code == BK_OVERTAKEN) {
		code = bk_chain_load(f->r);
		if (!code)
			code = dates_read(f);
	}
	return code;
}

static bool wanted(const struct forget *f, u64 sequence)
{
	for (size_t i = 0; i < f->numbers; i++)
		if (f->number[i] == sequence)
			return false;
	return true;
}

/* A run that began less than the grace time ago builds on its base. */
static int bases_keep(struct forget *f)
{
	struct bk_intent_info *intent = NULL;
	size_t n = 0;
	int code = bk_intents(f->r, &intent, &n);

	for (size_t i = 0; !code && i < n; i++)
		for (size_t j = 0; j < f->n; j++)
			if (intent[i].base == f->d[j].sequence && intent[i].age < f->r->grace && !f->d[j].keep) {
				f->d[j].keep = true;
				if (!f->printed)
					tfs_cli_warn(f->r->url,
					             "backup %llu is kept: a run that is under way builds on it",
					             (unsigned long long)f->d[j].sequence);
			}
	free(intent);
	return code;
}

static void print(const struct forget *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct json_object *o;

		if (f->r->o->json) {
			o = json_object_new_object();
			tfs_json_u64(o, "backup", f->d[i].sequence);
			tfs_json_bool(o, "kept", f->d[i].keep);
			tfs_json_line(stdout, o);
		} else if (!f->r->o->quiet && !f->d[i].keep) {
			printf("backup %llu %s\n", (unsigned long long)f->d[i].sequence,
			       f->r->o->dry_run ? "would be forgotten" : "is forgotten");
		}
	}
}

/* Again for every attempt: another writer may have added a backup. */
static int choose(struct forget *f)
{
	int code = dates_load(f);

	if (code)
		return code;
	if (f->by_rule)
		rules(f);
	else
		for (size_t i = 0; i < f->n; i++)
			f->d[i].keep = wanted(f, f->d[i].sequence);
	code = bases_keep(f);
	for (size_t i = f->kept = 0; i < f->n; i++)
		f->kept += f->d[i].keep;
	if (!code && !f->printed)
		print(f);
	f->printed = true;
	return code;
}

static int still(void *arg, struct bk_repo *r)
{
	struct forget *f = arg;
	struct bk_chain *c = &r->chain;
	size_t n = 0;
	int code = choose(f);

	for (size_t i = 0; !code && i < c->lives; i++)
		if (f->d[i].keep)
			c->live[n++] = c->live[i];
	if (!code)
		c->lives = n;
	return code;
}

/* ---- deleting manifests ---- */

/* Only below the newest catalog is a manifest superfluous: reading the chain goes back to that one. */
static int manifests_delete(struct bk_repo *r)
{
	u64 catalog = r->chain.seens ? r->chain.seen[r->chain.seens - 1].sequence : 0;

	for (size_t i = 0; i < r->chain.presents; i++) {
		u64 n = r->chain.present[i];
		char name[BK_KEY_MAX];
		int err;

		if (n >= catalog || bk_chain_find(r, n))
			continue;
		snprintf(name, sizeof(name), "manifests/%016llx", (unsigned long long)n);
		err = tfs_store_delete(r->store, name);
		if (err == -EPERM) {
			tfs_cli_warn(NULL, "%s", tfs_store_error(r->store));
			continue;
		}
		if (err)
			return bk_store_failed(r, err, BK_STORE);
	}
	return 0;
}

static int numbers_parse(struct forget *f, char **which, int n)
{
	f->number = calloc((size_t)n + 1, sizeof(*f->number));
	if (!f->number)
		return bk_no_memory();
	for (int i = 0; i < n; i++) {
		char *end;
		u64 v = strtoull(which[i], &end, 10);

		if (*end || !v || !bk_chain_find(f->r, v))
			return tfs_cli_fail(BK_USAGE, which[i], "expected the number of a backup; see tfs-backup list");
		f->number[f->numbers++] = v;
	}
	return 0;
}

static int run(struct forget *f)
{
	struct bk_manifest m = {.kind = tfs_cpu32(BK_KIND_FORGET)};
	int code = choose(f);

	if (code || f->r->o->dry_run)
		return code;
	if (f->kept == f->n) /* leftovers of a forget that was interrupted */
		return 0;
	return bk_chain_commit(f->r, &m, NULL, 0, still, f);
}

int bk_cmd_forget(struct bk_repo *r, char **which, int n)
{
	const struct bk_options *o = r->o;
	struct forget f = {.r = r};
	int code;

	f.by_rule =
	    o->keep_last || o->keep_hourly || o->keep_daily || o->keep_weekly || o->keep_monthly || o->keep_yearly;
	if (f.by_rule == (n > 0))
		return tfs_cli_fail(BK_USAGE, NULL,
		                    "expected numbers of backups, or --keep-last N and the like, not both");
	code = numbers_parse(&f, which, n);
	if (!code)
		code = run(&f);
	if (!code && !o->dry_run)
		code = bk_chain_load(r);
	if (!code && !o->dry_run)
		code = manifests_delete(r);
	free(f.number);
	free(f.d);
	return code;
}
