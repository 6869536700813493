// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Lines of fields, as text or JSON (lines.h). Called by everything that prints structures. */
#include "tfs/user/lines.h"

#include <json-c/json.h>
#include <time.h>

void tfs_line_begin(struct tfs_line *l, bool json, int indent, const char *what)
{
	l->tall = false;
	l->o = json ? json_object_new_object() : NULL;
	if (l->o)
		tfs_json_text(l->o, "what", what);
	else
		printf("%*s%s", indent, "", what);
}

void tfs_line_begin_tall(struct tfs_line *l, bool json, const char *what)
{
	tfs_line_begin(l, json, 0, what);
	l->tall = true;
}

static void key_text(const struct tfs_line *l, const char *key)
{
	printf(l->tall ? "\n  %-14s " : " %s=", key);
}

void tfs_line_int(struct tfs_line *l, const char *key, s64 v)
{
	if (l->o)
		json_object_object_add(l->o, key, json_object_new_int64(v));
	else
		key_text(l, key), printf("%lld", (long long)v);
}

void tfs_line_num(struct tfs_line *l, const char *key, u64 v)
{
	if (l->o)
		tfs_json_u64(l->o, key, v);
	else
		key_text(l, key), printf("%llu", (unsigned long long)v);
}

void tfs_line_hex(struct tfs_line *l, const char *key, u64 v, int digits)
{
	char text[20];

	snprintf(text, sizeof(text), "%0*llx", digits, (unsigned long long)v);
	tfs_line_text(l, key, text);
}

void tfs_line_octal(struct tfs_line *l, const char *key, u32 v)
{
	char text[16];

	snprintf(text, sizeof(text), "%06o", v);
	tfs_line_text(l, key, text);
}

void tfs_line_bool(struct tfs_line *l, const char *key, bool v)
{
	if (l->o)
		tfs_json_bool(l->o, key, v);
	else if (l->tall)
		key_text(l, key), fputs(v ? "yes" : "no", stdout);
	else if (v)
		printf(" %s", key);
}

void tfs_line_text(struct tfs_line *l, const char *key, const char *text)
{
	if (l->o)
		tfs_json_text(l->o, key, text);
	else
		key_text(l, key), printf(!l->tall && strchr(text, ' ') ? "'%s'" : "%s", text);
}

void tfs_line_bytes(struct tfs_line *l, const char *key, const void *bytes, size_t len)
{
	if (l->o) {
		tfs_json_bytes(l->o, key, bytes, len);
		return;
	}
	key_text(l, key);
	if (!l->tall)
		putchar('\'');
	tfs_cli_print_name(stdout, bytes, len);
	if (!l->tall)
		putchar('\'');
}

void tfs_line_time(struct tfs_line *l, const char *key, const struct tfs_time *t)
{
	char text[48];

	tfs_line_text(l, key, tfs_time_text(t, text));
}

void tfs_line_end(struct tfs_line *l)
{
	if (l->o)
		tfs_json_line(stdout, l->o);
	else
		putchar('\n');
}

/* ---- words for numbers ---- */

char *tfs_time_text(const struct tfs_time *t, char out[48])
{
	time_t sec = (time_t)tfs_le64(t->sec);
	struct tm tm;

	if (!gmtime_r(&sec, &tm))
		snprintf(out, 48, "@%lld.%09u", (long long)sec, tfs_le32(t->nsec));
	else
		snprintf(out, 48, "%04lld-%02d-%02dT%02d:%02d:%02d.%09uZ", tm.tm_year + 1900ll, tm.tm_mon + 1,
		         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tfs_le32(t->nsec));
	return out;
}

const char *tfs_type_text(u32 mode)
{
	static const char *const names[] = {
	    "unknown", "fifo",    "character device", "unknown", "directory", "unknown", "block device", "unknown",
	    "file",    "unknown", "symlink",          "unknown", "socket",    "unknown", "unknown",      "unknown"};

	return names[mode >> 12 & 15];
}
