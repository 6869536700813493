// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * When is the next time? Local time, by the C library's rules: a time that a clock change skips comes an hour later,
 * one that comes twice counts once. "every" counts from 1970, so that runs do not drift and a restart does not shift
 * them.
 */
#define _GNU_SOURCE
#include "backup/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int sched_seconds(const char *text, u32 *out)
{
	static const char units[] = "smhdw";
	static const u32 seconds[] = {1, 60, 3600, 86400, 7 * 86400};
	char *end;
	unsigned long n;
	const char *unit;

	if (*text < '0' || *text > '9')
		return -1;
	n = strtoul(text, &end, 10);
	unit = *end ? strchr(units, *end) : units;
	if (!unit || (*end && end[1]) || n > 366ul * 86400 / seconds[unit - units])
		return -1;
	*out = (u32)n * seconds[unit - units];
	return 0;
}

/* "HH:MM", or ":MM" when hour is NULL. */
static int take_clock(const char *text, int *hour, int *minute)
{
	int used = 0;

	if (hour ? sscanf(text, "%2d:%2d%n", hour, minute, &used) != 2 : sscanf(text, ":%2d%n", minute, &used) != 1)
		return -1;
	return text[used] || *minute < 0 || *minute > 59 || (hour && (*hour < 0 || *hour > 23)) ? -1 : 0;
}

static int take_day(const char *text)
{
	static const char names[] = "sunmontuewedthufrisat";

	for (int i = 0; i < 7; i++)
		if (!strncasecmp(text, names + 3 * i, 3) && !text[3])
			return i;
	return -1;
}

int sched_when_parse(const char *text, struct sched_when *w)
{
	char word[3][16] = {"", "", ""}, rest = 0;
	int n = sscanf(text, "%15s %15s %15s %c", word[0], word[1], word[2], &rest);

	memset(w, 0, sizeof(*w));
	if (n == 1 && !strcmp(word[0], "never"))
		return 0;
	if (n == 2 && !strcmp(word[0], "every")) {
		w->kind = SCHED_EVERY;
		return sched_seconds(word[1], &w->seconds) || !w->seconds ? -1 : 0;
	}
	if (n >= 1 && n <= 2 && !strcmp(word[0], "hourly")) {
		w->kind = SCHED_HOURLY;
		return n == 1 ? 0 : take_clock(word[1], NULL, &w->minute);
	}
	if (n == 2 && !strcmp(word[0], "daily")) {
		w->kind = SCHED_DAILY;
		return take_clock(word[1], &w->hour, &w->minute);
	}
	if (n == 3 && !strcmp(word[0], "weekly")) {
		w->kind = SCHED_WEEKLY;
		w->day = take_day(word[1]);
		return w->day < 0 ? -1 : take_clock(word[2], &w->hour, &w->minute);
	}
	if (n == 3 && !strcmp(word[0], "monthly")) {
		char *end;

		w->kind = SCHED_MONTHLY;
		w->day = (int)strtol(word[1], &end, 10);
		return *end || w->day < 1 || w->day > 28 ? -1 : take_clock(word[2], &w->hour, &w->minute);
	}
	return -1;
}

static s64 next_hourly(const struct sched_when *w, s64 after)
{
	s64 at = after - after % 60;
	struct tm tm;

	for (int i = 0; i < 121; i++) {
		time_t t;

		at += 60;
		t = (time_t)at;
		if (localtime_r(&t, &tm)->tm_min == w->minute)
			return at;
	}
	return at;
}

static s64 next_calendar(const struct sched_when *w, s64 after)
{
	time_t t = (time_t)after;
	struct tm day, tm;

	localtime_r(&t, &day);
	for (int i = 0; i < 15; i++) {
		tm = day;
		if (w->kind == SCHED_MONTHLY) {
			tm.tm_mon += i;
			tm.tm_mday = w->day;
		} else {
			tm.tm_mday += i;
		}
		tm.tm_hour = w->hour;
		tm.tm_min = w->minute;
		tm.tm_sec = 0;
		tm.tm_isdst = -1;
		t = mktime(&tm);
		if ((s64)t > after && (w->kind != SCHED_WEEKLY || tm.tm_wday == w->day))
			return (s64)t;
	}
	return after + 86400;
}

s64 sched_when_next(const struct sched_when *w, s64 after)
{
	switch (w->kind) {
	case SCHED_NEVER:
		return 0;
	case SCHED_EVERY:
		return (after / w->seconds + 1) * w->seconds;
	case SCHED_HOURLY:
		return next_hourly(w, after);
	default:
		return next_calendar(w, after);
	}
}
