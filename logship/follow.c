// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tail: prints what was not acknowledged, as it stands in the files, one file behind the other. --follow goes on: every
 * look prints what came to any file since the one before, whole lines only, so that lines of several files do not mix.
 * Nothing is sent or moved. Always: a byte is printed once, though it is acknowledged or cut off meanwhile, unless lines
 * were punched out of its file: that begins again. Called by status.c.
 */
#include "logship/logship.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Of a file under a rule, in one generation: how far it was printed. ino: its own number, wherever its lines lie. */
struct place {
	u64 rule, ino, at;
	u32 generation;
};
static void *places; /* of tsearch(3) */

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->generation != y->generation ? (x->generation < y->generation ? -1 : 1) : 0;
}

/* Where printing goes on in this file: at what was not acknowledged, in the first look; a file that was not there then,
 * or was truncated since, is printed from its beginning, for it may be acknowledged by now. NULL: no memory. */
static struct place *place_of(u64 rule, const struct tfs_ioc_ship_file *f, bool later)
{
	struct place *p = malloc(sizeof(*p));
	void *found;

	if (!p)
		return NULL;
	*p = (struct place){.rule = rule,
	                    .ino = f->origin,
	                    .at = later && f->origin == f->ino ? 0 : f->acked,
	                    .generation = f->generation};
	found = tsearch(p, &places, compare);
	if (!found || *(struct place **)found != p)
		free(p);
	return found ? *(struct place **)found : NULL;
}

/* Up to the last line end of what was read; all of it when that is most of what fits, or lines are not waited for. */
static u32 printable(const struct tfs_ioc_ship_read *q, bool whole)
{
	u32 n = q->bytes;

	while (whole && n && q->data[n - 1] != '\n')
		n--;
	return n || q->bytes < sizeof(q->data) ? n : q->bytes;
}

static int file_print(struct logship_sender *s, struct place *p, const struct tfs_ioc_ship_file *f, bool whole)
{
	static struct tfs_ioc_ship_read q;

	while (p->at < f->size) {
		u32 n;
		int err;

		memset(&q, 0, sizeof(q));
		q.ino = f->ino;
		q.generation = p->generation;
		q.offset = p->at;
		err = target_request(&s->target, TFS_IOC_SHIP_READ, &q);
		if (err || !q.bytes)
			return err == -ESTALE || err == -ENOENT ? 0 : err;
		if (q.bytes > f->size - p->at)
			q.bytes = (u32)(f->size - p->at);
		n = printable(&q, whole);
		fwrite(q.data, 1, n, stdout);
		p->at += n;
		if (!n)
			return 0;
	}
	return 0;
}

int logship_tail_file(struct logship_sender *s, const struct logship_rule *rule, const struct tfs_ioc_ship_file *f,
                      void *arg)
{
	const struct logship_tail *t = arg;
	struct place *p = place_of(rule->id, f, t->later);

	return p ? file_print(s, p, f, t->follow) : -ENOMEM;
}
