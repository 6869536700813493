// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One run over a volume of the Nanos kernel: its log, then its tree, then the repair. Nothing here knows of files or
 * options: the fuzzers call it too. Fault of the log: what the whole records before it say is kept.
 */
#include "fsck/fsck_nanos.h"

#include <stdlib.h>

#define ROUNDS 16u

static enum fsck_problem problem_of(const struct nanos_fault *f)
{
	switch (f->kind) {
	case NANOS_FAULT_HEAD:
		return FSCK_NLOG_HEAD;
	case NANOS_FAULT_LINK:
		return FSCK_NLOG_LINK;
	case NANOS_FAULT_FRAME:
		return FSCK_NLOG_FRAME;
	default:
		return FSCK_NLOG_RECORD;
	}
}

static const char *fault_text(const struct nanos_fault *f, char *buf, size_t size)
{
	if (f->numbers)
		snprintf(buf, size, "%s: expected %llu, found %llu", f->what, (unsigned long long)f->expected,
		         (unsigned long long)f->found);
	else
		snprintf(buf, size, "%s", f->what);
	return buf;
}

static bool fault_problem(struct fsck_nanos *n, const struct nanos_fault *f, const char *then)
{
	char object[48], text[200];

	snprintf(object, sizeof(object), "log byte %llu", (unsigned long long)f->at);
	return fsck_problem(n->f, problem_of(f), object, "%s; %s", fault_text(f, text, sizeof(text)), then);
}

/* Where reading went on behind a broken link: reported as it is taken. */
static bool relink(void *arg, const struct nanos_fault *f, struct nanos_join *j)
{
	struct fsck_nanos *n = arg;
	char then[80];

	if (n->joins > 64 || !fsck_nanos_relink(n, f, j) || j->start == n->joined)
		return false;
	n->joined = j->start;
	snprintf(then, sizeof(then), "the log goes on at block %llu", (unsigned long long)j->start);
	if (!fault_problem(n, f, then))
		n->f->log_kept = true;
	n->joins++;
	n->changed++;
	return true;
}

static void extension_met(void *arg, u64 start, u64 blocks, u32 version)
{
	struct fsck_nanos *n = arg;

	(void)start;
	(void)version;
	tfs_progress_add(&n->f->progress, blocks / 2);
}

static int log_check(struct fsck_nanos *n)
{
	struct nanos_open_ops ops = {.relink = relink, .extension = extension_met, .force = n->force};
	const struct nanos_fault *f;
	char then[80], text[200];
	int err = nanos_open(n->dev, &fsck_env, &ops, n, &n->vol);

	if (err)
		return err;
	f = &n->vol->fault;
	if (f->kind == NANOS_SOUND)
		return 0;
	snprintf(then, sizeof(then), "%llu whole records before it", (unsigned long long)n->vol->records);
	if (n->vol->entries < 2) { /* nothing to make a volume of */
		n->f->left++;
		n->f->found++;
		n->f->log_kept = true;
		tfs_cli_fail(0, n->f->image,
		             "log byte %llu: %s; no record can be read, and so nothing be repaired: is --offset or "
		             "--partition missing, or the rest of the image?",
		             (unsigned long long)f->at, fault_text(f, text, sizeof(text)));
		return -EUCLEAN;
	}
	if (fault_problem(n, f, then))
		n->changed++;
	else
		n->f->log_kept = true; /* a new log would end there */
	return 0;
}

int fsck_nanos_check(struct fsck_nanos *n)
{
	int err;

	tfs_progress_pass(&n->f->progress, "log, KiB", 0);
	err = log_check(n);
	tfs_progress_pass(&n->f->progress, "tree, rounds", 0);
	for (u32 i = 0; i < ROUNDS && !err; i++) {
		n->again = false;
		err = fsck_nanos_tree(n);
		tfs_progress_add(&n->f->progress, 1);
		if (!n->again || n->f->mode != MODE_YES)
			break; /* else: mending may bring out what was hidden */
	}
	if (n->again && !err && n->f->mode == MODE_YES) {
		n->f->left++;
		tfs_cli_fail(0, n->f->image, "mending brought out more, %u times: run fsck.tfs on the result again",
		             ROUNDS);
	}
	return err;
}

/* ---- free space ---- */

struct place {
	struct nanos_run *used;
	u32 useds, useds_max;
	u32 next; /* run behind the gap being filled */
	u64 at, blocks;
	int (*grow)(void *arg, u64 blocks);
	void *arg;
};

static int used_add(struct place *p, u64 start, u64 blocks)
{
	int err = nanos_grow(&p->used, &p->useds_max, p->useds + 1ull, sizeof(*p->used));

	if (!err)
		p->used[p->useds++] = (struct nanos_run){start, blocks};
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct nanos_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int extents_add(struct fsck_nanos *n, struct place *p)
{
	struct nanos_vol *vol = n->vol;
	int err = nanos_links(vol);

	for (u32 i = 1; i < vol->entries && !err; i++) {
		if (vol->entry[i].kind != NANOS_IS_TUPLE || !vol->entry[i].links || nanos_node_of(vol, i) != NANOS_FILE)
			continue;
		err = nanos_extents(vol, i);
		for (u32 e = 0; e < vol->extents && !err; e++)
			err = used_add(p, vol->extent[e].start, vol->extent[e].allocated);
	}
	return err;
}

/* First fit for an extension of the log, above all that is in use. */
static int extension_place(void *arg, u64 *start)
{
	struct place *p = arg;

	for (; p->next < p->useds; p->next++) {
		const struct nanos_run *u = &p->used[p->next];

		if (u->start >= p->at + NANOS_EXTENSION)
			break;
		if (u->start + u->blocks > p->at)
			p->at = u->start + u->blocks;
	}
	if (p->at + NANOS_EXTENSION > p->blocks) {
		u64 more = p->at + NANOS_EXTENSION - p->blocks;

		if (!p->grow || p->grow(p->arg, more))
			return -ENOSPC;
		p->blocks += more;
	}
	*start = p->at;
	p->at += NANOS_EXTENSION;
	return 0;
}

int fsck_nanos_repair(struct fsck_nanos *n, int (*grow)(void *arg, u64 blocks), void *arg)
{
	struct place p = {.at = 1, .blocks = n->vol->blocks, .grow = grow, .arg = arg};
	int err = 0;

	n->vol->linked = false; /* names have changed */
	for (u32 i = 1; i < n->vol->entries; i++)
		n->vol->entry[i].links = 0;
	for (u32 i = 0; i < n->vol->exts && !err; i++)
		err = used_add(&p, n->vol->ext[i].start, n->vol->ext[i].blocks);
	if (!err)
		err = extents_add(n, &p);
	if (!err) {
		qsort(p.used, p.useds, sizeof(*p.used), by_start);
		err = nanos_write(n->vol, n->dev, extension_place, &p);
	}
	tfs_port_free(p.used);
	return err;
}

void fsck_nanos_free(struct fsck_nanos *n)
{
	nanos_close(n->vol);
	nanos_paths_free(&n->paths);
}
