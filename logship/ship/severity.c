// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How grave a message is, told from its text. A guess that must not be silly: a word counts only where programs put a
 * level, not wherever it stands ("0 errors" is none). Looks at the first SEVERITY_LOOK bytes. Pure; no locks.
 */
#include "logship/ship/ship.h"

#define SEVERITY_LOOK 512u
#define WORD_LOOK 96u /* where a line says its level, it says so near the front */

static const struct level {
	const char *word;
	u8 severity;
} levels[] = {
    {"emerg", SHIP_EMERG},   {"emergency", SHIP_EMERG}, {"panic", SHIP_EMERG},      {"alert", SHIP_ALERT},
    {"crit", SHIP_CRIT},     {"critical", SHIP_CRIT},   {"fatal", SHIP_CRIT},       {"err", SHIP_ERR},
    {"error", SHIP_ERR},     {"severe", SHIP_ERR},      {"warn", SHIP_WARNING},     {"warning", SHIP_WARNING},
    {"notice", SHIP_NOTICE}, {"info", SHIP_INFO},       {"information", SHIP_INFO}, {"log", SHIP_INFO},
    {"debug", SHIP_DEBUG},   {"trace", SHIP_DEBUG},     {"verbose", SHIP_DEBUG},    {"fine", SHIP_DEBUG},
};

static int level_of(const u8 *word, u32 n)
{
	u32 i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (ship_same_word(word, n, levels[i].word))
			return levels[i].severity;
	return -1;
}

static bool is_letter(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Numbers: 0 to 7 are syslog's (GELF, journald); 10 and more those of bunyan and pino, 10 trace to 60 fatal. */
static int level_of_number(const u8 *at, const u8 *end)
{
	u32 v;

	if (!ship_digits(at, end, 3, &v))
		return -1;
	if (v <= 7)
		return (int)v;
	return v >= 60 ? SHIP_CRIT : v >= 50 ? SHIP_ERR : v >= 40 ? SHIP_WARNING : v >= 30 ? SHIP_INFO : SHIP_DEBUG;
}

/* ---- JSON: one object a line ---- */

/* Behind the string that begins at *at (its opening quote); NULL: it does not end. */
static const u8 *string_end(const u8 *at, const u8 *end)
{
	for (at++; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (*at == '"')
			return at + 1;
	}
	return NULL;
}

static const u8 *blanks(const u8 *at, const u8 *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static bool is_level_key(const u8 *key, u32 n)
{
	static const char *const keys[] = {"level",     "severity",      "lvl",          "loglevel",
	                                   "log.level", "severity_text", "severitytext", "priority"};
	u32 i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (ship_same_word(key, n, keys[i]))
			return true;
	return false;
}

static int level_of_value(const u8 *at, const u8 *end)
{
	const u8 *after;

	at = blanks(at, end);
	if (at == end)
		return -1;
	if (*at != '"')
		return level_of_number(at, end);
	after = string_end(at, end);
	return after ? level_of(at + 1, (u32)(after - at - 2)) : -1;
}

/* The level among the outermost keys. */
static int level_of_json(const u8 *at, const u8 *end)
{
	u32 depth = 0;

	while (at < end) {
		const u8 *after, *colon;

		if (*at == '{' || *at == '[') {
			depth++;
		} else if (*at == '}' || *at == ']') {
			if (depth-- <= 1)
				return -1;
		} else if (*at == '"') {
			after = string_end(at, end);
			if (!after)
				return -1;
			colon = blanks(after, end);
			if (depth == 1 && colon < end && *colon == ':' && is_level_key(at + 1, (u32)(after - at - 2))) {
				int level = level_of_value(colon + 1, end);

				if (level >= 0)
					return level;
			}
			at = after;
			continue;
		}
		at++;
	}
	return -1;
}

/* ---- plain text ---- */

static bool is_capitals(const u8 *word, u32 n)
{
	while (n--)
		if (word[n] & 0x20)
			return false;
	return true;
}

/* The word [at, at + n) stands where a level does: in capitals, before a colon, in brackets, or as level=word. */
static bool marks_level(const u8 *begin, const u8 *at, u32 n, const u8 *end)
{
	u8 before = at > begin ? at[-1] : ' ', after = at + n < end ? at[n] : ' ';

	if (before >= 0x80 || after >= 0x80 || before == '_' || after == '_' || before == '/')
		return false;
	if (before == '=' || (before == '"' && at - begin >= 2 && at[-2] == '='))
		return at - begin >= 6 && (ship_same_word(at - (before == '"' ? 7 : 6), 5, "level") ||
		                           ship_same_word(at - (before == '"' ? 5 : 4), 3, "lvl"));
	return is_capitals(at, n) || after == ':' ||
	       ((before == '[' || before == '<') && (after == ']' || after == '>'));
}

static int level_of_words(const u8 *begin, const u8 *end)
{
	const u8 *at = begin;

	while (at < end && at - begin < (s64)WORD_LOOK) {
		u32 n = 0;

		while (at + n < end && is_letter(at[n]))
			n++;
		if (n) {
			/* in this order: most words mark nothing, and one look at them says so */
			int level = marks_level(begin, at, n, end) ? level_of(at, n) : -1;

			if (level >= 0)
				return level;
		}
		at += n ? n : 1;
	}
	return -1;
}

/* klog, as Kubernetes and glog write it: a letter and the date, "E0102 15:04:05". */
static int level_of_klog(const u8 *at, const u8 *end)
{
	u32 v;

	if (end - at < 6 || at[5] != ' ' || at[1] > '1' || (at[1] != '0' && ship_digits(at + 1, at + 5, 4, &v) != 4))
		return -1;
	if (at[1] == '0' && ship_digits(at + 2, at + 5, 3, &v) != 3)
		return -1;
	return at[0] == 'I'   ? SHIP_INFO
	       : at[0] == 'W' ? SHIP_WARNING
	       : at[0] == 'E' ? SHIP_ERR
	       : at[0] == 'F' ? SHIP_CRIT
	                      : -1;
}

u8 ship_priority(u8 standard, const u8 *text, u32 n, u32 *skip)
{
	const u8 *end = text + (n < SEVERITY_LOOK ? n : SEVERITY_LOOK), *at;
	u32 v, digits;
	int level;

	*skip = 0;
	if (n > 2 && text[0] == '<') {
		digits = ship_digits(text + 1, end, 3, &v);
		if (digits && v <= 191 && digits + 1 < n && text[digits + 1] == '>') {
			*skip = digits + 2;
			return (u8)v;
		}
	}
	at = blanks(text, end);
	level = at < end && *at == '{' ? level_of_json(at, end) : level_of_klog(at, end);
	if (level < 0 && !(at < end && *at == '{'))
		level = level_of_words(at, end);
	return level < 0 ? standard : (u8)((standard & ~7u) | (u32)level);
}
