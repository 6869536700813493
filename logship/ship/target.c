// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where a rule's lines go, as the text that stands in the volume: relp://HOST:PORT, tcp://, udp://, relp+tls://,
 * tcp+tls://, file:PATH, stdout:, or FORMAT+https://HOST:PORT/PATH, then `?` and options with `&` between them. Nothing in it is secret, and nothing names a
 * file to be read: a crafted volume's rule must not make root send one. Called by whoever makes a rule, to refuse what nobody could send to, and by
 * whoever sends; the text may come from a crafted volume.
 */
#include "logship/ship/ship.h"

#define SHIP_MAX_MIN 64u
#define SHIP_MAX_DEFAULT 6144u /* with its head it fits into what rsyslog takes without being told */
#define SHIP_BATCH_MAX (16u << 20)
#define SHIP_BATCH_DEFAULT (1u << 20) /* what the strictest of these takes without being told */
#define SHIP_MAX_UDP 8192u            /* a datagram, all of it escaped */

static bool word_is(const char *at, u32 n, const char *word)
{
	return ship_same_word((const u8 *)at, n, word);
}

/* At the front of [at, end): its bytes when it is there, else 0. */
static u32 prefix(const char *at, const char *end, const char *word)
{
	u32 n = 0;

	while (word[n] && at + n < end && at[n] == word[n])
		n++;
	return word[n] ? 0 : n;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* %HH is a byte. Bytes of out, NUL-terminated; -1: does not fit, holds NUL, or % is not followed by two digits. */
static int decode(const char *at, const char *end, char *out, u32 size)
{
	u32 n = 0;

	for (; at < end; at++) {
		char c = *at;

		if (c == '%') {
			if (end - at < 3 || hex(at[1]) < 0 || hex(at[2]) < 0)
				return -1;
			c = (char)(hex(at[1]) << 4 | hex(at[2]));
			at += 2;
		}
		if (!c || n + 1 >= size)
			return -1;
		out[n++] = c;
	}
	out[n] = 0;
	return (int)n;
}

/* ---- host and port ---- */

static const char *port_parse(const char *at, const char *end, u16 *port)
{
	u32 v, n = at < end ? ship_digits((const u8 *)at, (const u8 *)end, 5, &v) : 0;

	if (!n || at + n != end || !v || v > 65535)
		return "expected a port from 1 to 65535 behind the host";
	*port = (u16)v;
	return NULL;
}

/* What a request line can hold. */
static const char *path_parse(const char *at, const char *end, struct ship_target *t)
{
	u32 i;

	if ((size_t)(end - at) >= sizeof(t->path))
		return "expected a path of at most 511 bytes";
	for (i = 0; at + i < end; i++) {
		if (at[i] <= ' ' || at[i] > '~' || at[i] == '#' || at[i] == '"' || at[i] == '\\')
			return "expected a path of printable characters; others as %HH";
		t->path[i] = at[i];
	}
	return NULL;
}

/* HOST or [ADDRESS], then perhaps :PORT. HTTP: what begins with a slash behind it is a path. */
static const char *host_parse(const char *at, const char *end, struct ship_target *t)
{
	const char *from = at, *to, *colon, *why;
	u32 i;

	for (to = at; ship_is_http(t) && to < end && *to != '/'; to++)
		;
	if (ship_is_http(t)) {
		why = path_parse(to, end, t);
		if (why)
			return why;
		end = to;
	}
	if (at < end && *at == '[') {
		from++;
		for (to = from; to < end && *to != ']'; to++)
			;
		if (to == end)
			return "expected ] behind an IPv6 address";
		colon = to + 1;
	} else {
		for (to = from; to < end && *to != ':'; to++)
			;
		colon = to;
	}
	if (from == to || (size_t)(to - from) >= sizeof(t->host))
		return "expected a host of at most 253 bytes";
	for (i = 0; from + i < to; i++) {
		if (from[i] <= ' ' || from[i] > '~' || from[i] == '/' || from[i] == '@')
			return "expected a host name or address";
		t->host[i] = from[i];
	}
	t->host[i] = 0;
	if (colon == end)
		return NULL; /* the protocol's own */
	return *colon == ':' ? port_parse(colon + 1, end, &t->port) : "expected a port behind the host";
}

/* ---- options ---- */

static const char *facility_parse(const char *at, u32 n, u8 *standard)
{
	static const char *const names[] = {"kern",   "user",   "mail",   "daemon", "auth",     "syslog",
	                                    "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
	                                    NULL,     NULL,     NULL,     NULL,     "local0",   "local1",
	                                    "local2", "local3", "local4", "local5", "local6",   "local7"};
	u32 i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i] && word_is(at, n, names[i])) {
			*standard = (u8)(i << 3 | (*standard & 7));
			return NULL;
		}
	return "expected a facility such as user, daemon or local0";
}

