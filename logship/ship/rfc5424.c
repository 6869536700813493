// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Messages in the syslog protocol, RFC 5424, and their identity read back. What a file's name or bytes hold never ends
 * a field: header fields keep to the characters the RFC allows, values in structured data are escaped as it says, and
 * of the text, bytes that collectors change or drop (control characters, what is not UTF-8) go as \xHH. Pure; no locks.
 */
#include "logship/ship/ship.h"

/* ---- header fields ---- */

#define SECONDS_MIN (-62167219200ll) /* 0000-01-01 */
#define SECONDS_MAX 253402300799ll   /* 9999-12-31 */

/* Days since 1970-01-01 as a date of the Gregorian calendar; years are counted from March, so that a leap day is the
 * last of its year (the arithmetic of H. Hinnant's "chrono-compatible low-level date algorithms"). */
static void put_date(struct ship_out *o, s64 days)
{
	u32 z = (u32)(days + 719468 + 146097); /* since 0000-03-01, an era on: never negative */
	u32 day = z % 146097, year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	u32 of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

	ship_put_padded(o, z / 146097 * 400 + year - 400 + (month >= 10), 4);
	ship_put(o, "-", 1);
	ship_put_padded(o, month < 10 ? month + 3 : month - 9, 2);
	ship_put(o, "-", 1);
	ship_put_padded(o, of_year - (153 * month + 2) / 5 + 1, 2);
}

void ship_put_time(struct ship_out *o, s64 seconds, u32 nanoseconds)
{
	u32 of_day;

	if (nanoseconds > 999999999 || seconds < SECONDS_MIN || seconds > SECONDS_MAX) {
		ship_put(o, "-", 1);
		return;
	}
	seconds -= SECONDS_MIN;
	of_day = (u32)(seconds % 86400);
	put_date(o, seconds / 86400 + SECONDS_MIN / 86400);
	ship_put(o, "T", 1);
	ship_put_padded(o, of_day / 3600, 2);
	ship_put(o, ":", 1);
	ship_put_padded(o, of_day / 60 % 60, 2);
	ship_put(o, ":", 1);
	ship_put_padded(o, of_day % 60, 2);
	ship_put(o, ".", 1);
	ship_put_padded(o, nanoseconds / 1000, 6);
	ship_put(o, "Z", 1);
}

static void put_field(struct ship_out *o, const char *text, u32 max)
{
	u32 i = 0, run;

	ship_put(o, " ", 1);
	while (text && text[i] && i < max) {
		for (run = 0; i + run < max && text[i + run] > ' ' && text[i + run] < 127; run++)
			;
		ship_put(o, run ? text + i : "_", run ? run : 1);
		i += run ? run : 1;
	}
	if (!i)
		ship_put(o, "-", 1);
}

/* ---- structured data ---- */

static void put_param(struct ship_out *o, const char *name, u64 v)
{
	ship_put(o, " ", 1);
	ship_put_text(o, name);
	ship_put(o, "=\"", 2);
	ship_put_u64(o, v);
	ship_put(o, "\"", 1);
}

#define FILE_SHOWN 255u

