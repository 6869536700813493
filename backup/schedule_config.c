// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The configuration file: lines "key = value", and "[job NAME]". What stands before the first job is for all of them; a
 * job's own lines come first. Everything is checked when it is read: a daemon does not start on a file it half
 * understands.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"
#include "backup/backup.h"

#include <stdio.h>
#include <stdlib.h>

const char *const sched_keep_names[SCHED_KEEPS] = {"keep-last",   "keep-hourly",  "keep-daily",
                                                   "keep-weekly", "keep-monthly", "keep-yearly"};

enum kind { TEXT, WHEN, SECONDS, COUNT };

#define AT(field) offsetof(struct sched_job, field)
static const struct key {
	const char *name;
	enum kind kind;
	size_t at;
	const char *expected;
} keys[] = {
    {"volume", TEXT, AT(volume), "a directory of a mounted volume, an image or a device"},
    {"store", TEXT, AT(store), "/PATH or s3://BUCKET/PREFIX"},
    {"passphrase-file", TEXT, AT(passphrase_file), "a file"},
    {"key-file", TEXT, AT(key_file), "a file"},
    {"snapshot", TEXT, AT(snapshot), "the name of a snapshot that the pre hook makes"},
    {"pre", TEXT, AT(pre), "a command for /bin/sh"},
    {"post", TEXT, AT(post), "a command for /bin/sh"},
    {"on-failure", TEXT, AT(on_failure), "a command for /bin/sh"},
    {"schedule", WHEN, AT(when), "every 15m, hourly :05, daily 02:30, weekly sun 03:00, monthly 1 04:00, or never"},
    {"prune", WHEN, AT(prune), "as schedule: the first run after that time prunes; never (the default)"},
    {"jitter", SECONDS, AT(jitter), "a time such as 2m"},
    {"timeout", SECONDS, AT(timeout), "a time such as 6h; 0: none"},
    {"hook-timeout", SECONDS, AT(hook_timeout), "a time such as 60s"},
    {"retry", SECONDS, AT(retry), "a time such as 10m; 0: not before the next time"},
    {"keep-last", COUNT, AT(keep[0]), "a number"},
    {"keep-hourly", COUNT, AT(keep[1]), "a number"},
    {"keep-daily", COUNT, AT(keep[2]), "a number"},
    {"keep-weekly", COUNT, AT(keep[3]), "a number"},
    {"keep-monthly", COUNT, AT(keep[4]), "a number"},
    {"keep-yearly", COUNT, AT(keep[5]), "a number"},
};
#undef AT

struct reading {
	struct sched_config *c;
	struct sched_job all; /* what is for all jobs */
	struct tfs_store_options *check;
	unsigned line;
};

static int wrong(const struct reading *r, const char *object, const char *what)
{
	return tfs_cli_fail(BK_USAGE, r->c->path, "line %u: %s: expected %s", r->line, object, what);
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n && strchr(" \t\r\n", s[n - 1]))
		s[--n] = 0;
	return s;
}

static int set_text(char **to, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return bk_no_memory();
	free(*to);
	*to = copy;
	return 0;
}

static int set_option(struct reading *r, struct sched_job *j, const char *value)
{
	char error[TFS_STORE_ERROR_MAX];

	if (tfs_store_option(r->check, value, error))
		return tfs_cli_fail(BK_USAGE, r->c->path, "line %u: %s", r->line, error);
	for (int i = 0; i < SCHED_OPTIONS; i++)
		if (!j->option[i])
			return set_text(&j->option[i], value);
	return wrong(r, "option", "at most 16 of these");
}

static int set_key(struct reading *r, struct sched_job *j, const struct key *k, const char *value)
{
	char *at = (char *)j + k->at;
	bool good = *value;

	if (k->kind == WHEN)
		good = !sched_when_parse(value, (struct sched_when *)at);
	else if (k->kind == SECONDS)
		good = !sched_seconds(value, (u32 *)at);
	else if (k->kind == COUNT)
		good = *value && strspn(value, "0123456789") == strlen(value) && strlen(value) < 7 && atoi(value) > 0;
	if (!good)
		return wrong(r, k->name, k->expected);
	return k->kind == TEXT || k->kind == COUNT ? set_text((char **)at, value) : 0;
}

static int take_setting(struct reading *r, char *line)
{
	struct sched_config *c = r->c;
	struct sched_job *j = c->jobs ? &c->job[c->jobs - 1] : &r->all;
	char *equals = strchr(line, '='), *name, *value;

	if (!equals)
		return wrong(r, trim(line), "KEY = VALUE or [job NAME]");
	*equals = 0;
	name = trim(line);
	value = trim(equals + 1);
	if (!strcmp(name, "option"))
		return set_option(r, j, value);
	if (!strcmp(name, "state") || !strcmp(name, "metrics")) {
		if (c->jobs || *value != '/')
			return wrong(r, name, "an absolute path, before the first job");
		return set_text(*name == 's' ? &c->state : &c->metrics, value);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].name, name))
			return set_key(r, j, &keys[i], value);
	return wrong(r, name, "a key of tfs-backup.conf(5)");
}

