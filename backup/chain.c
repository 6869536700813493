// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The chain of manifests. Each is named by its number and holds the digest of the one before, so none can be dropped,
 * swapped or changed unnoticed. Some hold a catalog: number and digest of every backup before that is kept; reading
 * goes back to the newest of those, at most CATALOG_EVERY manifests. What is below it and not listed was forgotten. A
 * manifest is appended by one conditional put; who comes second reads the chain again and takes the next number.
 * Called by repo.c (reading) and the commands.
 */
#include "backup/backup.h"

#include <stdlib.h>
#include <time.h>

#define CATALOG_EVERY 64u
#define MANIFEST_MAX (64u << 20)
#define CHAIN_TRIES 8u

static void manifest_name(char out[BK_KEY_MAX], u64 sequence)
{
	snprintf(out, BK_KEY_MAX, "manifests/%016llx", (unsigned long long)sequence);
}

/* ---- reading one ---- */

void bk_backup_free(struct bk_backup *b)
{
	free(b->buf);
	memset(b, 0, sizeof(*b));
}

static int manifest_load(struct bk_repo *r, u64 sequence, struct bk_backup *b, u8 digest[BK_HASH], bool *gone)
{
	u64 identity = tfs_cpu64(sequence);
	char name[BK_KEY_MAX];
	const char *why;
	size_t len;
	u8 *plain;
	int code;

	manifest_name(name, sequence);
	code = bk_load(r, BK_MANIFEST, name, &identity, sizeof(identity), sizeof(struct bk_manifest), MANIFEST_MAX,
	               &plain, &len, digest, gone);
	if (code)
		return code;
	why = bk_manifest_decode(plain, len, sequence, b);
	b->buf = plain;
	if (!why)
		return 0;
	bk_backup_free(b);
	return tfs_cli_fail(BK_DAMAGE, name, "%s", why);
}

/* ---- reading the chain ---- */

static int present_add(void *arg, const struct tfs_store_entry *e)
{
	struct bk_chain *c = arg;
	char *end;
	u64 n;

	if (strlen(e->name) != strlen("manifests/") + 16)
		return 0;
	n = strtoull(e->name + strlen("manifests/"), &end, 16);
	if (*end || !n)
		return 0;
	if (bk_grow(&c->present, &c->presents_max, c->presents + 1, sizeof(*c->present)))
		return BK_HOST;
	c->present[c->presents++] = n;
	return 0;
}

