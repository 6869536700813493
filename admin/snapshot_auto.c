// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs snapshot auto: for a timer. A snapshot named PREFIX and the time to the minute, in UTC, unless there is one of
 * that minute already; then, of those named so, all are deleted that no --keep option keeps: each keeps the newest
 * snapshot of each of the newest N minutes, hours, days, ISO weeks, months or years that have one. What is held stays,
 * and so does every other name. Without a --keep option nothing is deleted. A run that was cut off is made up by the
 * next.
 */
#include "admin/admin.h"

#include <stdlib.h>
#include <time.h>

#define STAMP "20260102T0304Z"

struct made { /* by this command */
	char name[TFS_NAME_MAX + 1];
	struct tm time;
	bool held, keep;
};
struct list {
	struct made *made; /* newest first, once sorted */
	size_t n, max;
};

/* The time in a name that this command gave. */
static bool name_parse(const char *prefix, const char *name, struct tm *tm)
{
	size_t n = strlen(prefix);
	char again[sizeof(STAMP)];
	time_t t;

	memset(tm, 0, sizeof(*tm));
	if (strncmp(name, prefix, n) || strlen(name + n) != strlen(STAMP) ||
	    sscanf(name + n, "%4d%2d%2dT%2d%2dZ", &tm->tm_year, &tm->tm_mon, &tm->tm_mday, &tm->tm_hour, &tm->tm_min) !=
	        5)
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	t = timegm(tm); /* fills in the week, and sets right what is no date */
	return gmtime_r(&t, tm) && strftime(again, sizeof(again), "%Y%m%dT%H%MZ", tm) && !strcmp(again, name + n);
}

static int name_now(const struct admin *a, char out[TFS_NAME_MAX + 1])
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];

	if (strlen(a->prefix) + strlen(STAMP) > TFS_NAME_MAX)
		return tfs_cli_fail(ADMIN_USAGE, a->prefix, "expected a prefix of at most %zu bytes",
		                    TFS_NAME_MAX - strlen(STAMP));
	if (!gmtime_r(&now, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%MZ", &tm) != strlen(STAMP))
		return tfs_cli_fail(ADMIN_REFUSED, NULL, "the clock shows no year of four digits");
	strcat(strcpy(out, a->prefix), stamp);
	return 0;
}

static int made_add(struct list *l, const char *prefix, const struct tfs_ioc_snapshot *s)
{
	struct made m = {.held = s->holds};

	memcpy(m.name, s->name, s->name_len);
	if (!name_parse(prefix, m.name, &m.time))
		return 0;
	if (l->n == l->max) {
		size_t max = 2 * l->max + 64;
		struct made *more = realloc(l->made, max * sizeof(m));

		if (!more)
			return -ENOMEM;
		l->made = more;
		l->max = max;
	}
	l->made[l->n++] = m;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	return -strcmp(((const struct made *)a)->name, ((const struct made *)b)->name);
}

static int list_load(struct admin *a, struct list *l)
{
	struct tfs_ioc_snapshot s = {0};
	int err;

	for (; !(err = snapshot_next(a, &s, false)); s.epoch++)
		if (made_add(l, a->prefix, &s))
			return tfs_cli_fail(ADMIN_REFUSED, NULL, "out of memory");
	if (l->n)
		qsort(l->made, l->n, sizeof(*l->made), newest_first);
	return err == -ENOENT ? 0 : admin_fail(a, NULL, err);
}

static bool keep_mark(struct list *l, enum keep rule, u64 n)
{
	static const char *const period[KEEPS] = {"%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d", "%G%V", "%Y%m", "%Y"};
	char last[24] = "", now[24];

	for (size_t i = 0; n && i < l->n; i++) {
		strftime(now, sizeof(now), period[rule], &l->made[i].time);
		if (!strcmp(now, last))
			continue;
		strcpy(last, now);
		l->made[i].keep = true;
		n--;
	}
	return l->n != 0;
}

static void would(const struct admin *a, const char *what, const char *name)
{
	struct tfs_line l;

	tfs_line_begin(&l, a->json, 0, what);
	tfs_line_bytes(&l, "name", name, strlen(name));
	tfs_line_end(&l);
}

static int prune(struct admin *a, struct list *l)
{
	bool any = false;
	int first = 0;

	for (int rule = 0; rule < KEEPS; rule++)
		if (a->keep[rule])
			any = keep_mark(l, (enum keep)rule, a->keep[rule]);
	for (size_t i = 0; any && i < l->n; i++) {
		int code = 0;

		if (l->made[i].keep || l->made[i].held)
			continue;
		if (a->dry_run)
			would(a, "would_delete", l->made[i].name);
		else
			code = snapshot_change(a, TFS_IOC_SNAPSHOT_DELETE, "deleted", l->made[i].name, NULL);
		if (!first)
			first = code;
	}
	return first;
}

/* One more than is there: what a dry run goes by. */
static int made_pretend(struct admin *a, struct list *l, const char *name)
{
	struct tfs_ioc_snapshot s = {.name_len = (u32)strlen(name)};

	would(a, "would_create", name);
	memcpy(s.name, name, s.name_len);
	if (made_add(l, a->prefix, &s))
		return tfs_cli_fail(ADMIN_REFUSED, NULL, "out of memory");
	qsort(l->made, l->n, sizeof(*l->made), newest_first);
	return 0;
}

static bool there(const struct list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->made[i].name, name))
			return true;
	return false;
}

int admin_snapshot_auto(struct admin *a)
{
	char name[TFS_NAME_MAX + 1];
	struct list l = {0};
	int code = name_now(a, name), created = 0;

	if (!code)
		code = list_load(a, &l);
	if (!code && !there(&l, name)) {
		if (a->dry_run) {
			code = made_pretend(a, &l, name);
		} else {
			created = snapshot_change(a, TFS_IOC_SNAPSHOT_CREATE, "created", name, NULL);
			l.n = 0;
			code = list_load(a, &l);
		}
	}
	if (!code) /* also when there was no room for one more: it gives some */
		code = prune(a, &l);
	free(l.made);
	return created ? created : code;
}
