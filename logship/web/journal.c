// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * systemd's journal export format (systemd.io/JOURNAL_EXPORT_FORMATS), as systemd-journal-remote takes it: an entry is
 * NAME=value a line, or the name alone, eight bytes of length, least first, and the value; an empty line ends it. Values
 * are bytes, so text goes as it stands in the file. Pure.
 */
#include "logship/web/web.h"

#include <string.h>

static void put_length(struct ship_out *o, u64 n)
{
	u8 bytes[8];

	for (u32 i = 0; i < 8; i++)
		bytes[i] = (u8)(n >> 8 * i);
	ship_put(o, bytes, 8);
}

static bool fits_a_line(const u8 *value, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (value[i] < ' ' && value[i] != '\t')
			return false;
	return true;
}

static void put_bytes(struct ship_out *o, const char *name, const u8 *value, u32 n)
{
	ship_put_text(o, name);
	if (fits_a_line(value, n)) {
		ship_put(o, "=", 1);
	} else {
		ship_put(o, "\n", 1);
		put_length(o, n);
	}
	ship_put(o, value, n);
	ship_put(o, "\n", 1);
}

static void put_text(struct ship_out *o, const char *name, const char *value)
{
	u32 n = 0;

	while (value && value[n])
		n++;
	if (n)
		put_bytes(o, name, (const u8 *)value, n);
}

static void put_number(struct ship_out *o, const char *name, u64 v)
{
	ship_put_text(o, name);
	ship_put(o, "=", 1);
	ship_put_u64(o, v);
	ship_put(o, "\n", 1);
}

/* TFS_ and the name in capitals. "esc" is not among them: nothing is escaped here. */
static void put_own(struct ship_out *o, const struct web_field *f)
{
	ship_put_text(o, "TFS_");
	for (const char *c = f->name; *c; c++)
		ship_put(o, &(char){(char)(*c & ~0x20)}, 1);
	ship_put(o, "=", 1);
	ship_put_text(o, f->value);
	ship_put(o, "\n", 1);
}

void web_journal_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	put_number(o, "__REALTIME_TIMESTAMP", ns / 1000);
	put_number(o, "PRIORITY", m->priority & 7);
	put_number(o, "SYSLOG_FACILITY", m->priority >> 3);
	put_text(o, "SYSLOG_IDENTIFIER", m->app);
	put_text(o, "_HOSTNAME", m->host);
	put_text(o, "TFS_FILE", m->file);
	for (u32 i = 0; i < n; i++)
		if (strcmp(field[i].name, "esc") != 0)
			put_own(o, &field[i]);
	ship_put_text(o, "TFS_UID=");
	web_put_uid(o, &m->id);
	ship_put(o, "\n", 1);
	put_bytes(o, "MESSAGE", m->text, m->len);
	ship_put(o, "\n", 1);
}
