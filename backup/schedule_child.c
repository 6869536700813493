// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A process of a job: in a process group of its own, so that a time limit ends whatever it started; its standard error
 * is passed on line by line as it comes, and the end of both outputs is kept for the state and for whoever is notified.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

volatile bool sched_stop;

struct running {
	struct sched_child *c;
	pid_t pid;
	int out, errors; /* read ends, -1: closed */
	s64 end_ms;      /* 0: none */
	int ending;      /* 1: TERM was sent, 2: KILL */
};

static s64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (s64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void become(struct sched_child *c, int out, int errors)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	if (c->keep_fd >= 0)
		fcntl(c->keep_fd, F_SETFD, 0);
	execvp(c->argv[0], c->argv);
	_exit(127);
}

/* Keeps the last bytes of what came. */
static void keep(char *text, size_t room, const char *more, size_t length)
{
	size_t have = strlen(text);

	if (length >= room) {
		more += length - (room - 1);
		length = room - 1;
	}
	if (have + length >= room) {
		size_t drop = have + length - (room - 1);

		memmove(text, text + drop, have - drop);
		have -= drop;
	}
	memcpy(text + have, more, length);
	text[have + length] = 0;
}

/* What is there to read now. */
static void drain(int *fd, char *text, size_t room, bool pass_on)
{
	char buffer[4096];
	ssize_t n;

	while (*fd >= 0 && (n = read(*fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0)
			return;
		keep(text, room, buffer, (size_t)n);
		if (pass_on && write(STDERR_FILENO, buffer, (size_t)n) < 0)
			pass_on = false; /* nobody listens; what is kept counts */
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_late(struct running *r)
{
	s64 now = now_ms();

	if (sched_stop && !r->ending)
		r->end_ms = now;
	if (!r->end_ms || now < r->end_ms || r->ending == 2)
		return;
	r->c->timed_out = !sched_stop;
	kill(-r->pid, r->ending ? SIGKILL : SIGTERM);
	r->ending++;
	r->end_ms = now + 10000;
}

static int wait_for(struct running *r)
{
	struct sched_child *c = r->c;
	int status;

	for (;;) {
		struct pollfd fds[] = {{r->out, POLLIN, 0}, {r->errors, POLLIN, 0}};
		bool over = waitpid(r->pid, &status, WNOHANG) == r->pid;

		if (!over)
			poll(fds, 2, 100); /* a child may close both and go on: so never for long */
		drain(&r->out, c->out, sizeof(c->out), false);
		drain(&r->errors, c->errors, sizeof(c->errors), true);
		if (over)
			break;
		end_late(r);
	}
	if (r->ending)
		kill(-r->pid, SIGKILL); /* what it left behind */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int sched_child_run(struct sched_child *c)
{
	struct running r = {.c = c, .end_ms = c->timeout ? now_ms() + (s64)c->timeout * 1000 : 0};
	int out[2], errors[2], code;

	c->out[0] = c->errors[0] = 0;
	c->timed_out = false;
	if (pipe2(out, O_CLOEXEC))
		return 127;
	if (pipe2(errors, O_CLOEXEC)) {
		close(out[0]);
		close(out[1]);
		return 127;
	}
	fflush(stdout);
	r.pid = fork();
	if (!r.pid)
		become(c, out[1], errors[1]);
	if (r.pid > 0)
		setpgid(r.pid, r.pid);
	close(out[1]);
	close(errors[1]);
	r.out = out[0];
	r.errors = errors[0];
	fcntl(r.out, F_SETFL, O_NONBLOCK);
	fcntl(r.errors, F_SETFL, O_NONBLOCK);
	code = r.pid > 0 ? wait_for(&r) : 127;
	if (r.out >= 0)
		close(r.out);
	if (r.errors >= 0)
		close(r.errors);
	return code;
}
