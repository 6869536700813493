// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The commands of schedules: daemon, job NAME, jobs. Which job is due, and how each stands, as a table or JSON lines.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"
#include "backup/backup.h"

#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char usage[] = "usage: tfs-backup daemon [--config FILE] [--check]   starts jobs when they are due\n"
                            "       tfs-backup job NAME [--config FILE]           runs one now\n"
                            "       tfs-backup jobs [--config FILE] [--json]      shows all: last success, next run\n";

/* "3d", "5h", "12m", "40s" */
static char *span(s64 seconds, char out[24])
{
	static const struct {
		s64 seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	int i = 0;

	while (i < 3 && seconds < 2 * units[i].seconds)
		i++;
	snprintf(out, 24, "%lld%c", (long long)(seconds > 0 ? seconds : 0) / units[i].seconds, units[i].unit);
	return out;
}

/* Later than its next time by more than the jitter and a tenth of the time in between. */
static bool is_late(const struct sched_job *j, const struct sched_state *s, s64 now)
{
	s64 due = s->last_success ? sched_when_next(&j->when, s->last_success) : 0;

	return due && now > due + j->jitter + (due - s->last_success) / 10 + 60;
}

static const char *standing(const struct sched_job *j, const struct sched_state *s, s64 now)
{
	if (s->result < 0)
		return "running";
	if (!s->last_start)
		return "never run";
	if (sched_failed(s->result))
		return "FAILED";
	if (is_late(j, s, now))
		return "LATE";
	return s->result ? "partial" : "ok";
}

static void show_json(const struct sched_job *j, const struct sched_state *s, s64 now)
{
	struct json_object *o = json_object_new_object();

	tfs_json_text(o, "job", j->name);
	tfs_json_text(o, "volume", j->volume);
	tfs_json_text(o, "store", j->store);
	tfs_json_text(o, "standing", standing(j, s, now));
	tfs_json_u64(o, "last_start", (u64)s->last_start);
	tfs_json_u64(o, "last_success", (u64)s->last_success);
	if (s->last_success)
		tfs_json_u64(o, "age", (u64)(now > s->last_success ? now - s->last_success : 0));
	tfs_json_u64(o, "duration", s->duration);
	tfs_json_u64(o, "backup", s->backup);
	tfs_json_u64(o, "added", s->added);
	tfs_json_u64(o, "sent", s->sent);
	tfs_json_u64(o, "failures", s->failures);
	json_object_object_add(o, "result", json_object_new_int(s->result));
	tfs_json_text(o, "message", s->message);
	tfs_json_u64(o, "next", (u64)sched_due(j, s, now));
	tfs_json_line(stdout, o);
}

static void show(const struct sched_job *j, const struct sched_state *s, s64 now)
{
	char age[24] = "-", took[24] = "-", next[24] = "by hand", added[16] = "-";
	s64 due = sched_due(j, s, now);

	if (s->last_success)
		span(now - s->last_success, age), tfs_cli_human(s->added, added);
	if (s->last_end)
		span((s64)s->duration, took);
	if (due)
		due > now ? (void)span(due - now, next) : (void)strcpy(next, "now");
	printf("%-20s %-10s %8s %8s %10s %8s  %s\n", j->name, standing(j, s, now), age, took, added, next, s->message);
}

static int show_all(const struct sched_config *c, bool json)
{
	s64 now = (s64)time(NULL);
	int code = 0;

	if (!json)
		printf("%-20s %-10s %8s %8s %10s %8s\n", "job", "", "age", "took", "added", "next");
	for (unsigned i = 0; i < c->jobs; i++) {
		struct sched_state s;

		sched_state_load(c, c->job[i].name, &s);
		(json ? show_json : show)(&c->job[i], &s, now);
		if (sched_failed(s.result) && s.result > 0)
			code = SCHED_UNWELL;
		else if (is_late(&c->job[i], &s, now))
			code = SCHED_UNWELL;
	}
	return code;
}

static int one_job(const struct sched_config *c, const char *name)
{
	const struct sched_job *j = sched_config_find(c, name);

	return j ? sched_job_run(c, j) : tfs_cli_fail(BK_USAGE, c->path, "has no job %s", name);
}

int sched_main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", 1, 0, 'c'}, {"check", 0, 0, 'n'}, {"json", 0, 0, 'j'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
	const char *command = argc > 1 ? argv[1] : "", *path = "/etc/tfs-backup.conf";
	bool daemon = !strcmp(command, "daemon"), job = !strcmp(command, "job"), check = false, json = false;
	struct sched_config c;
	int o, code;

	if (!daemon && !job && strcmp(command, "jobs"))
		return -1;
	while ((o = getopt_long(argc - 1, argv + 1, "h", options, NULL)) != -1) {
		if (o == 'c')
			path = optarg;
		else if (o == 'n' && daemon)
			check = true;
		else if (o == 'j' && !daemon && !job)
			json = true;
		else
			return fputs(usage, o == 'h' ? stdout : stderr), o == 'h' ? 0 : BK_USAGE;
	}
	if (argc - 1 - optind != (job ? 1 : 0))
		return fputs(usage, stderr), BK_USAGE;
	code = sched_config_read(&c, path);
	if (!code && !check)
		code = daemon ? sched_daemon(&c) : job ? one_job(&c, argv[1 + optind]) : show_all(&c, json);
	sched_config_free(&c);
	return tfs_cli_end(code, BK_HOST);
}
