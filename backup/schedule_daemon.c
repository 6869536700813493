// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The daemon: starts `tfs-backup job NAME` for each job when it is due, at most one process a job, and reads how it
 * went from the job's state. HUP reads the configuration again (a wrong one is reported, and the old one kept); TERM
 * and INT end the running jobs, which undo their hooks, and then the daemon. Its clock may be set at any time: it looks
 * every minute.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"
#include "backup/backup.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct one {
	char *name;
	pid_t pid; /* 0: not running */
	s64 due;   /* 0: never */
};

struct daemon {
	struct sched_config *c;
	struct one *one;
	unsigned count;
};

static u32 draw(u32 below)
{
	static unsigned seed;

	if (!seed)
		seed = (unsigned)time(NULL) ^ (unsigned)getpid();
	return below ? (u32)rand_r(&seed) % below : 0;
}

static void set_due(struct daemon *d, unsigned i)
{
	const struct sched_job *j = &d->c->job[i];
	struct sched_state s;
	s64 now = (s64)time(NULL), due;

	sched_state_load(d->c, j->name, &s);
	due = sched_due(j, &s, now);
	d->one[i].due = !due ? 0 : (due > now ? due : now) + draw(j->jitter);
}

/* One entry a job, in its order; those that run are taken over. */
static int set_up(struct daemon *d)
{
	struct one *old = d->one;
	unsigned olds = d->count;

	d->one = calloc(d->c->jobs, sizeof(*d->one));
	if (!d->one)
		return bk_no_memory();
	d->count = d->c->jobs;
	for (unsigned i = 0; i < d->count; i++) {
		d->one[i].name = d->c->job[i].name;
		for (unsigned k = 0; k < olds; k++)
			if (!strcmp(old[k].name, d->one[i].name))
				d->one[i].pid = old[k].pid;
		set_due(d, i);
	}
	free(old);
	return 0;
}

static void start(struct daemon *d, struct one *o)
{
	char *argv[] = {"/proc/self/exe", "job", o->name, "--config", d->c->path, NULL};
	sigset_t none;

	o->pid = fork();
	if (!o->pid) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(argv[0], argv);
		_exit(BK_HOST);
	}
	if (o->pid < 0) {
		o->pid = 0;
		o->due = (s64)time(NULL) + 60;
		tfs_cli_warn(o->name, "cannot be started: %s; again in a minute", strerror(errno));
	}
}

/* 0: when nothing is due. */
static s64 start_due(struct daemon *d)
{
	s64 now = (s64)time(NULL), next = now + 60;

	for (unsigned i = 0; i < d->count; i++) {
		struct one *o = &d->one[i];

		if (o->pid || !o->due)
			continue;
		if (o->due <= now)
			start(d, o);
		else if (o->due < next)
			next = o->due;
	}
	return next - now;
}

static void report(const struct one *o, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	if (code == SCHED_PARTIAL)
		fprintf(stderr, "tfs-backup: %s: backed up, but not all went well\n", o->name);
	else
		fprintf(stderr, code ? "tfs-backup: %s: no backup, exit code %d\n" : "tfs-backup: %s: backed up\n",
		        o->name, code);
}

static unsigned reap(struct daemon *d)
{
	unsigned running = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < d->count; i++)
			if (d->one[i].pid == pid) {
				d->one[i].pid = 0;
				report(&d->one[i], status);
				set_due(d, i);
				if (d->one[i].due && WIFEXITED(status) && WEXITSTATUS(status) == SCHED_BUSY)
					d->one[i].due = (s64)time(NULL) + 60; /* somebody else's run: look later */
			}
	for (unsigned i = 0; i < d->count; i++)
		running += d->one[i].pid != 0;
	return running;
}

static void stop(struct daemon *d, const sigset_t *set)
{
	struct timespec second = {.tv_sec = 1};

	for (unsigned i = 0; i < d->count; i++)
		if (d->one[i].pid)
			kill(d->one[i].pid, SIGTERM);
	while (reap(d))
		sigtimedwait(set, NULL, &second);
}

static void read_again(struct daemon *d)
{
	struct sched_config *new = calloc(1, sizeof(*new)), *old = d->c;

	if (!new || sched_config_read(new, old->path)) {
		tfs_cli_warn(old->path, "the old configuration stays in force");
		if (new)
			sched_config_free(new);
		free(new);
		return;
	}
	d->c = new;
	if (set_up(d)) {
		d->c = old; /* no memory: as it was */
		sched_config_free(new);
		free(new);
		return;
	}
	/* the first configuration is the caller's */
	struct sched_config swap = *old;

	*old = *new;
	*new = swap;
	d->c = old;
	sched_config_free(new);
	free(new);
}

/* One daemon a state folder. */
static int lock_state(const struct sched_config *c)
{
	char path[PATH_MAX];
	int fd;

	if (mkdir(c->state, 0700) && errno != EEXIST)
		return -tfs_cli_fail(BK_HOST, c->state, "%s", strerror(errno));
	snprintf(path, sizeof(path), "%s/.daemon.lock", c->state);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -tfs_cli_fail(BK_HOST, path, "%s", strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return -tfs_cli_fail(SCHED_BUSY, c->state, "another daemon works with this state folder");
}

int sched_daemon(struct sched_config *c)
{
	struct daemon d = {.c = c};
	int lock = lock_state(c), number = 0, code;
	sigset_t set;

	if (lock < 0)
		return -lock;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	code = set_up(&d);
	if (!code)
		fprintf(stderr, "tfs-backup: %u job%s of %s\n", c->jobs, c->jobs == 1 ? "" : "s", c->path);
	while (!code && number != SIGTERM && number != SIGINT) {
		struct timespec wait = {.tv_sec = (time_t)start_due(&d)};

		number = sigtimedwait(&set, NULL, &wait);
		reap(&d);
		if (number == SIGHUP)
			read_again(&d);
	}
	stop(&d, &set);
	free(d.one);
	close(lock);
	return code;
}
