// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the volume holds to be sent: its rules, the files that are behind, and a file's bytes from its cursor on, as the
 * messages that cut.c finds in them. Sizes are taken first and made durable then, and nothing behind them is read. The
 * volume may be mounted or an image; it is asked with the requests of tfs/ioctl.h.
 */
#define _GNU_SOURCE
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- rules ---- */

/* 0, -ENOENT behind the last, or another error. A target that is none: a message, and rule->bad. */
int logship_rule_next(struct logship_sender *s, u64 from, struct logship_rule *rule)
{
	static struct tfs_ioc_ship_rule r;
	const char *why;
	int err;

	memset(&r, 0, sizeof(r));
	r.rule = from;
	err = target_request(&s->target, TFS_IOC_SHIP_NEXT, &r);
	if (err)
		return err;
	rule->id = r.rule;
	rule->ino = r.ino;
	memcpy(rule->pattern, r.pattern, r.pattern_len);
	rule->pattern[r.pattern_len] = 0;
	rule->pattern_len = r.pattern_len;
	memcpy(rule->text, r.target, r.target_len);
	rule->text[r.target_len] = 0;
	if (s->to) {
		snprintf(rule->text, sizeof(rule->text), "%s", s->to);
		r.target_len = (u32)strlen(rule->text);
	}
	why = ship_target_parse(rule->text, r.target_len, &rule->target);
	rule->bad = why != NULL;
	if (why)
		tfs_cli_warn(rule->text, "rule %llu: %s", (unsigned long long)rule->id, why);
	return 0;
}

/* ---- files ---- */

/* What was written is in the volume, and what is in the volume is durable. */
static int made_durable(struct logship_sender *s)
{
	if (!s->target.mounted)
		return 0; /* a mount recovered it: all that is there */
	return syncfs(s->target.fd) || fsync(s->target.fd) ? -errno : 0;
}

static int file_add(struct tfs_ioc_ship_file **list, size_t n, const struct tfs_ioc_ship_file *f)
{
	if (!(n & (n - 1)) || !n) { /* a power of two: it is full */
		void *larger = realloc(*list, (n ? 2 * n : 1) * sizeof(**list));

		if (!larger)
			return -ENOMEM;
		*list = larger;
	}
	(*list)[n] = *f;
	return 0;
}

int logship_files(struct logship_sender *s, u64 rule, struct tfs_ioc_ship_file **list, size_t *files)
{
	static struct tfs_ioc_ship_files q;
	bool more = true;
	u64 ino = 0;
	int err = made_durable(s); /* what waits in the page cache comes into the volume */

	*files = 0;
	while (!err && more) {
		memset(&q, 0, sizeof(q));
		q.rule = rule;
		q.ino = ino;
		err = target_request(&s->target, TFS_IOC_SHIP_FILES, &q);
		for (u32 i = 0; !err && i < q.count; i++)
			if (q.file[i].acked < q.file[i].size || s->all)
				err = file_add(list, (*files)++, &q.file[i]);
		ino = q.ino;
		more = q.more;
	}
	return err || !*files ? err : made_durable(s);
}

/* ---- a file ---- */

static int more_read(struct logship_sender *s, struct logship_reading *r)
{
	static struct tfs_ioc_ship_read q;
	u64 at = r->offset + r->have;
	u32 n;
	int err;

	memset(&q, 0, sizeof(q));
	q.ino = r->file.ino;
	q.generation = r->file.generation;
	q.offset = at;
	err = target_request(&s->target, TFS_IOC_SHIP_READ, &q);
	if (err)
		return err;
	n = q.bytes < r->file.size - at ? q.bytes : (u32)(r->file.size - at);
	if (!n)
		return -ESTALE; /* it has the generation, and not the size: nothing that can be */
	memcpy(r->buf + r->from + r->have, q.data, n);
	r->have += n;
	return 0;
}

/* A cursor within a line: a piece of it was acknowledged, and what follows are later ones. */
static int within_line(struct logship_sender *s, const struct tfs_ioc_ship_file *f, u32 *part)
{
	static struct tfs_ioc_ship_read q;
	int err;

	*part = 0;
	if (!f->acked)
		return 0;
	memset(&q, 0, sizeof(q));
	q.ino = f->ino;
	q.generation = f->generation;
	q.offset = f->acked - 1;
	err = target_request(&s->target, TFS_IOC_SHIP_READ, &q);
	*part = !err && q.bytes && q.data[0] != '\n';
	return err;
}

int logship_reading_start(struct logship_sender *s, struct logship_reading *r, const struct tfs_ioc_ship_file *f)
{
	r->file = *f;
	r->offset = f->acked;
	r->from = r->have = 0;
	return within_line(s, f, &r->part);
}

int logship_reading_next(struct logship_sender *s, struct logship_reading *r, const struct ship_cut *cut,
                         const u8 **text, struct ship_piece *piece)
{
	u32 want = cut->max + LOGSHIP_LOOK;
	int err = 0;

	if (r->have < want && r->from) {
		memmove(r->buf, r->buf + r->from, r->have);
		r->from = 0;
	}
	while (!err && r->have < want && r->offset + r->have < r->file.size)
		err = more_read(s, r);
	if (err)
		return err;
	*text = r->buf + r->from;
	return ship_cut(cut, *text, r->have,
	                (s->ended || r->file.flags & TFS_SHIP_ENDED) && r->offset + r->have == r->file.size, piece);
}

void logship_reading_took(struct logship_reading *r, const struct ship_piece *piece)
{
	r->part = piece->more ? r->part + 1 : 0;
	r->offset += piece->bytes;
	r->from += piece->bytes;
	r->have -= piece->bytes;
}
