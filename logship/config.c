// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The configuration of drain and run: lines of `key = value`, # begins a comment. What is not known is refused. */
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000u

int logship_duration(const char *text, u64 *ms)
{
	static const struct {
		const char *unit;
		u32 ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}};
	char *end;
	u64 n;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit)) {
			if (errno || n > DAY_MS / units[i].ms)
				return -1;
			*ms = n * units[i].ms;
			return 0;
		}
	return -1;
}

static char *trim(char *at)
{
	char *end;

	at += strspn(at, " \t");
	end = at + strlen(at);
	while (end > at && strchr(" \t\r\n", end[-1]))
		*--end = 0;
	return at;
}

/* NULL, or what is wrong. */
static const char *take(struct logship_config *c, const char *key, const char *value)
{
	u64 ms;

	if (!strcmp(key, "host")) {
		if (!*value || strlen(value) >= sizeof(c->host))
			return "expected a name of 1 to 255 bytes";
		strcpy(c->host, value);
		return NULL;
	}
	if (strcmp(key, "timeout") && strcmp(key, "interval") && strcmp(key, "retry"))
		return "expected host, timeout, interval or retry";
	if (logship_duration(value, &ms) || (!ms && strcmp(key, "retry")))
		return "expected a time such as 30s, 500ms or 5m, up to a day";
	if (!strcmp(key, "retry"))
		c->retry_ms = ms;
	else
		*(*key == 't' ? &c->timeout_ms : &c->interval_ms) = (u32)ms;
	return NULL;
}

static int line_take(struct logship_config *c, const char *path, unsigned number, char *line)
{
	char *value = strchr(line, '='), *key = line;
	const char *why = "expected KEY = VALUE";

	if (value) {
		*value++ = 0;
		key = trim(key);
		why = take(c, key, trim(value));
	}
	return why ? tfs_cli_fail(LOGSHIP_USAGE, path, "line %u: %s, found %s", number, why, key) : 0;
}

int logship_config_read(struct logship_config *c, const char *path, bool missing)
{
	FILE *f = fopen(path, "re");
	unsigned number = 0;
	static char line[1024];
	int code = 0;

	if (!f)
		return missing && errno == ENOENT ? 0 : tfs_cli_fail(LOGSHIP_USAGE, path, "%s", strerror(errno));
	while (!code && fgets(line, sizeof(line), f)) {
		char *at;

		number++;
		if (strlen(line) == sizeof(line) - 1) {
			code = tfs_cli_fail(LOGSHIP_USAGE, path, "line %u is longer than 1022 bytes", number);
			break;
		}
		at = trim(line);
		if (*at && *at != '#')
			code = line_take(c, path, number, at);
	}
	if (!code && ferror(f))
		code = tfs_cli_fail(LOGSHIP_USAGE, path, "%s", strerror(errno));
	fclose(f);
	return code;
}
