// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Intents (a run says what it builds on before it puts anything) and condemned lists (prune says what it is going to
 * delete). Ages are the store's: when the object was put, by the clock of the store. Called by run, forget and prune.
 */
#include "backup/backup.h"

#include <stdlib.h>

#define CONDEMNED_MAX (64u << 20)

static void intent_name(char out[BK_KEY_MAX], const u8 run[BK_RUN])
{
	char hex[2 * BK_RUN + 1];

	bk_hex(run, BK_RUN, hex);
	snprintf(out, BK_KEY_MAX, "intents/%s", hex);
}

int bk_intent_put(struct bk_repo *r, const u8 run[BK_RUN], u64 volume, const struct bk_listed *base)
{
	struct bk_intent i = {.volume = tfs_cpu64(volume)};
	char name[BK_KEY_MAX];
	int err;

	memcpy(i.run, run, BK_RUN);
	if (base) {
		i.base = tfs_cpu64(base->sequence);
		memcpy(i.base_digest, base->digest, BK_HASH);
	}
	intent_name(name, run);
	return bk_save(r, BK_INTENT, name, run, BK_RUN, &i, sizeof(i), 0, NULL, &err);
}

int bk_intent_remove(struct bk_repo *r, const u8 run[BK_RUN])
{
	char name[BK_KEY_MAX];
	int err;

	intent_name(name, run);
	err = tfs_store_delete(r->store, name);
	return err ? bk_store_failed(r, err, BK_STORE) : 0;
}

int bk_intent_age(struct bk_repo *r, const u8 run[BK_RUN], s64 *age)
{
	char name[BK_KEY_MAX];
	s64 put, now;
	int err;

	intent_name(name, run);
	err = tfs_store_stat(r->store, name, NULL, &put);
	if (err == -ENOENT)
		return tfs_cli_fail(BK_OVERTAKEN, r->url, "the intent of this run is gone; run it again");
	if (!err)
		err = tfs_store_now(r->store, &now);
	*age = err ? 0 : now - put;
	return err ? bk_store_failed(r, err, BK_STORE) : 0;
}

/* ---- listing ---- */

struct gather {
	struct bk_repo *r;
	struct bk_intent_info *intent;
	size_t count, max;
	s64 now;
	char (*list)[BK_KEY_MAX];
	s64 *age;
	size_t lists, lists_max, ages_max;
};

static int intent_add(void *arg, const struct tfs_store_entry *e)
{
	struct gather *g = arg;
	struct bk_intent i;
	u8 run[BK_RUN], *plain;
	bool gone = false;
	size_t len;
	int code;

	if (!bk_unhex(e->name + strlen("intents/"), run, BK_RUN))
		return 0;
	code = bk_load(g->r, BK_INTENT, e->name, run, BK_RUN, sizeof(i), sizeof(i), &plain, &len, NULL, &gone);
	if (gone) /* its run has just ended */
		return 0;
	if (code)
		return code;
	memcpy(&i, plain, sizeof(i));
	free(plain);
	code = bk_grow(&g->intent, &g->max, g->count + 1, sizeof(*g->intent));
	if (code)
		return code;
	g->intent[g->count] =
	    (struct bk_intent_info){.volume = tfs_le64(i.volume), .base = tfs_le64(i.base), .age = g->now - e->time};
	memcpy(g->intent[g->count++].run, run, BK_RUN);
	return 0;
}

int bk_intents(struct bk_repo *r, struct bk_intent_info **out, size_t *count)
{
	struct gather g = {.r = r};
	int err = tfs_store_now(r->store, &g.now);

	if (!err)
		err = tfs_store_list(r->store, "intents/", NULL, intent_add, &g);
	if (err) {
		free(g.intent);
		return err < 0 ? bk_store_failed(r, err, BK_STORE) : err;
	}
	*out = g.intent;
	*count = g.count;
	return 0;
}

static int list_add(void *arg, const struct tfs_store_entry *e)
{
	struct gather *g = arg;
	int code;

	if (strlen(e->name) >= BK_KEY_MAX)
		return 0;
	code = bk_grow(&g->list, &g->lists_max, g->lists + 1, BK_KEY_MAX);
	if (!code)
		code = bk_grow(&g->age, &g->ages_max, g->lists + 1, sizeof(*g->age));
	if (code)
		return code;
	g->age[g->lists] = g->now - e->time;
	strcpy(g->list[g->lists++], e->name);
	return 0;
}

static int list_load(struct bk_repo *r, const char *name, s64 age,
                     int (*fn)(void *arg, const char *list, s64 age, const struct bk_doomed *d), void *arg)
{
	struct bk_condemned *c;
	bool gone = false;
	size_t len;
	u8 *plain;
	int code;

	code = bk_load(r, BK_CONDEMNED, name, name, strlen(name), sizeof(*c), CONDEMNED_MAX, &plain, &len, NULL, &gone);
	if (gone) /* a prune has just done with it */
		return 0;
	if (code)
		return code;
	c = (struct bk_condemned *)plain;
	if ((len - sizeof(*c)) % sizeof(struct bk_doomed) ||
	    tfs_le64(c->count) != (len - sizeof(*c)) / sizeof(struct bk_doomed))
		code = tfs_cli_fail(BK_DAMAGE, name, "has another length than it says");
	for (u64 i = 0; !code && i < tfs_le64(c->count); i++)
		code = fn(arg, name, age, (struct bk_doomed *)(c + 1) + i);
	if (!code)
		code = fn(arg, name, age, NULL);
	free(plain);
	return code;
}

int bk_condemned(struct bk_repo *r, int (*fn)(void *arg, const char *list, s64 age, const struct bk_doomed *d),
                 void *arg)
{
	struct gather g = {.r = r};
	int err = tfs_store_now(r->store, &g.now), code;

	if (!err)
		err = tfs_store_list(r->store, "condemned/", NULL, list_add, &g);
	code = err < 0 ? bk_store_failed(r, err, BK_STORE) : err;
	for (size_t i = 0; !code && i < g.lists; i++)
		code = list_load(r, g.list[i], g.age[i], fn, arg);
	free(g.list);
	free(g.age);
	return code;
}
