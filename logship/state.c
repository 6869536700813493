// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is remembered of each rule from one look to the next, for as long as the process runs: when its collector may be
 * asked again, and what was sent; and that as a file for Prometheus' node exporter. Called by drain.c.
 */
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct logship_state *first;

struct logship_state *logship_state_of(const struct logship_rule *rule)
{
	struct logship_state *s, **at = &first;

	for (s = first; s; at = &s->next, s = s->next)
		if (s->rule == rule->id)
			return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->rule = rule->id;
	memcpy(s->text, rule->text, sizeof(s->text));
	return *at = s;
}

/* The longer, the more often it failed; at least as long as the collector asked for. */
void logship_state_failed(struct logship_state *s, u32 again_ms)
{
	u32 ms = logship_jitter(LOGSHIP_BACKOFF_MIN << (s->in_row < 8 ? s->in_row : 8));

	s->in_row++;
	s->not_before_ms = logship_now_ms() + (ms > again_ms ? ms : again_ms);
}

/* ---- the file ---- */

static const struct metric {
	const char *name, *type, *help;
	size_t at;
} metrics[] = {
#define AT(member) offsetof(struct logship_state, member)
    {"lines_sent_total", "counter", "Messages handed to the collector.", AT(sent)},
    {"lines_acknowledged_total", "counter", "Messages that the collector acknowledged.", AT(acked)},
    {"lines_repeated_total", "counter", "Messages that were sent and have to be sent again.", AT(repeated)},
    {"lines_dead_total", "counter", "Messages refused for good, in the dead-letter file.", AT(dead)},
    {"bytes_total", "counter", "Bytes of files whose lines were sent.", AT(bytes)},
    {"failures_total", "counter", "Times that the collector failed.", AT(failures)},
    {"last_error_timestamp_seconds", "gauge", "When the collector failed last, 0: never.", AT(error_time)},
    {"last_acknowledged_timestamp_seconds", "gauge", "When it acknowledged anything last, 0: never.", AT(acked_time)},
    {"backlog_bytes", "gauge", "Bytes that were not acknowledged, at the last look.", AT(backlog)},
    {"backlog_files", "gauge", "Files that have such.", AT(backlog_files)},
};

/* A label's value: backslash, quote and line end are escaped, what is not printable ASCII is a question mark. */
static void label(FILE *f, const char *text)
{
	for (; *text; text++)
		if (*text == '\\' || *text == '"')
			fprintf(f, "\\%c", *text);
		else
			fputc(*text < ' ' || *text > '~' ? '?' : *text, f);
}

static void metric(FILE *f, const struct metric *m)
{
	fprintf(f, "# HELP tfs_logship_%s %s\n# TYPE tfs_logship_%s %s\n", m->name, m->help, m->name, m->type);
	for (const struct logship_state *s = first; s; s = s->next) {
		fprintf(f, "tfs_logship_%s{rule=\"%llu\",collector=\"", m->name, (unsigned long long)s->rule);
		label(f, s->text);
		fprintf(f, "\"} %llu\n", *(const unsigned long long *)((const char *)s + m->at));
	}
}

/* By rename, so that nobody reads half of it. */
void logship_metrics_write(const char *path)
{
	char beside[LOGSHIP_PATH + 16];
	FILE *f;
	int err;

	snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid());
	f = fopen(beside, "we");
	if (!f) {
		tfs_cli_warn(beside, "%s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++)
		metric(f, &metrics[i]);
	err = ferror(f) || fflush(f);
	if (fclose(f) || err || rename(beside, path)) {
		tfs_cli_warn(path, "cannot be written: %s", strerror(errno));
		unlink(beside);
	}
}