static bool is_name(char c)
{
	return (c >= '-' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* PARAM-VALUE is UTF-8: what is not becomes '?', for the name is for people. */
static void put_file(struct ship_out *o, const char *file)
{
	u32 n = 0, i = 0, len;

	while (n < FILE_SHOWN && file[n])
		n++;
	ship_put_text(o, " file=\"");
	while (i < n) {
		for (len = 0; i + len < n && is_name(file[i + len]); len++)
			;
		ship_put(o, file + i, len);
		i += len;
		if (i == n)
			break;
		len = ship_utf8((const u8 *)file + i, n - i);
		if (file[i] == '"' || file[i] == '\\' || file[i] == ']')
			ship_put(o, "\\", 1);
		if (!len || (u8)file[i] < ' ' || file[i] == 127)
			ship_put(o, "?", 1);
		else
			ship_put(o, file + i, len);
		i += len ? len : 1;
	}
	ship_put(o, "\"", 1);
}

static void put_boot(struct ship_out *o, const u8 boot[16])
{
	ship_put_text(o, " b=\"");
	ship_put_boot(o, boot);
	ship_put(o, "\"", 1);
}

static void put_data(struct ship_out *o, const struct ship_message *m, bool escaped)
{
	ship_put_text(o, " [" SHIP_SD_ID " v=\"");
	ship_put_hex(o, m->id.volume, 16);
	ship_put(o, "\"", 1);
	put_param(o, "i", m->id.ino);
	put_param(o, "g", m->id.generation);
	put_param(o, "o", m->id.offset);
	ship_put_text(o, " c=\"");
	ship_put_hex(o, m->id.crc, 8);
	ship_put(o, "\"", 1);
	put_param(o, "n", m->sequence);
	put_boot(o, m->boot);
	if (m->part)
		put_param(o, "part", m->part);
	if (m->more)
		put_param(o, "more", 1);
	if (escaped)
		put_param(o, "esc", 1);
	if (m->file)
		put_file(o, m->file);
	ship_put(o, "] ", 2);
}

/* ---- text ---- */

/* Bytes of the character at the front that goes as it is, 0: its first byte must be escaped. */
static u32 plain(const u8 *at, u32 n)
{
	if ((at[0] < ' ' && at[0] != '\t' && at[0] != '\n') || at[0] == 127)
		return 0;
	return ship_utf8(at, n);
}

static bool all_plain(const u8 *text, u32 n)
{
	u32 i = 0, len;

	for (;;) {
		while (i < n && text[i] >= ' ' && text[i] < 127)
			i++;
		if (i == n)
			return true;
		len = plain(text + i, n - i);
		if (!len)
			return false;
		i += len;
	}
}

static void put_escaped(struct ship_out *o, const u8 *text, u32 n)
{
	u32 i = 0, len;

	for (; i < n; i += len ? len : 1) {
		len = text[i] == '\\' ? 0 : plain(text + i, n - i);
		if (len) {
			ship_put(o, text + i, len);
		} else {
			ship_put(o, "\\x", 2);
			ship_put_hex(o, text[i], 2);
		}
	}
}

void ship_rfc5424(struct ship_out *o, const struct ship_message *m)
{
	bool escaped = !all_plain(m->text, m->len);

	ship_put(o, "<", 1);
	ship_put_u64(o, m->priority);
	ship_put(o, ">1 ", 3);
	ship_put_time(o, m->seconds, m->nanoseconds);
	put_field(o, m->host, 255);
	put_field(o, m->app, 48);
	put_field(o, m->proc, 128);
	put_field(o, NULL, 32);
	put_data(o, m, escaped);
	if (escaped)
		put_escaped(o, m->text, m->len);
	else
		ship_put(o, m->text, m->len);
}

/* ---- the identity read back ---- */

/* Name and value of the parameter at *at, which stands behind a blank; *at: behind its closing quote. */
static bool param(const u8 **at, const u8 *end, const u8 **name, u32 *name_len, const u8 **value, u32 *value_len)
{
	const u8 *p = *at;

	for (*name = p; p < end && *p != '=' && *p != ' ' && *p != '"' && *p != ']'; p++)
		;
	*name_len = (u32)(p - *name);
	if (!*name_len || end - p < 2 || p[0] != '=' || p[1] != '"')
		return false;
	for (*value = p += 2; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	if (p >= end)
		return false;
	*value_len = (u32)(p - *value);
	*at = p + 1;
	return true;
}

static bool hex_value(const u8 *at, u32 n, u32 digits, u64 *v)
{
	u32 i;

	*v = 0;
	for (i = 0; i < n; i++) {
		u8 c = at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		*v = *v << 4 | (u32)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return n == digits;
}

static bool decimal(const u8 *at, u32 n, u64 max, u64 *v)
{
	u32 i;

	*v = 0;
	for (i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9' || *v > (max - (at[i] - '0')) / 10)
			return false;
		*v = *v * 10 + (at[i] - '0');
	}
	return n > 0;
}

/* A parameter of ours. Returns the bit of what it was, 0: none of the identity, -1: one, and malformed. */
static int identity_part(char name, const u8 *value, u32 n, struct ship_identity *id)
{
	u64 v;

	switch (name) {
	case 'v':
		return hex_value(value, n, 16, &id->volume) ? 1 : -1;
	case 'i':
		return decimal(value, n, ~0ull, &id->ino) ? 2 : -1;
	case 'g':
		if (!decimal(value, n, 0xffffffffu, &v))
			return -1;
		id->generation = (u32)v;
		return 4;
	case 'o':
		return decimal(value, n, ~0ull, &id->offset) ? 8 : -1;
	case 'c':
		if (!hex_value(value, n, 8, &v))
			return -1;
		id->crc = (u32)v;
		return 16;
	default:
		return 0;
	}
}

/* The element at *at, behind its '['. 1: ours, whole; 0: another one, *at behind it; -1: malformed. */
static int element(const u8 **at, const u8 *end, struct ship_identity *id)
{
	const u8 *sd = *at, *p = *at, *name, *value;
	u32 name_len, value_len;
	int seen = 0, part;
	bool ours;

	while (p < end && *p != ' ' && *p != ']' && *p != '"' && *p != '=')
		p++;
	ours = ship_same_word(sd, (u32)(p - sd), SHIP_SD_ID);
	while (p < end && *p == ' ') {
		p++;
		if (!param(&p, end, &name, &name_len, &value, &value_len))
			return -1;
		part = ours && name_len == 1 ? identity_part((char)*name, value, value_len, id) : 0;
		if (part < 0 || seen & part)
			return -1;
		seen |= part;
	}
	if (p == end || *p != ']')
		return -1;
	*at = p + 1;
	return ours ? (seen == 31 ? 1 : -1) : 0;
}

bool ship_identity_find(const u8 *msg, u32 n, struct ship_identity *id)
{
	const u8 *at = msg, *end = msg + n;
	u32 blanks = 0;
	int found = 0;

	for (; at < end && blanks < 6; at++)
		blanks += *at == ' ';
	while (!found && at < end && *at == '[') {
		at++;
		found = element(&at, end, id);
	}
	return blanks == 6 && found == 1;
}
