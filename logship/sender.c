// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One rule's lines on their way: what is durable and was not acknowledged is read from the volume, from each file's
 * cursor on, cut, framed and sent; what arrived moves the cursor. Always: a cursor moves only over what arrived, in the
 * order of the file; and only what was durable before it was read is sent, so that a collector never holds what a crash
 * took back. After an error all begins again at the cursors: lines may repeat (their identity says so), none is missing.
 * One thread. Called by drain.c.
 */
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FLIGHT_MAX 8192u
#define COMMIT_MS 1000u
#define ENDING_MS 2000u

struct flight { /* one a message that was sent, in order */
	u64 ino, end;
	u32 generation, bytes;
	bool empty; /* nothing was sent for it */
};
struct pass {
	struct logship_sender *s;
	const struct logship_rule *rule;
	struct logship_link link;
	struct logship_way way;
	struct flight *flight; /* a ring */
	u32 first, count;
	struct flight acked; /* arrived, and not in the volume yet; ino 0: none */
	u64 committed_ms;
	u64 second_ms; /* of the rule's limit: when it began, and what was sent in it */
	u32 in_second;
};

/* ---- cursors ---- */

static int commit(struct pass *p, bool sync)
{
	struct tfs_ioc_ship_cursor c = {
	    .rule = p->rule->id, .ino = p->acked.ino, .acked = p->acked.end, .generation = p->acked.generation};
	int err = 0;

	if (c.ino)
		err = target_request(&p->s->target, TFS_IOC_SHIP_ACKED, &c);
	if (err == -ESTALE || err == -ENOENT) { /* it shrank or went: what arrived was of before */
		p->s->stale++;
		err = 0;
	}
	p->acked.ino = 0;
	p->committed_ms = logship_now_ms();
	if (!err && sync && !p->s->target.mounted)
		err = tfs_sync(p->s->target.vol);
	if (err)
		p->s->volume_err = err;
	return err;
}

/* The oldest went into the collector, or were empty. */
static int arrived(struct pass *p, int n)
{
	int err = 0;

	while (!err && p->count && (n > 0 || p->flight[p->first].empty)) {
		struct flight *f = &p->flight[p->first];

		if (p->acked.ino && (p->acked.ino != f->ino || p->acked.generation != f->generation))
			err = commit(p, false);
		p->acked = *f;
		p->s->backlog -= f->bytes < p->s->backlog ? f->bytes : p->s->backlog;
		if (!f->empty) {
			n--;
			p->s->acked++;
		}
		p->first = (p->first + 1) % FLIGHT_MAX;
		p->count--;
	}
	return err || logship_now_ms() - p->committed_ms < COMMIT_MS ? err : commit(p, true);
}

static int all_arrived(struct pass *p)
{
	int err = 0, n = 0;

	while (!err && n >= 0 && p->count) {
		n = logship_link_wait(&p->link);
		err = n < 0 ? n : arrived(p, n);
	}
	return err;
}

/* ---- one message ---- */

static void message_head(const struct pass *p, struct ship_message *m)
{
	const struct logship_sender *s = p->s;
	struct timespec t;

	*m = (struct ship_message){.nanoseconds = ~0u, .host = s->config->host, .app = p->rule->target.app};
	memcpy(m->boot, s->boot, sizeof(m->boot));
	m->id.volume = s->volume;
	if (!s->target.mounted)
		return; /* when it was written nobody knows any more */
	clock_gettime(CLOCK_REALTIME, &t);
	m->seconds = t.tv_sec;
	m->nanoseconds = (u32)t.tv_nsec;
}

static int message_send(struct pass *p, const struct logship_reading *r, const u8 *text, const struct ship_piece *piece)
{
	struct ship_message m;
	u32 skip = 0;

	message_head(p, &m);
	m.priority =
	    r->part ? p->rule->target.standard : ship_priority(p->rule->target.standard, text, piece->text, &skip);
	m.text = text + skip;
	m.len = piece->text - skip;
	m.more = piece->more;
	m.part = r->part || piece->more ? r->part + 1 : 0;
	m.id.ino = r->file.origin;
	m.id.generation = r->file.generation;
	m.id.offset = r->offset;
	m.id.crc = tfs_port_crc32c(0, text, piece->text);
	m.sequence = ++p->s->sequence;
	m.file = logship_name_of(p->s, r->file.origin);
	return logship_link_send(&p->link, &m);
}

/* Waits for the next second where this one's messages are sent. */
static int rate_keep(struct pass *p)
{
	u32 rate = p->rule->target.rate;
	int n = 0;

	while (n >= 0 && rate && p->in_second >= rate && logship_now_ms() - p->second_ms < 1000) {
		n = logship_link_wait(&p->link);
		n = n < 0 ? n : arrived(p, n);
		if (logship_stopped)
			return -EINTR;
		usleep(10000);
	}
	if (logship_now_ms() - p->second_ms >= 1000) {
		p->second_ms = logship_now_ms();
		p->in_second = 0;
	}
	p->in_second++;
	return n;
}

