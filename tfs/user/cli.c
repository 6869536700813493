// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Messages, escaped names, sizes and uuids, the same in every tool. Nothing here exits: codes are returned and only
 * main decides. Names from a volume or a directory are never printed raw: they may hold terminal controls.
 */
#include "tfs/user/cli.h"
#include "tfs/user/port.h"

#include <stdarg.h>
#include <stdlib.h>
#include <syslog.h>

static const char *tool = "tfs";
static bool to_log;

static void core_message(int level, const char *line)
{
	fprintf(stderr, "%s: %s%s\n", tool, level == 1 ? "warning: " : level == 2 ? "note: " : "", line);
}

void tfs_cli_start(const char *name)
{
	tool = name;
	tfs_user_log_sink(core_message);
}

static void core_to_syslog(int level, const char *line)
{
	syslog(level ? LOG_WARNING : LOG_ERR, "%s", line);
}

void tfs_cli_to_syslog(void)
{
	to_log = true;
	openlog(tool, LOG_PID, LOG_DAEMON);
	tfs_user_log_sink(core_to_syslog);
}

static void message(const char *object, const char *fmt, va_list ap)
{
	char name[1024], text[2048];

	if (to_log) {
		vsnprintf(text, sizeof(text), fmt, ap);
		tfs_cli_escape(name, sizeof(name), object ? object : "", object ? strlen(object) : 0);
		syslog(LOG_ERR, "%s%s%s", name, object ? ": " : "", text);
		return;
	}
	fflush(stdout);
	fprintf(stderr, "%s: ", tool);
	if (object)
		fprintf(stderr, "%s: ", tfs_cli_escape(name, sizeof(name), object, strlen(object)));
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int tfs_cli_fail(int code, const char *object, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(object, fmt, ap);
	va_end(ap);
	return code;
}

void tfs_cli_warn(const char *object, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(object, fmt, ap);
	va_end(ap);
}

int tfs_cli_end(int code, int full)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	return tfs_cli_fail(code ? code : full, "standard output", "%s", strerror(errno ? errno : EIO));
}

/* Bytes of the UTF-8 sequence at s (at most n), 0: not one that may be printed as it is. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80                   ? 1
	             : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
	             : (s[0] & 0xf0) == 0xe0       ? 3
	             : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
	                                           : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (len == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0; /* overlong, surrogates */
	if (len == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return len;
}

static size_t escape_one(char *out, const unsigned char *s, size_t n, size_t *used)
{
	size_t len = utf8_length(s, n);
	bool control = s[0] < 0x20 || s[0] == 0x7f || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);

	*used = 1;
	if (s[0] == '\\' || s[0] == '\n' || s[0] == '\t' || s[0] == '\r') {
		out[0] = '\\';
		out[1] = s[0] == '\n' ? 'n' : s[0] == '\t' ? 't' : s[0] == '\r' ? 'r' : '\\';
		return 2;
	}
	if (!len || control)
		return (size_t)sprintf(out, "\\x%02x", s[0]);
	memcpy(out, s, len);
	*used = len;
	return len;
}

char *tfs_cli_escape(char *out, size_t out_size, const char *name, size_t len)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t at = 0, used;
	char one[8];

	for (size_t i = 0; i < len; i += used) {
		size_t n = escape_one(one, s + i, len - i, &used);

		if (at + n + (i + used < len ? 4 : 1) > out_size) {
			if (out_size > at + 4)
				memcpy(out + at, "...", 3), at += 3;
			break;
		}
		memcpy(out + at, one, n);
		at += n;
	}
	out[at] = 0;
	return out;
}

void tfs_cli_print_name(FILE *f, const char *name, size_t len)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t used;
	char one[8];

	for (size_t i = 0; i < len; i += used) {
		size_t n = escape_one(one, s + i, len - i, &used);

		fwrite(one, 1, n, f);
	}
}

int tfs_cli_size(const char *text, u64 *out)
{
	static const char units[] = "KMGTP";
	char *end;
	unsigned long long v;
	const char *u;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -1;
	if (*end && (u = strchr(units, *end & ~32))) {
		int bits = 10 * (int)(u - units + 1);

		if (v > TFS_MAX_VOLUME >> bits)
			return -1;
		v <<= bits;
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end += strlen(end);
	}
	*out = v;
	return *end || v > TFS_MAX_VOLUME ? -1 : 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

int tfs_cli_uuid(const char *text, u8 out[16])
{
	int digits = 0;

	memset(out, 0, 16);
	for (; *text; text++) {
		int v = hex_digit(*text);

		if (*text == '-')
			continue;
		if (v < 0 || digits == 32)
			return -1;
		out[digits / 2] |= (u8)(digits & 1 ? v : v << 4);
		digits++;
	}
	return digits == 32 ? 0 : -1;
}

void tfs_cli_uuid_text(const u8 uuid[16], char out[37])
{
	for (int i = 0; i < 16; i++)
		out += sprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

char *tfs_cli_human(u64 bytes, char out[16])
{
	static const char units[] = "KMGTPE";
	u64 tenths = bytes * 10;
	int u = -1;

	if (bytes < 1024) {
		snprintf(out, 16, "%u B", (unsigned)bytes);
		return out;
	}
	if (bytes >= 1ull << 60)
		tenths = (bytes >> 10) * 10, u = 0;
	while (tenths >= 10240)
		tenths >>= 10, u++;
	snprintf(out, 16, "%u.%u %ciB", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[u]);
	return out;
}
