/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What dead.c, call.c and deliver.c share; web.h says what they are. One link over HTTP, of one pass (sender.c). */
#ifndef TFS_LOGSHIP_DELIVER_H
#define TFS_LOGSHIP_DELIVER_H

#include "logship/logship.h"
#include "logship/web/web.h"
#include "tfs/web/web.h"

struct web {
	const struct logship_way *way;
	const struct web_format *format;
	struct web_batch batch;
	struct web_item **list; /* those of the request under way */
	struct ship_out body;
	u8 *packed; /* the body, compressed */
	size_t packed_size;
	u64 first_ms; /* when the batch's oldest came into it */
	u64 since_ms; /* the last time that anything was taken */
	u32 tries;    /* since then */
	int failed;   /* what the next call returns */
	bool final;   /* trying again is of no use */
	u32 again_ms; /* asked for by the collector */
	u64 dead;     /* messages in the file of such, so far */
	char said[256];
	struct logship_output file; /* of dead ones; open when path is set */
	/* ---- call.c ---- */
	CURL *curl;
	struct curl_slist *headers;
	char *answer;
	size_t answer_len, answer_size;
	u32 retry_after; /* seconds */
	u64 stopped_ms;  /* when a signal was seen */
	char error[CURL_ERROR_SIZE];
};

/* ---- dead.c ---- */
/* Of the oldest n, which all have their fate, those that are dead are in the file, durable. A negative errno: none counts
 * as written, and *n is how many precede the first of them. */
int web_dead_write(struct web *w, const struct web_item *item, u32 *n);

/* ---- call.c ---- */
int web_call_open(struct web *w); /* 0 or a negative errno, w->said says more */
void web_call_close(struct web *w);
/* The body as a request. 0: *a is the answer, until the next call; negative: none came, w->said says why; -EINTR: a
 * signal. */
int web_call(struct web *w, struct web_answer *a);

#endif
