// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* GELF 1.1 over HTTP: one message a request. Pure. */
#include "logship/web/web.h"

static void own(struct ship_out *o, const char *name)
{
	ship_put_text(o, ",\"_tfs_");
	ship_put_text(o, name);
	ship_put_text(o, "\":");
}

/* short_message is the first line of several. */
static void put_text(struct ship_out *o, const struct ship_message *m)
{
	struct ship_message first = *m;

	for (first.len = 0; first.len < m->len && m->text[first.len] != '\n'; first.len++)
		;
	ship_put_text(o, ",\"short_message\":");
	web_put_message(o, &first, "-"); /* an empty one is refused */
	if (first.len == m->len)
		return;
	ship_put_text(o, ",\"full_message\":");
	web_put_message(o, m, "-");
}

void web_gelf_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	ship_put_text(o, "{\"version\":\"1.1\",\"host\":");
	web_put_json_text(o, m->host);
	put_text(o, m);
	ship_put_text(o, ",\"timestamp\":");
	web_put_seconds(o, ns);
	ship_put_text(o, ",\"level\":");
	ship_put_u64(o, m->priority & 7);
	if (m->app && *m->app) {
		ship_put_text(o, ",\"_app\":");
		web_put_json_text(o, m->app);
	}
	if (m->file) {
		ship_put_text(o, ",\"_file\":");
		web_put_json_text(o, m->file);
	}
	for (u32 i = 0; i < n; i++) {
		own(o, field[i].name);
		if (field[i].number)
			ship_put_text(o, field[i].value);
		else
			web_put_json_text(o, field[i].value);
	}
	own(o, "uid");
	ship_put(o, "\"", 1);
	web_put_uid(o, &m->id);
	ship_put_text(o, "\"}");
}
