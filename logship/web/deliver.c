// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A batch on its way: sent, judged by the answer, and sent again in part or in halves, until each message was taken by
 * the collector or stands in the dead-letter file. What arrived is told in the order of sending, so of a batch that
 * fails only the messages before the first that waits. Always: without a dead-letter file nothing is given up; one
 * thread; every wait has an end. Called by link.c.
 */
#include "logship/web/deliver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGE_MS 1000u /* of the oldest message in a batch, when more come: then it goes */

/* ---- waiting ---- */

static void say(struct web *w, const char *why)
{
	if (*why)
		snprintf(w->said, sizeof(w->said), "%s", why);
}

/* Before the next try: as long as the collector asks for, or longer each time. Negative: err, since there is no time
 * left for it. */
static int wait_again(struct web *w, int err)
{
	u32 shift = w->tries < 8 ? w->tries : 8, ms = LOGSHIP_BACKOFF_MIN << shift;
	u64 asked = (u64)w->retry_after * 1000, passed = logship_now_ms() - w->since_ms;

	w->tries++;
	ms = logship_jitter(ms < LOGSHIP_BACKOFF_MAX ? ms : LOGSHIP_BACKOFF_MAX);
	if (ms < asked)
		ms = (u32)asked;
	if (logship_stopped)
		return -EINTR;
	if (passed + ms > w->way->retry_ms) {
		w->again_ms = (u32)asked;
		return err;
	}
	logship_sleep(ms);
	return logship_stopped ? -EINTR : 0;
}

/* ---- fates ---- */

/* Those of [from, to) that wait, into the list. */
static u32 waiting(struct web *w, u32 from, u32 to)
{
	u32 n = 0;

	for (u32 i = from; i < to; i++)
		if (w->batch.item[i].fate == WEB_WAITS)
			w->list[n++] = &w->batch.item[i];
	return n;
}

/* What the answer decided about the list. 1: something moved on; 0: nothing did; negative: there is no place for what is dead. */
static int settle(struct web *w, u32 n, const struct web_verdict *v)
{
	u32 dead = 0, taken = 0;

	for (u32 i = 0; i < n; i++) {
		struct web_item *it = w->list[i];

		taken += it->fate == WEB_TAKEN;
		if (it->fate != WEB_DEAD)
			continue;
		dead++;
		it->unsure = v->unsure;
		if (!w->way->dead_letter[0])
			it->fate = WEB_WAITS;
	}
	if (dead && !w->way->dead_letter[0]) {
		snprintf(w->said, sizeof(w->said), "refused for good, and there is no dead-letter file: %.150s",
		         v->why);
		w->final = true;
		return -EBADMSG;
	}
	if (taken + dead) {
		w->since_ms = logship_now_ms();
		w->tries = 0;
	}
	return taken + dead > 0;
}

static void one_dead(struct web *w, const struct web_verdict *v)
{
	w->list[0]->fate = WEB_DEAD;
	snprintf(w->list[0]->reason, sizeof(w->list[0]->reason), "%.120s", v->why);
}

/* ---- a batch ---- */

static int request(struct web *w, u32 n, struct web_verdict *v)
{
	struct web_answer a;
	int err;

	w->body.len = 0;
	web_batch_body(&w->batch, w->list, n, &w->body);
	err = web_call(w, &a);
	if (err)
		return err;
	web_judge(w->format, &a, w->list, n, v);
	say(w, v->why);
	if (v->next == WEB_SPLIT && n == 1) {
		one_dead(w, v);
		v->next = WEB_DONE;
	}
	err = settle(w, n, v);
	if (err < 0)
		w->final = true;
	return err < 0 ? err : 0;
}

/* Until none of [from, to) waits. */
static int deliver(struct web *w, u32 from, u32 to)
{
	u32 n, middle;

	while ((n = waiting(w, from, to))) {
		struct web_verdict v = {.next = WEB_AGAIN};
		int err = request(w, n, &v);

		if (err == -EINTR || err == -ENOMEM || (err && w->final))
			return err;
		if (v.next == WEB_STOP) {
			w->final = true;
			return -EPROTO;
		}
		if (v.too_large && w->batch.limit > SHIP_BATCH_MIN)
			w->batch.limit /= 2; /* of those that come after it in this pass */
		if (v.next == WEB_SPLIT) {
			middle = (u32)(w->list[v.first ? v.first : n / 2] - w->batch.item);
			err = deliver(w, from, middle);
			if (err)
				return err;
			continue; /* with what waits behind it */
		}
		if (v.next == WEB_DONE && !err)
			continue;
		if (!waiting(w, from, to))
			break;
		err = wait_again(w, err ? err : -EAGAIN);
		if (err)
			return err;
	}
	return 0;
}

/* How many of the oldest are no longer waiting. */
static u32 arrived(const struct web *w)
{
	u32 n = 0;

	while (n < w->batch.count && w->batch.item[n].fate != WEB_WAITS)
		n++;
	return n;
}

static int flush(struct web *w)
{
	int err;
	u32 n;

	if (w->failed || !w->batch.count)
		return w->failed;
	w->since_ms = logship_now_ms();
	w->tries = 0;
	err = deliver(w, 0, w->batch.count);
	n = arrived(w);
	if (web_dead_write(w, w->batch.item, &n)) {
		w->final = true;
		err = -EIO;
	}
	web_batch_clear(&w->batch);
	w->failed = err;
	return n ? (int)n : err;
}

/* ---- what link.c calls ---- */

int logship_web_open(struct web **out, const struct logship_way *way)
{
	struct web *w = calloc(1, sizeof(*w));
	int err;

	*out = w;
	if (!w)
		return -ENOMEM;
	w->way = way;
	w->format = web_format(way->target->transport);
	w->body.size = way->target->batch + 2 * WEB_ITEM_MAX;
	w->body.buf = malloc(w->body.size);
	w->list = malloc(w->format->most * sizeof(*w->list));
	err = web_batch_open(&w->batch, w->format, way->target->batch);
	if (err || !w->body.buf || !w->list)
		return -ENOMEM;
	return web_call_open(w);
}

int logship_web_send(struct web *w, const struct ship_message *m)
{
	struct timespec t;
	u64 ns;
	int n = w->failed;

	if (n)
		return n;
	clock_gettime(CLOCK_REALTIME, &t);
	ns = (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
	if (!web_batch_add(&w->batch, m, ns)) {
		n = flush(w);
		web_batch_add(&w->batch, m, ns); /* after a failure, too: the caller counts it as on its way */
	}
	if (w->batch.count == 1)
		w->first_ms = logship_now_ms();
	if (!n && (w->batch.count == w->format->most || logship_now_ms() - w->first_ms > AGE_MS))
		n = flush(w);
	return n;
}

int logship_web_wait(struct web *w)
{
	return flush(w);
}

void logship_web_tell(const struct web *w, struct logship_link *l)
{
	l->dead = w->dead;
	l->final = w->final;
	l->again_ms = w->again_ms;
	snprintf(l->said, sizeof(l->said), "%s", w->said);
}

void logship_web_close(struct web *w)
{
	if (!w)
		return;
	web_call_close(w);
	if (w->file.path)
		logship_output_close(&w->file);
	web_batch_close(&w->batch);
	free(w->body.buf);
	free(w->list);
	free(w);
}
