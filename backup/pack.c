// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Packs being filled: one for nodes and one for data, so that what only lists names reads little. Each range is sealed
 * when it is added; a full pack is named by its hash and put while the next ones fill. Numbers count in the order in
 * which packs are begun, so the same walk of the same run makes the same packs, and what an interrupted run has put is
 * known by name and not put again. Memory: two packs, and PUTS under way. Called by run.c.
 */
#include "backup/backup.h"

#include <stdlib.h>

#define PUTS 3u

struct job {
	struct tfs_store_request r;
	struct job *next;
	char name[BK_KEY_MAX];
	u8 *buf;
	struct bk_packer *p;
};
struct open_pack {
	u8 *buf; /* NULL: none */
	u32 size;
	u32 pack; /* in the index */
};
struct bk_packer {
	struct bk_repo *r;
	u8 run[BK_RUN];
	u64 pack_bytes, added, sent;
	struct bk_index x;
	struct open_pack open[BK_STREAMS];
	struct bk_names known; /* put already */
	struct job *jobs;      /* all under way */
	u32 steps;
	u64 puts; /* done */
	struct tfs_progress *progress;
	int code;
};

struct bk_packer *bk_packer_new(struct bk_repo *r, const u8 run[BK_RUN], u64 volume, u64 pack_bytes,
                                struct tfs_progress *progress)
{
	struct bk_packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->r = r;
	p->x.volume = volume;
	p->pack_bytes = pack_bytes;
	p->progress = progress;
	memcpy(p->run, run, BK_RUN);
	return p;
}

void bk_packer_free(struct bk_packer *p)
{
	if (!p)
		return;
	if (p->jobs) /* the buffers are theirs until then */
		tfs_store_wait(p->r->store, 0);
	for (u32 s = 0; s < BK_STREAMS; s++)
		free(p->open[s].buf);
	free(p->known.name);
	bk_index_free(&p->x);
	free(p);
}

struct bk_index *bk_packer_index(struct bk_packer *p)
{
	return &p->x;
}

void bk_packer_count(const struct bk_packer *p, u64 *added, u64 *sent)
{
	*added = p->added;
	*sent = p->sent;
}

int bk_packer_known(struct bk_packer *p, const u8 name[BK_HASH])
{
	return bk_names_add(&p->known, name);
}

/* ---- putting ---- */

static void put_done(struct tfs_store_request *r)
{
	struct job *j = r->arg, **at = &j->p->jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	if (!r->result)
		tfs_progress_objects(j->p->progress, ++j->p->puts);
	if (r->result && !j->p->code)
		j->p->code = tfs_cli_fail(bk_store_code(r->result, BK_STORE), NULL, "%s", r->error);
	free(j->buf);
	free(j);
}

/* Until no more than so many are under way; meanwhile the clock goes on for who looks at it. */
static void puts_wait(struct bk_packer *p, unsigned left)
{
	for (unsigned n = tfs_store_step(p->r->store, 0); n > left; n = tfs_store_step(p->r->store, 200))
		tfs_progress_add(p->progress, 0);
}

/* The buffer is the job's from here on. */
static int put_start(struct bk_packer *p, u8 *buf, u32 size, const u8 name[BK_HASH])
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		free(buf);
		return bk_no_memory();
	}
	bk_object_name(j->name, BK_PACK, name);
	j->buf = buf;
	j->p = p;
	j->next = p->jobs;
	p->jobs = j;
	j->r = (struct tfs_store_request){
	    .op = TFS_STORE_PUT, .name = j->name, .data = buf, .length = size, .done = put_done, .arg = j};
	tfs_store_start(p->r->store, &j->r);
	puts_wait(p, PUTS - 1);
	p->sent += size;
	return p->code;
}

static int pack_close(struct bk_packer *p, struct open_pack *o)
{
	struct bk_pack_ref *ref = &p->x.pack[o->pack];
	u8 *buf = o->buf;

	o->buf = NULL;
	bk_name(p->r->crypt, BK_PACK, buf, o->size, ref->name);
	ref->size = o->size;
	if (!bk_names_have(&p->known, ref->name))
		return put_start(p, buf, o->size, ref->name);
	free(buf);
	return 0;
}

static int pack_begin(struct bk_packer *p, struct open_pack *o)
{
	struct bk_pack_ref *ref;
	int code = bk_grow(&p->x.pack, &p->x.packs_max, p->x.packs + 1, sizeof(*ref));

	o->buf = code ? NULL : malloc(p->pack_bytes);
	if (!o->buf)
		return code ? code : bk_no_memory();
	bk_head_fill((struct bk_head *)o->buf, BK_PACK);
	o->size = sizeof(struct bk_head);
	o->pack = (u32)p->x.packs;
	ref = &p->x.pack[p->x.packs];
	memset(ref, 0, sizeof(*ref));
	memcpy(ref->run, p->run, BK_RUN);
	ref->number = (u32)p->x.packs++;
	return 0;
}

/* ---- adding ---- */

static void range_seal(struct bk_packer *p, struct open_pack *o, u64 addr, u64 birth, u32 units, const void *data)
{
	struct bk_range_id id = {.pack = tfs_cpu32(p->x.pack[o->pack].number),
	                         .units = tfs_cpu32(units),
	                         .volume = tfs_cpu64(p->x.volume),
	                         .addr = tfs_cpu64(addr),
	                         .birth = tfs_cpu64(birth)};

	memcpy(id.run, p->run, BK_RUN);
	bk_seal(p->r->crypt, BK_RANGE, &id, sizeof(id), data, (size_t)units * TFS_UNIT, o->buf + o->size);
	p->x.place[p->x.places++] =
	    (struct bk_place){.addr = addr, .birth = birth, .units = units, .pack = o->pack, .offset = o->size};
	o->size += BK_SEALED + units * TFS_UNIT;
	p->added += (u64)units * TFS_UNIT;
}

int bk_packer_add(struct bk_packer *p, int stream, u64 addr, u64 birth, u32 units, const void *data)
{
	struct open_pack *o = &p->open[stream];
	u64 bytes = BK_SEALED + (u64)units * TFS_UNIT;
	int code = p->code;

	if (!units || bytes > p->pack_bytes - sizeof(struct bk_head))
		return tfs_cli_fail(BK_VOLUME, NULL, "unit %llu: a range of %u units does not fit in a pack",
		                    (unsigned long long)addr, units);
	if (!code && o->buf && bytes > p->pack_bytes - o->size)
		code = pack_close(p, o);
	if (!code && !o->buf)
		code = pack_begin(p, o);
	if (!code)
		code = bk_grow(&p->x.place, &p->x.places_max, p->x.places + 1, sizeof(struct bk_place));
	if (code)
		return code;
	range_seal(p, o, addr, birth, units, data);
	if (units > p->x.longest)
		p->x.longest = units;
	if (p->jobs && ++p->steps % 32 == 0)
		tfs_store_step(p->r->store, 0);
	return p->code;
}

int bk_packer_finish(struct bk_packer *p)
{
	int code = p->code;

	for (u32 s = 0; !code && s < BK_STREAMS; s++)
		if (p->open[s].buf)
			code = pack_close(p, &p->open[s]);
	puts_wait(p, 0);
	return code ? code : p->code;
}