static int piece_send(struct pass *p, struct logship_reading *r, const u8 *text, const struct ship_piece *piece)
{
	struct flight *f;
	bool empty = !piece->text && !r->part;
	int n = p->count == FLIGHT_MAX ? all_arrived(p) : 0;

	if (!n && !empty)
		n = rate_keep(p);
	if (n)
		return n;
	f = &p->flight[(p->first + p->count++) % FLIGHT_MAX];
	*f = (struct flight){r->file.ino, r->offset + piece->bytes, r->file.generation, piece->bytes, empty};
	n = empty ? 0 : message_send(p, r, text, piece);
	if (n < 0)
		return n;
	if (!empty)
		p->s->sent++;
	p->s->bytes += piece->bytes;
	return arrived(p, n);
}

static int file_send(struct pass *p, const struct tfs_ioc_ship_file *file)
{
	static struct logship_reading r;
	struct ship_piece piece;
	const u8 *text;
	int err = logship_reading_start(p->s, &r, file);

	while (!err && !logship_stopped &&
	       (err = logship_reading_next(p->s, &r, &p->rule->target.cut, &text, &piece)) > 0) {
		err = piece_send(p, &r, text, &piece);
		logship_reading_took(&r, &piece);
	}
	if (err == -ESTALE || err == -ENOENT) { /* shrank meanwhile: the next pass sees what is there now */
		p->s->stale++;
		return 0;
	}
	return err;
}

/* ---- a pass over all files ---- */

static int files_send(struct pass *p, const struct tfs_ioc_ship_file *file, size_t files)
{
	int err = logship_link_open(&p->link, &p->way);

	for (size_t i = 0; !err && !logship_stopped && i < files; i++)
		err = file_send(p, &file[i]);
	if (logship_stopped) {
		p->link.ending = true;
		p->link.timeout_ms = ENDING_MS;
	}
	if (!err)
		err = all_arrived(p);
	if (!p->s->volume_err) {
		int end = commit(p, true);

		err = err ? err : end;
	}
	p->s->dead += p->link.dead;
	p->s->acked -= p->link.dead; /* they arrived elsewhere */
	p->s->final = p->link.final;
	p->s->again_ms = p->link.again_ms;
	memcpy(p->s->said, p->link.said, sizeof(p->s->said));
	logship_link_close(&p->link);
	return err;
}

static int pass(struct logship_sender *s, const struct logship_rule *rule, size_t *files)
{
	static struct pass p;
	struct tfs_ioc_ship_file *file = NULL;
	int err = logship_files(s, rule->id, &file, files);

	memset(&p, 0, sizeof(p));
	p.s = s;
	p.rule = rule;
	p.link.fd = -1;
	p.committed_ms = logship_now_ms();
	p.way = (struct logship_way){.text = rule->text,
	                             .target = &rule->target,
	                             .set = logship_collector_of(s->config, &rule->target),
	                             .ca_file = s->config->ca_file,
	                             .dead_letter = s->config->dead_letter,
	                             .timeout_ms = s->config->timeout_ms,
	                             .retry_ms = s->config->retry_ms};
	s->backlog = 0;
	s->backlog_files = *files;
	for (size_t i = 0; !err && i < *files; i++)
		s->backlog += file[i].size - file[i].acked;
	if (err)
		s->volume_err = err;
	p.flight = malloc(FLIGHT_MAX * sizeof(*p.flight));
	if (!p.flight)
		err = -ENOMEM;
	if (!err && *files)
		err = files_send(&p, file, *files);
	free(p.flight);
	free(file);
	return err;
}

/* ---- until all is sent ---- */

static void failed(const struct logship_sender *s, const struct logship_rule *rule, int err, u32 again_ms)
{
	const char *why = err == -EPROTO && !s->said[0] ? "answers as no RELP collector does"
	                  : s->said[0]                  ? s->said
	                                                : strerror(-err);

	if (!s->quiet || s->final)
		tfs_cli_warn(rule->text, "%s%s", why, again_ms ? "; trying again" : "");
}

/* Files that a pass leaves have a last line without its end, or grew. */
int logship_rule_send(struct logship_sender *s, const struct logship_rule *rule)
{
	u64 before = s->acked + s->dead, since = logship_now_ms();
	u32 wait = LOGSHIP_BACKOFF_MIN;
	size_t files;
	int err;

	for (;;) {
		s->said[0] = 0;
		s->final = false;
		s->again_ms = 0;
		err = pass(s, rule, &files);
		if (!err || err == -EINTR || s->volume_err || err == -ENOMEM)
			return s->volume_err ? s->volume_err : err;
		if (s->acked + s->dead != before) {
			before = s->acked + s->dead;
			since = logship_now_ms();
			wait = LOGSHIP_BACKOFF_MIN;
		}
		if (logship_now_ms() - since + s->again_ms >= s->config->retry_ms || logship_stopped || s->final) {
			failed(s, rule, err, 0);
			return err;
		}
		failed(s, rule, err, wait);
		s->reconnects++;
		logship_sleep(logship_jitter(wait > s->again_ms ? wait : 2 * s->again_ms));
		wait = wait * 2 < LOGSHIP_BACKOFF_MAX ? wait * 2 : LOGSHIP_BACKOFF_MAX;
	}
}
