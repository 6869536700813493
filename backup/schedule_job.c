// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One run of a job: pre hook, run, forget, prune, post hook; then how it went is written down and, when no backup was
 * made, whoever is to know is told. The post hook runs whatever happened before, once the pre hook was started. One at
 * a time: a lock on a file, which tfs-backup inherits, so that a run outlives a job that was killed and still keeps
 * others out.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"
#include "backup/backup.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct work {
	const struct sched_config *c;
	const struct sched_job *j;
	struct sched_state s;
	struct sched_child child;
	int lock, result;
	char message[256];
};

static void failed(struct work *w, int result, const char *what)
{
	const char *last = w->child.errors;
	size_t n = strlen(last);

	while (n && last[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++)
		if (w->child.errors[i] == '\n')
			last = w->child.errors + i + 1;
	if (w->result && w->result != SCHED_PARTIAL)
		return; /* the first failure is the one to tell */
	w->result = result;
	snprintf(w->message, sizeof(w->message), "%s%s%.*s", what, n ? ": " : "",
	         (int)(w->child.errors + n - last < 200 ? w->child.errors + n - last : 200), last);
	tfs_cli_warn(w->j->name, "%s", what);
}

/* ---- hooks ---- */

static void set_environment(const struct work *w)
{
	char result[16];

	snprintf(result, sizeof(result), "%d", w->result);
	setenv("TFS_BACKUP_JOB", w->j->name, 1);
	setenv("TFS_BACKUP_VOLUME", w->j->volume, 1);
	setenv("TFS_BACKUP_STORE", w->j->store, 1);
	setenv("TFS_BACKUP_RESULT", result, 1);
	setenv("TFS_BACKUP_MESSAGE", w->message, 1);
}

/* 0, or what it ended with. */
static int hook(struct work *w, const char *command)
{
	char *argv[] = {"/bin/sh", "-c", (char *)command, NULL};
	bool stop = sched_stop;
	int code;

	set_environment(w);
	w->child.argv = argv;
	w->child.timeout = w->j->hook_timeout;
	w->child.keep_fd = -1;
	sched_stop = false; /* a job that is ended still undoes what its pre hook did */
	code = sched_child_run(&w->child);
	sched_stop |= stop;
	return code;
}

static bool hook_failed(struct work *w, const char *command, const char *which, int result)
{
	char what[64];
	int code = command ? hook(w, command) : 0;

	if (!code)
		return false;
	if (w->child.timed_out)
		snprintf(what, sizeof(what), "the %s hook took longer than %u s", which, w->j->hook_timeout);
	else
		snprintf(what, sizeof(what), "the %s hook failed with exit code %d", which, code);
	failed(w, result, what);
	return true;
}

/* ---- tfs-backup's own commands ---- */

struct arguments {
	char *argv[64];
	int count;
};

static void add(struct arguments *a, const char *text)
{
	if (a->count < 63)
		a->argv[a->count++] = (char *)text;
}

static void add_pair(struct arguments *a, const char *option, const char *value)
{
	if (value) {
		add(a, option);
		add(a, value);
	}
}

static struct arguments command_line(const struct sched_job *j, const char *command)
{
	struct arguments a = {0};

	add(&a, "/proc/self/exe");
	add(&a, command);
	add(&a, "--json");
	add(&a, "-q");
	add_pair(&a, "--passphrase-file", j->passphrase_file);
	add_pair(&a, "--key-file", j->key_file);
	for (int i = 0; i < SCHED_OPTIONS && j->option[i]; i++)
		add_pair(&a, "-o", j->option[i]);
	return a;
}

static int run_tool(struct work *w, struct arguments *a)
{
	w->child.argv = a->argv;
	w->child.timeout = w->j->timeout;
	w->child.keep_fd = w->lock;
	return sched_child_run(&w->child);
}

/* The numbers of run's last line. */
static void take_numbers(struct work *w)
{
	char *line = w->child.out;
	struct json_object *o, *v;

	for (char *next; (next = strchr(line, '\n')) && next[1];)
		line = next + 1;
	o = json_tokener_parse(line);
	if (!o)
		return;
	if (json_object_object_get_ex(o, "backup", &v))
		w->s.backup = json_object_get_uint64(v);
	if (json_object_object_get_ex(o, "added", &v))
		w->s.added = json_object_get_uint64(v);
	if (json_object_object_get_ex(o, "sent", &v))
		w->s.sent = json_object_get_uint64(v);
	json_object_put(o);
}

static void back_up(struct work *w)
{
	struct arguments a = command_line(w->j, "run");
	char what[64];
	int code;

	add_pair(&a, "--snapshot", w->j->snapshot);
	add(&a, "--");
	add(&a, w->j->store);
	add(&a, w->j->volume);
	code = run_tool(w, &a);
	if (!code) {
		take_numbers(w);
		w->s.last_success = (s64)time(NULL);
		return;
	}
	if (w->child.timed_out)
		snprintf(what, sizeof(what), "the run took longer than %u s and was ended", w->j->timeout);
	else if (sched_stop)
		snprintf(what, sizeof(what), "the run was ended from outside");
	else
		snprintf(what, sizeof(what), "the run failed with exit code %d", code);
	failed(w, w->child.timed_out ? SCHED_TIMEOUT : code, what);
}

static void tidy(struct work *w, const char *command, struct arguments *a)
{
	char what[64];
	int code;

	add(a, "--");
	add(a, w->j->store);
	code = run_tool(w, a);
	if (!code)
		return;
	snprintf(what, sizeof(what), "%s %s", command, w->child.timed_out ? "took too long" : "failed");
	failed(w, SCHED_PARTIAL, what);
}

static void forget(struct work *w)
{
	struct arguments a = command_line(w->j, "forget");
	static const char *const options[SCHED_KEEPS] = {"--keep-last",   "--keep-hourly",  "--keep-daily",
	                                                 "--keep-weekly", "--keep-monthly", "--keep-yearly"};
	bool any = false;

	for (int i = 0; i < SCHED_KEEPS; i++) {
		add_pair(&a, options[i], w->j->keep[i]);
		any |= w->j->keep[i] != NULL;
	}
	if (any)
		tidy(w, "forget", &a);
}

static void prune(struct work *w)
{
	struct arguments a = command_line(w->j, "prune");
	s64 now = (s64)time(NULL), due = sched_when_next(&w->j->prune, w->s.last_prune);
	int before = w->result;

	if (w->j->prune.kind == SCHED_NEVER || now < due)
		return;
	tidy(w, "prune", &a);
	if (w->result == before)
		w->s.last_prune = now;
}

/* ---- before and after ---- */

static int make_folder(const char *path)
{
	char above[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		if (mkdir(above, 0755) && errno != EEXIST)
			return -errno;
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* The lock's descriptor, or an exit code below zero. */
static int take_lock(const struct sched_config *c, const struct sched_job *j)
{
	char path[PATH_MAX];
	int err = make_folder(c->state), fd;

	snprintf(path, sizeof(path), "%s/%s.lock", c->state, j->name);
	fd = err ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -tfs_cli_fail(BK_HOST, path, "%s", strerror(err ? -err : errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return -tfs_cli_fail(SCHED_BUSY, j->name, "an earlier run is still under way");
}

static void write_down(struct work *w)
{
	int err = sched_state_save(w->c, w->j->name, &w->s);

	if (!err)
		err = sched_metrics_write(w->c);
	if (err) {
		char what[96];

		snprintf(what, sizeof(what), "its state cannot be written: %s", strerror(-err));
		w->child.errors[0] = 0;
		failed(w, sched_failed(w->result) ? w->result : SCHED_PARTIAL, what);
	}
}

static void notify(struct work *w)
{
	char message[sizeof(w->message)];

	if (!w->result || !w->j->on_failure)
		return;
	memcpy(message, w->message, sizeof(message));
	if (hook(w, w->j->on_failure))
		tfs_cli_warn(w->j->name, "the on-failure command failed, too");
}

static void on_signal(int number)
{
	(void)number;
	sched_stop = true;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

int sched_job_run(const struct sched_config *c, const struct sched_job *j)
{
	struct work w = {.c = c, .j = j, .lock = take_lock(c, j)};

	if (w.lock < 0)
		return -w.lock;
	catch_signals();
	sched_state_load(c, j->name, &w.s);
	w.s.last_start = (s64)time(NULL);
	w.s.result = -1;
	write_down(&w);
	if (!hook_failed(&w, j->pre, "pre", SCHED_HOOK)) {
		back_up(&w);
		if (!w.result) {
			forget(&w);
			prune(&w);
		}
	}
	hook_failed(&w, j->post, "post", SCHED_PARTIAL);
	w.s.last_end = (s64)time(NULL);
	w.s.duration = (u64)(w.s.last_end > w.s.last_start ? w.s.last_end - w.s.last_start : 0);
	w.s.result = w.result;
	w.s.failures = sched_failed(w.result) ? w.s.failures + 1 : 0;
	memcpy(w.s.message, w.message, sizeof(w.message));
	write_down(&w);
	notify(&w);
	close(w.lock);
	return w.result;
}
