// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Ranges out of packs for whoever reads here and there: what is asked for comes with what lies behind it in the pack
 * (a walk reads nodes in the order they were packed in), and the last spans and opened ranges are kept. Called by
 * image.c. A span is ciphertext: everything is authenticated when a range of it is opened.
 */
#include "backup/backup.h"

#include <stdlib.h>

#define SPAN (512u << 10)
#define SPANS 32u
#define OPENED 64u

struct span {
	u8 *buf;
	u32 pack, offset;
	size_t len; /* 0: free */
	u64 used;
};
struct opened {
	const struct bk_place *place; /* NULL: free */
	u8 *data;
	u64 used;
};
struct bk_fetch {
	struct bk_repo *r;
	const struct bk_index *x;
	struct span span[SPANS];
	struct opened opened[OPENED];
	u64 clock;
};

struct bk_fetch *bk_fetch_new(struct bk_repo *r, const struct bk_index *x)
{
	struct bk_fetch *f = calloc(1, sizeof(*f));

	if (f) {
		f->r = r;
		f->x = x;
	}
	return f;
}

void bk_fetch_free(struct bk_fetch *f)
{
	for (u32 i = 0; f && i < SPANS; i++)
		free(f->span[i].buf);
	for (u32 i = 0; f && i < OPENED; i++)
		free(f->opened[i].data);
	free(f);
}

const char *bk_range_open(const struct bk_repo *r, const struct bk_index *x, const struct bk_place *p, const u8 *sealed,
                          u8 *out)
{
	const struct bk_pack_ref *k = &x->pack[p->pack];
	struct bk_range_id id = {.pack = tfs_cpu32(k->number),
	                         .units = tfs_cpu32(p->units),
	                         .volume = tfs_cpu64(x->volume),
	                         .addr = tfs_cpu64(p->addr),
	                         .birth = tfs_cpu64(p->birth)};

	memcpy(id.run, k->run, BK_RUN);
	return bk_open(r->crypt, BK_RANGE, &id, sizeof(id), sealed, (size_t)p->units * TFS_UNIT, out)
	           ? "was changed, or put in another's place"
	           : NULL;
}

static int range_damaged(const struct bk_fetch *f, const struct bk_place *p, const char *why)
{
	char name[BK_KEY_MAX];

	bk_object_name(name, BK_PACK, f->x->pack[p->pack].name);
	return tfs_cli_fail(BK_DAMAGE, name, "range at byte %u (units %llu+%u of the volume) %s", p->offset,
	                    (unsigned long long)p->addr, p->units, why);
}

/* A span that holds [offset, offset + bytes) of the pack. */
static int span_get(struct bk_fetch *f, const struct bk_place *p, size_t bytes, bool stale, struct span **out)
{
	struct span *s = &f->span[0];
	size_t want = bytes > SPAN ? bytes : SPAN, left = f->x->pack[p->pack].size - p->offset;
	char name[BK_KEY_MAX];
	int err;

	for (u32 i = 0; i < SPANS; i++) {
		struct span *t = &f->span[i];

		if (t->len && t->pack == p->pack && p->offset >= t->offset && p->offset - t->offset + bytes <= t->len) {
			t->used = ++f->clock;
			*out = t;
			return 0;
		}
		if (t->used < s->used)
			s = t;
	}
	free(s->buf);
	*s = (struct span){.pack = p->pack, .offset = p->offset};
	s->buf = malloc(want);
	if (!s->buf)
		return bk_no_memory();
	bk_object_name(name, BK_PACK, f->x->pack[p->pack].name);
	err = tfs_store_get(f->r->store, name, p->offset, s->buf, want < left ? want : left, &s->len);
	if (err == -ENOENT && stale)
		return 0;
	if (err)
		return bk_store_failed(f->r, err, BK_DAMAGE);
	s->used = ++f->clock;
	if (s->len < bytes)
		return range_damaged(f, p, "is missing: the pack is shorter than it was");
	*out = s;
	return 0;
}

int bk_pack_load(struct bk_repo *r, const u8 pack[BK_HASH], u32 size, char name[BK_KEY_MAX], void **data)
{
	u8 hash[BK_HASH];
	size_t len;
	int err;

	bk_object_name(name, BK_PACK, pack);
	err = tfs_store_load(r->store, name, size, data, &len);
	if (err) {
		*data = NULL;
		return bk_store_failed(r, err, BK_DAMAGE);
	}
	bk_name(r->crypt, BK_PACK, *data, len, hash);
	return len == size && !memcmp(hash, pack, BK_HASH)
	           ? 0
	           : tfs_cli_fail(BK_DAMAGE, name, "was changed: its content has another hash than its name");
}

int bk_fetch_range(struct bk_fetch *f, const struct bk_place *p, bool stale, const u8 **data)
{
	size_t bytes = (size_t)p->units * TFS_UNIT;
	struct opened *o = &f->opened[0];
	const char *why;
	struct span *s = NULL;
	int code;

	for (u32 i = 0; i < OPENED; i++) {
		struct opened *t = &f->opened[i];

		if (t->place == p) {
			t->used = ++f->clock;
			*data = t->data;
			return 0;
		}
		if (t->used < o->used)
			o = t;
	}
	o->place = NULL;
	free(o->data);
	o->data = malloc(bytes);
	if (!o->data)
		return bk_no_memory();
	code = span_get(f, p, bytes + BK_SEALED, stale, &s);
	*data = NULL;
	if (code || !s)
		return code;
	why = bk_range_open(f->r, f->x, p, s->buf + (p->offset - s->offset), o->data);
	if (why)
		return range_damaged(f, p, why);
	o->place = p;
	o->used = ++f->clock;
	*data = o->data;
	return 0;
}
