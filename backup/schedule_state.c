// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How a job's last runs went, one JSON file a job in the state folder, and all of them as a text file for Prometheus'
 * node exporter. Both are replaced whole. A job writes its own file only while it holds its lock.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool sched_failed(int result)
{
	return result && result != SCHED_PARTIAL;
}

static u64 number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

void sched_state_load(const struct sched_config *c, const char *job, struct sched_state *s)
{
	char path[PATH_MAX];
	struct json_object *o, *v;

	memset(s, 0, sizeof(*s));
	snprintf(path, sizeof(path), "%s/%s.json", c->state, job);
	o = json_object_from_file(path);
	if (!o)
		return;
	s->last_start = (s64)number(o, "last_start");
	s->last_end = (s64)number(o, "last_end");
	s->last_success = (s64)number(o, "last_success");
	s->last_prune = (s64)number(o, "last_prune");
	s->backup = number(o, "backup");
	s->added = number(o, "added");
	s->sent = number(o, "sent");
	s->duration = number(o, "duration");
	s->failures = number(o, "failures");
	s->result = json_object_object_get_ex(o, "result", &v) ? json_object_get_int(v) : 0;
	if (json_object_object_get_ex(o, "message", &v))
		snprintf(s->message, sizeof(s->message), "%s", json_object_get_string(v));
	json_object_put(o);
}

/* Whole or not at all, durable. */
static int replace_file(const char *path, const char *text)
{
	char new[PATH_MAX];
	size_t length = strlen(text);
	int fd, err = 0;

	snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length)
		err = errno ? -errno : -EIO;
	else if (fsync(fd))
		err = -errno;
	close(fd);
	if (!err && rename(new, path))
		err = -errno;
	if (err)
		unlink(new);
	return err;
}

int sched_state_save(const struct sched_config *c, const char *job, const struct sched_state *s)
{
	struct json_object *o = json_object_new_object();
	char path[PATH_MAX];
	int err;

	tfs_json_text(o, "job", job);
	tfs_json_u64(o, "last_start", (u64)s->last_start);
	tfs_json_u64(o, "last_end", (u64)s->last_end);
	tfs_json_u64(o, "last_success", (u64)s->last_success);
	tfs_json_u64(o, "last_prune", (u64)s->last_prune);
	tfs_json_u64(o, "backup", s->backup);
	tfs_json_u64(o, "added", s->added);
	tfs_json_u64(o, "sent", s->sent);
	tfs_json_u64(o, "duration", s->duration);
	tfs_json_u64(o, "failures", s->failures);
	json_object_object_add(o, "result", json_object_new_int(s->result));
	tfs_json_bytes(o, "message", s->message, strlen(s->message));
	snprintf(path, sizeof(path), "%s/%s.json", c->state, job);
	err = replace_file(path, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
	json_object_put(o);
	return err;
}

/* A run that was missed is due now, once: what counts is when the last one began. After a failure it comes earlier. */
s64 sched_due(const struct sched_job *j, const struct sched_state *s, s64 now)
{
	s64 last = s->last_start < now ? s->last_start : now, due;

	if (j->when.kind == SCHED_NEVER)
		return 0;
	if (!s->last_start)
		return now;
	due = sched_when_next(&j->when, last);
	if (j->retry && s->failures && s->last_end && s->last_end + j->retry < due)
		due = s->last_end + j->retry;
	return due;
}

/* ---- Prometheus ---- */

struct metric {
	const char *name, *help;
	u64 (*value)(const struct sched_job *j, const struct sched_state *s);
};

static u64 last_success(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return (u64)s->last_success;
}
static u64 last_start(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return (u64)s->last_start;
}
static u64 next_run(const struct sched_job *j, const struct sched_state *s)
{
	return (u64)sched_due(j, s, (s64)time(NULL));
}
static u64 duration(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return s->duration;
}
static u64 result(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return s->result < 0 ? 0 : (u64)s->result;
}
static u64 failures(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return s->failures;
}
static u64 added(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return s->added;
}
static u64 sent(const struct sched_job *j, const struct sched_state *s)
{
	(void)j;
	return s->sent;
}

static const struct metric metrics[] = {
    {"tfs_backup_last_success_timestamp_seconds", "When the newest backup was made; 0: never.", last_success},
    {"tfs_backup_last_start_timestamp_seconds", "When the last run began.", last_start},
    {"tfs_backup_next_run_timestamp_seconds", "When the next run is due; 0: by hand.", next_run},
    {"tfs_backup_last_duration_seconds", "How long the last run took.", duration},
    {"tfs_backup_last_exit_code", "0 done, 10 partial, else failed (tfs-backup(1)).", result},
    {"tfs_backup_failures_since_success", "Runs that failed since the last success.", failures},
    {"tfs_backup_last_added_bytes", "Stored bytes that the newest backup added.", added},
    {"tfs_backup_last_sent_bytes", "Bytes that the newest backup sent.", sent},
};

static int write_metrics(const struct sched_config *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct sched_state s;
	int err;

	if (!f)
		return -ENOMEM;
	for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		fprintf(f, "# HELP %s %s\n# TYPE %s gauge\n", metrics[m].name, metrics[m].help, metrics[m].name);
		for (unsigned i = 0; i < c->jobs; i++) {
			sched_state_load(c, c->job[i].name, &s);
			fprintf(f, "%s{job=\"%s\"} %llu\n", metrics[m].name, c->job[i].name,
			        (unsigned long long)metrics[m].value(&c->job[i], &s));
		}
	}
	err = fclose(f) ? -ENOMEM : replace_file(c->metrics, text);
	free(text);
	return err;
}

/* Jobs that end at the same time take turns: each writes what all have. */
int sched_metrics_write(const struct sched_config *c)
{
	char path[PATH_MAX];
	int fd, err;

	if (!c->metrics)
		return 0;
	snprintf(path, sizeof(path), "%s/.metrics.lock", c->state);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX) ? -errno : write_metrics(c);
	close(fd);
	return err;
}