static const char *severity_parse(const char *at, u32 n, u8 *standard)
{
	static const char *const names[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};
	u32 i;

	for (i = 0; i < 8; i++)
		if (word_is(at, n, names[i])) {
			*standard = (u8)((*standard & ~7) | i);
			return NULL;
		}
	return "expected a severity: emerg, alert, crit, err, warning, notice, info or debug";
}

static const char *max_parse(const char *at, const char *end, u32 *max)
{
	u32 n = at < end ? ship_digits((const u8 *)at, (const u8 *)end, 5, max) : 0;

	return n && at + n == end && *max >= SHIP_MAX_MIN && *max <= SHIP_TEXT_MAX
	           ? NULL
	           : "expected max=BYTES of a message, 64 to 16000";
}

static const char *rate_parse(const char *at, const char *end, u32 *rate)
{
	u32 n = at < end ? ship_digits((const u8 *)at, (const u8 *)end, 7, rate) : 0;

	return n && at + n == end && *rate ? NULL : "expected rate=MESSAGES a second, 1 to 9999999";
}

/* ---- options of HTTP ---- */

/* Of an index or a tenant: what needs no escaping in a URL or a header. */
static const char *name_parse(const char *at, const char *end, struct ship_target *t)
{
	u32 i;

	for (i = 0; at + i < end && i + 1 < sizeof(t->name); i++) {
		char c = at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      (c >= 'A' && c <= 'Z' && t->transport != SHIP_ELASTIC) || c == '-' || c == '_' || c == '.') ||
		    (!i && (c == '-' || c == '_' || c == '.')))
			break;
		t->name[i] = c;
	}
	t->name[i] = 0;
	return i && at + i == end ? NULL
	                          : "expected a name of 1 to 64 letters (of an index small ones), digits, dots, dashes "
	                            "and underscores";
}

static const char *batch_parse(const char *at, const char *end, u32 *batch)
{
	u32 n = at < end ? ship_digits((const u8 *)at, (const u8 *)end, 8, batch) : 0;

	return n && at + n == end && *batch >= SHIP_BATCH_MIN && *batch <= SHIP_BATCH_MAX
	           ? NULL
	           : "expected batch=BYTES of a request, 4096 to 16777216";
}

/* True: it was one of them, and *why is what is wrong with it or NULL. */
static bool http_option(const char *at, const char *end, struct ship_target *t, const char **why)
{
	u32 n;

	if ((n = prefix(at, end, "gzip")) && at + n == end) {
		t->gzip = true;
		*why = NULL;
		return true;
	}
	if ((n = prefix(at, end, "batch="))) {
		*why = batch_parse(at + n, end, &t->batch);
		return true;
	}
	n = t->transport == SHIP_ELASTIC ? prefix(at, end, "index=")
	    : t->transport == SHIP_LOKI  ? prefix(at, end, "tenant=")
	                                 : 0;
	if (n)
		*why = name_parse(at + n, end, t);
	return n;
}

/* ---- options ---- */

