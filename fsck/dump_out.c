// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Lines of fields: the same calls give "what key=value key=value" for people or one JSON object for programs, so that
 * neither can show less than the other. Names are escaped as text. Called by everything that prints structures.
 */
#include "fsck/dump.h"

#include <json-c/json.h>
#include <time.h>

void dump_begin(struct dump *d, struct dump_line *l, int indent, const char *what)
{
	l->d = d;
	l->tall = false;
	l->o = d->json ? json_object_new_object() : NULL;
	if (l->o)
		tfs_json_text(l->o, "what", what);
	else
		printf("%*s%s", indent, "", what);
}

void dump_begin_tall(struct dump *d, struct dump_line *l, const char *what)
{
	dump_begin(d, l, 0, what);
	l->tall = true;
}

static void key_text(const struct dump_line *l, const char *key)
{
	printf(l->tall ? "\n  %-14s " : " %s=", key);
}

void dump_num(struct dump_line *l, const char *key, u64 v)
{
	if (l->o)
		tfs_json_u64(l->o, key, v);
	else
		key_text(l, key), printf("%llu", (unsigned long long)v);
}

/* 64-bit numbers that are names, not counts, go to JSON as text: many readers hold only 53 bits. */
void dump_hex(struct dump_line *l, const char *key, u64 v, int digits)
{
	char text[20];

	snprintf(text, sizeof(text), "%0*llx", digits, (unsigned long long)v);
	dump_text(l, key, text);
}

void dump_octal(struct dump_line *l, const char *key, u32 v)
{
	char text[16];

	snprintf(text, sizeof(text), "%06o", v);
	dump_text(l, key, text);
}

void dump_bool(struct dump_line *l, const char *key, bool v)
{
	if (l->o)
		tfs_json_bool(l->o, key, v);
	else if (l->tall)
		key_text(l, key), fputs(v ? "yes" : "no", stdout);
	else if (v)
		printf(" %s", key);
}

void dump_text(struct dump_line *l, const char *key, const char *text)
{
	if (l->o)
		tfs_json_text(l->o, key, text);
	else
		key_text(l, key), printf(!l->tall && strchr(text, ' ') ? "'%s'" : "%s", text);
}

void dump_bytes(struct dump_line *l, const char *key, const void *bytes, size_t len)
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

void dump_time(struct dump_line *l, const char *key, const struct tfs_time *t)
{
	char text[48];

	dump_text(l, key, dump_time_text(t, text));
}

void dump_ptr(struct dump_line *l, const struct tfs_disk_ptr *p)
{
	dump_num(l, "addr", tfs_le64(p->addr));
	dump_num(l, "len", tfs_le16(p->len));
	dump_num(l, "birth", tfs_le64(p->birth));
	dump_hex(l, "crc", tfs_le32(p->crc), 8);
	dump_bool(l, "gang", tfs_le16(p->flags) & TFS_PTR_GANG);
}

void dump_end(struct dump_line *l)
{
	if (l->o)
		tfs_json_line(stdout, l->o);
	else
		putchar('\n');
}

/* ---- words for numbers ---- */

char *dump_time_text(const struct tfs_time *t, char out[48])
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

char *dump_mode_text(u32 mode, char out[12])
{
	static const char types[] = "?pc?d?b?-?l?s???";

	snprintf(out, 12, "%crwxrwxrwx", types[mode >> 12 & 15]);
	for (int i = 0; i < 9; i++)
		if (!(mode >> (8 - i) & 1))
			out[1 + i] = '-';
	if (mode & 04000)
		out[3] = mode & 0100 ? 's' : 'S';
	if (mode & 02000)
		out[6] = mode & 010 ? 's' : 'S';
	if (mode & 01000)
		out[9] = mode & 1 ? 't' : 'T';
	return out;
}

const char *dump_type_text(u32 mode)
{
	static const char *const names[] = {
	    "unknown", "fifo",    "character device", "unknown", "directory", "unknown", "block device", "unknown",
	    "file",    "unknown", "symlink",          "unknown", "socket",    "unknown", "unknown",      "unknown"};

	return names[mode >> 12 & 15];
}

const char *dump_codec_text(u32 codec)
{
	return codec == TFS_CODEC_NONE   ? "none"
	       : codec == TFS_CODEC_LZ4  ? "lz4"
	       : codec == TFS_CODEC_ZLIB ? "zlib"
	                                 : "unknown";
}