static int number_cmp(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool is_present(const struct bk_chain *c, u64 sequence)
{
	return c->presents && bsearch(&sequence, c->present, c->presents, sizeof(sequence), number_cmp);
}

static int listed_cmp(const void *a, const void *b)
{
	const struct bk_listed *x = a, *y = b;

	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static int live_add(struct bk_chain *c, u64 sequence, const u8 digest[BK_HASH], u64 volume)
{
	if (bk_grow(&c->live, &c->lives_max, c->lives + 1, sizeof(*c->live)))
		return BK_HOST;
	c->live[c->lives] = (struct bk_listed){.sequence = sequence, .volume = volume};
	memcpy(c->live[c->lives++].digest, digest, BK_HASH);
	return 0;
}

static int seen_add(struct bk_chain *c, u64 sequence, const u8 digest[BK_HASH])
{
	if (bk_grow(&c->seen, &c->seens_max, c->seens + 1, sizeof(*c->seen)))
		return BK_HOST;
	c->seen[c->seens].sequence = sequence;
	memcpy(c->seen[c->seens++].digest, digest, BK_HASH);
	return 0;
}

static int catalog_add(struct bk_chain *c, const struct bk_backup *b)
{
	for (u32 i = 0; i < b->catalogs; i++) {
		const struct bk_listed *l = &b->catalog[i];

		if (live_add(c, tfs_le64(l->sequence), l->digest, tfs_le64(l->volume)))
			return BK_HOST;
	}
	return 0;
}

static int missing(const struct bk_repo *r, u64 sequence)
{
	return tfs_cli_fail(BK_DAMAGE, r->url,
	                    "manifest %llu is missing, and later ones name it: the store has lost or hides it",
	                    (unsigned long long)sequence);
}

/* One step back: *next is the number to go on with, 0: the end; want: the digest that its successor states. */
static int step_back(struct bk_repo *r, u64 sequence, u8 want[BK_HASH], u64 *next)
{
	struct bk_chain *c = &r->chain;
	u8 digest[BK_HASH];
	struct bk_backup b;
	bool gone = !is_present(c, sequence);
	int code = gone ? 0 : manifest_load(r, sequence, &b, digest, &gone);

	if (gone) {
		c->missing = sequence;
		return BK_DAMAGE;
	}
	if (code)
		return code;
	if (sequence == c->head) {
		c->head_time = tfs_le64(b.m->time);
		memcpy(c->head_digest, digest, BK_HASH);
	} else if (memcmp(digest, want, BK_HASH)) {
		code = tfs_cli_fail(BK_DAMAGE, r->url, "manifest %llu is not the one that its successor names",
		                    (unsigned long long)sequence);
	}
	if (!code)
		code = seen_add(c, sequence, digest);
	if (!code && tfs_le32(b.m->kind) == BK_KIND_BACKUP)
		code = live_add(c, sequence, digest, b.volume);
	*next = sequence - 1;
	memcpy(want, b.m->previous, BK_HASH);
	if (!code && tfs_le32(b.m->flags) & BK_CATALOG) {
		code = catalog_add(c, &b);
		*next = 0;
	}
	bk_backup_free(&b);
	return code;
}

void bk_chain_free(struct bk_chain *c)
{
	free(c->live);
	free(c->seen);
	free(c->present);
	memset(c, 0, sizeof(*c));
}

static int chain_read(struct bk_repo *r)
{
	struct bk_chain *c = &r->chain;
	u8 want[BK_HASH] = {0};
	u64 at;
	int code;

	bk_chain_free(c);
	code = tfs_store_list(r->store, "manifests/", NULL, present_add, c);
	if (code)
		return code < 0 ? bk_store_failed(r, code, BK_STORE) : code;
	if (c->presents)
		qsort(c->present, c->presents, sizeof(*c->present), number_cmp);
	c->head = at = c->presents ? c->present[c->presents - 1] : 0;
	while (!code && at)
		code = step_back(r, at, want, &at);
	if (code)
		return code;
	if (c->lives)
		qsort(c->live, c->lives, sizeof(*c->live), listed_cmp);
	for (size_t i = 0; i < c->lives && !c->missing; i++)
		if (!is_present(c, c->live[i].sequence))
			c->missing = c->live[i].sequence;
	return c->missing ? BK_DAMAGE : 0;
}

/* The newest number that is there now, by itself: *head 0 when the list cannot be read. */
static void head_look(struct bk_repo *r, u64 *head)
{
	struct bk_chain now = {0};

	*head = 0;
	if (!tfs_store_list(r->store, "manifests/", NULL, present_add, &now))
		for (size_t i = 0; i < now.presents; i++)
			*head = now.present[i] > *head ? now.present[i] : *head;
	bk_chain_free(&now);
}

/* What is missing may have been forgotten by another program while it was read: then there is a newer manifest. */
int bk_chain_load(struct bk_repo *r)
{
	int code = chain_read(r);
	u64 head;

	for (u32 tries = 0; code == BK_DAMAGE && tries < CHAIN_TRIES; tries++) {
		head_look(r, &head);
		if (head <= r->chain.head)
			break;
		tfs_cli_warn(r->url, "another program has added manifest %llu meanwhile; all are read again",
		             (unsigned long long)head);
		code = chain_read(r);
	}
	return code == BK_DAMAGE && r->chain.missing ? missing(r, r->chain.missing) : code;
}

const struct bk_listed *bk_chain_find(const struct bk_repo *r, u64 sequence)
{
	struct bk_listed key = {.sequence = sequence};

	return r->chain.lives ? bsearch(&key, r->chain.live, r->chain.lives, sizeof(key), listed_cmp) : NULL;
}

/* A newer manifest than those that were read, sealed as all are, keeps it no more. */
static bool was_forgotten(const struct bk_repo *r, u64 sequence)
{
	struct bk_repo now = *r; /* callers go through the chain as it was */
	bool forgotten;

	memset(&now.chain, 0, sizeof(now.chain));
	forgotten = !bk_chain_load(&now) && now.chain.head > r->chain.head && !bk_chain_find(&now, sequence);
	bk_chain_free(&now.chain);
	return forgotten;
}

static int backup_gone(const struct bk_repo *r, u64 sequence)
{
	if (!was_forgotten(r, sequence))
		return missing(r, sequence);
	tfs_cli_warn(r->url, "backup %llu was forgotten by another program meanwhile: it is left out",
	             (unsigned long long)sequence);
	return BK_OVERTAKEN;
}

int bk_backup_load(struct bk_repo *r, const struct bk_listed *l, struct bk_backup *b)
{
	u8 digest[BK_HASH];
	bool gone = false;
	int code = manifest_load(r, l->sequence, b, digest, &gone);

	if (gone)
		return backup_gone(r, l->sequence);
	if (code)
		return code;
	if (tfs_le32(b->m->kind) == BK_KIND_BACKUP && !memcmp(digest, l->digest, BK_HASH) && b->volume == l->volume)
		return 0;
	bk_backup_free(b);
	return tfs_cli_fail(BK_DAMAGE, r->url, "manifest %llu is not the one that the catalog names",
	                    (unsigned long long)l->sequence);
}

/* ---- finding ---- */

bool bk_same_volume(const struct bk_options *o, const struct bk_backup *b)
{
	const struct tfs_super *s = (const struct tfs_super *)b->m->super;
	char number[17];
	u8 uuid[16];

	if (!o->volume)
		return true;
	snprintf(number, sizeof(number), "%016llx", (unsigned long long)b->volume);
	if (!strcmp(o->volume, number) ||
	    (strlen(o->volume) < sizeof(s->label) && !strncmp(o->volume, (char *)s->label, sizeof(s->label))))
		return true;
	return !tfs_cli_uuid(o->volume, uuid) && !memcmp(uuid, s->uuid, sizeof(uuid));
}

static bool named_so(const struct bk_backup *b, const char *which)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)b->sequence);
	return !strcmp(which, "latest") || !strcmp(which, number) ||
	       (strlen(which) == b->m->name_len && !memcmp(which, b->m->name, b->m->name_len));
}

