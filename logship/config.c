// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The configuration of drain and run: lines of `key = value`, # begins a comment; behind `[COLLECTOR]` they are about
 * that one: what it is told, whom to trust. What is not known is refused.
 */
#include "logship/logship.h"
#include "tfs/web/web.h"

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

/* ---- keys ---- */

static const char *text_take(char *to, size_t room, const char *value, const char *why)
{
	if (!*value || strlen(value) >= room)
		return why;
	strcpy(to, value);
	return NULL;
}

#define WHY_PATH "expected a path of 1 to 255 bytes"

/* NULL, or what is wrong. */
static const char *take(struct logship_config *c, const char *key, const char *value)
{
	u64 ms;

	if (!strcmp(key, "host"))
		return text_take(c->host, sizeof(c->host), value, "expected a name of 1 to 255 bytes");
	if (!strcmp(key, "ca-file"))
		return text_take(c->ca_file, sizeof(c->ca_file), value, WHY_PATH);
	if (!strcmp(key, "dead-letter"))
		return text_take(c->dead_letter, sizeof(c->dead_letter), value, WHY_PATH);
	if (!strcmp(key, "metrics"))
		return text_take(c->metrics, sizeof(c->metrics), value, WHY_PATH);
	if (!strcmp(key, "files")) {
		c->files = !strcmp(value, "yes");
		return c->files || !strcmp(value, "no") ? NULL : "expected yes or no";
	}
	if (strcmp(key, "timeout") && strcmp(key, "interval") && strcmp(key, "retry"))
		return "expected host, timeout, interval, retry, ca-file, dead-letter, files or metrics";
	if (logship_duration(value, &ms) || (!ms && strcmp(key, "retry")))
		return "expected a time such as 30s, 500ms or 5m, up to a day";
	if (!strcmp(key, "retry"))
		c->retry_ms = ms;
	else
		*(*key == 't' ? &c->timeout_ms : &c->interval_ms) = (u32)ms;
	return NULL;
}

static const char *collector_take(struct logship_collector *c, const char *key, const char *value)
{
	char *to = !strcmp(key, "authorization-file") ? c->authorization_file
	           : !strcmp(key, "ca-file")          ? c->ca_file
	           : !strcmp(key, "cert-file")        ? c->cert_file
	           : !strcmp(key, "key-file")         ? c->key_file
	                                              : NULL;

	if (!to)
		return "expected authorization-file, ca-file, cert-file or key-file";
	if (to == c->authorization_file && c->transport < SHIP_OTLP)
		return "credentials are for HTTP";
	return text_take(to, LOGSHIP_PATH, value, WHY_PATH);
}

/* "[otlp+https://host:4318]" */
static const char *section_take(struct logship_config *c, char *line)
{
	static struct ship_target t;
	size_t n = strlen(line);
	struct logship_collector *x = &c->collector[c->collectors];

	if (line[n - 1] != ']')
		return "expected ] behind a collector";
	line[n - 1] = 0;
	if (ship_target_parse(line + 1, (u32)n - 2, &t) || !t.port)
		return "expected a collector such as [otlp+https://HOST:PORT]";
	if (c->collectors == LOGSHIP_COLLECTORS || logship_collector_of(c, &t))
		return c->collectors == LOGSHIP_COLLECTORS ? "expected at most 32 collectors"
		                                           : "that one is there already";
	*x = (struct logship_collector){.transport = t.transport, .tls = t.tls, .port = t.port};
	strcpy(x->host, t.host);
	strcpy(x->path, t.path);
	strcpy(x->name, t.name);
	c->collectors++;
	return NULL;
}

const struct logship_collector *logship_collector_of(const struct logship_config *c, const struct ship_target *t)
{
	for (u32 i = 0; i < c->collectors; i++) {
		const struct logship_collector *x = &c->collector[i];

		if (x->transport == t->transport && x->tls == t->tls && x->port == t->port &&
		    !strcmp(x->host, t->host) && !strcmp(x->path, t->path) && !strcmp(x->name, t->name))
			return x;
	}
	return NULL;
}

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

void logship_trust(const struct logship_way *way, struct tfs_web_trust *trust)
{
	const struct logship_collector *x = way->set;

	*trust = (struct tfs_web_trust){.ca_file = given(way->ca_file)};
	if (!x)
		return;
	if (*x->ca_file)
		trust->ca_file = x->ca_file;
	trust->cert_file = given(x->cert_file);
	trust->key_file = given(x->key_file);
}

/* ---- the file ---- */

static int line_take(struct logship_config *c, const char *path, unsigned number, char *line)
{
	char *value = strchr(line, '='), *key = line;
	const char *why = "expected KEY = VALUE";

	if (*line == '[') {
		why = section_take(c, line);
	} else if (value) {
		*value++ = 0;
		key = trim(key);
		value = trim(value);
		why =
		    c->collectors ? collector_take(&c->collector[c->collectors - 1], key, value) : take(c, key, value);
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