static const char *option_parse(const char *at, const char *end, struct ship_target *t)
{
	const char *why;
	u32 n;
	int got;

	if (ship_is_http(t) && http_option(at, end, t, &why))
		return why;
	if ((n = prefix(at, end, "facility=")))
		return facility_parse(at + n, (u32)(end - at) - n, &t->standard);
	if ((n = prefix(at, end, "severity=")))
		return severity_parse(at + n, (u32)(end - at) - n, &t->standard);
	if ((n = prefix(at, end, "max=")))
		return max_parse(at + n, end, &t->cut.max);
	if ((n = prefix(at, end, "rate=")))
		return rate_parse(at + n, end, &t->rate);
	if ((n = prefix(at, end, "app=")))
		return decode(at + n, end, t->app, sizeof(t->app)) > 0 ? NULL : "expected app=NAME of at most 48 bytes";
	if ((n = prefix(at, end, "multi=indent")) && at + n == end) {
		t->cut.multi = SHIP_INDENT;
		return NULL;
	}
	if ((n = prefix(at, end, "start="))) {
		got = decode(at + n, end, t->start, sizeof(t->start));
		if (got < 0)
			return "expected start=PATTERN of at most 64 bytes";
		t->cut.multi = SHIP_START;
		t->cut.start = t->start;
		t->cut.start_len = (u32)got;
		return ship_start_check(t->start, (u32)got) ? "start= needs a pattern that not every line matches"
		                                            : NULL;
	}
	return "expected facility=, severity=, max=, rate=, app=, multi=indent or start=";
}

/* ---- the whole ---- */

static const struct {
	const char *scheme;
	enum ship_transport transport;
	bool tls;
	u16 port;
} schemes[] = {
    {"relp://", SHIP_RELP, false, 2514},
    {"tcp://", SHIP_TCP, false, 601},
    {"udp://", SHIP_UDP, false, 514},
    {"relp+tls://", SHIP_RELP, true, 2514},
    {"tcp+tls://", SHIP_TCP, true, 6514},
    {"file:", SHIP_FILE, false, 0},
    {"stdout:", SHIP_STDOUT, false, 0},
    {"otlp+https://", SHIP_OTLP, true, 4318},
    {"otlp+http://", SHIP_OTLP, false, 4318},
    {"loki+https://", SHIP_LOKI, true, 3100},
    {"loki+http://", SHIP_LOKI, false, 3100},
    {"elastic+https://", SHIP_ELASTIC, true, 9200},
    {"elastic+http://", SHIP_ELASTIC, false, 9200},
    {"splunk+https://", SHIP_SPLUNK, true, 8088},
    {"splunk+http://", SHIP_SPLUNK, false, 8088},
    {"gelf+https://", SHIP_GELF, true, 12201},
    {"gelf+http://", SHIP_GELF, false, 12201},
    {"journal+https://", SHIP_JOURNAL, true, 19532},
    {"journal+http://", SHIP_JOURNAL, false, 19532},
};

static const char no_scheme[] =
    "expected relp://HOST:PORT, tcp://, udp://, relp+tls://, tcp+tls://, file:PATH, stdout:, or "
    "FORMAT+https://HOST:PORT, FORMAT one of otlp, loki, elastic, splunk, gelf, journal";

const char *ship_target_parse(const char *text, u32 len, struct ship_target *t)
{
	const char *end = text + len, *query = text, *at = text;
	const char *why = no_scheme;
	u32 i, n = 0;

	memset(t, 0, sizeof(*t));
	t->standard = 1 << 3 | SHIP_NOTICE; /* user */
	t->cut.max = SHIP_MAX_DEFAULT;
	t->batch = SHIP_BATCH_DEFAULT;
	while (query < end && *query != '?')
		query++;
	for (i = 0; i < sizeof(schemes) / sizeof(*schemes) && !n; i++) {
		n = prefix(text, query, schemes[i].scheme);
		t->transport = schemes[i].transport;
		t->tls = schemes[i].tls;
		t->port = schemes[i].port;
	}
	if (!n)
		return why;
	at += n;
	if (t->transport == SHIP_FILE)
		why =
		    decode(at, query, t->path, sizeof(t->path)) > 0 ? NULL : "expected file:PATH of at most 511 bytes";
	else if (t->transport != SHIP_STDOUT)
		why = host_parse(at, query, t);
	else if (at == query)
		why = NULL;
	while (!why && query < end) {
		at = ++query;
		while (query < end && *query != '&')
			query++;
		why = option_parse(at, query, t);
	}
	if (!why && t->transport == SHIP_UDP && t->cut.max > SHIP_MAX_UDP)
		why = "expected max=BYTES of at most 8192 for datagrams";
	return why;
}