/* Texts that a job does not say itself. */
static int inherit(struct sched_job *j, const struct sched_job *all)
{
	int code = 0;

	j->when = all->when;
	j->prune = all->prune;
	j->jitter = all->jitter;
	j->timeout = all->timeout;
	j->hook_timeout = all->hook_timeout;
	j->retry = all->retry;
	for (size_t i = 0; !code && i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *const *from = (char *const *)((const char *)all + keys[i].at);

		if ((keys[i].kind == TEXT || keys[i].kind == COUNT) && *from)
			code = set_text((char **)((char *)j + keys[i].at), *from);
	}
	for (int i = 0; !code && i < SCHED_OPTIONS && all->option[i]; i++)
		code = set_text(&j->option[i], all->option[i]);
	return code;
}

/* "[job NAME]": the name is also that of files. */
static int take_section(struct reading *r, char *line)
{
	struct sched_config *c = r->c;
	char *end = strrchr(line, ']'), *name;
	struct sched_job *larger;

	if (!end || end[1] || strncmp(line, "[job", 4) || !strchr(" \t", line[4]))
		return wrong(r, line, "[job NAME]");
	*end = 0;
	name = trim(line + 5);
	if (!*name || strlen(name) > 60 || *name == '.' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(name))
		return wrong(r, name, "a name of 1 to 60 letters, digits, . _ -");
	if (sched_config_find(c, name))
		return wrong(r, name, "another name: there is a job of this one");
	larger = realloc(c->job, (c->jobs + 1) * sizeof(*larger));
	if (!larger)
		return bk_no_memory();
	c->job = larger;
	memset(&c->job[c->jobs], 0, sizeof(*c->job));
	c->jobs++;
	if (set_text(&c->job[c->jobs - 1].name, name))
		return BK_HOST;
	return inherit(&c->job[c->jobs - 1], &r->all);
}

static int check_all(const struct sched_config *c)
{
	if (!c->jobs)
		return tfs_cli_fail(BK_USAGE, c->path, "no job: expected a line [job NAME]");
	for (unsigned i = 0; i < c->jobs; i++) {
		const struct sched_job *j = &c->job[i];
		const char *missing = !j->volume ? "volume" : !j->store ? "store" : NULL;

		if (missing)
			return tfs_cli_fail(BK_USAGE, c->path, "job %s: has no line %s = ...", j->name, missing);
	}
	return 0;
}

static int read_lines(struct reading *r, FILE *f)
{
	char *line = NULL, *text;
	size_t room = 0;
	int code = 0;

	while (!code && getline(&line, &room, f) >= 0) {
		r->line++;
		text = trim(line);
		if (!*text || strchr("#;", *text))
			continue;
		code = *text == '[' ? take_section(r, text) : take_setting(r, text);
	}
	if (!code && ferror(f))
		code = tfs_cli_fail(BK_HOST, r->c->path, "%s", strerror(errno));
	free(line);
	return code;
}

static void job_free(struct sched_job *j)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].kind == TEXT || keys[i].kind == COUNT)
			free(*(char **)((char *)j + keys[i].at));
	for (int i = 0; i < SCHED_OPTIONS; i++)
		free(j->option[i]);
	free(j->name);
}

int sched_config_read(struct sched_config *c, const char *path)
{
	struct reading r = {.c = c, .all = {.hook_timeout = 60, .retry = 600}};
	FILE *f;
	int code;

	memset(c, 0, sizeof(*c));
	r.check = tfs_store_options_new();
	if (!r.check || set_text(&c->path, path) || set_text(&c->state, "/var/lib/tfs-backup")) {
		tfs_store_options_free(r.check);
		return bk_no_memory();
	}
	f = fopen(path, "re");
	code = f ? read_lines(&r, f) : tfs_cli_fail(BK_USAGE, path, "%s", strerror(errno));
	if (f)
		fclose(f);
	if (!code)
		code = check_all(c);
	job_free(&r.all);
	tfs_store_options_free(r.check);
	return code;
}

void sched_config_free(struct sched_config *c)
{
	for (unsigned i = 0; i < c->jobs; i++)
		job_free(&c->job[i]);
	free(c->job);
	free(c->path);
	free(c->state);
	free(c->metrics);
	memset(c, 0, sizeof(*c));
}

const struct sched_job *sched_config_find(const struct sched_config *c, const char *name)
{
	for (unsigned i = 0; i < c->jobs; i++)
		if (!strcmp(c->job[i].name, name))
			return &c->job[i];
	return NULL;
}
