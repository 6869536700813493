// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* backup/schedule_time.c: what is a time, and when is the next one, over clock changes and the ends of months. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backup/schedule.h"

#include <stdlib.h>
#include <time.h>

static s64 at(const char *text)
{
	struct tm tm = {.tm_isdst = -1};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (s64)mktime(&tm);
}

static void expect(const char *when, const char *after, const char *next)
{
	struct sched_when w;
	char got[32];
	time_t t;
	struct tm tm;

	assert_int_equal(sched_when_parse(when, &w), 0);
	t = (time_t)sched_when_next(&w, at(after));
	strftime(got, sizeof(got), "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
	assert_string_equal(got, next);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void calendar(void **state)
{
	(void)state;
	zone("UTC");
	expect("every 15m", "2026-11-28 10:00:00", "2026-11-28 10:15:00");
	expect("every 15m", "2026-11-28 10:14:59", "2026-11-28 10:15:00");
	expect("every 6h", "2026-11-28 23:00:00", "2026-11-29 00:00:00");
	expect("hourly", "2026-11-28 10:00:00", "2026-11-28 11:00:00");
	expect("hourly :05", "2026-11-28 10:04:59", "2026-11-28 10:05:00");
	expect("hourly :05", "2026-11-28 10:05:00", "2026-11-28 11:05:00");
	expect("daily 02:30", "2026-11-28 02:29:59", "2026-11-28 02:30:00");
	expect("daily 02:30", "2026-11-28 02:30:00", "2026-11-29 02:30:00");
	expect("daily 02:30", "2026-12-31 12:00:00", "2027-01-01 02:30:00");
	expect("weekly sun 03:00", "2026-11-28 12:00:00", "2026-11-29 03:00:00");
	expect("weekly sun 03:00", "2026-11-29 03:00:00", "2026-12-06 03:00:00");
	expect("weekly Mon 03:00", "2026-11-29 03:00:00", "2026-11-30 03:00:00");
	expect("monthly 28 04:00", "2027-01-28 04:00:00", "2027-02-28 04:00:00");
	expect("monthly 1 04:00", "2026-12-01 03:00:00", "2026-12-01 04:00:00");
	expect("monthly 1 04:00", "2026-12-01 04:00:00", "2027-01-01 04:00:00");
}

static void clock_changes(void **state)
{
	(void)state;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	expect("daily 02:30", "2026-03-28 12:00:00", "2026-03-29 03:30:00"); /* there is no 02:30 */
	expect("daily 02:30", "2026-03-29 12:00:00", "2026-03-30 02:30:00");
	expect("daily 02:30", "2026-10-25 12:00:00", "2026-10-26 02:30:00");
	expect("hourly", "2026-03-29 01:30:00", "2026-03-29 03:00:00");
	zone("UTC");
}

/* Never the same time twice, never more than it may take: over two years, from any minute. */
static void goes_on(void **state)
{
	static const struct {
		const char *when;
		s64 longest;
	} cases[] = {{"every 7m", 420},
	             {"hourly :59", 3600},
	             {"daily 02:30", 90000},
	             {"weekly thu 00:00", 8 * 86400},
	             {"monthly 28 23:59", 32 * 86400}};

	(void)state;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sched_when w;
		s64 t = at("2026-01-01 00:00:00"), end = at("2028-01-01 00:00:00");

		assert_int_equal(sched_when_parse(cases[i].when, &w), 0);
		for (int n = 0; t < end && n < 20000; n++) {
			s64 next = sched_when_next(&w, t);

			assert_true(next > t && next - t <= cases[i].longest);
			assert_int_equal(sched_when_next(&w, next - 1), next);
			t = next;
		}
	}
	zone("UTC");
}

static void refused(void **state)
{
	static const char *const bad[] = {"",
	                                  "every",
	                                  "every 0m",
	                                  "every 5x",
	                                  "every 5m 3",
	                                  "hourly 5",
	                                  "hourly :60",
	                                  "daily",
	                                  "daily 24:00",
	                                  "daily 2:60",
	                                  "weekly 02:00",
	                                  "weekly x 02:00",
	                                  "monthly 29 01:00",
	                                  "monthly 0 01:00",
	                                  "monthly 1",
	                                  "yearly",
	                                  "never 1",
	                                  "every 400d"};
	struct sched_when w;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!sched_when_parse(bad[i], &w))
			fail_msg("taken: '%s'", bad[i]);
	assert_int_equal(sched_when_parse("never", &w), 0);
	assert_int_equal(sched_when_next(&w, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(calendar), cmocka_unit_test(clock_changes),
	                                   cmocka_unit_test(goes_on), cmocka_unit_test(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