int bk_backup_find(struct bk_repo *r, const char *which, struct bk_backup *b)
{
	for (size_t i = r->chain.lives; i--;) {
		int code = bk_backup_load(r, &r->chain.live[i], b);

		if (code == BK_OVERTAKEN)
			continue;
		if (code)
			return code;
		if (named_so(b, which) && bk_same_volume(r->o, b))
			return 0;
		bk_backup_free(b);
	}
	return tfs_cli_fail(
	    BK_USAGE, which,
	    "expected the number of a backup, the name of its snapshot, or \"latest\"; see tfs-backup list");
}

/* ---- appending ---- */

static size_t manifest_fill(struct bk_repo *r, const struct bk_manifest *m, const struct bk_shard_ref *shard,
                            u32 shards, bool catalog, u8 *out)
{
	struct bk_manifest *to = (struct bk_manifest *)out;
	struct bk_listed *l = (struct bk_listed *)(to + 1);
	u32 n = catalog ? (u32)r->chain.lives : 0;

	*to = *m;
	to->flags = tfs_cpu32((catalog ? BK_CATALOG : 0) | (tfs_le32(m->flags) & BK_NANOS));
	to->catalog = tfs_cpu32(n);
	to->shards = tfs_cpu32(shards);
	to->sequence = tfs_cpu64(r->chain.head + 1);
	to->time = tfs_cpu64((u64)time(NULL));
	memcpy(to->previous, r->chain.head_digest, BK_HASH);
	for (u32 i = 0; i < n; i++) {
		l[i] = r->chain.live[i];
		l[i].sequence = tfs_cpu64(l[i].sequence);
		l[i].volume = tfs_cpu64(l[i].volume);
	}
	if (shards)
		memcpy(l + n, shard, shards * sizeof(*shard));
	return sizeof(*to) + n * sizeof(*l) + shards * sizeof(*shard);
}

/* err -EEXIST: another writer has this number. */
static int append(struct bk_repo *r, struct bk_manifest *m, const struct bk_shard_ref *shard, u32 shards, int *err)
{
	u64 sequence = r->chain.head + 1, identity = tfs_cpu64(sequence);
	bool catalog = tfs_le32(m->kind) == BK_KIND_FORGET || sequence % CATALOG_EVERY == 0;
	u8 *plain = malloc(sizeof(*m) + r->chain.lives * sizeof(struct bk_listed) + shards * sizeof(*shard)),
	   digest[BK_HASH];
	char name[BK_KEY_MAX];
	int code;

	*err = 0;
	if (!plain)
		return bk_no_memory();
	manifest_name(name, sequence);
	code = bk_save(r, BK_MANIFEST, name, &identity, sizeof(identity), plain,
	               manifest_fill(r, m, shard, shards, catalog, plain), TFS_STORE_IF_ABSENT, digest, err);
	free(plain);
	if (code)
		return code;
	m->sequence = tfs_cpu64(sequence);
	r->chain.head = sequence;
	memcpy(r->chain.head_digest, digest, BK_HASH);
	if (tfs_le32(m->kind) == BK_KIND_BACKUP)
		code = live_add(&r->chain, sequence, digest, tfs_le64(m->volume));
	bk_state_save(r);
	return code;
}

int bk_chain_commit(struct bk_repo *r, struct bk_manifest *m, const struct bk_shard_ref *shard, u32 shards,
                    int (*still)(void *arg, struct bk_repo *r), void *arg)
{
	int err, code;
	u64 before;

	for (;;) {
		code = still ? still(arg, r) : 0;
		if (!code)
			code = append(r, m, shard, shards, &err);
		if (!code || err != -EEXIST)
			return code;
		before = r->chain.head;
		code = bk_chain_load(r); /* who was first */
		if (code)
			return code;
		if (r->chain.head <= before)
			return tfs_cli_fail(
			    BK_STORE, r->url,
			    "says that manifest %llu is there, and does not list it: the store is not consistent",
			    (unsigned long long)before + 1);
	}
}
