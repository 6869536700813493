// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Moved lists: what prune says when it has copied the ranges of a pack that are still needed into another one
 * (repack.c). Shards and manifests stay as they are and go on naming the old place; whoever loads an index looks here
 * where a range lies now, step by step, since what was moved can be moved again. Of two lists that move one range that of
 * the higher generation counts. A list is put after the packs it leads to and before the old ones are condemned, so at
 * every moment either place, or both, can be read. Lists stay in memory as they are: 16 bytes a range.
 */
#include "backup/backup.h"

#include <stdlib.h>

/* ---- loading ---- */

static int name_add(void *arg, const struct tfs_store_entry *e)
{
	const char *slash = strrchr(e->name, '/');
	u8 name[BK_HASH];

	return slash && bk_unhex(slash + 1, name, BK_HASH) ? bk_names_add(arg, name) : 0;
}

static int list_load(struct bk_repo *r, const u8 hash[BK_HASH])
{
	u8 *plain, digest[BK_HASH];
	struct bk_moved_list l;
	char name[BK_KEY_MAX];
	bool gone = false;
	const char *why;
	size_t len;
	int code;

	bk_object_name(name, BK_MOVED, hash);
	code = bk_load(r, BK_MOVED, name, NULL, 0, sizeof(struct bk_moved), BK_MOVED_MAX, &plain, &len, digest, &gone);
	if (gone) /* another prune has just done with it */
		return 0;
	if (code)
		return code;
	why = memcmp(digest, hash, BK_HASH) ? "is another object than its name says" : bk_moved_decode(&l, plain, len);
	if (why) {
		free(plain);
		return tfs_cli_fail(BK_DAMAGE, name, "%s", why);
	}
	l.plain = plain;
	memcpy(l.name, hash, BK_HASH);
	code = bk_grow(&r->moved, &r->moveds_max, r->moveds + 1, sizeof(l));
	if (code) {
		free(l.group);
		free(plain);
		return code;
	}
	r->moved[r->moveds++] = l;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct bk_moved_list *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation > y->generation ? -1 : 1;
	return memcmp(x->name, y->name, BK_HASH);
}

void bk_moved_free(struct bk_repo *r)
{
	for (size_t i = 0; i < r->moveds; i++) {
		free(r->moved[i].group);
		free(r->moved[i].plain);
	}
	free(r->moved);
	r->moved = NULL;
	r->moveds = r->moveds_max = 0;
	r->moved_loaded = false;
}

int bk_moved_load(struct bk_repo *r)
{
	struct bk_names names = {0};
	int code;

	if (r->moved_loaded)
		return 0;
	code = tfs_store_list(r->store, "moved/", NULL, name_add, &names);
	if (code < 0)
		code = bk_store_failed(r, code, BK_STORE);
	for (size_t i = 0; !code && i < names.count; i++)
		code = list_load(r, names.name[i]);
	free(names.name);
	if (!code && r->moveds)
		qsort(r->moved, r->moveds, sizeof(*r->moved), newest_first);
	if (code)
		bk_moved_free(r);
	r->moved_loaded = !code;
	return code;
}

/* ---- finding ---- */

static int group_cmp(const void *name, const void *group)
{
	return memcmp(name, (*(struct bk_moved_from *const *)group)->pack, BK_HASH);
}

const struct bk_moved_from *bk_moved_group(const struct bk_moved_list *l, const u8 name[BK_HASH])
{
	struct bk_moved_from **g =
	    l->groups ? bsearch(name, l->group, l->groups, sizeof(struct bk_moved_from *), group_cmp) : NULL;

	return g ? *g : NULL;
}

static int entry_cmp(const void *from, const void *entry)
{
	u32 a = *(const u32 *)from, b = tfs_le32(((const struct bk_moved_entry *)entry)->from);

	return a < b ? -1 : a > b;
}

const struct bk_moved_entry *bk_moved_step(const struct bk_repo *r, const u8 name[BK_HASH], u32 from, size_t *list)
{
	for (size_t i = 0; i < r->moveds; i++) {
		const struct bk_moved_from *g = bk_moved_group(&r->moved[i], name);
		const struct bk_moved_entry *e =
		    g ? bsearch(&from, g + 1, tfs_le32(g->count), sizeof(*e), entry_cmp) : NULL;

		*list = i;
		if (e)
			return e;
	}
	return NULL;
}

/* ---- applying them to an index ---- */

const char *bk_moved_follow(const struct bk_repo *r, const u8 name[BK_HASH], u32 from, struct bk_now *now)
{
	const struct bk_moved_entry *e;
	u64 steps = 0, most = 0; /* each entry leads on once; more is a circle */
	size_t list;

	for (size_t i = 0; i < r->moveds; i++)
		most += r->moved[i].entries;
	*now = (struct bk_now){.offset = from};
	for (; (e = bk_moved_step(r, name, now->offset, &list)); steps++) {
		if (steps == most)
			return "is moved in a circle";
		now->pack = &r->moved[list].target[tfs_le32(e->target)];
		now->offset = tfs_le32(e->to);
		now->lists |= 1ull << (list < 63 ? list : 63);
		name = now->pack->pack;
	}
	return NULL;
}

/* A range keeps the identity that it was sealed under: so one entry for each old pack and what it went to. */
static int ref_for(struct bk_index *x, size_t packs, u32 old, const struct bk_now *now, u32 *out)
{
	const struct bk_pack_ref *o = &x->pack[old];
	struct bk_pack_ref *k;
	int code;

	for (size_t i = x->packs; i-- > packs;) {
		k = &x->pack[i];
		if (k->number == o->number && k->lists == now->lists && !memcmp(k->run, o->run, BK_RUN) &&
		    !memcmp(k->name, now->pack->pack, BK_HASH)) {
			*out = (u32)i;
			return 0;
		}
	}
	code = bk_grow(&x->pack, &x->packs_max, x->packs + 1, sizeof(*x->pack));
	if (code)
		return code;
	k = &x->pack[x->packs];
	*k = x->pack[old];
	memcpy(k->name, now->pack->pack, BK_HASH);
	k->size = tfs_le32(now->pack->size);
	k->lists = now->lists;
	*out = (u32)x->packs++;
	return 0;
}

static int place_move(const struct bk_repo *r, struct bk_index *x, size_t packs, struct bk_place *p)
{
	struct bk_now now;
	const char *why = bk_moved_follow(r, x->pack[p->pack].name, p->offset, &now);

	if (!why && !now.pack)
		return 0;
	if (!why && p->units * TFS_UNIT + BK_SEALED > tfs_le32(now.pack->size) - now.offset)
		why = "is moved past the end of a pack";
	if (why)
		return tfs_cli_fail(BK_DAMAGE, r->url, "a range of %u units at unit %llu %s", p->units,
		                    (unsigned long long)p->addr, why);
	p->offset = now.offset;
	return ref_for(x, packs, p->pack, &now, &p->pack);
}

int bk_moved_apply(struct bk_repo *r, struct bk_index *x)
{
	size_t packs = x->packs;
	int code = bk_moved_load(r);
	bool *any;

	if (code || !r->moveds)
		return code;
	any = calloc(packs + 1, sizeof(*any));
	if (!any)
		return bk_no_memory();
	for (size_t k = 0; k < packs; k++)
		for (size_t i = 0; !any[k] && i < r->moveds; i++)
			any[k] = bk_moved_group(&r->moved[i], x->pack[k].name) != NULL;
	for (size_t i = 0; !code && i < x->places; i++)
		if (any[x->place[i].pack])
			code = place_move(r, x, packs, &x->place[i]);
	free(any);
	return code;
}
