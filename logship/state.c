// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is remembered of each rule from one look to the next, for as long as the process runs: when its collector may be
 * asked again. Called by drain.c.
 */
#include "logship/logship.h"

#include <stdlib.h>

static struct logship_state *first;

struct logship_state *logship_state_of(u64 rule)
{
	struct logship_state *s;

	for (s = first; s; s = s->next)
		if (s->rule == rule)
			return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->rule = rule;
	s->next = first;
	return first = s;
}

/* The longer, the more often it failed; at least as long as the collector asked for. */
void logship_state_failed(struct logship_state *s, u32 again_ms)
{
	u32 ms = logship_jitter(LOGSHIP_BACKOFF_MIN << (s->failures < 8 ? s->failures : 8));

	s->failures++;
	s->not_before_ms = logship_now_ms() + (ms > again_ms ? ms : again_ms);
}
