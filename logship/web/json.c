// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Bytes as JSON strings (RFC 8259): always valid UTF-8, whatever a log file holds. Text goes as it is, control
 * characters in JSON's escapes. Where a message has bytes that are no UTF-8 it is escaped as in syslog (rfc5424.c), and
 * its field "esc" says so. Pure. Called by the formats.
 */
#include "logship/web/web.h"

bool web_is_utf8(const u8 *text, u32 n)
{
	u32 i = 0, len;

	for (; i < n; i += len) {
		len = ship_utf8(text + i, n - i);
		if (!len)
			return false;
	}
	return true;
}

/* One that JSON does not take as it is. */
static void put_control(struct ship_out *o, u8 c)
{
	static const char letters[] = "btn\0fr";

	ship_put(o, "\\", 1);
	if (c == '"' || c == '\\') {
		ship_put(o, &c, 1);
	} else if (c >= 8 && c <= 13 && letters[c - 8]) {
		ship_put(o, &letters[c - 8], 1);
	} else {
		ship_put_text(o, "u00");
		ship_put_hex(o, c, 2);
	}
}

static bool plain(u8 c)
{
	return c >= ' ' && c < 127 && c != '"' && c != '\\';
}

void web_put_json(struct ship_out *o, const u8 *text, u32 n, bool escaped)
{
	u32 i = 0, len;

	ship_put(o, "\"", 1);
	for (; i < n; i += len) {
		for (len = 0; i + len < n && plain(text[i + len]); len++)
			;
		if (len) {
			ship_put(o, text + i, len);
			continue;
		}
		len = ship_utf8(text + i, n - i);
		if (escaped && (!len || text[i] == '\\')) {
			ship_put_text(o, "\\\\x");
			ship_put_hex(o, text[i], 2);
			len = 1;
		} else if (!len) {
			ship_put(o, "?", 1);
			len = 1;
		} else if (len == 1 && text[i] != 127) {
			put_control(o, text[i]);
		} else {
			ship_put(o, text + i, len);
		}
	}
	ship_put(o, "\"", 1);
}

void web_put_json_text(struct ship_out *o, const char *text)
{
	web_put_json(o, (const u8 *)text, (u32)strlen(text), false);
}

void web_put_message(struct ship_out *o, const struct ship_message *m, const char *empty)
{
	if (m->len)
		web_put_json(o, m->text, m->len, !web_is_utf8(m->text, m->len));
	else
		web_put_json_text(o, empty);
}
