/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Backups on a schedule: `tfs-backup daemon | job NAME | jobs`. A configuration file names jobs; each is a volume, a
 * store and a time. `job` does one run, with its hooks, and writes down how it went; `daemon` starts `job` as a process
 * of its own when one is due; systemd timers may do that instead. `jobs` shows them all. The work itself is done by
 * tfs-backup's other commands, as processes: so what goes wrong there, memory and locks included, ends with them.
 *
 *   schedule_time.c     when is the next time?
 *   schedule_config.c   the configuration file
 *   schedule_state.c    how the last runs went; the Prometheus file
 *   schedule_child.c    a process with a time limit, its output kept
 *   schedule_job.c      one run      schedule_daemon.c   all of them      schedule_main.c   the commands
 */
#ifndef TFS_BACKUP_SCHEDULE_H
#define TFS_BACKUP_SCHEDULE_H

#include "tfs/user/cli.h"

enum sched_exit {                 /* beside enum bk_exit's, which run's failures keep */
	          SCHED_BUSY = 9, /* an earlier run of the job is still under way: nothing was done */
	          SCHED_PARTIAL,  /* the backup is there; forget, prune or the post hook failed */
	          SCHED_HOOK,     /* the pre hook failed: no backup was made */
	          SCHED_TIMEOUT,  /* the run took longer than its limit and was ended */
	          SCHED_UNWELL,   /* jobs: the last run of a job failed, or it is late */
};

/* The command line of the three: argv[1] names one of them. -1: it is another command. */
int sched_main(int argc, char **argv);

/* ---- schedule_time.c ---- */
enum sched_kind { SCHED_NEVER, SCHED_EVERY, SCHED_HOURLY, SCHED_DAILY, SCHED_WEEKLY, SCHED_MONTHLY };
struct sched_when {
	enum sched_kind kind;
	u32 seconds;           /* every */
	int minute, hour, day; /* day: 0 to 6 from Sunday, or 1 to 28 of the month */
};
/* "every 15m", "hourly [:MM]", "daily HH:MM", "weekly sun HH:MM", "monthly D HH:MM", "never"; -1: none of these. */
int sched_when_parse(const char *text, struct sched_when *w);
/* The first time after `after` (seconds since 1970), local time; 0: never. */
s64 sched_when_next(const struct sched_when *w, s64 after);
int sched_seconds(const char *text, u32 *out); /* "90", "15m", "6h", "1d": up to a year; -1 */

/* ---- schedule_config.c ---- */
enum { SCHED_KEEPS = 6, SCHED_OPTIONS = 16 };
struct sched_job {
	char *name, *volume, *store, *pre, *post, *on_failure, *passphrase_file, *key_file, *snapshot;
	char *keep[SCHED_KEEPS]; /* last hourly daily weekly monthly yearly */
	char *option[SCHED_OPTIONS];
	struct sched_when when, prune;
	u32 jitter, timeout, hook_timeout, retry; /* seconds; timeout 0: none */
};
struct sched_config {
	char *path, *state, *metrics; /* metrics NULL: none */
	struct sched_job *job;
	unsigned jobs;
};
extern const char *const sched_keep_names[SCHED_KEEPS];
/* 0, or an exit code after a message that names file and line. */
int sched_config_read(struct sched_config *c, const char *path);
void sched_config_free(struct sched_config *c);
const struct sched_job *sched_config_find(const struct sched_config *c, const char *name);

/* ---- schedule_state.c ---- */
struct sched_state { /* times in seconds since 1970, 0: never */
	s64 last_start, last_end, last_success, last_prune;
	u64 backup, added, sent; /* of the last success: number, bytes */
	u64 duration, failures;  /* seconds of the last run; runs that failed since a success */
	int result;              /* exit code of the last run; -1: it has not ended */
	char message[256];       /* of the last failure */
};
/* What is missing or unreadable is as if the job had never run. */
void sched_state_load(const struct sched_config *c, const char *job, struct sched_state *s);
int sched_state_save(const struct sched_config *c, const char *job, const struct sched_state *s); /* errno, negative */
int sched_metrics_write(const struct sched_config *c);
/* When the job is due: now or earlier when a run was missed or failed long enough ago. now: the time. */
s64 sched_due(const struct sched_job *j, const struct sched_state *s, s64 now);
bool sched_failed(int result); /* no backup was made */

/* ---- schedule_child.c ---- */
struct sched_child {
	char *const *argv;
	u32 timeout;       /* seconds, 0: none; then TERM to its process group, 10 s later KILL */
	int keep_fd;       /* handed on to it; -1: none */
	char out[4096];    /* the end of its standard output */
	char errors[2048]; /* of its standard error, which is also passed on */
	bool timed_out;
};
/* Runs it to its end: the exit code, 128 + signal, 127 when it cannot be started. */
int sched_child_run(struct sched_child *c);
extern volatile bool sched_stop; /* set by TERM and INT: ends the child */

/* ---- schedule_job.c, schedule_daemon.c ---- */
int sched_job_run(const struct sched_config *c, const struct sched_job *j);
int sched_daemon(struct sched_config *c);

#endif
